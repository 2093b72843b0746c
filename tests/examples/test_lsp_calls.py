"""The facts about the published LSP sample that need events, a second process or a hook: 27, 29 and 36."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import winsock
from tests.examples import lower, sample
from tests.examples.lower import Lower
from tests.examples.test_lsp_provider import Recorded, called, error_of
from tests.examples.test_lsp_provider import ifs as ifs
from tests.examples.test_lsp_provider import non_ifs as non_ifs
from tests.examples.test_lsp_stacks import STACKS, stack
from tests.sharing.other import Other
from winsock.base import handover
from winsock.dispatcher import process
from winsock.dispatcher.records import records
from winsock.testing import World

FROM = winsock.FROM_PROTOCOL_INFO
SECONDS = 20


def windows() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "lsp-sample-window"]


class TestFact27:
    """WSPAsyncSelect by a hidden window."""

    def test_fact_27_the_layer_registers_its_own_window(self, non_ifs: Recorded) -> None:
        one, other, window = non_ifs.socket(), non_ifs.socket(), winsock.MessageQueue()
        winsock.WSAAsyncSelect(one, window, 77, winsock.FD_READ)
        winsock.WSAAsyncSelect(other, window, 78, winsock.FD_WRITE)
        registered = called("WSPAsyncSelect")
        [hidden] = {arguments[1] for arguments in registered}
        assert hidden is not window
        assert [(s, events) for s, _, _, events in registered] == [
            (non_ifs.below(one), winsock.FD_READ),
            (non_ifs.below(other), winsock.FD_WRITE),
        ]
        assert len(windows()) == 1

    def test_fact_27_each_message_is_forwarded_with_the_applications_handle(self, non_ifs: Recorded) -> None:
        one, other = non_ifs.socket(), non_ifs.socket()
        window, second = winsock.MessageQueue(), winsock.MessageQueue()
        winsock.WSAAsyncSelect(one, window, 77, winsock.FD_READ)
        winsock.WSAAsyncSelect(other, second, 78, winsock.FD_READ)
        _, hidden, message, _ = called("WSPAsyncSelect")[0]
        hidden.post(message, non_ifs.below(other), winsock.FD_READ)
        hidden.post(message, non_ifs.below(one), winsock.WSAENETDOWN << 16 | winsock.FD_CLOSE)
        assert window.get(SECONDS) == (77, one, winsock.WSAENETDOWN << 16 | winsock.FD_CLOSE)
        assert second.get(SECONDS) == (78, other, winsock.FD_READ)

    def test_fact_27_a_socket_just_accepted_is_waited_for(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first message is there before the accept has come back."""
        listener, window = non_ifs.socket(), winsock.MessageQueue()
        winsock.WSAAsyncSelect(listener, window, 77, winsock.FD_READ)
        _, hidden, message, _ = called("WSPAsyncSelect")[0]
        real = lower.ANSWERS["WSPAccept"]
        looked = threading.Event()
        find = non_ifs.provider.find

        def accept(*arguments: Any) -> Any:
            accepted, peer = real(*arguments)
            hidden.post(message, accepted, winsock.FD_READ)
            assert looked.wait(SECONDS)
            return accepted, peer

        def watched(below: int) -> Any:
            found = find(below)
            looked.set()
            return found

        monkeypatch.setitem(lower.ANSWERS, "WSPAccept", accept)
        monkeypatch.setattr(non_ifs.provider._window, "_find", watched)
        s, _ = winsock.accept(listener)
        assert window.get(SECONDS) == (77, s, winsock.FD_READ)

    def test_fact_27_but_not_for_ever(self, non_ifs: Recorded) -> None:
        s, window = non_ifs.socket(), winsock.MessageQueue()
        winsock.WSAAsyncSelect(s, window, 77, winsock.FD_READ)
        _, hidden, message, _ = called("WSPAsyncSelect")[0]
        hidden.post(message, 99_999, winsock.FD_READ)
        hidden.post(message, non_ifs.below(s), winsock.FD_CLOSE)
        assert window.get(SECONDS) == (77, s, winsock.FD_CLOSE)

    def test_fact_27_nothing_asked_for_goes_down_too(self, non_ifs: Recorded) -> None:
        s, window = non_ifs.socket(), winsock.MessageQueue()
        winsock.WSAAsyncSelect(s, window, 77, winsock.FD_READ)
        winsock.WSAAsyncSelect(s, None, 0, 0)
        assert [arguments[0::3] for arguments in called("WSPAsyncSelect")] == [
            (non_ifs.below(s), winsock.FD_READ),
            (non_ifs.below(s), 0),
        ]
        assert error_of(lambda: winsock.WSAAsyncSelect(s, None, 0, winsock.FD_READ)) == "WSAEINVAL"

    def test_fact_27_the_window_ends_with_the_layer(self, non_ifs: Recorded) -> None:
        winsock.WSAAsyncSelect(non_ifs.socket(), winsock.MessageQueue(), 77, winsock.FD_READ)
        process.cleanup()
        assert windows() == []

    def test_fact_27_event_objects_need_no_window(self, non_ifs: Recorded) -> None:
        s, event = non_ifs.socket(), winsock.WSACreateEvent()
        winsock.WSAEventSelect(s, event, winsock.FD_READ)
        assert called("WSPEventSelect") == [(non_ifs.below(s), event, winsock.FD_READ)]
        assert windows() == []
        winsock.WSACloseEvent(event)

    @pytest.mark.parametrize("name", STACKS)
    def test_fact_27_through_stacks(self, tmp_path: Path, name: str) -> None:
        """A connection, from its listener's FD_ACCEPT to its end, each message with the handle that we know."""
        stack(tmp_path, STACKS[name])
        with sample.started() as world:
            window = winsock.MessageQueue()
            listener, address = world.listener()
            winsock.WSAAsyncSelect(listener, window, 77, winsock.FD_ACCEPT | winsock.FD_READ | winsock.FD_CLOSE)
            client = world.stream()
            winsock.connect(client, address)
            assert window.get(SECONDS) == (77, listener, winsock.FD_ACCEPT)
            server, _ = winsock.accept(listener)
            winsock.send(client, b"x")
            assert window.get(SECONDS) == (77, server, winsock.FD_READ)
            assert winsock.recv(server, 9) == b"x"
            winsock.closesocket(client)
            assert window.get(SECONDS) == (77, server, winsock.FD_CLOSE)


