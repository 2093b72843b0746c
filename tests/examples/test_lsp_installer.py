"""The facts about the published LSP sample that its installer is about: 2 to 10."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import winsock
from tests.examples import sample
from tests.examples.sample import IFS_ID, NON_IFS_ID, PROVIDER, TCP, UDP, UDP6
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog.entries import BUILTIN, Catalog
from winsock.catalog.install import bases

BASES = [entry.info.dwCatalogEntryId for entry in BUILTIN]
COVERED = [entry.info.dwCatalogEntryId for entry in bases(Catalog())]
RAW = next(entry.info.dwCatalogEntryId for entry in BUILTIN if entry.info.iSocketType == winsock.SOCK_RAW)
IFS = winsock.XP1_IFS_HANDLES


def entries_of(layer_id: int) -> list[WSAPROTOCOL_INFO]:
    """The layered entries of a layer."""
    return [info for info in sample.known().values() if info.ProtocolChain.ChainEntries[:1] == (layer_id,)]


def test_fact_02_the_length_of_a_chain_tells_base_placeholder_and_chain() -> None:
    layer = sample.install("-i", "-a")
    lengths = {entry_id: info.chain_length for entry_id, info in sample.known().items()}
    assert lengths.pop(layer) == winsock.LAYERED_PROTOCOL == 0
    assert {lengths.pop(base) for base in BASES} == {winsock.BASE_PROTOCOL} == {1}
    assert set(lengths.values()) == {2}


@pytest.mark.parametrize(("options", "provider_id", "flag"), [((), NON_IFS_ID, 0), (("-h",), IFS_ID, IFS)])
def test_fact_03_a_hidden_entry_is_the_layers_identity(
    options: tuple[str, ...], provider_id: object, flag: int
) -> None:
    layer = sample.install(*options, "-i", "-a")
    dummy = sample.known()[layer]
    assert dummy.ProviderId == provider_id
    assert dummy.chain_length == winsock.LAYERED_PROTOCOL
    assert dummy.dwProviderFlags & winsock.PFL_HIDDEN
    assert not dummy.dwProviderFlags & winsock.PFL_MATCHES_PROTOCOL_ZERO
    assert dummy.dwServiceFlags1 & IFS == flag
    assert all(layer in sample.chain_of(info.dwCatalogEntryId) for info in entries_of(layer))
    with sample.started():
        assert layer not in {info.dwCatalogEntryId for info in winsock.WSAEnumProtocols()}


class TestFact04:
    """A layered entry is a copy of the entry below."""

    @pytest.mark.parametrize("options", [(), ("-h",)])
    def test_fact_04_it_copies_the_entry_below(self, options: tuple[str, ...]) -> None:
        layer = sample.install(*options, "-i", "-a", "-n", "mine")
        for base in BASES:
            lower, upper = sample.known()[base], sample.known()[sample.over(layer, base)]
            kept = lower.dwServiceFlags1 if options else lower.dwServiceFlags1 & ~IFS
            assert upper == lower._replace(
                dwServiceFlags1=kept,
                ProviderId=upper.ProviderId,
                dwCatalogEntryId=upper.dwCatalogEntryId,
                ProtocolChain=WSAPROTOCOLCHAIN(2, (layer, base)),
                szProtocol=f"mine over [{lower.szProtocol}]",
            )

    def test_fact_04_the_rest_of_the_lower_chain_follows(self, tmp_path: Path) -> None:
        first = sample.install("-i", "-o", TCP, "-n", "first")
        below = sample.over(first, TCP)
        second = sample.install("-i", "-o", below, "-n", "second", "-d", sample.copied(tmp_path, 1))
        upper = sample.known()[sample.over(second, below)]
        assert upper.ProtocolChain == (3, (second, below, TCP))
        assert upper.szProtocol == "second over [first over [MSAFD Tcpip [TCP/IP]]]"

    def test_fact_04_a_chain_stays_below_the_longest(self, tmp_path: Path) -> None:
        lower = TCP
        for number in range(winsock.MAX_PROTOCOL_CHAIN - 2):
            layer = sample.install("-i", "-o", lower, "-d", sample.copied(tmp_path, number))
            lower = sample.over(layer, lower)
        assert len(sample.chain_of(lower)) == winsock.MAX_PROTOCOL_CHAIN - 1
        assert "too long" in sample.refused("-i", "-o", lower, "-d", sample.copied(tmp_path, 9))


class TestFact05:
    """The order decides what programs get."""

    def test_fact_05_layered_entries_come_first(self) -> None:
        layer = sample.install("-i", "-a")
        order = list(sample.known())
        assert order[: len(BASES)] == [sample.over(layer, base) for base in BASES]
        assert order[len(BASES) : 2 * len(BASES)] == BASES
        with sample.started() as world:
            s = world.stream()
            info = winsock.getsockopt(s, winsock.SOL_SOCKET, winsock.SO_PROTOCOL_INFO)
        assert isinstance(info, WSAPROTOCOL_INFO)
        assert info.dwCatalogEntryId == order[0]

    def test_fact_05_the_last_one_installed_comes_first(self, tmp_path: Path) -> None:
        first = sample.install("-i", "-a")
        second = sample.install("-i", "-a", "-d", sample.copied(tmp_path, 1))
        assert next(iter(sample.known())) == sample.over(second, sample.over(first, TCP))

    def test_fact_05_who_covers_a_part_of_a_family_makes_two_providers(self) -> None:
        ran = sample.run("-i", "-o", TCP)
        assert ran.out.count("note:") == 2
        assert "note: MSAFD Tcpip [UDP/IP] is not covered, so a program may meet two providers" in ran.out
        assert "note: MSAFD Tcpip [RAW/IP] is not covered" in ran.out
        with sample.started() as world:
            providers = {
                info.ProviderId
                for s in (world.stream(), world.datagram())
                if isinstance(info := winsock.getsockopt(s, winsock.SOL_SOCKET, winsock.SO_PROTOCOL_INFO), tuple)
                and isinstance(info, WSAPROTOCOL_INFO)
            }
        assert len(providers) == 2

    def test_fact_05_who_covers_the_family_is_told_nothing(self) -> None:
        assert "note:" not in sample.run("-i", "-o", TCP, "-o", UDP, "-o", RAW).out


class TestFact06:
    """The options."""

    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("-i",),
            ("-i", "-a", "-o", TCP),
            ("-i", "-a", "-h"),
            ("-i", "-p", "-a"),
            ("-p", "-c", "x"),
            ("-r",),
            ("-r", "one"),
        ],
    )
    def test_fact_06_what_does_not_go_together_is_a_mistake(self, arguments: tuple[object, ...]) -> None:
        assert sample.run(*arguments).status == 2
        assert list(sample.known()) == BASES

    def test_fact_06_i_and_o_cover_what_is_named(self) -> None:
        layer = sample.install("-i", "-o", UDP6, "-o", TCP)
        assert {info.ProtocolChain.ChainEntries[1] for info in entries_of(layer)} == {TCP, UDP6}

    @pytest.mark.parametrize("entry_id", [7, "dummy"])
    def test_fact_06_o_names_an_entry_that_opens_sockets(self, entry_id: object, tmp_path: Path) -> None:
        layer = sample.install("-i", "-o", TCP)
        wrong = layer if entry_id == "dummy" else entry_id
        assert f"-o {wrong}: no entry" in sample.refused("-i", "-o", wrong, "-d", sample.copied(tmp_path, 1))

    def test_fact_06_n_is_the_name(self) -> None:
        layers = sample.install("-i", "-a", "-n", "a name"), sample.install("-h", "-i", "-a")
        assert [sample.known()[layer].szProtocol for layer in layers] == ["a name", "sample ifs"]

    def test_fact_06_d_and_d32_are_the_paths(self, tmp_path: Path) -> None:
        native, twin = sample.copied(tmp_path, 1), sample.copied(tmp_path, 1).rename(tmp_path / "twin.py")
        native = sample.copied(tmp_path, 1)
        layer = sample.install("-i", "-o", TCP, "-d", native, "-d32", twin)
        for info in (sample.known()[layer], *entries_of(layer)):
            assert winsock.WSCGetProviderPath(info.ProviderId) == f"{native}:non_ifs"
            assert winsock.WSCGetProviderPath32(info.ProviderId) == f"{twin}:non_ifs"

    def test_fact_06_d_alone_is_for_both(self) -> None:
        sample.install("-i", "-a")
        assert winsock.WSCGetProviderPath(NON_IFS_ID) == winsock.WSCGetProviderPath32(NON_IFS_ID)
        assert winsock.WSCGetProviderPath(NON_IFS_ID) == f"{PROVIDER}:non_ifs"

    def test_fact_06_h_must_be_what_the_provider_is(self) -> None:
        assert "is an IFS layer" in sample.refused("-i", "-a", "-d", f"{PROVIDER}:ifs")
        assert "is no IFS layer" in sample.refused("-h", "-i", "-a", "-d", f"{PROVIDER}:non_ifs")

    @pytest.mark.parametrize(("catalogs", "native", "twin"), [("b", True, True), ("6", True, False)])
    def test_fact_06_c_says_in_which_catalogs(self, catalogs: str, native: bool, twin: bool) -> None:
        sample.install("-i", "-a", "-c", catalogs)
        assert (len(winsock.WSCEnumProtocols()) > len(BASES)) is native
        assert (len(winsock.WSCEnumProtocols32()) > len(BASES)) is twin

    def test_fact_06_c_3_removes_from_the_32_bit_catalog(self) -> None:
        layer = sample.install("-i", "-a")
        before = winsock.WSCEnumProtocols()
        assert sample.run("-r", layer, "-c", "3").status == 0
        assert [info.dwCatalogEntryId for info in winsock.WSCEnumProtocols32()] == BASES
        assert winsock.WSCEnumProtocols() == before

    def test_fact_06_c_3_installs_nothing(self) -> None:
        assert "-c 3" in sample.refused("-i", "-a", "-c", "3")

    def test_fact_06_catalogs_that_differ_are_installed_in_one_by_one(self, tmp_path: Path) -> None:
        sample.install("-i", "-a", "-c", "6")
        copy = sample.copied(tmp_path, 1)
        assert "differ" in sample.refused("-i", "-a", "-d", copy)
        sample.install("-i", "-a", "-d", copy, "-c", "6")

    def test_fact_06_catalogs_that_number_differently_are_left_alone(self) -> None:
        sample.run("-r", sample.install("-i", "-o", TCP, "-c", "6"), "-c", "6")
        assert "number differently" in sample.refused("-i", "-a")

    def test_fact_06_p_prints_all_and_l_the_layered(self) -> None:
        layer = sample.install("-i", "-o", TCP, "-n", "mine")
        upper = sample.over(layer, TCP)
        everything = sample.run("-p", "-c", "6").out.splitlines()
        assert everything[0] == "64-bit catalog:"
        assert [int(line.split()[0]) for line in everything[1:]] == list(sample.known())
        layered = sample.run("-l", "-c", "6").out.splitlines()
        assert layered[1:] == [
            f"  {upper}  chain    mine over [MSAFD Tcpip [TCP/IP]]  ({layer} > {TCP})",
            f"  {layer}  layer    mine",
        ]
        both = sample.run("-l").out
        assert both.count("mine over") == 2
        assert "32-bit catalog:" in both

    def test_fact_06_m_prints_who_depends_on_whom(self, tmp_path: Path) -> None:
        first = sample.install("-i", "-o", TCP, "-n", "first")
        below = sample.over(first, TCP)
        second = sample.install("-i", "-o", below, "-n", "second", "-d", sample.copied(tmp_path, 1))
        above = sample.over(second, below)
        assert [line.split()[0] for line in sample.run("-m", "-c", "6").out.splitlines()[1:]] == [
            str(first),
            str(below),
            str(above),
            str(second),
            str(above),
        ]

    def test_fact_06_v_shows_every_field(self) -> None:
        shown = sample.run("-p", "-v", "-c", "6").out
        for field in WSAPROTOCOL_INFO._fields:
            assert shown.count(f"        {field}: ") == len(BASES)
        assert shown.count("path: winsock.base.") == len(BASES)

    def test_fact_06_f_removes_every_layer(self, tmp_path: Path) -> None:
        sample.install("-i", "-a")
        sample.install("-i", "-a", "-d", sample.copied(tmp_path, 1))
        sample.install("-h", "-i", "-a")
        assert sample.run("-f").status == 0
        assert list(sample.known()) == BASES == [info.dwCatalogEntryId for info in winsock.WSCEnumProtocols32()]

    @pytest.mark.parametrize("entry_id", [TCP, 5])
    def test_fact_06_r_wants_a_hidden_entry(self, entry_id: int) -> None:
        assert f"-r {entry_id}: not the hidden entry" in sample.refused("-r", entry_id)

    def test_fact_06_it_waits_for_a_key_where_there_is_one(self) -> None:
        terminal, inside = pty.openpty()
        command = [sys.executable, str(sample.INSTALLER), "-p", "-c", "6"]
        with subprocess.Popen(command, stdin=inside, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            shown = b""
            while b"Press Enter" not in shown:
                data = os.read(program.stdout.fileno(), 65536)
                assert data, f"it ended without waiting: {shown!r}"
                shown += data
            assert program.poll() is None
            os.write(terminal, b"\n")
            assert program.wait(30) == 0
        os.close(terminal)
        os.close(inside)
        assert shown.startswith(b"64-bit catalog:\n")

    def test_fact_06_and_not_where_there_is_none(self) -> None:
        command = [sys.executable, str(sample.INSTALLER), "-i", "-a"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
        assert done.stdout == f"installed sample non_ifs as {BASES[-1] + 1}\n".encode()
        assert done.stderr == b""
        assert len(winsock.WSCEnumProtocols()) == 1 + 2 * len(BASES)


class TestFact07:
    """The functions that it is built on."""

    @pytest.fixture
    def called(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """The WSC functions in the order in which they were called; they do what they do."""
        names: list[str] = []

        def watched(name: str, function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                names.append(name)
                return function(*arguments)

            return call

        for name in dir(winsock):
            if name.startswith("WSC"):
                monkeypatch.setattr(winsock, name, watched(name, getattr(winsock, name)))
        return names

    def changes(self, called: list[str]) -> set[str]:
        return {name for name in called if not name.startswith(("WSCEnum", "WSCGet"))}

    def test_fact_07_installing_and_removing(self, called: list[str]) -> None:
        sample.install("-i", "-a")
        assert self.changes(called) == {
            "WSCInstallProvider64_32",
            "WSCWriteProviderOrder",
            "WSCWriteProviderOrder32",
        }
        called.clear()
        sample.run("-f")
        assert self.changes(called) == {"WSCDeinstallProvider", "WSCDeinstallProvider32"}
        assert {"WSCEnumProtocols", "WSCEnumProtocols32"} <= set(called)

    def test_fact_07_in_one_catalog(self, called: list[str]) -> None:
        sample.install("-i", "-a", "-c", "6")
        sample.run("-f", "-c", "6")
        assert self.changes(called) == {"WSCInstallProvider", "WSCWriteProviderOrder", "WSCDeinstallProvider"}

    def test_fact_07_repairing_chains(self, called: list[str]) -> None:
        sample.install("-i", "-a")
        called.clear()
        layer = sample.install("-h", "-i", "-a")
        assert {"WSCUpdateProvider", "WSCUpdateProvider32", "WSCGetProviderPath"} <= set(called)
        called.clear()
        sample.run("-r", layer)
        assert {"WSCUpdateProvider", "WSCUpdateProvider32", "WSCGetProviderPath32"} <= set(called)

    @pytest.mark.parametrize(
        ("catalogs", "function"),
        [("6", "WSCInstallProviderAndChains"), ("b", "WSCInstallProviderAndChains64_32")],
    )
    def test_fact_07_all_in_one_call(self, called: list[str], catalogs: str, function: str) -> None:
        layer = sample.install("--at-once", "-i", "-a", "-c", catalogs)
        assert self.changes(called) == {function}
        assert {info.ProtocolChain.ChainEntries for info in entries_of(layer)} == {(layer, base) for base in COVERED}
        with sample.started() as world:
            client, server = world.connected()
            winsock.send(client, b"bytes")
            assert sample.kind("non_ifs").entries[0].sent == 5
            assert winsock.recv(server, 9) == b"bytes"


class TestFact08:
    """GUIDs."""

    def test_fact_08_every_layered_entry_has_a_fresh_guid(self) -> None:
        layer = sample.install("-i", "-a")
        guids = {info.ProviderId for info in entries_of(layer)}
        assert len(guids) == len(BASES)
        assert sample.known()[layer].ProviderId not in guids
        sample.run("-r", layer)
        assert guids.isdisjoint(info.ProviderId for info in entries_of(sample.install("-i", "-a")))

    def test_fact_08_the_same_layer_cannot_be_installed_twice(self) -> None:
        sample.install("-i", "-o", TCP)
        error = sample.refused("-i", "-o", UDP)
        assert "WSANO_RECOVERY" in error
        assert "already installed" in error

    def test_fact_08_a_chain_names_the_entry_that_it_covers(self, tmp_path: Path) -> None:
        first = sample.install("-i", "-o", TCP)
        below = sample.over(first, TCP)
        second = sample.install("-i", "-a", "-d", sample.copied(tmp_path, 1))
        assert sample.chain_of(sample.over(second, below))[1] == below != first


class TestFact09:
    """An IFS layer sits below every layer that makes its own handles."""

    def test_fact_09_it_is_put_into_the_middle_of_their_chains(self) -> None:
        upper = sample.install("-i", "-a")
        outer = {base: sample.over(upper, base) for base in BASES}
        lower = sample.install("-h", "-i", "-a")
        for base, entry_id in outer.items():
            inner = sample.over(lower, base)
            assert sample.chain_of(entry_id) == (upper, inner, base)
            assert sample.known()[entry_id].szProtocol.startswith("sample non_ifs over [sample ifs over [")
        assert list(sample.known())[: len(BASES)] == list(outer.values())  # what programs get is the same entry

    def test_fact_09_under_several_of_them_too(self, tmp_path: Path) -> None:
        first = sample.install("-i", "-o", TCP)
        below = sample.over(first, TCP)
        second = sample.install("-i", "-o", below, "-d", sample.copied(tmp_path, 1))
        above = sample.over(second, below)
        lower = sample.install("-h", "-i", "-o", above)
        inner = sample.over(lower, TCP)
        assert sample.chain_of(above) == (second, below, inner, TCP)
        assert sample.chain_of(below) == (first, inner, TCP)

    def test_fact_09_on_top_of_other_ifs_layers(self, tmp_path: Path) -> None:
        first = sample.install("-h", "-i", "-o", TCP)
        below = sample.over(first, TCP)
        second = sample.install("-h", "-i", "-o", below, "-d", sample.copied(tmp_path, 1))
        assert sample.chain_of(sample.over(second, below)) == (second, below, TCP)

    def test_fact_09_between_the_two_kinds(self, tmp_path: Path) -> None:
        inner = sample.install("-h", "-i", "-o", TCP)
        below = sample.over(inner, TCP)
        outer = sample.install("-i", "-o", below)
        top = sample.over(outer, below)
        middle = sample.install("-h", "-i", "-o", top, "-d", sample.copied(tmp_path, 1))
        assert sample.chain_of(top) == (outer, sample.over(middle, below), below, TCP)

    def test_fact_09_a_chain_that_would_be_too_long_stops_it(self, tmp_path: Path) -> None:
        lower = TCP
        for number in range(winsock.MAX_PROTOCOL_CHAIN - 2):
            layer = sample.install("-i", "-o", lower, "-d", sample.copied(tmp_path, number))
            lower = sample.over(layer, lower)
        assert "too long" in sample.refused("-h", "-i", "-o", TCP)


class TestFact10:
    """Removal repairs what depends on the layer first."""

    def talks(self) -> None:
        """The network works."""
        with sample.started() as world:
            client, server = world.connected()
            winsock.send(client, b"still there")
            assert winsock.recv(server, 20) == b"still there"

    @pytest.mark.parametrize("removed", ["upper", "lower"])
    def test_fact_10_the_other_layer_goes_on(self, tmp_path: Path, removed: str) -> None:
        copy = sample.copied(tmp_path, 1)
        layers = {"lower": sample.install("-i", "-a"), "upper": sample.install("-i", "-a", "-d", copy, "-n", "upper")}
        middle = sample.over(layers["lower"], TCP)
        top = sample.over(layers["upper"], middle)
        assert sample.run("-r", layers[removed]).status == 0
        left = layers["upper" if removed == "lower" else "lower"]
        stays = top if removed == "lower" else middle
        assert sample.chain_of(stays) == (left, TCP)
        assert layers[removed] not in {member for info in sample.known().values() for member in info.ProtocolChain[1]}
        assert sample.known()[stays].szProtocol.count(" over ") == 1
        assert sample.known() == {info.dwCatalogEntryId: info for info in winsock.WSCEnumProtocols32()}
        self.talks()

    def test_fact_10_ids_and_guids_of_the_dependents_stay(self) -> None:
        upper = sample.install("-i", "-a")
        before = {info.dwCatalogEntryId: info.ProviderId for info in entries_of(upper)}
        lower = sample.install("-h", "-i", "-a")
        sample.run("-r", lower)
        assert {info.dwCatalogEntryId: info.ProviderId for info in entries_of(upper)} == before
        assert all(sample.chain_of(entry_id)[0] == upper for entry_id in before)
        self.talks()

    def test_fact_10_from_the_middle_of_three(self, tmp_path: Path) -> None:
        bottom = sample.install("-h", "-i", "-o", TCP)
        middle = sample.install("-i", "-o", sample.over(bottom, TCP))
        below = sample.over(middle, sample.over(bottom, TCP))
        top = sample.install("-i", "-o", below, "-d", sample.copied(tmp_path, 1))
        entry = sample.over(top, below)
        sample.run("-r", middle)
        assert sample.chain_of(entry)[0] == top
        assert sample.chain_of(entry)[-1] == TCP
        assert middle not in sample.chain_of(entry)
        assert below not in sample.chain_of(entry)
        self.talks()

    def test_fact_10_the_updates_come_before_the_removal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """At no time does a chain name what is not there, whoever else repairs it."""
        sample.install("-i", "-a")
        lower = sample.install("-h", "-i", "-a")
        real = winsock.WSCDeinstallProvider

        def checked(provider_id: object) -> None:
            gone = {info.dwCatalogEntryId for info in winsock.WSCEnumProtocols() if info.ProviderId == provider_id}
            for info in winsock.WSCEnumProtocols():
                if info.dwCatalogEntryId not in gone:
                    assert gone.isdisjoint(info.ProtocolChain.ChainEntries[1:])
            real(provider_id)  # type: ignore[arg-type]

        monkeypatch.setattr(winsock, "WSCDeinstallProvider", checked)
        assert sample.run("-r", lower).status == 0
