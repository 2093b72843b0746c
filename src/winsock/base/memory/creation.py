"""Which class serves which protocol, and what may be asked of a new socket."""

from __future__ import annotations

from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.base.memory.datagrams import DatagramSocket
from winsock.base.memory.messages import MessageSocket
from winsock.base.memory.protocols import PROTOCOLS
from winsock.base.memory.reliable import ReliableSocket
from winsock.base.memory.rooted import RootedSocket
from winsock.base.memory.sockets import Socket
from winsock.base.memory.streams import StreamSocket
from winsock.core import kinds

KINDS: tuple[type[Socket], ...] = (
    StreamSocket,
    DatagramSocket,
    StreamSocket,
    DatagramSocket,
    MessageSocket,
    ReliableSocket,
    RootedSocket,
)
"""In the order of the protocols."""

_TYPES = frozenset(protocol.type for protocol in PROTOCOLS)
_NUMBERS = frozenset(protocol.number for protocol in PROTOCOLS)


def check_kind(info: WSAPROTOCOL_INFO, af: int, type: int, protocol: int, given: WSAPROTOCOL_INFO | None) -> None:
    """Raises what says that such a socket is none of that protocol (`kinds.check_kind`)."""
    kinds.check_kind(info, (af, type, protocol), given, _TYPES, _NUMBERS)
