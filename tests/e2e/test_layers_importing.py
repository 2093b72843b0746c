"""What a layer does to its process while it is imported is not done to the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import WINSOCK, Finished, bare, supervised

SHOW = "pwd; umask; ulimit -Sn; ulimit -St; echo told >&2"


def under(folder: Path, code: str, *program: str, **more: Any) -> Finished:
    """The program under a layer that does this when it is imported."""
    layer = folder / "mine.py"
    layer.write_text(
        f"import os, resource, sys\nfrom winsock import Layer\n\n{code}\n\n"
        "class Mine(Layer):\n    def connecting(self, address):\n        return None\n"
    )
    return supervised(*program, options=["--layer", layer], **more)


@pytest.mark.parametrize(
    "code",
    [
        "os.chdir('/')",
        "os.umask(0o177)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))",
        "resource.setrlimit(resource.RLIMIT_CPU, (500, resource.getrlimit(resource.RLIMIT_CPU)[1]))",
        "sys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
    ],
)
def test_the_program_stands_where_it_stood(code: str, tmp_path: Path) -> None:
    with_layer = under(tmp_path, code, "sh", "-c", SHOW, cwd=tmp_path)
    without = bare("sh", "-c", SHOW, cwd=tmp_path)
    assert (with_layer.status, with_layer.stdout, with_layer.stderr) == (0, without.stdout, without.stderr)


def test_also_where_its_directory_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    shown = "pwd -P 2> /dev/null; umask"
    without = bare("sh", "-c", command, "sh", gone, "sh", "-c", shown)
    gone.mkdir()
    layer = tmp_path / "mine.py"
    layer.write_text("import os\nfrom winsock import Layer\nos.umask(0)\nclass Mine(Layer):\n    pass\n")
    run = [*WINSOCK, "run", "--layer", str(layer), "--", "sh", "-c", shown]
    assert bare("sh", "-c", command, "sh", gone, *run).stdout == without.stdout


@pytest.mark.parametrize(
    ("code", "lost"),
    [
        ("os.close(1); os.close(2)", "standard output (descriptor 1)"),
        ("os.close(0)", "standard input (descriptor 0)"),
        ("os.dup2(1, 2)", "standard error (descriptor 2)"),
        ("os.close(1); open('/dev/null')", "standard output (descriptor 1)"),
    ],
)
def test_a_layer_that_takes_the_programs_streams_away_is_refused(code: str, lost: str, tmp_path: Path) -> None:
    finished = under(tmp_path, code, "sh", "-c", "echo run")
    assert finished.status == 125
    assert b"run" not in finished.stdout
    told = finished.stdout + finished.stderr
    assert f"a layer has closed or replaced the program's {lost}".encode() in told or "os.close(2)" in code
