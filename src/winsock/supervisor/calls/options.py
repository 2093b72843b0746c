"""getsockopt and setsockopt of the rows that a layer names.

What a layer did not change is answered, and set, exactly as the kernel would: in the kernel's own bytes. So the base
provider and these functions hand each other the bytes beside the value (`calling.local.option`), and only a value that
a layer put in its place is laid out anew.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from winsock.abi.options import Option, find_host
from winsock.base.inet import raw
from winsock.base.inet.option_values import CODECS, decode, encode
from winsock.spi import calling
from winsock.supervisor.calls.call import PASSED, Answer, Call

if TYPE_CHECKING:
    from winsock.spi.provider import OptionValue
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.serving import Supervisor

_INT = struct.Struct("=i")
_IPPROTO_IP = 0
_LONGEST = 64
"""Bytes of such an option at most: the name of an algorithm is 16."""


def getsockopt(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """getsockopt(descriptor, level, option, value, length)."""
    row = _row(run, call)
    if row is None:
        return PASSED
    length = _INT.unpack(call.read(call.arguments[4], 4))[0]
    if length < 0:
        return PASSED  # refused by the kernel, but for some rows of IPv6, where that is a large buffer
    calling.local.option = None
    value = socket.table.WSPGetSockOpt(socket.slot, row.level, row.optname)
    data = _bytes_of(row, value)
    if row.host_level == _IPPROTO_IP and length < _INT.size == len(data) and _INT.unpack(data)[0] in range(0x100):
        length = min(length, 1)  # the kernel's own shorthand
    data = data[:length]
    if data:
        call.write(call.arguments[3], data)
    call.write(call.arguments[4], _INT.pack(len(data)))
    return 0


def setsockopt(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """setsockopt(descriptor, level, option, value, length)."""
    row = _row(run, call)
    length = call.int_argument(4)
    if run.relays is not None and row is None:
        return _set_raw(run, call, socket, length)
    if row is None or not row.set or length <= 0:
        return PASSED  # in the last two cases to be refused by the kernel
    data = call.read(call.arguments[3], min(length, CODECS[row.type].size))
    value = decode(row.type, data)
    calling.local.option = value, data
    try:
        with run.rights_of(call):
            socket.table.WSPSetSockOpt(socket.slot, row.level, row.optname, value)
    finally:
        calling.local.option = None
    if run.relays is not None:
        socket.remember_option(call.int_argument(1), call.int_argument(2), data)
    return 0


def _set_raw(run: Supervisor, call: Call, socket: Socket, length: int) -> Answer:
    """An option that Windows does not have and that a relay carries over."""
    pair = call.int_argument(1), call.int_argument(2)
    if pair not in run.wanted_options[call.row.call] or not 0 < length <= _LONGEST:
        return PASSED
    data = call.read(call.arguments[3], length)
    with run.rights_of(call):
        raw.setsockopt(socket.slot, *pair, data)
        if socket.relayed is not None:
            socket.relayed.set_raw(*pair, data)
    socket.remember_option(*pair, data)
    return 0


def _row(run: Supervisor, call: Call) -> Option | None:
    """The option's row, where this chain asked for it."""
    pair = call.int_argument(1), call.int_argument(2)
    return find_host(*pair) if pair in run.wanted_options[call.row.call] else None


def _bytes_of(row: Option, value: OptionValue) -> bytes:
    """The value in the kernel's layout."""
    told = calling.local.option
    if told is not None and told[0] is value:
        return told[1]
    return encode(row.type, value)
