"""The two sides: the calls of Winsock, and the same ones on objects of a socket module. Both answer alike.

A socket goes by a number that is the same on both sides, and so does an address: whose port it is, not which.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import socket as host
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from winsock.abi import constants as c
from winsock.abi.errors import WinsockError, code_of, name_of
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.api import options, sockets, transfer, waiting

IPV4, IPV6 = 4, 6
STREAM, DATAGRAM = c.SOCK_STREAM, c.SOCK_DGRAM
ROOM = 100_000
IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 11, 25, 0x2000  # of Linux
_HOSTS = {
    IPV4: {"loopback": "127.0.0.1", "wildcard": "0.0.0.0", "foreign": "192.0.2.1", "broadcast": "255.255.255.255"},
    IPV6: {"loopback": "::1", "wildcard": "::", "foreign": "2001:db8::1", "broadcast": "ff02::1:2345"},
}
_HOST_FAMILIES = {IPV4: host.AF_INET, IPV6: host.AF_INET6}
_WINDOWS_FAMILIES = {IPV4: c.AF_INET, IPV6: c.AF_INET6}


@dataclass(frozen=True)
class Failure:
    """How a call failed, by Winsock's code."""

    code: int

    def __repr__(self) -> str:
        return name_of(self.code)


class Where(NamedTuple):
    """An address: a host, and the port of a socket, or none."""

    family: int
    host: str
    port_of: int | None = None

    def __str__(self) -> str:
        return f"{self.host} IPv{self.family}, port of {self.port_of}"


@dataclass(frozen=True)
class Name:
    """An address as it was answered: its host, and whose port it is, or has been; nobody's where it has none."""

    host: str
    owners: frozenset[int] | None

    def is_same(self, other: object) -> bool:
        """Whether there is a socket that both may be."""
        if not isinstance(other, Name) or self.host != other.host:
            return False
        if self.owners is None or other.owners is None:
            return self.owners is other.owners
        return not self.owners.isdisjoint(other.owners)


class State(NamedTuple):
    """What can be seen of a socket without changing it."""

    readable: bool
    writable: bool
    exceptional: bool
    waiting: int | Failure
    """The bytes to be read."""


Outcome: TypeAlias = Any
"""What a call answered, or a `Failure`."""


class Side:
    """What both sides have."""

    def __init__(self) -> None:
        self.owners: dict[int, set[int]] = {}
        """Port -> the sockets that have had it."""

    def try_(self, call: Callable[[], Any]) -> Outcome:
        """The answer, or how it failed."""
        try:
            return call()
        except WinsockError as error:
            return Failure(error.winerror)
        except OSError as error:
            return Failure(code_of(error.errno or 0))

    def named(self, address: tuple[Any, ...]) -> Name:
        """An address in numbers that are the same on both sides."""
        return Name(address[0], frozenset(self.owners.get(address[1], ())) if address[1] else None)

    def port(self, number: int) -> int:
        """The local port; 0 if there is none."""
        raise NotImplementedError

    def descriptor(self, number: int) -> int:
        """The kernel's socket."""
        raise NotImplementedError

    def has_sent(self, number: int) -> bool:
        """Whether all that it sent has arrived, as far as the kernel knows, which it does of streams with a peer."""
        s = self.descriptor(number)
        with host.socket(fileno=os.dup(s)) as looked_at:
            if looked_at.type != STREAM or isinstance(self.try_(looked_at.getpeername), Failure):
                return True
        return not any(fcntl.ioctl(s, termios.TIOCOUTQ, bytes(4)))

    def note(self, number: int) -> None:
        """Remember whose port it is."""
        port = self.port(number)
        if port:
            self.owners.setdefault(port, set()).add(number)

    def address(self, where: Where) -> tuple[str, int]:
        """What an address is on this side."""
        return _HOSTS[where.family][where.host], 0 if where.port_of is None else self.port(where.port_of)


