"""Shows what a program does with its sockets: every connect, bind, listen, accept, shutdown and close, and how it went.

The calls that move data are left alone: bytes, round-trip time and retransmits are the kernel's own counters, read when
a socket closes. A non-blocking connect is reported when its outcome is known, with the full time it took: when the
program asks for SO_ERROR, when it calls connect again, or when the socket closes.

Bytes sent are exact. Bytes received are exact after an orderly end; where a connection ended in a reset they are right
within 1, because the kernel counts the peer's FIN among them and does not always tell whether one had come.

Each event is one record: `event`, `time` (seconds since 1970), `process`, `thread`, `name` (the command), `socket`,
`protocol`, then by event

    connect   peer, result ("connected", "failed", "abandoned", "unknown"), error, errno, duration_us
    bind      local, result ("bound", "failed"), error, errno
    listen    local, backlog, result ("listening", "failed"), error, errno
    accept    peer, result ("accepted", "failed"), error, errno
    shutdown  peer, how ("sending", "receiving", "both"), result ("done", "failed"), error, errno
    close     local, peer, sent, received, rtt_us, retransmits, duration_s; null where it is not known;
              final (false: the kernel is still sending what the program left behind)
    summary   rows: process, name, peer, direction, connections, failed, sent, received
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from winsock.abi.constants import AF_UNSPEC, IPPROTO_TCP, SD_BOTH, SD_RECEIVE, SD_SEND, SO_ERROR, SOL_SOCKET
from winsock.abi.errors import (
    WSAEALREADY,
    WSAEINPROGRESS,
    WSAEINTR,
    WSAEINVAL,
    WSAEISCONN,
    WSAEWOULDBLOCK,
    ErrorCode,
    WinsockError,
    errno_of,
    name_of,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.core import journal
from winsock.layers.trace_text import render
from winsock.spi.calling import Call, current_call
from winsock.spi.layer import Layer
from winsock.spi.provider import OptionValue, ReadBuffer, WriteBuffer
from winsock.spi.stats import Stats, has_peer, known

_STILL_PENDING = frozenset({WSAEWOULDBLOCK, WSAEINPROGRESS, WSAEALREADY, WSAEINVAL})


_HOW = {SD_SEND: "sending", SD_RECEIVE: "receiving", SD_BOTH: "both"}


class Attempt(NamedTuple):
    """A connect whose outcome is not known yet."""

    peer: Sockaddr
    started: float
    call: Call


class Place(NamedTuple):
    """A row of the summary: whose connections, with whom, and who began them."""

    process: int
    name: str
    peer: str
    direction: str


class Summary:
    """Connections by process and peer, over all chains of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[Place, list[int]] = {}
        self.told = False

    def connection(self, place: Place, failed: bool) -> None:
        """One more connection, or one that failed."""
        with self._lock:
            self._rows.setdefault(place, [0, 0, 0, 0])[1 if failed else 0] += 1

    def moved(self, place: Place, sent: int, received: int) -> None:
        """Add a closed socket's bytes."""
        with self._lock:
            row = self._rows[place]
            row[2] += sent
            row[3] += received

    def rows(self) -> list[dict[str, Any]]:
        """The table, in the order of first sight."""
        names = ("connections", "failed", "sent", "received")
        with self._lock:
            return [place._asdict() | dict(zip(names, row, strict=True)) for place, row in self._rows.items()]


