"""The tour leads along files and names that exist, and every step of it goes down."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_tidy import FLOORS

ROOT = Path(__file__).parent.parent
TOUR = (ROOT / "docs" / "tour.md").read_text("utf-8")
STEPS = re.findall(r"^## \d\. `(src/winsock/(\w+)/[\w/]+\.py)`: (.+)$", TOUR, re.MULTILINE)


def test_five_files_all_downwards() -> None:
    """The slot of step 3 is described in `spi`, and is a function of a layer or of the base."""
    floors = [FLOORS["layers" if package == "spi" else package] for _, package, _ in STEPS]
    assert len(floors) == 5
    assert floors == sorted(floors, reverse=True)


def test_every_step_names_what_is_there() -> None:
    for path, _, what in STEPS:
        source = (ROOT / path).read_text("utf-8")
        for name in re.findall(r"`(\w+)`", what):
            assert re.search(rf"^\s*(def|class) {name}\b", source, re.MULTILINE), f"{path} has no {name}"


def test_every_file_that_is_named_exists() -> None:
    for path in re.findall(r"`((?:src|tests|docs)/[\w/.]+)`", TOUR):
        assert (ROOT / path).exists(), path


def test_the_names_along_the_way_are_there() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (ROOT / "src" / "winsock").rglob("*.py"))
    for name in (
        "senders",
        "learn_to_send",
        "direct_send",
        "after_direct_send",
        "refusal",
        "note",
        "guarded",
        "send_error",
    ):
        assert f"`{name}`" in TOUR or f".{name}`" in TOUR, name
        assert name in sources, name


def test_the_program_of_the_tour_runs() -> None:
    program = re.findall(r"```python\n(.+?)```", TOUR, re.DOTALL)[0]
    lines: list[str] = []
    exec(compile(program, "tour", "exec"), {"print": lambda value: lines.append(str(value))})
    assert lines == ["5"]
