"""How the end-to-end tests run programs: bare, under `winsock run`, as a server beside the test; and what came out.

Everything that a test starts carries a mark in its environment, and whatever still carries it afterwards is killed:
nothing that the test did not start can be met by that. Ports come from bind(0), servers live on loopback.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "programs"
PYTHON = sys.executable
WINSOCK = (PYTHON, "-m", "winsock.cli")
DEADLINE_S = 30.0
LOCALHOST = "127.0.0.1"

_MARK = "WINSOCK_TEST_MARK"
_MORE_PATHS = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/wine")

Record = dict[str, Any]


# --- programs ---------------------------------------------------------------------------------------------------------


def needs(*names: str) -> str:
    """The path of the first of these programs that is installed; without one the test skips, or fails in CI."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_PATHS])
    for name in names:
        found = shutil.which(name, path=path)
        if found is not None:
            return found
    return missing(f"{' or '.join(names)} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip, and say why; where nothing may be skipped, fail."""
    if os.environ.get("WINSOCK_NOTHING_SKIPPED") == "1":
        pytest.fail(f"nothing may be skipped here, but {reason}")
    pytest.skip(reason)


class Finished(NamedTuple):
    """What a program left behind."""

    status: int
    """As a shell tells it: 128+n after signal n."""
    stdout: bytes
    stderr: bytes
    records: tuple[Record, ...] = ()
    """Our lines, where they were asked for as JSON."""

    @property
    def text(self) -> str:
        """Stderr as text."""
        return self.stderr.decode(errors="replace")

    @property
    def same(self) -> tuple[int, bytes]:
        """What must be the same with and without winsock."""
        return self.status, self.stdout

    @property
    def truth(self) -> Record:
        """The truth line; there is exactly one."""
        (truth,) = self.events("truth")
        return truth

    def events(self, event: str, **fields: object) -> list[Record]:
        """The records of an event that have these fields."""
        return select_records(self.records, event, fields)


def select_records(records: Sequence[Record], event: str, fields: Mapping[str, object]) -> list[Record]:
    """The records of an event that have these fields."""
    return [
        record
        for record in records
        if record["event"] == event and all(record.get(name) == value for name, value in fields.items())
    ]


def parse(text: str) -> tuple[Record, ...]:
    """JSON lines: every line is an object with an event."""
    records = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(record, dict) and record["event"] for record in records)
    return tuple(records)


def environment(**more: str) -> dict[str, str]:
    """What programs of the tests are started with: our own environment, without what would change them."""
    unwanted = {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1", **more}


def bare(*program: str | Path, timeout: float = DEADLINE_S, **more: Any) -> Finished:
    """Run a program as it is."""
    with running(program, **more) as started:
        return started.wait(timeout)


def winsock(*arguments: str | Path, **more: Any) -> Finished:
    """Run the `winsock` command with these arguments."""
    return bare(*WINSOCK, *arguments, **more)


def supervised(*program: str | Path, options: Sequence[str | Path] = (), **more: Any) -> Finished:
    """Run a program under `winsock run --format json`; our lines go to a file, so that its stderr is its own."""
    with supervising(*program, options=options, **more) as started:
        return started.wait()


@contextmanager
def supervising(*program: str | Path, options: Sequence[str | Path] = (), **more: Any) -> Iterator[Running]:
    """A program under `winsock run` that runs beside the test; its lines can be read meanwhile."""
    with tempfile.TemporaryDirectory(prefix="winsock-e2e-", ignore_cleanup_errors=True) as folder:
        lines = Path(folder) / "lines.jsonl"
        command = (*WINSOCK, "run", "--format", "json", "--output", lines, *options, "--", *program)
        with running(command, lines=lines, **more) as started:
            yield started


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    lines: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,
    **more: Any,
) -> Iterator[Running]:
    """A program in a process group of its own beside the test; whatever is left of it at the end is killed."""
    mark = secrets.token_hex(8)
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "process_group": 0, **more}
    more.setdefault("stdin", subprocess.DEVNULL if input is None else subprocess.PIPE)
    full = {**(environment() if env is None else env), _MARK: mark}
    process = subprocess.Popen([os.fspath(word) for word in command], env=full, **more)
    try:
        yield Running(process, mark, lines, input)
    finally:
        kill_marked(mark)
        process.kill()
        process.wait(DEADLINE_S)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


