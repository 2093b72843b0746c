"""Help for who mistyped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsock.cli.words import nearest_first

KNOWN = ["trace", "capture", "firewall", "redirect", "socks"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("trcae", "trace"), ("TRACE", "trace"), ("fire", "firewall"), ("sock5", "socks"), ("redir", "redirect")],
)
def test_what_was_meant_comes_first(typed: str, meant: str) -> None:
    assert nearest_first(typed, KNOWN)[0] == meant


@given(st.text(max_size=20), st.lists(st.text(max_size=10), unique=True))
def test_nothing_is_left_out(typed: str, known: list[str]) -> None:
    assert sorted(nearest_first(typed, known)) == sorted(known)


def test_equals_are_in_order() -> None:
    assert nearest_first("", ["b", "c", "a"]) == ["a", "b", "c"]
    assert nearest_first("x", {"b": 1, "a": 2}) == ["a", "b"]
