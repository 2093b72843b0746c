"""Living processes, as /proc shows them."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import NamedTuple

_DEAD = b"ZX"
_BEGAN = 19
"""Which field behind the name."""


class Process(NamedTuple):
    """A living process: its id, and its name as ps shows it."""

    pid: int
    name: str


class _Row(NamedTuple):
    name: str
    state: bytes
    parent: int
    began: int


def descendants(root: int, besides: Collection[int] = ()) -> list[Process]:
    """The living processes below `root`; those `besides` and what is below them left out."""
    rows = {int(entry): _read(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, row in rows.items():
        if row is not None and pid not in besides:
            children.setdefault(row.parent, []).append(pid)
    found: list[Process] = []
    parents = [root]
    while parents:
        for pid in children.get(parents.pop(), ()):
            parents.append(pid)
            row = rows[pid]
            if row is not None and row.state not in _DEAD:
                found.append(Process(pid, row.name))
    return sorted(found)


def children(parent: int) -> list[int]:
    """Its children, those that have ended and are not reaped among them."""
    rows = ((int(entry), _read(int(entry))) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid, row in rows if row is not None and row.parent == parent]


def filters_of(pid: int) -> int | None:
    """How many seccomp filters a process is, or was, under; None where that cannot be read."""
    try:
        with open(f"/proc/{pid}/status", "rb", 0) as file:
            _, found, rest = file.read(8192).partition(b"\nSeccomp_filters:")
    except OSError:
        return None
    return int(rest.split(None, 1)[0]) if found else None


def state_of(pid: int) -> bytes:
    """The state letter of a process; empty when it is gone."""
    row = _read(pid)
    return b"" if row is None else row.state


def began_at(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None when it is gone."""
    row = _read(pid)
    return None if row is None else row.began


def _read(pid: int) -> _Row | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", 0) as file:
            head, _, rest = file.read(1024).rpartition(b") ")
    except OSError:
        return None
    fields = rest.split(None, _BEGAN + 1)
    return _Row(head.partition(b"(")[2].decode(errors="replace"), fields[0], int(fields[1]), int(fields[_BEGAN]))
