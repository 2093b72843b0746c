"""The front stops and goes on with the program: a link of its own between front and supervisor.

Of its own, because the other channel stands still while stderr takes no lines, and Ctrl-Z must work then, too.

Only the supervisor stops the front and continues it, in the order in which the kernel tells it of the program: so a
stop and a continuation that cross each other cannot leave a stopped front beside a running program. But it asks first.
The front answers when it has passed on all signals that it has got: a SIGCONT for the program must not be discarded by
our stop, as the kernel would do. An answer to an earlier question is worth nothing: the program went on meanwhile.
"""

from __future__ import annotations

import os
import signal
import socket
import struct

from winsock.supervisor.generations import signals
from winsock.supervisor.generations.processes import state_of

STOPPED = b"s"
"""The program has stopped: pass on what you have, and answer."""
EXITED = b"e"
"""The program has ended and is reaped: signals are for you from now on."""
_QUESTION = struct.Struct("<Q")


class Image:
    """The front's end."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link

    def fileno(self) -> int:
        """For poll."""
        return self._link.fileno()

    def close(self) -> None:
        """For the process that is not the front."""
        self._link.close()

    def hear(self) -> tuple[bytes, bytes]:
        """STOPPED with a question, EXITED, or nothing: the supervisor is gone."""
        message = _receive(self._link)
        return message[:1], message[1:]

    def answer(self, question: bytes) -> None:
        """Everything that was there is passed on."""
        _send(self._link, question)


class Mirror:
    """The supervisor's end."""

    def __init__(self, link: socket.socket, front: int) -> None:
        self._link = link
        self._front = front
        self._pidfd = os.pidfd_open(front)
        self._program = 0
        self._changes = 0
        self._stopped = False

    def fileno(self) -> int:
        """For poll; then reap, and call `answered`."""
        return self._link.fileno()

    def close(self) -> None:
        """For the process that is not the supervisor."""
        self._link.close()
        os.close(self._pidfd)

    def program_stopped(self, program: int) -> None:
        """Ask the front to get ready."""
        self._program = program
        self._changes += 1
        _send(self._link, STOPPED + _QUESTION.pack(self._changes))

    def program_went_on(self) -> None:
        """Continue the front, if we stopped it.

        And if it is stopped, or about to be: a SIGCONT too many would discard a stop that somebody has just sent to it.
        """
        self._changes += 1
        if self._stopped:
            self._stopped = False
            if signals.is_stopped(self._front):
                self._signal_front(signal.SIGCONT)

    def program_ended(self) -> None:
        """Let the front know."""
        self.program_went_on()
        _send(self._link, EXITED)

    def answered(self) -> bool:
        """The front is ready: stop it, if the program is stopped still. False: it is gone."""
        answer = _receive(self._link)
        if not answer:
            return False
        if answer == _QUESTION.pack(self._changes) and state_of(self._program) == b"T":
            self._stopped = True
            self._signal_front(signal.SIGSTOP)
        return True

    def _signal_front(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except OSError:
            pass  # it is gone; the channel tells that, too


def pair() -> tuple[Image, Mirror]:
    """Both ends, made by the front before it forks."""
    image, mirror = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Image(image), Mirror(mirror, os.getpid())


def _send(link: socket.socket, message: bytes) -> None:
    try:
        link.send(message, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except OSError:
        pass  # the other end is gone; or it is stopped, and has hundreds of changes to hear before this one


def _receive(link: socket.socket) -> bytes:
    try:
        return link.recv(1 + _QUESTION.size)
    except OSError:
        return b""
