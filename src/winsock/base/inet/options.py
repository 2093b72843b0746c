"""WSPGetSockOpt and WSPSetSockOpt, driven by the rows of `winsock.abi.options`.

A row whose answer is the host's goes to the kernel with its twin's numbers. A row that is emulated has its two
functions in `EMULATED`. On an adopted handle both do what the program would have done itself, and nothing more.
"""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

from winsock.abi import options
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    IP_PKTINFO,
    IP_RECEIVE_BROADCAST,
    IP_RECVTOS,
    IP_RECVTTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_HOPLIMIT,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_IF,
    IPV6_MULTICAST_LOOP,
    IPV6_PKTINFO,
    IPV6_RECVTCLASS,
    PVD_CONFIG,
    SO_BSP_STATE,
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
    SO_MAXDG,
    SO_MAXPATHDG,
    SO_OOBINLINE,
    SO_PROTOCOL_INFOA,
    SO_PROTOCOL_INFOW,
    SO_REUSEADDR,
    SO_UPDATE_CONNECT_CONTEXT,
    SOCK_DGRAM,
    SOCK_RAW,
    SOL_SOCKET,
    TCP_FAIL_CONNECT_ON_ICMP_ERROR,
    TCP_ICMP_ERROR_INFO,
    TCP_MAXRT,
    UDP_NOCHECKSUM,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEFAULT,
    WSAEINVAL,
    WSAENETRESET,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    ErrorCode,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import Sockaddr
from winsock.base.inet import own, raw
from winsock.base.inet.ground import Ground
from winsock.base.inet.kept import KEPT
from winsock.base.inet.option_values import CODECS, Emulated, require_own
from winsock.base.inet.options_of_ip import EMULATED_OF_IP
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.sockets import BROKEN, count_probes, has_peer
from winsock.base.inet.waiting import has_ended, is_settled
from winsock.core.option_numbers import linger, number
from winsock.spi import calling
from winsock.spi.provider import OptionValue

_LINUX = sys.platform.startswith("linux")
_LEVELS = frozenset(row.level for row in options.ROWS)
_NUMBERS = ("int", "dword", "error", "timeval_ms", "seconds_ms", "limit_ms", "ifindex_be")
_GROUPS = ("ip_mreq", "ip_mreq_source", "ipv6_mreq", "group_req", "group_source_req")
_NOT_CONNECTED = 0xFFFFFFFF
_STREAMS_ONLY = {
    (SOL_SOCKET, SO_LINGER),
    (SOL_SOCKET, SO_DONTLINGER),
    (SOL_SOCKET, SO_OOBINLINE),
    (SOL_SOCKET, SO_KEEPALIVE),
}
_MESSAGES_ONLY = {
    (IPPROTO_UDP, UDP_NOCHECKSUM),
    *((IPPROTO_IP, optname) for optname in (IP_PKTINFO, IP_RECEIVE_BROADCAST, IP_RECVTTL, IP_RECVTOS)),
    *((IPPROTO_IPV6, optname) for optname in (IPV6_PKTINFO, IPV6_HOPLIMIT, IPV6_RECVTCLASS)),
    *((IPPROTO_IPV6, optname) for optname in (IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP)),
}
_IPV4_ONLY = {(IPPROTO_UDP, UDP_NOCHECKSUM)}
_MOST_BYTES = {
    (AF_INET, SOCK_DGRAM): 65507,
    (AF_INET6, SOCK_DGRAM): 65527,
    (AF_INET, SOCK_RAW): 65515,
    (AF_INET6, SOCK_RAW): 65535,
}
"""Of a message."""
_HOST_TCP_USER_TIMEOUT = 18
_HOST_SO_REUSEPORT = getattr(socket, "SO_REUSEPORT", 15)


