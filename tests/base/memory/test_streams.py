"""Streams of a simulated network, by the rules of the documentation."""

from __future__ import annotations

import pytest

from tests.base.memory.land import (
    ALICE,
    BOB,
    Land,
    address,
    blocking,
    going_on,
    nonblocking,
    refused,
    table,
)
from winsock.abi.constants import (
    AF_INET6,
    AF_UNSPEC,
    CF_ACCEPT,
    CF_DEFER,
    CF_REJECT,
    FIONREAD,
    JL_BOTH,
    MSG_DONTROUTE,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_WAITALL,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SO_CONDITIONAL_ACCEPT,
    SO_CONNECT_TIME,
    SO_ERROR,
    SO_EXCLUSIVEADDRUSE,
    SO_LINGER,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SO_SNDTIMEO,
    SOL_SOCKET,
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
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WSATRY_AGAIN,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn6, SockaddrOther
from winsock.api import options, sockets, transfer, waiting


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01)


def asked(land: Land, port: int = 80) -> int:
    """Alice's socket, which is about to connect to bob's port."""
    client = nonblocking(land.stream(land.alice))
    going_on(lambda: sockets.connect(client, (BOB, port)))
    return client


# Binding.


def test_a_port_of_zero_means_one_of_the_dynamic_range(land: Land) -> None:  # CONN-018, ADDR-008
    with land:
        ports = {getattr(sockets.getsockname(land.datagram(land.alice)), "port", 0) for _ in range(5)}
        assert len(ports) == 5
        assert min(ports) >= 49152


