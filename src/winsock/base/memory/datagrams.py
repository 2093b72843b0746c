"""Datagram sockets: what is sent arrives whole, or not at all, or twice.

A datagram for a port where nobody is comes back as a word to its sender, who hears it as WSAECONNRESET at its next
receive. What finds no room at its receiver is lost. Broadcasts and multicasts go to each host on its own, over its own
link.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from winsock.abi.constants import (
    FD_CONNECT,
    FD_READ,
    FD_WRITE,
    JL_BOTH,
    JL_RECEIVER_ONLY,
    JL_SENDER_ONLY,
    MSG_PARTIAL,
    MSG_PEEK,
    WSA_FLAG_MULTIPOINT_C_LEAF,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMSGSIZE,
    WSAEPROTONOSUPPORT,
    WSAESHUTDOWN,
    WinsockError,
    name_of,
)
from winsock.base.memory.ports import ANY, InetAddress
from winsock.base.memory.sockets import (
    Socket,
    capacity_of,
    check_receive_flags,
    check_send_flags,
    scatter,
)
from winsock.core.states import BOUND, CONNECTED, DATAGRAMS, NEW
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.links import Link
    from winsock.base.memory.provider import Memory

BROADCAST = "255.255.255.255"
_HEADER = 28
_OVERHEAD = 32
"""Bytes of a receive buffer that a datagram takes beside its own."""
_MOST_BYTES = 65507


Packet: TypeAlias = "tuple[Link, int, InetAddress, InetAddress, bytes]"
"""A datagram on its way: the link, the slot of its protocol, source, target, data."""


def is_multicast(host: str) -> bool:
    """Whether an address is a group's."""
    if ":" in host:
        return host.lower().startswith("ff")
    return 224 <= int(host.partition(".")[0]) < 240


