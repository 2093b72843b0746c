"""A message to be sent, as a value (WSAMSG).

Source: ns-ws2def-wsamsg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr


class WSAMSG(NamedTuple):
    """What goes where."""

    name: Sockaddr | tuple[Any, ...] | None
    """Where to; None for the peer of a connected socket."""
    buffers: Sequence[bytes | bytearray | memoryview]
    control: bytes = b""
    """Control data, of which no provider here takes any."""
    flags: int = 0
    """Not looked at."""
