"""The installer of the LSP sample: puts a layered provider into the catalog, takes it out again, shows what is there.

    python lsp_sample.py -i -a                  the non-IFS layer over everything
    python lsp_sample.py -h -i -a               the IFS layer; where non-IFS layers are, it goes below them
    python lsp_sample.py -i -o 1001 -o 1002     over two entries only
    python lsp_sample.py -p                     all entries; -l: the layered ones, -m: who depends on whom
    python lsp_sample.py -r 1005                remove the layer whose hidden entry has that id, -f: all layers

A pass-through layered service provider that counts bytes, in two kinds, and this installer: built as the published
Windows sample is built, from the facts about it. The provider is lsp_sample_provider.py. It is for programs that use
the API; `winsock run` takes subclasses of winsock.Layer. The catalog is the user's: WINSOCK_CATALOG names another file.

Facts that are open, for they need what is not here yet: AcceptEx within 16; 17 to 26 and 28, overlapped I/O and the
extension functions.
"""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import winsock
from winsock import GUID, WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN, WinsockError
from winsock.dispatcher.loader import resolve

HERE = Path(__file__).resolve().parent
PROVIDER = HERE / "lsp_sample_provider.py"
LAYERED, BASE = winsock.LAYERED_PROTOCOL, winsock.BASE_PROTOCOL
IFS = winsock.XP1_IFS_HANDLES


class View:
    """One of the two catalogs, as it is now, and the functions that change it."""

    def __init__(self, name: str, suffix: str) -> None:
        self.name = name
        self._suffix = suffix

    @property
    def infos(self) -> list[WSAPROTOCOL_INFO]:
        found: list[WSAPROTOCOL_INFO] = self._call("WSCEnumProtocols")
        return found

    @property
    def by_id(self) -> dict[int, WSAPROTOCOL_INFO]:
        return {info.dwCatalogEntryId: info for info in self.infos}

    def path(self, provider_id: GUID) -> str:
        return str(self._call("WSCGetProviderPath", provider_id))

    def update(self, info: WSAPROTOCOL_INFO, path: str | None = None) -> None:
        self._call("WSCUpdateProvider", info.ProviderId, path or self.path(info.ProviderId), [info])

    def deinstall(self, provider_id: GUID) -> None:
        self._call("WSCDeinstallProvider", provider_id)

    def order(self, ids: Sequence[int]) -> None:
        self._call("WSCWriteProviderOrder", ids)

    def _call(self, function: str, *arguments: object) -> Any:
        return getattr(winsock, function + self._suffix)(*arguments)


NATIVE, TWIN = View("64-bit", ""), View("32-bit", "32")
CATALOGS = {"b": (NATIVE, TWIN), "6": (NATIVE,), "3": (TWIN,)}


# What a catalog holds.


def members(info: WSAPROTOCOL_INFO) -> tuple[int, ...]:
    """The ids of a chain, the uppermost first; none of what is no chain."""
    return info.ProtocolChain.ChainEntries if info.chain_length > BASE else ()


def layer_of(entry_id: int, known: dict[int, WSAPROTOCOL_INFO]) -> WSAPROTOCOL_INFO | None:
    """The hidden entry of the layer that a member of a chain stands for; None for a base protocol."""
    info = known[entry_id]
    while info.chain_length > BASE:
        info = known[members(info)[0]]
    return info if info.chain_length == LAYERED else None


def lowest_non_ifs(info: WSAPROTOCOL_INFO, known: dict[int, WSAPROTOCOL_INFO]) -> int | None:
    """Where in a chain the lowest layer stands that makes its own handles."""
    for place, entry_id in reversed(list(enumerate(members(info)))):
        layer = layer_of(entry_id, known)
        if layer is not None and not layer.dwServiceFlags1 & IFS:
            return place
    return None


