"""Pipes for bytes that only pass: the kernel moves them from socket to pipe to socket, and copies nothing.

A direction holds a pipe only while something is in it, so a few serve many connections. Where none is left (a user may
fill pipes with 64 MiB in all) the bytes are read and written instead.
"""

from __future__ import annotations

import fcntl
import os
import threading

SIZE = 1 << 20
"""What a pipe should hold: the most that Linux gives to everyone."""
MOST = 32
"""How many pipes there are at a time."""


class Pipe:
    """A pipe that nobody waits on."""

    __slots__ = ("filled", "reading", "writing")

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.filled = 0
        """Bytes in it."""
        try:
            fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, SIZE)
        except OSError:
            pass  # the user has many pipes: a small one does it, too

    def close(self) -> None:
        """Give up what is in it."""
        os.close(self.reading)
        os.close(self.writing)


class Pipes:
    """Lends pipes, and keeps those that come back empty."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lent = 0
        self._kept: list[Pipe] = []
        self._lock = threading.Lock()

    @property
    def kept(self) -> int:
        """How many wait to be lent."""
        return len(self._kept)

    def take(self) -> Pipe | None:
        """An empty pipe, or None where there are no more."""
        with self._lock:
            if self._lent == self._most:
                return None
            self._lent += 1
            if self._kept:
                return self._kept.pop()
        try:
            return Pipe()
        except OSError:
            self._given_back()
            return None

    def give_back(self, pipe: Pipe) -> None:
        """Keep it for the next, if it is empty."""
        if pipe.filled:
            pipe.close()
            self._given_back()
        else:
            self._given_back(pipe)

    def _given_back(self, pipe: Pipe | None = None) -> None:
        with self._lock:
            self._lent -= 1
            if pipe is not None:
                self._kept.append(pipe)
