"""Sockets that connect, and the bytes of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import (
    FD_ACCEPT,
    FD_CLOSE,
    FD_CONNECT,
    FD_READ,
    FD_WRITE,
    MSG_PEEK,
    MSG_WAITALL,
    POLLERR,
    POLLHUP,
    POLLRDNORM,
    POLLWRNORM,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAECONNABORTED,
    WSAEINTR,
    WSAEPROTONOSUPPORT,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.base.memory import channel as machine
from winsock.base.memory.channel import Channel
from winsock.base.memory.connections import Connection
from winsock.base.memory.listening import ListeningSocket
from winsock.base.memory.ports import ANY, InetAddress
from winsock.base.memory.sockets import capacity_of, check_receive_flags, check_send_flags, scatter
from winsock.core.states import BROKEN, CONNECTED, CONNECTING, HALVES, LISTENING, REFUSED
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.provider import Memory


class StreamSocket(ListeningSocket):
    """A socket of TCP."""

    failure: int = 0
    """Why the last connect failed, or the connection broke."""
    failed_alone: bool = False
    """The connect that failed was a non-blocking one."""
    wants_room: int = 0
    """How many bytes of it a send did not find."""

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        super().__init__(provider, host, flags)
        self._arrived = 0
        """Bytes that had arrived when an event was last recorded."""

    @property
    def channel(self) -> Channel:
        """Of a connected socket."""
        assert self.connection is not None
        return self.connection.channel

    # What select asks.

    def is_readable(self) -> bool:
        if self.state == LISTENING:
            return bool(self._queue.waiting)
        return self.state == BROKEN or (self.state == CONNECTED and (self.readable_bytes > 0 or self._is_at_end()))

    def is_writable(self) -> bool:
        return self.state == BROKEN or (self.state == CONNECTED and (self.has_room(self.channel) or self.sending_ended))

    def polled(self) -> int:
        if self.state in (BROKEN, REFUSED):
            return POLLWRNORM | POLLERR | POLLHUP
        if self.state != CONNECTED:
            return super().polled()
        told = (POLLRDNORM if self.has_data() else 0) | (POLLWRNORM if self.is_writable() else 0)
        return told | POLLHUP if self.channel.peer_ended else told

    def has_room(self, channel: Channel) -> bool:
        """Whether a send would find some, or what the last one did not find."""
        return channel.room >= max(1, self.wants_room)

    def is_exceptional(self) -> bool:
        return self.failed_alone

    @property
    def readable_bytes(self) -> int:
        return self.channel.readable if self.state == CONNECTED else 0

    def _is_at_end(self) -> bool:
        return self.channel.peer_ended or self.receiving_ended

    def standing_events(self) -> dict[int, int]:
        events = {}
        if self.state == LISTENING and self._queue.waiting:
            events[FD_ACCEPT] = 0
        if self.state == CONNECTED:
            if not self.was_accepted:
                events[FD_CONNECT] = 0
            events[FD_WRITE] = 0
            if self.is_readable() and self.has_data():
                events[FD_READ] = 0
            if self.channel.peer_ended:
                events[FD_CLOSE] = 0
        elif self.state == BROKEN:
            events[FD_CLOSE] = self.failure
        elif self.failed_alone:
            events[FD_CONNECT] = self.failure
        return events

    def has_data(self) -> bool:
        """Whether there is something to receive, apart from the end."""
        return self.readable_bytes > 0

    # Connecting.

    def connect(self, name: InetAddress, caller_data: bytes) -> bytes:
        """Ask for a connection, and wait for the answer where the socket blocks. What came with the answer."""
        state = self.life.after(self.state, "connect")
        if caller_data and not self.carries_data:
            raise WinsockError(WSAEPROTONOSUPPORT, f"caller_data: {self.protocol.name} carries no connect data")
        if name.host in ANY or name.port == 0:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is no address to connect to")
        self._ask(name, caller_data)
        self.state = state
        if not self.blocking:
            raise WinsockError(WSAEWOULDBLOCK, f"the connection to {name} is on its way")
        return self._finish_connect()

    def _ask(self, name: InetAddress, caller_data: bytes) -> None:
        self.renew_connect()
        self.connection = Connection.to(self, name, caller_data, self.retransmit_s)
        self.local, self.peer = self.connection.local, name

    def renew_connect(self) -> None:
        """Another attempt: what became of the last one is forgotten."""
        self.failed_alone = False
        self.failure = self.error = 0
        if self.selection is not None:
            self.selection.renew(FD_CONNECT)

    def _finish_connect(self) -> bytes:
        try:
            self.wait_until(lambda: self.state != CONNECTING, None, f"a connection to {self.peer}")
        except WinsockError:
            self._damaged()
            raise
        self.check_alive()
        if self.state == CONNECTED:
            return self.callee_note
        self.failed_alone = False
        self.error = 0
        raise WinsockError(self.failure, f"no connection to {self.peer}")

    def _connect_ended(self, channel: Channel) -> None:
        if channel.phase == machine.OPEN:
            self.state = CONNECTED
            self.callee_note = channel.peer_note
            self.connect_time = self.network.clock.time
            self.happened(FD_CONNECT)
            self.happened(FD_WRITE)
        elif channel.phase == machine.DEAD:
            self.state = REFUSED
            self.connection = None
            self.failure = self.error = channel.error or WSAECONNABORTED
            self.failed_alone = True
            self.happened(FD_CONNECT, self.failure)

    # What happens to the connection.

    def connection_changed(self, connection: Connection) -> None:
        """Something has arrived, or time ran out."""
        if connection is not self.connection:
            super().connection_changed(connection)
            return
        channel = connection.channel
        if self.state == CONNECTING:
            self._connect_ended(channel)
        if self.state != CONNECTED:
            return
        if channel.phase == machine.DEAD:
            self._broken(channel.error or WSAECONNABORTED)
        else:
            self._look(channel)

    def _damaged(self) -> None:
        """A call was cancelled halfway: nothing but a close makes sense any more."""
        if self.connection is not None and not self.is_closed:
            self.connection.abort()
            self._broken(WSAECONNABORTED)

    def _broken(self, error: int) -> None:
        self.state = BROKEN
        self.failure = error
        self.happened(FD_CLOSE, error)

    def _look(self, channel: Channel) -> None:
        """What is new in a connection that lives."""
        if channel.arrived > self._arrived:
            self._arrived = channel.arrived
            self.happened(FD_READ)
        if self.wants_room and self.has_room(channel):
            self.wants_room = 0
            self.happened(FD_WRITE)
        if channel.peer_ended:
            self.last_note = channel.peer_note
            self.happened(FD_CLOSE)

    # Sending.

    def send(self, data: bytes, flags: int, to: InetAddress | None) -> int:
        """Send; all of it where the socket blocks. WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN, WSAESHUTDOWN, ..."""
        check_send_flags(flags, self.protocol.name, partial=False)
        self.check_sending()
        self.called("send")
        return self.write(data)

    def check_sending(self) -> None:
        """Raises WSAENOTCONN, WSAESHUTDOWN, or what broke the connection."""
        self.life.after(self.state, "send")
        self.check_broken()
        if self.sending_ended:
            raise WinsockError(WSAESHUTDOWN, "s: sending was shut down")

    def check_broken(self) -> None:
        """Raises what broke the connection."""
        if self.state == BROKEN:
            raise WinsockError(self.failure, "s: the connection is broken")

    def write(self, data: bytes) -> int:
        """As much as there is room for; all of it where the socket blocks, or as much as its time-out allows."""
        rest = memoryview(data)
        while rest:
            try:
                self.wait_for_room(1)
            except WinsockError as error:
                if len(rest) < len(data) and error.winerror in (WSAEWOULDBLOCK, WSAETIMEDOUT):
                    break
                if len(rest) < len(data) and error.winerror == WSAEINTR:
                    self._damaged()
                raise
            taken = self.channel.write(self.network.clock.time, rest)
            rest = rest[taken:]
            self.connection_now.flush()
            if not self.blocking:
                break
        return len(data) - len(rest)

    @property
    def connection_now(self) -> Connection:
        """Of a connected socket."""
        assert self.connection is not None
        return self.connection

    def wait_for_room(self, wanted: int) -> None:
        """Wait for so many bytes of it; raises what `wait` and `check_sending` do."""
        try:
            self.wait(
                lambda: self.state != CONNECTED or self.channel.room >= wanted or self.sending_ended,
                self.send_timeout_ms,
                "room to send",
            )
        except WinsockError as error:
            self.wants_room = wanted if error.winerror == WSAEWOULDBLOCK else 0
            raise
        self.check_sending()

    # Receiving.

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, InetAddress | None]:
        """Bytes; none at the end. WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN, WSAESHUTDOWN, WSAECONNRESET, ..."""
        check_receive_flags(flags, self.protocol.name, waits_for_all=self.blocking)
        self.check_receiving()
        capacity = capacity_of(buffers)
        try:
            data = self._read(capacity, flags)
        finally:
            self.called("receive")
        scatter(data, buffers)
        return len(data), 0, None

    def _read(self, capacity: int, flags: int) -> bytes:
        self._wait_for_bytes(capacity)
        data = self._take_bytes(capacity, bool(flags & MSG_PEEK))
        while flags & MSG_WAITALL and len(data) < capacity and not self._is_at_end():
            try:
                self._wait_for_bytes(capacity)
            except WinsockError:
                break  # what came is not lost, and the next call fails
            data += self._take_bytes(capacity - len(data), peek=False)
        return data

    def _take_bytes(self, count: int, peek: bool) -> bytes:
        data = self.channel.read(count, peek)
        self.connection_now.flush()
        return data

    def check_receiving(self) -> None:
        """Raises WSAEINVAL where not bound, WSAENOTCONN, WSAESHUTDOWN, or what broke the connection."""
        self.life.after(self.state, "receive")
        if self.receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        self.check_broken()

    def _wait_for_bytes(self, wanted: int) -> None:
        def ready() -> bool:
            return self.state != CONNECTED or self.channel.readable > 0 or wanted == 0 or self._is_at_end()

        self.wait(ready, self.receive_timeout_ms, "data")
        self.check_receiving()

    # The end.

    def shut_down(self, how: int, note: bytes = b"") -> None:
        super().shut_down(how)
        connection = self.connection_now
        if "send" in HALVES[how]:
            connection.channel.end(self.network.clock.time, note)
        if "receive" in HALVES[how]:
            connection.channel.stop_listening(self.readable_bytes > 0)
        connection.flush()
        if connection.channel.phase == machine.DEAD:
            self._broken(connection.channel.error or WSAECONNABORTED)

    def close(self) -> None:
        connection = self.connection
        if connection is not None and self.state in (CONNECTING, CONNECTED):
            self._close_connection(connection)
        super().close()

    def _close_connection(self, connection: Connection) -> None:
        linger = self.linger
        if self.state == CONNECTING or (linger.onoff and linger.seconds == 0):
            connection.abort()
        elif linger.onoff:
            self._linger(connection, linger.seconds)
        else:
            connection.let_go(self.readable_bytes > 0)

    def _linger(self, connection: Connection, seconds: int) -> None:
        """Wait until all is sent, and no longer than that; a socket that does not block does not wait."""
        channel = connection.channel
        if not self.blocking and channel.unacknowledged:
            raise WinsockError(WSAEWOULDBLOCK, "s: there is data to be sent, for which close would have to wait")
        self.is_closed = True
        connection.let_go(self.readable_bytes > 0)
        until = self.network.clock.time + seconds
        self.provider.wait(lambda: channel.is_ended or channel.phase == machine.DEAD, until, f"the end of {self!r}")
        if not channel.is_ended:
            connection.abort()

    def resized(self) -> None:
        if self.connection is not None:
            self.channel.send_room = self.send_room
            self.channel.receive_room = self.receive_room

    def crashed(self) -> None:
        self.connection = None
        if self.state in (CONNECTED, CONNECTING):
            self.state = BROKEN
        super().crashed()