def test_an_address_is_taken_once(land: Land) -> None:  # CONN-017, BL-40, BL-44
    with land:

        def bound(host: str, *optnames: int) -> int:
            s = land.stream(land.alice)
            for optname in optnames:
                options.setsockopt(s, SOL_SOCKET, optname, 1)
            sockets.bind(s, (host, 80))
            return s

        first = bound(ALICE)
        refused(WSAEADDRINUSE, lambda: bound(ALICE))
        refused(WSAEACCES, lambda: bound(ALICE, SO_REUSEADDR))
        bound("0.0.0.0")
        bound("127.0.0.1", SO_EXCLUSIVEADDRUSE)
        sockets.closesocket(first)
        exclusive = land.stream(land.alice)
        options.setsockopt(exclusive, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
        sockets.bind(exclusive, (ALICE, 81))
        again = land.stream(land.alice)
        options.setsockopt(again, SOL_SOCKET, SO_REUSEADDR, 1)
        refused(WSAEACCES, lambda: sockets.bind(again, (ALICE, 81)))


def test_addresses_of_another_family_are_refused(land: Land) -> None:  # CONN-015
    with land:
        s = land.stream(land.alice)
        refused(WSAEAFNOSUPPORT, lambda: sockets.bind(s, SockaddrIn6("fd00::1", 80)))
        refused(WSAEFAULT, lambda: table(s).WSPBind(s, None))  # type: ignore[arg-type]


# Connecting.


def test_a_connect_takes_a_round_trip(land: Land) -> None:
    with land:
        land.listener(land.bob, 80)
        client = land.stream(land.alice)
        sockets.connect(client, (BOB, 80))
        assert land.network.now == pytest.approx(0.02)
        assert sockets.getpeername(client) == address(land.bob, 80)
        assert options.getsockopt(client, SOL_SOCKET, SO_CONNECT_TIME) == 0
        land.settle(3.0)
        assert options.getsockopt(client, SOL_SOCKET, SO_CONNECT_TIME) == 3


def test_an_unbound_socket_is_bound_by_connect(land: Land) -> None:  # CONN-019, CONN-045
    with land:
        land.listener(land.bob, 80)
        client = land.stream(land.alice)
        refused(WSAEINVAL, lambda: sockets.getsockname(client))
        sockets.connect(client, (BOB, 80))
        assert getattr(sockets.getsockname(client), "host", None) == ALICE


def test_where_nobody_listens_connects_are_refused_and_may_be_tried_again(land: Land) -> None:  # CONN-025
    with land:
        client = land.stream(land.alice)
        refused(WSAECONNREFUSED, lambda: sockets.connect(client, (BOB, 80)))
        land.listener(land.bob, 80)
        sockets.connect(client, (BOB, 80))


def test_who_does_not_answer_is_given_up(land: Land) -> None:
    with land:
        land.bob.crash()
        refused(WSAETIMEDOUT, lambda: sockets.connect(land.stream(land.alice), (BOB, 80)))
        assert land.network.now == 15.0


@pytest.mark.parametrize("name", [("0.0.0.0", 80), (BOB, 0)])
def test_zeros_are_no_address_to_connect_to(land: Land, name: tuple[str, int]) -> None:  # CONN-020
    with land:
        refused(WSAEADDRNOTAVAIL, lambda: sockets.connect(land.stream(land.alice), name))
        s = land.stream(land.alice)
        refused(WSAEADDRNOTAVAIL, lambda: sockets.connect(s, SockaddrOther(AF_UNSPEC, bytes(14))))


def test_a_connect_that_goes_on(land: Land) -> None:  # CONN-022, CONN-023, CONN-021
    with land:
        land.listener(land.bob, 80)
        client = asked(land)
        refused(WSAEALREADY, lambda: sockets.connect(client, (BOB, 80)))
        refused(WSAENOTCONN, lambda: transfer.send(client, b"too early"))
        assert waiting.select(0, None, [client], [client], 0) == ([], [], [])
        assert waiting.select(0, None, [client], [client], 5) == ([], [client], [])
        assert options.getsockopt(client, SOL_SOCKET, SO_ERROR) == 0
        refused(WSAEISCONN, lambda: sockets.connect(client, (BOB, 80)))


def test_a_connect_that_fails_later(land: Land) -> None:  # CONN-023
    with land:
        client = asked(land)
        assert waiting.select(0, [client], [client], [client], 5) == ([], [], [client])
        assert options.getsockopt(client, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED
        assert options.getsockopt(client, SOL_SOCKET, SO_ERROR) == 0
        land.listener(land.bob, 80)
        going_on(lambda: sockets.connect(client, (BOB, 80)))
        assert waiting.select(0, None, [client], [client], 5) == ([], [client], [])


def test_what_tcp_does_not_carry_is_refused(land: Land) -> None:  # CONN-030, CONN-046, CLOSE-014
    with land:
        client = land.stream(land.alice)
        refused(WSAEPROTONOSUPPORT, lambda: sockets.WSAConnect(client, (BOB, 80), b"hello"))
        refused(WSAEINVAL, lambda: sockets.WSAConnect(client, (BOB, 80), None, None, None, object()))
        refused(WSAEOPNOTSUPP, lambda: sockets.WSAConnect(client, (BOB, 80), None, None, object()))
        refused(WSAENOPROTOOPT, lambda: transfer.WSASendDisconnect(client, b"good-bye"))
        refused(
            WSAEINVAL, lambda: table(client).WSPJoinLeaf(client, address(land.bob, 80), None, None, None, None, JL_BOTH)
        )


# Listening and accepting.


def test_a_full_queue_refuses(land: Land) -> None:  # CONN-036
    with land:
        listener = land.listener(land.bob, 80, backlog=2)
        clients = [asked(land) for _ in range(3)]
        land.settle()
        assert [options.getsockopt(client, SOL_SOCKET, SO_ERROR) for client in clients] == [0, 0, WSAECONNREFUSED]
        sockets.accept(listener)
        assert options.getsockopt(asked(land), SOL_SOCKET, SO_ERROR) == 0


def test_a_smaller_queue_resets_the_last(land: Land) -> None:  # CONN-034
    with land:
        listener = land.listener(land.bob, 80, backlog=3)
        clients = [blocking(_settled(land, asked(land))) for _ in range(3)]
        sockets.listen(listener, 1)
        land.settle()
        refused(WSAECONNRESET, lambda: transfer.recv(clients[1], 1))
        refused(WSAECONNRESET, lambda: transfer.recv(clients[2], 1))
        _, peer = sockets.accept(listener)
        assert peer == sockets.getsockname(clients[0])


def _settled(land: Land, s: int) -> int:
    land.settle()
    return s


@pytest.mark.parametrize("backlog", [-2, 0, 1])
def test_a_backlog_out_of_bounds_is_the_nearest(land: Land, backlog: int) -> None:  # CONN-035
    with land:
        listener = land.listener(land.bob, 80, backlog)
        asked(land)
        sockets.accept(listener)


def test_connections_are_taken_in_their_order(land: Land) -> None:  # CONN-001
    with land:
        listener = land.listener(land.bob, 80)
        clients = [_settled(land, asked(land)) for _ in range(3)]
        assert [sockets.accept(listener)[1] for _ in clients] == [sockets.getsockname(client) for client in clients]
        refused(WSAEWOULDBLOCK, lambda: sockets.accept(nonblocking(listener)))  # CONN-009


def test_an_accepted_socket_has_the_properties_of_its_listener(land: Land) -> None:  # CONN-007
    with land:
        listener = land.listener(land.bob, 80)
        options.setsockopt(listener, SOL_SOCKET, SO_LINGER, Linger(1, 7))
        options.setsockopt(listener, SOL_SOCKET, SO_RCVBUF, 1000)
        asked(land)
        server, _ = sockets.accept(listener)
        assert options.getsockopt(server, SOL_SOCKET, SO_LINGER) == Linger(1, 7)
        assert options.getsockopt(server, SOL_SOCKET, SO_RCVBUF) == 1000


@pytest.mark.parametrize("conditional", [0, 1])
def test_a_condition_may_reject(land: Land, conditional: int) -> None:  # CONN-002
    with land:
        listener = land.listener(land.bob, 80)
        options.setsockopt(listener, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, conditional)
        client = _settled(land, asked(land))
        name = sockets.getsockname(client)
        error = refused(WSAECONNREFUSED, lambda: sockets.WSAAccept(listener, lambda *_: CF_REJECT))
        assert error.address == name  # CONN-010
        land.settle()
        if conditional:
            assert options.getsockopt(client, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED
        else:
            refused(WSAECONNRESET, lambda: transfer.recv(client, 1))
        refused(WSAEWOULDBLOCK, lambda: sockets.accept(nonblocking(listener)))


def test_a_condition_may_wait_and_is_told_who_calls(land: Land) -> None:  # CONN-003, CONN-013, CONN-042
    with land:
        listener = land.listener(land.bob, 80)
        client = _settled(land, asked(land))
        told: list[tuple[object, ...]] = []

        def condition(*args: object) -> int:
            told.append(args)
            return CF_DEFER if len(told) == 1 else CF_ACCEPT

        deferred = refused(WSATRY_AGAIN, lambda: sockets.WSAAccept(listener, condition, "data"))
        assert deferred.address == sockets.getsockname(client)  # CONN-010
        _, peer = sockets.WSAAccept(listener, condition, "data")
        me = sockets.getsockname(client)
        assert peer == me
        assert told == 2 * [(me, None, None, None, address(land.bob, 80), None, 0, "data")]


def test_a_condition_that_answers_nonsense_or_fails_leaves_the_connection(land: Land) -> None:  # CONN-004
    with land:
        listener = land.listener(land.bob, 80)
        client = sockets.getsockname(asked(land))
        assert refused(WSAEINVAL, lambda: sockets.WSAAccept(listener, lambda *_: 99)).address == client  # CONN-010
        refused(WSAEFAULT, lambda: table(listener).WSPAccept(listener, "no function"))
        with pytest.raises(ZeroDivisionError):
            sockets.WSAAccept(listener, lambda *_: 1 // 0)
        sockets.accept(listener)


@pytest.mark.parametrize(("conditional", "code"), [(0, WSAECONNRESET), (1, WSAEACCES)])
def test_a_caller_may_be_gone(land: Land, conditional: int, code: int) -> None:  # CONN-012
    with land:
        listener = land.listener(land.bob, 80)
        options.setsockopt(listener, SOL_SOCKET, SO_CONDITIONAL_ACCEPT, conditional)
        client = _settled(land, asked(land))
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        sockets.closesocket(client)
        land.settle()
        refused(code, lambda: sockets.accept(listener))
        refused(WSAEWOULDBLOCK, lambda: sockets.accept(nonblocking(listener)))


def test_a_listener_that_closes_resets_who_waits(land: Land) -> None:
    with land:
        listener = land.listener(land.bob, 80)
        client = _settled(land, asked(land))
        sockets.closesocket(listener)
        land.settle()
        refused(WSAECONNRESET, lambda: transfer.recv(client, 1))
        assert land.bob.connections == {}


# Data.


def test_a_blocking_send_takes_all_and_a_receive_what_there_is(land: Land) -> None:  # IO-014, IO-024, IO-026
    with land:
        client, server = land.connected()
        data = bytes(range(256)) * 1000
        received = bytearray()

        def take() -> None:
            while piece := transfer.recv(server, 10_000):
                received.extend(piece)

        land.bob.spawn(take)
        land.alice.spawn(lambda: (transfer.send(client, data), sockets.shutdown(client, SD_SEND)))
        land.network.run()
        assert received == data


def test_a_nonblocking_send_takes_what_there_is_room_for(land: Land) -> None:  # IO-024
    with land:
        client, server = land.connected()
        nonblocking(client)
        sent = transfer.send(client, bytes(1 << 20))
        assert sent == 65536
        refused(WSAEWOULDBLOCK, lambda: transfer.send(client, b"x"))
        assert waiting.select(0, None, [client], None, 0) == ([], [], [])
        while sent < 1 << 20:
            transfer.recv(server, 1 << 20)
            assert waiting.select(0, None, [client], None, 5) == ([], [client], [])
            sent += transfer.send(client, bytes((1 << 20) - sent))


def test_time_outs_end_calls_that_wait(land: Land) -> None:  # IO-015, OPT-001
    with land:
        client, server = land.connected()
        options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, 250)
        options.setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, 500)
        began = land.network.now
        refused(WSAETIMEDOUT, lambda: transfer.recv(server, 1))
        assert land.network.now - began == pytest.approx(0.25)
        assert transfer.send(client, bytes(1 << 20)) == 131072  # what both buffers take
        assert land.network.now - began == pytest.approx(0.77, abs=0.05)
        refused(WSAETIMEDOUT, lambda: transfer.send(client, b"x"))
        assert len(transfer.recv(server, 1 << 20)) == 65536


def test_looking_takes_nothing(land: Land) -> None:  # IO-009
    with land:
        client, server = land.connected()
        transfer.send(client, b"once")
        land.settle()
        assert options.ioctlsocket(server, FIONREAD) == 4
        assert transfer.recv(server, 10, MSG_PEEK) == b"once"
        assert transfer.recv(server, 10) == b"once"
        assert options.ioctlsocket(server, FIONREAD) == 0


def test_all_of_it_may_be_waited_for(land: Land) -> None:  # IO-008
    with land:
        client, server = land.connected()
        for piece in (b"one", b"two", b"three"):
            land.network.at(land.network.now + 1.0, transfer.send, client, piece)
        assert transfer.recv(server, 8, MSG_WAITALL) == b"onetwoth"
        transfer.send(client, b"x")
        sockets.shutdown(client, SD_SEND)
        assert transfer.recv(server, 100, MSG_WAITALL) == b"reex"
        for flags in (MSG_WAITALL | MSG_PEEK, MSG_WAITALL | MSG_PARTIAL):
            refused(WSAEOPNOTSUPP, lambda flags=flags: transfer.recv(server, 1, flags))  # type: ignore[misc]
        refused(WSAEOPNOTSUPP, lambda: transfer.recv(nonblocking(server), 1, MSG_WAITALL))


def test_flags_that_mean_nothing_are_refused(land: Land) -> None:  # IO-010, IO-027, OOB-003
    with land:
        client, server = land.connected()
        refused(WSAEOPNOTSUPP, lambda: transfer.send(client, b"x", MSG_OOB))
        refused(WSAEOPNOTSUPP, lambda: transfer.send(client, b"x", MSG_PARTIAL))
        refused(WSAEINVAL, lambda: transfer.send(client, b"x", 0x4000))
        refused(WSAEOPNOTSUPP, lambda: transfer.recv(server, 1, MSG_OOB))
        refused(WSAEINVAL, lambda: transfer.recv(server, 1, 0x4000))
        assert transfer.send(client, b"x", MSG_DONTROUTE) == 1
        refused(WSAEOPNOTSUPP, lambda: transfer.WSASend(client, [b"x"], 0, object()))


def test_an_address_means_nothing_to_a_connection(land: Land) -> None:  # IO-021, IO-031
    with land:
        client, server = land.connected()
        assert transfer.sendto(client, b"x", 0, ("10.9.9.9", 9)) == 1
        assert transfer.recvfrom(server, 10) == (b"x", None)


def test_nothing_is_sent_or_received_without_a_connection(land: Land) -> None:  # IO-001, IO-028
    with land:
        s = land.stream(land.alice)
        refused(WSAEINVAL, lambda: transfer.recv(s, 1))
        refused(WSAENOTCONN, lambda: transfer.send(s, b"x"))
        sockets.bind(s, (ALICE, 80))
        refused(WSAENOTCONN, lambda: transfer.recv(s, 1))
        client, _ = land.connected()
        assert transfer.send(client, b"") == 0  # IO-012
        refused(WSAEINVAL, lambda: transfer.WSASend(client, []))
        refused(WSAEFAULT, lambda: transfer.WSARecv(client, [b"read-only"]))  # type: ignore[list-item]


# The end.


def test_the_end_of_a_stream_is_no_bytes_again_and_again(land: Land) -> None:  # IO-006
    with land:
        client, server = land.connected()
        transfer.send(client, b"last")
        sockets.closesocket(client)
        assert transfer.recv(server, 10) == b"last"
        assert [transfer.recv(server, 10) for _ in range(3)] == [b"", b"", b""]


def test_what_was_sent_before_a_close_arrives(land: Land) -> None:  # CLOSE-005, CLOSE-021
    with land:
        client, server = land.connected()
        nonblocking(client)
        sent = transfer.send(client, bytes(60_000))
        sockets.closesocket(client)
        received = 0
        while data := transfer.recv(server, 1000):
            received += len(data)
        assert received == sent
        sockets.closesocket(server)
        land.settle()
        assert land.alice.connections == land.bob.connections == {}


def test_an_abortive_close_resets(land: Land) -> None:  # CLOSE-006, CLOSE-009
    with land:
        client, server = land.connected()
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        sockets.closesocket(client)
        refused(WSAECONNRESET, lambda: transfer.recv(server, 1))
        refused(WSAECONNRESET, lambda: transfer.send(server, b"x"))
        refused(WSAENOTCONN, lambda: sockets.getpeername(server))
        assert waiting.select(0, [server], [server], [server], 0) == ([server], [server], [])  # SE-18


def test_to_wait_for_all_gets_what_came_before_a_reset(land: Land) -> None:
    with land:
        client, server = land.connected()
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        transfer.send(client, b"some")
        land.settle()
        land.network.clock.at(land.network.now + 1, sockets.closesocket, client)
        assert transfer.recv(server, 10, MSG_WAITALL) == b"some"
        refused(WSAECONNRESET, lambda: transfer.recv(server, 10, MSG_WAITALL))


def test_to_wait_for_all_gets_what_came_before_a_time_out(land: Land) -> None:
    with land:
        client, server = land.connected()
        options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, 3000)
        transfer.send(client, b"some")
        assert transfer.recv(server, 10, MSG_WAITALL) == b"some"
        refused(WSAETIMEDOUT, lambda: transfer.recv(server, 10, MSG_WAITALL))


def test_a_lingering_close_waits_until_all_is_sent(land: Land) -> None:  # CLOSE-007
    with land:
        client, server = land.connected()
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 30))
        transfer.send(client, bytes(60_000))
        began = land.network.now
        sockets.closesocket(client)
        assert 0 < land.network.now - began < 1
        assert len(transfer.recv(server, 100_000)) == 60_000


