"""Waiting for handles of which a provider knows more than any descriptor shows.

A provider that makes its own handles may hold bytes, or owe some, when nothing happens at the descriptor below. Who
waits for such a handle waits for the descriptor beneath all layers (its *base*), and is woken as well when some layer
says that its connection has news (`wake`). Either is only a hint when to ask again: what a handle is ready for, its
provider alone knows. A base that wakes us again and again for nothing is left out, and instead we ask after a moment,
which grows, so that nothing makes us spin.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from winsock.host.numbers import HOST_POLLIN, HOST_POLLOUT, HOST_POLLPRI, LONGEST_POLL_MS

IN, PRI, OUT = HOST_POLLIN, HOST_POLLPRI, HOST_POLLOUT

_PATIENCE = 4
"""How often a base may wake us for nothing."""
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05

waiting: dict[int, list[Waiter]] = {}
"""Who waits, by base."""
_lock = threading.Lock()
_alarms: list[Alarm] = []
"""Alarms that nobody uses now."""


class Alarm:
    """What ends a wait from another thread."""

    __slots__ = ("reader", "writer")

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.reader = self.writer = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            return
        reader, writer = socket.socketpair()
        self.reader, self.writer = reader.detach(), writer.detach()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)

    def ring(self) -> None:
        """End the wait of the moment, or the next."""
        try:
            os.write(self.writer, b"\1\0\0\0\0\0\0\0")
        except BlockingIOError:
            pass  # it rings already

    def silence(self) -> None:
        """Let the next one wait again."""
        try:
            os.read(self.reader, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Let go of the descriptors."""
        os.close(self.reader)
        if self.writer != self.reader:
            os.close(self.writer)


class Waiter:
    """One thread's wait. Made before the first look at what it is for, so that no news is missed:

    with Waiter(bases) as waiter:
        while not ready():
            waiter.wait({base: IN}, until)
    """

    def __init__(self, bases: Iterable[int]) -> None:
        self._bases = tuple(bases)
        self._wakes: dict[int, int] = {}
        """Base -> how often it woke us for nothing."""
        self._pause = _FIRST_PAUSE_S

    def __enter__(self) -> Self:
        try:
            self._alarm = _alarms.pop()
        except IndexError:
            self._alarm = Alarm()
        with _lock:
            for base in self._bases:
                waiting.setdefault(base, []).append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with _lock:
            for base in self._bases:
                waiters = waiting.get(base, [])
                if self in waiters:
                    waiters.remove(self)
                if not waiters:
                    waiting.pop(base, None)
        self._alarm.silence()
        _alarms.append(self._alarm)

    def wait(self, events: Mapping[int, int], until: float | None, moved: bool = False) -> None:
        """Until one of these bases has such events, until news of one, or until that time (`time.monotonic`).

        `moved`: whether anything came of the last wait, though not what is waited for.
        """
        if moved:
            self._wakes.clear()
            self._pause = _FIRST_PAUSE_S
        quiet = {base: mask for base, mask in events.items() if self._wakes.get(base, 0) < _PATIENCE}
        if len(quiet) < len(events):
            until = earliest(until, time.monotonic() + self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
        found = poll({**quiet, self.bell: IN}, until)
        if self.bell in found:
            self.silence()
        for base in found & quiet.keys():
            self._wakes[base] = self._wakes.get(base, 0) + 1

    @property
    def bell(self) -> int:
        """The descriptor that has something to read while it rings, for who waits by means of his own."""
        return self._alarm.reader

    def silence(self) -> None:
        """The bell was heard."""
        self._alarm.silence()

    def ring(self) -> None:
        """Wake this waiter."""
        self._alarm.ring()


def poll(events: Mapping[int, int], until: float | None) -> set[int]:
    """The descriptors that have news of any kind, at the latest at that time."""
    timeout = None if until is None else max(0.0, until - time.monotonic())
    if not hasattr(select, "poll"):
        reads, writes, exceptions = (
            [descriptor for descriptor, interest in events.items() if interest & event] for event in (IN, OUT, PRI)
        )
        return {descriptor for ready in select.select(reads, writes, exceptions, timeout) for descriptor in ready}
    poller = select.poll()
    for descriptor, interest in events.items():
        poller.register(descriptor, interest)
    return {
        descriptor for descriptor, _ in poller.poll(None if timeout is None else min(timeout * 1000, LONGEST_POLL_MS))
    }


def wake(base: int) -> None:
    """Tell those who wait for that base that something happened which it does not show."""
    if base in waiting:
        with _lock:
            for waiter in waiting.get(base, ()):
                waiter.ring()


def earliest(*times: float | None) -> float | None:
    """The first of these times; None is never."""
    return min((time for time in times if time is not None), default=None)


def after_fork() -> None:
    """In a child the waiting threads are gone, and alarms would ring in the parent."""
    global _lock
    _lock = threading.Lock()
    waiting.clear()
    while _alarms:
        _alarms.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
