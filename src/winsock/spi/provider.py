"""The contract of a transport service provider: WSPStartup, and the 30 functions of the table it answers with.

How a C prototype looks here, and in every function above: in-parameters stand in documented order; out-parameters
become the result, a tuple where there is more than one; lengths of buffers and lpErrno vanish, because buffers know
their length and errors are raised as `WinsockError`. A call that delivers data and reports an error at once raises a
`WinsockError` that carries `.count`, `.flags` and `.address`. Given an overlapped structure, the result is the same
where the operation completed at once, and `None` where it is pending.

Sources: ns-ws2spi-wspproc_table and nc-ws2spi-lpwsp* of the Windows SDK documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.abi.sockaddr import Sockaddr
    from winsock.core.netevents import NetworkEvents
    from winsock.spi.upcalls import Upcalls

ReadBuffer: TypeAlias = bytes | bytearray | memoryview
WriteBuffer: TypeAlias = bytearray | memoryview
OptionValue: TypeAlias = "int | bytes | tuple[int, ...] | WSAPROTOCOL_INFO"
"""What an option holds: an int (also for booleans), a named tuple such as `Linger(onoff, seconds)`, or raw bytes."""

FUNCTIONS: tuple[str, ...] = (
    "WSPAccept",
    "WSPAddressToString",
    "WSPAsyncSelect",
    "WSPBind",
    "WSPCancelBlockingCall",
    "WSPCleanup",
    "WSPCloseSocket",
    "WSPConnect",
    "WSPDuplicateSocket",
    "WSPEnumNetworkEvents",
    "WSPEventSelect",
    "WSPGetOverlappedResult",
    "WSPGetPeerName",
    "WSPGetSockName",
    "WSPGetSockOpt",
    "WSPGetQOSByName",
    "WSPIoctl",
    "WSPJoinLeaf",
    "WSPListen",
    "WSPRecv",
    "WSPRecvDisconnect",
    "WSPRecvFrom",
    "WSPSelect",
    "WSPSend",
    "WSPSendDisconnect",
    "WSPSendTo",
    "WSPSetSockOpt",
    "WSPShutdown",
    "WSPSocket",
    "WSPStringToAddress",
)
"""The order of WSPPROC_TABLE."""


class WSPDATA(NamedTuple):
    """What WSPStartup tells of a provider (ns-ws2spi-wspdata)."""

    wVersion: int = 0x0202
    wHighVersion: int = 0x0202
    szDescription: str = ""


class ProcTable:
    """The 30 functions of a provider, one slot each: WSPPROC_TABLE.

    A slot holds any callable, so a layer's table can hold the very function objects of the provider below it.
    """

    __slots__ = FUNCTIONS

    WSPAccept: Callable[..., tuple[int, Sockaddr | None]]
    WSPAddressToString: Callable[..., str]
    WSPAsyncSelect: Callable[..., None]
    WSPBind: Callable[[int, Sockaddr], None]
    WSPCancelBlockingCall: Callable[[], None]
    WSPCleanup: Callable[[], None]
    WSPCloseSocket: Callable[[int], None]
    WSPConnect: Callable[..., bytes | None]
    WSPDuplicateSocket: Callable[[int, int], WSAPROTOCOL_INFO]
    WSPEnumNetworkEvents: Callable[..., NetworkEvents]
    WSPEventSelect: Callable[..., None]
    WSPGetOverlappedResult: Callable[..., tuple[int, int]]
    WSPGetPeerName: Callable[[int], Sockaddr]
    WSPGetSockName: Callable[[int], Sockaddr]
    WSPGetSockOpt: Callable[[int, int, int], OptionValue]
    WSPGetQOSByName: Callable[..., Any]
    WSPIoctl: Callable[..., Any]
    WSPJoinLeaf: Callable[..., int]
    WSPListen: Callable[[int, int], None]
    WSPRecv: Callable[..., tuple[int, int] | None]
    WSPRecvDisconnect: Callable[..., bytes]
    WSPRecvFrom: Callable[..., tuple[int, int, Sockaddr | None] | None]
    WSPSelect: Callable[..., tuple[list[int], list[int], list[int]]]
    WSPSend: Callable[..., int | None]
    WSPSendDisconnect: Callable[..., None]
    WSPSendTo: Callable[..., int | None]
    WSPSetSockOpt: Callable[[int, int, int, OptionValue], None]
    WSPShutdown: Callable[[int, int], None]
    WSPSocket: Callable[..., int]
    WSPStringToAddress: Callable[..., Sockaddr]

    @classmethod
    def of(cls, provider: object) -> ProcTable:
        """A table of the provider's own 30 bound methods; a missing one leaves its slot unset (see `missing`)."""
        table = cls()
        for name in FUNCTIONS:
            function = getattr(provider, name, None)
            if function is not None:
                setattr(table, name, function)
        return table

    def copy(self) -> ProcTable:
        """A table of its own that holds the same functions."""
        return ProcTable.of(self)

    def missing(self) -> list[str]:
        """The functions that the table lacks; the loader refuses such a table with WSAEINVALIDPROCTABLE."""
        return [name for name in FUNCTIONS if getattr(self, name, None) is None]


