"""Control data of WSASendMsg, as the receiver sees what became of it; and the pointer to the function (IO-018)."""

from __future__ import annotations

import socket as host
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import winsock
from tests.base.inet.test_packets import needs_ipv6, needs_the_right
from tests.refusals import refused
from winsock import WSACMSGHDR, WSAMSG, ExtensionFunction, pack_control
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEACCES,
    WSAEAFNOSUPPORT,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
)
from winsock.abi.guids import WSAID_ACCEPTEX, WSAID_WSASENDMSG
from winsock.abi.sockaddr import Sockaddr, SockaddrIn6
from winsock.abi.structures import IN6_PKTINFO, IN_PKTINFO
from winsock.base.inet import messages
from winsock.dispatcher import handles, loader
from winsock.testing import World

LO = host.if_nametoindex("lo")
IP_TTL, IP_RECVTTL, SO_RECVPKTINFO6, RECVHOPLIMIT6, RECVTCLASS6 = 2, 12, 49, 51, 66  # of Linux
HOPLIMIT6, TCLASS6 = 52, 67


@pytest.fixture(autouse=True)
def world() -> Iterator[World]:
    with World() as world:
        yield world


class Receiver:
    """A plain socket, which is told everything about what it gets."""

    def __init__(self, family: int = host.AF_INET) -> None:
        self.sock = host.socket(family, host.SOCK_DGRAM)
        self.sock.settimeout(10)
        if family == host.AF_INET:
            self.sock.bind(("127.0.0.1", 0))
            options = [(host.IPPROTO_IP, host.IP_RECVTOS), (host.IPPROTO_IP, IP_RECVTTL)]
        else:
            self.sock.bind(("::1", 0))
            options = [(host.IPPROTO_IPV6, option) for option in (RECVHOPLIMIT6, RECVTCLASS6)]
        for option in options:
            self.sock.setsockopt(*option, 1)
        self.address = self.sock.getsockname()[:2]

    def next(self) -> tuple[bytes, str, dict[tuple[int, int], int]]:
        """Data, the host it is from, and the control data, all numbers."""
        data, objects, _, source = self.sock.recvmsg(65536, 1024)
        told = {(level, kind): int.from_bytes(value, "little") for level, kind, value in objects}
        return data, source[0], told


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with receiver.sock:
        yield receiver


@pytest.fixture
def receiver6() -> Iterator[Receiver]:
    receiver = Receiver(host.AF_INET6)
    with receiver.sock:
        yield receiver


def number(value: int) -> bytes:
    return struct.pack("<i", value)


def source(address: str, index: int = 0) -> WSACMSGHDR:
    """The source of a message, in Windows' structure."""
    if ":" in address:
        there = IN6_PKTINFO.from_buffer_copy(host.inet_pton(host.AF_INET6, address) + struct.pack("<I", index))
        return WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_PKTINFO, bytes(there))
    here = IN_PKTINFO.from_buffer_copy(host.inet_aton(address) + struct.pack("<I", index))
    return WSACMSGHDR(c.IPPROTO_IP, c.IP_PKTINFO, bytes(here))


def datagram(family: int = c.AF_INET) -> int:
    s: int = winsock.socket(family, c.SOCK_DGRAM, 0)
    return s


def send(s: int, receiver: Receiver, *objects: WSACMSGHDR, data: bytes = b"data") -> int:
    count = winsock.WSASendMsg(s, WSAMSG(receiver.address, [data], pack_control(*objects)))
    assert count is not None
    return count


def pointer_to(s: int, guid: bytes = WSAID_WSASENDMSG.pack()) -> Any:
    return winsock.WSAIoctl(s, c.SIO_GET_EXTENSION_FUNCTION_POINTER, guid, 8)


