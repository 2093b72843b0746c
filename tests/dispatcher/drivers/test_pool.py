"""Threads for connections: one each, kept, and honest about running out."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from tests.waiting import wait_until
from winsock.abi.errors import WSAENOBUFS, WinsockError
from winsock.dispatcher.drivers.pool import Pool

TIMEOUT_S = 20.0


class Task:
    """Waits until it is let go, and remembers its thread."""

    def __init__(self) -> None:
        self.begun, self.go, self.done = threading.Event(), threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    def __call__(self) -> None:
        self.thread = threading.current_thread()
        self.begun.set()
        self.go.wait(TIMEOUT_S)
        self.done.set()

    def finish(self) -> None:
        self.go.set()
        assert self.done.wait(TIMEOUT_S)


def started(pool: Pool) -> Task:
    task = Task()
    pool.perform(task)
    assert task.begun.wait(TIMEOUT_S)
    return task


def test_tasks_run_beside_each_other() -> None:
    pool = Pool()
    first, second = started(pool), started(pool)
    assert first.thread is not second.thread
    first.finish()
    second.finish()


def test_an_idle_thread_is_used_again() -> None:
    pool = Pool()
    first = started(pool)
    first.finish()
    wait_until(lambda: pool.idle == 1, "the thread is idle")
    second = started(pool)
    second.finish()
    assert second.thread is first.thread


def test_only_some_threads_are_kept() -> None:
    pool = Pool(kept=1)
    tasks = [started(pool) for _ in range(3)]
    for task in tasks:
        task.finish()
    wait_until(
        lambda: sum(task.thread is not None and task.thread.is_alive() for task in tasks) == 1, "the others have ended"
    )
    assert pool.idle == 1


def test_no_thread_to_be_had_is_an_error_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    before = threading.stack_size()
    with pytest.raises(WinsockError) as raised:
        Pool().perform(lambda: None)
    assert raised.value.winerror == WSAENOBUFS
    assert threading.stack_size() == before


def test_what_a_task_keeps_is_let_go_when_it_is_done() -> None:
    class Kept:
        pass

    pool = Pool()
    kept = Kept()
    watched = weakref.ref(kept)
    pool.perform(lambda held=kept: None)  # type: ignore[misc]
    del kept
    wait_until(lambda: pool.idle == 1, "the thread is idle")
    gc.collect()
    assert watched() is None
