"""What trace tells of a socket's life: over a provider that answers as it is told, with a clock of the test's own."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from winsock.abi.constants import SD_BOTH, SD_RECEIVE, SD_SEND, SO_ERROR, SO_RCVBUF, SOL_SOCKET
from winsock.abi.errors import ErrorCode, WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.catalog.entries import BUILTIN
from winsock.core.journal import journal
from winsock.layers import trace as module
from winsock.layers.trace import Summary, Trace
from winsock.layers.trace_text import render
from winsock.spi import calling
from winsock.spi.calling import Call
from winsock.spi.stats import Stats

PEER, OTHER, LOCAL = SockaddrIn("192.0.2.1", 80), SockaddrIn("192.0.2.2", 81), SockaddrIn("192.0.2.9", 40000)
PEER6 = SockaddrIn6("2001:db8::1", 443)
S, LISTENER, ACCEPTED = 5, 6, 7
COMMON = ["event", "time", "process", "thread", "name", "socket", "protocol"]
OUTCOME = ["result", "error", "errno"]
WOULD_BLOCK = WinsockError(10035, errno=errno.EINPROGRESS)


class Below:
    """The next provider: each function answers as told, by a value, an error that it raises, or a function."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: dict[str, Any] = {"WSPGetSockName": LOCAL, "WSPGetPeerName": from_errno(errno.ENOTCONN)}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def answer(*arguments: Any) -> Any:
            self.asked.append((name, arguments))
            given = self.answers.get(name)
            if isinstance(given, BaseException):
                raise given
            return given(*arguments) if callable(given) else given

        return answer


