"""From a path to a provider, from a catalog entry to a chain."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.fakes import RECORDING, RecordingBase, catalog
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.api import sockets, transfer
from winsock.catalog.entries import Catalog, CatalogEntry, LayerSpec
from winsock.dispatcher import loader, process
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import find
from winsock.spi.layer import Layer
from winsock.spi.provider import WSPDATA, ProcTable
from winsock.spi.upcalls import Upcalls

HERE = __name__


class Upper(Layer):
    pass


class Lower(Layer):
    pass


@dataclass
class Settings:
    volume: int = 3


class Tunable(Layer):
    Options = Settings


@dataclass
class Demands:
    volume: int


class Demanding(Layer):
    Options = Demands


class Unmakeable(Layer):
    def __init__(self) -> None:
        raise ValueError("no such luck")


class NotStarting(Layer):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        super().WSPStartup(version, protocol_info, upcalls)
        raise RuntimeError("bad day")


class Refusing(Layer):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        raise e.WinsockError(e.WSAEPROCLIM)


class Short(RecordingBase):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        data, table = super().WSPStartup(version, protocol_info, upcalls)
        del table.WSPSelect
        return data, table


class Tableless(RecordingBase):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        return WSPDATA(), None  # type: ignore[return-value]


class Old(RecordingBase):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        assert version == 0x0202
        _, table = super().WSPStartup(version, protocol_info, upcalls)
        return WSPDATA(0x0002, 0x0002), table


class Counted(Layer):
    """Writes down its cleanups."""

    cleanups: ClassVar[list[str]] = []

    def WSPCleanup(self) -> None:
        self.cleanups.append(type(self).__name__)
        self.next.WSPCleanup()


class CountedBelow(Counted):
    pass


class ShortLayer(Counted):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        data, table = super().WSPStartup(version, protocol_info, upcalls)
        del table.WSPSelect
        return data, table


class OldLayer(Counted):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        return WSPDATA(0x0002, 0x0002), super().WSPStartup(version, protocol_info, upcalls)[1]


class Speechless(Counted):
    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        return None, super().WSPStartup(version, protocol_info, upcalls)[1]  # type: ignore[return-value]


class Endless(Counted):
    """One that cannot even be cleaned up."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        data, table = super().WSPStartup(version, protocol_info, upcalls)
        del table.WSPCleanup
        return data, table


class Late(Counted):
    """Starts what is below it with the first socket, and has a table of its own until then."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self.info, self.upcalls = protocol_info, upcalls
        return WSPDATA(), ProcTable.of(self)

    def WSPSocket(self, *arguments: Any) -> int:
        if not hasattr(self, "next"):
            self.next_info, _, self.next = self.upcalls.start_next(self.info, self)
        return self._own(super().WSPSocket(*arguments))

    def WSPCleanup(self) -> None:
        if hasattr(self, "next"):
            super().WSPCleanup()


class Foreign:
    """No `Layer`: finds, loads and starts the next provider by itself, as a C provider does."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        installed = loader.catalog()
        ids = protocol_info.ProtocolChain.ChainEntries
        own = next(entry_id for entry_id in ids if installed.find(entry_id).path.endswith(":Foreign"))
        below = installed.find(ids[ids.index(own) + 1])
        base = below.info.chain_length == 1
        path = upcalls.WPUGetProviderPath(below.info.ProviderId)
        provider = loader.resolve(path)()
        data, table = provider.WSPStartup(version, below.info if base else protocol_info, upcalls)
        return data, table.copy()


class Door:
    """Has a WSPStartup and nothing else: the provider is behind it."""

    __slots__ = ()

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        return RecordingBase().WSPStartup(version, protocol_info, upcalls)


Instance = RecordingBase()
Nothing = object()


def opened(installed: Catalog) -> Chain:
    process.startup(catalog=installed)
    return loader.open_chain(installed.match(c.AF_INET, c.SOCK_STREAM, 0))


def refused(installed: Catalog) -> e.WinsockError:
    with pytest.raises(e.WinsockError) as caught:
        opened(installed)
    assert loader.opened.get(installed.entries[0].info.dwCatalogEntryId) is None
    return caught.value


