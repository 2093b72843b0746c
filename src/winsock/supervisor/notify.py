"""The listener: one notification for each trapped call, one answer to each notification.

A notification holds its thread in the kernel until the answer. The answer is a value, an error, a descriptor put into
the program, "go on by yourself" (`proceed`, only where nothing was decided on memory that the program can change), or
"start again" (`restart`, for a thread that a signal waits for). An answer may come too late, because the thread died;
every door says whether the answer was taken, and nothing is raised for that.

This file knows ioctls and nothing of what the calls mean.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from typing import NamedTuple

from winsock.supervisor import kernel

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDFD = struct.Struct("=QIIII")
_ID = struct.Struct("=Q")
_LATE = frozenset({errno.ENOENT, errno.EINPROGRESS, errno.ESRCH})


class Notification(NamedTuple):
    """One trapped call: its id, the thread, the call's number and architecture, and six argument words."""

    id: int
    thread: int
    number: int
    arch: int
    arguments: tuple[int, ...]


class Listener:
    """The supervisor's end of the filter."""

    __slots__ = ("_empty", "descriptor")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._empty = bytes(_NOTIFICATION.size)
        try:
            fcntl.ioctl(descriptor, kernel.NOTIF_SET_FLAGS, kernel.NOTIF_FD_SYNC_WAKE_UP)
        except OSError:
            pass  # before 6.6: the wake-up may cross to another core, which only costs time

    def receive(self) -> Notification | None:
        """The next notification; None where its thread is gone already or a signal came first."""
        message = bytearray(self._empty)
        try:
            fcntl.ioctl(self.descriptor, kernel.NOTIF_RECV, message, True)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return None
            raise
        fields = _NOTIFICATION.unpack(message)
        return Notification(fields[0], fields[1], fields[3], fields[4], fields[6:])

    def answer(self, id: int, value: int) -> bool:
        """The call returns `value`."""
        return self._send(id, value, 0, 0)

    def fail(self, id: int, number: int) -> bool:
        """The call fails with this errno."""
        return self._send(id, 0, -abs(number), 0)

    def proceed(self, id: int) -> bool:
        """The kernel performs the call itself."""
        return self._send(id, 0, 0, kernel.NOTIF_FLAG_CONTINUE)

    def restart(self, id: int) -> bool:
        """The thread handles its signal and then makes the call again, or gets EINTR, as its handler says."""
        return self._send(id, 0, -kernel.ERESTARTSYS, 0)

    def valid(self, id: int) -> bool:
        """Whether the thread still waits for this answer, so that its number and memory are still its own."""
        try:
            fcntl.ioctl(self.descriptor, kernel.NOTIF_ID_VALID, _ID.pack(id))
        except OSError:
            return False
        return True

    def reserve(self, id: int, descriptor: int) -> int:
        """Put a copy of `descriptor` into the program without answering; its number. `OSError` EMFILE, ENOENT."""
        return self._add(id, descriptor, 0, 0, 0)

    def inject(self, id: int, descriptor: int, close_on_exec: bool, number: int | None = None) -> int:
        """Answer with a copy of `descriptor`, at `number` if given. `OSError` EMFILE, or ENOENT: nobody waits."""
        flags = kernel.ADDFD_FLAG_SEND | (0 if number is None else kernel.ADDFD_FLAG_SETFD)
        return self._add(id, descriptor, flags, number or 0, 0o2000000 if close_on_exec else 0)

    def _add(self, id: int, descriptor: int, flags: int, number: int, new_flags: int) -> int:
        request = bytearray(_ADDFD.pack(id, flags, descriptor, number, new_flags))
        return fcntl.ioctl(self.descriptor, kernel.NOTIF_ADDFD, request, True)

    def _send(self, id: int, value: int, error: int, flags: int) -> bool:
        try:
            fcntl.ioctl(self.descriptor, kernel.NOTIF_SEND, _RESPONSE.pack(id, value, error, flags))
        except OSError as problem:
            if problem.errno in _LATE:
                return False
            raise
        return True
