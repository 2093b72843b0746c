"""Both ends of a connection through the same byte layers: what one end sent is what the other got."""

from __future__ import annotations

import functools
import hashlib
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.byte_chains import CHAINS, Chain, chain, nothing_passed
from tests.e2e.depot import content, flows_told
from tests.e2e.harness import (
    LOCALHOST,
    PROGRAMS,
    PYTHON,
    Finished,
    Running,
    bare,
    environment,
    free_port,
    needs,
    running,
    supervising,
)

Command = list[str | Path]


class Pair(NamedTuple):
    """A server and its client."""

    server: Command
    ready: Callable[[Running], int]
    """Wait until it serves; its port."""
    client: Callable[[int], Command]
    left: Path | None = None
    """A folder whose files must be the same at the end."""
    env: Mapping[str, str] | None = None


# --- redis ------------------------------------------------------------------------------------------------------------


def redis(folder: Path) -> Pair:
    """A big value up and down, and 20,000 commands that are sent without waiting."""
    port, value, commands = free_port(), folder / "value", folder / "commands"
    value.write_bytes(content(2_000_001, 1))
    commands.write_bytes(b"".join(b"SET key:%d %s\r\n" % (n, content(60, n).hex().encode()) for n in range(20_000)))
    words = f"--port {port} --bind {LOCALHOST} --appendonly no --daemonize no --dir {folder}".split()
    cli = f"{needs('redis-cli')} -h {LOCALHOST} -p {port}"
    script = f"{cli} -x set big < {value} && {cli} --raw get big && {cli} --pipe < {commands} && {cli} get key:19999"

    def ready(server: Running) -> int:
        while "eady to accept connections" not in (line := server.line()):
            assert line, "the server ended"
        return port

    return Pair([needs("redis-server"), *words, "--save", ""], ready, lambda _: ["sh", "-c", script])


# --- git --------------------------------------------------------------------------------------------------------------

GIT_SCRIPT = """
set -e
git clone -q {url}/repository.git {folder}/work
cd {folder}/work
cat file other | sha256sum
cp {folder}/more more
git add more
git commit -q -m 'More bytes'
git push -q origin HEAD:refs/heads/pushed
git fetch -q
git rev-parse HEAD origin/pushed
git fsck --no-progress
"""


def git(folder: Path) -> Pair:
    """Clone, push and fetch of what cannot be compressed; each request is answered by a process of its own."""
    own = {f"GIT_{who}_{what}": text for who in ("AUTHOR", "COMMITTER") for what, text in IDENTITY.items()}
    settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": "1"}
    buffer = {"GIT_CONFIG_KEY_0": "http.postBuffer", "GIT_CONFIG_VALUE_0": "20000000"}
    env = environment(HOME=str(folder), **own, **settings, **buffer)
    (folder / "more").write_bytes(content(1_500_001, 3))
    script = f"""
    set -e
    cd {folder}; git init -q source; cd source
    cp {folder}/first file; cp {folder}/second other; git add .; git commit -q -m First
    git clone -q --bare . {folder}/served/repository.git
    """
    (folder / "first").write_bytes(content(1_500_001, 1))
    (folder / "second").write_bytes(content(500_001, 2))
    (folder / "served").mkdir()
    made = bare("sh", "-c", script, env=env)
    assert made.status == 0, made.text
    return Pair(
        [PYTHON, PROGRAMS / "serve_git.py", folder / "served"],
        lambda server: int(server.line()),
        lambda port: ["sh", "-c", GIT_SCRIPT.format(url=f"http://{LOCALHOST}:{port}", folder=folder)],
        env=env,
    )


IDENTITY = {"NAME": "Test", "EMAIL": "test@localhost", "DATE": "2020-01-01T00:00:00Z"}


# --- rclone -----------------------------------------------------------------------------------------------------------


def rclone(folder: Path) -> Pair:
    """A Go program at both ends: files up by WebDAV, and down again."""
    port, program = free_port(), needs("rclone")
    for name in ("source", "served", "back"):
        (folder / name).mkdir()
    for number in range(12):
        (folder / "source" / f"file {number}").write_bytes(content(250_000 + number, number))
    common = f"{program} --config '' -q --webdav-url http://{LOCALHOST}:{port}"
    script = f"{common} copy {folder}/source :webdav:up && {common} copy :webdav:up {folder}/back"
    server: Command = [program, "--config", "", "serve", "webdav", folder / "served", "--addr", f"{LOCALHOST}:{port}"]

    def ready(server: Running) -> int:
        assert "Server started" in server.error_line()
        return port

    return Pair(server, ready, lambda _: ["sh", "-c", script], left=folder)


# --- all of them ------------------------------------------------------------------------------------------------------

PAIRS: dict[str, Callable[[Path], Pair]] = {pair.__name__: pair for pair in (redis, git, rclone)}


class Outcome(NamedTuple):
    """How both ended, and what they left."""

    server: Finished
    client: Finished
    left: dict[str, str]

    @property
    def same(self) -> object:
        """What must be the same with and without winsock."""
        return self.server.same[0], self.client.same, self.left


def start(command: Command, through: Chain | None, env: Mapping[str, str]) -> AbstractContextManager[Running]:
    """Bare, or supervised."""
    return running(command, env=env) if through is None else supervising(*command, options=through.options, env=env)


def run(pair: Pair, through: Chain | None) -> Outcome:
    """A server, its client, and the server's end."""
    env = pair.env or environment()
    with start(pair.server, through, env) as server:
        command = pair.client(pair.ready(server))
        with start(command, through, env) as started:
            client = started.wait()
        assert client.status == 0, client.text
        server.signal(signal.SIGTERM)
        return Outcome(server.wait(), client, files(pair.left))


def files(folder: Path | None) -> dict[str, str]:
    """Every file of a folder, as digests."""
    if folder is None:
        return {}
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """What comes of a pair without us; once for all chains."""

    @functools.cache
    def outcome(name: str) -> Outcome:
        return run(PAIRS[name](tmp_path_factory.mktemp(name)), None)

    return outcome


BETWEEN = {
    "flipped": chain("Flip", "Pass", witnesses=["pass"]),
    "framed": chain("Frame", "Pass", witnesses=["pass"]),
}
"""Chains that only understand each other: on the wire are other bytes, or more of them."""
ALL = {**CHAINS, **BETWEEN}


@pytest.mark.parametrize("through", ALL)
@pytest.mark.parametrize("name", PAIRS)
def test_both_ends(name: str, through: str, plain: Callable[[str], Outcome], tmp_path: Path) -> None:
    layers = ALL[through]
    ran = run(PAIRS[name](tmp_path), layers)
    assert ran.same == plain(name).same
    for witness in layers.witnesses:
        near = flows_told(ran.client, witness, "connect")
        far = flows_told(ran.server, witness, "accept")
        assert Counter(near) == Counter(flow.turned for flow in far)
        assert sum(flow.outgoing for flow in near) > 1_000_000
        assert sum(flow.incoming for flow in near) > 1_000_000
    nothing_passed(ran.client)
    nothing_passed(ran.server)
