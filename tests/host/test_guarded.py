"""The guard of a layer's function: arguments go on as they came, and every exception becomes what is allowed."""

from __future__ import annotations

import gc
import traceback
import weakref
from typing import Any, TypeAlias

import pytest

from tests.host.conftest import Twin


class Answer(Exception):
    """What may pass."""


class Refusal(Answer):
    """What stands for anything else."""


def refuse(error: BaseException) -> Exception:
    return Refusal(repr(error))


def echo(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def test_arguments_and_answers_pass(host: Twin) -> None:
    slot = host.guarded(echo, Answer, refuse)
    assert slot() == ((), {})
    assert slot(1, "two", three=3) == ((1, "two"), {"three": 3})
    assert slot(*range(40), **{f"name{at}": at for at in range(40)})[0] == tuple(range(40))


def test_a_method_gets_its_object(host: Twin) -> None:
    class Layer:
        def send(self, data: bytes, flags: int = 0) -> tuple[Layer, bytes, int]:
            return self, data, flags

    layer = Layer()
    assert host.guarded(layer.send, Answer, refuse)(b"x", flags=2) == (layer, b"x", 2)


@pytest.mark.parametrize("error", [ValueError("a defect"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_is_not_refused_after_all_goes_on_as_it_is(host: Twin, error: BaseException) -> None:
    def fail() -> None:
        raise error

    def let_go(error: BaseException) -> Exception:
        raise error

    with pytest.raises(type(error)) as raised:
        host.guarded(fail, Answer, let_go)()
    assert raised.value is error
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_is_no_exception_can_be_refused(host: Twin, error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(Refusal) as raised:
        host.guarded(fail, Answer, refuse)()
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [Answer("said"), Refusal("said")])
def test_what_may_pass_passes_as_it_is(host: Twin, error: BaseException) -> None:
    def fail() -> None:
        raise error

    def never(error: BaseException) -> Exception:
        raise AssertionError("nothing was to be refused")

    with pytest.raises(type(error)) as raised:
        host.guarded(fail, Answer, never)()
    assert raised.value is error
    assert error.__cause__ is None


def test_anything_else_is_refused_and_its_cause_told(host: Twin) -> None:
    def fail() -> None:
        raise ValueError("a defect")

    with pytest.raises(Refusal, match="a defect") as raised:
        host.guarded(fail, Answer, refuse)()
    cause = raised.value.__cause__
    assert isinstance(cause, ValueError)
    assert raised.value.__context__ is cause
    assert raised.value.__suppress_context__
    assert traceback.extract_tb(cause.__traceback__)[-1].name == "fail"


def test_who_refuses_sees_where_it_was_raised(host: Twin) -> None:
    seen: list[str] = []

    def fail() -> None:
        raise ValueError("a defect")

    def look(error: Exception) -> Exception:
        seen.extend(place.name for place in traceback.extract_tb(error.__traceback__))
        return Refusal()

    with pytest.raises(Refusal):
        host.guarded(fail, Answer, look)()
    assert seen[-1] == "fail"


def test_arguments_of_a_wrong_number_are_refused_too(host: Twin) -> None:
    with pytest.raises(Refusal, match="TypeError"):
        host.guarded(lambda one: one, Answer, refuse)(1, 2)


def test_an_error_of_who_refuses_is_raised(host: Twin) -> None:
    def fail() -> None:
        raise ValueError("first")

    def fail_again(error: Exception) -> Exception:
        raise LookupError("second")

    with pytest.raises(LookupError, match="second"):
        host.guarded(fail, Answer, fail_again)()


def test_a_circle_of_slot_and_object_is_freed(host: Twin) -> None:
    class Layer:
        slot: Any = None

        def send(self) -> None: ...

    layer = Layer()
    layer.slot = host.guarded(layer.send, Answer, refuse)
    gone = weakref.ref(layer)
    del layer
    gc.collect()
    assert gone() is None


Parts: TypeAlias = tuple[tuple[type, ...], ...]
PAIR = ((int,), (str, type(None)))


def reject(answer: object, arguments: int) -> None:
    raise ValueError(f"{answer!r} will not do")


@pytest.mark.parametrize(
    ("kind", "parts", "answer", "seen"),
    [
        (int, (), 0, False),
        (int, (), 2**40, False),
        (int, (), -1, True),
        (int, (), 2**70, True),
        (int, (), None, True),
        (int, (), "3", True),
        (tuple, PAIR, (1, "two"), False),
        (tuple, PAIR, (1, None), False),
        (tuple, PAIR, (1, 2), True),
        (tuple, PAIR, (1, b"two"), True),
        (tuple, PAIR, (1,), True),
        (tuple, PAIR, (1, "two", 3), True),
        (tuple, PAIR, ("one", "two"), True),
        (tuple, PAIR, (-1, "two"), True),
        (tuple, PAIR, (), True),
        (tuple, (), (), True),
        (str, (), "text", False),
        (str, (), b"text", True),
    ],
)
def test_an_unusual_answer_is_looked_at(host: Twin, kind: type, parts: Parts, answer: object, seen: bool) -> None:
    looked: list[tuple[object, int]] = []
    slot = host.guarded(lambda a, b: answer, Answer, refuse, kind, parts, lambda *told: looked.append(told))
    assert slot(1, b=2) == answer
    if seen:
        assert looked == [(answer, 2)]
        with pytest.raises(Refusal, match="will not do"):
            host.guarded(lambda: answer, Answer, refuse, kind, parts, reject)()
