"""What the kernel says where it hardly ever says anything: at the end, while waiting, when it is asked for events."""

from __future__ import annotations

import errno
import socket as host
from collections.abc import Callable, Iterator

import pytest

import winsock
from tests.failing import failing
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import (
    WSA_NOT_ENOUGH_MEMORY,
    WSAEINTR,
    WSAEINVAL,
    WSAENETDOWN,
    WSAENOBUFS,
    WSAENOTSOCK,
    WSANOTINITIALISED,
    WinsockError,
)
from winsock.base.inet import own
from winsock.base.inet.provider import Inet
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher import loader
from winsock.dispatcher.records import records
from winsock.spi.upcalls import Upcalls
from winsock.testing import World


class Quiet(Upcalls):
    """Takes every handle, and asks nobody."""

    def WPUModifyIFSHandle(self, catalog_entry_id: int, proposed_handle: int) -> int:
        return proposed_handle


@pytest.mark.parametrize(("said", "code"), [("EIO", WSAENETDOWN), ("EINVAL", WSAEINVAL)])
def test_a_provider_that_is_cleaned_up_says_so_when_all_is_closed(said: str, code: int) -> None:
    provider = Inet()
    _, table = provider.WSPStartup(0x0202, BUILTIN[0].info, Quiet())
    sockets = [table.WSPSocket(0, 0, 0, None, 0, 0) for _ in range(2)]
    with refused(code):
        failing("close", said, table.WSPCleanup)
    for s in sockets:  # the kernel was made to fail: they are still there for us to close
        host.close(s)


def test_the_last_cleanup_says_so_when_all_is_done() -> None:
    winsock.WSAStartup(0x0202)
    s = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
    with refused(WSAENETDOWN):
        failing("close", "EIO", winsock.WSACleanup, s)
    assert s not in records
    with refused(WSANOTINITIALISED):
        winsock.WSACleanup()
    host.close(s)


def test_a_socket_whose_close_was_cut_short_is_closed(world: World) -> None:
    s = world.stream()
    with refused(WSAEINTR):
        failing("close", "EINTR", lambda: winsock.closesocket(s), s)
    assert s not in own.SOCKETS


@pytest.mark.parametrize("said", ["EMFILE", "ENFILE", "ENOMEM"])
def test_an_event_object_needs_memory(world: World, said: str) -> None:
    upcalls = loader.open_chain(records[world.stream()].entry).table.WSPSocket.__self__.upcalls  # type: ignore[attr-defined]
    creators: list[Callable[[], object]] = [winsock.WSACreateEvent, upcalls.WPUCreateEvent]
    for create in creators:
        with refused(WSA_NOT_ENOUGH_MEMORY):
            failing("epoll_create1", said, create)


def test_an_event_object_that_was_heard_is_reset(world: World) -> None:
    event = winsock.WSACreateEvent()
    winsock.WSASetEvent(event)
    with refused(WSAENETDOWN):
        failing("read", "EIO", lambda: winsock.WSAResetEvent(event))


def test_events_of_somebody_elses_socket(world: World) -> None:
    table = records[world.stream()].table
    with host.socket() as other:
        assert table.WSPEnumNetworkEvents(other.fileno(), None).lNetworkEvents == 0
        with refused(WSAENETDOWN):
            failing("getsockopt", "ENETDOWN", lambda: table.WSPEnumNetworkEvents(other.fileno(), None))


def test_a_handle_that_the_kernel_says_nothing_of_stays(world: World) -> None:
    s = world.stream()
    with refused(WSAENETDOWN):
        failing("fstat", "EIO", lambda: winsock.getsockname(s), s)
    assert winsock.getsockopt(s, c.SOL_SOCKET, c.SO_TYPE) == c.SOCK_STREAM
    with refused(WSAENOTSOCK):
        failing("fstat", "EBADF", lambda: winsock.getsockname(s), s)


def test_an_error_of_a_callback_is_the_callers_own(world: World) -> None:
    listener, address = world.listener()
    winsock.connect(world.stream(), address)

    def condition(*_: object) -> int:
        raise FileNotFoundError(errno.ENOENT, "mine")

    with pytest.raises(FileNotFoundError, match="mine"):
        winsock.WSAAccept(listener, condition)


class TestMemory:
    """Memory that runs out is WSAENOBUFS, and the thread's last error."""

    def test_whoever_needs_it(self, world: World) -> None:
        class Large(list[int]):
            def __iter__(self) -> Iterator[int]:
                raise MemoryError

        with refused(WSAENOBUFS) as caught:
            winsock.WSAEnumProtocols(Large())
        assert caught.value.errno == errno.ENOMEM
        assert winsock.WSAGetLastError() == WSAENOBUFS


class TestWatching:
    """Where the kernel cannot be asked what is new, everything that was asked for is told with the error."""

    @pytest.mark.parametrize("events", [c.FD_ALL_EVENTS, c.FD_READ | c.FD_CLOSE])
    def test_an_event_object_is_signalled(self, world: World, events: int) -> None:
        s, event = world.stream(), winsock.WSACreateEvent()
        winsock.WSAEventSelect(s, event, events)
        failing("epoll_wait", "EIO", lambda: winsock.WSAWaitForMultipleEvents([event], True, 0))
        found = winsock.WSAEnumNetworkEvents(s, event)
        assert found.lNetworkEvents == events
        assert [code for code in found.iErrorCode if code] == [WSAENETDOWN] * events.bit_count()
        assert winsock.WSAEnumNetworkEvents(s, event).lNetworkEvents == 0

    def test_a_socket_that_cannot_be_watched(self, world: World) -> None:
        s, event = world.stream(), winsock.WSACreateEvent()
        with refused(WSAENOBUFS):
            failing("epoll_ctl", "ENOSPC", lambda: winsock.WSAEventSelect(s, event, c.FD_READ))
        winsock.WSAEventSelect(s, event, c.FD_READ)


def test_the_filter_is_the_threads_own(world: World) -> None:
    s = world.stream()
    with pytest.raises(WinsockError, match="ENOBUFS"):
        failing("bind", "ENOBUFS", lambda: winsock.bind(s, world.anywhere))
    winsock.bind(s, world.anywhere)
