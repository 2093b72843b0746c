"""The direct driver beside the suite of tests/drivers: what the calls of the API mean on a connection of a layer's."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.test_events import Selected
from tests.drivers import layers as ours
from tests.drivers.world import PATIENCE_S
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.options import Linger
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrOther
from winsock.api import options, sockets, transfer, waiting
from winsock.catalog.entries import Catalog, LayerSpec
from winsock.core.journal import journal
from winsock.dispatcher import drivers, handles, loader, process
from winsock.dispatcher.drivers import keeper
from winsock.dispatcher.drivers.direct import Direct
from winsock.dispatcher.drivers.machine import PIECE
from winsock.dispatcher.records import records
from winsock.spi import calling
from winsock.spi.layer import Layer
from winsock.spi.stats import Stats
from winsock.spi.stream import StreamLayer
from winsock.spi.urgent import MARKING
from winsock.testing import World, through

PEERS: list[socket.socket] = []
NOWHERE = SockaddrOther(c.AF_UNSPEC, bytes(14))


class Elsewhere(StreamLayer):
    """Goes where the test says."""

    to: Any = None

    def connecting(self, address: Sockaddr) -> Sockaddr | None:
        return self.to  # type: ignore[no-any-return]


class Gate(StreamLayer):
    """Lets nobody in but one port."""

    port = 0
    defect = False

    @classmethod
    def wants(cls, address: Sockaddr) -> bool:
        if cls.defect:
            raise KeyError("tripped")
        return True

    def accepted(self, address: Sockaddr | None) -> None:
        if isinstance(address, SockaddrIn) and address.port != self.port:
            raise PermissionError("not you")


class Remembering(StreamLayer):
    ended: list[Stats]

    def closed(self, stats: Stats) -> None:
        self.ended.append(stats)


class Unmakeable(StreamLayer):
    def __init__(self) -> None:
        raise KeyError("tripped")


class HandsUp(StreamLayer):
    """Passes no end of the network's on before it is told to."""

    def incoming_ended(self) -> bool:
        return True


class Wrapping(StreamLayer):
    """Makes more of what is sent."""

    def outgoing(self, data: bytes) -> bytes:
        return b"<" + data + b">"


class Mute(StreamLayer):
    """Is never ready."""

    opening = True


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    written: list[str] = []
    monkeypatch.setattr(journal, "sink", written.append)
    yield written
    while process.is_started():
        process.cleanup()
    while PEERS:
        PEERS.pop().close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        yield server


def connected(world: World, server: socket.socket) -> tuple[int, socket.socket]:
    """A handle of the world, and its plain peer."""
    s = world.stream()
    sockets.connect(s, server.getsockname())
    peer, _ = server.accept()
    peer.settimeout(PATIENCE_S)
    PEERS.append(peer)
    return s, peer


def exactly(peer: socket.socket, count: int) -> bytes:
    """So many bytes, or what comes before the end."""
    received = b""
    while len(received) < count and (data := peer.recv(count - len(received))):
        received += data
    return received


def filled(s: int) -> int:
    """Send without waiting until nothing more is taken; how much was."""
    nonblocking(s)
    taken = 0
    while True:
        try:
            taken += transfer.send(s, bytes(PIECE + 1))
        except e.WinsockError as error:
            if error.winerror != e.WSAEWOULDBLOCK:
                raise
            return taken


def send_for_ever(s: int, data: bytes) -> None:
    while True:
        transfer.send(s, data)


def nonblocking(s: int) -> int:
    options.ioctlsocket(s, c.FIONBIO, 1)
    return s


def refused(code: int, call: Callable[[], object]) -> e.WinsockError:
    with pytest.raises(e.WinsockError) as caught:
        call()
    assert caught.value.winerror == code, caught.value
    return caught.value


def driver_of(s: int) -> Direct:
    return next(layer for layer in records[s].chain.layers if isinstance(layer, Direct))


class TestDriver:
    def test_a_stream_chain_has_a_driver_with_the_layers_name_and_options(self) -> None:
        spec = LayerSpec("late", f"{ours.__name__}:Late", ours.Delay(0.5), ifs_handles=False)
        process.startup(catalog=Catalog().with_layers([spec]))
        chain = loader.open_chain(loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0))
        [driver] = chain.layers
        assert isinstance(driver, Direct)
        assert (driver.name, driver.options.seconds, driver.enforces, repr(chain)) == (
            "late",
            0.5,
            False,
            "late > tcp/ipv4",
        )
        assert not chain.entry.info.dwServiceFlags1 & c.XP1_IFS_HANDLES

    def test_options_have_their_defaults(self) -> None:
        with World(through(ours.Late)) as world:
            assert driver_of(world.stream()).options == ours.Delay()

    def test_datagrams_pass_on_handles_from_below(self) -> None:
        with World(through(ours.Shout)) as world:
            s = world.datagram()
            [layer] = records[s].chain.layers
            assert (type(layer), layer.name, records[s].made) == (Layer, "shout", False)

    def test_another_maker_makes_the_drivers_of_streams(self) -> None:
        made: list[object] = []

        def make(kind: type[StreamLayer], info: object) -> Layer:
            made.append(kind)
            return Layer()

        drivers.use(make)
        try:
            with World(through(ours.Shout)) as world:
                world.datagram()
                assert made == []
                s = world.stream()
                assert made == [ours.Shout]
                assert records[s].chain.layers[0].name == "shout"
        finally:
            drivers.use(None)

    def test_a_connection_of_somebody_elses_is_only_passed(self, server: socket.socket) -> None:
        with World(through(ours.Shout)) as world, socket.create_connection(server.getsockname()) as lent:
            driver_of(world.stream())
            entry = records[world.stream()].entry
            record = handles.adopt(lent.fileno(), entry)
            assert transfer.send(record.handle, b"x") == 1
            handles.release(record.handle)


