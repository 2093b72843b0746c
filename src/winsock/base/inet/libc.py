"""The kernel's socket calls, made raw through the C library.

Not the `socket` module's, for three reasons. Python retries a call that a signal interrupted, so nobody could wake a
thread out of connect() or accept(); here EINTR comes back. Its objects own the number that they work on and close it
when they die, but an adopted number is only lent. And a default time-out of the process would set O_NONBLOCK on a file
that another program uses.

Each function takes a descriptor. Those that answer an errno answer 0 for success; the others raise the `WinsockError`
of the errno.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from ctypes import byref, c_char, c_char_p, c_int, c_size_t, c_ssize_t, c_uint32, c_void_p, get_errno

from winsock import host
from winsock.abi.errors import WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr
from winsock.base.inet.addresses import pack, unpack
from winsock.base.inet.own import Control
from winsock.spi.provider import ReadBuffer, WriteBuffer

_ADDRESS_SIZE = 128
_CMSGHDR = struct.Struct("@Nii")

_libc = ctypes.CDLL(None, use_errno=True)
# Arguments that are all ints and bytes need no declaration, and the call is a third faster without.
_bind = _libc.bind
_listen = _libc.listen
_shutdown = _libc.shutdown
_accept4 = _libc.accept4
_getsockopt = _libc.getsockopt
_setsockopt = _libc.setsockopt


class _Iovec(ctypes.Structure):
    _fields_ = (("base", c_void_p), ("length", c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", c_void_p),
        ("name_length", c_uint32),
        ("vectors", ctypes.POINTER(_Iovec)),
        ("vector_count", c_size_t),
        ("control", c_void_p),
        ("control_length", c_size_t),
        ("flags", c_int),
    )


_sendmsg = _libc.sendmsg
_sendmsg.argtypes = (c_int, ctypes.POINTER(_Msghdr), c_int)
_sendmsg.restype = c_ssize_t
_recvmsg = _libc.recvmsg
_recvmsg.argtypes = (c_int, ctypes.POINTER(_Msghdr), c_int)
_recvmsg.restype = c_ssize_t


def connect(descriptor: int, address: Sockaddr) -> int:
    """connect(2); 0 or an errno."""
    return host.connect(descriptor, pack(address))


def bind(descriptor: int, address: Sockaddr) -> int:
    """bind(2); 0 or an errno."""
    packed = pack(address)
    return get_errno() if _bind(descriptor, packed, len(packed)) else 0


def listen(descriptor: int, backlog: int) -> int:
    """listen(2); 0 or an errno."""
    return get_errno() if _listen(descriptor, backlog) else 0


def shutdown(descriptor: int, how: int) -> int:
    """shutdown(2); 0 or an errno."""
    return get_errno() if _shutdown(descriptor, how) else 0


def accept(descriptor: int, flags: int) -> tuple[int, Sockaddr | None]:
    """accept4(2): (the new descriptor, the peer), or (minus the errno, None)."""
    name = ctypes.create_string_buffer(_ADDRESS_SIZE)
    length = c_uint32(_ADDRESS_SIZE)
    accepted = _accept4(descriptor, name, byref(length), flags)
    if accepted < 0:
        return -get_errno(), None
    return accepted, unpack(name.raw[: length.value])


def getsockname(descriptor: int) -> Sockaddr:
    """getsockname(2)."""
    return _name(descriptor, False)


def getpeername(descriptor: int) -> Sockaddr:
    """getpeername(2)."""
    return _name(descriptor, True)


def _name(descriptor: int, peer: bool) -> Sockaddr:
    try:
        return unpack(host.name(descriptor, peer))
    except WinsockError:
        raise
    except OSError as error:
        raise from_errno(error.errno or 0) from None


def getsockopt(descriptor: int, level: int, optname: int, size: int) -> bytes:
    """getsockopt(2): what the kernel put into `size` bytes."""
    value = ctypes.create_string_buffer(size)
    length = c_uint32(size)
    if _getsockopt(descriptor, level, optname, value, byref(length)):
        raise from_errno(get_errno())
    return value.raw[: length.value]


def exchange_option(descriptor: int, level: int, optname: int, value: bytes) -> bytes:
    """getsockopt(2) of an option that is asked about `value`: what the kernel put in its place."""
    answer = ctypes.create_string_buffer(value, len(value))
    length = c_uint32(len(value))
    if _getsockopt(descriptor, level, optname, answer, byref(length)):
        raise from_errno(get_errno())
    return answer.raw[: length.value]


def setsockopt(descriptor: int, level: int, optname: int, value: bytes) -> None:
    """setsockopt(2)."""
    if _setsockopt(descriptor, level, optname, value, len(value)):
        raise from_errno(get_errno())


def sendmsg(
    descriptor: int, buffers: Sequence[ReadBuffer], flags: int, to: Sockaddr | None, control: Control = ()
) -> int:
    """sendmsg(2): how many bytes went, or minus the errno."""
    data = [bytes(buffer) for buffer in buffers]
    vectors = (_Iovec * len(data))()
    for vector, part in zip(vectors, data, strict=True):
        vector.base = ctypes.cast(c_char_p(part), c_void_p).value
        vector.length = len(part)
    name = pack(to) if to is not None else b""
    header = _Msghdr(vectors=vectors, vector_count=len(data))
    if name:
        header.name = ctypes.cast(c_char_p(name), c_void_p).value
        header.name_length = len(name)
    objects = b"".join(_packed(*item) for item in control)
    if objects:
        header.control = ctypes.cast(c_char_p(objects), c_void_p).value
        header.control_length = len(objects)
    count: int = _sendmsg(descriptor, byref(header), flags)
    return count if count >= 0 else -get_errno()


def _packed(level: int, kind: int, data: bytes) -> bytes:
    """An object of control data as the kernel reads it."""
    size = socket.CMSG_SPACE(len(data))
    return (_CMSGHDR.pack(socket.CMSG_LEN(len(data)), level, kind) + data).ljust(size, b"\0")


def recvmsg(descriptor: int, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, Sockaddr | None]:
    """recvmsg(2): (count, the kernel's flags, source), or (minus the errno, 0, None)."""
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    held = [c_char.from_buffer(view) if len(view) else None for view in views]
    vectors = (_Iovec * len(views))()
    for vector, view, first in zip(vectors, views, held, strict=True):
        vector.base = ctypes.addressof(first) if first is not None else None
        vector.length = len(view)
    name = ctypes.create_string_buffer(_ADDRESS_SIZE)
    header = _Msghdr(ctypes.addressof(name), _ADDRESS_SIZE, vectors, len(views))
    count = _recvmsg(descriptor, byref(header), flags)
    if count < 0:
        return -get_errno(), 0, None
    return count, header.flags, unpack(name.raw[: header.name_length]) if header.name_length else None
