"""The sockets that this process made itself, and what Winsock remembers of them that the kernel does not tell.

A handle is either *own* (it has a record here) or *adopted*: a file of somebody else's that the dispatcher put under
our care. For own sockets we imitate Windows and may change options to do so. An adopted one belongs to a program that
was written for this kernel: we pass its calls on, change nothing for a purpose of our own, and keep no object on its
number.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from winsock.abi.constants import IP_UNSPECIFIED_USER_MTU, SOCK_STREAM
from winsock.abi.errors import WSAENOTCONN
from winsock.base.inet.addresses import host_family
from winsock.spi.losses import LOSSES

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.abi.sockaddr import Sockaddr
    from winsock.base.inet.groups import Group
    from winsock.base.inet.selection import Selection
    from winsock.base.inet.shared import Shared
    from winsock.base.inet.sharing import Claim
    from winsock.base.inet.sniffing import Sniffer

    _HostObject = socket.SocketType  # what it is to whoever uses it

    class Attachment(Protocol):
        """Something that ends with a socket."""

        def end(self) -> None: ...

else:
    _HostObject = object

# A stream's way through life; a datagram socket is NEW or CONNECTED.
NEW, CONNECTING, FAILED, CONNECTED, LISTENING = range(5)


Control: TypeAlias = "Sequence[tuple[int, int, bytes]]"
"""Control data as the host has it: level, type and data of each object."""


class OwnSocket(_HostObject):
    """One socket of this process: what Winsock remembers of it, and the host's own object.

    It has the methods of that object that are used (`METHODS`), and the object is made when the first of them is
    called: a socket is born, bound, connected and closed by its number alone. What nobody has changed stands in the
    class, so that a birth is cheap.
    """

    handle: int
    """Its number, also when it is closed."""
    info: WSAPROTOCOL_INFO
    """The entry of the provider that made it."""
    inheritable: bool = True
    overlapped: bool = False
    """WSA_FLAG_OVERLAPPED: overlapped structures mean something here."""
    stream: bool
    phase: int = NEW
    bound: bool = False
    """Known to have a local address; else it is looked up."""
    sending_ended: bool = False
    receiving_ended: bool
    reuse: bool = False
    """SO_REUSEADDR as Windows means it; looked at by bind alone."""
    exclusive: bool = False
    oob_inline: bool = False
    minds_mark: bool = False
    """Receives end at urgent data in line (`winsock.base.inet.urgent`)."""
    debug: bool = False
    dont_route: bool = False
    linger_seconds: int = 0
    user_mtu: int = IP_UNSPECIFIED_USER_MTU
    send_room: int = -1
    """What was set as SO_SNDBUF; -1: nothing. And so on (`winsock.base.inet.kept`)."""
    receive_room: int = -1
    keep_idle_s: int = -1
    keep_interval_s: int = -1
    keep_probes: int = -1
    multicast_index: bytes = b""
    """IP_MULTICAST_IF, where it is an index."""
    error: int | None = None
    """A code that the application set as SO_ERROR."""
    reports_resets: bool = True
    """SIO_UDP_CONNRESET: a datagram that found nobody fails a later receive."""
    reports_net_resets: bool = True
    """SIO_UDP_NETRESET: the same of one whose time to live ran out."""
    hears_errors: bool = False
    """The kernel queues what it hears of datagrams (`winsock.base.inet.unreached`)."""
    wants_errors: bool = False
    """IP_RECVERR or IPV6_RECVERR, as the application set it."""
    fails_on_icmp: bool = False
    """TCP_FAIL_CONNECT_ON_ICMP_ERROR (`winsock.base.inet.icmp`)."""
    icmp_error: bytes = b""
    """The ICMP_ERROR_INFO of the message that ended its last connect."""
    takes_broadcasts: bool = True
    """IP_RECEIVE_BROADCAST."""
    lost: int = 0
    """The code of what became of an earlier datagram, for the next receive."""
    connect_time: float = -1.0
    """When the connection was made, by the monotonic clock; -1: never."""
    claim: Claim | None = None
    group: Group | None = None
    group_priority: int = 0
    deferred: list[tuple[OwnSocket, Sockaddr]] | tuple[()] = ()
    """Connections that a condition function deferred: the next accept offers them again."""
    waiters: list[None]
    """One item for each thread that may be waiting in a call on this socket."""
    closed: bool
    holds_more: bool
    """Whether something must end with the socket beside its number and its waiters; whoever adds it says so."""
    late_failure: int = 0
    """The code that its last connect failed with after it had gone on: an exception to select."""
    broken_by: int = 0
    """The code of what is received and sent after the connection was lost."""
    was_accepted: bool = False
    is_leaf: bool = False
    """Made with the multipoint flags."""
    session: Sockaddr | None = None
    """The multipoint session that it is a member of."""
    raw_protocol: int | None = None
    """Of a raw socket, the number that it was made with; it has no port."""
    attachments: list[Attachment] | tuple[()] = ()
    """What ends with the socket."""
    sniffer: Sniffer | None = None
    """Where a raw socket receives everything (SIO_RCVALL)."""
    provider: object
    """The one that made it: several may serve one entry."""
    shared: Shared | None = None
    """Where other descriptors stand for the same socket; the record is a `SharedSocket` then."""
    selection: Selection | None = None
    """Where somebody asked for network events."""
    _object: socket.SocketType | None = None

    def host_object(self) -> socket.SocketType:
        """The host's object, which owns the number from now on; EBADF where the socket is closed already."""
        with _lock:
            made = self._object
            if made is None and not self.closed:
                made = self._object = _object_of(self.handle, self.info)
                self.holds_more = True
                for name in _HERE:
                    self.__dict__.setdefault(name, getattr(made, name))
        if made is None or self.closed:  # perhaps while it was made: the number may be another file's
            if made is not None:
                made.detach()
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return made

    def defer(self, accepted: OwnSocket, peer: Sockaddr) -> None:
        """Keep a connection for the next accept."""
        kept: list[tuple[OwnSocket, Sockaddr]] = self.__dict__.setdefault("deferred", [])
        kept.append((accepted, peer))
        self.holds_more = True

    def hold(self, attachment: Attachment) -> None:
        """Let something end with the socket."""
        kept: list[Attachment] = self.__dict__.setdefault("attachments", [])
        kept.append(attachment)
        self.holds_more = True

    def drop(self, attachment: Attachment) -> None:
        """It ends by itself."""
        if attachment in self.attachments:
            self.__dict__["attachments"].remove(attachment)

    def let_go(self) -> None:
        """The number is nobody's here any more; it stays open."""
        self.closed = True
        LOSSES.discard(self.handle)
        if self.group is not None:
            self.group.leave(self)
        if self._object is not None:
            self._object.detach()
        for attachment in self.attachments:
            attachment.end()

    def inherit(self, listener: OwnSocket) -> None:
        """An accepted socket has the properties of its listener; those that the kernel knows it has from there."""
        for name in _INHERITED:
            value = getattr(listener, name)
            if value != getattr(OwnSocket, name):
                setattr(self, name, value)

    def lose(self, code: int) -> None:
        """An earlier datagram came to nothing, of which the next receive tells."""
        self.lost = self.lost or code
        LOSSES.add(self.handle)

    def take_loss(self) -> int:
        """What the receive tells, this once; 0 where there is nothing."""
        LOSSES.discard(self.handle)
        code, self.lost = self.lost, 0
        return code

    def settle(self, error: int) -> None:
        """The connect that was on its way has ended, with this code or 0: whoever finds out says so first, counts."""
        with _lock:
            if self.phase != CONNECTING:
                return
            self.phase = FAILED if error else CONNECTED
        self.bound = True
        if self.fails_on_icmp and not error:
            from winsock.base.inet import icmp

            icmp.connected(self)
        if error:
            self.late_failure = error
            self.break_by(WSAENOTCONN)
        if self.selection is not None:
            self.selection.settled(error)

    def forget_failure(self) -> None:
        """Another connect was made."""
        if self.late_failure or self.broken_by:
            self.late_failure = self.broken_by = 0
            self.receiving_ended = False

    def break_by(self, code: int) -> None:
        """There is no connection any more, which the kernel would tell as the end of the stream from now on."""
        self.broken_by = code
        self.receiving_ended = True

    @property
    def blocking(self) -> bool:
        """Asked anew each time, because a handle is a descriptor, whose mode others may change."""
        return os.get_blocking(self.handle) if os.name == "posix" else self.getblocking()


