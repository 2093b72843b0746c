"""`winsock catalog`: installing, removing, ordering, and what is found wrong and mended."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import winsock
from winsock.abi import constants as c
from winsock.abi.guids import GUID
from winsock.catalog import store
from winsock.catalog.entries import BUILTIN
from winsock.cli import main
from winsock.cli.run import make_plan
from winsock.cli.words import UsageError
from winsock.dispatcher import loader

BASES = [entry.info.dwCatalogEntryId for entry in BUILTIN]
FIRST = BASES[-1] + 1
"""The id of what is installed first."""
SHOUT = """
from dataclasses import dataclass
from winsock import Layer

class Shout(Layer):
    '''Says where programs connect.'''

    @dataclass
    class Options:
        volume: int = 1

    def connecting(self, address):
        pass
"""
MAKER = "from winsock import Layer\n\nclass Maker(Layer):\n    ifs_handles = False\n"
ALL = "tcp/ipv4, udp/ipv4, tcp/ipv6, udp/ipv6"


@pytest.fixture(autouse=True)
def folder(catalog_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with layers in it, to be in; what is imported from there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write(tmp_path / "shout.py", SHOUT)
    write(tmp_path / "maker.py", MAKER)
    modules, resolved = set(sys.modules), dict(loader._resolved)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    loader._resolved.clear()
    loader._resolved.update(resolved)


def write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o644)


class Said:
    """What the command said, line by line."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str, status: int = 0) -> list[str]:
        """Run `winsock catalog`; what it wrote to the stream that fits its status."""
        self._capsys.readouterr()
        code = main(["catalog", *words])
        out, err = self._capsys.readouterr()
        assert (code, bool(err)) == (status, status == 2 or (status == 1 and not out)), out + err
        return (err or out).splitlines()


@pytest.fixture
def catalog(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


def names() -> list[str]:
    """The layers that are installed."""
    return [entry.info.szProtocol for entry in store.read().native if entry.info.chain_length == 0]


# --- install -------------------------------------------------------------------------------------------------------


def test_a_layer_is_put_over_all_that_sockets_get(catalog: Said) -> None:
    assert catalog("install", "trace") == ["trace is installed", f"trace > {ALL}"]
    assert catalog("install", "./shout.py") == ["shout is installed", f"shout > trace > {ALL}"]
    assert names() == ["shout", "trace"]


def test_options_name_and_categories_are_kept(catalog: Said, folder: Path) -> None:
    catalog("install", "shout.py:Shout,volume=11", "--name", "loud", "--categories", "inspector,LSP_SYSTEM")
    (record,) = [record for record in json.loads("\n".join(catalog("show", "--json"))) if record["name"] == "loud"]
    assert record["path"] == f"{folder}/shout.py:Shout"
    assert record["options"] == "volume=11"
    assert record["categories"] == c.LSP_INSPECTOR | c.LSP_SYSTEM
    assert len(record["sha256"]) == 64
    assert f"{folder}/shout.py:Shout,volume=11" in "\n".join(catalog("show"))


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (["tcp"], ["trace > tcp/ipv4, tcp/ipv6", "udp/ipv4, udp/ipv6"]),
        (["ipv4"], ["trace > tcp/ipv4, udp/ipv4", "tcp/ipv6, udp/ipv6"]),
        (["udp/ipv6", "1001"], ["trace > tcp/ipv4, udp/ipv6", "udp/ipv4, tcp/ipv6"]),
        (["base"], [f"trace > {ALL}"]),
    ],
)
def test_only_what_is_named_is_covered(over: list[str], said: list[str], catalog: Said) -> None:
    words = [word for what in over for word in ("--over", what)]
    assert catalog("install", "trace", *words)[1:] == said


def test_over_the_base_and_not_what_is_above_it(catalog: Said) -> None:
    catalog("install", "trace")
    assert catalog("install", "shout.py", "--over", "base")[1:] == [f"shout > {ALL}"]


