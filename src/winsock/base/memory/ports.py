"""Who has which address and port: one table for each protocol of a host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from winsock.abi.errors import WSAENOBUFS, WinsockError
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.core import bind_sharing

if TYPE_CHECKING:
    from winsock.base.memory.sockets import Socket

InetAddress = SockaddrIn | SockaddrIn6

ANY = ("0.0.0.0", "::")
_FIRST_DYNAMIC, _LAST_DYNAMIC = 49152, 65535


class Ports:
    """The bound sockets of one protocol at one host, the first that was bound to an address first."""

    __slots__ = ("_next", "exact", "wild")

    def __init__(self) -> None:
        self.exact: dict[InetAddress, list[Socket]] = {}
        """By address and port."""
        self.wild: dict[int, list[Socket]] = {}
        """Those of all addresses, by port."""
        self._next = _FIRST_DYNAMIC

    def at(self, target: InetAddress) -> list[Socket]:
        """The sockets that answer to an address: those of this very one, else those of all."""
        return self.exact.get(target) or self.wild.get(target.port) or []

    def claim(self, socket: Socket, address: InetAddress) -> None:
        """Enter a socket. Raises WSAEADDRINUSE, WSAEACCES, by the table of `core.bind_sharing`."""
        option = bind_sharing.option_of(reuse=socket.reuse, exclusive=socket.exclusive)
        self._check(option, address)
        socket.claim_option = option
        if address.host in ANY:
            self.wild.setdefault(address.port, []).append(socket)
        else:
            self.exact.setdefault(address, []).append(socket)
        socket.claim = address

    def release(self, socket: Socket) -> None:
        """Take a socket out."""
        address = socket.claim
        if address is None:
            return
        socket.claim = None
        if address.host in ANY:
            _remove(self.wild, address.port, socket)
        else:
            _remove(self.exact, address, socket)

    def free_port(self) -> int:
        """The next port of the dynamic range that nobody has; raises WSAENOBUFS."""
        taken = {address.port for address in self.exact} | self.wild.keys()
        for _ in range(_FIRST_DYNAMIC, _LAST_DYNAMIC + 1):
            port = self._next
            self._next = port + 1 if port < _LAST_DYNAMIC else _FIRST_DYNAMIC
            if port not in taken:
                return port
        raise WinsockError(WSAENOBUFS, "all ports of the dynamic range are taken")

    def clear(self) -> None:
        """Forget them all."""
        self.exact.clear()
        self.wild.clear()

    def _check(self, option: int, address: InetAddress) -> None:
        is_wild = address.host in ANY
        worst = 0
        for other in self._at_port(address.port):
            assert other.claim is not None
            other_is_wild = other.claim.host in ANY
            if other.claim == address or other_is_wild or is_wild:
                worst = max(worst, bind_sharing.answer(other.claim_option, other_is_wild, option, is_wild))
        if worst:
            raise WinsockError(worst, f"name: {address} is taken by another socket of the host")

    def _at_port(self, port: int) -> Iterator[Socket]:
        yield from self.wild.get(port, ())
        for address, sockets in self.exact.items():
            if address.port == port:
                yield from sockets


def _remove(table: dict[Any, list[Socket]], key: object, socket: Socket) -> None:
    sockets = table.get(key, [])
    if socket in sockets:
        sockets.remove(socket)
    if not sockets:
        table.pop(key, None)
