"""The rows of functions: every documented function, its page, its SPI function, its parameters."""

from __future__ import annotations

import inspect
import re

import pytest

from tests.spec.tables import read
from winsock.abi.calls import HANDLE, ROWS, STARTED, Call, find
from winsock.spi.provider import FUNCTIONS, Provider
from winsock.spi.upcalls import Upcalls

DOCUMENTED = {row["name"]: row for row in read("functions.csv")}
STATUS = {"current": "current", "deprecated": "deprecated", "removed-on-modern-windows": "removed"}


def test_every_documented_function_has_one_row() -> None:
    assert [row.name for row in ROWS if row.name not in DOCUMENTED] == []
    assert len(ROWS) == len(DOCUMENTED) == 341
    assert {row.name for row in ROWS} == set(DOCUMENTED)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_agree_with_the_table(row: Call) -> None:
    documented = DOCUMENTED[row.name]
    assert row.part == documented["part"]
    assert row.status == STATUS[documented["status"]]
    assert documented["doc_path"] in (f"sdk-api-src/content/{row.page}.md", f"wdk-ddi-src/content/{row.page}.md")
    assert row.url.startswith("https://learn.microsoft.com/windows")
    assert find(row.name) is row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_spi_function_is_the_documented_one(row: Call) -> None:
    documented = DOCUMENTED[row.name]["maps_to"]
    named = set(re.findall(r"\b(?:WSP|NSP)\w+\*?", documented))
    if "extension pointer" in documented or "MULTIPLE_EXTENSION" in documented:
        named = {"WSPIoctl"}
    if "or NSPLookupService*" in documented:
        named = {"NSPLookupService*"}
    assert set(filter(None, row.spi.split(", "))) == named


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_parameters_are_a_python_signature(row: Call) -> None:
    scope: dict[str, object] = {}
    exec(f"def function({row.parameters}): ...", scope)
    assert row.signature.startswith(f"({row.parameters}) -> ")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_length_and_no_errno_is_left(row: Call) -> None:
    assert len(row.parameters.split(", ")) <= max(1, len(DOCUMENTED[row.name]["params"].split(";")))
    assert "errno" not in row.parameters.lower()


CONTRACTS: dict[str, type] = dict.fromkeys(("WSPStartup", *FUNCTIONS), Provider) | {
    name: Upcalls for name in vars(Upcalls) if name.startswith("WPU")
}


@pytest.mark.parametrize("name", CONTRACTS)
def test_providers_and_upcalls_have_the_signatures_of_their_contracts(name: str) -> None:
    row = find(name)
    assert row is not None
    live = [
        parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        for parameter in list(inspect.signature(getattr(CONTRACTS[name], name)).parameters.values())[1:]
    ]
    assert row.parameters == ", ".join(live)


def test_a_call_on_a_socket_checks_the_handle() -> None:
    errors: dict[str, set[str]] = {}
    for row in read("errors.csv"):
        errors.setdefault(row["function"], set()).add(row["code_name"])
    for call in ROWS:
        if call.part in ("api", "api-extension"):
            if call.prologue == HANDLE:
                assert DOCUMENTED[call.name]["params"].startswith("SOCKET "), call.name
            elif "WSANOTINITIALISED" in errors.get(call.name, ()):
                assert call.prologue == STARTED, call.name


def test_variants_are_one_function() -> None:
    names = [row.name for row in ROWS if row.function == "WSASocket"]
    assert names == ["WSASocketA", "WSASocketW"]
    assert [row.name for row in ROWS if row.function == "getaddrinfo"] == ["getaddrinfo", "GetAddrInfoW"]
    assert find("WSANoSuchFunction") is None
