"""The same calls where the kernel is not Linux: through the `socket` module, for sockets of our own only.

Nothing is adopted there, because `winsock run` needs Linux; so every descriptor has its object in `own.SOCKETS`. What
Python retries after a signal is retried here too: the blocking callback is not asked.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from winsock.abi.errors import WSAENOPROTOOPT, WSAENOTSOCK, WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import own
from winsock.spi.provider import ReadBuffer, WriteBuffer


def connect(descriptor: int, address: Sockaddr) -> int:
    """Connect; 0 or an errno."""
    return int(_sock(descriptor).connect_ex(_tuple(address)))


def bind(descriptor: int, address: Sockaddr) -> int:
    """Bind; 0 or an errno."""
    return _errno(_sock(descriptor).bind, _tuple(address))


def listen(descriptor: int, backlog: int) -> int:
    """Listen; 0 or an errno."""
    return _errno(_sock(descriptor).listen, backlog)


def shutdown(descriptor: int, how: int) -> int:
    """Shut down; 0 or an errno."""
    return _errno(_sock(descriptor).shutdown, how)


def accept(descriptor: int, flags: int) -> tuple[int, Sockaddr | None]:
    """Accept: (the new descriptor, the peer), or (minus the errno, None)."""
    try:
        accepted, address = _sock(descriptor)._accept()
    except OSError as error:
        return -(error.errno or errno.EIO), None
    os.set_blocking(accepted, not flags & getattr(socket, "SOCK_NONBLOCK", 0))
    return accepted, from_tuple(address)


def getsockname(descriptor: int) -> Sockaddr:
    """The local address."""
    return from_tuple(_raising(_sock(descriptor).getsockname))


def getpeername(descriptor: int) -> Sockaddr:
    """The address of the peer."""
    return from_tuple(_raising(_sock(descriptor).getpeername))


def getsockopt(descriptor: int, level: int, optname: int, size: int) -> bytes:
    """An option, as bytes."""
    value: bytes = _raising(_sock(descriptor).getsockopt, level, optname, size)
    return value


def exchange_option(descriptor: int, level: int, optname: int, value: bytes) -> bytes:
    """There is none by that module."""
    raise WinsockError(WSAENOPROTOOPT, f"this host has no option {optname} of level {level}")


def setsockopt(descriptor: int, level: int, optname: int, value: bytes) -> None:
    """Set an option from bytes."""
    _raising(_sock(descriptor).setsockopt, level, optname, value)


def sendmsg(
    descriptor: int, buffers: Sequence[ReadBuffer], flags: int, to: Sockaddr | None, control: own.Control = ()
) -> int:
    """Only adopted descriptors come here, of which there are none."""
    raise WinsockError(WSAENOTSOCK, f"{descriptor} is no socket of this process's own")


def recvmsg(descriptor: int, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, Sockaddr | None]:
    """Only adopted descriptors come here, of which there are none."""
    raise WinsockError(WSAENOTSOCK, f"{descriptor} is no socket of this process's own")


def from_tuple(address: tuple[Any, ...]) -> Sockaddr:
    """The address that the `socket` module spells so."""
    return SockaddrIn6(*address) if len(address) == 4 else SockaddrIn(*address)


def _sock(descriptor: int) -> Any:
    record = own.SOCKETS.get(descriptor)
    if record is None:
        raise WinsockError(WSAENOTSOCK, f"{descriptor} is no socket of this process's own")
    return record.host_object()


def _tuple(address: Sockaddr) -> tuple[Any, ...]:
    if isinstance(address, (SockaddrIn, SockaddrIn6)):
        return tuple(address)
    raise from_errno(errno.EAFNOSUPPORT)


def _errno(call: Callable[..., object], *arguments: object) -> int:
    try:
        call(*arguments)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _raising(call: Callable[..., Any], *arguments: object) -> Any:
    try:
        return call(*arguments)
    except OSError as error:
        raise from_errno(error.errno or errno.EIO) from None
