"""WSPSelect for handles that are files: what poll() says of their descriptors."""

from __future__ import annotations

import select as host
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WinsockError
from winsock.dispatcher.made import Made
from winsock.dispatcher.records import records

_READ = host.POLLIN | host.POLLHUP | host.POLLERR
_WRITE = host.POLLOUT | host.POLLERR


def select(
    nfds: int,
    readfds: Sequence[int] | None,
    writefds: Sequence[int] | None,
    exceptfds: Sequence[int] | None,
    timeout: float | None,
) -> tuple[list[int], list[int], list[int]]:
    """The handles that are ready, in the order given, each once. A file has no exceptions.

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
    return _chosen(ready, readfds, _READ), _chosen(ready, writefds, _WRITE), []


def _poll(wanted: dict[int, int], timeout: float | None) -> dict[int, int]:
    poller = host.poll()
    with ExitStack() as waits:
        for handle, events in wanted.items():
            poller.register(handle, events)
            record = records.get(handle)
            if isinstance(record, Made) and record.file is not None:
                waits.enter_context(record.file.waiting())
        ready = dict(poller.poll(None if timeout is None else timeout * 1000))
    for handle, events in ready.items():
        if events & host.POLLNVAL:
            raise WinsockError(WSAENOTSOCK, f"{handle} is not open")
    return ready


def _chosen(ready: dict[int, int], handles: Iterable[int] | None, events: int) -> list[int]:
    return [handle for handle in dict.fromkeys(handles or ()) if ready.get(handle, 0) & events]
