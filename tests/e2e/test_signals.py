"""Signals, terminals, stops and tracers meet a program that is held in connect or accept: all as with the bare kernel.

Nothing here measures speed. What must come soon (0.2 s by the plan) is given two seconds, on a machine that is shared.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import (
    DEADLINE_S,
    LOCALHOST,
    WINSOCK,
    Running,
    environment,
    needs,
    running,
    supervised,
    supervising,
)
from tests.e2e.held import black_hole, process_of, state_of, wait_until_held
from tests.e2e.oracle import CHAINS, same_answers

SOON_S = 2.0
CASES = (
    "storm_restart",
    "storm_eintr",
    "storm_by_thread",
    "alarm_connect",
    "alarm_accept",
    "alarm_connect_restart",
    "alarm_accept_restart",
    "alarm_connect_limited",
    "alarm_accept_limited",
    "goes_on",
    "limited",
    "unseen",
    "stopped",
    "closed_then_signal",
)


@pytest.fixture(scope="module")
def hole() -> Iterator[str]:
    """The number of a port that never answers."""
    with black_hole() as port:
        yield str(port)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("case", CASES)
def test_signals_are_handled_as_by_the_bare_kernel(build: Build, hole: str, case: str, chain: str) -> None:
    same_answers(build("interrupted", "-pthread"), case, hole, chain=chain)


def test_five_held_threads_handle_twenty_signals(build: Build, hole: str) -> None:
    ran = supervised(build("interrupted", "-pthread"), "storm_restart", hole)
    assert ran.stdout == b"signals 20, handler runs 20, odd errnos 0, in time: yes\n"


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["hold_connect", "hold_accept"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGSEGV])
def test_a_deadly_signal_to_the_program_ends_it_at_once(build: Build, hole: str, case: str, number: int) -> None:
    program = build("interrupted", "-pthread")
    with supervising(program, case, hole) as held:
        pid = process_of(held, program)
        wait_until_held(pid, case.removeprefix("hold_"))
        start = time.monotonic()
        os.kill(pid, number)
        assert held.wait().status == 128 + number
        assert time.monotonic() - start < SOON_S


@pytest.mark.parametrize("case", ["hold_connect", "hold_accept"])
def test_sigterm_to_us_reaches_a_held_program(build: Build, hole: str, case: str) -> None:
    program = build("interrupted", "-pthread")
    with supervising(program, case, hole) as held:
        wait_until_held(process_of(held, program), case.removeprefix("hold_"))
        start = time.monotonic()
        held.signal(signal.SIGTERM)
        assert held.wait().status == 128 + signal.SIGTERM
        assert time.monotonic() - start < SOON_S


# --- terminals --------------------------------------------------------------------------------------------------------


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self, shell: Running, master: int) -> None:
        self.shell = shell
        self._master = master
        self._text = ""

    def type(self, keys: str) -> None:
        """Type these keys."""
        os.write(self._master, keys.encode())

    def run(self, words: Sequence[str | Path]) -> None:
        """Type a command, whose words need no quotes."""
        self.type(" ".join(map(str, words)) + "\n")

    def expect(self, text: str) -> None:
        """Read until this text has come."""
        deadline = time.monotonic() + DEADLINE_S
        while text not in self._text:
            assert time.monotonic() < deadline, f"{text!r} did not come; the terminal shows {self._text!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._text += os.read(self._master, 65536).decode(errors="replace")
        self._text = self._text.partition(text)[2]

    def expect_soon(self, text: str) -> None:
        """The same, but soon."""
        start = time.monotonic()
        self.expect(text)
        assert time.monotonic() - start < SOON_S

    def status(self) -> int:
        """The status of the last command."""
        self.type("echo status=$?.\n")
        self.expect("status=$?.")
        self.expect("status=")
        while "." not in self._text:
            self.expect("")
            self._text += os.read(self._master, 65536).decode()
        number, _, self._text = self._text.partition(".")
        return int(number)


@contextmanager
def terminal() -> Iterator[Terminal]:
    """A bash on a new terminal."""
    master, slave = pty.openpty()
    command = [needs("setsid"), "--ctty", "--wait", needs("bash"), "--norc", "--noprofile", "--noediting", "-i"]
    try:
        more: dict[str, Any] = {"stdin": slave, "stdout": slave, "stderr": slave, "process_group": None}
        with running(command, env=environment(PS1="ready> "), **more) as shell:
            opened = Terminal(shell, master)
            opened.expect("ready> ")
            yield opened
    finally:
        os.close(slave)
        os.close(master)


def command_of(way: str, lines: Path, *program: str | Path) -> list[str | Path]:
    """The words that run a program bare or supervised."""
    return list(program) if way == "bare" else [*WINSOCK, "run", "--output", lines, "--", *program]


@pytest.mark.parametrize("way", ["bare", "supervised"])
@pytest.mark.parametrize("case", ["hold_connect", "hold_accept"])
@pytest.mark.parametrize(
    ("key", "number"), [("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)], ids=["ctrl-c", "ctrl-\\"]
)
def test_a_key_of_the_terminal_ends_a_held_program(
    build: Build, hole: str, tmp_path: Path, way: str, case: str, key: str, number: int
) -> None:
    program = build("interrupted", "-pthread")
    with terminal() as shell:
        shell.run(command_of(way, tmp_path / "lines", program, case, hole))
        wait_until_held(process_of(shell.shell, program), case.removeprefix("hold_"))
        shell.type(key)
        shell.expect_soon("ready> ")
        assert shell.status() == 128 + number


@pytest.mark.parametrize("way", ["bare", "supervised"])
def test_a_held_connect_is_stopped_and_continued_by_the_shell(
    build: Build, hole: str, tmp_path: Path, way: str
) -> None:
    program = build("interrupted", "-pthread")
    with terminal() as shell:
        shell.run(command_of(way, tmp_path / "lines", program, "hold_connect", hole))
        pid = process_of(shell.shell, program)
        for _ in range(2):
            wait_until_held(pid, "connect")
            shell.type("\x1a")
            shell.expect_soon("Stopped")
            shell.expect("ready> ")
            assert state_of(pid) == "T"
            shell.type("fg\n")
            shell.expect("fg")
        wait_until_held(pid, "connect")
        shell.type("\x03")
        shell.expect_soon("ready> ")
        assert shell.status() == 130


@pytest.mark.parametrize("way", ["bare", "supervised"])
def test_a_held_accept_goes_on_after_a_stop(build: Build, hole: str, tmp_path: Path, way: str) -> None:
    program = build("interrupted", "-pthread")
    with terminal() as shell:
        shell.run(command_of(way, tmp_path / "lines", program, "hold_accept", hole))
        pid = process_of(shell.shell, program)
        wait_until_held(pid, "accept")
        port = port_of_listener(pid)
        shell.type("\x1a")
        shell.expect_soon("Stopped")
        shell.expect("ready> ")
        assert state_of(pid) == "T"
        with socket.create_connection((LOCALHOST, port)) as client:
            client.sendall(b"abc")
            assert state_of(pid) == "T"
            shell.type("fg\n")
            shell.expect_soon("accept: ok")
            shell.expect_soon("read: 3")
        shell.expect("ready> ")
        assert shell.status() == 0


def port_of_listener(pid: int) -> int:
    """The port on which a process listens: the only one that its descriptors and the kernel's table share."""
    inodes = {os.readlink(entry)[8:-1] for entry in Path(f"/proc/{pid}/fd").iterdir() if _is_socket(entry)}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    (port,) = [int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes]
    return port


