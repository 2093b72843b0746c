"""Sockets that travel - duplicated, forked, passed on - and unusual processes: all layered, all as without us."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import (
    DEADLINE_S,
    LOCALHOST,
    WINSOCK,
    Finished,
    Running,
    bare,
    select_records,
    supervised,
    supervising,
)
from tests.e2e.oracle import CHAINS, UNREADABLE, may_look_everywhere, same_answers
from tests.waiting import wait_until

CONNECTIONS = {
    "duplicated": 1,
    "forked": 1,
    "executed": 1,
    "passed": 1,
    "listener_passed": 1,
    "own_files": 2,
    "no_leader": 1,
    "vforked": 2,
    "threads_at_once": 32,
    "many_processes": 50,
    "bystanders": 1,
    "closes": 0,
}
"""Each case, and how many connections of it reach the server."""
STATUSES = {"no_leader": 5}


class Answering(NamedTuple):
    """A server that answers "abc" with "xyz"."""

    port: int
    served: list[bytes]

    @property
    def peer(self) -> str:
        """As our records show it."""
        return f"{LOCALHOST}:{self.port}"


@contextmanager
def answering() -> Iterator[Answering]:
    """Such a server, on a port of loopback."""
    with socket.create_server((LOCALHOST, 0), backlog=200) as listener:
        server = Answering(listener.getsockname()[1], [])
        threads: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            connection.settimeout(DEADLINE_S)
            with connection:
                try:
                    asked = connection.recv(3)
                except ConnectionResetError:
                    asked = b""
                if asked == b"abc":
                    connection.sendall(b"xyz")
                server.served.append(asked)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(DEADLINE_S)
            for thread in threads:
                thread.join(DEADLINE_S)


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server that answers."""
    with answering() as running_server:
        yield running_server


def same_as_bare(program: Path, case: str, server: Answering, chain: str = "trace") -> Finished:
    """Run a case bare and supervised: all that can be seen is the same."""
    ran = same_answers(program, case, str(server.port), chain=chain, status=STATUSES.get(case, 0))
    expected = 2 * CONNECTIONS.get(case, 1)
    wait_until(lambda: len(server.served) >= expected, "the connections of both runs", lambda: f"{server.served}")
    assert server.served == [b"abc"] * expected
    return ran


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("case", CONNECTIONS)
def test_the_program_sees_what_it_sees_bare(build: Build, server: Answering, case: str, chain: str) -> None:
    ran = same_as_bare(build("handles", "-pthread"), case, server, chain)
    assert ran.truth["passed"] == {}
    assert ran.truth["refused"] == {}
    assert ran.truth["still_running"] == 0


@pytest.mark.parametrize("case", CONNECTIONS)
def test_each_connection_is_layered_and_shown(build: Build, server: Answering, case: str) -> None:
    ran = same_as_bare(build("handles", "-pthread"), case, server)
    assert len(ran.events("connect", peer=server.peer, result="connected")) == CONNECTIONS[case]


def test_a_passed_socket_is_one_socket_in_two_processes(build: Build, server: Answering) -> None:
    ran = same_as_bare(build("handles", "-pthread"), "passed", server)
    (connect,) = ran.events("connect", peer=server.peer)
    (close,) = ran.events("close", peer=server.peer)
    assert close["socket"] == connect["socket"]
    assert (close["sent"], close["received"]) == (3, 3)


@pytest.mark.parametrize("case", ["user_namespace", "pid_namespace"])
def test_processes_in_other_namespaces_are_layered(build: Build, server: Answering, case: str) -> None:
    ran = same_as_bare(build("handles", "-pthread"), case, server)
    assert len(ran.events("connect", peer=server.peer, result="connected")) == 1
    assert ran.truth["passed"] == {}


@pytest.mark.parametrize("chain", CHAINS)
def test_another_network_namespace_is_as_bare(build: Build, server: Answering, chain: str) -> None:
    same_answers(build("handles", "-pthread"), "network_namespace", str(server.port), chain=chain)
    assert server.served == []


def test_a_process_that_must_not_be_read_is_layered_or_counted(build: Build, server: Answering) -> None:
    """With CAP_SYS_PTRACE it is layered; without, the kernel does not let us look, and the truth line says so."""
    ran = same_as_bare(build("handles", "-pthread"), "not_dumpable", server)
    if may_look_everywhere():
        assert len(ran.events("connect", peer=server.peer, result="connected")) == 1
        assert ran.truth["passed"] == {}
    else:
        assert ran.events("connect") == []
        assert ran.truth["passed"][UNREADABLE] >= 1


