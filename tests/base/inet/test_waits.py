"""Calls that wait come back when a signal arrives, and ask the blocking callback whether to go on (BLK)."""

from __future__ import annotations

import errno
import os
import signal
import socket as host
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.api.test_sockets import wait_until_blocked
from tests.refusals import code_of, refused
from winsock.abi.constants import SO_RCVTIMEO, SO_SNDTIMEO, SOL_SOCKET
from winsock.abi.errors import WSAEINTR, WSAEWOULDBLOCK
from winsock.abi.sockaddr import Sockaddr
from winsock.api import options, sockets, startup, transfer, waiting
from winsock.base.inet import own
from winsock.dispatcher import handles, loader, threads
from winsock.testing import World


@pytest.fixture(autouse=True)
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture(autouse=True)
def callback() -> Iterator[Callable[[Callable[[object], bool]], None]]:
    """Sets the blocking callback of this thread; it is taken away afterwards."""
    state = threads.current()

    def use(function: Callable[[object], bool]) -> None:
        state.blocking_callback, state.blocking_context = function, "mine"

    yield use
    state.blocking_callback = state.blocking_context = None


@contextmanager
def signals(until: threading.Event) -> Iterator[list[int]]:
    """Signals arrive in this thread, one after the other, until the event is set."""
    seen: list[int] = []
    here = threading.get_ident()
    previous = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))

    def send() -> None:
        while not until.wait(0.005):
            signal.pthread_kill(here, signal.SIGUSR1)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        yield seen
    finally:
        until.set()
        sender.join()
        signal.signal(signal.SIGUSR1, previous)


def full_listener(world: World) -> Sockaddr:
    """An address where connects wait: the listener's queue is full."""
    _, address = world.listener(0)
    for _ in range(4):
        s = world.stream()
        os.set_blocking(s, False)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(s, address)
    return address


Use = Callable[[Callable[[object], bool]], None]


def test_a_callback_cancels_an_accept_blk_008_blk_014(world: World, callback: Use) -> None:
    listener, _ = world.listener()
    asked: list[object] = []

    def cancel(context: object) -> bool:
        asked.append(context)
        return False

    callback(cancel)
    with signals(threading.Event()) as seen, refused(WSAEINTR) as caught:
        sockets.accept(listener)
    assert asked == ["mine"]
    assert seen
    assert (caught.value.errno, caught.value.from_kernel) == (errno.EINTR, True)


def test_a_cancelled_listener_is_usable_blk_010(world: World, callback: Use) -> None:
    listener, address = world.listener()
    callback(lambda _: False)
    with signals(threading.Event()), refused(WSAEINTR):
        sockets.accept(listener)
    client = world.stream()
    sockets.connect(client, address)
    assert sockets.accept(listener)[1] == sockets.getsockname(client)


def test_a_callback_lets_an_accept_go_on_blk_014(world: World, callback: Use) -> None:
    listener, address = world.listener()
    done = threading.Event()
    client = host.socket()

    def go_on(_: object) -> bool:
        if len(seen) == 3:
            client.connect(address)
            done.set()
        return True

    callback(go_on)
    with client, signals(done) as seen:
        assert sockets.accept(listener)[1] == client.getsockname()


def test_without_a_callback_the_wait_goes_on_blk_013(world: World) -> None:
    listener, address = world.listener()
    done = threading.Event()
    with host.socket() as client, signals(done) as seen:

        def connect() -> None:
            while len(seen) < 3:
                pass
            done.set()
            client.connect(address)

        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        assert sockets.accept(listener)[1] == client.getsockname()
        thread.join()


@pytest.mark.parametrize("owner", ["own", "adopted"])
def test_a_callback_cancels_a_connect_blk_008(world: World, callback: Use, owner: str) -> None:
    address = full_listener(world)
    callback(lambda _: False)
    with host.socket() as file:
        s = world.stream()
        if owner == "adopted":
            entry = loader.catalog().match(2, 1, 0)
            s = handles.adopt(file.fileno(), entry).handle
        with signals(threading.Event()), refused(WSAEINTR):
            sockets.connect(s, address)
        if owner == "adopted":
            handles.release(s)


def test_a_callback_cancels_an_accept_on_an_adopted_file(callback: Use) -> None:
    with host.create_server(("127.0.0.1", 0)) as file:
        record = handles.adopt(file.fileno(), loader.catalog().match(2, 1, 0))
        callback(lambda _: False)
        with signals(threading.Event()), refused(WSAEINTR):
            record.table.WSPAccept(record.handle)
        handles.release(record.handle)


def test_time_outs_end_neither_connects_nor_accepts(world: World) -> None:
    """SO_RCVTIMEO and SO_SNDTIMEO are for data; in the kernel they end accept and connect too."""
    listener, address = world.listener()
    options.setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, 10)
    client = world.stream()
    peers: list[object] = []
    thread = threading.Thread(target=lambda: peers.append(sockets.accept(listener)[1]), daemon=True)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    sockets.connect(client, address)
    thread.join(20)
    assert peers == [sockets.getsockname(client)]


