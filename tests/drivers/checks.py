"""What a stream layer may rely on, whichever driver runs it: one function a promise."""

from __future__ import annotations

import errno
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.drivers import layers as ours
from tests.drivers.world import PATIENCE_S, Check, Connection, End, OpenWorld, Use

_BULK = 2 << 20
_BROKEN = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENETRESET, errno.EIO, errno.ENOTCONN)


def check_bytes_are_changed_one_way(open_world: OpenWorld) -> None:
    """`outgoing` gets what the program sends, and nothing else."""
    with open_world(ours.Shout) as world:
        for connection in (world.connect(), world.accept()):
            program, peer = connection
            program.send(b"hello")
            assert _exactly(peer, 5) == b"HELLO"
            peer.send(b"hello")
            assert _exactly(program, 5) == b"hello"


def check_bytes_are_changed_both_ways(open_world: OpenWorld) -> None:
    """`incoming` gets what the peer sends."""
    with open_world(ours.Swap) as world:
        program, peer = world.connect()
        program.send(b"Question")
        assert _exactly(peer, 8) == b"qUESTION"
        peer.send(b"Answer")
        assert _exactly(program, 6) == b"aNSWER"


def check_the_uppermost_layer_is_first_out_and_last_in(open_world: OpenWorld) -> None:
    """Layers above each other, three deep."""
    marked = [Use(ours.Tagged, {"mark": mark}) for mark in "abc"]
    with open_world(*marked) as world:
        for connection in (world.connect(), world.accept()):
            program, peer = connection
            program.send(b"down\n")
            assert _exactly(peer, 8) == b"downabc\n"
            peer.send(b"up\n")
            assert _exactly(program, 6) == b"upcba\n"


def check_small_pieces_keep_their_order(open_world: OpenWorld) -> None:
    """A layer may answer with as many pieces as it likes."""
    data = bytes(range(256)) * 40
    with open_world(ours.Bytewise) as world:
        program, peer = world.connect()
        program.send(data)
        assert _exactly(peer, len(data)) == data
        peer.send(data)
        assert _exactly(program, len(data)) == data


def check_held_bytes_come_with_the_rest(open_world: OpenWorld) -> None:
    """A layer may keep what it likes; an end is not readable while the layer keeps what came."""
    with open_world(ours.Lines) as world:
        program, peer = world.connect()
        peer.send(b"first half, ")
        assert not program.readable(0.05)
        peer.send(b"second half\nmore")
        assert program.readable(PATIENCE_S)
        assert _exactly(program, 24) == b"first half, second half\n"
        assert not program.readable(0.05)
        program.send(b"out")
        program.send(b"going\n")
        assert _exactly(peer, 9) == b"outgoing\n"


def check_what_is_kept_to_the_end_comes_before_it(open_world: OpenWorld) -> None:
    """`outgoing_ended` and `incoming_ended` may still send."""
    with open_world(ours.Hoarder) as world:
        program, peer = world.connect()
        program.send(b"one ")
        program.send(b"two")
        program.end()
        assert _to_end(peer) == b"one two"
        peer.send(b"three")
        peer.end()
        assert _to_end(program) == b"three"


def check_a_close_flushes_what_is_kept(open_world: OpenWorld) -> None:
    """A program that closes has also sent its last."""
    with open_world(ours.Hoarder, ours.Hoarder) as world:
        program, peer = world.connect()
        program.send(b"farewell")
        program.close()
        assert _to_end(peer) == b"farewell"


def check_late_bytes_come_and_so_do_late_ends(open_world: OpenWorld) -> None:
    """What a timer sends arrives though nobody calls; an end held back comes after it."""
    with open_world(ours.Late) as world:
        program, peer = world.connect()
        program.send(b"slow")
        assert _exactly(peer, 4) == b"slow"
        peer.send(b"motion")
        assert _exactly(program, 6) == b"motion"
        program.send(b"last")
        program.end()
        assert _to_end(peer) == b"last"
        peer.send(b"words")
        peer.end()
        assert _to_end(program) == b"words"


def check_a_close_waits_for_late_bytes(open_world: OpenWorld) -> None:
    """A close does not cut off what the layer will send."""
    with open_world(ours.Late, ours.Late) as world:
        program, peer = world.connect()
        program.send(b"after the close")
        program.close()
        assert _to_end(peer) == b"after the close"


