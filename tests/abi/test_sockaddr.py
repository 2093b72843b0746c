"""Socket addresses: values, Windows' layouts, and what Python programmers write."""

from __future__ import annotations

import ctypes
import ipaddress
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsock.abi import structures
from winsock.abi.constants import AF_INET, AF_INET6, AF_IPX, AF_UNIX
from winsock.abi.errors import WSAEAFNOSUPPORT, WSAEFAULT, WinsockError
from winsock.abi.sockaddr import (
    IN6_SIZE,
    IN_SIZE,
    UN_SIZE,
    Sockaddr,
    SockaddrIn,
    SockaddrIn6,
    SockaddrOther,
    SockaddrUn,
    coerce,
    unpack,
)

PORTS = st.integers(0, 0xFFFF)
NUMBERS = st.integers(0, 0xFFFFFFFF)
PATHS = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=108)


@given(st.ip_addresses(v=4), PORTS)
def test_ipv4_there_and_back(host: ipaddress.IPv4Address, port: int) -> None:
    address = SockaddrIn(str(host), port)
    assert unpack(address.pack()) == address


@given(st.ip_addresses(v=6), PORTS, NUMBERS, NUMBERS)
def test_ipv6_there_and_back(host: ipaddress.IPv6Address, port: int, flow: int, scope: int) -> None:
    canonical = socket.inet_ntop(socket.AF_INET6, host.packed)
    address = SockaddrIn6(canonical, port, flow, scope)
    assert unpack(address.pack()) == address


@given(PATHS)
def test_paths_there_and_back(path: str) -> None:
    assert unpack(SockaddrUn(path).pack()) == SockaddrUn(path)


def test_abstract_names_keep_their_length() -> None:
    address = SockaddrUn(b"\0name\0x")
    assert len(address.pack()) == 2 + 7
    assert unpack(address.pack()) == address
    assert str(address) == "@name\0x"


def test_ipv4_has_windows_layout() -> None:
    view = structures.sockaddr_in.from_buffer_copy(SockaddrIn("1.2.3.4", 0x1234).pack())
    assert (view.sin_family, socket.ntohs(view.sin_port), view.sin_addr.S_un.S_un_b.s_b4) == (2, 0x1234, 4)
    assert SockaddrIn("1.2.3.4", 0x1234).pack()[:8] == b"\2\0\x12\x34\1\2\3\4"  # ADDR-006
    assert ctypes.sizeof(view) == IN_SIZE


def test_ipv6_has_windows_layout() -> None:
    view = structures.sockaddr_in6.from_buffer_copy(SockaddrIn6("fe80::1", 80, 0x12345, 7).pack())
    assert (view.sin6_family, view.sin6_scope_id) == (23, 7)
    assert (socket.ntohs(view.sin6_port), socket.ntohl(view.sin6_flowinfo)) == (80, 0x12345)
    assert (view.sin6_addr.u.Byte[0], view.sin6_addr.u.Byte[15]) == (0xFE, 1)
    assert ctypes.sizeof(view) == IN6_SIZE


def test_local_addresses_have_windows_layout() -> None:
    view = structures.SOCKADDR_UN.from_buffer_copy(SockaddrUn("/run/x").pack())
    assert (view.sun_family, view.sun_path) == (1, b"/run/x")
    assert ctypes.sizeof(view) == UN_SIZE


def test_other_families_keep_their_bytes() -> None:
    address = unpack(b"\x06\0ABCDEFGHIJKL")
    assert address == SockaddrOther(AF_IPX, b"ABCDEFGHIJKL")
    assert address.pack() == b"\x06\0ABCDEFGHIJKL"
    assert str(address) == "family 6: 4142434445464748494a4b4c"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x02", SockaddrIn("1.2.3.4", 5).pack()[:15], SockaddrIn6("::1", 5).pack()[:27],
        b"\x01\0" + b"x" * 109, b"\x01\0\0" + b"x" * 108,
    ],
)  # fmt: skip
def test_addresses_of_no_possible_length_are_refused(data: bytes) -> None:
    with pytest.raises(WinsockError) as caught:
        unpack(data)
    assert caught.value.winerror == WSAEFAULT


def test_a_longer_buffer_is_taken() -> None:
    assert unpack(SockaddrUn("x" * 108).pack() + bytes(50)) == SockaddrUn("x" * 108)
    assert unpack(memoryview(SockaddrIn("1.2.3.4", 5).pack() + bytes(112))) == SockaddrIn("1.2.3.4", 5)


@pytest.mark.parametrize(
    ("address", "family", "text"),
    [
        (SockaddrIn("127.0.0.1", 80), AF_INET, "127.0.0.1:80"),
        (SockaddrIn6("::1", 80), AF_INET6, "[::1]:80"),
        (SockaddrIn6("fe80::1", 80, 0, 2), AF_INET6, "[fe80::1%2]:80"),
        (SockaddrUn("/run/x"), AF_UNIX, "/run/x"),
        (SockaddrUn(""), AF_UNIX, ""),
    ],
)
def test_family_and_text(address: Sockaddr, family: int, text: str) -> None:
    assert address.family == family
    assert str(address) == text
    assert f"{address}" == text


