"""Control codes of the internet protocols: what they take, give and refuse (IOC, ADDR)."""

from __future__ import annotations

import socket as host
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

import winsock
from tests.networks import IPV4, IPV6, NAME, ip, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi import address_lists, ioctls
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINTR,
    WSAEINVAL,
    WSAENETUNREACH,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAEWOULDBLOCK,
    name_of,
)
from winsock.abi.ioctls import Ioctl
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, unpack
from winsock.abi.structures import INTERFACE_INFO
from winsock.base.inet import own, raw
from winsock.testing import World

ROOM = 4096
LO = host.if_nametoindex("lo")
SO_BINDTOIFINDEX = 62  # of Linux


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def dword(number: int) -> bytes:
    return struct.pack("<I", number)


def told(s: int, code: int, given: bytes | None, room: int) -> bytes:
    """What a code puts out."""
    answer = winsock.WSAIoctl(s, code, given, room)
    assert answer is not None
    return answer


def port_of(s: int) -> int:
    name = winsock.getsockname(s)
    assert isinstance(name, (SockaddrIn, SockaddrIn6))
    return name.port


def of(family: int, type: int = c.SOCK_DGRAM) -> int:
    s: int = winsock.socket(family, type, 0)
    return s


class TestCode:
    """The parts of a code, and codes that there are not."""

    @pytest.mark.parametrize("row", ioctls.ROWS, ids=lambda row: row.name)
    def test_its_bits_ioc_001_ioc_007(self, row: Ioctl) -> None:
        parts = (c.IOC_IN, c.IOC_OUT, c.IOC_VOID)
        assert any(row.code & part for part in parts)
        assert not (row.code & c.IOC_VOID and row.code & c.IOC_INOUT)
        kinds = {0: "Unix", 1: "Winsock 2", 2: "of a family", 3: "of a vendor"}
        kind = kinds[row.code >> 27 & 3]
        if kind == "of a family":
            assert row.code >> 16 & 0x7FF in (c.AF_ATM, c.AF_BTH, 0), row.name
        assert row.code == (row.code & c.IOC_INOUT | row.code & c.IOC_VOID) | sum(  # IOC-001
            (row.code >> low & mask) << low for low, mask in ((27, 3), (16, 0x7FF), (0, 0xFFFF))
        )
        # IOC-007: the kind is that of the function which the code belongs to
        assert (kind == "Unix") == (row.name.startswith(("FIO", "SIOC")) or row.code & 0x7F00 == ord("t") << 8)

    def test_an_unknown_one(self, world: World) -> None:
        for code in (0, 0x98001234, 0xFFFFFFFF):
            with refused(WSAEOPNOTSUPP, "code"):
                winsock.WSAIoctl(world.stream(), code, bytes(64), ROOM)

    @pytest.mark.parametrize("row", [row for row in ioctls.ROWS if row.host == "refused"], ids=lambda row: row.name)
    def test_a_refusal_says_why(self, world: World, row: Ioctl) -> None:
        if ioctls.find(row.code) is row:
            with refused(row.error, row.name) as caught:
                winsock.WSAIoctl(world.datagram(), row.code, bytes(64), ROOM)
            assert row.note in str(caught.value)

    @pytest.mark.parametrize(
        ("code", "type"),
        [
            (c.SIOCATMARK, c.SOCK_DGRAM),
            (c.SIO_KEEPALIVE_VALS, c.SOCK_DGRAM),
            (c.SIO_TCP_INFO, c.SOCK_DGRAM),
            (c.SIO_UDP_CONNRESET, c.SOCK_STREAM),
            (c.SIO_RCVALL, c.SOCK_DGRAM),
            (c.SIO_GET_BROADCAST_ADDRESS, c.SOCK_STREAM),
        ],
    )
    def test_of_another_protocol_ioc_008(self, world: World, code: int, type: int) -> None:
        with refused(WSAENOPROTOOPT):
            winsock.WSAIoctl(of(c.AF_INET, type), code, bytes(64), ROOM)


