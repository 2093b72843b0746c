"""Sockets of IPv6 that speak IPv4, too: its addresses, v4-mapped (dual-stack-sockets)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.refusals import refused
from winsock.abi.constants import AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, SOCK_DGRAM, SOCK_STREAM
from winsock.abi.errors import WSAEADDRNOTAVAIL, WSAENETUNREACH, WSAENOTCONN
from winsock.abi.sockaddr import SockaddrIn6
from winsock.api import options, sockets, transfer
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")

ZEROS = ("::", "0::0", "::ffff:0.0.0.0", "::ffff:0:0")


@pytest.fixture(autouse=True)
def world() -> Iterator[World]:
    with World() as opened:
        yield opened


def of(type: int, only_v6: bool = False) -> int:
    s = sockets.socket(AF_INET6, type, 0)
    options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, only_v6)
    return s


def port_of(listener: int) -> int:
    name = sockets.getsockname(listener)
    assert isinstance(name, SockaddrIn6)
    return name.port


@pytest.mark.parametrize("zeros", ZEROS)
def test_nothing_goes_to_the_address_of_zeros(zeros: str) -> None:
    """As the kernel would have it, to this host."""
    listener = of(SOCK_STREAM)
    sockets.bind(listener, ("::", 0))
    sockets.listen(listener, 1)
    there = (zeros, port_of(listener))
    for only_v6 in (False, True):
        with refused(WSAEADDRNOTAVAIL):
            sockets.connect(of(SOCK_STREAM, only_v6), there)
        with refused(WSAEADDRNOTAVAIL):
            transfer.sendto(of(SOCK_DGRAM, only_v6), b"x", 0, there)


@pytest.mark.parametrize("zeros", ZEROS)
def test_the_address_of_zeros_leaves_the_peer(zeros: str) -> None:
    s = of(SOCK_DGRAM)
    sockets.connect(s, ("::ffff:127.0.0.1", 9))
    sockets.connect(s, (zeros, 9))
    with refused(WSAENOTCONN):
        sockets.getpeername(s)


@pytest.mark.parametrize("host", ["::ffff:127.0.0.1", "::ffff:0.0.0.0"])
def test_without_ipv4_its_addresses_are_none_of_this_host(host: str) -> None:
    for type in (SOCK_STREAM, SOCK_DGRAM):
        s = of(type, only_v6=True)
        with refused(WSAEADDRNOTAVAIL, "IPV6_V6ONLY"):
            sockets.bind(s, (host, 0))
        options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, 0)
        sockets.bind(s, (host, 0))
        assert sockets.getsockname(s) == SockaddrIn6(host, port_of(s))


def test_without_ipv4_its_address_of_zeros_is_any_other() -> None:
    s = of(SOCK_DGRAM, only_v6=True)
    sockets.connect(s, ("::1", 9))
    with refused(WSAENETUNREACH):
        sockets.connect(s, ("::ffff:0.0.0.0", 9))
    assert sockets.getpeername(s) == SockaddrIn6("::1", 9)
