"""The program's own socket of a relayed connect: where it waits, and what it was bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winsock.supervisor.relaying import outer

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.relaying.doors import Way


class Program:
    """One socket of a program, while and after it was connected through a relay."""

    __slots__ = ("bound", "name", "socket", "way")

    way: Way
    """The door at which it waits."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.bound = _bound(socket)
        """The name that the program had given it; None where it had none."""
        self.name: Sockaddr | None = None
        """What it is called at the door."""


def _bound(socket: Socket) -> Sockaddr | None:
    """The name that the program gave a socket, and not what is left of an earlier attempt to connect it."""
    now = outer.bound_name(socket.slot)
    earlier = socket.relayed.program if socket.relayed is not None else None
    if now is None or earlier is None or getattr(now, "port", 0) != getattr(earlier.name, "port", 0):
        return now
    return earlier.bound
