"""Urgent data, beside the stream and in it (OOB, SH-10, SH-12), over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.api.test_sockets import wait_until_blocked
from tests.conformance.layers import PassThrough
from tests.refusals import code_of, refused
from winsock.abi.constants import (
    FD_OOB,
    FD_READ,
    FIONBIO,
    FIONREAD,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
    SIOCATMARK,
    SO_OOBINLINE,
    SO_RCVTIMEO,
    SOL_SOCKET,
    WSA_WAIT_EVENT_0,
    WSA_WAIT_TIMEOUT,
)
from winsock.abi.errors import WSAEINVAL, WSAEOPNOTSUPP, WSAETIMEDOUT, WSAEWOULDBLOCK
from winsock.api import events, options, sockets, transfer, waiting
from winsock.testing import World, through
from winsock.testing.pairs import Pair

Receive = Callable[[int], bytes]


@pytest.fixture(params=[(), (PassThrough,)], ids=["inet", "pass"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(through(*request.param)) as opened:
        yield opened


def holds(s: int, data: int) -> None:
    """Wait until so many bytes of normal data have come."""
    while options.ioctlsocket(s, FIONREAD) < data:
        waiting.select(0, [s], None, None, 20)


def is_urgent(s: int) -> None:
    """Wait until urgent data has come."""
    assert waiting.select(0, None, None, [s], 20) == ([], [], [s])


def in_line(world: World) -> Pair:
    pair = world.connected()
    options.setsockopt(pair.server, SOL_SOCKET, SO_OOBINLINE, 1)
    return pair


class TestBeside:
    """Without SO_OOBINLINE."""

    def test_it_is_read_by_itself(self, world: World) -> None:
        client, server = world.connected()
        assert options.getsockopt(server, SOL_SOCKET, SO_OOBINLINE) == 0  # OOB-005
        transfer.send(client, b"ab")
        assert transfer.send(client, b"!", MSG_OOB) == 1
        transfer.send(client, b"cd")
        is_urgent(server)
        assert transfer.recv(server, 100, MSG_OOB) == b"!"  # OOB-011, OOB-002: ahead of the rest, and nothing else
        assert transfer.recv(server, 100) == b"ab"  # OOB-013: a receive ends where it was
        holds(server, 2)
        assert transfer.recv(server, 100) == b"cd"

    def test_other_receives_pass_it_by(self, world: World) -> None:
        client, server = world.connected()
        transfer.send(client, b"!", MSG_OOB)
        is_urgent(server)
        assert waiting.select(0, [server], None, None, 0) == ([], [], [])
        options.ioctlsocket(server, FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):  # OOB-012
            transfer.recv(server, 100)
        transfer.send(client, b"ab")
        assert waiting.select(0, [server], None, None, 20)[0] == [server]
        assert transfer.recv(server, 100) == b"ab"  # OOB-012, OOB-002

    def test_what_is_waiting_is_told_apart_sh_10(self, world: World) -> None:
        client, server = world.connected()
        transfer.send(client, b"12345")
        transfer.send(client, b"!", MSG_OOB)
        is_urgent(server)
        assert options.ioctlsocket(server, FIONREAD) == 5
        assert options.ioctlsocket(server, SIOCATMARK) == 0
        assert transfer.recv(server, 1, MSG_OOB) == b"!"
        assert options.ioctlsocket(server, SIOCATMARK) == 1

    def test_datagrams_have_none(self, world: World) -> None:
        one, other = world.datagrams()
        with refused(WSAEOPNOTSUPP):  # OOB-003
            transfer.send(one, b"!", MSG_OOB)
        with refused(WSAEOPNOTSUPP):  # OOB-003
            transfer.recv(other, 1, MSG_OOB)


class TestTold:
    """Its network events."""

    def selected(self, s: int) -> int:
        event = events.WSACreateEvent()
        events.WSAEventSelect(s, event, FD_READ | FD_OOB)
        return event

    def wait(self, s: int, event: int, wanted: int) -> None:
        """Until all of these have come, and no others."""
        found = 0
        while found != wanted:
            assert events.WSAWaitForMultipleEvents([event], True, 20_000) == WSA_WAIT_EVENT_0
            found |= events.WSAEnumNetworkEvents(s, event).lNetworkEvents
            assert not found & ~wanted, f"{found:#x} came, {wanted:#x} was expected"

    def is_quiet(self, event: int) -> bool:
        return events.WSAWaitForMultipleEvents([event], True, 0) == WSA_WAIT_TIMEOUT

    def test_each_time_it_comes(self, world: World) -> None:
        client, server = world.connected()
        event = self.selected(server)
        for _ in range(2):
            transfer.send(client, b"!", MSG_OOB)
            self.wait(server, event, FD_OOB)  # OOB-007, OOB-009: and no FD_READ
            assert self.is_quiet(event)
            assert transfer.recv(server, 1, MSG_OOB) == b"!"
            assert self.is_quiet(event)

    def test_after_a_receive_that_leaves_it(self, world: World) -> None:
        client, server = world.connected()
        event = self.selected(server)
        transfer.send(client, b"ab")
        transfer.send(client, b"!", MSG_OOB)
        self.wait(server, event, FD_READ | FD_OOB)
        assert transfer.recv(server, 1) == b"a"
        self.wait(server, event, FD_READ | FD_OOB)  # OOB-008
        assert transfer.recv(server, 1, MSG_OOB) == b"!"
        self.wait(server, event, FD_READ)
        assert transfer.recv(server, 1) == b"b"
        assert self.is_quiet(event)

    @pytest.mark.parametrize("mask", [FD_READ, FD_READ | FD_OOB])
    def test_what_comes_behind_it_is_data(self, world: World, mask: int) -> None:
        client, server = world.connected()
        event = events.WSACreateEvent()
        events.WSAEventSelect(server, event, mask)
        transfer.send(client, b"!", MSG_OOB)
        is_urgent(server)
        transfer.send(client, b"abc")
        self.wait(server, event, mask)
        assert transfer.recv(server, 1) == b"a"
        self.wait(server, event, FD_READ)
        assert transfer.recv(server, 9) == b"bc"
        assert self.is_quiet(event)

    def test_in_line_it_is_data(self, world: World) -> None:
        client, server = in_line(world)
        event = self.selected(server)
        transfer.send(client, b"!", MSG_OOB)
        self.wait(server, event, FD_READ)  # OOB-014
        assert waiting.select(0, [server], None, [server], 0) == ([server], [], [])  # OOB-014
        assert transfer.recv(server, 9) == b"!"
        assert self.is_quiet(event)


def into_two(s: int) -> bytes:
    first, second = bytearray(1), bytearray(99)
    count, _ = transfer.WSARecv(s, [bytearray(), first, second]) or (0, 0)
    return bytes(first + second)[:count]


def peeked(s: int) -> bytes:
    seen = transfer.recv(s, 100, MSG_PEEK)
    assert transfer.recv(s, 100) == seen
    return seen


RECEIVES: list[Receive] = [lambda s: transfer.recv(s, 100), lambda s: transfer.recvfrom(s, 100)[0], into_two, peeked]


class TestInLine:
    """With SO_OOBINLINE."""

    @pytest.mark.parametrize("receive", RECEIVES, ids=["recv", "recvfrom", "WSARecv", "MSG_PEEK"])
    def test_it_takes_three_receives(self, world: World, receive: Receive) -> None:
        client, server = in_line(world)
        transfer.send(client, b"ab")
        transfer.send(client, b"!", MSG_OOB)
        transfer.send(client, b"cd")
        holds(server, 5)
        assert [receive(server) for _ in range(3)] == [b"ab", b"!", b"cd"]  # OOB-016, OOB-013

    def test_so_it_does_for_who_waits_for_all(self, world: World) -> None:
        client, server = in_line(world)
        transfer.send(client, b"!", MSG_OOB)
        transfer.send(client, b"cd")
        holds(server, 3)
        assert transfer.recv(server, 1, MSG_WAITALL) == b"!"
        assert transfer.recv(server, 2, MSG_WAITALL) == b"cd"

    def test_a_receive_that_waits(self, world: World) -> None:
        client, server = in_line(world)
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.append(transfer.recv(server, 100)), daemon=True)
        thread.start()
        wait_until_blocked(server, thread)
        transfer.send(client, b"!", MSG_OOB)
        transfer.send(client, b"cd")
        thread.join(20)
        assert got == [b"!"]
        sockets.closesocket(client)
        assert [transfer.recv(server, 100) for _ in range(2)] == [b"cd", b""]

    def test_time_outs_and_modes_go_on(self, world: World) -> None:
        _, server = in_line(world)
        options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, 10)
        assert code_of(lambda: transfer.recv(server, 1)) == WSAETIMEDOUT
        options.ioctlsocket(server, FIONBIO, 1)
        for receive in RECEIVES:
            with refused(WSAEWOULDBLOCK):
                receive(server)

    def test_there_is_none_beside_it(self, world: World) -> None:
        client, server = in_line(world)
        transfer.send(client, b"!", MSG_OOB)
        holds(server, 1)
        with refused(WSAEINVAL):  # OOB-015, IO-010
            transfer.recv(server, 1, MSG_OOB)
        assert options.ioctlsocket(server, SIOCATMARK) == 0  # OOB-001, SH-12
        assert transfer.recv(server, 1) == b"!"
        assert options.ioctlsocket(server, SIOCATMARK) == 1  # OOB-001

    def test_who_is_accepted_has_it_too(self, world: World) -> None:
        listener, address = world.listener()
        options.setsockopt(listener, SOL_SOCKET, SO_OOBINLINE, 1)
        client = world.stream()
        sockets.connect(client, address)
        server, _ = sockets.accept(listener)
        transfer.send(client, b"!", MSG_OOB)
        transfer.send(client, b"cd")
        holds(server, 3)
        assert [transfer.recv(server, 100) for _ in range(2)] == [b"!", b"cd"]  # OOB-016, CONN-007

    def test_it_may_be_switched_off_again(self, world: World) -> None:
        client, server = in_line(world)
        for value in (0, 1, 0):
            options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, value)
        transfer.send(client, b"!", MSG_OOB)
        is_urgent(server)
        assert transfer.recv(server, 1, MSG_OOB) == b"!"
