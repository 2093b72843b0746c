"""NETLINK_SOCK_DIAG: its requests and messages, and the sockets on which the kernel answers and gives notice.

A message is an `inet_diag_msg` and its attributes (linux/inet_diag.h), the same in an answer, in a dump and in the
notice of a destroyed socket. Of `tcp_info` (linux/tcp.h) only the fields that somebody reads are taken. What the
values mean is not known here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6

NETLINK_SOCK_DIAG = 4
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
DESTROY_GROUPS = {"tcp4": 1, "udp4": 2, "tcp6": 3, "udp6": 4}

SOCK_DIAG_BY_FAMILY = 20
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_DUMP = 0x300

ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE = range(1, 8)
CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING, NEW_SYN_RECV, BOUND_INACTIVE = range(8, 14)
EVERY_STATE = 0xFFFFFFFF
WHOLE_SOCKETS = EVERY_STATE & ~(1 << TIME_WAIT | 1 << SYN_RECV | 1 << NEW_SYN_RECV)
"""Without the states whose remains or beginnings are no sockets, and have cookies of their own."""

ATTRIBUTE_INFO = 2

HEADER = Struct("=IHHII")
COOKIE_OFFSET = HEADER.size + 44
ID_SIZE = 48
ANY_COOKIE = b"\xff" * 8

BUFFER_SIZE = 32 << 20
BATCH = 64
_SLOT = 512
"""More than a notice has in any kernel so far; what would be cut is not read."""
_SO_RCVBUFFORCE = 33
_KINDS = [(f, p) for p in (socket.IPPROTO_TCP, socket.IPPROTO_UDP) for f in (socket.AF_INET, socket.AF_INET6)]

_REQUEST = Struct("=4BI")
_MESSAGE = Struct("=2B2x48s4x4I")
_ATTRIBUTE = Struct("=HH")
_ERROR = Struct("=i")
_MOST_ERRNO = 4095
_INFO = Struct("=56xI8xI28xI16xQQ16xII32xI4xQQ")
_new = tuple.__new__
"""A named tuple of what was unpacked, at half the price of `_make`."""


class Info(NamedTuple):
    """The counters of tcp_info that are read here."""

    last_ack_age_ms: int
    rtt_us: int
    retransmits: int
    bytes_acked: int
    bytes_received: int
    data_segments_in: int
    data_segments_out: int
    delivered: int
    bytes_sent: int
    bytes_retransmitted: int


class Message(NamedTuple):
    """One socket as the kernel describes it; `id` is its inet_diag_sockid, by which it can be asked for."""

    family: int
    state: int
    id: bytes
    unread: int
    unacknowledged: int
    uid: int
    inode: int
    info: Info | None

    @property
    def cookie(self) -> int:
        """The socket's SO_COOKIE."""
        return int.from_bytes(self.id[40:48], sys.byteorder)

    @property
    def has_peer(self) -> bool:
        """Whether there is an address at the other end."""
        return self.id[2:4] != b"\0\0"

    @property
    def local(self) -> SockaddrIn | SockaddrIn6 | None:
        """Its own address; None if it was never bound."""
        return self._address(self.id[4:20], self.id[0:2])

    @property
    def peer(self) -> SockaddrIn | SockaddrIn6 | None:
        """The address at the other end; None if there is none."""
        return self._address(self.id[20:36], self.id[2:4])

    def _address(self, host: bytes, port: bytes) -> SockaddrIn | SockaddrIn6 | None:
        number = int.from_bytes(port, "big")
        if not number:
            return None
        if self.family == socket.AF_INET:
            return SockaddrIn(_text(socket.AF_INET, host[:4]), number)
        text = _text(socket.AF_INET6, host)
        interface = int.from_bytes(self.id[36:40], sys.byteorder)
        return SockaddrIn6(text, number, 0, interface if text.startswith("fe80:") else 0)


_text = lru_cache(maxsize=1024)(socket.inet_ntop)


def request(family: int, protocol: int, *, states: int = EVERY_STATE, id: bytes | None = None) -> bytes:
    """Ask for the socket with this id, or without an id for all sockets of the family and protocol; with tcp_info."""
    flags = NLM_F_REQUEST if id else NLM_F_REQUEST | NLM_F_DUMP
    who = id[: ID_SIZE - 8] + ANY_COOKIE if id else bytes(ID_SIZE)
    body = _REQUEST.pack(family, protocol, 1 << (ATTRIBUTE_INFO - 1), 0, states) + who
    return HEADER.pack(HEADER.size + len(body), SOCK_DIAG_BY_FAMILY, flags, 0, 0) + body


def _id(family: int, local: SockaddrIn | SockaddrIn6, peer: SockaddrIn | SockaddrIn6) -> bytes:
    """The inet_diag_sockid of a socket with these addresses, on any interface."""
    hosts = (socket.inet_pton(family, name.host).ljust(16, b"\0") for name in (local, peer))
    ports = (name.port.to_bytes(2, "big") for name in (local, peer))
    return b"".join((*ports, *hosts, bytes(4), ANY_COOKIE))


def split(data: bytes | bytearray, size: int) -> Iterator[tuple[int, int, int]]:
    """The netlink messages in the first `size` bytes: type, and where the body starts and ends."""
    offset = 0
    while offset + HEADER.size <= size:
        length, kind, _, _, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, offset + HEADER.size, min(offset + length, size)
        offset += length + 3 & ~3


