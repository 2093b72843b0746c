"""What was wrong with an argument, asked when a function has failed on it and not before.

A function of the API is written for good arguments, and none of them is looked at twice. Where one is of a wrong type
the function fails somewhere inside with an error of Python's; then the names of its parameters, which are the same
everywhere, tell what each should have been, and the first that is not is the one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from ctypes import ArgumentError
from typing import Any, NamedTuple

from winsock.abi.errors import WSA_INVALID_PARAMETER, WSAEFAULT, WSAEINVAL, WSAENOTSOCK, WinsockError

MISTAKES = (
    TypeError,
    ValueError,
    AttributeError,
    BufferError,
    MemoryError,
    ArithmeticError,
    struct.error,
    ArgumentError,
)
"""What Python raises for an argument of a wrong type or size."""

_BYTES = (bytes, bytearray, memoryview)
_DWORD = 1 << 32


class Kind(NamedTuple):
    """What a parameter takes."""

    meaning: str
    takes: Callable[[Any], bool]
    code: int = WSAEFAULT


def _number(value: object) -> bool:
    return isinstance(value, int)


def _dword(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _DWORD


def _seconds(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _handles(value: object) -> bool:
    return value is None or (isinstance(value, Collection) and all(isinstance(item, int) for item in value))


def _buffers(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, _BYTES) for item in value)


def _pairs(value: object) -> bool:
    return isinstance(value, Collection) and all(
        isinstance(pair, tuple) and len(pair) == 2 and all(isinstance(item, int) for item in pair) for pair in value
    )


_NUMBER = Kind("number", _number, WSAEINVAL)
_DATA = Kind("bytes-like object", lambda value: value is None or isinstance(value, _BYTES))
_SET = Kind("collection of sockets", _handles)

_WORD = Kind("number", _number)
_INFO = Kind("WSAPROTOCOL_INFO", lambda value: value is None or hasattr(value, "dwCatalogEntryId"))

KINDS: dict[str, Kind] = {
    "s": Kind("socket", _number, WSAENOTSOCK),
    "hostlong": _WORD,
    "hostshort": _WORD,
    "netlong": _WORD,
    "netshort": _WORD,
    "value": _WORD,
    "protocol_info": _INFO,
    "events": Kind("mask, or list, of events", lambda value: isinstance(value, int) or _handles(value), WSAEINVAL),
    "fds": Kind("list of pairs (socket, events)", _pairs),
    "af": _NUMBER,
    "type": _NUMBER,
    "protocol": _NUMBER,
    "g": _NUMBER,
    "flags": _NUMBER,
    "level": _NUMBER,
    "optname": _NUMBER,
    "cmd": _NUMBER,
    "code": _NUMBER,
    "how": _NUMBER,
    "backlog": _NUMBER,
    "address_family": _NUMBER,
    "family": _NUMBER,
    "process_id": _NUMBER,
    "service_flags": _NUMBER,
    "catalog_entry_ids": Kind(
        "list of catalog entry ids", lambda value: value is not None and _handles(value), WSAEINVAL
    ),
    "length": Kind("number of bytes", lambda value: isinstance(value, int) and 0 <= value < 1 << 31),
    "out_size": Kind("number of bytes", _dword),
    "argument": Kind("unsigned long", _dword),
    "timeout_ms": Kind("number of milliseconds", _number, WSA_INVALID_PARAMETER),
    "timeout": Kind("number of seconds", _seconds, WSAEINVAL),
    "data": _DATA,
    "in_buffer": _DATA,
    "caller_data": _DATA,
    "buffers": Kind("list of buffers", _buffers),
    "readfds": _SET,
    "writefds": _SET,
    "exceptfds": _SET,
    "text": Kind("text", lambda value: isinstance(value, str)),
}


def diagnosed(values: dict[str, Any]) -> WinsockError | None:
    """The error for the first argument that is not what its parameter takes; None where all are."""
    for name, value in values.items():
        kind = KINDS.get(name)
        if kind is not None and not kind.takes(value):
            return WinsockError(kind.code, f"{name}: {value!r} is no {kind.meaning}")
    return None


_PROVIDERS_WORDS = {"buffers": "data", "name": "to", "optval": "value", "code": "cmd"}
"""How providers call what some functions call otherwise."""


def in_words_of(error: WinsockError, names: Collection[str]) -> WinsockError:
    """A provider's message about an argument, by the name that it has in the function that was called."""
    argument, colon, text = (error.strerror or "").partition(":")
    word = _PROVIDERS_WORDS.get(argument)
    if colon and word in names and argument not in names:
        error.strerror = f"{word}:{text}"
    return error


def check_protocols(protocols: object) -> None:
    """Raises WSAEINVAL for what is no collection, WSAEFAULT for one of something else than numbers."""
    if protocols is None:
        return
    if not isinstance(protocols, Collection):
        raise WinsockError(WSAEINVAL, f"protocols: {protocols!r} is no collection of protocol numbers")
    for protocol in protocols:
        if not isinstance(protocol, int):
            raise WinsockError(WSAEFAULT, f"protocols: {protocol!r} is no number of a protocol")
