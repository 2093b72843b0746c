"""WSAPoll of handles that providers made, alone and beside the kernel's: it says what it says of the kernel's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.api.test_wait_for_all import WAYS, connected
from tests.refusals import refused
from tests.waiting import DEADLINE_S, wait_until
from winsock.abi import constants as c
from winsock.abi.errors import WSAECONNRESET, WSAEWOULDBLOCK
from winsock.api import options, sockets, transfer, waiting
from winsock.dispatcher import waits
from winsock.dispatcher.records import records
from winsock.host import RESET_ON_CLOSE
from winsock.spi.handles import NonIfsLayer
from winsock.testing import World, through

EVERYTHING = c.POLLIN | c.POLLOUT
WAIT_MS = 20_000
BASE_TCP = 1001
Answers = list[list[tuple[int, int]]]


class Own(NonIfsLayer):
    """Handles of its own."""


class Both(NamedTuple):
    """A socket of the kernel's and one that a layer made, with their peers."""

    plain: int
    made: int
    plain_peer: socket.socket
    made_peer: socket.socket


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    peer.close()


def polling(*wanted: tuple[int, int]) -> tuple[threading.Thread, Answers]:
    """A thread that waits, and what it finds."""
    answers: Answers = []
    thread = threading.Thread(target=lambda: answers.append(waiting.WSAPoll(list(wanted), -1)), daemon=True)
    thread.start()
    wait_until(lambda: len(waits.waiting) >= len(wanted), "for the poll to wait")
    return thread, answers


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", [c.SD_RECEIVE, c.SD_BOTH])
@pytest.mark.parametrize(
    ("end", "told"),
    [(socket.socket.close, c.POLLHUP), (reset, c.POLLHUP | c.POLLERR)],
    ids=["ends", "resets"],
)
def test_the_peers_end_is_told_and_not_our_own_shutdown(
    way: str, how: int, end: Callable[[socket.socket], None], told: int
) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        s, peer = connected(world, file)
        sockets.shutdown(s, how)
        assert waiting.WSAPoll([(s, EVERYTHING)], 0) == [(s, c.POLLWRNORM)]
        assert waiting.WSAPoll([(s, c.POLLIN)], 1) == []
        poller, answers = polling((s, c.POLLIN))
        end(peer)
        poller.join(DEADLINE_S)
        assert [(one, revents & c.POLLHUP) for one, revents in answers[0]] == [(s, c.POLLHUP)]
        wait_until(lambda: waiting.WSAPoll([(s, 0)], 0) == [(s, told)], "for how it ended")


@pytest.mark.parametrize("way", WAYS)
def test_an_end_is_told_whatever_was_asked_for_po_09_po_14(way: str) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        ended, peer = connected(world, file)
        poller, answers = polling((ended, 0))
        peer.close()
        poller.join(DEADLINE_S)
        assert answers == [[(ended, c.POLLHUP)]]
        broken, peer = connected(world, file)
        poller, answers = polling((broken, 0))
        reset(peer)
        poller.join(DEADLINE_S)
        assert answers == [[(broken, c.POLLHUP | c.POLLERR)]]
        assert waiting.WSAPoll([(broken, EVERYTHING)], 0) == [(broken, c.POLLHUP | c.POLLERR | c.POLLWRNORM)]
        with refused(WSAECONNRESET):
            transfer.recv(broken, 1)
        assert waiting.WSAPoll([(broken, 0)], 0) == [(broken, c.POLLHUP | c.POLLERR)]


@pytest.mark.parametrize("way", WAYS)
def test_an_end_is_told_beside_what_came_before_it_po_10(way: str) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        s, peer = connected(world, file)
        peer.sendall(b"x")
        peer.close()
        wanted = [(s, EVERYTHING)]
        expected = c.POLLWRNORM | c.POLLRDNORM | c.POLLHUP
        wait_until(lambda: waiting.WSAPoll(wanted, WAIT_MS) == [(s, expected)], "for all of it")
        assert transfer.recv(s, 1) == b"x"
        assert waiting.WSAPoll([(s, c.POLLIN)], WAIT_MS) == [(s, c.POLLHUP)]


@pytest.mark.parametrize("way", WAYS)
def test_what_came_before_the_own_shutdown_can_be_read(way: str) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        s, peer = connected(world, file)
        with peer:
            peer.sendall(b"x")
            wait_until(lambda: options.ioctlsocket(s, c.FIONREAD) == 1, "for the byte to come")
            sockets.shutdown(s, c.SD_RECEIVE)
            assert waiting.WSAPoll([(s, EVERYTHING)], 0) == [(s, c.POLLRDNORM | c.POLLWRNORM)]
            assert waiting.WSAPoll([(s, c.POLLOUT)], 0) == [(s, c.POLLWRNORM)]


