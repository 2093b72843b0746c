"""The WPU functions, as a provider sees them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.fakes import RECORDING, catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.guids import GUID_NULL
from winsock.api.events import WSAWaitForMultipleEvents
from winsock.catalog.entries import Catalog
from winsock.dispatcher import handles, loader, process, threads
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import find, records
from winsock.overlapped import apcs, events
from winsock.overlapped.messages import Message, MessageQueue
from winsock.spi.layer import Layer
from winsock.spi.upcalls import WSATHREADID, Upcalls

BUILT_IN = Catalog()


class Upper(Layer):
    pass


class Lower(Layer):
    pass


@pytest.fixture
def chain() -> Chain:
    process.startup(catalog=catalog(Upper, Lower))
    return loader.open_chain(loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0))


@pytest.fixture
def upcalls(chain: Chain) -> Upcalls:
    return chain.layers[0].upcalls


@pytest.fixture
def descriptor() -> Iterator[int]:
    with socket.socket() as sock:
        yield sock.fileno()


def code_of(caught: pytest.ExceptionInfo[e.WinsockError]) -> str:
    return caught.value.name


class TestModifyIFSHandle:
    def test_each_id_of_the_chain_is_its_providers(self, chain: Chain, upcalls: Upcalls, descriptor: int) -> None:
        """HND-001, HND-008."""
        upper, lower, base = chain.ids
        entered = {}
        for entry_id in (base, lower, upper, chain.entry.info.dwCatalogEntryId):
            assert upcalls.WPUModifyIFSHandle(entry_id, descriptor) == descriptor  # HND-006
            entered[entry_id] = find(descriptor).table
        assert entered[upper] is entered[chain.entry.info.dwCatalogEntryId] is chain.table
        assert len({id(table) for table in entered.values()}) == 3

    def test_an_entry_of_another_chain_is_found_too(self, chain: Chain, upcalls: Upcalls, descriptor: int) -> None:
        other = loader.open_chain(loader.catalog().match(c.AF_INET6, c.SOCK_STREAM, 0))
        upcalls.WPUModifyIFSHandle(other.entry.info.dwCatalogEntryId, descriptor)
        assert find(descriptor).chain is other

    def test_a_base_knows_of_no_chains_above_it(self, chain: Chain, upcalls: Upcalls) -> None:
        """It uses the upcalls of whichever chain started it last; its sockets are its own entry's all the same."""
        base = loader.open_chain(loader.catalog().find(chain.ids[-1]))
        assert find(base.table.WSPSocket(0, 0, 0)).chain is base
        assert find(chain.table.WSPSocket(0, 0, 0)).chain is chain

    @pytest.mark.parametrize("handle", [-1, 99999, "s", 2**40])
    def test_what_is_no_descriptor_is_invalid(self, chain: Chain, upcalls: Upcalls, handle: int) -> None:
        """HND-007."""
        with pytest.raises(e.WinsockError) as caught:
            upcalls.WPUModifyIFSHandle(chain.ids[-1], handle)
        assert code_of(caught) == "WSAEINVAL"

    def test_an_entry_that_was_never_started_is_invalid(self, upcalls: Upcalls, descriptor: int) -> None:
        with pytest.raises(e.WinsockError) as caught:
            upcalls.WPUModifyIFSHandle(5, descriptor)
        assert code_of(caught) == "WSAEINVAL"


