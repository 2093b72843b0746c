"""IPv4 addresses in one to four numbers; what Windows takes and refuses is in tests/api/test_names.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winsock.core import dotted


@given(st.binary(min_size=4, max_size=4))
def test_four_decimal_numbers(packed: bytes) -> None:
    assert dotted.parse(".".join(map(str, packed))) == packed


@given(st.binary(min_size=4, max_size=4), st.integers(1, 4), st.sampled_from(["{:d}", "0{:o}", "{:#x}", "{:#X}"]))
def test_any_base_and_any_number_of_parts(packed: bytes, parts: int, form: str) -> None:
    numbers = [*packed[: parts - 1], int.from_bytes(packed[parts - 1 :], "big")]
    assert dotted.parse(".".join(form.format(number) for number in numbers)) == packed


@given(st.text())
def test_other_text_is_an_address_or_none(text: str) -> None:
    assert dotted.parse(text) is None or len(dotted.parse(text) or b"") == 4
