"""What all parts of the provider stand on: the entry it was started for, the upcalls, and the crossing of errors."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAEINTR, WinsockError
from winsock.spi.provider import Provider, unsupported

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.upcalls import Upcalls


class Ground(Provider):
    """The state of one started provider."""

    info: WSAPROTOCOL_INFO
    """The base protocol's own entry."""
    upcalls: Upcalls
    datagrams: bool
    """Whether the sockets of this entry keep message boundaries."""

    def ask_after_interrupt(self, function: str) -> None:
        """A signal came: go on, unless this thread's blocking callback says that the call was cancelled."""
        callback, context = self.upcalls.WPUQueryBlockingCallback(self.info.dwCatalogEntryId)
        if callback is not None and not callback(context):
            raise WinsockError(WSAEINTR, f"{function} was cancelled", errno=errno.EINTR)


def refuse_overlapped(function: str, overlapped: object) -> None:
    """Raise WSAEOPNOTSUPP where an overlapped structure was given: there is no engine to complete it yet."""
    if overlapped is not None:
        raise unsupported(f"{function} with an overlapped structure")
