"""Control codes of multicast: loopback, scope, and which sources of a group are heard.

The kernel changes the filter of a group only for its members, where Windows and RFC 3678 let a filter that lets
somebody pass make its socket a member; so we join where need be.

Sources: "Winsock IOCTLs"; "Final-State-Based Multicast Programming"; ws2ipdef.h (IP_MSFILTER, GROUP_FILTER).
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from winsock.abi.constants import AF_INET, AF_INET6, MCAST_EXCLUDE, MCAST_INCLUDE
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAENOPROTOOPT, WinsockError
from winsock.base.inet import raw
from winsock.base.inet.addresses import HOST_FAMILIES
from winsock.base.inet.ground import Ground

_INT = struct.Struct("=i")
_INDEX = struct.Struct("=I")
_DWORD = struct.Struct("<I")
_HOST_MODES = {MCAST_INCLUDE: 1, MCAST_EXCLUDE: 0}
_MODES = {host: windows for windows, host in _HOST_MODES.items()}
_LEVELS = {AF_INET: socket.IPPROTO_IP, AF_INET6: socket.IPPROTO_IPV6}
_LOOP = {AF_INET: 34, AF_INET6: 19}  # the kernel's IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP
_TTL = {AF_INET: 33, AF_INET6: 18}  # IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS
_IP_MULTICAST_IF = 32
_IPV6_MULTICAST_IF = 17
_MOST_SOURCES = 64
"""Room for the first look; the kernel tells how many there are."""


def loopback(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_MULTIPOINT_LOOPBACK: whether this host hears what the socket sends to groups."""
    _set(provider, s, _LOOP, any(data[:4]))
    return b""


