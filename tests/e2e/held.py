"""Programs that are held in a call: a port that never answers, and how to know that somebody waits."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.e2e.harness import LOCALHOST, Running
from tests.waiting import wait_until
from winsock.host.numbers import machine


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of loopback that drops what comes: its listener's queue is full, and nobody accepts."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOCALHOST, 0))
        listener.listen(0)
        refused = 0
        while not refused:  # until one is left without an answer
            client = stack.enter_context(socket.socket())
            client.settimeout(0.25)
            try:
                client.connect(listener.getsockname())
            except TimeoutError:
                refused += 1
        port: int = listener.getsockname()[1]
        yield port


def process_of(running: Running, program: Path) -> int:
    """The process that runs this very file."""

    def found() -> list[int]:
        return [pid for pid in running.processes() if _executable(pid) == str(program)]

    pids: list[int] = wait_until(found, f"a process that runs {program}")
    return pids[0]


def wait_until_held(pid: int, call: str) -> None:
    """Until its main thread sleeps in this system call; one that is stopped there does not."""
    wanted = str(machine().calls[call])

    def sleeps() -> bool:
        return _system_call(pid) == wanted and state_of(pid) in ("S", "D")

    wait_until(sleeps, f"{pid} sleeps in {call}", lambda: f"it is in {_system_call(pid)}, {state_of(pid)}")


def state_of(pid: int) -> str:
    """R, S, D, T, t, Z; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return ""


def _system_call(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/syscall").read_text().split()[0]
    except OSError:
        return "?"


def _executable(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""