def name_of(ids: Sequence[int], known: dict[int, WSAPROTOCOL_INFO]) -> str:
    """How a chain is called: "layer over [what is below]"."""
    name = known[ids[-1]].szProtocol
    for entry_id in reversed(ids[:-1]):
        layer = layer_of(entry_id, known)
        name = f"{layer.szProtocol if layer else '?'} over [{name}]"
    return name[: winsock.WSAPROTOCOL_LEN]


def with_members(info: WSAPROTOCOL_INFO, ids: Sequence[int], known: dict[int, WSAPROTOCOL_INFO]) -> WSAPROTOCOL_INFO:
    """A chain of these ids, which matches the same sockets."""
    if len(ids) >= winsock.MAX_PROTOCOL_CHAIN:
        text = f"{info.szProtocol}: a chain of {len(ids)} is too long, it must stay below {winsock.MAX_PROTOCOL_CHAIN}"
        raise WinsockError(winsock.WSANO_RECOVERY, text)
    return info._replace(ProtocolChain=WSAPROTOCOLCHAIN(len(ids), tuple(ids)), szProtocol=name_of(ids, known))


# Installing.


class Lsp(NamedTuple):
    """What is to be installed."""

    name: str
    id: GUID
    ifs: bool
    path: str
    path32: str


def load(path: str, path32: str | None, name: str | None, ifs: bool) -> Lsp:
    """Ask the provider itself for its GUID and its kind, as the published installer asks the DLL."""
    path = import_path(path, ifs)
    provider = resolve(path)
    if bool(provider.IFS) is not ifs:
        text = f"{path} is {'an' if provider.IFS else 'no'} IFS layer, which -h says of it"
        raise WinsockError(winsock.WSAEINVAL, text)
    path32 = path if path32 is None else import_path(path32, ifs)
    return Lsp(name or f"sample {path.rpartition(':')[2]}", provider.ID, ifs, path, path32)


def import_path(path: str, ifs: bool) -> str:
    """The path as it is installed: a file by its whole name, and which of its providers."""
    file, colon, provider = path.rpartition(":")
    if not colon:
        file, provider = path, "ifs" if ifs else "non_ifs"
    return f"{os.path.abspath(file) if file.endswith('.py') else file}:{provider}"


def hidden_entry(lsp: Lsp, pattern: WSAPROTOCOL_INFO) -> WSAPROTOCOL_INFO:
    """The entry that is the layer's identity, and that no socket is opened on."""
    service = pattern.dwServiceFlags1 | IFS if lsp.ifs else pattern.dwServiceFlags1 & ~IFS
    return pattern._replace(
        dwServiceFlags1=service,
        dwProviderFlags=(pattern.dwProviderFlags | winsock.PFL_HIDDEN) & ~winsock.PFL_MATCHES_PROTOCOL_ZERO,
        ProtocolChain=WSAPROTOCOLCHAIN(LAYERED),
        szProtocol=lsp.name,
    )


def layered_entry(
    lsp: Lsp, own_id: int, lower: WSAPROTOCOL_INFO, known: dict[int, WSAPROTOCOL_INFO]
) -> WSAPROTOCOL_INFO:
    """A copy of the entry below, with the layer above it."""
    service = lower.dwServiceFlags1 if lsp.ifs else lower.dwServiceFlags1 & ~IFS
    chain = (own_id, lower.dwCatalogEntryId, *members(lower)[1:])
    return with_members(lower._replace(dwServiceFlags1=service), chain, known)


def place_below(lower: WSAPROTOCOL_INFO, known: dict[int, WSAPROTOCOL_INFO]) -> WSAPROTOCOL_INFO:
    """Where an IFS layer goes that is to cover this entry: below every layer that makes its own handles."""
    place = lowest_non_ifs(lower, known)
    return lower if place is None else known[members(lower)[place + 1]]


