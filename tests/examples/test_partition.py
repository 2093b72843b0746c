"""The simulated network with a partition: it heals, and the same seed tells the same story."""

from __future__ import annotations

import subprocess
import sys

from tests.examples.sample import EXAMPLES


def story(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "partition.py", *arguments], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_conversation_outlives_the_partition() -> None:
    lines = story()
    said = [line for line in lines if "alice says" in line]
    assert len(said) == 5
    times = [float(line.split()[0]) for line in said]
    waits = [float(line.split()[-3]) for line in said]
    held_up = waits.index(max(waits))
    assert times[held_up] < 4.0 < times[held_up] + waits[held_up]
    history = lines[lines.index("what went over the wire:") + 1 :]
    cut, healed = history.index("1.000000 partition alice | bob"), history.index("4.000000 heal")
    assert all(line.endswith("cut off") for line in history[cut + 1 : healed] if float(line.split()[0]) > 1.1)
    assert any(line.endswith("cut off") for line in history[cut:healed])


def test_the_same_seed_tells_the_same_story() -> None:
    assert story("any") == story("any")
    assert story("any") != story("other")