class TestIPv4:
    def test_the_source(self, receiver: Receiver) -> None:
        s = datagram()
        assert send(s, receiver, source("127.0.0.2")) == 4
        assert receiver.next()[:2] == (b"data", "127.0.0.2")
        send(s, receiver, source("127.0.0.3", LO))
        assert receiver.next()[1] == "127.0.0.3"
        send(s, receiver)
        assert receiver.next()[1] == "127.0.0.1", "it is for one message"

    def test_to_the_peer(self, receiver: Receiver) -> None:
        s = datagram()
        winsock.connect(s, receiver.address)
        for objects, expected in ([source("127.0.0.2")], "127.0.0.2"), ([], "127.0.0.1"):
            assert winsock.WSASendMsg(s, WSAMSG(None, [b"da", b"ta"], pack_control(*objects))) == 4
            assert receiver.next()[:2] == (b"data", expected)

    @pytest.mark.parametrize("kind", [c.IP_TOS, c.IP_TCLASS])
    def test_the_type_of_service(self, receiver: Receiver, kind: int) -> None:
        s = datagram()
        send(s, receiver, WSACMSGHDR(c.IPPROTO_IP, kind, number(0xB8)))
        assert receiver.next()[2][host.IPPROTO_IP, host.IP_TOS] == 0xB8
        send(s, receiver)
        assert receiver.next()[2][host.IPPROTO_IP, host.IP_TOS] == 0

    @pytest.mark.parametrize("kind", [c.IP_TTL, c.IP_HOPLIMIT])
    def test_the_hop_limit(self, receiver: Receiver, kind: int) -> None:
        send(datagram(), receiver, WSACMSGHDR(c.IPPROTO_IP, kind, number(7)))
        assert receiver.next()[2][host.IPPROTO_IP, IP_TTL] == 7

    def test_congestion_bits_are_a_part_of_the_type_of_service(self, receiver: Receiver) -> None:
        s = datagram()
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_TOS, 0x20)
        bits = WSACMSGHDR(c.IPPROTO_IP, c.IP_ECN, number(2))
        rest = WSACMSGHDR(c.IPPROTO_IP, c.IP_TOS, number(0x41))
        for objects, expected in ([bits], 0x22), ([bits, rest], 0x42), ([rest, bits], 0x42), ([rest], 0x41), ([], 0x20):
            send(s, receiver, *objects)
            assert receiver.next()[2][host.IPPROTO_IP, host.IP_TOS] == expected

    def test_segments(self, receiver: Receiver) -> None:
        data = bytes(range(250))
        s = datagram()
        size = WSACMSGHDR(c.IPPROTO_UDP, c.UDP_SEND_MSG_SIZE, number(100))
        assert send(s, receiver, size, source("127.0.0.2"), data=data) == 250
        for piece in (data[:100], data[100:200], data[200:]):
            assert receiver.next()[:2] == (piece, "127.0.0.2")
        send(s, receiver, WSACMSGHDR(c.IPPROTO_UDP, c.UDP_SEND_MSG_SIZE, number(0)), data=data)
        assert receiver.next()[0] == data, "0 is for no segments"

    def test_it_binds_an_unbound_socket_addr_010(self, receiver: Receiver) -> None:
        s = datagram()
        send(s, receiver, source("127.0.0.2"))
        assert getattr(winsock.getsockname(s), "port", 0) == receiver.sock.recvmsg(9)[3][1] != 0

    def test_what_an_earlier_datagram_met_is_not_its_affair(self, world: World, receiver: Receiver) -> None:
        s = world.datagram()
        with host.socket(type=host.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            nobody = gone.getsockname()
        winsock.connect(s, nobody)
        winsock.send(s, b"hello?")  # the answer is there at once
        control = pack_control(source("127.0.0.2"))
        assert winsock.WSASendMsg(s, WSAMSG(receiver.address, [b"sent"], control)) == 4
        assert receiver.next()[:2] == (b"sent", "127.0.0.2")
        with refused(WSAECONNRESET):
            winsock.recv(s, 9)

    def test_under_a_blocking_hook(self, receiver: Receiver) -> None:
        winsock.WSAStartup(0x0101)
        winsock.WSASetBlockingHook(lambda: False)
        try:
            send(datagram(), receiver, source("127.0.0.2"))
            assert receiver.next()[:2] == (b"data", "127.0.0.2")
        finally:
            winsock.WSAUnhookBlockingHook()
            winsock.WSACleanup()

    def test_to_a_multipoint_session(self, receiver: Receiver) -> None:
        flags = c.WSA_FLAG_MULTIPOINT_C_LEAF | c.WSA_FLAG_MULTIPOINT_D_LEAF
        s = winsock.WSASocket(c.AF_INET, c.SOCK_DGRAM, c.IPPROTO_UDP, None, 0, flags)
        winsock.setsockopt(s, c.IPPROTO_IP, c.IP_MULTICAST_IF, host.inet_aton("127.0.0.1"))
        membership = host.inet_aton("239.77.1.9") + host.inet_aton("127.0.0.1")
        with host.socket(type=host.SOCK_DGRAM) as member:
            member.settimeout(10)
            member.bind(("239.77.1.9", 0))
            member.setsockopt(host.IPPROTO_IP, host.IP_ADD_MEMBERSHIP, membership)
            member.setsockopt(host.IPPROTO_IP, host.IP_RECVTOS, 1)
            winsock.WSAJoinLeaf(s, member.getsockname(), None, None, None, None, c.JL_SENDER_ONLY)
            tos = WSACMSGHDR(c.IPPROTO_IP, c.IP_TOS, number(0x20))
            assert winsock.WSASendMsg(s, WSAMSG(None, [b"all"], pack_control(tos))) == 3
            data, objects, *_ = member.recvmsg(9, 99)
            assert (data, objects[0][2][0]) == (b"all", 0x20)


@needs_ipv6
class TestIPv6:
    def test_source_class_and_hops(self, receiver6: Receiver) -> None:
        send(
            datagram(c.AF_INET6),
            receiver6,
            source("::1", LO),
            WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_TCLASS, number(0xB8)),
            WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_HOPLIMIT, number(9)),
        )
        data, sender, told = receiver6.next()
        assert (data, sender) == (b"data", "::1")
        assert told == {(host.IPPROTO_IPV6, TCLASS6): 0xB8, (host.IPPROTO_IPV6, HOPLIMIT6): 9}

    def test_congestion_bits(self, receiver6: Receiver) -> None:
        s = datagram(c.AF_INET6)
        winsock.setsockopt(s, c.IPPROTO_IPV6, c.IPV6_TCLASS, 0x20)
        send(s, receiver6, WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_ECN, number(1)))
        assert receiver6.next()[2][host.IPPROTO_IPV6, TCLASS6] == 0x21

    @pytest.mark.root
    @needs_the_right
    def test_hop_by_hop_options(self, receiver6: Receiver) -> None:
        padding = bytes((0, 0, 1, 4, 0, 0, 0, 0))
        receiver6.sock.setsockopt(host.IPPROTO_IPV6, host.IPV6_RECVHOPOPTS, 1)
        send(datagram(c.AF_INET6), receiver6, WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_HOPOPTS, padding))
        came = receiver6.next()[2][host.IPPROTO_IPV6, host.IPV6_HOPOPTS]
        assert came >> 16 == int.from_bytes(padding[2:], "little"), "before them is what follows, and their length"

    def test_a_socket_of_both_families(self, receiver: Receiver, receiver6: Receiver) -> None:
        """To a mapped address goes what belongs to IPv4, to others what belongs to IPv6."""
        s = datagram(c.AF_INET6)
        winsock.setsockopt(s, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 0)
        mapped = ("::ffff:127.0.0.1", receiver.address[1])
        tos, tclass = (
            WSACMSGHDR(c.IPPROTO_IP, c.IP_TOS, number(0x20)),
            WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_TCLASS, number(0x40)),
        )
        winsock.WSASendMsg(s, WSAMSG(mapped, [b"x"], pack_control(tos, source("127.0.0.2"))))
        data, sender, told = receiver.next()
        assert (data, sender, told[host.IPPROTO_IP, host.IP_TOS]) == (b"x", "127.0.0.2", 0x20)
        for address, wrong in ((mapped, tclass), (receiver6.address, tos)):
            with refused(WSAEINVAL):
                winsock.WSASendMsg(s, WSAMSG(address, [b"x"], pack_control(wrong)))
        winsock.connect(s, mapped)
        winsock.WSASendMsg(s, WSAMSG(None, [b"y"], pack_control(tos)))
        assert receiver.next()[2][host.IPPROTO_IP, host.IP_TOS] == 0x20


