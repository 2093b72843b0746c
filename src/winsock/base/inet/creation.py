"""What may be asked of a new socket: its family, type and protocol. Its flags: `core.kinds`.

A provider is asked for each of the three by number, by 0 (any; for the protocol only where the entry says that zero
matches) or by FROM_PROTOCOL_INFO. WSPSocket sees at a glance whether it is meant (`names_of`); the checks here say why
it is not, in the order family, type, protocol, and the combination last.

Sources: nc-ws2spi-lpwspsocket; nf-winsock2-wsasocketw.
"""

from __future__ import annotations

import socket
from itertools import product

from winsock.abi.constants import FROM_PROTOCOL_INFO, SOCK_DGRAM, SOCK_STREAM
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.core.kinds import matches_zero
from winsock.host.families import hint

_ANY = (0, FROM_PROTOCOL_INFO)
_TYPES = (SOCK_STREAM, SOCK_DGRAM)
_PROTOCOLS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)


def names_of(info: WSAPROTOCOL_INFO) -> frozenset[tuple[int, int, int]]:
    """All the ways to ask for the entry's own protocol by (family, type, protocol)."""
    protocols = (info.iProtocol, FROM_PROTOCOL_INFO, *((0,) if matches_zero(info) else ()))
    return frozenset(product((info.iAddressFamily, *_ANY), (info.iSocketType, *_ANY), protocols))


def check_kind(info: WSAPROTOCOL_INFO, af: int, type: int, protocol: int, given: WSAPROTOCOL_INFO | None) -> int:
    """Whether the three mean the protocol `info`, where wildcards stand for what `given` says; the protocol's number.

    Raises WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTONOSUPPORT or WSAEPROTOTYPE.
    """
    given = info if given is None else given
    af = given.iAddressFamily if af in _ANY else af
    type = given.iSocketType if type in _ANY else type
    if af != info.iAddressFamily:
        raise WinsockError(WSAEAFNOSUPPORT, f"af: {af} is not the family of {info.szProtocol}{hint(af)}")
    if type not in (info.iSocketType, *_TYPES):
        raise WinsockError(WSAESOCKTNOSUPPORT, f"type: {type} is no type of socket that TCP and UDP have")
    if protocol == 0 and not matches_zero(info):
        raise WinsockError(WSAEPROTONOSUPPORT, f"protocol: {info.szProtocol} must be asked for by its number")
    protocol = given.iProtocol if protocol in _ANY else protocol
    if not info.iProtocol <= protocol <= info.iProtocol + info.iProtocolMaxOffset:
        code = WSAEPROTOTYPE if protocol in _PROTOCOLS else WSAEPROTONOSUPPORT
        raise WinsockError(code, f"protocol: {protocol} is not {info.szProtocol}")
    if type != info.iSocketType:
        raise WinsockError(WSAEPROTOTYPE, f"type: {type} is not the type of {info.szProtocol}")
    return protocol
