"""Whether a process has a number left for one more descriptor: asked before a connection is taken for it.

The kernel takes the number first, so that a process without one leaves the connection in the queue. We cannot: what is
put into a program to hold a number can be taken out by nobody else, should no connection come of it, and until the call
is answered its thread looks as one that a signal waits for. So the numbers are counted, and seldom: a table of
descriptors that is smaller than its limit has room in any case.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winsock.supervisor.callers import Caller

PLENTY = 64
_KEPT_S = 0.05
_TABLE, _LIMIT = b"\nFDSize:", b"\nMax open files"


def is_there_for(caller: Caller, now: float) -> bool:
    """Whether there is room in the caller's process. Where there is plenty that is not asked again at once."""
    process = caller.process
    if now < process.roomy_until:
        return True
    try:
        numbers = left(caller.thread)
    except (OSError, ValueError):
        return True  # what cannot be seen is found out by trying
    if numbers >= PLENTY:
        process.roomy_until = now + _KEPT_S
    return numbers > 0


def left(thread: int) -> int:
    """How many numbers the thread's table has left, at least. `OSError`, where it has ended, say."""
    folder = f"/proc/{thread}"
    limit = _number(f"{folder}/limits", _LIMIT)
    size = _number(f"{folder}/status", _TABLE)
    if size < limit:
        return limit - size
    used = sum(int(number) < limit for number in os.listdir(f"{folder}/fd"))
    return limit - used


def _number(path: str, name: bytes) -> int:
    with open(path, "rb", 0) as file:
        text = file.read(8192)
    return int(text[text.index(name) + len(name) :].split(None, 1)[0])
