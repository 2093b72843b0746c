"""A layer that makes handles of its own, under `winsock run`: the bytes go through its WSPSend and WSPRecv."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.byte_chains import LAYERS
from tests.e2e.conftest import Build
from tests.e2e.harness import PYTHON, bare, needs, supervised, web_server, winsock
from tests.e2e.oracle import BYTES, CHAINS, same_answers
from tests.e2e.test_relay_answers import CASES
from tests.e2e.test_relay_life import echoing, only_capitals
from winsock.spi.handles import NonIfsLayer
from winsock.spi.provider import ReadBuffer, WriteBuffer


class Own(NonIfsLayer):
    """Passes every call on."""

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], *arguments: Any) -> int | None:
        return self.next.WSPSend(self.lower(s), buffers, *arguments)

    def WSPRecv(self, s: int, buffers: Sequence[WriteBuffer], *arguments: Any) -> tuple[int, int] | None:
        return self.next.WSPRecv(self.lower(s), buffers, *arguments)


class Capitals(NonIfsLayer):
    """Sends in capitals."""

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], *arguments: Any) -> int | None:
        return self.next.WSPSend(self.lower(s), [bytes(buffer).upper() for buffer in buffers], *arguments)


def through(kind: type) -> tuple[str, str]:
    """The option for a layer of this file."""
    return "--layer", f"{kind.__module__}:{kind.__qualname__}"


MIXED = (
    *("--layer", "trace", "--layer", f"{BYTES}:Pass", *through(Own)),
    *("--layer", f"{BYTES}:Same", "--layer", f"{BYTES}:Under"),
)


@pytest.mark.parametrize("case", sorted({*CASES} - {"unreachable"}))
def test_answers_are_the_kernels(build: Build, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Among an IFS layer and stream layers, which are driven in the supervisor's own calls then."""
    monkeypatch.setitem(CHAINS, "mixed", MIXED)
    ran = same_answers(build("relayed", "-pthread"), case, chain="mixed")
    assert ran.truth["passed"] == ran.truth["refused"] == {}
    assert ran.events("layer-error") == []


def test_what_fails_at_once_is_told_a_little_later(build: Build) -> None:
    """The one difference: such a provider's connect may wait, so a connect that does not wait is on its way first."""
    program = build("relayed", "-pthread")
    plain = bare(program, "unreachable").stdout.decode().splitlines()
    ran = supervised(program, "unreachable", options=MIXED).stdout.decode().splitlines()
    assert (plain[2], ran[2]) == ("not waiting: -1 ENETUNREACH", "not waiting: -1 EINPROGRESS")
    after = plain.index("IPv6: -1 ENETUNREACH")  # what is told in between hangs on the moment
    assert (ran[0], ran[ran.index(plain[after]) :]) == (plain[0], plain[after:])


def test_every_byte_goes_through_its_functions(build: Build) -> None:
    with echoing() as server:
        ran = supervised(build("chatter", "-pthread"), str(server.port), "60", options=through(Capitals))
        assert ran.same == (0, b"over\n")
        assert only_capitals(server)
        assert server.connections == ran.truth["layered"] == 60


DATAGRAM = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as peer, socket.socket(type=socket.SOCK_DGRAM) as s:
    peer.bind(("127.0.0.1", 0))
    s.connect(peer.getsockname())
    s.send(b"abc")
    print(peer.recv(10), s.getpeername() == peer.getsockname())
