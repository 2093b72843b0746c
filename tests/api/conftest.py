"""Winsock, started for each test, with sockets to be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from winsock.testing import World


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world
