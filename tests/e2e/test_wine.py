"""A Windows program under Wine under `winsock run`: its wineserver, which makes the connection, is started inside."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.e2e.conftest import Build, end_wineserver
from tests.e2e.harness import (
    LOCALHOST,
    WebServer,
    bare,
    free_port,
    needs,
    running,
    same_as_bare,
    supervised,
)
from tests.waiting import wait_until

COMPILER = "x86_64-w64-mingw32-gcc"


@pytest.fixture
def winget(build: Build) -> Path:
    """A small client, built for Windows."""
    return build("winget", "-lws2_32", compiler=COMPILER, suffix=".exe")


def test_a_windows_program(wine: dict[str, str], winget: Path, server: WebServer) -> None:
    ran = same_as_bare(
        server, needs("wine"), winget, server.host, str(server.port), env=wine, between=lambda: end_wineserver(wine)
    )
    assert server.body.strip() in ran.finished.stdout
    (connect,) = ran.finished.events("connect", peer=server.address)
    assert (connect["result"], connect["error"]) == ("connected", None)
    assert connect["name"].startswith("wineserver")
    (exchange,) = ran.exchanges
    (close,) = ran.finished.events("close", peer=server.address)
    assert (close["sent"], close["received"]) == (len(exchange.received), len(exchange.sent))
    end_wineserver(wine)


def test_a_windows_program_that_is_refused(wine: dict[str, str], winget: Path) -> None:
    port = free_port()
    program = (needs("wine"), winget, LOCALHOST, str(port))
    plain = bare(*program, env=wine)
    end_wineserver(wine)
    finished = supervised(*program, env=wine)
    end_wineserver(wine)
    assert finished.same == plain.same == (1, b"connect: 10061\r\n")
    (connect,) = finished.events("connect", peer=f"{LOCALHOST}:{port}")
    assert (connect["result"], connect["error"], connect["errno"]) == ("failed", "WSAECONNREFUSED", errno.ECONNREFUSED)


def test_a_wineserver_that_runs_outside_is_told_of(wine: dict[str, str], winget: Path, server: WebServer) -> None:
    program = (needs("wine"), winget, server.host, str(server.port))
    with running([needs("wineserver", "wineserver64"), "--foreground"], env=wine) as outside:
        door = Path(f"/proc/{outside.pid}/cwd/socket")  # a wineserver stands in the folder of its socket
        wait_until(door.exists, "the wineserver", lambda: str(outside.process.poll()))
        finished = supervised(*program, env=wine)
        end_wineserver(wine)
        assert outside.wait().status == 0
    assert finished.status == 0
    server.taken(1)
    assert finished.truth["layered"] == 0
    (line,) = [record["text"] for record in finished.events("log")]
    assert "wineserver" in line
    assert "outside" in line
