"""WSASendMsg: the control data that goes with one datagram, one row an object.

Windows' objects become the host's: other numbers, and for some another structure. The congestion bits (IP_ECN) are a
part of what the host has as one number with the rest of the type of service; that rest is the socket's, or comes with
the same message.

An object of IPv4 goes with a message over IPv4, also where a socket of both families sends it, one of IPv6 with the
others. What has no row here is refused with WSAEINVAL.

Sources: nf-winsock2-wsasendmsg, ns-ws2def-wsamsg, winsock-ecn, ipproto-udp-socket-options.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from winsock.abi.constants import (
    AF_INET,
    IP_ECN,
    IP_HOPLIMIT,
    IP_PKTINFO,
    IP_TCLASS,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_UDP,
    IPV6_ECN,
    IPV6_HOPLIMIT,
    IPV6_HOPOPTS,
    IPV6_PKTINFO,
    IPV6_TCLASS,
    SOCK_DGRAM,
    SOCK_STREAM,
    UDP_SEND_MSG_SIZE,
)
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.message import WSACMSGHDR, WSAMSG, unpack_control
from winsock.abi.sockaddr import Sockaddr, SockaddrIn6, coerce
from winsock.base.inet import raw
from winsock.base.inet.own import Control

if TYPE_CHECKING:
    from winsock.base.inet.data import Data

_INT, _DWORD, _SIZE = struct.Struct("=i"), struct.Struct("<I"), struct.Struct("=H")
_MAPPED = bytes(10) + b"\xff\xff"
_CONGESTED = 3
"""The one of the four values of congestion bits that routers alone may send."""
_HOST_TOS = (socket.IPPROTO_IP, int(socket.IP_TOS))
_HOST_TTL = (socket.IPPROTO_IP, int(socket.IP_TTL))
_HOST_PKTINFO = (socket.IPPROTO_IP, 8)
_HOST_TCLASS = (socket.IPPROTO_IPV6, 67)
_HOST_HOPLIMIT = (socket.IPPROTO_IPV6, 52)
_HOST_HOPOPTS = (socket.IPPROTO_IPV6, 54)
_HOST_PKTINFO6 = (socket.IPPROTO_IPV6, 50)
_HOST_SEGMENT = (socket.IPPROTO_UDP, 103)

_Host = tuple[int, int]


class Row(NamedTuple):
    """One object of control data."""

    host: _Host
    """The host's level and type."""
    size: int
    """Bytes of data, at the least."""
    translate: Callable[[bytes], bytes]
    """The host's data, from Windows'; empty for nothing at all."""
    types: tuple[int, ...] = ()
    """The sockets that it is for, where not for all that have messages."""


def _number(least: int, most: int) -> Callable[[bytes], bytes]:
    def translate(data: bytes) -> bytes:
        (value,) = _INT.unpack_from(data)
        if not least <= value <= most:
            raise WinsockError(WSAEINVAL, f"control: {value} is not between {least} and {most}")
        return _INT.pack(value)

    return translate


def _source(data: bytes) -> bytes:
    """in_pktinfo: address and interface; the host has the interface first, and the address where it was sent to."""
    return _INT.pack(*_INT.unpack_from(data, 4)) + data[:4] + bytes(4)


def _segment(data: bytes) -> bytes:
    (size,) = _DWORD.unpack_from(data)
    if size > 0xFFFF:
        raise WinsockError(WSAEINVAL, f"control: segments of {size} bytes are longer than any datagram")
    return _SIZE.pack(size) if size else b""


def _as_it_is(data: bytes) -> bytes:
    return data


_ECN = _number(0, _CONGESTED - 1)

