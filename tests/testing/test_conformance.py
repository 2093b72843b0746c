"""The conformance suite passes what is right, and names what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from winsock.abi.constants import AF_INET
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.spi.layer import Layer
from winsock.spi.provider import ReadBuffer
from winsock.testing import CHECKS, World, check_provider, through
from winsock.testing import conformance as suite


class Innocent(Layer):
    """Changes nothing."""


class Greedy(Layer):
    """Tells that everything was sent, and sends all but the last byte."""

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        data = b"".join(buffers)
        self.next.WSPSend(s, (data[:-1],), flags)
        return len(data)


class Sulky(Layer):
    """Refuses every connection."""

    def connecting(self, address: Sockaddr) -> None:
        raise WinsockError(WSAEINVAL, "not today")


def test_the_base_provider_passes() -> None:
    check_provider()


def test_a_layer_that_changes_nothing_passes_in_one_line() -> None:
    check_provider(Innocent)


def test_an_import_path_is_as_good_as_a_class() -> None:
    check_provider(f"{Innocent.__module__}:Innocent", Innocent)


def test_a_layer_that_fails_is_named_by_check_and_family() -> None:
    with pytest.raises(AssertionError, match=r"check_streams_carry_bytes_both_ways \(IPv4\): unexpected .*not today"):
        check_provider(Sulky)


def test_a_layer_that_loses_bytes_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for them does not wait for ever, and the line says for what."""
    monkeypatch.setattr(suite, "_PATIENCE_S", 0.5)
    expected = r"check_streams_carry_bytes_both_ways \(IPv4\): a call does not come back: .*_receive\(server, 8\)"
    with pytest.raises(AssertionError, match=expected):
        suite._run(suite.check_streams_carry_bytes_both_ways, through(Greedy), AF_INET)


WRONG: dict[str, tuple[Callable[..., Any], Callable[..., Any], str]] = {
    "a count": (Layer.WSPSend, lambda send, *given: send(*given) + 1, "send of 8 bytes answers: 9, not 8"),
    "the bytes": (
        Layer.WSPSend,
        lambda send, s, buffers, *given: send(s, [bytes(buffer).upper() for buffer in buffers], *given),
        "who accepted receives: b'QUESTION', not b'question'",
    ),
    "an address": (Layer.WSPAccept, lambda accept, *given: (accept(*given)[0], None), "accept's address: None, not "),
    "readiness": (
        Layer.WSPSelect,
        lambda _, *given: ([], [], []),
        r"select tells readable, writable, failed: \(\[\], ",
    ),
    "an option": (Layer.WSPSetSockOpt, lambda *given: None, "expected WSAECONNRESET, but the call succeeded"),
    "of a datagram": (
        Layer.WSPRecvFrom,
        lambda receive, *given: (*receive(*given)[:2], None),
        r"recvfrom answers: \(b'first', None\), not ",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_was_wrong_is_said(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody rewrites asserts."""
    function, answer, text = WRONG[wrong]

    def instead(self: Layer, *given: Any) -> Any:
        return answer(getattr(self.next, function.__name__), *given)

    monkeypatch.setattr(Innocent, function.__name__, instead, raising=False)
    with pytest.raises(AssertionError, match=rf"^check_\w+ \(IPv4\): .*{text}"):
        check_provider(Innocent)


def test_what_python_raises_in_a_check_is_named_with_it() -> None:
    def check_something(world: World) -> None:
        world.connected().nothing  # type: ignore[attr-defined]  # noqa: B018

    with pytest.raises(AssertionError, match=r"^check_something \(IPv4\): unexpected AttributeError: .*nothing"):
        suite._run(check_something, through(Innocent), AF_INET)


def test_a_close_that_does_not_come_back_is_told_with_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_PATIENCE_S", 0.5)
    over = threading.Event()

    def close(self: Layer, s: int) -> None:
        over.wait()

    monkeypatch.setattr(Innocent, "WSPCloseSocket", close, raising=False)
    try:
        with pytest.raises(AssertionError, match=r"^check_tables_are_whole \(IPv4\): a call does not come back"):
            suite._run(suite.check_tables_are_whole, through(Innocent), AF_INET)
    finally:
        over.set()
        for thread in threading.enumerate():
            if isinstance(thread, suite._Thread):
                thread.join()


def test_checks_that_do_not_apply_are_left_out() -> None:
    check_provider(Sulky, without=[check.__name__ for check in CHECKS if "tables" not in check.__name__])


def test_leaving_out_what_is_not_there_is_an_error() -> None:
    with pytest.raises(AssertionError, match="there is no check_nothing"):
        check_provider(without=["check_nothing"])


def test_every_check_of_the_module_is_run() -> None:
    written = {name for name in vars(suite) if name.startswith("check_")} - {"check_provider"}
    assert written == {check.__name__ for check in CHECKS}