def unpack(data: bytes | bytearray, start: int, end: int) -> Message:
    """The body of a SOCK_DIAG_BY_FAMILY message; `OSError` EBADMSG where it is too short.

    An attribute that is cut off counts as absent.
    """
    if end - start < _MESSAGE.size:
        raise OSError(errno.EBADMSG, os.strerror(errno.EBADMSG))
    return _new(Message, (*_MESSAGE.unpack_from(data, start), _info(data, start + _MESSAGE.size, end)))


def error_of(data: bytes | bytearray, start: int) -> OSError:
    """The body of an NLMSG_ERROR or NLMSG_DONE message, as the error it tells; its errno is 0 where all went well."""
    number = -_ERROR.unpack_from(data, start)[0] if len(data) >= start + _ERROR.size else errno.EBADMSG
    if not 0 <= number <= _MOST_ERRNO:
        number = errno.EBADMSG
    return OSError(number, os.strerror(number))


def _info(data: bytes | bytearray, start: int, end: int) -> Info | None:
    while start + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if kind == ATTRIBUTE_INFO:
            value = start + _ATTRIBUTE.size
            return _new(Info, _INFO.unpack_from(data, value)) if value + _INFO.size <= end else None
        if length < _ATTRIBUTE.size:
            return None
        start += length + 3 & ~3
    return None


class Questions:
    """Answers at once, from the kernel, about sockets that are still there."""

    def __init__(self) -> None:
        self._socket = _open()
        self._socket.bind((0, 0))
        self._buffer = bytearray(1 << 16)

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def state(self, message: Message) -> int | None:
        """The state of what the kernel has now under the addresses of this TCP socket; None if nothing."""
        self._socket.send(request(message.family, socket.IPPROTO_TCP, id=message.id))
        self._socket.recv_into(self._buffer)
        kind = HEADER.unpack_from(self._buffer)[1]
        return self._buffer[HEADER.size + 1] if kind == SOCK_DIAG_BY_FAMILY else None

    def cookie(self, local: SockaddrIn | SockaddrIn6, peer: SockaddrIn | SockaddrIn6) -> int | None:
        """The cookie of the TCP socket that has these addresses now; None if there is none."""
        family = socket.AF_INET if isinstance(local, SockaddrIn) else socket.AF_INET6
        self._socket.send(request(family, socket.IPPROTO_TCP, id=_id(family, local, peer)))
        self._socket.recv_into(self._buffer)
        if HEADER.unpack_from(self._buffer)[1] != SOCK_DIAG_BY_FAMILY:
            return None
        return int.from_bytes(self._buffer[COOKIE_OFFSET : COOKIE_OFFSET + 8], sys.byteorder)

    def every(self) -> Iterator[Message]:
        """Every TCP and UDP socket that is in use: bound, connected, listening, or closed and still sending."""
        for family, protocol in _KINDS:
            self._socket.send(request(family, protocol, states=WHOLE_SOCKETS))
            yield from self._dumped()

    def _dumped(self) -> Iterator[Message]:
        while True:
            size = self._socket.recv_into(self._buffer)
            for kind, start, end in split(self._buffer, size):
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    error = error_of(self._buffer, start)
                    if error.errno:
                        raise error
                    return
                if kind == SOCK_DIAG_BY_FAMILY:
                    yield unpack(self._buffer, start, end)


def subscribe(groups: Iterable[str] = tuple(DESTROY_GROUPS), buffer_size: int = BUFFER_SIZE) -> socket.socket:
    """A socket for the notices of these groups, with as much room as we may have; `OSError` where there are none."""
    found = _open()
    try:
        try:
            found.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_size)
        except PermissionError:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        found.bind((0, 0))
        for group in groups:
            number = DESTROY_GROUPS[group]
            found.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number)
    except BaseException:
        found.close()
        raise
    return found


def _open() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MessageHeader(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vector", ctypes.c_void_p),
        ("vector_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Received(ctypes.Structure):
    """struct mmsghdr: a msghdr, and the length of what was received."""

    _fields_ = (("header", _MessageHeader), ("length", ctypes.c_uint))


class Notices:
    """Reads notices by the batch into one piece of memory, a slot for each, and looks only at their cookies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory = bytearray(_SLOT * BATCH)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._vectors = (_IoVector * BATCH)(*(_IoVector(base + _SLOT * slot, _SLOT) for slot in range(BATCH)))
        self._received = (_Received * BATCH)()
        for received, vector in zip(self._received, self._vectors, strict=True):
            received.header.vector = ctypes.addressof(vector)
            received.header.vector_length = 1
        self._recvmmsg = ctypes.CDLL(None, use_errno=True).recvmmsg
        before, after = COOKIE_OFFSET, _SLOT - COOKIE_OFFSET - 8
        self._cookies = Struct("=" + f"{before}xQ{after}x" * BATCH).unpack_from

    def receive(self) -> tuple[int, ...]:
        """The cookies of the next notices, by slot; none if there are no more. `OSError` ENOBUFS: some were lost."""
        count = self._recvmmsg(self._descriptor, self._received, BATCH, socket.MSG_DONTWAIT, None)
        if count == BATCH:
            return self._cookies(self._memory)
        if count >= 0:
            return self._cookies(self._memory)[:count]
        number = ctypes.get_errno()
        if number in (errno.EAGAIN, errno.EINTR):
            return ()
        raise OSError(number, os.strerror(number))

    def read(self, slot: int) -> Message | None:
        """The notice in a slot; None if it is something else."""
        offset = _SLOT * slot
        length, kind, _, _, _ = HEADER.unpack_from(self._memory, offset)
        if kind != SOCK_DIAG_BY_FAMILY:
            return None
        return unpack(self._memory, offset + HEADER.size, offset + min(length, _SLOT))
