"""Every function against every kind of bad input, generated from `abi/calls.py`.

A function is called with good arguments but for one. What comes must be a Winsock error that is documented for such a
mistake, and a message that names the argument. Which values are good and which are bad is said by parameter, once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

import winsock
from winsock.abi import calls
from winsock.abi import constants as c
from winsock.abi.errors import WinsockError
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.testing import World

ROWS = sorted(
    {row.function: row for row in calls.ROWS if row.part == "api" and row.function in winsock._NAMES}.values()
)
HANDLE = [row for row in ROWS if row.prologue == calls.HANDLE]
STARTED = [row for row in ROWS if row.prologue in (calls.HANDLE, calls.STARTED) and row.function != "WSACleanup"]

GROUP = SockaddrIn("239.77.3.3", 9)
NOT_THERE = SockaddrIn("192.0.2.1", 9)
ELSEWHERE = (SockaddrIn6("::1", 9), SockaddrUn("/tmp/x"), SockaddrOther(77, bytes(14)))
ODD = (None, "text", 7.5, object(), b"bytes")


class Bad(NamedTuple):
    """A wrong value, and the errors that are documented for it."""

    value: Any
    errors: frozenset[str]


def wrong(values: tuple[Any, ...], *errors: str) -> list[Bad]:
    return [Bad(value, frozenset(errors)) for value in values]


GOOD: dict[str, Any] = {
    "s": None,  # made for each test
    "name": NOT_THERE,
    "to": NOT_THERE,
    "address": bytes(4),
    "cmd": c.FIONREAD,
    "code": c.FIONBIO,
    "in_buffer": bytes(4),
    "data": b"data",
    "buffers": None,  # for each test, writable
    "length": 16,
    "flags": 0,
    "level": c.SOL_SOCKET,
    "optname": c.SO_KEEPALIVE,
    "value": 1,
    "backlog": 5,
    "how": c.SD_SEND,
    "af": c.AF_INET,
    "type": c.SOCK_STREAM,
    "protocol": c.IPPROTO_TCP,
    "nfds": 0,
    "readfds": (),
    "writefds": (),
    "exceptfds": (),
    "window": None,
    "message": 1024,
    "events": c.FD_READ,
    "event": None,
    "process_id": os.getpid(),
    "hostlong": 1,
    "hostshort": 1,
    "netlong": 1,
    "netshort": 1,
    "enabled": 1,
    "mtu": 1500,
    "size": 1500,
    "wait_all": False,
    "timeout_ms": 0,
    "text": "127.0.0.1:80",
    "address_family": c.AF_INET,
    "fds": (),
    "error": 0,
    "peer_target_name": "name",
    "peer_address": NOT_THERE,
    "family": c.AF_INET,
    "caller_data": None,
    "callee_data": None,
    "sqos": None,
    "gqos": None,
    "interface": 0,
    "group": GROUP,
    "filter_mode": c.MCAST_EXCLUDE,
    "sources": [],
    "addresses": [SockaddrIn("127.0.0.1", 9)],
    "function": bool,
}

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

BAD_FOR = {
    ("WSAGetQOSByName", "name"): wrong((None, 7, object()), "WSAEFAULT") + wrong(("text",), "WSAEINVAL"),
    ("WSAAddressToString", "address"): wrong((None, 7.5, object(), 7, (), ("127.0.0.1", "x")), "WSAEFAULT")
    + wrong((SockaddrOther(77, bytes(14)),), "WSAEINVAL"),  # a text is a path
}
"""What is bad for one function only."""

FOR_FUNCTIONS: dict[str, dict[str, Any]] = {
    "WSAJoinLeaf": {"name": GROUP, "flags": c.JL_SENDER_ONLY},
    "WSAGetQOSByName": {"name": ""},
    "setipv4sourcefilter": {"interface": "0.0.0.0", "group": GROUP.host},
    "getipv4sourcefilter": {"interface": "0.0.0.0", "group": GROUP.host},
}
"""What is good for one function only."""

LEAF = c.WSA_FLAG_MULTIPOINT_C_LEAF | c.WSA_FLAG_MULTIPOINT_D_LEAF


def parameters(row: calls.Call) -> list[str]:
    return [part.partition("=")[0].strip() for part in row.parameters.split(",") if part.strip()]


def required(row: calls.Call) -> list[str]:
    return [part.strip() for part in row.parameters.split(",") if part.strip() and "=" not in part]


def arguments(row: calls.Call, world: World) -> dict[str, Any]:
    """Good ones, without those that have a default."""
    values = {name: GOOD[name] for name in required(row)}
    if "s" in values:
        values["s"] = a_socket_for(row, world)
    if "to" in parameters(row):
        values["to"] = winsock.getsockname(values["s"])
    if "buffers" in values:
        values["buffers"] = [bytearray(4)]
    if "event" in values:
        values["event"] = winsock.WSACreateEvent()
    if row.function == "WSAWaitForMultipleEvents":
        values["events"] = [winsock.WSACreateEvent()]
    if row.function in FOR_FUNCTIONS:
        values |= FOR_FUNCTIONS[row.function]
    if row.function == "WSAAsyncSelect":
        values["window"] = winsock.MessageQueue()
    if "readfds" in values:
        values["readfds"] = [world.stream()]
    if "fds" in values:
        values["fds"] = [(world.stream(), c.POLLOUT)]
    return values


def a_socket_for(row: calls.Call, world: World) -> int:
    """One for which the function makes sense."""
    if "to" in parameters(row):
        return world.datagram()
    if "group" in parameters(row):
        return world.datagram()
    if row.function == "WSAJoinLeaf":
        leaf: int = winsock.WSASocket(c.AF_INET, c.SOCK_DGRAM, c.IPPROTO_UDP, None, 0, LEAF)
        return leaf
    if row.function == "WSAConnectByList":
        return world.stream()
    if row.function == "listen":
        s = world.stream()
        winsock.bind(s, world.anywhere)
        return s
    s, peer = world.connected()
    winsock.send(peer, b"something to receive")
    return s


def call(row: calls.Call, values: dict[str, Any]) -> object:
    return getattr(winsock, row.function)(**values)


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
