"""Threads on simulated time: one at a time, in order, and nobody waits for ever unseen."""

from __future__ import annotations

import threading

import pytest

from winsock.abi.errors import InternalError
from winsock.overlapped.simulation import POLL_S, Simulation


def never() -> bool:
    return False


def test_a_thread_alone_moves_the_clock() -> None:
    simulation = Simulation()
    simulation.sleep(3600)
    assert simulation.clock.now() == 3600


def test_a_wait_ends_with_what_it_waits_for() -> None:
    simulation, seen = Simulation(), list[int]()
    simulation.clock.at(1.0, seen.append, 1)
    with simulation.lock:
        assert simulation.wait(lambda: bool(seen), 5.0, "a sign")
    assert simulation.clock.now() == 1.0


def test_a_wait_ends_with_its_time() -> None:
    simulation = Simulation()
    with simulation.lock:
        assert not simulation.wait(never, 5.0, "godot")
    assert simulation.clock.now() == 5.0


def test_looking_costs_a_moment() -> None:
    simulation = Simulation()
    with simulation.lock:
        assert not simulation.wait(never, 0.0, "godot")
    assert simulation.clock.now() == pytest.approx(POLL_S)


def test_threads_take_turns_in_the_order_in_which_they_began_to_wait() -> None:
    def history() -> list[tuple[float, str]]:
        simulation, seen = Simulation(), list[tuple[float, str]]()

        def walk(name: str, step: float) -> None:
            for _ in range(50):
                simulation.sleep(step)
                seen.append((round(simulation.clock.now(), 6), name))

        for name, step in (("slow", 3.0), ("quick", 1.0), ("even", 1.5)):
            simulation.spawn(lambda name=name, step=step: walk(name, step), name)  # type: ignore[misc]
        simulation.join()
        return seen

    first = history()
    assert all(history() == first for _ in range(5))
    assert [time for time, _ in first] == sorted(time for time, _ in first)


def test_only_one_thread_runs_at_a_time() -> None:
    simulation, running, most = Simulation(), list[int](), list[int]()

    def walk() -> None:
        for _ in range(100):
            running.append(1)
            most.append(len(running))
            running.pop()
            simulation.sleep(0.1)

    for number in range(4):
        simulation.spawn(walk, f"walker {number}")
    simulation.join()
    assert set(most) == {1}


def test_who_polls_lets_others_have_their_turn() -> None:
    simulation, box = Simulation(), list[str]()

    def poll() -> None:
        while not box:
            with simulation.lock:
                simulation.wait(never, simulation.clock.now(), "a look")

    simulation.spawn(poll, "poller")
    simulation.spawn(lambda: box.append("a letter"), "postman")
    simulation.join()


def test_what_will_never_happen_is_an_error_that_names_the_waiters() -> None:
    simulation = Simulation()
    with simulation.lock, pytest.raises(InternalError, match="MainThread for godot"):
        simulation.wait(never, None, "godot")


def test_every_waiter_hears_of_it() -> None:
    simulation, heard = Simulation(), list[str]()

    def wait(name: str) -> None:
        try:
            with simulation.lock:
                simulation.wait(never, None, "godot")
        except InternalError:
            heard.append(name)
            raise

    for name in ("vladimir", "estragon"):
        simulation.spawn(lambda name=name: wait(name), name)  # type: ignore[misc]
    with pytest.raises(InternalError, match="vladimir for godot; estragon for godot"):
        simulation.join()
    assert sorted(heard) == ["estragon", "vladimir"]


def test_a_thread_that_fails_ends_the_others_and_is_told_of() -> None:
    simulation, ended = Simulation(), list[str]()

    def wait() -> None:
        try:
            simulation.sleep(1e9)
        finally:
            ended.append("waiter")

    def fail() -> None:
        simulation.sleep(1.0)
        raise ValueError("no more")

    simulation.spawn(wait, "waiter")
    simulation.spawn(fail, "failing")
    with pytest.raises(ValueError, match="no more"):
        simulation.join()
    assert ended == ["waiter"]
    assert simulation.clock.now() == 1.0


def test_a_simulation_goes_on_after_a_failure() -> None:
    simulation = Simulation()
    simulation.spawn(lambda: 1 // 0, "failing")
    with pytest.raises(ZeroDivisionError):
        simulation.join()
    simulation.spawn(lambda: simulation.sleep(1.0), "another")
    simulation.join()
    assert simulation.clock.now() == 1.0


def test_a_thread_that_waits_for_something_else_is_found_out() -> None:
    simulation = Simulation(patience_s=0.005)
    simulation.sleep(1.0)  # this thread takes part
    stranger = threading.Thread(target=simulation.sleep, args=(5.0,), daemon=True)
    stranger.start()
    stranger.join()
    assert simulation.clock.now() == 6.0


def test_who_says_that_he_is_away_is_not_waited_for() -> None:
    simulation = Simulation(patience_s=3600)
    simulation.sleep(1.0)
    stranger = threading.Thread(target=simulation.sleep, args=(5.0,), daemon=True)
    with simulation.away():
        stranger.start()
        stranger.join()
    simulation.sleep(1.0)
    assert simulation.clock.now() == 7.0


def test_a_thread_that_ended_is_not_waited_for() -> None:
    simulation = Simulation(patience_s=0.005)
    stranger = threading.Thread(target=simulation.sleep, args=(1.0,), daemon=True)
    stranger.start()
    stranger.join()
    simulation.sleep(1.0)
    assert simulation.clock.now() == 2.0


def test_what_somebody_who_is_away_may_do_is_waited_for() -> None:
    simulation, box = Simulation(patience_s=0.005), list[str]()
    waiting = threading.Event()

    def wait() -> None:
        with simulation.lock:
            waiting.set()
            simulation.wait(lambda: bool(box), None, "a letter")

    simulation.sleep(1.0)
    stranger = threading.Thread(target=wait, daemon=True)
    with simulation.away():
        stranger.start()
        waiting.wait()
        with simulation.lock:
            box.append("a letter")
        simulation.poke()
        stranger.join()
    assert simulation.clock.now() == 1.0


def test_news_is_anything_that_happens() -> None:
    simulation = Simulation()
    simulation.clock.at(2.0, lambda _: None)
    simulation.wait_for_news(0, 5.0, "anything")
    assert simulation.clock.now() == 2.0
    simulation.wait_for_news(0, 5.0, "what is seen only now")
    assert simulation.clock.now() == 2.0
    simulation.wait_for_news(1, 5.0, "anything")
    assert simulation.clock.now() == 5.0


def test_what_happens_at_a_time_of_the_clock_does_not_wait() -> None:
    simulation = Simulation()
    simulation.clock.at(1.0, lambda _: simulation.sleep(1.0))
    with pytest.raises(InternalError, match=r"cannot wait for 1\.0 s to pass"):
        simulation.sleep(5.0)
