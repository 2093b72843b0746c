"""Notices of closed sockets, with the kernel's own counters, at no cost for the calls that carry data.

The kernel multicasts the end of every inet socket of the network namespace. So most notices tell of strangers, and the
reading is built for them: a thread of its own takes notices by the batch, compares their cookies with those that the
supervisor knows in one step, and unpacks only what is known. It sleeps in `poll` until something comes, reads at once,
and then rests a few milliseconds, so that a busy neighbour wakes it a few hundred times a second and no more.

What a notice leaves open is whether the peer's FIN is counted in `bytes_received`: the state is always CLOSE. What is
left in the kernel under the same addresses tells it in nearly every case, if it is asked at once: FIN_WAIT2, none had
come; TIME_WAIT, one has come by now; nothing, then our FIN was the answer to one, or there was a reset. The count is
exact for an orderly end, and else right within 1: where the peer's FIN overtakes the question, or a reset comes after
or instead of it. `Past` narrows that down.

This file must not know what a notice is good for, and it sends nothing to anyone but the kernel.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.supervisor import sockdiag
from winsock.supervisor.sockdiag import CLOSE_WAIT, CLOSING, LAST_ACK, Info, Message

REST_MS = 3
AT_EXIT_SECONDS = 0.2
NEVER_HAD_A_WINDOW = 3
"""Disconnecting adds 2 and the largest window seen to the send queue, so more than this proves a connection."""
QUIET_MS = 20
"""A socket whose last acknowledgement is older than this was not closed by it, whatever the clock's tick."""


class Closing(NamedTuple):
    """What the kernel knew of a socket at its end; None is unknown, or nothing of the kind (UDP has no counters)."""

    sent: int | None = None
    """Payload bytes handed to the network, each counted once."""
    received: int | None = None
    """Payload bytes that arrived, read or not."""
    rtt_us: int | None = None
    retransmits: int | None = None
    connected: bool | None = None
    """True proves that a connect succeeded, False that the handshake was not completed."""
    wiped: bool = False
    """The connection was dropped (SO_LINGER 0, connect to AF_UNSPEC), which clears the counters."""
    message: Message | None = None
    """The kernel's own description; None where its notice was lost."""

    @property
    def local(self) -> SockaddrIn | SockaddrIn6 | None:
        """The socket's address; None if it never had one."""
        return self.message.local if self.message else None

    @property
    def peer(self) -> SockaddrIn | SockaddrIn6 | None:
        """The address it was connected to; None if unconnected or wiped."""
        return self.message.peer if self.message else None


class Past(NamedTuple):
    """What the supervisor saw of a socket's life; None where it did not look."""

    accepted: bool | None = None
    """It came from accept, not from connect."""
    shut: bool | None = None
    """The program shut down sending."""


def _no_past(cookie: int) -> Past:
    return Past()


def _not_open(cookie: int) -> bool:
    return False


def _drop_error(error: Exception) -> None:
    pass


