"""Sending and receiving on a handle that is a file, where it does not go straight."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from tests.dispatcher.strangers import SECONDS, Stranger, World, fill, read_all
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.api import options, sockets, transfer
from winsock.dispatcher.records import records, senders
from winsock.spi.provider import OptionValue


@pytest.fixture
def world() -> Iterator[World]:
    with World() as started:
        yield started


def test_sends_take_the_short_way(world: World) -> None:
    s, peer = world.file()
    transfer.send(s, b"one")
    assert s in senders
    transfer.send(s, b"two")
    sockets.shutdown(s, c.SD_SEND)
    assert read_all(peer) == b"onetwo"


def send_until_late(s: int) -> int:
    sent = 0
    try:
        while part := transfer.send(s, b"more"):
            sent += part
    except e.WinsockError as error:
        if error.winerror != e.WSAETIMEDOUT:
            raise
    return sent


@pytest.mark.parametrize("way", ["short", "vector"])
def test_a_send_that_runs_out_of_time_says_how_far_it_came(world: World, way: str) -> None:
    s, peer = world.file()
    transfer.send(s, b"first")
    options.setsockopt(s, c.SOL_SOCKET, c.SO_SNDTIMEO, 50)
    much = bytes(32 << 20)
    sent = transfer.send(s, much) if way == "short" else transfer.WSASend(s, [much[:5], much[5:]])
    assert sent is not None
    assert 0 < sent < len(much)
    sent += send_until_late(s)  # a little may still move
    sockets.shutdown(s, c.SD_SEND)
    assert len(read_all(peer)) == 5 + sent


class Contended(Stranger):
    """Between a time-out that is set and its being read, another thread sets one, if it can."""

    other: threading.Thread | None = None

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        if optname == c.SO_SNDTIMEO and self.context(s).options.get(optname) == 20:
            self.other = threading.Thread(
                target=options.setsockopt, args=(s, c.SOL_SOCKET, c.SO_SNDTIMEO, 30), daemon=True
            )
            self.other.start()
            self.other.join(0.05)
        return super().WSPGetSockOpt(s, level, optname)


def test_of_two_time_outs_set_at_once_one_is_kept() -> None:
    with World(Contended) as world:
        s, _ = world.file()
        assert isinstance(world.provider, Contended)
        options.setsockopt(s, c.SOL_SOCKET, c.SO_SNDTIMEO, 20)
        assert world.provider.other is not None
        world.provider.other.join(SECONDS)
        assert options.getsockopt(s, c.SOL_SOCKET, c.SO_SNDTIMEO) == 30
        assert world.context(s).options[c.SO_SNDTIMEO] == 0


def test_a_signal_in_between_loses_nothing(world: World) -> None:
    """The kernel ends a send early where a handler ran; the rest follows."""
    s, peer = world.file()
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    received: list[bytes] = []
    main = threading.main_thread().ident
    assert main is not None

    def interrupt_and_read() -> None:
        for _ in range(3):
            signal.pthread_kill(main, signal.SIGUSR1)
        received.append(read_all(peer))

    reader = threading.Timer(0.1, interrupt_and_read)
    try:
        reader.start()
        assert transfer.send(s, bytes(8 << 20)) == 8 << 20
        sockets.shutdown(s, c.SD_SEND)
        reader.join(20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [len(data) for data in received] == [8 << 20]


def test_without_room_a_send_that_does_not_wait_fails(world: World) -> None:
    s, _ = world.file()
    options.ioctlsocket(s, c.FIONBIO, 1)
    fill(s)
    for _ in range(2):
        with refused(e.WSAEWOULDBLOCK):
            transfer.send(s, b"x")
    with refused(e.WSAEWOULDBLOCK):
        transfer.WSASend(s, [b"x", b"y"])


def test_a_buffer_that_is_none_is_refused_the_short_way_too(world: World) -> None:
    s, peer = world.file()
    transfer.send(s, b"x")
    with refused(e.WSAEFAULT):
        transfer.send(s, 5)  # type: ignore[arg-type]
    assert peer.recv(10) == b"x"


def test_after_a_close_there_is_nothing_to_send_on(world: World) -> None:
    s, _ = world.file()
    table = records[s].table
    sockets.closesocket(s)
    with refused(e.WSAENOTSOCK):
        transfer.send(s, b"x")
    with refused(e.WSAENOTSOCK):
        table.WSPSend(s, (b"x",))
    with refused(e.WSAECONNABORTED):
        table.WSPRecv(s, (bytearray(1),))