class Running:
    """A program that runs beside the test."""

    def __init__(
        self, process: subprocess.Popen[bytes], mark: str, lines: Path | None, input: bytes | None = None
    ) -> None:
        self.process = process
        self.pid = process.pid
        self.mark = mark
        self._lines = lines
        self._input = input

    def wait(self, timeout: float = DEADLINE_S) -> Finished:
        """Until it ends, and its streams with it."""
        try:
            stdout, stderr = self.process.communicate(self._input, timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            told = f"records: {self.records()}; stderr: {expired.stderr!r}"
            raise AssertionError(f"still running after {timeout} s; {told}") from None
        code = self.process.returncode
        return Finished(128 - code if code < 0 else code, stdout or b"", stderr or b"", self.records())

    def signal(self, number: int, group: bool = False) -> None:
        """Send a signal to the process alone, or to its group."""
        (os.killpg if group else os.kill)(self.pid, number)

    def line(self) -> str:
        """The next line of its stdout."""
        assert self.process.stdout is not None
        return self._next(self.process.stdout)

    def error_line(self) -> str:
        """The next line of its stderr."""
        assert self.process.stderr is not None
        return self._next(self.process.stderr)

    def _next(self, stream: IO[bytes]) -> str:
        return stream.readline().decode(errors="replace").rstrip("\n")

    def records(self) -> tuple[Record, ...]:
        """Our lines until now; a line that is only half written is left for later."""
        if self._lines is None or not self._lines.exists():
            return ()
        return parse(self._lines.read_text(errors="surrogateescape").rpartition("\n")[0])

    def wait_for(self, event: str, **fields: object) -> Record:
        """The first record of an event with these fields, as soon as it is there."""

        def there() -> list[Record]:
            return select_records(self.records(), event, fields)

        found: list[Record] = wait_until(there, f"{event} {fields}", lambda: f"{self.records()}")
        return found[0]

    def processes(self) -> list[int]:
        """Every living process that descends from this start, ours included."""
        return marked(self.mark)


def marked(mark: str) -> list[int]:
    """The living processes with this mark in their environment."""
    wanted = f"{_MARK}={mark}".encode()
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and wanted in _environ(entry).split(b"\0")]


def _environ(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def name_of(pid: int) -> str:
    """The name of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def kill_marked(mark: str) -> None:
    """End what a start has left; again where it was just forking."""
    for _ in range(100):
        found = marked(mark)
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        select.select([], [], [], 0.01)


# --- servers ----------------------------------------------------------------------------------------------------------


def free_port(host: str = LOCALHOST) -> int:
    """A port for servers that must be told one, and one where nobody is: it stays this process's to give away.

    The kernel gives it to nobody who asks for any port, as it may one that was free a moment ago.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    below = range(max(lowest // 2, 1024), lowest)
    for port in secrets.SystemRandom().sample(below, len(below)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0winsock-tests-port-{port}")  # which the tests of other processes see
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
                probe.bind((host, port))
        except OSError:
            claim.close()
        else:
            _claims.append(claim.detach())
            return port
    return missing(f"no port below {lowest} is free")


_claims: list[int] = []
"""What keeps other processes from the ports that were given away; open as long as this one lives."""


class Exchange(NamedTuple):
    """One connection as the server saw it."""

    received: bytes
    sent: bytes


class WebServer:
    """An HTTP server in threads of this process that keeps every byte it saw and sent, connection by connection."""

    def __init__(self, body: bytes = b"hello from the server\n", host: str = LOCALHOST, closes: bool = False) -> None:
        self.body = body
        self.host = host
        self._closes = closes
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where it is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def address(self) -> str:
        """As our records show it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def taken(self, count: int) -> list[Exchange]:
        """The exchanges since the last question, once there are `count`."""
        wait_until(lambda: len(self._exchanges) >= count, f"{count} exchanges", lambda: f"got {self._exchanges}")
        with self._lock:
            exchanges, self._exchanges = self._exchanges, []
        assert len(exchanges) == count
        return exchanges

    def close(self) -> None:
        """End it, and its threads."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE_S)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        received, sent = bytearray(), bytearray()
        with connection:
            connection.settimeout(DEADLINE_S)
            try:
                while piece := connection.recv(65536):
                    received += piece
                    while answer := self._answer(received, sent):
                        connection.sendall(answer)
                        sent += answer
                    if self._closes and sent:
                        break
            except ConnectionResetError:
                pass
        with self._lock:
            self._exchanges.append(Exchange(bytes(received), bytes(sent)))

    def _answer(self, received: bytearray, sent: bytearray) -> bytes:
        """The answer to the next whole request, if one is there: one for each empty line."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(self.body)
        answered = len(sent) // len(head + self.body)
        return head + self.body if received.count(b"\r\n\r\n") > answered else b""


@contextmanager
def web_server(
    body: bytes = b"hello from the server\n", host: str = LOCALHOST, closes: bool = False
) -> Iterator[WebServer]:
    """A `WebServer` for as long as it is needed; one that `closes` ends the connection after its first answer."""
    server = WebServer(body, host, closes)
    try:
        yield server
    finally:
        server.close()


class SameAsBare(NamedTuple):
    """A client's supervised run, found equal to its bare run."""

    finished: Finished
    exchanges: list[Exchange]


def same_as_bare(
    server: WebServer,
    *program: str | Path,
    connections: int = 1,
    between: Callable[[], None] = lambda: None,
    **more: Any,
) -> SameAsBare:
    """Run a client bare and supervised: stdout, status and the bytes that the server saw must be the same."""
    plain = bare(*program, **more)
    expected = sorted(server.taken(connections))
    between()
    finished = supervised(*program, **more)
    assert finished.same == plain.same, (finished, plain)
    exchanges = sorted(server.taken(connections))
    assert exchanges == expected
    return SameAsBare(finished, exchanges)
