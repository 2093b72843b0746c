"""Calls that take long: accepts that wait for a connection, and threads that must be let go.

An accept that finds nothing waits here, without a thread of ours and without a lease: its listener is in the poll set,
and when that is ready one waiting call is performed again.

A held thread sleeps in state S. It goes to D exactly when the kernel has flagged it: a signal that it catches, a stop,
the freezer, a tracer. Nothing happens then until the call is answered, so it must be let go: the kernel runs the
handler and makes the call again, or it fails with EINTR where its socket has a time limit. The signal masks would not
tell: a signal for the whole process shows in every thread, and a thread that is not flagged would see errno 512.
"""

from __future__ import annotations

import errno
import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winsock.supervisor.calls.call import Call
    from winsock.supervisor.crew import Crew, Worker
    from winsock.supervisor.lease import Leases, Socket
    from winsock.supervisor.notify import Listener

HELD_FOR_LONG_S = 0.02
_READY_ONCE = select.EPOLLIN | select.EPOLLONESHOT


class Held:
    """What is held at the moment, over all listeners."""

    def __init__(self, listener: Listener, leases: Leases, events: select.epoll) -> None:
        self._listener = listener
        self._leases = leases
        self._events = events
        self._waiting: set[Call] = set()

    def wait(self, call: Call, socket: Socket) -> None:
        """Let an accept wait for a connection. The lease must be held: the poll set wants the file."""
        socket.inode = os.fstat(socket.slot).st_ino
        self.wait_on(call, socket)
        self.watch(socket)

    def wait_on(self, call: Call, socket: Socket) -> None:
        """Let it wait although its process has no number for the listener any more, so that we cannot watch it."""
        self._leases.listening(socket).waiting.append(call)
        self._waiting.add(call)

    def watch(self, socket: Socket) -> None:
        """Say once when the listener is ready. The lease must be held."""
        try:
            self._events.modify(socket.slot, _READY_ONCE)
        except FileNotFoundError:
            self._events.register(socket.slot, _READY_ONCE)

    def next_of(self, socket: Socket) -> Call | None:
        """The listener is ready: the first call that waits for it and still has a caller."""
        waiting = socket.listening.waiting if socket.listening is not None else []
        while waiting:
            call = waiting.pop(0)
            self._waiting.discard(call)
            if self._listener.valid(call.id):
                return call
        return None

    def overdue(self, call: Call) -> bool:
        """Whether the time limit of a call has run out."""
        return call.deadline is not None and time.monotonic() >= call.deadline

    def look(self, crew: Crew[Call]) -> bool:
        """Let go of threads that must leave. True while anything is held."""
        now = time.monotonic()
        busy = bool(self._waiting)
        for worker, call in crew.performing():
            if now - call.started >= HELD_FOR_LONG_S:
                busy = True
                self._look_at_performed(worker, call)
        for call in tuple(self._waiting):
            self._look_at(call)
        return busy

    def _look_at_performed(self, worker: Worker[Call], call: Call) -> None:
        if not worker.undisturbed.acquire(blocking=False):
            return  # it puts a descriptor into the program, which ends soon
        try:
            if call.abandoned or self._must_leave(call):
                call.abandoned = True
                worker.wake()
        finally:
            worker.undisturbed.release()

    def leave(self, call: Call, restart: bool) -> None:
        """Let the thread out of the call: to make it again after its handler, or with EINTR."""
        if restart:
            self._listener.restart(call.id)
        else:
            self._listener.fail(call.id, errno.EINTR)

    def _look_at(self, call: Call) -> None:
        overdue = self.overdue(call)
        if not overdue and not self._must_leave(call):
            return
        self._waiting.discard(call)
        listening = call.socket.listening if call.socket is not None else None
        try:
            if listening is not None:
                listening.waiting.remove(call)
        except ValueError:
            return  # the leader took it in this moment
        if overdue:
            self._listener.fail(call.id, errno.EAGAIN)
        else:
            self.leave(call, restart=call.deadline is None)

    def _must_leave(self, call: Call) -> bool:
        """Whether the kernel has flagged the thread, or it is gone."""
        if not self._listener.valid(call.id):
            return True
        try:
            with open(f"/proc/{call.thread}/stat", "rb", 0) as file:
                return file.read(512).rpartition(b") ")[2][:1] == b"D"
        except OSError:
            return True
