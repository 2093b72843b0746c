"""Multipoint sessions with a root: one c_root, which is the d_root, and leaves.

Each leaf is joined to the root by a connection of messages. At the root the connection has a socket of its own, a
c_leaf, which is good for its network events and for being closed; the data of all of them goes through the root: what
it sends goes to every leaf, and what any leaf sends it receives. A leaf sends to the root alone.

Whoever listens is invited: a root by leaves that join at it, a leaf by the root. A request says that it is a join, and
in which directions data will flow, so that a join comes to a session and a plain connect to a plain socket.

Sources: nc-ws2spi-lpwspjoinleaf; multipoint-taxonomy-2; spi-semantics-for-joining-multipoint-leaves-2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from winsock.abi.constants import (
    FD_CLOSE,
    FD_CONNECT,
    FD_READ,
    FD_WRITE,
    JL_BOTH,
    JL_RECEIVER_ONLY,
    JL_SENDER_ONLY,
    MSG_PEEK,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_MULTIPOINT_D_LEAF,
    WSA_FLAG_MULTIPOINT_D_ROOT,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAEALREADY,
    WSAECONNABORTED,
    WSAEDISCON,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.base.memory import channel as machine
from winsock.base.memory.channel import Channel
from winsock.base.memory.connections import Connection, Packet
from winsock.base.memory.inbox import Inbox
from winsock.base.memory.messages import framed
from winsock.base.memory.ports import ANY, InetAddress
from winsock.base.memory.sockets import Socket, capacity_of, check_receive_flags, check_send_flags
from winsock.base.memory.streams import StreamSocket
from winsock.core.states import BOUND, BROKEN, CONNECTED, CONNECTING, HALVES, LISTENING, NEW, REFUSED
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.provider import Memory

ROOT, LEAF, BRANCH, PLAIN = "root", "leaf", "branch", "plain"
"""What a socket is in a session: its root, a leaf, the root's own socket for a leaf; or in none."""

_ROLES = {
    WSA_FLAG_MULTIPOINT_C_ROOT | WSA_FLAG_MULTIPOINT_D_ROOT: ROOT,
    WSA_FLAG_MULTIPOINT_C_LEAF | WSA_FLAG_MULTIPOINT_D_LEAF: LEAF,
    0: PLAIN,
}
_MULTIPOINT = WSA_FLAG_MULTIPOINT_C_ROOT | WSA_FLAG_MULTIPOINT_D_ROOT
_MULTIPOINT |= WSA_FLAG_MULTIPOINT_C_LEAF | WSA_FLAG_MULTIPOINT_D_LEAF

_MIRRORED = {JL_SENDER_ONLY: JL_RECEIVER_ONLY, JL_RECEIVER_ONLY: JL_SENDER_ONLY, JL_BOTH: JL_BOTH}
"""What a join of one end is to the other."""
_CONNECT, _FROM_ROOT = 0x00, 0x80
"""In the first byte of a request: a plain connect; a root's invitation."""


