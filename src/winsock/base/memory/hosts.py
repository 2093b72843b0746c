"""A simulated host: its addresses, what is bound there, its connections, and what can happen to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from winsock.abi.constants import AF_INET6
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEHOSTUNREACH,
    WSAENETDOWN,
    WSAENETUNREACH,
    WSAENOBUFS,
    WinsockError,
)
from winsock.base.memory.ports import ANY, InetAddress, Ports
from winsock.base.memory.protocols import PROTOCOLS

if TYPE_CHECKING:
    from winsock.base.memory.connections import Connection
    from winsock.base.memory.links import Link
    from winsock.base.memory.network import Network
    from winsock.base.memory.sockets import Socket

LOOPBACK = ("127.0.0.1", "::1")


class Ended(NamedTuple):
    """How a connection ended."""

    in_order: bool
    until: float
    """How long it is remembered."""


class Host:
    """One host of a network. `with host:` makes the sockets of this thread its sockets."""

    def __init__(
        self, network: Network, name: str, addresses: tuple[str, ...], most_sockets: int, buffer_bytes: int
    ) -> None:
        self.network = network
        self.name = name
        self.addresses = addresses
        """Beside 127.0.0.1 and ::1, which every host has."""
        self.most_sockets = most_sockets
        self.buffer_bytes = buffer_bytes
        """What the buffers of all its sockets may have together."""
        self.reserved_bytes = 0
        self.is_up = True
        """Whether packets come in and calls get through."""
        self.ports = tuple(Ports() for _ in PROTOCOLS)
        self.sockets: dict[Socket, None] = {}
        """In the order in which they were made: what happens to all of them has one history."""
        self.connections: dict[int, Connection] = {}
        """By `Segment.key`."""
        self.ended: OrderedDict[int, Ended] = OrderedDict()
        """Connections that ended not long ago, whose peers may have something to say yet, the oldest first."""
        self.routes: dict[str, Link] = {}
        """Where addresses are, as far as somebody asked."""
        self.groups: dict[str, list[Socket]] = {}
        """Members of multicast groups."""

    def __repr__(self) -> str:
        return f"<host {self.name}>"

    def __enter__(self) -> Self:
        self.network.place.stack.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.network.place.stack.pop()

    def spawn(self, body: Callable[..., object], *args: object, name: str | None = None) -> None:
        """Run a function on a thread of this host, which starts when its turn comes (`Network.run`)."""

        def run() -> None:
            with self:
                body(*args)

        self.network.simulation.spawn(run, name or f"{self.name}: {getattr(body, '__name__', 'a thread')}")

    # What can happen to it.

    def crash(self) -> None:
        """At once and without a word: its sockets and connections are gone, and nobody is told."""
        with self.network.entered():
            self.network.note("crash", self.name)
            self.is_up = False
            lost = list(self.sockets)
            self.forget()
            for socket in lost:
                socket.crashed()

    def forget(self) -> None:
        """Know nothing of any socket or connection any more."""
        for ports in self.ports:
            ports.clear()
        self.connections.clear()
        self.ended.clear()
        self.groups.clear()
        self.sockets.clear()
        self.reserved_bytes = 0

    def restart(self) -> None:
        """Up again, with nothing that there was before; the handles of before are good for closing only."""
        with self.network.entered():
            self.network.note("restart", self.name)
            self.is_up = True

    def stop(self) -> None:
        """The network fails here: calls answer WSAENETDOWN and packets are lost, but sockets live on."""
        with self.network.entered():
            self.network.note("stop", self.name)
            self.is_up = False
            for socket in list(self.sockets):
                socket.network_failed()

    def start(self) -> None:
        """The network works here again."""
        with self.network.entered():
            self.network.note("start", self.name)
            self.is_up = True
            for socket in self.sockets:
                socket.network_works()

    # Sockets and addresses.

    def admit(self, socket: Socket) -> None:
        """A new socket. Raises WSAENETDOWN, WSAENOBUFS."""
        self.check_up()
        if len(self.sockets) >= self.most_sockets:
            raise WinsockError(WSAENOBUFS, f"{self.name} has {self.most_sockets} sockets, and can have no more")
        self.reserve(socket.send_room + socket.receive_room)
        self.sockets[socket] = None

    def reserve(self, count: int) -> None:
        """Take bytes for buffers, or give them back. Raises WSAENOBUFS."""
        if count > 0 and self.reserved_bytes + count > self.buffer_bytes:
            raise WinsockError(WSAENOBUFS, f"{self.name} has no {count} bytes for buffers")
        self.reserved_bytes += count

    def dismiss(self, socket: Socket) -> None:
        """A socket was closed."""
        if socket in self.sockets:
            del self.sockets[socket]
            self.reserve(-(socket.send_room + socket.receive_room))

    def check_up(self) -> None:
        """Raises WSAENETDOWN."""
        if not self.is_up:
            raise WinsockError(WSAENETDOWN, f"the network of {self.name} is down")

    def has(self, address: str) -> bool:
        """Whether it may be bound to here."""
        return address in self.addresses or address in LOOPBACK or address in ANY

    def route(self, address: str) -> Link:
        """The way to an address; raises WSAEHOSTUNREACH where nobody has it, WSAENETUNREACH where there is no way."""
        link = self.routes.get(address)
        if link is None:
            target = self if address in LOOPBACK else self.network.address_book.get(address)
            if target is None:
                raise WinsockError(WSAEHOSTUNREACH, f"no host of the network has the address {address}")
            link = self.network.between(self, target)
            if link is None:
                raise WinsockError(WSAENETUNREACH, f"there is no way from {self.name} to {target.name}")
            self.routes[address] = link
        return link

    def source_for(self, target: InetAddress) -> str:
        """The address of ours by which a target sees us; raises WSAEADDRNOTAVAIL."""
        if target.host in LOOPBACK:
            return target.host
        for address in self.addresses:
            if (":" in address) == (target.family == AF_INET6):
                return address
        raise WinsockError(WSAEADDRNOTAVAIL, f"{self.name} has no address of the family of {target}")
