"""The records of `trace` as lines for people."""

from __future__ import annotations

import errno
import time
from functools import lru_cache
from typing import Any

from winsock.core.journal import printable

_UNITS = ("kB", "MB", "GB", "TB")
_ROUNDS_TO_A_SECOND = 0.999995
_ERRNOS = {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP"}
"""As sockets know them: the number is ENOTSUP's, too."""
_OUTCOMES = {
    "unknown": "closed before the outcome was known",
    "abandoned": "closed before it was connected",
}


def render(record: Any) -> str:
    """One line for an event; a table for the summary."""
    if record["event"] == "summary":
        return _summary(record["rows"])
    event, who = record["event"], _who(record["name"], record["process"], record["thread"])
    return f"{_clock(record['time'])} {who:<20} {event:<8} {record['protocol']} {_BODIES[event](record)}"


def _connect(record: Any) -> str:
    return f"{record['peer']:<24} {_result(record)}, {_duration(record['duration_us'], 1e6)}"


def _bind(record: Any) -> str:
    return f"{record['local']:<24} {_result(record)}"


def _listen(record: Any) -> str:
    return f"{record['local'] or '?':<24} {_result(record)}, backlog {record['backlog']}"


def _accept(record: Any) -> str:
    return f"{record['peer'] or '?':<24} {_result(record)}"


def _close(record: Any) -> str:
    where = f"{record['peer'] or record['local'] or '?':<24}"
    if record["protocol"] != "tcp":
        return f"{where} open {_duration(record['duration_s'])}"
    still = "" if record["final"] else ", still closing"
    return (
        f"{where} sent {_bytes(record['sent'])}, received {_bytes(record['received'])}, "
        f"rtt {_duration(record['rtt_us'], 1e6)}, retransmits {_or_unknown(record['retransmits'])}, "
        f"open {_duration(record['duration_s'])}{still}"
    )


def _shutdown(record: Any) -> str:
    return f"{record['peer'] or '?':<24} of {record['how']} {_result(record)}"


_BODIES = {
    "connect": _connect,
    "bind": _bind,
    "listen": _listen,
    "accept": _accept,
    "shutdown": _shutdown,
    "close": _close,
}


def _clock(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03}"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))


@lru_cache(maxsize=256)
def _who(name: str, process: int, thread: int) -> str:
    return f"{printable(name)}[{process}{'' if thread == process else f'/{thread}'}]"


def _result(record: Any) -> str:
    if record["error"] is None:
        return _OUTCOMES.get(record["result"], str(record["result"]))
    number = record["errno"]
    return f"{record['result']}: {record['error']} ({_ERRNOS.get(number, number)})"


def _or_unknown(value: int | None) -> str:
    return "?" if value is None else str(value)


def _bytes(count: int | None) -> str:
    """A count of bytes: exact below 10,000."""
    if count is None:
        return "?"
    if count < 10_000:
        return f"{count} B"
    size, unit = count / 1000, 0
    while round(size, 1) >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.1f} {_UNITS[unit]}"


def _duration(time: float | None, a_second: float = 1) -> str:
    if time is None:
        return "?"
    seconds = time / a_second
    if seconds < _ROUNDS_TO_A_SECOND:
        return f"{seconds * 1000:.2f} ms"
    return f"{seconds:.2f} s"


def _summary(rows: list[dict[str, Any]]) -> str:
    heads = ("process", "peer", "connections", "failed", "sent", "received")
    table = [heads] + [
        (
            f"{printable(row['name'])}[{row['process']}]",
            row["peer"] if row["direction"] == "connected" else f"{row['peer']} (accepted)",
            str(row["connections"]),
            str(row["failed"]),
            _bytes(row["sent"]),
            _bytes(row["received"]),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(_row(line, widths) for line in table)


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join((*left, *right))