class Destroyed:
    """Calls `on_closed(cookie, closing)`, on a thread of its own, for each socket of `wanted` that the kernel destroys.

    `wanted` is the supervisor's own live set (or `dict.keys()`): a cookie goes in while the socket is held, and
    `on_closed` takes it out. `past(cookie)` says what was seen of the socket. Where notices were lost, the sockets are
    counted: one that is not among those in use, and that `still_open(cookie)` does not claim either, is reported with
    nothing known. (A socket that was never bound or whose connection was reset is open and not in use.)

    Errors of the callbacks and of the kernel go to `on_error`. The constructor raises `OSError` where the kernel has no
    such notices. One network namespace is covered, that of the constructing thread.
    """

    def __init__(
        self,
        on_closed: Callable[[int, Closing], None],
        wanted: AbstractSet[int],
        *,
        past: Callable[[int], Past] = _no_past,
        still_open: Callable[[int], bool] = _not_open,
        on_error: Callable[[Exception], None] = _drop_error,
        groups: Iterable[str] = tuple(sockdiag.DESTROY_GROUPS),
        buffer_size: int = sockdiag.BUFFER_SIZE,
    ) -> None:
        self._on_closed, self._wanted = on_closed, wanted
        self._past, self._still_open, self._on_error = past, still_open, on_error
        self._socket = sockdiag.subscribe(groups, buffer_size)
        self._questions = sockdiag.Questions()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._notices = sockdiag.Notices(self._socket.fileno())
        self._changed = threading.Condition()
        self._hurried = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="winsock-destroyed", daemon=True)
        self._thread.start()

    def flush(self, cookies: Collection[int], seconds: float = AT_EXIT_SECONDS) -> set[int]:
        """Wait until all of these have been reported; those that have not, after so many seconds, are the result."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._hurried += 1
            os.eventfd_write(self._bell, 1)
            while left := {cookie for cookie in cookies if cookie in self._wanted}:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._thread.is_alive():
                    break
                self._changed.wait(remaining)
            self._hurried -= 1
        return left

    def stop(self) -> None:
        """End the thread and close what it read from; safe to call twice, not to be called from a callback."""
        if self._stopping:
            return
        self._stopping = True
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        self._socket.close()
        self._questions.close()
        os.close(self._bell)

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        ready, bell = select.poll(), select.poll()
        ready.register(self._socket, select.POLLIN)
        ready.register(self._bell, select.POLLIN)
        bell.register(self._bell, select.POLLIN)
        while not self._stopping:
            ready.poll()
            try:
                self._round()
            except OSError as error:
                self._tell(error)
                return
            except Exception as error:
                self._tell(error)
            if not self._hurried:
                bell.poll(REST_MS)
            self._silence()

    def _silence(self) -> None:
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            pass

    def _round(self) -> None:
        lost = self._drain()
        while lost:
            lost = self._recover()
        if self._hurried:
            with self._changed:
                self._changed.notify_all()

    def _drain(self) -> bool:
        """Read until nothing is left; whether notices were lost."""
        lost = False
        notices, wanted = self._notices, self._wanted
        while True:
            try:
                cookies = notices.receive()
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            if not wanted.isdisjoint(cookies):
                for slot, cookie in enumerate(cookies):
                    if cookie in wanted:
                        self._notice(cookie, slot)
            if len(cookies) < sockdiag.BATCH:
                return lost

    def _notice(self, cookie: int, slot: int) -> None:
        try:
            message = self._notices.read(slot)
            if message:
                self._on_closed(cookie, at_end(message, self._past(cookie), self._questions.state))
        except Exception as error:
            self._tell(error)

    def _recover(self) -> bool:
        """Report the known sockets that are gone, after what has come meanwhile; whether notices were lost again."""
        try:
            missing = self._missing()
        except OSError as error:
            self._tell(error)
            return False
        lost = self._drain()
        for cookie in missing:
            try:
                if cookie in self._wanted and not self._still_open(cookie):
                    self._on_closed(cookie, Closing())
            except Exception as error:
                self._tell(error)
        return lost

    def _missing(self) -> set[int]:
        missing = set(self._wanted)
        for _ in range(2):  # a socket that moves from one table to another can hide from one dump
            if missing:
                missing -= {message.cookie for message in self._questions.every()}
        return missing

    def _tell(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:
            pass  # nobody is left to tell


def at_end(message: Message, past: Past, state: Callable[[Message], int | None]) -> Closing:
    """What the notice of a destroyed socket says; `state` tells what the kernel has now under its addresses."""
    info = message.info
    if info is None:
        return Closing(connected=message.has_peer, message=message)
    if not message.has_peer and message.unacknowledged > NEVER_HAD_A_WINDOW:
        return Closing(connected=True, wiped=True, message=message)
    # Where no segment of data came there was nothing but a FIN, and no need to ask.
    received = info.bytes_received - _fin_came(message, info, past, state) if info.data_segments_in else 0
    return _counted(message, info, received)


def still_counting(cookies: Collection[int]) -> dict[int, Closing]:
    """What the kernel has counted so far for those of these sockets that are in use. `OSError` if it does not tell."""
    questions = sockdiag.Questions()
    try:
        return {message.cookie: so_far(message) for message in questions.every() if message.cookie in cookies}
    finally:
        questions.close()


def so_far(message: Message) -> Closing:
    """What a dump says of a socket that is still there."""
    info = message.info
    if info is None:
        return Closing(connected=message.has_peer, message=message)
    return _counted(message, info, info.bytes_received - (message.state in (CLOSE_WAIT, LAST_ACK, CLOSING)))


def _counted(message: Message, info: Info, received: int) -> Closing:
    connected = info.bytes_acked > 0 or info.bytes_received > 0
    sent = info.bytes_sent - info.bytes_retransmitted
    rtt = info.rtt_us if connected and info.rtt_us else None
    return Closing(sent, received, rtt, info.retransmits, connected, False, message)


def _fin_came(message: Message, info: Info, past: Past, state: Callable[[Message], int | None]) -> bool:
    match state(message):
        case sockdiag.FIN_WAIT2:
            return False
        case sockdiag.TIME_WAIT:
            # Unread is only the FIN then: data would have meant a reset, and nothing would be in TIME_WAIT.
            half_closed = past.shut if past.shut is not None else info.last_ack_age_ms > QUIET_MS
            return message.unread > 0 or half_closed
        case _:
            return message.unread == 1 or _fin_acknowledged(info, past)


def _fin_acknowledged(info: Info, past: Past) -> bool:
    """Whether the peer acknowledged our FIN: then nothing was reset. bytes_acked counts FIN, and SYN of a connect."""
    beyond = info.bytes_acked - (info.bytes_sent - info.bytes_retransmitted)
    if past.accepted is not None:
        return beyond == (1 if past.accepted else 2)
    return beyond == 2 or (beyond == 1 and info.delivered > info.data_segments_out + 1)
