"""A handle that is a file: the descriptor under its number, the pump behind it, and what becomes of the two.

Data goes through the descriptor (`winsock.dispatcher.redirecting.transfers`). So does what is about waiting: the
blocking mode (FIONBIO), the time-outs, readiness, network events, the number of bytes to be read. A file takes these
over from the provider, whose transfers only the pump makes from then on, and they must wait. Everything else is the
provider's.

The provider's socket is closed when the last descriptor is: the pair tells, unless both directions were over before
that, which leaves nothing to tell. Then we look now and then whether the number is still ours.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.abi.constants import (
    FIONBIO,
    FIONREAD,
    SIOCATMARK,
    SO_ERROR,
    SO_LINGER,
    SO_OOBINLINE,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOL_SOCKET,
    XP1_EXPEDITED_DATA,
)
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAENOBUFS, ErrorCode, WinsockError, code_of, from_errno
from winsock.core.option_numbers import number
from winsock.dispatcher import made, records
from winsock.dispatcher.made import Made
from winsock.dispatcher.records import end_service, serving
from winsock.dispatcher.redirecting import near, pump, waiting
from winsock.dispatcher.redirecting.events import Events
from winsock.dispatcher.redirecting.near import Near
from winsock.dispatcher.redirecting.pump import Pump
from winsock.host import identity
from winsock.spi.provider import OptionValue, ReadBuffer

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.provider import ProcTable

_DWORD = struct.Struct("<I")
_BLOCKING = _DWORD.pack(0)
_TIME_OUTS = {SO_RCVTIMEO: socket.SO_RCVTIMEO, SO_SNDTIMEO: socket.SO_SNDTIMEO}
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.01, 1.0
_IDLE_S = 0.5
DRAIN_S = 5.0
"""How long the end of the process, or of Winsock, waits for what files have still to deliver."""

_OWN = (
    "WSPAsyncSelect",
    "WSPCloseSocket",
    "WSPDuplicateSocket",
    "WSPEnumNetworkEvents",
    "WSPEventSelect",
    "WSPGetSockOpt",
    "WSPIoctl",
    "WSPRecv",
    "WSPRecvDisconnect",
    "WSPRecvFrom",
    "WSPSend",
    "WSPSendDisconnect",
    "WSPSendTo",
    "WSPSetSockOpt",
    "WSPShutdown",
)
"""The slots that are the file's; WSPSelect is one for all files."""


