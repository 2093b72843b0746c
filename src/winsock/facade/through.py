"""The calls of the socket module, made through a protocol chain: flags, time-outs and errors as Python has them.

Python's time-outs are not Winsock's: a socket with one does not block, and each call waits for readiness itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket as host
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from winsock.abi import options as rows
from winsock.abi.constants import MSG_DONTROUTE, MSG_OOB, MSG_PEEK, MSG_WAITALL, SO_ERROR, SOL_SOCKET
from winsock.abi.errors import WSAEMSGSIZE, WSAEWOULDBLOCK, ErrorCode, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.base.inet.option_values import decode, encode
from winsock.dispatcher.records import Record
from winsock.spi.provider import ReadBuffer, WriteBuffer

T = TypeVar("T")

_FLAGS = {
    int(host.MSG_OOB): MSG_OOB,
    int(host.MSG_PEEK): MSG_PEEK,
    int(host.MSG_DONTROUTE): MSG_DONTROUTE,
    int(getattr(host, "MSG_WAITALL", 0)): MSG_WAITALL,
    int(getattr(host, "MSG_NOSIGNAL", 0)): 0,
}
"""The host's flags and Winsock's; a signal is never sent."""
_DONTWAIT = int(getattr(host, "MSG_DONTWAIT", 0))
_TRUNC = int(getattr(host, "MSG_TRUNC", 0))
_INT_SIZE = 4
_MOST_CONTROL = 0x7FFFFFFF


@contextlib.contextmanager
def as_host_errors() -> Iterator[None]:
    """A Winsock error becomes the `OSError` that the host would have raised."""
    try:
        yield
    except WinsockError as error:
        raise host_error(error) from error


def host_error(error: WinsockError) -> OSError:
    """The same error as Python's own class for it: ConnectionRefusedError, BlockingIOError, ..."""
    number = error.errno or errno.EIO
    return OSError(number, os.strerror(number))


def winsock_flags(flags: int) -> int:
    """The host's flags in Winsock's numbers; `OSError` EOPNOTSUPP for one that Winsock does not have."""
    found = 0
    for flag, meaning in _FLAGS.items():
        if flag and flags & flag:
            found |= meaning
            flags &= ~flag
    if flags & ~_DONTWAIT:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    return found


