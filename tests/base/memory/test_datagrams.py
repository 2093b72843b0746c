"""Datagrams of a simulated network: whole or not at all, to one or to many."""

from __future__ import annotations

import socket as host

import pytest

from tests.base.memory.land import ALICE, AS_LEAF, BOB, Land, address, nonblocking, refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    FIONREAD,
    IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
    IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_ADD_MEMBERSHIP,
    JL_BOTH,
    JL_RECEIVER_ONLY,
    JL_SENDER_ONLY,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_WAITALL,
    SD_RECEIVE,
    SD_SEND,
    SIO_MULTICAST_SCOPE,
    SIO_MULTIPOINT_LOOPBACK,
    SIO_UDP_CONNRESET,
    SO_BROADCAST,
    SO_MAX_MSG_SIZE,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SOCK_DGRAM,
    SOL_SOCKET,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMSGSIZE,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
)
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.api import multipoint, options, sockets, transfer, waiting
from winsock.base.memory import Host

GROUP = "239.1.2.3"
EVERYBODY = "255.255.255.255"


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01)


def received(land: Land, s: int) -> list[bytes]:
    """All that has come, after a while."""
    land.settle()
    nonblocking(s)
    found = []
    while waiting.select(0, [s], None, None, 0)[0]:
        found.append(transfer.recvfrom(s, 1000)[0])
    return found


def test_a_datagram_arrives_whole_with_its_source(land: Land) -> None:  # IO-011
    with land:
        one, other = land.datagram(land.alice, 7), land.datagram(land.bob, 7)
        for data in (b"first", b"", b"third"):
            assert transfer.sendto(one, data, 0, (BOB, 7)) == len(data)
            assert transfer.recvfrom(other, 100) == (data, address(land.alice, 7))


def test_datagrams_get_lost_double_and_overtake() -> None:
    with Land(latency=0.01, loss=0.2, duplicate=0.2, reorder=0.2) as land:
        one, other = land.datagram(land.alice), land.datagram(land.bob, 7)
        for n in range(500):
            transfer.sendto(one, b"%d" % n, 0, (BOB, 7))
            land.settle(0.001)
        numbers = [int(data) for data in received(land, other)]
        assert 350 < len(set(numbers)) < 450
        assert 450 < len(numbers) < 530
        assert numbers != sorted(numbers)


def test_a_sender_is_bound_by_sending(land: Land) -> None:  # ADDR-001, ADDR-010
    with land:
        with land.alice:
            s = sockets.socket(AF_INET, SOCK_DGRAM, 0)
        refused(WSAEINVAL, lambda: transfer.recvfrom(s, 1))
        assert waiting.select(0, None, [s], None, 0) == ([], [s], [])  # SE-20
        refused(WSAENOTCONN, lambda: transfer.send(s, b"x"))
        refused(WSAEINVAL, lambda: sockets.getsockname(s))
        transfer.sendto(s, b"x", 0, (BOB, 7))
        name = sockets.getsockname(s)
        assert isinstance(name, SockaddrIn)
        assert name.host == "0.0.0.0"
        assert name.port >= 49152


def test_what_is_longer_than_the_buffer_is_cut(land: Land) -> None:  # IO-005
    with land:
        one, other = land.datagram(land.alice, 7), land.datagram(land.bob, 7)
        for data in (b"0123456789", b"next", b"0123456789"):
            transfer.sendto(one, data, 0, (BOB, 7))
        land.settle()
        assert options.ioctlsocket(other, FIONREAD) == 24  # IOC-004
        buffers = bytearray(2), bytearray(2)
        error = refused(WSAEMSGSIZE, lambda: transfer.WSARecvFrom(other, buffers))
        assert (bytes(buffers[0] + buffers[1]), error.count, error.flags, error.address) == (
            b"0123",
            4,
            MSG_PARTIAL,
            address(land.alice, 7),
        )
        assert transfer.recv(other, 10) == b"next"
        assert transfer.WSARecv(other, [bytearray(4)], MSG_PARTIAL) == (4, MSG_PARTIAL)


def test_looking_takes_nothing(land: Land) -> None:
    with land:
        one, other = land.datagram(land.alice), land.datagram(land.bob, 7)
        transfer.sendto(one, b"x", 0, (BOB, 7))
        assert transfer.recvfrom(other, 10, MSG_PEEK)[0] == transfer.recvfrom(other, 10)[0] == b"x"


def test_too_long_is_not_sent(land: Land) -> None:  # IO-025
    with land:
        s = land.datagram(land.alice)
        refused(WSAEMSGSIZE, lambda: transfer.sendto(s, bytes(65508), 0, (BOB, 7)))
        assert options.getsockopt(s, SOL_SOCKET, SO_MAX_MSG_SIZE) == 65507
        assert transfer.sendto(s, bytes(65507), 0, (BOB, 7)) == 65507


