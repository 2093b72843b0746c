"""What the kernel says to a send or a receive on one of our sockets, as Windows would say it."""

from __future__ import annotations

import errno

from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAENETRESET,
    WSAENOTCONN,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WinsockError,
    from_errno,
)
from winsock.base.inet import own
from winsock.base.inet.own import OwnSocket
from winsock.base.inet.sockets import has_peer, is_bound, was_dropped, was_not_reached

_BREAKS = {errno.ECONNRESET: WSAECONNRESET, errno.ETIMEDOUT: WSAETIMEDOUT}
"""How a connection ends that does not end gracefully."""
AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK)


def send_error(record: OwnSocket, number: int) -> WinsockError:
    """The error of a failed send on one of our sockets."""
    if record.stream and (lost := _lost_connection(record, number)) is not None:
        return lost
    note_break(record, number)
    if number in AGAIN:
        if record.blocking:
            return WinsockError(WSAETIMEDOUT, "the time-out for sending (SO_SNDTIMEO) ran out", errno=number)
        if record.selection is not None:
            record.selection.found_no_room()
        if record.stream and not has_peer(record):
            return WinsockError(WSAENOTCONN, "s: the socket is not connected yet", errno=number)
    elif number == errno.EPIPE:
        if record.sending_ended:
            return WinsockError(WSAESHUTDOWN, "s: sending was shut down", errno=number)
        if record.phase in (own.NEW, own.FAILED, own.LISTENING):
            return WinsockError(WSAENOTCONN, "s: the socket is not connected", errno=number)
        return WinsockError(record.broken_by or WSAECONNRESET, "the connection is no more", errno=number)
    elif number == errno.EDESTADDRREQ:
        return WinsockError(WSAENOTCONN, "s: the socket is not connected; a datagram needs an address", errno=number)
    return from_errno(number)


def receive_error(record: OwnSocket, error: OSError) -> WinsockError:
    """The error of a failed receive on one of our sockets."""
    number = error.errno or errno.EIO
    if record.closed:
        return closed()
    if record.stream and (lost := _lost_connection(record, number)) is not None:
        return lost
    if number in AGAIN and record.blocking:
        return WinsockError(WSAETIMEDOUT, "the time-out for receiving (SO_RCVTIMEO) ran out", errno=number)
    if number == errno.ENOTCONN and record.stream and not is_bound(record):
        return WinsockError(WSAEINVAL, "s: the socket is not bound", errno=number)
    if record.stream and number in _BREAKS:
        record.break_by(_BREAKS[number])
    return from_errno(number)


def note_break(record: OwnSocket, number: int) -> None:
    """An error that the kernel tells once was the end of a connection: what came before it can be received, no more."""
    if record.stream and number in _BREAKS:
        record.broken_by = _BREAKS[number]


def broken(record: OwnSocket) -> WinsockError:
    """What is told where the kernel tells the end of the stream."""
    return WinsockError(record.broken_by, "s: the connection is no more")


def _lost_connection(record: OwnSocket, number: int) -> WinsockError | None:
    """What the error says of a stream's connection in sending and receiving alike; None where nothing."""
    if was_not_reached(record, number):
        return WinsockError(WSAENOTCONN, "s: the socket is not connected", errno=number)
    if number == errno.ETIMEDOUT and was_dropped(record):
        return WinsockError(WSAENETRESET, "keep-alive found nobody: the connection is no more", errno=number)
    return None


_LOST = {
    WSAECONNRESET: (errno.ECONNREFUSED, "a datagram sent before found nobody at its port"),
    WSAENETRESET: (errno.EHOSTUNREACH, "the time to live of a datagram sent before ran out"),
}


def datagram_lost(record: OwnSocket) -> WinsockError:
    """What a receive tells once of a datagram sent before."""
    code = record.take_loss()
    number, text = _LOST[code]
    return WinsockError(code, text, errno=number)


def closed() -> WinsockError:
    """The error of whoever waited meanwhile."""
    return WinsockError(WSAECONNABORTED, "s: the socket was closed while it waited")


NO_BUFFER = (TypeError, BufferError, ValueError)
"""What Python raises for what is no buffer."""


def no_buffer(error: Exception) -> WinsockError:
    """The error for what is no buffer, by what Python says of it."""
    return WinsockError(WSAEFAULT, f"buffers: {error}")
