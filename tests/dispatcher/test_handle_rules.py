"""The documented rules about handles, each by its name (HND)."""

from __future__ import annotations

import os
import socket as host
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.conformance.layers import OwnHandles, PassThrough
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.api import options, sockets, transfer
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry
from winsock.dispatcher import handles, loader, process, threads
from winsock.dispatcher.records import find, records
from winsock.spi.provider import WSPDATA, ProcTable, Provider, ReadBuffer, WriteBuffer
from winsock.spi.upcalls import Upcalls
from winsock.testing import through

HERE = __name__
TCP = (c.AF_INET, c.SOCK_STREAM, c.IPPROTO_TCP)
UDP = (c.AF_INET, c.SOCK_DGRAM, c.IPPROTO_UDP)
HANDLES_BENEATH = (
    c.SIO_BASE_HANDLE,
    c.SIO_BSP_HANDLE,
    c.SIO_BSP_HANDLE_SELECT,
    c.SIO_BSP_HANDLE_POLL,
    c.SIO_QUERY_TARGET_PNP_HANDLE,
)


class Letterbox:
    """What a handle of the provider below stands for."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []


class Post(Provider):
    """No IFS provider: its sockets are letterboxes, and whatever is sent to one can be received from it."""

    upcalls: Upcalls
    info: WSAPROTOCOL_INFO

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self.info, self.upcalls = protocol_info, upcalls
        return WSPDATA(), ProcTable.of(self)

    def WSPCleanup(self) -> None:
        pass

    def WSPSocket(self, *arguments: Any) -> int:
        return self.upcalls.WPUCreateSocketHandle(self.info.dwCatalogEntryId, Letterbox())

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], *rest: Any) -> int:
        data = b"".join(bytes(buffer) for buffer in buffers)
        self.box(s).letters.append(data)
        return len(data)

    def WSPRecv(self, s: int, buffers: Sequence[WriteBuffer], *rest: Any) -> tuple[int, int]:
        letter = self.box(s).letters.pop(0)
        memoryview(buffers[0])[: len(letter)] = letter
        return len(letter), 0

    def WSPCloseSocket(self, s: int) -> None:
        self.box(s)  # is to be found until the end
        self.upcalls.WPUCloseSocketHandle(s)

    def box(self, s: int) -> Letterbox:
        context = self.upcalls.WPUQuerySocketHandleContext(s)
        assert isinstance(context, Letterbox)
        return context


def post_office() -> Catalog:
    """The built-in catalog, and the post as another protocol."""
    info = BUILTIN[0].info
    post = info._replace(
        dwCatalogEntryId=77,
        dwServiceFlags1=info.dwServiceFlags1 & ~c.XP1_IFS_HANDLES,
        iProtocol=99,
        szProtocol="Post",
    )
    return Catalog((*BUILTIN, CatalogEntry(post, f"{HERE}:Post")))


@pytest.fixture
def upcalls() -> Upcalls:
    """Those of the post office's provider."""
    process.startup(catalog=post_office())
    provider = getattr(loader.open_chain(loader.catalog().find(77)).table.WSPSend, "__self__", None)
    assert isinstance(provider, Post)
    return provider.upcalls


def letterbox() -> int:
    return sockets.socket(c.AF_INET, c.SOCK_STREAM, 99)


def test_the_association_says_whose_a_handle_is(upcalls: Upcalls) -> None:
    """HND-001: two kinds of handle side by side, each call to its own provider."""
    box, other_box, plain = letterbox(), letterbox(), sockets.socket(*UDP)
    sockets.bind(plain, ("127.0.0.1", 0))
    sockets.connect(plain, sockets.getsockname(plain))
    for s in (box, other_box, plain):
        transfer.send(s, str(s).encode())
    assert [transfer.recv(s, 9) for s in (plain, other_box, box)] == [str(s).encode() for s in (plain, other_box, box)]


def test_a_handle_is_unique_and_tied_to_its_context(upcalls: Upcalls) -> None:
    """HND-002, HND-010."""
    contexts: list[Any] = [None, 0, "text", Letterbox, Letterbox(), {}, upcalls]
    made = [upcalls.WPUCreateSocketHandle(77, context) for context in contexts]
    assert len({*made, sockets.socket(*TCP)}) == len(made) + 1
    assert all(upcalls.WPUQuerySocketHandleContext(s) is context for s, context in zip(made, contexts, strict=True))
    assert {find(s).entry.info.dwCatalogEntryId for s in made} == {77}


