"""How a program's own socket is connected to an end of ours, at a moment of our choosing, and to nobody else's.

The program's socket is connected, through its lease, to a private address on loopback. A listener of ours stands there
with a queue that one connection fills, so the kernel drops every further SYN: the socket is in SYN_SENT, as it would be
on its way to the real peer, for as long as the real peer takes. Then an end of ours, bound to that same address
(SO_REUSEPORT), connects *to the program's socket*. The two SYNs cross - a simultaneous open - and both are connected,
with the one event that a connect brings. No lease is needed for that.

To turn it away instead, such an end sends its SYN and is gone before it hears the answer: the program's socket is now
in SYN_RECV, which getpeername alone tells from SYN_SENT, for a moment. A second end sends a SYN of its own; the
program's kernel objects, in words that make no sense to a newcomer, whose kernel therefore resets the connection. That
is one event as well, the one of a refused connect. The error is ECONNRESET, and what a program is told instead is not
decided here.

Nothing is ever accepted, so a stranger who connects to the door waits there in vain; and nobody of another user can
bind to it, which he must to answer a program's SYN. Should the program's socket go away and its port become another's
in the very moment of joining, the kernel tells whose socket our end has met.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from typing import NamedTuple, TypeAlias

from winsock import host
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import addresses, raw
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.relaying import at_once

AF_INET, AF_INET6 = int(socket.AF_INET), int(socket.AF_INET6)

Name: TypeAlias = "SockaddrIn | SockaddrIn6"

_ANYWHERE: dict[int, Name] = {AF_INET: SockaddrIn("127.0.0.1", 0), AF_INET6: SockaddrIn6("::1", 0)}
_MAPPED = "::ffff:"
_PATIENCE_S = 2.0
"""The longest that what is left of an earlier connection (TIME_WAIT) stands between a door and a program's port."""
_PAUSE_S = 0.02
_LEAST_HOPS = {AF_INET: (socket.IPPROTO_IP, 21), AF_INET6: (socket.IPPROTO_IPV6, 73)}
"""IP_MINTTL and IPV6_MINHOPCOUNT: what comes with fewer hops left than that is not heard."""
_MOST_HOPS = 255


class Way(NamedTuple):
    """A door, and its addresses as the sockets of one domain are told them."""

    door: Door
    waiting: bytes
    """Where a connect waits until we join it."""
    refusing: bytes
    """Where it is refused at once: bound, and nobody listens."""


class Door:
    """The private addresses of one family."""

    def __init__(self, family: int) -> None:
        self.family = family
        self._listener = _bound(family, _ANYWHERE[family])
        self._listener.listen(0)
        self.address = _name_of(self._listener)
        self._filler = socket.socket(family, socket.SOCK_STREAM)
        self._filler.setblocking(False)
        host.connect(self._filler.fileno(), addresses.pack(self.address))
        _await_full(self._listener)  # else the kernel would take the first who is to wait here
        self._refuser = socket.socket(family, socket.SOCK_STREAM)
        raw.bind(self._refuser.fileno(), _ANYWHERE[family])

    def way(self, domain: int) -> Way:
        """How a socket of that domain goes there: IPv6 goes to an IPv4 door by mapped addresses."""
        waiting, refusing = self.address, _name_of(self._refuser)
        if domain != self.family:
            waiting, refusing = _mapped(waiting), _mapped(refusing)
        return Way(self, addresses.pack(waiting), addresses.pack(refusing))

    def make_end(self) -> socket.socket:
        """An end of ours at this door, which does not wait; where we are killed it feigns no orderly end."""
        end = _bound(self.family, self.address)
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, host.RESET_ON_CLOSE)
        return end

    def target(self, name: Sockaddr) -> Sockaddr:
        """The name of a program's socket, as the ends of this door are told it."""
        if self.family == AF_INET and isinstance(name, SockaddrIn6):
            return SockaddrIn(name.host.removeprefix(_MAPPED), name.port)
        return name


