"""Before the application has its connection: the outcome of a connect, the opening exchange, and giving up."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.dispatcher.drivers.ends import (
    RESET,
    TIMEOUT_S,
    connected_pair,
    pipeline,
    read_all,
    read_until_reset,
    wait_dead,
)
from tests.dispatcher.drivers.machines import Polite, Writing
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEHOSTUNREACH,
    WSAETIMEDOUT,
    WinsockError,
)
from winsock.dispatcher.drivers import opening
from winsock.dispatcher.drivers.opening import open_exchange
from winsock.dispatcher.drivers.relay import Ending, Relay, drain
from winsock.spi.stream import StreamLayer


def never() -> bool:
    return False


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The far end, and its peer."""
    far, peer = connected_pair()
    yield far, peer
    far.close()
    peer.close()


def answering(peer: socket.socket, *conversation: tuple[bytes, bytes]) -> threading.Thread:
    """Read each question, and give its answer."""

    def talk() -> None:
        for question, answer in conversation:
            assert peer.recv(len(question), socket.MSG_WAITALL) == question
            peer.sendall(answer)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    return thread


# --- the opening exchange ---


def test_layers_speak_first_from_below(pair: tuple[socket.socket, socket.socket]) -> None:
    far, peer = pair
    machine = pipeline([Polite("a"), Polite("b")])
    thread = answering(peer, (b"hello ", b"welcome "), (b"hello ", b"welcome and data"))
    assert open_exchange(far.fileno(), machine, never)
    thread.join()
    assert machine.ready
    assert b"".join(machine.to_application) == b"and data"
    assert far.gettimeout() == TIMEOUT_S
    assert far.send(b"the socket is still ours") == 24


def test_layers_that_do_not_speak_first_need_no_answer(pair: tuple[socket.socket, socket.socket]) -> None:
    far, peer = pair

    class Greeting(StreamLayer):
        def opened(self) -> None:
            self.send_out(b"hello")

    assert open_exchange(far.fileno(), pipeline([Writing(), Greeting()]), never)
    assert peer.recv(100) == b"hello"


def test_more_than_the_network_takes_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    far, peer = pair

    class Talkative(StreamLayer):
        opening = True

        def opened(self) -> None:
            self.send_out(bytes(16 << 20))

        def incoming(self, data: bytes) -> None:
            self.ready()

    received: list[int] = []

    def listen() -> None:
        count = 0
        while count < 16 << 20:
            count += len(peer.recv(1 << 20))
        received.append(count)
        peer.sendall(b"ok")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert open_exchange(far.fileno(), pipeline([Talkative()]), never)
    thread.join()
    assert received == [16 << 20]


def test_a_refusal_by_a_layer(pair: tuple[socket.socket, socket.socket]) -> None:
    far, peer = pair

    class Strict(StreamLayer):
        opening = True

        def incoming(self, data: bytes) -> None:
            raise WinsockError(WSAEHOSTUNREACH, data.decode())

    peer.sendall(b"no")
    with pytest.raises(WinsockError) as raised:
        open_exchange(far.fileno(), pipeline([Strict()]), never)
    assert raised.value.winerror == WSAEHOSTUNREACH


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_peer_that_leaves_before_every_layer_is_ready(how: str, pair: tuple[socket.socket, socket.socket]) -> None:
    far, peer = pair
    if how == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()
    with pytest.raises(WinsockError) as raised:
        open_exchange(far.fileno(), pipeline([Polite()]), never)
    assert raised.value.winerror == WSAECONNRESET


def test_a_layer_may_give_up_by_its_timer(pair: tuple[socket.socket, socket.socket]) -> None:
    class Impatient(StreamLayer):
        opening = True

        def opened(self) -> None:
            self.wake_at(self.now() + 0.01)

        def timer(self, now: float) -> None:
            self.fail(TimeoutError("no answer"))

    with pytest.raises(WinsockError) as raised:
        open_exchange(pair[0].fileno(), pipeline([Impatient()]), never)
    assert raised.value.winerror == WSAETIMEDOUT


def test_giving_up_and_going_on(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SLICE_S", 0.01)
    far, peer = pair
    machine = pipeline([Polite()])
    asked: list[int] = []

    def second_time() -> bool:
        asked.append(1)
        return len(asked) == 2

    assert not open_exchange(far.fileno(), machine, second_time)
    assert peer.recv(100) == b"hello "
    peer.sendall(b"welcome ")
    assert open_exchange(far.fileno(), machine, never)
    assert len(asked) == 2


def test_a_signal_wakes_the_thread(pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "SLICE_S", 1000)
    came = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: came.set())
    over = threading.Event()

    def disturb(thread: int) -> None:
        while not over.wait(0.01):  # once might be too early
            signal.pthread_kill(thread, signal.SIGUSR1)

    thread = threading.Thread(target=disturb, args=(threading.get_ident(),), daemon=True)
    thread.start()
    try:
        assert not open_exchange(pair[0].fileno(), pipeline([Polite()]), came.is_set)
    finally:
        over.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)


