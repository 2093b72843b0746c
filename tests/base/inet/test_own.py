"""The record of a socket of ours, and the host's object behind it, which is made when something is transferred."""

from __future__ import annotations

import errno
import os
import socket as host
import struct
import threading
from pathlib import Path

import pytest

from tests.api.test_sockets import wait_until_blocked
from winsock.abi.constants import AF_INET6, SOMAXCONN
from winsock.api import sockets, transfer
from winsock.base.inet import own
from winsock.base.inet.own import METHODS, SOCKETS, OwnSocket
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher.records import senders
from winsock.testing import World

TCP = BUILTIN[0].info


@pytest.fixture(autouse=True)
def world() -> object:
    with World() as world:
        yield world


def has_object(s: int) -> bool:
    return "send" in vars(SOCKETS[s])


@pytest.mark.parametrize(
    ("backlog", "length"),
    [(0, 1), (7, 7), (-1, 200), (-200, 200), (-300, 300), (-65535, 65535), (-70000, 65535), (SOMAXCONN, SOMAXCONN)],
)
def test_a_queue_is_as_long_as_the_backlog_says_conn_035(world: World, backlog: int, length: int) -> None:
    """A negative number is a SOMAXCONN_HINT (nf-winsock2-listen); the kernel has a limit of its own."""
    listener, _ = world.listener(backlog)
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    with host.socket(fileno=os.dup(listener)) as same:
        (told,) = struct.unpack_from("=I", same.getsockopt(host.IPPROTO_TCP, host.TCP_INFO, 32), 28)
    assert told == min(length, most)


def test_a_life_without_transfers_needs_no_object(world: World) -> None:
    pair = world.connected()
    assert not has_object(pair.client)
    assert not has_object(pair.server)
    transfer.send(pair.client, b"x")
    assert has_object(pair.client)
    assert transfer.recv(pair.server, 1) == b"x"
    assert has_object(pair.server)


def test_its_methods_are_found_once(world: World) -> None:
    pair = world.connected()
    record = SOCKETS[pair.client]
    assert record.send(b"x") == 1
    for name in METHODS:
        assert isinstance(getattr(record, name).__self__, host.SocketType), name
    made = record.host_object()
    assert record.host_object() is made
    assert made.fileno() == pair.client


def test_the_direct_way_is_the_objects_own(world: World) -> None:
    pair = world.connected()
    transfer.send(pair.client, b"x")
    direct = senders[pair.client]
    assert isinstance(getattr(direct, "__self__", None), host.SocketType)


def test_what_was_put_in_place_of_a_method_stays(world: World) -> None:
    """Network events listen to what is received."""
    pair = world.connected()
    record = SOCKETS[pair.server]
    heard: list[int] = []
    original = record.recv_into

    def listening(*arguments: object) -> int:
        count: int = original(*arguments)  # type: ignore[arg-type]
        heard.append(count)
        return count

    setattr(record, "recv_into", listening)  # noqa: B010  # in the object's dictionary, as network events do
    record.setsockopt(host.SOL_SOCKET, host.SO_KEEPALIVE, 1)
    transfer.send(pair.client, b"abc")
    assert transfer.recv(pair.server, 3) == b"abc"
    assert heard == [3]


def test_two_threads_make_one_object(world: World) -> None:
    for _ in range(50):
        s = world.stream()
        assert len({id(made) for made in made_by_threads(SOCKETS[s])}) == 1
        sockets.closesocket(s)


def made_by_threads(record: OwnSocket) -> list[object]:
    """What four threads get that ask at once."""
    found: list[object] = []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        found.append(record.host_object())

    threads = [threading.Thread(target=make, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_closed_socket_makes_none(world: World) -> None:
    """Its number may be another file's, which an object would close."""
    s = world.stream()
    record = SOCKETS[s]
    sockets.closesocket(s)
    with open(os.devnull, "rb") as file:
        assert file.fileno() == s
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            record.send(b"x")
        del record
        os.fstat(s)


def test_letting_go_leaves_the_number_open(world: World) -> None:
    for use in (False, True):
        s = world.stream()
        if use:
            SOCKETS[s].host_object()
        assert own.forget(s) is not None
        assert own.forget(s) is None
        os.fstat(s)
        os.close(s)


def test_a_number_that_is_used_anew_has_a_record_of_its_own(world: World) -> None:
    s = world.stream()
    old = SOCKETS[s]
    old.bound = True
    os.close(s)
    assert world.stream() == s
    assert SOCKETS[s] is not old
    assert old.closed
    assert not SOCKETS[s].bound


def test_closing_wakes_who_waits_in_the_first_transfer(world: World) -> None:
    pair = world.connected()

    def receive() -> None:
        with pytest.raises(OSError, match="closed"):
            transfer.recv(pair.client, 1)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    wait_until_blocked(pair.client, thread)
    sockets.closesocket(pair.client)
    thread.join(20)
    assert not thread.is_alive()


def test_a_default_time_out_changes_no_mode(world: World) -> None:
    """The object is made late, when the application may have made the socket non-blocking."""
    for blocking in (True, False):
        s = world.stream()
        os.set_blocking(s, blocking)
        host.setdefaulttimeout(5)
        try:
            made = SOCKETS[s].host_object()
        finally:
            host.setdefaulttimeout(None)
        assert made.gettimeout() is None
        assert os.get_blocking(s) is blocking


def test_the_object_is_of_the_sockets_kind(world: World) -> None:
    s = sockets.socket(AF_INET6, host.SOCK_DGRAM, 0)
    made = SOCKETS[s].host_object()
    assert (made.family, made.type, made.proto) == (host.AF_INET6, host.SOCK_DGRAM, host.IPPROTO_UDP)
    assert not SOCKETS[s].stream
    assert SOCKETS[world.stream()].stream