class RootedSocket(StreamSocket):
    """A socket of the rooted protocol."""

    conditional = True
    carries_data = True
    root: RootedSocket | None = None
    """Of a branch: whose it is."""
    may_send: bool = True
    may_receive: bool = True

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        super().__init__(provider, host, flags)
        role = _ROLES.get(flags & _MULTIPOINT)
        if role is None:
            raise WinsockError(WSAEINVAL, "flags: the root of the control plane is that of the data plane, here")
        self.role = role
        self.branches: dict[Connection, RootedSocket] = {}
        """Of a root: its sockets for the leaves that are joined."""
        self._joining: RootedSocket | None = None
        """The branch whose join is on its way."""
        self._inbox = Inbox(self.receive_room)

    # What select asks.

    def is_readable(self) -> bool:
        if self._inbox.queue:
            return True
        if self.state == CONNECTED:
            return self._is_at_end()
        return super().is_readable()

    def is_writable(self) -> bool:
        if self.role == ROOT:
            return bool(self.branches) and all(self.has_room(connection.channel) for connection in self.branches)
        return self.role != BRANCH and super().is_writable()

    def is_exceptional(self) -> bool:
        return self.role == PLAIN and super().is_exceptional()  # select does not tell of joins

    def polled(self) -> int:
        if self.state == REFUSED and self.role != PLAIN:  # nor does WSAPoll
            return 0
        return super().polled()

    @property
    def readable_bytes(self) -> int:
        return self._inbox.byte_count

    def has_data(self) -> bool:
        return bool(self._inbox.queue)

    # Joining.

    def connect(self, name: InetAddress, caller_data: bytes) -> bytes:
        if self.role != PLAIN:
            raise WinsockError(WSAEINVAL, "s: a socket of a multipoint session joins (WSPJoinLeaf)")
        return super().connect(name, caller_data)

    def join(self, name: InetAddress, caller_data: bytes, flags: int) -> Socket:
        """A leaf joins at a root, and is the result; a root has a leaf join, and the result is a branch.

        A socket that does not block comes back at once, and FD_CONNECT tells the outcome on this one.
        """
        if self.role not in (ROOT, LEAF):
            raise WinsockError(WSAEINVAL, "s: the socket was not made for multipoint sessions")
        if flags not in _MIRRORED:
            raise WinsockError(WSAEINVAL, f"flags: {flags} is none of JL_SENDER_ONLY, JL_RECEIVER_ONLY, JL_BOTH")
        if name.host in ANY or name.port == 0:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is no address to join at")
        request = bytes([flags | (_FROM_ROOT if self.role == ROOT else 0)]) + caller_data
        joining = self._join_leaf(name, request, flags) if self.role == ROOT else self._join_root(name, request, flags)
        if self.blocking:
            joining.finish_join()
        return joining

    def _join_root(self, name: InetAddress, request: bytes, flags: int) -> RootedSocket:
        state = self.life.after(self.state, "connect")
        self._ask(name, request)
        self.state = state
        self._set_directions(flags)
        return self

    def _join_leaf(self, name: InetAddress, request: bytes, flags: int) -> RootedSocket:
        if self._joining is not None and self._joining.state == CONNECTING:
            raise WinsockError(WSAEALREADY, "s: another leaf is about to join")
        branch = RootedSocket(self.provider, self.host, self.flags)
        self._hand_down(branch)
        self.host.admit(branch)
        try:
            connection = Connection.to(self, name, request, self.retransmit_s)
        except WinsockError:
            self.host.dismiss(branch)
            raise
        if self.state == NEW:
            self.state = BOUND
        self.renew_connect()
        self._joining = branch
        branch.become_branch(self, connection)
        branch.state = CONNECTING
        branch._set_directions(flags)
        return branch

    def become_branch(self, root: RootedSocket, connection: Connection) -> None:
        """Be the root's own socket for one leaf."""
        self.role, self.root = BRANCH, root
        self.connection = connection
        connection.owner = self
        self.local, self.peer = connection.local, connection.remote

    def finish_join(self) -> None:
        """Wait for the outcome of a join; where it failed, a branch is closed."""
        try:
            self._finish_connect()
        except WinsockError:
            if self.role == BRANCH:
                self.close()
            raise

    def _set_directions(self, flags: int) -> None:
        self.may_send, self.may_receive = flags != JL_RECEIVER_ONLY, flags != JL_SENDER_ONLY

    def _ask(self, name: InetAddress, caller_data: bytes) -> None:
        super()._ask(name, bytes([_CONNECT]) + caller_data if self.role == PLAIN else caller_data)

    def _connect_ended(self, channel: Channel) -> None:
        if self.role != BRANCH:
            super()._connect_ended(channel)
            if self.state == CONNECTED:
                self._inbox.add(self.connection_now)
            return
        assert self.root is not None
        if channel.phase == machine.OPEN:
            self.state = CONNECTED
            self.connect_time = self.network.clock.time
            self.root.joined(self)
            self.root.happened(FD_CONNECT)
            self.root.happened(FD_WRITE)
        elif channel.phase == machine.DEAD:
            self.state = REFUSED
            self.connection = None
            self.failure = channel.error or WSAECONNABORTED
            self.root.happened(FD_CONNECT, self.failure)

    def joined(self, branch: RootedSocket) -> None:
        """A leaf has joined at this root."""
        self.branches[branch.connection_now] = branch
        self._inbox.add(branch.connection_now)

    # Accepting.

    def offered(self, packet: Packet) -> bool:
        """A root is asked by leaves, a leaf by roots, a plain socket by whoever connects."""
        kind = packet.segment.note[0] if packet.segment.note else _CONNECT
        wanted = PLAIN if kind == _CONNECT else LEAF if kind & _FROM_ROOT else ROOT
        return self.role == wanted and super().offered(packet)

    def request_note(self, connection: Connection) -> bytes:
        return connection.channel.peer_note[1:]

    def _take(self, connection: Connection, answer: bytes) -> Self:
        kind = connection.channel.peer_note[:1]
        accepted = super()._take(connection, answer)
        if self.role != PLAIN and kind:
            accepted._set_directions(_MIRRORED.get(kind[0] & ~_FROM_ROOT, JL_BOTH))
        if self.role == ROOT:
            accepted.become_branch(self, connection)
            self.joined(accepted)
        else:
            accepted._inbox.add(connection)
        return accepted

    # What happens to the connections.

    def connection_changed(self, connection: Connection) -> None:
        super().connection_changed(connection)
        if self.role == BRANCH and connection is self.connection and self.root is not None:
            self.root.branch_changed(self, connection)

    def _look(self, channel: Channel) -> None:
        self._arrived = channel.arrived  # messages are told of, not bytes
        if self.role != BRANCH and self._inbox.pull():
            self.happened(FD_READ)
        super()._look(channel)

    def branch_changed(self, branch: RootedSocket, connection: Connection) -> None:
        """Something happened to a leaf of this root."""
        if self._inbox.pull():
            self.happened(FD_READ)
        channel = connection.channel
        if channel.phase == machine.DEAD or (channel.peer_ended and not channel.readable):
            self.lose(connection)
        if self.wants_room and self.is_writable():
            self.wants_room = 0
            self.happened(FD_WRITE)

    def lose(self, connection: Connection) -> None:
        """A leaf has left."""
        self.branches.pop(connection, None)
        self._inbox.drop(connection)

    # Sending.

    def send(self, data: bytes, flags: int, to: InetAddress | None) -> int:
        """A message from the root to every leaf, or from a leaf to the root, once there is room at all of them."""
        check_send_flags(flags, self.protocol.name, partial=False)
        self._check_sender()
        if len(data) > self.protocol.message_size:
            raise WinsockError(WSAEMSGSIZE, f"buffers: {len(data)} bytes are more than a message can have")
        self.called("send")
        piece = framed(data)
        self.wait_for_room(min(len(piece), self.send_room))
        for connection in self._receivers():
            connection.channel.put(self.network.clock.time, piece)
            connection.flush()
        return len(data)

    def _check_sender(self) -> None:
        if self.role == BRANCH:
            raise WinsockError(WSAEOPNOTSUPP, "s: the root's socket for one leaf sends nothing; the root does")
        if self.role == ROOT:
            if not self.branches:
                raise WinsockError(WSAENOTCONN, "s: no leaf has joined")
            if self.sending_ended:
                raise WinsockError(WSAESHUTDOWN, "s: sending was shut down")
        else:
            self.check_sending()
        if not self.may_send:
            raise WinsockError(WSAEACCES, "s: the socket joined as a receiver only")

    def _receivers(self) -> list[Connection]:
        if self.role != ROOT:
            return [self.connection_now]
        return [connection for connection, branch in self.branches.items() if branch.may_send]

    def wait_for_room(self, wanted: int) -> None:
        if self.role != ROOT:
            super().wait_for_room(wanted)
            return
        try:
            self.wait(
                lambda: all(connection.channel.room >= wanted for connection in self._receivers()),
                self.send_timeout_ms,
                "room at every leaf",
            )
        except WinsockError as error:
            self.wants_room = wanted if error.winerror == WSAEWOULDBLOCK else 0
            raise

    # Receiving.

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, InetAddress | None]:
        """A message; where it is longer than the buffers, WSAEMSGSIZE, and it stays. The root is told who sent it."""
        check_receive_flags(flags, self.protocol.name, waits_for_all=False)
        self._check_receiver()
        capacity_of(buffers)
        try:
            self.wait(self._has_news, self.receive_timeout_ms, "a message")
            if not self._inbox.queue:
                self._check_receiver()
                raise WinsockError(WSAEDISCON, f"s: {self.peer or 'every leaf'} has left")
            count, out_flags, source = self._inbox.receive(buffers, bool(flags & MSG_PEEK))
        finally:
            self.called("receive")
        return count, out_flags, source if self.role == ROOT else None

    def _has_news(self) -> bool:
        if self._inbox.queue:
            return True
        if self.role == ROOT:
            return not self.branches and self.state != LISTENING
        return self.state != CONNECTED or self._is_at_end()

    def _check_receiver(self) -> None:
        if self.role == BRANCH:
            raise WinsockError(WSAEOPNOTSUPP, "s: the root's socket for one leaf receives nothing; the root does")
        if self.receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        if self.role != ROOT:
            if not self._inbox.queue:
                self.check_receiving()
        elif self.local is None:
            raise WinsockError(WSAEINVAL, "s: the socket is not bound")
        elif not (self.branches or self._inbox.queue or self.state == LISTENING):
            raise WinsockError(WSAENOTCONN, "s: no leaf has joined")

    # The end.

    def shut_down(self, how: int, note: bytes = b"") -> None:
        if self.role != ROOT:
            super().shut_down(how, note)
            return
        if not self.branches:
            raise WinsockError(WSAENOTCONN, "s: no leaf has joined")
        self.sending_ended |= "send" in HALVES[how]
        self.receiving_ended |= "receive" in HALVES[how]
        for connection, branch in self.branches.items():
            if self.sending_ended:
                connection.channel.end(self.network.clock.time, note)
                connection.flush()
            branch.happened(FD_CLOSE)

    def stop_receiving(self) -> None:
        if self.role != ROOT:
            super().stop_receiving()
            return
        if not self.branches:
            raise WinsockError(WSAENOTCONN, "s: no leaf has joined")
        self.receiving_ended = True

    def close(self) -> None:
        for connection, branch in list(self.branches.items()):
            self.lose(connection)
            branch.root_left()
        if self._joining is not None and self._joining.state == CONNECTING:
            self._joining.root_left()
        if self.root is not None:
            self.root.forget_join(self)
            if self.connection is not None:
                self.root.lose(self.connection)
        super().close()

    def forget_join(self, branch: RootedSocket) -> None:
        """A branch was closed: if its leaf had not joined yet, that join is cancelled, and another may begin."""
        if self._joining is branch:
            self._joining = None

    def root_left(self) -> None:
        """The session is over."""
        if self.connection is not None:
            self._close_connection(self.connection)
        self.state, self.failure = BROKEN, WSAECONNABORTED
        self.happened(FD_CLOSE)

    def resized(self) -> None:
        super().resized()
        self._inbox.room = self.receive_room

    def crashed(self) -> None:
        self.branches.clear()
        self._inbox = Inbox(self.receive_room)
        super().crashed()