def test_an_ifs_layer_goes_below_those_that_make_their_handles(catalog: Said) -> None:
    catalog("install", "maker.py")
    assert catalog("install", "trace")[1:] == [f"maker > trace > {ALL}"]


def test_a_layer_that_is_there_is_taken_anew(catalog: Said, folder: Path) -> None:
    catalog("install", "shout.py,volume=2", "--categories", "proxy")
    assert catalog("install", "./shout.py") == ["shout is installed like that already", f"shout > {ALL}"]
    write(folder / "shout.py", SHOUT + "# changed\n")
    assert catalog("install", "shout.py") == [f"shout is taken anew from {folder}/shout.py", f"shout > {ALL}"]
    assert catalog("install", "shout.py,volume=3")[0].startswith("shout is taken anew")
    layer = store.read().native.find(FIRST)
    assert (layer.options, layer.categories) == (("volume=3",), c.LSP_PROXY)
    assert len(store.read().native) == 5 + len(BUILTIN)


def test_what_another_layer_is_called_is_refused(catalog: Said, folder: Path) -> None:
    catalog("install", "shout.py")
    (said,) = catalog("install", "trace", "--name", "shout", status=1)
    assert said.startswith(f"winsock: a layer shout is installed, from {folder}/shout.py; winsock catalog remove shout")
    (said,) = catalog("install", "shout.py", "--over", "tcp", status=1)
    assert "to cover something else: winsock catalog remove shout" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trcae"], "there is no layer 'trcae'; there are: trace"),
        (["shout.py,volme=1"], "there is no option 'volme'; there are: volume"),
        (["shout.py,volume=x"], "volume='x' is not of type int"),
        (["gone.py"], "there is no file gone.py"),
        (["trace", "--over", "tpc"], "--over tpc: there is no such protocol; there are: tcp, "),
        (["trace", "--categories", "inspectr"], "there is no category 'inspectr'; there are: inspector, "),
        (["beside:One"], "the module beside is found only from this folder"),
    ],
)
def test_wrong_use(words: list[str], said: str, catalog: Said, folder: Path) -> None:
    write(folder / "beside.py", "from winsock import Layer\nclass One(Layer): pass\n")
    assert said in catalog("install", *words, status=2)[0]
    assert not store.read().generation


def test_what_cannot_be_covered(catalog: Said) -> None:
    assert catalog("install", "trace", "--over", "77", status=1) == ["winsock: the catalog has no entry 77"]
    catalog("install", "trace")
    assert "a layer by itself" in catalog("install", "shout.py", "--over", str(FIRST), status=2)[0]


def test_a_file_that_others_can_write_is_refused(catalog: Said, folder: Path) -> None:
    (folder / "shout.py").chmod(0o666)
    (said,) = catalog("install", "shout.py", status=1)
    assert said.endswith(f"others can write {folder}/shout.py; to end that: chmod go-w {folder}/shout.py")
    assert not store.read().generation


# --- remove, reorder, reset ----------------------------------------------------------------------------------------


def test_chains_go_on_without_a_layer(catalog: Said) -> None:
    for word in ("trace", "shout.py", "maker.py"):
        catalog("install", word)
    said = catalog("remove", "shout")
    assert f"changed {FIRST + 11} maker over [shout over [trace over [MSAFD Tcpip [TCP/IP]]]]: " in said[0]
    assert said[0].endswith("now maker over [trace over [MSAFD Tcpip [TCP/IP]]]")
    assert f"removed {FIRST + 5} shout" in said
    assert said[-1] == f"maker > trace > {ALL}"
    assert catalog("remove", "maker", "trace")[-1] == ALL
    assert names() == []


