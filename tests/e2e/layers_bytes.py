"""Byte layers that change nothing in the end, and tell when a connection is over what they saw of it.

Each line is `ROLE OUTGOING DIGEST INCOMING DIGEST`: counts of bytes and what `hashlib` says of them, so that a test
can hold them against what the other end of the connection saw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from winsock.abi.constants import MSG_PEEK
from winsock.abi.sockaddr import Sockaddr
from winsock.spi.handles import Context, NonIfsLayer
from winsock.spi.layer import Layer
from winsock.spi.provider import ReadBuffer, WriteBuffer
from winsock.spi.stats import Stats
from winsock.spi.stream import Direction, StreamLayer

FLIP = bytes(byte ^ 0x5A for byte in range(256))
"""A translation that undoes itself."""
FRAME = 1000
"""How many bytes of a stream a frame carries, the last one perhaps less."""


class Pass(StreamLayer):
    """Reads every byte and lets it pass."""

    def __init__(self) -> None:
        self.counts = {"outgoing": 0, "incoming": 0}
        self.digests = {"outgoing": hashlib.sha256(), "incoming": hashlib.sha256()}

    def outgoing(self, data: bytes) -> bytes:
        return self.see("outgoing", data)

    def incoming(self, data: bytes) -> bytes:
        return self.see("incoming", data)

    def see(self, direction: Direction, data: bytes) -> bytes:
        self.counts[direction] += len(data)
        self.digests[direction].update(data)
        return data

    def closed(self, stats: Stats) -> None:
        words = (f"{count} {self.digests[way].hexdigest()}" for way, count in self.counts.items())
        self.log(f"{self.role} {' '.join(words)}")


class Under(Pass):
    """The same, where two are wanted in one chain."""


class Flip(StreamLayer):
    """Makes something else of every byte; a second one undoes it."""

    def outgoing(self, data: bytes) -> bytes:
        return data.translate(FLIP)

    def incoming(self, data: bytes) -> bytes:
        return data.translate(FLIP)


class Within(Pass):
    """Stands between two of them, where every byte is another; what it tells is of the bytes outside."""

    def see(self, direction: Direction, data: bytes) -> bytes:
        super().see(direction, data.translate(FLIP))
        return data


class Frame(StreamLayer):
    """Gives the network frames, a length before each; the application gets the stream, and never half a frame."""

    def __init__(self) -> None:
        self.kept = b""

    def outgoing(self, data: bytes) -> bytes | None:
        return self.pack(data)

    def incoming(self, data: bytes) -> bytes | None:
        return self.unpack(data)

    def pack(self, data: bytes) -> bytes:
        pieces = (data[start : start + FRAME] for start in range(0, len(data), FRAME))
        return b"".join(len(piece).to_bytes(2, "big") + piece for piece in pieces)

    def unpack(self, data: bytes) -> bytes | None:
        data, start, pieces = self.kept + data, 0, []
        while len(data) >= start + 2:
            size = int.from_bytes(data[start : start + 2], "big")
            if len(data) < start + 2 + size:
                break
            pieces.append(data[start + 2 : start + 2 + size])
            start += 2 + size
        self.kept = data[start:]
        return b"".join(pieces) or None


class Unframe(Frame):
    """The other end of it, in the same chain."""

    def outgoing(self, data: bytes) -> bytes | None:
        return self.unpack(data)

    def incoming(self, data: bytes) -> bytes | None:
        return self.pack(data)


class Count(StreamLayer):
    """Only counts: the bytes need not come here."""

    def __init__(self) -> None:
        self.counts = {"outgoing": 0, "incoming": 0}

    def passed(self, direction: Direction, count: int) -> None:
        self.counts[direction] += count

    def closed(self, stats: Stats) -> None:
        self.log(f"{self.role} {self.counts['outgoing']} - {self.counts['incoming']} -")


class Same(Layer):
    """A layer that changes no bytes, and sends every connect where it goes anyway."""

    def connecting(self, address: Sockaddr) -> Sockaddr:
        return address

    def accepted(self, address: Sockaddr | None) -> None:
        assert address is not None


class Ledger(Context):
    """What `Own` knows of a handle."""

    role = ""

    def __init__(self, lower: int, *, inheritable: bool = False) -> None:
        super().__init__(lower, inheritable=inheritable)
        self.outgoing, self.incoming = bytearray(), bytearray()


class Own(NonIfsLayer):
    """A provider with handles of its own, written by hand: it is called for each piece, and tells as the others do."""

    context_type = Ledger

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        self.context(s).role = "connect"
        return super().WSPConnect(s, name, caller_data, callee_data, sqos, gqos)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        handle, address = super().WSPAccept(s, condition, callback_data)
        self.context(handle).role = "accept"
        return handle, address

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        count = super().WSPSend(s, buffers, flags, overlapped, completion_routine, thread_id)
        self.context(s).outgoing += b"".join(map(bytes, buffers))[:count]
        return count

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        answer = super().WSPRecv(s, buffers, flags, overlapped, completion_routine, thread_id)
        if answer is not None and not flags & MSG_PEEK:
            self.context(s).incoming += b"".join(bytes(memoryview(buffer)) for buffer in buffers)[: answer[0]]
        return answer

    def WSPCloseSocket(self, s: int) -> None:
        ledger = self.context(s)
        super().WSPCloseSocket(s)
        if ledger.role:
            ways = (ledger.outgoing, ledger.incoming)
            words = (f"{len(data)} {hashlib.sha256(data).hexdigest()}" for data in ways)
            self.log(f"{ledger.role} {' '.join(words)}")
