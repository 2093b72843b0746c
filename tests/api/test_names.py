"""Addresses as text, and back (TX, ADDR)."""

from __future__ import annotations

import pytest

from tests.refusals import refused
from winsock.abi.constants import AF_HYPERV, AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, INADDR_NONE
from winsock.abi.errors import ERROR_INVALID_PARAMETER, WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL
from winsock.abi.guids import HV_GUID_LOOPBACK, HV_GUID_VSOCK_TEMPLATE
from winsock.abi.sockaddr import SockaddrHv, SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.api import names, sockets, startup
from winsock.layers.trace import Trace
from winsock.testing import World, through


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1", "0.0.0.1"), ("1.2", "1.0.0.2"), ("1.2.3", "1.2.0.3"), ("1.2.3.4", "1.2.3.4"),
        ("203569230", "12.34.56.78"), ("0x2134", "0.0.33.52"), ("0777", "0.0.1.255"), ("017700000001", "127.0.0.1"),
        ("1.2.3.0xaA", "1.2.3.170"), ("1.2.3.010", "1.2.3.8"), ("0", "0.0.0.0"), (" ", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"), ("4294967295", "255.255.255.255"),
    ],
)  # fmt: skip
def test_numbers_of_an_address_tx_01(text: str, address: str) -> None:
    assert names.inet_ntoa(names.inet_addr(text)) == address


