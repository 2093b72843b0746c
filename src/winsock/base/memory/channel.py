"""A reliable channel over packets that get lost: one end of a connection, as a machine without I/O.

Segments and times go in; segments, bytes and a deadline come out. What was sent is kept until it is acknowledged, and
sent again when time runs out, or at once when three acknowledgements in a row say that something in between is
missing. What comes early waits for what comes late. A window says how much the other end takes; the sender of a full
one asks from time to time whether it has opened, because the word that it has may be lost.

It is TCP without what nobody can see from outside: no congestion control, no checksums, no options. Each connection has
a `tag` that no other ever has, where TCP has sequence numbers that start at random: packets of a former connection are
known at once. A connection request, its answer and an orderly end may carry data of their own (`note`).

Source: RFC 9293 for what it does, RFC 6298 for when.
"""

from __future__ import annotations

from typing import NamedTuple

from winsock.abi.errors import WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAETIMEDOUT

OPENING, OFFERED, ANSWERING, OPEN, DEAD = "opening", "offered", "answering", "open", "dead"

SYN, ACCEPT, FIN, RST, PROBE = 1, 2, 4, 8, 16
_NAMES = {SYN: "syn", ACCEPT: "accept", FIN: "fin", RST: "rst", PROBE: "probe"}

HEADER = 40
"""Bytes of a packet that are not data."""
FIRST_TIMEOUT_S = 1.0
_SHORTEST_TIMEOUT_S, _LONGEST_TIMEOUT_S = 0.2, 60.0
OPEN_TRIES, DATA_TRIES = 4, 6
"""How often something is sent before the peer counts as dead: 15 seconds for a connect; for data it depends."""
_DUPLICATES = 3
_MOST_PROBES = 1000
"""After so many answers that the window is shut still, hours later, nobody asks any more: two ends that wait for each
other must not keep the clock going for ever."""


class Segment(NamedTuple):
    """One packet of a connection."""

    tag: int
    to_opener: bool
    flags: int
    number: int
    """How many segments its sender sent before: the newest tells the window."""
    seq: int
    """Where its data stands in the stream."""
    ack: int
    """The first byte that its sender does not have yet."""
    window: int
    """How many more it takes."""
    data: bytes = b""
    note: bytes = b""

    @property
    def key(self) -> int:
        """Which end of which connection it is for."""
        return 2 * self.tag + self.to_opener

    def __str__(self) -> str:
        words = [name for flag, name in _NAMES.items() if self.flags & flag]
        if self.data:
            words.append(f"data {self.seq}+{len(self.data)}")
        return " ".join(words) or f"ack {self.ack} window {self.window}"


