"""From a catalog entry to a protocol chain: find the provider by its import path, start it, check what it answers.

Only the uppermost provider is loaded here. It loads the next one while it starts, and so on down to the base; a
`Layer` does so by `start_next`, any other provider as it likes. A layer is one object per chain, a base protocol one
object for all chains; each use is one WSPStartup, which one WSPCleanup will match.

Sources: initialization-2; nf-ws2spi-wspstartup; nf-winsock2-socket (the errors of a provider that does not start).
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import Any

from winsock.abi.constants import BASE_PROTOCOL, MAX_PROTOCOL_CHAIN, WINSOCK_VERSION
from winsock.abi.errors import (
    WSAEINVAL,
    WSAEINVALIDPROCTABLE,
    WSAEINVALIDPROVIDER,
    WSAEPROVIDERFAILEDINIT,
    WSANOTINITIALISED,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.catalog import files, layering
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.catalog.settings import Settings, parse
from winsock.core import journal
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.upcalls import ChainUpcalls
from winsock.spi.guard import defects
from winsock.spi.layer import Layer, is_stream
from winsock.spi.provider import WSPDATA, ProcTable, Startable
from winsock.spi.upcalls import StartedProvider, Upcalls

opened: dict[int, Chain] = {}
"""Entry id -> its chain, in the order of opening."""
_bases: dict[int, Startable] = {}
_resolved: dict[tuple[str, str], Any] = {}
_OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
_lock = threading.RLock()
_catalog: Catalog | None = None
first_matches: dict[tuple[int, int, int], Chain] = {}
"""(family, type, protocol) -> the chain of the first entry of the catalog in use that fits, where it is opened."""


def use(catalog: Catalog | None) -> None:
    """Take the catalog that chains are opened from; None ends the use of one."""
    global _catalog
    with _lock:
        _catalog = catalog
        first_matches.clear()


def catalog() -> Catalog:
    """The catalog in use; raises WSANOTINITIALISED before WSAStartup."""
    if _catalog is None:
        raise WinsockError(WSANOTINITIALISED, "WSAStartup has not been called")
    return _catalog


def open_first_match(af: int, type: int, protocol: int) -> Chain:
    """The chain of the first entry that fits, which is then among `first_matches`.

    Raises what `catalog`, `Catalog.matches` and `open_chain` raise.
    """
    with _lock:
        chain = open_chain(catalog().match(af, type, protocol))
        first_matches[af, type, protocol] = chain
    return chain


def open_chain(entry: CatalogEntry) -> Chain:
    """The chain of a catalog entry, opened at its first use.

    Raises WSANOTINITIALISED; WSAEINVALIDPROVIDER for a layered protocol by itself, or a provider of another version
    than 2.2; WSAEINVALIDPROCTABLE; WSAEPROVIDERFAILEDINIT where a provider cannot be imported or does not start.
    """
    chain = opened.get(entry.info.dwCatalogEntryId)
    if chain is not None:
        return chain
    with _lock:
        chain = opened.get(entry.info.dwCatalogEntryId)
        if chain is None:
            chain = Chain(entry, catalog())
            _open(chain)
            opened[entry.info.dwCatalogEntryId] = chain
        return chain


def close_chains() -> None:
    """One WSPCleanup for every chain, the last opened first; base providers are forgotten."""
    with _lock:
        while opened:
            _, chain = opened.popitem()
            _clean_up(chain, chain.table)
            chain.is_over = True
        _bases.clear()


def load_provider(path: str) -> Any:
    """What LoadLibrary is to a provider that loads the next one by itself: what is installed at a path.

    It is the same class or object that chains are opened with, and a file is checked as it is for those. Raises
    WSANOTINITIALISED; WSAEINVAL where the catalog in use has no provider of that path; WSAEPROVIDERFAILEDINIT.
    """
    for entry in catalog():
        if entry.path == path:
            return resolve(path, entry.digest)
    raise WinsockError(WSAEINVAL, f"the catalog has no provider of the path {path}")


def resolve(path: str, digest: str = "") -> Any:
    """What an import path names: a class, or an object that has a WSPStartup.

    A path is `package.module:Class`, `/a/file.py:Class`, or `/a/file.py` where it defines exactly one layer; it may
    name environment variables, as `%HOME%/file.py`. With `digest` the file must still be what was installed. Raises
    WSAEPROVIDERFAILEDINIT: what the import raised, in which file and line, or why the file is refused.
    """
    found = _resolved.get((path, digest))
    if found is None:
        module_path, name = files.split(files.expanded(path))
        module = _import(path, module_path, digest)
        found = _named(path, module, name) if name else _only_layer(path, module)
        _resolved[path, digest] = found
    return found


# Opening.


def _open(chain: Chain) -> None:
    info = chain.info
    if len(chain.ids) > MAX_PROTOCOL_CHAIN + _added(chain):
        raise WinsockError(WSAEINVALIDPROVIDER, f"{info.szProtocol} is a chain of {len(chain.ids)} entries, too long")
    upcalls = ChainUpcalls(chain, opened, open_chain, _start_next)
    if info.chain_length == BASE_PROTOCOL:
        _, chain.table = _start(chain, _base(chain.entry), info, upcalls)
        chain.tables[info.dwCatalogEntryId] = chain.table
    elif info.chain_length > BASE_PROTOCOL:
        top = chain.catalog.find(chain.ids[0])
        _, chain.table = _start_layer(chain, top, info, upcalls, own_id=info.dwCatalogEntryId)
    else:
        raise WinsockError(WSAEINVALIDPROVIDER, f"{info.szProtocol} is a layered protocol, which opens no sockets")
    base: Any = _bases.get(chain.ids[-1])
    interested = [layer for layer in chain.layers if type(layer).adopted is not Layer.adopted]
    chain.adopters = (*interested, base) if hasattr(base, "adopted") else tuple(interested)


def _added(chain: Chain) -> int:
    """How many layers of the chain a run has added."""
    members = (chain.catalog.find(entry_id).info for entry_id in chain.ids)
    return sum(bool(info.dwServiceFlags2 & layering.TAKES_NO_PLACE) for info in members)


def _start_next(chain: Chain, info: WSAPROTOCOL_INFO, layer: object, upcalls: Upcalls) -> StartedProvider:
    """Start what stands below a layer of the chain: another layer, given the same info, or the base, given its own."""
    entry = chain.catalog.find(_id_below(chain, layer))
    if entry.info.chain_length == BASE_PROTOCOL:
        below = open_chain(entry)
        data, _ = _start(chain, _base(entry), entry.info, upcalls)
        chain.tables[entry.info.dwCatalogEntryId] = below.table
        return StartedProvider(entry.info, data, below.table)
    data, table = _start_layer(chain, entry, info, upcalls, own_id=entry.info.dwCatalogEntryId)
    return StartedProvider(info, data, table)


def _start_layer(
    chain: Chain, entry: CatalogEntry, info: WSAPROTOCOL_INFO, upcalls: Upcalls, own_id: int
) -> tuple[WSPDATA, ProcTable]:
    provider = _make_layer(entry, info)
    before = chain.layers
    if isinstance(provider, Layer):
        _place(chain, entry, provider, own_id)
    try:
        data, table = _start(chain, provider, info, upcalls)
    except BaseException:
        chain.layers = before
        raise
    chain.tables[entry.info.dwCatalogEntryId] = chain.tables[own_id] = table
    return data, table


def _place(chain: Chain, entry: CatalogEntry, layer: Layer, own_id: int) -> None:
    """Give a layer what it must know of itself. Layers start from the top down, so the list has their order."""
    layer.entry_id = own_id
    layer.options = _options(entry, layer)
    chain.layers = (*chain.layers, layer)


def _id_below(chain: Chain, layer: object) -> int:
    """The id that follows a layer's own in the chain; a layer that a stranger made is found by its class."""
    if isinstance(layer, Layer) and layer not in chain.layers:
        for entry_id in chain.ids[:-1]:
            entry = chain.catalog.find(entry_id)
            if resolve(entry.path, entry.digest) is type(layer):
                _place(chain, entry, layer, entry_id)
                break
    if not isinstance(layer, Layer) or layer not in chain.layers:
        raise WinsockError(WSAEINVALIDPROVIDER, f"{layer!r} is no layer of the chain {chain!r}")
    if layer.entry_id == chain.entry.info.dwCatalogEntryId:
        return chain.ids[1]
    return chain.ids[chain.ids.index(layer.entry_id) + 1]


