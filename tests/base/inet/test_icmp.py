"""TCP_FAIL_CONNECT_ON_ICMP_ERROR and TCP_ICMP_ERROR_INFO (OPT-003): what a router says ends a connect, and is kept.

Sources: "IPPROTO_TCP socket options"; nf-ws2tcpip-wsageticmperrorinfo.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.networks import far_host, ip, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FD_CONNECT,
    FD_CONNECT_BIT,
    FIONBIO,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    POLLERR,
    POLLHUP,
    POLLOUT,
    SO_ERROR,
    SOL_SOCKET,
    TCP_ICMP_ERROR_INFO,
)
from winsock.abi.errors import WSAECONNREFUSED, WSAEHOSTUNREACH, WSAENOTCONN, WSAEWOULDBLOCK, WSANO_DATA
from winsock.api import events, options, settings, sockets, transfer, waiting
from winsock.base.inet import raw
from winsock.testing import World

PORT = 7
_IP_RECVERR, _IPV6_RECVERR = 11, 25


class Way(NamedTuple):
    """How a host is reached, and what the router says of those that are not."""

    family: int
    host: str
    net: str
    router: str
    protocol: int
    type: int
    code: int


IPV4 = Way(AF_INET, "10.99.0.1", "10.99.0.0/24", "10.77.0.2", 1, 3, 1)
IPV6 = Way(AF_INET6, "fd99::1", "fd99::/64", "fd77::2", 58, 1, 0)
MAPPED = Way(AF_INET6, "::ffff:10.99.0.1", "10.99.0.0/24", "10.77.0.2", 1, 3, 1)
SETTINGS = {
    "/proc/sys/net/ipv4/ip_forward": "1",
    "/proc/sys/net/ipv6/conf/all/forwarding": "1",
    "/proc/sys/net/ipv6/icmp/ratelimit": "0",
}
"""Of a router that tells everybody at once."""
pytestmark = [needs_root, needs_a_network]


@pytest.fixture(params=[IPV4, IPV6, MAPPED], ids=["IPv4", "IPv6", "mapped"])
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    """A network behind the far host, which has no way there."""
    way: Way = request.param
    with own_network(), far_host() as far, World():
        far.does(lambda: [Path(path).write_text(value) for path, value in SETTINGS.items()])
        far.does(lambda: ip(f"route add unreachable {way.net}"))
        ip(f"route add {way.net} via {way.router}")
        yield way


def failing(way: Way, *, blocking: bool) -> int:
    """A socket that fails at once."""
    s: int = sockets.socket(way.family, 1, 6)
    if way is MAPPED:
        options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, 0)
    options.ioctlsocket(s, FIONBIO, not blocking)
    settings.WSASetFailConnectOnIcmpError(s, 1)
    return s


def begin(s: int, way: Way) -> None:
    with refused(WSAEWOULDBLOCK):
        sockets.connect(s, (way.host, PORT))


def assert_told(s: int, way: Way) -> None:
    """As often as it is asked for."""
    for _ in range(2):
        info = settings.WSAGetIcmpErrorInfo(s)
        source = info.srcaddress.Ipv6 if way is IPV6 else info.srcaddress.Ipv4
        host = bytes(source.sin6_addr if way is IPV6 else source.sin_addr)
        assert socket.inet_ntop(socket.AF_INET6 if way is IPV6 else socket.AF_INET, host) == way.router
        assert (info.protocol, info.type, info.code) == (way.protocol, way.type, way.code)


def test_a_connect_that_waits(way: Way) -> None:
    s = failing(way, blocking=True)
    with refused(WSANO_DATA):
        settings.WSAGetIcmpErrorInfo(s)
    for _ in range(2):
        with refused(WSAEHOSTUNREACH):
            sockets.connect(s, (way.host, PORT))
        assert_told(s, way)
    with refused(WSAECONNREFUSED):  # by no message of ICMP
        sockets.connect(s, ("::ffff:10.77.0.2" if way is MAPPED else way.router, PORT))
    assert options.getsockopt(s, IPPROTO_TCP, TCP_ICMP_ERROR_INFO) == b""
    with refused(WSANO_DATA):
        settings.WSAGetIcmpErrorInfo(s)


def by_select(s: int) -> None:
    assert waiting.select(0, [s], [s], [s], 20) == ([], [], [s])


def by_poll(s: int) -> None:
    assert waiting.WSAPoll([(s, POLLOUT)], 20_000) == [(s, POLLHUP | POLLERR | POLLOUT)]


def by_event(s: int) -> None:
    event = events.WSACreateEvent()
    events.WSAEventSelect(s, event, FD_CONNECT)
    events.WSAWaitForMultipleEvents([event], False, 20_000)
    assert events.WSAEnumNetworkEvents(s, event).iErrorCode[FD_CONNECT_BIT] == WSAEHOSTUNREACH


@pytest.mark.parametrize("is_told", [by_select, by_poll, by_event])
def test_a_connect_that_does_not_wait(way: Way, is_told: Callable[[int], None]) -> None:
    s = failing(way, blocking=False)
    begin(s, way)
    is_told(s)
    assert options.getsockopt(s, SOL_SOCKET, SO_ERROR) == WSAEHOSTUNREACH
    assert options.getsockopt(s, SOL_SOCKET, SO_ERROR) == 0
    assert_told(s, way)
    with refused(WSAENOTCONN):
        transfer.send(s, b"anybody?")


def test_the_next_connect_begins_anew_and_what_it_makes_hears_of_icmp_no_more(way: Way) -> None:
    s = failing(way, blocking=False)
    begin(s, way)
    by_select(s)
    begin(s, way)
    with refused(WSANO_DATA):
        settings.WSAGetIcmpErrorInfo(s)
    by_select(s)
    assert_told(s, way)
    host, family = ("10.77.0.1", socket.AF_INET) if way is not IPV6 else ("fd77::1", socket.AF_INET6)
    with socket.create_server((host, 0), family=family) as listener:
        with refused(WSAEWOULDBLOCK):
            sockets.connect(s, (f"::ffff:{host}" if way is MAPPED else host, listener.getsockname()[1]))
        assert waiting.select(0, [], [s], [], 20) == ([], [s], [])
        peer, _ = listener.accept()
        with peer:
            transfer.send(s, b"you")
            assert peer.recv(9) == b"you"
    for level, option in ((IPPROTO_IP, _IP_RECVERR), (IPPROTO_IPV6, _IPV6_RECVERR))[: 1 + (way is not IPV4)]:
        assert not any(raw.getsockopt(s, level, option, 4))
    with refused(WSANO_DATA):
        settings.WSAGetIcmpErrorInfo(s)


def test_it_is_off_by_default(way: Way) -> None:
    s: int = sockets.socket(way.family, 1, 6)
    assert settings.WSAGetFailConnectOnIcmpError(s) == 0
    for value in (1, 0):
        settings.WSASetFailConnectOnIcmpError(s, value)
        assert settings.WSAGetFailConnectOnIcmpError(s) == value
    options.ioctlsocket(s, FIONBIO, 1)
    if way is not MAPPED:
        begin(s, way)
    with refused(WSANO_DATA):
        settings.WSAGetIcmpErrorInfo(s)
