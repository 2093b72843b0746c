"""Two binds to one port, for every combination of options and addresses (bind_sharing.csv, OPT, BL)."""

from __future__ import annotations

import itertools
import socket as host
import threading

import pytest

from tests.refusals import refused
from tests.spec.tables import Row, read
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_V6ONLY,
    SO_EXCLUSIVEADDRUSE,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEACCES, WSAEADDRINUSE, WinsockError
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.api import options, sockets, transfer, waiting
from winsock.base.inet import own, sharing
from winsock.core.bind_sharing import NONE
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

OPTIONS = {"none": None, "SO_REUSEADDR": SO_REUSEADDR, "SO_EXCLUSIVEADDRUSE": SO_EXCLUSIVEADDRUSE}
HOSTS = {"wildcard": "0.0.0.0", "specific": "127.0.0.1"}
TABLE = [row for row in read("bind_sharing.csv") if "same user" in row["system"]]


def opened(kind: int, option: int | None, family: int = AF_INET) -> int:
    s = sockets.socket(family, kind, 0)
    if option is not None:
        options.setsockopt(s, SOL_SOCKET, option, 1)
    return s


def port_of(s: int) -> int:
    name = sockets.getsockname(s)
    assert isinstance(name, (SockaddrIn, SockaddrIn6))
    return name.port


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 36


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM], ids=["tcp", "udp"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(list(row.values())[1:5]))
def test_second_binds_bl_05_bl_39_bl_40_opt_013_opt_015(row: Row, kind: int) -> None:
    with World():
        first = opened(kind, OPTIONS[row["first_option"]])
        second = opened(kind, OPTIONS[row["second_option"]])
        sockets.bind(first, (HOSTS[row["first_address"]], 0))
        result, by_kernel = "success", False
        try:
            sockets.bind(second, (HOSTS[row["second_address"]], port_of(first)))
        except WinsockError as error:
            result, by_kernel = error.name, error.from_kernel
    assert (result, by_kernel) == (row["second_bind_result"], False)  # OPT-013, OPT-015


ANYWHERE, HERE = "0.0.0.0", "127.0.0.1"
NEIGHBOURS = [
    (one, wide, other, narrow)
    for one, other in itertools.product(OPTIONS.values(), repeat=2)
    for wide, narrow in ((ANYWHERE, HERE), (HERE, ANYWHERE))
    if (one, other)[wide == HERE] != SO_EXCLUSIVEADDRUSE  # who has all of it exclusively has no neighbours
]


@pytest.mark.parametrize("listens_first", [False, True])
@pytest.mark.parametrize(("one", "wide", "other", "narrow"), NEIGHBOURS)
def test_the_specific_one_is_connected_to_bl_40(
    one: int | None, wide: str, other: int | None, narrow: str, listens_first: bool
) -> None:
    with World():
        first, second = opened(SOCK_STREAM, one), opened(SOCK_STREAM, other)
        sockets.bind(first, (wide, 0))
        if listens_first:
            sockets.listen(first, 1)
        sockets.bind(second, (narrow, port_of(first)))
        sockets.listen(second, 1)
        sockets.listen(first, 1)
        client = opened(SOCK_STREAM, None)
        sockets.connect(client, (HERE, port_of(first)))
        specific = first if wide == HERE else second
        assert waiting.select(0, [first, second], None, None, 20)[0] == [specific]
        assert sockets.accept(specific)[1] == sockets.getsockname(client)


def test_the_specific_one_is_sent_to() -> None:
    with World():
        first, second = opened(SOCK_DGRAM, None), opened(SOCK_DGRAM, SO_EXCLUSIVEADDRUSE)
        sockets.bind(first, (ANYWHERE, 0))
        sockets.bind(second, (HERE, port_of(first)))
        transfer.sendto(opened(SOCK_DGRAM, None), b"x", 0, (HERE, port_of(first)))
        assert transfer.recv(second, 10) == b"x"


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM], ids=["tcp", "udp"])
def test_neighbours_agree_to_nothing_with_strangers(kind: int) -> None:
    with World():
        first, second = opened(kind, SO_EXCLUSIVEADDRUSE), opened(kind, None)
        sockets.bind(first, (HERE, 0))
        sockets.bind(second, (ANYWHERE, port_of(first)))
        for s in (first, second):
            assert own.SOCKETS[s].getsockopt(host.SOL_SOCKET, host.SO_REUSEPORT) == 0
        assert own.SOCKETS[first].getsockopt(host.SOL_SOCKET, host.SO_REUSEADDR) == 0
        with host.socket(host.AF_INET, host.SOCK_STREAM if kind == SOCK_STREAM else host.SOCK_DGRAM) as stranger:
            stranger.setsockopt(host.SOL_SOCKET, host.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                stranger.bind((HERE, port_of(first)))


@pytest.mark.parametrize(("one", "other"), list(itertools.product([None, SO_REUSEADDR, SO_EXCLUSIVEADDRUSE], repeat=2)))
def test_different_specific_addresses_never_conflict_opt_014(one: int | None, other: int | None) -> None:
    with World():
        first, second = opened(SOCK_STREAM, one), opened(SOCK_STREAM, other)
        sockets.bind(first, ("127.0.0.1", 0))
        sockets.bind(second, ("127.0.0.2", port_of(first)))  # OPT-014


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM], ids=["tcp", "udp"])
def test_who_asks_to_share_after_its_bind_shares_nothing(kind: int) -> None:
    """OPT-011, OPT-013: what counts is what was set at each one's bind."""
    with World():
        first, second = opened(kind, None), opened(kind, SO_REUSEADDR)
        sockets.bind(first, ("127.0.0.1", 0))
        options.setsockopt(first, SOL_SOCKET, SO_REUSEADDR, 1)
        with refused(WSAEACCES):
            sockets.bind(second, ("127.0.0.1", port_of(first)))
        sharer, third = opened(kind, SO_REUSEADDR), opened(kind, SO_REUSEADDR)
        sockets.bind(sharer, ("127.0.0.1", 0))
        options.setsockopt(sharer, SOL_SOCKET, SO_REUSEADDR, 0)
        sockets.bind(third, ("127.0.0.1", port_of(sharer)))
        with refused(WSAEADDRINUSE):
            sockets.bind(opened(kind, None), ("127.0.0.1", port_of(sharer)))


