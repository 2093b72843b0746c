"""A connect that does not wait, on a file whose flags are not ours to change.

A blocking file lets connect(2) wait. A send with MSG_FASTOPEN and no data is a connect, too, and takes MSG_DONTWAIT;
nor is it put off until there are data, as connect(2) may be where TCP_FASTOPEN_CONNECT is set. Where fast open is
switched off, a signal calls the thread back out of a connect that waits, which goes on in the kernel.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
from fcntl import F_GETFL, fcntl

from winsock import host
from winsock.host import pure
from winsock.supervisor.crew import WAKE_SIGNAL

_MSG_FASTOPEN, _MSG_NOSIGNAL, _MSG_DONTWAIT = 0x20000000, 0x4000, 0x40
_POKE_S = 0.001
_sendto = pure.raw_call("sendto", 6)


def is_blocking(descriptor: int) -> bool:
    """Whether calls on this file wait."""
    return not fcntl(descriptor, F_GETFL) & os.O_NONBLOCK


def connect(descriptor: int, address: bytes) -> int:
    """connect(2) that does not wait, whatever the file says; an errno, EINPROGRESS where all is well."""
    buffer = ctypes.create_string_buffer(address, len(address))
    flags = _MSG_FASTOPEN | _MSG_DONTWAIT | _MSG_NOSIGNAL
    try:
        _sendto(descriptor, 0, 0, flags, ctypes.addressof(buffer), len(address))
    except OSError as error:
        number = error.errno or errno.EIO
        return number if number != errno.EOPNOTSUPP else without_fast_open(descriptor, address)
    return 0


def without_fast_open(descriptor: int, address: bytes) -> int:
    """The same by connect(2)."""
    return interrupted(descriptor, address) if is_blocking(descriptor) else host.connect(descriptor, address)


def interrupted(descriptor: int, address: bytes) -> int:
    """Of a blocking file: a signal comes again and again until the connect has begun to wait."""
    me, done = threading.get_ident(), threading.Event()

    def poke() -> None:
        while not done.wait(_POKE_S):
            signal.pthread_kill(me, WAKE_SIGNAL)

    poker = threading.Thread(target=poke, name="poker", daemon=True)
    poker.start()
    number = host.connect(descriptor, address)
    done.set()
    poker.join()
    return errno.EINPROGRESS if number == errno.EINTR else number
