"""Connected messages: one send is one receive, or parts that say so; and words with requests, answers and ends."""

from __future__ import annotations

from random import Random

import pytest

from tests.base.memory.land import BOB, Land, Pair, address, goes, going_on, nonblocking, refused
from winsock.abi.constants import (
    AF_INET,
    CF_ACCEPT,
    CF_REJECT,
    FIONREAD,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_WAITALL,
    SD_RECEIVE,
    SD_SEND,
    SO_ERROR,
    SO_LINGER,
    SO_MAX_MSG_SIZE,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SO_TYPE,
    SOCK_SEQPACKET,
    SOL_SOCKET,
    XP1_CONNECT_DATA,
    XP1_DISCONNECT_DATA,
    XP1_MESSAGE_ORIENTED,
    XP1_PARTIAL_MESSAGE,
    XP1_PSEUDO_STREAM,
)
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEDISCON,
    WSAEMSGSIZE,
    WSAEOPNOTSUPP,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
)
from winsock.abi.options import Linger
from winsock.api import options, sockets, transfer, waiting
from winsock.base.memory.protocols import MESSAGES
from winsock.dispatcher.records import records


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01)


def pair(land: Land) -> Pair:
    return land.connected(land.messages)


def receive(s: int, size: int, flags: int = 0) -> tuple[bytes, int]:
    buffer = bytearray(size)
    count, out = transfer.WSARecv(s, [buffer], flags)  # type: ignore[misc]
    return bytes(buffer[:count]), out


def test_the_entry_says_what_it_is(land: Land) -> None:  # IO-002
    with land:
        s = land.messages(land.alice)
        flags = records[s].entry.info.dwServiceFlags1
        assert flags & XP1_MESSAGE_ORIENTED
        assert not flags & XP1_PSEUDO_STREAM
        assert flags & XP1_PARTIAL_MESSAGE
        assert flags & XP1_CONNECT_DATA
        assert flags & XP1_DISCONNECT_DATA
        assert options.getsockopt(s, SOL_SOCKET, SO_TYPE) == SOCK_SEQPACKET
        assert options.getsockopt(s, SOL_SOCKET, SO_MAX_MSG_SIZE) == 65467


def test_messages_keep_their_bounds(land: Land) -> None:  # IO-012, IO-019
    with land:
        client, server = pair(land)
        for data in (b"first", b"", b"third"):
            transfer.send(client, data)
        assert [receive(server, 100) for _ in range(3)] == [(b"first", 0), (b"", 0), (b"third", 0)]


def test_a_long_message_comes_in_marked_parts(land: Land) -> None:  # IO-004, IO-019
    with land:
        client, server = pair(land)
        transfer.send(client, b"0123456789")
        transfer.send(client, b"next")
        parts = [receive(server, 4) for _ in range(4)]
        assert parts == [(b"0123", MSG_PARTIAL), (b"4567", MSG_PARTIAL), (b"89", 0), (b"next", 0)]


def test_a_message_may_be_sent_in_parts(land: Land) -> None:  # IO-027
    with land:
        client, server = pair(land)
        transfer.send(client, b"one, ", MSG_PARTIAL)
        land.settle()
        assert waiting.select(0, [server], None, None, 0) == ([], [], [])  # IO-014: a whole message is needed
        transfer.send(client, b"", MSG_PARTIAL)
        transfer.send(client, b"two")
        assert receive(server, 100) == (b"one, two", 0)


def test_parts_may_be_received_as_they_come(land: Land) -> None:  # IO-020
    with land:
        client, server = pair(land)
        transfer.send(client, b"one, ", MSG_PARTIAL)
        assert receive(server, 100, MSG_PARTIAL) == (b"one, ", MSG_PARTIAL)
        transfer.send(client, b"two")
        assert receive(server, 100, MSG_PARTIAL) == (b"two", 0)


def test_a_message_of_any_length_passes(land: Land) -> None:
    with land:
        client, server = pair(land)
        data = Random(1).randbytes(1_000_000)

        def talk() -> None:
            for at in range(0, len(data), 50_000):
                transfer.send(client, data[at : at + 50_000], MSG_PARTIAL)
            transfer.send(client, b"")

        received = bytearray()

        def listen() -> None:
            flags = MSG_PARTIAL
            while flags & MSG_PARTIAL:
                part, flags = receive(server, 30_000)
                received.extend(part)

        land.alice.spawn(talk)
        land.bob.spawn(listen)
        land.network.run()
        assert received == data


def test_a_message_that_is_too_long_is_not_sent(land: Land) -> None:  # IO-025
    with land:
        client, server = pair(land)
        refused(WSAEMSGSIZE, lambda: transfer.send(client, bytes(65468)))
        transfer.send(client, bytes(65467))
        assert receive(server, 100_000) == (bytes(65467), 0)


def test_a_message_is_sent_whole_or_not_at_all(land: Land) -> None:
    with land:
        client, server = pair(land)
        nonblocking(client)
        sent = 0
        while waiting.select(0, None, [client], None, 1)[1]:
            sent += goes(lambda: transfer.send(client, bytes(10_000)))
        assert 10 < sent < 20
        land.settle()
        assert [receive(server, 20_000) for _ in range(sent)] == [(bytes(10_000), 0)] * sent
        refused(WSAEWOULDBLOCK, lambda: receive(nonblocking(server), 1))


def test_a_message_longer_than_the_buffers_passes(land: Land) -> None:
    with land:
        client, server = pair(land)
        options.setsockopt(server, SOL_SOCKET, SO_RCVBUF, 1000)
        transfer.send(nonblocking(client), bytes(60_000))
        land.settle()
        assert waiting.select(0, [server], None, None, 0) == ([server], [], [])
        assert receive(server, 100_000) == (bytes(60_000), 0)


