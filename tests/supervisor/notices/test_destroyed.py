"""Closed sockets: what the kernel counted against what was really sent, on loopback."""

from __future__ import annotations

import ctypes
import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from tests.supervisor.notices.diag_messages import cookie_of
from tests.supervisor.notices.watching import LOOPBACK, PATIENCE, Watch, carry, pair, strangers, wait_fin
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.supervisor.notices.closing import Closing, Past
from winsock.supervisor.notices.destroyed import still_counting

RESET_ON_CLOSE = struct.pack("=ii", 1, 0)
FAMILIES = [socket.AF_INET, socket.AF_INET6]
SIZES = [0, 1, 1000, 1 << 20]


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.destroyed.stop()
    assert watch.errors == []


def counts(closing: Closing) -> tuple[int | None, int | None, bool | None, bool]:
    return closing.sent, closing.received, closing.connected, closing.wiped


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_exact_whoever_closes_first(watch: Watch, family: socket.AddressFamily, size: int) -> None:
    for first_closes in (True, False):
        client, accepted = pair(family)
        carry(client, accepted, size)
        carry(accepted, client, size // 2)
        first, second = (client, accepted) if first_closes else (accepted, client)
        expected = {client: (size, size // 2), accepted: (size // 2, size)}
        assert counts(watch.closing(first)) == (*expected[first], True, False)
        assert counts(watch.closing(second)) == (*expected[second], True, False)


@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_exact_when_the_end_was_read(watch: Watch, size: int) -> None:
    client, accepted = pair()
    carry(accepted, client, size)
    ends = watch.know(client), watch.know(accepted)
    accepted.close()
    assert client.recv(1) == b""
    client.close()
    assert counts(watch.of(ends[0])) == (0, size, True, False)
    assert counts(watch.of(ends[1])) == (size, 0, True, False)


@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_exact_when_the_end_was_there_unread(watch: Watch, size: int) -> None:
    client, accepted = pair()
    carry(accepted, client, size)
    ends = watch.know(client), watch.know(accepted)
    accepted.close()
    wait_fin(client)
    client.close()
    assert counts(watch.of(ends[0])) == (0, size, True, False)
    assert counts(watch.of(ends[1])) == (size, 0, True, False)


@pytest.mark.parametrize("size", SIZES)
def test_bytes_are_exact_after_a_half_close(watch: Watch, size: int) -> None:
    client, accepted = pair()
    carry(client, accepted, size)
    client.shutdown(socket.SHUT_WR)
    assert accepted.recv(1) == b""
    carry(accepted, client, size)
    cookie = watch.know(accepted)
    accepted.close()
    assert client.recv(1) == b""
    assert counts(watch.closing(client, Past(accepted=False, shut=True))) == (size, size, True, False)
    assert counts(watch.of(cookie)) == (size, size, True, False)


def test_data_sent_with_the_fin_is_counted(watch: Watch) -> None:
    client, accepted = pair()
    size = 1 << 20
    reader = threading.Thread(target=carry, args=(accepted, client, size), daemon=True)
    cookie = watch.know(accepted, Past(accepted=True))
    reader.start()
    reader.join()
    accepted.close()
    assert watch.of(cookie).sent == size
    assert watch.closing(client, Past(accepted=False)).received == size


def test_a_reset_by_the_peer_keeps_our_counts_and_wipes_its_own(watch: Watch) -> None:
    client, accepted = pair()
    carry(client, accepted, 30)
    carry(accepted, client, 1000)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    local = accepted.getsockname()
    wiped = watch.closing(accepted)
    assert counts(wiped) == (None, None, True, True)
    assert (wiped.rtt_us, wiped.retransmits) == (None, None)
    assert (wiped.local, wiped.peer) == (SockaddrIn(*local), None)
    assert counts(watch.closing(client, Past(accepted=False))) == (30, 1000, True, False)


def test_a_reset_by_us_for_unread_data_is_right_within_one(watch: Watch) -> None:
    client, accepted = pair()
    accepted.sendall(bytes(7))
    accepted.close()
    wait_fin(client)
    closing = watch.closing(client)
    assert closing.sent == 0
    assert closing.received in (7, 8)


def test_a_connection_undone_is_wiped(watch: Watch) -> None:
    client, accepted = pair()
    with accepted:
        client.sendall(b"abc")
        assert ctypes.CDLL(None, use_errno=True).connect(client.fileno(), bytes(16), 16) == 0
        assert counts(watch.closing(client)) == (None, None, True, True)


@pytest.mark.parametrize("family", FAMILIES)
def test_addresses_are_those_of_the_socket(watch: Watch, family: socket.AddressFamily) -> None:
    client, accepted = pair(family)
    kind = SockaddrIn if family == socket.AF_INET else SockaddrIn6
    ends = kind(*client.getsockname()), kind(*client.getpeername())
    with accepted:
        closing = watch.closing(client)
    assert (closing.local, closing.peer) == ends
    assert closing.message is not None
    assert closing.message.family == family


def test_a_round_trip_time_is_told(watch: Watch) -> None:
    client, accepted = pair()
    with accepted:
        carry(client, accepted, 1000)
        closing = watch.closing(client)
    assert closing.rtt_us is not None
    assert 0 < closing.rtt_us < 10_000_000
    assert closing.retransmits == 0


@pytest.mark.parametrize("blocking", [True, False])
def test_a_refused_connect_was_never_connected(watch: Watch, blocking: bool) -> None:
    client = socket.socket()
    client.setblocking(blocking)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert client.connect_ex(nobody.getsockname()) != 0
    select.select([], [client], [], PATIENCE)
    closing = watch.closing(client)
    assert counts(closing) == (0, 0, False, False)
    assert closing.rtt_us is None


def test_a_pending_connect_that_nobody_asked_about_is_proved(watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        assert select.select([], [client], [], PATIENCE)[1]
        assert counts(watch.closing(client)) == (0, 0, True, False)


def test_a_fresh_socket_and_a_listener_have_counted_nothing(watch: Watch) -> None:
    fresh = watch.closing(socket.socket())
    assert counts(fresh) == (0, 0, False, False)
    assert (fresh.local, fresh.peer) == (None, None)
    server = socket.create_server(("127.0.0.1", 0))
    address = SockaddrIn(*server.getsockname())
    listener = watch.closing(server)
    assert counts(listener) == (0, 0, False, False)
    assert (listener.local, listener.peer) == (address, None)


@pytest.mark.parametrize("family", FAMILIES)
def test_datagram_sockets_have_addresses_and_no_counters(watch: Watch, family: socket.AddressFamily) -> None:
    sender = socket.socket(family, socket.SOCK_DGRAM)
    sender.connect((LOOPBACK[family], 9))
    kind = SockaddrIn if family == socket.AF_INET else SockaddrIn6
    ends = kind(*sender.getsockname()), kind(*sender.getpeername())
    sent = watch.closing(sender)
    assert counts(sent) == (None, None, True, False)
    assert (sent.rtt_us, sent.retransmits, sent.local, sent.peer) == (None, None, *ends)
    assert counts(watch.closing(socket.socket(family, socket.SOCK_DGRAM))) == (None, None, False, False)


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address whose SYNs are dropped: a listener with a full queue."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        socket.create_connection(server.getsockname()),
    ):
        yield server.getsockname()


def test_an_unanswered_connect_counts_its_retransmits(watch: Watch, black_hole: tuple[str, int]) -> None:
    client = socket.socket()
    client.settimeout(1.5)
    with pytest.raises(TimeoutError):
        client.connect(black_hole)
    closing = watch.closing(client)
    assert counts(closing) == (0, 0, False, False)
    assert closing.peer == SockaddrIn(*black_hole)
    assert closing.retransmits
    assert closing.retransmits >= 1


def test_a_duplicate_keeps_the_socket(watch: Watch) -> None:
    client, accepted = pair()
    cookie = watch.know(client)
    with client.dup(), accepted:
        client.close()
        assert watch.destroyed.flush({cookie}, 0.05) == {cookie}
    assert watch.of(cookie).connected


def test_unsent_data_keeps_the_socket_and_counts_so_far(watch: Watch) -> None:
    client, accepted = pair()
    carry(accepted, client, 10)
    client.setblocking(False)
    queued = 0
    try:
        while True:
            queued += client.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    cookie = watch.know(client)
    client.close()
    assert watch.destroyed.flush({cookie}, 0.05) == {cookie}
    closing = still_counting({cookie})[cookie]
    assert closing.sent is not None
    assert 0 < closing.sent <= queued
    assert (closing.received, closing.connected) == (10, True)
    left = queued
    while left:
        left -= len(accepted.recv(1 << 20))
    assert watch.of(cookie).sent == queued
    accepted.close()


def test_a_closed_socket_that_waits_for_the_peers_end_alone_is_told(watch: Watch) -> None:
    client, accepted = pair()
    carry(client, accepted, 1000)
    carry(accepted, client, 500)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 120)
    with accepted:
        assert counts(watch.closing(client)) == (1000, 500, True, False)


def test_without_counters_the_end_alone_is_told() -> None:
    watch = Watch(counters=False)
    for linger in (60, 120):
        client, accepted = pair()
        with accepted:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, linger)
            assert watch.closing(client) == Closing()
    watch.destroyed.stop()
    assert watch.errors == []


def test_a_half_closed_socket_is_not_closed(watch: Watch) -> None:
    client, accepted = pair()
    with accepted, client:
        cookie = watch.know(client)
        client.shutdown(socket.SHUT_WR)
        assert accepted.recv(1) == b""
        assert watch.destroyed.flush({cookie}, 0.12) == {cookie}
        watch.known.clear()


def test_open_sockets_are_counted_too() -> None:
    client, accepted = pair()
    with client, accepted, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        carry(client, accepted, 1000)
        datagrams.bind(("127.0.0.1", 0))
        client.shutdown(socket.SHUT_WR)
        wait_fin(accepted)
        mine = [cookie_of(one) for one in (client, accepted, datagrams)]
        found = still_counting(mine)
    assert [counts(found[one])[:2] for one in mine] == [(1000, 0), (0, 1000), (None, None)]


def test_flush_of_what_was_told_or_never_known_returns_at_once(watch: Watch) -> None:
    told = watch.closing(socket.socket())
    assert told.sent == 0
    assert watch.destroyed.flush({*watch.told, 1 << 60}, PATIENCE) == set()


def test_none_is_lost_in_a_storm_of_strangers(watch: Watch) -> None:
    pairs = [pair() for _ in range(50)]
    cookies = [watch.know(client) for client, _ in pairs]
    for index, (client, accepted) in enumerate(pairs):
        carry(accepted, client, index)
        strangers(400)
        client.close()
    assert watch.destroyed.flush(cookies, PATIENCE) == set()
    for _, accepted in pairs:
        accepted.close()
    told = [watch.told[cookie] for cookie in cookies]
    assert [closing.connected or closing == Closing() for closing in told] == [True] * 50
    assert [closing.received for closing in told] == [i if c.message else None for i, c in enumerate(told)]
