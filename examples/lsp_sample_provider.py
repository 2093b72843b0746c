"""The provider of the LSP sample, in both kinds: `non_ifs` makes handles of its own, `ifs` hands up those from below.

It is built as a layered service provider for Windows is built, and uses nothing of `winsock.Layer`. This file is the
DLL: its two objects serve all chains that they stand in, and count how often they were started. Which entries of the
catalog are ours, and what stands below each, is read from the catalog: the entries over our hidden one, and what
follows in their chains. The provider below is found by WSCGetProviderPath and started by its own WSPStartup when an
entry is used for the first time.

Both kinds count the bytes that pass. The non-IFS kind sees them all, for no call reaches a socket but through its
handle, which it translates. The IFS kind replaces nine functions of the table below, and so sees what WSPSend sends;
it also leads connects to one address to another (`REDIRECTED`), which getpeername does not show.

Facts 11 to 16, 27, 29 and 30 to 37 of the sample; what is open is said in lsp_sample.py.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, Self

import winsock
from winsock import (
    GUID,
    WSAPROTOCOL_INFO,
    WSPDATA,
    MessageQueue,
    ProcTable,
    Sockaddr,
    SockaddrIn,
    Upcalls,
    WinsockError,
)
from winsock.dispatcher.loader import load_provider

BASE, LAYERED = winsock.BASE_PROTOCOL, winsock.LAYERED_PROTOCOL
FROM_INFO = (winsock.FROM_PROTOCOL_INFO,) * 3
TURN_S = 0.01
LOOKS = 20
"""How often a message for a socket that is not known yet is looked up, each time after a new one, or a turn."""

REDIRECTED: dict[Sockaddr, Sockaddr] = {SockaddrIn("192.0.2.1", 80): SockaddrIn("127.0.0.1", 8000)}
"""Where the IFS kind connects to instead."""

Handles = Sequence[int] | None
Sets = tuple[Sequence[int], Sequence[int], Sequence[int]]


# What both kinds share.


class Layered:
    """One entry of ours in the catalog: the provider below it, the sockets opened through it, the bytes they moved."""

    def __init__(self, info: WSAPROTOCOL_INFO, chain: Sequence[WSAPROTOCOL_INFO]) -> None:
        self.info = info
        self.chain = chain
        """The members of its chain below us."""
        self.below = chain[0]
        self.data = WSPDATA()
        self.sockets: dict[int, Any] = {}
        self.sent = self.received = 0
        self.lock = threading.RLock()
        self._table: ProcTable | None = None

    @property
    def entry_id(self) -> int:
        return self.info.dwCatalogEntryId

    @property
    def table(self) -> ProcTable:
        """The functions below; raises WSAEPROVIDERFAILEDINIT before they were started."""
        if self._table is None:
            raise WinsockError(winsock.WSAEPROVIDERFAILEDINIT, f"what is below {self.info.szProtocol} was not started")
        return self._table

    def start(self, version: int, given: WSAPROTOCOL_INFO, upcalls: Upcalls) -> None:
        """Load and start the provider below, once; it gets the very upcalls that we were given."""
        with self.lock:
            if self._table is None:
                self.below = next(info for info in self.chain if is_loaded(info, upcalls))
                found = load_provider(winsock.WSCGetProviderPath(self.below.ProviderId))
                provider = found() if isinstance(found, type) else found
                self.data, self._table = provider.WSPStartup(version, self.passed_on(given), upcalls)

    def end(self) -> None:
        """Clean up the provider below, if it was started, and let go of it."""
        with self.lock:
            table, self._table = self._table, None
        if table is not None:
            table.WSPCleanup()

    def passed_on(self, given: WSAPROTOCOL_INFO, af: int = 0, type: int = 0, protocol: int = 0) -> WSAPROTOCOL_INFO:
        """What the provider below is given: a layer what we were given, a base its own, with what is the caller's."""
        if self.below.chain_length != BASE:
            return given
        unknown = winsock.FROM_PROTOCOL_INFO
        return self.below._replace(
            dwProviderReserved=given.dwProviderReserved,
            iAddressFamily=given.iAddressFamily if af == unknown else self.below.iAddressFamily,
            iSocketType=given.iSocketType if type == unknown else self.below.iSocketType,
            iProtocol=given.iProtocol if protocol == unknown else self.below.iProtocol,
        )

    def count(self, sent: int = 0, received: int = 0) -> None:
        """Add to the bytes."""
        with self.lock:
            self.sent += sent
            self.received += received


