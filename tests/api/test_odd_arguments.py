"""What is no socket at all, and what is no function: the documented errors, not Python's own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.refusals import refused
from winsock.abi.constants import SO_KEEPALIVE, SOL_SOCKET
from winsock.abi.errors import WSAEFAULT, WSAENOTSOCK
from winsock.api import options, sockets, transfer
from winsock.dispatcher.records import find
from winsock.testing import World


def test_an_odd_thing_is_no_socket() -> None:
    calls: tuple[Any, ...] = (
        lambda s: sockets.closesocket(s),
        lambda s: sockets.getsockname(s),
        lambda s: sockets.shutdown(s, 1),
        lambda s: transfer.WSASend(s, [b"x"]),
        lambda s: options.getsockopt(s, SOL_SOCKET, SO_KEEPALIVE),
    )
    odd: Any
    with World():
        for call in calls:
            for odd in ([], {}, "socket", None):
                with refused(WSAENOTSOCK):
                    call(odd)


@pytest.mark.parametrize("condition", [5, "no function", []])
def test_a_condition_is_a_function(world: World, condition: Any) -> None:
    listener, address = world.listener()
    sockets.connect(world.stream(), address)
    with refused(WSAEFAULT, "condition"):
        sockets.WSAAccept(listener, condition)
    with refused(WSAEFAULT, "condition"):  # providers check their own arguments
        find(listener).table.WSPAccept(listener, condition)
    assert sockets.accept(listener)[0] >= 0