class TestConnect:
    def test_a_layer_may_go_elsewhere(self, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Elsewhere, "to", server.getsockname())
        with World(through(Elsewhere)) as world:
            s = world.stream()
            sockets.connect(s, ("192.0.2.1", 9))
            server.accept()[0].close()
            assert sockets.getpeername(s) == SockaddrIn(*server.getsockname())

    def test_but_not_to_what_is_no_address(self, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
        monkeypatch.setattr(Elsewhere, "to", "example.com")
        with World(through(Elsewhere)) as world:
            refused(e.WSAEAFNOSUPPORT, lambda: sockets.connect(world.stream(), ("192.0.2.1", 9)))
        assert "elsewhere: connecting answered" in lines[0]

    def test_twice_is_once_too_often(self, server: socket.socket) -> None:
        with World(through(ours.Pass)) as world:
            s, peer = connected(world, server)
            refused(e.WSAEISCONN, lambda: sockets.connect(s, server.getsockname()))
            transfer.send(s, b"x")
            assert peer.recv(1) == b"x"

    def test_while_it_is_opened_it_is_on_its_way(self, server: socket.socket) -> None:
        with World(through(Mute)) as world:
            s = nonblocking(world.stream())
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(s, server.getsockname()))
            with server.accept()[0]:
                assert waiting.select(0, [s], [s], [s], 0.02) == ([], [], [])
                refused(e.WSAEALREADY, lambda: sockets.connect(s, server.getsockname()))
                refused(e.WSAENOTCONN, lambda: sockets.getpeername(s))
                refused(e.WSAENOTCONN, lambda: transfer.send(s, b"x"))
                refused(e.WSAEWOULDBLOCK, lambda: transfer.recv(s, 1))
                refused(e.WSAENOTCONN, lambda: sockets.shutdown(s, c.SD_SEND))

    def test_one_that_failed_may_be_tried_again(self, server: socket.socket) -> None:
        def serve(word: bytes) -> None:
            peer = server.accept()[0]
            with peer:
                peer.settimeout(PATIENCE_S)
                assert exactly(peer, 5) == ours.SECRET
                peer.sendall(word)
                try:
                    peer.recv(1)
                except ConnectionResetError:
                    assert word == ours.REFUSED

        with World(through(ours.Handshake)) as world:
            s = world.stream()
            for word in (ours.REFUSED, ours.WELCOME):
                thread = threading.Thread(target=serve, args=(word,), daemon=True)
                thread.start()
                if word == ours.REFUSED:
                    error = refused(e.WSAECONNREFUSED, lambda: sockets.connect(s, server.getsockname()))
                    assert "not welcome" in str(error)
                    refused(e.WSAENOTCONN, lambda: transfer.send(s, b"x"))
                else:
                    sockets.connect(s, server.getsockname())
                    transfer.send(s, b"x")
                thread.join(PATIENCE_S)

    def test_a_failed_one_that_did_not_wait_may_be_tried_again(self, server: socket.socket) -> None:
        with World(through(ours.Handshake)) as world:
            s = nonblocking(world.stream())
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(s, server.getsockname()))
            with server.accept()[0] as peer:
                peer.sendall(ours.REFUSED)
                assert waiting.select(0, [s], [s], [s], PATIENCE_S) == ([], [], [s])
                code = options.getsockopt(s, c.SOL_SOCKET, c.SO_ERROR)
                assert (code, getattr(code, "errno", None)) == (e.WSAECONNREFUSED, errno.ECONNREFUSED)
                assert options.getsockopt(s, c.SOL_SOCKET, c.SO_ERROR) == 0
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(s, server.getsockname()))
            with server.accept()[0] as peer:
                peer.sendall(ours.WELCOME)
                assert waiting.select(0, [], [s], [s], PATIENCE_S) == ([], [s], [])
                assert transfer.send(s, b"x") == 1

    def test_a_refused_connect_is_the_providers_below(self) -> None:
        with World(through(ours.Handshake)) as world:
            nobody = world.closed_port()
            s = world.stream()
            refused(e.WSAECONNREFUSED, lambda: sockets.connect(s, nobody))
            assert driver_of(s).context(s).connection is None

    def test_a_layer_that_cannot_be_made_fails_the_call(self, server: socket.socket, lines: list[str]) -> None:
        with World(through(Unmakeable)) as world:
            refused(e.WSASYSCALLFAILURE, lambda: sockets.connect(world.stream(), server.getsockname()))
        assert "unmakeable: __init__ raised KeyError" in lines[0]

    def test_to_no_family_it_ends_the_connection(self, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        ended: list[Stats] = []
        monkeypatch.setattr(Remembering, "ended", ended, raising=False)
        with World(through(Remembering)) as world:
            s, peer = connected(world, server)
            records[s].table.WSPConnect(s, NOWHERE)
            with peer, pytest.raises(ConnectionResetError):
                peer.recv(1)
            assert [stats.socket for stats in ended] == [s]
            sockets.connect(s, server.getsockname())
            server.accept()[0].close()
            assert transfer.recv(s, 1) == b""
        assert len(ended) == 2

    def test_a_close_ends_one_that_waits_for_the_layer(
        self, server: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        began, ended = threading.Event(), threading.Event()
        monkeypatch.setattr(Mute, "opened", lambda self: began.set())
        with World(through(Mute)) as world:
            s = world.stream()

            def connect() -> None:
                refused(e.WSAEINTR, lambda: sockets.connect(s, server.getsockname()))
                ended.set()

            threading.Thread(target=connect, daemon=True).start()
            assert began.wait(PATIENCE_S)
            sockets.closesocket(s)
            assert ended.wait(PATIENCE_S)

    def test_while_another_layer_is_on_its_way_below(self, server: socket.socket) -> None:
        """The upper layer's connect is over when its lower one's is."""
        with World(through(ours.Pass, ours.Patient)) as world:
            s = nonblocking(world.stream())
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(s, server.getsockname()))
            assert waiting.select(0, [], [s], [s], PATIENCE_S) == ([], [s], [])
            with server.accept()[0] as peer:
                transfer.send(s, b"x")
                assert peer.recv(1) == b"x"


class TestAccept:
    def test_whom_the_layer_refuses_is_reset(self, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
        with World(through(Gate)) as world:
            listener, address = world.listener()
            with socket.socket() as unwanted, socket.socket() as wanted:
                unwanted.connect(address)
                wanted.connect(address)
                monkeypatch.setattr(Gate, "port", wanted.getsockname()[1])
                s, peer = sockets.accept(listener)
                assert peer == SockaddrIn(*wanted.getsockname())
                with pytest.raises(ConnectionResetError):
                    unwanted.recv(1)
                assert transfer.send(s, b"x") == 1
        assert lines == []

    def test_a_defect_lets_nobody_in(self, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
        monkeypatch.setattr(Gate, "defect", True)
        with World(through(Gate)) as world:
            listener, address = world.listener()
            with socket.socket() as client:
                client.connect(address)
                refused(e.WSAEWOULDBLOCK, lambda: sockets.accept(nonblocking(listener)))
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
        assert "gate: wants raised KeyError" in lines[0]

    def test_it_inherits_the_blocking_mode(self) -> None:
        with World(through(ours.Pass)) as world:
            listener, address = world.listener()
            nonblocking(listener)
            with socket.socket() as client:
                client.connect(address)
                assert waiting.select(0, [listener], None, None, PATIENCE_S)[0]
                s, _ = sockets.accept(listener)
                refused(e.WSAEWOULDBLOCK, lambda: transfer.recv(s, 1))


class TestReceive:
    def test_to_peek_takes_nothing(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            peer.sendall(b"abc")
            for _ in range(2):
                assert transfer.recv(s, 2, c.MSG_PEEK) == b"AB"
            assert transfer.recv(s, 9) == b"ABC"

    def test_what_can_be_read_is_counted_behind_the_layer(self, server: socket.socket) -> None:
        with World(through(ours.Tagged)) as world:
            s, peer = connected(world, server)
            peer.sendall(b"one\n")
            assert waiting.select(0, [s], None, None, PATIENCE_S)[0]
            assert options.ioctlsocket(s, c.FIONREAD) == 5
            assert options.getsockopt(s, c.SOL_SOCKET, c.SO_ERROR) == 0

    def test_several_buffers_are_filled_in_order(self, server: socket.socket) -> None:
        with World(through(ours.Bytewise)) as world:
            s, peer = connected(world, server)
            peer.sendall(b"abcdef")
            while options.ioctlsocket(s, c.FIONREAD) < 6:
                waiting.select(0, [s], None, None, PATIENCE_S)
            buffers = [bytearray(2), bytearray(0), bytearray(3)]
            assert transfer.WSARecv(s, buffers) == (5, 0)
            assert [bytes(buffer) for buffer in buffers] == [b"ab", b"", b"cde"]
            assert transfer.recvfrom(s, 9) == (b"f", None)

    def test_to_wait_for_all(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            threads = [threading.Timer(0.01 * i, peer.sendall, [b"ab"]) for i in range(1, 4)]
            for thread in threads:
                thread.start()
            assert transfer.recv(s, 6, c.MSG_WAITALL) == b"ABABAB"
            peer.sendall(b"rest")
            peer.close()
            assert transfer.recv(s, 6, c.MSG_WAITALL) == b"REST"
            assert transfer.recv(s, 6, c.MSG_WAITALL) == b""

    def test_to_wait_for_all_goes_with_nothing_else(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, _ = connected(world, server)
            for flags in (c.MSG_PEEK, c.MSG_PARTIAL):
                refused(e.WSAEOPNOTSUPP, lambda flags=flags: transfer.recv(s, 1, c.MSG_WAITALL | flags))  # type: ignore[misc]
            refused(e.WSAEOPNOTSUPP, lambda: transfer.recv(nonblocking(s), 1, c.MSG_WAITALL))

    def test_a_time_out_gives_what_there_is_or_fails(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            options.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 20)
            refused(e.WSAETIMEDOUT, lambda: transfer.recv(s, 1))
            peer.sendall(b"ab")
            assert transfer.recv(s, 6, c.MSG_WAITALL) == b"AB"

    def test_nothing_is_wanted_and_nothing_given(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, _ = connected(world, server)
            assert transfer.recv(s, 0) == b""

    def test_after_it_was_ended_there_is_none(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            sockets.shutdown(s, c.SD_RECEIVE)
            refused(e.WSAESHUTDOWN, lambda: transfer.recv(s, 1))
            assert transfer.send(s, b"x") == 1
            assert transfer.WSARecvDisconnect(s) == b""
            assert peer.recv(1) == b"X"

    def test_another_thread_may_cause_what_comes(self, server: socket.socket) -> None:
        with World(through(ours.Pass, ours.Answering)) as world:
            s, _ = connected(world, server)
            answers: list[bytes] = []
            thread = threading.Thread(target=lambda: answers.append(transfer.recv(s, 9)), daemon=True)
            thread.start()
            transfer.send(s, b"abc")
            thread.join(PATIENCE_S)
            assert answers == [b"cba"]

    def test_another_thread_may_close_what_waits(self, server: socket.socket) -> None:
        with World(through(ours.Pass)) as world:
            s, _ = connected(world, server)
            caught: list[e.WinsockError] = []

            def receive() -> None:
                try:
                    transfer.recv(s, 1)
                except e.WinsockError as error:
                    caught.append(error)

            thread = threading.Thread(target=receive, daemon=True)
            thread.start()
            sockets.closesocket(s)
            thread.join(PATIENCE_S)
            assert [error.winerror for error in caught] in ([e.WSAECONNABORTED], [e.WSAENOTSOCK])

    @pytest.mark.parametrize("buffers", [[None], [b"read only"], [7]])
    def test_what_is_no_buffer_is_refused(self, server: socket.socket, buffers: Any) -> None:
        with World(through(ours.Pass)) as world:
            s, _ = connected(world, server)
            refused(e.WSAEFAULT, lambda: transfer.WSARecv(s, buffers))
            refused(e.WSAEINVAL, lambda: transfer.WSARecv(s, []))


class TestSend:
    def test_it_takes_what_the_network_takes(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            taken = filled(s)
            assert waiting.select(0, None, [s], None, 0) == ([], [], [])
            received = 0
            while received < taken - 8 * PIECE:
                received += len(peer.recv(1 << 20))
            assert waiting.select(0, None, [s], None, PATIENCE_S) == ([], [s], [])
            taken += transfer.send(s, b"x")
            sockets.shutdown(s, c.SD_SEND)
            while data := peer.recv(1 << 20):
                received += len(data)
            assert received == taken

    def test_what_was_taken_goes_on_by_itself(self, server: socket.socket) -> None:
        """Though the program calls nothing more."""
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            taken = filled(s)
            received = 0
            while received < taken:
                data = peer.recv(1 << 20)
                assert data
                received += len(data)

    def test_a_time_out_ends_the_wait(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            options.setsockopt(s, c.SOL_SOCKET, c.SO_SNDTIMEO, 20)
            data = bytes(64 << 20)
            assert 0 < transfer.send(s, data) < len(data)
            refused(e.WSAETIMEDOUT, lambda: send_for_ever(s, data))
            peer.close()

    def test_several_buffers_are_one_run(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            assert transfer.WSASend(s, [b"ab", b"", bytearray(b"cd"), memoryview(b"e")]) == 5
            assert transfer.WSASendTo(s, [b"f"], 0, None) == 1
            assert transfer.send(s, b"") == 0
            assert exactly(peer, 6) == b"ABCDEF"
            big = [bytes(PIECE), b"x" * PIECE]
            received = threading.Thread(target=lambda: exactly(peer, 2 * PIECE), daemon=True)
            received.start()
            assert transfer.WSASend(s, big) == 2 * PIECE
            received.join(PATIENCE_S)

    def test_after_the_end_there_is_none(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            transfer.WSASendDisconnect(s)
            sockets.shutdown(s, c.SD_SEND)
            sockets.shutdown(s, c.SD_BOTH)
            refused(e.WSAESHUTDOWN, lambda: transfer.send(s, b"x"))
            assert peer.recv(1) == b""
            refused(e.WSAEINVAL, lambda: sockets.shutdown(s, 7))
            refused(e.WSAENOPROTOOPT, lambda: transfer.WSASendDisconnect(s, b"data"))

    def test_the_layers_error_is_the_callers_again_and_again(self, server: socket.socket) -> None:
        with World(through(ours.Pass, ours.Failing)) as world:
            s, peer = connected(world, server)
            for call in (
                lambda: transfer.send(s, bytes(11)),
                lambda: transfer.send(s, b"x"),
                lambda: transfer.recv(s, 1),
            ):
                assert "enough" in str(refused(e.WSAENETRESET, call))
            refused(e.WSAENOTCONN, lambda: sockets.shutdown(s, c.SD_SEND))
            assert waiting.select(0, [s], [s], [s], 0) == ([s], [s], [])
            with peer, pytest.raises(ConnectionResetError):
                peer.recv(1)

    def test_what_came_before_an_error_can_be_read(self, server: socket.socket) -> None:
        with World(through(ours.Pass)) as world:
            s, peer = connected(world, server)
            peer.sendall(b"last words")
            while options.ioctlsocket(s, c.FIONREAD) < 10:
                waiting.select(0, [s], None, None, PATIENCE_S)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            assert transfer.recv(s, 4) == b"last"
            assert transfer.recv(s, 99) == b" words"
            refused(e.WSAECONNRESET, lambda: transfer.recv(s, 1))


class TestUrgentData:
    """It goes round no layer, and none of it is lost."""

    def test_it_is_sent_through_the_layer(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            assert transfer.WSASend(s, [b"ab", b"c"], c.MSG_OOB) == 3
            transfer.send(s, b"d")
            poll = select.poll()
            poll.register(peer, select.POLLPRI)
            assert poll.poll(PATIENCE_S * 1000)
            assert peer.recv(1, socket.MSG_OOB) == b"C"
            assert exactly(peer, 3) == b"ABD"

    def test_what_becomes_of_it_is_urgent_if_it_is_one_byte(self, server: socket.socket) -> None:
        with World(through(Wrapping)) as world:
            s, peer = connected(world, server)
            transfer.send(s, b"!", c.MSG_OOB)
            assert exactly(peer, 3) == b"<!>"

    def test_it_is_not_received_by_itself(self, server: socket.socket) -> None:
        with World(through(ours.Pass)) as world:
            s, _ = connected(world, server)
            refused(e.WSAEOPNOTSUPP, lambda: transfer.recv(s, 1, c.MSG_OOB))
            refused(e.WSAEOPNOTSUPP, lambda: transfer.send(s, b"!", c.MSG_PARTIAL))
            refused(e.WSAENOPROTOOPT, lambda: options.setsockopt(s, c.SOL_SOCKET, c.SO_OOBINLINE, 0))

    def test_what_comes_is_in_line(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            peer.send(b"ab")
            peer.send(b"c", socket.MSG_OOB)
            peer.send(b"d")
            assert transfer.recv(s, 4, c.MSG_WAITALL) == b"ABCD"

    def test_and_told_by_the_flags_where_the_base_tells_it(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            MARKING.add(driver_of(s).context(s).lower)
            peer.send(b"ab")
            peer.send(b"c", socket.MSG_OOB)
            peer.send(b"de")
            for data, flags in ((b"AB", 0), (b"C", c.MSG_OOB), (b"DE", 0)):
                buffer = bytearray(9)
                assert transfer.WSARecv(s, [buffer], c.MSG_PEEK) == (len(data), flags)
                assert transfer.WSARecv(s, [buffer]) == (len(data), flags)
                assert buffer[: len(data)] == data

    def test_not_so_if_it_was_read_ahead(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            MARKING.add(driver_of(s).context(s).lower)
            peer.send(b"c", socket.MSG_OOB)
            peer.send(b"de")
            while options.ioctlsocket(s, c.FIONREAD) < 3:
                waiting.select(0, [s], None, None, PATIENCE_S)
            assert transfer.WSARecv(s, [bytearray(2)]) == (2, 0)
            assert transfer.WSARecv(s, [bytearray(2)]) == (1, 0)


class TestSelect:
    def test_over_sockets_with_and_without_connections(self, server: socket.socket) -> None:
        with World(through(ours.Lines)) as world:
            s, peer = connected(world, server)
            listener, address = world.listener()
            fresh = world.stream()
            peer.sendall(b"half")
            assert waiting.select(0, [s, listener, fresh], [s, fresh], [s], 0.02) == ([], [s], [])
            with socket.create_connection(tuple(address)):  # type: ignore[arg-type]
                assert waiting.select(0, [s, listener], None, None, PATIENCE_S) == ([listener], [], [])
                peer.sendall(b"\n")
                while len(waiting.select(0, [s, listener], None, None, PATIENCE_S)[0]) < 2:
                    pass
            assert waiting.select(0, [s, s], None, None, 0) == ([s], [], [])

    def test_a_time_out_that_is_none(self, server: socket.socket) -> None:
        with World(through(ours.Pass)) as world:
            s, _ = connected(world, server)
            refused(e.WSAEINVAL, lambda: records[s].table.WSPSelect(0, [s], None, None, -1))

    def test_another_thread_ends_the_wait(self, server: socket.socket) -> None:
        with World(through(ours.Pass, ours.Pass, ours.Answering)) as world:
            s, _ = connected(world, server)
            timer = threading.Timer(0.01, lambda: transfer.send(s, b"x"))
            timer.start()
            assert waiting.select(0, [s], None, None, PATIENCE_S) == ([s], [], [])
            timer.join()

    def test_of_several_chains(self, server: socket.socket) -> None:
        with World(through(ours.Pass, ours.Ticking)) as world:
            s, _ = connected(world, server)
            other = world.datagram()
            assert waiting.select(0, [s, other], None, None, PATIENCE_S) == ([s], [], [])

    def test_a_poll_sees_what_the_layer_holds(self, server: socket.socket) -> None:
        from winsock.dispatcher.poll import poll

        with World(through(ours.Ticking)) as world:
            s, _ = connected(world, server)
            assert poll([(s, c.POLLRDNORM)], int(PATIENCE_S * 1000)) == [(s, c.POLLRDNORM)]


class TestPoll:
    """The end of a stream is POLLHUP, and nothing to read."""

    def test_bytes_then_the_end(self, server: socket.socket) -> None:
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            peer.sendall(b"ab")
            assert waiting.WSAPoll([(s, c.POLLRDNORM)], int(PATIENCE_S * 1000)) == [(s, c.POLLRDNORM)]
            assert transfer.recv(s, 2) == b"AB"
            assert waiting.WSAPoll([(s, c.POLLIN)], 0) == []
            peer.shutdown(socket.SHUT_WR)
            assert waiting.WSAPoll([(s, c.POLLRDNORM)], int(PATIENCE_S * 1000)) == [(s, c.POLLHUP)]
            assert waiting.WSAPoll([(s, c.POLLIN | c.POLLWRNORM)], 0) == [(s, c.POLLHUP | c.POLLWRNORM)]

    def test_a_listener_that_has_a_connection_has_not_ended(self) -> None:
        with World(through(ours.Swap)) as world:
            listener, _ = world.listener()
            client = nonblocking(world.stream())
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(client, sockets.getsockname(listener)))
            assert waiting.WSAPoll([(listener, c.POLLRDNORM)], int(PATIENCE_S * 1000)) == [(listener, c.POLLRDNORM)]


class TestClose:
    def test_to_linger_is_to_wait(self, server: socket.socket) -> None:
        with World(through(ours.Late)) as world:
            s, peer = connected(world, server)
            options.setsockopt(s, c.SOL_SOCKET, c.SO_LINGER, Linger(1, 10))
            transfer.send(s, b"late")
            sockets.closesocket(s)
            peer.setblocking(False)
            assert peer.recv(9) == b"late"

    def test_to_linger_for_no_time_is_a_reset(self, server: socket.socket) -> None:
        with World(through(ours.Hoarder)) as world:
            s, peer = connected(world, server)
            transfer.send(s, b"never")
            options.setsockopt(s, c.SOL_SOCKET, c.SO_LINGER, Linger(1, 0))
            sockets.closesocket(s)
            with peer, pytest.raises(ConnectionResetError):
                peer.recv(9)

    def test_it_ends_the_handle_at_once(self, server: socket.socket) -> None:
        with World(through(ours.Late)) as world:
            s, peer = connected(world, server)
            transfer.send(s, b"late")
            sockets.closesocket(s)
            refused(e.WSAENOTSOCK, lambda: transfer.send(s, b"x"))
            assert exactly(peer, 9) == b"late"

    def test_while_it_is_opened_it_gives_up(self, server: socket.socket) -> None:
        with World(through(Mute)) as world:
            s = nonblocking(world.stream())
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(s, server.getsockname()))
            with server.accept()[0] as peer:
                sockets.closesocket(s)
                peer.settimeout(PATIENCE_S)
                try:
                    assert peer.recv(1) == b""
                except ConnectionResetError:
                    pass

    def test_winsock_waits_for_what_is_owed(self, server: socket.socket) -> None:
        """SPIINIT-018."""
        with World(through(ours.Late, ours.Late)) as world:
            s, peer = connected(world, server)
            transfer.send(s, b"late")
            sockets.closesocket(s)
        peer.setblocking(False)
        assert peer.recv(9) == b"late"

    def test_but_not_for_ever(self, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeper.drain, "__defaults__", (0.02,))
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            filled(s)
        with pytest.raises(ConnectionResetError):
            exactly(peer, 1 << 30)

    def test_what_is_still_open_then_is_reset(self, server: socket.socket) -> None:
        process.startup(catalog=through(ours.Pass))
        s = sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
        sockets.connect(s, server.getsockname())
        peer, _ = server.accept()
        process.cleanup()
        with peer, pytest.raises(ConnectionResetError):
            peer.recv(1)

    def test_nothing_is_left_of_many(self, server: socket.socket) -> None:
        with World(through(ours.Swap, ours.Late)) as world:
            s, peer = connected(world, server)
            transfer.send(s, b"x")
            assert peer.recv(1) == b"X"
            sockets.closesocket(s)
            assert peer.recv(1) == b""
            peer.close()
            before = len(os.listdir("/proc/self/fd"))
            for i in range(20):
                s, peer = connected(world, server)
                with peer:
                    transfer.send(s, b"word")
                    if i % 2:
                        sockets.closesocket(s)
                        assert exactly(peer, 9) == b"WORD"
                    else:
                        assert exactly(peer, 4) == b"WORD"
                        peer.close()
                        assert transfer.recv(s, 1) == b""
                        sockets.closesocket(s)
            deadline = time.monotonic() + PATIENCE_S
            while len(os.listdir("/proc/self/fd")) > before:
                assert time.monotonic() < deadline
                time.sleep(0.005)
            layers = [layer for chain in loader.opened.values() for layer in chain.layers]
            assert not [layer._contexts for layer in layers if isinstance(layer, Direct) and layer._contexts]

    def test_the_end_of_the_process_sends_what_is_owed(self, server: socket.socket) -> None:
        program = """
            import sys, winsock
            from tests.drivers.layers import Hoarder, Late
            from winsock.testing import through
            from winsock.dispatcher import process
            process.startup(catalog=through(Hoarder, Late))
            for word in (b"open", b"closed"):
                s = winsock.socket(winsock.AF_INET, winsock.SOCK_STREAM, 0)
                winsock.connect(s, ("127.0.0.1", int(sys.argv[1])))
                winsock.send(s, word)
                if word == b"closed":
                    winsock.closesocket(s)
        """
        command = [sys.executable, "-c", textwrap.dedent(program), str(server.getsockname()[1])]
        with subprocess.Popen(command) as child:
            for word in (b"open", b"closed"):
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(PATIENCE_S)
                    assert exactly(peer, 99) == word
            assert child.wait(PATIENCE_S) == 0

    def test_what_was_left_unread_is_answered_by_a_reset(self, server: socket.socket) -> None:
        """As by the kernel, wherever it waits."""
        with World(through(ours.Swap)) as world:
            s, peer = connected(world, server)
            peer.sendall(b"unread")
            while options.ioctlsocket(s, c.FIONREAD) < 6:
                waiting.select(0, [s], None, None, PATIENCE_S)
            sockets.closesocket(s)
            with pytest.raises(ConnectionResetError):
                peer.recv(1)


class TestUnwanted:
    """A connection that the layer leaves alone is the provider's below, call for call."""

    def test_every_call(self, server: socket.socket) -> None:
        with World(through(ours.Choosy)) as world:
            s, peer = connected(world, server)
            assert driver_of(s).context(s).connection is None
            assert transfer.WSASendTo(s, [b"ab"], 0, None) == 2
            assert transfer.send(s, b"!", c.MSG_OOB) == 1
            assert exactly(peer, 2) == b"ab"
            peer.sendall(b"cd")
            assert transfer.recvfrom(s, 1) == (b"c", None)
            assert transfer.recv(s, 1, c.MSG_PEEK) == b"d"
            assert options.ioctlsocket(s, c.FIONREAD) == 1
            sockets.shutdown(s, c.SD_SEND)
            assert exactly(peer, 1) == b""
            transfer.WSASendDisconnect(s)
            assert transfer.WSARecvDisconnect(s) == b""
            refused(e.WSAESHUTDOWN, lambda: transfer.recv(s, 1))

    def test_its_events_too(self, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        """After a connect that the layer wanted, and that failed."""
        with World(through(ours.Handshake)) as world:
            client = Selected(world.stream(), c.FD_CONNECT | c.FD_READ)
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(client.s, server.getsockname()))
            with server.accept()[0] as peer:
                peer.sendall(ours.REFUSED)
                assert client.wait(c.FD_CONNECT)[4] == e.WSAECONNREFUSED
            driver = driver_of(client.s)
            monkeypatch.setattr(driver, "_wants", lambda name: False)
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(client.s, server.getsockname()))
            with server.accept()[0] as peer:
                peer.sendall(b"x")
                client.wait(c.FD_CONNECT | c.FD_READ)

    def test_nobody_asks_any_more(self, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        with World(through(ours.Handshake)) as world:
            client = Selected(world.stream(), c.FD_CONNECT)
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(client.s, server.getsockname()))
            with server.accept()[0] as peer:
                peer.sendall(ours.REFUSED)
                client.wait(c.FD_CONNECT)
            client.select(0)
            monkeypatch.setattr(driver_of(client.s), "_wants", lambda name: False)
            refused(e.WSAEWOULDBLOCK, lambda: sockets.connect(client.s, server.getsockname()))
            server.accept()[0].close()
            assert client.is_quiet()


class TestProcesses:
    def test_a_socket_without_a_connection_can_be_shared(self) -> None:
        with World(through(ours.Pass)) as world:
            listener, _ = world.listener()
            info = records[listener].table.WSPDuplicateSocket(listener, os.getpid())
            assert info._replace(dwProviderReserved=0) == records[listener].entry.info

    def test_a_connection_cannot_be_shared(self, server: socket.socket) -> None:
        with World(through(ours.Pass)) as world:
            s, _ = connected(world, server)
            refused(e.WSAEINVAL, lambda: records[s].table.WSPDuplicateSocket(s, os.getpid()))

    def test_nor_can_a_stream_that_may_connect_yet(self) -> None:
        """Through the other descriptor its connection would go round the layer."""
        with World(through(ours.Pass)) as world:
            s = world.stream()
            refused(e.WSAEINVAL, lambda: records[s].table.WSPDuplicateSocket(s, os.getpid()))
            datagram = world.datagram()
            records[datagram].table.WSPDuplicateSocket(datagram, os.getpid())

    def test_a_connection_that_the_layer_does_not_want_can(
        self, server: socket.socket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with World(through(ours.Pass)) as world:
            s = world.stream()
            monkeypatch.setattr(driver_of(s), "_wants", lambda name: False)
            sockets.connect(s, server.getsockname())
            info = records[s].table.WSPDuplicateSocket(s, os.getpid())
            twin = sockets.WSASocket(c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, info)
            sockets.closesocket(s)
            peer, _ = server.accept()
            with peer:
                transfer.send(twin, b"twin")
                assert exactly(peer, 4) == b"twin"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this host does not fork")
    def test_a_child_has_no_part_in_a_connection(self, server: socket.socket) -> None:
        with World(through(ours.Swap, ours.Late)) as world:
            s, peer = connected(world, server)
            transfer.send(s, b"a")
            child = os.fork()
            if child == 0:
                os._exit(_seen_in_child(s))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            transfer.send(s, b"b")
            sockets.closesocket(s)
            assert exactly(peer, 9) == b"AB"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this host does not fork")
    def test_a_child_has_connections_of_its_own(self, server: socket.socket) -> None:
        with World(through(ours.Swap, ours.Late)) as world:
            connected(world, server)[1].close()
            child = os.fork()
            if child == 0:
                try:
                    own = world.stream()
                    sockets.connect(own, server.getsockname())
                    transfer.send(own, b"child")
                    sockets.closesocket(own)
                    process.cleanup()
                    os._exit(0)
                except BaseException:
                    os._exit(3)
            peer, _ = server.accept()
            with peer:
                assert exactly(peer, 9) == b"CHILD"
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _seen_in_child(s: int) -> int:
    """0 where the handle is none of ours."""
    try:
        transfer.send(s, b"from the child")
    except e.WinsockError as error:
        return int(error.winerror != e.WSAENOTSOCK)
    return 2


def test_numbers_are_told_of_the_handle_that_the_application_had(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Stats] = []
    monkeypatch.setattr(Remembering, "ended", ended, raising=False)
    with World(through(Remembering)) as world:
        s, peer = connected(world, server)
        transfer.send(s, b"12345")
        peer.sendall(b"123")
        assert transfer.recv(s, 3, c.MSG_WAITALL) == b"123"
        here, there = sockets.getsockname(s), sockets.getpeername(s)
        sockets.closesocket(s)
    [stats] = ended
    assert (stats.socket, stats.handle, stats.local, stats.peer) == (s, s, here, there)
    assert (stats.sent, stats.received, stats.protocol) == (5, 3, "tcp")
    assert stats.duration_s is not None


def test_an_end_that_is_held_back_for_ever_does_not_end(server: socket.socket) -> None:
    with World(through(HandsUp)) as world:
        s, peer = connected(world, server)
        peer.close()
        assert waiting.select(0, [s], None, None, 0.02) == ([], [], [])
        options.setsockopt(s, c.SOL_SOCKET, c.SO_RCVTIMEO, 20)
        refused(e.WSAETIMEDOUT, lambda: transfer.recv(s, 1))


def test_overlapped_calls_are_refused(server: socket.socket) -> None:
    with World(through(ours.Pass)) as world:
        s, _ = connected(world, server)
        for function, buffer in (("WSPSend", b"x"), ("WSPRecv", bytearray(1))):
            refused(
                e.WSAEOPNOTSUPP,
                lambda function=function, buffer=buffer: getattr(records[s].table, function)(s, [buffer], 0, object()),  # type: ignore[misc]
            )
        refused(e.WSAEFAULT, lambda: records[s].table.WSPIoctl(s, c.FIONREAD, None, 2))
        refused(e.WSAEFAULT, lambda: records[s].table.WSPIoctl(s, c.FIONBIO, b"\1", 0))


def test_the_peer_is_told_of_a_connection_that_it_ended_first(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Stats] = []
    monkeypatch.setattr(Remembering, "ended", ended, raising=False)
    with World(through(Remembering)) as world:
        s, peer = connected(world, server)
        there = sockets.getpeername(s)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(e.WinsockError) as caught:
            transfer.recv(s, 1)
        sockets.closesocket(s)
    assert caught.value.winerror == e.WSAECONNRESET
    [stats] = ended
    assert (stats.peer, stats.connected, stats.process) == (there, True, os.getpid())


@pytest.mark.parametrize("kinds", [(Remembering,), (Remembering, Wrapping)])
def test_numbers_are_told_with_whose_connection_it_was(
    kinds: tuple[type[StreamLayer], ...], server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[Stats] = []
    monkeypatch.setattr(Remembering, "ended", ended, raising=False)
    monkeypatch.setattr(calling.local, "describe", lambda: calling.Call(7, 8, "WSPConnect", 9, "other"))
    with World(through(*kinds)) as world:
        s, _ = connected(world, server)
        monkeypatch.setattr(calling.local, "describe", None)  # who closes it need not be who connected
        sockets.closesocket(s)
    [stats] = ended
    assert (stats.process, stats.process_name) == (7, "other")
