"""Relayed connections, seen by a program in every way there is: all answers are those of the bare kernel."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Build
from tests.e2e.oracle import BYTES, CHAINS, same_answers

CASES = (
    "observed_late",
    "observed_early",
    "observed_failure",
    "names4",
    "names6",
    "names_mapped",
    "names_both",
    "bound",
    "bound_without_port",
    "options",
    "inherited",
    "reset",
    "unread",
    "halves",
    "again",
    "mode_changes",
    "unanswered",
    "unreachable",
    "crowd",
    "small_buffer",
)
DEEP = "three deep, mixed"
CHAINS_HERE = {
    "bytes": CHAINS["bytes"],
    DEEP: (
        *("--layer", f"{BYTES}:Pass", "--layer", "trace", "--layer", f"{BYTES}:Count"),
        *("--layer", f"{BYTES}:Same", "--layer", f"{BYTES}:Under"),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("chain", CHAINS_HERE)
def test_answers_are_the_kernels(build: Build, monkeypatch: pytest.MonkeyPatch, case: str, chain: str) -> None:
    monkeypatch.setitem(CHAINS, chain, CHAINS_HERE[chain])
    ran = same_answers(build("relayed", "-pthread"), case, chain=chain)
    assert ran.truth["passed"] == ran.truth["refused"] == {}
    assert ran.events("layer-error") == []
