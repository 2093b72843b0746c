"""Servers through layers that get their bytes: they answer as without, and no byte goes round a layer."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.e2e.byte_chains import CHAINS, Chain, saw_everything
from tests.e2e.byte_peers import (
    FILE,
    PROBE,
    Answer,
    Command,
    ask_all,
    http,
    nginx,
    serving,
    serving_nginx,
    turned,
)
from tests.e2e.depot import content, depot, digest
from tests.e2e.harness import PROGRAMS, PYTHON, Finished, needs

BODY = 3_000_001


# --- servers that print their port ------------------------------------------------------------------------------------

PRINTING: dict[str, tuple[Command, list[bytes], bool]] = {
    "node": (
        ["node", PROGRAMS / "serve.js"],
        [http("POST", "/", content(BODY, 5)), http("GET", "/2000000")] * 2,
        False,
    ),
    "asyncio": ([PYTHON, PROGRAMS / "serve_asyncio.py"], [content(20_000 + i, i) for i in range(200)], True),
}


@pytest.mark.parametrize("through", CHAINS)
@pytest.mark.parametrize("name", PRINTING)
def test_a_server(name: str, through: str) -> None:
    command, requests, ends = PRINTING[name]
    needs(str(command[0]))
    plain, _ = outcome(command, None, requests, ends)
    answers, finished = outcome(command, CHAINS[through], requests, ends)
    assert [answer.body for answer in answers] == [answer.body for answer in plain]
    saw_everything(finished, CHAINS[through], turned(answers), "accept")


def outcome(
    command: Command, through: Chain | None, requests: list[bytes], ends: bool
) -> tuple[list[Answer], Finished]:
    """The answers of a server, and how it ended."""
    with serving(command, through) as server:
        answers = ask_all(int(server.line()), requests, ends)
        server.signal(signal.SIGTERM)
        finished = server.wait()
    assert (finished.status, finished.stderr) == (128 + signal.SIGTERM, b"")
    return answers, finished


# --- nginx ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", CHAINS)
def test_nginx_with_workers(through: str, tmp_path: Path) -> None:
    """A file by sendfile, four at once, and uploads."""
    web = nginx(tmp_path)
    uploads = [content(BODY // 2 + seed, seed) for seed in range(4)]
    requests = [http("GET", "/file")] * 4 + [http("PUT", f"/up{seed}", body) for seed, body in enumerate(uploads)]
    with serving_nginx(web, CHAINS[through]) as server:
        answers = ask_all(web.port, requests)
        server.signal(signal.SIGQUIT)
        finished = server.wait()
    assert finished.same == (0, b"")
    assert [answer.body for answer in answers[:4]] == [digest(content(FILE, 6))] * 4
    assert [(web.files / f"up{seed}").read_bytes() for seed in range(4)] == uploads
    saw_everything(finished, CHAINS[through], [PROBE, *turned(answers)], "accept")


@pytest.mark.parametrize("through", CHAINS)
def test_nginx_as_reverse_proxy(through: str, tmp_path: Path) -> None:
    """One chain for what it accepts and for what it connects."""
    with depot() as behind:
        web = nginx(tmp_path, behind.url)
        bodies = [content(BODY // 2 + seed, seed) for seed in range(3)]
        requests = [http("POST", "/there/", body) for body in bodies] + [http("GET", f"/there/{BODY}/{7}")]
        with serving_nginx(web, CHAINS[through]) as server:
            answers = ask_all(web.port, requests)
            server.signal(signal.SIGQUIT)
            finished = server.wait()
        expected = behind.flows()
    assert finished.same == (0, b"")
    assert [answer.body for answer in answers] == [digest(body) for body in (*bodies, content(BODY, 7))]
    saw_everything(finished, CHAINS[through], expected, "connect")
    saw_everything(finished, CHAINS[through], [PROBE, *turned(answers)], "accept")
