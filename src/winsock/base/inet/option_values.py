"""Values of socket options: Python's on one side, the kernel's bytes on the other, Windows' where bytes are given.

One row a type of `winsock.abi.options`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from winsock.abi.constants import AF_INET
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAENOPROTOOPT, ErrorCode, WinsockError
from winsock.abi.options import Linger
from winsock.base.inet.addresses import HOST_FAMILIES
from winsock.core.option_numbers import linger, number
from winsock.spi.provider import OptionValue

if TYPE_CHECKING:
    from winsock.base.inet.ground import Ground
    from winsock.base.inet.own import OwnSocket

_INT = struct.Struct("=i")
_LINGER = struct.Struct("=ii")
_TIMEVAL = struct.Struct("@ll")
_FOR_EVER_MS = 0xFFFFFFFF
_LONGEST_MS = 0x7FFFFFFF
_MOST_IP_OPTIONS = 40
_GROUP_AT, _SOURCE_AT = 8, 136


class Codec(NamedTuple):
    """How one type is read and written."""

    size: int
    """Bytes that the kernel needs."""
    encode: Callable[[OptionValue], bytes]
    decode: Callable[[bytes], OptionValue]


def require_own(record: OwnSocket | None, name: str) -> OwnSocket:
    """What we know of a socket that this process has made; WSAENOPROTOOPT for any other, to which `name` is nothing."""
    if record is None:
        raise WinsockError(WSAENOPROTOOPT, f"optname: {name} is for sockets of this process's own")
    return record


class Emulated(NamedTuple):
    """What an emulated option reads and sets."""

    get: Callable[[Ground, int, OwnSocket | None], OptionValue]
    set: Callable[[Ground, int, OwnSocket | None, OptionValue], None] | None = None


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


def _encode_limit(value: OptionValue) -> bytes:
    """Milliseconds, or -1 for no limit, which the kernel does not know: its longest time stands for that."""
    milliseconds = number(value)
    return _encode_number(_LONGEST_MS if milliseconds & 0xFFFFFFFF == _FOR_EVER_MS else milliseconds)


def _decode_limit(data: bytes) -> int:
    milliseconds = _decode_int(data)
    return _FOR_EVER_MS if milliseconds == _LONGEST_MS else milliseconds


def _encode_seconds(value: OptionValue) -> bytes:
    seconds = number(value)
    return _encode_limit(value if seconds & 0xFFFFFFFF == _FOR_EVER_MS else seconds * 1000)


def _decode_seconds(data: bytes) -> int:
    milliseconds = _decode_limit(data)
    return milliseconds if milliseconds == _FOR_EVER_MS else -(-milliseconds // 1000)


def _sized(size: int, rearrange: Callable[[bytes], bytes] = lambda value: value) -> Codec:
    """A structure given as bytes in Windows' layout."""

    def encode(value: OptionValue) -> bytes:
        if not isinstance(value, bytes) or len(value) < size:
            raise WinsockError(WSAEFAULT, f"optval: {size} bytes are needed, not {value!r}")
        return rearrange(value[:size])

    return Codec(size, encode, lambda data: data)


def _options_of_header(value: OptionValue) -> bytes:
    if not isinstance(value, bytes):
        raise WinsockError(WSAEFAULT, f"optval: {value!r} are no options of a header")
    if len(value) > _MOST_IP_OPTIONS:
        raise WinsockError(WSAEINVAL, f"optval: a header has {_MOST_IP_OPTIONS} bytes of options at most")
    return value


def is_index(interface: bytes) -> bool:
    """Whether four bytes name an IPv4 interface by its index, as those of 0.x.x.x do, and by no address."""
    return interface[0] == 0 and any(interface)


def _by_index(value: bytes) -> bytes:
    """The interface that ends a structure, the kernel's ip_mreqn where it is an index."""
    rest, interface = value[:-4], value[-4:]
    if not is_index(interface):
        return value
    return rest.rjust(4, b"\0") + bytes(4) + _INT.pack(int.from_bytes(interface, "big"))


def _swap_source_and_interface(value: bytes) -> bytes:
    group, source, interface = value[:4], value[4:8], value[8:12]
    return group + (_address_at(interface) if is_index(interface) else interface) + source


def _address_at(interface: bytes) -> bytes:
    """An address of the interface with this index, which alone the kernel takes here; the index where it has none."""
    from winsock.base.inet.interfaces import interfaces

    index = int.from_bytes(interface, "big")
    found = (one.address.host for one in interfaces(AF_INET) if one.number == index)
    host = next(found, None)
    return interface if host is None else socket.inet_aton(host)


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
    "seconds_ms": Codec(4, _encode_seconds, _decode_seconds),
    "limit_ms": Codec(4, _encode_limit, _decode_limit),
    "ifindex_be": _INDEX,
    "in_addr": _sized(4, _by_index),
    "ip_mreq": _sized(8, _by_index),
    "ipv6_mreq": _sized(20),
    "ip_mreq_source": _sized(12, _swap_source_and_interface),
    "ip_options": Codec(_MOST_IP_OPTIONS, _options_of_header, lambda data: data),
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
