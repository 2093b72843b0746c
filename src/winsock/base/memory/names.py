"""The names of a socket, and addresses as text."""

from __future__ import annotations

import socket
from collections.abc import Callable

from winsock.abi.constants import AF_INET, AF_INET6
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.memory.ground import Ground


class Names(Ground):
    """WSPGetSockName, WSPGetPeerName, WSPAddressToString, WSPStringToAddress."""

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The local address; WSAEINVAL for a socket that has none (lpwspgetsockname)."""
        with self.network.entered():
            return self.socket(s).name()

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        """The address of the peer; WSAENOTCONN (lpwspgetpeername)."""
        with self.network.entered():
            return self.socket(s).peer_name()

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        """The address as text, its port where it is not 0; WSAEINVAL, WSAEFAULT (lpwspaddresstostring)."""
        self._check_info(protocol_info)
        if address.family != self.protocol.family or not isinstance(address, (SockaddrIn, SockaddrIn6)):
            raise WinsockError(WSAEINVAL, f"address: {address!r} is no address of {self.protocol.name}")
        address.pack()
        text = str(address)
        return text if address.port else text.removesuffix(":0").strip("[]")

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The address that the text spells; its port is 0 where none is given; WSAEINVAL (lpwspstringtoaddress)."""
        self._check_info(protocol_info)
        if address_family != self.protocol.family:
            raise WinsockError(WSAEINVAL, f"address_family: {address_family} is not that of {self.protocol.name}")
        if not isinstance(text, str):
            raise WinsockError(WSAEFAULT, f"text: {text!r} is no string")
        address = _READERS[address_family](text)
        if address is None:
            raise WinsockError(WSAEINVAL, f"text: {text!r} is no address of {self.protocol.name}")
        return address

    def _check_info(self, protocol_info: WSAPROTOCOL_INFO | None) -> None:
        if protocol_info is not None and protocol_info.iAddressFamily != self.protocol.family:
            raise WinsockError(WSAEINVAL, f"protocol_info: {protocol_info.szProtocol} is of another family")


def _read_in(text: str) -> SockaddrIn | None:
    host, colon, port_text = text.partition(":")
    packed = _packed(socket.AF_INET, host)
    port = _port(port_text) if colon else 0
    return None if packed is None or port is None else SockaddrIn(socket.inet_ntoa(packed), port)


def _read_in6(text: str) -> SockaddrIn6 | None:
    port: int | None = 0
    if text.startswith("["):
        text, bracket, rest = text[1:].partition("]")
        port = _port(rest[1:]) if rest.startswith(":") else None if rest or not bracket else 0
    host, _, scope = text.partition("%")
    packed = _packed(socket.AF_INET6, host)
    if packed is None or port is None or not (scope or "0").isdecimal():
        return None
    return SockaddrIn6(socket.inet_ntop(socket.AF_INET6, packed), port, 0, int(scope or "0"))


def _packed(family: int, host: str) -> bytes | None:
    try:
        return socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdecimal()):
        return None
    port = int(text)
    return port if port <= 0xFFFF else None


_READERS: dict[int, Callable[[str], Sockaddr | None]] = {AF_INET: _read_in, AF_INET6: _read_in6}
