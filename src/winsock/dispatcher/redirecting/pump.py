"""Carries bytes between a near end and a provider's socket, both ways, until both directions are over.

A provider's call may wait as long as it likes and must not stop the other direction, so there are two threads. Nothing
is kept between them and the kernel but what is on its way, so that back-pressure comes by itself: a near end that
nobody reads makes the incoming thread wait, and the provider is not asked for more.

How the ends cross:

- the near end's end of stream becomes WSPShutdown(SD_SEND), the provider's becomes a FIN at the near end
- a reset of the near end closes the provider's socket abortively, when the peer has what was sent before, or takes
  its time
- an error of the provider's resets the near end, when all that came before it has arrived there, and closes the
  socket abortively; where it was a send that failed, what can still be received goes first
- a near end that is closed ends the incoming direction too, when all that was written before it is sent; where
  something came that nobody was there to read, with a reset, as the kernel answers it
- an urgent byte crosses as one (MSG_OOB), in its place: a provider tells it by the flags of a receive that brings it
  alone, and where it sends none, it goes as any other byte

Where a provider resets the connection after the end of its stream, the descriptor below tells; if there is none, the
next send finds out.

Whoever finds that all is over closes the provider's socket, once, which wakes the other thread, if the provider keeps
its contract. If it does not, that thread is lost, and nobody waits for it.

A pump must not know what the near end is to its user: a file of this process, or a supervised program's socket.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAECONNRESET, WinsockError
from winsock.dispatcher.made import acting_for
from winsock.dispatcher.redirecting.far import Far
from winsock.dispatcher.redirecting.near import SIZE, Near

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable

_DELIVERY_S = 5.0
"""How long an error waits for a user of the near end who does not read."""
_GRACE_S = 0.2

running: set[Pump] = set()
"""Those that have not let go of their near end."""


class Pump:
    """One connection. `near` is a descriptor of a connected TCP socket, the pump's own from now on.

    `ended(error)` is called once, when the provider's socket is closed: with what the provider failed with, or None.
    """

    def __init__(
        self, near: int | Near, table: ProcTable, handle: int, ended: Callable[[WinsockError | None], None]
    ) -> None:
        self.near = near if isinstance(near, Near) else Near(near)
        self.far = Far(table, handle)
        self.hold: Callable[[], None] = _nothing
        """Called before the provider's socket is closed; may wait until nobody wants it any more."""
        self.error: WinsockError | None = None
        """What the provider failed with."""
        self._ended = ended
        self._unsent: WinsockError | None = None
        """Why sending failed, while there may be something left to receive."""
        self._incoming_over = threading.Event()
        self._over = threading.Event()
        self._closing = threading.Lock()
        self._abortive = False
        self._unheard = False
        """Whether something came that nobody was there to read."""
        self._carrying_out = False
        self._leaving = threading.Lock()
        self._threads = 2
        self._in_order = False

    def start(self) -> None:
        """Begin; raises `RuntimeError` where there are no threads to be had, and nothing has happened then."""
        begin = threading.Event()
        running.add(self)
        bodies = {"out": self._carry_out, "in": self._carry_in}
        threads = [
            threading.Thread(target=self._run, args=(begin, body), name=f"winsock-pump-{name}", daemon=True)
            for name, body in bodies.items()
        ]
        try:
            for thread in threads:
                thread.start()
        except RuntimeError:
            running.discard(self)
            self._closing.acquire()
            self.far.closed = True
            raise
        finally:
            begin.set()

    # What others may ask, and tell.

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way, as far as can be seen at this moment."""
        incoming = self.far.receiving or self._incoming_over.is_set()
        return incoming and not self._carrying_out and not self.near.untaken() and not self.near.undelivered()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the provider's socket is closed; False where the time ran out."""
        return self._over.wait(timeout)

    def program_closed(self) -> None:
        """Nobody has the other end any more, which a near end cannot always tell from a shutdown.

        What was written before is still sent.
        """
        self.near.end()

    def abort(self, abortive: bool = True) -> None:
        """Give up both directions, and reset the near end; `abortive`: the provider's peer too. See `wait`."""
        self._abortive = self._abortive or abortive
        self.far.closed = True
        self.near.reset()
        self._close(abortive, wait=False)

    def provider_closed(self) -> None:
        """The provider closed its socket by itself."""
        self.far.closed = True
        self.near.reset()
        if self._closing.acquire(blocking=False):
            self._tell()

    # The two threads.

    def _run(self, begin: threading.Event, carry: Callable[[], None]) -> None:
        begin.wait()
        if not self.far.closed:
            with acting_for(self.far.record):
                carry()
        with self._leaving:
            self._threads -= 1
            last = not self._threads
        if last:
            self._leave()

    def _carry_out(self) -> None:
        try:
            while data := self.near.take():
                self._carrying_out = True
                self.far.send(data, self.near.urgent)
                self._carrying_out = False
            self.far.end_sending()
            self.near.wait_until_over()
            self._in_order = True
            self._close(abortive=self.near.was_refused(), patient=True)
        except WinsockError as error:
            self._sending_failed(error)
        except OSError:
            self._close(abortive=True, patient=True)

    def _carry_in(self) -> None:
        failure = self._receive_all()
        self._incoming_over.set()
        if failure is None and not self._unheard and self.far.wait_until_broken():
            failure = WinsockError(WSAECONNRESET, "the connection was reset by the peer", errno=errno.ECONNRESET)
        if failure is not None:
            self._fail(failure)

    def _receive_all(self) -> WinsockError | None:
        """Everything to the near end, and the end of it; why not, where the provider failed."""
        view = memoryview(bytearray(SIZE))
        try:
            while count := self.far.receive(view):
                self._give(view[:count])
                if self._unsent is not None and not self.far.is_readable():
                    break
        except WinsockError as error:
            return None if self._unheard else error
        if self._unsent is None:
            self.near.end()
        return self._unsent

    def _give(self, data: memoryview) -> None:
        """To the near end; to nobody, where that is no more: what is still to be sent decides when it is over."""
        if self._unheard:
            return
        try:
            self.near.give(data, self.far.urgent)
        except OSError:
            self._unheard = True

    def _sending_failed(self, error: WinsockError) -> None:
        """What can still be received goes first; a receive that waits for nothing is not waited for."""
        self._unsent = error
        while not self._incoming_over.wait(_GRACE_S):
            if self.far.receiving and not self.far.is_readable():
                break
        self._fail(error)

    def _fail(self, error: WinsockError) -> None:
        if self.far.closed:
            return  # it was closed under our hands
        if self.error is None:
            self.error = error
        self.near.wait_until_delivered(_DELIVERY_S)
        self.near.reset()
        self._close(abortive=True)

    def _close(self, abortive: bool, wait: bool = True, patient: bool = False) -> None:
        """Close the provider's socket, whoever comes first; `patient`: a reset waits for what was sent before."""
        if not self._closing.acquire(blocking=False):
            return
        if wait:
            self.hold()
        with acting_for(self.far.record):
            if self.far.stop() and patient:
                self._incoming_over.wait(_GRACE_S)  # as it will at once; then it is known what came
            abortive = abortive or self._abortive or self._unheard or self.far.lost
            if abortive and patient:
                self.far.wait_until_sent()
            self.far.close(abortive)
        self._tell()

    def _tell(self) -> None:
        try:
            self._ended(self.error)
        finally:
            self._over.set()

    def _leave(self) -> None:
        if self._in_order:
            self.near.finish()
        else:
            self.near.close()
        running.discard(self)


def _nothing() -> None:
    pass
