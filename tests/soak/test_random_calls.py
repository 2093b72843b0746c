"""Random calls of a real program for long, through every kind of chain, against the bare kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Build, build
from tests.e2e.random_calls import write
from tests.e2e.random_runs import WORLDS, Stage

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

ROUNDS, COUNT, LENGTH = 10, 200, 60
build = build  # the fixture


@pytest.mark.parametrize("world", WORLDS)
def test_nobody_can_tell_a_chain_from_the_kernel(build: Build, tmp_path: Path, world: str) -> None:
    stage = Stage(build("random_calls", "-pthread"), tmp_path)
    for seed in range(1000, 1000 + ROUNDS):
        differences = stage.differences(write(seed, COUNT, LENGTH), world)
        assert not differences, f"{world}: {stage.shortest(differences[0], world)}"
