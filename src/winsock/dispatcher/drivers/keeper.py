"""The one thread of all direct connections: it does in time what no application calls for.

Timers of layers, bytes that the network did not take at once, connects and opening exchanges of sockets that do not
block, farewells of closed sockets. It starts with the first of these, and waits at the descriptors beneath all layers.
When the process ends, what is owed is sent, for five seconds at the most.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from winsock.core import journal
from winsock.dispatcher.drivers.connection import earliest
from winsock.dispatcher.waits import IN, Alarm

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.connection import Connection

LAST_SECONDS = 5.0

_watched: dict[Connection, None] = {}
_changed = threading.Condition()
_alarm: Alarm | None = None


def watch(connection: Connection) -> None:
    """Tend this connection until it has nothing left to do; again, where what it waits for has changed."""
    global _alarm
    with _changed:
        _watched[connection] = None
        if _alarm is None:
            _alarm = Alarm()
            threading.Thread(target=_keep, args=(_alarm,), name="winsock-keeper", daemon=True).start()
            atexit.register(_at_exit)
        _alarm.ring()


def drain(connections: Iterable[Connection], seconds: float = LAST_SECONDS) -> None:
    """Wait until these are over."""
    left = set(connections)
    deadline = time.monotonic() + seconds
    with _changed:
        while left := {connection for connection in left if not connection.over and connection in _watched}:
            if not _changed.wait(deadline - time.monotonic()):
                return


def closing() -> list[Connection]:
    """The closed connections that still owe something."""
    with _changed:
        return [connection for connection in _watched if connection.closing]


def _keep(alarm: Alarm) -> None:
    while True:
        poller = select.poll()
        poller.register(alarm.reader, IN)
        deadline: float | None = None
        for connection in list(_watched):
            wish = _tended(connection)
            if wish is None:
                continue
            events, until = wish
            if events:
                poller.register(connection.base, events)
            deadline = earliest(deadline, until)
        found = poller.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000)
        if any(descriptor == alarm.reader for descriptor, _ in found):
            alarm.silence()


def _tended(connection: Connection) -> tuple[int, float | None] | None:
    try:
        wish = connection.tend()
    except Exception as error:
        journal.audit(connection.layer.name, "tend", error)
        wish = None
    if wish is None:
        with _changed:
            if connection.kept is None:
                _watched.pop(connection, None)
            _changed.notify_all()
    return wish


def _at_exit() -> None:
    from winsock.dispatcher.drivers import direct

    direct.close_all()
    drain(closing())


def after_fork() -> None:
    """In a child there is no such thread, and the connections are the parent's."""
    global _alarm, _changed
    _alarm = None
    _changed = threading.Condition()
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
