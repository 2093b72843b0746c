"""Socket groups: WSASocket's g, and the two options."""

from __future__ import annotations

import os
import socket as host
from collections.abc import Iterator

import pytest

from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FIONBIO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SG_CONSTRAINED_GROUP,
    SG_UNCONSTRAINED_GROUP,
    SO_GROUP_ID,
    SO_GROUP_PRIORITY,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEINVAL, WSAENOBUFS, WSAENOPROTOOPT, WSAEWOULDBLOCK
from winsock.api import options, sockets, waiting
from winsock.base.inet import groups
from winsock.testing import World

TCP = (AF_INET, SOCK_STREAM, IPPROTO_TCP)
TCP6 = (AF_INET6, SOCK_STREAM, IPPROTO_TCP)
UDP = (AF_INET, SOCK_DGRAM, IPPROTO_UDP)


@pytest.fixture(autouse=True)
def world() -> Iterator[World]:
    with World() as world:
        yield world
    assert not groups.GROUPS, "groups end with their sockets"


def make(kind: tuple[int, int, int], g: int) -> int:
    return sockets.WSASocket(*kind, None, g)


def group_of(s: int) -> object:
    return options.getsockopt(s, SOL_SOCKET, SO_GROUP_ID)


def listener_at(address: str) -> host.socket:
    return host.create_server((address, 0))


def test_no_group_is_group_zero(world: World) -> None:
    assert group_of(world.stream()) == group_of(world.datagram()) == 0
    with refused(WSAENOPROTOOPT):
        options.setsockopt(world.stream(), SOL_SOCKET, SO_GROUP_ID, 1)


def test_a_socket_makes_a_group_and_others_join() -> None:
    first = make(TCP, SG_UNCONSTRAINED_GROUP)
    group = group_of(first)
    assert isinstance(group, int)
    assert group > SG_CONSTRAINED_GROUP
    assert group_of(make(TCP, group)) == group_of(make(UDP, group)) == group
    assert group_of(make(TCP, SG_UNCONSTRAINED_GROUP)) != group


def test_ids_are_unique_among_processes() -> None:
    ours = group_of(make(TCP, SG_UNCONSTRAINED_GROUP))
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, str(group_of(make(TCP, SG_UNCONSTRAINED_GROUP))).encode())
        os._exit(0)
    os.close(writable)
    with open(readable) as pipe:
        theirs = int(pipe.read())
    os.waitpid(child, 0)
    assert ours != theirs
    with refused(WSAEINVAL, "no group"):
        make(TCP, theirs)


def test_a_group_ends_with_its_last_socket() -> None:
    first = make(TCP, SG_UNCONSTRAINED_GROUP)
    group = group_of(first)
    assert isinstance(group, int)
    second = make(TCP, group)
    sockets.closesocket(first)
    third = make(TCP, group)
    sockets.closesocket(second)
    sockets.closesocket(third)
    with refused(WSAEINVAL, "no group"):
        make(TCP, group)


def test_a_constrained_group_is_of_one_kind() -> None:
    group = group_of(make(TCP, SG_CONSTRAINED_GROUP))
    assert isinstance(group, int)
    assert group_of(make(TCP6, group)) == group, "the family is free"
    with refused(WSAEINVAL, "connections"):
        make(UDP, group)
    with refused(WSAEINVAL, "connections"):
        make(UDP, SG_CONSTRAINED_GROUP)


def test_a_constrained_group_connects_to_one_host(world: World) -> None:
    with listener_at("127.0.0.1") as here, listener_at("127.0.0.1") as also_here, listener_at("127.0.0.2") as there:
        first = make(TCP, SG_CONSTRAINED_GROUP)
        group = group_of(first)
        assert isinstance(group, int)
        second, third = make(TCP, group), make(TCP, group)
        sockets.connect(first, here.getsockname())
        with refused(WSAEINVAL, "127.0.0.1 only"):
            sockets.connect(second, there.getsockname())
        sockets.connect(second, also_here.getsockname())
        for s in (first, second):
            sockets.closesocket(s)
        with refused(WSAEINVAL, "127.0.0.1 only"):
            sockets.connect(third, there.getsockname())


def test_the_host_is_remembered_when_its_socket_is_closed_at_once(world: World) -> None:
    with listener_at("127.0.0.1") as here, listener_at("127.0.0.2") as there:
        first = make(TCP, SG_CONSTRAINED_GROUP)
        group = group_of(first)
        assert isinstance(group, int)
        second = make(TCP, group)
        sockets.connect(first, here.getsockname())
        sockets.closesocket(first)
        with refused(WSAEINVAL, "127.0.0.1 only"):
            sockets.connect(second, there.getsockname())


def test_a_connect_that_failed_constrains_nobody(world: World) -> None:
    with listener_at("127.0.0.2") as there:
        first = make(TCP, SG_CONSTRAINED_GROUP)
        options.ioctlsocket(first, FIONBIO, 1)
        group = group_of(first)
        assert isinstance(group, int)
        second = make(TCP, group)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(first, world.closed_port())
        assert waiting.select(0, None, None, [first], 20) == ([], [], [first])
        sockets.connect(second, there.getsockname())


def test_an_unconstrained_group_connects_anywhere(world: World) -> None:
    with listener_at("127.0.0.1") as here, listener_at("127.0.0.2") as there:
        first = make(TCP, SG_UNCONSTRAINED_GROUP)
        group = group_of(first)
        assert isinstance(group, int)
        sockets.connect(first, here.getsockname())
        sockets.connect(make(TCP, group), there.getsockname())


def test_the_priority_is_remembered(world: World) -> None:
    s, other = make(TCP, SG_UNCONSTRAINED_GROUP), world.stream()
    options.setsockopt(s, SOL_SOCKET, SO_GROUP_PRIORITY, 7)
    assert options.getsockopt(s, SOL_SOCKET, SO_GROUP_PRIORITY) == 7
    assert options.getsockopt(other, SOL_SOCKET, SO_GROUP_PRIORITY) == 0


def test_there_is_an_end_to_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_MOST", 2)
    kept = [make(TCP, SG_UNCONSTRAINED_GROUP) for _ in range(2)]
    with refused(WSAENOBUFS, "groups"):
        make(TCP, SG_UNCONSTRAINED_GROUP)
    sockets.closesocket(kept[0])
    assert group_of(make(TCP, SG_UNCONSTRAINED_GROUP))
