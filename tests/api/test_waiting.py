"""select (EVT, SE)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import pytest

from tests.api.test_sockets import wait_until_blocked
from tests.conformance.layers import PassThrough
from tests.refusals import refused
from tests.waiting import wait_until
from winsock.abi.constants import AF_INET, AF_INET6, FIONBIO, SO_LINGER, SOCK_DGRAM, SOL_SOCKET
from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WSAEWOULDBLOCK, WinsockError
from winsock.abi.options import Linger
from winsock.api import options, sockets, transfer, waiting
from winsock.dispatcher import waits
from winsock.dispatcher.records import records
from winsock.spi.layer import Layer
from winsock.testing import World, through
from winsock.testing.pairs import has_ipv6


@pytest.mark.parametrize("nothing", [None, (), []])
def test_no_sockets_se_01_evt_021(world: World, nothing: list[int] | None) -> None:
    started = time.monotonic()
    with refused(WSAEINVAL):
        waiting.select(0, nothing, nothing, nothing, 30)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_time_outs_that_are_none_evt_021(world: World, timeout: float) -> None:
    one, other = world.stream(), world.datagram()
    for handles in ([one], [one, other]):
        with refused(WSAEINVAL, "timeout"):
            waiting.select(0, handles, None, None, timeout)


@pytest.mark.parametrize("timeout", [1e10, float("inf")])
def test_time_outs_without_end(world: World, timeout: float) -> None:
    s = world.datagram()
    assert waiting.select(0, None, [s], None, timeout) == ([], [s], [])


def test_handles_that_are_none_se_02(world: World) -> None:
    s = world.stream()
    closed = world.stream()
    sockets.closesocket(closed)
    for bad in (-1, closed):
        for place in range(3):
            reads, writes, exceptions = ([bad if place == index else s] for index in range(3))
            with refused(WSAENOTSOCK):
                waiting.select(0, reads, writes, exceptions, 0)


def test_the_first_argument_is_ignored_se_03_evt_028(world: World) -> None:
    s = world.datagram()
    for nfds in (0, -1, 5, 10**9):
        assert waiting.select(nfds, None, [s], None, 0) == ([], [s], [])


def test_a_handle_counts_once_se_05_se_06(world: World) -> None:
    s = world.datagram()
    assert waiting.select(0, [s, s], [s, s], None, 0) == ([], [s], [])


def test_more_than_fd_setsize_se_07(world: World) -> None:
    handles = [sockets.socket(AF_INET, SOCK_DGRAM, 0) for _ in range(200)]
    assert waiting.select(0, None, handles, None, 0) == ([], handles, [])


def test_the_end_of_a_stream_is_readable_se_14_evt_022(world: World) -> None:
    client, server = world.connected()
    sockets.closesocket(client)
    assert waiting.select(0, [server], None, None, 20) == ([server], [], [])
    assert transfer.recv(server, 1) == b""


def test_a_failed_connect_is_an_exception_se_15_conn_023_evt_023_evt_024(world: World) -> None:
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(10035):
        sockets.connect(s, ("127.0.0.1", sockets.getsockname(world.datagram())[1]))  # type: ignore[misc]
    assert waiting.select(0, [s], [s], [s], 20) == ([], [], [s])
    assert waiting.select(0, [s], [s], None, 0.02) == ([], [], [])


def test_closing_what_is_selected_se_16(world: World) -> None:
    client, _ = world.connected()
    answers: list[tuple[list[int], list[int], list[int]]] = []
    thread = threading.Thread(target=lambda: answers.append(waiting.select(0, [client], None, None, None)), daemon=True)
    thread.start()
    wait_until_blocked(client, thread)
    sockets.closesocket(client)
    thread.join(20)
    assert answers == [([client], [], [])]


@contextmanager
def selecting(reads: list[int], exceptions: list[int]) -> Iterator[list[tuple[list[int], list[int], list[int]]]]:
    """Another thread waits for these; its answer, once the body has done what it waits for."""
    answers: list[tuple[list[int], list[int], list[int]]] = []
    thread = threading.Thread(
        target=lambda: answers.append(waiting.select(0, reads, None, exceptions, None)), daemon=True
    )
    thread.start()
    yield answers
    thread.join(20)


def test_closing_one_of_what_is_selected_of_several_providers_se_16(world: World) -> None:
    client, _ = world.connected()
    with selecting([world.datagram(), client], [client]) as answers:
        wait_until(lambda: client in waits.waiting, "the wait")
        sockets.closesocket(client)
    assert answers == [([client], [], [])]


def test_closing_what_nobody_reads_leaves_the_others_waited_for(world: World) -> None:
    client, _ = world.connected()
    other = world.datagram()
    with selecting([other], [client]) as answers:
        wait_until(lambda: client in waits.waiting, "the wait")
        sockets.closesocket(client)
        transfer.sendto(other, b"x", 0, sockets.getsockname(other))
    assert answers == [([other], [], [])]


def test_a_reset_connection_se_18(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(client)
    assert waiting.select(0, [server], None, None, 20)[0] == [server]
    assert waiting.select(0, [server], [server], [server], 0) == ([server], [server], [])
    assert waiting.select(0, None, None, [server], 0) == ([], [], [])


def test_sockets_that_were_never_used_se_20(world: World) -> None:
    datagram, stream = sockets.socket(AF_INET, SOCK_DGRAM, 0), world.stream()
    assert waiting.select(0, None, [datagram], None, 0) == ([], [datagram], [])
    assert waiting.select(0, [stream], [stream], [stream], 0.02) == ([], [], [])


def test_a_time_out_passes_evt_025(world: World) -> None:
    for handles in ([world.datagram()], [world.datagram(), world.stream()]):
        started = time.monotonic()
        assert waiting.select(0, handles, None, None, 0.05) == ([], [], [])  # EVT-026
        assert time.monotonic() - started >= 0.05  # EVT-025


def test_no_time_out_waits_evt_025_evt_026(world: World) -> None:
    client, server = world.connected()
    answers: list[tuple[list[int], list[int], list[int]]] = []
    thread = threading.Thread(target=lambda: answers.append(waiting.select(0, [server], None, None)), daemon=True)
    thread.start()
    wait_until_blocked(server, thread)
    assert answers == []  # EVT-025
    transfer.send(client, b"x")
    thread.join(20)
    assert answers == [([server], [], [])]


@pytest.mark.parametrize("layers", [(), (PassThrough,)], ids=["inet", "pass"])
def test_what_is_ready_is_told_and_nothing_else(layers: tuple[type[Layer], ...]) -> None:
    with World(through(*layers)) as world:
        listener, address = world.listener()
        quiet, _ = world.listener()
        (_, has_data), (_, idle), (ended, has_ended), (reset, was_reset) = (world.connected() for _ in range(4))
        everyone = [listener, quiet, has_data, idle, has_ended, was_reset]
        assert waiting.select(0, everyone, None, everyone, 0) == ([], [], [])  # EVT-025, EVT-026
        client = world.stream()
        options.ioctlsocket(client, FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(client, address)
        assert waiting.select(0, None, [client], [client], 20) == ([], [client], [])  # EVT-023, CONN-023
        sends_to(has_data)
        sockets.closesocket(ended)
        options.setsockopt(reset, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        sockets.closesocket(reset)
        found: set[int] = set()
        for s in (listener, has_data, has_ended, was_reset):
            found |= set(waiting.select(0, [s], None, None, 20)[0])
        assert found == {listener, has_data, has_ended, was_reset}  # EVT-022
        before = list(everyone)
        assert waiting.select(0, everyone, [idle, quiet], everyone, 0) == (
            [listener, has_data, has_ended, was_reset],  # EVT-026: in the order given, idle and quiet are not
            [idle],  # EVT-023
            [],
        )
        assert everyone == before


def sends_to(s: int) -> None:
    """A byte comes from its peer."""
    peer = sockets.getpeername(s)
    transfer.send(next(other for other in records if other != s and named(other) == peer), b"x")


def named(s: int) -> object:
    try:
        return sockets.getsockname(s)
    except WinsockError:
        return None


class Watching(Layer):
    """A layer with a WSPSelect of its own, so that its sockets are another provider's."""

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        return self.next.WSPSelect(nfds, readfds, writefds, exceptfds, timeout)


