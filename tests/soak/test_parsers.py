"""A million inputs for the parsers."""

from __future__ import annotations

import pytest

from tests.fuzz.parser import fuzz
from tests.fuzz.test_parsers import PARSERS, world

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

INPUTS = 1_000_000
world = world  # the fixture


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser(name: str) -> None:
    fuzz(PARSERS[name], 2, -(-INPUTS // len(PARSERS)))
