"""Threads for connections: each has its own, because a layer that sleeps must harm no other; idle ones are kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from winsock.abi.errors import WSAENOBUFS, WinsockError

KEPT = 32
"""How many idle threads are kept."""
STACK = 1 << 20
"""Bytes of stack for a thread. Only what is touched costs memory; a layer that recurses without end must still fit."""

Task = Callable[[], None]


class Pool:
    """Performs each task in a thread of its own."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self.idle = 0
        """How many threads wait for a task."""
        self._tasks: SimpleQueue[Task] = SimpleQueue()

    def perform(self, task: Task) -> None:
        """Start the task; WSAENOBUFS where the system gives no more threads."""
        with self._lock:
            if self.idle:
                self.idle -= 1
            else:
                self._hire()
            self._tasks.put(task)

    def _hire(self) -> None:
        before = threading.stack_size(STACK)
        try:
            # A daemon: whoever ends the process decides how long it waits for what is still on its way.
            threading.Thread(target=self._work, name="relay", daemon=True).start()
        except RuntimeError as error:
            raise WinsockError(WSAENOBUFS, f"no thread for another connection: {error}") from None
        finally:
            threading.stack_size(before)

    def _work(self) -> None:
        while True:
            self._tasks.get()()
            with self._lock:
                if self.idle >= self._kept:
                    return
                self.idle += 1
