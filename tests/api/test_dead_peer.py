"""A peer that is gone, and says nothing: in a network that drops whatever is sent there."""

from __future__ import annotations

import socket as host
import time

import pytest

from tests.networks import Far, far_host, needs_a_network, needs_root, own_network
from tests.refusals import code_of, refused
from winsock.abi.constants import AF_INET, AF_INET6, IPPROTO_TCP, SOCK_STREAM, TCP_MAXRT
from winsock.abi.errors import WSAETIMEDOUT
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.api import options, sockets, transfer
from winsock.testing import World

MAXRT_S = 2

pytestmark = [needs_root, needs_a_network]


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_it_is_given_up_when_tcp_maxrt_has_passed(family: int) -> None:
    """The receive that waits for its answer is told, and so is whoever asks later."""
    address = Far.ADDRESSES[family == AF_INET6]
    with own_network(), far_host() as far, World(family=family):
        server = far.does(
            lambda: host.create_server((address, 0), family=host.AF_INET6 if ":" in address else host.AF_INET)
        )
        port = server.getsockname()[1]
        client = sockets.socket(family, SOCK_STREAM, IPPROTO_TCP)
        sockets.connect(client, SockaddrIn6(address, port) if family == AF_INET6 else SockaddrIn(address, port))
        options.setsockopt(client, IPPROTO_TCP, TCP_MAXRT, MAXRT_S)
        far.vanish()
        began = time.monotonic()
        transfer.send(client, b"x")
        with refused(WSAETIMEDOUT):
            transfer.recv(client, 1)
        assert time.monotonic() - began >= MAXRT_S
        for call in (lambda: transfer.send(client, b"x"), lambda: transfer.recv(client, 1)):
            assert code_of(call) == WSAETIMEDOUT
        server.close()
