"""IP_RECEIVE_BROADCAST: broadcasts come, or do not, and what is sent to the host alone comes all the same."""

from __future__ import annotations

import pytest

from tests.networks import IPV4, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi.constants import (
    IP_RECEIVE_BROADCAST,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_BROADCAST,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAENOPROTOOPT
from winsock.api import options, sockets, transfer, waiting
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

BROADCASTS = ("127.255.255.255", "10.77.0.255", "255.255.255.255")
ALONE = ("127.0.0.1", IPV4)


def heard(s: int, port: int, sender: int) -> list[str]:
    """What comes of datagrams to each of the addresses; the last one comes in any case, and after all others."""
    for host in (*BROADCASTS, *ALONE):
        transfer.sendto(sender, host.encode(), 0, (host, port))
    found: list[str] = []
    while found[-1:] != [IPV4]:
        assert waiting.select(0, [s], [], [], 20)[0] == [s]
        found.append(transfer.recv(s, 99).decode())
    return found


@needs_root
@needs_a_network
@pytest.mark.parametrize("of_ipv6", [False, True])
def test_broadcasts_come_as_long_as_they_are_wanted(of_ipv6: bool) -> None:
    if of_ipv6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with own_network(), World():
        sender: int = sockets.socket(2, 2, 17)
        options.setsockopt(sender, SOL_SOCKET, SO_BROADCAST, 1)
        s: int = sockets.socket(23 if of_ipv6 else 2, 2, 17)
        if of_ipv6:
            options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, 0)
        sockets.bind(s, ("::" if of_ipv6 else "0.0.0.0", 0))
        port: int = getattr(sockets.getsockname(s), "port")  # noqa: B009
        assert options.getsockopt(s, IPPROTO_IP, IP_RECEIVE_BROADCAST) == 1
        assert heard(s, port, sender) == [*BROADCASTS, *ALONE]
        for value, wanted in ((0, [*ALONE]), (0, [*ALONE]), (1, [*BROADCASTS, *ALONE]), (1, [*BROADCASTS, *ALONE])):
            options.setsockopt(s, IPPROTO_IP, IP_RECEIVE_BROADCAST, value)
            assert options.getsockopt(s, IPPROTO_IP, IP_RECEIVE_BROADCAST) == value
            assert heard(s, port, sender) == wanted


def test_a_socket_of_ipv6_goes_on_receiving_what_is_of_ipv6() -> None:
    if not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with World(family=23) as world:
        pair = world.datagrams()
        options.setsockopt(pair.server, IPPROTO_IP, IP_RECEIVE_BROADCAST, 0)
        transfer.send(pair.client, b"you")
        assert transfer.recv(pair.server, 9) == b"you"


def test_streams_have_no_broadcasts() -> None:
    with World() as world, refused(WSAENOPROTOOPT):
        options.getsockopt(world.stream(), IPPROTO_IP, IP_RECEIVE_BROADCAST)
