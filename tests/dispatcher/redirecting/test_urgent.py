"""Urgent data through a handle that is a file: as through any stream (OOB), by Winsock and by plain calls."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance.layers import OwnHandles, PassThrough
from tests.dispatcher.strangers import Stranger
from tests.dispatcher.strangers import World as StrangersWorld
from tests.drivers.layers import Reading
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import WSAEINVAL, WSAEOPNOTSUPP, WSAEWOULDBLOCK, WinsockError
from winsock.abi.sockaddr import SockaddrUn
from winsock.api import events, options, sockets, transfer, waiting
from winsock.dispatcher.records import records
from winsock.dispatcher.redirector import as_file
from winsock.spi.urgent import MARKING
from winsock.testing import World, through
from winsock.testing.pairs import Pair

SECONDS = 20


@pytest.fixture(params=[(OwnHandles,), (PassThrough, OwnHandles), (OwnHandles, OwnHandles)], ids=["own", "pass", "two"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(through(*request.param)) as opened:
        yield opened


@pytest.fixture
def ends(world: World) -> Pair:
    """A client, and a server whose handle is a file."""
    client, server = world.connected()
    return Pair(client, as_file(server))


def holds(s: int, count: int) -> None:
    """Wait until so many bytes of normal data have come."""
    while options.ioctlsocket(s, c.FIONREAD) < count:
        waiting.select(0, [s], None, None, SECONDS)


def is_urgent(s: int) -> None:
    """Wait until urgent data has come."""
    assert waiting.select(0, None, None, [s], SECONDS) == ([], [], [s])


def send(s: int, *pieces: bytes) -> None:
    for piece in pieces:
        assert transfer.send(s, piece, c.MSG_OOB if piece == b"!" else 0) == len(piece)


def in_line(s: int, on: int = 1) -> None:
    options.setsockopt(s, c.SOL_SOCKET, c.SO_OOBINLINE, on)
    assert options.getsockopt(s, c.SOL_SOCKET, c.SO_OOBINLINE) == on


class TestBeside:
    def test_it_is_read_by_itself(self, ends: Pair) -> None:
        client, server = ends
        assert options.getsockopt(server, c.SOL_SOCKET, c.SO_OOBINLINE) == 0
        send(client, b"ab", b"!", b"cd")
        is_urgent(server)
        assert options.ioctlsocket(server, c.SIOCATMARK) == 0
        assert transfer.recv(server, 9, c.MSG_OOB | c.MSG_PEEK) == b"!"
        assert transfer.recv(server, 9, c.MSG_OOB) == b"!"  # OOB-011, OOB-002
        assert options.ioctlsocket(server, c.SIOCATMARK) == 1
        assert waiting.select(0, None, None, [server], 0) == ([], [], [])
        assert transfer.recv(server, 9) == b"ab"  # OOB-013
        holds(server, 2)
        assert transfer.recv(server, 9) == b"cd"
        with refused(WSAEINVAL):
            transfer.recv(server, 9, c.MSG_OOB)

    def test_other_receives_pass_it_by(self, ends: Pair) -> None:
        client, server = ends
        send(client, b"!")
        is_urgent(server)
        options.ioctlsocket(server, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):  # OOB-012
            transfer.recv(server, 9)
        send(client, b"cd")
        assert waiting.select(0, [server], None, None, SECONDS)[0] == [server]
        assert transfer.recv(server, 9) == b"cd"

    @pytest.mark.parametrize("how", ["send", "WSASend", "descriptor"])
    def test_it_is_sent(self, ends: Pair, how: str) -> None:
        client, server = ends
        send(server, b"ab")
        if how == "descriptor":
            with socket.socket(fileno=server) as sock:
                sock.send(b"!", socket.MSG_OOB)
                sock.detach()
        elif how == "send":
            assert transfer.send(server, b"!", c.MSG_OOB) == 1
        else:
            assert transfer.WSASend(server, [b"..", b"!"], c.MSG_OOB) == 3
        send(server, b"cd")
        is_urgent(client)
        assert transfer.recv(client, 9, c.MSG_OOB) == b"!"
        assert transfer.recv(client, 9) == (b"ab" if how != "WSASend" else b"ab..")

    def test_again_and_again(self, ends: Pair) -> None:
        """Each as one, not as data: the last one has been taken when the next is sent."""
        client, server = ends
        for _ in range(20):
            for one, other in ((client, server), (server, client)):
                send(one, b"!")
                is_urgent(other)
                assert transfer.recv(other, 9, c.MSG_OOB) == b"!"

    def test_by_plain_calls(self, ends: Pair) -> None:
        client, server = ends
        send(client, b"!")
        poller = select.poll()
        poller.register(server, select.POLLPRI)
        assert poller.poll(SECONDS * 1000) == [(server, select.POLLPRI)]
        with socket.socket(fileno=server) as sock:
            assert sock.recv(1, socket.MSG_OOB) == b"!"
            sock.detach()

    def test_what_came_before_it_was_a_file(self, world: World) -> None:
        client, server = world.connected()
        send(client, b"ab", b"!")
        is_urgent(server)
        as_file(server)
        is_urgent(server)
        assert transfer.recv(server, 9, c.MSG_OOB) == b"!"
        assert transfer.recv(server, 9) == b"ab"

    def test_its_event(self, ends: Pair) -> None:
        client, server = ends
        event = events.WSACreateEvent()
        events.WSAEventSelect(server, event, c.FD_READ | c.FD_OOB)
        for _ in range(2):
            send(client, b"!")
            assert events.WSAWaitForMultipleEvents([event], True, SECONDS * 1000) == c.WSA_WAIT_EVENT_0
            assert events.WSAEnumNetworkEvents(server, event).lNetworkEvents == c.FD_OOB  # OOB-007, OOB-009
            assert transfer.recv(server, 1, c.MSG_OOB) == b"!"
            assert events.WSAWaitForMultipleEvents([event], True, 0) == c.WSA_WAIT_TIMEOUT
        events.WSACloseEvent(event)

    def test_flags_that_do_not_go_together(self, ends: Pair) -> None:
        with refused(WSAEOPNOTSUPP):  # IO-008
            transfer.recv(ends.server, 1, c.MSG_OOB | c.MSG_WAITALL)


def peeked(s: int) -> bytes:
    seen = transfer.recv(s, 100, c.MSG_PEEK)
    assert transfer.recv(s, 100) == seen
    return seen


class TestInLine:
    @pytest.mark.parametrize("receive", [lambda s: transfer.recv(s, 9), peeked], ids=["recv", "MSG_PEEK"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_it_takes_three_receives(self, world: World, receive: Callable[[int], bytes], when: str) -> None:
        client, server = world.connected()
        if when == "before":
            in_line(server)
        as_file(server)
        if when == "after":
            in_line(server)
        assert options.getsockopt(server, c.SOL_SOCKET, c.SO_OOBINLINE) == 1
        send(client, b"ab", b"!", b"cd")
        assert receive(server) in (b"ab", b"a")
        holds(server, 1)
        while (data := receive(server)) != b"!":
            assert data == b"b"
        holds(server, 2)
        assert receive(server) == b"cd"

    def test_it_is_data(self, ends: Pair) -> None:
        client, server = ends
        in_line(server)
        event = events.WSACreateEvent()
        events.WSAEventSelect(server, event, c.FD_READ | c.FD_OOB)
        send(client, b"!")
        assert events.WSAWaitForMultipleEvents([event], True, SECONDS * 1000) == c.WSA_WAIT_EVENT_0
        assert events.WSAEnumNetworkEvents(server, event).lNetworkEvents == c.FD_READ  # OOB-014
        assert waiting.select(0, [server], None, [server], 0) == ([server], [], [])  # OOB-014
        with refused(WSAEINVAL):  # OOB-015
            transfer.recv(server, 1, c.MSG_OOB)
        assert options.ioctlsocket(server, c.SIOCATMARK) == 0  # OOB-001
        assert transfer.recv(server, 9) == b"!"
        assert options.ioctlsocket(server, c.SIOCATMARK) == 1
        events.WSACloseEvent(event)

    def test_it_may_be_switched_off_again(self, ends: Pair) -> None:
        client, server = ends
        in_line(server)
        in_line(server, 0)
        send(client, b"!")
        is_urgent(server)
        assert transfer.recv(server, 1, c.MSG_OOB) == b"!"


def test_through_a_stream_layer_it_comes_in_line() -> None:
    """As without a file; what the file's reader asks for counts there."""
    with World(through(Reading)) as world:
        client, server = world.connected()
        as_file(server)
        send(client, b"!")
        assert transfer.recv(server, 9) == b"!"
        in_line(server, 0)
        send(client, b"!")
        is_urgent(server)
        assert transfer.recv(server, 9, c.MSG_OOB) == b"!"
        send(server, b"!")
        assert transfer.recv(client, 9) == b"!"


