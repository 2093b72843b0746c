"""Name resolution across name spaces, of which none is installed: what there is to enumerate, and what cannot be found.

What needs no name space is done: the numeric forms of an address, and the texts of errors.
"""

from __future__ import annotations

from typing import Any

from winsock.abi.constants import (
    NI_DGRAM,
    NI_NAMEREQD,
    NI_NOFQDN,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    RNRSERVICE_DELETE,
    RNRSERVICE_DEREGISTER,
    RNRSERVICE_REGISTER,
)
from winsock.abi.errors import (
    EAI_AGAIN,
    EAI_BADFLAGS,
    EAI_FAIL,
    EAI_FAMILY,
    EAI_MEMORY,
    EAI_NODATA,
    EAI_NONAME,
    EAI_SERVICE,
    EAI_SOCKTYPE,
    WSA_INVALID_HANDLE,
    WSA_INVALID_PARAMETER,
    WSAEAFNOSUPPORT,
    WSAEINVAL,
    WSAEOPNOTSUPP,
    WSAHOST_NOT_FOUND,
    WSANO_DATA,
    WSANO_RECOVERY,
    WSASERVICE_NOT_FOUND,
    WSATYPE_NOT_FOUND,
    WinsockError,
    text_of,
)
from winsock.abi.guids import GUID
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.api.addresses import Address, address_of
from winsock.dispatcher.refusing import refused
from winsock.dispatcher.route import function, require_started

_NO_PROVIDER = "no name-space provider is installed"
_NO_LOOKUP = "lookup: it is no handle that WSALookupServiceBegin gave"
_OPERATIONS = (RNRSERVICE_DEREGISTER, RNRSERVICE_DELETE)
_NAME_INFO_FLAGS = NI_NOFQDN | NI_NUMERICHOST | NI_NAMEREQD | NI_NUMERICSERV | NI_DGRAM
_EAI = frozenset(
    (EAI_AGAIN, EAI_BADFLAGS, EAI_FAIL, EAI_FAMILY, EAI_MEMORY, EAI_NODATA, EAI_NONAME, EAI_SERVICE, EAI_SOCKTYPE)
)


# Addresses by name


@refused(WSANO_RECOVERY, f"{_NO_PROVIDER}, so nothing can be resolved")
def getaddrinfo(node_name: str | None, service_name: str | None, hints: object = None) -> None:
    """The addresses of a host and a service. Raises WSANO_RECOVERY: no name-space provider is installed.

    Raises WSAHOST_NOT_FOUND where neither of the two is given, WSANOTINITIALISED.
    Sources: nf-ws2tcpip-getaddrinfo, nf-ws2tcpip-getaddrinfow.
    """
    _check_names(node_name, service_name)


@refused(WSASERVICE_NOT_FOUND, f"{_NO_PROVIDER}, and so not that of the name space")
def GetAddrInfoEx(
    name: str | None,
    service_name: str | None,
    name_space: int,
    namespace_id: GUID | None = None,
    hints: object = None,
    timeout: float | None = None,
    overlapped: object = None,
    completion_routine: object = None,
) -> None:
    """The addresses of a host and a service in a name space. Raises WSASERVICE_NOT_FOUND: none is installed.

    It fails at the call; nothing completes later. Raises WSAHOST_NOT_FOUND where neither name nor service is given,
    WSANOTINITIALISED. Sources: nf-ws2tcpip-getaddrinfoexa, nf-ws2tcpip-getaddrinfoexw.
    """
    _check_names(name, service_name)


@refused(WSANO_RECOVERY, f"{_NO_PROVIDER}, so nothing can be registered")
def SetAddrInfoEx(
    name: str,
    service_name: str | None,
    addresses: object,
    blob: object,
    flags: int,
    name_space: int,
    namespace_id: GUID | None = None,
    timeout: float | None = None,
    overlapped: object = None,
    completion_routine: object = None,
) -> None:
    """Register the addresses of a name. Raises WSANO_RECOVERY: no name-space provider is installed.

    Raises WSAEINVAL for what is no name and for a reserved argument, which the last three are, WSANOTINITIALISED.
    Sources: nf-ws2tcpip-setaddrinfoexa, nf-ws2tcpip-setaddrinfoexw.
    """
    if not isinstance(name, str):
        raise WinsockError(WSAEINVAL, f"name: {name!r} is no name")
    reserved = {"timeout": timeout, "overlapped": overlapped, "completion_routine": completion_routine}
    for parameter, value in reserved.items():
        if value is not None:
            raise WinsockError(WSAEINVAL, f"{parameter}: it is reserved, and None")