class TestChains:
    def test_a_chain_is_opened_once(self) -> None:
        chain = opened(catalog(Upper))
        assert loader.open_chain(chain.entry) is chain

    def test_nothing_is_loaded_or_started_before_it_is_used(self, tmp_path: Path) -> None:
        """SPIINIT-008: and it goes when nobody needs it any more."""
        file = tmp_path / "late.py"
        file.write_text("from tests.fakes import RecordingBase\nRecordingBase.seen.append(('loaded', None))\n")
        process.startup(catalog=catalog(base=f"{file}:RecordingBase"))
        assert (RecordingBase.seen, RecordingBase.starts) == ([], [])
        s = sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
        assert [name for name, _ in RecordingBase.seen] == ["loaded", "WSPSocket"]
        assert RecordingBase.starts == [loader_base().info]
        sockets.closesocket(s)
        assert RecordingBase.running == 1
        process.cleanup()
        assert RecordingBase.running == 0

    def test_a_layer_is_one_object_a_chain_and_a_base_one_for_all(self) -> None:
        first = opened(catalog(Upper))
        second = loader.open_chain(loader.catalog().match(c.AF_INET6, c.SOCK_STREAM, 0))
        base = loader.open_chain(loader.catalog().find(1001))
        assert first.layers[0] is not second.layers[0]
        assert first.table.WSPSend is base.table.WSPSend
        assert second.table.WSPSend is not base.table.WSPSend

    def test_layers_stand_in_their_order(self) -> None:
        chain = opened(catalog(Upper, Lower))
        assert [type(layer) for layer in chain.layers] == [Upper, Lower]
        assert [layer.entry_id for layer in chain.layers] == [chain.entry.info.dwCatalogEntryId, chain.ids[1]]

    def test_the_upcalls_are_handed_on_unchanged(self) -> None:
        """LSP-011."""
        chain = opened(catalog(Upper, Lower))
        base = getattr(chain.table.WSPSend, "__self__", None)
        assert isinstance(base, RecordingBase)
        assert chain.layers[0].upcalls is chain.layers[1].upcalls is base.upcalls

    def test_the_same_layer_may_stand_twice(self) -> None:
        chain = opened(catalog(Upper, Upper, Upper))
        assert len({id(layer) for layer in chain.layers}) == 3
        assert chain.layers[0].next_info == chain.entry.info
        assert chain.layers[2].next_info.dwCatalogEntryId == 1001

    def test_a_chain_shows_its_members(self) -> None:
        assert repr(opened(catalog(Upper, Lower))) == "upper > lower > tcp/ipv4"
        assert repr(loader.open_chain(loader.catalog().find(1004))) == "udp/ipv6"

    def test_an_unknown_protocol_is_shown_by_its_name(self) -> None:
        info = loader_base().info._replace(iProtocol=99, szProtocol="odd", dwCatalogEntryId=9)
        assert repr(opened(Catalog([CatalogEntry(info, RECORDING)]))) == "odd"

    def test_a_layered_protocol_alone_opens_nothing(self) -> None:
        process.startup(catalog=catalog(Upper))
        [dummy] = [entry for entry in loader.catalog() if entry.info.chain_length == 0]
        with pytest.raises(e.WinsockError) as caught:
            loader.open_chain(dummy)
        assert caught.value.winerror == e.WSAEINVALIDPROVIDER

    def test_before_startup_nothing_is_opened(self) -> None:
        with pytest.raises(e.WinsockError) as caught:
            loader.open_chain(catalog().entries[0])
        assert caught.value.winerror == e.WSANOTINITIALISED


def loader_base() -> CatalogEntry:
    return catalog().entries[0]


class TestForeign:
    """A provider need not be a `Layer`."""

    def test_it_starts_the_base_by_itself(self) -> None:
        chain = opened(catalog(Foreign))
        assert chain.layers == ()
        assert RecordingBase.starts == [loader_base().info]
        s = chain.table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, loader_base().info, 0, 0)
        assert loader.opened[chain.entry.info.dwCatalogEntryId] is chain
        assert s >= 0

    def test_its_start_is_all_that_is_asked_of_it(self) -> None:
        """SPIINIT-001: whatever else there is, is reached through the table."""
        process.startup(catalog=catalog(base=f"{HERE}:Door"))
        with socket.create_server(("127.0.0.1", 0)) as server:
            s = sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
            sockets.connect(s, server.getsockname())
            peer, _ = server.accept()
            with peer:
                assert transfer.send(s, b"through the table") == 17
                assert peer.recv(20) == b"through the table"
                sockets.closesocket(s)
                assert peer.recv(1) == b""
        process.cleanup()
        assert RecordingBase.running == 0

    def test_a_layer_that_it_started_finds_its_place(self) -> None:
        settings = Settings(5)
        chain = opened(catalog(Foreign, Tunable, Lower, options=[None, settings]))
        assert RecordingBase.starts[-1] == loader_base().info
        assert [type(layer) for layer in chain.layers] == [Tunable, Lower]
        assert [layer.entry_id for layer in chain.layers] == list(chain.ids[1:3])
        assert chain.layers[0].options is settings
        assert chain.layers[1].info == chain.entry.info

    def test_it_may_stand_between_layers(self) -> None:
        chain = opened(catalog(Upper, Foreign, Lower))
        assert [type(layer) for layer in chain.layers] == [Upper, Lower]
        s = chain.table.WSPSocket(c.AF_INET, c.SOCK_STREAM, 0, chain.entry.info, 0, 0)
        assert find(s).table is chain.table

    def test_a_layer_of_no_chain_is_refused(self) -> None:
        chain = opened(catalog(Upper))
        with pytest.raises(e.WinsockError) as caught:
            chain.layers[0].upcalls.start_next(chain.entry.info, Lower())
        assert caught.value.winerror == e.WSAEINVALIDPROVIDER


