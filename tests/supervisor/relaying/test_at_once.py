"""Connects that do not wait, on files that do."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from winsock.abi.sockaddr import SockaddrIn
from winsock.base.inet import addresses
from winsock.supervisor.crew import WAKE_SIGNAL
from winsock.supervisor.relaying import at_once, doors
from winsock.supervisor.relaying.doors import AF_INET, Doors

WAYS: tuple[Callable[[int, bytes], int], ...] = (at_once.connect, at_once.without_fast_open)


@pytest.fixture(autouse=True)
def woken() -> Iterator[None]:
    """The handler of the wake-up signal, as in a supervisor."""
    before = signal.signal(WAKE_SIGNAL, lambda number, frame: None)
    signal.siginterrupt(WAKE_SIGNAL, True)
    yield
    signal.signal(WAKE_SIGNAL, before)


@pytest.mark.parametrize("connect", WAYS)
@pytest.mark.parametrize("blocking", [True, False])
def test_it_is_on_its_way_and_the_file_is_as_it_was(
    connect: Callable[[int, bytes], int], blocking: bool, opened: Doors
) -> None:
    with socket.socket() as made:
        made.setblocking(blocking)
        assert connect(made.fileno(), opened.way(AF_INET, True).waiting) == errno.EINPROGRESS
        assert os.get_blocking(made.fileno()) == blocking == at_once.is_blocking(made.fileno())
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 2  # SYN_SENT


@pytest.mark.parametrize("connect", WAYS)
def test_a_refusal_is_the_sockets_own_error(connect: Callable[[int, bytes], int], opened: Doors) -> None:
    with socket.socket() as made:
        made.setblocking(False)
        assert connect(made.fileno(), opened.way(AF_INET, True).refusing) == errno.EINPROGRESS
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


@pytest.mark.parametrize("connect", WAYS)
def test_what_cannot_begin_says_why(connect: Callable[[int, bytes], int]) -> None:
    with socket.socket() as made:
        assert connect(made.fileno(), addresses.pack(SockaddrIn("224.0.0.1", 1))) == errno.ENETUNREACH
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as made:
        assert connect(made.fileno(), addresses.pack(SockaddrIn(*server.getsockname()))) == errno.EISCONN


def test_a_connect_that_waits_is_called_back_and_goes_on(opened: Doors) -> None:
    way = opened.way(AF_INET, True)
    with socket.socket() as made:
        assert at_once.interrupted(made.fileno(), way.waiting) == errno.EINPROGRESS
        os.close(doors.meet(way, SockaddrIn(*made.getsockname())))
