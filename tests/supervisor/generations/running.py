"""Helpers: start a program under the runner, bare, or in a terminal; wait for conditions with a deadline."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RUNNER = str(ROOT / "tests" / "supervisor" / "generations" / "runner.py")
PYTHON = os.path.realpath(sys.executable)
DEADLINE_S = 20.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"}

WORLDS: dict[str, list[str]] = {
    "as we are": [],
    "root without CAP_SYS_PTRACE": ["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace"],
    "unprivileged": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
}


def runner(*modes: str) -> list[str]:
    """The command that runs what follows under supervision."""
    return [PYTHON, RUNNER, *modes, "--"]


def enter(world: str) -> list[str]:
    """The command that enters a world of rights; skips where that cannot be done from here."""
    if WORLDS[world] and (os.geteuid() != 0 or shutil.which("setpriv") is None):
        pytest.skip("needs root and setpriv to give rights away")
    return WORLDS[world]


def call(command: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, with captured streams."""
    more = {"env": ENVIRONMENT, "stdin": subprocess.DEVNULL, **more}
    if "input" in more:
        del more["stdin"]
    return subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False, **more)


@contextmanager
def started(command: list[str], **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, with pipes; killed with its group at the end."""
    pipe = subprocess.PIPE
    options = {"env": ENVIRONMENT, "stdin": pipe, "stdout": pipe, "stderr": pipe, "process_group": 0, **more}
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.kill()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        process.wait(DEADLINE_S)


def read_line(process: subprocess.Popen[bytes]) -> str:
    """The next line of its stdout."""
    assert process.stdout is not None
    return process.stdout.readline().decode().rstrip("\n")


def state(pid: int) -> str:
    """R, S, T, Z ... of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent(pid: int) -> int:
    """The parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def children(pid: int) -> list[int]:
    """The children of a process, dead ones too."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def ended(pid: int) -> bool:
    """Whether a process is gone, or waits only to be reaped by a stranger."""
    return state(pid) in ("", "Z", "X")


def commands_in_group(group: int) -> list[str]:
    """The names of the living processes of a process group."""
    names = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and not ended(int(entry.name)):
            try:
                head, _, rest = (entry / "stat").read_text().rpartition(") ")
            except OSError:
                continue
            if int(rest.split()[2]) == group:
                names.append(head.partition("(")[2])
    return names


class Terminal:
    """An interactive bash on a terminal of its own."""

    def __init__(self) -> None:
        if shutil.which("bash") is None:
            pytest.skip("bash, for job control, is not installed")
        environment = {**ENVIRONMENT, "PS1": "ready> ", "TERM": "dumb", "HISTFILE": "/dev/null"}
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
        self._text = ""
        self.expect("ready> ")

    def type(self, text: str) -> None:
        """Type a line."""
        self.press(text + "\n")

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._descriptor, keys.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until the output holds the pattern; forget everything up to its end."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := re.search(pattern, self._text)) is None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} in {self._text!r}")
            try:
                self._text += os.read(self._descriptor, 65536).decode(errors="replace").replace("\r", "")
            except OSError as error:
                raise AssertionError(f"terminal ended without {pattern!r}: {self._text!r}") from error
        self._text = self._text[found.end() :]
        return found

    def close(self) -> None:
        """Hang up."""
        os.close(self._descriptor)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