class TestRefusals:
    @pytest.mark.parametrize(
        "item",
        [
            WSACMSGHDR(c.IPPROTO_IP, 99, number(0)),
            WSACMSGHDR(c.IPPROTO_TCP, c.IP_TOS, number(0)),
            WSACMSGHDR(c.SOL_SOCKET, 1, number(0)),  # descriptors, on this host
            WSACMSGHDR(c.IPPROTO_IP, c.IP_RTHDR, bytes(8)),
            WSACMSGHDR(c.IPPROTO_IPV6, c.IPV6_TCLASS, number(0)),
            WSACMSGHDR(c.IPPROTO_IP, c.IP_ECN, number(3)),  # congestion is for routers to say
            WSACMSGHDR(c.IPPROTO_IP, c.IP_ECN, number(-1)),
            WSACMSGHDR(c.IPPROTO_IP, c.IP_TOS, number(256)),
            WSACMSGHDR(c.IPPROTO_IP, c.IP_TTL, number(0)),
            WSACMSGHDR(c.IPPROTO_UDP, c.UDP_SEND_MSG_SIZE, number(0x10000)),
            *(WSACMSGHDR(*key, bytes(row.size - 1)) for key, row in messages.ROWS.items()),
        ],
    )
    def test_objects(self, receiver: Receiver, item: WSACMSGHDR) -> None:
        s = datagram()
        with refused(WSAEINVAL, "control"):
            send(s, receiver, item)
        send(s, receiver, data=b"the first")
        assert receiver.next()[0] == b"the first"

    def test_no_control_data_at_all(self, receiver: Receiver) -> None:
        s = datagram()
        for control, code in ((None, WSAEFAULT), (7, WSAEFAULT), (b"\1" * 16, WSAEINVAL)):
            with refused(code, "control"):
                winsock.WSASendMsg(s, WSAMSG(receiver.address, [b"x"], control))  # type: ignore[arg-type]
        assert winsock.WSASendMsg(s, WSAMSG(receiver.address, [b"x"], bytearray())) == 1

    def test_what_sendto_refuses_is_refused_with_control_data_too(self, receiver: Receiver) -> None:
        s, control = datagram(), pack_control(source("127.0.0.2"))
        name: Sockaddr | tuple[str] | None
        for name, code in ((None, WSAENOTCONN), (SockaddrIn6("::1", 9), WSAEAFNOSUPPORT), (("127.0.0.1",), WSAEFAULT)):
            with refused(code):
                winsock.WSASendMsg(s, WSAMSG(name, [b"x"], control))
        for flags, code in ((c.MSG_PARTIAL, WSAEOPNOTSUPP), (0x40000000, WSAEINVAL)):
            with refused(code):
                winsock.WSASendMsg(s, WSAMSG(receiver.address, [b"x"], control), flags)
        with refused(WSAEINVAL):
            winsock.WSASendMsg(s, WSAMSG(receiver.address, [], control))
        with refused(WSAEFAULT):
            winsock.WSASendMsg(s, WSAMSG(receiver.address, ["text"], control))  # type: ignore[list-item]

    def test_an_address_of_nobody_here(self, receiver: Receiver) -> None:
        with pytest.raises(winsock.WinsockError):
            send(datagram(), receiver, source("192.0.2.1"))


