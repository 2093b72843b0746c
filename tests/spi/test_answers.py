"""A layer's senseless answer is an error to whoever called, whatever function of the API led there, and a line."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.refusals import refused
from winsock.abi.errors import WSASYSCALLFAILURE
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
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


class Nobody(Layer):
    """Says of every peer that it is "nobody"."""

    name = "nobody"

    def WSPAccept(self, *arguments: Any) -> tuple[int, Sockaddr | None]:
        handle, _ = self.next.WSPAccept(*arguments)
        return handle, "nobody"  # type: ignore[return-value]

    def WSPRecvFrom(self, *arguments: Any) -> tuple[int, int, Sockaddr | None] | None:
        count, flags, _ = self.next.WSPRecvFrom(*arguments)  # type: ignore[misc]
        return count, flags, "nobody"  # type: ignore[return-value]


PEERS: dict[str, Callable[[int, Any], object]] = {
    "accept": lambda s, peer: sockets.accept(s),
    "WSAAccept": lambda s, peer: sockets.WSAAccept(s),
    "recvfrom": lambda s, peer: transfer.recvfrom(s, 9),
    "WSARecvFrom": lambda s, peer: transfer.WSARecvFrom(s, [bytearray(9)]),
}


@pytest.mark.parametrize("call", PEERS)
def test_a_senseless_name_of_a_peer_is_one_too(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(journal, "sink", lines.append)
    accepts = call.endswith("ccept")
    with World(through(Nobody)) as world:
        s = world.listener()[0] if accepts else world.datagram()
        name = sockets.getsockname(s)
        assert isinstance(name, SockaddrIn)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM if accepts else socket.SOCK_DGRAM) as peer:
            peer.connect(tuple(name))
            if not accepts:
                peer.send(b"hello")
            with refused(WSASYSCALLFAILURE, "layer nobody.*is wanted, not .*'nobody'"):
                PEERS[call](s, peer)
    assert ["layer nobody: WSP" in line for line in lines] == [True]
