"""The thread that tells of closed sockets: notices lost, callbacks that fail, its end."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import winsock
from tests.supervisor.notices.watching import PATIENCE, Watch, carry, pair, strangers
from tests.waiting import wait_until
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.notices.closing import Closing, Past


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


class Late(Watch):
    """A watch whose thread reads nothing until `go` is set."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.go = threading.Event()
        self.receive = self.destroyed._notices.receive
        self.destroyed._notices.receive = self.receive_late  # type: ignore[method-assign]

    def receive_late(self) -> tuple[int, ...]:
        assert self.go.wait(PATIENCE)
        return self.receive()


def leaves_a_trace(cookie: int) -> bool:
    """Whether the kernel destroyed a socket when its end was acknowledged, and has only its addresses."""
    questions = sockdiag.Questions()

    def acknowledged() -> sockdiag.Message | None:
        found = (message for message in questions.every() if message.cookie == cookie)
        return next((message for message in found if message.state == sockdiag.FIN_WAIT2), None)

    try:
        message = wait_until(acknowledged, "the end is acknowledged")
        return message is not None and message.info is None
    finally:
        questions.close()


def test_who_is_in_a_hurry_does_not_take_the_trace_of_a_socket_for_its_end() -> None:
    watch = Late()
    with ExitStack() as peers:
        cookie, found = 0, False
        while not found:  # where the last acknowledgement comes while it is closed, the kernel keeps the socket itself
            client, accepted = pair()
            peers.enter_context(accepted)
            carry(client, accepted, 34)
            cookie = watch.know(client)
            client.close()
            found = leaves_a_trace(cookie)
        assert watch.destroyed.flush({cookie}, 0.12) == {cookie}
        watch.go.set()
        assert watch.of(cookie).sent == 34
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

    watch = Deaf(on_error=fail)
    monkeypatch.setattr(sockdiag, "_KINDS", [(socket.AF_INET, 255)])
    cookie = watch.know(held := socket.socket())
    watch.miss({cookie})
    held.close()
    assert failed.wait(PATIENCE)
    watch.destroyed.stop()
    assert watch.known == {cookie}
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
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as first:
        cookie = watch.know(first)
        with server.accept()[0] as far:
            far.sendall(b"x")  # the past is asked of who has received something
            first.recv(1)
    assert watch.of(cookie) == Closing()
    assert watch.destroyed._thread.is_alive()
    watch.destroyed.stop()


def test_stopping_twice_closes_everything_once() -> None:
    before = set(os.listdir("/proc/self/fd"))
    watch = Watch()
    watch.destroyed.stop()
    watch.destroyed.stop()
    assert set(os.listdir("/proc/self/fd")) <= before
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
import encodings.idna  # while the library can be read: the interpreter may lie where nobody may look
import os, socket, struct, sys
sys.path.insert(0, {source!r})
from winsock.supervisor.notices.destroyed import Destroyed
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
