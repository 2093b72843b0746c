"""WSPEventSelect, WSPEnumNetworkEvents, WSPAsyncSelect; and the one WSPSelect of a network, and its WSAPoll.

Sources: nc-ws2spi-lpwspeventselect; nc-ws2spi-lpwspenumnetworkevents; nc-ws2spi-lpwspasyncselect;
nc-ws2spi-lpwspselect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import POLLERR, POLLHUP, POLLNVAL
from winsock.abi.errors import WSAEINVAL, WSAENETDOWN, WSAENOTSOCK, WinsockError
from winsock.base.memory.ground import Ground
from winsock.base.memory.selection import Selection
from winsock.base.memory.sockets import Socket
from winsock.core.netevents import NO_EVENTS, NetworkEvents
from winsock.overlapped.selecting import check_mask, the_event, the_event_to_reset, the_window

if TYPE_CHECKING:
    from winsock.base.memory.network import Network
    from winsock.overlapped.messages import MessageQueue


class Waiting(Ground):
    """The functions of one provider; their sockets' events are recorded by `Selection`."""

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        """The handles of this network that are ready (lpwspselect)."""
        return self.network.select(nfds, readfds, writefds, exceptfds, timeout)

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        """Signal an event object for these network events; 0 ends it. The socket becomes non-blocking.

        Raises WSAEINVAL for an event object or a mask that is none, or that real sockets signal (lpwspeventselect).
        """
        with self.network.entered():
            selection = self._selection(s, events)
            if events:
                selection.select(the_event(event), events, lambda _: self.upcalls.WPUSetEvent(event))
            else:
                selection.cancel()

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        """The events recorded, with their errors; they leave the record, and the event object is reset.

        Raises WSAEINVAL for an event object that is none (lpwspenumnetworkevents).
        """
        with self.network.entered():
            socket = self.socket(s)
            to_reset = the_event_to_reset(event)
            self.network.clock.run_due()
            found = NO_EVENTS if socket.selection is None else socket.selection.take()
            if to_reset is not None:
                to_reset.silence()
            return found

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        """Post a message for each of these network events; 0 ends it. The socket becomes non-blocking.

        Raises WSAEINVAL for a window that is none, or a mask (lpwspasyncselect).
        """
        with self.network.entered():
            self.socket(s)
            queue = the_window(window)
            selection = self._selection(s, events)
            if events:
                selection.select(queue, events, self._poster(queue, message))
            else:
                selection.cancel()

    def _poster(self, window: MessageQueue, message: int) -> Callable[[Selection], None]:
        def post(selected: Selection) -> None:
            for lparam in selected.take().lparams():
                self.upcalls.WPUPostMessage(window, message, selected.socket.handle, lparam)

        return post

    def _selection(self, s: int, events: int) -> Selection:
        socket = self.socket(s)
        check_mask(events)
        socket.blocking = False
        if socket.selection is None:
            socket.selection = Selection(socket)
        return socket.selection


# WSPSelect.


class Asked:
    """One set of handles, and what they are asked for."""

    __slots__ = ("_is_ready", "sockets")

    def __init__(
        self, network: Network, handles: Sequence[int] | None, is_ready: Callable[[Socket], bool], when_closed: bool
    ) -> None:
        self.sockets: dict[int, Socket] = {}
        for handle in handles or ():
            socket = network.sockets.get(handle)
            if socket is None:
                raise WinsockError(WSAENOTSOCK, f"{handle} is no socket of {network!r}")
            self.sockets[handle] = socket
        self._is_ready: Callable[[Socket], bool] = lambda socket: (
            when_closed if socket.is_closed or socket.is_down else is_ready(socket)
        )

    def is_lost(self) -> bool:
        """Whether none of them will ever be ready: each was closed, or its host is down."""
        return all(socket.is_closed or socket.is_down for socket in self.sockets.values())

    def any(self) -> bool:
        """Whether one of them is ready."""
        is_ready = self._is_ready
        return any(is_ready(socket) for socket in self.sockets.values())

    def found(self) -> list[int]:
        """Those that are."""
        return [handle for handle, socket in self.sockets.items() if self._is_ready(socket)]


def select(
    network: Network,
    readfds: Sequence[int] | None,
    writefds: Sequence[int] | None,
    exceptfds: Sequence[int] | None,
    timeout: float | None,
) -> tuple[list[int], list[int], list[int]]:
    """WSPSelect for all protocols of a network. WSAEINVAL, WSAENOTSOCK, WSAENETDOWN."""
    if timeout is not None and not timeout >= 0:
        raise WinsockError(WSAEINVAL, f"timeout: {timeout} is no number of seconds; None waits without limit")
    asked = (
        Asked(network, readfds, lambda socket: socket.is_readable(), True),
        Asked(network, writefds, lambda socket: socket.is_writable(), False),
        Asked(network, exceptfds, lambda socket: socket.is_exceptional(), False),
    )
    if not any(one.sockets for one in asked):
        raise WinsockError(WSAEINVAL, "readfds, writefds, exceptfds: there is no handle in any of them")
    first = next(socket for one in asked for socket in one.sockets.values())
    until = None if timeout is None else network.clock.time + timeout

    def is_over() -> bool:
        return any(one.any() for one in asked) or all(one.is_lost() for one in asked)

    first.provider.wait(is_over, until, f"select of {_handles(asked)}")
    reads, writes, exceptions = (one.found() for one in asked)
    if not (reads or writes or exceptions) and all(one.is_lost() for one in asked):
        if any(socket.is_closed for one in asked for socket in one.sockets.values()):
            raise WinsockError(WSAENOTSOCK, "writefds, exceptfds: all of the sockets were closed meanwhile")
        raise WinsockError(WSAENETDOWN, "writefds, exceptfds: the hosts of all of the sockets are down")
    return reads, writes, exceptions


def poll(network: Network, wanted: Mapping[int, int], timeout: float | None) -> dict[int, int]:
    """What WSAPoll tells of sockets of a network: revents by handle, of those that have any."""
    sockets = {handle: network.sockets.get(handle) for handle in wanted}

    def told() -> dict[int, int]:
        found = {handle: _polled(socket) & (wanted[handle] | _UNASKED) for handle, socket in sockets.items()}
        return {handle: revents for handle, revents in found.items() if revents}

    first = next((socket for socket in sockets.values() if socket is not None), None)
    if first is not None:
        until = None if timeout is None else network.clock.time + timeout
        first.provider.wait(lambda: bool(told()), until, f"WSAPoll of {', '.join(map(str, wanted))}")
    return told()


_UNASKED = POLLERR | POLLHUP | POLLNVAL


def _polled(socket: Socket | None) -> int:
    if socket is None or socket.is_closed:
        return POLLNVAL
    return POLLERR | POLLHUP if socket.is_down else socket.polled()


def _handles(asked: Sequence[Asked]) -> str:
    return ", ".join(str(handle) for one in asked for handle in one.sockets)
