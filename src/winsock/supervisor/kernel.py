"""What the supervisor asks of Linux that Python has no name for; each is a thin, typed door to one call.

What costs on every trapped call stands in `winsock.host`, compiled where possible.
"""

from __future__ import annotations

import ctypes
import os

from winsock.host.numbers import (
    FILTER_FLAG_NEW_LISTENER,
    FILTER_FLAG_SPEC_ALLOW,
    FILTER_FLAG_WAIT_KILLABLE_RECV,
    SECCOMP_SET_MODE_FILTER,
    machine,
)

__all__ = [
    "FILTER_FLAG_NEW_LISTENER",
    "FILTER_FLAG_SPEC_ALLOW",
    "FILTER_FLAG_WAIT_KILLABLE_RECV",
    "PIDFD_THREAD",
    "SECCOMP_SET_MODE_FILTER",
    "libc",
    "machine",
    "pidfd_getfd",
    "same_files",
]

PIDFD_THREAD = os.O_EXCL
KCMP_FILES = 2


class Libc:
    """The C library, opened when first needed; every call raises `OSError` with the kernel's errno."""

    def __init__(self) -> None:
        self._dll = ctypes.CDLL(None, use_errno=True)
        self._syscall = self._dll.syscall
        self._syscall.restype = ctypes.c_long
        self.numbers = machine().calls

    def call(self, name: str, *arguments: int | ctypes.Array[ctypes.c_char] | ctypes._Pointer[ctypes.Structure]) -> int:
        """Make a system call by name; ints go as machine words, buffers by address."""
        words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
        result: int = self._syscall(ctypes.c_long(self.numbers[name]), *words)
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


_libc: Libc | None = None


def libc() -> Libc:
    """The one `Libc` of this process."""
    global _libc
    if _libc is None:
        _libc = Libc()
    return _libc


def pidfd_getfd(pidfd: int, descriptor: int) -> int:
    """A duplicate of another process's descriptor, close-on-exec; `OSError` EBADF, EPERM, ESRCH, EMFILE."""
    return libc().call("pidfd_getfd", pidfd, descriptor, 0)


def same_files(first: int, second: int) -> bool:
    """Whether two threads share one table of descriptors; false where the kernel will not say."""
    try:
        return libc().call("kcmp", first, second, KCMP_FILES, 0, 0) == 0
    except OSError:
        return False
