"""Who lives how long: the program, the front, the supervisor; and what is left when one of them dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import DEADLINE_S, WINSOCK, Running, running, supervising
from tests.e2e.held import black_hole, process_of, state_of, wait_until_held
from tests.e2e.oracle import CHAINS
from tests.e2e.test_handles import Answering, answering, supervisor_of
from tests.waiting import wait_until


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server that answers."""
    with answering() as running_server:
        yield running_server


class Asked:
    """A supervised program that does what it is told."""

    def __init__(self, started: Running, program: Path) -> None:
        self.started = started
        self.pid = process_of(started, program)
        self.supervisor = supervisor_of(started)

    def tell(self, word: str) -> None:
        """Tell it to do something."""
        stdin = self.started.process.stdin
        assert stdin is not None
        stdin.write(word.encode() + b"\n")
        stdin.flush()

    def ask(self, word: str) -> str:
        """Tell it, and hear how it went."""
        self.tell(word)
        return self.started.line()

    def kill_supervisor(self) -> None:
        """End the supervisor as nothing else would."""
        os.kill(self.supervisor, signal.SIGKILL)
        assert self.started.process.wait(DEADLINE_S) == 125


@contextmanager
def asked(build: Build, port: int, chain: str = "trace", *options: str) -> Iterator[Asked]:
    """Such a program."""
    program = build("asked", "-pthread")
    with supervising(program, str(port), options=[*CHAINS[chain], *options], input=b"") as started:
        assert started.line() == "ready"
        yield Asked(started, program)


@pytest.mark.parametrize("chain", CHAINS)
def test_nothing_passes_after_the_supervisor_has_died(build: Build, server: Answering, chain: str) -> None:
    with asked(build, server.port, chain) as program:
        assert program.ask("connect") == "connect: 0"
        program.kill_supervisor()
        assert program.ask("connect").endswith("-1 ENOSYS")
        assert program.ask("udp").endswith("-1 ENOSYS")
        assert program.ask("unix") == "unix: -1 ENOSYS"
        assert program.ask("fork") == "child's connect: -1 ENOSYS"
        assert program.ask("file") == "file: ok"
        wait_until(lambda: server.served, "the server's word of the first connection")
        assert len(server.served) == 1


def test_the_front_says_that_the_supervisor_died_and_kills_nobody(build: Build, server: Answering) -> None:
    with asked(build, server.port) as program:
        program.kill_supervisor()
        line = program.started.error_line()
        assert "SIGKILL" in line
        assert "ENOSYS" in line
        assert f"({program.pid})" in line
        assert state_of(program.pid) in ("S", "R")


@pytest.mark.parametrize("call", ["connect", "accept"])
def test_a_call_that_is_held_when_the_supervisor_dies_fails(build: Build, call: str) -> None:
    with black_hole() as port, asked(build, port) as program:
        program.tell(call)
        if call == "accept":
            assert program.started.line() == "listening"
        wait_until_held(program.pid, call)
        program.kill_supervisor()
        assert program.started.line() == f"{call}: -1 ENOSYS"


def test_nothing_is_left_of_a_program_whose_front_was_killed(build: Build, server: Answering) -> None:
    with asked(build, server.port) as program:
        program.started.signal(signal.SIGKILL)
        wait_until(lambda: not program.started.processes(), "the end of all")


@pytest.mark.parametrize("word", ["0", "1", "42", "255"])
def test_the_status_is_the_programs(build: Build, server: Answering, word: str) -> None:
    with asked(build, server.port) as program:
        program.tell(word)
        assert program.started.process.wait(DEADLINE_S) == int(word)


def test_a_program_that_aborts_is_told_as_such(build: Build, server: Answering) -> None:
    with asked(build, server.port) as program:
        program.tell("abort")
        assert program.started.process.wait(DEADLINE_S) in (-signal.SIGABRT, 128 + signal.SIGABRT)


def test_the_supervisor_outlives_a_hangup_and_a_term_of_its_own(build: Build, server: Answering) -> None:
    with asked(build, server.port) as program:
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGTSTP):
            os.kill(program.supervisor, number)
        assert program.ask("connect") == "connect: 0"
        assert program.ask("fork") == "child's connect: 0"


def test_our_lines_that_nobody_reads_hold_nothing_up(build: Build, server: Answering) -> None:
    """Text to stderr, whose reader is gone: the program goes on, and its status is its own."""
    program = build("asked", "-pthread")
    with running([*WINSOCK, "run", "--", program, str(server.port)], input=b"") as started:
        assert started.line() == "ready"
        assert started.process.stderr is not None
        started.process.stderr.close()
        assert started.process.stdin is not None
        for _ in range(50):
            started.process.stdin.write(b"connect\n")
            started.process.stdin.flush()
            assert started.line() == "connect: 0"
        started.process.stdin.write(b"9\n")
        started.process.stdin.flush()
        assert started.process.wait(DEADLINE_S) == 9


@pytest.mark.parametrize("chain", CHAINS)
def test_a_run_that_ends_leaves_no_process(build: Build, server: Answering, chain: str) -> None:
    with asked(build, server.port, chain) as program:
        assert program.ask("fork") == "child's connect: 0"
        program.tell("0")
        assert program.started.process.wait(DEADLINE_S) == 0
        wait_until(lambda: not program.started.processes(), "the supervisor's end")
