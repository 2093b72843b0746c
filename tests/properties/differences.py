"""Where Windows is documented to answer otherwise than this kernel: each difference is one row, with its source.

An id in capitals is one of the tables of behaviours, anything else the page of the documentation. A row of `INSTEAD`
tells the answer to a call that the plain socket is not asked at all, because it would do something else; a row of
`OTHERWISE` what becomes of the plain socket's answer. The first row that fits is the one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.properties.ends import DATAGRAM, IPV4, STREAM, Failure, Outcome, Where
from winsock.abi.constants import SD_BOTH, SD_RECEIVE, SD_SEND
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMSGSIZE,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSAESHUTDOWN,
    WSAEWOULDBLOCK,
    code_of,
)
from winsock.abi.options import Linger

NEW, CONNECTING, FAILED, CONNECTED, LISTENING = "new", "connecting", "failed", "connected", "listening"
EPIPE = code_of(32)
RECEIVES = ("receive", "receive_from")
SENDS = ("send", "send_to")


@dataclass
class Socket:
    """What is known of one, from the plain socket's answers."""

    number: int
    family: int
    kind: int
    phase: str = NEW
    claimed: Where | None = None
    """What it was bound to."""
    is_bound: bool = False
    """Whether it has a port."""
    sending_ended: bool = False
    receiving_ended: bool = False
    lingers_s: int = 0
    reset_pending: bool = False
    """The kernel told a send that an earlier datagram found nobody."""
    failed_late: bool = False
    """Its connect went on and failed, and somebody has found out."""
    is_lost: bool = False
    """The kernel told a receive that the connection was reset, and tells the end of the stream from then on."""

    @property
    def is_stream(self) -> bool:
        return self.kind == STREAM


class Step(NamedTuple):
    """One call."""

    call: str
    number: int
    arguments: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        shown = (f"{one[:1]!r} * {len(one)}" if isinstance(one, bytes) else str(one) for one in self.arguments)
        return f"{self.call}({', '.join((str(self.number), *shown))})"


class Instead(NamedTuple):
    """The plain socket is not asked."""

    source: str
    calls: tuple[str, ...]
    when: Callable[[Socket, Step], bool]
    answer: Outcome | Callable[[Socket, Step], Outcome]


class Otherwise(NamedTuple):
    """The plain socket's answer means another one."""

    source: str
    calls: tuple[str, ...]
    when: Callable[[Socket, Step, Outcome], bool]
    answer: Outcome


def _where(step: Step) -> Where:
    found = step.arguments[-1]
    assert isinstance(found, Where)
    return found


def _ended(socket: Socket, step: Step) -> bool:
    """Whether it was shut down so before."""
    how = step.arguments[0]
    return (how == SD_RECEIVE or socket.sending_ended) and (how == SD_SEND or socket.receiving_ended)


def _option(step: Step) -> str:
    name: str = step.arguments[0].name
    return name


