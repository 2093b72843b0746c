"""Leases: the chain works on a program's own open socket for the length of one call, and nobody holds it open.

A duplicate that the supervisor kept would hold the connection open after the program closed it: no FIN for its peer,
a port that stays bound. So each socket has a *slot*, a descriptor number that is its handle for the chain. For a call
the program's file is fetched and placed on that number; after it a placeholder goes back, on which everything fails.
Leases of one socket are counted, since eight threads may wait in accept while a ninth asks for the name.

Sockets are known by their cookie, never by process and number: fork, threads, dup, exec and passing them on to other
processes then need no thought. Nothing here reads SO_ERROR, changes a flag or sets an option: the file is the
program's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from winsock import host
from winsock.host import pure
from winsock.host.numbers import SOL_SOCKET

if TYPE_CHECKING:
    from collections.abc import KeysView

    from winsock.abi.sockaddr import Sockaddr
    from winsock.dispatcher.records import Record
    from winsock.spi.provider import ProcTable
    from winsock.supervisor.callers import Caller, Process
    from winsock.supervisor.calls.call import Call
    from winsock.supervisor.relaying.connection import Connection

MOST_REMEMBERED = 1 << 17
_KEPT_FREE = 16
"""Numbers that sockets must leave for all else that needs one: looking into /proc, the pidfd of a thread, a layer."""
_NEAR_THE_END = 256
_MOST_SPENT = 64
_NOTHING_SET: Mapping[tuple[int, int], bytes] = {}
SO_RCVTIMEO, SO_SNDTIMEO, SO_ACCEPTCONN, SO_COOKIE = 20, 21, 30, 57


class Kind(NamedTuple):
    """What a socket is, in the host's numbers."""

    domain: int
    type: int
    protocol: int


_kind = lru_cache(maxsize=256)(Kind._make)


class Stranger(NamedTuple):
    """A socket that no chain is for."""

    kind: Kind
    cookie: int


class Listening:
    """What only a socket that accepts needs."""

    __slots__ = ("accepting", "kept", "waiting")

    def __init__(self) -> None:
        self.accepting = threading.Lock()
        self.waiting: list[Call] = []
        """Accepts that wait for a connection."""
        self.kept: list[tuple[int, Sockaddr | None]] = []
        """Connections, with their peers, that were taken but could not be delivered: the next accept gets them."""


class Socket:
    """One socket of the program's tree, from its first trapped call to the notice of its end."""

    __slots__ = (
        "accepted",
        "cookie",
        "inode",
        "kind",
        "listening",
        "met_at",
        "options",
        "passed",
        "process",
        "record",
        "relayed",
        "shut",
        "slot",
        "table",
        "users",
    )

    def __init__(self, cookie: int, slot: int, kind: Kind, record: Record, process: Process, met_at: float) -> None:
        self.cookie = cookie
        self.slot = slot
        """The number that is its handle for the chain."""
        self.kind = kind
        self.record = record
        self.table: ProcTable = record.table
        self.process = process
        self.met_at = met_at
        self.users = 1
        self.accepted = False
        """Whether it came from an accept."""
        self.shut = False
        """Whether the program was seen to shut down sending."""
        self.inode = 0
        """Of a listener that calls wait for."""
        self.listening: Listening | None = None
        self.passed = False
        """Whether a layer could not have what it wanted of it."""
        self.relayed: Connection | None = None
        """Its last connection through a relay."""
        self.options: Mapping[tuple[int, int], bytes] = _NOTHING_SET
        """What the program was seen to set: the host's level and number, and the value."""

    def remember_option(self, level: int, number: int, value: bytes) -> None:
        """The program has set an option."""
        self.options = {**self.options, (level, number): value}


