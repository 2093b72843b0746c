"""Multipoint sessions over IP multicast, at loopback: joining, sending, whom one hears (MPT, OPT-012)."""

from __future__ import annotations

import socket as host
from collections.abc import Iterator
from typing import Any

import pytest

import winsock
from tests.networks import NAME, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAEDESTADDRREQ,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.testing.pairs import has_ipv6

LEAF = c.WSA_FLAG_MULTIPOINT_C_LEAF | c.WSA_FLAG_MULTIPOINT_D_LEAF
HERE = host.inet_aton("127.0.0.1")
LO = host.if_nametoindex("lo")


@pytest.fixture(autouse=True)
def _started() -> Iterator[None]:
    with winsock.started():
        yield


def unused(group: Sockaddr) -> SockaddrIn | SockaddrIn6:
    """The group, with a port that nobody else has."""
    assert isinstance(group, (SockaddrIn, SockaddrIn6))
    with host.socket(host.AF_INET if isinstance(group, SockaddrIn) else host.AF_INET6, host.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        return group._replace(port=probe.getsockname()[1])


def port_of(s: int) -> int:
    name = winsock.getsockname(s)
    assert isinstance(name, (SockaddrIn, SockaddrIn6))
    return name.port


def leaf(group: Sockaddr, flags: int = LEAF) -> int:
    """A socket that may join."""
    s = winsock.WSASocket(group.family, c.SOCK_DGRAM, c.IPPROTO_UDP, None, 0, flags)
    winsock.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 5000)
    return s


def bound(group: SockaddrIn | SockaddrIn6) -> int:
    """One that is bound to the port of the group, as several may be."""
    s = leaf(group)
    winsock.setsockopt(s, c.SOL_SOCKET, c.SO_REUSEADDR, 1)
    winsock.bind(s, type(group)("0.0.0.0" if isinstance(group, SockaddrIn) else "::", group.port))
    return s


def join(s: int, group: Sockaddr, flags: int = c.JL_BOTH) -> int:
    leaf: int = winsock.WSAJoinLeaf(s, group, None, None, None, None, flags)
    return leaf


def member(group: SockaddrIn | SockaddrIn6, flags: int = c.JL_BOTH) -> int:
    """A member on the group's port."""
    return join(bound(group), group, flags)


def hears_nothing(s: int) -> None:
    assert winsock.select(0, [s], None, None, 0) == ([], [], [])


def test_members_at_loopback() -> None:
    """What needs no network: both ends are on this host, and say so."""
    group = unused(SockaddrIn("239.77.1.1", 0))
    one, other = bound(group), bound(group)
    for s in (one, other):
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_MULTICAST_IF, HERE)
        assert join(s, group) == s
    winsock.send(one, b"hello")
    assert [winsock.recv(s, 100) for s in (one, other)] == [b"hello"] * 2  # OPT-013: on one port, by SO_REUSEADDR


