"""A connection relayed through its stream layers: its beginning, its thread, its end. The bytes: see `carrier`.

`near` is the program's side, `far` the network's. A relay must not know who made its sockets, or what a program is.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from socket import SO_LINGER, SOL_SOCKET, socket
from typing import TYPE_CHECKING, NamedTuple

from winsock import host
from winsock.abi.errors import WSAECONNABORTED, WinsockError
from winsock.core import journal
from winsock.dispatcher.drivers.carrier import Carrier, is_dead
from winsock.dispatcher.drivers.opening import Outcome, exchange, so_error, wait_connected
from winsock.dispatcher.drivers.pool import Pool
from winsock.spi.stats import Stats

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.pipeline import Pipeline


class Ending(NamedTuple):
    """How a relayed connection ended."""

    sent: int
    """Bytes that the network was given."""
    received: int
    """Bytes that it brought."""
    error: WinsockError | None
    """Why both ends are reset; None where the connection ended in order."""
    stats: Stats
    """What is known of the far socket."""


Settled = Callable[[WinsockError | None], "int | None"]


class Relay:
    """One connection. Its descriptors, two streams, are the relay's own from `start` on.

    At the end, exactly once each and in this order, in the relay's thread: `stats(far)` is asked, `ended` is told, both
    ends are closed (far by `close_far`), the layers are told.

    A far end that is still connecting comes without a near one, and with `settled`. That is told None when the far end
    is connected and every layer is ready, else why not; it answers with the near descriptor, or with None where there
    is no program any more. `outcome` tells how the connect of the far end went, when it is writable.
    """

    def __init__(
        self,
        near: int | None,
        far: int,
        pipeline: Pipeline,
        ended: Callable[[Ending], None],
        *,
        stats: Callable[[int], Stats] | None = None,
        close_far: Callable[[int], None] = os.close,
        settled: Settled | None = None,
        outcome: Outcome = so_error,
    ) -> None:
        self.pipeline = pipeline
        self._near = near
        self._far: int | None = far
        self._ended = ended
        self._stats = stats
        self._close_far = close_far
        self._settled = settled
        self._outcome = outcome
        self._carrier: Carrier | None = None
        self._near_closed = False
        self._error: WinsockError | None = None
        self._guard = threading.Lock()
        """Held while another thread uses the descriptors, and while they are closed."""

    def start(self) -> None:
        """Relay in a thread of its own. Raises WSAENOBUFS where there is none; the descriptors are then not taken."""
        with _changed:
            LIVE.add(self)
        try:
            _POOL.perform(self.run)
        except WinsockError:
            self._leave()
            raise

    def run(self) -> None:
        """Relay in this thread, until the connection is over."""
        with _changed:
            LIVE.add(self)
        assert self._far is not None
        near, far = None if self._near is None else socket(fileno=self._near), socket(fileno=self._far)
        try:
            if self._settled is not None:
                near = self._settle(self._settled, far)
            if near is not None and self._error is None:
                self._carry(near, far)
        except BaseException as error:  # a layer may try to end the process: its thread is ours
            journal.audit("relay", "run", error)
            self._fail(WinsockError(WSAECONNABORTED, f"the relay failed: {error!r}"))
        finally:
            self._finish(near, far)
            self._leave()

    # From any thread.

    @property
    def waiting(self) -> int:
        """About how many bytes are held here, on their way."""
        return 0 if self._carrier is None else self._carrier.outgoing.waiting + self._carrier.incoming.waiting

    def abort(self, error: WinsockError | None = None) -> None:
        """Reset both ends, for that reason; a far end that is still connecting gives up."""
        with self._guard:
            if self._far is not None:
                self._error = self._error or error or WinsockError(WSAECONNABORTED, "the connection was given up")
                host.connect(self._far, host.NOBODY)

    def program_closed(self) -> None:
        """The program has closed its socket, so that nobody receives what the network brings.

        The near end alone cannot tell that from a program that sends no more. What it sent before still goes out; then
        the connection ends in order, and the kernel resets it where something comes that nobody can receive.
        """
        with self._guard:
            if self._far is None or (self._near is not None and is_dead(self._near)):
                return  # over already, or about to be
            self._near_closed = True  # which may be before the near end is known here
            if self._carrier is not None and self._near is not None:
                self._carrier.incoming.discards = True
                if self._carrier.outgoing.over:  # else the end is still to be read, which wakes the relay anyway
                    host.connect(self._near, host.NOBODY)

    # What is behind them.

    def _settle(self, settled: Settled, far: socket) -> socket | None:
        """Wait for the far end, then have the near one."""
        try:
            wait_connected(far, self._outcome, self._is_over)
            exchange(far, self.pipeline, self._is_over)
        except WinsockError as error:
            self._fail(error)
        self._near = settled(self._error)
        if self._near is None:
            self._fail(WinsockError(WSAECONNABORTED, "the program has gone"))
            return None
        return socket(fileno=self._near)

    def _carry(self, near: socket, far: socket) -> None:
        if not self.pipeline.is_open:
            self.pipeline.open()
        carrier = Carrier(near, far, self.pipeline, self._is_over)
        with self._guard:
            self._carrier = carrier
            carrier.incoming.discards = self._near_closed
        error = carrier.run()
        if error is not None:
            self._fail(error)

    def _is_over(self) -> bool:
        return self._error is not None

    def _fail(self, error: WinsockError) -> None:
        with self._guard:
            self._error = self._error or error

    def _finish(self, near: socket | None, far: socket) -> None:
        """Tell, close, and tell the layers."""
        stats = self._last_stats(far.fileno())
        sent, received = (0, 0) if self._carrier is None else self._carrier.counts
        if self._carrier is not None:  # exact, where the kernel counts an end as one more byte
            stats = stats._replace(sent=sent, received=received)
        _guarded("ended", self._ended, Ending(sent, received, self._error, stats))
        with self._guard:
            self._near = self._far = None
        for end in (far,) if near is None else (near, far):
            _set_linger(end, host.CLOSE_IN_ORDER if self._error is None else host.RESET_ON_CLOSE)
        if near is not None:
            near.close()
        _guarded("close", self._close_far, far.detach())
        self.pipeline.closed(stats)

    def _last_stats(self, far: int) -> Stats:
        if self._stats is not None:
            try:
                return self._stats(far)
            except Exception as error:
                journal.audit("relay", "stats", error)
        return Stats(far, os.getpid(), None, None, "tcp")

    def _leave(self) -> None:
        with _changed:
            LIVE.discard(self)
            _changed.notify_all()


LIVE: set[Relay] = set()
"""The relays that run."""
_changed = threading.Condition()
_POOL = Pool()


def drain(timeout: float) -> int:
    """Wait until no relay runs any more, so many seconds at most; how many still do."""
    with _changed:
        _changed.wait_for(lambda: not LIVE, timeout)
        return len(LIVE)


def _guarded(what: str, function: Callable[..., None], argument: object) -> None:
    try:
        function(argument)
    except Exception as error:
        journal.audit("relay", what, error)


def _set_linger(end: socket, value: bytes) -> None:
    try:
        end.setsockopt(SOL_SOCKET, SO_LINGER, value)
    except OSError:
        pass
