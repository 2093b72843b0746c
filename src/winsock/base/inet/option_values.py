"""Values of socket options: Python's on one side, the kernel's bytes on the other, Windows' where bytes are given.

One row a type of `winsock.abi.options`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

from winsock.abi.errors import WSAEFAULT, ErrorCode, WinsockError
from winsock.abi.options import Linger
from winsock.base.inet.addresses import HOST_FAMILIES
from winsock.core.option_numbers import linger, number
from winsock.spi.provider import OptionValue

_INT = struct.Struct("=i")
_LINGER = struct.Struct("=ii")
_TIMEVAL = struct.Struct("@ll")
_FOR_EVER_MS = 0xFFFFFFFF
_GROUP_AT, _SOURCE_AT = 8, 136


class Codec(NamedTuple):
    """How one type is read and written."""

    size: int
    """Bytes that the kernel needs."""
    encode: Callable[[OptionValue], bytes]
    decode: Callable[[bytes], OptionValue]


def _encode_number(value: OptionValue) -> bytes:
    return _INT.pack((number(value) + 0x80000000) % 0x100000000 - 0x80000000)


def _decode_int(data: bytes) -> int:
    return int(_INT.unpack(data.ljust(_INT.size, b"\0"))[0])


def _encode_milliseconds(value: OptionValue) -> bytes:
    milliseconds = number(value) & 0xFFFFFFFF
    if milliseconds == _FOR_EVER_MS:
        milliseconds = 0
    return _TIMEVAL.pack(milliseconds // 1000, milliseconds % 1000 * 1000)


def _decode_milliseconds(data: bytes) -> int:
    seconds, microseconds = _TIMEVAL.unpack(data)
    # The kernel counts in ticks, and tells a time-out as the next tick's; it knows longer ones than Windows can tell.
    return min(int(seconds * 1000 + microseconds // 1000), _FOR_EVER_MS)


def _sized(size: int, rearrange: Callable[[bytes], bytes] = lambda value: value) -> Codec:
    """A structure given as bytes in Windows' layout."""

    def encode(value: OptionValue) -> bytes:
        if not isinstance(value, bytes) or len(value) < size:
            raise WinsockError(WSAEFAULT, f"optval: {size} bytes are needed, not {value!r}")
        return rearrange(value[:size])

    return Codec(size, encode, lambda data: data)


def _swap_source_and_interface(value: bytes) -> bytes:
    return value[:4] + value[8:12] + value[4:8]


def _host_family_at(*offsets: int) -> Callable[[bytes], bytes]:
    def rearrange(value: bytes) -> bytes:
        data = bytearray(value)
        for at in offsets:
            family = int.from_bytes(data[at : at + 2], "little")
            struct.pack_into("=H", data, at, HOST_FAMILIES.get(family, family))
        return bytes(data)

    return rearrange


_INDEX = Codec(
    4,
    lambda value: _encode_number(socket.htonl(number(value) & 0xFFFFFFFF)),
    lambda data: socket.ntohl(_decode_int(data) & 0xFFFFFFFF),
)

CODECS: dict[str, Codec] = {
    "bool": Codec(4, lambda value: _INT.pack(number(value) != 0), lambda data: int(any(data))),
    "int": Codec(4, _encode_number, _decode_int),
    "dword": Codec(4, _encode_number, lambda data: _decode_int(data) & 0xFFFFFFFF),
    "error": Codec(4, _encode_number, lambda data: ErrorCode.of_errno(_decode_int(data))),
    "linger": Codec(8, lambda value: _LINGER.pack(*linger(value)), lambda data: Linger(*_LINGER.unpack(data))),
    "timeval_ms": Codec(_TIMEVAL.size, _encode_milliseconds, _decode_milliseconds),
    "seconds_ms": Codec(
        4,
        lambda value: _encode_number(number(value) * 1000),
        lambda data: -(-_decode_int(data) // 1000),
    ),
    "ifindex_be": _INDEX,
    "in_addr": _sized(4),
    "ip_mreq": _sized(8),
    "ipv6_mreq": _sized(20),
    "ip_mreq_source": _sized(12, _swap_source_and_interface),
    "group_req": _sized(136, _host_family_at(_GROUP_AT)),
    "group_source_req": _sized(264, _host_family_at(_GROUP_AT, _SOURCE_AT)),
}


def encode(row_type: str, value: OptionValue) -> bytes:
    """What a program of this host reads where Winsock has this value; an error is the kernel's own number to it."""
    if isinstance(value, ErrorCode):
        return _INT.pack(value.errno)
    return CODECS[row_type].encode(value)


def decode(row_type: str, data: bytes) -> OptionValue:
    """What a program of this host means by these bytes; the bytes themselves where they are of another length."""
    codec = CODECS[row_type]
    return codec.decode(data) if len(data) == codec.size else data
