"""WSAPoll: the readiness of many sockets, from poll().

What the host and the providers say is put in Windows' words by `winsock.dispatcher.readiness`. Handles that are no
descriptors of their provider's sockets are looked at now and again: what wakes us is a hint only, as in `select`.

Source: nf-winsock2-wsapoll.
"""

from __future__ import annotations

import errno
import math
import select as host
import time
from collections.abc import Collection
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from winsock.abi.constants import POLLNVAL, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRNORM
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.dispatcher import select
from winsock.dispatcher.made import Made
from winsock.dispatcher.readiness import (
    MASKS,
    UNASKED,
    OwnPoll,
    now,
    of_made,
    own_poll,
    told_by_host,
)
from winsock.dispatcher.records import Record, closed_since, records
from winsock.dispatcher.waits import Waiter
from winsock.host.numbers import HOST_POLLIN, HOST_POLLOUT, HOST_POLLPRI, HOST_POLLRDHUP

if TYPE_CHECKING:
    from winsock.overlapped.simulation import Simulation

Entry: TypeAlias = tuple[int, int]
"""(socket, events) as asked, (socket, revents) as answered."""


def poll(fds: Collection[Entry], timeout_ms: int) -> list[Entry]:
    """(socket, revents) of those that have any, in the order given; negative sockets are passed over.

    Raises WSAEINVAL where no socket is given, and for flags that cannot be asked for; WSAEFAULT for what is no pair.
    """
    poller = host.poll()
    register, known = poller.register, records.get
    try:
        for fd, events in fds:
            record = known(fd)
            if record is None or record.made:
                return _poll_odd(fds, timeout_ms)
            register(fd, MASKS[events])
    except KeyError as error:
        raise WinsockError(WSAEINVAL, _why_not(error.args[0])) from None
    except (TypeError, ValueError):
        raise WinsockError(WSAEFAULT, "fds: pairs of (socket, events) are wanted") from None
    if not fds:
        raise WinsockError(WSAEINVAL, "fds: there is no socket in it")
    wanted = dict(fds)
    if len(wanted) != len(fds):
        return _doubled(fds, timeout_ms)
    return _wait(poller, wanted, timeout_ms)


def _doubled(fds: Collection[Entry], timeout_ms: int) -> list[Entry]:
    """Where a socket is there more than once: each time it is told what was asked for then."""
    wanted: dict[int, int] = {}
    for fd, events in fds:
        wanted[fd] = wanted.get(fd, 0) | events
    told = dict(poll(list(wanted.items()), timeout_ms))
    return [(fd, revents) for fd, events in fds if (revents := told.get(fd, 0) & (events | UNASKED))]


def _wait(poller: host.poll, wanted: dict[int, int], timeout_ms: int) -> list[Entry]:
    """The answers of a poll object that is filled, in time."""
    until = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
    found = poller.poll(0)
    ready = told_by_host(found, wanted)
    if ready or timeout_ms == 0:
        return ready
    with Waiter(wanted) as waiter, _Edges(poller, wanted) as edges:  # who closes one of them rings
        asked = {fd: records.get(fd) for fd in wanted}
        poller.register(waiter.bell, HOST_POLLIN)
        while True:
            edges.take(found)
            found = poller.poll(None if until is None else max(0, math.ceil((until - time.monotonic()) * 1000)))
            is_late = not found
            waiter.silence()
            closed = closed_since(asked)
            found = [one for one in edges.told(found) if one[0] != waiter.bell and one[0] not in closed]
            ready = told_by_host(found, wanted)
            if closed:
                told = dict(ready) | dict.fromkeys(closed, POLLNVAL)
                return [(fd, told[fd]) for fd in wanted if fd in told]
            if ready or is_late:
                return ready


class _Edges:
    """Sockets of which the host tells what is nothing in Windows, and would for ever: they are heard when it changes.

    So a socket that we have shut down ourselves waits for its peer's end, and a new one to be connected.
    """

    def __init__(self, poller: host.poll, wanted: dict[int, int]) -> None:
        self._poller = poller
        self._wanted = wanted
        self._taken: set[int] = set()
        self._epoll: host.epoll | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._epoll is not None:
            self._epoll.close()

    def take(self, found: list[Entry]) -> None:
        """These had nothing to tell."""
        for fd, _ in found:
            if fd not in self._taken:
                self._taken.add(fd)
                self._poller.unregister(fd)
                self._watch(fd)

    def _watch(self, fd: int) -> None:
        if not hasattr(host, "epoll"):
            return
        if self._epoll is None:
            self._epoll = host.epoll()
            self._poller.register(self._epoll, HOST_POLLIN)
        try:
            self._epoll.register(fd, MASKS[self._wanted[fd]] | host.EPOLLET)
        except OSError as error:
            if error.errno != errno.EBADF:  # closed meanwhile
                raise

    def told(self, found: list[Entry]) -> list[Entry]:
        """What the host has found, with what has changed."""
        if self._epoll is None:
            return found
        number = self._epoll.fileno()
        return [one for one in found if one[0] != number] + self._epoll.poll(0)


