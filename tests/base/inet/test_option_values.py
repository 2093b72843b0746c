"""Values of options, at both ends of what fits."""

from __future__ import annotations

import errno
import socket as host
import struct

import pytest

from tests.refusals import refused
from winsock.abi import options
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, ErrorCode
from winsock.abi.options import Linger
from winsock.base.inet.option_values import CODECS, decode, encode
from winsock.core.option_numbers import linger, number
from winsock.spi.provider import OptionValue


def test_every_type_of_a_row_that_the_host_answers_has_a_codec() -> None:
    assert {row.type for row in options.ROWS if row.host == "host"} <= set(CODECS)


@pytest.mark.parametrize(
    ("type", "value", "packed"),
    [
        ("bool", 5, struct.pack("=i", 1)),
        ("bool", b"\0\1", struct.pack("=i", 1)),
        ("int", -1, struct.pack("=i", -1)),
        ("dword", 0xFFFFFFFF, struct.pack("=i", -1)),
        ("linger", (1, 2), struct.pack("=ii", 1, 2)),
        ("timeval_ms", 1500, struct.pack("@ll", 1, 500_000)),
        ("timeval_ms", -1, struct.pack("@ll", 0, 0)),
        ("seconds_ms", 3, struct.pack("=i", 3000)),
        ("ifindex_be", 2, struct.pack("!i", 2)),
        ("in_addr", b"\x7f\0\0\1", b"\x7f\0\0\1"),
        ("ip_mreq_source", b"GGGGSSSSIIII", b"GGGGIIIISSSS"),
    ],
)
def test_encoding(type: str, value: OptionValue, packed: bytes) -> None:
    assert CODECS[type].encode(value) == packed


@pytest.mark.parametrize(
    ("type", "packed", "value"),
    [
        ("bool", struct.pack("=i", 4), 1),
        ("bool", b"", 0),
        ("int", struct.pack("=i", -1), -1),
        ("dword", struct.pack("=i", -1), 0xFFFFFFFF),
        ("linger", struct.pack("=ii", 1, 2), Linger(1, 2)),
        ("timeval_ms", struct.pack("@ll", 1, 500_000), 1500),
        ("timeval_ms", struct.pack("@ll", 1 << 50, 0), 0xFFFFFFFF),
        ("seconds_ms", struct.pack("=i", 2500), 3),
        ("ifindex_be", struct.pack("!i", 2), 2),
        ("error", struct.pack("=i", 111), ErrorCode(10061)),
        ("error", struct.pack("=i", 0), 0),
    ],
)
def test_decoding(type: str, packed: bytes, value: OptionValue) -> None:
    assert CODECS[type].decode(packed) == value


@pytest.mark.parametrize("type", ["error", "int"])
def test_an_error_is_the_hosts_own_number_to_its_programs(type: str) -> None:
    assert encode(type, ErrorCode(10061)) == struct.pack("=i", errno.ECONNREFUSED)
    assert encode(type, ErrorCode(10061, errno.EPERM)) == struct.pack("=i", errno.EPERM)


def test_bytes_of_another_length_than_the_types_are_left_alone() -> None:
    assert decode("bool", struct.pack("=i", 4)) == 1
    assert decode("bool", b"\4") == b"\4"
    assert decode("linger", bytes(9)) == bytes(9)


def test_families_within_structures_become_the_hosts() -> None:
    request = struct.pack("<I4xH", 1, 23).ljust(136, b"\0")
    assert struct.unpack_from("=H", CODECS["group_req"].encode(request), 8)[0] == host.AF_INET6


@pytest.mark.parametrize("value", [1 << 32, -(1 << 31) - 1])
def test_numbers_that_do_not_fit(value: int) -> None:
    with refused(WSAEINVAL):
        number(value)


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), 5, b"\1", None])
def test_what_is_no_linger(value: OptionValue) -> None:
    with refused(WSAEFAULT):
        linger(value)


@pytest.mark.parametrize(("type", "value"), [("in_addr", b"123"), ("in_addr", 5), ("ipv6_mreq", bytes(19))])
def test_structures_that_are_short(type: str, value: OptionValue) -> None:
    with refused(WSAEFAULT):
        CODECS[type].encode(value)