def test_a_connect_goes_on_after_its_time_out(world: World) -> None:
    listener, address = world.listener(0)
    early = [world.stream() for _ in range(2)]
    for s in early:
        os.set_blocking(s, False)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(s, address)
    late = world.stream()
    options.setsockopt(late, SOL_SOCKET, SO_SNDTIMEO, 10)
    thread = threading.Thread(target=lambda: sockets.connect(late, address), daemon=True)
    thread.start()
    thread.join(0.1)
    assert thread.is_alive()
    for _ in range(3):
        sockets.accept(listener)
    thread.join(30)
    assert not thread.is_alive()
    assert sockets.getpeername(late) == address


def test_signals_do_not_disturb_receives(world: World) -> None:
    client, server = world.connected()
    done = threading.Event()
    with signals(done) as seen:

        def answer() -> None:
            while len(seen) < 3:
                pass
            done.set()
            transfer.send(client, b"data")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert transfer.recv(server, 4) == b"data"
        thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this host does not fork")
def test_a_forked_child_has_no_waiters(world: World) -> None:
    s = world.stream()
    own.SOCKETS[s].waiters.append(None)
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(len(own.SOCKETS[s].waiters))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    finally:
        own.SOCKETS[s].waiters.clear()


@contextmanager
def interrupted(use: Use, happen: Callable[[], object]) -> Iterator[None]:
    """Signals interrupt the body; the callback lets it go on, and makes happen at the third what it waits for."""
    done = threading.Event()

    def go_on(_: object) -> bool:
        if len(seen) >= 3 and not done.is_set():
            done.set()
            happen()
        return True

    use(go_on)
    with signals(done) as seen:
        yield
    assert done.is_set()


def test_programs_of_version_2_call_what_they_like_inside_a_wait(world: World, callback: Use) -> None:
    """BLK-006."""
    listener, address = world.listener()
    client, server = world.connected()
    caller = world.stream()
    codes: dict[str, int] = {}

    def all_of_them() -> None:
        codes["send"] = code_of(lambda: transfer.send(client, b"x"))
        codes["recv"] = code_of(lambda: transfer.recv(server, 1))
        codes["getsockname"] = code_of(lambda: sockets.getsockname(client))
        codes["getsockopt"] = code_of(lambda: options.getsockopt(client, SOL_SOCKET, SO_SNDTIMEO))
        codes["select"] = code_of(lambda: waiting.select(0, None, [client], None, 0))
        codes["WSASetLastError"] = code_of(lambda: startup.WSASetLastError(0))
        codes["closesocket"] = code_of(lambda: sockets.closesocket(server))
        codes["connect"] = code_of(lambda: sockets.connect(caller, address))

    with interrupted(callback, all_of_them):
        assert sockets.accept(listener)[1] == sockets.getsockname(caller)
    assert set(codes.values()) == {0}, codes


def test_an_accept_on_an_adopted_file_goes_on_blk_014(callback: Use) -> None:
    with host.create_server(("127.0.0.1", 0)) as file, host.socket() as client:
        record = handles.adopt(file.fileno(), loader.catalog().match(2, 1, 0))
        with interrupted(callback, lambda: client.connect(file.getsockname())):
            assert record.table.WSPAccept(record.handle)[1] == client.getsockname()
        handles.release(record.handle)


def test_a_connect_of_an_adopted_file_goes_on_blk_014(world: World, callback: Use) -> None:
    address = full_listener(world)
    listener = min(own.SOCKETS)
    with host.socket() as file:
        record = handles.adopt(file.fileno(), loader.catalog().match(2, 1, 0))
        with interrupted(callback, lambda: [sockets.accept(listener) for _ in range(4)]):
            record.table.WSPConnect(record.handle, address)
        assert file.getpeername() == address
        handles.release(record.handle)


def test_a_receive_on_an_adopted_file_goes_on_blk_014(callback: Use) -> None:
    with host.create_server(("127.0.0.1", 0)) as server, host.create_connection(server.getsockname()) as file:
        peer, _ = server.accept()
        record = handles.adopt(file.fileno(), loader.catalog().match(2, 1, 0))
        buffer = bytearray(1)
        with peer, interrupted(callback, lambda: peer.send(b"x")):
            assert record.table.WSPRecv(record.handle, [buffer]) == (1, 0)
        handles.release(record.handle)


def test_closing_ends_a_connect_sk_28(world: World) -> None:
    address = full_listener(world)
    s = world.stream()
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(code_of(lambda: sockets.connect(s, address))), daemon=True)
    thread.start()
    wait_until_blocked(s, thread)
    sockets.closesocket(s)
    thread.join(20)
    assert codes == [WSAEINTR]
