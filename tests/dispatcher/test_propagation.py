"""What every provider of a chain is handed: WSAPROTOCOL_INFO, chain and upcalls (LSP).

A witness stands in every place. It is a provider that is no `Layer` and does everything by itself as the documentation
has it, or such a one that starts the next provider when the first socket is made, or a `Layer`.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import pytest

from tests.fakes import RecordingBase
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry, LayerSpec
from winsock.dispatcher import loader, process
from winsock.dispatcher.chains import Chain
from winsock.spi.layer import Layer
from winsock.spi.provider import FUNCTIONS, WSPDATA, ProcTable
from winsock.spi.upcalls import Upcalls

MOST = c.MAX_PROTOCOL_CHAIN - 1
HERE = __name__
FROM = c.FROM_PROTOCOL_INFO
ADDRESS = SockaddrIn("127.0.0.1", 80)
FUNCTIONS_THAT_PROPAGATE = ("WSPSocket", "WSPAddressToString", "WSPStringToAddress")


class Seen(NamedTuple):
    """One call of one provider, with what it was handed."""

    place: str
    function: str
    info: WSAPROTOCOL_INFO | None
    arguments: tuple[Any, ...] = ()


SEEN: list[Seen] = []
UPCALLS: list[tuple[str, Upcalls]] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()
    UPCALLS.clear()


class BaseWitness(RecordingBase):
    """The base protocol, which need not understand chains."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        SEEN.append(Seen("base", "WSPStartup", protocol_info))
        UPCALLS.append(("base", upcalls))
        return super().WSPStartup(version, protocol_info, upcalls)

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        SEEN.append(Seen("base", "WSPSocket", protocol_info, (af, type, protocol, g, flags)))
        return super().WSPSocket(af, type, protocol, protocol_info, g, flags)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        SEEN.append(Seen("base", "WSPDuplicateSocket", None, (process_id,)))
        return self.info._replace(dwProviderReserved=4711)

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        SEEN.append(Seen("base", "WSPAddressToString", protocol_info))
        return super().WSPAddressToString(address, protocol_info)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        SEEN.append(Seen("base", "WSPStringToAddress", protocol_info))
        return super().WSPStringToAddress(text, address_family, protocol_info)


class LayerWitness(Layer):
    """A `Layer`: what it passes on is the class's business, what it is handed is seen."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        SEEN.append(Seen(self.name, "WSPStartup", protocol_info))
        UPCALLS.append((self.name, upcalls))
        return super().WSPStartup(version, protocol_info, upcalls)

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        SEEN.append(Seen(self.name, "WSPSocket", protocol_info, (af, type, protocol, g, flags)))
        return super().WSPSocket(af, type, protocol, protocol_info, g, flags)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        below = super().WSPDuplicateSocket(s, process_id)
        SEEN.append(Seen(self.name, "WSPDuplicateSocket", below, (process_id,)))
        return below

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        SEEN.append(Seen(self.name, "WSPAddressToString", protocol_info))
        return super().WSPAddressToString(address, protocol_info)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        SEEN.append(Seen(self.name, "WSPStringToAddress", protocol_info))
        return super().WSPStringToAddress(text, address_family, protocol_info)


class Stranger:
    """No `Layer`: finds its place in the chain by its own id, loads the next provider by its path and starts it."""

    place: ClassVar[str]
    lazy: ClassVar[bool] = False
    info: WSAPROTOCOL_INFO
    upcalls: Upcalls
    next: ProcTable | None = None

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        SEEN.append(Seen(self.place, "WSPStartup", protocol_info))
        UPCALLS.append((self.place, upcalls))
        self.info, self.upcalls = protocol_info, upcalls
        if not self.lazy:
            self.below()
        table = ProcTable.of(self)
        for name in set(table.missing()):
            setattr(table, name, self.forward(name))
        return WSPDATA(), table

    def below(self) -> ProcTable:
        """The table of the next provider, which is started at the first use."""
        if self.next is None:
            entry = self.entry_below()
            path = self.upcalls.WPUGetProviderPath(entry.info.ProviderId)
            _, self.next = loader.resolve(path)().WSPStartup(0x0202, self.passed_on(self.info), self.upcalls)
        assert self.next is not None
        return self.next

    def entry_below(self) -> CatalogEntry:
        """What follows this provider's own id in the chain (LSP-006)."""
        installed = loader.catalog()
        ids = self.info.ProtocolChain.ChainEntries
        own = [entry_id for entry_id in ids if installed.find(entry_id).path == f"{HERE}:{type(self).__name__}"]
        return installed.find(ids[ids.index(own[0]) + 1])

    def passed_on(self, given: WSAPROTOCOL_INFO | None) -> WSAPROTOCOL_INFO:
        """The documented policy: the same to a layer, the base's own to the base."""
        assert given is not None
        entry = self.entry_below()
        return entry.info if entry.info.chain_length == c.BASE_PROTOCOL else given

    def forward(self, name: str) -> Any:
        return lambda *arguments: getattr(self.below(), name)(*arguments)

    def WSPSocket(self, af: int, type: int, protocol: int, info: WSAPROTOCOL_INFO, g: int, flags: int) -> int:
        SEEN.append(Seen(self.place, "WSPSocket", info, (af, type, protocol, g, flags)))
        handle = self.below().WSPSocket(af, type, protocol, self.passed_on(info), g, flags)
        return self.upcalls.WPUModifyIFSHandle(self.info.dwCatalogEntryId, handle)

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        reserved = self.below().WSPDuplicateSocket(s, process_id).dwProviderReserved
        answer = self.info._replace(dwProviderReserved=reserved)
        SEEN.append(Seen(self.place, "WSPDuplicateSocket", answer, (process_id,)))
        return answer

    def WSPAddressToString(self, address: Sockaddr, info: WSAPROTOCOL_INFO) -> str:
        SEEN.append(Seen(self.place, "WSPAddressToString", info))
        return self.below().WSPAddressToString(address, self.passed_on(info))

    def WSPStringToAddress(self, text: str, address_family: int, info: WSAPROTOCOL_INFO) -> Sockaddr:
        SEEN.append(Seen(self.place, "WSPStringToAddress", info))
        return self.below().WSPStringToAddress(text, address_family, self.passed_on(info))


