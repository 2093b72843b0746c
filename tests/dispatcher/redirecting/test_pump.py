"""The pump between a near end that is just a connected socket, as under a relay, and a provider's socket."""

from __future__ import annotations

import errno
import fcntl
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, ClassVar, Self

import pytest

from tests.dispatcher.strangers import (
    SECONDS,
    Context,
    Stranger,
    World,
    fill,
    read_all,
    receive_exactly,
    reset,
    tcp_pair,
)
from tests.waiting import wait_until
from winsock.abi import errors as e
from winsock.abi.constants import MSG_OOB, MSG_PEEK, SIO_BASE_HANDLE
from winsock.dispatcher.records import records
from winsock.dispatcher.redirecting import far
from winsock.dispatcher.redirecting import pump as pumping
from winsock.dispatcher.redirecting.pump import Pump
from winsock.host.queues import UNREAD, ask_or_0
from winsock.spi.handles import HANDLE

SIOCATMARK = 0x8905
MUCH = bytes(range(256)) * 8000


class Link:
    """program - near | pump | provider's socket - peer."""

    def __init__(self, kind: type[Stranger] = Stranger) -> None:
        self._open = ExitStack()
        self.world = self._open.enter_context(World(kind))
        self.handle, self.peer = self.world.connected()
        self.context: Context = self.world.context(self.handle)
        near, self.program = tcp_pair()
        self._open.enter_context(self.program)
        self.endings: queue.SimpleQueue[e.WinsockError | None] = queue.SimpleQueue()
        self.pump = Pump(near.detach(), records[self.handle].table, self.handle, self.endings.put)
        self.pump.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.pump.abort()
        assert self.pump.wait(SECONDS)
        self._open.close()

    def ending(self) -> e.WinsockError | None:
        """What the pump ended with; it says so once."""
        error = self.endings.get(timeout=SECONDS)
        assert self.context.closings == 1
        assert self.pump.wait(SECONDS)
        wait_until(lambda: self.pump not in pumping.running, "letting go of the near end")
        assert self.endings.empty()
        return error


def read_until_reset(sock: socket.socket) -> bytes:
    data = b""
    try:
        while part := sock.recv(1000):
            data += part
    except ConnectionResetError:
        return data
    raise AssertionError(f"an orderly end after {len(data)} bytes")


def poll_for(sock: socket.socket, events: int) -> bool:
    """Whether one of these holds now, or the connection is no more."""
    poller = select.poll()
    poller.register(sock, events)
    return bool(poller.poll(0))


def pending_error(sock: socket.socket) -> int:
    """What the next call would fail with."""
    wait_until(lambda: poll_for(sock, 0), "the end")
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def check_urgent(sock: socket.socket) -> None:
    wait_until(lambda: poll_for(sock, select.POLLPRI), "the urgent byte")
    assert sock.recv(1, socket.MSG_OOB) == b"!"
    before = b""
    while not any(fcntl.ioctl(sock, SIOCATMARK, bytes(4))):
        before += sock.recv(1)
    assert before == b"before"
    assert receive_exactly(sock, 5) == b"after"


@pytest.fixture
def link() -> Iterator[Link]:
    with Link() as made:
        yield made


class TestData:
    def test_bytes_cross_both_ways(self, link: Link) -> None:
        link.program.sendall(b"question")
        assert link.peer.recv(20) == b"question"
        link.peer.sendall(b"answer")
        assert link.program.recv(20) == b"answer"

    def test_much_crosses_whole(self, link: Link) -> None:
        writer = threading.Thread(target=link.program.sendall, args=(MUCH,), daemon=True)
        writer.start()
        received = b""
        while len(received) < len(MUCH):
            received += link.peer.recv(100_000)
        assert received == MUCH
        writer.join(SECONDS)

    def test_what_nobody_takes_waits_where_it_is(self, link: Link) -> None:
        link.program.setblocking(False)
        sent = fill(link.program.fileno())
        link.peer.sendall(b"the other way")
        link.program.settimeout(SECONDS)
        assert link.program.recv(20) == b"the other way"
        link.program.shutdown(socket.SHUT_WR)
        assert len(read_all(link.peer)) == sent

    def test_idle_or_not(self, link: Link) -> None:
        wait_until(lambda: link.pump.is_idle, "idleness")
        link.program.setblocking(False)
        fill(link.program.fileno())
        assert not link.pump.is_idle


