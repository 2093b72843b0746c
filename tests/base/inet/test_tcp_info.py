"""The kernel's counters in Windows' layout."""

from __future__ import annotations

import struct

import pytest

from tests.spec.tables import read
from winsock.base.inet import tcp_info

STATES = [(1, 4), (2, 2), (3, 3), (4, 5), (5, 6), (6, 10), (7, 0), (8, 7), (9, 9), (10, 1), (11, 8), (99, 0)]


def test_the_layout_is_the_documented_one() -> None:
    fields = [row for row in read("structs.csv") if row["struct"] == "TCP_INFO_v0"]
    assert {int(row["struct_size"]) for row in fields} == {tcp_info.LAYOUT.size}
    values = range(1, len(fields) + 1)
    packed = tcp_info.LAYOUT.pack(
        *(row["type"] == "BOOLEAN" or value for value, row in zip(values, fields, strict=True))
    )
    for value, row in zip(values, fields, strict=True):
        at, size = int(row["offset"]), int(row["size"])
        expected = 1 if row["type"] == "BOOLEAN" else value
        assert int.from_bytes(packed[at : at + size], "little") == expected, row["field"]


@pytest.mark.parametrize(("host", "windows"), STATES)
def test_states(host: int, windows: int) -> None:
    assert tcp_info.LAYOUT.unpack(tcp_info.translate(bytes([host]), 0, None))[0] == windows


def test_counters_that_have_outgrown_their_fields() -> None:
    data = bytearray(tcp_info.HOST_SIZE)
    for at, value in ((16, 65483), (20, 1448), (24, 70_000), (80, 70_000), (224, 3_000_000)):
        struct.pack_into("=I", data, at, value)  # mss, rcv_mss, unacked, cwnd, rcv_ooopack
    told = tcp_info.LAYOUT.unpack(tcp_info.translate(bytes(data), 0, None))
    assert told[6:8] == (0xFFFFFFFF, 0xFFFFFFFF)
    assert told[13] == 3_000_000 * 1448 % 2**32
    assert tcp_info.congestion_window(bytes(data)) == 0xFFFFFFFF


def test_the_end_of_the_stream_is_no_byte() -> None:
    data = bytearray(tcp_info.HOST_SIZE)
    struct.pack_into("=Q", data, 128, 1001)
    for state, received in ((1, 1001), (8, 1000)):
        data[0] = state
        assert tcp_info.LAYOUT.unpack(tcp_info.translate(bytes(data), 0, None))[12] == received


def test_an_older_kernel_tells_less() -> None:
    values = tcp_info.LAYOUT.unpack(tcp_info.translate(bytes([1]) + bytes(103), 4096, None))
    assert (values[0], values[10], sum(values[11:])) == (4, 4096, 0)