def test_nothing_is_left_behind(world: World) -> None:
    before = set(MARKING)
    client, server = world.connected()
    as_file(server)
    assert len(set(MARKING) - before) == 1
    record = records[server]
    sockets.closesocket(server)
    assert transfer.recv(client, 1) == b""
    sockets.closesocket(client)
    assert record.file.pump.wait(SECONDS)  # type: ignore[attr-defined]
    assert set(MARKING) == before


class Without(Stranger):
    """Has no option that could tell where urgent data goes."""

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> int:
        raise WinsockError(WSAEINVAL)


def test_a_provider_that_knows_nothing_of_it() -> None:
    """It gets the flag, and says itself what it does with it."""
    with StrangersWorld(Without) as world:
        s, peer = world.file()
        assert transfer.send(s, b"!", c.MSG_OOB) == 1
        assert peer.recv(9) == b"!"
        with refused(WSAEINVAL):
            transfer.recv(s, 1, c.MSG_OOB)


def test_a_provider_that_has_none(tmp_path: Path) -> None:
    """By the flags of its entry (XP1_EXPEDITED_DATA)."""
    with World(through(OwnHandles)):
        listener, client = (sockets.socket(c.AF_UNIX, c.SOCK_STREAM, 0) for _ in range(2))
        sockets.bind(listener, SockaddrUn(str(tmp_path / "socket")))
        sockets.listen(listener, 1)
        sockets.connect(client, sockets.getsockname(listener))
        s = as_file(sockets.accept(listener)[0])
        for call in (lambda: transfer.recv(s, 1, c.MSG_OOB), lambda: transfer.send(s, b"x", c.MSG_OOB)):
            with refused(WSAEOPNOTSUPP, "urgent"):
                call()
        assert transfer.send(s, b"x") == 1
        assert transfer.recv(client, 9) == b"x"
