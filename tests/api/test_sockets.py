"""Sockets are made, bound, connected and closed as documented (SOCK, SK, ADDR, CONN, BL, CLOSE, SH)."""

from __future__ import annotations

import errno
import os
import select as host_select
import socket as host
import threading
from typing import Any

import pytest

from tests.refusals import code_of, refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    CF_ACCEPT,
    CF_DEFER,
    CF_REJECT,
    FIONBIO,
    FROM_PROTOCOL_INFO,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_V6ONLY,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SO_ACCEPTCONN,
    SO_BROADCAST,
    SO_LINGER,
    SO_OOBINLINE,
    SO_PROTOCOL_INFO,
    SO_TYPE,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    SOMAXCONN,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_NO_HANDLE_INHERIT,
    WSA_FLAG_OVERLAPPED,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRINUSE,
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAEALREADY,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINTR,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMFILE,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESHUTDOWN,
    WSAESOCKTNOSUPPORT,
    WSAEWOULDBLOCK,
    WSATRY_AGAIN,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.api import options, sockets, transfer, waiting
from winsock.base.inet import own
from winsock.base.inet.own import SOCKETS
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

NOWHERE = 57005


def kind(s: int) -> tuple[int, int, int]:
    info = options.getsockopt(s, SOL_SOCKET, SO_PROTOCOL_INFO)
    assert isinstance(info, WSAPROTOCOL_INFO)
    return info.iAddressFamily, info.iSocketType, info.iProtocol


TCP = (AF_INET, SOCK_STREAM, IPPROTO_TCP)
UDP = (AF_INET, SOCK_DGRAM, IPPROTO_UDP)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((NOWHERE, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),  # SK-01
        ((-1, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((AF_INET, SOCK_STREAM, NOWHERE), WSAEPROTONOSUPPORT),  # SK-03
        ((AF_INET, SOCK_STREAM, -1), WSAEPROTONOSUPPORT),
        ((NOWHERE, NOWHERE, IPPROTO_TCP), WSAESOCKTNOSUPPORT),  # SK-04
        ((AF_INET, NOWHERE, NOWHERE), WSAESOCKTNOSUPPORT),
        ((NOWHERE, SOCK_STREAM, IPPROTO_UDP), WSAEAFNOSUPPORT),  # SK-06
        ((AF_INET, 0, NOWHERE), WSAEPROTONOSUPPORT),  # SK-10
        ((AF_INET, NOWHERE, 0), WSAESOCKTNOSUPPORT),
        ((AF_UNSPEC, SOCK_STREAM, NOWHERE), WSAEPROTONOSUPPORT),  # SK-13
        ((AF_UNSPEC, NOWHERE, IPPROTO_UDP), WSAESOCKTNOSUPPORT),
        ((AF_UNSPEC, 0, 0), WSAEINVAL),  # SOCK-012
    ],
)  # fmt: skip
def test_sockets_that_there_are_not_sk_01_to_sk_13_sock_012(
    world: World, arguments: tuple[int, int, int], code: int
) -> None:
    with refused(code):
        sockets.socket(*arguments)
    with refused(code):
        sockets.WSASocket(*arguments)


@pytest.mark.parametrize("arguments", [(AF_INET, SOCK_STREAM, IPPROTO_UDP), (0, SOCK_DGRAM, IPPROTO_TCP)])
def test_supported_singly_and_not_together_sock_018(world: World, arguments: tuple[int, int, int]) -> None:
    """The page of socket: the wrong type for this protocol. That of WSASocket: the combination is invalid."""
    with refused(WSAEPROTOTYPE, "together"):
        sockets.socket(*arguments)
    with refused(WSAEINVAL, "together"):
        sockets.WSASocket(*arguments)


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        ((AF_INET, SOCK_STREAM, 0), TCP), ((AF_INET, 0, IPPROTO_TCP), TCP), ((AF_INET, 0, 0), TCP),  # SK-08
        ((AF_INET, SOCK_DGRAM, 0), UDP), ((AF_INET, 0, IPPROTO_UDP), UDP),  # SK-09
        ((AF_UNSPEC, SOCK_STREAM, IPPROTO_TCP), TCP), ((AF_UNSPEC, 0, IPPROTO_UDP), UDP),  # SK-11
        ((AF_INET6, SOCK_DGRAM, 0), (AF_INET6, SOCK_DGRAM, IPPROTO_UDP)),
    ],
)  # fmt: skip
def test_wildcards_sk_08_sk_09_sk_11_sock_003_sock_010_sock_011(
    world: World, arguments: tuple[int, int, int], made: tuple[int, int, int]
) -> None:
    assert kind(sockets.socket(*arguments)) == made


