"""What is known of a handle: the fields, the constructor, and what may be made of it."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from tests.host.conftest import Twin

FIELDS = ("handle", "chain", "table", "identity", "context", "made", "adopted", "hidden", "shared")


def fields_of(record: Any) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in FIELDS)


def test_what_is_not_given_has_a_default(host: Twin) -> None:
    assert fields_of(host.Association(7, "chain", "table", b"file")) == (
        *(7, "chain", "table", b"file"),
        *(None, False, False, False, False),
    )


def test_arguments_go_by_place_and_by_name(host: Twin) -> None:
    by_place = host.Association(7, "chain", "table", b"file", "context", True, True)
    by_name = host.Association(
        7, "chain", identity=b"file", table="table", adopted=True, made=True, **{"con" + "text": "context"}
    )
    assert (
        fields_of(by_place) == fields_of(by_name) == (7, "chain", "table", b"file", "context", True, True, False, False)
    )


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((), {}),
        ((7, "chain", "table"), {}),
        ((7, "chain", "table"), {"context": None}),
        ((7, "chain", "table", b"file"), {"handle": 8}),
        ((7, "chain", "table", b"file"), {"hidden": True}),
        ((7, "chain", "table", b"file"), {"other": True}),
        ((7, "chain", "table", b"file", None, False, False, False), {}),
    ],
    ids=["none", "too few", "one missing", "twice", "no argument", "unknown", "too many"],
)
def test_wrong_arguments_are_refused(host: Twin, arguments: tuple[Any, ...], names: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        host.Association(*arguments, **names)


def test_fields_may_be_set_and_no_others(host: Twin) -> None:
    record = host.Association(7, "chain", "table", b"file")
    for name in FIELDS:
        setattr(record, name, name)
    assert fields_of(record) == FIELDS
    with pytest.raises(AttributeError):
        record.colour = "red"
    del record.context
    with pytest.raises(AttributeError):
        record.context  # noqa: B018


def test_classes_are_made_of_it(host: Twin) -> None:
    base: Any = host.Association

    class Made(base):  # type: ignore[misc]
        __slots__ = ("blocking",)

        def __init__(self, handle: int) -> None:
            super().__init__(handle, "chain", "table", b"file", made=True)
            self.blocking = True

    made = Made(7)
    assert (made.handle, made.made, made.adopted, made.blocking) == (7, True, False, True)
    with pytest.raises(AttributeError):
        made.colour = "red"


def test_a_second_construction_lets_go_of_the_first(host: Twin) -> None:
    class Chain:
        pass

    chain = Chain()
    gone = weakref.ref(chain)
    record = host.Association(7, chain, "table", b"file")
    record.__init__(8, "chain", "table", b"file")
    del chain
    assert (gone(), record.handle) == (None, 8)


def test_a_circle_is_collected(host: Twin) -> None:
    class Chain:
        record: Any

    chain = Chain()
    chain.record = host.Association(7, chain, "table", b"file")
    gone = weakref.ref(chain)
    del chain
    gc.collect()
    assert gone() is None
