"""A layered provider: forwards all 30 functions to the provider below, and lets a layer state only its difference.

There is one `Layer` object per protocol chain. Its dispatch table starts as a copy of the table below, so a function
that the layer does not override *is* the function below, the same object, and costs nothing. A function that it
overrides (or whose hook it overrides) gets a slot of its own, which is guarded (`winsock.spi.guard`).

Some slots are always the layer's own, whatever it overrides: they keep the chain a chain. The functions that make a
handle give it to WPUModifyIFSHandle with the layer's own entry id; the uppermost layer does so last and wins, so that
every later call enters at the top. The functions that carry a WSAPROTOCOL_INFO substitute what the next provider must
see. They count as overridden nowhere.

A layer must not know what is above it, which base is at the end, or who calls: an application through the API, or
the supervisor on behalf of another process.

Sources: layered-protocols-and-protocol-chains-2; nf-ws2spi-wspstartup and nf-ws2spi-wpumodifyifshandle, "Layered
Service Provider Considerations"; design rules 1 to 3.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    SIO_GET_EXTENSION_FUNCTION_POINTER,
    SO_LINGER,
    SO_PROTOCOL_INFOA,
    SO_PROTOCOL_INFOW,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEAFNOSUPPORT, WSAEINVAL, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, coerce
from winsock.core import journal
from winsock.spi.guard import checked, defects, failure, given_name, guarded, refusal
from winsock.spi.provider import (
    FUNCTIONS,
    WSPDATA,
    OptionValue,
    ProcTable,
    Provider,
    ReadBuffer,
    WriteBuffer,
    unsupported,
)
from winsock.spi.stats import Stats, collect

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.upcalls import Upcalls

HOOKS = {"connecting": "WSPConnect", "accepted": "WSPAccept"}
"""The hooks that stand for a function."""

STRUCTURAL = (
    "WSPAccept",
    "WSPAddressToString",
    "WSPCleanup",
    "WSPCloseSocket",
    "WSPDuplicateSocket",
    "WSPGetSockOpt",
    "WSPIoctl",
    "WSPJoinLeaf",
    "WSPSocket",
    "WSPStringToAddress",
)
"""The slots that every layer owns, beside those that it overrides."""

ABORTIVE = (1, 0)
"""Linger of no time: closing resets the connection."""
_KINDS = {AF_INET: "an IPv4 socket", AF_INET6: "an IPv6 socket"}


class Layer(Provider):
    """Everything passes; a subclass overrides hooks or WSP functions. `self.next` is the table of the provider below.

    Chains are entered from several threads at once: a layer guards what it shares.
    """

    name: ClassVar[str] = "layer"
    """How the layer is called in chains and lines; a subclass without one is called as its class, in small letters."""
    Options: ClassVar[type | None] = None
    """A dataclass, if the layer has options: `self.options` is one of them, `--layer name,field=value` fills it."""
    datagrams: ClassVar[bool] = False
    """Whether `connecting` is also called for datagram sockets, for which a name lookup is a connect."""
    enforces: ClassVar[bool] = False
    """Whether the layer must not be bypassed: its chain refuses what it does not understand."""
    sockopts: ClassVar[tuple[tuple[int, int], ...]] = ()
    """Under `winsock run`: the (level, optname) rows that an override of WSPGetSockOpt or WSPSetSockOpt asks for."""
    ifs_handles: ClassVar[bool] = True
    """Whether the layer hands up the handles of the provider below; see `winsock.NonIfsLayer` for one that does not."""
    slots: ClassVar[tuple[str, ...]] = STRUCTURAL
    """The slots that are the layer's own whatever it overrides."""
    plain: ClassVar[type[Layer]]
    """The class beside which a layer's overrides are seen: a layer of the same kind that overrides nothing."""

    options: Any = None
    next: ProcTable
    next_info: WSAPROTOCOL_INFO
    """The WSAPROTOCOL_INFO that the provider below must be given: `info` itself where that is another layer."""
    info: WSAPROTOCOL_INFO
    """The chain's own entry, which the application opened."""
    entry_id: int
    """The catalog entry id of this layer in its chain."""
    upcalls: Upcalls
    _opened: dict[int, float] | None = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.name = given_name(cls)

    # Hooks: what most layers override.

    def connecting(self, address: Sockaddr) -> Sockaddr | tuple[Any, ...] | None:
        """A program connects to `address`: answer None to let it, another address to go there, or raise to refuse.

        An IPv4 answer on an IPv6 socket becomes v4-mapped; what does not fit the socket is WSAEAFNOSUPPORT. Called
        for streams, and for datagrams where `datagrams` is set; not for a connect to AF_UNSPEC, which dissolves one.
        """
        return None

    def accepted(self, address: Sockaddr | None) -> None:
        """A connection from `address` was accepted: raise to reset it and to wait for the next."""

    def closed(self, stats: Stats) -> None:
        """A socket was closed. What this raises is written down and changes nothing."""

    def adopted(self, handle: int) -> None:
        """A handle that the chain did not create is now served by it."""

    def process_started(self, process: int) -> None:
        """Under `winsock run`: a process (its id) has made its first call that came to this chain."""

    def process_ended(self, process: int) -> None:
        """Under `winsock run`: such a process has ended."""

    def run_ended(self) -> None:
        """Under `winsock run`: the program has ended, and this is the last call of this layer."""

    def log(self, text: str) -> None:
        """Write one line where the lines of the layers go."""
        journal.log(text, layer=self.name)

    # The provider.

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start the provider below, then stand above it; the data is that provider's."""
        self.info = protocol_info
        self.upcalls = upcalls
        self.next_info, data, self.next = upcalls.start_next(protocol_info, self)
        if overrides(type(self), "closed"):
            self._opened = {}
        return data, self._table()

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        return self.next.WSPSocket(af, type, protocol, self._passed_on(protocol_info), g, flags)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        while True:
            handle, address = self.next.WSPAccept(s, condition, callback_data)
            if self._admits(address):
                return handle, address
            self._reset(handle)

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        return self.next.WSPConnect(s, self._destination(name), caller_data, callee_data, sqos, gqos)

    def WSPCloseSocket(self, s: int) -> None:
        self._close_below(s, s)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        below = self.next.WSPDuplicateSocket(s, process_id)
        return self.info._replace(dwProviderReserved=below.dwProviderReserved)

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        return self.next.WSPAddressToString(address, self._passed_on(protocol_info))

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        return self.next.WSPStringToAddress(text, address_family, self._passed_on(protocol_info))

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        if level == SOL_SOCKET and optname in (SO_PROTOCOL_INFOA, SO_PROTOCOL_INFOW):
            return self.info
        return self.next.WSPGetSockOpt(s, level, optname)

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
        if code == SIO_GET_EXTENSION_FUNCTION_POINTER:
            self._refuse_to_be_bypassed(in_buffer)
        answer: bytes | None = self.next.WSPIoctl(
            s, code, in_buffer, out_size, overlapped, completion_routine, thread_id
        )
        return answer

    # What is behind them.

    def _table(self) -> ProcTable:
        """The table below, with the structural slots and those of the overridden functions replaced."""
        table = self.next.copy()
        own = overridden(type(self))
        for name in FUNCTIONS:
            if name in own:
                setattr(table, name, guarded(self, _spelling(type(self), name), getattr(self, name)))
            elif name in self.slots:
                setattr(table, name, getattr(self, name))
        table.WSPSocket = self._handing_up(table.WSPSocket)
        table.WSPJoinLeaf = self._handing_up(table.WSPJoinLeaf)
        table.WSPAccept = self._handing_up_first(table.WSPAccept)
        return table

    def _handing_up(self, make: Callable[..., int]) -> Callable[..., int]:
        """The slot of a function that answers with a handle: the handle becomes this layer's."""

        def slot(*args: Any, **kwargs: Any) -> int:
            return self._own(make(*args, **kwargs))

        return slot

    def _handing_up_first(
        self, make: Callable[..., tuple[int, Sockaddr | None]]
    ) -> Callable[..., tuple[int, Sockaddr | None]]:
        """The same for one that answers with a handle and an address."""

        def slot(*args: Any, **kwargs: Any) -> tuple[int, Sockaddr | None]:
            handle, address = make(*args, **kwargs)
            return self._own(handle), address

        return slot

    def _own(self, handle: int) -> int:
        handle = self.upcalls.WPUModifyIFSHandle(self.entry_id, handle)
        self._note_opened(handle)
        return handle

    def _note_opened(self, handle: int) -> None:
        if self._opened is not None:
            self._opened[handle] = time.monotonic()

    def _close_below(self, s: int, lower: int) -> None:
        """Close a handle of the provider below, and tell of the socket that the application knows as `s`."""
        if self._opened is None:
            self.next.WSPCloseSocket(lower)
            return
        opened = self._opened.pop(s, None)
        protocol = "tcp" if self.info.iSocketType == SOCK_STREAM else "udp"
        stats = collect(self.next, lower, protocol, None if opened is None else time.monotonic() - opened)
        self.next.WSPCloseSocket(lower)
        self._tell_closed(stats._replace(socket=s, handle=s))

    def _passed_on(self, given: WSAPROTOCOL_INFO | None) -> WSAPROTOCOL_INFO:
        """What the next provider gets for what this one got: a layer the same, unmodified; the base its own entry.

        The base is also told the secret of a duplicated socket, if nobody has changed the structure that carries it.
        """
        if given is None:
            return self.next_info
        if self.next_info is self.info:
            return given
        if not given.dwProviderReserved:
            return self.next_info
        if given != self.info._replace(dwProviderReserved=given.dwProviderReserved):
            raise WinsockError(WSAEINVAL, f"protocol_info: it is no duplicate of a socket of {self.info.szProtocol}")
        return self.next_info._replace(dwProviderReserved=given.dwProviderReserved)

    def _destination(self, name: Sockaddr) -> Sockaddr:
        """Where a connect to `name` goes by the layer's `connecting`."""
        if name.family == AF_UNSPEC or not (self.datagrams or self.info.iSocketType == SOCK_STREAM):
            return name
        try:
            answer = self.connecting(name)
        except WinsockError as error:
            raise checked(self, "connecting", error) from error
        return name if answer is None or answer == name else self._fitted(answer)

    def _fitted(self, answer: object) -> Sockaddr:
        """The answer of `connecting` as an address for a socket of this chain's family."""
        family = self.info.iAddressFamily
        address: Sockaddr | None
        try:
            address = coerce(answer)
        except WinsockError:
            address = None
        if isinstance(address, SockaddrIn) and family == AF_INET6:
            return address.mapped()
        if address is not None and address.family == family:
            return address
        kind = _KINDS.get(family, f"a socket of family {family}")
        text = (
            f"layer {self.name}: connecting answered {answer!r}, which is no address for {kind}: (host, port) is one,"
            " the host as a text in numbers, the port a number up to 65535"
        )
        journal.log(f"winsock: {text}; the call failed", layer=self.name)
        raise WinsockError(WSAEAFNOSUPPORT, text)

    def _admits(self, address: Sockaddr | None) -> bool:
        try:
            self.accepted(address)
        except WinsockError:
            return False
        except defects() as error:
            if refusal(error) is None:
                failure(self, "accepted", error)
            return False
        return True

    def _reset(self, handle: int) -> None:
        """End a connection that nobody above has seen, so that its peer sees a reset."""
        self.next.WSPSetSockOpt(handle, SOL_SOCKET, SO_LINGER, ABORTIVE)
        self.upcalls.release_handle(handle)
        self.next.WSPCloseSocket(handle)

    def _tell_closed(self, stats: Stats) -> None:
        try:
            self.closed(stats)
        except defects() as error:
            failure(self, "closed", error)

    def _refuse_to_be_bypassed(self, in_buffer: ReadBuffer | None) -> None:
        """An extension function of the base would go round an override: refuse to hand it out."""
        if in_buffer is None or len(in_buffer) < 16:
            return
        from winsock.spi.extensions import GOES_ROUND

        mine = overridden(type(self))
        for function in GOES_ROUND.get(GUID.unpack(in_buffer), ()):
            if function in mine:
                raise unsupported(f"the extension function that goes round {self.name}'s {function}")


