"""Tells of connections that break while nobody reads from them; one thread of the process looks after all.

By epoll, which keeps no file open: whoever waits for a descriptor by poll() puts off the end of its connection.
"""

from __future__ import annotations

import os
import select
import threading

_ERROR = getattr(select, "EPOLLERR", 0x008)
_ONCE = getattr(select, "EPOLLONESHOT", 1 << 30)


class Break:
    """A wait for the end of one connection."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._over = threading.Event()
        self._failed = False

    def wait(self) -> bool:
        """Until the connection is no more, or `give_up`; whether it failed."""
        self._over.wait()
        return self._failed

    def give_up(self) -> None:
        """Nobody wants to know any more. To be called before the descriptor is closed."""
        _forget(self)
        self.tell(failed=False)

    def tell(self, failed: bool) -> None:
        """It is over."""
        self._failed = self._failed or failed
        self._over.set()


def watch(descriptor: int) -> Break | None:
    """Watch a connection; None where that cannot be."""
    global _epoll
    made = Break(descriptor)
    with _lock:
        try:
            if _epoll is None:
                _epoll = select.epoll()
                threading.Thread(target=_look, args=(_epoll,), name="winsock-breaks", daemon=True).start()
            try:
                _epoll.register(descriptor, _ONCE)
            except FileExistsError:
                _epoll.modify(descriptor, _ONCE)
        except (AttributeError, OSError, RuntimeError):
            return None
        before, _watched[descriptor] = _watched.get(descriptor), made
    if before is not None:
        before.tell(failed=False)
    return made


def _forget(known: Break) -> None:
    with _lock:
        if _watched.get(known.descriptor) is not known:
            return
        del _watched[known.descriptor]
        try:
            if _epoll is not None:
                _epoll.unregister(known.descriptor)
        except OSError:
            pass  # it was closed behind our back


def _look(epoll: select.epoll) -> None:
    while True:
        for descriptor, events in epoll.poll():
            with _lock:
                known = _watched.pop(descriptor, None)
            if known is not None:
                known.tell(failed=bool(events & _ERROR))


def _after_fork() -> None:
    """In a child: its threads are gone, and what they looked after is the parent's."""
    global _epoll, _lock
    _lock = threading.Lock()
    _watched.clear()
    if _epoll is not None:
        _epoll.close()
        _epoll = None


_epoll: select.epoll | None = None
_lock = threading.Lock()
_watched: dict[int, Break] = {}

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
