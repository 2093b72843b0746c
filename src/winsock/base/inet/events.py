"""WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect.

What they need is imported when they are called: most programs, and every supervisor, never do.

Sources: nc-ws2spi-lpwspeventselect; nc-ws2spi-lpwspenumnetworkevents; nc-ws2spi-lpwspasyncselect.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAEOPNOTSUPP, WinsockError, from_errno
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS
from winsock.base.inet.sockets import require_socket

if TYPE_CHECKING:
    from winsock.base.inet.selection import Selection
    from winsock.core.netevents import NetworkEvents


class Events(Ground):
    """WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect."""

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        """Signal an event object for these network events; 0 ends it. The socket becomes non-blocking.

        Raises WSAEINVAL for an event object or a mask that is none, WSAEOPNOTSUPP for a socket of somebody else's
        making, WSAENOTSOCK (lpwspeventselect).
        """
        if not events:
            self._selection(s, 0).cancel()
            return
        from winsock.overlapped.selecting import the_event

        watch = the_event(event)
        self._selection(s, events).select(watch, events, lambda _: self.upcalls.WPUSetEvent(event))

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        """The events recorded, with their errors; they leave the record, and the event object is reset.

        Raises WSAEINVAL for an event object that is none, WSAENOTSOCK (lpwspenumnetworkevents).
        """
        from winsock.core.netevents import NO_EVENTS
        from winsock.overlapped.selecting import the_event_to_reset
        from winsock.overlapped.watches import lock

        to_reset = the_event_to_reset(event)
        record = SOCKETS.get(s)
        if record is None:
            require_socket(s)
        with lock:  # what comes in between would be recorded, and its signal lost
            found = NO_EVENTS if record is None or record.selection is None else record.selection.take()
            if to_reset is not None:
                to_reset.silence()
        return found

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        """Post a message for each of these network events; 0 ends it. The socket becomes non-blocking.

        Raises WSAEINVAL for a window that is none, or a mask, WSAENOTSOCK (lpwspasyncselect).
        """
        from winsock.overlapped.selecting import the_window

        watch = the_window(window)
        selection = self._selection(s, events)
        if not events:
            selection.cancel()
            return

        def post(selected: Selection) -> None:
            for lparam in selected.take_quietly().lparams():
                self.upcalls.WPUPostMessage(window, message, selected.handle, lparam)

        selection.select(watch, events, post)

    def refused_receive(self, s: int) -> None:
        """See `winsock.spi.provider.HearsOfRefusals`."""
        record = SOCKETS.get(s)
        if record is not None and record.selection is not None:
            record.selection.refused_receive()

    def _selection(self, s: int, events: int) -> Selection:
        record = SOCKETS.get(s)
        if record is None:
            require_socket(s)
            raise WinsockError(WSAEOPNOTSUPP, "s: network events are for sockets of this process's own making")
        from winsock.base.inet.selection import Selection
        from winsock.overlapped.selecting import check_mask

        check_mask(events)
        try:
            os.set_blocking(s, False)
        except OSError as error:
            raise from_errno(error.errno or errno.EIO, f"s: it cannot be made non-blocking: {error.strerror}") from None
        if record.selection is None:
            record.selection = Selection(record)
        return record.selection
