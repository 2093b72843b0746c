"""The WSC functions, WSAProviderConfigChange, and what WSAStartup takes of what is installed."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import winsock
from tests.puppet import ROOT
from tests.refusals import code_of, refused
from winsock import GUID, WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN, Layer
from winsock.abi import constants as c
from winsock.abi.errors import (
    ERROR_CALL_NOT_IMPLEMENTED,
    WSA_INVALID_HANDLE,
    WSAEFAULT,
    WSAEINPROGRESS,
    WSAEINVAL,
    WSAEINVALIDPROCTABLE,
    WSAEINVALIDPROVIDER,
    WSAEOPNOTSUPP,
    WSANO_RECOVERY,
    WSANOTINITIALISED,
    WSASERVICE_NOT_FOUND,
    WSASYSNOTREADY,
)
from winsock.api import install as api
from winsock.catalog import database, store
from winsock.catalog.entries import BUILTIN, Catalog
from winsock.dispatcher.records import records

pytestmark = pytest.mark.usefixtures("catalog_file")

TCP4, UDP4, TCP6, UDP6 = (entry.info for entry in BUILTIN[:4])
BASES = [entry.info.dwCatalogEntryId for entry in BUILTIN]
SHOWN = [entry.info.dwCatalogEntryId for entry in Catalog().visible()]
FIRST = BASES[-1] + 1
"""The id of what is installed first."""
ONE, TWO, THREE = (GUID(number, 0, 0, b"provider") for number in (1, 2, 3))
IFS = c.XP1_IFS_HANDLES
SELF = "tests.api.test_install"
PASSES, MAKES = f"{SELF}:Passes", f"{SELF}:Makes"
STREAMS = f"{SELF}:Streams"


class Passes(Layer):
    """A layer that hands up the handles from below."""

    connected: int = 0

    def connecting(self, address: Any) -> None:
        type(self).connected += 1


class Streams(winsock.StreamLayer):
    """One that gets the bytes of streams."""


class Makes(Layer):
    """One that says that it makes its own."""

    ifs_handles = False


def dummy(name: str = "layer") -> WSAPROTOCOL_INFO:
    return TCP4._replace(
        ProtocolChain=WSAPROTOCOLCHAIN(c.LAYERED_PROTOCOL),
        dwProviderFlags=c.PFL_HIDDEN,
        szProtocol=name,
    )


def enumerated() -> list[tuple[int, str]]:
    """What WSAEnumProtocols shows: chain lengths and names."""
    return [(info.chain_length, info.szProtocol) for info in winsock.WSAEnumProtocols()]


def entry_of(s: int) -> int:
    """The catalog entry that a socket was opened on."""
    info = winsock.getsockopt(s, c.SOL_SOCKET, c.SO_PROTOCOL_INFO)
    assert isinstance(info, WSAPROTOCOL_INFO)
    return info.dwCatalogEntryId


def elsewhere(code: str, *arguments: str, **more: str) -> str:
    """What a new process says."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))), **more}
    command = [sys.executable, "-c", f"import sys, winsock as w\n{code}", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout


# --- installing one thing after the other --------------------------------------------------------------------------


def test_as_the_published_installer_does_it() -> None:
    winsock.WSCInstallProvider(ONE, PASSES, [dummy("sample")])
    (own,) = [info for info in winsock.WSCEnumProtocols() if info.ProviderId == ONE]
    assert (own.dwCatalogEntryId, own.chain_length) == (FIRST, c.LAYERED_PROTOCOL)  # CAT-006, CAT-014, CAT-044
    chain = TCP4._replace(ProtocolChain=WSAPROTOCOLCHAIN(2, (own.dwCatalogEntryId, TCP4.dwCatalogEntryId)))
    winsock.WSCInstallProvider(TWO, PASSES, [chain._replace(szProtocol="sample over [tcp]")])
    ids = [info.dwCatalogEntryId for info in winsock.WSCEnumProtocols()]
    assert ids == [*BASES, FIRST, FIRST + 1]
    winsock.WSCWriteProviderOrder([FIRST + 1, *ids[:-1]])
    with winsock.started():
        s = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        assert entry_of(s) == FIRST + 1
        winsock.closesocket(s)


def test_a_provider_twice() -> None:
    """CAT-007."""
    winsock.WSCInstallProvider(ONE, PASSES, [dummy()])
    with refused(WSANO_RECOVERY):
        winsock.WSCInstallProvider(ONE, PASSES, [dummy()])


@pytest.mark.parametrize("infos", [None, [], TCP4, 5])
def test_entries_are_needed_cat_011(infos: Any) -> None:
    with refused(WSAEINVAL):
        winsock.WSCInstallProvider(ONE, PASSES, infos)


def test_arguments_that_are_something_else() -> None:
    wrong: list[tuple[int, Callable[..., Any], tuple[Any, ...]]] = [
        (WSAEFAULT, winsock.WSCInstallProvider, ("guid", PASSES, [dummy()])),
        (WSAEFAULT, winsock.WSCInstallProvider, (ONE, PASSES, ["entry"])),
        (WSAEINVAL, winsock.WSCInstallProvider, (ONE, "", [dummy()])),
        (WSAEINVAL, winsock.WSCInstallProvider, (ONE, None, [dummy()])),
        (WSAEINVAL, winsock.WSCInstallProvider, (ONE, "x" * 260, [dummy()])),
        (WSAEINVAL, winsock.WSCInstallProvider, (ONE, "/no/such/file.py", [dummy()])),
        (WSAEFAULT, winsock.WSCDeinstallProvider, (None,)),
        (WSAEFAULT, winsock.WSCGetProviderPath, (None,)),
        (WSAEINVAL, winsock.WSCEnumProtocols, (6,)),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, "no_such_module:L", "n", IFS)),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, PASSES, "", IFS)),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, PASSES, "n" * 256, IFS)),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, PASSES, None, IFS)),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, PASSES, "n", c.XP1_GRACEFUL_CLOSE)),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, PASSES, "n", IFS, [])),
        (WSAEINVAL, winsock.WSCInstallProviderAndChains, (ONE, PASSES, "n", IFS, [TCP4._replace(iProtocol=99)])),
        (WSAEINVAL, winsock.WSCUpdateProvider, (ONE, PASSES, [dummy()])),
    ]
    assert [code_of(lambda f=function, a=arguments: f(*a)) for _, function, arguments in wrong] == [  # type: ignore[misc]
        code for code, _, _ in wrong
    ]
    assert not store.read().generation


