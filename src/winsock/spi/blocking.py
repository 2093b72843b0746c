"""Which threads have a blocking callback, and which are inside theirs.

A provider asks WPUQueryBlockingCallback for a thread's callback; that hardly any thread has one must cost nothing, so
it asks for those in `HOOKED` alone. While a provider calls one, the thread is in `ASKING`: a call of its own is waiting
for the answer, and it may make no other.

Sources: blocking-hook-2; nc-ws2spi-lpwspcancelblockingcall.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAEINPROGRESS, WSAEINVAL, WinsockError

if TYPE_CHECKING:
    from winsock.spi.upcalls import BlockingCallback

HOOKED: set[int] = set()
"""Threads, by their identifiers, that have a blocking callback."""

ASKING: set[int] = set()
"""Threads whose callback is running."""

_cancelled: set[int] = set()
"""Threads that have cancelled the call which asks their callback."""


def ask(callback: BlockingCallback, context: object) -> bool:
    """Run this thread's blocking callback; whether the call goes on."""
    thread = get_ident()
    outermost = thread not in ASKING
    ASKING.add(thread)
    try:
        goes_on = callback(context)
    finally:
        if outermost:
            ASKING.discard(thread)
    if thread in _cancelled:
        _cancelled.discard(thread)
        return False
    return goes_on


def cancel() -> None:
    """Let the call of this thread fail whose blocking callback runs; WSAEINVAL where none does."""
    thread = get_ident()
    if thread not in ASKING:
        raise WinsockError(WSAEINVAL, "no blocking call of this thread is waiting")
    _cancelled.add(thread)


def refuse_nested() -> None:
    """Raises WSAEINPROGRESS inside a blocking callback: a call of this thread waits for its answer."""
    if ASKING and get_ident() in ASKING:
        raise WinsockError(WSAEINPROGRESS, "a blocking call of this thread is asking its blocking callback")
