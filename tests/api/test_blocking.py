"""Blocking hooks, for programs of version 1 (BLK, ST-15)."""

from __future__ import annotations

import socket as host
import threading
from collections.abc import Callable, Iterator

import pytest

import winsock
from tests.arguments import ROWS, arguments
from tests.arguments import call as make_call
from tests.refusals import code_of, refused
from tests.spec.tables import read
from winsock.abi import calls
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAECONNREFUSED,
    WSAEFAULT,
    WSAEINPROGRESS,
    WSAEINTR,
    WSAEINVAL,
    WSAEOPNOTSUPP,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WSANOTINITIALISED,
)
from winsock.abi.sockaddr import Sockaddr
from winsock.testing import World

DOCUMENTED = {calls.find(row["function"]) for row in read("errors.csv") if row["code_name"] == "WSAEINPROGRESS"}
IN_PROGRESS = [row for row in ROWS if row.function in {call.function for call in DOCUMENTED if call is not None}]


@pytest.fixture
def world() -> Iterator[World]:
    """A program of version 1."""
    with World() as world:
        winsock.WSAStartup(0x0101)
        yield world
        winsock.WSAUnhookBlockingHook()
        winsock.WSACleanup()


class Hook:
    """Counts how often it runs, and does something the third time."""

    def __init__(self, then: Callable[[], object] = winsock.WSACancelBlockingCall) -> None:
        self.runs = 0
        self.then = then
        self.found: list[bool] = []

    def __call__(self) -> bool:
        self.runs += 1
        self.found.append(winsock.WSAIsBlocking())
        if self.runs == 3:
            self.then()
        return False


def cancelling(call: Callable[[], object]) -> None:
    hook = Hook()
    winsock.WSASetBlockingHook(hook)
    with refused(WSAEINTR):
        call()
    assert hook.runs == 3
    assert hook.found == [True] * 3
    assert not winsock.WSAIsBlocking()
    winsock.WSAUnhookBlockingHook()


