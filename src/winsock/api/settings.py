"""Options that have functions of their own (ws2tcpip.h): each is one row of `abi.options`, chosen by the family.

What the host does not have answers as its row says: WSAENOPROTOOPT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from winsock.abi.constants import (
    AF_INET6,
    IP_RECVECN,
    IP_USER_MTU,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_RECVECN,
    IPV6_USER_MTU,
    SOCK_DGRAM,
    TCP_FAIL_CONNECT_ON_ICMP_ERROR,
    TCP_ICMP_ERROR_INFO,
    UDP_RECV_MAX_COALESCED_SIZE,
    UDP_SEND_MSG_SIZE,
)
from winsock.abi.errors import WSAEINVAL, WSAENOPROTOOPT, WSAEOPNOTSUPP, WSANO_DATA, WinsockError
from winsock.dispatcher.records import Record
from winsock.dispatcher.route import find, function
from winsock.spi.provider import OptionValue

if TYPE_CHECKING:
    from winsock.abi.structures import ICMP_ERROR_INFO


class _Setting(NamedTuple):
    """The option that it is, by (level, optname); the second where the socket is of IPv6."""

    ipv4: tuple[int, int]
    ipv6: tuple[int, int] | None = None

    def pair(self, record: Record) -> tuple[int, int]:
        of_ipv6 = record.entry.info.iAddressFamily == AF_INET6
        return self.ipv6 if of_ipv6 and self.ipv6 is not None else self.ipv4

    def get(self, s: int) -> OptionValue:
        record = find(s)
        return record.table.WSPGetSockOpt(s, *self.pair(record))

    def set(self, s: int, value: int) -> None:
        record = find(s)
        record.table.WSPSetSockOpt(s, *self.pair(record), value)


_USER_MTU = _Setting((IPPROTO_IP, IP_USER_MTU), (IPPROTO_IPV6, IPV6_USER_MTU))
_RECEIVE_ECN = _Setting((IPPROTO_IP, IP_RECVECN), (IPPROTO_IPV6, IPV6_RECVECN))
_COALESCED_SIZE = _Setting((IPPROTO_UDP, UDP_RECV_MAX_COALESCED_SIZE))
_MESSAGE_SIZE = _Setting((IPPROTO_UDP, UDP_SEND_MSG_SIZE))
_FAIL_ON_ICMP = _Setting((IPPROTO_TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR))
_ICMP_ERROR = _Setting((IPPROTO_TCP, TCP_ICMP_ERROR_INFO))


@function
def WSAGetIPUserMtu(s: int) -> OptionValue:
    """The upper bound that the application gave the path's MTU. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsagetipusermtu.
    """
    return _USER_MTU.get(s)


@function
def WSASetIPUserMtu(s: int, mtu: int) -> None:
    """Bound the path's MTU from above, in bytes. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsasetipusermtu.
    """
    _USER_MTU.set(s, mtu)


@function
def WSAGetRecvIPEcn(s: int) -> OptionValue:
    """Whether the congestion mark of each datagram comes with it. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsagetrecvipecn.
    """
    return _RECEIVE_ECN.get(s)


@function
def WSASetRecvIPEcn(s: int, enabled: int) -> None:
    """Let the congestion mark of each datagram come with it. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsasetrecvipecn.
    """
    _RECEIVE_ECN.set(s, enabled)


@function
def WSAGetUdpRecvMaxCoalescedSize(s: int) -> OptionValue:
    """How many bytes of datagrams may come as one. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsagetudprecvmaxcoalescedsize.
    """
    return _COALESCED_SIZE.get(s)


@function
def WSASetUdpRecvMaxCoalescedSize(s: int, size: int) -> None:
    """Let so many bytes of datagrams come as one. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsasetudprecvmaxcoalescedsize.
    """
    _COALESCED_SIZE.set(s, size)


@function
def WSAGetUdpSendMessageSize(s: int) -> OptionValue:
    """Into datagrams of which size a send is cut; 0: into none. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsagetudpsendmessagesize.
    """
    return _MESSAGE_SIZE.get(s)


@function
def WSASetUdpSendMessageSize(s: int, size: int) -> None:
    """Cut what is sent into datagrams of that size. Raises WSAENOPROTOOPT, WSAEINVAL, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsasetudpsendmessagesize.
    """
    _MESSAGE_SIZE.set(s, size)


@function
def WSAGetFailConnectOnIcmpError(s: int) -> OptionValue:
    """Whether an ICMP error ends a connect at once. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsagetfailconnectonicmperror.
    """
    return _FAIL_ON_ICMP.get(s)


@function
def WSASetFailConnectOnIcmpError(s: int, enabled: int) -> None:
    """Let an ICMP error end a connect at once. Raises WSAENOPROTOOPT, WSAENOTSOCK.

    Source: nf-ws2tcpip-wsasetfailconnectonicmperror.
    """
    _FAIL_ON_ICMP.set(s, enabled)


@function
def WSAGetIcmpErrorInfo(s: int) -> ICMP_ERROR_INFO:
    """The ICMP error that ended the last connect, where TCP_FAIL_CONNECT_ON_ICMP_ERROR was set before.

    Raises WSANO_DATA where there was none, WSAENOPROTOOPT, WSAENOTSOCK. Source: nf-ws2tcpip-wsageticmperrorinfo.
    """
    info = _ICMP_ERROR.get(s)
    if not isinstance(info, (bytes, bytearray)) or not info:
        raise WinsockError(WSANO_DATA, "s: no ICMP error has ended its last connect")
    from winsock.abi.structures import ICMP_ERROR_INFO

    return ICMP_ERROR_INFO.from_buffer_copy(info)


@function
def WSAGetUnicastReceiveSharing(s: int) -> int:
    """Whether sockets of one port share its datagrams. Raises WSAENOPROTOOPT: there is no such option here.

    Source: nf-ws2tcpip-wsagetunicastreceivesharing.
    """
    find(s)
    raise _no_sharing()


@function
def WSASetUnicastReceiveSharing(s: int, enabled: int) -> None:
    """Let sockets of one port share its datagrams.

    Raises WSAENOPROTOOPT, WSAEINVAL for what is no truth value, WSAEOPNOTSUPP where the socket has no datagrams.
    Source: nf-ws2tcpip-wsasetunicastreceivesharing.
    """
    info = find(s).entry.info
    if info.iSocketType != SOCK_DGRAM:
        raise WinsockError(WSAEOPNOTSUPP, f"s: {info.szProtocol} has no datagrams to share")
    if enabled not in (0, 1):
        raise WinsockError(WSAEINVAL, f"enabled: {enabled!r} is neither 0 nor 1")
    raise _no_sharing()


def _no_sharing() -> WinsockError:
    return WinsockError(WSAENOPROTOOPT, "sharing unicast datagrams among sockets is not offered")