class Options:
    """Reads integer socket options of a descriptor, without a socket object."""

    def __init__(self) -> None:
        self._call = pure.raw_call("getsockopt", 5)
        self._local = threading.local()

    def read(self, descriptor: int, option: int, level: int = SOL_SOCKET, size: int = 4) -> int:
        """The option's value; `OSError` ENOTSOCK, ENOPROTOOPT."""
        local = self._local
        try:
            value, length, value_at, length_at = local.scratch
        except AttributeError:
            value, length = ctypes.c_uint64(), ctypes.c_uint32()
            value_at, length_at = ctypes.addressof(value), ctypes.addressof(length)
            local.scratch = (value, length, value_at, length_at)
        value.value = 0
        length.value = size
        self._call(descriptor, level, option, value_at, length_at)
        return int(value.value)

    def receive_timeout(self, descriptor: int) -> float:
        """SO_RCVTIMEO in seconds; 0 where there is none."""
        return self._seconds(descriptor, SO_RCVTIMEO)

    def send_timeout(self, descriptor: int) -> float:
        """SO_SNDTIMEO in seconds; 0 where there is none."""
        return self._seconds(descriptor, SO_SNDTIMEO)

    def _seconds(self, descriptor: int, option: int) -> float:
        value = (ctypes.c_int64 * 2)()
        length = ctypes.c_uint32(ctypes.sizeof(value))
        self._call(descriptor, SOL_SOCKET, option, ctypes.addressof(value), ctypes.addressof(length))
        return value[0] + value[1] / 1e6


