"""Leader and followers, with calls that wait for what the test says, and a watch that ticks when the test says."""

from __future__ import annotations

import errno
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.waiting import wait_until
from winsock.host import pure
from winsock.supervisor import crew as module
from winsock.supervisor.crew import WAKE_SIGNAL, Crew, Worker

PATIENCE_S = 20.0
MANY_TICKS = 4 * module.IDLE_TICKS


class Call:
    """Something to perform: says when it began, and ends when it may."""

    def __init__(self, body: Callable[[Worker[Call]], None] | None = None, slow: bool = False) -> None:
        self.body = body
        self.began, self.may_end, self.ended = threading.Event(), threading.Event(), threading.Event()
        self.thread: int | None = None
        if not slow:
            self.may_end.set()

    def perform(self, worker: Worker[Call]) -> None:
        self.thread = threading.get_ident()
        self.began.set()
        if self.body is not None:
            self.body(worker)
        assert self.may_end.wait(PATIENCE_S)
        self.ended.set()


class Time:
    """Stands in for the crew's `time`: a tick lasts until the test lets it pass. The watches of earlier tests rest."""

    def __init__(self) -> None:
        self._strangers = set(threading.enumerate())
        self.now = 0.0
        self.waiting = threading.Semaphore(0)
        self._pass = threading.Semaphore(0)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if threading.current_thread() in self._strangers:
            threading.Event().wait()
        self.now += seconds
        self.waiting.release()
        self._pass.acquire()

    def tick(self) -> None:
        self._pass.release()


class Alarm(threading.Semaphore):
    """Says when the watch has gone to sleep."""

    def __init__(self) -> None:
        super().__init__(0)
        self.asleep = threading.Event()

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        if not super().acquire(False):
            self.asleep.set()
            super().acquire()
        return True

    def release(self, n: int = 1) -> None:
        self.asleep.clear()
        super().release(n)


class World:
    """A crew, what it is given to perform, and what it told."""

    def __init__(self) -> None:
        self.calls: queue.SimpleQueue[Call | BaseException | None] = queue.SimpleQueue()
        self.hired: list[Worker[Call]] = []
        self.on_hired: Callable[[Worker[Call]], None] = self.hired.append
        self.stopped: list[str] = []
        self.looks = 0
        self.on_look: Callable[[], bool] = lambda: False
        self.crew: Crew[Call] = Crew(
            self.receive,
            lambda worker, call: call.perform(worker),
            self.look,
            lambda worker: self.on_hired(worker),
            lambda: self.stopped.append("stopped"),
        )

    def receive(self) -> Call | None:
        given = self.calls.get()
        if isinstance(given, BaseException):
            raise given
        return given

    def look(self) -> bool:
        self.looks += 1
        return self.on_look()

    def give(self, *calls: Call) -> None:
        for call in calls:
            self.calls.put(call)

    def end(self) -> None:
        self.crew.stop()
        self.calls.put(None)


@pytest.fixture
def world() -> Iterator[World]:
    before = signal.getsignal(WAKE_SIGNAL)
    made = World()
    yield made
    made.end()
    signal.signal(WAKE_SIGNAL, before or signal.SIG_DFL)