class TestSizes:
    """Buffers that are too small."""

    @pytest.mark.parametrize(("code", "error"), [(c.SIO_BSP_HANDLE_POLL, WSAEFAULT), (c.SIO_BSP_HANDLE, WSAEOPNOTSUPP)])
    def test_whose_handle_wsapoll_asks_for_is_told_at_once(self, world: World, code: int, error: int) -> None:
        with refused(error, "overlapped"):
            winsock.WSAIoctl(of(c.AF_INET, c.SOCK_STREAM), code, None, 8, object())

    @pytest.mark.parametrize(
        ("code", "given", "room"),
        [
            (c.FIONBIO, 4, 0),
            (c.FIONREAD, 0, 4),
            (c.SIO_BASE_HANDLE, 0, 8),
            (c.SIO_ROUTING_INTERFACE_QUERY, 16, 16),
            (c.SIO_KEEPALIVE_VALS, 12, 0),
        ],
    )
    def test_one_byte_is_missing(self, world: World, code: int, given: int, room: int) -> None:
        """IC-03, IC-05."""
        data = SockaddrIn("127.0.0.1", 0).pack()[:given]
        s = of(c.AF_INET, c.SOCK_STREAM)
        if given:
            with refused(WSAEFAULT, "in_buffer"):
                winsock.WSAIoctl(s, code, data[:-1], room)
        if room:
            with refused(WSAEFAULT, "out_size"):
                winsock.WSAIoctl(s, code, data, room - 1)
        winsock.WSAIoctl(s, code, data + b"more", room + 1)


class TestReadable:
    """FIONREAD."""

    def test_all_messages_together_ioc_004(self, world: World) -> None:
        pair = world.datagrams()
        assert winsock.ioctlsocket(pair.server, c.FIONREAD) == 0
        for size in (10, 0, 300):
            winsock.send(pair.client, bytes(size))
        assert winsock.select(0, [pair.server], None, None, 5)[0]
        assert winsock.ioctlsocket(pair.server, c.FIONREAD) == 310
        assert len(winsock.recv(pair.server, 1000)) == 10
        assert winsock.ioctlsocket(pair.server, c.FIONREAD) == 300
        assert [len(winsock.recv(pair.server, 1000)) for _ in range(2)] == [0, 300]
        assert winsock.ioctlsocket(pair.server, c.FIONREAD) == 0

    def test_a_stream(self, world: World) -> None:
        pair = world.connected()
        winsock.send(pair.client, b"12345")
        winsock.send(pair.client, b"67")
        assert winsock.select(0, [pair.server], None, None, 5)[0]
        assert winsock.recv(pair.server, 7, c.MSG_PEEK | 0)
        while winsock.ioctlsocket(pair.server, c.FIONREAD) < 7:
            assert winsock.select(0, [pair.server], None, None, 5)[0]


