"""A handle of a non-IFS provider as a file: what its users see, whichever way they use it."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from tests.dispatcher.strangers import SECONDS, Stranger, World, fill, read_all, reset, settle, wait_until
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.api import options, sockets, transfer, waiting
from winsock.dispatcher.made import Made
from winsock.dispatcher.records import records, serving
from winsock.dispatcher.redirecting import files
from winsock.dispatcher.redirector import as_file
from winsock.spi.layer import Layer

ROOT = Path(__file__).parents[2]
MUCH = bytes(range(256)) * 12000


@pytest.fixture
def world() -> Iterator[World]:
    with World() as started:
        yield started


def run(*bodies: Callable[[], object]) -> list[object]:
    """Each in a thread of its own, all at once; what they answer, or raise."""
    answers: list[object] = [None] * len(bodies)

    def call(index: int) -> None:
        try:
            answers[index] = bodies[index]()
        except Exception as error:
            answers[index] = error

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    return answers


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        assert part, f"the stream ended after {len(data)} bytes"
        data += part
    return data


def errno_of(call: Callable[[], object]) -> int | None:
    try:
        call()
    except OSError as error:
        return error.errno
    return None


class TestBecoming:
    def test_the_number_stays(self, world: World) -> None:
        """HND-003."""
        s, peer = world.connected()
        assert errno_of(lambda: os.read(s, 1)) == errno_of(lambda: os.write(s, b"x")) == errno.EBADF
        assert as_file(s) == s
        os.write(s, b"ping")
        assert peer.recv(10) == b"ping"
        peer.sendall(b"pong")
        assert os.read(s, 10) == b"pong"

    def test_once_is_for_good(self, world: World) -> None:
        s, peer = world.connected()
        assert as_file(s) == as_file(s) == s
        assert len(serving) == 1
        os.write(s, b"x")
        assert peer.recv(10) == b"x"

    def test_many_threads_at_once_make_one_file(self, world: World) -> None:
        s, peer = world.connected()
        assert run(*[lambda: as_file(s)] * 8) == [s] * 8
        os.write(s, b"x")
        assert peer.recv(10) == b"x"
        os.close(s)
        assert peer.recv(10) == b""

    def test_what_is_left_at_the_provider_comes_first(self, world: World) -> None:
        s, peer = world.connected()
        peer.sendall(b"abcdef")
        assert transfer.recv(s, 2) == b"ab"
        as_file(s)
        peer.sendall(b"ghi")
        assert transfer.recv(s, 1) == b"c"
        wait_until(lambda: options.ioctlsocket(s, c.FIONREAD) == 6, "the rest")
        assert os.read(s, 10) == b"defghi"

    def test_a_connection_that_is_over_may_have_something_left(self, world: World) -> None:
        s, peer = world.connected()
        peer.sendall(b"last words")
        sockets.shutdown(s, c.SD_SEND)
        assert peer.recv(1) == b""
        peer.close()
        wait_until(lambda: not is_connected(s), "the end of the connection")
        as_file(s)
        assert read_all(s) == b"last words"

    def test_only_what_is_connected_becomes_a_file(self, world: World) -> None:
        s = world.chain.table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0)
        with refused(e.WSAENOTCONN):
            as_file(s)
        assert not serving
        assert errno_of(lambda: os.read(s, 1)) == errno.EBADF

    def test_datagrams_do_not(self, world: World) -> None:
        with refused(e.WSAEOPNOTSUPP, "stream"):
            as_file(world.datagram())

    def test_the_handle_of_an_ifs_provider_is_one(self) -> None:
        from winsock.testing import World as Inet

        with Inet() as inet:
            s = inet.stream()
            assert as_file(s) == s
            assert type(records[s]) is not Made

    def test_what_is_no_handle_is_refused(self, world: World) -> None:
        with refused(e.WSAENOTSOCK):
            as_file(99999)
        with open(os.devnull) as stranger, refused(e.WSAENOTSOCK):
            as_file(stranger.fileno())

    def test_not_before_startup(self) -> None:
        with refused(e.WSANOTINITIALISED):
            as_file(0)

    def test_without_descriptors_the_handle_stays_direct(self, world: World) -> None:
        s, peer = world.connected()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for spare in range(3):
            lowest = os.dup(0)
            os.close(lowest)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))
            try:
                with refused(e.WSAEMFILE):
                    as_file(s)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert not serving
            transfer.send(s, b"direct")
            assert peer.recv(10) == b"direct"
        assert as_file(s) == s

    def test_without_threads_the_handle_stays_direct(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        s, peer = world.connected()
        start, left = threading.Thread.start, [1]

        def refuse(thread: threading.Thread) -> None:
            if not left.pop():
                raise RuntimeError("can't start new thread")
            left.append(0)
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with refused(e.WSAENOBUFS):
            as_file(s)
        monkeypatch.undo()
        assert not serving
        assert errno_of(lambda: os.read(s, 1)) == errno.EBADF
        transfer.send(s, b"direct")
        assert peer.recv(10) == b"direct"
        as_file(s)
        os.write(s, b"file")
        assert peer.recv(10) == b"file"

    def test_children_inherit_it_as_they_did(self, world: World) -> None:
        for inheritable in (False, True):
            s, _ = world.connected()
            os.set_inheritable(s, inheritable)
            assert os.get_inheritable(as_file(s)) is inheritable

    def test_it_waits_as_the_handle_did(self, world: World) -> None:
        s, peer = world.connected()
        options.ioctlsocket(s, c.FIONBIO, 1)
        as_file(s)
        assert errno_of(lambda: os.read(s, 1)) == errno.EAGAIN
        with refused(e.WSAEWOULDBLOCK):
            transfer.recv(s, 1)
        options.ioctlsocket(s, c.FIONBIO, 0)
        threading.Timer(0.01, peer.sendall, (b"late",)).start()
        assert transfer.recv(s, 10) == b"late"
        options.WSAIoctl(s, c.FIONBIO, b"\1\0\0\0")
        assert errno_of(lambda: os.read(s, 1)) == errno.EAGAIN

    def test_time_outs_go_with_it(self, world: World) -> None:
        s, peer = world.connected()
        options.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 20)
        as_file(s)
        assert options.getsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO) == 20
        assert world.context(s).options[c.SO_RCVTIMEO] == 0
        with refused(e.WSAETIMEDOUT):
            transfer.recv(s, 1)
        assert errno_of(lambda: os.read(s, 1)) == errno.EAGAIN
        options.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, SECONDS * 1000)
        peer.sendall(b"x")
        assert transfer.recv(s, 1) == b"x"

    def test_no_thread_ever_misses_the_handle(self, world: World) -> None:
        """The number gets another file, and nobody sees it between the two."""
        pairs = [world.connected() for _ in range(40)]
        done = threading.Event()

        def ask() -> int:
            asked = 0
            while not done.is_set():
                for s, _ in pairs:
                    options.getsockopt(s, c.SOL_SOCKET, c.SO_KEEPALIVE)
                    asked += 1
            return asked

        def turn() -> None:
            for s, _ in pairs:
                as_file(s)
            done.set()

        first, second, _ = run(ask, ask, turn)
        assert isinstance(first, int), first
        assert isinstance(second, int), second


class TestPlainFile:
    """HND-003: every way to use a descriptor."""

    def test_poll(self, world: World) -> None:
        s, peer = world.file()
        poller = select.poll()
        poller.register(s, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
        assert poller.poll(0) == [(s, select.POLLOUT)]
        peer.sendall(b"x")
        poller.modify(s, select.POLLIN | select.POLLRDHUP)
        assert poller.poll(SECONDS * 1000) == [(s, select.POLLIN)]
        os.read(s, 1)
        assert poller.poll(0) == []
        peer.shutdown(socket.SHUT_WR)
        assert poller.poll(SECONDS * 1000) == [(s, select.POLLIN | select.POLLRDHUP)]

    def test_select(self, world: World) -> None:
        s, peer = world.file()
        assert select.select([s], [s], [], 0) == ([], [s], [])
        peer.sendall(b"x")
        assert select.select([s], [], [], SECONDS) == ([s], [], [])

    def test_epoll_tells_levels_and_edges(self, world: World) -> None:
        s, peer = world.file()
        with select.epoll() as level, select.epoll() as edge:
            level.register(s, select.EPOLLIN)
            edge.register(s, select.EPOLLIN | select.EPOLLET)
            assert level.poll(0) == edge.poll(0) == []
            for _ in range(3):
                peer.sendall(b"xy")
                assert edge.poll(SECONDS) == [(s, select.EPOLLIN)]
                assert level.poll(SECONDS) == level.poll(0) == [(s, select.EPOLLIN)]
                assert edge.poll(0) == []
                assert os.read(s, 1) == b"x"
                assert level.poll(0) == [(s, select.EPOLLIN)]
                assert os.read(s, 1) == b"y"
                assert level.poll(0) == edge.poll(0) == []

    def test_epoll_tells_when_there_is_room_again(self, world: World) -> None:
        s, peer = world.file()
        os.set_blocking(s, False)
        sent = fill(s)
        with select.epoll() as edge:
            edge.register(s, select.EPOLLOUT | select.EPOLLET)
            assert edge.poll(0) == []
            assert len(receive_exactly(peer, sent)) == sent
            assert edge.poll(SECONDS) == [(s, select.EPOLLOUT)]

    def test_sendfile(self, world: World) -> None:
        s, peer = world.file()
        with tempfile.TemporaryFile() as source:
            source.write(MUCH)
            source.flush()

            def send() -> None:
                sent = 0
                while sent < len(MUCH):
                    sent += os.sendfile(s, source.fileno(), sent, len(MUCH) - sent)

            _, received = run(send, lambda: receive_exactly(peer, len(MUCH)))
        assert received == MUCH

    def test_vectors(self, world: World) -> None:
        s, peer = world.file()
        os.writev(s, [b"a", b"bc"])
        assert receive_exactly(peer, 3) == b"abc"
        peer.sendall(b"defg")
        wait_until(lambda: options.ioctlsocket(s, c.FIONREAD) == 4, "the data")
        buffers = [bytearray(1), bytearray(5)]
        assert os.readv(s, buffers) == 4
        assert bytes(buffers[0] + buffers[1]) == b"defg\0\0"

    def test_python_file_objects(self, world: World) -> None:
        s, peer = world.file()
        with open(s, "r+b", buffering=0, closefd=False) as file:
            file.write(b"question\n")
            assert peer.recv(20) == b"question\n"
            peer.sendall(b"answer\n")
            assert file.readline() == b"answer\n"

    def test_asyncio(self, world: World) -> None:
        s, peer = world.file()
        os.set_blocking(s, False)

        async def echo() -> bytes:
            loop = asyncio.get_running_loop()
            readable: asyncio.Future[bytes] = loop.create_future()

            def read() -> None:
                readable.set_result(os.read(s, 10))
                loop.remove_reader(s)

            loop.add_reader(s, read)
            peer.sendall(b"loop")
            return await asyncio.wait_for(readable, SECONDS)

        assert asyncio.run(echo()) == b"loop"

    def test_a_duplicate_is_as_good(self, world: World) -> None:
        s, peer = world.file()
        copy = os.dup(s)
        os.close(s)
        os.write(copy, b"copy")
        assert peer.recv(10) == b"copy"
        os.close(copy)
        assert peer.recv(10) == b""
        settle()


class TestChildren:
    def test_a_filter_reads_and_writes_it(self, world: World) -> None:
        s, peer = world.file()
        with subprocess.Popen(["cat"], stdin=s, stdout=s) as child:
            os.close(s)

            def ask() -> None:
                peer.sendall(MUCH)
                peer.shutdown(socket.SHUT_WR)

            _, echoed = run(ask, lambda: read_all(peer))
            assert child.wait(SECONDS) == 0
        assert echoed == MUCH
        settle()

    def test_gzip_into_it(self, world: World) -> None:
        s, peer = world.file()
        with subprocess.Popen(["gzip", "-c"], stdin=subprocess.PIPE, stdout=s) as child:
            sockets.closesocket(s)
            _, packed = run(lambda: child.communicate(MUCH, SECONDS), lambda: read_all(peer))
        assert isinstance(packed, bytes)
        assert gzip.decompress(packed) == MUCH

    def test_a_handed_down_descriptor(self, world: World) -> None:
        s, peer = world.file()
        program = f"import os; os.write({s}, b'from below'); os.write(1, os.read({s}, 10))"
        peer.sendall(b"from above")
        answer = subprocess.run([sys.executable, "-c", program], pass_fds=[s], capture_output=True, timeout=SECONDS)
        assert answer.stdout == b"from above"
        assert peer.recv(20) == b"from below"
        os.write(s, b"and on")
        assert peer.recv(20) == b"and on"

    def test_one_that_is_reset_hears_of_it(self, world: World) -> None:
        """Its end of the stream would be a lie, also where it had ended sending itself."""
        s, peer = world.file()
        program = (
            f"import os, socket; sock = socket.socket(fileno={s}); sock.shutdown(socket.SHUT_WR)\n"
            "print(sock.recv(4), flush=True)\n"
            "try: sock.recv(1)\n"
            "except ConnectionResetError: print('reset')"
        )
        with subprocess.Popen([sys.executable, "-c", program], pass_fds=[s], stdout=subprocess.PIPE) as child:
            os.close(s)
            assert peer.recv(1) == b""
            peer.sendall(b"some")
            assert child.stdout is not None
            assert child.stdout.readline() == b"b'some'\n"
            reset(peer)
            assert child.stdout.read() == b"reset\n"
        settle()


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


class TestOrder:
    def test_reads_and_receives_share_one_stream(self, world: World) -> None:
        s, peer = world.file()
        peer.sendall(b"abcdefghij")
        wait_until(lambda: options.ioctlsocket(s, c.FIONREAD) == 10, "the data")
        buffer = bytearray(2)
        assert transfer.recv(s, 1, c.MSG_PEEK) == b"a"
        assert transfer.recv(s, 1) == b"a"
        assert os.read(s, 2) == b"bc"
        assert transfer.WSARecv(s, [buffer]) == (2, 0)
        assert buffer == b"de"
        assert transfer.recvfrom(s, 2) == (b"fg", None)
        assert os.read(s, 1) == b"h"
        assert transfer.recv(s, 2, c.MSG_WAITALL) == b"ij"

    def test_writes_and_sends_too(self, world: World) -> None:
        s, peer = world.file()
        transfer.send(s, b"a")
        os.write(s, b"b")
        transfer.WSASend(s, [b"c", b"d"])
        transfer.send(s, b"e")
        os.write(s, b"f")
        transfer.sendto(s, b"g", 0, None)
        transfer.send(s, memoryview(b"h"))
        assert receive_exactly(peer, 8) == b"abcdefgh"

    def test_a_layer_above_sees_every_byte(self) -> None:
        SEEN.clear()
        with World(Stranger, Seeing) as world:
            s, peer = world.file()
            os.write(s, b"one")
            transfer.send(s, b"two")
            assert receive_exactly(peer, 6) == b"onetwo"
            peer.sendall(b"three")
            assert os.read(s, 10) == b"three"
        assert b"".join(SEEN) == b"onetwothree"


SEEN: list[bytes] = []


class Seeing(Layer):
    """An IFS layer over the stranger's handles."""

    def WSPSend(self, s: int, buffers: Any, *rest: Any) -> Any:
        SEEN.append(b"".join(bytes(buffer) for buffer in buffers))
        return self.next.WSPSend(s, buffers, *rest)

    def WSPRecv(self, s: int, buffers: Any, *rest: Any) -> Any:
        count, flags = self.next.WSPRecv(s, buffers, *rest)  # type: ignore[misc]
        SEEN.append(bytes(buffers[0][:count]))
        return count, flags


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

    def test_urgent_data_has_no_place(self, world: World) -> None:
        s, _ = world.file()
        for call in (lambda: transfer.recv(s, 1, c.MSG_OOB), lambda: transfer.send(s, b"x", c.MSG_OOB)):
            with refused(e.WSAEOPNOTSUPP, "urgent"):
                call()

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
        with World() as world:
            s, peer = world.file()
            sockets.shutdown(s, c.SD_RECEIVE)
            received: list[bytes] = []
            reader = threading.Thread(target=lambda: received.append(read_all(peer)))
            os.set_blocking(s, False)
            sent = fill(s)
            sockets.closesocket(s)
            reader.start()
            from winsock.dispatcher import process

            process.cleanup()
            reader.join(SECONDS)
            process.startup()
        assert [len(data) for data in received] == [sent]


