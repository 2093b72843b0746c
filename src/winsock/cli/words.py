"""Help for somebody who mistyped a name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence


def nearest_first(word: str, known: Iterable[str]) -> list[str]:
    """The known words, the most similar one first."""
    from difflib import SequenceMatcher

    return sorted(known, key=lambda other: (-SequenceMatcher(None, word.lower(), other.lower()).ratio(), other))


class Parser(ArgumentParser):
    """One that says what options there are to who mistyped one."""

    def parse_options(self, arguments: Sequence[str]) -> Namespace:
        """The options; leaves with status 2 where one is unknown or wrong."""
        options, unknown = self.parse_known_args(arguments)
        if unknown and unknown[0].startswith("-"):
            word = unknown[0].partition("=")[0]
            known = {name for action in self._actions for name in action.option_strings if name.startswith("--")}
            self.error(f"there is no option {word}; there are: {', '.join(nearest_first(word, known))}")
        if unknown:
            self.error(f"{unknown[0]!r} means nothing here")
        return options


class UsageError(Exception):
    """What was typed cannot be done; the text says why, and what there is instead. Exit status 2."""
