"""Addresses as the kernel has them."""

from __future__ import annotations

import socket as host
import struct

import pytest

from tests.refusals import refused
from winsock.abi.constants import AF_INET6
from winsock.abi.errors import WSAEFAULT
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.base.inet.addresses import host_family, pack, unpack


@pytest.mark.parametrize(
    "address",
    [
        SockaddrIn("127.0.0.1", 80),
        SockaddrIn("255.255.255.255", 65535),
        SockaddrIn6("::1", 443),
        SockaddrIn6("fe80::1", 1, 0x12345, 7),
        SockaddrUn("/run/socket"),
        SockaddrOther(77, b"anything"),
    ],
)
def test_there_and_back(address: Sockaddr) -> None:
    assert unpack(pack(address)) == address


def test_the_family_is_the_hosts() -> None:
    assert struct.unpack_from("=H", pack(SockaddrIn6("::1", 1)))[0] == host.AF_INET6
    assert unpack(pack(SockaddrIn6("::1", 1))).family == AF_INET6
    assert (host_family(AF_INET6), host_family(2)) == (host.AF_INET6, 2)


def test_windows_layout_differs_by_the_family_only() -> None:
    for address in (SockaddrIn("1.2.3.4", 5), SockaddrIn6("1::2", 3, 4, 5)):
        assert pack(address)[2:] == address.pack()[2:]


@pytest.mark.parametrize(
    "address",
    [
        SockaddrIn("localhost", 80),
        SockaddrIn("127.1", 80),
        SockaddrIn("127.0.0.1", 65536),
        SockaddrIn("127.0.0.1", -1),
        SockaddrIn6("::g", 1),
        SockaddrIn6("::1", 1, -1),
        SockaddrIn6("::1", 1, 0, 1 << 32),
        SockaddrUn("x" * 200),
        None,
    ],
)
def test_what_is_none(address: Sockaddr) -> None:
    with refused(WSAEFAULT):
        pack(address)


def test_no_name_at_all() -> None:
    assert unpack(b"") == SockaddrOther(0, b"")
