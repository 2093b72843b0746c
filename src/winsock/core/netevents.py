"""Network events of one socket: what was recorded, what may be recorded again, and what is told to whom asks.

Windows records events from the start, whatever was asked for; WSAEventSelect says which of them signal its event
object, and WSAEnumNetworkEvents takes those out of the record. An event that was told is *spent*: it comes back when
something new happens (more data, another connection), or when its re-enabling function was called and the condition
still holds. A receive takes back a record that nobody has read yet, since it took the data; so does an accept.

FD_CONNECT and FD_CLOSE have no re-enabling function and come once. FD_WRITE comes with the connection, and again only
when there is room after a send that found none.

Sources: nf-winsock2-wsaeventselect, "Remarks"; nc-ws2spi-lpwspenumnetworkevents.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from winsock.abi.constants import (
    FD_ACCEPT,
    FD_CLOSE,
    FD_CONNECT,
    FD_MAX_EVENTS,
    FD_OOB,
    FD_QOS,
    FD_READ,
    FD_WRITE,
)

RE_ENABLED_BY = {
    FD_READ: "receive",
    FD_OOB: "receive",
    FD_ACCEPT: "accept",
    FD_WRITE: "send",
    FD_QOS: "ioctl",
}
"""Which kind of call lets an event be recorded again; the others are not in the table."""

TAKES_BACK = {"receive": FD_READ | FD_OOB, "accept": FD_ACCEPT}
"""The events whose cause such a call removes, so that their record goes unread; a send leaves FD_WRITE."""

_RE_ENABLES = {
    kind: sum(event for event, by in RE_ENABLED_BY.items() if by == kind) for kind in set(RE_ENABLED_BY.values())
}
_BITS = tuple(1 << bit for bit in range(FD_MAX_EVENTS))

ONCE = FD_CONNECT | FD_CLOSE


class NetworkEvents(NamedTuple):
    """WSANETWORKEVENTS: the events recorded, and an error for each by its FD_*_BIT; 0 where there was none."""

    lNetworkEvents: int
    iErrorCode: tuple[int, ...]

    def lparams(self) -> Iterator[int]:
        """WSAMAKESELECTREPLY of each: what a window is told, the event with its error above it."""
        for bit, error in enumerate(self.iErrorCode):
            if self.lNetworkEvents >> bit & 1:
                yield error << 16 | 1 << bit


NO_EVENTS = NetworkEvents(0, (0,) * FD_MAX_EVENTS)


class Recorder:
    """The record of one socket. Every method that may signal answers whether the event object must be set."""

    __slots__ = ("_events", "_recorded", "_spent", "mask")

    def __init__(self) -> None:
        self.mask = 0
        """The events that signal."""
        self._recorded: dict[int, int] = {}
        self._events = 0
        self._spent = 0

    @property
    def signals(self) -> bool:
        """Whether something is recorded that was asked for."""
        return bool(self._events & self.mask)

    def select(self, mask: int) -> bool:
        """Ask for other events; what is recorded already signals at once."""
        self.mask = mask
        return self.signals

    def happened(self, event: int, error: int = 0) -> bool:
        """Something new: another connection, more data, the end."""
        if event & ONCE and event & (self._spent | self._events):
            return False
        self._recorded[event] = error
        self._events |= event
        return bool(self.mask & event)

    def holds(self, event: int, error: int = 0) -> bool:
        """A condition is found to be true: news only where it was not told since its re-enabling function."""
        if event & (self._spent | self._events):
            return False
        return self.happened(event, error)

    def failed(self, error: int) -> None:
        """Nobody can tell any more: whatever was asked for is told with the error."""
        for event in _BITS:
            if event & self.mask:
                self.happened(event, error)

    def called(self, kind: str) -> None:
        """A function of that kind was called, whatever came of it: its events may be recorded again."""
        self._spent &= ~_RE_ENABLES.get(kind, 0)
        self._events &= ~TAKES_BACK.get(kind, 0)

    def renew(self, event: int) -> None:
        """An event that comes once may come once more: another connect, or another leaf that is to join."""
        self._spent &= ~event
        self._events &= ~event

    def take(self) -> NetworkEvents:
        """WSAEnumNetworkEvents: what was asked for leaves the record; the rest stays, unread."""
        events = self._events & self.mask
        self._events &= ~events
        self._spent |= events
        return NetworkEvents(events, tuple(self._recorded[bit] if bit & events else 0 for bit in _BITS))
