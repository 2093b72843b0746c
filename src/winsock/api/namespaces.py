"""The catalog of name-space providers, which is empty, and takes none: there is nothing yet that could load them.

The enumerations need WSAStartup, as their pages say, and the other WSC functions do not. A function of a name in 32
does the same with the catalog of 32-bit programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAEINVALIDPROVIDER, WSANO_RECOVERY, WinsockError
from winsock.abi.guids import GUID
from winsock.dispatcher.refusing import refused
from winsock.dispatcher.route import function, require_started

_NO_ENTRIES = "the catalog cannot hold name-space providers"
_NOT_INSTALLED = "provider_id: no such name-space provider is installed"


@function
def WSAEnumNameSpaceProviders() -> list[Any]:
    """The name-space providers that are installed: none. Raises WSANOTINITIALISED.

    Sources: nf-winsock2-wsaenumnamespaceprovidersa, nf-winsock2-wsaenumnamespaceprovidersw.
    """
    return _installed()


@function
def WSAEnumNameSpaceProvidersEx() -> list[Any]:
    """The same, with what they were installed with. Raises WSANOTINITIALISED.

    Sources: nf-winsock2-wsaenumnamespaceprovidersexa, nf-winsock2-wsaenumnamespaceprovidersexw.
    """
    return _installed()


@function
def WSCEnumNameSpaceProviders() -> list[Any]:
    """The same as WSAEnumNameSpaceProviders: none is hidden. Source: nf-winsock2-wsaenumnamespaceprovidersw."""
    return _installed()


@function
def WSCEnumNameSpaceProvidersEx() -> list[Any]:
    """The same as WSAEnumNameSpaceProvidersEx. Source: nf-winsock2-wsaenumnamespaceprovidersexw."""
    return _installed()


@function
def WSCEnumNameSpaceProviders32() -> list[Any]:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscenumnamespaceproviders32."""
    return _installed()


@function
def WSCEnumNameSpaceProvidersEx32() -> list[Any]:
    """The same of the 32-bit catalog. Source: nf-ws2spi-wscenumnamespaceprovidersex32."""
    return _installed()


def _installed() -> list[Any]:
    require_started()
    return []


@refused(WSANO_RECOVERY, _NO_ENTRIES)
def WSCInstallNameSpace(identifier: str, path: str, name_space: int, version: int, provider_id: GUID) -> None:
    """Install a name-space provider. Raises WSANO_RECOVERY: the catalog cannot hold it.

    Raises WSAEINVAL for an argument that is not what it should be. Source: nf-ws2spi-wscinstallnamespace.
    """
    _check_entry(identifier, path, name_space, version, provider_id)


@refused(WSANO_RECOVERY, _NO_ENTRIES)
def WSCInstallNameSpace32(identifier: str, path: str, name_space: int, version: int, provider_id: GUID) -> None:
    """The same in the 32-bit catalog. Raises WSANO_RECOVERY, WSAEINVAL. Source: nf-ws2spi-wscinstallnamespace32."""
    _check_entry(identifier, path, name_space, version, provider_id)


@refused(WSANO_RECOVERY, _NO_ENTRIES)
def WSCInstallNameSpaceEx(
    identifier: str, path: str, name_space: int, version: int, provider_id: GUID, provider_info: object
) -> None:
    """The same, with data of the provider's own. Raises WSANO_RECOVERY, WSAEINVAL.

    Source: nf-ws2spi-wscinstallnamespaceex.
    """
    _check_entry(identifier, path, name_space, version, provider_id)


@refused(WSANO_RECOVERY, _NO_ENTRIES)
def WSCInstallNameSpaceEx32(
    identifier: str, path: str, name_space: int, version: int, provider_id: GUID, provider_info: object
) -> None:
    """The same in the 32-bit catalog. Raises WSANO_RECOVERY, WSAEINVAL. Source: nf-ws2spi-wscinstallnamespaceex32."""
    _check_entry(identifier, path, name_space, version, provider_id)


@refused(WSAEINVAL, _NOT_INSTALLED)
def WSCUnInstallNameSpace(provider_id: GUID) -> None:
    """Remove a name-space provider. Raises WSAEINVAL: it is not installed. Raises WSAEFAULT for what is no GUID.

    Source: nf-ws2spi-wscuninstallnamespace.
    """
    _check_guid(provider_id)


