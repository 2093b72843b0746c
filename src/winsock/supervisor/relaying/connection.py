"""One relayed connection: a program's socket, an outer one, and how things stand between them.

What a program is told of its socket's state is, wherever possible, what the kernel says of that socket itself: whether
it is connected, still on its way, or has an error that nobody was told yet. Only what the error was, and who the peer
is, is put in its place.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from winsock.abi.constants import SO_ERROR, SOL_SOCKET
from winsock.abi.errors import ErrorCode
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.dispatcher import loader
from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.relay import Ending, Relay
from winsock.dispatcher.drivers.stage import Stage
from winsock.spi import calling
from winsock.spi.stats import Stats, collect, known
from winsock.supervisor.relaying import carried
from winsock.supervisor.relaying.outer import ANY

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.dispatcher.drivers.relayed import Relayed
    from winsock.spi.provider import OptionValue, ProcTable
    from winsock.spi.stream import StreamLayer
    from winsock.supervisor.calls.call import Call
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.relaying.by_table import ByTable
    from winsock.supervisor.relaying.program import Program
    from winsock.supervisor.relaying.relays import Relays


_STAND_INS = (errno.ECONNRESET, errno.ECONNREFUSED)
"""What a program's socket is told by the kernel when it is turned away, refused at once, or reset by its relay."""


class State(Enum):
    """How far a connection is."""

    CONNECTING = "the outer socket is on its way; the program's waits at a door"
    JOINED = "the program's socket is connected to the relay"
    FAILED = "the outer socket could not be connected; the program's was turned away"