class Trace(Layer):
    """Show each connect, bind, listen, accept, shutdown and close of a program, with its outcome."""

    name = "trace"
    sockopts = ((SOL_SOCKET, SO_ERROR),)
    summary = Summary()

    def __init__(self) -> None:
        self._pending: dict[int, Attempt] = {}
        self._connections: dict[int, tuple[Sockaddr | None, Place | None]] = {}

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        attempt = self._pending.get(s) or Attempt(name, time.monotonic(), current_call())
        try:
            result = self.next.WSPConnect(s, name, caller_data, callee_data, sqos, gqos)
        except WinsockError as error:
            self._connect_raised(s, attempt, error)
            raise
        if name.family == AF_UNSPEC:
            self._dissolved(s)
        elif s not in self._pending and self._told_connected(s):
            pass  # Linux confirms, once, what SO_ERROR has told
        elif has_peer(self.next, s):  # success alone proves nothing where TCP_FASTOPEN_CONNECT is set
            self._outcome(s, attempt, None)
        else:
            self._pending[s] = attempt
        return result

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        value = super().WSPGetSockOpt(s, level, optname)
        if optname == SO_ERROR and level == SOL_SOCKET and s in self._pending:
            if isinstance(value, ErrorCode) and value:
                self._outcome(s, self._pending[s], value, value.errno)
            elif has_peer(self.next, s):
                self._outcome(s, self._pending[s], None)
        return value

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        self._reporting("bind", "bound", lambda: self.next.WSPBind(s, name), lambda: {"local": str(name)})

    def WSPListen(self, s: int, backlog: int) -> None:
        def fields() -> dict[str, Any]:  # told after the call, which binds where nobody has
            return {"local": _text(known(lambda: self.next.WSPGetSockName(s))), "backlog": backlog}

        self._reporting("listen", "listening", lambda: self.next.WSPListen(s, backlog), fields)

    def WSPShutdown(self, s: int, how: int) -> None:
        peer, _ = self._connections.get(s, (None, None))
        fields = {"peer": _text(peer), "how": _HOW.get(how, str(how))}
        self._reporting("shutdown", "done", lambda: self.next.WSPShutdown(s, how), lambda: fields)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        try:
            handle, peer = super().WSPAccept(s, condition, callback_data)
        except WinsockError as error:
            if error.winerror != WSAEWOULDBLOCK:
                self._tell("accept", current_call(), _ended({"peer": None}, "failed", error.winerror, error.errno))
            raise
        call = current_call()
        self._tell("accept", call, _ended({"peer": _text(peer)}, "accepted"))
        self._established(handle, peer, Place(call.process, call.process_name, _host(peer), "accepted"))
        return handle, peer

    def closed(self, stats: Stats) -> None:
        handle = stats.socket if stats.handle is None else stats.handle
        attempt = self._pending.pop(handle, None)
        if attempt is not None:
            self._ended_pending(handle, attempt, stats.connected)
        peer, place = self._connections.pop(handle, (None, None))
        call = Call(stats.process, stats.process, "", stats.socket, stats.process_name)
        self._tell("close", call, _closing(stats, peer))
        if place is not None:
            self.summary.moved(place, stats.sent or 0, stats.received or 0)

    def run_ended(self) -> None:
        rows = self.summary.rows()
        if rows and not self.summary.told:
            self.summary.told = True
            journal.record({"event": "summary", "rows": rows}, render)

    # --- reporting --------------------------------------------------------------------------------------------------

    def _connect_raised(self, s: int, attempt: Attempt, error: WinsockError) -> None:
        waits = s in self._pending
        if error.winerror == WSAEISCONN and waits:
            self._outcome(s, attempt, None)
        elif error.winerror == WSAEWOULDBLOCK or (waits and error.winerror in _STILL_PENDING):
            self._pending[s] = attempt
        elif error.winerror == WSAEISCONN:  # no attempt that failed: the connection stands
            self._tell_connect(attempt, str(attempt.peer), "failed", error.winerror, error.errno)
        elif error.winerror != WSAEINTR:  # an interrupted connect goes on, and is made again
            self._outcome(s, attempt, error.winerror, error.errno)
        else:
            self._pending[s] = attempt

    def _outcome(self, s: int, attempt: Attempt, error: int | None, errno: int | None = None) -> None:
        """Report how a connect ended; no error is success."""
        self._pending.pop(s, None)
        place = _place(attempt)
        self._tell_connect(attempt, place.peer, "failed" if error else "connected", error, errno)
        if error:
            if not self._told_connected(s):
                self._connections[s] = attempt.peer, None
            self.summary.connection(place, failed=True)
        else:
            self._established(s, attempt.peer, place)

    def _dissolved(self, s: int) -> None:
        """The program took a connect back, by one to AF_UNSPEC."""
        attempt = self._pending.pop(s, None)
        peer, _ = self._connections.get(s, (None, None))
        self._connections[s] = peer, None
        if attempt is not None:
            self._ended_pending(s, attempt, connected=False)

    def _told_connected(self, s: int) -> bool:
        """Whether the stream is connected, as far as we were told: it stays so whatever connects it once more."""
        _, place = self._connections.get(s, (None, None))
        return place is not None and self.info.iProtocol == IPPROTO_TCP

    def _ended_pending(self, s: int, attempt: Attempt, connected: bool | None) -> None:
        """The program closed the socket, or gave it up, before it asked: the kernel's counters may know."""
        if connected:
            self._outcome(s, attempt, None)
        else:
            place = _place(attempt)
            self._tell_connect(attempt, place.peer, "unknown" if connected is None else "abandoned")
            self.summary.connection(place, failed=True)

    def _established(self, s: int, peer: Sockaddr | None, place: Place) -> None:
        self._connections[s] = peer, place
        self.summary.connection(place, failed=False)

    def _tell_connect(
        self, attempt: Attempt, peer: str, result: str, error: int | None = None, errno: int | None = None
    ) -> None:
        fields = _ended({"peer": peer}, result, error, errno)
        fields["duration_us"] = round((time.monotonic() - attempt.started) * 1e6)
        self._tell("connect", attempt.call, fields)

    def _reporting(
        self, event: str, success: str, perform: Callable[[], None], fields: Callable[[], dict[str, Any]]
    ) -> None:
        try:
            perform()
        except WinsockError as error:
            self._tell(event, current_call(), _ended(fields(), "failed", error.winerror, error.errno))
            raise
        self._tell(event, current_call(), _ended(fields(), success))

    def _tell(self, event: str, call: Call, fields: dict[str, Any]) -> None:
        record: dict[str, Any] = {
            "event": event,
            "time": time.time(),
            "process": call.process,
            "thread": call.thread,
            "name": call.process_name,
            "socket": call.socket_id,
            "protocol": "tcp" if self.info.iProtocol == IPPROTO_TCP else "udp",
            **fields,
        }
        journal.record(record, render)


def _place(attempt: Attempt) -> Place:
    return Place(attempt.call.process, attempt.call.process_name, str(attempt.peer), "connected")


def _ended(fields: dict[str, Any], result: str, error: int | None = None, errno: int | None = None) -> dict[str, Any]:
    """The fields, and how the call ended; no error is success."""
    fields["result"] = result
    fields["error"] = None if error is None else name_of(error)
    fields["errno"] = errno_of(error) if errno is None and error is not None else errno
    return fields


def _closing(stats: Stats, peer: Sockaddr | None) -> dict[str, Any]:
    """What is known at the end; the peer from the connect where the kernel has forgotten it."""
    peer = stats.peer or peer
    return {
        "local": _text(stats.local),
        "peer": _text(peer),
        "sent": stats.sent,
        "received": stats.received,
        "rtt_us": stats.rtt_us,
        "retransmits": stats.retransmits,
        "duration_s": stats.duration_s,
        "final": stats.final,
    }


def _text(address: Sockaddr | None) -> str | None:
    return None if address is None else str(address)


def _host(peer: Sockaddr | None) -> str:
    return peer.host if isinstance(peer, (SockaddrIn, SockaddrIn6)) else _text(peer) or "?"