def test_a_passed_call_fails_a_strict_run(build: Build, server: Answering) -> None:
    ran = supervised(build("handles", "-pthread"), "not_dumpable", str(server.port), options=["--strict"])
    readable = may_look_everywhere()
    assert ran.status == (0 if readable else 125)


# --- daemons ----------------------------------------------------------------------------------------------------------


def test_a_daemon_that_outlives_its_starter_is_layered(build: Build, server: Answering, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = build("handles", "-pthread")
    with supervising(program, "daemonised", str(server.port), go) as started:
        assert started.line() == "started"
        assert started.process.wait(DEADLINE_S) == 0
        assert started.wait_for("truth")["still_running"] == 1
        assert not server.served
        go.touch()
        connect = started.wait_for("connect", peer=server.peer, result="connected")
        assert connect["process"] != started.pid
        wait_until(lambda: server.served == [b"abc"], "the daemon's connection")
        wait_until(lambda: not started.processes(), "the end of the daemon and of its supervisor")
        (close,) = select_records(started.records(), "close", {"peer": server.peer})
        assert (close["process"], close["sent"], close["received"]) == (connect["process"], 3, 3)


def test_wait_all_waits_for_the_daemon(build: Build, server: Answering, tmp_path: Path) -> None:
    go = tmp_path / "go"
    program = build("handles", "-pthread")
    with supervising(program, "daemonised", str(server.port), go, options=["--wait-all"]) as started:
        assert started.line() == "started"
        assert started.process.poll() is None
        go.touch()
        ended = started.wait()
        assert ended.status == 0
        assert ended.truth["still_running"] == 0
        assert len(ended.events("connect", peer=server.peer, result="connected")) == 1


def test_a_pipe_behind_us_ends_although_a_daemon_is_left(build: Build, server: Answering, tmp_path: Path) -> None:
    """The daemon gives up its standard streams only when it is told to go; a reader of ours waits for it, as bare."""
    program = build("handles", "-pthread")
    go = tmp_path / "go"
    with supervising(program, "daemonised", str(server.port), go) as started:
        assert started.line() == "started"
        assert started.process.wait(DEADLINE_S) == 0
        go.touch()
        assert started.line() == ""
        wait_until(lambda: not started.processes(), "the end of the daemon and of its supervisor")


# --- what the supervisor holds ----------------------------------------------------------------------------------------


def supervisor_of(started: Running) -> int:
    """The supervisor's process."""

    def found() -> list[int]:
        return [pid for pid in started.processes() if _name(pid).startswith("winsock-super")]

    pids: list[int] = wait_until(found, "the supervisor")
    return pids[0]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def internet_sockets_of(pid: int) -> set[str]:
    """The inodes of TCP and UDP sockets that a process holds."""
    held = {_link(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    tables = (Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6", "udp", "udp6"))
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return {row[9] for row in rows if row[9] != "0"} & {link[8:-1] for link in held if link.startswith("socket:")}


def _link(entry: Path) -> str:
    """What a descriptor stands for; nothing, when it was just closed."""
    try:
        return os.readlink(entry)
    except OSError:
        return ""


@pytest.mark.parametrize("chain", CHAINS)
def test_nothing_of_the_program_is_held(build: Build, server: Answering, chain: str) -> None:
    program = build("handles", "-pthread")
    with supervising(program, "many_connections", str(server.port), input=b"", options=CHAINS[chain]) as started:
        assert started.line() == "500 connections, good: 500"
        supervisor = supervisor_of(started)
        # Of a relay: two at its private door, and two for the one connection that is left.
        assert len(internet_sockets_of(supervisor)) == (4 if chain == "bytes" else 0)
        slots = len(list(Path(f"/proc/{supervisor}/fd").iterdir()))
        assert slots < 100, "descriptors of closed sockets are kept"
        assert started.wait().status == 0
    assert server.served == [b"abc"]


def test_the_end_of_a_run_is_seen_behind_a_pipe(build: Build, server: Answering) -> None:
    program = build("handles", "-pthread")
    words = (program, "duplicated", str(server.port))
    script = ("sh", "-c", '"$@" | cat; echo end', "sh")
    ran = bare(*script, *WINSOCK, "run", "--output", os.devnull, "--", *words)
    assert ran.same == bare(*script, *words).same
