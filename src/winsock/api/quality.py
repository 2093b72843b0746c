"""Quality of service by the names of templates, of which no provider here has any.

Windows has had none of its own since Vista, and refuses to install one.
"""

from __future__ import annotations

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSASYSCALLFAILURE, WinsockError
from winsock.abi.guids import GUID
from winsock.dispatcher.route import find, function


@function
def WSAGetQOSByName(s: int, name: str) -> object:
    """The quality of service that a template names; for an empty name, the names of all templates.

    Raises WSAEINVAL for a name that is none, WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-winsock2-wsagetqosbyname.
    """
    record = find(s)
    if not isinstance(name, str):
        raise WinsockError(WSAEFAULT, f"name: {name!r} is no name of a template")
    qos: object = record.table.WSPGetQOSByName(s, name)
    return qos


@function
def WSCInstallQOSTemplate(guid: GUID | None, name: str, qos: object) -> None:
    """Install a template, of one provider or (None) of all.

    Raises WSASYSCALLFAILURE, as on every Windows since Vista; WSAEFAULT, WSAEINVAL.
    Source: nf-ws2spi-wscinstallqostemplate.
    """
    if qos is None:
        raise WinsockError(WSAEFAULT, "qos: it is needed")
    raise _no_templates(guid, name)


@function
def WSCRemoveQOSTemplate(guid: GUID | None, name: str) -> None:
    """Remove a template, of one provider or (None) of all.

    Raises WSASYSCALLFAILURE, as on every Windows since Vista; WSAEFAULT, WSAEINVAL.
    Source: nf-ws2spi-wscremoveqostemplate.
    """
    raise _no_templates(guid, name)


def _no_templates(guid: object, name: object) -> WinsockError:
    if guid is not None and not isinstance(guid, GUID):
        return WinsockError(WSAEFAULT, f"guid: {guid!r} is no GUID")
    if not isinstance(name, str):
        return WinsockError(WSAEFAULT, f"name: {name!r} is no name of a template")
    if not name:
        return WinsockError(WSAEINVAL, "name: it is empty")
    return WinsockError(WSASYSCALLFAILURE, "templates of quality of service cannot be installed since Windows Vista")