ROWS: dict[tuple[int, int], Row] = {
    (IPPROTO_IP, IP_PKTINFO): Row(_HOST_PKTINFO, 8, _source),
    (IPPROTO_IP, IP_TOS): Row(_HOST_TOS, 4, _number(0, 0xFF)),
    (IPPROTO_IP, IP_TCLASS): Row(_HOST_TOS, 4, _number(0, 0xFF)),
    (IPPROTO_IP, IP_ECN): Row(_HOST_TOS, 4, _ECN),
    (IPPROTO_IP, IP_TTL): Row(_HOST_TTL, 4, _number(1, 0xFF)),
    (IPPROTO_IP, IP_HOPLIMIT): Row(_HOST_TTL, 4, _number(1, 0xFF)),
    (IPPROTO_IPV6, IPV6_PKTINFO): Row(_HOST_PKTINFO6, 20, lambda data: data[:20]),
    (IPPROTO_IPV6, IPV6_TCLASS): Row(_HOST_TCLASS, 4, _number(0, 0xFF)),
    (IPPROTO_IPV6, IPV6_ECN): Row(_HOST_TCLASS, 4, _ECN),
    (IPPROTO_IPV6, IPV6_HOPLIMIT): Row(_HOST_HOPLIMIT, 4, _number(-1, 0xFF)),
    (IPPROTO_IPV6, IPV6_HOPOPTS): Row(_HOST_HOPOPTS, 8, _as_it_is),
    (IPPROTO_UDP, UDP_SEND_MSG_SIZE): Row(_HOST_SEGMENT, 4, _segment, (SOCK_DGRAM,)),
}
"""By Windows' level and type."""


def send(
    provider: Data,
    s: int,
    message: WSAMSG,
    flags: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> int:
    """Send a message of datagrams or raw packets; how many bytes went.

    Raises what WSPSendTo does; WSAEINVAL for a stream, and for control data that is not known here.
    """
    if not isinstance(message, WSAMSG):
        raise WinsockError(WSAEFAULT, f"message: {message!r} is no WSAMSG")
    if provider.info.iSocketType == SOCK_STREAM:
        raise WinsockError(WSAEINVAL, f"s: {provider.info.szProtocol} has no messages")
    to = None if message.name is None else coerce(message.name, provider.info.iAddressFamily)
    control = _translated(provider, s, to, unpack_control(message.control))
    return provider.send_message(s, message.buffers, flags, to, overlapped, control)


def _translated(provider: Data, s: int, to: Sockaddr | None, objects: list[WSACMSGHDR]) -> Control:
    """The objects as the host has them; of several of a kind, the last counts."""
    if not objects:
        return ()
    found: dict[_Host, bytes] = {}
    over = IPPROTO_IP if _is_over_ipv4(provider, s, to) else IPPROTO_IPV6
    for item in sorted(objects, key=_comes_late):
        row = ROWS.get((item.cmsg_level, item.cmsg_type))
        if row is None or item.cmsg_level not in (over, IPPROTO_UDP):
            raise _unknown(item, over)
        if row.types and provider.info.iSocketType not in row.types:
            raise WinsockError(WSAEINVAL, f"control: {_named(item)} means nothing to {provider.info.szProtocol}")
        if len(item.data) < row.size:
            raise WinsockError(WSAEINVAL, f"control: {_named(item)} has {row.size} bytes, not {len(item.data)}")
        data = row.translate(item.data)
        if _comes_late(item):
            data = _with_the_rest(s, row.host, found, data)
        if data:
            found[row.host] = data
    return [(*host, data) for host, data in found.items()]


def _comes_late(item: WSACMSGHDR) -> bool:
    """Whether it is congestion bits, which go into what others say."""
    return (item.cmsg_level, item.cmsg_type) in ((IPPROTO_IP, IP_ECN), (IPPROTO_IPV6, IPV6_ECN))


def _with_the_rest(s: int, host: _Host, found: dict[_Host, bytes], bits: bytes) -> bytes:
    rest = found.get(host) or raw.getsockopt(s, *host, _INT.size)
    return _INT.pack(_INT.unpack(rest)[0] & 0xFC | _INT.unpack(bits)[0])


def _is_over_ipv4(provider: Data, s: int, to: Sockaddr | None) -> bool:
    """Whether the message goes that way, perhaps from a socket of both families; no, where the send will fail."""
    if provider.info.iAddressFamily == AF_INET:
        return True
    try:
        address = raw.getpeername(s) if to is None else to
        return isinstance(address, SockaddrIn6) and socket.inet_pton(socket.AF_INET6, address.host)[:12] == _MAPPED
    except OSError:
        return False


def _unknown(item: WSACMSGHDR, over: int) -> WinsockError:
    protocol = "IPv4" if over == IPPROTO_IP else "IPv6"
    return WinsockError(WSAEINVAL, f"control: {_named(item)} goes with no message over {protocol}")


def _named(item: WSACMSGHDR) -> str:
    return f"the object of level {item.cmsg_level} and type {item.cmsg_type}"
