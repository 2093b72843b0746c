"""A Windows program under Wine under `winsock run`: its wineserver, which makes the connection, is started inside."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import (
    LOCALHOST,
    WebServer,
    bare,
    environment,
    free_port,
    needs,
    running,
    same_as_bare,
    supervised,
    wait_until,
)

COMPILER = "x86_64-w64-mingw32-gcc"


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a prefix of our own, made once; its server has ended whenever a test begins."""
    folder = tmp_path_factory.mktemp("wine")
    variables = environment(HOME=str(folder), WINEPREFIX=str(folder / "prefix"), WINEDEBUG="-all", DISPLAY="")
    bare(needs("wine"), "wineboot", "-i", env=variables, timeout=100)
    end_server(variables)
    yield variables
    bare(needs("wineserver", "wineserver64"), "-k", env=variables)


def end_server(variables: dict[str, str]) -> None:
    """A server stays a few seconds after its last program, and would be outside of the next run."""
    bare(needs("wineserver", "wineserver64"), "-k", env=variables)
    bare(needs("wineserver", "wineserver64"), "-w", env=variables)


@pytest.fixture
def winget(build: Build) -> Path:
    """A small client, built for Windows."""
    return build("winget", "-lws2_32", compiler=COMPILER, suffix=".exe")


def test_a_windows_program(wine: dict[str, str], winget: Path, server: WebServer) -> None:
    ran = same_as_bare(
        server, needs("wine"), winget, server.host, str(server.port), env=wine, between=lambda: end_server(wine)
    )
    assert server.body.strip() in ran.finished.stdout
    (connect,) = ran.finished.events("connect", peer=server.address)
    assert (connect["result"], connect["error"]) == ("connected", None)
    assert connect["name"].startswith("wineserver")
    (exchange,) = ran.exchanges
    (close,) = ran.finished.events("close", peer=server.address)
    assert (close["sent"], close["received"]) == (len(exchange.received), len(exchange.sent))
    end_server(wine)


def test_a_windows_program_that_is_refused(wine: dict[str, str], winget: Path) -> None:
    port = free_port()
    program = (needs("wine"), winget, LOCALHOST, str(port))
    plain = bare(*program, env=wine)
    end_server(wine)
    finished = supervised(*program, env=wine)
    end_server(wine)
    assert finished.same == plain.same == (1, b"connect: 10061\r\n")
    (connect,) = finished.events("connect", peer=f"{LOCALHOST}:{port}")
    assert (connect["result"], connect["error"], connect["errno"]) == ("failed", "WSAECONNREFUSED", errno.ECONNREFUSED)


def test_a_wineserver_that_runs_outside_is_told_of(wine: dict[str, str], winget: Path, server: WebServer) -> None:
    program = (needs("wine"), winget, server.host, str(server.port))
    with running([needs("wineserver", "wineserver64"), "--foreground"], env=wine) as outside:
        door = Path(f"/proc/{outside.pid}/cwd/socket")  # a wineserver stands in the folder of its socket
        wait_until(door.exists, "the wineserver", lambda: str(outside.process.poll()))
        finished = supervised(*program, env=wine)
        end_server(wine)
        assert outside.wait().status == 0
    assert finished.status == 0
    server.taken(1)
    assert finished.truth["layered"] == 0
    (line,) = [record["text"] for record in finished.events("log")]
    assert "wineserver" in line
    assert "outside" in line