def test_what_finds_no_room_is_lost(land: Land) -> None:
    with land:
        one, other = land.datagram(land.alice), land.datagram(land.bob, 7)
        options.setsockopt(other, SOL_SOCKET, SO_RCVBUF, 1000)
        for _ in range(20):
            transfer.sendto(one, bytes(168), 0, (BOB, 7))
        assert received(land, other) == [bytes(168)] * 5
        assert sum(line.endswith("no room") for line in land.lines) == 15


def test_flags_that_mean_nothing_are_refused(land: Land) -> None:
    with land:
        s = land.datagram(land.alice, 7)
        refused(WSAEOPNOTSUPP, lambda: transfer.sendto(s, b"x", MSG_OOB, (BOB, 7)))
        refused(WSAEOPNOTSUPP, lambda: transfer.sendto(s, b"x", MSG_PARTIAL, (BOB, 7)))
        refused(WSAEINVAL, lambda: transfer.sendto(s, b"x", 0x4000, (BOB, 7)))
        refused(WSAEOPNOTSUPP, lambda: transfer.recvfrom(s, 1, MSG_OOB))
        refused(WSAEOPNOTSUPP, lambda: transfer.recvfrom(s, 1, MSG_WAITALL))
        refused(WSAEAFNOSUPPORT, lambda: transfer.sendto(s, b"x", 0, SockaddrIn6("fd00::2", 7)))
        refused(WSAEOPNOTSUPP, lambda: sockets.listen(s, 1))
        refused(WSAEOPNOTSUPP, lambda: sockets.accept(s))


def test_nobody_is_at_port_zero(land: Land) -> None:
    with land:
        assert transfer.sendto(land.datagram(land.alice), b"x", 0, (BOB, 0)) == 1


def test_a_time_out(land: Land) -> None:
    with land:
        s = land.datagram(land.alice, 7)
        options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, 1500)
        refused(WSAETIMEDOUT, lambda: transfer.recvfrom(s, 1))
        assert land.network.now == 1.5


# Peers.


def test_a_peer_is_sent_to_and_heard_alone(land: Land) -> None:  # CONN-026, CONN-043, IO-030
    with land:
        one, other, third = land.datagram(land.alice, 7), land.datagram(land.bob, 7), land.datagram(land.bob, 8)
        sockets.connect(one, (BOB, 7))
        assert sockets.getpeername(one) == address(land.bob, 7)
        assert transfer.send(one, b"to the peer") == 11
        assert transfer.recv(other, 100) == b"to the peer"
        transfer.sendto(one, b"elsewhere", 0, (BOB, 8))
        assert transfer.recv(third, 100) == b"elsewhere"
        transfer.sendto(third, b"stranger", 0, (ALICE, 7))
        transfer.sendto(other, b"peer", 0, (ALICE, 7))
        assert received(land, one) == [b"peer"]


def test_another_peer_makes_what_the_last_sent_forgotten(land: Land) -> None:  # CONN-028
    with land:
        one, other = land.datagram(land.alice, 7), land.datagram(land.bob, 7)
        sockets.connect(one, (BOB, 7))
        transfer.sendto(other, b"old", 0, (ALICE, 7))
        land.settle()
        sockets.connect(one, (BOB, 8))
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(nonblocking(one), 1))


@pytest.mark.parametrize("name", [SockaddrIn("0.0.0.0", 0), SockaddrOther(AF_UNSPEC, bytes(14))])
def test_a_peer_may_be_given_up(land: Land, name: SockaddrIn | SockaddrOther) -> None:  # CONN-027
    with land:
        one, other = land.datagram(land.alice, 7), land.datagram(land.bob, 7)
        sockets.connect(one, (BOB, 7))
        sockets.connect(one, name)
        refused(WSAENOTCONN, lambda: transfer.send(one, b"x"))
        refused(WSAEDESTADDRREQ, lambda: transfer.sendto(one, b"x", 0, None))
        refused(WSAENOTCONN, lambda: sockets.getpeername(one))
        assert transfer.sendto(one, b"x", 0, (BOB, 7)) == 1
        assert transfer.recvfrom(other, 1) == (b"x", address(land.alice, 7))


