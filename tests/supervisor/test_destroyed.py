"""Closed sockets: what the kernel counted against what was really sent, on loopback; and what a notice leaves open."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import winsock
from tests.supervisor.diag_messages import HERE, attribute, cookie_of, message, socket_id, tcp_info
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.supervisor import destroyed, sockdiag
from winsock.supervisor.destroyed import Closing, Destroyed, Past, at_end, still_counting
from winsock.supervisor.sockdiag import Message

PATIENCE = 10.0
RESET_ON_CLOSE = struct.pack("=ii", 1, 0)
FAMILIES = [socket.AF_INET, socket.AF_INET6]
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
SIZES = [0, 1, 1000, 1 << 20]


class Watch:
    """A `Destroyed` and what it told."""

    def __init__(self, **options: object) -> None:
        self.known: set[int] = set()
        self.told: dict[int, Closing] = {}
        self.errors: list[Exception] = []
        self.pasts: dict[int, Past] = {}
        defaults: dict[str, object] = {"past": self.past, "on_error": self.errors.append}
        self.destroyed = Destroyed(self.closed, self.known, **{**defaults, **options})  # type: ignore[arg-type]

    def past(self, cookie: int) -> Past:
        return self.pasts.get(cookie, Past())

    def closed(self, cookie: int, closing: Closing) -> None:
        self.told[cookie] = closing
        self.known.discard(cookie)

    def know(self, held: socket.socket, past: Past | None = None) -> int:
        cookie = cookie_of(held)
        self.known.add(cookie)
        if past:
            self.pasts[cookie] = past
        return cookie

    def of(self, cookie: int) -> Closing:
        """The closing, as soon as it is told."""
        assert not self.destroyed.flush({cookie}, PATIENCE)
        return self.told[cookie]

    def closing(self, held: socket.socket, past: Past | None = None) -> Closing:
        """Close the socket; what is told of it."""
        cookie = self.know(held, past)
        held.close()
        return self.of(cookie)


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.destroyed.stop()
    assert watch.errors == []


def pair(family: socket.AddressFamily = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """A client and the socket that a server accepted for it."""
    with socket.create_server((LOOPBACK[family], 0), family=family) as server:
        client = socket.create_connection(server.getsockname()[:2])
        accepted, _ = server.accept()
    return client, accepted


def carry(source: socket.socket, destination: socket.socket, size: int) -> None:
    """Send so many bytes and receive them all."""
    sender = threading.Thread(target=source.sendall, args=(bytes(size),))
    sender.start()
    left = size
    while left:
        left -= len(destination.recv(min(left, 1 << 16)))
    sender.join()


def wait_fin(held: socket.socket) -> None:
    """Wait until the peer's FIN is there, without reading it."""
    poll = select.poll()
    poll.register(held, select.POLLRDHUP)
    assert poll.poll(PATIENCE * 1000)


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
    reader = threading.Thread(target=carry, args=(accepted, client, size))
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


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@pytest.mark.parametrize("blocking", [True, False])
def test_a_refused_connect_was_never_connected(watch: Watch, blocking: bool) -> None:
    client = socket.socket()
    client.setblocking(blocking)
    assert client.connect_ex(("127.0.0.1", free_port())) != 0
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


def strangers(count: int) -> None:
    for _ in range(count):
        socket.socket().close()


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


class Held(Watch):
    """A watch whose thread stands still in the first callback until `go` is set."""

    def __init__(self, **options: object) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        super().__init__(buffer_size=1 << 16, **options)

    def closed(self, cookie: int, closing: Closing) -> None:
        super().closed(cookie, closing)
        self.entered.set()
        assert self.go.wait(PATIENCE)

    def overflow(self) -> None:
        """Make the thread stand still, and close strangers until there is no room for notices."""
        self.know(stopper := socket.socket())
        stopper.close()
        assert self.entered.wait(PATIENCE)
        while not self.lost():
            strangers(100)

    def lost(self) -> int:
        """What the kernel counts as lost."""
        inode = str(os.fstat(self.destroyed._socket.fileno()).st_ino)
        rows = [line.split() for line in Path("/proc/net/netlink").read_text().splitlines()]
        return next(int(row[8]) for row in rows if row[9] == inode)