def test_a_limit_of_descriptors_is_wsaenobufs(upcalls: Upcalls) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        with refused(e.WSAENOBUFS):
            letterbox()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert letterbox() == lowest


def test_who_makes_handles_does_not_set_xp1_ifs_handles() -> None:
    """HND-005: the flag of a chain follows its layers."""

    def flags(*layers: type) -> set[bool]:
        chains = through(*layers).matches(0, 0, c.IPPROTO_TCP)[:2]
        return {bool(entry.info.dwServiceFlags1 & c.XP1_IFS_HANDLES) for entry in chains}

    assert flags() == flags(PassThrough) == flags(PassThrough, PassThrough) == {True}
    assert flags(OwnHandles) == flags(PassThrough, OwnHandles) == flags(OwnHandles, PassThrough) == {False}


def test_the_handle_that_comes_back_is_the_one_to_use(upcalls: Upcalls) -> None:
    """HND-006: it is the same file, for the system indistinguishable."""
    with host.socket() as sock:
        proposed = sock.fileno()
        handle = upcalls.WPUModifyIFSHandle(1001, proposed)
        assert os.path.samestat(os.fstat(handle), os.fstat(proposed))
        assert find(handle).entry.info.dwCatalogEntryId == 1001
        handles.release(handle)


@pytest.mark.parametrize("handle", [-1, 99999, 2**31, 2**40, 2**80, None, "s"])
def test_what_is_no_handle_is_wsaeinval(upcalls: Upcalls, handle: Any) -> None:
    """HND-007."""
    with refused(e.WSAEINVAL, "proposed"):
        upcalls.WPUModifyIFSHandle(1001, handle)


def test_a_layer_passes_its_own_id_and_gets_the_calls() -> None:
    """HND-008."""
    process.startup(catalog=through(PassThrough, PassThrough))
    s = sockets.socket(*TCP)
    chain = find(s).chain
    upper, lower = chain.layers
    for entry_id, table in ((chain.ids[-1], lower.next), (chain.ids[1], upper.next), (chain.ids[0], chain.table)):
        assert upper.upcalls.WPUModifyIFSHandle(entry_id, s) == s
        assert find(s).table is table
        find(s).table.WSPGetSockOpt(s, c.SOL_SOCKET, c.SO_TYPE)


@pytest.mark.parametrize("function", ["WPUCloseSocketHandle", "WPUQuerySocketHandleContext"])
def test_other_handles_are_wsaenotsock(upcalls: Upcalls, function: str) -> None:
    """HND-009 to HND-011: IFS handles have no context; nor have those that were closed, nor other numbers."""
    gone = letterbox()
    sockets.closesocket(gone)
    plain = sockets.socket(*TCP)
    with host.socket() as lent:
        handles.adopt(lent.fileno(), loader.catalog().find(1001))
        for s in (gone, plain, lent.fileno(), 0, -1, 99999):
            with refused(e.WSAENOTSOCK):
                getattr(upcalls, function)(s)
        handles.release(lent.fileno())
    os.fstat(plain)


def test_closing_takes_the_handle_out_of_the_table(upcalls: Upcalls) -> None:
    """HND-009."""
    s = letterbox()
    sockets.closesocket(s)
    assert s not in records
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(s)
    with refused(e.WSAENOTSOCK):
        transfer.send(s, b"x")


def test_the_context_is_the_one_given(upcalls: Upcalls) -> None:
    """HND-010."""
    s = letterbox()
    transfer.send(s, b"a letter")
    box = upcalls.WPUQuerySocketHandleContext(s)
    assert isinstance(box, Letterbox)
    assert box.letters == [b"a letter"]


def test_sets_hold_their_handles(upcalls: Upcalls) -> None:
    """WPUFDIsSet; there are no errors, and no set is an empty one."""
    for fdset in ([1, 3], {1, 3}, (3,)):
        assert upcalls.WPUFDIsSet(3, fdset) is True
        assert upcalls.WPUFDIsSet(2, fdset) is False
    assert upcalls.WPUFDIsSet(3, None) is False


