"""A layer states its difference and costs nothing beside it; its structural slots keep the chain a chain."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.fakes import RECORDING, RecordingBase, catalog
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.guids import WSAID_CONNECTEX, WSAID_TRANSMITFILE
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.api import sockets, transfer
from winsock.core.journal import journal
from winsock.dispatcher import handles, loader, process
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import find, records
from winsock.spi.calling import current_call
from winsock.spi.layer import STRUCTURAL, Layer, overridden
from winsock.spi.provider import FUNCTIONS, OptionValue, Provider, ReadBuffer, WriteBuffer
from winsock.spi.stats import Stats
from winsock.testing import World, through


class Pass(Layer):
    pass


class Refuse(Layer):
    def connecting(self, address: Sockaddr) -> None:
        raise e.WinsockError(e.WSAEACCES)


class Broken(Layer):
    def connecting(self, address: Sockaddr) -> None:
        raise KeyError("nonsense")


class Redirect(Layer):
    answer: object = None

    def connecting(self, address: Sockaddr) -> Sockaddr | None:
        return self.answer  # type: ignore[return-value]


class Datagrams(Redirect):
    datagrams = True


class Counting(Layer):
    def __init__(self) -> None:
        self.connects: list[Sockaddr] = []

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        self.connects.append(name)
        return super().WSPConnect(s, name, caller_data, callee_data, sqos, gqos)


class Gate(Layer):
    """Lets only the ports in `wanted` in."""

    def __init__(self) -> None:
        self.wanted: set[int] = set()
        self.offered: list[int] = []

    def accepted(self, address: Sockaddr | None) -> None:
        assert isinstance(address, SockaddrIn)
        self.offered.append(address.port)
        if address.port not in self.wanted:
            raise PermissionError("not invited")


class Closing(Layer):
    def __init__(self) -> None:
        self.stats: list[Stats] = []

    def closed(self, stats: Stats) -> None:
        self.stats.append(stats)


class BrokenClosing(Layer):
    def closed(self, stats: Stats) -> None:
        raise RuntimeError("too late")


class Asking(Layer):
    def connecting(self, address: Sockaddr) -> None:
        ASKED.append(current_call())


class Selfmade(Layer):
    """Goes round the forwarding methods of `Layer`."""

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: object = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        return self.next.WSPSocket(af, type, protocol, self.next_info, g, flags)


ASKED: list[object] = []


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    written: list[str] = []
    monkeypatch.setattr(journal, "sink", written.append)
    RecordingBase.forget()
    ASKED.clear()
    yield written
    while process.is_started():
        process.cleanup()


def opened(*layers: type, family: int = c.AF_INET, type: int = c.SOCK_STREAM, base: str = RECORDING) -> Chain:
    """The chain of the layers over the recording base."""
    installed = catalog(*layers, base=base)
    process.startup(catalog=installed)
    return loader.open_chain(installed.match(family, type, 0))


def base_chain(entry_id: int = 1001) -> Chain:
    return loader.open_chain(loader.catalog().find(entry_id))


def new_socket(chain: Chain) -> int:
    info = chain.entry.info
    return chain.table.WSPSocket(info.iAddressFamily, info.iSocketType, info.iProtocol, info, 0, 0)


def seen(function: str) -> list[object]:
    return [what for name, what in RecordingBase.seen if name == function]


class Transfers(Layer):
    """Takes part in sending and receiving, and counts."""

    def __init__(self) -> None:
        self.bytes: list[int | None] = []

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        count = super().WSPSend(s, buffers, flags, overlapped, completion_routine, thread_id)
        self.bytes.append(count)
        return count

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        answer = super().WSPRecv(s, buffers, flags, overlapped, completion_routine, thread_id)
        self.bytes.append(None if answer is None else answer[0])
        return answer


class Later(RecordingBase):
    """Says that every transfer goes on, and writes down who is to be told of its end."""

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], flags: int = 0, *rest: object) -> None:  # type: ignore[override]
        self.seen.append(("WSPSend", rest))

    def WSPRecv(self, s: int, buffers: Sequence[WriteBuffer], flags: int = 0, *rest: object) -> None:
        self.seen.append(("WSPRecv", rest))

    def WSPGetOverlappedResult(self, s: int, overlapped: object, wait: bool) -> tuple[int, int]:
        self.seen.append(("WSPGetOverlappedResult", (overlapped, wait)))
        return 5, 0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


class TestSlots:
    def test_a_layer_that_overrides_nothing_adds_nothing(self) -> None:
        chain, base = opened(Pass, Pass, Pass), base_chain()
        for name in set(FUNCTIONS) - set(STRUCTURAL):
            assert getattr(chain.table, name) is getattr(base.table, name), name

    def test_an_override_gets_a_slot_and_the_rest_stay_the_bases(self) -> None:
        chain, base = opened(Pass, Counting), base_chain()
        assert chain.table.WSPConnect is not base.table.WSPConnect
        for name in set(FUNCTIONS) - set(STRUCTURAL) - {"WSPConnect"}:
            assert getattr(chain.table, name) is getattr(base.table, name), name

    def test_structural_slots_are_always_the_layers_own(self) -> None:
        chain, base = opened(Pass), base_chain()
        for name in STRUCTURAL:
            assert getattr(chain.table, name) is not getattr(base.table, name), name

    def test_the_table_is_whole(self) -> None:
        assert opened(Pass).table.missing() == []

    def test_a_slot_is_called_once_for_each_layer_that_has_it(self) -> None:
        chain = opened(Counting, Pass, Counting)
        s = new_socket(chain)
        upper, _, lower = chain.layers
        assert isinstance(upper, Counting)
        assert isinstance(lower, Counting)
        with pytest.raises(e.WinsockError):
            chain.table.WSPConnect(s, SockaddrIn("127.0.0.1", 1))
        assert upper.connects == lower.connects == [SockaddrIn("127.0.0.1", 1)]

    @pytest.mark.parametrize("layers", [(Pass, Pass), (Transfers, Pass), (Pass, Transfers)])
    def test_overlapped_calls_go_down_as_they_are(self, layers: tuple[type[Layer], ...]) -> None:
        """LSP-019: the structure is the base's to complete, also where a layer takes part in the call."""
        chain = opened(*layers, base=f"{__name__}:Later")
        given = (object(), lambda *_: None, object())
        s = new_socket(chain)
        assert chain.table.WSPSend(s, [b"x"], 0, *given) is None
        assert chain.table.WSPRecv(s, [bytearray(1)], 0, *given) is None
        assert chain.table.WSPGetOverlappedResult(s, given[0], True) == (5, 0)
        assert RecordingBase.seen[1:] == [
            ("WSPSend", given),
            ("WSPRecv", given),
            ("WSPGetOverlappedResult", (given[0], True)),
        ]
        base = base_chain()
        for name in ("WSPSend", "WSPRecv", "WSPGetOverlappedResult"):
            if Transfers not in layers or name == "WSPGetOverlappedResult":
                assert getattr(chain.table, name) is getattr(base.table, name)

    def test_a_file_that_is_read_and_written_is_not_seen(self, listener: socket.socket) -> None:
        """LSP-020: the handle is the base's."""
        with World(through(Transfers)) as world:
            s = world.stream()
            sockets.connect(s, listener.getsockname())
            [layer] = records[s].chain.layers
            assert isinstance(layer, Transfers)
            with listener.accept()[0] as peer:
                assert os.write(s, b"past") == 4
                transfer.send(s, b" through")
                assert peer.recv(12, socket.MSG_WAITALL) == b"past through"
                peer.sendall(b"answer")
                assert os.read(s, 2) == b"an"
                assert transfer.recv(s, 4) == b"swer"
            assert layer.bytes == [8, 4]

    def test_every_function_is_forwarded(self) -> None:
        """A subclass may call super() for any of the 30."""
        layer = Pass()
        for name in FUNCTIONS:
            assert getattr(type(layer), name) is not getattr(Provider, name), name