class DatagramSocket(Socket):
    """A socket of UDP."""

    life = DATAGRAMS
    is_connectionless = True
    reports_resets: bool = True
    """SIO_UDP_CONNRESET."""
    pending_error: int = 0
    """What became of something that was sent before, for the next receive to tell."""
    loops_back: bool = True
    """SIO_MULTIPOINT_LOOPBACK: it receives what it sends to a group of its own."""
    scope: int = 1
    """SIO_MULTICAST_SCOPE: 0 keeps multicasts on this host."""
    session: InetAddress | None = None
    """The group that it joined as a leaf."""

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        super().__init__(provider, host, flags)
        self._queue: deque[tuple[bytes, InetAddress]] = deque()
        self._queued = 0
        self._groups: set[str] = set()

    @property
    def most_bytes(self) -> int:
        return _MOST_BYTES

    # What select asks.

    def is_readable(self) -> bool:
        return bool(self._queue) or self.pending_error != 0

    def is_writable(self) -> bool:
        return True

    @property
    def readable_bytes(self) -> int:
        return sum(len(data) for data, _ in self._queue)

    def standing_events(self) -> dict[int, int]:
        events = {FD_READ: 0} if self._queue else {}
        return events | {FD_CONNECT: 0, FD_WRITE: 0} if self.state == CONNECTED else events

    # Peers and groups.

    def connect(self, name: InetAddress, caller_data: bytes) -> bytes:
        if name.host in ANY and name.port == 0:
            self.forget_peer()
            return b""
        if name.port == 0 or name.host in ANY:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is no address to send to")
        if not is_to_many(name.host):
            self.host.route(name.host)
        self.local = self.bind_for(name)
        if self.peer != name:
            self._forget_queue()
        self.peer = self.destination = name
        self.state = self.life.after(self.state, "connect")
        self.happened(FD_CONNECT)
        self.happened(FD_WRITE)
        return b""

    def forget_peer(self) -> None:
        self.peer = self.destination = None
        self._forget_queue()
        self.local = self.claim
        self.state = NEW if self.claim is None else BOUND

    def _forget_queue(self) -> None:
        self._queue.clear()
        self._queued = 0

    def join_group(self, group: str) -> None:
        """Become a member. Raises WSAEINVAL for what is no group, WSAEADDRNOTAVAIL for one that it is in already."""
        if not is_multicast(group):
            raise WinsockError(WSAEINVAL, f"{group} is no multicast group")
        if group in self._groups:
            raise WinsockError(WSAEADDRNOTAVAIL, f"the socket is a member of {group} already")
        self._groups.add(group)
        self.host.groups.setdefault(group, []).append(self)

    def leave_group(self, group: str) -> None:
        """Be a member no more. Raises WSAEADDRNOTAVAIL."""
        if group not in self._groups:
            raise WinsockError(WSAEADDRNOTAVAIL, f"the socket is no member of {group}")
        self._groups.remove(group)
        members = self.host.groups.get(group, [])
        if self in members:
            members.remove(self)
        if not members:
            self.host.groups.pop(group, None)

    def join(self, name: InetAddress, caller_data: bytes, flags: int) -> Socket:
        """Join the group of an address, to send, to receive or both: there is no root, and the socket is the leaf."""
        if not self.flags & WSA_FLAG_MULTIPOINT_C_LEAF:
            raise WinsockError(WSAEINVAL, "s: the socket was not made for multipoint sessions")
        if flags not in (JL_SENDER_ONLY, JL_RECEIVER_ONLY, JL_BOTH):
            raise WinsockError(WSAEINVAL, f"flags: {flags} is none of JL_SENDER_ONLY, JL_RECEIVER_ONLY, JL_BOTH")
        if not is_multicast(name.host):
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is no group")
        if self.state == CONNECTED:
            raise WinsockError(WSAEISCONN, "s: the socket is a member of a session, or connected")
        if caller_data:
            raise WinsockError(WSAEPROTONOSUPPORT, f"caller_data: {self.protocol.name} carries no connect data")
        if self.claim is None:
            self.claim_address(type(name)(ANY[":" in name.host], 0))
        if flags != JL_SENDER_ONLY:
            self.join_group(name.host)
        self.destination = name if flags != JL_RECEIVER_ONLY else None
        self.session, self.state = name, CONNECTED
        self.happened(FD_CONNECT)
        self.happened(FD_WRITE)
        return self

    def peer_name(self) -> InetAddress:
        self.life.after(self.state, "peer")
        named = self.peer or self.session
        assert named is not None
        return named

    # Sending.

    def send(self, data: bytes, flags: int, to: InetAddress | None) -> int:
        """Send one datagram: to `to`, or to the peer. WSAEDESTADDRREQ, WSAEMSGSIZE, WSAEACCES, ..."""
        if flags:
            check_send_flags(flags, self.protocol.name, partial=False)
        if self.sending_ended:
            raise WinsockError(WSAESHUTDOWN, "s: sending was shut down")
        target = to or self.destination
        if target is None:
            raise WinsockError(WSAEDESTADDRREQ, "to: a datagram needs an address, or a connected socket")
        if len(data) > _MOST_BYTES:
            raise WinsockError(WSAEMSGSIZE, f"buffers: {len(data)} bytes are more than a datagram can have")
        host = self.host
        link = host.routes.get(target[0])
        if link is None or not 0 < target[1] < 65536:
            check_target(target)
        if self.claim is None:
            self.bind_for(target)
            self.state = BOUND
        if self.selection is not None:
            self.called("send")
        if link is None:
            if is_to_many(target.host):
                return self._send_to_many(data, target, is_peer=to is None)
            link = host.route(target.host)
        if target[1] == 0:  # nobody is at port 0: sent, and lost
            return len(data)
        assert self.local is not None
        local = self.local
        source = local if local[0] not in ANY else type(target)(host.source_for(target), local[1])
        size = len(data)
        packet = (link, self.slot, source, target, data)
        self.network.carry(link, self.slot, source, target, size, size + _HEADER, _arrived, packet)
        return size

    def _send_to_many(self, data: bytes, target: InetAddress, is_peer: bool) -> int:
        """A broadcast to every host, a multicast to those with members."""
        if target.host == BROADCAST:
            if not self.broadcast and not is_peer:
                raise WinsockError(WSAEACCES, "to: the broadcast address needs SO_BROADCAST")
            hosts = self.network.hosts
        else:
            hosts = [host for host in self.network.hosts if target.host in host.groups]
            if self.scope == 0:
                hosts = [host for host in hosts if host is self.host]
        for link in filter(None, [self.network.between(self.host, host) for host in hosts]):
            origin = self.bind_for(target)
            packet = (link, self.slot, origin, target, data)
            deaf = None if self.loops_back else self
            size = len(data) + _HEADER
            self.network.carry(link, self.slot, origin, target, len(data), size, _arrived_for_many, (packet, deaf))
        return len(data)

    # Receiving.

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, InetAddress | None]:
        """One datagram; where it is longer than the buffers, WSAEMSGSIZE with what fitted, and the rest is lost.

        Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAECONNRESET, WSAESHUTDOWN, WSAEINVAL for a socket that is not bound.
        """
        if flags:
            check_receive_flags(flags, self.protocol.name, waits_for_all=False)
        if self.receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        capacity = capacity_of(buffers)
        queue = self._queue
        if not queue or self.pending_error:
            self._wait_for_data()
        data, source = queue[0]
        if not flags & MSG_PEEK:
            queue.popleft()
            self._queued -= len(data) + _OVERHEAD
        if self.selection is not None:
            self.called("receive")
        if len(data) <= capacity:
            scatter(data, buffers)
            return len(data), 0, source
        scatter(data[:capacity], buffers)
        if flags & MSG_PARTIAL:
            return capacity, MSG_PARTIAL, source
        raise WinsockError(
            WSAEMSGSIZE,
            f"buffers: the datagram is longer than {capacity} bytes, the rest is lost",
            count=capacity,
            flags=MSG_PARTIAL,
            address=source,
        )

    def _wait_for_data(self) -> None:
        if self.local is None:
            raise WinsockError(WSAEINVAL, "s: the socket is not bound")
        if self.selection is not None:
            self.called("receive")
        self.wait(self.is_readable, self.receive_timeout_ms, "a datagram")
        if self.pending_error:
            code, self.pending_error = self.pending_error, 0
            raise WinsockError(code, f"what was sent before did not arrive: {name_of(code)}")

    def take(self, source: InetAddress, data: bytes) -> str:
        """A datagram has arrived here; why it was not taken."""
        if self.peer is not None and source != self.peer:
            return "not from the peer"
        size = len(data) + _OVERHEAD
        if self._queued + size > self.receive_room and self._queue:
            return "no room"
        self._queue.append((data, source))
        self._queued += size
        if self.selection is not None:
            self.happened(FD_READ)
        return ""

    def found_nobody(self, target: InetAddress) -> None:
        """A datagram of ours came to a port where nobody is."""
        if self.reports_resets and self.peer in (None, target):
            self.pending_error = WSAECONNRESET
            self.happened(FD_READ)

    def close(self) -> None:
        for group in list(self._groups):
            self.leave_group(group)
        super().close()

    def crashed(self) -> None:
        self._groups.clear()
        super().crashed()


