"""The catalog: what is built in, which entry a socket gets, how layers enter."""

from __future__ import annotations

import pytest

from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.guids import GUID_NULL
from winsock.base.memory.protocols import PROTOCOLS
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry, LayerSpec

CATALOG = Catalog()
TCP4, UDP4, TCP6, UDP6 = (entry.info.dwCatalogEntryId for entry in BUILTIN[:4])
INET, RAW = BUILTIN[:4], BUILTIN[4:6]
UNIX, HYPERV = (entry.info.dwCatalogEntryId for entry in BUILTIN[6:])
A, B = LayerSpec("a", "a:A"), LayerSpec("b", "b:B", "options")


def matched(af: int, type: int, protocol: int) -> int:
    return CATALOG.match(af, type, protocol).info.dwCatalogEntryId


def refused(af: int, type: int, protocol: int) -> str:
    with pytest.raises(e.WinsockError) as caught:
        CATALOG.match(af, type, protocol)
    return caught.value.name


def test_built_in_entries_are_the_documented_ones() -> None:
    """EP-05, EP-06."""
    assert [entry.info.dwCatalogEntryId for entry in BUILTIN] == list(range(1001, 1001 + len(BUILTIN)))
    for entry in INET:
        info = entry.info
        size = 16 if info.iAddressFamily == c.AF_INET else 28
        assert (info.ProtocolChain.ChainLen, info.iVersion, info.dwProviderFlags) == (1, 2, 8)
        assert (info.iMinSockAddr, info.iMaxSockAddr) == (size, size)
        assert info.dwServiceFlags1 == (0x20066 if info.iSocketType == c.SOCK_STREAM else 0x20609)


def test_the_entries_of_raw_sockets_are_the_documented_ones_raw_013() -> None:
    """SK-22, CAT-048."""
    assert [entry.info.szProtocol for entry in RAW] == ["MSAFD Tcpip [RAW/IP]", "MSAFD Tcpip [RAW/IPv6]"]
    for entry, like in zip(RAW, (BUILTIN[0], BUILTIN[2]), strict=True):
        info = entry.info
        assert (info.iSocketType, info.iProtocol, info.iProtocolMaxOffset) == (c.SOCK_RAW, 0, 255)
        assert info.dwProviderFlags == c.PFL_MATCHES_PROTOCOL_ZERO | c.PFL_HIDDEN
        assert info.dwServiceFlags1 == 0x20609
        assert (info.ProviderId, info.iMaxSockAddr) == (like.info.ProviderId, like.info.iMaxSockAddr)
        assert info.dwMessageSize == 65467


def test_the_entry_of_local_streams_is_the_documented_one() -> None:
    info = CATALOG.find(UNIX).info
    assert (info.szProtocol, info.iSocketType, info.iProtocol) == ("AF_UNIX", c.SOCK_STREAM, 0)
    assert (info.iMinSockAddr, info.iMaxSockAddr, info.dwMessageSize) == (2, 110, 0)
    assert info.dwServiceFlags1 == 0x20026
    assert str(info.ProviderId) == "{a00943d9-9c2e-4633-9b59-0057a3160994}"
    assert CATALOG.find(UNIX) in CATALOG.visible()
    assert matched(c.AF_UNIX, c.SOCK_STREAM, 0) == matched(c.AF_UNIX, 0, 0) == UNIX
    assert refused(c.AF_UNIX, c.SOCK_DGRAM, 0) == "WSAESOCKTNOSUPPORT"


