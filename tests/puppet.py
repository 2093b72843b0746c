"""A process that does what it is told, line by line, with some of its system calls trapped by a real listener.

`Puppet` is the test's end. The process itself is this file, run as a program: each line that it reads is Python, each
line that it writes is the `repr` of what that came to. A system call that is trapped holds the puppet until the test
answers it on `listener`.
"""

from __future__ import annotations

import ast
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from winsock.host import numbers
from winsock.supervisor import kernel
from winsock.supervisor.generations import system

ROOT = Path(__file__).parents[1]
PATIENCE_S = 20.0
_FILTER_WORD = {"load": 0x20, "equal": 0x15, "return": 0x06}
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000


class Puppet:
    """The test's end: `run` a line and have its result, or `start` it, answer what is trapped, and take `result`."""

    def __init__(self, process: subprocess.Popen[str], listener: int) -> None:
        self._process = process
        self.pid = process.pid
        self.listener = listener

    def run(self, source: str) -> Any:
        """Do something that is not trapped."""
        self.start(source)
        return self.result()

    def start(self, source: str) -> None:
        """Begin something."""
        assert self._process.stdin is not None
        self._process.stdin.write(source + "\n")
        self._process.stdin.flush()

    def result(self) -> Any:
        """What the oldest line without one came to."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE_S)[0]:
            raise AssertionError("the puppet does not answer")
        text = self._process.stdout.readline()
        assert text, "the puppet has ended"
        return ast.literal_eval(text)

    def kill(self) -> None:
        """End it, and wait until it is gone."""
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def stop_listening(self) -> None:
        """Close the test's copy of the listener: what is trapped then fails."""
        if self.listener >= 0:
            os.close(self.listener)
            self.listener = -1


@contextmanager
def puppet(*trapped: str, program: bytes = b"") -> Iterator[Puppet]:
    """A puppet whose calls of these names are trapped, or those that a filter program of the test's own reports."""
    pipe = subprocess.PIPE
    program = program or (trap(trapped) if trapped else b"")
    command = [sys.executable, "-S", "-u", __file__, program.hex()]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=environment) as process:
        held = Puppet(process, -1)
        try:
            theirs = held.result()
            if program:
                held.listener = _fetch(process.pid, theirs)
                held.run(f"os.close({theirs})")
            yield held
        finally:
            held.stop_listening()
            held.kill()


def _fetch(pid: int, descriptor: int) -> int:
    pidfd = os.pidfd_open(pid)
    try:
        return kernel.pidfd_getfd(pidfd, descriptor)
    finally:
        os.close(pidfd)


def trap(names: Sequence[str]) -> bytes:
    """The filter: report the calls of these names, allow the rest."""

    def instruction(what: str, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
        head = _FILTER_WORD[what].to_bytes(2, "little") + bytes((jump_true, jump_false))
        return head + k.to_bytes(4, "little")

    calls = [numbers.machine().calls[name] for name in names]
    jumps = [instruction("equal", number, len(calls) - at, 0) for at, number in enumerate(calls)]
    return b"".join(
        [instruction("load", 0), *jumps, instruction("return", _ALLOW), instruction("return", _NOTIFY)],
    )


# --- the puppet's own end --------------------------------------------------------------------------------------------


def call(name: str, *arguments: int) -> int:
    """A system call to the letter: its value, or the negative errno."""
    try:
        return kernel.libc().call(name, *arguments)
    except OSError as error:
        return -(error.errno or 0)


class Threads:
    """Threads of the puppet: each does one thing at a time, and ends on request."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self._leave: dict[str, threading.Event] = {}
        self._running: dict[str, threading.Thread] = {}

    def start(self, name: str, source: str = "None", stays: bool = True) -> int:
        """A thread that does this and then waits to be ended; its id."""
        ready, leave = threading.Event(), threading.Event()
        ids: list[int] = []

        def work() -> None:
            ids.append(threading.get_native_id())
            ready.set()
            self.results[name] = _evaluate(source)
            if stays:
                leave.wait()

        self._leave[name] = leave
        self._running[name] = threading.Thread(target=work, daemon=True)
        self._running[name].start()
        ready.wait()
        return ids[0]

    def end(self, name: str) -> Any:
        """Let a thread end, and wait until the kernel has forgotten it; what it came to."""
        self._leave[name].set()
        self._running[name].join()
        return self.results[name]


def _evaluate(source: str) -> Any:
    try:
        code = compile(source, "<told>", "eval")
    except SyntaxError:
        exec(compile(source, "<told>", "exec"), SCOPE)
        return None
    return eval(code, SCOPE)


SCOPE: dict[str, Any] = {"call": call, "os": os, "sys": sys, "kernel": kernel, "threads": Threads()}


def _literal(value: object) -> str:
    """The value as a literal; of what has none, a string."""
    text = repr(value)
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return repr(text)
    return text


def main(program: bytes) -> None:
    """Tell the listener's number, then obey."""
    import ctypes
    import mmap
    import resource
    import signal
    import socket
    import struct

    SCOPE.update(ctypes=ctypes, mmap=mmap, socket=socket, struct=struct, signal=signal, resource=resource, keep=[])
    listener = -1
    if program:
        system.prctl(system.PR_SET_NO_NEW_PRIVS)
        listener = system.install_filter(program)
    print(listener)
    for line in sys.stdin:
        print(_literal(_evaluate(line)))


if __name__ == "__main__":
    main(bytes.fromhex(sys.argv[1]))
