"""Help for somebody who mistyped a name."""

from __future__ import annotations

from argparse import Action, ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


def nearest_first(word: str, known: Iterable[str]) -> list[str]:
    """The known words, the most similar one first."""
    from difflib import SequenceMatcher

    return sorted(known, key=lambda other: (-SequenceMatcher(None, word.lower(), other.lower()).ratio(), other))


class Parser(ArgumentParser):
    """One that says what there is to who mistyped something or left it out, and takes no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "exit_on_error": False, **settings})

    def parse_options(self, arguments: Sequence[str]) -> Namespace:
        """The options; leaves with status 2 where one is unknown or wrong."""
        return self.parse_known_args(arguments)[0]

    def parse_known_args(  # type: ignore[override]  # which a parser of commands calls for each of them
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """The same; nothing that is unknown is left over."""
        positional = [action for action in self._actions if not action.option_strings]
        for action in positional:
            action.required = False  # we say by ourselves what is missing
        try:
            options, unknown = super().parse_known_args(args, namespace)
        except ArgumentError as error:
            self.error(self._told(error))
        if unknown:
            self._refuse(unknown[0])
        for action in positional:
            if getattr(options, action.dest) is None:
                self.error(_missing(action))
        return options, []

    def _told(self, error: ArgumentError) -> str:
        action = next(one for one in self._actions if "/".join(one.option_strings) == error.argument_name)
        return f"{_name(action)} takes no value" if action.nargs == 0 else f"{_name(action)}: {error.message}"

    def _refuse(self, word: str) -> NoReturn:
        if not word.startswith("-"):
            self.error(f"{word!r} means nothing here")
        word = word.partition("=")[0]
        known = {name for action in self._actions for name in action.option_strings if name.startswith("--")}
        self.error(f"there is no option {word}; there are: {', '.join(nearest_first(word, known))}")

    def _match_argument(self, action: Action, arg_strings_pattern: str) -> int:
        try:
            return super()._match_argument(action, arg_strings_pattern)
        except ArgumentError:
            if not action.option_strings:
                raise
            self.error(f"{_name(action)} wants {_wanted(action)}")

    def _check_value(self, action: Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            listed = ", ".join(nearest_first(str(value), action.choices))
            if action.option_strings:
                self.error(f"{_name(action)}: there is no {value!r}; there are: {listed}")
            self.error(f"there is no command {value!r}; there are: {listed}")


class UsageError(Exception):
    """What was typed cannot be done; the text says why, and what there is instead. Exit status 2."""


def _name(action: Action) -> str:
    return action.option_strings[-1]


def _wanted(action: Action) -> str:
    """What stands for an option's value, and what that is."""
    if action.choices is not None:
        return f"one of: {', '.join(action.choices)}"
    return f"{action.metavar or action.dest.upper()}: {action.help}"


def _missing(action: Action) -> str:
    if action.choices is not None:
        return f"which command? there are: {', '.join(action.choices)}"
    return f"{action.metavar} is missing: {action.help}"
