"""What all parts of the provider stand on: the entry it was started for, the upcalls, and the crossing of errors."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from winsock.abi.errors import WSAEINTR, WinsockError
from winsock.spi.blocking import ask, cancel
from winsock.spi.provider import Provider, unsupported

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.base.inet.own import OwnSocket
    from winsock.spi.upcalls import Upcalls


class Ground(Provider):
    """The state of one started provider."""

    info: WSAPROTOCOL_INFO
    """The base protocol's own entry."""
    entry_id: int
    """Its id."""
    upcalls: Upcalls
    names: frozenset[tuple[int, int, int]]
    """Every (family, type, protocol) that means this entry's own protocol."""
    kind: tuple[int, int, int]
    """The host's family, type and protocol of this entry's sockets."""
    only_ipv6: bool
    """Whether its sockets are of IPv6, which are for that alone."""
    datagrams: bool
    """Whether the sockets of this entry keep message boundaries."""

    def open_duplicate(self, protocol_info: WSAPROTOCOL_INFO, flags: int) -> int:
        """A handle for the socket that another process offers."""
        raise NotImplementedError

    def ask_after_interrupt(self, function: str) -> None:
        """A signal came: go on, unless this thread's blocking callback says that the call was cancelled."""
        callback, context = self.upcalls.WPUQueryBlockingCallback(self.info.dwCatalogEntryId)
        if callback is not None and not ask(callback, context):
            raise cancelled(function)

    def WSPCancelBlockingCall(self) -> None:
        """Let the call of this thread fail with WSAEINTR, whose blocking callback runs; WSAEINVAL where none does.

        Source: lpwspcancelblockingcall.
        """
        cancel()


def cancelled(function: str) -> WinsockError:
    """The error of a call that was cancelled."""
    return WinsockError(WSAEINTR, f"{function} was cancelled", errno=errno.EINTR)


def refuse_overlapped(function: str, record: OwnSocket | None, overlapped: object) -> None:
    """Raise WSAEOPNOTSUPP where an overlapped structure was given: there is no engine to complete it yet.

    A socket that was made without WSA_FLAG_OVERLAPPED ignores the structure, as documented.
    """
    if overlapped is not None and (record is None or record.overlapped):
        raise unsupported(f"{function} with an overlapped structure")
