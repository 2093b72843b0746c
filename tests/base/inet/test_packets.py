"""Raw sockets: ping, headers, who hears what, and who may not (RAW)."""

from __future__ import annotations

import os
import socket as host
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import winsock
from tests.networks import needs_a_network, own_network
from tests.puppet import ROOT
from tests.refusals import code_of, refused
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAETIMEDOUT,
)
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.catalog.entries import BUILTIN
from winsock.testing.pairs import has_ipv6

RAW4, RAW6 = BUILTIN[4].info, BUILTIN[5].info
TEST_PROTOCOL = 253  # for experiments, RFC 3692
HERE, THERE = "127.0.0.1", "127.0.0.2"


def may_be_raw() -> bool:
    try:
        host.socket(host.AF_INET, host.SOCK_RAW, 1).close()
    except OSError:
        return False
    return True


needs_the_right = pytest.mark.skipif(not may_be_raw(), reason="raw sockets need CAP_NET_RAW")
needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")


@pytest.fixture(autouse=True)
def _started() -> Iterator[None]:
    with winsock.started():
        yield


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8) * (
        len(data) % 2
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(kind: int, identifier: int) -> bytes:
    """ICMP's; of ICMPv6 the kernel makes the checksum."""
    data = b"are you there"
    blank = struct.pack("!BBHHH", kind, 0, 0, identifier, 1) + data
    return struct.pack("!BBHHH", kind, 0, checksum(blank), identifier, 1) + data


def header(protocol: int, source: str, destination: str, data: bytes) -> bytes:
    """An IPv4 header; the kernel fills in the checksum."""
    return struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0,
        host.inet_aton(source), host.inet_aton(destination),
    ) + data  # fmt: skip


def raw(protocol: int = TEST_PROTOCOL, family: int = c.AF_INET) -> int:
    s: int = winsock.socket(family, c.SOCK_RAW, protocol)
    winsock.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 5000)
    return s


def hears_nothing(s: int) -> None:
    """What is sent to loopback is there at once."""
    winsock.ioctlsocket(s, c.FIONBIO, 1)
    assert winsock.select(0, [s], None, None, 0) == ([], [], [])


@pytest.mark.root
@needs_the_right
class TestKind:
    """What is asked of whom."""

    def test_protocol_0_is_none_raw_001(self) -> None:
        for family, info in ((c.AF_INET, RAW4), (c.AF_INET6, RAW6)):
            with refused(WSAEPROTONOSUPPORT, "protocol"):  # RAW-001
                winsock.socket(family, c.SOCK_RAW, 0)
            with refused(WSAEPROTONOSUPPORT, "protocol"):  # RAW-001
                winsock.WSASocket(c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, info)

    @pytest.mark.parametrize("protocol", [1, 17, 132, 255])
    def test_any_other_is_raw_013(self, protocol: int) -> None:
        """SOCK-008: this provider has raw sockets."""
        s = winsock.socket(c.AF_INET, c.SOCK_RAW, protocol)
        assert winsock.getsockopt(s, c.SOL_SOCKET, c.SO_PROTOCOL_INFO) == RAW4
        assert winsock.getsockopt(s, c.SOL_SOCKET, c.SO_TYPE) == c.SOCK_RAW
        with host.socket(fileno=os.dup(s)) as kernels:
            assert kernels.proto == protocol

    def test_a_description_and_the_number_raw_016(self) -> None:
        s = winsock.WSASocket(c.AF_INET, c.SOCK_RAW, TEST_PROTOCOL, RAW4)
        with host.socket(fileno=os.dup(s)) as kernels:
            assert kernels.proto == TEST_PROTOCOL

    def test_numbers_that_are_no_protocol(self) -> None:
        for protocol in (256, -1):
            with refused(WSAEPROTONOSUPPORT):
                winsock.WSASocket(c.AF_INET, c.SOCK_RAW, protocol, RAW4)

    def test_they_are_not_shown(self) -> None:
        assert not any(info.iSocketType == c.SOCK_RAW for info in winsock.WSAEnumProtocols())

    def test_there_are_no_connections(self) -> None:
        s = raw()
        with refused(WSAEOPNOTSUPP):
            winsock.listen(s, 1)
        with refused(WSAENOTCONN):
            winsock.send(s, b"to whom?")


