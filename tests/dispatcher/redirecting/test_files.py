"""How a file ends: in order, by an error, by closing, with a process; and what it does under pressure."""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from tests.dispatcher.strangers import (
    SECONDS,
    Stranger,
    World,
    errno_of,
    fill,
    is_hung_up,
    read_all,
    read_exactly,
    receive_exactly,
    reset,
    run,
    settle,
)
from tests.refusals import refused
from tests.waiting import wait_until
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.api import options, sockets, transfer, waiting
from winsock.dispatcher.records import serving
from winsock.dispatcher.redirecting import files
from winsock.dispatcher.redirector import as_file

ROOT = Path(__file__).parents[3]
MUCH = bytes(range(256)) * 12000


@pytest.fixture
def world() -> Iterator[World]:
    with World() as started:
        yield started


class TestFork:
    def in_child(self, body: Callable[[], object]) -> int:
        """Run it in a forked child, which then exits as any program does; its status."""
        child = os.fork()
        if not child:
            status = 1
            try:
                status = 0 if body() else 2
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_a_child_has_the_descriptor(self, world: World) -> None:
        s, peer = world.file()
        peer.sendall(b"down")
        assert self.in_child(lambda: (os.read(s, 4), os.write(s, b"up")) == (b"down", 2)) == 0
        assert peer.recv(10) == b"up"

    def test_and_no_handle(self, world: World) -> None:
        s, peer = world.file()

        def use() -> bool:
            for call in (lambda: transfer.recv(s, 1), lambda: sockets.closesocket(s), lambda: as_file(s)):
                with refused(e.WSAENOTSOCK):
                    call()
            os.write(s, b"still")
            return not serving

        assert self.in_child(use) == 0
        assert peer.recv(10) == b"still"

    def test_its_exit_ends_nothing(self, world: World) -> None:
        s, peer = world.file()
        context = world.context(s)

        def leave() -> bool:
            from winsock.dispatcher import process

            process.cleanup()
            files._at_exit()
            os.close(s)
            return True

        assert self.in_child(leave) == 0
        os.write(s, b"here")
        assert peer.recv(10) == b"here"
        assert not context.closings

    def test_the_last_one_ends_it(self, world: World) -> None:
        s, peer = world.file()
        context = world.context(s)
        ready, go = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(go)
                os.read(ready, 1)  # until the parent closes its end
                os.write(s, b"orphan")
            finally:
                os._exit(0)
        os.close(ready)
        sockets.closesocket(s)
        assert not context.closings
        os.close(go)
        os.waitpid(child, 0)
        assert read_all(peer) == b"orphan"
        assert context.closed.wait(SECONDS)


class TestEnds:
    def test_the_peers_end_is_an_end(self, world: World) -> None:
        s, peer = world.file()
        peer.sendall(b"all")
        peer.shutdown(socket.SHUT_WR)
        assert read_all(s) == b"all"
        assert transfer.recv(s, 1) == b""
        os.write(s, b"still")
        assert peer.recv(10) == b"still"

    @pytest.mark.parametrize("how", ["API", "descriptor", "disconnect"])
    def test_ours_is_the_peers(self, world: World, how: str) -> None:
        s, peer = world.file()
        os.write(s, b"all")
        if how == "API":
            sockets.shutdown(s, c.SD_SEND)
        elif how == "disconnect":
            transfer.WSASendDisconnect(s)
        else:
            with socket.socket(fileno=os.dup(s)) as sock:
                sock.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"all"
        assert errno_of(lambda: os.write(s, b"x")) == errno.EPIPE
        peer.sendall(b"still")
        assert os.read(s, 10) == b"still"

    def test_shutdowns_are_remembered(self, world: World) -> None:
        s, peer = world.file()
        sockets.shutdown(s, c.SD_RECEIVE)
        with refused(e.WSAESHUTDOWN):
            transfer.recv(s, 1)
        sockets.shutdown(s, c.SD_BOTH)
        sockets.shutdown(s, c.SD_BOTH)
        with refused(e.WSAESHUTDOWN):
            transfer.send(s, b"x")
        with refused(e.WSAEINVAL, "how"):
            sockets.shutdown(s, 3)
        assert peer.recv(1) == b""

    def test_both_ends_leave_the_handle(self, world: World) -> None:
        """The connection is over, and everything but data still asks the provider."""
        s, peer = world.file()
        context = world.context(s)
        sockets.shutdown(s, c.SD_SEND)
        assert peer.recv(1) == b""
        peer.close()
        assert os.read(s, 1) == b""
        options.setsockopt(s, c.SOL_SOCKET, c.SO_KEEPALIVE, 1)
        assert options.getsockopt(s, c.SOL_SOCKET, c.SO_KEEPALIVE) == 1
        assert not context.closed.is_set()
        os.close(s)
        assert context.closed.wait(SECONDS)
        assert context.closings == 1