def test_a_lingering_close_ends_with_its_time(land: Land) -> None:  # CLOSE-007, CLOSE-024
    with land:
        client, server = land.connected()
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 3))
        transfer.send(client, bytes(100_000))
        began = land.network.now
        sockets.closesocket(client)
        assert land.network.now - began == pytest.approx(3.0)
        land.settle()
        refused(WSAECONNRESET, lambda: transfer.recv(server, 1))


def test_a_close_that_may_not_wait_says_so(land: Land) -> None:  # CLOSE-008
    with land:
        client, server = land.connected()
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 30))
        nonblocking(client)
        transfer.send(client, b"still on its way")
        refused(WSAEWOULDBLOCK, lambda: sockets.closesocket(client))
        assert transfer.recv(server, 100) == b"still on its way"
        transfer.send(client, b"and more")
        assert transfer.recv(server, 100) == b"and more"
        land.settle()
        sockets.closesocket(client)
        refused(WSAENOTSOCK, lambda: transfer.send(client, b"x"))  # CLOSE-001


def test_half_a_stream_may_be_closed(land: Land) -> None:  # CLOSE-010, CLOSE-011, CLOSE-018, IO-028
    with land:
        client, server = land.connected()
        transfer.send(client, b"question")
        sockets.shutdown(client, SD_SEND)
        refused(WSAESHUTDOWN, lambda: transfer.send(client, b"x"))
        assert transfer.recv(server, 100) == b"question"
        assert transfer.recv(server, 100) == b""
        transfer.send(server, b"answer")
        sockets.closesocket(server)
        assert transfer.recv(client, 100) == b"answer"
        assert transfer.recv(client, 100) == b""


