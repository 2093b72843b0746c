"""IP_RECEIVE_BROADCAST: a socket that wants no broadcasts has a filter in the kernel which lets none through.

What is a broadcast is known by where it goes to: everywhere, or to the whole network of an interface, as the interfaces
are when the option is set; and by how it came over a wire. A socket of IPv6 gets those that come v4-mapped.

Source: "IPPROTO_IP socket options".
"""

from __future__ import annotations

import socket
from itertools import chain

from winsock.abi.constants import AF_INET
from winsock.base.inet import raw
from winsock.base.inet.interfaces import interfaces
from winsock.base.inet.own import OwnSocket
from winsock.base.inet.sniffing import DROP, PASS, Filter, attach_filter

_SO_DETACH_FILTER = 27
_EVERYWHERE = 0xFFFFFFFF
# Classic BPF: load byte, load word, and, jump if equal by so many to the one side or to the other
_LOAD_BYTE, _LOAD, _AND, _JUMP = 0x30, 0x20, 0x54, 0x15
_HEADER, _TO = 0xFFF00000, 0xFFF00010
"""Where the header of a packet begins, and the address in it that it goes to."""
_KIND, _BROADCAST = 0xFFFFF004, 1
"""How a packet came."""


def let_in(record: OwnSocket, *, on: bool) -> None:
    """Let the socket receive broadcasts, or not."""
    if on and not record.takes_broadcasts:
        raw.setsockopt(record.handle, socket.SOL_SOCKET, _SO_DETACH_FILTER, bytes(4))
    if not on:
        attach_filter(record.handle, _filter())
    record.takes_broadcasts = on


def _filter() -> Filter:
    dropped = (((_JUMP, 0, 1, address), DROP) for address in sorted(_addresses()))
    return (
        (_LOAD_BYTE, 0, 0, _HEADER),
        (_AND, 0, 0, 0xF0),
        (_JUMP, 1, 0, 0x40),
        PASS,
        (_LOAD, 0, 0, _TO),
        *chain.from_iterable(dropped),
        (_LOAD, 0, 0, _KIND),
        (_JUMP, 0, 1, _BROADCAST),
        DROP,
        PASS,
    )


def _addresses() -> set[int]:
    """Where broadcasts go to, as numbers; a network of one or two hosts has none."""
    found = {_EVERYWHERE}
    for one in interfaces(AF_INET):
        if one.broadcast is not None:
            found.add(_number(one.broadcast.host))
        hosts = ~_number(one.mask.host) & 0xFFFFFFFF
        if hosts > 1:
            found.add(_number(one.address.host) | hosts)
    return found


def _number(host: str) -> int:
    return int.from_bytes(socket.inet_aton(host), "big")
