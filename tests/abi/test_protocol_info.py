"""WSAPROTOCOL_INFO keeps Windows' layout."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.tables import read
from winsock.abi import protocol_info
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN

FIELDS = [row for row in read("structs.csv") if row["struct"] == "WSAPROTOCOL_INFOW"]

dwords = st.integers(0, 0xFFFFFFFF)
NUMBERS = {"DWORD": dwords, "int": st.integers(-(2**31), 2**31 - 1)}
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0", max_codepoint=0xFFFF), max_size=255)


@st.composite
def infos(draw: st.DrawFn) -> WSAPROTOCOL_INFO:
    entries = tuple(draw(st.lists(st.integers(1, 0xFFFFFFFF), min_size=2, max_size=7)))
    chains = [WSAPROTOCOLCHAIN(0), WSAPROTOCOLCHAIN(1), WSAPROTOCOLCHAIN(len(entries), entries)]
    fields: dict[str, Any] = {row["field"]: draw(NUMBERS[row["type"]]) for row in FIELDS if row["type"] in NUMBERS}
    shorts = st.integers(0, 0xFFFF)
    guid = GUID(draw(dwords), draw(shorts), draw(shorts), draw(st.binary(min_size=8, max_size=8)))
    return WSAPROTOCOL_INFO(
        **fields, ProviderId=guid, ProtocolChain=draw(st.sampled_from(chains)), szProtocol=draw(names)
    )


def test_the_fields_are_the_documented_ones_in_their_order() -> None:
    assert list(WSAPROTOCOL_INFO._fields) == [row["field"] for row in FIELDS]
    assert {int(row["struct_size"]) for row in FIELDS} == {protocol_info.SIZE}


@pytest.mark.parametrize(
    "row", [row for row in FIELDS if row["type"] in ("DWORD", "int")], ids=lambda row: row["field"]
)
def test_each_number_is_packed_at_its_documented_offset(row: dict[str, str]) -> None:
    changed: dict[str, Any] = {row["field"]: 0x11223344}
    packed = WSAPROTOCOL_INFO(**changed).pack()
    assert struct.unpack_from("<I", packed, int(row["offset"]))[0] == 0x11223344


def test_chain_guid_and_name_are_packed_at_their_offsets() -> None:
    offsets = {row["field"]: int(row["offset"]) for row in FIELDS}
    guid = GUID(0xE70F1AA0, 0xAB8B, 0x11CF, bytes.fromhex("8ca300805f48a192"))
    packed = WSAPROTOCOL_INFO(ProviderId=guid, ProtocolChain=WSAPROTOCOLCHAIN(2, (7, 9)), szProtocol="ab").pack()
    at = offsets["ProviderId"]
    assert packed[at : at + 16] == guid.pack()
    assert struct.unpack_from("<i7I", packed, offsets["ProtocolChain"]) == (2, 7, 9, 0, 0, 0, 0, 0)
    assert packed[offsets["szProtocol"] :][:6] == "ab\0".encode("utf-16-le")


@given(infos())
def test_what_is_packed_comes_back(info: WSAPROTOCOL_INFO) -> None:
    assert WSAPROTOCOL_INFO.unpack(info.pack()) == info


def test_a_long_name_is_cut_and_ends_with_a_zero() -> None:
    packed = WSAPROTOCOL_INFO(szProtocol="x" * 300).pack()
    assert len(packed) == protocol_info.SIZE
    assert WSAPROTOCOL_INFO.unpack(packed).szProtocol == "x" * 255


def test_too_few_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="628"):
        WSAPROTOCOL_INFO.unpack(bytes(627))


@pytest.mark.parametrize("length", [-1, 8, 2**31 - 1, -(2**31)])
def test_a_chain_of_no_possible_length_is_refused(length: int) -> None:
    packed = bytearray(WSAPROTOCOL_INFO().pack())
    struct.pack_into("<i", packed, 40, length)
    with pytest.raises(ValueError, match=f"7 entries at most, not {length}"):
        WSAPROTOCOL_INFO.unpack(bytes(packed))


def test_a_gap_in_a_chain_stays_where_it_is() -> None:
    info = WSAPROTOCOL_INFO(ProtocolChain=WSAPROTOCOLCHAIN(3, (7, 0, 9)))
    assert WSAPROTOCOL_INFO.unpack(info.pack()) == info


def test_names_are_text_on_the_way_back_too() -> None:
    cut = WSAPROTOCOL_INFO(szProtocol="x" * 254 + "\U0001d7d8").pack()
    assert WSAPROTOCOL_INFO.unpack(cut).szProtocol == "x" * 254
    assert WSAPROTOCOL_INFO.unpack(WSAPROTOCOL_INFO(szProtocol="a\ud800").pack()).szProtocol == "a?"
    without_end = cut[: protocol_info.SIZE - 512] + "y\0".encode("ascii") * 256
    assert WSAPROTOCOL_INFO.unpack(without_end).szProtocol == "y" * 255


def test_chain_length_tells_the_kind_of_entry() -> None:
    assert WSAPROTOCOL_INFO().chain_length == 1
    assert WSAPROTOCOL_INFO(ProtocolChain=WSAPROTOCOLCHAIN(0)).chain_length == 0
