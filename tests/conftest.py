"""What holds for every test, and for the end of them all.

No test meets the catalog of whoever runs it: there is none, unless the test asks for one of its own. And no run hangs
at its end on a thread that a failed test left waiting.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

import pytest

os.environ["WINSOCK_CATALOG"] = os.path.join(tempfile.gettempdir(), f"winsock-tests-{os.getpid()}", "none.sqlite")

_PATIENCE = 5.0


@pytest.fixture
def catalog_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's catalog will be, in a folder that the first change makes."""
    file = tmp_path / "catalog" / "catalog.sqlite"
    monkeypatch.setenv("WINSOCK_CATALOG", str(file))
    return file


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """The interpreter would wait for threads that never end; whoever waits for the tests learns of them instead."""
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon]
    for thread in left:
        thread.join(_PATIENCE)
    waiting = [thread.name for thread in left if thread.is_alive()]
    if waiting:
        print("threads that did not end:", *waiting, file=sys.stderr, flush=True)
        os._exit(pytest.ExitCode.TESTS_FAILED)