class TestFact29:
    """Duplicated sockets."""

    def test_fact_29_the_answer_is_the_layers_own_entry_with_the_lower_secret(self, non_ifs: Recorded) -> None:
        s = non_ifs.socket()
        info = winsock.WSADuplicateSocket(s, 41)
        assert info == non_ifs.info()._replace(dwProviderReserved=42)
        assert called("WSPDuplicateSocket") == [(non_ifs.below(s), 41)]

    def test_fact_29_with_it_the_lower_socket_is_opened_and_wrapped(self, non_ifs: Recorded) -> None:
        info = winsock.WSADuplicateSocket(non_ifs.socket(), 41)
        twin = winsock.WSASocket(FROM, FROM, FROM, winsock.WSAPROTOCOL_INFO.unpack(info.pack()))
        base = non_ifs.info(non_ifs.bases[0])
        assert called("WSPSocket")[-1][:4] == (FROM, FROM, FROM, base._replace(dwProviderReserved=42))
        assert non_ifs.below(twin) != twin
        assert twin in non_ifs.layered().sockets

    def test_fact_29_the_ifs_kind_has_no_part_in_it_fact_31(self, ifs: Recorded) -> None:
        """It replaces nine functions, of which this is none: what is shared is the socket below."""
        s = ifs.socket()
        assert winsock.WSADuplicateSocket(s, 41) == ifs.info(ifs.bases[0])._replace(dwProviderReserved=42)
        assert called("WSPDuplicateSocket") == [(s, 41)]

    @pytest.fixture
    def runtime(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        yield
        handover.counter.withdraw()

    @pytest.mark.usefixtures("runtime")
    @pytest.mark.parametrize("name", STACKS)
    def test_fact_29_between_processes(self, tmp_path: Path, name: str) -> None:
        """Each process has a layer of its own, which counts what is sent in that process; the socket is one."""
        layers = stack(tmp_path, STACKS[name])
        top = list(layers)[-1]
        with sample.started() as world, Other("installed") as other:
            client, server = world.connected()
            info = winsock.WSADuplicateSocket(client, other.id)
            assert len(info.pack()) == 628
            assert other.do("send(socket(AF_INET, SOCK_STREAM, 0), b'')") == "WSAENOTCONN", "the layers are loaded"
            shared = other.take(info)
            assert other.take(info) == "WSAEINVAL"
            assert other.do(f"send({shared}, b'from the other')") == "14"
            assert winsock.recv(server, 99) == b"from the other"
            counted = other.do(
                "[entry.sent for entry in"
                f" __import__('winsock.dispatcher.loader').dispatcher.loader.load_provider({top!r}).entries]"
            )
            assert sum(eval(counted)) == (14 if name.startswith("non_ifs") else 0)
            winsock.closesocket(client)
            other.do(f"send({shared}, b'still here')")
            assert winsock.recv(server, 99) == b"still here"
            other.do(f"closesocket({shared})")
            assert winsock.recv(server, 99) == b""


class TestFact36:
    """Who is called on behalf of a thread."""

    @pytest.mark.parametrize("entry", ["tcp", "udp"])
    def test_fact_36_the_provider_that_the_thread_is_calling_is_cancelled(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch, entry: str
    ) -> None:
        s = non_ifs.socket(getattr(non_ifs, entry))
        non_ifs.socket()
        table = records[s].table

        def receive(provider: Lower, *arguments: Any) -> tuple[int, int]:
            table.WSPCancelBlockingCall()
            return 0, 0

        monkeypatch.setitem(lower.ANSWERS, "WSPRecv", receive)
        table.WSPRecv(s, [bytearray(9)])
        receiving, cancelled = Lower.calls[-2:]
        assert (receiving.function, cancelled.function) == ("WSPRecv", "WSPCancelBlockingCall")
        assert receiving.provider is cancelled.provider

    def test_fact_36_of_calls_within_calls_the_innermost(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream, datagram = non_ifs.socket(), non_ifs.socket(non_ifs.udp)
        table = records[stream].table

        def receive(provider: Lower, *arguments: Any) -> tuple[int, int]:
            table.WSPSend(datagram, [b"x"])
            table.WSPCancelBlockingCall()
            return 0, 0

        def send(provider: Lower, *arguments: Any) -> int:
            table.WSPCancelBlockingCall()
            return 1

        monkeypatch.setitem(lower.ANSWERS, "WSPRecv", receive)
        monkeypatch.setitem(lower.ANSWERS, "WSPSend", send)
        table.WSPRecv(stream, [bytearray(9)])
        receiving, sending, first, second = Lower.calls[-4:]
        assert first.function == second.function == "WSPCancelBlockingCall"
        assert first.provider is sending.provider
        assert second.provider is receiving.provider is not sending.provider

    def test_fact_36_a_thread_in_no_call_has_nothing_to_cancel(
        self, non_ifs: Recorded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And the calls of other threads are theirs."""
        s = non_ifs.socket()
        table = records[s].table
        wait = Lower.waits["WSPRecv"] = lower.Wait()
        reader = threading.Thread(target=lambda: table.WSPRecv(s, [bytearray(9)]), daemon=True)
        reader.start()
        assert wait.entered.wait(SECONDS)
        assert error_of(table.WSPCancelBlockingCall) == "WSAEINVAL"
        wait.leave.set()
        reader.join(SECONDS)
        assert called("WSPCancelBlockingCall") == []

    @pytest.mark.parametrize("name", STACKS)
    def test_fact_36_a_blocking_hook_cancels_through_stacks(self, tmp_path: Path, name: str) -> None:
        stack(tmp_path, STACKS[name])
        winsock.WSAStartup(0x0101)
        try:
            client, _ = World(process.installed()).connected()

            def cancel() -> bool:
                winsock.WSACancelBlockingCall()
                return False

            winsock.WSASetBlockingHook(cancel)
            assert error_of(lambda: winsock.recv(client, 9)) == "WSAEINTR"
            winsock.WSAUnhookBlockingHook()
        finally:
            winsock.WSACleanup()