def test_a_chain_may_be_removed_by_its_id(catalog: Said) -> None:
    catalog("install", "trace")
    assert catalog("remove", str(FIRST + 1))[0] == f"removed {FIRST + 1} trace over [MSAFD Tcpip [TCP/IP]]"
    assert catalog("remove", str(FIRST), "trace")[-1] == ALL


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trcae", "no layer 'trcae' is installed; there are: trace"),
        ("4711", "the catalog has no entry 4711"),
        ("²", "no layer '²' is installed; there are: trace"),
        ("9" * 4400, f"no layer '{'9' * 4400}' is installed; there are: trace"),
        ("1001", "MSAFD Tcpip [TCP/IP] is a base protocol: without it there are no sockets"),
    ],
)
def test_what_cannot_be_removed(word: str, said: str, catalog: Said) -> None:
    catalog("install", "trace")
    before = store.read().generation
    assert catalog("remove", word, status=1) == [f"winsock: {said}"]
    assert store.read().generation == before


def test_entries_are_put_first(catalog: Said) -> None:
    catalog("install", "trace")
    said = catalog("reorder", "1003", "1001")
    assert [int(line.split()[0]) for line in said][:4] == [1003, 1001, FIRST + 1, FIRST + 2]
    assert len(said) == 5 + len(BUILTIN)
    said = catalog("reorder", "trace")
    assert [int(line.split()[0]) for line in said][:6] == [*range(FIRST + 1, FIRST + 5), 1003, 1001]
    assert "no entry 7" in catalog("reorder", "7", status=1)[0]
    assert "no layer 'x'" in catalog("reorder", "x", status=1)[0]


def test_the_old_file_is_kept(catalog: Said, catalog_file: Path) -> None:
    assert catalog("reset") == [f"nothing was installed: there is no {catalog_file}"]
    catalog("install", "trace")
    assert catalog("reset") == [f"the catalog is the built-in one again; the old file is {catalog_file}.old"]
    assert len(catalog("show")) == len(BUILTIN)


def test_a_damaged_file_is_told_with_the_way_out(catalog: Said, catalog_file: Path) -> None:
    catalog("install", "trace")
    catalog_file.write_bytes(b"no database" * 1000)
    for command in (["show"], ["install", "shout.py"], ["audit"], ["repair"], ["remove", "trace"]):
        (said,) = catalog(*command, status=1)
        assert f"the catalog {catalog_file} is damaged" in said
        assert "`winsock catalog reset`" in said
    catalog("reset")
    assert len(catalog("show")) == len(BUILTIN)


def test_the_32_bit_view_is_shown_on_demand(catalog: Said) -> None:
    winsock.WSCWriteProviderOrder32(BASES[::-1])
    assert [int(line.split()[0]) for line in catalog("show", "--32")] == BASES[::-1]
    assert [int(line.split()[0]) for line in catalog("show")] == BASES


# --- audit and repair ----------------------------------------------------------------------------------------------


def test_where_nothing_is_wrong(catalog: Said) -> None:
    catalog("install", "shout.py")
    assert [line.rpartition(": ")[2] for line in catalog("audit")] == ["ok"] * (5 + len(BUILTIN))
    assert catalog("repair") == ["nothing was to be mended"]


def broken_chain() -> None:
    """A chain that names what is not there, as no installer could leave it."""

    def spoil(all: store.Installed) -> store.Installed:
        kept = [entry for entry in all.native if entry.info.dwCatalogEntryId != FIRST]
        return all._replace(native=type(all.native)(kept, all.native.next_id))

    store.change(spoil)


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (SHOUT + "#\n", 0o644, "shout.py has changed since it was installed; if the change is yours, install it again"),
        (SHOUT, 0o664, "shout.py; to end that: chmod go-w"),
        (None, 0, "shout.py: No such file or directory"),
    ],
)
def test_a_file_that_is_not_what_was_installed(
    text: str | None, mode: int, said: str, catalog: Said, folder: Path
) -> None:
    catalog("install", "shout.py")
    file = folder / "shout.py"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
        file.chmod(mode)
    lines = catalog("audit", status=1)
    assert [line for line in lines if not line.endswith(": ok")] == [line for line in lines if said in line]
    (record,) = [one for one in json.loads("\n".join(catalog("audit", "--json", status=1))) if one["problems"]]
    assert (record["id"], record["view"]) == (FIRST, "native")
    assert said in record["problems"][0]


