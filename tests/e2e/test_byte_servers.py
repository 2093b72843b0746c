"""Servers through layers that get their bytes: they answer as without, and no byte goes round a layer."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.byte_chains import CHAINS, Chain, saw_everything
from tests.e2e.depot import Flow, content, depot, digest, flow_of
from tests.e2e.harness import (
    DEADLINE_S,
    LOCALHOST,
    PROGRAMS,
    PYTHON,
    Finished,
    Running,
    free_port,
    needs,
    running,
    supervising,
    wait_until,
)

BODY = 3_000_001
Command = list[str | Path]


# --- the other end ----------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What came of one connection."""

    flow: Flow
    body: str
    """Digest of what followed the head."""


def ask(port: int, request: bytes, ends: bool = False) -> Answer:
    """Send this, perhaps the end too, and take what comes until the server ends the connection."""
    with socket.create_connection((LOCALHOST, port), DEADLINE_S) as client:
        sender = threading.Thread(target=_send, args=(client, request, ends))
        sender.start()
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
        sender.join()
    return Answer(flow_of(request, answer), digest(answer.partition(b"\r\n\r\n")[2]))


def _send(client: socket.socket, request: bytes, ends: bool) -> None:
    client.sendall(request)
    if ends:
        client.shutdown(socket.SHUT_WR)


def ask_all(port: int, requests: list[bytes], ends: bool = False) -> list[Answer]:
    """All at the same time."""
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda request: ask(port, request, ends), requests))


def http(method: str, path: str, body: bytes = b"") -> bytes:
    """A request that ends its connection."""
    head = f"{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@contextmanager
def serving(command: Command, through: Chain | None) -> Iterator[Running]:
    """A server beside the test, bare or supervised."""
    with running(command) if through is None else supervising(*command, options=through.options) as server:
        yield server


def turned(answers: list[Answer]) -> list[Flow]:
    """The connections as the server sees them."""
    return [answer.flow.turned for answer in answers]


# --- servers that print their port ------------------------------------------------------------------------------------

PRINTING: dict[str, tuple[Command, list[bytes], bool]] = {
    "node": (
        ["node", PROGRAMS / "serve.js"],
        [http("POST", "/", content(BODY, 5)), http("GET", "/2000000")] * 2,
        False,
    ),
    "asyncio": ([PYTHON, PROGRAMS / "serve_asyncio.py"], [content(20_000 + i, i) for i in range(200)], True),
}


@pytest.mark.parametrize("through", CHAINS)
@pytest.mark.parametrize("name", PRINTING)
def test_a_server(name: str, through: str) -> None:
    command, requests, ends = PRINTING[name]
    needs(str(command[0]))
    plain, _ = outcome(command, None, requests, ends)
    answers, finished = outcome(command, CHAINS[through], requests, ends)
    assert [answer.body for answer in answers] == [answer.body for answer in plain]
    saw_everything(finished, CHAINS[through], turned(answers), "accept")


def outcome(
    command: Command, through: Chain | None, requests: list[bytes], ends: bool
) -> tuple[list[Answer], Finished]:
    """The answers of a server, and how it ended."""
    with serving(command, through) as server:
        answers = ask_all(int(server.line()), requests, ends)
        server.signal(signal.SIGTERM)
        finished = server.wait()
    assert (finished.status, finished.stderr) == (128 + signal.SIGTERM, b"")
    return answers, finished


# --- nginx ------------------------------------------------------------------------------------------------------------

CONFIGURATION = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_max_body_size 100m;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port};
        location / {{ root {folder}/files; dav_methods PUT; sendfile on; }}
        location /there/ {{ proxy_pass {backend}/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


class Nginx(NamedTuple):
    """Where it is, and how it is started."""

    command: Command
    port: int
    files: Path


def nginx(folder: Path, backend: str) -> Nginx:
    """A server with two workers; as root they stay root, since a worker of another user is another test."""
    program, port, files = needs("nginx"), free_port(), folder / "files"
    user = "user root;" if os.geteuid() == 0 else ""
    files.mkdir()
    (files / "file").write_bytes(content(BODY, 6))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=folder, address=LOCALHOST, port=port, backend=backend)
    )
    command: Command = [program, "-p", folder, "-c", configuration, "-e", folder / "error.log"]
    return Nginx(command, port, files)


@contextmanager
def serving_nginx(nginx: Nginx, through: Chain) -> Iterator[Running]:
    """Until its port takes connections; that one is over without a byte."""
    with serving(nginx.command, through) as server:
        wait_until(lambda: takes_connections(nginx.port), "nginx", lambda: f"{server.process.poll()}")
        yield server


def takes_connections(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0


EMPTY = flow_of(b"", b"")


@pytest.mark.parametrize("through", CHAINS)
def test_nginx_with_workers(through: str, tmp_path: Path) -> None:
    """A file by sendfile, four at once, and uploads."""
    web = nginx(tmp_path, "http://127.0.0.1:1")
    uploads = [content(BODY // 2 + seed, seed) for seed in range(4)]
    requests = [http("GET", "/file")] * 4 + [http("PUT", f"/up{seed}", body) for seed, body in enumerate(uploads)]
    with serving_nginx(web, CHAINS[through]) as server:
        answers = ask_all(web.port, requests)
        server.signal(signal.SIGQUIT)
        finished = server.wait()
    assert finished.same == (0, b"")
    assert [answer.body for answer in answers[:4]] == [digest(content(BODY, 6))] * 4
    assert [(web.files / f"up{seed}").read_bytes() for seed in range(4)] == uploads
    saw_everything(finished, CHAINS[through], [EMPTY, *turned(answers)], "accept")


@pytest.mark.parametrize("through", CHAINS)
def test_nginx_as_reverse_proxy(through: str, tmp_path: Path) -> None:
    """One chain for what it accepts and for what it connects."""
    with depot() as behind:
        web = nginx(tmp_path, behind.url)
        bodies = [content(BODY // 2 + seed, seed) for seed in range(3)]
        requests = [http("POST", "/there/", body) for body in bodies] + [http("GET", f"/there/{BODY}/{7}")]
        with serving_nginx(web, CHAINS[through]) as server:
            answers = ask_all(web.port, requests)
            server.signal(signal.SIGQUIT)
            finished = server.wait()
        expected = behind.flows()
    assert finished.same == (0, b"")
    assert [answer.body for answer in answers] == [digest(body) for body in (*bodies, content(BODY, 7))]
    saw_everything(finished, CHAINS[through], expected, "connect")
    saw_everything(finished, CHAINS[through], [EMPTY, *turned(answers)], "accept")
