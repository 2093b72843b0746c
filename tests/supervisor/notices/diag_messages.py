"""Messages of NETLINK_SOCK_DIAG made by hand, field by field."""

from __future__ import annotations

import socket
import struct

from winsock.supervisor.notices import sockdiag

HERE = bytes([127, 0, 0, 1])
SO_COOKIE = 57


def cookie_of(held: socket.socket) -> int:
    cookie: int = struct.unpack("=Q", held.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]
    return cookie


def tcp_info(*, last_ack: int = 0, rtt: int = 0, retransmits: int = 0, delivered: int = 0, **counters: int) -> bytes:
    """The first 232 bytes of tcp_info, each field at its offset in linux/tcp.h."""
    info = bytearray(232)
    struct.pack_into("=I", info, 56, last_ack)
    struct.pack_into("=I", info, 68, rtt)
    struct.pack_into("=I", info, 100, retransmits)
    struct.pack_into("=QQ", info, 120, counters.get("acked", 0), counters.get("received", 0))
    struct.pack_into("=II", info, 152, counters.get("segments_in", 0), counters.get("segments_out", 0))
    struct.pack_into("=I", info, 192, delivered)
    struct.pack_into("=QQ", info, 200, counters.get("sent", 0), counters.get("retransmitted", 0))
    return bytes(info)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def socket_id(source: bytes, sport: int, destination: bytes, dport: int, cookie: int, interface: int = 0) -> bytes:
    ends = struct.pack(">HH", sport, dport) + source.ljust(16, b"\0") + destination.ljust(16, b"\0")
    return ends + struct.pack("=IQ", interface, cookie)


def message(family: int, id: bytes, *attributes: bytes, unread: int = 0, unacknowledged: int = 0) -> bytes:
    body = struct.pack("=4B", family, sockdiag.CLOSE, 0, 0) + id
    body += struct.pack("=5I", 0, unread, unacknowledged, 1000, 77) + b"".join(attributes)
    return sockdiag.HEADER.pack(16 + len(body), sockdiag.SOCK_DIAG_BY_FAMILY, 0, 0, 0) + body