# --- a far end that is still connecting ---


class Pending:
    """A relay that was started with a far end on its way to an address."""

    def __init__(self, address: tuple[str, int], near: Callable[[], int | None], *layers: StreamLayer) -> None:
        self.told: list[WinsockError | None] = []
        self.endings: list[Ending] = []
        self.over = threading.Event()
        self._near = near
        far = socket.socket()
        far.setblocking(False)
        far.connect_ex(address)
        self.relay = Relay(None, far.detach(), pipeline(layers), self._ended, settled=self._settled)
        self.relay.start()

    def ending(self) -> Ending:
        """How it ended; waits until all is done."""
        assert self.over.wait(TIMEOUT_S)
        assert drain(TIMEOUT_S) == 0
        return self.endings[0]

    def _settled(self, error: WinsockError | None) -> int | None:
        self.told.append(error)
        return self._near()

    def _ended(self, ending: Ending) -> None:
        self.endings.append(ending)
        self.over.set()


def nobody() -> None:
    return None


def code_of(error: WinsockError | None) -> int:
    assert error is not None
    return error.winerror


def test_near_is_joined_when_far_is_connected_and_every_layer_ready() -> None:
    program, near = connected_pair()
    writing = Writing()
    with socket.create_server(("127.0.0.1", 0)) as listener, program:
        pending = Pending(listener.getsockname(), near.detach, writing, Polite())
        program.sendall(b"early")
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(100) == b"hello "
            assert pending.told == []
            peer.sendall(b"welcome data")
            assert program.recv(100) == b"data"
            assert pending.told == [None]
            assert peer.recv(100) == b"early"
            program.shutdown(socket.SHUT_WR)
            assert read_all(peer) == b""
        assert pending.ending().error is None
    assert writing.seen[0] == "opened"
    assert writing.seen[-1] == "closed"


def test_a_connect_that_fails_is_told_and_the_layers_never_hear_of_it() -> None:
    writing = Writing()
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        pending = Pending(unheard.getsockname(), nobody, writing)
        ending = pending.ending()
    assert code_of(pending.told[0]) == WSAECONNREFUSED
    assert code_of(ending.error) == WSAECONNREFUSED
    assert writing.seen == []


def test_a_layer_that_refuses_resets_the_near_end_too_if_there_is_one() -> None:
    class Refusing(StreamLayer):
        opening = True

        def opened(self) -> None:
            self.fail(ConnectionRefusedError())

    program, near = connected_pair()
    with socket.create_server(("127.0.0.1", 0)) as listener, program:
        pending = Pending(listener.getsockname(), near.detach, Refusing())
        peer, _ = listener.accept()
        with peer:
            read_until_reset(peer)
            read_until_reset(program)
    assert code_of(pending.told[0]) == WSAECONNREFUSED


def test_a_program_that_has_gone_meanwhile() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pending = Pending(listener.getsockname(), nobody)
        peer, _ = listener.accept()
        with peer:
            read_until_reset(peer)
    assert pending.told == [None]
    assert code_of(pending.ending().error) == WSAECONNABORTED


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address that does not answer: a listener whose queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as filler:
        filler.connect(listener.getsockname())
        yield listener.getsockname()


def test_a_pending_connect_can_be_given_up(black_hole: tuple[str, int]) -> None:
    pending = Pending(black_hole, nobody)
    pending.relay.program_closed()  # does nothing yet
    assert not pending.told
    pending.relay.abort(WinsockError(WSAEHOSTUNREACH))
    assert code_of(pending.ending().error) == WSAEHOSTUNREACH
    assert code_of(pending.told[0]) == WSAEHOSTUNREACH


def test_an_opening_exchange_can_be_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pending = Pending(listener.getsockname(), nobody, Polite())
        peer, _ = listener.accept()
        with peer:
            assert peer.recv(100) == b"hello "
            pending.relay.abort()
            wait_dead(peer)
    assert code_of(pending.ending().error) == WSAECONNABORTED


def test_the_owner_may_ask_for_the_outcome_by_itself() -> None:
    asked: list[int] = []

    def outcome(descriptor: int) -> WinsockError:
        asked.append(descriptor)
        return WinsockError(WSAETIMEDOUT)

    told: list[WinsockError | None] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        descriptor = far.detach()
        Relay(None, descriptor, pipeline([]), lambda _: over.set(), settled=told.append, outcome=outcome).start()
        assert over.wait(TIMEOUT_S)
    assert asked == [descriptor]
    assert code_of(told[0]) == WSAETIMEDOUT
