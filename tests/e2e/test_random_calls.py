"""Random calls of a real program, bare and through chains: results, errors, data, ends and readiness are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import random_runs
from tests.e2e.conftest import Build
from tests.e2e.random_calls import Script, write
from tests.e2e.random_runs import Stage

SEED = 1
COUNT, LENGTH = 100, 40
EVERY_DAY = ("trace", "everything", "three", "own")

FOUND = {
    "zeros": """
        socket 0 4 tcp 0; bind 0 any4 -1; listen 0 5; socket 1 4 tcp 0; connect 1 any4 0; accept 0 2; getpeername 1
        socket 3 6 tcp 0; bind 3 any6 -1; listen 3 5; socket 4 6 tcp+nonblock 0; connect 4 any6 3; accept 3 5
        getpeername 4; send 5 10 -; recv 4 10 -; socket 6 4 tcp 0; bind 6 another4 -1; connect 6 any4 0; getpeername 6
    """,
    "no port": """
        socket 0 4 tcp 0; connect 0 loopback4 -1; socket 1 6 tcp+nonblock 0; connect 1 loopback6 -1
        getsockopt 1 SO_ERROR; getsockopt 1 SO_ERROR
    """,
    "a refusal that a wrong address brings to light": """
        socket 0 6 tcp 0; bind 0 loopback6 -1; socket 1 6 tcp+nonblock 0; connect 1 loopback6 0; connect 1 loopback4 0
        connect 1 loopback6 0; connect 1 short4 -1; connect 1 short4 -1
    """,
    "listen on an accepted one": """
        socket 0 4 tcp 0; bind 0 loopback4 -1; listen 0 5; socket 1 4 tcp 0; connect 1 loopback4 0; accept 0 2
        listen 2 5; bind 2 loopback4 -1; mode 2 nonblock; accept 2 9; listen 1 5; accept 1 8; bind 1 loopback4 -1
        connect 2 nobody -1; bind 2 loopback4 -1; listen 2 5; mode 2 block; socket 3 4 tcp 0; connect 3 loopback4 2
        accept 2 4; send 3 10 -; recv 4 10 -
    """,
    "the longest time-outs": """
        socket 0 4 tcp 0; setsockopt 0 SO_RCVTIMEO -1 2000000; setsockopt 0 SO_SNDTIMEO 4000000 0
        bind 0 loopback4 -1; listen 0 5; socket 1 4 tcp 0; setsockopt 1 SO_SNDTIMEO -1 2000000
        connect 1 loopback4 0; accept 0 2; send 1 10 -; recv 2 10 -; send 2 10 -; recv 1 10 -; getsockopt 2 SO_RCVTIMEO
    """,
    "the name after a refusal": """
        socket 0 4 tcp 0; bind 0 loopback4 -1; socket 1 4 tcp 0; connect 1 loopback4 0; getsockname 1
        socket 2 6 tcp 0; bind 2 loopback6 -1; socket 3 6 tcp+nonblock 0; connect 3 loopback6 2; getsockname 3
        connect 3 loopback6 2; getsockname 3; socket 4 4 tcp 0; bind 4 another4 -1; connect 4 loopback4 0; getsockname 4
        listen 1 5; socket 5 4 tcp 0; connect 5 loopback4 1; accept 1 6; listen 3 5; socket 7 6 tcp 0
        connect 7 loopback6 3; accept 3 8
    """,
    "what is inherited": """
        socket 0 6 tcp 0; setsockopt 0 SO_BROADCAST 1; setsockopt 0 SO_REUSEPORT 1; bind 0 loopback6 -1; listen 0 5
        socket 1 6 tcp 0; connect 1 loopback6 0; accept 0 2; getsockopt 2 SO_BROADCAST; getsockopt 2 SO_REUSEPORT
        getsockopt 2 IPV6_V6ONLY; socket 3 6 tcp 0; bind 3 any6 -1; listen 3 5; socket 4 6 tcp 0; connect 4 loopback6 3
        accept 3 5; getsockopt 5 IPV6_V6ONLY
    """,
    "no way from there": """
        socket 1 6 tcp 0; bind 1 mapped6 -1; connect 1 loopback6 -1; connect 1 any6 -1; getsockopt 1 SO_ERROR
        socket 2 6 tcp 0; bind 2 loopback6 -1; connect 2 mapped6 -1; connect 2 loopback6 -1; getsockopt 2 SO_ERROR
    """,
    "behind an urgent byte": """
        socket 1 4 tcp 0; bind 1 loopback4 -1; listen 1 5; socket 2 4 tcp 0; connect 2 loopback4 1; accept 1 3
        send 2 1 oob; send 2 1 -; write 2 100; recvmsg 3 5000 -; send 2 1 oob; write 2 3000; read 3 5000; mark 3
    """,
    "options of streams on datagrams": """
        socket 0 4 udp 0; getsockopt 0 SO_OOBINLINE; setsockopt 0 SO_OOBINLINE 1; getsockopt 0 SO_OOBINLINE
        setsockopt 0 SO_LINGER 1 3; getsockopt 0 SO_LINGER; setsockopt 0 TCP_NODELAY 1; getsockopt 0 TCP_NODELAY
    """,
    "fast open to nobody": """
        socket 0 4 tcp 0; bind 0 loopback4 -1; listen 0 5; socket 1 4 tcp 0; connect 1 loopback4 0; accept 0 2
        sendto 1 10 fastopen nobody -1; sendmsg 1 10 fastopen nobody -1; getpeername 1; socket 3 4 tcp 0
        sendto 3 10 fastopen nobody -1
    """,
}
"""What came to light once, as short as it was found; see `random_calls.c` for the words."""


@pytest.fixture
def stage(build: Build, tmp_path: Path) -> Stage:
    return Stage(build("random_calls", "-pthread"), tmp_path)


def script(name: str) -> Script:
    steps = (step.strip() for line in FOUND[name].strip().splitlines() for step in line.split(";"))
    return Script(name.replace(" ", "-"), tuple(steps))


@pytest.mark.parametrize("world", EVERY_DAY)
def test_nobody_can_tell_a_chain_from_the_kernel(stage: Stage, world: str) -> None:
    differences = stage.differences([*map(script, FOUND), *write(SEED, COUNT, LENGTH)], world)
    assert not differences, f"{world}: {stage.shortest(differences[0], world)}"


WRONG = """
from winsock import Layer

class Wrong(Layer):
    def WSPGetPeerName(self, s):
        self.next.WSPGetPeerName(s)
        return self.next.WSPGetSockName(s)
"""


def test_what_differs_is_found_and_made_short(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    monkeypatch.setitem(random_runs.WORLDS, "wrong", ("--layer", str(tmp_path / "wrong.py")))
    differences = stage.differences(write(SEED, 6, LENGTH), "wrong")
    shortest = stage.shortest(differences[0], "wrong")
    assert "getpeername" in shortest.script.steps[-1]
    assert len(shortest.script.steps) <= 6
    assert str(shortest).startswith("sequence shortened\n")


def test_the_same_seed_writes_the_same() -> None:
    assert write(7, 3, 30) == write(7, 3, 30) != write(8, 3, 30)