def test_the_hosts_number_of_ipv6_is_refused_with_a_hint(world: World) -> None:
    with refused(WSAEAFNOSUPPORT, "AF_INET6 is 23"):
        sockets.socket(10, SOCK_STREAM, 0)


def test_a_description_names_the_provider_sock_004_sock_016(world: World) -> None:
    for info in sockets.WSAEnumProtocols():
        s = sockets.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info)
        assert options.getsockopt(s, SOL_SOCKET, SO_PROTOCOL_INFO) == info


@pytest.mark.parametrize("arguments", [TCP, (0, SOCK_STREAM, IPPROTO_TCP), (FROM_PROTOCOL_INFO, 1, 6)])
def test_explicit_arguments_win_over_the_description_sk_15(world: World, arguments: tuple[int, int, int]) -> None:
    udp = next(info for info in sockets.WSAEnumProtocols() if info.iProtocol == IPPROTO_UDP)
    assert kind(sockets.WSASocket(*arguments, udp)) == TCP


def test_a_description_that_was_changed_says_what_is_meant(world: World) -> None:
    tcp = sockets.WSAEnumProtocols()[0]
    changed = tcp._replace(iSocketType=SOCK_DGRAM, iProtocol=IPPROTO_UDP)
    for wildcard in (0, FROM_PROTOCOL_INFO):
        assert kind(sockets.WSASocket(wildcard, wildcard, wildcard, changed)) == UDP


