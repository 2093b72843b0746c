"""The two directions of a relayed connection, moved by one thread until both have ended, or an end is dead.

FIN crosses as FIN, after everything before it, and the other direction lives on. When an end is dead, what it sent
before still goes to the other end, as the kernel would have it: a program can read what came before a reset.
"""

from __future__ import annotations

import errno
import math
import select
import threading
import time
from collections.abc import Callable
from itertools import chain, repeat
from mmap import mmap
from socket import IPPROTO_TCP, MSG_PEEK, SO_ERROR, SO_OOBINLINE, SOL_SOCKET, TCP_NODELAY, socket
from typing import TYPE_CHECKING

from winsock.abi.errors import WinsockError, from_errno
from winsock.dispatcher.drivers.lane import SMALL, Broken, Lane
from winsock.host.numbers import LONGEST_POLL_MS
from winsock.host.queues import UNDELIVERED, ask_or_0

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.pipeline import Pipeline

IN, URGENT, OUT = select.POLLIN, select.POLLPRI, select.POLLOUT
DEAD = select.POLLERR | select.POLLHUP | select.POLLNVAL
_UNWATCHED = -1

PATIENCE_S = 1.0
"""How long a peer may take for what a program sent before it reset the connection."""
STALL_S = 0.2
"""How long a program that still sends may leave unread what came before the end of its connection."""
_PAUSES_S = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)


class _Room(threading.local):
    """A buffer for each thread, because nothing in it is kept. Mapped, so that only what is used takes memory."""

    def __init__(self) -> None:
        self.buffer = memoryview(mmap(-1, SMALL))


_room = _Room()


