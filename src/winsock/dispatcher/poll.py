"""WSAPoll: the readiness of many sockets, from poll().

Windows reports the end of a stream as POLLHUP and not as something to read, and says nothing of a socket that was
never connected. Handles that are no descriptors of their provider's sockets are asked for by WSPSelect.

Source: nf-winsock2-wsapoll.
"""

from __future__ import annotations

import errno
import math
import select as host
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from winsock.abi.constants import (
    FIONREAD,
    POLLERR,
    POLLHUP,
    POLLNVAL,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    SO_ACCEPTCONN,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAENOTSOCK, WinsockError
from winsock.dispatcher import select
from winsock.dispatcher.records import Record, closed_since, records
from winsock.dispatcher.waits import Waiter
from winsock.spi.losses import LOSSES

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable

Entry: TypeAlias = tuple[int, int]
"""(socket, events) as asked, (socket, revents) as answered."""

_HOST_IN = getattr(host, "POLLIN", 1)
_HOST_PRI = getattr(host, "POLLPRI", 2)
_HOST_OUT = getattr(host, "POLLOUT", 4)
_HOST_ERR = getattr(host, "POLLERR", 8)
_DWORD_SIZE = 4
_HOST_HUP = getattr(host, "POLLHUP", 16)
_HOST_NVAL = getattr(host, "POLLNVAL", 32)
_HOST_RDHUP = getattr(host, "POLLRDHUP", 0x2000)

_MASKS = {
    read | urgent | write | priority: (_HOST_IN | _HOST_RDHUP if read else _HOST_RDHUP)
    | (_HOST_PRI if urgent else 0)
    | (_HOST_OUT if write else 0)
    for read in (0, POLLRDNORM)
    for urgent in (0, POLLRDBAND)
    for write in (0, POLLWRNORM)
    for priority in (0, POLLWRBAND)
}
"""What may be asked for, and what it is to the host."""


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
            register(fd, _MASKS[events])
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
    return [(fd, revents) for fd, events in fds if (revents := told.get(fd, 0) & (events | _UNASKED))]


_UNASKED = POLLERR | POLLHUP | POLLNVAL


def _wait(poller: host.poll, wanted: dict[int, int], timeout_ms: int) -> list[Entry]:
    """The answers of a poll object that is filled, in time."""
    until = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
    found = poller.poll(0)
    ready = _told(found, wanted)
    if ready or timeout_ms == 0:
        return ready
    with Waiter(wanted) as waiter, _Edges(poller, wanted) as edges:  # who closes one of them rings
        asked = {fd: records.get(fd) for fd in wanted}
        poller.register(waiter.bell, _HOST_IN)
        while True:
            edges.take(found)
            found = poller.poll(None if until is None else max(0, math.ceil((until - time.monotonic()) * 1000)))
            is_late = not found
            waiter.silence()
            closed = closed_since(asked)
            found = [one for one in edges.told(found) if one[0] != waiter.bell and one[0] not in closed]
            ready = _told(found, wanted)
            if closed:
                told = dict(ready) | dict.fromkeys(closed, POLLNVAL)
                return [(fd, told[fd]) for fd in wanted if fd in told]
            if ready or is_late:
                return ready


def _told(found: list[Entry], wanted: dict[int, int]) -> list[Entry]:
    """What the host's answers are in Windows."""
    told = [(fd, revents) for fd, events in found if (revents := _meaning(fd, events, wanted[fd]))]
    return _with_losses(told, wanted) if LOSSES else told


def _with_losses(told: list[Entry], wanted: dict[int, int]) -> list[Entry]:
    """A receive has something to tell that the host does not know any more."""
    answers = dict(told)
    for fd in LOSSES.intersection(wanted):
        if wanted[fd] & POLLRDNORM:
            answers[fd] = answers.get(fd, 0) | POLLRDNORM
    return [(fd, answers[fd]) for fd in wanted if fd in answers]


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
            self._poller.register(self._epoll, _HOST_IN)
        try:
            self._epoll.register(fd, _MASKS[self._wanted[fd]] | host.EPOLLET)
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
        if events not in _MASKS:
            raise WinsockError(WSAEINVAL, _why_not(events))
    wanted = dict(entries)
    if len(wanted) != len(entries):
        return _doubled(entries, timeout_ms)
    if not wanted:
        raise WinsockError(WSAEINVAL, "fds: there is no socket in it")
    sockets = {fd: record for fd in wanted if (record := records.get(fd)) is not None}
    if any(record.made for record in sockets.values()):
        return _oddly({fd: wanted[fd] if fd in sockets else -1 for fd in wanted}, timeout_ms)
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


def _meaning(fd: int, events: int, wanted: int) -> int:
    """What the host's events are in Windows."""
    if events & _HOST_NVAL:
        return POLLNVAL
    if events & _HOST_ERR and not events & (_HOST_RDHUP | _HOST_HUP):
        _hear_losses(fd)
    ended = events & _HOST_RDHUP
    meaning = _how_ended(fd, events) if events & (_HOST_RDHUP | _HOST_HUP) else 0
    if events & _HOST_IN and wanted & POLLRDNORM and not (ended and not _has_bytes(fd)):
        meaning |= POLLRDNORM
    if events & _HOST_PRI and wanted & POLLRDBAND:
        meaning |= POLLRDBAND
    if events & _HOST_OUT and wanted & POLLWRNORM:
        meaning |= POLLWRNORM
    return meaning


def _how_ended(fd: int, events: int) -> int:
    """POLLHUP, and POLLERR. The base provider may know more (`winsock.spi.provider.TellsEnds`)."""
    record = records.get(fd)
    if record is not None:
        ask = getattr(record.base, "how_ended", None)
        known: int | None = None if ask is None else ask(fd)
        if known is not None:
            return known
    if not events & _HOST_RDHUP:
        return 0
    return POLLHUP | POLLERR if events & _HOST_ERR else POLLHUP


def _hear_losses(fd: int) -> None:
    """What is an error to the host may be news for a receive (`winsock.spi.provider.HearsOfLosses`)."""
    record = records.get(fd)
    hear = None if record is None else getattr(record.base, "hear_losses", None)
    if hear is not None:
        hear(fd)


def _has_bytes(fd: int) -> bool:
    from winsock.host.queues import UNREAD, ask

    try:
        return bool(ask(fd, UNREAD))
    except OSError:
        return True


def _has_ended(s: int) -> bool:
    """Whether a socket that is readable has nothing but its end to be read; no, where its provider cannot tell."""
    record = records.get(s)
    if record is None or record.chain.info.iSocketType != SOCK_STREAM:
        return False
    table = record.table
    try:
        if _has_unread(table, s) or table.WSPGetSockOpt(s, SOL_SOCKET, SO_ACCEPTCONN):
            return False
        # Another thread may have read it meanwhile; then it is not readable any more.
        return bool(table.WSPSelect(0, [s], [], [], 0)[0]) and not _has_unread(table, s)
    except WinsockError:
        return False


def _has_unread(table: ProcTable, s: int) -> bool:
    return any(table.WSPIoctl(s, FIONREAD, None, _DWORD_SIZE))


def _own_poll(fds: Collection[int]) -> Callable[[Mapping[int, int], float | None], dict[int, int]] | None:
    """That of the base provider which made all of these handles (`winsock.spi.provider.PollsItself`)."""
    found: list[Callable[[Mapping[int, int], float | None], dict[int, int]]] = []
    for fd in fds:
        record = records.get(fd)
        own = None if record is None else getattr(record.base, "poll", None)
        if record is None or own is None or record.table.WSPSelect != record.base.select:  # type: ignore[attr-defined]
            return None
        if own not in found:
            found.append(own)
    return found[0] if len(found) == 1 else None


def _oddly(wanted: dict[int, int], timeout_ms: int) -> list[Entry]:
    """Where a socket is no descriptor of its provider's, or is none at all."""
    invalid = [(fd, POLLNVAL) for fd, events in wanted.items() if events == -1]
    known = {fd: events for fd, events in wanted.items() if events != -1}
    if invalid:
        timeout_ms = 0
    told = dict(invalid)
    if known:
        told |= _of_providers(known, None if timeout_ms < 0 else timeout_ms / 1000)
    return [(fd, told[fd]) for fd in wanted if fd in told]


def _of_providers(wanted: dict[int, int], timeout: float | None) -> dict[int, int]:
    """What is told of handles that their providers know."""
    own = _own_poll(wanted)
    if own is not None:
        return own(wanted, timeout)
    sockets = {fd: record for fd in wanted if (record := records.get(fd)) is not None}
    if any(getattr(record.base, "simulation", None) is not None for record in sockets.values()):
        return _simulated(wanted, timeout)
    until = None if timeout is None else time.monotonic() + timeout
    layered = _Layered(wanted, sockets)
    with Waiter({*layered.bases, *layered.bases.values()}) as waiter:  # who closes one of them rings
        while True:
            told = layered.told()
            if told or (until is not None and time.monotonic() >= until):
                return told
            waiter.wait(layered.interest(), until)


class _Layered:
    """Sockets of real base providers, with layers above them.

    When bytes come out of a chain, its uppermost provider knows; how the connection fares, the descriptor beneath.
    """

    def __init__(self, wanted: dict[int, int], sockets: dict[int, Record]) -> None:
        self._wanted = wanted
        self._sockets = sockets
        self.bases = {fd: select.base_of(record) for fd, record in sockets.items()}
        """The descriptor to wait at, by handle."""
        self._readable: set[int] = set()

    def told(self) -> dict[int, int]:
        """The revents of this moment, of those that have any."""
        found = {fd: self._look(fd, record) for fd, record in self._sockets.items()}
        found |= dict.fromkeys(self._wanted.keys() - self._sockets.keys() | closed_since(self._sockets), POLLNVAL)
        return {fd: revents for fd, revents in found.items() if revents}

    def _look(self, fd: int, record: Record) -> int:
        events = self._wanted[fd]
        try:
            reads, writes, exceptions = record.table.WSPSelect(0, [fd], [fd] if events & POLLWRNORM else [], [fd], 0)
        except WinsockError as error:
            if error.winerror != WSAENOTSOCK:
                raise
            return POLLNVAL  # another thread is closing it
        below = _at_once(self.bases[fd])
        self._readable -= {fd}
        told = POLLWRNORM if writes else 0
        if reads and _has_ended(fd):
            told |= POLLHUP
        elif reads:
            self._readable.add(fd)
            told |= events & POLLRDNORM | below & POLLHUP
        if below & POLLERR or (exceptions and not below & POLLRDBAND):
            told |= POLLERR | POLLHUP | below & events & POLLWRNORM
        return told | below & events & POLLRDBAND if exceptions else told

    def interest(self) -> dict[int, int]:
        """What to wait for at the descriptors; who has something to read that was not asked for may yet end."""
        return {
            self.bases[fd]: _HOST_RDHUP
            | (0 if fd in self._readable else _HOST_IN)
            | (_HOST_OUT if events & POLLWRNORM else 0)
            | (_HOST_PRI if events & POLLRDBAND else 0)
            for fd, events in self._wanted.items()
            if fd in self.bases
        }


def _at_once(fd: int) -> int:
    """What a descriptor beneath all layers has to tell of its connection: room, urgent data, the end."""
    asked = POLLRDBAND | POLLWRNORM
    poller = host.poll()
    poller.register(fd, _MASKS[asked])
    return dict(_told(poller.poll(0), {fd: asked})).get(fd, 0) & ~POLLNVAL


def _simulated(wanted: dict[int, int], timeout: float | None) -> dict[int, int]:
    """Where layers stand above simulated sockets: of the end is told where reading was asked for."""
    reads, writes, exceptions = select.select(
        0,
        [fd for fd, events in wanted.items() if events & POLLRDNORM],
        [fd for fd, events in wanted.items() if events & POLLWRNORM],
        list(wanted),
        timeout,
    )
    told = dict.fromkeys(wanted, 0)
    for fds, event in ((reads, POLLRDNORM), (writes, POLLWRNORM), (exceptions, POLLERR | POLLHUP)):
        for fd in fds:
            told[fd] |= POLLHUP if event == POLLRDNORM and _has_ended(fd) else event
    return {fd: revents for fd, revents in told.items() if revents}
