"""The end of a run: lines on their way out, and notices that come late."""

from __future__ import annotations

import io
import threading
from collections.abc import Collection, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from winsock.host.numbers import AF_INET, SOCK_DGRAM, SOCK_STREAM
from winsock.supervisor.generations.life import Serving
from winsock.supervisor.lease import Kind
from winsock.supervisor.run import CLOSING_WAIT_S, Choices, Lines, _Run

PATIENCE_S = 20.0
AF_VSOCK = 40


class Slow(io.StringIO):
    """A file that takes its time to write."""

    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order
        self.began, self.may_end = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.began.set()
        assert self.may_end.wait(PATIENCE_S)
        self._order.append(text)
        return len(text)


def test_who_hands_lines_on_waits_for_those_that_another_thread_has_taken() -> None:
    """The supervisor ends when it has handed on the last ones."""
    order: list[str] = []
    file = Slow(order)
    lines = Lines(cast("Serving", None), file)
    lines.add({"event": "log"}, "a line")
    watch = threading.Thread(target=lines.flush, daemon=True)
    watch.start()
    assert file.began.wait(PATIENCE_S)

    def end() -> None:
        lines.flush()
        order.append("the end")

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    ending.join(0.02)  # one that waits for nobody is through by then
    file.may_end.set()
    for thread in (watch, ending):
        thread.join(PATIENCE_S)
    assert order == ["a line\n", "the end"]


def test_a_record_that_cannot_be_told_does_not_stand_in_the_way_of_others() -> None:
    file = io.StringIO()
    lines = Lines(cast("Serving", None), file)
    lines.add({"event": "first"}, "the first")
    lines.add({"event": "odd"}, lambda record: str(record["missing"]))
    lines.add({"event": "last"}, "the last")
    lines.flush()
    odd = "winsock: a record cannot be told (odd): KeyError: 'missing'"
    assert file.getvalue().splitlines() == ["the first", odd, "the last"]


class Leases(dict[int, Any]):
    """The sockets that the supervisor knows."""

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.values()))

    find = dict.get


class LateNotices:
    """On a busy machine: nothing is told in the time that a socket has which the kernel still has use for."""

    def __init__(self, known: Leases) -> None:
        self._known = known
        self.asked: list[set[int]] = []

    def flush(self, cookies: Collection[int], seconds: float) -> set[int]:
        self.asked.append(set(cookies))
        if seconds > CLOSING_WAIT_S:
            for cookie in cookies:
                del self._known[cookie]
        return {cookie for cookie in cookies if cookie in self._known}


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_late_notice_is_waited_for_when_no_process_is_left(is_alone: bool) -> None:
    kinds = {1: Kind(AF_INET, SOCK_STREAM, 0), 2: Kind(AF_INET, SOCK_DGRAM, 0), 3: Kind(AF_VSOCK, SOCK_STREAM, 0)}
    known = Leases({cookie: SimpleNamespace(cookie=cookie, kind=kind, relayed=None) for cookie, kind in kinds.items()})
    serving: Any = SimpleNamespace(alone=is_alone, processes=list)
    plan: Any = SimpleNamespace(layers=())
    run: Any = _Run(plan, [], Choices(), serving, None)
    run._supervisor = SimpleNamespace(leases=known)
    run._notices = notices = LateNotices(known)
    run._wait_for_notices()
    assert notices.asked == [{1}] * (2 if is_alone else 1)
    assert sorted(known.keys()) == ([2, 3] if is_alone else [1, 2, 3])
