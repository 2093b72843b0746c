"""Reliable datagrams: no connection to be seen, and every message arrives."""

from __future__ import annotations

import pytest

from tests.base.memory.land import ALICE, BOB, Land, address, goes, nonblocking, refused
from winsock.abi.constants import (
    FIONREAD,
    MSG_PARTIAL,
    MSG_PEEK,
    SD_SEND,
    SO_LINGER,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SO_TYPE,
    SOCK_RDM,
    SOL_SOCKET,
    XP1_CONNECTIONLESS,
    XP1_GUARANTEED_DELIVERY,
    XP1_PARTIAL_MESSAGE,
)
from winsock.abi.errors import (
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEMSGSIZE,
    WSAENETDOWN,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
)
from winsock.abi.sockaddr import SockaddrIn
from winsock.api import options, sockets, transfer, waiting
from winsock.dispatcher.records import records


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01, loss=0.2, duplicate=0.1, reorder=0.1)


def test_the_entry_says_what_it_is(land: Land) -> None:
    with land:
        s = land.reliable(land.alice)
        flags = records[s].entry.info.dwServiceFlags1
        assert flags & XP1_CONNECTIONLESS
        assert flags & XP1_GUARANTEED_DELIVERY
        assert not flags & XP1_PARTIAL_MESSAGE
        assert options.getsockopt(s, SOL_SOCKET, SO_TYPE) == SOCK_RDM


def test_every_message_arrives_once_and_in_its_order(land: Land) -> None:
    with land:
        receiver = land.reliable(land.bob, 7)
        senders = [land.reliable(land.alice, port) for port in (1, 2)]
        for n in range(100):
            for sender in senders:
                transfer.sendto(sender, b"%d" % n, 0, (BOB, 7))
        heard: dict[object, list[int]] = {}
        for _ in range(200):
            data, source = transfer.recvfrom(receiver, 100)
            heard.setdefault(source, []).append(int(data))
        assert heard == {address(land.alice, port): list(range(100)) for port in (1, 2)}


def test_answers_go_back(land: Land) -> None:
    with land:
        one, other = land.reliable(land.alice, 7), land.reliable(land.bob, 7)
        for _ in range(10):
            transfer.sendto(one, b"ping", 0, (BOB, 7))
            data, source = transfer.recvfrom(other, 100)
            assert isinstance(source, tuple)
            transfer.sendto(other, data + b"pong", 0, source)
            assert transfer.recvfrom(one, 100) == (b"pingpong", address(land.bob, 7))


def test_a_peer_may_be_chosen(land: Land) -> None:
    with land:
        one, other = land.reliable(land.alice, 7), land.reliable(land.bob, 7)
        refused(WSAEDESTADDRREQ, lambda: transfer.sendto(one, b"x", 0, None))
        sockets.connect(one, (BOB, 7))
        transfer.send(one, b"x")
        assert transfer.recv(other, 10) == b"x"


def test_who_has_a_peer_hears_nobody_else(land: Land) -> None:  # CONN-026
    with land:
        one, other, stranger = land.reliable(land.alice, 7), land.reliable(land.bob, 7), land.reliable(land.bob, 8)
        transfer.sendto(stranger, b"before", 0, (ALICE, 7))
        transfer.recv(one, 100)
        sockets.connect(one, (BOB, 7))
        for _ in range(2):
            transfer.sendto(stranger, b"not for you", 0, (ALICE, 7))
            refused(WSAECONNRESET, lambda: transfer.recv(stranger, 1))
        transfer.sendto(other, b"for you", 0, (ALICE, 7))
        assert transfer.recv(one, 100) == b"for you"


def test_another_peer_makes_what_came_before_forgotten(land: Land) -> None:  # CONN-028
    with land:
        one, other = land.reliable(land.alice, 7), land.reliable(land.bob, 7)
        options.setsockopt(one, SOL_SOCKET, SO_RCVBUF, 1000)
        for _ in range(4):
            transfer.sendto(other, bytes(1000), 0, (ALICE, 7))
        land.settle()
        sockets.connect(one, (BOB, 7))  # forgets what had arrived, and hears what waited for room
        assert transfer.recv(one, 1000) == bytes(1000)
        sockets.connect(one, (BOB, 8))
        land.settle(5.0)
        assert options.ioctlsocket(one, FIONREAD) == 0
        sockets.connect(one, SockaddrIn("0.0.0.0", 0))
        transfer.sendto(land.reliable(land.bob, 9), b"anybody", 0, (ALICE, 7))
        assert transfer.recv(one, 100) == b"anybody"


