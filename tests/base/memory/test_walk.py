"""A random walk over a simulated network: nothing that must hold breaks, and the same seed walks the same way."""

from __future__ import annotations

import pytest

from tests.base.memory.walk import DATAGRAM, MESSAGE, MULTIPOINT, RELIABLE, STREAM, STREAM6, Walk, walk
from winsock.base.memory.channel import Channel
from winsock.base.memory.connections import Connection
from winsock.base.memory.hosts import Host

STEPS = 22_000


@pytest.mark.parametrize("seed", range(16))
def test_a_walk(seed: int) -> None:
    made = walk(seed, STEPS)
    heard = {
        kind: sum(len(member.heard) for member in made.everybody.values() if member.kind == kind) for kind in range(7)
    }
    for kind in (STREAM, STREAM6, DATAGRAM, MESSAGE, RELIABLE, MULTIPOINT):
        assert heard[kind] > 3, "the walk hardly went anywhere"


def test_the_same_seed_walks_the_same_way() -> None:
    assert walk(7, 3000).network.transcript() == walk(7, 3000).network.transcript()


def broken(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, replacement: object) -> None:
    """With one thing wrong, some walk comes to grief."""
    monkeypatch.setattr(owner, name, replacement)
    with pytest.raises(AssertionError):
        walk(1, STEPS, trace=False)


def test_a_channel_that_takes_what_it_has_already_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: Channel, at: int, data: bytes, fin: int, note: bytes) -> None:
        self._incoming += data
        self._expected = max(self._expected, at + len(data))

    broken(monkeypatch, Channel, "_take", take)


def test_connections_that_nobody_forgets_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Connection.flush

    def flush(self: Connection) -> None:
        send(self)
        self.host.connections[self.key] = self

    broken(monkeypatch, Connection, "flush", flush)


def test_buffers_that_are_not_given_back_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, Host, "dismiss", lambda self, socket: self.sockets.pop(socket, None))


def test_an_error_that_is_not_documented_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Walk.CODES, "WSPAccept", set())
    broken(monkeypatch, Walk, "look", Walk.look)
