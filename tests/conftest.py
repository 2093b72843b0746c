"""What holds for every test, and for the end of them all.

No test meets the catalog of whoever runs it: there is none, unless the test asks for one of its own. A test that
spec/errors_tested.csv names raises the errors that it is named for. And no run hangs at its end on a thread that a
failed test left waiting.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.e2e.harness", "tests.e2e.oracle")  # so that they show what differs
os.environ["WINSOCK_CATALOG"] = os.path.join(tempfile.gettempdir(), f"winsock-tests-{os.getpid()}", "none.sqlite")

if TYPE_CHECKING:
    from tests.spec.coverage import Seen

_PATIENCE = 5.0
settings.register_profile("of any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("of any speed")  # a busy machine is no failure


@pytest.fixture
def catalog_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's catalog will be, in a folder that the first change makes."""
    file = tmp_path / "catalog" / "catalog.sqlite"
    monkeypatch.setenv("WINSOCK_CATALOG", str(file))
    return file


@pytest.fixture(autouse=True)
def no_events_are_left() -> Iterator[None]:
    """Event objects outlive their sockets, and Winsock; what a test made goes with it."""
    yield
    events = sys.modules.get("winsock.overlapped.events")
    if events is not None:
        for handle in list(events._events):
            events.close(handle)


@pytest.fixture
def nobody() -> None:
    """The test becomes another user, who must be able to read this Python, which may be somewhere in a home."""
    reason = _cannot_be_nobody()
    if reason:
        from tests.e2e.harness import missing

        missing(reason)


@cache
def _cannot_be_nobody() -> str:
    code = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534); import __future__, ctypes, sqlite3"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return f"another user cannot run {sys.executable}: {done.stderr.splitlines()[-1]}" if done.returncode else ""


@cache
def documented_errors() -> dict[str, set[Seen]]:
    """What the tests are named for, by their ids."""
    from tests.spec.coverage import tested

    named: dict[str, set[Seen]] = {}
    for seen, test in tested().items():
        named.setdefault(test, set()).add(seen)
    return named


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Prove what spec/errors_tested.csv says of a test."""
    named = documented_errors().get(pyfuncitem.nodeid)
    if not named or "WINSOCK_RECORDING" in os.environ:
        return (yield)
    from tests.spec.witness import watching

    with watching() as witness:
        result = yield
        missing = named - witness.seen()
    assert not missing, f"documented errors that this test raised once: {missing}; see tests/spec/recording.py"
    return result


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
