"""The network events of one simulated socket, for whoever asked.

The sockets tell what happens; nothing has to be looked for, as it has where a kernel keeps the sockets.

Sources: nf-winsock2-wsaeventselect; nc-ws2spi-lpwspasyncselect; nc-ws2spi-lpwspenumnetworkevents.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from winsock.core.netevents import TAKES_BACK, NetworkEvents, Recorder

if TYPE_CHECKING:
    from winsock.base.memory.sockets import Socket
    from winsock.overlapped.watches import Watch

Signal: TypeAlias = "Callable[[Selection], None]"
"""Sets the event object, or posts the messages."""


def nothing(selection: Selection) -> None:
    """Nobody asks any more."""


class Selection:
    """One socket whose events somebody asked for."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self._recorder = Recorder()
        self._watch: Watch | None = None
        self._signal: Signal = nothing
        for event, error in socket.standing_events().items():
            self._recorder.happened(event, error)

    @property
    def mask(self) -> int:
        """The events asked for."""
        return self._recorder.mask

    def select(self, watch: Watch, mask: int, signal: Signal) -> None:
        """Ask for these events, in place of what was asked for before."""
        watch.simulate(self.socket.network.simulation)
        self._watch, self._signal = watch, signal
        if self._recorder.select(mask):
            signal(self)

    def cancel(self) -> None:
        """Ask for nothing any more."""
        self._recorder.select(0)
        self._signal = nothing

    def inherit(self, socket: Socket) -> None:
        """A connection was accepted: it has the events of its listener."""
        socket.selection = Selection(socket)
        if self._watch is not None and self.mask:
            socket.selection.select(self._watch, self.mask, self._signal)

    def take(self) -> NetworkEvents:
        """The events recorded, which leave the record."""
        return self._recorder.take()

    def happened(self, event: int, error: int = 0) -> None:
        """Something new."""
        if self._recorder.happened(event, error):
            self._signal(self)

    def renew(self, event: int) -> None:
        """An event that comes once may come once more."""
        self._recorder.renew(event)

    def called(self, kind: str) -> None:
        """A call that re-enables events; what still holds is news again."""
        self._recorder.called(kind)
        taken_back = TAKES_BACK.get(kind, 0)
        for event, error in self.socket.standing_events().items():
            if event & taken_back:
                self.happened(event, error)
