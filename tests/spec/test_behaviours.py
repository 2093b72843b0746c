"""Every documented behaviour that is needed to be Winsock has a test that names it, or a reason why it has none.

A test names a behaviour by its id in a comment at the assertion, or in its docstring; "MPT-001 to MPT-004" names those
between, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.spec.tables import read

TESTS = Path(__file__).parents[1]
AREAS = (
    "INIT", "SOCK", "HND", "LSP", "CAT", "SPIINIT", "ADDR", "CONN", "IO", "EVT", "OOB", "CLOSE", "OPT", "IOC", "MPT",
    "RAW", "BLK", "ERR", "DUP",
)  # fmt: skip

OVERLAPPED = "it needs overlapped completion, which comes later"
CONTRADICTED = "the documentation, or Windows as it was recorded, says otherwise elsewhere"
A_VALUE = "the call returns a value, so there is no buffer to be too small"
NO_NUMBER = "no public table tells the option's number, and this host shares nothing of the kind"

UNTESTED = {
    "ADDR-003": A_VALUE,
    "CAT-016": A_VALUE,
    "CLOSE-003": OVERLAPPED,
    "CONN-049": CONTRADICTED,  # by CONN-034, the page of WSPListen
    "EVT-048": CONTRADICTED,  # by what Windows does (EV-32): the end is told while data is unread
    "HND-004": OVERLAPPED,
    "LSP-018": OVERLAPPED,
    "OPT-029": NO_NUMBER,
    "SPIINIT-014": OVERLAPPED,
}
"""Why there is no test; the reasons above are all that there are."""

REASONS = (OVERLAPPED, CONTRADICTED, A_VALUE, NO_NUMBER)

_NAMED = re.compile(r"\b([A-Z]+)-(\d{3})(?: to (?:([A-Z]+)-)?(\d{3}))?\b")


def named_in(text: str) -> set[str]:
    """The behaviours that a test file names."""
    found: set[str] = set()
    for area, first, other, last in _NAMED.findall(text):
        if last and other in ("", area):
            found.update(f"{area}-{number:03}" for number in range(int(first), int(last) + 1))
        else:
            found.update({f"{area}-{first}"} | ({f"{other}-{last}"} if last else set()))
    return found


def named() -> set[str]:
    """Those that any test file names, but this one."""
    files = (path for path in TESTS.rglob("*.py") if path != Path(__file__))
    return set().union(*(named_in(path.read_text(encoding="utf-8")) for path in files))


def missing(wanted: Iterable[str], named: set[str], untested: Iterable[str]) -> list[str]:
    """The behaviours of which nothing is said."""
    return sorted(set(wanted) - named - set(untested))


BEHAVIOURS = {row["id"]: row for row in read("behaviours.csv")}
NEEDED = [id for id, row in BEHAVIOURS.items() if row["tier"] == "1" and row["area"] in AREAS]


def test_every_needed_behaviour_has_a_test_or_a_reason() -> None:
    left = missing(NEEDED, named(), UNTESTED)
    assert not left, "\n".join(f"{id}: {BEHAVIOURS[id]['statement']}" for id in left)


def test_none_has_both() -> None:
    assert not named() & UNTESTED.keys()


def test_what_has_a_reason_is_a_needed_behaviour_and_the_reason_one_of_those() -> None:
    assert set(UNTESTED) <= set(NEEDED)
    assert set(UNTESTED.values()) == set(REASONS)


def test_what_tests_name_there_is() -> None:
    areas = {row["area"] for row in BEHAVIOURS.values()}
    assert not {id for id in named() if id.partition("-")[0] in areas} - BEHAVIOURS.keys()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("# EVT-001", {"EVT-001"}),
        ('"""OOB-002, OOB-003: and so on."""', {"OOB-002", "OOB-003"}),
        ("(CONN-037 to CONN-039)", {"CONN-037", "CONN-038", "CONN-039"}),
        ("CAT-045 to 047", {"CAT-045", "CAT-046", "CAT-047"}),
        ("MPT-001 to RAW-002", {"MPT-001", "RAW-002"}),
        ("def test_something_evt_001", set()),
        ("SK-22, UTF-8, EVT-12", set()),
    ],
)
def test_how_a_behaviour_is_named(text: str, ids: set[str]) -> None:
    assert named_in(text) == ids


def test_what_is_missing_is_found() -> None:
    assert missing(["EVT-001", "EVT-002", "EVT-003"], {"EVT-001"}, ["EVT-003"]) == ["EVT-002"]
