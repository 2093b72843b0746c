"""Network events of simulated sockets: event objects, messages, and select beside real sockets."""

from __future__ import annotations

import threading

import pytest

from tests.base.memory.land import ALICE, BOB, Land, going_on, nonblocking, refused
from winsock.abi.constants import (
    AF_INET,
    CF_DEFER,
    FD_ACCEPT,
    FD_ALL_EVENTS,
    FD_CLOSE,
    FD_CONNECT,
    FD_READ,
    FD_WRITE,
    FIONBIO,
    SD_SEND,
    SO_LINGER,
    SO_SNDBUF,
    SOCK_STREAM,
    SOL_SOCKET,
    WSA_INFINITE,
    WSA_WAIT_EVENT_0,
    WSA_WAIT_TIMEOUT,
)
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEINVAL,
    WSAENETDOWN,
    WSAENOTSOCK,
    WSAEWOULDBLOCK,
    WSATRY_AGAIN,
)
from winsock.abi.options import Linger
from winsock.api import events, options, sockets, transfer, waiting
from winsock.base.memory import Network, entries
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry
from winsock.dispatcher.process import started
from winsock.overlapped.messages import MessageQueue
from winsock.overlapped.simulation import Simulation

MESSAGE = 0x8001


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01)


def recorded(s: int, event: int | None = None) -> dict[int, int]:
    """The network events since the last look, with their errors."""
    found = events.WSAEnumNetworkEvents(s, event)
    return {1 << bit: error for bit, error in enumerate(found.iErrorCode) if found.lNetworkEvents >> bit & 1}


def selected(s: int, mask: int = FD_ALL_EVENTS) -> int:
    event = events.WSACreateEvent()
    events.WSAEventSelect(s, event, mask)
    return event


def is_set(event: int) -> bool:
    return events.WSAWaitForMultipleEvents([event], False, 0) == WSA_WAIT_EVENT_0


# What is recorded.


def test_a_connection_is_told_at_both_ends(land: Land) -> None:  # EVT-046, CONN-024
    with land:
        listener, client = land.listener(land.bob, 80), nonblocking(land.stream(land.alice))
        at_listener, at_client = selected(listener), selected(client)
        going_on(lambda: sockets.connect(client, (BOB, 80)))
        assert events.WSAWaitForMultipleEvents([at_client], False, 1000) == WSA_WAIT_EVENT_0
        assert land.network.now == pytest.approx(0.02)
        assert recorded(client, at_client) == {FD_CONNECT: 0, FD_WRITE: 0}
        assert events.WSAWaitForMultipleEvents([at_listener, at_client], False, 1000) == WSA_WAIT_EVENT_0
        assert recorded(listener) == {FD_ACCEPT: 0}
        server, _ = sockets.accept(listener)
        assert recorded(server) == {FD_WRITE: 0}  # CONN-007: it has the events of its listener


def test_a_connect_that_fails_has_its_error(land: Land) -> None:  # CONN-024, CONN-025
    with land:
        client = nonblocking(land.stream(land.alice))
        selected(client)
        for _ in range(2):
            going_on(lambda: sockets.connect(client, (BOB, 80)))
            land.settle()
            assert recorded(client) == {FD_CONNECT: WSAECONNREFUSED}


def test_data_is_told_once_until_it_is_received(land: Land) -> None:  # EVT-037, EVT-038, EVT-043
    with land:
        client, server = land.connected()
        selected(server, FD_READ)
        transfer.send(client, b"12345")
        land.settle()
        assert [recorded(server), recorded(server)] == [{FD_READ: 0}, {}]
        transfer.send(client, b"more")  # EV-23
        land.settle()
        assert recorded(server) == {FD_READ: 0}
        transfer.recv(server, 3)  # EV-24
        assert recorded(server) == {FD_READ: 0}
        transfer.recv(server, 100)
        assert recorded(server) == {}
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(server, 1))


def test_room_is_told_after_a_send_that_found_none(land: Land) -> None:  # EVT-039, EVT-046
    with land:
        client, server = land.connected()
        selected(client, FD_WRITE)
        assert recorded(client) == {FD_WRITE: 0}
        assert transfer.send(client, bytes(1 << 20)) == 65536
        refused(WSAEWOULDBLOCK, lambda: transfer.send(client, b"x"))
        assert recorded(client) == {}
        land.settle()
        assert recorded(client) == {FD_WRITE: 0}
        assert transfer.recv(server, 1 << 20)
        land.settle()
        assert recorded(client) == {}


