"""The relay of a chain with handles of its own: its outer socket is closed once, whoever wants that first."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from winsock.abi.errors import WSAEINTR, WSAENOTSOCK, WinsockError
from winsock.abi.sockaddr import SockaddrIn
from winsock.supervisor.relaying.by_table import ByTable

PATIENCE_S = 20


class Outer:
    """A connection whose connect waits until its socket is closed, and is answered before that close has returned."""

    def __init__(self) -> None:
        self.outer = 7
        self.owner = self.next = self
        self.call = self.stats = None
        self.closes = 0
        self.connecting, self.woken, self.over = threading.Event(), threading.Event(), threading.Event()

    def WSPConnect(self, s: int, name: object) -> None:
        self.connecting.set()
        assert self.woken.wait(PATIENCE_S)
        raise WinsockError(WSAEINTR)

    def close_outer(self, outer: int) -> None:
        self.closes += 1
        self.woken.set()
        if self.closes > 1:
            raise WinsockError(WSAENOTSOCK)
        assert self.over.wait(PATIENCE_S)

    def known_stats(self) -> object:
        return SimpleNamespace()

    def ended(self, ending: object) -> None:
        pass


@pytest.fixture
def outer() -> Outer:
    return Outer()


def test_who_gives_up_and_the_connect_that_fails_by_it_close_once(outer: Outer) -> None:
    connection = cast(Any, outer)
    relay = ByTable(connection, lambda _: outer.over.set(), None, SockaddrIn("127.0.0.1", 9), lambda error: None)
    relay.start()
    assert outer.connecting.wait(PATIENCE_S)
    relay.abort()
    assert outer.over.is_set()
    assert outer.closes == 1