def test_looking_takes_nothing(land: Land) -> None:
    with land:
        client, server = pair(land)
        transfer.send(client, b"message")
        assert receive(server, 3, MSG_PEEK) == (b"mes", MSG_PARTIAL)
        assert receive(server, 10, MSG_PEEK) == receive(server, 10) == (b"message", 0)
        refused(WSAEOPNOTSUPP, lambda: receive(server, 1, MSG_WAITALL))


def test_a_time_out(land: Land) -> None:
    with land:
        client, server = pair(land)
        options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, 100)
        transfer.send(client, b"not all", MSG_PARTIAL)
        refused(WSAETIMEDOUT, lambda: receive(server, 100))
        transfer.send(client, b" of it")
        assert receive(server, 100) == (b"not all of it", 0)


def test_the_end_is_an_error_of_its_own(land: Land) -> None:  # IO-006
    with land:
        client, server = pair(land)
        transfer.send(client, b"last")
        sockets.closesocket(client)
        assert waiting.select(0, [server], None, None, 1) == ([server], [], [])
        assert receive(server, 100) == (b"last", 0)
        for _ in range(2):
            refused(WSAEDISCON, lambda: receive(server, 100))


def test_a_reset_is_one_too(land: Land) -> None:
    with land:
        client, server = pair(land)
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        sockets.closesocket(client)
        refused(WSAECONNRESET, lambda: receive(server, 100))


def test_a_message_that_was_begun_before_the_end_comes_as_a_part(land: Land) -> None:
    with land:
        client, server = pair(land)
        transfer.send(client, b"never finis", MSG_PARTIAL)
        sockets.closesocket(client)
        assert receive(server, 100) == (b"never finis", MSG_PARTIAL)
        refused(WSAEDISCON, lambda: receive(server, 100))


def test_who_has_not_received_all_resets(land: Land) -> None:
    with land:
        client, server = pair(land)
        transfer.send(client, b"unread")
        land.settle()
        assert options.ioctlsocket(server, FIONREAD) == 6
        sockets.shutdown(server, SD_RECEIVE)
        refused(WSAECONNRESET, lambda: receive(client, 1))


# Words.


def test_requests_and_answers_carry_words(land: Land) -> None:  # CONN-013, CONN-014, CONN-031
    with land:
        listener = land.listener(land.bob, 80, make=land.messages)
        heard: list[object] = []

        def condition(
            caller: object, data: bytes, sqos: object, gqos: object, callee: object, room: bytearray, *_: object
        ) -> int:
            heard.extend((data, callee, len(room)))
            room += b"come in"
            return CF_ACCEPT

        def serve() -> None:
            s, _ = sockets.WSAAccept(listener, condition)
            transfer.send(s, b"welcome")

        def ask() -> None:
            client = land.messages(land.alice)
            assert sockets.WSAConnect(client, (BOB, 80), b"knock knock") == b"come in"
            assert receive(client, 100) == (b"welcome", 0)

        land.bob.spawn(serve)
        land.alice.spawn(ask)
        land.network.run()
        assert heard == [b"knock knock", address(land.bob, 80), 0]


def test_who_is_rejected_was_never_connected(land: Land) -> None:
    with land:
        listener = land.listener(land.bob, 80, make=land.messages)
        client = nonblocking(land.messages(land.alice))
        going_on(lambda: sockets.connect(client, (BOB, 80)))
        refused(WSAECONNREFUSED, lambda: sockets.WSAAccept(listener, lambda *_: CF_REJECT))
        land.settle()
        assert options.getsockopt(client, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED


def test_a_request_that_nobody_answers_is_given_up(land: Land) -> None:
    with land:
        land.listener(land.bob, 80, make=land.messages)
        refused(WSAETIMEDOUT, lambda: sockets.connect(land.messages(land.alice), (BOB, 80)))


def test_the_end_carries_words(land: Land) -> None:  # CLOSE-014, CLOSE-022
    with land:
        client, server = pair(land)
        transfer.send(client, b"data")
        transfer.WSASendDisconnect(client, b"that was all")
        assert receive(server, 100) == (b"data", 0)
        refused(WSAEDISCON, lambda: receive(server, 100))
        assert transfer.WSARecvDisconnect(server) == b"that was all"
        transfer.send(server, b"and here is the answer")
        assert receive(client, 100) == (b"and here is the answer", 0)


def test_messages_and_streams_do_not_meet(land: Land) -> None:
    with land:
        land.listener(land.bob, 80)
        refused(WSAECONNREFUSED, lambda: sockets.connect(land.messages(land.alice), (BOB, 80)))
        assert sockets.WSASocket(AF_INET, 0, MESSAGES)


@pytest.mark.parametrize("seed", range(5))
def test_messages_come_whole_and_in_order_over_any_link(seed: int) -> None:
    with Land(seed, latency=0.01, jitter=0.01, loss=0.1, duplicate=0.1, reorder=0.1) as land:
        client, server = pair(land)
        chance = Random(seed)
        messages = [chance.randbytes(chance.choice((0, 1, 100, 5000))) for _ in range(100)]
        received: list[tuple[bytes, int]] = []

        def listen() -> None:
            received.extend(receive(server, 10_000) for _ in messages)

        def talk() -> None:
            for message in messages:
                transfer.send(client, message)

        land.alice.spawn(talk)
        land.bob.spawn(listen)
        land.network.run()
        assert received == [(message, 0) for message in messages]
        sockets.shutdown(client, SD_SEND)
        refused(WSAEDISCON, lambda: receive(server, 1))
