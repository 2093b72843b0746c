"""The facts about the published LSP sample that its provider is about: 11 to 16 and 30 to 35, 37.

Facts 27, 29 and 36 are in test_lsp_calls.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import winsock
from tests.examples import lower, sample
from tests.examples.lower import Lower, Wait
from tests.examples.sample import TCP, TCP6, UDP
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.dispatcher import loader, process
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import records
from winsock.spi.provider import FUNCTIONS, ProcTable
from winsock.spi.upcalls import Upcalls
from winsock.testing import World

FROM = winsock.FROM_PROTOCOL_INFO
ADDRESS = SockaddrIn("192.0.2.1", 80)
KINDS = {"non_ifs": (), "ifs": ("-h",)}

each_kind = pytest.mark.parametrize("kind", KINDS)


class Recorded:
    """A kind of the sample over base protocols that record, TCP and UDP; Winsock is started with it."""

    def __init__(self, kind: str) -> None:
        Lower.forget()
        self.bases = sample.install_base(lower.PATH, lower.ID, TCP, UDP)
        self.layer = sample.install(*KINDS[kind], "-i", "-o", self.bases[0], "-o", self.bases[1])
        self.tcp, self.udp = (sample.over(self.layer, base) for base in self.bases)
        process.startup()
        self.provider = sample.kind(kind)

    def open(self, entry_id: int | None = None) -> Chain:
        """The chain of an entry, of TCP unless another is named."""
        return loader.open_chain(loader.catalog().find(entry_id or self.tcp))

    def info(self, entry_id: int | None = None) -> WSAPROTOCOL_INFO:
        """Its description."""
        return loader.catalog().find(entry_id or self.tcp).info

    def socket(self, entry_id: int | None = None) -> int:
        """A new socket."""
        return winsock.WSASocket(FROM, FROM, FROM, self.info(entry_id))

    def below(self, s: int) -> int:
        """The socket below a handle of the non-IFS kind."""
        context: Any = records[s].context
        return int(context.below)

    def layered(self, entry_id: int | None = None) -> Any:
        """What the provider keeps of an entry."""
        return next(entry for entry in self.provider.entries if entry.entry_id == (entry_id or self.tcp))


def _recorded(kind: str) -> Iterator[Recorded]:
    yield Recorded(kind)
    Lower.error = None
    if process.is_started():
        process.cleanup()


@pytest.fixture
def non_ifs() -> Iterator[Recorded]:
    yield from _recorded("non_ifs")


@pytest.fixture
def ifs() -> Iterator[Recorded]:
    yield from _recorded("ifs")


@pytest.fixture
def recorded(kind: str) -> Iterator[Recorded]:
    yield from _recorded(kind)


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(winsock.WinsockError) as caught:
        call()
    return caught.value.name


def called(function: str) -> list[tuple[Any, ...]]:
    """With what the provider below was called."""
    return [call.arguments for call in Lower.calls if call.function == function]


class TestFact11:
    """Loading."""

    @each_kind
    def test_fact_11_the_first_of_the_chain_is_started_with_what_was_chosen(
        self, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: list[tuple[object, ...]] = []
        real = recorded.provider.WSPStartup

        def startup(*arguments: Any) -> object:
            given.append(arguments)
            return real(*arguments)

        monkeypatch.setattr(recorded.provider, "WSPStartup", startup)
        recorded.open()
        [(version, info, upcalls)] = given
        assert (version, info) == (0x0202, recorded.info())
        assert isinstance(upcalls, Upcalls)

    @each_kind
    def test_fact_11_what_is_below_is_started_when_its_entry_is_used(self, recorded: Recorded) -> None:
        assert Lower.starts == []
        recorded.socket()
        assert [start.info.dwCatalogEntryId for start in Lower.starts if start.provider in below(recorded)] == [
            recorded.bases[0]
        ]
        recorded.socket(recorded.udp)
        recorded.socket(recorded.udp)
        assert [start.info.dwCatalogEntryId for start in Lower.starts if start.provider in below(recorded)] == [
            *recorded.bases
        ]
        assert all(start.version == 0x0202 for start in Lower.starts)

    def test_fact_11_it_finds_itself_whatever_the_layers_above_pass(self, non_ifs: Recorded) -> None:
        """The info names no entry of ours."""
        strange = non_ifs.info()._replace(dwCatalogEntryId=5, ProtocolChain=WSAPROTOCOLCHAIN(2, (5, 6)))
        chain = non_ifs.open()
        _, table = non_ifs.provider.WSPStartup(0x0202, strange, upcalls_of(non_ifs))
        s = table.WSPSocket(winsock.AF_INET, winsock.SOCK_STREAM, 0, strange, 0, 0)
        assert records[s].chain is chain
        table.WSPCleanup()

    def test_fact_11_a_stack_is_started_from_the_top_down(self, tmp_path: Path) -> None:
        copy = sample.copied(tmp_path, 1)
        first = sample.install("-i", "-o", TCP)
        sample.install("-i", "-o", sample.over(first, TCP), "-d", copy)
        with sample.started() as world:
            upper, under = sample.kind("non_ifs", copy), sample.kind("non_ifs")
            assert upper.entries == under.entries == []
            world.stream()
            [above], [middle] = upper.entries, under.entries
            assert above.table.WSPSend.__self__ is under
            assert type(middle.table.WSPSend.__self__).__name__ == "Inet"
            assert above.chain[0] == middle.info


def below(recorded: Recorded) -> list[Any]:
    """The providers that the sample started."""
    tables = [entry.table for entry in recorded.provider.entries if entry.data.szDescription]
    return [table.WSPSend.func.__self__ for table in tables]


def upcalls_of(recorded: Recorded) -> Upcalls:
    """What the sample was given."""
    upcalls: Upcalls = recorded.provider.upcalls
    return upcalls


class TestFact12:
    """Starts are counted."""

    @each_kind
    def test_fact_12_every_start_needs_a_cleanup(self, recorded: Recorded) -> None:
        tables = [recorded.open().table, recorded.open(recorded.udp).table]
        started = below(recorded)
        tables[0].WSPCleanup()
        assert Lower.cleanups == []
        tables[1].WSPCleanup()
        assert Lower.cleanups == started
        assert error_of(tables[0].WSPCleanup) == "WSANOTINITIALISED"
        loader.opened.clear()  # they are cleaned up already

    @each_kind
    def test_fact_12_the_data_is_that_of_the_provider_below(self, recorded: Recorded) -> None:
        recorded.open()
        data, table = recorded.provider.WSPStartup(0x0202, recorded.info(), upcalls_of(recorded))
        assert data.szDescription == "recorded"
        table.WSPCleanup()

    @each_kind
    def test_fact_12_what_cannot_be_started_is_one_error(self, kind: str) -> None:
        [base] = sample.install_base("winsock_nowhere:Nothing", lower.ID, TCP)
        layer = sample.install(*KINDS[kind], "-i", "-o", base)
        with winsock.started():
            entry = loader.catalog().find(sample.over(layer, base))
            assert error_of(lambda: loader.open_chain(entry)) == "WSAEPROVIDERFAILEDINIT"

    @each_kind
    def test_fact_12_so_is_an_info_that_is_none_of_ours(self, recorded: Recorded) -> None:
        recorded.open()
        other = loader.catalog().find(TCP6).info
        start = recorded.provider.WSPStartup
        assert error_of(lambda: start(0x0202, other, upcalls_of(recorded))) == "WSAEPROVIDERFAILEDINIT"

    def test_fact_12_the_table_is_the_layers_own(self, non_ifs: Recorded) -> None:
        table = non_ifs.open().table
        assert table.missing() == []
        assert {getattr(table, name).__self__ for name in FUNCTIONS} == {non_ifs.provider}


class TestFact13:
    """The upcalls."""

    NAMES = (
        "WPUCreateSocketHandle",
        "WPUCloseSocketHandle",
        "WPUQuerySocketHandleContext",
        "WPUModifyIFSHandle",
        "WPUCreateEvent",
        "WPUCloseEvent",
        "WPUSetEvent",
        "WPUResetEvent",
        "WPUQueueApc",
        "WPUOpenCurrentThread",
        "WPUCloseThread",
        "WPUPostMessage",
        "WPUFDIsSet",
        "WPUGetProviderPath",
        "WPUQueryBlockingCallback",
        "WPUCompleteOverlappedRequest",
    )

    @each_kind
    def test_fact_13_the_provider_below_is_given_the_very_same(self, recorded: Recorded) -> None:
        recorded.socket()
        assert Lower.starts[0].upcalls is upcalls_of(recorded)

    @pytest.mark.parametrize("name", NAMES)
    def test_fact_13_each_is_there(self, non_ifs: Recorded, name: str) -> None:
        non_ifs.open()
        assert callable(getattr(upcalls_of(non_ifs), name))

    def test_fact_13_handles_and_contexts(self, non_ifs: Recorded) -> None:
        non_ifs.open()
        upcalls = upcalls_of(non_ifs)
        s = upcalls.WPUCreateSocketHandle(non_ifs.tcp, "context")
        assert upcalls.WPUQuerySocketHandleContext(s) == "context"
        assert upcalls.WPUFDIsSet(s, {s, 0})
        assert upcalls.WPUGetProviderPath(lower.ID) == winsock.WSCGetProviderPath(lower.ID) == lower.PATH
        upcalls.WPUCloseSocketHandle(s)
        assert error_of(lambda: upcalls.WPUQuerySocketHandleContext(s)) == "WSAENOTSOCK"


class TestFact14:
    """A new socket of the non-IFS kind."""

    @pytest.mark.parametrize(
        ("af", "type", "protocol", "error"),
        [
            (winsock.AF_INET6, winsock.SOCK_STREAM, 0, "WSAEAFNOSUPPORT"),
            (winsock.AF_INET6, 77, 77, "WSAEAFNOSUPPORT"),
            (winsock.AF_INET, winsock.SOCK_RAW, 0, "WSAESOCKTNOSUPPORT"),
            (winsock.AF_INET, winsock.SOCK_RAW, 77, "WSAESOCKTNOSUPPORT"),
            (winsock.AF_INET, winsock.SOCK_STREAM, 77, "WSAEPROTONOSUPPORT"),
            (winsock.AF_INET, winsock.SOCK_STREAM, winsock.IPPROTO_UDP, "WSAEPROTOTYPE"),
            (winsock.AF_INET, winsock.SOCK_DGRAM, winsock.IPPROTO_TCP, "WSAEPROTOTYPE"),
        ],
    )
    def test_fact_14_the_family_then_the_type_then_the_protocol(
        self, non_ifs: Recorded, af: int, type: int, protocol: int, error: str
    ) -> None:
        table = non_ifs.open().table
        assert error_of(lambda: table.WSPSocket(af, type, protocol, None, 0, 0)) == error
        assert called("WSPSocket") == []

    @pytest.mark.parametrize(
        ("af", "type", "protocol", "base"),
        [
            (winsock.AF_INET, winsock.SOCK_STREAM, winsock.IPPROTO_TCP, 0),
            (winsock.AF_INET, winsock.SOCK_DGRAM, winsock.IPPROTO_UDP, 1),
            (winsock.AF_INET, 0, winsock.IPPROTO_UDP, 1),
            (0, winsock.SOCK_DGRAM, 0, 1),
            (0, 0, 0, 0),
        ],
    )
    def test_fact_14_zero_fits_all(self, non_ifs: Recorded, af: int, type: int, protocol: int, base: int) -> None:
        s = non_ifs.open().table.WSPSocket(af, type, protocol, None, 0, 0)
        assert records[s].entry.info.dwCatalogEntryId == (non_ifs.tcp, non_ifs.udp)[base]
        assert Lower.calls[-1].provider.info.dwCatalogEntryId == non_ifs.bases[base]

    def test_fact_14_the_service_flags_must_agree_but_for_the_ifs_bit(self, non_ifs: Recorded) -> None:
        table = non_ifs.open().table
        lower_info = non_ifs.info(non_ifs.bases[0])
        assert lower_info.dwServiceFlags1 & winsock.XP1_IFS_HANDLES
        table.WSPSocket(FROM, FROM, FROM, lower_info, 0, 0)
        other = lower_info._replace(dwServiceFlags1=lower_info.dwServiceFlags1 | winsock.XP1_QOS_SUPPORTED)
        assert error_of(lambda: table.WSPSocket(FROM, FROM, FROM, other, 0, 0)) == "WSAEPROTOTYPE"

    def test_fact_14_what_a_duplicate_carries_goes_down(self, non_ifs: Recorded) -> None:
        table = non_ifs.open().table
        table.WSPSocket(FROM, FROM, FROM, non_ifs.info()._replace(dwProviderReserved=99), 0, 0)
        [(*_, info, _g, _flags)] = called("WSPSocket")
        assert info.dwProviderReserved == 99

    @pytest.mark.parametrize("flags", [0, winsock.WSA_FLAG_OVERLAPPED, winsock.WSA_FLAG_NO_HANDLE_INHERIT])
    def test_fact_14_the_socket_below_is_overlapped(self, non_ifs: Recorded, flags: int) -> None:
        non_ifs.open().table.WSPSocket(winsock.AF_INET, winsock.SOCK_STREAM, 0, None, 5, flags)
        [arguments] = called("WSPSocket")
        assert arguments[-2:] == (5, flags | winsock.WSA_FLAG_OVERLAPPED)

    def test_fact_14_the_handle_is_the_layers_own_with_a_context(self, non_ifs: Recorded) -> None:
        s = non_ifs.socket()
        context = upcalls_of(non_ifs).WPUQuerySocketHandleContext(s)
        assert records[s].entry.info.dwCatalogEntryId == non_ifs.tcp
        assert non_ifs.below(s) != s
        assert non_ifs.layered().sockets == {s: context}
        assert non_ifs.layered(non_ifs.udp).sockets == {}

    def test_fact_14_without_a_handle_the_socket_below_is_closed(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        non_ifs.open()

        class Exhausted:
            def WPUCreateSocketHandle(self, entry_id: int, context: object) -> int:
                raise winsock.WinsockError(winsock.WSAENOBUFS)

        monkeypatch.setattr(non_ifs.provider, "upcalls", Exhausted())
        assert error_of(lambda: non_ifs.socket()) == "WSAENOBUFS"
        assert len(called("WSPCloseSocket")) == 1


WITHOUT_HANDLE = {
    "WSPAddressToString",
    "WSPAsyncSelect",
    "WSPCancelBlockingCall",
    "WSPCleanup",
    "WSPSelect",
    "WSPSocket",
    "WSPStringToAddress",
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "WSPAccept": (None, None),
    "WSPConnect": (ADDRESS, None, None, None, None),
    "WSPGetSockOpt": (1, 2),
    "WSPIoctl": (winsock.FIONREAD, None, 4),
    "WSPRecv": ([bytearray(9)], 0),
    "WSPRecvFrom": ([bytearray(9)], 0),
    "WSPSend": ([b"one", b"two"], 0),
    "WSPSendTo": ([b"one"], 0, ADDRESS),
    "WSPSetSockOpt": (1, 2, 3),
    "WSPDuplicateSocket": (41,),
}
"""What is given after the handle; of other functions one thing that is passed on as it is."""


class TestFact15:
    """All 30 functions, each with the handle translated."""

    def test_fact_15_there_are_30(self, non_ifs: Recorded) -> None:
        assert len(FUNCTIONS) == 30
        assert non_ifs.open().table.missing() == []

    @pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - WITHOUT_HANDLE))
    def test_fact_15_a_handle_becomes_the_socket_below(self, non_ifs: Recorded, function: str) -> None:
        s = non_ifs.socket()
        beneath = non_ifs.below(s)
        table = records[s].table
        arguments = () if function == "WSPCloseSocket" else ARGUMENTS.get(function, (object(),))
        getattr(table, function)(s, *arguments)
        assert called(function) == [(beneath, *arguments)]
        assert Lower.calls[-1].provider is below(non_ifs)[0]

    @pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - WITHOUT_HANDLE - {"WSPCloseSocket"}))
    def test_fact_15_an_error_is_returned(self, non_ifs: Recorded, function: str) -> None:
        s = non_ifs.socket()
        Lower.error = winsock.WinsockError(winsock.WSAENETDOWN)
        arguments = ARGUMENTS.get(function, (object(),))
        with pytest.raises(winsock.WinsockError) as caught:
            getattr(records[s].table, function)(s, *arguments)
        assert caught.value is Lower.error

    @pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - WITHOUT_HANDLE))
    def test_fact_15_other_handles_are_no_sockets(self, non_ifs: Recorded, function: str) -> None:
        beneath = non_ifs.below(non_ifs.socket())
        table = non_ifs.open().table
        for handle in (beneath, 99999):
            arguments = () if function == "WSPCloseSocket" else ARGUMENTS.get(function, (object(),))
            assert error_of(lambda: getattr(table, function)(handle, *arguments)) == "WSAENOTSOCK"  # noqa: B023

    def test_fact_15_a_handle_of_another_layer_of_that_kind_is_none(self, tmp_path: Path) -> None:
        copy = sample.copied(tmp_path, 1)
        sample.install("-i", "-o", TCP)
        sample.install("-i", "-o", UDP, "-d", copy)
        with sample.started() as world:
            datagram = world.datagram()
            stream = records[world.stream()].table
            assert error_of(lambda: stream.WSPGetSockName(datagram)) == "WSAENOTSOCK"

    def test_fact_15_addresses_as_text_go_to_the_provider_of_the_family(self, non_ifs: Recorded) -> None:
        table = non_ifs.open().table
        for given in (None, non_ifs.info()):
            assert table.WSPAddressToString(ADDRESS, given) == "WSPAddressToString"
            assert str(table.WSPStringToAddress("text", winsock.AF_INET, given)) == "WSPStringToAddress"
        base = non_ifs.info(non_ifs.bases[0])
        assert called("WSPAddressToString") == [(ADDRESS, base)] * 2
        assert called("WSPStringToAddress") == [("text", winsock.AF_INET, base)] * 2
        assert error_of(lambda: table.WSPStringToAddress("::1", winsock.AF_INET6)) == "WSAEINVAL"

    def test_fact_15_bytes_are_counted(self, non_ifs: Recorded) -> None:
        s = non_ifs.socket()
        table = records[s].table
        table.WSPSend(s, [b"one", b"two"])
        table.WSPSendTo(s, [b"three"], 0, ADDRESS)
        table.WSPRecv(s, [bytearray(9)])
        table.WSPRecvFrom(s, [bytearray(9)])
        table.WSPRecv(s, [bytearray(9)], winsock.MSG_PEEK)
        assert (non_ifs.layered().sent, non_ifs.layered().received) == (11, 7)
        Lower.error = winsock.WinsockError(winsock.WSAEMSGSIZE, count=5)
        error_of(lambda: table.WSPRecvFrom(s, [bytearray(5)]))
        error_of(lambda: table.WSPSend(s, [b"parts"]))
        assert (non_ifs.layered().sent, non_ifs.layered().received) == (16, 12)

    def test_fact_15_what_is_open_is_refused(self, non_ifs: Recorded) -> None:
        s = non_ifs.socket()
        table = records[s].table
        before = len(Lower.calls)
        for call in (
            lambda: table.WSPSend(s, [b"x"], 0, object()),
            lambda: table.WSPSendTo(s, [b"x"], 0, None, object()),
            lambda: table.WSPRecv(s, [bytearray(1)], 0, object()),
            lambda: table.WSPRecvFrom(s, [bytearray(1)], 0, object()),
            lambda: table.WSPIoctl(s, winsock.SIO_GET_EXTENSION_FUNCTION_POINTER, bytes(16), 8),
            lambda: table.WSPIoctl(s, winsock.FIONREAD, None, 4, object()),
        ):
            assert error_of(call) == "WSAEOPNOTSUPP"
        assert len(Lower.calls) == before


class TestFact16:
    """Handles within arguments and results."""

    def test_fact_16_the_sets_of_select(self, non_ifs: Recorded) -> None:
        one, other, third = (non_ifs.socket() for _ in range(3))
        table = records[one].table
        assert table.WSPSelect(0, [one, other], [other], [third], 1.5) == ([one, other], [other], [])
        assert called("WSPSelect") == [
            (0, [non_ifs.below(one), non_ifs.below(other)], [non_ifs.below(other)], [non_ifs.below(third)], 1.5)
        ]

    def test_fact_16_only_what_is_ready_comes_back(self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        one, other = non_ifs.socket(), non_ifs.socket()
        ready: tuple[list[int], ...] = ([non_ifs.below(other)], [], [non_ifs.below(one)])
        monkeypatch.setitem(lower.ANSWERS, "WSPSelect", lambda *arguments: ready)
        assert records[one].table.WSPSelect(0, [one, other], None, [one], None) == ([other], [], [one])

    def test_fact_16_sockets_of_several_providers_below(self, non_ifs: Recorded) -> None:
        stream, datagram = non_ifs.socket(), non_ifs.socket(non_ifs.udp)
        assert records[stream].table.WSPSelect(0, [stream, datagram], None, None, None) == ([stream, datagram], [], [])
        asked = {call.provider: call.arguments[1] for call in Lower.calls if call.function == "WSPSelect"}
        assert list(asked.values()) in (
            [[non_ifs.below(stream)], [non_ifs.below(datagram)]],
            [[non_ifs.below(datagram)], [non_ifs.below(stream)]],
        )

    def test_fact_16_several_providers_wait_in_turns(self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        stream, datagram = non_ifs.socket(), non_ifs.socket(non_ifs.udp)
        turns: list[float] = []

        def answer(provider: Lower, nfds: int, reads: list[int], *rest: Any) -> tuple[list[int], list[int], list[int]]:
            turns.append(rest[-1])
            return (reads if len(turns) > 6 else [], [], [])

        monkeypatch.setitem(lower.ANSWERS, "WSPSelect", answer)
        table = records[stream].table
        assert table.WSPSelect(0, [stream, datagram], None, None, None)[0] == [stream, datagram]
        assert turns[:6] == [0, 0, 0.01] * 2
        turns.clear()
        assert table.WSPSelect(0, [stream, datagram], None, None, 0) == ([], [], [])
        assert turns == [0, 0]

    def test_fact_16_a_select_of_nothing_is_invalid(self, non_ifs: Recorded) -> None:
        table = non_ifs.open().table
        assert error_of(lambda: table.WSPSelect(0, [], None, None, 0)) == "WSAEINVAL"

    def test_fact_16_an_accepted_connection_has_a_handle_of_the_layer(self, non_ifs: Recorded) -> None:
        listener = non_ifs.socket()
        s, address = winsock.accept(listener)
        assert address == lower.PEER
        assert non_ifs.below(s) not in (s, non_ifs.below(listener))
        assert records[s].table is records[listener].table
        assert set(non_ifs.layered().sockets) == {listener, s}

    def test_fact_16_the_listener_in_an_option(self, non_ifs: Recorded) -> None:
        listener, s = non_ifs.socket(), non_ifs.socket()
        option = winsock.SOL_SOCKET, winsock.SO_UPDATE_ACCEPT_CONTEXT
        winsock.setsockopt(s, *option, listener.to_bytes(8, "little"))
        assert called("WSPSetSockOpt") == [(non_ifs.below(s), *option, non_ifs.below(listener).to_bytes(8, "little"))]
        assert error_of(lambda: winsock.setsockopt(s, *option, bytes(8))) == "WSAENOTSOCK"

    def test_fact_16_a_new_leaf_has_a_handle_of_the_layer(self, non_ifs: Recorded) -> None:
        root = non_ifs.socket()
        leaf = winsock.WSAJoinLeaf(root, ADDRESS, None, None, None, None, winsock.JL_BOTH)
        assert called("WSPJoinLeaf") == [(non_ifs.below(root), ADDRESS, None, None, None, None, winsock.JL_BOTH)]
        assert non_ifs.below(leaf) not in (leaf, root, non_ifs.below(root))
        assert records[leaf].table is records[root].table
        assert set(non_ifs.layered().sockets) == {root, leaf}
        assert winsock.send(leaf, b"abc") == 3
        assert called("WSPSend")[-1][0] == non_ifs.below(leaf)

    def test_fact_16_a_leaf_that_is_the_root_keeps_its_handle(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(lower.ANSWERS, "WSPJoinLeaf", lambda provider, s, *rest: s)
        root = non_ifs.socket()
        assert winsock.WSAJoinLeaf(root, ADDRESS, None, None, None, None, winsock.JL_BOTH) == root
        assert set(non_ifs.layered().sockets) == {root}


class TestFact30:
    """A new socket of the IFS kind."""

    def test_fact_30_the_handle_is_the_one_below(self, ifs: Recorded) -> None:
        modified: list[tuple[int, int]] = []
        ifs.open()
        real = upcalls_of(ifs)

        class Watched:
            def WPUModifyIFSHandle(self, entry_id: int, handle: int) -> int:
                modified.append((entry_id, handle))
                return real.WPUModifyIFSHandle(entry_id, handle)

        ifs.provider.upcalls = Watched()
        s = ifs.socket()
        accepted, _ = winsock.accept(s)
        assert modified == [(ifs.tcp, s), (ifs.tcp, accepted)]
        ifs.provider.upcalls = real
        assert records[s].entry.info.dwCatalogEntryId == ifs.tcp
        assert records[s].table is records[accepted].table is ifs.open().table

    def test_fact_30_nothing_is_translated(self, ifs: Recorded) -> None:
        s = ifs.socket()
        winsock.select(0, [s], None, None, 0)
        winsock.recv(s, 9)
        assert called("WSPSelect")[0][1] == (s,)
        assert called("WSPRecv")[0][0] == s
        assert ifs.layered().received == 0

    def test_fact_30_it_is_a_file_of_the_system(self) -> None:
        sample.install("-h", "-i", "-a")
        with sample.started() as world:
            client, server = world.connected()
            assert os.write(client, b"by the file") == 11
            assert os.read(server, 20) == b"by the file"
            assert sum(entry.sent for entry in sample.kind("ifs").entries) == 0  # nobody saw it

    def test_fact_30_without_its_own_handle_there_is_none(self, ifs: Recorded) -> None:
        ifs.open()
        real = upcalls_of(ifs)

        class Refusing:
            def WPUModifyIFSHandle(self, entry_id: int, handle: int) -> int:
                raise winsock.WinsockError(winsock.WSAEINVAL)

        ifs.provider.upcalls = Refusing()
        assert error_of(ifs.socket) == "WSAEINVAL"
        ifs.provider.upcalls = real
        assert len(called("WSPCloseSocket")) == 1


def test_fact_31_nine_functions_are_replaced(ifs: Recorded) -> None:
    table = ifs.open().table
    under: ProcTable = ifs.layered().table
    replaced = {name for name in FUNCTIONS if getattr(table, name) is not getattr(under, name)}
    assert replaced == {
        "WSPAccept",
        "WSPCleanup",
        "WSPCloseSocket",
        "WSPConnect",
        "WSPGetPeerName",
        "WSPGetSockOpt",
        "WSPIoctl",
        "WSPSend",
        "WSPSocket",
    }


class TestFact32:
    """The demonstration of the IFS kind."""

    @pytest.fixture
    def leading(self) -> Iterator[tuple[World, dict[Sockaddr, Sockaddr]]]:
        """Winsock over the IFS kind, and where it leads connects."""
        sample.install("-h", "-i", "-a")
        with sample.started() as world:
            module = sys.modules[type(sample.kind("ifs")).__module__]
            before = dict(module.REDIRECTED)
            yield world, module.REDIRECTED
            module.REDIRECTED.clear()
            module.REDIRECTED.update(before)

    def test_fact_32_connects_are_led_elsewhere_and_it_does_not_show(
        self, leading: tuple[World, dict[Sockaddr, Sockaddr]]
    ) -> None:
        world, redirected = leading
        listener, address = world.listener()
        redirected[ADDRESS] = address
        client = world.stream()
        winsock.connect(client, ADDRESS)
        server, peer = winsock.accept(listener)
        assert winsock.getpeername(client) == ADDRESS
        assert winsock.getsockname(client) == peer
        winsock.send(client, b"hello")
        assert winsock.recv(server, 9) == b"hello"

    def test_fact_32_other_connects_are_left_alone(self, leading: tuple[World, dict[Sockaddr, Sockaddr]]) -> None:
        world, redirected = leading
        redirected[ADDRESS] = SockaddrIn("127.0.0.1", 9)
        client, server = world.connected()
        assert winsock.getpeername(client) == winsock.getsockname(server)

    def test_fact_32_a_later_connect_elsewhere_shows(self, leading: tuple[World, dict[Sockaddr, Sockaddr]]) -> None:
        world, redirected = leading
        one, other, third = (world.datagram() for _ in range(3))
        redirected[ADDRESS] = winsock.getsockname(other)
        winsock.connect(one, ADDRESS)
        assert winsock.getpeername(one) == ADDRESS
        winsock.connect(one, winsock.getsockname(third))
        assert winsock.getpeername(one) == winsock.getsockname(third)

    def test_fact_32_only_sends_are_counted(self, leading: tuple[World, dict[Sockaddr, Sockaddr]]) -> None:
        world, _ = leading
        client, server = world.connected()
        winsock.send(client, b"question")
        winsock.recv(server, 9)
        one, other = world.datagram(), world.datagram()
        winsock.sendto(one, b"not seen", 0, winsock.getsockname(other))
        entries = sample.kind("ifs").entries
        assert sum(entry.sent for entry in entries) == 8
        assert sum(entry.received for entry in entries) == 0

    def test_fact_32_what_is_pending_is_not_seen(self, ifs: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
        s = ifs.socket()
        monkeypatch.setitem(lower.ANSWERS, "WSPSend", lambda *arguments: None)
        overlapped = object()
        assert records[s].table.WSPSend(s, [b"later"], 0, overlapped) is None
        assert called("WSPSend") == [(s, [b"later"], 0, overlapped)]
        assert ifs.layered().sent == 0


class TestFact33:
    """What is handed down."""

    @each_kind
    def test_fact_33_a_base_is_given_its_own_entry(self, recorded: Recorded) -> None:
        base = recorded.info(recorded.bases[0])
        recorded.socket()
        assert Lower.starts[0].info == base
        recorded.open().table.WSPSocket(winsock.AF_INET, 0, 0, recorded.info()._replace(dwProviderReserved=7), 0, 0)
        first, second = called("WSPSocket")
        assert first[:4] == (FROM, FROM, FROM, base)
        assert second[:4] == (winsock.AF_INET, 0, 0, base._replace(dwProviderReserved=7))

    @each_kind
    def test_fact_33_with_what_the_caller_took_from_the_info(self, recorded: Recorded) -> None:
        """A protocol within the range of the entry, say."""
        table = recorded.open().table
        layered = recorded.layered()
        layered.info = layered.info._replace(iProtocolMaxOffset=9)
        other = recorded.info()._replace(iProtocol=winsock.IPPROTO_TCP + 2)
        table.WSPSocket(FROM, winsock.SOCK_STREAM, FROM, other, 0, 0)
        table.WSPSocket(winsock.AF_INET, winsock.SOCK_STREAM, winsock.IPPROTO_TCP, other, 0, 0)
        infos = [arguments[3] for arguments in called("WSPSocket")]
        assert [info.iProtocol for info in infos] == [winsock.IPPROTO_TCP + 2, winsock.IPPROTO_TCP]
        assert {info.dwCatalogEntryId for info in infos} == {recorded.bases[0]}

    @each_kind
    def test_fact_33_a_layer_is_given_what_we_were_given(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Lower.forget()
        [base] = sample.install_base(lower.PATH, lower.ID, TCP)
        bottom = sample.install("-h", "-i", "-o", base, "-d", sample.copied(tmp_path, 1))
        top = sample.install(*KINDS[kind], "-i", "-o", sample.over(bottom, base))
        with winsock.started():
            under = sample.kind("ifs", tmp_path / "copy1.py")
            given: list[WSAPROTOCOL_INFO] = []
            real = under.started

            def started(af: int, type: int, protocol: int, info: WSAPROTOCOL_INFO) -> object:
                given.append(info)
                return real(af, type, protocol, info)

            monkeypatch.setattr(under, "started", started)
            entry = loader.catalog().find(sample.over(top, sample.over(bottom, base)))
            chosen = entry.info._replace(dwProviderReserved=3)
            loader.open_chain(entry).table.WSPSocket(FROM, FROM, FROM, chosen, 0, 0)
        assert given == [chosen]


@each_kind
def test_fact_34_the_protocol_info_is_the_layered_entry(recorded: Recorded) -> None:
    for s in (recorded.socket(), recorded.socket(recorded.udp)):
        for optname in (winsock.SO_PROTOCOL_INFOA, winsock.SO_PROTOCOL_INFOW):
            assert winsock.getsockopt(s, winsock.SOL_SOCKET, optname) == records[s].entry.info
    assert called("WSPGetSockOpt") == []
    assert str(winsock.getsockopt(s, winsock.IPPROTO_TCP, winsock.SO_PROTOCOL_INFO)) == "WSPGetSockOpt"


class TestFact35:
    """The end."""

    @each_kind
    def test_fact_35_the_last_cleanup_closes_and_cleans_up_below(self, recorded: Recorded) -> None:
        sockets = [recorded.socket(), recorded.socket(recorded.udp)]
        beneath = [recorded.below(s) if kind_of(recorded) == "non_ifs" else s for s in sockets]
        tables, started = [records[s].table for s in sockets], below(recorded)
        tables[0].WSPCleanup()
        assert called("WSPCloseSocket") == []
        tables[1].WSPCleanup()
        assert called("WSPCloseSocket") == [(s,) for s in beneath]
        assert Lower.cleanups == started
        assert recorded.provider.entries == []
        for s in beneath:
            with pytest.raises(OSError, match="Bad file"):
                os.fstat(s)
        loader.opened.clear()  # they are cleaned up already

    @each_kind
    def test_fact_35_wsacleanup_does_so(self, recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
        s = recorded.socket()
        winsock.send(s, b"twelve bytes")
        started = below(recorded)
        process.cleanup()
        assert Lower.cleanups == started
        assert len(called("WSPCloseSocket")) == 1
        assert records == {}
        assert "12 bytes sent, 0 received" in capsys.readouterr().err

    @each_kind
    def test_fact_35_and_it_starts_anew(self, recorded: Recorded) -> None:
        recorded.socket()
        process.cleanup()
        process.startup()
        recorded.socket()
        assert recorded.layered().sent == 0
        assert len(recorded.provider.entries) == 2

    def test_fact_35_a_socket_closed_behind_our_back_harms_no_other(self, non_ifs: Recorded) -> None:
        gone, other = non_ifs.socket(), non_ifs.socket()
        table, beneath = records[other].table, non_ifs.below(other)
        os.close(gone)
        table.WSPCleanup()
        assert (beneath,) in called("WSPCloseSocket")
        assert len(Lower.cleanups) == 1
        loader.opened.clear()  # they are cleaned up already


def kind_of(recorded: Recorded) -> str:
    return "ifs" if recorded.provider.IFS else "non_ifs"


class TestFact37:
    """Contexts are counted, and locked."""

    def test_fact_37_a_handle_stays_until_the_last_call_comes_back(self, non_ifs: Recorded) -> None:
        wait = Lower.waits["WSPRecv"] = Wait()
        s = non_ifs.socket()
        table, context = records[s].table, upcalls_of(non_ifs).WPUQuerySocketHandleContext(s)
        beneath = non_ifs.below(s)
        answers: list[object] = []
        reader = threading.Thread(target=lambda: answers.append(table.WSPRecv(s, [bytearray(9)])), daemon=True)
        reader.start()
        assert wait.entered.wait(20)
        winsock.closesocket(s)
        assert called("WSPCloseSocket") == [(beneath,)]  # below it is closed at once
        assert upcalls_of(non_ifs).WPUQuerySocketHandleContext(s) is context
        assert error_of(lambda: winsock.send(s, b"x")) == "WSAENOTSOCK"
        assert error_of(lambda: winsock.closesocket(s)) == "WSAENOTSOCK"
        wait.leave.set()
        reader.join(20)
        assert answers == [(3, 0)]
        assert s not in records
        assert non_ifs.layered().sockets == {}

    def test_fact_37_a_close_that_fails_leaves_the_socket_open(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        s = non_ifs.socket()
        with monkeypatch.context() as patched:

            def busy(*arguments: object) -> None:
                raise winsock.WinsockError(winsock.WSAEWOULDBLOCK)

            patched.setitem(lower.ANSWERS, "WSPCloseSocket", busy)
            assert error_of(lambda: winsock.closesocket(s)) == "WSAEWOULDBLOCK"
        assert winsock.send(s, b"x") == 1
        winsock.closesocket(s)
        assert s not in records

    def test_fact_37_of_two_that_close_at_once_one_is_late(self, non_ifs: Recorded) -> None:
        wait = Lower.waits["WSPCloseSocket"] = Wait()
        s = non_ifs.socket()
        closer = threading.Thread(target=winsock.closesocket, args=(s,), daemon=True)
        closer.start()
        assert wait.entered.wait(20)
        assert error_of(lambda: winsock.closesocket(s)) == "WSAENOTSOCK"
        wait.leave.set()
        closer.join(20)
        assert len(called("WSPCloseSocket")) == 1
        assert s not in records

    @each_kind
    def test_fact_37_many_threads_lose_no_byte_of_the_count(self, recorded: Recorded) -> None:
        s = recorded.socket()
        table = records[s].table

        def send() -> None:
            for _ in range(500):
                table.WSPSend(s, [b"xyz"], 0)

        threads = [threading.Thread(target=send, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert recorded.layered().sent == 8 * 500 * 3

    @pytest.mark.parametrize(("way", "cleanups"), [("cleanup", "1"), ("exit", "0")])
    @each_kind
    def test_fact_37_when_the_process_ends_cleanup_does_nothing(self, kind: str, way: str, cleanups: str) -> None:
        """The layer was loaded after the program said what is to be done at its end, so it is unloading before."""
        [base] = sample.install_base(lower.PATH, lower.ID, TCP)
        layer = sample.install(*KINDS[kind], "-i", "-o", base)
        program = f"""if True:
            import atexit, winsock
            from tests.examples.lower import Lower
            from winsock.dispatcher import loader
            atexit.register(lambda: print(len(Lower.cleanups)))
            atexit.register(lambda: winsock.WSACleanup() if {way == "exit"} else None)
            winsock.WSAStartup(0x0202)
            loader.open_chain(loader.catalog().find({sample.over(layer, base)}))
            assert len(Lower.starts) == 1
            if {way == "cleanup"}:
                winsock.WSACleanup()
        """
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=sample.EXAMPLES.parent, capture_output=True, text=True, timeout=60
        )
        assert (done.stdout.strip(), done.stderr) == (cleanups, "")
