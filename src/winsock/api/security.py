"""Securing sockets by IPsec, which no provider here offers: what is wrong with a call is said, and then that.

Sources: nf-ws2tcpip-wsasetsocketsecurity and kin; mstcpip.h for the layouts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NoReturn

from winsock.abi.constants import AF_INET, AF_INET6, SO_CONNECT_TIME, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMSGSIZE,
    WSASYSCALLFAILURE,
    WinsockError,
)
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.api.addresses import Address, address_for
from winsock.dispatcher.records import Record
from winsock.dispatcher.route import find, function
from winsock.spi.provider import unsupported
from winsock.spi.stats import has_peer

_Routine = Callable[..., None]

_PROTOCOL = struct.Struct("<i")
_PROTOCOLS = range(3)  # SOCKET_SECURITY_PROTOCOL_DEFAULT, _IPSEC, _IPSEC2
_SETTINGS_SIZE, _TEMPLATE_SIZE, _NAME_SIZE, _ADDRESS_SIZE = 8, 140, 140, 16
_NEVER_CONNECTED = 0xFFFFFFFF
_NOBODYS = ("0.0.0.0", "::")


@function
def WSASetSocketSecurity(
    s: int, settings: bytes | None = None, overlapped: object = None, completion_routine: _Routine | None = None
) -> None:
    """Secure a connection by IPsec; `settings` is a SOCKET_SECURITY_SETTINGS, None for what is usual.

    Raises WSAEOPNOTSUPP, WSAEISCONN for a socket that is connected, WSAEMSGSIZE for settings that are too short,
    WSAEINVAL, WSAEAFNOSUPPORT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-ws2tcpip-wsasetsocketsecurity.
    """
    record = _found(s)
    if settings is not None:
        _check_structure("settings", settings, _SETTINGS_SIZE, WSAEINVAL)
    _refuse_connected(record)
    _refuse("WSASetSocketSecurity")


@function
def WSAQuerySocketSecurity(
    s: int, query_template: bytes | None = None, overlapped: object = None, completion_routine: _Routine | None = None
) -> bytes:
    """How a connection is secured; `query_template` is a SOCKET_SECURITY_QUERY_TEMPLATE.

    Raises WSAEOPNOTSUPP, WSAECONNRESET where the connection was reset, WSAEMSGSIZE for a template that is too short,
    WSAEINVAL, WSAEFAULT, WSAEAFNOSUPPORT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-ws2tcpip-wsaquerysocketsecurity.
    """
    record = _found(s)
    if query_template is not None:
        _check_structure("query_template", query_template, _TEMPLATE_SIZE)
    if not has_peer(record.table, s) and record.table.WSPGetSockOpt(s, SOL_SOCKET, SO_CONNECT_TIME) != _NEVER_CONNECTED:
        raise WinsockError(WSAECONNRESET, "s: the connection was reset")
    _refuse("WSAQuerySocketSecurity")


@function
def WSASetSocketPeerTargetName(
    s: int, peer_target_name: str | bytes, overlapped: object = None, completion_routine: _Routine | None = None
) -> None:
    """Which principal the peer must be: its name, or a SOCKET_PEER_TARGET_NAME.

    Raises WSAEOPNOTSUPP, WSAEISCONN for a socket that is connected, WSAEMSGSIZE for a structure that is too short,
    WSAEINVAL, WSAEFAULT, WSAEAFNOSUPPORT, WSAENOTSOCK, WSANOTINITIALISED.
    Source: nf-ws2tcpip-wsasetsocketpeertargetname.
    """
    record = _found(s)
    if not isinstance(peer_target_name, str):
        _check_structure("peer_target_name", peer_target_name, _NAME_SIZE)
    elif not peer_target_name:
        raise WinsockError(WSAEINVAL, "peer_target_name: it is empty")
    _refuse_connected(record)
    _refuse("WSASetSocketPeerTargetName")


@function
def WSADeleteSocketPeerTargetName(
    s: int, peer_address: Address | bytes, overlapped: object = None, completion_routine: _Routine | None = None
) -> None:
    """Forget which principal a peer must be.

    Raises WSAEOPNOTSUPP, WSAEMSGSIZE for the bytes of an address that are too few, WSAEINVAL, WSAEFAULT,
    WSAEAFNOSUPPORT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-ws2tcpip-wsadeletesocketpeertargetname.
    """
    _check_address(_found(s), peer_address)
    _refuse("WSADeleteSocketPeerTargetName")


@function
def WSAImpersonateSocketPeer(s: int, peer_address: Address | bytes | None = None) -> None:
    """Act as the peer's principal.

    Raises WSAEOPNOTSUPP, WSAEMSGSIZE for the bytes of an address that are too few, WSAEFAULT, WSAEAFNOSUPPORT,
    WSAENOTSOCK, WSANOTINITIALISED. Source: nf-ws2tcpip-wsaimpersonatesocketpeer.
    """
    record = _found(s)
    if peer_address is not None:
        _check_address(record, peer_address)
    _refuse("WSAImpersonateSocketPeer")


@function
def WSARevertImpersonation() -> None:
    """Act as oneself again. Raises WSASYSCALLFAILURE: nobody else was ever impersonated (IPsec).

    Source: nf-ws2tcpip-wsarevertimpersonation.
    """
    raise WinsockError(WSASYSCALLFAILURE, "this thread impersonates nobody (IPsec)")


def _found(s: int) -> Record:
    """The record of a socket of a kind that IPsec is for; raises WSAENOTSOCK, WSAEAFNOSUPPORT, WSAEINVAL."""
    record = find(s)
    info = record.entry.info
    if info.iAddressFamily not in (AF_INET, AF_INET6):
        raise WinsockError(WSAEAFNOSUPPORT, f"s: IPsec secures IPv4 and IPv6, not {info.szProtocol}")
    if info.iSocketType not in (SOCK_STREAM, SOCK_DGRAM):
        raise WinsockError(WSAEINVAL, f"s: IPsec secures streams and datagrams, not {info.szProtocol}")
    return record


def _check_structure(name: str, value: object, size: int, code: int = WSAEFAULT) -> None:
    """A structure begins with the security protocol; raises WSAEMSGSIZE, WSAEINVAL, and `code` for what is no bytes."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise WinsockError(code, f"{name}: {value!r} is no structure, as bytes")
    data = bytes(value)
    if len(data) < size:
        raise WinsockError(WSAEMSGSIZE, f"{name}: {len(data)} bytes of {size} at the least")
    (protocol,) = _PROTOCOL.unpack_from(data)
    if protocol not in _PROTOCOLS:
        raise WinsockError(WSAEINVAL, f"{name}: {protocol} is no security protocol")


def _check_address(record: Record, value: Address | bytes) -> None:
    """Raises WSAEMSGSIZE, WSAEFAULT, WSAEAFNOSUPPORT, WSAEINVAL."""
    if isinstance(value, bytes):
        if len(value) < _ADDRESS_SIZE:
            raise WinsockError(WSAEMSGSIZE, f"peer_address: {len(value)} bytes are no address")
        return
    address = address_for(record, value, "peer_address")
    if address.family != record.entry.info.iAddressFamily or not isinstance(address, (SockaddrIn, SockaddrIn6)):
        raise WinsockError(WSAEAFNOSUPPORT, f"peer_address: {value} is of another family than the socket")
    if address.host in _NOBODYS:
        raise WinsockError(WSAEINVAL, f"peer_address: {value} is no peer's")


def _refuse_connected(record: Record) -> None:
    if has_peer(record.table, record.handle):
        raise WinsockError(WSAEISCONN, "s: the socket is connected")


def _refuse(name: str) -> NoReturn:
    raise unsupported(f"{name} (IPsec)")
