"""Ways on which a socket might get round a chain: closed, carried, or counted."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Build
from tests.e2e.harness import PYTHON, WINSOCK, Finished, missing, needs, running, supervised, winsock
from tests.e2e.oracle import BYTES, CHAINS, EVERYTHING, same_answers
from tests.e2e.test_handles import Answering, answering


@pytest.fixture
def server() -> Iterator[Answering]:
    """A server that answers."""
    with answering() as running_server:
        yield running_server


def run(build: Build, case: str, server: Answering, chain: str = "trace") -> Finished:
    """Run a case supervised."""
    return supervised(build("ways_round", "-pthread"), case, str(server.port), options=CHAINS[chain])


def same(build: Build, case: str, server: Answering, chain: str = "trace") -> Finished:
    """Run a case bare and supervised, and find it equal."""
    return same_answers(build("ways_round", "-pthread"), case, str(server.port), chain=chain)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("case", ["fastopen", "fastopen_large", "fastopen_connect", "x32", "datagrams", "raw"])
def test_answers_are_the_kernels(build: Build, server: Answering, case: str, chain: str) -> None:
    same(build, case, server, chain)


def test_a_send_that_connects_is_a_connect_for_the_layers(build: Build, server: Answering) -> None:
    ran = same(build, "fastopen", server)
    connects = ran.events("connect", peer=server.peer, result="connected")
    assert len(connects) == 5  # four sends and the one plain connect
    assert len(ran.events("connect", errno=111)) == 1
    assert ran.truth["passed"] == {}


def test_the_bytes_of_a_send_that_connects_arrive(build: Build, server: Answering) -> None:
    run(build, "fastopen", server)
    assert server.served.count(b"abc") == 4


def test_sendmmsg_with_fast_open_is_refused_and_counted(build: Build, server: Answering) -> None:
    ran = run(build, "fastopen_many", server)
    assert ran.stdout == b"sendmmsg: -1 EOPNOTSUPP\n"
    assert ran.truth["refused"] == {"sendmmsg with MSG_FASTOPEN": 1}
    assert server.served == []


def test_fast_open_by_option_is_layered_and_its_outcome_is_not_guessed(build: Build, server: Answering) -> None:
    """connect answers 0 before anything was sent: only the peer's answer proves a connection."""
    ran = same(build, "fastopen_connect", server)
    (connect,) = ran.events("connect", peer=server.peer)
    assert connect["result"] == "connected"
    (other,) = [record for record in ran.events("connect") if record["peer"] != server.peer]
    assert other["result"] != "connected"


def test_io_uring_is_not_there(build: Build, server: Answering) -> None:
    ran = run(build, "uring", server)
    assert ran.stdout == b"io_uring_setup: -1 ENOSYS\n"
    assert ran.truth["refused"] == {"io_uring_setup": 1}


@pytest.mark.parametrize("chain", CHAINS)
def test_mptcp_is_refused_so_that_programs_fall_back(build: Build, server: Answering, chain: str) -> None:
    ran = run(build, "mptcp", server, chain)
    assert ran.stdout.decode().splitlines() == [
        "mptcp socket: -1 EPROTONOSUPPORT",
        "ipv6: -1 EPROTONOSUPPORT",
        "and so tcp: 0",
        "write: 3",
        "  got 3 xyz",
    ]
    assert ran.truth["refused"] == {"MPTCP socket": 2}


def test_udp_is_counted(build: Build, server: Answering) -> None:
    truth = same(build, "datagrams", server).truth
    assert truth["seen"] == truth["layered"] == 3


def test_raw_sockets_are_counted_where_they_are_allowed(build: Build, server: Answering) -> None:
    ran = same(build, "raw", server)
    allowed = {"raw": b"raw: ok" in ran.stdout, "address family 17": b"packet: ok" in ran.stdout}
    assert ran.truth["passed"] == {reason: 1 for reason, there in allowed.items() if there}
    assert ran.truth["layered"] == 0


