"""Calls that take long: a puppet in accept, held by a real listener, and what lets it go."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.puppet import PATIENCE_S, Puppet, puppet
from tests.supervisor.generations.running import state
from tests.supervisor.test_lease import World as LeaseWorld
from tests.supervisor.test_lease import is_empty
from tests.waiting import wait_until
from winsock.supervisor import crew
from winsock.supervisor.callers import Caller, Process
from winsock.supervisor.calls.call import Call, Row
from winsock.supervisor.held import HELD_FOR_LONG_S, Held
from winsock.supervisor.lease import Socket
from winsock.supervisor.notify import Listener

ROW = Row("accept4", "WSPAccept")
SIGNAL = signal.SIGUSR1


class Worker(crew.Worker[Call]):
    """Counts how often it is woken."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class Crew:
    """What is being performed."""

    def __init__(self, *performing: tuple[Worker, Call]) -> None:
        self._performing = list(performing)

    def performing(self) -> list[tuple[Worker, Call]]:
        return self._performing


class World:
    """A puppet that listens, and everything that holds its calls."""

    def __init__(self, process: Puppet) -> None:
        self.process = process
        self.listener = Listener(process.listener)
        self.lease_world = LeaseWorld()
        self.leases = self.lease_world.leases
        self.events = select.epoll()
        self.held = Held(self.listener, self.leases, self.events)
        self._pidfd = os.pidfd_open(process.pid)
        self.caller = Caller(process.pid, Process(process.pid), self._pidfd)
        process.run("keep.append(socket.create_server(('127.0.0.1', 0)))")
        self.number: int = process.run("keep[-1].fileno()")
        self.address: tuple[str, int] = process.run("keep[-1].getsockname()")

    def arrive(self) -> Call:
        """The next trapped call."""
        wait_until(lambda: select.select([self.listener.descriptor], [], [], 0)[0], "a call is trapped")
        notification = self.listener.receive()
        assert notification is not None
        return Call(notification.id, ROW, notification.thread, notification.arguments, time.monotonic())

    def accepting(self) -> Call:
        """The puppet calls accept."""
        self.process.start(f"call('accept4', {self.number}, 0, 0, 0)")
        return self.arrive()

    def lease(self) -> Socket:
        leased = self.leases.take(self.caller, self.number)
        assert isinstance(leased, Socket)
        return leased

    def hold(self, call: Call) -> Socket:
        """As the row of accept does, and the end of the lease after it."""
        leased = self.lease()
        self.held.wait(call, leased)
        call.socket = leased
        self.leases.give_back(leased)
        return leased

    def ready(self) -> list[int]:
        """What the poll set tells of within a moment, or in the time that a connection takes."""
        return [descriptor for descriptor, _ in self.events.poll(0)]

    def look(self, *performing: tuple[Worker, Call]) -> bool:
        working: Any = Crew(*performing)
        return self.held.look(working)

    def flag(self, thread: int) -> None:
        """Let a signal wait for a thread that is held."""
        os.kill(thread, SIGNAL)
        wait_until(lambda: state(thread) == "D", "the kernel has flagged the thread")

    def close(self) -> None:
        self.events.close()
        os.close(self._pidfd)
        self.lease_world.close()


@pytest.fixture
def world() -> Iterator[World]:
    with puppet("accept4") as process:
        process.run(f"signal.signal({SIGNAL:d}, lambda *_: keep.append('handled'))")
        made = World(process)
        yield made
        made.close()


# --- waiting for a connection --------------------------------------------------------------------------------------


def test_a_connection_makes_the_listener_ready_although_it_is_not_leased(world: World) -> None:
    call = world.accepting()
    leased = world.hold(call)
    assert is_empty(leased.slot)
    assert world.ready() == []
    with socket.create_connection(world.address):
        assert [descriptor for descriptor, _ in world.events.poll(PATIENCE_S)] == [leased.slot]
        assert world.leases.at(leased.slot) is leased
        assert world.held.next_of(leased) is call
        assert world.held.next_of(leased) is None


def test_it_is_told_once_for_each_time_it_is_watched(world: World) -> None:
    leased = world.hold(world.accepting())
    with socket.create_connection(world.address), socket.create_connection(world.address):
        assert world.events.poll(PATIENCE_S)
        assert world.ready() == []
        world.lease()
        world.held.watch(leased)
        world.leases.give_back(leased)
        assert world.ready() == [leased.slot]
        assert world.ready() == []


def test_the_end_of_the_listener_ends_its_place_in_the_poll_set(world: World) -> None:
    leased = world.hold(world.accepting())
    world.process.kill()
    assert world.ready() == []
    with socket.create_server(("127.0.0.1", 0)) as another:
        os.dup2(another.fileno(), leased.slot)  # the number is somebody else's
        world.held.watch(leased)
        with socket.create_connection(another.getsockname()):
            assert [descriptor for descriptor, _ in world.events.poll(PATIENCE_S)] == [leased.slot]


