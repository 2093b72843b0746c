"""Fixtures of the end-to-end tests; what they are made of is in `harness`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import DEADLINE_S, PROGRAMS, WebServer, bare, environment, needs, web_server

Build = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here runs a real program; none of them runs elsewhere than on Linux."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.skipif(sys.platform != "linux", reason="winsock run needs Linux"))


@pytest.fixture
def server() -> Iterator[WebServer]:
    """An HTTP server on loopback that keeps every byte."""
    with web_server() as running:
        yield running


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Compile `tests/programs/NAME.c`: build("client", "-static"), build("client", compiler="..."). Once a session."""
    folder = tmp_path_factory.mktemp("programs")
    folder.chmod(0o755)

    def compile(name: str, *flags: str, compiler: str = "gcc", suffix: str = "") -> Path:
        tag = hashlib.sha256(" ".join((compiler, *flags)).encode()).hexdigest()[:8]
        target = folder / f"{name}-{tag}{suffix}"
        if not target.exists():
            source = str(PROGRAMS / f"{name}.c")
            command = [needs(compiler), "-O1", "-Wall", "-Werror", "-o", str(target), source, *flags]
            subprocess.run(command, check=True, timeout=DEADLINE_S)
        return target

    return compile


@pytest.fixture(scope="session")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a prefix of our own, made once; its server has ended whenever a test begins."""
    folder = tmp_path_factory.mktemp("wine")
    variables = environment(HOME=str(folder), WINEPREFIX=str(folder / "prefix"), WINEDEBUG="-all", DISPLAY="")
    bare(needs("wine"), "wineboot", "-i", env=variables, timeout=100)
    end_wineserver(variables)
    yield variables
    bare(needs("wineserver", "wineserver64"), "-k", env=variables)


def end_wineserver(variables: dict[str, str]) -> None:
    """A server stays a few seconds after its last program, and would be outside of the next run."""
    bare(needs("wineserver", "wineserver64"), "-k", env=variables)
    bare(needs("wineserver", "wineserver64"), "-w", env=variables)
