"""The transfer functions of a handle that is a file: they go through the descriptor, as everybody's reads and writes.

So the order of bytes is one, whichever way the handle is used next. What the descriptor cannot know, why the
connection failed and what was shut down here, is remembered beside it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from winsock.abi.constants import (
    MSG_DONTROUTE,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_PUSH_IMMEDIATE,
    MSG_WAITALL,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
)
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAENOPROTOOPT,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WinsockError,
    from_errno,
)
from winsock.abi.sockaddr import Sockaddr
from winsock.host.queues import AT_MARK, UNREAD, ask_or_0
from winsock.spi.provider import ReadBuffer, WriteBuffer, unsupported
from winsock.spi.urgent import first_byte

if TYPE_CHECKING:
    from winsock.dispatcher.redirecting.events import Selection

_NOSIGNAL = int(getattr(socket, "MSG_NOSIGNAL", 0))
_SENDING = {MSG_DONTROUTE: 0, MSG_OOB: int(socket.MSG_OOB)}
_RECEIVING = {
    MSG_OOB: int(socket.MSG_OOB),
    MSG_PEEK: int(socket.MSG_PEEK),
    MSG_WAITALL: int(getattr(socket, "MSG_WAITALL", 0)),
    MSG_PARTIAL: 0,
    MSG_PUSH_IMMEDIATE: 0,
}
"""Flag -> the host's."""
_HOW = {SD_RECEIVE: socket.SHUT_RD, SD_SEND: socket.SHUT_WR, SD_BOTH: socket.SHUT_RDWR}
_ENOUGH = 65536
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK)
_NO_BUFFER = (TypeError, BufferError, ValueError)


