"""Functions that are had by pointer: what SIO_GET_EXTENSION_FUNCTION_POINTER puts out.

The answer is 8 bytes, as Windows' pointer is, and can be called:

    send_message = winsock.WSAIoctl(s, SIO_GET_EXTENSION_FUNCTION_POINTER, WSAID_WSASENDMSG.pack(), 8)
    send_message(s, WSAMSG(address, [data], control))

A provider that offers such a function makes one `ExtensionFunction` of it and answers with that; a layer that stands
between may answer with one of its own. Whoever overrides a function that an extension would go round, and does
neither, refuses to hand it out (`GOES_ROUND`).

Source: "Function Extension Mechanism in the SPI".
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Self

from winsock.abi import guids

GOES_ROUND: dict[guids.GUID, tuple[str, ...]] = {
    guids.WSAID_ACCEPTEX: ("WSPAccept",),
    guids.WSAID_CONNECTEX: ("WSPConnect",),
    guids.WSAID_DISCONNECTEX: ("WSPShutdown",),
    guids.WSAID_TRANSMITFILE: ("WSPSend",),
    guids.WSAID_TRANSMITPACKETS: ("WSPSend",),
    guids.WSAID_WSARECVMSG: ("WSPRecv", "WSPRecvFrom"),
    guids.WSAID_WSASENDMSG: ("WSPSend", "WSPSendTo"),
}
"""Extension functions, which leave the table aside, and the functions whose overrides they would go round."""

SIZE = 8
"""Bytes of a pointer."""

_numbers = count(SIZE, SIZE)


class ExtensionFunction(bytes):
    """A function, as the bytes that stand for it."""

    function: Callable[..., Any]

    def __new__(cls, function: Callable[..., Any], like: bytes | None = None) -> Self:
        """A new one; or, to whoever compares pointers, the same as another."""
        made = super().__new__(cls, next(_numbers).to_bytes(SIZE, "little") if like is None else like)
        made.function = function
        return made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, without passing through Winsock."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<extension function at {int.from_bytes(self, 'little'):#x}>"
