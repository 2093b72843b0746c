"""Tests of the floor `abi`."""
