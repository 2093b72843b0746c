"""Installing providers: the WSC functions, which read and change the catalog's file, and need no WSAStartup.

Each names what is installed now, in the file; what this process uses was fixed by its WSAStartup. A function of a name
in 32 does the same with the catalog of 32-bit programs; one in 64_32 with both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from winsock.abi.constants import (
    WSAPROTOCOL_LEN,
    XP1_IFS_HANDLES,
    ProviderInfoAudit,
    ProviderInfoLspCategories,
)
from winsock.abi.errors import (
    ERROR_CALL_NOT_IMPLEMENTED,
    WSAEFAULT,
    WSAEINPROGRESS,
    WSAEINVAL,
    WSAEINVALIDPROCTABLE,
    WSAEINVALIDPROVIDER,
    WSAEOPNOTSUPP,
    WSANO_RECOVERY,
    WSASERVICE_NOT_FOUND,
    WinsockError,
)
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.catalog import files, install, store, watch
from winsock.catalog.categories import find as find_application
from winsock.catalog.categories import put as put_application
from winsock.catalog.entries import Catalog
from winsock.catalog.install import Source
from winsock.catalog.store import Installed
from winsock.dispatcher import loader
from winsock.dispatcher.arguments import check_protocols
from winsock.dispatcher.route import function, require_started
from winsock.spi.layer import is_stream

Transform = Callable[[Catalog], Catalog]

_MAX_PATH = 260
_ALL_BITS = 0xFFFFFFFF


@function
def WSCEnumProtocols(protocols: Collection[int] | None = None) -> list[WSAPROTOCOL_INFO]:
    """All installed entries in catalog order, hidden ones and layered protocols too, or those of these protocols.

    Unlike WSAEnumProtocols it shows what is installed now. Raises WSAEINVAL, WSAEFAULT. Source:
    nf-ws2spi-wscenumprotocols.
    """
    return _infos(store.read().native, protocols)


@function
def WSCEnumProtocols32(protocols: Collection[int] | None = None) -> list[WSAPROTOCOL_INFO]:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscenumprotocols32."""
    return _infos(store.read().twin, protocols)


@function
def WSCGetProviderPath(provider_id: GUID) -> str:
    """The path that a provider was installed with. Raises WSAEINVAL, WSAEFAULT.

    Source: nf-ws2spi-wscgetproviderpath.
    """
    return store.read().native.find_provider(_guid(provider_id)).path


@function
def WSCGetProviderPath32(provider_id: GUID) -> str:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscgetproviderpath32."""
    return store.read().twin.find_provider(_guid(provider_id)).path


@function
def WSCInstallProvider(provider_id: GUID, path: str, protocol_infos: Sequence[WSAPROTOCOL_INFO]) -> None:
    """Install a provider: base protocols, a layered protocol, or chains, at the end of the catalog.

    `path` is an import path, `package.module:Class` or `/a/file.py:Class`. Every entry gets `provider_id` and an id of
    its own. Raises WSANO_RECOVERY where the provider is installed, a chain is too long, or the catalog cannot be
    changed; WSAEINVAL, WSAEFAULT. Source: nf-ws2spi-wscinstallprovider.
    """
    _change(_native(_installing(provider_id, path, protocol_infos)))


@function
def WSCInstallProvider64_32(provider_id: GUID, path: str, protocol_infos: Sequence[WSAPROTOCOL_INFO]) -> None:
    """The same in both catalogs. Source: nf-ws2spi-wscinstallprovider64_32."""
    transform = _installing(provider_id, path, protocol_infos)
    _change(lambda contents: _twin(transform)(_native(transform)(contents)))


@function
def WSCInstallProviderAndChains(
    provider_id: GUID,
    path: str,
    name: str,
    service_flags: int,
    protocol_infos: Sequence[WSAPROTOCOL_INFO] | None = None,
) -> int:
    """Install a layer and chains over what it covers, first in the catalog; the id of its hidden entry.

    It covers the uppermost entry of the family, type and protocol of each of `protocol_infos`, or the base protocol of
    every kind but hidden ones, as raw sockets are, and those that never leave the machine. `service_flags` is
    XP1_IFS_HANDLES, or 0 for a layer that makes its own handles. Raises WSAEINVAL where the path names nothing, the
    provider or the name is installed, or nothing fits; WSAEINVALIDPROCTABLE where the flags are not the provider's;
    WSANO_RECOVERY where there is no base protocol, a chain would be too long, or the catalog cannot be changed;
    WSAEINPROGRESS, WSAEFAULT. Source: nf-ws2spi-wscinstallproviderandchains.
    """
    layer = _layering(provider_id, path, name, service_flags, protocol_infos)
    return _change(_native(layer), busy=WSAEINPROGRESS).native.find_provider(provider_id).info.dwCatalogEntryId


@function
def WSCInstallProviderAndChains64_32(
    provider_id: GUID,
    path: str,
    path32: str,
    name: str,
    service_flags: int,
    protocol_infos: Sequence[WSAPROTOCOL_INFO] | None = None,
) -> int:
    """The same in both catalogs, for 32-bit programs from `path32`; the id in the native one.

    Source: nf-ws2spi-wscinstallproviderandchains64_32.
    """
    layer = _layering(provider_id, path, name, service_flags, protocol_infos)
    layer32 = _layering(provider_id, path32, name, service_flags, protocol_infos)
    installed = _change(lambda contents: _twin(layer32)(_native(layer)(contents)), busy=WSAEINPROGRESS)
    return installed.native.find_provider(provider_id).info.dwCatalogEntryId


@function
def WSCDeinstallProvider(provider_id: GUID) -> None:
    """Remove all entries of a provider; chains that it was part of go on without it.

    Raises WSAEINVAL for an unknown one, WSANO_RECOVERY, WSAEFAULT. Source: nf-ws2spi-wscdeinstallprovider.
    """
    provider_id = _guid(provider_id)
    _change(_native(lambda catalog: install.deinstall(catalog, provider_id)))


@function
def WSCDeinstallProvider32(provider_id: GUID) -> None:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscdeinstallprovider32."""
    provider_id = _guid(provider_id)
    _change(_twin(lambda catalog: install.deinstall(catalog, provider_id)))


