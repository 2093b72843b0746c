"""The provider itself: its start and its end, sockets, connections and data.

One object serves one protocol of one network. Which network that is, its entry in the catalog says: the id of the
provider is the network's. All that is simulated happens under the network's one lock; the functions here take it,
find the socket, and leave the rest to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import TYPE_CHECKING

from winsock.abi.constants import AF_INET, AF_UNSPEC, SD_BOTH, SD_RECEIVE, SD_SEND, WINSOCK_VERSION
from winsock.abi.errors import (
    WSAEFAULT,
    WSAEINVAL,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAEOPNOTSUPP,
    WSANOTINITIALISED,
    WSASYSNOTREADY,
    WSAVERNOTSUPPORTED,
    WinsockError,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrOther
from winsock.base.memory.controls import Controls
from winsock.base.memory.creation import KINDS, check_kind
from winsock.base.memory.names import Names
from winsock.base.memory.network import networks
from winsock.base.memory.options import Options
from winsock.base.memory.ports import InetAddress
from winsock.base.memory.protocols import PROTOCOLS, slot_of
from winsock.base.memory.sockets import Socket, gathered, scatter
from winsock.base.memory.waiting import Waiting
from winsock.core.kinds import check_flags
from winsock.spi.blocking import refuse_nested
from winsock.spi.provider import WSPDATA, ProcTable, ReadBuffer, WriteBuffer

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.upcalls import Upcalls

_LOWEST = (2, 2)


class Memory(Waiting, Names, Options, Controls):
    """One protocol of a simulated network."""

    def __init__(self) -> None:
        self._uses = 0
        self._starting = threading.Lock()
        self._table: ProcTable | None = None

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start for the network and the protocol that the entry names. WSAVERNOTSUPPORTED, WSASYSNOTREADY where the
        network is gone (lpwspstartup)."""
        if (version & 0xFF, version >> 8 & 0xFF) < _LOWEST:
            raise WinsockError(WSAVERNOTSUPPORTED, f"version: {version:#06x} is older than 2.2, the only one here")
        network = networks.get(protocol_info.ProviderId)
        if network is None:
            raise WinsockError(WSASYSNOTREADY, f"this process has no network of the id {protocol_info.ProviderId}")
        with self._starting:
            self.info, self.upcalls, self.network = protocol_info, upcalls, network
            self._simulation, self._sockets = network.simulation, network.sockets
            self.select, self.poll = network.select, network.poll
            self.slot = slot_of(protocol_info)
            self.protocol = PROTOCOLS[self.slot]
            self._plain_address = SockaddrIn if self.protocol.family == AF_INET else None
            if self._table is None:
                self._table = ProcTable.of(self)
                self._table.WSPSelect = network.select  # one for all its protocols: a select may span them
            self._uses += 1
            return WSPDATA(WINSOCK_VERSION, WINSOCK_VERSION, protocol_info.szProtocol), self._table

    def WSPCleanup(self) -> None:
        """Undo one WSPStartup; the last closes what is still open. WSANOTINITIALISED (lpwspcleanup)."""
        with self._starting:
            if self._uses == 0:
                raise WinsockError(WSANOTINITIALISED, f"{self.info.szProtocol} was not started")
            self._uses -= 1
            if self._uses:
                return
        with self.network.entered():
            for socket in [socket for socket in self.network.sockets.values() if socket.provider is self]:
                self.network.sockets.pop(socket.handle)
                socket.abandon()

    # Sockets.

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        """A socket of the host that this thread is on (`Network`); its handle is a placeholder (lpwspsocket).

        Raises WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTONOSUPPORT, WSAEPROTOTYPE, WSAEINVAL, WSAEINPROGRESS from
        inside a blocking callback, WSAEMFILE, WSAENOBUFS where the host can have no more sockets or buffers,
        WSAENETDOWN where its network is down.
        """
        with self.network.entered():
            refuse_nested()
            check_kind(self.info, af, type, protocol, protocol_info)
            check_flags(self.info, flags)
            if g:
                raise WinsockError(WSAEINVAL, f"g: {g} is no group of sockets; {self.protocol.name} has none")
            host = self.network.here()
            socket = KINDS[self.slot](self, host, flags)
            host.admit(socket)
            return self._register(socket)

    def _register(self, socket: Socket) -> int:
        """Have a handle made for a new socket."""
        try:
            socket.handle = self.upcalls.WPUCreateSocketHandle(self.info.dwCatalogEntryId, socket)
        except BaseException:
            socket.abandon()
            raise
        self.network.sockets[socket.handle] = socket
        return socket.handle

    def WSPCloseSocket(self, s: int) -> None:
        """Close; what was sent is delivered in the background. WSAEWOULDBLOCK where it should linger and may not wait,
        WSAENOTSOCK (lpwspclosesocket)."""
        with self.network.entered():
            socket = self.network.sockets.get(s) or self.socket(s)
            socket.close()
            self.network.sockets.pop(s, None)
        self.upcalls.WPUCloseSocketHandle(s)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        """A simulated socket is this process's alone: WSAEINVAL (lpwspduplicatesocket)."""
        self.socket(s)
        raise WinsockError(WSAEINVAL, f"process_id: {process_id} cannot have a socket of a network in this process")

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        """Take a local address, which must be the host's; port 0 means any (lpwspbind).

        Raises WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAEACCES, WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL, WSAENOBUFS.
        """
        with self.network.entered():
            self.socket(s).bind(self.address(name))

    def WSPListen(self, s: int, backlog: int) -> None:
        """Take requests; a backlog out of bounds becomes the nearest legal one (lpwsplisten).

        Raises WSAEINVAL for an unbound socket, WSAEISCONN, WSAEOPNOTSUPP.
        """
        with self.network.entered():
            self.socket(s).listen(backlog)

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        """Connect, or choose the peer of datagrams; the callee's data where the protocol carries any (lpwspconnect).

        Raises WSAEWOULDBLOCK for an attempt that goes on, WSAEALREADY, WSAEISCONN, WSAECONNREFUSED, WSAETIMEDOUT,
        WSAENETUNREACH, WSAEHOSTUNREACH, WSAEADDRNOTAVAIL, WSAEINVAL, WSAEAFNOSUPPORT, WSAEFAULT, WSAEINTR.
        """
        with self.network.entered():
            socket = self.socket(s)
            check_extras(sqos, gqos)
            if isinstance(name, SockaddrOther) and name.family == AF_UNSPEC:
                socket.forget_peer()
                return None
            return socket.connect(self.address(name), bytes(caller_data or b"")) or None

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        """Take the first connection that waits: (handle, address of the peer) (lpwspaccept).

        `condition(caller_id, caller_data, sqos, gqos, callee_id, callee_data, group, callback_data)` answers
        CF_ACCEPT, CF_REJECT or CF_DEFER. Raises WSAEWOULDBLOCK, WSAEINVAL, WSAEOPNOTSUPP, WSAECONNREFUSED (rejected)
        and WSATRY_AGAIN (deferred), which carry the peer's `.address`, WSAEFAULT for a condition that cannot be called,
        WSAECONNRESET and WSAEACCES (the caller is gone), WSAENOBUFS, WSAEINTR.
        """
        if condition is not None and not callable(condition):
            raise WinsockError(WSAEFAULT, f"condition: {condition!r} is no function")
        with self.network.entered():
            accepted, peer = self.socket(s).accept(condition, callback_data)
            return self._register(accepted), peer

    def WSPJoinLeaf(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None,
        callee_data: WriteBuffer | None,
        sqos: object,
        gqos: object,
        flags: int,
    ) -> int:
        """Join a multipoint session, or have a leaf join; the handle of the leaf (lpwspjoinleaf).

        Raises WSAEINVAL for a socket that was not made for it, WSAEALREADY, WSAEISCONN, and what WSPConnect raises.
        """
        with self.network.entered():
            socket = self.socket(s)
            check_extras(sqos, gqos)
            leaf = socket.join(self.address(name), bytes(caller_data or b""), flags)
            if callee_data is not None:
                scatter(leaf.callee_note[: memoryview(callee_data).nbytes], (callee_data,))
            return s if leaf is socket else self._register(leaf)

    def WSPShutdown(self, s: int, how: int) -> None:
        """End sending, receiving or both. Raises WSAEINVAL, WSAENOTCONN (lpwspshutdown)."""
        with self.network.entered():
            socket = self.socket(s)
            if how not in (SD_RECEIVE, SD_SEND, SD_BOTH):
                raise WinsockError(WSAEINVAL, f"how: {how} is none of SD_RECEIVE (0), SD_SEND (1), SD_BOTH (2)")
            socket.shut_down(how)
            self.network.clock.note()

    def WSPSendDisconnect(self, s: int, data: ReadBuffer | None = None) -> None:
        """End sending, with data where the protocol carries any. Raises WSAENOPROTOOPT, WSAENOTCONN."""
        with self.network.entered():
            socket = self.socket(s)
            if data and not socket.carries_data:
                raise WinsockError(WSAENOPROTOOPT, f"data: {self.protocol.name} carries no disconnect data")
            socket.shut_down(SD_SEND, bytes(data or b""))

    def WSPRecvDisconnect(self, s: int) -> bytes:
        """Receive no more, which the peer is not told; what came with its end. WSAENOTCONN (lpwsprecvdisconnect)."""
        with self.network.entered():
            socket = self.socket(s)
            socket.stop_receiving()
            self.network.clock.note()
            return socket.last_note

    # Data.

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        """Send the buffers in order; how many bytes went (lpwspsend).

        Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAESHUTDOWN, WSAENOTCONN, WSAECONNRESET, WSAECONNABORTED, WSAEMSGSIZE,
        WSAEOPNOTSUPP, WSAEINVAL, WSAEFAULT.
        """
        simulation = self._simulation
        with simulation.lock:
            if simulation.last != get_ident():
                simulation.enter()
            socket = self._sockets.get(s)
            if socket is None or socket.is_down or overlapped is not None:
                socket = self.socket_for(s, "WSPSend", overlapped)
            if socket.is_connectionless and socket.destination is None:
                raise WinsockError(WSAENOTCONN, "s: the socket is not connected; a datagram needs an address")
            return socket.send(gathered(buffers), flags, None)

    def WSPSendTo(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        to: Sockaddr | None = None,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        """Send a datagram to an address, for this once; a connection ignores it (lpwspsendto).

        Raises what WSPSend does, and WSAEDESTADDRREQ, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAENETUNREACH,
        WSAEHOSTUNREACH, WSAEACCES.
        """
        simulation = self._simulation
        with simulation.lock:
            if simulation.last != get_ident():
                simulation.enter()
            socket = self._sockets.get(s)
            if socket is None or socket.is_down or overlapped is not None:
                socket = self.socket_for(s, "WSPSendTo", overlapped)
            target = to if type(to) is self._plain_address and type(to[1]) is int else self._target(socket, to)
            return socket.send(gathered(buffers), flags, target)

    def _target(self, socket: Socket, to: Sockaddr | None) -> InetAddress | None:
        return None if to is None or not socket.is_connectionless else self.address(to)

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        """Receive into the buffers: (count, flags); a count of 0 on a stream is its end (lpwsprecv).

        Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN, WSAEINVAL for an unbound socket, WSAESHUTDOWN, WSAECONNRESET,
        WSAECONNABORTED, WSAEDISCON at the end of messages, WSAEOPNOTSUPP, WSAEFAULT; WSAEMSGSIZE with `.count` and
        `.flags` where a message was longer.
        """
        return self.WSPRecvFrom(s, buffers, flags, overlapped)[:2]  # type: ignore[index]

    def WSPGetOverlappedResult(self, s: int, overlapped: object, wait: bool) -> tuple[int, int]:
        """No operation goes by an overlapped structure here: WSAEINVAL (lpwspgetoverlappedresult)."""
        self.socket(s)
        raise WinsockError(WSAEINVAL, "overlapped: no operation of this socket goes by it")

    def WSPRecvFrom(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int, Sockaddr | None] | None:
        """The same with the source, which a stream does not have (lpwsprecvfrom)."""
        simulation = self._simulation
        with simulation.lock:
            if simulation.last != get_ident():
                simulation.enter()
            socket = self._sockets.get(s)
            if socket is None or socket.is_down or overlapped is not None:
                socket = self.socket_for(s, "WSPRecvFrom", overlapped)
            return socket.receive(buffers, flags)


def check_extras(sqos: object, gqos: object) -> None:
    """Quality of service is not simulated: WSAEOPNOTSUPP; groups of sockets never had any: WSAEINVAL."""
    if gqos is not None:
        raise WinsockError(WSAEINVAL, "gqos: socket groups have no quality of service")
    if sqos is not None:
        raise WinsockError(WSAEOPNOTSUPP, "sqos: quality of service is not offered")
