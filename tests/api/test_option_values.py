"""What options take: interfaces by index, limits that are none, any buffer; and sockets that they are not for.

Sources: "IPPROTO_IP socket options"; "IPPROTO_TCP socket options"; nf-winsock2-setsockopt.
"""

from __future__ import annotations

import socket as host
from typing import Any

import pytest

from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    IP_ADD_MEMBERSHIP,
    IP_ADD_SOURCE_MEMBERSHIP,
    IP_BLOCK_SOURCE,
    IP_DROP_MEMBERSHIP,
    IP_DROP_SOURCE_MEMBERSHIP,
    IP_MULTICAST_IF,
    IPPROTO_IP,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_OPENTYPE,
    SOCK_DGRAM,
    SOL_SOCKET,
    TCP_MAXRT,
    TCP_MAXRTMS,
)
from winsock.abi.errors import WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAEFAULT, WSAEINVAL, WSAENOPROTOOPT
from winsock.abi.options import Linger
from winsock.api import byteorder, options, sockets
from winsock.api.names import inet_addr
from winsock.testing import World

IPPROTO_IPV6 = 41
GROUP = bytes((239, 1, 2, 3))
HERE = bytes((127, 0, 0, 1))
NO_LIMIT = 0xFFFFFFFF


def loopback_index() -> bytes:
    return host.if_nametoindex("lo").to_bytes(4, "big")


def test_a_group_is_joined_at_an_interface_by_index(world: World) -> None:
    s = world.datagram()
    membership = GROUP + loopback_index()
    options.setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership)
    with refused(WSAEADDRINUSE):
        options.setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership)
    options.setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, membership)
    with refused(WSAEADDRNOTAVAIL):
        options.setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, GROUP + HERE)  # it was the only one


def test_a_source_is_joined_at_an_interface_by_index(world: World) -> None:
    s = world.datagram()
    options.setsockopt(s, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, GROUP + HERE + loopback_index())
    options.setsockopt(s, IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, GROUP + HERE + HERE)
    with refused(WSAEINVAL):
        options.setsockopt(s, IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, GROUP + HERE + loopback_index())


def test_groups_are_sent_to_at_an_interface_by_index(world: World) -> None:
    sender = world.datagram()
    options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, loopback_index())
    assert options.getsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF) == loopback_index()
    options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, HERE)
    assert options.getsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF) == HERE
    options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, bytes(4))
    assert options.getsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF) == bytes(4)
    with refused(WSAEADDRNOTAVAIL):
        options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, bytes((0, 255, 255, 255)))


def test_the_interface_of_groups_may_be_a_number(world: World) -> None:
    """As inet_addr and htonl make it."""
    sender = world.datagram()
    for value, told in ((byteorder.htonl(host.if_nametoindex("lo")), loopback_index()), (inet_addr("127.0.0.1"), HERE)):
        options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF, value)
        assert options.getsockopt(sender, IPPROTO_IP, IP_MULTICAST_IF) == told


@pytest.mark.parametrize("optname", [TCP_MAXRT, TCP_MAXRTMS])
def test_sending_again_may_have_no_limit(world: World, optname: int) -> None:
    s = world.stream()
    for none in (-1, NO_LIMIT, bytes(4 * (0xFF,))):
        options.setsockopt(s, IPPROTO_TCP, optname, 7000)
        assert options.getsockopt(s, IPPROTO_TCP, optname) == 7000
        options.setsockopt(s, IPPROTO_TCP, optname, none)
        assert options.getsockopt(s, IPPROTO_TCP, optname) == NO_LIMIT


def test_both_limits_are_one(world: World) -> None:
    s = world.stream()
    options.setsockopt(s, IPPROTO_TCP, TCP_MAXRT, -1)
    assert options.getsockopt(s, IPPROTO_TCP, TCP_MAXRTMS) == NO_LIMIT
    options.setsockopt(s, IPPROTO_TCP, TCP_MAXRTMS, 1500)
    assert options.getsockopt(s, IPPROTO_TCP, TCP_MAXRT) == 2


def test_groups_are_not_for_streams(world: World) -> None:
    s = world.stream()
    for optname in (IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP):
        with refused(WSAENOPROTOOPT, "IP_"):
            options.setsockopt(s, IPPROTO_IP, optname, GROUP + HERE)
    for optname in (IP_ADD_SOURCE_MEMBERSHIP, IP_BLOCK_SOURCE):
        with refused(WSAENOPROTOOPT, "IP_"):
            options.setsockopt(s, IPPROTO_IP, optname, GROUP + HERE + HERE)


def test_limits_of_tcp_are_not_for_datagrams(world: World) -> None:
    for optname in (TCP_MAXRT, TCP_MAXRTMS):
        with refused(WSAENOPROTOOPT, "TCP_MAXRT"):
            options.getsockopt(world.datagram(), IPPROTO_TCP, optname)
        with refused(WSAENOPROTOOPT, "TCP_MAXRT"):
            options.setsockopt(world.datagram(), IPPROTO_TCP, optname, 1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_may_stand_in_any_buffer(world: World, kind: Any) -> None:
    s = world.stream()
    options.setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, kind(bytes((1, 0, 0, 0))))
    assert options.getsockopt(s, SOL_SOCKET, SO_KEEPALIVE) == 1
    options.setsockopt(s, SOL_SOCKET, SO_LINGER, kind(bytes((1, 0, 9, 0))))
    assert options.getsockopt(s, SOL_SOCKET, SO_LINGER) == Linger(1, 9)
    options.setsockopt(s, SOL_SOCKET, SO_OPENTYPE, kind(bytes(4)))
    assert options.getsockopt(s, SOL_SOCKET, SO_OPENTYPE) == 0


def test_what_is_no_number_is_none_for_ipv4_either(world: World) -> None:
    odd: Any
    for odd in (None, "1", [], b""):
        s = sockets.socket(AF_INET, SOCK_DGRAM, 0)
        with refused(WSAEFAULT):
            options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, odd)
