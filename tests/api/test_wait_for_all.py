"""MSG_WAITALL where a connection breaks in between: what came is told first, and then what broke it."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.refusals import refused
from tests.waiting import DEADLINE_S, wait_until
from winsock.abi.constants import FIONREAD, MSG_WAITALL, SO_RCVTIMEO, SOL_SOCKET
from winsock.abi.errors import WSAECONNRESET, WSAETIMEDOUT
from winsock.api import options, sockets, transfer
from winsock.dispatcher.redirector import as_file
from winsock.host import RESET_ON_CLOSE
from winsock.spi.handles import NonIfsLayer
from winsock.spi.layer import Layer
from winsock.spi.stream import StreamLayer
from winsock.testing import World, through


class Own(NonIfsLayer):
    """Handles of its own."""


class Same(StreamLayer):
    """Gets the bytes, and leaves them alone."""

    def incoming(self, data: bytes) -> bytes:
        return data


WAYS: dict[str, tuple[tuple[type[Layer] | type[StreamLayer], ...], bool]] = {
    "base": ((), False),
    "own handles": ((Own,), False),
    "a file": ((Own,), True),
    "bytes": ((Same,), False),
    "bytes as a file": ((Same, Own), True),
}


def connected(world: World, file: bool) -> tuple[int, socket.socket]:
    """A socket of ours, and its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        s = world.stream()
        sockets.connect(s, listener.getsockname())
        peer, _ = listener.accept()
    if file:
        as_file(s)
    return s, peer


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("begins_before", [True, False], ids=["in between", "before"])
def test_what_came_before_a_reset_is_told_and_then_the_reset(way: str, begins_before: bool) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        s, peer = connected(world, file)
        received: list[bytes] = []
        thread = threading.Thread(target=lambda: received.append(transfer.recv(s, 10, MSG_WAITALL)), daemon=True)
        peer.sendall(b"some")
        wait_until(lambda: options.ioctlsocket(s, FIONREAD) == 4, "for the first bytes to come")
        if begins_before:
            thread.start()
            if way != "bytes":  # which are kept until there are enough
                wait_until(lambda: not options.ioctlsocket(s, FIONREAD), "for them to be taken")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        peer.close()
        if not begins_before:
            thread.start()
        thread.join(DEADLINE_S)
        assert received == [b"some"]
        for flags in (MSG_WAITALL, 0):
            with refused(WSAECONNRESET):
                transfer.recv(s, 10, flags)


@pytest.mark.parametrize("way", WAYS)
def test_what_came_before_a_time_out_is_told_and_the_connection_goes_on(way: str) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        s, peer = connected(world, file)
        options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, 50)
        with peer:
            peer.sendall(b"some")
            wait_until(lambda: options.ioctlsocket(s, FIONREAD) == 4, "for the first bytes to come")
            assert transfer.recv(s, 10, MSG_WAITALL) == b"some"
            with refused(WSAETIMEDOUT):
                transfer.recv(s, 10, MSG_WAITALL)
            peer.sendall(b"more")
            wait_until(lambda: options.ioctlsocket(s, FIONREAD) == 4, "for the rest to come")
            assert transfer.recv(s, 4, MSG_WAITALL) == b"more"