class TestCreateSocketHandle:
    def test_a_handle_is_unique_and_keeps_its_context(self, chain: Chain, upcalls: Upcalls) -> None:
        """HND-002, HND-010."""
        contexts = [object(), object()]
        made = [upcalls.WPUCreateSocketHandle(chain.ids[0], context) for context in contexts]
        assert len(set(made)) == 2
        assert [upcalls.WPUQuerySocketHandleContext(s) for s in made] == contexts
        assert find(made[0]).table is chain.table

    def test_it_is_no_file_to_read_or_write(self, chain: Chain, upcalls: Upcalls) -> None:
        s = upcalls.WPUCreateSocketHandle(chain.ids[0], None)
        with pytest.raises(OSError, match="Bad file"):
            os.read(s, 1)
        with pytest.raises(OSError, match="Bad file"):
            os.write(s, b"x")

    def test_an_ifs_layer_above_changes_the_provider_and_keeps_the_context(
        self, chain: Chain, upcalls: Upcalls
    ) -> None:
        """Design rule 5."""
        s = upcalls.WPUCreateSocketHandle(chain.ids[1], "mine")
        below = find(s).table
        upcalls.WPUModifyIFSHandle(chain.ids[0], s)
        assert find(s).table is chain.table is not below
        assert upcalls.WPUQuerySocketHandleContext(s) == "mine"
        upcalls.WPUCloseSocketHandle(s)

    def test_close_ends_it(self, chain: Chain, upcalls: Upcalls) -> None:
        """HND-009."""
        s = upcalls.WPUCreateSocketHandle(chain.ids[0], None)
        upcalls.WPUCloseSocketHandle(s)
        assert s not in records
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(s)
        with pytest.raises(e.WinsockError) as caught:
            upcalls.WPUCloseSocketHandle(s)
        assert code_of(caught) == "WSAENOTSOCK"

    @pytest.mark.parametrize("function", ["WPUCloseSocketHandle", "WPUQuerySocketHandleContext"])
    def test_other_handles_are_refused(self, chain: Chain, upcalls: Upcalls, function: str, descriptor: int) -> None:
        """HND-009, HND-010."""
        upcalls.WPUModifyIFSHandle(chain.ids[-1], descriptor)
        for s in (descriptor, 99999):
            with pytest.raises(e.WinsockError) as caught:
                getattr(upcalls, function)(s)
            assert code_of(caught) == "WSAENOTSOCK"
        os.fstat(descriptor)

    def test_no_descriptor_left_is_no_buffers(
        self, chain: Chain, upcalls: Upcalls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            with pytest.raises(e.WinsockError) as caught:
                upcalls.WPUCreateSocketHandle(chain.ids[0], None)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert code_of(caught) == "WSAENOBUFS"

    def test_an_unknown_provider_is_invalid(self, upcalls: Upcalls) -> None:
        with pytest.raises(e.WinsockError) as caught:
            upcalls.WPUCreateSocketHandle(5, None)
        assert code_of(caught) == "WSAEINVAL"


def test_a_set_holds_its_handles(upcalls: Upcalls) -> None:
    assert upcalls.WPUFDIsSet(3, [1, 3])
    assert not upcalls.WPUFDIsSet(2, {1, 3})


def test_the_path_of_a_provider(chain: Chain, upcalls: Upcalls) -> None:
    base = loader.catalog().find(chain.ids[-1])
    assert upcalls.WPUGetProviderPath(base.info.ProviderId) == RECORDING
    with pytest.raises(e.WinsockError) as caught:
        upcalls.WPUGetProviderPath(GUID_NULL)
    assert code_of(caught) == "WSAEINVAL"


def test_the_blocking_callback_is_the_threads(chain: Chain, upcalls: Upcalls) -> None:
    """BLK-013, BLK-015."""
    assert upcalls.WPUQueryBlockingCallback(chain.ids[-1]) == (None, None)
    state = threads.current()
    state.blocking_callback, state.blocking_context = bool, "context"
    try:
        assert upcalls.WPUQueryBlockingCallback(chain.ids[-1]) == (bool, "context")
    finally:
        state.blocking_callback = state.blocking_context = None
    with pytest.raises(e.WinsockError) as caught:
        upcalls.WPUQueryBlockingCallback(5)
    assert code_of(caught) == "WSAEINVAL"


def test_there_is_no_overlapped_request_to_complete(upcalls: Upcalls) -> None:
    with pytest.raises(e.WinsockError) as caught:
        upcalls.WPUCompleteOverlappedRequest(3, object(), 0, 0)
    assert code_of(caught) == "WSAEINVAL"


def test_no_handle_is_taken_in_after_the_cleanup(chain: Chain, upcalls: Upcalls, descriptor: int) -> None:
    """SPIINIT-003: so that no program has a socket that works without WSAStartup."""
    process.cleanup()
    before = os.listdir("/proc/self/fd")
    calls: list[Callable[[], object]] = [
        lambda: upcalls.WPUModifyIFSHandle(chain.ids[0], descriptor),
        lambda: upcalls.WPUModifyIFSHandle(chain.ids[-1], descriptor),
        lambda: upcalls.WPUCreateSocketHandle(chain.ids[0], None),
    ]
    for call in calls:
        with pytest.raises(e.WinsockError) as caught:
            call()
        assert code_of(caught) == "WSANOTINITIALISED"
    process.startup(catalog=BUILT_IN)
    table = loader.open_chain(BUILT_IN.find(1001)).table
    process.cleanup()
    with pytest.raises(e.WinsockError) as caught:
        table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, BUILT_IN.find(1001).info, 0, 0)
    assert code_of(caught) == "WSANOTINITIALISED"
    assert set(os.listdir("/proc/self/fd")) <= set(before)
    assert not records


