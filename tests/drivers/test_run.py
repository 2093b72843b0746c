"""The suite of the stream layers, with the relay under `winsock run`."""

from __future__ import annotations

import pytest

from tests.drivers.checks import CHECKS
from tests.drivers.run import open_run_world
from tests.drivers.world import Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_relayed(check: Check) -> None:
    check(open_run_world)
