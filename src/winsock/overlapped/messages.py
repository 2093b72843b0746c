"""A queue of window messages, for programs whose network events come as messages.

A window is an object of this class; a message is what PostMessage would have queued. Whoever gets messages also looks
through the sockets that were selected with the window.

Sources: nf-winsock2-wsaasyncselect; nf-ws2spi-wpupostmessage.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from winsock.overlapped.watches import Source, Watch, lock

if TYPE_CHECKING:
    from winsock.overlapped.simulation import Simulation


class Message(NamedTuple):
    """What was posted. Of WSAAsyncSelect `wparam` is the socket, `lparam` the event and, above it, the error."""

    message: int
    wparam: int
    lparam: int

    @property
    def event(self) -> int:
        """WSAGETSELECTEVENT: the low word."""
        return self.lparam & 0xFFFF

    @property
    def error(self) -> int:
        """WSAGETSELECTERROR: the high word."""
        return self.lparam >> 16 & 0xFFFF


class MessageQueue(Watch):
    """A window, as far as Winsock needs one."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[Message] = deque()

    def post(self, message: int, wparam: int, lparam: int) -> None:
        """Queue a message."""
        self._messages.append(Message(message, wparam, lparam))
        self.ring()

    def get(self, timeout_s: float | None = None) -> Message | None:
        """The next message; None where none came within the time (None: wait without limit)."""
        if self.simulation is not None:
            return self._get_simulated(self.simulation, timeout_s)
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            found = self._next()
            if found is not None:
                return found
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self.wait(left)

    def forwarded(self, post: Callable[[int, int, int], None]) -> MessageQueue:
        """The same window for a provider below a layer with handles of its own: what that posts, `post` gets instead.

        Whoever waits for this window waits for the sockets that are selected with the other.
        """
        return _Forwarded(self, post)

    def __del__(self) -> None:
        """A window that nobody has any more."""
        if hasattr(self, "_epoll") and not self._epoll.closed:
            self.abandon()

    def _get_simulated(self, simulation: Simulation, timeout_s: float | None) -> Message | None:
        with simulation.lock:
            until = None if timeout_s is None else simulation.clock.time + timeout_s
            simulation.wait(lambda: bool(self._messages), until, "a message")
            return self._next()

    def _next(self) -> Message | None:
        self.look()
        with lock:
            if not self._messages:
                return None
            message = self._messages.popleft()
            if not self._messages:
                self.silence()
            return message


class _Forwarded(MessageQueue):
    """Another window's place, below a layer."""

    __slots__ = ("_post", "_queue")

    def __init__(self, queue: MessageQueue, post: Callable[[int, int, int], None]) -> None:
        self._queue = queue
        self._post = post
        self.descriptor = queue.descriptor

    def post(self, message: int, wparam: int, lparam: int) -> None:
        self._post(message, wparam, lparam)

    def attach(self, descriptor: int, interest: int, source: Source) -> None:
        self._queue.attach(descriptor, interest, source)

    def detach(self, descriptor: int) -> None:
        self._queue.detach(descriptor)

    def simulate(self, simulation: Simulation) -> None:
        self._queue.simulate(simulation)

    def look(self) -> None:
        self._queue.look()
