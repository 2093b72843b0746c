"""The one place where our own lines go."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from winsock.core import journal as module
from winsock.core.journal import Journal, Record, Text


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def journal(lines: list[str]) -> Journal:
    made = Journal()
    made.sink = lines.append
    return made


def test_a_record_is_written_as_its_text(journal: Journal, lines: list[str]) -> None:
    journal.record({"event": "bind", "port": 80}, "bound to 80")
    journal.record({"event": "bind", "port": 81}, lambda record: f"bound to {record['port']}")
    assert lines == ["bound to 80", "bound to 81"]


def test_or_as_one_line_of_json(journal: Journal, lines: list[str]) -> None:
    journal.json = True
    journal.record({"event": "bind", "text": "two\nlines", "none": None, "list": [1], "other": {1}}, "no text")
    (line,) = lines
    assert "\n" not in line
    assert " " not in line.replace("two\\nlines", "")
    assert json.loads(line) == {"event": "bind", "text": "two\nlines", "none": None, "list": [1], "other": "{1}"}


def test_a_text_that_nobody_needs_is_not_made(journal: Journal) -> None:
    def text(record: Record) -> str:
        raise AssertionError

    journal.json = True
    journal.record({"event": "bind"}, text)


def test_a_line_is_an_event_of_its_own(journal: Journal, lines: list[str]) -> None:
    journal.log("hello", layer="mine")
    journal.json = True
    journal.log("hello", layer="mine")
    assert lines[0] == "hello"
    assert json.loads(lines[1]) == {"event": "log", "text": "hello", "layer": "mine"}


def test_records_can_wait_for_one_who_renders_them_later(journal: Journal, lines: list[str]) -> None:
    waiting: list[tuple[Record, Text]] = []
    journal.later = lambda record, text: waiting.append((record, text))
    journal.log("one")
    journal.record({"event": "two"}, lambda record: record["event"])
    assert lines == []
    assert [journal.render(*one) for one in waiting] == ["one", "two"]


def failing() -> None:
    raise KeyError("gone")


def raised() -> Exception:
    try:
        failing()
    except KeyError as error:
        return error
    raise AssertionError


def test_a_failing_layer_is_told_with_file_and_line(journal: Journal, lines: list[str]) -> None:
    error = raised()
    line = failing.__code__.co_firstlineno + 1
    journal.audit("mine", "WSPConnect", error)
    where = f"{__file__}:{line}"
    assert lines == [f"winsock: layer mine: WSPConnect raised KeyError: 'gone' ({where}); the call failed"]
    journal.json = True
    journal.audit("mine", "WSPConnect", error)
    assert json.loads(lines[1]) == {
        "event": "layer-error",
        "layer": "mine",
        "function": "WSPConnect",
        "error": "KeyError: 'gone'",
        "where": where,
    }


def test_where_can_be_told_by_who_knows_better(journal: Journal, lines: list[str]) -> None:
    journal.audit("mine", "closed", ValueError("x"), "mine.py:3")
    journal.audit("mine", "closed", ValueError("x"))
    assert "(mine.py:3)" in lines[0]
    assert "(unknown place)" in lines[1]


def test_without_a_sink_of_its_own_lines_go_to_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    Journal().log("hello")
    assert stderr.getvalue() == "hello\n"
    monkeypatch.setattr(sys, "stderr", None)
    Journal().log("nobody hears this")


@pytest.mark.parametrize("name", ["log", "audit", "record"])
def test_the_modules_functions_are_the_one_journals(name: str) -> None:
    function: Any = getattr(module, name)
    assert function.__self__ is module.journal