def covered(view: View, lsp: Lsp, ids: Sequence[int] | None) -> list[WSAPROTOCOL_INFO]:
    """The entries to cover: those of the ids, or all on which sockets are opened. Raises WSAEINVAL."""
    known = view.by_id
    for entry_id in ids or ():
        if entry_id not in known or known[entry_id].chain_length == LAYERED:
            raise WinsockError(winsock.WSAEINVAL, f"-o {entry_id}: no entry of that id opens sockets; see -p")
    chosen = [known[entry_id] for entry_id in known if ids is None or entry_id in ids]
    chosen = [info for info in chosen if info.chain_length != LAYERED]
    if lsp.ifs:
        chosen = [place_below(info, known) for info in chosen]
    return list({info.dwCatalogEntryId: info for info in chosen}.values())


def chains_through(view: View, lower: WSAPROTOCOL_INFO) -> list[tuple[WSAPROTOCOL_INFO, int]]:
    """The chains whose lowest non-IFS layer stands right above an entry, and where in them that entry is."""
    known = view.by_id
    found = []
    for info in known.values():
        place = lowest_non_ifs(info, known)
        if place is not None and members(info)[place + 1] == lower.dwCatalogEntryId:
            found.append((info, place + 1))
    return found


def install(lsp: Lsp, views: Sequence[View], ids: Sequence[int] | None) -> int:
    """The hidden entry, a layered entry over each that is covered, then the order; the id of the hidden entry.

    What was installed when something failed is removed again.
    """
    if views == CATALOGS["3"]:
        raise WinsockError(winsock.WSAEINVAL, "-c 3: no function installs in the 32-bit catalog alone")
    if any(view.infos != NATIVE.infos for view in views):
        raise WinsockError(winsock.WSAEINVAL, "the two catalogs differ; install with -c 6")
    lowers = covered(NATIVE, lsp, ids)
    add(lsp, views, lsp.id, [hidden_entry(lsp, lowers[0])])
    try:
        own_id = own_ids(lsp, views)
        for lower in lowers:
            cover(lsp, views, own_id, lower)
    except WinsockError:
        for view in views:
            remove(view, hidden(view, lsp.id).dwCatalogEntryId)
        raise
    return own_id


def own_ids(lsp: Lsp, views: Sequence[View]) -> int:
    """The id of the hidden entry, which must be the same in both catalogs: one call installs chains in both."""
    found = {hidden(view, lsp.id).dwCatalogEntryId for view in views}
    if len(found) > 1:
        raise WinsockError(winsock.WSAEINVAL, f"the two catalogs number differently, {found}; install with -c 6")
    return found.pop()


def cover(lsp: Lsp, views: Sequence[View], own_id: int, lower: WSAPROTOCOL_INFO) -> None:
    """One layered entry, first of all; or where chains with non-IFS layers are, in the middle of those."""
    guid = fresh_guid()
    inserted = chains_through(NATIVE, lower) if lsp.ifs else []
    add(lsp, views, guid, [layered_entry(lsp, own_id, lower, NATIVE.by_id)])
    for view in views:
        known = view.by_id
        new = next(entry_id for entry_id, info in known.items() if info.ProviderId == guid)
        for chain, place in inserted:
            ids = members(chain)
            view.update(with_members(chain, (*ids[:place], new, *ids[place:]), known))
        rest = [entry_id for entry_id in known if entry_id != new]
        place = rest.index(lower.dwCatalogEntryId) if inserted else first_place(rest, known, own_id)
        view.order([*rest[:place], new, *rest[place:]])


def first_place(ids: Sequence[int], known: dict[int, WSAPROTOCOL_INFO], own_id: int) -> int:
    """Behind the entries of ours that are first already, and before all others."""
    return next(place for place, entry_id in enumerate(ids) if members(known[entry_id])[:1] != (own_id,))


