"""What may be asked of a new socket. WSPSocket sees at a glance whether it is meant (`names_of`), and asks `core.kinds`
why where it is not.

Sources: nc-ws2spi-lpwspsocket; nf-winsock2-wsasocketw.
"""

from __future__ import annotations

import socket
from itertools import product

from winsock.abi.constants import FROM_PROTOCOL_INFO, SOCK_DGRAM, SOCK_STREAM
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.core import kinds
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
    """The number of the protocol that the three mean; raises what says that they mean another (`kinds.check_kind`)."""
    return kinds.check_kind(info, (af, type, protocol), given, (info.iSocketType, *_TYPES), _PROTOCOLS, hint(af))
