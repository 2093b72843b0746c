"""WSPGetSockOpt and WSPSetSockOpt: one row an option.

What a simulated network has no use for is remembered and told again, as many a provider does; what would promise
something that nothing keeps is refused.
"""

from __future__ import annotations

import socket as host
from collections.abc import Callable
from typing import NamedTuple

from winsock.abi import options
from winsock.abi.constants import (
    AF_INET,
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
    IP_MTU,
    IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_ADD_MEMBERSHIP,
    IPV6_DROP_MEMBERSHIP,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_LOOP,
    IPV6_UNICAST_HOPS,
    IPV6_V6ONLY,
    PVD_CONFIG,
    SO_ACCEPTCONN,
    SO_BROADCAST,
    SO_CONDITIONAL_ACCEPT,
    SO_CONNECT_TIME,
    SO_DEBUG,
    SO_DONTLINGER,
    SO_DONTROUTE,
    SO_ERROR,
    SO_EXCLUSIVEADDRUSE,
    SO_GROUP_ID,
    SO_GROUP_PRIORITY,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_MAX_MSG_SIZE,
    SO_PROTOCOL_INFOA,
    SO_PROTOCOL_INFOW,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SO_SNDBUF,
    SO_SNDTIMEO,
    SO_TYPE,
    SOL_SOCKET,
    TCP_MAXRT,
    TCP_MAXRTMS,
    TCP_NODELAY,
)
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAENOPROTOOPT, WSAENOTCONN, ErrorCode, WinsockError
from winsock.abi.options import Linger
from winsock.base.memory.datagrams import DatagramSocket
from winsock.base.memory.ground import Ground
from winsock.base.memory.sockets import Socket
from winsock.base.memory.streams import StreamSocket
from winsock.core.option_numbers import linger, number
from winsock.core.states import CONNECTED, LISTENING
from winsock.spi.provider import OptionValue

_LEVELS = frozenset(row.level for row in options.ROWS)
_NOT_CONNECTED = _FOR_EVER = 0xFFFFFFFF
_LEAST_BUFFER = 1


class Options(Ground):
    """WSPGetSockOpt and WSPSetSockOpt."""

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        """The value of an option, in the type of its row in `abi.options` (lpwspgetsockopt).

        Raises WSAENOPROTOOPT, WSAEINVAL for an unknown level, WSAENOTCONN.
        """
        with self.network.entered():
            socket = self.socket(s)
            row = self._row(socket, level, optname)
            if row.get is None:
                raise WinsockError(WSAENOPROTOOPT, f"optname: {optname:#x} of level {level:#x} cannot be read")
            return row.get(socket)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        """Set an option to a value of its row's type, or to bytes in Windows' layout (lpwspsetsockopt).

        Raises WSAENOPROTOOPT, WSAEINVAL, WSAEFAULT, WSAENOBUFS.
        """
        with self.network.entered():
            socket = self.socket(s)
            row = self._row(socket, level, optname)
            if row.set is None:
                raise WinsockError(WSAENOPROTOOPT, f"optname: {optname:#x} of level {level:#x} cannot be set")
            row.set(socket, value)

    def _row(self, socket: Socket, level: int, optname: int) -> _Row:
        row = _ROWS.get((level, optname))
        if row is not None and isinstance(socket, row.kind) and row.family in (None, self.protocol.family):
            return row
        if level not in _LEVELS:
            raise WinsockError(WSAEINVAL, f"level: {level:#x} is no level of options")
        raise WinsockError(
            WSAENOPROTOOPT, f"optname: {optname:#x} of level {level:#x} means nothing to {self.protocol.name}"
        )


class _Row(NamedTuple):
    get: Callable[[Socket], OptionValue] | None
    set: Callable[[Socket, OptionValue], None] | None
    kind: type[Socket] = Socket
    """Which sockets have it."""
    family: int | None = None


def _flag(name: str, kind: type[Socket] = Socket) -> _Row:
    """A boolean attribute."""

    def set_flag(socket: Socket, value: OptionValue) -> None:
        setattr(socket, name, number(value) != 0)

    return _Row(lambda socket: int(getattr(socket, name)), set_flag, kind)


def _remembered(
    level: int, optname: int, default: int = 0, boolean: bool = True, kind: type[Socket] = Socket, most: int = -1
) -> _Row:
    """A number that means nothing here."""

    def set_number(socket: Socket, value: OptionValue) -> None:
        given = number(value)
        if most >= 0 and not 0 <= given <= most:
            raise WinsockError(WSAEINVAL, f"optval: {given} is not from 0 to {most}")
        socket.remembered[level, optname] = int(given != 0) if boolean else given

    return _Row(lambda socket: socket.remembered.get((level, optname), default), set_number, kind)


