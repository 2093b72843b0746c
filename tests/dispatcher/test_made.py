"""Handles that WPUCreateSocketHandle made: their numbers, and how associations end whose numbers are gone."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dispatcher.strangers import Stranger, World, settle
from tests.refusals import refused
from winsock.abi import errors as e
from winsock.api import sockets, transfer
from winsock.dispatcher import made
from winsock.dispatcher.records import records, serving


@pytest.fixture
def world() -> Iterator[World]:
    with World() as started:
        yield started


class TestClosedBehindOurBack:
    """The provider hears of it, once, whoever finds out."""

    def test_by_a_call(self, world: World) -> None:
        s, peer = world.connected()
        context = world.context(s)
        os.close(s)
        with refused(e.WSAENOTSOCK):
            sockets.getpeername(s)
        settle()
        assert context.closings == 1
        assert peer.recv(1) == b""
        assert s not in records

    def test_by_a_new_handle_of_the_number(self, world: World) -> None:
        s, peer = world.connected()
        context = world.context(s)
        os.close(s)
        with refused(e.WSAENOTSOCK):  # a provider that asks is told, too
            world.provider.upcalls.WPUQuerySocketHandleContext(s)
        settle()
        assert context.closings == 1
        assert peer.recv(1) == b""

    def test_by_the_number_being_another_made_handle(self, world: World) -> None:
        s, _ = world.connected()
        context = world.context(s)
        os.close(s)
        first = world.provider.upcalls.WPUCreateSocketHandle(world.chain.ids[0], context)
        assert first == s  # nobody had found out
        settle()
        assert context.closings == 1
        assert world.context(first) is context
        world.provider.upcalls.WPUCloseSocketHandle(first)

    def test_another_placeholder_is_not_taken_for_it(self, world: World) -> None:
        s, _ = world.connected()
        os.close(s)
        with open(os.devnull, "rb") as stranger:
            assert stranger.fileno() == s  # the very file that placeholders stand for
            with refused(e.WSAENOTSOCK):
                transfer.WSASend(s, [b"x"])
            settle()
            assert stranger.read() == b""

    def test_what_has_the_number_now_stays_open(self, world: World) -> None:
        s, _ = world.connected()
        os.close(s)
        with open(os.devnull, "rb") as stranger:
            with refused(e.WSAENOTSOCK):
                sockets.closesocket(s)
            settle()
            os.fstat(stranger.fileno())

    def test_cleanup_ends_it(self) -> None:
        with World() as world:
            s, peer = world.connected()
            context = world.context(s)
            os.close(s)
            copy = peer.dup()
        with copy:
            assert copy.recv(1) == b""
        assert context.closings == 1

    def test_a_provider_that_fails_there_is_written_down(self, lines: list[str]) -> None:
        with World(Raising) as world:
            s, _ = world.connected()
            context = world.context(s)
            os.close(s)
            with refused(e.WSAENOTSOCK):
                sockets.getpeername(s)
            settle()
            context.sock.close()
        assert [line for line in lines if "WSPCloseSocket" in line and "KeyError" in line]

    def test_without_threads_it_is_done_at_once(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        s, _ = world.connected()
        context = world.context(s)
        os.close(s)

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with refused(e.WSAENOTSOCK):
            sockets.getpeername(s)
        assert context.closings == 1
        assert not serving

    def test_a_number_is_not_given_again_while_its_association_ends(self) -> None:
        with World(Slow) as slow:
            s, _ = slow.connected()
            context = slow.context(s)
            os.close(s)
            with refused(e.WSAENOTSOCK):
                sockets.getpeername(s)
            assert Slow.closing.wait(20)
            others = [slow.connected()[0] for _ in range(2)]
            assert s not in others
            Slow.go_on.set()
            settle()
            assert context.closings == 1
            again = made.placeholder()
            assert again == s
            os.close(again)

    def test_what_has_ended_ends_no_other_association_of_its_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with World(Lingering) as lingering:
            s, _ = lingering.connected()
            os.close(s)
            with refused(e.WSAENOTSOCK):
                sockets.getpeername(s)
            assert Lingering.ended.wait(20)
            settle()
            (ending,) = (thread for thread in threading.enumerate() if thread.name == f"winsock-lost-{s}")
            later: Any = object()
            with monkeypatch.context() as patched:
                patched.setitem(serving, s, later)
                Lingering.go_on.set()
                ending.join(20)
                assert serving[s] is later


class Raising(Stranger):
    def WSPCloseSocket(self, s: int) -> None:
        raise KeyError(s)


class Slow(Stranger):
    closing, go_on = threading.Event(), threading.Event()

    def WSPStartup(self, *arguments: Any) -> Any:
        self.closing.clear()
        self.go_on.clear()
        return super().WSPStartup(*arguments)

    def WSPCloseSocket(self, s: int) -> None:
        self.closing.set()
        self.go_on.wait(20)
        super().WSPCloseSocket(s)


class Lingering(Stranger):
    ended, go_on = threading.Event(), threading.Event()

    def WSPStartup(self, *arguments: Any) -> Any:
        self.ended.clear()
        self.go_on.clear()
        return super().WSPStartup(*arguments)

    def WSPCloseSocket(self, s: int) -> None:
        super().WSPCloseSocket(s)
        self.ended.set()
        self.go_on.wait(20)
