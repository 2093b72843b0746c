"""What the last WSACleanup does to calls that wait and to events that somebody asked for (INIT-008)."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from tests.api.test_sockets import wait_until_blocked
from tests.conformance.layers import OwnHandles, PassThrough
from winsock.abi.constants import FD_CLOSE, FD_READ
from winsock.abi.errors import WinsockError
from winsock.api import events, sockets, startup, transfer, waiting
from winsock.dispatcher import process
from winsock.dispatcher.records import records
from winsock.dispatcher.redirector import as_file
from winsock.overlapped import events as event_objects
from winsock.overlapped.messages import MessageQueue
from winsock.spi.handles import base_handle
from winsock.spi.layer import Layer
from winsock.testing import World, through

SECONDS = 20
CHAINS = {"inet": (), "pass": (PassThrough,), "own": (OwnHandles,)}


class Looking(Layer):
    """Looks round whenever a socket was closed."""

    look: ClassVar[Callable[[int], None]] = staticmethod(lambda s: None)

    def WSPCloseSocket(self, s: int) -> None:
        super().WSPCloseSocket(s)
        type(self).look(s)


@pytest.fixture(params=list(CHAINS.values()), ids=list(CHAINS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Started, and to be cleaned up by the test."""
    world = World(through(Looking, *request.param))
    process.startup(catalog=world.catalog)
    yield world
    while process.is_started():
        process.cleanup()


def test_calls_that_wait_in_any_thread_come_back(world: World) -> None:
    """INIT-008: whatever they wait for. There are no overlapped calls yet."""
    datagram, selected = world.datagram(), world.datagram()
    waits: dict[int, Callable[[int], object]] = {
        world.listener()[0]: sockets.accept,
        world.connected().client: lambda s: transfer.recv(s, 1),
        datagram: lambda s: transfer.recvfrom(s, 1),
        selected: lambda s: waiting.select(0, [s], None, None, None),
    }
    answers: dict[int, object] = {}

    def wait(s: int) -> None:
        try:
            answers[s] = waits[s](s)
        except WinsockError as error:
            answers[s] = error.name

    threads = {s: threading.Thread(target=wait, args=(s,), daemon=True) for s in waits}
    for s, thread in threads.items():
        below = base_handle(records[s].table, s)
        thread.start()
        wait_until_blocked(below, thread)
    startup.WSACleanup()
    for thread in threads.values():
        thread.join(SECONDS)
    assert answers.keys() == waits.keys()
    answers.pop(selected)  # which is told that a receive would not wait, or that the socket is gone
    assert set(answers.values()) <= {"WSAECONNABORTED", "WSAECONNRESET", "WSAEINTR"}


@pytest.mark.parametrize("use", [lambda s: s, as_file], ids=["socket", "file"])
def test_nobody_is_told_by_an_event_or_a_message(
    world: World, use: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """INIT-008: also where one end of a connection is reset while the other is still watched."""
    event, window = events.WSACreateEvent(), MessageQueue()
    signalled, posted = world.connected(), world.connected()
    use(signalled.client), use(posted.client)
    events.WSAEventSelect(signalled.client, event, FD_READ | FD_CLOSE)
    events.WSAAsyncSelect(posted.client, window, 1, FD_READ | FD_CLOSE)
    watched = {signalled.server: event, posted.server: window.descriptor}
    found: list[bool] = []

    def look(closed: int) -> None:
        if closed in watched:
            assert select.select([watched[closed]], [], [], SECONDS)[0], "the kernel tells of the reset"
            found.append(event_objects.find(event).is_set() or window.get(0) is not None)

    monkeypatch.setattr(Looking, "look", staticmethod(look))
    startup.WSACleanup()
    assert found == [False, False]
    assert not event_objects.find(event).is_set()
    assert window.get(0) is None
    window.close()
