"""Control codes about the host's addresses: its interfaces, broadcast, and which address reaches what.

Sources: sio-address-list-query; sio-address-list-sort; "Winsock IOCTLs" (SIO_GET_INTERFACE_LIST,
SIO_GET_BROADCAST_ADDRESS, SIO_ROUTING_INTERFACE_QUERY); RFC 3484 for the order.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from winsock.abi import address_lists
from winsock.abi.constants import AF_INET, AF_INET6
from winsock.abi.errors import WSAEINVAL, WSAENETUNREACH, WSAENOPROTOOPT, WinsockError, from_errno
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, unpack
from winsock.base.inet import interfaces
from winsock.base.inet.addresses import host_family
from winsock.base.inet.ground import Ground
from winsock.base.inet.interfaces import InetAddress
from winsock.base.inet.sockets import require_inet

_FLAGS = struct.Struct("<I")
_GENERIC_SIZE = 24
"""sockaddr_gen, of which INTERFACE_INFO has three."""
_PROBE_PORT = 9


def query(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_ADDRESS_LIST_QUERY: what a socket can be bound to, but what is loopback's alone, or not to be chosen."""
    family = provider.info.iAddressFamily
    without = interfaces.not_preferred() if family == AF_INET6 else ()
    addresses = [
        one.address
        for one in interfaces.interfaces(family)
        if not (one.is_loopback and _is_local(one.address)) and (one.number, one.address.host) not in without
    ]
    return address_lists.pack(addresses)


def sort(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_ADDRESS_LIST_SORT: the best destination first."""
    destinations = [_of_family(provider.info, address) for address in address_lists.unpack(data)]
    destinations.sort(key=_rank)
    return address_lists.pack(destinations)


def interface_list(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_GET_INTERFACE_LIST: an INTERFACE_INFO for each address of IPv4."""
    if provider.info.iAddressFamily != AF_INET:
        raise WinsockError(WSAEINVAL, "code: SIO_GET_INTERFACE_LIST is for sockets of IPv4")
    return b"".join(
        _FLAGS.pack(one.flags)
        + _generic(one.address)
        + _generic(one.broadcast or SockaddrIn("255.255.255.255", 0))
        + _generic(one.mask)
        for one in interfaces.interfaces(AF_INET)
    )


def broadcast_address(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_GET_BROADCAST_ADDRESS: one that reaches whoever is on the network, at every interface."""
    if provider.info.iAddressFamily != AF_INET:
        raise WinsockError(WSAENOPROTOOPT, "code: SIO_GET_BROADCAST_ADDRESS is for IPv4: IPv6 has no broadcast")
    return SockaddrIn("255.255.255.255", 0).pack()


def route_to(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_ROUTING_INTERFACE_QUERY: the local address by which a destination is reached."""
    destination = require_inet(provider.info, unpack(data))
    local = _source(destination)
    if local == errno.EHOSTUNREACH:  # of a route that leads nowhere
        raise WinsockError(WSAENETUNREACH, f"in_buffer: no route to {destination.host}", errno=local)
    if isinstance(local, int):
        raise from_errno(local, f"in_buffer: no route to {destination.host}")
    return local.pack()


def _source(destination: InetAddress) -> InetAddress | int:
    """The address that a connected datagram socket gets, with port 0; an errno where there is no route."""
    with socket.socket(host_family(destination.family), socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            probe.connect(tuple(destination._replace(port=destination.port or _PROBE_PORT)))
        except OSError as error:
            return error.errno or 0
        local = probe.getsockname()
    return type(destination)(local[0], 0, *local[2:])


def _of_family(info: WSAPROTOCOL_INFO, address: Sockaddr) -> InetAddress:
    """Sockets of IPv6 take IPv4 as it is mapped there."""
    if isinstance(address, SockaddrIn) and info.iAddressFamily == AF_INET6:
        return address.mapped()
    return require_inet(info, address)


def _generic(address: InetAddress) -> bytes:
    return address.pack().ljust(_GENERIC_SIZE, b"\0")


def _is_local(address: InetAddress) -> bool:
    return _scope(_bits(address)) <= _LINK_SCOPE


# The order of destinations: RFC 3484, section 6; what it calls rules 3, 4 and 7 is about deprecated, home and
# tunnelled addresses, of which the kernel tells nothing here.

_LINK_SCOPE, _SITE_SCOPE, _GLOBAL_SCOPE = 2, 5, 14
_V4_MAPPED = 0xFFFF << 32


class _Policy(NamedTuple):
    """A row of the default policy table."""

    prefix: int
    length: int
    precedence: int
    label: int


_POLICIES = (
    _Policy(1, 128, 50, 0),  # ::1
    _Policy(_V4_MAPPED, 96, 10, 4),
    _Policy(0, 96, 20, 3),  # IPv4-compatible
    _Policy(0x2002 << 112, 16, 30, 2),  # 6to4
    _Policy(0, 0, 40, 1),
)


def _rank(destination: InetAddress) -> tuple[int, ...]:
    """Smaller is better."""
    there = _bits(destination)
    policy = _policy(there)
    source = _source(destination.unmapped() or destination if isinstance(destination, SockaddrIn6) else destination)
    if isinstance(source, int):
        return (1, 1, 1, -policy.precedence, _scope(there), 0)
    here = _bits(source)
    return (
        0,
        int(_scope(here) != _scope(there)),
        int(_policy(here).label != policy.label),
        -policy.precedence,
        _scope(there),
        (here ^ there).bit_length(),
    )


def _bits(address: InetAddress) -> int:
    """The address as 128 bits, one of IPv4 mapped."""
    if isinstance(address, SockaddrIn):
        return _V4_MAPPED | int.from_bytes(socket.inet_aton(address.host))
    return int.from_bytes(socket.inet_pton(socket.AF_INET6, address.host))


def _policy(bits: int) -> _Policy:
    return next(row for row in _POLICIES if (bits ^ row.prefix) >> (128 - row.length) == 0)


def _scope(bits: int) -> int:
    if bits >> 32 == _V4_MAPPED >> 32:
        return _LINK_SCOPE if bits >> 24 & 0xFF == 127 or bits >> 16 & 0xFFFF == 0xA9FE else _GLOBAL_SCOPE
    if bits >> 120 == 0xFF:
        return bits >> 112 & 0xF
    if bits == 1 or bits >> 118 == 0x3FA:  # ::1 and fe80::/10
        return _LINK_SCOPE
    return _SITE_SCOPE if bits >> 118 == 0x3FB else _GLOBAL_SCOPE
