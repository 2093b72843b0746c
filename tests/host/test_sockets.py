"""take, kind and connect: another task's socket, what it is, and one raw connect."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import threading

import pytest

from tests.host.conftest import Twin, full_listener, interrupt, nothing_leaks
from tests.puppet import Puppet, puppet
from tests.supervisor.notices.diag_messages import cookie_of

ADDRESS = struct.Struct("=HH4s8x")
LOOPBACK = bytes((127, 0, 0, 1))


def address_of(listener: socket.socket) -> bytes:
    return ADDRESS.pack(socket.AF_INET, socket.htons(listener.getsockname()[1]), LOOPBACK)


def dead_address() -> bytes:
    """Where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return address_of(bound)


def take_from(host: Twin, process: Puppet, descriptor: int) -> tuple[int, int]:
    pidfd = os.pidfd_open(process.pid)
    try:
        return host.take(pidfd, descriptor)
    finally:
        os.close(pidfd)


def test_take_gives_the_very_socket_and_its_cookie(host: Twin) -> None:
    with puppet() as other:
        number = other.run("(keep.append(socket.socketpair()), keep[-1][0].fileno())[1]")
        taken, cookie = take_from(host, other, number)
        with socket.socket(fileno=taken) as ours:
            assert not os.get_inheritable(taken)
            assert cookie == cookie_of(ours)
            ours.send(b"from here")
            assert other.run("keep[-1][1].recv(64)") == b"from here"


@pytest.mark.parametrize(
    ("descriptor", "number"),
    [
        ("999", errno.EBADF),
        ("0xFFFFFFFF", errno.EBADF),
        ("os.open('/dev/null', os.O_RDONLY)", errno.ENOTSOCK),
        ("os.open('/', os.O_PATH)", errno.EBADF),
        ("os.pipe()[0]", errno.ENOTSOCK),
    ],
    ids=["closed", "minus one", "device", "path", "pipe"],
)
def test_take_of_what_is_no_socket_fails_as_the_kernel_would_and_leaks_nothing(
    host: Twin, descriptor: str, number: int
) -> None:
    with puppet() as other:
        theirs = other.run(descriptor)
        with nothing_leaks(), pytest.raises(OSError, match=os.strerror(number)) as caught:
            take_from(host, other, theirs)
        assert caught.value.errno == number


def test_take_from_a_process_that_has_ended(host: Twin) -> None:
    with puppet() as other:
        number = other.run("(keep.append(socket.socket()), keep[-1].fileno())[1]")
        pidfd = os.pidfd_open(other.pid)
        other.kill()
        try:
            with nothing_leaks(), pytest.raises(ProcessLookupError):
                host.take(pidfd, number)
        finally:
            os.close(pidfd)


@pytest.mark.parametrize(
    ("family", "type", "protocol", "seen"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, 0, (2, 1, 6)),
        (socket.AF_INET6, socket.SOCK_DGRAM, 0, (10, 2, 17)),
        (socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, (1, 5, 0)),
        (socket.AF_NETLINK, socket.SOCK_RAW, 4, (16, 3, 4)),
    ],
    ids=["tcp", "udp6", "unix", "netlink"],
)
def test_kind_tells_family_type_and_protocol(
    host: Twin, family: int, type: int, protocol: int, seen: tuple[int, int, int]
) -> None:
    with socket.socket(family, type, protocol) as held:
        assert host.kind(held.fileno()) == seen


def test_kind_of_no_socket(host: Twin) -> None:
    with open(os.devnull) as file, pytest.raises(OSError, match=os.strerror(errno.ENOTSOCK)):
        host.kind(file.fileno())
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        host.kind(-1)


def test_network_is_the_same_for_all_sockets_of_one(host: Twin) -> None:
    with socket.socket() as one, socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as other:
        assert host.network(one.fileno()) == host.network(other.fileno()) > 0


def test_network_of_no_socket(host: Twin) -> None:
    with open(os.devnull) as file, pytest.raises(OSError, match=os.strerror(errno.ENOTSOCK)):
        host.network(file.fileno())