class TestPointer:
    def test_it_is_called_without_winsock_io_018_ext_020(self, world: World, receiver: Receiver) -> None:
        s = datagram()
        send_message = pointer_to(s)
        assert isinstance(send_message, ExtensionFunction)
        assert len(send_message) == 8
        assert send_message == pointer_to(datagram()), "one provider has one"
        assert send_message(s, WSAMSG(receiver.address, [b"x"], pack_control(source("127.0.0.2")))) == 1
        assert receiver.next()[:2] == (b"x", "127.0.0.2")
        assert send_message(s, WSAMSG(receiver.address, [b"plain"])) == 5
        assert receiver.next()[:2] == (b"plain", "127.0.0.1")

    def test_its_errors_are_the_threads_last(self, world: World) -> None:
        send_message = pointer_to(datagram())
        for arguments, code in (
            ((datagram(), None), WSAEFAULT),
            ((world.stream(), WSAMSG(None, [b"x"])), WSAENOTCONN),
            ((datagram(), WSAMSG(None, [b"x"], b"\1" * 16)), WSAEINVAL),
        ):
            winsock.WSASetLastError(0)
            with refused(code):
                send_message(*arguments)
            assert winsock.WSAGetLastError() == code

    def test_that_of_a_stream_sends_no_message_ov_50(self, world: World) -> None:
        with refused(WSAEINVAL):
            pointer_to(world.stream())(world.connected().client, WSAMSG(None, [b"x"]))

    def test_others_are_not_there(self) -> None:
        for guid in (WSAID_ACCEPTEX.pack(), bytes(16)):
            with refused(WSAEINVAL, "extension function"):
                pointer_to(datagram(), guid)
        with refused(WSAEFAULT):
            pointer_to(datagram(), bytes(15))
        with refused(WSAEFAULT):
            winsock.WSAIoctl(datagram(), c.SIO_GET_EXTENSION_FUNCTION_POINTER, WSAID_WSASENDMSG.pack(), 7)


