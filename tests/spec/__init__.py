"""The tables of documented facts that tests hold the sources against."""
