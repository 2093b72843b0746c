"""A provider's socket as the pump uses it: blocking calls, whatever the provider's mode, and errors it can rely on.

A provider is a stranger: what it raises beside a `WinsockError`, or answers without sense, fails the call and is
written down.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

from winsock.abi.constants import MSG_PEEK, SD_SEND, SO_LINGER, SOL_SOCKET
from winsock.abi.errors import (
    WSAEDISCON,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.dispatcher import records
from winsock.spi.guard import failure

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable, ReadBuffer

_ENDS = (WSAEDISCON, WSAESHUTDOWN)
"""What a receive may say in place of a count of 0."""
_HAS_ENDED = (WSAENOTCONN, WSAESHUTDOWN, WSAEOPNOTSUPP)
"""What a shutdown may say where there is nothing left to shut down."""
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK)
_ABORTIVE = (1, 0)
_PATIENCE_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05


class Far:
    """The socket."""

    def __init__(self, table: ProcTable, handle: int) -> None:
        self.table = table
        self._handle = handle
        self.closed = False
        """Set, from any thread, where nobody wants to wait any more."""
        self.receiving = False
        """Whether a thread is in a receive."""

    def receive(self, buffer: memoryview) -> int:
        """Receive something, waiting for it; 0 at the end. Raises `WinsockError`."""
        self.receiving = True
        try:
            return self._receive(buffer)
        except WinsockError as error:
            if error.winerror in _ENDS:
                return 0
            raise
        finally:
            self.receiving = False

    def send(self, data: ReadBuffer) -> None:
        """Send all of it. Raises `WinsockError`."""
        rest = data
        pause = _FIRST_PAUSE_S
        while rest and not self.closed:
            try:
                count = self._count("WSPSend", self._call("WSPSend", (rest,), 0), 1, len(rest))
            except WinsockError as error:
                _require_again(error)
                pause = self._wait(reading=False, pause=pause)
            else:
                rest = memoryview(rest)[count:]
                pause = _FIRST_PAUSE_S

    def end_sending(self) -> None:
        """Let the peer see the end of what was sent. Raises `WinsockError`."""
        try:
            self._call("WSPShutdown", SD_SEND)
        except WinsockError as error:
            if error.winerror not in _HAS_ENDED:
                raise

    def is_readable(self) -> bool:
        """Whether a receive would not wait; no, where the provider cannot say."""
        return bool(self._select(True, 0))

    def has_something(self) -> bool:
        """Whether a receive would not wait and not say that there is no connection."""
        try:
            return self.is_readable() and self._call("WSPRecv", (bytearray(1),), MSG_PEEK) is not None
        except WinsockError as error:
            return error.winerror != WSAENOTCONN

    def close(self, abortive: bool) -> None:
        """Close the socket; `abortive` so that its peer sees a reset."""
        self.closed = True
        record = records.records.get(self._handle)
        if record is not None and not record.made:
            records.forget(self._handle)
        try:
            if abortive:
                self._make_abortive()
            self._call("WSPCloseSocket")
        except WinsockError:
            pass  # it is closed already

    def _receive(self, buffer: memoryview) -> int:
        pause = _FIRST_PAUSE_S
        while not self.closed:
            try:
                return self._count("WSPRecv", self._call("WSPRecv", (buffer,), 0), 0, len(buffer))
            except WinsockError as error:
                _require_again(error)
                pause = self._wait(reading=True, pause=pause)
        return 0

    def _make_abortive(self) -> None:
        try:
            self._call("WSPSetSockOpt", SOL_SOCKET, SO_LINGER, _ABORTIVE)
        except WinsockError:
            pass  # a provider that has no such option closes as it can

    def _call(self, function: str, *arguments: object) -> Any:
        try:
            return getattr(self.table, function)(self._handle, *arguments)
        except WinsockError:
            raise
        except Exception as error:
            if self.closed:
                raise WinsockError(WSAENOTSOCK) from error
            raise failure(_owner(getattr(self.table, function)), function, error) from error

    def _count(self, function: str, answer: Any, least: int, most: int) -> int:
        count = answer[0] if isinstance(answer, tuple) and answer else answer
        if self.closed:
            return 0
        if isinstance(count, int) and least <= count <= most:
            return count
        nonsense = ValueError(f"{answer!r} says nothing of {most} bytes")
        raise failure(_owner(getattr(self.table, function)), function, nonsense)

    def _wait(self, *, reading: bool, pause: float) -> float:
        """Wait until it is worth another try; the next pause, for a provider that wakes us for nothing."""
        if not self._select(reading, _PATIENCE_S) or pause > _FIRST_PAUSE_S:
            time.sleep(pause)
        return min(2 * pause, _LONGEST_PAUSE_S)

    def _select(self, reading: bool, timeout: float) -> bool | None:
        """Whether the socket is ready; None where the provider cannot say."""
        handles, nobody = [self._handle], list[int]()
        try:
            ready = self.table.WSPSelect(
                0, handles if reading else nobody, nobody if reading else handles, nobody, timeout
            )
        except WinsockError:
            return None
        except Exception as error:
            failure(_owner(self.table.WSPSelect), "WSPSelect", error)
            return None
        return any(ready)


def _require_again(error: WinsockError) -> None:
    """Only what a try later may mend is no error."""
    timed_out = error.winerror == WSAETIMEDOUT and error.errno in _AGAIN
    if error.winerror != WSAEWOULDBLOCK and not timed_out:
        raise error


def _owner(slot: object) -> object:
    return getattr(slot, "__self__", slot)
