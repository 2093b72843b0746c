"""Leader and followers: one thread receives, and performs what it received, until something takes long.

Handing every call to a worker thread would cost more than most calls do. So the leader performs each call itself. A
call that is known to wait makes it hand leadership over first; a call that turns out to wait (a slow layer, a remote
that does not answer) is noticed by a watch thread within two ticks, which promotes a follower. Then nobody else's call
stands behind it.

The watch also looks at calls that are held for long: see `held`. It sleeps while nothing is performed or held.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")

TICK_S = 0.004
LOOK_EVERY_S = 0.025
IDLE_TICKS = 50
WAKE_SIGNAL = signal.SIGRTMIN + 5 if hasattr(signal, "SIGRTMIN") else 0
"""Interrupts the raw call of a performing thread; its handler does nothing and the call is not restarted."""


class Worker(Generic[C]):
    """One thread of the crew, and what it performs."""

    __slots__ = ("call", "news", "thread", "undisturbed")

    def __init__(self) -> None:
        self.call: C | None = None
        self.thread: threading.Thread | None = None
        self.news: threading.Event | None = None
        """What the worker waits for, where that is no call of the kernel's."""
        self.undisturbed = threading.Lock()
        """Held by the worker while it must not be woken, and by who looks at its call and wakes it."""

    def wake(self) -> None:
        """Interrupt the blocking call that this worker is in, if it is in one."""
        news = self.news
        if news is not None:
            news.set()
        elif self.thread is not None and self.thread.ident is not None and self.call is not None:
            signal.pthread_kill(self.thread.ident, WAKE_SIGNAL)


class Crew(Generic[C]):
    """The threads. `receive` waits for a call (None: something else happened), `perform` performs it.

    `look` looks after calls that take long and says whether there are any; `hired` is called first in each thread,
    `stopped` when nothing more will come.
    """

    def __init__(
        self,
        receive: Callable[[], C | None],
        perform: Callable[[Worker[C], C], None],
        look: Callable[[], bool],
        hired: Callable[[Worker[C]], None],
        stopped: Callable[[], None],
    ) -> None:
        self._hired = hired
        self._stopped = stopped
        self._receive = receive
        self._perform = perform
        self._look = look
        self._receiving = threading.Lock()
        """Held by who receives: a leader that is relieved when it has just become free receives once more, and of two
        that wait for calls one would be deaf to everything else."""
        self._promotions = threading.Semaphore(0)
        self._idle_followers = 0
        self._lock = threading.Lock()
        self._leader: Worker[C] | None = None
        self.workers: list[Worker[C]] = []
        self._asleep = True
        self._alarm = threading.Semaphore(0)
        self.failure: BaseException | None = None
        self.finished = threading.Event()
        self._over = False
        """The same, for the leader, who looks at every call."""

    def start(self) -> None:
        """Install the wake-up signal (in the main thread) and start the watch and the first leader."""
        signal.signal(WAKE_SIGNAL, _ignore)
        signal.siginterrupt(WAKE_SIGNAL, True)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self._promote()

    def hand_over(self, worker: Worker[C]) -> None:
        """Let another thread receive, because this one is about to wait."""
        with self._lock:
            if self._leader is not worker:
                return
            self._leader = None
        self._promote()

    def performing(self) -> list[tuple[Worker[C], C]]:
        """What is being performed now."""
        return [(worker, call) for worker in list(self.workers) if (call := worker.call) is not None]

    def rouse(self) -> None:
        """Something is held: the watch must look."""
        if self._asleep:
            self._asleep = False
            self._alarm.release()

    def stop(self, failure: BaseException | None = None) -> None:
        """Nothing more will come: the last process has ended, or a thread of ours has failed."""
        self.failure = self.failure or failure
        self._over = True
        self.finished.set()
        self._stopped()

    def _promote(self) -> None:
        with self._lock:
            hire = self._idle_followers == 0
            self._idle_followers -= not hire
        if hire:
            worker: Worker[C] = Worker()
            worker.thread = threading.Thread(target=self._work, args=(worker,), name="worker", daemon=True)
            self.workers.append(worker)
            worker.thread.start()
        self._promotions.release()

    def _work(self, worker: Worker[C]) -> None:
        try:
            self._hired(worker)
            while True:
                self._promotions.acquire()
                self._leader = worker
                self._lead(worker)
                with self._lock:
                    self._idle_followers += 1
        except BaseException as error:
            self.stop(error)

    def _lead(self, worker: Worker[C]) -> None:
        receive, perform, receiving = self._receive, self._perform, self._receiving
        while self._leader is worker:
            with receiving:
                if self._over:
                    return
                call = receive()
            if call is None:
                continue
            worker.call = call
            if self._asleep:
                self.rouse()
            perform(worker, call)
            worker.call = None

    def _watch(self) -> None:
        try:
            self._keep_watch()
        except BaseException as error:
            self.stop(error)

    def _keep_watch(self) -> None:
        seen: C | None = None
        quiet = 0
        looked = time.monotonic()
        while True:
            if quiet > IDLE_TICKS:
                self._sleep()
                quiet = 0
            time.sleep(TICK_S)
            leader = self._leader
            call = leader.call if leader is not None else None
            if leader is not None and call is not None and call is seen:
                self.hand_over(leader)
            quiet = 0 if call is not None else quiet + 1
            seen = call
            if time.monotonic() - looked >= LOOK_EVERY_S:
                looked = time.monotonic()
                if self._look():
                    quiet = 0

    def _sleep(self) -> None:
        """Until somebody rouses us. Others set what they have for us, then look whether we sleep; we look after.

        A call that has just begun is nothing to look at yet, in whichever thread, and nobody would rouse us for it.
        """
        self._asleep = True
        if not self.performing() and not self._look():
            self._alarm.acquire()
        self._asleep = False


def _ignore(signum: int, frame: object) -> None:
    """The wake-up signal has done its work by arriving."""
