"""Numbers that the kernel doubles or has smaller bounds for: Windows takes them, and tells what was set.

The kernel gets the nearest that it takes. Where it has another since then, which came by another way, that is told.
"""

from __future__ import annotations

import socket
import struct

from winsock.abi.constants import (
    IPPROTO_TCP,
    SO_RCVBUF,
    SO_SNDBUF,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
)
from winsock.abi.errors import WSAEINVAL, WSAENOPROTOOPT, WinsockError
from winsock.base.inet import raw
from winsock.base.inet.ground import Ground
from winsock.base.inet.option_values import CODECS, Emulated
from winsock.base.inet.own import OwnSocket
from winsock.core.option_numbers import number
from winsock.spi.provider import OptionValue

_INT = struct.Struct("=i")
_KEEP_IDLE: int = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", 0))
LONGEST_KEEP_S = 0x7FFF
"""The kernel's longest time of keep-alive."""
_MOST_PROBES = 127


def _room(name: str, optname: int) -> Emulated:
    """A buffer's size. Half of what the kernel has is for what it needs beside the data."""

    def get(provider: Ground, s: int, record: OwnSocket | None) -> int:
        (there,) = _INT.unpack(raw.getsockopt(s, socket.SOL_SOCKET, optname, _INT.size))
        kept = getattr(record, name, -1)
        return kept if kept >= 0 and there >= 2 * kept else there // 2

    def set_size(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
        raw.setsockopt(s, socket.SOL_SOCKET, optname, CODECS["int"].encode(value))
        setattr(record, name, number(value))

    return Emulated(get, set_size)


def _keep_alive(name: str, optname: int, most: int, most_of_windows: int = 0xFFFFFFFF) -> Emulated:
    """How keep-alive goes about it."""

    def get(provider: Ground, s: int, record: OwnSocket | None) -> int:
        _require_tcp(provider)
        (there,) = _INT.unpack(raw.getsockopt(s, socket.IPPROTO_TCP, optname, _INT.size))
        kept = getattr(record, name, -1)
        return kept if there == min(kept, most) else int(there)

    def set_number(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
        _require_tcp(provider)
        given = number(value) & 0xFFFFFFFF
        if given > most_of_windows:
            raise WinsockError(WSAEINVAL, f"optval: {given} is more than {most_of_windows}")
        raw.setsockopt(s, socket.IPPROTO_TCP, optname, _INT.pack(min(given, most)))
        setattr(record, name, given)

    return Emulated(get, set_number)


def _require_tcp(provider: Ground) -> None:
    if provider.datagrams:
        raise WinsockError(WSAENOPROTOOPT, "optname: TCP_KEEPIDLE, TCP_KEEPCNT and TCP_KEEPINTVL are for TCP only")


KEPT: dict[tuple[int, int], Emulated] = {
    (SOL_SOCKET, SO_SNDBUF): _room("send_room", socket.SO_SNDBUF),
    (SOL_SOCKET, SO_RCVBUF): _room("receive_room", socket.SO_RCVBUF),
    (IPPROTO_TCP, TCP_KEEPIDLE): _keep_alive("keep_idle_s", _KEEP_IDLE, LONGEST_KEEP_S),
    (IPPROTO_TCP, TCP_KEEPINTVL): _keep_alive("keep_interval_s", socket.TCP_KEEPINTVL, LONGEST_KEEP_S),
    (IPPROTO_TCP, TCP_KEEPCNT): _keep_alive("keep_probes", socket.TCP_KEEPCNT, _MOST_PROBES, most_of_windows=255),
}
