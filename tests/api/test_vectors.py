"""WSASend, WSASendTo, WSARecv and WSARecvFrom without overlapped structures: what their pages promise beside the data.

Sources: nf-winsock2-wsasend, nf-winsock2-wsasendto, nf-winsock2-wsarecv, nf-winsock2-wsarecvfrom.
"""

from __future__ import annotations

import pytest

from tests.refusals import refused
from winsock.abi import errors as e
from winsock.abi.constants import (
    FIONBIO,
    FIONREAD,
    MSG_OOB,
    MSG_PARTIAL,
    SD_SEND,
    SO_MAX_MSG_SIZE,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.api import options, sockets, transfer, waiting
from winsock.testing import World

HALVES = [b"one", b"two"]


def unbound(kind: int) -> int:
    return sockets.socket(2, kind, 0)


def room() -> list[bytearray]:
    return [bytearray(2), bytearray(2)]


def test_nobody_to_send_to(world: World) -> None:
    for s in (unbound(SOCK_STREAM), unbound(SOCK_DGRAM)):
        with refused(e.WSAENOTCONN):
            transfer.WSASend(s, HALVES)
    with refused(e.WSAENOTCONN):
        transfer.WSASendTo(unbound(SOCK_STREAM), HALVES, 0, ("127.0.0.1", 9))


def test_nothing_is_sent_after_a_shutdown(world: World) -> None:
    for s in (world.connected().client, world.datagrams().client):
        sockets.shutdown(s, SD_SEND)
        for buffers in (HALVES, [b""]):
            with refused(e.WSAESHUTDOWN):
                transfer.WSASend(s, buffers)
            with refused(e.WSAESHUTDOWN):
                transfer.WSASendTo(s, buffers, 0, ("127.0.0.1", 9))


def test_a_message_that_is_too_long_in_all_is_not_sent(world: World) -> None:
    pair = world.datagrams()
    most = options.getsockopt(pair.client, SOL_SOCKET, SO_MAX_MSG_SIZE)
    assert isinstance(most, int)
    with refused(e.WSAEMSGSIZE):
        transfer.WSASend(pair.client, [bytes(most), b"x"])
    with refused(e.WSAEMSGSIZE):
        transfer.WSASendTo(pair.client, [bytes(most), b"x"], 0, sockets.getsockname(pair.server))
    assert options.ioctlsocket(pair.server, FIONREAD) == 0


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (("255.255.255.255", 9), e.WSAEACCES),
        (("0.0.0.0", 9), e.WSAEADDRNOTAVAIL),
        (SockaddrIn6("::1", 9), e.WSAEAFNOSUPPORT),
        (None, e.WSAEDESTADDRREQ),
    ],
)
def test_where_no_datagram_goes(world: World, to: Sockaddr | None, code: int) -> None:
    with refused(code):
        transfer.WSASendTo(unbound(SOCK_DGRAM), HALVES, 0, to)


@pytest.mark.parametrize("flags", [MSG_OOB, MSG_PARTIAL])
def test_datagrams_are_neither_urgent_nor_partial(world: World, flags: int) -> None:
    pair = world.datagrams()
    with refused(e.WSAEOPNOTSUPP):
        transfer.WSASend(pair.client, HALVES, flags)
    with refused(e.WSAEOPNOTSUPP):
        transfer.WSASendTo(pair.client, HALVES, flags, sockets.getsockname(pair.server))


def test_a_stream_that_does_not_block_takes_a_part_and_then_nothing(world: World) -> None:
    client, _ = world.connected()
    options.ioctlsocket(client, FIONBIO, 1)
    halves = [bytes(1 << 22), bytes(1 << 22)]
    sent = transfer.WSASendTo(client, halves, 0, ("192.0.2.1", 9))
    assert sent is not None
    assert 0 < sent < 1 << 23
    with refused(e.WSAEWOULDBLOCK):
        while True:
            transfer.WSASendTo(client, halves)


def test_the_address_of_a_datagram_counts_for_that_one_alone(world: World) -> None:
    pair, other = world.datagrams(), world.datagram()
    assert transfer.WSASendTo(pair.client, HALVES, 0, sockets.getsockname(other)) == 6
    assert transfer.recv(other, 9) == b"onetwo"
    assert transfer.WSASend(pair.client, HALVES) == 6
    assert transfer.recv(pair.server, 9) == b"onetwo"


def test_whoever_sends_unbound_gets_a_port_and_no_address(world: World) -> None:
    s = unbound(SOCK_DGRAM)
    with refused(e.WSAEINVAL):
        transfer.WSARecvFrom(s, room())
    transfer.WSASendTo(s, HALVES, 0, sockets.getsockname(world.datagram()))
    name = sockets.getsockname(s)
    assert isinstance(name, SockaddrIn)
    assert (name.host, name.port != 0) == ("0.0.0.0", True)


def test_nobody_to_receive_from(world: World) -> None:
    s = unbound(SOCK_STREAM)
    for receive in (transfer.WSARecv, transfer.WSARecvFrom):
        with refused(e.WSAEINVAL):
            receive(s, room())
    sockets.bind(s, world.anywhere)
    for receive in (transfer.WSARecv, transfer.WSARecvFrom):
        with refused(e.WSAENOTCONN):
            receive(s, room())


def test_nothing_to_receive(world: World) -> None:
    for s in (world.connected().client, world.datagram()):
        options.ioctlsocket(s, FIONBIO, 1)
        with refused(e.WSAEWOULDBLOCK):
            transfer.WSARecvFrom(s, room())


def test_a_datagram_sent_before_found_nobody(world: World) -> None:
    s, gone = world.datagram(), world.datagram()
    name = sockets.getsockname(gone)
    sockets.closesocket(gone)
    for receive in (transfer.WSARecv, transfer.WSARecvFrom):
        assert transfer.WSASendTo(s, HALVES, 0, name) == 6
        assert waiting.select(0, [s], [], [], 20)[0] == [s]
        with refused(e.WSAECONNRESET):
            receive(s, room())


def test_the_rest_of_a_message_is_lost_and_its_source_told(world: World) -> None:
    pair = world.datagrams()
    transfer.WSASend(pair.client, HALVES)
    buffers = room()
    with refused(e.WSAEMSGSIZE) as caught:
        transfer.WSARecvFrom(pair.server, buffers)
    assert (b"".join(buffers), caught.value.count) == (b"onet", 4)
    assert caught.value.address == sockets.getsockname(pair.client)
    assert options.ioctlsocket(pair.server, FIONREAD) == 0
