"""Where our own lines go: records of what happened, rendered as text or JSON, handed to one sink.

A layer, the dispatcher and the supervisor all write here; nobody else prints. A record is a flat dict whose first key
is `event`; `text` renders it for people. The sink takes finished lines: stderr in a plain process, the user's terminal
or a file under `winsock run`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Record = Mapping[str, Any]
Sink = Callable[[str], None]
Text = str | Callable[[Record], str]
"""A line, or the function that makes one of its record."""


def _to_stderr(line: str) -> None:
    stream = sys.stderr
    if stream is not None:
        stream.write(line + "\n")


class Journal:
    """One sink and one format for every line of ours."""

    def __init__(self) -> None:
        self.sink: Sink = _to_stderr
        self.json = False
        self.later: Callable[[Record, Text], None] | None = None
        """Takes records instead of the sink, for one who renders them when there is time (`render`)."""

    def record(self, record: Record, text: Text) -> None:
        """Write one event: as a JSON object a line, or as `text` (a string, or a function that renders the record)."""
        if self.later is not None:
            self.later(record, text)
        else:
            self.sink(self.render(record, text))

    def render(self, record: Record, text: Text) -> str:
        """The line, or lines, of a record in the chosen format."""
        if self.json:
            return to_json(record)
        return text if isinstance(text, str) else text(record)

    def log(self, text: str, **fields: Any) -> None:
        """Write a line of a layer's or of our own: event "log"."""
        self.record({"event": "log", "text": text, **fields}, text)

    def audit(self, layer: str, function: str, error: BaseException, where: str | None = None) -> None:
        """Tell that a layer's own code failed: which layer, which function, what was raised, in which file and line."""
        where = where or _raised_at(error)
        what = f"{type(error).__name__}: {error}"
        self.record(
            {"event": "layer-error", "layer": layer, "function": function, "error": what, "where": where},
            f"winsock: layer {layer}: {function} raised {what} ({where}); the call failed",
        )


def printable(name: str) -> str:
    """A name that a program gave itself, fit for a line of ours: it can hold what moves a terminal's cursor."""
    return name if name.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in name)


def to_json(record: Record) -> str:
    """The record as one line of JSON."""
    import json

    return json.dumps(record, separators=(",", ":"), default=str)


def _raised_at(error: BaseException) -> str:
    frame = error.__traceback__
    if frame is None:
        return "unknown place"
    while frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"


journal = Journal()
log = journal.log
audit = journal.audit
record = journal.record
