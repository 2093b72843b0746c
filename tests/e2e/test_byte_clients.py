"""Clients through layers that get their bytes: they print what they print without, and no byte goes round a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.byte_chains import CHAINS, FRAMED, Chain, saw_everything
from tests.e2e.conftest import Build, end_wineserver
from tests.e2e.depot import Depot, Flow, content, depot, digest
from tests.e2e.harness import PROGRAMS, PYTHON, Finished, bare, needs, supervised

UPLOAD = 3_000_001
BIG = 128 << 20
WINDOWS_BODY = 1_500_001
COMPILER = "x86_64-w64-mingw32-gcc"

Command = list[str | Path]


class Client(NamedTuple):
    """How a client is started."""

    command: Command
    repeats: bool = True
    """Whether its connections are the same each time, byte for byte; else only what it prints is."""


@pytest.fixture(scope="module")
def depot_here() -> Iterator[Depot]:
    """The server of all these tests, so that its port is the same in what they send."""
    with depot() as running:
        yield running


@pytest.fixture
def here(depot_here: Depot) -> Depot:
    """The same, with nothing left of the test before."""
    depot_here.flows()
    return depot_here


def curl(here: Depot, folder: Path, build: Build) -> Client:
    """Up and down over one connection that is kept."""
    upload = folder / "upload"
    upload.write_bytes(content(UPLOAD, 1))
    return Client([needs("curl"), "-sS", "-T", upload, f"{here.url}/", "--next", "-sS", f"{here.url}/{UPLOAD}/2"])


def curl_parallel(here: Depot, folder: Path, build: Build) -> Client:
    """50 at once; how many connections it makes of them is a matter of luck."""
    fetch = f"{needs('curl')} -sS --no-progress-meter --parallel --parallel-max 50 -o '#1' '{here.url}/60000/[1-50]'"
    return Client(["sh", "-c", f"cd {folder} && {fetch} && sha256sum $(seq 50)"], repeats=False)


def node(here: Depot, folder: Path, build: Build) -> Client:
    """An event loop in C++; which of its connections carries what is a matter of luck."""
    return Client([needs("node"), PROGRAMS / "transfer.js", here.url], repeats=False)


def asyncio(here: Depot, folder: Path, build: Build) -> Client:
    """200 connections at once."""
    return Client([PYTHON, PROGRAMS / "transfer_asyncio.py", here.host, str(here.port), "200"])


def java(here: Depot, folder: Path, build: Build) -> Client:
    """Sockets for IPv6 that are connected to v4-mapped addresses, and a selector thread.

    Compiled once and for all, which takes longer than all the rest.
    """
    compiler = (needs("java"), "-m", "jdk.compiler/com.sun.tools.javac.Main")
    assert bare(*compiler, "-d", folder, PROGRAMS / "Transfer.java").same == (0, b"")
    return Client([needs("java"), "-cp", folder, "Transfer", here.url])


def static_c(here: Depot, folder: Path, build: Build) -> Client:
    """A connect that blocks, in a program without a dynamic linker; it ends its sending side first."""
    return Client([build("get", "-static"), here.host, str(here.port)])


def rclone(here: Depot, folder: Path, build: Build) -> Client:
    """A program in Go."""
    return Client([needs("rclone"), "--config", "", "copyurl", "--stdout", f"{here.url}/{UPLOAD}/3"])


CLIENTS: dict[str, Callable[[Depot, Path, Build], Client]] = {
    client.__name__: client for client in (curl, curl_parallel, node, asyncio, java, rclone, static_c)
}


class Outcome(NamedTuple):
    """What must be the same."""

    same: tuple[int, bytes]
    flows: list[Flow]


@pytest.fixture(scope="module")
def plain(
    depot_here: Depot, tmp_path_factory: pytest.TempPathFactory, build: Build
) -> Callable[[str], tuple[Client, Outcome]]:
    """A client, and what comes of it without us; once for all chains."""
    known: dict[str, tuple[Client, Outcome]] = {}

    def run(name: str) -> tuple[Client, Outcome]:
        if name not in known:
            client = CLIENTS[name](depot_here, tmp_path_factory.mktemp(name), build)
            known[name] = client, outcome(bare(*client.command), depot_here)
        return known[name]

    return run


def outcome(finished: Finished, here: Depot) -> Outcome:
    """Of a run that ended well."""
    assert (finished.status, finished.stderr) == (0, b"")
    return Outcome(finished.same, here.flows())


@pytest.mark.parametrize("through", CHAINS)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client(name: str, through: str, here: Depot, plain: Callable[[str], tuple[Client, Outcome]]) -> None:
    client, expected = plain(name)
    same_through(CHAINS[through], client, expected, here)


def same_through(through: Chain, client: Client, expected: Outcome, here: Depot) -> None:
    """Run it supervised; all is as without, and the layers tell what the server tells."""
    finished = supervised(*client.command, options=through.options)
    got = outcome(finished, here)
    assert got.same == expected.same
    if client.repeats:
        assert got.flows == expected.flows
    saw_everything(finished, through, got.flows)
    if "trace" in through.options:
        told = sorted((record["sent"], record["received"]) for record in finished.events("close"))
        assert told == [(flow.outgoing, flow.incoming) for flow in got.flows]


def test_layers_that_keep_bytes_back(here: Depot, plain: Callable[[str], tuple[Client, Outcome]]) -> None:
    client, expected = plain("curl")
    same_through(FRAMED, client, expected, here)


@pytest.mark.parametrize("through", ["one", "count"])
def test_a_big_download(through: str, here: Depot) -> None:
    """More than any queue on the way takes."""
    script = f"{needs('curl')} -sS {here.url}/{BIG}/4 | sha256sum"
    expected = outcome(bare("sh", "-c", script), here)
    same_through(CHAINS[through], Client(["sh", "-c", script]), expected, here)


@pytest.mark.parametrize("through", CHAINS)
def test_a_windows_program(through: str, here: Depot, wine: dict[str, str], build: Build) -> None:
    """The connection is made by a wineserver, and used by the program."""
    program = build("winput", "-lws2_32", compiler=COMPILER, suffix=".exe")
    finished = supervised(needs("wine"), program, here.host, str(here.port), options=CHAINS[through].options, env=wine)
    end_wineserver(wine)
    assert finished.status == 0
    body = finished.stdout.partition(b"\r\n\r\n")[2]
    assert (len(body), digest(body)) == (WINDOWS_BODY, digest(windows_body()))
    saw_everything(finished, CHAINS[through], here.flows(), lingers=True)


def windows_body() -> bytes:
    """What the program sends, and gets back."""
    return bytes((i * 31 + (i >> 8)) & 255 for i in range(WINDOWS_BODY))