def test_who_receives_no_more_resets_what_comes(land: Land) -> None:  # CLOSE-017, IO-007
    with land:
        client, server = land.connected()
        sockets.shutdown(server, SD_RECEIVE)
        refused(WSAESHUTDOWN, lambda: transfer.recv(server, 1))
        transfer.send(client, b"for nobody")
        refused(WSAECONNRESET, lambda: transfer.recv(client, 1))


def test_who_has_not_received_all_resets(land: Land) -> None:  # CLOSE-017
    with land:
        client, server = land.connected()
        transfer.send(client, b"unread")
        land.settle()
        sockets.shutdown(server, SD_BOTH)
        refused(WSAECONNRESET, lambda: transfer.recv(client, 1))


def test_disconnects_are_shutdowns(land: Land) -> None:  # CLOSE-012, CLOSE-016
    with land:
        client, server = land.connected()
        transfer.WSASendDisconnect(client)
        assert transfer.recv(server, 1) == b""
        assert transfer.WSARecvDisconnect(server) == b""
        refused(WSAESHUTDOWN, lambda: transfer.recv(server, 1))


def test_a_receive_disconnect_is_nothing_to_the_peer(land: Land) -> None:  # CLOSE-012, CLOSE-013
    with land:
        client, server = land.connected()
        transfer.send(client, b"unread")
        land.settle()
        assert transfer.WSARecvDisconnect(server) == b""
        refused(WSAESHUTDOWN, lambda: transfer.recv(server, 1))
        transfer.send(client, b"more")
        transfer.send(server, b"the other way")
        assert transfer.recv(client, 100) == b"the other way"
        refused(WSAENOTCONN, lambda: transfer.WSARecvDisconnect(land.stream(land.alice)))


