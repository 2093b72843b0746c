"""The pump between a near end that is just a connected socket, as under a relay, and a provider's socket."""

from __future__ import annotations

import errno
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, ClassVar, Self

import pytest

from tests.dispatcher.strangers import SECONDS, Context, Stranger, World, fill, read_all, reset, tcp_pair
from tests.waiting import wait_until
from winsock.abi import errors as e
from winsock.dispatcher.records import records
from winsock.dispatcher.redirecting import pump as pumping
from winsock.dispatcher.redirecting.pump import Pump
from winsock.host.queues import UNREAD, ask_or_0

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
        assert self.pump.wait(0)
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

    def test_or_by_being_told(self, link: Link) -> None:
        link.program.sendall(MUCH[:100_000])
        link.program.close()
        link.pump.program_closed()
        assert read_all(link.peer) == MUCH[:100_000]
        assert link.ending() is None


class TestErrors:
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
