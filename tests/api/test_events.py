"""Network events (EVT, EV, AS, PO), over real sockets."""

from __future__ import annotations

import contextlib
import select as host_select
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.api.test_sockets import is_asleep
from tests.conformance.layers import PassThrough
from tests.refusals import code_of, refused
from winsock.abi.constants import (
    CF_DEFER,
    FD_ACCEPT,
    FD_ALL_EVENTS,
    FD_CLOSE,
    FD_CONNECT,
    FD_OOB,
    FD_READ,
    FD_WRITE,
    FIONBIO,
    MSG_OOB,
    MSG_PEEK,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRNORM,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SO_ERROR,
    SO_LINGER,
    SOL_SOCKET,
    WSA_INFINITE,
    WSA_WAIT_EVENT_0,
    WSA_WAIT_TIMEOUT,
)
from winsock.abi.errors import (
    WSA_INVALID_HANDLE,
    WSA_INVALID_PARAMETER,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEWOULDBLOCK,
    WSATRY_AGAIN,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.api import events, options, sockets, startup, transfer, waiting
from winsock.base.inet.selection import Selection
from winsock.core.netevents import NetworkEvents
from winsock.dispatcher import process, readiness, waits
from winsock.overlapped.messages import Message, MessageQueue
from winsock.testing import World, through

_WAIT_MS = 20_000


class Selected:
    """A socket with an event object of its own."""

    def __init__(self, s: int, mask: int) -> None:
        self.s = s
        self.event = events.WSACreateEvent()
        self.select(mask)

    def select(self, mask: int) -> None:
        events.WSAEventSelect(self.s, self.event, mask)

    def wait(self, mask: int) -> tuple[int, ...]:
        """Until all of these events have come, and no others; their errors."""
        found, errors = 0, [0] * 10
        while found != mask:
            assert events.WSAWaitForMultipleEvents([self.event], True, _WAIT_MS) == WSA_WAIT_EVENT_0
            told = events.WSAEnumNetworkEvents(self.s, self.event)
            found |= told.lNetworkEvents
            errors = [old or new for old, new in zip(errors, told.iErrorCode, strict=True)]
            assert not found & ~mask, f"{found:#x} came, {mask:#x} was expected"
        return tuple(errors)

    def is_quiet(self) -> bool:
        return events.WSAWaitForMultipleEvents([self.event], True, 0) == WSA_WAIT_TIMEOUT


@pytest.fixture(params=[(), (PassThrough,)], ids=["inet", "pass"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(through(*request.param)) as opened:
        yield opened


def arrive(s: int, data: bytes) -> None:
    """Wait until so much can be read."""
    while options.ioctlsocket(s, 0x4004667F, 0) < len(data):
        waiting.select(0, [s], None, None, 20)


def test_a_connection_from_both_ends_ev_13_evt_046(world: World) -> None:
    listener, address = world.listener()
    server = Selected(listener, FD_ALL_EVENTS)
    client = Selected(world.stream(), FD_ALL_EVENTS)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(client.s, address)
    client.wait(FD_CONNECT | FD_WRITE)
    server.wait(FD_ACCEPT)
    accepted, _ = sockets.accept(listener)
    assert events.WSAWaitForMultipleEvents([server.event], True, _WAIT_MS) == WSA_WAIT_EVENT_0
    assert events.WSAEnumNetworkEvents(accepted, server.event).lNetworkEvents == FD_WRITE, "the listener's events"
    assert client.is_quiet()
    assert server.is_quiet()


def test_a_refused_connect_tells_its_error_and_leaves_it_to_be_asked(world: World) -> None:
    client = Selected(world.stream(), FD_CONNECT | FD_WRITE | FD_CLOSE)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(client.s, world.closed_port())
    assert client.wait(FD_CONNECT)[4] == WSAECONNREFUSED
    assert options.getsockopt(client.s, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED


def test_a_refused_connect_may_be_followed_by_others_bl_28(world: World) -> None:
    client = Selected(world.stream(), FD_CONNECT | FD_WRITE | FD_CLOSE)
    for _ in range(2):
        with refused(WSAEWOULDBLOCK):
            sockets.connect(client.s, world.closed_port())
        assert client.wait(FD_CONNECT)[4] == WSAECONNREFUSED  # CONN-024, CONN-025
        assert waiting.select(0, [client.s], [client.s], [client.s], 0) == ([], [], [client.s])  # CONN-023
        for call in (lambda: transfer.send(client.s, b"x"), lambda: transfer.recv(client.s, 1)):
            assert code_of(call) == WSAENOTCONN
    listener, address = world.listener()
    with refused(WSAEWOULDBLOCK):
        sockets.connect(client.s, address)
    assert client.wait(FD_CONNECT | FD_WRITE)[4] == 0
    transfer.send(sockets.accept(listener)[0], b"x")
    arrive(client.s, b"x")
    assert transfer.recv(client.s, 1) == b"x"


FINDING_OUT: list[tuple[str, Callable[[int], object]]] = [
    ("select", lambda s: waiting.select(0, [s], [s], [s], 20)),
    ("WSAPoll", lambda s: waiting.WSAPoll([(s, POLLOUT)], _WAIT_MS)),
    ("SO_ERROR", lambda s: [waiting.select(0, None, [s], [s], 20), options.getsockopt(s, SOL_SOCKET, SO_ERROR)]),
    ("send", lambda s: [waiting.WSAPoll([(s, POLLOUT)], _WAIT_MS), code_of(lambda: transfer.send(s, b"x"))]),
    ("recv", lambda s: [waiting.WSAPoll([(s, POLLOUT)], _WAIT_MS), code_of(lambda: transfer.recv(s, 1))]),
]


@pytest.mark.parametrize("find_out", [find for _, find in FINDING_OUT], ids=[name for name, _ in FINDING_OUT])
@pytest.mark.parametrize("selected", ["before", "after"])
def test_who_finds_out_first_takes_no_event_away_se_21(
    world: World, find_out: Callable[[int], object], selected: str
) -> None:
    """EVT-027: and so does no other call that learns how a connect ended; EVT-045."""
    mask = FD_CONNECT | FD_WRITE | FD_CLOSE
    _listener, listening = world.listener()
    for address, expected, error in ((listening, FD_CONNECT | FD_WRITE, 0), (world.closed_port(), FD_CONNECT, 10061)):
        s = world.stream()
        options.ioctlsocket(s, FIONBIO, 1)
        client = Selected(s, mask) if selected == "before" else None
        with refused(WSAEWOULDBLOCK):
            sockets.connect(s, address)
        find_out(s)
        client = client or Selected(s, mask)
        assert client.wait(expected)[4] == error
        find_out(s)
        assert client.is_quiet()


def test_a_second_connect_that_finds_the_first_done_takes_no_event_away(world: World) -> None:
    _listener, address = world.listener()
    client = Selected(world.stream(), FD_CONNECT | FD_WRITE)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(client.s, address)
    while code_of(lambda: sockets.connect(client.s, address)) != WSAEISCONN:
        pass
    client.wait(FD_CONNECT | FD_WRITE)


def test_connected_before_it_was_selected_ev_14_ev_15(world: World) -> None:
    client, _ = world.connected()
    selected = Selected(client, FD_WRITE)
    selected.wait(FD_WRITE)
    selected.select(FD_CONNECT | FD_WRITE)
    selected.wait(FD_CONNECT)
    selected.select(FD_CONNECT | FD_WRITE)
    assert selected.is_quiet()


def test_data_is_told_once_and_again_when_some_is_left_ev_22_ev_24(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ)
    transfer.send(server, b"abc")
    selected.wait(FD_READ)
    selected.select(FD_READ)
    events.WSAEventSelect(client, None, 0)
    selected.select(FD_READ)
    assert selected.is_quiet(), "not by selecting anew"
    assert transfer.recv(client, 1, MSG_PEEK) == b"a"
    selected.wait(FD_READ)
    assert transfer.recv(client, 1) == b"a"
    selected.wait(FD_READ)
    assert transfer.recv(client, 9) == b"bc"
    assert selected.is_quiet()


def test_more_data_is_told_again_ev_23(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ)
    transfer.send(server, b"a")
    selected.wait(FD_READ)
    transfer.send(server, b"b")
    selected.wait(FD_READ)


def test_data_that_came_before_ev_26(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, 0)
    transfer.send(server, b"abc")
    arrive(client, b"abc")
    selected.select(FD_READ)
    selected.wait(FD_READ)
    assert transfer.recv(client, 9) == b"abc"
    selected.select(0)
    transfer.send(server, b"de")
    arrive(client, b"de")
    assert transfer.recv(client, 9) == b"de"
    selected.select(FD_READ)
    assert selected.is_quiet(), "consumed before it was asked for"


def test_an_enumeration_leaves_what_is_not_asked_for_ev_27(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_CLOSE)
    transfer.send(server, b"abc")
    arrive(client, b"abc")
    assert events.WSAEnumNetworkEvents(client).lNetworkEvents == 0
    selected.select(FD_READ | FD_WRITE)
    selected.wait(FD_READ | FD_WRITE)


def test_connections_that_wait_ev_07_ev_09_ev_10(world: World) -> None:
    listener, address = world.listener()
    clients = [world.stream() for _ in range(2)]
    sockets.connect(clients[0], address)
    selected = Selected(listener, FD_ACCEPT)
    selected.wait(FD_ACCEPT)
    sockets.connect(clients[1], address)
    selected.wait(FD_ACCEPT)
    sockets.accept(listener)
    selected.wait(FD_ACCEPT)
    sockets.accept(listener)
    assert selected.is_quiet()


def test_a_deferred_connection_is_told_once_conn_042(world: World) -> None:
    """EVT-040: nor are those behind it, until it is accepted or rejected."""
    listener, address = world.listener()
    for _ in range(2):
        sockets.connect(world.stream(), address)
    selected = Selected(listener, FD_ACCEPT)
    selected.wait(FD_ACCEPT)
    for _ in range(2):
        with refused(WSATRY_AGAIN):
            sockets.WSAAccept(listener, lambda *_: CF_DEFER)
        assert selected.is_quiet()
    sockets.connect(world.stream(), address)
    assert selected.is_quiet()
    with refused(WSAEINVAL):
        sockets.WSAAccept(listener, lambda *_: 17)
    selected.wait(FD_ACCEPT)
    for _ in range(2):
        sockets.accept(listener)
        selected.wait(FD_ACCEPT)
    sockets.accept(listener)
    assert selected.is_quiet()


def test_room_to_send_comes_back_evt_039_evt_046(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_WRITE)
    selected.wait(FD_WRITE)
    sent = 0
    while True:
        try:
            sent += transfer.send(client, bytes(65536))
        except OSError:
            break
    assert selected.is_quiet()
    while sent:
        sent -= len(transfer.recv(server, min(sent, 1 << 20)))
    selected.wait(FD_WRITE)
    assert transfer.send(client, b"x") == 1
    assert selected.is_quiet()


def test_the_end_is_told_once_after_the_data_ev_30_ev_32(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ | FD_CLOSE)
    transfer.send(server, b"abc")
    sockets.shutdown(server, SD_SEND)
    assert selected.wait(FD_READ | FD_CLOSE)[5] == 0
    assert transfer.recv(client, 1) == b"a"
    selected.wait(FD_READ)
    assert transfer.recv(client, 9) == b"bc"
    assert transfer.recv(client, 9) == b""
    sockets.closesocket(server)
    assert selected.is_quiet()


@pytest.mark.parametrize("how", [SD_RECEIVE, SD_BOTH])
def test_an_end_of_our_own_is_none_evt_047(world: World, how: int) -> None:
    """FD_CLOSE "results from the remote end performing a shutdown on the send side or a closesocket"."""
    client, server = world.connected()
    selected = Selected(client, FD_READ | FD_CLOSE)
    sockets.shutdown(client, how)
    assert selected.is_quiet()
    sockets.closesocket(server)
    assert selected.wait(FD_CLOSE)[5] == 0
    assert selected.is_quiet()


def test_an_end_of_our_own_and_a_reset(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ | FD_CLOSE)
    sockets.shutdown(client, SD_RECEIVE)
    options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    assert selected.wait(FD_CLOSE)[5] == WSAECONNRESET


def test_the_end_was_there_before_ev_33(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ)
    sockets.closesocket(server)
    assert waiting.select(0, [client], None, None, 20)[0] == [client]
    selected.select(FD_READ | FD_CLOSE)
    selected.wait(FD_CLOSE)


def test_a_reset_is_an_abortive_end_evt_047(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_CLOSE)
    options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    assert selected.wait(FD_CLOSE)[5] == WSAECONNRESET


@pytest.mark.parametrize(
    "found",
    [
        lambda s: transfer.send(s, b"x"),
        lambda s: transfer.recv(s, 1),
        lambda s: options.getsockopt(s, SOL_SOCKET, SO_ERROR),
    ],
    ids=["send", "recv", "SO_ERROR"],
)
def test_a_reset_that_a_call_found_first_is_an_abortive_end_too_evt_047(
    world: World, found: Callable[[int], object]
) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_CLOSE)
    options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    assert waiting.WSAPoll([(client, POLLRDNORM)], _WAIT_MS)
    with contextlib.suppress(WinsockError):
        assert found(client) == WSAECONNRESET
    assert selected.wait(FD_CLOSE)[5] == WSAECONNRESET


def test_urgent_data_ev_29(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_OOB)
    transfer.send(server, b"!", MSG_OOB)
    selected.wait(FD_OOB)
    assert selected.is_quiet()
    assert transfer.recv(client, 1, MSG_OOB) == b"!"
    assert selected.is_quiet()


@pytest.mark.parametrize("between", [b"", b"abc"])
def test_urgent_data_that_is_overtaken_ev_29(world: World, between: bytes) -> None:
    """Another urgent byte, before a receive, is news; other data is none."""
    client, server = world.connected()
    selected = Selected(client, FD_OOB)
    transfer.send(server, b"!", MSG_OOB)
    selected.wait(FD_OOB)
    for _ in range(3):
        if between:
            transfer.send(server, between)
            assert selected.is_quiet()
        transfer.send(server, b"!", MSG_OOB)
        selected.wait(FD_OOB)
        assert selected.is_quiet()
    transfer.send(server, b"more")
    assert selected.is_quiet()
    assert transfer.recv(client, 1, MSG_OOB) == b"!"
    assert selected.is_quiet()
    transfer.send(server, b"!", MSG_OOB)
    selected.wait(FD_OOB)


def test_the_end_is_no_urgent_data_ev_29(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_OOB)
    transfer.send(server, b"!", MSG_OOB)
    selected.wait(FD_OOB)
    sockets.shutdown(server, SD_SEND)
    assert waiting.WSAPoll([(client, 0)], _WAIT_MS) == [(client, POLLHUP)]
    assert selected.is_quiet()


def test_datagrams_ev_17(world: World) -> None:
    one, other = world.datagram(), world.datagram()
    selected = Selected(one, FD_ALL_EVENTS)
    assert selected.is_quiet()
    sockets.connect(one, sockets.getsockname(other))
    selected.wait(FD_CONNECT | FD_WRITE)
    for _ in range(2):
        transfer.sendto(other, b"x", 0, sockets.getsockname(one))
        selected.wait(FD_READ)
    assert transfer.recv(one, 9) == b"x"
    selected.wait(FD_READ)
    assert transfer.recv(one, 9) == b"x"
    assert selected.is_quiet()


def test_a_selected_socket_does_not_block_and_stays_so_evt_006_ev_05(world: World) -> None:
    client, _ = world.connected()
    selected = Selected(client, FD_READ)
    assert code_of(lambda: transfer.recv(client, 1)) == WSAEWOULDBLOCK
    with refused(WSAEINVAL):
        options.ioctlsocket(client, FIONBIO, 0)
    options.ioctlsocket(client, FIONBIO, 1)
    selected.select(0)
    options.ioctlsocket(client, FIONBIO, 0)


def test_selecting_without_a_mask_also_ends_blocking_evt_006(world: World) -> None:
    client, _ = world.connected()
    events.WSAEventSelect(client, None, 0)
    assert code_of(lambda: transfer.recv(client, 1)) == WSAEWOULDBLOCK


def test_the_last_selection_counts_evt_007_evt_011(world: World) -> None:
    client, server = world.connected()
    first, window = Selected(client, FD_READ), MessageQueue()
    events.WSAAsyncSelect(client, window, 1024, FD_READ)
    transfer.send(server, b"a")
    assert window.get(20) == Message(1024, client, FD_READ)
    assert first.is_quiet()
    second = Selected(client, FD_READ)
    transfer.send(server, b"b")
    second.wait(FD_READ)
    assert window.get(0) is None


@pytest.mark.parametrize("receive", [transfer.recv, transfer.recvfrom])
def test_a_length_that_is_none_as_07_ev_25(world: World, receive: Callable[[int, int], object]) -> None:
    """FD_READ is posted again after a receive that failed so; an event object is not signalled again."""
    client, server = world.connected()
    window = MessageQueue()
    events.WSAAsyncSelect(client, window, 1024, FD_READ)
    transfer.send(server, b"x")
    for _ in range(2):
        assert window.get(20) == Message(1024, client, FD_READ)
        assert window.get(0) is None
        with refused(WSAEFAULT, "length"):
            receive(client, -1)
    selected = Selected(client, FD_READ)
    transfer.send(server, b"y")
    selected.wait(FD_READ)
    with refused(WSAEFAULT, "length"):
        receive(client, -1)
    assert selected.is_quiet()


def test_messages_as_02_evt_013(world: World) -> None:
    client, server = world.connected()
    window = MessageQueue()
    events.WSAAsyncSelect(client, window, 1024, FD_WRITE | FD_READ | FD_CLOSE)
    assert window.get(20) == Message(1024, client, FD_WRITE)
    transfer.send(server, b"abc")
    assert window.get(20) == Message(1024, client, FD_READ)
    assert transfer.recv(client, 1) == b"a"
    assert window.get(20) == Message(1024, client, FD_READ)
    assert transfer.recv(client, 9) == b"bc"
    options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    last = window.get(20)
    assert last is not None
    assert (last.event, last.error) == (FD_CLOSE, WSAECONNRESET)
    assert window.get(0) is None


def test_messages_of_an_accepted_connection_carry_its_own_handle(world: World) -> None:
    listener, address = world.listener()
    window = MessageQueue()
    events.WSAAsyncSelect(listener, window, 1024, FD_ACCEPT | FD_READ)
    client = world.stream()
    sockets.connect(client, address)
    assert window.get(20) == Message(1024, listener, FD_ACCEPT)
    accepted, _ = sockets.accept(listener)
    transfer.send(client, b"x")
    assert window.get(20) == Message(1024, accepted, FD_READ)


@pytest.mark.parametrize("window", [None, 7, "window"])
def test_a_window_that_is_none_evt_012(world: World, window: MessageQueue) -> None:
    with refused(WSAEINVAL, "window"):
        events.WSAAsyncSelect(world.stream(), window, 1024, FD_READ)


def test_closing_the_socket_leaves_the_event_evt_050(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ)
    sockets.closesocket(client)
    transfer.send(server, b"x")
    assert selected.is_quiet()
    events.WSASetEvent(selected.event)
    assert not selected.is_quiet()  # EVT-050


def test_the_end_is_not_told_of_a_socket_that_was_closed(world: World) -> None:
    """CLOSE-004: neither if the peer ended before, nor after; what was told before the close stays told."""
    for client_first in (True, False):
        for kind in ("event", "message"):
            client, server = world.connected()
            window, event = MessageQueue(), events.WSACreateEvent()
            if kind == "event":
                events.WSAEventSelect(client, event, FD_CLOSE | FD_READ)
            else:
                events.WSAAsyncSelect(client, window, 1024, FD_CLOSE | FD_READ)
            transfer.send(server, b"x")
            if not client_first:
                sockets.closesocket(server)
            sockets.closesocket(client)
            while window.get(0) is not None:
                pass
            events.WSAResetEvent(event)
            if client_first:
                sockets.closesocket(server)
            assert window.get(0.01) is None
            assert events.WSAWaitForMultipleEvents([event], True, 10) == WSA_WAIT_TIMEOUT


def test_events_are_recorded_while_they_are_asked_for(world: World) -> None:
    """EVT-001, EVT-009: from a mask until none, or until messages are asked for, which nobody can enumerate."""
    client, server = world.connected()
    transfer.send(server, b"a")
    arrive(client, b"a")
    assert events.WSAEnumNetworkEvents(client).lNetworkEvents == 0, "nobody has asked yet"
    selected = Selected(client, FD_READ)
    assert events.WSAEnumNetworkEvents(client, selected.event).lNetworkEvents == FD_READ
    transfer.send(server, b"b")
    arrive(client, b"ab")
    assert not selected.is_quiet()
    events.WSAEventSelect(client, None, 0)
    assert events.WSAEnumNetworkEvents(client).lNetworkEvents == 0
    window = MessageQueue()
    selected.select(FD_READ)
    events.WSAAsyncSelect(client, window, 1024, FD_READ)
    transfer.send(server, b"c")
    arrive(client, b"abc")
    assert events.WSAEnumNetworkEvents(client).lNetworkEvents == 0
    message = window.get(20)
    while message is not None:
        assert message == Message(1024, client, FD_READ)
        message = window.get(0)
    events.WSAEventSelect(client, None, 0)
    assert transfer.recv(client, 9) == b"abc"
    transfer.send(server, b"d")
    arrive(client, b"d")
    assert (window.get(0), events.WSAEnumNetworkEvents(client).lNetworkEvents) == (None, 0)


def test_the_error_of_a_message_is_in_it_and_nowhere_else(world: World) -> None:
    """ERR-007."""
    client, window = world.stream(), MessageQueue()
    events.WSAAsyncSelect(client, window, 1024, FD_CONNECT)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(client, world.closed_port())
    startup.WSASetLastError(4711)
    message = window.get(20)
    assert message is not None
    assert (message.event, message.error) == (FD_CONNECT, WSAECONNREFUSED)
    assert message.lparam == WSAECONNREFUSED << 16 | FD_CONNECT
    assert startup.WSAGetLastError() == 4711


def test_wrong_events_evt_016(world: World) -> None:
    s, one = world.stream(), events.WSACreateEvent()
    closed = events.WSACreateEvent()
    events.WSACloseEvent(closed)
    for event in (closed, None, 0, -1, s):
        with refused(WSAEINVAL, "event"):
            events.WSAEventSelect(s, event, FD_READ)
    with refused(WSAEINVAL, "event"):
        events.WSAEnumNetworkEvents(s, closed)
    with refused(WSAEINVAL, "events"):
        events.WSAEventSelect(s, one, FD_ALL_EVENTS + 1)
    with refused(WSAENOTSOCK):
        events.WSAEventSelect(closed, one, FD_READ)
    for call in (events.WSASetEvent, events.WSAResetEvent, events.WSACloseEvent):
        with refused(WSA_INVALID_HANDLE):
            call(closed)


def test_a_failed_enumeration_changes_nothing_evt_003(world: World) -> None:
    client, server = world.connected()
    selected = Selected(client, FD_READ)
    transfer.send(server, b"x")
    assert events.WSAWaitForMultipleEvents([selected.event], False, _WAIT_MS) == WSA_WAIT_EVENT_0
    with refused(WSAEINVAL):
        events.WSAEnumNetworkEvents(client, -1)
    assert not selected.is_quiet()
    selected.wait(FD_READ)


def test_an_enumeration_is_one_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """EVT-002: what is recorded before the event is reset is told, and what is recorded after signals it."""
    client, server = world.connected()
    selected = Selected(client, FD_READ)
    take = Selection.take
    others: list[threading.Thread] = []

    def taken_while_more_comes(selection: Selection) -> NetworkEvents:
        found = take(selection)
        transfer.send(server, b"x")
        others.append(threading.Thread(target=selected.is_quiet, daemon=True))  # finds the data, if it is let
        others[0].start()
        others[0].join(0.2)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Selection, "take", taken_while_more_comes)
        assert events.WSAEnumNetworkEvents(client, selected.event).lNetworkEvents == 0
    others[0].join(20)
    assert not selected.is_quiet()
    selected.wait(FD_READ)


def test_an_event_may_be_there_twice_where_one_is_enough(world: World) -> None:
    one, other = events.WSACreateEvent(), events.WSACreateEvent()
    events.WSASetEvent(one)
    assert events.WSAWaitForMultipleEvents([other, one, one], False, 0) == WSA_WAIT_EVENT_0 + 1
    with refused(WSA_INVALID_PARAMETER, "twice"):
        events.WSAWaitForMultipleEvents([one, one], True, 0)


def test_how_many_events_can_be_waited_for_evt_055(world: World) -> None:
    made = [events.WSACreateEvent() for _ in range(65)]
    events.WSASetEvent(made[63])
    assert events.WSAWaitForMultipleEvents(made[:64], False, WSA_INFINITE) == WSA_WAIT_EVENT_0 + 63
    for wrong in ([], made):
        with refused(WSA_INVALID_PARAMETER):
            events.WSAWaitForMultipleEvents(wrong, False, 0)
    events.WSACloseEvent(made[0])
    with refused(WSA_INVALID_HANDLE):
        events.WSAWaitForMultipleEvents(made[:2], False, 0)


# --- WSAPoll ---


def test_poll_of_a_listener_po_06(world: World) -> None:
    listener, address = world.listener()
    sockets.connect(world.stream(), address)
    assert waiting.WSAPoll([(listener, POLLIN)], _WAIT_MS) == [(listener, POLLRDNORM)]
    assert waiting.WSAPoll([(listener, POLLRDBAND | POLLOUT)], 0) == []


def test_poll_of_a_connection_po_07_to_po_11(world: World) -> None:
    client, server = world.connected()
    everything = POLLIN | POLLOUT
    assert waiting.WSAPoll([(client, everything), (server, everything)], 0) == [
        (client, POLLWRNORM),
        (server, POLLWRNORM),
    ]
    transfer.send(server, b"x")
    arrive(client, b"x")
    assert waiting.WSAPoll([(client, everything)], 0) == [(client, POLLWRNORM | POLLRDNORM)]
    sockets.shutdown(server, SD_SEND)
    assert waiting.WSAPoll([(client, 0)], _WAIT_MS) == [(client, POLLHUP)]
    assert waiting.WSAPoll([(client, everything)], 0) == [(client, POLLWRNORM | POLLRDNORM | POLLHUP)]
    assert transfer.recv(client, 9) == b"x"
    assert waiting.WSAPoll([(client, everything)], 0) == [(client, POLLWRNORM | POLLHUP)]


@pytest.mark.parametrize("how", [SD_RECEIVE, SD_BOTH])
@pytest.mark.parametrize("resets", [False, True], ids=["ends", "resets"])
def test_poll_tells_of_the_peers_end_only(world: World, how: int, resets: bool) -> None:
    client, server = world.connected()
    sockets.shutdown(client, how)
    assert waiting.WSAPoll([(client, POLLIN | POLLOUT)], 0) == [(client, POLLWRNORM)]
    assert waiting.WSAPoll([(client, POLLIN)], 1) == []
    if resets:
        options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    poller, answers = polling(client)
    sockets.closesocket(server)
    poller.join(20)
    assert answers == [[(client, POLLHUP | POLLERR if resets else POLLHUP)]]


def test_poll_of_datagrams_that_are_not_received(world: World) -> None:
    one, _ = world.datagrams()
    sockets.shutdown(one, SD_RECEIVE)
    assert waiting.WSAPoll([(one, POLLIN | POLLOUT)], 0) == [(one, POLLWRNORM)]


def test_poll_of_a_socket_that_connects_meanwhile(world: World) -> None:
    s = world.stream()
    listener, address = world.listener()
    poller, answers = polling(s)
    sockets.connect(s, address)
    transfer.send(sockets.accept(listener)[0], b"x")
    poller.join(20)
    assert answers == [[(s, POLLRDNORM)]]


def polling(s: int) -> tuple[threading.Thread, list[list[tuple[int, int]]]]:
    """A thread that waits for something to read, which has been put to sleep, and what it finds."""
    answers: list[list[tuple[int, int]]] = []
    poller = threading.Thread(target=lambda: answers.append(waiting.WSAPoll([(s, POLLIN)], _WAIT_MS)), daemon=True)
    poller.start()
    while s not in waits.waiting or not is_asleep(poller):
        host_select.select([], [], [], 0.001)
    return poller, answers


def test_closing_what_is_polled(world: World) -> None:
    client, _ = world.connected()
    answers: list[list[tuple[int, int]]] = []
    wanted = [(world.datagram(), POLLIN), (client, POLLIN)]
    poller = threading.Thread(target=lambda: answers.append(waiting.WSAPoll(wanted, -1)), daemon=True)
    poller.start()
    while client not in waits.waiting or not is_asleep(poller):
        host_select.select([], [], [], 0.001)
    sockets.closesocket(client)
    poller.join(20)
    assert answers == [[(client, POLLNVAL)]]


def test_what_is_polled_ends_with_the_last_cleanup(world: World) -> None:
    s = world.datagram()
    poller, answers = polling(s)
    startup.WSACleanup()
    poller.join(20)
    assert answers == [[(s, POLLNVAL)]]
    process.startup(catalog=world.catalog)


def test_poll_waits_on_where_a_socket_has_nothing_to_tell(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells of a socket without a connection at once, which Windows does not."""
    unconnected, sender, receiver = world.stream(), world.datagram(), world.datagram()
    address = sockets.getsockname(receiver)
    meaning = readiness.of_host
    sent: list[int] = []

    def meaning_while_more_comes(fd: int, found: int, wanted: int) -> int:
        if fd == unconnected and not sent:
            sent.append(transfer.sendto(sender, b"x", 0, address))
        return meaning(fd, found, wanted)

    monkeypatch.setattr(readiness, "of_host", meaning_while_more_comes)
    wanted = [(unconnected, POLLIN), (receiver, POLLIN)]
    assert waiting.WSAPoll(wanted, _WAIT_MS) == [(receiver, POLLRDNORM)]
    assert transfer.recv(receiver, 1) == b"x"
    monkeypatch.undo()
    assert waiting.WSAPoll(wanted, 0) == waiting.WSAPoll(wanted, 1) == []


def test_poll_of_a_failed_connect_po_13(world: World) -> None:
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(s, world.closed_port())
    expected = POLLWRNORM | POLLHUP | POLLERR
    assert waiting.WSAPoll([(s, POLLIN | POLLOUT)], _WAIT_MS) == [(s, expected)]


def test_poll_of_a_failed_connect_that_was_waited_for_po_13(world: World) -> None:
    s, never = world.stream(), world.stream()
    with refused(WSAECONNREFUSED):
        sockets.connect(s, world.closed_port())
    expected = POLLWRNORM | POLLHUP | POLLERR
    everything = POLLIN | POLLOUT
    assert waiting.WSAPoll([(s, everything)], _WAIT_MS) == [(s, expected)]
    assert waiting.WSAPoll([(s, 0), (never, 0)], _WAIT_MS) == [(s, POLLHUP | POLLERR)]
    sockets.connect(s, world.listener()[1])
    assert waiting.WSAPoll([(s, everything)], _WAIT_MS) == [(s, POLLWRNORM)]


def test_poll_of_a_failed_connect_whose_error_was_asked_for_po_13(world: World) -> None:
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(s, world.closed_port())
    waiting.select(0, None, None, [s], 20)
    assert options.getsockopt(s, SOL_SOCKET, SO_ERROR) == WSAECONNREFUSED
    assert waiting.WSAPoll([(s, POLLOUT)], 0) == [(s, POLLWRNORM | POLLHUP | POLLERR)]


def test_poll_of_a_reset_connection_po_14(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    assert waiting.WSAPoll([(client, 0)], _WAIT_MS) == [(client, POLLHUP | POLLERR)]
    assert waiting.WSAPoll([(client, POLLOUT)], 0) == [(client, POLLHUP | POLLERR | POLLWRNORM)]
    with refused(WSAECONNRESET):
        transfer.recv(client, 1)
    assert waiting.WSAPoll([(client, POLLOUT)], 0) == [(client, POLLHUP | POLLERR | POLLWRNORM)]


def test_poll_of_datagrams_po_15(world: World) -> None:
    one, other = world.datagrams()
    assert waiting.WSAPoll([(one, POLLIN | POLLOUT)], 0) == [(one, POLLWRNORM)]
    transfer.send(other, b"x")
    assert waiting.WSAPoll([(one, POLLIN)], _WAIT_MS) == [(one, POLLRDNORM)]


def test_poll_of_nothing_po_01_evt_053(world: World) -> None:
    for nothing in ([], [(-1, POLLIN)]):
        with refused(WSAEINVAL):
            waiting.WSAPoll(nothing, 0)
    s, _ = world.connected()
    assert waiting.WSAPoll([(-1, POLLIN), (s, POLLOUT)], 0) == [(s, POLLWRNORM)]


def test_poll_of_a_closed_socket_evt_052(world: World) -> None:
    s, _ = world.connected()
    closed = world.stream()
    sockets.closesocket(closed)
    assert waiting.WSAPoll([(closed, POLLIN), (s, POLLOUT)], -1) == [(closed, POLLNVAL), (s, POLLWRNORM)]


def test_poll_beside_a_closed_socket_po_13_evt_052(world: World) -> None:
    """The others are told as ever."""
    failed, closed = world.stream(), world.stream()
    shut, _ = world.connected()
    sockets.shutdown(shut, SD_RECEIVE)
    with refused(WSAECONNREFUSED):
        sockets.connect(failed, world.closed_port())
    sockets.closesocket(closed)
    assert waiting.WSAPoll([(shut, POLLIN), (failed, POLLIN), (closed, POLLIN)], -1) == [
        (failed, POLLHUP | POLLERR),
        (closed, POLLNVAL),
    ]


@pytest.mark.parametrize("flags", [POLLPRI, POLLERR, POLLHUP, POLLNVAL, 0x8000])
def test_poll_for_what_cannot_be_asked_evt_054(world: World, flags: int) -> None:
    with refused(WSAEINVAL, "fds"):
        waiting.WSAPoll([(world.stream(), flags)], 0)


@pytest.mark.parametrize("fds", [None, 7, [7], [(1, 2, 3)]])
def test_poll_of_what_is_no_list(world: World, fds: list[tuple[int, int]]) -> None:
    with refused(WSAEFAULT, "fds"):
        waiting.WSAPoll(fds, 0)
