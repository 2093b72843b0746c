"""One parser, and how it is tried: what it refuses it refuses as documented, and what it takes means what was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from tests.fuzz.inputs import Bytes, Texts
from winsock.abi.errors import WinsockError


class Refused(NamedTuple):
    """What a parser answers with its documented error."""

    error: Exception


class Parser(NamedTuple):
    """Something that reads what others wrote."""

    name: str
    valid: Sequence[Any]
    """Bytes or texts, all of which are taken."""
    read: Callable[[Any], Any]
    refuses: type[Exception] | frozenset[int]
    """With which exception, or with which Winsock codes."""
    holds: Callable[[Any, Any], None]
    """Asserts of what was given, and of what was found in it or that it was `Refused`, what must be."""


class Tally(NamedTuple):
    """How many were taken and refused."""

    taken: int
    refused: int


def ask(parser: Parser, given: Any) -> Any:
    """What it reads there, or `Refused`; any error that is not documented is raised."""
    try:
        return parser.read(given)
    except Exception as error:
        if not is_documented(parser, error):
            raise
        return Refused(error)


def is_documented(parser: Parser, error: Exception) -> bool:
    """Whether that is how it refuses."""
    if isinstance(parser.refuses, frozenset):
        return isinstance(error, WinsockError) and error.winerror in parser.refuses
    return isinstance(error, parser.refuses)


def check(parser: Parser, given: Any) -> bool:
    """Whether it is taken; `AssertionError` where that is wrong in any way, with what was given."""
    try:
        found = ask(parser, given)
        parser.holds(given, found)
    except Exception as error:
        shown = repr(given)
        raise AssertionError(f"{parser.name}: {shown if len(shown) < 3000 else shown[:3000] + '...'}") from error
    return not isinstance(found, Refused)


def fuzz(parser: Parser, seed: int, count: int) -> Tally:
    """So many inputs."""
    chance = Random(f"{parser.name} {seed}")
    inputs = Texts(chance, parser.valid) if isinstance(parser.valid[0], str) else Bytes(chance, parser.valid)
    taken = sum(check(parser, inputs.next()) for _ in range(count))
    return Tally(taken, count - taken)