@function
def WSCUpdateProvider(provider_id: GUID, path: str, protocol_infos: Sequence[WSAPROTOCOL_INFO]) -> None:
    """Change a provider's path, and those of its entries whose dwCatalogEntryId is given; others are added.

    Raises WSAEINVAL, WSANO_RECOVERY, WSAEFAULT. Source: nf-ws2spi-wscupdateprovider.
    """
    _change(_native(_updating(provider_id, path, protocol_infos)))


@function
def WSCUpdateProvider32(provider_id: GUID, path: str, protocol_infos: Sequence[WSAPROTOCOL_INFO]) -> None:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscupdateprovider32."""
    _change(_twin(_updating(provider_id, path, protocol_infos)))


@function
def WSCWriteProviderOrder(catalog_entry_ids: Sequence[int]) -> None:
    """Put the entries in another order: enumeration has it, and a socket gets the first entry that fits.

    Raises WSAEINVAL where not every id is named exactly once; WSANO_RECOVERY. Source:
    nf-sporder-wscwriteproviderorder.
    """
    ids = list(catalog_entry_ids)
    _change(_native(lambda catalog: install.order(catalog, ids)))


@function
def WSCWriteProviderOrder32(catalog_entry_ids: Sequence[int]) -> None:
    """The same of the 32-bit catalog. Source: nf-sporder-wscwriteproviderorder32."""
    ids = list(catalog_entry_ids)
    _change(_twin(lambda catalog: install.order(catalog, ids)))


# Categories: which layers a program loads.


@function
def WSCGetProviderInfo(provider_id: GUID, info_type: int, flags: int = 0) -> int:
    """The LSP_ categories of a layer, 0 where it has none; `info_type` is ProviderInfoLspCategories.

    Raises ERROR_CALL_NOT_IMPLEMENTED for ProviderInfoAudit, WSAEINVAL for other classes and for flags,
    WSAEINVALIDPROVIDER for an unknown provider, WSAEFAULT. Source: nf-ws2spi-wscgetproviderinfo.
    """
    return _categories_of(store.read().native, provider_id, info_type, flags)


@function
def WSCGetProviderInfo32(provider_id: GUID, info_type: int, flags: int = 0) -> int:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscgetproviderinfo32."""
    return _categories_of(store.read().twin, provider_id, info_type, flags)


@function
def WSCSetProviderInfo(provider_id: GUID, info_type: int, info: int, flags: int = 0) -> None:
    """Say to which LSP_ categories a layer belongs.

    Raises ERROR_CALL_NOT_IMPLEMENTED for ProviderInfoAudit, WSAEINVAL for other classes, flags, what is no set of
    categories, and an unknown provider; WSANO_RECOVERY, WSAEFAULT. Source: nf-ws2spi-wscsetproviderinfo.
    """
    _change(_native(_categorizing(provider_id, info_type, info, flags)))


