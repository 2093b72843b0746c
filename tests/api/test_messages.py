"""WSASendMsg: datagrams, to an address or to the peer (ADDR-010, IO-016)."""

from __future__ import annotations

import pytest

import winsock
from tests.refusals import refused
from winsock import WSAMSG
from winsock.abi import constants as c
from winsock.abi.errors import WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL, WSAENOTCONN, WSAEOPNOTSUPP
from winsock.abi.sockaddr import SockaddrIn6
from winsock.testing import World


def test_to_an_address_in_pieces_binds_addr_010(world: World) -> None:
    receiver = world.datagram()
    s = winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0)
    assert winsock.WSASendMsg(s, WSAMSG(winsock.getsockname(receiver), [b"one", b" datagram"])) == 12
    data, source = winsock.recvfrom(receiver, 100)
    assert data == b"one datagram"
    assert getattr(source, "port", None) == getattr(winsock.getsockname(s), "port", 0) != 0


def test_to_the_peer_and_to_somebody_else(world: World) -> None:
    pair, other = world.datagrams(), world.datagram()
    assert winsock.WSASendMsg(pair.client, WSAMSG(None, [b"peer"])) == 4
    assert winsock.WSASendMsg(pair.client, WSAMSG(winsock.getsockname(other), [b"other"])) == 5
    assert winsock.recv(pair.server, 100) == b"peer"
    assert winsock.recv(other, 100) == b"other"


def test_the_messages_own_flags_are_not_looked_at_io_016(world: World) -> None:
    pair = world.datagrams()
    assert winsock.WSASendMsg(pair.client, WSAMSG(None, [b"x"], flags=0x40000000)) == 1
    with refused(WSAEINVAL):
        winsock.WSASendMsg(pair.client, WSAMSG(None, [b"x"]), 0x40000000)


def test_streams_have_no_messages_io_016(world: World) -> None:
    with refused(WSAEOPNOTSUPP):
        winsock.WSASendMsg(world.connected().client, WSAMSG(None, [b"x"]))


@pytest.mark.parametrize("message", [None, b"bytes", (None, [b"x"])])
def test_what_is_no_message(world: World, message: object) -> None:
    with refused(WSAEFAULT):
        winsock.WSASendMsg(world.datagram(), message)  # type: ignore[arg-type]


def test_what_cannot_be_sent(world: World) -> None:
    s = world.datagram()
    with refused(WSAEOPNOTSUPP):
        winsock.WSASendMsg(s, WSAMSG(world.anywhere, [b"x"], control=bytes(16)))
    with refused(WSAENOTCONN):
        winsock.WSASendMsg(s, WSAMSG(None, [b"x"]))
    with refused(WSAEFAULT):
        winsock.WSASendMsg(s, WSAMSG(("127.0.0.1",), [b"x"]))
    with refused(WSAEAFNOSUPPORT):
        winsock.WSASendMsg(s, WSAMSG(SockaddrIn6("::1", 9), [b"x"]))