def test_a_provider_of_one_protocol_serves_no_other(world: World) -> None:
    tcp = sockets.WSAEnumProtocols()[0]
    for arguments, code in (
        ((NOWHERE, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((AF_INET6, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((AF_INET, NOWHERE, IPPROTO_TCP), WSAESOCKTNOSUPPORT),
        ((AF_INET, SOCK_STREAM, NOWHERE), WSAEPROTONOSUPPORT),
        ((AF_INET, SOCK_DGRAM, IPPROTO_TCP), WSAEPROTOTYPE),
    ):
        with refused(code):
            sockets.WSASocket(*arguments, tcp)


def test_a_description_of_nothing_sock_017(world: World) -> None:
    info = sockets.WSAEnumProtocols()[0]
    with refused(WSAEINVAL, "4711"):
        sockets.WSASocket(-1, -1, -1, info._replace(dwCatalogEntryId=4711))
    with refused(WSAEINVAL, "no duplicate"):  # SOCK-017
        sockets.WSASocket(-1, -1, -1, info._replace(dwProviderReserved=1))
    with refused(WSAEFAULT, "protocol_info"):
        sockets.WSASocket(-1, -1, -1, ("no", "info"))  # type: ignore[arg-type]


def test_groups_and_flags_sock_007(world: World) -> None:
    with refused(WSAEINVAL, "^.*g: 99"):
        sockets.WSASocket(*TCP, None, 99)
    with refused(WSAEINVAL, "flags"):
        sockets.WSASocket(*TCP, None, 0, WSA_FLAG_MULTIPOINT_C_ROOT)
    with refused(WSAEINVAL, "flags"):
        sockets.WSASocket(*TCP, None, 0, 0x8000)


def test_handles_are_inheritable_unless_refused_sock_019_sk_26(world: World) -> None:
    assert os.get_inheritable(world.stream())
    private = sockets.WSASocket(*TCP, None, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT)
    assert not os.get_inheritable(private)


def test_out_of_descriptors_is_wsaemfile(world: World) -> None:
    import resource

    used = host.socket()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used.fileno() + 1, limits[1]))
    try:
        with refused(WSAEMFILE) as caught:
            for _ in range(limits[0]):
                world.stream()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        used.close()
    assert caught.value.errno == errno.EMFILE


# Names and binding


@pytest.mark.parametrize("name", [None, 5, ("127.0.0.1",), ("127.0.0.1", -1), ("127.0.0.1", 70000), ("a name", 80)])
def test_what_is_no_address_bl_01(world: World, name: object) -> None:
    with refused(WSAEFAULT):
        sockets.bind(world.stream(), name)  # type: ignore[arg-type]
    with refused(WSAEFAULT):
        sockets.connect(world.stream(), name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [SockaddrOther(NOWHERE, bytes(14)), SockaddrIn6("::1", 0), SockaddrUn("/tmp/x")])
def test_addresses_of_another_family_bl_02_conn_015(world: World, name: SockaddrOther) -> None:
    with refused(WSAEAFNOSUPPORT, "name"):
        sockets.bind(world.stream(), name)
    with refused(WSAEAFNOSUPPORT, "name"):
        sockets.connect(world.stream(), name)


@pytest.mark.parametrize("host_name", ["192.0.2.0", "255.255.255.255"])
@pytest.mark.parametrize("port", [0, 1234])
def test_addresses_of_other_hosts_bl_03_conn_017(world: World, host_name: str, port: int) -> None:
    for s in (world.stream(), sockets.socket(*UDP)):
        with refused(WSAEADDRNOTAVAIL):
            sockets.bind(s, (host_name, port))


def test_binding_twice_bl_04_conn_016(world: World) -> None:
    s = world.stream()
    sockets.bind(s, world.anywhere)
    with refused(WSAEINVAL, "bound"):
        sockets.bind(s, world.anywhere)


def test_an_address_in_use_bl_05_conn_017(world: World) -> None:
    for make in (world.stream, lambda: sockets.socket(*UDP)):
        first, second = make(), make()
        sockets.bind(first, world.anywhere)
        with refused(WSAEADDRINUSE):
            sockets.bind(second, sockets.getsockname(first))
        sockets.closesocket(first)


def test_an_address_in_use_elsewhere_is_the_hosts_answer(world: World) -> None:
    with host.create_server(("127.0.0.1", 0)) as other, refused(WSAEADDRINUSE) as caught:
        sockets.bind(world.stream(), other.getsockname())
    assert caught.value.from_kernel


def test_the_handle_is_looked_at_first_bl_06_bl_13(world: World) -> None:
    for call in (sockets.bind, sockets.connect):
        with refused(WSAENOTSOCK):
            call(-1, None)  # type: ignore[arg-type]
    for s in (0, NOWHERE):
        with refused(WSAENOTSOCK):
            sockets.listen(s, 1)


def test_port_zero_is_a_port_of_choice_conn_018_addr_008(world: World) -> None:
    one, other = world.datagram(), world.datagram()
    ports = {getattr(sockets.getsockname(s), "port", 0) for s in (one, other)}
    assert len(ports) == 2
    assert 0 not in ports


def test_an_unbound_socket_has_no_name_conn_044(world: World) -> None:
    for s in (world.stream(), sockets.socket(*UDP)):
        with refused(WSAEINVAL, "not bound"):
            sockets.getsockname(s)


def test_sendto_binds_and_does_not_connect_addr_001_addr_010_ud_11_bl_12_conn_043(world: World) -> None:
    s, target = sockets.socket(*UDP), world.datagram()
    transfer.sendto(s, b"x", 0, sockets.getsockname(target))
    name = sockets.getsockname(s)
    assert isinstance(name, SockaddrIn)
    assert name.host == "0.0.0.0"
    assert name.port != 0
    with refused(WSAENOTCONN):
        sockets.getpeername(s)


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
def test_ipv6_sockets_are_for_ipv6_only_bl_46(world: World) -> None:
    six = sockets.socket(AF_INET6, SOCK_STREAM, 0)
    assert options.getsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY) == 1
    four = world.stream()
    assert options.getsockopt(four, IPPROTO_IPV6, IPV6_V6ONLY) == 1
    options.setsockopt(four, IPPROTO_IPV6, IPV6_V6ONLY, 0)
    sockets.bind(four, world.anywhere)
    with refused(WSAEINVAL):
        options.setsockopt(four, IPPROTO_IPV6, IPV6_V6ONLY, 1)


def test_scopes_are_checked_bl_08(world: World) -> None:
    six = sockets.socket(AF_INET6, SOCK_DGRAM, 0)
    with refused(WSAEADDRNOTAVAIL):
        sockets.bind(six, ("fe80::1", 0, 0, 0x7FFFFFF0))


# Listening


@pytest.mark.parametrize("backlog", [-2, 0, 1, SOMAXCONN])
def test_listening_needs_an_address_bl_15_conn_033(world: World, backlog: int) -> None:
    with refused(WSAEINVAL, "bind"):
        sockets.listen(world.stream(), backlog)


@pytest.mark.parametrize("backlog", [-2, 0, 1, SOMAXCONN])
def test_any_backlog_will_do_conn_034_conn_035_conn_049(world: World, backlog: int) -> None:
    listener, address = world.listener()
    sockets.listen(listener, backlog)
    sockets.connect(world.stream(), address)
    assert sockets.accept(listener)[0] > 0


def test_a_connected_socket_does_not_listen_conn_033(world: World) -> None:
    with refused(WSAEISCONN):
        sockets.listen(world.connected().client, 1)


def test_datagram_sockets_do_not_listen_conn_006(world: World) -> None:
    s = world.datagram()
    with refused(WSAEOPNOTSUPP):
        sockets.listen(s, 1)
    with refused(WSAEOPNOTSUPP):
        sockets.accept(s)


def test_accepting_where_nobody_listens_conn_005(world: World) -> None:
    with refused(WSAEINVAL, "listen"):
        sockets.accept(world.stream())


def test_whether_it_listens_can_be_read_and_not_set_bl_17(world: World) -> None:
    s = world.stream()
    listener, _ = world.listener()
    assert (options.getsockopt(s, SOL_SOCKET, SO_ACCEPTCONN), options.getsockopt(listener, SOL_SOCKET, 2)) == (0, 1)
    for value in (0, 1):
        with refused(10042):
            options.setsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, value)


