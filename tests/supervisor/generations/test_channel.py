"""The channel keeps order, never waits, and says what it had to drop."""

from __future__ import annotations

import os
import select

from winsock.supervisor.generations import channel
from winsock.supervisor.generations.channel import Finish


def received(receiver: channel.Receiver) -> list[tuple[bytes, bytes]]:
    """Everything that is there now."""
    messages = []
    while select.select([receiver], [], [], 0)[0]:
        kind, content, _ = receiver.receive()
        messages.append((kind, content))
        if not kind:
            break
    return messages


def test_messages_come_as_they_were_sent() -> None:
    receiver, sender = channel.pair()
    sender.lines("one\ntwo \u2713\n")
    sender.finish(Finish(0x0700, None, True))
    sender.finish(Finish(9, 125, False))
    sender.failed(127, "no \udcff: not found")
    lines, first, second, failed = received(receiver)
    assert lines == (channel.LINES, "one\ntwo \u2713\n".encode())
    assert channel.order(first[1]) == Finish(0x0700, None, True)
    assert channel.order(second[1]) == Finish(9, 125, False)
    assert (channel.number(failed[1]), channel.reason(failed[1])) == (127, "no \udcff: not found")
    receiver.close()
    sender.close()


def test_the_start_brings_a_descriptor() -> None:
    receiver, sender = channel.pair()
    null = os.open("/dev/null", os.O_RDONLY)
    sender.started(77, null)
    kind, content, descriptor = receiver.receive()
    assert (kind, channel.number(content)) == (channel.STARTED, 77)
    assert descriptor is not None
    assert os.readlink(f"/proc/self/fd/{descriptor}") == "/dev/null"
    os.close(descriptor)
    os.close(null)
    receiver.close()
    sender.close()


def test_a_gone_front_is_nobodys_trouble() -> None:
    receiver, sender = channel.pair()
    receiver.close()
    sender.lines("hello\n")
    assert sender.gone
    sender.started(1, 0)
    sender.finish(Finish(0, None, True))
    assert not sender.queued
    sender.drain()
    sender.close()


def test_a_gone_supervisor_is_an_empty_message() -> None:
    receiver, sender = channel.pair()
    sender.lines("last\n")
    sender.close()
    assert received(receiver) == [(channel.LINES, b"last\n"), (b"", b"")]
    receiver.close()


def test_what_does_not_fit_waits_and_stays_in_order() -> None:
    receiver, sender = channel.pair()
    text = "".join(f"line {n}\n" for n in range(100_000))
    sender.lines(text)
    assert sender.queued
    got = b""
    while sender.flush():
        got += b"".join(content for _, content in received(receiver))
    got += b"".join(content for _, content in received(receiver))
    assert got.decode() == text
    receiver.close()
    sender.close()


def test_lines_are_dropped_and_counted_when_nobody_takes_them() -> None:
    receiver, sender = channel.pair()
    block = "x" * 1023 + "\n"
    for _ in range(8):
        sender.lines(block * 1024)
    assert sender.queued
    sender.finish(Finish(0, None, True))  # is never dropped
    messages = []
    while sender.flush():
        messages += received(receiver)
    sender.lines("after\n")
    messages += received(receiver)
    lines = b"".join(content for kind, content in messages if kind == channel.LINES)
    kept = lines.count(block.encode())
    lost = 8 * 1024 - kept
    assert lost > 0
    assert f"winsock: {lost} lines lost here: stderr takes them too slowly\nafter\n".encode() in lines
    assert channel.FINISH in [kind for kind, _ in messages]
    receiver.close()
    sender.close()


def test_last_words_have_limited_patience() -> None:
    receiver, sender = channel.pair()
    sender.lines("x\n" * 1_000_000)
    sender.drain(patience_ms=1)
    assert sender.queued
    receiver.close()
    sender.close()
