"""Whether a port that a socket holds may be bound to by another: Windows' table.

What counts is what was set at each one's bind. Different specific addresses never conflict.

Source: "Using SO_REUSEADDR and SO_EXCLUSIVEADDRUSE", the table for Windows Server 2003 and later, same user account.
"""

from __future__ import annotations

from winsock.abi.errors import WSAEACCES, WSAEADDRINUSE

NONE, REUSE, EXCLUSIVE = range(3)
_OK, _USE, _ACC = 0, WSAEADDRINUSE, WSAEACCES

# First socket: option and kind of address. Columns, the second one's: none * and a, reuse * and a, exclusive * and a,
# where * is the wildcard address and a the same specific one.
_TABLE: dict[tuple[int, bool], tuple[int, int, int, int, int, int]] = {
    (NONE, True): (_USE, _OK, _ACC, _OK, _USE, _OK),
    (NONE, False): (_OK, _USE, _OK, _ACC, _USE, _USE),
    (REUSE, True): (_USE, _OK, _OK, _OK, _USE, _OK),
    (REUSE, False): (_OK, _USE, _OK, _OK, _USE, _USE),
    (EXCLUSIVE, True): (_USE, _ACC, _ACC, _ACC, _USE, _ACC),
    (EXCLUSIVE, False): (_OK, _USE, _OK, _ACC, _USE, _USE),
}


def option_of(*, reuse: bool, exclusive: bool) -> int:
    """What a socket has set."""
    return EXCLUSIVE if exclusive else REUSE if reuse else NONE


def answer(first: int, first_is_wild: bool, second: int, second_is_wild: bool) -> int:
    """0, WSAEADDRINUSE or WSAEACCES to who comes second."""
    return _TABLE[first, first_is_wild][2 * second + (not second_is_wild)]