class TestOverridden:
    def test_structural_slots_count_nowhere(self) -> None:
        assert overridden(Pass) == frozenset()

    def test_functions_and_hooks_count(self) -> None:
        assert overridden(Counting) == {"WSPConnect"}
        assert overridden(Refuse) == {"WSPConnect"}
        assert overridden(Gate) == {"WSPAccept"}
        assert overridden(Selfmade) == {"WSPSocket"}

    def test_hooks_that_stand_for_no_function_do_not_count(self) -> None:
        assert overridden(Closing) == frozenset()

    def test_what_is_inherited_from_another_layer_counts(self) -> None:
        assert overridden(Datagrams) == {"WSPConnect"}

    def test_a_provider_that_is_no_layer_has_all_that_it_has(self) -> None:
        assert overridden(RecordingBase) == set(FUNCTIONS)
        assert overridden(object) == frozenset()


class TestNames:
    def test_a_layer_without_a_name_is_called_as_its_class(self) -> None:
        assert (Pass.name, Datagrams.name) == ("pass", "datagrams")

    def test_a_name_is_not_inherited(self) -> None:
        class Named(Layer):
            name = "given"

        class Heir(Named):
            pass

        assert (Named.name, Heir.name) == ("given", "heir")

    def test_log_writes_a_line(self, lines: list[str]) -> None:
        Pass().log("a word")
        assert lines == ["a word"]


