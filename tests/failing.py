"""The kernel fails where it is told to: with a real errno, out of a real system call, on one thread only.

A filter of seccomp is a thread's own and ends with it; so the call that is to fail is made on a thread of its own.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import threading
from collections.abc import Callable, Collection

_NUMBERS = {
    "x86_64": """
        socket 41 connect 42 accept 43 sendto 44 recvfrom 45 sendmsg 46 recvmsg 47 shutdown 48 bind 49 listen 50
        getsockname 51 getpeername 52 setsockopt 54 getsockopt 55 accept4 288 fstat 5 newfstatat 262 statx 332 poll 7
        ppoll 271 ioctl 16 read 0 write 1 close 3 uname 63 epoll_create1 291 epoll_ctl 233 epoll_wait 232
        epoll_pwait 281 inotify_init1 294
        """,
    "aarch64": """
        socket 198 connect 203 accept 202 sendto 206 recvfrom 207 sendmsg 211 recvmsg 212 shutdown 210 bind 200
        listen 201 getsockname 204 getpeername 205 setsockopt 208 getsockopt 209 accept4 242 fstat 80 newfstatat 79
        statx 291 ppoll 73 ioctl 29 read 63 write 64 close 57 uname 160 epoll_create1 20 epoll_ctl 21 epoll_pwait 22
        inotify_init1 26
        """,
}
_words = _NUMBERS[platform.machine()].split()
NUMBERS = {name: int(number) for name, number in zip(_words[::2], _words[1::2], strict=True)}
"""Of the system calls that can be told to fail."""

ALIKE = {
    "accept": ("accept", "accept4"),
    "fstat": ("fstat", "newfstatat", "statx"),
    "poll": ("poll", "ppoll"),
    "send": ("sendto", "sendmsg"),
    "receive": ("recvfrom", "recvmsg"),
    "epoll_wait": ("epoll_wait", "epoll_pwait"),
}
"""One name for what is several calls, or another one on another machine."""

_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER_AT, _FIRST_ARGUMENT_AT = 0, 16
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_libc = ctypes.CDLL(None, use_errno=True)


def failing(call: str, error: str, body: Callable[[], object], descriptor: int | None = None) -> None:
    """Run `body` where this system call fails with this errno; what it raises is raised here.

    With `descriptor` only where that is the call's first argument.
    """
    program = _program([NUMBERS[name] for name in ALIKE.get(call, (call,)) if name in NUMBERS], error, descriptor)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            _install(program)
            body()
        except BaseException as problem:
            raised.append(problem)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]


def _program(numbers: Collection[int], error: str, descriptor: int | None) -> bytes:
    """Load the number; where it is one of those, fail, or look at the first argument before."""
    refuse = [_step(_RETURN, _ERRNO | getattr(errno, error))]
    if descriptor is not None:
        refuse = [_step(_LOAD, _FIRST_ARGUMENT_AT), _step(_EQUAL, descriptor, 0, 1), *refuse]
    steps = [_step(_LOAD, _NUMBER_AT)]
    for left, number in zip(range(len(numbers), 0, -1), numbers, strict=True):
        steps.append(_step(_EQUAL, number, left, 0))
    steps += [_step(_RETURN, _ALLOW), *refuse, _step(_RETURN, _ALLOW)]
    return b"".join(steps)


def _step(code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump_true, jump_false, k & 0xFFFFFFFF)


def _install(program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    _prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(Program(len(program) // 8, program)), 0, 0)


def _prctl(*arguments: object) -> None:
    if _libc.prctl(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
