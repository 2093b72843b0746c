"""WSPSelect for handles that are files: what poll() says of their descriptors."""

from __future__ import annotations

import select as host
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WinsockError
from winsock.dispatcher.made import Made
from winsock.dispatcher.records import records

if TYPE_CHECKING:
    from winsock.dispatcher.redirecting.files import File

_READ = host.POLLIN | host.POLLHUP | host.POLLERR
_WRITE = host.POLLOUT | host.POLLERR


def select(
    nfds: int,
    readfds: Sequence[int] | None,
    writefds: Sequence[int] | None,
    exceptfds: Sequence[int] | None,
    timeout: float | None,
) -> tuple[list[int], list[int], list[int]]:
    """The handles that are ready, in the order given, each once; an exception is urgent data that is not in line.

    Raises WSAEINVAL where no handle is given or the time-out is negative, WSAENOTSOCK for a handle that is none.
    """
    wanted: dict[int, int] = {}
    for handles, events in ((readfds, host.POLLIN), (writefds, host.POLLOUT), (exceptfds, host.POLLPRI)):
        for handle in handles or ():
            wanted[handle] = wanted.get(handle, 0) | events
    if not wanted:
        raise WinsockError(WSAEINVAL, "readfds, writefds, exceptfds: there is no handle in any of them")
    if timeout is not None and not timeout >= 0:
        raise WinsockError(WSAEINVAL, f"timeout: {timeout} is no number of seconds; None waits without limit")
    ready = _poll(wanted, timeout)
    beside = [handle for handle in exceptfds or () if (file := _file(handle)) is not None and not file.in_line]
    return _chosen(ready, readfds, _READ), _chosen(ready, writefds, _WRITE), _chosen(ready, beside, host.POLLPRI)


def _poll(wanted: dict[int, int], timeout: float | None) -> dict[int, int]:
    poller = host.poll()
    files = {handle: file for handle in wanted if (file := _file(handle)) is not None}
    with ExitStack() as waits:
        for file in files.values():
            waits.enter_context(file.waiting())
        for handle, events in wanted.items():
            poller.register(handle, events)
        ready = dict(poller.poll(None if timeout is None else timeout * 1000))
    for handle, events in ready.items():
        if events & host.POLLNVAL:
            if handle not in files:
                raise WinsockError(WSAENOTSOCK, f"{handle} is not open")
            ready[handle] = host.POLLIN  # it was closed while we waited
    return ready


def _file(handle: int) -> File | None:
    record = records.get(handle)
    return record.file if isinstance(record, Made) else None


def _chosen(ready: dict[int, int], handles: Iterable[int] | None, events: int) -> list[int]:
    return [handle for handle in dict.fromkeys(handles or ()) if ready.get(handle, 0) & events]
