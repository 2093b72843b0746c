"""Programs that layers start, and what those leave behind.

Who starts a program waits for it: its exit status is left to the layer. But the supervisor is a subreaper, so what such
a program left running becomes its child, too, and when that has ended nobody asks for it. The kernel does not tell the
one from the other. So the functions by which Python starts programs are made to note whom they have started, and what
they have not is reaped; after a moment, since what was started in other ways (system(3), say) is waited for at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from winsock.supervisor.generations.processes import began_at, state_of

PATIENCE_S = 1.0
_MAKERS = (
    ("os", ("fork", "forkpty", "posix_spawn", "posix_spawnp")),
    ("_posixsubprocess", ("fork_exec",)),
    ("subprocess", ("_fork_exec",)),
)
_DEAD = b"Z"


class Helpers:
    """The children of this process that it has started itself, as far as it knows."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started: dict[int, int] = {}
        """Process -> when it began, because numbers are used again."""
        self._seen: dict[int, float] = {}
        """The dead that nobody here has started -> when that was seen first."""

    def watch(self) -> None:
        """From now on note whom this process starts."""
        import _posixsubprocess  # noqa: F401 - which `subprocess` has its function from, whenever that is imported

        for name, functions in _MAKERS:
            module = sys.modules.get(name)
            for function in functions:
                make = getattr(module, function, None)
                if make is not None:
                    setattr(module, function, self._noting(make))

    def started(self, child: int) -> None:
        """It is one of ours."""
        began = began_at(child)
        if began is not None:
            self._started[child] = began

    def nobodys(self, children: list[int]) -> list[int]:
        """Those of the children that have ended, and that nobody will ask for."""
        for child in tuple(self._started):
            if child not in children and not self._is_ours(child):  # it is gone, and was not started just now
                self._started.pop(child, None)
        dead = [child for child in children if state_of(child) == _DEAD and not self._is_ours(child)]
        now = self._clock()
        self._seen = {child: self._seen.get(child, now) for child in dead}
        found = [child for child, since in self._seen.items() if now - since >= PATIENCE_S]
        for child in found:
            del self._seen[child]
        return found

    @property
    def patient(self) -> bool:
        """Whether there are such as may yet be asked for, so that it is to be looked again."""
        return bool(self._seen)

    def _is_ours(self, child: int) -> bool:
        began = self._started.get(child)
        return began is not None and began == began_at(child)

    def _noting(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def start(*arguments: Any, **more: Any) -> Any:
            answer = make(*arguments, **more)
            child = answer[0] if isinstance(answer, tuple) else answer  # of forkpty, with a descriptor
            if child > 0:
                self.started(child)
            return answer

        return start
