"""Option values and the input of control codes, as they reach real sockets: no error but a documented one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.base.memory.walk import documented
from tests.fuzz.parser import Parser, Refused
from winsock.abi import address_lists, options
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FIONBIO,
    SIO_ADDRESS_LIST_CHANGE,
    SIO_INDEX_ADD_MCAST,
    SIO_INDEX_BIND,
    SIO_ROUTING_INTERFACE_CHANGE,
    SIO_SET_MULTICAST_FILTER,
    SIOCSMSFILTER,
    SOCK_DGRAM,
    SOCK_STREAM,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAEHOSTUNREACH,
    WSAEMSGSIZE,
    WSAENETUNREACH,
    WSAENOTCONN,
)
from winsock.abi.options import Option
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.api import options as calls
from winsock.api import sockets
from winsock.base.inet.controls import Controls
from winsock.dispatcher.records import records

_CODES = documented()
_KINDS = [(family, type) for family in (AF_INET, AF_INET6) for type in (SOCK_STREAM, SOCK_DGRAM)]
_OUTSIDE = {SIO_INDEX_ADD_MCAST, SIO_SET_MULTICAST_FILTER, SIOCSMSFILTER, SIO_INDEX_BIND}
"""What speaks to the network, or leaves it."""
_WAITS = {SIO_ADDRESS_LIST_CHANGE, SIO_ROUTING_INTERFACE_CHANGE}

_CONTROLS = [code for code in Controls.control_rows if code not in _OUTSIDE | _WAITS | {FIONBIO}]
_OPTIONS: list[Option] = [row for row in options.ROWS if row.type not in ("ip_mreq", "ipv6_mreq", "ip_mreq_source")]
_OPTIONS = [row for row in _OPTIONS if not row.type.startswith("group_") and row.name != "SO_OPENTYPE"]
"""Without those that speak to the network, and the one that is the thread's and would outlive the tests here."""
_held: dict[int, list[int]] = {}


def _sockets() -> list[int]:
    """One of every kind, for as long as Winsock runs."""
    made = _held.setdefault(0, [])
    if not made or made[0] not in records:
        made[:] = [sockets.socket(*kind, 0) for kind in _KINDS]
    return made


def _control(data: bytes) -> bytes | None:
    """A byte for the socket, one for the code, one for the room; the rest is what the code takes."""
    kind, code, room = (*data[:3], 0, 0, 0)[:3]
    s = _sockets()[kind % len(_KINDS)]
    return calls.WSAIoctl(s, _CONTROLS[code % len(_CONTROLS)], data[3:], (0, 4, 16, 100, 1000)[room % 5])


def _hold_control(data: bytes, found: Any) -> None:
    if not isinstance(found, Refused):
        assert len(found or b"") <= 1000


def _option(data: bytes) -> Option:
    """A byte for the socket, one for the option, one for the way; the rest is the value."""
    kind, index, way = (*data[:3], 0, 0, 0)[:3]
    s, row = _sockets()[kind % len(_KINDS)], _OPTIONS[int(index) % len(_OPTIONS)]
    value: Any = data[3:]
    if way % 3 == 1:
        value = int.from_bytes(value[:5], "little", signed=True)
    elif way % 3 == 2:
        value = tuple(value[:2])
    calls.setsockopt(s, row.level, row.optname, value)
    return row


def _hold_option(data: bytes, found: Any) -> None:
    if isinstance(found, Refused):
        return
    s = _sockets()[(data[0] if data else 0) % len(_KINDS)]
    if found.get:
        calls.getsockopt(s, found.level, found.optname)


def _programs(rows: Sequence[object], values: Sequence[bytes], ways: int) -> list[bytes]:
    chance = Random(len(rows))
    every = [(kind, row) for kind in range(len(_KINDS)) for row in range(len(rows))]
    return [bytes([kind, row, chance.randrange(ways)]) + chance.choice(values) for kind, row in every]


_LIST = address_lists.pack([SockaddrIn("127.0.0.1", 5), SockaddrIn6("::1", 7), SockaddrIn("127.0.0.2", 0)])
_INPUTS = [
    b"",
    bytes(4),
    b"\1\0\0\0",
    bytes(16),
    SockaddrIn("127.0.0.1", 9).pack(),
    SockaddrIn6("::1", 9).pack(),
    _LIST,
]
_VALUES = [b"\1", b"\1\0\0\0", bytes(4), b"\1\0\5\0", b"\0\4\0\0", b"\xff\xff\xff\xff"]
_ADDRESSES = {WSAEADDRNOTAVAIL, WSAENETUNREACH, WSAEHOSTUNREACH, WSAEAFNOSUPPORT, WSAENOTCONN}
"""Of an address or an interface that is none of this host's, that nothing leads to, or of another family; of a peer."""


PARSERS = [
    Parser(
        "control code",
        _programs(_CONTROLS, [*_INPUTS, _LIST], 5),
        _control,
        frozenset(_CODES["WSAIoctl"] | _CODES["WSPIoctl"] | _ADDRESSES | {WSAEMSGSIZE}),  # the page of SIO_TCP_INFO
        _hold_control,
    ),
    Parser(
        "option", _programs(_OPTIONS, _VALUES, 3), _option, frozenset(_CODES["setsockopt"] | _ADDRESSES), _hold_option
    ),
]
