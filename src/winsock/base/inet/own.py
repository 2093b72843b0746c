"""The sockets that this process made itself, and what Winsock remembers of them that the kernel does not tell.

A handle is either *own* (it has a record here) or *adopted*: a file of somebody else's that the dispatcher put under
our care. For own sockets we imitate Windows and may change options to do so. An adopted one belongs to a program that
was written for this kernel: we pass its calls on, change nothing for a purpose of our own, and keep no object on its
number.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.base.inet.addresses import host_family

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.abi.sockaddr import Sockaddr
    from winsock.base.inet.sharing import Claim

# A stream's way through life; a datagram socket is NEW or CONNECTED.
NEW, CONNECTING, FAILED, CONNECTED, LISTENING = range(5)


class OwnSocket:
    """One socket of this process."""

    __slots__ = (
        "bound",
        "claim",
        "closed",
        "connect_time",
        "debug",
        "deferred",
        "dont_route",
        "error",
        "exclusive",
        "handle",
        "info",
        "inheritable",
        "linger_seconds",
        "oob_inline",
        "phase",
        "receiving_ended",
        "recv_into",
        "reports_resets",
        "reset_pending",
        "reuse",
        "send",
        "sending_ended",
        "sock",
        "stream",
        "waiters",
    )

    def __init__(self, sock: socket.socket, info: WSAPROTOCOL_INFO, *, inheritable: bool) -> None:
        self.sock = sock
        self.handle = sock.fileno()
        self.info = info
        """The entry of the provider that made it."""
        self.inheritable = inheritable
        self.stream = sock.type == socket.SOCK_STREAM
        self.send: Callable[..., int] = sock.send
        self.recv_into: Callable[..., int] = sock.recv_into
        self.phase = NEW
        self.bound = False
        """Known to have a local address; else it is looked up."""
        self.sending_ended = False
        self.receiving_ended = False
        self.reuse = False
        """SO_REUSEADDR as Windows means it; looked at by bind alone."""
        self.exclusive = False
        self.oob_inline = False
        self.debug = False
        self.dont_route = False
        self.linger_seconds = 0
        self.error: int | None = None
        """A code that the application set as SO_ERROR."""
        self.reports_resets = True
        """SIO_UDP_CONNRESET: a datagram that could not be delivered fails a later receive."""
        self.reset_pending = False
        """The kernel told a send what Windows tells a receive."""
        self.connect_time: float | None = None
        """When the connection was made, by the monotonic clock."""
        self.claim: Claim | None = None
        self.deferred: list[tuple[OwnSocket, Sockaddr]] = []
        """A connection that a condition function deferred: the next accept offers it again."""
        self.waiters: list[None] = []
        """One item for each thread that may be waiting in a call on this socket."""
        self.closed = False

    @property
    def blocking(self) -> bool:
        """Asked anew each time, because a handle is a descriptor, whose mode others may change."""
        return os.get_blocking(self.handle) if os.name == "posix" else self.sock.getblocking()


SOCKETS: dict[int, OwnSocket] = {}
"""By handle, for the process: any provider of the family can tell its own sockets apart."""


def create(info: WSAPROTOCOL_INFO, *, inheritable: bool) -> OwnSocket:
    """A new socket, blocking, of the kind that the entry describes."""
    return _record(socket.socket(host_family(info.iAddressFamily), info.iSocketType, info.iProtocol), info, inheritable)


def wrap(descriptor: int, info: WSAPROTOCOL_INFO, *, inheritable: bool) -> OwnSocket:
    """A record for a connection that the kernel has just handed out."""
    sock = socket.socket(host_family(info.iAddressFamily), info.iSocketType, info.iProtocol, fileno=descriptor)
    return _record(sock, info, inheritable)


def _record(sock: socket.socket, info: WSAPROTOCOL_INFO, inheritable: bool) -> OwnSocket:
    if sock.gettimeout() is not None:  # the process has a default time-out, which is none of ours
        sock.settimeout(None)
    if inheritable:
        sock.set_inheritable(True)
    forget(sock.fileno())
    return OwnSocket(sock, info, inheritable=inheritable)


def forget(handle: int) -> OwnSocket | None:
    """Take the record away and let go of the number, which stays open."""
    record = SOCKETS.pop(handle, None)
    if record is not None:
        record.closed = True
        record.sock.detach()
    return record


def after_fork() -> None:
    """In a child the threads that waited are gone."""
    for record in SOCKETS.values():
        record.waiters.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