class Plain(Side):
    """Objects of a socket module."""

    def __init__(self, module: Any = host, as_windows: bool = True) -> None:
        super().__init__()
        self.module = module
        self.as_windows = as_windows
        """Whether new sockets are made as they are there: IPv6 alone, and accepted ones in their listener's mode."""
        self.held: dict[int, host.socket] = {}

    def port(self, number: int) -> int:
        return int(self.held[number].getsockname()[1])

    def descriptor(self, number: int) -> int:
        return self.held[number].fileno()

    def make(self, number: int, family: int, kind: int) -> Outcome:
        made = self.held[number] = self.module.socket(_HOST_FAMILIES[family], kind)
        if self.as_windows and family == IPV6:
            made.setsockopt(host.IPPROTO_IPV6, host.IPV6_V6ONLY, 1)

    def close(self, number: int) -> Outcome:
        return self.try_(self.held.pop(number).close)

    def set_blocking(self, number: int, blocking: bool) -> Outcome:
        return self.try_(lambda: self.held[number].setblocking(blocking))

    def is_blocking(self, number: int) -> bool:
        return self.held[number].getblocking()

    def bind(self, number: int, where: Where) -> Outcome:
        return self.try_(lambda: self.held[number].bind(self.address(where)))

    def listen(self, number: int, backlog: int) -> Outcome:
        return self.try_(lambda: self.held[number].listen(backlog))

    def connect(self, number: int, where: Where) -> Outcome:
        return self.try_(lambda: self.held[number].connect(self.address(where)))

    def disconnect(self, number: int) -> Outcome:
        """Choose no peer any more. A socket that is bound stays so (nf-winsock2-bind), which the kernel forgets."""

        def connect() -> None:
            name = self.held[number].getsockname()
            if ctypes.CDLL(None, use_errno=True).connect(self.held[number].fileno(), bytes(16), 16):
                raise OSError(ctypes.get_errno(), "connect")
            now = self.held[number].getsockname()
            if self.as_windows and name[1] and not now[1]:
                self.held[number].bind((now[0], name[1]))

        return self.try_(connect)

    def accept(self, number: int, made: int) -> Outcome:
        def accept() -> Name:
            self.held[made], peer = self.held[number].accept()
            if self.as_windows:
                self.held[made].setblocking(self.is_blocking(number))
            return self.named(peer)

        return self.try_(accept)

    def send(self, number: int, data: bytes) -> Outcome:
        return self.try_(lambda: self.held[number].send(data))

    def send_to(self, number: int, data: bytes, where: Where) -> Outcome:
        if self.as_windows and self.held[number].type == DATAGRAM:
            self.hear(number)
        return self.try_(lambda: self.held[number].sendto(data, self.address(where)))

    def hear(self, number: int) -> None:
        """SIO_UDP_CONNRESET: Windows tells also of what was sent without a peer that nobody was there."""
        self.held[number].setsockopt(host.IPPROTO_IP, IP_RECVERR, 1)
        if self.held[number].family == host.AF_INET6:
            self.held[number].setsockopt(host.IPPROTO_IPV6, IPV6_RECVERR, 1)

    def take_errors(self, number: int) -> None:
        """Take what was heard out of the kernel's queue, because of which the socket would look broken."""
        while not isinstance(self.try_(lambda: self.held[number].recvmsg(0, 500, MSG_ERRQUEUE)), Failure):
            pass

    def receive(self, number: int, size: int, peek: bool) -> Outcome:
        return self.try_(lambda: self._receive(number, size, peek)[:2])

    def receive_from(self, number: int, size: int, peek: bool) -> Outcome:
        return self.try_(lambda: self._receive(number, size, peek))

    def _receive(self, number: int, size: int, peek: bool) -> tuple[bytes, bool, Name | None]:
        """What came, whether there was more of it, and where it came from."""
        data, _, flags, source = self.held[number].recvmsg(size, 0, host.MSG_PEEK if peek else 0)
        cut = bool(flags & host.MSG_TRUNC) and self.held[number].type == DATAGRAM
        named = self.named(source) if source and self.held[number].type == DATAGRAM else None
        return data, cut, named

    def shutdown(self, number: int, how: int) -> Outcome:
        return self.try_(lambda: self.held[number].shutdown(how))

    def name(self, number: int) -> Outcome:
        return self.try_(lambda: self.named(self.held[number].getsockname()))

    def peer(self, number: int) -> Outcome:
        return self.try_(lambda: self.named(self.held[number].getpeername()))

    def get_option(self, number: int, option: Option) -> Outcome:
        return self.try_(
            lambda: option.decode(self.held[number].getsockopt(*option.host, option.layout.size), option.layout)
        )

    def set_option(self, number: int, option: Option, value: Any) -> Outcome:
        return self.try_(lambda: self.held[number].setsockopt(*option.host, option.encode(value, option.layout)))

    def state(self, number: int) -> State:
        s = self.held[number].fileno()
        reads, writes, exceptions = select.select([s], [s], [s], 0)
        waiting = self.try_(lambda: struct.unpack("=i", fcntl.ioctl(s, termios.FIONREAD, bytes(4)))[0])
        return State(bool(reads), bool(writes), bool(exceptions), waiting)

    def end(self) -> None:
        for held in self.held.values():
            held.close()