@pytest.mark.parametrize(
    "text",
    [
        " 3.4.5.6", "\t3.4.5.6", "3. 4.5.6", "1.2.3. 4", "", ".", "a", "1.1.1.0x", "1.2.3.0a", "1.1.1.-2",
        "3.4.5.6.7", "127.127.127.256", "x:123", "::1", "256.1", "1.16777216", "4294967296", "08", "1..2", "1.2.3.4 ",
        "１.2.3.4", "1" * 5000, "0x" + "1" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_address_tx_03(world: World, text: str) -> None:
    startup.WSASetLastError(7)
    assert names.inet_addr(text) == INADDR_NONE
    assert startup.WSAGetLastError() == 7


def test_no_text_tx_04() -> None:
    with refused(WSAEFAULT):
        names.inet_addr(None)  # type: ignore[arg-type]
    assert startup.WSAGetLastError() == WSAEFAULT


def test_an_address_of_bytes() -> None:
    assert names.inet_addr("127.0.0.1") == 0x0100007F
    assert names.inet_ntoa(b"\x7f\0\0\1") == "127.0.0.1"
    for wrong in (b"123", "1.2.3.4"):
        with refused(WSAEFAULT):
            names.inet_ntoa(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("convert", [names.inet_pton, names.InetPton])
def test_strict_forms_tx_05(convert: object) -> None:
    assert callable(convert)
    assert convert(AF_INET, "1.1.1.1") == b"\1\1\1\1"
    assert convert(AF_INET6, "1::2") == b"\0\1" + bytes(12) + b"\0\2"
    for text in ("1.2.3", "1.1.1.010", "0x7f000001", "1.1.1.1:5", " 1.1.1.1", "1.1.1.1 ", "", "1.1.1.1\0"):
        with refused(WSAEINVAL, "text"):
            convert(AF_INET, text)


def test_only_one_of_them_sets_the_last_error_tx_05(world: World) -> None:
    startup.WSASetLastError(7)
    with refused(WSAEINVAL):
        names.inet_pton(AF_INET, "1.2.3")
    assert startup.WSAGetLastError() == 7
    with refused(WSAEINVAL):
        names.InetPton(AF_INET, "1.2.3")
    assert startup.WSAGetLastError() == WSAEINVAL


def test_families_that_have_no_text_tx_06_tx_11() -> None:
    with refused(WSAEAFNOSUPPORT):
        names.inet_pton(AF_UNIX, "1.2.3.4")
    with refused(WSAEAFNOSUPPORT, "AF_INET6 is 23"):
        names.inet_pton(10, "::1")
    with refused(WSAEFAULT):
        names.inet_pton(AF_UNIX, None)  # type: ignore[arg-type]
    with refused(WSAEAFNOSUPPORT):
        names.inet_ntop(1, b"1234")
    for wrong in (None, b"", b"123", b"12345"):
        with refused(ERROR_INVALID_PARAMETER):
            names.inet_ntop(AF_INET, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "::%16", "::/16", "::01234", "1111", "1.2.3.4", ":1111::", "1::2::3", "1111:2222:::", "1:2:3:4:5:6:7:8:",
        "1::1.2.3", "1::0001.2.3.4", "1::1.2.3.256", "[::]", "0x1::", "::0x1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_ipv6_tx_09(text: str) -> None:
    with refused(WSAEINVAL):
        names.inet_pton(AF_INET6, text)


@pytest.mark.parametrize("text", ["::", "::1", "1:2:3:4:5:6:7:8", "fe80::1", "::ffff:1.2.3.4", "2001:db8::ff00:42"])
def test_ipv6_both_ways(text: str) -> None:
    assert names.InetNtop(AF_INET6, names.InetPton(AF_INET6, text)) == text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (SockaddrIn("0.0.0.0", 0), "0.0.0.0"),  # TX-13
        (SockaddrIn("0.0.0.0", 65535), "0.0.0.0:65535"),
        (SockaddrIn6("::1", 0), "::1"),
        (SockaddrIn6("::1", 80), "[::1]:80"),
        (SockaddrIn6("fe80::1", 0, 0, 3), "fe80::1%3"),
        (SockaddrIn6("fe80::1", 80, 0, 3), "[fe80::1%3]:80"),
    ],
)
@pytest.mark.parametrize("layers", [(), (Trace,)], ids=["inet", "trace"])
def test_socket_addresses_tx_13_addr_002(layers: tuple[type[Trace], ...], address: SockaddrIn, text: str) -> None:
    with World(through(*layers)):
        assert names.WSAAddressToString(address) == text
        assert names.WSAAddressToString(tuple(address)) == text
        assert names.WSAStringToAddress(text, address.family) == address
        infos = [info for info in sockets.WSAEnumProtocols() if info.iAddressFamily == address.family]
        for info in infos:
            assert names.WSAAddressToString(address, info) == text
            assert names.WSAStringToAddress(text, address.family, info) == address


@pytest.mark.parametrize(
    "text", ["1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536", "1.2.3.4:-1", "name", "", "[::1]:80", "1:" + "9" * 5000]
)
def test_no_address_of_ipv4_addr_004(world: World, text: str) -> None:
    with refused(WSAEINVAL):
        names.WSAStringToAddress(text, AF_INET)


@pytest.mark.parametrize(
    "text",
    [
        "[::1", "::1]", "[::1]80", "[::1]:", "[::1]:x", "::1%lo0x", "1.2.3.4", "", "::\0",
        "fe80::1%", "fe80::1%٣", "fe80::1%4294967296", "fe80::1%" + "9" * 5000, "[::1]:" + "9" * 5000,
    ],
)  # fmt: skip
def test_no_address_of_ipv6_addr_004(world: World, text: str) -> None:
    with refused(WSAEINVAL):
        names.WSAStringToAddress(text, AF_INET6)


def test_leading_zeros_say_nothing_addr_004(world: World) -> None:
    assert names.inet_addr("0" * 5000 + "1") == 0x01000000
    assert names.WSAStringToAddress("[fe80::1%007]:" + "0" * 5000 + "80", AF_INET6) == SockaddrIn6("fe80::1", 80, 0, 7)


def test_missing_parts_are_zero_addr_004(world: World) -> None:
    assert names.WSAStringToAddress("127.1", AF_INET) == SockaddrIn("127.0.0.1", 0)


LOOPBACK = SockaddrHv(HV_GUID_LOOPBACK, HV_GUID_VSOCK_TEMPLATE)
SPELLED = {
    AF_INET: ("127.0.0.1:80", SockaddrIn("127.0.0.1", 80)),
    AF_INET6: ("[::1]:80", SockaddrIn6("::1", 80)),
    AF_UNIX: ("/tmp/socket", SockaddrUn("/tmp/socket")),
    AF_HYPERV: (str(LOOPBACK), LOOPBACK),
}


@pytest.mark.parametrize("layers", [(), (Trace,)], ids=["bare", "trace"])
def test_a_family_that_is_not_known_is_the_providers(layers: tuple[type[Trace], ...]) -> None:
    """Who describes the provider need not name its family; AF_UNSPEC alone describes none."""
    with World(through(*layers)):
        for info in sockets.WSAEnumProtocols():
            text, address = SPELLED[info.iAddressFamily]
            assert names.WSAStringToAddress(text, AF_UNSPEC, info) == address
            with refused(WSAEINVAL):
                names.WSAStringToAddress("\0", AF_UNSPEC, info)
        with refused(WSAEINVAL):
            names.WSAStringToAddress("127.0.0.1", AF_UNSPEC)


def test_what_cannot_be_converted_addr_007(world: World) -> None:
    with refused(WSAEINVAL):
        names.WSAAddressToString(SockaddrOther(99, b""))
    with refused(WSAEINVAL, "AF_INET6 is 23"):
        names.WSAStringToAddress("::1", 10)
    four, six = (
        next(info for info in sockets.WSAEnumProtocols() if info.iAddressFamily == family)
        for family in (AF_INET, AF_INET6)
    )
    with refused(WSAEINVAL):
        names.WSAAddressToString(SockaddrIn("127.0.0.1", 1), six)
    with refused(WSAEINVAL):
        names.WSAStringToAddress("127.0.0.1", AF_INET6, four)
    with refused(WSAEINVAL):
        names.WSAStringToAddress("127.0.0.1", AF_INET, four._replace(dwCatalogEntryId=9))
    with refused(WSAEFAULT):
        names.WSAStringToAddress(None, AF_INET)  # type: ignore[arg-type]
    with refused(WSAEFAULT):
        names.WSAAddressToString(SockaddrIn("name", 1))
