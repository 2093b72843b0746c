"""Winsock, started for each test, with sockets to be had: with the overlapped attribute and, in these suites, without.

An overlapped socket does every call that is not overlapped exactly as one without the attribute. So the suites of such
calls run over both. SO_OPENTYPE decides which `socket` makes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from winsock.abi.constants import SO_SYNCHRONOUS_NONALERT
from winsock.api import sockets
from winsock.base.inet import own
from winsock.dispatcher import threads
from winsock.testing import World

OVERLAPPED, PLAIN = 0, SO_SYNCHRONOUS_NONALERT
OVER_BOTH = ("test_options", "test_sockets", "test_transfer", "test_waiting")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the suites of calls that are not overlapped over both."""
    if "open_type" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in OVER_BOTH:
        metafunc.parametrize("open_type", [OVERLAPPED, PLAIN], ids=["overlapped", "plain"], indirect=True)


@pytest.fixture
def open_type(request: pytest.FixtureRequest) -> Iterator[int]:
    """SO_OPENTYPE of the test's thread."""
    state = threads.current()
    state.open_type = getattr(request, "param", OVERLAPPED)
    yield state.open_type
    state.open_type = OVERLAPPED


@pytest.fixture
def world(open_type: int) -> Iterator[World]:
    with World() as world:
        s = world.stream()
        assert own.SOCKETS[s].overlapped is (open_type == OVERLAPPED)
        sockets.closesocket(s)
        yield world
