"""The protocols of the simulated network: one row each, and how the catalog describes them.

TCP and UDP are there in both families under their own numbers, so that a program need not know where it runs. The
message protocols have the numbers that RFC 3692 keeps for experiments.
"""

from __future__ import annotations

from typing import NamedTuple

from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    PFL_MATCHES_PROTOCOL_ZERO,
    SOCK_DGRAM,
    SOCK_RDM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    XP1_CONNECT_DATA,
    XP1_CONNECTIONLESS,
    XP1_DISCONNECT_DATA,
    XP1_GRACEFUL_CLOSE,
    XP1_GUARANTEED_DELIVERY,
    XP1_GUARANTEED_ORDER,
    XP1_MESSAGE_ORIENTED,
    XP1_MULTIPOINT_CONTROL_PLANE,
    XP1_MULTIPOINT_DATA_PLANE,
    XP1_PARTIAL_MESSAGE,
    XP1_SUPPORT_BROADCAST,
    XP1_SUPPORT_MULTIPOINT,
)
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO

MESSAGES, ROOTED = 253, 254
"""Protocol numbers: messages, and rooted multipoint sessions."""

_RELIABLE = XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER
_MESSAGES = XP1_MESSAGE_ORIENTED | _RELIABLE
_CONNECTED_MESSAGES = _MESSAGES | XP1_GRACEFUL_CLOSE | XP1_CONNECT_DATA | XP1_DISCONNECT_DATA
_STREAM = _RELIABLE | XP1_GRACEFUL_CLOSE
_DATAGRAM = XP1_CONNECTIONLESS | XP1_MESSAGE_ORIENTED | XP1_SUPPORT_BROADCAST | XP1_SUPPORT_MULTIPOINT
_ROOTED_PLANES = XP1_SUPPORT_MULTIPOINT | XP1_MULTIPOINT_CONTROL_PLANE | XP1_MULTIPOINT_DATA_PLANE
_SOCKADDR_SIZES = {AF_INET: 16, AF_INET6: 28}
_MOST_BYTES = 65467
"""Of a datagram, and of one send of a message."""


class Protocol(NamedTuple):
    """One protocol of one family."""

    name: str
    family: int
    type: int
    number: int
    flags: int
    message_size: int

    def info(self, provider: GUID, entry_id: int, network: str) -> WSAPROTOCOL_INFO:
        """The catalog's description. XP1_IFS_HANDLES is not set: nothing simulated meets a real descriptor."""
        return WSAPROTOCOL_INFO(
            dwServiceFlags1=self.flags,
            dwProviderFlags=PFL_MATCHES_PROTOCOL_ZERO,
            ProviderId=provider,
            dwCatalogEntryId=entry_id,
            iAddressFamily=self.family,
            iMaxSockAddr=_SOCKADDR_SIZES[self.family],
            iMinSockAddr=_SOCKADDR_SIZES[self.family],
            iSocketType=self.type,
            iProtocol=self.number,
            dwMessageSize=self.message_size,
            szProtocol=f"{network} [{self.name}]",
        )


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol("TCP/IP", AF_INET, SOCK_STREAM, IPPROTO_TCP, _STREAM, 0),
    Protocol("UDP/IP", AF_INET, SOCK_DGRAM, IPPROTO_UDP, _DATAGRAM, _MOST_BYTES),
    Protocol("TCP/IPv6", AF_INET6, SOCK_STREAM, IPPROTO_TCP, _STREAM, 0),
    Protocol("UDP/IPv6", AF_INET6, SOCK_DGRAM, IPPROTO_UDP, _DATAGRAM, _MOST_BYTES),
    Protocol("messages", AF_INET, SOCK_SEQPACKET, MESSAGES, _CONNECTED_MESSAGES | XP1_PARTIAL_MESSAGE, _MOST_BYTES),
    Protocol("reliable datagrams", AF_INET, SOCK_RDM, MESSAGES, _MESSAGES | XP1_CONNECTIONLESS, _MOST_BYTES),
    Protocol("rooted", AF_INET, SOCK_SEQPACKET, ROOTED, _CONNECTED_MESSAGES | _ROOTED_PLANES, _MOST_BYTES),
)
"""In the order of their catalog entries."""


def slot_of(info: WSAPROTOCOL_INFO) -> int:
    """Which of the protocols an entry describes."""
    kind = (info.iAddressFamily, info.iSocketType, info.iProtocol)
    return next(slot for slot, row in enumerate(PROTOCOLS) if (row.family, row.type, row.number) == kind)
