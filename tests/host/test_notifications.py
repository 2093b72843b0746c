"""receive, answer and valid: the listener of a filter, over a process whose calls are trapped."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.host.conftest import Twin
from tests.puppet import PATIENCE_S, Puppet, puppet
from winsock.host import numbers, pure

NUMBER = numbers.machine().calls["getpeername"]
CONTINUE = numbers.NOTIF_FLAG_CONTINUE
CALL = "call('getpeername', 77, 1 << 63, (1 << 64) - 1, 3, 4, 5)"


@pytest.fixture
def held() -> Iterator[Puppet]:
    with puppet("getpeername") as process:
        yield process


def trapped(host: Twin, listener: int, events: int = -1) -> tuple[int, int, int, int, tuple[int, ...]]:
    """The next call; not an event, and not a caller that went away."""
    received = host.receive(listener, events)
    assert isinstance(received, tuple)
    return received


def wait_readable(descriptor: int) -> None:
    assert select.select([descriptor], [], [], PATIENCE_S)[0]


def test_a_call_is_received_with_its_caller_and_all_its_words(host: Twin, held: Puppet) -> None:
    held.start(CALL)
    id, thread, number, arch, arguments = trapped(host, held.listener)
    assert (thread, number, arch) == (held.pid, NUMBER, numbers.machine().arch)
    assert arguments == (77, 1 << 63, (1 << 64) - 1, 3, 4, 5)
    assert host.answer(held.listener, id, 0, 0, 0)
    assert held.result() == 0


@pytest.mark.parametrize(
    ("value", "error", "flags", "seen"),
    [
        (0, 0, 0, 0),
        (123456789012, 0, 0, 123456789012),
        (0, -errno.ECONNREFUSED, 0, -errno.ECONNREFUSED),
        (0, 0, CONTINUE, -errno.EBADF),
    ],
    ids=["zero", "value", "error", "go on"],
)
def test_the_caller_gets_the_answer(host: Twin, held: Puppet, value: int, error: int, flags: int, seen: int) -> None:
    held.start(CALL)
    id = trapped(host, held.listener)[0]
    assert host.answer(held.listener, id, value, error, flags)
    assert held.result() == seen


def test_a_second_answer_finds_nobody(host: Twin, held: Puppet) -> None:
    held.start(CALL)
    id = trapped(host, held.listener)[0]
    assert host.answer(held.listener, id, 0, 0, 0)
    held.result()
    assert not host.answer(held.listener, id, 0, 0, 0)


def test_an_answer_that_the_kernel_refuses_is_an_error(host: Twin, held: Puppet) -> None:
    held.start(CALL)
    id = trapped(host, held.listener)[0]
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)) as caught:
        host.answer(held.listener, id, 1, -errno.EIO, CONTINUE)
    assert caught.value.errno == errno.EINVAL
    host.answer(held.listener, id, 0, 0, 0)


def test_what_is_no_listener_is_an_error(host: Twin) -> None:
    with open(os.devnull) as file:
        with pytest.raises(OSError, match=os.strerror(errno.ENOTTY)):
            host.answer(file.fileno(), 1, 0, 0, 0)
        assert not host.valid(file.fileno(), 1)


def test_a_call_is_valid_until_it_is_answered(host: Twin, held: Puppet) -> None:
    held.start(CALL)
    id = trapped(host, held.listener)[0]
    assert host.valid(held.listener, id)
    assert not host.valid(held.listener, id + 1)
    host.answer(held.listener, id, 0, 0, 0)
    assert not host.valid(held.listener, id)


def test_a_call_is_valid_until_its_caller_is_gone(host: Twin, held: Puppet) -> None:
    held.start(CALL)
    id = trapped(host, held.listener)[0]
    held.kill()
    assert not host.valid(held.listener, id)
    assert not host.answer(held.listener, id, 0, 0, 0)


def test_an_event_is_told_apart_from_a_call(host: Twin, held: Puppet) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, b"!")
        assert host.receive(held.listener, reader) == pure.EVENT
        held.start(CALL)
        wait_readable(held.listener)
        id = trapped(host, held.listener, reader)[0]  # calls go first
        assert host.receive(held.listener, reader) == pure.EVENT
        host.answer(held.listener, id, 0, 0, 0)
        os.read(reader, 1)
        os.close(writer)
        assert host.receive(held.listener, reader) == pure.EVENT  # the end of a pipe is one
    finally:
        os.close(reader)


def test_the_end_of_the_last_process_hangs_up(host: Twin, held: Puppet) -> None:
    held.kill()
    reader, writer = os.pipe()
    try:
        assert host.receive(held.listener, -1) == pure.HUNG_UP
        assert host.receive(held.listener, reader) == pure.HUNG_UP
    finally:
        os.close(reader)
        os.close(writer)


def test_a_look_that_failed_is_no_end(host: Twin) -> None:
    """The kernel answers so where a signal comes while it looks; a pipe that nobody reads has the same to say."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert host.receive(writer, -1) == pure.NOTHING
    finally:
        os.close(writer)


