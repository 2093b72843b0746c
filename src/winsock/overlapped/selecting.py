"""What network events are asked for with: an event object, a window, a mask. What is none of them is WSAEINVAL.

Sources: nc-ws2spi-lpwspeventselect; nc-ws2spi-lpwspenumnetworkevents; nc-ws2spi-lpwspasyncselect.
"""

from __future__ import annotations

from winsock.abi.constants import FD_ALL_EVENTS, WSA_INVALID_EVENT
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.overlapped import events as event_objects
from winsock.overlapped.events import Event
from winsock.overlapped.messages import MessageQueue


def the_event(handle: object) -> Event:
    """The event object of this process that a handle is."""
    try:
        return event_objects.find(handle)
    except WinsockError as error:
        raise WinsockError(WSAEINVAL, error.strerror) from None


def the_event_to_reset(handle: object) -> Event | None:
    """The same for WSPEnumNetworkEvents, which may be given none."""
    return None if handle in (None, WSA_INVALID_EVENT) else the_event(handle)


def the_window(window: object) -> MessageQueue:
    """The window, which is a message queue of ours."""
    if not isinstance(window, MessageQueue):
        raise WinsockError(WSAEINVAL, f"window: {window!r} is no MessageQueue")
    return window


def check_mask(events: int) -> None:
    """Refuse a mask that holds anything but FD_READ and its like."""
    if events & ~FD_ALL_EVENTS:
        raise WinsockError(WSAEINVAL, f"events: {events:#x} holds what is no network event")
