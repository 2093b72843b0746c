"""More buffers in one call than the kernel takes: one buffer stands for them all, and is copied.

Windows has no limit to the buffers of a call; the kernel has IOV_MAX, 1024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.base.inet.failures import NO_BUFFER, no_buffer
from winsock.spi.provider import ReadBuffer, WriteBuffer

MOST = 1024

T = TypeVar("T", bound=tuple[Any, ...])


def joined(buffers: Sequence[ReadBuffer]) -> Sequence[ReadBuffer]:
    """The buffers, or one that holds what is in them all; raises WSAEFAULT for what is no buffer."""
    if not hasattr(buffers, "__len__"):  # an iterator, which may have been begun
        raise WinsockError(WSAEFAULT, f"buffers: {buffers!r} is no list of buffers")
    if len(buffers) <= MOST:
        return buffers
    try:
        return (b"".join(memoryview(buffer).cast("B") for buffer in buffers),)
    except NO_BUFFER as error:
        raise no_buffer(error) from None


def filled(buffers: Sequence[WriteBuffer], receive: Callable[[bytearray], T]) -> T:
    """Receive into one buffer, and fill them all from it, in order; its answer, whose first part is the count.

    Raises WSAEFAULT for what is no buffer, or cannot be written, before anything is received.
    """
    try:
        views = [memoryview(buffer).cast("B") for buffer in buffers]
    except NO_BUFFER as error:
        raise no_buffer(error) from None
    if any(view.readonly for view in views):
        raise WinsockError(WSAEFAULT, "buffers: one of them is read-only")
    room = bytearray(sum(view.nbytes for view in views))
    try:
        answer = receive(room)
    except WinsockError as error:
        _spread(room, views, error.count or 0)
        raise
    _spread(room, views, answer[0])
    return answer


def _spread(room: bytearray, views: list[memoryview], count: int) -> None:
    begin = 0
    for view in views:
        end = min(begin + view.nbytes, count)
        view[: end - begin] = room[begin:end]
        begin = end
