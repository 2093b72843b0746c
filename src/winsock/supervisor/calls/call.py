"""One trapped call while it is served, and what the functions behind the rows may ask of it.

A function behind a row gets the call and, where the call is about a descriptor, the leased socket. It answers with a
value, a `Delivery` (a new descriptor for the program), `HELD` (the answer comes later) or `PASSED` (the kernel may go
on by itself); or it raises: a `WinsockError` from the chain, an `OSError` with what the kernel would have said.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from winsock import host
from winsock.abi.sockaddr import Sockaddr, SockaddrOther
from winsock.base.inet import addresses
from winsock.host.numbers import AF_INET, AF_INET6, AF_UNSPEC
from winsock.spi import calling

if TYPE_CHECKING:
    from winsock.supervisor.callers import Caller
    from winsock.supervisor.crew import Worker
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.serving import Supervisor

_FAMILY_SIZE = 2
_SOCKADDR_IN, _SOCKADDR_IN6_SHORT, _SOCKADDR_IN6 = 16, 24, 28
LONGEST_NAME = 128
"""Bytes of the longest socket address that the kernel takes."""
_INT = struct.Struct("=i")


class Special(Enum):
    """Answers that are no value."""

    HELD = "the answer comes later"
    PASSED = "the kernel performs the call itself"


HELD, PASSED = Special.HELD, Special.PASSED


class Delivery(NamedTuple):
    """A descriptor of ours that becomes the program's."""

    socket: Socket
    close_on_exec: bool
    peer: Sockaddr | None = None
    listener: Socket | None = None
    """Who keeps the connection where it cannot be delivered."""


Answer: TypeAlias = int | Delivery | Special


class Row(NamedTuple):
    """How one system call is carried."""

    call: str
    function: str
    """The SPI function that it stands for."""
    on_socket: Callable[[Supervisor, Call, Socket], Answer] | None = None
    alone: Callable[[Supervisor, Call], Answer] | None = None
    before: Callable[[Call], object] | None = None
    """What the kernel checks before it looks whether the descriptor is a socket."""


class _Current(threading.local):
    call: Call | None = None


current = _Current()
"""The call that this thread is serving, where a function behind the chain may need it."""


class Call:
    """A trapped call: who made it, its arguments, and how it stands.

    The functions behind the rows run with the caller and the socket set.
    """

    __slots__ = (
        "abandoned",
        "arguments",
        "caller",
        "deadline",
        "id",
        "row",
        "socket",
        "started",
        "thread",
        "worker",
    )

    def __init__(self, id: int, row: Row, thread: int, arguments: tuple[int, ...], started: float) -> None:
        self.id = id
        self.row = row
        self.thread = thread
        self.arguments = arguments
        self.started = started
        self.caller: Caller | None = None
        self.worker: Worker[Call] | None = None
        self.socket: Socket | None = None
        self.abandoned = False
        """The thread must handle a signal, or is gone: give up, and let go of its socket."""
        self.deadline: float | None = None

    def describe(self) -> calling.Call:
        """The call as a layer may ask for it."""
        assert self.caller is not None
        assert self.socket is not None
        process = self.caller.process
        return calling.Call(process.id, self.thread, self.row.function, self.socket.cookie, process.name(self.started))

    def undisturbed(self) -> AbstractContextManager[object]:
        """Put a descriptor into the program without being woken.

        The kernel knows no way back from an interrupted one: the program would be told 0.
        """
        return nullcontext() if self.worker is None else self.worker.undisturbed

    def int_argument(self, index: int) -> int:
        """An argument of C type int: its low word, signed."""
        low = self.arguments[index] & 0xFFFFFFFF
        return low if low < 0x80000000 else low - 0x100000000

    def read(self, address: int, length: int) -> bytes:
        """A copy of the program's memory; `OSError` EFAULT."""
        return host.read_memory(self.thread, address, length)

    def write(self, address: int, data: bytes) -> None:
        """Write to the program's memory; `OSError` EFAULT."""
        host.write_memory(self.thread, address, data)

    def read_name(self, pointer: int, length: int) -> bytes:
        """The socket address that the program passes, copied once; `OSError` EFAULT or EINVAL as the kernel gives."""
        if not 0 <= length <= LONGEST_NAME:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return host.read_memory(self.thread, pointer, length) if length else b""

    def write_address(self, pointer: int, length_pointer: int, address: Sockaddr) -> None:
        """Hand an address to the program, cut to its buffer, and tell how long it is."""
        room = _INT.unpack(self.read(length_pointer, 4))[0]
        if room < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        packed = addresses.pack(address)
        if room:
            self.write(pointer, packed[:room])
        self.write(length_pointer, _INT.pack(len(packed)))


@lru_cache(maxsize=1024)
def decode_address(data: bytes, domain: int, takes_ipv4: bool = False) -> Sockaddr | None:
    """The address in what a program gave; None where the kernel refuses those bytes for such a socket in any case.

    `takes_ipv4`: also where the domain is IPv6, as connect does for datagrams.
    """
    if len(data) < _FAMILY_SIZE:
        return None
    family = int.from_bytes(data[:_FAMILY_SIZE], sys.byteorder)
    if family == AF_UNSPEC:
        return SockaddrOther(AF_UNSPEC, data[_FAMILY_SIZE:])
    if family == AF_INET and len(data) >= _SOCKADDR_IN and (domain == AF_INET or takes_ipv4):
        return addresses.unpack(data)
    if family == AF_INET6 == domain and len(data) >= _SOCKADDR_IN6_SHORT:
        return addresses.unpack(data.ljust(_SOCKADDR_IN6, b"\0"))
    return None
