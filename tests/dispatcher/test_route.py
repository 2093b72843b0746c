"""The prologue: started? handle? And the thread's last error."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest

from tests.fakes import RECORDING, RecordingBase, catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.api import transfer
from winsock.dispatcher import handles, loader, process, route, threads
from winsock.dispatcher.records import find, senders
from winsock.spi.layer import Layer
from winsock.spi.provider import ReadBuffer


@route.function
def name_of(s: int) -> object:
    """A function of the API."""
    return route.find(s).entry.info.szProtocol


def failing(s: int) -> str:
    """The error of the function, which is also the last error."""
    with pytest.raises(e.WinsockError) as caught:
        name_of(s)
    assert threads.current().last_error == caught.value.winerror
    return caught.value.name


class Direct(RecordingBase):
    """Offers a way to send beside its table, and writes down what came of it."""

    def direct_send(self, s: int) -> Callable[[ReadBuffer, int], int] | None:

        def send(buffer: ReadBuffer, flags: int) -> int:
            DIRECT.append((bytes(buffer), flags))
            return len(buffer)

        return send

    def after_direct_send(self, s: int, buffer: ReadBuffer, outcome: int | Exception) -> int:
        if isinstance(outcome, Exception):
            raise e.WinsockError(e.WSAECONNRESET)
        return outcome + 1

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], flags: int = 0, *rest: object) -> int:
        if flags:
            raise e.WinsockError(e.WSAEINVAL)
        return 100


class Pass(Layer):
    pass


class Sending(Layer):
    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        return self.next.WSPSend(s, buffers, flags, overlapped, completion_routine, thread_id)


DIRECT: list[tuple[bytes, int]] = []


def new_socket(*layers: type, base: str = RECORDING) -> int:
    process.startup(catalog=catalog(*layers, base=base))
    entry = loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0)
    return loader.open_chain(entry).table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, entry.info, 0, 0)


def test_a_function_reaches_its_record() -> None:
    assert name_of(new_socket()) == "MSAFD Tcpip [TCP/IP]"
    assert name_of.__doc__ == "A function of the API."


def test_before_startup_nothing_works() -> None:
    """INIT-007."""
    assert failing(3) == "WSANOTINITIALISED"
    assert route.refusal(3).winerror == e.WSANOTINITIALISED
    with pytest.raises(e.WinsockError):
        route.require_started()


def test_what_is_no_handle_is_refused() -> None:
    new_socket()
    route.require_started()
    assert failing(99999) == "WSAENOTSOCK"
    threads.current().last_error = 0
    assert route.refusal(99999).winerror == threads.current().last_error == e.WSAENOTSOCK


def test_a_reused_number_is_refused() -> None:
    s = new_socket()
    os.close(s)
    assert failing(s) == "WSAENOTSOCK"


def test_success_leaves_the_last_error() -> None:
    s = new_socket()
    threads.current().last_error = 10054
    name_of(s)
    assert threads.current().last_error == 10054


def test_other_exceptions_are_none_of_winsocks() -> None:
    @route.function
    def wrong() -> None:
        raise TypeError

    with pytest.raises(TypeError):
        wrong()
    assert threads.current().last_error == 0


class TestSend:
    """The shortest way there is, as long as nobody stands between."""

    @pytest.fixture(autouse=True)
    def nothing_sent(self) -> None:
        DIRECT.clear()

    base = f"{__name__}:Direct"

    @pytest.mark.parametrize("layers", [(), (Pass,), (Pass, Pass)])
    def test_the_bases_own_way_is_learned(self, layers: tuple[type, ...]) -> None:
        s = new_socket(*layers, base=self.base)
        assert s not in senders
        assert transfer.send(s, b"abc") == 3
        assert DIRECT == [(b"abc", route.NO_SIGNAL)]
        direct = senders[s]
        assert direct is not None
        assert direct(b"abc", route.NO_SIGNAL) == 3

    def test_a_layer_that_sends_is_never_passed_by(self) -> None:
        s = new_socket(Pass, Sending, base=self.base)
        for _ in range(2):
            assert transfer.send(s, b"x") == 100
            assert senders[s] is None
        assert DIRECT == []

    def test_a_base_need_not_offer_one(self) -> None:
        s = new_socket()
        with pytest.raises(OSError, match="Broken pipe"):
            transfer.send(s, b"x")
        assert senders[s] is None

    def test_it_is_forgotten_with_the_handle(self) -> None:
        s = new_socket(Pass, base=self.base)
        transfer.send(s, b"x")
        handles.close(s)
        assert s not in senders

    def test_it_is_forgotten_when_a_layer_takes_the_handle(self) -> None:
        s = new_socket(Pass, base=self.base)
        transfer.send(s, b"x")
        chain = find(s).chain
        chain.layers[0].upcalls.WPUModifyIFSHandle(chain.ids[0], s)
        assert s not in senders

    def test_the_provider_goes_on_from_a_short_count(self) -> None:
        s = new_socket(base=self.base)
        assert route.after_direct_send(s, b"xyz", 1) == 2

    def test_an_exception_becomes_the_providers_error(self) -> None:
        s = new_socket(base=self.base)
        with pytest.raises(e.WinsockError) as caught:
            route.after_direct_send(s, b"xyz", OSError())
        assert caught.value.winerror == threads.current().last_error == e.WSAECONNRESET

    def test_a_socket_closed_meanwhile_is_none(self) -> None:
        s = new_socket(base=self.base)
        handles.close(s)
        with pytest.raises(e.WinsockError) as caught:
            route.after_direct_send(s, b"xyz", OSError())
        assert caught.value.winerror == e.WSAENOTSOCK

    def test_errors_of_the_slot_are_the_last_error(self) -> None:
        s = new_socket(base=self.base)
        with pytest.raises(e.WinsockError):
            transfer.send(s, b"x", 1)
        assert threads.current().last_error == e.WSAEINVAL

    @pytest.mark.parametrize("s", [99999, [], None])
    def test_what_is_no_handle_is_refused(self, s: int) -> None:
        process.startup(catalog=catalog())
        with pytest.raises(e.WinsockError) as caught:
            transfer.send(s, b"x")
        assert caught.value.winerror == threads.current().last_error == e.WSAENOTSOCK