class Through:
    """One handle, called as the socket module calls."""

    __slots__ = ("_record", "limit")

    def __init__(self, record: Record, limit: float | None) -> None:
        self._record = record
        self.limit = limit
        """The time-out of its calls: none, 0 for calls that do not wait, or seconds."""

    def connect(self, name: Sockaddr) -> None:
        """Connect, or fail as Python does: TimeoutError where the time ran out."""
        table, handle = self._record.table, self._record.handle
        try:
            table.WSPConnect(handle, name)
            return
        except WinsockError as error:
            if error.winerror != WSAEWOULDBLOCK or not self.limit:
                raise host_error(error) from error
        with as_host_errors():
            if not self._is_ready(writing=True, limit=self.limit):
                raise TimeoutError("timed out")
            outcome = table.WSPGetSockOpt(handle, SOL_SOCKET, SO_ERROR)
        if isinstance(outcome, ErrorCode) and outcome:
            raise OSError(outcome.errno, os.strerror(outcome.errno))

    def accept(self) -> tuple[int, Sockaddr | None]:
        """The next connection: its handle, and the peer's address."""
        return self._in_time(False, 0, lambda: self._record.table.WSPAccept(self._record.handle))

    def send(self, buffers: Sequence[ReadBuffer], flags: int) -> int:
        """Send; how many bytes went."""
        meaning = winsock_flags(flags)
        table, handle = self._record.table, self._record.handle
        return self._in_time(True, flags, lambda: table.WSPSend(handle, buffers, meaning)) or 0

    def send_to(self, buffers: Sequence[ReadBuffer], flags: int, to: Sockaddr | None) -> int:
        """Send a datagram."""
        meaning = winsock_flags(flags)
        table, handle = self._record.table, self._record.handle
        return self._in_time(True, flags, lambda: table.WSPSendTo(handle, buffers, meaning, to)) or 0

    def send_all(self, data: ReadBuffer, flags: int) -> None:
        """Send everything."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self.send((rest,), flags) :]

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> int:
        """Receive; how many bytes came. What does not fit of a datagram is lost without a word, as on the host."""
        meaning = winsock_flags(flags)
        table, handle = self._record.table, self._record.handle
        count, *_ = self._cut(lambda: self._in_time(False, flags, lambda: table.WSPRecv(handle, buffers, meaning)))
        return int(count)

    def receive_message(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, Sockaddr | None]:
        """How many bytes came, MSG_TRUNC where there were more, and where they came from."""
        meaning = winsock_flags(flags)
        table, handle = self._record.table, self._record.handle
        count, told, source = self._cut(
            lambda: self._in_time(False, flags, lambda: table.WSPRecvFrom(handle, buffers, meaning))
        )
        return count, _TRUNC if told else 0, source

    def get_option(self, level: int, option: int, size: int) -> int | bytes | None:
        """An option as the host numbers it; None where no row has it."""
        row = rows.find_host(level, option)
        if row is None:
            return None
        with as_host_errors():
            value = self._record.table.WSPGetSockOpt(self._record.handle, row.level, row.optname)
        data = encode(row.type, value)
        return data[:size] if size else int.from_bytes(data[:_INT_SIZE], "little", signed=True)

    def set_option(self, level: int, option: int, value: int | ReadBuffer) -> bool:
        """Set one; whether a row has it."""
        row = rows.find_host(level, option)
        if row is None:
            return False
        data = value.to_bytes(_INT_SIZE, "little", signed=True) if isinstance(value, int) else bytes(value)
        with as_host_errors():
            self._record.table.WSPSetSockOpt(self._record.handle, row.level, row.optname, decode(row.type, data))
        return True

    def _cut(self, receive: Callable[[], Any]) -> Any:
        try:
            return receive()
        except OSError as error:
            told = _what_came(error.__cause__)
            if told is None:
                raise
            return told

    def _in_time(self, writing: bool, flags: int, call: Callable[[], T]) -> T:
        """Make a call that may find nothing to do, again when there may be, until the time-out."""
        limit = 0 if flags & _DONTWAIT else self.limit
        deadline = time.monotonic() + limit if limit else 0.0
        while True:
            if flags & _DONTWAIT and not self._is_ready(writing, 0):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            try:
                return call()
            except WinsockError as error:
                if error.winerror != WSAEWOULDBLOCK or not limit:
                    raise host_error(error) from error
            left = deadline - time.monotonic()
            if left <= 0 or not self._is_ready(writing, left):
                raise TimeoutError("timed out")

    def _is_ready(self, writing: bool, limit: float | None) -> bool:
        handle = self._record.handle
        wanted = ([], [handle], [handle]) if writing else ([handle], [], [])
        return any(self._record.table.WSPSelect(0, *wanted, limit))


def _what_came(cause: BaseException | None) -> tuple[int, int | None, Sockaddr | None] | None:
    """Of a datagram that was cut; None for another error, which no frame that it goes through may hold: a cycle."""
    if isinstance(cause, WinsockError) and cause.winerror == WSAEMSGSIZE:
        return cause.count or 0, cause.flags, cause.address
    return None


def check_control(ancdata: Iterable[Any]) -> None:
    """Control data is checked as the host's class checks it, and cannot go through a layer."""
    items = tuple(ancdata)
    for item in items:
        if not isinstance(item, tuple) or len(item) != 3:
            raise TypeError("[sendmsg() ancillary data items]() argument must be a tuple of three")
        level, kind, data = item
        if not isinstance(level, int) or not isinstance(kind, int):
            raise TypeError("an integer is required")
        memoryview(data)
    if items:
        raise OSError(errno.EOPNOTSUPP, "control data cannot go through a layer")


def check_room(size: int, function: str) -> None:
    """For control data."""
    if not 0 <= size <= _MOST_CONTROL:
        raise ValueError(f"invalid ancillary data buffer length in {function}()")
