"""The relay between real sockets: bytes, ends, resets, pressure, urgent data; read and spliced alike."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from fcntl import ioctl
from struct import unpack
from types import SimpleNamespace

import pytest

from tests.dispatcher.drivers import ends
from tests.dispatcher.drivers.ends import (
    TIMEOUT_S,
    Relayed,
    read_all,
    read_until_reset,
    relayed,
    reset,
    wait_acknowledged,
    wait_dead,
)
from tests.dispatcher.drivers.machines import Counting
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEHOSTUNREACH,
    WSAENOBUFS,
    WinsockError,
)
from winsock.dispatcher.drivers import lane, pipes, relay
from winsock.dispatcher.drivers.pipes import Pipes
from winsock.spi.stats import Stats
from winsock.spi.stream import Direction, StreamLayer

SIOCATMARK = 0x8905


class Passing(StreamLayer):
    """Sees every byte and changes none."""

    def outgoing(self, data: bytes) -> bytes:
        return data

    def incoming(self, data: bytes) -> bytes:
        return data


class Shout(StreamLayer):
    def outgoing(self, data: bytes) -> bytes:
        return data.upper()


KINDS: dict[str, Callable[[], StreamLayer]] = {"read": Passing, "spliced": Counting}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[[], StreamLayer]:
    """A layer by which bytes are read, and one by which they are spliced."""
    return KINDS[request.param]


# --- bytes ---


def test_bytes_go_through_the_layers_both_ways() -> None:
    with relayed(Shout(), Passing()) as connection:
        connection.program.sendall(b"hello")
        assert connection.peer.recv(100) == b"HELLO"
        connection.peer.sendall(b"there")
        assert connection.program.recv(100) == b"there"


def test_a_layer_that_counts_is_told_of_every_byte() -> None:
    layer = Counting()
    with relayed(layer) as connection:
        connection.program.sendall(b"12345")
        connection.program.shutdown(socket.SHUT_WR)
        assert read_all(connection.peer) == b"12345"
        connection.peer.sendall(bytes(100_000))
        connection.peer.close()
        assert read_all(connection.program) == bytes(100_000)
        connection.ending()
    assert layer.counts == {"outgoing": 5, "incoming": 100_000}


def test_no_layer_at_all_passes_bytes() -> None:
    with relayed() as connection:
        connection.program.sendall(b"there")
        assert connection.peer.recv(100) == b"there"


def test_the_last_bytes_are_not_held_back_for_more(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        began = time.monotonic()
        for size in (1, 70_000, 1, 200_000, 3):
            connection.program.sendall(bytes(size))
            got = 0
            while got < size:
                got += len(connection.peer.recv(1 << 20))
        assert time.monotonic() - began < 1, "a corked segment waits for 200 ms"


def test_many_small_pieces_go_out_together() -> None:
    class Confetti(StreamLayer):
        def outgoing(self, data: bytes) -> None:
            for byte in data:
                self.send_out(bytes((byte,)))

    data = bytes(range(256)) * 40
    with relayed(Confetti()) as connection:
        connection.program.sendall(data)
        connection.program.shutdown(socket.SHUT_WR)
        assert read_all(connection.peer) == data


def test_many_small_pieces_for_a_slow_reader() -> None:
    class Slicing(StreamLayer):
        def outgoing(self, data: bytes) -> None:
            for at in range(0, len(data), 1000):
                self.send_out(data[at : at + 1000])

    piece = bytes(range(251)) * 1000
    with relayed(Slicing()) as connection:
        connection.program.setblocking(False)
        writable = select.poll()
        writable.register(connection.program, select.POLLOUT)
        sent = bytearray()
        while writable.poll(50):
            sent += piece[: connection.program.send(piece)]
        connection.program.close()
        assert read_all(connection.peer) == sent


@pytest.mark.parametrize("swell", [1, 100])
def test_a_slow_reader_slows_the_sender_and_gets_everything(swell: int, kind: Callable[[], StreamLayer]) -> None:
    class Swelling(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            return data * swell

    sent = bytes(32 << 20)
    with relayed(Swelling() if swell > 1 else kind()) as connection:
        connection.program.setblocking(False)
        view = memoryview(sent)
        at = 0
        writable = select.poll()
        writable.register(connection.program, select.POLLOUT)
        while writable.poll(100):  # milliseconds in which nothing moves: everything is full
            at += connection.program.send(view[at : at + (1 << 20)])
        assert at < len(sent), "32 MiB went into a connection that nobody reads"
        waiting = connection.relay.waiting
        assert waiting <= lane.PIECE * swell + pipes.SIZE
        connection.program.close()
        received = 0
        while data := connection.peer.recv(1 << 20):
            received += len(data)
        assert received == at * swell


def test_a_layer_that_reflects_is_slowed_by_who_does_not_read() -> None:
    class Mirror(StreamLayer):
        def incoming(self, data: bytes) -> None:
            self.send_out(data)

    with relayed(Mirror()) as connection:
        connection.peer.setblocking(False)
        writable = select.poll()
        writable.register(connection.peer, select.POLLOUT)
        sent = 0
        while sent < 64 << 20 and writable.poll(100):
            sent += connection.peer.send(bytes(1 << 20))
        assert sent < 64 << 20, "64 MiB went into a mirror that nobody looks at"
        assert connection.relay.waiting <= lane.MOST + lane.PIECE
        connection.program.sendall(b"out")  # the application's own direction is not to blame, but must wait its turn
        connection.peer.shutdown(socket.SHUT_WR)
        connection.peer.setblocking(True)
        received = 0
        while received < sent + 3:
            received += len(connection.peer.recv(1 << 20))


def test_one_direction_goes_on_while_the_other_is_stuck(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.program.setblocking(False)
        writable = select.poll()
        writable.register(connection.program, select.POLLOUT)
        while writable.poll(50):
            connection.program.send(bytes(1 << 20))
        connection.program.settimeout(TIMEOUT_S)
        for n in range(100):
            connection.peer.sendall(b"%d" % n)
            assert connection.program.recv(100) == b"%d" % n


def test_without_pipes_passing_bytes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "PIPES", Pipes(most=0))
    layer = Counting()
    with relayed(layer) as connection:
        connection.program.sendall(b"there")
        assert connection.peer.recv(100) == b"there"
        assert layer.counts["outgoing"] == 5


# --- an exchange of the layer's own, on an accepted connection ---


class Answering(StreamLayer):
    """Is ready when it was greeted, and answers with a welcome."""

    opening = True

    def incoming(self, data: bytes) -> bytes | None:
        if data == b"hello":
            self.send_out(b"welcome ")
            self.ready()
            return None
        return data


@pytest.mark.parametrize("layers", [(Answering,), (Passing, Answering), (Counting, Answering, Passing)])
def test_what_the_program_sends_waits_for_the_exchange(layers: tuple[Callable[[], StreamLayer], ...]) -> None:
    with relayed(*(layer() for layer in layers)) as connection:
        connection.program.sendall(b"early")
        connection.program.shutdown(socket.SHUT_WR)
        wait_acknowledged(connection.program)
        connection.peer.sendall(b"hello")
        assert read_all(connection.peer) == b"welcome early"
        connection.peer.sendall(b"there")
        assert connection.program.recv(100) == b"there"


def test_a_peer_that_ends_before_the_exchange_is_over_fails_the_connection() -> None:
    with relayed(Passing(), Answering()) as connection:
        connection.peer.shutdown(socket.SHUT_WR)
        assert read_until_reset(connection.program) == b""
        assert read_until_reset(connection.peer) == b""


# --- ends ---


def test_each_direction_ends_by_itself(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.program.sendall(b"question")
        connection.program.shutdown(socket.SHUT_WR)
        assert read_all(connection.peer) == b"question"
        connection.peer.sendall(b"answer")
        connection.peer.shutdown(socket.SHUT_WR)
        assert read_all(connection.program) == b"answer"
        ending = connection.ending()
        assert (ending.sent, ending.received, ending.error) == (8, 6, None)


def test_the_network_may_end_first(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.peer.sendall(b"banner")
        connection.peer.shutdown(socket.SHUT_WR)
        assert read_all(connection.program) == b"banner"
        connection.program.sendall(b"still here")
        connection.program.close()
        assert read_all(connection.peer) == b"still here"
        assert connection.ending().error is None


def test_an_end_crosses_after_what_a_layer_holds() -> None:
    class Late(StreamLayer):
        held = b""

        def outgoing(self, data: bytes) -> None:
            self.held += data

        def outgoing_ended(self) -> bool:
            self.wake_at(self.now() + 0.02)
            return True

        def timer(self, now: float) -> None:
            self.send_out(self.held)
            self.end_out()

    with relayed(Late(), Passing()) as connection:
        connection.program.sendall(b"held")
        connection.program.shutdown(socket.SHUT_WR)
        assert read_all(connection.peer) == b"held"


def test_a_layer_that_never_lets_an_end_go_does_not_keep_the_connection() -> None:
    class Greedy(StreamLayer):
        def outgoing_ended(self) -> bool:
            return True

    with relayed(Greedy()) as connection:
        connection.peer.close()
        connection.program.close()
        assert connection.ending().error is None


def test_a_layer_with_a_clock_of_its_own_does_not_keep_the_connection() -> None:
    class Ticking(StreamLayer):
        def opened(self) -> None:
            self.wake_at(self.now() + 0.001)

        def timer(self, now: float) -> None:
            self.wake_at(now + 0.001)

    with relayed(Ticking()) as connection:
        connection.peer.close()
        connection.program.close()
        assert connection.ending().error is None


def test_a_layer_may_wake_in_a_thousand_years() -> None:
    class Asleep(StreamLayer):
        def opened(self) -> None:
            self.wake_at(self.now() + 1e12)

    with relayed(Asleep()) as connection:
        connection.program.sendall(b"question")
        assert connection.peer.recv(20) == b"question"


# --- resets ---


@pytest.mark.parametrize("who", ["program", "peer"])
def test_a_reset_crosses(who: str, kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        first, second = _by_name(connection, who)
        first.sendall(b"last words")
        reset(first)
        assert read_until_reset(second) == b"last words"
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAECONNRESET


@pytest.mark.parametrize("who", ["program", "peer"])
def test_a_reset_crosses_after_an_end(who: str, kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        first, second = _by_name(connection, who)
        second.shutdown(socket.SHUT_WR)
        assert first.recv(1) == b""
        reset(first)
        read_until_reset(second)


@pytest.mark.parametrize("who", ["program", "peer"])
def test_what_is_left_unread_at_the_close_resets_the_other_side(who: str, kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        first, second = _by_name(connection, who)
        second.sendall(b"nobody reads this")
        assert first.recv(6) == b"nobody"
        first.sendall(b"bye")
        first.close()
        assert read_until_reset(second) == b"bye"


@pytest.mark.parametrize("who", ["program", "peer"])
def test_what_comes_after_the_close_is_answered_by_a_reset(who: str, kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        first, second = _by_name(connection, who)
        first.close()
        assert second.recv(1) == b""
        second.sendall(b"too late")
        wait_dead(second)


def test_what_came_before_a_reset_reaches_a_slow_program(kind: Callable[[], StreamLayer]) -> None:
    sent = bytes(range(256)) * 1024
    with relayed(kind()) as connection:
        connection.program.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        connection.peer.sendall(sent)
        wait_acknowledged(connection.peer)
        reset(connection.peer)
        assert read_until_reset(connection.program) == sent


def test_a_program_that_goes_on_sending_after_a_reset_is_told_soon() -> None:
    with relayed(Passing()) as connection:
        connection.program.setblocking(False)
        writable = select.poll()
        writable.register(connection.program, select.POLLOUT)
        connection.peer.sendall(bytes(3 << 20))  # which the program does not read
        while writable.poll(50):
            connection.program.send(bytes(1 << 20))
        reset(connection.peer)
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAECONNRESET


def test_a_peer_that_does_not_read_keeps_a_reset_connection_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winsock.dispatcher.drivers.carrier.PATIENCE_S", 0.1)
    with relayed(Passing()) as connection:
        connection.program.setblocking(False)
        writable = select.poll()
        writable.register(connection.program, select.POLLOUT)
        while writable.poll(50):
            connection.program.send(bytes(1 << 20))
        reset(connection.program)
        assert connection.ending().error is not None
        read_until_reset(connection.peer)


# --- failures ---


class Refusing(StreamLayer):
    """Fails at the second piece."""

    pieces = 0

    def incoming(self, data: bytes) -> bytes:
        self.pieces += 1
        if self.pieces == 2:
            raise WinsockError(WSAEHOSTUNREACH, "not that")
        return data


def test_a_layer_that_fails_resets_both_after_what_it_let_through() -> None:
    with relayed(Refusing(), Passing()) as connection:
        connection.peer.sendall(b"good")
        assert connection.program.recv(2) == b"go"
        connection.peer.sendall(b"bad")
        assert read_until_reset(connection.program) == b"od"
        assert read_until_reset(connection.peer) == b""
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAEHOSTUNREACH


def test_a_layer_that_fails_when_it_is_told_of_bytes() -> None:
    class Limited(Counting):
        def passed(self, direction: Direction, count: int) -> None:
            super().passed(direction, count)
            if self.counts["outgoing"] > 5:
                self.fail(ConnectionRefusedError("enough"))

    with relayed(Limited()) as connection:
        connection.program.sendall(b"12345")
        assert connection.peer.recv(5) == b"12345"
        connection.program.sendall(b"6")
        read_until_reset(connection.program)
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAECONNREFUSED


def test_a_layer_that_tries_to_end_the_process_ends_its_connection(lines: list[str]) -> None:
    class Exiting(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            raise SystemExit(3)

    with relayed(Exiting()) as connection:
        connection.program.sendall(b"data")
        read_until_reset(connection.peer)
        assert connection.ending().error is not None
    assert "SystemExit: 3" in lines[0]


def test_a_layer_that_recurses_without_end_fails_its_connection(lines: list[str]) -> None:
    class Deep(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            return max([data], key=self.outgoing)

    with relayed(Deep()) as connection:
        connection.program.sendall(b"data")
        read_until_reset(connection.peer)
    assert "RecursionError" in lines[0]


def test_a_layer_that_sleeps_harms_no_other_connection() -> None:
    awake = threading.Event()

    class Sleeping(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            awake.wait(TIMEOUT_S)
            return data

    with relayed(Sleeping()) as slow, relayed(Passing()) as other:
        slow.program.sendall(b"one")
        other.program.sendall(b"two")
        assert other.peer.recv(100) == b"two"
        awake.set()
        assert slow.peer.recv(100) == b"one"


def test_what_the_owner_raises_is_written_down_and_the_ends_are_closed(lines: list[str]) -> None:
    def broken(_: object) -> None:
        raise KeyError("mine")

    program, near = ends.connected_pair()
    far, peer = ends.connected_pair()
    with program, peer:
        work = relay.Relay(near.detach(), far.detach(), ends.pipeline([]), broken, stats=broken)  # type: ignore[arg-type]
        work.start()
        program.close()
        peer.close()
        assert relay.drain(TIMEOUT_S) == 0
    assert ["KeyError: 'mine'" in line for line in lines] == [True, True]


# --- urgent data ---


@pytest.mark.parametrize("who", ["program", "peer"])
def test_urgent_data_stays_urgent_and_in_its_place(who: str, kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        first, second = _by_name(connection, who)
        first.sendall(b"before")
        first.send(b"!", socket.MSG_OOB)
        first.sendall(b"after")
        urgent = select.poll()
        urgent.register(second, select.POLLPRI)
        assert urgent.poll(TIMEOUT_S * 1000)
        assert second.recv(1, socket.MSG_OOB) == b"!"
        before = b""
        while not unpack("i", ioctl(second, SIOCATMARK, bytes(4)))[0]:
            before += second.recv(1)
        assert before == b"before"
        first.close()
        assert read_all(second) == b"after"


@pytest.mark.parametrize("size", [lane.SMALL, lane.SMALL + lane.PIECE])
def test_urgent_data_right_behind_a_full_piece(size: int, kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.program.sendall(bytes(size))
        connection.program.send(b"!", socket.MSG_OOB)
        connection.program.shutdown(socket.SHUT_WR)
        assert read_all(connection.peer) == bytes(size), "the urgent byte came among the others"


def test_an_urgent_byte_that_becomes_more_is_no_longer_urgent_and_not_lost() -> None:
    class Wrapping(StreamLayer):
        def outgoing(self, data: bytes) -> bytes:
            return b"<" + data + b">"

    with relayed(Wrapping()) as connection:
        connection.program.send(b"!", socket.MSG_OOB)
        assert connection.peer.recv(100) == b"<!>"
        connection.program.close()
        assert read_all(connection.peer) == b""


def test_an_end_behind_urgent_data_is_an_end(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.peer.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        connection.program.sendall(b"before")
        connection.program.send(b"!", socket.MSG_OOB)
        connection.program.close()
        assert read_all(connection.peer) == b"before!"


# --- from other threads ---


def test_abort_resets_both_ends(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.program.sendall(b"data")
        assert connection.peer.recv(100) == b"data"
        connection.relay.abort()
        read_until_reset(connection.peer)
        read_until_reset(connection.program)
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAECONNABORTED
        connection.relay.abort()  # which is over


def test_abort_with_a_reason() -> None:
    with relayed(Passing()) as connection:
        connection.relay.abort(WinsockError(WSAEHOSTUNREACH))
        error = connection.ending().error
        assert error is not None
        assert error.winerror == WSAEHOSTUNREACH


def test_a_program_that_has_closed_needs_no_peer_that_closes(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.program.sendall(b"all there is")
        connection.program.close()
        assert read_all(connection.peer) == b"all there is"
        connection.relay.program_closed()
        ending = connection.ending()
        assert (ending.sent, ending.error) == (12, None)
        connection.peer.sendall(b"nobody is there")
        wait_dead(connection.peer)


def test_what_a_closed_program_sent_still_goes_out(kind: Callable[[], StreamLayer]) -> None:
    with relayed(kind()) as connection:
        connection.program.setblocking(False)
        writable = select.poll()
        writable.register(connection.program, select.POLLOUT)
        sent = 0
        while writable.poll(50):
            sent += connection.program.send(bytes(1 << 20))
        connection.program.close()
        connection.relay.program_closed()
        connection.peer.sendall(b"into the void")
        received = 0
        while data := connection.peer.recv(1 << 20):
            received += len(data)
        assert received == sent
        assert connection.ending().error is None


def test_a_program_that_closed_with_bytes_unread_is_no_orderly_end() -> None:
    with relayed(Passing()) as connection:
        connection.peer.sendall(b"nobody reads this")
        assert connection.program.recv(6) == b"nobody"
        connection.program.close()
        connection.relay.program_closed()
        read_until_reset(connection.peer)


def test_without_a_thread_nothing_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise WinsockError(WSAENOBUFS)

    monkeypatch.setattr(relay, "_POOL", SimpleNamespace(perform=refuse))
    near, program = ends.connected_pair()
    with near, program:
        work = relay.Relay(near.fileno(), near.fileno(), ends.pipeline([]), lambda _: None)
        with pytest.raises(WinsockError) as raised:
            work.start()
        assert raised.value.winerror == WSAENOBUFS
        assert work not in relay.LIVE
        near.sendall(b"still open")
        assert program.recv(100) == b"still open"


def test_drain_counts_what_still_runs() -> None:
    with relayed(Passing()) as connection:
        assert relay.drain(0) == 1
        assert {connection.relay} == relay.LIVE
        connection.peer.close()
        connection.program.close()
        assert relay.drain(TIMEOUT_S) == 0
        assert not relay.LIVE


def test_the_order_at_the_end() -> None:
    order: list[str] = []

    class Last(StreamLayer):
        def closed(self, stats: Stats) -> None:
            order.append(f"layers told of {stats.sent}")

    program, near = ends.connected_pair()
    far, peer = ends.connected_pair()
    descriptors = near.fileno(), far.fileno()

    def stats(descriptor: int) -> Stats:
        order.append("stats")
        assert descriptor == descriptors[1]
        return Stats(descriptor, 1, None, None, "tcp", sent=4)

    def close_far(descriptor: int) -> None:
        order.append("closed")
        socket.close(descriptor)

    work = relay.Relay(
        near.detach(),
        far.detach(),
        ends.pipeline([Last()]),
        lambda ending: order.append(f"ended {ending.sent} {ending.stats.sent}"),
        stats=stats,
        close_far=close_far,
    )
    with program, peer:
        program.sendall(b"data")
        program.shutdown(socket.SHUT_WR)
        peer.shutdown(socket.SHUT_WR)
        work.run()
    assert order == ["stats", "ended 4 4", "closed", "layers told of 4"]


def _by_name(connection: Relayed, who: str) -> tuple[socket.socket, socket.socket]:
    pair = (connection.program, connection.peer)
    return pair if who == "program" else pair[::-1]
