"""Runs the tests, and writes down which of them raises which documented error out of which function.

    python -m tests.spec.recording

The result is errors_tested.csv. A row counts where two runs agree; few tests are taken that raise many errors rather
than many. What is written down is proved by every later run of those tests (tests/conftest.py).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator

import pytest

from tests.spec.coverage import Documented, Seen, in_scope
from tests.spec.tables import HERE
from tests.spec.witness import watching

SUITES = [
    *("abi", "api", "base", "catalog", "conformance", "dispatcher", "layers", "overlapped", "sharing", "spi"),
    *("testing", "test_docs.py"),
]
NOT_RECORDED = ("walk", "properties", "test_mapped")
"""Parts of the names of modules whose tests go another way each time, or prove what is no test's."""


class Recording:
    """What passed, and what it raised."""

    def __init__(self) -> None:
        self.raised: dict[str, set[Seen]] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Iterator[None]:
        with watching() as witness:
            outcome = yield
            counts = (
                outcome.excinfo is None  # type: ignore[attr-defined]
                and not any(name in pyfuncitem.nodeid for name in NOT_RECORDED)
                and not any(pyfuncitem.iter_markers("skipif"))
                and not any(pyfuncitem.iter_markers("root"))
            )
            if counts:
                self.raised[pyfuncitem.nodeid] = witness.seen()


def record() -> dict[str, set[Seen]]:
    """One run."""
    recording = Recording()
    if pytest.main(["-q", "--no-header", *(f"tests/{suite}" for suite in SUITES)], plugins=[recording]):
        sys.exit("tests fail: nothing is written")
    return recording.raised


def chosen(raised: dict[str, set[Seen]], wanted: set[Seen]) -> Iterator[tuple[Seen, str]]:
    """A test for each error: again and again the one that raises the most of those that are left."""
    left = set(wanted)
    while left:
        test, most = max(raised.items(), key=lambda item: (len(item[1] & left), item[0]))
        found = most & left
        if not found:
            return
        yield from ((seen, test) for seen in found)
        left -= found


def main() -> None:
    """Write errors_tested.csv."""
    first, second = record(), record()
    both = {test: seen & second[test] for test, seen in first.items() if test in second}
    wanted: dict[Seen, Documented] = {row.seen: row for row in in_scope()}
    rows = sorted((seen.function, wanted[seen].code_name, seen.where, test) for seen, test in chosen(both, set(wanted)))
    with (HERE / "errors_tested.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("function", "code_name", "where", "test"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
