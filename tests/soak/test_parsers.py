"""A million inputs for the parsers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fuzz.parser import fuzz
from tests.fuzz.test_parsers import PARSERS
from winsock.testing import World

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

INPUTS = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser(name: str) -> None:
    fuzz(PARSERS[name], 2, -(-INPUTS // len(PARSERS)))
