"""Every structure has the sizes and offsets that a compiler for Windows gives it, 64-bit and 32-bit."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from typing import Any

import pytest

from tests.spec.tables import Row, order_tables, read
from winsock.abi import structures
from winsock.abi.structures import x86

STRUCTS: dict[str, list[Row]] = defaultdict(list)
for row in read("structs.csv"):
    STRUCTS[row["struct"]].append(row)


def place(kind: Any, path: str) -> tuple[int, int]:
    """Offset and size of a member, reached through the structures on the way."""
    offset = size = 0
    for name in path.split("."):
        member = getattr(kind, name)
        offset += member.offset
        kind = {field[0]: field[1] for field in all_fields(kind)}[name]
        size = ctypes.sizeof(kind)
    return offset, size


def all_fields(kind: Any) -> list[tuple[Any, ...]]:
    """The members of a structure, those of its unnamed unions among them."""
    found: list[tuple[Any, ...]] = []
    unnamed = getattr(kind, "_anonymous_", ())
    for field in kind._fields_:
        found.append(field)
        if field[0] in unnamed:
            found += all_fields(field[1])
    return found


def test_there_are_141_structures() -> None:
    assert len(STRUCTS) == 141


@pytest.mark.parametrize("name", STRUCTS)
def test_64_bit_layout(name: str) -> None:
    kind = getattr(structures, name)
    for row in STRUCTS[name]:
        assert place(kind, row["field"]) == (int(row["offset"]), int(row["size"])), row["field"]
        assert ctypes.sizeof(kind) == int(row["struct_size"])


@pytest.mark.parametrize("name", STRUCTS)
def test_32_bit_layout(name: str) -> None:
    kind = x86(getattr(structures, name))
    for row in STRUCTS[name]:
        assert place(kind, row["field"]) == (int(row["offset_x86"]), int(row["size_x86"])), row["field"]
        assert ctypes.sizeof(kind) == int(row["struct_size_x86"])


@pytest.mark.parametrize("name", STRUCTS)
def test_no_member_is_missing_or_added(name: str) -> None:
    kind = getattr(structures, name)
    unnamed = set(getattr(kind, "_anonymous_", ()))
    named = {field[0] for field in all_fields(kind)} - unnamed
    for field in all_fields(kind):
        named -= set(getattr(field[1], "_anonymous_", ()))
    assert named == {row["field"].split(".")[0] for row in STRUCTS[name]}


TABLES = order_tables()


@pytest.mark.parametrize("name", TABLES)
def test_dispatch_tables_are_in_documented_order(name: str) -> None:
    kind = getattr(structures, name)
    assert [field[0] for field in kind._fields_] == TABLES[name]


def test_the_32_bit_twin_is_made_once() -> None:
    assert x86(structures.WSABUF) is x86(structures.WSABUF)
    assert ctypes.sizeof(x86(structures.WSABUF)) == 8


def test_a_view_reads_and_writes_the_memory_of_its_caller() -> None:
    memory = bytearray(16)
    view = structures.sockaddr_in.from_buffer(memory)
    view.sin_family = 2
    view.sin_addr.S_un.S_un_b.s_b1 = 127
    assert memory == b"\x02\0\0\0\x7f" + bytes(11)
    memory[7] = 1
    assert view.sin_addr.S_un.S_addr == 0x0100007F


def test_unnamed_unions_are_reached_directly() -> None:
    overlapped = structures.WSAOVERLAPPED()
    overlapped.Offset, overlapped.OffsetHigh = 0x11223344, 0x55667788
    assert overlapped.Pointer == 0x5566778811223344
