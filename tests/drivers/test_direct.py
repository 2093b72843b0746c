"""The suite of the stream layers, with the direct driver."""

from __future__ import annotations

import pytest

from tests.drivers.checks import CHECKS
from tests.drivers.direct import open_direct_world
from tests.drivers.world import Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_direct(check: Check) -> None:
    check(open_direct_world)
