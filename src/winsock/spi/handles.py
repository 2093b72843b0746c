"""A layered provider with handles of its own: it stands between the application and every call, transfers included.

Its handles are made by WPUCreateSocketHandle. To each belongs a context, which knows the handle below; every call is
translated on its way down, and so are the handles that travel inside of one: the sets of WSPSelect, the listening
socket in the value of SO_UPDATE_ACCEPT_CONTEXT, the new handles of WSPAccept and WSPJoinLeaf. Nobody else knows the
handles below, so that nothing can go round the layer: they are not inherited by other processes, and closing the
number that the application holds closes what is below it.

All 30 slots are the layer's own. A subclass overrides any of them, and is called with the application's handles; it
goes on by `super().WSPSend(s, ...)`, or by `self.next.WSPSend(self.lower(s), ...)`.

A socket that is shared with another process (WSPDuplicateSocket) has a handle of the layer there, too, over the
duplicate from below: an instance of its own, whose context is new. What a context knows is each process's alone.

A layer must not know whether the provider below makes handles of its own, too. A handle that the chain was lent
(`adopted`) is the same number above and below.

Sources: nf-ws2spi-wpucreatesockethandle, "Layered Service Provider Considerations"; design rules 2 and 5.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

from winsock.abi.constants import (
    SIO_BASE_HANDLE,
    SIO_BSP_HANDLE,
    SIO_BSP_HANDLE_POLL,
    SIO_GET_EXTENSION_FUNCTION_POINTER,
    SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER,
    SO_UPDATE_ACCEPT_CONTEXT,
    SOL_SOCKET,
    WSA_FLAG_NO_HANDLE_INHERIT,
    WSA_FLAG_OVERLAPPED,
)
from winsock.abi.errors import WSAEFAULT, WSAENOTSOCK, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.spi.layer import Layer
from winsock.spi.provider import FUNCTIONS, OptionValue, ReadBuffer, WriteBuffer, check_at_once, unsupported

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.spi.provider import WSPDATA, ProcTable
    from winsock.spi.upcalls import Upcalls

HANDLE = struct.Struct("<Q")
"""A SOCKET, as it stands in the buffers of options and control codes."""

_OWN_HANDLE = (SIO_BSP_HANDLE, SIO_BSP_HANDLE_POLL)
"""Control codes that ask who is to be called. SIO_BASE_HANDLE asks for what is below all layers, and goes down;
SIO_BSP_HANDLE_SELECT is no layer's to answer, because the sets of one select mix families."""
_EXTENSIONS = (SIO_GET_EXTENSION_FUNCTION_POINTER, SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER)
_WITHOUT_HANDLE = ("WSPAddressToString", "WSPCancelBlockingCall", "WSPCleanup", "WSPSocket", "WSPStringToAddress")


class Context:
    """What a layer knows of one of its handles. See `NonIfsLayer.context_type`."""

    handle: int
    """The application's handle."""

    def __init__(self, lower: int, *, inheritable: bool = False) -> None:
        self.lower = lower
        """The handle below."""
        self.inheritable = inheritable
        """Whether the application asked for a handle that its children have, too."""

    @property
    def made(self) -> bool:
        """Whether the layer made the handle, rather than being lent it."""
        return self.handle != self.lower


