"""One layer at work: guarded hooks, verbs, what comes out and what never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.dispatcher.drivers.machines import STATS, Clock, Counting, Holding, Writing
from tests.refusals import refused
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEHOSTUNREACH,
    WSAETIMEDOUT,
    WSASYSCALLFAILURE,
    WinsockError,
    errno_of,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.dispatcher.drivers.asking import Asking
from winsock.dispatcher.drivers.stage import END, Item, Stage
from winsock.spi.stream import Direction, StreamLayer

PEER = SockaddrIn("127.0.0.1", 80)


def stage_of(layer: StreamLayer, clock: Clock | None = None) -> Stage:
    stage = Stage(layer, clock or Clock())
    stage.open()
    return stage


def out_of(stage: Stage) -> tuple[list[Item], list[Item]]:
    """What was gathered for below and for above."""
    gathered = list(stage.to_network), list(stage.to_application)
    stage.to_network.clear()
    stage.to_application.clear()
    return gathered


# --- what goes through ---


def test_a_layer_without_hooks_passes_everything() -> None:
    stage = stage_of(StreamLayer())
    stage.outgoing(b"there")
    stage.incoming(b"back")
    stage.outgoing(END)
    stage.incoming(END)
    assert out_of(stage) == ([b"there", END], [b"back", END])
    assert not stage.reads
    assert not stage.counts


def test_what_a_verb_sends_goes_before_what_the_hook_returns() -> None:
    class Framing(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            self.send_out(b"<")
            self.send_in(b"echo")
            return data

    stage = stage_of(Framing())
    stage.outgoing(b"data")
    assert out_of(stage) == ([b"<", b"data"], [b"echo"])


@pytest.mark.parametrize("data", [bytearray(b"data"), memoryview(b"data"), memoryview(b"d.a.t.a.")[::2]])
def test_whatever_holds_bytes_is_taken_and_copied(data: Any) -> None:
    class Giving(StreamLayer):
        def outgoing(self, _: bytes) -> bytes:
            return data  # type: ignore[no-any-return]

    stage = stage_of(Giving())
    stage.outgoing(b"anything")
    assert out_of(stage) == ([b"data"], [])
    assert stage.error is None


def test_nothing_is_not_sent_on() -> None:
    class Nothing(StreamLayer):
        def outgoing(self, data: bytes) -> bytes | None:
            return None if data == b"none" else b""

    stage = stage_of(Nothing())
    for data in (b"none", b"empty"):
        stage.outgoing(data)
        assert stage.through("outgoing", data) is None
    stage.send_in(b"")
    assert out_of(stage) == ([], [])


def test_a_counting_layer_is_told_how_much_went_through() -> None:
    layer = Counting()
    stage = stage_of(layer)
    stage.outgoing(b"12345")
    assert stage.through("incoming", b"123") is None
    stage.passed("incoming", 1000)
    assert layer.counts == {"outgoing": 5, "incoming": 1003}
    assert out_of(stage) == ([b"12345"], [b"123"])


@pytest.mark.parametrize("direction", ["outgoing", "incoming"])
def test_the_short_way_of_one_piece(direction: Direction) -> None:
    class Upper(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            return data.upper()

        def incoming(self, data: bytes) -> bytes:
            return data.upper()

    assert stage_of(Upper()).through(direction, b"data") == b"DATA"
    assert stage_of(StreamLayer()).through(direction, b"data") == b"data"


def test_the_short_way_is_left_where_more_came_of_the_piece() -> None:
    class Twice(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            self.send_out(data)
            return data

    stage = stage_of(Twice())
    assert stage.through("outgoing", b"data") is None
    assert out_of(stage) == ([b"data", b"data"], [])


# --- the end ---


def test_an_end_is_held_back_until_the_layer_lets_it_go() -> None:
    clock = Clock()
    layer = Holding()
    stage = stage_of(layer, clock)
    stage.outgoing(b"held")
    stage.outgoing(END)
    assert out_of(stage) == ([], [])
    assert stage.wake == clock.time
    stage.tick(clock.time)
    assert out_of(stage) == ([b"held", END], [END])


def test_nothing_comes_after_the_end(lines: list[str]) -> None:
    layer = Writing()
    stage = stage_of(layer)
    layer.end_out()
    layer.send_out(b"too late")
    layer.send_out(b"and again")
    assert out_of(stage) == ([END], [])
    assert stage.through("outgoing", b"from above") is None
    stage.outgoing(END)
    layer.end_out()
    assert out_of(stage) == ([], [])
    assert stage.error is None
    assert lines == ["layer writing: the outgoing stream has ended, what comes after that is dropped"]
    stage.incoming(b"the other direction lives on")
    assert out_of(stage) == ([], [b"the other direction lives on"])


def test_a_verb_may_end_a_stream_by_itself() -> None:
    class Short(StreamLayer):
        def incoming(self, data: bytes) -> bytes:
            self.end_in()
            return b"not any more"

    stage = stage_of(Short())
    stage.incoming(b"data")
    assert out_of(stage) == ([], [END])


# --- timers ---


def test_a_timer_comes_once_and_not_early() -> None:
    clock = Clock()
    layer = Writing()
    stage = stage_of(layer, clock)
    layer.wake_at(101.0)
    stage.tick(100.9)
    assert layer.seen == ["opened"]
    stage.tick(101.5)
    stage.tick(102.0)
    assert layer.seen == ["opened", "timer 101.5"]
    assert stage.wake is None


def test_the_last_wish_counts() -> None:
    layer = Writing()
    stage = stage_of(layer)
    layer.wake_at(1)
    layer.wake_at(300)
    assert stage.wake == 300
    layer.wake_at(None)
    assert stage.wake is None


def test_a_timer_may_set_the_next() -> None:
    class Ticking(Writing):
        def timer(self, now: float) -> None:
            super().timer(now)
            self.wake_at(now + 1)

    layer = Ticking()
    stage = stage_of(layer)
    layer.wake_at(5)
    stage.tick(5)
    assert stage.wake == 6


def test_the_clock_is_the_drivers() -> None:
    clock = Clock()
    layer = Writing()
    stage_of(layer, clock)
    clock.time = 12.5
    assert layer.now() == 12.5


# --- failures ---

ENTRIES: dict[str, Callable[[Stage], object]] = {
    "opened": lambda stage: stage.open(),
    "outgoing": lambda stage: stage.outgoing(b"data"),
    "incoming": lambda stage: stage.incoming(b"data"),
    "outgoing_ended": lambda stage: stage.outgoing(END),
    "incoming_ended": lambda stage: stage.incoming(END),
    "timer": lambda stage: stage.tick(1e9),
    "passed": lambda stage: stage.passed("outgoing", 5),
}


def failing(hook: str, raised: BaseException | None = None, answer: object = None) -> Stage:
    """A stage whose layer raises or answers that, after it sent something."""

    def enter(self: StreamLayer, *_: object) -> object:
        self.send_out(b"before")
        if raised is not None:
            raise raised
        return answer

    layer: StreamLayer = type("Failing", (StreamLayer,), {hook: enter})()
    stage = Stage(layer, Clock())
    stage.wake = 0
    return stage


@pytest.mark.parametrize("hook", ENTRIES)
def test_a_hook_that_raises_fails_the_connection(hook: str, lines: list[str]) -> None:
    stage = failing(hook, ZeroDivisionError("division by zero"))
    ENTRIES[hook](stage)
    assert stage.error is not None
    assert stage.error.winerror == WSASYSCALLFAILURE
    assert len(lines) == 1
    assert f"layer failing: {hook} raised ZeroDivisionError: division by zero (" in lines[0]
    assert "test_stage.py:" in lines[0]
    out_of(stage)
    for enter in ENTRIES.values():
        enter(stage)
    assert out_of(stage) == ([], []) or hook == "opened"


class Mistaken(StreamLayer):
    def __init__(self, level: int) -> None:
        self.level = level

    def wants(self, address: Sockaddr) -> bool:  # type: ignore[override]
        return True

    def outgoing(self) -> bytes:  # type: ignore[override]
        return b""


class Hasty(StreamLayer):
    def __init__(self) -> None:
        self.wake_at(1.0)


def test_a_function_that_does_not_take_its_arguments_is_named_by_its_own_place(lines: list[str]) -> None:
    """And not by ours, from where it was called."""
    stage_of(Mistaken(1)).outgoing(b"data")
    for ask in (lambda: Asking(Mistaken)._new_layer("connect", PEER), lambda: Asking(Mistaken)._wants(PEER)):
        with refused(WSASYSCALLFAILURE):
            ask()
    for line, function in zip(lines, (Mistaken.outgoing, Mistaken.__init__, Mistaken.wants), strict=True):
        assert f"({__file__}:{function.__code__.co_firstlineno})" in line


def test_a_verb_that_is_called_too_early_raises_in_the_layers_own_line(lines: list[str]) -> None:
    with refused(WSASYSCALLFAILURE):
        Asking(Hasty)._new_layer("connect", PEER)
    assert f"({__file__}:{Hasty.__init__.__code__.co_firstlineno + 1})" in lines[0]


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (WinsockError(WSAEHOSTUNREACH, "not there"), WSAEHOSTUNREACH),
        (ConnectionRefusedError("no"), WSAECONNREFUSED),
        (TimeoutError(), WSAETIMEDOUT),
    ],
)
def test_an_error_that_a_layer_means_is_the_connections(
    way: str, raised: Exception, code: int, lines: list[str]
) -> None:
    stage = failing("outgoing", raised)
    if way == "short":
        assert stage.through("outgoing", b"data") is None
    else:
        stage.outgoing(b"data")
    assert stage.error is not None
    assert stage.error.winerror == code
    assert lines == []


@pytest.mark.parametrize("way", ["short", "long"])
@pytest.mark.parametrize("answer", ["text", 7, [b"a", b"b"], object()])
def test_an_answer_that_is_no_bytes_fails_the_connection(way: str, answer: object, lines: list[str]) -> None:
    stage = failing("outgoing", answer=answer)
    if way == "short":
        assert stage.through("outgoing", b"data") is None
    else:
        stage.outgoing(b"data")
    assert stage.error is not None
    assert stage.error.winerror == WSASYSCALLFAILURE
    assert "outgoing raised TypeError: bytes are wanted, not " in lines[0]
    assert "test_stage.py:" in lines[0]


@pytest.mark.parametrize("answer", [b"the rest", 1, "yes"])
def test_an_end_is_held_back_by_true_alone(answer: object, lines: list[str]) -> None:
    stage = failing("incoming_ended", answer=answer)
    stage.incoming(END)
    assert stage.error is not None
    assert out_of(stage)[1] == []
    assert "incoming_ended raised TypeError: True or None is wanted, not " in lines[0]


@pytest.mark.parametrize(
    ("verb", "given"),
    [("send_out", "text"), ("send_in", None), ("send_in", 5), ("wake_at", "soon"), ("wake_at", float("nan"))],
)
def test_a_verb_that_is_given_nonsense_raises_in_the_layers_own_line(
    verb: str, given: object, lines: list[str]
) -> None:
    class Careless(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            getattr(self, verb)(given)
            return data

    stage = stage_of(Careless())
    stage.outgoing(b"data")
    assert stage.error is not None
    assert stage.error.winerror == WSASYSCALLFAILURE
    assert "test_stage.py:" in lines[0]
    assert out_of(stage) == ([], [])


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (WinsockError(WSAEHOSTUNREACH), WSAEHOSTUNREACH),
        (ConnectionRefusedError(), WSAECONNREFUSED),
        (OSError(errno_of(WSAETIMEDOUT), "late"), WSAETIMEDOUT),
        (OSError(), WSAECONNRESET),
    ],
)
def test_what_a_layer_fails_with(given: Any, code: int) -> None:
    layer = Writing()
    stage = stage_of(layer)
    layer.fail(given)
    assert isinstance(stage.error, WinsockError)
    assert stage.error.winerror == code


@pytest.mark.parametrize("given", [ValueError("what"), "broken", None, ConnectionResetError])
def test_what_is_no_error_fails_it_too_and_a_line_says_where(given: Any, lines: list[str]) -> None:
    class Wrong(StreamLayer):
        def incoming(self, data: bytes) -> None:
            self.fail(given)

    stage = stage_of(Wrong())
    stage.incoming(b"x")
    assert stage.error is not None
    assert stage.error.winerror == WSASYSCALLFAILURE
    assert f"incoming raised TypeError: a WinsockError is wanted, or an OSError, not {given!r} ({__file__}:" in lines[0]


def test_what_is_no_error_fails_it_also_outside_of_a_hook() -> None:
    layer = Writing()
    stage = stage_of(layer)
    with pytest.raises(TypeError, match="a WinsockError is wanted"):
        layer.fail("broken")  # type: ignore[arg-type]
    assert stage.error is not None
    assert stage.error.winerror == WSASYSCALLFAILURE


def test_the_first_failure_counts() -> None:
    layer = Writing()
    stage = stage_of(layer)
    layer.fail(ConnectionRefusedError())
    layer.fail(TimeoutError())
    assert stage.error is not None
    assert stage.error.winerror == WSAECONNREFUSED


def test_what_closed_raises_is_written_down_and_changes_nothing(lines: list[str]) -> None:
    class Late(StreamLayer):
        def closed(self, stats: object) -> None:
            raise KeyError("gone")

    stage = stage_of(Late())
    stage.closed(STATS)
    assert stage.error is None
    assert "layer late: closed raised KeyError" in lines[0]
