"""Functions of few words: WSARecvEx, gethostname, and quality of service that there is none of (EXT, NAME, QOS)."""

from __future__ import annotations

import socket as host
from collections.abc import Iterator

import pytest

import winsock
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEINVAL,
    WSAENOTSOCK,
    WSAESHUTDOWN,
    WSAEWOULDBLOCK,
    WSANOTINITIALISED,
    WSASYSCALLFAILURE,
)
from winsock.abi.guids import GUID_NULL
from winsock.abi.structures import QOS
from winsock.testing import World


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


class TestRecvEx:
    """WSARecvEx."""

    def test_a_part_of_a_message_is_told_ext_016(self, world: World) -> None:
        pair = world.datagrams()
        winsock.send(pair.client, b"longer than that")
        winsock.send(pair.client, b"short")
        buffer = bytearray(6)
        assert winsock.WSARecvEx(pair.server, buffer) == (6, c.MSG_PARTIAL)
        assert buffer == b"longer"
        assert winsock.WSARecvEx(pair.server, buffer, c.MSG_PEEK) == (5, 0), "flags are not looked at"
        winsock.ioctlsocket(pair.server, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            winsock.WSARecvEx(pair.server, buffer)

    def test_streams_have_no_parts_ext_016(self, world: World) -> None:
        pair = world.connected()
        winsock.send(pair.client, b"longer than that")
        assert winsock.WSARecvEx(pair.server, bytearray(6)) == (6, 0)
        winsock.shutdown(pair.client, c.SD_SEND)
        assert winsock.WSARecvEx(pair.server, bytearray(100)) == (10, 0)
        assert winsock.WSARecvEx(pair.server, bytearray(100)) == (0, 0)
        winsock.shutdown(pair.server, c.SD_RECEIVE)
        with refused(WSAESHUTDOWN):
            winsock.WSARecvEx(pair.server, bytearray(100))

    def test_what_is_wrong(self, world: World) -> None:
        with refused(WSAENOTSOCK):
            winsock.WSARecvEx(-1, bytearray(1))
        with refused(WSAEINVAL):
            winsock.WSARecvEx(winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0), bytearray(1))
        with refused(WSAEFAULT):
            winsock.WSARecvEx(world.datagram(), b"constant")  # type: ignore[arg-type]


def test_the_name_of_the_host_name_023(world: World) -> None:
    assert winsock.gethostname() == host.gethostname()


def test_the_name_of_the_host_before_the_start() -> None:
    with refused(WSANOTINITIALISED):
        winsock.gethostname()


class TestQuality:
    """Quality of service."""

    def test_there_are_no_templates_qos_001(self, world: World) -> None:
        for s in (world.stream(), world.datagram()):
            assert winsock.WSAGetQOSByName(s, "") == []
            with refused(WSAEINVAL, "G711"):
                winsock.WSAGetQOSByName(s, "G711")

    def test_none_can_be_installed_qos_002(self) -> None:
        with refused(WSASYSCALLFAILURE):
            winsock.WSCInstallQOSTemplate(GUID_NULL, "mine", QOS())
        with refused(WSASYSCALLFAILURE):
            winsock.WSCRemoveQOSTemplate(GUID_NULL, "mine")

    def test_what_is_wrong(self, world: World) -> None:
        with refused(WSAENOTSOCK):
            winsock.WSAGetQOSByName(-1, "")
        with refused(WSAEFAULT):
            winsock.WSAGetQOSByName(world.stream(), None)  # type: ignore[arg-type]
