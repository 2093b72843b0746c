"""Buffers of every kind and number: what is told of a call is what it did (IO)."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from tests.refusals import refused
from winsock.abi.constants import MSG_PARTIAL, MSG_WAITALL, SO_RCVTIMEO, SOL_SOCKET
from winsock.abi.errors import WSAEFAULT, WSAEMSGSIZE, WinsockError
from winsock.api import options, sockets, transfer
from winsock.testing import World

MANY = 1500
"""More than the kernel takes in one call."""


def many(size: int = 1) -> list[bytearray]:
    return [bytearray(size) for _ in range(MANY)]


def datagrams(world: World) -> tuple[int, int]:
    one, other = world.datagram(), world.datagram()
    options.setsockopt(other, SOL_SOCKET, SO_RCVTIMEO, 20_000)
    sockets.connect(one, sockets.getsockname(other))
    return one, other


@pytest.mark.parametrize("send", [transfer.send, lambda s, data: transfer.WSASend(s, [data])])
def test_a_buffer_that_has_no_length_is_sent_once(world: World, send: Any) -> None:
    client, server = world.connected()
    for number in (1, 2):  # the first send of a socket goes another way than the second
        assert send(client, ctypes.c_int(number)) == 4
        assert transfer.recv(server, 4, MSG_WAITALL) == number.to_bytes(4, "little")


def test_buffers_that_come_one_by_one_are_none(world: World) -> None:
    client, server = world.connected()
    with refused(WSAEFAULT, "buffers"):
        transfer.WSASend(client, (data for data in (b"a", b"b")))  # type: ignore[arg-type]
    transfer.send(client, b"!")
    assert transfer.recv(server, 10) == b"!"  # nothing went before


def test_more_buffers_than_the_kernel_takes_at_once_io_003(world: World) -> None:
    client, server = world.connected()
    data = bytes(number % 251 for number in range(2 * MANY))
    pieces = [data[at : at + 2] for at in range(0, len(data), 2)]
    assert transfer.WSASend(client, pieces) == len(data)
    buffers = many(2)
    assert transfer.WSARecv(server, buffers, MSG_WAITALL) == (len(data), 0)
    assert b"".join(buffers) == data  # IO-003


def test_many_buffers_are_one_datagram(world: World) -> None:
    one, other = datagrams(world)
    assert transfer.WSASend(one, [b"x"] * MANY) == MANY
    buffers = many()
    count, flags, source = transfer.WSARecvFrom(other, buffers) or (0, 0, None)
    assert (count, flags, b"".join(buffers)) == (MANY, 0, b"x" * MANY)
    assert source == sockets.getsockname(one)


def test_many_buffers_are_filled_where_the_datagram_is_longer_io_005(world: World) -> None:
    one, other = datagrams(world)
    transfer.send(one, b"y" * (MANY + 1))
    buffers = many()
    with pytest.raises(WinsockError) as caught:
        transfer.WSARecv(other, buffers)
    assert (caught.value.winerror, caught.value.count) == (WSAEMSGSIZE, MANY)
    assert b"".join(buffers) == b"y" * MANY
    transfer.send(one, b"z" * (MANY + 1))
    assert transfer.WSARecv(other, many(), MSG_PARTIAL) == (MANY, MSG_PARTIAL)


def test_among_many_buffers_each_must_be_one(world: World) -> None:
    client, server = world.connected()
    for odd in (b"read only", None):
        with refused(WSAEFAULT, "buffers"):
            transfer.WSARecv(server, [*many(), odd])  # type: ignore[list-item]
    with refused(WSAEFAULT, "buffers"):
        transfer.WSASend(client, [*many(), "text"])  # type: ignore[list-item]
