"""A connection of the direct driver as its application uses it: sending, receiving, waiting, ending, closing.

It must not know how an application asks for what it wants; `winsock.dispatcher.drivers.direct` does.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Literal

from winsock.abi.constants import MSG_OOB, SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAEINTR,
    WSAENOTCONN,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.dispatcher.drivers import keeper
from winsock.dispatcher.drivers.machine import MANY, PIECE, Machine, Wish
from winsock.dispatcher.waits import IN, OUT
from winsock.spi.stats import known

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.notices import Notices
    from winsock.spi.provider import ProcTable, ReadBuffer
    from winsock.spi.stream import StreamLayer

READ, WRITE, EXCEPT = 1, 2, 4
_NOTHING: Wish = (0, None)

ENOUGH = 256 * 1024
"""How much is read ahead at the most, to tell how much there is."""
FAREWELL_S = 120.0
"""How long a closed connection may take to send what it owes."""
BUSY_S = 0.005
"""When the keeper comes back to a connection that another thread is working on."""


class Connection(Machine):
    """One connection of one application."""

    def __init__(self, layer: StreamLayer, table: ProcTable, lower: int, handle: int) -> None:
        super().__init__(layer, table, lower, handle)
        self.kept: Wish | None = None
        """What the keeper waits for."""
        self.notices: Notices | None = None
        """Where an application asked for network events."""
        self._sending_ended = False
        self._receiving_ended = False
        self._error_told = False

    # The way to a connection.

    def open(self) -> None:
        """The connection below is there: let the layer begin."""
        with self.lock:
            self.begin()

    def finish_opening(self, wait: bool) -> None:
        """Wait until every layer is ready, where that is asked for; raises what the connect fails with."""
        if wait:
            self.wait_for(lambda: self.ready or self.error is not None or self.closing or None)
        if self.closing and not self.ready:
            raise WinsockError(WSAEINTR, "s: the socket was closed while it connected")
        self._raise_error()

    def abandon(self) -> None:
        """End it with a reset, and leave the socket below open, for another connect."""
        with self.lock:
            self.fail(WinsockError(WSAECONNABORTED, "the connection was given up"), reset=True)
            self.tell_over()

    def settle(self) -> None:
        """Leave to the keeper what is still to be done when nobody calls."""
        with self.lock:
            if self.notices is not None:
                self.notices.look(self)
            wish = self._left_to_do()
            if wish != self.kept:
                self.kept = wish
                if wish is not None:
                    keeper.watch(self)

    # Data.

    def send(self, buffers: Sequence[ReadBuffer], blocking: bool, urgent: bool = False) -> int:
        """Take bytes from the application; where it may wait, until the socket below has them all.

        `urgent`: the last of them is an urgent byte.
        """
        taken = 0
        for piece, alone in _urgent_last(buffers) if urgent else zip(_pieces(buffers), repeat(False)):
            if not self._take(piece, blocking, alone):
                if taken:
                    break
                self._tell("found_no_room")
                raise self._no_room(blocking)
            taken += len(piece)
        if not self.outgoing.size:
            self.settle()
            return taken
        if blocking:
            self.wait_for(lambda: not self.outgoing.size or None, patience_s=self._patience_s(SO_SNDTIMEO))
        self._tell("found_no_room")
        return taken

    def receive(
        self, buffers: Sequence[memoryview], blocking: bool, peek: bool = False, fill: bool = False
    ) -> tuple[int, int]:
        """Give the application what came, at least one byte, or, to `fill`, as much as there is room; 0 at the end.

        With it flags: MSG_OOB for an urgent byte that comes alone.
        """
        wanted = sum(map(len, buffers))
        least = wanted if fill else min(1, wanted)

        def attempt() -> tuple[int, int] | None:
            return self._give(buffers, least, peek)

        with self.lock:
            given = attempt()
        if given is None and blocking:
            given = self.wait_for(attempt, IN, self._patience_s(SO_RCVTIMEO))
            if given is None and self.incoming.size:
                with self.lock:
                    given = self._give(buffers, 1, peek)
        self._tell("received")
        if given is None:
            raise _timed_out("receiving (SO_RCVTIMEO)") if blocking else _would_block("receiving")
        return given

    def count_readable(self) -> int:
        """How many bytes a receive would get at once, as far as it is worth knowing."""
        with self.lock:
            self.progress()
            while not self.connecting and self.incoming.size < ENOUGH and self.read():
                pass
            self.settle()
            return self.incoming.size

    def _take(self, piece: bytes, blocking: bool, urgent: bool) -> bool:
        """Whether these bytes went into the machine."""
        with self.lock:
            taken = self._try_to_take(piece, urgent)
        if taken is None and blocking:
            taken = self.wait_for(lambda: self._try_to_take(piece, urgent), patience_s=self._patience_s(SO_SNDTIMEO))
        return bool(taken)

    def _try_to_take(self, piece: bytes, urgent: bool) -> bool | None:
        """Under the lock: True, or None where what was sent before is in the way."""
        if self.outgoing.size or not self.pipeline.ready:
            self.progress()
        self._check_may_send()
        if self.outgoing.size or not self.pipeline.ready:
            return None
        if piece:
            self.put(piece, urgent)
            self._raise_error()
        return True

    def _no_room(self, blocking: bool) -> WinsockError:
        """What a send fails with that could not begin."""
        if blocking:
            return _timed_out("sending (SO_SNDTIMEO)")
        if self.connected:
            return _would_block("sending")
        return WinsockError(WSAENOTCONN, "s: the socket is not connected yet")

    def _check_may_send(self) -> None:
        """Under the lock; raises what a send fails with."""
        if self.closing:
            raise _closed()
        self._raise_error()
        if self._sending_ended:
            raise WinsockError(WSAESHUTDOWN, "s: sending was shut down")

    def _give(self, buffers: Sequence[memoryview], least: int, peek: bool) -> tuple[int, int] | None:
        """Under the lock: fill the buffers, where there are enough bytes or there will be no more; with flags."""
        if self.closing:
            raise _closed()
        if self._receiving_ended:
            raise WinsockError(WSAESHUTDOWN, "s: receiving was shut down")
        incoming = self.incoming
        if not self.pipeline.ready or self.pipeline.deadline is not None:
            self.progress()
        while incoming.size < least and not self.connecting and self.read():
            pass
        if incoming.size >= least or (incoming.size and self.no_more):
            count, flags = incoming.copy_into(buffers), MSG_OOB if self.urgent else 0
            if count and not peek:
                incoming.drop(count)
                self.urgent = False
            return count, flags
        self._raise_error()
        return (0, 0) if self.no_more else None

    def _raise_error(self) -> None:
        if self.error is not None:
            raise again(self.error)

    def _patience_s(self, option: int) -> float | None:
        """SO_RCVTIMEO or SO_SNDTIMEO: milliseconds, 0 for ever."""
        value = known(lambda: self.table.WSPGetSockOpt(self.lower, SOL_SOCKET, option))
        return value / 1000 if isinstance(value, int) and value else None

    # Readiness.

    def readiness(self, interest: int) -> tuple[int, bool]:
        """What a select would find, of this interest, and whether anything moved.

        WRITE says that the machine would take bytes; the socket below has its say, too.
        """
        with self.lock:
            moves = self.moves
            self.progress()
            if self.connected:
                ready = READ if interest & READ and self._has_news() else 0
                if self.error is not None or (self.pipeline.ready and not self.outgoing.size):
                    ready |= WRITE
            else:
                ready = EXCEPT if self.error is not None else 0
            self.settle()
            return ready & interest, self.moves != moves

    def events(self, interest: int) -> int:
        """What one who selects with this interest waits for at the base."""
        with self.lock:
            wanted = (IN if interest & READ else 0) | (OUT if interest & WRITE and self.pipeline.ready else 0)
            return self.wishes(wanted)[0]

    def look(self) -> None:
        """Under the lock: see what an application is to be told of."""
        pieces = MANY
        while self._is_watched and pieces and self.read():
            pieces -= 1
        if self.notices is not None:
            self.notices.look(self)

    @property
    def _is_watched(self) -> bool:
        """Whether somebody is to be told of what comes."""
        if self.notices is None or not self.notices.mask or not self.connected:
            return False
        return self.incoming.size < ENOUGH and not self.no_more

    def _tell(self, what: Literal["received", "found_no_room"]) -> None:
        """Note what a call did, for whoever is to be told of events, and settle."""
        with self.lock:
            if self.notices is not None:
                getattr(self.notices, what)()
            self.settle()

    def take_error(self) -> WinsockError | None:
        """SO_ERROR: why the connection failed, told once."""
        with self.lock:
            error = None if self._error_told else self.error
            self._error_told = self._error_told or error is not None
            return error

    def _has_news(self) -> bool:
        """Under the lock: whether a receive would not wait."""
        pieces = MANY
        while not self._would_return() and pieces and self.read():
            pieces -= 1
        return self._would_return()

    def _would_return(self) -> bool:
        return bool(self.incoming.size) or self.no_more or self._receiving_ended or self.closing

    # The end.

    def end_sending(self) -> None:
        """The application sends no more."""
        with self.lock:
            self._check_is_connected()
            if not self._sending_ended:
                self._sending_ended = True
                self.put_end()
                self.settle()

    def end_receiving(self) -> None:
        """The application receives no more, though the layer may."""
        with self.lock:
            self._check_is_connected()
            self._receiving_ended = True
            self._moved()

    def close(self) -> None:
        """The application has closed its handle: send what is owed, behind its back where that takes time."""
        linger = known(lambda: self.table.WSPGetSockOpt(self.lower, SOL_SOCKET, SO_LINGER))
        onoff, seconds = linger if isinstance(linger, Linger) else (0, 0)
        with self.lock:
            self.closing = True
            self.notices = None
            self.unheard = bool(self.incoming.size)
            self.incoming.clear()
            self._moved()
            if not self.ready or (onoff and not seconds):
                self.end(abort=not self.connecting)
                return
            self.until = time.monotonic() + (seconds if onoff else FAREWELL_S)
            if not self._sending_ended:
                self._sending_ended = True
                self.put_end()
            self.progress()
            if not self.leave():
                self.settle()
        if onoff and not keeper.ending:
            self.wait_for(lambda: self.leave() or None)

    def leave(self) -> bool:
        """Under the lock: whether a closed connection is over, because it owes nothing any more or can pay nothing."""
        sent = self.pipeline.outgoing_over and not self.outgoing.size
        stuck = self.lower_ended and not self.outgoing.size and self.pipeline.deadline is None
        late = self.until is not None and time.monotonic() >= self.until
        if not self.over and (sent or stuck or late or self.error is not None):
            self.end(abort=not sent or self.unheard or self.error is not None)
        return self.over

    def cut_off(self) -> None:
        """Owe nothing any more."""
        with self.lock:
            self.end(abort=True)

    def tell_over(self) -> None:
        super().tell_over()
        if self.kept is not None:  # who waits at a descriptor keeps its file open
            keeper.stir()

    def tend(self) -> Wish | None:
        """The keeper's share: what it must wait for next, None for nothing."""
        if not self.lock.acquire(blocking=False):
            return 0, time.monotonic() + BUSY_S  # whoever works on it does what there is to do
        try:
            self.progress()
            if self.closing:
                self.leave()
            if self.notices is not None:
                self.look()
            self.kept = self._left_to_do()
            return self.kept
        finally:
            self.lock.release()

    def _left_to_do(self) -> Wish | None:
        wish = self.wishes(IN if self.notices is not None and self._is_watched else 0)
        return None if wish == _NOTHING else wish

    def _check_is_connected(self) -> None:
        if self.error is not None or not self.connected:
            raise WinsockError(WSAENOTCONN, "s: the socket is not connected")


