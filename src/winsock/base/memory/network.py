"""The simulated network: hosts, the links between them, what goes wrong, and the record of all that.

A network is made by a program and seeded by it. It lives in one process, on a clock that jumps (`Simulation`), and it
is installed like any protocol: `Network.catalog`, or `entries` beside others. What happens depends on the seed and on
the calls that are made, and the trace tells it: the same program and seed give the same trace, byte for byte.

Which host a socket is of: that of the thread that made it. `with host:` says it, a thread of `Host.spawn` is on its
host; where nothing was said it is the first host of the network.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import heappush
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from winsock.abi.errors import WSAENETDOWN, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, coerce
from winsock.base.memory.datagrams import is_to_many
from winsock.base.memory.hosts import LOOPBACK, Host
from winsock.base.memory.links import Conditions, Link, checked
from winsock.base.memory.ports import ANY
from winsock.base.memory.protocols import PROTOCOLS
from winsock.base.memory.waiting import poll, select
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.core.chance import Seed, source
from winsock.overlapped.simulation import Simulation

if TYPE_CHECKING:
    from winsock.base.memory.ports import InetAddress
    from winsock.base.memory.sockets import Socket

PROVIDER = "winsock.base.memory:Memory"
_FIRST_ID = 2001
_MANY = 1 << 16
_PLENTY = 1 << 40
_ON_ONE_HOST = Conditions(mtu=65536)

networks: WeakValueDictionary[GUID, Network] = WeakValueDictionary()
"""The networks of this process, by the id of their provider in the catalog."""
_numbers = count(1)


class _Place(threading.local):
    """Where the thread is that looks at it."""

    def __init__(self) -> None:
        self.stack: list[Host] = []


class Network:
    """Hosts that reach each other under conditions."""

    def __init__(
        self,
        seed: Seed = 0,
        conditions: Conditions = Conditions(),  # noqa: B008
        *,
        simulation: Simulation | None = None,
        trace: bool = True,
        name: str = "memory",
    ) -> None:
        self.seed = seed
        self.name = name
        self.conditions = checked(conditions)
        """Of every link that has none of its own."""
        self.simulation = Simulation() if simulation is None else simulation
        self.clock = self.simulation.clock
        self.trace: list[tuple[float | str, ...]] | None = [] if trace else None
        """(time, what, ...), as `transcript` spells it; None where nothing is recorded."""
        self.hosts: list[Host] = []
        self.address_book: dict[str, Host] = {}
        self.sockets: dict[int, Socket] = {}
        """By handle."""
        self.place = _Place()
        self.provider_id = GUID(next(_numbers), 0x6D65, 0x6D6F, b"winsock\0")
        self._ways: dict[tuple[int, InetAddress, InetAddress], str] = {}
        """From where to where, as the trace spells it."""
        self._links: dict[tuple[Host, Host], Link] = {}
        self._cut: set[tuple[Host, Host]] = set()
        self._partitions: list[list[Link]] = []
        self._tags = count(1)
        networks[self.provider_id] = self

    def __repr__(self) -> str:
        return f"<network {self.name}, seed {self.seed!r}, {len(self.hosts)} hosts>"

    # The ground.

    def host(
        self,
        *addresses: str,
        name: str | None = None,
        most_sockets: int = _MANY,
        buffer_bytes: int = _PLENTY,
    ) -> Host:
        """A new host; its addresses are text, of either family, and nobody else's. WSPSocket answers WSAENOBUFS where
        it has `most_sockets`, or where their buffers together have `buffer_bytes`. Raises ValueError."""
        with self.entered():
            own = tuple(_own_address(address) for address in addresses)
            for address in own:
                if address in self.address_book:
                    raise ValueError(f"{address} is the address of {self.address_book[address].name}")
            host = Host(self, name or (addresses[0] if addresses else "host"), own, most_sockets, buffer_bytes)
            self.hosts.append(host)
            self.address_book.update(dict.fromkeys(own, host))
            self._forget_routes()
            return host

    def link(self, one: Host, other: Host, *, one_way: bool = False, **conditions: Any) -> None:
        """Give a link conditions of its own, in both directions: those of the network, but for what is given."""
        with self.entered():
            changed = self.conditions._replace(**conditions)
            self._between(one, other).change(changed)
            if not one_way:
                self._between(other, one).change(changed)

    def unlink(self, one: Host, other: Host) -> None:
        """Take the way between two hosts away: calls answer WSAENETUNREACH."""
        with self.entered():
            self._cut |= {(one, other), (other, one)}
            self._forget_routes()

    def relink(self, one: Host, other: Host) -> None:
        """There is a way again."""
        with self.entered():
            self._cut -= {(one, other), (other, one)}

    def between(self, origin: Host, target: Host) -> Link | None:
        """The link of one direction; None where there is no way."""
        return None if (origin, target) in self._cut else self._between(origin, target)

    def _between(self, origin: Host, target: Host) -> Link:
        link = self._links.get((origin, target))
        if link is None:
            conditions = _ON_ONE_HOST if origin is target else self.conditions
            link = Link(origin, target, conditions, source(self.seed, f"{origin.name} > {target.name}"))
            self._links[origin, target] = link
        return link

    def _forget_routes(self) -> None:
        for host in self.hosts:
            host.routes.clear()

    # What goes wrong.

    def partition(self, some: Iterable[Host], others: Iterable[Host] | None = None) -> None:
        """Nothing gets through between these and those any more (None: all others), and nobody is told."""
        with self.entered():
            inside = list(some)
            outside = [host for host in self.hosts if host not in inside] if others is None else list(others)
            links = [link for a in inside for b in outside for link in (self._between(a, b), self._between(b, a))]
            for link in links:
                link.blocked += 1
            self._partitions.append(links)
            self.note("partition", _names(inside), "|", _names(outside))

    def heal(self) -> None:
        """All partitions end."""
        with self.entered():
            for link in (link for links in self._partitions for link in links):
                link.blocked -= 1
            self._partitions.clear()
            self.note("heal")

    def stop(self) -> None:
        """The network fails at every host: calls answer WSAENETDOWN."""
        for host in self.hosts:
            host.stop()

    def start(self) -> None:
        """It works again."""
        for host in self.hosts:
            host.start()

    # Time and threads.

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.clock.time

    def at(self, time: float, action: Callable[..., object], *args: object) -> None:
        """Do something at a time of the clock; it may make calls, but none that waits."""
        with self.entered():
            self.clock.at(time, lambda _: action(*args))

    def sleep(self, seconds: float) -> None:
        """Wait for so much simulated time."""
        self.simulation.sleep(seconds)

    def run(self) -> None:
        """Wait until the threads of `Host.spawn` have ended; raises what one of them raised."""
        self.simulation.join()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The lock, and this thread takes part."""
        with self.simulation.lock:
            self.simulation.enter()
            yield

    def here(self) -> Host:
        """The host of this thread; raises WSAENETDOWN where the network has none."""
        if self.place.stack:
            return self.place.stack[-1]
        if not self.hosts:
            raise WinsockError(WSAENETDOWN, f"{self!r} has no host")
        return self.hosts[0]

    def select(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        """WSPSelect, the same function for all protocols of the network, so that one select may span them."""
        with self.entered():
            return select(self, readfds, writefds, exceptfds, timeout)

    def poll(self, wanted: Mapping[int, int], timeout: float | None) -> dict[int, int]:
        """See `winsock.spi.provider.PollsItself`."""
        with self.entered():
            return poll(self, wanted, timeout)

    # Packets.

    def next_tag(self) -> int:
        """What no connection had before."""
        return next(self._tags)

    def carry(
        self,
        link: Link,
        slot: int,
        origin: InetAddress,
        target: InetAddress,
        what: object,
        size: int,
        arrived: Callable[[Any], object],
        packet: object,
    ) -> None:
        """Put a packet on its way: `arrived(packet)` is called when, and as often as, it arrives."""
        clock = self.clock
        if link.blocked or not link.source.is_up:
            self.tell(slot, origin, target, what, "cut off")
            return
        arrivals = (clock.time + link.latency,) if link.plain else link.arrivals(clock.time, size)
        for arrival in arrivals:
            heappush(clock.agenda, (arrival, next(clock.order), arrived, packet))
        if self.trace is not None:
            fate: tuple[float | str, ...] = ("arrives", *arrivals) if arrivals else ("lost",)
            self.tell(slot, origin, target, what, *fate)

    # The record: plain numbers and text, so that a long one costs the garbage collector nothing.

    def note(self, *words: float | str) -> None:
        """Record something."""
        if self.trace is not None:
            self.trace.append((self.clock.time, *words))

    def tell(self, slot: int, origin: InetAddress, target: InetAddress, what: object, *fate: float | str) -> None:
        """Record what became of a packet."""
        if self.trace is None:
            return
        way = self._ways.get((slot, origin, target))
        if way is None:
            way = self._ways[slot, origin, target] = f"{PROTOCOLS[slot].name} {origin} > {target}"
        self.trace.append((self.clock.time, way, what if isinstance(what, int) else str(what), *fate))

    def transcript(self) -> str:
        """The trace as text, a line each; times in seconds."""
        return "".join(f"{' '.join(map(_word, record))}\n" for record in self.trace or ())

    # The catalog.

    def entries(self, first_id: int = _FIRST_ID) -> list[CatalogEntry]:
        """Its catalog entries, to be installed beside others: their ids count from `first_id`. They keep it alive."""
        return [
            CatalogEntry(protocol.info(self.provider_id, first_id + slot, self.name), PROVIDER, self)
            for slot, protocol in enumerate(PROTOCOLS)
        ]

    def catalog(self) -> Catalog:
        """A catalog with nothing else in it."""
        return Catalog(self.entries())


def entries(network: Network, first_id: int = _FIRST_ID) -> Sequence[CatalogEntry]:
    """The catalog entries of a network: `winsock.started(catalog=Catalog([*BUILTIN, *entries(network)]))`."""
    return network.entries(first_id)


def _after_fork() -> None:
    """In a child a simulated socket is the parent's, and its handle a descriptor only; the network may be used anew."""
    for network in list(networks.values()):
        network.simulation.after_fork()
        network.clock.agenda.clear()
        network.sockets.clear()
        for host in network.hosts:
            host.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _own_address(text: str) -> str:
    """An address that one host may have, as the tables spell it; raises ValueError for what is none."""
    try:
        address = coerce((text, 0))
    except WinsockError as error:
        raise ValueError(error.strerror) from None
    assert isinstance(address, (SockaddrIn, SockaddrIn6))
    host = address.host
    if host in ANY or host in LOOPBACK or is_to_many(host):
        raise ValueError(f"{text!r} is no address that one host alone can have")
    return host


def _names(hosts: Iterable[Host]) -> str:
    return ", ".join(host.name for host in hosts)


def _word(word: object) -> str:
    if isinstance(word, float):
        return f"{word:.6f}"
    return f"{word} bytes" if isinstance(word, int) else str(word)
