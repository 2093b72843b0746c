"""Sending and receiving.

Our own sockets go through the methods of a socket object, which are the fastest way there is: one buffer and no flags
take a short path, everything else the general one below. Adopted handles, whose data calls hardly ever come here, go
through the raw calls with the caller's own arguments.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Sequence
from typing import Any

from winsock.abi.constants import (
    MSG_DONTROUTE,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_PUSH_IMMEDIATE,
    MSG_WAITALL,
    SD_RECEIVE,
    SD_SEND,
    XP1_EXPEDITED_DATA,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOPROTOOPT,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WinsockError,
    from_errno,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import failures, many, own, raw
from winsock.base.inet.addresses import is_nobodys
from winsock.base.inet.ground import refuse_overlapped
from winsock.base.inet.own import SOCKETS, Control, OwnSocket
from winsock.base.inet.sockets import Sockets, is_bound, require_inet
from winsock.spi.blocking import HOOKED
from winsock.spi.provider import ReadBuffer, WriteBuffer
from winsock.spi.urgent import MARKING, first_byte

_NOSIGNAL = int(getattr(socket, "MSG_NOSIGNAL", 0))
_TRUNC = int(getattr(socket, "MSG_TRUNC", 0))
_ADDRESSES: dict[int, Callable[..., Sockaddr]] = {2: SockaddrIn, 4: SockaddrIn6}
"""By how many parts the host tells; packets have more."""
_HOST_FLAGS = {
    MSG_OOB: int(socket.MSG_OOB),
    MSG_PEEK: int(socket.MSG_PEEK),
    MSG_DONTROUTE: int(socket.MSG_DONTROUTE),
    MSG_WAITALL: int(getattr(socket, "MSG_WAITALL", 0)),
    MSG_PARTIAL: 0,
    MSG_PUSH_IMMEDIATE: 0,
}
_SEND_FLAGS = MSG_OOB | MSG_DONTROUTE | MSG_PARTIAL
_RECEIVE_FLAGS = MSG_OOB | MSG_PEEK | MSG_WAITALL | MSG_PARTIAL | MSG_PUSH_IMMEDIATE
_NOT_WITH_WAITALL = MSG_OOB | MSG_PEEK | MSG_PARTIAL


class Data(Sockets):
    """WSPSend, WSPSendTo, WSPRecv, WSPRecvFrom, WSPSendDisconnect, WSPRecvDisconnect."""

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        """Send the buffers in order; how many bytes went, all of them where the socket blocks (lpwspsend).

        Raises WSAEWOULDBLOCK, WSAESHUTDOWN, WSAENOTCONN, WSAECONNRESET, WSAETIMEDOUT, WSAEMSGSIZE, WSAEOPNOTSUPP,
        WSAEINVAL, WSAEFAULT, WSAENOTSOCK.
        """
        try:
            record = SOCKETS[s]
            (buffer,) = buffers
        except (KeyError, ValueError, TypeError):
            return self._send(s, buffers, flags, None, overlapped, "WSPSend")
        if flags or overlapped is not None or HOOKED:
            return self._send(s, buffers, flags, None, overlapped, "WSPSend")
        try:
            count = record.send(buffer, _NOSIGNAL)
        except Exception as error:
            return self.after_direct_send(s, buffer, error)
        try:
            if count == len(buffer):
                return count
        except TypeError:  # a buffer that has no length
            pass
        return self.after_direct_send(s, buffer, count)

    def direct_send(self, s: int) -> Callable[[ReadBuffer, int], int] | None:
        """The socket object's own method, for one of our sockets (`winsock.spi.provider.SendsDirectly`)."""
        record = SOCKETS.get(s)
        if record is None or HOOKED:
            return None
        record.host_object()
        return record.send

    def after_direct_send(self, s: int, buffer: ReadBuffer, outcome: int | Exception) -> int:
        """Send the rest where the socket blocks, or raise what the exception is in Winsock."""
        record = SOCKETS.get(s)
        if record is None:
            raise failures.closed()
        if isinstance(outcome, OSError):
            return self.after_send_error(record, (buffer,), _NOSIGNAL, None, outcome)
        if isinstance(outcome, failures.NO_BUFFER):
            raise failures.no_buffer(outcome) from None
        if isinstance(outcome, Exception):
            raise outcome
        if not record.blocking or outcome == memoryview(buffer).nbytes:
            return outcome
        return self._send_rest(record, (buffer,), _NOSIGNAL, outcome)

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
        """Send a datagram to an address, for this once; a stream ignores it (lpwspsendto).

        Raises what WSPSend does, and WSAEDESTADDRREQ, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAENETUNREACH, WSAEACCES.
        """
        return self._send(s, buffers, flags, to, overlapped, "WSPSendTo")

    def send_message(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int,
        to: Sockaddr | None,
        overlapped: object,
        control: Control,
    ) -> int:
        """Send a datagram with control data, to an address or to the peer."""
        return self._send(s, buffers, flags, to, overlapped, "WSASendMsg", control)

    def _send(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int,
        to: Sockaddr | None,
        overlapped: object,
        function: str,
        control: Control = (),
    ) -> int:
        record = SOCKETS.get(s)
        refuse_overlapped(function, record, overlapped)
        if not buffers:
            raise WinsockError(WSAEINVAL, "buffers: there is none")
        self._check_send_flags(flags)
        if record is not None:
            buffers = many.joined(buffers)
        host_flags = _host_flags(flags) | _NOSIGNAL
        if record is None:
            to = to if self.datagrams else None
            while (count := raw.sendmsg(s, buffers, host_flags, to, control)) == -errno.EINTR:
                self.ask_after_interrupt(function)
            if count < 0:
                raise from_errno(-count)
            return count
        if record.stream:
            to = None
        elif to is not None:
            address = require_inet(self.info, to)
            if is_nobodys(address) and not record.sending_ended:
                raise WinsockError(WSAEADDRNOTAVAIL, f"to: {to} is nobody's address")
            if not record.hears_errors and (record.reports_resets or record.reports_net_resets):
                from winsock.base.inet import unreached

                unreached.hear(record)
            if address.port == 0 and record.raw_protocol is None and not record.sending_ended:
                # Nobody is at port 0: sent, and lost
                return sum(_sizes(buffers))
        elif function == "WSPSendTo" and record.phase != own.CONNECTED:
            raise WinsockError(WSAEDESTADDRREQ, "to: a datagram needs an address, or a connected socket")
        return self._send_own(record, buffers, host_flags, to, control)

    def _check_send_flags(self, flags: int) -> None:
        if flags & ~_SEND_FLAGS:
            raise WinsockError(WSAEINVAL, f"flags: {flags:#x} holds what a send does not know")
        if flags & MSG_PARTIAL:
            raise WinsockError(WSAEOPNOTSUPP, f"flags: {self.info.szProtocol} sends no partial messages (MSG_PARTIAL)")
        if flags & MSG_OOB and not self.info.dwServiceFlags1 & XP1_EXPEDITED_DATA:
            raise WinsockError(WSAEOPNOTSUPP, f"flags: {self.info.szProtocol} has no urgent data (MSG_OOB)")

    def _send_own(
        self,
        record: OwnSocket,
        buffers: Sequence[ReadBuffer],
        host_flags: int,
        to: Sockaddr | None,
        control: Control,
    ) -> int:
        if HOOKED:
            from winsock.base.inet import hooks

            if hooks.is_hooked() and record.blocking:
                return hooks.send(self, record, buffers, host_flags, to, control)
        try:
            count = record.sendmsg(buffers, control, host_flags, to and tuple(to))
        except OSError as error:
            return self.after_send_error(record, buffers, host_flags, to, error, control)
        except failures.NO_BUFFER as error:
            raise failures.no_buffer(error) from None
        return self._send_rest(record, buffers, host_flags, count) if record.stream and record.blocking else count

    def _send_rest(self, record: OwnSocket, buffers: Sequence[ReadBuffer], host_flags: int, sent: int) -> int:
        """Go on after a part: a blocking send takes all, or what a time-out or an error lets it."""
        total = sum(_sizes(buffers))
        if sent >= total:
            return sent
        rest = memoryview(b"".join(bytes(buffer) for buffer in buffers))
        while sent < total:
            try:
                sent += record.send(rest[sent:], host_flags)
            except OSError:
                break
        return sent

    def after_send_error(
        self,
        record: OwnSocket,
        buffers: Sequence[ReadBuffer],
        host_flags: int,
        to: Sockaddr | None,
        error: OSError,
        control: Control = (),
    ) -> int:
        """Send once more where that helps, or raise what the error is in Winsock."""
        number = error.errno or errno.EIO
        if not record.stream and _tells_of_another(record, number):
            try:
                return record.sendmsg(buffers, control, host_flags, to and tuple(to))
            except OSError as second:
                number = second.errno or errno.EIO
        raise failures.send_error(record, number)

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        """Receive into the buffers: (count, flags); a count of 0 on a stream is its end (lpwsprecv).

        Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN, WSAEINVAL for an unbound socket, WSAESHUTDOWN, WSAECONNRESET,
        WSAEOPNOTSUPP, WSAEFAULT, WSAENOTSOCK; WSAEMSGSIZE with `.count` and `.flags` where a datagram was longer.
        """
        record = SOCKETS.get(s)
        if (
            record is None
            or flags
            or not record.stream
            or overlapped is not None
            or len(buffers) != 1
            or record.receiving_ended
            or HOOKED
            or s in MARKING
        ):
            if s in MARKING and not flags:
                return self._receive_marking(s, buffers, overlapped)
            return self._receive(s, buffers, flags, overlapped, "WSPRecv")[:2]
        waiters, receive = record.waiters, record.recv_into
        waiters.append(None)
        try:
            count = receive(buffers[0])
        except OSError as error:
            raise failures.receive_error(record, error) from None
        except failures.NO_BUFFER as error:
            raise failures.no_buffer(error) from None
        finally:
            waiters.pop()
        if record.closed:
            raise failures.closed()
        if not count and record.broken_by and memoryview(buffers[0]).nbytes:
            raise failures.broken(record)
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
        """Receive a datagram: (count, flags, source); a stream has no source to tell (lpwsprecvfrom).

        Raises what WSPRecv does; its WSAEMSGSIZE carries `.address` too.
        """
        return self._receive(s, buffers, flags, overlapped, "WSPRecvFrom")

    def _receive(
        self, s: int, buffers: Sequence[WriteBuffer], flags: int, overlapped: object, function: str
    ) -> tuple[int, int, Sockaddr | None]:
        record = SOCKETS.get(s)
        refuse_overlapped(function, record, overlapped)
        if not buffers:
            raise WinsockError(WSAEINVAL, "buffers: there is none")
        if record is not None and len(buffers) > many.MOST:
            return many.filled(buffers, lambda one: self._receive(s, (one,), flags, overlapped, function))
        self._check_receive_flags(flags, record)
        host_flags = _host_flags(flags)
        try:
            capacity = sum(_sizes(buffers))
            if record is None:
                count, message_flags, source = self._receive_adopted(s, buffers, host_flags, function)
            else:
                count, message_flags, source = self.receive_own(record, buffers, host_flags)
        except failures.NO_BUFFER as error:
            raise failures.no_buffer(error) from None
        if message_flags & _TRUNC and self.datagrams:
            if flags & MSG_PARTIAL:
                return min(count, capacity), MSG_PARTIAL, source
            raise WinsockError(
                WSAEMSGSIZE,
                f"buffers: the datagram is longer than {capacity} bytes, the rest is lost",
                count=capacity,
                flags=MSG_PARTIAL,
                address=source,
            )
        return count, 0, source

    def _receive_marking(self, s: int, buffers: Sequence[WriteBuffer], overlapped: object) -> tuple[int, int]:
        """Receive what stands before an urgent byte, or that byte alone.

        The kernel stops a receive before an urgent byte, and not behind it: so first something must be there.
        """
        from winsock.host.queues import AT_MARK, ask_or_0

        if not self._receive(s, (bytearray(1),), MSG_PEEK, overlapped, "WSPRecv")[0]:
            return 0, 0
        if not ask_or_0(s, AT_MARK):
            return self._receive(s, buffers, 0, overlapped, "WSPRecv")[:2]
        try:
            one = first_byte(buffers)
        except failures.NO_BUFFER as error:
            raise failures.no_buffer(error) from None
        return self._receive(s, (one,), 0, overlapped, "WSPRecv")[0], MSG_OOB

    def _check_receive_flags(self, flags: int, record: OwnSocket | None) -> None:
        if flags & ~_RECEIVE_FLAGS:
            raise WinsockError(WSAEINVAL, f"flags: {flags:#x} holds what a receive does not know")
        if flags & MSG_OOB and not self.info.dwServiceFlags1 & XP1_EXPEDITED_DATA:
            raise WinsockError(WSAEOPNOTSUPP, f"flags: {self.info.szProtocol} has no urgent data (MSG_OOB)")
        if not flags & MSG_WAITALL:
            return
        if flags & _NOT_WITH_WAITALL or self.datagrams or (record is not None and not record.blocking):
            raise WinsockError(
                WSAEOPNOTSUPP,
                "flags: MSG_WAITALL goes with blocking streams, without MSG_OOB, MSG_PEEK and MSG_PARTIAL",
            )

    def receive_own(
        self, record: OwnSocket, buffers: Sequence[WriteBuffer], host_flags: int
    ) -> tuple[int, int, Sockaddr | None]:
        """Receive on one of our sockets: (count, the kernel's flags, source)."""
        if HOOKED and not host_flags & int(socket.MSG_OOB):
            from winsock.base.inet import hooks

            hooks.wait(self, record, select.POLLIN, "WSPRecv", socket.SO_RCVTIMEO)
        return _receive_own(record, buffers, host_flags)

    def _receive_adopted(
        self, s: int, buffers: Sequence[WriteBuffer], host_flags: int, function: str
    ) -> tuple[int, int, Sockaddr | None]:
        count, message_flags, source = raw.recvmsg(s, buffers, host_flags)
        while count == -errno.EINTR:
            self.ask_after_interrupt(function)
            count, message_flags, source = raw.recvmsg(s, buffers, host_flags)
        if count < 0:
            raise from_errno(-count)
        return count, message_flags, source

    def WSPGetOverlappedResult(self, s: int, overlapped: object, wait: bool) -> tuple[int, int]:
        """No operation goes by an overlapped structure here: WSAEINVAL; WSAENOTSOCK (lpwspgetoverlappedresult)."""
        raw.getsockname(s)
        raise WinsockError(WSAEINVAL, "overlapped: no operation of this socket goes by it")

    def WSPSendDisconnect(self, s: int, data: ReadBuffer | None = None) -> None:
        """End sending; raises WSAENOPROTOOPT for disconnect data, WSAENOTCONN, WSAENOTSOCK (lpwspsenddisconnect)."""
        if data:
            raise WinsockError(WSAENOPROTOOPT, f"data: {self.info.szProtocol} carries no disconnect data")
        self.WSPShutdown(s, SD_SEND)

    def WSPRecvDisconnect(self, s: int) -> bytes:
        """End receiving; there is never disconnect data (lpwsprecvdisconnect)."""
        self.WSPShutdown(s, SD_RECEIVE)
        return b""