def test_a_port_is_needed(land: Land) -> None:
    with land:
        refused(WSAEADDRNOTAVAIL, lambda: sockets.connect(land.datagram(land.alice), (BOB, 0)))


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (SockaddrIn("alice", 9), WSAEFAULT),
        (SockaddrIn("", 9), WSAEFAULT),
        (SockaddrIn(BOB, -1), WSAEFAULT),
        (SockaddrIn(BOB, 65536), WSAEFAULT),
        (SockaddrIn(BOB, None), WSAEFAULT),  # type: ignore[arg-type]
        (SockaddrIn("0.0.0.0", 9), WSAEADDRNOTAVAIL),
    ],
)
def test_what_is_no_address_to_send_to(land: Land, to: SockaddrIn, code: int) -> None:
    with land:
        senders = [land.datagram(land.alice), land.reliable(land.alice)]
        for s in senders:
            refused(code, lambda s=s: transfer.sendto(s, b"x", 0, to))  # type: ignore[misc]
            refused(code, lambda s=s: sockets.connect(s, to))  # type: ignore[misc]
        refused(code, lambda: sockets.connect(land.stream(land.alice), to))
        if code == WSAEFAULT:
            refused(code, lambda: sockets.bind(land.stream(land.alice), to))


def test_a_datagram_for_nobody_is_told_to_its_sender(land: Land) -> None:  # IO-023
    with land:
        s = land.datagram(land.alice, 7)
        transfer.sendto(s, b"x", 0, (BOB, 7))
        refused(WSAECONNRESET, lambda: transfer.recvfrom(s, 1))
        assert land.network.now == pytest.approx(0.02)
        transfer.sendto(s, b"x", 0, (BOB, 7))
        assert waiting.select(0, [s], None, None, 1) == ([s], [], [])
        refused(WSAECONNRESET, lambda: transfer.recvfrom(nonblocking(s), 1))
        refused(WSAEWOULDBLOCK, lambda: transfer.recvfrom(s, 1))
        options_off = bytes(4)
        options.WSAIoctl(s, SIO_UDP_CONNRESET, options_off)
        transfer.sendto(s, b"x", 0, (BOB, 7))
        assert received(land, s) == []


def test_halves_may_be_shut_down(land: Land) -> None:  # CLOSE-020
    with land:
        one, other = land.datagram(land.alice, 7), land.datagram(land.bob, 7)
        refused(WSAENOTCONN, lambda: sockets.shutdown(one, SD_SEND))
        sockets.connect(one, (BOB, 7))
        sockets.shutdown(one, SD_SEND)
        refused(WSAESHUTDOWN, lambda: transfer.send(one, b"x"))
        sockets.shutdown(one, SD_RECEIVE)
        transfer.sendto(other, b"x", 0, (ALICE, 7))
        land.settle()
        refused(WSAESHUTDOWN, lambda: transfer.recv(one, 1))
        refused(WSAEWOULDBLOCK, lambda: transfer.recvfrom(nonblocking(other), 1))  # no word that nobody is there


# To many.


def test_a_broadcast_reaches_every_host(land: Land) -> None:  # IO-032, CONN-029 as SO-34
    with land:
        s = land.datagram(land.alice)
        heard = [_anywhere(land, host, 7) for host in (land.alice, land.bob)]
        refused(WSAEACCES, lambda: transfer.sendto(s, b"x", 0, (EVERYBODY, 7)))
        options.setsockopt(s, SOL_SOCKET, SO_BROADCAST, 1)
        assert transfer.sendto(s, b"all", 0, (EVERYBODY, 7)) == 3
        assert [received(land, other) for other in heard] == [[b"all"], [b"all"]]
        quiet = land.datagram(land.alice)
        sockets.connect(quiet, (EVERYBODY, 7))
        assert transfer.send(quiet, b"x") == 1
        for port in (7, 8):
            refused(WSAEACCES, lambda port=port: transfer.sendto(quiet, b"x", 0, (EVERYBODY, port)))  # type: ignore[misc]


def _anywhere(land: Land, at: Host, port: int) -> int:
    with at:
        s = sockets.socket(AF_INET, SOCK_DGRAM, 0)
    sockets.bind(s, ("0.0.0.0", port))
    return s


def _member(land: Land, at: Host, port: int = 7) -> int:
    s = _anywhere(land, at, port)
    options.setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, host.inet_aton(GROUP) + bytes(4))
    return s


def test_a_multicast_reaches_its_members(land: Land) -> None:
    with land:
        sender, member, bystander = _member(land, land.alice), _member(land, land.bob), _anywhere(land, land.bob, 8)
        transfer.sendto(sender, b"group", 0, (GROUP, 7))
        assert [received(land, s) for s in (sender, member, bystander)] == [[b"group"], [b"group"], []]
        options.setsockopt(member, IPPROTO_IP, IP_DROP_MEMBERSHIP, host.inet_aton(GROUP) + bytes(4))
        options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_LOOP, 0)
        transfer.sendto(sender, b"nobody", 0, (GROUP, 7))
        assert [received(land, s) for s in (sender, member)] == [[], []]


