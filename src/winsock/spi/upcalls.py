"""The upcalls: what Ws2_32 offers a provider, handed to its WSPStartup (WSPUPCALLTABLE).

The methods say what each upcall is; the dispatcher does the work. Each answers WSAEOPNOTSUPP until somebody
overrides it. Out-parameters are results and errors are raised, as in `winsock.spi.provider`.

Three services at the end are ours, not Windows'. A C provider finds the next one with WSCGetProviderPath and
LoadLibrary, and may do so here too; `start_next` is how `Layer` does it. `release_handle` is for a layer which
closes a handle that nobody above it has seen, `renew_handle` for a base provider which puts another file under the
number of a handle of its own.

Source: ns-ws2spi-wspupcalltable and nf-ws2spi-wpu* of the Windows SDK documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from winsock.spi.provider import WSPDATA, ProcTable, unsupported

if TYPE_CHECKING:
    from winsock.abi.guids import GUID
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO

BlockingCallback: TypeAlias = Callable[[object], bool]
"""LPBLOCKINGCALLBACK: called while a call blocks, with its context; False where the call was cancelled."""


class StartedProvider(NamedTuple):
    """The provider below a layer, started."""

    info: WSAPROTOCOL_INFO
    """What to pass to it: the chain's own entry unmodified, or the base's where the next provider is the base."""
    data: WSPDATA
    table: ProcTable


class WSATHREADID(NamedTuple):
    """A thread, for WPUQueueApc. A provider keeps it as it is for as long as it needs it."""

    ThreadHandle: int
    Reserved: int = 0


class Upcalls:
    """The WPU functions, in the order of WSPUPCALLTABLE."""

    __slots__ = ()

    def WPUCloseEvent(self, event: object) -> None:
        """Close an event object; raises WSA_INVALID_HANDLE."""
        raise unsupported("WPUCloseEvent")

    def WPUCloseSocketHandle(self, s: int) -> None:
        """End a handle that WPUCreateSocketHandle made; raises WSAENOTSOCK for any other."""
        raise unsupported("WPUCloseSocketHandle")

    def WPUCreateEvent(self) -> object:
        """A new event object."""
        raise unsupported("WPUCreateEvent")

    def WPUCreateSocketHandle(self, catalog_entry_id: int, context: object) -> int:
        """A new handle of that provider, tied to `context`, which is any object; raises WSAENOBUFS."""
        raise unsupported("WPUCreateSocketHandle")

    def WPUFDIsSet(self, s: int, fdset: Collection[int] | None) -> bool:
        """Whether a set of handles, as WSPSelect takes them, holds the handle; None is an empty set."""
        raise unsupported("WPUFDIsSet")

    def WPUGetProviderPath(self, provider_id: GUID) -> str:
        """The import path of a provider; raises WSAEINVAL for an unknown one, WSAEFAULT."""
        raise unsupported("WPUGetProviderPath")

    def WPUModifyIFSHandle(self, catalog_entry_id: int, proposed_handle: int) -> int:
        """Say that calls for this handle go to that provider; only the handle answered may be used from then on.

        Raises WSAEINVAL where the handle is no open descriptor, or the entry is unknown.
        """
        raise unsupported("WPUModifyIFSHandle")

    def WPUPostMessage(self, window: object, message: int, wparam: int, lparam: int) -> bool:
        """Post a message to a window; whether it was posted."""
        raise unsupported("WPUPostMessage")

    def WPUQueryBlockingCallback(self, catalog_entry_id: int) -> tuple[BlockingCallback | None, object]:
        """(callback, context) of this thread; no callback means to wait natively. Raises WSAEINVAL, WSAEFAULT."""
        raise unsupported("WPUQueryBlockingCallback")

    def WPUQuerySocketHandleContext(self, s: int) -> object:
        """The context given to WPUCreateSocketHandle; raises WSAENOTSOCK for any other handle."""
        raise unsupported("WPUQuerySocketHandleContext")

    def WPUQueueApc(self, thread_id: WSATHREADID, apc: Callable[[Any], object], context: object) -> None:
        """Queue `apc(context)` to a thread, which runs it when it waits alertably; raises WSAEFAULT.

        The thread is one that WPUOpenCurrentThread named, or one whose id came with an overlapped call.
        """
        raise unsupported("WPUQueueApc")

    def WPUResetEvent(self, event: object) -> None:
        """Reset an event object; raises WSA_INVALID_HANDLE."""
        raise unsupported("WPUResetEvent")

    def WPUSetEvent(self, event: object) -> None:
        """Set an event object; raises ERROR_INVALID_HANDLE."""
        raise unsupported("WPUSetEvent")

    def WPUOpenCurrentThread(self) -> WSATHREADID:
        """An id of this thread for overlapped calls and WPUQueueApc, to be closed; raises WSANOTINITIALISED."""
        raise unsupported("WPUOpenCurrentThread")

    def WPUCloseThread(self, thread_id: WSATHREADID) -> None:
        """Close an id that WPUOpenCurrentThread gave; raises WSANOTINITIALISED, WSAEFAULT for any other."""
        raise unsupported("WPUCloseThread")

    def WPUCompleteOverlappedRequest(self, s: int, overlapped: object, error: int, transferred: int) -> None:
        """Complete an overlapped request, once (exported by Ws2_32 itself, not a member of the table)."""
        raise unsupported("WPUCompleteOverlappedRequest")

    def start_next(self, protocol_info: WSAPROTOCOL_INFO, layer: object) -> StartedProvider:
        """Load and start what follows `layer` in the chain of `protocol_info`."""
        raise unsupported("start_next")

    def hide_handle(self, handle: int) -> None:
        """Say that a handle is below another one of the layer's making, and closed by nobody else than the layer."""
        raise unsupported("hide_handle")

    def release_handle(self, handle: int) -> None:
        """End the association of a handle that its layer is about to close unseen."""
        raise unsupported("release_handle")

    def renew_handle(self, handle: int, exchange: Callable[[], None]) -> None:
        """Run `exchange`, which puts another file under the handle's number; it is the same handle afterwards."""
        raise unsupported("renew_handle")
