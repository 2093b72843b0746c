"""The names of a socket, and addresses as text."""

from __future__ import annotations

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.memory.ground import Ground
from winsock.spi.address_text import read, text_of


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
        return text_of(address)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The address that the text spells; its port is 0 where none is given; WSAEINVAL (lpwspstringtoaddress)."""
        self._check_info(protocol_info)
        if address_family != self.protocol.family:
            raise WinsockError(WSAEINVAL, f"address_family: {address_family} is not that of {self.protocol.name}")
        if not isinstance(text, str):
            raise WinsockError(WSAEFAULT, f"text: {text!r} is no string")
        address = read(text, address_family)
        if address is None:
            raise WinsockError(WSAEINVAL, f"text: {text!r} is no address of {self.protocol.name}")
        return address

    def WSPGetQOSByName(self, s: int, name: str) -> list[str]:
        """The names of all templates, for an empty name; WSAEINVAL for any other (lpwspgetqosbyname)."""
        self.socket(s)
        if name:
            raise WinsockError(WSAEINVAL, f"name: {name!r} is no template of quality of service; there are none")
        return []

    def _check_info(self, protocol_info: WSAPROTOCOL_INFO | None) -> None:
        if protocol_info is not None and protocol_info.iAddressFamily != self.protocol.family:
            raise WinsockError(WSAEINVAL, f"protocol_info: {protocol_info.szProtocol} is of another family")
