"""The names of a socket, and addresses as text."""

from __future__ import annotations

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import raw
from winsock.base.inet.addresses import pack
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS
from winsock.spi.address_text import read, text_of


class Names(Ground):
    """WSPGetSockName, WSPGetPeerName, WSPAddressToString, WSPStringToAddress."""

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The local address; WSAEINVAL for a socket that has none, WSAENOTSOCK (lpwspgetsockname)."""
        name = raw.getsockname(s)
        if s in SOCKETS and getattr(name, "port", 0) == 0:
            raise WinsockError(WSAEINVAL, "s: the socket is not bound, so it has no name")
        return name

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        """The address of the peer, or of the session; WSAENOTCONN, WSAENOTSOCK (lpwspgetpeername)."""
        record = SOCKETS.get(s)
        if record is not None and record.session is not None:
            return record.session
        return raw.getpeername(s)

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        """The address as text, its port where it is not 0; WSAEINVAL, WSAEFAULT (lpwspaddresstostring)."""
        self._check_info(protocol_info)
        if getattr(address, "family", None) != self.info.iAddressFamily:
            raise WinsockError(WSAEINVAL, f"address: {address!r} is no address of {self.info.szProtocol}")
        pack(address)
        assert isinstance(address, (SockaddrIn, SockaddrIn6))
        return text_of(address)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The address that the text spells; its port is 0 where none is given; WSAEINVAL (lpwspstringtoaddress)."""
        self._check_info(protocol_info)
        if address_family != self.info.iAddressFamily:
            raise WinsockError(WSAEINVAL, f"address_family: {address_family} is not that of {self.info.szProtocol}")
        if not isinstance(text, str):
            raise WinsockError(WSAEFAULT, f"text: {text!r} is no string")
        address = read(text, address_family)
        if address is None:
            raise WinsockError(WSAEINVAL, f"text: {text!r} is no address of {self.info.szProtocol}")
        return address

    def WSPGetQOSByName(self, s: int, name: str) -> list[str]:
        """The names of all templates, for an empty name; WSAEINVAL for any other (lpwspgetqosbyname)."""
        if name:
            raise WinsockError(WSAEINVAL, f"name: {name!r} is no template of quality of service; there are none")
        return []

    def _check_info(self, protocol_info: WSAPROTOCOL_INFO | None) -> None:
        """A layer that hands out our own function lets its own entry come down here, so the family decides."""
        if protocol_info is not None and protocol_info.iAddressFamily != self.info.iAddressFamily:
            raise WinsockError(WSAEINVAL, f"protocol_info: {protocol_info.szProtocol} is of another family")
