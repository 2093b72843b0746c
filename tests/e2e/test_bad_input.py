"""Absurd arguments: a supervised program is answered exactly what the kernel answers a bare one.

The oracle is the same program, run bare on the same kernel. It is run under trace, and under a layer through which
every function goes that can be carried.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import bare, supervised

EVERYTHING = Path(__file__).parent / "layers_everything.py"
CHAINS = {"trace": (), "everything": ("--layer", EVERYTHING)}
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
    program = build("bad_input", "-pthread")
    plain = bare(program, group)
    assert plain.status == 0, plain.text
    assert plain.stdout.count(b"\n") > 10
    ran = supervised(program, group, options=CHAINS[chain])
    assert ran.stdout.decode().splitlines() == plain.stdout.decode().splitlines()
    assert ran.same == plain.same


def test_sockets_that_cannot_exist_are_not_counted_as_passed(build: Build) -> None:
    ran = supervised(build("bad_input", "-pthread"), "kinds")
    passed = ran.truth["passed"]
    assert not [reason for reason in passed if "family 999" in reason or "family -1" in reason]