class Startable(Protocol):
    """All that the loader asks of a provider: a WSPStartup. What is above it is a chain, what is below is its own."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start; answer with data and the table of 30 functions."""
        ...


class SendsDirectly(Protocol):
    """What a base provider may offer beside its table, for the commonest call of all: one buffer, no flags.

    While a handle's WSPSend slot is the provider's own, nothing stands between the application and the provider, and
    the API may call the function that the provider names, which is cheaper than a slot.
    """

    def direct_send(self, s: int) -> Callable[[ReadBuffer, int], int] | None:
        """A function (buffer, host flags) -> count for that handle, for as long as it is open; None if there is none.

        It may raise `OSError`, and may send less than all.
        """
        ...

    def after_direct_send(self, s: int, buffer: ReadBuffer, outcome: int | Exception) -> int:
        """Go on from where the function ended: with too small a count, or with the exception that it raised.

        The result, or the error, is what WSPSend would have given.
        """
        ...


class TellsEnds(Protocol):
    """What a base provider may offer beside its table: what it knows of a handle that the kernel calls hung up."""

    def how_ended(self, s: int) -> int | None:
        """POLLHUP, with POLLERR where it failed; 0 where nothing ended but by the application's own shutdown.

        None where nothing is known of the handle, or the kernel's word is as good.
        """
        ...


class HearsOfLosses(Protocol):
    """What a base provider may offer beside its table, where the kernel tells of lost datagrams as of an error."""

    def hear_losses(self, s: int) -> None:
        """Take what the kernel has to tell; what a receive would is in `winsock.spi.losses` then."""
        ...


class PollsItself(Protocol):
    """What a base provider may offer beside its table, where its handles are no descriptors that tell anything."""

    select: Callable[..., tuple[list[int], list[int], list[int]]]
    """Its WSPSelect, by which it is seen that no layer makes handles of its own above it."""
    poll: Callable[[Mapping[int, int], float | None], dict[int, int]]
    """(events asked for by handle, seconds or None) -> what WSAPoll tells by handle, of those that have any."""


class HearsOfRefusals(Protocol):
    """What a base provider may offer beside its table, where a call counts though it was refused before it came."""

    def refused_receive(self, s: int) -> None:
        """A receive was called with a length that is none."""
        ...


