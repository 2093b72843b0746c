"""One connection of the direct driver: a layer's machine between an application that calls and the provider below.

Whoever comes - the application's threads, the keeper's - works under the connection's lock, and never waits while it
holds it: it tries; where it would have to wait it lets go of the lock, and waits for the descriptor beneath all layers,
for the layer's next timer, or to be woken by another thread that moved something (`winsock.dispatcher.waits`).

The socket below never blocks. What the layer made and the socket did not take yet is kept here, and nothing more is
taken from the application before it is gone; what came for the application and was not asked for yet is kept too, and
nothing more is read before it is gone. So both ends feel each other's pace.

It must not know the application's handle, but for telling of it, nor how an application asked for what it wants.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from winsock.abi.constants import (
    AF_UNSPEC,
    FIONBIO,
    SD_SEND,
    SO_LINGER,
    SO_OOBINLINE,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOL_SOCKET,
)
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAENOTCONN,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrOther
from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.stage import END, Stage
from winsock.dispatcher.drivers.store import Store
from winsock.dispatcher.waits import IN, OUT, Waiter, wake
from winsock.spi.handles import base_handle
from winsock.spi.layer import ABORTIVE
from winsock.spi.stats import Stats, collect, known
from winsock.spi.stream import overrides_stream

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable, ReadBuffer
    from winsock.spi.stream import StreamLayer

T = TypeVar("T")
Wish: TypeAlias = tuple[int, float | None]
"""Which events at the base, and what time at the latest, are news for a connection."""

PIECE = 64 * 1024
"""The most that goes through the machine at once."""
ENOUGH = 256 * 1024
"""How much is read ahead at the most, to tell how much there is."""
MANY = 64
"""How many pieces are read in a row by a thread that has other things to do."""
FAREWELL_S = 120.0
"""How long a closed connection may take to send what it owes."""

READ, WRITE, EXCEPT = 1, 2, 4

_NO_PEER = SockaddrOther(AF_UNSPEC, bytes(14))
_DWORD = struct.Struct("<I")


class _Room(threading.local):
    """A buffer for each thread, because nothing of it is kept."""

    def __init__(self) -> None:
        self.buffer = bytearray(PIECE)


_room = _Room()


class Connection:
    """A connection from its begin to its end. Methods with a lower-case caption "Under the lock" want it held."""

    def __init__(self, layer: StreamLayer, table: ProcTable, lower: int, handle: int) -> None:
        self.lock = threading.RLock()
        self.layer = layer
        self.table = table
        self.lower = lower
        self.handle = handle
        self.base = base_handle(table, lower)
        self.pipeline = Pipeline([Stage(layer, time.monotonic)])
        self.incoming = Store()
        """For the application."""
        self.outgoing = Store()
        """For the network."""
        self.connecting = True
        """Whether the provider below is still on its way to the peer."""
        self.lost = False
        """Whether it did not get there: the handle below knows why, and this object nothing."""
        self.error: WinsockError | None = None
        """Why the connection failed, of the network's or of the layer's making."""
        self.kept: Wish | None = None
        """What the keeper waits for."""
        self.closing = False
        """Whether the application has closed its handle."""
        self.over = False
        self._began = 0.0
        self._moves = 0
        self._lower_ended = False
        self._sending_ended = False
        self._receiving_ended = False
        self._end_waits = False
        """The application has ended before the layer was ready."""
        self._end_told = False
        self._error_told = False
        self._until = 0.0
        self._stats: Stats | None = None

    @property
    def ready(self) -> bool:
        """Whether the application's connect is complete, and did not fail."""
        return self.pipeline.ready and self.error is None

    @property
    def connected(self) -> bool:
        """Whether the application has a connection, which may be dead by now."""
        return not self.connecting and (self.pipeline.ready or self.layer.role == "accept")

    # The way to a connection.

    def begin(self) -> None:
        """The connection below is there."""
        with self.lock:
            self.connecting = False
            self._began = time.monotonic()
            set_blocking(self.table, self.lower, False)
            self.layer.peer = known(lambda: self.table.WSPGetPeerName(self.lower)) or self.layer.peer
            self.layer.local = known(lambda: self.table.WSPGetSockName(self.lower))
            known(lambda: self.table.WSPSetSockOpt(self.lower, SOL_SOCKET, SO_OOBINLINE, 1))
            self.pipeline.open()
            self._gather()
            self.flush()

    def finish_opening(self) -> None:
        """Wait until every layer is ready; raises what the connect fails with."""
        if not self.ready:
            self.wait_for(lambda: self.ready or self.error is not None or None, 0, None)
        if self.error is not None:
            raise again(self.error)

    def abandon(self) -> None:
        """End it with a reset, and leave the handle below open, for another connect."""
        with self.lock:
            self._fail(WinsockError(WSAECONNABORTED, "the connection was given up"), reset=True)
            self._tell_over()

    def _see_whether_connected(self) -> None:
        """Under the lock."""
        _, connected, failed = self.table.WSPSelect(0, (), (self.lower,), (self.lower,), 0)
        if failed:
            self.lost = self.over = True
            self._moved()
        elif connected:
            self.begin()

    # What is done without being asked, without waiting.

    def progress(self) -> None:
        """Under the lock: whatever can be done now that no application needs to ask for."""
        if self.connecting and not self.lost:
            self._see_whether_connected()
        if self.connecting or self.over or self.error is not None:
            return
        deadline = self.pipeline.deadline
        if deadline is not None and deadline <= time.monotonic():
            self.pipeline.tick()
            self._gather()
        pieces = MANY
        while (self.closing or not self.pipeline.ready) and pieces and self.read():
            pieces -= 1
        self.flush()

    def read(self) -> bool:
        """Under the lock: one piece from below into the machine; whether there was one, or an end, or an error."""
        if self._lower_ended or self.error is not None:
            return False
        buffer = _room.buffer
        try:
            received = self.table.WSPRecv(self.lower, (buffer,), 0)
        except WinsockError as error:
            if error.winerror == WSAEWOULDBLOCK:
                return False
            self._fail(error)
            return True
        count = received[0] if received is not None else 0
        if count:
            self.pipeline.incoming(bytes(memoryview(buffer)[:count]))
        else:
            self._lower_ended = True
            self.pipeline.incoming(END)
        self._gather()
        self.flush()
        return True

    def flush(self) -> None:
        """Under the lock: give the provider below what it takes."""
        while self.outgoing.size and self.error is None:
            try:
                count = self.table.WSPSend(self.lower, (self.outgoing.run(),), 0)
            except WinsockError as error:
                if error.winerror != WSAEWOULDBLOCK:
                    self._fail(error)
                return
            self.outgoing.drop(count or 0)
            self._moved()
        if self.pipeline.outgoing_over and not self._end_told and self.error is None:
            self._end_told = True
            try:
                self.table.WSPShutdown(self.lower, SD_SEND)
            except WinsockError as error:
                self._fail(error)

    def wishes(self, interest: int = 0) -> Wish:
        """Under the lock: what is news for the connection, and for one who has this interest in the base."""
        if self.over or self.error is not None:
            return 0, None
        if self.connecting:
            return OUT, None
        events = interest
        if self.closing or not self.pipeline.ready:
            events |= IN
        if self._lower_ended:
            events &= ~IN
        if self.outgoing.size:
            events |= OUT
        return events, earliest(self.pipeline.deadline, self._until or None)

    def _gather(self) -> None:
        """Under the lock: take what the machine gave, and see what became of it."""
        pipeline = self.pipeline
        if pipeline.to_network:
            self.outgoing.extend(pipeline.to_network)
            pipeline.to_network.clear()
        if pipeline.to_application:
            if not self.closing:
                self.incoming.extend(pipeline.to_application)
            pipeline.to_application.clear()
        if self._end_waits and pipeline.ready:
            self._end_waits = False
            pipeline.outgoing(END)
            self._gather()
        if pipeline.error is not None:
            self._fail(pipeline.error, reset=True)
        elif pipeline.incoming_over and not pipeline.ready:
            text = "the network ended the connection before every layer was ready"
            self._fail(WinsockError(WSAECONNABORTED, text), reset=True)
        self._moved()

    def _fail(self, error: WinsockError, reset: bool = False) -> None:
        """Under the lock: no byte goes through any more; what came out before may still be received."""
        if self.error is not None:
            return
        self.error = error
        self.outgoing.clear()
        self._stats = self._collected()
        if reset:  # which leaves the handle below as it was before it was connected
            known(lambda: self.table.WSPConnect(self.lower, _NO_PEER))
        self._moved()

    def _moved(self) -> None:
        self._moves += 1
        wake(self.base)

    # Waiting.

    def wait_for(self, attempt: Callable[[], T | None], interest: int, patience_s: float | None) -> T | None:
        """What `attempt` comes to, asked again under the lock whenever there is news; None where the time ran out."""
        until = None if patience_s is None else time.monotonic() + patience_s
        with Waiter((self.base,)) as waiter:
            while True:
                with self.lock:
                    moves = self._moves
                    self.progress()
                    result = attempt()
                    if result is not None:
                        return result
                    events, deadline = self.wishes(interest)
                    moved = self._moves != moves
                if until is not None and time.monotonic() >= until:
                    return None
                waiter.wait({self.base: events} if events else {}, earliest(until, deadline), moved)

    def _patience_s(self, option: int) -> float | None:
        """SO_RCVTIMEO or SO_SNDTIMEO: milliseconds, 0 for ever."""
        value = known(lambda: self.table.WSPGetSockOpt(self.lower, SOL_SOCKET, option))
        return value / 1000 if isinstance(value, int) and value else None

    # What an application asks for.

    def send(self, buffers: Sequence[ReadBuffer], blocking: bool) -> int:
        """Take bytes from the application; where it may wait, until the provider below has them all."""
        with self.lock:
            self._check_may_send(blocking)
        taken = 0
        for piece in _pieces(buffers):
            with self.lock:
                accepted = self._take(piece)
            if not accepted and blocking:
                accepted = bool(self.wait_for(lambda: self._take(piece) or None, 0, self._patience_s(SO_SNDTIMEO)))  # noqa: B023
            if not accepted:
                if taken:
                    break
                raise _timed_out("sending (SO_SNDTIMEO)") if blocking else _would_block("sending")
            taken += len(piece)
        if blocking and self.outgoing.size:
            self.wait_for(lambda: not self.outgoing.size or None, 0, self._patience_s(SO_SNDTIMEO))
        self.settle()
        return taken

    def receive(self, buffers: Sequence[memoryview], blocking: bool, peek: bool = False, fill: bool = False) -> int:
        """Give the application what came, at least one byte; 0 at the end of the stream."""
        wanted = sum(map(len, buffers))
        least = wanted if fill else min(1, wanted)

        def attempt() -> int | None:
            return self._give(buffers, least, peek)

        with self.lock:
            count = attempt()
        if count is None:
            if not blocking:
                self.settle()
                raise _would_block("receiving")
            count = self.wait_for(attempt, IN, self._patience_s(SO_RCVTIMEO))
        if count is None and self.incoming.size:
            with self.lock:
                count = self._give(buffers, 1, peek)
        self.settle()
        if count is None:
            raise _timed_out("receiving (SO_RCVTIMEO)")
        return count

    def readable_count(self) -> int:
        """How many bytes a receive would get at once, as far as it is known."""
        with self.lock:
            self.progress()
            while not self.connecting and self.incoming.size < ENOUGH and self.read():
                pass
            self.settle()
            return self.incoming.size

    def readiness(self, interest: int) -> tuple[int, bool]:
        """What a select would find, of this interest, and whether anything moved.

        WRITE says that the machine would take bytes; the provider below has its say, too.
        """
        with self.lock:
            moves = self._moves
            self.progress()
            ready = 0
            if self.connecting or (self.error is None and not self.pipeline.ready and self.layer.role == "connect"):
                pass
            elif not self.pipeline.ready and self.layer.role == "connect":
                ready = EXCEPT  # its connect failed
            else:
                if interest & READ and self._has_news():
                    ready |= READ
                if self.error is not None or (self.pipeline.ready and not self.outgoing.size):
                    ready |= WRITE
            return ready & interest, self._moves != moves

    def events(self, interest: int) -> int:
        """What one who selects with this interest waits for at the base."""
        with self.lock:
            wanted = (IN if interest & READ else 0) | (OUT if interest & WRITE and self.pipeline.ready else 0)
            return self.wishes(wanted)[0]

    def take_error(self) -> WinsockError | None:
        """SO_ERROR: why the connection failed, told once."""
        with self.lock:
            error = None if self._error_told else self.error
            self._error_told = self._error_told or error is not None
            return error

    def end_sending(self) -> None:
        """The application sends no more."""
        with self.lock:
            self._check_is_connected()
            if self._sending_ended:
                return
            self._sending_ended = True
            self._put_end()
            self.settle()

    def end_receiving(self) -> None:
        """The application receives no more, though the layer may."""
        with self.lock:
            self._check_is_connected()
            self._receiving_ended = True
            self._moved()

    def settle(self) -> None:
        """Leave to the keeper what is still to be done when nobody calls."""
        from winsock.dispatcher.drivers import keeper

        wish = self._left_to_do()
        if wish != self.kept:
            self.kept = wish
            if wish is not None:
                keeper.watch(self)

    def _check_is_connected(self) -> None:
        if self.error is not None or self.connecting or (not self.pipeline.ready and self.layer.role == "connect"):
            raise WinsockError(WSAENOTCONN, "s: the socket is not connected")

    def _check_may_send(self, blocking: bool) -> None:
        """Under the lock; raises what a send fails with."""
        if self.closing:
            raise _closed()
        if self.error is not None:
            raise again(self.error)
        if self._sending_ended:
            raise WinsockError(WSAESHUTDOWN, "s: sending was shut down")
        if not blocking and self.layer.role == "connect" and not self.pipeline.ready:
            raise WinsockError(WSAENOTCONN, "s: the socket is not connected yet")

    def _take(self, piece: bytes) -> bool:
        """Under the lock: whether these bytes went into the machine."""
        self._check_may_send(True)
        if self.outgoing.size or not self.pipeline.ready:
            self.progress()
            if self.error is not None:
                raise again(self.error)
            if self.outgoing.size or not self.pipeline.ready:
                return False
        self.pipeline.outgoing(piece)
        self._gather()
        self.flush()
        if self.error is not None:
            raise again(self.error)
        return True

    def _give(self, buffers: Sequence[memoryview], least: int, peek: bool) -> int | None:
        """Under the lock: fill the buffers, where there are enough bytes or there will be no more."""
        if self.closing:
            raise _closed()
        if self._receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        incoming = self.incoming
        if self.connecting or not self.pipeline.ready or self.pipeline.deadline is not None:
            self.progress()
        while incoming.size < least and not self.connecting and self.read():
            pass
        no_more = self.error is not None or self.pipeline.incoming_over
        if incoming.size >= least or (incoming.size and no_more):
            count = incoming.copy_into(buffers)
            if not peek:
                incoming.drop(count)
            return count
        if self.error is not None:
            raise again(self.error)
        return 0 if no_more else None

    def _has_news(self) -> bool:
        """Under the lock: whether a receive would not wait."""
        pieces = MANY
        while not self._would_return() and pieces and self.read():
            pieces -= 1
        return self._would_return()

    def _would_return(self) -> bool:
        no_more = self.error is not None or self.pipeline.incoming_over
        return bool(self.incoming.size) or no_more or self._receiving_ended or self.closing

    def _put_end(self) -> None:
        """Under the lock: the application's end goes into the machine, when the layer is ready for it."""
        if not self.pipeline.ready:
            self._end_waits = True
            return
        self.pipeline.outgoing(END)
        self._gather()
        self.flush()

    # The end.

    def close(self) -> None:
        """The application has closed its handle: send what is owed, beside it where that takes time."""
        with self.lock:
            self.closing = True
            self.incoming.clear()
            self._moved()
            linger = known(lambda: self.table.WSPGetSockOpt(self.lower, SOL_SOCKET, SO_LINGER))
            onoff, seconds = linger if isinstance(linger, Linger) else (0, 0)
            if self.over or self.error is not None or not self.pipeline.ready or (onoff and not seconds):
                self._end(abort=not self.connecting)
                return
            self._until = time.monotonic() + FAREWELL_S
            if not self._sending_ended:
                self._sending_ended = True
                self._put_end()
            self.progress()
            if self.leave():
                return
            if not onoff:
                self.settle()
        if onoff:
            self.wait_for(lambda: self.leave() or None, 0, seconds)
            with self.lock:
                self._end(abort=True)

    def leave(self) -> bool:
        """Under the lock: whether a closed connection owes nothing any more, so that it is over."""
        sent = self.pipeline.outgoing_over and not self.outgoing.size
        stuck = self._lower_ended and not self.outgoing.size and self.pipeline.deadline is None
        late = time.monotonic() >= self._until
        if not self.over and (sent or stuck or late or self.error is not None):
            self._end(abort=not sent)
        return self.over

    def tend(self) -> Wish | None:
        """The keeper's share: what it must wait for next, None for nothing."""
        if not self.lock.acquire(blocking=False):
            return 0, time.monotonic() + 0.005  # whoever works on it does what there is to do
        try:
            self.progress()
            if self.closing:
                self.leave()
            self.kept = self._left_to_do()
            return self.kept
        finally:
            self.lock.release()

    def _left_to_do(self) -> Wish | None:
        wish = self.wishes()
        return None if wish == (0, None) else wish

    def _end(self, abort: bool) -> None:
        """Under the lock: close the handle below."""
        if self.over and not self.lost:
            return
        self.over = True
        if self._stats is None:
            self._stats = self._collected()
        if abort:
            known(lambda: self.table.WSPSetSockOpt(self.lower, SOL_SOCKET, SO_LINGER, ABORTIVE))
        known(lambda: self.table.WSPCloseSocket(self.lower))
        self._tell_over()

    def _collected(self) -> Stats | None:
        """What the layer's `closed` is told, where it has one and hears of the end at all."""
        if not self.pipeline.is_open or not overrides_stream(type(self.layer), "closed"):
            return None
        stats = collect(self.table, self.lower, "tcp", time.monotonic() - self._began)
        return stats._replace(socket=self.handle, handle=self.handle)

    def _tell_over(self) -> None:
        self.over = True
        stats, self._stats = self._stats, None
        if stats is not None:
            self.pipeline.closed(stats)
        wake(self.base)