class Channel:
    """One end. After every call, what is in `outbox` is to be sent, and `tick` called at `deadline`."""

    def __init__(self, tag: int, is_opener: bool, segment_size: int, send_room: int, receive_room: int) -> None:
        self.tag = tag
        self.phase = OPENING if is_opener else OFFERED
        self.is_opener = is_opener
        self.outbox: list[Segment] = []
        self.deadline: float | None = None
        self.error = 0
        """Why it is dead; 0 for an order of our own."""
        self.segment_size = segment_size
        self.send_room = send_room
        self.receive_room = receive_room
        self.is_deaf = False
        """Nobody will read what comes: data is answered with a reset."""
        self.patience_s: float | None = None
        """How long to send again before the peer counts as dead (TCP_MAXRT); None: `DATA_TRIES` times."""
        self.peer_note = b""
        """What came with the peer's last word: its request, its answer, its end."""
        self._note = self._last_note = b""
        # What we send: `_outgoing` holds the bytes from `_una` on, of which those before `_next` were sent.
        self._outgoing = bytearray()
        self._una = self._next = self._limit = 0
        self._ending = False
        self.is_ended = False
        """Whether all we sent has arrived, our end of the stream too."""
        self._numbers = self._newest = -1
        self._tries = 0
        self._duplicates = self._probes = 0
        self._since = 0.0
        """Since when nothing was acknowledged."""
        self._timeout_s = FIRST_TIMEOUT_S
        self._round_trip_s = self._deviation_s = 0.0
        self._timed: tuple[int, float] | None = None
        """A byte whose acknowledgement will tell the round trip, and when it was sent."""
        # What we receive: `_incoming` holds the bytes before `_expected` that nobody has read.
        self._incoming = bytearray()
        self._expected = 0
        self._early: dict[int, tuple[bytes, int, bytes]] = {}
        self._told = receive_room
        """The end of the window that the peer knows of."""
        self.peer_ended = False
        self.arrived = 0
        """Bytes that came in order, since the beginning."""

    # What can be seen of it.

    @property
    def readable(self) -> int:
        """Bytes that can be read."""
        return len(self._incoming)

    @property
    def unacknowledged(self) -> int:
        """Bytes that the peer may not have yet."""
        return len(self._outgoing)

    @property
    def room(self) -> int:
        """Bytes that can be written."""
        return max(0, self.send_room - len(self._outgoing)) if self.phase != DEAD else 0

    # What its owner wants.

    def open(self, now: float, note: bytes = b"") -> None:
        """Ask for a connection."""
        self._note = note
        self._emit(SYN, note=note)
        self._start_timer(now)

    def answer(self, now: float, note: bytes = b"") -> None:
        """Take the connection that was asked for."""
        self.phase = ANSWERING
        self._note = note
        self._emit(ACCEPT, note=note)
        self._start_timer(now)

    def write(self, now: float, data: bytes | memoryview) -> int:
        """Send as much as there is room for; how much that is."""
        taken = data[: self.room]
        self.put(now, taken)
        return len(taken)

    def put(self, now: float, data: bytes | memoryview) -> None:
        """Send all of it, whether there is room or not."""
        self._outgoing += data
        self._push(now)

    def read(self, count: int, peek: bool = False) -> bytes:
        """Take what has arrived; tell the peer where that opens a window that was shut."""
        data = bytes(self._incoming[:count])
        if not peek:
            del self._incoming[:count]
            window = self._window()
            grown = self._expected + window - self._told
            worth_telling = max(1, min(self.segment_size, self.receive_room // 2))
            if self.phase == OPEN and not self.peer_ended and grown >= worth_telling:
                self._emit(0)
        return data

    def end(self, now: float, note: bytes = b"") -> None:
        """Nothing more will be written."""
        if not self._ending:
            self._ending = True
            self._last_note = note
            self._push(now)

    def stop_listening(self, is_unread: bool) -> None:
        """Nothing more will be read: what comes resets the connection, as does what is there unread."""
        self.is_deaf = True
        if is_unread:
            self.abort()

    def abort(self, error: int = 0) -> None:
        """End it at once, and tell the peer."""
        if self.phase != DEAD:
            self._emit(RST)
            self._die(error)

    # What happens to it.

    def receive(self, now: float, segment: Segment) -> None:
        """A segment has arrived."""
        if self.phase == DEAD:
            return
        if segment.flags & RST:
            self._die(WSAECONNREFUSED if self.phase == OPENING else WSAECONNRESET)
        elif self.phase == OPENING:
            self._receive_answer(now, segment)
        elif segment.flags & (SYN | ACCEPT):
            self._receive_again(segment)
        elif self.phase != OFFERED:
            if self.phase == ANSWERING:
                self._opened(now, segment)
            self._receive_acknowledgement(now, segment)
            self._receive_data(segment)

    def tick(self, now: float) -> None:
        """The deadline has come."""
        if self.deadline is None or now < self.deadline or self.phase == DEAD:
            return
        self._tries += 1
        opening = self.phase != OPEN
        gone = self._tries >= (OPEN_TRIES if opening else DATA_TRIES)
        if self.patience_s is not None:
            gone = now - self._since >= self.patience_s
        if gone:
            self._emit(RST)
            self._die(WSAETIMEDOUT)
            return
        self._timeout_s = min(2 * self._timeout_s, _LONGEST_TIMEOUT_S)
        self._timed = None
        if self.phase == OPENING:
            self._emit(SYN, note=self._note)
        elif self.phase == ANSWERING:
            self._emit(ACCEPT, note=self._note)
        elif self._una < self._next:
            self._next = self._una
            self._push(now)
        else:
            self._probes += 1
            self._emit(PROBE)
        self.deadline = self._next_deadline(now)

    # Opening.

    def _receive_answer(self, now: float, segment: Segment) -> None:
        if not segment.flags & ACCEPT:
            return  # data that overtook the answer will be sent again
        self.peer_note = segment.note
        self._opened(now, segment)
        self._emit(0)
        self._push(now)

    def _opened(self, now: float, segment: Segment) -> None:
        self.phase = OPEN
        self._tries = 0
        self._timeout_s = FIRST_TIMEOUT_S
        self.deadline = None
        self._newest = segment.number
        self._limit = segment.ack + segment.window
        self._push(now)

    def _receive_again(self, segment: Segment) -> None:
        """A request or an answer once more: what we said to it was lost."""
        if segment.flags & SYN and self.phase == ANSWERING:
            self._emit(ACCEPT, note=self._note)
        elif segment.flags & ACCEPT and self.phase == OPEN:
            self._emit(0)

    # Sending.

    def _push(self, now: float) -> None:
        """Send what the peer's window takes."""
        if self.phase != OPEN or self.is_ended:
            return
        end = self._una + len(self._outgoing)
        while self._next < end and self._next < self._limit:
            at = self._next - self._una
            size = min(self.segment_size, end - self._next, self._limit - self._next)
            self._send_data(now, bytes(self._outgoing[at : at + size]))
        if self._ending and self._next == end:
            self._emit(FIN, note=self._last_note)
            self._next += 1
        if self.deadline is None and (self._una < self._next or (self._next < end and self._probes < _MOST_PROBES)):
            self._start_timer(now)

    def _send_data(self, now: float, data: bytes) -> None:
        self._emit(0, data)
        self._next += len(data)
        if self._timed is None and self._tries == 0:
            self._timed = (self._next, now)

    def _receive_acknowledgement(self, now: float, segment: Segment) -> None:
        ack = segment.ack
        if ack < self._una:
            return
        if ack > self._una:
            self._drop_acknowledged(now, ack)
        elif segment.number > self._newest and ack + segment.window == self._limit and not segment.data:
            self._count_duplicate(segment)
        if segment.number > self._newest:
            self._newest = segment.number
            self._limit = ack + segment.window
        if self._una == self._next:  # the peer lives, even where its window is shut
            self._tries = 0
            self.deadline = None
        self._push(now)

    def _drop_acknowledged(self, now: float, ack: int) -> None:
        count = ack - self._una
        self.is_ended = count > len(self._outgoing)
        del self._outgoing[:count]
        self._una = ack
        self._next = max(self._next, ack)
        self._tries = self._duplicates = self._probes = 0
        if self._timed is not None and ack >= self._timed[0]:
            self._note_round_trip(now - self._timed[1])
            self._timed = None
        self._timeout_s = self._usual_timeout()
        self.deadline = None
        if self._una < self._next:
            self._start_timer(now)

    def _count_duplicate(self, segment: Segment) -> None:
        """The same acknowledgement again and again: something is missing behind it, and what follows arrives."""
        if self._una == self._next or segment.flags:
            return
        self._duplicates += 1
        if self._duplicates == _DUPLICATES:
            data = bytes(self._outgoing[: min(self.segment_size, self._next - self._una)])
            if data:
                self._emit(0, data, seq=self._una)
            else:
                self._emit(FIN, note=self._last_note, seq=self._una)
            self._timed = None

    def _note_round_trip(self, seconds: float) -> None:
        if self._round_trip_s:
            self._deviation_s += (abs(self._round_trip_s - seconds) - self._deviation_s) / 4
            self._round_trip_s += (seconds - self._round_trip_s) / 8
        else:
            self._round_trip_s, self._deviation_s = seconds, seconds / 2

    def _usual_timeout(self) -> float:
        """What it is as long as nothing is lost."""
        if not self._round_trip_s:
            return FIRST_TIMEOUT_S
        timeout = self._round_trip_s + 4 * self._deviation_s
        return min(max(timeout, _SHORTEST_TIMEOUT_S), _LONGEST_TIMEOUT_S)

    # Receiving.

    def _receive_data(self, segment: Segment) -> None:
        if not (segment.data or segment.flags & (FIN | PROBE)):
            return
        if self.is_deaf and segment.data and segment.seq + len(segment.data) > self._expected:
            self.abort(WSAECONNABORTED)
            return
        self._early[segment.seq] = max(
            self._early.get(segment.seq, (b"", 0, b"")),
            (segment.data, segment.flags & FIN, segment.note),
            key=lambda piece: (len(piece[0]), piece[1]),
        )
        while self._early and (at := min(self._early)) <= self._expected:
            self._take(at, *self._early.pop(at))
        if len(self._early) > self.receive_room:  # nobody honest sends so much ahead
            self._early.clear()
        self._emit(0)

    def _take(self, at: int, data: bytes, fin: int, note: bytes) -> None:
        """A piece whose turn it is, or that we have already."""
        if self.peer_ended:
            return
        fresh = data[self._expected - at :]
        taken = fresh[: self._window()]
        self._incoming += taken
        self._expected += len(taken)
        self.arrived += len(taken)
        if fin and len(taken) == len(fresh) and at + len(data) == self._expected:
            self.peer_ended = True
            self.peer_note = note
            self._expected += 1

    def _window(self) -> int:
        return max(0, self.receive_room - len(self._incoming))

    # The rest.

    def _emit(self, flags: int, data: bytes = b"", note: bytes = b"", seq: int | None = None) -> None:
        self._numbers += 1
        window = self._window()
        self._told = max(self._told, self._expected + window)
        at = self._next if seq is None else seq
        self.outbox.append(
            Segment(self.tag, not self.is_opener, flags, self._numbers, at, self._expected, window, data, note)
        )

    def _start_timer(self, now: float) -> None:
        self._since = now
        self.deadline = self._next_deadline(now)

    def _next_deadline(self, now: float) -> float:
        deadline = now + self._timeout_s
        return deadline if self.patience_s is None else min(deadline, self._since + self.patience_s)

    def _die(self, error: int) -> None:
        self.phase = DEAD
        self.error = error
        self.deadline = None
        self._outgoing.clear()
        self._incoming.clear()
        self._early.clear()