def test_members_of_one_host_hear_each_other(land: Land) -> None:
    with land:
        with land.alice:
            sender = sockets.socket(AF_INET, SOCK_DGRAM, 0)
        options.setsockopt(sender, IPPROTO_IP, IP_MULTICAST_TTL, 0)
        near, far = _member(land, land.alice), _member(land, land.bob)
        transfer.sendto(sender, b"here", 0, (GROUP, 7))
        assert [received(land, s) for s in (near, far)] == [[b"here"], []]


@pytest.mark.parametrize(("scope", "there"), [(0, []), (1, [b"x"])])
def test_the_scope_of_multicasts(land: Land, scope: int, there: list[bytes]) -> None:  # MPT-037
    with land:
        sender, member = _member(land, land.alice), _member(land, land.bob)
        options.WSAIoctl(sender, SIO_MULTICAST_SCOPE, scope.to_bytes(4, "little"))
        transfer.sendto(sender, b"x", 0, (GROUP, 7))
        assert received(land, member) == there


@pytest.mark.parametrize(("loops", "here"), [(0, []), (1, [b"x"])])
def test_whether_a_leaf_hears_itself(land: Land, loops: int, here: list[bytes]) -> None:  # MPT-036
    with land:
        leaf = _joined(land, land.alice, JL_BOTH)
        options.WSAIoctl(leaf, SIO_MULTIPOINT_LOOPBACK, loops.to_bytes(4, "little"))
        transfer.sendto(leaf, b"x", 0, (GROUP, 7))
        assert received(land, leaf) == here


def _joined(land: Land, at: Host, flags: int) -> int:
    with at:
        s = sockets.WSASocket(AF_INET, SOCK_DGRAM, 0, None, 0, AS_LEAF)
    sockets.bind(s, ("0.0.0.0", 7))
    assert multipoint.WSAJoinLeaf(s, (GROUP, 7), None, None, None, None, flags) == s  # MPT-008
    assert sockets.getpeername(s) == SockaddrIn(GROUP, 7)
    return s


def test_leaves_of_a_session_without_a_root(land: Land) -> None:  # MPT-021, MPT-028, MPT-029
    with land:
        one, other = _joined(land, land.alice, JL_BOTH), _joined(land, land.bob, JL_BOTH)
        stranger = land.datagram(land.bob)
        transfer.send(one, b"from a member")
        assert [received(land, s) for s in (one, other)] == [[b"from a member"]] * 2
        transfer.sendto(stranger, b"from outside", 0, (GROUP, 7))  # MPT-022
        assert [received(land, s) for s in (one, other)] == [[b"from outside"]] * 2


def test_leaves_of_one_direction(land: Land) -> None:  # MPT-040
    with land:
        talker, listener = _joined(land, land.alice, JL_SENDER_ONLY), _joined(land, land.bob, JL_RECEIVER_ONLY)
        transfer.send(talker, b"x")
        assert [received(land, s) for s in (talker, listener)] == [[], [b"x"]]
        refused(WSAENOTCONN, lambda: transfer.send(listener, b"x"))


def test_what_is_no_join(land: Land) -> None:  # MPT-006, MPT-039
    with land:
        with land.alice:
            leaf = sockets.WSASocket(AF_INET, SOCK_DGRAM, 0, None, 0, AS_LEAF)

        def join(s: int, group: str, flags: int = JL_BOTH, data: bytes | None = None) -> int:
            return multipoint.WSAJoinLeaf(s, (group, 7), data, None, None, None, flags)

        refused(WSAEINVAL, lambda: join(land.datagram(land.alice), GROUP))
        refused(WSAEINVAL, lambda: join(leaf, GROUP, 0))
        refused(WSAEADDRNOTAVAIL, lambda: join(leaf, BOB))
        refused(WSAEPROTONOSUPPORT, lambda: join(leaf, GROUP, JL_BOTH, b"hello"))
        join(leaf, GROUP)
        refused(WSAEISCONN, lambda: join(leaf, "239.9.9.9"))  # MPT-012


def test_groups_of_ipv6(land: Land) -> None:
    with land:
        members = []
        for at in (land.alice, land.bob):
            with at:
                members.append(sockets.socket(AF_INET6, SOCK_DGRAM, 0))
            sockets.bind(members[-1], ("::", 7))
            group = host.inet_pton(host.AF_INET6, "ff05::1") + bytes(4)
            options.setsockopt(members[-1], IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, group)
        transfer.sendto(members[0], b"six", 0, ("ff05::1", 7))
        assert transfer.recvfrom(members[1], 10) == (b"six", SockaddrIn6("fd00::1", 7))


def test_a_member_that_closes_or_crashes_is_none_any_more(land: Land) -> None:
    with land:
        sockets.closesocket(_member(land, land.alice))
        assert land.alice.groups == {}
        _member(land, land.bob)
        land.bob.crash()
        land.bob.restart()
        assert land.bob.groups == {}
