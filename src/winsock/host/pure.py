"""The calls of `winsock.host` in Python: ctypes, ioctl and struct.

Errors are `OSError` with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import threading
from _socket import socket
from collections.abc import Callable
from typing import Any

from winsock.host import numbers

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ID = struct.Struct("=Q")
_FILE = struct.Struct("=QQ")
_EMPTY = bytes(_NOTIFICATION.size)
_LATE = frozenset({errno.ENOENT, errno.EINPROGRESS, errno.ESRCH})
_AGAIN = frozenset({errno.ENOENT, errno.EINTR})
_SO_TYPE, _SO_PROTOCOL, _SO_DOMAIN, _SO_COOKIE, _SO_NETNS_COOKIE = 3, 38, 39, 57, 71
_LONGEST_ADDRESS = 128
NOTHING, EVENT, HUNG_UP = 0, 1, -1
NOBODY = bytes(16)
"""An address of AF_UNSPEC: to connect there resets a stream's connection, and whoever polls it wakes up."""
RESET_ON_CLOSE, CLOSE_IN_ORDER = struct.pack("=ii", 1, 0), struct.pack("=ii", 0, 0)
"""What SO_LINGER is set to."""
MOST = 4096
"""The longest piece of memory that is moved at once: socket addresses and options are shorter."""

if sys.platform != "win32":
    from fcntl import ioctl
    from os import set_inheritable as _set_inheritable
else:
    from os import set_handle_inheritable as _set_inheritable

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform != "win32" else None


def raw_call(name: str, words: int) -> Callable[..., int]:
    """A system call of so many word arguments, prepared; it raises `OSError`."""
    number = numbers.machine().calls[name]
    prototype = ctypes.CFUNCTYPE(ctypes.c_long, *([ctypes.c_long] * (words + 1)), use_errno=True)
    assert _libc is not None
    function = prototype(("syscall", _libc))

    def call(*arguments: int) -> int:
        result: int = function(number, *arguments)
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    return call


class _Prepared:
    """System calls by name, prepared when first used."""

    def __init__(self) -> None:
        self._calls: dict[str, Callable[..., int]] = {}

    def __call__(self, name: str, *arguments: int) -> int:
        call = self._calls.get(name)
        if call is None:
            call = self._calls[name] = raw_call(name, len(arguments))
        return call(*arguments)


_call = _Prepared()


def receive(listener: int, events: int) -> tuple[int, int, int, int, tuple[int, ...]] | int:
    """Wait for a trapped call: (id, thread, number, architecture, arguments).

    `events` is a second descriptor to wait for, or -1.
    EVENT where `events` became readable, HUNG_UP where the last process has ended, NOTHING where a caller went away.
    """
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    if events >= 0:
        poll.register(events, select.POLLIN)
    ready = dict(poll.poll())
    state = ready.get(listener, 0)
    if not state & select.POLLIN:
        # POLLERR is no end: so the kernel says that our wake-up signal came while it looked.
        return EVENT if events in ready else HUNG_UP if state & (select.POLLHUP | select.POLLNVAL) else NOTHING
    message = bytearray(_EMPTY)
    try:
        ioctl(listener, numbers.NOTIF_RECV, message, True)
    except OSError as error:
        if error.errno in _AGAIN:
            return NOTHING
        raise
    fields = _NOTIFICATION.unpack(message)
    return fields[0], fields[1], fields[3], fields[4], fields[6:]


def answer(listener: int, id: int, value: int, error: int, flags: int) -> bool:
    """Answer a call; whether anybody still waited for it."""
    try:
        _ioctl_again(listener, numbers.NOTIF_SEND, _RESPONSE.pack(id, value, error, flags))
    except OSError as problem:
        if problem.errno in _LATE:
            return False
        raise
    return True


def _ioctl_again(listener: int, request: int, argument: bytes) -> None:
    """For those that our wake-up signal may interrupt before they do anything: then they are made again."""
    while True:
        try:
            ioctl(listener, request, argument)
            return
        except InterruptedError:
            pass


def valid(listener: int, id: int) -> bool:
    """Whether the caller still waits, so that its number and memory are still its own."""
    try:
        _ioctl_again(listener, numbers.NOTIF_ID_VALID, _ID.pack(id))
    except OSError:
        return False
    return True


def take(pidfd: int, descriptor: int) -> tuple[int, int]:
    """A duplicate of another task's socket, close-on-exec, and its cookie; EBADF, ENOTSOCK, EPERM, ESRCH, EMFILE."""
    taken = _call("pidfd_getfd", pidfd, descriptor, 0)
    try:
        return taken, _integer_option(taken, _SO_COOKIE, 8)
    except OSError:
        os.close(taken)
        raise


def kind(descriptor: int) -> tuple[int, int, int]:
    """Domain, type and protocol of a socket."""
    return (
        _integer_option(descriptor, _SO_DOMAIN, 4),
        _integer_option(descriptor, _SO_TYPE, 4),
        _integer_option(descriptor, _SO_PROTOCOL, 4),
    )


def network(descriptor: int) -> int:
    """The cookie of the network namespace that a socket is of; ENOPROTOOPT before Linux 5.14."""
    return _integer_option(descriptor, _SO_NETNS_COOKIE, 8)