class TestThreads:
    """WPUOpenCurrentThread, WPUCloseThread, WPUQueueApc."""

    def test_a_call_is_queued_to_the_thread_that_was_opened(self, upcalls: Upcalls) -> None:
        thread = upcalls.WPUOpenCurrentThread()
        event = upcalls.WPUCreateEvent()
        assert isinstance(event, int)
        ran: list[object] = []
        upcalls.WPUQueueApc(thread, ran.append, "context")
        assert WSAWaitForMultipleEvents([event], False, 0, False) == c.WSA_WAIT_TIMEOUT
        assert WSAWaitForMultipleEvents([event], False, 0, True) == c.WSA_WAIT_IO_COMPLETION
        assert ran == ["context"]
        upcalls.WPUCloseThread(thread)
        upcalls.WPUCloseEvent(event)

    def test_what_is_no_thread_wsaefault(self, upcalls: Upcalls) -> None:
        """OVL-039: nor one that was closed; and what cannot be called is nothing to queue."""
        thread = upcalls.WPUOpenCurrentThread()
        wrong: list[Callable[[], object]] = [
            lambda: upcalls.WPUQueueApc(thread, None, 1),  # type: ignore[arg-type]
            lambda: upcalls.WPUQueueApc(WSATHREADID(0), print, 1),
            lambda: upcalls.WPUCloseThread(WSATHREADID(0)),
        ]
        for call in wrong:
            with pytest.raises(e.WinsockError) as caught:
                call()
            assert code_of(caught) == "WSAEFAULT"
        upcalls.WPUCloseThread(thread)
        for call in (lambda: upcalls.WPUQueueApc(thread, print, 1), lambda: upcalls.WPUCloseThread(thread)):
            with pytest.raises(e.WinsockError) as caught:
                call()
            assert code_of(caught) == "WSAEFAULT"

    def test_no_thread_is_opened_after_the_cleanup_wsanotinitialised(self, upcalls: Upcalls) -> None:
        thread = upcalls.WPUOpenCurrentThread()
        process.cleanup()
        for call in (upcalls.WPUOpenCurrentThread, lambda: upcalls.WPUCloseThread(thread)):
            with pytest.raises(e.WinsockError) as caught:
                call()
            assert code_of(caught) == "WSANOTINITIALISED"
        process.startup()  # that is another start
        with pytest.raises(e.WinsockError) as caught:
            upcalls.WPUOpenCurrentThread()
        assert code_of(caught) == "WSANOTINITIALISED"
        apcs.close(thread)


def test_events_of_providers_are_those_of_programs_evt_033_evt_034(upcalls: Upcalls) -> None:
    event = upcalls.WPUCreateEvent()
    assert not events.find(event).is_set()  # EVT-033
    upcalls.WPUSetEvent(event)
    for _ in range(2):
        assert events.wait([events.find(event)], True, 0) == 0, "a wait does not reset it"  # EVT-033
    upcalls.WPUResetEvent(event)
    assert not events.find(event).is_set()
    upcalls.WPUCloseEvent(event)
    for call in (upcalls.WPUSetEvent, upcalls.WPUResetEvent, upcalls.WPUCloseEvent):
        with pytest.raises(e.WinsockError) as caught:
            call(event)
        assert code_of(caught) == "WSA_INVALID_HANDLE"


def test_a_message_is_posted_to_a_window_evt_036(upcalls: Upcalls) -> None:
    window = MessageQueue()
    assert upcalls.WPUPostMessage(window, 1, 2, 3) is True
    assert window.get(0) == Message(1, 2, 3)
    assert upcalls.WPUPostMessage("no window", 1, 2, 3) is False


def test_a_made_handle_is_closed_by_its_own_provider(chain: Chain, upcalls: Upcalls) -> None:
    """closesocket leaves the context to be found until WPUCloseSocketHandle."""
    found: list[object] = []
    s = upcalls.WPUCreateSocketHandle(chain.ids[0], "mine")
    record = find(s)
    record.table = record.table.copy()

    def close(handle: int) -> None:
        found.append(upcalls.WPUQuerySocketHandleContext(handle))
        upcalls.WPUCloseSocketHandle(handle)

    record.table.WSPCloseSocket = close
    handles.close(s)
    assert found == ["mine"]
    assert s not in records
