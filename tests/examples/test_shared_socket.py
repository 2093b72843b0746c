"""The socket that two processes share, as it runs."""

from __future__ import annotations

import socket
import subprocess
import sys

from tests.examples.sample import EXAMPLES

PATIENCE_S = 60


def test_another_process_answers() -> None:
    command = [sys.executable, str(EXAMPLES / "shared_socket.py"), "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as giver:
        assert giver.stdout is not None
        first = giver.stdout.readline().split()
        assert int(first[1]) != giver.pid
        host, _, port = first[-1].rpartition(":")
        for word in (b"one", b"two", b"three"):
            with socket.create_connection((host, int(port)), PATIENCE_S) as client:
                told = giver.stdout.readline()
                assert told == "{}:{} was taken\n".format(*client.getsockname())
                client.sendall(word)
                client.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := client.recv(100):
                    answer += piece
                assert answer == word.upper()
        assert giver.wait(PATIENCE_S) == 0