def test_an_error_is_the_threads_last() -> None:
    with winsock.started():
        assert code_of(lambda: winsock.WSCDeinstallProvider(ONE)) == WSAEINVAL
        assert winsock.WSAGetLastError() == WSAEINVAL


# --- a layer and its chains ----------------------------------------------------------------------------------------


def test_a_layer_over_everything_cat_025() -> None:
    """CAT-019 to CAT-021."""
    own = winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
    infos = winsock.WSCEnumProtocols()
    assert [info.chain_length for info in infos] == [2, 2, 2, 2, 0] + [1] * len(BASES)
    assert {info.ProtocolChain.ChainEntries[0] for info in infos[:4]} == {own}
    assert infos[4].dwCatalogEntryId == own


def test_over_what_is_named_cat_022_cat_023_cat_024() -> None:
    for number in range(6):
        winsock.WSCInstallProviderAndChains(GUID(number, 0, 0, bytes(8)), PASSES, f"l{number}", IFS, [TCP4, TCP4])
    assert winsock.WSCEnumProtocols()[0].chain_length == c.MAX_PROTOCOL_CHAIN
    with refused(WSANO_RECOVERY):
        winsock.WSCInstallProviderAndChains(ONE._replace(Data1=77), PASSES, "one more", IFS, [TCP4])
    with refused(WSAEINVAL):
        winsock.WSCInstallProviderAndChains(ONE._replace(Data1=77), PASSES, "l3", IFS, [UDP4])
    with refused(WSAEINVAL):
        winsock.WSCInstallProviderAndChains(GUID(3, 0, 0, bytes(8)), PASSES, "new", IFS, [UDP4])


@pytest.mark.parametrize(("path", "flags"), [(PASSES, 0), (MAKES, IFS)])
def test_flags_that_are_not_the_providers_cat_033(path: str, flags: int) -> None:
    with refused(WSAEINVALIDPROCTABLE):
        winsock.WSCInstallProviderAndChains(ONE, path, "odd", flags)


def test_a_layer_with_handles_of_its_own() -> None:
    winsock.WSCInstallProviderAndChains(ONE, MAKES, "makes", 0)
    assert not any(info.dwServiceFlags1 & IFS for info in winsock.WSCEnumProtocols()[:5])