def connect(descriptor: int, address: bytes) -> int:
    """connect(2), once; 0 or an errno."""
    assert _libc is not None
    return ctypes.get_errno() if _libc.connect(descriptor, address, len(address)) else 0


def bind(descriptor: int, address: bytes) -> int:
    """bind(2); 0 or an errno."""
    assert _libc is not None
    return ctypes.get_errno() if _libc.bind(descriptor, address, len(address)) else 0


def name(descriptor: int, peer: bool) -> bytes:
    """The address of a socket, or of its peer, as the kernel lays it out; ENOTCONN, ENOTSOCK, EBADF."""
    address, length = ctypes.create_string_buffer(_LONGEST_ADDRESS), ctypes.c_uint32(_LONGEST_ADDRESS)
    call = "getpeername" if peer else "getsockname"
    _call(call, descriptor, ctypes.addressof(address), ctypes.addressof(length))
    return address.raw[: length.value]


def identity(descriptor: int) -> bytes:
    """Which file a number stands for: device and inode, as 16 bytes; EBADF, `OverflowError`."""
    status = os.fstat(descriptor)
    return _FILE.pack(status.st_dev, status.st_ino)


def same(descriptor: int, identity: bytes) -> bool:
    """Whether a number stands for that file still."""
    try:
        status = os.fstat(descriptor)
    except (OSError, OverflowError):
        return False
    return _FILE.pack(status.st_dev, status.st_ino) == identity


def make(kind: tuple[int, int, int], inheritable: bool) -> int:
    """A socket of (family, type, protocol) by the host's numbers, which a program started later has or has not."""
    family, type, protocol = kind
    made = socket(family, type, protocol)
    if made.timeout is not None:  # the process has a default time-out
        made.settimeout(None)
    descriptor = made.detach()
    if inheritable:
        _set_inheritable(descriptor, True)
    return descriptor


def close_each(descriptors: list[int]) -> None:
    """Close them all, whatever becomes of one; many at once, so that the interpreter's lock changes hands once."""
    for descriptor in descriptors:
        try:
            os.close(descriptor)
        except OSError:
            pass


class Association:
    """What is known of a handle; its constructor is what every new socket pays (`winsock.dispatcher.records`)."""

    __slots__ = ("adopted", "chain", "context", "handle", "hidden", "identity", "made", "shared", "table")

    def __init__(
        self,
        handle: int,
        chain: Any,
        table: Any,
        identity: bytes,
        context: object = None,
        made: bool = False,
        adopted: bool = False,
    ) -> None:
        self.handle = handle
        self.chain = chain
        self.table = table
        self.identity = identity
        self.context = context
        self.made = made
        self.adopted = adopted
        self.hidden = self.shared = False


def guarded(
    function: Callable[..., Any],
    passing: type[Exception],
    refused: Callable[[BaseException], Exception],
    kind: type = object,
    parts: tuple[tuple[type, ...], ...] = (),
    check: Callable[[Any, int], None] | None = None,
) -> Callable[..., Any]:
    """The function; for what it raises that is not `passing`, what `refused` answers, or raises, is raised instead.

    `check(answer, count of arguments)` is asked to raise for an answer that will not do. It lets through, and need not
    see, an answer of that very kind: a number from 0 on, a tuple of such parts which begins with one, anything else.
    A part is one of several kinds.
    """

    def slot(*args: Any, **kwargs: Any) -> Any:
        try:
            answer = function(*args, **kwargs) if kwargs else function(*args)
            if check is not None:
                check(answer, len(args) + len(kwargs))
            return answer
        except passing:
            raise
        except BaseException as error:
            raise refused(error) from error

    return slot


def read_memory(thread: int, address: int, length: int) -> bytes:
    """A copy of a task's memory; EFAULT where not all of it is readable."""
    scratch = _scratch
    scratch.aim(address, length)
    count = _call("process_vm_readv", thread, scratch.here_at, 1, scratch.there_at, 1, 0)
    if count != length:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    return scratch.view[:length].tobytes()


def write_memory(thread: int, address: int, data: bytes) -> None:
    """Copy to a task's memory; EFAULT where it may not write itself."""
    scratch = _scratch
    scratch.aim(address, len(data))
    scratch.view[: len(data)] = data
    count = _call("process_vm_writev", thread, scratch.here_at, 1, scratch.there_at, 1, 0)
    if count != len(data):
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


class _Scratch(threading.local):
    """One buffer and its two vectors for each thread of ours, so that a copy costs one call and no allocation."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(MOST)
        self._here = _Piece(ctypes.addressof(self.buffer), 0)
        self._there = _Piece(0, 0)
        self.here_at = ctypes.addressof(self._here)
        self.there_at = ctypes.addressof(self._there)
        self.view = memoryview(self.buffer).cast("B")

    def aim(self, address: int, length: int) -> None:
        """Let both vectors say how much, and one of them where."""
        if length > MOST:
            raise ValueError(f"at most {MOST} bytes at once, not {length}")
        self._here.length = self._there.length = length
        self._there.base = address


_scratch = _Scratch()


def _integer_option(descriptor: int, option: int, size: int) -> int:
    value, length = ctypes.c_uint64(), ctypes.c_uint32(size)
    _call("getsockopt", descriptor, numbers.SOL_SOCKET, option, ctypes.addressof(value), ctypes.addressof(length))
    return value.value
