"""Reliable datagrams (SOCK_RDM): nobody connects, and yet every message arrives, once and in order from each sender.

Beneath, the first message to an address opens a connection that carries what this socket sends there. A receiver takes
such connections as they come, one that has chosen a peer those of its peer alone. What cannot be delivered is told to
the sender's next receive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import FD_READ, FD_WRITE, MSG_PEEK
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEMSGSIZE,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.base.memory import channel as machine
from winsock.base.memory.channel import Channel
from winsock.base.memory.connections import Connection, Packet
from winsock.base.memory.datagrams import DatagramSocket, check_target, is_to_many
from winsock.base.memory.inbox import Inbox
from winsock.base.memory.messages import framed
from winsock.base.memory.ports import InetAddress
from winsock.base.memory.sockets import capacity_of, check_receive_flags, check_send_flags
from winsock.core.states import BOUND
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.provider import Memory


class ReliableSocket(DatagramSocket):
    """A socket of reliable datagrams."""

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        super().__init__(provider, host, flags)
        self._ways: dict[InetAddress, Connection] = {}
        """To where we have sent."""
        self._inbox = Inbox(self.receive_room)
        self._wants_room = 0

    @property
    def most_bytes(self) -> int:
        return self.protocol.message_size

    # What select asks.

    def is_readable(self) -> bool:
        return bool(self._inbox.queue) or self.pending_error != 0

    def is_writable(self) -> bool:
        way = None if self.peer is None else self._ways.get(self.peer)
        return way is None or way.channel.room >= max(1, self._wants_room)

    @property
    def readable_bytes(self) -> int:
        return self._inbox.byte_count

    def standing_events(self) -> dict[int, int]:
        events = super().standing_events()
        return events | {FD_READ: 0} if self._inbox.queue else events

    # Peers.

    def connect(self, name: InetAddress, caller_data: bytes) -> bytes:
        answer = super().connect(name, caller_data)
        for connection in self._inbox.connections():
            if self._is_stranger(connection.remote):
                self._inbox.drop(connection)
                connection.abort()
        self._pull()
        return answer

    def forget_peer(self) -> None:
        super().forget_peer()
        self._pull()

    def _is_stranger(self, source: InetAddress) -> bool:
        return self.peer is not None and source != self.peer

    def _forget_queue(self) -> None:
        self._inbox.clear()

    # Sending.

    def send(self, data: bytes, flags: int, to: InetAddress | None) -> int:
        """Send one message: to `to`, or to the peer; wait for room where the socket blocks."""
        check_send_flags(flags, self.protocol.name, partial=False)
        if self.sending_ended:
            raise WinsockError(WSAESHUTDOWN, "s: sending was shut down")
        target = to or self.peer
        if target is None:
            raise WinsockError(WSAEDESTADDRREQ, "to: a datagram needs an address, or a connected socket")
        check_target(target)
        if is_to_many(target.host):
            raise WinsockError(WSAEOPNOTSUPP, f"to: {self.protocol.name} go to one receiver each")
        if len(data) > self.protocol.message_size:
            raise WinsockError(WSAEMSGSIZE, f"buffers: {len(data)} bytes are more than a message can have")
        self.called("send")
        way = self._way_to(target)
        piece = framed(data)
        self._wait_for_room(way.channel, min(len(piece), self.send_room))
        way.channel.put(self.network.clock.time, piece)
        way.flush()
        return len(data)

    def _way_to(self, target: InetAddress) -> Connection:
        way = self._ways.get(target)
        if way is None:
            way = self._ways[target] = Connection.to(self, target)
            if self.local is not None and self.state != "connected":
                self.state = BOUND
        return way

    def _wait_for_room(self, channel: Channel, wanted: int) -> None:
        try:
            self.wait(
                lambda: channel.room >= wanted or channel.phase == machine.DEAD, self.send_timeout_ms, "room to send"
            )
        except WinsockError as error:
            self._wants_room = wanted if error.winerror == WSAEWOULDBLOCK else 0
            raise
        if channel.phase == machine.DEAD:
            self.pending_error = 0
            raise WinsockError(WSAECONNRESET, "to: nobody is there, and what was sent before is lost")

    # Receiving.

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, InetAddress | None]:
        """One message; where it is longer than the buffers, WSAEMSGSIZE, and it stays."""
        check_receive_flags(flags, self.protocol.name, waits_for_all=False)
        if self.receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        capacity_of(buffers)
        if not self._inbox.queue or self.pending_error:
            self._wait_for_data()
        try:
            return self._inbox.receive(buffers, bool(flags & MSG_PEEK))
        finally:
            self.called("receive")

    # What happens to its connections.

    def offered(self, packet: Packet) -> bool:
        if self._is_stranger(packet.source):
            return False
        connection = Connection.asked_by(packet, self)
        self._inbox.add(connection)
        connection.answer()
        return True

    def connection_changed(self, connection: Connection) -> None:
        """Something has arrived, or time ran out."""
        if connection in self._inbox:
            self._incoming_changed(connection)
        else:
            self._way_changed(connection)

    def _pull(self) -> None:
        if self._inbox.pull():
            self.happened(FD_READ)

    def _incoming_changed(self, connection: Connection) -> None:
        self._pull()
        channel = connection.channel
        if channel.phase == machine.DEAD or (channel.peer_ended and not channel.readable):
            self._inbox.drop(connection)
            connection.let_go(False)

    def _way_changed(self, connection: Connection) -> None:
        channel = connection.channel
        if channel.phase == machine.DEAD or channel.peer_ended:
            self._ways.pop(connection.remote, None)
            if channel.error:
                refused = channel.error == WSAECONNREFUSED
                self.pending_error = WSAECONNRESET if refused else channel.error
                self.happened(FD_READ)
            connection.let_go(False)
        elif self._wants_room and channel.room >= self._wants_room:
            self._wants_room = 0
            self.happened(FD_WRITE)

    # The end.

    def close(self) -> None:
        for connection in (*self._ways.values(), *self._inbox.connections()):
            if self.linger.onoff and not self.linger.seconds:
                connection.abort()
            else:
                connection.let_go(False)
        super().close()

    def resized(self) -> None:
        self._inbox.room = self.receive_room

    def crashed(self) -> None:
        self._ways.clear()
        self._inbox = Inbox(self.receive_room)
        super().crashed()