"""


def test_datagrams_are_left_alone() -> None:
    ran = supervised(PYTHON, "-S", "-c", DATAGRAM, options=MIXED)
    assert ran.same == (0, b"b'abc' True\n")
    assert ran.events("layer-error") == []


def test_trace_tells_of_the_bytes_and_whose_they_were(build: Build) -> None:
    with web_server() as server:
        ran = supervised(needs("curl"), "-s", server.url, options=["--layer", "trace", *through(Own)])
        (exchange,) = server.taken(1)
    (close,) = ran.events("close")
    assert (close["sent"], close["received"]) == (len(exchange.received), len(exchange.sent))
    assert (close["peer"], close["name"], close["final"]) == (server.address, "curl", True)


@pytest.fixture
def installed(catalog_file: Path, tmp_path: Path) -> Callable[..., None]:
    """Installs layers of this file, or others, one on top of another; what is written by hand goes above IFS layers."""
    files = {"FILE": tmp_path / "own.py", "BYTES": tmp_path / "layers.py"}  # ours, whoever this folder belongs to
    files["FILE"].write_text(CAPITALS)
    files["BYTES"].write_bytes(LAYERS.read_bytes())
    for file in files.values():
        file.chmod(0o644)

    def install(*layers: str) -> None:
        for layer in layers:
            for word, file in files.items():
                layer = layer.replace(word, str(file))
            done = winsock("catalog", "install", *layer.split())
            assert (done.status, done.text) == (0, "")

    return install


CAPITALS = """
from winsock import NonIfsLayer

class Capitals(NonIfsLayer):
    def WSPSend(self, s, buffers, *arguments):
        return self.next.WSPSend(self.lower(s), [bytes(buffer).upper() for buffer in buffers], *arguments)
"""


@pytest.mark.parametrize(
    ("layers", "chain"),
    [
        (["FILE"], "relay > capitals"),
        (["trace", "FILE"], "relay > capitals > trace"),
        (["FILE", "BYTES:Pass"], "relay > pass > capitals"),
        (["BYTES:Pass", "FILE"], "relay > capitals > pass"),
        (
            ["BYTES:Pass", "BYTES:Under", "BYTES:Same", "BYTES:Count", "FILE", "trace"],
            "relay > capitals > count > under > pass > trace > same",
        ),
    ],
)
def test_what_is_installed_is_used(build: Build, installed: Callable[..., None], layers: list[str], chain: str) -> None:
    """By `winsock run` and `winsock explain` alike, wherever the layer stands."""
    installed(*layers)
    assert winsock("explain").stdout.decode().startswith(f"chain: {chain} > tcp/ipv4, udp/ipv4")
    with echoing() as server:
        ran = supervised(build("chatter", "-pthread"), str(server.port), "60")
        assert ran.same == (0, b"over\n")
        assert only_capitals(server)
        assert server.connections == ran.truth["layered"] == 60
    assert ran.truth["passed"] == ran.truth["refused"] == {}
    assert ran.events("layer-error") == []


BOTH_FAMILIES = """
import socket
for host in ("127.0.0.1", "::1"):
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        accepted = listener.accept()[0]
        client.sendall(b"question")
        print(accepted.recv(8, socket.MSG_WAITALL))
        client.close()
        print(accepted.recv(8))
"""


def test_installed_over_some_kinds_alone(installed: Callable[..., None]) -> None:
    """Other chains with a layer that gets bytes are relayed as before."""
    installed("BYTES:Pass", "FILE --over tcp/ipv6")
    said = winsock("explain").stdout.decode().splitlines()
    assert said[:2] == [
        "chain: relay > pass > tcp/ipv4, udp/ipv4, udp/ipv6",
        "chain: relay > capitals > pass > tcp/ipv6",
    ]
    ran = supervised(PYTHON, "-S", "-c", BOTH_FAMILIES)
    assert ran.same == (0, b"b'question'\nb''\nb'QUESTION'\nb''\n")
    assert (ran.truth["passed"], ran.truth["refused"], ran.events("layer-error")) == ({}, {}, [])


def test_installed_answers_are_the_kernels(
    build: Build, installed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("trace", "BYTES:Own", "BYTES:Pass")
    monkeypatch.setitem(CHAINS, "installed", ())
    for case in ("names_both", "inherited", "reset"):
        ran = same_answers(build("relayed", "-pthread"), case, chain="installed")
        assert ran.truth["passed"] == ran.truth["refused"] == {}
        assert ran.events("layer-error") == []


def test_explain_says_so() -> None:
    said = winsock("explain", *through(Own)).stdout.decode().splitlines()
    assert "  gets the bytes of TCP connections: those that it wants go through a relay" in said