class TestErrors:
    def test_a_reset_is_a_reset(self, world: World) -> None:
        s, peer = world.file()
        peer.sendall(b"before")
        assert os.read(s, 10) == b"before"
        reset(peer)
        assert errno_of(lambda: os.read(s, 1)) == errno.ECONNRESET
        assert errno_of(lambda: os.write(s, b"x")) == errno.EPIPE
        with refused(e.WSAECONNRESET):
            transfer.recv(s, 1)
        with refused(e.WSAECONNRESET):
            transfer.send(s, b"x")

    def test_what_came_before_it_comes_first(self, world: World) -> None:
        s, peer = world.file()
        peer.sendall(MUCH[:100000])
        wait_until(lambda: options.ioctlsocket(s, c.FIONREAD) == 100000, "the data")
        reset(peer)
        wait_until(lambda: select.select([s], [], [], 0)[0] and is_hung_up(s), "the reset")
        data = b""
        while len(data) < 100000:
            data += os.read(s, 65536)
        assert data == MUCH[:100000]
        assert errno_of(lambda: os.read(s, 1)) == errno.ECONNRESET

    def test_it_reaches_a_user_who_only_writes(self, world: World) -> None:
        s, peer = world.file()
        reset(peer)

        def write() -> None:
            while True:
                os.write(s, MUCH)

        (error,) = run(write)
        assert isinstance(error, OSError)
        assert error.errno in (errno.ECONNRESET, errno.EPIPE)

    def test_winsock_tells_the_providers_own_error(self) -> None:
        with World(Failing) as world:
            s, _ = world.file()
            world.context(s).sock.shutdown(socket.SHUT_RD)  # the receive comes back
            with refused(e.WSAENETRESET, "its own words"):
                transfer.recv(s, 1)
            with refused(e.WSAENETRESET):
                transfer.recv(s, 1)
            assert errno_of(lambda: os.write(s, b"x")) == errno.EPIPE

    def test_so_error_tells_it_once(self) -> None:
        with World(Failing) as world:
            s, _ = world.file()
            assert options.getsockopt(s, c.SOL_SOCKET, c.SO_ERROR) == 0
            world.context(s).sock.shutdown(socket.SHUT_RD)
            wait_until(lambda: is_hung_up(s), "the reset")
            assert options.getsockopt(s, c.SOL_SOCKET, c.SO_ERROR) == e.WSAENETRESET
            assert options.getsockopt(s, c.SOL_SOCKET, c.SO_ERROR) == 0

    def test_arguments_are_looked_at(self, world: World) -> None:
        s, _ = world.file()
        with refused(e.WSAEFAULT):
            transfer.send(s, None)  # type: ignore[arg-type]
        with refused(e.WSAEFAULT):
            transfer.WSASend(s, [None])  # type: ignore[list-item]
        with refused(e.WSAEFAULT):
            transfer.WSARecv(s, [b"constant"])  # type: ignore[list-item]
        with refused(e.WSAEINVAL):
            transfer.WSASend(s, [])
        with refused(e.WSAEINVAL, "flags"):
            transfer.send(s, b"x", 0x4000)
        with refused(e.WSAEOPNOTSUPP, "overlapped"):
            transfer.WSASend(s, [b"x"], 0, object())
        with refused(e.WSAEFAULT):
            options.WSAIoctl(s, c.FIONBIO, b"")
        with refused(e.WSAEFAULT):
            options.WSAIoctl(s, c.FIONREAD, None, 1)
        with refused(e.WSAENOPROTOOPT):
            transfer.WSASendDisconnect(s, b"bye")


class Failing(Stranger):
    """Its receives fail in a way of its own."""

    def WSPRecv(self, s: int, buffers: Any, flags: int = 0, *rest: object) -> tuple[int, int] | None:
        super().WSPRecv(s, buffers, flags)
        raise e.WinsockError(e.WSAENETRESET, "its own words")


