"""Connections that pass through byte layers: how a program's own socket is joined to a relay."""
