"""What becomes of chains that have lost something."""

from __future__ import annotations

from winsock.abi import constants as c
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOLCHAIN
from winsock.catalog.entries import BUILTIN, CatalogEntry
from winsock.catalog.layering import infos_of, layer_of, provider_id
from winsock.catalog.mending import mended, problem_of

BASE = BUILTIN[0].info


def layer(entry_id: int) -> CatalogEntry:
    info = BASE._replace(
        dwCatalogEntryId=entry_id,
        ProviderId=provider_id(entry_id),
        ProtocolChain=WSAPROTOCOLCHAIN(c.LAYERED_PROTOCOL),
        szProtocol=f"L{entry_id}",
    )
    return CatalogEntry(info, f"l{entry_id}:L", f"options of {entry_id}", categories=entry_id)


def chain(entry_id: int, *members: int) -> CatalogEntry:
    info = BASE._replace(
        dwCatalogEntryId=entry_id,
        ProviderId=provider_id(entry_id),
        ProtocolChain=WSAPROTOCOLCHAIN(len(members), members),
        szProtocol=f"chain {entry_id}",
    )
    return CatalogEntry(info, f"l{members[0]}:L", f"options of {members[0]}")


def chains(entries: list[CatalogEntry]) -> dict[int, tuple[int, ...]]:
    """Id -> members, in order."""
    return {
        entry.info.dwCatalogEntryId: entry.info.ProtocolChain.ChainEntries
        for entry in entries
        if entry.info.chain_length > 1
    }


def test_what_is_whole_stays_as_it_is() -> None:
    entries = [chain(20, 10, 11, 1001), chain(21, 11, 1001), chain(22, 11, 1001), layer(10), layer(11), *BUILTIN]
    assert mended(entries) == entries


def test_a_chain_goes_on_without_a_member_and_comes_from_what_is_on_top_now() -> None:
    after = mended([chain(20, 10, 11, 12, 1001), layer(11), layer(12), *BUILTIN])
    assert chains(after) == {20: (11, 12, 1001)}
    top = after[0]
    assert top.info.szProtocol == "L11 over [L12 over [MSAFD Tcpip [TCP/IP]]]"
    assert (top.path, top.options, top.categories) == ("l11:L", "options of 11", 0)
    assert top.info.ProviderId == provider_id(20)
    after = mended([chain(20, 10, 11, 12, 1001), layer(10), layer(12), *BUILTIN])
    assert (after[0].path, chains(after)) == ("l10:L", {20: (10, 12, 1001)})


def test_without_a_layer_or_without_a_base_there_is_no_chain() -> None:
    assert mended([chain(20, 10, 1001), *BUILTIN]) == list(BUILTIN)
    assert mended([chain(20, 10, 1042), layer(10), *BUILTIN]) == [layer(10), *BUILTIN]
    assert mended([chain(20, 10, 11), layer(10), layer(11)]) == [layer(10), layer(11)]


def test_a_loss_goes_through_chains_that_name_chains() -> None:
    entries = [
        chain(22, 12, 21, 20, 1001),
        chain(21, 11, 20, 1001),
        chain(20, 10, 1001),
        layer(11),
        layer(12),
        *BUILTIN,
    ]
    assert chains(mended(entries)) == {22: (12, 21, 1001), 21: (11, 1001)}


def test_of_chains_that_became_the_same_the_older_stays_in_the_first_place() -> None:
    entries = [chain(20, 10, 11, 1001), chain(30, 12, 1001), chain(21, 11, 1001), layer(11), layer(12), *BUILTIN]
    after = mended(entries)
    assert list(chains(after).items()) == [(21, (11, 1001)), (30, (12, 1001))]
    assert after[0] == entries[2]


def test_whoever_named_a_twin_names_the_one_that_stays() -> None:
    entries = [
        chain(40, 13, 20, 1001),
        chain(20, 10, 11, 1001),
        chain(21, 10, 12, 1001),
        layer(10),
        layer(13),
        *BUILTIN,
    ]
    assert chains(mended(entries)) == {40: (13, 20, 1001), 20: (10, 1001)}
    entries[0] = chain(40, 13, 21, 1001)
    assert chains(mended(entries)) == {40: (13, 20, 1001), 20: (10, 1001)}


def test_what_a_member_stands_for() -> None:
    infos = infos_of([layer(10), chain(20, 10, 1001), chain(21, 20, 1001), chain(22, 22, 1001), *BUILTIN])
    assert [layer_of(member, infos) for member in (10, 20, 21, 22, 1001, 99)] == [10, 10, 10, None, None, None]


def test_problems_are_told_apart() -> None:
    entries = [layer(10), layer(11), *BUILTIN]
    said = {
        members: problem_of(entries, chain(20, *members).info)
        for members in ((10, 1001), (10, 99, 1001), (10, 11), (1002, 1001), (10, 10, 1001))
    }
    assert said == {
        (10, 1001): None,
        (10, 99, 1001): "it names the entry 99, which is not installed",
        (10, 11): "it ends in L11, which is no base protocol",
        (1002, 1001): "it has a base protocol above its end",
        (10, 10, 1001): "it has a layer twice",
    }


def test_guids_of_chains_are_distinct() -> None:
    assert len({provider_id(number) for number in range(100)} | {GUID(0, 0, 0, bytes(8))}) == 101
