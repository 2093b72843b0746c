"""Many relayed connections at once: random sizes and half-closes, slow readers, both directions, every byte hashed."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.dispatcher.drivers.ends import TIMEOUT_S, Relayed, relayed
from winsock.dispatcher.drivers import relay
from winsock.spi.stream import StreamLayer

Layers = Callable[[], Sequence[StreamLayer]]
SOME = random.Random(7).randbytes(1 << 20)


class Chopping(StreamLayer):
    """Hands everything on in other pieces, and lets some of it wait for a timer; ends wait for what it holds."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {"outgoing": b"", "incoming": b""}
        self._ended: set[str] = set()

    def outgoing(self, data: bytes) -> bytes:
        return self._pass("outgoing", data)

    def incoming(self, data: bytes) -> bytes:
        return self._pass("incoming", data)

    def outgoing_ended(self) -> bool:
        return self._end("outgoing")

    def incoming_ended(self) -> bool:
        return self._end("incoming")

    def timer(self, now: float) -> None:
        for way, send, end in (
            ("outgoing", self.send_out, self.end_out),
            ("incoming", self.send_in, self.end_in),
        ):
            held, self._held[way] = self._held[way], b""
            send(held)
            if way in self._ended:
                end()

    def _pass(self, way: str, data: bytes) -> bytes:
        data = self._held[way] + data
        self._held[way] = data[-(len(data) // 3) :]
        self.wake_at(self.now() + 0.001)
        return data[: len(data) - len(self._held[way])]

    def _end(self, way: str) -> bool:
        self._ended.add(way)
        self.wake_at(self.now())
        return True


class Talk:
    """One direction of one connection: what a seed says is sent, and what came is compared."""

    def __init__(self, seed: int, most: int) -> None:
        self._random = random.Random(seed)
        self._size = int(most ** self._random.random())
        self._slow = self._random.random() < 0.2
        self._sent = hashlib.sha256()
        self._received = hashlib.sha256()

    def send(self, sock: socket.socket) -> None:
        left = self._size
        while left:
            start = self._random.randrange(len(SOME))
            piece = SOME[start : start + min(left, self._random.randrange(1, 200_000))]
            sock.sendall(piece)
            self._sent.update(piece)
            left -= len(piece)
        sock.shutdown(socket.SHUT_WR)

    def receive(self, sock: socket.socket) -> None:
        while data := sock.recv(self._random.randrange(1, 100_000)):
            self._received.update(data)
            if self._slow and self._random.random() < 0.1:
                threading.Event().wait(0.001)

    def is_whole(self) -> bool:
        return self._sent.digest() == self._received.digest()


def talk_over(connection: Relayed, seed: int, most: int) -> str | None:
    """Both directions at once, one perhaps only when the other has ended; what went wrong."""
    there, back = Talk(2 * seed, most), Talk(2 * seed + 1, most)
    tasks = [
        lambda: there.send(connection.program),
        lambda: there.receive(connection.peer),
        lambda: back.receive(connection.program),
    ]
    threads = [threading.Thread(target=task, daemon=True) for task in tasks]
    if seed % 3 == 0:  # the answer comes when the question has ended
        for thread in threads[:2]:
            thread.start()
            thread.join()
    for thread in threads:
        if not thread.ident:
            thread.start()
    back.send(connection.peer)
    for thread in threads:
        thread.join(TIMEOUT_S)
    ending = connection.ending()
    if ending.error is not None:
        return f"connection {seed} ended with {ending.error}"
    return None if there.is_whole() and back.is_whole() else f"connection {seed} has lost something"


def storm(layers: Layers, count: int, at_once: int, most: int) -> list[str]:
    """So many connections; what went wrong."""

    def one(seed: int) -> str | None:
        try:
            with relayed(*layers()) as connection:
                return talk_over(connection, seed, most)
        except OSError as error:
            return f"connection {seed}: {error!r}"

    with ThreadPoolExecutor(at_once) as pool:
        wrong = [text for text in pool.map(one, range(count)) if text is not None]
    assert relay.drain(TIMEOUT_S) == 0
    return wrong


def descriptors() -> int:
    """How many this process has."""
    return len(os.listdir("/proc/self/fd"))


def memory_kib() -> int:
    """How much memory this process uses."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