class NonIfsLayer(Layer):
    """Everything passes, under handles of the layer's own; a subclass overrides hooks or WSP functions."""

    ifs_handles = False
    slots = FUNCTIONS
    context_type: ClassVar[type[Context]] = Context
    """What `context` answers with: a subclass of `Context`, which may hold what the author likes."""

    _contexts: dict[int, Any]
    _uppers: dict[int, int]
    """Handle below -> the application's."""
    _early: list[tuple[Any, int, int, int]]
    """Messages about handles from below that were accepted, and are not known yet."""

    # What an author uses.

    def context(self, s: int) -> Any:
        """The context of an application's handle, a `Context`; raises WSAENOTSOCK where it is none of this layer's."""
        try:
            return self._contexts[s]
        except (KeyError, TypeError):
            raise _not_a_socket(s) from None

    def lower(self, s: int) -> int:
        """The handle below an application's handle; raises WSAENOTSOCK."""
        try:
            return self._contexts[s].lower  # type: ignore[no-any-return]
        except (KeyError, TypeError):
            raise _not_a_socket(s) from None

    def make_handle(self, lower: int, *, inheritable: bool = False) -> int:
        """A handle for the application over one from below, which is closed where there is none to be had."""
        _watch_forks(self)
        try:
            context = self.context_type(lower, inheritable=inheritable)
            handle = self.upcalls.WPUCreateSocketHandle(self.entry_id, context)
        except BaseException:
            self.upcalls.release_handle(lower)
            self.next.WSPCloseSocket(lower)
            raise
        context.handle = handle
        self.upcalls.hide_handle(lower)
        self._contexts[handle] = context
        self._uppers[lower] = handle
        self._post_early(lower)
        return handle

    def adopted(self, handle: int) -> None:
        """A handle that the chain did not create stands above and below alike."""
        context = self.context_type(handle)
        context.handle = handle
        self._contexts[handle] = context
        self._uppers[handle] = handle

    # The provider.

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self._contexts, self._uppers, self._early = {}, {}, []
        return super().WSPStartup(version, protocol_info, upcalls)

    def WSPCleanup(self) -> None:
        while self._contexts:
            self._let_go(self._contexts.popitem()[1])
        super().WSPCleanup()

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        below = flags | WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT
        lower = super().WSPSocket(af, type, protocol, protocol_info, g, below)
        return self.make_handle(lower, inheritable=not flags & WSA_FLAG_NO_HANDLE_INHERIT)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        listener = self.context(s)
        lower, address = super().WSPAccept(listener.lower, condition, callback_data)
        return self.make_handle(lower, inheritable=listener.inheritable), address

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
        root = self.context(s)
        leaf = super().WSPJoinLeaf(root.lower, name, caller_data, callee_data, sqos, gqos, flags)
        return s if leaf == root.lower else self.make_handle(leaf, inheritable=root.inheritable)

    def WSPCloseSocket(self, s: int) -> None:
        context = self.claim(s)
        try:
            if context.made:
                self.upcalls.release_handle(context.lower)
            self._close_below(s, context.lower)
        except BaseException:
            self._contexts.setdefault(s, context)
            raise
        self.forget(context)

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        sets = [list(handles or ()) for handles in (readfds, writefds, exceptfds)]
        below = [[self.lower(s) for s in handles] for handles in sets]
        ready = self.next.WSPSelect(nfds, *below, timeout)
        is_set = self.upcalls.WPUFDIsSet
        reads, writes, exceptions = (
            [s for s in dict.fromkeys(handles) if is_set(self.lower(s), found)]
            for handles, found in zip(sets, ready, strict=True)
        )
        return reads, writes, exceptions

    def WSPAsyncSelect(self, s: int, window: object, message: int, events: int) -> None:
        forwarded = getattr(window, "forwarded", None)
        below = window if forwarded is None else forwarded(partial(self._post, window))
        self.next.WSPAsyncSelect(self.lower(s), below, message, events)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        if (level, optname) == (SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT):
            value = self._translated(value)
        super().WSPSetSockOpt(self.lower(s), level, optname, value)

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
        lower = self.lower(s)
        check_at_once(code, overlapped)
        if code in _OWN_HANDLE:
            return _own_handle(s, out_size)
        if code in _EXTENSIONS:
            raise unsupported(f"an extension function from below {self.name}, which would not know its handles,")
        return super().WSPIoctl(lower, code, in_buffer, out_size, overlapped, completion_routine, thread_id)

    # What is behind them.

    def claim(self, s: int) -> Any:
        """The context of a handle that is to be closed, for one caller alone; raises WSAENOTSOCK.

        Of two threads that close a handle one comes late, and the handle below may have the number of another's then.
        """
        context = self.context(s)
        if self._contexts.pop(s, None) is not context:
            raise _not_a_socket(s)
        return context

    def forget(self, context: Context) -> None:
        """End a handle whose lower one is closed, or goes on without it."""
        if self._contexts.get(context.handle) is context:
            del self._contexts[context.handle]
        if self._uppers.get(context.lower) == context.handle:
            del self._uppers[context.lower]
        if context.made:
            self.upcalls.WPUCloseSocketHandle(context.handle)

    def _own(self, handle: int) -> int:
        """A new handle on its way up: what an override brought from below is wrapped, so that nothing goes round us."""
        if not self._is_own(handle):
            handle = self.make_handle(handle)
        self._note_opened(handle)
        return handle

    def _is_own(self, handle: int) -> bool:
        """Whether it is one of ours; a handle below may have the number of one that was closed behind our back."""
        context = self._contexts.get(handle)
        if context is None or not context.made:
            return context is not None
        try:
            return self.upcalls.WPUQuerySocketHandleContext(handle) is context
        except WinsockError:
            return False

    def _post(self, window: Any, message: int, lower: int, lparam: int) -> None:
        """A message from below: the application knows the socket by another handle, or will."""
        s = self._uppers.get(lower)
        if s is None:
            self._early.append((window, message, lower, lparam))
        else:
            self.upcalls.WPUPostMessage(window, message, s, lparam)

    def _post_early(self, lower: int) -> None:
        for message in [message for message in self._early if message[2] == lower]:
            self._early.remove(message)
            self._post(*message)

    def _reset(self, handle: int) -> None:
        super()._reset(handle)
        self._early = [message for message in self._early if message[2] != handle]

    def _let_go(self, context: Any) -> None:
        """Close what is below a handle that nobody will close any more."""
        if not context.made:
            return
        try:
            self.upcalls.release_handle(context.lower)
            self.next.WSPCloseSocket(context.lower)
        except WinsockError:
            pass  # it is closed already

    def _translated(self, value: OptionValue) -> OptionValue:
        """The value of an option that is a handle of ours, as the handle below."""
        if isinstance(value, int):
            return self.lower(value)
        if not isinstance(value, bytes) or len(value) < HANDLE.size:
            raise WinsockError(WSAEFAULT, f"value: {value!r} holds no handle")
        return HANDLE.pack(self.lower(HANDLE.unpack_from(value)[0]))

    def _leave_to_parent(self) -> None:
        """In a forked child: what is below the handles belongs to the parent, and must not be kept open here."""
        contexts, self._contexts = self._contexts, {}
        self._uppers.clear()
        for context in contexts.values():
            if context.made:
                try:
                    os.close(base_handle(self.next, context.lower))
                except OSError:
                    pass  # a layer below closed it already