def test_both_that_share_may_listen_bl_39() -> None:
    with World():
        first, second = opened(SOCK_STREAM, SO_REUSEADDR), opened(SOCK_STREAM, SO_REUSEADDR)
        sockets.bind(first, ("127.0.0.1", 0))
        sockets.bind(second, ("127.0.0.1", port_of(first)))
        sockets.listen(first, 1)
        sockets.listen(second, 1)


def test_a_closed_socket_holds_nothing() -> None:
    with World():
        first = opened(SOCK_STREAM, SO_EXCLUSIVEADDRUSE)
        sockets.bind(first, ("127.0.0.1", 0))
        port = port_of(first)
        sockets.closesocket(first)
        sockets.bind(opened(SOCK_STREAM, SO_EXCLUSIVEADDRUSE), ("127.0.0.1", port))
        assert port in sharing._claims
    assert not sharing._claims


def test_a_server_starts_again_while_old_connections_end() -> None:
    with World() as world:
        listener, address = world.listener()
        client = world.stream()
        sockets.connect(client, address)
        server, _ = sockets.accept(listener)
        sockets.closesocket(server)
        sockets.closesocket(listener)
        again = world.stream()
        sockets.bind(again, address)
        sockets.listen(again, 1)


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
@pytest.mark.parametrize(
    ("first", "second", "option", "code"),
    [
        (SockaddrIn("127.0.0.1", 0), SockaddrIn6("::", 0), SO_EXCLUSIVEADDRUSE, WSAEADDRINUSE),  # BL-44
        (SockaddrIn("0.0.0.0", 0), SockaddrIn6("::", 0), None, WSAEADDRINUSE),
        (SockaddrIn6("::ffff:127.0.0.1", 0), SockaddrIn("0.0.0.0", 0), SO_EXCLUSIVEADDRUSE, WSAEADDRINUSE),
        (SockaddrIn6("::ffff:127.0.0.1", 0), SockaddrIn("127.0.0.1", 0), None, WSAEADDRINUSE),
        (SockaddrIn("127.0.0.1", 0), SockaddrIn6("::ffff:127.0.0.1", 0), None, WSAEADDRINUSE),
        (SockaddrIn6("::ffff:0.0.0.0", 0), SockaddrIn("0.0.0.0", 0), None, WSAEADDRINUSE),
    ],
)
def test_dual_stack_sockets_hold_both_bl_44_opt_016(
    first: SockaddrIn, second: SockaddrIn, option: int | None, code: int
) -> None:
    with World():
        one, other = (opened(SOCK_STREAM, None, address.family) for address in (first, second))
        if option is not None:
            options.setsockopt(other, SOL_SOCKET, option, 1)
        for s, address in ((one, first), (other, second)):
            if address.family == AF_INET6:
                options.setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, 0)
        sockets.bind(one, first)
        with refused(code):
            sockets.bind(other, second._replace(port=port_of(one)))


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 on loopback")
def test_an_exclusive_dual_stack_socket_bl_48() -> None:
    with World():
        six = opened(SOCK_STREAM, SO_EXCLUSIVEADDRUSE, AF_INET6)
        options.setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, 0)
        sockets.bind(six, ("::", 0))
        with refused(WSAEACCES):
            sockets.bind(opened(SOCK_STREAM, SO_REUSEADDR), ("0.0.0.0", port_of(six)))


def test_claims_of_separate_scopes_do_not_overlap() -> None:
    one, other = (
        sharing.claim_of(SockaddrIn6("fe80::1", 7, 0, scope), IPPROTO_TCP, NONE, v6_only=True) for scope in (1, 2)
    )
    assert not one.overlaps(other)
    assert one.overlaps(one)


def test_claims_are_kept_by_many_threads() -> None:
    claim = sharing.claim_of(SockaddrIn("127.0.0.1", 7), IPPROTO_TCP, NONE, v6_only=True)

    def body() -> None:
        for _ in range(200):
            sharing.add(claim)
            sharing.remove(claim)

    threads = [threading.Thread(target=body, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 7 not in sharing._claims
