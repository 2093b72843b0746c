"""Somebody who types what a page says: the commands of a document, and a shell in an empty folder.

A page's port 8000 is replaced by one that is free here; nothing else is changed.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.e2e.harness import LOCALHOST, WINSOCK, bare, environment, free_port, running
from tests.waiting import wait_until

PORT = "8000"


class Typed(NamedTuple):
    """A command of a page, and what stands below it."""

    command: str
    printed: list[str]


class Page:
    """A document with commands and code in it."""

    def __init__(self, path: Path) -> None:
        self.text = path.read_text()

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks in a language."""
        return re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)

    def files(self) -> dict[str, str]:
        """The Python files that the page shows: a block after a line that names one."""
        found = re.findall(r"`(\w+\.py)`[^`]*:\n\n```python\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return dict(found)

    def typed(self) -> list[Typed]:
        """All commands, in the order in which they are met."""
        commands: list[Typed] = []
        for line in "".join(self.blocks("console")).splitlines():
            if line.startswith("$ "):
                commands.append(Typed(line[2:], []))
            else:
                commands[-1].printed.append(line)
        return commands


def shape(lines: list[str]) -> list[str]:
    """The lines without what differs from run to run; sorted, since two processes write them."""
    return sorted(re.sub(r"\s+", " ", re.sub(r"[0-9]+(\.[0-9]+)?", "0", line)).strip() for line in lines)


class Newcomer:
    """Somebody with a shell in an empty folder, who types what the README says."""

    def __init__(self, folder: Path, leaving: ExitStack) -> None:
        self.folder = folder
        self.port = str(free_port())
        self._leaving = leaving
        programs = folder / "bin"
        programs.mkdir()
        (programs / "winsock").write_text(f'#!/bin/sh\nexec {shlex.join(WINSOCK)} "$@"\n')
        (programs / "winsock").chmod(0o755)
        self.environment = environment(PATH=f"{programs}:{os.environ['PATH']}")

    def write(self, name: str, text: str) -> None:
        """A file of the page."""
        (self.folder / name).write_text(text.replace(PORT, self.port))

    def type(self, command: str) -> list[str]:
        """What a command prints; one with & goes on, and is waited for until its port answers."""
        command = command.replace(PORT, self.port)
        if command.endswith("&"):
            self._leaving.enter_context(
                running(["sh", "-c", f"exec {command[:-1]}"], cwd=self.folder, env=self.environment)
            )
            wait_until(lambda: answers(int(self.port)), "the server of the page")
            return []
        finished = bare("sh", "-c", f"{command} 2>&1", cwd=self.folder, env=self.environment)
        return finished.stdout.decode().replace(self.port, PORT).splitlines()


def answers(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex((LOCALHOST, port)) == 0