class Options(Ground):
    """WSPGetSockOpt and WSPSetSockOpt."""

    option_levels: Collection[int] = (SOL_SOCKET, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IP, IPPROTO_IPV6)
    """The levels at which this kind of sockets has options."""
    emulated: Mapping[tuple[int, int], Emulated]
    """(level, option) -> what it reads and sets, where the kernel's own option does not do."""

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        """The value of an option, in the type of its row; SO_ERROR is an `ErrorCode`, and reading it clears it.

        Raises WSAENOPROTOOPT for an option that there is not, WSAEINVAL for an unknown level, WSAENOTCONN,
        WSAENOTSOCK (lpwspgetsockopt).
        """
        record = SOCKETS.get(s)
        row = self.find_option(level, optname, record is None)
        special = self.emulated.get((row.level, row.optname))
        if special is not None and (record is not None or row.host == "emulated"):
            return special.get(self, s, record)
        if row.host == "refused" or not row.get:
            raise WinsockError(row.error, f"optname: {row.name} cannot be read: {row.note}")
        return self._get_host(s, row)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        """Set an option to a value of its row's type, or to bytes in Windows' layout.

        Raises WSAENOPROTOOPT, WSAEINVAL, WSAEFAULT, WSAENOTCONN, WSAENOTSOCK (lpwspsetsockopt).
        """
        record = SOCKETS.get(s)
        row = self.find_option(level, optname, record is None)
        if record is not None:
            _check_length(row, value)
            if record.stream and row.type in _GROUPS:
                raise WinsockError(WSAENOPROTOOPT, f"optname: {row.name} is for datagrams and raw sockets only")
        special = self.emulated.get((row.level, row.optname))
        if special is not None and special.set is not None and (record is not None or row.host == "emulated"):
            special.set(self, s, record, value)
            return
        if row.host == "refused" or not row.set:
            raise WinsockError(row.error, f"optname: {row.name} cannot be set{row.note and ': ' + row.note}")
        self._set_host(s, row, value)

    def find_option(self, level: int, optname: int, adopted: bool = False) -> options.Option:
        """The row of an option that this kind of sockets may have; raises WSAEINVAL, WSAENOPROTOOPT.

        `adopted`: what Windows has for some only and the kernel for all is for all.
        """
        row = options.find(level, optname)
        if row is None:
            if level not in _LEVELS:
                raise WinsockError(WSAEINVAL, f"level: {level:#x} is no level of options")
            raise WinsockError(WSAENOPROTOOPT, f"optname: {optname:#x} is no option of level {level:#x}")
        if level not in self.option_levels and row.host != "refused":
            raise WinsockError(WSAENOPROTOOPT, f"optname: {row.name} means nothing to {self.info.szProtocol}")
        if not adopted and not self._may_have((level, row.optname)):
            raise WinsockError(WSAENOPROTOOPT, f"optname: {row.name} means nothing to {self.info.szProtocol}")
        return row

    def _may_have(self, option: tuple[int, int]) -> bool:
        """Whether Windows has an option for sockets of this kind."""
        if option in (_STREAMS_ONLY if self.datagrams else _MESSAGES_ONLY):
            return False
        return option not in _IPV4_ONLY or self.info.iAddressFamily == AF_INET

    def _get_host(self, s: int, row: options.Option) -> OptionValue:
        codec = CODECS[row.type]
        try:
            data = raw.getsockopt(s, *_host_numbers(row), codec.size)
        except WinsockError as error:
            raise _not_for_this_socket(row, error) from None
        value = codec.decode(data)
        calling.local.option = value, data
        return value

    def _set_host(self, s: int, row: options.Option, value: OptionValue) -> None:
        given = calling.local.option
        same = given is not None and given[0] is value and s not in SOCKETS
        data = given[1] if given is not None and same else CODECS[row.type].encode(value)
        try:
            raw.setsockopt(s, *_host_numbers(row), data)
        except WinsockError as error:
            raise _not_for_this_socket(row, error) from None


def _not_for_this_socket(row: options.Option, error: WinsockError) -> WinsockError:
    """What the kernel said, in the word that is documented."""
    if error.errno == errno.ENODEV:
        return WinsockError(WSAEADDRNOTAVAIL, f"optval: {row.name} names no interface of this host", errno=errno.ENODEV)
    if error.errno not in (errno.EOPNOTSUPP, errno.ENOPROTOOPT):
        return error
    return WinsockError(WSAENOPROTOOPT, f"optname: {row.name} is not for this socket", errno=error.errno)


