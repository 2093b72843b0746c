"""WSAPoll, which tells the same whatever stands above a socket; rows PO of `windows_behaviours.md`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conformance.layers import OwnHandles, PassThrough, ReadBytes
from tests.refusals import refused
from tests.waiting import DEADLINE_S, wait_until
from winsock.abi.constants import (
    FIONBIO,
    MSG_OOB,
    POLLERR,
    POLLHUP,
    POLLIN,
    POLLNVAL,
    POLLPRI,
    POLLRDBAND,
    POLLRDNORM,
    POLLWRNORM,
    SD_SEND,
    SO_LINGER,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAECONNREFUSED, WSAEINVAL, WSAEWOULDBLOCK
from winsock.abi.options import Linger
from winsock.api import options, sockets, transfer, waiting
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher import waits
from winsock.testing import World, through
from winsock.testing.pairs import LayerLike

ALL = POLLIN | POLLWRNORM
LONG_MS = 20_000
CHAINS: dict[str, tuple[LayerLike, ...]] = {
    "inet": (),
    "pass": (PassThrough,),
    "own": (OwnHandles,),
    "bytes": (ReadBytes,),
}


@pytest.fixture(params=[*CHAINS])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(through(*CHAINS[request.param])) as world:
        yield world


def polled(s: int, asked: int = ALL) -> int:
    return dict(waiting.WSAPoll([(s, asked)], 0)).get(s, 0)


def waited(s: int, asked: int, until: int) -> None:
    """Wait until just this is told."""
    assert waiting.WSAPoll([(s, asked)], LONG_MS) == [(s, until)]


@contextmanager
def once_waited_for(s: int, call: Callable[[], object]) -> Iterator[None]:
    """Make a call on another thread when this one waits for a socket."""

    def body() -> None:
        wait_until(lambda: s in waits.waiting, "the wait")
        call()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    yield
    thread.join(DEADLINE_S)


def test_data_is_told_to_who_asks(world: World) -> None:  # PO-06, PO-07
    pair = world.connected()
    assert polled(pair.server) == POLLWRNORM
    transfer.send(pair.client, b"x")
    waited(pair.server, POLLRDNORM, POLLRDNORM)
    assert polled(pair.server) == POLLRDNORM | POLLWRNORM
    assert polled(pair.server, POLLRDBAND | POLLWRNORM) == POLLWRNORM
    assert waiting.WSAPoll([(pair.server, POLLRDBAND)], 10) == []


def test_the_end_is_told_unasked(world: World) -> None:  # PO-09, PO-10, PO-11
    pair = world.connected()
    transfer.send(pair.client, b"x")
    waited(pair.server, POLLRDNORM, POLLRDNORM)
    with once_waited_for(pair.server, lambda: sockets.shutdown(pair.client, SD_SEND)):
        waited(pair.server, 0, POLLHUP)
    assert polled(pair.server) == POLLRDNORM | POLLWRNORM | POLLHUP
    transfer.recv(pair.server, 10)
    assert polled(pair.server) == POLLWRNORM | POLLHUP


def test_a_reset_is_told_unasked(world: World) -> None:  # PO-14
    pair = world.connected()
    options.setsockopt(pair.client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
    sockets.closesocket(pair.client)
    waited(pair.server, 0, POLLERR | POLLHUP)
    assert polled(pair.server) == POLLERR | POLLHUP | POLLWRNORM


@pytest.mark.parametrize("waits", [True, False])
def test_a_connect_that_failed(world: World, waits: bool) -> None:  # PO-13
    s = world.stream()
    closed = world.closed_port()
    if waits:
        with refused(WSAECONNREFUSED):
            sockets.connect(s, closed)
    else:
        options.ioctlsocket(s, FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(s, closed)
        waited(s, 0, POLLERR | POLLHUP)
    assert polled(s) == POLLERR | POLLHUP | POLLWRNORM


@pytest.mark.parametrize("world", ["inet", "pass", "own"], indirect=True)
def test_urgent_data_is_no_error(world: World) -> None:
    pair = world.connected()
    transfer.send(pair.client, b"!", MSG_OOB)
    waited(pair.server, POLLRDBAND, POLLRDBAND)
    assert polled(pair.server, 0) == 0
    assert transfer.recv(pair.server, 1, MSG_OOB) == b"!"


def test_a_socket_that_another_thread_closes(world: World) -> None:
    pair = world.connected()
    with once_waited_for(pair.server, lambda: sockets.closesocket(pair.server)):
        waited(pair.server, 0, POLLNVAL)


def test_a_socket_may_be_there_twice(world: World) -> None:
    pair = world.connected()
    twice = [(pair.server, POLLRDNORM), (pair.server, POLLWRNORM)]
    assert waiting.WSAPoll(twice, 0) == [(pair.server, POLLWRNORM)]
    transfer.send(pair.client, b"x")
    waited(pair.server, POLLRDNORM, POLLRDNORM)
    assert waiting.WSAPoll([*twice, (-1, 0)], 0) == [(pair.server, POLLRDNORM), (pair.server, POLLWRNORM)]
    sockets.closesocket(pair.server)
    assert waiting.WSAPoll(twice, 0) == [(pair.server, POLLNVAL)] * 2


def test_what_is_passed_over_may_be_anything(world: World) -> None:
    s = world.stream()
    for nothing in (-1, -7):
        assert waiting.WSAPoll([(nothing, POLLPRI), (s, 0)], 0) == []
        with refused(WSAEINVAL):
            waiting.WSAPoll([(nothing, POLLIN)], 0)
    with refused(WSAEINVAL):
        waiting.WSAPoll([(-1, 0), (s, POLLPRI)], 0)


def test_select_over_two_chains_hears_of_a_close() -> None:  # SE-16
    with World(through(OwnHandles)) as world:
        pair = world.connected()
        plain = sockets.WSASocket(world.family, SOCK_STREAM, 0, BUILTIN[0].info)
        with once_waited_for(pair.server, lambda: sockets.closesocket(pair.server)):
            assert waiting.select(0, [pair.server, plain], None, None, LONG_MS / 1000) == ([pair.server], [], [])
