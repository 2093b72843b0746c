"""WSPSelect of the direct driver: over connections that know more than any descriptor, and over other sockets.

A connection is ready to be read when its machine holds something for the application; so what came is put through the
machine first. It is ready to be written to when the machine would take bytes, and so would the socket below.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from winsock.dispatcher.drivers.connection import EXCEPT, READ, WRITE, Connection
from winsock.dispatcher.waits import IN, OUT, PRI, Waiter
from winsock.spi.handles import Context, base_handle

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.notices import Asked, Notices
    from winsock.spi.provider import ProcTable

_EVENTS = {READ: IN, WRITE: OUT, EXCEPT: PRI}


class Handle(Context):
    """A handle of the driver's, and the connection behind it."""

    blocking = True
    """Whether the application waits in its calls. The socket below need not."""
    driven: Connection | None = None
    asked: Asked | None = None
    """Which network events the application asked for."""
    notices: Notices | None = None
    """Who tells of them, where it is not the provider below."""

    @property
    def connection(self) -> Connection | None:
        """The layer's connection, where there is one and its connect did not fail below."""
        if self.driven is not None and self.driven.lost:
            self.driven = None
        return self.driven


class Selection:
    """One call."""

    def __init__(self, table: ProcTable, handles: Mapping[int, Handle], sets: Sequence[Sequence[int]]) -> None:
        self._table = table
        self._handles = handles
        self._sets = tuple(zip(_EVENTS, sets, strict=True))
        self._bases = {s: base_handle(table, handle.lower) for s, handle in handles.items()}
        self._moved = False

    def wait(self, timeout: float | None) -> tuple[list[int], list[int], list[int]]:
        """The handles that are ready, of each set; none when the time is up."""
        until = None if timeout is None else time.monotonic() + timeout
        with Waiter(self._bases.values()) as waiter:
            while True:
                ready = self._look()
                if any(ready.values()) or (until is not None and time.monotonic() >= until):
                    reads, writes, exceptions = (
                        [s for s in dict.fromkeys(handles) if ready[s] & interest] for interest, handles in self._sets
                    )
                    return reads, writes, exceptions
                waiter.wait(self._events(), until, self._moved)

    def _look(self) -> dict[int, int]:
        """What every handle is ready for now: connections know themselves, the rest the provider below knows."""
        self._moved = False
        ready = {s: self._found(s, handle) for s, handle in self._handles.items()}
        below: list[list[int]] = []
        for interest, handles in self._sets:
            asked = [s for s in handles if self._is_asked_below(s, interest, ready[s])]
            below.append([self._handles[s].lower for s in asked])
            for s in asked:
                ready[s] &= ~interest
        if any(below):
            answer = self._table.WSPSelect(0, *below, 0)
            for (interest, handles), lowers in zip(self._sets, answer, strict=True):
                for s in handles:
                    if self._handles[s].lower in lowers:
                        ready[s] |= interest
        return ready

    def _found(self, s: int, handle: Handle) -> int:
        connection = handle.connection
        if connection is None:
            return 0
        found, moved = connection.readiness(self._interest(s))
        self._moved = self._moved or moved
        return 0 if connection.lost else found

    def _is_asked_below(self, s: int, interest: int, ready: int) -> bool:
        connection = self._handles[s].connection
        if connection is None:
            return True
        return interest == WRITE and bool(ready & WRITE) and connection.error is None

    def _events(self) -> dict[int, int]:
        """What to wait for, at which base."""
        events: dict[int, int] = {}
        for s, handle in self._handles.items():
            interest = self._interest(s)
            if handle.connection is not None:
                wanted = handle.connection.events(interest)
            else:
                wanted = sum(event for kind, event in _EVENTS.items() if interest & kind)
            if wanted:
                events[self._bases[s]] = events.get(self._bases[s], 0) | wanted
        return events

    def _interest(self, s: int) -> int:
        return sum(interest for interest, handles in self._sets if s in handles)