def set_blocking(table: ProcTable, s: int, blocking: bool) -> None:
    """FIONBIO."""
    table.WSPIoctl(s, FIONBIO, _DWORD.pack(not blocking), 0)


def again(error: WinsockError) -> WinsockError:
    """The error, to be raised once more: an exception remembers every place that raised it."""
    return WinsockError(error.winerror, error.strerror, errno=error.errno if error.from_kernel else None)


def earliest(*times: float | None) -> float | None:
    """The first of these times; None is never."""
    return min((time for time in times if time is not None), default=None)


def _pieces(buffers: Sequence[ReadBuffer]) -> Iterator[bytes]:
    """The buffers as pieces that the machine takes at once."""
    if len(buffers) > 1 and sum(map(len, buffers)) <= PIECE:
        buffers = (b"".join(buffers),)
    for buffer in buffers:
        if len(buffer) <= PIECE:
            if buffer:
                yield bytes(buffer)
        else:
            view = memoryview(buffer)
            yield from (bytes(view[i : i + PIECE]) for i in range(0, len(view), PIECE))


def _would_block(what: str) -> WinsockError:
    return WinsockError(WSAEWOULDBLOCK, f"{what} would have to wait")


def _timed_out(what: str) -> WinsockError:
    return WinsockError(WSAETIMEDOUT, f"the time-out for {what} ran out")


def _closed() -> WinsockError:
    return WinsockError(WSAECONNABORTED, "s: the socket was closed while it waited")