def _start(chain: Chain, provider: Startable, info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
    """WSPStartup, and the checks of what it answers. What was started in vain is cleaned up."""
    name = f"{type(provider).__module__}:{type(provider).__qualname__}"
    before = chain.tables.copy()
    try:
        data, table = provider.WSPStartup(WINSOCK_VERSION, info, upcalls)
    except BaseException as error:
        _clean_up_below(chain, before)
        if isinstance(error, WinsockError) or not isinstance(error, defects()):
            raise
        raise _failed(name, "did not start", error) from error
    problem = _problem_with(name, data, table)
    if problem is None:
        return data, table
    if getattr(table, "WSPCleanup", None) is None:
        _clean_up_below(chain, before)
    else:
        _clean_up(chain, table)
        chain.tables = before
    raise problem


def _problem_with(name: str, data: object, table: object) -> WinsockError | None:
    """What is wrong with the answer of a WSPStartup."""
    if not isinstance(table, ProcTable) or table.missing():
        missing = ", ".join(table.missing()) if isinstance(table, ProcTable) else "everything"
        return WinsockError(WSAEINVALIDPROCTABLE, f"the dispatch table of {name} lacks {missing}")
    version = getattr(data, "wVersion", None)
    if not isinstance(version, int):
        return WinsockError(WSAEPROVIDERFAILEDINIT, f"{name} did not start: {data!r} is no WSPDATA")
    if version != WINSOCK_VERSION:
        return WinsockError(WSAEINVALIDPROVIDER, f"{name} speaks version {version:#06x}, not 2.2")
    return None


def _clean_up(chain: Chain, table: ProcTable) -> None:
    """WSPCleanup of a provider, which cleans up those below it."""
    try:
        table.WSPCleanup()
    except Exception as error:
        journal.audit(repr(chain), "WSPCleanup", error)


def _clean_up_below(chain: Chain, before: dict[int, ProcTable]) -> None:
    """The same for the uppermost of those that were started meanwhile, where nobody stands above them."""
    if len(chain.tables) > len(before):
        _clean_up(chain, list(chain.tables.values())[-1])
    chain.tables = before


def _base(entry: CatalogEntry) -> Startable:
    """The one object of a base protocol, shared by every chain that ends there."""
    entry_id = entry.info.dwCatalogEntryId
    provider = _bases.get(entry_id)
    if provider is None:
        provider = _bases[entry_id] = _make(entry)
    return provider


def _make_layer(entry: CatalogEntry, info: WSAPROTOCOL_INFO) -> Startable:
    """The provider of a layered protocol; of a layer that gets the bytes, its driver."""
    found = resolve(entry.path, entry.digest)
    if not is_stream(found):
        return _make(entry)
    from winsock.dispatcher import drivers

    return drivers.make(found, info)


def _make(entry: CatalogEntry) -> Startable:
    found = resolve(entry.path, entry.digest)
    try:
        provider = found() if isinstance(found, type) else found
    except defects() as error:
        raise _failed(entry.path, "could not be made", error) from error
    if not callable(getattr(provider, "WSPStartup", None)):
        raise WinsockError(WSAEPROVIDERFAILEDINIT, f"{entry.path} has no WSPStartup, so it is no provider")
    return provider  # type: ignore[no-any-return]


def _options(entry: CatalogEntry, layer: Layer) -> Any:
    if isinstance(entry.options, Settings):
        return _parsed(entry, layer, entry.options.text)
    if entry.options is not None or layer.Options is None:
        return entry.options
    try:
        return layer.Options()
    except defects() as error:
        raise _failed(entry.path, "has no default for its options", error) from error


def _parsed(entry: CatalogEntry, layer: Layer, text: str) -> Any:
    try:
        return parse(layer.Options, text.split(","))
    except Exception as error:
        raise _failed(entry.path, f"does not take the options {text!r} that it was installed with", error) from error


# Importing.


def _import(path: str, module_path: str, digest: str) -> ModuleType:
    try:
        return _import_file(module_path, digest) if module_path.endswith(".py") else import_module(module_path)
    except _Refused:
        raise
    except (Exception, SystemExit) as error:  # a script that was not meant to be imported ends itself
        raise _failed(path, "could not be imported", error) from error


class _Refused(WinsockError):
    """A file that must not be run."""


def _import_file(file: str, digest: str) -> ModuleType:
    """Run a file as a module of its own; nothing is written beside it. What is checked is what is run."""
    file = os.path.abspath(file)
    name = _free_name(f"winsock_layer_{os.path.basename(file)[:-3]}")
    with open(file, "rb") as opened_file:
        source = opened_file.read()
    problem = files.problem_with(file, source, digest) if digest else None
    if problem is not None:
        raise _Refused(WSAEPROVIDERFAILEDINIT, f"an installed provider is refused: {problem}")
    code = compile(source, file, "exec")
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _free_name(name: str) -> str:
    """The name, or the name with a number where another file of the same name was there first."""
    taken = sum(known == name or known.startswith(f"{name}.") for known in list(sys.modules))
    return f"{name}.{taken}" if taken else name


def _named(path: str, module: ModuleType, name: str) -> Any:
    found = getattr(module, name, None)
    if found is None:
        layers = ", ".join(layer.__name__ for layer in _layers_of(module)) or "none"
        raise WinsockError(WSAEPROVIDERFAILEDINIT, f"{path}: there is no {name}; layers defined there: {layers}")
    return found


def _only_layer(path: str, module: ModuleType) -> type:
    layers = _layers_of(module)
    if len(layers) == 1:
        return layers[0]
    if not layers:
        raise WinsockError(
            WSAEPROVIDERFAILEDINIT, f"{path} defines no layer (a subclass of winsock.Layer or winsock.StreamLayer)"
        )
    names = [layer.__name__ for layer in layers]
    example = f"{path}:{names[0]}"
    raise WinsockError(
        WSAEPROVIDERFAILEDINIT, f"{path} defines several layers: {', '.join(names)}; say which, as {example}"
    )


def _layers_of(module: ModuleType) -> list[type]:
    values = dict.fromkeys(value for value in vars(module).values() if isinstance(value, type))
    own = [value for value in values if value.__module__ == module.__name__]
    return [value for value in own if issubclass(value, Layer) or is_stream(value)]


def _failed(path: str, what: str, error: BaseException) -> WinsockError:
    """WSAEPROVIDERFAILEDINIT, with the last line of the traceback and where it was raised."""
    file, line = _raised_at(error)
    where = f" ({file}, line {line})" if file else ""
    text = error.msg if isinstance(error, SyntaxError) else error  # the others do not tell the place themselves
    return WinsockError(WSAEPROVIDERFAILEDINIT, f"{path} {what}: {type(error).__name__}: {text}{where}")


def _raised_at(error: BaseException) -> tuple[str | None, int | None]:
    """The innermost place that its author can mend: not in Python's own library, and not in ours."""
    if isinstance(error, SyntaxError):
        return error.filename, error.lineno
    library = os.path.dirname(os.__file__) + os.sep
    found: tuple[str | None, int | None] = None, None
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        packaged = f"{os.sep}site-packages{os.sep}" in file
        if not file.startswith((_OURS, "<frozen ")) and (packaged or not file.startswith(library)):
            found = file, frame.tb_lineno
        frame = frame.tb_next
    return found