class TestOnDemand:
    """LSP-007: a layer that starts the next one with the first socket."""

    def test_it_is_cleaned_up_with_those_that_it_started(self) -> None:
        Counted.cleanups.clear()
        chain = opened(catalog(Counted, Late, CountedBelow))
        assert RecordingBase.starts == []
        s = sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
        sockets.bind(s, ("127.0.0.1", 0))
        assert find(s).table is chain.table
        assert RecordingBase.starts == [loader_base().info] * 2  # for the chain, and for one of its own
        process.cleanup()
        assert Counted.cleanups == ["Counted", "Late", "CountedBelow"]
        assert RecordingBase.running == 0

    def test_it_fails_with_what_it_would_start(self) -> None:
        Counted.cleanups.clear()
        chain = opened(catalog(Late, NotStarting, CountedBelow))
        for _ in range(2):
            with pytest.raises(e.WinsockError) as caught:
                sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
            assert caught.value.winerror == e.WSAEPROVIDERFAILEDINIT
            assert [type(layer) for layer in chain.layers] == [Late]
        process.cleanup()
        assert Counted.cleanups == ["CountedBelow"] * 2
        assert RecordingBase.running == 0

    def test_it_may_never_have_to(self) -> None:
        Counted.cleanups.clear()
        opened(catalog(Late))
        process.cleanup()
        assert Counted.cleanups == []
        assert RecordingBase.starts == []


class TestOptions:
    def test_the_entrys_options_reach_every_object(self) -> None:
        settings = Settings(7)
        assert opened(catalog(Upper, Tunable, options=[None, settings])).layers[1].options is settings

    def test_defaults_where_none_are_given(self) -> None:
        assert opened(catalog(Tunable)).layers[0].options == Settings(3)

    def test_a_layer_without_options_has_none(self) -> None:
        assert opened(catalog(Upper)).layers[0].options is None

    def test_options_without_a_default_must_be_given(self) -> None:
        error = refused(catalog(Demanding))
        assert error.winerror == e.WSAEPROVIDERFAILEDINIT
        assert "volume" in str(error)


class TestBadProviders:
    def test_a_short_table(self) -> None:
        """SOCK-014."""
        error = refused(catalog(base=f"{HERE}:Short"))
        assert error.winerror == e.WSAEINVALIDPROCTABLE
        assert "WSPSelect" in str(error)
        with pytest.raises(e.WinsockError) as caught:
            sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
        assert caught.value.winerror == e.WSAEINVALIDPROCTABLE

    def test_no_table(self) -> None:
        assert refused(catalog(base=f"{HERE}:Tableless")).winerror == e.WSAEINVALIDPROCTABLE

    def test_another_version(self) -> None:
        """SOCK-013, SPIINIT-007."""
        assert refused(catalog(base=f"{HERE}:Old")).winerror == e.WSAEINVALIDPROVIDER
        assert RecordingBase.running == 0
        with pytest.raises(e.WinsockError) as caught:
            sockets.socket(c.AF_INET, c.SOCK_STREAM, 0)
        assert caught.value.winerror == e.WSAEINVALIDPROVIDER

    def test_a_provider_that_cannot_be_made(self) -> None:
        error = refused(catalog(Unmakeable))
        assert error.winerror == e.WSAEPROVIDERFAILEDINIT
        assert "ValueError: no such luck" in str(error)

    def test_a_provider_that_does_not_start_leaves_nothing_started(self) -> None:
        error = refused(catalog(Upper, NotStarting, Lower))
        assert error.winerror == e.WSAEPROVIDERFAILEDINIT
        assert "RuntimeError: bad day" in str(error)
        process.cleanup()
        assert RecordingBase.running == 0

    @pytest.mark.parametrize(
        ("layer", "code", "cleanups"),
        [
            (ShortLayer, e.WSAEINVALIDPROCTABLE, ["ShortLayer", "CountedBelow"]),
            (OldLayer, e.WSAEINVALIDPROVIDER, ["OldLayer", "CountedBelow"]),
            (Speechless, e.WSAEPROVIDERFAILEDINIT, ["Speechless", "CountedBelow"]),
            (Endless, e.WSAEINVALIDPROCTABLE, ["CountedBelow"]),
            (NotStarting, e.WSAEPROVIDERFAILEDINIT, ["CountedBelow"]),
        ],
    )
    def test_what_was_started_in_vain_is_cleaned_up_once(
        self, layer: type[Layer], code: int, cleanups: list[str]
    ) -> None:
        """SPIINIT-007, SPIINIT-009: each that answered, whatever it answered."""
        Counted.cleanups.clear()
        assert refused(catalog(Upper, layer, CountedBelow)).winerror == code
        assert Counted.cleanups == cleanups
        assert RecordingBase.running == 1  # the base's own chain
        process.cleanup()
        assert Counted.cleanups == cleanups
        assert RecordingBase.running == 0

    def test_its_own_winsock_error_is_kept(self) -> None:
        assert refused(catalog(Refusing)).winerror == e.WSAEPROCLIM

    def test_an_object_without_a_startup(self) -> None:
        error = refused(catalog(base=f"{HERE}:Nothing"))
        assert error.winerror == e.WSAEPROVIDERFAILEDINIT
        assert "WSPStartup" in str(error)

    def test_an_object_with_one_need_not_be_a_class(self) -> None:
        assert opened(catalog(base=f"{HERE}:Instance")).table.missing() == []