def test_addresses_are_the_tuples_of_the_socket_module() -> None:
    assert SockaddrIn("127.0.0.1", 80) == ("127.0.0.1", 80)
    assert SockaddrIn6("::1", 80) == ("::1", 80, 0, 0)
    host, port = SockaddrIn("127.0.0.1", 80)
    assert (host, port) == ("127.0.0.1", 80)


def test_addresses_are_frozen() -> None:
    address: Any = SockaddrIn("127.0.0.1", 80)
    with pytest.raises(AttributeError):
        address.port = 81
    with pytest.raises(AttributeError):
        address.other = 1


def test_ipv4_as_an_ipv6_socket_sees_it() -> None:
    mapped = SockaddrIn("1.2.3.4", 5).mapped()
    assert mapped == SockaddrIn6("::ffff:1.2.3.4", 5)
    assert unpack(mapped.pack()) == mapped
    assert mapped.unmapped() == SockaddrIn("1.2.3.4", 5)
    assert SockaddrIn6("::1", 5).unmapped() is None


@pytest.mark.parametrize(
    ("value", "family", "address"),
    [
        (("127.0.0.1", 80), AF_INET, SockaddrIn("127.0.0.1", 80)),
        (("127.0.0.1", 80), 0, SockaddrIn("127.0.0.1", 80)),
        (("", 80), AF_INET, SockaddrIn("0.0.0.0", 80)),
        (("<broadcast>", 80), AF_INET, SockaddrIn("255.255.255.255", 80)),
        (("::1", 80), AF_INET6, SockaddrIn6("::1", 80)),
        (("::1", 80), 0, SockaddrIn6("::1", 80)),
        (("", 80), AF_INET6, SockaddrIn6("::", 80)),
        (("0:0::1", 80, 3), AF_INET6, SockaddrIn6("::1", 80, 3)),
        (("fe80::1", 80, 3, 4), AF_INET6, SockaddrIn6("fe80::1", 80, 3, 4)),
        (("fe80::1%4", 80), AF_INET6, SockaddrIn6("fe80::1", 80, 0, 4)),
        ("/run/x", AF_UNIX, SockaddrUn("/run/x")),
        (b"\0abstract", 0, SockaddrUn(b"\0abstract")),
        (SockaddrIn("127.0.0.1", 80), AF_INET6, SockaddrIn("127.0.0.1", 80)),
    ],
)
def test_coerce(value: object, family: int, address: Sockaddr) -> None:
    coerced = coerce(value, family)
    assert coerced == address
    assert type(coerced) is type(address)


def test_coerce_finds_the_number_of_an_interface() -> None:
    number, name = socket.if_nameindex()[0]
    assert coerce((f"fe80::1%{name}", 80), AF_INET6) == SockaddrIn6("fe80::1", 80, 0, number)


@pytest.mark.parametrize(
    ("value", "family", "code", "message"),
    [
        (("localhost", 80), AF_INET, WSAEFAULT, "names are for getaddrinfo"),
        (("::1", 80), AF_INET, WSAEFAULT, "not an IPv4 address"),
        (("1.2.3.4", 80), AF_INET6, WSAEFAULT, "not an IPv6 address"),
        (("127.0.0.1", 65536), AF_INET, WSAEFAULT, "65536 is not a port"),
        (("127.0.0.1", "80"), AF_INET, WSAEFAULT, "'80' is not a port"),
        (("::1", 80, -1), AF_INET6, WSAEFAULT, "-1 is not a flow information"),
        (("::1", 80, 0, 2**32), AF_INET6, WSAEFAULT, "is not a scope id"),
        (("fe80::1%no-such-one", 80), AF_INET6, WSAEFAULT, "no interface 'no-such-one'"),
        (("fe80::1%", 80), AF_INET6, WSAEFAULT, "no interface ''"),
        (("fe80::1%٣", 80), AF_INET6, WSAEFAULT, "no interface"),
        (("fe80::1%a\0b", 80), AF_INET6, WSAEFAULT, "no interface"),
        (("fe80::1%" + "9" * 5000, 80), AF_INET6, WSAEFAULT, "no interface"),
        (("127.0.0.1",), AF_INET, WSAEFAULT, "a tuple of host and port"),
        (5, 0, WSAEFAULT, "a tuple of host and port"),
        (("x", 1), AF_UNIX, WSAEFAULT, "is a path"),
        ("x" * 109, AF_UNIX, WSAEFAULT, "at most 108 fit"),
        ("/run/x\0y", AF_UNIX, WSAEFAULT, "would end at its zero byte"),
        ("\ud800", AF_UNIX, WSAEFAULT, "is no path"),
        (("::1", 80), 10, WSAEAFNOSUPPORT, "AF_INET6 is 23 here"),
        (("x", 80), AF_IPX, WSAEAFNOSUPPORT, "family 6 has no addresses as tuple"),
    ],
)
def test_what_is_no_address(value: object, family: int, code: int, message: str) -> None:
    with pytest.raises(WinsockError, match=message) as caught:
        coerce(value, family)
    assert caught.value.winerror == code
