"""Which threads have a blocking callback, and which are inside theirs.

A provider asks WPUQueryBlockingCallback for a thread's callback; that hardly any thread has one must cost nothing, so
it asks for those in `HOOKED` alone. While a provider calls one, the thread is in `ASKING`: a call of its own is waiting
for the answer, and it may make no other.

Source: blocking-hook-2.
"""

from __future__ import annotations

HOOKED: set[int] = set()
"""Threads, by their identifiers, that have a blocking callback."""

ASKING: set[int] = set()
"""Threads whose callback is running."""