def test_name_is_the_address_of_the_socket_or_of_its_peer(host: Twin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert host.name(client.fileno(), True) == address_of(server) == host.name(server.fileno(), False)
        assert host.name(client.fileno(), False) == address_of(client)


def test_name_has_the_length_that_the_kernel_says(host: Twin) -> None:
    with socket.socket(socket.AF_UNIX) as held:
        assert host.name(held.fileno(), False) == struct.pack("=H", socket.AF_UNIX)
        held.bind("\0" + "x" * 107)
        assert host.name(held.fileno(), False) == struct.pack("=H", socket.AF_UNIX) + b"\0" + b"x" * 107
    with socket.socket(socket.AF_INET6) as held:
        assert len(host.name(held.fileno(), False)) == 28


def test_a_socket_without_a_peer_has_no_such_name(host: Twin) -> None:
    with socket.socket() as held, pytest.raises(OSError, match=os.strerror(errno.ENOTCONN)):
        host.name(held.fileno(), True)
    with open(os.devnull) as file, pytest.raises(OSError, match=os.strerror(errno.ENOTSOCK)):
        host.name(file.fileno(), False)


def test_identity_is_the_files_and_not_the_numbers(host: Twin) -> None:
    with socket.socket() as held, socket.socket() as other:
        status = os.fstat(held.fileno())
        both = struct.pack("=QQ", status.st_dev, status.st_ino)
        assert host.identity(held.fileno()) == both != host.identity(other.fileno())
        copy = os.dup(held.fileno())
        assert host.identity(copy) == host.identity(held.fileno())
        os.close(copy)
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            host.identity(copy)


@pytest.mark.parametrize("number", [-1, 2**31, 2**32, 2**40, 2**80])
def test_no_number_is_taken_for_another(host: Twin, number: int) -> None:
    """2**32 is not 0."""
    with pytest.raises((OSError, OverflowError)):
        host.identity(number)


def test_same_tells_whether_a_number_stands_for_the_file_still(host: Twin) -> None:
    with socket.socket() as held, socket.socket() as other:
        identity = host.identity(held.fileno())
        assert host.same(held.fileno(), identity) is True
        assert host.same(other.fileno(), identity) is False
        assert host.same(held.fileno(), bytes(8) + identity[8:]) is False
    for number in (held.fileno(), 2**31, 2**32):
        assert host.same(number, identity) is False


@pytest.mark.parametrize("inheritable", [True, False])
@pytest.mark.parametrize("kind", [(2, 1, 6), (10, 2, 17), (1, 1, 0)], ids=["tcp", "udp6", "unix"])
def test_make_makes_a_socket_of_the_kind(host: Twin, kind: tuple[int, int, int], inheritable: bool) -> None:
    descriptor = host.make(kind, inheritable)
    with socket.socket(fileno=descriptor) as made:
        assert host.kind(descriptor) == kind
        assert os.get_inheritable(descriptor) is inheritable
        assert os.get_blocking(descriptor)
        assert made.family == kind[0]


def test_a_default_time_out_is_none_of_make_s_business(host: Twin) -> None:
    socket.setdefaulttimeout(5)
    try:
        descriptor = host.make((2, 1, 6), False)
    finally:
        socket.setdefaulttimeout(None)
    assert os.get_blocking(descriptor)
    os.close(descriptor)


def test_a_kind_that_there_is_not(host: Twin) -> None:
    with nothing_leaks(), pytest.raises(OSError, match=os.strerror(errno.EAFNOSUPPORT)):
        host.make((255, 1, 0), True)
    with nothing_leaks(), pytest.raises(OSError, match=os.strerror(errno.EPROTONOSUPPORT)):
        host.make((2, 1, 17), True)


def test_close_each_closes_all_whatever_becomes_of_one(host: Twin) -> None:
    with nothing_leaks():
        first, closed, last = (os.open(os.devnull, os.O_RDONLY) for _ in range(3))
        os.close(closed)
        host.close_each([first, closed, -1, last])
        host.close_each([])


def test_connect_connects(host: Twin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        assert host.connect(client.fileno(), address_of(server)) == 0
        assert client.getpeername() == server.getsockname()
        assert host.connect(client.fileno(), address_of(server)) == errno.EISCONN


def test_connect_answers_the_errno(host: Twin) -> None:
    with socket.socket() as client:
        assert host.connect(client.fileno(), dead_address()) == errno.ECONNREFUSED
        assert host.connect(client.fileno(), b"") == errno.EINVAL
        assert host.connect(client.fileno(), bytes(16)) == 0  # AF_UNSPEC
    assert host.connect(-1, dead_address()) == errno.EBADF


def test_a_connect_that_does_not_block_is_in_progress(host: Twin) -> None:
    with full_listener() as server, socket.socket() as client:
        client.setblocking(False)
        assert host.connect(client.fileno(), address_of(server)) == errno.EINPROGRESS
        assert host.connect(client.fileno(), address_of(server)) == errno.EALREADY


def test_a_connect_that_waits_comes_back_when_it_is_interrupted(host: Twin) -> None:
    """It is for the caller to know whether it is made again."""
    results: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: None)
    signal.siginterrupt(signal.SIGUSR2, True)
    try:
        with full_listener() as server, socket.socket() as client:
            address = address_of(server)
            waiter = threading.Thread(
                target=lambda: results.append(host.connect(client.fileno(), address)), daemon=True
            )
            waiter.start()
            assert waiter.native_id is not None
            while waiter.is_alive():
                interrupt(waiter.native_id, signal.SIGUSR2)
                waiter.join(0.002)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert results == [errno.EINTR]