def layered_entries(provider_id: GUID) -> list[Layered]:
    """Our entries: those whose chain begins with the hidden entry of our GUID."""
    installed = winsock.WSCEnumProtocols()
    known = {info.dwCatalogEntryId: info for info in installed}
    hidden = [info for info in installed if info.ProviderId == provider_id and info.chain_length == LAYERED]
    own = {info.dwCatalogEntryId for info in hidden}
    chains = [(info, info.ProtocolChain.ChainEntries) for info in installed if info.chain_length > BASE]
    return [Layered(info, [known[entry_id] for entry_id in ids[1:]]) for info, ids in chains if ids[0] in own]


def is_loaded(info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> bool:
    """Whether this process loads a provider: not a layer whose categories it does not permit, or that came later."""
    try:
        upcalls.WPUGetProviderPath(info.ProviderId)
    except WinsockError:
        return info.chain_length == BASE
    return True


def without_ifs(info: WSAPROTOCOL_INFO) -> int:
    """The service flags that a layer does not change."""
    return info.dwServiceFlags1 & ~winsock.XP1_IFS_HANDLES


def takes_protocol(info: WSAPROTOCOL_INFO, protocol: int) -> bool:
    """Whether an entry is for that protocol; zero is for those that say so."""
    if protocol == 0:
        return bool(info.dwProviderFlags & winsock.PFL_MATCHES_PROTOCOL_ZERO)
    return info.iProtocol <= protocol <= info.iProtocol + info.iProtocolMaxOffset


def choose(entries: Collection[Layered], af: int, type: int, protocol: int, given: WSAPROTOCOL_INFO | None) -> Layered:
    """Our entry for a socket: by family, then type, then protocol, and by the service flags where an info is given.

    Raises WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTONOSUPPORT, or WSAEPROTOTYPE for what does not go together.
    """
    if given is not None:
        af = given.iAddressFamily if af == winsock.FROM_PROTOCOL_INFO else af
        type = given.iSocketType if type == winsock.FROM_PROTOCOL_INFO else type
        protocol = given.iProtocol if protocol == winsock.FROM_PROTOCOL_INFO else protocol
    rules: tuple[tuple[int, Callable[[WSAPROTOCOL_INFO], bool]], ...] = (
        (winsock.WSAEAFNOSUPPORT, lambda info: af in (0, info.iAddressFamily)),
        (winsock.WSAESOCKTNOSUPPORT, lambda info: type in (0, info.iSocketType)),
        (winsock.WSAEPROTONOSUPPORT, lambda info: takes_protocol(info, protocol)),
        (winsock.WSAEPROTOTYPE, lambda info: given is None or without_ifs(given) == without_ifs(info)),
    )
    kind = f"family {af}, type {type}, protocol {protocol}"
    for code, rule in rules:
        if not any(rule(entry.info) for entry in entries):
            raise WinsockError(code, f"none of our entries is for {kind}")
    fitting = [entry for entry in entries if all(rule(entry.info) for _, rule in rules)]
    if not fitting:
        raise WinsockError(winsock.WSAEPROTOTYPE, f"our entries have each of {kind}, but not together")
    ids = () if given is None else (given.dwCatalogEntryId, *given.ProtocolChain.ChainEntries)
    return next((entry for entry in fitting if entry.entry_id in ids), fitting[0])


def unsupported(what: str) -> WinsockError:
    """The error of what the sample does not do yet."""
    return WinsockError(winsock.WSAEOPNOTSUPP, f"{what} is not supported by this layer")


class Lsp:
    """A layered provider that was loaded: its start and its end."""

    ID: ClassVar[GUID]
    """The GUID of the hidden entry; the installer asks for it."""
    IFS: ClassVar[bool]
    """Whether the handles are those of the provider below."""

    upcalls: Upcalls

    def __init__(self) -> None:
        self.entries: list[Layered] = []
        self._startups = 0
        self._lock = threading.RLock()

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start, or start once more. The data is that of the provider below; WSAEPROVIDERFAILEDINIT where none is."""
        with self._lock:
            if self._startups == 0:
                self.entries = layered_entries(self.ID)
                self.upcalls = upcalls
            try:
                layered = choose(self.entries, *FROM_INFO, protocol_info)
            except WinsockError as error:
                raise WinsockError(winsock.WSAEPROVIDERFAILEDINIT, f"{protocol_info.szProtocol}: {error}") from error
            layered.start(version, protocol_info, upcalls)
            self._startups += 1
            return layered.data, self.table_over(layered)

    def WSPCleanup(self) -> None:
        """Undo one WSPStartup; the last closes all sockets, and cleans up below."""
        if PROCESS.detached:
            return  # the process ends, and what is below may have gone before us
        with self._lock:
            if self._startups == 0:
                raise WinsockError(winsock.WSANOTINITIALISED, "the layer was not started")
            self._startups -= 1
            if self._startups:
                return
            ended, self.entries = self.entries, []
        self.ended()
        for layered in ended:
            for s in list(layered.sockets):
                with suppress(WinsockError):  # one that was closed behind our back harms no other
                    self.close(layered, s)
            layered.end()
            if layered.sent or layered.received:
                text = f"{layered.info.szProtocol}: {layered.sent} bytes sent, {layered.received} received"
                print(f"lsp sample: {text}", file=sys.stderr)

    def started(
        self, af: int, type: int, protocol: int, given: WSAPROTOCOL_INFO | None
    ) -> tuple[Layered, WSAPROTOCOL_INFO]:
        """Our entry for a new socket, with the provider below started, and what to pass on to that."""
        layered = choose(self.entries, af, type, protocol, given)
        given = layered.info if given is None else given
        layered.start(winsock.WINSOCK_VERSION, given, self.upcalls)
        return layered, layered.passed_on(given, af, type, protocol)

    def table_over(self, layered: Layered) -> ProcTable:
        """The table that WSPStartup answers."""
        raise NotImplementedError

    def close(self, layered: Layered, s: int) -> None:
        """Close a socket that is still open at the end."""
        raise NotImplementedError

    def ended(self) -> None:
        """The last WSPCleanup has come."""


class Process:
    """Whether the process is ending: DLL_PROCESS_DETACH."""

    detached = False

    def detach(self) -> None:
        self.detached = True


PROCESS = Process()
atexit.register(PROCESS.detach)


# The non-IFS kind.


class Calls(threading.local):
    """The tables that this thread is calling below, the innermost last, so that a call can be cancelled."""

    def __init__(self) -> None:
        self.tables: list[ProcTable] = []


CALLS = Calls()


class Context:
    """A socket of ours: its handle, the socket below, and how many calls are using it. Entering it is using it."""

    def __init__(self, layered: Layered, upcalls: Upcalls, below: int, parent: Context | None = None) -> None:
        self.layered = layered
        self.table = layered.table
        self.below = below
        self.lock = threading.Lock()
        self._upcalls = upcalls
        self._references = 1
        self._closing = False
        self.window: MessageQueue | None = None if parent is None else parent.window
        """Where the application wants the messages of its events, and as which."""
        self.message = 0 if parent is None else parent.message
        self.handle = upcalls.WPUCreateSocketHandle(layered.entry_id, self)
        with layered.lock:
            layered.sockets[self.handle] = self

    def __enter__(self) -> Self:
        with self.lock:
            if self._closing:
                raise WinsockError(winsock.WSAENOTSOCK, f"{self.handle} is being closed")
            self._references += 1
        CALLS.tables.append(self.table)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        CALLS.tables.pop()
        self._release()

    def close(self) -> None:
        """Close the socket below; the handle goes when the last call that uses it has come back."""
        with self.lock:
            if self._closing:
                raise WinsockError(winsock.WSAENOTSOCK, f"{self.handle} is being closed")
            self._closing = True
        try:
            self.table.WSPCloseSocket(self.below)
        except WinsockError as error:
            if error.winerror != winsock.WSAENOTSOCK:
                self._closing = False
                raise
        self._release()

    def _release(self) -> None:
        with self.lock:
            self._references -= 1
            if self._references:
                return
        with self.layered.lock:
            self.layered.sockets.pop(self.handle, None)
        self._upcalls.WPUCloseSocketHandle(self.handle)


class HiddenWindow:
    """Gets the messages of all sockets below, in a thread of its own, and passes them on with the application's handle.

    The first message of an accepted connection can come before its context is there.
    """

    SOCKET, QUIT = 0x0401, 0x0012

    def __init__(self, upcalls: Upcalls, find: Callable[[int], Context | None]) -> None:
        self.queue = MessageQueue()
        self._upcalls = upcalls
        self._find = find
        self._added = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="lsp-sample-window", daemon=True)
        self._thread.start()

    def added(self) -> None:
        """There is a new context."""
        with self._added:
            self._added.notify_all()

    def end(self) -> None:
        """Pass on no more."""
        self.queue.post(self.QUIT, 0, 0)
        self._thread.join()

    def _run(self) -> None:
        while (message := self.queue.get()) is None or message.message != self.QUIT:
            context = None if message is None else self._context(message.wparam)
            if message is not None and context is not None and context.window is not None:
                self._upcalls.WPUPostMessage(context.window, context.message, context.handle, message.lparam)

    def _context(self, below: int) -> Context | None:
        with self._added:
            for _ in range(LOOKS):
                context = self._find(below)
                if context is not None:
                    return context
                self._added.wait(TURN_S)
        return None


class NonIfsLsp(Lsp):
    """All 30 functions: from the application's handle to its context, and on to the socket below."""

    ID = GUID.parse("{7a1c0d52-3c1f-4b58-9f0e-6f2b8a4d1e01}")
    IFS = False

    def __init__(self) -> None:
        super().__init__()
        self._window: HiddenWindow | None = None

    def table_over(self, layered: Layered) -> ProcTable:
        return ProcTable.of(self)

    def close(self, layered: Layered, s: int) -> None:
        layered.sockets[s].close()

    def ended(self) -> None:
        window, self._window = self._window, None
        if window is not None:
            window.end()

    def use(self, s: int) -> Context:
        """The context of a handle, for a `with`; raises WSAENOTSOCK."""
        context = self.upcalls.WPUQuerySocketHandleContext(s)
        if not isinstance(context, Context):
            raise WinsockError(winsock.WSAENOTSOCK, f"{s} is no handle of this layer")
        return context

    def wrap(self, layered: Layered, below: int, parent: Context | None = None) -> int:
        """A handle of ours for a new socket of the provider below, which is closed if there is none to be had.

        A connection has the messages of its listener.
        """
        try:
            context = Context(layered, self.upcalls, below, parent)
        except WinsockError:
            layered.table.WSPCloseSocket(below)
            raise
        if self._window is not None:
            self._window.added()
        return context.handle

    def find(self, below: int) -> Context | None:
        """The context of a socket below."""
        contexts = (context for layered in self.entries for context in list(layered.sockets.values()))
        return next((context for context in contexts if context.below == below), None)

    # New sockets.

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        layered, info = self.started(af, type, protocol, protocol_info)
        below = layered.table.WSPSocket(af, type, protocol, info, g, flags | winsock.WSA_FLAG_OVERLAPPED)
        return self.wrap(layered, below)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        with self.use(s) as listener:
            below, address = listener.table.WSPAccept(listener.below, condition, callback_data)
            return self.wrap(listener.layered, below, listener), address

    def WSPJoinLeaf(self, s: int, *arguments: Any) -> int:
        with self.use(s) as root:
            below = root.table.WSPJoinLeaf(root.below, *arguments)
            return s if below == root.below else self.wrap(root.layered, below)

    def WSPCloseSocket(self, s: int) -> None:
        with self.use(s) as context:
            context.close()

    # Bytes.

    def WSPSend(self, s: int, buffers: Any, flags: int = 0, *overlapped: object) -> Any:
        with self.use(s) as context:
            return sending(context, context.table.WSPSend, buffers, flags, overlapped)

    def WSPSendTo(self, s: int, buffers: Any, flags: int = 0, to: Sockaddr | None = None, *overlapped: object) -> Any:
        with self.use(s) as context:
            return sending(context, context.table.WSPSendTo, buffers, flags, overlapped, to)

    def WSPRecv(self, s: int, buffers: Any, flags: int = 0, *overlapped: object) -> Any:
        with self.use(s) as context:
            return receiving(context, context.table.WSPRecv, buffers, flags, overlapped)

    def WSPRecvFrom(self, s: int, buffers: Any, flags: int = 0, *overlapped: object) -> Any:
        with self.use(s) as context:
            return receiving(context, context.table.WSPRecvFrom, buffers, flags, overlapped)

    # Handles within arguments.

    def WSPSelect(
        self, nfds: int, readfds: Handles, writefds: Handles, exceptfds: Handles, timeout: float | None
    ) -> tuple[list[int], list[int], list[int]]:
        sets: Sets = (readfds or (), writefds or (), exceptfds or ())
        with ExitStack() as held:
            contexts = {s: held.enter_context(self.use(s)) for s in {s for handles in sets for s in handles}}
            if not contexts:
                raise WinsockError(winsock.WSAEINVAL, "there is no handle in any set")
            groups = [Group.of(select, sets, contexts) for select in {c.table.WSPSelect for c in contexts.values()}]
            below = select_below(nfds, groups, timeout)
            reads, writes, exceptions = (
                [s for s in handles if self.upcalls.WPUFDIsSet(contexts[s].below, ready)]
                for handles, ready in zip(sets, below, strict=True)
            )
        return reads, writes, exceptions

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: Any) -> None:
        with self.use(s) as context:
            if (level, optname) != (winsock.SOL_SOCKET, winsock.SO_UPDATE_ACCEPT_CONTEXT):
                context.table.WSPSetSockOpt(context.below, level, optname, value)
                return
            with self.use(int.from_bytes(value, "little")) as listener:
                below = listener.below.to_bytes(len(value), "little")
                context.table.WSPSetSockOpt(context.below, level, optname, below)

    # What the layer answers as itself.

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> Any:
        with self.use(s) as context:
            if is_protocol_info(level, optname):
                return context.layered.info
            return context.table.WSPGetSockOpt(context.below, level, optname)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        with self.use(s) as context:
            below = context.table.WSPDuplicateSocket(context.below, process_id)
            return context.layered.info._replace(dwProviderReserved=below.dwProviderReserved)

    def WSPIoctl(
        self, s: int, code: int, in_buffer: Any = None, out_size: int = 0, *overlapped: object
    ) -> bytes | None:
        refuse_overlapped(overlapped)
        refuse_extensions(code)
        with self.use(s) as context:
            answer: bytes | None = context.table.WSPIoctl(context.below, code, in_buffer, out_size)
            return answer

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        if events and not isinstance(window, MessageQueue):
            raise WinsockError(winsock.WSAEINVAL, f"{window!r} is no window")
        with self.use(s) as context:
            context.window, context.message = window if isinstance(window, MessageQueue) else None, message
            context.table.WSPAsyncSelect(context.below, self.hidden_window().queue, HiddenWindow.SOCKET, events)

    def hidden_window(self) -> HiddenWindow:
        """Where the providers below post to, which would name their own handles."""
        with self._lock:
            if self._window is None:
                self._window = HiddenWindow(self.upcalls, self.find)
            return self._window

    def WSPCancelBlockingCall(self) -> None:
        if not CALLS.tables:
            raise WinsockError(winsock.WSAEINVAL, "this thread is in no call of ours")
        CALLS.tables[-1].WSPCancelBlockingCall()

    # Addresses as text.

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        layered, info = self._converter(address.family, protocol_info)
        return layered.table.WSPAddressToString(address, info)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        layered, info = self._converter(address_family, protocol_info)
        return layered.table.WSPStringToAddress(text, address_family, info)

    def _converter(self, family: int, given: WSAPROTOCOL_INFO | None) -> tuple[Layered, WSAPROTOCOL_INFO]:
        if given is not None:
            return self.started(*FROM_INFO, given)
        for layered in self.entries:
            if layered.info.iAddressFamily == family:
                return self.started(*FROM_INFO, layered.info)
        raise WinsockError(winsock.WSAEINVAL, f"none of our entries has the family {family}")


