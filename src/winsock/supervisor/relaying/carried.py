"""Which socket options cross from a program's socket to its outer socket, and which an accepted one inherits.

A program's options are on its own socket, where it reads them. Those that shape what the network sees are set on the
outer socket as well: the rows marked `relay`, and some that only Linux has. They are trapped, so what was set is known
and is set again when the outer socket is made. Some are the relay's own affair: its ends send at once (TCP_NODELAY),
close as the relay says (SO_LINGER) and keep urgent data in line (SO_OOBINLINE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from winsock.abi import options
from winsock.abi.constants import (
    IP_MTU,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_MTU,
    SO_ERROR,
    SO_LINGER,
    SO_OOBINLINE,
    SOL_SOCKET,
    TCP_MAXSEG,
    TCP_NODELAY,
)
from winsock.abi.errors import WinsockError
from winsock.base.inet import raw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Pair = tuple[int, int]
"""The host's level and number of an option."""


def _host_pair(level: int, optname: int) -> Pair:
    row = options.find(level, optname)
    assert row is not None
    assert row.host_level is not None
    assert row.host_optname is not None
    return row.host_level, row.host_optname


_RELAYS_OWN = {(SOL_SOCKET, SO_LINGER), (SOL_SOCKET, SO_OOBINLINE), (IPPROTO_TCP, TCP_NODELAY)}
_ROWS = [row for row in options.ROWS if row.relay and (row.level, row.optname) not in _RELAYS_OWN]
_SOL_SOCKET, _IP, _IPV6, _TCP = 1, 0, 41, 6
_LINUX_ONLY: tuple[Pair, ...] = (
    (_SOL_SOCKET, 12),  # SO_PRIORITY
    (_SOL_SOCKET, 36),  # SO_MARK
    (_TCP, 7),  # TCP_SYNCNT
    (_TCP, 13),  # TCP_CONGESTION
    (_IP, 10),  # IP_MTU_DISCOVER
    (_IP, 24),  # IP_BIND_ADDRESS_NO_PORT
    (_IP, 51),  # IP_LOCAL_PORT_RANGE
    (_IPV6, 23),  # IPV6_MTU_DISCOVER
)
SET = (*(_host_pair(row.level, row.optname) for row in _ROWS if row.host == "host"), *_LINUX_ONLY)
"""What is set on both."""

OF_THE_OUTER = ((IPPROTO_TCP, TCP_MAXSEG), (IPPROTO_IP, IP_MTU), (IPPROTO_IPV6, IPV6_MTU))
"""What the path to the peer has, and not loopback; Windows' numbers."""
GET = tuple(_host_pair(*pair) for pair in ((SOL_SOCKET, SO_ERROR), *OF_THE_OUTER))
"""What a program is not told by its own socket alone."""


class Inherited(NamedTuple):
    """An option that an accepted socket has from its listener, and the size of its value."""

    level: int
    number: int
    size: int


OOB_INLINE = Inherited(_SOL_SOCKET, 10, 4)
V6_ONLY = Inherited(_IPV6, 26, 4)
INHERITED = (
    Inherited(_SOL_SOCKET, 2, 4),  # SO_REUSEADDR
    Inherited(_SOL_SOCKET, 6, 4),  # SO_BROADCAST
    Inherited(_SOL_SOCKET, 9, 4),  # SO_KEEPALIVE
    OOB_INLINE,
    Inherited(_SOL_SOCKET, 12, 4),  # SO_PRIORITY, which is not inherited, but set by IP_TOS
    Inherited(_SOL_SOCKET, 13, 8),  # SO_LINGER
    Inherited(_SOL_SOCKET, 15, 4),  # SO_REUSEPORT
    Inherited(_SOL_SOCKET, 18, 4),  # SO_RCVLOWAT
    Inherited(_SOL_SOCKET, 20, 16),  # SO_RCVTIMEO
    Inherited(_SOL_SOCKET, 21, 16),  # SO_SNDTIMEO
    Inherited(_TCP, 1, 4),  # TCP_NODELAY
    Inherited(_TCP, 3, 4),  # TCP_CORK
)
"""What is not trapped and must be looked up."""


def inherit(source: int, target: int, rows: Sequence[Inherited] = INHERITED) -> None:
    """Give a socket what an accepted one has inherited, as far as it is not what every socket has."""
    for level, number, size in rows:
        value = raw.getsockopt(source, level, number, size)
        if value != raw.getsockopt(target, level, number, size):
            raw.setsockopt(target, level, number, value)


def set_again(target: int, values: Mapping[Pair, bytes]) -> None:
    """Set what a program had set on its own socket; what this one does not take, it goes without."""
    for (level, number), value in values.items():
        try:
            raw.setsockopt(target, level, number, value)
        except WinsockError:
            pass