def _poll_odd(fds: Collection[Entry], timeout_ms: int) -> list[Entry]:
    """Where a number is negative, no socket, or one whose provider alone knows when it is ready."""
    entries = [(fd, events) for fd, events in fds if fd >= 0]
    for _, events in entries:
        if events not in MASKS:
            raise WinsockError(WSAEINVAL, _why_not(events))
    wanted = dict(entries)
    if len(wanted) != len(entries):
        return _doubled(entries, timeout_ms)
    if not wanted:
        raise WinsockError(WSAEINVAL, "fds: there is no socket in it")
    sockets = {fd: record for fd in wanted if (record := records.get(fd)) is not None}
    if any(record.made for record in sockets.values()):
        answers = _of_providers(wanted, sockets, None if timeout_ms < 0 else timeout_ms / 1000)
        return [(fd, answers[fd]) for fd in wanted if fd in answers]
    if len(sockets) == len(wanted):
        return poll(list(wanted.items()), timeout_ms)
    told = dict(poll([(fd, wanted[fd]) for fd in sockets], 0)) if sockets else {}
    return [(fd, told.get(fd, POLLNVAL)) for fd in wanted if fd in told or fd not in sockets]


def _why_not(events: object) -> str:
    if not isinstance(events, int):
        return f"fds: {events!r} is no mask of events"
    if events & POLLPRI:
        return "fds: POLLPRI cannot be asked for"
    return f"fds: events {events:#x} hold what cannot be asked for"


def _of_providers(wanted: dict[int, int], sockets: dict[int, Record], timeout: float | None) -> dict[int, int]:
    """Where a socket is no descriptor of its provider's: revents by handle."""
    own = _common_poll(wanted, sockets)
    if own is not None:
        return own(wanted, timeout)
    looks = _Looks(wanted, sockets)
    simulation = select.common_simulation(sockets.values())
    if simulation is not None:
        return _wait_simulated(looks, simulation, timeout)
    until = None if timeout is None else time.monotonic() + timeout
    bases = {fd: select.base_of(record) for fd, record in sockets.items()}
    with Waiter({*bases, *bases.values()}) as waiter:  # who closes one of them rings
        while not (told := looks.told()) and (until is None or time.monotonic() < until):
            waiter.wait({base: looks.interest(fd) for fd, base in bases.items()}, until)
        return told


def _wait_simulated(looks: _Looks, simulation: Simulation, timeout: float | None) -> dict[int, int]:
    until = None if timeout is None else simulation.clock.now() + timeout
    while True:
        seen = simulation.clock.done
        told = looks.told()
        if told or (until is not None and simulation.clock.now() >= until):
            return told
        simulation.wait_for_news(seen, until, "WSAPoll over several providers")


def _common_poll(wanted: dict[int, int], sockets: dict[int, Record]) -> OwnPoll | None:
    """That of the base provider which made all of these handles."""
    if len(sockets) < len(wanted):
        return None
    first, *others = (own_poll(record) for record in sockets.values())
    return first if all(other == first for other in others) else None


class _Looks:
    """Looks at sockets of which a provider knows more than any descriptor, and at those beside them."""

    def __init__(self, wanted: dict[int, int], sockets: dict[int, Record]) -> None:
        self._wanted = wanted
        self._sockets = sockets
        self._readable: set[int] = set()

    def told(self) -> dict[int, int]:
        """The revents of this moment, of those that have any."""
        found = {fd: self._look(fd, record) for fd, record in self._sockets.items()}
        found |= dict.fromkeys(self._wanted.keys() - self._sockets.keys() | closed_since(self._sockets), POLLNVAL)
        return {fd: revents for fd, revents in found.items() if revents}

    def _look(self, fd: int, record: Record) -> int:
        """Of each what it tells alone."""
        events = self._wanted[fd]
        own = own_poll(record)
        if own is not None:
            return own({fd: events}, 0).get(fd, 0)
        if not isinstance(record, Made):
            return now(fd, events)
        found = of_made(record)
        self._readable.discard(fd)
        if found & POLLRDNORM:
            self._readable.add(fd)
        return found & (events | UNASKED)

    def interest(self, fd: int) -> int:
        """What to wait for at its descriptor; who has something to read that was not asked for may yet end."""
        events = self._wanted[fd]
        if not self._sockets[fd].made:
            return MASKS[events]
        return (
            HOST_POLLRDHUP
            | (0 if fd in self._readable else HOST_POLLIN)
            | (HOST_POLLOUT if events & POLLWRNORM else 0)
            | (HOST_POLLPRI if events & POLLRDBAND else 0)
        )