def test_an_overflow_loses_nobody() -> None:
    watch = Held()
    pairs = [pair() for _ in range(50)]
    gone = {watch.know(client) for client, _ in pairs[:49]}
    kept = watch.know(pairs[49][0])
    watch.overflow()
    for client, accepted in pairs[:49]:
        client.close()
        accepted.close()
    watch.go.set()
    assert watch.destroyed.flush(gone, PATIENCE) == set()
    assert watch.known == {kept}
    for end in pairs[49]:
        end.close()
    assert watch.of(kept) is watch.told[kept]
    watch.destroyed.stop()
    assert watch.errors == []


class Deaf(Watch):
    """A watch that, once told to miss sockets, misses everything until their notices have gone by; then it is told."""

    def miss(self, cookies: set[int]) -> None:
        """Miss these; they are not closed yet."""
        self.missed = set(cookies)
        self.receive = self.destroyed._notices.receive
        self.destroyed._notices.receive = self.receive_nothing  # type: ignore[method-assign]

    def receive_nothing(self) -> tuple[int, ...]:
        self.missed.difference_update(self.receive())
        if self.missed:
            return ()
        self.destroyed._notices.receive = self.receive  # type: ignore[method-assign]
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))


def test_a_lost_notice_is_made_up_for_by_counting() -> None:
    claimed: set[int] = set()

    def claim(cookie: int) -> bool:
        claimed.add(cookie)
        return cookie == fresh and unused.fileno() != -1

    watch = Deaf(still_open=claim)
    client, accepted = pair()
    with accepted, client, socket.socket() as unused:
        fresh, used = watch.know(unused), watch.know(client)
        others = [socket.socket() for _ in range(5)]
        gone = {watch.know(other) for other in others}
        watch.miss(gone)
        for other in others:
            other.close()
        assert watch.destroyed.flush(gone, PATIENCE) == set()
        assert {watch.told[cookie] for cookie in gone} == {Closing()}
        assert claimed == {fresh, *gone}
        assert watch.known == {fresh, used}
    assert watch.of(fresh) is watch.told[fresh]
    watch.destroyed.stop()
    assert watch.errors == []


def test_a_count_that_fails_is_an_error_and_no_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = threading.Event()
    errors: list[Exception] = []

    def fail(error: Exception) -> None:
        errors.append(error)
        failed.set()

    watch = Held(on_error=fail)
    monkeypatch.setattr(sockdiag, "_KINDS", [(socket.AF_INET, 255)])
    with socket.socket() as unused:
        cookie = watch.know(unused)
        watch.overflow()
        watch.go.set()
        assert failed.wait(PATIENCE)
        assert cookie in watch.known
    watch.destroyed.stop()
    assert {type(error) for error in errors} == {FileNotFoundError}


def test_a_callback_that_raises_is_told_and_does_not_end_the_thread() -> None:
    class Clumsy(Watch):
        def closed(self, cookie: int, closing: Closing) -> None:
            super().closed(cookie, closing)
            raise ValueError(str(cookie))

    watch = Clumsy()
    cookies = []
    for _ in range(2):
        cookies.append(watch.know(one := socket.socket()))
        one.close()
        watch.of(cookies[-1])
    watch.destroyed.stop()
    assert [str(error) for error in watch.errors] == [str(cookie) for cookie in cookies]


def test_a_failing_error_callback_does_not_end_the_thread() -> None:
    def fail(*arguments: object) -> Past:
        raise RuntimeError

    watch = Watch(past=fail, on_error=fail)
    cookie = watch.know(first := socket.socket())
    first.close()
    assert watch.destroyed.flush({cookie}, 0.05) == {cookie}
    assert watch.destroyed._thread.is_alive()
    watch.destroyed.stop()


def test_stopping_twice_closes_everything_once() -> None:
    before = set(os.listdir("/proc/self/fd"))
    watch = Watch()
    watch.destroyed.stop()
    watch.destroyed.stop()
    assert set(os.listdir("/proc/self/fd")) == before
    assert not watch.destroyed._thread.is_alive()


def test_the_thread_ends_when_its_socket_fails() -> None:
    failed = threading.Event()
    watch = Watch(on_error=lambda error: failed.set())
    cookie = watch.know(held := socket.socket())

    def fail() -> tuple[int, ...]:
        raise OSError

    watch.destroyed._notices.receive = fail  # type: ignore[method-assign]
    held.close()
    assert failed.wait(PATIENCE)
    watch.destroyed._thread.join(PATIENCE)
    assert watch.destroyed.flush({cookie}, PATIENCE) == {cookie}
    watch.destroyed.stop()


