"""The emulated options of IPv4 and IPv6: what each reads and sets, where the kernel's own option does not do."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import TypeAlias

from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    IP_DONTFRAGMENT,
    IP_HDRINCL,
    IP_MTU_DISCOVER,
    IP_MULTICAST_IF,
    IP_RECEIVE_BROADCAST,
    IP_RECVERR,
    IP_TOS,
    IP_UNICAST_IF,
    IP_UNSPECIFIED_USER_MTU,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_MTU_DISCOVER,
    IPV6_RECVERR,
    IPV6_USER_MTU,
    IPV6_V6ONLY,
)
from winsock.abi.errors import WSAEINVAL, WSAENOPROTOOPT, WinsockError
from winsock.base.inet import raw
from winsock.base.inet.ground import Ground
from winsock.base.inet.option_values import CODECS, Emulated, is_index, require_own
from winsock.base.inet.own import OwnSocket
from winsock.base.inet.sockets import is_bound
from winsock.core.option_numbers import number
from winsock.spi.provider import OptionValue

_DONT, _WANT, _DO, _PROBE = range(4)  # the kernel's IP_PMTUDISC_*
_HOST_DISCOVER = {1: _DO, 2: _DONT, 3: _PROBE}  # Windows' IP_PMTUDISC_*; 0 is "not set"
_WINDOWS_DISCOVER = {host: windows for windows, host in _HOST_DISCOVER.items()}
_HOST_IP_MTU_DISCOVER = 10
_HOST_IPV6_MTU_DISCOVER = 23
_HOST_IPV6_MTU = 24
_HOST_IP_UNICAST_IF = 50
_HOST_IP_RECVERR, _HOST_IPV6_RECVERR = 11, 25
_Set: TypeAlias = "Callable[[Ground, int, OwnSocket | None, OptionValue], None]"
_INDEX = struct.Struct("!I")
_DWORD = struct.Struct("<I")


def _discover(provider: Ground) -> tuple[int, int]:
    if provider.info.iAddressFamily == AF_INET6:
        return IPPROTO_IPV6, _HOST_IPV6_MTU_DISCOVER
    return IPPROTO_IP, _HOST_IP_MTU_DISCOVER


def _get_multicast_interface(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    if record is not None and record.multicast_index:
        return record.multicast_index
    return raw.getsockopt(s, IPPROTO_IP, socket.IP_MULTICAST_IF, 4)


def _set_multicast_interface(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    if isinstance(value, int):  # a DWORD in network order, as inet_addr and htonl make them
        value = _DWORD.pack(number(value) & 0xFFFFFFFF)
    raw.setsockopt(s, IPPROTO_IP, socket.IP_MULTICAST_IF, CODECS["in_addr"].encode(value))
    if record is not None:  # the kernel tells addresses only
        record.multicast_index = value[:4] if isinstance(value, bytes) and is_index(value[:4]) else b""


def _get_unicast_interface(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return _INDEX.unpack(raw.getsockopt(s, IPPROTO_IP, _HOST_IP_UNICAST_IF, _INDEX.size))[0]  # type: ignore[no-any-return]


def _set_unicast_interface(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    raw.setsockopt(s, IPPROTO_IP, _HOST_IP_UNICAST_IF, CODECS["dword"].encode(value))


def _get_errors(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return 0 if record is None else int(record.wants_errors)


def _set_errors(level: int, optname: int) -> _Set:
    def set_errors(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
        assert record is not None
        on = number(value) != 0
        raw.setsockopt(s, level, optname, CODECS["bool"].encode(int(on or record.hears_errors)))
        record.wants_errors = on

    return set_errors


def _get_broadcasts(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(require_own(record, "IP_RECEIVE_BROADCAST").takes_broadcasts)


def _set_broadcasts(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    from winsock.base.inet import broadcasts

    broadcasts.let_in(require_own(record, "IP_RECEIVE_BROADCAST"), on=number(value) != 0)


def _get_discover(provider: Ground, s: int, record: OwnSocket | None) -> int:
    host = CODECS["int"].decode(raw.getsockopt(s, *_discover(provider), 4))
    assert isinstance(host, int)
    return _WINDOWS_DISCOVER.get(host, 0)


def _set_discover(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    host = _HOST_DISCOVER.get(number(value))
    if host is None:
        raise WinsockError(WSAEINVAL, f"optval: {value!r} is none of IP_PMTUDISC_DO (1), DONT (2), PROBE (3)")
    raw.setsockopt(s, *_discover(provider), CODECS["int"].encode(host))


def _get_dont_fragment(provider: Ground, s: int, record: OwnSocket | None) -> int:
    return int(_get_discover(provider, s, record) == _WINDOWS_DISCOVER[_DO])


def _set_dont_fragment(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    _set_discover(provider, s, record, _WINDOWS_DISCOVER[_DO if number(value) else _DONT])


def _get_header(provider: Ground, s: int, record: OwnSocket | None) -> int:
    _require_raw(record)
    return int(any(raw.getsockopt(s, IPPROTO_IP, socket.IP_HDRINCL, 4)))


def _set_header(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    _require_raw(record)
    raw.setsockopt(s, IPPROTO_IP, socket.IP_HDRINCL, CODECS["bool"].encode(value))


def _require_raw(record: OwnSocket | None) -> None:
    if record is None or record.raw_protocol is None:
        raise WinsockError(WSAEINVAL, "optname: IP_HDRINCL is for raw sockets")


def _get_type_of_service(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    return CODECS["dword"].decode(raw.getsockopt(s, IPPROTO_IP, socket.IP_TOS, 4))


def _set_type_of_service(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    if not 0 <= number(value) <= 0xFF:
        raise WinsockError(WSAEINVAL, f"optval: {value!r} is no type of service, which has 8 bits")
    raw.setsockopt(s, IPPROTO_IP, socket.IP_TOS, CODECS["dword"].encode(value))


def _get_v6_only(provider: Ground, s: int, record: OwnSocket | None) -> int:
    if provider.info.iAddressFamily == AF_INET:
        return 1  # Windows answers so on a socket of IPv4 too
    if record is not None and record.raw_protocol is not None:
        return 1  # which the kernel knows nothing of
    return int(any(raw.getsockopt(s, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 4)))


def _set_v6_only(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    assert record is not None
    if record.raw_protocol is not None and number(value):
        return
    if is_bound(record):
        raise WinsockError(WSAEINVAL, "s: IPV6_V6ONLY must be set before bind")
    data = CODECS["bool"].encode(value)
    if provider.info.iAddressFamily == AF_INET6:
        raw.setsockopt(s, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, data)


def _get_user_mtu(provider: Ground, s: int, record: OwnSocket | None) -> int:
    _require_ipv6(provider)
    return IP_UNSPECIFIED_USER_MTU if record is None else record.user_mtu


def _set_user_mtu(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    _require_ipv6(provider)
    bound = number(value) & 0xFFFFFFFF
    host = 0 if bound == IP_UNSPECIFIED_USER_MTU else bound
    raw.setsockopt(s, IPPROTO_IPV6, _HOST_IPV6_MTU, CODECS["dword"].encode(host))
    if record is not None:
        record.user_mtu = bound


def _require_ipv6(provider: Ground) -> None:
    if provider.info.iAddressFamily != AF_INET6:
        raise WinsockError(WSAENOPROTOOPT, "optname: IPV6_USER_MTU is for IPv6 only")


EMULATED_OF_IP: dict[tuple[int, int], Emulated] = {
    (IPPROTO_IP, IP_DONTFRAGMENT): Emulated(_get_dont_fragment, _set_dont_fragment),
    (IPPROTO_IP, IP_RECEIVE_BROADCAST): Emulated(_get_broadcasts, _set_broadcasts),
    (IPPROTO_IP, IP_MTU_DISCOVER): Emulated(_get_discover, _set_discover),
    (IPPROTO_IPV6, IPV6_MTU_DISCOVER): Emulated(_get_discover, _set_discover),
    (IPPROTO_IPV6, IPV6_USER_MTU): Emulated(_get_user_mtu, _set_user_mtu),
    # The host's own, but Windows answers otherwise in a corner; for sockets of our own
    (IPPROTO_IP, IP_HDRINCL): Emulated(_get_header, _set_header),
    (IPPROTO_IP, IP_MULTICAST_IF): Emulated(_get_multicast_interface, _set_multicast_interface),
    (IPPROTO_IP, IP_RECVERR): Emulated(_get_errors, _set_errors(IPPROTO_IP, _HOST_IP_RECVERR)),
    (IPPROTO_IPV6, IPV6_RECVERR): Emulated(_get_errors, _set_errors(IPPROTO_IPV6, _HOST_IPV6_RECVERR)),
    (IPPROTO_IP, IP_UNICAST_IF): Emulated(_get_unicast_interface, _set_unicast_interface),
    (IPPROTO_IP, IP_TOS): Emulated(_get_type_of_service, _set_type_of_service),
    (IPPROTO_IPV6, IPV6_V6ONLY): Emulated(_get_v6_only, _set_v6_only),
}
