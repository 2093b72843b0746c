"""Chance comes by seed, for each purpose its own."""

from __future__ import annotations

from winsock.core.chance import source

NUMBERS = [0.905905, 0.05235]


def test_the_same_seed_and_purpose_give_the_same_numbers() -> None:
    one, other = source(7, "links"), source(7, "links")
    assert [one.random() for _ in range(5)] == [other.random() for _ in range(5)]


def test_another_seed_or_purpose_gives_others() -> None:
    numbers = {source(seed, purpose).random() for seed in (7, 8, "seven") for purpose in ("links", "ports")}
    assert len(numbers) == 6


def test_they_are_these_on_every_machine() -> None:
    assert [round(number, 6) for number in (source(7, "links").random(), source(0, "").random())] == NUMBERS