class Recording(Watching):
    """The same, and remembers what it was asked for."""

    asked: ClassVar[list[tuple[int, set[int]]]] = []

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        handles = {*(readfds or ()), *(writefds or ()), *(exceptfds or ())}
        self.asked.append((self.info.dwCatalogEntryId, handles))
        return super().WSPSelect(nfds, readfds, writefds, exceptfds, timeout)


def test_a_provider_is_asked_for_its_own_sockets_only() -> None:
    """EVT-020."""
    Recording.asked.clear()
    with World(through(Recording)) as world:
        pairs = [world.connected(), world.datagrams(), world.connected()]
        for pair in pairs:
            transfer.send(pair.client, b"x")
        everyone = [s for pair in pairs for s in pair]
        assert waiting.select(0, everyone, [pairs[1].client], everyone, 20)[1] == [pairs[1].client]
        owners = {s: records[s].entry.info.dwCatalogEntryId for s in everyone}
        assert len(set(owners.values())) == 2
        assert {entry_id for entry_id, _ in Recording.asked} == set(owners.values())
        for entry_id, handles in Recording.asked:
            assert {owners[s] for s in handles} <= {entry_id}


@pytest.mark.parametrize("layers", [(), (PassThrough,), (Watching,)], ids=["inet", "pass", "watching"])
def test_sockets_of_many_providers_at_once(layers: tuple[type[Layer], ...]) -> None:
    with World(through(*layers)) as world:
        pairs = [world.connected(), world.datagrams()]
        if has_ipv6():
            world.family = AF_INET6
            pairs += [world.connected(), world.datagrams()]
        servers = [pair.server for pair in pairs]
        dead = world.stream()
        assert waiting.select(0, [*servers, dead], None, [*servers, dead], 0.02) == ([], [], [])
        for pair in pairs:
            later = threading.Timer(0.02, transfer.send, (pair.client, b"x"))
            later.start()
            assert waiting.select(0, [dead, *servers], [dead], None, 20) == ([pair.server], [], [])
            later.join()
            assert transfer.recv(pair.server, 1) == b"x"
