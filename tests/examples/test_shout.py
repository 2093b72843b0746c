"""The smallest layer that changes bytes."""

from __future__ import annotations

import socket
from pathlib import Path

import winsock
from winsock.testing import check_provider, through
from winsock.testing.pairs import World

SHOUT = str(Path(__file__).parents[2] / "examples" / "shout.py")
ABOUT_BYTES = (
    "check_streams_carry_bytes_both_ways",
    "check_streams_lose_nothing_under_back_pressure",
    "check_buffers_are_gathered_and_scattered",
    "check_half_close",
    "check_close_ends_the_stream",
    "check_receive_time_out",
)


def test_what_a_program_sends_is_upper_case() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, World(through(SHOUT)) as world:
        client = world.stream()
        winsock.connect(client, server.getsockname())
        peer, _ = server.accept()
        with peer:
            winsock.send(client, b"a quiet word")
            assert peer.recv(20) == b"A QUIET WORD"
            peer.sendall(b"another")
            assert winsock.recv(client, 20) == b"another"


def test_datagrams_are_let_be() -> None:
    with World(through(SHOUT)) as world:
        one, other = world.datagrams()
        winsock.send(one, b"a quiet word")
        assert winsock.recv(other, 20) == b"a quiet word"


def test_it_is_a_provider_in_everything_but_the_bytes() -> None:
    check_provider(SHOUT, without=ABOUT_BYTES)
