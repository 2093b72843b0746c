"""Urgent data: in line, a receive ends before the urgent byte and after it.

The kernel ends one before it, and reads on after it. Whoever asked for urgent data in line therefore receives by way
of here; a socket that never did pays nothing. Where it is not in line, the kernel passes it by, and counts nothing
that is behind it.

Source: "Protocol-independent out-of-band data in the SPI".
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from winsock.abi.errors import WinsockError
from winsock.base.inet import raw
from winsock.base.inet.own import OwnSocket
from winsock.host.queues import AT_MARK, UNREAD, ask, ask_or_0
from winsock.spi.provider import WriteBuffer
from winsock.spi.urgent import first_byte

_ENOUGH = 65536
_TCP_INFO = getattr(socket, "TCP_INFO", 11)
_RECEIVED_AT = 128
"""Where tcpi_bytes_received is."""


def keep_in_line(record: OwnSocket, in_line: bool) -> None:
    """SO_OOBINLINE was set, or inherited."""
    record.oob_inline = in_line
    if in_line:
        mind_mark(record)


def mind_mark(record: OwnSocket) -> None:
    """Whenever urgent data is in line, receive by way of here; that of a shared socket others may put in line."""
    if not record.minds_mark:
        record.minds_mark = True
        record.recv_into = _receiving(record, record.recv_into)  # type: ignore[method-assign]
        record.recvmsg_into = _receiving_many(record, record.recvmsg_into)  # type: ignore[method-assign]


def _receiving(record: OwnSocket, receive: Callable[..., Any]) -> Callable[..., Any]:
    def recv_into(buffer: WriteBuffer, size: int = 0, flags: int = 0) -> Any:
        if (
            not record.oob_inline
            or not receive(bytearray(1), 0, flags | socket.MSG_PEEK)
            or not ask_or_0(record.handle, AT_MARK)
        ):
            return receive(buffer, size, flags)
        return receive(first_byte((buffer,)), 0, flags)

    return recv_into


def _receiving_many(record: OwnSocket, receive: Callable[..., Any]) -> Callable[..., Any]:
    def recvmsg_into(buffers: Sequence[WriteBuffer], room: int, flags: int) -> Any:
        if record.oob_inline and not flags & socket.MSG_OOB:
            waiting, *_ = receive([bytearray(1)], room, flags | socket.MSG_PEEK)
            if waiting and ask_or_0(record.handle, AT_MARK):
                buffers = [first_byte(buffers)]
        return receive(buffers, room, flags)

    return recvmsg_into


class Mark(NamedTuple):
    """Where the urgent byte of a stream is that nobody received from meanwhile, as far as the kernel tells."""

    ahead: int
    """Bytes before it."""
    is_last: bool
    """Whether nothing came behind it, and no end, which counts as a byte."""
    received: int
    """Bytes that have come in all."""

    def is_behind(self, other: Mark) -> bool:
        """Whether it is that of another urgent byte, which came later."""
        return self.ahead > other.ahead or (not self.ahead and self.is_last and self.received > other.received)


def mark(handle: int) -> Mark:
    """Where it is now, not in line."""
    try:
        info = raw.getsockopt(handle, socket.IPPROTO_TCP, _TCP_INFO, _RECEIVED_AT + 8)
    except WinsockError:  # closed meanwhile
        info = b""
    ahead = ask_or_0(handle, UNREAD)
    peeked = 1 if ahead else raw.recvmsg(handle, (bytearray(1),), socket.MSG_PEEK | socket.MSG_DONTWAIT)[0]
    return Mark(ahead, peeked < 0, int.from_bytes(info[_RECEIVED_AT:], sys.byteorder))


def bytes_to_read(handle: int) -> int:
    """How many bytes of a stream one receive would give; the kernel counts none that are behind the urgent byte."""
    count = ask(handle, UNREAD)
    if not count and ask_or_0(handle, AT_MARK):
        peeked, *_ = raw.recvmsg(handle, (bytearray(_ENOUGH),), socket.MSG_PEEK | socket.MSG_DONTWAIT)
        count = max(0, peeked)
    return count