@pytest.mark.parametrize(("abortive", "error"), [(0, 0), (1, WSAECONNRESET)])
def test_the_end_is_told_once_and_how_it_came(land: Land, abortive: int, error: int) -> None:  # EVT-047, EV-30
    with land:
        client, server = land.connected()
        selected(server, FD_CLOSE)
        if not abortive:
            sockets.shutdown(client, SD_SEND)
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(abortive, 0))
        sockets.closesocket(client)
        land.settle()
        assert [recorded(server), recorded(server)] == [{FD_CLOSE: error}, {}]


def test_what_holds_already_is_told_at_once(land: Land) -> None:  # EVT-045, EV-09, EV-14, EV-33
    with land:
        listener = land.listener(land.bob, 80)
        client = nonblocking(land.stream(land.alice))
        going_on(lambda: sockets.connect(client, (BOB, 80)))
        land.settle()
        assert is_set(selected(listener))
        assert is_set(selected(client))
        assert recorded(client) == {FD_CONNECT: 0, FD_WRITE: 0}
        server, _ = sockets.accept(listener)
        transfer.send(client, b"x")
        sockets.closesocket(client)
        land.settle()
        assert recorded(server) == {FD_READ: 0, FD_WRITE: 0, FD_CLOSE: 0}
        refused_one = nonblocking(land.stream(land.bob))
        going_on(lambda: sockets.connect(refused_one, (ALICE, 80)))
        land.settle()
        selected(refused_one)
        assert recorded(refused_one) == {FD_CONNECT: WSAECONNREFUSED}


def test_datagrams_are_told_each(land: Land) -> None:
    with land:
        one, other = land.datagram(land.alice), land.datagram(land.bob, 7)
        event = selected(other)
        for _ in range(2):
            transfer.sendto(one, b"", 0, (BOB, 7))
        land.settle()
        assert is_set(event)
        assert recorded(other, event) == {FD_READ: 0}
        assert not is_set(event)
        assert transfer.recv(other, 1) == b""
        assert recorded(other) == {FD_READ: 0}
        transfer.recv(other, 1)
        assert recorded(other) == {}
        selected(one)
        sockets.connect(one, (BOB, 7))
        assert recorded(one) == {FD_CONNECT: 0, FD_WRITE: 0}  # EV-17


def test_more_than_one_connection_is_told_again(land: Land) -> None:  # EVT-040, EV-07
    with land:
        listener = land.listener(land.bob, 80)
        selected(listener)
        for _ in range(3):
            going_on(lambda: sockets.connect(nonblocking(land.stream(land.alice)), (BOB, 80)))
        land.settle()
        for _ in range(3):
            assert recorded(listener) == {FD_ACCEPT: 0}
            sockets.accept(listener)
        assert recorded(listener) == {}


def test_a_deferred_connection_is_told_once(land: Land) -> None:  # CONN-042, EVT-040
    with land:
        listener = land.listener(land.bob, 80)
        selected(listener)
        for _ in range(2):
            going_on(lambda: sockets.connect(nonblocking(land.stream(land.alice)), (BOB, 80)))
        land.settle()
        assert recorded(listener) == {FD_ACCEPT: 0}
        for _ in range(2):
            refused(WSATRY_AGAIN, lambda: sockets.WSAAccept(listener, lambda *_: CF_DEFER))
            assert recorded(listener) == {}
        going_on(lambda: sockets.connect(nonblocking(land.stream(land.alice)), (BOB, 80)))
        land.settle()
        assert recorded(listener) == {}
        refused(WSAEINVAL, lambda: sockets.WSAAccept(listener, lambda *_: 17))
        assert recorded(listener) == {FD_ACCEPT: 0}
        for _ in range(2):
            sockets.accept(listener)
            assert recorded(listener) == {FD_ACCEPT: 0}
        sockets.accept(listener)
        assert recorded(listener) == {}


# Asking.


def test_a_socket_that_is_selected_does_not_block(land: Land) -> None:  # EVT-006, IOC-003, EVT-049
    with land:
        _, server = land.connected()
        selected(server, FD_READ)
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(server, 1))
        refused(WSAEINVAL, lambda: options.ioctlsocket(server, FIONBIO, 0))
        events.WSAEventSelect(server, None, 0)
        refused(WSAEWOULDBLOCK, lambda: transfer.recv(server, 1))
        options.ioctlsocket(server, FIONBIO, 0)


