"""Relays and who lives how long: what a program leaves behind is delivered, and a death on either side breaks all.

No byte reaches the network but through the layer, which makes capitals of small letters: the server tells by looking.
"""

from __future__ import annotations

import hashlib
import os
import random
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import DEADLINE_S, LOCALHOST, PYTHON, supervised, supervising
from tests.e2e.held import process_of
from tests.e2e.oracle import BYTES
from tests.e2e.test_handles import supervisor_of
from tests.waiting import wait_until
from winsock.supervisor.generations.life import RunOptions

SHOUT = ("--layer", f"{Path(__file__).parents[1] / 'drivers' / 'layers.py'}:Shout")
PASS = ("--layer", f"{BYTES}:Pass")
ROUNDS = 10
MANY = 1_000_000
LONGEST_S = 0.15


class Echo:
    """A server that sends back what comes, and remembers what it was that came."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.port: int = listener.getsockname()[1]
        self.letters: set[int] = set()
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def idle(self) -> bool:
        """Whether every connection has ended."""
        return not self._open

    def close(self) -> None:
        """No more connections; wait for those that there are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(DEADLINE_S)
        for thread in self._threads:
            thread.join(DEADLINE_S)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_S)
        with connection:
            try:
                while data := connection.recv(65536):
                    self.letters.update(data)
                    connection.sendall(data)
            except (ConnectionResetError, BrokenPipeError):
                pass
        self._open.discard(connection)


@contextmanager
def echoing() -> Iterator[Echo]:
    """Such a server."""
    with socket.create_server((LOCALHOST, 0), backlog=200) as listener:
        server = Echo(listener)
        try:
            yield server
        finally:
            server.close()


def only_capitals(server: Echo) -> bool:
    """Whether everything that the server got went through the layer."""
    return server.letters <= set(range(ord("A"), ord("Z") + 1))


def kill_in_the_middle(program: Path, victim: str, seed: int) -> None:
    """Kill the program or its supervisor while they talk; then all is over, and nothing went round the layer."""
    delay = random.Random(seed).uniform(0, LONGEST_S)
    with echoing() as server, supervising(program, str(server.port), str(MANY), options=SHOUT) as started:
        talker = process_of(started, program)
        victims = {"program": talker, "supervisor": supervisor_of(started)}
        wait_until(lambda: server.connections, "a first connection")
        select.select([], [], [], delay)
        os.kill(victims[victim], signal.SIGKILL)
        wait_until(lambda: not started.processes(), f"the end of all (seed {seed})", lambda: f"{started.processes()}")
        finished = started.wait()
        wait_until(lambda: server.idle, f"the end of every connection (seed {seed})")
        assert only_capitals(server), (seed, server.letters)
    if victim == "program":
        assert finished.status == 128 + signal.SIGKILL
        assert finished.truth["passed"] == {}
    else:
        assert (finished.status, finished.stdout) == (125, b"over\n")


@pytest.mark.parametrize("victim", ["program", "supervisor"])
@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_death_breaks_what_it_must_and_nothing_goes_round_the_layer(build: Build, victim: str, seed: int) -> None:
    kill_in_the_middle(build("chatter", "-pthread"), victim, seed)


def test_a_run_to_the_end_is_whole(build: Build) -> None:
    with echoing() as server:
        ran = supervised(build("chatter", "-pthread"), str(server.port), "200", options=SHOUT)
        assert ran.same == (0, b"over\n")
        assert only_capitals(server)
        assert server.connections == ran.truth["layered"] == 200
        assert ran.truth["passed"] == ran.truth["refused"] == {}


# --- what a program leaves behind -------------------------------------------------------------------------------------

LEAVES = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(bytes(range(256)) * (int(sys.argv[2]) // 256))
"""
BULK = 4 << 20
FILLS = """
import select, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.setblocking(False)
while select.select([], [s], [], 0.5)[1]:
    s.send(bytes(1 << 20))
"""


@contextmanager
def one_connection() -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A listener, and a place for what it accepts."""
    accepted: list[socket.socket] = []
    with socket.create_server((LOCALHOST, 0)) as listener:
        listener.settimeout(DEADLINE_S)
        yield listener, accepted
    for connection in accepted:
        connection.close()


def test_what_a_program_left_is_delivered_after_its_end() -> None:
    with one_connection() as (listener, _):
        port = listener.getsockname()[1]
        with supervising(PYTHON, "-S", "-c", LEAVES, str(port), str(BULK), options=PASS) as started:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE_S)
                wait_until(lambda: not [p for p in started.processes() if _runs(p, LEAVES)], "the end of the program")
                digest = hashlib.sha256()
                while data := connection.recv(1 << 20):
                    digest.update(data)
            assert digest.digest() == hashlib.sha256(bytes(range(256)) * (BULK // 256)).digest()
            finished = started.wait()
            assert finished.status == 0
            assert finished.truth["layered"] == 1


def _runs(pid: int, source: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return source.encode() in words and b"winsock.cli" not in words


@pytest.mark.parametrize("seconds", [0, 2])
def test_the_front_waits_for_relays_as_long_as_it_is_told(seconds: int) -> None:
    with one_connection() as (listener, accepted):
        program = (PYTHON, "-S", "-c", FILLS, str(listener.getsockname()[1]))
        looked = [time.monotonic()]
        with supervising(*program, options=[*PASS, "--drain", str(seconds)]) as started:
            accepted.append(listener.accept()[0])  # and never reads

            def has_ended() -> bool:
                looked.append(time.monotonic())
                return not [p for p in started.processes() if _runs(p, FILLS)]

            wait_until(has_ended, "the end of the program")
            assert started.process.wait(DEADLINE_S) == 0
            assert seconds <= time.monotonic() - looked[-2]  # when it still ran
            assert time.monotonic() - looked[-1] < seconds + RunOptions().drain  # which it waits when it is not told
            supervisor = supervisor_of(started)  # stays, until its relay is over
            accepted[0].close()
            wait_until(lambda: supervisor not in started.processes(), "the end of the supervisor")
