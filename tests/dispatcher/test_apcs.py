"""A provider with overlapped receives of its own, which complete by calls to the thread that began them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.dispatcher.strangers import SECONDS, Stranger, World
from winsock.abi.constants import FIONREAD, WSA_WAIT_EVENT_0, WSA_WAIT_IO_COMPLETION
from winsock.abi.message import WSAMSG
from winsock.api import events, options, transfer
from winsock.api.extensions import WSASendMsg
from winsock.dispatcher.records import find
from winsock.overlapped import apcs
from winsock.spi.layer import Layer
from winsock.spi.provider import WriteBuffer
from winsock.spi.upcalls import WSATHREADID

Routine = Callable[..., None]


@dataclass
class Overlapped:
    """As much of WSAOVERLAPPED as is used here."""

    count: int = -1


class Completing(Stranger):
    """Receives on a thread of its own, and has the caller's thread call the completion routine."""

    told: list[object]
    """The thread ids that came with overlapped calls."""

    def WSPRecv(  # type: ignore[override]  # the stranger has no names for the rest
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Routine | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        if overlapped is None:
            assert thread_id is None
            return super().WSPRecv(s, buffers, flags)
        assert isinstance(overlapped, Overlapped)
        assert completion_routine is not None
        assert isinstance(thread_id, WSATHREADID)
        kept = WSATHREADID(*thread_id)

        def receive() -> None:
            count = self.context(s).sock.recvmsg_into(buffers)[0]
            packed = completion_routine, 0, count, overlapped, flags
            self.upcalls.WPUQueueApc(kept, self.complete, packed)

        threading.Thread(target=receive, daemon=True).start()
        return None

    def complete(self, packed: tuple[Routine, int, int, Overlapped, int]) -> None:
        """The intermediate procedure, whose context is all that it needs."""
        routine, error, count, overlapped, flags = packed
        overlapped.count = count
        routine(error, count, overlapped, flags)

    def note(self, *arguments: Any) -> None:
        self.told = [*getattr(self, "told", ()), arguments[-1]]

    WSPRecvFrom = WSPSend = WSPSendTo = WSPIoctl = note  # type: ignore[assignment]


@pytest.fixture
def world() -> Iterator[World]:
    with World(Completing) as world:
        yield world


def ended(event: int) -> int:
    return events.WSAWaitForMultipleEvents([event], False, int(SECONDS * 1000), True)


def test_a_completion_routine_runs_in_the_thread_that_began(world: World) -> None:
    """OVL-010, OVL-012, OVL-021, OVL-022, OVL-023, EVT-056."""
    s, peer = world.connected()
    event = events.WSACreateEvent()
    overlapped, buffer = Overlapped(), bytearray(8)
    ran: list[tuple[object, ...]] = []

    def routine(*arguments: object) -> None:
        ran.append((*arguments, threading.get_ident()))

    assert transfer.WSARecv(s, [buffer], 0, overlapped, routine) is None
    peer.sendall(b"hello")
    assert ended(event) == WSA_WAIT_IO_COMPLETION
    assert ran == [(0, 5, overlapped, 0, threading.get_ident())]
    assert (overlapped.count, bytes(buffer[:5])) == (5, b"hello")


def test_another_receive_may_be_begun_in_the_routine(world: World) -> None:
    """OVL-017: and completes by itself."""
    s, peer = world.connected()
    event = events.WSACreateEvent()
    buffer = bytearray(1)
    received: list[bytes] = []

    def routine(error: int, count: int, overlapped: Overlapped, flags: int) -> None:
        received.append(bytes(buffer))
        if len(received) < 3:
            transfer.WSARecv(s, [buffer], 0, overlapped, routine)
        else:
            events.WSASetEvent(event)

    transfer.WSARecv(s, [buffer], 0, Overlapped(), routine)
    peer.sendall(b"abc")
    while (answer := ended(event)) != WSA_WAIT_EVENT_0:
        assert answer == WSA_WAIT_IO_COMPLETION
    assert received == [b"a", b"b", b"c"]


def test_every_overlapped_call_tells_its_thread(world: World) -> None:
    s, _ = world.connected()
    provider = world.provider
    assert isinstance(provider, Completing)
    overlapped = Overlapped()
    calls: list[Callable[[], object]] = [
        lambda: transfer.WSARecvFrom(s, [bytearray(1)], 0, overlapped),
        lambda: transfer.WSASend(s, [b"x"], 0, overlapped),
        lambda: transfer.WSASendTo(s, [b"x"], 0, None, overlapped),
        lambda: options.WSAIoctl(s, FIONREAD, None, 4, overlapped),
    ]
    for call in calls:
        call()
    assert provider.told == [apcs.id_of_this_thread()] * len(calls)


class FromItsOwnThread(Layer):
    """Begins overlapped receives on threads of its own."""

    def receive(self, s: int, buffer: bytearray) -> list[object]:
        """In a thread that is not the application's: receive, and wait for it."""
        ran: list[object] = []
        thread = self.upcalls.WPUOpenCurrentThread()
        event = self.upcalls.WPUCreateEvent()
        assert isinstance(event, int)
        lower = self.next.WSPRecv(s, [buffer], 0, Overlapped(), lambda *told: ran.append(told[:2]), thread)
        assert lower is None
        assert ended(event) == WSA_WAIT_IO_COMPLETION
        self.upcalls.WPUCloseThread(thread)
        self.upcalls.WPUCloseEvent(event)
        return ran


def test_a_layer_begins_them_on_a_thread_of_its_own() -> None:
    """OVL-040, OVL-041."""
    with World(Completing, FromItsOwnThread) as world:
        s, peer = world.connected()
        layer = find(s).chain.layers[0]
        assert isinstance(layer, FromItsOwnThread)
        found: list[object] = []
        buffer = bytearray(4)
        thread = threading.Thread(target=lambda: found.extend(layer.receive(s, buffer)), daemon=True)
        thread.start()
        peer.sendall(b"data")
        thread.join(SECONDS)
        assert (found, bytes(buffer)) == ([(0, 4)], b"data")


def test_wsasendmsg_tells_its_thread_too(world: World) -> None:
    provider = world.provider
    s = world.datagram()
    mine = Completing.started
    assert isinstance(mine, Completing)
    assert mine is not provider
    WSASendMsg(s, WSAMSG(None, (b"x",)), 0, Overlapped())
    assert mine.told == [apcs.id_of_this_thread()]
