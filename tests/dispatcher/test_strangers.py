"""A provider that starts what is below it by itself: whose are the handles that are made there?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.fakes import RecordingBase, catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.catalog import files, layering
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.dispatcher import loader, process
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import find, records
from winsock.spi.layer import Layer
from winsock.spi.provider import WSPDATA, ProcTable
from winsock.spi.upcalls import Upcalls

BASE, LOWER_LAYER, LOWER, UPPER_LAYER, UPPER = 1001, 2001, 2002, 2003, 2004
CLOSED: list[int] = []


class Stranger(RecordingBase):
    """Makes a handle of its own over another one, of which the dispatcher knows too."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        _, table = super().WSPStartup(version, protocol_info, upcalls)
        return WSPDATA(), table

    def WSPSocket(self, *arguments: object) -> int:
        below, other = socket.socketpair()
        other.close()
        self.upcalls.WPUModifyIFSHandle(BASE, below.fileno())
        return self.upcalls.WPUCreateSocketHandle(self.info.dwCatalogEntryId, below.detach())

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: object) -> None:
        """There is nothing to be set."""

    def WSPCloseSocket(self, s: int) -> None:
        below = self.upcalls.WPUQuerySocketHandleContext(s)
        assert isinstance(below, int)
        os.close(below)
        CLOSED.append(s)
        self.upcalls.WPUCloseSocketHandle(s)


def installed() -> Catalog:
    """A stranger over a layer's own chain, which it names by its id, as the published installer does."""
    base = catalog().find(BASE)
    chains = ((UPPER, (UPPER_LAYER, LOWER, BASE)), (LOWER, (LOWER_LAYER, BASE)))
    paths = {UPPER_LAYER: f"{__name__}:Stranger", LOWER_LAYER: f"{__name__}:Lower"}
    layers = [CatalogEntry(layering.dummy_info(number, f"layer{number}", base.info), paths[number]) for number in paths]
    entries = [
        CatalogEntry(
            base.info._replace(
                dwCatalogEntryId=number,
                ProviderId=layering.provider_id(number),
                ProtocolChain=WSAPROTOCOLCHAIN(len(members), members),
                szProtocol=f"chain{number}",
            ),
            paths[members[0]],
        )
        for number, members in chains
    ]
    return Catalog((*entries, *layers, base))


class Lower(Layer):
    pass


@pytest.fixture
def chain() -> Chain:
    CLOSED.clear()
    process.startup(catalog=installed())
    return loader.open_chain(loader.catalog().find(UPPER))


@pytest.fixture
def upcalls(chain: Chain) -> Upcalls:
    stranger = getattr(chain.table.WSPSend, "__self__", None)
    assert isinstance(stranger, Stranger)
    return stranger.upcalls


@pytest.mark.parametrize("entry_id", [LOWER, BASE])
def test_a_handle_of_another_entry_is_served_by_that_entrys_chain(
    chain: Chain, upcalls: Upcalls, entry_id: int
) -> None:
    """HND-001: the loader started nothing below the stranger, and knows the entries by the catalog alone."""
    s = upcalls.WPUCreateSocketHandle(entry_id, None)
    assert find(s).chain is loader.opened[entry_id] is not chain
    assert find(s).table is loader.opened[entry_id].table
    upcalls.WPUCloseSocketHandle(s)


def test_its_own_entry_is_its_own(chain: Chain, upcalls: Upcalls) -> None:
    for entry_id in (UPPER, UPPER_LAYER):
        s = upcalls.WPUCreateSocketHandle(entry_id, None)
        assert find(s).table is chain.table
        upcalls.WPUCloseSocketHandle(s)


def test_a_layer_by_itself_has_no_handles(upcalls: Upcalls) -> None:
    with pytest.raises(e.WinsockError) as caught:
        upcalls.WPUCreateSocketHandle(LOWER_LAYER, None)
    assert caught.value.name == "WSAEINVAL"


def test_the_last_cleanup_closes_a_handle_before_what_is_below_it(chain: Chain, lines: list[str]) -> None:
    s = chain.table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, chain.entry.info, 0, 0)
    below = find(s).context
    assert isinstance(below, int)
    assert below in {record.handle for record in records.values()}
    process.cleanup()
    assert [s] == CLOSED
    assert RecordingBase.seen == []  # the base was not asked to close what the stranger had closed
    assert lines == []
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(below)


def test_a_chain_that_names_another_shows_it_by_its_name(chain: Chain) -> None:
    assert repr(chain) == f"layer{UPPER_LAYER} > chain{LOWER} > tcp/ipv4"


class TestLoading:
    """What a provider that starts the next one by itself loads."""

    def test_it_is_what_chains_are_opened_with(self, chain: Chain) -> None:
        assert loader.load_provider(f"{__name__}:Stranger") is Stranger

    def installed_file(self, file: Path) -> CatalogEntry:
        file.write_text("from winsock.spi.layer import Layer\nclass Mine(Layer): pass\n")
        path, digest = files.kept(f"{file}:Mine")
        base = catalog().find(BASE)
        layer = CatalogEntry(layering.dummy_info(LOWER_LAYER, "mine", base.info), path, digest=digest)
        process.startup(catalog=Catalog((layer, base)))
        return layer

    def test_a_file_is_the_one_that_was_installed(self, tmp_path: Path) -> None:
        entry = self.installed_file(tmp_path / "mine.py")
        assert loader.load_provider(entry.path) is loader.resolve(entry.path, entry.digest)
        assert loader.load_provider(entry.path) is not loader.resolve(entry.path)  # that one nobody checked

    def test_a_file_that_has_changed_is_refused(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.py"
        path = self.installed_file(file).path
        file.write_text("raise SystemExit('this is not what was installed')")
        with pytest.raises(e.WinsockError) as caught:
            loader.load_provider(path)
        assert caught.value.name == "WSAEPROVIDERFAILEDINIT"

    def test_what_is_not_installed_is_not_loaded(self, chain: Chain) -> None:
        with pytest.raises(e.WinsockError) as caught:
            loader.load_provider("os:path")
        assert caught.value.name == "WSAEINVAL"