def check_a_timer_may_speak_to_the_program(open_world: OpenWorld) -> None:
    """Bytes and an end that no byte of the network caused: a receive and a wait both come back."""
    with open_world(ours.Ticking) as world:
        program, _ = world.connect()
        assert program.readable(PATIENCE_S)
        assert _to_end(program) == b"tick 1\ntick 2\ntick 3\n"


def check_a_timer_taken_back_does_not_run(open_world: OpenWorld) -> None:
    """`wake_at(None)`."""
    with open_world(ours.Sobered) as world:
        program, peer = world.connect()
        assert not program.readable(0.05)
        program.send(b"x")
        assert _exactly(peer, 1) == b"x"
        assert not [line for line in world.lines() if "vain" in line]


def check_layers_speak_against_the_stream(open_world: OpenWorld) -> None:
    """`send_in` while the program sends, `send_out` while the network brings."""
    with open_world(ours.Echoing) as world:
        program, peer = world.connect()
        program.send(b"ping")
        assert _exactly(program, 9) == b"sent:ping"
        assert _exactly(peer, 4) == b"ping"
        peer.send(b"pong")
        assert _exactly(program, 4) == b"pong"
        assert _exactly(peer, 8) == b"got:pong"


def check_a_layer_may_answer_itself(open_world: OpenWorld) -> None:
    """Nothing needs to reach the network for the program to be answered."""
    with open_world(ours.Answering) as world:
        program, peer = world.connect()
        program.send(b"mirror")
        assert program.readable(PATIENCE_S)
        assert _exactly(program, 6) == b"rorrim"
        assert not peer.readable(0.02)


def check_nothing_is_lost_in_bulk(open_world: OpenWorld) -> None:
    """Megabytes both ways at once, three layers deep."""
    with open_world(ours.Reading, ours.Swap, ours.Pass) as world:
        for connection in (world.connect(), world.accept()):
            program, peer = connection
            there, back = _noise(_BULK, 1), _noise(_BULK, 2)
            with _both(
                lambda: _pour(program, there),  # noqa: B023
                lambda: _pour(peer, back),  # noqa: B023
                lambda: _is_all(peer, there.swapcase()),  # noqa: B023
            ):
                _is_all(program, back.swapcase())


def check_a_slow_peer_is_back_pressure(open_world: OpenWorld) -> None:
    """Sending without waiting is refused some time, and what was taken arrives, once and in order."""
    with open_world(ours.Swap) as world:
        program, peer = world.connect()
        sent = bytearray()
        deadline = time.monotonic() + PATIENCE_S
        while taken := program.offer(_noise(65536, len(sent) >> 16)):
            sent += _noise(65536, len(sent) >> 16)[:taken]
            if taken < 65536:
                break
            assert len(sent) < 256 << 20, "there is no end to what is taken"
            assert time.monotonic() < deadline
        with _both(program.end):
            assert _to_end(peer) == bytes(sent).swapcase()


def check_a_slow_program_is_back_pressure(open_world: OpenWorld) -> None:
    """A peer that is faster than its program waits some time."""
    with open_world(ours.Swap) as world:
        program, peer = world.connect()
        sent = bytearray()
        quiet = 0
        while quiet < 5:
            taken = peer.offer(bytes(65536))
            sent += bytes(taken)
            quiet = 0 if taken else quiet + 1
            assert len(sent) < 256 << 20, "there is no end to what is taken"
            if not taken:
                time.sleep(0.005)  # lets a driver take what it will
        with _both(peer.end):
            assert len(_to_end(program)) == len(sent)


def check_half_closed_each_way(open_world: OpenWorld) -> None:
    """The end of one direction does not end the other."""
    with open_world(ours.Pass, ours.Swap) as world:
        for connection in (world.connect(), world.accept()):
            program, peer = connection
            program.end()
            assert peer.receive() == b""
            peer.send(b"still here")
            assert _exactly(program, 10) == b"STILL HERE"
            peer.end()
            assert program.receive() == b""
            program, peer = world.connect()
            peer.end()
            assert program.receive() == b""
            program.send(b"still here")
            assert _exactly(peer, 10) == b"STILL HERE"
            program.close()
            assert peer.receive() == b""