def test_chains_are_mended(catalog: Said) -> None:
    catalog("install", "trace")
    catalog("install", "shout.py")
    broken_chain()
    said = catalog("audit", status=1)
    assert sum("which is not installed: winsock catalog repair" in line for line in said) == 8
    said = catalog("repair")
    assert sum(line.startswith("changed ") for line in said) == 4
    assert sum(line.startswith("removed ") for line in said) == 4
    catalog("audit")
    assert names() == ["shout"]


def test_a_layer_whose_file_is_gone_is_taken_out(catalog: Said, folder: Path) -> None:
    catalog("install", "trace")
    catalog("install", "shout.py")
    (folder / "shout.py").unlink()
    assert f"removed {FIRST + 5} shout" in catalog("repair")
    assert names() == ["trace"]


def test_rights_are_taken_from_others(catalog: Said, catalog_file: Path, folder: Path) -> None:
    catalog("install", "shout.py")
    for place in (folder / "shout.py", catalog_file, catalog_file.parent):
        place.chmod(place.stat().st_mode | 0o022)
    (said,) = catalog("audit", status=1)
    assert "is refused: others can write" in said
    said_of = "\n".join(catalog("repair"))
    for place in (folder / "shout.py", catalog_file, catalog_file.parent):
        assert f"others could write {place}, and cannot any more" in said_of
        assert not place.stat().st_mode & 0o022
    catalog("audit")


def test_what_cannot_be_mended_is_told(catalog: Said, folder: Path) -> None:
    catalog("install", "shout.py,volume=2")
    changed = SHOUT.replace("volume", "loudness")
    write(folder / "shout.py", changed)
    (folder / "shout.py").chmod(0o666)
    said = catalog("repair", status=1)
    assert said[0] == "nothing was to be mended"
    assert "others can write" in said[1]
    (folder / "shout.py").chmod(0o644)
    assert "has changed since" in catalog("repair", status=1)[1]


def test_a_layer_that_does_not_import_or_take_its_options_is_found(catalog: Said, folder: Path) -> None:
    winsock.WSCInstallProvider(GUID(1, 0, 0, bytes(8)), "gone_for_good:Layer", [hidden("gone")])
    assert "gone_for_good:Layer could not be imported" in catalog("audit", status=1)[-1]
    catalog("reset")
    catalog("install", "shout.py,volume=2")
    write(folder / "shout.py", SHOUT.replace("volume", "loudness"))
    accept_the_file(folder / "shout.py")
    assert "it does not take the options 'volume=2': there is no option 'volume'" in "".join(catalog("audit", status=1))


def test_a_layer_that_says_something_else_of_its_handles_now(catalog: Said, folder: Path) -> None:
    catalog("install", "maker.py")
    write(folder / "maker.py", MAKER.replace("False", "True"))
    accept_the_file(folder / "maker.py")
    assert "its XP1_IFS_HANDLES is not what the layer says" in "".join(catalog("audit", status=1))


def test_a_stream_layer_that_is_none_any_more(catalog: Said, folder: Path) -> None:
    write(folder / "maker.py", "from winsock import StreamLayer\n\nclass Maker(StreamLayer): pass\n")
    catalog("install", "maker.py")
    flags = [bool(info.dwServiceFlags1 & c.XP1_IFS_HANDLES) for info in winsock.WSCEnumProtocols()]
    assert flags[:5] == [False, True, False, True, False]
    assert "problem" not in "".join(catalog("audit"))
    write(folder / "maker.py", MAKER)
    accept_the_file(folder / "maker.py")
    assert "its XP1_IFS_HANDLES is not what the layer says" in "".join(catalog("audit", status=1))


