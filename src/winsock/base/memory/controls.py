"""WSPIoctl: one row a control code."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from winsock.abi.constants import (
    FIONBIO,
    FIONREAD,
    SIO_BASE_HANDLE,
    SIO_BSP_HANDLE,
    SIO_BSP_HANDLE_POLL,
    SIO_BSP_HANDLE_SELECT,
    SIO_MULTICAST_SCOPE,
    SIO_MULTIPOINT_LOOPBACK,
    SIO_ROUTING_INTERFACE_QUERY,
    SIO_UDP_CONNRESET,
    SIOCATMARK,
)
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEHOSTUNREACH,
    WSAEINVAL,
    WSAENETUNREACH,
    WSAENOPROTOOPT,
    WSAEOPNOTSUPP,
    WinsockError,
)
from winsock.abi.sockaddr import unpack
from winsock.base.memory.datagrams import DatagramSocket
from winsock.base.memory.ground import Ground, refuse_overlapped
from winsock.base.memory.sockets import Socket
from winsock.spi.provider import ReadBuffer, check_at_once

_DWORD = struct.Struct("<I")
_HANDLE = struct.Struct("<Q")


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
        input or the room for the output is too small, WSAEINVAL.
        """
        check_at_once(code, overlapped)
        refuse_overlapped("WSPIoctl", overlapped)
        with self.network.entered():
            socket = self.socket(s)
            row = _ROWS.get(code)
            if row is None:
                raise WinsockError(_refused_with(code), f"code: {code:#x} is not offered by {self.protocol.name}")
            if row.datagrams not in (None, isinstance(socket, DatagramSocket)):
                raise WinsockError(WSAENOPROTOOPT, f"code: {code:#x} means nothing to {self.protocol.name}")
            data = bytes(in_buffer or b"")
            out_needed = self.info.iMaxSockAddr if row.out_size is None else row.out_size
            if len(data) < row.in_size or out_size < out_needed:
                raise WinsockError(
                    WSAEFAULT,
                    f"code: {code:#x} takes {row.in_size} bytes of input and {out_needed} bytes of room",
                    count=out_needed if row.out_size is None else None,
                )
            return row.perform(socket, data)


def _refused_with(code: int) -> int:
    """The error of a code that there is not here; of some their pages say which."""
    from winsock.abi import ioctls

    known = ioctls.find(code)
    return WSAEOPNOTSUPP if known is None else known.error


def _set_blocking(socket: Socket, data: bytes) -> bytes:
    blocking = not any(data[:4])
    if blocking and socket.selection is not None and socket.selection.mask:
        raise WinsockError(WSAEINVAL, "s: a socket whose events are selected stays non-blocking")
    socket.blocking = blocking
    return b""


def _readable_bytes(socket: Socket, data: bytes) -> bytes:
    socket.network.clock.run_due()
    return _DWORD.pack(socket.readable_bytes)


def _at_mark(socket: Socket, data: bytes) -> bytes:
    return _DWORD.pack(True)  # there is no urgent data


def _base_handle(socket: Socket, data: bytes) -> bytes:
    return _HANDLE.pack(socket.handle)


def _route_to(socket: Socket, data: bytes) -> bytes:
    """The local address by which a destination is reached."""
    destination = socket.provider.address(unpack(data))
    try:
        socket.host.route(destination.host)
    except WinsockError as error:
        if error.winerror != WSAEHOSTUNREACH:
            raise
        raise WinsockError(WSAENETUNREACH, f"in_buffer: no interface reaches {destination.host}") from None
    return type(destination)(socket.host.source_for(destination), 0).pack()


def _report_resets(socket: Socket, data: bytes) -> bytes:
    assert isinstance(socket, DatagramSocket)
    socket.reports_resets = any(data[:4])
    return b""


def _set_loopback(socket: Socket, data: bytes) -> bytes:
    assert isinstance(socket, DatagramSocket)
    socket.loops_back = any(data[:4])
    return b""


def _set_scope(socket: Socket, data: bytes) -> bytes:
    assert isinstance(socket, DatagramSocket)
    (socket.scope,) = _DWORD.unpack_from(data)
    return b""


class _Row(NamedTuple):
    perform: Callable[[Socket, bytes], bytes]
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
    SIO_ROUTING_INTERFACE_QUERY: _Row(_route_to, 16, None),
    SIO_UDP_CONNRESET: _Row(_report_resets, 1, 0, datagrams=True),
    SIO_MULTIPOINT_LOOPBACK: _Row(_set_loopback, _DWORD.size, 0, datagrams=True),
    SIO_MULTICAST_SCOPE: _Row(_set_scope, _DWORD.size, 0, datagrams=True),
}
