"""A provider's socket as the pump uses it: blocking calls, whatever the provider's mode, and errors it can rely on.

A provider is a stranger: what it raises beside a `WinsockError`, or answers without sense, fails the call and is
written down.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import get_ident
from typing import TYPE_CHECKING, Any

from winsock.abi.constants import MSG_OOB, MSG_PEEK, SD_RECEIVE, SD_SEND, SIO_BASE_HANDLE, SO_LINGER, SOL_SOCKET
from winsock.abi.errors import (
    WSAEDISCON,
    WSAEINVAL,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.dispatcher import records
from winsock.dispatcher.redirecting import breaks, delivery
from winsock.spi.guard import failure
from winsock.spi.handles import HANDLE
from winsock.spi.layer import ABORTIVE
from winsock.spi.urgent import MARKING

if TYPE_CHECKING:
    from winsock.spi.provider import ProcTable, ReadBuffer

_ENDS = (WSAEDISCON, WSAESHUTDOWN)
"""What a receive may say in place of a count of 0."""
_HAS_ENDED = (WSAENOTCONN, WSAESHUTDOWN, WSAEOPNOTSUPP)
"""What a shutdown may say where there is nothing left to shut down."""
_NOT_URGENT = (WSAEOPNOTSUPP, WSAEINVAL)
"""What a send of urgent data may say where there is no such thing."""
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK)
_PATIENCE_S, _WAY_OUT_S = 1.0, 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.05
_DELIVERY_S = 1.0
"""How long a peer may take for what was sent before a reset."""


class Far:
    """The socket."""

    def __init__(self, table: ProcTable, handle: int) -> None:
        self.table = table
        self._handle = handle
        self.record = records.records.get(handle)
        """Whose handle it is; the number may become another's."""
        self.closed = False
        """Set, from any thread, where nobody wants to wait any more."""
        self.receiving = False
        """Whether a thread is in a receive."""
        self.urgent = False
        """Whether what was received last is an urgent byte."""
        self.lost = False
        """Whether something was received when nobody wanted it any more."""
        self._break: breaks.Break | None = None
        self._inside: set[int] = set()
        """The threads that are in a call of the provider's, or about to be."""

    def receive(self, buffer: memoryview) -> int:
        """Receive something, waiting for it; 0 at the end. Raises `WinsockError`."""
        self.receiving = True
        try:
            count = self._receive(buffer)
        except WinsockError as error:
            if error.winerror in _ENDS:
                return 0
            raise
        finally:
            self.receiving = False
        self.lost = self.closed and count > 0
        return 0 if self.closed else count

    def send(self, data: ReadBuffer, urgent: bool = False) -> None:
        """Send all of it; what is urgent as any other, where the provider has no other way. Raises `WinsockError`."""
        rest, flags = data, MSG_OOB if urgent else 0
        pause = _FIRST_PAUSE_S
        while rest and not self.closed:
            try:
                count = self._count("WSPSend", self._call("WSPSend", (rest,), flags), 1, len(rest))
            except WinsockError as error:
                if flags and error.winerror in _NOT_URGENT:
                    flags = 0
                    continue
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

    def wait_until_broken(self) -> bool:
        """After the end of what is received: wait for `stop`, or for a reset, which is told by True.

        False at once where there is no descriptor that would tell.
        """
        with self._as_one_inside():
            descriptor = None if self.closed else self._base()
            if descriptor is not None:
                self._break = breaks.watch(descriptor)
        if self._break is None:
            return False
        if self.closed:
            self._break.give_up()
        return self._break.wait()

    def tell_urgent(self) -> None:
        """Let receives say which byte is urgent, where it comes in line and the base provider can say so."""
        descriptor = self._base()
        with _opened_again(descriptor) as base:
            if descriptor is not None and base is not None and _is_in_line(base):
                MARKING.add(descriptor)

    def wait_until_sent(self) -> None:
        """Give the peer a moment for what was sent, which a reset would take back."""
        with _opened_again(self._base()) as base:
            if base is not None:
                delivery.wait_until_delivered(base, _DELIVERY_S, _LONGEST_PAUSE_S)

    def stop(self) -> bool:
        """Let nobody in any more; whether all are out."""
        self.closed = True
        if self._break is not None:
            self._break.give_up()
        return self._let_others_out()

    def close(self, abortive: bool) -> None:
        """Close the socket, after `stop`; `abortive` so that its peer sees a reset."""
        if not self._is_ours_to_close():
            return
        if abortive:
            self._try("WSPSetSockOpt", SOL_SOCKET, SO_LINGER, ABORTIVE)  # who has no such option closes as it can
        self._try("WSPCloseSocket")

    def _receive(self, buffer: memoryview) -> int:
        pause = _FIRST_PAUSE_S
        while not self.closed:
            try:
                answer = self._call("WSPRecv", (buffer,), 0)
                count = self._count("WSPRecv", answer, 0, len(buffer))
            except WinsockError as error:
                _require_again(error)
                pause = self._wait(reading=True, pause=pause)
            else:
                self.urgent = count == 1 and _is_urgent(answer)
                return count
        return 0

    def _is_ours_to_close(self) -> bool:
        """Whether nobody closed it before; the association of an IFS handle ends here, as for `handles.close`."""
        return self.record is None or self.record.made or records.forget_this(self.record)

    def _let_others_out(self) -> bool:
        """A thread that is just about to make a call must not meet whoever has the number next.

        One that is still inside after a while waits there, and is woken by the close itself. Whether there is none.
        """
        here = {get_ident()}
        if self.receiving and self._inside - here:
            self._try("WSPShutdown", SD_RECEIVE)  # which the peer does not see
        deadline = time.monotonic() + _WAY_OUT_S
        while self._inside - here and time.monotonic() < deadline:
            time.sleep(_FIRST_PAUSE_S)
        return not self._inside - here

    def _base(self) -> int | None:
        """The descriptor below all layers; None where there is none, or none that one may know."""
        try:
            answer = self.table.WSPIoctl(self._handle, SIO_BASE_HANDLE, None, HANDLE.size)
            return int(HANDLE.unpack(answer)[0])
        except Exception:
            return None

    @contextmanager
    def _as_one_inside(self) -> Iterator[None]:
        """So that the socket is not closed meanwhile."""
        thread = get_ident()
        self._inside.add(thread)
        try:
            yield
        finally:
            self._inside.discard(thread)

    def _call(self, function: str, *arguments: object) -> Any:
        """Call the provider, unless the socket is closed. Raises `WinsockError`, and nothing else."""
        thread = get_ident()
        self._inside.add(thread)
        try:
            if self.closed:
                raise WinsockError(WSAENOTSOCK)
            return getattr(self.table, function)(self._handle, *arguments)
        except WinsockError:
            raise
        except Exception as error:
            if self.closed:
                raise WinsockError(WSAENOTSOCK) from error
            raise failure(_owner(getattr(self.table, function)), function, error) from error
        finally:
            self._inside.discard(thread)

    def _try(self, function: str, *arguments: object) -> None:
        """Call the provider of a socket that is being closed, whatever it says."""
        try:
            getattr(self.table, function)(self._handle, *arguments)
        except WinsockError:
            pass
        except Exception as error:
            failure(_owner(getattr(self.table, function)), function, error)

    def _count(self, function: str, answer: Any, least: int, most: int) -> int:
        count = answer[0] if isinstance(answer, tuple) and answer else answer
        if isinstance(count, int) and least <= count <= most:
            return count
        if self.closed:
            return 0
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
        readers, writers = (handles, nobody) if reading else (nobody, handles)
        thread = get_ident()
        self._inside.add(thread)
        try:
            return not self.closed and any(self.table.WSPSelect(0, readers, writers, nobody, timeout))
        except WinsockError:
            return None
        except Exception as error:
            failure(_owner(self.table.WSPSelect), "WSPSelect", error)
            return None
        finally:
            self._inside.discard(thread)


def _require_again(error: WinsockError) -> None:
    """Only what a try later may mend is no error."""
    timed_out = error.winerror == WSAETIMEDOUT and error.errno in _AGAIN
    if error.winerror != WSAEWOULDBLOCK and not timed_out:
        raise error


def _is_urgent(answer: Any) -> bool:
    flags = answer[1] if isinstance(answer, tuple) and len(answer) > 1 else 0
    return isinstance(flags, int) and bool(flags & MSG_OOB)


@contextmanager
def _opened_again(descriptor: int | None) -> Iterator[socket.socket | None]:
    """The socket of a descriptor, on another one; None where there is none."""
    try:
        sock = None if descriptor is None else socket.socket(fileno=os.dup(descriptor))
    except OSError:
        sock = None
    with sock or nullcontext():
        yield sock


def _is_in_line(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE))
    except OSError:
        return False


def _owner(slot: object) -> object:
    return getattr(slot, "__self__", slot)
