"""The reliable channel as a machine: two ends, and a wire between them that does what the test says."""

from __future__ import annotations

import heapq
import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from winsock.abi.errors import WSAECONNABORTED, WSAECONNREFUSED, WSAECONNRESET, WSAETIMEDOUT
from winsock.base.memory import channel as machine
from winsock.base.memory.channel import ACCEPT, FIN, PROBE, RST, SYN, Channel, Segment

MSS, ROOM = 100, 1000


class Wire:
    """Two ends; what one says, the other hears when the test lets it."""

    def __init__(self, room: int = ROOM) -> None:
        self.now = 0.0
        self.here = Channel(1, True, MSS, room, room)
        self.there = Channel(1, False, MSS, room, room)

    def said_by(self, end: Channel) -> list[Segment]:
        said, end.outbox = end.outbox, []
        return said

    def hear(self, end: Channel, *segments: Segment) -> None:
        for segment in segments:
            end.receive(self.now, segment)

    def exchange(self) -> None:
        """Everything that is said is heard, until nobody says anything more."""
        while self.here.outbox or self.there.outbox:
            self.hear(self.there, *self.said_by(self.here))
            self.hear(self.here, *self.said_by(self.there))

    def open(self) -> Wire:
        self.here.open(self.now)
        assert [segment.flags for segment in self.said_by(self.here)] == [SYN]
        self.there.answer(self.now)
        self.exchange()
        assert self.here.phase == self.there.phase == machine.OPEN
        return self

    def wait(self, end: Channel) -> None:
        """Until the deadline of an end."""
        assert end.deadline is not None
        self.now = end.deadline
        end.tick(self.now)


def test_opening_carries_words_both_ways() -> None:
    wire = Wire()
    wire.here.open(0.0, b"who is there?")
    (request,) = wire.said_by(wire.here)
    wire.there.peer_note = request.note
    wire.there.answer(0.0, b"bob")
    wire.exchange()
    assert (wire.there.peer_note, wire.here.peer_note) == (b"who is there?", b"bob")


def test_bytes_arrive_in_segments_of_the_size_of_the_path() -> None:
    wire = Wire().open()
    assert wire.here.write(0.0, b"x" * 250) == 250
    assert [len(segment.data) for segment in wire.here.outbox] == [100, 100, 50]
    wire.exchange()
    assert wire.there.read(1000) == b"x" * 250
    assert wire.here.unacknowledged == 0


def test_a_send_buffer_is_finite() -> None:
    wire = Wire().open()
    assert wire.here.write(0.0, b"x" * 1500) == ROOM
    assert wire.here.room == 0
    wire.exchange()
    assert wire.here.room == ROOM


def test_a_window_that_is_full_stops_the_sender_until_it_opens() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"x" * ROOM)
    wire.exchange()
    wire.here.write(0.0, b"y" * 10)
    assert wire.here.outbox == []
    assert wire.there.read(ROOM) == b"x" * ROOM
    wire.exchange()
    assert wire.there.read(ROOM) == b"y" * 10


def test_a_word_that_the_window_has_opened_may_be_lost() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"x" * ROOM)
    wire.exchange()
    wire.here.write(0.0, b"y" * 10)
    wire.there.read(ROOM)
    wire.said_by(wire.there)  # lost
    wire.wait(wire.here)
    assert [segment.flags for segment in wire.here.outbox] == [PROBE]
    wire.exchange()
    assert wire.there.read(ROOM) == b"y" * 10


def test_a_shut_window_is_not_asked_after_for_ever() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"x" * ROOM)
    wire.exchange()
    wire.here.write(0.0, b"y")
    asked = 0
    while wire.here.deadline is not None:
        wire.wait(wire.here)
        wire.exchange()
        asked += 1
    assert asked == 1000
    assert wire.here.phase == machine.OPEN
    wire.there.read(ROOM)
    wire.exchange()
    assert wire.there.read(1) == b"y"


