"""docs/writing-a-layer.md, typed as it stands there: every layer, every command, and what it prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, bare, environment, needs
from tests.e2e.newcomer import PORT, Newcomer, Page, shape

PAGE = Page(ROOT / "docs" / "writing-a-layer.md")
SET_UP = ("make", ".")
"""What is done already where the tests run."""


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """With the files of the page."""
    needs("curl")
    with ExitStack() as leaving:
        somebody = Newcomer(tmp_path, leaving)
        for name, text in PAGE.files().items():
            somebody.write(name, text)
        yield somebody


def test_every_command_prints_what_stands_there(newcomer: Newcomer) -> None:
    commands = [one for one in PAGE.typed() if one.command.split()[0] not in SET_UP]
    assert [one.command.split()[1] for one in commands if one.command.startswith("winsock")].count("run") >= 3
    for one in commands:
        printed = newcomer.type(one.command)
        if one.printed:
            assert shape(printed) == shape(one.printed), one.command


def test_the_same_class_in_one_process(newcomer: Newcomer) -> None:
    for one in PAGE.typed():
        if one.command.startswith(("echo", "python3")):
            newcomer.type(one.command)
    (program,) = (block for block in PAGE.blocks("python") if "winsock.started" in block)
    newcomer.write("program.py", program)
    finished = bare(sys.executable, "program.py", cwd=newcomer.folder, env=environment(PYTHONPATH="."))
    assert finished.text == ""
    assert finished.stdout.endswith(f"HELLO FROM PORT {newcomer.port}\n".encode())


def test_the_test_of_a_layer_passes(newcomer: Newcomer) -> None:
    (program,) = (block for block in PAGE.blocks("python") if "assert" in block)
    newcomer.write("program.py", program)
    finished = bare(sys.executable, "program.py", cwd=newcomer.folder, env=environment(PYTHONPATH="."))
    assert (finished.status, finished.text) == (0, "")


def test_the_page_ends_with_an_installed_layer(newcomer: Newcomer) -> None:
    """`winsock catalog install ./shout.py` makes it part of every run, until it is removed."""
    newcomer.environment["WINSOCK_CATALOG"] = str(newcomer.folder / "catalog.sqlite")
    for one in PAGE.typed():
        if one.command.startswith(("echo", "python3")):
            newcomer.type(one.command)
    fetch = f"winsock run -- curl -s http://127.0.0.1:{PORT}/hello.txt"
    newcomer.type("winsock catalog install ./shout.py")
    assert f"HELLO FROM PORT {PORT}" in newcomer.type(fetch)  # before or after our own lines
    newcomer.type("winsock catalog remove shout")
    assert f"hello from port {PORT}" in newcomer.type(fetch)
