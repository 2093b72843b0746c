"""Runs that are too long for every day: nothing grows, nothing is lost."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import PYTHON, ROOT, bare, needs, supervising

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

CONNECTIONS = 20_000
LONG_S = 600.0
SPARE_DESCRIPTORS = 80
"""Numbers that are closed by the batch may still be open when we look."""
SPARE_KIB = 20_000

LOOK = "ls /proc/$PPID/fd | wc -l; sed -n 's/^VmRSS:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/$PPID/status"

THREADS = """
import socket, sys, threading
address = ("127.0.0.1", int(sys.argv[1]))
done = []
def work():
    for n in range(200):
        with socket.create_connection(address) as s:
            s.sendall(b"%d" % n)
            assert s.recv(100) == b"%d" % n
    done.append(1)
threads = [threading.Thread(target=work) for _ in range(50)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(done))
"""

ECHO = """
import socket, threading
def serve(s):
    with s:
        while data := s.recv(100):
            s.sendall(data)
with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=serve, args=(s,), daemon=True).start()
"""


DECIDING = """
from winsock import Layer


class Deciding(Layer):
    def connecting(self, address):
        return None
"""


@pytest.mark.parametrize("layer", ["trace", "deciding.py"])
def test_twenty_thousand_connections_leave_nothing_behind(tmp_path: Path, layer: str) -> None:
    (tmp_path / "deciding.py").write_text(DECIDING)
    compiler = needs("cc", "gcc")
    for name in ("acceptor", "connector"):
        subprocess.run(
            [compiler, "-O2", "-o", tmp_path / name, ROOT / "benchmarks" / "programs" / f"{name}.c"], check=True
        )
    with subprocess.Popen([tmp_path / "acceptor"], stdout=subprocess.PIPE, text=True) as acceptor:
        try:
            assert acceptor.stdout is not None
            connect = f"{tmp_path}/connector {acceptor.stdout.readline().strip()}"
            shell = f"{connect} 2000 > /dev/null; {LOOK}; {connect} {CONNECTIONS} > /dev/null; {LOOK}"
            place = layer if layer == "trace" else str(tmp_path / layer)
            with supervising("sh", "-c", shell, options=["--layer", place]) as running:
                ran = running.wait(LONG_S)
        finally:
            acceptor.kill()
    assert ran.status == 0
    descriptors, size, descriptors_after, size_after = map(int, ran.stdout.split())
    assert descriptors_after <= descriptors + SPARE_DESCRIPTORS
    assert size_after <= size + SPARE_KIB
    assert ran.truth["seen"] == ran.truth["layered"] == 2200 + CONNECTIONS * 11 // 10


def test_fifty_threads_and_ten_thousand_echoes() -> None:
    with subprocess.Popen([PYTHON, "-c", ECHO], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            expected = bare(PYTHON, "-c", THREADS, port, timeout=LONG_S)
            with supervising(PYTHON, "-c", THREADS, port) as running:
                ran = running.wait(LONG_S)
        finally:
            server.kill()
    assert ran.same == expected.same == (0, b"50\n")
    assert len(ran.events("connect", result="connected")) == 10_000
    closed = ran.events("close")
    assert sum(record["sent"] for record in closed) == sum(record["received"] for record in closed)
    assert ran.truth["seen"] == ran.truth["layered"] == 10_000
