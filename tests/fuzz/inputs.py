"""What parsers are given: nonsense, and what was valid before something happened to it. All by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from typing import ClassVar, Generic, TypeVar

T = TypeVar("T")

_NUMBERS = (0, 1, 2, 7, 8, 16, 23, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_SIZES = (1, 2, 4, 8)
_LONGEST = 800
_CHARACTERS = "0123456789abcdefABCDEFxX.:%[]{}-@/ \t\n\0_+~eé٣１²Ⅷ\u2028\ud800\udcff\U0001d7d8"
_WORDS = ("::", "0x", "00", "ffff", "255", "256", "65535", "65536", "4294967295", "4294967296", "eth0", "lo", "%1")
_A_FEW = 3


class Inputs(Generic[T]):
    """Nonsense now and then, else something valid with a few changes, perhaps none."""

    often_nonsense: ClassVar[float]

    def __init__(self, chance: Random, valid: Sequence[T]) -> None:
        self._chance = chance
        self._valid = valid

    def next(self) -> T:
        """One more. In which order chance is asked makes the inputs what they are."""
        chance = self._chance
        if chance.random() < self.often_nonsense:
            return self._nonsense()
        given = chance.choice(self._valid)
        for _ in range(chance.randint(0, _A_FEW)):
            given = chance.choice(self._ways)(given)
        return given

    @property
    def _ways(self) -> Sequence[Callable[[T], T]]:
        """What may happen to it; the likelier stand there more than once."""
        raise NotImplementedError

    def _nonsense(self) -> T:
        raise NotImplementedError


class Bytes(Inputs[bytes]):
    """Makes bytes."""

    often_nonsense = 0.1

    @cached_property
    def _ways(self) -> Sequence[Callable[[bytes], bytes]]:
        return (
            self._flip,
            self._put_number,
            self._put_number,
            self._truncate,
            self._lengthen,
            self._splice,
            self._remove,
        )

    def _nonsense(self) -> bytes:
        size = self._chance.randrange(self._chance.choice((4, 40, _LONGEST)))
        return self._chance.choice((self._chance.randbytes(size), bytes(size), b"\xff" * size))

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._chance.randrange(len(data))
        return data[:at] + bytes([data[at] ^ 1 << self._chance.randrange(8)]) + data[at + 1 :]

    def _put_number(self, data: bytes) -> bytes:
        size = self._chance.choice(_SIZES)
        at = self._chance.randrange(0, len(data) + 1, self._chance.choice((1, size)))
        number = self._chance.choice(_NUMBERS) & (1 << 8 * size) - 1
        packed = number.to_bytes(size, "little")
        return data[:at] + (packed if self._chance.random() < 0.7 else packed[::-1]) + data[at + size :]

    def _truncate(self, data: bytes) -> bytes:
        return data[: self._chance.randrange(len(data) + 1)]

    def _lengthen(self, data: bytes) -> bytes:
        return data + self._chance.choice((b"\0", b"\xff", b"\1")) * self._chance.randrange(_LONGEST)

    def _splice(self, data: bytes) -> bytes:
        other = self._chance.choice(self._valid)
        return data[: self._chance.randrange(len(data) + 1)] + other[self._chance.randrange(len(other) + 1) :]

    def _remove(self, data: bytes) -> bytes:
        at = self._chance.randrange(len(data) + 1)
        return data[:at] + data[at + self._chance.randrange(1, 9) :]


class Texts(Inputs[str]):
    """Makes text."""

    often_nonsense = 0.05

    @cached_property
    def _ways(self) -> Sequence[Callable[[str], str]]:
        return (
            self._put_character,
            self._put_character,
            self._put_word,
            self._remove,
            self._repeat,
            self._splice,
            self._other_digits,
        )

    def _nonsense(self) -> str:
        return "".join(self._chance.choices(_CHARACTERS, k=self._chance.randrange(60)))

    def _put_character(self, text: str) -> str:
        at = self._chance.randrange(len(text) + 1)
        return text[:at] + self._chance.choice(_CHARACTERS) + text[at + self._chance.randrange(2) :]

    def _put_word(self, text: str) -> str:
        at = self._chance.randrange(len(text) + 1)
        return text[:at] + self._chance.choice(_WORDS) + text[at + self._chance.randrange(6) :]

    def _remove(self, text: str) -> str:
        at = self._chance.randrange(len(text) + 1)
        return text[:at] + text[at + self._chance.randrange(1, 6) :]

    def _repeat(self, text: str) -> str:
        if not text:
            return text
        at = self._chance.randrange(len(text))
        times = self._chance.choice((2, 3, 9, 120, 5000))
        return text[:at] + text[at] * times + text[at + 1 :]

    def _splice(self, text: str) -> str:
        other = self._chance.choice(self._valid)
        return text[: self._chance.randrange(len(text) + 1)] + other[self._chance.randrange(len(other) + 1) :]

    def _other_digits(self, text: str) -> str:
        """Digits that are none of ours, to which Python's `int` does not object."""
        zero = ord(self._chance.choice("٠०０𝟘"))
        return "".join(chr(zero + int(c)) if c in "0123456789" and self._chance.random() < 0.3 else c for c in text)