class TestEnds:
    def test_the_programs_end_first(self, link: Link) -> None:
        link.program.sendall(b"all")
        link.program.shutdown(socket.SHUT_WR)
        assert read_all(link.peer) == b"all"
        link.peer.sendall(b"more")
        link.peer.close()
        assert read_all(link.program) == b"more"
        assert link.ending() is None

    def test_the_peers_end_first(self, link: Link) -> None:
        link.peer.sendall(b"all")
        link.peer.shutdown(socket.SHUT_WR)
        assert read_all(link.program) == b"all"
        link.program.sendall(b"more")
        link.program.close()
        assert read_all(link.peer) == b"more"
        assert link.ending() is None

    def test_all_that_was_sent_arrives_after_the_end(self, link: Link) -> None:
        """However late the program reads it."""
        link.program.shutdown(socket.SHUT_WR)
        assert link.peer.recv(1) == b""
        link.peer.setblocking(False)
        sent = fill(link.peer.fileno())
        link.peer.close()
        assert len(read_all(link.program)) == sent
        assert link.ending() is None

    def test_a_closed_program_is_found_out_by_the_next_bytes(self, link: Link) -> None:
        link.program.sendall(b"all")
        link.program.close()
        assert read_all(link.peer) == b"all"
        assert link.endings.empty()
        link.peer.sendall(b"for nobody")
        assert link.ending() is None
        assert pending_error(link.peer) == errno.EPIPE  # the kernel's answer to such bytes

    def test_also_what_it_left_unread_is_answered_by_a_reset(self, link: Link) -> None:
        link.peer.sendall(b"unread")
        wait_until(lambda: ask_or_0(link.program.fileno(), UNREAD), "the bytes")
        link.program.sendall(b"all")
        link.program.shutdown(socket.SHUT_WR)
        assert read_all(link.peer) == b"all"
        link.program.close()
        assert link.ending() is None
        assert pending_error(link.peer) == errno.EPIPE

    def test_what_was_sent_before_arrives_in_full(self, link: Link) -> None:
        """The peer talks on and reads slowly: it is answered when it has everything."""
        link.program.setblocking(False)
        sent = fill(link.program.fileno())
        link.program.shutdown(socket.SHUT_WR)
        link.peer.sendall(b"for nobody")
        wait_until(lambda: ask_or_0(link.program.fileno(), UNREAD), "the bytes")
        received = receive_exactly(link.peer, sent)
        link.program.close()
        assert received == bytes(sent)
        assert link.peer.recv(1) == b""
        assert link.ending() is None
        assert pending_error(link.peer) == errno.EPIPE

    def test_a_reset_waits_for_what_the_peer_does_not_have_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(far, "_DELIVERY_S", SECONDS)
        with Link(Urgent) as link:
            link.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.peer.sendall(b"unread")
            wait_until(lambda: ask_or_0(link.program.fileno(), UNREAD), "the bytes")
            link.program.sendall(MUCH[:50_000])
            link.program.shutdown(socket.SHUT_WR)
            wait_until(lambda: link.context.ended, "the end")
            link.program.close()
            assert receive_exactly(link.peer, 50_000) == MUCH[:50_000]
            assert link.ending() is None

    def test_or_by_being_told(self, link: Link) -> None:
        link.program.sendall(MUCH[:100_000])
        link.program.close()
        link.pump.program_closed()
        assert read_all(link.peer) == MUCH[:100_000]
        assert link.ending() is None


class TestUrgent:
    """A byte that is urgent stays so, in its place."""

    def test_outgoing(self) -> None:
        with Link(Urgent) as link:
            link.program.sendall(b"before")
            link.program.send(b"!", socket.MSG_OOB)
            link.program.sendall(b"after")
            check_urgent(link.peer)

    def test_incoming(self) -> None:
        with Link(Urgent) as link:
            link.peer.sendall(b"before")
            link.peer.send(b"!", socket.MSG_OOB)
            link.peer.sendall(b"after")
            check_urgent(link.program)

    def test_in_line_where_the_provider_sends_none(self) -> None:
        with Link(Calm) as link:
            link.program.sendall(b"before")
            link.program.send(b"!", socket.MSG_OOB)
            link.program.sendall(b"after")
            assert receive_exactly(link.peer, 12) == b"before!after"

    def test_one_that_nobody_reads_yet(self) -> None:
        """It comes when a receive waits already, and nothing before it."""
        with Link(Urgent) as link:
            wait_until(lambda: link.pump.far.receiving, "receiving")
            for first, second in ((link.peer, link.program), (link.program, link.peer)):
                second.settimeout(None)  # with one it waits for other bytes
                first.send(b"!", socket.MSG_OOB)
                wait_until(partial(poll_for, second, select.POLLPRI), "the urgent byte")
                assert second.recv(1, socket.MSG_OOB) == b"!"


