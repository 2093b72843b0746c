"""The listener: one notification for each trapped call, one answer to each notification.

A notification holds its thread in the kernel until the answer. The answer is a value, an error, a descriptor put into
the program, "go on by yourself" (`proceed`, only where nothing was decided on memory that the program can change), or
"start again" (`restart`, for a thread that a signal waits for). An answer may come too late, because the thread died;
every door says whether the answer was taken, and nothing is raised for that.

This file knows ioctls and nothing of what the calls mean.
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import NamedTuple

from winsock import host
from winsock.host import numbers

_ADDFD = struct.Struct("=QIIII")


class Notification(NamedTuple):
    """One trapped call: its id, the thread, the call's number and architecture, and six argument words."""

    id: int
    thread: int
    number: int
    arch: int
    arguments: tuple[int, ...]


class Listener:
    """The supervisor's end of the filter."""

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        try:
            fcntl.ioctl(descriptor, numbers.NOTIF_SET_FLAGS, numbers.NOTIF_FD_SYNC_WAKE_UP)
        except OSError:
            pass  # before 6.6: the wake-up may cross to another core, which only costs time

    def receive(self) -> Notification | None:
        """Wait for a call; None where its thread is gone already, or the last process has ended."""
        received = host.receive(self.descriptor, -1)
        return None if isinstance(received, int) else Notification(*received)

    def answer(self, id: int, value: int) -> bool:
        """The call returns `value`."""
        return host.answer(self.descriptor, id, value, 0, 0)

    def fail(self, id: int, number: int) -> bool:
        """The call fails with this errno."""
        return host.answer(self.descriptor, id, 0, -abs(number), 0)

    def proceed(self, id: int) -> bool:
        """The kernel performs the call itself."""
        return host.answer(self.descriptor, id, 0, 0, numbers.NOTIF_FLAG_CONTINUE)

    def restart(self, id: int) -> bool:
        """The thread handles its signal and then makes the call again, or gets EINTR, as its handler says."""
        return host.answer(self.descriptor, id, 0, -numbers.ERESTARTSYS, 0)

    def valid(self, id: int) -> bool:
        """Whether the thread still waits for this answer, so that its number and memory are still its own."""
        return host.valid(self.descriptor, id)

    def inject(self, id: int, descriptor: int, close_on_exec: bool) -> int:
        """Answer with a copy of `descriptor`; its number. `OSError` EMFILE, or ENOENT: nobody waits."""
        new_flags = os.O_CLOEXEC if close_on_exec else 0
        request = bytearray(_ADDFD.pack(id, numbers.ADDFD_FLAG_SEND, descriptor, 0, new_flags))
        added: int = fcntl.ioctl(self.descriptor, numbers.NOTIF_ADDFD, request, True)
        return added
