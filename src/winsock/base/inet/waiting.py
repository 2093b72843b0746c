"""WSPSelect: readiness as Windows sees it, from poll().

The kernel reports a failed connect as readable, writable and broken at once, and a stream that was never connected as
hung up. Windows reports the first in the set of exceptions only, and the second not at all. What a handle is reported
for therefore depends on its phase; where nothing is left that anybody asked for, the handle is not polled again and
the wait goes on.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from threading import get_ident

from winsock.abi.constants import POLLERR, POLLHUP
from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WinsockError, from_errno
from winsock.base.inet import own, raw
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.sockets import PEER_GOES_ON, has_peer, has_peer_ended, tcp_state
from winsock.host.numbers import (
    HOST_POLLERR,
    HOST_POLLHUP,
    HOST_POLLIN,
    HOST_POLLNVAL,
    HOST_POLLOUT,
    HOST_POLLPRI,
    LONGEST_POLL_MS,
)
from winsock.spi.blocking import HOOKED

READ, WRITE, EXCEPT = 1, 2, 4

_EVENTS = {READ: HOST_POLLIN, WRITE: HOST_POLLOUT, EXCEPT: HOST_POLLPRI}


class Waiting(Ground):
    """WSPSelect."""

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        """The handles that are ready, in the order given, each once; empty lists when the time is up (lpwspselect).

        Raises WSAEINVAL where no handle is given or the time-out is negative, WSAENOTSOCK for a handle that is none.
        """
        wanted = _wanted(readfds, writefds, exceptfds)
        if not wanted:
            raise WinsockError(WSAEINVAL, "readfds, writefds, exceptfds: there is no handle in any of them")
        if timeout is not None and not timeout >= 0:
            raise WinsockError(WSAEINVAL, f"timeout: {timeout} is no number of seconds; None waits without limit")
        records = {handle: record for handle in wanted if (record := SOCKETS.get(handle)) is not None}
        for record in records.values():
            record.waiters.append(None)
        try:
            if HOOKED:
                self._ask_while_waiting(lambda pause: bool(_wait(wanted, records, pause)), timeout)
                timeout = 0 if get_ident() in HOOKED else timeout
            ready = _wait(wanted, records, timeout)
        finally:
            for record in records.values():
                record.waiters.pop()
        return _chosen(ready, readfds, READ), _chosen(ready, writefds, WRITE), _chosen(ready, exceptfds, EXCEPT)

    def how_ended(self, s: int) -> int | None:
        """See `winsock.spi.provider.TellsEnds`."""
        record = SOCKETS.get(s)
        if record is None:
            return 0 if self.datagrams or tcp_state(s) in PEER_GOES_ON else None
        if not record.stream:  # which has no end
            return 0
        if record.phase == own.FAILED or record.broken_by:  # which the kernel tells once
            return POLLHUP | POLLERR
        return 0 if record.receiving_ended and not has_peer_ended(record) else None

    def hear_losses(self, s: int) -> None:
        """See `winsock.spi.provider.HearsOfLosses`."""
        record = SOCKETS.get(s)
        if record is None:
            return
        if not record.stream:
            from winsock.base.inet import unreached

            unreached.has_news(record)
        elif record.fails_on_icmp:
            _ask_icmp(record)

    def _ask_while_waiting(self, ready: Callable[[float], bool], timeout: float | None) -> None:
        from winsock.base.inet import hooks

        if hooks.is_hooked():
            hooks.wait_for_some(self, ready, timeout)


def _wanted(
    readfds: Sequence[int] | None, writefds: Sequence[int] | None, exceptfds: Sequence[int] | None
) -> dict[int, int]:
    wanted: dict[int, int] = {}
    for handles, interest in ((readfds, READ), (writefds, WRITE), (exceptfds, EXCEPT)):
        for handle in handles or ():
            wanted[handle] = wanted.get(handle, 0) | interest
    return wanted


def _chosen(ready: dict[int, int], handles: Iterable[int] | None, interest: int) -> list[int]:
    return [handle for handle in dict.fromkeys(handles or ()) if ready.get(handle, 0) & interest]


def _wait(wanted: dict[int, int], records: dict[int, OwnSocket], timeout: float | None) -> dict[int, int]:
    """Handle -> what it is ready for; empty when the time is up."""
    ready = {handle: READ for handle, record in records.items() if _has_something(record) and wanted[handle] & READ}
    deadline = None if timeout is None else time.monotonic() + timeout
    polled = dict(wanted)
    bells = {record.shared.bell(): record for record in records.values() if record.shared is not None}
    if bells:  # which are open as long as we have them
        polled.update((bell.descriptor, READ) for bell in bells)
    while True:
        left = 0.0 if ready else None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            answers = _poll(polled, left)
        except OSError as error:
            raise from_errno(error.errno or errno.EIO, f"the kernel did not wait: {error.strerror}") from None
        ready.update((record.handle, wanted[record.handle]) for record in bells.values() if record.closed)
        for handle, events in answers:
            if handle not in wanted:
                continue
            found = _meaning(handle, records.get(handle), events, wanted[handle]) & wanted[handle]
            if found:
                ready[handle] = ready.get(handle, 0) | found
            elif handle not in records or not records[handle].hears_errors:
                del polled[handle]
        if ready or not answers:
            return ready


def _has_something(record: OwnSocket) -> bool:
    """Whether the next accept or receive would not wait, for a reason that the kernel does not know."""
    return bool(record.deferred) or record.lost != 0


def _meaning(handle: int, record: OwnSocket | None, events: int, wanted: int) -> int:
    """What the kernel's events on a handle are in Windows."""
    if record is not None and record.closed and wanted & READ:  # it was closed while we waited
        return READ
    if events & HOST_POLLNVAL:
        raise WinsockError(WSAENOTSOCK, f"{handle} is not open")
    if record is not None and record.stream:
        if record.phase in (own.NEW, own.FAILED):
            return EXCEPT if record.late_failure else 0
        if record.phase == own.CONNECTING and _has_failed(record, events):
            return EXCEPT
    if events & HOST_POLLERR and record is not None and record.hears_errors:
        from winsock.base.inet import unreached

        unreached.collect(record)
        events = events & ~HOST_POLLERR | (HOST_POLLIN if record.lost else 0)
    meaning = 0
    if events & (HOST_POLLIN | HOST_POLLHUP | HOST_POLLERR):
        meaning |= READ
    if events & (HOST_POLLOUT | HOST_POLLERR):
        meaning |= WRITE
    if events & HOST_POLLPRI and not (record.oob_inline if record is not None else _inline(handle)):
        meaning |= EXCEPT
    return meaning


