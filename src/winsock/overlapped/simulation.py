"""Threads that wait on simulated time.

One clock, and the threads whose calls wait for it. The clock moves when all of them wait, so that nobody misses what
happens while he computes; and of those who could go on, one goes on at a time, in the order in which they began to
wait. So a program of several threads has one history, if its threads meet in nothing but Winsock.

A thread takes part from its first call until it ends. Threads made by `spawn` start in turn and are waited for without
limit. Other threads may wait for something that we do not see (a join, a queue): whoever makes no call for a moment of
real time, while the others wait, counts as away until its next call. `away` says so at once, and without a guess. As
long as somebody is away something may yet happen; that nothing ever will is then concluded after a long real time only.

Sources: none of Windows'; the idea of a clock that jumps when all tasks wait is trio's `MockClock`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import TypeAlias

from winsock.abi.errors import InternalError
from winsock.core.clock import ManualClock, Wait

Ready: TypeAlias = Callable[[], bool]
"""Whether a wait is over, from what the simulation knows. Asked by any thread that holds the lock."""

_PATIENCE_S = 0.05
_LONG_S = 20.0
POLL_S = 1e-5
"""What it costs in simulated time to look, and to find nothing: a program that looks again and again gets on."""


class _Waiter:
    """One thread that waits."""

    __slots__ = ("chosen", "error", "news", "ready", "thread", "wait")

    def __init__(self, thread: threading.Thread, ready: Ready, wait: Wait, lock: threading.RLock) -> None:
        self.thread = thread
        self.ready = ready
        self.wait = wait
        self.news = threading.Condition(lock)
        self.chosen = False
        """Its turn: it is the one that goes on."""
        self.error: InternalError | None = None


class Simulation:
    """A clock and its threads. Whoever touches anything simulated holds `lock`, and has called `enter`."""

    def __init__(self, clock: ManualClock | None = None, patience_s: float = _PATIENCE_S) -> None:
        self.clock = ManualClock() if clock is None else clock
        self.lock = threading.RLock()
        self._patience_s = patience_s
        self._waiting: list[_Waiter] = []
        self._running: dict[int, threading.Thread] = {}
        """Those who take part and do not wait, by their ids."""
        self.last = 0
        """The thread that called last, by its id: it is among the running, and need not `enter` again."""
        self._suspects: set[int] = set()
        """Who made no call since somebody lost patience."""
        self._away: dict[int, threading.Thread] = {}
        """Those who take part, and wait for something else."""
        self._stuck_since: float | None = None
        """Real time: since when only those who are away could go on."""
        self._spawned: set[threading.Thread] = set()
        self._failures: list[BaseException] = []

    # Taking part.

    def enter(self) -> None:
        """A call begins, with the lock held: its thread takes part."""
        if get_ident() != self.last:
            self._note(threading.current_thread())

    def _note(self, thread: threading.Thread) -> None:
        self.last = get_ident()
        self._running[self.last] = thread
        self._suspects.discard(self.last)
        self._away.pop(self.last, None)
        self._stuck_since = None

    @contextmanager
    def away(self) -> Iterator[None]:
        """This thread waits for something else meanwhile."""
        with self.lock:
            self._leave()
            self._away[get_ident()] = threading.current_thread()
        try:
            yield
        finally:
            with self.lock:
                self.enter()

    def _leave(self) -> None:
        if self.last == get_ident():
            self.last = 0
        self._running.pop(get_ident(), None)
        self._wake_one()

    def _wake_one(self) -> None:
        """It may be the turn of somebody who has to find out by himself."""
        if self._waiting:
            self._waiting[0].news.notify()

    # Waiting.

    def wait(self, ready: Ready, until: float | None, what: str) -> bool:
        """With the lock held: wait until `ready`, or until that time. False where the time is up.

        The lock is given up meanwhile. Raises `InternalError` where nothing will ever happen, and where the wait is
        part of something that happens at a time of the clock, which would stand still.
        """
        self.enter()
        clock = self.clock
        clock.run_due()
        if ready():
            return True
        if until is not None and until <= clock.time:
            self.pass_by()
            return ready()
        if clock.is_busy:
            raise InternalError(f"what happens at a time of the clock cannot wait for {what}")
        thread = threading.current_thread()
        waiter = _Waiter(thread, ready, Wait(f"{thread.name} for {what}", until), self.lock)
        self._running.pop(get_ident(), None)
        self._waiting.append(waiter)
        self._attend(waiter)
        return ready()

    def _attend(self, waiter: _Waiter) -> None:
        """Until it is our turn, which may be for an error."""
        try:
            while not waiter.chosen:
                if self._running:
                    self._block(waiter)
                else:
                    self._drive(waiter)
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            self._note(waiter.thread)
        if waiter.error is not None:
            raise waiter.error

    def _drive(self, driver: _Waiter) -> None:
        """Move the clock until somebody can go on, and let the first of those."""
        while True:
            for waiter in self._waiting:
                until = waiter.wait.until
                if waiter.error or (until is not None and until <= self.clock.time) or waiter.ready():
                    self._choose(waiter)
                    return
            try:
                self.clock.jump([waiter.wait for waiter in self._waiting])
            except InternalError as error:
                if self._may_yet_go_on(driver):
                    return
                self._fail(error)

    def _may_yet_go_on(self, driver: _Waiter) -> bool:
        """Nothing is on the agenda: give those who are away time to do something."""
        self._away = {ident: thread for ident, thread in self._away.items() if thread.is_alive()}
        if not self._away:
            return False
        if self._stuck_since is None:
            self._stuck_since = time.monotonic()
        driver.news.wait(self._patience_s)
        return self._stuck_since is None or time.monotonic() - self._stuck_since < _LONG_S

    def _choose(self, waiter: _Waiter) -> None:
        waiter.chosen = True
        self._waiting.remove(waiter)
        assert waiter.thread.ident is not None
        self._running[waiter.thread.ident] = waiter.thread
        waiter.news.notify()

    def _fail(self, error: InternalError) -> None:
        """Everybody who waits goes on with an error, in turn."""
        for waiter in self._waiting:
            waiter.error = waiter.error or InternalError(*error.args)

    def _block(self, waiter: _Waiter) -> None:
        """Until there is something to do for this thread, or strangers have been silent for too long."""
        ended = [ident for ident, thread in self._running.items() if not thread.is_alive()]
        if ended:
            for ident in ended:
                del self._running[ident]
            return
        self._suspects = {ident for ident, thread in self._running.items() if thread not in self._spawned}
        if self._suspects:
            self.last = 0  # whoever calls next says so
        if waiter.news.wait(self._patience_s):
            return
        for ident in self._suspects & self._running.keys():
            self._away[ident] = self._running.pop(ident)
        self._suspects = set()

    def wait_for_news(self, seen: int, until: float | None, what: str) -> None:
        """Wait until more has happened than was seen (`clock.done`), or until that time.

        To be read before the look that found nothing: time passes while one looks, and things happen.
        """
        with self.lock:
            self.wait(lambda: self.clock.done != seen, until, what)

    def pass_by(self) -> None:
        """Somebody looked and found nothing: let a little time pass, and others have their turn."""
        if self.clock.is_busy:
            return
        until = self.clock.time + POLL_S
        if len(self._running) > 1 or not self._waiting:
            self.clock.advance(POLL_S)
        else:
            self.wait(lambda: False, until, "a moment after finding nothing")

    def poke(self) -> None:
        """Something happened that somebody may wait for, and that is not on the agenda."""
        with self.lock:
            self._wake_one()

    def sleep(self, seconds: float) -> None:
        """Wait for so much simulated time."""
        with self.lock:
            self.wait(lambda: False, self.clock.time + seconds, f"{seconds} s to pass")

    def after_fork(self) -> None:
        """In a child there is this thread alone, and nobody holds the lock."""
        self.lock = threading.RLock()
        self.last = 0
        for those in (self._waiting, self._running, self._suspects, self._away, self._spawned, self._failures):
            those.clear()

    # Threads of our own.

    def spawn(self, body: Callable[[], object], name: str) -> None:
        """A thread that takes part from its first line on. It starts when its turn comes (`join`)."""
        with self.lock:
            self.enter()
            thread = _Thread(self, body, name)
            self._spawned.add(thread)
            self._waiting.append(thread.start_signal)
            thread.start()

    def join(self) -> None:
        """Wait until all spawned threads have ended. Where one failed, the others do too, and its error is raised."""
        with self.lock:
            try:
                self.wait(self._is_over, None, "the spawned threads")
            except InternalError as error:
                self._failures.insert(0, error)
            if not self._failures:
                return
            first = self._failures[0]
            self._fail(InternalError(f"another thread failed: {first!r}"))
            self.wait(lambda: not self._spawned, None, "the spawned threads, one of which failed")
            self._failures.clear()
        raise first

    def _is_over(self) -> bool:
        return not self._spawned or bool(self._failures)

    def _run(self, thread: _Thread) -> None:
        """The life of a spawned thread."""
        try:
            with self.lock:
                self._attend(thread.start_signal)
            thread.body()
        except BaseException as error:
            with self.lock:
                self._failures.append(error)
        with self.lock:
            self._spawned.discard(thread)
            self._leave()


class _Thread(threading.Thread):
    """A thread of a simulation's own."""

    def __init__(self, simulation: Simulation, body: Callable[[], object], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.body = body
        self.start_signal = _Waiter(self, lambda: True, Wait(f"{name} for its start", None), simulation.lock)
        self._simulation = simulation

    def run(self) -> None:
        self._simulation._run(self)
