"""The program's own socket of a relayed connect: where it waits, and how to find it when no call has it leased."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from winsock.supervisor.callers import descriptors_of
from winsock.supervisor.relaying import outer

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.supervisor.callers import Process
    from winsock.supervisor.calls.call import Call
    from winsock.supervisor.lease import Leases, Socket
    from winsock.supervisor.relaying.doors import Way


class Program:
    """One socket of a program, while and after it was connected through a relay."""

    __slots__ = ("_caller", "_inode", "_number", "bound", "name", "socket", "way")

    way: Way
    """The door at which it waits."""
    name: Sockaddr
    """What it is called there."""

    def __init__(self, socket: Socket, call: Call) -> None:
        assert call.caller is not None
        self.socket = socket
        self.bound = _bound(socket)
        """The name that the program had given it; None where it had none."""
        self._inode = os.fstat(socket.slot).st_ino
        self._caller = call.caller
        self._number = call.arguments[0] & 0xFFFFFFFF

    @contextmanager
    def leased(self, leases: Leases, processes: Callable[[], Iterable[Process]]) -> Iterator[int | None]:
        """Lease it without a call: its slot, or None where no process has it open that we may look into."""
        held = leases.share(self.socket) or any(
            leases.fetch(self.socket, pidfd, number) for pidfd, number in self._places(processes)
        )
        try:
            yield self.socket.slot if held else None
        finally:
            if held:
                leases.give_back(self.socket)

    def _places(self, processes: Callable[[], Iterable[Process]]) -> Iterator[tuple[int, int]]:
        """(pidfd, number) of where it may be: where it was, at another number of that thread, in another process."""
        caller = self._caller
        yield caller.descriptors, self._number
        for number in descriptors_of(caller.thread, self._inode):
            yield caller.descriptors, number
        for process in processes():
            numbers = descriptors_of(process.id, self._inode)
            if numbers:
                pidfd = os.pidfd_open(process.id)
                try:
                    yield pidfd, numbers[0]
                finally:
                    os.close(pidfd)


def _bound(socket: Socket) -> Sockaddr | None:
    """The name that the program gave a socket, and not what is left of an earlier attempt to connect it."""
    now = outer.bound_name(socket.slot)
    earlier = socket.relayed.program if socket.relayed is not None else None
    if now is None or earlier is None or getattr(now, "port", 0) != getattr(earlier.name, "port", 0):
        return now
    return earlier.bound
