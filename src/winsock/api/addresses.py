"""Addresses as the functions of the API take them: values, or the tuples that Python programmers write."""

from __future__ import annotations

from typing import Any, TypeAlias

from winsock.abi.sockaddr import Sockaddr, SockaddrOther, coerce
from winsock.dispatcher.records import Record

Address: TypeAlias = Sockaddr | tuple[Any, ...] | str | bytes
"""`SockaddrIn(host, port)` and its kin, or ("127.0.0.1", 80), or a path."""


def address_for(record: Record, value: object) -> Sockaddr:
    """The address, read as one of the socket's family; raises WSAEFAULT and WSAEAFNOSUPPORT."""
    if isinstance(value, SockaddrOther):
        return value
    return coerce(value, record.entry.info.iAddressFamily)
