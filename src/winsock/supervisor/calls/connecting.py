"""connect, and sends that connect on the way (MSG_FASTOPEN)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING

from winsock import host
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.host.numbers import SOCK_DGRAM, SOCK_STREAM
from winsock.supervisor.calls.call import LONGEST_NAME, PASSED, Answer, Call, current, decode_address
from winsock.supervisor.filter import MSG_FASTOPEN

if TYPE_CHECKING:
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.serving import Supervisor

_MSGHDR = struct.Struct("=QixxxxQQQQixxxx")
_IOVEC = struct.Struct("=QQ")
_MOST_SENT = 65536
_NOBODY = bytes(2)
"""AF_UNSPEC."""
_MOST_VECTORS = 1024


def connect(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """connect(descriptor, address, length): the chain connects the program's own socket."""
    _connect(run, call, socket, call.read_name(call.arguments[1], call.int_argument(2)))
    return 0


def check_name(call: Call) -> None:
    """The kernel reads the address before it looks for a socket."""
    call.read_name(call.arguments[1], call.int_argument(2))


def sendto(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """sendto with MSG_FASTOPEN: a connect and a send in one."""
    if not _opens(socket, call.arguments[4]):
        return PASSED
    name = call.read_name(call.arguments[4], call.int_argument(5))
    data = _read_data(call, [(call.arguments[1], call.arguments[2])])
    return _connect_and_send(run, call, socket, name, data, call.int_argument(3))


def sendmsg(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """sendmsg with MSG_FASTOPEN; a message with control data is refused as where fast open is switched off."""
    header = call.read(call.arguments[1], _MSGHDR.size)
    name_at, name_length, vectors, count, _, control_length, _ = _MSGHDR.unpack(header)
    if not _opens(socket, name_at):
        return PASSED
    if control_length or count > _MOST_VECTORS:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    name = call.read_name(name_at, min(name_length, LONGEST_NAME) if name_length >= 0 else name_length)
    table = b"".join(call.read(vectors + at, _IOVEC.size) for at in range(0, count * _IOVEC.size, _IOVEC.size))
    data = _read_data(call, list(_IOVEC.iter_unpack(table)))
    return _connect_and_send(run, call, socket, name, data, call.int_argument(2))


def sendmmsg(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """sendmmsg with MSG_FASTOPEN: refused on a stream, as where fast open is switched off."""
    if socket.kind.type != SOCK_STREAM:
        return PASSED
    run.report.refused("sendmmsg with MSG_FASTOPEN")
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def _opens(socket: Socket, name: int) -> bool:
    """Whether the flag means anything: on a stream, with an address."""
    return socket.kind.type == SOCK_STREAM and name != 0


def _connect(run: Supervisor, call: Call, socket: Socket, name: bytes) -> None:
    run.still_waiting(call)
    address = decode_address(name, socket.kind.domain, socket.kind.type == SOCK_DGRAM)
    if address is None:
        _be_refused(socket, name)
        return
    if not is_loopback(address) and not fcntl.fcntl(socket.slot, fcntl.F_GETFL) & os.O_NONBLOCK:
        run.about_to_wait(call)
    current.call = call
    socket.table.WSPConnect(socket.slot, address)


def _be_refused(socket: Socket, name: bytes) -> None:
    """No address for this socket: only the kernel knows with which of its errors it says so."""
    number = host.connect(socket.slot, name)
    if number and socket.relayed is not None:
        number = socket.relayed.true_error(number)
    if number:
        raise OSError(number, os.strerror(number))


def _connect_and_send(run: Supervisor, call: Call, socket: Socket, name: bytes, data: bytes, flags: int) -> Answer:
    """Without a cookie from an earlier connection this is what fast open does too, but for one round trip."""
    if name[:2] == _NOBODY:  # which would take the connection back, but not here
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    _connect(run, call, socket, name)
    flags = flags & ~MSG_FASTOPEN
    sent = socket.table.WSPSend(socket.slot, (data,), flags & _SAME_FLAGS)
    return sent or 0


_SAME_FLAGS = 0x1 | 0x4
"""MSG_OOB and MSG_DONTROUTE, which have the same number in Windows; MSG_NOSIGNAL is the provider's own habit."""


def _read_data(call: Call, pieces: list[tuple[int, int]]) -> bytes:
    """The first 64 KiB of what is to be sent: a stream's send may be cut short."""
    data = bytearray()
    for base, length in pieces:
        at = 0
        while at < length and len(data) < _MOST_SENT:
            size = min(4096, length - at, _MOST_SENT - len(data))
            data += call.read(base + at, size)
            at += size
    return bytes(data)


def is_loopback(address: Sockaddr) -> bool:
    """Whether the peer is this machine's loopback, which answers while the call is being made."""
    if type(address) is SockaddrIn:
        return address.host.startswith("127.")
    return type(address) is SockaddrIn6 and (address.host == "::1" or address.host.startswith("::ffff:127."))