class TestResolve:
    def resolve(self, path: object) -> str:
        with pytest.raises(e.WinsockError) as caught:
            loader.resolve(str(path))
        assert caught.value.winerror == e.WSAEPROVIDERFAILEDINIT
        return str(caught.value)

    def write(self, folder: Path, text: str, name: str = "mine.py") -> Path:
        file = folder / name
        file.write_text(text)
        return file

    def test_a_module_and_a_class(self) -> None:
        assert loader.resolve(f"{HERE}:Upper") is Upper

    def test_a_file_with_one_layer(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, "from winsock.spi.layer import Layer\nclass Mine(Layer): pass\nAlso = Mine\n")
        assert loader.resolve(str(file)).__name__ == "Mine"
        assert loader.resolve(str(file)) is loader.resolve(str(file))
        assert list(tmp_path.iterdir()) == [file]  # nothing was written beside it

    def test_a_file_with_several_needs_a_name(self, tmp_path: Path) -> None:
        text = "from winsock.spi.layer import Layer\nclass One(Layer): pass\nclass Two(Layer): pass\n"
        file = self.write(tmp_path, text)
        assert "One, Two" in self.resolve(file)
        assert loader.resolve(f"{file}:Two").__name__ == "Two"

    def test_a_file_without_a_layer(self, tmp_path: Path) -> None:
        assert "defines no layer" in self.resolve(self.write(tmp_path, "from winsock.spi.layer import Layer\n"))

    def test_an_error_names_file_and_line(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, "import os\n\n1 / 0\n")
        message = self.resolve(file)
        assert "ZeroDivisionError: division by zero" in message
        assert f"{file}, line 3" in message

    def test_so_does_an_error_of_syntax(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, "class Mine(:\n")
        message = self.resolve(file)
        assert "SyntaxError" in message
        assert f"{file}, line 1" in message

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert "FileNotFoundError" in self.resolve(tmp_path / "gone.py")

    def test_a_module_that_is_not_there(self) -> None:
        assert "No module named 'winsock_nowhere'" in self.resolve("winsock_nowhere:Mine")

    def test_a_name_that_is_not_there(self) -> None:
        message = self.resolve(f"{HERE}:Missing")
        assert "no Missing" in message
        assert "Upper, Lower" in message

    def test_a_failed_import_leaves_no_module(self, tmp_path: Path) -> None:
        before = set(sys.modules)
        self.resolve(self.write(tmp_path, "1 / 0\n", "fails.py"))
        assert {name for name in set(sys.modules) - before if "fails" in name} == set()

    def test_files_of_one_name_are_apart(self, tmp_path: Path) -> None:
        found = []
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            file = self.write(
                tmp_path / folder, f"from winsock.spi.layer import Layer\nclass {folder.upper()}(Layer): pass"
            )
            found.append(loader.resolve(str(file)))
        assert [kind.__name__ for kind in found] == ["A", "B"]
        assert len({kind.__module__ for kind in found}) == 2


def test_a_spec_carries_its_path_and_options() -> None:
    installed = catalog().with_layers([LayerSpec("loud", f"{HERE}:Tunable", Settings(11))])
    [layer] = opened(installed).layers
    assert isinstance(layer, Tunable)
    assert layer.options == Settings(11)
