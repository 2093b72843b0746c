"""Our end of a pair, and what each end sees of the other."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.dispatcher.strangers import SECONDS, fill, reset
from winsock.dispatcher.redirecting import near as module
from winsock.dispatcher.redirecting.near import Near, pair


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Near]]:
    given, ours = pair()
    with given:
        given.settimeout(SECONDS)
        yield given, ours
    ours.close()


def test_it_is_a_pair(ends: tuple[socket.socket, Near]) -> None:
    given, ours = ends
    given.sendall(b"there")
    assert ours.take() == b"there"
    ours.give(b"back")
    assert given.recv(10) == b"back"
    assert not given.get_inheritable()


def test_nobody_else_gets_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects to the listener before us is sent away."""
    strangers: list[socket.socket] = []
    connect = socket.socket.connect

    def connect_second(sock: socket.socket, address: tuple[str, int]) -> None:
        monkeypatch.undo()
        strangers.append(socket.create_connection(address))
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connect_second)
    given, ours = pair()
    with given, strangers[0] as stranger:
        ours.give(b"for us")
        assert given.recv(10) == b"for us"
        stranger.settimeout(SECONDS)
        assert stranger.recv(1) == b""
    ours.close()


def test_a_pair_that_fails_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(sock: socket.socket, address: object) -> None:
        raise OSError(99, "no route")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(OSError, match="no route"):
        pair()


def test_a_process_wide_time_out_is_none_of_ours() -> None:
    socket.setdefaulttimeout(0.001)
    try:
        given, ours = pair()
    finally:
        socket.setdefaulttimeout(None)
    with given:
        threading.Timer(0.05, given.send, (b"late",)).start()
        assert ours.take() == b"late"
    ours.close()


def test_waiting_goes_on_when_our_patience_ends(
    ends: tuple[socket.socket, Near], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.01)
    given, old = ends
    with socket.socket() as probe:
        probe.close()
    impatient = Near(old._sock.detach())
    threading.Timer(0.05, given.sendall, (b"late",)).start()
    assert impatient.take() == b"late"
    given.setblocking(False)
    sender = threading.Thread(target=impatient.give, args=(bytes(4 << 20),), daemon=True)
    sender.start()
    received = 0
    given.settimeout(SECONDS)
    sender.join(0.05)  # it waits, several patiences long
    while received < 4 << 20:
        received += len(given.recv(1 << 20))
    sender.join(SECONDS)
    impatient.close()


class TestEnds:
    def test_a_shutdown_is_an_end_and_no_more(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        given.shutdown(socket.SHUT_WR)
        assert ours.take() == b""
        over = threading.Thread(target=ours.wait_until_over, daemon=True)
        over.start()
        ours.give(b"still")
        assert given.recv(10) == b"still"
        assert over.is_alive()
        given.close()
        over.join(SECONDS)
        assert not over.is_alive()

    def test_a_close_is_told_at_once(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        given.sendall(b"before")
        given.close()
        assert ours.take() == b"before"
        assert ours.take() == b""
        ours.wait_until_over()

    def test_both_shutdowns_are_over(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        given.shutdown(socket.SHUT_WR)
        assert ours.take() == b""
        ours.end()
        ours.wait_until_over()
        assert given.recv(1) == b""

    def test_an_orderly_end_waits_for_the_reader(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        writer = threading.Thread(target=ours.give, args=(bytes(300_000),), daemon=True)
        writer.start()
        received = len(given.recv(1000))
        given.shutdown(socket.SHUT_WR)

        def finish() -> None:
            writer.join(SECONDS)
            ours.end()
            ours.finish()

        finishing = threading.Thread(target=finish, daemon=True)
        finishing.start()
        while part := given.recv(100_000):
            received += len(part)
        assert received == 300_000
        finishing.join(SECONDS)
        assert not finishing.is_alive()


class TestResets:
    @pytest.mark.parametrize("shut", [False, True])
    @pytest.mark.parametrize("way", [Near.reset, Near.close])
    def test_ours(self, ends: tuple[socket.socket, Near], way: Callable[[Near], None], shut: bool) -> None:
        given, ours = ends
        if shut:
            given.shutdown(socket.SHUT_WR)
            assert ours.take() == b""
        ours.give(b"before")
        way(ours)
        assert given.recv(10) == b"before"
        with pytest.raises(ConnectionResetError):
            given.recv(1)
        ours.reset()

    def test_theirs(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        given.sendall(b"before")
        reset(given)
        assert ours.take() == b"before"
        with pytest.raises(ConnectionResetError):
            ours.take()

    def test_one_that_giving_met_first_is_no_end(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        reset(given)
        with pytest.raises(ConnectionResetError):
            ours.give(b"x")
        with pytest.raises(ConnectionResetError):
            ours.take()

    def test_ours_wakes_who_waits_here(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        raised: list[str] = []

        def wait(call: Callable[[], object]) -> None:
            try:
                call()
            except OSError:
                raised.append("woken")

        threads = [
            threading.Thread(target=wait, args=(call,), daemon=True)
            for call in (ours.take, lambda: ours.give(bytes(64 << 20)))
        ]
        for thread in threads:
            thread.start()
        assert given.recv(1) == b"\0"
        ours.reset()
        for thread in threads:
            thread.join(SECONDS)
        assert raised == ["woken", "woken"]


class TestCounts:
    def test_what_was_not_taken(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        given.sendall(b"four")
        assert ours.untaken() == 4
        ours.take()
        assert ours.untaken() == 0

    def test_what_did_not_arrive(self, ends: tuple[socket.socket, Near]) -> None:
        given, ours = ends
        descriptor = ours._sock.fileno()
        sent = fill(descriptor)
        assert 0 < ours.undelivered() < sent
        given.setblocking(True)
        received = 0
        while received < sent:
            received += len(given.recv(1 << 20))
        ours.wait_until_delivered(SECONDS)
        assert ours.undelivered() == 0

    def test_a_limit_is_a_limit(self, ends: tuple[socket.socket, Near]) -> None:
        _, ours = ends
        fill(ours._sock.fileno())
        ours.wait_until_delivered(0.01)
        assert ours.undelivered()
