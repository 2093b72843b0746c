"""A wait ends when its descriptors have news, and when a provider says that it has some."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from winsock.dispatcher import waits
from winsock.dispatcher.waits import IN, OUT, Alarm, Waiter, earliest, poll, wake

LONG_S = 20.0


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def soon() -> float:
    return time.monotonic() + 0.01


def later() -> float:
    return time.monotonic() + LONG_S


class TestWaiter:
    def test_it_ends_when_the_time_is_up(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        with Waiter([base]) as waiter:
            until = soon()
            waiter.wait({base: IN}, until)
            assert until <= time.monotonic() < until + LONG_S

    def test_it_ends_when_its_descriptor_has_news(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        with Waiter([base]) as waiter:
            threading.Timer(0.01, pair[1].send, [b"x"]).start()
            waiter.wait({base: IN}, later())
            assert pair[0].recv(1) == b"x"

    def test_it_ends_when_it_is_woken(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        until = later()
        with Waiter([base]) as waiter:
            threading.Timer(0.01, wake, [base]).start()
            waiter.wait({base: IN}, until)
            assert time.monotonic() < until
            waiter.wait({base: IN}, soon())  # once is once

    def test_a_time_that_poll_does_not_know(self, pair: tuple[socket.socket, socket.socket]) -> None:
        assert poll({pair[0].fileno(): OUT}, time.monotonic() + 1e12) == {pair[0].fileno()}

    def test_news_before_the_wait_are_not_missed(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        until = later()
        with Waiter([base]) as waiter:
            wake(base)
            waiter.wait({base: IN}, until)
        assert time.monotonic() < until

    def test_several_are_woken_and_others_are_not(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base, other = (sock.fileno() for sock in pair)
        with Waiter([base]) as one, Waiter([base, other]) as two, Waiter([other]) as three:
            wake(base)
            for waiter, is_woken in ((one, True), (two, True), (three, False)):
                assert (waiter._alarm.reader in poll({waiter._alarm.reader: IN}, 0)) is is_woken

    def test_who_waits_no_more_is_forgotten(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        with Waiter([base, base]):
            assert base in waits.waiting
        assert base not in waits.waiting
        wake(base)

    def test_alarms_are_used_again_and_silent(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        with Waiter([base]) as waiter:
            first = waiter._alarm
            wake(base)
        with Waiter([base]) as waiter:
            assert waiter._alarm is first
            assert not poll({first.reader: IN}, 0)

    def test_another_thread_may_take_the_last_alarm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Taken(list[Alarm]):
            """Empty by the time that one is taken."""

            def __bool__(self) -> bool:
                return True

        monkeypatch.setattr(waits, "_alarms", Taken())
        with Waiter([]) as waiter:
            waiter.ring()
            waiter.wait({}, later())
        waiter._alarm.close()

    def test_a_descriptor_that_wakes_for_nothing_makes_nobody_spin(
        self, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        base = pair[0].fileno()
        until = time.monotonic() + 0.2
        rounds = 0
        with Waiter([base]) as waiter:
            while time.monotonic() < until:
                waiter.wait({base: OUT}, until)
                rounds += 1
        assert rounds < 30

    def test_unless_something_comes_of_it(self, pair: tuple[socket.socket, socket.socket]) -> None:
        base = pair[0].fileno()
        with Waiter([base]) as waiter:
            for _ in range(30):
                waiter.wait({base: OUT}, later(), moved=True)
            assert not [count for count in waiter._wakes.values() if count > 1]

    def test_a_noisy_descriptor_hides_no_other(self, pair: tuple[socket.socket, socket.socket]) -> None:
        noisy, quiet = (sock.fileno() for sock in pair)
        with Waiter([noisy, quiet]) as waiter:
            for _ in range(6):
                waiter.wait({noisy: OUT, quiet: IN}, later())
            pair[0].send(b"x")
            waiter.wait({noisy: OUT, quiet: IN}, later())
            assert waiter._wakes[quiet] == 1


class TestAlarm:
    @pytest.mark.parametrize("has_eventfd", [True, False])
    def test_it_rings_until_it_is_silenced(self, has_eventfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        if not has_eventfd:
            monkeypatch.delattr(os, "eventfd", raising=False)
        alarm = Alarm()
        try:
            alarm.silence()
            for _ in range(3):
                alarm.ring()
            assert poll({alarm.reader: IN}, 0)
            alarm.silence()
            assert not poll({alarm.reader: IN}, 0)
        finally:
            alarm.close()

    def test_it_rings_however_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(os, "eventfd", raising=False)
        alarm = Alarm()
        try:
            for _ in range(100_000):
                alarm.ring()
            assert poll({alarm.reader: IN}, 0)
        finally:
            alarm.close()


def test_a_host_without_poll_waits_by_select(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (sock.fileno() for sock in pair)
    monkeypatch.delattr(select, "poll")
    assert poll({one: IN, other: OUT}, later()) == {other}
    assert poll({one: IN}, soon()) == set()


def test_earliest() -> None:
    assert earliest() is earliest(None, None) is None
    assert earliest(None, 2.0, 1.0) == 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this host does not fork")
def test_a_child_has_alarms_of_its_own() -> None:
    base = 1 << 20  # no descriptor: whoever had the number of one before may still tell of its news
    with Waiter([base]) as waiter:
        child = os.fork()
        if child == 0:
            wake(base)
            os._exit(bool(waits.waiting) + 2 * bool(waits._alarms))
        left = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert left == 0, "1: the child knows the parent's waiters, 2: it has alarms"
        assert not poll({waiter._alarm.reader: IN}, 0), "the child has rung the parent's alarm"
