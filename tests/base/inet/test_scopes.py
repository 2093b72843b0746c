"""Addresses of IPv6 and the interface that they are of (BL-08)."""

from __future__ import annotations

import socket as host

import pytest

from tests.networks import NAME, await_address, ip, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi.constants import AF_INET6, SOCK_DGRAM, SOCK_STREAM
from winsock.abi.errors import WSAEADDRNOTAVAIL
from winsock.abi.sockaddr import SockaddrIn6
from winsock.api import sockets
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")

HERE = "fe80::77"
NO_INTERFACE = 0xABACAB


@pytest.mark.parametrize("type", [SOCK_STREAM, SOCK_DGRAM])
@pytest.mark.parametrize("address", ["::1", "::", HERE])
def test_a_scope_is_an_interface_bl_08(type: int, address: str) -> None:
    with World():
        s = sockets.socket(AF_INET6, type, 0)
        for scope in (NO_INTERFACE, 0xFFFFFFFF):
            with refused(WSAEADDRNOTAVAIL, "scope"):
                sockets.bind(s, SockaddrIn6(address, 0, 0, scope))


@needs_root
@needs_a_network
def test_without_a_scope_it_is_the_interface_of_the_address_bl_08() -> None:
    with own_network(), World():
        ip(f"addr add {HERE}/64 dev {NAME} nodad")
        await_address(HERE)
        for scope in (0, host.if_nametoindex(NAME)):
            s = sockets.socket(AF_INET6, SOCK_STREAM, 0)
            sockets.bind(s, SockaddrIn6(HERE, 0, 0, scope))
            bound = sockets.getsockname(s)
            assert isinstance(bound, SockaddrIn6)
            assert (bound.host, bound.scope_id) == (HERE, host.if_nametoindex(NAME))
        with refused(WSAEADDRNOTAVAIL):
            sockets.bind(sockets.socket(AF_INET6, SOCK_STREAM, 0), SockaddrIn6(HERE, 0, 0, host.if_nametoindex("lo")))
