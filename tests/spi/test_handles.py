"""A layer with handles of its own: every call is translated, and so is every handle inside of one."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from tests.dispatcher.strangers import settle
from tests.waiting import wait_until
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.guids import WSAID_ACCEPTEX
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.api import sockets, transfer
from winsock.core.journal import journal
from winsock.core.netevents import NO_EVENTS, NetworkEvents
from winsock.dispatcher import handles, loader, process
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import find, identity_of, records
from winsock.dispatcher.redirector import as_file
from winsock.overlapped.messages import Message, MessageQueue
from winsock.spi.handles import HANDLE, Context, NonIfsLayer, base_handle
from winsock.spi.layer import Layer, overridden
from winsock.spi.provider import FUNCTIONS, OptionValue, ReadBuffer, WriteBuffer
from winsock.spi.stats import Stats
from winsock.testing import World, through


class Own(NonIfsLayer):
    pass


class Pass(Layer):
    pass


class Memory(Context):
    sent = received = 0


class Remembering(NonIfsLayer):
    """Counts what each handle sends and receives, in its context."""

    context_type = Memory

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        count = super().WSPSend(s, buffers, flags)
        self.context(s).sent += count or 0
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
        answer = super().WSPRecv(s, buffers, flags)
        self.context(s).received += answer[0] if answer else 0
        return answer


class Direct(NonIfsLayer):
    """Goes round its own kind: hands up what the provider below answers."""

    def WSPSocket(self, *args: Any, **kwargs: Any) -> int:
        return self.next.WSPSocket(*args, **kwargs)


class Raising(NonIfsLayer):
    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        raise KeyError("nonsense")


class Hooks(NonIfsLayer):
    def __init__(self) -> None:
        self.told: list[object] = []

    def connecting(self, address: Sockaddr) -> None:
        self.told.append(address)

    def accepted(self, address: Sockaddr | None) -> None:
        self.told.append(address)

    def closed(self, stats: Stats) -> None:
        self.told.append((stats.socket, stats.handle, stats.peer))


class Below(Layer):
    """Writes down what it is called with, and answers in place of a base that does not offer it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.seen.append((s, level, optname, value))

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        self.seen.append((s, event, events))

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        self.seen.append((s, event))
        return NO_EVENTS

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        self.seen.append((s, window, message, events))

    def WSPGetOverlappedResult(self, s: int, overlapped: object, wait: bool) -> tuple[int, int]:
        self.seen.append((s, overlapped, wait))
        return 0, 0

    def WSPGetQOSByName(self, s: int, name: str) -> list[str]:
        self.seen.append((s, name))
        return []

    def WSPCancelBlockingCall(self) -> None:
        self.seen.append(())

    def WSPJoinLeaf(self, s: int, name: Sockaddr, *rest: Any) -> int:
        self.seen.append((s, name, *rest))
        return self.next.WSPSocket(0, 0, 0, self.next_info, 0, 0) if rest[-1] else s

    def WSPSocket(self, *args: Any) -> int:
        self.seen.append(args)
        return self.next.WSPSocket(*args)


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    written: list[str] = []
    monkeypatch.setattr(journal, "sink", written.append)
    yield written
    while process.is_started():
        process.cleanup()


def stands_for(descriptor: int, file: bytes) -> bool:
    try:
        return identity_of(descriptor) == file
    except OSError:
        return False


def opened(*layers: type[Layer]) -> Chain:
    installed = through(*layers)
    process.startup(catalog=installed)
    return loader.open_chain(installed.match(c.AF_INET, c.SOCK_STREAM, 0))


def new_socket(chain: Chain, flags: int = 0) -> int:
    return chain.table.WSPSocket(c.AF_INET, c.SOCK_STREAM, c.IPPROTO_TCP, chain.entry.info, 0, flags)


def own(chain: Chain) -> NonIfsLayer:
    return next(layer for layer in chain.layers if isinstance(layer, NonIfsLayer))


def below(chain: Chain) -> Below:
    return next(layer for layer in chain.layers if isinstance(layer, Below))


