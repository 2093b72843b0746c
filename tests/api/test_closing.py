"""closesocket: what becomes of data that the peer has not got yet.

Sources: nf-winsock2-closesocket; "Graceful Shutdown, Linger Options, and Socket Closure".
"""

from __future__ import annotations

import threading

import pytest

from tests.refusals import refused
from winsock.abi.constants import FIONBIO, SO_DONTLINGER, SO_LINGER, SOL_SOCKET
from winsock.abi.errors import WSAECONNRESET, WinsockError
from winsock.abi.options import Linger
from winsock.api import options, sockets, transfer
from winsock.testing import World

MEGABYTE = 1 << 20


def fill(s: int) -> int:
    """Send until nothing more goes; how much went."""
    options.ioctlsocket(s, FIONBIO, 1)
    sent = 0
    try:
        while True:
            sent += transfer.send(s, bytes(MEGABYTE))
    except WinsockError:
        options.ioctlsocket(s, FIONBIO, 0)
    return sent


def receive_all(s: int) -> int:
    received = 0
    while data := transfer.recv(s, MEGABYTE):
        received += len(data)
    return received


def test_the_connection_is_reset_where_lingering_was_not_long_enough(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 1))
    fill(client)
    sockets.closesocket(client)
    with refused(WSAECONNRESET):
        receive_all(server)


def test_closing_waits_until_all_has_arrived(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 60))
    sent = fill(client)
    received: list[int] = []
    reader = threading.Thread(target=lambda: received.append(receive_all(server)), daemon=True)
    reader.start()
    sockets.closesocket(client)
    reader.join(20)
    assert received == [sent]


@pytest.mark.parametrize("option", [(SO_LINGER, Linger(0, 60)), (SO_DONTLINGER, 1)])
def test_who_does_not_linger_neither_waits_nor_loses_anything(world: World, option: tuple[int, int]) -> None:
    client, server = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 60))
    options.setsockopt(client, SOL_SOCKET, *option)
    sent = fill(client)
    sockets.closesocket(client)
    assert receive_all(server) == sent
