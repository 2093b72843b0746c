"""WSAConnectByList (CONN-037 to CONN-039), and WSAConnectByName."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import winsock
from tests.refusals import refused
from winsock.abi import address_lists
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAEFAULT,
    WSAEHOSTUNREACH,
    WSAEINVAL,
    WSAENOTSOCK,
    WSAETIMEDOUT,
)
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.testing import World
from winsock.testing.pairs import has_ipv6


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.mark.parametrize("blocking", [True, False])
def test_the_first_that_accepts_conn_037_conn_038(world: World, blocking: bool) -> None:
    _, there = world.listener()
    s = world.stream()
    winsock.ioctlsocket(s, c.FIONBIO, int(not blocking))
    local, remote = winsock.WSAConnectByList(s, [world.closed_port(), world.closed_port(), there])
    assert (local, remote) == (winsock.getsockname(s), there)
    winsock.send(s, b"connected")


def test_as_a_structure(world: World) -> None:
    _, there = world.listener()
    assert winsock.WSAConnectByList(world.stream(), address_lists.pack([there]))[1] == there


@pytest.mark.parametrize("blocking", [True, False])
def test_the_error_of_the_last_conn_038(world: World, blocking: bool) -> None:
    s = world.stream()
    winsock.ioctlsocket(s, c.FIONBIO, int(not blocking))
    with refused(WSAECONNREFUSED):
        winsock.WSAConnectByList(s, [world.closed_port(), world.closed_port()])
    assert winsock.WSAGetLastError() == WSAECONNREFUSED


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
def test_addresses_of_ipv4_are_mapped() -> None:
    with World(family=c.AF_INET6) as world:
        s = world.stream()
        winsock.setsockopt(s, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 0)
        world.family = c.AF_INET
        _, there = world.listener()
        assert isinstance(there, SockaddrIn)
        assert winsock.WSAConnectByList(s, [there])[1] == there.mapped()


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
def test_the_most_promising_first() -> None:
    with World(family=c.AF_INET6) as world:
        _, there = world.listener()
        s = world.stream()
        nowhere = ("fec0::7", 9, 0, 0)
        assert winsock.WSAConnectByList(s, [nowhere, there])[1] == there


def test_time_is_looked_at_between_attempts_conn_039(world: World) -> None:
    _, there = world.listener()
    with refused(WSAETIMEDOUT, "1 of 2"):
        winsock.WSAConnectByList(world.stream(), [world.closed_port(), there], 0)
    assert winsock.WSAConnectByList(world.stream(), [there], 0)[1] == there


def test_what_cannot_be(world: World) -> None:
    _, there = world.listener()
    with refused(WSAEINVAL, "connections"):
        winsock.WSAConnectByList(world.datagram(), [there])
    bound = world.stream()
    winsock.bind(bound, ("127.0.0.1", 0))
    with refused(WSAEINVAL, "bound"):
        winsock.WSAConnectByList(bound, [there])
    with refused(WSAEINVAL, "addresses"):
        winsock.WSAConnectByList(world.stream(), [])
    for addresses in (None, 7, "127.0.0.1", b"short", [("127.0.0.1",)]):
        with refused(WSAEFAULT):
            winsock.WSAConnectByList(world.stream(), addresses)  # type: ignore[arg-type]
    with refused(WSAENOTSOCK):
        winsock.WSAConnectByList(-1, [there])


class TestByName:
    """WSAConnectByName: numbers need no name space."""

    def test_in_numbers(self, world: World) -> None:
        _, there = world.listener()
        s = world.stream()
        assert isinstance(there, SockaddrIn)
        assert winsock.WSAConnectByName(s, there.host, str(there.port)) == (winsock.getsockname(s), there)

    @pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
    def test_in_numbers_of_ipv6(self) -> None:
        with World(family=c.AF_INET6) as world:
            _, there = world.listener()
            assert isinstance(there, SockaddrIn6)
            assert winsock.WSAConnectByName(world.stream(), "::1", str(there.port))[1] == there

    @pytest.mark.parametrize(
        ("node", "service", "code"),
        [
            ("localhost", "80", WSAEHOSTUNREACH),
            ("", "80", WSAEHOSTUNREACH),
            ("<broadcast>", "80", WSAEHOSTUNREACH),
            ("1.2.3", "80", WSAEHOSTUNREACH),
            ("host:80", "80", WSAEHOSTUNREACH),
            ("127.0.0.1", "http", WSAEHOSTUNREACH),
            ("127.0.0.1", "", WSAEHOSTUNREACH),
            ("127.0.0.1", "-1", WSAEHOSTUNREACH),
            ("127.0.0.1", "65536", WSAEINVAL),
            (None, "80", WSAEINVAL),
            ("127.0.0.1", 80, WSAEINVAL),
        ],
    )
    def test_names_lead_nowhere(self, world: World, node: Any, service: Any, code: int) -> None:
        with refused(code, "node_name|service_name"):
            winsock.WSAConnectByName(world.stream(), node, service)
        assert winsock.WSAGetLastError() == code

    def test_the_socket_comes_first(self, world: World) -> None:
        with refused(WSAENOTSOCK):
            winsock.WSAConnectByName(-1, "localhost", "80")
