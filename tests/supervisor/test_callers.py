"""Who called: threads and processes of a puppet, met and ended."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.puppet import PATIENCE_S, Puppet, puppet
from tests.waiting import wait_until
from winsock import host
from winsock.supervisor import callers, kernel
from winsock.supervisor.callers import Callers, Process, cookies_held, descriptors_of

CLONE_FILES = 0x400
SO_COOKIE = 57


class World:
    """Callers, the poll that tells of ends, and what they told."""

    def __init__(self, by_thread: bool = True) -> None:
        self.poll = select.epoll()
        self.ended: list[int] = []
        self.callers = Callers(
            self.poll,
            lambda process: self.ended.append(process.id),
            by_thread,
        )

    def hear(self) -> None:
        """Handle the end of one thread or process."""
        events = self.poll.poll(PATIENCE_S, 1)
        assert events, "nobody has ended"
        assert self.callers.owns(events[0][0])
        self.callers.ended(events[0][0])

    def quiet(self) -> bool:
        return not self.poll.poll(0)

    def close(self) -> None:
        for caller in set(self.callers.known.values()):
            os.close(caller.descriptors)
        self.poll.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@pytest.fixture
def old_world() -> Iterator[World]:
    """As below Linux 6.9."""
    made = World(by_thread=False)
    yield made
    made.close()


def socket_of(process: Puppet) -> int:
    """A new socket; its number there."""
    number: int = process.run("(keep.append(socket.socket()), keep[-1].fileno())[1]")
    return number


def opens(world: World, thread: int, descriptor: int) -> bool:
    """Whether the caller's door leads to that socket."""
    try:
        taken, _ = host.take(world.callers.of(thread).descriptors, descriptor)
    except OSError:
        return False
    os.close(taken)
    return True


def test_a_process_is_met_once(world: World, other: Puppet) -> None:
    first = world.callers.of(other.pid)
    assert world.callers.of(other.pid) is first
    assert (first.thread, first.process.id) == (other.pid, other.pid)
    assert [process.id for process in world.callers.processes()] == [other.pid]
    assert world.callers.processes() == [first.process]
    assert opens(world, other.pid, socket_of(other))


def test_threads_belong_to_their_process(world: World, other: Puppet) -> None:
    thread = other.run("threads.start('one')")
    caller = world.callers.of(thread)
    assert caller.thread == thread != other.pid
    assert caller.process.id == other.pid
    assert world.callers.of(other.pid).process is caller.process
    assert [process.id for process in world.callers.processes()] == [other.pid]
    assert caller.process.threads == {thread, other.pid}


def test_the_end_of_a_thread_is_heard_and_is_not_that_of_its_process(world: World, other: Puppet) -> None:
    thread = other.run("threads.start('one')")
    pidfd = world.callers.of(thread).descriptors
    assert world.callers.owns(pidfd)
    other.run("threads.end('one')")
    world.hear()
    assert not world.callers.owns(pidfd)
    assert thread not in world.callers.known
    assert world.ended == []
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(pidfd)


def test_a_process_ends_with_its_last_thread(world: World, other: Puppet) -> None:
    thread = other.run("threads.start('one')")
    world.callers.of(thread)
    world.callers.of(other.pid)
    other.kill()
    world.hear()
    world.hear()
    assert world.ended == [other.pid]
    assert world.callers.processes() == []
    assert world.callers.known == {}
    assert world.quiet()


def test_a_process_that_only_waits_to_be_reaped_has_ended(world: World, other: Puppet) -> None:
    child = other.run("os.fork() or signal.pause()")
    world.callers.of(child)
    os.kill(child, 9)
    world.hear()
    assert world.ended == [child]
    other.run(f"os.waitpid({child}, 0)")


def test_who_is_gone_cannot_be_met(world: World, other: Puppet) -> None:
    other.kill()
    with pytest.raises(ProcessLookupError):
        world.callers.of(other.pid)
    assert world.callers.processes() == []


def test_an_end_that_was_handled_already_is_no_news(world: World, other: Puppet) -> None:
    pidfd = world.callers.of(other.pid).descriptors
    other.kill()
    world.hear()
    world.callers.ended(pidfd)
    assert world.ended == [other.pid]


def test_a_number_that_is_another_threads_by_now_is_met_anew(world: World, other: Puppet) -> None:
    """The kept door is stale, and says so by ESRCH: then the caller is asked for again."""
    number = socket_of(other)
    thread = other.run("threads.start('old')")
    stale = world.callers.of(thread)
    other.run("threads.end('old')")
    wait_until(lambda: not world.quiet(), "the thread has ended")
    with pytest.raises(ProcessLookupError):
        host.take(stale.descriptors, number)
    with puppet() as successor:
        theirs = socket_of(successor)
        world.callers.known[successor.pid] = world.callers.known.pop(thread)
        stale.thread = successor.pid
        met = world.callers.again(successor.pid)
        assert met is not stale
        assert met.process.id == successor.pid
        assert opens(world, successor.pid, theirs)
        assert {process.id for process in world.callers.processes()} == {other.pid, successor.pid}
        assert world.callers.of(successor.pid) is met


