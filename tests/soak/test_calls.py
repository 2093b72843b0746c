"""Random calls for long, in every world, against the plain socket module."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.properties.test_calls import EVERY_DAY, WORLDS, run

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

LONG = settings(EVERY_DAY, max_examples=600, stateful_step_count=80)


@pytest.mark.parametrize("world", WORLDS)
def test_nobody_can_tell_winsock_from_the_kernel(world: str) -> None:
    run(world, LONG)


@pytest.mark.parametrize("world", ["inet", "pass", "bytes,address"])
def test_nobody_can_tell_the_facade_from_the_socket_module(world: str) -> None:
    run(world, LONG, as_facade=True)