def test_what_is_lost_is_sent_again_after_a_time() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"gone")
    wire.said_by(wire.here)
    wire.wait(wire.here)
    assert wire.now == machine.FIRST_TIMEOUT_S
    wire.exchange()
    assert wire.there.read(10) == b"gone"


def test_three_acknowledgements_of_the_same_have_it_sent_again_at_once() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"x" * 500)
    lost, *others = wire.said_by(wire.here)
    wire.hear(wire.there, *others)
    wire.hear(wire.here, *wire.said_by(wire.there))
    assert [(segment.seq, len(segment.data)) for segment in wire.here.outbox] == [(lost.seq, 100)]
    wire.exchange()
    assert wire.there.read(1000) == b"x" * 500
    assert wire.now == 0.0


def test_what_comes_early_or_twice_is_put_in_its_place() -> None:
    wire = Wire().open()
    wire.here.write(0.0, bytes(range(200)) + bytes(range(50)))
    first, second, third = wire.said_by(wire.here)
    wire.hear(wire.there, third, second, second, first, third)
    assert wire.there.read(1000) == bytes(range(200)) + bytes(range(50))


def test_the_end_comes_after_the_data_and_carries_words() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"last")
    wire.here.end(0.0, b"farewell")
    data, end = wire.said_by(wire.here)
    wire.hear(wire.there, end)
    assert not wire.there.peer_ended
    wire.hear(wire.there, data)
    assert (wire.there.peer_ended, wire.there.peer_note, wire.there.read(10)) == (True, b"farewell", b"last")
    wire.exchange()
    assert wire.here.is_ended
    wire.there.write(0.0, b"still here")
    wire.exchange()
    assert wire.here.read(100) == b"still here"


def test_an_end_that_is_lost_is_sent_again() -> None:
    wire = Wire().open()
    wire.here.end(0.0)
    wire.said_by(wire.here)
    wire.wait(wire.here)
    assert [segment.flags for segment in wire.here.outbox] == [FIN]
    wire.exchange()
    assert wire.here.is_ended
    assert wire.here.deadline is None


def test_an_answer_that_is_lost_is_given_again() -> None:
    wire = Wire()
    wire.here.open(0.0, b"?")
    (request,) = wire.said_by(wire.here)
    wire.there.answer(0.0, b"!")
    wire.said_by(wire.there)
    wire.hear(wire.there, request)
    assert [(segment.flags, segment.note) for segment in wire.there.outbox] == [(ACCEPT, b"!")]
    wire.exchange()
    assert wire.here.phase == wire.there.phase == machine.OPEN


def test_the_words_of_an_end_do_not_take_the_place_of_the_answer() -> None:
    wire = Wire()
    wire.here.open(0.0)
    wire.said_by(wire.here)
    wire.there.answer(0.0, b"hello")
    wire.said_by(wire.there)
    wire.there.end(0.0, b"good-bye")
    wire.wait(wire.there)
    wire.hear(wire.here, *wire.said_by(wire.there))
    assert wire.here.peer_note == b"hello"
    wire.exchange()
    assert wire.here.peer_note == b"good-bye"


def test_nobody_answers() -> None:
    wire = Wire()
    wire.here.open(0.0)
    tries = 1
    while wire.here.phase != machine.DEAD:
        wire.said_by(wire.here)
        wire.wait(wire.here)
        tries += 1
    assert (wire.here.error, wire.now, tries) == (WSAETIMEDOUT, 15.0, 5)


def test_a_peer_that_is_gone_is_found_out_by_what_is_sent() -> None:
    wire = Wire().open()
    wire.here.write(0.0, b"hello?")
    while wire.here.phase != machine.DEAD:
        wire.said_by(wire.here)
        wire.wait(wire.here)
    assert wire.here.error == WSAETIMEDOUT
    assert 10 < wire.now < 100


def test_patience_may_be_set() -> None:
    wire = Wire().open()
    wire.here.patience_s = 2.0
    wire.here.write(0.0, b"hello?")
    while wire.here.phase != machine.DEAD:
        wire.said_by(wire.here)
        wire.wait(wire.here)
    assert (wire.here.error, wire.now) == (WSAETIMEDOUT, 2.0)