def check_a_close_with_much_unsent_loses_nothing(open_world: OpenWorld) -> None:
    """A program that sends and closes at once; the peer takes its time."""
    with open_world(ours.Swap) as world:
        program, peer = world.connect()
        data = _noise(_BULK, 3)
        with _both(lambda: _pour(program, data, close=True)):
            assert _digest(_to_end(peer)) == _digest(data.swapcase())


def check_resets_cross(open_world: OpenWorld) -> None:
    """A reset at one end is one at the other."""
    with open_world(ours.Swap) as world:
        program, peer = world.connect()
        program.send(b"x")
        assert _exactly(peer, 1) == b"X"
        peer.abort()
        assert _error_of(program.receive) == errno.ECONNRESET
        program, peer = world.connect()
        program.send(b"x")
        assert _exactly(peer, 1) == b"X"
        program.abort()
        assert _error_of(peer.receive) == errno.ECONNRESET


def check_counting_layers_count(open_world: OpenWorld) -> None:
    """`passed` hears of every byte, and `closed` comes at the end."""
    with open_world(ours.Counting) as world:
        program, peer = world.connect()
        data = _noise(300_000, 4)
        with _both(lambda: _pour(program, data)):
            assert _to_end(peer) == data
        peer.send(b"thanks")
        peer.end()
        assert _to_end(program) == b"thanks"
        program.close()
        peer.close()
        _wait_for_line(world.lines, "counted 300000 6")


def check_layers_know_who_talks(open_world: OpenWorld) -> None:
    """Role, addresses and caller from `opened` on; `closed` once, with the numbers."""
    with open_world(ours.Telling) as world:
        for connection, role in ((world.connect(), "connect"), (world.accept(), "accept")):
            program, peer = connection
            program.send(b"12345")
            assert _exactly(peer, 5) == b"12345"
            peer.send(b"123")
            assert _exactly(program, 3) == b"123"
            _close(connection)
            _wait_for_line(world.lines, f"opened {role}")
        _wait_for_line(world.lines, "closed", 2)
        opened = [line.split("opened ")[1].split() for line in world.lines() if "opened " in line]
        closed = [line.split("closed ")[1].split() for line in world.lines() if "closed " in line]
        assert [fields[0] for fields in opened] == ["connect", "accept"]
        assert sorted(fields[1:3] for fields in opened) == sorted(fields[:2] for fields in closed)
        assert all(int(port) for fields in opened for port in fields[1:3])
        assert [fields[2:] for fields in closed] == [["5", "3"]] * 2


def check_an_opening_exchange_comes_first(open_world: OpenWorld) -> None:
    """The connect is complete when the layer is ready, blocking or not; what came with the last word is not lost."""
    heard: list[bytes] = []

    def greet(peer: End) -> None:
        heard.append(_exactly(peer, len(ours.SECRET)))
        peer.send(ours.WELCOME[:3])
        peer.send(ours.WELCOME[3:] + b"and more")

    with open_world(ours.Handshake) as world:
        for blocking in (True, False):
            program, peer = world.connect(greet, blocking=blocking)
            assert heard.pop() == ours.SECRET
            assert _exactly(program, 8) == b"and more"
            program.send(b"hello")
            assert _exactly(peer, 5) == b"hello"


def check_opening_exchanges_stand_above_each_other(open_world: OpenWorld) -> None:
    """The lower one is over before the upper begins, and the upper speaks through the lower."""

    def greet(peer: End) -> None:
        for _ in range(2):
            assert _exactly(peer, len(ours.SECRET)) == ours.SECRET
            peer.send(ours.WELCOME)

    with open_world(ours.Handshake, ours.Patient, ours.Handshake) as world:
        for blocking in (True, False):
            program, peer = world.connect(greet, blocking=blocking)
            program.send(b"hello")
            assert _exactly(peer, 5) == b"hello"


def check_an_exchange_that_fails_fails_the_connect(open_world: OpenWorld) -> None:
    """With the layer's own error where the connect waits; the peer sees a reset."""

    def refuse(peer: End) -> None:
        _exactly(peer, len(ours.SECRET))
        peer.send(ours.REFUSED)
        assert _error_of(peer.receive) == errno.ECONNRESET

    def leave(peer: End) -> None:
        _exactly(peer, len(ours.SECRET))
        peer.close()

    with open_world(ours.Handshake) as world:
        for blocking in (True, False):
            assert _error_of(lambda: world.connect(refuse, blocking=blocking)) == errno.ECONNREFUSED  # noqa: B023
            assert _error_of(lambda: world.connect(leave, blocking=blocking)) == errno.ECONNRESET  # noqa: B023


