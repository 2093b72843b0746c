"""Sockets in every state that a call may find one in, by the state's name."""

from __future__ import annotations

from collections.abc import Callable

import winsock
from tests.arguments import LEAF
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import WSAEWOULDBLOCK
from winsock.testing import World


def _bound(world: World) -> int:
    s = world.stream()
    winsock.bind(s, world.anywhere)
    return s


def _waited_for(world: World) -> int:
    """A listener with a connection to accept."""
    s, address = world.listener()
    winsock.connect(world.stream(), address)
    return s


def _connected(world: World) -> int:
    s, peer = world.connected()
    winsock.send(peer, b"something to receive")
    return s


def _non_blocking(world: World) -> int:
    s = world.connected().client
    winsock.ioctlsocket(s, c.FIONBIO, 1)
    return s


def _new_non_blocking(world: World) -> int:
    s = world.stream()
    winsock.ioctlsocket(s, c.FIONBIO, 1)
    return s


def _non_blocking_datagrams(world: World) -> int:
    s = world.datagrams().client
    winsock.ioctlsocket(s, c.FIONBIO, 1)
    return s


def _selected(world: World) -> int:
    """Its events are selected, and nothing has happened."""
    s = world.stream()
    winsock.WSAEventSelect(s, winsock.WSACreateEvent(), c.FD_ALL_EVENTS)
    return s


def _connecting(world: World) -> int:
    """Its events are selected, and a connect is on its way."""
    _, address = world.listener()
    s = _selected(world)
    with refused(WSAEWOULDBLOCK):
        winsock.connect(s, address)
    return s


STATES: dict[str, Callable[[World], int]] = {
    "new": World.stream,
    "new non-blocking": _new_non_blocking,
    "bound": _bound,
    "waited for": _waited_for,
    "connected": _connected,
    "non-blocking": _non_blocking,
    "datagrams": World.datagram,
    "connected datagrams": lambda world: world.datagrams().client,
    "non-blocking datagrams": _non_blocking_datagrams,
    "leaf": lambda world: int(winsock.WSASocket(c.AF_INET, c.SOCK_DGRAM, c.IPPROTO_UDP, None, 0, LEAF)),
    "selected": _selected,
    "connecting": _connecting,
}
