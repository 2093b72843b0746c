"""What Ws2_32 keeps for each thread: its last error and its blocking callback."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable
    from winsock.spi.upcalls import WSATHREADID, BlockingCallback


class ThreadState(threading.local):
    """The state of whichever thread looks at it."""

    last_error: int = 0
    """What WSAGetLastError answers; a Winsock code."""
    blocking_callback: BlockingCallback | None = None
    """Called while a call of this thread blocks; without one the thread waits natively."""
    blocking_context: object = None
    blocking_table: ProcTable | None = None
    """Of the provider that asked for the callback last: whose call is waiting while it runs."""
    open_type: int = 0
    """SO_OPENTYPE: not 0 where `socket` makes sockets without the overlapped attribute."""


_state = ThreadState()


def current() -> ThreadState:
    """The state of this thread. It works before WSAStartup, as WSAGetLastError does."""
    return _state


def id_for(overlapped: object) -> WSATHREADID | None:
    """The id of this thread that a provider is given with an overlapped call, for WPUQueueApc; None with any other."""
    if overlapped is None:
        return None
    from winsock.overlapped import apcs

    return apcs.id_of_this_thread()
