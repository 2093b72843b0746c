"""The rows of control codes."""

from __future__ import annotations

import pytest

from tests.spec.tables import read
from winsock.abi import constants, structures
from winsock.abi.constants import IOC_IN, IOC_OUT, SIO_GET_INTERFACE_LIST
from winsock.abi.errors import WSAENOPROTOOPT, WSAEOPNOTSUPP
from winsock.abi.ioctls import ROWS, WRAPPED, Ioctl, find

PARTS = {
    "IOCPARM_MASK",
    "IOC_VOID",
    "IOC_OUT",
    "IOC_IN",
    "IOC_INOUT",
    "IOC_UNIX",
    "IOC_WS2",
    "IOC_PROTOCOL",
    "IOC_VENDOR",
}
PLAIN = {"", "BOOL", "DWORD", "INT", "UCHAR", "USHORT", "ULONG64", "SOCKET", "GUID", "pointer", "bytes"}


def test_every_documented_code_has_a_row() -> None:
    documented = {row["name"] for row in read("constants.csv") if row["group"] == "sio-ioctl"} - PARTS
    assert {row.name for row in ROWS} == documented
    assert len(ROWS) == len(documented)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_are_consistent(row: Ioctl) -> None:
    assert row.code == getattr(constants, row.name)
    assert row.host in ("host", "emulated", "refused")
    assert row.answered_by in ("base", "layer")
    for name in (row.takes, row.gives):
        assert name in PLAIN or hasattr(structures, name.removesuffix("[]")), name
    assert row.note or row.host != "refused", "a refusal gives its reason"
    assert row.error in (WSAEOPNOTSUPP, WSAENOPROTOOPT)
    found = find(row.code)
    assert found is not None
    assert found.code == row.code


def test_the_codes_behind_functions_are_found() -> None:
    assert [find(row.code) for row in WRAPPED] == list(WRAPPED)
    assert not {row.code for row in WRAPPED} & {row.code for row in ROWS}


def test_the_code_says_whether_there_is_output() -> None:
    reserved = {"SIO_RESERVED_1", "SIO_RESERVED_2"}
    for row in ROWS:
        if row.gives and row.name not in reserved:
            assert row.code & IOC_OUT or row.code & IOC_IN, row.name


def test_a_shared_number_belongs_to_the_first_row() -> None:
    row = find(SIO_GET_INTERFACE_LIST)
    assert row is not None
    assert row.name == "SIO_GET_INTERFACE_LIST"
    assert find(0) is None