def _time_out(name: str) -> _Row:
    """Milliseconds; 0 is without limit."""

    def set_time_out(socket: Socket, value: OptionValue) -> None:
        given = number(value) & 0xFFFFFFFF
        setattr(socket, name, 0 if given == _FOR_EVER else given)

    return _Row(lambda socket: getattr(socket, name), set_time_out)


def _buffer(name: str) -> _Row:
    """Bytes, which the host must have."""

    def set_size(socket: Socket, value: OptionValue) -> None:
        size = max(_LEAST_BUFFER, number(value))
        socket.host.reserve(size - getattr(socket, name))
        setattr(socket, name, size)
        socket.resized()

    return _Row(lambda socket: getattr(socket, name), set_size)


def _set_reuse(socket: Socket, value: OptionValue) -> None:
    if socket.exclusive and number(value):
        raise WinsockError(WSAEINVAL, "optname: SO_REUSEADDR does not go with SO_EXCLUSIVEADDRUSE")
    socket.reuse = number(value) != 0


def _set_exclusive(socket: Socket, value: OptionValue) -> None:
    if socket.reuse and number(value):
        raise WinsockError(WSAEINVAL, "optname: SO_EXCLUSIVEADDRUSE does not go with SO_REUSEADDR")
    socket.exclusive = number(value) != 0


def _set_linger(socket: Socket, value: OptionValue) -> None:
    socket.linger = linger(value)


def _set_dont_linger(socket: Socket, value: OptionValue) -> None:
    socket.linger = Linger(int(not number(value)), socket.linger.seconds)


def _get_error(socket: Socket) -> OptionValue:
    socket.network.clock.run_due()
    code, socket.error = ErrorCode(socket.error), 0
    return code


def _set_error(socket: Socket, value: OptionValue) -> None:
    socket.error = number(value)


def _get_connect_time(socket: Socket) -> int:
    if socket.connect_time is None or socket.state != CONNECTED:
        return _NOT_CONNECTED
    return int(socket.network.now - socket.connect_time)


def _get_retransmit(socket: Socket, scale: int) -> int:
    assert isinstance(socket, StreamSocket)
    return 0 if socket.retransmit_s is None else int(socket.retransmit_s * scale)


def _set_retransmit(socket: Socket, value: OptionValue, scale: int) -> None:
    assert isinstance(socket, StreamSocket)
    given = number(value)
    socket.retransmit_s = given / scale if 0 < given < _FOR_EVER else None
    if socket.connection is not None:
        socket.channel.patience_s = socket.retransmit_s


def _get_mtu(socket: Socket) -> int:
    if socket.peer is None:
        raise WinsockError(WSAENOTCONN, "s: the path to nobody has no MTU")
    return socket.host.route(socket.peer.host).conditions.mtu


def _membership(join: bool) -> Callable[[Socket, OptionValue], None]:
    def change(socket: Socket, value: OptionValue) -> None:
        assert isinstance(socket, DatagramSocket)
        family, size = (host.AF_INET, 4) if socket.protocol.family == AF_INET else (host.AF_INET6, 16)
        if not isinstance(value, bytes) or len(value) < size + 4:
            raise WinsockError(WSAEFAULT, f"optval: {value!r} is no group and interface")
        group = host.inet_ntop(family, value[:size])
        (socket.join_group if join else socket.leave_group)(group)

    return change


def _set_scope(socket: Socket, value: OptionValue) -> None:
    assert isinstance(socket, DatagramSocket)
    if not 0 <= number(value) <= 0xFF:
        raise WinsockError(WSAEINVAL, f"optval: {value!r} is no number of hops")
    socket.scope = number(value)


def _set_v6_only(socket: Socket, value: OptionValue) -> None:
    if socket.local is not None:
        raise WinsockError(WSAEINVAL, "s: IPV6_V6ONLY must be set before bind")
    if not number(value):
        raise WinsockError(WSAEINVAL, "optval: the families of a simulated network do not mix")


_PROTOCOL_INFO = _Row(lambda socket: socket.provider.info, None)
_SCOPE = _Row(lambda socket: getattr(socket, "scope", 1), _set_scope, DatagramSocket)