class TestErrors:
    def test_a_reset_after_the_peers_end_is_told_by_what_is_below(self) -> None:
        with Link(Urgent) as link:
            link.peer.shutdown(socket.SHUT_WR)
            assert link.program.recv(1) == b""
            reset(link.peer)
            wait_until(lambda: poll_for(link.program, 0), "the reset")
            assert pending_error(link.program) == errno.EPIPE
            error = link.ending()
            assert error is not None
            assert error.winerror == e.WSAECONNRESET

    def test_a_reset_of_the_programs_reaches_the_peer(self, link: Link) -> None:
        reset(link.program)
        with pytest.raises(ConnectionResetError):
            link.peer.recv(1)
        assert link.ending() is None

    def test_also_while_bytes_come_in(self, link: Link) -> None:
        """The kernel tells of a reset once, to whichever thread comes first."""
        link.peer.setblocking(False)
        fill(link.peer.fileno())
        link.peer.settimeout(SECONDS)
        reset(link.program)
        with pytest.raises(ConnectionResetError):
            read_all(link.peer)
        assert link.ending() is None

    def test_a_reset_of_the_peers_reaches_the_program(self, link: Link) -> None:
        link.peer.sendall(b"before")
        assert link.program.recv(6) == b"before"
        reset(link.peer)
        with pytest.raises(ConnectionResetError):
            link.program.recv(1)
        error = link.ending()
        assert error is not None
        assert error.winerror == e.WSAECONNRESET

    def test_after_all_that_came_before_it(self, link: Link) -> None:
        link.peer.sendall(MUCH[:150_000])
        sock = link.context.sock.fileno()  # what the kernel still has there would be lost, as it would be natively
        wait_until(lambda: link.pump.far.receiving and not ask_or_0(sock, UNREAD), "receiving")
        reset(link.peer)
        assert read_until_reset(link.program) == MUCH[:150_000]

    def test_abort(self, link: Link) -> None:
        link.pump.abort()
        assert link.pump.wait(SECONDS)
        for sock in (link.program, link.peer):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        assert link.ending() is None
        link.pump.abort()

    def test_abort_of_a_stalled_one(self, link: Link) -> None:
        for sock in (link.program, link.peer):
            sock.setblocking(False)
            fill(sock.fileno())
        link.pump.abort()
        assert link.ending() is None


