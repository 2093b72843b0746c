"""Bytes in order, in whatever pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winsock.dispatcher.drivers.store import Store


def of(*pieces: bytes) -> Store:
    store = Store()
    store.extend(pieces)
    return store


def test_buffers_are_filled_in_order_and_nothing_is_taken() -> None:
    store = of(b"abc", b"d", b"efgh")
    buffers = [bytearray(2), bytearray(0), bytearray(4)]
    for _ in range(2):
        assert store.copy_into([memoryview(buffer) for buffer in buffers]) == 6
        assert b"".join(buffers) == b"abcdef"
    assert store.size == 8


def test_there_may_be_less_than_there_is_room() -> None:
    buffer = bytearray(9)
    assert of(b"abc").copy_into([memoryview(buffer)]) == 3
    assert buffer == b"abc" + bytes(6)
    assert of().copy_into([memoryview(buffer)]) == 0


def test_what_is_dropped_is_gone() -> None:
    store = of(b"abc", b"def")
    store.drop(4)
    assert (bytes(store.run()), store.size) == (b"ef", 2)
    store.drop(2)
    assert store.size == 0
    store.extend([b"x"])
    store.clear()
    assert store.size == 0


def test_small_pieces_are_sent_together_and_large_ones_by_themselves() -> None:
    assert bytes(of(b"a", b"b", b"c").run()) == b"abc"
    assert len(of(bytes(1 << 20), b"b").run()) == 1 << 20
    assert len(of(*[b"a"] * 100_000).run()) == 65536


@given(st.lists(st.binary(min_size=1, max_size=9)), st.lists(st.integers(0, 12)))
def test_it_is_one_run_of_bytes(pieces: list[bytes], steps: list[int]) -> None:
    store, left = of(*pieces), b"".join(pieces)
    for i, step in enumerate(steps):
        count = min(step, len(left))
        if i % 2 and store.size:
            assert left.startswith(bytes(store.run()))
        buffer = bytearray(step)
        assert store.copy_into([memoryview(buffer)]) == count
        assert bytes(buffer[:count]) == left[:count]
        store.drop(count)
        left = left[count:]
        assert store.size == len(left)
