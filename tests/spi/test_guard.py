"""A layer's own defect becomes a Winsock error and a line."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from winsock.abi import errors as e
from winsock.abi import structures
from winsock.abi.sockaddr import SockaddrIn, SockaddrUn
from winsock.core.journal import journal
from winsock.core.netevents import NO_EVENTS, NetworkEvents
from winsock.spi import guard
from winsock.spi.guard import guarded, raised_at


class Layer:
    name = "mine"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []
    monkeypatch.setattr(journal, "sink", written.append)
    return written


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return guarded(Layer(), "WSPBind", function)


def test_results_pass(lines: list[str]) -> None:
    assert guarded(Layer(), "WSPBind", lambda a, b=2: a + b)(1, b=5) == 6
    assert lines == []


def test_a_winsock_error_passes_as_it_is(lines: list[str]) -> None:
    error = e.from_errno(111)
    with pytest.raises(e.WinsockError) as caught:
        raising(error)()
    assert caught.value is error
    assert lines == []


def test_any_other_exception_becomes_one(lines: list[str]) -> None:
    error = ZeroDivisionError("by nought")
    with pytest.raises(e.WinsockError) as caught:
        raising(error)()
    assert caught.value.winerror == e.WSASYSCALLFAILURE
    assert caught.value.__cause__ is error
    assert not caught.value.from_kernel
    assert "layer mine: WSPBind raised ZeroDivisionError: by nought" in str(caught.value)
    assert len(lines) == 1


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_where_a_layer_alone_can_raise_it_anything_is_a_defect(
    lines: list[str], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    monkeypatch.setattr(guard._Defects, "kind", Exception)
    guard.take_all_for_defects()
    with pytest.raises(e.WinsockError) as caught:
        raising(error)()
    assert caught.value.winerror == e.WSASYSCALLFAILURE
    assert caught.value.__cause__ is error
    assert len(lines) == 1


def test_an_interrupt_passes(lines: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt())()
    assert lines == []


def parse(text: str) -> None:
    json.loads(text)


def test_the_place_is_in_the_layers_own_file_though_it_was_raised_elsewhere() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        parse("{")
    line = parse.__code__.co_firstlineno + 1
    assert raised_at(Layer(), caught.value, "read") == f"{__file__}:{line}"


def test_without_a_frame_of_its_own_it_is_the_innermost() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        parse("{")
    assert raised_at(object(), caught.value, "read").startswith(json.decoder.__file__)


@pytest.mark.parametrize(
    ("function", "fine", "senseless"),
    [
        ("WSPAccept", (3, None), [(3, None, 4), None, ("3", None), (3, "1.2.3.4"), (3, ("1.2.3.4", 5)), (3, 0)]),
        ("WSPAccept", (3, SockaddrUn("/a")), [(SockaddrUn("/a"), 3)]),
        ("WSPAddressToString", "1.2.3.4:5", [b"1.2.3.4:5", None]),
        ("WSPConnect", None, ["connected", 0, SockaddrIn("1.2.3.4", 5)]),
        ("WSPConnect", bytearray(b"welcome"), [("welcome",)]),
        ("WSPEnumNetworkEvents", NO_EVENTS, [None, 1, (0, NO_EVENTS.iErrorCode), NetworkEvents(1, (0,))]),
        (
            "WSPEnumNetworkEvents",
            NetworkEvents(1, (5,) * 10),
            [NetworkEvents(-1, (5,) * 10), NetworkEvents(1, (-5,) * 10)],
        ),
        ("WSPGetOverlappedResult", (5, 0), [None, 5, (5, None), ("5", 0), (5, 0, 0), (-5, 0), [5, 0]]),
        ("WSPGetPeerName", SockaddrIn("1.2.3.4", 5), [("1.2.3.4", 5), None]),
        ("WSPGetQOSByName", [], [None, 5, "guaranteed", [b"guaranteed"]]),
        ("WSPGetQOSByName", structures.QOS(), [structures.FLOWSPEC(), {}]),
        ("WSPGetSockOpt", -1, [None, "on", 10**30]),
        ("WSPGetSockOpt", (1, 0), [[1, 0]]),
        ("WSPIoctl", None, ["four", 4]),
        ("WSPIoctl", bytearray(4), [(4,)]),
        ("WSPRecv", (5, 0), [(5, 0, 0), 5, None, (-5, 0), (5, None), (5, "0")]),
        (
            "WSPRecvFrom",
            (5, 0, SockaddrIn("1.2.3.4", 5)),
            [(5, 0), (5, 0, "1.2.3.4"), (5, 0, ("1.2.3.4", 5)), (5, None, None)],
        ),
        ("WSPRecvFrom", (5, 0, None), [(5, 0, 0), ("5", 0, None), None]),
        ("WSPRecvDisconnect", b"", [None, "goodbye", 0, (b"goodbye",)]),
        ("WSPSelect", ([3], [], []), [None, 1, (1, 0, 0), ([3], []), ([3], [], None), (["3"], [], []), ([-1], [], [])]),
        ("WSPSelect", [(3,), [4], ()], ["abc", [[], [], [object()]]]),
        ("WSPSend", 5, ["5", -5, None, 10**30]),
        ("WSPSocket", 3, [None, "3", -1]),
    ],
)
def test_a_senseless_answer_becomes_an_error(
    function: str, fine: object, senseless: list[object], lines: list[str]
) -> None:
    def answering(answer: object) -> Callable[[], object]:
        kind = type("Mine", (Layer,), {function: lambda self: answer})
        return guarded(kind(), function, getattr(kind(), function))

    assert answering(fine)() is fine
    assert lines == []
    for answer in senseless:
        with pytest.raises(e.WinsockError, match="is wanted, not") as caught:
            answering(answer)()
        assert caught.value.winerror == e.WSASYSCALLFAILURE
        assert "test_guard.py:" in lines.pop()


def test_a_call_that_may_be_pending_may_answer_none(lines: list[str]) -> None:
    slot = guarded(Layer(), "WSPRecv", lambda *given: None)
    assert slot(3, [bytearray(1)], 0, object()) is None
    with pytest.raises(e.WinsockError):
        slot(3, [bytearray(1)], 0)
