"""Network events through layers with handles of their own: what is true of a bare socket is true of theirs."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.api import test_events
from tests.api.test_events import Selected
from tests.conformance.layers import OwnHandles, PassThrough, ReadBytes, Untouched
from tests.dispatcher.drivers.test_direct import filled
from tests.drivers import layers as ours
from tests.refusals import refused
from winsock.abi.constants import AF_INET, FD_CLOSE, FD_CONNECT, FD_READ, FD_WRITE, FIONBIO, SOCK_STREAM
from winsock.abi.errors import WSAECONNREFUSED, WSAEINVAL, WSAENETRESET, WSAEWOULDBLOCK
from winsock.api import events, options, sockets, transfer
from winsock.overlapped.messages import Message, MessageQueue
from winsock.testing import World, through
from winsock.testing.pairs import LayerLike

WORLDS: dict[str, tuple[LayerLike, ...]] = {
    "own": (OwnHandles,),
    "own,pass,own": (OwnHandles, PassThrough, OwnHandles),
    "stream": (Untouched,),
    "pass,stream,stream": (PassThrough, Untouched, ReadBytes),
}
NOT_THESE = ("poll", "urgent")
"""A poll of such handles goes by WSPSelect, which knows less; urgent data does not go round a layer."""


SAME: list[Callable[[World], None]] = [
    test
    for name, test in vars(test_events).items()
    if name.startswith("test_") and not any(part in name for part in NOT_THESE)
    if list(inspect.signature(test).parameters) == ["world"]
]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(through(*WORLDS[request.param])) as opened:
        yield opened


@pytest.mark.parametrize("test", SAME, ids=lambda test: test.__name__)
def test_as_of_a_bare_socket(test: Callable[[World], None], world: World) -> None:
    test(world)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        yield server


def selected(server: socket.socket, mask: int) -> tuple[Selected, socket.socket]:
    """A client that asked for events before it connected without waiting, and its peer."""
    client = Selected(sockets.socket(AF_INET, SOCK_STREAM, 0), mask)
    with refused(WSAEWOULDBLOCK):
        sockets.connect(client.s, server.getsockname())
    return client, server.accept()[0]


def test_a_connection_is_told_of_when_its_layer_is_ready(server: socket.socket) -> None:
    with World(through(ours.Handshake)):
        client, peer = selected(server, FD_CONNECT | FD_WRITE | FD_READ)
        with peer:
            assert peer.recv(5) == ours.SECRET
            assert client.is_quiet()
            peer.sendall(ours.WELCOME + b"hi")
            client.wait(FD_CONNECT | FD_WRITE | FD_READ)
            assert transfer.recv(client.s, 9) == b"hi"


def test_an_opening_exchange_that_fails_is_a_connect_that_fails(server: socket.socket) -> None:
    with World(through(ours.Handshake)):
        client, peer = selected(server, FD_CONNECT | FD_CLOSE)
        with peer:
            peer.sendall(ours.REFUSED)
            assert client.wait(FD_CONNECT)[4] == WSAECONNREFUSED


def test_bytes_of_the_layers_own_are_told_of_and_those_it_keeps_are_not(server: socket.socket) -> None:
    with World(through(ours.Lines)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0] as peer:
            client = Selected(s, FD_READ)
            peer.sendall(b"half a line, ")
            with refused(WSAEWOULDBLOCK):
                transfer.recv(s, 1)
            assert client.is_quiet()
            peer.sendall(b"and the rest\n")
            client.wait(FD_READ)


def test_a_timers_bytes_and_end_are_told_of(server: socket.socket) -> None:
    with World(through(ours.Pass, ours.Ticking)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0]:
            client = Selected(s, FD_READ | FD_CLOSE)
            client.wait(FD_READ | FD_CLOSE)


def test_a_failure_is_told_of(server: socket.socket) -> None:
    with World(through(ours.Failing)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0] as peer:
            client = Selected(s, FD_CLOSE)
            peer.sendall(bytes(11))
            assert client.wait(FD_CLOSE)[5] == WSAENETRESET


def test_room_is_told_of_after_there_was_none(server: socket.socket) -> None:
    with World(through(ours.Swap)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0] as peer:
            client = Selected(s, FD_WRITE)
            client.wait(FD_WRITE)
            sent = filled(s)
            assert client.is_quiet()
            while sent:
                sent -= len(peer.recv(1 << 20))
            client.wait(FD_WRITE)
            assert transfer.send(s, b"x") == 1


def test_an_accepted_connection_has_the_events_of_its_listener() -> None:
    with World(through(ours.Swap)) as world:
        listener, address = world.listener()
        window = MessageQueue()
        events.WSAAsyncSelect(listener, window, 1024, FD_READ)
        with socket.create_connection((address.host, address.port)) as peer:  # type: ignore[union-attr]
            options.ioctlsocket(listener, FIONBIO, 1)
            s = -1
            while s < 0:
                try:
                    s, _ = sockets.accept(listener)
                except OSError:
                    continue
            peer.sendall(b"x")
            assert window.get(20) == Message(1024, s, FD_READ)
            assert transfer.recv(s, 1) == b"X"


def test_a_selected_connection_does_not_block_again(server: socket.socket) -> None:
    with World(through(ours.Pass)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0]:
            client = Selected(s, FD_READ)
            with refused(WSAEINVAL):
                options.ioctlsocket(s, FIONBIO, 0)
            client.select(0)
            options.ioctlsocket(s, FIONBIO, 0)
            with refused(WSAEINVAL):
                events.WSAEventSelect(s, 99999, FD_READ)
            with refused(WSAEINVAL):
                events.WSAAsyncSelect(s, None, 1, FD_READ)
            with refused(WSAEINVAL):
                events.WSAEventSelect(s, client.event, 1 << 20)
