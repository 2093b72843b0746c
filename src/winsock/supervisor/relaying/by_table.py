"""Relays of chains with a layer that makes handles of its own: their bytes go through that layer's WSPSend and WSPRecv.

Such a layer gets no bytes from a relay's pipeline, it is a provider, and only calls reach it. So above the uppermost of
them stands `Pumped`, and the outer socket is a handle of theirs: it connects by its table, in a thread of its own, and
then the redirector's pump carries the bytes between the program's socket and the table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from winsock.abi.errors import WSAENOBUFS, WinsockError
from winsock.dispatcher.drivers.relay import Ending
from winsock.dispatcher.drivers.relayed import Relayed
from winsock.dispatcher.redirecting.pump import Pump
from winsock.spi import calling
from winsock.spi.handles import base_handle
from winsock.spi.stream import StreamLayer

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.dispatcher.drivers.relayed import Room
    from winsock.supervisor.relaying.connection import Connection


class Everything(StreamLayer):
    """Stands for all connections: nothing of it is called once they are there."""


class Pumped(Relayed):
    """The layer that a run puts above those which make handles of their own."""

    name = "relay"
    by_table = True
    room: ClassVar[Room]
    """Of this run."""

    def __init__(self) -> None:
        super().__init__(Everything, self.room)

    def beneath(self, outer: int) -> int:
        """The kernel's socket of an outer handle."""
        return base_handle(self.next, outer)


class ByTable:
    """The relay of one connection; what `Carried` is where the outer socket is the kernel's own."""

    def __init__(
        self,
        connection: Connection,
        over: Callable[[Connection], None],
        near: int | None,
        name: Sockaddr | None = None,
        settled: Callable[[WinsockError | None], int | None] | None = None,
    ) -> None:
        self._connection = connection
        self._over = over
        self._near = near
        self._name = name
        self._settled = settled
        self._pump: Pump | None = None

    def start(self) -> None:
        """Connect in a thread, or carry at once where both ends are there; WSAENOBUFS where there is no thread."""
        try:
            if self._near is not None:
                self._carry(self._near)
            else:
                threading.Thread(target=self._connect, name="relay", daemon=True).start()
        except RuntimeError as error:
            raise WinsockError(WSAENOBUFS, f"no thread for another connection: {error}") from None

    def abort(self) -> None:
        """Nobody wants the connection any more."""
        if self._pump is not None:
            self._pump.abort()
        else:
            self._close()

    def program_closed(self) -> None:
        """The program has closed its socket."""
        if self._pump is not None:
            self._pump.program_closed()

    def _connect(self) -> None:
        connection, name = self._connection, self._name
        assert name is not None
        assert self._settled is not None
        calling.local.describe = lambda: connection.call
        failed: WinsockError | None = None
        try:
            connection.owner.next.WSPConnect(connection.outer, name)
            connection.learn_names()
        except WinsockError as error:
            failed = error
        near = self._settled(failed)
        if near is not None:
            self._carry(near)
            return
        self._close()
        self._ended(failed)

    def _carry(self, near: int) -> None:
        self._pump = Pump(near, self._connection.owner.next, self._connection.outer, self._ended)
        self._pump.start()

    def _close(self) -> None:
        try:
            self._connection.owner.close_outer(self._connection.outer)
        except WinsockError:
            pass  # somebody was quicker

    def _ended(self, error: WinsockError | None) -> None:
        self._connection.ended(Ending(0, 0, error, self._connection.known_stats()))
        self._over(self._connection)
