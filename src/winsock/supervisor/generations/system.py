"""The few calls of Linux that Python does not offer: prctl, a filter with a listener, signalfd, a literal execve."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Sequence

from winsock.supervisor import kernel

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_FILTER_FLAGS = kernel.FILTER_FLAG_NEW_LISTENER | kernel.FILTER_FLAG_SPEC_ALLOW | kernel.FILTER_FLAG_WAIT_KILLABLE_RECV
_SFD_FLAGS = os.O_CLOEXEC | os.O_NONBLOCK
_SIGSET_BYTES = 128
_CLOCK_MONOTONIC = 1
_FILTER_INSTRUCTION_BYTES = 8

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


class _SockFprog(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def prctl(operation: int, argument: int = 1) -> None:
    """prctl(2) with one argument; OSError where the kernel refuses."""
    _checked(_libc.prctl(operation, argument, 0, 0, 0))


def set_name(name: str) -> None:
    """Call this process `name` (at most 15 bytes) in ps and top."""
    text = ctypes.create_string_buffer(name.encode())
    prctl(PR_SET_NAME, ctypes.addressof(text))


def install_filter(program: bytes) -> int:
    """Put a seccomp filter over this thread and answer with its listener; needs no_new_privs, or CAP_SYS_ADMIN.

    `program` is an array of sock_filter (seccomp(2)). A signal that arrives during a call waits for the answer.
    """
    fprog = _SockFprog(len(program) // _FILTER_INSTRUCTION_BYTES, program)
    return kernel.libc().call("seccomp", kernel.SECCOMP_SET_MODE_FILTER, _FILTER_FLAGS, ctypes.addressof(fprog))


def signalfd(signals: Iterable[int]) -> int:
    """A non-blocking descriptor that is readable while one of the (blocked) signals waits for this process."""
    mask = sum(1 << (number - 1) for number in signals)
    return _checked(_libc.signalfd(-1, mask.to_bytes(_SIGSET_BYTES, "little"), _SFD_FLAGS))


class Timer:
    """A non-blocking descriptor that is readable when a time has passed."""

    def __init__(self) -> None:
        self._descriptor = _checked(_libc.timerfd_create(_CLOCK_MONOTONIC, _SFD_FLAGS))

    def fileno(self) -> int:
        """For poll."""
        return self._descriptor

    def start(self, seconds: float) -> None:
        """From now on; it rings once."""
        times = (ctypes.c_long * 4)(0, 0, int(seconds), int(seconds % 1 * 1e9))
        _checked(_libc.timerfd_settime(self._descriptor, 0, times, None))

    def silence(self) -> None:
        """It was heard."""
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            pass  # it was started anew


def execve(path: bytes, arguments: Sequence[bytes], environment: Sequence[bytes]) -> int:
    """execve(2) to the letter: returns the errno, or does not return.

    Python's takes a mapping, which loses entries without '=' and entries of the same name.
    """
    _libc.execve(path, _strings(arguments), _strings(environment))
    return ctypes.get_errno()


def _strings(values: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(values) + 1))(*values, None)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
