"""A clock that is moved by hand does what is on its agenda, in order, once."""

from __future__ import annotations

import pytest

from winsock.abi.errors import InternalError
from winsock.core.clock import ManualClock, Wait


def test_it_stands_still_by_itself() -> None:
    clock = ManualClock(5.0)
    clock.at(6.0, pytest.fail, "its time has not come")
    clock.run_due()
    assert clock.now() == 5.0


def test_things_happen_in_the_order_of_their_times_and_of_their_coming() -> None:
    clock, seen = ManualClock(), list[str]()
    for time, name in ((2.0, "late"), (1.0, "first"), (1.0, "second")):
        clock.at(time, seen.append, name)
    clock.jump([])
    assert (seen, clock.now()) == (["first", "second"], 1.0)
    clock.jump([])
    assert (seen, clock.now()) == (["first", "second", "late"], 2.0)


def test_what_comes_of_it_at_once_happens_at_once() -> None:
    clock, seen = ManualClock(), list[float]()
    clock.at(1.0, lambda _: clock.at(1.0, lambda _: seen.append(clock.now())))
    clock.jump([])
    assert seen == [1.0]
    assert clock.done == 2


def test_what_is_put_into_the_past_happens_now() -> None:
    clock, seen = ManualClock(3.0), list[float]()
    clock.at(1.0, lambda _: seen.append(clock.now()))
    clock.run_due()
    assert seen == [3.0]


def test_a_jump_goes_no_further_than_somebody_will_wait() -> None:
    clock = ManualClock()
    clock.at(9.0, pytest.fail, "nobody waits for so long")
    clock.jump([Wait("the bus", 4.0), Wait("godot", None)])
    assert clock.now() == 4.0


def test_time_that_passes_takes_what_happens_along() -> None:
    clock, seen = ManualClock(), list[float]()
    for time in (1.0, 2.0, 3.0):
        clock.at(time, lambda _: seen.append(clock.now()))
    clock.advance(2.5)
    assert (seen, clock.now()) == ([1.0, 2.0], 2.5)


def test_where_nothing_will_ever_happen_the_waiters_are_named() -> None:
    with pytest.raises(InternalError, match="vladimir for godot; estragon for godot"):
        ManualClock().jump([Wait("vladimir for godot", None), Wait("estragon for godot", None)])


def test_one_thing_is_done_before_the_next_begins() -> None:
    clock, seen = ManualClock(), list[str]()

    def look_again(name: str) -> None:
        clock.run_due()
        seen.append(name)

    for name in ("first", "second"):
        clock.at(1.0, look_again, name)
    clock.jump([])
    assert seen == ["first", "second"]
