"""The floor is cheap to import: it stands on the start-up path of every run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from winsock.abi import constants

SOURCES = str(Path(constants.__file__).parents[2])
DEAR = ("asyncio", "ctypes", "dataclasses", "inspect", "sqlite3", "uuid", "argparse", "importlib.metadata")
LIGHT = ("calls", "constants", "errors", "flags", "guids", "ioctls", "ntstatus", "options", "sockaddr", "wskdefs")


@pytest.mark.parametrize("module", LIGHT)
def test_nothing_dear_is_imported(module: str) -> None:
    program = f"import sys, winsock.abi.{module}; print([name for name in {DEAR!r} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-S", "-c", program], env={"PYTHONPATH": "src"}, capture_output=True, text=True
    )
    assert (run.stdout.strip(), run.stderr) == ("[]", "")
