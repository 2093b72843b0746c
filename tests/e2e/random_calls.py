"""Random sequences of socket calls, as scripts for `random_calls.c`.

The model here has one job: to make calls that mean something, mostly. It guesses how they end. Whether one would wait
for ever is seen by the program itself, and what is right is what the bare kernel says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

MOST_SOCKETS = 14
MOST_BYTES = 24_000
"""Sent in a sequence: no buffer gets full."""
SIZES = (0, 1, 2, 100, 1400, 3000)
NEW, BOUND, LISTENING, CONNECTED = "new", "bound", "listening", "connected"
HOSTS = {"4": ("loopback4",) * 8 + ("any4", "another4"), "6": ("loopback6",) * 6 + ("any6", "mapped6")}
ODD_HOSTS = ("foreign4", "broadcast4", "short4", "loopback4", "loopback6", "foreign6", "nobody")
ODD_TARGETS = ("broadcast4", "short4", "loopback4", "loopback6", "nobody")
RECEIVE_FLAGS = ("-",) * 8 + (
    "peek",
    "dontwait",
    "peek+dontwait",
    "trunc+dontwait",
    "oob",
    "errqueue",
    "waitall+dontwait",
)
SEND_FLAGS = ("-",) * 6 + ("nosignal", "dontwait", "dontroute", "nosignal+dontwait", "oob")
READ_ONLY = ("SO_TYPE", "SO_DOMAIN", "SO_ERROR", "SO_ERROR", "SO_PROTOCOL", "SO_ACCEPTCONN", "none")
OPTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("SO_REUSEADDR", ("0", "1")),
    ("SO_REUSEPORT", ("0", "1")),
    ("SO_KEEPALIVE", ("0", "1", "7")),
    ("SO_BROADCAST", ("0", "1")),
    ("SO_OOBINLINE", ("0", "1")),
    ("SO_RCVLOWAT", ("1",)),
    ("SO_PRIORITY", ("0", "3")),
    ("SO_LINGER", ("0 0", "1 0", "1 0", "1 3", "0 5")),
    ("SO_RCVTIMEO", ("9 0", "0 0", "-1 2000000")),
    ("SO_SNDTIMEO", ("9 0", "0 0")),
    ("TCP_NODELAY", ("0", "1")),
    ("TCP_KEEPIDLE", ("77", "0", "40000")),
    ("TCP_KEEPCNT", ("5",)),
    ("TCP_USER_TIMEOUT", ("9000", "-1")),
    ("TCP_SYNCNT", ("4", "300")),
    ("IP_TOS", ("16", "0")),
    ("IP_TTL", ("33", "0", "256")),
    ("IP_RECVTTL", ("0", "1")),
    ("IPV6_V6ONLY", ("0", "1")),
    ("IPV6_UNICAST_HOPS", ("33", "-1")),
    ("IPV6_TCLASS", ("8", "999")),
)


class Script(NamedTuple):
    """Calls for the program to make."""

    name: str
    steps: tuple[str, ...]

    @property
    def text(self) -> str:
        """As the program reads it."""
        return "".join(f"{line}\n" for line in (f"sequence {self.name}", *self.steps))


@dataclass
class Socket:
    """What is thought of one."""

    number: int
    family: str = ""
    kind: str = ""
    phase: str = NEW
    waits: bool = True
    queue: list[int] = field(default_factory=list)
    """Of a listener: who is in it."""
    peer: int | None = None
    accepted: bool = False
    host: str = ""
    """What it was bound to."""


class Writer:
    """Writes one sequence."""

    def __init__(self, chance: Random, length: int) -> None:
        self._chance = chance
        self._length = length
        self._sockets: dict[int, Socket] = {}
        self._made = 0
        self._sent = 0
        self._held: list[int] = []
        self._steps: list[str] = []
        self._calls: tuple[tuple[int, Callable[[], None]], ...] = (
            (4, self._pair),
            (2, self._datagrams),
            (2, self._unix_pair),
            (2, self._lone),
            (2, self._refused),
            (3, self._bind),
            (2, self._listen),
            (5, self._connect),
            (5, self._accept),
            (16, self._send),
            (16, self._receive),
            (5, self._send_to),
            (4, self._shutdown),
            (6, self._close),
            (3, self._duplicate),
            (3, self._mode),
            (6, self._names),
            (4, self._get_option),
            (5, self._set_option),
            (4, self._epoll),
            (2, self._select),
            (2, self._hold),
            (2, self._urgent),
        )

    def write(self) -> tuple[str, ...]:
        """The steps of it."""
        weights = [weight for weight, _ in self._calls]
        while len(self._steps) < self._length:
            self._chance.choices(self._calls, weights)[0][1]()
        return tuple(self._steps[: self._length])

    # What they are made of.

    def _step(self, *words: object, plain: bool = False) -> None:
        """One call; now and then by a thread or a child."""
        how = "" if plain else self._one_of(("",) * 22 + ("thread ", "child "))
        self._steps.append(how + " ".join(map(str, words)))

    def _one_of(self, choices: Sequence[str]) -> str:
        return self._chance.choice(choices)

    def _some(self, kind: str | None = None, phase: str | None = None) -> Socket | None:
        """One like that, mostly."""
        everybody = list(self._sockets.values())
        if not everybody:
            return None
        fitting = [s for s in everybody if kind in (None, s.kind) and phase in (None, s.phase)]
        return self._chance.choice(fitting if fitting and self._chance.random() < 0.93 else everybody)

    def _target(self, s: Socket) -> str:
        """An address for a socket to go to."""
        if self._chance.random() < 0.07:
            return f"{self._one_of(ODD_TARGETS[s.kind == 'tcp' :])} -1"
        fitting = [t for t in self._sockets.values() if t.kind == s.kind and t.phase != NEW and t is not s]
        listening = [t for t in fitting if t.phase == LISTENING and len(t.queue) < 4]
        if not fitting:
            return f"loopback{s.family if s.family in HOSTS else 4} -1"
        target = self._chance.choice(listening or fitting)
        family = target.family if target.family in HOSTS and self._chance.random() < 0.95 else "4"
        return f"{self._one_of(HOSTS[family][:9])} {target.number}"

    def _make(self, family: str, kind: str, waits: bool) -> Socket:
        made = self._add(family, kind, waits)
        self._step("socket", made.number, family, kind if waits else f"{kind}+nonblock", 0, plain=True)
        return made

    def _add(self, family: str, kind: str, waits: bool = True, phase: str = NEW) -> Socket:
        made = self._sockets[self._made] = Socket(self._made, family, kind, phase, waits)
        self._made += 1
        return made

    @property
    def _has_room(self) -> bool:
        return len(self._sockets) < MOST_SOCKETS and self._made < 55

    # Several calls in one go, so that there is something to work with.

    def _pair(self) -> None:
        if not self._has_room:
            return
        family, waits = self._one_of("46"), self._chance.random() < 0.6
        loopback = f"loopback{family}"
        listener = next((s for s in self._sockets.values() if s.phase == LISTENING and s.family == family), None)
        if listener is None or self._chance.random() < 0.4:
            listener = self._make(family, "tcp", True)
            if self._chance.random() < 0.3:
                self._set_option_of(listener)
            self._step("bind", listener.number, loopback, -1, plain=True)
            self._step("listen", listener.number, self._chance.choice((0, 1, 5, 16)), plain=True)
            listener.phase = LISTENING
        client = self._make(family, "tcp", waits)
        if self._chance.random() < 0.2:
            self._step("bind", client.number, loopback, -1)
        if self._chance.random() < 0.3:
            self._set_option_of(client)
        self._step("connect", client.number, loopback, listener.number, plain=True)
        client.phase = CONNECTED
        listener.queue.append(client.number)
        if self._chance.random() < 0.85:
            self._accept_from(listener)

    def _datagrams(self) -> None:
        if not self._has_room:
            return
        family = self._one_of("46")
        for _ in range(2):
            made = self._make(family, "udp", self._chance.random() < 0.6)
            self._step("bind", made.number, f"loopback{family}", -1)
            made.phase = BOUND

    def _unix_pair(self) -> None:
        if not self._has_room:
            return
        kind = self._one_of(("stream", "datagram", "seqpacket"))
        one, other = (self._add("unix", kind, phase=CONNECTED) for _ in range(2))
        one.peer, other.peer = other.number, one.number
        self._step("socketpair", one.number, other.number, kind + self._one_of(("", "+nonblock")), plain=True)

    def _lone(self) -> None:
        if self._has_room:
            family, kind = self._one_of(("4", "6", "4", "6", "unix", "odd")), self._one_of(("tcp", "udp"))
            made = self._add(family, kind)
            made.waits = self._chance.random() < 0.5
            more = ("" if made.waits else "+nonblock") + self._one_of(("", "+cloexec"))
            self._step("socket", made.number, family, kind + more, self._one_of("0000" + "6"), plain=True)

    def _refused(self) -> None:
        """A connect to where nobody is, and perhaps once more when somebody is."""
        if not self._has_room:
            return
        family = self._one_of("46")
        nobody, client = self._make(family, "tcp", True), self._make(family, "tcp", self._chance.random() < 0.5)
        self._step("bind", nobody.number, f"loopback{family}", -1)
        nobody.phase = BOUND
        self._step("connect", client.number, f"loopback{family}", nobody.number, plain=True)
        if self._chance.random() < 0.5:
            self._step("getsockopt", client.number, "SO_ERROR")
        if self._chance.random() < 0.6:
            self._step("listen", nobody.number, 5, plain=True)
            nobody.phase = LISTENING
            self._step("connect", client.number, f"loopback{family}", nobody.number)
            client.phase = CONNECTED
            nobody.queue.append(client.number)

    # Single calls.

    def _bind(self) -> None:
        if (s := self._some(phase=NEW)) is not None and s.phase != CONNECTED:
            odd = s.family not in HOSTS or self._chance.random() < 0.1
            host, port = self._one_of(ODD_HOSTS if odd else HOSTS[s.family]), -1
            # A port that is free, or taken, for one host may not be so for another: others are on this machine, too.
            taken = [t for t in self._sockets.values() if (t.host, t.kind) == (host, s.kind) and t is not s]
            if taken and self._chance.random() < 0.3:
                port = self._chance.choice(taken).number
            self._step("bind", s.number, host, port)
            if s.phase == NEW:
                s.phase, s.host = BOUND, host

    def _listen(self) -> None:
        if (s := self._some("tcp", self._one_of((BOUND, BOUND, NEW)))) is not None:
            self._step("listen", s.number, self._chance.choice((0, 1, 5, 16, -1)))
            if s.kind == "tcp" and s.phase in (NEW, BOUND):
                s.phase = LISTENING

    def _connect(self) -> None:
        s = self._some(self._one_of(("tcp", "tcp", "udp")), self._one_of((NEW, NEW, BOUND, CONNECTED)))
        if s is not None:
            target = "nobody -1" if self._chance.random() < 0.08 else self._target(s)
            if s.accepted and target.startswith("nobody"):
                return  # then it has the name of its listener, and a relayed one its own
            self._step("connect", s.number, target)
            if s.phase in (NEW, BOUND):
                s.phase = CONNECTED

    def _accept(self) -> None:
        waiting = [s for s in self._sockets.values() if s.queue]
        s = self._chance.choice(waiting) if waiting and self._chance.random() < 0.7 else self._some("tcp", LISTENING)
        if s is not None:
            self._accept_from(s)

    def _accept_from(self, s: Socket) -> None:
        if not self._has_room:
            return
        made = self._add(s.family, "tcp", phase=CONNECTED)
        made.accepted = True
        if s.queue:
            made.peer = s.queue.pop(0)
            if made.peer in self._sockets:
                self._sockets[made.peer].peer = made.number
        if self._chance.random() < 0.4:
            flags = self._one_of(("-", "nonblock", "cloexec", "nonblock+cloexec"))
            self._step("accept4", s.number, made.number, flags, plain=True)
        else:
            self._step("accept", s.number, made.number, plain=True)

    def _size(self) -> int:
        size = self._chance.choice(SIZES)
        self._sent += size
        return size if self._sent < MOST_BYTES else 1

    def _send(self) -> None:
        if (s := self._some(phase=CONNECTED)) is not None:
            verb, size = self._one_of(("send", "send", "write", "writev", "sendmsg")), self._size()
            flags = () if verb.startswith("write") else (self._one_of(SEND_FLAGS),)
            self._step(verb, s.number, size, *flags)
            if s.peer in self._sockets and self._chance.random() < 0.6:
                self._receive_from(self._sockets[s.peer])

    def _receive(self) -> None:
        if (s := self._some(phase=self._one_of((CONNECTED, CONNECTED, CONNECTED, BOUND)))) is not None:
            self._receive_from(s)

    def _receive_from(self, s: Socket) -> None:
        verb = self._one_of(("recv", "recv", "read", "readv", "recvfrom", "recvmsg"))
        flags = () if verb.startswith("read") else (self._one_of(RECEIVE_FLAGS),)
        self._step(verb, s.number, self._chance.choice((1, 2, 60, 1400, 5000, 5000, 0)), *flags)

    def _send_to(self) -> None:
        if (s := self._some("udp")) is not None:
            flags = self._one_of(SEND_FLAGS[:-1])
            if s.kind == "tcp" and self._chance.random() < 0.3:
                flags = "fastopen+nosignal"  # nobody but the kernel sends a thread SIGPIPE in time
            verb, size = self._one_of(("sendto", "sendto", "sendmsg")), self._size()
            if flags.startswith("fastopen"):
                size = max(1, size)  # a connection without data the kernel acknowledges late, in the hope of some
            self._step(verb, s.number, size, flags, self._target(s))

    def _urgent(self) -> None:
        if (s := self._some("tcp", CONNECTED)) is not None:
            self._step("send", s.number, self._chance.choice((1, 2, 100)), "oob")
            if s.peer in self._sockets:
                self._step("recv", s.peer, self._chance.choice((1, 60)), self._one_of(("oob", "-", "oob+peek")))
                self._step("mark", s.peer)

    def _shutdown(self) -> None:
        if (s := self._some(phase=CONNECTED)) is not None:
            self._step("shutdown", s.number, self._chance.choice((0, 1, 1, 1, 2, 2, 3, -1)))

    def _close(self) -> None:
        if (s := self._some()) is not None:
            self._step("close", s.number, plain=True)
            if self._chance.random() < 0.9:
                del self._sockets[s.number]

    def _duplicate(self) -> None:
        s = self._some(phase=self._one_of((NEW, LISTENING, CONNECTED)))
        if s is None or not self._has_room:
            return
        verb = self._one_of(("dup", "dup", "dupfd", "dup2", "dup3"))
        last = (self._one_of(("-", "cloexec")),) if verb in ("dupfd", "dup3") else ()
        if verb in ("dup", "dupfd"):
            made = self._add(s.family, s.kind, s.waits, s.phase)
            made.peer, made.accepted = s.peer, s.accepted
            self._step(verb, s.number, made.number, *last, plain=True)
        elif (over := self._some()) is not None:
            self._step(verb, s.number, over.number, *last)
            over.family, over.kind, over.phase, over.peer = s.family, s.kind, s.phase, s.peer
            over.accepted = s.accepted

    def _mode(self) -> None:
        if (s := self._some()) is not None:
            self._step("mode", s.number, self._one_of(("nonblock", "block")))
            self._step("getfl", s.number)

    def _names(self) -> None:
        if (s := self._some(phase=self._one_of((CONNECTED, BOUND, NEW)))) is not None:
            length = (self._chance.choice((0, 6, 16, 20)),) if self._chance.random() < 0.15 else ()
            self._step(self._one_of(("getsockname", "getpeername")), s.number, *length)

    def _get_option(self) -> None:
        if (s := self._some()) is not None:
            name = self._one_of((*READ_ONLY, *(name for name, _ in OPTIONS)))
            length = (self._chance.choice((0, 1, 2, 6, -1)),) if self._chance.random() < 0.1 else ()
            self._step("getsockopt", s.number, name, *length)

    def _set_option(self) -> None:
        if (s := self._some()) is not None:
            self._set_option_of(s)

    def _set_option_of(self, s: Socket) -> None:
        name, values = self._chance.choice([row for row in OPTIONS if s.kind == "udp" or row[0] != "IP_RECVTTL"])
        value = self._one_of(values)
        odd = f" {self._chance.choice((0, 1, 2, -1))}" if self._chance.random() < 0.06 else ""
        self._step("setsockopt", s.number, name, value if " " in value else f"{value} 0", odd.strip())
        self._steps[-1] = self._steps[-1].rstrip()

    def _epoll(self) -> None:
        sets = [s for s in self._sockets.values() if s.kind == "epoll"]
        if not sets:
            if not self._has_room:
                return
            sets = [self._add("", "epoll", phase="epoll")]
            self._step("epoll", sets[0].number, plain=True)
        s, watched = sets[0], self._some(phase=self._one_of((CONNECTED, LISTENING, NEW)))
        if watched is not None and self._chance.random() < 0.5:
            verb = self._one_of(("epoll_add",) * 4 + ("epoll_mod", "epoll_del"))
            events = self._one_of(("in", "in+out", "in+out+rdhup+pri", "in+once"))
            self._step(verb, s.number, watched.number, events, plain=True)
        self._step("epoll_wait", s.number)

    def _select(self) -> None:
        self._step("select")

    def _hold(self) -> None:
        """A process that has a copy of everything, and lets go of it later."""
        if self._held and self._chance.random() < 0.6:
            self._step("release", self._held.pop(), plain=True)
        elif self._made < 55 and len(self._held) < 2:
            self._held.append(self._made)
            self._step("hold", self._made, plain=True)
            self._made += 1


def write(seed: int, count: int, length: int) -> list[Script]:
    """So many sequences of so many calls, always the same by the seed."""
    return [Script(f"{seed}.{index}", Writer(Random(f"{seed}.{index}"), length).write()) for index in range(count)]
