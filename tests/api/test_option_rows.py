"""Every row of options as it says: got, set, set to what is no value, to too few bytes, and where it is one-way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import winsock
from tests.refusals import code_of, refused
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEINVAL,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    ErrorCode,
    WinsockError,
    name_of,
)
from winsock.abi.options import ROWS, Linger, Option
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

NUMBERS = ("bool", "int", "dword", "error", "timeval_ms", "seconds_ms", "limit_ms", "ifindex_be")
SIZES = {
    "linger": 4,
    "in_addr": 4,
    "ip_options": 0,
    "ip_mreq": 8,
    "ipv6_mreq": 20,
    "ip_mreq_source": 12,
    "group_req": 136,
    "group_source_req": 264,
}
VALUES: dict[str, type] = {
    **dict.fromkeys(NUMBERS, int),
    **dict.fromkeys(SIZES, bytes),
    "error": ErrorCode,
    "linger": Linger,
    "protocol_info": WSAPROTOCOL_INFO,
    "bytes": bytes,
}
OF_DATAGRAMS = {"SO_BROADCAST", "SO_MAX_MSG_SIZE"}
ELSEWHERE = {"IP_HDRINCL": "WSAEINVAL", "IPV6_HDRINCL": "WSAENOPROTOOPT", "IPV6_CHECKSUM": "WSAENOPROTOOPT"}
"""Options of raw sockets alone, which other tests are about."""
SETTABLE = {
    "TCP_MAXSEG": 1000,
    "IP_MTU_DISCOVER": 1,
    "IPV6_MTU_DISCOVER": 1,
    "IPV6_USER_MTU": 1300,
    "UDP_SEND_MSG_SIZE": 500,
}
"""What may be set where the value got may not."""

WITHOUT_VALUE = {"SO_UPDATE_CONNECT_CONTEXT"}
"""What is set by asking for it."""

readable = [row for row in ROWS if row.host != "refused" and row.get and row.name not in ELSEWHERE]
settable = [row for row in ROWS if row.host != "refused" and row.set and row.name not in ELSEWHERE]
refusing = [row for row in ROWS if row.host == "refused"]


def names(row: Option) -> str:
    return f"{row.level:#x}-{row.name}"


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def hyperv_socket() -> int:
    try:
        s: int = winsock.socket(c.AF_HYPERV, c.SOCK_STREAM, c.HV_PROTOCOL_RAW)
    except WinsockError as error:
        pytest.skip(f"this host has no AF_VSOCK: {error}")
    return s


def socket_for(row: Option, world: World) -> int:
    """One that the option is for."""
    if row.level == c.IPPROTO_IPV6:
        if not has_ipv6():
            pytest.skip("this host has no IPv6 on loopback")
        world.family = c.AF_INET6
    if row.name in ("IP_MTU", "IPV6_MTU"):
        return world.datagrams().client
    if row.level in (c.IPPROTO_UDP, c.IPPROTO_IP, c.IPPROTO_IPV6) or row.name in OF_DATAGRAMS:
        s: int = winsock.socket(world.family, c.SOCK_DGRAM, 0)
        return s
    if row.level == c.HV_PROTOCOL_RAW:
        return hyperv_socket()
    return world.stream()


@pytest.mark.parametrize("row", readable, ids=names)
def test_what_is_got_is_of_the_rows_type_opt_018(world: World, row: Option) -> None:
    value = winsock.getsockopt(socket_for(row, world), row.level, row.optname)
    assert isinstance(value, VALUES[row.type])
    if row.type == "bool":
        assert value in (0, 1)
    if row.type in ("dword", "timeval_ms", "seconds_ms", "limit_ms", "ifindex_be"):
        assert isinstance(value, int)
        assert 0 <= value <= 0xFFFFFFFF


@pytest.mark.parametrize("row", [row for row in settable if row.get], ids=names)
def test_what_is_set_is_got_opt_005(world: World, row: Option) -> None:
    s = socket_for(row, world)
    before: Any = winsock.getsockopt(s, row.level, row.optname)
    wanted: Any = SETTABLE.get(row.name, before)
    if row.type == "bool":
        wanted = int(not before)
    winsock.setsockopt(s, row.level, row.optname, wanted)
    after = winsock.getsockopt(s, row.level, row.optname)
    assert after == wanted


@pytest.mark.parametrize("row", [row for row in settable if row.type in NUMBERS and row.get], ids=names)
def test_bytes_are_as_good_as_a_number_so_18(world: World, row: Option) -> None:
    s = socket_for(row, world)
    wanted: Any = SETTABLE.get(row.name, winsock.getsockopt(s, row.level, row.optname))
    packed = (wanted & 0xFFFFFFFF).to_bytes(4, "little")
    winsock.setsockopt(s, row.level, row.optname, packed)
    winsock.setsockopt(s, row.level, row.optname, packed + bytes(4))


@pytest.mark.parametrize("row", [row for row in settable if row.name not in WITHOUT_VALUE], ids=names)
def test_what_is_no_value_so_07_opt_006(world: World, row: Option) -> None:
    s = socket_for(row, world)
    for value in (None, "text", object(), 7.5, [1], ()):
        with refused(WSAEFAULT):
            winsock.setsockopt(s, row.level, row.optname, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", [row for row in settable if row.name not in WITHOUT_VALUE], ids=names)
def test_too_few_bytes_opt_006(world: World, row: Option) -> None:
    s = socket_for(row, world)
    needed = SIZES.get(row.type, 4)
    if row.type == "bool" or (row.level == c.IPPROTO_IP and row.type in NUMBERS):
        needed = 1
    for length in {0, 1, needed - 1} & set(range(needed)):
        with refused(WSAEFAULT):
            winsock.setsockopt(s, row.level, row.optname, bytes(length))


@pytest.mark.parametrize("row", [row for row in settable if row.type in NUMBERS], ids=names)
def test_more_than_32_bits_opt_006(world: World, row: Option) -> None:
    s = socket_for(row, world)
    for value in (1 << 32, -(1 << 31) - 1):
        with refused(WSAEINVAL):
            winsock.setsockopt(s, row.level, row.optname, value)


@pytest.mark.parametrize("row", [row for row in ROWS if row.host != "refused" and not row.set], ids=names)
def test_what_is_only_got_opt_027(world: World, row: Option) -> None:
    """BL-17."""
    s = socket_for(row, world)
    for value in (0, 1, b"", bytes(8)):
        assert name_of(code_of(lambda value=value: winsock.setsockopt(s, row.level, row.optname, value))) in (  # type: ignore[misc]
            "WSAENOPROTOOPT",
            "WSAEFAULT" if value == b"" else "WSAENOPROTOOPT",
        )


@pytest.mark.parametrize("row", [row for row in ROWS if row.host != "refused" and not row.get], ids=names)
def test_what_is_only_set(world: World, row: Option) -> None:
    with refused(WSAENOPROTOOPT):
        winsock.getsockopt(socket_for(row, world), row.level, row.optname)


@pytest.mark.parametrize("row", refusing, ids=names)
def test_a_refusal_says_why_opt_006(world: World, row: Option) -> None:
    for s in (world.stream(), world.datagram()):
        for call in (
            lambda s=s: winsock.getsockopt(s, row.level, row.optname),
            lambda s=s: winsock.setsockopt(s, row.level, row.optname, 0),
        ):
            with pytest.raises(WinsockError) as caught:
                call()
            assert caught.value.winerror == row.error
            assert row.name in str(caught.value)
            assert row.note in str(caught.value)


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != "SO_OPENTYPE"], ids=names)
def test_a_closed_socket_comes_before_all_else(world: World, row: Option) -> None:
    """EP-07."""
    s = world.stream()
    winsock.closesocket(s)
    with refused(WSAENOTSOCK):
        winsock.getsockopt(s, row.level, row.optname)
    with refused(WSAENOTSOCK):
        winsock.setsockopt(s, row.level, row.optname, None)  # type: ignore[arg-type]


def test_options_of_raw_sockets_alone(world: World) -> None:
    for name, error in ELSEWHERE.items():
        (row,) = [row for row in ROWS if row.name == name]
        s = socket_for(row, world)
        for call in (
            lambda s=s, row=row: winsock.getsockopt(s, row.level, row.optname),
            lambda s=s, row=row: winsock.setsockopt(s, row.level, row.optname, 0),
        ):
            assert name_of(code_of(call)) == error


def test_of_no_connection(world: World) -> None:
    s: int = winsock.socket(c.AF_INET, c.SOCK_DGRAM, 0)
    with refused(WSAENOTCONN):
        winsock.getsockopt(s, c.IPPROTO_IP, c.IP_MTU)
