"""Winsock from 64 threads at once: connections, datagrams, errors and handles of one thread disturb no other."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.layers import OwnHandles, PassThrough, Untouched
from winsock.abi.constants import AF_INET, IPPROTO_TCP, IPPROTO_UDP, SO_TYPE, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET
from winsock.abi.errors import WSAEISCONN, WSAENOTCONN, WSAENOTSOCK, WinsockError
from winsock.api import options, sockets, startup, transfer
from winsock.dispatcher.records import records
from winsock.testing import World, through
from winsock.testing.pairs import LayerLike

THREADS, ROUNDS = 64, 5
WORLDS: dict[str, tuple[LayerLike, ...]] = {
    "base": (),
    "pass": (PassThrough,),
    "own": (OwnHandles,),
    "stream": (Untouched,),
}


def at_once(body: Callable[[int], None]) -> None:
    """Let all threads begin together; what one of them raises is raised here."""
    begin = threading.Barrier(THREADS)

    def run(index: int) -> None:
        begin.wait(60)
        body(index)

    with ThreadPoolExecutor(THREADS) as pool:
        for result in [pool.submit(run, index) for index in range(THREADS)]:
            result.result()


def received(s: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := transfer.recv(s, size - len(data))):
        data += piece
    return data


def last_error_of(call: Callable[[], object], code: int) -> None:
    with pytest.raises(WinsockError):
        call()
    assert startup.WSAGetLastError() == code


@pytest.mark.parametrize("layers", WORLDS.values(), ids=WORLDS)
def test_each_has_connections_errors_and_handles_of_its_own(layers: tuple[LayerLike, ...]) -> None:
    with World(through(*layers) if layers else None):
        listener = sockets.socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
        sockets.bind(listener, ("127.0.0.1", 0))
        sockets.listen(listener, THREADS * ROUNDS)
        address = sockets.getsockname(listener)
        before, known = len(os.listdir("/proc/self/fd")), len(records)

        def body(index: int) -> None:
            for number in range(ROUNDS):
                said = bytes([index, number]) * 5000
                client = sockets.socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
                last_error_of(lambda s=client: transfer.send(s, b"x"), WSAENOTCONN)  # type: ignore[misc]
                sockets.connect(client, address)
                server, _ = sockets.accept(listener)  # whoever's it is
                transfer.send(client, said)
                whose = received(server, len(said))
                assert whose == whose[:2] * 5000
                transfer.send(server, whose)
                assert received(client, len(said)) == said
                assert startup.WSAGetLastError() == WSAENOTCONN, "another thread's error is none of this one's"
                last_error_of(lambda s=server: sockets.listen(s, 5), WSAEISCONN)  # type: ignore[misc]
                assert options.getsockopt(server, SOL_SOCKET, SO_TYPE) == SOCK_STREAM
                sockets.closesocket(client)
                assert received(server, 1) == b""
                sockets.closesocket(server)

        at_once(body)
        kept = THREADS + 2 if layers else 0  # of what ends a wait, for who waits next
        assert len(os.listdir("/proc/self/fd")) <= before + kept
        assert len(records) == known
        sockets.closesocket(listener)
        last_error_of(lambda: sockets.closesocket(listener), WSAENOTSOCK)


def test_one_datagram_socket_serves_all() -> None:
    """Every datagram is received once, by whichever thread."""
    with World():
        one = sockets.socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP)
        sockets.bind(one, ("127.0.0.1", 0))
        address = sockets.getsockname(one)
        heard: list[bytes] = []

        def body(index: int) -> None:
            for number in range(ROUNDS):
                transfer.sendto(one, bytes([index, number]), 0, address)
                heard.append(transfer.recv(one, 100))

        at_once(body)
        assert sorted(heard) == [bytes([index, number]) for index in range(THREADS) for number in range(ROUNDS)]


def test_all_start_and_stop() -> None:
    """WSAStartup and WSACleanup are counted, whoever calls them."""

    def body(index: int) -> None:
        for _ in range(ROUNDS):
            startup.WSAStartup(0x202)
            sockets.closesocket(sockets.socket(AF_INET, SOCK_STREAM, 0))
            startup.WSACleanup()

    at_once(body)
    last_error_of(startup.WSACleanup, 10093)
