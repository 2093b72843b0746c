"""Relays of chains with a layer that makes handles of its own: their bytes go through that layer's WSPSend and WSPRecv.

Such a layer gets no bytes from a relay's pipeline, it is a provider, and only calls reach it. So above the uppermost of
them stands `Pumped`, and the outer socket is a handle of theirs: it connects by its table, in a thread of its own, and
then the redirector's pump carries the bytes between the program's socket and the table.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from winsock.abi.errors import WSAEADDRNOTAVAIL, WSAENOBUFS, WinsockError, from_errno
from winsock.base.inet import raw
from winsock.core import journal
from winsock.dispatcher import loader
from winsock.dispatcher.drivers.relay import Ending
from winsock.dispatcher.drivers.relayed import Relayed
from winsock.dispatcher.redirecting.pump import Pump
from winsock.spi import calling
from winsock.spi.handles import base_handle
from winsock.spi.stream import StreamLayer
from winsock.supervisor.relaying import outer

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.spi.provider import ProcTable
    from winsock.supervisor.relaying.connection import Connection


class Everything(StreamLayer):
    """Stands in a catalog for `Pumped`; nothing of it is called once a connection is there."""

    name = "relay"


class Pumped(Relayed):
    """The layer that a run puts above those which make handles of their own."""

    by_table = True

    def beneath(self, outer: int) -> int:
        """The kernel's socket of an outer handle."""
        return base_handle(self.next, outer)

    def tell_below(self, s: int) -> None:
        """Let the layers below know a socket of the program's that stands for an accepted one: no chain adopts it."""
        layers = loader.opened[self.info.dwCatalogEntryId].layers
        for layer in layers[layers.index(self) + 1 :]:
            layer.adopted(s)


def _as_the_host_says(error: WinsockError, name: Sockaddr, connection: Connection) -> WinsockError:
    """Port 0 is no address to a provider. The host asks there, and is refused, where there is a way to it."""
    if error.winerror == WSAEADDRNOTAVAIL and getattr(name, "port", None) == 0:
        return from_errno(raw.connect(connection.owner.beneath(connection.outer), name) or errno.ECONNREFUSED)
    return error


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
        self._lock = threading.Lock()
        self._closed = False
        """Whether the outer socket was closed before there was a pump to do it."""
        self._left = False
        """Whether the program has closed its socket."""
        self._sent = self._received = 0

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
        if not self._close():
            assert self._pump is not None
            self._pump.abort()

    def program_closed(self) -> None:
        """The program has closed its socket."""
        self._left = True  # which may be before there is a pump
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
            failed = _as_the_host_says(error, name, connection)
        near = self._settled(failed)
        if near is None:
            self._close()
        elif self._carry(near):
            return
        self._ended(failed)

    def _carry(self, near: int) -> bool:
        """Whether the bytes are carried from now on; no, where the outer socket was closed meanwhile."""
        with self._lock:
            if self._closed:
                os.close(near)
                return False
            outer.mark_urgent(self._connection.owner.beneath(self._connection.outer))
            pump = self._pump = Pump(near, self._counting(), self._connection.outer, self._ended)
        pump.hold = self._look
        pump.start()
        if self._left:
            pump.program_closed()
        return True

    def _counting(self) -> ProcTable:
        """The table below, which counts what goes through it."""
        below = self._connection.owner.next
        table = below.copy()

        def send(*arguments: Any) -> int | None:
            count = below.WSPSend(*arguments)
            self._sent += count or 0
            return count

        def receive(*arguments: Any) -> tuple[int, int] | None:
            answer = below.WSPRecv(*arguments)
            self._received += answer[0] if answer is not None else 0
            return answer

        table.WSPSend, table.WSPRecv = send, receive
        return table

    def _look(self) -> None:
        """Before the outer socket is closed: what is known of it."""
        connection = self._connection
        calling.local.describe = lambda: connection.call
        try:
            connection.stats = connection.collect(connection.outer)._replace(sent=self._sent, received=self._received)
        except Exception as error:
            journal.audit("relay", "stats", error)
        finally:
            calling.local.describe = None

    def _close(self) -> bool:
        """Close the outer socket where no pump has it: once, because its number may be another's then."""
        with self._lock:
            if self._pump is not None:
                return False
            first, self._closed = not self._closed, True
        if first:
            try:
                self._connection.owner.close_outer(self._connection.outer)
            except WinsockError:
                pass
        return True

    def _ended(self, error: WinsockError | None) -> None:
        connection = self._connection
        stats = connection.stats or connection.known_stats()
        connection.ended(Ending(self._sent, self._received, error, stats))
        self._over(connection)
