"""Values of options, in every form in which they are given."""

from __future__ import annotations

import pytest

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.options import Linger
from winsock.core.option_numbers import linger, number


@pytest.mark.parametrize(
    ("value", "read"), [(0, 0), (-1, -1), (0xFFFFFFFF, 0xFFFFFFFF), (True, 1), (b"\1", 1), (b"\1\2\0\0more", 0x201)]
)
def test_numbers(value: object, read: int) -> None:
    assert number(value) == read


@pytest.mark.parametrize(
    ("value", "code"), [(1 << 32, WSAEINVAL), (b"", WSAEFAULT), ("1", WSAEFAULT), (None, WSAEFAULT)]
)
def test_what_is_no_number(value: object, code: int) -> None:
    with pytest.raises(WinsockError) as caught:
        number(value)
    assert caught.value.winerror == code


@pytest.mark.parametrize("value", [Linger(1, 5), (1, 5), b"\1\0\5\0"])
def test_lingers(value: object) -> None:
    assert linger(value) == Linger(1, 5)


@pytest.mark.parametrize(
    ("value", "code"),
    [(1, WSAEFAULT), (b"\1\0", WSAEFAULT), ((1, 2, 3), WSAEFAULT), ((1, -1), WSAEINVAL), ((1, 1 << 16), WSAEINVAL)],
)
def test_what_is_no_linger(value: object, code: int) -> None:
    with pytest.raises(WinsockError) as caught:
        linger(value)
    assert caught.value.winerror == code