def _is_socket(entry: Path) -> bool:
    try:
        return os.readlink(entry).startswith("socket:")
    except OSError:
        return False


# --- tracers ----------------------------------------------------------------------------------------------------------


@contextmanager
def held_accept(program: Path, hole: str) -> Iterator[tuple[Running, int, int]]:
    """A supervised program in accept: the run, its process and its port."""
    with supervising(program, "hold_accept", hole) as held:
        port = int(held.line())
        pid = process_of(held, program)
        wait_until_held(pid, "accept")
        yield held, pid, port


def let_go(held: Running, port: int) -> None:
    """Connect to it, and see it end as if nothing had been."""
    with socket.create_connection((LOCALHOST, port)) as client:
        client.sendall(b"abc")
        assert held.wait().same == (0, b"accept: ok\nread: 3\n")


def test_gdb_attaches_to_a_held_program(build: Build, hole: str) -> None:
    gdb = needs("gdb")
    with held_accept(build("interrupted", "-pthread", "-g"), hole) as (held, pid, port):
        command = [gdb, "-nx", "-batch", "-p", str(pid), "-ex", "backtrace"]
        seen = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL)
        assert b"hold_accept" in seen.stdout, seen
        wait_until_held(pid, "accept")
        let_go(held, port)


def test_gdb_attaches_to_a_held_connect(build: Build, hole: str) -> None:
    gdb = needs("gdb")
    program = build("interrupted", "-pthread", "-g")
    with supervising(program, "hold_connect", hole) as held:
        pid = process_of(held, program)
        wait_until_held(pid, "connect")
        command = [gdb, "-nx", "-batch", "-p", str(pid), "-ex", "backtrace"]
        seen = subprocess.run(command, capture_output=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL)
        assert b"hold_connect" in seen.stdout, seen
        wait_until_held(pid, "connect")
        held.signal(signal.SIGTERM)
        assert held.wait().status == 128 + signal.SIGTERM


def test_strace_attaches_to_a_held_program_and_leaves_it(build: Build, hole: str) -> None:
    strace = needs("strace")
    with held_accept(build("interrupted", "-pthread"), hole) as (held, pid, port):
        with subprocess.Popen([strace, "-p", str(pid)], stderr=subprocess.PIPE) as tracer:
            assert tracer.stderr is not None
            start = time.monotonic()
            assert b"attached" in tracer.stderr.readline()
            assert b"accept(" in os.read(tracer.stderr.fileno(), 4096)
            assert time.monotonic() - start < SOON_S
            tracer.send_signal(signal.SIGINT)
            assert b"detached" in tracer.stderr.read()
        wait_until_held(pid, "accept")
        let_go(held, port)
