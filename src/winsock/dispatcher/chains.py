"""An opened protocol chain: its catalog entry, the dispatch table at its top, and its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from winsock.abi.constants import BASE_PROTOCOL, LAYERED_PROTOCOL
from winsock.core.kinds import FAMILY_NAMES, PROTOCOL_NAMES

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO
    from winsock.catalog.entries import Catalog, CatalogEntry
    from winsock.spi.layer import Layer
    from winsock.spi.provider import ProcTable


class Adopter(Protocol):
    """A provider that wants to hear of handles which its chain did not create."""

    def adopted(self, handle: int) -> None:
        """That handle is now served by the chain."""
        ...


class Chain:
    """One per catalog entry. `layers` holds the `Layer` objects, the uppermost first; foreign providers are unseen."""

    __slots__ = ("adopters", "catalog", "entry", "ids", "info", "is_over", "layers", "table", "tables")

    entry: CatalogEntry
    info: WSAPROTOCOL_INFO
    """The entry's own, which the application opened."""
    catalog: Catalog
    ids: tuple[int, ...]
    """The entry ids of the chain, the uppermost first; of a base protocol its own."""
    table: ProcTable
    """Where calls enter."""
    tables: dict[int, ProcTable]
    """Entry id -> the table of the provider that stands there, as far as the loader started it."""
    layers: tuple[Layer, ...]
    adopters: tuple[Adopter, ...]
    """Who wants to hear of adopted handles, from the top down to the base."""
    is_over: bool
    """Whether its providers were cleaned up."""

    def __init__(self, entry: CatalogEntry, catalog: Catalog) -> None:
        self.entry = entry
        self.info = entry.info
        self.catalog = catalog
        self.ids = entry.info.ProtocolChain.ChainEntries or (entry.info.dwCatalogEntryId,)
        self.tables = {}
        self.layers = ()
        self.adopters = ()
        self.is_over = False

    def table_of(self, entry_id: int) -> ProcTable | None:
        """Where calls for a handle of that provider enter; None where it was not started for this chain.

        A layer that a stranger started is known by nothing but its place, and is entered at the top.
        """
        if entry_id == self.entry.info.dwCatalogEntryId:
            return self.table
        table = self.tables.get(entry_id)
        if table is None and entry_id in self.ids and self._is_layer(entry_id):
            return self.table
        return table

    def _is_layer(self, entry_id: int) -> bool:
        return self.catalog.find(entry_id).info.chain_length == LAYERED_PROTOCOL

    def stands_over(self, entry: CatalogEntry) -> bool:
        """Whether sockets of that entry are opened by this chain, or by what is below some layers of it."""
        ids = entry.info.ProtocolChain.ChainEntries or (entry.info.dwCatalogEntryId,)
        return entry.info.dwCatalogEntryId in self.ids or ids == self.ids[-len(ids) :]

    def __repr__(self) -> str:
        return " > ".join(_spelled(self.catalog.find(entry_id).info) for entry_id in self.ids)


def _spelled(info: WSAPROTOCOL_INFO) -> str:
    """A layer's name, or "tcp/ipv4"."""
    if info.chain_length != BASE_PROTOCOL:
        return info.szProtocol
    protocol, family = PROTOCOL_NAMES.get(info.iProtocol), FAMILY_NAMES.get(info.iAddressFamily)
    return f"{protocol}/{family}" if protocol and family else info.szProtocol
