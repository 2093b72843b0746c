"""The twin of the socket module, through chains of every kind."""

from __future__ import annotations

import gc
import os
import socket as host
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.layers import CopiedBytes, OwnHandles, PassThrough, SameAddress
from tests.waiting import wait_until
from winsock.abi.constants import POLLHUP, POLLIN, POLLOUT
from winsock.abi.errors import WSAEACCES, WinsockError
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.api.waiting import WSAPoll
from winsock.dispatcher import process, records
from winsock.facade import socket
from winsock.spi.layer import Layer
from winsock.spi.stream import StreamLayer
from winsock.testing import through
from winsock.testing.pairs import LayerLike

HERE = ("127.0.0.1", 0)


class Upper(StreamLayer):
    """Capitals, both ways."""

    def outgoing(self, data: bytes) -> bytes:
        return data.upper()

    def incoming(self, data: bytes) -> bytes:
        return data.upper()


class Refusing(Layer):
    """Nobody may connect."""

    def connecting(self, address: Sockaddr) -> None:
        raise WinsockError(WSAEACCES)


class Elsewhere(Layer):
    """Every connect goes to one port."""

    port = 0

    def connecting(self, address: Sockaddr) -> Sockaddr:
        return SockaddrIn("127.0.0.1", self.port)


WORLDS: dict[str, tuple[LayerLike, ...]] = {
    "inet": (),
    "pass": (PassThrough,),
    "bytes,address": (CopiedBytes, SameAddress),
    "own handles": (OwnHandles,),
    "address,own handles": (SameAddress, OwnHandles),
}


@pytest.fixture
def start() -> Iterator[Callable[..., None]]:
    """Winsock with these layers; ended with whatever is open."""

    def started(*layers: LayerLike) -> None:
        process.startup(catalog=through(*layers))

    yield started
    process.cleanup()


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, start: Callable[..., None]) -> str:
    start(*WORLDS[request.param])
    return str(request.param)


def connected() -> tuple[Any, Any]:
    with socket.create_server(HERE) as listener:
        client = socket.create_connection(listener.getsockname())
        server, address = listener.accept()
        assert address == client.getsockname()
        return client, server


def test_streams(world: str) -> None:
    client, server = connected()
    with client, server:
        assert client.getpeername() == server.getsockname()
        assert server.getpeername() == client.getsockname()
        client.sendall(b"question")
        assert server.recv(99) == b"question"
        assert server.send(b"answer") == 6
        buffer = bytearray(3)
        assert client.recv_into(buffer) == 3
        assert (bytes(buffer), client.recv(99)) == (b"ans", b"wer")
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""


def test_a_shutdown_of_receiving_is_not_told_as_an_end(world: str) -> None:
    client, server = connected()
    with client, server:
        client.shutdown(socket.SHUT_RD)
        wanted = [(client.fileno(), POLLIN | POLLOUT)]
        assert WSAPoll(wanted, 0) == [(client.fileno(), POLLOUT)]
        server.close()
        wait_until(lambda: WSAPoll(wanted, 0) == [(client.fileno(), POLLOUT | POLLHUP)], "the peer's end")


def test_datagrams_have_a_peer_and_no_end_but_for_us(world: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, host.socket(host.AF_INET, host.SOCK_DGRAM) as other:
        other.bind(HERE)
        one.connect(other.getsockname())
        assert one.getpeername() == other.getsockname()
        assert one.send(b"to you") == 6
        assert other.recv(99) == b"to you"
        one.shutdown(socket.SHUT_RD)
        assert WSAPoll([(one.fileno(), POLLIN | POLLOUT)], 0) == [(one.fileno(), POLLOUT)]


def test_a_lot_both_ways(world: str) -> None:
    client, server = connected()
    data = os.urandom(1 << 20)
    with client, server:

        def echo() -> None:
            with server.makefile("rb") as incoming, server.makefile("wb") as outgoing:
                while piece := incoming.read1(65536):
                    outgoing.write(piece)
                    outgoing.flush()
            server.shutdown(socket.SHUT_WR)

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        threads = [threading.Thread(target=target, daemon=True) for target in (echo, send)]
        for thread in threads:
            thread.start()
        received = b"".join(iter(lambda: client.recv(1 << 16), b""))
        for thread in threads:
            thread.join()
    assert received == data


def test_a_refused_connect_is_pythons_own_error(world: str) -> None:
    with socket.socket() as taken:
        taken.bind(HERE)
        nobody = taken.getsockname()
        with socket.socket() as s, pytest.raises(ConnectionRefusedError):
            s.connect(nobody)
        with socket.socket() as s:
            s.settimeout(20)
            with pytest.raises(ConnectionRefusedError):
                s.connect(nobody)


def test_time_outs(world: str) -> None:
    client, server = connected()
    with client, server:
        client.settimeout(0.01)
        assert client.gettimeout() == 0.01
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        client.settimeout(20)
        server.send(b"x")
        assert client.recv(1) == b"x"


def test_a_listener_that_waits_for_nobody(world: str) -> None:
    with socket.create_server(HERE) as listener:
        listener.settimeout(0.01)
        with pytest.raises(TimeoutError):
            listener.accept()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("layers", [(), (PassThrough,), (CopiedBytes, SameAddress)])
def test_datagrams(start: Callable[..., None], layers: tuple[LayerLike, ...]) -> None:
    """Of layers with handles of their own, datagram handles do not become files."""
    start(*layers)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
        one.bind(HERE)
        other.bind(HERE)
        assert one.sendto(b"hello", other.getsockname()) == 5
        assert other.recvfrom(99) == (b"hello", one.getsockname())
        other.connect(one.getsockname())
        other.send(b"back")
        assert one.recvmsg(99)[0] == b"back"


def test_options(world: str) -> None:
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_nothing_is_left(world: str) -> None:
    connected_once = connected()
    for s in connected_once:
        s.close()
    settle()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        for s in connected():
            s.close()
    settle()
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before, "the descriptors are closed")


