"""The other end of the byte tests: an HTTP server on loopback that keeps count and digest of all that it saw.

`GET /COUNT/SEED` answers with so many bytes, the same ones for the same seed, `GET /peer` with the name of who asks;
what is sent by PUT or POST comes back.
"""

from __future__ import annotations

import functools
import hashlib
import io
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.e2e.harness import DEADLINE_S, LOCALHOST, Finished
from tests.waiting import wait_until

USUAL = 1 << 20
"""How many bytes a question gets that does not say."""


class Flow(NamedTuple):
    """One connection: count and digest of what the client sent and of what it got."""

    outgoing: int
    outgoing_digest: str
    incoming: int
    incoming_digest: str

    @property
    def turned(self) -> Flow:
        """As the server sees it."""
        return Flow(self.incoming, self.incoming_digest, self.outgoing, self.outgoing_digest)

    @property
    def counts(self) -> Flow:
        """Without the digests, for layers that have none."""
        return Flow(self.outgoing, "-", self.incoming, "-")


def flow_of(outgoing: bytes, incoming: bytes) -> Flow:
    """A connection of which we have the bytes."""
    return Flow(len(outgoing), digest(outgoing), len(incoming), digest(incoming))


def flows_told(finished: Finished, layer: str, role: str) -> list[Flow]:
    """What a layer of `layers_bytes` told of its connections, in order of the numbers."""
    lines = [record["text"].split() for record in finished.events("log", layer=layer)]
    return sorted(Flow(int(out), sent, int(back), got) for told, out, sent, back, got in lines if told == role)


def digest(data: bytes) -> str:
    """What we compare by."""
    return hashlib.sha256(data).hexdigest()


@functools.cache
def content(count: int, seed: int) -> bytes:
    """The same bytes each time."""
    return random.Random(seed).randbytes(count)


class _Tally:
    """What went one way."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = hashlib.sha256()

    def see(self, data: Any) -> None:
        self.count += len(data)
        self._digest.update(data)

    def told(self) -> tuple[int, str]:
        return self.count, self._digest.hexdigest()


class _Reader(io.RawIOBase):
    """A socket that is read, with a tally."""

    def __init__(self, connection: socket.socket, tally: _Tally) -> None:
        self._connection = connection
        self._tally = tally

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._connection.recv_into(buffer)
        self._tally.see(memoryview(buffer)[:count])
        return count


class _Writer(io.BufferedIOBase):
    """A socket that is written to, with a tally."""

    def __init__(self, connection: socket.socket, tally: _Tally) -> None:
        self._connection = connection
        self._tally = tally

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._connection.sendall(data)
        self._tally.see(data)
        return len(data)


class _Handler(BaseHTTPRequestHandler):
    """One connection, until the client has enough."""

    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = DEADLINE_S

    def setup(self) -> None:
        super().setup()
        self.received, self.sent = _Tally(), _Tally()
        self.rfile = io.BufferedReader(_Reader(self.connection, self.received), 1 << 16)
        self.wfile = _Writer(self.connection, self.sent)

    def finish(self) -> None:
        self.server.over(Flow(*self.received.told(), *self.sent.told()))

    def do_GET(self) -> None:
        """So many bytes of that seed, or the client's name."""
        if self.path == "/peer":
            self._answer(f"{self.client_address[0]} {self.client_address[1]}\n".encode())
            return
        words = [int(word) for word in self.path.split("/") if word]
        count, seed = (*words, 0)[:2] if words else (USUAL, 0)
        self._answer(content(count, seed))

    def do_PUT(self) -> None:
        """Give it back."""
        self._answer(self._body())

    do_POST = do_PUT

    def _answer(self, body: bytes) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    depot: Depot

    def process_request(self, request: Any, client_address: Any) -> None:
        self.depot.begun()
        super().process_request(request, client_address)

    def over(self, flow: Flow) -> None:
        self.depot.over(flow)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is the test's business."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class Depot:
    """The server while it runs."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._lock = threading.Lock()
        self._open = 0
        self._flows: list[Flow] = []
        self._server = (_Server6 if ":" in host else _Server)((host, 0), _Handler)
        self._server.depot = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def begun(self) -> None:
        """A connection came."""
        with self._lock:
            self._open += 1

    def over(self, flow: Flow) -> None:
        """A connection ended."""
        with self._lock:
            self._open -= 1
            self._flows.append(flow)

    def flows(self) -> list[Flow]:
        """The connections since the last question, once all are over, in order of the numbers."""
        wait_until(lambda: not self._open, "the end of all connections", lambda: f"{self._open} are open")
        with self._lock:
            flows, self._flows = self._flows, []
        return sorted(flows)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join(DEADLINE_S)
        self._server.server_close()


@contextmanager
def depot(host: str = LOCALHOST) -> Iterator[Depot]:
    """A `Depot` for as long as it is needed."""
    running = Depot(host)
    try:
        yield running
    finally:
        running.close()
