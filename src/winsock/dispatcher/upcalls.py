"""The WPU functions: where providers reach back into the dispatcher.

Each chain has one object, which knows what stands in that chain. A base provider is shared by chains and uses the
object that it was given last: its handles are its own chain's. A provider that is no `Layer` may keep one object for
all of its chains, or stand in the middle of a chain under the id of an entry of its own: one that is not among those
that were started for the object's chain is the one at the top of its entry's own chain, which is opened if need be.

Of overlapped I/O there are the calls that a provider queues to a thread (`winsock.overlapped.apcs`). A request is never
under way, so there is none to complete.

Source: nf-ws2spi-wpu* of the Windows SDK documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import TYPE_CHECKING, Any

from winsock.abi.constants import LAYERED_PROTOCOL
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSANOTINITIALISED, WinsockError
from winsock.dispatcher import records as tables
from winsock.dispatcher import threads
from winsock.dispatcher.records import Record, change, forget, forget_lost, records
from winsock.host import identity as identity_of
from winsock.spi.upcalls import WSATHREADID, BlockingCallback, StartedProvider, Upcalls

if TYPE_CHECKING:
    from winsock.abi.guids import GUID
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.catalog.entries import CatalogEntry
    from winsock.dispatcher.chains import Chain
    from winsock.overlapped.events import Event
    from winsock.spi.provider import ProcTable


silent = False
"""While the last WSACleanup cancels what is pending: no event is signalled then, and no message posted.

Sockets end one after the other, and the end of one is news to another of this process whose turn has not come.
"""


class ChainUpcalls(Upcalls):
    """What the providers of one chain are given."""

    __slots__ = ("_chain", "_open_chain", "_opened", "_start_next")

    def __init__(
        self,
        chain: Chain,
        opened: dict[int, Chain],
        open_chain: Callable[[CatalogEntry], Chain],
        start_next: Callable[[Chain, WSAPROTOCOL_INFO, object, Upcalls], StartedProvider],
    ) -> None:
        self._chain = chain
        self._opened = opened
        self._open_chain = open_chain
        self._start_next = start_next

    def WPUModifyIFSHandle(self, catalog_entry_id: int, proposed_handle: int) -> int:
        chain = self._opened.get(catalog_entry_id)
        if chain is not None and chain.ids[-1] == catalog_entry_id:  # of a base: what is proposed is new
            table = chain.table
        else:
            chain, table = self._provider(catalog_entry_id)
            record = records.get(proposed_handle)
            if record is not None and catalog_entry_id != chain.ids[-1]:  # a layer's was made below it
                change(record, chain, table)
                return proposed_handle
        try:
            identity = identity_of(proposed_handle)
        except (OSError, TypeError, OverflowError):
            raise WinsockError(WSAEINVAL, f"the proposed handle {proposed_handle!r} is no open descriptor") from None
        if proposed_handle in records:
            forget_lost(proposed_handle)
        records[proposed_handle] = Record(proposed_handle, chain, table, identity)
        return proposed_handle

    def WPUCreateSocketHandle(self, catalog_entry_id: int, context: object) -> int:
        from winsock.dispatcher import made

        return made.create(*self._provider(catalog_entry_id), context).handle

    def WPUCloseSocketHandle(self, s: int) -> None:
        from winsock.dispatcher import made

        made.close(s)

    def WPUQuerySocketHandleContext(self, s: int) -> object:
        from winsock.dispatcher import made

        return made.find(s).context

    def WPUCreateEvent(self) -> object:
        from winsock.overlapped import events

        return events.create()

    def WPUCloseEvent(self, event: object) -> None:
        from winsock.overlapped import events

        events.close(event)

    def WPUSetEvent(self, event: object) -> None:
        found = _find_event()(event)
        if not silent:
            found.ring()

    def WPUResetEvent(self, event: object) -> None:
        _find_event()(event).silence()

    def WPUPostMessage(self, window: object, message: int, wparam: int, lparam: int) -> bool:
        from winsock.overlapped.messages import MessageQueue

        if not isinstance(window, MessageQueue):
            return False
        if not silent:
            window.post(message, wparam, lparam)
        return True

    def WPUFDIsSet(self, s: int, fdset: Collection[int] | None) -> bool:
        return fdset is not None and s in fdset

    def WPUGetProviderPath(self, provider_id: GUID) -> str:
        from winsock.abi.guids import GUID

        if not isinstance(provider_id, GUID):
            raise WinsockError(WSAEFAULT, f"provider_id: {provider_id!r} is no GUID")
        return self._chain.catalog.find_provider(provider_id).path

    def WPUQueryBlockingCallback(self, catalog_entry_id: int) -> tuple[BlockingCallback | None, object]:
        if not isinstance(catalog_entry_id, int):
            raise WinsockError(WSAEFAULT, f"catalog_entry_id: {catalog_entry_id!r} is no number")
        self._chain.catalog.find(catalog_entry_id)
        state = threads.current()
        state.blocking_table = self._chain.table
        return state.blocking_callback, state.blocking_context

    def WPUQueueApc(self, thread_id: WSATHREADID, apc: Callable[[Any], object], context: object) -> None:
        from winsock.overlapped import apcs

        if not callable(apc):
            raise WinsockError(WSAEFAULT, f"apc: {apc!r} cannot be called")
        apcs.find(thread_id).post(apc, context)

    def WPUOpenCurrentThread(self) -> WSATHREADID:
        from winsock.overlapped import apcs

        self._require_start()
        return apcs.open_this_thread()

    def WPUCloseThread(self, thread_id: WSATHREADID) -> None:
        from winsock.overlapped import apcs

        self._require_start()
        apcs.close(thread_id)

    def WPUCompleteOverlappedRequest(self, s: int, overlapped: object, error: int, transferred: int) -> None:
        raise WinsockError(WSAEINVAL, "overlapped: no request of this socket goes by it")

    def start_next(self, protocol_info: WSAPROTOCOL_INFO, layer: object) -> StartedProvider:
        return self._start_next(self._chain, protocol_info, layer, self)

    def hide_handle(self, handle: int) -> None:
        record = records.get(handle)
        if record is not None:
            record.hidden = True

    def release_handle(self, handle: int) -> None:
        record = records.get(handle)
        if record is not None and not record.made:
            forget(handle)

    def renew_handle(self, handle: int, exchange: Callable[[], None]) -> None:
        with tables.renewing:
            exchange()
            record = records.get(handle)
            if record is not None:
                record.identity = identity_of(handle)

    def _require_start(self) -> None:
        """Raises WSANOTINITIALISED after the WSPCleanup of the chain."""
        if self._chain.is_over:
            raise WinsockError(WSANOTINITIALISED, f"{self._chain!r} was cleaned up")

    def _provider(self, entry_id: int) -> tuple[Chain, ProcTable]:
        """Whose handles those of an entry are; raises WSAEINVAL, and WSANOTINITIALISED after the cleanup."""
        self._require_start()
        chain = self._opened.get(entry_id)
        if chain is not None and chain.ids[-1] == entry_id:  # a base protocol, which knows of no chains above it
            return chain, chain.table
        table = self._chain.table_of(entry_id)
        if table is not None:
            return self._chain, table
        entry = self._chain.catalog.find(entry_id)
        if entry.info.chain_length == LAYERED_PROTOCOL:
            raise WinsockError(WSAEINVAL, f"{entry.info.szProtocol} is a layered protocol, which opens no sockets")
        chain = self._open_chain(entry)
        return chain, chain.table


@cache
def _find_event() -> Callable[[object], Event]:
    """What finds events, imported when somebody asks."""
    from winsock.overlapped.events import find

    return find