class TestBackPressure:
    def test_a_slow_peer_slows_the_writer(self, world: World) -> None:
        s, peer = world.file()
        os.set_blocking(s, False)
        sent = fill(s)
        assert sent < 16 << 20
        assert errno_of(lambda: os.write(s, b"x")) == errno.EAGAIN
        assert len(receive_exactly(peer, sent)) == sent
        assert select.select([], [s], [], SECONDS) == ([], [s], [])

    def test_a_slow_reader_slows_the_peer(self, world: World) -> None:
        s, peer = world.file()
        peer.setblocking(False)
        sent = fill(peer.fileno())
        assert sent < 16 << 20
        assert len(read_exactly(s, sent)) == sent
        assert select.select([], [peer], [], SECONDS) == ([], [peer], [])

    def test_neither_direction_stops_the_other(self, world: World) -> None:
        s, peer = world.file()
        os.set_blocking(s, False)
        fill(s)
        peer.sendall(MUCH[:1000])
        select.select([s], [], [], SECONDS)
        assert read_exactly(s, 1000) == MUCH[:1000]

    def test_much_both_ways_at_once(self, world: World) -> None:
        s, peer = world.file()

        def ask() -> bytes:
            for start in range(0, len(MUCH), 100_000):
                os.write(s, MUCH[start : start + 100_000])
            sockets.shutdown(s, c.SD_SEND)
            return b""

        def answer() -> bytes:
            while part := peer.recv(70_000):
                peer.sendall(part.swapcase())
            peer.shutdown(socket.SHUT_WR)
            return b""

        _, _, received = run(ask, answer, lambda: read_all(s))
        assert received == MUCH.swapcase()


class TestClosing:
    @pytest.mark.parametrize("close", [sockets.closesocket, os.close])
    def test_what_was_written_is_delivered(self, world: World, close: Callable[[int], None]) -> None:
        s, peer = world.file()
        context = world.context(s)
        os.set_blocking(s, False)
        sent = fill(s)
        close(s)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(s)
        with refused(e.WSAENOTSOCK):
            sockets.getpeername(s)
        assert not context.closed.is_set()
        assert len(read_all(peer)) == sent
        assert context.closed.wait(SECONDS)
        settle()
        assert context.closings == 1

    def test_unread_bytes_make_it_a_reset(self, world: World) -> None:
        """As closing a TCP socket does."""
        s, peer = world.file()
        peer.sendall(b"unread")
        select.select([s], [], [], SECONDS)
        os.close(s)
        with pytest.raises(ConnectionResetError):
            peer.recv(1)

    def test_an_abortive_close_resets_at_once(self, world: World) -> None:
        s, peer = world.file()
        context = world.context(s)
        os.set_blocking(s, False)
        fill(s)
        options.setsockopt(s, c.SOL_SOCKET, c.SO_LINGER, (1, 0))
        sockets.closesocket(s)
        assert context.closings == 1
        with pytest.raises(ConnectionResetError):
            read_all(peer)

    def test_a_lingering_close_waits(self, world: World) -> None:
        s, peer = world.file()
        context = world.context(s)
        os.write(s, MUCH[:100_000])
        options.setsockopt(s, c.SOL_SOCKET, c.SO_LINGER, (1, SECONDS))
        sockets.closesocket(s)
        assert context.closings == 1
        assert read_all(peer) == MUCH[:100_000]

    def test_and_gives_up_when_its_time_is_up(self, world: World) -> None:
        s, peer = world.file()
        context = world.context(s)
        os.set_blocking(s, False)
        fill(s)
        os.set_blocking(s, True)
        options.setsockopt(s, c.SOL_SOCKET, c.SO_LINGER, (1, 1))
        sockets.closesocket(s)
        assert context.closings == 1
        with pytest.raises(ConnectionResetError):
            read_all(peer)

    def test_the_number_taken_by_another_file_is_no_socket(self, world: World) -> None:
        s, peer = world.file()
        context = world.context(s)
        os.write(s, b"before")
        with open(os.devnull) as stranger:
            os.dup2(stranger.fileno(), s)
        with refused(e.WSAENOTSOCK):
            sockets.getsockname(s)
        assert read_all(peer) == b"before"
        assert context.closed.wait(SECONDS)
        assert os.read(s, 1) == b""  # the stranger's file is untouched
        os.close(s)

    def test_the_number_is_no_new_handle_while_it_ends(self, world: World) -> None:
        """So that a provider which knows its sockets by their handles mixes no two of them up."""
        s, peer = world.file()
        os.set_blocking(s, False)
        sent = fill(s)
        os.close(s)
        others = [world.connected()[0] for _ in range(3)]
        assert s not in others
        assert len(read_all(peer)) == sent
        settle()
        for other in others:
            sockets.closesocket(other)

    def test_a_wait_comes_back(self, world: World) -> None:
        s, _ = world.file()
        waiting_for = [lambda: transfer.recv(s, 1), lambda: waiting.select(0, [s], [], [], None)]
        file = serving[s].file
        assert file is not None

        def close() -> None:
            wait_until(lambda: len(file.waiters) == 2, "two waits")
            sockets.closesocket(s)

        received, selected, _ = run(*waiting_for, close)
        assert isinstance(received, e.WinsockError)
        assert received.winerror == e.WSAECONNABORTED
        assert selected == ([s], [], [])

    def test_the_provider_may_close_by_itself(self, world: World) -> None:
        s, _ = world.file()
        copy = os.dup(s)
        world.provider.WSPCloseSocket(s)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(s)
        assert errno_of(lambda: os.read(copy, 1)) == errno.ECONNRESET
        os.close(copy)
        settle()

    def test_cleanup_resets_what_is_open(self) -> None:
        with World() as world:
            s, peer = world.file()
            context = world.context(s)
            peer_copy = peer.dup()
        assert context.closings == 1
        with peer_copy, pytest.raises(ConnectionResetError):
            peer_copy.recv(1)
        assert not serving

    def test_cleanup_lets_what_was_closed_arrive(self) -> None:
        """SPIINIT-018."""
        with World() as world:
            s, peer = world.file()
            sockets.shutdown(s, c.SD_RECEIVE)
            received: list[bytes] = []
            reader = threading.Thread(target=lambda: received.append(read_all(peer)), daemon=True)
            os.set_blocking(s, False)
            sent = fill(s)
            sockets.closesocket(s)
            reader.start()
            from winsock.dispatcher import process

            process.cleanup()
            reader.join(SECONDS)
            process.startup()
        assert [len(data) for data in received] == [sent]


