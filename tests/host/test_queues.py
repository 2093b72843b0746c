"""What the kernel answers about a socket's queues."""

from __future__ import annotations

import os
import select
import socket

import pytest

from tests.dispatcher.strangers import tcp_pair
from winsock.host.queues import AT_MARK, UNDELIVERED, UNREAD, ask, ask_or_0


def wait_for(sock: socket.socket, events: int) -> None:
    poller = select.poll()
    poller.register(sock, events)
    assert poller.poll(10_000)


def test_the_bytes_that_can_be_read_are_counted() -> None:
    one, other = tcp_pair()
    with one, other:
        assert ask(other, UNREAD) == ask_or_0(other.fileno(), UNREAD) == 0
        one.sendall(b"seven..")
        wait_for(other, select.POLLIN)
        assert ask(other.fileno(), UNREAD) == ask_or_0(other, UNREAD) == 7


def test_what_has_not_arrived_is_counted() -> None:
    one, other = tcp_pair()
    with one, other:
        one.setblocking(False)
        sent = 0
        while select.select([], [one], [], 0)[1]:
            sent += one.send(bytes(1 << 16))
        assert 0 < ask(one, UNDELIVERED) <= sent


def test_the_place_of_an_urgent_byte_is_found() -> None:
    one, other = tcp_pair()
    with one, other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        one.send(b"!", socket.MSG_OOB)
        wait_for(other, select.POLLPRI)
        assert ask(other, AT_MARK) == 1
        assert other.recv(1) == b"!"
        assert ask(other, AT_MARK) == 0


def test_where_there_is_no_answer_it_is_an_error_or_0() -> None:
    with open(os.devnull, "rb") as file:
        with pytest.raises(OSError, match="ioctl"):
            ask(file.fileno(), UNREAD)
        assert ask_or_0(file.fileno(), UNREAD) == 0
    closed = socket.socket()
    closed.close()
    assert ask_or_0(closed, UNREAD) == 0
