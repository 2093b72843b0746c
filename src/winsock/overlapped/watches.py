"""What a thread waits on while providers watch their sockets: an epoll set, looked through when somebody asks.

A provider that must signal an event object when a socket has news needs no thread of its own: it attaches the socket's
descriptor here, and whoever waits for the event waits for the descriptors too. What the kernel tells is carried to the
provider by the thread that waits or asks, edge by edge, so a wake-up is one wake-up.

A watch is of one process: a child of a fork starts without any.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from winsock.abi.errors import WSA_NOT_ENOUGH_MEMORY, WSAEINVAL, WSAENETDOWN, WinsockError, code_of, from_errno
from winsock.spi.provider import unsupported

if TYPE_CHECKING:
    from winsock.overlapped.simulation import Simulation

lock = threading.RLock()
"""Held wherever a watch, or what is attached to one, changes: two locks would be taken in both orders."""

Source: TypeAlias = Callable[[int], None]
"""Called with the kernel's events for an attached descriptor, as epoll reports them.

Where the kernel cannot be asked, with the errno that it gave, below zero.
"""

READABLE = getattr(select, "EPOLLIN", 0x001)
URGENT = getattr(select, "EPOLLPRI", 0x002)
WRITABLE = getattr(select, "EPOLLOUT", 0x004)
FAILED = getattr(select, "EPOLLERR", 0x008)
HUNG_UP = getattr(select, "EPOLLHUP", 0x010)
PEER_DONE = getattr(select, "EPOLLRDHUP", 0x2000)
_EDGES = getattr(select, "EPOLLET", 1 << 31)


class Watch:
    """Descriptors that are watched, and a bell of our own. `descriptor` is readable while there is news of any."""

    __slots__ = (
        "_bell",
        "_bell_is_heard",
        "_epoll",
        "_looking",
        "_rung",
        "_sources",
        "_waiting",
        "descriptor",
        "simulation",
    )

    simulation: Simulation | None
    """Whose time is waited for: simulated sockets ring here."""

    def __init__(self) -> None:
        if not hasattr(select, "epoll"):
            raise unsupported("waiting for events on this host")
        try:
            self._epoll = select.epoll()
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError as error:
            is_down = code_of(error.errno or errno.EIO) == WSAENETDOWN
            code = WSAENETDOWN if is_down else WSA_NOT_ENOUGH_MEMORY
            raise WinsockError(code, f"no event: {error.strerror}", errno=error.errno) from None
        self._epoll.register(self._bell, READABLE)
        self.descriptor = self._epoll.fileno()
        self._sources: dict[int, Source] = {}
        self._rung = False
        self._bell_is_heard = False
        self._looking = False
        self._waiting = 0
        self.simulation = None

    def attach(self, descriptor: int, interest: int, source: Source) -> None:
        """Watch a descriptor, or watch it for something else; what holds already counts as an edge.

        Raises WSAEINVAL where simulated sockets ring here.
        """
        with lock:
            if self.simulation is not None:
                raise WinsockError(WSAEINVAL, "event: simulated sockets signal it, which do not meet real ones")
            known = descriptor in self._sources
            self._sources[descriptor] = source
            try:
                self._watch(descriptor, interest | _EDGES, known)
            except OSError as error:
                del self._sources[descriptor]
                raise from_errno(error.errno or errno.EIO, f"{descriptor} is not watched: {error.strerror}") from None

    def _watch(self, descriptor: int, interest: int, known: bool) -> None:
        if known:
            try:
                self._epoll.modify(descriptor, interest)
                return
            except FileNotFoundError:
                pass  # the number was closed behind our back and is another file now
        self._epoll.register(descriptor, interest)

    def detach(self, descriptor: int) -> None:
        """Watch it no more."""
        with lock:
            if self._sources.pop(descriptor, None) is not None:
                try:
                    self._epoll.unregister(descriptor)
                except OSError:
                    pass  # closed behind our back

    def simulate(self, simulation: Simulation) -> None:
        """Simulated sockets will ring here; raises WSAEINVAL where real ones do, or those of another simulation."""
        with lock:
            if self._sources or self.simulation not in (None, simulation):
                raise WinsockError(WSAEINVAL, "event: other sockets signal it, which do not meet simulated ones")
            self.simulation = simulation

    def look(self) -> None:
        """Carry what the kernel has to tell to those who attached the descriptors."""
        if not self._sources:
            return
        with lock:
            self._looking = True
            try:
                for descriptor, events in self._news():
                    source = self._sources.get(descriptor)
                    if source is not None:
                        source(events)
            finally:
                self._looking = False

    def _news(self) -> list[tuple[int, int]]:
        try:
            return self._epoll.poll(0)
        except OSError as error:
            return [(descriptor, -(error.errno or errno.EIO)) for descriptor in self._sources]

    def ring(self) -> None:
        """Wake whoever waits, until `silence`."""
        with lock:
            self._rung = True
            # Who finds something by looking needs no bell, unless somebody else waits for what is found.
            if (self._waiting or not self._looking) and not self._bell_is_heard:
                self._bell_is_heard = True
                os.eventfd_write(self._bell, 1)
        if self.simulation is not None:
            self.simulation.poke()

    def silence(self) -> None:
        """Take the ring back."""
        with lock:
            self._rung = False
            if self._bell_is_heard:
                self._bell_is_heard = False
                os.eventfd_read(self._bell)

    def wait(self, timeout_s: float | None) -> None:
        """Until there may be something to find, at the latest after so many seconds."""
        wait_for_any((self,), timeout_s)

    @property
    def rung(self) -> bool:
        """Whether it rings."""
        return self._rung

    def close(self) -> None:
        """End it; nothing is watched any more."""
        with lock:
            self.abandon()

    def abandon(self) -> None:
        """The same for a child, which has a copy of everything but the right to use it."""
        self._sources.clear()
        self._epoll.close()
        os.close(self._bell)


def wait_for_any(watches: Sequence[Watch], timeout_s: float | None) -> None:
    """Until one of them rings or has news, at the latest after so many seconds."""
    poller = select.poll()
    with lock:
        if any(watch.rung for watch in watches):
            return
        for watch in watches:
            watch._waiting += 1
            poller.register(watch.descriptor, select.POLLIN)
    try:
        poller.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000)
    finally:
        with lock:
            for watch in watches:
                watch._waiting -= 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
