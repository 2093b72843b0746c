"""`winsock catalog install`, `remove`, `reorder` and `reset`: each is one change of the file."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import PathFinder

from winsock.abi import constants
from winsock.abi.constants import BASE_PROTOCOL, LAYERED_PROTOCOL
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.sockaddr import decimal
from winsock.catalog import files, layering, store, using
from winsock.catalog import install as changes
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.catalog.install import Source
from winsock.catalog.settings import Settings
from winsock.cli.catalog import print_entries
from winsock.cli.choosing import choose
from winsock.cli.words import UsageError, nearest_first

_CATEGORIES = {
    name.removeprefix("LSP_").lower(): value for name, value in vars(constants).items() if name.startswith("LSP_")
}


# install


def install(options: Namespace) -> int:
    """Put a layer over what is installed; one that is there is taken anew."""
    spec = choose(options.layer, alone=True)
    name = options.name or spec.name
    source = _source(options.layer, spec.path, _categories(options.categories))

    def change(catalog: Catalog) -> Catalog:
        known = _layer_named(catalog, name)
        if known is not None:
            return _taken_anew(catalog, known, source, options.over)
        covered = _covered(catalog, options.over)
        return changes.stack(
            catalog, _new_guid(), source, name, spec.ifs_handles, covered, streams_alone=spec.streams_alone
        )[0]

    before, after = _change(change)
    if after is before:
        print(f"{name} is installed like that already")
    elif _layer_named(before, name) is not None:
        print(f"{name} is taken anew from {source.path}")
    else:
        print(f"{name} is installed")
    _print_routes(after)
    return 0


def _source(text: str, path: str, categories: int) -> Source:
    if files.file_of(path) is None:
        _check_module(path)
    settings = text.partition(",")[2]
    path, digest = files.kept(path)
    return Source(path, Settings(settings) if settings else None, digest, categories)


def _check_module(path: str) -> None:
    """A module that only this folder has would not be found by a program that runs elsewhere."""
    module = files.split(path)[0]
    elsewhere = [place for place in sys.path if place and os.path.realpath(place) != os.path.realpath(".")]
    top = module.partition(".")[0]
    if top not in sys.builtin_module_names and PathFinder.find_spec(top, elsewhere) is None:
        raise UsageError(
            f"the module {module} is found only from this folder, and programs run elsewhere: install the file "
            f"itself (./{module.replace('.', '/')}.py), or make it a package that Python finds"
        )


def _categories(text: str | None) -> int:
    value = 0
    for name in text.split(",") if text else ():
        key = name.strip().lower().removeprefix("lsp_").replace("-", "_")
        if key not in _CATEGORIES:
            listed = ", ".join(nearest_first(key, _CATEGORIES))
            raise UsageError(f"there is no category {name!r}; there are: {listed}")
        value |= _CATEGORIES[key]
    return value


def _taken_anew(catalog: Catalog, known: CatalogEntry, source: Source, over: Sequence[str] | None) -> Catalog:
    """The catalog with the layer as it is now: what its file holds, and the options and categories that were given."""
    name = known.info.szProtocol
    if known.path != source.path:
        hint = f"winsock catalog remove {name}, or choose another --name"
        raise WinsockError(WSAEINVAL, f"a layer {name} is installed, from {known.path}; {hint}")
    if over:
        hint = f"to cover something else: winsock catalog remove {name}, then install it"
        raise WinsockError(WSAEINVAL, f"a layer {name} is installed; {hint}")
    options = known.options if source.options is None else source.options
    source = source._replace(options=options, categories=source.categories or known.categories)
    return changes.take_anew(catalog, known.info.ProviderId, source)


def _covered(catalog: Catalog, over: Sequence[str] | None) -> list[CatalogEntry]:
    """The entries that `--over` means; without it the uppermost of every kind."""
    if not over:
        return changes.uppermost(catalog)
    found: dict[int, CatalogEntry] = {}
    for word in over:
        for entry in _meant(catalog, word):
            found[entry.info.dwCatalogEntryId] = entry
    return list(found.values())


def _meant(catalog: Catalog, word: str) -> list[CatalogEntry]:
    if word == "base":
        return changes.bases(catalog)
    number = _id(word)
    if number is not None:
        entry = catalog.find(number)
        if entry.info.chain_length == LAYERED_PROTOCOL:
            raise UsageError(f"--over {word}: that is a layer by itself; name a chain or a base protocol")
        return [entry]
    kinds = {using.kind_name(entry.info): entry for entry in changes.uppermost(catalog)}
    found = [entry for kind, entry in kinds.items() if word in (kind, *kind.split("/"))]
    if not found:
        words = dict.fromkeys(part for kind in kinds for part in (*kind.split("/"), kind))
        listed = ", ".join(nearest_first(word, words))
        raise UsageError(f"--over {word}: there is no such protocol; there are: {listed}, base, and the ids of entries")
    return found


def _new_guid() -> GUID:
    return GUID.unpack(os.urandom(16))


# remove


def remove(options: Namespace) -> int:
    """Remove layers, or chains."""

    def change(catalog: Catalog) -> Catalog:
        for entry in [_removable(catalog, word) for word in options.what]:
            if any(entry.info.ProviderId == other.info.ProviderId for other in catalog):
                catalog = changes.deinstall(catalog, entry.info.ProviderId)
        return catalog

    before, after = _change(change)
    for line in differences(before, after):
        print(line)
    _print_routes(after)
    return 0


def differences(before: Catalog, after: Catalog) -> Iterable[str]:
    """What was removed, and what became of the chains: a line each."""
    now = layering.infos_of(after)
    for entry in before:
        info = now.get(entry.info.dwCatalogEntryId)
        if info is None:
            yield f"removed {entry.info.dwCatalogEntryId} {entry.info.szProtocol}"
        elif info.ProtocolChain != entry.info.ProtocolChain:
            yield f"changed {entry.info.dwCatalogEntryId} {entry.info.szProtocol}: now {info.szProtocol}"


def _removable(catalog: Catalog, word: str) -> CatalogEntry:
    number = _id(word)
    entry = _layer_named(catalog, word) if number is None else catalog.find(number)
    if entry is None:
        raise WinsockError(WSAEINVAL, _no_layer(catalog, word))
    if entry.info.chain_length == BASE_PROTOCOL:
        raise WinsockError(WSAEINVAL, f"{entry.info.szProtocol} is a base protocol: without it there are no sockets")
    return entry


# reorder


def reorder(options: Namespace) -> int:
    """Put entries first, in the order in which they are named; the others keep theirs."""

    def change(catalog: Catalog) -> Catalog:
        ids = [entry.info.dwCatalogEntryId for entry in catalog]
        first = dict.fromkeys(id for word in options.what for id in _placed(catalog, word))
        return changes.order(catalog, [*first, *(id for id in ids if id not in first)])

    _, after = _change(change)
    print_entries(after)
    return 0


def _placed(catalog: Catalog, word: str) -> list[int]:
    number = _id(word)
    if number is not None:
        return [catalog.find(number).info.dwCatalogEntryId]
    layer = _layer_named(catalog, word)
    if layer is None:
        raise WinsockError(WSAEINVAL, _no_layer(catalog, word))
    own = layer.info.dwCatalogEntryId
    return [entry.info.dwCatalogEntryId for entry in catalog if using.layers_of(entry, catalog)[:1] == [own]]


def _id(word: str) -> int | None:
    """The id that a word is; None where it is a name."""
    return decimal(word, 0xFFFFFFFF)


# reset


def reset(options: Namespace) -> int:
    """Go back to what is built in."""
    kept = store.reset()
    if kept is None:
        print(f"nothing was installed: there is no {store.location()}")
    else:
        print(f"the catalog is the built-in one again; the old file is {kept}")
    return 0


# What they share.


def _change(change: Callable[[Catalog], Catalog]) -> tuple[Catalog, Catalog]:
    """Change the file; the native catalog before and after."""
    seen: list[Catalog] = []

    def transform(contents: store.Installed) -> store.Installed:
        after = change(contents.native)
        seen[:] = contents.native, after
        return contents if after is contents.native else contents._replace(native=after)

    store.change(transform)
    before, after = seen
    return before, after


def _layer_named(catalog: Catalog, name: str) -> CatalogEntry | None:
    for entry in catalog:
        if entry.info.chain_length == LAYERED_PROTOCOL and entry.info.szProtocol == name:
            return entry
    return None


def _no_layer(catalog: Catalog, name: str) -> str:
    names = [entry.info.szProtocol for entry in catalog if entry.info.chain_length == LAYERED_PROTOCOL]
    return f"no layer {name!r} is installed; there are: {', '.join(nearest_first(name, names)) or 'none'}"


def _print_routes(catalog: Catalog) -> None:
    """What sockets pass now."""
    for route in using.routes(catalog):
        print(" > ".join((*route.layers, ", ".join(route.kinds))))
