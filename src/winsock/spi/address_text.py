"""Addresses as text: WSPAddressToString and WSPStringToAddress of the internet families, and the checks of any other.

Sources: nc-ws2spi-lpwspaddresstostring; nc-ws2spi-lpwspstringtoaddress; nf-winsock2-wsaaddresstostringw.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from winsock.abi.constants import AF_INET, AF_INET6, AF_UNSPEC
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, decimal
from winsock.core import dotted
from winsock.spi.provider import Provider

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO

_MOST_PORTS = 0xFFFF
_MOST_SCOPES = 0xFFFFFFFF


class InternetText(Provider):
    """The two functions, for an entry of AF_INET or AF_INET6. An entry of another family overrides them."""

    info: WSAPROTOCOL_INFO
    """The base protocol's own entry."""

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        """The address as text, its port where it is not 0; WSAEINVAL, WSAEFAULT (lpwspaddresstostring)."""
        self._check_info(protocol_info)
        if not isinstance(address, (SockaddrIn, SockaddrIn6)) or address.family != self.info.iAddressFamily:
            raise self.no_address("address", address)
        address.pack()
        return _text_of(address)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The address that the text spells; its port is 0 where none is given; WSAEINVAL (lpwspstringtoaddress)."""
        self._check_info(protocol_info)
        self.check_text(text, address_family)
        address = _READERS[self.info.iAddressFamily](text)
        if address is None:
            raise self.no_address("text", text)
        return address

    def check_text(self, text: object, address_family: int) -> None:
        """Whether there is a text, for an address of this family, or of one not known; raises WSAEINVAL, WSAEFAULT."""
        if address_family not in (AF_UNSPEC, self.info.iAddressFamily):
            raise WinsockError(WSAEINVAL, f"address_family: {address_family} is not that of {self.info.szProtocol}")
        if not isinstance(text, str):
            raise WinsockError(WSAEFAULT, f"text: {text!r} is no string")

    def no_address(self, parameter: str, value: object) -> WinsockError:
        """The error for what is no address of this protocol."""
        return WinsockError(WSAEINVAL, f"{parameter}: {value!r} is no address of {self.info.szProtocol}")

    def _check_info(self, protocol_info: WSAPROTOCOL_INFO | None) -> None:
        """A layer that hands out our own function lets its own entry come down here, so the family decides."""
        if protocol_info is not None and protocol_info.iAddressFamily != self.info.iAddressFamily:
            raise WinsockError(WSAEINVAL, f"protocol_info: {protocol_info.szProtocol} is of another family")


def _text_of(address: SockaddrIn | SockaddrIn6) -> str:
    """The address with its port, where that is not 0."""
    if address.port:
        return str(address)
    if isinstance(address, SockaddrIn6) and address.scope_id:
        return f"{address.host}%{address.scope_id}"
    return address.host


def _read_in(text: str) -> Sockaddr | None:
    host, colon, port_text = text.partition(":")
    packed = dotted.parse(host)
    port = decimal(port_text, _MOST_PORTS) if colon else 0
    if packed is None or port is None:
        return None
    return SockaddrIn(socket.inet_ntop(socket.AF_INET, packed), port)


def _read_in6(text: str) -> Sockaddr | None:
    port: int | None = 0
    if text.startswith("["):
        text, bracket, port_text = text[1:].partition("]")
        if not bracket or (port_text and not port_text.startswith(":")):
            return None
        port = decimal(port_text[1:], _MOST_PORTS) if port_text else 0
    host, percent, scope_text = text.partition("%")
    scope = decimal(scope_text, _MOST_SCOPES) if percent else 0
    if port is None or scope is None:
        return None
    try:
        canonical = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
    except (OSError, ValueError):
        return None
    return SockaddrIn6(canonical, port, 0, scope)


_READERS: dict[int, Callable[[str], Sockaddr | None]] = {AF_INET: _read_in, AF_INET6: _read_in6}
"""The address that a text spells, its port 0 where none is given; None where it spells none of that family."""