def test_another_selection_takes_the_place_of_the_last(land: Land) -> None:  # EVT-007, EVT-008, EVT-011
    with land:
        client, server = land.connected()
        first = selected(server, FD_READ)
        second = selected(server, FD_READ)
        transfer.send(client, b"x")
        land.settle()
        assert [is_set(first), is_set(second)] == [False, True]
        events.WSAEventSelect(server, None, 0)
        assert recorded(server) == {}
        transfer.send(client, b"y")
        land.settle()
        third = selected(server, FD_READ)
        assert is_set(third)


def test_what_is_no_event_or_mask_or_window(land: Land) -> None:  # EVT-003, EVT-012
    with land:
        _, server = land.connected()
        refused(WSAEINVAL, lambda: events.WSAEventSelect(server, 12345, FD_READ))
        refused(WSAEINVAL, lambda: events.WSAEventSelect(server, events.WSACreateEvent(), 1 << 20))
        refused(WSAEINVAL, lambda: events.WSAAsyncSelect(server, None, MESSAGE, FD_READ))
        refused(WSAEINVAL, lambda: events.WSAEnumNetworkEvents(server, 12345))


def test_waiting_for_all_or_for_a_time(land: Land) -> None:
    with land:
        pairs = [land.connected() for _ in range(2)]
        waiting_for = [selected(pair.bob, FD_READ) for pair in pairs]
        began = land.network.now
        assert events.WSAWaitForMultipleEvents(waiting_for, False, 500) == WSA_WAIT_TIMEOUT
        assert land.network.now - began == pytest.approx(0.5)
        land.network.at(land.network.now + 1.0, transfer.send, pairs[1].alice, b"x")
        land.network.at(land.network.now + 2.0, transfer.send, pairs[0].alice, b"x")
        assert events.WSAWaitForMultipleEvents(waiting_for, False, WSA_INFINITE) == WSA_WAIT_EVENT_0 + 1
        assert events.WSAWaitForMultipleEvents(waiting_for, True, WSA_INFINITE) == WSA_WAIT_EVENT_0


def test_an_event_may_be_set_by_a_thread_that_takes_no_part(land: Land) -> None:
    with land:
        _, server = land.connected()
        event = selected(server, FD_READ)
        setter = threading.Timer(0.05, events.WSASetEvent, (event,))
        with land.network.simulation.away():
            setter.start()
            stranger = threading.Thread(
                target=events.WSAWaitForMultipleEvents, args=([event], False, WSA_INFINITE), daemon=True
            )
            stranger.start()
            stranger.join()
        assert is_set(event)


def test_messages_come_to_a_window(land: Land) -> None:  # EVT-010, EVT-013
    with land:
        listener, client = land.listener(land.bob, 80), land.stream(land.alice)
        window = MessageQueue()
        for s in (listener, client):
            events.WSAAsyncSelect(s, window, MESSAGE, FD_ALL_EVENTS)
        going_on(lambda: sockets.connect(client, (BOB, 80)))
        told = []
        while (message := window.get(1.0)) is not None:
            told.append((message.wparam, message.event, message.error))
        assert sorted(told) == sorted([(listener, FD_ACCEPT, 0), (client, FD_CONNECT, 0), (client, FD_WRITE, 0)])
        events.WSAAsyncSelect(client, window, MESSAGE, 0)
        sockets.closesocket(listener)
        assert window.get(1.0) is None
        refused_one = land.stream(land.alice)
        events.WSAAsyncSelect(refused_one, window, MESSAGE, FD_CONNECT)
        going_on(lambda: sockets.connect(refused_one, (BOB, 80)))
        message = window.get()
        assert message is not None
        assert (message.event, message.error) == (FD_CONNECT, WSAECONNREFUSED)


def test_an_event_object_is_the_simulated_sockets_or_the_real_ones() -> None:
    network = Network()
    network.host(ALICE)
    with started(catalog=Catalog([*BUILTIN, *entries(network)])):
        real = sockets.socket(AF_INET, SOCK_STREAM, 0)
        simulated = sockets.WSASocket(-1, -1, -1, network.entries()[0].info)
        for first, second in ((real, simulated), (simulated, real)):
            event = selected(first, FD_CONNECT)
            refused(WSAEINVAL, lambda event=event, second=second: events.WSAEventSelect(second, event, FD_CONNECT))  # type: ignore[misc]


