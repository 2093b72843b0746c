"""The tables of system calls and ioctls, against the machine's own headers where they are installed."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from winsock.host import numbers
from winsock.host.numbers import AARCH64, X86_64, Machine

ASM = Path("/usr/include/x86_64-linux-gnu/asm")
GENERIC = Path("/usr/include/asm-generic/unistd.h")


def headers(path: Path, prefix: str = "__NR_") -> dict[str, int]:
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    text = path.read_text()
    found = re.findall(rf"#define {prefix}(?:3264_)?(\w+)\s+(\d+)", text)
    return {name: int(number) for name, number in found}


@pytest.mark.parametrize(
    ("table", "path"),
    [
        (X86_64.calls, ASM / "unistd_64.h"),
        (X86_64.foreign_calls, ASM / "unistd_32.h"),
        (AARCH64.calls, GENERIC),
    ],
    ids=["x86_64", "i386", "aarch64"],
)
def test_the_numbers_are_those_of_the_headers(table: dict[str, int], path: Path) -> None:
    known = headers(path)
    assert {name: known.get(name) for name in table} == table


@pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_no_number_stands_for_two_calls(machine: Machine) -> None:
    for table in (machine.calls, machine.foreign_calls):
        assert len(set(table.values())) == len(table)


def test_both_machines_know_the_same_calls() -> None:
    assert X86_64.calls.keys() == AARCH64.calls.keys()


@pytest.mark.parametrize(
    ("code", "direction", "size", "number"),
    [
        (numbers.NOTIF_RECV, 3, 80, 0),
        (numbers.NOTIF_SEND, 3, 24, 1),
        (numbers.NOTIF_ID_VALID, 1, 8, 2),
        (numbers.NOTIF_ADDFD, 1, 24, 3),
        (numbers.NOTIF_SET_FLAGS, 1, 8, 4),
    ],
)
def test_the_ioctls_say_direction_size_and_number(code: int, direction: int, size: int, number: int) -> None:
    assert code == direction << 30 | size << 16 | ord("!") << 8 | number


def test_a_machine_that_is_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "host", "6.1", "#1", "riscv64")))
    with pytest.raises(OSError, match="riscv64") as caught:
        numbers.machine()
    assert caught.value.errno == errno.ENOSYS
