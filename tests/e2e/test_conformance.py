"""What any provider must do, done by a supervised program: the checks of `winsock.testing`, made by plain sockets.

The program's own base provider makes nothing but plain calls of the socket module and of the kernel; what it finds
under `winsock run` must be what it finds without.
"""

from __future__ import annotations

import pytest

from tests.e2e.byte_chains import CHAINS
from tests.e2e.harness import PYTHON, Finished, bare, supervised

CHECKS = (PYTHON, "-c", "from winsock.testing import check_provider; check_provider(); print('every check')")


OPTIONS = {name: chain.options for name, chain in CHAINS.items()} | {"trace": ("--layer", "trace")}


@pytest.fixture(scope="module")
def expected() -> Finished:
    """What the program finds by itself."""
    finished = bare(*CHECKS)
    assert (finished.status, finished.stdout) == (0, b"every check\n"), finished.text
    return finished


@pytest.mark.parametrize("chain", OPTIONS)
def test_every_check_of_a_provider(expected: Finished, chain: str) -> None:
    finished = supervised(*CHECKS, options=OPTIONS[chain])
    assert finished.same == expected.same, finished.text
