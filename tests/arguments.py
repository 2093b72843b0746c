"""Good arguments for every function of the API, by the names of their parameters in `abi/calls.py`.

For tests that spoil one of them, or let the kernel fail.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import winsock
from winsock.abi import calls
from winsock.abi import constants as c
from winsock.abi.sockaddr import SockaddrIn
from winsock.dispatcher.refusing import REFUSALS
from winsock.testing import World

for _module in set(winsock._NAMES.values()):
    if _module.startswith("winsock.api."):
        import_module(_module)

ROWS = sorted(
    {
        row.function: row
        for row in calls.ROWS
        if row.part == "api" and row.function in winsock._NAMES and row.function not in REFUSALS
    }.values()
)
"""One row a function of the API that is here, and does not refuse whatever it is given (tests/api/test_refused.py)."""

GROUP = SockaddrIn("239.77.3.3", 9)
NOT_THERE = SockaddrIn("192.0.2.1", 9)

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
    "version_requested": 0x0101,
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
    "node_name": "192.0.2.1",
    "service_name": "9",
    "overlapped": object(),
    "wait": False,
    "entry": None,
}


FOR_FUNCTIONS: dict[str, dict[str, Any]] = {
    "getnameinfo": {"address": NOT_THERE},
    "WSAJoinLeaf": {"name": GROUP, "flags": c.JL_SENDER_ONLY},
    "WSAGetQOSByName": {"name": ""},
    "WSASendMsg": {"message": winsock.WSAMSG(None, [b"data"])},
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
    if row.function == "WSASendMsg":
        return world.datagrams().client
    if row.function in ("WSAConnectByList", "WSAConnectByName"):
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
