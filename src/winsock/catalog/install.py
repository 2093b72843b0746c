"""What installing, updating, ordering and removing make of a catalog: values in, values out, nothing is written here.

A chain names its members by their ids, the uppermost first, the base last. A member is a layered protocol (ChainLen 0),
or another chain, which stands for its own uppermost layer: so the published installer writes it, whose chains name the
entry that they cover. After every change the catalog is settled: ids are distinct, chains name only what there is, and
XP1_IFS_HANDLES of a chain is what all of its members have in common.

Sources: nf-ws2spi-wscinstallprovider, -wscinstallproviderandchains, -wscdeinstallprovider, -wscupdateprovider;
nf-sporder-wscwriteproviderorder; transport-configuration-and-installation-2.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from winsock.abi.constants import (
    BASE_PROTOCOL,
    LAYERED_PROTOCOL,
    MAX_PROTOCOL_CHAIN,
    WSAPROTOCOL_LEN,
    XP1_IFS_HANDLES,
    XP1_UNI_RECV,
    XP1_UNI_SEND,
)
from winsock.abi.errors import WSAEINVAL, WSANO_RECOVERY, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog import layering, mending
from winsock.catalog.entries import Catalog, CatalogEntry, LayerSpec, dummy_of


class Source(NamedTuple):
    """Where a provider comes from, and what it is given."""

    path: str
    options: object = None
    digest: str = ""
    categories: int = 0


def install(catalog: Catalog, provider_id: GUID, source: Source, infos: Sequence[WSAPROTOCOL_INFO]) -> Catalog:
    """The catalog with these entries of a new provider at its end; ids are given here.

    Raises WSANO_RECOVERY where the provider is installed, or a chain is too long; WSAEINVAL where there are no
    entries, or one cannot be.
    """
    if _entries_of(catalog, provider_id):
        raise WinsockError(WSANO_RECOVERY, f"the provider {provider_id} is already installed")
    if not infos:
        raise WinsockError(WSAEINVAL, "there are no entries to install")
    added = [
        CatalogEntry(_of_provider(info, provider_id)._replace(dwCatalogEntryId=entry_id), *source)
        for entry_id, info in enumerate(infos, catalog.next_id)
    ]
    return _settled(catalog, (*catalog.entries, *added), added)


def install_with_chains(
    catalog: Catalog,
    provider_id: GUID,
    source: Source,
    name: str,
    service_flags: int,
    kinds: Iterable[WSAPROTOCOL_INFO] | None = None,
    streams_alone: bool = False,
) -> tuple[Catalog, int]:
    """The catalog with a layer: its hidden entry, and first of all a chain over each entry that it covers; its id.

    It covers the uppermost entry of the family, type and protocol of each of `kinds`, or, where that is None, the base
    protocol of every kind. `streams_alone`: see `layering.STREAMS_ALONE`. Raises WSAEINVAL where the provider or the
    name is installed, or a kind is not; WSANO_RECOVERY where there is no base protocol, or a chain would be too long.
    """
    covered = bases(catalog) if kinds is None else _topmost_of_each(catalog, kinds)
    if not covered:
        raise WinsockError(*(_NO_BASE if kinds is None else _NO_KINDS))
    dummy = _dummy(name, service_flags, streams_alone, covered)
    return _with_layer(catalog, provider_id, source, dummy, covered, [])


_NO_BASE = (WSANO_RECOVERY, "there is no base protocol to put a layer over")
_NO_KINDS = (WSAEINVAL, "the list of what to cover is empty")


def stack(
    catalog: Catalog,
    provider_id: GUID,
    source: Source,
    name: str,
    is_ifs: bool,
    covered: Sequence[CatalogEntry],
    streams_alone: bool = False,
) -> tuple[Catalog, int]:
    """The catalog with a layer where it belongs: over these entries, but an IFS layer below every other; its id.

    Chains with layers that make their own handles get an IFS layer in their middle, as the published installer does
    it by WSCUpdateProvider. Errors as for `install_with_chains`.
    """
    if not covered:
        raise WinsockError(*_NO_KINDS)
    infos = layering.infos_of(catalog)
    mixed = [entry for entry in covered if is_ifs and _makers(entry.info, infos)]
    plain = [entry for entry in covered if entry not in mixed]
    dummy = _dummy(name, XP1_IFS_HANDLES if is_ifs else 0, streams_alone, covered)
    return _with_layer(catalog, provider_id, source, dummy, plain, mixed)


def _dummy(name: str, service_flags: int, streams_alone: bool, covered: Sequence[CatalogEntry]) -> WSAPROTOCOL_INFO:
    """The hidden entry of a layer, without an id."""
    dummy = layering.dummy_info(0, name, covered[0].info)._replace(dwServiceFlags1=service_flags)
    return layering.with_streams_alone(dummy, streams_alone)


def _with_layer(
    catalog: Catalog,
    provider_id: GUID,
    source: Source,
    dummy: WSAPROTOCOL_INFO,
    below: Sequence[CatalogEntry],
    around: Sequence[CatalogEntry],
) -> tuple[Catalog, int]:
    """The catalog with a layer, with chains over the entries `below`, and in the middle of the chains `around` it."""
    if _entries_of(catalog, provider_id):
        raise WinsockError(WSAEINVAL, f"the provider {provider_id} is already installed")
    name = dummy.szProtocol
    if any(entry.info.szProtocol == name for entry in catalog if entry.info.chain_length == LAYERED_PROTOCOL):
        raise WinsockError(WSAEINVAL, f"a layer of the name {name!r} is already installed")
    own_id = catalog.next_id
    layer = CatalogEntry(dummy._replace(ProviderId=provider_id, dwCatalogEntryId=own_id), *source)
    chains = [
        _of_chain(layering.chain_info(own_id + 1 + i, [own_id], [name], entry.info), source)
        for i, entry in enumerate(below)
    ]
    infos = layering.infos_of((*catalog, layer))
    changed = {entry.info.dwCatalogEntryId: _around(entry, own_id, infos) for entry in around}
    kept = [changed.get(entry.info.dwCatalogEntryId, entry) for entry in catalog]
    return _settled(catalog, (*chains, layer, *kept), (layer, *chains, *changed.values())), own_id


def stand_above(catalog: Catalog, spec: LayerSpec, layers: Collection[int]) -> Catalog:
    """The catalog with one more layer in the chains that sockets get: above the uppermost of these, by their ids.

    It takes no place from them: such a catalog is not kept, and a chain of it may have a member more than others.
    """
    own_id = catalog.next_id
    dummy = dummy_of(spec, own_id, bases(catalog)[0].info)
    dummy = dummy._replace(dwServiceFlags2=dummy.dwServiceFlags2 | layering.TAKES_NO_PLACE)
    layer = CatalogEntry(dummy, spec.path, spec.options)
    infos = layering.infos_of((*catalog, layer))
    changed: dict[int, CatalogEntry] = {}
    for entry in uppermost(catalog):
        members = entry.info.ProtocolChain.ChainEntries
        place = next((at for at, member in enumerate(members) if layering.layer_of(member, infos) in layers), None)
        if place is not None:
            source = layer if place == 0 else entry
            info = _with_members(entry.info, (*members[:place], own_id, *members[place:]), infos)
            changed[info.dwCatalogEntryId] = source._replace(info=info, categories=entry.categories)
    kept = [changed.get(entry.info.dwCatalogEntryId, entry) for entry in catalog]
    return Catalog(layering.with_common_ifs((*kept, layer)), own_id + 1)


def _of_chain(info: WSAPROTOCOL_INFO, source: Source) -> CatalogEntry:
    """A chain comes from where its uppermost layer comes from; categories are that layer's alone."""
    return CatalogEntry(info, source.path, source.options, source.digest)