UNUSUAL = """
import socket

for kind in (17, 3), (40, 1), (2, 3, 255), (2, 2, 136), (2, 2, 1):
    try:
        made = socket.socket(*kind)
    except OSError:
        continue
    print(len(kind), flush=True)
    for call in made.bind, made.connect, made.connect:
        try:
            call((1, 9) if made.family == 40 else ("lo", 9) if made.family == 17 else ("127.0.0.1", 0))
        except OSError:
            pass
"""


def test_a_socket_that_passes_is_counted_once_whatever_it_calls() -> None:
    ran = supervised(PYTHON, "-c", UNUSUAL)
    assert ran.status == 0
    assert sum(ran.truth["passed"].values()) == len(ran.stdout.splitlines()) == ran.truth["seen"]


def test_socket_calls_of_a_32_bit_program_are_refused_with_one_line(build: Build) -> None:
    if platform.machine() != "x86_64":
        missing("32-bit programs of this machine are another matter")
    program = build(
        "bits32", "-m32", "-nostdlib", "-static", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"
    )
    ran = supervised(program)
    assert ran.status == 7
    assert ran.stdout.decode().splitlines() == [
        "socketcall -38",
        "socket -38",
        "connect -38",
        "io_uring_setup -38",
        "getpid is positive 1",
    ]
    assert ran.truth["refused"] == {"32-bit socket call": 4}
    (line,) = [record["text"] for record in ran.events("log") if "32-bit" in record["text"]]
    assert "socketcall" in line


def test_a_run_inside_a_run_says_why_it_cannot_be(build: Build, server: Answering) -> None:
    program = build("ways_round", "-pthread")
    ran = winsock("run", "--", *WINSOCK, "run", "--", program, "datagrams", str(server.port))
    assert ran.status == 125
    assert b"sendto" not in ran.stdout
    assert "already" in ran.text


ELSEWHERE = """
import ctypes, fcntl, socket, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000 | 0x40000000):  # a user namespace and a network namespace
    sys.exit(77)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
    fcntl.ioctl(plain, 0x8914, struct.pack("16sh14x", b"lo", 0x49))  # up
server = socket.create_server(("127.0.0.1", 0))
for _ in range(int(sys.argv[1])):
    client = socket.create_connection(server.getsockname())
    accepted = server.accept()[0]
    client.close()
    accepted.close()
"""


@pytest.mark.root
def test_a_program_in_a_network_of_its_own_may_open_as_many_sockets_as_it_likes(tmp_path: Path) -> None:
    """The kernel tells us nothing of their ends: who kept a number for each would have none left."""
    lines = tmp_path / "lines"
    command = (*WINSOCK, "run", "--format", "json", "--output", lines, "--", PYTHON, "-c", ELSEWHERE, "700")
    with running((needs("prlimit"), "--nofile=600:600", *command), lines=lines) as started:
        ran = started.wait()
    if ran.status == 77:
        missing("no namespaces of one's own are allowed here")
    assert (ran.status, ran.text) == (0, "")
    assert ran.truth["refused"] == {}
    assert len(ran.events("connect", result="connected")) == 700
    assert len(ran.events("close", protocol="tcp", sent=None)) == 1401


CREATED = "created in another network namespace"


@pytest.mark.root
@pytest.mark.parametrize("chain", ["everything", "made and relayed"])
def test_a_socket_that_no_layer_could_make_is_counted_once_though_it_is_met_later(chain: str) -> None:
    options = {**CHAINS, "made and relayed": ("--layer", EVERYTHING, "--layer", f"{BYTES}:Pass")}[chain]
    ran = supervised(PYTHON, "-c", ELSEWHERE, "3", options=(*options, "--strict"))
    if ran.status == 77:
        missing("no namespaces of one's own are allowed here")
    assert (ran.status, ran.text) == (125, "")
    # a datagram socket, a server and three clients were created there, and three connections accepted
    assert (ran.truth["passed"], ran.truth["layered"], ran.truth["seen"]) == ({CREATED: 5}, 3, 8)
    assert ran.events("log", text=f"winsock: --strict: a socket was not layered: {CREATED}")