@pytest.fixture
def stopped_time(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The watch does nothing of its own accord."""
    time = Time()
    monkeypatch.setattr(module, "time", time)
    return time


def ended(*calls: Call) -> bool:
    return all(call.ended.wait(PATIENCE_S) for call in calls)


def test_what_does_not_wait_is_performed_by_the_thread_that_received_it(world: World, stopped_time: Time) -> None:
    calls = [Call() for _ in range(50)]
    world.crew.start()
    world.give(*calls)
    assert ended(*calls)
    assert len({call.thread for call in calls}) == len(world.hired) == 1


def test_what_is_no_call_is_received_and_forgotten(world: World) -> None:
    call = Call()
    world.calls.put(None)
    world.crew.start()
    world.calls.put(None)
    world.give(call)
    assert ended(call)


def test_a_call_that_turns_out_slow_does_not_delay_the_next(world: World) -> None:
    slow, next_one = Call(slow=True), Call()
    world.crew.start()
    world.give(slow, next_one)
    assert ended(next_one)
    assert not slow.ended.is_set()
    slow.may_end.set()
    assert ended(slow)


def test_many_slow_calls_delay_nobody(world: World) -> None:
    slow, last = [Call(slow=True) for _ in range(8)], Call()
    world.crew.start()
    world.give(*slow, last)
    assert ended(last)
    for call in slow:
        call.may_end.set()
    assert ended(*slow)


def test_a_call_that_is_known_to_wait_hands_over_first(world: World, stopped_time: Time) -> None:
    """Without the watch, whose time stands still."""
    slow, next_one = Call(world.crew.hand_over, slow=True), Call()
    world.crew.start()
    world.give(slow, next_one)
    assert ended(next_one)
    assert next_one.thread != slow.thread
    slow.may_end.set()
    assert ended(slow)


def test_only_the_leader_hands_over(world: World, stopped_time: Time) -> None:
    def hand_over_twice(worker: Worker[Call]) -> None:
        world.crew.hand_over(worker)
        world.crew.hand_over(worker)

    slow, next_one = Call(hand_over_twice, slow=True), Call()
    world.crew.start()
    world.give(slow, next_one)
    assert ended(next_one)
    assert len(world.crew.workers) == 2
    slow.may_end.set()
    assert ended(slow)


def test_a_thread_that_has_become_free_follows_again(world: World, stopped_time: Time) -> None:
    world.crew.start()
    for _ in range(10):
        call = Call(world.crew.hand_over)
        world.give(call)
        assert ended(call)
        wait_until(lambda: world.crew._idle_followers == 1, "the thread follows")
    assert len(world.hired) == len(world.crew.workers) == 2


def test_a_leader_that_is_relieved_when_it_has_become_free_receives_alone(world: World, stopped_time: Time) -> None:
    """The watch saw a slow call, which ended before it did anything about it."""
    receiving: list[int] = []
    at_once: list[int] = []
    receive = world.receive

    def counted() -> Call | None:
        receiving.append(threading.get_ident())
        at_once.append(len(receiving))
        try:
            return receive()
        finally:
            receiving.remove(threading.get_ident())

    world.crew._receive = counted
    world.crew.start()
    wait_until(lambda: receiving, "the leader receives")
    world.crew.hand_over(world.hired[0])
    wait_until(lambda: len(world.hired) == 2, "another one leads")
    wait_until(lambda: world.crew._leader is world.hired[1], "another one leads")
    calls = [Call(), Call()]
    for call in calls:
        world.give(call)
        assert ended(call)
    assert len({call.thread for call in calls}) == 2
    assert set(at_once) == {1}


def test_a_new_leader_receives_nothing_after_the_end(world: World, stopped_time: Time) -> None:
    receptions: list[int] = []
    receive = world.receive

    def counted() -> Call | None:
        receptions.append(threading.get_ident())
        return receive()

    world.crew._receive = counted
    world.crew.start()
    wait_until(lambda: receptions, "the leader receives")
    world.crew.hand_over(world.hired[0])
    wait_until(lambda: len(world.hired) == 2 and world.crew._leader is world.hired[1], "another one leads")
    world.crew.stop()
    world.calls.put(None)
    wait_until(lambda: world.crew._idle_followers == 2, "both have left")
    assert len(receptions) == 1


def test_each_thread_is_hired_before_it_receives(world: World, stopped_time: Time) -> None:
    threads: list[int] = []

    def on_hired(worker: Worker[Call]) -> None:
        world.hired.append(worker)
        threads.append(threading.get_ident())

    world.on_hired = on_hired
    call = Call()
    world.crew.start()
    world.give(call)
    assert ended(call)
    assert threads == [call.thread]
    assert world.hired == world.crew.workers


def test_what_is_being_performed_is_told(world: World, stopped_time: Time) -> None:
    slow, other = Call(world.crew.hand_over, slow=True), Call(slow=True)
    world.crew.start()
    assert world.crew.performing() == []
    world.give(slow, other)
    assert other.began.wait(PATIENCE_S)
    assert slow.began.wait(PATIENCE_S)
    first, second = world.crew.workers
    assert world.crew.performing() == [(first, slow), (second, other)]
    slow.may_end.set()
    other.may_end.set()
    wait_until(lambda: world.crew.performing() == [], "nothing is performed")


# --- the end ---------------------------------------------------------------------------------------------------------


def test_stopping_is_told_and_is_no_failure(world: World) -> None:
    world.crew.start()
    world.crew.stop()
    assert world.crew.finished.is_set()
    assert world.stopped == ["stopped"]
    assert world.crew.failure is None


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


@pytest.mark.parametrize("where", ["perform", "receive", "hired", "look"])
@pytest.mark.parametrize("kind", [RuntimeError, SystemExit])
def test_a_failure_in_a_thread_of_ours_stops_everything(
    world: World, where: str, kind: type[BaseException], stopped_time: Time
) -> None:
    error = kind("of ours")
    if where == "hired":
        world.on_hired = raising(error)
    if where == "look":
        world.on_look = raising(error)
    world.crew.start()
    if where == "perform":
        world.give(Call(raising(error)))
    if where == "receive":
        world.calls.put(error)
    if where == "look":
        for _ in range(MANY_TICKS):
            stopped_time.tick()
    assert world.crew.finished.wait(PATIENCE_S)
    wait_until(lambda: world.stopped, "the end is told")
    assert world.crew.failure is error


def test_the_first_failure_counts(world: World) -> None:
    first = RuntimeError("first")
    world.crew.stop(first)
    world.crew.stop(RuntimeError("second"))
    world.crew.stop()
    assert world.crew.failure is first


def test_nothing_is_received_after_the_end(world: World, stopped_time: Time) -> None:
    last, too_late = Call(slow=True), Call()
    world.crew.start()
    world.give(last)
    assert last.began.wait(PATIENCE_S)
    world.crew.stop()
    world.give(too_late)
    last.may_end.set()
    wait_until(lambda: world.crew._idle_followers == 1, "the leader has left")
    assert not too_late.began.is_set()


# --- waking ----------------------------------------------------------------------------------------------------------


def test_a_worker_is_woken_out_of_a_raw_call(world: World) -> None:
    results: list[int] = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.socket() as queued, socket.socket() as s:
        queued.connect(server.getsockname())  # now the queue is full, and the next connect waits
        name = pure.name(queued.fileno(), True)
        waiting = Call(lambda worker: results.append(pure.connect(s.fileno(), name)))
        world.crew.start()
        world.give(waiting)
        assert waiting.began.wait(PATIENCE_S)

        def woken() -> bool:
            for worker, _ in world.crew.performing():
                worker.wake()
            return waiting.ended.is_set()

        wait_until(woken, "the call comes back")
    assert results == [errno.EINTR]


def test_a_worker_without_a_call_is_left_alone(world: World) -> None:
    call = Call()
    world.crew.start()
    world.give(call)
    assert ended(call)
    wait_until(lambda: not world.crew.performing(), "nothing is performed")
    for worker in world.crew.workers:
        worker.wake()
    Worker[Call]().wake()
    call = Call()
    world.give(call)
    assert ended(call)


# --- the watch -------------------------------------------------------------------------------------------------------


class Watch:
    """Lets the watch tick, and knows when it sleeps."""

    def __init__(self, world: World, time: Time) -> None:
        self._time = time
        self.alarm = Alarm()
        world.crew._alarm = self.alarm
        world.crew.start()
        self.stands()

    def stands(self) -> bool:
        """Wait until it waits for a tick, or sleeps; whether it is for a tick."""
        while not self._time.waiting.acquire(timeout=0.002):
            if self.alarm.asleep.is_set():
                return False
        return True

    def tick(self) -> bool:
        """Let one tick pass; false where it sleeps then."""
        self._time.tick()
        return self.stands()

    def run_to_sleep(self) -> int:
        """Let ticks pass until it sleeps; how many."""
        for ticks in range(MANY_TICKS):
            if not self.tick():
                return ticks
        raise AssertionError("the watch does not go to sleep")


def test_the_watch_sleeps_when_nothing_happens_and_is_roused_by_a_call(world: World, stopped_time: Time) -> None:
    watch = Watch(world, stopped_time)
    watch.run_to_sleep()
    for _ in range(3):
        call = Call()
        world.give(call)
        assert ended(call)
        assert watch.stands()
        looks = world.looks
        assert watch.run_to_sleep() >= module.IDLE_TICKS
        assert world.looks > looks


def test_the_watch_stays_awake_while_something_is_held(world: World, stopped_time: Time) -> None:
    held = True
    world.on_look = lambda: held
    watch = Watch(world, stopped_time)
    assert all(watch.tick() for _ in range(MANY_TICKS))
    held = False
    watch.run_to_sleep()


def test_the_watch_stays_awake_while_the_leader_performs(world: World, stopped_time: Time) -> None:
    watch = Watch(world, stopped_time)
    slow = Call(slow=True)
    world.crew.hand_over = lambda worker: None  # type: ignore[method-assign]
    world.give(slow)
    assert slow.began.wait(PATIENCE_S)
    assert all(watch.tick() for _ in range(MANY_TICKS))
    slow.may_end.set()
    assert ended(slow)
    watch.run_to_sleep()


def test_the_watch_stays_awake_while_a_thread_that_was_relieved_performs(world: World, stopped_time: Time) -> None:
    """Also where its call has begun so recently that a look does not tell of it: else nobody would look again."""
    watch = Watch(world, stopped_time)
    slow, other = Call(world.crew.hand_over, slow=True), Call()
    world.give(slow, other)
    assert ended(other)
    assert all(watch.tick() for _ in range(MANY_TICKS))
    slow.may_end.set()
    assert ended(slow)
    wait_until(lambda: world.crew.performing() == [], "nothing is performed")
    watch.run_to_sleep()


def test_a_slow_call_is_noticed_at_the_second_tick_that_sees_it(world: World, stopped_time: Time) -> None:
    watch = Watch(world, stopped_time)
    slow, next_one = Call(slow=True), Call()
    world.give(slow, next_one)
    assert slow.began.wait(PATIENCE_S)
    watch.tick()
    assert len(world.crew.workers) == 1
    watch.tick()
    assert ended(next_one)
    slow.may_end.set()
    assert ended(slow)


def test_the_watch_looks_after_what_is_held_while_it_is_awake(world: World, stopped_time: Time) -> None:
    watch = Watch(world, stopped_time)
    world.on_look = lambda: True
    before = stopped_time.now
    for _ in range(100):
        watch.tick()
    assert world.looks == pytest.approx((stopped_time.now - before) / module.LOOK_EVERY_S, rel=0.2)


def test_who_rouses_the_watch_is_looked_after(world: World, stopped_time: Time) -> None:
    watch = Watch(world, stopped_time)
    watch.run_to_sleep()
    looks = world.looks
    world.crew.rouse()
    assert watch.stands()
    watch.run_to_sleep()
    assert world.looks > looks


def test_who_rouses_it_in_the_moment_before_it_sleeps_is_looked_after_too(world: World, stopped_time: Time) -> None:
    """It is awake still, so nobody wakes it; so it must look once more before it sleeps."""
    watch = Watch(world, stopped_time)
    watch.run_to_sleep()
    call = Call()
    world.give(call)
    assert ended(call)
    assert watch.stands()
    for _ in range(module.IDLE_TICKS):
        assert watch.tick()
    looks = world.looks
    world.crew.rouse()
    watch.run_to_sleep()
    assert world.looks > looks
