"""Shows what a program does with its sockets: every connect, bind, listen, accept and close, and how it went.

The calls that move data are left alone: bytes, round-trip time and retransmits are the kernel's own counters, read when
a socket closes. A non-blocking connect is reported when its outcome is known, with the full time it took: when the
program asks for SO_ERROR, when it calls connect again, or when the socket closes.

Each event is one record: `event`, `time` (seconds since 1970), `process`, `thread`, `name` (the command), `socket`,
`protocol`, then by event

    connect   peer, result ("connected", "failed", "unknown"), error, errno, duration_us
    bind      local, result ("bound", "failed"), error, errno
    listen    local, backlog, result ("listening", "failed"), error, errno
    accept    peer, result ("accepted", "failed"), error, errno
    close     local, peer, sent, received, rtt_us, retransmits, duration_s; null where it is not known
    summary   rows: process, name, peer, direction, connections, failed, sent, received
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from winsock.abi.constants import IPPROTO_TCP, SO_ERROR, SOL_SOCKET
from winsock.abi.errors import (
    WSAEALREADY,
    WSAEINPROGRESS,
    WSAEINVAL,
    WSAEISCONN,
    WSAEWOULDBLOCK,
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
from winsock.spi.stats import Stats

_STILL_PENDING = frozenset({WSAEWOULDBLOCK, WSAEINPROGRESS, WSAEALREADY, WSAEINVAL})


class Attempt(NamedTuple):
    """A connect whose outcome is not known yet."""

    peer: Sockaddr
    started: float
    call: Call


class Summary:
    """Connections by process and peer, over all chains of a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[tuple[int, str, str, str], list[int]] = {}
        self._peers: dict[int, tuple[int, str, str, str]] = {}
        self.told = False

    def connection(self, call: Call, peer: str, direction: str, failed: bool) -> None:
        """One more connection of a process with a peer, or one that failed."""
        key = (call.process, call.process_name, peer, direction)
        with self._lock:
            row = self._rows.setdefault(key, [0, 0, 0, 0])
            row[1 if failed else 0] += 1
            if not failed and call.socket_id is not None:
                self._peers[call.socket_id] = key

    def closed(self, stats: Stats) -> None:
        """Add a closed socket's bytes to its row."""
        with self._lock:
            key = self._peers.pop(stats.socket, None)
            if key is not None:
                self._rows[key][2] += stats.sent or 0
                self._rows[key][3] += stats.received or 0

    def rows(self) -> list[dict[str, Any]]:
        """The table, in the order of first sight."""
        names = ("connections", "failed", "sent", "received")
        with self._lock:
            return [
                {"process": key[0], "name": key[1], "peer": key[2], "direction": key[3]}
                | dict(zip(names, row, strict=True))
                for key, row in self._rows.items()
            ]