class TestAddresses:
    """The lists of addresses, and what reaches what."""

    def test_a_list_and_back(self) -> None:
        addresses: list[Sockaddr] = [SockaddrIn("10.0.0.1", 80), SockaddrIn6("fe80::1", 0, 0, 3)]
        packed = address_lists.pack(addresses)
        assert len(packed) == 8 + 2 * 16 + 16 + 28
        assert address_lists.unpack(packed) == addresses
        assert address_lists.unpack(address_lists.pack([])) == []
        for bad in (b"", b"\1\0\0\0\0\0\0\0", b"\xff" * 64, packed[:-1]):
            with refused(WSAEFAULT):
                address_lists.unpack(bad)

    @needs_root
    @needs_a_network
    def test_what_one_can_bind_to(self) -> None:
        """AL-04."""
        with own_network(), World():
            ip(f"addr add fd77::9/64 dev {NAME} nodad preferred_lft 0")  # and so is not to be chosen any more
            for family, address in ((c.AF_INET, IPV4), (c.AF_INET6, IPV6)):
                found = address_lists.unpack(told(of(family), c.SIO_ADDRESS_LIST_QUERY, None, ROOM))
                hosts = [one.host for one in found if isinstance(one, (SockaddrIn, SockaddrIn6))]
                assert address in hosts
                assert not {"127.0.0.1", "::1", "fd77::9"} & set(hosts)
                for one in found:
                    assert one.family == family

    def test_room_for_the_list(self, world: World) -> None:
        """AL-01, AL-02."""
        s = of(c.AF_INET)
        whole = told(s, c.SIO_ADDRESS_LIST_QUERY, None, ROOM)
        for room in {0, 8, len(whole) - 1} - {len(whole)}:
            with refused(WSAEFAULT) as caught:
                winsock.WSAIoctl(s, c.SIO_ADDRESS_LIST_QUERY, None, room)
            assert caught.value.count == len(whole)
        with refused(WSAEINVAL) as caught:
            winsock.WSAIoctl(s, c.SIO_ADDRESS_LIST_QUERY, None, 1)
        assert caught.value.count == 0
        assert winsock.WSAIoctl(s, c.SIO_ADDRESS_LIST_QUERY, None, len(whole)) == whole
        with refused(WSAEINVAL, "in_buffer"):
            winsock.WSAIoctl(s, c.SIO_ADDRESS_LIST_QUERY, dword(0), len(whole))

    @needs_root
    @needs_a_network
    def test_the_best_destination_first(self) -> None:
        with own_network(), World():
            ip(f"route del default dev {NAME}")
            there: list[Sockaddr] = [
                SockaddrIn6("2001:db8::1", 80),  # nobody knows the way
                SockaddrIn6("::ffff:10.77.0.9", 80),
                SockaddrIn6("fd77::9", 80),
                SockaddrIn6("fd77::1:9", 80),
                SockaddrIn6("::1", 80),
            ]
            given = address_lists.pack(there)
            answer = told(of(c.AF_INET6), c.SIO_ADDRESS_LIST_SORT, given, len(given))
            assert address_lists.unpack(answer) == [there[4], there[2], there[3], there[1], there[0]]
        with World(), refused(WSAEAFNOSUPPORT):
            winsock.WSAIoctl(of(c.AF_INET), c.SIO_ADDRESS_LIST_SORT, given, len(given))

    def test_interfaces(self, world: World) -> None:
        """IC-17."""
        s = of(c.AF_INET)
        listed = told(s, c.SIO_GET_INTERFACE_LIST, None, ROOM)
        size = 76
        assert len(listed) % size == 0
        found = [INTERFACE_INFO.from_buffer_copy(listed, at) for at in range(0, len(listed), size)]
        (lo,) = [one for one in found if unpack(bytes(one.iiAddress)[:16]) == SockaddrIn("127.0.0.1", 0)]
        assert lo.iiFlags & (c.IFF_UP | c.IFF_LOOPBACK | c.IFF_BROADCAST) == c.IFF_UP | c.IFF_LOOPBACK
        assert unpack(bytes(lo.iiNetmask)[:16]) == SockaddrIn("255.0.0.0", 0)
        with refused(WSAEFAULT) as caught:
            winsock.WSAIoctl(s, c.SIO_GET_INTERFACE_LIST, None, len(listed) - 1)
        assert caught.value.count == 0
        with refused(WSAEINVAL):
            winsock.WSAIoctl(of(c.AF_INET6), c.SIO_GET_INTERFACE_LIST, None, ROOM)

    @needs_root
    @needs_a_network
    def test_broadcast(self) -> None:
        with own_network(), World():
            s = of(c.AF_INET)
            address = unpack(told(s, c.SIO_GET_BROADCAST_ADDRESS, None, 16))
            receiver = of(c.AF_INET)
            winsock.bind(receiver, ("0.0.0.0", 0))
            winsock.setsockopt(receiver, c.SOL_SOCKET, c.SO_RCVTIMEO, 5000)
            winsock.setsockopt(s, c.SOL_SOCKET, c.SO_BROADCAST, 1)
            assert isinstance(address, SockaddrIn)
            winsock.sendto(s, b"all", 0, address._replace(port=port_of(receiver)))
            assert winsock.recv(receiver, 10) == b"all"
            with refused(WSAENOPROTOOPT):
                winsock.WSAIoctl(of(c.AF_INET6), c.SIO_GET_BROADCAST_ADDRESS, None, 28)

    @pytest.mark.parametrize(("family", "host", "size"), [(c.AF_INET, "127.0.0.1", 16), (c.AF_INET6, "::1", 28)])
    def test_the_room_for_an_address_is_told(self, world: World, family: int, host: str, size: int) -> None:
        there = (SockaddrIn if family == c.AF_INET else SockaddrIn6)(host, 0).pack()
        for room in (0, size - 1):
            with refused(WSAEFAULT) as caught:
                winsock.WSAIoctl(of(family), c.SIO_ROUTING_INTERFACE_QUERY, there, room)
            assert caught.value.count == size

    @needs_root
    @needs_a_network
    def test_routes(self) -> None:
        """IC-18."""
        with own_network(), World():
            ip(f"route del default dev {NAME}")
            for there, here in (
                (SockaddrIn("127.0.0.1", 0), SockaddrIn("127.0.0.1", 0)),
                (SockaddrIn("10.77.0.9", 80), SockaddrIn(IPV4, 0)),
                (SockaddrIn6("fd77::9", 0), SockaddrIn6(IPV6, 0)),
            ):
                s = of(there.family)
                assert unpack(told(s, c.SIO_ROUTING_INTERFACE_QUERY, there.pack(), 28)) == here
            ip("route add unreachable 198.51.100.0/24")
            for host_name in ("192.0.2.1", "198.51.100.1"):
                nowhere = SockaddrIn(host_name, 0).pack()
                with refused(WSAENETUNREACH):
                    winsock.WSAIoctl(of(c.AF_INET), c.SIO_ROUTING_INTERFACE_QUERY, nowhere, 16)
            with refused(WSAEAFNOSUPPORT):
                other = SockaddrIn6("::1", 0).pack()
                winsock.WSAIoctl(of(c.AF_INET), c.SIO_ROUTING_INTERFACE_QUERY, other, 16)

    def test_sockets_bound_to_an_interface(self, world: World) -> None:
        for family in (c.AF_INET, c.AF_INET6):
            s = of(family)
            winsock.WSAIoctl(s, c.SIO_UCAST_IF, dword(LO))
            level, option = (
                (c.IPPROTO_IP, c.IP_UNICAST_IF) if family == c.AF_INET else (c.IPPROTO_IPV6, c.IPV6_UNICAST_IF)
            )
            chosen = winsock.getsockopt(s, level, option)
            assert chosen in (LO, host.htonl(LO))

    @pytest.mark.parametrize("family", [c.AF_INET, c.AF_INET6])
    def test_bound_by_the_index_of_an_interface(self, world: World, family: int) -> None:
        s = of(family)
        winsock.WSAIoctl(s, c.SIO_INDEX_BIND, dword(LO))
        bound_to = raw.getsockopt(s, host.SOL_SOCKET, SO_BINDTOIFINDEX, 4)
        assert bound_to == struct.pack("=i", LO)
        for impossible in (0x80000000, 0xFFFFFFFF):
            with refused(WSAEINVAL):
                winsock.WSAIoctl(s, c.SIO_INDEX_BIND, dword(impossible))
        assert raw.getsockopt(s, host.SOL_SOCKET, SO_BINDTOIFINDEX, 4) == bound_to