def add(lsp: Lsp, views: Sequence[View], provider_id: GUID, infos: Sequence[WSAPROTOCOL_INFO]) -> None:
    """Install a provider: the layer's hidden entry, or one layered entry."""
    if TWIN not in views:
        winsock.WSCInstallProvider(provider_id, lsp.path, infos)
        return
    winsock.WSCInstallProvider64_32(provider_id, lsp.path, infos)
    if lsp.path32 != lsp.path:
        for info in TWIN.infos:
            if info.ProviderId == provider_id:
                TWIN.update(info, lsp.path32)


def install_at_once(lsp: Lsp, views: Sequence[View], ids: Sequence[int] | None) -> int:
    """The same in one call of newer Windows, which is done whole or not at all."""
    flags = IFS if lsp.ifs else 0
    kinds = None if ids is None else covered(NATIVE, lsp, ids)
    if TWIN in views:
        return winsock.WSCInstallProviderAndChains64_32(lsp.id, lsp.path, lsp.path32, lsp.name, flags, kinds)
    return winsock.WSCInstallProviderAndChains(lsp.id, lsp.path, lsp.name, flags, kinds)


def hidden(view: View, provider_id: GUID) -> WSAPROTOCOL_INFO:
    """The hidden entry of a layer."""
    return next(info for info in view.infos if info.ProviderId == provider_id and info.chain_length == LAYERED)


def fresh_guid() -> GUID:
    return GUID.unpack(uuid.uuid4().bytes_le)


def uncovered(view: View) -> list[str]:
    """What programs get without a layer, though another protocol of the same family has one."""
    first: dict[tuple[int, int, int], WSAPROTOCOL_INFO] = {}
    for info in view.infos:
        if info.chain_length != LAYERED:
            first.setdefault((info.iAddressFamily, info.iSocketType, info.iProtocol), info)
    families = {info.iAddressFamily for info in first.values() if members(info)}
    return [info.szProtocol for info in first.values() if not members(info) and info.iAddressFamily in families]


# Removing.


def remove(view: View, own_id: int) -> None:
    """Lead the chains that go through the layer past it, then take out its entries, the hidden one last."""
    known = view.by_id
    if own_id not in known or known[own_id].chain_length != LAYERED:
        raise WinsockError(winsock.WSAEINVAL, f"-r {own_id}: not the hidden entry of a layer; see -l")
    own = [info for info in known.values() if members(info)[:1] == (own_id,)]
    gone = {own_id, *(info.dwCatalogEntryId for info in own)}
    for info in known.values():
        ids = [entry_id for entry_id in members(info) if entry_id not in gone]
        if info not in own and len(ids) < len(members(info)):
            view.update(with_members(info, ids, known))
    for provider_id in dict.fromkeys(info.ProviderId for info in (*own, known[own_id])):
        view.deinstall(provider_id)
    print(f"removed {known[own_id].szProtocol} from the {view.name} catalog")


def remove_all(view: View) -> None:
    """Every layer, whoever installed it."""
    for info in view.infos:
        if info.chain_length == LAYERED:
            remove(view, info.dwCatalogEntryId)


# Showing.


def show(view: View, infos: Iterable[WSAPROTOCOL_INFO], verbose: bool) -> None:
    """A line for each entry, and with -v what it is made of."""
    print(f"{view.name} catalog:")
    for info in infos:
        chain = " > ".join(map(str, members(info)))
        print(f"{info.dwCatalogEntryId:6}  {kind_of(info):7}  {info.szProtocol}{f'  ({chain})' if chain else ''}")
        if verbose:
            for field, value in zip(info._fields, info, strict=True):
                print(f"        {field}: {value}")
            print(f"        path: {view.path(info.ProviderId)}")


def kind_of(info: WSAPROTOCOL_INFO) -> str:
    """What kind of entry it is."""
    return {LAYERED: "layer", BASE: "base"}.get(info.chain_length, "chain")


def is_layered(info: WSAPROTOCOL_INFO) -> bool:
    """Whether it is a layer's."""
    return info.chain_length != BASE


