"""The world of the relay: the program is a process under `winsock run`, its sockets are those of the kernel.

The program connects and accepts, and hands its sockets over; what is done with them then is no call that anybody traps.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.drivers import run_program
from tests.drivers.world import PATIENCE_S, Connection, Greeting, PlainEnd, Use, Used
from tests.e2e.harness import WINSOCK, environment, running
from tests.waiting import wait_until

LOOPBACK = run_program.LOOPBACK


class RunWorld:
    """A supervised program that obeys, and what is to be closed at the end."""

    def __init__(self, control: socket.socket, lines: Path, ends: ExitStack) -> None:
        self._control = control
        self._lines = lines
        self._ends = ends

    def lines(self) -> list[str]:
        return self._lines.read_text().splitlines()

    def connect(self, greet: Greeting | None = None, *, blocking: bool = True) -> Connection:
        with socket.create_server((LOOPBACK, 0)) as server:
            server.settimeout(PATIENCE_S)
            peers: list[PlainEnd] = []
            failures: list[BaseException] = []

            def serve() -> None:
                try:
                    peers.append(self._closing(PlainEnd(server.accept()[0])))
                    if greet is not None:
                        greet(peers[0])
                except BaseException as error:
                    failures.append(error)

            peer = threading.Thread(target=serve, daemon=True)
            peer.start()
            try:
                program = self._told("connect", server.getsockname()[1], blocking)
            except OSError:
                server.shutdown(socket.SHUT_RDWR)  # which ends the waiting for somebody to accept
                peer.join(PATIENCE_S)
                failures = [failure for failure in failures if isinstance(failure, AssertionError)]
                raise
            finally:
                peer.join(PATIENCE_S)
                if failures:
                    raise failures[0]
        return Connection(program, peers[0])

    def accept(self) -> Connection:
        self._tell("listen")
        port = json.loads(self._control.recv(run_program.LONGEST))
        peer = self._closing(PlainEnd(socket.create_connection((LOOPBACK, port), PATIENCE_S)))
        return Connection(self._told("accept"), peer)

    def _tell(self, *message: object) -> None:
        self._control.send(json.dumps(message).encode())

    def _told(self, *message: object) -> PlainEnd:
        """The socket that this came to; `OSError`, if it failed."""
        self._tell(*message)
        answer, descriptors, _, _ = socket.recv_fds(self._control, run_program.LONGEST, 1)
        number = json.loads(answer)
        if number:
            raise OSError(number, os.strerror(number))
        return self._closing(PlainEnd(socket.socket(fileno=descriptors[0])))

    def _closing(self, end: PlainEnd) -> PlainEnd:
        self._ends.callback(end.close)
        return end


@contextmanager
def open_run_world(*layers: Used) -> Iterator[RunWorld]:
    """A program under `winsock run` with these layers."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="winsock-run-"))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stack.callback(ours.close)
        ours.settimeout(PATIENCE_S)
        lines = Path(folder) / "lines"
        options = [word for layer in layers for word in ("--layer", _named(layer))]
        program = [sys.executable, "-S", run_program.__file__, str(theirs.fileno())]
        command: list[str | Path] = [*WINSOCK, "run", "--output", lines, *options, "--", *program]
        with theirs:
            started = stack.enter_context(running(command, env=environment(), pass_fds=[theirs.fileno()]))
        wait_until(lines.exists, "the first line")
        with ExitStack() as ends:
            yield RunWorld(ours, lines, ends)
        ours.close()
        assert started.wait(PATIENCE_S).status == 0


def _named(layer: Used) -> str:
    kind, given = layer if isinstance(layer, Use) else (layer, {})
    return ",".join([f"{kind.__module__}:{kind.__qualname__}", *(f"{name}={value}" for name, value in given.items())])
