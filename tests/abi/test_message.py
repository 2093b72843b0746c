"""Control data in Windows' layout, made and taken apart."""

from __future__ import annotations

import ctypes
import struct

import pytest

import winsock
from tests.refusals import refused
from winsock.abi import structures
from winsock.abi.errors import WSAEFAULT, WSAEINVAL
from winsock.abi.message import WSA_CMSG_LEN, WSA_CMSG_SPACE, WSACMSGHDR, pack_control, unpack_control

ONE, OTHER = WSACMSGHDR(0, 19, b"8 bytes."), WSACMSGHDR(41, 39, b"\1\2\3\4")


def test_lengths() -> None:
    assert [WSA_CMSG_LEN(length) for length in (0, 1, 4, 8, 20)] == [16, 17, 20, 24, 36]
    assert [WSA_CMSG_SPACE(length) for length in (0, 1, 4, 8, 20)] == [16, 24, 24, 24, 40]
    assert WSA_CMSG_LEN(0) == ctypes.sizeof(structures.WSACMSGHDR)
    assert OTHER.cmsg_len == 20


def test_the_layout() -> None:
    packed = pack_control(OTHER, ONE)
    assert packed == struct.pack("<Qii4s4x", 20, 41, 39, b"\1\2\3\4") + struct.pack("<Qii8s", 24, 0, 19, b"8 bytes.")
    head = structures.WSACMSGHDR.from_buffer_copy(packed)
    assert (head.cmsg_len, head.cmsg_level, head.cmsg_type) == (20, 41, 39)


def test_there_and_back() -> None:
    for objects in ([], [ONE], [OTHER, ONE], [WSACMSGHDR(1, 2)]):
        assert unpack_control(pack_control(*objects)) == objects
    assert unpack_control(memoryview(bytearray(pack_control(ONE)))) == [ONE]


def test_the_last_needs_no_padding_and_less_than_a_head_is_nothing() -> None:
    """As WSA_CMSG_NXTHDR finds them."""
    packed = pack_control(ONE, OTHER)
    assert unpack_control(packed[:-4]) == [ONE, OTHER]
    assert unpack_control(packed + bytes(15)) == [ONE, OTHER]


@pytest.mark.parametrize("length", [0, 15, 25, 2**64 - 1])
def test_lengths_that_lead_nowhere(length: int) -> None:
    with refused(WSAEINVAL, "control"):
        unpack_control(struct.pack("<Qii8x", length, 0, 19))


@pytest.mark.parametrize("control", [None, 7, "text"])
def test_what_is_no_buffer(control: object) -> None:
    with refused(WSAEFAULT, "control"):
        unpack_control(control)  # type: ignore[arg-type]


@pytest.mark.parametrize("item", [None, (0, 19), (2**31, 0, b""), (0, 19, "text"), (0, 0, 4)])
def test_what_is_no_object(item: object) -> None:
    with refused(WSAEFAULT):
        pack_control(item)  # type: ignore[arg-type]


def test_they_are_public() -> None:
    assert winsock.pack_control(winsock.WSACMSGHDR(0, 19, b"8 bytes.")) == pack_control(ONE)
