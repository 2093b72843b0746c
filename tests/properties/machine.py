"""Random calls, made on both sides: after each one the answers are the same, and so is all that can be seen.

What has been sent has arrived when both sides show the same; so nothing waits, and nothing depends on how fast.
"""

from __future__ import annotations

import time
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.properties import differences
from tests.properties.differences import CONNECTED, CONNECTING, FAILED, LISTENING, NEW, RECEIVES, SENDS, Socket, Step
from tests.properties.ends import (
    DATAGRAM,
    IPV4,
    IPV6,
    OPTIONS,
    STREAM,
    Failure,
    Name,
    Option,
    Outcome,
    Plain,
    Side,
    State,
    Where,
)
from winsock.abi.constants import SD_RECEIVE, SD_SEND
from winsock.abi.errors import WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAEINVAL, WSAENOTCONN, WSAEWOULDBLOCK

SECONDS = 20.0
[SO_ERROR] = [option for option in OPTIONS if option.name == "SO_ERROR"]
MOST_SOCKETS = 10
MOST_WAITING = 4
"""Connections in a listener's queue: it never gets full."""
MOST_BYTES = 30_000
"""On their way to one socket: a buffer never gets full."""
ANY = st.integers(0, 999)
WAITING = (*RECEIVES, "accept")
FAILED_LATE = (Failure(WSAECONNREFUSED), Failure(WSAECONNABORTED))
WOULD_WAIT = Failure(WSAEWOULDBLOCK)
FAMILIES = st.sampled_from([IPV4, IPV6])
SIZES = st.sampled_from([0, 1, 2, 100, 1400, 3000])