class TestHandles:
    def test_every_layer_hands_the_handle_up_and_the_uppermost_wins(self) -> None:
        chain = opened(Pass, Pass)
        s = new_socket(chain)
        record = find(s)
        assert record.table is chain.table
        assert record.entry is chain.entry

    def test_an_override_that_forgets_to_hand_up_is_not_bypassed(self) -> None:
        chain = opened(Selfmade)
        assert find(new_socket(chain)).table is chain.table

    def test_an_accepted_handle_belongs_to_the_chain(self) -> None:
        chain = opened(Pass, Pass)
        s = new_socket(chain)
        chain.table.WSPBind(s, SockaddrIn("127.0.0.1", 0))
        chain.table.WSPListen(s, 1)
        with socket.create_connection(chain.table.WSPGetSockName(s)) as client:  # type: ignore[arg-type]
            accepted, peer = chain.table.WSPAccept(s, None, None)
            assert peer == SockaddrIn(*client.getsockname())
            assert find(accepted).table is chain.table


class TestPropagation:
    def test_the_base_is_started_for_its_own_entry(self) -> None:
        chain = opened(Pass, Pass)
        assert {info.dwCatalogEntryId for info in RecordingBase.starts} == {1001}
        upper, lower = chain.layers
        assert upper.info == upper.next_info == lower.info == chain.entry.info
        assert lower.next_info == base_chain().entry.info

    def test_the_base_sees_its_own_info(self) -> None:
        chain = opened(Pass, Pass)
        base_info = base_chain().entry.info
        s = new_socket(chain)
        chain.table.WSPAddressToString(SockaddrIn("127.0.0.1", 1), chain.entry.info)
        chain.table.WSPStringToAddress("127.0.0.1:1", c.AF_INET, chain.entry.info)
        assert seen("WSPSocket") == [(c.AF_INET, c.SOCK_STREAM, c.IPPROTO_TCP, base_info, 0, 0)]
        assert seen("WSPAddressToString") == seen("WSPStringToAddress") == [base_info]
        assert s >= 0

    def test_the_secret_of_a_duplicate_goes_down(self) -> None:
        chain = opened(Pass, Pass)
        info = chain.entry.info._replace(dwProviderReserved=77)
        chain.table.WSPSocket(c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, c.FROM_PROTOCOL_INFO, info, 0, 0)
        [(af, type, protocol, handed, _, _)] = seen("WSPSocket")  # type: ignore[misc]
        assert (af, type, protocol) == (-1, -1, -1)  # type: ignore[has-type]
        assert handed == base_chain().entry.info._replace(dwProviderReserved=77)  # type: ignore[has-type]

    def test_with_a_secret_nothing_else_may_have_changed(self) -> None:
        chain = opened(Pass, Pass)
        from_info = (c.FROM_PROTOCOL_INFO,) * 3
        for changed in ({"szProtocol": "other"}, {"iSocketType": 9}):
            info = chain.entry.info._replace(dwProviderReserved=77, **changed)
            with refused(e.WSAEINVAL):
                chain.table.WSPSocket(*from_info, info, 0, 0)
        assert seen("WSPSocket") == []

    def test_a_duplicates_info_comes_back_as_the_layered_entry(self) -> None:
        chain = opened(Pass, Pass)
        info = chain.table.WSPDuplicateSocket(new_socket(chain), 4242)
        assert info == chain.entry.info._replace(dwProviderReserved=4242)

    def test_the_protocol_of_a_socket_is_the_entry_that_was_opened(self) -> None:
        chain = opened(Pass, Pass)
        s = new_socket(chain)
        for option in (c.SO_PROTOCOL_INFO, c.SO_PROTOCOL_INFOA):
            assert chain.table.WSPGetSockOpt(s, c.SOL_SOCKET, option) == chain.entry.info
        assert chain.table.WSPGetSockOpt(s, c.SOL_SOCKET, c.SO_TYPE) == 0
        assert seen("WSPGetSockOpt") == [(c.SOL_SOCKET, c.SO_TYPE)]


