"""Multipoint sessions, and which sources of a multicast group are heard."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from winsock.abi.constants import (
    MCAST_EXCLUDE,
    MCAST_INCLUDE,
    SIO_GET_MULTICAST_FILTER,
    SIO_SET_MULTICAST_FILTER,
    SIOCGMSFILTER,
    SIOCSMSFILTER,
)
from winsock.abi.errors import WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.sockaddr import Sockaddr, unpack
from winsock.api.addresses import Address, address_for
from winsock.dispatcher.records import Record, senders
from winsock.dispatcher.route import find, function
from winsock.spi.provider import ReadBuffer, WriteBuffer

_STORAGE_SIZE = 128
_GROUP_HEAD = struct.Struct("<I4x128s")
_COUNTS = struct.Struct("<II")
_IPV4_SIZE = 4
_ROOM = 1 << 20
"""More than any filter has."""


@function
def WSAJoinLeaf(
    s: int,
    name: Address,
    caller_data: ReadBuffer | None,
    callee_data: WriteBuffer | None,
    sqos: object,
    gqos: object,
    flags: int,
) -> int:
    """Join a leaf to a multipoint session: the handle of the leaf.

    For IP multicast the leaf is the socket itself, made with the multipoint flags of WSASocket, `name` is a group, and
    `flags` is one of JL_SENDER_ONLY, JL_RECEIVER_ONLY and JL_BOTH. Raises WSAEINVAL for a socket that was made without
    them, WSAEISCONN, WSAEALREADY, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAEPROTONOSUPPORT for connect data, WSAEOPNOTSUPP
    for quality of service, WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-wsajoinleaf.
    """
    record = find(s)
    arguments = caller_data, callee_data, sqos, gqos, flags
    leaf: int = record.table.WSPJoinLeaf(s, address_for(record, name), *arguments)
    senders.pop(s, None)  # what is sent goes to the session from now on
    return leaf


@function
def setsourcefilter(s: int, interface: int, group: Address, filter_mode: int, sources: Sequence[Address]) -> None:
    """Let a socket hear a group from these sources alone (MCAST_INCLUDE), or from all others (MCAST_EXCLUDE).

    `interface` is an index, 0 for the host's choice. Raises WSAENOBUFS, WSAEINVAL, WSAEADDRNOTAVAIL, WSAEFAULT,
    WSAENOTSOCK, WSANOTINITIALISED. Source: nf-ws2tcpip-setsourcefilter.
    """
    record = find(s)
    storages = b"".join(_storage(record, "sources", source) for source in _sequence(sources))
    counts = _counts(filter_mode, len(sources))
    record.table.WSPIoctl(s, SIOCSMSFILTER, _group_head(record, interface, group) + counts + storages, 0)


@function
def getsourcefilter(s: int, interface: int, group: Address) -> tuple[int, list[Sockaddr]]:
    """Whom a socket hears in a group: MCAST_INCLUDE or MCAST_EXCLUDE, and all the sources.

    Raises WSAEADDRNOTAVAIL where it is no member, WSAENOBUFS, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-ws2tcpip-getsourcefilter.
    """
    record = find(s)
    head = _group_head(record, interface, group)
    told: bytes = record.table.WSPIoctl(s, SIOCGMSFILTER, head + bytes(_COUNTS.size), _ROOM)
    mode, count = _COUNTS.unpack_from(told, _GROUP_HEAD.size)
    first = _GROUP_HEAD.size + _COUNTS.size
    ends = range(first, first + count * _STORAGE_SIZE, _STORAGE_SIZE)
    return mode, [unpack(told[at : at + _STORAGE_SIZE]) for at in ends]


@function
def setipv4sourcefilter(s: int, interface: str, group: str, filter_mode: int, sources: Sequence[str]) -> None:
    """The same for IPv4, with addresses as text; `interface` is one of its addresses, "0.0.0.0" for the host's choice.

    Raises WSAENOBUFS, WSAEINVAL, WSAEADDRNOTAVAIL, WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-ws2tcpip-setipv4sourcefilter.
    """
    record = find(s)
    packed = b"".join(_ipv4("sources", source) for source in _sequence(sources))
    head = _ipv4("group", group) + _ipv4("interface", interface) + _counts(filter_mode, len(sources))
    record.table.WSPIoctl(s, SIO_SET_MULTICAST_FILTER, head + packed, 0)


@function
def getipv4sourcefilter(s: int, interface: str, group: str) -> tuple[int, list[str]]:
    """The same for IPv4: the mode, and all the sources as text.

    Raises WSAEADDRNOTAVAIL where it is no member, WSAENOBUFS, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-ws2tcpip-getipv4sourcefilter.
    """
    record = find(s)
    head = _ipv4("group", group) + _ipv4("interface", interface)
    told: bytes = record.table.WSPIoctl(s, SIO_GET_MULTICAST_FILTER, head + bytes(_COUNTS.size), _ROOM)
    mode, count = _COUNTS.unpack_from(told, len(head))
    first = len(head) + _COUNTS.size
    ends = range(first, first + count * _IPV4_SIZE, _IPV4_SIZE)
    return mode, [socket.inet_ntoa(told[at : at + _IPV4_SIZE]) for at in ends]


def _group_head(record: Record, interface: int, group: Address) -> bytes:
    try:
        return _GROUP_HEAD.pack(interface, _storage(record, "group", group))
    except struct.error:
        raise WinsockError(WSAEFAULT, f"interface: {interface!r} is no index of an interface") from None


def _storage(record: Record, name: str, address: Address) -> bytes:
    """SOCKADDR_STORAGE; `name` is the argument's."""
    try:
        found = address_for(record, address)
    except WinsockError as error:
        raise WinsockError(error.winerror, f"{name}: {error.strerror}") from None
    if found.family != record.entry.info.iAddressFamily:
        raise WinsockError(WSAEAFNOSUPPORT, f"{name}: {found} is of another family than the socket")
    return found.pack().ljust(_STORAGE_SIZE, b"\0")


def _counts(filter_mode: int, count: int) -> bytes:
    if filter_mode not in (MCAST_INCLUDE, MCAST_EXCLUDE):
        raise WinsockError(
            WSAEINVAL, f"filter_mode: {filter_mode!r} is neither MCAST_INCLUDE (0) nor MCAST_EXCLUDE (1)"
        )
    return _COUNTS.pack(filter_mode, count)


def _sequence(sources: Sequence[Address]) -> Sequence[Address]:
    if isinstance(sources, (str, bytes)) or not isinstance(sources, Sequence):
        raise WinsockError(WSAEFAULT, f"sources: {sources!r} is no sequence of addresses")
    return sources


def _ipv4(name: str, text: object) -> bytes:
    try:
        return socket.inet_pton(socket.AF_INET, text)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        raise WinsockError(WSAEFAULT, f"{name}: {text!r} is no address of IPv4") from None
