"""The direct driver: a stream layer in one process, its machine run by WSPSend and WSPRecv in the caller's thread.

For each connection that the layer wants there is a `Connection`; this provider translates calls into what that is asked
for, and hands everything else to the provider below, as `NonIfsLayer` does. A handle without such a connection - new,
listening, or of a connection that the layer does not want - is the provider's below, call for call.

Urgent data goes through the layer in its place. The last byte of a send with MSG_OOB goes by itself, and what came of
it is urgent again if it is one byte; what the peer sends comes in line, with MSG_OOB among the flags of the receive
where the provider below tells it so. A receive with MSG_OOB, which would go round the layer, is WSAEOPNOTSUPP.

WSPSelect, WSPEventSelect and WSPAsyncSelect tell of what a receive would get, and not of what the network brought.
"""

from __future__ import annotations

import atexit
import itertools
import os
import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import (
    AF_UNSPEC,
    FIONBIO,
    FIONREAD,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_WAITALL,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SO_ACCEPTCONN,
    SO_ERROR,
    SO_OOBINLINE,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import (
    WSAEALREADY,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAEWOULDBLOCK,
    ErrorCode,
    WinsockError,
)
from winsock.dispatcher import handles
from winsock.dispatcher.drivers import keeper
from winsock.dispatcher.drivers.asking import Asking
from winsock.dispatcher.drivers.connection import WRITE, Connection
from winsock.dispatcher.drivers.machine import set_blocking
from winsock.dispatcher.drivers.notices import Asked, Notices
from winsock.dispatcher.drivers.selection import Handle, Selection
from winsock.dispatcher.records import records
from winsock.dispatcher.waits import wake
from winsock.spi.handles import NonIfsLayer, base_handle
from winsock.spi.provider import ReadBuffer, WriteBuffer, unsupported
from winsock.spi.stats import has_peer

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.abi.sockaddr import Sockaddr
    from winsock.core.netevents import NetworkEvents
    from winsock.spi.provider import OptionValue
    from winsock.spi.stream import StreamLayer

_DWORD = struct.Struct("<I")


class Direct(Asking, NonIfsLayer):
    """The provider that a stream layer is, in a chain of one process."""

    context_type = Handle

    def context(self, s: int) -> Handle:
        handle: Handle = super().context(s)
        return handle

    def adopted(self, handle: int) -> None:
        super().adopted(handle)
        self.context(handle).blocking = os.get_blocking(handle)

    # Connections.

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        handle = self.context(s)
        extras = (caller_data, callee_data, sqos, gqos)
        if handle.connection is not None:
            self._connect_again(handle, handle.connection, name)
        if not self._wants(name):
            if handle.notices is not None and handle.asked is not None:
                self._select_below(handle, handle.asked)
            handle.notices = None
            return self.next.WSPConnect(handle.lower, name, *extras)
        layer = self._new_layer("connect", name)
        destination = self._asked(layer, name)
        connection = Connection(layer, self.next, handle.lower, handle.handle)
        try:
            answer = self.next.WSPConnect(handle.lower, destination, *extras)
        except WinsockError as error:
            if error.winerror == WSAEWOULDBLOCK:
                self._drive(handle, connection)
                connection.settle()
            raise
        self._drive(handle, connection)
        self._open(handle, connection)
        return answer

    def _drive(self, handle: Handle, connection: Connection) -> None:
        """From now on the handle is the layer's."""
        handle.driven = connection
        if handle.asked is not None:
            if handle.notices is None:
                self._select_below(handle, handle.asked._replace(events=0))
            self._watch(handle, connection, handle.asked)

    def _open(self, handle: Handle, connection: Connection) -> None:
        """The handle below is connected: the layer speaks first, and we wait for it if the application would."""
        try:
            connection.open()
            connection.finish_opening(wait=handle.blocking)
        except WinsockError:
            if not connection.closing:
                self._forsake(handle, connection)
            raise
        connection.settle()
        if not connection.connected:
            raise WinsockError(WSAEWOULDBLOCK, "the connection is being opened")

    def _forsake(self, handle: Handle, connection: Connection) -> None:
        """The handle is as before its connect."""
        connection.abandon()
        handle.driven = None
        set_blocking(self.next, handle.lower, handle.blocking)

    def _connect_again(self, handle: Handle, connection: Connection, name: Sockaddr) -> None:
        """A connect on a handle that has a connection; returns where nothing is left of it."""
        if name.family != AF_UNSPEC:
            connection.readiness(WRITE)
            if connection.ready:
                raise WinsockError(WSAEISCONN, "s: the socket is connected")
            if connection.error is None and not connection.lost:
                raise WinsockError(WSAEALREADY, "s: the connection is on its way")
        if not connection.lost:
            self._forsake(handle, connection)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        listener = self.context(s)
        while True:
            lower, address = self.next.WSPAccept(listener.lower, condition, callback_data)
            try:
                layer = self._let_in_by_layer(address)
            except WinsockError:
                self._reset(lower)
                continue
            made = self.make_handle(lower, inheritable=listener.inheritable)
            handle = self.context(made)
            handle.blocking, handle.asked = listener.blocking, listener.asked
            if layer is None:
                return made, address
            try:
                connection = Connection(layer, self.next, lower, made)
                self._drive(handle, connection)
                connection.open()
            except WinsockError:
                self.WSPCloseSocket(made)
                continue
            connection.settle()
            return made, address

    def _let_in_by_layer(self, address: Sockaddr | None) -> StreamLayer | None:
        """The layer of a connection that it wants; raises where it refuses it."""
        if address is None or not self._wants(address):
            return None
        layer = self._new_layer("accept", address)
        self._let_in(layer, address)
        return layer

    def WSPShutdown(self, s: int, how: int) -> None:
        handle = self.context(s)
        connection = handle.connection
        if connection is None or how not in (SD_RECEIVE, SD_SEND, SD_BOTH):
            self.next.WSPShutdown(handle.lower, how)
            return
        if how != SD_RECEIVE:
            connection.end_sending()
        if how != SD_SEND:
            connection.end_receiving()

    def WSPSendDisconnect(self, s: int, data: ReadBuffer | None = None) -> None:
        handle = self.context(s)
        if handle.connection is None or data:
            self.next.WSPSendDisconnect(handle.lower, data)
        else:
            handle.connection.end_sending()

    def WSPRecvDisconnect(self, s: int) -> bytes:
        handle = self.context(s)
        if handle.connection is None:
            return self.next.WSPRecvDisconnect(handle.lower)
        handle.connection.end_receiving()
        return b""

    def WSPCloseSocket(self, s: int) -> None:
        handle = self.context(s)
        if handle.connection is None:
            base = base_handle(self.next, handle.lower)
            super().WSPCloseSocket(s)
            wake(base)  # who waits at a descriptor keeps its file open
            return
        self.claim(s)
        if handle.made:
            self.upcalls.release_handle(handle.lower)
        handle.connection.close()
        self.forget(handle)

    def WSPCleanup(self) -> None:
        owing = [connection for connection in keeper.closing() if connection.table is self.next]
        keeper.drain(owing)
        for connection in owing:
            connection.cut_off()
        super().WSPCleanup()

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        """What listens can be shared, what is no stream, and a connection that the layer does not want.

        WSAEINVAL for a connection that it is part of: what it knows of the bytes is in this process, and its twin in
        another would begin in the middle. For a stream that is to connect, too: made through one descriptor, its
        connection would go round the layer through the others.
        """
        handle = self.context(s)
        if handle.connection is not None:
            text = f"s: {self.name} is part of the connection, and what it knows of it is in this process alone"
            raise WinsockError(WSAEINVAL, text)
        if self.info.iSocketType == SOCK_STREAM and self._may_connect(handle):
            text = f"s: a stream that may connect yet would go round {self.name} in one of the processes"
            raise WinsockError(WSAEINVAL, text)
        return super().WSPDuplicateSocket(s, process_id)

    def _may_connect(self, handle: Handle) -> bool:
        listens = self.next.WSPGetSockOpt(handle.lower, SOL_SOCKET, SO_ACCEPTCONN)
        return not listens and not has_peer(self.next, handle.lower)

    # Data.

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        handle = self.context(s)
        connection = handle.connection
        if connection is None:
            return self.next.WSPSend(handle.lower, buffers, flags, overlapped, completion_routine, thread_id)
        _check_transfer("WSPSend", buffers, overlapped)
        if flags & MSG_PARTIAL:
            raise unsupported("WSPSend of a partial message (MSG_PARTIAL)")
        return connection.send(_readable(buffers), handle.blocking, bool(flags & MSG_OOB))

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
        handle = self.context(s)
        if handle.connection is None:
            return self.next.WSPSendTo(handle.lower, buffers, flags, to, overlapped, completion_routine, thread_id)
        return self.WSPSend(s, buffers, flags, overlapped)

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        handle = self.context(s)
        connection = handle.connection
        if connection is None:
            return self.next.WSPRecv(handle.lower, buffers, flags, overlapped, completion_routine, thread_id)
        _check_transfer("WSPRecv", buffers, overlapped)
        if flags & MSG_OOB:
            raise unsupported("WSPRecv of urgent data (MSG_OOB), which would go round the layer,")
        fill, peek = bool(flags & MSG_WAITALL), bool(flags & MSG_PEEK)
        if fill and (peek or flags & MSG_PARTIAL or not handle.blocking):
            raise WinsockError(
                WSAEOPNOTSUPP, "flags: MSG_WAITALL goes with blocking streams, without MSG_PEEK and MSG_PARTIAL"
            )
        return connection.receive(_writable(buffers), handle.blocking, peek, fill)

    def WSPRecvFrom(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int, Sockaddr | None] | None:
        handle = self.context(s)
        if handle.connection is None:
            return self.next.WSPRecvFrom(handle.lower, buffers, flags, overlapped, completion_routine, thread_id)
        received = self.WSPRecv(s, buffers, flags, overlapped)
        return None if received is None else (*received, None)

    # Options and control codes.

    def WSPIoctl(
        self,
        s: int,
        code: int,
        in_buffer: ReadBuffer | None = None,
        out_size: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> bytes | None:
        handle = self.context(s)
        connection = handle.connection
        if connection is None or code not in (FIONBIO, FIONREAD):
            answer = super().WSPIoctl(s, code, in_buffer, out_size, overlapped, completion_routine, thread_id)
            if code == FIONBIO:
                handle.blocking = not any((in_buffer or b"")[:4])
            return answer
        if (len(in_buffer or b"") if code == FIONBIO else out_size) < _DWORD.size:
            raise WinsockError(WSAEFAULT, f"code: {code:#x} takes a number of {_DWORD.size} bytes")
        if code == FIONREAD:
            return _DWORD.pack(connection.count_readable())
        blocking = not any((in_buffer or b"")[:4])
        if blocking and handle.asked is not None:
            raise WinsockError(WSAEINVAL, "code: a socket whose events were asked for does not block (FIONBIO)")
        handle.blocking = blocking
        return b""

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        connection = self.context(s).connection
        if (level, optname) == (SOL_SOCKET, SO_ERROR) and connection is not None:
            error = connection.take_error()
            if error is not None:
                return ErrorCode(error.winerror, error.errno)
        return super().WSPGetSockOpt(s, level, optname)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        if (level, optname) == (SOL_SOCKET, SO_OOBINLINE) and self.context(s).connection is not None:
            raise WinsockError(WSAENOPROTOOPT, f"optname: urgent data goes through {self.name} in line (SO_OOBINLINE)")
        super().WSPSetSockOpt(s, level, optname, value)

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        handle = self.context(s)
        if handle.connection is not None and not handle.connection.connected:
            raise WinsockError(WSAENOTCONN, "s: the socket is not connected yet")
        return self.next.WSPGetPeerName(handle.lower)

    # Network events.

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        self._select(self.context(s), Asked(event, None, events))

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        self._select(self.context(s), Asked(window, message, events))

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        handle = self.context(s)
        connection = handle.connection
        if handle.notices is None:
            return super().WSPEnumNetworkEvents(s, event)
        if connection is None:
            return handle.notices.take(event)
        with connection.lock:
            connection.progress()
            connection.look()
            found = handle.notices.take(event)
        connection.settle()
        return found

    def _select(self, handle: Handle, asked: Asked) -> None:
        connection = handle.connection
        if connection is None:
            self._select_below(handle, asked)
            handle.notices = None
        else:
            asked.check()
            self._watch(handle, connection, asked)
        handle.blocking = False
        handle.asked = asked if asked.events else None

    def _select_below(self, handle: Handle, asked: Asked) -> None:
        """Have the provider below tell of events."""
        target, message, events = asked
        if message is None:
            super().WSPEventSelect(handle.handle, target, events)
        else:
            super().WSPAsyncSelect(handle.handle, target, message, events)

    def _watch(self, handle: Handle, connection: Connection, asked: Asked) -> None:
        """Tell of the events of a connection that the layer is part of."""
        with connection.lock:
            if connection.notices is None:
                connection.notices = Notices(handle.handle, self.upcalls)
            handle.notices = connection.notices
            connection.notices.select(asked)
            connection.look()
        connection.settle()

    # Waiting.

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        sets = (list(readfds or ()), list(writefds or ()), list(exceptfds or ()))
        handles = {s: self.context(s) for s in itertools.chain(*sets)}
        if not any(handle.connection for handle in handles.values()):
            return super().WSPSelect(nfds, *sets, timeout)
        if timeout is not None and not timeout >= 0:
            raise WinsockError(WSAEINVAL, f"timeout: {timeout} is no number of seconds; None waits without limit")
        return Selection(self.next, handles, sets).wait(timeout)

    def _leave_to_parent(self) -> None:
        for handle in self._contexts.values():
            handle.driven = None
        super()._leave_to_parent()


@atexit.register
def _at_exit() -> None:
    """The process ends: close what is open above a driver, and send what is owed."""
    keeper.ending = True
    for record in reversed(list(records.values())):
        is_driven = any(isinstance(layer, Direct) for layer in record.chain.layers)
        if is_driven and not record.hidden and not record.adopted:
            _close(record.handle)
    keeper.drain(keeper.closing())


def _close(s: int) -> None:
    try:
        handles.close(s)
    except WinsockError:
        pass  # it was closed behind our back


def _check_transfer(function: str, buffers: Sequence[ReadBuffer], overlapped: object) -> None:
    if overlapped is not None:
        raise unsupported(f"{function} with an overlapped structure")
    if not buffers:
        raise WinsockError(WSAEINVAL, "buffers: there is none")


def _readable(buffers: Sequence[ReadBuffer]) -> Sequence[ReadBuffer]:
    if len(buffers) == 1 and type(buffers[0]) is bytes:
        return buffers
    try:
        return [memoryview(buffer).cast("B") for buffer in buffers]
    except TypeError as error:
        raise WinsockError(WSAEFAULT, f"buffers: {error}") from None


def _writable(buffers: Sequence[WriteBuffer]) -> list[memoryview]:
    try:
        views = [memoryview(buffer).cast("B") for buffer in buffers]
    except TypeError as error:
        raise WinsockError(WSAEFAULT, f"buffers: {error}") from None
    if any(view.readonly for view in views):
        raise WinsockError(WSAEFAULT, "buffers: they cannot be written to")
    return views
