"""Files over real chains: layers with handles of their own, stream layers, and what stands above and below them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dispatcher.strangers import SECONDS, read_all, settle
from tests.waiting import wait_until
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.options import Linger
from winsock.api import options, sockets, transfer
from winsock.dispatcher.records import records, serving
from winsock.dispatcher.redirector import as_file
from winsock.spi.handles import NonIfsLayer
from winsock.spi.layer import Layer
from winsock.spi.provider import OptionValue
from winsock.spi.stream import StreamLayer
from winsock.testing import World, through

MUCH = bytes(range(256)) * 4000


class Own(NonIfsLayer):
    """Everything passes, under handles of its own."""


class Below(NonIfsLayer):
    """The same."""


class Pass(Layer):
    """Everything passes."""


class Swap(StreamLayer):
    """Capital letters are small in the network, and small ones capital."""

    def outgoing(self, data: bytes) -> bytes:
        return data.swapcase()

    def incoming(self, data: bytes) -> bytes:
        return data.swapcase()


class Lent(Layer):
    """Receives while the layers below have the time-out that was set, and nobody takes it back before it ran out."""

    def __init__(self) -> None:
        self.lent, self.ran_out = threading.Event(), threading.Event()

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.next.WSPSetSockOpt(s, level, optname, value)
        if optname == c.SO_RCVTIMEO and value:
            self.lent.set()
            assert self.ran_out.wait(SECONDS)

    def WSPRecv(self, s: int, buffers: Any, flags: int = 0, *rest: Any) -> tuple[int, int] | None:
        assert self.lent.wait(SECONDS)
        try:
            answer: tuple[int, int] | None = self.next.WSPRecv(s, buffers, flags)
        except e.WinsockError:
            self.ran_out.set()
            raise
        return answer


CHAINS: dict[str, tuple[type, ...]] = {
    "own": (Own,),
    "own-own": (Own, Below),
    "pass-own": (Pass, Own),
    "own-pass": (Own, Pass),
    "stream": (Swap,),
    "own-stream-pass": (Own, Swap, Pass),
}


@pytest.fixture(params=list(CHAINS.values()), ids=list(CHAINS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(through(*request.param)) as started:
        yield started


def test_both_ends_may_be_files(world: World) -> None:
    client, server = world.connected()
    for s in (client, server):
        assert records[s].made
        assert as_file(s) == s
    os.write(client, b"Question")
    assert os.read(server, 20) == b"Question"
    os.write(server, b"Answer")
    assert os.read(client, 20) == b"Answer"
    sockets.shutdown(client, c.SD_SEND)
    assert os.read(server, 1) == b""
    os.write(server, b"Still")
    os.close(server)
    assert read_all(client) == b"Still"
    sockets.closesocket(client)
    settle()


def test_much_crosses_whole(world: World) -> None:
    client, server = world.connected()
    as_file(client)
    received: list[bytes] = []

    def receive() -> None:
        data = b""
        while part := transfer.recv(server, 65536):
            data += part
        received.append(data)

    reader = threading.Thread(target=receive, daemon=True)
    reader.start()
    for start in range(0, len(MUCH), 50_000):
        os.write(client, MUCH[start : start + 50_000])
    os.close(client)
    reader.join(SECONDS)
    assert received == [MUCH]
    settle()


def test_a_reset_crosses(world: World) -> None:
    client, server = world.connected()
    as_file(client)
    options.setsockopt(server, c.SOL_SOCKET, c.SO_LINGER, Linger(1, 0))
    sockets.closesocket(server)
    with pytest.raises(ConnectionResetError):
        os.read(client, 1)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_a_time_out_that_the_layers_have_for_a_moment_loses_nothing(chain: tuple[type, ...]) -> None:
    with World(through(Lent, *chain)) as world:
        client, server = world.connected()
        as_file(server)
        options.setsockopt(server, c.SOL_SOCKET, c.SO_RCVTIMEO, 5)
        options.setsockopt(server, c.SOL_SOCKET, c.SO_RCVTIMEO, 0)
        transfer.send(client, b"Late")
        assert transfer.recv(server, 10) == b"Late"


def test_numbers_may_be_anybodys_at_once(world: World) -> None:
    """The next sockets get the lowest numbers there are, also those below the layer's handles."""
    client, server = world.connected()
    as_file(client)
    os.set_blocking(client, False)
    sent = 0
    try:
        while True:
            sent += os.write(client, bytes(65536))
    except BlockingIOError:
        pass
    os.close(client)
    others = [world.stream() for _ in range(4)]
    received = 0
    while part := transfer.recv(server, 1 << 20):
        received += len(part)
    assert received == sent
    settle()
    for other in others:
        sockets.closesocket(other)


def test_closed_behind_our_back_it_ends_below(world: World) -> None:
    client, server = world.connected()
    os.close(client)
    taken = [world.stream() for _ in range(2)]
    wait_until(lambda: not serving, "ending")
    assert transfer.recv(server, 1) == b""
    for s in taken:
        sockets.closesocket(s)
