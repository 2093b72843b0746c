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
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dispatcher.strangers import (
    SECONDS,
    Stranger,
    World,
    errno_of,
    fill,
    is_connected,
    read_all,
    receive_exactly,
    reset,
    run,
    settle,
)
from tests.refusals import refused
from tests.waiting import wait_until
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.api import options, sharing, sockets, transfer, waiting
from winsock.dispatcher.made import Made
from winsock.dispatcher.records import records, serving
from winsock.dispatcher.redirector import as_file
from winsock.spi.layer import Layer

MUCH = bytes(range(256)) * 12000


@pytest.fixture
def world() -> Iterator[World]:
    with World() as started:
        yield started


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

    def test_its_socket_is_not_shared_any_more(self, world: World) -> None:
        s, _ = world.file()
        with refused(e.WSAEINVAL, "is a file"):
            sharing.WSADuplicateSocket(s, os.getpid())

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
