"""The redirector: makes a handle of a non-IFS provider a file, as Ws2ifsl.sys does on Windows.

On Windows a handle made by WPUCreateSocketHandle looks like any file handle: ReadFile and WriteFile go into the kernel,
and from there back to the provider's WSPRecv and WSPSend. Here such a handle is *direct* at first: the functions of
Winsock call the provider in the caller's thread, and the number is good for nothing else. `as_file` puts one end of a
pair of connected sockets under the number; from then on the redirector alone calls the provider's WSPRecv and WSPSend,
and carries the bytes between them and its own end of the pair.

Why not at once: the redirector costs two threads, three copies and a wake-up for each way, and most handles are never
used but through Winsock. Why not back again: nobody can know who else reads the descriptor by now.

Where things are: `made` has the handles and what is left of them when their numbers are gone; in `redirecting`, `files`
has one file, `pump` carries, `near` and `far` are its two ends, `transfers` and `waiting` are the functions of Winsock
on the descriptor.
"""

from __future__ import annotations

from winsock.abi.constants import SOCK_STREAM
from winsock.abi.errors import WSAENOTCONN, WSAEOPNOTSUPP, WinsockError
from winsock.dispatcher import route
from winsock.dispatcher.made import Made
from winsock.dispatcher.redirecting import files
from winsock.dispatcher.redirecting.far import Far


@route.function
def as_file(handle: int) -> int:
    """Make a connected handle a real file, for good; the handle, on which plain reads and writes work from now on.

    `os.read`, `os.write`, `poll`, `epoll` and `sendfile` work on it, and a child process may inherit it; the functions
    of Winsock go on working, and all that reads and writes gets one order of bytes. The handle of an IFS provider is a
    file already.

    The file is a stream. A datagram handle is refused (WSAEOPNOTSUPP): of a datagram a file shows neither whom it came
    from nor, where it is empty, that it came at all; and an error between two datagrams would end it. Urgent data goes
    through it as through any stream, where the provider has such (XP1_EXPEDITED_DATA).

    A forked child has the descriptor, and no handle; this process goes on serving it, and should not end before it.
    When this process ends, what was written is delivered, within five seconds.

    Raises WSAENOTCONN for a handle that is not connected, WSAEMFILE and WSAENOBUFS, which leave the handle as it was;
    WSAENOTSOCK, WSANOTINITIALISED. Source: nf-ws2spi-wpucreatesockethandle.
    """
    record = route.find(handle)
    if not isinstance(record, Made) or record.file is not None:
        return handle
    if record.entry.info.iSocketType != SOCK_STREAM:
        raise WinsockError(WSAEOPNOTSUPP, f"handle: {handle} is no stream, and only a stream can be a file")
    _require_connected(record)
    files.make(record)
    return handle


def _require_connected(record: Made) -> None:
    """A handle whose connection is over has no peer any more, but perhaps something to read."""
    try:
        record.table.WSPGetPeerName(record.handle)
    except WinsockError as error:
        if error.winerror == WSAENOTCONN and not Far(record.table, record.handle).has_something():
            raise