def test_a_stream_layer_hands_up_the_handles_of_datagrams() -> None:
    """What the entries say is what programs find: such a handle is the base's own."""
    winsock.WSCInstallProviderAndChains(ONE, STREAMS, "streams", 0)
    chains = winsock.WSCEnumProtocols()[:4]
    assert [bool(info.dwServiceFlags1 & IFS) for info in chains] == [False, True] * 2
    with winsock.started():
        for info in chains:
            s = winsock.socket(info.iAddressFamily, info.iSocketType, info.iProtocol)
            base = winsock.WSAIoctl(s, c.SIO_BASE_HANDLE, None, 8)
            assert (int.from_bytes(base or b"", "little") == s) is bool(info.dwServiceFlags1 & IFS)
            winsock.closesocket(s)


def test_another_installer_that_does_not_end(catalog_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    winsock.WSCInstallProvider(ONE, PASSES, [dummy()])
    monkeypatch.setattr(database, "PATIENCE_S", 0.01)
    other = sqlite3.connect(catalog_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with refused(WSAEINPROGRESS):
        winsock.WSCInstallProviderAndChains(TWO, PASSES, "l", IFS)
    with refused(WSAEINPROGRESS):
        winsock.WSCInstallProviderAndChains64_32(TWO, PASSES, PASSES, "l", IFS)
    with refused(WSANO_RECOVERY, "being changed by another process"):
        winsock.WSCDeinstallProvider(ONE)
    other.close()


# --- removing, updating, ordering, paths ---------------------------------------------------------------------------


def test_removal() -> None:
    """CAT-012, CAT-013."""
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "one", IFS)
    winsock.WSCInstallProviderAndChains(TWO, PASSES, "two", IFS, [TCP4])
    winsock.WSCDeinstallProvider(ONE)
    assert [info.szProtocol for info in winsock.WSCEnumProtocols()][:2] == ["two over [MSAFD Tcpip [TCP/IP]]", "two"]
    with refused(WSAEINVAL):
        winsock.WSCDeinstallProvider(ONE)


def test_an_update_changes_path_and_entries_cat_026() -> None:
    winsock.WSCInstallProvider(ONE, PASSES, [dummy("old")])
    (info,) = [info for info in winsock.WSCEnumProtocols() if info.ProviderId == ONE]
    winsock.WSCUpdateProvider(ONE, MAKES, [info._replace(szProtocol="new")])
    assert winsock.WSCGetProviderPath(ONE) == MAKES
    assert winsock.WSCEnumProtocols()[-1] == info._replace(szProtocol="new")


def test_the_order_names_every_entry_once() -> None:
    """CAT-034."""
    for order in ([1001], [1001, 1002, 1003, 1003], [1, 2, 3, 4]):
        with refused(WSAEINVAL):
            winsock.WSCWriteProviderOrder(order)
    assert not store.read().generation


def test_the_order_is_that_of_enumeration_and_of_choice() -> None:
    """CAT-035."""
    winsock.WSCWriteProviderOrder(BASES[::-1])
    assert [info.dwCatalogEntryId for info in winsock.WSCEnumProtocols()] == BASES[::-1]
    with winsock.started():
        assert [info.dwCatalogEntryId for info in winsock.WSAEnumProtocols()] == SHOWN[::-1]
        s = winsock.socket(c.AF_UNSPEC, c.SOCK_STREAM, c.IPPROTO_TCP)
        assert entry_of(s) == 1003
        winsock.closesocket(s)


def test_paths_come_back_as_they_were_given_cat_005(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CAT-004: to an installer as to a provider."""
    (tmp_path / "mine.py").write_text("from winsock import Layer\nclass Mine(Layer): pass\n")
    (tmp_path / "mine.py").chmod(0o644)
    monkeypatch.setenv("MY_LAYERS", str(tmp_path))
    winsock.WSCInstallProviderAndChains(ONE, "%MY_LAYERS%/mine.py", "mine", IFS)
    assert winsock.WSCGetProviderPath(ONE) == "%MY_LAYERS%/mine.py"
    with refused(WSAEINVAL):
        winsock.WSCGetProviderPath(TWO)
    with winsock.started():  # CAT-002
        s = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        assert records[s].chain.layers[0].upcalls.WPUGetProviderPath(ONE) == "%MY_LAYERS%/mine.py"
        winsock.closesocket(s)


def test_enumeration_may_be_of_some_protocols_cat_017() -> None:
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
    assert [info.chain_length for info in winsock.WSCEnumProtocols([c.IPPROTO_UDP])] == [2, 2, 1, 1]
    assert winsock.WSCEnumProtocols([]) == []


# --- what a program sees -------------------------------------------------------------------------------------------


def test_hidden_and_layered_entries_are_for_installers() -> None:
    """CAT-014, CAT-015."""
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS, [TCP4])
    hidden = UDP4._replace(dwProviderFlags=c.PFL_HIDDEN, szProtocol="hidden", iProtocol=99)
    winsock.WSCInstallProvider(TWO, "winsock.base.inet:Inet", [hidden])
    assert len(winsock.WSCEnumProtocols()) == 3 + len(BASES)
    with winsock.started():
        assert enumerated() == [
            (2, "passes over [MSAFD Tcpip [TCP/IP]]"),
            *((1, entry.info.szProtocol) for entry in Catalog().visible()),
        ]


def test_a_running_program_sees_no_change() -> None:
    """CAT-009, CAT-012."""
    with winsock.started():
        winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
        assert [length for length, _ in enumerated()] == [1] * len(SHOWN)
        with winsock.started():
            assert [length for length, _ in enumerated()] == [1] * len(SHOWN)
        assert len(winsock.WSCEnumProtocols()) == 5 + len(BASES)
    with winsock.started():
        winsock.WSCDeinstallProvider(ONE)
        assert [length for length, _ in enumerated()] == [2] * 4 + [1] * len(SHOWN)
        s = winsock.socket(c.AF_INET, c.SOCK_STREAM, 0)
        before = Passes.connected
        code_of(lambda: winsock.connect(s, ("127.0.0.1", 1)))
        assert Passes.connected == before + 1
        winsock.closesocket(s)
    with winsock.started():
        assert [length for length, _ in enumerated()] == [1] * len(SHOWN)


def test_a_catalog_that_cannot_be_read_starts_nothing(catalog_file: Path) -> None:
    winsock.WSCInstallProvider(ONE, PASSES, [dummy()])
    catalog_file.chmod(0o666)
    with refused(WSASYSNOTREADY, "chmod go-w"):
        winsock.WSAStartup(c.WINSOCK_VERSION)
    with refused(WSANO_RECOVERY):
        winsock.WSCEnumProtocols()


def test_a_file_that_has_changed_is_not_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from winsock import Layer\nclass Mine(Layer): pass\n")
    file.chmod(0o644)
    winsock.WSCInstallProviderAndChains(ONE, str(file), "mine", IFS)
    file.write_text("raise SystemExit('run')\n")
    said = elsewhere(
        "w.WSAStartup(0x202)\n"
        "try: w.socket(2, 1, 6)\n"
        "except w.WinsockError as error: print(error.name, 'has changed since' in error.strerror)"
    )
    assert said == "WSAEPROVIDERFAILEDINIT True\n"


# --- the twins -----------------------------------------------------------------------------------------------------


def test_the_32_bit_catalog_is_another() -> None:
    """CAT-001."""
    winsock.WSCWriteProviderOrder32(BASES[::-1])
    assert [info.dwCatalogEntryId for info in winsock.WSCEnumProtocols32()] == BASES[::-1]
    assert [info.dwCatalogEntryId for info in winsock.WSCEnumProtocols()] == BASES
    winsock.WSCDeinstallProvider32(TCP4.ProviderId)
    assert (len(winsock.WSCEnumProtocols32()), len(winsock.WSCEnumProtocols())) == (len(BASES) - 3, len(BASES))
    with refused(WSAEINVAL):
        winsock.WSCGetProviderPath32(TCP4.ProviderId)
    winsock.WSCSetProviderInfo32(TCP6.ProviderId, c.ProviderInfoLspCategories, c.LSP_SYSTEM)
    assert winsock.WSCGetProviderInfo32(TCP6.ProviderId, c.ProviderInfoLspCategories) == c.LSP_SYSTEM
    assert winsock.WSCGetProviderInfo(TCP6.ProviderId, c.ProviderInfoLspCategories) == 0
    winsock.WSCUpdateProvider32(TCP6.ProviderId, PASSES, [])
    assert winsock.WSCGetProviderPath32(TCP6.ProviderId) == PASSES
    assert winsock.WSCGetProviderPath(TCP6.ProviderId) == BUILTIN[2].path


def test_both_catalogs_at_once() -> None:
    winsock.WSCInstallProvider64_32(ONE, PASSES, [dummy()])
    own = winsock.WSCInstallProviderAndChains64_32(TWO, PASSES, f"{SELF}:Passes", "both", IFS)
    assert own == FIRST + 1
    assert winsock.WSCEnumProtocols32() == winsock.WSCEnumProtocols()
    winsock.WSCDeinstallProvider32(TWO)
    with refused(WSAEINVAL):  # in the native one it is there: neither is changed
        winsock.WSCInstallProviderAndChains64_32(TWO, PASSES, PASSES, "both", IFS)
    assert len(winsock.WSCEnumProtocols32()) == len(BASES) + 1


# --- categories ----------------------------------------------------------------------------------------------------


def test_categories_of_a_layer_cat_031() -> None:
    """CAT-032, LSP-016."""
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
    kind = c.ProviderInfoLspCategories
    assert winsock.WSCGetProviderInfo(ONE, kind) == 0
    winsock.WSCSetProviderInfo(ONE, kind, c.LSP_INSPECTOR | c.LSP_SYSTEM)
    assert winsock.WSCGetProviderInfo(ONE, kind) == c.LSP_INSPECTOR | c.LSP_SYSTEM
    chain = winsock.WSCEnumProtocols()[0].ProviderId
    assert winsock.WSCGetProviderInfo(chain, kind) == 0
    wrong: list[tuple[int, Callable[[], object]]] = [
        (WSAEINVALIDPROVIDER, lambda: winsock.WSCGetProviderInfo(TWO, kind)),
        (WSAEINVAL, lambda: winsock.WSCSetProviderInfo(TWO, kind, 1)),
        (ERROR_CALL_NOT_IMPLEMENTED, lambda: winsock.WSCGetProviderInfo(ONE, c.ProviderInfoAudit)),
        (ERROR_CALL_NOT_IMPLEMENTED, lambda: winsock.WSCSetProviderInfo(ONE, c.ProviderInfoAudit, 1)),
        (WSAEINVAL, lambda: winsock.WSCGetProviderInfo(ONE, 2)),
        (WSAEINVAL, lambda: winsock.WSCGetProviderInfo(ONE, kind, 1)),
        (WSAEINVAL, lambda: winsock.WSCSetProviderInfo(ONE, kind, 1 << 32)),
        (WSAEINVAL, lambda: winsock.WSCSetProviderInfo(ONE, kind, b"\1")),  # type: ignore[arg-type]
        (WSAEFAULT, lambda: winsock.WSCGetProviderInfo("one", kind)),  # type: ignore[arg-type]
    ]
    assert [code_of(call) for _, call in wrong] == [code for code, _ in wrong]


def test_categories_of_an_application_cat_028_cat_029() -> None:
    """CAT-030."""
    with refused(WSASERVICE_NOT_FOUND):
        winsock.WSCGetApplicationCategory("/bin/foo", None)
    assert winsock.WSCSetApplicationCategory("/bin/foo", "-param", c.LSP_SYSTEM) == 0
    assert winsock.WSCSetApplicationCategory("/bin/foo", "-param", c.LSP_REDIRECTOR) == c.LSP_SYSTEM
    assert winsock.WSCGetApplicationCategory("/bin/foo", "-param") == c.LSP_SYSTEM | c.LSP_REDIRECTOR
    with refused(WSASERVICE_NOT_FOUND):
        winsock.WSCGetApplicationCategory("/bin/foo", None)
    wrong: list[Callable[[], object]] = [
        lambda: winsock.WSCGetApplicationCategory("", None),
        lambda: winsock.WSCSetApplicationCategory("/bin/foo", 5, 1),  # type: ignore[arg-type]
        lambda: winsock.WSCSetApplicationCategory("/bin/foo", None, -1),
    ]
    assert [code_of(call) for call in wrong] == [WSAEINVAL] * 3


SHOW_CHAINS = "w.WSAStartup(0x202); print([i.ProtocolChain.ChainLen for i in w.WSAEnumProtocols()])"
NO_CHAINS = f"{[1] * len(SHOWN)}\n"
CHAINS = f"{[2] * 4 + [1] * len(SHOWN)}\n"


@pytest.mark.parametrize(
    ("layer", "permitted", "seen"),
    [
        (0, None, CHAINS),  # LSP-013
        (0, c.LSP_INSPECTOR, NO_CHAINS),
        (0, c.LSP_SYSTEM, NO_CHAINS),  # LSP-012: a service, which loads no layer without categories
        (c.LSP_INSPECTOR, c.LSP_INSPECTOR | c.LSP_PROXY, CHAINS),  # LSP-014
        (c.LSP_INSPECTOR | c.LSP_FIREWALL, c.LSP_INSPECTOR | c.LSP_PROXY, NO_CHAINS),
        (c.LSP_INSPECTOR, c.LSP_INSPECTOR | c.LSP_SYSTEM, NO_CHAINS),  # LSP-015
        (c.LSP_INSPECTOR | c.LSP_SYSTEM, c.LSP_INSPECTOR | c.LSP_SYSTEM, CHAINS),  # LSP-012: several
    ],
)
def test_a_program_loads_what_it_permits(layer: int, permitted: int | None, seen: str) -> None:
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
    winsock.WSCSetProviderInfo(ONE, c.ProviderInfoLspCategories, layer)
    if permitted is not None:
        winsock.WSCSetApplicationCategory(sys.executable, None, permitted)
    assert elsewhere(SHOW_CHAINS) == seen


def test_a_program_may_be_told_by_its_arguments_cat_028() -> None:
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
    code = f"import sys, winsock as w\n{SHOW_CHAINS}"
    winsock.WSCSetApplicationCategory(sys.executable, f"-c {code} -k net", c.LSP_INSPECTOR)
    assert elsewhere(SHOW_CHAINS, "-k", "net") == NO_CHAINS
    assert elsewhere(SHOW_CHAINS, "-k", "other") == CHAINS


def test_what_a_program_permits_is_asked_once() -> None:
    """CAT-027."""
    winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS)
    again = f"{SHOW_CHAINS}; w.WSACleanup(); w.WSCSetApplicationCategory(sys.executable, None, 1); {SHOW_CHAINS}"
    assert elsewhere(again) == CHAINS * 2
    assert elsewhere(SHOW_CHAINS) == NO_CHAINS
    again = f"{SHOW_CHAINS}; w.WSACleanup(); w.WSCSetProviderInfo(w.GUID(1, 0, 0, b'provider'), 0, 1); {SHOW_CHAINS}"
    assert elsewhere(again) == NO_CHAINS + CHAINS


# --- changes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def started() -> Iterator[None]:
    with winsock.started():
        yield


def test_changes_are_told_to_those_that_must_be_started() -> None:
    with refused(WSANOTINITIALISED):
        winsock.WSAProviderConfigChange()


@pytest.mark.usefixtures("started")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="changes are told on Linux only")
class TestConfigChange:
    def test_each_kind_of_change_is_told_cat_010_cat_026_cat_036_cat_038_cat_039(self) -> None:
        handle = winsock.WSAProviderConfigChange()
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        changes: list[Callable[[], object]] = [
            lambda: winsock.WSCInstallProvider(ONE, PASSES, [dummy()]),
            lambda: winsock.WSCUpdateProvider(ONE, MAKES, []),
            lambda: winsock.WSCWriteProviderOrder([FIRST, *BASES[::-1]]),
            lambda: winsock.WSCDeinstallProvider(ONE),
            lambda: winsock.WSCInstallProviderAndChains(ONE, PASSES, "passes", IFS),
            lambda: elsewhere(f"w.WSCWriteProviderOrder32({BASES[::-1]})"),
        ]
        for change in changes:
            assert poll.poll(0) == []
            change()
            assert poll.poll(0) == [(handle, select.POLLIN)]
            assert winsock.WSAProviderConfigChange(handle) == handle
        os.close(handle)
        with refused(WSA_INVALID_HANDLE):
            winsock.WSAProviderConfigChange(handle)

    def test_there_is_no_overlapped_call_yet(self) -> None:
        with refused(WSAEOPNOTSUPP):
            winsock.WSAProviderConfigChange(None, object())
        with refused(WSAEOPNOTSUPP):
            winsock.WSAProviderConfigChange(None, None, print)


def test_every_function_of_the_module_is_public() -> None:
    names = {name for name in vars(api) if name.startswith("WS")} - {"WSAPROTOCOL_INFO", "WSAPROTOCOL_LEN"}
    functions = {name for name in names if callable(getattr(api, name))}
    assert {name for name in functions if getattr(winsock, name) is getattr(api, name)} == functions
    assert len(functions) == 21