TRANSLATED = (
    "WSPBind",
    "WSPConnect",
    "WSPEnumNetworkEvents",
    "WSPEventSelect",
    "WSPGetOverlappedResult",
    "WSPGetPeerName",
    "WSPGetQOSByName",
    "WSPGetSockName",
    "WSPListen",
    "WSPRecvDisconnect",
    "WSPSendDisconnect",
    "WSPShutdown",
)
"""The functions of the non-IFS kind that need nothing but another handle."""


def _translating(function: str) -> Callable[..., Any]:
    def call(self: NonIfsLsp, s: int, *arguments: Any) -> Any:
        with self.use(s) as context:
            return getattr(context.table, function)(context.below, *arguments)

    call.__name__ = function
    return call


for _function in TRANSLATED:
    setattr(NonIfsLsp, _function, _translating(_function))


def sending(
    context: Context, send: Callable[..., Any], buffers: Any, flags: int, overlapped: Sequence[object], *to: Any
) -> Any:
    """Send below, and count; a call that fails may have sent something."""
    refuse_overlapped(overlapped)
    try:
        sent = send(context.below, buffers, flags, *to)
    except WinsockError as error:
        context.layered.count(sent=error.count or 0)
        raise
    context.layered.count(sent=sent)
    return sent


def receiving(
    context: Context, receive: Callable[..., Any], buffers: Any, flags: int, overlapped: Sequence[object]
) -> Any:
    """Receive below, and count what does not stay there."""
    refuse_overlapped(overlapped)
    taken = 0 if flags & winsock.MSG_PEEK else 1
    try:
        result = receive(context.below, buffers, flags)
    except WinsockError as error:
        context.layered.count(received=taken * (error.count or 0))
        raise
    context.layered.count(received=taken * result[0])
    return result


