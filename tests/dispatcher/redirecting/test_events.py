"""Network events of a handle that is a file."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from tests.dispatcher.strangers import SECONDS, World, fill, read_all, reset
from tests.refusals import refused
from tests.waiting import wait_until
from winsock.abi.constants import FD_CLOSE, FD_READ, FD_WRITE, FIONBIO, FIONREAD, WSA_WAIT_EVENT_0, WSA_WAIT_TIMEOUT
from winsock.abi.errors import WSAECONNRESET, WSAEINVAL, WSAEWOULDBLOCK
from winsock.api import events, options, sockets, transfer
from winsock.dispatcher.redirector import as_file
from winsock.overlapped.messages import MessageQueue
from winsock.spi.handles import NonIfsLayer
from winsock.testing import World as Inet
from winsock.testing import through

ALL = FD_READ | FD_WRITE | FD_CLOSE
SOON_MS = SECONDS * 1000
MESSAGE = 0x401


class Own(NonIfsLayer):
    """Everything passes, under handles of its own."""


@pytest.fixture
def world() -> Iterator[World]:
    with World() as started:
        yield started


@pytest.fixture
def event(world: World) -> Iterator[int]:
    made = events.WSACreateEvent()
    yield made
    events.WSACloseEvent(made)


def wait(event: int, timeout_ms: int = SOON_MS) -> bool:
    answer = events.WSAWaitForMultipleEvents([event], False, timeout_ms)
    assert answer in (WSA_WAIT_EVENT_0, WSA_WAIT_TIMEOUT)
    return answer == WSA_WAIT_EVENT_0


def told(s: int, event: int) -> int:
    """The next events, waiting for them."""
    assert wait(event)
    return events.WSAEnumNetworkEvents(s, event).lNetworkEvents


def test_data_and_the_end(world: World, event: int) -> None:
    s, peer = world.file()
    events.WSAEventSelect(s, event, ALL)
    assert told(s, event) == FD_WRITE
    assert not wait(event, 0)
    for data in (b"one", b"other"):
        peer.sendall(data)
        assert told(s, event) == FD_READ
        assert not wait(event, 0)
        assert transfer.recv(s, 10) == data
    peer.shutdown(socket.SHUT_WR)
    assert told(s, event) == FD_CLOSE


def test_what_is_left_is_told_again(world: World, event: int) -> None:
    s, peer = world.file()
    events.WSAEventSelect(s, event, FD_READ)
    peer.sendall(b"abc")
    assert told(s, event) == FD_READ
    wait_until(lambda: options.ioctlsocket(s, FIONREAD) == 3, "the data")
    assert transfer.recv(s, 1) == b"a"
    assert told(s, event) == FD_READ
    assert transfer.recv(s, 2) == b"bc"
    assert not wait(event, 0)


def test_room_is_told_of_after_a_send_that_found_none(world: World, event: int) -> None:
    s, peer = world.file()
    events.WSAEventSelect(s, event, FD_WRITE)
    assert told(s, event) == FD_WRITE
    fill(s)
    with refused(WSAEWOULDBLOCK):
        transfer.send(s, b"x")
    assert not wait(event, 0)
    sockets.shutdown(s, 1)
    read_all(peer)
    assert told(s, event) == FD_WRITE


def test_a_reset_is_a_close_with_an_error(world: World, event: int) -> None:
    s, peer = world.file()
    events.WSAEventSelect(s, event, FD_CLOSE)
    reset(peer)
    assert wait(event)
    found = events.WSAEnumNetworkEvents(s, event)
    assert found.lNetworkEvents == FD_CLOSE
    assert found.iErrorCode[FD_CLOSE.bit_length() - 1] == WSAECONNRESET


def test_what_was_asked_for_before_is_asked_for_anew() -> None:
    with Inet(through(Own)) as inet:
        event = events.WSACreateEvent()
        s, peer = inet.connected()
        events.WSAEventSelect(s, event, FD_READ)
        as_file(s)
        assert not os.get_blocking(s)
        transfer.send(peer, b"x")
        wait_until(lambda: options.ioctlsocket(s, FIONREAD) == 1, "the data")
        assert not wait(event, 0)
        assert events.WSAEnumNetworkEvents(s).lNetworkEvents == 0
        events.WSAEventSelect(s, event, FD_READ)
        assert told(s, event) == FD_READ
        events.WSACloseEvent(event)


def test_a_file_that_is_selected_does_not_wait(world: World, event: int) -> None:
    s, _ = world.file()
    events.WSAEventSelect(s, event, FD_READ)
    assert not os.get_blocking(s)
    with refused(WSAEINVAL):
        options.ioctlsocket(s, FIONBIO, 0)
    events.WSAEventSelect(s, None, 0)
    options.ioctlsocket(s, FIONBIO, 0)
    assert os.get_blocking(s)


def test_messages(world: World) -> None:
    s, peer = world.file()
    window = MessageQueue()
    try:
        events.WSAAsyncSelect(s, window, MESSAGE, ALL)
        first = window.get(SECONDS)
        assert first is not None
        assert (first.message, first.wparam, first.event, first.error) == (MESSAGE, s, FD_WRITE, 0)
        peer.sendall(b"x")
        second = window.get(SECONDS)
        assert second is not None
        assert second.event == FD_READ
        events.WSAAsyncSelect(s, window, MESSAGE, 0)
        peer.sendall(b"y")
        wait_until(lambda: options.ioctlsocket(s, FIONREAD) == 2, "the data")
        assert window.get(0) is None
    finally:
        window.close()


def test_one_selection_replaces_the_other(world: World, event: int) -> None:
    s, peer = world.file()
    window = MessageQueue()
    try:
        events.WSAAsyncSelect(s, window, MESSAGE, FD_READ)
        events.WSAEventSelect(s, event, FD_READ)
        peer.sendall(b"x")
        assert told(s, event) == FD_READ
        assert window.get(0) is None
    finally:
        window.close()


def test_a_closed_file_is_watched_no_more(world: World, event: int) -> None:
    s, _ = world.file()
    events.WSAEventSelect(s, event, FD_READ)
    sockets.closesocket(s)
    assert not wait(event, 0)


def test_what_it_refuses(world: World, event: int) -> None:
    s, _ = world.file()
    for call in (
        lambda: events.WSAEventSelect(s, 99999, FD_READ),
        lambda: events.WSAEventSelect(s, event, 1 << 20),
        lambda: events.WSAEnumNetworkEvents(s, 99999),
        lambda: events.WSAAsyncSelect(s, None, MESSAGE, FD_READ),
    ):
        with refused(WSAEINVAL):
            call()
