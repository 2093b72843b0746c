"""The tables of a socket's life, against the rules of the documentation."""

from __future__ import annotations

import pytest

from winsock.abi.errors import (
    WSAEALREADY,
    WSAEINVAL,
    WSAEISCONN,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WinsockError,
)
from winsock.core.states import (
    BOUND,
    BROKEN,
    CONNECTED,
    CONNECTING,
    DATAGRAMS,
    LISTENING,
    NEW,
    REFUSED,
    STREAMS,
    Life,
)

WAYS = (
    (STREAMS, ("bind", "listen", "accept"), LISTENING),
    (STREAMS, ("connect",), CONNECTING),
    (STREAMS, ("bind", "connect"), CONNECTING),
    (DATAGRAMS, ("bind", "connect", "connect", "send"), CONNECTED),
    (DATAGRAMS, ("connect",), CONNECTED),
)

REFUSALS = (
    ("CONN-005: accept where nobody listens", STREAMS, BOUND, "accept", WSAEINVAL),
    ("CONN-006: accept without connections", DATAGRAMS, BOUND, "accept", WSAEOPNOTSUPP),
    ("CONN-008: an accepted socket accepts nobody", STREAMS, CONNECTED, "accept", WSAEINVAL),
    ("CONN-016: bind twice", STREAMS, BOUND, "bind", WSAEINVAL),
    ("CONN-016: bind twice", DATAGRAMS, BOUND, "bind", WSAEINVAL),
    ("CONN-021: connect twice", STREAMS, CONNECTED, "connect", WSAEISCONN),
    ("CONN-021: connect a listener", STREAMS, LISTENING, "connect", WSAEINVAL),
    ("CONN-022: connect while connecting", STREAMS, CONNECTING, "connect", WSAEALREADY),
    ("CONN-033: listen unbound", STREAMS, NEW, "listen", WSAEINVAL),
    ("CONN-033: listen connected", STREAMS, CONNECTED, "listen", WSAEISCONN),
    ("CONN-043: no peer", STREAMS, BOUND, "peer", WSAENOTCONN),
    ("CONN-043: no peer", DATAGRAMS, BOUND, "peer", WSAENOTCONN),
    ("CONN-044: no name", STREAMS, NEW, "name", WSAEINVAL),
    ("CLOSE-019: shutdown of nothing", STREAMS, BOUND, "shutdown", WSAENOTCONN),
    ("IO-001: receive unbound", STREAMS, NEW, "receive", WSAEINVAL),
    ("IO-001: receive unbound", DATAGRAMS, NEW, "receive", WSAEINVAL),
    ("IO-028: send to nobody", STREAMS, BOUND, "send", WSAENOTCONN),
)


@pytest.mark.parametrize(("life", "calls", "end"), WAYS)
def test_a_way_through_life(life: Life, calls: tuple[str, ...], end: str) -> None:
    state = NEW
    for call in calls:
        state = life.after(state, call)
    assert state == end


@pytest.mark.parametrize(("rule", "life", "state", "call", "code"), REFUSALS, ids=lambda value: str(value)[:30])
def test_a_call_that_a_state_does_not_allow(rule: str, life: Life, state: str, call: str, code: int) -> None:
    with pytest.raises(WinsockError, match=f"the socket is {state}") as caught:
        life.after(state, call)
    assert caught.value.winerror == code, rule


def test_a_connect_that_failed_may_be_tried_again() -> None:
    assert STREAMS.after(REFUSED, "connect") == CONNECTING  # CONN-025


def test_listening_again_and_talking_go_on() -> None:
    assert STREAMS.after(LISTENING, "listen") == LISTENING  # CONN-034
    assert STREAMS.after(CONNECTED, "send") == STREAMS.after(CONNECTED, "receive") == CONNECTED
    assert STREAMS.after(BROKEN, "receive") == BROKEN  # the connection's own error tells more
