"""Options as their pages have them: what each is for, what it takes, and what it says where nobody has set it.

Sources: "SOL_SOCKET Socket Options", "IPPROTO_IP socket options", "IPPROTO_IPV6 socket options", "IPPROTO_TCP socket
options", "IPPROTO_UDP socket options" and the pages of single options.
"""

from __future__ import annotations

import socket as host

import pytest

from tests.refusals import refused
from winsock.abi.constants import (
    IP_OPTIONS,
    IPPROTO_IP,
    SO_RCVLOWAT,
    SO_SNDLOWAT,
    SO_USELOOPBACK,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEFAULT, WSAEINVAL
from winsock.api import options, transfer
from winsock.testing import World

RECORD_ROUTE = bytes((7, 7, 4, 0, 0, 0, 0, 0))
IP_RECVOPTS = 6  # of Linux


def test_options_of_the_header_go_with_every_packet(world: World) -> None:
    s = world.datagram()
    assert options.getsockopt(s, IPPROTO_IP, IP_OPTIONS) == b""
    options.setsockopt(s, IPPROTO_IP, IP_OPTIONS, RECORD_ROUTE)
    assert options.getsockopt(s, IPPROTO_IP, IP_OPTIONS) == RECORD_ROUTE
    with host.socket(host.AF_INET, host.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setsockopt(host.IPPROTO_IP, IP_RECVOPTS, 1)
        for wanted in (RECORD_ROUTE[:2], b""):
            transfer.sendto(s, b"x", 0, receiver.getsockname())
            _, control, _, _ = receiver.recvmsg(1, 100)
            assert [data[:2] for _, _, data in control] == [wanted] * bool(wanted)
            options.setsockopt(s, IPPROTO_IP, IP_OPTIONS, b"")
    assert options.getsockopt(s, IPPROTO_IP, IP_OPTIONS) == b""


@pytest.mark.parametrize("value", [None, 7, "text"])
def test_options_of_the_header_are_bytes(world: World, value: bytes) -> None:
    with refused(WSAEFAULT):
        options.setsockopt(world.datagram(), IPPROTO_IP, IP_OPTIONS, value)


@pytest.mark.parametrize("value", [bytes(41), bytes((7, 200, 4, 0))])
def test_what_no_header_holds(world: World, value: bytes) -> None:
    with refused(WSAEINVAL):
        options.setsockopt(world.datagram(), IPPROTO_IP, IP_OPTIONS, value)


@pytest.mark.parametrize("optname", [SO_RCVLOWAT, SO_SNDLOWAT, SO_USELOOPBACK])
def test_options_of_bsd_that_windows_refuses(world: World, optname: int) -> None:
    for s in (world.stream(), world.datagram()):
        with refused(WSAEINVAL):
            options.getsockopt(s, SOL_SOCKET, optname)
        with refused(WSAEINVAL):
            options.setsockopt(s, SOL_SOCKET, optname, 1)
