"""Datagrams that found nobody: what the network says of them, for a later receive to tell.

The kernel tells a connected socket by itself that a port was closed, and a socket without a peer only where IP_RECVERR
is on, with every ICMP message in a queue that must be emptied. Windows tells both, of two kinds of message: that nobody
was at the port (WSAECONNRESET) and that the time to live ran out (WSAENETRESET). The others are heard, and say nothing.

Sources: nf-winsock2-recvfrom; SIO_UDP_CONNRESET and SIO_UDP_NETRESET of "Winsock IOCTLs".
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from winsock.abi.constants import AF_INET6, SOCK_DGRAM
from winsock.abi.errors import WSAECONNRESET, WSAENETRESET
from winsock.base.inet import raw
from winsock.base.inet.own import OwnSocket

_INT = struct.Struct("=i")
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_MSG_ERRQUEUE = 0x2000
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
ICMP, ICMPV6 = 2, 3  # SO_EE_ORIGIN_*
_CONTROL_SIZE = 512


class _Message(NamedTuple):
    """A message of the network."""

    origin: int
    type: int
    code: int | None = None


_NOBODY = (_Message(ICMP, 3, 3), _Message(ICMPV6, 1, 4))
_TIME_EXCEEDED = (_Message(ICMP, 11), _Message(ICMPV6, 3))


def hear(record: OwnSocket) -> None:
    """Let the kernel say what becomes of the datagrams of a socket without a peer, or no more, as it is to be told."""
    if record.info.iSocketType != SOCK_DGRAM or sys.platform != "linux":
        return
    hears = record.reports_resets or record.reports_net_resets
    let_hear(record, on=hears or record.wants_errors)
    record.hears_errors = hears


def let_hear(record: OwnSocket, *, on: bool) -> None:
    """Let the kernel queue ICMP messages for a socket, or not."""
    raw.setsockopt(record.handle, socket.IPPROTO_IP, _IP_RECVERR, _INT.pack(on))
    if record.info.iAddressFamily == AF_INET6:
        raw.setsockopt(record.handle, socket.IPPROTO_IPV6, _IPV6_RECVERR, _INT.pack(on))


def has_news(record: OwnSocket) -> bool:
    """Whether the next receive tells of a datagram that was lost; takes what the kernel calls an error."""
    if record.hears_errors:
        collect(record)
    elif record.reports_resets and record.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED:
        record.lose(WSAECONNRESET)
    return record.lost != 0


def collect(record: OwnSocket) -> bool:
    """Take what the kernel has heard, for the next receive where it is to be told; whether there was anything."""
    found = False
    for origin, kind, code, _ in messages(record):
        found = True
        _note(record, origin, kind, code)
    return found


def messages(record: OwnSocket) -> Iterator[tuple[int, int, int, bytes]]:
    """Take what the kernel has queued: where each message is from, its type, its code, and who sent it."""
    while True:
        try:
            _, control, _, _ = record.host_object().recvmsg(0, _CONTROL_SIZE, _MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            return
        for _, _, data in control:
            if len(data) >= _EXTENDED_ERROR.size:
                yield *_EXTENDED_ERROR.unpack_from(data)[1:4], data[_EXTENDED_ERROR.size :]


def _note(record: OwnSocket, origin: int, kind: int, code: int) -> None:
    if _Message(origin, kind, code) in _NOBODY and record.reports_resets:
        record.lose(WSAECONNRESET)
    elif _Message(origin, kind) in _TIME_EXCEEDED and record.reports_net_resets:
        record.lose(WSAENETRESET)