def base_handle(table: ProcTable, s: int) -> int:
    """The handle below all layers, which the host knows; raises what WSPIoctl raises."""
    return int(HANDLE.unpack(table.WSPIoctl(s, SIO_BASE_HANDLE, None, HANDLE.size))[0])


def _own_handle(s: int, out_size: int) -> bytes:
    if out_size < HANDLE.size:
        raise WinsockError(WSAEFAULT, f"out_size: {out_size} bytes hold no handle")
    return HANDLE.pack(s)


def _not_a_socket(s: object) -> WinsockError:
    return WinsockError(WSAENOTSOCK, f"s: {s!r} is no socket")


def _translating(name: str) -> Callable[..., Any]:
    onward = getattr(Layer, name)

    def translate(self: NonIfsLayer, s: int, *args: Any, **kwargs: Any) -> Any:
        return onward(self, self.lower(s), *args, **kwargs)

    translate.__name__ = name
    translate.__qualname__ = f"NonIfsLayer.{name}"
    translate.__doc__ = onward.__doc__
    return translate


for _name in FUNCTIONS:
    if _name not in NonIfsLayer.__dict__ and _name not in _WITHOUT_HANDLE:
        setattr(NonIfsLayer, _name, _translating(_name))

NonIfsLayer.plain = NonIfsLayer


_layers: WeakSet[NonIfsLayer] | None = None


def _watch_forks(layer: NonIfsLayer) -> None:
    """Have `_leave_to_parent` called in children: after the base provider's own preparations, for it came first."""
    global _layers
    if _layers is None:
        _layers = WeakSet()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork)
    _layers.add(layer)


def _after_fork() -> None:
    for layer in list(_layers or ()):
        layer._leave_to_parent()