class Group(NamedTuple):
    """The part of a select that one provider below can answer, in its own handles."""

    select: Callable[..., tuple[list[int], list[int], list[int]]]
    sets: list[list[int]]

    @classmethod
    def of(cls, select: Any, sets: Sets, contexts: dict[int, Context]) -> Self:
        own = {s: context.below for s, context in contexts.items() if context.table.WSPSelect == select}
        return cls(select, [[own[s] for s in handles if s in own] for handles in sets])


def select_below(nfds: int, groups: list[Group], timeout: float | None) -> list[set[int]]:
    """What is ready below. One provider simply waits; several are asked, and wait a little, in turns."""
    if len(groups) == 1:
        return [set(ready) for ready in groups[0].select(nfds, *groups[0].sets, timeout)]
    deadline = None if timeout is None else time.monotonic() + timeout
    for turn in count():
        answers = [group.select(nfds, *group.sets, 0) for group in groups]
        ready = [set().union(*parts) for parts in zip(*answers, strict=True)]
        left = TURN_S if deadline is None else deadline - time.monotonic()
        if any(ready) or left <= 0:
            return ready
        patient = groups[turn % len(groups)]
        patient.select(nfds, *patient.sets, min(left, TURN_S))
    raise AssertionError("unreachable")


def is_protocol_info(level: int, optname: int) -> bool:
    """Whether an option asks for the entry that the socket was opened with, which is ours."""
    return level == winsock.SOL_SOCKET and optname in (winsock.SO_PROTOCOL_INFOA, winsock.SO_PROTOCOL_INFOW)


