"""WSPIoctl: one row a control code."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from winsock.abi.constants import (
    AF_INET6,
    FIONBIO,
    FIONREAD,
    SIO_BASE_HANDLE,
    SIO_BSP_HANDLE,
    SIO_BSP_HANDLE_POLL,
    SIO_BSP_HANDLE_SELECT,
    SIO_KEEPALIVE_VALS,
    SIO_QUERY_TARGET_PNP_HANDLE,
    SIO_ROUTING_INTERFACE_QUERY,
    SIO_TCP_INFO,
    SIO_UDP_CONNRESET,
    SIOCATMARK,
)
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEINVAL,
    WSAENOPROTOOPT,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WinsockError,
    from_errno,
)
from winsock.abi.sockaddr import unpack
from winsock.base.inet import own, raw, tcp_info
from winsock.base.inet.addresses import host_family
from winsock.base.inet.ground import Ground, refuse_overlapped
from winsock.base.inet.own import SOCKETS
from winsock.base.inet.sockets import require_inet
from winsock.spi.provider import ReadBuffer

_DWORD = struct.Struct("<I")
_HANDLE = struct.Struct("<Q")
_KEEPALIVE = struct.Struct("<3I")
_INT = struct.Struct("=i")
_SOCKADDR_IN_SIZE, _SOCKADDR_IN6_SIZE = 16, 28
_KEEP_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
_KEEP_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)


class Controls(Ground):
    """WSPIoctl."""

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
        """Control the socket; what the code puts out (lpwspioctl).

        Raises WSAEOPNOTSUPP for an unknown code, WSAENOPROTOOPT for one of another protocol, WSAEFAULT where the
        input or the room for the output is too small, WSAEINVAL, WSAENOTSOCK.
        """
        refuse_overlapped("WSPIoctl", SOCKETS.get(s), overlapped)
        row = _ROWS.get(code)
        if row is None:
            raise WinsockError(WSAEOPNOTSUPP, f"code: {code:#x} is not offered by {self.info.szProtocol}")
        if row.datagrams not in (None, self.datagrams):
            raise WinsockError(WSAENOPROTOOPT, f"code: {code:#x} means nothing to {self.info.szProtocol}")
        data = bytes(in_buffer or b"")
        out_needed = row.out_size if row.out_size is not None else self._address_size()
        if len(data) < row.in_size or out_size < out_needed:
            raise WinsockError(
                WSAEFAULT, f"code: {code:#x} takes {row.in_size} bytes of input and {out_needed} bytes of room"
            )
        return row.perform(self, s, data)

    def _address_size(self) -> int:
        return _SOCKADDR_IN6_SIZE if self.info.iAddressFamily == AF_INET6 else _SOCKADDR_IN_SIZE


def _set_blocking(provider: Controls, s: int, data: bytes) -> bytes:
    blocking = not any(data[:4])
    record = SOCKETS.get(s)
    if blocking and record is not None and record.selection is not None and record.selection.mask:
        raise WinsockError(WSAEINVAL, "s: a socket whose events are selected stays non-blocking")
    try:
        if record is not None and os.name != "posix":
            record.setblocking(blocking)
        else:
            os.set_blocking(s, blocking)
    except OSError as error:
        raise WinsockError(WSAENOTSOCK, f"s: {s} is not open", errno=error.errno) from None
    return b""


def _readable_bytes(provider: Controls, s: int, data: bytes) -> bytes:
    import fcntl
    import termios

    record = SOCKETS.get(s)
    if record is not None and record.phase == own.LISTENING:
        return _DWORD.pack(0)
    try:
        return _DWORD.pack(*_INT.unpack(fcntl.ioctl(s, termios.FIONREAD, bytes(_INT.size))))
    except OSError as error:
        raise from_errno(error.errno or 0) from None


def _at_mark(provider: Controls, s: int, data: bytes) -> bytes:
    # Not the host's SIOCATMARK, which answers whether the mark has been reached: TRUE where no urgent data waits.
    poller = select.poll()
    poller.register(s, select.POLLPRI)
    urgent = any(events & select.POLLPRI for _, events in poller.poll(0))
    return _DWORD.pack(not urgent)


def _tcp_info(provider: Controls, s: int, data: bytes) -> bytes:
    (version,) = _DWORD.unpack_from(data)
    if version != 0:
        raise WinsockError(WSAEINVAL, f"in_buffer: TCP_INFO_v{version} is not offered, version 0 is")
    raw_info = raw.getsockopt(s, socket.IPPROTO_TCP, tcp_info.HOST_OPTION, tcp_info.HOST_SIZE)
    (receive_buffer,) = _INT.unpack(raw.getsockopt(s, socket.SOL_SOCKET, socket.SO_RCVBUF, _INT.size))
    return tcp_info.translate(raw_info, receive_buffer, SOCKETS.get(s))


def _base_handle(provider: Controls, s: int, data: bytes) -> bytes:
    return _HANDLE.pack(s)


def _keep_alive(provider: Controls, s: int, data: bytes) -> bytes:
    on, idle_ms, interval_ms = _KEEPALIVE.unpack_from(data)
    raw.setsockopt(s, socket.SOL_SOCKET, socket.SO_KEEPALIVE, _INT.pack(bool(on)))
    for option, milliseconds in ((_KEEP_IDLE, idle_ms), (_KEEP_INTERVAL, interval_ms)):
        if on and option is not None:
            seconds = min(max(1, -(-milliseconds // 1000)), 0x7FFF)
            raw.setsockopt(s, socket.IPPROTO_TCP, option, _INT.pack(seconds))
    return b""


def _route_to(provider: Controls, s: int, data: bytes) -> bytes:
    """The local address by which a destination is reached: the one that a connected datagram socket gets."""
    destination = require_inet(provider.info, unpack(data))
    with socket.socket(host_family(provider.info.iAddressFamily), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(tuple(destination))
        except OSError as error:
            raise from_errno(error.errno or 0, f"in_buffer: no route to {destination.host}") from None
        local = probe.getsockname()
    return type(destination)(local[0], 0, *local[2:]).pack()


def _report_resets(provider: Controls, s: int, data: bytes) -> bytes:
    record = SOCKETS.get(s)
    if record is None:
        raise WinsockError(WSAEOPNOTSUPP, "code: SIO_UDP_CONNRESET is for sockets of this process's own")
    record.reports_resets = any(data[:4])
    return b""


class _Row(NamedTuple):
    perform: Callable[[Controls, int, bytes], bytes]
    in_size: int
    out_size: int | None
    """Bytes; None: one socket address."""
    datagrams: bool | None = None
    """Which sockets the code is for; None: all."""


_ROWS: dict[int, _Row] = {
    FIONBIO: _Row(_set_blocking, _DWORD.size, 0),
    FIONREAD: _Row(_readable_bytes, 0, _DWORD.size),
    SIOCATMARK: _Row(_at_mark, 0, _DWORD.size, datagrams=False),
    SIO_BASE_HANDLE: _Row(_base_handle, 0, _HANDLE.size),
    SIO_BSP_HANDLE: _Row(_base_handle, 0, _HANDLE.size),
    SIO_BSP_HANDLE_POLL: _Row(_base_handle, 0, _HANDLE.size),
    SIO_BSP_HANDLE_SELECT: _Row(_base_handle, 0, _HANDLE.size),
    SIO_QUERY_TARGET_PNP_HANDLE: _Row(_base_handle, 0, _HANDLE.size),
    SIO_KEEPALIVE_VALS: _Row(_keep_alive, _KEEPALIVE.size, 0, datagrams=False),
    SIO_ROUTING_INTERFACE_QUERY: _Row(_route_to, _SOCKADDR_IN_SIZE, None),
    SIO_TCP_INFO: _Row(_tcp_info, _DWORD.size, tcp_info.LAYOUT.size, datagrams=False),
    SIO_UDP_CONNRESET: _Row(_report_resets, 1, 0, datagrams=True),
}
