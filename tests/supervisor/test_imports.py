"""What `winsock run` imports before the program starts: every module here is paid for at every start.

`start_up_imports.txt` holds the list. Modules of ours are held exactly; of the standard library's public packages none
may join (what is missing is no matter, since Python's versions differ). After a change that is meant to be one:

    python -m tests.supervisor.test_imports
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.puppet import ROOT

LIST = Path(__file__).with_name("start_up_imports.txt")
FRONT, SUPERVISOR = "before the first fork", "then, before the supervisor serves"
OPTIONAL = {"winsock._hot"}
"""Modules of ours that are not built everywhere."""
NEVER = (
    *("asyncio", "concurrent", "dataclasses", "email", "http", "inspect", "json", "logging", "multiprocessing"),
    *("pathlib", "pickle", "random", "shutil", "sqlite3", "ssl", "subprocess", "tempfile", "unittest", "urllib"),
    *("uuid", "zipfile"),
)

PROGRAM = """
import os, sys
before = set(sys.modules)

def telling(stage, function, then=lambda: None):
    def told(*arguments):
        path = os.path.join(sys.argv[1], stage)
        if not os.path.exists(path):
            names = "\\n".join(sorted(set(sys.modules) - before))
            with open(path, "w", encoding="utf-8") as file:
                file.write(names)
            then()
        return function(*arguments)
    return told

def watch_supervisor():
    crew = sys.modules["winsock.supervisor.crew"].Crew
    crew.start = telling("supervisor", crew.start)

os.fork = telling("front", os.fork, watch_supervisor)
from winsock.cli import main
sys.exit(main(["run", "--output", os.devnull, "--", "/bin/true"]))
"""


def imported(folder: Path) -> dict[str, set[str]]:
    """What is imported in both stages, beyond what the interpreter begins with."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-S", "-c", PROGRAM, str(folder)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    front, supervisor = ((folder / stage).read_text("utf-8").split() for stage in ("front", "supervisor"))
    return {FRONT: listable(front), SUPERVISOR: listable(supervisor) - listable(front)}


def listable(names: list[str]) -> set[str]:
    """Modules of ours, and the public packages that others belong to."""
    return {name if is_ours(name) else name.partition(".")[0] for name in names if is_ours(name) or name[0] != "_"}


def is_ours(name: str) -> bool:
    return name.partition(".")[0] == "winsock"


def listed() -> dict[str, set[str]]:
    """The list that is kept: a heading for each stage, below it a module a line."""
    stages: dict[str, set[str]] = {}
    for line in LIST.read_text("utf-8").splitlines():
        if line.startswith("# "):
            names = stages[line[2:]] = set()
        elif line:
            names.add(line)
    return stages


def ours(names: set[str]) -> set[str]:
    return {name for name in names if is_ours(name)} - OPTIONAL


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """What is imported now."""
    if not sys.platform.startswith("linux"):
        pytest.skip("winsock run needs Linux")
    return imported(tmp_path_factory.mktemp("imports"))


@pytest.mark.parametrize("stage", [FRONT, SUPERVISOR])
def test_of_ours_exactly_these_are_imported(found: dict[str, set[str]], stage: str) -> None:
    assert sorted(ours(found[stage])) == sorted(ours(listed()[stage]))


@pytest.mark.parametrize("stage", [FRONT, SUPERVISOR])
def test_of_the_standard_library_no_more_than_these(found: dict[str, set[str]], stage: str) -> None:
    known = listed()
    allowed = known[FRONT] if stage == FRONT else known[FRONT] | known[SUPERVISOR]
    assert sorted(found[stage] - ours(found[stage]) - OPTIONAL - allowed) == []


def test_what_is_dear_is_never_imported(found: dict[str, set[str]]) -> None:
    assert [name for name in NEVER if name in found[FRONT] | found[SUPERVISOR]] == []
    assert [name for name in NEVER if name in set().union(*listed().values())] == []


def write() -> None:
    """Keep what is imported now."""
    with tempfile.TemporaryDirectory() as folder:
        stages = imported(Path(folder))
    blocks = [f"# {stage}\n" + "".join(f"{name}\n" for name in sorted(names)) for stage, names in stages.items()]
    LIST.write_text("\n".join(blocks), "utf-8")


if __name__ == "__main__":
    write()
