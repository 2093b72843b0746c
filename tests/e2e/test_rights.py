"""A call is performed with the rights of who made it: a root program's workers can do no more under supervision."""

from __future__ import annotations

import os

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import supervised
from tests.e2e.oracle import CHAINS, UNREADABLE, may_look_everywhere, same_answers

CASES = ("root", "worker", "worker_executed", "effective", "capabilities", "kept", "threads")

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up"),
]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("case", CASES)
def test_a_call_is_allowed_what_its_caller_is(build: Build, case: str, chain: str) -> None:
    same_answers(build("rights", "-pthread"), case, chain=chain)


def test_a_worker_that_became_nobody_may_not_bind_a_low_port(build: Build) -> None:
    answers = supervised(build("rights", "-pthread"), "worker_executed").stdout.decode().splitlines()
    assert answers[0] == "bind to a low port: -1 EACCES"
    assert answers[2] == "SO_MARK: -1 EPERM"
    assert answers[-1] == "its parent is root still: 0"


def test_the_refused_bind_of_a_worker_is_shown_or_counted(build: Build) -> None:
    ran = supervised(build("rights", "-pthread"), "worker_executed")
    refused = [(record["error"], record["errno"]) for record in ran.events("bind", result="failed")]
    assert refused == ([("WSAEACCES", 13)] if may_look_everywhere() else [])
    assert (UNREADABLE in ran.truth["passed"]) == (not may_look_everywhere())
