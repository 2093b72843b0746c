"""Clients under `winsock run`: what they do is what they do without it, and their connections are shown."""

from __future__ import annotations

import errno
import shlex
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import (
    LOCALHOST,
    PROGRAMS,
    PYTHON,
    WINSOCK,
    Finished,
    Record,
    WebServer,
    bare,
    free_port,
    missing,
    name_of,
    needs,
    running,
    same_as_bare,
    supervised,
    supervising,
    web_server,
)
from tests.waiting import wait_until

MEGABYTES = b"0123456789abcdef" * (3 << 16)
CLIENTS = ("curl", "urllib", "asyncio", "node", "static C")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, build: Build) -> str:
    """Each client; those that are not installed skip."""
    if request.param == "static C":
        build("get", "-static")
    elif request.param in ("curl", "node"):
        needs(request.param)
    return str(request.param)


def command(client: str, host: str, port: int, build: Build) -> list[str | Path]:
    """The client's command that fetches from there."""
    url = f"http://{host}:{port}/"
    rows: dict[str, list[str | Path]] = {
        "curl": ["curl", "-sS", url],
        "urllib": [PYTHON, PROGRAMS / "fetch.py", url],
        "asyncio": [PYTHON, PROGRAMS / "fetch_asyncio.py", host, str(port)],
        "node": ["node", PROGRAMS / "fetch.js", url],
    }
    return rows.get(client) or [build("get", "-static"), host, str(port)]


def the_connect(finished: Finished) -> Record:
    """The only connect that there was."""
    (connect,) = finished.events("connect")
    return connect


# --- each client ------------------------------------------------------------------------------------------------------


def test_a_client_is_the_same_and_its_connection_is_shown(client: str, server: WebServer, build: Build) -> None:
    ran = same_as_bare(server, *command(client, server.host, server.port, build))
    connect = the_connect(ran.finished)
    assert (connect["peer"], connect["result"], connect["error"]) == (server.address, "connected", None)
    assert 0 < connect["duration_us"] < 30e6
    assert ran.finished.truth == {
        "event": "truth", "seen": 1, "layered": 1, "passed": {}, "refused": {}, "still_running": 0,
    }  # fmt: skip


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_close_tells_the_bytes_that_the_server_counted(client: str, first: str, build: Build) -> None:
    """Whoever closes first: a FIN is no byte."""
    with web_server(MEGABYTES, closes=first == "server") as server:
        ran = same_as_bare(server, *command(client, server.host, server.port, build))
    (exchange,) = ran.exchanges
    (close,) = ran.finished.events("close")
    assert len(exchange.sent) > len(MEGABYTES)
    assert (close["sent"], close["received"]) == (len(exchange.received), len(exchange.sent))
    assert (close["peer"], close["retransmits"]) == (server.address, 0)
    assert close["rtt_us"] > 0


def test_a_refused_connection_is_the_same_and_shown(client: str, build: Build) -> None:
    port = free_port()
    program = command(client, LOCALHOST, port, build)
    plain, finished = bare(*program), supervised(*program)
    assert finished.same == plain.same
    connect = the_connect(finished)
    assert connect["peer"] == f"{LOCALHOST}:{port}"
    assert (connect["result"], connect["error"]) == ("failed", "WSAECONNREFUSED")
    assert connect["errno"] == errno.ECONNREFUSED
    assert 0 < connect["duration_us"] < 30e6


def test_a_client_over_ipv6(server: WebServer, build: Build) -> None:
    if not socket.has_ipv6 or not _has_ipv6_loopback():
        missing("there is no IPv6 loopback")
    with web_server(host="::1") as six:
        ran = same_as_bare(six, PYTHON, PROGRAMS / "fetch.py", six.url)
    assert the_connect(ran.finished)["peer"] == six.address


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


# --- the outcome of a connect that does not block ---------------------------------------------------------------------


@pytest.fixture
def slow_port() -> Iterator[tuple[int, threading.Event]]:
    """A port that lets connections in when the event is set: until then its queue is full, and SYNs are dropped."""
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with socket.create_connection((LOCALHOST, port)):
            opened = threading.Event()
            thread = threading.Thread(target=_open, args=(listener, opened), daemon=True)
            thread.start()
            yield port, opened
            opened.set()
            thread.join()


def _open(listener: socket.socket, opened: threading.Event) -> None:
    opened.wait()
    listener.accept()[0].close()