def test_the_entry_of_hyper_v_sockets_is_the_documented_one() -> None:
    info = CATALOG.find(HYPERV).info
    assert (info.szProtocol, info.iSocketType, info.iProtocol) == ("Hyper-V RAW", c.SOCK_STREAM, c.HV_PROTOCOL_RAW)
    assert (info.iMinSockAddr, info.iMaxSockAddr, info.dwMessageSize) == (36, 36, 0)
    assert info.dwServiceFlags1 == 0x20026
    assert str(info.ProviderId) == "{1234191b-4bf7-4ca7-86e0-dfd7c32b5445}"
    assert matched(c.AF_HYPERV, c.SOCK_STREAM, c.HV_PROTOCOL_RAW) == HYPERV
    assert refused(c.AF_HYPERV, c.SOCK_DGRAM, c.HV_PROTOCOL_RAW) == "WSAESOCKTNOSUPPORT"
    assert refused(c.AF_HYPERV, c.SOCK_STREAM, 77) == "WSAEPROTONOSUPPORT"


def test_what_the_fields_of_the_built_in_entries_say() -> None:
    """CAT-041, CAT-045, CAT-047, CAT-050."""
    for entry in INET:
        info = entry.info
        stream = info.iSocketType == c.SOCK_STREAM
        assert info.ProtocolChain.ChainEntries == ()
        assert not info.dwServiceFlags1 & (c.XP1_UNI_SEND | c.XP1_UNI_RECV)
        assert (info.dwMessageSize == 0) is stream
        assert stream or 1 < info.dwMessageSize < 0xFFFFFFFF, "a limit that is known before bind"
        assert (info.iNetworkByteOrder, info.iSecurityScheme) == (c.BIGENDIAN, c.SECURITY_PROTOCOL_NONE)


def test_what_has_no_graceful_close_has_no_connections_to_close() -> None:
    """CAT-046: and of everything else the providers end connections in order (`winsock.testing.check_provider`)."""
    flags = [entry.info.dwServiceFlags1 for entry in BUILTIN] + [protocol.flags for protocol in PROTOCOLS]
    for service in flags:
        assert bool(service & c.XP1_GRACEFUL_CLOSE) is not bool(service & c.XP1_CONNECTIONLESS)


def test_of_several_entries_for_a_protocol_the_order_chooses_and_the_flags_are_told() -> None:
    """CAT-035, CAT-049."""
    several, recommended = c.PFL_MULTIPLE_PROTO_ENTRIES, c.PFL_RECOMMENDED_PROTO_ENTRY
    one = BUILTIN[0].info._replace(dwProviderFlags=several, dwCatalogEntryId=5)
    best = one._replace(dwProviderFlags=several | recommended, dwCatalogEntryId=6)
    catalog = Catalog([CatalogEntry(best, "a:A"), CatalogEntry(one, "a:A")])
    assert catalog.match(c.AF_INET, c.SOCK_STREAM, c.IPPROTO_TCP).info is best
    assert [entry.info.dwProviderFlags & recommended for entry in catalog.visible()] == [recommended, 0]