@function
def WSCSetProviderInfo32(provider_id: GUID, info_type: int, info: int, flags: int = 0) -> None:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscsetproviderinfo32."""
    _change(_twin(_categorizing(provider_id, info_type, info, flags)))


@function
def WSCGetApplicationCategory(path: str, extra: str | None) -> int:
    """The LSP_ categories that an application permits: one of that executable, and of those arguments where not None.

    Raises WSASERVICE_NOT_FOUND where it has none, WSAEINVAL, WSAEFAULT, WSANO_RECOVERY. Source:
    nf-ws2spi-wscgetapplicationcategory.
    """
    _check_application(path, extra)
    found = find_application(store.read().applications, path, extra)
    if found is None:
        raise WinsockError(WSASERVICE_NOT_FOUND, f"{path!r} with {extra!r} has no categories, so it loads every layer")
    return found.categories


@function
def WSCSetApplicationCategory(path: str, extra: str | None, categories: int) -> int:
    """Let an application permit more LSP_ categories, which its next instance will load; those that it had before.

    `extra` is the rest of its command line, words parted by blanks, where that tells it from others of its path.
    Raises WSAEINVAL, WSAEFAULT, WSANO_RECOVERY. Source: nf-ws2spi-wscsetapplicationcategory.
    """
    _check_application(path, extra)
    more = _valid_categories("categories", categories)
    before = []

    def permit(contents: Installed) -> Installed:
        found = find_application(contents.applications, path, extra)
        before.append(found.categories if found else 0)
        return contents._replace(applications=put_application(contents.applications, path, extra, more))

    _change(permit)
    return before[-1]


# Changes.


@function
def WSAProviderConfigChange(
    notification_handle: int | None = None, overlapped: object = None, completion_routine: object = None
) -> int:
    """A notification handle, at once; given one, wait for the next change of the catalog by whichever process.

    The handle is a descriptor: it becomes readable when it is worth calling again, and `os.close` ends it. A change
    after the handle was last told is not missed. Raises WSANOTINITIALISED, WSA_INVALID_HANDLE, WSAEOPNOTSUPP for an
    overlapped call, and where the host does not tell of changes. Source: nf-winsock2-wsaproviderconfigchange.
    """
    require_started()
    if overlapped is not None or completion_routine is not None:
        raise WinsockError(WSAEOPNOTSUPP, "there are no overlapped operations yet; poll the notification handle")
    if notification_handle is None:
        return watch.open_notification()
    watch.wait_for_change(notification_handle)
    return notification_handle


# What they share.


def _change(transform: Callable[[Installed], Installed], busy: int = WSANO_RECOVERY) -> Installed:
    """Change the file; `busy` is the error of a function that another installer keeps waiting for too long."""
    try:
        return store.change(transform)
    except WinsockError as error:
        if error.winerror != WSAEINPROGRESS:
            raise
        raise WinsockError(busy, error.strerror) from error


def _native(transform: Transform) -> Callable[[Installed], Installed]:
    return lambda contents: contents._replace(native=transform(contents.native))


def _twin(transform: Transform) -> Callable[[Installed], Installed]:
    return lambda contents: contents._replace(twin=transform(contents.twin))


def _installing(provider_id: GUID, path: str, infos: Sequence[WSAPROTOCOL_INFO]) -> Transform:
    provider_id, source, infos = _guid(provider_id), _source(path), _described(infos)
    return lambda catalog: install.install(catalog, provider_id, source, infos)


def _updating(provider_id: GUID, path: str, infos: Sequence[WSAPROTOCOL_INFO]) -> Transform:
    provider_id, source, infos = _guid(provider_id), _source(path), _described(infos)
    return lambda catalog: install.update(catalog, provider_id, source, infos)


def _layering(
    provider_id: GUID, path: str, name: str, service_flags: int, infos: Sequence[WSAPROTOCOL_INFO] | None
) -> Transform:
    if provider_id is None:
        raise WinsockError(WSAEINVAL, "provider_id: it is needed")  # their pages say so; others fault
    provider_id, source = _guid(provider_id), _source(path)
    kinds = None if infos is None else _described(infos)
    if not isinstance(name, str) or not 0 < len(name) <= WSAPROTOCOL_LEN:
        raise WinsockError(WSAEINVAL, f"name: a text of 1 to {WSAPROTOCOL_LEN} characters, not {name!r}")
    if service_flags & ~XP1_IFS_HANDLES:
        raise WinsockError(WSAEINVAL, f"service_flags: XP1_IFS_HANDLES or 0, not {service_flags:#x}")
    streams_alone = is_stream(_provider(source, bool(service_flags & XP1_IFS_HANDLES)))
    return lambda catalog: install.install_with_chains(
        catalog, provider_id, source, name, service_flags, kinds, streams_alone
    )[0]


def _provider(source: Source, is_ifs: bool) -> Any:
    """A provider that is installed with its chains is looked at: its handles must be what is said of them."""
    try:
        kind = loader.resolve(source.path, source.digest)
    except WinsockError as error:
        raise WinsockError(WSAEINVAL, f"path: {error.strerror}") from error
    if getattr(kind, "ifs_handles", is_ifs) != is_ifs:
        own = "hands up the handles from below" if not is_ifs else "makes handles of its own"
        raise WinsockError(WSAEINVALIDPROCTABLE, f"service_flags: {source.path} {own}, so they must say so")
    return kind


def _categories_of(catalog: Catalog, provider_id: GUID, info_type: int, flags: int) -> int:
    _check_class(info_type, flags)
    provider_id = _guid(provider_id)
    for entry in catalog:
        if entry.info.ProviderId == provider_id:
            return entry.categories
    raise WinsockError(WSAEINVALIDPROVIDER, f"the catalog has no provider {provider_id}")


def _categorizing(provider_id: GUID, info_type: int, info: int, flags: int) -> Transform:
    _check_class(info_type, flags)
    provider_id, value = _guid(provider_id), _valid_categories("info", info)
    return lambda catalog: install.categorize(catalog, provider_id, value)


def _check_class(info_type: int, flags: int) -> None:
    if info_type == ProviderInfoAudit:
        raise WinsockError(ERROR_CALL_NOT_IMPLEMENTED, "ProviderInfoAudit is not implemented, here as on Windows")
    if info_type != ProviderInfoLspCategories:
        raise WinsockError(WSAEINVAL, f"info_type: ProviderInfoLspCategories, not {info_type!r}")
    if flags:
        raise WinsockError(WSAEINVAL, f"flags: none are defined, so {flags!r} means nothing")


def _valid_categories(name: str, value: int) -> int:
    if not isinstance(value, int) or not 0 <= value <= _ALL_BITS:
        raise WinsockError(WSAEINVAL, f"{name}: LSP_ categories, a number of 32 bits, not {value!r}")
    return value


def _check_application(path: str, extra: str | None) -> None:
    if not isinstance(path, str):
        raise WinsockError(WSAEFAULT, f"path: the path of an executable, not {path!r}")
    if not path:
        raise WinsockError(WSAEINVAL, "path: it is empty")
    _check_no_null(path)
    if extra is not None and not isinstance(extra, str):
        raise WinsockError(WSAEINVAL, f"extra: command-line arguments as one text, or None, not {extra!r}")


def _infos(catalog: Catalog, protocols: Collection[int] | None) -> list[WSAPROTOCOL_INFO]:
    check_protocols(protocols)
    return [entry.info for entry in catalog if protocols is None or entry.info.iProtocol in protocols]


def _guid(value: GUID) -> GUID:
    if not isinstance(value, GUID):
        raise WinsockError(WSAEFAULT, f"provider_id: {value!r} is no GUID")
    return value


def _check_no_null(path: str) -> None:
    if "\0" in path:
        raise WinsockError(WSAEINVAL, f"path: {path!r} names nothing, because it has a null character")


def _source(path: str) -> Source:
    """A provider that is a file is known again by its contents."""
    if not isinstance(path, str) or not 0 < len(path) < _MAX_PATH:
        raise WinsockError(WSAEINVAL, f"path: an import path of 1 to {_MAX_PATH - 1} characters, not {path!r}")
    _check_no_null(path)
    path, digest = files.kept(path)
    return Source(path, digest=digest)


def _described(infos: Sequence[WSAPROTOCOL_INFO]) -> list[WSAPROTOCOL_INFO]:
    if infos is None or isinstance(infos, WSAPROTOCOL_INFO) or not isinstance(infos, Sequence):
        raise WinsockError(WSAEINVAL, f"protocol_infos: a list of WSAPROTOCOL_INFO, not {infos!r}")
    for info in infos:
        if not isinstance(info, WSAPROTOCOL_INFO):
            raise WinsockError(WSAEFAULT, f"protocol_infos: {info!r} is no WSAPROTOCOL_INFO")
        usual = WSAPROTOCOL_INFO()
        _check_types(info, usual)
        _check_types(info.ProtocolChain, usual.ProtocolChain)
    return list(infos)


def _check_types(values: Any, usual: Any) -> None:
    for field, value, like in zip(usual._fields, values, usual, strict=True):
        if not isinstance(value, type(like)):
            raise WinsockError(WSAEINVAL, f"protocol_infos: {field} is no {type(like).__name__}: {value!r}")
