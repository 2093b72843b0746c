"""What all simulated sockets have in common: names, modes, buffers, options, and how a call waits.

A socket is called with the network's lock held. The kinds differ in their calls (`datagrams`, `streams`, `messages`,
`rooted`); each says what select asks for: `is_readable`, `is_writable`, `is_exceptional`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from winsock.abi.constants import (
    FD_CLOSE,
    MSG_DONTROUTE,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_PUSH_IMMEDIATE,
    MSG_WAITALL,
    POLLRDNORM,
    POLLWRNORM,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEFAULT,
    WSAEINTR,
    WSAEINVAL,
    WSAENETDOWN,
    WSAEOPNOTSUPP,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, unpack
from winsock.base.memory.ports import ANY, InetAddress
from winsock.core import states
from winsock.core.bind_sharing import NONE
from winsock.core.states import NEW, Life
from winsock.spi.provider import ReadBuffer, WriteBuffer

if TYPE_CHECKING:
    from winsock.base.memory.connections import Packet
    from winsock.base.memory.hosts import Host
    from winsock.base.memory.protocols import Protocol
    from winsock.base.memory.provider import Memory
    from winsock.base.memory.selection import Selection

BUFFER_BYTES = 65536
"""SO_SNDBUF and SO_RCVBUF of a new socket."""
_SEND_FLAGS = MSG_DONTROUTE | MSG_PARTIAL
_RECEIVE_FLAGS = MSG_PEEK | MSG_WAITALL | MSG_PARTIAL | MSG_PUSH_IMMEDIATE


class Socket:
    """One socket of a simulated host."""

    life: Life
    """The table of its states."""
    is_connectionless: bool = False
    carries_data: bool = False
    """Whether connects and disconnects may carry data."""
    callee_note: bytes = b""
    """What came with the answer to a connect."""
    last_note: bytes = b""
    """What came with the peer's end."""
    handle: int = -1
    state: str = NEW
    local: InetAddress | None = None
    peer: InetAddress | None = None
    destination: InetAddress | None = None
    """Of datagrams: where they go if nothing else is said."""
    claim: InetAddress | None = None
    """What it was entered under in the table of ports."""
    claim_option: int = NONE
    """What it had set then, of SO_REUSEADDR and SO_EXCLUSIVEADDRUSE."""
    blocking: bool = True
    is_closed: bool = False
    is_lost: bool = False
    """Its host crashed."""
    is_down: bool = False
    """Its host crashed, or has no network."""
    sending_ended: bool = False
    receiving_ended: bool = False
    error: int = 0
    """What SO_ERROR answers, once."""
    reuse: bool = False
    exclusive: bool = False
    broadcast: bool = False
    linger: Linger = Linger(0, 0)
    receive_timeout_ms: int = 0
    send_timeout_ms: int = 0
    send_room: int = BUFFER_BYTES
    receive_room: int = BUFFER_BYTES
    connect_time: float | None = None
    selection: Selection | None = None
    """Where somebody asked for network events."""

    def __init__(self, provider: Memory, host: Host, flags: int) -> None:
        self.provider = provider
        self.network = host.network
        self.host = host
        self.slot = provider.slot
        self.flags = flags
        """WSA_FLAG_*, as it was made."""
        self.remembered: dict[tuple[int, int], int] = {}
        """Options that mean nothing here, as they were set."""

    def __repr__(self) -> str:
        where = self.local or "unbound"
        return f"<{self.protocol.name} {self.handle} of {self.host.name} at {where}, {self.state}>"

    @property
    def protocol(self) -> Protocol:
        """Its row."""
        return self.provider.protocol

    @property
    def most_bytes(self) -> int:
        """SO_MAX_MSG_SIZE."""
        return self.protocol.message_size

    # What select and WSAPoll ask.

    def is_readable(self) -> bool:
        """Whether a receive or an accept would answer at once."""
        return False

    def is_writable(self) -> bool:
        """Whether a send would, with success."""
        return False

    def is_exceptional(self) -> bool:
        """Whether a non-blocking connect has failed."""
        return False

    def polled(self) -> int:
        """What WSAPoll tells of it, whatever was asked for."""
        return (POLLRDNORM if self.is_readable() else 0) | (POLLWRNORM if self.is_writable() else 0)

    @property
    def readable_bytes(self) -> int:
        """What FIONREAD answers."""
        return 0

    # Names.

    def bind(self, name: InetAddress) -> None:
        """Take a local address; port 0 means any. WSAEADDRNOTAVAIL, WSAEADDRINUSE, WSAEACCES, WSAEINVAL, WSAENOBUFS."""
        state = self.life.after(self.state, "bind")
        if not self.host.has(name.host):
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {self.host.name} has no address {name.host}")
        self.claim_address(name)
        self.state = state

    def claim_address(self, name: InetAddress) -> None:
        """Enter the socket under an address."""
        ports = self.host.ports[self.slot]
        if name.port == 0:
            name = with_port(name, ports.free_port())
        ports.claim(self, name)
        self.local = name

    def bind_for(self, target: InetAddress) -> InetAddress:
        """The address by which a target sees us; a socket without any gets one. WSAEADDRNOTAVAIL, WSAENOBUFS."""
        if self.local is not None and self.local.host not in ANY:
            return self.local
        source = self.host.source_for(target)
        if self.local is None:
            self.claim_address(type(target)(ANY[target.family != SockaddrIn.family], 0))
        assert self.local is not None
        return type(target)(source, self.local.port)

    def name(self) -> InetAddress:
        """The local address; WSAEINVAL where there is none."""
        self.life.after(self.state, "name")
        assert self.local is not None
        return self.local

    def peer_name(self) -> InetAddress:
        """The peer's address; WSAENOTCONN."""
        self.life.after(self.state, "peer")
        assert self.peer is not None
        return self.peer

    # Waiting.

    def wait(self, ready: Callable[[], bool], timeout_ms: int, what: str) -> None:
        """Wait where the socket blocks. Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAEINTR, WSAENETDOWN."""
        network = self.network
        network.clock.run_due()
        if not ready():
            if not self.blocking:
                network.simulation.pass_by()
                if not ready():
                    raise WinsockError(WSAEWOULDBLOCK, f"s: {what} would have to wait")
            elif not self.wait_until(ready, network.clock.time + timeout_ms / 1000 if timeout_ms else None, what):
                text = f"s: {what} was not done within {timeout_ms} ms"
                raise WinsockError(WSAETIMEDOUT, text, errno=errno.EAGAIN)  # the kernel's
        self.check_alive()

    def wait_until(self, ready: Callable[[], bool], until: float | None, what: str) -> bool:
        """Wait to that time; False where it is up. The thread's blocking callback may cancel it (WSAEINTR)."""

        def is_over() -> bool:
            return self.is_closed or self.is_down or ready()

        return self.provider.wait(is_over, until, f"{what} on {self!r}")

    def check_alive(self) -> None:
        """Raises WSAEINTR where the socket was closed meanwhile, WSAENETDOWN where its host crashed or is down."""
        if self.is_closed:
            raise WinsockError(WSAEINTR, "s: the socket was closed while it waited")
        if self.is_lost:
            raise WinsockError(WSAENETDOWN, f"s: {self.host.name} crashed, and the socket with it")
        self.host.check_up()

    # Its end.

    def close(self) -> None:
        """Give everything back; the handle is the provider's to end."""
        self.is_closed = True
        self.network.clock.note()
        self.host.ports[self.slot].release(self)
        self.host.dismiss(self)
        if self.selection is not None:
            self.selection.cancel()

    def abandon(self) -> None:
        """Close without a farewell, and without waiting."""
        self.linger = Linger(1, 0)
        self.close()

    def resized(self) -> None:
        """Its buffers have another size now."""

    def crashed(self) -> None:
        """Its host is gone, and with it all but the handle."""
        self.is_lost = True
        self.claim = None
        self.network_failed()

    def network_failed(self) -> None:
        """The network of its host is down."""
        self.is_down = True
        self.network.clock.note()
        self.happened(FD_CLOSE, WSAENETDOWN)

    def network_works(self) -> None:
        """It is up again; no host comes back for a socket that it lost."""
        self.is_down = self.is_lost

    # What happens to it.

    def happened(self, event: int, error: int = 0) -> None:
        """A network event, for whoever asked."""
        if self.selection is not None:
            self.selection.happened(event, error)

    def called(self, kind: str) -> None:
        """A call that re-enables events."""
        if self.selection is not None:
            self.selection.called(kind)

    def standing_events(self) -> dict[int, int]:
        """The events whose condition holds, each with its error: what is due when somebody begins to ask."""
        return {}

    def offered(self, packet: Packet) -> bool:
        """Somebody asks for a connection; whether this socket takes requests."""
        return False

    def no_offer(self, call: str) -> WinsockError:
        """The error of a call that this kind of socket does not have."""
        return WinsockError(WSAEOPNOTSUPP, f"s: {self.protocol.name} has no {call}")

    # What the kinds do.

    def listen(self, backlog: int) -> None:
        """WSPListen."""
        raise self.no_offer("listening")

    def connect(self, name: InetAddress, caller_data: bytes) -> bytes:
        """WSPConnect; the callee's data."""
        raise NotImplementedError

    def forget_peer(self) -> None:
        """Connect to AF_UNSPEC or to zeros."""
        raise WinsockError(WSAEADDRNOTAVAIL, "name: this is no address to connect to")

    def accept(self, condition: Callable[..., int] | None, callback_data: object) -> tuple[Socket, InetAddress]:
        """WSPAccept."""
        raise self.no_offer("connections to accept")

    def join(self, name: InetAddress, caller_data: bytes, flags: int) -> Socket:
        """WSPJoinLeaf."""
        raise WinsockError(WSAEINVAL, "s: the socket was not made for multipoint sessions")

    def send(self, data: bytes, flags: int, to: InetAddress | None) -> int:
        """WSPSend and WSPSendTo."""
        raise NotImplementedError

    def receive(self, buffers: Sequence[WriteBuffer], flags: int) -> tuple[int, int, InetAddress | None]:
        """WSPRecv and WSPRecvFrom: (count, flags, source)."""
        raise NotImplementedError

    def shut_down(self, how: int, note: bytes = b"") -> None:
        """WSPShutdown."""
        self.life.after(self.state, "shutdown")
        halves = states.HALVES[how]
        self.sending_ended |= "send" in halves
        self.receiving_ended |= "receive" in halves

    def stop_receiving(self) -> None:
        """WSPRecvDisconnect: the protocol goes on as before, until its window is full."""
        self.life.after(self.state, "shutdown")
        self.receiving_ended = True


