"""Waiting for sockets to be ready."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from winsock.dispatcher import poll
from winsock.dispatcher import select as across
from winsock.dispatcher.route import function, require_started


@function
def select(
    nfds: int,
    readfds: Iterable[int] | None,
    writefds: Iterable[int] | None,
    exceptfds: Iterable[int] | None,
    timeout: float | None = None,
) -> tuple[list[int], list[int], list[int]]:
    """The sockets that are ready: to read, to write, and in exception. Empty lists when the time is up.

    `timeout` is in seconds, None waits without limit; `nfds` is ignored. A connect that succeeded makes a socket
    writable, one that failed puts it among the exceptions, as urgent data does. Raises WSAEINVAL where no socket is
    given or the time-out is negative, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-select.
    """
    require_started()
    return across.select(nfds, tuple(readfds or ()), tuple(writefds or ()), tuple(exceptfds or ()), timeout)


@function
def WSAPoll(fds: Collection[poll.Entry], timeout_ms: int) -> list[poll.Entry]:
    """The state of many sockets: pairs of (socket, revents) for those that have any, of pairs of (socket, events).

    Events are POLLRDNORM, POLLRDBAND (POLLIN is both) and POLLWRNORM (POLLOUT); POLLHUP, POLLERR and POLLNVAL are
    reported unasked. `timeout_ms` is in milliseconds, less than 0 waits without limit. Raises WSAEINVAL where no socket
    is given and for other events, WSAEFAULT, WSANOTINITIALISED. Source: nf-winsock2-wsapoll.
    """
    require_started()
    return poll.poll(fds, timeout_ms)