def test_shutdown_of_nothing(land: Land) -> None:  # CLOSE-019
    with land:
        client, _ = land.connected()
        refused(WSAEINVAL, lambda: sockets.shutdown(client, 3))
        refused(WSAENOTCONN, lambda: sockets.shutdown(land.stream(land.alice), SD_SEND))
        refused(WSAENOTCONN, lambda: sockets.shutdown(land.listener(land.bob), SD_SEND))


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_the_last_words_are_answered_after_a_close(loss: float) -> None:
    """The peer of an orderly close never sees a reset, whichever packets get lost."""
    for seed in range(20):
        with Land(seed, latency=0.01, loss=loss) as land:
            client, server = land.connected()
            sockets.shutdown(server, SD_SEND)
            assert transfer.recv(client, 1) == b""
            sockets.closesocket(client)
            assert transfer.recv(server, 1) == b""
            land.settle(50.0)
            assert transfer.recv(server, 1) == b""


def test_calls_that_wait_end_with_the_socket(land: Land) -> None:  # CLOSE-002
    with land:
        client, server = land.connected()
        land.bob.spawn(lambda: refused(WSAEINTR, lambda: transfer.recv(server, 1)))
        land.network.at(land.network.now + 1.0, sockets.closesocket, server)
        land.network.run()
        assert transfer.recv(client, 1) == b""


def test_ipv6(land: Land) -> None:
    with land:
        with land.bob:
            listener = sockets.socket(AF_INET6, 1, 0)
        sockets.bind(listener, ("::", 80))
        sockets.listen(listener, 1)
        with land.alice:
            client = sockets.socket(AF_INET6, 1, 0)
        sockets.connect(client, ("fd00::2", 80))
        server, peer = sockets.accept(listener)
        assert peer == sockets.getsockname(client)
        assert sockets.getsockname(server) == SockaddrIn6("fd00::2", 80)


def test_an_echo_of_an_old_request_opens_nothing() -> None:
    with Land(latency=0.01, duplicate=1.0, reorder=1.0) as land:
        listener = nonblocking(land.listener(land.bob, 80))
        for _ in range(20):
            client = asked(land)
            assert waiting.select(0, [listener], None, None, 10) == ([listener], [], [])
            server, _ = sockets.accept(listener)
            sockets.closesocket(client)
            sockets.closesocket(server)
        land.settle(10.0)
        assert waiting.select(0, [listener], None, None, 0) == ([], [], [])
