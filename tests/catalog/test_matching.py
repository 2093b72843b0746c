"""The tuple rules, held against every triple over catalogs in which families, types and protocols go together oddly."""

from __future__ import annotations

from itertools import product

import pytest

from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog import matching
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry

PATTERN = BUILTIN[0].info
NUMBERS = (0, 1, 2, 3, 7)


def info(family: int, type: int, protocol: int, flags: int = 0, chain: tuple[int, ...] = (1,)) -> WSAPROTOCOL_INFO:
    length = len(chain)
    return PATTERN._replace(
        iAddressFamily=family,
        iSocketType=type,
        iProtocol=protocol,
        dwProviderFlags=flags,
        ProtocolChain=WSAPROTOCOLCHAIN(length, chain if length > 1 else ()),
    )


ZERO = c.PFL_MATCHES_PROTOCOL_ZERO
INFOS = [
    info(1, 1, 1, ZERO),
    info(1, 2, 2, ZERO),
    info(2, 1, 2),
    info(2, 3, 0),
    info(7, 7, 7, ZERO, chain=()),  # a layered protocol by itself
    info(1, 1, 3, chain=(7, 1)),
]
CATALOG = Catalog(CatalogEntry(each._replace(dwCatalogEntryId=i + 1), "x:X") for i, each in enumerate(INFOS))


def expected(af: int, type: int, protocol: int) -> list[int] | str:
    """SOCK-010, SOCK-011 and the errors, said once more in other words."""
    if (af, type, protocol) == (0, 0, 0):
        return "WSAEINVAL"
    rows = [entry.info for entry in CATALOG if entry.info.ProtocolChain.ChainLen != 0]

    def meets(row: WSAPROTOCOL_INFO, of: str) -> bool:
        zero = row.iProtocol == 0 or row.dwProviderFlags & ZERO
        answers = {
            "a": af in (row.iAddressFamily, 0),
            "t": type in (row.iSocketType, 0),
            "p": bool(zero) if protocol == 0 else row.iProtocol == protocol,
        }
        return all(answers[letter] for letter in of)

    found = [row.dwCatalogEntryId for row in rows if meets(row, "atp")]
    if found:
        return found
    order = (("t", "WSAESOCKTNOSUPPORT"), ("a", "WSAEAFNOSUPPORT"), ("p", "WSAEPROTONOSUPPORT"))
    for of, error in (*order, ("at", "WSAESOCKTNOSUPPORT")):
        if not any(meets(row, of) for row in rows):
            return error
    return "WSAEPROTOTYPE"


@pytest.mark.parametrize("kind", list(product(NUMBERS, NUMBERS, NUMBERS)), ids=lambda kind: "-".join(map(str, kind)))
def test_every_triple_sock_010_sock_011_sock_012(kind: tuple[int, int, int]) -> None:
    try:
        found: list[int] | str = [entry.info.dwCatalogEntryId for entry in CATALOG.matches(*kind)]
    except e.WinsockError as error:
        found = error.name
    assert found == expected(*kind)


def test_what_is_supported_singly_is_an_error_of_its_own_sock_018() -> None:
    together = [kind for kind in product(NUMBERS, NUMBERS, NUMBERS) if _raised(kind) is matching.NotTogether]
    assert (1, 2, 1) in together, "a type and a protocol that do not go together"
    assert (1, 3, 0) in together, "a type that another family has"
    assert (7, 1, 1) not in together, "a family that is not there"


def _raised(kind: tuple[int, int, int]) -> type[Exception] | None:
    try:
        CATALOG.matches(*kind)
    except e.WinsockError as error:
        return type(error)
    return None


def test_a_layer_by_itself_is_no_match_not_even_in_part() -> None:
    """CAT-037: it does not lead to another error than without it."""
    assert _code(7, 0, 0) == "WSAEAFNOSUPPORT"
    assert _code(0, 7, 0) == "WSAESOCKTNOSUPPORT"
    assert _code(0, 0, 7) == "WSAEPROTONOSUPPORT"


def _code(af: int, type: int, protocol: int) -> str:
    with pytest.raises(e.WinsockError) as caught:
        CATALOG.match(af, type, protocol)
    return caught.value.name
