"""Examples that are called with what they do not take: they say what they do, and show no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.examples.sample import EXAMPLES


def said(command: str) -> tuple[int, str]:
    name, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("event_server http", "invalid port value: 'http'"),
        ("event_server 65536", "invalid port value: '65536'"),
        ("event_server 1 2", "unrecognized arguments: 2"),
        ("shared_socket many", "invalid int value: 'many'"),
        ("multicast_pair sya", "invalid choice: 'sya'"),
        ("multicast_pair hear x", "unrecognized arguments: x"),
        ("partition 1 2", "unrecognized arguments: 2"),
    ],
)
def test_a_wrong_argument_is_told_with_the_use(command: str, wrong: str) -> None:
    status, lines = said(command)
    assert status == 2
    assert lines.startswith(f"usage: {command.split()[0]}.py ")
    assert wrong in lines


def test_a_port_that_somebody_has_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        status, lines = said(f"event_server {other.getsockname()[1]}")
    assert (status, lines.count("\n")) == (1, 1)
    assert lines.startswith("event_server: [WSAEADDRINUSE ")
