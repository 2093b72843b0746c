"""What the tests of servers need: a client that keeps every byte, and nginx."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.byte_chains import Chain
from tests.e2e.depot import Flow, content, digest, flow_of
from tests.e2e.harness import DEADLINE_S, LOCALHOST, Running, free_port, needs, running, supervising
from tests.waiting import wait_until

Command = list[str | Path]
FILE = 3_000_001


# --- a client ---------------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """What came of one connection."""

    flow: Flow
    body: str
    """Digest of what followed the head."""


def ask(port: int, request: bytes, ends: bool = False) -> Answer:
    """Send this, perhaps the end too, and take what comes until the server ends the connection."""
    with socket.create_connection((LOCALHOST, port), DEADLINE_S) as client:
        sender = threading.Thread(target=_send, args=(client, request, ends), daemon=True)
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
def serving(command: Command, through: Chain | None, **more: Any) -> Iterator[Running]:
    """A server beside the test, bare or supervised."""
    with (
        running(command, **more)
        if through is None
        else supervising(*command, options=through.options, **more) as server
    ):
        yield server


def turned(answers: list[Answer]) -> list[Flow]:
    """The connections as the server sees them."""
    return [answer.flow.turned for answer in answers]


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
        listen {address}:{port} {how};
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
    """What it serves: `file`, and what is put there."""


def nginx(folder: Path, backend: str = "http://127.0.0.1:1", how: str = "") -> Nginx:
    """A server with two workers; as root they stay root, since a worker of another user is another test.

    `how` it listens: what follows the port, and other directives of the server.
    """
    program, port, files = needs("nginx"), free_port(), folder / "files"
    user = "user root;" if os.geteuid() == 0 else ""
    files.mkdir()
    (files / "file").write_bytes(content(FILE, 6))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=folder, address=LOCALHOST, port=port, backend=backend, how=how)
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


PROBE = flow_of(b"", b"")
"""What the server sees of it."""
