"""Sockets for programs that were written for this host: Windows' habits are undone where a base provider has them."""

from __future__ import annotations

import socket
import struct

from winsock.abi.constants import AF_INET6
from winsock.base.inet import own, raw

_HOST_DEFAULT = "/proc/sys/net/ipv6/bindv6only"
_INT = struct.Struct("=i")


def make_native(handle: int, family: int) -> None:
    """A new handle of this provider becomes the host's own kind of socket; others are left as they are."""
    if handle not in own.SOCKETS:
        return
    if family == AF_INET6:
        raw.setsockopt(handle, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, _INT.pack(_only_ipv6()))
    own.forget(handle)


def _only_ipv6() -> int:
    """What the host gives a new IPv6 socket."""
    try:
        with open(_HOST_DEFAULT, "rb", 0) as file:
            return int(file.read())
    except OSError:
        return 0
