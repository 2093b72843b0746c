"""What the kernel answers about a socket's queues when it is asked by ioctl: a number each."""

from __future__ import annotations

import struct
from fcntl import ioctl
from socket import socket
from termios import FIONREAD, TIOCOUTQ

UNREAD = FIONREAD
"""How many bytes can be read at once; of datagrams, the first one's."""
UNDELIVERED = TIOCOUTQ
"""How many bytes were sent and are not acknowledged yet."""
AT_MARK = 0x8905  # SIOCATMARK
"""1 where the next byte is the urgent one, else 0."""

_INT = struct.Struct("=i")
_ROOM = bytes(_INT.size)


def ask(file: socket | int, question: int) -> int:
    """The answer; raises `OSError`."""
    number: int = _INT.unpack(ioctl(file, question, _ROOM))[0]
    return number


def ask_or_0(file: socket | int, question: int) -> int:
    """The answer; 0 where there is none, as for a file that was closed meanwhile."""
    try:
        return ask(file, question)
    except (OSError, ValueError):
        return 0
