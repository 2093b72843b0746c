"""The one thread of all direct connections: it does in time what no application calls for.

Timers of layers, bytes that the network did not take at once, connects and opening exchanges of sockets that do not
block, farewells of closed sockets. It starts with the first of these, and waits at the descriptors beneath all layers.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from winsock.core import journal
from winsock.dispatcher.waits import Waiter, earliest, poll

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.connection import Connection

LAST_SECONDS = 5.0
"""How long the end of a process, or of Winsock, waits for what is owed."""

_watched: dict[Connection, None] = {}
_lock = threading.Lock()
_waiter: Waiter | None = None
"""The thread's."""
ending = False
"""Whether the process ends, so that nobody waits for a farewell but `drain`."""


def watch(connection: Connection) -> None:
    """Tend this connection until it has nothing left to do; again, where what it waits for has changed."""
    global _waiter
    with _lock:
        _watched[connection] = None
        if _waiter is None:
            _waiter = Waiter(()).__enter__()
            thread = threading.Thread(target=_keep, args=(_waiter,), name="winsock-keeper", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter ends: what is owed is sent by `drain`
                _waiter = None
                return
        _waiter.ring()


def stir() -> None:
    """Have the thread look again at what it waits for."""
    with _lock:
        if _waiter is not None:
            _waiter.ring()


def closing() -> list[Connection]:
    """The closed connections that still owe something."""
    return [connection for connection in list(_watched) if connection.closing]


def drain(connections: Iterable[Connection], seconds: float = LAST_SECONDS) -> None:
    """Tend these until they are over, for so long at the most."""
    last = time.monotonic() + seconds
    left = list(connections)
    while time.monotonic() < last:
        events, until, _ = _tend(left)
        left = [connection for connection in left if not connection.over]
        if not left:
            return
        poll(events, earliest(until, last))


def _keep(waiter: Waiter) -> None:
    while True:
        waiter.wait(*_tend(list(_watched)))


def _tend(connections: Iterable[Connection]) -> tuple[dict[int, int], float | None, bool]:
    """Do what there is to do: the events at which there will be more, until when to wait, whether anything moved."""
    events: dict[int, int] = {}
    until: float | None = None
    moved = False
    for connection in connections:
        moves = connection.moves
        try:
            wish = connection.tend()
        except Exception as error:
            journal.audit(connection.layer.name, "tend", error)
            wish = None
        if wish is None:
            _let_go(connection)
            continue
        if wish[0]:  # of layers above each other, several may wait at one base
            events[connection.base] = events.get(connection.base, 0) | wish[0]
        until = earliest(until, wish[1])
        moved = moved or connection.moves != moves
    return events, until, moved


def _let_go(connection: Connection) -> None:
    with _lock:
        if connection.kept is None:  # it may have been given something to do again
            _watched.pop(connection, None)


def after_fork() -> None:
    """In a child there is no such thread, and the connections are the parent's."""
    global _waiter, _lock
    _waiter, _lock = None, threading.Lock()
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
