"""Time as an argument: a clock that is moved by hand.

It stands still. It keeps an agenda, what is to happen at which time, and is moved along it: to the next time at which
something happens, never by itself and never backwards. Things of the same time happen in the order in which they were
put on the agenda, so that one program gives one history.

What an agenda holds is not taken off again. Whoever no longer wants what he asked for looks, when he is called,
whether it still matters: a timer that is put off a thousand times then costs one entry, not a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from winsock.abi.errors import InternalError

Action: TypeAlias = Callable[[Any], object]
"""Called with the argument that it was put on the agenda with."""


class Wait(NamedTuple):
    """Somebody who waits: for what, and until when at the latest (None: without limit)."""

    what: str
    until: float | None


class ManualClock:
    """A clock that jumps from one event to the next.

    The attributes are read by whoever counts nanoseconds; all but `at` and `jump` leave them alone.
    """

    __slots__ = ("agenda", "done", "is_busy", "order", "time")

    def __init__(self, start: float = 0.0) -> None:
        self.time = start
        """What `now` answers."""
        self.agenda: list[tuple[float, int, Action, Any]] = []
        """A heap of (time, order, action, argument)."""
        self.order = count()
        """Tells things of the same time apart."""
        self.done = 0
        """How many things have happened."""
        self.is_busy = False
        """Something is happening at this moment, and the next thing waits until it is done."""

    def now(self) -> float:
        """Seconds since the start of the clock."""
        return self.time

    def at(self, time: float, action: Action, argument: Any = None) -> None:
        """Put something on the agenda; what is in the past happens as soon as the clock is looked at."""
        heappush(self.agenda, (time, next(self.order), action, argument))

    def run_due(self) -> None:
        """Do everything whose time has come, and what comes of it at once; nothing, where something is being done."""
        agenda = self.agenda
        if self.is_busy or not agenda or agenda[0][0] > self.time:
            return
        self.is_busy = True
        try:
            while agenda and agenda[0][0] <= self.time:
                _, _, action, argument = heappop(agenda)
                self.done += 1
                action(argument)
        finally:
            self.is_busy = False

    def note(self) -> None:
        """Something has happened that was not on the agenda."""
        self.done += 1

    def advance(self, seconds: float) -> None:
        """Let time pass, event by event."""
        end = self.time + seconds
        while self.agenda and self.agenda[0][0] <= end:
            self.time = max(self.time, self.agenda[0][0])
            self.run_due()
        self.time = end

    def jump(self, waits: Sequence[Wait]) -> None:
        """To the next event, or to the end of somebody's patience, whichever comes first; do what is due then.

        Raises `InternalError`, which names those who wait, where nothing will ever happen.
        """
        ends = [wait.until for wait in waits if wait.until is not None]
        if self.agenda:
            ends.append(self.agenda[0][0])
        if not ends:
            waiters = "; ".join(wait.what for wait in waits) or "nobody"
            raise InternalError(f"nothing will ever happen, and these wait for it: {waiters}")
        self.time = max(self.time, min(ends))
        self.run_due()
