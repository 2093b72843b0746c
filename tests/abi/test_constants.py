"""Every constant has its documented value, in the module that its group belongs to."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.spec.tables import number, read
from winsock.abi import constants, errors, guids, ntstatus, wskdefs

HOMES: dict[str, ModuleType] = {
    "wsa-error": errors,
    "win32-error": errors,
    "eai-error": errors,
    "ntstatus": ntstatus,
}
GUIDS = [row for row in read("constants.csv") if row["group"] == "guid"]
ROWS = [row for row in read("constants.csv") if row["name"].isidentifier() and row["group"] != "guid"]


BEHIND_FUNCTIONS = {
    "SIOCSMSFILTER",
    "SIOCGMSFILTER",
    "SIO_IDEAL_SEND_BACKLOG_CHANGE",
    "SIO_IDEAL_SEND_BACKLOG_QUERY",
}
"""Of ws2ipdef.h; the documentation names the functions that wrap them."""


def home(group: str) -> ModuleType:
    """The module of a group."""
    return wskdefs if group.startswith("wsk-") else HOMES.get(group, constants)


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 1178 - 20 - 2, "without 20 GUIDs and two versions that are spelled as macros"


def test_no_name_occurs_twice() -> None:
    assert len({row["name"] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("group", sorted({row["group"] for row in ROWS}))
def test_values(group: str) -> None:
    module = home(group)
    documented = {row["name"]: number(row["value"]) for row in ROWS if row["group"] == group}
    assert {name: getattr(module, name, None) for name in documented} == documented


@pytest.mark.parametrize("module", [constants, ntstatus, wskdefs])
def test_nothing_else_is_there(module: ModuleType) -> None:
    documented = {row["name"] for row in ROWS if home(row["group"]) is module}
    numbers = {name for name, value in vars(module).items() if type(value) is int}
    assert numbers - documented <= {"STATUS_UNSUCCESSFUL", *BEHIND_FUNCTIONS}


def test_versions_of_winsock_kernel() -> None:
    documented = {row["name"]: number(row["value"]) for row in read("constants.csv") if row["group"] == "wsk-version"}
    assert documented == {
        "MAKE_WSK_VERSION(1,0)": wskdefs.MAKE_WSK_VERSION(1, 0),
        "MAKE_WSK_VERSION(1,1)": wskdefs.MAKE_WSK_VERSION(1, 1),
    }
    assert (wskdefs.WSK_MAJOR_VERSION(0x0203), wskdefs.WSK_MINOR_VERSION(0x0203)) == (2, 3)


@pytest.mark.parametrize(
    "row", [row for row in read("constants.csv") if row["group"] == "guid"], ids=lambda r: r["name"]
)
def test_guids(row: dict[str, str]) -> None:
    macro, _, parameter = row["name"].partition("(")
    if parameter:
        spelled = str(getattr(guids, macro)(0x1234))
        assert spelled == row["value"].replace("pppp", "1234").replace("ssss", "1234")
    else:
        assert str(getattr(guids, macro)) == row["value"]
