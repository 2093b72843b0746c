"""Options and control codes of simulated sockets."""

from __future__ import annotations

import struct

import pytest

from tests.base.memory.land import ALICE, BOB, Land, refused, table
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEINVAL,
    WSAENETUNREACH,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    ErrorCode,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, unpack
from winsock.api import options, sockets
from winsock.dispatcher.records import records

S, IP, IP6, TCP = c.SOL_SOCKET, c.IPPROTO_IP, c.IPPROTO_IPV6, c.IPPROTO_TCP


@pytest.fixture
def land() -> Land:
    return Land()


STREAM_DEFAULTS = {
    (S, c.SO_ACCEPTCONN): 0,
    (S, c.SO_DEBUG): 0,
    (S, c.SO_DONTLINGER): 1,
    (S, c.SO_DONTROUTE): 0,
    (S, c.SO_ERROR): 0,
    (S, c.SO_EXCLUSIVEADDRUSE): 0,
    (S, c.SO_GROUP_ID): 0,
    (S, c.SO_KEEPALIVE): 0,
    (S, c.SO_LINGER): Linger(0, 0),
    (S, c.SO_RCVBUF): 65536,
    (S, c.SO_RCVTIMEO): 0,
    (S, c.SO_REUSEADDR): 0,
    (S, c.SO_SNDBUF): 65536,
    (S, c.SO_SNDTIMEO): 0,
    (S, c.SO_TYPE): c.SOCK_STREAM,
    (S, c.SO_CONNECT_TIME): 0xFFFFFFFF,
    (S, c.SO_MAX_MSG_SIZE): 0,
    (S, c.PVD_CONFIG): b"",
    (TCP, c.TCP_NODELAY): 0,
    (TCP, c.TCP_MAXRT): 0,
    (IP, c.IP_TTL): 128,
}

KEPT = (
    (S, c.SO_DEBUG, 5, 1),
    (S, c.SO_KEEPALIVE, 1, 1),
    (S, c.SO_DONTROUTE, 1, 1),
    (S, c.SO_GROUP_PRIORITY, 7, 7),
    (S, c.SO_CONDITIONAL_ACCEPT, 1, 1),
    (S, c.SO_LINGER, (1, 9), Linger(1, 9)),
    (S, c.SO_LINGER, b"\1\0\7\0", Linger(1, 7)),
    (S, c.SO_RCVBUF, 1000, 1000),
    (S, c.SO_SNDBUF, b"\0\4\0\0", 1024),
    (S, c.SO_RCVTIMEO, 1234, 1234),
    (S, c.SO_SNDTIMEO, 0xFFFFFFFF, 0),
    (S, c.SO_ERROR, 10057, ErrorCode(10057)),
    (TCP, c.TCP_NODELAY, 1, 1),
    (TCP, c.TCP_MAXRT, 30, 30),
    (TCP, c.TCP_MAXRT, 0xFFFFFFFF, 0),
    (TCP, c.TCP_MAXRTMS, 1500, 1500),
    (IP, c.IP_TTL, 5, 5),
    (IP, c.IP_TOS, 16, 16),
)

REFUSED_ON_STREAMS = (
    (99, 1, WSAEINVAL),
    (S, 0x7777, WSAENOPROTOOPT),
    (S, c.SO_BROADCAST, WSAENOPROTOOPT),
    (S, c.SO_OOBINLINE, WSAENOPROTOOPT),  # OOB-006
    (IP6, c.IPV6_MULTICAST_LOOP, WSAENOPROTOOPT),
)


@pytest.mark.parametrize(("option", "value"), STREAM_DEFAULTS.items(), ids=str)
def test_defaults(land: Land, option: tuple[int, int], value: object) -> None:  # OPT-018, OPT-020, OPT-021
    with land:
        assert options.getsockopt(land.stream(land.alice), *option) == value


@pytest.mark.parametrize(("level", "optname", "given", "kept"), KEPT)
def test_options_keep_their_values(land: Land, level: int, optname: int, given: int, kept: object) -> None:
    with land:
        s = land.stream(land.alice)
        options.setsockopt(s, level, optname, given)
        assert options.getsockopt(s, level, optname) == kept


