"""Notices of closed sockets, with the kernel's own counters, at no cost for the calls that carry data.

The kernel multicasts the end of every inet socket of the network namespace. So most notices tell of strangers, and the
reading is built for them: a thread of its own takes notices by the batch, compares their cookies with those that the
supervisor knows in one step, and unpacks only what is known. It sleeps in `poll` until something comes, reads at once,
and then rests a few milliseconds, so that a busy neighbour wakes it a few hundred times a second and no more.

This file must not know what a notice is good for, and it sends nothing to anyone but the kernel.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet

from winsock import host
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.notices.closing import Closing, Past, at_end, so_far
from winsock.supervisor.notices.sockdiag import Message

REST_MS = 3
AT_EXIT_SECONDS = 0.2
LOOK_SECONDS = 0.05
"""An acknowledgement may be delayed by 40 ms; what is not reported then may not be for long."""


def _no_past(cookie: int) -> Past:
    return Past()


def _not_open(cookie: int) -> bool:
    return False


def _drop_error(error: Exception) -> None:
    pass


_UNKNOWN = Closing()


class Destroyed:
    """Calls `on_closed(cookie, closing)`, on a thread of its own, for each socket of `wanted` that the kernel destroys.

    `wanted` is the supervisor's own live set (or `dict.keys()`): a cookie goes in while the socket is held, and
    `on_closed` takes it out. `past(cookie)` says what was seen of the socket. Where notices were lost, the sockets are
    counted: one that is not among those in use, and that `still_open(cookie)` does not claim either, is reported with
    nothing known. (A socket that was never bound or whose connection was reset is open and not in use.)

    Without `counters` every socket is reported with nothing known, at a quarter of the cost, which is enough for those
    who only forget it. Errors of the callbacks and of the kernel go to `on_error`. The constructor raises `OSError`
    where the kernel has no such notices. One network namespace is covered, that of the constructing thread.
    """

    def __init__(
        self,
        on_closed: Callable[[int, Closing], None],
        wanted: AbstractSet[int],
        *,
        past: Callable[[int], Past] = _no_past,
        still_open: Callable[[int], bool] = _not_open,
        on_error: Callable[[Exception], None] = _drop_error,
        counters: bool = True,
        groups: Iterable[str] = tuple(sockdiag.DESTROY_GROUPS),
        buffer_size: int = sockdiag.BUFFER_SIZE,
    ) -> None:
        self._on_closed, self._wanted = on_closed, wanted
        self._past, self._still_open, self._on_error = past, still_open, on_error
        self._counters = counters
        self._socket = sockdiag.subscribe(groups, buffer_size)
        self._questions = sockdiag.Questions()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._notices = sockdiag.Notices(self._socket.fileno())
        self._changed = threading.Condition()
        self._reporting = threading.Lock()
        self._hurried = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="winsock-destroyed", daemon=True)
        self._thread.start()

    @property
    def network(self) -> int:
        """Of which network namespace it tells; 0 where the kernel has no name for it (before Linux 5.14)."""
        try:
            return host.network(self._socket.fileno())
        except OSError:
            return 0

    def flush(self, cookies: Collection[int], seconds: float = AT_EXIT_SECONDS) -> set[int]:
        """Wait until all of these have been reported; those that have not, after so many seconds, are the result."""
        now = time.monotonic()
        deadline, look = now + seconds, now + min(seconds, LOOK_SECONDS)
        with self._changed:
            self._hurried += 1
            os.eventfd_write(self._bell, 1)
            while (left := self._left(cookies)) and now < deadline and self._thread.is_alive():
                self._changed.wait(max(0.0, look - now))
                now = time.monotonic()
                if now >= look:
                    look = min(deadline, now + LOOK_SECONDS)
                    self._report_abandoned(left)
            self._hurried -= 1
        return left

    def _left(self, cookies: Collection[int]) -> set[int]:
        return {cookie for cookie in cookies if cookie in self._wanted}

    def _report_abandoned(self, cookies: Collection[int]) -> None:
        """Report the closed sockets whose notice waits for the peer's FIN alone; nothing can be counted any more.

        That is rare: a closed socket in FIN_WAIT2 is destroyed at once, unless TCP_LINGER2 is long or the last
        acknowledgement came in the very moment of closing, when the kernel keeps it for a minute. What has no counters
        is but the trace that a destroyed socket leaves: its notice, which has them, is on its way.
        """
        try:
            for cookie, message in _in_use(cookies):
                if message.state == sockdiag.FIN_WAIT2 and not message.inode and message.info is not None:
                    self._report(cookie, so_far(message) if self._counters else _UNKNOWN)
        except OSError as error:
            self._tell(error)

    def stop(self) -> None:
        """End the thread and close what it read from; safe to call twice, not to be called from a callback."""
        if self._stopping:
            return
        self._stopping = True
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        self._socket.close()
        self._questions.close()
        os.close(self._bell)

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ready, bell = select.poll(), select.poll()
        ready.register(self._socket, select.POLLIN)
        ready.register(self._bell, select.POLLIN)
        bell.register(self._bell, select.POLLIN)
        while not self._stopping:
            ready.poll()
            try:
                self._round()
            except OSError as error:
                self._tell(error)
                return
            except Exception as error:
                self._tell(error)
            if not self._hurried:
                bell.poll(REST_MS)
            self._silence()

    def _silence(self) -> None:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            pass

    def _round(self) -> None:
        lost = self._drain()
        while lost:
            lost = self._recover()
        if self._hurried:
            with self._changed:
                self._changed.notify_all()

    def _drain(self) -> bool:
        """Read until nothing is left; whether notices were lost."""
        lost = False
        notices, wanted = self._notices, self._wanted
        while True:
            try:
                cookies = notices.receive()
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if not wanted.isdisjoint(cookies):
                for slot, cookie in enumerate(cookies):
                    if cookie in wanted:
                        self._notice(cookie, slot)
            if len(cookies) < sockdiag.BATCH:
                return lost

    def _notice(self, cookie: int, slot: int) -> None:
        if not self._counters:
            self._report(cookie, _UNKNOWN)
            return
        try:
            message = self._notices.read(slot)
            closing = message and at_end(message, self._past, self._questions.state)
        except Exception as error:
            self._tell(error)
            closing = _UNKNOWN
        if closing:
            self._report(cookie, closing)

    def _report(self, cookie: int, closing: Closing) -> None:
        """Once, whichever thread is first."""
        with self._reporting:
            try:
                if cookie in self._wanted:
                    self._on_closed(cookie, closing)
            except Exception as error:
                self._tell(error)

    def _recover(self) -> bool:
        """Report the known sockets that are gone, after what has come meanwhile; whether notices were lost again."""
        try:
            missing = self._missing()
        except OSError as error:
            self._tell(error)
            return False
        lost = self._drain()
        for cookie in missing:
            if not self._claimed(cookie):
                self._report(cookie, _UNKNOWN)
        return lost

    def _claimed(self, cookie: int) -> bool:
        try:
            return self._still_open(cookie)
        except Exception as error:
            self._tell(error)
            return True

    def _missing(self) -> set[int]:
        missing = set(self._wanted)
        for _ in range(2):  # a socket that moves from one table to another can hide from one dump
            if missing:
                missing -= {message.cookie for message in self._questions.every()}
        return missing

    def _tell(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:
            pass  # nobody is left to tell


def still_counting(cookies: Collection[int]) -> dict[int, Closing]:
    """What the kernel has counted so far for those of these sockets that are in use. `OSError` if it does not tell."""
    return {cookie: so_far(message) for cookie, message in _in_use(cookies)}


def _in_use(cookies: Collection[int]) -> Iterator[tuple[int, Message]]:
    questions = sockdiag.Questions()
    try:
        for message in questions.every():
            cookie = message.cookie
            if cookie in cookies:
                yield cookie, message
    finally:
        questions.close()