def with_port(address: InetAddress, port: int) -> InetAddress:
    """The same host with another port."""
    return type(address)(address.host, port)


def normal(name: object, family: int) -> InetAddress | None:
    """An address as the tables know it; None where it is none of that family. Raises WSAEFAULT for a part that is none.

    No value was checked when it was made, and an IPv6 address has many spellings.
    """
    if isinstance(name, (SockaddrIn, SockaddrIn6)) and family == name.family:
        return _spelled(name)
    return None


@lru_cache(maxsize=4096, typed=True)
def _spelled(name: InetAddress) -> InetAddress:
    usual = unpack(name.pack())
    assert isinstance(usual, (SockaddrIn, SockaddrIn6))
    return type(usual)(usual.host, usual.port)


def gathered(buffers: Sequence[ReadBuffer]) -> bytes:
    """The bytes of several buffers; raises WSAEFAULT for what is none, WSAEINVAL for no buffer at all."""
    try:
        if len(buffers) == 1:
            buffer = buffers[0]
            return buffer if type(buffer) is bytes else memoryview(buffer).tobytes()
        if buffers:
            return b"".join(buffers)
    except (TypeError, BufferError) as error:
        raise WinsockError(WSAEFAULT, f"buffers: {error}") from None
    raise WinsockError(WSAEINVAL, "buffers: there is none")


