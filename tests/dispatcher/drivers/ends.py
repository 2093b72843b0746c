"""A relay between two sockets that a test holds: the program's and the peer's."""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from winsock.dispatcher.drivers.pipeline import Pipeline
from winsock.dispatcher.drivers.relay import LIVE, Ending, Relay
from winsock.dispatcher.drivers.stage import Stage
from winsock.host.queues import UNDELIVERED, ask
from winsock.spi.stream import StreamLayer

RESET = struct.pack("ii", 1, 0)
TIMEOUT_S = 20.0


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection over loopback; the first connected, the second was accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = socket.create_connection(listener.getsockname())
        second, _ = listener.accept()
    for end in (first, second):
        end.settimeout(TIMEOUT_S)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return first, second


class Relayed(NamedTuple):
    """A running relay and the sockets at its ends."""

    program: socket.socket
    peer: socket.socket
    relay: Relay
    endings: list[Ending]
    over: threading.Event

    def ending(self) -> Ending:
        """How it ended; waits for that."""
        assert self.over.wait(TIMEOUT_S), "the relay has not ended"
        return self.endings[0]

    def __enter__(self) -> Relayed:
        return self

    def __exit__(self, *_: object) -> None:
        self.relay.abort()
        self.program.close()
        self.peer.close()
        assert self.over.wait(TIMEOUT_S)
        deadline = time.monotonic() + TIMEOUT_S
        while self.relay in LIVE:  # it still closes
            assert time.monotonic() < deadline
            time.sleep(0.0001)


def relayed(*layers: StreamLayer, pair: Callable[[], tuple[socket.socket, socket.socket]] = connected_pair) -> Relayed:
    """Start a relay with these layers, the uppermost first."""
    program, near = pair()
    far, peer = pair()
    endings: list[Ending] = []
    over = threading.Event()

    def ended(ending: Ending) -> None:
        endings.append(ending)
        over.set()

    relay = Relay(near.detach(), far.detach(), pipeline(layers), ended)
    relay.start()
    return Relayed(program, peer, relay, endings, over)


def pipeline(layers: Sequence[StreamLayer]) -> Pipeline:
    """The layers above each other, by the real clock."""
    return Pipeline([Stage(layer, time.monotonic) for layer in layers])


def read_all(sock: socket.socket) -> bytes:
    """Everything up to the end."""
    received = bytearray()
    while data := sock.recv(1 << 16):
        received += data
    return bytes(received)


def read_until_reset(sock: socket.socket) -> bytes:
    """Everything up to the reset; an orderly end fails the test."""
    received = bytearray()
    try:
        while data := sock.recv(1 << 16):
            received += data
    except ConnectionResetError:
        return bytes(received)
    raise AssertionError(f"the connection ended in order, after {bytes(received[-100:])!r}")


def reset(sock: socket.socket) -> None:
    """Close it so that the other side is reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def wait_acknowledged(sock: socket.socket) -> None:
    """Until the kernel of the other side has everything that was sent."""
    deadline = time.monotonic() + TIMEOUT_S
    while ask(sock, UNDELIVERED):
        assert time.monotonic() < deadline, "the other side does not take it"
        time.sleep(0.001)


def wait_dead(sock: socket.socket) -> None:
    """Until a reset has come for it, which after the other side's end is not told to recv()."""
    poll = select.poll()
    poll.register(sock, 0)
    assert poll.poll(TIMEOUT_S * 1000), "no reset came"
