"""The names of a socket, and addresses as text."""

from __future__ import annotations

from winsock.abi.sockaddr import Sockaddr
from winsock.base.memory.ground import Ground
from winsock.spi.address_text import InternetText
from winsock.spi.provider import no_templates


class Names(Ground, InternetText):
    """WSPGetSockName, WSPGetPeerName, WSPGetQOSByName; WSPAddressToString, WSPStringToAddress."""

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The local address; WSAEINVAL for a socket that has none (lpwspgetsockname)."""
        with self.network.entered():
            return self.socket(s).name()

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        """The address of the peer; WSAENOTCONN (lpwspgetpeername)."""
        with self.network.entered():
            return self.socket(s).peer_name()

    def WSPGetQOSByName(self, s: int, name: str) -> list[str]:
        """The names of all templates, for an empty name; WSAEINVAL for any other (lpwspgetqosbyname)."""
        self.socket(s)
        return no_templates(name)
