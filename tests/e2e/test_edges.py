"""What a connection does at its edges is the same through every chain: the bare run is the oracle."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable

import pytest

from tests.e2e.byte_chains import CHAINS, chain, nothing_passed
from tests.e2e.harness import PYTHON, ROOT, Finished, bare, supervising
from tests.programs.edges import CASES

WORLDS = {"trace": chain("trace", witnesses=[]), **CHAINS}
ALL_S = 100.0
"""What hangs is ended, case by case: see the program."""
PAIRS = [(name, world) for world in WORLDS for name in CASES]
PROGRAM = (PYTHON, "-m", "tests.programs.edges")

Answers = dict[str, tuple[int, list[str]]]


def answers(finished: Finished) -> Answers:
    """The status and the lines of each case."""
    assert (finished.status, finished.stderr) == (0, b"")
    rows = [json.loads(line) for line in finished.stdout.splitlines()]
    return {row["name"]: (row["status"], row["text"].splitlines()) for row in rows}


@pytest.fixture(scope="module")
def plain() -> Answers:
    """Without us."""
    return answers(bare(*PROGRAM, cwd=ROOT))


@pytest.fixture(scope="module")
def through() -> Callable[[str], Finished]:
    """All cases through a chain, in one run."""

    @functools.cache
    def run(world: str) -> Finished:
        with supervising(*PROGRAM, options=WORLDS[world].options, cwd=ROOT) as started:
            return started.wait(ALL_S)

    return run


@pytest.mark.parametrize(("name", "world"), PAIRS)
def test_an_edge(name: str, world: str, plain: Answers, through: Callable[[str], Finished]) -> None:
    assert plain[name][0] == 0
    assert plain[name][1]
    assert answers(through(world))[name] == plain[name]


@pytest.mark.parametrize("world", WORLDS)
def test_no_connection_goes_round(world: str, through: Callable[[str], Finished]) -> None:
    nothing_passed(through(world))
