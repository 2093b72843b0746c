"""Connects that do not wait: answers, events and errors as on the bare kernel, and the outcome in the records."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import Finished, bare, supervised
from tests.e2e.oracle import CHAINS, same_answers

CASES = (
    "at_once",
    "succeeds",
    "error_by_option",
    "error_by_connect",
    "error_by_read",
    "error_in_child",
    "two_threads",
    "shut_down",
    "closed_while_pending",
)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("case", CASES)
def test_connects_answer_as_the_kernel_does(build: Build, case: str, chain: str) -> None:
    if (case, chain) != ("error_by_read", "bytes"):
        same_connect(build, case, chain)


def test_a_relayed_connect_that_fails_late_tells_a_reader_of_a_reset(build: Build) -> None:
    """The one difference: SO_ERROR and connect tell the true error, read and write what the kernel has."""
    program = build("nonblocking", "-pthread")
    expected = bare(program, "error_by_read").stdout.replace(
        b"read tells: -1 ECONNREFUSED", b"read tells: -1 ECONNRESET"
    )
    assert supervised(program, "error_by_read", options=CHAINS["bytes"]).stdout == expected


def same_connect(build: Build, case: str, chain: str = "trace") -> Finished:
    """Run a case bare and supervised, and find it equal."""
    ran = same_answers(build("nonblocking", "-pthread"), case, chain=chain)
    assert ran.truth["passed"] == ran.truth["refused"] == {}
    return ran


def test_a_late_success_is_told_with_its_whole_duration(build: Build) -> None:
    ran = same_connect(build, "succeeds")
    late = [connect for connect in ran.events("connect", result="connected") if connect["duration_us"] > 500_000]
    assert len(late) == 1  # the kernel tried again after a second; those that filled the queue were quick


@pytest.mark.parametrize("case", ["error_by_option", "error_by_connect", "error_in_child"])
def test_a_late_refusal_is_told_once(build: Build, case: str) -> None:
    ran = same_connect(build, case)
    (connect,) = ran.events("connect", errno=111)
    assert (connect["result"], connect["error"]) == ("failed", "WSAECONNREFUSED")
    assert connect["duration_us"] > 500_000
