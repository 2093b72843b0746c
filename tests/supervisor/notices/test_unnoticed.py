"""Sockets of whose end the kernel does not tell: looked for now and then, and closed when they were missed twice."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from winsock import host
from winsock.supervisor.notices.unnoticed import LOOK_EVERY_S, MANY_NEW, Unnoticed


class Watch:
    """What it is told, and what the processes have."""

    def __init__(self, network: int | None = None) -> None:
        self.now = 0.0
        self.held: set[int] = set()
        self.looks = 0
        self.closed: list[int] = []
        self.busy: set[int] = set()
        self.unnoticed = Unnoticed(network, self.find, self.close, lambda: self.now)

    def find(self) -> set[int]:
        self.looks += 1
        return set(self.held)

    def close(self, cookie: int) -> bool:
        if cookie not in self.busy:
            self.closed.append(cookie)
        return cookie not in self.busy

    def meet(self, *cookies: int) -> None:
        self.held.update(cookies)
        for cookie in cookies:
            self.unnoticed.meet(cookie, -1)


@pytest.fixture
def here() -> Iterator[tuple[int, int]]:
    """A socket of this network namespace, and the cookie of that."""
    with socket.socket() as one:
        yield one.fileno(), host.network(one.fileno())


def test_a_socket_is_closed_when_it_was_missed_twice() -> None:
    watch = Watch()
    watch.meet(1, 2)
    watch.held.remove(1)
    watch.unnoticed.look_now()
    assert watch.closed == []
    watch.unnoticed.look_now()
    assert watch.closed == [1]
    assert set(watch.unnoticed.cookies) == {2}
    watch.unnoticed.look_now()
    assert watch.closed == [1]


def test_one_that_turns_up_again_has_not_been_missed() -> None:
    watch = Watch()
    watch.meet(1)
    for held in (set(), {1}, set()):
        watch.held = held
        watch.unnoticed.look_now()
    assert watch.closed == []
    watch.unnoticed.look_now()
    assert watch.closed == [1]


def test_one_that_a_call_is_about_is_closed_later() -> None:
    watch = Watch()
    watch.meet(1)
    watch.held, watch.busy = set(), {1}
    for _ in range(3):
        watch.unnoticed.look_now()
    assert watch.closed == []
    watch.busy.clear()
    watch.unnoticed.look_now()
    assert watch.closed == [1]


def test_it_looks_now_and_then() -> None:
    watch = Watch()
    watch.meet(1)
    watch.unnoticed.look()
    assert watch.looks == 0
    watch.now += LOOK_EVERY_S
    watch.unnoticed.look()
    watch.unnoticed.look()
    assert watch.looks == 1


def test_it_looks_at_once_when_there_are_many_new_ones() -> None:
    watch = Watch()
    watch.meet(*range(MANY_NEW - 1))
    assert not watch.unnoticed.make_room()
    watch.meet(MANY_NEW)
    watch.held.clear()
    assert watch.unnoticed.make_room()
    assert len(watch.closed) == MANY_NEW
    assert not watch.unnoticed.make_room()


def test_many_that_are_open_are_not_looked_for_all_the_time() -> None:
    watch = Watch()
    watch.meet(*range(MANY_NEW))
    assert [watch.unnoticed.make_room() for _ in range(3)] == [True, False, False]
    watch.meet(*range(MANY_NEW, 2 * MANY_NEW))
    assert [watch.unnoticed.make_room() for _ in range(3)] == [True, False, False]


def test_where_there_is_nobody_the_processes_are_left_alone() -> None:
    watch = Watch()
    watch.now += LOOK_EVERY_S
    watch.unnoticed.look()
    watch.unnoticed.look_now()
    assert watch.looks == 0


def test_of_a_socket_of_the_same_network_the_kernel_tells(here: tuple[int, int]) -> None:
    descriptor, network = here
    watch = Watch(network)
    watch.unnoticed.meet(1, descriptor)
    assert not watch.unnoticed.cookies


def test_of_a_socket_of_another_network_nobody_tells(here: tuple[int, int]) -> None:
    descriptor, network = here
    watch = Watch(network + 1)
    watch.unnoticed.meet(1, descriptor)
    assert set(watch.unnoticed.cookies) == {1}
    elsewhere = Watch()
    elsewhere.unnoticed.meet(2, descriptor)
    assert set(elsewhere.unnoticed.cookies) == {2}


def test_where_the_kernel_does_not_say_which_network_it_tells() -> None:
    watch = Watch(1)
    watch.unnoticed.meet(1, -1)
    assert not watch.unnoticed.cookies
