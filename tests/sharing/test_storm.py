"""Duplications between processes that are killed at random: twenty here, a thousand under `make soak`."""

from __future__ import annotations

from tests.sharing.storm import played


def test_nothing_is_left_and_nothing_given_to_strangers() -> None:
    figures = played(20, 4)
    assert figures["written"] > 0
    assert figures["givers killed"] > 0
    assert figures["takers killed"] > 0
