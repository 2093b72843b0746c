"""A layer's senseless answer is an error to whoever called, whatever function of the API led there, and a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.refusals import refused
from winsock.abi.errors import WSASYSCALLFAILURE
from winsock.abi.structures import WSAOVERLAPPED
from winsock.api import completion, connecting, events, quality, sockets, transfer, waiting
from winsock.core.journal import journal
from winsock.spi.layer import Layer
from winsock.testing import World, through


class Senseless(Layer):
    """Answers "nonsense" wherever an answer is used."""

    name = "senseless"


def nonsense(*arguments: object) -> str:
    return "nonsense"


USED = ("Connect", "EnumNetworkEvents", "GetOverlappedResult", "GetQOSByName", "RecvDisconnect", "Select")
for name in USED:
    setattr(Senseless, f"WSP{name}", nonsense)

CALLS: dict[str, Callable[[int], object]] = {
    "WSPConnect": lambda s: sockets.connect(s, ("127.0.0.1", 1)),
    "WSPConnect by WSAConnect": lambda s: sockets.WSAConnect(s, ("127.0.0.1", 1), b"hello", bytearray(9)),
    "WSPConnect by WSAConnectByList": lambda s: connecting.WSAConnectByList(s, [("127.0.0.1", 1)]),
    "WSPEnumNetworkEvents": lambda s: events.WSAEnumNetworkEvents(s),
    "WSPGetOverlappedResult": lambda s: completion.WSAGetOverlappedResult(s, WSAOVERLAPPED(), False),
    "WSPGetQOSByName": lambda s: quality.WSAGetQOSByName(s, "guaranteed"),
    "WSPRecvDisconnect": lambda s: transfer.WSARecvDisconnect(s),
    "WSPSelect": lambda s: waiting.select(0, [s], [], [], 0),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_senseless_answer_is_an_error_and_a_line(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    with World(through(Senseless)) as world:
        s = world.stream()
        monkeypatch.setattr(journal, "sink", lines.append)
        with refused(WSASYSCALLFAILURE, "is wanted, not 'nonsense'"):
            CALLS[call](s)
        [line] = lines
        assert f"layer senseless: {call.split()[0]} raised" in line
        assert "test_answers.py:" in line
