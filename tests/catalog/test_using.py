"""What sockets get of a catalog."""

from __future__ import annotations

from winsock.abi.constants import AF_INET
from winsock.abi.guids import GUID
from winsock.catalog import install, using
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry, LayerSpec
from winsock.catalog.install import Source

A, B, D = (LayerSpec(name, f"{name}:L") for name in "abd")


def over(catalog: Catalog, name: str, *covered: CatalogEntry) -> Catalog:
    number = catalog.next_id
    return install.stack(catalog, GUID(number, 0, 0, bytes(8)), Source(f"{name}:L"), name, True, covered)[0]


def names(catalog: Catalog) -> list[str]:
    return [entry.info.szProtocol for entry in using.layers_in_use(catalog)]


def test_what_is_built_in_has_no_layers() -> None:
    assert names(Catalog()) == []
    assert using.routes(Catalog()) == [((), ("tcp/ipv4", "udp/ipv4", "tcp/ipv6", "udp/ipv6"))]


def test_layers_over_everything() -> None:
    catalog = Catalog().with_layers([A, B])
    assert names(catalog) == ["a", "b"]
    assert using.routes(catalog) == [(("a", "b"), ("tcp/ipv4", "udp/ipv4", "tcp/ipv6", "udp/ipv6"))]


def test_kinds_have_layers_of_their_own() -> None:
    tcp4, udp4, *_ = BUILTIN
    catalog = over(over(over(Catalog(), "low", tcp4, udp4), "udp", udp4), "other", tcp4)
    assert using.routes(catalog) == [
        (("other",), ("tcp/ipv4",)),
        (("udp",), ("udp/ipv4",)),
        ((), ("tcp/ipv6", "udp/ipv6")),
    ]
    assert names(catalog) == ["other", "udp"]


def test_layers_are_in_an_order_that_every_chain_has() -> None:
    catalog = over(Catalog(), "low", *BUILTIN)
    udp = [entry for entry in install.uppermost(catalog) if entry.info.iProtocol == 17]
    catalog = over(catalog, "middle", *udp)
    catalog = over(catalog, "top", *install.uppermost(catalog))
    assert names(catalog) == ["top", "middle", "low"]


def test_layers_of_a_chain_that_nothing_gets_are_not_in_use() -> None:
    catalog = over(Catalog(), "a", *BUILTIN)
    assert names(install.order(catalog, sorted(entry.info.dwCatalogEntryId for entry in catalog))) == []


def test_a_kind_without_a_name_is_told_by_numbers() -> None:
    assert using.kind_name(BUILTIN[0].info._replace(iProtocol=132, iAddressFamily=99)) == "protocol 132/family 99"
    assert using.kind_name(BUILTIN[0].info._replace(iAddressFamily=AF_INET)) == "tcp/ipv4"
