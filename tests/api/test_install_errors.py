"""The errors of the WSC functions: each of the native catalog, of its 32-bit twin, and of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import winsock
from tests.refusals import refused
from winsock import GUID, WSAPROTOCOLCHAIN, Layer
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.catalog.entries import BUILTIN

pytestmark = pytest.mark.usefixtures("catalog_file")

NOBODY = GUID(9, 0, 0, b"provider")
KIND, AUDIT = c.ProviderInfoLspCategories, c.ProviderInfoAudit
IFS = c.XP1_IFS_HANDLES
MAKES = f"{__name__}:Makes"
TCP = BUILTIN[0].info
INFOS = [BUILTIN[0].info._replace(ProtocolChain=WSAPROTOCOLCHAIN(c.LAYERED_PROTOCOL), szProtocol="layer")]


class Makes(Layer):
    """One that says that it makes handles of its own."""

    ifs_handles = False


CASES: list[tuple[str, Sequence[object], int]] = [
    ("WSCGetProviderPath", (None,), e.WSAEFAULT),
    ("WSCGetProviderPath", (NOBODY,), e.WSAEINVAL),
    ("WSCDeinstallProvider", (None,), e.WSAEFAULT),
    ("WSCDeinstallProvider", (NOBODY,), e.WSAEINVAL),
    ("WSCUpdateProvider", (None, MAKES, INFOS), e.WSAEFAULT),
    ("WSCUpdateProvider", (NOBODY, MAKES, INFOS), e.WSAEINVAL),
    ("WSCWriteProviderOrder", ([1, 2],), e.WSAEINVAL),
    ("WSCWriteProviderOrder", (None,), e.WSAEINVAL),
    ("WSCWriteProviderOrder", (7,), e.WSAEINVAL),
    ("WSCWriteProviderOrder", (["one"] * len(BUILTIN),), e.WSAEINVAL),
    ("WSCGetProviderInfo", (None, KIND), e.WSAEFAULT),
    ("WSCGetProviderInfo", (NOBODY, 7), e.WSAEINVAL),
    ("WSCGetProviderInfo", (NOBODY, AUDIT), e.ERROR_CALL_NOT_IMPLEMENTED),
    ("WSCGetProviderInfo", (NOBODY, KIND), e.WSAEINVALIDPROVIDER),
    ("WSCSetProviderInfo", (None, KIND, 0), e.WSAEFAULT),
    ("WSCSetProviderInfo", (NOBODY, KIND, 0), e.WSAEINVAL),
    ("WSCSetProviderInfo", (NOBODY, AUDIT, 0), e.ERROR_CALL_NOT_IMPLEMENTED),
]
OF_BOTH: list[tuple[str, Sequence[object], int]] = [
    ("WSCInstallProvider", (None, MAKES, INFOS), e.WSAEFAULT),
    ("WSCInstallProvider64_32", (None, MAKES, INFOS), e.WSAEFAULT),
    ("WSCInstallProvider", (NOBODY, MAKES, None), e.WSAEINVAL),
    ("WSCInstallProvider64_32", (NOBODY, MAKES, None), e.WSAEINVAL),
    ("WSCInstallProviderAndChains", (7, MAKES, "layer", 0), e.WSAEFAULT),
    ("WSCInstallProviderAndChains64_32", (7, MAKES, MAKES, "layer", 0), e.WSAEFAULT),
    ("WSCInstallProviderAndChains", (NOBODY, MAKES, "", 0), e.WSAEINVAL),
    ("WSCInstallProviderAndChains64_32", (NOBODY, MAKES, MAKES, "", 0), e.WSAEINVAL),
    ("WSCInstallProviderAndChains", (NOBODY, MAKES, "layer", IFS), e.WSAEINVALIDPROCTABLE),
    ("WSCInstallProviderAndChains64_32", (NOBODY, MAKES, MAKES, "layer", IFS), e.WSAEINVALIDPROCTABLE),
    ("WSCInstallProviderAndChains", (NOBODY, MAKES, "layer", None), e.WSAEINVAL),
    ("WSCInstallProviderAndChains64_32", (NOBODY, MAKES, MAKES, "layer", "0"), e.WSAEINVAL),
    ("WSCGetApplicationCategory", (None, None), e.WSAEFAULT),
    ("WSCSetApplicationCategory", (None, None, 1), e.WSAEFAULT),
    ("WSCInstallProviderAndChains", (None, MAKES, "layer", 0), e.WSAEINVAL),
    ("WSCInstallProviderAndChains64_32", (None, MAKES, MAKES, "layer", 0), e.WSAEINVAL),
]


@pytest.mark.parametrize("twin", ["", "32"])
@pytest.mark.parametrize(("function", "arguments", "code"), CASES)
def test_a_mistake_of_either_view(function: str, twin: str, arguments: Sequence[object], code: int) -> None:
    with refused(code):
        getattr(winsock, function + twin)(*arguments)


@pytest.mark.parametrize(("function", "arguments", "code"), OF_BOTH)
def test_a_mistake_of_both_views(function: str, arguments: Sequence[object], code: int) -> None:
    with refused(code):
        getattr(winsock, function)(*arguments)


@pytest.mark.parametrize("extra", [None, "-param"])
def test_an_application_with_a_null_character_in_its_path_is_none(extra: str | None) -> None:
    """No start would get past it."""
    with refused(e.WSAEINVAL):
        winsock.WSCSetApplicationCategory("/bin/t\0rue", extra, c.LSP_SYSTEM)
    with refused(e.WSAEINVAL):
        winsock.WSCGetApplicationCategory("/bin/t\0rue", extra)
    winsock.WSCSetApplicationCategory("/bin/true", extra, c.LSP_SYSTEM)
    with winsock.started():
        assert winsock.WSAEnumProtocols()


IMPOSSIBLE: dict[str, dict[str, object]] = {
    "a chain of less than nothing": {"ProtocolChain": WSAPROTOCOLCHAIN(-1)},
    "a chain of a length that is no number": {"ProtocolChain": WSAPROTOCOLCHAIN("2")},  # type: ignore[arg-type]
    "no chain": {"ProtocolChain": None},
    "a family that is no number": {"iAddressFamily": "AF_INET"},
    "a family beyond all numbers": {"iAddressFamily": 1 << 40},
    "a name that is none": {"szProtocol": 5},
    "a name that ends in its middle": {"szProtocol": "one\0two"},
    "a name of half a character": {"szProtocol": "\ud800"},
    "a name of more units than characters": {"szProtocol": "\U0001f600" * 200},
}


@pytest.mark.parametrize("install", ["WSCInstallProvider", "WSCInstallProvider64_32"])
@pytest.mark.parametrize("fields", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_the_catalog_could_not_keep_does_not_come_into_it(install: str, fields: dict[str, object]) -> None:
    before = winsock.WSCEnumProtocols()
    with refused(e.WSAEINVAL):
        getattr(winsock, install)(NOBODY, MAKES, [TCP._replace(**fields)])  # type: ignore[arg-type]
    assert winsock.WSCEnumProtocols() == before
    winsock.WSCInstallProvider(NOBODY, MAKES, INFOS)
    installed = winsock.WSCEnumProtocols()[-1]._replace(**fields)  # type: ignore[arg-type]
    with refused(e.WSAEINVAL):
        winsock.WSCUpdateProvider(NOBODY, MAKES, [installed])


def test_a_path_with_a_null_character() -> None:
    with refused(e.WSAEINVAL):
        winsock.WSCInstallProvider(NOBODY, f"a\0{MAKES}", INFOS)


@pytest.mark.parametrize("length", [c.LAYERED_PROTOCOL, c.BASE_PROTOCOL])
def test_only_chains_have_members(length: int) -> None:
    members = tuple(entry.info.dwCatalogEntryId for entry in BUILTIN[:3])
    info = TCP._replace(ProtocolChain=WSAPROTOCOLCHAIN(length, members), szProtocol="mine")
    winsock.WSCInstallProvider(NOBODY, MAKES, [info])
    assert winsock.WSCEnumProtocols()[-1].ProtocolChain == WSAPROTOCOLCHAIN(length)
    installed = winsock.WSCEnumProtocols()[-1]
    winsock.WSCUpdateProvider(NOBODY, MAKES, [installed._replace(ProtocolChain=info.ProtocolChain)])
    assert winsock.WSCEnumProtocols()[-1] == installed


USES: dict[str, Sequence[object]] = {
    "WSCDeinstallProvider": (NOBODY,),
    "WSCDeinstallProvider32": (NOBODY,),
    "WSCInstallProvider": (NOBODY, MAKES, INFOS),
    "WSCInstallProvider64_32": (NOBODY, MAKES, INFOS),
    "WSCInstallProviderAndChains": (NOBODY, MAKES, "layer", 0),
    "WSCInstallProviderAndChains64_32": (NOBODY, MAKES, MAKES, "layer", 0),
    "WSCUpdateProvider": (NOBODY, MAKES, INFOS),
    "WSCUpdateProvider32": (NOBODY, MAKES, INFOS),
    "WSCWriteProviderOrder": ([],),
    "WSCWriteProviderOrder32": ([],),
    "WSCGetProviderInfo": (NOBODY, KIND),
    "WSCGetProviderInfo32": (NOBODY, KIND),
    "WSCSetProviderInfo": (NOBODY, KIND, 0),
    "WSCSetProviderInfo32": (NOBODY, KIND, 0),
    "WSCGetApplicationCategory": ("/bin/foo", None),
    "WSCSetApplicationCategory": ("/bin/foo", None, 1),
}


@pytest.mark.parametrize("function", USES)
def test_a_catalog_that_is_damaged(function: str, catalog_file: Path) -> None:
    catalog_file.parent.mkdir(mode=0o700)
    catalog_file.write_bytes(b"no database at all" * 100)
    catalog_file.chmod(0o600)
    with refused(e.WSANO_RECOVERY):
        getattr(winsock, function)(*USES[function])