class TestSelect:
    def test_files_are_ready_as_descriptors_are(self, world: World) -> None:
        s, peer = world.file()
        assert waiting.select(0, [s], [s], [s], 0) == ([], [s], [])
        peer.sendall(b"x")
        assert waiting.select(0, [s], [], [], SECONDS) == ([s], [], [])

    def test_files_and_direct_handles_together(self, world: World) -> None:
        one, one_peer = world.file()
        other, other_peer = world.file()
        direct, direct_peer = world.connected()
        every = [one, direct, other]
        assert waiting.select(0, every, [], [], 0) == ([], [], [])
        for s, peer in ((other, other_peer), (direct, direct_peer), (one, one_peer)):
            peer.sendall(b"x")
            assert waiting.select(0, every, [], [], SECONDS) == ([s], [], [])
            transfer.recv(s, 1)
        assert waiting.select(0, every, every, [], 0) == ([], every, [])

    def test_what_it_refuses(self, world: World) -> None:
        s, _ = world.file()
        table = records[s].table
        for arguments, code in (
            ((0, [], [], [], 0), e.WSAEINVAL),
            ((0, [s], None, None, -1), e.WSAEINVAL),
            ((0, [99999], None, None, 0), e.WSAENOTSOCK),
        ):
            with refused(code):
                table.WSPSelect(*arguments)


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


class TestMixedProviders:
    def test_a_send_in_progress_is_not_cut(self, world: World) -> None:
        """What is at the provider when the handle becomes a file goes out before what is written to the file."""
        s, peer = world.connected()

        def read() -> bytes:
            return receive_exactly(peer, len(MUCH) + 3)

        def send() -> None:
            transfer.send(s, MUCH)
            as_file(s)
            os.write(s, b"end")

        received, _ = run(read, send)
        assert received == MUCH + b"end"


def is_connected(s: int) -> bool:
    try:
        sockets.getpeername(s)
    except e.WinsockError:
        return False
    return True


def is_hung_up(s: int) -> bool:
    poller = select.poll()
    poller.register(s, 0)
    return bool(poller.poll(0))


def read_exactly(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not os.get_blocking(descriptor):
            select.select([descriptor], [], [], SECONDS)
        part = os.read(descriptor, count - len(data))
        assert part, f"the stream ended after {len(data)} bytes"
        data += part
    return data
