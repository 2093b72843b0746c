"""Trees of processes as /proc shows them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.waiting import wait_until
from winsock.supervisor.generations.processes import descendants, state_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_tree_is_found_whole() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 & cat"], stdin=subprocess.PIPE) as shell:
        wait_until(lambda: len(descendants(shell.pid)) == 2, "the shell's children")
        wait_until(lambda: {p.name for p in descendants(shell.pid)} == {"sleep", "cat"}, "their names")
        (sleep,) = [process.pid for process in descendants(shell.pid) if process.name == "sleep"]
        assert shell.pid in [process.pid for process in descendants(os.getpid())]
        besides = descendants(os.getpid(), besides=[shell.pid])
        assert not {shell.pid, sleep} & {process.pid for process in besides}
        os.kill(sleep, 9)
        assert shell.stdin is not None
        shell.stdin.close()


def test_the_dead_are_not_counted() -> None:
    with subprocess.Popen(["true"]) as child:
        wait_until(lambda: state_of(child.pid) == b"Z", "the child to end")
        assert child.pid not in [process.pid for process in descendants(os.getpid())]
    assert state_of(child.pid) == b""


def test_odd_names_are_read(tmp_path: os.PathLike[str]) -> None:
    name = os.path.join(tmp_path, "a) R 1 (b")
    os.symlink("/bin/cat", name)
    with subprocess.Popen([name], stdin=subprocess.PIPE) as child:
        wait_until(lambda: [p.name for p in descendants(os.getpid()) if p.pid == child.pid] == ["a) R 1 (b"], "exec")
        assert child.stdin is not None
        child.stdin.close()
