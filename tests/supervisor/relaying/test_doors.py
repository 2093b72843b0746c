"""Private doors: sockets wait there, are joined and turned away; a stranger gets nowhere."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from winsock import host
from winsock.abi.sockaddr import SockaddrIn
from winsock.supervisor.relaying import doors
from winsock.supervisor.relaying.doors import AF_INET, AF_INET6, Doors, Way

ESTABLISHED, SYN_SENT, SYN_RECV, CLOSED = 1, 2, 3, 7
EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
REFUSED = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP
WAYS = ((AF_INET, True), (AF_INET6, False), (AF_INET6, True))


class Waiting(NamedTuple):
    """A socket that may wait at a door, and what is told of its events."""

    socket: socket.socket
    edges: select.epoll

    @property
    def state(self) -> int:
        return self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    @property
    def cookie(self) -> int:
        (cookie,) = struct.unpack("=Q", self.socket.getsockopt(socket.SOL_SOCKET, 57, 8))
        return int(cookie)

    def edge(self) -> int:
        """The events of the next edge; 0 where there is none."""
        found = self.edges.poll(0)
        return found[0][1] if found else 0

    def error(self) -> int:
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@pytest.fixture(params=WAYS, ids=["ipv4", "ipv6", "mapped"])
def way(request: pytest.FixtureRequest, opened: Doors) -> Way:
    return opened.way(*request.param)


@pytest.fixture(params=[True, False], ids=["blocking", "not blocking"])
def waiting(request: pytest.FixtureRequest, way: Way) -> Iterator[Waiting]:
    """A socket of the way's domain, with an edge of its own behind it."""
    domain = AF_INET if len(way.waiting) == 16 else AF_INET6
    with socket.socket(domain) as made, select.epoll() as edges:
        made.setblocking(request.param)
        edges.register(made, EDGES)
        fresh = Waiting(made, edges)
        assert fresh.edge()
        yield fresh


def test_a_socket_waits_without_an_event(way: Way, waiting: Waiting) -> None:
    blocking = waiting.socket.getblocking()
    name = doors.begin(waiting.socket.fileno(), way)
    assert (waiting.state, waiting.edge()) == (SYN_SENT, 0)
    assert getattr(name, "port", 0) == waiting.socket.getsockname()[1]
    assert os.get_blocking(waiting.socket.fileno()) == blocking


def test_joining_is_one_event_and_bytes_flow(opened: Doors, way: Way, waiting: Waiting) -> None:
    name = doors.begin(waiting.socket.fileno(), way)
    with socket.socket(fileno=opened.join(way, name, waiting.cookie)) as end:
        assert (waiting.state, waiting.edge(), waiting.edge(), waiting.error()) == (ESTABLISHED, select.EPOLLOUT, 0, 0)
        end.setblocking(True)
        waiting.socket.sendall(b"there")
        assert end.recv(10) == b"there"
        end.sendall(b"back")
        assert waiting.socket.recv(10) == b"back"


def test_turning_away_is_one_event_and_one_error(way: Way, waiting: Waiting) -> None:
    name = doors.begin(waiting.socket.fileno(), way)
    doors.turn_away(way, name)
    assert (waiting.state, waiting.edge(), waiting.edge()) == (CLOSED, REFUSED, 0)
    assert (waiting.error(), waiting.error()) == (errno.ECONNRESET, 0)


def test_a_socket_that_was_turned_away_can_wait_again(opened: Doors, way: Way, waiting: Waiting) -> None:
    doors.turn_away(way, doors.begin(waiting.socket.fileno(), way))
    assert waiting.socket.connect_ex(waiting.socket.getsockname()) == errno.ECONNRESET  # the untold error
    name = doors.begin(waiting.socket.fileno(), way)
    os.close(opened.join(way, name, waiting.cookie))


