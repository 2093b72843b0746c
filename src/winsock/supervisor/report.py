"""What the run has to say for itself: which sockets were seen, which went through the chain, and why others did not.

One line at the end tells the truth (`Report.truth`), because a tool like this fails most often by silence. `strict`
makes a failure of it.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

_MOST_TOLD_OF = 1 << 16


class Report:
    """Counters, by reason. Safe to be told from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._layered = 0
        self._layered_datagram = 0
        self._datagrams_created: Counter[str] = Counter()
        self._passed: Counter[str] = Counter()
        self._made_without: Counter[tuple[int, int]] = Counter()
        self._strange: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._met: set[int] = set()
        self._told_of: set[tuple[str, tuple[int, int]]] = set()

    def layered(self, datagram: bool) -> None:
        """One more socket whose calls go through the chain; not to be told by two threads at once."""
        self._layered += 1
        self._layered_datagram += datagram

    def created(self, kind: str) -> None:
        """An inet socket of a datagram or raw type: layered later, or passed."""
        with self._lock:
            self._datagrams_created[kind] += 1

    def passed(self, reason: str, socket: tuple[int, int] | None = None) -> None:
        """A socket, inet or of an unknown kind, that no layer saw; `socket` tells calls on the same one apart."""
        with self._lock:
            if socket is None or (reason, socket) not in self._told_of:
                self._passed[reason] += 1
            if socket is not None and len(self._told_of) < _MOST_TOLD_OF:
                self._told_of.add((reason, socket))

    def made_without(self, reason: str, kind: tuple[int, int]) -> None:
        """A socket, of that domain and type, that a layer was to make and did not; the chain may carry its calls."""
        with self._lock:
            self._passed[reason] += 1
            self._made_without[kind] += 1

    def met_again(self, kind: tuple[int, int]) -> bool:
        """A socket that no layer made is met: whether it was told of when it was made, and so is counted."""
        with self._lock:
            known = self._made_without[kind] > 0
            self._made_without[kind] -= known
            return known

    def strange(self, kind: str, cookie: int) -> None:
        """A call on a socket of a kind that no chain is for.

        Its creation was told of, by `passed`, unless it came from outside: then it is told of once, here.
        """
        with self._lock:
            if cookie not in self._met and len(self._met) < _MOST_TOLD_OF:
                self._met.add(cookie)
                self._strange[kind] += 1

    def went_round(self, reason: str) -> None:
        """A socket that was layered turns out not to be."""
        with self._lock:
            self._layered -= 1
            self._passed[reason] += 1

    def refused(self, reason: str) -> bool:
        """A call that was refused; true the first time for this reason."""
        with self._lock:
            self._refused[reason] += 1
            return self._refused[reason] == 1

    def truth(self, still_running: int) -> dict[str, Any]:
        """The record of the truth line."""
        with self._lock:
            passed = dict(self._passed | self._strange)  # of each kind the greater number: some are in both
            unlayered = sum(self._datagrams_created.values()) - self._layered_datagram
            if unlayered > 0:
                kinds = "/".join(sorted(self._datagrams_created))
                passed[f"{kinds}: no call of theirs is carried by this chain"] = unlayered
            return {
                "event": "truth",
                "seen": self._layered + sum(passed.values()),
                "layered": self._layered,
                "passed": passed,
                "refused": dict(self._refused),
                "still_running": still_running,
            }


def truth_text(record: Any) -> str:
    """The truth line for people."""
    passed, refused = sum(record["passed"].values()), sum(record["refused"].values())
    return (
        f"winsock: sockets seen: {record['seen']}, layered: {record['layered']}, "
        f"passed: {passed}{_reasons(record['passed'])}; "
        f"calls refused: {refused}{_reasons(record['refused'])}; still running: {record['still_running']}"
    )


def _reasons(counts: dict[str, int]) -> str:
    if not counts:
        return ""
    return " (" + "; ".join(f"{reason}: {count}" for reason, count in sorted(counts.items())) + ")"


def miss(record: Any) -> str | None:
    """Why `--strict` fails: the reason of the first socket that was not layered; None where all were."""
    return next(iter(sorted(record["passed"])), None)
