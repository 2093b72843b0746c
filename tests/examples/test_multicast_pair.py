"""The multicast pair, as it runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.examples.sample import EXAMPLES
from tests.networks import needs_a_network, needs_root, own_network

COMMAND = [sys.executable, str(EXAMPLES / "multicast_pair.py")]


def words(lines: list[str]) -> list[str]:
    return [line.rpartition(": ")[2] for line in lines]


@needs_root
@needs_a_network
class TestPair:
    """In a network where nobody else has its port."""

    @pytest.fixture(autouse=True)
    def network(self) -> Iterator[None]:
        with own_network():
            yield

    def test_it_hears_itself(self) -> None:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        first, *rest = done.stdout.splitlines()
        assert first == "a member of 239.192.7.7:7070"
        assert words(rest) == ["hello", "group", "bye"]

    def test_two_programs_hear_a_third(self) -> None:
        pipe = subprocess.PIPE
        hearers = [subprocess.Popen([*COMMAND, "hear"], stdout=pipe, text=True) for _ in range(2)]
        for hearer in hearers:
            assert hearer.stdout is not None
            assert hearer.stdout.readline().startswith("a member of")
        subprocess.run([*COMMAND, "say", "one", "two"], check=True, timeout=60)
        for hearer in hearers:
            said, _ = hearer.communicate(timeout=60)
            assert words(said.splitlines()) == ["one", "two", "bye"]
            assert hearer.returncode == 0
