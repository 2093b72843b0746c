"""What may be asked of a new socket: its family, type and protocol, and its multipoint flags.

A provider is asked for each of the three by number, by 0 (any; for the protocol only where the entry says that zero
matches) or by FROM_PROTOCOL_INFO. The check says why a socket is none for a protocol, in the order family, type,
protocol, and the combination last.

Sources: nc-ws2spi-lpwspsocket; nf-winsock2-wsasocketw; multipoint-attributes-in-the-wsaprotocol-info-structure.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FROM_PROTOCOL_INFO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    PFL_MATCHES_PROTOCOL_ZERO,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_MULTIPOINT_D_LEAF,
    WSA_FLAG_MULTIPOINT_D_ROOT,
    WSA_FLAG_NO_HANDLE_INHERIT,
    WSA_FLAG_OVERLAPPED,
    XP1_MULTIPOINT_CONTROL_PLANE,
    XP1_MULTIPOINT_DATA_PLANE,
    XP1_SUPPORT_MULTIPOINT,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEINVAL,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO

FAMILY_NAMES = {AF_INET: "ipv4", AF_INET6: "ipv6"}
PROTOCOL_NAMES = {IPPROTO_TCP: "tcp", IPPROTO_UDP: "udp"}
"""What the usual kinds are called: "tcp/ipv4"."""

_ANY = (0, FROM_PROTOCOL_INFO)


class _Plane(NamedTuple):
    """One of the two sides of a multipoint session: who is in it, and what is sent."""

    name: str
    root: int
    leaf: int
    rooted: int
    """The XP1 flag of a protocol whose plane has a root."""


_PLANES = (
    _Plane("control", WSA_FLAG_MULTIPOINT_C_ROOT, WSA_FLAG_MULTIPOINT_C_LEAF, XP1_MULTIPOINT_CONTROL_PLANE),
    _Plane("data", WSA_FLAG_MULTIPOINT_D_ROOT, WSA_FLAG_MULTIPOINT_D_LEAF, XP1_MULTIPOINT_DATA_PLANE),
)
MULTIPOINT_FLAGS = sum(plane.root | plane.leaf for plane in _PLANES)
SIMPLE_FLAGS = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT
"""The flags that every protocol takes."""


def check_kind(
    info: WSAPROTOCOL_INFO,
    asked: tuple[int, int, int],
    given: WSAPROTOCOL_INFO | None,
    types: Collection[int],
    protocols: Collection[int],
    hint: str = "",
) -> int:
    """The number of the protocol, where (family, type, protocol) mean `info`; wildcards stand for what `given` says.

    `types` and `protocols` are all that the provider's family of protocols has, to tell what there is not from what
    is another's; `hint` is added where the family is refused. Raises WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT,
    WSAEPROTONOSUPPORT, WSAEPROTOTYPE, and WSAEINVAL for the description of another process's socket.
    """
    given = info if given is None else given
    if given.dwProviderReserved:
        raise WinsockError(WSAEINVAL, "protocol_info: sockets of other processes cannot be opened here")
    af, type, protocol = asked
    af = given.iAddressFamily if af in _ANY else af
    type = given.iSocketType if type in _ANY else type
    if af != info.iAddressFamily:
        raise WinsockError(WSAEAFNOSUPPORT, f"af: {af} is not the family of {info.szProtocol}{hint}")
    if type not in types:
        raise WinsockError(WSAESOCKTNOSUPPORT, f"type: {type} is no type of socket that this provider has")
    if protocol == 0 and not matches_zero(info):
        raise WinsockError(WSAEPROTONOSUPPORT, f"protocol: {info.szProtocol} must be asked for by its number")
    protocol = given.iProtocol if protocol in _ANY else protocol
    if not info.iProtocol <= protocol <= info.iProtocol + info.iProtocolMaxOffset:
        code = WSAEPROTOTYPE if protocol in protocols else WSAEPROTONOSUPPORT
        raise WinsockError(code, f"protocol: {protocol} is not {info.szProtocol}")
    if type != info.iSocketType:
        raise WinsockError(WSAEPROTOTYPE, f"type: {type} is not the type of {info.szProtocol}")
    return protocol


def check_flags(info: WSAPROTOCOL_INFO, flags: int) -> None:
    """Raises WSAEINVAL for flags that the protocol does not offer, or that do not go together.

    A multipoint socket is root or leaf in each plane, and a root only where the protocol's plane is rooted.
    """
    if flags & ~(SIMPLE_FLAGS | MULTIPOINT_FLAGS):
        raise WinsockError(WSAEINVAL, f"flags: {flags:#x} holds what {info.szProtocol} does not offer")
    if not flags & MULTIPOINT_FLAGS:
        return
    if not info.dwServiceFlags1 & XP1_SUPPORT_MULTIPOINT:
        raise WinsockError(WSAEINVAL, f"flags: {info.szProtocol} has no multipoint sessions")
    for plane in _PLANES:
        if bool(flags & plane.root) == bool(flags & plane.leaf):
            raise WinsockError(WSAEINVAL, f"flags: {flags:#x} is not exactly one of {plane.name} root and leaf")
        if flags & plane.root and not info.dwServiceFlags1 & plane.rooted:
            raise WinsockError(WSAEINVAL, f"flags: the {plane.name} plane of {info.szProtocol} has no root")


def matches_zero(info: WSAPROTOCOL_INFO) -> bool:
    """Whether protocol 0 means the entry's own."""
    return bool(info.dwProviderFlags & PFL_MATCHES_PROTOCOL_ZERO) or info.iProtocol == 0