CHILD = "child = os.fork() or (call('getpeername', 1), os._exit(0))"
KILL = "(os.kill(child, 9), os.waitpid(child, 0))"


def test_a_caller_that_is_gone_when_its_call_is_taken_leaves_nothing(
    held: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's twin looks and takes in two steps that can be parted."""
    original = select.poll

    class PollThenLose:
        def __init__(self) -> None:
            self._poll = original()
            self.register = self._poll.register

        def poll(self) -> list[tuple[int, int]]:
            ready = self._poll.poll()
            held.run(KILL)
            return ready

    held.run(CHILD)
    monkeypatch.setattr(select, "poll", PollThenLose)
    assert pure.receive(held.listener, -1) == pure.NOTHING


def test_callers_may_go_away_at_any_moment(host: Twin, held: Puppet) -> None:
    """Whatever the receiver finds, the next call is received."""
    received: list[object] = []
    for _ in range(10):
        held.run(CHILD)
        held.start(KILL)
        if select.select([held.listener], [], [], 0)[0]:
            reader, writer = os.pipe()
            os.write(writer, b"!")  # so that a call which is gone by now is not waited for
            received.append(host.receive(held.listener, reader))
            os.close(reader)
            os.close(writer)
        held.result()
    assert all(isinstance(one, tuple) or one in (pure.NOTHING, pure.EVENT) for one in received)
    held.start(CALL)
    id = trapped(host, held.listener)[0]
    host.answer(held.listener, id, 0, 0, 0)
    assert held.result() == 0


def test_waiting_lets_other_threads_run(host: Twin, held: Puppet) -> None:
    received: list[object] = []
    thread = threading.Thread(target=lambda: received.append(host.receive(held.listener, -1)), daemon=True)
    thread.start()
    held.start(CALL)
    thread.join(PATIENCE_S)
    assert isinstance(received[0], tuple)
    host.answer(held.listener, received[0][0], 0, 0, 0)


def test_a_signal_ends_the_wait_or_lets_it_go_on(host: Twin, held: Puppet) -> None:
    """The main thread must come to handle its signals, whatever it waits for."""
    handled: list[int] = []
    reader, writer = os.pipe()

    def handle(number: int, frame: object) -> None:
        handled.append(number)
        os.write(writer, b"!")

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        main = threading.main_thread().ident
        assert main is not None
        helper = threading.Thread(target=signal.pthread_kill, args=(main, signal.SIGUSR1), daemon=True)
        helper.start()
        received = pure.NOTHING
        while received == pure.NOTHING:
            received = host.receive(held.listener, reader)  # type: ignore[assignment]
        helper.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reader)
        os.close(writer)
    assert (received, handled) == (pure.EVENT, [signal.SIGUSR1])


def test_a_socket_that_is_ready_is_an_event(host: Twin, held: Puppet) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.send(b"!")
        assert host.receive(held.listener, ours.fileno()) == pure.EVENT
