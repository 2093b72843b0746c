"""Bytes that wait in order, in whatever pieces they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

_RUN = 64 * 1024
"""How much of many pieces is put together to be sent at once."""


class Store:
    """A queue of bytes."""

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[memoryview] = deque()
        self.size = 0

    def extend(self, pieces: Iterable[bytes]) -> None:
        """Put these behind what is there."""
        for piece in pieces:
            self._pieces.append(memoryview(piece))
            self.size += len(piece)

    def copy_into(self, buffers: Sequence[memoryview]) -> int:
        """Fill the buffers, in order, with what is first; how many bytes. They stay here too."""
        count = 0
        pieces = iter(self._pieces)
        piece = memoryview(b"")
        for buffer in buffers:
            while buffer:
                if not piece:
                    piece = next(pieces, piece)
                    if not piece:
                        return count
                size = min(len(piece), len(buffer))
                buffer[:size] = piece[:size]
                count += size
                piece, buffer = piece[size:], buffer[size:]
        return count

    def run(self) -> memoryview:
        """What is first, in one piece: not all of it where that would be much."""
        pieces = self._pieces
        if len(pieces) > 1 and len(pieces[0]) < _RUN:
            joined = bytearray()
            while pieces and len(joined) < _RUN:
                joined += pieces.popleft()
            pieces.appendleft(memoryview(bytes(joined)))
        return pieces[0]

    def drop(self, count: int) -> None:
        """Let go of so many bytes."""
        self.size -= count
        while count:
            first = self._pieces[0]
            if count < len(first):
                self._pieces[0] = first[count:]
                return
            count -= len(first)
            self._pieces.popleft()

    def clear(self) -> None:
        """Let go of everything."""
        self._pieces.clear()
        self.size = 0
