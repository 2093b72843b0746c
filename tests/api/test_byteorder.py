"""Byte order."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable

import pytest

from tests.refusals import refused
from winsock.abi.constants import LITTLEENDIAN
from winsock.abi.errors import WSAENOTSOCK
from winsock.api import byteorder
from winsock.dispatcher.records import records
from winsock.testing import World

Swap = Callable[[int], int]


@pytest.mark.parametrize(
    ("to_network", "to_host", "number", "swapped"),
    [
        (byteorder.htons, byteorder.ntohs, 0x1234, 0x3412),
        (byteorder.htonl, byteorder.ntohl, 0x12345678, 0x78563412),
        (byteorder.htonll, byteorder.ntohll, 0x0102030405060708, 0x0807060504030201),
    ],
)
def test_integers(to_network: Swap, to_host: Swap, number: int, swapped: int) -> None:
    assert to_network(number) == (swapped if sys.byteorder == "little" else number)
    assert to_host(to_network(number)) == number


def test_numbers_are_cut_to_their_width_as_in_c() -> None:
    assert byteorder.htons(0x51234) == byteorder.htons(0x1234)
    assert byteorder.htonl(-2) == byteorder.htonl(0xFFFFFFFE)


def test_floats() -> None:
    assert byteorder.htonf(1.5).to_bytes(4, sys.byteorder) == struct.pack(">f", 1.5)
    assert byteorder.ntohf(byteorder.htonf(1.5)) == 1.5
    assert byteorder.htond(-0.1).to_bytes(8, sys.byteorder) == struct.pack(">d", -0.1)
    assert byteorder.ntohd(byteorder.htond(-0.1)) == -0.1


def test_the_order_of_the_protocol_addr_005(world: World) -> None:
    s = world.stream()
    assert byteorder.WSAHtons(s, 0x1234) == byteorder.htons(0x1234)
    assert byteorder.WSANtohs(s, byteorder.htons(0x1234)) == 0x1234
    assert byteorder.WSAHtonl(s, 0x12345678) == byteorder.htonl(0x12345678)
    assert byteorder.WSANtohl(s, byteorder.htonl(0x12345678)) == 0x12345678
    with refused(WSAENOTSOCK):
        byteorder.WSAHtonl(9999, 1)


def test_a_protocol_may_have_the_other_order_addr_005(world: World) -> None:
    s = world.stream()
    chain = records[s].chain
    entry = chain.entry
    chain.entry = entry._replace(info=entry.info._replace(iNetworkByteOrder=LITTLEENDIAN))
    try:
        expected = 0x1234 if sys.byteorder == "little" else 0x3412
        assert byteorder.WSAHtons(s, 0x1234) == expected
    finally:
        chain.entry = entry