def _check_length(row: options.Option, value: OptionValue) -> None:
    """A number in bytes is whole; at the level of IPv4 a part of one will do, and for truth values anywhere."""
    if isinstance(value, bytes) and len(value) < 4 and row.type in _NUMBERS and row.level != IPPROTO_IP:
        raise WinsockError(WSAEFAULT, f"optval: {row.name} takes 4 bytes, not {len(value)}")


def _host_numbers(row: options.Option) -> tuple[int, int]:
    """Level and number at this host; the rows have Linux' numbers, other hosts are asked by name."""
    assert row.host_level is not None
    assert row.host_optname is not None
    if _LINUX:
        return row.host_level, row.host_optname
    named = getattr(socket, row.name, None)
    if named is None:
        raise WinsockError(WSAENOPROTOOPT, f"optname: this host has no {row.name}")
    return socket.SOL_SOCKET if row.level == SOL_SOCKET else row.level, named


# Emulated options: what each reads and sets.


def _get_debug(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(record.debug) if record is not None else 0


def _set_debug(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    if record is not None:
        record.debug = bool(number(value))


def _get_reuse(provider: Ground, s: int, record: OwnSocket | None) -> int:
    if record is not None:
        return int(record.reuse)
    return int(any(raw.getsockopt(s, socket.SOL_SOCKET, _HOST_SO_REUSEPORT, 4)))


def _set_reuse(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    if record is None:
        raw.setsockopt(s, socket.SOL_SOCKET, _HOST_SO_REUSEPORT, CODECS["bool"].encode(value))
        return
    if record.exclusive and number(value):
        raise WinsockError(WSAEINVAL, "optname: SO_REUSEADDR does not go with SO_EXCLUSIVEADDRUSE")
    record.reuse = bool(number(value))


def _get_exclusive(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(record.exclusive) if record is not None else 0


def _set_exclusive(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    record = require_own(record, "SO_EXCLUSIVEADDRUSE")
    if record.reuse and number(value):
        raise WinsockError(WSAEINVAL, "optname: SO_EXCLUSIVEADDRUSE does not go with SO_REUSEADDR")
    record.exclusive = bool(number(value))


def _get_dont_route(provider: Ground, s: int, record: OwnSocket | None) -> int:
    _require_ipv4(provider)
    return int(record.dont_route) if record is not None else 0


def _set_dont_route(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    _require_ipv4(provider)
    if record is not None:
        record.dont_route = bool(number(value))


def _require_ipv4(provider: Ground) -> None:
    if provider.info.iAddressFamily != AF_INET:
        raise WinsockError(WSAENOPROTOOPT, "optname: SO_DONTROUTE is for IPv4 only")


def _get_keep_alive(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(any(raw.getsockopt(s, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 4)))


def _set_keep_alive(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    """A connection that is being made, or was lost, is not to be kept."""
    assert record is not None
    data = CODECS["bool"].encode(value)
    if record.phase == own.CONNECTING and not is_settled(record):
        raise WinsockError(WSAEINVAL, "s: the connection is on its way; set SO_KEEPALIVE before or after that")
    if record.phase == own.CONNECTED and not has_peer(record):
        if count_probes(record):
            raise WinsockError(WSAENETRESET, "s: keep-alive found nobody: the connection is no more")
        raise WinsockError(WSAENOTCONN, "s: the connection is no more")
    raw.setsockopt(s, socket.SOL_SOCKET, socket.SO_KEEPALIVE, data)


def _get_linger(provider: Ground, s: int, record: OwnSocket | None) -> Linger:
    value = CODECS["linger"].decode(raw.getsockopt(s, socket.SOL_SOCKET, socket.SO_LINGER, CODECS["linger"].size))
    assert isinstance(value, Linger)
    if record is None or value.onoff:
        return value
    return Linger(0, record.linger_seconds)  # the kernel forgets the seconds of a linger that is off


def _set_linger(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    raw.setsockopt(s, socket.SOL_SOCKET, socket.SO_LINGER, CODECS["linger"].encode(value))
    if record is not None:
        record.linger_seconds = linger(value).seconds


def _get_dont_linger(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(not _get_linger(provider, s, record).onoff)


def _set_dont_linger(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    seconds = _get_linger(provider, s, record).seconds
    _set_linger(provider, s, record, Linger(int(not number(value)), seconds))


def _get_error(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    if record is not None and record.fails_on_icmp:
        from winsock.base.inet import icmp

        icmp.has_failed(record)
    code = CODECS["error"].decode(raw.getsockopt(s, socket.SOL_SOCKET, socket.SO_ERROR, 4))
    assert isinstance(code, ErrorCode)
    if record is not None and code and record.phase == own.CONNECTING and has_ended(record):
        record.settle(0 if code.errno in BROKEN else code)
    if record is not None and record.phase == own.CONNECTED:
        from winsock.base.inet import failures

        failures.note_break(record, code.errno)
    if record is not None and record.error is not None:
        code = code or ErrorCode(record.error)
        record.error = None
    return code


def _set_error(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    assert record is not None
    record.error = number(value)


def _set_oob_inline(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    raw.setsockopt(s, socket.SOL_SOCKET, socket.SO_OOBINLINE, CODECS["bool"].encode(value))
    assert record is not None
    from winsock.base.inet import urgent

    urgent.keep_in_line(record, bool(number(value)))


def _get_oob_inline(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(any(raw.getsockopt(s, socket.SOL_SOCKET, socket.SO_OOBINLINE, 4)))


def _get_connect_time(provider: Ground, s: int, record: OwnSocket | None) -> int:
    if record is None or not record.stream or record.connect_time < 0 or record.phase != own.CONNECTED:
        return _NOT_CONNECTED
    return int(time.monotonic() - record.connect_time)


def _get_nothing(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    raise WinsockError(WSAENOPROTOOPT, "optname: SO_UPDATE_CONNECT_CONTEXT cannot be read")


def _update_connection(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue | None) -> None:
    """What a program does after WSAConnectByList and WSAConnectByName, with no value."""
    if value is not None and not isinstance(value, (bytes, int)):
        raise WinsockError(WSAEFAULT, f"optval: {value!r} is no value; none is needed")
    raw.getpeername(s)


def _get_group(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return 0 if record is None or record.group is None else record.group.id


def _get_group_priority(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return 0 if record is None else record.group_priority


def _set_group_priority(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    priority = number(value)
    if record is not None:
        record.group_priority = priority  # a hint, which the host has no use for


def _get_message_size(provider: Ground, s: int, record: OwnSocket | None) -> int:
    """What fits a packet with the headers that are not the application's own."""
    return _MOST_BYTES.get((provider.info.iAddressFamily, provider.info.iSocketType), provider.info.dwMessageSize)


def _get_state(provider: Ground, s: int, record: OwnSocket | None) -> bytes:
    from winsock.abi.address_lists import SocketState, pack_state

    names: list[Sockaddr | None] = []
    for ask in (provider.WSPGetSockName, provider.WSPGetPeerName):
        try:
            names.append(ask(s))
        except WinsockError as error:
            if error.winerror not in (WSAEINVAL, WSAENOTCONN):
                raise
            names.append(None)
    local, remote = names
    return pack_state(SocketState(local, remote, provider.info.iSocketType, provider.info.iProtocol))


def _get_protocol_info(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    # Typed as a tuple of ints, which a description is not: it is a tuple all the same, and the row says which.
    info: Any = provider.info
    return info  # type: ignore[no-any-return]


def _get_configuration(provider: Ground, s: int, record: OwnSocket | None) -> bytes:
    return b""


def _set_configuration(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    raise WinsockError(WSAENOPROTOOPT, "optname: PVD_CONFIG has nothing to configure")


def _get_max_retransmit(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    _require_tcp(provider)
    return CODECS["seconds_ms"].decode(raw.getsockopt(s, IPPROTO_TCP, _HOST_TCP_USER_TIMEOUT, 4))


def _set_max_retransmit(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    _require_tcp(provider)
    raw.setsockopt(s, IPPROTO_TCP, _HOST_TCP_USER_TIMEOUT, CODECS["seconds_ms"].encode(value))


def _get_failing_on_icmp(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(_own_of_tcp(provider, record, "TCP_FAIL_CONNECT_ON_ICMP_ERROR").fails_on_icmp)


def _set_failing_on_icmp(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    _own_of_tcp(provider, record, "TCP_FAIL_CONNECT_ON_ICMP_ERROR").fails_on_icmp = number(value) != 0


def _get_icmp_error(provider: Ground, s: int, record: OwnSocket | None) -> bytes:
    return _own_of_tcp(provider, record, "TCP_ICMP_ERROR_INFO").icmp_error


def _own_of_tcp(provider: Ground, record: OwnSocket | None, name: str) -> OwnSocket:
    _require_tcp(provider, name)
    return require_own(record, name)


def _require_tcp(provider: Ground, name: str = "TCP_MAXRT") -> None:
    if provider.datagrams:
        raise WinsockError(WSAENOPROTOOPT, f"optname: {name} is for TCP only")


EMULATED: dict[tuple[int, int], Emulated] = {
    **EMULATED_OF_IP,
    (SOL_SOCKET, SO_DEBUG): Emulated(_get_debug, _set_debug),
    (SOL_SOCKET, SO_REUSEADDR): Emulated(_get_reuse, _set_reuse),
    (SOL_SOCKET, SO_EXCLUSIVEADDRUSE): Emulated(_get_exclusive, _set_exclusive),
    (SOL_SOCKET, SO_DONTROUTE): Emulated(_get_dont_route, _set_dont_route),
    (SOL_SOCKET, SO_DONTLINGER): Emulated(_get_dont_linger, _set_dont_linger),
    (SOL_SOCKET, SO_GROUP_ID): Emulated(_get_group),
    (SOL_SOCKET, SO_GROUP_PRIORITY): Emulated(_get_group_priority, _set_group_priority),
    (SOL_SOCKET, SO_MAX_MSG_SIZE): Emulated(_get_message_size),
    (SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT): Emulated(_get_nothing, _update_connection),
    (SOL_SOCKET, SO_MAXDG): Emulated(_get_message_size),
    (SOL_SOCKET, SO_MAXPATHDG): Emulated(_get_message_size),
    (SOL_SOCKET, SO_BSP_STATE): Emulated(_get_state),
    (SOL_SOCKET, SO_PROTOCOL_INFOA): Emulated(_get_protocol_info),
    (SOL_SOCKET, SO_PROTOCOL_INFOW): Emulated(_get_protocol_info),
    (SOL_SOCKET, SO_CONNECT_TIME): Emulated(_get_connect_time),
    (SOL_SOCKET, PVD_CONFIG): Emulated(_get_configuration, _set_configuration),
    (IPPROTO_TCP, TCP_MAXRT): Emulated(_get_max_retransmit, _set_max_retransmit),
    (IPPROTO_TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR): Emulated(_get_failing_on_icmp, _set_failing_on_icmp),
    (IPPROTO_TCP, TCP_ICMP_ERROR_INFO): Emulated(_get_icmp_error),
    # The host's own, but Windows answers otherwise in a corner; for sockets of our own
    **KEPT,
    (SOL_SOCKET, SO_KEEPALIVE): Emulated(_get_keep_alive, _set_keep_alive),
    (SOL_SOCKET, SO_LINGER): Emulated(_get_linger, _set_linger),
    (SOL_SOCKET, SO_ERROR): Emulated(_get_error, _set_error),
    (SOL_SOCKET, SO_OOBINLINE): Emulated(_get_oob_inline, _set_oob_inline),
}
"""(level, option) -> what it reads and sets; without a second function it cannot be set."""

Options.emulated = EMULATED
