"""getsockopt and setsockopt of the rows that a layer names.

What a layer did not change is answered, and set, exactly as the kernel would: in the kernel's own bytes. So a value
travels with the bytes that it came from (`HostValue`), and only a value that a layer put in its place is laid out anew.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING

from winsock.abi.errors import ErrorCode
from winsock.abi.options import Option, find_host
from winsock.supervisor.calls.call import PASSED, Answer, Call

if TYPE_CHECKING:
    from winsock.spi.provider import OptionValue
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.serving import Supervisor

_INT = struct.Struct("=i")
_TWO_INTS = struct.Struct("=ii")
_TIMEVAL = struct.Struct("=qq")
_LONGEST = 512


def getsockopt(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """getsockopt(descriptor, level, option, value, length)."""
    row = _row(run, call)
    if row is None:
        return PASSED
    length = _INT.unpack(call.read(call.arguments[4], 4))[0]
    if length < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    value = lay_out(row, socket.table.WSPGetSockOpt(socket.slot, row.level, row.optname))[:length]
    if value:
        call.write(call.arguments[3], value)
    call.write(call.arguments[4], _INT.pack(len(value)))
    return 0


def setsockopt(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """setsockopt(descriptor, level, option, value, length)."""
    row = _row(run, call)
    length = call.int_argument(4)
    if row is None or not 0 < length <= _LONGEST:
        return PASSED
    data = call.read(call.arguments[3], length)
    run.still_waiting(call)
    socket.table.WSPSetSockOpt(socket.slot, row.level, row.optname, read_value(row, data))
    return 0


def _row(run: Supervisor, call: Call) -> Option | None:
    """The option's row, where this chain asked for it."""
    pair = call.int_argument(1), call.int_argument(2)
    return find_host(*pair) if pair in run.wanted_options[call.row.call] else None


def lay_out(row: Option, value: OptionValue) -> bytes:
    """A value as the kernel lays it out."""
    if isinstance(value, bytes):
        return value
    if row.type == "timeval_ms" and isinstance(value, int):
        return _TIMEVAL.pack(value // 1000, value % 1000 * 1000)
    if isinstance(value, ErrorCode):
        return _INT.pack(value.errno)
    if isinstance(value, int):
        return struct.pack("=I", value & 0xFFFFFFFF)
    return _TWO_INTS.pack(*value)


def read_value(row: Option, data: bytes) -> OptionValue:
    """A value from the kernel's layout; bytes where it is not of the row's plain form."""
    if row.type == "timeval_ms" and len(data) >= _TIMEVAL.size:
        seconds, microseconds = _TIMEVAL.unpack_from(data)
        return data if microseconds % 1000 else int(seconds * 1000 + microseconds // 1000)
    if row.type == "linger" and len(data) >= _TWO_INTS.size:
        return tuple(_TWO_INTS.unpack_from(data))
    if len(data) >= _INT.size and row.type in ("bool", "int", "dword"):
        return int(_INT.unpack_from(data)[0])
    return data
