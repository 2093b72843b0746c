"""The event-select server, as it runs."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.examples.sample import EXAMPLES

LARGE = bytes(range(256)) * 8000
CLIENTS = 80
PATIENCE_S = 60


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    command = [sys.executable, str(EXAMPLES / "event_server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        host, _, port = server.stdout.readline().split()[-1].rpartition(":")
        yield host, int(port)
        server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE_S) == 0


def echo(address: tuple[str, int], data: bytes) -> bytes:
    """What comes back, where nobody reads before all is sent."""
    with socket.create_connection(address, PATIENCE_S) as client, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(client.sendall, data)
        got = b""
        while len(got) < len(data) and (piece := client.recv(65536)):
            got += piece
        sending.result()
    return got


def test_it_echoes_to_more_at_once_than_one_wait_has_events_for(address: tuple[str, int]) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = pool.map(lambda i: echo(address, LARGE[i:]), range(CLIENTS))
        assert [answer == LARGE[i:] for i, answer in enumerate(answers)] == [True] * CLIENTS


def test_it_answers_in_full_who_has_said_everything(address: tuple[str, int]) -> None:
    with socket.create_connection(address, PATIENCE_S) as client:
        client.sendall(b"all of it")
        client.shutdown(socket.SHUT_WR)
        assert b"".join(iter(lambda: client.recv(4), b"")) == b"all of it"


def test_it_survives_who_resets(address: tuple[str, int]) -> None:
    for _ in range(5):
        with socket.create_connection(address, PATIENCE_S) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(b"hello")
    assert echo(address, b"still there") == b"still there"