def check_who_accepts_may_open_too(open_world: OpenWorld) -> None:
    """A layer that speaks first does so on accepted connections; the program's bytes wait for it."""
    with open_world(ours.Handshake) as world:
        program, peer = world.accept()
        with _both(lambda: program.send(b"later")):
            assert _exactly(peer, len(ours.SECRET)) == ours.SECRET
            peer.send(ours.WELCOME + b"hi")
            assert _exactly(peer, 5) == b"later"
        assert _exactly(program, 2) == b"hi"


def check_a_refused_address_refuses_the_connect(open_world: OpenWorld) -> None:
    """What `connecting` raises is what the connect fails with."""
    with open_world(ours.Refusing) as world:
        assert _error_of(world.connect) == errno.EACCES
        program, peer = world.accept()
        program.send(b"x")
        assert _exactly(peer, 1) == b"x"


def check_unwanted_connections_are_let_be(open_world: OpenWorld) -> None:
    """A layer that wants none of it sees none of it."""
    with open_world(ours.Choosy) as world:
        for connection in (world.connect(), world.accept()):
            program, peer = connection
            program.send(b"question")
            assert _exactly(peer, 8) == b"question"
            peer.send(b"answer")
            assert _exactly(program, 6) == b"answer"
            _close(connection)
        assert not [line for line in world.lines() if "all the same" in line]


def check_a_failure_ends_the_connection(open_world: OpenWorld) -> None:
    """`fail` while the program sends, and while it receives; another connection goes on."""
    with open_world(Use(ours.Failing, {"limit": 10})) as world:
        other = world.connect()
        program, peer = world.connect()
        program.send(b"0123456789")
        assert _exactly(peer, 10) == b"0123456789"
        _breaks(lambda: program.send(b"x"), program)
        assert _error_of(peer.receive) == errno.ECONNRESET
        program, peer = world.connect()
        peer.send(b"0123456789")
        assert _exactly(program, 10) == b"0123456789"
        peer.send(b"x")
        assert program.readable(PATIENCE_S)
        assert _error_of(program.receive) in _BROKEN
        assert _error_of(peer.receive) == errno.ECONNRESET
        other.program.send(b"well")
        assert _exactly(other.peer, 4) == b"well"


def check_a_layer_that_raises_fails_closed(open_world: OpenWorld) -> None:
    """Whichever hook has the defect: no byte goes round the layer, a line says where, and others go on."""
    for hook, provoke in _PROVOCATIONS.items():
        with open_world(Use(ours.Raising, {"hook": hook})) as world:
            _fails_closed(world.connect, hook, provoke)
            _wait_for_line(world.lines, f"raising: {hook} raised KeyError")


def check_a_layer_that_cannot_count_fails_closed(open_world: OpenWorld) -> None:
    """The same for `passed`, though the bytes need not have waited for it."""
    with open_world(ours.Miscounting) as world:
        program, peer = world.connect()
        _breaks(lambda: program.send(b"x"), program)
        _wait_for_line(world.lines, "miscounting: passed raised KeyError")
        peer.close()


def check_a_late_defect_changes_nothing(open_world: OpenWorld) -> None:
    """What `closed` raises is written down."""
    with open_world(Use(ours.Raising, {"hook": "closed"})) as world:
        program, peer = connection = world.connect()
        program.send(b"x")
        assert _exactly(peer, 1) == b"x"
        _close(connection)
        _wait_for_line(world.lines, "raising: closed raised KeyError")


def check_nonsense_fails_closed(open_world: OpenWorld) -> None:
    """An answer that is no bytes is a defect."""
    for what in ours.NONSENSE:
        with open_world(Use(ours.Nonsense, {"what": what})) as world:
            program, peer = world.connect()
            _breaks(lambda: program.send(b"x"), program)  # noqa: B023
            assert _error_of(peer.receive) == errno.ECONNRESET
            _wait_for_line(world.lines, "nonsense: outgoing raised TypeError")