class File(Events):
    """One such handle."""

    def __init__(self, record: Made, ours: Near) -> None:
        super().__init__(record.handle)
        self.record = record
        self.beneath = record.table
        """The provider's own table, or that of the layers above it."""
        self.pump = Pump(ours, record.table, record.handle, self._ended)
        self.pump.hold = self._wait_until_lost
        self._gone = threading.Event()
        """Set when the number is no more ours."""
        self._going = threading.Lock()
        self._time_outs: dict[int, int] = {}
        self._lending = threading.RLock()
        """Held while the provider has a time-out, so that each thread takes back its own."""

    @property
    def error(self) -> WinsockError | None:
        return self.pump.error

    def above(self, table: ProcTable) -> ProcTable:
        """The table where calls for the handle enter: the file's slots over those given."""
        self.beneath = self.pump.far.table = table
        own = table.copy()
        for name in _OWN:
            setattr(own, name, getattr(self, name))
        own.WSPSelect = waiting.select
        return own

    def start(self) -> None:
        """Take over what is about waiting, and begin; raises `RuntimeError` where there are no threads to be had."""
        for optname in _TIME_OUTS:
            self._take_over(optname)
        for take_over in (self._cancel_events, self._let_calls_wait, self._keep_urgent_in_line):
            try:
                take_over()
            except WinsockError:
                pass  # it has no events; and where its calls do not wait, the pump does, by WSPSelect
        self._let_receives_tell_urgent()
        self.pump.start()

    # The provider's functions that are the file's.

    def WSPIoctl(
        self,
        s: int,
        code: int,
        in_buffer: ReadBuffer | None = None,
        out_size: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> bytes | None:
        if code == FIONBIO:
            if in_buffer is None or len(in_buffer) < _DWORD.size:
                raise WinsockError(WSAEFAULT, "in_buffer: FIONBIO takes 4 bytes")
            self._set_blocking(not any(bytes(in_buffer[: _DWORD.size])))
            return b""
        if code == FIONREAD:
            if out_size < _DWORD.size:
                raise WinsockError(WSAEFAULT, "out_size: FIONREAD gives 4 bytes")
            return _DWORD.pack(self.bytes_to_read())
        if code == SIOCATMARK and self.has_urgent:
            if out_size < _DWORD.size:
                raise WinsockError(WSAEFAULT, "out_size: SIOCATMARK gives 4 bytes")
            return _DWORD.pack(not self._has_urgent_byte())
        answer: bytes | None = self.beneath.WSPIoctl(
            s, code, in_buffer, out_size, overlapped, completion_routine, thread_id
        )
        return answer

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        if level == SOL_SOCKET and optname in self._time_outs:
            return self._time_outs[optname]
        if (level, optname) == (SOL_SOCKET, SO_OOBINLINE) and self.has_urgent:
            return int(self.in_line)
        value = self.beneath.WSPGetSockOpt(s, level, optname)
        if (level, optname) == (SOL_SOCKET, SO_ERROR) and value == 0:
            return self._pending_error()
        return value

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        if (level, optname) == (SOL_SOCKET, SO_OOBINLINE) and self.has_urgent:
            self._set_in_line(bool(number(value)))
            return
        if level != SOL_SOCKET or optname not in _TIME_OUTS:
            self.beneath.WSPSetSockOpt(s, level, optname, value)
            return
        with self._lending:
            self.beneath.WSPSetSockOpt(s, level, optname, value)
            self._take_over(optname)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        """What comes is read ahead in this process, for the file: WSAEINVAL."""
        raise WinsockError(WSAEINVAL, f"s: {s} is a file, which travels as one; its socket cannot be shared any more")

    def WSPCloseSocket(self, s: int) -> None:
        """Close the number. What was written is delivered behind it, within the limits that SO_LINGER sets."""
        lingers, seconds = self._linger()
        waits = lingers and self.waits
        if seconds or not lingers:
            self.let_go()
            if not waits or self.pump.wait(seconds):
                return
        self.abort(abortive=True)
        self.pump.wait(DRAIN_S)

    # How it ends.

    def abort(self, abortive: bool) -> None:
        """Give up what is on its way, and close the number; `abortive`: the provider's peer sees a reset."""
        self._gone.set()
        self.pump.abort(abortive)
        self.let_go()

    def let_go(self) -> None:
        """The number is no more ours: close it, if it still is."""
        if not self._going.acquire(blocking=False):
            return
        self.is_closed = True
        current = self.record.is_current()
        records.forget_this(self.record)
        if self.selection is not None:
            self.selection.end()
        if current and self.waiters:  # closing a descriptor would wake nobody
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sock.detach()
        if current:
            os.close(self.handle)
        self._gone.set()

    def provider_ended(self) -> None:
        """The provider ended its handle: on our behalf, or by itself."""
        if not made.is_acting_for(self.record):
            self.pump.provider_closed()
        self.let_go()

    def detach(self) -> None:
        """Let go of the number, and leave it open."""
        self.sock.detach()

    def _wait_until_lost(self) -> None:
        pause = _FIRST_LOOK_S
        while self.record.is_current() and not self._gone.wait(pause):
            pause = min(2 * pause, _LONGEST_LOOK_S)

    def _ended(self, error: WinsockError | None) -> None:
        end_service(self.record)
        self.let_go()

    # What is behind the options.

    def _set_blocking(self, blocking: bool) -> None:
        if blocking and self.selection is not None and self.selection.mask:
            raise WinsockError(WSAEINVAL, "s: network events are asked for, and keep the socket non-blocking")
        os.set_blocking(self.handle, blocking)

    def _cancel_events(self) -> None:
        self.beneath.WSPEventSelect(self.handle, None, 0)

    def _let_calls_wait(self) -> None:
        self.beneath.WSPIoctl(self.handle, FIONBIO, _BLOCKING, 0)

    def _keep_urgent_in_line(self) -> None:
        """Whether the application has it in line is the descriptor's affair from now on; the provider always has."""
        if not self.record.entry.info.dwServiceFlags1 & XP1_EXPEDITED_DATA:
            return
        self.has_urgent = True
        in_line = self.beneath.WSPGetSockOpt(self.handle, SOL_SOCKET, SO_OOBINLINE)
        self._set_in_line(bool(in_line))
        self.beneath.WSPSetSockOpt(self.handle, SOL_SOCKET, SO_OOBINLINE, 1)

    def _let_receives_tell_urgent(self) -> None:
        """What the pump receives says which byte is urgent, where the base provider can say so."""
        if self.has_urgent:
            self.pump.far.tell_urgent()

    def _set_in_line(self, in_line: bool) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, in_line)
        self.in_line = in_line

    def _has_urgent_byte(self) -> bool:
        poller = select.poll()
        poller.register(self.handle, select.POLLPRI)
        return any(events & select.POLLPRI for _, events in poller.poll(0))

    def _take_over(self, optname: int) -> None:
        """Move a time-out from the provider, whose calls must wait, to the descriptor.

        A call of the pump's that began while the provider had it may run out of time (EAGAIN), and is made again.
        """
        try:
            milliseconds = self.beneath.WSPGetSockOpt(self.handle, SOL_SOCKET, optname)
            if not isinstance(milliseconds, int):
                return
            if milliseconds:
                self.beneath.WSPSetSockOpt(self.handle, SOL_SOCKET, optname, 0)
        except WinsockError:
            return
        self._time_outs[optname] = milliseconds
        seconds, rest = divmod(milliseconds, 1000)
        self.sock.setsockopt(socket.SOL_SOCKET, _TIME_OUTS[optname], struct.pack("@ll", seconds, rest * 1000))

    def _pending_error(self) -> int:
        number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number:
            return 0
        return ErrorCode(code_of(number) if self.error is None else self.error.winerror, number)

    def _linger(self) -> tuple[int, int]:
        try:
            value = self.beneath.WSPGetSockOpt(self.handle, SOL_SOCKET, SO_LINGER)
        except WinsockError:
            return 0, 0
        return (value[0], value[1]) if isinstance(value, tuple) and len(value) == 2 else (0, 0)


