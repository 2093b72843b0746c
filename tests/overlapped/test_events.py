"""Event objects, watches and message queues, with real descriptors and threads."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.refusals import refused
from winsock.abi.constants import WSA_WAIT_EVENT_0, WSA_WAIT_TIMEOUT
from winsock.abi.errors import WSA_INVALID_HANDLE
from winsock.overlapped import events
from winsock.overlapped.messages import Message, MessageQueue
from winsock.overlapped.watches import READABLE


@pytest.fixture
def handles() -> Iterator[list[int]]:
    """Three events, closed at the end."""
    made = [events.create() for _ in range(3)]
    yield made
    for handle in made:
        events.close(handle)


def wait(handles: list[int], wait_all: bool = False, timeout_s: float | None = 0) -> int:
    return events.wait([events.find(handle) for handle in handles], wait_all, timeout_s)


def test_an_event_starts_unset_and_stays_set_until_reset(handles: list[int]) -> None:
    event = events.find(handles[0])
    assert wait(handles[:1]) == WSA_WAIT_TIMEOUT
    event.ring()
    assert wait(handles[:1]) == wait(handles[:1]) == WSA_WAIT_EVENT_0
    event.silence()
    assert wait(handles[:1]) == WSA_WAIT_TIMEOUT


def test_the_lowest_set_event_is_told(handles: list[int]) -> None:
    for handle in handles[1:]:
        events.find(handle).ring()
    assert wait(handles) == WSA_WAIT_EVENT_0 + 1


def test_all_are_waited_for(handles: list[int]) -> None:
    events.find(handles[0]).ring()
    assert wait(handles, wait_all=True) == WSA_WAIT_TIMEOUT
    for handle in handles:
        events.find(handle).ring()
    assert wait(handles, wait_all=True) == WSA_WAIT_EVENT_0


@pytest.mark.parametrize("wait_all", [False, True])
def test_a_waiting_thread_is_woken(handles: list[int], wait_all: bool) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(wait(handles, wait_all, 20)), daemon=True)
    thread.start()
    for handle in handles:
        events.find(handle).ring()
    thread.join()
    assert WSA_WAIT_EVENT_0 <= found[0] < WSA_WAIT_EVENT_0 + 3


def test_a_closed_event_is_none() -> None:
    handle = events.create()
    events.close(handle)
    with refused(WSA_INVALID_HANDLE):
        events.find(handle)
    with refused(WSA_INVALID_HANDLE):
        events.close(handle)


def test_a_watched_descriptor_sets_its_event_by_the_waiting_thread(handles: list[int]) -> None:
    event = events.find(handles[0])
    near, far = socket.socketpair()
    told: list[int] = []

    def source(news: int) -> None:
        told.append(news)
        event.ring()

    event.attach(near.fileno(), READABLE, source)
    far.send(b"x")
    assert wait(handles[:1], timeout_s=20) == WSA_WAIT_EVENT_0
    assert told == [READABLE]
    event.silence()
    assert wait(handles[:1]) == WSA_WAIT_TIMEOUT, "an edge is told once"
    event.detach(near.fileno())
    far.send(b"y")
    assert wait(handles[:1]) == WSA_WAIT_TIMEOUT
    near.close()
    far.close()


def test_a_child_of_a_fork_has_no_events() -> None:
    handle = events.create()
    child = os.fork()
    if child == 0:
        try:
            events.find(handle)
        except OSError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    events.find(handle).ring()
    assert wait([handle]) == WSA_WAIT_EVENT_0, "the parent's event goes on"
    events.close(handle)


def test_messages_come_in_order_and_then_none() -> None:
    queue = MessageQueue()
    queue.post(1024, 5, 1)
    queue.post(1024, 5, 10054 << 16 | 32)
    assert queue.get(0) == Message(1024, 5, 1)
    last = queue.get(0)
    assert last is not None
    assert (last.event, last.error) == (32, 10054)
    assert queue.get(0) is None
    queue.close()