def scope(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_MULTICAST_SCOPE: how many networks what the socket sends to groups may come to; 0: none but this host."""
    (networks,) = _DWORD.unpack_from(data)
    if networks > 255:
        raise WinsockError(WSAEINVAL, f"in_buffer: a scope of {networks} is more than 255")
    _set(provider, s, _TTL, networks)
    return b""


def interface(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_INDEX_MCASTIF: at which interface, by index, the socket sends to groups; 0 lets the host choose."""
    (number,) = _DWORD.unpack_from(data)
    if provider.info.iAddressFamily == AF_INET6:
        raw.setsockopt(s, socket.IPPROTO_IPV6, _IPV6_MULTICAST_IF, _INDEX.pack(number))
    else:
        raw.setsockopt(s, socket.IPPROTO_IP, _IP_MULTICAST_IF, bytes(8) + _INDEX.pack(number))
    return b""


def join_at(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_INDEX_ADD_MCAST: become a member of a group at an interface by index."""
    return _change_membership(provider, s, data, _IP.join)


def leave_at(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_INDEX_DEL_MCAST: be one no more."""
    return _change_membership(provider, s, data, _IP.leave)


def _change_membership(provider: Ground, s: int, data: bytes, option: int) -> bytes:
    if provider.info.iAddressFamily != AF_INET:
        raise WinsockError(WSAENOPROTOOPT, "code: groups at interfaces by index are of IPv4")
    # ip_mreq with an index in network order for its interface; the kernel's ip_mreqn
    raw.setsockopt(s, socket.IPPROTO_IP, option, data[:4] + bytes(4) + data[7:3:-1])
    return b""


def _set(provider: Ground, s: int, options: dict[int, int], value: int) -> None:
    family = provider.info.iAddressFamily
    raw.setsockopt(s, _LEVELS[family], options[family], _INT.pack(value))


# Source filters.


class _Filter(NamedTuple):
    """One of the two structures: a group at an interface, a mode, and the sources, each of the same size."""

    size: int
    """Of what precedes the sources."""
    key: slice
    """Group and interface."""
    mode_at: int
    count_at: int
    source_size: int
    option: int
    """The kernel's."""
    join: int
    leave: int
    families_at: tuple[int, ...]
    """Where the structure has numbers of address families; the sources have one at their beginning."""

    def sources(self, data: bytes) -> list[bytes]:
        """Those of a structure."""
        (count,) = _DWORD.unpack_from(data, self.count_at)
        if len(data) < self.size + count * self.source_size:
            raise WinsockError(WSAEFAULT, f"in_buffer: {count} sources do not fit {len(data)} bytes")
        ends = range(self.size, self.size + count * self.source_size, self.source_size)
        return [data[at : at + self.source_size] for at in ends]

    def translated(self, data: bytes, families: dict[int, int]) -> bytes:
        """The structure with other numbers for families."""
        found = bytearray(data)
        sources = range(self.size, len(data), self.source_size) if self.families_at else ()
        for at in (*self.families_at, *sources):
            (family,) = struct.unpack_from("<H", found, at)
            struct.pack_into("<H", found, at, families.get(family, family))
        return bytes(found)


_IP = _Filter(16, slice(0, 8), 8, 12, 4, option=41, join=35, leave=36, families_at=())  # IP_MSFILTER
_GROUP = _Filter(144, slice(0, 136), 136, 140, 128, option=48, join=42, leave=45, families_at=(8,))  # MCAST_MSFILTER


def set_filter(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_SET_MULTICAST_FILTER: whom a socket of IPv4 hears in a group."""
    _require_ipv4(provider)
    return _set_filter(_IP, socket.IPPROTO_IP, s, data)


def get_filter(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_GET_MULTICAST_FILTER: the same, told with all its sources."""
    _require_ipv4(provider)
    return _get_filter(_IP, socket.IPPROTO_IP, s, data)


def set_group_filter(provider: Ground, s: int, data: bytes) -> bytes:
    """SIOCSMSFILTER: whom a socket of either family hears in a group."""
    return _set_filter(_GROUP, _LEVELS[provider.info.iAddressFamily], s, data)


def get_group_filter(provider: Ground, s: int, data: bytes) -> bytes:
    """SIOCGMSFILTER: the same, told with all its sources."""
    return _get_filter(_GROUP, _LEVELS[provider.info.iAddressFamily], s, data)


def _require_ipv4(provider: Ground) -> None:
    if provider.info.iAddressFamily != AF_INET:
        raise WinsockError(WSAENOPROTOOPT, "code: this filter is of IPv4")


def _set_filter(layout: _Filter, level: int, s: int, data: bytes) -> bytes:
    (mode,) = _DWORD.unpack_from(data, layout.mode_at)
    if mode not in _HOST_MODES:
        raise WinsockError(WSAEINVAL, f"in_buffer: {mode} is neither MCAST_INCLUDE (0) nor MCAST_EXCLUDE (1)")
    given = bytearray(data[: layout.size] + b"".join(layout.sources(data)))
    _INT.pack_into(given, layout.mode_at, _HOST_MODES[mode])
    wanted = layout.translated(bytes(given), HOST_FAMILIES)
    try:
        raw.setsockopt(s, level, layout.option, wanted)
    except WinsockError as error:
        if error.errno != errno.EINVAL:
            raise
        _join_and_set(layout, level, s, wanted)
    return b""


def _join_and_set(layout: _Filter, level: int, s: int, wanted: bytes) -> None:
    group = wanted[layout.key]
    raw.setsockopt(s, level, layout.join, group)
    try:
        raw.setsockopt(s, level, layout.option, wanted)
    except WinsockError:
        raw.setsockopt(s, level, layout.leave, group)
        raise


def _get_filter(layout: _Filter, level: int, s: int, data: bytes) -> bytes:
    asked = bytearray(layout.translated(data[: layout.size].ljust(layout.size, b"\0"), HOST_FAMILIES))
    room = _MOST_SOURCES
    while True:
        _DWORD.pack_into(asked, layout.count_at, room)
        told = raw.exchange_option(
            s, level, layout.option, bytes(asked).ljust(layout.size + room * layout.source_size, b"\0")
        )
        (count,) = _DWORD.unpack_from(told, layout.count_at)
        if count <= room:
            break
        room = count
    found = bytearray(told[: layout.size + count * layout.source_size])
    (mode,) = _INT.unpack_from(found, layout.mode_at)
    _DWORD.pack_into(found, layout.mode_at, _MODES[mode])
    return layout.translated(bytes(found), {host: windows for windows, host in HOST_FAMILIES.items()})