def check_many_connections_at_once(open_world: OpenWorld) -> None:
    """Connections do not mix."""
    with open_world(ours.Swap, ours.Late) as world:
        several = [world.connect() for _ in range(8)] + [world.accept() for _ in range(8)]
        for i, (program, peer) in enumerate(several):
            program.send(b"program %02d" % i)
            peer.send(b"peer %02d" % i)
        for i, (program, peer) in enumerate(several):
            assert _exactly(program, 7) == b"PEER %02d" % i
            assert _exactly(peer, 10) == b"PROGRAM %02d" % i


CHECKS: tuple[Check, ...] = tuple(check for name, check in list(globals().items()) if name.startswith("check_"))
"""Every promise, in the order in which they stand above."""


def _send_some(program: End, peer: End) -> None:
    program.send(b"x")


def _be_sent_some(program: End, peer: End) -> None:
    peer.send(b"x")


def _end(program: End, peer: End) -> None:
    program.end()


def _be_ended(program: End, peer: End) -> None:
    peer.end()


def _nothing(program: End, peer: End) -> None:
    pass


_PROVOCATIONS: dict[str, Callable[[End, End], None]] = {
    "connecting": _nothing,
    "opened": _nothing,
    "outgoing": _send_some,
    "incoming": _be_sent_some,
    "outgoing_ended": _end,
    "incoming_ended": _be_ended,
    "timer": _nothing,
}


def _fails_closed(connect: Callable[[], Connection], hook: str, provoke: Callable[[End, End], None]) -> None:
    try:
        program, peer = connect()
    except OSError:
        assert hook in ("connecting", "opened")
        return
    assert hook not in ("connecting", "opened"), "the connect succeeded"
    try:
        provoke(program, peer)
    except OSError as error:
        assert error.errno in _BROKEN  # noqa: PT017
    assert _error_of(program.receive) in _BROKEN
    assert _error_of(lambda: _to_end(peer)) == errno.ECONNRESET
    program.close()


def _breaks(call: Callable[[], object], end: End) -> None:
    """A call that breaks the connection fails itself, or the next receive does."""
    try:
        call()
    except OSError as error:
        assert error.errno in _BROKEN  # noqa: PT017
    assert _error_of(end.receive) in _BROKEN


def _error_of(call: Callable[[], object]) -> int:
    """The errno of a call that must fail."""
    try:
        result = call()
    except OSError as error:
        return error.errno or 0
    raise AssertionError(f"expected an error, not {result!r}")


def _close(connection: Connection) -> None:
    connection.program.close()
    connection.peer.close()


def _exactly(end: End, count: int) -> bytes:
    received = b""
    while len(received) < count:
        data = end.receive(count - len(received))
        assert data, f"the stream ended after {received[-100:]!r}"
        received += data
    return received


def _to_end(end: End) -> bytes:
    received = bytearray()
    while data := end.receive():
        received += data
    return bytes(received)


def _is_all(end: End, expected: bytes) -> None:
    assert _digest(_to_end(end)) == _digest(expected)


def _digest(data: bytes) -> str:
    return f"{len(data)} bytes {hashlib.sha256(data).hexdigest()}"


def _noise(size: int, seed: int) -> bytes:
    """Letters that tell their place."""
    block = hashlib.sha256(str(seed).encode()).hexdigest().encode() + b"%08d" % seed
    return (block * (size // len(block) + 1))[:size]


def _pour(end: End, data: bytes, close: bool = False) -> None:
    end.send(data)
    (end.close if close else end.end)()


@contextmanager
def _both(*bodies: Callable[[], object]) -> Iterator[None]:
    """Run these beside the block; their failures are the test's."""
    errors: list[BaseException] = []

    def guarded(body: Callable[[], object]) -> None:
        try:
            body()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(body,), daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not errors, errors
    assert not any(thread.is_alive() for thread in threads), "a call does not come back"


def _wait_for_line(lines: Callable[[], list[str]], part: str, times: int = 1) -> None:
    """Lines of a connection that ended may come a moment after its end."""
    deadline = time.monotonic() + PATIENCE_S
    while sum(part in line for line in lines()) < times:
        assert time.monotonic() < deadline, f"no {part!r} in {lines()}"
        time.sleep(0.005)
