"""Whole messages from several connections, for sockets that receive from many.

Each connection's messages keep their order; among connections it is the order in which messages were complete. When
the inbox has as much as it may, the rest stays in the connections, which makes the senders wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import MSG_PARTIAL
from winsock.abi.errors import WSAEMSGSIZE, WinsockError
from winsock.base.memory.messages import Assembly
from winsock.base.memory.sockets import capacity_of, scatter
from winsock.spi.provider import WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.connections import Connection
    from winsock.base.memory.ports import InetAddress

_ALL = 1 << 62


class Inbox:
    """Messages, and where they come from."""

    __slots__ = ("_assemblies", "_bytes", "queue", "room")

    def __init__(self, room: int) -> None:
        self.room = room
        self.queue: deque[tuple[bytes, InetAddress]] = deque()
        self._bytes = 0
        self._assemblies: dict[Connection, Assembly] = {}

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._assemblies

    def add(self, connection: Connection) -> None:
        """Receive from it, too."""
        self._assemblies[connection] = Assembly()

    def drop(self, connection: Connection) -> None:
        """Receive from it no more; what is complete stays."""
        self._assemblies.pop(connection, None)

    def clear(self) -> None:
        """Forget what is complete."""
        self.queue.clear()
        self._bytes = 0

    def connections(self) -> list[Connection]:
        """All it receives from."""
        return list(self._assemblies)

    @property
    def byte_count(self) -> int:
        """Of the messages in it."""
        return self._bytes

    def pull(self) -> bool:
        """Take in what is complete, as far as there is room; whether there was anything."""
        before = len(self.queue)
        for connection, assembly in list(self._assemblies.items()):
            while self._bytes < self.room:
                assembly.pull(connection.channel, _ALL)
                connection.flush()
                if not assembly.is_complete:
                    break
                data = assembly.take(len(assembly.data))
                self.queue.append((data, connection.remote))
                self._bytes += len(data)
        return len(self.queue) > before

    def receive(self, buffers: Sequence[WriteBuffer], peek: bool) -> tuple[int, int, InetAddress]:
        """The first message: (count, flags, source). Raises WSAEMSGSIZE where it is longer, and keeps it."""
        capacity = capacity_of(buffers)
        data, source = self.queue[0]
        if len(data) > capacity:
            scatter(data[:capacity], buffers)
            raise WinsockError(
                WSAEMSGSIZE,
                f"buffers: the message has {len(data)} bytes, and stays for a buffer that is long enough",
                count=capacity,
                flags=MSG_PARTIAL,
                address=source,
            )
        if not peek:
            self.queue.popleft()
            self._bytes -= len(data)
            self.pull()
        scatter(data, buffers)
        return len(data), 0, source
