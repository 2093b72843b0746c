"""Five hundred installers are killed at random points: the catalog always opens, whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.harness import PYTHON, ROOT, bare

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

TIMES = 500


def test_killed_installers_leave_it_whole(catalog_file: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 30)
    done = bare(PYTHON, "-m", "tests.catalog.killing", str(TIMES), str(seed), timeout=600, cwd=ROOT)
    assert (done.status, done.text) == (0, ""), f"seed {seed}"
