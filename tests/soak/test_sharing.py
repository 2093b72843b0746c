"""A thousand duplications between processes that are killed at random: see `tests.sharing.storm`."""

from __future__ import annotations

import random

import pytest

from tests.sharing.storm import played

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

TIMES = 1000


def test_nothing_is_left_and_nothing_given_to_strangers() -> None:
    seed = random.SystemRandom().randrange(1 << 30)
    figures = played(TIMES, seed)
    assert figures["written"] > TIMES / 4, f"seed {seed}"
    assert min(figures["givers killed"], figures["takers killed"]) > TIMES / 4, f"seed {seed}"
    assert figures["tries of strangers"] > TIMES, f"seed {seed}"