@pytest.mark.parametrize(("level", "optname", "code"), REFUSED_ON_STREAMS)
def test_options_that_there_are_not(land: Land, level: int, optname: int, code: int) -> None:  # OPT-006
    with land:
        s = land.stream(land.alice)
        refused(code, lambda: options.getsockopt(s, level, optname))
        refused(code, lambda: options.setsockopt(s, level, optname, 1))


@pytest.mark.parametrize("optname", [c.SO_TYPE, c.SO_ACCEPTCONN, c.SO_PROTOCOL_INFO, c.SO_CONNECT_TIME])
def test_options_that_cannot_be_set(land: Land, optname: int) -> None:  # OPT-027
    with land:
        refused(WSAENOPROTOOPT, lambda: options.setsockopt(land.stream(land.alice), S, optname, 1))


def test_options_that_cannot_be_read(land: Land) -> None:
    with land:
        refused(WSAENOPROTOOPT, lambda: options.getsockopt(land.datagram(land.alice), IP, c.IP_ADD_MEMBERSHIP))


def test_lingering_and_not_lingering_are_one(land: Land) -> None:  # OPT-007, OPT-008, OPT-028
    with land:
        s = land.stream(land.alice)
        options.setsockopt(s, S, c.SO_LINGER, (1, 30))
        assert options.getsockopt(s, S, c.SO_DONTLINGER) == 0
        options.setsockopt(s, S, c.SO_DONTLINGER, 1)
        assert options.getsockopt(s, S, c.SO_LINGER) == Linger(0, 30)
        options.setsockopt(s, S, c.SO_DONTLINGER, 0)
        assert options.getsockopt(s, S, c.SO_LINGER) == Linger(1, 30)
        refused(WSAENOPROTOOPT, lambda: options.getsockopt(land.datagram(land.alice), S, c.SO_LINGER))


def test_sharing_and_not_sharing_do_not_go_together(land: Land) -> None:
    with land:
        for first, second in ((c.SO_REUSEADDR, c.SO_EXCLUSIVEADDRUSE), (c.SO_EXCLUSIVEADDRUSE, c.SO_REUSEADDR)):
            s = land.stream(land.alice)
            options.setsockopt(s, S, first, 1)
            refused(WSAEINVAL, lambda s=s, second=second: options.setsockopt(s, S, second, 1))  # type: ignore[misc]


def test_errors_are_told_once(land: Land) -> None:  # OPT-022
    with land:
        s = land.stream(land.alice)
        options.setsockopt(s, S, c.SO_ERROR, 10061)
        assert [options.getsockopt(s, S, c.SO_ERROR) for _ in range(2)] == [10061, 0]


def test_a_listener_says_so(land: Land) -> None:  # OPT-023
    with land:
        assert options.getsockopt(land.listener(land.alice), S, c.SO_ACCEPTCONN) == 1


def test_every_socket_tells_its_entry(land: Land) -> None:  # OPT-024
    with land:
        for s in (land.stream(land.alice), land.datagram(land.alice), land.messages(land.alice)):
            assert options.getsockopt(s, S, c.SO_PROTOCOL_INFO) == records[s].entry.info
            assert not records[s].entry.info.dwServiceFlags1 & c.XP1_IFS_HANDLES  # HND-005


def test_values_out_of_range(land: Land) -> None:
    with land:
        s = land.stream(land.alice)
        refused(WSAEINVAL, lambda: options.setsockopt(s, IP, c.IP_TTL, 256))
        refused(WSAEFAULT, lambda: options.setsockopt(s, S, c.SO_DEBUG, b""))
        refused(WSAEINVAL, lambda: options.setsockopt(land.datagram(land.alice), IP, c.IP_MULTICAST_TTL, 256))
        refused(WSAEFAULT, lambda: options.setsockopt(land.datagram(land.alice), IP, c.IP_ADD_MEMBERSHIP, b"short"))


def test_the_size_of_packets_on_a_path(land: Land) -> None:  # SO-32
    with land:
        land.network.link(land.alice, land.bob, mtu=1400)
        s = land.datagram(land.alice)
        refused(WSAENOTCONN, lambda: options.getsockopt(s, IP, c.IP_MTU))
        sockets.connect(s, (BOB, 7))
        assert options.getsockopt(s, IP, c.IP_MTU) == 1400


