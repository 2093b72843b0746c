"""WSPIoctl: one row a control code.

A row says which sockets its code is for, how much it takes and gives, and who performs it: a function here, or one of
a module that is imported when it is asked for the first time. A code without a row gets the error, and the reason,
of `winsock.abi.ioctls`.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NamedTuple

from winsock.abi.constants import (
    AF_INET6,
    FIONBIO,
    FIONREAD,
    SIO_ABSORB_RTRALERT,
    SIO_ADDRESS_LIST_CHANGE,
    SIO_ADDRESS_LIST_QUERY,
    SIO_ADDRESS_LIST_SORT,
    SIO_BASE_HANDLE,
    SIO_BSP_HANDLE,
    SIO_BSP_HANDLE_POLL,
    SIO_BSP_HANDLE_SELECT,
    SIO_GET_BROADCAST_ADDRESS,
    SIO_GET_EXTENSION_FUNCTION_POINTER,
    SIO_GET_INTERFACE_LIST,
    SIO_GET_MULTICAST_FILTER,
    SIO_IDEAL_SEND_BACKLOG_QUERY,
    SIO_INDEX_ADD_MCAST,
    SIO_INDEX_BIND,
    SIO_INDEX_DEL_MCAST,
    SIO_INDEX_MCASTIF,
    SIO_KEEPALIVE_VALS,
    SIO_LOOPBACK_FAST_PATH,
    SIO_MULTICAST_SCOPE,
    SIO_MULTIPOINT_LOOPBACK,
    SIO_QUERY_TARGET_PNP_HANDLE,
    SIO_RCVALL,
    SIO_RCVALL_IGMPMCAST,
    SIO_RCVALL_MCAST,
    SIO_ROUTING_INTERFACE_CHANGE,
    SIO_ROUTING_INTERFACE_QUERY,
    SIO_SET_MULTICAST_FILTER,
    SIO_TCP_INFO,
    SIO_UCAST_IF,
    SIO_UDP_CONNRESET,
    SIO_UDP_NETRESET,
    SIOCATMARK,
    SIOCGMSFILTER,
    SIOCSMSFILTER,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
)
from winsock.abi.errors import (
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WinsockError,
    from_errno,
)
from winsock.base.inet import own, raw, tcp_info
from winsock.base.inet.ground import Ground, refuse_overlapped
from winsock.base.inet.kept import LONGEST_KEEP_S
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.spi.provider import ReadBuffer, check_at_once

_DWORD = struct.Struct("<I")
_HANDLE = struct.Struct("<Q")
_KEEPALIVE = struct.Struct("<3I")
_INT = struct.Struct("=i")
_INDEX = struct.Struct("=I")
_SOCKADDR_IN_SIZE, _SOCKADDR_IN6_SIZE = 16, 28
_IP_MSFILTER_SIZE, _GROUP_FILTER_SIZE = 16, 144
_ADDRESS_LIST_HEADER = 8
_GUID_SIZE, _POINTER_SIZE = 16, 8
_KEEP_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
_KEEP_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)
_SO_PEEK_OFF = 42  # of Linux
_SO_BINDTOIFINDEX = 62
_IP_UNICAST_IF, _IPV6_UNICAST_IF = 50, 76
_IP_ROUTER_ALERT = 5
_LONGEST_MESSAGE = 65536


class Controls(Ground):
    """WSPIoctl."""

    control_rows: Mapping[int, Row]
    """The codes that this kind of sockets has."""

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
        input or the room for the output is too small (`.count` tells the room needed, where Windows tells it),
        WSAEINVAL, WSAEWOULDBLOCK, WSAENOTSOCK.
        """
        check_at_once(code, overlapped)
        refuse_overlapped("WSPIoctl", SOCKETS.get(s), overlapped)
        row = self.control_rows.get(code)
        if row is None:
            raise _refusal(code)
        if self.info.iSocketType not in row.types:
            raise WinsockError(row.elsewhere, f"code: {code:#x} means nothing to {self.info.szProtocol}")
        data = _bytes_of(in_buffer)
        row.check_sizes(code, len(data), out_size)
        if len(data) < row.in_size:
            raise WinsockError(WSAEFAULT, f"in_buffer: code {code:#x} takes {row.in_size} bytes, not {len(data)}")
        room = row.out_size if row.out_size is not None else self._address_size()
        if out_size < room:
            needed = room if row.out_size is None else None  # of an address its page says so
            message = f"out_size: code {code:#x} needs room for {room} bytes, not {out_size}"
            raise WinsockError(WSAEFAULT, message, count=needed)
        out = row.performer()(self, s, data)
        if len(out) > out_size:
            count = len(out) if row.header else 0
            raise WinsockError(WSAEFAULT, f"out_size: the answer has {len(out)} bytes", count=count)
        return out

    def _address_size(self) -> int:
        return _SOCKADDR_IN6_SIZE if self.info.iAddressFamily == AF_INET6 else _SOCKADDR_IN_SIZE


