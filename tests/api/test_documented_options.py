"""Options as their pages have them: what each is for, what it takes, and what it says where nobody has set it.

Sources: "SOL_SOCKET Socket Options", "IPPROTO_IP socket options", "IPPROTO_IPV6 socket options", "IPPROTO_TCP socket
options", "IPPROTO_UDP socket options" and the pages of single options.
"""

from __future__ import annotations

import socket as host
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.networks import far_host, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi import address_lists
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FIONBIO,
    IP_OPTIONS,
    IP_PKTINFO,
    IP_RECVTOS,
    IP_RECVTTL,
    IP_TTL,
    IP_UNICAST_IF,
    IP_UNSPECIFIED_USER_MTU,
    IPPROTO_ICMPV6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_ADD_MEMBERSHIP,
    IPV6_HOPLIMIT,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_IF,
    IPV6_MULTICAST_LOOP,
    IPV6_PKTINFO,
    IPV6_RECVTCLASS,
    IPV6_USER_MTU,
    IPV6_V6ONLY,
    SIO_KEEPALIVE_VALS,
    SO_BSP_STATE,
    SO_DEBUG,
    SO_DONTROUTE,
    SO_GROUP_PRIORITY,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_MAX_MSG_SIZE,
    SO_MAXDG,
    SO_MAXPATHDG,
    SO_OOBINLINE,
    SO_RCVBUF,
    SO_RCVLOWAT,
    SO_RCVTIMEO,
    SO_SNDBUF,
    SO_SNDLOWAT,
    SO_UPDATE_CONNECT_CONTEXT,
    SO_USELOOPBACK,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_NODELAY,
    UDP_NOCHECKSUM,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENETRESET,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEWOULDBLOCK,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn
from winsock.api import byteorder, connecting, options, sockets, transfer, waiting
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

RECORD_ROUTE = bytes((7, 7, 4, 0, 0, 0, 0, 0))
GROUP = host.inet_pton(host.AF_INET6, "ff02::1:2")
IP_RECVOPTS = 6  # of Linux


def test_options_of_the_header_go_with_every_packet(world: World) -> None:
    s = world.datagram()
    assert options.getsockopt(s, IPPROTO_IP, IP_OPTIONS) == b""
    options.setsockopt(s, IPPROTO_IP, IP_OPTIONS, RECORD_ROUTE)
    assert options.getsockopt(s, IPPROTO_IP, IP_OPTIONS) == RECORD_ROUTE
    with host.socket(host.AF_INET, host.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(host.IPPROTO_IP, IP_RECVOPTS, 1)
        for wanted in (RECORD_ROUTE[:2], b""):
            transfer.sendto(s, b"x", 0, receiver.getsockname())
            _, control, _, _ = receiver.recvmsg(1, 100)
            assert [data[:2] for _, _, data in control] == [wanted] * bool(wanted)
            options.setsockopt(s, IPPROTO_IP, IP_OPTIONS, b"")
    assert options.getsockopt(s, IPPROTO_IP, IP_OPTIONS) == b""


@pytest.mark.parametrize("value", [None, 7, "text"])
def test_options_of_the_header_are_bytes(world: World, value: bytes) -> None:
    with refused(WSAEFAULT):
        options.setsockopt(world.datagram(), IPPROTO_IP, IP_OPTIONS, value)


@pytest.mark.parametrize("value", [bytes(41), bytes((7, 200, 4, 0))])
def test_what_no_header_holds(world: World, value: bytes) -> None:
    with refused(WSAEINVAL):
        options.setsockopt(world.datagram(), IPPROTO_IP, IP_OPTIONS, value)


@pytest.mark.parametrize("optname", [SO_RCVLOWAT, SO_SNDLOWAT, SO_USELOOPBACK])
def test_options_of_bsd_that_windows_refuses(world: World, optname: int) -> None:
    for s in (world.stream(), world.datagram()):
        with refused(WSAEINVAL):
            options.getsockopt(s, SOL_SOCKET, optname)
        with refused(WSAEINVAL):
            options.setsockopt(s, SOL_SOCKET, optname, 1)


OF_MESSAGES = (
    (AF_INET, IPPROTO_UDP, UDP_NOCHECKSUM),
    (AF_INET, IPPROTO_IP, IP_PKTINFO),
    (AF_INET, IPPROTO_IP, IP_RECVTTL),
    (AF_INET, IPPROTO_IP, IP_RECVTOS),
    (AF_INET6, IPPROTO_IPV6, IPV6_PKTINFO),
    (AF_INET6, IPPROTO_IPV6, IPV6_HOPLIMIT),
    (AF_INET6, IPPROTO_IPV6, IPV6_RECVTCLASS),
    (AF_INET6, IPPROTO_IPV6, IPV6_MULTICAST_IF),
    (AF_INET6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS),
    (AF_INET6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP),
)


def refuses(s: int, level: int, optname: int) -> None:
    with refused(WSAENOPROTOOPT):
        options.getsockopt(s, level, optname)
    with refused(WSAENOPROTOOPT):
        options.setsockopt(s, level, optname, 1)


def test_an_interface_that_there_is_not(world: World) -> None:
    if not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    s: int = sockets.socket(AF_INET6, SOCK_DGRAM, 0)
    nowhere = 0x7FFFFFF0
    for optname, value in ((IPV6_MULTICAST_IF, nowhere), (IPV6_ADD_MEMBERSHIP, GROUP + struct.pack("<I", nowhere))):
        with refused(WSAEADDRNOTAVAIL, "interface"):
            options.setsockopt(s, IPPROTO_IPV6, optname, value)


@needs_root
def test_raw_sockets_of_ipv6_are_for_that_alone(world: World) -> None:
    s: int = sockets.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
    assert options.getsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY) == 1
    options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    with refused(WSAEINVAL):
        options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, 0)


