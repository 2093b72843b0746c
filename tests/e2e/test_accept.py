"""accept, in all its ways: threads, processes, time limits, lack of descriptors, bad places for the address.

The oracle is the same program, run bare on the same kernel.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import DEADLINE_S, LOCALHOST, Finished, supervised, supervising
from tests.e2e.held import process_of, wait_until_held
from tests.e2e.oracle import CHAINS, same_answers

CASES = (
    "plain",
    "places",
    "strangers",
    "no_descriptors",
    "timeouts",
    "many_threads",
    "woken_by_shutdown",
    "closed_with_copy",
    "prefork",
    "worker_killed",
    "killed",
    "executed",
    "events",
)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("case", CASES)
def test_accept_answers_as_the_kernel_does(build: Build, case: str, chain: str) -> None:
    same_accept(build, case, chain)


def same_accept(build: Build, case: str, chain: str = "trace") -> Finished:
    """Run a case bare and supervised, and find it equal."""
    return same_answers(build("accepting", "-pthread"), case, chain=chain)


def test_each_connection_is_shown_once_with_its_thread(build: Build) -> None:
    accepts = same_accept(build, "many_threads").events("accept", result="accepted")
    assert len(accepts) == 200
    assert set(Counter(record["peer"] for record in accepts).values()) == {1}
    assert not {record["thread"] for record in accepts} & {record["process"] for record in accepts}


def test_prefork_shows_which_process_accepted(build: Build) -> None:
    accepts = same_accept(build, "prefork").events("accept", result="accepted")
    assert len(accepts) == 62
    assert len({record["process"] for record in accepts}) == 2


SLOW = """
import time
from winsock import Layer

class Slow(Layer):
    def accepted(self, address):
        time.sleep(0.5)
"""


def test_a_connection_that_nobody_took_goes_to_the_next_who_waits(build: Build, tmp_path: Path) -> None:
    layer = tmp_path / "slow.py"
    layer.write_text(SLOW)
    ran = supervised(build("accepting", "-pthread"), "worker_killed_late", options=["--layer", layer])
    assert ran.same == (0, b"answered: yes\n")


REFUSING = """
from winsock import Layer
from winsock.abi.errors import WSAECONNREFUSED, WinsockError

class Refusing(Layer):
    def accepted(self, address):
        raise WinsockError(WSAECONNREFUSED)
"""


def test_a_listener_whose_layer_refuses_all_can_be_ended(build: Build, tmp_path: Path) -> None:
    """After a refusal the accept waits on: a signal still reaches its thread, and the port is free at once."""
    layer = tmp_path / "refusing.py"
    layer.write_text(REFUSING)
    program = build("interrupted", "-pthread")
    with supervising(program, "hold_accept", "0", options=["--layer", layer]) as held:
        port = int(held.line())
        pid = process_of(held, program)
        for _ in range(3):
            wait_until_held(pid, "accept")
            with socket.create_connection((LOCALHOST, port)) as client:
                client.settimeout(DEADLINE_S)
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        start = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        assert held.wait().status == 128 + signal.SIGTERM
        assert time.monotonic() - start < 2
        socket.create_server((LOCALHOST, port)).close()


def test_a_listener_closed_under_a_waiting_accept_refuses_at_once(build: Build) -> None:
    """The one difference to the bare kernel: a waiting accept keeps nothing open.

    Bare, a thread that waits in accept keeps its listener although another thread closed the last number of it. Under
    supervision nobody holds the listener while it waits, so that the port of a killed program is free at once.
    """
    ran = supervised(build("accepting", "-pthread"), "closed_meanwhile")
    assert ran.same == (0, b"close: 0\nconnect: -1 ECONNREFUSED\n")