def _bytes_of(in_buffer: ReadBuffer | None) -> bytes:
    if in_buffer is None:
        return b""
    try:
        return bytes(memoryview(in_buffer))
    except TypeError as error:
        raise WinsockError(WSAEFAULT, f"in_buffer: {error}") from None


def _refusal(code: int) -> WinsockError:
    from winsock.abi import ioctls

    known = ioctls.find(code)
    if known is None:
        return WinsockError(WSAEOPNOTSUPP, f"code: {code!r} is no control code that is known here")
    return WinsockError(known.error, f"code: {known.name} is not offered: {known.note}")


def _is_selected(record: OwnSocket) -> bool:
    """Whether events are asked for, through whichever descriptor."""
    if record.shared is not None:
        return bool(record.shared.page.events)
    return record.selection is not None and bool(record.selection.mask)


def _set_blocking(provider: Controls, s: int, data: bytes) -> bytes:
    blocking = not any(data[:4])
    record = SOCKETS.get(s)
    if blocking and record is not None and _is_selected(record):
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
    from winsock.host.queues import UNREAD, ask

    record = SOCKETS.get(s)
    if record is not None and record.phase == own.LISTENING:
        return _DWORD.pack(0)
    if record is not None and provider.info.iSocketType == SOCK_DGRAM:
        return _DWORD.pack(_bytes_of_messages(record))
    try:
        if record is not None and record.stream:
            from winsock.base.inet import urgent

            return _DWORD.pack(urgent.bytes_to_read(s))
        return _DWORD.pack(ask(s, UNREAD))
    except OSError as error:
        raise from_errno(error.errno or 0) from None


def _bytes_of_messages(record: OwnSocket) -> int:
    """Of all that wait together; the kernel itself tells the first one's size. One look goes from each to the next."""
    total = 0
    scratch = (bytearray(_LONGEST_MESSAGE),)
    flags = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_TRUNC
    with _looking:
        raw.setsockopt(record.handle, socket.SOL_SOCKET, _SO_PEEK_OFF, _INT.pack(0))
        try:
            while (count := raw.recvmsg(record.handle, scratch, flags)[0]) >= 0 or count == -errno.ECONNREFUSED:
                if count >= 0:
                    total += count
                elif (
                    record.reports_resets
                ):  # that an earlier datagram found nobody is told once, and was for the next receive
                    record.lose(WSAECONNRESET)
        finally:
            raw.setsockopt(record.handle, socket.SOL_SOCKET, _SO_PEEK_OFF, _INT.pack(-1))
    return total


_looking = threading.Lock()


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


def _ideal_backlog(provider: Controls, s: int, data: bytes) -> bytes:
    """How much data can be on its way at once: the congestion window."""
    record = SOCKETS.get(s)
    if record is None or record.phase != own.CONNECTED:
        raise WinsockError(WSAENOTCONN, "s: the socket is not connected")
    return _DWORD.pack(
        tcp_info.congestion_window(raw.getsockopt(s, socket.IPPROTO_TCP, tcp_info.HOST_OPTION, tcp_info.HOST_SIZE))
    )


def _base_handle(provider: Controls, s: int, data: bytes) -> bytes:
    return _HANDLE.pack(s)