@refused(WSAEINVAL, _NOT_INSTALLED)
def WSCUnInstallNameSpace32(provider_id: GUID) -> None:
    """The same of the 32-bit catalog. Raises WSAEINVAL, WSAEFAULT. Source: nf-ws2spi-wscuninstallnamespace32."""
    _check_guid(provider_id)


@refused(WSAEINVAL, _NOT_INSTALLED)
def WSCEnableNSProvider(provider_id: GUID, enable: bool) -> None:
    """Let a name-space provider be asked, or not. Raises WSAEINVAL: it is not installed. Raises WSAEFAULT.

    Source: nf-ws2spi-wscenablensprovider.
    """
    _check_guid(provider_id)


@refused(WSAEINVAL, _NOT_INSTALLED)
def WSCEnableNSProvider32(provider_id: GUID, enable: bool) -> None:
    """The same of the 32-bit catalog. Raises WSAEINVAL, WSAEFAULT. Source: nf-ws2spi-wscenablensprovider32."""
    _check_guid(provider_id)


@function
def WSCWriteNameSpaceOrder(provider_ids: Sequence[GUID]) -> None:
    """Put the name-space providers in another order, of which only that of none is one.

    Raises WSAEINVAL for any other, WSAEFAULT for what is no list of GUIDs. Source: nf-sporder-wscwritenamespaceorder.
    """
    _check_order(provider_ids)


@function
def WSCWriteNameSpaceOrder32(provider_ids: Sequence[GUID]) -> None:
    """The same of the 32-bit catalog. Raises WSAEINVAL, WSAEFAULT. Source: nf-sporder-wscwritenamespaceorder32."""
    _check_order(provider_ids)


@refused(WSAEINVALIDPROVIDER, _NOT_INSTALLED)
def WSAAdvertiseProvider(provider_id: GUID, routines: object) -> None:
    """Offer a name-space provider of version 2 to clients. Raises WSAEINVALIDPROVIDER: it is not installed.

    Raises WSAEINVAL without one of the two, WSANOTINITIALISED. Source: nf-ws2spi-wsaadvertiseprovider.
    """
    if provider_id is None or routines is None:
        name = "provider_id" if provider_id is None else "routines"
        raise WinsockError(WSAEINVAL, f"{name}: it is needed")


@refused(WSAEINVAL, "provider_id: no such name-space provider is offered")
def WSAUnadvertiseProvider(provider_id: GUID) -> None:
    """Offer a name-space provider no longer. Raises WSAEINVAL: none is offered; WSANOTINITIALISED.

    Source: nf-ws2spi-wsaunadvertiseprovider.
    """


@refused(WSAEINVAL, "async_call: no call of a name-space provider is under way")
def WSAProviderCompleteAsyncCall(async_call: object, code: int) -> None:
    """Tell a client that its call is done. Raises WSAEINVAL: none is under way; WSANOTINITIALISED.

    Source: nf-ws2spi-wsaprovidercompleteasynccall.
    """


def _check_entry(identifier: object, path: object, name_space: object, version: object, provider_id: object) -> None:
    """Raises WSAEINVAL."""
    for name, value, kind in (
        ("identifier", identifier, str),
        ("path", path, str),
        ("name_space", name_space, int),
        ("version", version, int),
        ("provider_id", provider_id, GUID),
    ):
        if not isinstance(value, kind):
            raise WinsockError(WSAEINVAL, f"{name}: {value!r} is no {kind.__name__}")


def _check_guid(value: object) -> None:
    if not isinstance(value, GUID):
        raise WinsockError(WSAEFAULT, f"provider_id: {value!r} is no GUID")


def _check_order(provider_ids: object) -> None:
    if not isinstance(provider_ids, (list, tuple)) or isinstance(provider_ids, GUID):
        raise WinsockError(WSAEFAULT, f"provider_ids: {provider_ids!r} is no list of GUIDs")
    for one in provider_ids:
        if not isinstance(one, GUID):
            raise WinsockError(WSAEFAULT, f"provider_ids: {one!r} is no GUID")
    if provider_ids:
        raise WinsockError(WSAEINVAL, f"provider_ids: {provider_ids[0]} is not installed, nor any other")
