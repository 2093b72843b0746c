"""One direction of a relayed connection: bytes from a source, through the pipeline, to a sink.

Back-pressure: the source is read when the sink has taken everything, and while what this direction brought about
against the stream is not too much. So little is held here, and a sender is slowed by its own receiver.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from socket import SHUT_WR, socket
from typing import TYPE_CHECKING

from winsock.dispatcher.drivers.stage import END

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.stage import Item

PIECE = 256 * 1024
"""The most that is read at once."""
MOST = 256 * 1024
"""How much may wait for an end because of what that same end sent."""


class Broken(Exception):
    """An end is dead: it was reset, or its network is gone."""

    def __init__(self, end: socket, error: OSError) -> None:
        super().__init__(str(error))
        self.end = end
        self.error = error


class Lane:
    """From `source` by `enter` into the pipeline, out of its `queue` to `sink`; both sockets never wait."""

    __slots__ = (
        "_enter",
        "_queue",
        "_reflects",
        "_rest",
        "blocked",
        "given",
        "opposite",
        "over",
        "shut",
        "sink",
        "source",
        "taken",
    )

    def __init__(self, source: socket, sink: socket, enter: Callable[[Item], None], queue: deque[bytes]) -> None:
        self.source = source
        self.sink = sink
        self._enter = enter
        self._queue = queue
        self._rest: memoryview | None = None
        """What is left of a piece that the sink took in part."""
        self._reflects = False
        """Whether something of what was read here waits to go back."""
        self.opposite = self
        self.blocked = False
        """Whether the sink takes nothing before it is writable."""
        self.over = False
        """Whether the source's end was read."""
        self.shut = False
        """Whether the sink was told of the end."""
        self.taken = 0
        """Bytes from the source."""
        self.given = 0
        """Bytes to the sink."""

    @property
    def pending(self) -> bool:
        """Whether something waits for the sink."""
        return self._rest is not None or bool(self._queue)

    @property
    def waiting(self) -> int:
        """How many bytes wait for the sink."""
        return sum(map(len, self._queue)) + (0 if self._rest is None else len(self._rest))

    @property
    def wants(self) -> bool:
        """Whether the source is to be read."""
        if self.over or self.pending:
            return False
        if self._reflects:
            self._reflects = self.opposite.pending
            return self.opposite.waiting <= MOST
        return True

    def read(self) -> bool:
        """Take one piece, or the end; whether there was something."""
        try:
            data = self.source.recv(PIECE)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Broken(self.source, error) from None
        self._take(data)
        return True

    def read_last(self) -> None:
        """Take one piece of what a dead source sent before; its end is no orderly one."""
        try:
            data = self.source.recv(PIECE)
        except OSError:
            data = b""
        if data:
            self._take(data)
        else:
            self.over = True

    def flush(self) -> None:
        """Give the sink what it takes."""
        queue = self._queue
        while self._rest is not None or queue:
            piece = self._rest if self._rest is not None else memoryview(queue.popleft())
            sent = self._send(piece)
            self.given += sent
            if sent < len(piece):
                self._rest = piece[sent:]
                self.blocked = True
                return
            self._rest = None

    def end(self) -> None:
        """Tell the sink that nothing more comes."""
        try:
            self.sink.shutdown(SHUT_WR)
        except OSError as error:
            raise Broken(self.sink, error) from None
        self.shut = True

    def _take(self, data: bytes) -> None:
        if data:
            self.taken += len(data)
            self._enter(data)
        else:
            self.over = True
            self._enter(END)
        if self.opposite.pending:
            self._reflects = True

    def _send(self, piece: memoryview) -> int:
        try:
            return self.sink.send(piece)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Broken(self.sink, error) from None