@needs_root
@needs_a_network
class TestSession:
    """Members, senders and receivers, on a wire of their own."""

    @pytest.fixture(params=[SockaddrIn("239.77.1.2", 0), SockaddrIn6("ff05::77:2", 0)], ids=["ipv4", "ipv6"])
    def group(self, request: pytest.FixtureRequest) -> Iterator[SockaddrIn | SockaddrIn6]:
        with own_network():
            group: SockaddrIn | SockaddrIn6 = request.param
            if isinstance(group, SockaddrIn6):
                group = group._replace(scope_id=host.if_nametoindex(NAME))
            yield unused(group)

    def test_each_member_hears_the_others_and_itself_mpt_021_mpt_008_mpt_040(
        self, group: SockaddrIn | SockaddrIn6
    ) -> None:
        one, other = member(group), member(group)
        assert winsock.send(one, b"hello") == 5
        assert [winsock.recv(s, 100) for s in (one, other)] == [b"hello"] * 2
        assert winsock.getpeername(one) == group

    def test_a_sender_hears_nothing_and_a_receiver_sends_nothing_mpt_040(self, group: SockaddrIn | SockaddrIn6) -> None:
        receiver = member(group, c.JL_RECEIVER_ONLY)
        sender = leaf(group)
        assert winsock.WSAJoinLeaf(sender, group, None, None, None, None, c.JL_SENDER_ONLY) == sender
        assert winsock.WSASend(sender, [b"to ", b"you"]) == 6
        data, source = winsock.recvfrom(receiver, 100)
        assert data == b"to you"
        hears_nothing(sender)
        with refused(WSAENOTCONN):
            winsock.send(receiver, b"to whom?")
        winsock.sendto(receiver, b"to you", 0, source)
        assert winsock.select(0, [sender], None, None, 20)[0] == [sender]
        assert winsock.recv(sender, 100) == b"to you"

    def test_members_hear_strangers_too_mpt_022(self, group: SockaddrIn | SockaddrIn6) -> None:
        receiver = member(group)
        stranger = leaf(group, 0)
        winsock.sendto(stranger, b"psst", 0, group)
        assert winsock.recv(receiver, 100) == b"psst"

    def test_data_sent_before_and_after(self, group: SockaddrIn | SockaddrIn6) -> None:
        s = bound(group)
        with refused(WSAENOTCONN):
            winsock.send(s, b"too early")
        with refused(WSAEDESTADDRREQ):
            winsock.sendto(s, b"too early", 0, None)
        join(s, group)
        winsock.send(s, b"now")
        winsock.sendto(s, b"and then", 0, None)
        assert [winsock.recv(s, 100), winsock.recv(s, 100)] == [b"now", b"and then"]

    def test_loopback_may_be_off_mpt_036(self, group: SockaddrIn | SockaddrIn6) -> None:
        one, other = member(group), member(group)
        winsock.WSAIoctl(one, c.SIO_MULTIPOINT_LOOPBACK, b"\0\0\0\0")
        winsock.send(one, b"not here")
        hears_nothing(other)
        winsock.WSAIoctl(one, c.SIO_MULTIPOINT_LOOPBACK, b"\1\0\0\0")
        winsock.send(one, b"here")
        assert winsock.recv(other, 100) == b"here"

    def test_the_scope_is_the_time_to_live_mpt_037(self, group: SockaddrIn | SockaddrIn6) -> None:
        one, other = member(group), member(group)
        option = (
            (c.IPPROTO_IP, c.IP_MULTICAST_TTL)
            if isinstance(group, SockaddrIn)
            else (c.IPPROTO_IPV6, c.IPV6_MULTICAST_HOPS)
        )
        assert winsock.getsockopt(one, *option) == 1
        for scope in (0, 7, 255):
            winsock.WSAIoctl(one, c.SIO_MULTICAST_SCOPE, scope.to_bytes(4, "little"))
            assert winsock.getsockopt(one, *option) == scope
        winsock.WSAIoctl(one, c.SIO_MULTICAST_SCOPE, bytes(4))
        winsock.send(one, b"within the host")
        assert winsock.recv(other, 100) == b"within the host"
        with refused(WSAEINVAL):
            winsock.WSAIoctl(one, c.SIO_MULTICAST_SCOPE, b"\0\1\0\0")

    def test_streams_have_no_scope(self) -> None:
        s = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        for code in (c.SIO_MULTICAST_SCOPE, c.SIO_MULTIPOINT_LOOPBACK):
            with refused(WSAENOPROTOOPT):
                winsock.WSAIoctl(s, code, bytes(4))