@pytest.mark.parametrize(
    ("kind", "entry_id"),
    [
        ((c.AF_INET, c.SOCK_STREAM, 0), TCP4),
        ((c.AF_INET, 0, c.IPPROTO_TCP), TCP4),
        ((c.AF_INET, 0, 0), TCP4),
        ((c.AF_INET, c.SOCK_DGRAM, 0), UDP4),
        ((c.AF_INET, 0, c.IPPROTO_UDP), UDP4),
        ((c.AF_INET6, c.SOCK_STREAM, c.IPPROTO_TCP), TCP6),
        ((c.AF_INET6, c.SOCK_DGRAM, c.IPPROTO_UDP), UDP6),
        ((c.AF_UNSPEC, c.SOCK_STREAM, c.IPPROTO_TCP), TCP4),
        ((c.AF_UNSPEC, 0, c.IPPROTO_TCP), TCP4),
        ((c.AF_UNSPEC, 0, c.IPPROTO_UDP), UDP4),
    ],
)
def test_the_first_entry_that_fits(kind: tuple[int, int, int], entry_id: int) -> None:
    """SK-08 to SK-11."""
    assert matched(*kind) == entry_id


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ((57005, c.SOCK_STREAM, c.IPPROTO_TCP), "WSAEAFNOSUPPORT"),  # SK-01
        ((-1, c.SOCK_STREAM, c.IPPROTO_TCP), "WSAEAFNOSUPPORT"),
        ((c.AF_INET, c.SOCK_STREAM, 57005), "WSAEPROTONOSUPPORT"),  # SK-03
        ((c.AF_INET, c.SOCK_STREAM, -1), "WSAEPROTONOSUPPORT"),
        ((57005, 57005, c.IPPROTO_TCP), "WSAESOCKTNOSUPPORT"),  # SK-04
        ((c.AF_INET, 57005, 57005), "WSAESOCKTNOSUPPORT"),
        ((57005, c.SOCK_STREAM, c.IPPROTO_UDP), "WSAEAFNOSUPPORT"),  # SK-06
        ((c.AF_INET, 0, 57005), "WSAEPROTONOSUPPORT"),  # SK-10
        ((c.AF_INET, 57005, 0), "WSAESOCKTNOSUPPORT"),
        ((c.AF_UNSPEC, c.SOCK_STREAM, 57005), "WSAEPROTONOSUPPORT"),  # SK-13
        ((c.AF_UNSPEC, 0, 57005), "WSAEPROTONOSUPPORT"),
        ((c.AF_UNSPEC, 57005, c.IPPROTO_UDP), "WSAESOCKTNOSUPPORT"),
        ((c.AF_INET, c.SOCK_STREAM, c.IPPROTO_UDP), "WSAEPROTOTYPE"),
        ((0, 0, 0), "WSAEINVAL"),  # SOCK-012
    ],
)
def test_the_error_says_what_did_not_match(kind: tuple[int, int, int], error: str) -> None:
    assert refused(*kind) == error


def test_the_hosts_number_of_a_family_is_refused_with_a_hint() -> None:
    with pytest.raises(e.WinsockError, match="AF_INET6 is 23"):
        CATALOG.match(10, c.SOCK_STREAM, 0)


def test_zero_matches_only_entries_that_say_so() -> None:
    """SOCK-011."""
    strict = [CatalogEntry(entry.info._replace(dwProviderFlags=0), entry.path) for entry in INET]
    with pytest.raises(e.WinsockError) as caught:
        Catalog(strict).match(c.AF_INET, c.SOCK_STREAM, 0)
    assert caught.value.name == "WSAEPROTONOSUPPORT"


def test_a_range_of_protocols_matches() -> None:
    """CAT-048."""
    raw4, raw6 = (entry.info.dwCatalogEntryId for entry in RAW)
    assert [matched(c.AF_INET, c.SOCK_RAW, protocol) for protocol in (1, 6, 255)] == [raw4] * 3
    assert matched(c.AF_INET6, 0, 58) == raw6
    assert matched(0, 0, 255) == raw4, "SK-23"
    assert refused(c.AF_INET, c.SOCK_RAW, 256) == "WSAEPROTONOSUPPORT"
    assert refused(c.AF_INET, c.SOCK_STREAM, 132) == "WSAEPROTONOSUPPORT", "that raw sockets have it is another matter"


def test_matches_holds_every_entry_in_order() -> None:
    found = CATALOG.matches(c.AF_UNSPEC, c.SOCK_STREAM, 0)
    assert [entry.info.dwCatalogEntryId for entry in found] == [TCP4, TCP6, UNIX, HYPERV]


def test_find_knows_ids_and_providers() -> None:
    assert CATALOG.find(1002) is BUILTIN[1]
    assert CATALOG.find_provider(BUILTIN[2].info.ProviderId) is BUILTIN[2]
    with pytest.raises(e.WinsockError) as caught:
        CATALOG.find(5)
    assert caught.value.winerror == e.WSAEINVAL
    with pytest.raises(e.WinsockError) as caught:
        CATALOG.find_provider(GUID_NULL)
    assert caught.value.winerror == e.WSAEINVAL


