"""Leases of a puppet's sockets: its own file for the length of a call, and nothing kept open after."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from tests.host.conftest import nothing_leaks
from tests.puppet import PATIENCE_S, Puppet
from winsock.dispatcher.records import Record
from winsock.spi.provider import ProcTable
from winsock.supervisor import lease as module
from winsock.supervisor.callers import Caller, Process
from winsock.supervisor.lease import SO_COOKIE, Kind, Leases, Socket, Stranger

TCP = Kind(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)


class World:
    """Leases over a chain that takes everything, and what they told."""

    def __init__(self, lasting: bool = True) -> None:
        self.adopted: list[tuple[int, Kind, int]] = []
        self.met: list[Socket] = []
        self.released: list[int] = []
        self.now = 100.0
        self.on_adopt: Callable[[int, Kind, int], Record | None] = self.record
        self.leases = Leases(
            lambda handle, kind, cookie: self.on_adopt(handle, kind, cookie),
            self.met.append,
            self.released.append,
            lambda: self.now,
            lasting,
        )

    def record(self, handle: int, kind: Kind, cookie: int) -> Record:
        self.adopted.append((handle, kind, cookie))
        chain: Any = SimpleNamespace(layers=())
        return Record(handle, chain, ProcTable(), b"", adopted=True)

    def take(self, caller: Caller, descriptor: int) -> Socket:
        leased = self.leases.take(caller, descriptor)
        assert isinstance(leased, Socket)
        return leased

    def close(self) -> None:
        for known in self.leases:
            self.leases.forget(known.cookie)
            self.leases.close(known)
        self.leases.close_spent()
        os.close(self.leases._placeholder)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def passing() -> Iterator[World]:
    """For a chain that remembers nothing between two calls."""
    made = World(lasting=False)
    yield made
    made.close()


@pytest.fixture
def caller(other: Puppet) -> Iterator[Caller]:
    pidfd = os.pidfd_open(other.pid)
    yield Caller(other.pid, Process(other.pid), pidfd)
    os.close(pidfd)


def socket_of(process: Puppet, arguments: str = "") -> int:
    number: int = process.run(f"(keep.append(socket.socket({arguments})), keep[-1].fileno())[1]")
    return number


def connect_to(process: Puppet, server: socket.socket) -> tuple[int, socket.socket]:
    """A connection from there to here: its number there, and our end."""
    number = socket_of(process)
    process.run(f"keep[-1].connect({server.getsockname()!r})")
    return number, server.accept()[0]


def cookie_at(number: int) -> int:
    with socket.socket(fileno=os.dup(number)) as held:
        cookie: int = struct.unpack("=Q", held.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]
    return cookie


def is_empty(slot: int) -> bool:
    """Whether the placeholder stands there, on which everything fails."""
    try:
        os.read(slot, 1)
    except OSError as error:
        return error.errno == errno.EBADF and os.fstat(slot).st_ino == os.stat("/").st_ino
    return False


def has_ended(end: socket.socket, wait_s: float = PATIENCE_S) -> bool:
    """Whether the peer's FIN arrives."""
    return bool(select.select([end], [], [], wait_s)[0]) and end.recv(1) == b""


# --- one lease -------------------------------------------------------------------------------------------------------


def test_the_first_call_meets_the_socket(world: World, other: Puppet, caller: Caller) -> None:
    leased = world.take(caller, socket_of(other))
    assert world.adopted == [(leased.slot, TCP, leased.cookie)]
    assert world.met == [leased]
    assert (leased.kind, leased.process, leased.met_at, leased.users) == (TCP, caller.process, 100.0, 1)
    assert cookie_at(leased.slot) == leased.cookie
    assert not os.get_inheritable(leased.slot)