def _around(entry: CatalogEntry, layer: int, infos: layering.Infos) -> CatalogEntry:
    """The chain, with an IFS layer below the lowest of its layers that make their own handles."""
    members = entry.info.ProtocolChain.ChainEntries
    place = 1 + members.index(_makers(entry.info, infos)[-1])
    return entry._replace(info=_with_members(entry.info, (*members[:place], layer, *members[place:]), infos))


def _with_members(info: WSAPROTOCOL_INFO, members: tuple[int, ...], infos: layering.Infos) -> WSAPROTOCOL_INFO:
    chain = WSAPROTOCOLCHAIN(len(members), members)
    return info._replace(ProtocolChain=chain, szProtocol=mending.name_of(members, infos))


def _makers(info: WSAPROTOCOL_INFO, infos: layering.Infos) -> list[int]:
    """The members of a chain whose layers make their own handles."""
    layers = [(member, layering.layer_of(member, infos)) for member in info.ProtocolChain.ChainEntries]
    return [
        member for member, layer in layers if layer is not None and not infos[layer].dwServiceFlags1 & XP1_IFS_HANDLES
    ]


def deinstall(catalog: Catalog, provider_id: GUID) -> Catalog:
    """The catalog without that provider's entries; chains that named them are mended. Raises WSAEINVAL: no such one."""
    gone = _entries_of(catalog, provider_id)
    if not gone:
        raise WinsockError(WSAEINVAL, f"the catalog has no provider {provider_id}")
    kept = [entry for entry in catalog if entry not in gone]
    return Catalog(layering.with_common_ifs(mending.mended(kept)), catalog.next_id)