_ROWS: dict[tuple[int, int], _Row] = {
    (SOL_SOCKET, SO_ACCEPTCONN): _Row(lambda socket: int(socket.state == LISTENING), None),
    (SOL_SOCKET, SO_REUSEADDR): _Row(lambda socket: int(socket.reuse), _set_reuse),
    (SOL_SOCKET, SO_EXCLUSIVEADDRUSE): _Row(lambda socket: int(socket.exclusive), _set_exclusive),
    (SOL_SOCKET, SO_BROADCAST): _flag("broadcast", DatagramSocket),
    (SOL_SOCKET, SO_CONDITIONAL_ACCEPT): _flag("conditional", StreamSocket),
    (SOL_SOCKET, SO_LINGER): _Row(lambda socket: socket.linger, _set_linger, StreamSocket),
    (SOL_SOCKET, SO_DONTLINGER): _Row(lambda socket: int(not socket.linger.onoff), _set_dont_linger, StreamSocket),
    (SOL_SOCKET, SO_SNDBUF): _buffer("send_room"),
    (SOL_SOCKET, SO_RCVBUF): _buffer("receive_room"),
    (SOL_SOCKET, SO_SNDTIMEO): _time_out("send_timeout_ms"),
    (SOL_SOCKET, SO_RCVTIMEO): _time_out("receive_timeout_ms"),
    (SOL_SOCKET, SO_ERROR): _Row(_get_error, _set_error),
    (SOL_SOCKET, SO_TYPE): _Row(lambda socket: socket.protocol.type, None),
    (SOL_SOCKET, SO_MAX_MSG_SIZE): _Row(lambda socket: socket.most_bytes, None),
    (SOL_SOCKET, SO_PROTOCOL_INFOW): _PROTOCOL_INFO,
    (SOL_SOCKET, SO_PROTOCOL_INFOA): _PROTOCOL_INFO,
    (SOL_SOCKET, SO_CONNECT_TIME): _Row(_get_connect_time, None),
    (SOL_SOCKET, SO_GROUP_ID): _Row(lambda socket: 0, None),
    (SOL_SOCKET, PVD_CONFIG): _Row(lambda socket: b"", None),
    (SOL_SOCKET, SO_DEBUG): _remembered(SOL_SOCKET, SO_DEBUG),
    (SOL_SOCKET, SO_KEEPALIVE): _remembered(SOL_SOCKET, SO_KEEPALIVE),
    (SOL_SOCKET, SO_DONTROUTE): _remembered(SOL_SOCKET, SO_DONTROUTE)._replace(family=AF_INET),
    (SOL_SOCKET, SO_GROUP_PRIORITY): _remembered(SOL_SOCKET, SO_GROUP_PRIORITY, boolean=False),
    (IPPROTO_TCP, TCP_NODELAY): _remembered(IPPROTO_TCP, TCP_NODELAY, kind=StreamSocket),
    (IPPROTO_TCP, TCP_MAXRT): _Row(
        lambda socket: _get_retransmit(socket, 1), lambda socket, value: _set_retransmit(socket, value, 1), StreamSocket
    ),
    (IPPROTO_TCP, TCP_MAXRTMS): _Row(
        lambda socket: _get_retransmit(socket, 1000),
        lambda socket, value: _set_retransmit(socket, value, 1000),
        StreamSocket,
    ),
    (IPPROTO_IP, IP_TTL): _remembered(IPPROTO_IP, IP_TTL, 128, False, most=0xFF)._replace(family=AF_INET),
    (IPPROTO_IP, IP_TOS): _remembered(IPPROTO_IP, IP_TOS, 0, False, most=0xFF)._replace(family=AF_INET),
    (IPPROTO_IP, IP_MTU): _Row(_get_mtu, None, family=AF_INET),
    (IPPROTO_IP, IP_MULTICAST_TTL): _SCOPE._replace(family=AF_INET),
    (IPPROTO_IP, IP_MULTICAST_LOOP): _flag("loops_back", DatagramSocket)._replace(family=AF_INET),
    (IPPROTO_IP, IP_ADD_MEMBERSHIP): _Row(None, _membership(True), DatagramSocket, AF_INET),
    (IPPROTO_IP, IP_DROP_MEMBERSHIP): _Row(None, _membership(False), DatagramSocket, AF_INET),
    (IPPROTO_IPV6, IPV6_V6ONLY): _Row(lambda socket: 1, _set_v6_only),
    (IPPROTO_IPV6, IPV6_UNICAST_HOPS): _remembered(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 128, False, most=0xFF),
    (IPPROTO_IPV6, IPV6_MULTICAST_HOPS): _SCOPE,
    (IPPROTO_IPV6, IPV6_MULTICAST_LOOP): _flag("loops_back", DatagramSocket),
    (IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP): _Row(None, _membership(True), DatagramSocket),
    (IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP): _Row(None, _membership(False), DatagramSocket),
}
"""(level, option) -> what it reads and sets."""