def test_accepted_sockets_are_like_their_listener_conn_007_conn_008(world: World) -> None:
    listener, address = world.listener()
    options.setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, 1)
    options.setsockopt(listener, SOL_SOCKET, SO_LINGER, Linger(1, 3))
    sockets.connect(world.stream(), address)
    waiting.select(0, [listener], None, None, 10)
    options.ioctlsocket(listener, FIONBIO, 1)
    server, _ = sockets.accept(listener)
    assert options.getsockopt(server, SOL_SOCKET, SO_OOBINLINE) == 1
    assert options.getsockopt(server, SOL_SOCKET, SO_LINGER) == Linger(1, 3)
    assert not os.get_blocking(server)
    assert os.get_inheritable(server)
    with refused(WSAEINVAL):
        sockets.accept(server)
    with refused(WSAEWOULDBLOCK):  # CONN-009
        sockets.accept(listener)


def test_a_condition_accepts_conn_001_conn_002_conn_010_conn_013(world: World) -> None:
    listener, address = world.listener()
    client = world.stream()
    sockets.connect(client, address)
    asked: list[tuple[object, ...]] = []

    def condition(*arguments: object) -> int:
        asked.append((threading.get_ident(), *arguments))
        return CF_ACCEPT

    server, peer = sockets.WSAAccept(listener, condition, "mine")
    assert peer == sockets.getsockname(client) == sockets.getpeername(server)  # CONN-010
    assert asked == [(threading.get_ident(), peer, None, None, None, address, None, 0, "mine")]


def test_a_condition_rejects_conn_002(world: World) -> None:
    listener, address = world.listener()
    client = world.stream()
    sockets.connect(client, address)
    with refused(WSAECONNREFUSED) as caught:
        sockets.WSAAccept(listener, lambda *_: CF_REJECT)
    assert caught.value.address == sockets.getsockname(client)  # CONN-010
    with refused(WSAECONNRESET):
        transfer.recv(client, 1)


def test_a_condition_defers_conn_003_conn_042(world: World) -> None:
    listener, address = world.listener()
    client = world.stream()
    sockets.connect(client, address)
    with refused(WSATRY_AGAIN) as caught:
        sockets.WSAAccept(listener, lambda *_: CF_DEFER)
    assert caught.value.address == sockets.getsockname(client)  # CONN-010
    with refused(WSAEINVAL) as caught:
        sockets.WSAAccept(listener, lambda *_: 7)  # CONN-004
    assert caught.value.address == sockets.getsockname(client)  # CONN-010
    assert waiting.select(0, [listener], None, None, 10) == ([listener], [], [])
    assert sockets.accept(listener)[1] == sockets.getsockname(client)  # CONN-010


def test_another_thread_may_take_a_deferred_connection_first(world: World) -> None:
    class Taken(list[Any]):
        """Empty by the time that one is taken."""

        def __bool__(self) -> bool:
            return True

    listener, address = world.listener()
    client = world.stream()
    sockets.connect(client, address)
    SOCKETS[listener].deferred = Taken()
    assert sockets.accept(listener)[1] == sockets.getsockname(client)
    del SOCKETS[listener].deferred


def test_a_condition_that_answers_nonsense_conn_004(world: World) -> None:
    listener, address = world.listener()
    sockets.connect(world.stream(), address)
    with refused(WSAEINVAL, "condition"):
        sockets.WSAAccept(listener, lambda *_: 17)