class Transfers:
    """WSPRecv, WSPRecvFrom, WSPSend, WSPSendTo, WSPShutdown, WSPSendDisconnect, WSPRecvDisconnect."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, handle)
        """The descriptor; it is not the object's to close."""
        if self.sock.gettimeout() is not None:  # the process has a default time-out, which is none of ours
            self.sock.settimeout(None)
        self.waiters: list[None] = []
        """One item for each thread that may be waiting in a call."""
        self.selection: Selection | None = None
        """Where somebody asked for network events: which, and who is told."""
        self.has_urgent = False
        """Whether urgent data goes through the file."""
        self.in_line = False
        """Whether it comes in line (SO_OOBINLINE)."""
        self.is_closed = False
        self._sending_ended = self._receiving_ended = False

    @property
    def error(self) -> WinsockError | None:
        """What the provider failed with."""
        return None

    @property
    def waits(self) -> bool:
        """Whether the descriptor is in blocking mode, which others may change as well."""
        try:
            return os.get_blocking(self.handle)
        except OSError:
            return True

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        _require_plain("WSPRecv", buffers, overlapped)
        host_flags = self._host_flags(flags, _RECEIVING)
        if flags & MSG_OOB and flags & MSG_WAITALL:
            raise WinsockError(WSAEOPNOTSUPP, "flags: MSG_WAITALL goes without MSG_OOB")
        if self._receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        try:
            with self.waiting():
                if self.in_line and not flags & MSG_OOB:
                    buffers = self._up_to_the_mark(buffers, host_flags)
                count, *_ = self.sock.recvmsg_into(buffers, 0, host_flags)
        except OSError as error:
            raise self._receive_error(error) from None
        except _NO_BUFFER as error:
            raise _no_buffer(error) from None
        finally:
            if self.selection is not None:
                self.selection.received()
        if self.is_closed:
            raise _closed()
        if not count and self.error is not None and any(map(len, buffers)):
            raise self._failed(errno.ECONNRESET)
        return count, 0

    def WSPRecvFrom(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int, Sockaddr | None] | None:
        received = self.WSPRecv(s, buffers, flags, overlapped)
        assert received is not None
        return *received, None

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        _require_plain("WSPSend", buffers, overlapped)
        host_flags = self._host_flags(flags, _SENDING) | _NOSIGNAL
        try:
            count = self.sock.sendmsg(buffers, (), host_flags)
        except OSError as error:
            raise self._send_error(error) from None
        except _NO_BUFFER as error:
            raise _no_buffer(error) from None
        return self._send_rest(buffers, count, host_flags)

    def WSPSendTo(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        to: Sockaddr | None = None,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        return self.WSPSend(s, buffers, flags, overlapped)

    def direct_send(self, s: int) -> Callable[[ReadBuffer, int], int] | None:
        """See `winsock.spi.provider.SendsDirectly`."""
        return self.sock.send

    def after_direct_send(self, s: int, buffer: ReadBuffer, outcome: int | Exception) -> int:
        """See `winsock.spi.provider.SendsDirectly`."""
        if isinstance(outcome, OSError):
            raise self._send_error(outcome)
        if isinstance(outcome, _NO_BUFFER):
            raise _no_buffer(outcome)
        if isinstance(outcome, Exception):
            raise outcome
        return self._send_rest((buffer,), outcome, _NOSIGNAL)

    def WSPShutdown(self, s: int, how: int) -> None:
        host_how = _HOW.get(how)
        if host_how is None:
            raise WinsockError(WSAEINVAL, f"how: {how} is none of SD_RECEIVE (0), SD_SEND (1), SD_BOTH (2)")
        try:
            self.sock.shutdown(host_how)
        except OSError as error:  # a second time is no mistake
            if not (how == SD_RECEIVE or self._sending_ended) or not (how == SD_SEND or self._receiving_ended):
                raise from_errno(error.errno or errno.EIO) from None
        self._sending_ended = self._sending_ended or how != SD_RECEIVE
        self._receiving_ended = self._receiving_ended or how != SD_SEND

    def WSPSendDisconnect(self, s: int, data: ReadBuffer | None = None) -> None:
        if data:
            raise WinsockError(WSAENOPROTOOPT, "data: a handle that is a file carries no disconnect data")
        self.WSPShutdown(s, SD_SEND)

    def WSPRecvDisconnect(self, s: int) -> bytes:
        self.WSPShutdown(s, SD_RECEIVE)
        return b""

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For a call that may wait: whoever closes the handle wakes it."""
        self.waiters.append(None)
        try:
            yield
        finally:
            self.waiters.pop()

    def bytes_to_read(self) -> int:
        """How many bytes one receive would give; the kernel counts none that are behind an urgent byte."""
        count = ask_or_0(self.handle, UNREAD)
        if not count and self.has_urgent and ask_or_0(self.handle, AT_MARK):
            try:
                count = len(self.sock.recv(_ENOUGH, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:
                pass  # there is nothing behind it, or it is closed meanwhile
        return count

    def _up_to_the_mark(self, buffers: Sequence[WriteBuffer], host_flags: int) -> Sequence[WriteBuffer]:
        """The kernel stops a receive before an urgent byte, and not behind it: so first something must be there."""
        if self.sock.recv_into(bytearray(1), 0, host_flags | socket.MSG_PEEK) and ask_or_0(self.handle, AT_MARK):
            return (first_byte(buffers),)
        return buffers

    def _host_flags(self, flags: int, known: dict[int, int]) -> int:
        if flags & MSG_OOB and not self.has_urgent:
            raise WinsockError(WSAEOPNOTSUPP, "flags: the provider has no urgent data (MSG_OOB)")
        host = 0
        for flag, host_flag in known.items():
            if flags & flag:
                host |= host_flag
                flags &= ~flag
        if flags:
            raise WinsockError(WSAEINVAL, f"flags: {flags:#x} is not known here")
        return host

    def _send_rest(self, buffers: Sequence[ReadBuffer], sent: int, host_flags: int) -> int:
        """Go on after a part: a blocking send takes all, or what a time-out or an error lets it."""
        total = sum(memoryview(buffer).nbytes for buffer in buffers)
        if sent >= total or not self.waits:
            return sent
        rest = memoryview(b"".join(buffers))
        while sent < total:
            try:
                sent += self.sock.send(rest[sent:], host_flags)
            except OSError:
                break
        return sent

    def _receive_error(self, error: OSError) -> WinsockError:
        number = error.errno or errno.EIO
        if self.is_closed:
            return _closed()
        if number in _AGAIN and self.waits:
            return WinsockError(WSAETIMEDOUT, "the time-out for receiving (SO_RCVTIMEO) ran out", errno=number)
        return self._failed(number) if number == errno.ECONNRESET else from_errno(number)

    def _send_error(self, error: OSError) -> WinsockError:
        number = error.errno or errno.EIO
        if number in _AGAIN and self.waits:
            return WinsockError(WSAETIMEDOUT, "the time-out for sending (SO_SNDTIMEO) ran out", errno=number)
        if number in _AGAIN and self.selection is not None:
            self.selection.found_no_room()
        if number == errno.EPIPE and self._sending_ended:
            return WinsockError(WSAESHUTDOWN, "s: sending was shut down", errno=number)
        return self._failed(number) if number in (errno.EPIPE, errno.ECONNRESET) else from_errno(number)

    def _failed(self, number: int) -> WinsockError:
        """Why the connection is over, as the provider put it."""
        if self.error is None:
            return WinsockError(WSAECONNRESET, "the connection was reset by the peer", errno=number)
        return WinsockError(self.error.winerror, self.error.strerror, errno=self.error.errno)


def _require_plain(function: str, buffers: Sequence[ReadBuffer], overlapped: object) -> None:
    if overlapped is not None:
        raise unsupported(f"an overlapped {function} on a handle that is a file")
    if not buffers:
        raise WinsockError(WSAEINVAL, "buffers: there is none")


def _closed() -> WinsockError:
    return WinsockError(WSAECONNABORTED, "s: the socket was closed while it waited")


def _no_buffer(error: Exception) -> WinsockError:
    return WinsockError(WSAEFAULT, f"buffers: {error}")
