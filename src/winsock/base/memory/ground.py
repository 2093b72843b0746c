"""What all parts of the provider stand on: the entry it was started for, its network, and how its threads wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINTR,
    WSAENETDOWN,
    WSAENOTSOCK,
    WinsockError,
)
from winsock.base.memory.ports import InetAddress
from winsock.base.memory.sockets import Socket, normal
from winsock.spi.blocking import ask, cancel, refuse_nested
from winsock.spi.provider import Provider, unsupported

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.base.memory.network import Network
    from winsock.base.memory.protocols import Protocol
    from winsock.spi.upcalls import Upcalls

HOOK_S = 0.001
"""How often, in simulated time, a blocking callback is asked."""


class Ground(Provider):
    """The state of one started provider."""

    info: WSAPROTOCOL_INFO
    upcalls: Upcalls
    network: Network
    protocol: Protocol
    slot: int
    """Which of the protocols it is."""

    def socket(self, s: int) -> Socket:
        """The socket of a handle, whose host is up. Raises WSAENOTSOCK, WSAENETDOWN."""
        found = self.network.sockets.get(s)
        if found is None:
            raise WinsockError(WSAENOTSOCK, f"s: {s} is no socket of {self.network!r}")
        if found.is_down:
            why = "crashed" if found.is_lost else "has no network"
            raise WinsockError(WSAENETDOWN, f"s: {found.host.name}, the socket's host, {why}")
        return found

    def socket_for(self, s: int, function: str, overlapped: object) -> Socket:
        """The same for a transfer; WSAEOPNOTSUPP where it should be overlapped."""
        refuse_overlapped(function, overlapped)
        return self.socket(s)

    def address(self, name: object) -> InetAddress:
        """An address of this protocol's family; raises WSAEFAULT for what is no address, WSAEAFNOSUPPORT."""
        found = normal(name, self.protocol.family)
        if found is not None:
            return found
        family = getattr(name, "family", None)
        if family is None:
            raise WinsockError(WSAEFAULT, f"name: {name!r} is no socket address")
        raise WinsockError(WSAEAFNOSUPPORT, f"name: an address of family {family} on a socket of {self.protocol.name}")

    # Waiting.

    def wait(self, ready: Callable[[], bool], until: float | None, what: str) -> bool:
        """Wait, and ask this thread's blocking callback meanwhile. False where the time is up; WSAEINTR."""
        simulation = self.network.simulation
        refuse_nested()
        callback, context = self.upcalls.WPUQueryBlockingCallback(self.info.dwCatalogEntryId)
        if callback is None:
            return simulation.wait(ready, until, what)
        clock = self.network.clock
        while not ready():
            if until is not None and until <= clock.time:
                return False
            if not ask(callback, context):
                raise WinsockError(WSAEINTR, f"the wait was cancelled: {what}")
            step = clock.time + HOOK_S
            simulation.wait(ready, step if until is None else min(step, until), what)
        return True

    def WSPCancelBlockingCall(self) -> None:
        """Cancel the call of this thread that asks its blocking callback; WSAEINVAL where there is none.

        Source: nc-ws2spi-lpwspcancelblockingcall.
        """
        cancel()


def refuse_overlapped(function: str, overlapped: object) -> None:
    """Raise WSAEOPNOTSUPP where an overlapped structure was given: there is no simulated engine to complete it."""
    if overlapped is not None:
        raise unsupported(f"{function} with an overlapped structure")
