"""The lines of trace for people."""

from __future__ import annotations

import errno
import time
from typing import Any

import pytest

from winsock.layers.trace_text import render

WHEN = time.mktime((2026, 3, 4, 5, 6, 7, 0, 0, -1)) + 0.0895


def record(event: str, **fields: Any) -> dict[str, Any]:
    common = {
        "event": event,
        "time": WHEN,
        "process": 100,
        "thread": 100,
        "name": "curl",
        "socket": 900,
        "protocol": "tcp",
        "result": "done",
        "error": None,
        "errno": None,
    }
    return {**common, **fields}


def closing(**fields: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(("local", "peer", "sent", "received", "rtt_us", "retransmits", "duration_s"))
    return record("close", **{**unknown, "final": True, **fields})


def test_a_name_cannot_move_the_cursor_or_forge_a_line() -> None:
    event = record("bind", name="c\x1b[2J\nwinsock", local="127.0.0.1:80", result="bound")
    assert " c?[2J?winsock[100] " in render(event)
    row = {"process": 1, "name": "a\nb", "peer": "p", "direction": "connected", "connections": 1, "failed": 0}
    assert "a?b[1]" in render({"event": "summary", "rows": [{**row, "sent": 0, "received": 0}]})


REFUSED = {"result": "failed", "error": "WSAECONNREFUSED", "errno": errno.ECONNREFUSED}
LINES = [
    (
        record("connect", peer="192.0.2.1:80", result="connected", duration_us=1234),
        "05:06:07.089 curl[100]            connect  tcp 192.0.2.1:80             connected, 1.23 ms",
    ),
    (
        record("connect", peer="[2001:db8::1]:443", thread=107, duration_us=2_500_000, **REFUSED),
        "05:06:07.089 curl[100/107]        connect  tcp [2001:db8::1]:443        "
        "failed: WSAECONNREFUSED (ECONNREFUSED), 2.50 s",
    ),
    (
        record("connect", peer="192.0.2.1:80", result="unknown", duration_us=0),
        "05:06:07.089 curl[100]            connect  tcp 192.0.2.1:80             "
        "closed before the outcome was known, 0.00 ms",
    ),
    (
        record("connect", peer="192.0.2.1:80", result="abandoned", duration_us=0),
        "05:06:07.089 curl[100]            connect  tcp 192.0.2.1:80             "
        "closed before it was connected, 0.00 ms",
    ),
    (
        record("connect", peer="192.0.2.1:80", duration_us=10, result="failed", error="WSAEINVAL", errno=99999),
        "05:06:07.089 curl[100]            connect  tcp 192.0.2.1:80             failed: WSAEINVAL (99999), 0.01 ms",
    ),
    (
        record("listen", local="a:1", backlog=1, result="failed", error="WSAEOPNOTSUPP", errno=95),
        "05:06:07.089 curl[100]            listen   tcp a:1                      "
        "failed: WSAEOPNOTSUPP (EOPNOTSUPP), backlog 1",
    ),
    (
        record("bind", local="0.0.0.0:53", protocol="udp", result="bound"),
        "05:06:07.089 curl[100]            bind     udp 0.0.0.0:53               bound",
    ),
    (
        record("listen", local="[::]:80", backlog=511, result="listening"),
        "05:06:07.089 curl[100]            listen   tcp [::]:80                  listening, backlog 511",
    ),
    (
        record("listen", local=None, backlog=1, **REFUSED),
        "05:06:07.089 curl[100]            listen   tcp ?                        "
        "failed: WSAECONNREFUSED (ECONNREFUSED), backlog 1",
    ),
    (
        record("accept", peer="192.0.2.1:5000", result="accepted"),
        "05:06:07.089 curl[100]            accept   tcp 192.0.2.1:5000           accepted",
    ),
    (
        record("accept", peer=None, result="accepted"),
        "05:06:07.089 curl[100]            accept   tcp ?                        accepted",
    ),
    (
        record("shutdown", peer="192.0.2.1:80", how="sending"),
        "05:06:07.089 curl[100]            shutdown tcp 192.0.2.1:80             of sending done",
    ),
    (
        record("shutdown", peer=None, how="both", **REFUSED),
        "05:06:07.089 curl[100]            shutdown tcp ?                        "
        "of both failed: WSAECONNREFUSED (ECONNREFUSED)",
    ),
    (
        closing(local="a:1", peer="b:2", sent=9999, received=10_000, rtt_us=55, retransmits=2, duration_s=0.5),
        "05:06:07.089 curl[100]            close    tcp b:2                      "
        "sent 9999 B, received 10.0 kB, rtt 0.06 ms, retransmits 2, open 500.00 ms",
    ),
    (
        closing(),
        "05:06:07.089 curl[100]            close    tcp ?                        "
        "sent ?, received ?, rtt ?, retransmits ?, open ?",
    ),
    (
        closing(local="a:1", sent=0, received=0, retransmits=0, duration_s=75.0, final=False),
        "05:06:07.089 curl[100]            close    tcp a:1                      "
        "sent 0 B, received 0 B, rtt ?, retransmits 0, open 75.00 s, still closing",
    ),
    (
        closing(peer="b:2", protocol="udp", duration_s=0.001),
        "05:06:07.089 curl[100]            close    udp b:2                      open 1.00 ms",
    ),
]


@pytest.mark.parametrize(("event", "line"), LINES, ids=[line.split(maxsplit=2)[2][:40] for _, line in LINES])
def test_one_line_for_an_event(event: dict[str, Any], line: str) -> None:
    assert render(event) == line


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (9_999, "9999 B"),
        (10_000, "10.0 kB"),
        (999_949, "999.9 kB"),
        (999_951, "1.0 MB"),
        (1_000_000, "1.0 MB"),
        (2_345_678_901, "2.3 GB"),
        (5 * 10**12, "5.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_units_of_bytes(count: int | None, text: str) -> None:
    assert f"sent {text}, " in render(closing(sent=count))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "?"),
        (0.0, "0.00 ms"),
        (0.0000049, "0.00 ms"),
        (0.999, "999.00 ms"),
        (0.9999999, "1.00 s"),
        (1.0, "1.00 s"),
        (86400.0, "86400.00 s"),
    ],
)
def test_units_of_time(seconds: float | None, text: str) -> None:
    assert render(closing(duration_s=seconds)).endswith(f"open {text}")


def test_the_time_of_day_has_three_digits_after_the_point() -> None:
    whole = time.mktime((2026, 3, 4, 23, 59, 59, 0, 0, -1))
    times = [render(closing() | {"time": whole + part}).split()[0] for part in (0, 0.0049, 0.5, 0.9996)]
    assert times == ["23:59:59.000", "23:59:59.004", "23:59:59.500", "23:59:59.999"]


def row(peer: str, direction: str = "connected", **counts: int) -> dict[str, Any]:
    zero = {"connections": 0, "failed": 0, "sent": 0, "received": 0}
    return {"process": 100, "name": "curl", "peer": peer, "direction": direction, **zero, **counts}


def test_the_summary_is_a_table() -> None:
    rows = [
        row("192.0.2.1:80", connections=12, failed=1, sent=100, received=2_000_000),
        row("192.0.2.77", "accepted", connections=3),
    ]
    assert render({"event": "summary", "rows": rows}).splitlines() == [
        "process    peer                   connections  failed   sent  received",
        "curl[100]  192.0.2.1:80                    12       1  100 B    2.0 MB",
        "curl[100]  192.0.2.77 (accepted)            3       0    0 B       0 B",
    ]