def _keep_alive(provider: Controls, s: int, data: bytes) -> bytes:
    on, idle_ms, interval_ms = _KEEPALIVE.unpack_from(data)
    raw.setsockopt(s, socket.SOL_SOCKET, socket.SO_KEEPALIVE, _INT.pack(bool(on)))
    for option, milliseconds in ((_KEEP_IDLE, idle_ms), (_KEEP_INTERVAL, interval_ms)):
        if on and option is not None:
            seconds = min(max(1, -(-milliseconds // 1000)), LONGEST_KEEP_S)
            raw.setsockopt(s, socket.IPPROTO_TCP, option, _INT.pack(seconds))
    return b""


def _report_resets(provider: Controls, s: int, data: bytes) -> bytes:
    record = _own(s, "SIO_UDP_CONNRESET")
    record.reports_resets = any(data[:4])
    _hear_anew(record)
    return b""


def _report_net_resets(provider: Controls, s: int, data: bytes) -> bytes:
    record = _own(s, "SIO_UDP_NETRESET")
    record.reports_net_resets = any(data[:4])
    _hear_anew(record)
    return b""


def _own(s: int, code: str) -> OwnSocket:
    record = SOCKETS.get(s)
    if record is None:
        raise WinsockError(WSAEOPNOTSUPP, f"code: {code} is for sockets of this process's own")
    return record


def _hear_anew(record: OwnSocket) -> None:
    """What is told of datagrams is another: where the kernel says it already, it may have to be silent."""
    if record.hears_errors:
        from winsock.base.inet import unreached

        unreached.hear(record)


def _accept_silently(provider: Controls, s: int, data: bytes) -> bytes:
    return b""


def _bind_to_interface(provider: Controls, s: int, data: bytes) -> bytes:
    raw.setsockopt(s, socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _INDEX.pack(*_DWORD.unpack_from(data)))
    return b""


def _send_at_interface(provider: Controls, s: int, data: bytes) -> bytes:
    number = struct.pack("!I", *_DWORD.unpack_from(data))
    if provider.info.iAddressFamily == AF_INET6:
        raw.setsockopt(s, socket.IPPROTO_IPV6, _IPV6_UNICAST_IF, number)
    else:
        raw.setsockopt(s, socket.IPPROTO_IP, _IP_UNICAST_IF, number)
    return b""


def _absorb_router_alerts(provider: Controls, s: int, data: bytes) -> bytes:
    raw.setsockopt(s, socket.IPPROTO_IP, _IP_ROUTER_ALERT, _INT.pack(any(data[:4])))
    return b""


_Performer = Callable[[Controls, int, bytes], bytes]
_STREAMS, _DATAGRAMS, _RAW = (SOCK_STREAM,), (SOCK_DGRAM,), (SOCK_RAW,)
_MESSAGES = (SOCK_DGRAM, SOCK_RAW)
_ALL = (*_STREAMS, *_MESSAGES)


class Row(NamedTuple):
    """One control code."""

    perform: _Performer | str
    """A function, or "module:function" of this package."""
    in_size: int
    out_size: int | None
    """Bytes; None: one socket address."""
    types: tuple[int, ...] = _ALL
    """The sockets that the code is for."""
    header: int = 0
    """Bytes that must fit so that it is told how many are needed."""
    elsewhere: int = WSAENOPROTOOPT
    """The error on other sockets."""
    least: int = 0
    """Bytes without which the output is no room at all."""
    takes: int | None = None
    """Bytes that the input has, no more and no less, where its page says so."""
    otherwise: int = WSAEINVAL
    """The error where it has not."""

    def check_sizes(self, code: int, given: int, room: int) -> None:
        """What some codes refuse in words of their own."""
        if self.takes is not None and given != self.takes:
            raise WinsockError(self.otherwise, f"in_buffer: code {code:#x} takes {self.takes} bytes, not {given}")
        if room < self.least or 0 < room < self.header:
            raise WinsockError(
                WSAEINVAL, f"out_size: {self.least or self.header} bytes are needed to tell anything", count=0
            )

    def performer(self) -> _Performer:
        """The function."""
        if not isinstance(self.perform, str):
            return self.perform
        module, _, name = self.perform.partition(":")
        found: _Performer = getattr(import_module(f"winsock.base.inet.{module}"), name)
        return found


COMMON_ROWS: dict[int, Row] = {
    FIONBIO: Row(_set_blocking, _DWORD.size, 0),
    FIONREAD: Row(_readable_bytes, 0, _DWORD.size),
    SIOCATMARK: Row(_at_mark, 0, _DWORD.size, _STREAMS),
    SIO_BASE_HANDLE: Row(_base_handle, 0, _HANDLE.size),
    SIO_BSP_HANDLE: Row(_base_handle, 0, _HANDLE.size),
    SIO_BSP_HANDLE_POLL: Row(_base_handle, 0, _HANDLE.size),
    SIO_BSP_HANDLE_SELECT: Row(_base_handle, 0, _HANDLE.size),
    SIO_QUERY_TARGET_PNP_HANDLE: Row(_base_handle, 0, _HANDLE.size),
}
"""What sockets of any family have."""

_ROWS: dict[int, Row] = {
    **COMMON_ROWS,
    SIO_GET_EXTENSION_FUNCTION_POINTER: Row("extensions:pointer", _GUID_SIZE, _POINTER_SIZE),
    # Addresses and routes
    SIO_ADDRESS_LIST_QUERY: Row("address_lists:query", 0, 0, header=_ADDRESS_LIST_HEADER, takes=0),
    SIO_ADDRESS_LIST_SORT: Row(
        "address_lists:sort", _ADDRESS_LIST_HEADER, _ADDRESS_LIST_HEADER, header=_ADDRESS_LIST_HEADER
    ),
    SIO_ADDRESS_LIST_CHANGE: Row("changes:addresses", 0, 0),
    SIO_ROUTING_INTERFACE_QUERY: Row("address_lists:route_to", _SOCKADDR_IN_SIZE, None),
    SIO_ROUTING_INTERFACE_CHANGE: Row("changes:routes", _SOCKADDR_IN_SIZE, 0),
    SIO_GET_INTERFACE_LIST: Row("address_lists:interface_list", 0, 0),
    SIO_GET_BROADCAST_ADDRESS: Row("address_lists:broadcast_address", 0, _SOCKADDR_IN_SIZE, _MESSAGES),
    SIO_INDEX_BIND: Row(_bind_to_interface, _DWORD.size, 0),
    SIO_UCAST_IF: Row(_send_at_interface, _DWORD.size, 0),
    # TCP
    SIO_KEEPALIVE_VALS: Row(_keep_alive, _KEEPALIVE.size, 0, _STREAMS),
    SIO_TCP_INFO: Row(
        _tcp_info,
        _DWORD.size,
        tcp_info.LAYOUT.size,
        _STREAMS,
        least=tcp_info.LAYOUT.size,
        takes=_DWORD.size,
        otherwise=WSAEMSGSIZE,
    ),
    SIO_LOOPBACK_FAST_PATH: Row(_accept_silently, _DWORD.size, 0, _STREAMS, elsewhere=WSAEOPNOTSUPP),
    SIO_IDEAL_SEND_BACKLOG_QUERY: Row(
        _ideal_backlog, 0, _DWORD.size, _STREAMS, least=_DWORD.size, elsewhere=WSAEOPNOTSUPP
    ),
    # Datagrams and groups
    SIO_UDP_CONNRESET: Row(_report_resets, 1, 0, _DATAGRAMS),
    SIO_UDP_NETRESET: Row(_report_net_resets, 1, 0, _DATAGRAMS),
    SIO_MULTIPOINT_LOOPBACK: Row("multicast:loopback", 1, 0, _MESSAGES),
    SIO_MULTICAST_SCOPE: Row("multicast:scope", _DWORD.size, 0, _MESSAGES),
    SIO_INDEX_MCASTIF: Row("multicast:interface", _DWORD.size, 0, _MESSAGES),
    SIO_INDEX_ADD_MCAST: Row("multicast:join_at", 8, 0, _MESSAGES),
    SIO_INDEX_DEL_MCAST: Row("multicast:leave_at", 8, 0, _MESSAGES),
    SIO_SET_MULTICAST_FILTER: Row("multicast:set_filter", _IP_MSFILTER_SIZE, 0, _MESSAGES),
    SIO_GET_MULTICAST_FILTER: Row("multicast:get_filter", 8, _IP_MSFILTER_SIZE, _MESSAGES),
    SIOCSMSFILTER: Row("multicast:set_group_filter", _GROUP_FILTER_SIZE, 0, _MESSAGES),
    SIOCGMSFILTER: Row("multicast:get_group_filter", 136, _GROUP_FILTER_SIZE, _MESSAGES),
    # Packets
    SIO_RCVALL: Row("sniffing:receive_all", 0, 0, _RAW),
    SIO_RCVALL_MCAST: Row("sniffing:receive_multicast", 0, 0, _RAW),
    SIO_RCVALL_IGMPMCAST: Row("sniffing:receive_igmp", 0, 0, _RAW),
    SIO_ABSORB_RTRALERT: Row(_absorb_router_alerts, 1, 0, _RAW),
}

Controls.control_rows = _ROWS
