"""An installer in a hundred lines, as somebody types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import winsock
from tests.examples.sample import EXAMPLES
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher.loader import catalog as in_use
from winsock.dispatcher.loader import open_chain

FIRST = BUILTIN[-1].info.dwCatalogEntryId + 1
LAYER = """from winsock import {base}


class Mine({base}):
    \"\"\"Does nothing.\"\"\"
"""


class Typed:
    """Commands in a folder with a layer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> tuple[int, str]:
        command = [sys.executable, str(EXAMPLES / "installer.py"), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    (tmp_path / "mine.py").write_text(LAYER.format(base="Layer"))
    return Typed(tmp_path)


def chains() -> list[str]:
    return [info.szProtocol for info in winsock.WSCEnumProtocols() if info.chain_length > winsock.BASE_PROTOCOL]


def test_a_layer_from_a_file_is_installed_listed_used_and_removed(typed: Typed) -> None:
    assert typed("install", "./mine.py:Mine") == (0, f"mine is installed, as {FIRST}\n")
    status, listed = typed("list")
    assert status == 0
    assert listed.splitlines()[0] == f"{FIRST + 1}  mine over [MSAFD Tcpip [TCP/IP]]  ({FIRST} > 1001)"
    assert f"{FIRST}  mine  (layer)" in listed
    assert "1001  MSAFD Tcpip [TCP/IP]  (base)" in listed
    with winsock.started():
        chain = open_chain(in_use().match(winsock.AF_INET, winsock.SOCK_STREAM, 0))
        assert repr(chain) == "mine > tcp/ipv4"
    assert typed("remove", "mine") == (0, "mine is removed\n")
    assert chains() == []


def test_a_layer_of_bytes_makes_its_own_handles(typed: Typed) -> None:
    (typed.folder / "mine.py").write_text(LAYER.format(base="StreamLayer"))
    assert typed("install", "mine.py")[0] == 0
    chains = winsock.WSCEnumProtocols()[:4]
    flags = {(info.iSocketType, bool(info.dwServiceFlags1 & winsock.XP1_IFS_HANDLES)) for info in chains}
    assert flags == {(winsock.SOCK_STREAM, False), (winsock.SOCK_DGRAM, True)}  # it takes part in streams alone


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("install", "nowhere.py"), "No such file"),
        (("install", "os:path"), "is no layer"),
        (("remove", "mine"), "no provider"),
    ],
)
def test_what_cannot_be_is_said(typed: Typed, arguments: tuple[str, ...], reason: str) -> None:
    status, said = typed(*arguments)
    assert status == 1
    assert said.startswith("installer: [WSA")
    assert reason in said
    assert "Traceback" not in said
    assert chains() == []


def test_the_same_layer_is_not_installed_twice(typed: Typed) -> None:
    assert typed("install", "mine.py")[0] == 0
    status, said = typed("install", "mine.py")
    assert status == 1
    assert "already installed" in said
    assert len(chains()) == 4