class TestJoining:
    """Who may join what, and how often."""

    GROUP = SockaddrIn("239.77.1.3", 9)

    def test_only_leaves_mpt_006_mpt_039(self) -> None:
        s = leaf(self.GROUP, 0)
        with refused(WSAEINVAL, "multipoint flags"):
            join(s, self.GROUP, c.JL_SENDER_ONLY)
        stream = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        with refused(WSAEINVAL):
            winsock.WSAJoinLeaf(stream, self.GROUP, None, None, None, None, c.JL_BOTH)

    @pytest.mark.parametrize("flags", [0, 3, 8, 0x10000])
    def test_flags_mpt_040(self, flags: int) -> None:
        with refused(WSAEINVAL, "JL_"):
            winsock.WSAJoinLeaf(leaf(self.GROUP), self.GROUP, None, None, None, None, flags)

    def test_once_mpt_012(self) -> None:
        s = leaf(self.GROUP)
        join(s, self.GROUP, c.JL_SENDER_ONLY)
        with refused(WSAEISCONN):
            join(s, SockaddrIn("239.77.1.4", 9), c.JL_SENDER_ONLY)

    def test_what_is_no_group(self) -> None:
        for nowhere in (SockaddrIn("127.0.0.1", 9), SockaddrIn("0.0.0.0", 9)):
            with refused(WSAEADDRNOTAVAIL):
                join(leaf(self.GROUP), nowhere, c.JL_SENDER_ONLY)
        with refused(WSAEAFNOSUPPORT):
            join(leaf(self.GROUP), SockaddrIn6("ff01::1", 9), c.JL_SENDER_ONLY)

    def test_what_goes_along_is_nothing_mpt_005(self) -> None:
        s = leaf(self.GROUP)
        with refused(WSAEPROTONOSUPPORT):
            winsock.WSAJoinLeaf(s, self.GROUP, b"hello", None, None, None, c.JL_BOTH)
        for qos in ((object(), None), (None, object())):
            with refused(WSAEOPNOTSUPP):
                winsock.WSAJoinLeaf(s, self.GROUP, None, None, qos[0], qos[1], c.JL_BOTH)
        join(s, self.GROUP, c.JL_SENDER_ONLY)

    def test_it_binds_a_socket(self) -> None:
        s = leaf(self.GROUP)
        with refused(WSAEINVAL):
            winsock.getsockname(s)
        join(s, self.GROUP, c.JL_SENDER_ONLY)
        assert port_of(s)

    def test_it_is_done_at_once_and_told_mpt_009_mpt_028(self) -> None:
        s = leaf(self.GROUP)
        event = winsock.WSACreateEvent()
        winsock.WSAEventSelect(s, event, c.FD_CONNECT | c.FD_WRITE)
        assert join(s, self.GROUP, c.JL_SENDER_ONLY) == s
        assert winsock.WSAWaitForMultipleEvents([event], False, 0, False) == 0
        found = winsock.WSAEnumNetworkEvents(s, event)
        assert found.lNetworkEvents & c.FD_CONNECT
        assert found.iErrorCode[c.FD_CONNECT_BIT] == 0
        winsock.WSACloseEvent(event)

    def test_membership_is_that_of_the_group_mpt_029(self) -> None:
        s = bound(self.GROUP._replace(port=0))
        winsock.WSAJoinLeaf(s, self.GROUP, None, None, None, None, c.JL_RECEIVER_ONLY)
        request = host.inet_aton(self.GROUP.host) + bytes(4)
        with refused(WSAEADDRNOTAVAIL):
            winsock.setsockopt(s, c.IPPROTO_IP, c.IP_DROP_MEMBERSHIP, host.inet_aton("239.77.9.9") + bytes(4))
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_DROP_MEMBERSHIP, request)


