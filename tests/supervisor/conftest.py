"""What the tests of the supervisor's parts stand on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.puppet import Puppet, puppet


@pytest.fixture
def other() -> Iterator[Puppet]:
    """Another process."""
    with puppet() as process:
        yield process