def make(record: Made) -> None:
    """Make a direct handle a file; raises WSAENOTSOCK, WSAEMFILE, WSAENOBUFS, and then it is as it was."""
    try:
        given, ours = near.pair()
    except OSError as error:
        raise from_errno(error.errno or errno.ETIMEDOUT, f"no file to be had: {error}") from None
    file = None
    try:
        with given:
            file = _put_in_place(record, given, ours)
    finally:
        if file is None:
            ours.close()
    if file is None:
        return
    try:
        file.start()
    except BaseException as error:
        _take_back(record, file)
        if isinstance(error, RuntimeError):
            raise WinsockError(WSAENOBUFS, f"no file to be had: {error}") from None
        raise


def _put_in_place(record: Made, given: socket.socket, ours: Near) -> File | None:
    """Give the handle's number to the descriptor, in one step for all threads; None where another thread was first."""
    with records.renewing:
        if record.file is not None:
            return None
        if not record.is_current():
            raise records.not_a_socket(record.handle)
        os.set_blocking(given.fileno(), record.blocking)
        os.dup2(given.fileno(), record.handle, inheritable=os.get_inheritable(record.handle))
        file = File(record, ours)
        record.identity = identity(record.handle)
        serving[record.handle] = record
        record.file = file
        records.change(record, record.chain, record.table)
    return file


def _take_back(record: Made, file: File) -> None:
    """Undo it: nothing has gone through the file yet."""
    with records.renewing:
        stand_in = made.placeholder()
        file.detach()
        os.dup2(stand_in, record.handle, inheritable=os.get_inheritable(record.handle))
        os.close(stand_in)
        record.identity = identity(record.handle)
        record.file = None
        del serving[record.handle]
        records.change(record, record.chain, file.beneath)
    file.pump.near.close()


# When all ends.


def drain() -> None:
    """Wait for what files and closings have still to deliver, then cut them off.

    A file that another process has, too, is not waited for when nothing has been on its way for a while: the kernel
    may need that long to send again what found no room.
    """
    now = busy = time.monotonic()
    deadline = now + DRAIN_S
    while serving and now < deadline and now - busy < _IDLE_S:
        time.sleep(_FIRST_LOOK_S)
        now = time.monotonic()
        files = [record.file for record in list(serving.values()) if record.file is not None]
        if len(files) < len(serving) or not all(file.pump.is_idle for file in files):
            busy = now
    for record in list(serving.values()):
        if record.file is not None:
            record.file.abort(abortive=not record.file.pump.is_idle)


def _at_exit() -> None:
    for record in list(serving.values()):
        if record.file is not None:
            record.file.let_go()
    drain()


def _after_fork() -> None:
    for one in pump.running:
        one.near.leave_to_parent()
        record = one.far.record
        if isinstance(record, Made) and record.file is not None:
            record.file.detach()
    pump.running.clear()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