_INHERITED = (
    "debug",
    "dont_route",
    "group_priority",
    "keep_idle_s",
    "keep_interval_s",
    "keep_probes",
    "linger_seconds",
    "receive_room",
    "send_room",
    "user_mtu",
)

METHODS = (
    "close",
    "getblocking",
    "getsockopt",
    "recv_into",
    "recvmsg_into",
    "send",
    "sendmsg",
    "setblocking",
    "setsockopt",
)
"""Of the host's object: each makes it when it is called first, and is the object's own from then on."""


def _making(name: str) -> Callable[..., Any]:
    def method(self: OwnSocket, *arguments: Any) -> Any:
        return getattr(self.host_object(), name)(*arguments)

    method.__name__ = name
    return method


_HERE = tuple(name for name in METHODS if hasattr(socket.SocketType, name))  # not every host sends messages
for _name in _HERE:
    setattr(OwnSocket, _name, _making(_name))

_lock = threading.Lock()

SOCKETS: dict[int, OwnSocket] = {}
"""By handle, for the process: any provider of the family can tell its own sockets apart."""


def born(handle: int, info: WSAPROTOCOL_INFO, provider: object) -> OwnSocket:
    """The record of a new socket. A function, because a class with a constructor costs twice as much to call."""
    record = OwnSocket()
    record.handle = handle
    record.info = info
    record.provider = provider
    record.waiters = []
    record.stream = True
    record.receiving_ended = record.closed = record.holds_more = False
    return record


def wrap(descriptor: int, info: WSAPROTOCOL_INFO, *, inheritable: bool, overlapped: bool) -> OwnSocket:
    """A record for a socket that the kernel has just handed out."""
    record = born(descriptor, info, None)
    record.stream = info.iSocketType == SOCK_STREAM
    record.inheritable, record.overlapped = inheritable, overlapped
    return record


def forget(handle: int) -> OwnSocket | None:
    """Take the record away and let go of the number, which stays open."""
    record = SOCKETS.pop(handle, None)
    if record is not None:
        record.let_go()
    return record


def _object_of(handle: int, info: WSAPROTOCOL_INFO) -> socket.SocketType:
    if socket.getdefaulttimeout() is None:
        return socket.SocketType(host_family(info.iAddressFamily), info.iSocketType, info.iProtocol, handle)
    # The process has a default time-out, which is none of ours, and which would change the mode.
    blocking = os.get_blocking(handle)
    made = socket.SocketType(host_family(info.iAddressFamily), info.iSocketType, info.iProtocol, handle)
    made.settimeout(None)
    os.set_blocking(handle, blocking)
    return made


def after_fork() -> None:
    """In a child the threads that waited are gone, and whoever was making an object."""
    global _lock
    _lock = threading.Lock()
    for record in SOCKETS.values():
        record.waiters.clear()
        if record.shared is not None:
            record.shared.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)
