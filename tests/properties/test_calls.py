"""Random calls through Winsock, and through chains, against the plain socket module on the same kernel."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conformance.layers import CopiedBytes, OwnHandles, PassThrough, SameAddress
from tests.properties import differences, machine
from tests.properties.ends import Plain, Side, Winsock
from tests.properties.machine import Calls
from winsock.base.inet import controls, data, waiting
from winsock.base.inet import sockets as base
from winsock.facade import socket as facade
from winsock.testing import World, through
from winsock.testing.pairs import LayerLike

WORLDS: dict[str, tuple[LayerLike, ...]] = {
    "inet": (),
    "pass": (PassThrough,),
    "bytes,address": (CopiedBytes, SameAddress),
    "own": (OwnHandles,),
}
EVERY_DAY = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def run(world: str, how: settings, as_facade: bool = False) -> None:
    """So many sequences of calls, in a world."""

    class OfWinsock(Calls):
        has_differences = not as_facade

        def sides(self) -> tuple[Side, Plain]:
            self.world = World(through(*WORLDS[world]))
            self.world.__enter__()
            if as_facade:
                return Plain(facade, as_windows=False), Plain(as_windows=False)
            return Winsock(), Plain()

        def teardown(self) -> None:
            super().teardown()
            self.world.__exit__(None, None, None)

    run_state_machine_as_test(OfWinsock, settings=how)


@pytest.mark.parametrize("world", ["inet", "pass", "own"])
def test_nobody_can_tell_winsock_from_the_kernel(world: str) -> None:
    run(world, EVERY_DAY)


def test_nobody_can_tell_the_facade_from_the_socket_module() -> None:
    run("bytes,address", EVERY_DAY, as_facade=True)


def broken(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, replacement: object) -> None:
    """With one thing wrong, some sequence comes to grief."""
    monkeypatch.setattr(machine, "SECONDS", 0.2)
    monkeypatch.setattr(module, name, replacement)
    with pytest.raises(AssertionError):
        run("inet", settings(EVERY_DAY, phases=[Phase.generate], max_examples=60))


def test_a_wrong_answer_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, data, "_source", lambda address: None)


def test_a_wrong_error_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, base, "is_bound", lambda record: True)


def test_what_is_seen_wrongly_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, controls, "_bytes_of_messages", lambda record: 0)


def test_a_connect_that_fails_unseen_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, waiting, "_has_failed", lambda record, events: False)


def test_every_difference_has_a_source() -> None:
    for row in (*differences.INSTEAD, *differences.OTHERWISE):
        assert re.search(r"\b[A-Z]{2,4}-\d{2,3}\b|\bnf-winsock2-\w+|\bSIO_\w+", row.source), row.source
