"""Addresses as text, and back."""

from __future__ import annotations

import socket

from winsock.abi.constants import INADDR_NONE, LAYERED_PROTOCOL
from winsock.abi.errors import (
    ERROR_INVALID_PARAMETER,
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINVAL,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr
from winsock.api.addresses import Address, address_of
from winsock.catalog.entries import CatalogEntry
from winsock.core import dotted
from winsock.dispatcher import loader
from winsock.dispatcher.route import function, require_started
from winsock.host import families


@function
def inet_addr(cp: str) -> int:
    """An IPv4 address, one to four numbers, as an integer in network order; 0xFFFFFFFF where it is none.

    One blank is 0.0.0.0. Raises WSAEFAULT for None. Source: nf-winsock2-inet_addr.
    """
    if not isinstance(cp, str):
        raise WinsockError(WSAEFAULT, f"cp: {cp!r} is no string")
    packed = bytes(4) if cp == " " else dotted.parse(cp)
    return INADDR_NONE if packed is None else int.from_bytes(packed, "little")


def inet_ntoa(in_: int | bytes) -> str:
    """The dotted form of an IPv4 address: an integer as `inet_addr` answers it, or four bytes.

    Raises WSAEFAULT for what is neither. Source: nf-winsock2-inet_ntoa.
    """
    packed = (in_ & 0xFFFFFFFF).to_bytes(4, "little") if isinstance(in_, int) else in_
    if not isinstance(packed, bytes) or len(packed) != 4:
        raise WinsockError(WSAEFAULT, f"in_: {in_!r} is no IPv4 address")
    return socket.inet_ntoa(packed)


def inet_pton(family: int, text: str) -> bytes:
    """The 4 or 16 bytes of an address in its strict form.

    Raises WSAEINVAL where the text is none, WSAEAFNOSUPPORT, WSAEFAULT. Source: nf-ws2tcpip-inet_pton.
    """
    if not isinstance(text, str):
        raise WinsockError(WSAEFAULT, f"text: {text!r} is no string")
    try:
        return socket.inet_pton(_host_family(family), text)
    except (OSError, ValueError) as error:
        if isinstance(error, WinsockError):
            raise
        raise WinsockError(WSAEINVAL, f"text: {text!r} is no address of family {family}") from None


def inet_ntop(family: int, address: bytes) -> str:
    """The text of an address of 4 or 16 bytes.

    Raises WSAEAFNOSUPPORT, ERROR_INVALID_PARAMETER. Source: nf-ws2tcpip-inet_ntop.
    """
    try:
        return socket.inet_ntop(_host_family(family), address)
    except (ValueError, TypeError):
        message = f"address: {address!r} is no address of family {family}"
        raise WinsockError(ERROR_INVALID_PARAMETER, message) from None


InetPton = function(inet_pton)
InetNtop = function(inet_ntop)


def _host_family(family: int) -> int:
    host = families.TO_HOST.get(family)
    if host is None:
        hint = families.hint(family)
        raise WinsockError(WSAEAFNOSUPPORT, f"family: {family} is neither AF_INET nor AF_INET6{hint}")
    return host


@function
def WSAAddressToString(address: Address, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
    """The text of an address, with its port where that is not 0.

    The provider described converts it, or the first whose family it is. Raises WSAEINVAL, WSAEFAULT, WSANOTINITIALISED.
    Source: nf-winsock2-wsaaddresstostringw.
    """
    require_started()
    value = address_of(address, "address")
    entry = _converter(value.family, protocol_info)
    return loader.open_chain(entry).table.WSPAddressToString(value, protocol_info or entry.info)


@function
def WSAStringToAddress(text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None) -> Sockaddr:
    """The address that the text spells; its port is 0 where none is given.

    Raises WSAEINVAL, WSAEFAULT, WSANOTINITIALISED. Source: nf-winsock2-wsastringtoaddressw.
    """
    require_started()
    if not isinstance(text, str):
        raise WinsockError(WSAEFAULT, f"text: {text!r} is no string")
    entry = _converter(address_family, protocol_info)
    return loader.open_chain(entry).table.WSPStringToAddress(text, address_family, protocol_info or entry.info)


def _converter(family: int, protocol_info: WSAPROTOCOL_INFO | None) -> CatalogEntry:
    catalog = loader.catalog()
    if protocol_info is not None:
        if not isinstance(protocol_info, WSAPROTOCOL_INFO):
            raise WinsockError(WSAEFAULT, f"protocol_info: {protocol_info!r} is no WSAPROTOCOL_INFO")
        return catalog.find(protocol_info.dwCatalogEntryId)
    for entry in catalog:
        if entry.info.iAddressFamily == family and entry.info.chain_length != LAYERED_PROTOCOL:
            return entry
    hint = families.hint(family)
    raise WinsockError(WSAEINVAL, f"address_family: no installed protocol has the address family {family}{hint}")
