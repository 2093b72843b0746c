"""What may be asked of a new socket."""

from __future__ import annotations

import pytest

from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FROM_PROTOCOL_INFO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    PFL_MATCHES_PROTOCOL_ZERO,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_MULTIPOINT_D_LEAF,
    WSA_FLAG_MULTIPOINT_D_ROOT,
    WSA_FLAG_OVERLAPPED,
    WSA_FLAG_REGISTERED_IO,
    XP1_MULTIPOINT_CONTROL_PLANE,
    XP1_MULTIPOINT_DATA_PLANE,
    XP1_SUPPORT_MULTIPOINT,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEINVAL,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.core.kinds import check_flags, check_kind

TCP = WSAPROTOCOL_INFO(
    dwProviderFlags=PFL_MATCHES_PROTOCOL_ZERO, iAddressFamily=AF_INET, iSocketType=SOCK_STREAM, iProtocol=IPPROTO_TCP
)
TYPES, PROTOCOLS = (SOCK_STREAM, SOCK_DGRAM), (IPPROTO_TCP, IPPROTO_UDP)
ANY = FROM_PROTOCOL_INFO

C_ROOT, C_LEAF = WSA_FLAG_MULTIPOINT_C_ROOT, WSA_FLAG_MULTIPOINT_C_LEAF
D_ROOT, D_LEAF = WSA_FLAG_MULTIPOINT_D_ROOT, WSA_FLAG_MULTIPOINT_D_LEAF
ROOTED = XP1_SUPPORT_MULTIPOINT | XP1_MULTIPOINT_CONTROL_PLANE | XP1_MULTIPOINT_DATA_PLANE


def check(af: int, type: int, protocol: int, given: WSAPROTOCOL_INFO | None = None) -> None:
    check_kind(TCP, (af, type, protocol), given, TYPES, PROTOCOLS)


@pytest.mark.parametrize("af", [AF_INET, 0, ANY])
@pytest.mark.parametrize("type", [SOCK_STREAM, 0, ANY])
@pytest.mark.parametrize("protocol", [IPPROTO_TCP, 0, ANY])
def test_every_wildcard_means_the_protocol_itself(af: int, type: int, protocol: int) -> None:
    check(af, type, protocol)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ((AF_INET6, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((AF_INET6, 99, 99), WSAEAFNOSUPPORT),
        ((AF_INET, SOCK_RAW, 99), WSAESOCKTNOSUPPORT),
        ((AF_INET, SOCK_STREAM, 99), WSAEPROTONOSUPPORT),
        ((AF_INET, SOCK_STREAM, IPPROTO_UDP), WSAEPROTOTYPE),
        ((AF_INET, SOCK_DGRAM, IPPROTO_TCP), WSAEPROTOTYPE),
    ],
)
def test_the_error_says_what_does_not_fit(asked: tuple[int, int, int], code: int) -> None:
    with pytest.raises(WinsockError) as caught:
        check(*asked)
    assert caught.value.winerror == code


def test_zero_is_no_protocol_where_the_entry_does_not_say_so() -> None:
    with pytest.raises(WinsockError) as caught:
        check_kind(TCP._replace(dwProviderFlags=0), (AF_INET, SOCK_STREAM, 0), None, TYPES, PROTOCOLS)
    assert caught.value.winerror == WSAEPROTONOSUPPORT


def test_an_entry_may_stand_for_several_protocols() -> None:
    raw = TCP._replace(iSocketType=SOCK_RAW, iProtocol=0, iProtocolMaxOffset=255)
    types = (SOCK_RAW, *TYPES)
    assert check_kind(raw, (AF_INET, SOCK_RAW, 200), None, types, PROTOCOLS) == 200
    assert check_kind(raw, (AF_INET, SOCK_RAW, ANY), raw._replace(iProtocol=7), types, PROTOCOLS) == 7
    with refused(WSAEPROTONOSUPPORT):
        check_kind(raw, (AF_INET, SOCK_RAW, 256), None, types, PROTOCOLS)


def test_who_is_refused_for_the_family_is_told_what_is_known_of_it() -> None:
    with refused(WSAEAFNOSUPPORT, r"af: 10 is not the family of .*; 23 is$"):
        check_kind(TCP, (10, SOCK_STREAM, 0), None, TYPES, PROTOCOLS, "; 23 is")


def test_a_socket_of_another_process_is_none_of_ours() -> None:
    with pytest.raises(WinsockError) as caught:
        check(ANY, ANY, ANY, TCP._replace(dwProviderReserved=7))
    assert caught.value.winerror == WSAEINVAL


@pytest.mark.parametrize("flags", [0, WSA_FLAG_OVERLAPPED, C_ROOT | D_ROOT, C_LEAF | D_LEAF, C_ROOT | D_LEAF])
def test_flags_that_go_together(flags: int) -> None:
    check_flags(TCP._replace(dwServiceFlags1=ROOTED), flags)


@pytest.mark.parametrize(
    ("rule", "service", "flags"),
    [
        ("unknown", ROOTED, WSA_FLAG_REGISTERED_IO),
        ("MPT-001", XP1_SUPPORT_MULTIPOINT | XP1_MULTIPOINT_DATA_PLANE, C_ROOT | D_ROOT),
        ("MPT-002", XP1_SUPPORT_MULTIPOINT | XP1_MULTIPOINT_CONTROL_PLANE, C_ROOT | D_ROOT),
        ("MPT-003", 0, C_LEAF | D_LEAF),
        ("MPT-004: two of one plane", ROOTED, C_ROOT | C_LEAF | D_LEAF),
        ("MPT-004: none of one plane", ROOTED, C_LEAF),
        ("MPT-024: the planes mean nothing alone", XP1_MULTIPOINT_CONTROL_PLANE, C_ROOT | D_LEAF),
    ],
)
def test_flags_that_do_not(rule: str, service: int, flags: int) -> None:
    with pytest.raises(WinsockError) as caught:
        check_flags(TCP._replace(dwServiceFlags1=service), flags)
    assert caught.value.winerror == WSAEINVAL, rule