@pytest.mark.root
@needs_the_right
class TestPackets:
    """Raw sockets have messages, too."""

    def test_one_with_a_source(self) -> None:
        one, other = (winsock.socket(c.AF_INET, c.SOCK_RAW, 253) for _ in range(2))
        winsock.setsockopt(other, c.SOL_SOCKET, c.SO_RCVTIMEO, 10_000)
        winsock.bind(other, ("127.0.0.1", 0))
        objects = source("127.0.0.2"), WSACMSGHDR(c.IPPROTO_IP, c.IP_TTL, number(7))
        assert winsock.WSASendMsg(one, WSAMSG(("127.0.0.1", 9), [b"data"], pack_control(*objects))) == 4
        packet, _ = winsock.recvfrom(other, 100)
        assert (packet[8], packet[12:16], packet[20:]) == (7, host.inet_aton("127.0.0.2"), b"data")

    def test_what_is_refused(self) -> None:
        s = winsock.socket(c.AF_INET, c.SOCK_RAW, 253)
        with refused(WSAEINVAL, "control"):
            size = WSACMSGHDR(c.IPPROTO_UDP, c.UDP_SEND_MSG_SIZE, number(100))
            winsock.WSASendMsg(s, WSAMSG(("127.0.0.1", 0), [b"data"], pack_control(size)))
        tcp = winsock.socket(c.AF_INET, c.SOCK_RAW, c.IPPROTO_TCP)
        with refused(WSAEACCES):
            winsock.WSASendMsg(tcp, WSAMSG(("127.0.0.1", 0), [b"data"], pack_control(source("127.0.0.2"))))


def test_a_file_of_somebody_else(receiver: Receiver) -> None:
    with host.socket(type=host.SOCK_DGRAM) as file:
        record = handles.adopt(file.fileno(), loader.catalog().match(c.AF_INET, c.SOCK_DGRAM, 0))
        send_message: Any = record.table.WSPIoctl(
            record.handle, c.SIO_GET_EXTENSION_FUNCTION_POINTER, WSAID_WSASENDMSG.pack(), 8
        )
        objects = source("127.0.0.2"), WSACMSGHDR(c.IPPROTO_IP, c.IP_TOS, number(0x20))
        assert send_message(record.handle, WSAMSG(receiver.address, [b"x", b"yz"], pack_control(*objects))) == 3
        data, sender, told = receiver.next()
        assert (data, sender, told[host.IPPROTO_IP, host.IP_TOS]) == (b"xyz", "127.0.0.2", 0x20)


def test_what_is_no_socket(receiver: Receiver) -> None:
    with refused(WSAENOTSOCK):
        winsock.WSASendMsg(-1, WSAMSG(receiver.address, [b"x"], pack_control(source("127.0.0.2"))))
