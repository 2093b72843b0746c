"""Sockets that wait for connections: listening, and accepting what comes.

A listener answers a request at once and keeps the connection until it is accepted, as TCP does; or, where the protocol
or SO_CONDITIONAL_ACCEPT has it so, it keeps the request, and accepting or rejecting is the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from winsock.abi.constants import CF_ACCEPT, CF_DEFER, CF_REJECT, FD_ACCEPT, SOMAXCONN
from winsock.abi.errors import (
    WSAEACCES,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEINVAL,
    WSATRY_AGAIN,
    WinsockError,
)
from winsock.base.memory import channel as machine
from winsock.base.memory.connections import Connection, Packet
from winsock.base.memory.ports import InetAddress
from winsock.base.memory.sockets import Socket
from winsock.core.states import CONNECTED, LISTENING, STREAMS

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.provider import Memory

_MANY_CONNECTIONS = 1024


class _Queue:
    """What waits at a listener."""

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.waiting: deque[Connection] = deque()
        """To be accepted: connections, or requests."""
        self.opening: list[Connection] = []
        """Answered, and not yet complete."""
        self.deferred: Connection | None = None
        """The one that a condition function deferred."""

    def has_deferred(self) -> bool:
        """Whether the first that waits was deferred: nothing is told of those behind it."""
        return bool(self.waiting) and self.waiting[0] is self.deferred

    def __len__(self) -> int:
        return len(self.waiting) + len(self.opening)


class ListeningSocket(Socket):
    """What a socket is that may listen: the half of a connecting socket that waits for others."""

    life = STREAMS
    connection: Connection | None = None
    conditional: bool = False
    """SO_CONDITIONAL_ACCEPT: requests wait for the condition function."""
    retransmit_s: float | None = None
    """TCP_MAXRT."""
    was_accepted: bool = False

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        super().__init__(provider, host, flags)
        self._queue = _Queue(0)

    def listen(self, backlog: int) -> None:
        """Take requests; of those beyond a smaller backlog the last are reset."""
        if self.state == LISTENING and len(self._queue) > max(1, backlog):
            for connection in list(self._queue.waiting)[max(1, backlog) :]:
                self._queue.waiting.remove(connection)
                connection.abort()
        self.state = self.life.after(self.state, "listen")
        self._queue.backlog = min(max(backlog, 1), SOMAXCONN, _MANY_CONNECTIONS)

    def offered(self, packet: Packet) -> bool:
        if self.state != LISTENING or len(self._queue) >= self._queue.backlog:
            return False
        connection = Connection.asked_by(packet, self)
        connection.channel.patience_s = self.retransmit_s
        if self.conditional:
            self._arrived_at_queue(connection)
        else:
            self._queue.opening.append(connection)
            connection.answer()
        return True

    def _arrived_at_queue(self, connection: Connection) -> None:
        self._queue.waiting.append(connection)
        if not self._queue.has_deferred():
            self.happened(FD_ACCEPT)

    def connection_changed(self, connection: Connection) -> None:
        """Something happened to a connection that waits to be accepted."""
        if connection in self._queue.opening:
            if connection.channel.phase == machine.OPEN:
                self._queue.opening.remove(connection)
                self._arrived_at_queue(connection)
            elif connection.channel.phase == machine.DEAD:
                self._queue.opening.remove(connection)

    # Accepting.

    def accept(self, condition: Callable[..., int] | None, callback_data: object) -> tuple[Socket, InetAddress]:
        """The first that waits. WSAEWOULDBLOCK, WSAEINVAL, WSAECONNREFUSED, WSATRY_AGAIN, WSAECONNRESET, WSAEACCES."""
        self.life.after(self.state, "accept")
        try:
            self.wait(lambda: bool(self._queue.waiting), 0, "a connection")
            return self._accept_first(condition, callback_data)
        finally:
            if not self._queue.has_deferred():
                self.called("accept")

    def _accept_first(self, condition: Callable[..., int] | None, callback_data: object) -> tuple[Socket, InetAddress]:
        connection = self._queue.waiting.popleft()
        self._queue.deferred = None
        if connection.channel.phase == machine.DEAD:
            code = WSAECONNRESET if connection.channel.error == WSAECONNRESET and not self.conditional else WSAEACCES
            raise WinsockError(code, f"{connection.remote} ended the connection before it was accepted")
        answer = b"" if condition is None else self._ask_condition(connection, condition, callback_data)
        return self._take(connection, answer), connection.remote

    def _take(self, connection: Connection, answer: bytes) -> Self:
        """A socket for a connection."""
        try:
            accepted = type(self)(self.provider, self.host, self.flags)
            self._hand_down(accepted)
            self.host.admit(accepted)
        except WinsockError:
            self._queue.waiting.appendleft(connection)
            raise
        accepted.connection = connection
        connection.owner = accepted
        accepted.local, accepted.peer = connection.local, connection.remote
        accepted.state = CONNECTED
        accepted.was_accepted = True
        accepted.connect_time = self.network.clock.time
        if connection.channel.phase == machine.OFFERED:
            connection.answer(answer)
        if self.selection is not None:
            self.selection.inherit(accepted)
        return accepted

    def _hand_down(self, accepted: ListeningSocket) -> None:
        """What an accepted socket has of its listener."""
        for name in _INHERITED:
            setattr(accepted, name, getattr(self, name))
        accepted.remembered = dict(self.remembered)

    def _ask_condition(self, connection: Connection, condition: Callable[..., int], callback_data: object) -> bytes:
        """Let the application decide; the callee's data where it accepts."""
        peer = connection.remote
        caller_data = self.request_note(connection) or None
        callee_data = bytearray() if self.carries_data else None
        try:
            answer = condition(peer, caller_data, None, None, connection.local, callee_data, 0, callback_data)
        except BaseException:
            self._queue.waiting.appendleft(connection)
            raise
        if answer == CF_ACCEPT:
            return bytes(callee_data or b"")
        if answer == CF_REJECT:
            connection.abort()
            raise WinsockError(WSAECONNREFUSED, f"the condition function rejected {peer}", address=peer)
        self._queue.waiting.appendleft(connection)
        if answer == CF_DEFER:
            self._queue.deferred = connection
            raise WinsockError(WSATRY_AGAIN, f"the condition function deferred {peer}", address=peer)
        raise WinsockError(WSAEINVAL, f"condition: {answer!r} is none of CF_ACCEPT, CF_REJECT, CF_DEFER", address=peer)

    def request_note(self, connection: Connection) -> bytes:
        """What came with a request, for the condition function."""
        return connection.channel.peer_note

    # Its end.

    def close(self) -> None:
        for waiting in (*self._queue.waiting, *self._queue.opening):
            waiting.abort()
        super().close()

    def crashed(self) -> None:
        self._queue = _Queue(0)
        super().crashed()


_INHERITED = (
    "blocking",
    "linger",
    "receive_timeout_ms",
    "send_timeout_ms",
    "send_room",
    "receive_room",
    "reuse",
    "exclusive",
    "retransmit_s",
)