# One class for each place, so that a stranger can find its own.
KINDS = ("layer", "stranger", "lazy")
for _place in range(MOST):
    globals()[f"Layer{_place}"] = type(
        f"Layer{_place}", (LayerWitness,), {"name": f"layer{_place}", "__module__": HERE}
    )
    globals()[f"Stranger{_place}"] = type(f"Stranger{_place}", (Stranger,), {"place": f"stranger{_place}"})
    globals()[f"Lazy{_place}"] = type(f"Lazy{_place}", (Stranger,), {"place": f"lazy{_place}", "lazy": True})

CHAINS = [
    pytest.param([kind] * count, id=f"{count} {kind}") for kind in KINDS for count in range(1, MOST + 1)
] + [
    pytest.param([KINDS[(start + place) % len(KINDS)] for place in range(count)], id=f"{count} mixed from {start}")
    for start in range(len(KINDS))
    for count in range(2, MOST + 1)
]  # fmt: skip


def installed(kinds: list[str]) -> Catalog:
    """Recording base protocols under one chain of witnesses, the first of them uppermost."""
    bases = Catalog(CatalogEntry(entry.info, f"{HERE}:BaseWitness") for entry in BUILTIN)
    return bases.with_layers(
        [LayerSpec(f"{kind}{place}", f"{HERE}:{kind.title()}{place}") for place, kind in enumerate(kinds)]
    )


def opened(kinds: list[str]) -> Chain:
    process.startup(catalog=installed(kinds))
    return loader.open_chain(loader.catalog().match(c.AF_INET, c.SOCK_STREAM, 0))


def places(kinds: list[str]) -> list[str]:
    return [f"{kind}{place}" for place, kind in enumerate(kinds)]


def calls(function: str) -> list[Seen]:
    return [seen for seen in SEEN if seen.function == function]


def handed(function: str) -> list[tuple[str, WSAPROTOCOL_INFO | None]]:
    return [(seen.place, seen.info) for seen in calls(function)]


def base_info() -> WSAPROTOCOL_INFO:
    return loader.catalog().find(1001).info


@pytest.mark.parametrize("kinds", CHAINS)
def test_startup(kinds: list[str]) -> None:
    """LSP-004, LSP-008: from the top down, each with the chain's own entry, the base with its own.

    LSP-006: a stranger finds what is below it by its own id.
    """
    chain = opened(kinds)
    chain.table.WSPSocket(0, 0, 0, chain.info, 0, 0)
    found = [(place, info) for place, info in handed("WSPStartup") if place != "base"]
    assert found == [(place, chain.info) for place in places(kinds)]
    assert all(info is chain.info for _, info in found), "the same structure"
    assert {info for place, info in handed("WSPStartup") if place == "base"} == {base_info()}
    assert chain.info.ProtocolChain == WSAPROTOCOLCHAIN(len(kinds) + 1, chain.ids)