def test_the_32_bit_catalog_is_looked_at_where_it_was_changed(catalog: Said) -> None:
    winsock.WSCInstallProvider64_32(GUID(1, 0, 0, bytes(8)), "gone_for_good:Layer", [hidden("gone")])
    assert sum("(32-bit)" in line for line in catalog("audit", status=1)) == len(BUILTIN) + 1


def hidden(name: str) -> winsock.WSAPROTOCOL_INFO:
    chain = winsock.WSAPROTOCOLCHAIN(c.LAYERED_PROTOCOL)
    return winsock.WSAPROTOCOL_INFO(szProtocol=name, ProtocolChain=chain)


def accept_the_file(file: Path) -> None:
    """As an update of the provider does."""
    (layer,) = [entry for entry in store.read().native if entry.info.chain_length == 0]
    winsock.WSCUpdateProvider(layer.info.ProviderId, str(file), [])


# --- what a run uses -----------------------------------------------------------------------------------------------


def planned(*layers: str, program: tuple[str, ...] = ()) -> list[str]:
    return [layer.spec.name for layer in make_plan(layers, program).layers]


def test_a_run_without_layers_uses_what_is_installed(catalog: Said) -> None:
    assert planned() == ["trace"]
    catalog("install", "shout.py,volume=3")
    assert planned() == ["shout"]
    assert planned("trace") == ["trace"]
    catalog("remove", "shout")
    assert planned() == ["trace"]


def test_a_run_uses_what_its_program_permits(catalog: Said, folder: Path) -> None:
    catalog("install", "shout.py", "--categories", "inspector")
    write(folder / "prog", "#!/bin/sh\n")
    (folder / "prog").chmod(0o755)
    winsock.WSCSetApplicationCategory(str(folder / "prog"), None, c.LSP_PROXY)
    winsock.WSCSetApplicationCategory(str(folder / "prog"), "-k net", c.LSP_INSPECTOR)
    assert planned(program=("./prog",)) == ["trace"]
    assert planned(program=("./prog", "-k", "net")) == ["shout"]
    assert planned(program=("/bin/true",)) == ["shout"]


def test_explain_shows_what_is_installed(catalog: Said, capsys: pytest.CaptureFixture[str]) -> None:
    catalog("install", "shout.py", "--over", "tcp")
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["chain: shout > tcp/ipv4, tcp/ipv6", "chain: udp/ipv4, udp/ipv6"]


def test_what_cannot_run_is_not_run(
    catalog: Said, catalog_file: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog("install", "shout.py")
    write(folder / "shout.py", SHOUT + "#\n")
    loader._resolved.clear()
    for command in (["run", "--", "true"], ["explain"]):
        assert main(command) == 125
        assert "has changed since it was installed" in capsys.readouterr().err
    os.chmod(catalog_file, 0o666)
    assert main(["run", "--", "true"]) == 125
    assert "is refused" in capsys.readouterr().err
    assert planned("trace") == ["trace"], "who names layers has no need of the catalog"


def test_a_provider_that_is_no_layer_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    winsock.WSCInstallProviderAndChains(
        GUID(1, 0, 0, bytes(8)), "tests.fakes:RecordingBase", "foreign", c.XP1_IFS_HANDLES
    )
    assert main(["run", "--", "true"]) == 125
    said = capsys.readouterr().err
    assert "what is installed cannot run: tests.fakes:RecordingBase" in said
    assert "winsock run takes no other providers" in said
    with pytest.raises(UsageError):
        make_plan(["tests.fakes:RecordingBase"])


def test_what_a_catalog_command_needs(capsys: pytest.CaptureFixture[str]) -> None:
    wrong: list[list[str]] = [["install"], ["remove"], ["reorder"], ["instal"], ["show", "more"]]
    for words in wrong:
        with pytest.raises(SystemExit) as caught:
            main(["catalog", *words])
        assert caught.value.code == 2
    said: Any = capsys.readouterr()
    assert "winsock catalog" in said.err
