"""Event objects, and network events that signal them or come as messages."""

from __future__ import annotations

from collections.abc import Sequence

from winsock.abi.constants import WSA_INFINITE, WSA_MAXIMUM_WAIT_EVENTS
from winsock.abi.errors import WSA_INVALID_PARAMETER, WinsockError
from winsock.core.netevents import NetworkEvents
from winsock.dispatcher.route import find, function, require_started
from winsock.overlapped import apcs
from winsock.overlapped import events as event_objects
from winsock.overlapped.messages import MessageQueue


@function
def WSACreateEvent() -> int:
    """A new event object: manual-reset, unsignalled, of this process alone; its handle.

    Raises WSA_NOT_ENOUGH_MEMORY, WSANOTINITIALISED. Source: nf-winsock2-wsacreateevent.
    """
    require_started()
    return event_objects.create()


@function
def WSACloseEvent(event: int) -> None:
    """End an event object. Raises WSA_INVALID_HANDLE, WSANOTINITIALISED. Source: nf-winsock2-wsacloseevent."""
    require_started()
    event_objects.close(event)


@function
def WSASetEvent(event: int) -> None:
    """Signal an event object. Raises WSA_INVALID_HANDLE, WSANOTINITIALISED. Source: nf-winsock2-wsasetevent."""
    require_started()
    event_objects.find(event).ring()


@function
def WSAResetEvent(event: int) -> None:
    """Take the signal back. Raises WSA_INVALID_HANDLE, WSANOTINITIALISED. Source: nf-winsock2-wsaresetevent."""
    require_started()
    event_objects.find(event).silence()


@function
def WSAWaitForMultipleEvents(events: Sequence[int], wait_all: bool, timeout_ms: int, alertable: bool = False) -> int:
    """Wait for one event, or for all: WSA_WAIT_EVENT_0 + the lowest index that is set, or WSA_WAIT_TIMEOUT.

    `timeout_ms` is in milliseconds, WSA_INFINITE waits without limit. `alertable`: what providers queue to this thread
    runs meanwhile (WPUQueueApc) and ends the wait, which answers WSA_WAIT_IO_COMPLETION. Raises WSA_INVALID_PARAMETER
    for no event, for more than WSA_MAXIMUM_WAIT_EVENTS (64), and where one is there twice of which all are waited for;
    WSA_INVALID_HANDLE, WSANOTINITIALISED. Source: nf-winsock2-wsawaitformultipleevents.
    """
    require_started()
    if not isinstance(events, (list, tuple)):
        raise WinsockError(WSA_INVALID_PARAMETER, f"events: {events!r} is no list of event objects")
    if not 1 <= len(events) <= WSA_MAXIMUM_WAIT_EVENTS:
        raise WinsockError(
            WSA_INVALID_PARAMETER, f"events: there are {len(events)}, of 1 to {WSA_MAXIMUM_WAIT_EVENTS} that can be"
        )
    if timeout_ms < 0:
        raise WinsockError(WSA_INVALID_PARAMETER, f"timeout_ms: {timeout_ms} is less than nothing")
    found = [event_objects.find(event) for event in events]
    if wait_all and len(set(found)) != len(found):
        raise WinsockError(WSA_INVALID_PARAMETER, "events: an event object is there twice, which goes for any, not all")
    queue = apcs.of_this_thread() if alertable else None
    return event_objects.wait(found, wait_all, None if timeout_ms == WSA_INFINITE else timeout_ms / 1000, queue)


@function
def WSAEventSelect(s: int, event: int | None, events: int) -> None:
    """Signal an event object for these network events (FD_READ, ...); 0 ends it. The socket becomes non-blocking.

    Raises WSAEINVAL for an event object or a mask that is none, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-winsock2-wsaeventselect.
    """
    record = find(s)
    record.table.WSPEventSelect(s, event, events)
    record.note_mode(blocking=False)


@function
def WSAEnumNetworkEvents(s: int, event: int | None = None) -> NetworkEvents:
    """The network events since the last call, with an error for each; they leave the record, `event` is reset.

    Raises WSAEINVAL for an event object that is none, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-winsock2-wsaenumnetworkevents.
    """
    found: NetworkEvents = find(s).table.WSPEnumNetworkEvents(s, event)
    return found


@function
def WSAAsyncSelect(s: int, window: MessageQueue | None, message: int, events: int) -> None:
    """Post a message to a window for each of these network events; 0 ends it. The socket becomes non-blocking.

    A window is a `winsock.MessageQueue`. Raises WSAEINVAL for a window or a mask that is none, WSAENOTSOCK,
    WSANOTINITIALISED. Source: nf-winsock2-wsaasyncselect.
    """
    record = find(s)
    record.table.WSPAsyncSelect(s, window, message, events)
    record.note_mode(blocking=False)
