"""Errors that come from the kernel: each row of errors_mapped.csv, with a kernel that says so.

A row has a documented function and a code, and how it comes about: which function of the API is called in which state
of its socket, which of the system calls that it makes fails, and with which errno. The call is made, on a thread where
that system call really fails so; the code must come out of the function, by the table of errnos in `abi/errors.py`.

Where a function has no system call of its own that could be made to fail, `inside` names what fails in its place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

import winsock
from tests.arguments import ROWS, arguments, parameters
from tests.failing import failing
from tests.refusals import refused
from tests.spec.coverage import Seen
from tests.spec.tables import Row, read
from tests.spec.witness import watching
from tests.states import STATES
from winsock.abi import constants as c
from winsock.abi import errors
from winsock.catalog.entries import BUILTIN
from winsock.testing import World

CALLS = {row.function: row for row in ROWS}
COLUMNS = ("call", "state", "system_call", "errno", "inside")


def ways() -> dict[tuple[str, ...], list[Row]]:
    """The rows, by how they come about."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in read("errors_mapped.csv"):
        found.setdefault(tuple(row[column] for column in COLUMNS), []).append(row)
    return found


WAYS = ways()


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_what_the_kernel_says_comes_out(way: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    call, state, system_call, error, inside = way
    with World() as world:
        s = STATES[state](world) if state else -1
        body = posting(state, world) if call == "WSAAsyncSelect" and state in POSTS else body_of(call, s, world)
        if inside:
            monkeypatch.setattr(inside, exhausted if error == "ENOMEM" else os.uname)
        with watching() as witness:
            try:
                failing(system_call, error, body, s if system_call == "fstat" else None)
            except errors.WinsockError:
                pass
            seen = witness.seen()
        monkeypatch.undo()
        winsock.WSASetLastError(0)
    for row in WAYS[way]:
        assert Seen(row["function"], getattr(errors, row["code_name"]), row["where"]) in seen, row


POSTS = ("selected", "connecting")


def posting(state: str, world: World) -> Callable[[], object]:
    """A window gets the messages of a socket in one of the two states."""
    window, s = winsock.MessageQueue(), world.stream()
    winsock.WSAAsyncSelect(s, window, 1, c.FD_ALL_EVENTS)
    if state == "connecting":
        _, address = world.listener()
        with refused(errors.WSAEWOULDBLOCK):
            winsock.connect(s, address)
    return lambda: window.get(0)


def body_of(call: str, s: int, world: World) -> Callable[[], object]:
    """The call, with good arguments."""
    function = getattr(winsock, call)
    if call.startswith("WSC"):
        code = function.__wrapped__.__code__
        good = {"service_flags": c.XP1_IFS_HANDLES}
        given = [good.get(name, BUILTIN[0].info.ProviderId) for name in code.co_varnames[: code.co_argcount]]
        return lambda: function(*given)
    values: dict[str, Any] = arguments(CALLS[call], world)
    if call == "WSAAddressToString":
        values["address"] = ("127.0.0.1", 80)
    if s >= 0:
        values["s"] = s
    if "to" in parameters(CALLS[call]):
        values["to"] = ("127.0.0.1", 9)
    return lambda: function(**values)


def exhausted(*_: object) -> object:
    """There is no memory."""
    raise MemoryError
