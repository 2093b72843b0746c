"""Asynchronous procedure calls: what a provider queues to a thread, and the thread runs while it waits alertably.

A thread has a queue from the first time that somebody gets an id of it: a provider, which opens one with
WPUOpenCurrentThread and closes it again, or a provider below an overlapped call, which is told the id of the caller.
Ids are values, so that a provider may keep a copy. One of a thread that has ended names nothing any more.

Sources: nf-ws2spi-wpuqueueapc; nf-ws2spi-wpuopencurrentthread; nf-winsock2-wsawaitformultipleevents.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any, TypeAlias
from weakref import WeakSet, WeakValueDictionary

from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.overlapped.watches import Watch
from winsock.spi.upcalls import WSATHREADID

Apc: TypeAlias = Callable[[Any], object]


class ApcQueue:
    """What a thread has to run when it waits alertably."""

    __slots__ = ("__weakref__", "_bell", "_calls", "_thread", "id")

    def __init__(self) -> None:
        self.id = WSATHREADID(next(_handles))
        self._thread = threading.current_thread()
        self._calls: deque[tuple[Apc, object]] = deque()
        self._bell: Watch | None = None
        _queues.add(self)

    def is_of_a_thread(self) -> bool:
        """Whether its thread has not ended."""
        return self._thread.is_alive()

    def post(self, apc: Apc, context: object) -> None:
        """Queue a call, and wake the thread where it waits alertably."""
        self._calls.append((apc, context))
        bell = self._bell
        if bell is not None:
            bell.ring()

    @property
    def has_calls(self) -> bool:
        """Whether there is anything to run."""
        return bool(self._calls)

    def run(self) -> bool:
        """On its thread: run what is queued, in order, and what that queues; whether there was anything.

        What one of them raises goes on, and those behind it stay queued. Raises WSA_NOT_ENOUGH_MEMORY.
        """
        self.bell.silence()  # it is there before anybody looks, so that what is queued after the look rings it
        if not self._calls:
            return False
        while self._calls:
            apc, context = self._calls.popleft()
            apc(context)
        return True

    @property
    def bell(self) -> Watch:
        """What rings when something is queued, from the first wait on. Raises WSA_NOT_ENOUGH_MEMORY."""
        if self._bell is None:
            self._bell = Watch()
        return self._bell

    def __del__(self) -> None:
        """Of a thread that has ended."""
        if self._bell is not None:
            self._bell.abandon()

    def after_fork(self) -> None:
        """What was queued is the parent's to run, and so is its bell."""
        self._calls.clear()
        if self._bell is not None:
            self._bell.abandon()
            self._bell = None


class _Local(threading.local):
    queue: ApcQueue | None = None


_handles = count(1)
_local = _Local()
_queues: WeakSet[ApcQueue] = WeakSet()
_own: WeakValueDictionary[int, ApcQueue] = WeakValueDictionary()
"""The queues of threads by the ids that go with overlapped calls, which are good until the thread ends."""
_opened: dict[int, ApcQueue] = {}
"""By the ids that providers opened, and have yet to close."""


def of_this_thread() -> ApcQueue | None:
    """The queue of this thread; None where nobody can have queued anything."""
    return _local.queue


def id_of_this_thread() -> WSATHREADID:
    """The id of this thread that goes with its overlapped calls."""
    queue = _local.queue
    if queue is None:
        queue = _local.queue = ApcQueue()
        _own[queue.id.ThreadHandle] = queue
    return queue.id


def open_this_thread() -> WSATHREADID:
    """One more id of this thread, to be closed."""
    id_of_this_thread()
    assert _local.queue is not None
    thread_id = WSATHREADID(next(_handles))
    _opened[thread_id.ThreadHandle] = _local.queue
    return thread_id


def close(thread_id: object) -> None:
    """End an id that was opened, of whichever thread; raises WSAEFAULT for any other."""
    if _opened.pop(_handle_of(thread_id), None) is None:
        raise _no_thread(thread_id)


def find(thread_id: object) -> ApcQueue:
    """The queue of the thread of an id; raises WSAEFAULT where it names none."""
    handle = _handle_of(thread_id)
    queue = _opened.get(handle) or _own.get(handle)
    if queue is None or not queue.is_of_a_thread():
        raise _no_thread(thread_id)
    return queue


def _handle_of(thread_id: object) -> int:
    handle = getattr(thread_id, "ThreadHandle", 0)  # a copy in C's layout will do as well
    return handle if isinstance(handle, int) else 0


def _no_thread(thread_id: object) -> WinsockError:
    return WinsockError(WSAEFAULT, f"thread_id: {thread_id!r} is no thread that was opened")


def _after_fork() -> None:
    for queue in _queues:
        queue.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
