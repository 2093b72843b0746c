"""Hosts, services and protocols by name and number, as Winsock 1.1 asks for them.

The databases behind these functions belong to name-space providers, and none is installed: nothing can be asked, which
is WSANO_RECOVERY. It is not WSAHOST_NOT_FOUND, since nobody was there to say that there is no such host, and not
WSATRY_AGAIN, since another attempt ends the same.
"""

from __future__ import annotations

from winsock.abi.constants import AF_INET, AF_INET6
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINVAL,
    WSAEWOULDBLOCK,
    WSANO_RECOVERY,
    WinsockError,
)
from winsock.dispatcher.refusing import refused

_NO_HOSTS = "no name-space provider is installed, so there is no database of hosts"
_NO_SERVICES = "no name-space provider is installed, so there is no database of services"
_NO_PROTOCOLS = "there is no database of protocols"
_NO_TASKS = "there is no database that could be asked meanwhile"
_SIZES = {AF_INET: 4, AF_INET6: 16}


@refused(WSANO_RECOVERY, _NO_HOSTS)
def gethostbyname(name: str | None) -> None:
    """The host of a name, this host for None and "". Raises WSANO_RECOVERY: there is no database of hosts.

    Raises WSAEFAULT, WSANOTINITIALISED. Source: nf-winsock2-gethostbyname.
    """
    if name is not None:
        _check_text("name", name)


@refused(WSANO_RECOVERY, _NO_HOSTS)
def gethostbyaddr(address: bytes, type: int) -> None:
    """The host of an address in network order. Raises WSANO_RECOVERY: there is no database of hosts.

    Raises WSAEAFNOSUPPORT for a family that is not the internet's, WSAEFAULT for too few bytes, WSAEINVAL for another
    size than that of an IPv6 address, WSANOTINITIALISED. Source: nf-winsock2-gethostbyaddr.
    """
    size = _SIZES.get(type)
    if size is None:
        raise WinsockError(WSAEAFNOSUPPORT, f"type: {type!r} is neither AF_INET nor AF_INET6")
    if not isinstance(address, (bytes, bytearray, memoryview)):
        raise WinsockError(WSAEFAULT, f"address: {address!r} is no address, as bytes")
    if len(address) != size and type == AF_INET6:
        raise WinsockError(WSAEINVAL, f"address: {len(address)} bytes, not {size}")
    if len(address) < size:
        raise WinsockError(WSAEFAULT, f"address: {len(address)} bytes of {size}")


@refused(WSANO_RECOVERY, _NO_SERVICES)
def getservbyname(name: str, proto: str | None = None) -> None:
    """The service of a name. Raises WSANO_RECOVERY: there is no database of services.

    Raises WSANOTINITIALISED. Source: nf-winsock2-getservbyname.
    """


@refused(WSANO_RECOVERY, _NO_SERVICES)
def getservbyport(port: int, proto: str | None = None) -> None:
    """The service of a port in network order. Raises WSANO_RECOVERY: there is no database of services.

    Raises WSAEFAULT for a protocol that is no name, WSANOTINITIALISED. Source: nf-winsock2-getservbyport.
    """
    if proto is not None:
        _check_text("proto", proto)


@refused(WSANO_RECOVERY, _NO_PROTOCOLS)
def getprotobyname(name: str) -> None:
    """The protocol of a name. Raises WSANO_RECOVERY: there is no database of protocols.

    Raises WSAEFAULT, WSANOTINITIALISED. Source: nf-winsock2-getprotobyname.
    """
    _check_text("name", name)


@refused(WSANO_RECOVERY, _NO_PROTOCOLS)
def getprotobynumber(number: int) -> None:
    """The protocol of a number. Raises WSANO_RECOVERY: there is no database of protocols.

    Raises WSANOTINITIALISED. Source: nf-winsock2-getprotobynumber.
    """


# Asked for meanwhile, the answer in a message. A task that never begins is told at the call, by the one error that the
# pages have for it.


@refused(WSAEWOULDBLOCK, _NO_TASKS)
def WSAAsyncGetHostByName(window: object, message: int, name: str) -> None:
    """Ask for the host of a name. Raises WSAEWOULDBLOCK: nobody can be asked meanwhile.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsaasyncgethostbyname.
    """


@refused(WSAEWOULDBLOCK, _NO_TASKS)
def WSAAsyncGetHostByAddr(window: object, message: int, address: bytes, type: int) -> None:
    """Ask for the host of an address. Raises WSAEWOULDBLOCK: nobody can be asked meanwhile.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsaasyncgethostbyaddr.
    """


@refused(WSAEWOULDBLOCK, _NO_TASKS)
def WSAAsyncGetServByName(window: object, message: int, name: str, proto: str | None = None) -> None:
    """Ask for the service of a name. Raises WSAEWOULDBLOCK: nobody can be asked meanwhile.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsaasyncgetservbyname.
    """


@refused(WSAEWOULDBLOCK, _NO_TASKS)
def WSAAsyncGetServByPort(window: object, message: int, port: int, proto: str | None = None) -> None:
    """Ask for the service of a port. Raises WSAEWOULDBLOCK: nobody can be asked meanwhile.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsaasyncgetservbyport.
    """


@refused(WSAEWOULDBLOCK, _NO_TASKS)
def WSAAsyncGetProtoByName(window: object, message: int, name: str) -> None:
    """Ask for the protocol of a name. Raises WSAEWOULDBLOCK: nobody can be asked meanwhile.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsaasyncgetprotobyname.
    """


@refused(WSAEWOULDBLOCK, _NO_TASKS)
def WSAAsyncGetProtoByNumber(window: object, message: int, number: int) -> None:
    """Ask for the protocol of a number. Raises WSAEWOULDBLOCK: nobody can be asked meanwhile.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsaasyncgetprotobynumber.
    """


@refused(WSAEINVAL, "task: no such task was ever begun")
def WSACancelAsyncRequest(task: int) -> None:
    """End a task that one of the WSAAsyncGet functions began. Raises WSAEINVAL: none was ever begun.

    Raises WSANOTINITIALISED. Source: nf-winsock2-wsacancelasyncrequest.
    """


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise WinsockError(WSAEFAULT, f"{name}: {value!r} is no text")