def test_families_do_not_mix(land: Land) -> None:
    with land:
        with land.alice:
            s = sockets.socket(c.AF_INET6, c.SOCK_STREAM, 0)
        assert options.getsockopt(s, IP6, c.IPV6_V6ONLY) == 1
        options.setsockopt(s, IP6, c.IPV6_V6ONLY, 1)
        refused(WSAEINVAL, lambda: options.setsockopt(s, IP6, c.IPV6_V6ONLY, 0))
        refused(WSAENOPROTOOPT, lambda: options.setsockopt(s, S, c.SO_DONTROUTE, 1))  # OPT-010
        sockets.bind(s, ("::", 80))
        refused(WSAEINVAL, lambda: options.setsockopt(s, IP6, c.IPV6_V6ONLY, 1))


def test_control_codes(land: Land) -> None:
    with land:
        stream, datagram = land.stream(land.alice), land.datagram(land.alice)
        assert options.ioctlsocket(stream, c.SIOCATMARK) == 1
        assert options.WSAIoctl(stream, c.SIO_BASE_HANDLE, None, 8) == struct.pack("<Q", stream)
        refused(WSAEOPNOTSUPP, lambda: options.WSAIoctl(stream, 0x12345678))
        refused(WSAENOPROTOOPT, lambda: options.ioctlsocket(datagram, c.SIOCATMARK))  # IOC-008
        refused(WSAENOPROTOOPT, lambda: options.WSAIoctl(stream, c.SIO_UDP_CONNRESET, bytes(4)))
        refused(WSAEFAULT, lambda: options.WSAIoctl(stream, c.FIONREAD, None, 0))
        refused(WSAEFAULT, lambda: options.WSAIoctl(stream, c.FIONBIO, b""))
        refused(WSAEOPNOTSUPP, lambda: options.WSAIoctl(stream, c.FIONREAD, None, 4, object()))
        refused(WSAEFAULT, lambda: options.WSAIoctl(stream, c.SIO_BSP_HANDLE_POLL, None, 8, object()))


@pytest.mark.parametrize("code", [c.SIO_FLUSH, c.SIO_ENABLE_CIRCULAR_QUEUEING, c.SIO_GET_QOS, c.SIO_SET_QOS])
def test_codes_whose_pages_say_how_they_are_refused(land: Land, code: int) -> None:
    with land:
        s = land.stream(land.alice)
        refused(WSAENOPROTOOPT, lambda: options.WSAIoctl(s, code, None, 99))


def test_which_address_a_destination_sees(land: Land) -> None:
    with land:
        s = land.datagram(land.alice)
        out = options.WSAIoctl(s, c.SIO_ROUTING_INTERFACE_QUERY, SockaddrIn(BOB, 7).pack(), 16)
        assert out is not None
        assert unpack(out) == SockaddrIn(ALICE, 0)
        unknown = SockaddrIn("10.9.9.9", 7).pack()
        refused(WSAENETUNREACH, lambda: options.WSAIoctl(s, c.SIO_ROUTING_INTERFACE_QUERY, unknown, 16))
        with pytest.raises(WinsockError) as caught:
            options.WSAIoctl(s, c.SIO_ROUTING_INTERFACE_QUERY, SockaddrIn(BOB, 7).pack(), 15)
        assert (caught.value.winerror, caught.value.count) == (WSAEFAULT, 16)


def test_what_makes_no_sense_here(land: Land) -> None:
    with land:
        s = land.stream(land.alice)
        refused(WSAEINVAL, lambda: table(s).WSPDuplicateSocket(s, 1))
        refused(WSAEINVAL, lambda: table(s).WSPGetOverlappedResult(s, object(), False))
        refused(WSAEINVAL, lambda: table(s).WSPGetQOSByName(s, "G711"))
        assert table(s).WSPGetQOSByName(s, "") == []
        for call in (table(s).WSPDuplicateSocket, table(s).WSPGetQOSByName):
            refused(WSAENOTSOCK, lambda call=call: call(99999, 1))  # type: ignore[misc]
