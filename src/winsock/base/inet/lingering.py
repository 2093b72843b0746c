"""SO_LINGER with seconds: closing waits for the data that the peer has not got yet.

The kernel waits too, but when the time is over it goes on sending behind the program's back, where Windows ends the
connection, and hard. So the wait is here, before the socket is closed; that the last byte was acknowledged the kernel
tells to nobody but whoever asks.

Source: nf-winsock2-closesocket.
"""

from __future__ import annotations

import socket
import struct
import time

from winsock import host
from winsock.abi.constants import IPPROTO_TCP
from winsock.abi.errors import WSAEWOULDBLOCK, WinsockError
from winsock.base.inet import raw
from winsock.base.inet.own import OwnSocket
from winsock.host.queues import UNDELIVERED, ask_or_0

_LINGER = struct.Struct("=ii")
_SHORTEST_S, _LONGEST_S = 0.001, 0.02


def before_close(record: OwnSocket) -> None:
    """Until the peer has all data; when the time is over, let closing reset the connection.

    Raises WSAEWOULDBLOCK where it would have to wait, and must not. A socket that several descriptors stand for is not
    closed with one of them, and streams other than TCP do not linger.
    """
    if record.shared is not None or record.info.iProtocol != IPPROTO_TCP:
        return
    seconds = _seconds(record)
    if not seconds or not ask_or_0(record.handle, UNDELIVERED):
        return
    if not record.blocking:
        raise WinsockError(WSAEWOULDBLOCK, "s: data is on its way, and the socket lingers but does not block")
    if not _is_delivered(record.handle, time.monotonic() + seconds):
        raw.setsockopt(record.handle, socket.SOL_SOCKET, socket.SO_LINGER, host.RESET_ON_CLOSE)


def _is_delivered(handle: int, deadline: float) -> bool:
    pause = _SHORTEST_S
    while ask_or_0(handle, UNDELIVERED):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_S)
    return True


def _seconds(record: OwnSocket) -> int:
    """How long; 0 where it does not linger."""
    try:
        value = raw.getsockopt(record.handle, socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size)
    except WinsockError:  # closed meanwhile, which is for closing to tell
        return 0
    on, seconds = _LINGER.unpack(value)
    return int(seconds) if on else 0