CHANGES = [
    (c.SIO_ADDRESS_LIST_CHANGE, c.FD_ADDRESS_LIST_CHANGE, b"", f"addr add 10.77.0.2/24 dev {NAME}"),
    (
        c.SIO_ROUTING_INTERFACE_CHANGE,
        c.FD_ROUTING_INTERFACE_CHANGE,
        SockaddrIn("0.0.0.0", 0).pack(),
        f"route add 192.0.2.0/24 dev {NAME}",
    ),
]


class Meanwhile(threading.Thread):
    """Does something as soon as the socket waits for a change."""

    def __init__(self, s: int, call: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.s, self.call = s, call

    def run(self) -> None:
        while not own.SOCKETS[self.s].attachments:
            time.sleep(0.001)
        self.call()


@needs_root
@needs_a_network
class TestChanges:
    """SIO_ADDRESS_LIST_CHANGE and SIO_ROUTING_INTERFACE_CHANGE."""

    @pytest.fixture(autouse=True)
    def network(self) -> Iterator[None]:
        with own_network(), World():
            yield

    @pytest.mark.parametrize(("code", "event", "given", "command"), CHANGES)
    def test_as_an_event_ioc_005(self, code: int, event: int, given: bytes, command: str) -> None:
        s, bell = of(c.AF_INET), winsock.WSACreateEvent()
        winsock.ioctlsocket(s, c.FIONBIO, 1)
        for _ in range(2):
            with refused(WSAEWOULDBLOCK):  # IOC-005
                winsock.WSAIoctl(s, code, given)
        winsock.WSAEventSelect(s, bell, event)
        assert winsock.WSAWaitForMultipleEvents([bell], False, 0, False) == c.WSA_WAIT_TIMEOUT
        ip(command)
        assert winsock.WSAWaitForMultipleEvents([bell], False, 5000, False) == 0
        assert winsock.WSAEnumNetworkEvents(s, bell).lNetworkEvents == event  # IOC-005
        ip(command.replace(" add ", " del "))
        assert winsock.WSAWaitForMultipleEvents([bell], False, 0, False) == c.WSA_WAIT_TIMEOUT, "EVT-044: once a change"
        with refused(WSAEWOULDBLOCK):
            winsock.WSAIoctl(s, code, given)
        ip(command)
        assert winsock.WSAWaitForMultipleEvents([bell], False, 5000, False) == 0  # EVT-042
        assert winsock.WSAEnumNetworkEvents(s, bell).lNetworkEvents == event
        winsock.WSACloseEvent(bell)

    @pytest.mark.parametrize(("code", "event", "given", "command"), CHANGES)
    def test_by_waiting_ioc_006(self, code: int, event: int, given: bytes, command: str) -> None:
        s = of(c.AF_INET)
        changer = Meanwhile(s, lambda: ip(command))  # a thread has the network of who starts it
        changer.start()
        assert winsock.WSAIoctl(s, code, given) == b""
        changer.join()

    def test_closing_ends_the_wait(self) -> None:
        s = of(c.AF_INET)
        closer = Meanwhile(s, lambda: winsock.closesocket(s))
        closer.start()
        with refused(WSAEINTR):
            winsock.WSAIoctl(s, c.SIO_ADDRESS_LIST_CHANGE)
        closer.join()


class TestTcp:
    """Codes of TCP."""

    def test_the_ideal_backlog(self, world: World) -> None:
        pair = world.connected()
        (size,) = struct.unpack("<I", told(pair.client, c.SIO_IDEAL_SEND_BACKLOG_QUERY, None, 4))
        assert size >= 4096
        with refused(WSAENOTCONN):
            winsock.WSAIoctl(world.stream(), c.SIO_IDEAL_SEND_BACKLOG_QUERY, None, 4)
        with refused(WSAEOPNOTSUPP):
            winsock.WSAIoctl(world.datagram(), c.SIO_IDEAL_SEND_BACKLOG_QUERY, None, 4)
        for room in (0, 3):
            with refused(WSAEINVAL) as caught:
                winsock.WSAIoctl(pair.client, c.SIO_IDEAL_SEND_BACKLOG_QUERY, None, room)
            assert caught.value.count == 0

    def test_the_fast_path_of_loopback(self, world: World) -> None:
        assert winsock.WSAIoctl(world.stream(), c.SIO_LOOPBACK_FAST_PATH, dword(1)) == b""
        with refused(WSAEOPNOTSUPP):
            winsock.WSAIoctl(world.datagram(), c.SIO_LOOPBACK_FAST_PATH, dword(1))


def test_every_code_that_is_not_refused_is_here() -> None:
    from winsock.base.inet import controls

    offered = {row.code for row in (*ioctls.ROWS, *ioctls.WRAPPED) if row.host != "refused"}
    of_unix = {row.code for row in ioctls.ROWS if row.name.startswith("SIO_AF_UNIX")}
    first = {row.code for row in ioctls.ROWS if ioctls.find(row.code) is row} | {row.code for row in ioctls.WRAPPED}
    assert {name_of_code(code) for code in (offered & first) - of_unix} == {
        name_of_code(code) for code in controls._ROWS
    }


def name_of_code(code: int) -> str:
    row = ioctls.find(code)
    return row.name if row else name_of(code)
