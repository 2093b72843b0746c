"""Our end of a pair of connected TCP sockets, whose other end belongs to somebody who takes it for the network.

Why TCP and not a Unix socketpair: a reset must cross as a reset. A Unix socket cannot be told that its peer failed,
unless the peer has unread data at that moment; a TCP socket resets whenever it is told to, and the other end gets
ECONNRESET from whichever call comes first, as it would have from the network. The price: a closed descriptor and one
whose writing was shut down look the same here (a FIN), so that `pair` gives the other end TCP_LINGER2 -1: it resets as
soon as its FIN has arrived with nobody left to read. And where both directions are over, a close sends nothing at all.
What a closed end still has in its own queue is the kernel's to deliver, which gives up when nothing is taken for some
minutes, as it does for any socket.

Closing resets until `end` was called, so that the death of this process does not look like the end of a stream.

Urgent data: an urgent byte stays in its place (SO_OOBINLINE), so it can never be lost, and is taken by itself.

Of the two threads that use an end, one takes and one gives. The socket is non-blocking below (it has a time-out), so
that `reset`, from any thread, wakes both.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time

from winsock import host
from winsock.dispatcher.redirecting import delivery
from winsock.host.queues import AT_MARK, UNREAD, ask_or_0
from winsock.spi.provider import ReadBuffer

SIZE = 128 * 1024
"""How many bytes are taken at once; the kernel holds some times as many at each end of each direction."""

_LOOPBACK = ("127.0.0.1", 0)
_PATIENCE_S = 3600.0
_SOON_S = 5.0
_LONGEST_PAUSE_S = 1.0
_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_TAKING = select.POLLIN | select.POLLPRI
_NOTHING_ON_ITS_WAY = (delivery.CLOSE, delivery.FIN_WAIT2, delivery.TIME_WAIT)


class Near:
    """The end. It owns the descriptor."""

    def __init__(self, descriptor: int, resets_on_close: bool = False) -> None:
        self._sock = socket.socket(fileno=descriptor)
        self._sock.settimeout(_PATIENCE_S)
        self._resets_on_close = resets_on_close
        """Whether the other end resets also when it is closed with nothing left unread."""
        self.urgent = False
        """Whether what was taken last is an urgent byte."""
        self._poll = select.poll()
        self._poll.register(self._sock, _TAKING)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, host.RESET_ON_CLOSE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self._giving = threading.Lock()
        self._was_reset = False
        """Whether giving met the reset, which the kernel tells only once."""
        self._was_refused = False
        """Whether something was given that nobody took."""
        self._closing = threading.Lock()
        """Held by other threads than the two, so that the number is not closed, and another's, in between."""

    def take(self) -> bytes:
        """What came; waits for it. No bytes at the end of the stream. Raises `OSError` where it was reset."""
        descriptor = self._sock.fileno()
        while True:
            ((_, events),) = self._poll.poll()
            self.urgent = bool(events & select.POLLPRI and ask_or_0(descriptor, AT_MARK))
            try:
                data = os.read(descriptor, 1 if self.urgent else SIZE)  # which stops before an urgent byte
            except BlockingIOError:
                continue
            if not data and delivery.state(self._sock) == delivery.CLOSE:
                self._require_no_reset()
            return data

    def give(self, data: ReadBuffer, urgent: bool = False) -> None:
        """Hand over all of it; waits until there is room. Raises `OSError` where nobody is there any more."""
        rest = memoryview(data)
        flags = _NOSIGNAL | socket.MSG_OOB if urgent else _NOSIGNAL
        with self._giving:
            while rest:
                try:
                    rest = rest[self._sock.send(rest, flags) :]
                except TimeoutError as error:
                    _require_patience(error)
                except OSError as error:
                    self._was_reset = isinstance(error, ConnectionResetError)
                    self._was_refused = True
                    raise

    def end(self) -> None:
        """Nothing more will be given."""
        with self._closing:
            self._shut(socket.SHUT_WR)

    def was_refused(self) -> bool:
        """Whether the other end was closed with something unread, or got something afterwards. After it is over."""
        with self._giving:  # which does not wait any more
            if self._was_refused or self._resets_on_close:
                return self._was_refused
            return bool(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def wait_until_over(self) -> None:
        """Come back when the other end is closed, or both directions are over. After `take` met the end."""
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # see TCP_LINGER2 above
            poller = select.poll()
            poller.register(self._sock, 0)
            poller.poll()
        except OSError:
            pass

    def reset(self) -> None:
        """The other end gets ECONNRESET, after what has reached it; calls that wait here come back."""
        with self._closing:
            if self._sock.fileno() >= 0 and host.connect(self._sock.fileno(), host.NOBODY):
                self._shut(socket.SHUT_RDWR)

    def untaken(self) -> int:
        """How many bytes wait to be taken."""
        return ask_or_0(self._sock, UNREAD)

    def undelivered(self) -> int:
        """How many bytes were given and have not reached the other end."""
        return delivery.undelivered(self._sock)

    def wait_until_delivered(self, limit_s: float) -> None:
        """Let what was given arrive, as the other end makes room for it."""
        delivery.wait_until_delivered(self._sock, limit_s, _LONGEST_PAUSE_S)

    def finish(self) -> None:
        """Close in order: wait until all that was given has arrived, however long the other end takes to read.

        The kernel would do that by itself, but gives up after some minutes.
        """
        self._set_linger(host.CLOSE_IN_ORDER)
        pause = 0.001
        while delivery.state(self._sock) not in _NOTHING_ON_ITS_WAY:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        self.close()

    def close(self) -> None:
        """Close at once, with a reset where the other end could still expect anything."""
        with self._closing:
            self._sock.close()

    def leave_to_parent(self) -> None:
        """In a forked child: forget the descriptor."""
        descriptor = self._sock.detach()
        if descriptor >= 0:
            os.close(descriptor)

    def _require_no_reset(self) -> None:
        with self._giving:  # which does not wait any more
            if self._was_reset:
                raise ConnectionResetError

    def _shut(self, how: int) -> None:
        try:
            self._sock.shutdown(how)
        except OSError:
            pass

    def _set_linger(self, linger: bytes) -> None:
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        except OSError:
            pass


def _require_patience(error: TimeoutError) -> None:
    """A time-out of ours is waited for again; the kernel's is an error."""
    if error.errno is not None:
        raise error


def pair() -> tuple[socket.socket, Near]:
    """An end to give away, close-on-exec, and ours; raises `OSError`.

    Nobody else can have come in between: the end that we keep is the one that the other is connected to.
    """
    with socket.socket() as listener:
        listener.settimeout(_SOON_S)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bound(listener)
        listener.bind(_LOOPBACK)
        listener.listen(16)
        given = socket.socket()
        try:
            given.settimeout(_SOON_S)
            _bound(given)
            given.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            given.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, -1)
            given.connect(listener.getsockname())
            return given, Near(_accepted(listener, given.getsockname()).detach(), resets_on_close=True)
        except BaseException:
            given.close()
            raise


def _bound(sock: socket.socket) -> None:
    """Set bounds to what the kernel holds: before the connection is made, because the window is agreed upon there."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, 2 * SIZE)


def _accepted(listener: socket.socket, wanted: object) -> socket.socket:
    while True:
        ours, address = listener.accept()
        if address == wanted:
            return ours
        ours.close()
