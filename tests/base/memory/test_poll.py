"""WSAPoll of simulated sockets, which tells the same whatever stands above them; and select over several chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import pytest

from tests.base.memory.land import ALICE, AS_LEAF, BOB, Land, going_on, nonblocking, refused
from tests.conformance.layers import CopiedBytes, OwnHandles, PassThrough
from winsock.abi.constants import (
    JL_BOTH,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLOUT,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRNORM,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SO_LINGER,
    SOL_SOCKET,
    WINSOCK_VERSION,
)
from winsock.abi.errors import WSAECONNREFUSED
from winsock.abi.options import Linger
from winsock.api import multipoint, options, sockets, transfer, waiting
from winsock.base.memory import Host
from winsock.catalog.entries import LayerSpec
from winsock.dispatcher import process
from winsock.overlapped.simulation import POLL_S
from winsock.spi.layer import Layer

CHAINS: dict[str, tuple[type[Layer], ...]] = {
    "bare": (),
    "pass": (PassThrough,),
    "own": (OwnHandles,),
    "own,bytes": (OwnHandles, CopiedBytes),
}


class Layered(Land):
    """With layers above everything."""

    def __init__(self, *layers: type[Layer]) -> None:
        super().__init__(latency=0.01)
        self._specs = [
            LayerSpec(layer.name, f"{layer.__module__}:{layer.__qualname__}", ifs_handles=layer.ifs_handles)
            for layer in layers
        ]

    def __enter__(self) -> Self:
        process.startup(WINSOCK_VERSION, self.network.catalog().with_layers(self._specs))
        return self


@pytest.fixture(params=[*CHAINS])
def land(request: pytest.FixtureRequest) -> Land:
    return Layered(*CHAINS[request.param])


ALL = POLLRDNORM | POLLRDBAND | POLLWRNORM


def polled(s: int, asked: int = ALL) -> int:
    """What WSAPoll tells of a socket now."""
    return dict(waiting.WSAPoll([(s, asked)], 0)).get(s, 0)


def bare(land: Land, host: Host) -> int:
    """A socket without layers."""
    with host:
        return sockets.WSASocket(-1, -1, -1, land.network.entries()[0].info)


def later(land: Land, call: Callable[..., object], *args: object) -> None:
    """Make a call on another thread, in a second; no agenda knows of it."""

    def body() -> None:
        land.network.simulation.sleep(1.0)
        call(*args)

    land.bob.spawn(body)


def test_poll(land: Land) -> None:  # PO-07
    with land:
        client, server = land.connected()
        assert waiting.WSAPoll([(client, ALL), (server, POLLRDNORM)], 0) == [(client, POLLWRNORM)]
        transfer.send(client, b"x")
        assert waiting.WSAPoll([(server, POLLRDNORM)], 1000) == [(server, POLLRDNORM)]
        assert waiting.WSAPoll([(server, ALL), (99999, ALL), (-1, ALL)], 1000) == [
            (server, POLLRDNORM | POLLWRNORM),
            (99999, POLLNVAL),
        ]
        assert waiting.WSAPoll([(client, 0)], 1000) == []
        datagrams = land.datagram(land.bob, 7)
        assert polled(datagrams) == POLLWRNORM  # PO-15
        transfer.sendto(land.datagram(land.alice), b"x", 0, (BOB, 7))
        assert waiting.WSAPoll([(datagrams, POLLRDNORM)], -1) == [(datagrams, POLLRDNORM)]


def test_poll_of_a_listener(land: Land) -> None:  # PO-06
    with land:
        listener = land.listener(land.bob, 80)
        assert polled(listener) == 0
        going_on(lambda: sockets.connect(nonblocking(land.stream(land.alice)), (BOB, 80)))
        assert waiting.WSAPoll([(listener, ALL)], -1) == [(listener, POLLRDNORM)]
        assert polled(listener, POLLRDBAND | POLLWRNORM) == 0


@pytest.mark.parametrize("kind", ["stream", "messages"])
def test_poll_tells_the_end_unasked(land: Land, kind: str) -> None:  # PO-09, PO-10, PO-11, PO-14
    with land:
        client, server = land.connected(getattr(land, kind))
        transfer.send(client, b"x")
        sockets.shutdown(client, SD_SEND)
        assert waiting.WSAPoll([(server, 0)], -1) == [(server, POLLHUP)]
        assert polled(server) == POLLRDNORM | POLLWRNORM | POLLHUP
        transfer.recv(server, 10)
        assert polled(server) == POLLWRNORM | POLLHUP
        client, server = land.connected(getattr(land, kind))
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        sockets.closesocket(client)
        assert waiting.WSAPoll([(server, 0)], -1) == [(server, POLLERR | POLLHUP)]
        assert polled(server) == POLLERR | POLLHUP | POLLWRNORM


@pytest.mark.parametrize("waits", [True, False])
def test_poll_of_a_connect_that_failed(land: Land, waits: bool) -> None:  # PO-13
    with land:
        s = land.stream(land.alice)
        assert polled(s) == 0
        if waits:
            refused(WSAECONNREFUSED, lambda: sockets.connect(s, (BOB, 80)))
        else:
            going_on(lambda: sockets.connect(nonblocking(s), (BOB, 80)))
            assert waiting.WSAPoll([(s, 0)], -1) == [(s, POLLERR | POLLHUP)]
        assert polled(s) == POLLERR | POLLHUP | POLLWRNORM


def test_poll_of_what_is_lost(land: Land) -> None:
    with land:
        client, server = land.connected()
        land.network.at(land.network.now, sockets.closesocket, client)
        assert waiting.WSAPoll([(client, 0)], -1) == [(client, POLLNVAL)]
        land.network.at(land.network.now, land.bob.crash)
        assert waiting.WSAPoll([(server, 0)], -1) == [(server, POLLERR | POLLHUP)]
        leaf = nonblocking(land.member(land.alice, AS_LEAF))
        multipoint.WSAJoinLeaf(leaf, (ALICE, 9), None, None, None, None, JL_BOTH)
        land.settle()
        assert polled(leaf) == 0  # MPT-011


@pytest.mark.parametrize("how", [SD_RECEIVE, SD_BOTH])
@pytest.mark.parametrize("resets", [False, True], ids=["ends", "resets"])
def test_a_poll_tells_of_the_peers_end_only(land: Land, how: int, resets: bool) -> None:
    with land:
        client, server = land.connected()
        sockets.shutdown(client, how)
        assert waiting.WSAPoll([(client, POLLIN | POLLOUT)], 0) == [(client, POLLWRNORM)]
        began = land.network.now
        assert waiting.WSAPoll([(client, POLLIN)], 2000) == []
        assert land.network.now - began == pytest.approx(2)
        if resets:
            options.setsockopt(server, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        land.network.clock.at(land.network.now + 1, sockets.closesocket, server)
        expected = POLLHUP | POLLERR if resets else POLLHUP
        assert waiting.WSAPoll([(client, 0)], -1) == [(client, expected)]


def test_a_poll_tells_of_what_came_before_the_end_too(land: Land) -> None:
    with land:
        client, server = land.connected()
        transfer.send(server, b"last words")
        sockets.shutdown(server, SD_SEND)
        land.settle()
        assert waiting.WSAPoll([(client, POLLIN)], 0) == [(client, POLLRDNORM | POLLHUP)]  # PO-10
        transfer.recv(client, 10)
        assert waiting.WSAPoll([(client, POLLIN)], 0) == [(client, POLLHUP)]


def test_a_poll_tells_of_each_what_it_tells_alone(land: Land) -> None:
    with land:
        client, server = land.connected()
        beside = bare(land, land.alice)
        at = sockets.getsockname(land.listener(land.bob, 80))
        sockets.connect(beside, at)
        wanted = [(client, ALL), (beside, ALL), (99999, ALL)]
        assert waiting.WSAPoll(wanted, -1) == [(client, POLLWRNORM), (beside, POLLWRNORM), (99999, POLLNVAL)]
        for s in (client, beside):
            sockets.shutdown(s, SD_RECEIVE)
        assert waiting.WSAPoll([(client, POLLIN), (beside, POLLIN)], 1000) == []
        land.network.at(land.network.now + 1, sockets.shutdown, server, SD_SEND)
        began = land.network.now
        assert waiting.WSAPoll([(beside, 0), (client, 0)], -1) == [(client, POLLHUP)]
        assert land.network.now - began == pytest.approx(1.01, abs=0.001)


def test_nothing_is_missed_that_happens_during_a_look(land: Land) -> None:
    with land:
        client, _ = land.connected()
        beside = bare(land, land.bob)
        sockets.connect(beside, sockets.getsockname(land.listener(land.alice, 80)))
        land.settle()
        land.network.at(land.network.now + POLL_S / 2, land.alice.crash)
        assert waiting.WSAPoll([(client, 0), (beside, 0)], -1) == [(client, POLLERR | POLLHUP)]


def test_nothing_is_missed_that_happens_during_a_look_for_select(land: Land) -> None:
    with land:
        client, _ = land.connected()
        beside = bare(land, land.bob)
        sockets.connect(beside, sockets.getsockname(land.listener(land.alice, 80)))
        land.settle()
        land.network.at(land.network.now + 1.5 * POLL_S, sockets.shutdown, client, SD_RECEIVE)
        assert waiting.select(0, [client, beside], None, None, None) == ([client], [], [])


def test_a_listener_that_another_thread_closes(land: Land) -> None:
    with land:
        listener = land.listener(land.bob, 80)
        later(land, sockets.closesocket, listener)
        assert waiting.WSAPoll([(listener, ALL)], -1) == [(listener, POLLNVAL)]
        land.network.run()


@pytest.mark.parametrize("how", [lambda s: sockets.shutdown(s, SD_RECEIVE), transfer.WSARecvDisconnect])
def test_select_hears_of_what_another_thread_shuts_down(land: Land, how: Callable[[int], object]) -> None:
    with land:
        client, _ = land.connected()
        beside = bare(land, land.alice)
        sockets.connect(beside, sockets.getsockname(land.listener(land.bob, 80)))
        land.settle()
        later(land, how, client)
        asked = [client, beside]
        assert waiting.select(0, asked, None, None, None) == ([client], [], [])
        land.network.run()


def test_of_a_host_that_another_thread_crashes(land: Land) -> None:
    with land:
        client, _ = land.connected()
        later(land, land.alice.crash)
        assert waiting.WSAPoll([(client, 0)], -1) == [(client, POLLERR | POLLHUP)]
        land.network.run()
