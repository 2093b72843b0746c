"""The machine of one connection of the direct driver, over a socket of the provider below.

Whoever comes - the application's threads, the keeper's - works under the machine's lock, and never waits while it holds
it: it tries; where it would have to wait it lets go of the lock, and waits for the descriptor beneath all layers, for
the layer's next timer, or to be woken by another thread that moved something (`winsock.dispatcher.waits`).

The socket below never blocks. What the layer made and the socket did not take yet is kept here, and nothing more is
taken from the application before it is gone; what came for the application and was not asked for yet is kept too, and
nothing more is read before it is gone. So both ends feel each other's pace.

The machine must not know the application: `winsock.dispatcher.drivers.connection` does. But for `wait_for`, methods
want the lock held.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from winsock.abi.constants import FIONBIO, MSG_OOB, SD_SEND, SO_ERROR, SO_LINGER, SO_OOBINLINE, SOL_SOCKET
from winsock.abi.errors import WSAECONNRESET, WSAEOPNOTSUPP, WSAEWOULDBLOCK, WinsockError
from winsock.abi.sockaddr import NO_PEER
from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.stage import END, Stage
from winsock.dispatcher.drivers.store import Store
from winsock.dispatcher.waits import IN, OUT, Waiter, earliest, wake
from winsock.spi.handles import base_handle
from winsock.spi.layer import ABORTIVE
from winsock.spi.stats import Stats, collect, known
from winsock.spi.stream import overrides_stream

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable
    from winsock.spi.stream import StreamLayer

T = TypeVar("T")
Wish: TypeAlias = tuple[int, float | None]
"""Which events at the base, and what time at the latest, are news."""

PIECE = 64 * 1024
"""The most that goes through the machine at once."""
MANY = 64
"""How many pieces are read in a row by a thread that has other things to do."""

_DWORD = struct.Struct("<I")


class _Room(threading.local):
    """A buffer for each thread, because nothing of it is kept."""

    def __init__(self) -> None:
        self.buffer = bytearray(PIECE)


_room = _Room()


class Machine:
    """A layer's connection, from the connect of the socket below to its close."""

    def __init__(self, layer: StreamLayer, table: ProcTable, lower: int, handle: int) -> None:
        self.lock = threading.RLock()
        self.layer = layer
        self.table = table
        self.lower = lower
        self.handle = handle
        """What the application calls it, to tell of it."""
        self.base = base_handle(table, lower)
        self.pipeline = Pipeline([Stage(layer, time.monotonic)])
        self.incoming = Store()
        """For the application."""
        self.outgoing = Store()
        """For the network."""
        self.connecting = True
        """Whether the socket below is still on its way to the peer."""
        self.lost = False
        """Whether it did not get there: the socket below knows why, and this object nothing."""
        self.error: WinsockError | None = None
        """Why the connection failed, of the network's or of the layer's making."""
        self.lower_ended = False
        """Whether the network brings no more."""
        self.closing = False
        """Whether the application has closed its handle."""
        self.over = False
        """Whether the socket below is closed, or none of ours any more."""
        self.until: float | None = None
        """Until when it must be over."""
        self.urgent = False
        """Whether what is for the application is one urgent byte, and nothing else."""
        self.unheard = False
        """Whether something came for an application that has closed its handle: the peer is told by a reset."""
        self.moves = 0
        """How often anything moved."""
        self._sends_urgent = False
        """Whether what is for the network goes as urgent data, if it is one byte."""
        self._began = 0.0
        self._sent = 0
        self._received = 0
        self._end_waits = False
        """The application has ended before the layer was ready."""
        self._end_told = False
        self._stats: Stats | None = None

    @property
    def ready(self) -> bool:
        """Whether the application's connect is complete, and did not fail."""
        return self.pipeline.ready and self.error is None

    @property
    def connected(self) -> bool:
        """Whether the application has a connection, which may be dead by now."""
        return not self.connecting and (self.pipeline.ready or self.layer.role == "accept")

    @property
    def no_more(self) -> bool:
        """Whether nothing more will come for the application."""
        return self.error is not None or self.pipeline.incoming_over

    def begin(self) -> None:
        """The connection below is there."""
        self.connecting = False
        self._began = time.monotonic()
        set_blocking(self.table, self.lower, False)
        self.layer.peer = known(lambda: self.table.WSPGetPeerName(self.lower)) or self.layer.peer
        self.layer.local = known(lambda: self.table.WSPGetSockName(self.lower))
        known(lambda: self.table.WSPSetSockOpt(self.lower, SOL_SOCKET, SO_OOBINLINE, 1))
        self.pipeline.open()
        self.gather()

    def progress(self) -> None:
        """Whatever can be done now that no application needs to ask for."""
        if self.connecting and not self.over:
            self._see_whether_connected()
        if self.connecting or self.over or self.error is not None:
            return
        deadline = self.pipeline.deadline
        if deadline is not None and deadline <= time.monotonic():
            self.pipeline.tick()
            self.gather()
        pieces = MANY
        while self._reads_unasked and pieces and self.read():
            pieces -= 1
        self.flush()

    def read(self) -> bool:
        """One piece from below into the machine; whether there was one, or an end, or an error."""
        if self.lower_ended or self.over or self.error is not None:
            return False
        buffer = _room.buffer
        try:
            received = self.table.WSPRecv(self.lower, (buffer,), 0)
        except WinsockError as error:
            if error.winerror == WSAEWOULDBLOCK:
                return False
            self.fail(error)
            return True
        count, flags = received if received is not None else (0, 0)
        alone = bool(flags & MSG_OOB) and count == 1 and not self.incoming.size
        if count:
            self._received += count
            self.pipeline.incoming(bytes(memoryview(buffer)[:count]))
        else:
            self.lower_ended = True
            self.pipeline.incoming(END)
        self.gather()
        self.urgent = alone and self.incoming.size == 1
        return True

    def put(self, piece: bytes, urgent: bool = False) -> None:
        """Bytes from the application; `urgent`, if what comes of them is one byte."""
        self._sends_urgent = urgent
        self.pipeline.outgoing(piece)
        self.gather()

    def put_end(self) -> None:
        """The application's end, which waits until the layer is ready."""
        self._end_waits = not self.pipeline.ready
        if not self._end_waits:
            self.pipeline.outgoing(END)
            self.gather()

    def gather(self) -> None:
        """Take what the machine gave, send what can be sent, and see what became of it."""
        pipeline = self.pipeline
        if pipeline.to_network:
            self.outgoing.extend(pipeline.to_network)
            pipeline.to_network.clear()
        if pipeline.to_application:
            if self.closing:
                self.unheard = True
            else:
                self.incoming.extend(pipeline.to_application)
            pipeline.to_application.clear()
        if pipeline.error is not None:
            self.fail(pipeline.error, reset=True)
        elif pipeline.incoming_over and not pipeline.ready:
            text = "the network ended the connection before every layer was ready"
            self.fail(WinsockError(WSAECONNRESET, text), reset=True)
        elif self._end_waits and pipeline.ready:
            self.put_end()
        self._moved()
        self.flush()

    def flush(self) -> None:
        """Give the socket below what it takes."""
        while self.outgoing.size and self.error is None and not self.over:
            flags = MSG_OOB if self._sends_urgent and self.outgoing.size == 1 else 0
            try:
                count = self.table.WSPSend(self.lower, (self.outgoing.run(),), flags)
            except WinsockError as error:
                if flags and error.winerror == WSAEOPNOTSUPP:
                    self._sends_urgent = False
                    continue
                if error.winerror != WSAEWOULDBLOCK:
                    self.fail(error)
                return
            self._sends_urgent = False
            self.outgoing.drop(count or 0)
            self._sent += count or 0
            self._moved()
        if self.pipeline.outgoing_over and not self._end_told and not self.over and self.error is None:
            self._end_told = True
            if self.unheard:
                return  # the reset will tell
            try:
                self.table.WSPShutdown(self.lower, SD_SEND)
            except WinsockError as error:
                self.fail(error)

    def fail(self, error: WinsockError, reset: bool = False) -> None:
        """No byte goes through any more; what came out before may still be received."""
        if self.error is not None or self.over:
            return
        self.error = error
        self.outgoing.clear()
        self._stats = self._collected()
        if reset:  # which leaves the socket below as it was before it was connected
            known(lambda: self.table.WSPConnect(self.lower, NO_PEER))
            known(lambda: self.table.WSPGetSockOpt(self.lower, SOL_SOCKET, SO_ERROR))  # which tells of our own reset
        self._moved()

    def end(self, abort: bool = False) -> None:
        """Close the socket below."""
        if self.over and not self.lost:
            return
        if self._stats is None:
            self._stats = self._collected()
        if abort:
            known(lambda: self.table.WSPSetSockOpt(self.lower, SOL_SOCKET, SO_LINGER, ABORTIVE))
        known(lambda: self.table.WSPCloseSocket(self.lower))
        self.tell_over()

    def tell_over(self) -> None:
        """The layer hears of the end, once."""
        self.over = True
        stats, self._stats = self._stats, None
        if stats is not None:
            self.pipeline.closed(stats)
        wake(self.base)

    def wishes(self, interest: int = 0) -> Wish:
        """What is news for the machine, and for one who has this interest in the base."""
        if self.over or self.error is not None:
            return 0, None
        if self.connecting:
            return OUT, None
        events = interest | (IN if self._reads_unasked else 0) | (OUT if self.outgoing.size else 0)
        if self.lower_ended:
            events &= ~IN
        deadline = self.pipeline.deadline
        return events, deadline if self.until is None else earliest(deadline, self.until)

    def wait_for(self, attempt: Callable[[], T | None], interest: int = 0, patience_s: float | None = None) -> T | None:
        """What `attempt` comes to, asked again under the lock whenever there is news; None where the time ran out."""
        until = None if patience_s is None else time.monotonic() + patience_s
        with Waiter((self.base,)) as waiter:
            while True:
                with self.lock:
                    moves = self.moves
                    self.progress()
                    result = attempt()
                    if result is not None:
                        return result
                    events, deadline = self.wishes(interest)
                    moved = self.moves != moves
                if until is not None and time.monotonic() >= until:
                    return None
                waiter.wait({self.base: events} if events else {}, earliest(until, deadline), moved)

    @property
    def _reads_unasked(self) -> bool:
        """Whether what the network brings is not for the application: not yet, or no more."""
        return self.closing or not self.pipeline.ready

    def _see_whether_connected(self) -> None:
        _, connected, failed = self.table.WSPSelect(0, (), (self.lower,), (self.lower,), 0)
        if failed:
            self.lost = self.over = True
            self._moved()
        elif connected:
            self.begin()

    def _collected(self) -> Stats | None:
        """What the layer's `closed` is told, where it has one and hears of the end at all."""
        if not self.pipeline.is_open or not overrides_stream(type(self.layer), "closed"):
            return None
        layer, caller = self.layer, self.layer.caller
        stats = collect(self.table, self.lower, "tcp", time.monotonic() - self._began)
        return stats._replace(
            socket=self.handle,
            process=caller.process,
            process_name=caller.process_name,
            local=stats.local or layer.local,
            peer=stats.peer or layer.peer,  # which the kernel forgets when both ends are over
            connected=True,
            handle=self.handle,
            sent=self._sent,  # the kernel counts the peer's end as a byte
            received=self._received,
        )

    def _moved(self) -> None:
        self.moves += 1
        wake(self.base)


def set_blocking(table: ProcTable, s: int, blocking: bool) -> None:
    """FIONBIO."""
    table.WSPIoctl(s, FIONBIO, _DWORD.pack(not blocking), 0)