def refuse_overlapped(arguments: Sequence[object]) -> None:
    """Overlapped I/O needs a structure of our own below, and somebody who waits for it."""
    if any(argument is not None for argument in arguments):
        raise unsupported("overlapped I/O")


def refuse_extensions(code: int) -> None:
    """A function of the provider below would go round us."""
    if code == winsock.SIO_GET_EXTENSION_FUNCTION_POINTER:
        raise unsupported("an extension function")


# The IFS kind.

REPLACED = (
    "WSPAccept",
    "WSPCleanup",
    "WSPCloseSocket",
    "WSPConnect",
    "WSPGetPeerName",
    "WSPGetSockOpt",
    "WSPIoctl",
    "WSPSend",
    "WSPSocket",
)
"""The functions of the IFS kind; the others are the very functions of the provider below."""


class IfsLsp(Lsp):
    """Nine functions over the table below; `sockets` of an entry holds what address each was told to connect to."""

    ID = GUID.parse("{7a1c0d52-3c1f-4b58-9f0e-6f2b8a4d1e02}")
    IFS = True

    def table_over(self, layered: Layered) -> ProcTable:
        table = layered.table.copy()
        functions = IfsFunctions(self, layered)
        for name in REPLACED:
            setattr(table, name, getattr(functions, name))
        return table

    def close(self, layered: Layered, s: int) -> None:
        layered.table.WSPCloseSocket(s)