class Time:
    """Stands in for `time` in the layer."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now


class World:
    """A trace over a `Below`, and what it told."""

    def __init__(self, clock: Time, entry: int = 0) -> None:
        self.clock = clock
        self.below = Below()
        self.records: list[dict[str, Any]] = []
        self.layer = self.another(entry)

    def another(self, entry: int) -> Trace:
        """The trace of another chain of the same run."""
        layer = Trace()
        next_one: Any = self.below
        layer.next, layer.info = next_one, BUILTIN[entry].info
        return layer

    def take(self, record: Any, text: Any) -> None:
        assert text is render
        assert render(record)
        self.records.append(dict(record))

    def connect(self, answer: Any = None, peer: Any = None, name: Sockaddr = PEER) -> None:
        """A connect that ends so; `peer` is what the name of the peer is asked for then."""
        self.below.answers["WSPConnect"] = answer
        self.below.answers["WSPGetPeerName"] = from_errno(errno.ENOTCONN) if peer is None else peer
        if isinstance(answer, WinsockError):
            with pytest.raises(WinsockError) as caught:
                self.layer.WSPConnect(S, name)
            assert caught.value is answer
        else:
            assert self.layer.WSPConnect(S, name) is answer

    def ask_for_error(self, number: int, connected: bool) -> None:
        """The program asks how the connect went."""
        answer = ErrorCode.of_errno(number)
        self.below.answers["WSPGetSockOpt"] = answer
        self.below.answers["WSPGetPeerName"] = PEER if connected else from_errno(errno.ENOTCONN)
        assert self.layer.WSPGetSockOpt(S, SOL_SOCKET, SO_ERROR) is answer

    def close(self, **known: Any) -> None:
        values: dict[str, Any] = {"local": LOCAL, "peer": None, "protocol": "tcp", "process_name": "curl", "handle": S}
        self.layer.closed(Stats(**{"socket": 900, "process": 100, **values, **known}))

    def events(self) -> list[tuple[str, Any, Any, Any]]:
        """Each event with its result and both errors."""
        return [
            (record["event"], record.get("result"), record.get("error"), record.get("errno")) for record in self.records
        ]

    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in Trace.summary.rows()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    clock = Time()
    made = World(clock)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(Trace, "summary", Summary())
    monkeypatch.setattr(journal, "later", made.take)
    monkeypatch.setattr(calling.local, "describe", lambda: Call(100, 101, "", 900, "curl"))
    return made


# --- connect -------------------------------------------------------------------------------------------------------


def test_a_connection_is_told_with_who_made_it(world: World) -> None:
    world.connect(peer=PEER)
    assert world.records == [
        {
            "event": "connect",
            "time": 1_700_000_050.0,
            "process": 100,
            "thread": 101,
            "name": "curl",
            "socket": 900,
            "protocol": "tcp",
            "peer": "192.0.2.1:80",
            "result": "connected",
            "error": None,
            "errno": None,
            "duration_us": 0,
        }
    ]
    assert list(world.records[0]) == [*COMMON, "peer", *OUTCOME, "duration_us"]
    assert world.rows() == [(100, "curl", "192.0.2.1:80", "connected", 1, 0, 0, 0)]


def test_every_argument_is_passed_on(world: World) -> None:
    world.layer.WSPConnect(S, PEER, b"a", bytearray(2), "sqos", "gqos")
    assert world.below.asked[0] == ("WSPConnect", (S, PEER, b"a", bytearray(2), "sqos", "gqos"))


def test_a_refusal_is_told_with_both_names_and_the_time_it_took(world: World) -> None:
    def refuse_later(*_: Any) -> None:
        world.clock.now += 0.25
        raise from_errno(errno.ECONNREFUSED)

    world.below.answers["WSPConnect"] = refuse_later
    with pytest.raises(WinsockError):
        world.layer.WSPConnect(S, PEER)
    assert world.events() == [("connect", "failed", "WSAECONNREFUSED", errno.ECONNREFUSED)]
    assert world.records[0]["duration_us"] == 250_000
    assert world.rows() == [(100, "curl", "192.0.2.1:80", "connected", 0, 1, 0, 0)]


def test_an_error_that_a_layer_below_made_has_the_number_that_the_program_gets(world: World) -> None:
    world.connect(WinsockError(10013))  # WSAEACCES
    assert world.events() == [("connect", "failed", "WSAEACCES", errno.EACCES)]


def test_the_kernels_own_number_is_kept(world: World) -> None:
    world.connect(from_errno(errno.EPERM))
    assert world.records[0]["errno"] == errno.EPERM


def test_a_connect_that_does_not_block_is_told_when_the_program_asks(world: World) -> None:
    world.connect(WOULD_BLOCK)
    assert world.records == []
    world.clock.now += 1.5
    world.ask_for_error(0, connected=True)
    assert world.events() == [("connect", "connected", None, None)]
    assert world.records[0]["duration_us"] == 1_500_000
    world.ask_for_error(0, connected=True)
    assert len(world.records) == 1


def test_its_failure_too(world: World) -> None:
    world.connect(WOULD_BLOCK)
    world.clock.now += 0.1
    world.ask_for_error(errno.ECONNREFUSED, connected=False)
    assert world.events() == [("connect", "failed", "WSAECONNREFUSED", errno.ECONNREFUSED)]
    assert world.records[0]["duration_us"] == 100_000
    assert world.rows()[0][4:6] == (0, 1)


def test_who_asks_too_early_has_no_answer_yet(world: World) -> None:
    world.connect(WOULD_BLOCK)
    world.ask_for_error(0, connected=False)
    assert world.records == []
    world.ask_for_error(0, connected=True)
    assert world.events() == [("connect", "connected", None, None)]


def test_a_question_after_something_else_is_no_outcome(world: World) -> None:
    world.connect(WOULD_BLOCK)
    world.below.answers.update(WSPGetSockOpt=1, WSPGetPeerName=PEER)
    assert world.layer.WSPGetSockOpt(S, SOL_SOCKET, SO_RCVBUF) == 1
    assert world.layer.WSPGetSockOpt(S, 6, SO_ERROR) == 1
    assert world.records == []


def test_the_error_of_a_socket_that_was_connected_is_no_connects(world: World) -> None:
    world.connect(peer=PEER)
    world.ask_for_error(errno.ECONNRESET, connected=False)
    assert world.events() == [("connect", "connected", None, None)]


@pytest.mark.parametrize(
    ("again", "told"),
    [
        (from_errno(errno.EISCONN), ("connect", "connected", None, None)),
        (None, ("connect", "connected", None, None)),
        (from_errno(errno.ECONNREFUSED), ("connect", "failed", "WSAECONNREFUSED", errno.ECONNREFUSED)),
        (from_errno(errno.ECONNABORTED), ("connect", "failed", "WSAECONNABORTED", errno.ECONNABORTED)),
    ],
    ids=["connected before", "connected now", "refused", "told before"],
)
def test_a_second_connect_tells_how_the_first_went(
    world: World, again: WinsockError | None, told: tuple[Any, ...]
) -> None:
    world.connect(WOULD_BLOCK)
    world.clock.now += 2
    world.connect(again, peer=PEER if again is None else None)
    assert world.events() == [told]
    assert world.records[0]["duration_us"] == 2_000_000


@pytest.mark.parametrize("number", [errno.EALREADY, errno.EINPROGRESS, errno.EINVAL])
def test_a_second_connect_that_comes_too_early_tells_nothing(world: World, number: int) -> None:
    world.connect(WOULD_BLOCK)
    world.connect(from_errno(number))
    assert world.records == []
    world.ask_for_error(0, connected=True)
    assert len(world.records) == 1


def test_a_connect_on_a_connected_socket_is_a_failure_of_its_own(world: World) -> None:
    world.connect(from_errno(errno.EISCONN))
    assert world.events() == [("connect", "failed", "WSAEISCONN", errno.EISCONN)]


@pytest.mark.parametrize("number", [errno.EISCONN, errno.EAFNOSUPPORT])
def test_a_connection_outlives_a_connect_that_fails(world: World, number: int) -> None:
    world.connect(peer=PEER)
    world.connect(from_errno(number), name=OTHER)
    world.close(peer=PEER, sent=3, received=4)
    assert [event[:2] for event in world.events()] == [("connect", "connected"), ("connect", "failed"), ("close", None)]
    assert world.rows()[0] == (100, "curl", "192.0.2.1:80", "connected", 1, 0, 3, 4)
    assert len(world.rows()) == (1 if number == errno.EISCONN else 2)


def test_a_connect_that_the_kernel_confirms_is_told_and_counted_once(world: World) -> None:
    """Linux answers the first connect after the handshake with success, though SO_ERROR has told of it."""
    world.connect(WOULD_BLOCK)
    world.ask_for_error(0, connected=True)
    world.connect(peer=PEER)
    assert world.events() == [("connect", "connected", None, None)]
    assert world.rows() == [(100, "curl", "192.0.2.1:80", "connected", 1, 0, 0, 0)]


def test_a_connection_after_one_that_was_taken_back_is_told(world: World) -> None:
    world.connect(peer=PEER)
    world.connect(name=SockaddrOther(0, bytes(14)))
    world.connect(peer=OTHER, name=OTHER)
    assert [record["peer"] for record in world.records] == ["192.0.2.1:80", "192.0.2.2:81"]


def test_datagrams_may_be_connected_anew(world: World) -> None:
    world.layer = world.another(1)
    world.connect(peer=PEER)
    world.connect(peer=OTHER, name=OTHER)
    assert [(record["protocol"], record["peer"]) for record in world.records] == [
        ("udp", "192.0.2.1:80"),
        ("udp", "192.0.2.2:81"),
    ]


def test_an_interrupted_connect_is_told_once_with_its_whole_time(world: World) -> None:
    world.connect(from_errno(errno.EINTR))
    world.clock.now += 3
    world.connect(peer=PEER)
    assert world.events() == [("connect", "connected", None, None)]
    assert world.records[0]["duration_us"] == 3_000_000


def test_success_without_a_peer_proves_nothing(world: World) -> None:
    """TCP_FASTOPEN_CONNECT."""
    world.connect(None)
    assert world.records == []
    world.ask_for_error(0, connected=True)
    assert world.events() == [("connect", "connected", None, None)]


def test_dissolving_is_no_connect(world: World) -> None:
    world.connect(name=SockaddrOther(0, bytes(14)))
    assert world.records == []


def test_a_pending_connect_that_is_taken_back_is_told(world: World) -> None:
    world.connect(WOULD_BLOCK)
    world.connect(name=SockaddrOther(0, bytes(14)))
    assert world.events() == [("connect", "abandoned", None, None)]
    assert world.records[0]["peer"] == "192.0.2.1:80"
    world.close()
    assert [event[0] for event in world.events()] == ["connect", "close"]


def test_after_a_failure_the_next_connect_is_one_of_its_own(world: World) -> None:
    world.connect(from_errno(errno.ECONNREFUSED))
    world.clock.now += 1
    world.connect(peer=OTHER, name=OTHER)
    assert [record["peer"] for record in world.records] == ["192.0.2.1:80", "192.0.2.2:81"]
    assert world.records[1]["duration_us"] == 0


def test_who_began_a_connect_is_who_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.connect(WOULD_BLOCK)
    monkeypatch.setattr(calling.local, "describe", lambda: Call(100, 177, "", 900, "worker"))
    world.ask_for_error(0, connected=True)
    assert (world.records[0]["thread"], world.records[0]["name"]) == (101, "curl")


def test_datagram_sockets_are_told_as_such(world: World) -> None:
    world.layer = world.another(1)
    world.connect(peer=PEER)
    assert world.records[0]["protocol"] == "udp"


def test_ipv6(world: World) -> None:
    world.layer = world.another(2)
    world.connect(peer=PEER6, name=PEER6)
    assert (world.records[0]["peer"], world.records[0]["protocol"]) == ("[2001:db8::1]:443", "tcp")


# --- bind, listen, shutdown, accept --------------------------------------------------------------------------------


def test_bind_and_listen(world: World) -> None:
    world.layer.WSPBind(S, LOCAL)
    world.layer.WSPListen(S, 128)
    bind, listen = world.records
    assert list(bind) == [*COMMON, "local", *OUTCOME]
    assert list(listen) == [*COMMON, "local", "backlog", *OUTCOME]
    assert (bind["local"], bind["result"]) == ("192.0.2.9:40000", "bound")
    assert (listen["local"], listen["backlog"], listen["result"]) == ("192.0.2.9:40000", 128, "listening")


def test_listening_without_bind_tells_the_port_that_it_got(world: World) -> None:
    world.below.answers["WSPGetSockName"] = SockaddrIn("0.0.0.0", 0)

    def listen(*_: Any) -> None:
        world.below.answers["WSPGetSockName"] = SockaddrIn("0.0.0.0", 1234)

    world.below.answers["WSPListen"] = listen
    world.layer.WSPListen(S, 1)
    assert world.records[0]["local"] == "0.0.0.0:1234"


@pytest.mark.parametrize("how", [SD_RECEIVE, SD_SEND, SD_BOTH, 9])
def test_shutdown_says_of_what(world: World, how: int) -> None:
    world.connect(peer=PEER)
    world.layer.WSPShutdown(S, how)
    record = world.records[1]
    assert list(record) == [*COMMON, "peer", "how", *OUTCOME]
    expected = {SD_RECEIVE: "receiving", SD_SEND: "sending", SD_BOTH: "both"}.get(how, "9")
    assert (record["peer"], record["how"], record["result"]) == ("192.0.2.1:80", expected, "done")


@pytest.mark.parametrize(
    ("function", "arguments", "event"),
    [("WSPBind", (S, LOCAL), "bind"), ("WSPListen", (S, 5), "listen"), ("WSPShutdown", (S, 2), "shutdown")],
)
def test_their_failures(world: World, function: str, arguments: tuple[Any, ...], event: str) -> None:
    error = world.below.answers[function] = from_errno(errno.EADDRINUSE)
    with pytest.raises(WinsockError) as caught:
        getattr(world.layer, function)(*arguments)
    assert caught.value is error
    assert world.events() == [(event, "failed", "WSAEADDRINUSE", errno.EADDRINUSE)]


def test_a_listener_whose_name_is_unknown_keeps_its_error(world: World) -> None:
    world.below.answers.update(WSPListen=from_errno(errno.EADDRINUSE), WSPGetSockName=from_errno(errno.EBADF))
    with pytest.raises(WinsockError, match="WSAEADDRINUSE"):
        world.layer.WSPListen(S, 5)
    assert world.records[0]["local"] is None


def test_accept_tells_the_peer(world: World) -> None:
    world.below.answers["WSPAccept"] = (ACCEPTED, PEER)
    assert world.layer.WSPAccept(LISTENER) == (ACCEPTED, PEER)
    (record,) = world.records
    assert list(record) == [*COMMON, "peer", *OUTCOME]
    assert (record["peer"], record["result"]) == ("192.0.2.1:80", "accepted")
    assert world.rows() == [(100, "curl", "192.0.2.1", "accepted", 1, 0, 0, 0)]


def test_a_peer_that_has_no_name_is_unknown(world: World) -> None:
    world.below.answers["WSPAccept"] = (ACCEPTED, None)
    world.layer.WSPAccept(LISTENER)
    assert world.records[0]["peer"] is None
    assert world.rows()[0][2] == "?"


def test_an_accept_that_finds_nothing_is_no_event(world: World) -> None:
    world.below.answers["WSPAccept"] = from_errno(errno.EAGAIN)
    with pytest.raises(WinsockError):
        world.layer.WSPAccept(LISTENER)
    assert world.records == []


def test_a_failed_accept(world: World) -> None:
    world.below.answers["WSPAccept"] = from_errno(errno.EMFILE)
    with pytest.raises(WinsockError):
        world.layer.WSPAccept(LISTENER)
    assert world.events() == [("accept", "failed", "WSAEMFILE", errno.EMFILE)]
    assert world.records[0]["peer"] is None


# --- close ---------------------------------------------------------------------------------------------------------


def test_close_tells_the_kernels_counters(world: World) -> None:
    world.connect(peer=PEER)
    world.close(peer=PEER, sent=10, received=20, rtt_us=30, retransmits=1, duration_s=2.5, connected=True)
    record = world.records[1]
    fields = ["local", "peer", "sent", "received", "rtt_us", "retransmits", "duration_s", "final"]
    assert list(record) == [*COMMON, *fields]
    assert [record[field] for field in fields] == ["192.0.2.9:40000", "192.0.2.1:80", 10, 20, 30, 1, 2.5, True]
    assert (record["process"], record["thread"], record["name"], record["socket"]) == (100, 100, "curl", 900)
    assert world.rows() == [(100, "curl", "192.0.2.1:80", "connected", 1, 0, 10, 20)]


def test_what_is_not_known_is_null(world: World) -> None:
    world.close(local=None)
    record = world.records[0]
    assert [
        record[field] for field in ("local", "peer", "sent", "received", "rtt_us", "retransmits", "duration_s")
    ] == [None] * 7


@pytest.mark.parametrize("error", [None, from_errno(errno.ECONNREFUSED)], ids=["connected", "refused"])
def test_a_peer_that_the_kernel_forgot_is_the_one_of_the_connect(world: World, error: WinsockError | None) -> None:
    world.connect(error, peer=PEER if error is None else None)
    world.close(peer=None)
    assert world.records[1]["peer"] == "192.0.2.1:80"
    world.close(peer=None)
    assert world.records[2]["peer"] is None


@pytest.mark.parametrize(("connected", "result"), [(True, "connected"), (False, "abandoned"), (None, "unknown")])
def test_a_connect_that_nobody_asked_after_is_told_at_the_end(
    world: World, connected: bool | None, result: str
) -> None:
    world.connect(WOULD_BLOCK)
    world.clock.now += 4
    world.close(connected=connected, sent=3, received=4)
    assert [(record["event"], record.get("result")) for record in world.records] == [
        ("connect", result),
        ("close", None),
    ]
    assert world.records[0]["duration_us"] == 4_000_000
    moved = (1, 0, 3, 4) if connected else (0, 1, 0, 0)
    assert world.rows() == [(100, "curl", "192.0.2.1:80", "connected", *moved)]


def test_in_one_process_the_socket_is_its_handle(world: World) -> None:
    world.connect(WOULD_BLOCK)
    world.close(socket=S, handle=None, connected=True)
    assert [record["event"] for record in world.records] == ["connect", "close"]


def test_a_socket_that_is_still_sending_says_so(world: World) -> None:
    world.close(final=False)
    assert world.records[0]["final"] is False


# --- the summary ---------------------------------------------------------------------------------------------------


def test_the_summary_adds_up_by_process_and_peer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.connect(peer=PEER)
    world.close(peer=PEER, sent=1, received=2)
    world.connect(peer=PEER)
    world.close(peer=PEER, sent=10, received=None)
    world.connect(from_errno(errno.ECONNREFUSED), name=OTHER)
    world.below.answers["WSPAccept"] = (ACCEPTED, PEER)
    world.layer.WSPAccept(LISTENER)
    monkeypatch.setattr(calling.local, "describe", lambda: Call(200, 200, "", 901, "wget"))
    world.connect(peer=PEER)
    assert world.rows() == [
        (100, "curl", "192.0.2.1:80", "connected", 2, 0, 11, 2),
        (100, "curl", "192.0.2.2:81", "connected", 0, 1, 0, 0),
        (100, "curl", "192.0.2.1", "accepted", 1, 0, 0, 0),
        (200, "wget", "192.0.2.1:80", "connected", 1, 0, 0, 0),
    ]


def test_it_is_told_once_over_all_chains(world: World) -> None:
    world.connect(peer=PEER)
    other = world.another(2)
    other.run_ended()
    world.layer.run_ended()
    summaries = [record for record in world.records if record["event"] == "summary"]
    assert len(summaries) == 1
    names = ["process", "name", "peer", "direction", "connections", "failed", "sent", "received"]
    assert [list(row) for row in summaries[0]["rows"]] == [names]


def test_a_run_without_connections_has_none(world: World) -> None:
    world.layer.run_ended()
    assert world.records == []


# --- what it asks for ----------------------------------------------------------------------------------------------


def test_the_documented_fields_are_those_of_the_records() -> None:
    documented = module.__doc__ or ""
    for name in COMMON[1:]:
        assert f"`{name}`" in documented
    for words in (
        "connect   peer, result",
        "listen    local, backlog, result",
        "close     local, peer, sent, received",
    ):
        assert words in documented
