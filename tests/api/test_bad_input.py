"""Every function against every kind of bad input, generated from `abi/calls.py`.

A function is called with good arguments but for one. What comes must be a Winsock error that is documented for such a
mistake, and a message that names the argument. Which values are good and which are bad is said by parameter, once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import pytest

import winsock
from tests.arguments import GOOD, ROWS, arguments, call, parameters, required
from tests.conformance.layers import PassThrough
from tests.refusals import refused
from winsock.abi import calls
from winsock.abi.errors import WSA_INVALID_PARAMETER, WSAEINVAL, WinsockError
from winsock.abi.sockaddr import SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.testing import World, through

HANDLE = [row for row in ROWS if row.prologue == calls.HANDLE]
STARTED = [row for row in ROWS if row.prologue in (calls.HANDLE, calls.STARTED) and row.function != "WSACleanup"]

ELSEWHERE = (SockaddrIn6("::1", 9), SockaddrUn("/tmp/x"), SockaddrOther(77, bytes(14)))
ODD = (None, "text", 7.5, object(), b"bytes")


class Bad(NamedTuple):
    """A wrong value, and the errors that are documented for it."""

    value: Any
    errors: frozenset[str]


def wrong(values: tuple[Any, ...], *errors: str) -> list[Bad]:
    return [Bad(value, frozenset(errors)) for value in values]


_NO_ADDRESS = wrong((*ODD, 7, (), ("127.0.0.1",), ("127.0.0.1", "x"), ("127.0.0.1", 65536)), "WSAEFAULT", "WSAEINVAL")
_NO_NUMBER = (None, "text", 7.5, object())

BAD: dict[str, list[Bad]] = {
    "s": wrong((-1, 1 << 40, *ODD), "WSAENOTSOCK"),
    "name": _NO_ADDRESS + wrong(ELSEWHERE, "WSAEAFNOSUPPORT"),
    "data": wrong(("text", 7, object(), [b"x"]), "WSAEFAULT", "WSAENOPROTOOPT"),
    "buffers": wrong((None, 7, object(), ["text"], [7]), "WSAEFAULT", "WSAEINVAL") + wrong(([],), "WSAEINVAL"),
    "length": wrong((-1, *_NO_NUMBER, 1 << 62), "WSAEFAULT", "WSAENOBUFS"),
    "flags": wrong((0x40000000, 1 << 40, -1, "text", 7.5, object()), "WSAEINVAL", "WSAEOPNOTSUPP"),
    "level": wrong((0x7777, -1, *_NO_NUMBER), "WSAEINVAL", "WSAENOPROTOOPT"),
    "optname": wrong((0x7777, -1, *_NO_NUMBER), "WSAENOPROTOOPT", "WSAEINVAL"),
    "value": wrong((None, "text", object(), b""), "WSAEFAULT", "WSAEINVAL"),
    "backlog": wrong(_NO_NUMBER, "WSAEINVAL", "WSAEFAULT"),
    "how": wrong((3, -1, *_NO_NUMBER), "WSAEINVAL"),
    "cmd": wrong((0x7777, -1, *_NO_NUMBER), "WSAEOPNOTSUPP", "WSAEINVAL"),
    "code": wrong((0x7777, -1, *_NO_NUMBER), "WSAEOPNOTSUPP", "WSAEINVAL"),
    "in_buffer": wrong((b"", None, "text", 7, object()), "WSAEFAULT", "WSAEINVAL"),
    "af": wrong((10, 77, -1, *_NO_NUMBER), "WSAEAFNOSUPPORT", "WSAEINVAL"),
    "type": wrong((77, -1, *_NO_NUMBER), "WSAESOCKTNOSUPPORT", "WSAEINVAL"),
    "protocol": wrong((777, -1, *_NO_NUMBER), "WSAEPROTONOSUPPORT", "WSAEINVAL", "WSAEPROTOTYPE"),
    "protocol_info": wrong(("text", 7, ()), "WSAEFAULT"),
    "g": wrong((77, -1, "text", 7.5, object()), "WSAEINVAL"),
    "events": wrong((1 << 20, -1, "text", 7.5, object()), "WSAEINVAL", "WSA_INVALID_PARAMETER", "WSA_INVALID_HANDLE"),
    "event": wrong((-1, "text", 7.5), "WSAEINVAL", "WSA_INVALID_HANDLE"),
    "window": wrong((7, "text"), "WSAEINVAL"),
    "process_id": wrong((0, -1, 1 << 40, *_NO_NUMBER), "WSAEINVAL"),
    "fds": wrong((None, 7, [7], [("a", "b")], [(1, 2, 3)], []), "WSAEFAULT", "WSAEINVAL"),
    "hostlong": wrong(_NO_NUMBER, "WSAEFAULT", "WSAEINVAL"),
    "hostshort": wrong(_NO_NUMBER, "WSAEFAULT", "WSAEINVAL"),
    "netlong": wrong(_NO_NUMBER, "WSAEFAULT", "WSAEINVAL"),
    "netshort": wrong(_NO_NUMBER, "WSAEFAULT", "WSAEINVAL"),
    "timeout_ms": wrong(("text", object()), "WSAEINVAL", "WSA_INVALID_PARAMETER", "WSAEFAULT"),
    "readfds": wrong((7, ["x"], [-1]), "WSAENOTSOCK", "WSAEFAULT"),
    "writefds": wrong((7, ["x"], [-1]), "WSAENOTSOCK", "WSAEFAULT"),
    "exceptfds": wrong((7, ["x"], [-1]), "WSAENOTSOCK", "WSAEFAULT"),
    "timeout": wrong((-1, "text", object()), "WSAEINVAL", "WSAEFAULT"),
    "protocols": wrong((7, object()), "WSAEINVAL", "WSAEFAULT"),
    "address": wrong(
        (*ODD[:4], 7, (), ("127.0.0.1", "x"), *ELSEWHERE[1:]),
        "WSAEAFNOSUPPORT",
        "WSAEINVAL",
        "WSAEFAULT",
        "WSA_INVALID_PARAMETER",
    ),
    "text": wrong((None, 7, b"bytes", "no address"), "WSAEFAULT", "WSAEINVAL"),
    "address_family": wrong((77, -1, *_NO_NUMBER), "WSAEINVAL", "WSAEAFNOSUPPORT", "WSAEFAULT"),
    "group": wrong((*ODD, 7, ()), "WSAEFAULT") + wrong(ELSEWHERE, "WSAEAFNOSUPPORT", "WSAEFAULT"),
    "filter_mode": wrong((2, -1, *_NO_NUMBER), "WSAEINVAL", "WSAEFAULT"),
    "sources": wrong((None, 7, "127.0.0.1", ["x"], [7], [("127.0.0.1",)]), "WSAEFAULT"),
    "interface": wrong((-1, *_NO_NUMBER), "WSAEFAULT"),
    "addresses": wrong((None, 7, "127.0.0.1", b"x", [7], [("127.0.0.1",)]), "WSAEFAULT") + wrong(([],), "WSAEINVAL"),
}
BAD["to"] = BAD["name"][1:]  # None is for connected sockets

BAD_FOR: dict[tuple[str, str], list[Bad]] = {
    ("freeaddrinfo", "addresses"): [],
    ("FreeAddrInfoEx", "addresses"): [],
    ("gai_strerror", "code"): [],  # of any other there is a text, too
    ("WSAGetQOSByName", "name"): wrong((None, 7, object()), "WSAEFAULT") + wrong(("text",), "WSAEINVAL"),
    ("WSAAddressToString", "address"): wrong((None, 7.5, object(), 7, (), ("127.0.0.1", "x")), "WSAEFAULT")
    + wrong((SockaddrOther(77, bytes(14)),), "WSAEINVAL"),  # a text is a path
}
"""What is bad for one function only."""


def cases() -> Iterator[Any]:
    for row in ROWS:
        for name in parameters(row):
            for number, bad in enumerate(BAD_FOR.get((row.function, name), BAD.get(name, []))):
                yield pytest.param(row, name, bad, id=f"{row.function}-{name}-{number}")


@pytest.mark.parametrize(("row", "name", "bad"), list(cases()))
def test_one_argument_is_wrong(world: World, row: calls.Call, name: str, bad: Bad) -> None:
    values = arguments(row, world) | {name: bad.value}
    with pytest.raises(WinsockError) as caught:
        call(row, values)
    assert caught.value.name in bad.errors
    assert name in str(caught.value)


@pytest.mark.parametrize("row", HANDLE, ids=lambda row: row.function)
def test_a_file_that_is_no_socket(world: World, row: calls.Call) -> None:
    with open("/dev/null", "rb", buffering=0) as file, pytest.raises(WinsockError) as caught:
        call(row, arguments(row, world) | {"s": file.fileno()})
    assert caught.value.name == "WSAENOTSOCK"


@pytest.mark.parametrize("row", HANDLE, ids=lambda row: row.function)
def test_a_closed_handle(world: World, row: calls.Call) -> None:
    values = arguments(row, world)
    winsock.closesocket(values["s"])
    with pytest.raises(WinsockError) as caught:
        call(row, values)
    assert caught.value.name == "WSAENOTSOCK"


@pytest.mark.parametrize("row", HANDLE, ids=lambda row: row.function)
def test_a_number_that_is_another_file_now(world: World, row: calls.Call) -> None:
    values = arguments(row, world)
    with open("/dev/null", "rb", buffering=0) as file:
        os.dup2(file.fileno(), values["s"])
    if row.function in ("send", "recv", "sendto", "recvfrom"):
        with pytest.raises(
            OSError, match=r"WSAENOTSOCK|WSAEINVAL|WSAEOPNOTSUPP"
        ):  # what the kernel says, in that hurry
            call(row, values)
    else:
        with pytest.raises(WinsockError) as caught:
            call(row, values)
        assert caught.value.name == "WSAENOTSOCK"
    os.close(values["s"])


@pytest.mark.parametrize("row", STARTED, ids=lambda row: row.function)
def test_winsock_is_not_started(row: calls.Call) -> None:
    """INIT-007."""
    values = {name: GOOD[name] for name in required(row)}
    values |= {"s": 3} if "s" in values else {}
    with pytest.raises(WinsockError) as caught:
        call(row, values)
    assert caught.value.name == "WSANOTINITIALISED"


class Permissive(PassThrough):
    """A provider that takes whatever it is given."""

    given: ClassVar[list[tuple[Any, ...]]] = []

    def WSPShutdown(self, s: int, how: int) -> None:
        self.given.append(("how", how))

    def WSPListen(self, s: int, backlog: int) -> None:
        self.given.append(("backlog", backlog))

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> int:
        self.given.append(("level", level))
        return 1

    def WSPIoctl(self, s: int, code: int, *arguments: Any) -> bytes:
        self.given.append(("code", code))
        return b""

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        self.given.append(("event", event))

    def WSPSend(self, s: int, buffers: Any, flags: int = 0, *arguments: Any) -> int:
        self.given.append(("flags", flags))
        return 7

    def WSPBind(self, s: int, name: Any) -> None:
        self.given.append(("family", name.family))


def test_providers_are_given_what_makes_no_sense_and_say_so_themselves() -> None:
    """ERR-003: what Winsock does by itself it looks at by itself, the rest it passes on as it is."""
    Permissive.given.clear()
    with World(through(Permissive)) as world:
        s = world.stream()
        winsock.shutdown(s, 99)
        winsock.listen(s, -5)
        assert winsock.getsockopt(s, 0x7777, 0x7777) == 1
        assert winsock.WSAIoctl(s, 0x12345678) == b""
        winsock.WSAEventSelect(s, 4711, 1 << 29)
        assert winsock.send(s, b"x", 0x40000000) == 7
        winsock.bind(s, SockaddrOther(57005, bytes(14)))
        assert dict(Permissive.given) == {
            "how": 99,
            "backlog": -5,
            "level": 0x7777,
            "code": 0x12345678,
            "event": 4711,
            "flags": 0x40000000,
            "family": 57005,
        }
        with refused(WSA_INVALID_PARAMETER):
            winsock.WSAWaitForMultipleEvents([], False, 0)
        with refused(WSAEINVAL):
            winsock.WSAPoll([], 0)