def test_callers_are_served_in_turn_and_who_is_gone_is_left_out(world: World) -> None:
    calls = []
    for _ in range(3):
        world.process.run(f"children = globals().get('children', []); children.append("
                          f"os.fork() or os._exit(call('accept4', {world.number}, 0, 0, 0) < 0))")  # fmt: skip
        calls.append(world.arrive())
        leased = world.hold(calls[-1])
    world.process.run("os.kill(children[1], 9), os.waitpid(children[1], 0)")
    assert [world.held.next_of(leased) for _ in range(3)] == [calls[0], calls[2], None]
    world.listener.answer(calls[0].id, 0)
    world.listener.answer(calls[2].id, 0)
    assert world.process.run("[os.waitpid(children[at], 0)[1] for at in (0, 2)]") == [0, 0]


def test_nobody_waits_for_a_socket_that_never_accepted(world: World) -> None:
    leased = world.lease()
    assert world.held.next_of(leased) is None


def test_a_listener_without_a_number_is_waited_for_unwatched(world: World) -> None:
    call, leased = world.accepting(), world.lease()
    world.held.wait_on(call, leased)
    with socket.create_connection(world.address):
        assert world.ready() == []
    assert world.look()
    assert world.held.next_of(leased) is call


def test_the_inode_is_kept_to_find_the_listener_by(world: World) -> None:
    leased = world.hold(world.accepting())
    assert f"socket:[{leased.inode}]" == os.readlink(f"/proc/{world.process.pid}/fd/{world.number}")


# --- letting go ----------------------------------------------------------------------------------------------------


def test_a_thread_that_nothing_calls_stays(world: World) -> None:
    call = world.accepting()
    leased = world.hold(call)
    for _ in range(3):
        assert world.look()
    assert world.listener.valid(call.id)
    assert world.held.next_of(leased) is call
    assert not world.look()


@pytest.mark.parametrize("restarts", [True, False], ids=["SA_RESTART", "without"])
def test_a_signal_lets_it_go_to_its_handler_and_back(world: World, restarts: bool) -> None:
    world.process.run(f"signal.siginterrupt({SIGNAL:d}, {not restarts})")
    call = world.accepting()
    leased = world.hold(call)
    world.flag(call.thread)
    world.look()
    if restarts:
        again = world.arrive()
        assert again.id != call.id
        world.listener.fail(again.id, errno.EMFILE)
    assert world.process.result() == (-errno.EMFILE if restarts else -errno.EINTR)
    assert world.process.run("keep[-1]") == "handled"
    assert not world.look()
    assert world.held.next_of(leased) is None


def test_where_the_socket_has_a_time_limit_a_signal_is_always_an_interruption(world: World) -> None:
    world.process.run(f"signal.siginterrupt({SIGNAL:d}, False)")
    call = world.accepting()
    call.deadline = call.started + 1000
    world.hold(call)
    world.flag(call.thread)
    world.look()
    assert world.process.result() == -errno.EINTR


def test_a_time_limit_runs_out(world: World) -> None:
    call = world.accepting()
    assert not world.held.overdue(call)
    call.deadline = call.started + 1000
    assert not world.held.overdue(call)
    leased = world.hold(call)
    assert world.look()
    call.deadline = call.started
    assert world.held.overdue(call)
    world.look()
    assert world.process.result() == -errno.EAGAIN
    assert world.held.next_of(leased) is None


def test_who_is_gone_is_not_held_any_more(world: World) -> None:
    call = world.accepting()
    leased = world.hold(call)
    world.process.kill()
    world.look()
    assert not world.look()
    assert world.held.next_of(leased) is None


def test_what_the_leader_has_taken_in_this_moment_is_left_to_it(world: World) -> None:
    call = world.accepting()
    leased = world.hold(call)
    world.leases.listening(leased).waiting.clear()
    world.flag(call.thread)
    world.look()
    assert world.listener.valid(call.id)
    assert not world.look()


# --- what is being performed ---------------------------------------------------------------------------------------


def test_a_call_that_began_just_now_is_no_matter(world: World) -> None:
    call, worker = world.accepting(), Worker()
    world.flag(call.thread)
    call.started = time.monotonic() + 1000
    assert not world.look((worker, call))
    assert (worker.woken, call.abandoned) == (0, False)


def test_a_call_that_takes_long_is_watched(world: World) -> None:
    call, worker = world.accepting(), Worker()
    call.started -= HELD_FOR_LONG_S
    assert world.look((worker, call))
    assert (worker.woken, call.abandoned) == (0, False)


@pytest.mark.parametrize("why", ["signal", "gone"])
def test_its_worker_is_woken_until_it_gives_up(world: World, why: str) -> None:
    call, worker = world.accepting(), Worker()
    call.started -= HELD_FOR_LONG_S
    if why == "signal":
        world.flag(call.thread)
    else:
        world.process.kill()
    assert world.look((worker, call))
    assert (worker.woken, call.abandoned) == (1, True)
    assert world.look((worker, call))
    assert worker.woken == 2


def test_a_worker_that_puts_a_descriptor_into_the_program_is_not_disturbed(world: World) -> None:
    call, worker = world.accepting(), Worker()
    call.started -= HELD_FOR_LONG_S
    world.flag(call.thread)
    with worker.undisturbed:
        assert world.look((worker, call))
    assert (worker.woken, call.abandoned) == (0, False)
    assert world.look((worker, call))
    assert (worker.woken, call.abandoned) == (1, True)
