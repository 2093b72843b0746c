"""The LSP sample as the tests use it: its installer, its two providers, copies of them under other GUIDs."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import winsock
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.dispatcher import loader, process
from winsock.testing import World

EXAMPLES = Path(__file__).parents[2] / "examples"
INSTALLER = EXAMPLES / "lsp_sample.py"
PROVIDER = EXAMPLES / "lsp_sample_provider.py"
TCP, UDP, TCP6, UDP6 = 1001, 1002, 1003, 1004

NON_IFS_ID = GUID.parse("{7a1c0d52-3c1f-4b58-9f0e-6f2b8a4d1e01}")
IFS_ID = GUID.parse("{7a1c0d52-3c1f-4b58-9f0e-6f2b8a4d1e02}")


def _loaded(file: Path) -> ModuleType:
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


installer = _loaded(INSTALLER)


class Ran(NamedTuple):
    """What the installer answered and printed."""

    status: int
    out: str
    err: str

    @property
    def layer_id(self) -> int:
        """The id that it says it installed."""
        return int(self.out.split(" as ")[1].split()[0])


def run(*arguments: object) -> Ran:
    """The installer's command line, without a process of its own."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = installer.main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
    return Ran(status, out.getvalue(), err.getvalue())


def install(*arguments: object) -> int:
    """The id of the layer that is installed by these options."""
    ran = run(*arguments)
    assert ran.status == 0, ran.err
    return ran.layer_id


def refused(*arguments: object) -> str:
    """What the installer says when the catalog refuses; the catalog is as it was."""
    before = winsock.WSCEnumProtocols(), winsock.WSCEnumProtocols32()
    ran = run(*arguments)
    assert ran.status == 1, ran.out
    assert (winsock.WSCEnumProtocols(), winsock.WSCEnumProtocols32()) == before
    return ran.err


def known() -> dict[int, WSAPROTOCOL_INFO]:
    """What is installed, by its ids, in order."""
    return {info.dwCatalogEntryId: info for info in winsock.WSCEnumProtocols()}


def chain_of(entry_id: int) -> tuple[int, ...]:
    """The members of an installed chain."""
    return known()[entry_id].ProtocolChain.ChainEntries


def over(layer_id: int, lower: int) -> int:
    """The id of a layer's own entry over another one."""
    [found] = [
        entry_id for entry_id, info in known().items() if info.ProtocolChain.ChainEntries[:2] == (layer_id, lower)
    ]
    return found


def copied(folder: Path, number: int) -> Path:
    """The provider under GUIDs of its own, as somebody would build it who needs it twice."""
    file = folder / f"copy{number}.py"
    text = PROVIDER.read_text()
    assert text.count("8a4d1e0") == 2
    file.write_text(text.replace("8a4d1e0", f"8a4d{number:02x}0"))
    return file


def provider(path: str) -> Any:
    """The very object of a provider that chains are opened with; Winsock is started."""
    return loader.load_provider(path)


def kind(name: str, file: Path = PROVIDER) -> Any:
    """One of the two providers of the file."""
    return provider(f"{file}:{name}")


def started(family: int = winsock.AF_INET) -> World:
    """Winsock with what is installed."""
    return World(process.installed(), family)


def install_base(path: str, provider_id: GUID, *patterns: int) -> list[int]:
    """Base protocols of another provider, which match what those entries match; their ids."""
    infos = [known()[pattern]._replace(szProtocol=f"base like {pattern}") for pattern in patterns]
    before = set(known())
    winsock.WSCInstallProvider64_32(
        provider_id, path, [info._replace(ProtocolChain=WSAPROTOCOLCHAIN()) for info in infos]
    )
    return [entry_id for entry_id in known() if entry_id not in before]
