"""Calls that are queued to a thread, and run while it waits alertably."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.refusals import refused
from winsock.abi import structures
from winsock.abi.constants import WSA_WAIT_EVENT_0, WSA_WAIT_IO_COMPLETION, WSA_WAIT_TIMEOUT
from winsock.abi.errors import WSAEFAULT
from winsock.overlapped import apcs, events
from winsock.overlapped.events import Event
from winsock.overlapped.simulation import Simulation
from winsock.spi.upcalls import WSATHREADID

LONG_S = 20.0


@pytest.fixture
def event() -> Iterator[Event]:
    handle = events.create()
    yield events.find(handle)
    events.close(handle)


@pytest.fixture
def thread_id() -> Iterator[WSATHREADID]:
    opened = apcs.open_this_thread()
    yield opened
    apcs.close(opened)


def wait(*waited: Event, wait_all: bool = False, timeout_s: float | None = LONG_S) -> int:
    return events.wait(waited, wait_all, timeout_s, apcs.of_this_thread())


def in_a_thread(body: Callable[[], object]) -> None:
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(LONG_S)
    assert not thread.is_alive()


def test_what_is_queued_runs_in_order_in_the_thread_that_waits(thread_id: WSATHREADID, event: Event) -> None:
    """OVL-021, OVL-024, EVT-056: in the target thread, whoever queued it; with what was given."""
    ran: list[object] = []

    def note(context: object) -> None:
        ran.append((context, threading.get_ident()))

    for context in range(3):
        in_a_thread(partial(apcs.find(thread_id).post, note, context))
    assert ran == []
    assert wait(event) == WSA_WAIT_IO_COMPLETION
    assert ran == [(context, threading.get_ident()) for context in range(3)]
    assert wait(event, timeout_s=0) == WSA_WAIT_TIMEOUT  # each runs once


@pytest.mark.parametrize("wait_all", [False, True])
def test_a_thread_that_waits_is_woken(event: Event, wait_all: bool) -> None:
    ids: list[WSATHREADID] = []
    opened = threading.Event()
    found: list[int] = []
    other = Event()

    def body() -> None:
        ids.append(apcs.open_this_thread())
        opened.set()
        found.append(wait(event, other, wait_all=wait_all))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    assert opened.wait(LONG_S)
    ran: list[object] = []
    apcs.find(ids[0]).post(ran.append, "context")
    thread.join(LONG_S)
    assert (found, ran) == ([WSA_WAIT_IO_COMPLETION], ["context"])
    apcs.close(ids[0])
    other.close()


def test_a_wait_that_is_not_alertable_runs_nothing(thread_id: WSATHREADID, event: Event) -> None:
    """OVL-012, OVL-043."""
    ran: list[object] = []
    apcs.find(thread_id).post(ran.append, 1)
    assert events.wait([event], False, 0) == WSA_WAIT_TIMEOUT
    assert ran == []
    assert wait(event, timeout_s=0) == WSA_WAIT_IO_COMPLETION
    assert ran == [1]


def test_an_event_that_is_signalled_comes_first(thread_id: WSATHREADID, event: Event) -> None:
    """What ends a wait by WSA_WAIT_IO_COMPLETION has not signalled what was waited for."""
    ran: list[object] = []
    apcs.find(thread_id).post(ran.append, 1)
    event.ring()
    assert wait(event) == WSA_WAIT_EVENT_0
    assert ran == []
    event.silence()
    assert wait(event) == WSA_WAIT_IO_COMPLETION


def test_what_a_call_queues_runs_too(thread_id: WSATHREADID, event: Event) -> None:
    ran: list[object] = []
    queue = apcs.find(thread_id)

    def first(context: object) -> None:
        ran.append(context)
        queue.post(ran.append, 2)

    queue.post(first, 1)
    assert wait(event) == WSA_WAIT_IO_COMPLETION
    assert ran == [1, 2]


def test_a_call_may_wait_alertably_itself(thread_id: WSATHREADID, event: Event) -> None:
    ran: list[object] = []
    queue = apcs.find(thread_id)
    queue.post(lambda _: ran.append(wait(event)), None)
    queue.post(ran.append, "inner")
    assert wait(event) == WSA_WAIT_IO_COMPLETION
    assert ran == ["inner", WSA_WAIT_IO_COMPLETION]


def test_one_that_raises_leaves_the_others_queued(thread_id: WSATHREADID, event: Event) -> None:
    ran: list[object] = []
    queue = apcs.find(thread_id)
    queue.post(lambda _: [][0], None)
    queue.post(ran.append, 1)
    with pytest.raises(IndexError):
        wait(event)
    assert wait(event) == WSA_WAIT_IO_COMPLETION
    assert ran == [1]


def test_ids_are_values_and_open_until_they_are_closed() -> None:
    """OVL-010, OVL-040."""
    one, other = apcs.open_this_thread(), apcs.open_this_thread()
    assert one != other
    apcs.close(WSATHREADID(*one))
    with refused(WSAEFAULT):
        apcs.find(one)
    with refused(WSAEFAULT):
        apcs.close(one)
    in_c = structures.WSATHREADID(other.ThreadHandle, other.Reserved)
    assert apcs.find(in_c) is apcs.find(other) is apcs.of_this_thread()
    in_a_thread(lambda: apcs.close(ctypes.pointer(in_c).contents))
    with refused(WSAEFAULT):
        apcs.find(other)


@pytest.mark.parametrize("wrong", [None, 1, "thread", WSATHREADID(0), WSATHREADID(1 << 40)])
def test_what_is_no_thread(wrong: object) -> None:
    """OVL-039."""
    with refused(WSAEFAULT):
        apcs.find(wrong)
    with refused(WSAEFAULT):
        apcs.close(wrong)


def test_the_id_of_overlapped_calls_is_the_threads_own_until_it_ends() -> None:
    ids: list[WSATHREADID] = []
    queues: list[weakref.ref[apcs.ApcQueue]] = []

    def body() -> None:
        ids.extend((apcs.id_of_this_thread(), apcs.id_of_this_thread(), apcs.open_this_thread()))
        queues.append(weakref.ref(apcs.find(ids[0])))
        queue = apcs.of_this_thread()
        assert queue is not None
        assert queue.bell.descriptor >= 0

    in_a_thread(body)
    assert ids[0] == ids[1] != ids[2]
    for thread_id in ids:
        with refused(WSAEFAULT):
            apcs.find(thread_id)  # it has ended, though one id was not closed
    apcs.close(ids[2])
    gc.collect()
    assert queues[0]() is None
    assert apcs.id_of_this_thread() not in ids


def test_a_thread_without_ids_waits_as_ever(event: Event) -> None:
    found: list[object] = []
    in_a_thread(lambda: found.extend((apcs.of_this_thread(), wait(event, timeout_s=0))))
    assert found == [None, WSA_WAIT_TIMEOUT]


def test_in_a_child_nothing_is_queued(thread_id: WSATHREADID, event: Event) -> None:
    """The parent's calls are the parent's; the thread goes on under its id."""
    ran: list[object] = []
    queue = apcs.find(thread_id)
    assert wait(event, timeout_s=0.001) == WSA_WAIT_TIMEOUT  # it has a bell
    queue.post(ran.append, "parent")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            handle = events.create()
            mine = events.find(handle)
            assert wait(mine, timeout_s=0) == WSA_WAIT_TIMEOUT
            in_a_thread(lambda: apcs.find(thread_id).post(ran.append, "child"))
            assert wait(mine) == WSA_WAIT_IO_COMPLETION
            assert ran == ["child"]
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert wait(event) == WSA_WAIT_IO_COMPLETION
    assert ran == ["parent"]


class TestSimulated:
    """Waits on simulated time."""

    @pytest.fixture
    def simulated(self, event: Event) -> Simulation:
        simulation = Simulation()
        event.simulate(simulation)
        return simulation

    def test_what_is_queued_before(self, thread_id: WSATHREADID, event: Event, simulated: Simulation) -> None:
        ran: list[object] = []
        apcs.find(thread_id).post(ran.append, 1)
        assert wait(event) == WSA_WAIT_IO_COMPLETION
        assert ran == [1]
        assert wait(event, timeout_s=5) == WSA_WAIT_TIMEOUT
        assert simulated.clock.time >= 5

    def test_what_another_thread_queues_meanwhile(self, event: Event, simulated: Simulation) -> None:
        ran: list[object] = []
        ids: list[WSATHREADID] = []

        def waiter() -> None:
            ids.append(apcs.open_this_thread())
            ran.append(wait(event, timeout_s=None))
            apcs.close(ids[0])

        def poster() -> None:
            simulated.sleep(3)
            apcs.find(ids[0]).post(lambda context: ran.append((context, simulated.clock.time)), "context")
            simulated.sleep(1)

        simulated.spawn(waiter, "waiter")
        simulated.spawn(poster, "poster")
        simulated.join()
        assert ran == [("context", 3.0), WSA_WAIT_IO_COMPLETION]

    def test_a_signalled_event_comes_first(self, thread_id: WSATHREADID, event: Event, simulated: Simulation) -> None:
        apcs.find(thread_id).post(print, 1)
        event.ring()
        assert wait(event) == wait(event, wait_all=True) == WSA_WAIT_EVENT_0
        event.silence()
        assert wait(event) == WSA_WAIT_IO_COMPLETION