def full(world: World) -> Sockaddr:
    """Where nobody is accepted any more: a listener whose queue is full."""
    _, address = world.listener(0)
    for _ in range(4):
        s = world.stream()
        winsock.ioctlsocket(s, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            winsock.connect(s, address)
    return address


LARGE = bytes(1 << 24)

CALLS: list[Callable[[], object]] = [
    lambda: winsock.WSASetBlockingHook(bool),
    winsock.WSAUnhookBlockingHook,
    winsock.WSACancelBlockingCall,
]


class TestVersion:
    """Who has hooks."""

    def test_nobody_before_the_start(self) -> None:
        for call in CALLS:
            with refused(WSANOTINITIALISED):
                call()
        assert not winsock.WSAIsBlocking()

    def test_not_who_asked_for_version_2_blk_016(self) -> None:
        with winsock.started():
            for call in CALLS:
                with refused(WSAEOPNOTSUPP):  # BLK-016
                    call()
            assert winsock.WSAGetLastError() == WSAEOPNOTSUPP
            assert not winsock.WSAIsBlocking()

    @pytest.mark.parametrize("versions", [(0x0101,), (0x0001,), (0x0101, 0x0202), (0x0202, 0x0101)])
    def test_who_asked_for_version_1_st_15(self, versions: tuple[int, ...]) -> None:
        for version in versions:
            winsock.WSAStartup(version)
        try:
            with refused(WSAEINVAL):
                winsock.WSACancelBlockingCall()
        finally:
            for _ in versions:
                winsock.WSACleanup()
        with winsock.started(), refused(WSAEOPNOTSUPP):
            winsock.WSACancelBlockingCall()


class TestHook:
    """When it runs."""

    def test_there_is_none_at_first_blk_003(self, world: World) -> None:
        first, second = Hook(), Hook()
        assert winsock.WSASetBlockingHook(first) is None
        assert winsock.WSASetBlockingHook(second) is first
        winsock.WSAUnhookBlockingHook()
        assert winsock.WSASetBlockingHook(first) is None

    def test_what_is_none(self, world: World) -> None:
        with refused(WSAEFAULT):
            winsock.WSASetBlockingHook(7)  # type: ignore[arg-type]

    def test_not_where_the_call_can_finish_at_once_blk_001_blk_007(self, world: World) -> None:
        pair = world.connected()
        listener, address = world.listener()
        with host.create_connection((address.host, address.port)):  # type: ignore[union-attr]
            hook = Hook()
            winsock.WSASetBlockingHook(hook)
            winsock.send(pair.client, b"12")
            winsock.select(0, [listener], None, None, 0)
            runs = hook.runs
            assert winsock.select(0, [pair.server], None, None, 5)[0] or hook.runs > runs
            runs = hook.runs
            assert winsock.recv(pair.server, 1) == b"1"
            assert winsock.recvfrom(pair.server, 1)[0] == b"2"
            winsock.accept(listener)
            s = world.stream()
            winsock.bind(s, world.anywhere)
            winsock.getsockopt(s, c.SOL_SOCKET, c.SO_TYPE)
            winsock.getpeername(pair.client)
            assert hook.runs == runs

    def test_not_on_a_socket_that_does_not_block_blk_001_blk_002(self, world: World) -> None:
        pair = world.connected()
        hook = Hook()
        winsock.WSASetBlockingHook(hook)
        winsock.ioctlsocket(pair.server, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            winsock.recv(pair.server, 1)
        assert hook.runs == 0

    def test_until_the_call_can_finish_blk_001(self, world: World) -> None:
        with host.create_server(("127.0.0.1", 0)) as server:
            s = world.stream()
            winsock.connect(s, server.getsockname())
            peer, _ = server.accept()
            hook = Hook(lambda: peer.send(b"at last"))
            winsock.WSASetBlockingHook(hook)
            assert winsock.recv(s, 100) == b"at last"
            assert hook.runs == 3
            peer.close()

    def test_it_is_run_until_it_has_nothing_more_to_do(self, world: World) -> None:
        answers = [True, True, False]

        def hook() -> bool:
            answer = answers.pop(0)
            if not answers:
                winsock.WSACancelBlockingCall()
            return answer

        winsock.WSASetBlockingHook(hook)
        with refused(WSAEINTR):
            winsock.recv(world.connected().client, 1)
        assert answers == []

    def test_it_is_the_threads_own_blk_003(self, world: World) -> None:
        hook = Hook()
        winsock.WSASetBlockingHook(hook)
        pair = world.connected()
        got: list[bytes] = []
        other = threading.Thread(target=lambda: got.append(winsock.recv(pair.server, 5)), daemon=True)
        other.start()
        winsock.send(pair.client, b"hello")
        other.join()
        assert got == [b"hello"]
        assert hook.runs == 0

    def test_time_outs_go_on(self, world: World) -> None:
        pair = world.connected()
        winsock.WSASetBlockingHook(lambda: False)
        winsock.setsockopt(pair.server, c.SOL_SOCKET, c.SO_RCVTIMEO, 30)
        with refused(WSAETIMEDOUT):
            winsock.recv(pair.server, 1)
        assert winsock.select(0, [pair.server], None, None, 0.03) == ([], [], [])


class TestCancel:
    """WSACancelBlockingCall, from inside the hook."""

    def test_a_receive_blk_008(self, world: World) -> None:
        pair = world.connected()
        cancelling(lambda: winsock.recv(pair.server, 1))
        cancelling(lambda: winsock.WSARecv(pair.server, [bytearray(1)]))
        datagram = world.datagram()
        cancelling(lambda: winsock.recvfrom(datagram, 1))

    def test_a_receive_of_a_datagram_into_buffers_blk_008(self, world: World) -> None:
        datagram = world.datagram()
        cancelling(lambda: winsock.WSARecvFrom(datagram, [bytearray(1)]))

    @pytest.mark.parametrize(
        "send",
        [
            lambda s: winsock.WSASend(s, [LARGE]),
            lambda s: winsock.sendto(s, LARGE, 0, None),
            lambda s: winsock.WSASendTo(s, [LARGE]),
        ],
        ids=["WSASend", "sendto", "WSASendTo"],
    )
    def test_a_send_blk_008(self, world: World, send: Callable[[int], object]) -> None:
        pair = world.connected()
        cancelling(lambda: send(pair.client))

    def test_an_accept_that_asks_blk_008(self, world: World) -> None:
        listener, _ = world.listener()
        cancelling(lambda: winsock.WSAAccept(listener))

    def test_a_connect_with_data_blk_008(self, world: World) -> None:
        address = full(world)
        s = world.stream()
        cancelling(lambda: winsock.WSAConnect(s, address))
        winsock.closesocket(s)

    def test_an_accept_leaves_its_socket_usable_blk_010(self, world: World) -> None:
        listener, address = world.listener()
        cancelling(lambda: winsock.accept(listener))
        client = world.stream()
        winsock.connect(client, address)
        assert winsock.accept(listener)[1] == winsock.getsockname(client)

    def test_a_select_leaves_its_sockets_usable_blk_010(self, world: World) -> None:
        pair = world.connected()
        cancelling(lambda: winsock.select(0, [pair.server], None, None, None))
        winsock.send(pair.client, b"x")
        assert winsock.select(0, [pair.server], None, None, 5)[0] == [pair.server]

    def test_a_connect_blk_008(self, world: World) -> None:
        address = full(world)
        s = world.stream()
        cancelling(lambda: winsock.connect(s, address))
        winsock.closesocket(s)

    def test_a_connect_that_ends(self, world: World) -> None:
        _, address = world.listener()
        winsock.WSASetBlockingHook(Hook())
        s = world.stream()
        winsock.connect(s, address)
        winsock.send(s, b"x")
        with refused(WSAECONNREFUSED):
            winsock.connect(world.stream(), world.closed_port())

    def test_a_part_of_a_send_breaks_the_stream_blk_011(self, world: World) -> None:
        pair = world.connected()
        cancelling(lambda: winsock.send(pair.client, bytes(1 << 24)))
        for call in (lambda: winsock.send(pair.client, b"x"), lambda: winsock.recv(pair.client, 1)):
            assert code_of(call) == WSAECONNABORTED
        winsock.closesocket(pair.client)

    def test_after_it_is_over_blk_009(self, world: World) -> None:
        with refused(WSAEINVAL):
            winsock.WSACancelBlockingCall()
        pair = world.connected()
        cancelling(lambda: winsock.recv(pair.server, 1))
        with refused(WSAEINVAL):
            winsock.WSACancelBlockingCall()


class TestNested:
    """Calls from inside the hook."""

    def test_nothing_else_may_be_called_blk_004_blk_005(self, world: World) -> None:
        pair = world.connected()
        other = world.connected()
        codes: dict[str, int] = {}

        def all_of_them() -> None:
            codes["send"] = code_of(lambda: winsock.send(other.client, b"x"))
            codes["recv"] = code_of(lambda: winsock.recv(other.client, 1))
            codes["socket"] = code_of(lambda: winsock.socket(c.AF_INET, c.SOCK_STREAM, 0))
            codes["getsockname"] = code_of(lambda: winsock.getsockname(other.client))
            codes["select"] = code_of(lambda: winsock.select(0, [other.client], None, None, 0))
            codes["closesocket"] = code_of(lambda: winsock.closesocket(other.client))
            codes["WSASetLastError"] = code_of(lambda: winsock.WSASetLastError(0))
            codes["WSASetBlockingHook"] = code_of(lambda: winsock.WSASetBlockingHook(bool))
            codes["WSAUnhookBlockingHook"] = code_of(winsock.WSAUnhookBlockingHook)
            winsock.WSACancelBlockingCall()

        winsock.WSASetBlockingHook(Hook(all_of_them))
        with refused(WSAEINTR):
            winsock.recv(pair.server, 1)
        # BLK-004, BLK-005: what has cancelled it, and WSAIsBlocking, may
        assert set(codes.values()) == {WSAEINPROGRESS}, codes

    @pytest.mark.parametrize("row", IN_PROGRESS, ids=lambda row: row.function)
    def test_whoever_is_documented_to_refuse_does_blk_004(self, world: World, row: calls.Call) -> None:
        pair = world.connected()
        values = arguments(row, world)
        refusals = []

        def nested() -> None:
            with refused(WSAEINPROGRESS):
                make_call(row, values)
            refusals.append(row.function)
            winsock.WSACancelBlockingCall()

        winsock.WSASetBlockingHook(Hook(nested))
        with refused(WSAEINTR):
            winsock.recv(pair.server, 1)
        assert refusals == [row.function]

    def test_other_threads_may(self, world: World) -> None:
        pair = world.connected()

        def from_another_thread() -> None:
            thread = threading.Thread(target=lambda: winsock.send(pair.client, b"hello"), daemon=True)
            thread.start()
            thread.join()

        winsock.WSASetBlockingHook(Hook(from_another_thread))
        assert winsock.recv(pair.server, 10) == b"hello"
