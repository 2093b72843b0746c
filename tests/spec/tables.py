"""Reads the tables of documented facts that lie beside this file."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TypeAlias

HERE = Path(__file__).parent

Row: TypeAlias = dict[str, str]


def read(name: str) -> list[Row]:
    """The rows of a CSV file, by the names of its header."""
    with (HERE / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(text: str) -> int:
    """A value of constants.csv: decimal, or hex with its prefix."""
    return int(text, 0)


def order_tables() -> dict[str, list[str]]:
    """The dispatch tables of order.md: structure name -> its members in order."""
    tables: dict[str, list[str]] = {}
    members: list[str] = []
    for line in (HERE / "order.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"## (\w+)", line):
            members = tables.setdefault(heading[1], [])
        elif entry := re.match(r"\| *(?:\d+|) *\| (\w+) \| [^|]+ \| *\d+ \|", line):
            members.append(entry[1])
    return tables
