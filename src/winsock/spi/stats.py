"""What is known of a socket when it closes: the addresses and, for TCP, the kernel's own counters."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from winsock.abi.constants import SIO_TCP_INFO
from winsock.abi.errors import WinsockError
from winsock.spi import calling

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.spi.provider import ProcTable

T = TypeVar("T")

_VERSION_0 = struct.pack("<I", 0)
_TCP_INFO = struct.Struct("<IIQB3x7IQQ5IB3x")  # TCP_INFO_v0 (mstcpip.h)


class Stats(NamedTuple):
    """A socket's life in numbers; None where it is not known, which is never a guess."""

    socket: int
    """The socket's id: see `winsock.current_call`."""
    process: int
    """Process id of the process that the socket was last seen in."""
    local: Sockaddr | None
    peer: Sockaddr | None
    protocol: str
    """"tcp" or "udp"."""
    sent: int | None = None
    """Bytes that the program sent, without what was sent again."""
    received: int | None = None
    rtt_us: int | None = None
    """The smoothed round-trip time, in microseconds."""
    retransmits: int | None = None
    """Segments that were sent again."""
    duration_s: float | None = None
    """From the opening of the socket to its close, in seconds."""
    connected: bool | None = None
    """Whether a connection was ever established, where the kernel's counters prove it either way."""
    process_name: str = ""
    """The name of that process, under `winsock run`."""
    handle: int | None = None
    """The socket's handle in this chain."""
    final: bool = True
    """False where the kernel still sends what the program left behind: the numbers may grow."""


def collect(table: ProcTable, s: int, protocol: str, duration_s: float | None) -> Stats:
    """Ask the provider below for what it knows of a socket that is about to close; under `winsock run`, whose it is."""
    raw = known(lambda: table.WSPIoctl(s, SIO_TCP_INFO, _VERSION_0, _TCP_INFO.size)) if protocol == "tcp" else None
    sent = received = rtt = resent = None
    if raw and len(raw) >= _TCP_INFO.size:
        fields = _TCP_INFO.unpack_from(raw)
        rtt, received = fields[4], fields[12]
        sent = fields[11] - fields[14]  # BytesOut counts what BytesRetrans counts again
        resent = fields[15] + fields[17]  # FastRetrans and TimeoutEpisodes
    caller = None if calling.local.describe is None else calling.local.describe()
    return Stats(
        socket=s if caller is None or caller.socket_id is None else caller.socket_id,
        process=os.getpid() if caller is None else caller.process,
        local=known(lambda: table.WSPGetSockName(s)),
        peer=known(lambda: table.WSPGetPeerName(s)),
        protocol=protocol,
        sent=sent,
        received=received,
        rtt_us=rtt,
        retransmits=resent,
        duration_s=duration_s,
        process_name="" if caller is None else caller.process_name,
        handle=s,
    )


def has_peer(table: ProcTable, s: int) -> bool:
    """Whether the provider knows whom the socket is connected to."""
    try:
        table.WSPGetPeerName(s)
    except WinsockError:
        return False
    return True


def known(ask: Callable[[], T]) -> T | None:
    """The answer, or None where the provider refuses one."""
    try:
        return ask()
    except WinsockError:
        return None