def test_the_slot_is_the_programs_own_file(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    leased = world.take(caller, number)
    os.set_blocking(leased.slot, False)
    assert other.run(f"os.get_blocking({number})") is False


def test_after_the_call_nothing_is_left_on_the_slot(world: World, other: Puppet, caller: Caller) -> None:
    leased = world.take(caller, socket_of(other))
    world.leases.give_back(leased)
    assert leased.users == 0
    assert is_empty(leased.slot)


def test_the_next_call_finds_the_same_socket_on_the_same_slot(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    first = world.take(caller, number)
    world.leases.give_back(first)
    with nothing_leaks():
        assert world.take(caller, number) is first
        assert cookie_at(first.slot) == first.cookie
        world.leases.give_back(first)
    assert len(world.met) == len(world.adopted) == 1


def test_leases_of_one_socket_are_counted(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    first = world.take(caller, number)
    with nothing_leaks():
        assert world.take(caller, number) is first
    assert first.users == 2
    world.leases.give_back(first)
    assert cookie_at(first.slot) == first.cookie
    world.leases.give_back(first)
    assert is_empty(first.slot)


def test_a_socket_is_itself_however_it_is_reached(world: World, other: Puppet, caller: Caller) -> None:
    """Duplicated, in a forked child, and passed on to a stranger."""
    number = socket_of(other)
    first = world.take(caller, number)
    assert world.take(caller, other.run(f"os.dup2({number}, 200)")) is first
    child = other.run("os.fork() or signal.pause()")
    pidfd = os.pidfd_open(child)
    assert world.take(Caller(child, Process(child), pidfd), 200) is first
    os.close(pidfd)
    other.run(f"(os.kill({child}, 9), os.waitpid({child}, 0))")
    other.run("pair = socket.socketpair()")
    other.run(f"socket.send_fds(pair[0], [b'!'], [{number}])")
    passed_on = other.run("socket.recv_fds(pair[1], 1, 1)[1][0]")
    assert world.take(caller, passed_on) is first
    assert first.users == 4


def test_two_sockets_have_two_slots(world: World, other: Puppet, caller: Caller) -> None:
    first, second = (world.take(caller, socket_of(other)) for _ in range(2))
    assert first.slot != second.slot
    assert cookie_at(first.slot) != cookie_at(second.slot)
    assert set(world.leases.cookies()) == {first.cookie, second.cookie}
    assert list(world.leases) == [first, second]


def test_a_number_that_is_another_socket_by_now_is_that_one(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    first = world.take(caller, number)
    world.leases.give_back(first)
    other.run(f"os.dup2({socket_of(other)}, {number})")
    assert world.take(caller, number) is not first


# --- nothing is kept open --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasting", [True, False])
def test_the_peer_sees_the_end_when_the_program_closes(lasting: bool, other: Puppet, caller: Caller) -> None:
    world = World(lasting)
    with socket.create_server(("127.0.0.1", 0)) as server:
        number, end = connect_to(other, server)
        leased = world.take(caller, number)
        world.leases.give_back(leased)
        other.run("keep.pop().close()")
        assert has_ended(end)
        end.close()
    world.close()


def test_a_lease_keeps_it_open_no_longer_than_the_call(world: World, other: Puppet, caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number, end = connect_to(other, server)
        leased = world.take(caller, number)
        world.take(caller, number)
        other.run("keep.pop().close()")
        world.leases.give_back(leased)
        assert not has_ended(end, 0)
        world.leases.give_back(leased)
        assert has_ended(end)
        end.close()


def test_a_listeners_port_is_free_when_the_program_closes_it(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    other.run("(keep[-1].bind(('127.0.0.1', 0)), keep[-1].listen())")
    world.leases.give_back(world.take(caller, number))
    address = other.run("keep[-1].getsockname()")
    with socket.socket() as taken:
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            taken.bind(address)
        other.run("keep.pop().close()")
        taken.bind(address)


# --- what is not leased ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "number"),
    [("999", errno.EBADF), ("os.pipe()[0]", errno.ENOTSOCK), ("os.open('/', os.O_RDONLY)", errno.ENOTSOCK)],
)
def test_what_is_no_socket_fails_as_the_kernel_has_it(
    world: World, other: Puppet, caller: Caller, source: str, number: int
) -> None:
    theirs = other.run(source)
    with nothing_leaks(), pytest.raises(OSError, match=os.strerror(number)):
        world.leases.take(caller, theirs)
    assert list(world.leases) == []


def test_a_caller_that_is_gone_is_out_of_reach(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    other.kill()
    with nothing_leaks(), pytest.raises(ProcessLookupError):
        world.leases.take(caller, number)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_socket_that_no_chain_is_for_is_told_by_its_kind(lasting: bool, other: Puppet, caller: Caller) -> None:
    world = World(lasting)
    world.on_adopt = lambda handle, kind, cookie: None
    number = socket_of(other, "socket.AF_UNIX, socket.SOCK_DGRAM")
    with nothing_leaks():
        stranger, again = world.leases.take(caller, number), world.leases.take(caller, number)
    assert isinstance(stranger, Stranger)
    assert stranger.kind == Kind(socket.AF_UNIX, socket.SOCK_DGRAM, 0)
    assert stranger == again  # by its cookie
    assert world.met == []
    world.close()


@pytest.mark.parametrize("lasting", [True, False])
def test_a_socket_that_a_layer_does_not_adopt_is_not_known(lasting: bool, other: Puppet, caller: Caller) -> None:
    world = World(lasting)

    def refuse(handle: int, kind: Kind, cookie: int) -> Record:
        raise OSError(errno.EACCES, "no")

    world.on_adopt = refuse
    number = socket_of(other)
    with nothing_leaks(), pytest.raises(PermissionError):
        world.leases.take(caller, number)
    assert list(world.leases) == world.met == []
    world.on_adopt = world.record
    world.leases.give_back(world.take(caller, number))
    world.close()


# --- a chain that remembers nothing ----------------------------------------------------------------------------------


def test_nothing_is_kept_for_a_chain_that_remembers_nothing(passing: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    with nothing_leaks():
        leased = passing.take(caller, number)
        assert cookie_at(leased.slot) == leased.cookie
        passing.leases.give_back(leased)
    assert passing.released == []  # nothing was associated with it
    assert list(passing.leases) == []
    assert passing.leases.find(leased.cookie) is None


def test_then_each_lease_is_one_of_its_own(passing: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    first, second = passing.take(caller, number), passing.take(caller, number)
    assert first.slot != second.slot
    passing.leases.give_back(first)
    assert cookie_at(second.slot) == second.cookie
    passing.leases.give_back(second)


def test_then_a_socket_is_told_of_once_all_the_same(passing: World, other: Puppet, caller: Caller) -> None:
    numbers = [socket_of(other), socket_of(other)]
    for number in numbers * 3:
        passing.leases.give_back(passing.take(caller, number))
    assert len(passing.adopted) == 6
    assert len(passing.met) == 2


def test_the_memory_of_who_was_told_of_is_bounded(
    passing: World, other: Puppet, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_of(number: int) -> bool:
        before = len(passing.met)
        passing.leases.give_back(passing.take(caller, number))
        return len(passing.met) > before

    monkeypatch.setattr(module, "MOST_REMEMBERED", 2)
    first, *others = [socket_of(other) for _ in range(5)]
    assert told_of(first)
    assert all(told_of(number) for number in others[:2])
    assert not told_of(first)
    assert all(told_of(number) for number in others[2:])
    assert not told_of(others[3])
    assert told_of(first)
    assert len(passing.leases._lately) + len(passing.leases._before) <= 2 * module.MOST_REMEMBERED


# --- sockets of the chain's own --------------------------------------------------------------------------------------


def test_a_socket_that_the_chain_made_is_leased_until_it_is_delivered(world: World) -> None:
    process = Process(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        handle = server.accept()[0].detach()
        kept = world.leases.keep(handle, world.record(handle, TCP, 0), process)
        assert (kept.slot, kept.users, kept.kind, kept.process) == (handle, 1, TCP, process)
        assert world.met == [kept]
        assert world.leases.find(kept.cookie) is world.leases.at(handle) is kept
        assert not has_ended(client, 0)
        world.leases.give_back(kept)
        assert is_empty(handle)
        assert has_ended(client)


def test_what_was_forgotten_is_met_anew(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    first = world.take(caller, number)
    world.leases.give_back(first)
    assert world.leases.forget(first.cookie) is first
    assert world.leases.forget(first.cookie) is None
    assert world.leases.find(first.cookie) is world.leases.at(first.slot) is None
    assert world.take(caller, number) is not first
    world.leases.close(first)


def test_closing_frees_the_slot_and_the_connections_that_nobody_got(
    world: World, other: Puppet, caller: Caller
) -> None:
    number = socket_of(other)
    with nothing_leaks():
        leased = world.take(caller, number)
        listening = world.leases.listening(leased)
        assert world.leases.listening(leased) is listening
        ours, theirs = socket.socketpair()
        listening.kept.append((theirs.detach(), None))
        world.leases.give_back(leased)
        world.leases.forget(leased.cookie)
        world.leases.close(leased)
        world.leases.close_spent()
        assert has_ended(ours)
        ours.close()


def test_many_closed_sockets_do_not_wait_for_the_next_look(
    world: World, other: Puppet, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_SPENT", 4)
    numbers = [socket_of(other) for _ in range(4)]
    with nothing_leaks():
        for number in numbers:
            leased = world.take(caller, number)
            world.leases.give_back(leased)
            world.leases.forget(leased.cookie)
            world.leases.close(leased)


# --- several threads -------------------------------------------------------------------------------------------------


def together(*works: Callable[[], object]) -> None:
    """Run them at once; what one raises fails the test."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait(PATIENCE_S)
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_many_threads_share_one_slot(world: World, other: Puppet, caller: Caller) -> None:
    number = socket_of(other)
    first = world.take(caller, number)
    world.leases.give_back(first)

    def use() -> None:
        for _ in range(200):
            leased = world.take(caller, number)
            assert leased is first
            assert cookie_at(leased.slot) == first.cookie
            world.leases.give_back(leased)

    with nothing_leaks():
        together(use, use, use, use)
    assert first.users == 0
    assert is_empty(first.slot)


def test_two_threads_that_meet_a_socket_at_once_meet_one(world: World, other: Puppet, caller: Caller) -> None:
    found: list[Socket] = []
    for _ in range(20):
        number = socket_of(other)
        found.clear()
        together(*[partial(lambda number: found.append(world.take(caller, number)), number)] * 4)
        assert len(set(found)) == 1
        assert found[0].users == 4
    assert len(world.met) == 20


def test_a_slow_layer_that_adopts_delays_no_other_socket(world: World, other: Puppet, caller: Caller) -> None:
    slow, quick = socket_of(other), socket_of(other)
    known = world.take(caller, quick)
    world.leases.give_back(known)
    adopting, may_go_on = threading.Event(), threading.Event()

    def adopt(handle: int, kind: Kind, cookie: int) -> Record:
        adopting.set()
        assert may_go_on.wait(PATIENCE_S)
        return world.record(handle, kind, cookie)

    world.on_adopt = adopt
    meeting = threading.Thread(target=world.take, args=(caller, slow), daemon=True)
    meeting.start()
    assert adopting.wait(PATIENCE_S)
    using = threading.Thread(target=lambda: world.leases.give_back(world.take(caller, quick)), daemon=True)
    using.start()
    using.join(2.0)
    in_time = not using.is_alive()
    may_go_on.set()
    meeting.join()
    using.join()
    assert in_time


# --- options ---------------------------------------------------------------------------------------------------------


def test_options_are_read_without_a_socket_object(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as plain:
        read = world.leases.options.read
        assert (read(server.fileno(), module.SO_ACCEPTCONN), read(plain.fileno(), module.SO_ACCEPTCONN)) == (1, 0)
        assert read(plain.fileno(), SO_COOKIE, size=8) == cookie_at(plain.fileno())
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1000)
        assert read(plain.fileno(), socket.TCP_MAXSEG, socket.IPPROTO_TCP) == 1000
        values: list[int] = []
        together(lambda: values.append(read(server.fileno(), module.SO_ACCEPTCONN)))
        assert values == [1]


def test_reading_an_option_of_no_socket(world: World) -> None:
    with open(os.devnull) as file, pytest.raises(OSError, match=os.strerror(errno.ENOTSOCK)):
        world.leases.options.read(file.fileno(), SO_COOKIE)


def test_the_time_limits_of_a_socket(world: World) -> None:
    options = world.leases.options
    with socket.socket() as held:
        assert options.receive_timeout(held.fileno()) == options.send_timeout(held.fileno()) == 0
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 3, 500_000))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("qq", 0, 20_000))
        assert options.receive_timeout(held.fileno()) == 3.5
        assert options.send_timeout(held.fileno()) == pytest.approx(0.02, abs=0.005)


def test_the_error_of_a_leased_socket_is_left_to_the_program(world: World, other: Puppet, caller: Caller) -> None:
    """Reading SO_ERROR would clear it."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = nobody.getsockname()
    number = socket_of(other)
    other.run("keep[-1].setblocking(False)")
    assert other.run(f"keep[-1].connect_ex({address!r})") == errno.EINPROGRESS
    other.run("import select; select.select([], [keep[-1]], [])")
    leased = world.take(caller, number)
    world.leases.kind_of(leased.slot)
    world.leases.give_back(leased)
    world.leases.give_back(world.take(caller, number))
    assert other.run("keep[-1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)") == errno.ECONNREFUSED