class Doors:
    """The private addresses of a run, opened when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._doors: dict[int, Door] = {}
        self._ways: dict[tuple[int, int], Way] = {}
        self._questions: sockdiag.Questions | None = None
        self._answers = True
        """Whether the kernel tells whose socket has a name."""

    def way(self, domain: int, mapped: bool) -> Way:
        """The way for a socket of that domain; `mapped`: it connects to IPv4. `OSError` where there is none."""
        family = AF_INET if mapped else domain
        way = self._ways.get((domain, family))
        if way is None:
            with self._lock:
                door = self._doors.get(family) or Door(family)
                self._doors[family] = door
                way = self._ways[domain, family] = door.way(domain)
        return way

    def join(self, way: Way, name: Sockaddr, cookie: int, patience: float = _PATIENCE_S) -> int:
        """Join the socket that waits at the door under this name; the descriptor of our end.

        `OSError` ECONNREFUSED where it does not wait any more, ESTALE where another socket has its name, EADDRNOTAVAIL
        where that is not to be had for so many seconds.
        """
        end = meet(way, name, patience)
        if self._cookie_at(way.door.target(name), way.door.address) not in (cookie, None):  # None: it has closed since
            os.close(end)
            raise OSError(errno.ESTALE, "the program's port is another socket's")
        return end

    def _cookie_at(self, local: Sockaddr, peer: Name) -> int | None:
        assert isinstance(local, (SockaddrIn, SockaddrIn6))
        with self._lock:
            if not self._answers:
                return None
            try:
                if self._questions is None:
                    self._questions = sockdiag.Questions()
                return self._questions.cookie(local, peer)
            except OSError:
                self._answers = False
                return None


def begin(descriptor: int, way: Way) -> Sockaddr:
    """Let a program's socket wait at the door; its name there. `OSError` where it cannot get there."""
    number = at_once.connect(descriptor, way.waiting)
    if number != errno.EINPROGRESS:
        raise OSError(number or errno.EISCONN, os.strerror(number))
    return raw.getsockname(descriptor)


def meet(way: Way, name: Sockaddr, patience: float = _PATIENCE_S) -> int:
    """The descriptor of an end of ours, connected to what waits at the door under this name."""
    target = addresses.pack(way.door.target(name))
    give_up = time.monotonic() + patience
    while True:
        end = way.door.make_end()
        number = _connect(end, target)
        if number == 0:
            return end.detach()
        end.close()
        if number != errno.EADDRNOTAVAIL or time.monotonic() >= give_up:
            raise OSError(number, os.strerror(number))
        time.sleep(_PAUSE_S)  # what is left of a connection between the same two ports goes within a second


def turn_away(way: Way, name: Sockaddr) -> None:
    """Let the connect fail of what waits at the door under this name."""
    target = addresses.pack(way.door.target(name))
    with way.door.make_end() as deaf:
        deaf.setsockopt(*_LEAST_HOPS[way.door.family], _MOST_HOPS)
        host.connect(deaf.fileno(), target)
    with way.door.make_end() as newcomer:
        host.connect(newcomer.fileno(), target)


def _connect(end: socket.socket, target: bytes) -> int:
    number = host.connect(end.fileno(), target)
    if number != errno.EINPROGRESS:
        return number
    poll = select.poll()
    poll.register(end, select.POLLOUT)
    if not poll.poll(_PATIENCE_S * 1000):
        return errno.ETIMEDOUT
    return end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _await_full(listener: socket.socket) -> None:
    """Until a connection fills the queue, a stranger's perhaps: on a busy machine that need not be at once."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    if not poll.poll(_PATIENCE_S * 1000):
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _bound(family: int, name: Name) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    number = raw.bind(made.fileno(), name)
    if number:
        made.close()
        raise OSError(number, os.strerror(number))
    return made


def _name_of(bound: socket.socket) -> Name:
    name = raw.getsockname(bound.fileno())
    assert isinstance(name, (SockaddrIn, SockaddrIn6))
    return name


def _mapped(name: Name) -> SockaddrIn6:
    return name.mapped() if isinstance(name, SockaddrIn) else name