def test_a_condition_that_raises_leaves_the_connection_waiting(world: World) -> None:
    listener, address = world.listener()
    client = world.stream()
    sockets.connect(client, address)
    with pytest.raises(ZeroDivisionError):
        sockets.WSAAccept(listener, lambda *_: 1 // 0)
    assert sockets.accept(listener)[1] == sockets.getsockname(client)


def test_deferred_connections_end_with_their_listener(world: World) -> None:
    listener, address = world.listener()
    client = world.stream()
    sockets.connect(client, address)
    with refused(WSATRY_AGAIN):
        sockets.WSAAccept(listener, lambda *_: CF_DEFER)
    sockets.closesocket(listener)
    with refused(WSAECONNRESET):
        transfer.recv(client, 1)


# Connecting


@pytest.mark.parametrize("name", [("0.0.0.0", 80), ("127.0.0.1", 0), ("0.0.0.0", 0)])
def test_zeros_are_nobody_conn_020(world: World, name: tuple[str, int]) -> None:
    with refused(WSAEADDRNOTAVAIL):
        sockets.connect(world.stream(), name)


def test_states_in_which_a_stream_does_not_connect_conn_021(world: World) -> None:
    listener, address = world.listener()
    with refused(WSAEISCONN):
        sockets.connect(world.connected().client, address)
    with refused(WSAEINVAL, "listening"):
        sockets.connect(listener, address)


def test_a_connect_binds_conn_019_conn_045(world: World) -> None:
    _listener, address = world.listener()
    s = world.stream()
    sockets.connect(s, address)
    name = sockets.getsockname(s)
    assert isinstance(name, SockaddrIn)
    assert name.host == "127.0.0.1"
    assert name.port != 0


def pending(world: World) -> tuple[int, int]:
    """A listener whose queue is full, and a socket whose connect is on its way to it."""
    listener, address = world.listener(0)
    while True:
        s = world.stream()
        options.ioctlsocket(s, FIONBIO, 1)
        with refused(WSAEWOULDBLOCK) as caught:
            sockets.connect(s, address)
        assert caught.value.errno == errno.EINPROGRESS
        if waiting.select(0, None, [s], [s], 0.05) == ([], [], []):
            return listener, s


def test_a_second_connect_while_one_is_on_its_way_conn_022(world: World) -> None:
    listener, s = pending(world)
    with refused(WSAEALREADY):
        sockets.connect(s, sockets.getsockname(listener))


def test_a_connect_that_succeeded_is_connected(world: World) -> None:
    _listener, address = world.listener()
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(s, address)
    assert waiting.select(0, None, [s], None, 10)[1] == [s]
    with refused(WSAEISCONN):
        sockets.connect(s, address)


def test_a_refused_connect_may_be_repeated_conn_025_bl_28(world: World) -> None:
    nobody = world.closed_port()
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    for _ in range(3):
        assert code_of(lambda: sockets.connect(s, nobody)) in (WSAEWOULDBLOCK, WSAECONNREFUSED)
        assert waiting.select(0, [s], [s], [s], 10)[:2] == ([], [])
    listener, address = world.listener()
    options.ioctlsocket(s, FIONBIO, 0)
    sockets.connect(s, address)
    assert sockets.accept(listener)[1] == sockets.getsockname(s)


def test_a_failed_connect_is_not_writable_bl_19(world: World) -> None:
    s = world.stream()
    with refused(WSAECONNREFUSED):
        sockets.connect(s, world.closed_port())
    assert waiting.select(0, None, [s], None, 0.05) == ([], [], [])


def test_connect_data_and_quality_conn_030_conn_032_conn_046_conn_047(world: World) -> None:
    _listener, address = world.listener()
    s = world.stream()
    with refused(WSAEPROTONOSUPPORT, "caller_data"):
        sockets.WSAConnect(s, address, b"data")
    with refused(WSAEOPNOTSUPP, "sqos"):
        sockets.WSAConnect(s, address, None, None, object())
    with refused(WSAEINVAL, "gqos"):
        sockets.WSAConnect(s, address, None, None, None, object())
    assert sockets.WSAConnect(s, address) is None
    datagram = world.datagram()
    sockets.WSAConnect(datagram, address, b"ignored")


def test_a_datagram_socket_has_one_peer_conn_026_conn_027_conn_028_ud_07_ud_08(world: World) -> None:
    s, one, other = sockets.socket(*UDP), world.datagram(), world.datagram()
    for peer in (one, one, other):
        sockets.connect(s, sockets.getsockname(peer))
        assert sockets.getpeername(s) == sockets.getsockname(peer)
    transfer.sendto(one, b"stranger", 0, sockets.getsockname(s))
    transfer.sendto(other, b"peer", 0, sockets.getsockname(s))
    assert transfer.recvfrom(s, 100) == (b"peer", sockets.getsockname(other))
    for nobody in (SockaddrIn("0.0.0.0", 0), SockaddrOther(AF_UNSPEC, bytes(14))):
        sockets.connect(s, sockets.getsockname(one))
        sockets.connect(s, nobody)
        with refused(WSAENOTCONN):
            sockets.getpeername(s)
        with refused(WSAENOTCONN):
            transfer.send(s, b"x")


@pytest.mark.parametrize("port_of", ["bind", "connect"])
def test_a_datagram_socket_keeps_its_port_when_it_leaves_its_peer(world: World, port_of: str) -> None:
    s, peer = sockets.socket(*UDP), world.datagram()
    if port_of == "bind":
        sockets.bind(s, SockaddrIn("0.0.0.0", 0))
    sockets.connect(s, sockets.getsockname(peer))
    name = sockets.getsockname(s)
    sockets.connect(s, SockaddrOther(AF_UNSPEC, bytes(14)))
    assert sockets.getsockname(s) == name._replace(host="0.0.0.0")  # type: ignore[call-arg]
    transfer.sendto(peer, b"still there?", 0, name)
    assert transfer.recv(s, 100) == b"still there?"


def test_another_peer_is_not_answered_with_what_the_last_one_sent(world: World) -> None:
    """CONN-028: nor with the news of what was sent to the last one."""
    s, one, other = (world.datagram() for _ in range(3))
    sockets.connect(s, sockets.getsockname(one))
    for text in (b"early", b"", b"late"):
        transfer.sendto(one, text, 0, sockets.getsockname(s))
    sockets.connect(s, sockets.getsockname(one))
    assert transfer.recv(s, 100) == b"early", "the same peer's remain"
    sockets.connect(s, sockets.getsockname(other))
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        transfer.recv(s, 100)
    transfer.sendto(other, b"mine", 0, sockets.getsockname(s))
    assert transfer.recv(s, 100) == b"mine"
    sockets.closesocket(other)
    transfer.send(s, b"anybody?")
    third = world.datagram()
    sockets.connect(s, sockets.getsockname(third))
    with refused(WSAEWOULDBLOCK):
        transfer.recv(s, 100)


def test_broadcast_addresses_are_bound_with_leave(world: World) -> None:
    for host_name, code in (("127.255.255.255", WSAEACCES), ("255.255.255.255", WSAEADDRNOTAVAIL)):
        with refused(code):  # ADDR-009; BL-03 of the one that is everywhere
            sockets.bind(sockets.socket(*UDP), (host_name, 0))
    s = sockets.socket(*UDP)
    options.setsockopt(s, SOL_SOCKET, SO_BROADCAST, 1)
    sockets.bind(s, ("127.255.255.255", 0))
    name = sockets.getsockname(s)
    sender = sockets.socket(*UDP)
    options.setsockopt(sender, SOL_SOCKET, SO_BROADCAST, 1)
    transfer.sendto(sender, b"all", 0, name)
    assert transfer.recv(s, 100) == b"all"
    sockets.bind(sockets.socket(*UDP), ("127.0.0.9", 0))


def test_a_stream_leaves_its_peer_by_the_unspecified_family(world: World) -> None:
    s = world.connected().client
    sockets.connect(s, SockaddrOther(AF_UNSPEC, bytes(14)))
    with refused(WSAENOTCONN):
        sockets.getpeername(s)
    listener, address = world.listener()
    sockets.connect(s, address)
    assert sockets.accept(listener)[1] == sockets.getsockname(s)


def test_a_connection_that_broke_is_not_made_again(world: World) -> None:
    listener, address = world.listener()
    s, other = world.stream(), world.listener()[1]
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(s, address)
    assert waiting.select(0, None, [s], None, 20)[1] == [s]
    sockets.closesocket(listener)
    assert waiting.select(0, [s], None, None, 20)[0] == [s]
    with refused(WSAECONNRESET):
        transfer.recv(s, 1)
    for _ in range(2):
        with refused(WSAEISCONN):
            sockets.connect(s, other)


def test_a_peer_that_cannot_be(world: World) -> None:
    with refused(WSAEAFNOSUPPORT):
        sockets.connect(world.datagram(), SockaddrIn6("::1", 9))
    six = sockets.socket(AF_INET6, SOCK_DGRAM, 0)
    with refused(WSAEINVAL, "peer"):
        sockets.connect(six, ("fe80::1", 9))


def test_a_peer_without_a_port(world: World) -> None:
    s, other = sockets.socket(*UDP), world.datagram()
    for _ in range(2):
        with refused(WSAEADDRNOTAVAIL):
            sockets.connect(s, ("127.0.0.1", 0))
        sockets.connect(s, sockets.getsockname(other))
    transfer.send(s, b"still yours")
    assert transfer.recv(other, 100) == b"still yours"


def test_broadcast_needs_leave_only_for_sendto_so_34_conn_029_io_032(world: World) -> None:
    s = sockets.socket(*UDP)
    broadcast = ("127.255.255.255", 9)
    with refused(10013):
        transfer.sendto(s, b"x", 0, broadcast)
    sockets.connect(s, broadcast)
    assert options.getsockopt(s, SOL_SOCKET, SO_BROADCAST) == 0
    assert transfer.send(s, b"x") == 1
    with refused(10013):
        transfer.sendto(s, b"x", 0, broadcast)


# Shutting down and closing


def test_shutting_down_what_is_not_connected_sh_01_close_019(world: World) -> None:
    listener, _ = world.listener()
    for s in (world.stream(), listener):
        for how in (SD_SEND, SD_RECEIVE, SD_BOTH):
            with refused(WSAENOTCONN):
                sockets.shutdown(s, how)
    with refused(WSAEINVAL, "how"):
        sockets.shutdown(world.connected().client, 3)


def test_what_was_not_shut_down_can_be_connected(world: World) -> None:
    listener, address = world.listener()
    s = world.stream()
    for how in (SD_SEND, SD_RECEIVE, SD_BOTH):
        with refused(WSAENOTCONN):
            sockets.shutdown(s, how)
    with refused(WSAEINVAL):
        transfer.recv(s, 1)
    sockets.connect(s, address)
    accepted, _ = sockets.accept(listener)
    transfer.send(s, b"out")
    transfer.send(accepted, b"in")
    assert (transfer.recv(accepted, 9), transfer.recv(s, 9)) == (b"out", b"in")


def test_shutting_down_twice_sh_02_io_028_close_018(world: World) -> None:
    client, server = world.connected()
    sockets.shutdown(client, SD_SEND)
    sockets.shutdown(client, SD_SEND)
    with refused(WSAESHUTDOWN):
        transfer.send(client, b"x")
    assert [transfer.recv(server, 1), transfer.recv(server, 1)] == [b"", b""]


def test_receiving_after_shutdown_io_007(world: World) -> None:
    client, _ = world.connected()
    sockets.shutdown(client, SD_RECEIVE)
    with refused(WSAESHUTDOWN):
        transfer.recv(client, 1)
    with refused(WSAESHUTDOWN):
        transfer.WSARecv(client, [bytearray(1), bytearray(1)])


def test_datagram_sockets_are_shut_down_sh_08(world: World) -> None:
    s, target = world.datagram(), world.datagram()
    sockets.shutdown(s, SD_RECEIVE)
    with refused(WSAESHUTDOWN):
        transfer.recvfrom(s, 1)
    sockets.shutdown(s, SD_SEND)
    sockets.shutdown(s, SD_SEND)
    with refused(WSAESHUTDOWN):
        transfer.sendto(s, b"x", 0, sockets.getsockname(target))
    sockets.shutdown(sockets.socket(*UDP), SD_BOTH)


def test_disconnects_close_012_close_014_close_016(world: World) -> None:
    client, server = world.connected()
    with refused(10042, "data"):
        transfer.WSASendDisconnect(client, b"bye")
    transfer.WSASendDisconnect(client)
    assert transfer.recv(server, 1) == b""
    assert transfer.WSARecvDisconnect(client) == b""
    with refused(WSAESHUTDOWN):
        transfer.recv(client, 1)


def test_who_lingers_and_does_not_block_stays_open_while_data_is_on_its_way(world: World) -> None:
    """CLOSE-008: and goes on with it; the end of a stream is not sent."""
    client, server = world.connected()
    options.ioctlsocket(client, FIONBIO, 1)
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 5))
    sent = 0
    while (count := sent_of(client)) > 0:
        sent += count
    with refused(WSAEWOULDBLOCK):
        sockets.closesocket(client)
    received = 0
    while received < sent:
        received += len(transfer.recv(server, 1 << 20))
    assert transfer.send(client, b"more") == 4
    assert transfer.recv(server, 100) == b"more"
    while code_of(lambda: sockets.closesocket(client)) == WSAEWOULDBLOCK:
        pass  # until the host knows that it has arrived
    assert transfer.recv(server, 100) == b""
    with refused(WSAENOTSOCK):
        sockets.closesocket(client)