class TestConnecting:
    def connect(self, chain: Chain, address: Sockaddr) -> None:
        chain.table.WSPConnect(new_socket(chain), address)

    def redirected(self, answer: object, family: int = c.AF_INET) -> Chain:
        chain = opened(Redirect, family=family)
        layer = chain.layers[0]
        assert isinstance(layer, Redirect)
        layer.answer = answer
        return chain

    def test_none_lets_the_connect_be(self, listener: socket.socket) -> None:
        address = SockaddrIn(*listener.getsockname())
        self.connect(self.redirected(None), address)
        assert seen("WSPConnect") == [address]

    @pytest.mark.parametrize("kind", [tuple, lambda name: SockaddrIn(*name)], ids=["tuple", "address"])
    def test_another_address_is_connected_to(self, listener: socket.socket, kind: type) -> None:
        self.connect(self.redirected(kind(listener.getsockname())), SockaddrIn("192.0.2.1", 9))
        assert seen("WSPConnect") == [SockaddrIn(*listener.getsockname())]

    def test_the_same_address_is_no_answer(self) -> None:
        """It may be one that the socket cannot connect to; that is for the base protocol to say."""
        asked = SockaddrIn("127.0.0.1", 9)
        with pytest.raises(e.WinsockError):
            self.connect(self.redirected(SockaddrIn(*asked), c.AF_INET6), asked)
        assert seen("WSPConnect") == [asked]

    def test_an_ipv4_answer_on_an_ipv6_socket_becomes_v4_mapped(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        self.connect(self.redirected(("127.0.0.1", port), c.AF_INET6), SockaddrIn6("2001:db8::1", 9))
        assert seen("WSPConnect") == [SockaddrIn6("::ffff:127.0.0.1", port)]

    @pytest.mark.parametrize("answer", [("::1", 80), SockaddrIn6("::1", 80), "example.com", ("name", 80), 7])
    def test_what_does_not_fit_is_refused_with_a_line(self, answer: object, lines: list[str]) -> None:
        chain = self.redirected(answer)
        with pytest.raises(e.WinsockError) as caught:
            self.connect(chain, SockaddrIn("192.0.2.1", 9))
        assert caught.value.winerror == e.WSAEAFNOSUPPORT
        assert seen("WSPConnect") == []
        assert len(lines) == 1
        assert "redirect" in lines[0]

    def test_a_winsock_error_refuses(self, lines: list[str]) -> None:
        with pytest.raises(e.WinsockError) as caught:
            self.connect(opened(Refuse), SockaddrIn("192.0.2.1", 9))
        assert caught.value.winerror == e.WSAEACCES
        assert lines == []

    def test_any_other_exception_fails_the_call_with_an_audit_line(self, lines: list[str]) -> None:
        with pytest.raises(e.WinsockError) as caught:
            self.connect(opened(Pass, Broken), SockaddrIn("192.0.2.1", 9))
        assert caught.value.winerror == e.WSASYSCALLFAILURE
        assert seen("WSPConnect") == []
        [line] = lines
        for part in ("broken", "connecting", "KeyError", __file__):
            assert part in line
            assert part in str(caught.value)

    def test_a_connect_to_no_family_passes(self) -> None:
        nowhere = SockaddrOther(c.AF_UNSPEC, bytes(14))
        self.connect(opened(Refuse), nowhere)
        assert seen("WSPConnect") == [nowhere]

    def test_datagrams_are_let_be(self) -> None:
        chain = opened(Refuse, type=c.SOCK_DGRAM)
        self.connect(chain, SockaddrIn("127.0.0.1", 9))
        assert seen("WSPConnect") == [SockaddrIn("127.0.0.1", 9)]

    def test_unless_the_layer_wants_them(self) -> None:
        chain = opened(Datagrams, type=c.SOCK_DGRAM)
        layer = chain.layers[0]
        assert isinstance(layer, Datagrams)
        layer.answer = ("127.0.0.1", 10)
        self.connect(chain, SockaddrIn("127.0.0.1", 9))
        assert seen("WSPConnect") == [SockaddrIn("127.0.0.1", 10)]


class TestAccepted:
    def test_a_refused_connection_is_reset_and_the_next_one_is_waited_for(self, lines: list[str]) -> None:
        chain = opened(Gate)
        gate = chain.layers[0]
        assert isinstance(gate, Gate)
        s = new_socket(chain)
        chain.table.WSPBind(s, SockaddrIn("127.0.0.1", 0))
        chain.table.WSPListen(s, 5)
        name = chain.table.WSPGetSockName(s)
        assert isinstance(name, SockaddrIn)
        where = (name.host, name.port)
        with socket.create_connection(where) as unwanted, socket.create_connection(where) as wanted:
            gate.wanted.add(wanted.getsockname()[1])
            accepted, peer = chain.table.WSPAccept(s, None, None)
            assert peer == SockaddrIn(*wanted.getsockname())
            assert gate.offered == [unwanted.getsockname()[1], wanted.getsockname()[1]]
            with pytest.raises(ConnectionResetError):
                unwanted.recv(1)
            assert len(seen("WSPCloseSocket")) == 1
            assert find(accepted).chain is chain
        assert lines == []


class TestClosed:
    def test_the_hook_gets_addresses_and_duration(self, listener: socket.socket) -> None:
        chain = opened(Closing)
        layer = chain.layers[0]
        assert isinstance(layer, Closing)
        s = new_socket(chain)
        peer = SockaddrIn(*listener.getsockname())
        chain.table.WSPConnect(s, peer)
        local = chain.table.WSPGetSockName(s)
        handles.close(s)
        [stats] = layer.stats
        assert (stats.socket, stats.local, stats.peer, stats.protocol) == (s, local, peer, "tcp")
        assert stats.duration_s is not None
        assert (stats.sent, stats.received) == (0, 0)

    def test_what_is_not_known_is_none(self) -> None:
        chain = opened(Closing, type=c.SOCK_DGRAM)
        layer = chain.layers[0]
        assert isinstance(layer, Closing)
        handles.close(new_socket(chain))
        [stats] = layer.stats
        assert (stats.protocol, stats.peer, stats.sent, stats.rtt_us) == ("udp", None, None, None)

    def test_a_hook_that_raises_does_not_keep_the_socket_open(self, lines: list[str]) -> None:
        chain = opened(BrokenClosing)
        s = new_socket(chain)
        handles.close(s)
        assert seen("WSPCloseSocket") == [s]
        assert "too late" in lines[0]

    def test_nobody_is_asked_for_counters_in_vain(self) -> None:
        chain = opened(Pass)
        handles.close(new_socket(chain))
        assert seen("WSPIoctl") == []


class TestExtensions:
    """An extension function of the base leaves the table aside, and with it the layer."""

    def ask(self, chain: Chain, guid: bytes) -> None:
        chain.table.WSPIoctl(new_socket(chain), c.SIO_GET_EXTENSION_FUNCTION_POINTER, guid, 8)

    def test_one_that_would_go_round_an_override_is_refused(self) -> None:
        with pytest.raises(e.WinsockError) as caught:
            self.ask(opened(Refuse), WSAID_CONNECTEX.pack())
        assert caught.value.winerror == e.WSAEOPNOTSUPP
        assert seen("WSPIoctl") == []

    @pytest.mark.parametrize("guid", [WSAID_TRANSMITFILE.pack(), bytes(16), b"short"])
    def test_others_are_the_bases_affair(self, guid: bytes) -> None:
        self.ask(opened(Refuse), guid)
        assert seen("WSPIoctl") == [c.SIO_GET_EXTENSION_FUNCTION_POINTER]


def test_current_call_tells_function_and_handle(listener: socket.socket) -> None:
    chain = opened(Pass, Asking)
    s = new_socket(chain)
    chain.table.WSPConnect(s, SockaddrIn(*listener.getsockname()))
    [call] = ASKED
    assert (call.function, call.socket_id) == ("WSPConnect", s)  # type: ignore[attr-defined]


def test_option_values_pass_through(listener: socket.socket) -> None:
    chain = opened(Pass)
    value: OptionValue = (1, 5)
    chain.table.WSPSetSockOpt(new_socket(chain), c.SOL_SOCKET, c.SO_LINGER, value)
    assert seen("WSPSetSockOpt") == [(c.SOL_SOCKET, c.SO_LINGER, (1, 5))]
