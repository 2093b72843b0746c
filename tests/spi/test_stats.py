"""Statistics of a closing socket: from TCP_INFO_v0 where there is one, None where there is not."""

from __future__ import annotations

import os
import struct

from winsock.abi import errors as e
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.spi.provider import ProcTable, Provider, ReadBuffer
from winsock.spi.stats import collect

HERE, THERE = SockaddrIn("127.0.0.1", 1), SockaddrIn("127.0.0.1", 2)


class Told(Provider):
    def __init__(self, tcp_info: bytes | None) -> None:
        self.tcp_info = tcp_info

    def WSPGetSockName(self, s: int) -> Sockaddr:
        return HERE

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        raise e.WinsockError(e.WSAENOTCONN)

    def WSPIoctl(
        self, s: int, code: int, in_buffer: ReadBuffer | None = None, out_size: int = 0, *rest: object
    ) -> bytes | None:
        if self.tcp_info is None:
            raise e.WinsockError(e.WSAEOPNOTSUPP)
        assert in_buffer == bytes(4)
        return self.tcp_info[:out_size]


def tcp_info() -> bytes:
    """TCP_INFO_v0 by the offsets of mstcpip.h."""
    raw = bytearray(88)
    struct.pack_into("<I", raw, 20, 350)  # RttUs
    struct.pack_into("<QQ", raw, 48, 1100, 77)  # BytesOut, BytesIn
    struct.pack_into("<IIII", raw, 68, 100, 2, 9, 1)  # BytesRetrans, FastRetrans, DupAcksIn, TimeoutEpisodes
    return bytes(raw)


def test_counters_are_read_where_they_stand() -> None:
    stats = collect(ProcTable.of(Told(tcp_info())), 7, "tcp", 1.5)
    assert (stats.socket, stats.process, stats.protocol, stats.duration_s) == (7, os.getpid(), "tcp", 1.5)
    assert (stats.local, stats.peer) == (HERE, None)
    assert (stats.sent, stats.received, stats.rtt_us, stats.retransmits) == (1000, 77, 350, 3)


def test_a_provider_without_counters_leaves_them_unknown() -> None:
    for answer in (None, b"", bytes(20)):
        stats = collect(ProcTable.of(Told(answer)), 7, "tcp", None)
        assert (stats.sent, stats.received, stats.rtt_us, stats.retransmits) == (None,) * 4


def test_datagrams_have_none() -> None:
    assert collect(ProcTable.of(Told(tcp_info())), 7, "udp", None).sent is None
