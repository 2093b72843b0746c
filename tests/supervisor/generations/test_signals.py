"""Signals that wait: taken in order, seen from outside, told from whom."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import wraps

import pytest

from winsock.supervisor.generations import signals

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="winsock run needs Linux")


def alone(test: Callable[[], None]) -> Callable[[], None]:
    """Run the test in a process of its own, with all blocked: another thread of this one would take the signals."""

    @wraps(test)
    def in_a_child() -> None:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                signals.block_all()
                test()
            except BaseException:
                os.write(write, traceback.format_exc().encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as report:
            failure = report.read().decode()
        assert os.waitpid(child, 0)[1] == 0
        assert not failure, failure

    return in_a_child


@alone
def test_waiting_signals_are_seen_and_taken_once() -> None:
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMAX):
        os.kill(os.getpid(), number)
    assert signals.pending_of(os.getpid()) == {signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMAX}
    assert signals.take_pending() == [signal.SIGUSR1, signal.SIGTERM, signal.SIGRTMAX]
    assert signals.take_pending() == []


@alone
def test_the_last_of_stop_and_continuation_counts() -> None:
    os.kill(os.getpid(), signal.SIGTSTP)
    os.kill(os.getpid(), signal.SIGCONT)
    assert signals.take_pending() == [signal.SIGCONT]
    os.kill(os.getpid(), signal.SIGCONT)
    os.kill(os.getpid(), signal.SIGTTIN)
    assert signals.take_pending() == [signal.SIGTTIN]


@alone
def test_signals_of_those_named_are_forgotten() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.take_pending(not_from=[os.getpid()]) == []
    assert signals.pending_of(os.getpid()) == set()


def test_a_process_that_is_gone_has_no_signals() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert signals.pending_of(child) == set()


@alone
def test_the_barrier_does_not_care_whether_it_may() -> None:
    before = os.getpgrp()
    signals.await_group_delivery()
    assert os.getpgrp() == before


@alone
def test_harmless_by_default_changes_nothing() -> None:
    signals.take_default(signal.SIGWINCH)
    assert signals.take_pending() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGSEGV, signal.SIGRTMIN])
def test_dying_of_a_signal(number: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            signals.die_of(number)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == number
    assert not os.WCOREDUMP(status)


def test_names() -> None:
    assert signals.name_of(signal.SIGTERM) == "SIGTERM"
    assert signals.name_of(40) == "signal 40"
