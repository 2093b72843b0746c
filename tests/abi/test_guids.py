"""GUIDs: text and bytes, there and back."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winsock.abi.guids import GUID, GUID_NULL, WSAID_ACCEPTEX


@given(st.uuids())
def test_bytes_and_text_are_those_of_uuid(value: uuid.UUID) -> None:
    guid = GUID.unpack(value.bytes_le)
    assert str(guid) == f"{{{value}}}"
    assert guid.pack() == value.bytes_le
    assert GUID.parse(str(guid)) == GUID.parse(str(value)) == guid


def test_fields_have_their_documented_names() -> None:
    assert (WSAID_ACCEPTEX.Data1, WSAID_ACCEPTEX.Data2, WSAID_ACCEPTEX.Data3) == (0xB5367DF1, 0xCBAC, 0x11CF)
    assert WSAID_ACCEPTEX.Data4 == bytes.fromhex("95ca00805f48a192")
    assert str(GUID_NULL) == "{00000000-0000-0000-0000-000000000000}"


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "b5367df1", "{b5367df1-cbac-11cf-95ca-00805f48a19}", "x" * 36,
        "{b5367df1-cbac-11cf-95ca-00805f48a192", "b5367df1-cbac-11cf-95ca-00805f48a192}",
        "{{b5367df1-cbac-11cf-95ca-00805f48a192}}", "-5367df1-cbac-11cf-95ca-00805f48a192",
        "b536_df1-cbac-11cf-95ca-00805f48a192", " 5367df1-cbac-11cf-95ca-00805f48a192",
        "b5367df1-cbac-11cf-95ca-00805f48 192", "٣5367df1-cbac-11cf-95ca-00805f48a192",
    ],
)  # fmt: skip
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message quotes the text, or is int's own
        GUID.parse(text)


def test_too_few_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes, not 15"):
        GUID.unpack(bytes(15))