def _has_failed(record: OwnSocket, events: int) -> bool:
    """Whether a connect that was on its way ended in an error; notes that it succeeded."""
    if events & (HOST_POLLERR | HOST_POLLHUP) and not has_peer(record):
        if record.fails_on_icmp:
            _ask_icmp(record)
        return True
    record.settle(0)
    return False


def _ask_icmp(record: OwnSocket) -> None:
    from winsock.base.inet import icmp

    icmp.has_failed(record)


def has_ended(record: OwnSocket) -> bool:
    """Whether the kernel has given up a connection, or the attempt to make one."""
    return any(events & HOST_POLLHUP for _, events in _poll({record.handle: 0}, 0))


def is_settled(record: OwnSocket) -> bool:
    """Whether a connect that was on its way has come to an end, whichever."""
    return bool(_poll({record.handle: WRITE}, 0))


def _inline(handle: int) -> bool:
    return any(raw.getsockopt(handle, socket.SOL_SOCKET, socket.SO_OOBINLINE, 4))


def _poll(wanted: dict[int, int], timeout: float | None) -> list[tuple[int, int]]:
    """(handle, events) of those that have any; a host without poll() has a select() that means the same."""
    if not hasattr(select, "poll"):
        return _select(wanted, timeout)
    poller = select.poll()
    for handle, interest in wanted.items():
        mask = sum(event for kind, event in _EVENTS.items() if interest & kind)
        poller.register(handle, mask)
    return poller.poll(None if timeout is None else min(timeout * 1000, LONGEST_POLL_MS))


def _select(wanted: dict[int, int], timeout: float | None) -> list[tuple[int, int]]:
    if not wanted:
        time.sleep(timeout or 0)
        return []
    readers, writers, exceptions = (
        [handle for handle, interest in wanted.items() if interest & kind] for kind in _EVENTS
    )
    found: dict[int, int] = {}
    answers = select.select(readers, writers, exceptions, timeout)
    for handles, event in zip(answers, _EVENTS.values(), strict=True):
        for handle in handles:
            found[handle] = found.get(handle, 0) | event
    return list(found.items())
