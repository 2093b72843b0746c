"""The redirector for long: thousands of random conversations, thousands of files, and nothing left behind."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings

from tests.dispatcher.redirecting.oracle import Step, compare, steps
from tests.dispatcher.strangers import World, settle
from winsock.api import sockets, transfer
from winsock.dispatcher.redirecting import pump

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

FILES = 3000
AT_ONCE = 20


@settings(max_examples=4000, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(steps(most=40, largest=20_000))
def test_nobody_can_tell_them_apart(sequence: list[Step]) -> None:
    with World() as world:
        compare(world, sequence)


def test_every_byte_of_many_files_arrives_and_nothing_stays() -> None:
    with World() as world:
        converse(world, 0)  # what is made once is made
        settle()
        before = len(os.listdir("/proc/self/fd"))
        with ThreadPoolExecutor(AT_ONCE) as crowd:
            assert all(crowd.map(lambda seed: converse(world, seed), range(FILES)))
        settle()
        assert not pump.running
        assert len(os.listdir("/proc/self/fd")) == before
        assert [thread.name for thread in threading.enumerate() if "winsock" in thread.name] == []


def converse(world: World, seed: int) -> bool:
    """One file and its peer send each other what the seed says, in the pieces that it says; whether all arrived."""
    s, peer = world.file()
    with peer:
        chance = random.Random(seed)
        ours, theirs = (chance.randbytes(chance.randrange(300_000)) for _ in range(2))
        with ThreadPoolExecutor(3) as threads:
            there = threads.submit(speak, s, ours, random.Random(seed + 1))
            back = threads.submit(send_all, peer, theirs)
            heard = threads.submit(hear, peer)
            here = listen(s, random.Random(seed + 2))
            there.result()
            back.result()
            arrived = heard.result()
    chance.choice([os.close, sockets.closesocket])(s)
    return (digest(ours), digest(theirs)) == (digest(arrived), digest(here))


def speak(s: int, data: bytes, chance: random.Random) -> None:
    while data:
        part = data[: chance.choice([1, 100, 5000, 80_000])]
        write = os.write if chance.random() < 0.5 else transfer.send
        data = data[write(s, part) :]
    sockets.shutdown(s, 1)


def listen(s: int, chance: random.Random) -> bytes:
    parts = []
    while part := chance.choice([os.read, transfer.recv])(s, chance.choice([1, 100, 5000, 80_000])):
        parts.append(part)
    return b"".join(parts)


def send_all(peer: socket.socket, data: bytes) -> None:
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def hear(peer: socket.socket) -> bytes:
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
