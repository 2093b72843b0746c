"""The ends of overlapped operations, of which the providers here begin none, and the notices of completion ports."""

from __future__ import annotations

from collections.abc import Sequence

from winsock.abi.errors import (
    WSA_INVALID_PARAMETER,
    WSAEFAULT,
    WSAEINVAL,
    WSAEOPNOTSUPP,
    WinsockError,
)
from winsock.dispatcher.refusing import refused
from winsock.dispatcher.route import find, function


@function
def WSAGetOverlappedResult(s: int, overlapped: object, wait: bool) -> tuple[int, int]:
    """What an overlapped operation came to: (count, flags). The socket's provider knows; no built-in one begins any.

    Raises WSA_INVALID_PARAMETER where no operation of the socket goes by the structure, WSAEFAULT without one,
    WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-wsagetoverlappedresult.
    """
    table = find(s).table
    if overlapped is None:
        raise WinsockError(WSAEFAULT, "overlapped: it is needed")
    try:
        return table.WSPGetOverlappedResult(s, overlapped, wait)
    except WinsockError as error:
        if error.winerror != WSAEINVAL:
            raise
        raise WinsockError(WSA_INVALID_PARAMETER, error.strerror) from None  # as this function calls it


@refused(WSAEINVAL, "overlapped: no operation of the socket goes by it")
def WPUCompleteOverlappedRequest(s: int, overlapped: object, error: int, transferred: int) -> None:
    """Complete an overlapped operation, for a provider. Raises WSAEINVAL: none goes by the structure.

    Source: nf-ws2spi-wpucompleteoverlappedrequest.
    """


@refused(WSAEOPNOTSUPP, "completion_port: there are no completion ports")
def ProcessSocketNotifications(
    completion_port: object, registrations: Sequence[object] = (), timeout_ms: int = 0, completion_count: int = 0
) -> None:
    """Tie sockets to a completion port, and take what came to it. Raises WSAEOPNOTSUPP: there are no such ports.

    Raises WSAEINVAL for a time to wait where nothing is to be taken. Source: nf-winsock2-processsocketnotifications.
    """
    if timeout_ms and not completion_count:
        raise WinsockError(WSAEINVAL, "timeout_ms: it is 0 where completion_count is")


@function
def SocketNotificationRetrieveEvents(entry: object) -> int:
    """The SOCK_NOTIFY_EVENT_ bits of an OVERLAPPED_ENTRY. Raises WSAEFAULT for what is none.

    Source: nf-winsock2-socketnotificationretrieveevents.
    """
    events = getattr(entry, "dwNumberOfBytesTransferred", None)
    if not isinstance(events, int):
        raise WinsockError(WSAEFAULT, f"entry: {entry!r} is no OVERLAPPED_ENTRY")
    return events
