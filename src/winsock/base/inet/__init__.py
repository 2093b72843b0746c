"""The base provider of the internet protocols: TCP and UDP over IPv4 and IPv6, on the kernel's own sockets."""

from __future__ import annotations

from winsock.base.inet.provider import Inet

__all__ = ["Inet"]
