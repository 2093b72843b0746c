"""Sockets for programs that were written for this host: Windows' habits are undone where a base provider has them."""

from __future__ import annotations

import socket as host

from winsock.abi.constants import AF_INET6, SIO_BASE_HANDLE
from winsock.base.inet import own
from winsock.dispatcher.records import Record

_HOST_DEFAULT = "/proc/sys/net/ipv6/bindv6only"


def base_of(record: Record) -> int:
    """The handle at the end of the chain."""
    answer = record.table.WSPIoctl(record.handle, SIO_BASE_HANDLE, None, 8)
    return int.from_bytes(answer, "little")


def make_native(handle: int, family: int) -> None:
    """A new handle of the inet provider becomes the host's own kind of socket; others are left as they are."""
    if own.forget(handle) is None or family != AF_INET6:
        return
    try:
        with open(_HOST_DEFAULT, "rb", 0) as file:
            only = int(file.read())
    except OSError:
        only = 0
    plain = host.SocketType(host.AF_INET6, host.SOCK_STREAM, 0, handle)
    try:
        plain.setsockopt(host.IPPROTO_IPV6, host.IPV6_V6ONLY, only)
    finally:
        plain.detach()
