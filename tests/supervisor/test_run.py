"""Our lines on their way out: nobody who hands them on comes back before they are out."""

from __future__ import annotations

import io
import threading
from typing import cast

from winsock.supervisor.generations.life import Serving
from winsock.supervisor.run import Lines

PATIENCE_S = 20.0


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