def _receive_own(
    record: OwnSocket, buffers: Sequence[WriteBuffer], host_flags: int
) -> tuple[int, int, Sockaddr | None]:
    """(count, the kernel's flags, source)."""
    if record.receiving_ended:
        raise _nothing_to_receive(record)
    if not is_bound(record):
        raise WinsockError(WSAEINVAL, "s: the socket is not bound")
    if record.lost:
        raise failures.datagram_lost(record)
    record.waiters.append(None)
    try:
        count, _, message_flags, address = _receive_message(record, buffers, host_flags)
    except WinsockError:
        raise
    except OSError as error:
        raise failures.receive_error(record, error) from None
    finally:
        record.waiters.pop()
    if record.closed:
        raise failures.closed()
    if not count and record.broken_by and any(_sizes(buffers)):
        raise failures.broken(record)
    return count, message_flags, None if record.stream else _source(address)


def _nothing_to_receive(record: OwnSocket) -> WinsockError:
    if record.broken_by:
        return failures.broken(record)
    return WinsockError(WSAESHUTDOWN, "s: receiving was shut down")


def _tells_of_another(record: OwnSocket, number: int) -> bool:
    """Whether an error is the answer to an earlier datagram: Windows tells it to a receive, and sends the next one."""
    if record.hears_errors:
        from winsock.base.inet import unreached

        if unreached.collect(record):
            return True
    if number != errno.ECONNREFUSED:
        return False
    if record.reports_resets:
        record.lose(WSAECONNRESET)
    return True


def _receive_message(record: OwnSocket, buffers: Sequence[WriteBuffer], host_flags: int) -> tuple[int, Any, int, Any]:
    """recvmsg(2), after what the kernel tells of earlier datagrams where nobody wants to know."""
    while True:
        try:
            return record.recvmsg_into(buffers, 0, host_flags)
        except OSError as error:
            if record.stream or not _tells_of_another(record, error.errno or errno.EIO):
                raise
            if record.lost:
                raise failures.datagram_lost(record) from None


def _source(address: tuple[str, int] | tuple[str, int, int, int] | None) -> Sockaddr | None:
    if not address:
        return None
    kind = _ADDRESSES.get(len(address))
    return kind and kind(*address)


def _host_flags(flags: int) -> int:
    host = 0
    for flag, host_flag in _HOST_FLAGS.items():
        if flags & flag:
            host |= host_flag
    return host


def _sizes(buffers: Sequence[ReadBuffer]) -> list[int]:
    return [memoryview(buffer).nbytes for buffer in buffers]
