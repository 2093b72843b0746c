"""The outer socket of a connect: what goes to the network in the program's place, as the program's own would go.

It is made with the program's rights and has the options that the program set, and its address and port if it was bound.
Where that is impossible the connection cannot be relayed, and `Surroundings.obstacle` says why.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from winsock import host
from winsock.abi.errors import from_errno
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import own, raw
from winsock.host.numbers import SOL_SOCKET
from winsock.spi.urgent import MARKING
from winsock.supervisor.relaying import carried

if TYPE_CHECKING:
    from winsock.supervisor.lease import Options

_IP, _IPV6 = 0, 41
_SO_REUSEADDR, _SO_OOBINLINE, _SO_LINGER, _SO_BINDTOIFINDEX, _SO_NETNS_COOKIE = 2, 10, 13, 62, 71
_IP_FREEBIND, _IP_TRANSPARENT, _IP_BIND_ADDRESS_NO_PORT, _IPV6_V6ONLY = 15, 19, 24, 26
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
ANY = tuple(_LOOPBACK)
_ON = struct.pack("i", 1)


class Surroundings:
    """Where our own sockets are, so that they could stand for a program's."""

    def __init__(self, options: Options) -> None:
        self._options = options
        with socket.socket() as probe:
            self._network = self._network_of(probe.fileno())

    def obstacle(self, s: int) -> str | None:
        """Why a connect of this socket cannot be relayed; None where it can."""
        if self._network_of(s) != self._network:
            return "in another network namespace"
        if self._options.read(s, _SO_BINDTOIFINDEX):
            return "bound to a device"
        if self._options.read(s, _IP_FREEBIND, _IP) or self._options.read(s, _IP_TRANSPARENT, _IP):
            return "bound to an address of another host"
        return None

    def _network_of(self, s: int) -> int:
        return self._options.read(s, _SO_NETNS_COOKIE, size=8)


def prepare(outer: int) -> None:
    """Make a socket of the chain's the relay's: plain, not waiting, and reset if nobody closes it in order."""
    own.forget(outer)
    os.set_blocking(outer, False)
    raw.setsockopt(outer, SOL_SOCKET, _SO_LINGER, host.RESET_ON_CLOSE)


def mark_urgent(beneath: int) -> None:
    """Let receives tell of urgent bytes, which stay in line."""
    raw.setsockopt(beneath, SOL_SOCKET, _SO_OOBINLINE, _ON)
    MARKING.add(beneath)


def resemble(outer: int, s: int, values: Mapping[carried.Pair, bytes], bound: Sockaddr | None) -> None:
    """Give a socket the options that a program set on its own, and the name to which that is bound.

    `WinsockError` where the name cannot be had twice.
    """
    if _is_ipv6(s):
        raw.setsockopt(outer, _IPV6, _IPV6_V6ONLY, raw.getsockopt(s, _IPV6, _IPV6_V6ONLY, len(_ON)))
    carried.set_again(outer, values)
    if bound is None:
        return
    if isinstance(bound, (SockaddrIn, SockaddrIn6)) and not bound.port:
        raw.setsockopt(outer, _IP, _IP_BIND_ADDRESS_NO_PORT, _ON)
    with _shareable(s), _shareable(outer):
        number = raw.bind(outer, bound)
    if number:
        raise from_errno(number)


def true_name(name: Sockaddr, bound: Sockaddr | None) -> Sockaddr:
    """Where the kernel connects to for a name of zeros, which no provider has to understand: to this very host."""
    if not isinstance(name, SockaddrIn | SockaddrIn6) or name.host not in ANY:
        return name
    own = getattr(bound, "host", None)
    return name._replace(host=_LOOPBACK[name.host] if own is None or own in ANY else own)


def bound_name(s: int) -> Sockaddr | None:
    """The name to which a socket is bound; None where it has neither address nor port."""
    name = raw.getsockname(s)
    if isinstance(name, (SockaddrIn, SockaddrIn6)) and not name.port and name.host in ANY:
        return None
    return name


def _is_ipv6(s: int) -> bool:
    return isinstance(raw.getsockname(s), SockaddrIn6)


@contextmanager
def _shareable(s: int) -> Iterator[None]:
    """Let another socket be bound to the same name; the one exception to leaving a program's options alone."""
    before = raw.getsockopt(s, SOL_SOCKET, _SO_REUSEADDR, len(_ON))
    if before == _ON:
        yield
        return
    raw.setsockopt(s, SOL_SOCKET, _SO_REUSEADDR, _ON)
    try:
        yield
    finally:
        raw.setsockopt(s, SOL_SOCKET, _SO_REUSEADDR, before)
