"""The listener's doors, over a puppet whose calls are trapped."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

import pytest

from tests.puppet import Puppet, puppet
from winsock.host import numbers
from winsock.supervisor.notify import Listener, Notification

MACHINE = numbers.machine()


class World:
    """A puppet and its listener."""

    def __init__(self, process: Puppet) -> None:
        self.process = process
        self.listener = Listener(process.listener)

    def arrive(self, source: str = "call('getpeername', 1, 2, 3)") -> Notification:
        """The puppet does something that is trapped."""
        self.process.start(source)
        notification = self.listener.receive()
        assert notification is not None
        return notification

    def give(self, descriptor: int, close_on_exec: bool = True) -> int:
        """Answer a call with a descriptor; the number that the puppet sees."""
        call = self.arrive()
        told = self.listener.inject(call.id, descriptor, close_on_exec)
        seen: int = self.process.result()
        assert told == seen
        return seen


@pytest.fixture
def world() -> Iterator[World]:
    with puppet("getpeername") as process:
        yield World(process)


def test_a_call_is_told_with_everything_that_belongs_to_it(world: World) -> None:
    call = world.arrive("call('getpeername', 1, 2, 3, 4, 5, 6)")
    assert call[1:] == (world.process.pid, MACHINE.calls["getpeername"], MACHINE.arch, (1, 2, 3, 4, 5, 6))
    assert world.listener.answer(call.id, 0)


def test_the_thread_is_told_and_not_its_process(world: World) -> None:
    thread = world.process.run("threads.start('one', 'call(\\'getpeername\\', 1)')")
    call = world.listener.receive()
    assert call is not None
    assert call.thread == thread != world.process.pid
    world.listener.fail(call.id, errno.ENOTCONN)
    assert world.process.run("threads.end('one')") == -errno.ENOTCONN


def test_the_answers(world: World) -> None:
    call = world.arrive()
    assert world.listener.answer(call.id, 42)
    assert world.process.result() == 42
    for given in (errno.ECONNREFUSED, -errno.ECONNREFUSED):
        call = world.arrive()
        assert world.listener.fail(call.id, given)
        assert world.process.result() == -errno.ECONNREFUSED
    call = world.arrive("call('getpeername', 999, 0, 0)")
    assert world.listener.proceed(call.id)
    assert world.process.result() == -errno.EBADF


def test_to_be_restarted_without_a_signal_is_seen_by_the_program(world: World) -> None:
    """So it must not be answered to a thread that nothing waits for."""
    call = world.arrive()
    assert world.listener.restart(call.id)
    assert world.process.result() == -numbers.ERESTARTSYS


def test_an_answer_that_comes_too_late_is_no_error(world: World) -> None:
    call = world.arrive()
    assert world.listener.valid(call.id)
    world.process.kill()
    assert not world.listener.valid(call.id)
    assert not world.listener.answer(call.id, 0)
    assert not world.listener.fail(call.id, errno.EIO)
    assert not world.listener.proceed(call.id)
    assert not world.listener.restart(call.id)
    assert world.listener.receive() is None


def test_a_descriptor_becomes_the_answer(world: World) -> None:
    reader, writer = os.pipe()
    number = world.give(reader)
    os.write(writer, b"from here")
    assert world.process.run(f"os.read({number}, 64)") == b"from here"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("close_on_exec", [True, False])
def test_whether_it_stays_open_over_exec(world: World, close_on_exec: bool) -> None:
    with socket.socket() as ours:
        number = world.give(ours.fileno(), close_on_exec)
        assert world.process.run(f"os.get_inheritable({number})") is not close_on_exec


def test_a_program_without_a_number_left_is_told_so(world: World) -> None:
    world.process.run("resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))")
    call = world.arrive()
    with open(os.devnull) as file, pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        world.listener.inject(call.id, file.fileno(), True)
    assert world.listener.fail(call.id, errno.EMFILE)
    assert world.process.result() == -errno.EMFILE


def test_nobody_is_there_to_be_given_anything(world: World) -> None:
    call = world.arrive()
    world.process.kill()
    with open(os.devnull) as file, pytest.raises(FileNotFoundError):
        world.listener.inject(call.id, file.fileno(), True)


def test_before_the_flag_of_6_6_it_goes_without() -> None:
    with open(os.devnull) as file:
        assert Listener(file.fileno()).descriptor == file.fileno()