Layer.plain = Layer


def _forwarding(name: str) -> Callable[..., Any]:
    def forward(self: Layer, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.next, name)(*args, **kwargs)

    forward.__name__ = name
    forward.__qualname__ = f"Layer.{name}"
    forward.__doc__ = getattr(Provider, name).__doc__
    return forward


for _name in FUNCTIONS:
    if _name not in Layer.__dict__:
        setattr(Layer, _name, _forwarding(_name))


def overridden(cls: type) -> frozenset[str]:
    """The SPI functions that a layer class overrides, a hook counted as the function it stands for.

    Structural slots count only where the class overrides the function itself. For a provider that is no `Layer`
    these are all the functions that it has.
    """
    if not issubclass(cls, Layer):
        return frozenset(name for name in FUNCTIONS if hasattr(cls, name))
    functions = {name for name in FUNCTIONS if overrides(cls, name)}
    return frozenset(functions | {function for hook, function in HOOKS.items() if overrides(cls, hook)})


def is_stream(kind: object) -> bool:
    """Whether that is a `StreamLayer` class; none is where the module of it was not imported yet."""
    module = sys.modules.get("winsock.spi.stream")
    return module is not None and isinstance(kind, type) and issubclass(kind, module.StreamLayer)


def _spelling(cls: type, function: str) -> str:
    """How the layer's author calls an overridden function: by its own name, or by the hook's."""
    if overrides(cls, function):
        return function
    return next(hook for hook, stands_for in HOOKS.items() if stands_for == function)


def overrides(cls: type, name: str) -> bool:
    """Whether a layer class has a function or hook of its own of that name."""
    return getattr(cls, name) is not getattr(getattr(cls, "plain", Layer), name)
