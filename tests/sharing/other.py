"""Another process to share sockets with, which does what it is told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Self

from winsock.abi.protocol_info import WSAPROTOCOL_INFO

ROOT = Path(__file__).parents[2]


class Other:
    """`tests/programs/sharer.py` with these layers over every protocol."""

    def __init__(self, *layers: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.programs.sharer", *layers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._read() == "ready"

    @property
    def id(self) -> int:
        return self.process.pid

    def do(self, expression: str) -> str:
        """What an expression comes to there, or the name of its error."""
        assert self.process.stdin is not None
        print(expression, file=self.process.stdin, flush=True)
        return self._read()

    def take(self, info: WSAPROTOCOL_INFO, more: str = "") -> str:
        """Open a duplicate there: its handle, or the name of the error."""
        return self.do(f"take('{info.pack().hex()}'{more})")

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