def settle() -> None:
    """Until nothing is open any more: where bytes are carried, an end takes its time."""
    wait_until(lambda: not records.records and not records.serving, "nothing is open")


def test_a_closed_socket_is_closed(world: str) -> None:
    s = socket.socket()
    s.close()
    s.close()
    assert s.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        s.send(b"x")


def test_what_is_dropped_is_closed(world: str) -> None:
    before = len(records.records)
    with pytest.warns(ResourceWarning, match="unclosed"):
        socket.socket()
    assert len(records.records) == before


def test_descriptors_given_away(start: Callable[..., None]) -> None:
    start(SameAddress)
    s = socket.socket()
    number = s.detach()
    assert number not in records.records
    with host.socket(fileno=number) as plain:
        plain.bind(HERE)


def test_a_descriptor_that_another_object_took_keeps_its_chain(start: Callable[..., None]) -> None:
    """As ssl makes its sockets: of the descriptor first, and then the old object lets go."""
    start(SameAddress)
    old = socket.socket()
    with socket.socket(fileno=old.fileno()) as new:
        number = old.detach()
        assert new.fileno() == number
        assert number in records.records
        new.bind(HERE)
    assert number not in records.records


def test_an_error_keeps_no_socket_alive(start: Callable[..., None]) -> None:
    start(CopiedBytes, SameAddress)
    gc.disable()
    try:
        s = socket.socket()
        s.setblocking(False)
        for call in (s.recv, s.recvfrom):
            with pytest.raises(OSError, match="not connected"):
                call(1)
        s.close()
        known = weakref.ref(s)
        del s, call
        assert known() is None
    finally:
        gc.enable()


class Reserved(socket.socket):
    """Whose connect does more, as that of ssl's sockets does."""

    def connect(self, address: Any) -> None:
        raise ValueError("not this one")


def test_connect_ex_is_not_what_a_subclass_makes_of_connect(world: str) -> None:
    with socket.create_server(HERE) as listener, Reserved() as s:
        assert s.connect_ex(listener.getsockname()) == 0
        assert s.getpeername() == listener.getsockname()


def test_descriptors_taken_in(start: Callable[..., None]) -> None:
    start(Upper)
    one, other = host.socketpair()
    with one, other:
        twin = socket.fromfd(one.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
        with twin:
            twin.send(b"untouched")
            assert other.recv(99) == b"untouched"


def test_bytes_go_through_stream_layers(start: Callable[..., None]) -> None:
    start(Upper)
    with host.create_server(HERE) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            client.sendall(b"shout")
            assert server.recv(99) == b"SHOUT"
            server.sendall(b"back")
            assert os.read(client.fileno(), 99) == b"BACK"


def test_a_layer_refuses(start: Callable[..., None]) -> None:
    start(Refusing)
    with socket.socket() as s, pytest.raises(PermissionError):
        s.connect(("127.0.0.1", 9))
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", 9)) == 13


def test_a_layer_redirects(start: Callable[..., None]) -> None:
    start(Elsewhere)
    with host.create_server(HERE) as listener:
        Elsewhere.port = listener.getsockname()[1]
        with socket.socket() as s:
            s.connect(("192.0.2.1", 80))
            assert s.getpeername() == listener.getsockname()


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("127.0.0.1", TypeError),
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", "80"), TypeError),
        ((7, 80), TypeError),
        (("127.0.0.1", 65536), OverflowError),
        (("127.0.0.1", -1), OverflowError),
    ],
)
def test_addresses_that_are_none(start: Callable[..., None], address: Any, error: type[Exception]) -> None:
    start(SameAddress)
    with socket.socket() as s, pytest.raises(error):
        s.connect(address)


def test_ipv6(start: Callable[..., None]) -> None:
    start(CopiedBytes, SameAddress)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        client = socket.create_connection(listener.getsockname()[:2])
        server, address = listener.accept()
    with client, server:
        assert address == client.getsockname()
        client.sendall(b"six")
        assert server.recv(9) == b"six"


def test_dual_stack(start: Callable[..., None]) -> None:
    start(SameAddress)
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        client = socket.create_connection(("127.0.0.1", listener.getsockname()[1]))
        server, address = listener.accept()
    with client, server:
        assert address[0] == "::ffff:127.0.0.1"
        assert client.getpeername()[0] == "127.0.0.1"