class Provider:
    """The 30 functions with their signatures, each answering WSAEOPNOTSUPP: the ground a base provider stands on."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start the provider for the protocol described; `version` is 0x0202 (lpwspstartup)."""
        raise NotImplementedError

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        """Take a connection: (handle, address of the peer)."""
        raise unsupported("WSPAccept")

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        """The address as text, with its port where it has one."""
        raise unsupported("WSPAddressToString")

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        """Post a message for each network event of the mask."""
        raise unsupported("WSPAsyncSelect")

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        """Give the socket its local address."""
        raise unsupported("WSPBind")

    def WSPCancelBlockingCall(self) -> None:
        """Cancel the blocking call of this thread."""
        raise unsupported("WSPCancelBlockingCall")

    def WSPCleanup(self) -> None:
        """Undo one WSPStartup."""
        raise unsupported("WSPCleanup")

    def WSPCloseSocket(self, s: int) -> None:
        """Close the socket and end its handle."""
        raise unsupported("WSPCloseSocket")

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        """Connect to a peer; the callee's data where the protocol carries any."""
        raise unsupported("WSPConnect")

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        """A structure with which that process can open the same socket."""
        raise unsupported("WSPDuplicateSocket")

    def WSPEnumNetworkEvents(self, s: int, event: object) -> NetworkEvents:
        """The network events recorded since the last call, and their errors."""
        raise unsupported("WSPEnumNetworkEvents")

    def WSPEventSelect(self, s: int, event: object, events: int) -> None:
        """Signal an event object for each network event of the mask."""
        raise unsupported("WSPEventSelect")

    def WSPGetOverlappedResult(self, s: int, overlapped: object, wait: bool) -> tuple[int, int]:
        """(bytes transferred, flags) of an overlapped operation."""
        raise unsupported("WSPGetOverlappedResult")

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        """The address of the peer."""
        raise unsupported("WSPGetPeerName")

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The local address."""
        raise unsupported("WSPGetSockName")

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        """The value of an option, in the type that its row in `abi.options` names."""
        raise unsupported("WSPGetSockOpt")

    def WSPGetQOSByName(self, s: int, name: str) -> Any:
        """The QOS, or its bytes, that a template of that name stands for; for an empty name, those of all templates."""
        raise unsupported("WSPGetQOSByName")

    def WSPIoctl(
        self,
        s: int,
        code: int,
        in_buffer: ReadBuffer | None = None,
        out_size: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> bytes | None:
        """Control the socket; the bytes that the code puts out, `out_size` of them at the most."""
        raise unsupported("WSPIoctl")

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
        """Join a leaf to a multipoint session; its handle."""
        raise unsupported("WSPJoinLeaf")

    def WSPListen(self, s: int, backlog: int) -> None:
        """Wait for connections."""
        raise unsupported("WSPListen")

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int] | None:
        """Receive into the buffers: (count, flags); a count of 0 on a stream is its end.

        WSAETIMEDOUT of the errno EAGAIN says that SO_RCVTIMEO ran out, and of any other that the connection is lost.
        """
        raise unsupported("WSPRecv")

    def WSPRecvDisconnect(self, s: int) -> bytes:
        """End receiving; the disconnect data of the peer where the protocol carries any."""
        raise unsupported("WSPRecvDisconnect")

    def WSPRecvFrom(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int, Sockaddr | None] | None:
        """Receive a datagram: (count, flags, source)."""
        raise unsupported("WSPRecvFrom")

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        """The handles that are ready, at the latest after `timeout` seconds (`None`: no limit); `nfds` is ignored."""
        raise unsupported("WSPSelect")

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        """Send the buffers in order; how many bytes went. WSAETIMEDOUT as for WSPRecv, of SO_SNDTIMEO."""
        raise unsupported("WSPSend")

    def WSPSendDisconnect(self, s: int, data: ReadBuffer | None = None) -> None:
        """End sending, with disconnect data where the protocol carries any."""
        raise unsupported("WSPSendDisconnect")

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
        """Send a datagram; how many bytes went."""
        raise unsupported("WSPSendTo")

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        """Set an option to a value of the type that its row in `abi.options` names, or to raw bytes."""
        raise unsupported("WSPSetSockOpt")

    def WSPShutdown(self, s: int, how: int) -> None:
        """End sending, receiving or both."""
        raise unsupported("WSPShutdown")

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        """Create a socket; its handle."""
        raise unsupported("WSPSocket")

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The address that the text spells."""
        raise unsupported("WSPStringToAddress")


def unsupported(function: str) -> Exception:
    """The error of a function that a provider does not offer: WSAEOPNOTSUPP."""
    from winsock.abi.errors import WSAEOPNOTSUPP, WinsockError

    return WinsockError(WSAEOPNOTSUPP, f"{function} is not supported by this provider")


def check_at_once(code: int, overlapped: object) -> None:
    """What is asked on behalf of WSAPoll is answered at once: WSAEFAULT with an overlapped structure (lpwspioctl)."""
    if overlapped is None:
        return
    from winsock.abi.constants import SIO_BSP_HANDLE_POLL
    from winsock.abi.errors import WSAEFAULT, WinsockError

    if code == SIO_BSP_HANDLE_POLL:
        raise WinsockError(WSAEFAULT, "overlapped: SIO_BSP_HANDLE_POLL takes none")


def no_templates(name: str) -> list[str]:
    """WSPGetQOSByName of a provider without templates of quality of service: their names, for an empty name.

    Raises WSAEINVAL for any other.
    """
    from winsock.abi.errors import WSAEINVAL, WinsockError

    if name:
        raise WinsockError(WSAEINVAL, f"name: {name!r} is no template of quality of service; there are none")
    return []
