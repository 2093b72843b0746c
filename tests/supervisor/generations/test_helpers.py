"""Whose child it is: one that this process has started, or one that nobody will ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from winsock.supervisor.generations.helpers import PATIENCE_S, Helpers
from winsock.supervisor.generations.processes import began_at


@contextmanager
def ended_child() -> Iterator[int]:
    """A child that has ended and is not reaped."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    yield child
    os.waitpid(child, 0)


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_dead_child_that_nobody_started_is_found_after_a_moment(time: Time) -> None:
    helpers = Helpers(time)
    with ended_child() as child:
        assert helpers.nobodys([child]) == []
        assert helpers.patient
        time.now += PATIENCE_S
        assert helpers.nobodys([child]) == [child]
        assert not helpers.patient


def test_one_that_was_asked_for_meanwhile_is_forgotten(time: Time) -> None:
    helpers = Helpers(time)
    with ended_child() as child:
        helpers.nobodys([child])
        assert helpers.nobodys([]) == []
        assert not helpers.patient
        time.now += PATIENCE_S
        assert helpers.nobodys([child]) == []  # a number that is used again begins anew


def test_one_that_was_started_here_is_left_alone_however_long(time: Time) -> None:
    helpers = Helpers(time)
    with ended_child() as child:
        helpers.started(child)
        for _ in range(3):
            assert helpers.nobodys([child]) == []
            time.now += PATIENCE_S
        assert not helpers.patient


def test_a_number_that_is_used_again_is_another_process(time: Time) -> None:
    helpers = Helpers(time)
    with ended_child() as child:
        began = began_at(child)
        assert began is not None
        helpers._started[child] = began - 1
        helpers.nobodys([child])
        assert helpers.patient


def test_one_that_was_started_when_the_others_were_counted_is_kept(time: Time) -> None:
    helpers = Helpers(time)
    with ended_child() as child:
        helpers.started(child)
        helpers.nobodys([])
        assert child in helpers._started
    helpers.nobodys([])
    assert child not in helpers._started


def test_the_living_are_nobodys_business(time: Time) -> None:
    helpers = Helpers(time)
    assert helpers.nobodys([os.getppid()]) == []
    assert not helpers.patient


def test_of_who_has_gone_already_nothing_is_noted(time: Time) -> None:
    with ended_child() as child:
        pass
    helpers = Helpers(time)
    helpers.started(child)
    assert began_at(child) is None
    assert helpers._started == {}