def capacity_of(buffers: Sequence[WriteBuffer]) -> int:
    """How many bytes fit; raises WSAEFAULT for what is no buffer to write to, WSAEINVAL for none at all."""
    if len(buffers) == 1 and type(buffers[0]) is bytearray:
        return len(buffers[0])
    capacity = 0
    try:
        for buffer in buffers:
            view = memoryview(buffer)
            if view.readonly:
                raise TypeError(f"{type(buffer).__name__} cannot be written to")
            capacity += view.nbytes
    except (TypeError, BufferError) as error:
        raise WinsockError(WSAEFAULT, f"buffers: {error}") from None
    if not buffers:
        raise WinsockError(WSAEINVAL, "buffers: there is none")
    return capacity


def scatter(data: bytes, buffers: Sequence[WriteBuffer]) -> None:
    """Fill the buffers in order."""
    if len(buffers) == 1 and type(buffers[0]) is bytearray:
        buffers[0][: len(data)] = data
        return
    at = 0
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        piece = data[at : at + len(view)]
        view[: len(piece)] = piece
        at += len(piece)


def check_send_flags(flags: int, protocol_name: str, partial: bool) -> None:
    """Raises WSAEOPNOTSUPP for what the protocol does not have, WSAEINVAL for what there is not."""
    if flags & MSG_OOB:
        raise WinsockError(WSAEOPNOTSUPP, f"flags: {protocol_name} has no urgent data (MSG_OOB)")
    if flags & ~_SEND_FLAGS:
        raise WinsockError(WSAEINVAL, f"flags: {flags:#x} holds what a send does not know")
    if flags & MSG_PARTIAL and not partial:
        raise WinsockError(WSAEOPNOTSUPP, f"flags: {protocol_name} sends no partial messages (MSG_PARTIAL)")


def check_receive_flags(flags: int, protocol_name: str, waits_for_all: bool) -> None:
    """The same for a receive; `waits_for_all`: whether MSG_WAITALL makes sense."""
    if flags & MSG_OOB:
        raise WinsockError(WSAEOPNOTSUPP, f"flags: {protocol_name} has no urgent data (MSG_OOB)")
    if flags & ~_RECEIVE_FLAGS:
        raise WinsockError(WSAEINVAL, f"flags: {flags:#x} holds what a receive does not know")
    if flags & MSG_WAITALL and (flags & (MSG_PEEK | MSG_PARTIAL) or not waits_for_all):
        raise WinsockError(
            WSAEOPNOTSUPP, "flags: MSG_WAITALL goes with blocking streams, without MSG_PEEK and MSG_PARTIAL"
        )
