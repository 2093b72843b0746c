"""Connecting to whichever of several addresses answers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from winsock.abi import address_lists
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    SIO_ADDRESS_LIST_SORT,
    SO_ERROR,
    SOL_SOCKET,
    XP1_CONNECTIONLESS,
)
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEHOSTUNREACH,
    WSAEINVAL,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
    name_of,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.api.addresses import Address, address_for
from winsock.api.names import inet_pton
from winsock.dispatcher.records import Record
from winsock.dispatcher.route import find, function

_LAST_PORT = 0xFFFF


@function
def WSAConnectByList(
    s: int, addresses: Sequence[Address] | bytes, timeout: float | None = None
) -> tuple[Sockaddr, Sockaddr]:
    """Connect to the first of these addresses that accepts, the most promising first: (local address, remote address).

    `addresses` is a sequence, or the bytes of a SOCKET_ADDRESS_LIST; those of IPv4 are mapped for a socket of IPv6,
    which must not be for that alone. The socket is of a stream protocol and not bound; the call waits even where the
    socket does not block. `timeout` is in seconds, and looked at between attempts. Raises the error of the last one,
    WSAETIMEDOUT, WSAEINVAL, WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-wsaconnectbylist.
    """
    record = find(s)
    if record.entry.info.dwServiceFlags1 & XP1_CONNECTIONLESS:
        raise WinsockError(WSAEINVAL, f"s: {record.entry.info.szProtocol} has no connections")
    if _is_bound(record, s):
        raise WinsockError(WSAEINVAL, "s: the socket is bound already")
    end = None if timeout is None else time.monotonic() + _seconds(timeout)
    _connect_to_one(record, s, _in_order(record, s, _listed(record, addresses)), end)
    return record.table.WSPGetSockName(s), record.table.WSPGetPeerName(s)


@function
def WSAConnectByName(
    s: int, node_name: str, service_name: str, timeout: float | None = None
) -> tuple[Sockaddr, Sockaddr]:
    """Connect to a host and a service that are given in numbers: (local address, remote address).

    Raises WSAEHOSTUNREACH for a name: no name-space provider is installed that led to a host. Raises WSAEINVAL for what
    is no text, and all that WSAConnectByList does, which does the rest.
    Sources: nf-winsock2-wsaconnectbynamea, nf-winsock2-wsaconnectbynamew.
    """
    find(s)
    for parameter, value in (("node_name", node_name), ("service_name", service_name)):
        if not isinstance(value, str):
            raise WinsockError(WSAEINVAL, f"{parameter}: {value!r} is no text")
    return WSAConnectByList(s, [_numeric(node_name, _port(service_name))], timeout)


def _numeric(host: str, port: int) -> Sockaddr:
    family, kind = (AF_INET6, SockaddrIn6) if ":" in host else (AF_INET, SockaddrIn)
    try:
        inet_pton(family, host)
    except WinsockError:
        message = f"node_name: no name-space provider is installed, so nothing leads to {host!r}"
        raise WinsockError(WSAEHOSTUNREACH, message) from None
    return kind(host, port)


def _port(service: str) -> int:
    if not (service.isascii() and service.isdigit()):
        message = f"service_name: no name-space provider is installed, so {service!r} has no port"
        raise WinsockError(WSAEHOSTUNREACH, message)
    if int(service) > _LAST_PORT:
        raise WinsockError(WSAEINVAL, f"service_name: {service} is no port")
    return int(service)


def _connect_to_one(record: Record, s: int, addresses: Sequence[Sockaddr], end: float | None) -> None:
    failure = WinsockError(WSAEINVAL, "addresses: there is none")
    for number, address in enumerate(addresses):
        if number and end is not None and time.monotonic() >= end:
            raise WinsockError(WSAETIMEDOUT, f"addresses: time was up after {number} of {len(addresses)}")
        try:
            _connect(record, s, address)
            return
        except WinsockError as error:
            failure = error
    raise failure


def _connect(record: Record, s: int, address: Sockaddr) -> None:
    """Connect, and wait for it."""
    try:
        record.table.WSPConnect(s, address)
    except WinsockError as error:
        if error.winerror != WSAEWOULDBLOCK:
            raise
        _, _, failed = record.table.WSPSelect(0, None, [s], [s], None)
        if failed:
            code = record.table.WSPGetSockOpt(s, SOL_SOCKET, SO_ERROR)
            assert isinstance(code, int)
            raise WinsockError(code, f"addresses: no connection to {address} ({name_of(code)})") from None


def _seconds(timeout: object) -> float:
    if not isinstance(timeout, (int, float)):
        raise WinsockError(WSAEFAULT, f"timeout: {timeout!r} is no number of seconds")
    if not timeout >= 0:
        raise WinsockError(WSAEINVAL, f"timeout: {timeout} is no number of seconds; None waits without limit")
    return timeout


def _listed(record: Record, addresses: object) -> list[Sockaddr]:
    given: Sequence[object]
    if isinstance(addresses, (bytes, bytearray)):
        given = address_lists.unpack(addresses)
    elif isinstance(addresses, Sequence) and not isinstance(addresses, str):
        given = addresses
    else:
        raise WinsockError(WSAEFAULT, f"addresses: {addresses!r} is no list of addresses")
    return [_address(record, one) for one in given]


def _address(record: Record, value: object) -> Sockaddr:
    if isinstance(value, SockaddrIn) and record.entry.info.iAddressFamily == AF_INET6:
        return value.mapped()
    try:
        return address_for(record, value)
    except WinsockError as error:
        raise WinsockError(error.winerror, f"addresses: {error.strerror}") from None


def _in_order(record: Record, s: int, addresses: list[Sockaddr]) -> list[Sockaddr]:
    """The order in which they are most likely to answer; as they come where the provider does not know."""
    packed = address_lists.pack(addresses)
    try:
        answer = record.table.WSPIoctl(s, SIO_ADDRESS_LIST_SORT, packed, len(packed))
    except WinsockError:
        return addresses
    return address_lists.unpack(answer) if answer is not None else addresses


def _is_bound(record: Record, s: int) -> bool:
    try:
        record.table.WSPGetSockName(s)
    except WinsockError:
        return False
    return True