class Calls(RuleBasedStateMachine):
    """The calls of two peers. A subclass says whose they are."""

    def sides(self) -> tuple[Side, Plain]:
        """The side that is tried, and the oracle."""
        raise NotImplementedError

    has_differences = True

    @initialize()
    def begin(self) -> None:
        self.ours: Any
        self.ours, self.plain = self.sides()
        self.sockets: dict[int, Socket] = {}
        self.made = 0
        self.on_their_way: dict[int, int] = {}
        """Bytes sent so far to whoever is connected with this one."""
        self.done: list[str] = []

    # What a step is.

    def chosen(self, index: int, kind: int | None = None, phase: str | None = None) -> Socket | None:
        """One of the sockets, if there is any like that."""
        found = [s for s in self.sockets.values() if kind in (None, s.kind) and phase in (None, s.phase)]
        return found[index % len(found)] if found else None

    def busy(self, index: int) -> Socket | None:
        """One that is connected, mostly."""
        return (self.chosen(index // 4, phase=CONNECTED) if index % 4 else None) or self.chosen(index)

    def ready(self, index: int) -> Socket | None:
        """One with something to be received, mostly."""
        found = [s for s in self.sockets.values() if s.phase != LISTENING and self.is_ready(s)]
        return found[index // 4 % len(found)] if found and index % 4 else self.chosen(index)

    def take(self, call: str, socket: Socket, *arguments: Any) -> Outcome:
        """One step, on both sides; the plain answer."""
        step = Step(call, socket.number, arguments)
        told, expected = self.ask(socket, step)
        found = getattr(self.ours, call)(socket.number, *arguments)
        deadline = time.monotonic() + SECONDS
        while call in WAITING and is_late(found, expected) and time.monotonic() < deadline:
            if found == WOULD_WAIT:
                found = getattr(self.ours, call)(socket.number, *arguments)
            else:
                told, expected = self.ask(socket, step)
        self.done.append(f"{step} -> {expected!r:.60}")
        assert is_same(found, expected), f"{self.history()}\nbut it answered {found!r:.200}"
        if call not in ("close",):
            self.learn(socket, step, told)
        self.settle()
        return expected

    def ask(self, socket: Socket, step: Step) -> tuple[Outcome, Outcome]:
        """What the plain socket answers, and what is to be expected."""
        if not self.has_differences:
            told = getattr(self.plain, step.call)(step.number, *step.arguments)
            return told, told
        without = differences.instead(socket, step)
        if without is not None:
            socket.reset_pending &= without[0] != Failure(WSAECONNRESET)
            return without[0], without[0]
        refusal = self.refuses_to_keep(socket, step)
        if refusal is not None:
            return refusal, refusal
        earlier = self.plain.peer(step.number) if socket.kind == DATAGRAM and socket.phase == CONNECTED else None
        told = getattr(self.plain, step.call)(step.number, *step.arguments)
        if step.call == "connect" and told is None and earlier not in (None, self.plain.peer(step.number)):
            self.discard(socket)
        late = socket.phase == CONNECTING or socket.failed_late
        if late and step.call == "connect" and told in FAILED_LATE:
            # The kernel told how the last attempt ended. Winsock starts another (nf-winsock2-connect).
            told = self.plain.connect(step.number, *step.arguments)
            socket.phase = FAILED
        if socket.kind == DATAGRAM and step.call in SENDS and told == Failure(WSAECONNREFUSED):
            socket.reset_pending = True  # UD-09: the send goes on, and the next receive tells
            told = getattr(self.plain, step.call)(step.number, *step.arguments)
        return told, differences.otherwise(socket, step, told)

    def refuses_to_keep(self, socket: Socket, step: Step) -> Failure | None:
        """SO_KEEPALIVE is for a connection that there is, or will be."""
        if step.call != "set_option" or step.arguments[0].name != "SO_KEEPALIVE":
            return None
        state = self.plain.state(step.number)
        if socket.phase == CONNECTING and not state.readable and not state.writable:
            return Failure(WSAEINVAL)
        if socket.is_stream and socket.phase == CONNECTED and isinstance(self.plain.peer(step.number), Failure):
            return Failure(WSAENOTCONN)
        return None

    def discard(self, socket: Socket) -> None:
        """CONN-028: with another peer, what was received and not taken yet is gone."""
        self.plain.get_option(socket.number, SO_ERROR)
        while not socket.receiving_ended and self.plain.receive(socket.number, 5000, False) != WOULD_WAIT:
            pass
        socket.reset_pending = False

    def learn(self, socket: Socket, step: Step, told: Outcome) -> None:
        """Follow a socket's life."""
        if told is None and step.call == "bind":
            [socket.claimed] = step.arguments
        elif told is None and step.call == "listen":
            socket.phase = LISTENING
        elif step.call == "connect" and socket.phase not in (LISTENING,):
            self.learn_connect(socket, told)
        elif told is None and step.call == "disconnect":
            socket.phase = NEW
            socket.failed_late = socket.is_lost = False
        elif step.call in SENDS + RECEIVES and socket.is_stream and isinstance(told, Failure):
            self.learn_loss(socket, step, told)
        elif step.call == "get_option" and step.arguments[0].name == "SO_ERROR" and told and socket.phase == CONNECTING:
            socket.phase, socket.failed_late = FAILED, True
        elif step.call == "shutdown" and (told is None or not socket.is_stream) and told != Failure(WSAEINVAL):
            socket.sending_ended |= step.arguments[0] != SD_RECEIVE
            socket.receiving_ended |= step.arguments[0] != SD_SEND
        elif told is None and step.call == "set_option" and step.arguments[0].name == "SO_LINGER":
            socket.lingers_s = step.arguments[1].seconds
        for side in (self.ours, self.plain):
            side.note(socket.number)

    def learn_loss(self, socket: Socket, step: Step, told: Failure) -> None:
        if told.code == WSAECONNREFUSED:
            socket.phase, socket.failed_late = FAILED, True
        elif told.code == WSAECONNRESET and step.call in RECEIVES:
            socket.is_lost = True

    def learn_connect(self, socket: Socket, told: Outcome) -> None:
        if told in (None, Failure(WSAEWOULDBLOCK), Failure(WSAECONNREFUSED)):
            socket.failed_late = socket.is_lost = False
        if told is None:
            socket.phase = CONNECTED
        elif told == Failure(WSAEWOULDBLOCK):
            socket.phase = CONNECTING
        elif told == Failure(WSAECONNREFUSED) and socket.is_stream:
            socket.phase = FAILED

    def history(self) -> str:
        return "\n".join(["", *self.done])

    # What can be seen.

    def settle(self) -> None:
        """Until both sides show the same of every socket."""
        deadline = time.monotonic() + SECONDS
        while True:
            unlike = [s for s in self.sockets.values() if not self.looks_alike(s)]
            if not unlike:
                return
            if time.monotonic() > deadline:
                shown = [f"{s}: {self.ours.state(s.number)}, {self.plain.state(s.number)}" for s in unlike]
                raise AssertionError("\n".join([self.history(), *shown]))
            time.sleep(0)

    def looks_alike(self, socket: Socket) -> bool:
        if not (self.plain.has_sent(socket.number) and self.ours.has_sent(socket.number)):
            return False
        if self.has_differences and socket.kind == DATAGRAM:
            # Whoever asks how much can be read keeps the kernel's word of a datagram that found nobody for a receive
            socket.reset_pending |= self.plain.get_option(socket.number, SO_ERROR) == WSAECONNREFUSED
            self.plain.take_errors(socket.number)
        expected = self.plain.state(socket.number)
        socket.is_bound = self.plain.port(socket.number) != 0
        if self.has_differences:
            expected = self.seen(socket, expected)
        found = self.ours.state(socket.number)
        if self.has_differences and socket.kind == DATAGRAM:
            # nf-winsock2-ioctlsocket, FIONREAD: all that waits; the kernel tells of the first datagram
            assert isinstance(expected.waiting, int)
            return bool(found[:3] == expected[:3] and found.waiting >= expected.waiting)
        return bool(found == expected)

    def seen(self, socket: Socket, plain: State) -> State:
        """What the plain socket shows, as Windows would."""
        if socket.failed_late:
            return State(False, False, True, plain.waiting)  # SE-15
        if socket.is_stream and socket.phase in (NEW, FAILED):  # SE-15, nf-winsock2-select
            return State(False, False, False, plain.waiting)
        if socket.phase == LISTENING:  # IC-06
            return plain._replace(waiting=0)
        if socket.phase == CONNECTING:
            if self.has_failed(socket):
                return State(False, False, True, plain.waiting)  # SE-15
            if plain.writable:
                socket.phase = CONNECTED
        if socket.reset_pending:
            return plain._replace(readable=True)
        return plain

    def has_failed(self, socket: Socket) -> bool:
        """Whether a connect that was on its way came to nothing."""
        plain = self.plain.state(socket.number)
        return plain.readable and plain.writable and isinstance(self.plain.peer(socket.number), Failure)

    def is_ready(self, socket: Socket) -> bool:
        return self.plain.state(socket.number).readable

    def make(self, family: int, kind: int) -> Socket:
        number = self.made
        self.made += 1
        for side in (self.ours, self.plain):
            side.make(number, family, kind)
        made = self.sockets[number] = Socket(number, family, kind)
        self.done.append(f"make({number}, IPv{family}, {'stream' if kind == STREAM else 'datagram'})")
        self.settle()
        return made

    # The rules.

    @precondition(lambda self: len(self.sockets) < MOST_SOCKETS)
    @rule(family=FAMILIES, kind=st.sampled_from([STREAM, DATAGRAM]), blocking=st.booleans())
    def create(self, family: int, kind: int, blocking: bool) -> None:
        made = self.make(family, kind)
        if not blocking:
            self.take("set_blocking", made, False)

    @precondition(lambda self: len(self.sockets) < MOST_SOCKETS - 2)
    @rule(family=FAMILIES, blocking=st.booleans(), close=st.booleans())
    def connect_two(self, family: int, blocking: bool, close: bool) -> None:
        """What it takes to have two ends, in one go."""
        listener, client = self.make(family, STREAM), self.make(family, STREAM)
        self.take("bind", listener, Where(family, "loopback"))
        self.take("listen", listener, 16)
        self.take("connect", client, Where(family, "loopback", listener.number))
        accepted = self.accept_from(listener)
        assert accepted is not None
        if not blocking:
            for end in (client, accepted):
                self.take("set_blocking", end, False)
        if close:
            self.close_it(listener)

    @precondition(lambda self: len(self.sockets) < MOST_SOCKETS - 1)
    @rule(family=FAMILIES, connected=st.booleans(), size=SIZES)
    def two_datagrams(self, family: int, connected: bool, size: int) -> None:
        """Two that can find each other, and something on its way."""
        one, other = self.make(family, DATAGRAM), self.make(family, DATAGRAM)
        for s in (one, other):
            self.take("set_blocking", s, False)
            self.take("bind", s, Where(family, "loopback"))
        if connected:
            self.take("connect", one, Where(family, "loopback", other.number))
        self.take("send_to", one, b"d" * size, Where(family, "loopback", other.number))
        self.take("receive_from", other, 1400, bool(size % 3))

    @precondition(lambda self: len(self.sockets) < MOST_SOCKETS - 1)
    @rule(family=FAMILIES, blocking=st.booleans(), again=st.booleans())
    def connect_to_nobody(self, family: int, blocking: bool, again: bool) -> None:
        nobody, client = self.make(family, STREAM), self.make(family, STREAM)
        self.take("bind", nobody, Where(family, "loopback"))
        if not blocking and self.has_differences:
            self.take("set_blocking", client, False)
        self.take("connect", client, Where(family, "loopback", nobody.number))
        if again and self.has_differences:
            self.take("listen", nobody, 8)
            self.take("connect", client, Where(family, "loopback", nobody.number))

    @rule(index=ANY, blocking=st.booleans())
    def set_mode(self, index: int, blocking: bool) -> None:
        if (s := self.chosen(index)) is not None:
            self.take("set_blocking", s, blocking)
            assert self.ours.is_blocking(s.number) is blocking

    @rule(index=ANY, other=ANY, host=st.sampled_from(["loopback"] * 4 + ["wildcard", "foreign", "broadcast"]))
    def bind(self, index: int, other: int, host: str) -> None:
        s, taken = self.chosen(index), self.chosen(other)
        if s is None or taken is None or (s.family == IPV6 and host == "broadcast"):
            return
        where = Where(s.family, host)
        same = taken.claimed is not None and (taken.family, taken.kind) == (s.family, s.kind) and taken is not s
        if same and taken.claimed is not None and other % 2:
            where = taken.claimed._replace(port_of=taken.number)
        elif other % 9 == 8:
            where = Where(IPV4 + IPV6 - s.family, "loopback")
        if self.has_differences or where.family == s.family:
            self.take("bind", s, where)

    @rule(index=ANY, backlog=st.sampled_from([8, 16, 200, 0x7FFFFFFF]))
    def listen(self, index: int, backlog: int) -> None:
        if (s := self.chosen(index)) is not None and (s.phase != CONNECTING):
            self.take("listen", s, backlog)

    @rule(index=ANY, other=ANY, host=st.sampled_from(["loopback"] * 6 + ["wildcard"]))
    def connect(self, index: int, other: int, host: str) -> None:
        s = self.chosen(index)
        if s is None:
            return
        targets = [t for t in self.sockets.values() if t.claimed is not None and self.can_be_asked(s, t)]
        where = Where(s.family, host)
        if targets and other % 9:
            target = targets[other % len(targets)]
            where = Where(target.family, host, target.number)
        if not self.has_differences and (where.port_of is None or where.family != s.family or s.phase == CONNECTING):
            return
        if not s.is_stream and (where.port_of is None or (where.host == "wildcard" and self.has_differences)):
            return  # which is to leave the peer: `disconnect`
        self.take("connect", s, where)

    def can_be_asked(self, asking: Socket, target: Socket) -> bool:
        """Whether a connect there ends at once: not with itself, and not in a queue that is full."""
        if asking is target or asking.kind != target.kind:
            return False
        assert target.claimed is not None
        waiting = self.on_their_way.get(-1 - target.number, 0)
        return not target.is_stream or target.phase in (NEW, FAILED, CONNECTED) or waiting < MOST_WAITING

    @rule(index=ANY)
    def disconnect(self, index: int) -> None:
        if (s := self.chosen(index, DATAGRAM)) is not None:
            self.take("disconnect", s)

    @rule(index=ANY)
    def accept(self, index: int) -> None:
        if (s := self.chosen(index, phase=LISTENING if index % 5 else None)) is not None:
            self.accept_from(s)

    def accept_from(self, listener: Socket) -> Socket | None:
        if len(self.sockets) >= MOST_SOCKETS or (listener.phase == LISTENING and not self.may_wait(listener)):
            return None
        number = self.made
        if isinstance(self.take("accept", listener, number), Failure):
            return None
        self.made += 1
        made = self.sockets[number] = Socket(number, listener.family, STREAM, CONNECTED)
        for side in (self.ours, self.plain):
            side.note(number)
        if self.has_differences:
            assert self.ours.is_blocking(number) is self.ours.is_blocking(listener.number)  # nf-winsock2-accept
        self.settle()
        return made

    def may_wait(self, s: Socket) -> bool:
        """Whether a call that may wait does not: the socket does not block, or there is something."""
        return self.is_ready(s) or not self.plain.is_blocking(s.number)

    @rule(index=ANY, size=SIZES)
    def send(self, index: int, size: int) -> None:
        s = self.busy(index)
        if s is not None and self.may_send(s, size):
            self.take("send", s, bytes([len(self.done) % 256]) * size)

    @rule(index=ANY, other=ANY, size=SIZES, host=st.sampled_from(["loopback"] * 5 + ["wildcard"]))
    def send_to(self, index: int, other: int, size: int, host: str) -> None:
        s, target = self.chosen(index, DATAGRAM if index % 5 else None), self.chosen(other)
        if s is None or target is None or not self.may_send(s, size):
            return
        where = Where(s.family, host)
        if target.kind == s.kind and target.claimed is not None and other % 7:
            where = Where(target.family, host, target.number)
        if s.is_stream and where.family != s.family:
            return
        if where.port_of is None and (s.sending_ended or not self.has_differences):
            return
        if self.has_differences or where.family == s.family:
            self.take("send_to", s, bytes([len(self.done) % 256]) * size, where)

    def may_send(self, s: Socket, size: int) -> bool:
        """Whether there is room for it, whoever receives; and a late failure is for connect to tell."""
        self.on_their_way[s.number] = self.on_their_way.get(s.number, 0) + size + 1
        return self.on_their_way[s.number] < MOST_BYTES and s.phase != CONNECTING

    @rule(index=ANY, size=st.sampled_from([1, 2, 60, 1400, 5000]), peek=st.booleans(), source=st.booleans())
    def receive(self, index: int, size: int, peek: bool, source: bool) -> None:
        s = self.ready(index)
        if s is None or s.phase == CONNECTING:
            return
        self.receive_some(s, size, peek, source)

    def receive_some(self, s: Socket, size: int, peek: bool = False, source: bool = False) -> Outcome:
        if not self.may_wait(s) and (not self.has_differences or self.would_wait(s)):
            return Failure(WSAEWOULDBLOCK)
        return self.take("receive_from" if source else "receive", s, size, peek)

    def would_wait(self, s: Socket) -> bool:
        """Whether the call would reach the kernel."""
        return differences.instead(s, Step("receive", s.number, (1, False))) is None

    @rule(index=ANY)
    def receive_all(self, index: int) -> None:
        """What waits together is what comes."""
        s = self.ready(index)
        if s is None or s.phase in (CONNECTING, LISTENING) or self.plain.is_blocking(s.number):
            return
        waiting, came = self.ours.state(s.number).waiting, 0
        is_reset = s.reset_pending
        while isinstance(found := self.receive_some(s, 5000), tuple) and (found[0] or not s.is_stream):
            came += len(found[0])
        if isinstance(found, Failure) and found.code == WSAEWOULDBLOCK and not is_reset and self.has_differences:
            assert waiting == came, self.history()

    @rule(index=ANY, how=st.sampled_from([0, 1, 1, 2, 3]))
    def shutdown(self, index: int, how: int) -> None:
        s = self.chosen(index)
        if s is not None and s.phase != CONNECTING and (self.has_differences or s.phase != LISTENING):
            self.take("shutdown", s, how)

    @rule(index=ANY)
    def names(self, index: int) -> None:
        if (s := self.chosen(index)) is not None:
            self.take("name", s)
            self.take("peer", s)

    @rule(index=ANY, option=st.sampled_from(OPTIONS))
    def get_option(self, index: int, option: Option) -> None:
        s = self.chosen(index)
        if s is not None and not (option.name == "SO_ERROR" and s.phase == CONNECTING and not self.has_failed(s)):
            self.take("get_option", s, option)

    @rule(index=ANY, option=st.sampled_from([option for option in OPTIONS if option.values]), value=ANY)
    def set_option(self, index: int, option: Option, value: int) -> None:
        if (s := self.chosen(index)) is not None:
            self.take("set_option", s, option, option.values[value % len(option.values)])

    @rule(index=ANY)
    def close(self, index: int) -> None:
        if (s := self.chosen(index)) is not None:
            self.close_it(s)

    def close_it(self, s: Socket) -> None:
        del self.sockets[s.number]
        self.take("close", s)

    def teardown(self) -> None:
        for side in (self.ours, self.plain):
            side.end()


def is_late(found: Outcome, expected: Outcome) -> bool:
    """Whether one side has got what is still on its way to the other."""
    return WOULD_WAIT in (found, expected) and not (isinstance(found, Failure) and isinstance(expected, Failure))


def is_same(found: Outcome, expected: Outcome) -> bool:
    """Names are the same where they may be."""
    if isinstance(found, tuple) and isinstance(expected, tuple):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    return found.is_same(expected) if isinstance(found, Name) else bool(found == expected)
