"""The relayed connections of a run: the room in which stream layers find programs' sockets joined to relays.

`connecting` begins those that programs make. An accepted one is the outer socket already: the program gets one end of
a pair, and the relay the other. A connection is over when its relay is and the program has closed its socket; then
whoever knows the socket is told of the outer one.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from winsock import host
from winsock.abi.constants import AF_INET6
from winsock.abi.errors import WSAEALREADY, WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr
from winsock.base.inet import raw
from winsock.dispatcher import handles
from winsock.dispatcher.drivers.direct import Direct
from winsock.dispatcher.drivers.relayed import Relayed
from winsock.host.numbers import SOL_SOCKET
from winsock.supervisor.relaying import carried, connecting, doors, outer
from winsock.supervisor.relaying.by_table import ByTable, Everything, Pumped
from winsock.supervisor.relaying.connection import Carried, Connection, State

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.layer import Layer
    from winsock.spi.stream import StreamLayer
    from winsock.supervisor.lease import Leases, Socket
    from winsock.supervisor.serving import Supervisor

_SO_LINGER = 13
_IPPROTO_TCP, _TCP_INFO = 6, 11
_LOOK_S = 0.01


class Relays:
    """One for a run, if a layer of its chain gets the bytes."""

    def __init__(self, run: Supervisor, by_table: bool, on_over: Callable[[Connection], None]) -> None:
        self.run = run
        self._by_table = by_table
        """Whether a layer makes handles of its own."""
        self.leases: Leases = run.leases
        self.doors = doors.Doors()
        self.surroundings = outer.Surroundings(run.leases.options)
        self._on_over = on_over
        """Told of a connection whose relay is over and whose socket the program has closed."""
        self._by_handle: dict[int, Connection] = {}
        self._making: dict[int, Connection] = {}
        self._beginning: dict[int, object] = {}
        self._running: set[Connection] = set()

    def make(self, kind: type[StreamLayer], info: WSAPROTOCOL_INFO) -> Layer:
        """A driver that relays here; in a chain that is relayed by table, one that stands below the relay."""
        if kind is Everything:
            return Pumped(kind, self)
        return Direct(kind) if self._by_table else Relayed(kind, self)

    # What stream layers ask.

    def find(self, s: int) -> Connection | None:
        """The connection of a program's socket."""
        return self._by_handle.get(s)

    def in_the_making(self, outer: int) -> Connection | None:
        """The connection whose outer socket is just being connected."""
        return self._making.get(outer)

    def connect(self, owner: Relayed, s: int, name: Sockaddr, layer: StreamLayer) -> None:
        """Connect through a relay; errors as of WSPConnect."""
        connecting.connect(self, owner, s, name, layer)

    def connect_again(self, connection: Connection, s: int, name: Sockaddr) -> bool:
        """A connect on a socket that is, or was, relayed; false for a new beginning."""
        return connecting.connect_again(connection, s, name)

    def accept(self, owner: Relayed, listener: int, outer_handle: int, layer: StreamLayer) -> int:
        """A socket for the program that stands for an accepted one."""
        connection = Connection(self, owner, layer, outer_handle)
        connection.state = State.JOINED
        connection.learn_names()
        try:
            made, connection.near = self._pair(connection, listener)
        except OSError as error:
            self._reset_outer(connection)
            raise from_errno(error.errno or errno.ENOBUFS) from None
        beneath = owner.beneath(outer_handle)
        carried.inherit(beneath, made)
        if owner.by_table:  # layers may have changed this one already
            carried.inherit(listener, made, (carried.OOB_INLINE,))
        else:
            outer.prepare(beneath)
        handles.release(made)  # its number may have been another's, whose end nobody told of
        if isinstance(owner, Pumped):
            owner.tell_below(made)
        self._by_handle[made] = connection
        return made

    def discard(self, connection: Connection, s: int) -> None:
        """Close an accepted connection that the program never had."""
        self._by_handle.pop(s, None)
        os.close(s)
        if connection.relay is None:
            os.close(connection.near)
            self._reset_outer(connection)

    # What `connecting` and the supervisor ask.

    def state_of(self, s: int) -> int:
        """The state of a TCP socket, as sock_diag numbers them."""
        return self.leases.options.read(s, _TCP_INFO, _IPPROTO_TCP, 1)

    def passes(self, s: int, reason: str) -> None:
        """A layer wants a connection that cannot be relayed."""
        socket = self.leases.at(s)
        if socket is not None and not socket.passed:
            socket.passed = True
            self.run.report.went_round(f"no byte layer can relay it: {reason}")

    @contextmanager
    def beginning(self, s: int) -> Iterator[None]:
        """One connect of a socket at a time."""
        mine = object()
        if self._beginning.setdefault(s, mine) is not mine:
            raise WinsockError(WSAEALREADY, errno=errno.EALREADY)
        try:
            yield
        finally:
            del self._beginning[s]

    @contextmanager
    def making(self, connection: Connection) -> Iterator[None]:
        """While its outer socket goes down the chain, the layers there may join in."""
        self._making[connection.outer] = connection
        try:
            yield
        finally:
            del self._making[connection.outer]

    def start(self, connection: Connection, near: int | None = None, name: Sockaddr | None = None) -> None:
        """Look after a connection whose program's socket waits at its door, or is joined to `near`.

        `name` is where to connect by table. `WinsockError` where there is no thread.
        """
        assert connection.socket is not None
        self._enter(connection, connection.socket)

        def settled(error: WinsockError | None) -> int | None:
            return connecting.settle(connection, error)

        relay: Carried | ByTable
        if connection.owner.by_table:
            relay = ByTable(connection, self._over, near, name, settled)
        elif near is not None:
            relay = Carried(connection, self._over, near)
        else:
            relay = Carried(
                connection, self._over, None, settled=settled, outcome=lambda far: connecting.outcome(connection)
            )
        self._run(connection, relay)

    def failed(self, connection: Connection) -> None:
        """Remember a connection that was refused at once."""
        assert connection.socket is not None
        self._enter(connection, connection.socket)

    def delivered(self, taken: Socket) -> None:
        """An accepted socket becomes the program's: its relay begins. `WinsockError` where there is no thread."""
        connection = self._by_handle.get(taken.slot)
        if connection is None:
            return
        connection.call = connection.call._replace(socket_id=taken.cookie)
        self._enter(connection, taken)
        if connection.relay is None:
            connection.tell_names()
            self.start(connection, connection.near)

    def left(self, socket: Socket) -> bool:
        """The program has closed a socket; whether its relay still runs, and will tell of its end."""
        connection = socket.relayed
        if connection is None:
            return False
        with connection.lock:
            connection.left = True
            over = connection.over
        if not over and connection.relay is not None:
            if connection.state is State.CONNECTING:
                connection.give_up()
            else:
                connection.relay.program_closed()
        return not over

    def met(self, socket: Socket) -> None:
        """A handle is a new socket's: what was known of an accepted one that nobody took is of no use any more."""
        known = self._by_handle.get(socket.slot)
        if known is not None and known.socket is not None and known.socket.cookie != socket.cookie:
            self.forget(socket)

    def forget(self, socket: Socket) -> None:
        """The handle of a socket will be another's."""
        self._by_handle.pop(socket.slot, None)

    def drain(self, seconds: float | None, held: Collection[int]) -> None:
        """Wait for the relays of sockets that no process holds any more; `held`: the cookies of the others."""
        deadline = None if seconds is None else time.monotonic() + seconds
        left = {c for c in tuple(self._running) if c.socket is None or c.socket.cookie not in held}
        while left and (deadline is None or time.monotonic() < deadline):
            time.sleep(_LOOK_S)
            left = {connection for connection in left if connection in self._running}

    # What is behind them.

    def _pair(self, connection: Connection, listener: int) -> tuple[int, int]:
        """Two sockets of ours that are connected: the program's end, and the relay's."""
        info = connection.owner.info
        domain = doors.AF_INET6 if info.iAddressFamily == AF_INET6 else doors.AF_INET
        way = self.doors.way(domain, connecting.is_mapped(connection.peer))
        made = socket.socket(domain, socket.SOCK_STREAM)
        try:
            if domain == doors.AF_INET6:
                carried.inherit(listener, made.fileno(), (carried.V6_ONLY,))  # which is settled for good by a connect
            listening = self.leases.at(listener)
            if listening is not None:  # before the connect, which settles windows by the buffers that there are
                carried.set_again(made.fileno(), listening.options)
            made.setblocking(False)
            near = doors.meet(way, doors.begin(made.fileno(), way))
            host.connect(made.fileno(), way.waiting)  # tells that it is connected, and once only
            made.setblocking(True)
        except BaseException:
            made.close()
            raise
        return made.detach(), near

    def _enter(self, connection: Connection, socket: Socket) -> None:
        connection.socket = socket
        socket.relayed = connection
        self._by_handle[socket.slot] = connection

    def _run(self, connection: Connection, relay: Carried | ByTable) -> None:
        connection.relay = relay
        self._running.add(connection)
        try:
            relay.start()
        except WinsockError:
            self._running.discard(connection)
            connection.over = True
            raise

    def _over(self, connection: Connection) -> None:
        """In the connection's thread: its relay is over, and everything closed."""
        with connection.lock:
            connection.over = True
            left = connection.left
        if left:
            self._on_over(connection)
        self._running.discard(connection)

    def _reset_outer(self, connection: Connection) -> None:
        raw.setsockopt(connection.owner.beneath(connection.outer), SOL_SOCKET, _SO_LINGER, host.RESET_ON_CLOSE)
        connection.owner.close_outer(connection.outer)