def check_target(target: InetAddress) -> None:
    """Raises WSAEFAULT for what is no address, WSAEADDRNOTAVAIL for one of zeros."""
    if target.host in ANY:
        raise WinsockError(WSAEADDRNOTAVAIL, f"to: {target} is no address to send to")
    target.pack()


def is_to_many(host: str) -> bool:
    """Whether an address is that of all hosts, or of a group."""
    return host == BROADCAST or is_multicast(host)


def _arrived(packet: Packet) -> None:
    """A datagram for one has reached its host."""
    link, slot, source, target, data = packet
    host = link.target
    if link.blocked or not host.is_up:
        host.network.tell(slot, source, target, len(data), "cut off")
        return
    ports = host.ports[slot]
    found = ports.exact.get(target) or ports.wild.get(target[1])
    if not found:
        _tell_sender(host, packet)
        return
    why_not = cast(DatagramSocket, found[0]).take(source, data)
    if why_not:
        host.network.tell(slot, source, target, len(data), why_not)


def _arrived_for_many(packet: tuple[Packet, DatagramSocket | None]) -> None:
    """A broadcast or a multicast has reached one of its hosts; not for the socket that does not hear itself."""
    (link, slot, source, target, data), deaf = packet
    host = link.target
    if link.blocked or not host.is_up:
        host.network.tell(slot, source, target, len(data), "cut off")
        return
    if target.host == BROADCAST:
        found = host.ports[slot].wild.get(target.port, [])
    else:
        members = host.groups.get(target.host, [])
        found = [member for member in members if member.claim is not None and member.claim.port == target.port]
    for socket in cast("list[DatagramSocket]", list(found)):
        if socket is not deaf:
            socket.take(source, data)


def _tell_sender(host: Host, packet: Packet) -> None:
    """Nobody is at the port: say so, by a packet that gets lost like any other."""
    _, slot, source, target, data = packet
    host.network.tell(slot, source, target, len(data), "nobody there")
    back = host.network.between(host, packet[0].source)
    if back is not None:
        host.network.carry(back, slot, target, source, "nobody there", _HEADER, _found_nobody, packet)


def _found_nobody(packet: Packet) -> None:
    link, slot, source, target, _ = packet
    if link.source.is_up:
        for socket in link.source.ports[slot].at(source):
            cast(DatagramSocket, socket).found_nobody(target)
