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

from winsock.abi.constants import WSA_WAIT_EVENT_0, WSA_WAIT_IO_COMPLETION, WSA_WAIT_TIMEOUT
from winsock.abi.errors import WSA_INVALID_HANDLE, WinsockError
from winsock.overlapped.watches import Watch, wait_for_any

if TYPE_CHECKING:
    from winsock.overlapped.apcs import ApcQueue
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


def wait(events: Sequence[Event], wait_all: bool, timeout_s: float | None, apcs: ApcQueue | None = None) -> int:
    """Wait for one event, or for all: WSA_WAIT_EVENT_0 + the lowest index that is set, or WSA_WAIT_TIMEOUT.

    With a queue of calls to this thread those run meanwhile, and end the wait: WSA_WAIT_IO_COMPLETION. Where simulated
    sockets signal one of the events, that is a wait on simulated time.
    """
    for event in events:
        if event.simulation is not None:
            return _wait_simulated(event.simulation, events, wait_all, timeout_s, apcs)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if len(events) == 1 and apcs is None:
        return _wait_for(events[0], deadline)
    while True:
        unset: list[Watch] = []
        for index, event in enumerate(events):
            if not event.is_set():
                unset.append(event)
            elif not wait_all:
                return WSA_WAIT_EVENT_0 + index
        if not unset:
            return WSA_WAIT_EVENT_0
        if apcs is not None and apcs.run():
            return WSA_WAIT_IO_COMPLETION
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return WSA_WAIT_TIMEOUT
        wait_for_any(unset if apcs is None else [*unset, apcs.bell], left)


def _wait_for(event: Event, deadline: float | None) -> int:
    """The commonest wait of all: it looks when it was woken, and not before."""
    while not event.rung:
        left = None if deadline is None else deadline - time.monotonic()
        event.wait(left)
        if not event.is_set() and left is not None and left <= 0:
            return WSA_WAIT_TIMEOUT
    return WSA_WAIT_EVENT_0


def _wait_simulated(
    simulation: Simulation, events: Sequence[Event], wait_all: bool, timeout_s: float | None, apcs: ApcQueue | None
) -> int:
    def is_set() -> bool:
        return (all if wait_all else any)(event.is_set() for event in events)

    def is_over() -> bool:
        return is_set() or (apcs is not None and apcs.has_calls)

    if apcs is not None:
        apcs.bell.simulation = simulation  # what is queued from now on wakes this wait
    try:
        with simulation.lock:
            until = None if timeout_s is None else simulation.clock.time + timeout_s
            if not simulation.wait(is_over, until, "WSAWaitForMultipleEvents"):
                return WSA_WAIT_TIMEOUT
            if is_set():
                return WSA_WAIT_EVENT_0 + (0 if wait_all else [event.is_set() for event in events].index(True))
    finally:
        if apcs is not None:
            apcs.bell.simulation = None
    assert apcs is not None
    apcs.run()
    return WSA_WAIT_IO_COMPLETION


def _after_fork() -> None:
    """An event is valid in the process that made it, and an epoll set would be one with the parent's."""
    for event in _events.values():
        event.abandon()
    _events.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