@refused(WSA_INVALID_HANDLE, "name_handle: no GetAddrInfoEx is under way")
def GetAddrInfoExCancel(name_handle: object) -> None:
    """End a GetAddrInfoEx. Raises WSA_INVALID_HANDLE: none is under way. Source: nf-ws2tcpip-getaddrinfoexcancel."""


@refused(WSAEINVAL, "overlapped: no GetAddrInfoEx was begun with it")
def GetAddrInfoExOverlappedResult(overlapped: object) -> None:
    """The outcome of a GetAddrInfoEx. Raises WSAEINVAL: none was begun with an overlapped structure.

    Source: nf-ws2tcpip-getaddrinfoexoverlappedresult.
    """


def freeaddrinfo(addresses: object) -> None:
    """Nothing: what `getaddrinfo` answers is Python's to free.

    Sources: nf-ws2tcpip-freeaddrinfo, nf-ws2tcpip-freeaddrinfow.
    """


def FreeAddrInfoEx(addresses: object) -> None:
    """Nothing, likewise. Sources: nf-ws2tcpip-freeaddrinfoex, nf-ws2tcpip-freeaddrinfoexw."""


@function
def getnameinfo(address: Address, flags: int = 0) -> tuple[str, str]:
    """The names of an address and its port, which are their numeric forms: (host, service).

    No name-space provider is installed that knew of other names. Raises WSAHOST_NOT_FOUND where NI_NAMEREQD wants one,
    WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL for unknown flags, WSANOTINITIALISED.
    Sources: nf-ws2tcpip-getnameinfo, nf-ws2tcpip-getnameinfow.
    """
    require_started()
    value = address_of(address, "address")
    if not isinstance(value, (SockaddrIn, SockaddrIn6)):
        raise WinsockError(WSAEAFNOSUPPORT, f"address: {value} is of neither AF_INET nor AF_INET6")
    if not isinstance(flags, int) or flags & ~_NAME_INFO_FLAGS:
        raise WinsockError(WSAEINVAL, f"flags: {flags!r} has others than those of NI_")
    if flags & NI_NAMEREQD and not flags & NI_NUMERICHOST:
        raise WinsockError(WSAHOST_NOT_FOUND, f"address: {_NO_PROVIDER} that knew a name of {value.host}")
    scope = getattr(value, "scope_id", 0)
    return f"{value.host}%{scope}" if scope else value.host, str(value.port)


def gai_strerror(code: int) -> str:
    """The text of an error of `getaddrinfo` and its kin, "unknown error" for others.

    Sources: nf-ws2tcpip-gai_strerrora, nf-ws2tcpip-gai_strerrorw.
    """
    return text_of(code) if code in _EAI else "unknown error"


def _check_names(name: object, service_name: object) -> None:
    if name is None and service_name is None:
        raise WinsockError(WSAHOST_NOT_FOUND, "service_name: neither a host nor a service is asked for")


# Queries


@refused(WSASERVICE_NOT_FOUND, f"{_NO_PROVIDER}, so no name space knows of a service")
def WSALookupServiceBegin(restrictions: object, control_flags: int) -> None:
    """Begin a query. Raises WSASERVICE_NOT_FOUND: no name-space provider is installed.

    Raises WSAEINVAL without restrictions and for flags that are no number, WSANOTINITIALISED.
    Sources: nf-winsock2-wsalookupservicebegina, nf-winsock2-wsalookupservicebeginw.
    """
    _check_given("restrictions", restrictions)
    _check_number("control_flags", control_flags)