def listening(chain: Chain) -> int:
    s = new_socket(chain)
    chain.table.WSPBind(s, SockaddrIn("127.0.0.1", 0))
    chain.table.WSPListen(s, 5)
    return s


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(e.WinsockError) as caught:
        call()
    return caught.value.name


class TestHandles:
    def test_a_handle_stands_for_the_one_below(self) -> None:
        """HND-001; samples.md 14, 15."""
        chain = opened(Own)
        s = new_socket(chain)
        lower = own(chain).lower(s)
        assert s != lower
        assert (find(s).table, find(s).made) == (chain.table, True)
        assert own(chain).upcalls.WPUQuerySocketHandleContext(s) is own(chain).context(s)
        assert base_handle(chain.table, s) == lower

    @pytest.mark.parametrize("is_file", [False, True], ids=["socket", "file"])
    def test_the_layer_sees_all_that_crosses_its_handles(self, is_file: bool) -> None:
        """LSP-017: by the functions of the application interface, and by those for files."""
        send, receive = (os.write, os.read) if is_file else (transfer.send, transfer.recv)
        with World(through(Remembering)) as world, socket.create_server(("127.0.0.1", 0)) as server:
            s = world.stream()
            sockets.connect(s, server.getsockname())
            memory = own(records[s].chain).context(s)
            if is_file:
                as_file(s)
            with server.accept()[0] as peer:
                assert send(s, b"four") == 4
                assert peer.recv(4, socket.MSG_WAITALL) == b"four"
                peer.sendall(b"seven b")
                received = b""
                while len(received) < 7:
                    received += receive(s, 7)
                assert received == b"seven b"
            wait_until(lambda: (memory.sent, memory.received) == (4, 7), "the layer's count")

    def test_nothing_can_be_read_or_written_round_the_layer(self) -> None:
        s = new_socket(opened(Own))
        with pytest.raises(OSError, match="Bad file"):
            os.read(s, 1)

    def test_layers_stand_above_each_other(self) -> None:
        chain = opened(Own, Own, Pass, Own)
        s = new_socket(chain)
        layers = [layer for layer in chain.layers if isinstance(layer, NonIfsLayer)]
        down = [s]
        for layer in layers:
            down.append(layer.lower(down[-1]))
        assert len(set(down)) == 4
        assert base_handle(chain.table, s) == down[-1]
        assert find(s).table is chain.table

    def test_what_is_below_is_never_inherited(self) -> None:
        chain = opened(Own)
        for flags, inheritable in ((0, True), (c.WSA_FLAG_NO_HANDLE_INHERIT, False)):
            s = new_socket(chain, flags)
            assert own(chain).context(s).inheritable is inheritable
            assert not os.get_inheritable(own(chain).lower(s))

    def test_the_socket_below_is_always_overlapped(self) -> None:
        """samples.md 14."""
        chain = opened(Own, Below)
        new_socket(chain)
        [(*_, flags)] = below(chain).seen
        assert flags & c.WSA_FLAG_OVERLAPPED

    def test_close_ends_both_the_lower_first(self) -> None:
        """samples.md 28."""
        chain = opened(Own)
        s = new_socket(chain)
        lower = own(chain).lower(s)
        handles.close(s)
        assert not {s, lower} & set(records)
        for descriptor in (s, lower):
            with pytest.raises(OSError, match="Bad file"):
                os.fstat(descriptor)
        assert code_of(lambda: own(chain).context(s)) == "WSAENOTSOCK"

    @pytest.mark.parametrize("s", [99999, -1, "x", None, []])
    def test_other_handles_are_none(self, s: Any) -> None:
        chain = opened(Own)
        assert code_of(lambda: chain.table.WSPSend(s, (b"x",))) == "WSAENOTSOCK"
        assert code_of(lambda: chain.table.WSPListen(s, 5)) == "WSAENOTSOCK"
        assert code_of(lambda: chain.table.WSPCloseSocket(s)) == "WSAENOTSOCK"

    def test_of_two_threads_that_close_a_handle_one_closes_what_is_below(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other comes too late while the first is still at it, and the number below may be another's by then."""
        chain = opened(Own)
        s = new_socket(chain)
        closed: list[int] = []
        codes: list[str] = []

        def close(lower: int) -> None:
            closed.append(lower)
            if len(closed) == 1:
                codes.append(code_of(lambda: chain.table.WSPCloseSocket(s)))
            socket.close(lower)

        expected = [own(chain).lower(s)]
        monkeypatch.setattr(own(chain).next, "WSPCloseSocket", close)
        chain.table.WSPCloseSocket(s)
        assert (closed, codes) == (expected, ["WSAENOTSOCK"])

    def test_a_close_that_fails_below_leaves_the_handle_as_it_was(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chain = opened(Own)
        s = new_socket(chain)
        lower = own(chain).lower(s)

        def refuse(_: int) -> None:
            raise e.WinsockError(e.WSAEINPROGRESS)

        with monkeypatch.context() as patched:
            patched.setattr(own(chain).next, "WSPCloseSocket", refuse)
            assert code_of(lambda: chain.table.WSPCloseSocket(s)) == "WSAEINPROGRESS"
        assert own(chain).lower(s) == lower
        chain.table.WSPCloseSocket(s)

    def test_a_handle_closed_behind_our_back_ends_when_its_number_is_taken(self) -> None:
        chain = opened(Own)
        s = new_socket(chain)
        lower = own(chain).lower(s)
        before = identity_of(lower)
        os.close(s)
        taken = new_socket(chain)  # what is below it gets the lowest number that is free
        assert own(chain).lower(taken) == s
        settle()
        assert code_of(lambda: own(chain).context(s)) == "WSAENOTSOCK"
        assert not stands_for(lower, before)

    def test_where_no_handle_is_to_be_had_the_lower_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chain = opened(Own, Below)

        def refuse(*arguments: object) -> int:
            raise e.WinsockError(e.WSAENOBUFS)

        monkeypatch.setattr(type(own(chain).upcalls), "WPUCreateSocketHandle", refuse)
        before = set(records)
        assert code_of(lambda: new_socket(chain)) == "WSAENOBUFS"
        assert set(records) == before

    def test_cleanup_closes_what_is_open(self) -> None:
        """samples.md 35."""
        chain = opened(Own, Own)
        s = new_socket(chain)
        base = base_handle(chain.table, s)
        process.cleanup()
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(base)
        assert not records

    def test_a_lent_handle_is_the_same_above_and_below(self) -> None:
        chain = opened(Pass, Own, Own)
        with socket.create_server(("127.0.0.1", 0)) as server:
            record = handles.adopt(server.fileno(), chain.entry)
            assert [layer.lower(server.fileno()) for layer in chain.layers if isinstance(layer, NonIfsLayer)] == [
                server.fileno()
            ] * 2
            assert chain.table.WSPGetSockName(record.handle) == SockaddrIn(*server.getsockname())
            handles.release(record.handle)
            assert server.fileno() >= 0
            os.fstat(server.fileno())

    def test_a_lent_number_may_be_lent_again(self) -> None:
        chain = opened(Own)
        with socket.create_server(("127.0.0.1", 0)) as server:
            for _ in range(2):
                handles.adopt(server.fileno(), chain.entry)
            os.fstat(server.fileno())

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this host does not fork")
    def test_a_forked_child_has_nothing_below(self) -> None:
        chain = opened(Own, Pass, Own)
        s = new_socket(chain)
        base = base_handle(chain.table, s)
        child = os.fork()
        if child == 0:
            os._exit(_seen_in_child(s, base))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert base_handle(chain.table, s) == base


def _seen_in_child(s: int, base: int) -> int:
    """0 where the handle is a number, and no socket, and the base is closed."""
    os.fstat(s)
    try:
        os.fstat(base)
    except OSError:
        return int(s in records)
    return 2


class TestCalls:
    def test_every_function_is_the_layers_own(self) -> None:
        """LSP-021."""
        chain = opened(Own)
        for name in FUNCTIONS:
            assert getattr(chain.table, name) is not getattr(own(chain).next, name), name

    def test_but_none_counts_as_overridden(self) -> None:
        assert overridden(Own) == frozenset()
        assert overridden(Remembering) == {"WSPSend", "WSPRecv"}
        assert overridden(Hooks) == {"WSPConnect", "WSPAccept"}
        assert (Own.ifs_handles, Pass.ifs_handles) == (False, True)

    def test_a_context_holds_what_the_author_likes(self) -> None:
        with World(through(Remembering)) as world:
            client, server = world.connected()
            chain = records[client].chain
            chain.table.WSPSend(client, (b"four",))
            assert (own(chain).context(client).sent, own(chain).context(server).sent) == (4, 0)

    def test_an_override_that_forgets_to_wrap_is_not_bypassed(self) -> None:
        chain = opened(Direct)
        s = new_socket(chain)
        assert find(s).made
        assert own(chain).lower(s) != s

    def test_overrides_are_guarded(self, lines: list[str]) -> None:
        chain = opened(Raising)
        assert code_of(lambda: chain.table.WSPRecv(new_socket(chain), (bytearray(1),))) == "WSASYSCALLFAILURE"
        assert "WSPRecv raised KeyError" in lines[0]

    def test_hooks_work_as_on_any_layer(self) -> None:
        with World(through(Hooks)) as world:
            client, server = world.connected()
            layer = own(records[client].chain)
            assert isinstance(layer, Hooks)
            table = records[client].table
            here, there = table.WSPGetSockName(client), table.WSPGetPeerName(client)
            handles.close(client)
            assert layer.told[-1] == (client, client, there)
            assert layer.told[:2] == [there, here]
            assert server in records

    def test_accepted_handles_are_made(self) -> None:
        """samples.md 16."""
        chain = opened(Own, Own)
        s = listening(chain)
        with socket.create_connection(chain.table.WSPGetSockName(s)) as client:  # type: ignore[arg-type]
            accepted, peer = chain.table.WSPAccept(s, None, None)
            assert peer == SockaddrIn(*client.getsockname())
            assert find(accepted).made
            assert own(chain).lower(accepted) != accepted
            chain.table.WSPSend(accepted, (b"hello",))
            assert client.recv(5) == b"hello"

    def test_a_leaf_is_made_and_the_root_itself_stays(self) -> None:
        """samples.md 16."""
        chain = opened(Own, Below)
        s = new_socket(chain)
        name = SockaddrIn("224.0.0.1", 9)
        leaf = chain.table.WSPJoinLeaf(s, name, None, None, None, None, c.JL_BOTH)
        assert find(leaf).made
        assert chain.table.WSPJoinLeaf(s, name, None, None, None, None, 0) == s
        assert [call[:2] for call in below(chain).seen[1:] if len(call) == 7] == [(own(chain).lower(s), name)] * 2

    def test_calls_that_only_carry_a_handle(self) -> None:
        chain = opened(Own, Below)
        s = new_socket(chain)
        lower = own(chain).lower(s)
        seen = below(chain).seen
        seen.clear()
        table = chain.table
        table.WSPEventSelect(s, "event", 3)
        table.WSPEnumNetworkEvents(s, "event")
        table.WSPAsyncSelect(s, "window", 1, 2)
        table.WSPGetOverlappedResult(s, "overlapped", True)
        table.WSPGetQOSByName(s, "name")
        table.WSPCancelBlockingCall()
        assert seen == [
            (lower, "event", 3),
            (lower, "event"),
            (lower, "window", 1, 2),
            (lower, "overlapped", True),
            (lower, "name"),
            (),
        ]

    def test_a_handle_inside_of_an_option(self) -> None:
        """samples.md 16."""
        chain = opened(Own, Below)
        s, listener = new_socket(chain), new_socket(chain)
        below(chain).seen.clear()
        lower, lower_listener = own(chain).lower(s), own(chain).lower(listener)
        option = (c.SOL_SOCKET, c.SO_UPDATE_ACCEPT_CONTEXT)
        chain.table.WSPSetSockOpt(s, *option, HANDLE.pack(listener))
        chain.table.WSPSetSockOpt(s, *option, listener)
        assert below(chain).seen == [
            (lower, *option, HANDLE.pack(lower_listener)),
            (lower, *option, lower_listener),
        ]
        for value, error in ((b"\1", "WSAEFAULT"), ((1, 2), "WSAEFAULT"), (HANDLE.pack(9999), "WSAENOTSOCK")):
            assert code_of(lambda value=value: chain.table.WSPSetSockOpt(s, *option, value)) == error  # type: ignore[misc]

    def test_the_sets_of_a_select(self) -> None:
        """samples.md 16."""
        with World(through(Own, Own)) as world:
            client, server = world.connected()
            table = records[client].table
            assert table.WSPSelect(0, [server, client], None, None, 0) == ([], [], [])
            table.WSPSend(client, (b"x",))
            assert table.WSPSelect(0, [client, server], [client, server, client], [client], 20) == (
                [server],
                [client, server],
                [],
            )
            assert code_of(lambda: table.WSPSelect(0, [9999], None, None, 0)) == "WSAENOTSOCK"
            assert code_of(lambda: table.WSPSelect(0, None, None, None, 0)) == "WSAEINVAL"

    def test_who_is_to_be_called(self) -> None:
        """samples.md 17."""
        chain = opened(Own, Own)
        s = new_socket(chain)
        upper, lower = (layer for layer in chain.layers if isinstance(layer, NonIfsLayer))

        def ask(code: int, size: int = HANDLE.size) -> object:
            return chain.table.WSPIoctl(s, code, None, size)

        for code in (c.SIO_BSP_HANDLE, c.SIO_BSP_HANDLE_POLL):
            assert ask(code) == HANDLE.pack(s)
            assert code_of(lambda code=code: ask(code, 4)) == "WSAEFAULT"  # type: ignore[misc]
        assert code_of(lambda: chain.table.WSPIoctl(s, c.SIO_BSP_HANDLE_POLL, None, 8, object())) == "WSAEFAULT"
        for code in (c.SIO_BASE_HANDLE, c.SIO_BSP_HANDLE_SELECT):
            assert ask(code) == HANDLE.pack(lower.lower(upper.lower(s)))

    def test_extension_functions_from_below_are_refused(self) -> None:
        chain = opened(Own, Below)
        s = new_socket(chain)
        for code in (c.SIO_GET_EXTENSION_FUNCTION_POINTER, c.SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER):
            assert (
                code_of(lambda code=code: chain.table.WSPIoctl(s, code, WSAID_ACCEPTEX.pack(), 8))  # type: ignore[misc]
                == "WSAEOPNOTSUPP"
            )

    def test_the_protocol_is_the_entry_that_was_opened(self) -> None:
        chain = opened(Pass, Own)
        s = new_socket(chain)
        assert chain.table.WSPGetSockOpt(s, c.SOL_SOCKET, c.SO_PROTOCOL_INFO) == chain.entry.info


class TestMessages:
    """samples.md 27: what is posted about a handle below is about the application's."""

    def test_they_bear_the_applications_handle(self) -> None:
        with World(through(Own, Pass, Own)) as world:
            client, server = world.connected()
            window = MessageQueue()
            records[client].table.WSPAsyncSelect(client, window, 7, c.FD_READ)
            records[server].table.WSPSend(server, (b"x",))
            assert window.get(20) == Message(7, client, c.FD_READ)

    def test_of_a_connection_that_is_not_accepted_yet_they_wait(self) -> None:
        chain = opened(Own)
        s = listening(chain)
        window = MessageQueue()
        layer = own(chain)
        layer._post(window, 7, 12345, c.FD_WRITE)
        assert window.get(0) is None
        lower = layer.next.WSPSocket(0, 0, 0, layer.next_info, 0, 0)
        layer._post(window, 7, lower, c.FD_READ)
        accepted = layer.make_handle(lower)
        assert window.get(0) == Message(7, accepted, c.FD_READ)
        assert window.get(0) is None
        assert s != accepted

    def test_of_a_connection_that_was_refused_there_are_none(self) -> None:
        chain = opened(Own)
        layer = own(chain)
        window = MessageQueue()
        lower = layer.next.WSPSocket(0, 0, 0, layer.next_info, 0, 0)
        layer._post(window, 7, lower, c.FD_READ)
        layer._reset(lower)
        assert layer._early == []
