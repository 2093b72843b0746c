"""Byte order: between this host's and the network's, which is big-endian.

As in C, numbers are cut to their width. WSAHtonl and its kin use the byte order of the socket's protocol.
"""

from __future__ import annotations

import struct
import sys

from winsock.abi.constants import BIGENDIAN
from winsock.dispatcher.route import find, function

_SWAPS = sys.byteorder == "little"


def _swap(value: int, size: int) -> int:
    value &= (1 << 8 * size) - 1
    return int.from_bytes(value.to_bytes(size, "little"), "big") if _SWAPS else value


@function
def htons(hostshort: int) -> int:
    """16 bits from host to network order. Source: nf-winsock2-htons."""
    return _swap(hostshort, 2)


@function
def ntohs(netshort: int) -> int:
    """16 bits from network to host order. Source: nf-winsock2-ntohs."""
    return _swap(netshort, 2)


@function
def htonl(hostlong: int) -> int:
    """32 bits from host to network order. Source: nf-winsock2-htonl."""
    return _swap(hostlong, 4)


@function
def ntohl(netlong: int) -> int:
    """32 bits from network to host order. Source: nf-winsock2-ntohl."""
    return _swap(netlong, 4)


@function
def htonll(value: int) -> int:
    """64 bits from host to network order. Source: nf-winsock2-htonll."""
    return _swap(value, 8)


@function
def ntohll(value: int) -> int:
    """64 bits from network to host order. Source: nf-winsock2-ntohll."""
    return _swap(value, 8)


@function
def htonf(value: float) -> int:
    """A 32-bit float as an integer in network order. Source: nf-winsock2-htonf."""
    return _swap(int(struct.unpack("=I", struct.pack("=f", value))[0]), 4)


@function
def ntohf(value: int) -> float:
    """The 32-bit float of an integer in network order. Source: nf-winsock2-ntohf."""
    return float(struct.unpack("=f", struct.pack("=I", _swap(value, 4)))[0])


@function
def htond(value: float) -> int:
    """A 64-bit float as an integer in network order. Source: nf-winsock2-htond."""
    return _swap(int(struct.unpack("=Q", struct.pack("=d", value))[0]), 8)


@function
def ntohd(value: int) -> float:
    """The 64-bit float of an integer in network order. Source: nf-winsock2-ntohd."""
    return float(struct.unpack("=d", struct.pack("=Q", _swap(value, 8)))[0])


@function
def WSAHtons(s: int, hostshort: int) -> int:
    """16 bits from host order to that of the socket's protocol. Raises WSAENOTSOCK. Source: nf-winsock2-wsahtons."""
    return _by_protocol(s, hostshort, 2)


@function
def WSANtohs(s: int, netshort: int) -> int:
    """16 bits from the socket's protocol's order to the host's. Raises WSAENOTSOCK. Source: nf-winsock2-wsantohs."""
    return _by_protocol(s, netshort, 2)


@function
def WSAHtonl(s: int, hostlong: int) -> int:
    """32 bits from host order to that of the socket's protocol. Raises WSAENOTSOCK. Source: nf-winsock2-wsahtonl."""
    return _by_protocol(s, hostlong, 4)


@function
def WSANtohl(s: int, netlong: int) -> int:
    """32 bits from the socket's protocol's order to the host's. Raises WSAENOTSOCK. Source: nf-winsock2-wsantohl."""
    return _by_protocol(s, netlong, 4)


def _by_protocol(s: int, value: int, size: int) -> int:
    big = find(s).entry.info.iNetworkByteOrder == BIGENDIAN
    if big == _SWAPS:
        value &= (1 << 8 * size) - 1
        return int.from_bytes(value.to_bytes(size, "little"), "big")
    return value & (1 << 8 * size) - 1
