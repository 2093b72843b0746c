"""The IPsec functions of sockets: there is no IPsec policy here to speak to, and each says so.

Every one answers WSAEOPNOTSUPP for a socket, and WSAENOTSOCK for what is none, before it looks at anything else.

Source: nf-ws2tcpip-wsasetsocketsecurity and its kin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from winsock.dispatcher.route import find, function
from winsock.spi.provider import unsupported

_Routine = Callable[..., None]


def _refuse(s: int, name: str) -> NoReturn:
    find(s)
    raise unsupported(f"{name} (IPsec)")


@function
def WSASetSocketSecurity(
    s: int, settings: object = None, overlapped: object = None, completion_routine: _Routine | None = None
) -> None:
    """Secure a connection by IPsec. Raises WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.

    Source: nf-ws2tcpip-wsasetsocketsecurity.
    """
    _refuse(s, "WSASetSocketSecurity")


@function
def WSAQuerySocketSecurity(
    s: int, query_template: object = None, overlapped: object = None, completion_routine: _Routine | None = None
) -> bytes:
    """How a connection is secured. Raises WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.

    Source: nf-ws2tcpip-wsaquerysocketsecurity.
    """
    _refuse(s, "WSAQuerySocketSecurity")


@function
def WSASetSocketPeerTargetName(
    s: int, peer_target_name: object, overlapped: object = None, completion_routine: _Routine | None = None
) -> None:
    """Which principal the peer must be. Raises WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.

    Source: nf-ws2tcpip-wsasetsocketpeertargetname.
    """
    _refuse(s, "WSASetSocketPeerTargetName")


@function
def WSADeleteSocketPeerTargetName(
    s: int, peer_address: object, overlapped: object = None, completion_routine: _Routine | None = None
) -> None:
    """Forget which principal a peer must be. Raises WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.

    Source: nf-ws2tcpip-wsadeletesocketpeertargetname.
    """
    _refuse(s, "WSADeleteSocketPeerTargetName")


@function
def WSAImpersonateSocketPeer(s: int, peer_address: object = None) -> None:
    """Act as the peer's principal. Raises WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.

    Source: nf-ws2tcpip-wsaimpersonatesocketpeer.
    """
    _refuse(s, "WSAImpersonateSocketPeer")


@function
def WSARevertImpersonation() -> None:
    """Act as oneself again. Raises WSAEOPNOTSUPP: nobody else was ever impersonated.

    Source: nf-ws2tcpip-wsarevertimpersonation.
    """
    raise unsupported("WSARevertImpersonation (IPsec)")