@pytest.mark.parametrize(
    ("family", "kind", "overhead"),
    [
        (AF_INET, SOCK_DGRAM, 28),
        (AF_INET6, SOCK_DGRAM, 8),
        pytest.param(AF_INET, SOCK_RAW, 20, marks=needs_root),
        pytest.param(AF_INET6, SOCK_RAW, 0, marks=needs_root),
    ],
)
def test_the_longest_message_is_the_longest_that_is_sent(world: World, family: int, kind: int, overhead: int) -> None:
    if family == AF_INET6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    s: int = sockets.socket(family, kind, 0 if kind == SOCK_DGRAM else 253)
    most = options.getsockopt(s, SOL_SOCKET, SO_MAX_MSG_SIZE)
    assert most == 65535 - overhead
    target = ("127.0.0.1" if family == AF_INET else "::1", 0 if kind == SOCK_RAW else 9)
    with refused(WSAEMSGSIZE):
        transfer.sendto(s, bytes(most + 1), 0, target)
    assert transfer.sendto(s, bytes(most), 0, target) == most


def test_datagrams_have_no_connection_to_keep_alive(world: World) -> None:
    refuses(world.datagram(), SOL_SOCKET, SO_KEEPALIVE)


@pytest.mark.parametrize(("family", "level", "optname"), OF_MESSAGES)
def test_options_of_messages_are_not_for_streams(world: World, family: int, level: int, optname: int) -> None:
    if family == AF_INET6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    refuses(sockets.socket(family, SOCK_STREAM, 0), level, optname)
    assert options.getsockopt(sockets.socket(family, SOCK_DGRAM, 0), level, optname) in (0, 1)


def test_datagrams_of_ipv6_always_have_a_checksum(world: World) -> None:
    if not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    refuses(sockets.socket(AF_INET6, SOCK_DGRAM, 0), IPPROTO_UDP, UDP_NOCHECKSUM)


def test_the_users_mtu_is_not_bounded_until_it_is_set(world: World) -> None:
    if not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    s = sockets.socket(AF_INET6, SOCK_DGRAM, 0)
    for bound in (IP_UNSPECIFIED_USER_MTU, 1400, IP_UNSPECIFIED_USER_MTU):
        if bound != options.getsockopt(s, IPPROTO_IPV6, IPV6_USER_MTU):
            options.setsockopt(s, IPPROTO_IPV6, IPV6_USER_MTU, bound)
        assert options.getsockopt(s, IPPROTO_IPV6, IPV6_USER_MTU) == bound