class TestFilters:
    """Whom a member hears."""

    GROUP, HERE, ONE, OTHER = "239.77.1.5", "127.0.0.1", "127.0.0.2", "127.0.0.3"

    def receiver(self) -> tuple[int, int]:
        s = winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0)
        winsock.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 5000)
        winsock.bind(s, ("0.0.0.0", 0))
        return s, port_of(s)

    def sent_by(self, source: str, port: int) -> None:
        s = winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0)
        winsock.bind(s, (source, 0))
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_MULTICAST_IF, HERE)
        winsock.sendto(s, source.encode(), 0, (self.GROUP, port))
        winsock.closesocket(s)

    def test_ipv4_by_its_functions(self) -> None:
        s, port = self.receiver()
        winsock.setipv4sourcefilter(s, self.HERE, self.GROUP, c.MCAST_INCLUDE, [self.ONE])
        assert winsock.getipv4sourcefilter(s, self.HERE, self.GROUP) == (c.MCAST_INCLUDE, [self.ONE])
        self.sent_by(self.OTHER, port)
        self.sent_by(self.ONE, port)
        assert winsock.recv(s, 100) == self.ONE.encode()
        winsock.setipv4sourcefilter(s, self.HERE, self.GROUP, c.MCAST_EXCLUDE, [self.ONE])
        assert winsock.getipv4sourcefilter(s, self.HERE, self.GROUP) == (c.MCAST_EXCLUDE, [self.ONE])
        self.sent_by(self.ONE, port)
        self.sent_by(self.OTHER, port)
        assert winsock.recv(s, 100) == self.OTHER.encode()
        hears_nothing(s)

    def test_either_family_by_index(self) -> None:
        s, port = self.receiver()
        sources = [SockaddrIn(self.ONE, 0), SockaddrIn(self.OTHER, 0)]
        winsock.setsourcefilter(s, LO, (self.GROUP, 0), c.MCAST_INCLUDE, sources)
        assert winsock.getsourcefilter(s, LO, (self.GROUP, 0)) == (c.MCAST_INCLUDE, sources)
        self.sent_by(self.HERE, port)
        self.sent_by(self.OTHER, port)
        assert winsock.recv(s, 100) == self.OTHER.encode()

    @pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
    def test_ipv6(self) -> None:
        s = winsock.socket(c.AF_INET6, c.SOCK_DGRAM, 0)
        group = SockaddrIn6("ff01::77:5", 0)
        sources: list[Sockaddr] = [SockaddrIn6("::1", 0), SockaddrIn6("fd00::77", 0)]
        winsock.setsourcefilter(s, LO, group, c.MCAST_EXCLUDE, sources)
        assert winsock.getsourcefilter(s, LO, group) == (c.MCAST_EXCLUDE, sources)
        winsock.setsourcefilter(s, LO, group, c.MCAST_INCLUDE, sources[:1])
        assert winsock.getsourcefilter(s, LO, group) == (c.MCAST_INCLUDE, sources[:1])

    def test_all_sources_are_told_however_many_opt_012(self) -> None:
        s, _ = self.receiver()
        with open("/proc/sys/net/ipv4/igmp_max_msf", encoding="ascii") as file:
            most = int(file.read())
        many = sorted((f"127.1.0.{number}" for number in range(1, most + 1)), key=host.inet_aton)
        winsock.setipv4sourcefilter(s, self.HERE, self.GROUP, c.MCAST_INCLUDE, many)
        mode, told = winsock.getipv4sourcefilter(s, self.HERE, self.GROUP)
        assert (mode, sorted(told, key=host.inet_aton)) == (c.MCAST_INCLUDE, many)

    def test_nobody_included_is_no_member(self) -> None:
        s, _ = self.receiver()
        winsock.setipv4sourcefilter(s, self.HERE, self.GROUP, c.MCAST_EXCLUDE, [])
        winsock.setipv4sourcefilter(s, self.HERE, self.GROUP, c.MCAST_INCLUDE, [])
        with refused(WSAEADDRNOTAVAIL):
            winsock.getipv4sourcefilter(s, self.HERE, self.GROUP)

    def test_what_is_wrong(self) -> None:
        s, _ = self.receiver()
        with refused(WSAEINVAL, "MCAST_"):
            winsock.setipv4sourcefilter(s, self.HERE, self.GROUP, 2, [])
        wrong: list[Any] = [
            ("x", self.GROUP, 0, []),
            (self.HERE, 7, 0, []),
            (self.HERE, self.GROUP, 0, ["x"]),
            (self.HERE, self.GROUP, 0, None),
        ]
        for arguments in wrong:
            with refused(WSAEFAULT):
                winsock.setipv4sourcefilter(s, *arguments)
        with refused(WSAEFAULT, "interface"):
            winsock.setsourcefilter(s, -1, (self.GROUP, 0), 0, [])
        with refused(WSAEADDRNOTAVAIL):
            winsock.getsourcefilter(s, LO, (self.GROUP, 0))
        head = host.inet_aton(self.GROUP) + host.inet_aton(self.HERE)
        with refused(WSAEFAULT, "sources"):  # fewer than it says
            winsock.WSAIoctl(s, c.SIO_SET_MULTICAST_FILTER, head + bytes(4) + b"\2\0\0\0" + bytes(4))
        stream = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        with refused(WSAENOPROTOOPT):
            winsock.getipv4sourcefilter(stream, self.HERE, self.GROUP)


class TestByIndex:
    """The codes that name an interface by its index."""

    GROUP = host.inet_aton("239.77.1.6")

    def test_members_at_an_interface(self) -> None:
        s = winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0)
        winsock.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 5000)
        winsock.bind(s, ("0.0.0.0", 0))
        at_loopback = self.GROUP + LO.to_bytes(4, "big")
        winsock.WSAIoctl(s, c.SIO_INDEX_ADD_MCAST, at_loopback)
        winsock.WSAIoctl(s, c.SIO_INDEX_MCASTIF, LO.to_bytes(4, "little"))
        with refused(WSAEADDRNOTAVAIL):
            winsock.WSAIoctl(s, c.SIO_INDEX_MCASTIF, b"\xff" * 4)
        winsock.sendto(s, b"hello", 0, (host.inet_ntoa(self.GROUP), port_of(s)))
        assert winsock.recv(s, 100) == b"hello"
        winsock.WSAIoctl(s, c.SIO_INDEX_DEL_MCAST, at_loopback)
        with refused(WSAEADDRNOTAVAIL):
            winsock.WSAIoctl(s, c.SIO_INDEX_DEL_MCAST, at_loopback)
