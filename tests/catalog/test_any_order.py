"""Whatever is installed, moved and removed, in whichever order: the catalog stays whole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from winsock.abi.constants import BASE_PROTOCOL, LAYERED_PROTOCOL, MAX_PROTOCOL_CHAIN, XP1_IFS_HANDLES
from winsock.abi.errors import WinsockError
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog import install, layering, mending
from winsock.catalog.entries import BUILTIN, Catalog
from winsock.catalog.install import Source

LAYERS = range(5)
PLACES = st.integers(0, 30)
STEPS = st.one_of(
    st.tuples(st.just("base"), st.sampled_from(LAYERS), st.booleans(), PLACES),
    st.tuples(st.just("stack"), st.sampled_from(LAYERS), st.booleans(), PLACES),
    st.tuples(st.just("chain"), st.sampled_from(LAYERS), st.booleans(), PLACES),
    st.tuples(st.just("remove"), st.sampled_from(LAYERS), st.booleans(), PLACES),
    st.tuples(st.just("turn"), st.sampled_from(LAYERS), st.booleans(), PLACES),
)


def guid(number: int) -> GUID:
    return GUID(number, 0, 0, b"whatever")


def taken(catalog: Catalog, step: tuple[str, int, bool, int]) -> Catalog:
    """The catalog after one step."""
    kind, number, ifs, place = step
    source, name = Source(f"l{number}:L"), f"l{number}"
    if kind == "base":
        flags = XP1_IFS_HANDLES if ifs else 0
        return install.install_with_chains(catalog, guid(number), source, name, flags)[0]
    if kind == "stack":
        return install.stack(catalog, guid(number), source, name, ifs, install.uppermost(catalog))[0]
    if kind == "chain":
        return install.install(catalog, guid(100 + place), source, [covering(catalog, number, place)])
    if kind == "remove":
        return install.deinstall(catalog, guid(number + 100 * ifs))
    ids = [entry.info.dwCatalogEntryId for entry in catalog]
    middle = place % len(ids)
    return install.order(catalog, ids[middle:] + ids[:middle])


def covering(catalog: Catalog, number: int, place: int) -> WSAPROTOCOL_INFO:
    """A chain of a layer over some entry, which it names, as the published installer does."""
    layer = catalog.find_provider(guid(number)).info.dwCatalogEntryId
    covered = catalog.entries[place % len(catalog)].info
    below = (covered.dwCatalogEntryId, *covered.ProtocolChain.ChainEntries[1:])
    return covered._replace(ProtocolChain=WSAPROTOCOLCHAIN(1 + len(below), (layer, *below)))


def check(catalog: Catalog) -> None:
    infos = layering.infos_of(catalog)
    assert len(infos) == len(catalog)
    assert catalog.next_id > max(infos)
    for entry in catalog:
        if entry.info.chain_length > BASE_PROTOCOL:
            check_chain(entry.info, catalog, infos)
    assert {entry.info for entry in catalog if entry.info.chain_length == BASE_PROTOCOL} == {
        entry.info for entry in BUILTIN
    }


def check_chain(info: WSAPROTOCOL_INFO, catalog: Catalog, infos: layering.Infos) -> None:
    assert mending.problem_of(catalog, info) is None
    assert info.chain_length <= MAX_PROTOCOL_CHAIN
    *members, base = info.ProtocolChain.ChainEntries
    stands_for = [layering.layer_of(member, infos) for member in members]
    flags = [infos[layer].dwServiceFlags1 & XP1_IFS_HANDLES for layer in stands_for if layer is not None]
    assert bool(info.dwServiceFlags1 & XP1_IFS_HANDLES) is all(flags)
    assert layering.kind_of(info) == layering.kind_of(infos[base])
    top = catalog.find(members[0])
    assert top.path == catalog.find(info.dwCatalogEntryId).path


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=14))
def test_it_stays_whole(steps: list[tuple[str, int, bool, int]]) -> None:
    catalog = Catalog()
    for step in steps:
        try:
            catalog = taken(catalog, step)
        except WinsockError:
            continue  # refused: nothing has changed
        check(catalog)
    for number in LAYERS:
        if any(entry.info.ProviderId == guid(number) for entry in catalog):
            catalog = install.deinstall(catalog, guid(number))
            check(catalog)
    assert not [entry for entry in catalog if entry.info.chain_length in (LAYERED_PROTOCOL, 2, 3, 4, 5, 6, 7)]
