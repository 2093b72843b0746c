"""Several layers above each other, without I/O: order, opening, ends, timers, failures, and that nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dispatcher.drivers.machines import (
    STATS,
    Clock,
    Counting,
    Holding,
    Polite,
    Writing,
    ends,
    is_ready,
    machine,
    received,
    sent,
)
from winsock.abi.errors import WSAECONNREFUSED
from winsock.dispatcher.drivers.stage import END
from winsock.spi.stream import Direction, StreamLayer


class Wrapping(StreamLayer):
    """Puts its mark around what goes out, and takes it off what comes in."""

    def __init__(self, mark: bytes) -> None:
        self.mark = mark

    def outgoing(self, data: bytes) -> bytes:
        return self.mark + data + self.mark

    def incoming(self, data: bytes) -> bytes:
        assert data.startswith(self.mark)
        return data[1:-1]


# --- order ---


def test_the_uppermost_gets_the_applications_bytes_first_and_the_networks_last() -> None:
    pipeline = machine(Wrapping(b"1"), Wrapping(b"2"), Wrapping(b"3"))
    pipeline.outgoing(b"x")
    assert sent(pipeline) == b"321x123"
    pipeline.incoming(b"321x123")
    assert received(pipeline) == b"x"


def test_no_layers_pass_everything() -> None:
    pipeline = machine()
    assert is_ready(pipeline)
    pipeline.outgoing(b"there")
    pipeline.incoming(b"back")
    pipeline.outgoing(END)
    assert (sent(pipeline), received(pipeline)) == (b"there", b"back")
    assert ends(pipeline) == (True, False)


def test_what_is_sent_against_the_stream_enters_the_layer_above_after_the_hook_has_returned() -> None:
    inside: list[str] = []

    class Answering(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            inside.append("enter")
            self.send_in(b"answer")
            inside.append("leave")
            return data

    upper = Writing()
    upper.seen = inside
    pipeline = machine(upper, Answering())
    pipeline.outgoing(b"question")
    assert inside == ["opened", "out question", "enter", "leave", "in answer"]
    assert (sent(pipeline), received(pipeline)) == (b"question", b"answer")


def test_two_layers_that_answer_each_other_come_to_an_end() -> None:
    class Bouncing(StreamLayer):
        def outgoing(self, data: bytes) -> None:
            self._bounce(data)

        def incoming(self, data: bytes) -> None:
            self._bounce(data)

        def _bounce(self, data: bytes) -> None:
            (self.send_in if len(data) % 2 else self.send_out)(data[1:])

    pipeline = machine(Bouncing(), Bouncing())
    pipeline.outgoing(b"1234567")
    assert pipeline.error is None
    assert len(sent(pipeline)) + len(received(pipeline)) < 7


def test_counting_layers_among_reading_ones_are_told_what_flows_there() -> None:
    above, below = Counting(), Counting()
    pipeline = machine(above, Wrapping(b"-"), below)
    assert pipeline.reads
    pipeline.outgoing(b"12345")
    pipeline.incoming(b"-123-")
    assert above.counts == {"outgoing": 5, "incoming": 3}
    assert below.counts == {"outgoing": 7, "incoming": 5}


def test_what_passes_without_being_seen_is_told_to_those_that_count() -> None:
    layers = [Counting(), StreamLayer(), Counting()]
    pipeline = machine(*layers)
    assert not pipeline.reads
    pipeline.passed("incoming", 1 << 20)
    assert [layer.counts["incoming"] for layer in layers if isinstance(layer, Counting)] == [1 << 20] * 2


def test_a_layer_that_counts_may_speak_too() -> None:
    class Reporting(Counting):
        def passed(self, direction: Direction, count: int) -> None:
            super().passed(direction, count)
            self.send_out(b"#")

    pipeline = machine(Writing(), Reporting())
    pipeline.outgoing(b"data")
    assert sent(pipeline) == b"data#"
    pipeline.passed("outgoing", 10)
    assert sent(pipeline) == b"#"


# --- opening ---


def test_layers_are_opened_from_below() -> None:
    seen: list[str] = []
    pipeline = machine(Writing("a", seen), Writing("b", seen), opened=False)
    assert not is_ready(pipeline)
    pipeline.open()
    assert seen == ["b opened", "a opened"]
    assert is_ready(pipeline)
    assert pipeline.is_open


def test_a_layer_that_must_speak_first_keeps_those_above_closed() -> None:
    seen: list[str] = []
    pipeline = machine(Polite("a", seen), Polite("b", seen))
    assert sent(pipeline) == b"hello "
    assert seen == ["b opened"]
    pipeline.incoming(b"welcome ")
    assert sent(pipeline) == b"hello "
    assert not is_ready(pipeline)
    assert seen == ["b opened", "b in welcome ", "a opened", "b out hello "]
    pipeline.incoming(b"welcome data")
    assert is_ready(pipeline)
    assert received(pipeline) == b"data"


def test_what_comes_early_waits_and_keeps_its_order() -> None:
    seen: list[str] = []
    pipeline = machine(Writing("a", seen), Polite("b", seen))
    pipeline.outgoing(b"first ")
    pipeline.outgoing(b"second")
    pipeline.outgoing(END)
    assert sent(pipeline) == b"hello "
    pipeline.incoming(b"welcome data")
    assert seen == [
        "b opened", "b in welcome data", "a opened", "a out first ", "a out second", "a out ended",
        "a in data", "b out first ", "b out second", "b out ended",
    ]  # fmt: skip
    assert (sent(pipeline), received(pipeline)) == (b"first second", b"data")
    assert pipeline.outgoing_over


def test_what_a_layer_hands_up_before_it_is_ready_stays_before_what_comes_with_the_end_of_its_opening() -> None:
    class Slow(StreamLayer):
        opening = True

        def incoming(self, data: bytes) -> bytes:
            if b"!" in data:
                self.ready()
            return data

    upper = Writing()
    pipeline = machine(upper, Slow())
    for data in (b"1", b"2", b"3!", b"4"):
        pipeline.incoming(data)
    assert upper.seen == ["opened", "in 1", "in 2", "in 3!", "in 4"]
    assert received(pipeline) == b"123!4"


def test_what_opened_sends_goes_before_what_the_application_sent_early() -> None:
    pipeline = machine(Polite("a"), Polite("b"))
    pipeline.outgoing(b"data")
    pipeline.incoming(b"welcome ")
    pipeline.incoming(b"welcome ")
    assert sent(pipeline) == b"hello hello data"


def test_a_layer_that_is_not_ready_gets_nothing_from_the_application() -> None:
    class Answering(Writing):
        opening = True

        def incoming(self, data: bytes) -> bytes | None:
            self.send_out(b"welcome ")
            self.ready()
            return super().incoming(data)

    layer = Answering()
    pipeline = machine(layer, Writing())
    pipeline.outgoing(b"early ")
    pipeline.outgoing(END)
    assert (layer.seen, sent(pipeline), pipeline.outgoing_over) == (["opened"], b"", False)
    pipeline.incoming(b"hello")
    assert layer.seen == ["opened", "in hello", "out early ", "out ended"]
    assert (sent(pipeline), pipeline.outgoing_over) == (b"welcome early ", True)


def test_a_timer_may_end_an_opening() -> None:
    class Waiting(StreamLayer):
        opening = True

        def opened(self) -> None:
            self.wake_at(self.now() + 1)

        def timer(self, now: float) -> None:
            self.ready()

    clock = Clock()
    pipeline = machine(Writing(), Waiting(), clock=clock)
    pipeline.outgoing(b"early")
    pipeline.tick()
    assert not is_ready(pipeline)
    clock.time += 1
    pipeline.tick()
    assert is_ready(pipeline)
    assert sent(pipeline) == b"early"


# --- ends ---


def test_each_direction_ends_by_itself() -> None:
    seen: list[str] = []
    pipeline = machine(Writing("a", seen), Writing("b", seen))
    pipeline.outgoing(END)
    assert ends(pipeline) == (True, False)
    pipeline.incoming(b"still")
    pipeline.incoming(END)
    assert pipeline.incoming_over
    assert seen[2:] == ["a out ended", "b out ended", "b in still", "a in still", "b in ended", "a in ended"]


@pytest.mark.parametrize("where", [0, 1, 2])
def test_an_end_that_a_layer_holds_back_comes_after_what_it_held(where: int) -> None:
    clock = Clock()
    layers: list[StreamLayer] = [Writing(), Writing()]
    layers.insert(where, Holding())
    pipeline = machine(*layers, clock=clock)
    pipeline.outgoing(b"data")
    pipeline.outgoing(END)
    assert not pipeline.to_network
    assert ends(pipeline) == (False, False)
    pipeline.tick()
    assert sent(pipeline) == b"data"
    assert ends(pipeline) == (True, True)


def test_nothing_comes_out_after_the_end() -> None:
    class Ending(StreamLayer):
        def incoming(self, data: bytes) -> bytes:
            self.end_out()
            return data

    pipeline = machine(Writing(), Ending(), Writing())
    pipeline.outgoing(b"one")
    pipeline.incoming(b"stop")
    pipeline.outgoing(b"two")
    pipeline.outgoing(END)
    assert sent(pipeline) == b"one"
    assert pipeline.outgoing_over
    assert received(pipeline) == b"stop"


# --- timers ---


def test_the_next_timer_of_all_is_the_deadline() -> None:
    clock = Clock()
    seen: list[str] = []
    layers = [Writing(name, seen) for name in "abc"]
    assert machine(Writing()).deadline is None
    pipeline = machine(*layers, clock=clock)
    layers[0].wake_at(103)
    layers[2].wake_at(101)
    assert pipeline.deadline == 101
    clock.time = 102
    pipeline.tick()
    assert seen[3:] == ["c timer 102"]
    assert pipeline.deadline == 103
    assert pipeline.now() == 102


def test_what_a_timer_sends_goes_through_the_layers_below() -> None:
    class Nagging(StreamLayer):
        def timer(self, now: float) -> None:
            self.send_out(b"nag")

    nagging = Nagging()
    pipeline = machine(nagging, Wrapping(b"'"))
    nagging.wake_at(0)
    pipeline.tick()
    assert sent(pipeline) == b"'nag'"


# --- failures ---


class Refusing(StreamLayer):
    """Fails at a word, after it said something."""

    def outgoing(self, data: bytes) -> bytes:
        self.send_in(b"said before ")
        if b"fail" in data:
            self.fail(ConnectionRefusedError("that word"))
        return data


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_layer_that_fails_lets_nothing_through_any_more(where: int) -> None:
    layers: list[StreamLayer] = [Writing(), Writing()]
    layers.insert(where, Refusing())
    pipeline = machine(*layers)
    pipeline.outgoing(b"good")
    assert (sent(pipeline), received(pipeline)) == (b"good", b"said before ")
    pipeline.outgoing(b"fail")
    pipeline.outgoing(b"later")
    pipeline.outgoing(END)
    pipeline.incoming(b"back")
    assert pipeline.error is not None
    assert pipeline.error.winerror == WSAECONNREFUSED
    assert sent(pipeline) == b""
    assert received(pipeline) == b""
    assert not pipeline.outgoing_over


def test_a_layer_that_fails_while_it_is_opened_keeps_those_above_closed() -> None:
    class Broken(StreamLayer):
        opening = True

        def opened(self) -> None:
            self.fail(ConnectionRefusedError())

    upper = Writing()
    pipeline = machine(upper, Broken())
    assert pipeline.error is not None
    assert not is_ready(pipeline)
    assert upper.seen == []


def test_only_layers_that_were_opened_are_told_that_it_is_over() -> None:
    seen: list[str] = []
    pipeline = machine(Writing("a", seen), Polite("b", seen))
    pipeline.closed(STATS)
    assert seen == ["b opened", "b closed"]


# --- nothing lost, nothing twice, nothing in another order ---


class Chopping(StreamLayer):
    """Hands everything on, in other pieces: holds back, lets go by timer or with what follows, splits."""

    def __init__(self, plan: list[int]) -> None:
        self._plan = plan
        self._at = 0
        self._held: dict[str, bytes] = {"outgoing": b"", "incoming": b""}
        self._ending: set[str] = set()

    def outgoing(self, data: bytes) -> bytes | None:
        return self._pass("outgoing", data)

    def incoming(self, data: bytes) -> bytes | None:
        return self._pass("incoming", data)

    def outgoing_ended(self) -> bool | None:
        return self._end("outgoing")

    def incoming_ended(self) -> bool | None:
        return self._end("incoming")

    def timer(self, now: float) -> None:
        for way in ("outgoing", "incoming"):
            self._send(way, self._take(way))
            if way in self._ending:
                (self.end_out if way == "outgoing" else self.end_in)()

    def _pass(self, way: str, data: bytes) -> bytes | None:
        data = self._take(way) + data
        step = self._next()
        if step == 0:  # hold everything
            self._held[way] = data
            self.wake_at(self.now())
            return None
        if step == 1:  # hold the end of it
            self._held[way] = data[len(data) // 2 :]
            self.wake_at(self.now())
            return data[: len(data) // 2]
        if step == 2:  # say it in two pieces
            self._send(way, data[:1])
            return data[1:]
        return data

    def _end(self, way: str) -> bool | None:
        if self._next() % 2 or self._held[way]:
            self._ending.add(way)
            self.wake_at(self.now() + 1)
            return True
        return None

    def _send(self, way: str, data: bytes) -> None:
        (self.send_out if way == "outgoing" else self.send_in)(data)

    def _take(self, way: str) -> bytes:
        held, self._held[way] = self._held[way], b""
        return held

    def _next(self) -> int:
        self._at += 1
        return self._plan[self._at % len(self._plan)] if self._plan else 3


class Slow(Chopping):
    """Is ready only when something came."""

    opening = True

    def incoming(self, data: bytes) -> bytes | None:
        self.ready()
        return super().incoming(data)


PLANS = st.lists(st.lists(st.integers(0, 4), max_size=5), max_size=5)
EVENTS = st.lists(st.tuples(st.sampled_from(["outgoing", "incoming", "tick"]), st.binary(min_size=1, max_size=9)))


@given(PLANS, st.sets(st.integers(0, 4)), EVENTS, st.binary(max_size=3))
def test_every_byte_comes_out_once_and_in_order(
    plans: list[list[int]], slow: set[int], events: list[tuple[str, bytes]], early: bytes
) -> None:
    clock = Clock()
    layers = [(Slow if index in slow else Chopping)(plan) for index, plan in enumerate(plans)]
    pipeline = machine(*layers, clock=clock, opened=False)
    given_in = {"outgoing": b"", "incoming": b""}
    out = {"outgoing": b"", "incoming": b""}
    if early:
        pipeline.outgoing(early)
        given_in["outgoing"] += early
    pipeline.open()
    for what, data in [*events, ("incoming", b"last")]:
        if what == "tick":
            clock.time += 1
            pipeline.tick()
        else:
            (pipeline.outgoing if what == "outgoing" else pipeline.incoming)(data)
            given_in[what] += data
        out["outgoing"] += sent(pipeline)
        out["incoming"] += received(pipeline)
    pipeline.outgoing(END)
    pipeline.incoming(END)
    while pipeline.deadline is not None:
        clock.time = pipeline.deadline
        pipeline.tick()
    out["outgoing"] += sent(pipeline)
    out["incoming"] += received(pipeline)
    assert pipeline.error is None
    assert out == given_in
    assert ends(pipeline) == (True, True)