@pytest.mark.parametrize("way", WAYS)
def test_a_disconnect_of_receiving_is_a_shutdown(way: str) -> None:
    layers, file = WAYS[way]
    with World(through(*layers)) as world:
        s, peer = connected(world, file)
        with peer:
            transfer.WSARecvDisconnect(s)
            assert waiting.WSAPoll([(s, EVERYTHING)], 0) == [(s, c.POLLWRNORM)]


def test_urgent_data_is_no_failed_connect() -> None:
    with World(through(Own)) as world:
        s, peer = connected(world, file=False)
        with peer:
            peer.send(b"!", socket.MSG_OOB)
            assert waiting.WSAPoll([(s, c.POLLRDBAND)], WAIT_MS) == [(s, c.POLLRDBAND)]
            assert waiting.WSAPoll([(s, 0)], 0) == []


def test_a_failed_connect_po_13() -> None:
    with World(through(Own)) as world:
        s = world.stream()
        options.ioctlsocket(s, c.FIONBIO, 1)
        with refused(WSAEWOULDBLOCK):
            sockets.connect(s, world.closed_port())
        expected = c.POLLWRNORM | c.POLLHUP | c.POLLERR
        assert waiting.WSAPoll([(s, EVERYTHING)], WAIT_MS) == [(s, expected)]


@pytest.fixture
def both() -> Iterator[Both]:
    with World(through(Own)) as world, socket.create_server(("127.0.0.1", 0)) as listener:
        plain = sockets.WSASocket(-1, -1, -1, world.catalog.find(BASE_TCP).info)
        made = world.stream()
        peers = []
        for s in (plain, made):
            sockets.connect(s, listener.getsockname())
            peers.append(listener.accept()[0])
        assert [records[s].made for s in (plain, made)] == [False, True]
        yield Both(plain, made, *peers)
        for peer in peers:
            peer.close()


def test_beside_another_each_is_told_as_alone(both: Both) -> None:
    wanted = [(both.plain, EVERYTHING), (both.made, EVERYTHING)]
    assert waiting.WSAPoll(wanted, 0) == [(both.plain, c.POLLWRNORM), (both.made, c.POLLWRNORM)]
    for s in (both.plain, both.made):
        sockets.shutdown(s, c.SD_RECEIVE)
    assert waiting.WSAPoll(wanted, 0) == [(both.plain, c.POLLWRNORM), (both.made, c.POLLWRNORM)]
    assert waiting.WSAPoll([(both.plain, c.POLLIN), (both.made, c.POLLIN)], 1) == []


@pytest.mark.parametrize("which", ["plain", "made"])
def test_either_is_heard(both: Both, which: str) -> None:
    s, peer = (both.plain, both.plain_peer) if which == "plain" else (both.made, both.made_peer)
    poller, answers = polling((both.made, c.POLLIN), (both.plain, c.POLLIN))
    peer.sendall(b"x")
    poller.join(DEADLINE_S)
    assert answers == [[(s, c.POLLRDNORM)]]
    poller, answers = polling((both.made, 0), (both.plain, 0))
    peer.close()
    poller.join(DEADLINE_S)
    assert answers == [[(s, c.POLLHUP)]]


@pytest.mark.parametrize("which", ["plain", "made"])
def test_either_may_be_closed_meanwhile(both: Both, which: str) -> None:
    s = both.plain if which == "plain" else both.made
    poller, answers = polling((both.made, c.POLLIN), (both.plain, c.POLLIN))
    sockets.closesocket(s)
    poller.join(DEADLINE_S)
    assert answers == [[(s, c.POLLNVAL)]]
    assert waiting.WSAPoll([(both.made, c.POLLIN), (both.plain, c.POLLIN)], -1) == [(s, c.POLLNVAL)]


def test_select_hears_that_a_made_one_is_closed_beside_another_se_16(both: Both) -> None:
    answers: list[tuple[list[int], list[int], list[int]]] = []
    given = [both.plain, both.made]
    thread = threading.Thread(target=lambda: answers.append(waiting.select(0, given, None, None, None)), daemon=True)
    thread.start()
    wait_until(lambda: len(waits.waiting) >= len(given), "for the select to wait")
    sockets.closesocket(both.made)
    thread.join(DEADLINE_S)
    assert answers == [([both.made], [], [])]
