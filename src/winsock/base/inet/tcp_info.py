"""TCP_INFO_v0 from the kernel's tcp_info: the counters of a connection, in Windows' layout.

Sources: ns-mstcpip-tcp_info_v0; linux/tcp.h.
"""

from __future__ import annotations

import time
from struct import Struct
from typing import NamedTuple

from winsock.base.inet.own import OwnSocket

LAYOUT = Struct("<2IQ?3x7I2Q5IB3x")
"""TCP_INFO_v0: 88 bytes."""
HOST_OPTION = 11
"""TCP_INFO of Linux."""
HOST_SIZE = 248

_HEAD = Struct("=6B2x24I")
_MIDDLE = Struct("=2Q4I")  # from bytes_acked
_MIDDLE_AT = 120
_TAIL = Struct("=2Q5I4xH")  # from bytes_sent
_TAIL_AT = 200

# The kernel's numbers of TCP states, as TCPSTATE numbers them
_STATES = (0, 4, 2, 3, 5, 6, 10, 0, 7, 9, 1, 8)
_SYN_STATES = (2, 3)
_AFTER_FIN = (6, 8, 9, 11)  # TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING: the peer's FIN was counted as a byte
_TIMESTAMPS = 1
_MOST = 0xFFFFFFFF
"""Of a ULONG: what is more at one time is told as so much, and a counter begins anew."""


class _Info(NamedTuple):
    state: int
    retransmits: int
    options: int
    mss: int
    rcv_mss: int
    unacked: int
    rtt: int
    cwnd: int
    total_retrans: int
    bytes_received: int
    min_rtt: int
    bytes_sent: int
    bytes_retrans: int
    dsack_dups: int
    rcv_ooopack: int
    snd_wnd: int
    rcv_wnd: int
    total_rto: int


def translate(data: bytes, receive_buffer: int, record: OwnSocket | None) -> bytes:
    """TCP_INFO_v0 for what the kernel answered; what it does not count is 0."""
    info = _read(data.ljust(HOST_SIZE, b"\0"))
    connected_ms = 0
    if record is not None and record.connect_time >= 0:
        connected_ms = int((time.monotonic() - record.connect_time) * 1000)
    return LAYOUT.pack(
        _STATES[info.state] if info.state < len(_STATES) else 0,
        info.mss,
        connected_ms,
        bool(info.options & _TIMESTAMPS),
        info.rtt,
        info.min_rtt,
        min(info.unacked * info.mss, _MOST),
        min(info.cwnd * info.mss, _MOST),
        info.snd_wnd,
        info.rcv_wnd,
        receive_buffer,
        info.bytes_sent,
        info.bytes_received - (info.state in _AFTER_FIN and info.bytes_received > 0),
        info.rcv_ooopack * info.rcv_mss & _MOST,
        info.bytes_retrans & _MOST,
        max(0, info.total_retrans - info.total_rto),
        info.dsack_dups,
        info.total_rto,
        min(info.retransmits, 255) if info.state in _SYN_STATES else 0,
    )


def congestion_window(data: bytes) -> int:
    """How many bytes may be on their way, for what the kernel answered."""
    info = _read(data.ljust(HOST_SIZE, b"\0"))
    return min(info.cwnd * info.mss, _MOST)


def _read(data: bytes) -> _Info:
    state, _, retransmits, _, _, options, *words = _HEAD.unpack_from(data)
    _, received, _, _, _, min_rtt = _MIDDLE.unpack_from(data, _MIDDLE_AT)
    sent, resent, dsack_dups, _, ooopack, snd_wnd, rcv_wnd, total_rto = _TAIL.unpack_from(data, _TAIL_AT)
    return _Info(
        state=state,
        retransmits=retransmits,
        options=options,
        mss=words[2],
        rcv_mss=words[3],
        unacked=words[4],
        rtt=words[15],
        cwnd=words[18],
        total_retrans=words[23],
        bytes_received=received,
        min_rtt=min_rtt,
        bytes_sent=sent,
        bytes_retrans=resent,
        dsack_dups=dsack_dups,
        rcv_ooopack=ooopack,
        snd_wnd=snd_wnd,
        rcv_wnd=rcv_wnd,
        total_rto=total_rto,
    )