INSTEAD = (
    Instead(
        "nf-winsock2-bind, -connect, -sendto: WSAEAFNOSUPPORT (BL-02)",
        ("bind", "connect", "send_to"),
        lambda s, step: _where(step).family != s.family and not (s.is_stream and step.call == "send_to"),
        Failure(WSAEAFNOSUPPORT),
    ),
    Instead(
        "BL-04: whatever the name, a socket has one",
        ("bind",),
        lambda s, step: s.is_bound,
        Failure(WSAEINVAL),
    ),
    Instead(
        "BL-03: the broadcast address is none of this host's",
        ("bind",),
        lambda s, step: _where(step).host == "broadcast",
        Failure(WSAEADDRNOTAVAIL),
    ),
    Instead(
        "BL-15: no listening without a name",
        ("listen",),
        lambda s, step: s.is_stream and not s.is_bound and s.phase != CONNECTING,
        Failure(WSAEINVAL),
    ),
    Instead(
        "nf-winsock2-listen: WSAEISCONN",
        ("listen",),
        lambda s, step: s.is_stream and s.phase == CONNECTED,
        Failure(WSAEISCONN),
    ),
    Instead(
        "nf-winsock2-connect: WSAEINVAL for a listening socket",
        ("connect",),
        lambda s, step: s.phase == LISTENING,
        Failure(WSAEINVAL),
    ),
    Instead(
        "nf-winsock2-connect: WSAEADDRNOTAVAIL for an address of zeros",
        ("connect",),
        lambda s, step: s.is_stream and (_where(step).host == "wildcard" or _where(step).port_of is None),
        Failure(WSAEADDRNOTAVAIL),
    ),
    Instead(
        "nf-winsock2-connect: WSAEADDRNOTAVAIL for a peer of datagrams without a port",
        ("connect",),
        lambda s, step: not s.is_stream and _where(step).host != "wildcard" and _where(step).port_of is None,
        Failure(WSAEADDRNOTAVAIL),
    ),
    Instead(
        "nf-winsock2-connect: WSAEISCONN, also where the connection broke",
        ("connect",),
        lambda s, step: s.is_stream and s.phase == CONNECTED,
        Failure(WSAEISCONN),
    ),
    Instead(
        "SH-01: there is no connection, and nothing is ended; the kernel would end it for a later one",
        ("shutdown",),
        lambda s, step: (
            s.is_stream and s.phase in (NEW, FAILED, LISTENING) and step.arguments[0] in (SD_RECEIVE, SD_SEND, SD_BOTH)
        ),
        Failure(WSAENOTCONN),
    ),
    Instead(
        "nf-winsock2-recv: WSAESHUTDOWN (SH-08)",
        RECEIVES,
        lambda s, step: s.receiving_ended,
        Failure(WSAESHUTDOWN),
    ),
    Instead(
        "UD-05: nothing is received without a name",
        RECEIVES,
        lambda s, step: not s.is_bound and s.phase in (NEW, FAILED),
        Failure(WSAEINVAL),
    ),
    Instead(
        "nf-winsock2-getsockname: WSAEINVAL",
        ("name",),
        lambda s, step: not s.is_bound,
        Failure(WSAEINVAL),
    ),
    Instead(
        "nf-winsock2-sendto: WSAEADDRNOTAVAIL for an address of zeros",
        ("send_to",),
        lambda s, step: not s.is_stream and _where(step).host == "wildcard" and not s.sending_ended,
        Failure(WSAEADDRNOTAVAIL),
    ),
    Instead(
        "UD-10: what is sent to port 0 is sent, and lost",
        ("send_to",),
        lambda s, step: not s.is_stream and _where(step).port_of is None and not s.sending_ended,
        lambda s, step: len(step.arguments[0]),
    ),
    Instead(
        "SIO_UDP_CONNRESET: the next receive tells that a datagram found nobody",
        RECEIVES,
        lambda s, step: s.reset_pending,
        Failure(WSAECONNRESET),
    ),
    Instead(
        "SO-10, SO_KEEPALIVE: datagrams do not linger, and have nothing to keep alive",
        ("get_option", "set_option"),
        lambda s, step: not s.is_stream and _option(step) in ("SO_LINGER", "SO_KEEPALIVE"),
        Failure(WSAENOPROTOOPT),
    ),
    Instead(
        "BL-46: on IPv4 the option is there, and on",
        ("get_option",),
        lambda s, step: s.family == IPV4 and _option(step) == "IPV6_V6ONLY",
        1,
    ),
    Instead(
        "BL-46: it cannot be set of a socket with a name",
        ("set_option",),
        lambda s, step: s.is_bound and _option(step) == "IPV6_V6ONLY",
        Failure(WSAEINVAL),
    ),
    Instead(
        "BL-46: on IPv4 it can be set before bind",
        ("set_option",),
        lambda s, step: s.family == IPV4 and _option(step) == "IPV6_V6ONLY",
        None,
    ),
)

