"""A random walk over a simulated network: sockets of every kind, bad links and faults, and what must hold all the way.

A walk makes one step after the other, each a non-blocking call, a fault, or a moment of time, all by its seed. Whatever
is sent says who sent it and where it belongs, so that whoever receives can tell:

- a stream gives every byte once and in order, and all of it before its end, unless it broke
- messages are whole, each once and in order; datagrams are whole, and ones that were sent
- a call fails with the errors that its documentation lists, and no other
- when everything is closed nothing is left: no socket, connection, port, group, buffer, or descriptor
"""

from __future__ import annotations

import os
import socket as host
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar, TypeVar

from tests.base.memory.land import AS_LEAF, AS_ROOT
from tests.spec.tables import read
from winsock.abi.constants import (
    FIONBIO,
    FIONREAD,
    IP_ADD_MEMBERSHIP,
    IPPROTO_IP,
    JL_BOTH,
    MSG_PARTIAL,
    MSG_PEEK,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SO_BROADCAST,
    SO_CONDITIONAL_ACCEPT,
    SO_ERROR,
    SO_LINGER,
    SO_RCVBUF,
    SO_REUSEADDR,
    SO_SNDBUF,
    SOL_SOCKET,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEDISCON,
    WSAEHOSTUNREACH,
    WSAEINVAL,
    WSAENOBUFS,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.base.memory import Conditions, Host, Network
from winsock.base.memory.protocols import PROTOCOLS
from winsock.dispatcher import loader
from winsock.dispatcher.process import started
from winsock.spi.provider import ProcTable

R = TypeVar("R")

HEAD = struct.Struct("<QII")
"""Who sent it, its number, its length."""
BLOCK = Random(0).randbytes(4093)
GROUP = "239.1.1.1"
PORTS = (7, 8, 9, 80)
MOST_SOCKETS = 80
STREAM, DATAGRAM, STREAM6, DATAGRAM6, MESSAGE, RELIABLE, MULTIPOINT = range(len(PROTOCOLS))
CONNECTED = (STREAM, STREAM6, MESSAGE, MULTIPOINT)

_ALSO = {
    "WSPSend": {WSAETIMEDOUT, WSAEHOSTUNREACH},
    "WSPSendTo": {WSAETIMEDOUT, WSAEHOSTUNREACH},
    "WSPRecv": {WSAETIMEDOUT},
    "WSPRecvFrom": {WSAETIMEDOUT},
    "WSPConnect": {WSAEHOSTUNREACH},
    "WSPJoinLeaf": {WSAEHOSTUNREACH, WSAEINVAL},
    "WSPSetSockOpt": {WSAENOBUFS},
    "WSPBind": {WSAEACCES},
}
"""Told elsewhere: that a connection broke (SOCK-009), that there is no such host, what WSAJoinLeaf answers, and that an
address is another's (bind_sharing.csv)."""


def documented() -> dict[str, set[int]]:
    """Function -> the codes that it may fail with."""
    codes: dict[str, set[int]] = {name: set(more) for name, more in _ALSO.items()}
    for row in read("errors.csv"):
        codes.setdefault(row["function"], set()).add(int(row["code_value"], 0))
    return codes


class Member:
    """One socket of the walk: what it sent, and what it heard from whom."""

    def __init__(self, number: int, handle: int, kind: int, at: Host) -> None:
        self.number = number
        self.handle = handle
        self.kind = kind
        self.at = at
        self.name: SockaddrIn | SockaddrIn6 | None = None
        """Where others find it."""
        self.listens = False
        self.is_connected = False
        self.sent = 0
        """Bytes of a stream, or messages."""
        self.ended = False
        """No more will be sent, and all that was is on its way."""
        self.begun: bytes = b""
        """Of a message that is received in parts."""
        self.heard: dict[int, int] = {}
        """Sender -> the bytes or messages that came."""
        self.sender = 0
        """Of the stream that comes here, once its beginning told."""
        self.start = b""
        self.lost: set[int] = set()
        """Reliable datagrams: to whom something was lost, and was told."""


def descriptors() -> set[tuple[str, str]]:
    """The numbers that are open, and what they are; none where the host does not tell.

    What was left open before the walk may be closed during it: an offer to duplicate a socket is kept for a minute.
    """
    folder = "/proc/self/fd"
    numbers = os.listdir(folder) if os.path.isdir(folder) else []
    return {(number, os.readlink(f"{folder}/{number}")) for number in numbers if os.path.lexists(f"{folder}/{number}")}


class Walk:
    """One walk; `transcript` is its history."""

    CODES: ClassVar[dict[str, set[int]]] = documented()

    def __init__(self, seed: int, trace: bool) -> None:
        self.chance = Random(seed)
        self.network = Network(seed, Conditions(latency=0.01), trace=trace)
        self.hosts = [
            self.network.host(f"10.0.0.{n}", f"fd00::{n}", name=f"host {n}", most_sockets=40) for n in range(1, 5)
        ]
        self.members: dict[int, Member] = {}
        """By handle."""
        self.everybody: dict[int, Member] = {}
        """By number: all that there ever were."""
        self.numbers = 0
        self.refusals: dict[tuple[str, int], int] = {}
        self.steps = (
            (self.make, 8),
            (self.close, 3),
            (self.connect, 8),
            (self.accept, 12),
            (self.send, 30),
            (self.receive, 50),
            (self.shut_down, 1),
            (self.set_option, 3),
            (self.look, 4),
            (self.wait, 30),
            (self.worsen, 1),
            (self.fault, 0.5),
        )

    def run(self, steps: int) -> None:
        """Walk, come to an end, and leave nothing behind."""
        before = descriptors()
        names = [step for step, _ in self.steps]
        weights = [weight for _, weight in self.steps]
        with started(catalog=self.network.catalog()):
            for step in self.chance.choices(names, weights, k=steps):
                step()
            self.finish()
        assert len(self.network.sockets) == 0
        assert not descriptors() - before, "descriptors are left"

    # Calls.

    def table(self, kind: int) -> ProcTable:
        entry = loader.catalog().entries[kind]
        return loader.open_chain(entry).table

    def call(self, member: Member, function: str, *args: object) -> object:
        """One call; the error where it fails as documented."""
        return self.attempt(function, lambda: getattr(self.table(member.kind), function)(member.handle, *args))

    def attempt(self, function: str, body: Callable[[], R]) -> R | WinsockError:
        try:
            return body()
        except WinsockError as error:
            if error.winerror not in self.CODES[function]:
                raise AssertionError(f"{function} is not documented to fail so: {error}") from error
            key = function, error.winerror
            self.refusals[key] = self.refusals.get(key, 0) + 1
            return error

    def some(self, likely: Callable[[Member], bool] | None = None) -> Member | None:
        """One of the sockets that are open; mostly a likely one."""
        members = list(self.members.values())
        if likely is not None and self.chance.random() < 0.8:
            members = [member for member in members if likely(member)]
        return self.chance.choice(members) if members else None

    def address(self, kind: int) -> SockaddrIn | SockaddrIn6:
        """Mostly somebody's address, else nobody's."""
        names = [member.name for member in self.members.values() if member.kind == kind and member.name is not None]
        if names and self.chance.random() < 0.9:
            return self.chance.choice(names)
        at = self.chance.choice(self.hosts)
        port = self.chance.choice(PORTS)
        if kind in (STREAM6, DATAGRAM6):
            return SockaddrIn6(at.addresses[1], port)
        return SockaddrIn(self.chance.choice((at.addresses[0], at.addresses[0], at.addresses[0], "10.9.9.9")), port)

    # Steps.

    def make(self) -> None:
        if len(self.members) >= MOST_SOCKETS:
            return
        kind = self.chance.randrange(len(PROTOCOLS))
        at = self.chance.choice(self.hosts)
        flags = self.chance.choice((AS_ROOT, AS_LEAF, AS_LEAF, 0)) if kind == MULTIPOINT else 0
        with at:
            made = self.attempt("WSPSocket", lambda: self.table(kind).WSPSocket(0, 0, 0, None, 0, flags))
        if isinstance(made, int):
            member = self.enter(made, kind, at)
            if self.chance.random() < 0.8:
                self.bind(member)

    def enter(self, handle: int, kind: int, at: Host) -> Member:
        self.numbers += 1
        member = Member(self.numbers, handle, kind, at)
        self.members[handle] = self.everybody[member.number] = member
        self.call(member, "WSPIoctl", FIONBIO, b"\1\0\0\0", 0)
        return member

    def bind(self, member: Member) -> None:
        if self.chance.random() < 0.3:
            self.call(member, "WSPSetSockOpt", SOL_SOCKET, SO_REUSEADDR, 1)
        port = self.chance.choice((0, *PORTS))
        if member.kind in (STREAM6, DATAGRAM6):
            address: object = SockaddrIn6(self.chance.choice(("::", member.at.addresses[1])), port)
        else:
            address = SockaddrIn(self.chance.choice(("0.0.0.0", member.at.addresses[0])), port)
        self.call(member, "WSPBind", address)
        if member.kind in CONNECTED and self.chance.random() < 0.3:
            member.listens = self.call(member, "WSPListen", self.chance.randrange(1, 5)) is None
        found = self.call(member, "WSPGetSockName")
        if isinstance(found, (SockaddrIn, SockaddrIn6)) and (member.listens or member.kind not in CONNECTED):
            member.name = type(found)(member.at.addresses[isinstance(found, SockaddrIn6)], found.port)
        if member.kind == DATAGRAM and self.chance.random() < 0.3:
            self.call(member, "WSPSetSockOpt", IPPROTO_IP, IP_ADD_MEMBERSHIP, host.inet_aton(GROUP) + bytes(4))

    def close(self) -> None:
        member = self.some()
        if member is None:
            return
        if self.chance.random() < 0.3 and member.kind not in (DATAGRAM, DATAGRAM6, RELIABLE):
            self.call(member, "WSPSetSockOpt", SOL_SOCKET, SO_LINGER, Linger(1, 0))
        self.close_one(member)

    def close_one(self, member: Member) -> None:
        if not isinstance(self.call(member, "WSPCloseSocket"), WinsockError):
            member.ended = True
            self.members.pop(member.handle, None)

    def connect(self) -> None:
        member = self.some(lambda member: not (member.listens or member.is_connected))
        if member is None:
            return
        if member.kind == MULTIPOINT and self.chance.random() < 0.9:
            joined = self.call(member, "WSPJoinLeaf", self.address(member.kind), None, None, None, None, JL_BOTH)
            member.is_connected = isinstance(joined, int)
            if isinstance(joined, int) and joined != member.handle:
                self.enter(joined, MULTIPOINT, member.at)
        else:
            found = self.call(member, "WSPConnect", self.address(member.kind))
            member.is_connected = not isinstance(found, WinsockError) or found.winerror == WSAEWOULDBLOCK

    def accept(self) -> None:
        member = self.some(lambda member: member.listens)
        if member is not None:
            accepted = self.call(member, "WSPAccept")
            if isinstance(accepted, tuple):
                self.enter(accepted[0], member.kind, member.at).is_connected = True

    def shut_down(self) -> None:
        member = self.some()
        if member is None:
            return
        how = self.chance.choice((SD_SEND, SD_SEND, SD_RECEIVE, SD_BOTH))
        if not isinstance(self.call(member, "WSPShutdown", how), WinsockError) and how != SD_RECEIVE:
            member.ended = True

    def set_option(self) -> None:
        member = self.some()
        if member is None:
            return
        optname = self.chance.choice((SO_RCVBUF, SO_SNDBUF, SO_CONDITIONAL_ACCEPT, SO_BROADCAST))
        value = self.chance.choice((100, 5000, 65536)) if optname in (SO_RCVBUF, SO_SNDBUF) else 1
        self.call(member, "WSPSetSockOpt", SOL_SOCKET, optname, value)

    def look(self) -> None:
        member = self.some()
        if member is None:
            return
        self.call(member, "WSPGetSockName")
        self.call(member, "WSPGetPeerName")
        self.call(member, "WSPGetSockOpt", SOL_SOCKET, SO_ERROR)
        self.call(member, "WSPIoctl", FIONREAD, None, 4)
        handles = [member.handle for member in self.members.values()]
        self.attempt("WSPSelect", lambda: self.network.select(0, handles, handles, handles, 0.01))

    def wait(self) -> None:
        self.network.sleep(self.chance.choice((0.001, 0.01, 0.01, 0.1, 1.0)))

    def worsen(self) -> None:
        """Other conditions for a link."""
        one, other = self.chance.sample(self.hosts, 2)
        self.network.link(
            one,
            other,
            latency=self.chance.choice((0.0, 0.01, 0.1)),
            jitter=self.chance.choice((0.0, 0.02)),
            loss=self.chance.choice((0.0, 0.0, 0.05, 0.3)),
            duplicate=self.chance.choice((0.0, 0.1)),
            reorder=self.chance.choice((0.0, 0.1)),
            bandwidth=self.chance.choice((None, None, 100_000.0)),
            mtu=self.chance.choice((1500, 576)),
        )

    def fault(self) -> None:
        """Something fails, or works again."""
        at = self.chance.choice(self.hosts)
        choice = self.chance.randrange(8)
        if choice == 0:
            at.crash()
            self.forget(at)
        elif choice == 1:
            at.stop()
        elif choice == 2:
            self.network.partition([at])
        elif choice == 3:
            self.network.unlink(at, self.chance.choice(self.hosts))
        else:
            self.mend()
            return
        self.network.at(self.network.now + 3.0, self.mend)

    def forget(self, at: Host) -> None:
        """What crashed is good for closing only."""
        for member in [member for member in self.members.values() if member.at is at]:
            had_ended = member.ended
            self.close_one(member)
            member.ended = had_ended

    def mend(self) -> None:
        self.network.heal()
        for at in self.hosts:
            at.start()
            for other in self.hosts:
                self.network.relink(at, other)

    # Sending and receiving.

    def send(self) -> None:
        member = self.some(lambda member: member.is_connected or member.kind not in CONNECTED)
        if member is None:
            return
        if member.kind in (STREAM, STREAM6):
            self.send_bytes(member)
        elif member.kind in (MESSAGE, MULTIPOINT):
            self.send_message(member, "WSPSend", 0)
        else:
            self.send_datagram(member)

    def send_bytes(self, member: Member) -> None:
        data = stream(member.number, member.sent, self.chance.choice((1, 100, 5000, 50_000)))
        count = self.call(member, "WSPSend", (data,))
        if isinstance(count, int):
            member.sent += count

    def send_message(self, member: Member, function: str, *args: object) -> bool:
        data = message(member.number, member.sent, self.chance.choice((0, 1, 500, 3000)))
        count = self.call(member, function, (data,), *args)
        if isinstance(count, int):
            assert count == len(data)
            member.sent += 1
        return isinstance(count, int)

    def send_datagram(self, member: Member) -> None:
        to = self.address(member.kind)
        if member.kind == DATAGRAM and self.chance.random() < 0.2:
            to = SockaddrIn(self.chance.choice((GROUP, "255.255.255.255")), self.chance.choice(PORTS))
        self.send_message(member, "WSPSendTo", 0, to)

    def receive(self) -> None:
        readable = set(self.network.select(0, list(self.members), None, None, 0)[0]) if self.members else set()
        member = self.some(lambda member: member.handle in readable)
        if member is None:
            return
        size = self.chance.choice((1, 10, 1000, 100_000))
        flags = MSG_PEEK if self.chance.random() < 0.05 else 0
        buffers = bytearray(size // 2), bytearray(size - size // 2)
        found = self.received(member, buffers, flags)
        if isinstance(found, WinsockError):
            if found.winerror == WSAEDISCON:
                self.heard_end(member)
            return
        assert isinstance(found, tuple)
        count, out = found[:2]
        data = b"".join(buffers)[:count]
        if flags & MSG_PEEK:
            return
        if member.kind in (STREAM, STREAM6):
            self.heard_bytes(member, data)
        elif member.kind == MESSAGE:
            self.heard_part(member, data, bool(out & MSG_PARTIAL))
        else:
            self.heard_message(member, data)

    def received(self, member: Member, buffers: Sequence[bytearray], flags: int) -> object:
        by_datagrams = member.kind in (DATAGRAM, DATAGRAM6, RELIABLE)
        return self.call(member, "WSPRecvFrom" if by_datagrams else "WSPRecv", buffers, flags)

    def heard_bytes(self, member: Member, data: bytes) -> None:
        if not data:
            self.heard_end(member)
            return
        if not member.sender:
            member.start += data
            if len(member.start) < 8:
                return
            data = member.start
            member.sender = int.from_bytes(data[:8], "little")
        at = member.heard.get(member.sender, 0)
        assert data == stream(member.sender, at, len(data)), f"{member.number} heard what nobody said"
        member.heard[member.sender] = at + len(data)

    def heard_end(self, member: Member) -> None:
        """The other end has ended in order: then all of it came."""
        sender = self.everybody.get(member.sender)
        if sender is not None and member.kind in (STREAM, STREAM6):
            assert sender.ended
            assert member.heard[member.sender] == sender.sent, "the end came before the data"

    def heard_part(self, member: Member, data: bytes, more: bool) -> None:
        member.begun += data
        if not more:
            data, member.begun = member.begun, b""
            self.heard_message(member, data)

    def heard_message(self, member: Member, data: bytes) -> None:
        number, index, length = HEAD.unpack_from(data)
        assert data == message(number, index, length), f"{member.number} heard a message that nobody sent"
        sender = self.everybody[number]
        assert index < sender.sent
        if member.kind in (MESSAGE, MULTIPOINT, RELIABLE):
            before = member.heard.get(number)
            if member.kind == MESSAGE:
                assert index == (0 if before is None else before + 1), "a message is missing"
            elif before is not None:
                assert index > before, "a message came again"
        member.heard[number] = index

    # The end.

    def finish(self) -> None:
        """Mend everything, let what is under way arrive, close everything."""
        self.mend()
        for link in self.network._links.values():
            link.change(Conditions(latency=0.01))
        self.network.sleep(60.0)
        for _ in range(20):
            for member in list(self.members.values()):
                self.drain(member)
            self.network.sleep(60.0)
        for member in list(self.members.values()):
            self.close_one(member)
        self.network.sleep(1000.0)
        for at in self.hosts:
            assert not at.sockets
            assert at.connections == {}
            assert at.reserved_bytes == 0
            assert at.groups == {}
            assert all(not ports.exact and not ports.wild for ports in at.ports)
        assert self.network.clock.agenda == []

    def drain(self, member: Member) -> None:
        buffers = (bytearray(1 << 20),)
        for _ in range(1000):
            found = self.received(member, buffers, 0)
            if isinstance(found, WinsockError) or not isinstance(found, tuple):
                return
            data = bytes(buffers[0][: found[0]])
            if member.kind in (STREAM, STREAM6):
                self.heard_bytes(member, data)
                if not data:
                    return
            elif member.kind == MESSAGE:
                self.heard_part(member, data, bool(found[1] & MSG_PARTIAL))
            else:
                self.heard_message(member, data)


def stream(number: int, at: int, count: int) -> bytes:
    """What a socket says in its stream, from a place on: its number first."""
    begin = number.to_bytes(8, "little") if at < 8 else b""
    offset = max(at, 8) % len(BLOCK)
    body = BLOCK[offset:] + BLOCK * (count // len(BLOCK) + 1)
    return (begin[at:] + body if begin else body)[:count]


def message(number: int, index: int, length: int) -> bytes:
    """What a socket says in one message."""
    offset = index % len(BLOCK)
    return HEAD.pack(number, index, length) + (BLOCK[offset:] + BLOCK)[:length]


def walk(seed: int, steps: int, trace: bool = True) -> Walk:
    """One walk, made."""
    made = Walk(seed, trace)
    made.run(steps)
    return made