@pytest.mark.parametrize("kinds", CHAINS)
@pytest.mark.parametrize("function", FUNCTIONS_THAT_PROPAGATE)
def test_calls(kinds: list[str], function: str) -> None:
    """LSP-001, LSP-004: every layer gets the caller's own structure with its chain.

    LSP-002, LSP-003: the base gets its own entry, of which it can be nothing but the end.
    """
    chain = opened(kinds)
    given = chain.info._replace(szProtocol="the caller's own copy")
    arguments: dict[str, tuple[Any, ...]] = {
        "WSPSocket": (FROM, 0, FROM, given, 77, c.WSA_FLAG_OVERLAPPED),
        "WSPAddressToString": (ADDRESS, given),
        "WSPStringToAddress": ("127.0.0.1:80", c.AF_INET, given),
    }
    getattr(chain.table, function)(*arguments[function])
    found = handed(function)
    assert [place for place, _ in found] == [*places(kinds), "base"]
    assert all(info is given for _, info in found[:-1]), "the same, unmodified"
    assert found[-1][1] == base_info()
    assert base_info().ProtocolChain == (c.BASE_PROTOCOL, ())
    if function == "WSPSocket":
        values = {seen.arguments for seen in calls(function)}
        assert values == {(FROM, 0, FROM, 77, c.WSA_FLAG_OVERLAPPED)}, "what is no description is passed on as it is"


@pytest.mark.parametrize("kinds", CHAINS)
def test_duplicates(kinds: list[str]) -> None:
    """LSP-004, LSP-005: what comes up is the chain's own entry with the base's secret.

    Going down again the base gets its own with it.
    """
    chain = opened(kinds)
    s = chain.table.WSPSocket(0, 0, 0, chain.info, 0, 0)
    duplicate = chain.table.WSPDuplicateSocket(s, 99)
    assert duplicate == chain.info._replace(dwProviderReserved=4711)
    assert handed("WSPDuplicateSocket")[1:] == [(place, duplicate) for place in reversed(places(kinds))]
    assert {seen.arguments for seen in calls("WSPDuplicateSocket")} == {(99,)}
    if set(kinds) == {"layer"}:
        SEEN.clear()
        chain.table.WSPSocket(FROM, FROM, FROM, duplicate, 0, 0)
        assert all(info is duplicate for _, info in handed("WSPSocket")[:-1])
        assert handed("WSPSocket")[-1] == ("base", base_info()._replace(dwProviderReserved=4711))


@pytest.mark.parametrize("kinds", CHAINS)
def test_the_upcalls_are_handed_on_unchanged(kinds: list[str]) -> None:
    """LSP-011."""
    chain = opened(kinds)
    chain.table.WSPSocket(0, 0, 0, chain.info, 0, 0)
    own = [upcalls for place, upcalls in UPCALLS if place != "base"]
    assert len(own) == len(kinds)
    assert len({id(upcalls) for upcalls in own}) == 1
    assert ("base", own[0]) in UPCALLS


@pytest.mark.parametrize("count", range(1, MOST + 1))
def test_a_chain_may_be_started_bit_by_bit(count: int) -> None:
    """LSP-007, LSP-009: the loader starts the first, and each starts the next when it needs it."""
    chain = opened(["lazy"] * count)
    assert [place for place, _ in handed("WSPStartup")] == ["lazy0"]
    chain.table.WSPAddressToString(ADDRESS, chain.info)
    started = [*places(["lazy"] * count), "base"]
    assert [place for place, _ in handed("WSPStartup")] == started
    chain.table.WSPStringToAddress("127.0.0.1:80", c.AF_INET, chain.info)
    assert [place for place, _ in handed("WSPStartup")] == started, "once"


def test_a_layer_may_take_over_the_functions_below_it() -> None:
    """LSP-010, LSP-021: what a `Layer` has no part in is the base's own function, through six of them."""
    chain = opened(["layer"] * MOST)
    base = loader.open_chain(loader.catalog().find(1001))
    assert chain.table.WSPSend is base.table.WSPSend
    shared = [name for name in FUNCTIONS if getattr(chain.table, name) is getattr(base.table, name)]
    assert len(shared) == len(FUNCTIONS) - 10


def test_a_chain_holds_seven_entries() -> None:
    chain = opened(["layer"] * MOST)
    assert len(chain.ids) == c.MAX_PROTOCOL_CHAIN == 7
    with pytest.raises(e.WinsockError, match="6 layers") as caught:
        Catalog().with_layers([LayerSpec("one", "a:A")] * (MOST + 1))
    assert caught.value.name == "WSANO_RECOVERY"


def test_a_longer_chain_is_not_opened() -> None:
    """However it came into the catalog."""
    long = installed(["layer"] * MOST)
    chain = long.match(c.AF_INET, c.SOCK_STREAM, 0)
    ids = (chain.info.ProtocolChain.ChainEntries[0], *chain.info.ProtocolChain.ChainEntries)
    eight = chain.info._replace(dwCatalogEntryId=9000, ProtocolChain=WSAPROTOCOLCHAIN(len(ids), ids))
    process.startup(catalog=Catalog((CatalogEntry(eight, chain.path), *long.entries)))
    with pytest.raises(e.WinsockError, match="8 entries") as caught:
        loader.open_chain(loader.catalog().find(9000))
    assert caught.value.name == "WSAEINVALIDPROVIDER"
    assert SEEN == []
