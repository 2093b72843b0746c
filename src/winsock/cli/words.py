"""Help for somebody who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable


def nearest_first(word: str, known: Iterable[str]) -> list[str]:
    """The known words, the most similar one first."""
    from difflib import SequenceMatcher

    return sorted(known, key=lambda other: (-SequenceMatcher(None, word.lower(), other.lower()).ratio(), other))


class UsageError(Exception):
    """What was typed cannot be done; the text says why, and what there is instead. Exit status 2."""