def update(catalog: Catalog, provider_id: GUID, source: Source, infos: Sequence[WSAPROTOCOL_INFO]) -> Catalog:
    """The catalog with another path for a provider, and with these of its entries changed, or added to the end.

    An info whose dwCatalogEntryId is one of the provider's changes that entry, in its place; any other is a new one.
    Raises WSAEINVAL where there is no such provider or an entry cannot be, WSANO_RECOVERY for too long a chain.
    """
    old = {entry.info.dwCatalogEntryId: entry for entry in _entries_of(catalog, provider_id)}
    if not old:
        raise WinsockError(WSAEINVAL, f"the catalog has no provider {provider_id}")
    changed = {entry_id: entry._replace(path=source.path, digest=source.digest) for entry_id, entry in old.items()}
    added: list[CatalogEntry] = []
    for info in infos:
        info = _of_provider(info, provider_id)
        if info.dwCatalogEntryId in changed:
            changed[info.dwCatalogEntryId] = changed[info.dwCatalogEntryId]._replace(info=info)
        else:
            info = info._replace(dwCatalogEntryId=catalog.next_id + len(added))
            added.append(CatalogEntry(info, *source))
    entries = [changed.get(entry.info.dwCatalogEntryId, entry) for entry in catalog]
    return _settled(catalog, (*entries, *added), (*changed.values(), *added))


def order(catalog: Catalog, entry_ids: Sequence[int]) -> Catalog:
    """The catalog in that order. Raises WSAEINVAL where it does not name every entry exactly once."""
    ids = [entry.info.dwCatalogEntryId for entry in catalog]
    if sorted(entry_ids) != sorted(ids):
        problem = f"{len(entry_ids)} ids for {len(ids)} entries"
        missing, unknown = set(ids) - set(entry_ids), set(entry_ids) - set(ids)
        problem += f"; missing: {sorted(missing)}" if missing else ""
        problem += f"; unknown: {sorted(unknown)}" if unknown else ""
        raise WinsockError(WSAEINVAL, f"an order names every entry exactly once: {problem}")
    return Catalog((catalog.find(entry_id) for entry_id in entry_ids), catalog.next_id)


def take_anew(catalog: Catalog, provider_id: GUID, source: Source) -> Catalog:
    """The catalog with another source for a layer and the chains that it is the uppermost of; the same where it has it.

    Raises WSAEINVAL: no such provider.
    """
    own = {entry.info.dwCatalogEntryId for entry in _entries_of(catalog, provider_id)}
    if not own:
        raise WinsockError(WSAEINVAL, f"the catalog has no provider {provider_id}")
    infos = layering.infos_of(catalog)

    def anew(entry: CatalogEntry) -> CatalogEntry:
        if entry.info.dwCatalogEntryId in own:
            return CatalogEntry(entry.info, *source)
        return _of_chain(entry.info, source) if _uppermost_layer(entry.info, infos) in own else entry

    entries = [anew(entry) for entry in catalog]
    return catalog if entries == list(catalog) else Catalog(entries, catalog.next_id)


def _uppermost_layer(info: WSAPROTOCOL_INFO, infos: layering.Infos) -> int | None:
    members = info.ProtocolChain.ChainEntries
    return layering.layer_of(members[0], infos) if members else None


def categorize(catalog: Catalog, provider_id: GUID, categories: int) -> Catalog:
    """The catalog with LSP categories for a provider's entries. Raises WSAEINVAL: no such one."""
    own = _entries_of(catalog, provider_id)
    if not own:
        raise WinsockError(WSAEINVAL, f"the catalog has no provider {provider_id}")
    entries = [entry._replace(categories=categories) if entry in own else entry for entry in catalog]
    return Catalog(entries, catalog.next_id)


