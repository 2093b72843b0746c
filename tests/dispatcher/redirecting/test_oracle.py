"""The redirector against a plain pair of connected sockets."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings

from tests.dispatcher.redirecting.oracle import Step, compare, steps
from tests.dispatcher.strangers import World


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(steps(most=12, largest=3000))
def test_nobody_can_tell_them_apart(sequence: list[Step]) -> None:
    with World() as world:
        compare(world, sequence)


def test_a_reset_after_the_end_is_late() -> None:
    """The difference. An end that has ended sending can still reset the connection.

    The kernel tells the other end at once; the redirector hears of it when it sends again.
    """
    with World() as world:
        s, peer = world.file()
        peer.close()
        assert os.read(s, 1) == b""
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            write_for_ever(s)


def write_for_ever(descriptor: int) -> None:
    while True:
        os.write(descriptor, b"x")


FILE, PEER = 0, 1


@pytest.mark.parametrize(
    "sequence",
    [
        [Step(PEER, "write", 9), Step(FILE, "close")],
        [Step(FILE, "write", 9), Step(PEER, "close"), Step(FILE, "read", 5), Step(FILE, "read", 5)],
        [Step(FILE, "shutdown"), Step(PEER, "write", 9), Step(FILE, "read", 5), Step(PEER, "close")],
        [Step(FILE, "shutdown"), Step(PEER, "shutdown"), Step(FILE, "read", 5), Step(PEER, "read", 5)],
        [Step(FILE, "close"), Step(PEER, "write", 9), Step(PEER, "write", 9), Step(PEER, "read", 5)],
        [Step(FILE, "write", 9), Step(FILE, "shutdown"), Step(FILE, "write", 9), Step(PEER, "read", 20)],
    ],
    ids=repr,
)
def test_what_is_known_to_be_hard(sequence: list[Step]) -> None:
    with World() as world:
        compare(world, sequence)
