"""A socket that several descriptors stand for, in this process and in others: what Winsock remembers of it is one, too.

The kernel keeps the state, the options and the data of a shared socket. What it does not know - how far a stream has
come, SO_DEBUG and kin, who asked for network events last - is in a page of memory that travels with the descriptor, so
that what is set through one is seen through all.

Closing a descriptor lets the threads of its process come back that wait on it, and may not disturb the others: such a
thread waits for a bell beside the socket, where one of an unshared socket is woken by shutting that down. A thread that
was waiting already when its socket was shared, or that comes to an accept too late, is woken by the socket alone.

Sources: nc-ws2spi-lpwspduplicatesocket; multiple-handles-to-a-single-socket-2.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import mmap
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.base.inet import hooks, own, urgent
from winsock.base.inet.own import OwnSocket
from winsock.host.numbers import LONGEST_POLL_MS

_REMEMBERED = (
    ("phase", ctypes.c_uint32),
    ("linger_seconds", ctypes.c_int32),
    ("user_mtu", ctypes.c_uint32),
    ("lost", ctypes.c_uint32),
    ("send_room", ctypes.c_int64),
    ("receive_room", ctypes.c_int64),
    ("keep_idle_s", ctypes.c_int64),
    ("keep_interval_s", ctypes.c_int64),
    ("keep_probes", ctypes.c_int64),
    ("connect_time", ctypes.c_double),
    ("group_priority", ctypes.c_int64),
    ("bound", ctypes.c_bool),
    ("sending_ended", ctypes.c_bool),
    ("receiving_ended", ctypes.c_bool),
    ("reuse", ctypes.c_bool),
    ("exclusive", ctypes.c_bool),
    ("oob_inline", ctypes.c_bool),
    ("debug", ctypes.c_bool),
    ("dont_route", ctypes.c_bool),
    ("reports_resets", ctypes.c_bool),
    ("reports_net_resets", ctypes.c_bool),
    ("hears_errors", ctypes.c_bool),
    ("wants_errors", ctypes.c_bool),
    ("fails_on_icmp", ctypes.c_bool),
    ("takes_broadcasts", ctypes.c_bool),
    ("was_accepted", ctypes.c_bool),
    ("is_leaf", ctypes.c_bool),
)
_NO_PROTOCOL = -1
_becoming = threading.Lock()
_AGAIN = os.O_RDWR | os.O_CLOEXEC


class _Page(ctypes.Structure):
    _fields_ = (
        ("layout", ctypes.c_uint64),
        ("registration", ctypes.c_uint64),
        ("events", ctypes.c_uint32),
        ("receives", ctypes.c_uint32),
        ("urgent_receives", ctypes.c_uint32),
        ("raw_protocol", ctypes.c_int32),
        *_REMEMBERED,
    )


_SIZE = ctypes.sizeof(_Page)
_LAYOUT = int.from_bytes(hashlib.sha256(repr(_Page._fields_).encode()).digest()[:8], "little")
"""Of a page that this release of ours has made, or another that remembers the same."""
_SEALS = fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""Nobody who has the page can make it smaller, under the feet of the others."""


class Shared:
    """What a descriptor of a shared socket has beside it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        """The page, to be passed on."""
        self.page = _Page.from_buffer(mmap.mmap(descriptor, _SIZE))
        self._bell: _Bell | None = None
        self._has_ended = False
        self._lock = threading.Lock()

    @classmethod
    def new(cls) -> Shared:
        """For a socket that is shared for the first time; `OSError`."""
        descriptor = os.memfd_create("winsock-shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, _SIZE)
            fcntl.fcntl(descriptor, *_SEALS)
            return cls(descriptor)
        except OSError:
            os.close(descriptor)
            raise

    def register(self, events: int) -> int:
        """Somebody asks for network events, or for none any more: nobody else's registration counts from now on."""
        self.page.events = events
        self.page.registration = token = secrets.randbits(64)
        return token

    def received(self) -> None:
        """A receive was made: what there is to read now is news."""
        self.page.receives = (self.page.receives + 1) & 0xFFFFFFFF

    @contextmanager
    def taking_urgent(self) -> Iterator[None]:
        """For who takes an urgent byte, `alone`: the number of such receives is odd meanwhile, and another after it."""
        page = self.page
        page.urgent_receives = (page.urgent_receives | 1) + 2 * (page.urgent_receives & 1) & 0xFFFFFFFF
        try:
            yield
        finally:
            page.urgent_receives = page.urgent_receives + 1 & 0xFFFFFFFF

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For who looks where the urgent byte is and receives then: nobody else does, in any thread or process.

        Never held by who waits. It is a lock of the page, opened anew: of one file that is open several times each has
        its own, which ends with its process. Where there is no descriptor left for it, all go on without.
        """
        descriptor = self._open_again()
        if descriptor is None:
            yield
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # for a child of a fork may have it, too
            os.close(descriptor)

    def _open_again(self) -> int | None:
        with self._lock:
            try:
                return None if self._has_ended else os.open(f"/proc/self/fd/{self.descriptor}", _AGAIN)
            except OSError:
                return None

    def wait(self, record: OwnSocket, events: int, end: float | None) -> None:
        """Until the socket has one of the events, or is closed; at `end` `BlockingIOError`."""
        bell = self.bell()
        poller = select.poll()
        poller.register(bell.descriptor, select.POLLIN)
        if not record.closed:
            poller.register(record.handle, events)
        left = None if end is None else min(max(0.0, (end - time.monotonic()) * 1000), LONGEST_POLL_MS)
        if not poller.poll(left):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def bell(self) -> _Bell:
        """What rings when the descriptor is closed."""
        with self._lock:
            if self._bell is None:
                self._bell = _Bell()
                if self._has_ended:
                    self._bell.ring()
            return self._bell

    def after_fork(self) -> None:
        """In a child, whose threads wait for nothing yet; the bell is the parent's."""
        self._bell = None
        self._lock = threading.Lock()

    def end(self) -> None:
        """The descriptor is closed; the socket may have others."""
        with self._lock:
            self._has_ended = True
            if self._bell is not None:
                self._bell.ring()
                self._bell = None
        self.page = _Page.from_buffer_copy(self.page)  # which lets go of the memory
        os.close(self.descriptor)


