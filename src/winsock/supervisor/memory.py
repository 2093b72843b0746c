"""Reading and writing the memory of a held thread: copies, made once, and writes that respect its protections.

`process_vm_writev` fails where the program itself could not write; /proc/PID/mem would write into read-only pages. A
short count is a fault, as it is for the kernel. Whoever reads checks afterwards that the notification is still valid:
before that, the number may already be another thread's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading

from winsock.supervisor import kernel

MOST = 4096
"""The longest piece moved at once: socket addresses and options are shorter."""


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


class _Scratch(threading.local):
    """One buffer and its two vectors for each thread of ours, so that a copy costs one call and no allocation."""

    def __init__(self) -> None:
        self.buffer = ctypes.create_string_buffer(MOST)
        self.here = _Piece(ctypes.addressof(self.buffer), 0)
        self.there = _Piece(0, 0)
        self.here_at = ctypes.addressof(self.here)
        self.there_at = ctypes.addressof(self.there)
        self.view = memoryview(self.buffer).cast("B")
        self.read_call = kernel.RawCall("process_vm_readv", 6)
        self.write_call = kernel.RawCall("process_vm_writev", 6)


_scratch = _Scratch()


def read(thread: int, address: int, length: int) -> bytes:
    """A copy of `length` bytes; `OSError` EFAULT where they are not all readable, ESRCH, EPERM."""
    scratch = _scratch
    scratch.here.length = scratch.there.length = length
    scratch.there.base = address
    count = scratch.read_call(thread, scratch.here_at, 1, scratch.there_at, 1, 0)
    if count != length:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    return scratch.view[:length].tobytes()


def write(thread: int, address: int, data: bytes) -> None:
    """Copy `data` to the thread's memory; `OSError` EFAULT where it may not write, ESRCH, EPERM."""
    scratch = _scratch
    length = len(data)
    scratch.view[:length] = data
    scratch.here.length = scratch.there.length = length
    scratch.there.base = address
    count = scratch.write_call(thread, scratch.here_at, 1, scratch.there_at, 1, 0)
    if count != length:
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