def test_the_interface_to_send_from_is_set_in_network_order_and_told_in_host_order(world: World) -> None:
    s = world.datagram()
    index = host.if_nametoindex("lo")
    assert options.getsockopt(s, IPPROTO_IP, IP_UNICAST_IF) == 0
    options.setsockopt(s, IPPROTO_IP, IP_UNICAST_IF, byteorder.htonl(index))
    assert options.getsockopt(s, IPPROTO_IP, IP_UNICAST_IF) == index
    options.setsockopt(s, IPPROTO_IP, IP_UNICAST_IF, 0)
    assert options.getsockopt(s, IPPROTO_IP, IP_UNICAST_IF) == 0


@pytest.mark.parametrize("optname", [SO_SNDBUF, SO_RCVBUF])
def test_a_buffer_is_as_large_as_it_was_made(world: World, optname: int) -> None:
    s = world.stream()
    for size in (8192, 20_000, 1, 0):
        options.setsockopt(s, SOL_SOCKET, optname, size)
        assert options.getsockopt(s, SOL_SOCKET, optname) == size


def test_a_buffer_that_is_bounded_says_so(world: World) -> None:
    s = world.datagram()
    most = int(Path("/proc/sys/net/core/rmem_max").read_text())
    options.setsockopt(s, SOL_SOCKET, SO_RCVBUF, most + 1)
    assert options.getsockopt(s, SOL_SOCKET, SO_RCVBUF) == most


@pytest.mark.parametrize(
    ("optname", "longest"), [(TCP_KEEPIDLE, 0xFFFFFFFF), (TCP_KEEPINTVL, 0xFFFFFFFF), (TCP_KEEPCNT, 255)]
)
def test_keep_alive_may_take_longer_than_the_kernel_would_let_it(world: World, optname: int, longest: int) -> None:
    s = world.stream()
    for value in (5, longest, 7):
        options.setsockopt(s, IPPROTO_TCP, optname, value)
        assert options.getsockopt(s, IPPROTO_TCP, optname) == value


def test_more_probes_than_255_are_illegal(world: World) -> None:
    with refused(WSAEINVAL):
        options.setsockopt(world.stream(), IPPROTO_TCP, TCP_KEEPCNT, 256)


def test_another_way_to_set_keep_alive_counts(world: World) -> None:
    s = world.stream()
    options.setsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE, 100_000)
    options.WSAIoctl(s, SIO_KEEPALIVE_VALS, struct.pack("<3I", 1, 60_000, 1000))
    assert options.getsockopt(s, IPPROTO_TCP, TCP_KEEPIDLE) == 60


INHERITED = (
    (SOL_SOCKET, SO_DEBUG, 1),
    (SOL_SOCKET, SO_DONTROUTE, 1),
    (SOL_SOCKET, SO_GROUP_PRIORITY, 7),
    (SOL_SOCKET, SO_KEEPALIVE, 1),
    (SOL_SOCKET, SO_LINGER, Linger(0, 9)),
    (SOL_SOCKET, SO_OOBINLINE, 1),
    (SOL_SOCKET, SO_RCVBUF, 1000),
    (SOL_SOCKET, SO_RCVTIMEO, 1500),
    (IPPROTO_TCP, TCP_KEEPCNT, 200),
    (IPPROTO_TCP, TCP_NODELAY, 1),
    (IPPROTO_IP, IP_TTL, 9),
)


@pytest.mark.parametrize(("level", "optname", "value"), INHERITED)
def test_an_accepted_socket_has_what_was_set_on_its_listener(
    world: World, level: int, optname: int, value: int
) -> None:
    """It has the same properties (nf-winsock2-accept)."""
    listener, name = world.listener()
    options.setsockopt(listener, level, optname, value)
    sockets.connect(world.stream(), name)
    accepted, _ = sockets.accept(listener)
    assert options.getsockopt(accepted, level, optname) == value


def test_a_connection_on_its_way_is_not_kept_alive_yet(world: World) -> None:
    s = world.stream()
    listener, name = world.listener(backlog=1)
    options.setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, 1)
    options.ioctlsocket(s, FIONBIO, 1)
    others = [world.stream() for _ in range(3)]
    for one in (*others, s):
        options.ioctlsocket(one, FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(one, name)  # the last finds the queue full
    with refused(WSAEINVAL):
        options.setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, 0)
    assert options.getsockopt(s, SOL_SOCKET, SO_KEEPALIVE) == 1
    options.setsockopt(others[0], SOL_SOCKET, SO_KEEPALIVE, 1)
    assert options.getsockopt(others[0], SOL_SOCKET, SO_KEEPALIVE) == 1
    sockets.closesocket(listener)