class _Bell:
    """Open while somebody may be waiting for it."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def ring(self) -> None:
        os.eventfd_write(self.descriptor, 1)

    def __del__(self) -> None:
        os.close(self.descriptor)


class SharedSocket(OwnSocket):
    """A socket of this process, of which others remember the same."""

    shared: Shared


def _remembered(name: str) -> Any:
    def get(self: SharedSocket) -> Any:
        return getattr(self.shared.page, name)

    def set(self: SharedSocket, value: Any) -> None:
        setattr(self.shared.page, name, value)

    return property(get, set)


for _name, _ in _REMEMBERED:
    setattr(SharedSocket, _name, _remembered(_name))


def share(record: OwnSocket) -> Shared:
    """Let a socket be one of several that stand for the same; `OSError`."""
    with _becoming:
        if record.shared is not None:
            return record.shared
        shared = Shared.new()
        shared.page.layout = _LAYOUT
        shared.page.raw_protocol = _NO_PROTOCOL if record.raw_protocol is None else record.raw_protocol
        shared.page.events = 0 if record.selection is None else record.selection.mask
        for name, _ in _REMEMBERED:
            setattr(shared.page, name, getattr(record, name))
        _become(record, shared)
        return shared


def join(record: OwnSocket, page: int) -> None:
    """The record of a duplicate: what is remembered is in the page that came with it; `OSError`, WSAEINVAL."""
    shared = checked(page)
    if shared.page.raw_protocol != _NO_PROTOCOL:
        record.raw_protocol = shared.page.raw_protocol
    _become(record, shared)


def checked(page: int) -> Shared:
    """A page that came from another process. WSAEINVAL where another release has made it, which knows more, or less."""
    if _is_sound(page):
        shared = Shared(page)
        if shared.page.layout == _LAYOUT and shared.page.phase <= own.LISTENING:
            return shared
    raise WinsockError(WSAEINVAL, "protocol_info: it was made by another release of winsock")


def _is_sound(page: int) -> bool:
    try:
        seals = fcntl.fcntl(page, fcntl.F_GET_SEALS)
    except OSError:
        return False
    return bool(seals & fcntl.F_SEAL_SHRINK) and os.fstat(page).st_size == _SIZE


def _become(record: OwnSocket, shared: Shared) -> None:
    urgent.mind_mark(record)
    record.shared = shared
    record.__class__ = SharedSocket
    methods = {
        "recv_into": _receiving(record, shared, record.recv_into),
        "recvmsg_into": _receiving_parts(record, shared, record.recvmsg_into),
    }
    record.__dict__.update(methods)
    record.hold(shared)


def _receiving(record: OwnSocket, shared: Shared, receive: Callable[..., Any]) -> Callable[..., Any]:
    def slot(buffer: Any) -> Any:
        return _patient(record, shared, lambda: receive(buffer, 0, socket.MSG_DONTWAIT))

    return slot


def _receiving_parts(record: OwnSocket, shared: Shared, receive: Callable[..., Any]) -> Callable[..., Any]:
    def slot(buffers: Any, size: int, flags: int) -> Any:
        if flags & socket.MSG_OOB:  # which never waits
            with shared.alone(), shared.taking_urgent():
                return receive(buffers, size, flags)
        if flags & socket.MSG_WAITALL:
            shared.wait(record, select.POLLIN, hooks.deadline(record, socket.SO_RCVTIMEO))
            result = receive(buffers, size, flags)
            shared.received()
            return result
        return _patient(record, shared, lambda: receive(buffers, size, flags | socket.MSG_DONTWAIT))

    return slot


def _patient(record: OwnSocket, shared: Shared, receive: Callable[[], Any]) -> Any:
    """Receive, and wait for that in the way that a close ends."""
    end: float | None = None
    is_first = True
    while True:
        try:
            if record.oob_inline:
                with shared.alone():
                    result = receive()
            else:
                result = receive()
        except BlockingIOError:
            if record.closed or not record.blocking:
                raise
        else:
            shared.received()
            return result
        if is_first:
            end, is_first = hooks.deadline(record, socket.SO_RCVTIMEO), False
        shared.wait(record, select.POLLIN, end)


def _after_fork() -> None:
    global _becoming
    _becoming = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
