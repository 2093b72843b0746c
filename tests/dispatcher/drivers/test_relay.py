"""The relay between real sockets: bytes, ends, resets, pressure."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.dispatcher.drivers.ends import Relayed, read_all, read_until_reset, relayed, reset, wait_acknowledged
from winsock.abi.errors import WSAECONNREFUSED, WSAECONNRESET, WinsockError
from winsock.spi.stream import StreamLayer


class Passing(StreamLayer):
    """Sees every byte and changes none."""

    def outgoing(self, data: bytes) -> bytes:
        return data

    def incoming(self, data: bytes) -> bytes:
        return data


class Shout(StreamLayer):
    def outgoing(self, data: bytes) -> bytes:
        return data.upper()


class Refusing(StreamLayer):
    def incoming(self, data: bytes) -> bytes:
        raise ConnectionRefusedError("not that")


def test_bytes_go_through_the_layers_both_ways() -> None:
    with relayed(Shout(), Passing()) as connection:
        connection.program.sendall(b"hello")
        assert connection.peer.recv(100) == b"HELLO"
        connection.peer.sendall(b"there")
        assert connection.program.recv(100) == b"there"


def test_each_direction_ends_by_itself() -> None:
    with relayed(Passing()) as connection:
        connection.program.sendall(b"question")
        connection.program.shutdown(socket.SHUT_WR)
        assert read_all(connection.peer) == b"question"
        connection.peer.sendall(b"answer")
        connection.peer.shutdown(socket.SHUT_WR)
        assert read_all(connection.program) == b"answer"
        ending = connection.ending()
        assert (ending.sent, ending.received, ending.error) == (8, 6, None)


@pytest.mark.parametrize("who", ["program", "peer"])
def test_a_reset_crosses(who: str) -> None:
    with relayed(Passing()) as connection:
        first, second = _by_name(connection, who)
        first.sendall(b"last words")
        reset(first)
        assert read_until_reset(second) == b"last words"
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAECONNRESET


@pytest.mark.parametrize("who", ["program", "peer"])
def test_what_is_left_unread_at_the_close_resets_the_other_side(who: str) -> None:
    with relayed(Passing()) as connection:
        first, second = _by_name(connection, who)
        second.sendall(b"nobody reads this")
        assert first.recv(6) == b"nobody"
        first.sendall(b"bye")
        first.close()
        assert read_until_reset(second) == b"bye"


def test_a_slow_reader_slows_the_sender_and_gets_everything() -> None:
    sent = bytes(range(256)) * (32 * 4096)
    with relayed(Passing()) as connection:
        done = threading.Event()

        def send() -> None:
            connection.program.sendall(sent)
            connection.program.shutdown(socket.SHUT_WR)
            done.set()

        thread = threading.Thread(target=send)
        thread.start()
        assert not done.wait(0.2), "32 MiB went into a connection that nobody reads"
        assert read_all(connection.peer) == sent
        thread.join()


def test_what_came_before_a_reset_reaches_a_slow_program() -> None:
    sent = bytes(range(256)) * 1024
    with relayed(Passing()) as connection:
        connection.program.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        connection.peer.sendall(sent)
        wait_acknowledged(connection.peer)
        reset(connection.peer)
        assert read_until_reset(connection.program) == sent


def test_a_layer_that_fails_resets_both() -> None:
    with relayed(Refusing()) as connection:
        connection.peer.sendall(b"anything")
        for end in (connection.program, connection.peer):
            assert read_until_reset(end) == b""
        error = connection.ending().error
        assert isinstance(error, WinsockError)
        assert error.winerror == WSAECONNREFUSED


def _by_name(connection: Relayed, who: str) -> tuple[socket.socket, socket.socket]:
    ends = (connection.program, connection.peer)
    return ends if who == "program" else ends[::-1]