@refused(WSA_INVALID_HANDLE, _NO_LOOKUP)
def WSALookupServiceNext(lookup: object, control_flags: int) -> None:
    """The next result of a query. Raises WSA_INVALID_HANDLE: none has begun.

    Raises WSANOTINITIALISED. Sources: nf-winsock2-wsalookupservicenexta, nf-winsock2-wsalookupservicenextw.
    """


@refused(WSA_INVALID_HANDLE, _NO_LOOKUP)
def WSANSPIoctl(lookup: object, code: int, in_buffer: Any = None, out_size: int = 0, completion: object = None) -> None:
    """Ask the provider of a query. Raises WSA_INVALID_HANDLE: none has begun.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsanspioctl.
    """


@refused(WSA_INVALID_HANDLE, _NO_LOOKUP)
def WSALookupServiceEnd(lookup: object) -> None:
    """End a query. Raises WSA_INVALID_HANDLE: none has begun.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsalookupserviceend.
    """


# Services, and their classes


@refused(WSASERVICE_NOT_FOUND, f"{_NO_PROVIDER}, so no service is registered")
def WSASetService(registration: object, operation: int, control_flags: int) -> None:
    """Register a service, or remove it. Raises WSASERVICE_NOT_FOUND: none is registered.

    Raises WSAEINVAL for what is no registration, for an unknown operation, and for RNRSERVICE_REGISTER, since the name
    space of the registration has no provider; WSANOTINITIALISED.
    Sources: nf-winsock2-wsasetservicea, nf-winsock2-wsasetservicew.
    """
    _check_given("registration", registration)
    if operation == RNRSERVICE_REGISTER:
        raise WinsockError(WSAEINVAL, f"registration: {_NO_PROVIDER}, and so not that of the name space")
    if operation not in _OPERATIONS:
        raise WinsockError(WSAEINVAL, f"operation: {operation!r} is none of RNRSERVICE_")


@refused(WSAEOPNOTSUPP, f"{_NO_PROVIDER} that kept classes of services")
def WSAInstallServiceClass(service_class_info: object) -> None:
    """Register a class of services. Raises WSAEOPNOTSUPP: no name-space provider is installed that kept it.

    Raises WSAEINVAL without one, WSANOTINITIALISED.
    Sources: nf-winsock2-wsainstallserviceclassa, nf-winsock2-wsainstallserviceclassw.
    """
    _check_given("service_class_info", service_class_info)


@refused(WSATYPE_NOT_FOUND, "service_class_id: no class of services is registered")
def WSARemoveServiceClass(service_class_id: GUID) -> None:
    """Forget a class of services. Raises WSATYPE_NOT_FOUND: none is registered.

    Raises WSAEINVAL for what is no GUID, WSANOTINITIALISED. Source: nf-winsock2-wsaremoveserviceclass.
    """
    _check_guid("service_class_id", service_class_id, WSAEINVAL)


@refused(WSAEINVAL, f"provider_id: {_NO_PROVIDER}, and so not this one")
def WSAGetServiceClassInfo(provider_id: GUID, service_class_id: GUID) -> None:
    """What a name-space provider knows of a class of services. Raises WSAEINVAL: no provider is installed.

    Raises WSANOTINITIALISED. Sources: nf-winsock2-wsagetserviceclassinfoa, nf-winsock2-wsagetserviceclassinfow.
    """


@refused(WSANO_DATA, "service_class_id: no class of services is registered")
def WSAGetServiceClassNameByClassId(service_class_id: GUID) -> None:
    """The name of a class of services. Raises WSANO_DATA: none is registered.

    Raises WSA_INVALID_PARAMETER for what is no GUID, WSANOTINITIALISED.
    Sources: nf-winsock2-wsagetserviceclassnamebyclassida, nf-winsock2-wsagetserviceclassnamebyclassidw.
    """
    _check_guid("service_class_id", service_class_id, WSA_INVALID_PARAMETER)


def _check_given(name: str, value: object) -> None:
    if value is None:
        raise WinsockError(WSAEINVAL, f"{name}: it is needed")


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise WinsockError(WSAEINVAL, f"{name}: {value!r} is no number")


def _check_guid(name: str, value: object, code: int) -> None:
    if not isinstance(value, GUID):
        raise WinsockError(code, f"{name}: {value!r} is no GUID")