def again(error: WinsockError) -> WinsockError:
    """The error, to be raised once more: an exception remembers every place that raised it."""
    return WinsockError(error.winerror, error.strerror, errno=error.errno if error.from_kernel else None)


def _pieces(buffers: Sequence[ReadBuffer]) -> Iterable[bytes]:
    """The buffers as pieces that the machine takes at once; one, of nothing, where there is nothing."""
    if len(buffers) == 1 and len(buffers[0]) <= PIECE:
        return (bytes(buffers[0]),)
    if sum(map(len, buffers)) <= PIECE:
        return (b"".join(buffers),)
    views = [memoryview(buffer) for buffer in buffers]
    return (bytes(view[i : i + PIECE]) for view in views for i in range(0, len(view), PIECE))


def _urgent_last(buffers: Sequence[ReadBuffer]) -> Iterable[tuple[bytes, bool]]:
    """The pieces, and whether each is urgent: the last byte is, by itself."""
    data = b"".join(_pieces(buffers))
    yield from ((piece, False) for piece in _pieces((data[:-1],)) if piece)
    yield from ((piece, True) for piece in (data[-1:],) if piece)


def _would_block(what: str) -> WinsockError:
    return WinsockError(WSAEWOULDBLOCK, f"{what} would have to wait")


def _timed_out(what: str) -> WinsockError:
    return WinsockError(WSAETIMEDOUT, f"the time-out for {what} ran out", errno=errno.EAGAIN)  # the kernel's


def _closed() -> WinsockError:
    return WinsockError(WSAECONNABORTED, "s: the socket was closed while it waited")
