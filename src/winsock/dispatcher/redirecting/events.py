"""Network events of a handle that is a file: what the kernel says of its descriptor, recorded as Windows does.

The provider's own events would tell of bytes that the pump has yet to carry, or has taken already. So what was asked
for before the handle became a file is cancelled at the provider, and must be asked for anew.

Sources: nc-ws2spi-lpwspeventselect, nc-ws2spi-lpwspenumnetworkevents, nc-ws2spi-lpwspasyncselect.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.abi.constants import FD_CLOSE, FD_OOB, FD_READ, FD_WRITE
from winsock.abi.errors import WSAECONNRESET, code_of
from winsock.core.netevents import NO_EVENTS, NetworkEvents, Recorder
from winsock.dispatcher import upcalls
from winsock.dispatcher.redirecting.transfers import Transfers
from winsock.overlapped.selecting import check_mask, the_event, the_event_to_reset, the_window
from winsock.overlapped.watches import FAILED, HUNG_UP, PEER_DONE, READABLE, URGENT, WRITABLE, lock

if TYPE_CHECKING:
    from winsock.overlapped.watches import Watch


class Selection:
    """The events of one file that somebody asked for."""

    def __init__(self, file: Transfers) -> None:
        self.handle = file.handle
        self._file = file
        self._recorder = Recorder()
        self._recorder.holds(FD_WRITE)
        self._watch: Watch | None = None
        self._signal: Callable[[Selection], None] = nothing
        self._wants_room = False

    @property
    def mask(self) -> int:
        """The events asked for."""
        return self._recorder.mask

    def select(self, watch: Watch, mask: int, signal: Callable[[Selection], None]) -> None:
        """Ask for these events, in place of what was asked for before."""
        with lock:
            if watch is not self._watch:
                self.end()
            self._watch, self._signal = watch, signal
            self._attach()
            if self._recorder.select(mask):
                signal(self)
            watch.look()

    def cancel(self) -> None:
        """Ask for nothing any more."""
        with lock:
            self._recorder.select(0)
            self.end()

    def end(self) -> None:
        """Watch the descriptor no more, which may be about to be closed."""
        with lock:
            if self._watch is not None:
                self._watch.detach(self.handle)
            self._watch, self._signal = None, nothing

    def take(self, *, look: bool) -> NetworkEvents:
        """The events recorded, which leave the record; `look` for what came since."""
        if look and self._watch is not None:
            self._watch.look()
        with lock:
            return self._recorder.take()

    def received(self) -> None:
        """A receive was made: what is left counts as new."""
        with lock:
            self._recorder.called("receive")
            if self._watch is not None:
                self._attach()  # what still holds is an edge once more
                self._watch.look()

    def found_no_room(self) -> None:
        """A send found the buffer full: tell when there is room again."""
        with lock:
            self._recorder.called("send")
            self._wants_room = True
            if self._watch is not None:
                self._attach()

    def _attach(self) -> None:
        assert self._watch is not None
        interest = READABLE | URGENT | PEER_DONE | (WRITABLE if self._wants_room else 0)
        self._watch.attach(self.handle, interest, self._kernel_says)

    def _kernel_says(self, events: int) -> None:
        with lock:
            if events < 0:
                self._recorder.failed(code_of(-events))
            else:
                self._look_at(events)
            if self._recorder.signals and not upcalls.silent:
                self._signal(self)

    def _look_at(self, events: int) -> None:
        if events & READABLE and self._file.bytes_to_read():
            self._recorder.happened(FD_READ)
        if events & URGENT and not self._file.in_line:
            self._recorder.holds(FD_OOB)
        if events & WRITABLE and self._wants_room:
            self._wants_room = False
            self._recorder.happened(FD_WRITE)
        if events & (PEER_DONE | HUNG_UP | FAILED):
            self._recorder.happened(FD_CLOSE, WSAECONNRESET if events & FAILED else 0)


def nothing(selection: Selection) -> None:
    """Nobody asked."""


class Events(Transfers):
    """WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect."""

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        if not events:
            self._selection(s, 0).cancel()
            return
        watch = the_event(event)
        self._selection(s, events).select(watch, events, lambda _: watch.ring())

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        to_reset = the_event_to_reset(event)
        found = NO_EVENTS if self.selection is None else self.selection.take(look=True)
        if to_reset is not None:
            to_reset.silence()
        return found

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        queue = the_window(window)
        if not events:
            self._selection(s, 0).cancel()
            return

        def post(selected: Selection) -> None:
            for lparam in selected.take(look=False).lparams():
                queue.post(message, selected.handle, lparam)

        self._selection(s, events).select(queue, events, post)

    def _selection(self, s: int, events: int) -> Selection:
        check_mask(events)
        os.set_blocking(s, False)
        if self.selection is None:
            self.selection = Selection(self)
        return self.selection
