"""Where stream layers run: what the one suite over the drivers asks of each of them.

A driver's tests open a `World` with layers, make connections in it, and run the checks of `tests.drivers.checks` on
them. Of a connection, one end is the *program*, whose socket goes through the layers; the other is the *peer*, a plain
socket on the same host. Both are an `End`: a byte stream, which knows nothing of Winsock.

A world for another driver is a class with the methods of `World`, and a test module of four lines:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_driver(check: Check) -> None:
        check(open_my_world)

Layers may run in another process, so a check sees of them only what they log (`World.lines`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeAlias

from winsock.spi.layer import Layer
from winsock.spi.stream import StreamLayer

PATIENCE_S = 20.0


class End(Protocol):
    """One end of a connection. What goes wrong is an `OSError` with the host's errno."""

    def send(self, data: bytes) -> None:
        """Send all of it; waits."""

    def offer(self, data: bytes) -> int:
        """Send what is taken without waiting: how many bytes, 0 where none."""

    def receive(self, limit: int = 65536) -> bytes:
        """Some bytes, at least one; none at the end of the stream; waits."""

    def readable(self, seconds: float) -> bool:
        """Whether the next receive would not wait, at the latest after so many seconds: by select or poll."""

    def end(self) -> None:
        """Send no more."""

    def close(self) -> None:
        """Close; a second time does nothing."""

    def abort(self) -> None:
        """Close with a reset."""


class Connection(NamedTuple):
    """Both ends."""

    program: End
    peer: End


Greeting: TypeAlias = Callable[[End], None]
"""What the peer does at once when the connection is there, beside the program's connect, which may wait for it."""


class World(Protocol):
    """A program with layers."""

    def connect(self, greet: Greeting | None = None, *, blocking: bool = True) -> Connection:
        """The program connects to the peer; raises what the connect fails with.

        With `blocking` false the connect is a non-blocking one, waited for as a program would, by select or poll and
        SO_ERROR, and the program's end is a blocking one afterwards.
        """

    def accept(self) -> Connection:
        """The program listens, and accepts a connection of the peer's."""

    def lines(self) -> list[str]:
        """What was written to the journal so far; of a connection that ended, at least all until then."""


class Use(NamedTuple):
    """A layer with options other than its defaults."""

    kind: type[StreamLayer] | type[Layer]
    options: Mapping[str, Any]


Used: TypeAlias = type[StreamLayer] | type[Layer] | Use
"""A layer of a module that can be imported, in this process or another."""
OpenWorld: TypeAlias = Callable[..., AbstractContextManager[World]]
"""Called with any number of `Used`, the uppermost first."""
Check: TypeAlias = Callable[[OpenWorld], None]


class PlainEnd:
    """A peer's end: a plain socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(PATIENCE_S)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def offer(self, data: bytes) -> int:
        self.sock.setblocking(False)
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0
        finally:
            self.sock.settimeout(PATIENCE_S)

    def receive(self, limit: int = 65536) -> bytes:
        return self.sock.recv(limit)

    def readable(self, seconds: float) -> bool:
        import select

        return bool(select.select([self.sock], [], [], seconds)[0])

    def end(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def abort(self) -> None:
        import struct

        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