def topmost(catalog: Catalog, kind: WSAPROTOCOL_INFO) -> CatalogEntry:
    """The first entry of a family, type and protocol. Raises WSAEINVAL where there is none."""
    for entry in catalog:
        if entry.info.chain_length != LAYERED_PROTOCOL and layering.kind_of(entry.info) == layering.kind_of(kind):
            return entry
    family, type, protocol = layering.kind_of(kind)
    raise WinsockError(WSAEINVAL, f"nothing is installed of family {family}, type {type}, protocol {protocol}")


def _topmost_of_each(catalog: Catalog, kinds: Iterable[WSAPROTOCOL_INFO]) -> list[CatalogEntry]:
    """Duplicates are ignored."""
    return [topmost(catalog, kind) for kind in {layering.kind_of(kind): kind for kind in kinds}.values()]


def uppermost(catalog: Catalog) -> list[CatalogEntry]:
    """What sockets get: the first entry of every family, type and protocol."""
    return _topmost_of_each(catalog, (base.info for base in bases(catalog)))


def bases(catalog: Catalog) -> list[CatalogEntry]:
    """The first base protocol of every family, type and protocol that layers usually cover."""
    found: dict[tuple[int, int, int], CatalogEntry] = {}
    for entry in catalog:
        if layering.is_usually_covered(entry.info):
            found.setdefault(layering.kind_of(entry.info), entry)
    return list(found.values())


def _of_provider(info: WSAPROTOCOL_INFO, provider_id: GUID) -> WSAPROTOCOL_INFO:
    """An entry as it is kept. Only a chain has members: the one component of a base protocol is itself."""
    length = info.chain_length
    chain = WSAPROTOCOLCHAIN(length) if length in (LAYERED_PROTOCOL, BASE_PROTOCOL) else info.ProtocolChain
    return info._replace(ProviderId=provider_id, ProtocolChain=chain, dwProviderReserved=0)


def _entries_of(catalog: Catalog, provider_id: GUID) -> list[CatalogEntry]:
    return [entry for entry in catalog if entry.info.ProviderId == provider_id]


# What every catalog keeps.


def _settled(before: Catalog, entries: Iterable[CatalogEntry], new: Iterable[CatalogEntry]) -> Catalog:
    """The catalog of these entries, of which `new` ones are looked at: can they be?"""
    catalog = Catalog(entries, before.next_id)
    for entry in new:
        _check(catalog, entry.info)
    return Catalog(layering.with_common_ifs(catalog.entries), catalog.next_id)


def _check(catalog: Catalog, info: WSAPROTOCOL_INFO) -> None:
    """Raises WSAEINVAL for an entry that cannot be, or not be kept, WSANO_RECOVERY for too long a chain."""
    if not info.szProtocol or len(info.szProtocol) > WSAPROTOCOL_LEN:
        raise WinsockError(WSAEINVAL, f"szProtocol: a name has 1 to {WSAPROTOCOL_LEN} characters")
    if info.dwServiceFlags1 & XP1_UNI_SEND and info.dwServiceFlags1 & XP1_UNI_RECV:
        raise WinsockError(WSAEINVAL, f"{info.szProtocol}: XP1_UNI_SEND and XP1_UNI_RECV exclude each other")
    if info.chain_length > BASE_PROTOCOL:
        _check_chain(catalog, info)
    try:
        kept = WSAPROTOCOL_INFO.unpack(info.pack())
    except struct.error as error:
        raise WinsockError(WSAEINVAL, f"{info.szProtocol}: a number does not fit its field: {error}") from None
    except ValueError as error:
        raise WinsockError(WSAEINVAL, f"{info.szProtocol}: {error}") from None
    if kept.szProtocol != info.szProtocol:
        raise WinsockError(WSAEINVAL, f"szProtocol: {info.szProtocol!r} would be kept as {kept.szProtocol!r}")


def _check_chain(catalog: Catalog, info: WSAPROTOCOL_INFO) -> None:
    length = info.chain_length
    if length > MAX_PROTOCOL_CHAIN:
        most = f"a protocol chain has at most {MAX_PROTOCOL_CHAIN} members, its base included"
        raise WinsockError(WSANO_RECOVERY, f"{info.szProtocol}: {most}, not {length}")
    problem = mending.problem_of(catalog, info)
    if problem is not None:
        raise WinsockError(WSAEINVAL, f"{info.szProtocol}: {problem}")
