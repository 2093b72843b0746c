"""Waiting for what nobody tells."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE_S = 30.0
"""Far longer than anything takes, on however busy a machine."""
_PAUSE_S = 0.002


def wait_until(condition: Callable[[], T], what: str, state: Callable[[], str] = str) -> T:
    """Look again and again until it holds; what it answered. `state` is told where it never does."""
    deadline = time.monotonic() + DEADLINE_S
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}; {state()}")
        select.select([], [], [], _PAUSE_S)
    return answer
