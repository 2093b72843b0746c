"""WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect.

What they need is imported when they are called: most programs, and every supervisor, never do.

Sources: nc-ws2spi-lpwspeventselect; nc-ws2spi-lpwspenumnetworkevents; nc-ws2spi-lpwspasyncselect.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from winsock.abi.constants import FD_ALL_EVENTS, FD_MAX_EVENTS, WSA_INVALID_EVENT
from winsock.abi.errors import WSAEINVAL, WSAEOPNOTSUPP, WinsockError
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS

if TYPE_CHECKING:
    from winsock.base.inet.selection import Selection
    from winsock.core.netevents import NetworkEvents
    from winsock.overlapped.events import Event


class Events(Ground):
    """WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect."""

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        """Signal an event object for these network events; 0 ends it. The socket becomes non-blocking.

        Raises WSAEINVAL for an event object or a mask that is none, WSAEOPNOTSUPP for a socket of somebody else's
        making (lpwspeventselect).
        """
        if not events:
            self._selection(s, 0).cancel()
            return
        watch = _event(event)
        self._selection(s, events).select(watch, events, lambda _: self.upcalls.WPUSetEvent(event))

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        """The events recorded, with their errors; they leave the record, and the event object is reset.

        Raises WSAEINVAL for an event object that is none, WSAENOTSOCK (lpwspenumnetworkevents).
        """
        from winsock.core.netevents import NetworkEvents

        to_reset = None if event in (None, WSA_INVALID_EVENT) else _event(event)
        record = SOCKETS.get(s)
        if record is None or record.selection is None:
            found = NetworkEvents(0, (0,) * FD_MAX_EVENTS)
        else:
            found = record.selection.take()
        if to_reset is not None:
            to_reset.silence()
        return found

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        """Post a message for each of these network events; 0 ends it. The socket becomes non-blocking.

        Raises WSAEINVAL for a window that is none, or a mask (lpwspasyncselect).
        """
        from winsock.overlapped.messages import MessageQueue

        if not isinstance(window, MessageQueue):
            raise WinsockError(WSAEINVAL, f"window: {window!r} is no MessageQueue")
        selection = self._selection(s, events)
        if not events:
            selection.cancel()
            return

        def post(selected: Selection) -> None:
            found = selected.take_quietly()
            for bit, error in enumerate(found.iErrorCode):
                if found.lNetworkEvents >> bit & 1:
                    self.upcalls.WPUPostMessage(window, message, selected.handle, error << 16 | 1 << bit)

        selection.select(window, events, post)

    def _selection(self, s: int, events: int) -> Selection:
        record = SOCKETS.get(s)
        if record is None:
            raise WinsockError(WSAEOPNOTSUPP, "s: network events are for sockets of this process's own making")
        if events & ~FD_ALL_EVENTS:
            raise WinsockError(WSAEINVAL, f"events: {events:#x} holds what is no network event")
        from winsock.base.inet.selection import Selection

        os.set_blocking(s, False)
        if record.selection is None:
            record.selection = Selection(record)
        return record.selection


def _event(handle: object) -> Event:
    from winsock.overlapped import events

    try:
        return events.find(handle)
    except WinsockError:
        raise WinsockError(WSAEINVAL, f"event: {handle!r} is no event object of this process") from None