class Carrier:
    """Carries bytes between `near` and `far` through an open pipeline, in the thread that makes it.

    `stopped` ends it from outside.
    """

    def __init__(self, near: socket, far: socket, pipeline: Pipeline, stopped: Callable[[], bool]) -> None:
        self._pipeline = pipeline
        self._stopped = stopped
        self._poll = select.poll()
        self.outgoing = Lane("outgoing", near, far, pipeline, _room.buffer)
        self.incoming = Lane("incoming", far, near, pipeline, _room.buffer)
        self.outgoing.opposite, self.incoming.opposite = self.incoming, self.outgoing
        self._lanes = (self.outgoing, self.incoming)
        self._by_source = {lane.source.fileno(): lane for lane in self._lanes}
        self._watched = dict.fromkeys(self._by_source, _UNWATCHED)
        for end in (near, far):
            end.setblocking(False)
            _set(end, IPPROTO_TCP, TCP_NODELAY)
            _set(end, SOL_SOCKET, SO_OOBINLINE)

    @property
    def counts(self) -> tuple[int, int]:
        """Bytes that the network was given, and that it brought."""
        return self.outgoing.given, self.incoming.taken

    def run(self) -> WinsockError | None:
        """Until the connection is over; why, if it did not end in order."""
        error = None
        try:
            while self._go_on():
                self._wait()
            if self._pipeline.error is not None:
                self._last_words(self.incoming, math.inf)
        except Broken as broken:
            error = from_errno(broken.error.errno or errno.ECONNRESET)
            if broken.end is self.outgoing.source:
                self._last_words(self.outgoing, PATIENCE_S)
            else:
                self._last_words(self.incoming, math.inf)
        finally:
            for lane in self._lanes:
                lane.close()
        return self._pipeline.error or error

    def _go_on(self) -> bool:
        """Send what can be sent; whether anything can still happen."""
        pipeline, outgoing, incoming = self._pipeline, self.outgoing, self.incoming
        if pipeline.error is not None or self._stopped():
            return False
        if incoming.discards:
            incoming.drop()
        for lane, over in ((outgoing, pipeline.outgoing_over), (incoming, pipeline.incoming_over)):
            if not lane.blocked:
                lane.flush()
            if over and not lane.shut and not lane.pending:
                lane.end()
        if outgoing.shut and incoming.shut and (incoming.over or incoming.discards):
            return not outgoing.over
        if incoming.over and not pipeline.ready and pipeline.deadline is None:
            raise Broken(incoming.source, OSError(errno.ECONNRESET, "it ended before every layer was ready"))
        at_rest = outgoing.over and incoming.over and not outgoing.pending and not incoming.pending
        return not at_rest or pipeline.deadline is not None

    def _wait(self) -> None:
        """Until an end is ready or a timer is due; and do what is to be done then."""
        for descriptor, lane in self._by_source.items():
            self._watch(descriptor, lane)
        deadline = self._pipeline.deadline
        left_ms = None if deadline is None else min(max(0.0, deadline - self._pipeline.now()) * 1000, LONGEST_POLL_MS)
        for descriptor, events in self._poll.poll(left_ms):
            self._serve(self._by_source[descriptor], events)
        if deadline is not None:
            self._pipeline.tick()

    def _watch(self, descriptor: int, lane: Lane) -> None:
        """Poll an end for what is wanted of it, and for its death while it may still be told something."""
        towards = lane.opposite
        wanted = (IN | URGENT if lane.wants else 0) | (OUT if towards.pending else 0)
        if not wanted and towards.shut:
            wanted = _UNWATCHED
        before = self._watched[descriptor]
        if wanted == before:
            return
        self._watched[descriptor] = wanted
        if wanted == _UNWATCHED:
            self._poll.unregister(descriptor)
        else:
            self._poll.register(descriptor, wanted)

    def _serve(self, lane: Lane, events: int) -> None:
        if events & OUT:
            lane.opposite.blocked = False
        if events & ~OUT and lane.wants and (lane.move_urgent() if events & URGENT else lane.move()):
            return
        if events & DEAD and not (lane.opposite.discards and lane.over):
            number = lane.source.getsockopt(SOL_SOCKET, SO_ERROR) or errno.ECONNRESET
            raise Broken(lane.source, OSError(number, "poll"))

    def _last_words(self, lane: Lane, patience_s: float) -> None:
        """Give the sink what came before the end of the connection, until it has that or will not take it."""
        began = moved = time.monotonic()
        least = None
        try:
            for pause in chain(_PAUSES_S, repeat(_PAUSES_S[-1])):
                left = self._deliver(lane)
                now = time.monotonic()
                if left != least:
                    least, moved = left, now
                if not left or self._stopped() or now - began > patience_s:
                    return
                if now - moved > STALL_S and (self._pipeline.error is not None or _has_sent(lane.sink)):
                    return
                _pause(lane, pause)
        except Broken:
            pass

    def _deliver(self, lane: Lane) -> int:
        """How many bytes the sink does not have yet."""
        if not lane.blocked:
            lane.flush()
        while not lane.over and not lane.pending and self._pipeline.error is None:
            lane.move_last()
        return lane.waiting + ask_or_0(lane.sink, UNDELIVERED)  # what is not acknowledged yet


def _pause(lane: Lane, pause_s: float) -> None:
    """Wait until the sink is writable, but not long; it may be dead, too."""
    poll = select.poll()
    poll.register(lane.sink, OUT if lane.pending else 0)
    for _, events in poll.poll(pause_s * 1000):
        if events & DEAD:
            raise Broken(lane.sink, OSError(errno.ECONNRESET, "poll"))
        lane.blocked = False


def _has_sent(sock: socket) -> bool:
    """Whether something waits to be read."""
    try:
        return bool(sock.recv(1, MSG_PEEK))
    except OSError:
        return False


def is_dead(sock: int) -> bool:
    """Whether a connection is no more, though nobody was told yet."""
    poll = select.poll()
    poll.register(sock, 0)
    return any(events & DEAD for _, events in poll.poll(0))


def _set(sock: socket, level: int, option: int) -> None:
    try:
        sock.setsockopt(level, option, 1)
    except OSError:
        pass  # a stream, but not TCP
