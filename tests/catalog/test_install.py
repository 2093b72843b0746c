"""Catalogs, and what installing, updating, ordering and removing make of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import WSAEINVAL, WSANO_RECOVERY
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog import install
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry, LayerSpec
from winsock.catalog.install import Source

TCP4, UDP4, TCP6, UDP6 = (entry.info for entry in BUILTIN[:4])
IFS = c.XP1_IFS_HANDLES


def inet() -> Catalog:
    """TCP and UDP alone."""
    return Catalog(BUILTIN[:4])


def guid(number: int) -> GUID:
    return GUID(number, 0, 0, b"testtest")


def layered(name: str = "layer", **fields: Any) -> WSAPROTOCOL_INFO:
    """A hidden entry, as an installer writes it."""
    info = TCP4._replace(ProtocolChain=WSAPROTOCOLCHAIN(c.LAYERED_PROTOCOL), dwProviderFlags=c.PFL_HIDDEN)
    return info._replace(szProtocol=name, **fields)


def chain(*members: int, length: int | None = None) -> WSAPROTOCOL_INFO:
    """A chain over TCP."""
    members_and_length = WSAPROTOCOLCHAIN(len(members) if length is None else length, members)
    return TCP4._replace(ProtocolChain=members_and_length, szProtocol=f"chain {members}")


def with_layer(catalog: Catalog, number: int, name: str = "", flags: int = IFS, **more: Any) -> tuple[Catalog, int]:
    return install.install_with_chains(
        catalog,
        guid(number),
        Source(f"{name}:L"),
        name or f"l{number}",
        flags,
        **more,
    )


def ids(catalog: Catalog) -> list[int]:
    return [entry.info.dwCatalogEntryId for entry in catalog]


def chains(catalog: Catalog) -> dict[int, tuple[int, ...]]:
    """Id -> members, in order."""
    return {
        entry.info.dwCatalogEntryId: entry.info.ProtocolChain.ChainEntries
        for entry in catalog
        if entry.info.chain_length > 1
    }


def entry(catalog: Catalog, entry_id: int) -> CatalogEntry:
    return catalog.find(entry_id)


# --- one provider --------------------------------------------------------------------------------------------------


class TestInstall:
    def test_base_layered_and_chain_entries_go_to_the_end_cat_011(self) -> None:
        raw = TCP4._replace(iSocketType=c.SOCK_RAW, iProtocol=0, iProtocolMaxOffset=255, dwCatalogEntryId=1001)
        catalog = install.install(inet(), guid(1), Source("raw:Raw"), [raw])
        catalog = install.install(catalog, guid(2), Source("l:L"), [layered()])
        catalog = install.install(catalog, guid(3), Source("l:L"), [chain(1006, 1001)])
        assert ids(catalog) == [1001, 1002, 1003, 1004, 1005, 1006, 1007]  # CAT-044: not what the installer wrote
        assert [found.info.chain_length for found in catalog.entries[4:]] == [1, 0, 2]  # CAT-006
        assert [found.info.ProviderId for found in catalog.entries[4:]] == [guid(1), guid(2), guid(3)]
        assert [found.path for found in catalog.entries[4:]] == ["raw:Raw", "l:L", "l:L"]

    def test_ids_are_not_given_again(self) -> None:
        """CAT-044: not even that of what was removed."""
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered()])
        catalog = install.install(install.deinstall(catalog, guid(1)), guid(1), Source("l:L"), [layered()])
        assert ids(catalog)[-1] == 1006

    def test_a_base_entry_names_no_members(self) -> None:
        """CAT-041."""
        catalog = install.install(inet(), guid(1), Source("b:B"), [TCP4])
        info = catalog.find(1005).info
        assert info.ProtocolChain == (c.BASE_PROTOCOL, ())
        assert catalog.match(c.AF_INET, c.SOCK_STREAM, 0).info == TCP4

    def test_a_provider_is_installed_once(self) -> None:
        """CAT-007."""
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered()])
        with refused(WSANO_RECOVERY, "already installed"):
            install.install(catalog, guid(1), Source("l:L"), [layered()])

    def test_without_entries_there_is_nothing_to_install_cat_011(self) -> None:
        with refused(WSAEINVAL):
            install.install(inet(), guid(1), Source("l:L"), [])

    def test_the_secret_of_a_duplicate_is_not_kept(self) -> None:
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered(dwProviderReserved=7)])
        assert catalog.find(1005).info.dwProviderReserved == 0

    @pytest.mark.parametrize(
        ("info", "code", "why"),
        [
            (chain(1001, 1001), WSAEINVAL, "base protocol above"),
            (chain(1005, 1001), WSAEINVAL, "it names itself"),
            (chain(1042, 1001), WSAEINVAL, "1042, which is not installed"),  # CAT-042
            (chain(1001, 1042), WSAEINVAL, "1042, which is not installed"),
            (chain(1001, length=3), WSAEINVAL, "ChainLen is 3"),
            (chain(*[1001] * 8), WSANO_RECOVERY, "at most 7"),  # CAT-023
            (layered(""), WSAEINVAL, "1 to 255 characters"),
            (layered("x" * 256), WSAEINVAL, "1 to 255 characters"),
            (layered(dwServiceFlags1=c.XP1_UNI_SEND | c.XP1_UNI_RECV), WSAEINVAL, "exclude each other"),  # CAT-045
            (layered(iVersion=1 << 40), WSAEINVAL, "does not fit its field"),
        ],
    )
    def test_entries_that_cannot_be(self, info: WSAPROTOCOL_INFO, code: int, why: str) -> None:
        with refused(code, why):
            install.install(inet(), guid(1), Source("l:L"), [info])

    @pytest.mark.parametrize("flag", [c.XP1_UNI_SEND, c.XP1_UNI_RECV, 0])
    def test_one_direction_may_be_all_there_is_cat_045(self, flag: int) -> None:
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered(dwServiceFlags1=flag)])
        assert catalog.find(1005).info.dwServiceFlags1 == flag

    def test_a_chain_ends_in_a_base_protocol(self) -> None:
        """CAT-040: and begins with its uppermost layer."""
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered("a"), layered("b")])
        with refused(WSAEINVAL, "no base protocol"):
            install.install(catalog, guid(2), Source("l:L"), [chain(1005, 1006)])
        assert chains(install.install(catalog, guid(2), Source("l:L"), [chain(1005, 1006, 1001)])) == {
            1007: (1005, 1006, 1001)
        }

    def test_a_chain_has_a_layer_once(self) -> None:
        """CAT-043."""
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered()])
        with refused(WSAEINVAL, "a layer twice"):
            install.install(catalog, guid(2), Source("l:L"), [chain(1005, 1005, 1001)])
        catalog = install.install(catalog, guid(2), Source("l:L"), [chain(1005, 1001)])
        with refused(WSAEINVAL, "a layer twice"):  # a chain stands for its uppermost layer
            install.install(catalog, guid(3), Source("l:L"), [chain(1005, 1006, 1001)])

    def test_a_chain_may_name_the_entry_that_it_covers(self) -> None:
        """As the published installer writes it."""
        catalog, a = with_layer(inet(), 1)
        catalog = install.install(catalog, guid(2), Source("b:B"), [layered("b")])
        b = catalog.next_id - 1
        catalog = install.install(catalog, guid(3), Source("b:B"), [chain(b, a + 1, 1001)])
        assert chains(catalog)[b + 1] == (b, a + 1, 1001)


# --- a layer and its chains ----------------------------------------------------------------------------------------


class TestInstallWithChains:
    def test_a_chain_over_the_base_of_every_kind_comes_first_cat_025(self) -> None:
        """CAT-019, CAT-020."""
        catalog, own = with_layer(inet(), 1, "shout")
        assert own == 1005
        assert ids(catalog) == [1006, 1007, 1008, 1009, 1005, 1001, 1002, 1003, 1004]
        assert chains(catalog) == {
            1006: (1005, 1001),
            1007: (1005, 1002),
            1008: (1005, 1003),
            1009: (1005, 1004),
        }
        dummy = catalog.find(own)
        assert (dummy.info.chain_length, dummy.info.ProviderId, dummy.info.szProtocol) == (0, guid(1), "shout")
        assert dummy.info.dwServiceFlags1 == IFS
        assert dummy.info.dwProviderFlags & (c.PFL_HIDDEN | c.PFL_MATCHES_PROTOCOL_ZERO) == c.PFL_HIDDEN
        assert len({found.info.ProviderId for found in catalog}) == 2 + 1 + 4

    def test_the_base_and_not_what_is_over_it_where_nothing_is_named(self) -> None:
        """CAT-021: and the first base of a kind, where there are two."""
        catalog, _ = with_layer(inet(), 1)
        twin = TCP4._replace(szProtocol="another TCP")
        catalog = install.install(catalog, guid(9), Source("b:B"), [twin])
        catalog, own = with_layer(catalog, 2)
        assert [ids for ids in chains(catalog).values() if own in ids] == [
            (own, base) for base in (1001, 1002, 1003, 1004)
        ]

    def test_the_uppermost_of_the_kinds_that_are_named_cat_022(self) -> None:
        catalog, a = with_layer(inet(), 1, "a")
        other = TCP4._replace(szProtocol="nothing else is looked at", dwCatalogEntryId=77)
        catalog, b = with_layer(catalog, 2, "b", kinds=[other, TCP4, UDP6])
        assert list(chains(catalog).values())[:2] == [(b, a, 1001), (b, a, 1004)]
        assert catalog.entries[0].info.szProtocol == "b over [a over [MSAFD Tcpip [TCP/IP]]]"
        assert (catalog.entries[0].path, catalog.entries[2].info.dwCatalogEntryId) == ("b:L", b)

    def test_a_kind_that_is_not_there_cat_024(self) -> None:
        with refused(WSAEINVAL, "nothing is installed of family 99"):
            with_layer(inet(), 1, kinds=[TCP4._replace(iAddressFamily=99)])
        with refused(WSAEINVAL, "empty"):
            with_layer(inet(), 1, kinds=[])

    def test_a_provider_or_a_name_that_is_there_cat_024(self) -> None:
        catalog, _ = with_layer(inet(), 1, "a")
        with refused(WSAEINVAL, "already installed"):
            with_layer(catalog, 1, "b")
        with refused(WSAEINVAL, "of the name 'a'"):
            with_layer(catalog, 2, "a")

    def test_without_a_base_protocol_there_is_nothing_to_be_over(self) -> None:
        with refused(WSANO_RECOVERY):
            with_layer(Catalog([]), 1)

    def test_seven_members_are_the_most_cat_023(self) -> None:
        catalog = inet()
        for number in range(6):
            catalog, _ = with_layer(catalog, number, kinds=[TCP4])
        assert catalog.entries[0].info.chain_length == c.MAX_PROTOCOL_CHAIN
        with refused(WSANO_RECOVERY, "6 layers over its base, not 7"):
            with_layer(catalog, 7, kinds=[TCP4])

    def test_one_that_takes_part_in_streams_alone_spoils_that_of_streams_alone(self) -> None:
        catalog, stream = with_layer(inet(), 1, flags=0, streams_alone=True)
        catalog, _ = with_layer(catalog, 2, kinds=[TCP4, UDP4])
        flags = {chain: bool(catalog.find(chain).info.dwServiceFlags1 & IFS) for chain in chains(catalog)}
        datagrams = {chain: catalog.find(chain).info.iSocketType == c.SOCK_DGRAM for chain in flags}
        assert flags == datagrams
        assert len(flags) == 6
        catalog, _ = with_layer(catalog, 3, flags=0, kinds=[UDP4])
        assert not install.topmost(catalog, UDP4).info.dwServiceFlags1 & IFS
        assert not catalog.find(stream).info.dwServiceFlags1 & IFS

    def test_a_layer_with_handles_of_its_own_spoils_the_flag_of_its_chains(self) -> None:
        catalog, maker = with_layer(inet(), 1, flags=0)
        assert not any(catalog.find(id).info.dwServiceFlags1 & IFS for id in chains(catalog))
        assert not catalog.find(maker).info.dwServiceFlags1 & IFS
        catalog, above = with_layer(catalog, 2, kinds=[TCP4])
        assert catalog.find(above).info.dwServiceFlags1 & IFS
        assert not catalog.entries[0].info.dwServiceFlags1 & IFS
        catalog = install.deinstall(catalog, guid(1))
        assert chains(catalog) == {above + 1: (above, 1001)}
        assert catalog.entries[0].info.dwServiceFlags1 & IFS


# --- where layers belong -------------------------------------------------------------------------------------------


class TestStack:
    """An IFS layer goes below those that make their own handles (fact 9 of the published sample)."""

    def stacked(self, catalog: Catalog, number: int, *, ifs: bool) -> tuple[Catalog, int]:
        covered = install.uppermost(catalog)
        return install.stack(catalog, guid(number), Source(f"l{number}:L"), f"l{number}", ifs, covered)

    def test_layers_of_one_sort_are_put_on_top(self) -> None:
        for ifs in (True, False):
            catalog, a = self.stacked(inet(), 1, ifs=ifs)
            catalog, b = self.stacked(catalog, 2, ifs=ifs)
            assert next(iter(chains(catalog).values())) == (b, a, 1001)
            assert bool(catalog.entries[0].info.dwServiceFlags1 & IFS) is ifs

    def test_a_maker_goes_on_top_of_ifs_layers(self) -> None:
        catalog, low = self.stacked(inet(), 1, ifs=True)
        catalog, maker = self.stacked(catalog, 2, ifs=False)
        assert next(iter(chains(catalog).values())) == (maker, low, 1001)

    def test_an_ifs_layer_goes_into_the_middle_of_the_chain(self) -> None:
        catalog, low = self.stacked(inet(), 1, ifs=True)
        catalog, maker = self.stacked(catalog, 2, ifs=False)
        before = chains(catalog)
        catalog, own = self.stacked(catalog, 3, ifs=True)
        top = next(iter(before))
        assert chains(catalog)[top] == (maker, own, low, 1001)
        assert chains(catalog).keys() == before.keys()
        info = catalog.find(top).info
        assert info.szProtocol == "l2 over [l3 over [l1 over [MSAFD Tcpip [TCP/IP]]]]"
        assert catalog.find(top).path == "l2:L"
        assert not info.dwServiceFlags1 & IFS

    def test_kinds_that_differ_are_served_each_by_its_own(self) -> None:
        catalog, maker = install.stack(inet(), guid(1), Source("l1:L"), "l1", False, [BUILTIN[0]])
        catalog, own = self.stacked(catalog, 2, ifs=True)
        assert sorted(chains(catalog).values()) == [(maker, own, 1001), (own, 1002), (own, 1003), (own, 1004)]

    def test_a_full_chain_takes_no_more(self) -> None:
        catalog = inet()
        for number in range(6):
            catalog, _ = self.stacked(catalog, number, ifs=False)
        with refused(WSANO_RECOVERY, "at most 7"):
            self.stacked(catalog, 7, ifs=True)

    def test_names_and_ids_are_looked_at_here_too(self) -> None:
        catalog, _ = self.stacked(inet(), 1, ifs=True)
        with refused(WSAEINVAL):
            self.stacked(catalog, 1, ifs=True)
        with refused(WSAEINVAL):
            install.stack(catalog, guid(2), Source("l:L"), "l1", True, install.uppermost(catalog))
        with refused(WSAEINVAL):
            install.stack(catalog, guid(2), Source("l:L"), "l2", True, [])


# --- changes -------------------------------------------------------------------------------------------------------


class TestStandAbove:
    """One layer above others, in what sockets get."""

    SPEC = LayerSpec("relay", "relay:R")

    def test_above_the_uppermost_of_them(self) -> None:
        catalog, low = with_layer(inet(), 1, "low", kinds=[TCP4, UDP4])
        catalog, middle = with_layer(catalog, 2, "middle", flags=0, kinds=[TCP4, TCP6])
        catalog, high = with_layer(catalog, 3, "high", kinds=[TCP4, UDP6])
        before = chains(catalog)
        made = install.stand_above(catalog, self.SPEC, {low, middle})
        (own,) = set(ids(made)) - set(ids(catalog))
        top = {entry.info.iProtocol * 100 + entry.info.iAddressFamily: entry for entry in install.uppermost(made)}
        tcp4, udp4, tcp6, udp6 = (top[info.iProtocol * 100 + info.iAddressFamily] for info in (TCP4, UDP4, TCP6, UDP6))
        assert tcp4.info.ProtocolChain.ChainEntries == (high, own, middle, low, 1001)
        assert udp4.info.ProtocolChain.ChainEntries == (own, low, 1002)
        assert tcp6.info.ProtocolChain.ChainEntries == (own, middle, 1003)
        assert udp6.info.ProtocolChain.ChainEntries == (high, 1004)
        assert [entry.path for entry in (tcp4, udp4, tcp6, udp6)] == ["high:L", "relay:R", "relay:R", "high:L"]
        assert [bool(entry.info.dwServiceFlags1 & IFS) for entry in (tcp4, udp4, tcp6, udp6)] == [False, True] * 2
        assert tcp4.info.szProtocol == "high over [relay over [middle over [low over [MSAFD Tcpip [TCP/IP]]]]]"
        assert chains(made).keys() == before.keys()

    def test_nothing_where_none_of_them_is(self) -> None:
        catalog, _ = with_layer(inet(), 1)
        made = install.stand_above(catalog, self.SPEC, {99})
        assert list(made)[:-1] == list(catalog)

    def test_it_takes_no_place_from_the_layers_of_a_full_chain(self) -> None:
        catalog = inet()
        layers: list[int] = []
        for number in range(c.MAX_PROTOCOL_CHAIN - 1):
            catalog, layer = with_layer(catalog, number, f"l{number}", kinds=[TCP4])
            layers.insert(0, layer)
        made = install.stand_above(catalog, self.SPEC, {layers[3]})
        (own,) = set(ids(made)) - set(ids(catalog))
        members = install.uppermost(made)[0].info.ProtocolChain.ChainEntries
        assert members == (*layers[:3], own, *layers[3:], TCP4.dwCatalogEntryId)


class TestDeinstall:
    def test_all_entries_of_the_provider_go(self) -> None:
        """CAT-012."""
        catalog = install.deinstall(inet(), TCP4.ProviderId)
        assert ids(catalog) == [1003, 1004]

    def test_an_unknown_provider(self) -> None:
        """CAT-013."""
        with refused(WSAEINVAL):
            install.deinstall(inet(), guid(1))

    def test_chains_go_on_without_the_layer(self) -> None:
        catalog, a = with_layer(inet(), 1, "a")
        catalog, b = with_layer(catalog, 2, "b", kinds=[TCP4])
        catalog, d = with_layer(catalog, 3, "d", kinds=[TCP4])
        assert catalog.entries[0].info.ProtocolChain.ChainEntries == (d, b, a, 1001)
        catalog = install.deinstall(catalog, guid(2))
        assert catalog.entries[0].info.ProtocolChain == (3, (d, a, 1001))
        assert catalog.entries[0].info.szProtocol == "d over [a over [MSAFD Tcpip [TCP/IP]]]"
        catalog = install.deinstall(catalog, guid(1))
        assert chains(catalog) == {d + 1: (d, 1001)}


class TestUpdate:
    def test_the_path_and_the_entries_that_are_named_cat_026(self) -> None:
        catalog = install.install(inet(), guid(1), Source("old:L"), [layered("a"), layered("b")])
        changed = catalog.find(1006).info._replace(szProtocol="B", ProviderId=guid(99))
        catalog = install.update(catalog, guid(1), Source("new:L", digest="d"), [changed])
        assert [(found.info.szProtocol, found.path, found.digest) for found in catalog.entries[4:]] == [
            ("a", "new:L", "d"),
            ("B", "new:L", "d"),
        ]
        assert catalog.find(1006).info.ProviderId == guid(1)

    def test_other_entries_are_new_cat_026(self) -> None:
        catalog = install.install(inet(), guid(1), Source("l:L"), [layered("a")])
        catalog = install.update(catalog, guid(1), Source("l:L"), [layered("b"), layered("c")])
        assert ids(catalog)[4:] == [1005, 1006, 1007]

    def test_a_layer_is_put_into_the_middle_of_a_chain(self) -> None:
        """Fact 9 of the published sample, by its own means."""
        catalog, a = with_layer(inet(), 1, "a", flags=0)
        catalog = install.install(catalog, guid(2), Source("b:B"), [layered("b", dwServiceFlags1=IFS)])
        b = catalog.next_id - 1
        top = catalog.entries[0].info
        members = WSAPROTOCOLCHAIN(3, (a, b, 1001))
        catalog = install.update(catalog, top.ProviderId, Source("a:L"), [top._replace(ProtocolChain=members)])
        assert catalog.entries[0].info.ProtocolChain == members

    def test_what_cannot_be(self) -> None:
        catalog, a = with_layer(inet(), 1)
        top = catalog.entries[0].info
        with refused(WSAEINVAL, "no provider"):
            install.update(catalog, guid(9), Source("l:L"), [])
        with refused(WSAEINVAL, "itself|twice"):
            members = WSAPROTOCOLCHAIN(3, (a, top.dwCatalogEntryId, 1001))
            install.update(catalog, top.ProviderId, Source("l:L"), [top._replace(ProtocolChain=members)])
        with refused(WSANO_RECOVERY):
            long = WSAPROTOCOLCHAIN(8, (a,) * 7 + (1001,))
            install.update(catalog, top.ProviderId, Source("l:L"), [top._replace(ProtocolChain=long)])


class TestOrder:
    def test_another_order_chooses_another_entry(self) -> None:
        """CAT-035."""
        catalog, _ = with_layer(inet(), 1)
        assert catalog.match(c.AF_INET, c.SOCK_STREAM, 0).info.chain_length == 2
        catalog = install.order(catalog, [1001, *(id for id in ids(catalog) if id != 1001)])
        assert catalog.match(c.AF_INET, c.SOCK_STREAM, 0).info.dwCatalogEntryId == 1001
        assert ids(catalog)[0] == 1001

    @pytest.mark.parametrize(
        "order",
        [[], [1001, 1002, 1003], [1001, 1002, 1003, 1003], [1001, 1002, 1003, 1005], [1001, 1002, 1003, 1004, 1004]],
    )
    def test_every_entry_exactly_once(self, order: list[int]) -> None:
        """CAT-034."""
        with refused(WSAEINVAL, "exactly once"):
            install.order(inet(), order)


def test_chains_that_name_each_other_go_round_for_ever_nowhere() -> None:
    catalog, a = with_layer(inet(), 1, kinds=[TCP4])
    catalog, b = with_layer(catalog, 2, kinds=[TCP4])
    for own, other in ((a, b), (b, a)):
        top = catalog.find(own + 1).info
        members = WSAPROTOCOLCHAIN(3, (own, other + 1, 1001))
        catalog = install.update(catalog, top.ProviderId, Source("l:L"), [top._replace(ProtocolChain=members)])
    assert chains(catalog) == {b + 1: (b, a + 1, 1001), a + 1: (a, b + 1, 1001)}
    assert chains(install.deinstall(catalog, guid(1))) == {b + 1: (b, 1001), a + 1: (b + 1, 1001)}


def test_a_layer_is_taken_anew_with_the_chains_that_it_is_on_top_of() -> None:
    catalog, a = with_layer(inet(), 1, "a")
    catalog, b = with_layer(catalog, 2, "b", kinds=[TCP4])
    source = Source("new:A", digest="d", categories=1)
    after = install.take_anew(catalog, guid(1), source)
    assert after.find(a) == CatalogEntry(catalog.find(a).info, *source)
    assert [after.find(id).path for id in chains(after)] == ["b:L", *["new:A"] * 4]
    assert after.find(a + 1).categories == 0
    assert after.find(b) == catalog.find(b)
    assert install.take_anew(after, guid(1), source) is after
    with refused(WSAEINVAL):
        install.take_anew(catalog, guid(9), source)


def test_categories_belong_to_the_layers_own_entry() -> None:
    """LSP-016."""
    catalog, a = with_layer(inet(), 1)
    catalog = install.categorize(catalog, guid(1), c.LSP_INSPECTOR)
    assert {found.info.dwCatalogEntryId: found.categories for found in catalog if found.categories} == {
        a: c.LSP_INSPECTOR
    }
    with refused(WSAEINVAL):
        install.categorize(catalog, guid(9), 0)
