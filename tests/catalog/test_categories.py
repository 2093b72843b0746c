"""Which layers a program loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from winsock.abi import constants as c
from winsock.abi.guids import GUID
from winsock.catalog import install
from winsock.catalog.categories import find, loads, of_program, permitting, put
from winsock.catalog.entries import Catalog
from winsock.catalog.install import Source
from winsock.catalog.store import Application

SYSTEM, FIREWALL, CRYPTO, INSPECTOR = c.LSP_SYSTEM, c.LSP_FIREWALL, c.LSP_CRYPTO_COMPRESS, c.LSP_INSPECTOR
FOO, BAR = SYSTEM | FIREWALL | CRYPTO, FIREWALL | CRYPTO


def with_layers(*categories: int) -> Catalog:
    """Layers l0, l1, ... over each other, the last uppermost."""
    catalog = Catalog()
    for number, value in enumerate(categories):
        source, covered = Source("l:L", categories=value), install.uppermost(catalog)
        catalog, _ = install.stack(catalog, GUID(number, 0, 0, bytes(8)), source, f"l{number}", True, covered)
    return catalog


def top(catalog: Catalog) -> str:
    return catalog.match(c.AF_INET, c.SOCK_STREAM, 0).info.szProtocol.replace("MSAFD Tcpip [TCP/IP]", "tcp")


@pytest.mark.parametrize(
    ("layer", "foo", "bar"),
    [
        (SYSTEM, True, False),
        (0, False, False),
        (FIREWALL, False, True),
        (SYSTEM | FIREWALL | CRYPTO | INSPECTOR, False, False),
        (SYSTEM | CRYPTO, True, False),
        (FIREWALL | CRYPTO, False, True),
    ],
)
def test_the_documented_example_lsp_012_lsp_014_lsp_015(layer: int, foo: bool, bar: bool) -> None:
    assert (loads(FOO, layer), loads(BAR, layer)) == (foo, bar)


def test_a_program_without_categories_loads_every_layer_lsp_013() -> None:
    catalog = with_layers(0, SYSTEM, INSPECTOR)
    assert permitting(catalog, None) is catalog
    assert top(catalog) == "l2 over [l1 over [l0 over [tcp]]]"


def test_for_a_program_the_others_are_not_installed_lsp_014() -> None:
    catalog = with_layers(FIREWALL, 0, CRYPTO, INSPECTOR)
    seen = permitting(catalog, BAR)
    assert top(seen) == "l2 over [l0 over [tcp]]"
    assert {entry.info.szProtocol for entry in seen if entry.info.chain_length == 0} == {"l0", "l2"}
    assert top(permitting(catalog, INSPECTOR)) == "l3 over [tcp]"
    assert top(permitting(catalog, SYSTEM)) == "tcp"
    assert permitting(catalog, 0).entries == Catalog().entries


def test_a_layer_without_categories_is_not_for_programs_of_the_system_lsp_012() -> None:
    assert top(permitting(with_layers(0), SYSTEM)) == "tcp"


def test_an_application_is_known_by_its_full_path_cat_028(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it is named from; of a bare name by where a shell would find it."""
    program = tmp_path / "program"
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    named = put((), "./program", None, FIREWALL)
    assert named == put((), "program", None, FIREWALL) == (Application(str(program), None, FIREWALL),)
    monkeypatch.chdir("/")
    assert of_program(named, str(program), []) == FIREWALL
    assert find(named, "./program", None) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find(named, "program", None) == named[0]
    assert put((), "program", None, FIREWALL) == named
    monkeypatch.setenv("PROGRAMS", str(tmp_path))
    assert put((), "%PROGRAMS%/program", None, 1) == (Application("%PROGRAMS%/program", None, 1),)
    assert put((), "nowhere-at-all", None, 1) == (Application("/nowhere-at-all", None, 1),)


def test_categories_of_calls_come_together_cat_030() -> None:
    applications = put((), "/bin/foo", "-param", SYSTEM)
    applications = put(applications, "/bin/foo", None, FIREWALL)
    applications = put(applications, "/bin/foo", "-param", c.LSP_REDIRECTOR)
    assert applications == (
        Application("/bin/foo", "-param", SYSTEM | c.LSP_REDIRECTOR),
        Application("/bin/foo", None, FIREWALL),
    )
    assert find(applications, "/bin/foo", None) == applications[1]
    assert find(applications, "/bin/foo", "other") is None


def test_a_program_is_its_executable_and_perhaps_its_arguments_cat_028() -> None:
    applications = put(put((), "/bin/foo", None, 1), "/bin/foo", "-k net", 2)
    assert of_program(applications, "/bin/foo", ["-k", "net"]) == 2
    assert of_program(applications, "/bin/foo", ["-k", "other"]) == 1
    assert of_program(applications, "/bin/foo", []) == 1
    assert of_program(applications, "/bin/bar", []) is None
    assert of_program(put((), "/bin/foo", "-k", 1), "/bin/foo", []) is None


def test_an_executable_is_the_same_by_all_its_names_cat_028(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").write_text("")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("HERE", str(tmp_path))
    applications = put((), "%HERE%/link", None, 1)
    assert of_program(applications, str(tmp_path / "real"), []) == 1
    assert put(applications, f"{tmp_path}/../{tmp_path.name}/real", None, 2)[0].categories == 3