class Nonsense(Stranger):
    """Its WSPRecv and WSPSend do what a test asks for."""

    receive: Callable[..., Any] | None = None
    send: Callable[..., Any] | None = None

    def WSPRecv(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> tuple[int, int] | None:
        answer = super().WSPRecv(s, buffers, flags)
        return answer if self.receive is None else self.receive()

    def WSPSend(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> int | None:
        if self.send is not None:
            return self.send(buffers)  # type: ignore[no-any-return]
        return super().WSPSend(s, buffers, flags)

    def WSPIoctl(self, *arguments: object) -> bytes | None:
        raise e.WinsockError(e.WSAEOPNOTSUPP)


class Urgent(Stranger):
    """Keeps urgent data in line and tells of it, and what descriptor is below."""

    def take(self, sock: socket.socket) -> int:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        return super().take(sock)

    def WSPIoctl(self, s: int, code: int, *rest: Any) -> bytes | None:
        if code == SIO_BASE_HANDLE:
            return HANDLE.pack(self.context(s).sock.fileno())
        return super().WSPIoctl(s, code, *rest)

    def WSPShutdown(self, s: int, how: int) -> None:
        super().WSPShutdown(s, how)
        self.context(s).ended = True

    def WSPSend(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> int | None:
        return self.context(s).sock.sendmsg(buffers, (), flags)

    def WSPRecv(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> tuple[int, int] | None:
        sock = self.context(s).sock
        is_there = not flags and super().WSPRecv(s, (bytearray(1),), MSG_PEEK) == (1, 0)
        if is_there and any(fcntl.ioctl(sock, SIOCATMARK, bytes(4))):
            return sock.recv_into(buffers[0], 1), MSG_OOB
        return super().WSPRecv(s, buffers, flags)


class Calm(Urgent):
    """Sends nothing urgent."""

    def WSPSend(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> int | None:
        if flags & MSG_OOB:
            raise e.WinsockError(e.WSAEOPNOTSUPP)
        return super().WSPSend(s, buffers, flags)


class Impatient(Stranger):
    """Its receives run out of time at first, as the kernel says it where SO_RCVTIMEO is set."""

    time_outs: ClassVar[list[e.WinsockError]] = []

    def WSPStartup(self, *arguments: Any) -> Any:
        self.time_outs[:] = [e.WinsockError(e.WSAETIMEDOUT, errno=errno.EAGAIN)] * 3
        return super().WSPStartup(*arguments)

    def WSPRecv(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> tuple[int, int] | None:
        if self.time_outs:
            raise self.time_outs.pop()
        return super().WSPRecv(s, buffers, flags)


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*arguments: object) -> None:
        raise error

    return fail


class TestStrangers:
    """What a provider may do, and what it may not."""

    @pytest.mark.parametrize(
        "receive",
        [raising(KeyError("surprise")), lambda: None, lambda: (-1, 0), lambda: (1 << 40, 0), lambda: "x", lambda: ()],
    )
    def test_a_receive_without_sense_fails_the_connection(self, receive: Callable[..., Any], lines: list[str]) -> None:
        with Link(Nonsense) as link:
            provider = link.world.provider
            assert isinstance(provider, Nonsense)
            provider.receive = receive
            link.peer.sendall(b"x")
            for sock in (link.program, link.peer):
                with pytest.raises(ConnectionResetError):
                    sock.recv(1)
            error = link.ending()
            assert error is not None
            assert error.winerror == e.WSASYSCALLFAILURE
        assert [line for line in lines if "WSPRecv raised" in line]

    @pytest.mark.parametrize("send", [raising(KeyError("surprise")), lambda _: None, lambda _: 0, lambda _: 1 << 40])
    def test_a_send_without_sense_too(self, send: Callable[..., Any], lines: list[str]) -> None:
        with Link(Nonsense) as link:
            provider = link.world.provider
            assert isinstance(provider, Nonsense)
            provider.send = send
            link.program.sendall(b"x")
            for sock in (link.program, link.peer):
                with pytest.raises(ConnectionResetError):
                    sock.recv(1)
            assert link.ending() is not None
        assert [line for line in lines if "WSPSend raised" in line]

    @pytest.mark.parametrize("code", [e.WSAEDISCON, e.WSAESHUTDOWN])
    def test_a_receive_may_say_that_it_is_over(self, code: int) -> None:
        with Link(Nonsense) as link:
            provider = link.world.provider
            assert isinstance(provider, Nonsense)
            provider.receive = raising(e.WinsockError(code))
            link.peer.sendall(b"x")
            assert link.program.recv(1) == b""
            link.program.sendall(b"still")
            assert link.peer.recv(10) == b"still"

    def test_a_failed_send_lets_what_was_received_through(self) -> None:
        """A server that refuses an upload says why before it closes."""
        with Link(Nonsense) as link:
            provider = link.world.provider
            assert isinstance(provider, Nonsense)
            provider.send = raising(e.WinsockError(e.WSAECONNABORTED))
            link.peer.sendall(b"no")
            assert link.program.recv(2) == b"no"
            link.peer.sendall(MUCH[:50_000])
            link.program.sendall(b"upload")
            assert read_until_reset(link.program) == MUCH[:50_000]
            error = link.ending()
            assert error is not None
            assert error.winerror == e.WSAECONNABORTED

    def test_sends_in_parts_are_put_together(self) -> None:
        with Link(Nonsense) as link:
            provider, sock = link.world.provider, link.context.sock
            assert isinstance(provider, Nonsense)
            provider.send = lambda buffers: sock.send(bytes(buffers[0])[:7])
            link.program.sendall(MUCH[:5000])
            link.program.shutdown(socket.SHUT_WR)
            assert read_all(link.peer) == MUCH[:5000]

    @pytest.mark.parametrize("can_select", [True, False])
    def test_a_provider_that_never_waits(self, can_select: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        if not can_select:
            monkeypatch.setattr(Nonsense, "WSPSelect", raising(e.WinsockError(e.WSAEOPNOTSUPP)))
        with Link(Nonsense) as link:
            link.context.sock.setblocking(False)
            link.program.setblocking(False)
            sent = fill(link.program.fileno())
            link.program.shutdown(socket.SHUT_WR)
            assert len(read_all(link.peer)) == sent
            link.peer.sendall(b"answer")
            link.peer.close()
            link.program.settimeout(SECONDS)
            assert read_all(link.program) == b"answer"
            assert link.ending() is None

    def test_a_select_without_sense_is_as_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Nonsense, "WSPSelect", raising(KeyError("surprise")))
        with Link(Nonsense) as link:
            link.context.sock.setblocking(False)
            link.peer.sendall(b"x")
            assert link.program.recv(1) == b"x"

    def test_time_outs_are_waited_through(self) -> None:
        with Link(Impatient) as link:
            link.peer.sendall(b"late")
            assert link.program.recv(10) == b"late"
            assert not Impatient.time_outs

    def test_one_that_does_not_come_back_keeps_only_its_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A receive that closing the socket does not end."""
        for_ever = threading.Event()
        try:
            with Link(Nonsense) as link:
                provider = link.world.provider
                assert isinstance(provider, Nonsense)
                provider.receive = lambda: for_ever.wait(SECONDS) and None
                link.peer.sendall(b"x")
                link.program.sendall(b"all")
                link.program.close()
                link.pump.program_closed()
                assert link.peer.recv(10) == b"all"
                assert link.endings.get(timeout=SECONDS) is None
                assert link.context.closings == 1
        finally:
            for_ever.set()