@pytest.mark.parametrize(("opened", "error"), [(False, WSAECONNREFUSED), (True, WSAECONNRESET)])
def test_a_reset_ends_it_at_once(opened: bool, error: int) -> None:
    wire = Wire().open() if opened else Wire()
    if not opened:
        wire.here.open(0.0)
        wire.said_by(wire.here)
    wire.there.write(0.0, b"never read")
    wire.said_by(wire.there)
    wire.there.abort()
    wire.exchange()
    assert (wire.here.phase, wire.here.error) == (machine.DEAD, error)
    assert wire.here.room == wire.here.readable == 0


def test_what_comes_for_somebody_who_reads_no_more_is_reset() -> None:
    wire = Wire().open()
    wire.there.stop_listening(is_unread=False)
    wire.here.write(0.0, b"hello?")
    wire.exchange()
    assert (wire.here.error, wire.there.error) == (WSAECONNRESET, WSAECONNABORTED)


def test_who_leaves_something_unread_resets() -> None:
    wire = Wire().open()
    wire.there.stop_listening(is_unread=True)
    assert [segment.flags for segment in wire.there.outbox] == [RST]


def test_segments_say_what_they_are() -> None:
    assert str(Segment(1, False, SYN, 0, 0, 0, ROOM)) == "syn"
    assert str(Segment(1, False, FIN, 0, 0, 0, ROOM)) == "fin"
    assert str(Segment(1, False, 0, 0, 7, 0, ROOM, b"abc")) == "data 7+3"
    assert str(Segment(1, False, 0, 0, 7, 9, ROOM)) == "ack 9 window 1000"


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    duplicate=st.sampled_from([0.0, 0.2]),
    spread=st.sampled_from([0.0, 0.05, 0.5]),
    room=st.sampled_from([1, 99, 1000]),
    size=st.integers(0, 3000),
)
def test_every_byte_arrives_once_and_in_order_over_any_wire(
    seed: int, loss: float, duplicate: float, spread: float, room: int, size: int
) -> None:
    """Or the connection is broken, and what arrived is where the data began."""
    chance, wire = Random(seed), Wire(room)
    data = {wire.here: chance.randbytes(size), wire.there: chance.randbytes(size // 2)}
    written, read = dict.fromkeys(data, 0), {end: bytearray() for end in data}
    flying: list[tuple[float, int, Channel, Segment]] = []
    order = itertools.count()
    other = {wire.here: wire.there, wire.there: wire.here}
    answered = False
    wire.here.open(0.0)
    for _ in range(50_000):
        for end in data:
            if end.phase == machine.OPEN:
                written[end] += end.write(wire.now, data[end][written[end] :])
                if written[end] == len(data[end]):
                    end.end(wire.now)
                read[end] += end.read(chance.randrange(1, 400))
            for segment in wire.said_by(end):
                for _ in range(1 + (chance.random() < duplicate)):
                    if chance.random() >= loss:
                        arrival = wire.now + 0.01 + spread * chance.random()
                        heapq.heappush(flying, (arrival, next(order), other[end], segment))
        times = [flying[0][0]] if flying else []
        times += [end.deadline for end in data if end.deadline is not None]
        if not times:
            break
        wire.now = max(wire.now, min(times))
        while flying and flying[0][0] <= wire.now:
            _, _, end, segment = heapq.heappop(flying)
            if segment.flags & SYN and not answered:
                answered = True
                end.answer(wire.now)
            elif answered or end is wire.here:
                end.receive(wire.now, segment)
        for end in data:
            end.tick(wire.now)
    else:
        raise AssertionError("it does not come to an end")
    for end in data:
        read[end] += end.read(size + 1)
    broken = machine.DEAD in (wire.here.phase, wire.there.phase) or wire.there.phase == machine.OFFERED
    for end in data:
        if broken:
            assert data[other[end]].startswith(read[end])
        else:
            assert read[end] == data[other[end]]
            assert end.is_ended
            assert end.peer_ended
    if not loss:
        assert not broken
