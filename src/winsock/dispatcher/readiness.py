"""What readiness is in WSAPoll's words: of what the host says of a socket, and of what providers say of their handles.

Windows reports the end of a stream as POLLHUP and not as something to read, whatever was asked for, and says nothing of
a socket that was never connected. It is the peer's end that is told, never our own shutdown of receiving.

When bytes come out of a chain with handles of its own, its uppermost provider knows; how the connection fares, the base
protocol. WSPSelect tells of the peer's end and of our own shutdown in the same words. So the shutdown is remembered
(`Made.receiving_ended`), and from then on the base protocol alone is asked of the end: nobody can receive any more what
layers might still have to say.

Source: nf-winsock2-wsapoll.
"""

from __future__ import annotations

import select as host
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from winsock.abi.constants import (
    FIONREAD,
    POLLERR,
    POLLHUP,
    POLLNVAL,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRBAND,
    POLLWRNORM,
    SO_ACCEPTCONN,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAENETDOWN, WSAENOTSOCK, WinsockError
from winsock.dispatcher.records import Record, records
from winsock.host.numbers import (
    HOST_POLLERR,
    HOST_POLLHUP,
    HOST_POLLIN,
    HOST_POLLNVAL,
    HOST_POLLOUT,
    HOST_POLLPRI,
    HOST_POLLRDHUP,
)
from winsock.spi.handles import base_handle
from winsock.spi.losses import LOSSES

if TYPE_CHECKING:
    from winsock.dispatcher.made import Made

OwnPoll: TypeAlias = Callable[[Mapping[int, int], float | None], dict[int, int]]
"""See `winsock.spi.provider.PollsItself`."""

_DWORD_SIZE = 4

MASKS = {
    read | urgent | write | priority: (HOST_POLLIN | HOST_POLLRDHUP if read else HOST_POLLRDHUP)
    | (HOST_POLLPRI if urgent else 0)
    | (HOST_POLLOUT if write else 0)
    for read in (0, POLLRDNORM)
    for urgent in (0, POLLRDBAND)
    for write in (0, POLLWRNORM)
    for priority in (0, POLLWRBAND)
}
"""What may be asked for, and what it is to the host."""

UNASKED = POLLERR | POLLHUP | POLLNVAL
"""What is told whatever was asked for."""
_ALL = POLLRDNORM | POLLRDBAND | POLLWRNORM


# What the host says.


def now(fd: int, wanted: int) -> int:
    """What a descriptor has to tell at once."""
    poller = host.poll()
    poller.register(fd, MASKS[wanted])
    return dict(told_by_host(poller.poll(0), {fd: wanted})).get(fd, 0)


def told_by_host(found: Iterable[tuple[int, int]], wanted: Mapping[int, int]) -> list[tuple[int, int]]:
    """What the host's answers are in Windows."""
    told = [(fd, revents) for fd, events in found if (revents := of_host(fd, events, wanted[fd]))]
    return _with_losses(told, wanted) if LOSSES else told


def _with_losses(told: list[tuple[int, int]], wanted: Mapping[int, int]) -> list[tuple[int, int]]:
    """A receive has something to tell that the host does not know any more."""
    answers = dict(told)
    for fd in LOSSES.intersection(wanted):
        if wanted[fd] & POLLRDNORM:
            answers[fd] = answers.get(fd, 0) | POLLRDNORM
    return [(fd, answers[fd]) for fd in wanted if fd in answers]


def of_host(fd: int, events: int, wanted: int) -> int:
    """What the host's events are in Windows."""
    if events & HOST_POLLNVAL:
        return POLLNVAL
    if events & HOST_POLLERR and not events & (HOST_POLLRDHUP | HOST_POLLHUP):
        _hear_losses(fd)
    ended = events & HOST_POLLRDHUP
    meaning = _how_ended(fd, events) if events & (HOST_POLLRDHUP | HOST_POLLHUP) else 0
    if events & HOST_POLLIN and wanted & POLLRDNORM and not (ended and not _has_bytes(fd)):
        meaning |= POLLRDNORM
    if events & HOST_POLLPRI and wanted & POLLRDBAND:
        meaning |= POLLRDBAND
    if events & HOST_POLLOUT and wanted & POLLWRNORM:
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
    if not events & HOST_POLLRDHUP:
        return 0
    return POLLHUP | POLLERR if events & HOST_POLLERR else POLLHUP


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


# What providers say.


def own_poll(record: Record) -> OwnPoll | None:
    """That of the base provider, where no layer makes handles of its own above it."""
    own: OwnPoll | None = getattr(record.base, "poll", None)
    if own is None or record.table.WSPSelect != record.base.select:  # type: ignore[attr-defined]
        return None
    return own


def of_made(record: Made) -> int:
    """What is told of a handle that a provider made, whatever was asked for."""
    s = record.handle
    try:
        reads, writes, exceptions = record.table.WSPSelect(0, [s], [s], [s], 0)
        below = _below(record)
        told = POLLWRNORM if writes else 0
        if record.receiving_ended:
            told |= below & POLLHUP | (POLLRDNORM if reads and _has_unread(record) else 0)
        elif reads:
            told |= POLLHUP if _has_ended(record, below) else POLLRDNORM | below & POLLHUP
    except WinsockError as error:
        if error.winerror != WSAENOTSOCK:
            raise
        return POLLNVAL  # another thread is closing it
    if below & POLLERR or (exceptions and not below & POLLRDBAND):
        told |= POLLERR | POLLHUP | below & POLLWRNORM
    return told | below & POLLRDBAND if exceptions else told


def _below(record: Made) -> int:
    """What is told below all layers, where we look how the connection fares."""
    if record.file is None:
        return _told_by_base(record)
    told = now(record.handle, _ALL) & ~POLLNVAL
    if record.file.error is not None:
        return told | POLLERR | POLLHUP
    if record.receiving_ended:  # of which the descriptor tells as of an end
        return told & ~POLLHUP | _told_by_base(record) & (POLLERR | POLLHUP)
    return told


def _told_by_base(record: Made) -> int:
    try:
        base = base_handle(record.table, record.handle)
    except WinsockError as error:
        return POLLERR | POLLHUP if error.winerror == WSAENETDOWN else 0
    own: OwnPoll | None = getattr(record.base, "poll", None)
    return (now(base, _ALL) if own is None else own({base: _ALL}, 0).get(base, 0)) & ~POLLNVAL


def _has_ended(record: Made, below: int) -> bool:
    """Whether a socket that is readable has nothing but its end to be read; no, where its provider cannot tell."""
    table, s = record.table, record.handle
    try:
        if record.chain.info.iSocketType != SOCK_STREAM:  # whose messages may be empty
            return below & POLLHUP > 0 and not below & POLLRDNORM and not _has_unread(record)
        if _has_unread(record) or table.WSPGetSockOpt(s, SOL_SOCKET, SO_ACCEPTCONN):
            return False
        # Another thread may have read it meanwhile; then it is not readable any more.
        return bool(table.WSPSelect(0, [s], [], [], 0)[0]) and not _has_unread(record)
    except WinsockError:
        return False


def _has_unread(record: Made) -> bool:
    return any(record.table.WSPIoctl(record.handle, FIONREAD, None, _DWORD_SIZE))
