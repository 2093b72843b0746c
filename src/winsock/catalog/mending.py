"""Chains that cannot be, and what becomes of them: a removal must not take the network with it.

A chain that has lost a member goes on without it. Where nothing but the base is left, or the base is gone, there is
no chain any more; where it has become the same as another, one of them stays, in the place of the first.

Sources: transport-configuration-and-installation-2 (what a chain may hold); the published installer repairs dependents
before it removes a layer, for the same reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import is_

from winsock.abi.constants import BASE_PROTOCOL
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog import layering
from winsock.catalog.entries import CatalogEntry


def problem_of(entries: Iterable[CatalogEntry], chain: WSAPROTOCOL_INFO) -> str | None:
    """Why such a chain cannot be among these entries; None where it can."""
    infos = layering.infos_of(entries)
    length, members = chain.ProtocolChain
    if length != len(members):
        return f"its ChainLen is {length}, but it names {len(members)} entries"
    missing = [member for member in members if member not in infos]
    if missing:
        return f"it names the entry {missing[0]}, which is not installed"
    if infos[members[-1]].chain_length != BASE_PROTOCOL:
        return f"it ends in {infos[members[-1]].szProtocol}, which is no base protocol"
    if any(infos[member].chain_length == BASE_PROTOCOL for member in members[:-1]):
        return "it has a base protocol above its end"
    layers = [layering.layer_of(member, infos) for member in members[:-1]]
    if None in layers:
        return "it names itself"
    if len(set(layers)) < len(layers):
        return "it has a layer twice"
    return None


def name_of(members: Sequence[int], infos: layering.Infos) -> str:
    """How a chain of these members is called: "a over [b over [tcp]]"."""
    name = infos[members[-1]].szProtocol
    for member in reversed(members[:-1]):
        name = layering.name_over(infos[layering.layer_of(member, infos) or member].szProtocol, name)
    return name


def mended(entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    """The entries, with chains that name only entries which are there."""
    before = {entry.info.dwCatalogEntryId: entry for entry in entries}
    while True:
        infos = layering.infos_of(entries)
        by_id = {entry.info.dwCatalogEntryId: entry for entry in entries}
        after = [left for entry in entries if (left := _left_of(entry, by_id, infos)) is not None]
        if len(after) == len(entries) and all(map(is_, after, entries)):
            break
        entries = after
    shortened = {entry_id for entry_id, info in infos.items() if info is not before[entry_id].info}
    return _without_twins(after, shortened)


def _left_of(entry: CatalogEntry, by_id: Mapping[int, CatalogEntry], infos: layering.Infos) -> CatalogEntry | None:
    """The entry; a chain without the members that are not there, None where it is no chain any more.

    A chain comes from where its uppermost layer comes from, so a new uppermost one brings its path and options.
    """
    if entry.info.chain_length <= BASE_PROTOCOL:
        return entry
    *above, base = entry.info.ProtocolChain.ChainEntries
    layers = [member for member in above if layering.layer_of(member, infos) is not None]
    if not layers or base not in infos or infos[base].chain_length != BASE_PROTOCOL:
        return None
    if layers == above:
        return entry
    members = (*layers, base)
    chain = WSAPROTOCOLCHAIN(len(members), members)
    source = entry if layers[0] == above[0] else by_id[layers[0]]
    info = entry.info._replace(ProtocolChain=chain, szProtocol=name_of(members, infos))
    return source._replace(info=info, categories=entry.categories)


def _without_twins(entries: list[CatalogEntry], shortened: set[int]) -> list[CatalogEntry]:
    """Of chains that a loss has made the same, one, in the place of the first: the one that was so before."""
    twins: dict[tuple[int, ...], list[CatalogEntry]] = {}
    for entry in entries:
        if entry.info.chain_length > BASE_PROTOCOL:
            twins.setdefault(entry.info.ProtocolChain.ChainEntries, []).append(entry)
    stands_for: dict[int, CatalogEntry] = {}
    for chains in twins.values():
        ids = [chain.info.dwCatalogEntryId for chain in chains]
        if shortened.intersection(ids):
            kept = next((chain for chain in chains if chain.info.dwCatalogEntryId not in shortened), chains[0])
            stands_for.update(dict.fromkeys(ids, kept))
    chosen = [stands_for.get(entry.info.dwCatalogEntryId, entry) for entry in entries]
    unique = {entry.info.dwCatalogEntryId: entry for entry in chosen}
    return [_renaming(entry, stands_for) for entry in unique.values()]


def _renaming(entry: CatalogEntry, stands_for: Mapping[int, CatalogEntry]) -> CatalogEntry:
    """The entry, naming those that stay where it named their twins."""
    length, members = entry.info.ProtocolChain
    if stands_for.keys().isdisjoint(members):
        return entry
    named = tuple(stands_for[m].info.dwCatalogEntryId if m in stands_for else m for m in members)
    return entry._replace(info=entry.info._replace(ProtocolChain=WSAPROTOCOLCHAIN(length, named)))