class TestLayers:
    catalog = CATALOG.with_layers([A, B])

    def test_chains_come_first_then_the_layers_then_the_bases(self) -> None:
        lengths = [entry.info.chain_length for entry in self.catalog]
        assert lengths == [3] * 4 + [0] * 2 + [1] * len(BUILTIN)
        assert len({entry.info.dwCatalogEntryId for entry in self.catalog}) == len(self.catalog)

    def test_a_layers_own_entry_is_hidden_and_opens_nothing(self) -> None:
        dummies = [entry for entry in self.catalog if entry.info.chain_length == 0]
        assert [(entry.info.szProtocol, entry.path, entry.options) for entry in dummies] == [
            ("a", "a:A", None),
            ("b", "b:B", "options"),
        ]
        for entry in dummies:
            assert entry.info.dwProviderFlags & c.PFL_HIDDEN
            assert not entry.info.dwProviderFlags & c.PFL_MATCHES_PROTOCOL_ZERO
            assert entry not in self.catalog.visible()

    def test_a_chain_lists_its_layers_and_ends_in_its_base(self) -> None:
        a, b = (entry.info.dwCatalogEntryId for entry in self.catalog if entry.info.chain_length == 0)
        chains = [entry for entry in self.catalog if entry.info.chain_length > 1]
        assert [entry.info.ProtocolChain.ChainEntries for entry in chains] == [
            (a, b, base) for base in (TCP4, UDP4, TCP6, UDP6)
        ]
        assert chains[0].info.szProtocol == "a over [b over [MSAFD Tcpip [TCP/IP]]]"
        assert chains[0].path == "a:A"

    def test_a_layer_that_makes_its_own_handles_spoils_the_flag_of_its_chains(self) -> None:
        catalog = CATALOG.with_layers([A, B._replace(ifs_handles=False)])
        flags = [bool(entry.info.dwServiceFlags1 & c.XP1_IFS_HANDLES) for entry in catalog]
        assert flags == [False] * 4 + [True, False] + [True] * len(BUILTIN)

    def test_but_for_datagrams_where_it_takes_part_in_streams_alone(self) -> None:
        catalog = CATALOG.with_layers([A, B._replace(ifs_handles=False, streams_alone=True)])
        flags = [bool(entry.info.dwServiceFlags1 & c.XP1_IFS_HANDLES) for entry in catalog]
        assert flags == [False, True] * 2 + [True, False] + [True] * len(BUILTIN)

    def test_a_chain_matches_what_its_base_matched_and_wins(self) -> None:
        for base in INET:
            info = base.info
            chain = self.catalog.match(info.iAddressFamily, info.iSocketType, info.iProtocol)
            assert chain.info.ProtocolChain.ChainEntries[-1] == info.dwCatalogEntryId

    def test_what_is_hidden_is_not_covered(self) -> None:
        assert self.catalog.match(c.AF_INET, c.SOCK_RAW, c.IPPROTO_ICMP) is RAW[0]
        assert self.catalog.match(c.AF_UNIX, c.SOCK_STREAM, 0) is CATALOG.find(UNIX)

    def test_providers_have_ids_of_their_own(self) -> None:
        layered = [entry.info.ProviderId for entry in self.catalog if entry.info.chain_length != 1]
        assert len(set(layered)) == len(layered) == 6

    def test_no_layers_change_nothing(self) -> None:
        assert CATALOG.with_layers([]) is CATALOG

    def test_a_chain_holds_seven_entries(self) -> None:
        six = [LayerSpec(f"l{i}", "l:L") for i in range(6)]
        assert CATALOG.with_layers(six).entries[0].info.chain_length == c.MAX_PROTOCOL_CHAIN
        with pytest.raises(e.WinsockError) as caught:
            CATALOG.with_layers([*six, A])
        assert caught.value.winerror == e.WSANO_RECOVERY

    def test_there_must_be_something_to_stand_over(self) -> None:
        with pytest.raises(e.WinsockError) as caught:
            Catalog([]).with_layers([A])
        assert caught.value.winerror == e.WSAEINVAL
