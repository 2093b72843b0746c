"""SIO_GET_EXTENSION_FUNCTION_POINTER: the functions beside the table, one row a function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.guids import GUID, WSAID_WSASENDMSG
from winsock.base.inet import messages
from winsock.spi.extensions import ExtensionFunction

if TYPE_CHECKING:
    from winsock.base.inet.controls import Controls

ROWS: dict[GUID, Callable[..., Any]] = {
    WSAID_WSASENDMSG: messages.send,
}
"""The provider is the first argument."""


def pointer(provider: Controls, s: int, data: bytes) -> bytes:
    """The function of a GUID, always the same; WSAEINVAL where there is none."""
    guid = GUID.unpack(data)
    function = ROWS.get(guid)
    if function is None:
        raise WinsockError(WSAEINVAL, f"in_buffer: {provider.info.szProtocol} has no extension function {guid}")
    kept = cast("dict[GUID, ExtensionFunction]", provider.__dict__.setdefault("_extensions", {}))
    return kept.setdefault(guid, ExtensionFunction(partial(function, provider)))
