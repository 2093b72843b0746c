"""Waiting while the thread's blocking callback runs: what a thread does in place of a native wait, if it has one.

The callback is run before each look at the socket, so that a call which can finish at once runs none; between two
looks lies a pause, which news of the socket ends.

Sources: blocking-hook-2; nc-ws2spi-lpwspcancelblockingcall; nf-ws2spi-wpuqueryblockingcallback.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import TYPE_CHECKING, NoReturn

from winsock import host
from winsock.abi.errors import WSAETIMEDOUT, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.base.inet import raw
from winsock.base.inet.ground import Ground, cancelled
from winsock.base.inet.own import Control, OwnSocket
from winsock.spi.blocking import HOOKED, ask, refuse_nested
from winsock.spi.provider import ReadBuffer

if TYPE_CHECKING:
    from winsock.base.inet.data import Data

_PAUSE_MS = 10
_TIMEVAL = struct.Struct("@ll")


def is_hooked() -> bool:
    """Whether this thread has a blocking callback."""
    return get_ident() in HOOKED


def wait(provider: Ground, record: OwnSocket, events: int, function: str, time_out_option: int | None = None) -> None:
    """Until the socket has one of the events, if it blocks; WSAEINTR when cancelled, WSAETIMEDOUT, WSAEINPROGRESS."""
    refuse_nested()
    if not is_hooked() or not record.blocking:
        return
    end = deadline(record, time_out_option)
    poller = select.poll()
    poller.register(record.handle, events)
    look(provider, function, lambda pause: bool(poller.poll(pause)) or record.closed, end)


def look(provider: Ground, function: str, is_done: Callable[[int], bool], end: float | None) -> None:
    """Ask the callback again and again until `is_done(pause_ms)`; at `end` WSAETIMEDOUT."""
    callback, context = provider.upcalls.WPUQueryBlockingCallback(provider.info.dwCatalogEntryId)
    if callback is None:  # the thread that had one is gone, and this one has its identifier
        HOOKED.discard(get_ident())
        return
    while not is_done(0):
        if not ask(callback, context):
            raise cancelled(function)
        if is_done(_PAUSE_MS):
            return
        if end is not None and time.monotonic() >= end:
            raise WinsockError(WSAETIMEDOUT, f"the time-out of {function} ran out", errno=errno.EAGAIN)


def deadline(record: OwnSocket, option: int | None) -> float | None:
    if option is None:
        return None
    seconds, microseconds = _TIMEVAL.unpack(raw.getsockopt(record.handle, socket.SOL_SOCKET, option, _TIMEVAL.size))
    return time.monotonic() + seconds + microseconds / 1e6 if seconds or microseconds else None


def connect(provider: Ground, record: OwnSocket, name: Sockaddr) -> int:
    """Connect; 0 or an errno."""
    refuse_nested()
    poller = select.poll()
    poller.register(record.handle, select.POLLOUT)
    os.set_blocking(record.handle, False)
    try:
        error = raw.connect(record.handle, name)
        if error == errno.EINPROGRESS:
            look(provider, "WSPConnect", lambda pause: bool(poller.poll(pause)) or record.closed, None)
            error = raw.connect(record.handle, name)
    finally:
        if not record.closed:
            os.set_blocking(record.handle, True)
    return error


def wait_for_some(provider: Ground, ready: Callable[[float], bool], timeout_s: float | None) -> None:
    """Until some sockets are `ready(pause_s)`, or the time is up."""
    refuse_nested()
    end = None if timeout_s is None else time.monotonic() + timeout_s

    def is_done(pause_ms: int) -> bool:
        return ready(pause_ms / 1000) or (end is not None and time.monotonic() >= end)

    look(provider, "WSPSelect", is_done, None)


def send(
    provider: Data,
    record: OwnSocket,
    buffers: Sequence[ReadBuffer],
    host_flags: int,
    to: Sockaddr | None,
    control: Control = (),
) -> int:
    """Send all; a stream that is cancelled after a part of it is reset, for nobody could go on from there."""
    rest = memoryview(b"".join(bytes(buffer) for buffer in buffers))
    total, sent = len(rest), 0
    while True:
        try:
            wait(provider, record, select.POLLOUT, "WSPSend", socket.SO_SNDTIMEO)
        except WinsockError:
            if sent:
                _damage(record)
            raise
        try:
            sent += record.sendmsg((rest[sent:],), control, host_flags | socket.MSG_DONTWAIT, to and tuple(to))
        except BlockingIOError:
            continue
        except OSError as error:
            if sent:
                return sent
            return provider.after_send_error(record, (rest,), host_flags, to, error, control)
        if sent >= total:
            return sent


def _damage(record: OwnSocket) -> None:
    """Reset the connection; everything but closing fails from now on."""
    host.connect(record.handle, host.NOBODY)

    def aborted(*arguments: object) -> NoReturn:
        raise OSError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))

    record.__dict__.update(send=aborted, sendmsg=aborted, recv_into=aborted, recvmsg_into=aborted)