class Leases:
    """The sockets that the supervisor knows, by cookie.

    `adopt` puts a socket under the chain of its kind, and answers None where there is none for it; `on_met` is told
    of each socket that is met for the first time, `release` ends what `adopt` began.

    A chain that remembers nothing of a socket between two calls needs no stable handle: then (`lasting` false) each
    lease is a socket of its own, nobody has to be told of its end, and nothing is released.
    """

    def __init__(
        self,
        adopt: Callable[[int, Kind, int], Record | None],
        on_met: Callable[[Socket], None],
        release: Callable[[int], object],
        clock: Callable[[], float],
        lasting: bool = True,
    ) -> None:
        self._adopt = adopt
        self._on_met = on_met
        self._release = release
        self._clock = clock
        self._lasting = lasting
        self._lately: set[int] = set()
        self._before: set[int] = set()
        self._spent: list[int] = []
        self._lock = threading.Lock()
        self._by_cookie: dict[int, Socket] = {}
        self._by_slot: dict[int, Socket] = {}
        self._placeholder = os.open("/", os.O_PATH | os.O_CLOEXEC)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._end = (sys.maxsize if limit == resource.RLIM_INFINITY else limit) - _KEPT_FREE
        """The first number that no socket may have."""
        self._highest = 0
        self.options = Options()

    def take(self, caller: Caller, descriptor: int) -> Socket | Stranger:
        """Lease the caller's socket; a `Stranger` where no chain understands it.

        `OSError` as the kernel would have answered: EBADF, ENOTSOCK; or EPERM, ESRCH where the caller is out of reach.
        """
        fetched, cookie = host.take(caller.descriptors, descriptor)
        if not self._lasting:
            return self._meet(fetched, cookie, caller.process)
        with self._lock:
            socket = self._by_cookie.get(cookie)
            if socket is not None:
                self._put(fetched, socket)
        if socket is not None:
            os.close(fetched)
            return socket
        if fetched >= self._end:
            os.close(fetched)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._meet(fetched, cookie, caller.process)

    def is_full(self) -> bool:
        """Whether there is no number for one more socket."""
        if self._highest < self._end - _NEAR_THE_END:
            return False
        number = os.dup(self._placeholder)
        os.close(number)
        return number >= self._end

    def give_back(self, socket: Socket) -> None:
        """End one lease; with the last one the placeholder returns to the slot."""
        if not self._lasting:
            os.close(socket.slot)
            return
        with self._lock:
            socket.users -= 1
            if socket.users == 0:
                os.dup2(self._placeholder, socket.slot, False)

    def keep(self, handle: int, record: Record, process: Process) -> Socket:
        """Know a socket which the chain made for the program; its own descriptor is the slot, leased once."""
        cookie = self.options.read(handle, SO_COOKIE, size=8)
        with self._lock:
            return self._enter(Socket(cookie, handle, self.kind_of(handle), record, process, self._clock()))

    def forget(self, cookie: int) -> Socket | None:
        """The socket has ended: its slot is free. None where it was not known."""
        with self._lock:
            socket = self._by_cookie.pop(cookie, None)
            if socket is not None:
                del self._by_slot[socket.slot]
        return socket

    def close(self, socket: Socket) -> None:
        """Close the slot of a socket that was forgotten, and what was kept for it."""
        with self._lock:
            if socket.listening is not None:
                self._spent.extend(handle for handle, _ in socket.listening.kept)
            self._spent.append(socket.slot)
            many = len(self._spent) >= _MOST_SPENT
        if many:
            self.close_spent()

    def close_spent(self) -> None:
        """Close the numbers that are not needed any more, many at once: each close by itself would pass the
        interpreter's lock to and fro between the threads."""
        with self._lock:
            spent, self._spent = self._spent, []
        if spent:
            host.close_each(spent)

    def listening(self, socket: Socket) -> Listening:
        """What the socket needs to accept."""
        with self._lock:
            if socket.listening is None:
                socket.listening = Listening()
            return socket.listening

    def cookies(self) -> KeysView[int]:
        """The cookies of the known sockets: a live view."""
        return self._by_cookie.keys()

    def find(self, cookie: int) -> Socket | None:
        """The socket of a cookie."""
        return self._by_cookie.get(cookie)

    def at(self, slot: int) -> Socket | None:
        """The socket of a slot."""
        return self._by_slot.get(slot)

    def __iter__(self) -> Iterator[Socket]:
        return iter(tuple(self._by_cookie.values()))

    def kind_of(self, descriptor: int) -> Kind:
        """Domain, type and protocol of a socket."""
        return _kind(host.kind(descriptor))

    def _meet(self, fetched: int, cookie: int, process: Process) -> Socket | Stranger:
        """The first call on a socket: what was fetched is its slot. (The first as far as we know: see `lasting`.)"""
        kind = _kind(host.kind(fetched))
        try:
            record = self._adopt(fetched, kind, cookie)  # without the lock: a layer may take its time
        except BaseException:
            os.close(fetched)
            raise
        if record is None:
            os.close(fetched)
            return Stranger(kind, cookie)
        met = Socket(cookie, fetched, kind, record, process, self._clock())
        if not self._lasting:
            if cookie not in self._lately:
                self._count(met)
            return met
        with self._lock:
            socket = self._by_cookie.get(cookie)
            if socket is None:
                return self._enter(met)
            self._put(fetched, socket)  # two threads, one socket: the other was first
        self._release(fetched)
        os.close(fetched)
        return socket

    def _put(self, fetched: int, socket: Socket) -> None:
        """Lease a known socket: its file comes to its slot, unless it is there for somebody else. Under the lock."""
        if socket.users == 0:
            os.dup2(fetched, socket.slot, False)
        socket.users += 1

    def _enter(self, socket: Socket) -> Socket:
        self._by_cookie[socket.cookie] = self._by_slot[socket.slot] = socket
        if socket.slot > self._highest:
            self._highest = socket.slot
        self._on_met(socket)
        return socket

    def _count(self, socket: Socket) -> None:
        """Tell of a socket that was not told of lately; the memory of it is bounded, like everything that lasts."""
        with self._lock:
            if socket.cookie in self._lately or socket.cookie in self._before:
                return
            if len(self._lately) >= MOST_REMEMBERED:
                self._lately, self._before = set(), self._lately
            self._lately.add(socket.cookie)
            self._on_met(socket)
