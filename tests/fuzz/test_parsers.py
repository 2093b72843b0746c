"""Parsers are given nonsense, and valid things after accidents: they take what is right, and refuse as documented."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fuzz import calls, messages, structures, texts
from tests.fuzz.parser import Parser, Tally, check, fuzz
from winsock.abi import sockaddr
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.testing import World

PARSERS = {parser.name: parser for parser in (*structures.PARSERS, *texts.PARSERS, *messages.PARSERS, *calls.PARSERS)}
INPUTS = 1200
"""For each of them, every day; `make soak` gives them a million together."""


@pytest.fixture(scope="module", autouse=True)
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser(name: str) -> None:
    tally = fuzz(PARSERS[name], 1, INPUTS)
    assert tally.taken > INPUTS // 30, "hardly anything was taken"
    assert tally.refused > INPUTS // 200 or not PARSERS[name].refuses, "hardly anything was refused"


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_valid_is_taken(name: str) -> None:
    if name not in ("control code", "option", "catalog"):  # where what is valid hangs together
        assert all(check(PARSERS[name], given) for given in PARSERS[name].valid)


def test_the_same_seed_gives_the_same_inputs() -> None:
    tallies: list[list[Any]] = [[], []]
    for tally in tallies:
        parser = PARSERS["address"]
        fuzz(parser._replace(holds=lambda given, found, kept=tally: kept.append(given)), 7, 200)  # type: ignore[misc]
    assert tallies[0] == tallies[1]
    assert len(set(tallies[0])) > 100


def broken(name: str, **changes: Any) -> None:
    """With one thing wrong, it is found out."""
    parser: Parser = PARSERS[name]._replace(**changes)
    with pytest.raises(AssertionError, match=name):
        fuzz(parser, 1, INPUTS)


def test_an_error_that_is_not_documented_is_found_out() -> None:
    def read(data: bytes) -> object:
        return WSAPROTOCOL_INFO.unpack(data[: data[0]])

    broken("WSAPROTOCOL_INFO", read=read)
    broken("address", refuses=frozenset({WSAEINVAL}))


def test_what_is_taken_wrongly_is_found_out() -> None:
    def read(data: bytes) -> object:
        return sockaddr.unpack(data.ljust(16, b"\0"))

    broken("address", read=read)


def test_what_is_refused_wrongly_is_found_out() -> None:
    def read(data: bytes) -> object:
        if len(data) > 100:
            raise WinsockError(WSAEFAULT)
        return sockaddr.unpack(data)

    broken("address", read=read)


def test_what_is_understood_wrongly_is_found_out() -> None:
    def read(data: bytes) -> object:
        found = sockaddr.unpack(data)
        return found._replace(port=found.port & 0x7FFF) if isinstance(found, sockaddr.SockaddrIn) else found

    broken("address", read=read)


def test_a_tally_adds_up() -> None:
    assert sum(fuzz(PARSERS["GUID"], 1, 500)) == 500
    assert fuzz(PARSERS["number"]._replace(valid=[b"\1\0\0\0"]), 1, 0) == Tally(0, 0)