# Select.


def test_select_spans_the_protocols_of_a_network(land: Land) -> None:
    with land:
        client, server = land.connected()
        datagram, messages = land.datagram(land.bob, 7), land.connected(land.messages)
        land.network.at(land.network.now + 1.0, transfer.sendto, land.datagram(land.alice), b"x", 0, (BOB, 7))
        began = land.network.now
        asked = [server, datagram, messages.bob]
        assert waiting.select(0, asked, None, None, 10) == ([datagram], [], [])
        assert land.network.now - began == pytest.approx(1.01)
        transfer.send(client, b"x")
        transfer.send(messages.alice, b"x")
        land.settle()
        assert waiting.select(0, asked, [client], [client], 0) == (asked, [client], [])


def test_select_over_real_and_simulated_sockets_is_refused() -> None:
    network = Network()
    network.host(ALICE)
    with started(catalog=Catalog([*BUILTIN, *entries(network)])):
        real = sockets.socket(AF_INET, SOCK_STREAM, 0)
        simulated = sockets.WSASocket(-1, -1, -1, network.entries()[0].info)
        refused(WSAEINVAL, lambda: waiting.select(0, [real, simulated], None, None, 0))
        refused(WSAEINVAL, lambda: waiting.select(0, [real], [simulated], None, 0))


@pytest.mark.parametrize("shared", [False, True])
def test_networks_meet_in_one_time_only(shared: bool) -> None:
    simulation = Simulation() if shared else None
    networks = [Network(simulation=simulation), Network(simulation=simulation)]
    installed: list[CatalogEntry] = []
    for number, network in enumerate(networks):
        network.host(ALICE)
        installed += entries(network, 5000 + 100 * number)
    with started(catalog=Catalog(installed)):
        datagrams = [sockets.WSASocket(-1, -1, -1, installed[at].info) for at in (1, len(installed) // 2 + 1)]
        for s in datagrams:
            sockets.bind(s, (ALICE, 7))
        if not shared:
            refused(WSAEINVAL, lambda: waiting.select(0, datagrams, None, None, 0))
            return
        networks[1].at(5.0, transfer.sendto, datagrams[1], b"x", 0, (ALICE, 7))
        assert waiting.select(0, datagrams, None, None, 10) == ([datagrams[1]], [], [])
        assert networks[0].now == pytest.approx(5.0, abs=0.001)


def test_select_with_nothing_or_nonsense(land: Land) -> None:  # EVT-021, SE-16, SE-17
    with land:
        _, server = land.connected()
        refused(WSAEINVAL, lambda: waiting.select(0, None, None, None, 0))
        refused(WSAEINVAL, lambda: waiting.select(0, [server], None, None, -1))
        refused(WSAENOTSOCK, lambda: land.network.select(0, [server, 99999], None, None, 0))
        assert waiting.select(0, [server, server], None, None, 0) == ([], [], [])
        land.network.at(land.network.now + 1.0, sockets.closesocket, server)
        assert waiting.select(0, [server], None, None, None) == ([server], [], [])


@pytest.mark.parametrize("place", [1, 2])
def test_select_for_what_never_comes_any_more(land: Land, place: int) -> None:  # SE-17
    with land:
        client, server = land.connected()
        options.setsockopt(server, SOL_SOCKET, SO_SNDBUF, 1)
        transfer.send(nonblocking(server), b"full")
        writes, exceptions = ([server], None) if place == 1 else (None, [server])
        land.network.at(land.network.now, sockets.closesocket, server)
        refused(WSAENOTSOCK, lambda: waiting.select(0, None, writes, exceptions))
        other = [land.stream(land.bob)]
        writes, exceptions = (other, None) if place == 1 else (None, other)
        land.network.at(land.network.now, land.bob.crash)
        refused(WSAENETDOWN, lambda: waiting.select(0, None, writes, exceptions))
        land.alice.spawn(lambda: refused(WSAENOTSOCK, lambda: waiting.select(0, None, None, [client], 5)))
        land.alice.spawn(sockets.closesocket, client)
        land.network.run()
