"""Runs the tests, and writes down which of them raises which documented error out of which function.

    python -m tests.spec.recording                        everything anew
    python -m tests.spec.recording tests/api/test_x.py    what these files are named for; the rest stays

The result is errors_tested.csv, and it is to be written anew when a test that it names is gone or has another name.
Few tests are taken that raise many errors, rather than many; those run a second time, and what they do not raise again
does not count. What is written down is proved by every later run of those tests (tests/conftest.py).
"""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.spec.coverage import LATER, Documented, Seen, in_scope, mapped, reason, tested
from tests.spec.tables import HERE
from tests.spec.witness import watching

SUITES = [
    *("abi", "api", "base", "catalog", "conformance", "dispatcher", "layers", "overlapped", "sharing", "spi"),
    *("testing", "test_docs.py"),
]
NOT_RECORDED = ("walk", "properties", "hypothesis")
"""Parts of the names of modules whose tests go another way each time."""
BY_PLACE = re.compile(r"<lambda>|\d+\]")
"""In the id of a test, what is another with the next one that is added."""


class Recording:
    """What passed, and what it raised."""

    def __init__(self) -> None:
        self.raised: dict[str, set[Seen]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Iterator[Any]:
        with watching() as witness:
            result = yield
            if not any(pyfuncitem.iter_markers("skipif")) and not any(pyfuncitem.iter_markers("root")):
                self.raised[pyfuncitem.nodeid] = witness.seen()
        return result


def record(tests: Sequence[str]) -> dict[str, set[Seen]]:
    """One run."""
    os.environ["WINSOCK_RECORDING"] = "1"  # nothing is proved meanwhile
    recording = Recording()
    pytest.main(["-q", "--no-header", *tests], plugins=[recording])
    return {test: seen for test, seen in recording.raised.items() if not any(name in test for name in NOT_RECORDED)}


def chosen(raised: dict[str, set[Seen]], wanted: set[Seen]) -> Iterator[tuple[Seen, str]]:
    """A test for each error: again and again the one that raises the most of those that are left."""
    left = set(wanted)
    while left:
        test = max(raised, key=lambda test: (len(raised[test] & left), BY_PLACE.search(test) is None, test))
        found = raised[test] & left
        if not found:
            return
        yield from ((seen, test) for seen in found)
        left -= found


def main(files: list[str]) -> None:
    """Write errors_tested.csv; say what no test raises any more."""
    wanted: dict[Seen, Documented] = {row.seen: row for row in reversed(in_scope()) if row.seen not in mapped()}
    kept = {seen: test for seen, test in tested().items() if files and test.partition("::")[0] not in files}
    first = dict(chosen(record(files or [f"tests/{suite}" for suite in SUITES]), wanted.keys() - kept.keys()))
    second = record(sorted(set(first.values())))
    confirmed = {seen: test for seen, test in first.items() if seen in second.get(test, ())}
    rows = sorted(
        (seen.function, wanted[seen].code_name, seen.where, test)
        for seen, test in (kept | confirmed).items()
        if seen in wanted
    )
    with (HERE / "errors_tested.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("function", "code_name", "where", "test"))
        writer.writerows(rows)
    have = {(function, code_name, where) for function, code_name, where, _ in rows}
    for row in wanted.values():
        if row.function not in LATER and reason(row) is None and (row.function, row.code_name, row.where) not in have:
            print("no test raises", row, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