class Program:
    """A process of its own with a file, and the peer of that file."""

    HEAD = """
import os, signal, socket, subprocess, sys
from tests.dispatcher.strangers import World, fill
from winsock.dispatcher.redirecting import files
from winsock.dispatcher.redirector import as_file

world = World()
s = as_file(world.provider.take(socket.create_connection(("127.0.0.1", int(sys.argv[1])))))
"""
    READER = """
program = "import os\\ntry: os.read(0, 1)\\nexcept ConnectionResetError: os.write(1, b'reset')"
subprocess.Popen([sys.executable, "-c", program], stdin=s, stdout=1)
"""

    def __init__(self, body: str) -> None:
        self._open = ExitStack()
        listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0)))
        command = [sys.executable, "-c", self.HEAD + body, str(listener.getsockname()[1])]
        self.process = self._open.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT))
        listener.settimeout(SECONDS)
        self.peer = self._open.enter_context(listener.accept()[0])
        self.peer.settimeout(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def wait(self) -> int:
        return self.process.wait(SECONDS)

    def output(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.read()


class TestExit:
    """What a process that ends leaves behind."""

    def test_all_that_was_written_is_delivered(self) -> None:
        with Program("os.set_blocking(s, False); print(fill(s), flush=True)") as program:
            assert program.process.stdout is not None
            sent = int(program.process.stdout.readline())
            assert sent > 0
            assert len(read_all(program.peer)) == sent
            assert program.wait() == 0

    def test_but_not_for_ever(self) -> None:
        with Program("files.DRAIN_S = 0.1; os.set_blocking(s, False); fill(s)") as program:
            assert program.wait() == 0
            with pytest.raises(ConnectionResetError):
                read_all(program.peer)

    def test_a_child_that_has_it_too_is_not_waited_for(self) -> None:
        """Its own end is no orderly one, since nobody serves it any more."""
        with Program(f"files.DRAIN_S = 1000{Program.READER}") as program:
            assert program.wait() == 0
            assert program.output() == b"reset"

    def test_death_is_no_end_of_a_stream(self) -> None:
        with Program(f"{Program.READER}os.kill(os.getpid(), signal.SIGKILL)") as program:
            assert program.output() == b"reset"