def sent_of(s: int) -> int:
    """How much of a megabyte goes."""
    try:
        return transfer.send(s, bytes(1 << 20))
    except WinsockError:
        return 0


def test_a_closed_handle_is_none_close_001(world: World) -> None:
    s = world.stream()
    sockets.closesocket(s)
    with refused(WSAENOTSOCK):
        sockets.closesocket(s)


def test_a_number_that_became_another_file_is_no_socket(world: World) -> None:
    s = world.stream()
    os.close(s)
    with open(os.devnull) as other:
        assert other.fileno() == s
        with refused(WSAENOTSOCK):
            sockets.getsockname(s)
        assert other.read() == ""


@pytest.mark.parametrize("wait", ["accept", "recv", "recvfrom"])
def test_closing_ends_a_wait_sk_28(world: World, wait: str) -> None:
    pair = world.connected()
    waits = {
        "accept": (world.listener()[0], sockets.accept, (WSAEINTR,)),
        "recv": (pair.client, lambda s: transfer.recv(s, 1), (10053,)),
        "recvfrom": (world.datagram(), lambda s: transfer.recvfrom(s, 1), (10053,)),
    }
    s, call, codes = waits[wait]
    errors: list[WinsockError] = []

    def body() -> None:
        with pytest.raises(WinsockError) as caught:
            call(s)
        errors.append(caught.value)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    wait_until_blocked(s, thread)
    sockets.closesocket(s)
    thread.join(20)
    assert not thread.is_alive()
    assert [error.winerror in codes for error in errors] == [True]


