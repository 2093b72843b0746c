"""Sockets of whose end the kernel gives no notice: those of another network namespace, and all where it gives none.

Whether they are open is looked up in the descriptors of the processes: now and then while anything happens, and at once
when there are many new ones, because each keeps a number of ours. One that nobody has in two looks in a row is closed,
with nothing known. (In one look it may hide: it goes from one process to another, which did not exist when they were
counted.)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from winsock import host

LOOK_EVERY_S = 1.0
MANY_NEW = 256


class Unnoticed:
    """Calls `on_closed(cookie)` for those that are gone; false as an answer: not now.

    `network` is where the kernel gives notice, None where nowhere; `held` finds the cookies that the processes have.
    `many_new` may be met before they must be looked at.
    """

    def __init__(
        self,
        network: int | None,
        held: Callable[[], set[int]],
        on_closed: Callable[[int], bool],
        clock: Callable[[], float] = time.monotonic,
        many_new: int = MANY_NEW,
    ) -> None:
        self._network = network
        self._held, self._on_closed, self._clock = held, on_closed, clock
        self._looking = threading.Lock()
        self._cookies: set[int] = set()
        self._missed: set[int] = set()
        self._many_new = self._most = many_new
        self._looked = clock()

    @property
    def cookies(self) -> AbstractSet[int]:
        """Those that were open when it was last looked."""
        return self._cookies

    def meet(self, cookie: int, descriptor: int) -> bool:
        """A socket was met; whether it is ours to look after, because nobody will tell of its end."""
        if self._network is not None and network_of(descriptor) in (self._network, None):
            return False
        self._cookies.add(cookie)
        return True

    def look(self) -> None:
        """Look, if it is time to."""
        if self._clock() - self._looked >= LOOK_EVERY_S:
            self.look_now()

    def make_room(self) -> bool:
        """Look, twice, if too many new ones were met; whether that was so."""
        if len(self._cookies) < self._most:
            return False
        self.look_now()
        self.look_now()
        return True

    def look_now(self) -> None:
        """Tell of those that nobody had in the look before, and has not now."""
        with self._looking:
            self._looked = self._clock()
            if not self._cookies:
                return
            gone = self._cookies - self._held()
            closed = {cookie for cookie in gone & self._missed if self._on_closed(cookie)}
            self._cookies -= closed
            self._missed = gone - closed
            self._most = len(self._cookies) - len(self._missed) + self._many_new


def network_of(descriptor: int) -> int | None:
    """The network namespace of a socket; None where the kernel does not tell (before Linux 5.14)."""
    try:
        return host.network(descriptor)
    except OSError:
        return None
