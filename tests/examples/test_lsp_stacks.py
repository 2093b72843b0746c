"""The LSP sample at work: facts 1, 38 and 39, and every rule for providers through both kinds, one and two deep."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import winsock
from tests.examples import sample
from tests.examples.sample import IFS_ID, NON_IFS_ID, TCP, UDP
from winsock.dispatcher import process
from winsock.dispatcher.records import records
from winsock.testing import World, check_provider

QUESTION = os.urandom(1 << 20)
ANSWER = os.urandom(700_001)

STACKS = {
    "non_ifs": ("non_ifs",),
    "ifs": ("ifs",),
    "non_ifs over ifs": ("non_ifs", "ifs"),
    "non_ifs over non_ifs": ("non_ifs", "non_ifs"),
    "ifs over ifs": ("ifs", "ifs"),
}


def stack(folder: Path, kinds: tuple[str, ...]) -> dict[str, int]:
    """Install layers over everything, the first uppermost; "file:kind" -> the id of the layer, the lowest first."""
    layers = {}
    for number, kind in enumerate(reversed(kinds)):
        file = sample.copied(folder, number)
        options = ("-h",) if kind == "ifs" else ()
        layers[f"{file}:{kind}"] = sample.install(*options, "-i", "-a", "-d", file)
    return layers


def talk(world: World) -> None:
    """A question, an answer, and a datagram."""
    client, server = world.connected()
    asked = bytearray()

    def answer() -> None:
        while len(asked) < len(QUESTION):
            asked.extend(winsock.recv(server, 65536))
        winsock.send(server, ANSWER)

    server_side = threading.Thread(target=answer, daemon=True)
    server_side.start()
    winsock.send(client, QUESTION)
    answered = bytearray()
    while len(answered) < len(ANSWER):
        answered += winsock.recv(client, 65536)
    server_side.join(20)
    assert (bytes(asked), bytes(answered)) == (QUESTION, ANSWER)
    one, other = world.datagrams()
    winsock.send(one, b"datagram")
    assert winsock.recv(other, 99) == b"datagram"


STREAM = len(QUESTION) + len(ANSWER)
COUNTED = {"non_ifs": [(STREAM, STREAM), (8, 8)], "ifs": [(STREAM, 0), (8, 0)]}
"""What each kind counts of it: (sent, received) of TCP, then of UDP."""


def counts(path: str) -> list[tuple[int, int]]:
    """What a provider has counted, entry by entry, but for entries that moved nothing."""
    found: Any = sample.provider(path)
    return [(entry.sent, entry.received) for entry in found.entries if entry.sent or entry.received]


@pytest.mark.parametrize("kind", ["non_ifs", "ifs"])
def test_fact_01_it_passes_everything_and_counts_bytes(tmp_path: Path, kind: str) -> None:
    [path] = stack(tmp_path, (kind,))
    with sample.started() as world:
        talk(world)
        assert counts(path) == COUNTED[kind]


@pytest.mark.parametrize("kind", ["non_ifs", "ifs"])
def test_fact_01_whose_handles_they_are_is_the_difference(tmp_path: Path, kind: str) -> None:
    stack(tmp_path, (kind,))
    with sample.started() as world:
        s = world.stream()
        assert records[s].made is (kind == "non_ifs")
        assert bool(records[s].entry.info.dwServiceFlags1 & winsock.XP1_IFS_HANDLES) is (kind == "ifs")


class TestFact38:
    """Categories."""

    PROGRAM = """if True:
        import sys, winsock
        from winsock.dispatcher.records import records
        with winsock.started():
            s = winsock.socket(winsock.AF_INET, winsock.SOCK_STREAM, 0)
            print(records[s].entry.info.szProtocol)
            loaded = [module for name, module in sys.modules.items() if name.startswith("winsock_layer_")]
            print(*sorted(kind for module in loaded for kind in ("ifs", "non_ifs") if getattr(module, kind).entries))
    """

    def run(self, folder: Path) -> list[str]:
        """What a program gets: the name of its entry, and the layers that were loaded for it."""
        program = folder / "program.py"
        program.write_text(self.PROGRAM)
        done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.splitlines()

    def permit(self, folder: Path, categories: int) -> None:
        winsock.WSCSetApplicationCategory(sys.executable, str(folder / "program.py"), categories)

    def belongs(self, provider_id: winsock.GUID, categories: int) -> None:
        winsock.WSCSetProviderInfo(provider_id, winsock.ProviderInfoLspCategories, categories)

    @pytest.fixture(autouse=True)
    def both(self) -> None:
        sample.install("-i", "-a", "-n", "outer")
        sample.install("-h", "-i", "-a", "-n", "inner")

    def test_fact_38_a_program_without_categories_loads_every_layer(self, tmp_path: Path) -> None:
        self.belongs(NON_IFS_ID, winsock.LSP_PROXY)
        assert self.run(tmp_path) == ["outer over [inner over [MSAFD Tcpip [TCP/IP]]]", "ifs non_ifs"]

    def test_fact_38_a_layer_without_categories_is_not_loaded_where_some_are_asked_for(self, tmp_path: Path) -> None:
        self.permit(tmp_path, winsock.LSP_PROXY)
        assert self.run(tmp_path) == ["MSAFD Tcpip [TCP/IP]", ""]

    def test_fact_38_all_bits_of_a_layer_must_be_permitted(self, tmp_path: Path) -> None:
        self.belongs(NON_IFS_ID, winsock.LSP_PROXY)
        self.belongs(IFS_ID, winsock.LSP_PROXY | winsock.LSP_FIREWALL)
        self.permit(tmp_path, winsock.LSP_PROXY)
        assert self.run(tmp_path) == ["outer over [MSAFD Tcpip [TCP/IP]]", "non_ifs"]
        self.permit(tmp_path, winsock.LSP_FIREWALL)
        assert self.run(tmp_path) == ["outer over [inner over [MSAFD Tcpip [TCP/IP]]]", "ifs non_ifs"]

    def test_fact_38_the_lower_layer_alone(self, tmp_path: Path) -> None:
        self.belongs(NON_IFS_ID, winsock.LSP_FIREWALL)
        self.belongs(IFS_ID, winsock.LSP_INSPECTOR)
        self.permit(tmp_path, winsock.LSP_INSPECTOR)
        assert self.run(tmp_path) == ["inner over [MSAFD Tcpip [TCP/IP]]", "ifs"]


class TestFact39:
    """The testing ideas."""

    @pytest.mark.parametrize("name", STACKS)
    def test_fact_39_every_layer_of_a_stack_counts_the_same(self, tmp_path: Path, name: str) -> None:
        layers = stack(tmp_path, STACKS[name])
        with sample.started() as world:
            talk(world)
            for path in layers:
                assert counts(path) == COUNTED[path.rpartition(":")[2]]

    @pytest.mark.parametrize("removed", [0, 1], ids=["lower", "upper"])
    @pytest.mark.parametrize("name", [name for name in STACKS if " over " in name])
    def test_fact_39_one_is_removed_and_the_other_goes_on(self, tmp_path: Path, name: str, removed: int) -> None:
        layers = stack(tmp_path, STACKS[name])
        gone, stays = list(layers)[removed], list(layers)[1 - removed]
        assert sample.run("-r", layers[gone]).status == 0
        with sample.started() as world:
            talk(world)
            assert counts(stays) == COUNTED[stays.rpartition(":")[2]]
            with pytest.raises(winsock.WinsockError):
                sample.provider(gone)

    def test_fact_39_removed_while_it_is_in_use(self, tmp_path: Path) -> None:
        """A running program goes on with what it started with; the next one does without."""
        layers = stack(tmp_path, ("non_ifs", "ifs"))
        lower, upper = layers
        with sample.started() as world:
            client, server = world.connected()
            assert sample.run("-r", layers[lower]).status == 0
            winsock.send(client, b"before")
            assert winsock.recv(server, 9) == b"before"
            again = world.connected()
            winsock.send(again.client, b"and after")
            assert counts(upper) == [(15, 6)]
            assert counts(lower) == [(15, 0)]
        with sample.started() as world:
            client, server = world.connected()
            winsock.send(client, b"without")
            assert counts(upper) == [(7, 0)]

    def test_fact_39_installed_while_a_program_runs(self, tmp_path: Path) -> None:
        """What was not there at its start is not loaded into it, though the catalog names it by now."""
        [upper] = stack(tmp_path, ("non_ifs",))
        with sample.started() as world:
            lower = f"{sample.PROVIDER}:ifs"
            sample.install("-h", "-i", "-a")
            client, _ = world.connected()
            winsock.send(client, b"bytes")
            assert counts(upper) == [(5, 0)]
            with pytest.raises(winsock.WinsockError):
                sample.provider(lower)
        with sample.started() as world:
            client, _ = world.connected()
            winsock.send(client, b"bytes")
            assert counts(upper) == counts(lower) == [(5, 0)]

    def test_fact_39_over_a_part_and_over_another(self, tmp_path: Path) -> None:
        one, other = sample.copied(tmp_path, 1), sample.copied(tmp_path, 2)
        sample.install("-i", "-o", TCP, "-d", one)
        sample.install("-i", "-o", UDP, "-d", other)
        with sample.started() as world:
            talk(world)
            assert counts(f"{one}:non_ifs") == COUNTED["non_ifs"][:1]
            assert counts(f"{other}:non_ifs") == COUNTED["non_ifs"][1:]


@pytest.mark.parametrize("name", STACKS)
def test_it_does_what_any_provider_must_do(tmp_path: Path, name: str) -> None:
    stack(tmp_path, STACKS[name])
    check_provider(catalog=process.installed())
