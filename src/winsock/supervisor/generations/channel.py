"""What the supervisor tells the front: one way, in order, never waiting for the front.

Messages over a socket that keeps their bounds (SOCK_SEQPACKET); the first byte says what it is. The front may be
stopped, slow (its stderr is a terminal that was halted) or gone. So the supervisor queues what does not fit, drops
lines (and says how many) when the queue has grown out of proportion, and forgets everything when the front is gone.
"""

from __future__ import annotations

import array
import select
import socket
import struct
import threading
from collections import deque
from typing import NamedTuple

STARTED = b"s"
"""The program runs: its pid; a pidfd for it comes along."""
FAILED = b"x"
"""The program could not be started: exit status and reason."""
LINES = b"l"
"""Text for the user."""
FINISH = b"f"
"""Leave now: the program's wait status, another exit status or -1, and whether nothing of the tree is left."""

_NUMBER = struct.Struct("<i")
_FINISH = struct.Struct("<ii?")
_CHUNK_BYTES = 16 * 1024
_MESSAGE_BYTES = 64 * 1024
_QUEUE_BYTES = 4 * 1024 * 1024


class Finish(NamedTuple):
    """How the front shall leave."""

    wait_status: int
    exit_status: int | None
    alone: bool


def pair() -> tuple[Receiver, Sender]:
    """The front's end and the supervisor's."""
    front, supervisor = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Receiver(front), Sender(supervisor)


class Receiver:
    """The front's end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        """For poll."""
        return self._connection.fileno()

    def receive(self) -> tuple[bytes, bytes, int | None]:
        """The next message: kind, content, descriptor if one came. An empty kind: the supervisor is gone."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._connection, _MESSAGE_BYTES, 1)
        except ConnectionResetError:
            return b"", b"", None
        return data[:1], data[1:], descriptors[0] if descriptors else None

    def close(self) -> None:
        """For the process that is not the front."""
        self._connection.close()


class Sender:
    """The supervisor's end; any thread may use it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._lost_lines = 0
        self.gone = False

    def fileno(self) -> int:
        """For poll: readable means that the front is gone; writable matters while something is queued."""
        return self._connection.fileno()

    def close(self) -> None:
        """For the process that is not the supervisor."""
        self._connection.close()

    def started(self, program: int, pidfd: int) -> None:
        """The program runs."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [pidfd]))]
        try:
            self._connection.sendmsg([STARTED + _NUMBER.pack(program)], ancillary, socket.MSG_NOSIGNAL)
        except OSError:
            self.gone = True

    def failed(self, status: int, reason: str) -> None:
        """The program could not be started."""
        self._post(FAILED + _NUMBER.pack(status) + reason.encode(errors="surrogateescape"))

    def lines(self, text: str) -> None:
        """Text for the user's stderr, whole lines."""
        data = text.encode(errors="backslashreplace")
        with self._lock:
            if self._queue and self._queued_bytes + len(data) > _QUEUE_BYTES:
                self._lost_lines += data.count(b"\n")
                return
        for start in range(0, len(data), _CHUNK_BYTES):
            self._post(LINES + data[start : start + _CHUNK_BYTES])

    def finish(self, order: Finish) -> None:
        """The front shall leave."""
        exit_status = -1 if order.exit_status is None else order.exit_status
        self._post(FINISH + _FINISH.pack(order.wait_status, exit_status, order.alone))

    def flush(self) -> bool:
        """Send what is queued, as far as it goes without waiting; whether something is left."""
        with self._lock:
            while self._queue and self._send(self._queue[0]):
                self._queued_bytes -= len(self._queue.popleft())
            return bool(self._queue)

    def drain(self, patience_ms: int | None = None) -> None:
        """Wait until everything has been sent or the front is gone; or until it has taken nothing for so long."""
        poll = select.poll()
        poll.register(self._connection, select.POLLOUT)
        while self.flush() and poll.poll(patience_ms):
            pass

    @property
    def queued(self) -> bool:
        """Whether something waits for the front."""
        return bool(self._queue)

    def _post(self, message: bytes) -> None:
        with self._lock:
            if self._lost_lines and self._queued_bytes < _QUEUE_BYTES // 2:
                self._put(LINES + b"winsock: %d lines lost here: stderr takes them too slowly\n" % self._lost_lines)
                self._lost_lines = 0
            self._put(message)

    def _put(self, message: bytes) -> None:
        if self._queue or not self._send(message):
            self._queue.append(message)
            self._queued_bytes += len(message)

    def _send(self, message: bytes) -> bool:
        """Whether the message needs no more care: it is on its way, or there is nobody to have it."""
        try:
            if not self.gone:
                self._connection.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        except OSError:
            self.gone = True
        return True


def number(content: bytes) -> int:
    """The number that a STARTED or FAILED message begins with."""
    return int(_NUMBER.unpack_from(content)[0])


def reason(content: bytes) -> str:
    """Why, of a FAILED message."""
    return content[_NUMBER.size :].decode(errors="surrogateescape")


def order(content: bytes) -> Finish:
    """What a FINISH message says."""
    wait_status, exit_status, alone = _FINISH.unpack(content)
    return Finish(wait_status, None if exit_status < 0 else exit_status, alone)