def test_the_blocking_callback_is_of_the_thread_that_asks_blk_013_blk_015(upcalls: Upcalls) -> None:
    state = threads.current()
    state.blocking_callback, state.blocking_context = bool, "mine"
    try:
        assert upcalls.WPUQueryBlockingCallback(77) == (bool, "mine")
        assert upcalls.WPUQueryBlockingCallback(1001) == (bool, "mine")
        with refused(e.WSAEINVAL):
            upcalls.WPUQueryBlockingCallback(78)
    finally:
        state.blocking_callback = state.blocking_context = None


def test_the_path_of_a_provider_is_its_import_path(upcalls: Upcalls) -> None:
    assert upcalls.WPUGetProviderPath(BUILTIN[2].info.ProviderId) == BUILTIN[2].path
    with refused(e.WSAEINVAL):
        upcalls.WPUGetProviderPath(BUILTIN[0].info.ProviderId._replace(Data1=1))
    with refused(e.WSAEFAULT):
        upcalls.WPUGetProviderPath(None)  # type: ignore[arg-type]


# What stands below a socket


LAYERS = [(), (PassThrough,), (PassThrough,) * 6]


@pytest.mark.parametrize("layers", LAYERS, ids=len)
@pytest.mark.parametrize("make", [lambda: sockets.socket(*TCP), lambda: sockets.socket(*UDP)], ids=["tcp", "udp"])
def test_the_handle_beneath_an_ifs_handle_is_itself(make: Callable[[], int], layers: tuple[type, ...]) -> None:
    process.startup(catalog=through(*layers))
    s = make()
    for code in HANDLES_BENEATH:
        assert options.WSAIoctl(s, code, None, 8) == s.to_bytes(8, "little"), hex(code)
        with refused(e.WSAEFAULT):
            options.WSAIoctl(s, code, None, 7)


def test_the_handle_beneath_a_made_handle_is_another() -> None:
    process.startup(catalog=through(PassThrough, OwnHandles, PassThrough))
    s = sockets.socket(*TCP)
    beneath = int.from_bytes(options.WSAIoctl(s, c.SIO_BASE_HANDLE, None, 8) or b"", "little")
    assert beneath != s
    with host.socket(fileno=os.dup(beneath)) as kernel:
        assert kernel.type == host.SOCK_STREAM, "a socket of the host's"
    for code in (c.SIO_BSP_HANDLE_SELECT, c.SIO_QUERY_TARGET_PNP_HANDLE):
        assert options.WSAIoctl(s, code, None, 8) == beneath.to_bytes(8, "little")
    for code in (c.SIO_BSP_HANDLE, c.SIO_BSP_HANDLE_POLL):
        assert options.WSAIoctl(s, code, None, 8) == s.to_bytes(8, "little")


@pytest.mark.parametrize("layers", [*LAYERS, (OwnHandles,), (PassThrough, OwnHandles)], ids=str)
def test_so_protocol_info_is_the_entry_that_was_opened(layers: tuple[type, ...]) -> None:
    """Not the base's below it; of an accepted and of an adopted socket too."""
    process.startup(catalog=through(*layers))
    entry = loader.catalog().match(*TCP)
    listener = sockets.socket(*TCP)
    sockets.bind(listener, ("127.0.0.1", 0))
    sockets.listen(listener, 1)
    client = sockets.WSASocket(-1, -1, -1, entry.info)
    sockets.connect(client, sockets.getsockname(listener))
    accepted, _ = sockets.accept(listener)
    for s in (listener, client, accepted):
        for optname in (c.SO_PROTOCOL_INFO, c.SO_PROTOCOL_INFOA, c.SO_PROTOCOL_INFOW):
            assert options.getsockopt(s, c.SOL_SOCKET, optname) == entry.info
    base = loader.catalog().find(1001)
    assert options.getsockopt(sockets.WSASocket(-1, -1, -1, base.info), c.SOL_SOCKET, c.SO_PROTOCOL_INFO) == base.info
    with host.socket() as lent:
        handles.adopt(lent.fileno(), entry)
        assert options.getsockopt(lent.fileno(), c.SOL_SOCKET, c.SO_PROTOCOL_INFO) == entry.info
        handles.release(lent.fileno())
