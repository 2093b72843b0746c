"""The thread of all direct connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tests.drivers import layers as ours
from tests.drivers.world import PATIENCE_S
from tests.waiting import wait_until
from winsock.abi.constants import FIONBIO
from winsock.abi.errors import WinsockError
from winsock.api import options, sockets, transfer
from winsock.core.journal import journal
from winsock.dispatcher.drivers import keeper
from winsock.dispatcher.drivers.connection import Connection
from winsock.dispatcher.drivers.direct import Direct
from winsock.dispatcher.records import records
from winsock.spi.provider import ProcTable
from winsock.testing import World, through


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        yield server


class Sleeper(ours.Late):
    """Sleeps in a hook until the test lets it go on."""

    wakes = threading.Event()
    sleeps = threading.Event()

    def outgoing(self, data: bytes) -> None:
        if data == b"sleep":
            self.sleeps.set()
            assert self.wakes.wait(PATIENCE_S)
        super().outgoing(data)


def test_a_layer_that_sleeps_keeps_no_other_connection_waiting(server: socket.socket) -> None:
    with World(through(Sleeper)) as world:
        pairs = []
        for _ in range(2):
            s = world.stream()
            sockets.connect(s, server.getsockname())
            pairs.append((s, server.accept()[0]))
        (asleep, first), (awake, second) = pairs
        with first, second:
            transfer.send(asleep, b"before")  # which the keeper has to deliver late
            thread = threading.Thread(target=transfer.send, args=(asleep, b"sleep"), daemon=True)
            thread.start()
            assert Sleeper.sleeps.wait(PATIENCE_S)
            transfer.send(awake, b"well")
            second.settimeout(PATIENCE_S)
            assert second.recv(9) == b"well"
            Sleeper.wakes.set()
            thread.join(PATIENCE_S)
            received = b""
            first.settimeout(PATIENCE_S)
            while len(received) < 11:
                received += first.recv(99)
            assert received == b"beforesleep"


def test_a_defect_of_ours_is_told_and_ends_nothing_else(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(journal, "sink", lines.append)
    tend = Connection.tend

    def broken(self: Connection) -> Any:
        if self.handle == victim:
            raise ZeroDivisionError("tripped")
        return tend(self)

    with World(through(ours.Late)) as world:
        victim, other = world.stream(), world.stream()
        monkeypatch.setattr(Connection, "tend", broken)
        for s in (victim, other):
            sockets.connect(s, server.getsockname())
            with server.accept()[0] as peer:
                peer.settimeout(PATIENCE_S)
                transfer.send(s, b"late")
                if s == other:
                    assert peer.recv(9) == b"late"
        monkeypatch.undo()
    assert "ZeroDivisionError: tripped" in lines[0]


def _has_nothing_to_do(connection: Connection) -> bool:
    return connection.tend() is None


def test_who_comes_too_late_does_nothing(server: socket.socket) -> None:
    """The socket below is closed, and its number may be another's."""
    with World(through(ours.Patient, ours.Late)) as world:
        for blocking in (True, False):
            s = world.stream()
            options.ioctlsocket(s, FIONBIO, not blocking)
            try:
                sockets.connect(s, server.getsockname())
            except WinsockError:
                assert not blocking
            late = [layer for layer in records[s].chain.layers if isinstance(layer, Direct)]
            connections = [handle.driven for layer in late for handle in layer._contexts.values() if handle.driven]
            sockets.closesocket(s)
            keeper.drain(connections)
            assert connections
            for connection in connections:
                assert connection.over
                connection.table = ProcTable()  # which has no function to be called
                wait_until(partial(_has_nothing_to_do, connection), "the keeper to let go of it")
                assert not connection.read()
            server.accept()[0].close()


def test_where_there_are_no_threads_it_is_drained(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the interpreter ends."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with World(through(ours.Late)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0] as peer:
            monkeypatch.setattr(keeper, "_waiter", None)
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", refuse)
                transfer.send(s, b"late")
                sockets.closesocket(s)
                peer.setblocking(False)
                keeper.drain(keeper.closing())
            assert peer.recv(9) == b"late"


def test_it_does_nothing_while_there_is_nothing_to_do(server: socket.socket) -> None:
    with World(through(ours.Late)) as world:
        s = world.stream()
        sockets.connect(s, server.getsockname())
        with server.accept()[0] as peer:
            transfer.send(s, b"late")
            peer.settimeout(PATIENCE_S)
            assert peer.recv(9) == b"late"
            deadline = time.monotonic() + PATIENCE_S
            while keeper._watched:
                assert time.monotonic() < deadline
                time.sleep(0.001)