def test_what_is_longer_than_the_buffer_stays(land: Land) -> None:  # IO-005
    with land:
        one, other = land.reliable(land.alice), land.reliable(land.bob, 7)
        transfer.sendto(one, b"0123456789", 0, (BOB, 7))
        buffer = bytearray(4)
        error = refused(WSAEMSGSIZE, lambda: transfer.WSARecv(other, [buffer]))
        assert (bytes(buffer), error.count) == (b"0123", 4)
        assert options.ioctlsocket(other, FIONREAD) == 10
        assert transfer.recv(other, 10, MSG_PEEK) == transfer.recv(other, 10) == b"0123456789"


def test_a_receiver_that_does_not_receive_stops_its_senders() -> None:
    with Land(latency=0.01) as land:
        one, other = nonblocking(land.reliable(land.alice)), land.reliable(land.bob, 7)
        options.setsockopt(other, SOL_SOCKET, SO_RCVBUF, 10_000)
        sockets.connect(one, (BOB, 7))
        sent = 0
        while waiting.select(0, None, [one], None, 1)[1]:
            sent += goes(lambda: transfer.send(one, bytes(5000)))
        assert 10 < sent < 40
        refused(WSAEWOULDBLOCK, lambda: transfer.send(one, bytes(5000)))
        assert [len(transfer.recv(other, 5000)) for _ in range(sent)] == [5000] * sent
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(nonblocking(other), 1))


def test_nobody_is_there(land: Land) -> None:
    with land:
        s = land.reliable(land.alice, 7)
        transfer.sendto(s, b"x", 0, (BOB, 7))
        refused(WSAECONNRESET, lambda: transfer.recvfrom(s, 1))
        land.bob.crash()
        transfer.sendto(s, b"x", 0, (BOB, 7))
        refused(WSAETIMEDOUT, lambda: transfer.recvfrom(s, 1))


def test_what_was_sent_before_a_close_arrives(land: Land) -> None:
    with land:
        one, other = land.reliable(land.alice), land.reliable(land.bob, 7)
        for n in range(20):
            transfer.sendto(one, b"%d" % n, 0, (BOB, 7))
        sockets.closesocket(one)
        assert [int(transfer.recv(other, 10)) for _ in range(20)] == list(range(20))
        land.settle(100.0)
        assert land.alice.connections == land.bob.connections == {}


def test_a_receiver_that_closes_is_found_gone(land: Land) -> None:
    with land:
        one, other = land.reliable(land.alice, 7), land.reliable(land.bob, 7)
        transfer.sendto(one, b"x", 0, (BOB, 7))
        transfer.recv(other, 1)
        sockets.closesocket(other)
        land.settle(30.0)
        transfer.sendto(one, b"x", 0, (BOB, 7))
        refused(WSAECONNRESET, lambda: transfer.recv(one, 1))


def test_limits_and_flags(land: Land) -> None:
    with land:
        s = land.reliable(land.alice, 7)
        refused(WSAEMSGSIZE, lambda: transfer.sendto(s, bytes(65468), 0, (BOB, 7)))
        refused(WSAEOPNOTSUPP, lambda: transfer.sendto(s, b"x", 0, ("255.255.255.255", 7)))
        refused(WSAEOPNOTSUPP, lambda: transfer.sendto(s, b"x", MSG_PARTIAL, (BOB, 7)))
        options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, 10)
        refused(WSAETIMEDOUT, lambda: transfer.recv(s, 1))
        sockets.connect(s, (BOB, 7))
        sockets.shutdown(s, SD_SEND)
        refused(WSAESHUTDOWN, lambda: transfer.send(s, b"x"))


def test_a_close_may_be_abortive(land: Land) -> None:
    with land:
        one, other = land.reliable(land.alice, 7), land.reliable(land.bob, 7)
        transfer.sendto(one, b"x", 0, (BOB, 7))
        transfer.sendto(other, b"x", 0, (ALICE, 7))
        land.settle()
        land.bob.crash()
        refused(WSAENETDOWN, lambda: transfer.recv(other, 1))
        sockets.closesocket(other)
        sockets.closesocket(one)
        land.settle(200.0)
        assert land.alice.connections == {}
        refused(10042, lambda: options.setsockopt(land.reliable(land.alice), SOL_SOCKET, SO_LINGER, (1, 0)))