WITHOUT_THE_RIGHT = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
import winsock
with winsock.started():
    for family in (winsock.AF_INET, winsock.AF_INET6):
        try:
            winsock.socket(family, winsock.SOCK_RAW, 1)
        except winsock.WinsockError as error:
            print(error.name, error.errno, "CAP_NET_RAW" in error.strerror, winsock.WSAGetLastError())
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.usefixtures("nobody")
def test_who_lacks_the_right_is_told_at_creation_raw_002_raw_015() -> None:
    """SK-21, RAW-002, RAW-015."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_RIGHT], env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, done.stdout) == ("", f"WSAEACCES 1 True {WSAEACCES}\n" * 2)


@pytest.mark.root
@needs_the_right
class TestSharing:
    """WSADuplicateSocket."""

    def test_a_duplicate_is_as_raw(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        s = raw(c.IPPROTO_TCP)
        twin = winsock.WSASocket(-1, -1, -1, winsock.WSADuplicateSocket(s, os.getpid()))
        for each in (s, twin):
            with refused(WSAEACCES, "TCP"):
                winsock.sendto(each, b"x", 0, (HERE, 0))

    @pytest.mark.root
    @needs_a_network
    def test_what_receives_everything_stays_here(self) -> None:
        with own_network():
            s = raw(c.IPPROTO_ICMP)
            winsock.bind(s, (HERE, 0))
            winsock.WSAIoctl(s, c.SIO_RCVALL, c.RCVALL_ON.to_bytes(4, "little"))
            with refused(WSAEINVAL, "SIO_RCVALL"):
                winsock.WSADuplicateSocket(s, os.getpid())


@needs_the_right
class TestIpv4:
    """Packets of IPv4."""

    def test_ping_raw_003_raw_006_raw_014(self) -> None:
        s = raw(c.IPPROTO_ICMP)
        request = echo_request(8, os.getpid() & 0xFFFF)
        assert winsock.sendto(s, request, 0, (HERE, 0)) == len(request)  # RAW-003
        while True:  # our own request comes by, too
            data, source = winsock.recvfrom(s, 2000, 0)
            if data[20:21] == b"\0":
                break
        assert source == SockaddrIn(HERE, 0)  # RAW-003
        assert data[0] == 0x45, "the header is there"  # RAW-014
        assert data[24:] == request[4:]

    def test_each_socket_of_the_protocol_gets_a_copy_raw_007_raw_008(self) -> None:
        everywhere, here, there, other = raw(), raw(), raw(), raw(TEST_PROTOCOL + 1)
        winsock.bind(here, (HERE, 0))
        winsock.bind(there, (THERE, 0))
        peer = raw()
        winsock.connect(peer, (THERE, 0))
        winsock.sendto(raw(), b"hello", 0, (HERE, 0))
        assert [winsock.recv(s, 100, 0)[20:] for s in (everywhere, here)] == [b"hello"] * 2
        for s in (there, other, peer):
            hears_nothing(s)

    def test_a_peer_is_whom_a_socket_hears_and_sends_to_raw_008(self) -> None:
        s, peer = raw(), raw()
        winsock.bind(peer, (THERE, 0))
        winsock.connect(s, (THERE, 7))
        assert winsock.getpeername(s) == SockaddrIn(THERE, 0)
        winsock.send(s, b"ask", 0)
        assert winsock.recv(peer, 100, 0)[20:] == b"ask"
        winsock.sendto(peer, b"answer", 0, (HERE, 0))
        assert winsock.recv(s, 100, 0)[20:] == b"answer"

    def test_a_header_of_ones_own_raw_004_raw_006(self) -> None:
        s, hearer = raw(), raw()
        winsock.bind(hearer, (HERE, 0))
        assert winsock.getsockopt(s, c.IPPROTO_IP, c.IP_HDRINCL) == 0  # RAW-004
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_HDRINCL, 1)
        assert winsock.getsockopt(s, c.IPPROTO_IP, c.IP_HDRINCL) == 1
        winsock.sendto(s, header(TEST_PROTOCOL, THERE, HERE, b"mine"), 0, (HERE, 0))
        data, source = winsock.recvfrom(hearer, 100, 0)
        assert (data[20:], source) == (b"mine", SockaddrIn(THERE, 0))  # RAW-004
        winsock.setsockopt(hearer, c.IPPROTO_IP, c.IP_HDRINCL, 1)
        winsock.sendto(s, header(TEST_PROTOCOL, THERE, HERE, b"again"), 0, (HERE, 0))
        assert winsock.recv(hearer, 100, 0)[20:] == b"again"  # RAW-006

    def test_headers_are_off_for_255_too_raw_004(self) -> None:
        s, hearer = raw(255), raw(255)
        assert winsock.getsockopt(s, c.IPPROTO_IP, c.IP_HDRINCL) == 0
        winsock.bind(hearer, (HERE, 0))
        winsock.sendto(s, b"data", 0, (HERE, 0))
        data = winsock.recv(hearer, 100, 0)
        assert (data[9], data[20:]) == (255, b"data")

    def test_broadcast_needs_leave_and_multicast_none_raw_009(self) -> None:
        s = raw()
        with refused(WSAEACCES):
            winsock.sendto(s, b"all", 0, ("127.255.255.255", 0))
        winsock.setsockopt(s, c.SOL_SOCKET, c.SO_BROADCAST, 1)
        assert winsock.sendto(s, b"all", 0, ("127.255.255.255", 0)) == 3
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_MULTICAST_IF, host.inet_aton(HERE))
        assert winsock.sendto(s, b"group", 0, ("239.1.2.3", 0)) == 5

    def test_tcp_is_not_sent_raw_010(self) -> None:
        with refused(WSAEACCES, "TCP"):
            winsock.sendto(raw(c.IPPROTO_TCP), b"segment", 0, (HERE, 0))
        s = raw()
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_HDRINCL, 1)
        with refused(WSAEACCES, "TCP"):
            winsock.sendto(s, header(c.IPPROTO_TCP, HERE, HERE, b"segment"), 0, (HERE, 0))

    def test_udp_from_a_stranger_is_dropped_raw_011(self) -> None:
        s, hearer = raw(c.IPPROTO_UDP), raw(c.IPPROTO_UDP)
        winsock.bind(hearer, (HERE, 0))
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_HDRINCL, 1)
        datagram = struct.pack("!4H", 9, 9, 8, 0)
        stranger = header(c.IPPROTO_UDP, "192.0.2.1", HERE, datagram)
        assert winsock.sendto(s, stranger, 0, (HERE, 0)) == len(stranger)
        winsock.sendto(s, header(c.IPPROTO_UDP, THERE, HERE, datagram), 0, (HERE, 0))
        assert winsock.recvfrom(hearer, 100, 0)[1] == SockaddrIn(THERE, 0)
        hears_nothing(hearer)  # RAW-011

    def test_tcp_cannot_be_bound_raw_012(self) -> None:
        with refused(WSAEINVAL, "TCP"):  # RAW-012
            winsock.bind(raw(c.IPPROTO_TCP), (HERE, 0))
        winsock.bind(raw(c.IPPROTO_UDP), (HERE, 0))
        winsock.bind(raw(132), (HERE, 0))

    def test_names(self) -> None:
        s = raw()
        with refused(WSAEINVAL):
            winsock.getsockname(s)
        winsock.bind(s, (HERE, 99))
        assert winsock.getsockname(s) == SockaddrIn(HERE, 0)
        with refused(WSAEINVAL, "bound already"):
            winsock.bind(s, (THERE, 0))
        winsock.bind(raw(), (HERE, 99))  # nothing is taken by it
        for nowhere in ("255.255.255.255", "192.0.2.1"):
            with refused(WSAEADDRNOTAVAIL):
                winsock.bind(raw(), (nowhere, 0))
        sender = raw()
        winsock.sendto(sender, b"", 0, (HERE, 0))
        assert winsock.getsockname(sender) == SockaddrIn("0.0.0.0", 0)

    def test_a_time_out_and_what_can_be_read(self) -> None:
        s = raw()
        winsock.bind(s, (THERE, 0))
        winsock.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 10)
        with refused(WSAETIMEDOUT):
            winsock.recv(s, 100, 0)
        winsock.sendto(raw(), b"12345", 0, (THERE, 0))
        assert winsock.select(0, [s], None, None, 5)[0] == [s]
        assert winsock.ioctlsocket(s, c.FIONREAD) == 25


@pytest.mark.root
@needs_the_right
@needs_ipv6
class TestIpv6:
    """Packets of IPv6."""

    def test_ping_raw_014(self) -> None:
        s = raw(c.IPPROTO_ICMPV6, c.AF_INET6)
        request = echo_request(128, os.getpid() & 0xFFFF)
        winsock.sendto(s, request, 0, ("::1", 0))
        while True:
            data, source = winsock.recvfrom(s, 2000, 0)
            if data[0] == 129:
                break
        assert source == SockaddrIn6("::1", 0)
        assert data[4:] == request[4:], "there is no header before it"  # RAW-014

    def test_a_header_of_ones_own_raw_005(self) -> None:
        s, hearer = raw(TEST_PROTOCOL, c.AF_INET6), raw(TEST_PROTOCOL, c.AF_INET6)
        winsock.bind(hearer, ("::1", 0))
        assert winsock.getsockname(hearer) == SockaddrIn6("::1", 0)
        assert winsock.getsockopt(s, c.IPPROTO_IPV6, c.IPV6_HDRINCL) == 0  # RAW-005
        winsock.setsockopt(s, c.IPPROTO_IPV6, c.IPV6_HDRINCL, 1)
        loopback = host.inet_pton(host.AF_INET6, "::1")
        packet = struct.pack("!IHBB", 6 << 28, 4, TEST_PROTOCOL, 64) + loopback * 2 + b"mine"
        winsock.sendto(s, packet, 0, ("::1", 5))
        assert winsock.recv(hearer, 100, 0) == b"mine"  # RAW-005, RAW-014


def receive_for_ever(s: int) -> None:
    while True:
        winsock.recv(s, 65535)


@pytest.mark.root
@needs_the_right
@needs_a_network
class TestEverything:
    """SIO_RCVALL and its kin, at a loopback where nobody else is."""

    @pytest.fixture(autouse=True)
    def network(self) -> Iterator[None]:
        with own_network():
            yield

    ON, OFF = c.RCVALL_ON.to_bytes(4, "little"), c.RCVALL_OFF.to_bytes(4, "little")

    def listener(self, protocol: int = c.IPPROTO_ICMP) -> int:
        s = raw(protocol)
        winsock.bind(s, (HERE, 0))
        return s

    def found(self, s: int, wanted: bytes) -> tuple[bytes, object]:
        """The packet with this data; others may pass, too."""
        while True:
            data, source = winsock.recvfrom(s, 65535)
            if data.endswith(wanted):
                return data, source

    def say(self, text: bytes, source: str = HERE, to: str = THERE) -> None:
        with host.socket(host.AF_INET, host.SOCK_DGRAM) as udp:
            udp.bind((source, 0))
            udp.sendto(text, (to, 9))

    def test_all_protocols_to_all_hosts(self) -> None:
        s = self.listener()
        assert winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON) == b""
        self.say(b"to somebody else")
        data, source = self.found(s, b"to somebody else")
        assert (data[9], host.inet_ntoa(data[16:20]), source) == (17, THERE, SockaddrIn(HERE, 0))
        with host.create_server((HERE, 0)) as server, host.create_connection(server.getsockname()) as client:
            client.send(b"over TCP")
            assert self.found(s, b"over TCP")[0][9] == 6

    def test_each_packet_comes_once(self) -> None:
        s = self.listener()
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        for text in (b"first one", b"last one"):
            self.say(text)
        self.found(s, b"first one")
        data, _ = winsock.recvfrom(s, 65535)
        while not data.endswith(b"last one"):
            assert not (data[9] == c.IPPROTO_UDP and data.endswith(b"first one"))
            data, _ = winsock.recvfrom(s, 65535)

    def test_it_remains_the_same_socket(self) -> None:
        s = self.listener()
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        assert winsock.getsockname(s) == SockaddrIn(HERE, 0)
        with refused(WSAENOTCONN):
            winsock.getpeername(s)
        with refused(WSAEINVAL):
            winsock.bind(s, (HERE, 0))
        with refused(WSAEINVAL):
            winsock.connect(s, (THERE, 0))
        request = echo_request(8, 77)
        winsock.sendto(s, request, 0, (HERE, 0))
        assert self.found(s, request)[0][20:] == request
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.OFF)
        winsock.sendto(s, request, 0, (HERE, 0))
        assert self.found(s, request)[0][9] == c.IPPROTO_ICMP
        winsock.closesocket(s)

    def test_nothing_is_left_open(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        for end in (True, False):
            s = self.listener()
            winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
            if end:
                winsock.WSAIoctl(s, c.SIO_RCVALL, self.OFF)
            winsock.closesocket(s)
        assert set(os.listdir("/proc/self/fd")) <= before

    def test_time_outs_modes_and_events_go_on(self) -> None:
        s, bell = self.listener(), winsock.WSACreateEvent()
        winsock.WSAEventSelect(s, bell, c.FD_READ)
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        self.say(b"ring")
        assert winsock.WSAWaitForMultipleEvents([bell], False, 5000, False) == 0
        assert winsock.WSAEnumNetworkEvents(s, bell).lNetworkEvents == c.FD_READ
        winsock.WSAEventSelect(s, None, 0)
        winsock.ioctlsocket(s, c.FIONBIO, 0)
        winsock.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 10)
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.OFF)
        assert code_of(lambda: receive_for_ever(s)) == WSAETIMEDOUT
        winsock.WSACloseEvent(bell)

    def test_a_short_buffer(self) -> None:
        s = self.listener()
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        self.say(b"x" * 100)
        with refused(WSAEMSGSIZE) as caught:
            winsock.recvfrom(s, 20)
        assert caught.value.count == 20

    def test_groups_alone(self) -> None:
        s = self.listener(c.IPPROTO_UDP)
        winsock.WSAIoctl(s, c.SIO_RCVALL_MCAST, self.ON)
        self.say(b"not to a group")
        with host.socket(host.AF_INET, host.SOCK_DGRAM) as udp:
            udp.setsockopt(host.IPPROTO_IP, host.IP_MULTICAST_IF, host.inet_aton(HERE))
            udp.sendto(b"to a group", ("239.77.2.1", 9))
        data, _ = winsock.recvfrom(s, 65535)
        while data[28:] != b"to a group":
            assert data[16] >> 4 == 0xE
            data, _ = winsock.recvfrom(s, 65535)

    def test_igmp_alone(self) -> None:
        s = self.listener(c.IPPROTO_IGMP)
        winsock.WSAIoctl(s, c.SIO_RCVALL_IGMPMCAST, self.ON)
        igmp = raw(c.IPPROTO_IGMP)
        winsock.setsockopt(igmp, c.IPPROTO_IP, c.IP_MULTICAST_IF, host.inet_aton(HERE))
        with host.socket(host.AF_INET, host.SOCK_DGRAM) as udp:
            udp.setsockopt(host.IPPROTO_IP, host.IP_MULTICAST_IF, host.inet_aton(HERE))
            udp.sendto(b"no IGMP", ("239.77.2.1", 9))
        winsock.sendto(igmp, b"as if it were", 0, ("239.77.2.1", 0))
        data, _ = winsock.recvfrom(s, 65535)
        assert data[9] == c.IPPROTO_IGMP

    @needs_ipv6
    def test_ipv6_without_its_headers(self) -> None:
        s = raw(c.IPPROTO_ICMPV6, c.AF_INET6)
        winsock.bind(s, ("::1", 0))
        winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        with host.socket(host.AF_INET6, host.SOCK_DGRAM) as udp:
            udp.sendto(b"over IPv6", ("::1", 9))
        data, source = self.found(s, b"over IPv6")
        assert (len(data), source) == (8 + 9, SockaddrIn6("::1", 0))

    def test_where_it_cannot_be(self) -> None:
        s = raw(c.IPPROTO_ICMP)
        with refused(WSAEINVAL, "bound"):
            winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        winsock.bind(s, ("0.0.0.0", 0))
        with refused(WSAEINVAL, "bound"):
            winsock.WSAIoctl(s, c.SIO_RCVALL, self.ON)
        for mode in (b"", b"\4\0\0\0", b"\0\0\0\1"):
            with refused(WSAEINVAL, "in_buffer"):
                winsock.WSAIoctl(self.listener(), c.SIO_RCVALL, mode)
        with refused(WSAENOPROTOOPT):
            winsock.WSAIoctl(self.listener(), c.SIO_RCVALL_MCAST, self.ON)
        with refused(WSAENOPROTOOPT):
            winsock.WSAIoctl(winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0), c.SIO_RCVALL, self.ON)
        s = self.listener()
        for mode in (self.OFF, c.RCVALL_SOCKETLEVELONLY.to_bytes(4, "little")):
            winsock.WSAIoctl(s, c.SIO_RCVALL, mode)  # neither changes anything
