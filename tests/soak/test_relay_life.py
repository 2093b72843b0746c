"""Relays under `winsock run`, long enough to see what grows, and what a death at any moment leaves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import supervising
from tests.e2e.test_relay_life import SHOUT, echoing, kill_in_the_middle, only_capitals
from tests.soak.test_soak import LONG_S, LOOK, SPARE_DESCRIPTORS, SPARE_KIB

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

KILLS = 100
CONNECTIONS = 5000


@pytest.fixture(scope="module")
def chatter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that talks."""
    program = tmp_path_factory.mktemp("soak") / "chatter"
    source = Path(__file__).parents[1] / "programs" / "chatter.c"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", program, source], check=True, timeout=60)
    return program


@pytest.mark.parametrize("victim", ["program", "supervisor"])
def test_two_hundred_deaths(chatter: Path, victim: str) -> None:
    for seed in range(KILLS):
        kill_in_the_middle(chatter, victim, seed)


def test_nothing_grows_with_relayed_connections(chatter: Path) -> None:
    script = f'"$0" "$1" 500; {LOOK}; "$0" "$1" {CONNECTIONS}; {LOOK}'
    with echoing() as server:
        with supervising("sh", "-c", script, chatter, str(server.port), options=SHOUT) as started:
            ran = started.wait(LONG_S)
        assert ran.status == 0
        assert only_capitals(server)
    first, descriptors, memory, last, descriptors_then, memory_then = ran.stdout.split()
    assert (first, last) == (b"over", b"over")
    assert int(descriptors_then) <= int(descriptors) + SPARE_DESCRIPTORS
    assert int(memory_then) <= int(memory) + SPARE_KIB
    assert ran.truth["layered"] == 500 + CONNECTIONS
