"""A connection's end at a host: the channel, and what carries its segments.

It outlives its socket: what was sent before a close is delivered in the background. When that is done, the host only
remembers for a while that the connection ended in order, so that the peer's last words are answered as they should be.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, cast

from winsock.abi.errors import WinsockError
from winsock.base.memory import channel as machine
from winsock.base.memory.channel import FIN, RST, SYN, Channel, Segment
from winsock.base.memory.hosts import Ended

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.links import Link
    from winsock.base.memory.ports import InetAddress
    from winsock.base.memory.sockets import Socket

REMEMBERED_S = 60.0
"""How long the last words of a connection that ended are answered."""


class Owner(Protocol):
    """Whose connection it is."""

    def connection_changed(self, connection: Connection) -> None:
        """Something has arrived, or time ran out."""
        ...


class Packet(NamedTuple):
    """A segment on its way."""

    link: Link
    slot: int
    source: InetAddress
    target: InetAddress
    segment: Segment


class Connection:
    """One end. After each call of the channel's own methods, `flush`."""

    __slots__ = ("_tick_at", "channel", "host", "key", "local", "owner", "remote", "slot")

    def __init__(
        self, host: Host, slot: int, local: InetAddress, remote: InetAddress, channel: Channel, owner: Owner | None
    ) -> None:
        self.host = host
        self.slot = slot
        self.local = local
        self.remote = remote
        self.channel = channel
        self.owner = owner
        self.key = 2 * channel.tag + channel.is_opener
        self._tick_at = inf
        host.connections[self.key] = self

    @classmethod
    def to(cls, socket: Socket, target: InetAddress, note: bytes = b"", patience_s: float | None = None) -> Self:
        """Ask for a connection from a socket that is bound; WSAEHOSTUNREACH, WSAENETUNREACH."""
        host = socket.host
        size = max(1, host.route(target.host).conditions.mtu - machine.HEADER)
        channel = Channel(host.network.next_tag(), True, size, socket.send_room, socket.receive_room)
        channel.patience_s = patience_s
        connection = cls(host, socket.slot, socket.bind_for(target), target, channel, cast(Owner, socket))
        channel.open(host.network.clock.time, note)
        connection.flush()
        return connection

    @classmethod
    def asked_by(cls, packet: Packet, socket: Socket) -> Self:
        """What a request asks for, not answered yet."""
        segment = packet.segment
        size = max(1, packet.link.conditions.mtu - machine.HEADER)
        channel = Channel(segment.tag, False, size, socket.send_room, socket.receive_room)
        channel.peer_note = segment.note
        return cls(socket.host, packet.slot, packet.target, packet.source, channel, cast(Owner, socket))

    def answer(self, note: bytes = b"") -> None:
        """Take it."""
        self.channel.answer(self.host.network.clock.time, note)
        self.flush()

    def flush(self) -> None:
        """Send what the channel has to send, and see to its deadline."""
        channel, network = self.channel, self.host.network
        if channel.outbox:
            segments, channel.outbox = channel.outbox, []
            for segment in segments:
                send(self.host, self.slot, self.local, self.remote, segment)
        if channel.deadline is not None and channel.deadline < self._tick_at:
            self._tick_at = channel.deadline
            network.clock.at(channel.deadline, self._tick)
        is_dead = channel.phase == machine.DEAD
        is_over = is_dead or (self.owner is None and channel.is_ended)
        if is_over and self.host.connections.pop(self.key, None) is not None:
            _remember(self.host, self.key, in_order=not is_dead)

    def receive(self, segment: Segment) -> None:
        """A segment has arrived here."""
        self.channel.receive(self.host.network.clock.time, segment)
        self._tell()

    def let_go(self, is_unread: bool) -> None:
        """The socket is closed: what is still to be sent is sent in the background, if nothing was left unread."""
        self.owner = None
        self.channel.stop_listening(is_unread)
        self.channel.end(self.host.network.clock.time)
        self.flush()

    def abort(self) -> None:
        """End it with a reset."""
        self.owner = None
        self.channel.abort()
        self.flush()

    def _tick(self, _: object) -> None:
        if self.host.connections.get(self.key) is not self:
            return
        now = self.host.network.clock.time
        if now >= self._tick_at:
            self._tick_at = inf
        self.channel.tick(now)
        self._tell()

    def _tell(self) -> None:
        if self.owner is not None:
            self.owner.connection_changed(self)
        self.flush()


def send(host: Host, slot: int, source: InetAddress, target: InetAddress, segment: Segment) -> None:
    """Put a segment on its way; where there is none, it is lost."""
    try:
        link = host.route(target.host)
    except WinsockError:
        return
    size = machine.HEADER + len(segment.data) + len(segment.note)
    host.network.carry(link, slot, source, target, segment, size, arrived, Packet(link, slot, source, target, segment))


def arrived(packet: Packet) -> None:
    """A segment has reached its host."""
    host, segment = packet.link.target, packet.segment
    if packet.link.blocked or not host.is_up:
        host.network.tell(packet.slot, packet.source, packet.target, segment, "cut off")
        return
    connection = host.connections.get(segment.key)
    if connection is not None:
        connection.receive(segment)
    elif segment.flags & SYN:
        if segment.key not in host.ended:  # else it is an echo of what was answered
            _offer(host, packet)
    elif not segment.flags & RST:
        _answer_stray(host, packet)


def _offer(host: Host, packet: Packet) -> None:
    """Somebody asks for a connection."""
    for socket in host.ports[packet.slot].at(packet.target):
        if socket.offered(packet):
            return
    _reset(host, packet)


def _answer_stray(host: Host, packet: Packet) -> None:
    """For a connection that there is not: the end of one that ended in order is acknowledged, all else is reset."""
    segment = packet.segment
    ended = host.ended.get(segment.key)
    if ended is not None and ended.in_order and not segment.data:
        if segment.flags & FIN:
            answer = Segment(segment.tag, not segment.to_opener, 0, _LATE, segment.ack, segment.seq + 1, 0)
            send(host, packet.slot, packet.target, packet.source, answer)
        return
    _reset(host, packet)


def _reset(host: Host, packet: Packet) -> None:
    segment = packet.segment
    answer = Segment(segment.tag, not segment.to_opener, RST, _LATE, segment.ack, segment.seq, 0)
    send(host, packet.slot, packet.target, packet.source, answer)


_LATE = 1 << 62
"""Newer than whatever was sent before."""


def _remember(host: Host, key: int, in_order: bool) -> None:
    now = host.network.clock.time
    while host.ended and next(iter(host.ended.values())).until <= now:
        host.ended.popitem(last=False)
    host.ended[key] = Ended(in_order, now + REMEMBERED_S)
