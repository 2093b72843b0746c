"""What a receive tells of datagrams that found nobody (IO-023), also where the socket has no peer.

Sources: nf-winsock2-recvfrom; SIO_UDP_CONNRESET and SIO_UDP_NETRESET of "Winsock IOCTLs".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.networks import far_host, ip, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FD_READ,
    FIONBIO,
    FIONREAD,
    IP_RECVERR,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_RECVERR,
    IPV6_UNICAST_HOPS,
    POLLRDNORM,
    POLLWRNORM,
    SIO_UDP_CONNRESET,
    SIO_UDP_NETRESET,
    SO_RCVTIMEO,
    SOCK_DGRAM,
    SOL_SOCKET,
    WSA_WAIT_EVENT_0,
)
from winsock.abi.errors import WSAECONNRESET, WSAENETRESET, WSAEWOULDBLOCK
from winsock.abi.sockaddr import Sockaddr
from winsock.api import events, options, sockets, transfer, waiting
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

OFF = bytes(4)


@pytest.fixture(params=[AF_INET, AF_INET6], ids=["IPv4", "IPv6"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == AF_INET6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with World() as world:
        world.family = request.param
        yield world


def nobody(world: World) -> Sockaddr:
    """A name that a socket had a moment ago."""
    s = world.datagram()
    name = sockets.getsockname(s)
    sockets.closesocket(s)
    return name


def polling(s: int) -> int:
    options.ioctlsocket(s, FIONBIO, 1)
    return s


def is_readable(s: int, seconds: float = 0) -> bool:
    return waiting.select(0, [s], None, None, seconds)[0] == [s]


def test_the_next_receive_tells_and_no_other(world: World) -> None:
    s = world.datagram()
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    assert is_readable(s, 20)
    with refused(WSAECONNRESET):
        transfer.recvfrom(s, 100)
    assert not is_readable(s)
    with refused(WSAEWOULDBLOCK):
        transfer.recvfrom(polling(s), 100)


@pytest.mark.parametrize("connected", [False, True])
def test_wsapoll_tells_until_it_is_received(world: World, connected: bool) -> None:
    s, name = world.datagram(), nobody(world)
    if connected:
        sockets.connect(s, name)
    transfer.sendto(s, b"anybody?", 0, None if connected else name)
    for _ in range(2):
        assert waiting.WSAPoll([(s, POLLRDNORM)], 20_000) == [(s, POLLRDNORM)]
    assert waiting.WSAPoll([(s, POLLWRNORM)], 0) == [(s, POLLWRNORM)]
    with refused(WSAECONNRESET):
        transfer.recv(s, 100)
    assert waiting.WSAPoll([(s, POLLRDNORM)], 0) == []


@pytest.mark.parametrize("connected", [False, True])
def test_an_event_tells(world: World, connected: bool) -> None:
    s, name, event = world.datagram(), nobody(world), events.WSACreateEvent()
    if connected:
        sockets.connect(s, name)
    events.WSAEventSelect(s, event, FD_READ)
    transfer.sendto(s, b"anybody?", 0, None if connected else name)
    for _ in range(2):
        assert events.WSAWaitForMultipleEvents([event], False, 20_000) == WSA_WAIT_EVENT_0
        assert events.WSAEnumNetworkEvents(s, event).lNetworkEvents == FD_READ
        with refused(WSAECONNRESET):
            transfer.recv(s, 100)
        assert events.WSAEnumNetworkEvents(s, event).lNetworkEvents == 0
        transfer.sendto(s, b"anybody?", 0, None if connected else name)


def test_wsapoll_says_nothing_of_a_socket_that_was_closed(world: World) -> None:
    s = world.datagram()
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    assert waiting.WSAPoll([(s, POLLRDNORM)], 20_000) == [(s, POLLRDNORM)]
    sockets.closesocket(s)
    again = world.datagram()
    assert again == s
    assert waiting.WSAPoll([(again, POLLRDNORM)], 0) == []


def test_a_receive_that_waits_is_told(world: World) -> None:
    s = world.datagram()
    options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, 20_000)
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    with refused(WSAECONNRESET):
        transfer.recv(s, 100)


def test_the_next_send_goes_all_the_same_and_what_came_is_received_after_the_news(world: World) -> None:
    s, peer = world.datagram(), world.datagram()
    for _ in range(3):
        transfer.sendto(s, b"anybody?", 0, nobody(world))
        assert transfer.sendto(s, b"you", 0, sockets.getsockname(peer)) == 3
        assert transfer.recv(peer, 100) == b"you"
        transfer.sendto(peer, b"me", 0, sockets.getsockname(s))
        with refused(WSAECONNRESET):
            transfer.recv(s, 100)
        assert transfer.recv(s, 100) == b"me"


def test_whoever_asks_how_much_there_is_takes_no_news(world: World) -> None:
    s = world.datagram()
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    assert options.ioctlsocket(s, FIONREAD) == 0
    with refused(WSAECONNRESET):
        transfer.recv(polling(s), 100)


def test_who_does_not_want_to_know_is_not_told(world: World) -> None:
    """SIO_UDP_CONNRESET, before the datagram is sent and between it and the receive."""
    early, late = world.datagram(), world.datagram()
    options.WSAIoctl(early, SIO_UDP_CONNRESET, OFF)
    transfer.sendto(late, b"anybody?", 0, nobody(world))
    transfer.sendto(early, b"anybody?", 0, nobody(world))
    options.WSAIoctl(late, SIO_UDP_CONNRESET, OFF)
    for s in (early, late):
        assert not is_readable(s)
        with refused(WSAEWOULDBLOCK):
            transfer.recv(polling(s), 100)
    options.WSAIoctl(late, SIO_UDP_CONNRESET, b"\1\0\0\0")
    transfer.sendto(late, b"anybody?", 0, nobody(world))
    with refused(WSAECONNRESET):
        transfer.recv(late, 100)


def test_neither_kind_of_news_leaves_anything_to_be_heard(world: World) -> None:
    s = world.datagram()
    options.WSAIoctl(s, SIO_UDP_CONNRESET, OFF)
    options.WSAIoctl(s, SIO_UDP_NETRESET, OFF)
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    with refused(WSAEWOULDBLOCK):
        transfer.recv(polling(s), 100)


def test_another_peer_is_not_told_of_what_was_sent_before(world: World) -> None:
    s, one, other = (world.datagram() for _ in range(3))
    sockets.connect(s, sockets.getsockname(one))
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    sockets.connect(s, sockets.getsockname(other))
    with refused(WSAEWOULDBLOCK):
        transfer.recv(polling(s), 100)


def test_an_option_that_nobody_set_is_off(world: World) -> None:
    s = world.datagram()
    option = (IPPROTO_IP, IP_RECVERR) if world.family == AF_INET else (IPPROTO_IPV6, IPV6_RECVERR)
    transfer.sendto(s, b"anybody?", 0, nobody(world))
    assert options.getsockopt(s, *option) == 0
    for value in (1, 0):
        options.setsockopt(s, *option, value)
        assert options.getsockopt(s, *option) == value
    with refused(WSAECONNRESET):
        transfer.recv(s, 100)


@needs_root
@needs_a_network
@pytest.mark.parametrize(
    ("family", "host", "net", "level", "optname"),
    [
        (AF_INET, "10.88.0.1", "10.88.0.0/24", IPPROTO_IP, IP_TTL),
        (AF_INET6, "fd88::1", "fd88::/64", IPPROTO_IPV6, IPV6_UNICAST_HOPS),
    ],
    ids=["IPv4", "IPv6"],
)
def test_a_time_to_live_that_ran_out(family: int, host: str, net: str, level: int, optname: int) -> None:
    """Told where it is wanted (SIO_UDP_NETRESET); that the host beyond is not reached is told by nobody."""
    with own_network(), far_host() as far, World():
        far.does(lambda: [Path(path).write_text("1") for path in FORWARDING])
        far.does(lambda: ip(f"route add {net} dev other"))
        ip(f"route add {net} via {far.ADDRESSES[family == AF_INET6]}")
        for code, wanted in ((None, WSAENETRESET), (SIO_UDP_NETRESET, WSAEWOULDBLOCK)):
            s: int = sockets.socket(family, SOCK_DGRAM, 0)
            options.setsockopt(s, level, optname, 1)
            if code is not None:
                options.WSAIoctl(s, code, OFF)
            transfer.sendto(s, b"far away", 0, (host, 7))
            assert is_readable(s, 20 if code is None else 0.2) == (code is None)
            with refused(wanted):
                transfer.recv(polling(s), 100)


FORWARDING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")
