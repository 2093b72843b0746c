"""The sockets that this process made itself, and what Winsock remembers of them that the kernel does not tell.

A handle is either *own* (it has a record here) or *adopted*: a file of somebody else's that the dispatcher put under
our care. For own sockets we imitate Windows and may change options to do so. An adopted one belongs to a program that
was written for this kernel: we pass its calls on, change nothing for a purpose of our own, and keep no object on its
number.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from winsock.base.inet.addresses import host_family

if sys.platform == "win32":
    from os import set_handle_inheritable as set_inheritable
else:
    from os import set_inheritable

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.abi.sockaddr import Sockaddr
    from winsock.base.inet.groups import Group
    from winsock.base.inet.selection import Selection
    from winsock.base.inet.sharing import Claim

# A stream's way through life; a datagram socket is NEW or CONNECTED.
NEW, CONNECTING, FAILED, CONNECTED, LISTENING = range(5)


class OwnSocket(socket.SocketType):
    """One socket of this process: the host's own object, and beside it what Winsock remembers.

    What nobody has changed stands in the class, so that a new socket costs little more than the host's object.
    """

    handle: int
    """Its number, also when it is closed."""
    info: WSAPROTOCOL_INFO
    """The entry of the provider that made it."""
    inheritable: bool
    overlapped: bool
    """WSA_FLAG_OVERLAPPED: overlapped structures mean something here."""
    stream: bool
    phase: int = NEW
    bound: bool = False
    """Known to have a local address; else it is looked up."""
    sending_ended: bool = False
    receiving_ended: bool = False
    reuse: bool = False
    """SO_REUSEADDR as Windows means it; looked at by bind alone."""
    exclusive: bool = False
    oob_inline: bool = False
    debug: bool = False
    dont_route: bool = False
    linger_seconds: int = 0
    error: int | None = None
    """A code that the application set as SO_ERROR."""
    reports_resets: bool = True
    """SIO_UDP_CONNRESET: a datagram that could not be delivered fails a later receive."""
    reset_pending: bool = False
    """The kernel told a send what Windows tells a receive."""
    connect_time: float | None = None
    """When the connection was made, by the monotonic clock."""
    claim: Claim | None = None
    group: Group | None = None
    group_priority: int = 0
    deferred: list[tuple[OwnSocket, Sockaddr]]
    """A connection that a condition function deferred: the next accept offers it again."""
    waiters: list[None]
    """One item for each thread that may be waiting in a call on this socket."""
    closed: bool = False
    was_accepted: bool = False
    selection: Selection | None = None
    """Where somebody asked for network events."""

    @property
    def blocking(self) -> bool:
        """Asked anew each time, because a handle is a descriptor, whose mode others may change."""
        return os.get_blocking(self.handle) if os.name == "posix" else self.getblocking()


SOCKETS: dict[int, OwnSocket] = {}
"""By handle, for the process: any provider of the family can tell its own sockets apart."""


def create(info: WSAPROTOCOL_INFO, *, inheritable: bool, overlapped: bool) -> OwnSocket:
    """A new socket, blocking, of the kind that the entry describes."""
    made = OwnSocket(host_family(info.iAddressFamily), info.iSocketType, info.iProtocol)
    return _known(made, info, inheritable, overlapped)


def wrap(descriptor: int, info: WSAPROTOCOL_INFO, *, inheritable: bool, overlapped: bool) -> OwnSocket:
    """A record for a connection that the kernel has just handed out."""
    made = OwnSocket(host_family(info.iAddressFamily), info.iSocketType, info.iProtocol, descriptor)
    return _known(made, info, inheritable, overlapped)


def _known(made: OwnSocket, info: WSAPROTOCOL_INFO, inheritable: bool, overlapped: bool) -> OwnSocket:
    """The socket with what is known of it at its beginning."""
    if made.timeout is not None:  # the process has a default time-out, which is none of ours
        made.settimeout(None)
    handle = made.handle = made.fileno()
    if inheritable:
        set_inheritable(handle, True)
    if handle in SOCKETS:
        forget(handle)
    made.info = info
    made.inheritable = inheritable
    made.overlapped = overlapped
    made.stream = made.type == socket.SOCK_STREAM
    made.deferred = []
    made.waiters = []
    return made


def forget(handle: int) -> OwnSocket | None:
    """Take the record away and let go of the number, which stays open."""
    record = SOCKETS.pop(handle, None)
    if record is not None:
        record.closed = True
        if record.group is not None:
            record.group.leave(record)
        record.detach()
    return record


def after_fork() -> None:
    """In a child the threads that waited are gone."""
    for record in SOCKETS.values():
        record.waiters.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