SCRIPT = """
import os, socket, struct, sys
sys.path.insert(0, {source!r})
from winsock.supervisor.destroyed import Destroyed
if os.getuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
known = set()
def closed(cookie, closing):
    print(closing.sent, closing.received)
    known.discard(cookie)
watching = Destroyed(closed, known)
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
accepted, _ = server.accept()
accepted.sendall(bytes(12)); client.recv(12); client.sendall(bytes(34))
known.add(struct.unpack("=Q", client.getsockopt(socket.SOL_SOCKET, 57, 8))[0])
client.close()
print(watching.flush(set(known), {patience}))
"""


def test_it_works_without_rights_and_dies_with_its_process() -> None:
    source = str(Path(winsock.__path__[0]).parent)
    script = SCRIPT.format(source=source, patience=PATIENCE)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("34 12\nset()\n", "", 0)


# What the notice leaves open: made by hand, because which segment wins cannot be arranged.


def notice(*, unread: int = 0, unacknowledged: int = 0, dport: int = 2, **counters: int) -> Message:
    data = message(
        socket.AF_INET,
        socket_id(HERE, 1, HERE, dport, 3),
        attribute(sockdiag.ATTRIBUTE_INFO, tcp_info(**counters)),
        unread=unread,
        unacknowledged=unacknowledged,
    )
    return sockdiag.unpack(data, sockdiag.HEADER.size, len(data))


def stays(state: int | None) -> Callable[[Message], int | None]:
    return lambda message: state


TEN_AND_A_FIN = {"received": 11, "segments_in": 1}
TEN = {"received": 10, "segments_in": 1}
CONNECTED = Past(accepted=False)
ACCEPTED = Past(accepted=True)


@pytest.mark.parametrize(
    ("told", "past", "state"),
    [
        (notice(**TEN, acked=2), CONNECTED, sockdiag.FIN_WAIT2),
        (notice(**TEN, acked=2), Past(shut=False), sockdiag.TIME_WAIT),
        (notice(**TEN, acked=2), Past(), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2, unread=1), Past(), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2, unread=1), Past(shut=False), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2), Past(shut=True), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2, last_ack=1000), Past(), sockdiag.TIME_WAIT),
        (notice(**TEN_AND_A_FIN, acked=2), Past(), None),
        (notice(**TEN_AND_A_FIN, acked=2), CONNECTED, None),
        (notice(**TEN_AND_A_FIN, acked=1), ACCEPTED, None),
        (notice(**TEN_AND_A_FIN, acked=1, delivered=2), Past(), None),
        (notice(**TEN_AND_A_FIN, acked=6, sent=8, retransmitted=3, segments_out=3, delivered=5), Past(), None),
        (notice(**TEN_AND_A_FIN, acked=1), ACCEPTED, sockdiag.LISTEN),
        (notice(**TEN_AND_A_FIN, unread=1), ACCEPTED, None),
        (notice(**TEN, acked=1, delivered=1), Past(), None),
        (notice(**TEN, acked=1, delivered=2), CONNECTED, None),
        (notice(**TEN, unread=10), ACCEPTED, None),
    ],
)
def test_a_fin_is_told_from_a_byte(told: Message, past: Past, state: int | None) -> None:
    assert at_end(told, past, stays(state)).received == 10


def test_nothing_is_asked_where_no_data_came() -> None:
    def ask(message: Message) -> int | None:
        raise AssertionError("asked")

    assert at_end(notice(received=1, acked=2), Past(), ask).received == 0


def test_a_disconnected_socket_that_never_had_a_window_was_not_wiped() -> None:
    for queue, wiped in ((0, False), (3, False), (4096, True)):
        assert at_end(notice(dport=0, unacknowledged=queue), Past(), stays(None)).wiped is wiped


def test_retransmitted_bytes_are_counted_once() -> None:
    closing = at_end(notice(acked=1001, sent=1500, retransmitted=500, retransmits=3, rtt=20), Past(), stays(None))
    assert (closing.sent, closing.retransmits, closing.rtt_us) == (1000, 3, 20)


def test_a_closing_without_a_notice_has_no_addresses() -> None:
    assert (Closing().local, Closing().peer) == (None, None)
    assert destroyed.REST_MS < destroyed.AT_EXIT_SECONDS * 1000
