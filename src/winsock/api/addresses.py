"""Addresses as the functions of the API take them: values, or the tuples that Python programmers write."""

from __future__ import annotations

from typing import Any, TypeAlias

from winsock.abi.errors import WinsockError
from winsock.abi.sockaddr import Sockaddr, SockaddrOther, coerce
from winsock.dispatcher.records import Record

Address: TypeAlias = Sockaddr | tuple[Any, ...] | str | bytes
"""`SockaddrIn(host, port)` and its kin, or ("127.0.0.1", 80), or a path."""


def address_for(record: Record, value: object, parameter: str = "name") -> Sockaddr:
    """The address, read as one of the socket's family; raises WSAEFAULT and WSAEAFNOSUPPORT."""
    if isinstance(value, SockaddrOther):
        return value
    return address_of(value, parameter, record.entry.info.iAddressFamily)


def address_of(value: object, parameter: str, family: int | None = None) -> Sockaddr:
    """The address that a parameter was given."""
    try:
        return coerce(value, family) if family is not None else coerce(value)
    except WinsockError as error:
        raise WinsockError(error.winerror, f"{parameter}: {error.strerror}") from None
