"""A million steps over a simulated network."""

from __future__ import annotations

import pytest

from tests.base.memory.walk import walk

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


def test_one_walk_of_a_million_steps() -> None:
    walk(1, 1_000_000, trace=False)


@pytest.mark.parametrize("seed", range(100, 150))
def test_many_walks(seed: int) -> None:
    walk(seed, 20_000)
