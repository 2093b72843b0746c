"""The names of a socket, and addresses as text."""

from __future__ import annotations

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.base.inet import raw
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS
from winsock.spi.address_text import InternetText
from winsock.spi.provider import no_templates


class Names(Ground, InternetText):
    """WSPGetSockName, WSPGetPeerName, WSPGetQOSByName; WSPAddressToString, WSPStringToAddress."""

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

    def WSPGetQOSByName(self, s: int, name: str) -> list[str]:
        """The names of all templates, for an empty name; WSAEINVAL for any other, WSAENOTSOCK (lpwspgetqosbyname)."""
        if not isinstance(name, str):
            raise WinsockError(WSAEFAULT, f"name: {name!r} is no name of a template")
        raw.getsockname(s)
        return no_templates(name)
