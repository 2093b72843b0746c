"""Values of options as callers give them: numbers, also as the bytes of a DWORD, and the two numbers of a linger."""

from __future__ import annotations

import struct

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.options import Linger

_DWORD = struct.Struct("<I")
_LINGER = struct.Struct("<HH")


def number(value: object) -> int:
    """The int of a value, which may be given as the bytes of a DWORD; WSAEINVAL and WSAEFAULT where it is none."""
    if isinstance(value, int):
        if -0x80000000 <= value <= 0xFFFFFFFF:
            return value
        raise WinsockError(WSAEINVAL, f"optval: {value} does not fit 32 bits")
    if isinstance(value, bytes):
        if not value:
            raise WinsockError(WSAEFAULT, "optval: there are no bytes")
        return int(_DWORD.unpack(value[:4].ljust(4, b"\0"))[0])
    raise WinsockError(WSAEFAULT, f"optval: {value!r} is no number")


def linger(value: object) -> Linger:
    """The two numbers of a linger value, also given as a plain tuple or as Windows' bytes."""
    if isinstance(value, bytes) and len(value) >= _LINGER.size:
        value = _LINGER.unpack_from(value)
    if not isinstance(value, tuple) or len(value) != 2:
        raise WinsockError(WSAEFAULT, f"optval: {value!r} is no Linger(onoff, seconds)")
    if not 0 <= value[1] <= 0xFFFF:
        raise WinsockError(WSAEINVAL, f"optval: {value[1]} seconds do not fit 16 bits")
    return Linger(*value)
