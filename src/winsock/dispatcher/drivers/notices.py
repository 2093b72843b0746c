"""Network events of a direct connection: what WSAEventSelect and WSAAsyncSelect tell of one that a layer is part of.

The provider below would tell of the network, and nothing of bytes that the layer holds or makes. So the connection's
own state is looked at, by the keeper and after every call, and what is new is recorded (`winsock.core.netevents`).
Something is read ahead for that, as Windows would have it in its buffers. A connection that was never selected pays
nothing.

Sources: nf-winsock2-wsaeventselect; nc-ws2spi-lpwspasyncselect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from winsock.abi.constants import (
    FD_CLOSE,
    FD_CONNECT,
    FD_READ,
    FD_WRITE,
    SO_ERROR,
    SOL_SOCKET,
)
from winsock.core.netevents import NetworkEvents, Recorder
from winsock.spi.stats import known

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.connection import Connection
    from winsock.spi.upcalls import Upcalls


class Asked(NamedTuple):
    """What an application asked for."""

    target: object
    """An event object, or a window."""
    message: int | None
    """What is posted to the window."""
    events: int

    def check(self) -> None:
        """Raises WSAEINVAL for an event object, a window or a mask that is none."""
        from winsock.overlapped.selecting import check_mask, the_event, the_window

        check_mask(self.events)
        if self.message is not None:
            the_window(self.target)
        elif self.events:
            the_event(self.target)


class Notices:
    """The record of one connection. Its methods want the connection's lock held."""

    def __init__(self, s: int, upcalls: Upcalls) -> None:
        self._s = s
        self._upcalls = upcalls
        self._recorder = Recorder()
        self._tell: Callable[[], None] = _tell_nobody
        self._told_connection = False
        self._wants_room = False
        self._readable = 0
        """How many bytes there were at the last look."""

    @property
    def mask(self) -> int:
        """The events asked for."""
        return self._recorder.mask

    def select(self, asked: Asked) -> None:
        """Ask for these events, in place of what was asked for before."""
        target, message, events = asked

        def set_event() -> None:
            self._upcalls.WPUSetEvent(target)

        def post() -> None:
            for lparam in self._recorder.take().lparams():
                self._upcalls.WPUPostMessage(target, message or 0, self._s, lparam)

        self._tell = set_event if message is None else post
        if self._recorder.select(events):
            self._tell()

    def take(self, event: object) -> NetworkEvents:
        """WSAEnumNetworkEvents; raises WSAEINVAL for an event object that is none."""
        from winsock.overlapped.selecting import the_event_to_reset

        to_reset = the_event_to_reset(event)
        found = self._recorder.take()
        if to_reset is not None:
            self._upcalls.WPUResetEvent(event)
        return found

    def received(self) -> None:
        """A receive was called."""
        self._recorder.called("receive")
        self._readable = 0

    def found_no_room(self) -> None:
        """A send took not all."""
        self._recorder.called("send")
        self._wants_room = True

    def look(self, connection: Connection) -> None:
        """Record what is new, and tell of it."""
        error = 0 if connection.error is None else connection.error.winerror
        if connection.lost:
            self._recorder.happened(FD_CONNECT, _told_below(connection))
        elif connection.connected:
            self._look_at_data(connection, error)
        elif error:
            self._recorder.happened(FD_CONNECT, error)
        if self._recorder.signals:
            self._tell()

    def _look_at_data(self, connection: Connection, error: int) -> None:
        has_room = connection.ready and not connection.outgoing.size
        if connection.ready and not self._told_connection:
            self._told_connection = True
            if connection.layer.role == "connect":
                self._recorder.happened(FD_CONNECT)
            self._recorder.happened(FD_WRITE)
        elif self._wants_room and has_room:
            self._wants_room = False
            self._recorder.happened(FD_WRITE)
        readable = connection.incoming.size
        if readable > self._readable:
            self._recorder.happened(FD_READ)
        elif readable:
            self._recorder.holds(FD_READ)
        self._readable = readable
        if connection.no_more:
            self._recorder.happened(FD_CLOSE, error)


def _told_below(connection: Connection) -> int:
    """Why a connect failed below; the application may still ask for it."""
    table, lower = connection.table, connection.lower
    error = known(lambda: table.WSPGetSockOpt(lower, SOL_SOCKET, SO_ERROR))
    if not isinstance(error, int) or not error:
        return 0
    known(lambda: table.WSPSetSockOpt(lower, SOL_SOCKET, SO_ERROR, error))
    return error


def _tell_nobody() -> None:
    """Nobody asked."""
