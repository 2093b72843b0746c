"""Who is calling: the process, the thread, the function and the socket of the call that a layer is serving.

Under `winsock run` the supervisor sets `local.describe` before it enters a chain, since the caller is another process.
In one process nothing is set, and nothing is paid: the answer is read from the stack when somebody asks.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from winsock.spi.provider import FUNCTIONS

_NAMES = frozenset(FUNCTIONS)


class Call(NamedTuple):
    """One call of a program."""

    process: int
    """Process id."""
    thread: int
    """The kernel's thread id."""
    function: str
    """The SPI function, "WSPConnect"; empty outside of any."""
    socket_id: int | None
    """Under `winsock run` the socket's cookie, which is its own for life; in one process its handle."""
    process_name: str = ""


class _Local(threading.local):
    describe: Callable[[], Call] | None = None
    """Tells of the call that this thread serves, where a supervisor set it: few ask, so made late."""
    option: tuple[object, bytes] | None = None
    """An option's value and the kernel's own bytes for it: who still has this value needs no layout of his own."""


local = _Local()


def current_call() -> Call:
    """The call being served by this thread."""
    return local.describe() if local.describe is not None else _from_stack()


def _from_stack() -> Call:
    """The innermost SPI function on this thread's stack tells function and handle."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_name not in _NAMES:
        frame = frame.f_back
    inside = frame.f_code.co_name in _NAMES
    return Call(
        process=os.getpid(),
        thread=threading.get_native_id(),
        function=frame.f_code.co_name if inside else "",
        socket_id=frame.f_locals.get("s") if inside else None,
        process_name=os.path.basename(sys.orig_argv[0] or sys.executable),
    )