class IfsFunctions:
    """The nine functions. A socket that came from elsewhere is one of the chain that this table was made for."""

    def __init__(self, lsp: IfsLsp, layered: Layered) -> None:
        self._lsp = lsp
        self._own = layered
        self.WSPCleanup = lsp.WSPCleanup

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        layered, info = self._lsp.started(af, type, protocol, protocol_info)
        return self._hand_up(layered, layered.table.WSPSocket(af, type, protocol, info, g, flags))

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        layered = self._layered(s)
        handle, address = layered.table.WSPAccept(s, condition, callback_data)
        return self._hand_up(layered, handle), address

    def WSPCloseSocket(self, s: int) -> None:
        layered = self._layered(s)
        asked = layered.sockets.pop(s, None)  # before its number can be another socket's
        try:
            layered.table.WSPCloseSocket(s)
        except WinsockError:
            layered.sockets[s] = asked
            raise

    def WSPConnect(self, s: int, name: Sockaddr, *rest: Any) -> bytes | None:
        layered = self._layered(s)
        if s in layered.sockets:
            layered.sockets[s] = name if name in REDIRECTED else None
        answer: bytes | None = layered.table.WSPConnect(s, REDIRECTED.get(name, name), *rest)
        return answer

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        layered = self._layered(s)
        peer = layered.table.WSPGetPeerName(s)
        return layered.sockets.get(s) or peer

    def WSPSend(self, s: int, buffers: Sequence[Any], flags: int = 0, *overlapped: Any) -> int | None:
        layered = self._layered(s)
        sent = layered.table.WSPSend(s, buffers, flags, *overlapped)
        layered.count(sent=sent or 0)  # of what is pending we hear no more
        return sent

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> Any:
        layered = self._layered(s)
        return layered.info if is_protocol_info(level, optname) else layered.table.WSPGetSockOpt(s, level, optname)

    def WSPIoctl(self, s: int, code: int, *rest: Any) -> bytes | None:
        refuse_extensions(code)
        answer: bytes | None = self._layered(s).table.WSPIoctl(s, code, *rest)
        return answer

    def _layered(self, s: int) -> Layered:
        return next((layered for layered in self._lsp.entries if s in layered.sockets), self._own)

    def _hand_up(self, layered: Layered, below: int) -> int:
        """Say that the handle is served by us; it must stay the same."""
        try:
            handle = self._lsp.upcalls.WPUModifyIFSHandle(layered.entry_id, below)
        except WinsockError:
            layered.table.WSPCloseSocket(below)
            raise
        assert handle == below
        with layered.lock:
            layered.sockets[handle] = None
        return handle


non_ifs = NonIfsLsp()
ifs = IfsLsp()