def test_a_reset_is_all_that_the_peer_of_a_wait_sees(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    answers: list[int] = []

    def wait() -> None:
        with pytest.raises(WinsockError) as caught:
            transfer.recv(client, 1)
        answers.append(caught.value.winerror)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    wait_until_blocked(client, thread)
    sockets.closesocket(client)
    with refused(WSAECONNRESET):
        transfer.recv(server, 1)
    thread.join(20)
    assert answers == [10053]


def test_a_full_backlog_makes_who_connects_wait(world: World) -> None:
    """Where Windows refuses (CONN-036): the kernel lets one more in than was asked for, and no other."""
    _, address = world.listener(backlog=1)
    for _ in range(2):
        sockets.connect(world.stream(), address)
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(s, address)
    assert waiting.select(0, None, [s], [s], 0) == ([], [], [])


def wait_until_blocked(s: int, thread: threading.Thread) -> None:
    """Until the thread is in a call on the socket, and the kernel has put it to sleep."""
    while not own.SOCKETS[s].waiters or not is_asleep(thread):
        host_select.select([], [], [], 0.001)


def is_asleep(thread: threading.Thread) -> bool:
    with open(f"/proc/self/task/{thread.native_id}/stat") as status:
        return status.read().rpartition(")")[2].split()[0] == "S"


def test_the_catalog_is_shown_ep_02_ep_05_ep_06(world: World) -> None:
    infos = sockets.WSAEnumProtocols()
    assert [info.dwCatalogEntryId for info in infos][:4] == [1001, 1002, 1003, 1004]
    assert all(info.szProtocol and info.chain_length == 1 and info.iVersion == 2 for info in infos)
    assert {info.dwServiceFlags1 for info in infos if info.iProtocol == IPPROTO_UDP} == {0x20609}
    assert [info.iProtocol for info in sockets.WSAEnumProtocols([IPPROTO_UDP])] == [IPPROTO_UDP, IPPROTO_UDP]
    assert sockets.WSAEnumProtocols([NOWHERE]) == []
    with refused(WSAEINVAL, "protocols"):
        sockets.WSAEnumProtocols(5)  # type: ignore[arg-type]


def test_the_type_can_be_read_opt_018(world: World) -> None:
    assert options.getsockopt(world.datagram(), SOL_SOCKET, SO_TYPE) == SOCK_DGRAM