OTHERWISE = (
    Otherwise(
        "nf-winsock2-connect: WSAEISCONN, also where the kernel tells a late success once more",
        ("connect",),
        lambda s, step, told: s.is_stream and told is None and s.phase == CONNECTING,
        Failure(WSAEISCONN),
    ),
    Otherwise(
        "IO-006: no graceful end after an abortive one",
        RECEIVES,
        lambda s, step, told: s.is_lost and _is_the_end(told),
        Failure(WSAECONNRESET),
    ),
    Otherwise(
        "nf-winsock2-recv: WSAENOTCONN after a connect that failed",
        RECEIVES,
        lambda s, step, told: s.failed_late and _is_the_end(told),
        Failure(WSAENOTCONN),
    ),
    Otherwise(
        "nf-winsock2-connect: its failure is told by select, FD_CONNECT and SO_ERROR; data finds no connection",
        SENDS + RECEIVES,
        lambda s, step, told: s.is_stream and told == Failure(WSAECONNREFUSED),
        Failure(WSAENOTCONN),
    ),
    Otherwise(
        "nf-winsock2-send: WSAESHUTDOWN",
        SENDS,
        lambda s, step, told: told == Failure(EPIPE) and s.sending_ended,
        Failure(WSAESHUTDOWN),
    ),
    Otherwise(
        "nf-winsock2-send: WSAENOTCONN",
        SENDS,
        lambda s, step, told: told == Failure(EPIPE) and s.phase in (NEW, FAILED, LISTENING),
        Failure(WSAENOTCONN),
    ),
    Otherwise(
        "nf-winsock2-send: WSAECONNRESET",
        SENDS,
        lambda s, step, told: told == Failure(EPIPE),
        Failure(WSAECONNRESET),
    ),
    Otherwise(
        "nf-winsock2-send: WSAENOTCONN, also while it connects",
        SENDS,
        lambda s, step, told: s.is_stream and told == Failure(WSAEWOULDBLOCK) and s.phase == CONNECTING,
        Failure(WSAENOTCONN),
    ),
    Otherwise(
        "nf-winsock2-send: WSAENOTCONN for datagrams, too",
        ("send",),
        lambda s, step, told: told == Failure(WSAEDESTADDRREQ),
        Failure(WSAENOTCONN),
    ),
    Otherwise(
        "nf-winsock2-recv: WSAEMSGSIZE",
        RECEIVES,
        lambda s, step, told: isinstance(told, tuple) and told[1:2] == (True,),
        Failure(WSAEMSGSIZE),
    ),
    Otherwise(
        "nf-winsock2-recv: WSAECONNRESET of datagrams",
        RECEIVES,
        lambda s, step, told: s.kind == DATAGRAM and told == Failure(WSAECONNREFUSED),
        Failure(WSAECONNRESET),
    ),
    Otherwise(
        "OPT-006: WSAENOPROTOOPT for an option that is not of this socket's",
        ("get_option", "set_option"),
        lambda s, step, told: told == Failure(WSAEOPNOTSUPP),
        Failure(WSAENOPROTOOPT),
    ),
    Otherwise(
        "SH-08: datagrams are shut down without a connection, and anything twice",
        ("shutdown",),
        lambda s, step, told: told == Failure(WSAENOTCONN) and (not s.is_stream or _ended(s, step)),
        None,
    ),
)


def _is_the_end(told: Outcome) -> bool:
    return isinstance(told, tuple) and told[:1] == (b"",)


def instead(socket: Socket, step: Step) -> tuple[Outcome] | None:
    """The answer to a call that the plain socket is not asked; None where it is."""
    for row in INSTEAD:
        if step.call in row.calls and row.when(socket, step):
            return (row.answer(socket, step) if callable(row.answer) else row.answer,)
    return None


def otherwise(socket: Socket, step: Step, told: Outcome) -> Outcome:
    """What the plain socket's answer is there."""
    for row in OTHERWISE:
        if step.call in row.calls and row.when(socket, step, told):
            return row.answer
    if step.call == "get_option" and _option(step) == "SO_LINGER" and isinstance(told, Linger) and not told.onoff:
        return Linger(0, socket.lingers_s)  # SO-09: the seconds of a linger that is off are told again
    return told