def test_what_does_not_wait_any_more_is_not_joined(opened: Doors, way: Way, waiting: Waiting) -> None:
    name = doors.begin(waiting.socket.fileno(), way)
    cookie = waiting.cookie
    waiting.socket.close()
    with pytest.raises(ConnectionRefusedError):
        opened.join(way, name, cookie)
    doors.turn_away(way, name)  # harms nobody


def test_another_socket_under_the_same_name_is_not_joined(opened: Doors) -> None:
    way = opened.way(AF_INET, True)
    with (
        socket.create_server(("127.0.0.1", 0)) as stranger,
        pytest.raises(OSError, match="another socket's") as raised,
    ):
        opened.join(way, SockaddrIn(*stranger.getsockname()), 1)
    assert raised.value.errno == errno.ESTALE


def test_a_stranger_waits_in_vain(opened: Doors) -> None:
    way = opened.way(AF_INET, True)
    address = way.door.address
    with socket.socket() as stranger, socket.socket() as program:
        stranger.setblocking(False)
        assert stranger.connect_ex((address.host, address.port)) == errno.EINPROGRESS
        program.setblocking(False)
        name = doors.begin(program.fileno(), way)
        (cookie,) = struct.unpack("=Q", program.getsockopt(socket.SOL_SOCKET, 57, 8))
        with socket.socket(fileno=opened.join(way, name, cookie)) as end:
            assert end.getpeername() == program.getsockname()
            assert Waiting(stranger, select.epoll()).state == SYN_SENT


@pytest.mark.skipif(os.getuid() != 0, reason="another user's part can only be played by root")
def test_nobody_of_another_user_can_stand_at_the_door(opened: Doors) -> None:
    address = opened.way(AF_INET, True).door.address
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65534)
            with socket.socket() as stranger:
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    stranger.bind((address.host, address.port))
                except OSError as error:
                    status = 0 if error.errno == errno.EADDRINUSE else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_left_of_an_earlier_connection_is_waited_for(opened: Doors) -> None:
    """The same port comes again while the kernel still keeps our end in TIME_WAIT."""
    way = opened.way(AF_INET, True)
    port = 0
    for _ in range(2):
        with socket.socket() as program:
            program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            program.bind(("127.0.0.1", port))
            port = program.getsockname()[1]
            name = doors.begin(program.fileno(), way)
            with socket.socket(fileno=doors.meet(way, name)) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
                end.shutdown(socket.SHUT_WR)
                assert program.recv(1) == b""
                program.shutdown(socket.SHUT_WR)


def test_many_at_once(opened: Doors) -> None:
    way = opened.way(AF_INET, True)
    ends: list[int] = []

    def work() -> None:
        for _ in range(50):
            with socket.socket() as program:
                program.setblocking(False)
                name = doors.begin(program.fileno(), way)
                (cookie,) = struct.unpack("=Q", program.getsockopt(socket.SOL_SOCKET, 57, 8))
                ends.append(opened.join(way, name, cookie))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 400
    for end in ends:
        os.close(end)


def test_a_door_is_full_before_anybody_is_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever came before that would be connected to nobody, and stand for ever."""
    connect, late = host.connect, list[threading.Timer]()

    def fill_late(descriptor: int, name: bytes) -> int:
        late.append(threading.Timer(0.05, connect, (descriptor, name)))
        late[0].start()
        return errno.EINPROGRESS

    monkeypatch.setattr(host, "connect", fill_late)
    door = doors.Door(AF_INET)
    monkeypatch.undo()
    with door._listener, door._filler, door._refuser, socket.socket() as made:
        made.setblocking(False)
        made.connect_ex(tuple(door.address))
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == SYN_SENT
        late[0].join()


def test_there_is_one_door_a_family(opened: Doors) -> None:
    ipv4, mapped, ipv6 = opened.way(AF_INET, True), opened.way(AF_INET6, True), opened.way(AF_INET6, False)
    assert ipv4.door is mapped.door is opened.way(AF_INET, False).door
    assert ipv4.door is not ipv6.door
    assert (ipv4.door.family, ipv6.door.family) == (AF_INET, AF_INET6)