@pytest.mark.parametrize("client", ["curl", "asyncio", "node"])
def test_the_duration_of_a_pending_connect_is_the_time_until_its_outcome(
    client: str, slow_port: tuple[int, threading.Event], build: Build
) -> None:
    """The first SYN is dropped, so the connect takes what the kernel waits before the second: a second."""
    if client != "asyncio":
        needs(client)
    port, opened = slow_port
    with supervising(*command(client, LOCALHOST, port, build)) as started:
        wait_until(lambda: _is_connecting(port), "a SYN")
        opened.set()
        connect = started.wait_for("connect")
    assert (connect["result"], connect["error"]) == ("connected", None)
    assert connect["duration_us"] > 900_000


def test_a_connect_that_is_given_up_is_shown_as_abandoned(slow_port: tuple[int, threading.Event]) -> None:
    finished = supervised(needs("curl"), "-sS", "--connect-timeout", "0.2", f"http://{LOCALHOST}:{slow_port[0]}/")
    assert finished.status == 28  # curl's own: timed out
    connect = the_connect(finished)
    assert (connect["result"], connect["error"]) == ("abandoned", None)
    assert 150_000 < connect["duration_us"] < 30e6


def _is_connecting(port: int) -> bool:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)


# --- several at once --------------------------------------------------------------------------------------------------


def test_32_threads_that_connect_at_once(server: WebServer) -> None:
    ran = same_as_bare(
        server, PYTHON, PROGRAMS / "fetch_threads.py", server.host, str(server.port), "32", connections=32
    )
    connects = ran.finished.events("connect", result="connected", peer=server.address)
    assert len(connects) == len(ran.finished.events("connect")) == 32
    assert len({connect["thread"] for connect in connects}) == 32
    assert len({connect["socket"] for connect in connects}) == 32
    assert len({connect["process"] for connect in connects}) == 1
    (row,) = ran.finished.events("summary")[0]["rows"]
    assert (row["connections"], row["failed"]) == (32, 0)
    assert row["sent"] == sum(len(exchange.received) for exchange in ran.exchanges)
    assert row["received"] == sum(len(exchange.sent) for exchange in ran.exchanges)


def test_an_event_loop_with_32_connects_pending(server: WebServer) -> None:
    ran = same_as_bare(
        server, PYTHON, PROGRAMS / "fetch_asyncio.py", server.host, str(server.port), "32", connections=32
    )
    assert len(ran.finished.events("connect", result="connected")) == 32
    assert ran.finished.truth["layered"] == 32


def test_a_pipeline_with_forks(server: WebServer) -> None:
    curl = f"{shlex.quote(needs('curl'))} -sS {server.url}"
    script = f"for i in 1 2 3; do {curl}; done | sort | uniq -c; ({curl} & {curl} & wait) | cat; {curl} > /dev/null"
    ran = same_as_bare(server, "sh", "-c", script, connections=6)
    assert len({connect["process"] for connect in ran.finished.events("connect", name="curl")}) == 6
    assert len(ran.finished.events("close")) == 6
    assert ran.finished.truth["still_running"] == 0


def test_a_command_that_reads_its_input(server: WebServer) -> None:
    script = f"cat; {shlex.quote(needs('curl'))} -sS {server.url}; cat"
    ran = same_as_bare(server, "sh", "-c", script, input=b"a line\n")
    assert ran.finished.stdout == b"a line\n" + server.body


# --- bystanders -------------------------------------------------------------------------------------------------------


def test_local_and_netlink_sockets_are_untouched(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_pong, args=(listener, 2), daemon=True)
        thread.start()
        plain, finished = bare(build("local"), path), supervised(build("local"), path)
        thread.join()
    assert finished.same == plain.same
    assert plain.stdout.endswith(f"{path} 1\npong\n".encode())
    assert finished.stderr == plain.stderr == b""
    assert {record["event"] for record in finished.records} <= {"summary", "truth"}
    assert (finished.truth["seen"], finished.truth["passed"]) == (0, {})


def _pong(listener: socket.socket, times: int) -> None:
    for _ in range(times):
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(64) == b"ping"
            connection.sendall(b"pong")


def test_a_pipe_behind_the_run_ends_when_the_program_ends(server: WebServer) -> None:
    """A daemon that stays behind, and the supervisor that stays with it, must not hold the pipe."""
    daemon = "(exec sleep 1000 < /dev/null > /dev/null 2>&1) &"
    program = f"{daemon} {shlex.quote(needs('curl'))} -sS {server.url}"
    plain = bare("sh", "-c", f"sh -c {shlex.quote(program)} 2>&1 | cat")
    command = shlex.join([*WINSOCK, "run", "--output", "/dev/null", "--", "sh", "-c", program])
    with running(["sh", "-c", f"{command} 2>&1 | cat"]) as started:
        finished = started.wait()
        assert [pid for pid in started.processes() if name_of(pid) == "sleep"]
    assert finished.same == plain.same == (0, server.body)
    assert finished.stderr == b""
