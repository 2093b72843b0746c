"""Absurd arguments: a supervised program is answered exactly what the kernel answers a bare one.

The oracle is the same program, run bare on the same kernel. It is run under trace, and under a layer through which
every function goes that can be carried.
"""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import supervised
from tests.e2e.oracle import CHAINS, same_answers

GROUPS = (
    "descriptors",
    "lengths",
    "families",
    "unspec",
    "pointers",
    "names",
    "options",
    "setting",
    "high_words",
    "ipv6",
    "shutdowns",
    "kinds",
)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("group", GROUPS)
def test_answers_are_the_kernels(build: Build, group: str, chain: str) -> None:
    same_answers(build("bad_input", "-pthread"), group, chain=chain)


def test_sockets_that_cannot_exist_are_not_counted_as_passed(build: Build) -> None:
    ran = supervised(build("bad_input", "-pthread"), "kinds")
    passed = ran.truth["passed"]
    assert not [reason for reason in passed if "family 999" in reason or "family -1" in reason]