class Connection:
    """A connection, and the `Joint` that its owner finds. Several threads look at it; `lock` guards how it ends."""

    def __init__(self, room: Relays, owner: Relayed, layer: StreamLayer, outer: int = -1) -> None:
        self.room = room
        self.owner = owner
        self.outer = outer
        self.layers = [layer]
        """From the program's side to the network's."""
        self.state = State.CONNECTING
        self.call: calling.Call = layer.caller
        self.settled = False
        """Whether the outcome is known, and the program's socket joined or turned away."""
        self.lock = threading.Lock()
        self.error = 0
        """Why it failed or broke: an errno; 0 as long as it did not."""
        self.local: Sockaddr | None = None
        self.peer: Sockaddr | None = None
        self.program: Program | None = None
        """Of a connect: the program's socket, and where it waits."""
        self.near = -1
        """Of an accepted connection: our end, until the relay has it."""
        self.socket: Socket | None = None
        """The program's socket; of an accepted connection, from when the program has it."""
        self.relay: Carried | ByTable | None = None
        self.given_up = False
        """Whether the program wanted it no more before it was connected."""
        self.left = False
        """Whether the program has closed its socket."""
        self.over = False
        """Whether the relay is."""
        self.stats: Stats | None = None
        """What is known of the outer socket, from the end of the relay on."""
        self._waiting: list[threading.Event] = []
        self._began = time.monotonic()

    @property
    def base(self) -> ProcTable:
        """The base provider. Beneath its owner, nobody but the kernel knows the program's socket."""
        chain = loader.opened[self.owner.info.dwCatalogEntryId]
        return chain.tables[chain.ids[-1]]

    @property
    def speaks_first(self) -> bool:
        """Whether a layer speaks before the program does."""
        return any(layer.opening for layer in self.layers)

    @cached_property
    def pipeline(self) -> Pipeline:
        """The machine of all its layers; no more may join in from now on."""
        return Pipeline([Stage(layer, time.monotonic) for layer in self.layers])

    def learn_names(self) -> None:
        """Ask what the two ends of the outer socket are called."""
        self.local = known(lambda: self.owner.next.WSPGetSockName(self.outer)) or self.local
        self.peer = known(lambda: self.owner.next.WSPGetPeerName(self.outer)) or self.peer
        self.tell_names()

    def tell_names(self) -> None:
        """Let the layers know them."""
        for layer in self.layers:
            layer.local, layer.peer = self.local, self.peer or layer.peer

    @contextmanager
    def told(self, call: Call) -> Iterator[threading.Event]:
        """An event that is set when the outcome is known, or the call is to be given up."""
        event = threading.Event()
        self._waiting.append(event)
        if call.worker is not None:
            call.worker.news = event
        try:
            yield event
        finally:
            self._waiting.remove(event)
            if call.worker is not None:
                call.worker.news = None

    def announce(self) -> None:
        """The outcome is known: those who wait for it may look."""
        self.settled = True
        for event in tuple(self._waiting):
            event.set()

    def true_error(self, number: int) -> int:
        """What an error of the program's socket stands for."""
        return self.error if self.error and number in _STAND_INS else number

    def take_back(self) -> None:
        """The program's socket has no connection any more; a relay that carries one sees it reset."""
        self.local = self.peer = None
        if self.state is State.CONNECTING:
            self.give_up()

    def give_up(self) -> None:
        """Nobody wants the connection any more."""
        self.given_up = True
        if self.relay is not None:
            self.relay.abort()

    # What the relay asks and tells.

    def collect(self, outer: int) -> Stats:
        """What is known of the outer socket."""
        stats = collect(self.owner.next, outer, "tcp", time.monotonic() - self._began)
        return stats._replace(
            local=stats.local or self.local,
            peer=stats.peer or self.peer,
            connected=self.state is State.JOINED,
        )

    def known_stats(self) -> Stats:
        """What is known without asking."""
        call, connected = self.call, self.state is State.JOINED
        return Stats(
            call.socket_id or 0,
            call.process,
            self.local,
            self.peer,
            "tcp",
            connected=connected,
            process_name=call.process_name,
        )

    def finish(self) -> None:
        """There will be no relay: close what the network has of it, and tell the layers."""
        self.stats = self.collect(self.outer)
        self.over = self.settled = True
        self.owner.close_outer(self.outer)
        self.pipeline.closed(self.stats)

    def ended(self, ending: Ending) -> None:
        """The relay is about to close both ends."""
        self.stats = ending.stats
        if ending.error is not None and self.state is State.JOINED:
            self.error = ending.error.errno or errno.ECONNRESET

    # The joint, as the chain asks.

    def add_below(self, layer: StreamLayer) -> None:
        self.layers.append(layer)

    def add_above(self, layer: StreamLayer) -> None:
        self.layers.insert(0, layer)

    def connect_again(self, s: int, name: Sockaddr) -> bool:
        return self.room.connect_again(self, s, name)

    def discard(self, s: int) -> None:
        self.room.discard(self, s)

    def shutdown(self, s: int, how: int) -> None:
        self.base.WSPShutdown(s, how)
        if self.state is State.CONNECTING:  # which takes the connect back
            self.give_up()

    def peer_name(self, s: int) -> Sockaddr:
        near = self.base.WSPGetPeerName(s)
        return self.peer or near

    def sock_name(self, s: int) -> Sockaddr:
        near = self.base.WSPGetSockName(s)
        if self.local is None or not isinstance(near, SockaddrIn | SockaddrIn6):
            return self.local or near
        if near.host in ANY:  # it was told of a failure, and the kernel took back the address that it had chosen
            return near
        if self.state is State.FAILED and isinstance(self.local, SockaddrIn | SockaddrIn6):
            return self.local._replace(port=near.port)  # which is its own again: it may listen there now
        return self.local

    def get_option(self, s: int, level: int, optname: int) -> OptionValue:
        if (level, optname) in carried.OF_THE_OUTER and self.state is State.JOINED and not self.over:
            return self.owner.next.WSPGetSockOpt(self.outer, level, optname)
        value = self.base.WSPGetSockOpt(s, level, optname)
        if level == SOL_SOCKET and optname == SO_ERROR and isinstance(value, ErrorCode):
            return ErrorCode.of_errno(self.true_error(value.errno))
        return value

    def set_option(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.base.WSPSetSockOpt(s, level, optname, value)
        if not self.over:
            known(lambda: self.owner.next.WSPSetSockOpt(self.outer, level, optname, value))

    def set_raw(self, level: int, number: int, value: bytes) -> None:
        """Set one that only the host has; its own level and number."""
        if not self.over:
            carried.set_again(self.owner.beneath(self.outer), {(level, number): value})


class Carried(Relay):
    """The relay of a connection: what its layers do is done on behalf of the program."""

    def __init__(
        self, connection: Connection, over: Callable[[Connection], None], near: int | None, **more: Any
    ) -> None:
        super().__init__(
            near,
            connection.outer,
            connection.pipeline,
            connection.ended,
            stats=connection.collect,
            close_far=connection.owner.close_outer,
            **more,
        )
        self._connection = connection
        self._over = over

    def run(self) -> None:
        """Relay in this thread, until the connection is over."""
        connection = self._connection
        calling.local.describe = lambda: connection.call
        try:
            super().run()
        finally:
            calling.local.describe = None
            self._over(connection)
