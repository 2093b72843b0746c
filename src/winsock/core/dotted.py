"""IPv4 addresses as people have always written them: one to four numbers, decimal, octal (0...) or hex (0x...).

The last number fills all the bytes that are left, so that "127.1" is 127.0.0.1. Nothing may stand before or after.
Source: nf-winsock2-inet_addr; what Windows accepts and refuses beyond its page.
"""

from __future__ import annotations

_DIGITS = {8: "01234567", 10: "0123456789", 16: "0123456789abcdef"}
_MOST_PARTS = 4
_MOST_DIGITS = 11
"""Of 32 bits, in octal."""


def parse(text: str) -> bytes | None:
    """The four bytes of an address in network order; None where the text is none."""
    parts = text.split(".")
    if len(parts) > _MOST_PARTS:
        return None
    numbers = [_number(part) for part in parts]
    *heads, last = numbers
    room = _MOST_PARTS - len(heads)
    if last is None or last >= 1 << 8 * room:
        return None
    leading = bytearray()
    for head in heads:
        if head is None or head > 0xFF:
            return None
        leading.append(head)
    return bytes(leading) + last.to_bytes(room, "big")


def _number(part: str) -> int | None:
    base, digits = _base(part.lower())
    if not digits or any(digit not in _DIGITS[base] for digit in digits):
        return None
    significant = digits.lstrip("0")
    return int(significant or "0", base) if len(significant) <= _MOST_DIGITS else None


def _base(part: str) -> tuple[int, str]:
    if part.startswith("0x"):
        return 16, part[2:]
    if part.startswith("0") and len(part) > 1:
        return 8, part[1:]
    return 10, part
