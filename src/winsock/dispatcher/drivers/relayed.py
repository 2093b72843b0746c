"""A stream layer's place in a chain under `winsock run`, where the bytes go through a relay and not through calls.

To the layers above, a connection that the layer wants is the program's own socket, as every other is. To those below,
it is an *outer* socket, which this layer opened through them and connects in the program's place: they see its life and
never the program's end. The bytes pass between the two in a relay. Of several stream layers that want a connection the
uppermost opens the outer socket, and the others find it in the making and add their stages; accepted connections come
from below, so there the lowest begins. A connection that no layer wants is left to the program and the kernel.

What it takes to join a program's socket to a relay is not known here: that is the `Room` which the supervisor gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol

from winsock.abi.constants import WSA_FLAG_NO_HANDLE_INHERIT
from winsock.abi.errors import WinsockError
from winsock.dispatcher.drivers.asking import Asking

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.spi.provider import OptionValue, ReadBuffer, WriteBuffer
    from winsock.spi.stream import StreamLayer


class Joint(Protocol):
    """A connection that is relayed, or was last, between a program's socket `s` and an outer one."""

    owner: Relayed
    """Who opened the outer socket, or took it from below."""

    def add_below(self, layer: StreamLayer) -> None:
        """While it is made: one more layer, nearer to the network than those before."""
        ...

    def add_above(self, layer: StreamLayer) -> None:
        """While it is made: one more layer, nearer to the program."""
        ...

    def connect_again(self, s: int, name: Sockaddr) -> bool:
        """As WSPConnect; false where nothing is left of the connection, so that this connect is the first again."""
        ...

    def discard(self, s: int) -> None:
        """As WSPCloseSocket, of an accepted connection that the program never had."""
        ...

    def shutdown(self, s: int, how: int) -> None:
        """As WSPShutdown."""
        ...

    def peer_name(self, s: int) -> Sockaddr:
        """As WSPGetPeerName."""
        ...

    def sock_name(self, s: int) -> Sockaddr:
        """As WSPGetSockName."""
        ...

    def get_option(self, s: int, level: int, optname: int) -> OptionValue:
        """As WSPGetSockOpt."""
        ...

    def set_option(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        """As WSPSetSockOpt."""
        ...


class Room(Protocol):
    """Where programs' sockets are joined to relays."""

    def find(self, s: int) -> Joint | None:
        """The connection of a program's socket."""
        ...

    def in_the_making(self, outer: int) -> Joint | None:
        """The connection whose outer socket is just being connected."""
        ...

    def connect(self, owner: Relayed, s: int, name: Sockaddr, layer: StreamLayer) -> None:
        """Connect an outer socket to `name` and join the program's socket to it; errors as of WSPConnect."""
        ...

    def accept(self, owner: Relayed, listener: int, outer: int, layer: StreamLayer) -> int:
        """A socket for the program that stands for an accepted one; the relay begins when the program gets it."""
        ...


class Relayed(Asking):
    """One stream layer of a chain."""

    by_table: ClassVar[bool] = False
    """Whether the provider below makes handles of its own, so that only its table reaches the bytes."""

    def __init__(self, kind: type[StreamLayer], room: Room) -> None:
        super().__init__(kind)
        self._room = room

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        joint = self._room.find(s)
        if joint is not None and joint.owner is self and joint.connect_again(s, name):
            return None
        if (joint is not None and joint.owner is not self) or not self._wants(name):
            return self.next.WSPConnect(s, name, caller_data, callee_data, sqos, gqos)
        layer = self._new_layer("connect", name)
        destination = self._asked(layer, name)
        made = self._room.in_the_making(s)
        if made is None:
            self._room.connect(self, s, destination, layer)
            return None
        made.add_below(layer)
        return self.next.WSPConnect(s, destination, caller_data, callee_data, sqos, gqos)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        while True:
            handle, address = self.next.WSPAccept(s, condition, callback_data)
            try:
                if address is None or not self._wants(address):
                    return handle, address
                layer = self._new_layer("accept", address)
                self._let_in(layer, address)
            except WinsockError:
                self._reset(handle)
                continue
            joint = self._room.find(handle)
            if joint is None:
                return self._room.accept(self, s, handle, layer), address
            joint.add_above(layer)
            return handle, address

    def WSPCloseSocket(self, s: int) -> None:
        joint = self._joint(s)
        if joint is None:
            super().WSPCloseSocket(s)
        else:
            joint.discard(s)

    def WSPShutdown(self, s: int, how: int) -> None:
        joint = self._joint(s)
        if joint is None:
            self.next.WSPShutdown(s, how)
        else:
            joint.shutdown(s, how)

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        joint = self._joint(s)
        return self.next.WSPGetPeerName(s) if joint is None else joint.peer_name(s)

    def WSPGetSockName(self, s: int) -> Sockaddr:
        joint = self._joint(s)
        return self.next.WSPGetSockName(s) if joint is None else joint.sock_name(s)

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        joint = self._joint(s)
        if joint is None:
            return super().WSPGetSockOpt(s, level, optname)
        return joint.get_option(s, level, optname)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        joint = self._joint(s)
        if joint is None:
            self.next.WSPSetSockOpt(s, level, optname, value)
        else:
            joint.set_option(s, level, optname, value)

    def open_outer(self) -> int:
        """A socket of the provider below, for the network's side of a connection."""
        info = self.info
        flags = WSA_FLAG_NO_HANDLE_INHERIT
        return self.next.WSPSocket(info.iAddressFamily, info.iSocketType, info.iProtocol, self.next_info, 0, flags)

    def beneath(self, outer: int) -> int:
        """The kernel's socket of an outer handle."""
        return outer

    def close_outer(self, outer: int) -> None:
        """Close it, or one that was accepted."""
        self.upcalls.release_handle(outer)
        self.next.WSPCloseSocket(outer)

    # What is behind them.

    def _joint(self, s: int) -> Joint | None:
        joint = self._room.find(s)
        return joint if joint is not None and joint.owner is self else None