def test_a_thread_with_descriptors_of_its_own_is_looked_into_by_itself(world: World, other: Puppet) -> None:
    thread, number = thread_apart(other)
    assert opens(world, thread, number)
    assert not opens(world, other.pid, number)


def thread_apart(process: Puppet) -> tuple[int, int]:
    """A thread with a table of descriptors of its own, and in that table alone a socket."""
    source = (
        f"(ctypes.CDLL(None).unshare({CLONE_FILES}), keep.append(socket.socket()),"
        " os.dup2(keep[-1].fileno(), 300), ready.set())"
    )
    process.run("import threading; ready = threading.Event()")
    thread = process.run(f"threads.start('apart', {source!r})")
    process.run("ready.wait()")
    return thread, 300


# --- below Linux 6.9 --------------------------------------------------------------------------------------------------


def test_an_old_kernel_is_noticed(world: World, other: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    libc = kernel.libc()

    class Old:
        def call(self, name: str, *arguments: int) -> int:
            if name == "pidfd_open":
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            return libc.call(name, *arguments)

    monkeypatch.setattr(kernel, "libc", Old)
    thread = other.run("threads.start('one')")
    number = socket_of(other)
    assert opens(world, thread, number)
    assert opens(world, other.pid, number)


def test_without_pidfds_of_threads_the_leader_serves(old_world: World, other: Puppet) -> None:
    thread = other.run("threads.start('one')")
    number = socket_of(other)
    assert opens(old_world, thread, number)
    caller = old_world.callers.of(thread)
    assert (caller.thread, caller.process.id) == (thread, other.pid)
    assert [process.id for process in old_world.callers.processes()] == [other.pid]
    other.kill()
    old_world.hear()
    assert old_world.ended == [other.pid]


def test_then_a_thread_with_descriptors_of_its_own_is_out_of_reach(old_world: World, other: Puppet) -> None:
    thread, _ = thread_apart(other)
    with pytest.raises(PermissionError, match=r"6\.9"):
        old_world.callers.of(thread)


def test_then_a_thread_is_not_kept_since_nothing_tells_of_its_end(old_world: World, other: Puppet) -> None:
    """Its number may be another process's soon, whose sockets must not be looked for in this one."""
    thread = other.run("threads.start('one')")
    old_world.callers.of(thread)
    other.run("threads.end('one')")
    assert set(old_world.callers.known) == {other.pid}

    def is_gone() -> bool:
        try:
            old_world.callers.of(thread)
        except ProcessLookupError:
            return True
        return False

    wait_until(is_gone, "the thread is gone")


def test_then_a_stale_leader_is_met_anew(old_world: World, other: Puppet) -> None:
    thread = other.run("threads.start('one')")
    stale = old_world.callers.of(other.pid)
    old_world.poll.unregister(stale.descriptors)
    with puppet() as gone:
        pidfd = os.pidfd_open(gone.pid)
    os.dup2(pidfd, stale.descriptors)
    os.close(pidfd)
    old_world.poll.register(stale.descriptors)
    number = socket_of(other)
    assert not opens(old_world, thread, number)
    assert old_world.callers.again(thread).process.id == other.pid
    assert opens(old_world, thread, number)


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_name_is_looked_up_again_after_a_while(other: Puppet) -> None:
    process = Process(other.pid)
    other.run("open('/proc/self/comm', 'w').write('first')")
    assert process.name(100.0) == "first"
    other.run("open('/proc/self/comm', 'w').write('second')")
    assert process.name(100.05) == "first"
    assert process.name(100.2) == "second"
    other.kill()
    assert process.name(200.0) == "second"


def test_a_process_that_is_gone_has_no_name(other: Puppet) -> None:
    other.kill()
    assert Process(other.pid).name(0.0) == "?"


def test_a_name_that_another_thread_is_looking_up_is_looked_up_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    process, found = Process(os.getpid()), list[str]()

    def opening(path: str, *how: Any) -> Any:
        if not found:
            found.append("")
            found.append(process.name(0.0))  # as one who asks while the other waits for the file
        return open(path, *how)

    monkeypatch.setattr(callers, "open", opening, raising=False)
    assert [process.name(0.0)] == found[1:] != ["?"]


def test_the_numbers_of_a_socket_are_found_by_its_inode(other: Puppet) -> None:
    number = socket_of(other)
    second = other.run(f"os.dup({number})")
    inode = other.run(f"os.fstat({number}).st_ino")
    assert sorted(descriptors_of(other.pid, inode)) == sorted([number, second])
    assert descriptors_of(other.pid, inode + 1_000_000_007) == []
    other.kill()
    assert descriptors_of(other.pid, inode) == []


def test_the_sockets_that_a_process_holds() -> None:
    local, other = socket.socketpair()
    with socket.socket() as kept, local, other, open(os.devnull, "rb"):
        closed = socket.socket()
        cookies = [struct.unpack("=Q", s.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0] for s in (kept, local, closed)]
        closed.close()
        before = len(os.listdir("/proc/self/fd"))
        assert cookies_held([os.getpid(), 1 << 22]) >= set(cookies[:2])
        assert cookies[2] not in cookies_held([os.getpid()])
        assert len(os.listdir("/proc/self/fd")) <= before