def show_map(view: View) -> None:
    """Each layer, its entries, and the chains that would break without them."""
    print(f"{view.name} catalog:")
    known = view.by_id
    for layer in (info for info in known.values() if info.chain_length == LAYERED):
        handles = "IFS" if layer.dwServiceFlags1 & IFS else "non-IFS"
        print(f"{layer.dwCatalogEntryId:6}  {layer.szProtocol} ({handles})")
        for own in known.values():
            if members(own)[:1] == (layer.dwCatalogEntryId,):
                print(f"{own.dwCatalogEntryId:12}  {own.szProtocol}")
                for info in known.values():
                    if {own.dwCatalogEntryId, layer.dwCatalogEntryId} & set(members(info)[1:]):
                        print(f"{info.dwCatalogEntryId:18}  {info.szProtocol}")


# The command.


def parser() -> argparse.ArgumentParser:
    """The options of the published installer."""
    usage = argparse.ArgumentParser(description="Install, remove and show layered providers.", add_help=False)
    action = usage.add_mutually_exclusive_group(required=True)
    action.add_argument("-i", action="store_true", help="install")
    action.add_argument("-r", type=int, metavar="ID", help="remove the layer whose hidden entry has this id")
    action.add_argument("-f", action="store_true", help="remove every layer")
    action.add_argument("-p", action="store_true", help="print all entries")
    action.add_argument("-l", action="store_true", help="print the layered entries")
    action.add_argument("-m", action="store_true", help="print who depends on whom")
    action.add_argument("--help", action="help", help="print this")
    cover = usage.add_mutually_exclusive_group()
    cover.add_argument("-a", action="store_true", help="cover all entries")
    cover.add_argument("-o", type=int, action="append", metavar="ID", help="cover this entry; may be repeated")
    usage.add_argument("-n", metavar="NAME", help="the name of the layer")
    usage.add_argument("-d", metavar="PATH", default=str(PROVIDER), help="the file of the provider")
    usage.add_argument("-d32", metavar="PATH", help="the same for 32-bit programs")
    usage.add_argument("-h", action="store_true", help="an IFS layer; must come first")
    usage.add_argument("-c", choices=CATALOGS, default="b", help="which catalogs: both, 64-bit (6), 32-bit (3)")
    usage.add_argument("-v", action="store_true", help="show every field")
    usage.add_argument("--at-once", action="store_true", help="install by one call, done whole or not at all")
    return usage


def installing(chosen: argparse.Namespace, views: Sequence[View]) -> None:
    lsp = load(chosen.d, chosen.d32, chosen.n, chosen.h)
    how = install_at_once if chosen.at_once else install
    print(f"installed {lsp.name} as {how(lsp, views, chosen.o)}")
    for name in uncovered(NATIVE):
        print(f"note: {name} is not covered, so a program may meet two providers")


def main(arguments: Sequence[str]) -> int:
    """0 where all went well, 1 where the catalog refused, 2 for a mistake on the command line."""
    usage = parser()
    chosen = usage.parse_args(arguments)
    if chosen.h and arguments[0] != "-h":
        usage.error("-h must come first")
    if chosen.i and not (chosen.a or chosen.o):
        usage.error("-i needs -a, or -o with an id from -p")
    views = CATALOGS[chosen.c]
    actions: dict[str, Callable[[View], None]] = {
        "f": remove_all,
        "r": lambda view: remove(view, chosen.r),
        "p": lambda view: show(view, view.infos, chosen.v),
        "l": lambda view: show(view, filter(is_layered, view.infos), chosen.v),
        "m": show_map,
    }
    try:
        if chosen.i:
            installing(chosen, views)
        for name, action in actions.items():
            if getattr(chosen, name):
                for view in views:
                    action(view)
    except WinsockError as error:
        print(f"lsp_sample: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    if sys.stdin.isatty():
        input("Press Enter to end. ")
    sys.exit(status)
