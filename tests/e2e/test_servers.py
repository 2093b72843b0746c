"""Servers under `winsock run`: redis with both ends supervised, nginx with workers."""

from __future__ import annotations

import os
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import (
    LOCALHOST,
    Finished,
    Running,
    bare,
    free_port,
    needs,
    running,
    supervised,
    supervising,
)
from tests.waiting import wait_until

# --- redis ------------------------------------------------------------------------------------------------------------

QUESTIONS = b"SET key value\nGET key\nINCR counter\nLRANGE none 0 -1\nnonsense\nECHO bye\n"


def redis_server(port: int, folder: Path) -> list[str]:
    """A server that writes nothing but its log, to stdout."""
    words = f"--port {port} --bind {LOCALHOST} --save --appendonly no --daemonize no --dir {folder}"
    command = [needs("redis-server"), *words.split()]
    command.insert(command.index("--save") + 1, "")
    return command


def redis_cli(port: int, *words: str) -> list[str]:
    """The client."""
    return [needs("redis-cli"), "-h", LOCALHOST, "-p", str(port), *words]


def until_ready(server: Running) -> None:
    """Read its log up to the line that says so."""
    while "eady to accept connections" not in (line := server.line()):
        assert line, "the server ended"


def test_redis_with_both_ends_supervised(tmp_path: Path) -> None:
    port = free_port()
    with running(redis_server(port, tmp_path)) as server:
        until_ready(server)
        plain = bare(*redis_cli(port), input=QUESTIONS)
        bare(*redis_cli(port, "shutdown", "nosave"))
        plain_status = server.wait().status
    with supervising(*redis_server(port, tmp_path)) as server:
        until_ready(server)
        client = supervised(*redis_cli(port), input=QUESTIONS)
        bare(*redis_cli(port, "shutdown", "nosave"))
        finished = server.wait()
    assert client.same == plain.same
    assert b"value" in plain.stdout
    assert finished.status == plain_status == 0
    check_both_ends(finished, client, f"{LOCALHOST}:{port}")


def check_both_ends(server: Finished, client: Finished, address: str) -> None:
    """What the server's run and the client's run say of the same connection."""
    (bound,) = server.events("bind")
    assert (bound["local"], bound["result"]) == (address, "bound")
    (listening,) = server.events("listen")
    assert (listening["local"], listening["result"], listening["backlog"]) == (address, "listening", 511)
    (connect,) = client.events("connect")
    assert (connect["peer"], connect["result"]) == (address, "connected")
    (near,) = client.events("close")
    (accepted,) = server.events("accept", peer=near["local"])
    (far,) = server.events("close", peer=near["local"])
    assert accepted["result"] == "accepted"
    assert (accepted["socket"], far["local"]) == (listening["socket"], near["peer"])
    assert (far["sent"], far["received"]) == (near["received"], near["sent"])
    assert near["sent"] > len(QUESTIONS)
    assert not server.events("accept", result="failed")


def test_a_server_that_is_stopped_by_a_signal_ends_as_it_would(tmp_path: Path) -> None:
    port = free_port()
    statuses = []
    for start in (running, lambda command: supervising(*command)):
        with start(redis_server(port, tmp_path)) as server:
            until_ready(server)
            server.signal(signal.SIGTERM)
            statuses.append(server.wait().status)
    assert statuses == [0, 0]


# --- nginx ------------------------------------------------------------------------------------------------------------

WORKERS = 2
REQUESTS = 24
CONFIGURATION = """
{user}
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; accept_mutex off; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {address};
        location / {{ default_type text/plain; return 200 "worker $pid\\n"; }}
        location /file {{ alias {folder}/file; }}
    }}
}}
"""


@pytest.fixture
def nginx(tmp_path: Path) -> tuple[list[str], str]:
    """The command and the address; as root the workers stay root, since a worker of another user is another test."""
    program, address = needs("nginx"), f"{LOCALHOST}:{free_port()}"
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(user=user, workers=WORKERS, folder=tmp_path, address=address)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text)
    (tmp_path / "file").write_bytes(b"a file of some size " * 50_000)
    return [program, "-p", str(tmp_path), "-c", str(configuration), "-e", str(tmp_path / "error.log")], address


@contextmanager
def serving(command: list[str], address: str, under_winsock: bool) -> Iterator[Running]:
    """nginx, when its port answers."""
    with supervising(*command) if under_winsock else running(command) as server:
        wait_until(lambda: answers(address), "nginx", lambda: f"{server.process.poll()} {server.records()}")
        yield server


def answers(address: str) -> bool:
    """Whether a request gets its answer."""
    try:
        return bool(fetch(address, ""))
    except OSError:
        return False


def fetch(address: str, path: str) -> bytes:
    """One request, one connection."""
    with urllib.request.urlopen(f"http://{address}/{path}", timeout=30) as answer:
        body: bytes = answer.read()
        return body


def test_nginx_with_workers(nginx: tuple[list[str], str]) -> None:
    command, address = nginx
    outcomes = []
    for under_winsock in (False, True):
        with serving(command, address, under_winsock) as server, ThreadPoolExecutor(8) as pool:
            bodies = list(pool.map(lambda _: fetch(address, ""), range(REQUESTS)))
            file = fetch(address, "file")
            server.signal(signal.SIGQUIT)
            finished = server.wait()
        outcomes.append((finished.same, finished.stderr, len(bodies), file))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0][0] == 0
    check_workers(finished, address, bodies)


def check_workers(finished: Finished, address: str, bodies: list[bytes]) -> None:
    """The master binds and listens, the workers accept; each request is one of them."""
    (bound,) = finished.events("bind")
    listening, again = finished.events("listen")  # nginx listens twice
    assert [(event["local"], event["result"]) for event in (bound, listening, again)] == [
        (address, "bound"),
        (address, "listening"),
        (address, "listening"),
    ]
    accepts = finished.events("accept", result="accepted")
    assert accepts == finished.events("accept")
    answered = Counter(f"worker {accept['process']}\n".encode() for accept in accepts)
    assert all(answered[body] >= count for body, count in Counter(bodies).items())
    assert listening["process"] not in {accept["process"] for accept in accepts}
    assert len(accepts) >= REQUESTS + 2
    assert len(finished.events("close")) == len(accepts) + 1
    assert finished.truth["passed"] == {}
    assert finished.truth["still_running"] == 0