class Trace(Layer):
    """Show each connect, bind, listen, accept and close of a program, with its outcome."""

    name = "trace"
    sockopts = ((SOL_SOCKET, SO_ERROR),)
    summary = Summary()

    def __init__(self) -> None:
        self._pending: dict[int, Attempt] = {}

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        call = current_call()
        attempt = self._pending.get(call.socket_id or s) or Attempt(name, time.monotonic(), call)
        try:
            result = self.next.WSPConnect(s, name, caller_data, callee_data, sqos, gqos)
        except WinsockError as error:
            self._connect_raised(s, attempt, error)
            raise
        if self._is_connected(s):
            self._outcome(attempt, None)
        else:
            self._pending[call.socket_id or s] = attempt
        return result

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        value = super().WSPGetSockOpt(s, level, optname)
        if optname == SO_ERROR and level == SOL_SOCKET:
            attempt = self._pending.get(current_call().socket_id or s)
            if attempt is not None and (value or self._is_connected(s)):
                assert isinstance(value, int)
                self._outcome(attempt, value or None, getattr(value, "errno", None))
        return value

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        self._reporting("bind", "bound", {"local": str(name)}, lambda: self.next.WSPBind(s, name))

    def WSPListen(self, s: int, backlog: int) -> None:
        fields = {"local": str(self.next.WSPGetSockName(s)), "backlog": backlog}
        self._reporting("listen", "listening", fields, lambda: self.next.WSPListen(s, backlog))

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        try:
            handle, peer = super().WSPAccept(s, condition, callback_data)
        except WinsockError as error:
            if error.winerror != WSAEWOULDBLOCK:
                self._tell("accept", current_call(), {"peer": None} | _result("failed", error.winerror, error.errno))
            raise
        call = current_call()
        self._tell("accept", call, {"peer": str(peer)} | _result("accepted"))
        self.summary.connection(_of_socket(call, handle), _host(peer), "accepted", False)
        return handle, peer

    def closed(self, stats: Stats) -> None:
        attempt = self._pending.pop(stats.socket, None)
        if attempt is not None:
            self._ended_pending(attempt, stats)
        call = Call(stats.process, stats.process, "", stats.socket, stats.process_name)
        self._tell("close", call, _closing(stats))
        self.summary.closed(stats)

    def run_ended(self) -> None:
        if not self.summary.told:
            self.summary.told = True
            record = {"event": "summary", "rows": self.summary.rows()}
            journal.record(record, render)

    # --- reporting --------------------------------------------------------------------------------------------------

    def _connect_raised(self, s: int, attempt: Attempt, error: WinsockError) -> None:
        socket = attempt.call.socket_id or s
        if error.winerror == WSAEISCONN and socket in self._pending:
            self._outcome(attempt, None)
        elif error.winerror in _STILL_PENDING and (error.winerror == WSAEWOULDBLOCK or socket in self._pending):
            self._pending[socket] = attempt
        else:
            self._outcome(attempt, error.winerror, error.errno)

    def _is_connected(self, s: int) -> bool:
        """Whether the peer has answered: no success of connect proves it where TCP_FASTOPEN_CONNECT is set."""
        try:
            self.next.WSPGetPeerName(s)
        except WinsockError:
            return False
        return True

    def _outcome(self, attempt: Attempt, error: int | None, errno: int | None = None) -> None:
        call = attempt.call
        if call.socket_id is not None:
            self._pending.pop(call.socket_id, None)
        fields = {"peer": str(attempt.peer)} | _result("failed" if error else "connected", error, errno)
        fields["duration_us"] = round((time.monotonic() - attempt.started) * 1e6)
        self._tell("connect", call, fields)
        self.summary.connection(call, str(attempt.peer), "connected", bool(error))

    def _ended_pending(self, attempt: Attempt, stats: Stats) -> None:
        """The program closed the socket before it asked: the kernel's counters may know."""
        if stats.connected:
            self._outcome(attempt, None)
            return
        fields = {"peer": str(attempt.peer)} | _result("unknown" if stats.connected is None else "abandoned")
        fields["duration_us"] = round((time.monotonic() - attempt.started) * 1e6)
        self._tell("connect", attempt.call, fields)
        self.summary.connection(attempt.call, str(attempt.peer), "connected", True)

    def _reporting(self, event: str, success: str, fields: dict[str, Any], perform: Callable[[], None]) -> None:
        try:
            perform()
        except WinsockError as error:
            self._tell(event, current_call(), fields | _result("failed", error.winerror, error.errno))
            raise
        self._tell(event, current_call(), fields | _result(success))

    def _tell(self, event: str, call: Call, fields: dict[str, Any]) -> None:
        record = {
            "event": event,
            "time": time.time(),
            "process": call.process,
            "thread": call.thread,
            "name": call.process_name,
            "socket": call.socket_id,
            "protocol": "tcp" if self.info.iProtocol == IPPROTO_TCP else "udp",
        }
        journal.record(record | fields, render)


def _result(result: str, error: int | None = None, errno: int | None = None) -> dict[str, Any]:
    if error is None:
        return {"result": result, "error": None, "errno": None}
    return {"result": result, "error": name_of(error), "errno": errno if errno is not None else errno_of(error)}


def _closing(stats: Stats) -> dict[str, Any]:
    return {
        "local": None if stats.local is None else str(stats.local),
        "peer": None if stats.peer is None else str(stats.peer),
        "sent": stats.sent,
        "received": stats.received,
        "rtt_us": stats.rtt_us,
        "retransmits": stats.retransmits,
        "duration_s": stats.duration_s,
    }


def _of_socket(call: Call, handle: int) -> Call:
    """The same caller, for the socket that its accept made."""
    return call._replace(socket_id=handle)


def _host(peer: Sockaddr | None) -> str:
    return peer.host if isinstance(peer, (SockaddrIn, SockaddrIn6)) else str(peer)