class Winsock(Side):
    """Handles of Winsock."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, int] = {}
        self.blocking: dict[int, bool] = {}

    def port(self, number: int) -> int:
        try:
            name = sockets.getsockname(self.held[number])
        except WinsockError:
            return 0
        assert isinstance(name, SockaddrIn | SockaddrIn6)
        return name.port

    def _name(self, where: Where) -> SockaddrIn | SockaddrIn6:
        return (SockaddrIn if where.family == IPV4 else SockaddrIn6)(*self.address(where))

    def make(self, number: int, family: int, kind: int) -> Outcome:
        self.held[number] = sockets.socket(_WINDOWS_FAMILIES[family], kind, 0)

    def close(self, number: int) -> Outcome:
        handle = self.held.pop(number)
        closed = self.try_(lambda: sockets.closesocket(handle))
        assert self.try_(lambda: sockets.closesocket(handle)) == Failure(code_of(9)), "it was closed already"
        return closed

    def set_blocking(self, number: int, blocking: bool) -> Outcome:
        def set_blocking() -> None:
            options.ioctlsocket(self.held[number], c.FIONBIO, int(not blocking))

        return self.try_(set_blocking)

    def descriptor(self, number: int) -> int:
        base = options.WSAIoctl(self.held[number], c.SIO_BASE_HANDLE, None, 8)
        assert base is not None
        return int.from_bytes(base, "little")

    def is_blocking(self, number: int) -> bool:
        return os.get_blocking(self.descriptor(number))

    def bind(self, number: int, where: Where) -> Outcome:
        return self.try_(lambda: sockets.bind(self.held[number], self._name(where)))

    def listen(self, number: int, backlog: int) -> Outcome:
        return self.try_(lambda: sockets.listen(self.held[number], backlog))

    def connect(self, number: int, where: Where) -> Outcome:
        return self.try_(lambda: sockets.connect(self.held[number], self._name(where)))

    def disconnect(self, number: int) -> Outcome:
        return self.try_(lambda: sockets.connect(self.held[number], SockaddrOther(c.AF_UNSPEC, bytes(14))))

    def accept(self, number: int, made: int) -> Outcome:
        def accept() -> Name:
            self.held[made], peer = sockets.accept(self.held[number])
            assert peer is not None
            return self.named(peer)

        return self.try_(accept)

    def send(self, number: int, data: bytes) -> Outcome:
        return self.try_(lambda: transfer.send(self.held[number], data))

    def send_to(self, number: int, data: bytes, where: Where) -> Outcome:
        return self.try_(lambda: transfer.sendto(self.held[number], data, 0, self._name(where)))

    def receive(self, number: int, size: int, peek: bool) -> Outcome:
        flags = c.MSG_PEEK if peek else 0
        return self.try_(lambda: (transfer.recv(self.held[number], size, flags), False))

    def receive_from(self, number: int, size: int, peek: bool) -> Outcome:
        def receive() -> tuple[bytes, bool, Name | None]:
            data, source = transfer.recvfrom(self.held[number], size, c.MSG_PEEK if peek else 0)
            return data, False, None if source is None else self.named(source)

        return self.try_(receive)

    def shutdown(self, number: int, how: int) -> Outcome:
        return self.try_(lambda: sockets.shutdown(self.held[number], how))

    def name(self, number: int) -> Outcome:
        return self.try_(lambda: self.named(sockets.getsockname(self.held[number])))

    def peer(self, number: int) -> Outcome:
        return self.try_(lambda: self.named(sockets.getpeername(self.held[number])))

    def get_option(self, number: int, option: Option) -> Outcome:
        return self.try_(lambda: options.getsockopt(self.held[number], *option.windows))

    def set_option(self, number: int, option: Option, value: Any) -> Outcome:
        return self.try_(lambda: options.setsockopt(self.held[number], *option.windows, value))

    def state(self, number: int) -> State:
        s = self.held[number]
        reads, writes, exceptions = waiting.select(0, [s], [s], [s], 0)
        unread = self.try_(lambda: options.ioctlsocket(s, c.FIONREAD))
        return State(bool(reads), bool(writes), bool(exceptions), unread)

    def end(self) -> None:
        for number in list(self.held):
            self.close(number)


class Option(NamedTuple):
    """An option that both sides have."""

    name: str
    windows: tuple[int, int]
    host: tuple[int, int]
    values: tuple[Any, ...]
    """None: it can only be read."""
    layout: struct.Struct = struct.Struct("=i")
    encode: Callable[[Any, struct.Struct], bytes] = lambda value, layout: layout.pack(value)
    decode: Callable[[bytes, struct.Struct], Any] = lambda data, layout: layout.unpack(data)[0]

    def __repr__(self) -> str:
        return self.name


def _milliseconds(data: bytes, layout: struct.Struct) -> int:
    seconds, microseconds = layout.unpack(data)
    return int(seconds * 1000 + microseconds // 1000)


def _half(data: bytes, layout: struct.Struct) -> int:
    """The kernel tells the double of what was set."""
    return int(layout.unpack(data)[0] // 2)


_TIMEVAL = struct.Struct("@ll")
_ON = (0, 1)
OPTIONS = (
    Option("SO_KEEPALIVE", (c.SOL_SOCKET, c.SO_KEEPALIVE), (host.SOL_SOCKET, host.SO_KEEPALIVE), _ON),
    Option("SO_BROADCAST", (c.SOL_SOCKET, c.SO_BROADCAST), (host.SOL_SOCKET, host.SO_BROADCAST), _ON),
    Option("SO_RCVBUF", (c.SOL_SOCKET, c.SO_RCVBUF), (host.SOL_SOCKET, host.SO_RCVBUF), (ROOM, 2 * ROOM), decode=_half),
    Option("SO_SNDBUF", (c.SOL_SOCKET, c.SO_SNDBUF), (host.SOL_SOCKET, host.SO_SNDBUF), (ROOM, 2 * ROOM), decode=_half),
    Option("SO_TYPE", (c.SOL_SOCKET, c.SO_TYPE), (host.SOL_SOCKET, host.SO_TYPE), ()),
    Option("SO_ACCEPTCONN", (c.SOL_SOCKET, c.SO_ACCEPTCONN), (host.SOL_SOCKET, host.SO_ACCEPTCONN), ()),
    Option(
        "SO_ERROR",
        (c.SOL_SOCKET, c.SO_ERROR),
        (host.SOL_SOCKET, host.SO_ERROR),
        (),
        decode=lambda data, layout: code_of(number) if (number := layout.unpack(data)[0]) else 0,
    ),
    Option(
        "SO_RCVTIMEO",
        (c.SOL_SOCKET, c.SO_RCVTIMEO),
        (host.SOL_SOCKET, host.SO_RCVTIMEO),
        (0, 60_000, 90_000),
        _TIMEVAL,
        lambda value, layout: layout.pack(value // 1000, value % 1000 * 1000),
        _milliseconds,
    ),
    Option(
        "SO_LINGER",
        (c.SOL_SOCKET, c.SO_LINGER),
        (host.SOL_SOCKET, host.SO_LINGER),
        (Linger(0, 0), Linger(1, 0), Linger(0, 73)),
        struct.Struct("=ii"),
        lambda value, layout: layout.pack(*value),
        lambda data, layout: Linger(*layout.unpack(data)),
    ),
    Option("TCP_NODELAY", (c.IPPROTO_TCP, c.TCP_NODELAY), (host.IPPROTO_TCP, host.TCP_NODELAY), _ON),
    Option("TCP_KEEPIDLE", (c.IPPROTO_TCP, c.TCP_KEEPALIVE), (host.IPPROTO_TCP, host.TCP_KEEPIDLE), (3600, 60)),
    Option("TCP_KEEPCNT", (c.IPPROTO_TCP, c.TCP_KEEPCNT), (host.IPPROTO_TCP, host.TCP_KEEPCNT), (3, 9)),
    Option("IP_TTL", (c.IPPROTO_IP, c.IP_TTL), (host.IPPROTO_IP, host.IP_TTL), (1, 64, 255, 256)),
    Option("IP_TOS", (c.IPPROTO_IP, c.IP_TOS), (host.IPPROTO_IP, host.IP_TOS), (0, 0x10, 0xB8)),
    Option(
        "IPV6_UNICAST_HOPS",
        (c.IPPROTO_IPV6, c.IPV6_UNICAST_HOPS),
        (host.IPPROTO_IPV6, host.IPV6_UNICAST_HOPS),
        (1, 64, 255, 256),
    ),
    Option("IPV6_V6ONLY", (c.IPPROTO_IPV6, c.IPV6_V6ONLY), (host.IPPROTO_IPV6, host.IPV6_V6ONLY), _ON),
)
