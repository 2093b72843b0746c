"""Before the application has its connection: wait until the network's side is connected, then let layers speak first.

Waiting is done by raw calls, because Python would begin a poll() anew that a signal interrupted, and nobody could wake
the thread.
"""

from __future__ import annotations

import ctypes
import errno
import math
import select
from collections.abc import Callable
from socket import MSG_DONTWAIT, SO_ERROR, SOL_SOCKET, socket
from struct import Struct
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAECONNABORTED, WSAECONNRESET, WinsockError, from_errno
from winsock.dispatcher.drivers.stage import END

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.pipeline import Pipeline

GiveUp = Callable[[], bool]
Outcome = Callable[[int], "WinsockError | None"]

SLICE_S = 0.1
"""How long to wait at most before `give_up` is asked again: a signal may come just before poll() begins."""
PIECE = 64 * 1024

_POLLFD = Struct("=ihh")
_libc = ctypes.CDLL(None, use_errno=True)


def open_exchange(far: int, pipeline: Pipeline, give_up: GiveUp) -> bool:
    """Open the pipeline over a connected socket, and run it until every layer is ready.

    Asks `give_up` whenever a signal came, and ten times a second; if that is so the answer is False, and the exchange
    may be gone on with by calling again. Raises the `WinsockError` of a layer that failed or of the network.
    """
    sock = socket(fileno=far)
    try:
        return exchange(sock, pipeline, give_up)
    finally:
        sock.detach()


def exchange(far: socket, pipeline: Pipeline, give_up: GiveUp) -> bool:
    """`open_exchange` over a socket object."""
    if not pipeline.is_open:
        pipeline.open()
    over = False
    while True:
        if pipeline.error is not None:
            raise pipeline.error
        blocked = _flush(far, pipeline)
        if pipeline.ready:
            return True
        if over:
            raise WinsockError(WSAECONNRESET, "the network ended the connection before every layer was ready")
        events = _wait(far.fileno(), select.POLLIN | (select.POLLOUT if blocked else 0), pipeline)
        if events is None:
            if give_up():
                return False
        elif events & ~select.POLLOUT:
            over = _read(far, pipeline)
        pipeline.tick()


def wait_connected(far: socket, outcome: Outcome, give_up: GiveUp) -> None:
    """Wait for the outcome of a connect; raises what it failed with, WSAECONNABORTED if `give_up` says so."""
    while not _poll(far.fileno(), select.POLLOUT, SLICE_S):
        if give_up():
            raise WinsockError(WSAECONNABORTED, "nobody waits for this connection any more")
    error = outcome(far.fileno())
    if error is not None:
        raise error


def so_error(descriptor: int) -> WinsockError | None:
    """The outcome as the kernel tells it, once."""
    sock = socket(fileno=descriptor)
    try:
        number = sock.getsockopt(SOL_SOCKET, SO_ERROR)
    finally:
        sock.detach()
    return from_errno(number) if number else None


def _flush(far: socket, pipeline: Pipeline) -> bool:
    """Send what the layers say; whether something is left."""
    queue = pipeline.to_network
    while queue:
        piece = queue.popleft()
        try:
            sent = far.send(piece, MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise from_errno(error.errno or errno.ECONNRESET) from None
        if sent < len(piece):
            queue.appendleft(piece[sent:])
            return True
    return False


def _read(far: socket, pipeline: Pipeline) -> bool:
    """Hand over what came; whether that was the end."""
    try:
        data = far.recv(PIECE, MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError as error:
        raise from_errno(error.errno or errno.ECONNRESET) from None
    pipeline.incoming(data or END)
    return not data


def _wait(descriptor: int, wanted: int, pipeline: Pipeline) -> int | None:
    """What the descriptor is ready for; 0 where a timer is due, None where it is time to ask whether to give up."""
    deadline = pipeline.deadline
    left = math.inf if deadline is None else max(0.0, deadline - pipeline.now())
    events = _poll(descriptor, wanted, min(left, SLICE_S))
    return events or (0 if left <= SLICE_S else None)


def _poll(descriptor: int, wanted: int, timeout_s: float) -> int:
    """poll(2), once; 0 where nothing happened or a signal came."""
    entry = ctypes.create_string_buffer(_POLLFD.pack(descriptor, wanted, 0), _POLLFD.size)
    if _libc.poll(entry, 1, math.ceil(timeout_s * 1000)) <= 0:
        return 0
    events: int = _POLLFD.unpack(entry.raw)[2]
    return events
