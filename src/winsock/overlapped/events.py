"""Event objects: set, reset, and waited for, several at a time.

A handle is an int: the descriptor of the event's watch, so that an event can also be waited for as a file. Events are
of the manual-reset kind, as WSACreateEvent makes them.

Sources: nf-winsock2-wsacreateevent; nf-winsock2-wsawaitformultipleevents; nf-ws2spi-wpucreateevent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import WSA_WAIT_EVENT_0, WSA_WAIT_TIMEOUT
from winsock.abi.errors import WSA_INVALID_HANDLE, WinsockError
from winsock.overlapped.watches import Watch, wait_for_any

if TYPE_CHECKING:
    from winsock.overlapped.simulation import Simulation


class Event(Watch):
    """A manual-reset event, which starts unsignalled."""

    __slots__ = ()

    def is_set(self) -> bool:
        """Whether it is signalled, after what the watched sockets have to tell."""
        if not self.rung:
            self.look()
        return self.rung


_events: dict[int, Event] = {}


def create() -> int:
    """A new event; its handle. Raises WSA_NOT_ENOUGH_MEMORY."""
    event = Event()
    _events[event.descriptor] = event
    return event.descriptor


def find(handle: object) -> Event:
    """The event of a handle; raises WSA_INVALID_HANDLE."""
    event = _events.get(handle) if isinstance(handle, int) else None
    if event is None:
        raise WinsockError(WSA_INVALID_HANDLE, f"event: {handle!r} is no event object of this process")
    return event


def close(handle: object) -> None:
    """End an event; who waits for it meanwhile waits for nothing. Raises WSA_INVALID_HANDLE."""
    event = find(handle)
    del _events[event.descriptor]
    event.close()


def wait(events: Sequence[Event], wait_all: bool, timeout_s: float | None) -> int:
    """Wait for one event, or for all: WSA_WAIT_EVENT_0 + the lowest index that is set, or WSA_WAIT_TIMEOUT.

    Where simulated sockets signal one of them, that is a wait on simulated time.
    """
    for event in events:
        if event.simulation is not None:
            return _wait_simulated(event.simulation, events, wait_all, timeout_s)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if len(events) == 1:
        return _wait_for(events[0], deadline)
    while True:
        unset = []
        for index, event in enumerate(events):
            if not event.is_set():
                unset.append(event)
            elif not wait_all:
                return WSA_WAIT_EVENT_0 + index
        if not unset:
            return WSA_WAIT_EVENT_0
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return WSA_WAIT_TIMEOUT
        wait_for_any(unset, left)


def _wait_for(event: Event, deadline: float | None) -> int:
    """The commonest wait of all: it looks when it was woken, and not before."""
    while not event.rung:
        left = None if deadline is None else deadline - time.monotonic()
        event.wait(left)
        if not event.is_set() and left is not None and left <= 0:
            return WSA_WAIT_TIMEOUT
    return WSA_WAIT_EVENT_0


def _wait_simulated(simulation: Simulation, events: Sequence[Event], wait_all: bool, timeout_s: float | None) -> int:
    def is_over() -> bool:
        return (all if wait_all else any)(event.is_set() for event in events)

    with simulation.lock:
        until = None if timeout_s is None else simulation.clock.time + timeout_s
        if not simulation.wait(is_over, until, "WSAWaitForMultipleEvents"):
            return WSA_WAIT_TIMEOUT
        return WSA_WAIT_EVENT_0 + (0 if wait_all else next(i for i, event in enumerate(events) if event.is_set()))


def _after_fork() -> None:
    """An event is valid in the process that made it, and an epoll set would be one with the parent's."""
    for event in _events.values():
        event.abandon()
    _events.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
