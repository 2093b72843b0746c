"""What sockets get of a catalog: the first entry of each kind, and the layers that stand in those chains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from winsock.abi.constants import BASE_PROTOCOL
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.catalog import layering
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.catalog.install import uppermost
from winsock.core.kinds import FAMILY_NAMES, PROTOCOL_NAMES


class Route(NamedTuple):
    """The layers that sockets of some kinds pass, the uppermost first, and those kinds: "tcp/ipv4"."""

    layers: tuple[str, ...]
    kinds: tuple[str, ...]


def layers_in_use(catalog: Catalog) -> list[CatalogEntry]:
    """The entries of the layers in the chains that sockets get, from the top down as far as the chains agree."""
    by_id = {entry.info.dwCatalogEntryId: entry for entry in catalog}
    return [by_id[layer] for layer in _merged(layers_of(entry, catalog) for entry in uppermost(catalog))]


def layers_of(entry: CatalogEntry, catalog: Catalog) -> list[int]:
    """The ids of the layered protocols in an entry's chain, the uppermost first; none for a base protocol."""
    if entry.info.chain_length <= BASE_PROTOCOL:
        return []
    infos = layering.infos_of(catalog)
    layers = (layering.layer_of(member, infos) for member in entry.info.ProtocolChain.ChainEntries)
    return [layer for layer in layers if layer is not None]


def routes(catalog: Catalog) -> list[Route]:
    """Which layers sockets pass, by kind; kinds that pass the same ones together."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for entry in uppermost(catalog):
        names = tuple(catalog.find(layer).info.szProtocol for layer in layers_of(entry, catalog))
        kinds.setdefault(names, []).append(kind_name(entry.info))
    return [Route(names, tuple(found)) for names, found in kinds.items()]


def kind_name(info: WSAPROTOCOL_INFO) -> str:
    """ "tcp/ipv4"; of what has no such name, its numbers."""
    protocol = PROTOCOL_NAMES.get(info.iProtocol, f"protocol {info.iProtocol}")
    family = FAMILY_NAMES.get(info.iAddressFamily, f"family {info.iAddressFamily}")
    return f"{protocol}/{family}"


def _merged(chains: Iterable[list[int]]) -> list[int]:
    """All of them, each once; what a chain has that is not known yet comes before what it knows below it."""
    merged: list[int] = []
    for chain in chains:
        place = len(merged)
        for layer in reversed(chain):
            if layer in merged:
                place = merged.index(layer)
            else:
                merged.insert(place, layer)
    return merged
