"""The base provider of local streams: AF_UNIX, by paths and by abstract names."""

from __future__ import annotations

from winsock.base.unix.provider import Unix

__all__ = ["Unix"]