def test_a_connection_that_was_reset_is_not_kept_alive(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    waiting.select(0, [client], None, None, 20)
    for _ in range(2):
        with refused(WSAENOTCONN):
            options.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, 1)
        with refused(WSAECONNRESET):
            transfer.recv(client, 1)


@needs_root
@needs_a_network
def test_a_connection_that_keep_alive_gave_up_is_not_kept_alive() -> None:
    with own_network(), far_host() as far, World():
        server = far.does(lambda: host.create_server((far.ADDRESSES[0], 0)))
        client = sockets.socket(AF_INET, SOCK_STREAM, 0)
        sockets.connect(client, SockaddrIn(*server.getsockname()))
        for optname, value in ((TCP_KEEPIDLE, 1), (TCP_KEEPINTVL, 1), (TCP_KEEPCNT, 1)):
            options.setsockopt(client, IPPROTO_TCP, optname, value)
        options.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, 1)
        far.vanish()
        waiting.select(0, [client], None, None, 20)
        with refused(WSAENETRESET):
            options.setsockopt(client, SOL_SOCKET, SO_KEEPALIVE, 1)
        with refused(WSAENETRESET):
            transfer.recv(client, 1)
        server.close()


def state_of(s: int) -> address_lists.SocketState:
    data = options.getsockopt(s, SOL_SOCKET, SO_BSP_STATE)
    assert isinstance(data, bytes)
    return address_lists.unpack_state(data)


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_the_state_of_a_socket(family: int) -> None:
    """Its names as far as it has them, its type and its protocol."""
    if family == AF_INET6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with World(family=family) as world:
        assert state_of(world.stream()) == (None, None, SOCK_STREAM, IPPROTO_TCP)
        datagram = world.datagram()
        assert state_of(datagram) == (sockets.getsockname(datagram), None, SOCK_DGRAM, IPPROTO_UDP)
        listener, name = world.listener()
        assert state_of(listener) == (name, None, SOCK_STREAM, IPPROTO_TCP)
        client, server = world.connected()
        here, there = sockets.getsockname(client), sockets.getsockname(server)
        assert state_of(client) == (here, there, SOCK_STREAM, IPPROTO_TCP)
        assert state_of(server) == (there, here, SOCK_STREAM, IPPROTO_TCP)


@pytest.mark.parametrize(
    "data", [bytes(39), b"\x28" + bytes(7) + b"\x10" + bytes(31), bytes(8) + b"\xff" * 4 + bytes(28)]
)
def test_what_is_the_state_of_no_socket(data: bytes) -> None:
    with refused(WSAEFAULT):
        address_lists.unpack_state(data)


@pytest.mark.parametrize("optname", [SO_MAXDG, SO_MAXPATHDG])
def test_the_largest_datagram_by_its_older_names(world: World, optname: int) -> None:
    for s in (world.datagram(), world.stream()):
        assert options.getsockopt(s, SOL_SOCKET, optname) == options.getsockopt(s, SOL_SOCKET, SO_MAX_MSG_SIZE)
        with refused(WSAENOPROTOOPT):
            options.setsockopt(s, SOL_SOCKET, optname, 1)


@pytest.mark.parametrize("value", [None, b"", 1])
def test_the_context_of_a_connection_is_updated_with_no_value(world: World, value: Any) -> None:
    """As programs do after WSAConnectByList and WSAConnectByName."""
    _, name = world.listener()
    s = world.stream()
    with refused(WSAENOTCONN):
        options.setsockopt(s, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, value)
    connecting.WSAConnectByList(s, [name])
    options.setsockopt(s, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, value)
    assert sockets.getpeername(s) == name
    with refused(WSAENOPROTOOPT):
        options.getsockopt(s, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT)
    with refused(WSAEFAULT):
        options.setsockopt(s, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, [])  # type: ignore[arg-type]
