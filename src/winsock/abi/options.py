"""Socket options: one row an option, which every floor reads and none repeats.

Numbers at the left are Windows', the twin at the right is Linux' level and number, as plain integers: a socket module
of another host would have others. `host` tells which of three answers we give:

- "host": the kernel's own option stands for it; only the layout of the value may change
- "emulated": done here as documented, with whatever the kernel offers
- "refused": WSAENOPROTOOPT, as documented for an option that a provider does not have; for some WSAEINVAL

`type` names the value in Python, and its layout in memory:

- "bool": 0 or 1, a BOOL                    - "error": an `errors.ErrorCode`, an int
- "int", "dword": an int, signed or not     - "linger": a `Linger`
- "timeval_ms": milliseconds, a DWORD; the kernel takes a timeval
- "seconds_ms": seconds, a DWORD; the kernel takes milliseconds
- "ifindex_be": an interface index, a DWORD; the kernel takes it in network order
- "limit_ms": milliseconds, a DWORD; -1 is no limit
- "in_addr", "ip_mreq": bytes; an interface is an address, or as 0.x.x.x an index
- "ipv6_mreq": bytes, the layout of the kernel's own
- "ip_mreq_source", "group_req", "group_source_req": bytes; the order of members or the family differ
- "ip_options": bytes, as they stand in the header of a packet; 40 at the most
- "protocol_info": a `protocol_info.WSAPROTOCOL_INFO`
- "bytes": bytes

Source: "SOL_SOCKET Socket Options" and the pages of each level of the Windows SDK documentation; numbers of Linux from
its uapi headers, the same on x86-64 and aarch64.
"""

from __future__ import annotations

from typing import NamedTuple

from winsock.abi import constants
from winsock.abi.constants import (
    HV_PROTOCOL_RAW,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_RM,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NSPROTO_IPX,
    SOL_IP,
    SOL_IPV6,
    SOL_IRLMP,
    SOL_RFCOMM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEINVAL, WSAENOPROTOOPT


class Linger(NamedTuple):
    """The value of SO_LINGER: whether close waits for unsent data, and how many seconds."""

    onoff: int
    seconds: int


class Option(NamedTuple):
    """One socket option."""

    level: int
    optname: int
    name: str
    type: str
    get: bool
    set: bool
    host: str
    """"host", "emulated" or "refused"."""
    host_level: int | None
    host_optname: int | None
    answered_by: str
    """"base", "dispatcher" (a property of the thread), or "layer" (each layer tells of itself)."""
    relay: bool
    """Carried over to the outer socket of a relay, because it shapes what the network sees."""
    note: str = ""
    error: int = WSAENOPROTOOPT
    """What a refusal raises."""


def _host(
    level: int,
    name: str,
    type: str,
    access: str,
    host_level: int,
    host_optname: int,
    relay: bool = False,
    note: str = "",
) -> Option:
    number = getattr(constants, name)
    get, set = "r" in access, "w" in access
    return Option(level, number, name, type, get, set, "host", host_level, host_optname, "base", relay, note)


def _emulated(
    level: int, name: str, type: str, access: str, note: str, answered_by: str = "base", relay: bool = False
) -> Option:
    number = getattr(constants, name)
    get, set = "r" in access, "w" in access
    return Option(level, number, name, type, get, set, "emulated", None, None, answered_by, relay, note)


def _refused(
    level: int, name: str, note: str, type: str = "bytes", access: str = "rw", error: int = WSAENOPROTOOPT
) -> Option:
    number = getattr(constants, name)
    get, set = "r" in access, "w" in access
    return Option(level, number, name, type, get, set, "refused", None, None, "base", False, note, error)


def _of_no_windows(name: str, type: str) -> Option:
    note = "WSAEINVAL, as from every Windows since Vista: it is there for compatibility with BSD"
    return _refused(SOL_SOCKET, name, note, type, error=WSAEINVAL)


RELAY = True

_DOUBLED = "Linux doubles what is set, which only its own programs are told; net.core.wmem_max and rmem_max bound it"
_STATE_NOTE = "CSADDR_INFO; pointers are offsets from its beginning (winsock.abi.address_lists)"
_EVERY_TIME_OUT = "also of sockets without WSA_FLAG_OVERLAPPED, for which Windows' never runs out"
_NO_CONNECT_DATA = "no protocol here carries data with a connect or disconnect"
_NO_INTERFACE_LISTS = "lists of interfaces for broadcast and multicast belong to Windows' stack"
_NO_ROUTING_HEADER = "routing headers are obsolete"
_NO_WFP = "the Windows Filtering Platform is not here"
_NO_FAMILY = "no provider of this family is installed"
_NO_ACCEPTEX = "belongs to AcceptEx and ConnectEx, which are not there yet"

ROWS: tuple[Option, ...] = (
    # What every provider must know
    _emulated(SOL_SOCKET, "SO_DEBUG", "bool", "rw", "remembered, and without effect"),
    _host(SOL_SOCKET, "SO_ACCEPTCONN", "bool", "r", 1, 30),
    _emulated(SOL_SOCKET, "SO_REUSEADDR", "bool", "rw", "what Linux calls SO_REUSEPORT; looked at by bind"),
    _emulated(SOL_SOCKET, "SO_EXCLUSIVEADDRUSE", "bool", "rw", "kept within a process; looked at by bind"),
    _host(SOL_SOCKET, "SO_KEEPALIVE", "bool", "rw", 1, 9, RELAY),
    _emulated(SOL_SOCKET, "SO_DONTROUTE", "bool", "rw", "accepted without effect for IPv4, WSAENOPROTOOPT for IPv6"),
    _host(SOL_SOCKET, "SO_BROADCAST", "bool", "rw", 1, 6),
    _host(SOL_SOCKET, "SO_LINGER", "linger", "rw", 1, 13, RELAY),
    _emulated(SOL_SOCKET, "SO_DONTLINGER", "bool", "rw", "SO_LINGER the other way round", relay=RELAY),
    _host(SOL_SOCKET, "SO_OOBINLINE", "bool", "rw", 1, 10, RELAY),
    _host(SOL_SOCKET, "SO_SNDBUF", "int", "rw", 1, 7, RELAY, _DOUBLED),
    _host(SOL_SOCKET, "SO_RCVBUF", "int", "rw", 1, 8, RELAY, _DOUBLED),
    _host(SOL_SOCKET, "SO_SNDTIMEO", "timeval_ms", "rw", 1, 21, note=_EVERY_TIME_OUT),
    _host(SOL_SOCKET, "SO_RCVTIMEO", "timeval_ms", "rw", 1, 20, note=_EVERY_TIME_OUT),
    _host(SOL_SOCKET, "SO_ERROR", "error", "rw", 1, 4, note="reading clears it; what is set is read once"),
    _host(SOL_SOCKET, "SO_TYPE", "int", "r", 1, 3),
    _emulated(SOL_SOCKET, "SO_GROUP_ID", "int", "r", "0: in no group"),
    _emulated(SOL_SOCKET, "SO_GROUP_PRIORITY", "int", "rw", "remembered; the host has no use for it"),
    _emulated(SOL_SOCKET, "SO_MAX_MSG_SIZE", "dword", "r", "the kernel's limit; 0 for streams"),
    _emulated(
        SOL_SOCKET, "SO_UPDATE_CONNECT_CONTEXT", "bytes", "w", "nothing to update: a connection is whole at once"
    ),
    _emulated(SOL_SOCKET, "SO_MAXDG", "dword", "r", "SO_MAX_MSG_SIZE by its older name"),
    _emulated(SOL_SOCKET, "SO_MAXPATHDG", "dword", "r", "SO_MAX_MSG_SIZE, whatever the path"),
    _emulated(SOL_SOCKET, "SO_BSP_STATE", "bytes", "r", _STATE_NOTE),
    _emulated(SOL_SOCKET, "SO_PROTOCOL_INFOW", "protocol_info", "r", "the entry that made the socket", "layer"),
    _emulated(SOL_SOCKET, "SO_PROTOCOL_INFOA", "protocol_info", "r", "the same: text is str here", "layer"),
    _emulated(SOL_SOCKET, "PVD_CONFIG", "bytes", "r", "empty: the built-in providers have no configuration"),
    _emulated(SOL_SOCKET, "SO_CONNECT_TIME", "dword", "r", "whole seconds, 0xFFFFFFFF where not connected"),
    _emulated(SOL_SOCKET, "SO_OPENTYPE", "int", "rw", "a property of the thread, on any socket", "dispatcher"),
    # What most do not have
    _of_no_windows("SO_USELOOPBACK", "bool"),
    _of_no_windows("SO_SNDLOWAT", "int"),
    _of_no_windows("SO_RCVLOWAT", "int"),
    _refused(SOL_SOCKET, "SO_CONDITIONAL_ACCEPT", "the kernel accepts before any program is asked", "bool"),
    _refused(SOL_SOCKET, "SO_TIMESTAMP", "time stamps come by SIO_TIMESTAMPING, which is not here"),
    _refused(SOL_SOCKET, "SO_TIMESTAMP_ID", "time stamps come by SIO_TIMESTAMPING, which is not here"),
    _refused(SOL_SOCKET, "SO_CONNDATA", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_CONNOPT", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_DISCDATA", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_DISCOPT", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_CONNDATALEN", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_CONNOPTLEN", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_DISCDATALEN", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_DISCOPTLEN", _NO_CONNECT_DATA),
    _refused(SOL_SOCKET, "SO_UPDATE_ACCEPT_CONTEXT", _NO_ACCEPTEX, "bytes", "w"),
    _refused(SOL_SOCKET, "SO_PAUSE_ACCEPT", "the kernel's queue cannot be paused", "bool"),
    _refused(SOL_SOCKET, "SO_COMPARTMENT_ID", "network compartments are network namespaces here", "dword"),
    _refused(SOL_SOCKET, "SO_RANDOMIZE_PORT", "the kernel always does", "bool"),
    _refused(SOL_SOCKET, "SO_PORT_SCALABILITY", "the kernel always does", "bool"),
    _host(SOL_SOCKET, "SO_REUSE_UNICASTPORT", "bool", "rw", 0, 24, note="what Linux calls IP_BIND_ADDRESS_NO_PORT"),
    _refused(SOL_SOCKET, "SO_REUSE_MULTICASTPORT", "Linux has it for unicast only", "bool"),
    _refused(SOL_SOCKET, "SO_RECEIVED_HOPLIMIT", "comes with IP_RECVTTL", "bool"),
    _refused(SOL_SOCKET, "SO_RECEIVED_PROCESSOR", "has no counterpart", "bool"),
    _refused(SOL_IP, "SO_ORIGINAL_DST", _NO_WFP, access="r"),
    _refused(SOL_IPV6, "IP6T_SO_ORIGINAL_DST", _NO_WFP, access="r"),
    _refused(SOL_RFCOMM, "SO_BTH_AUTHENTICATE", _NO_FAMILY),
    _refused(SOL_RFCOMM, "SO_BTH_ENCRYPT", _NO_FAMILY),
    _refused(SOL_RFCOMM, "SO_BTH_MTU", _NO_FAMILY),
    _refused(SOL_RFCOMM, "SO_BTH_MTU_MAX", _NO_FAMILY),
    _refused(SOL_RFCOMM, "SO_BTH_MTU_MIN", _NO_FAMILY),
    # TCP
    _host(IPPROTO_TCP, "TCP_NODELAY", "bool", "rw", 6, 1, RELAY),
    _host(
        IPPROTO_TCP,
        "TCP_KEEPIDLE",
        "dword",
        "rw",
        6,
        4,
        RELAY,
        "seconds; TCP_KEEPALIVE is its older name; Linux waits 32767 at most",
    ),
    _host(IPPROTO_TCP, "TCP_KEEPCNT", "dword", "rw", 6, 6, RELAY, "Linux probes 127 times at most, and 9 by default"),
    _host(IPPROTO_TCP, "TCP_KEEPINTVL", "dword", "rw", 6, 5, RELAY, "seconds; Linux waits 75 by default, Windows 1"),
    _host(IPPROTO_TCP, "TCP_MAXSEG", "dword", "rw", 6, 2, RELAY),
    _host(IPPROTO_TCP, "TCP_MAXRTMS", "limit_ms", "rw", 6, 18, RELAY, "Linux' TCP_USER_TIMEOUT, in milliseconds"),
    _emulated(IPPROTO_TCP, "TCP_MAXRT", "seconds_ms", "rw", "TCP_MAXRTMS in whole seconds", relay=RELAY),
    _refused(IPPROTO_TCP, "TCP_EXPEDITED_1122", "Linux reads urgent data as BSD does", "bool"),
    _refused(IPPROTO_TCP, "TCP_BSDURGENT", "Linux always reads urgent data as BSD does", "bool"),
    _refused(IPPROTO_TCP, "TCP_STDURG", "Linux reads urgent data as BSD does", "bool"),
    _refused(IPPROTO_TCP, "TCP_NOURG", "Linux reads urgent data as BSD does", "bool"),
    _refused(IPPROTO_TCP, "TCP_ATMARK", "SIOCATMARK tells it", "bool", "r"),
    _refused(IPPROTO_TCP, "TCP_NOSYNRETRIES", "Linux sends two SYNs at least", "bool"),
    _refused(IPPROTO_TCP, "TCP_TIMESTAMPS", "the kernel decides for all sockets", "bool"),
    _refused(IPPROTO_TCP, "TCP_CONGESTION_ALGORITHM", "Linux names algorithms and does not number them", "dword"),
    _refused(IPPROTO_TCP, "TCP_DELAY_FIN_ACK", "the kernel delays by itself", "bool"),
    _refused(IPPROTO_TCP, "TCP_FASTOPEN", _NO_ACCEPTEX, "bool"),
    _emulated(
        IPPROTO_TCP,
        "TCP_FAIL_CONNECT_ON_ICMP_ERROR",
        "bool",
        "rw",
        "off: the kernel ends the connect too, with a code for each kind of message",
    ),
    _emulated(IPPROTO_TCP, "TCP_ICMP_ERROR_INFO", "bytes", "r", 'ICMP_ERROR_INFO; b"" where no message came'),
    # UDP
    _host(IPPROTO_UDP, "UDP_NOCHECKSUM", "bool", "rw", 1, 11, note="of IPv4 only"),
    _host(IPPROTO_UDP, "UDP_SEND_MSG_SIZE", "dword", "rw", 17, 103, note="what Linux calls UDP_SEGMENT"),
    _refused(IPPROTO_UDP, "UDP_RECV_MAX_COALESCED_SIZE", "Linux coalesces, and to no size of choice", "dword"),
    _refused(IPPROTO_UDP, "UDP_CHECKSUM_COVERAGE", "is UDP-Lite's, which no entry is for", "dword"),
    # IPv4
    _host(IPPROTO_IP, "IP_OPTIONS", "ip_options", "rw", 0, 4, RELAY, 'as the header has them; b"" for none'),
    _host(IPPROTO_IP, "IP_HDRINCL", "bool", "rw", 0, 3, note="raw sockets only"),
    _host(IPPROTO_IP, "IP_TOS", "dword", "rw", 0, 1, RELAY),
    _host(IPPROTO_IP, "IP_TTL", "dword", "rw", 0, 2, RELAY),
    _host(IPPROTO_IP, "IP_MULTICAST_IF", "in_addr", "rw", 0, 32, note="set also as a number in network order"),
    _host(IPPROTO_IP, "IP_MULTICAST_TTL", "dword", "rw", 0, 33),
    _host(IPPROTO_IP, "IP_MULTICAST_LOOP", "bool", "rw", 0, 34, note="of the sender; on Windows of the receiver"),
    _host(IPPROTO_IP, "IP_ADD_MEMBERSHIP", "ip_mreq", "w", 0, 35),
    _host(IPPROTO_IP, "IP_DROP_MEMBERSHIP", "ip_mreq", "w", 0, 36),
    _emulated(IPPROTO_IP, "IP_DONTFRAGMENT", "bool", "rw", "by Linux' IP_MTU_DISCOVER", relay=RELAY),
    _host(IPPROTO_IP, "IP_ADD_SOURCE_MEMBERSHIP", "ip_mreq_source", "w", 0, 39),
    _host(IPPROTO_IP, "IP_DROP_SOURCE_MEMBERSHIP", "ip_mreq_source", "w", 0, 40),
    _host(IPPROTO_IP, "IP_BLOCK_SOURCE", "ip_mreq_source", "w", 0, 38),
    _host(IPPROTO_IP, "IP_UNBLOCK_SOURCE", "ip_mreq_source", "w", 0, 37),
    _host(IPPROTO_IP, "IP_PKTINFO", "bool", "rw", 0, 8),
    _host(IPPROTO_IP, "IP_RECVTTL", "bool", "rw", 0, 12, note="IP_HOPLIMIT is its older name"),
    _emulated(
        IPPROTO_IP,
        "IP_RECEIVE_BROADCAST",
        "bool",
        "rw",
        "on by default; a socket bound to a specific address receives none in any case",
    ),
    _refused(IPPROTO_IP, "IP_PROTECTION_LEVEL", "Teredo is not here", "int"),
    _refused(IPPROTO_IP, "IP_RECVIF", "comes with IP_PKTINFO", "bool"),
    _refused(IPPROTO_IP, "IP_RECVDSTADDR", "comes with IP_PKTINFO", "bool"),
    _refused(IPPROTO_IP, "IP_IFLIST", _NO_INTERFACE_LISTS, "bool"),
    _refused(IPPROTO_IP, "IP_ADD_IFLIST", _NO_INTERFACE_LISTS, "dword", "w"),
    _refused(IPPROTO_IP, "IP_DEL_IFLIST", _NO_INTERFACE_LISTS, "dword", "w"),
    _refused(IPPROTO_IP, "IP_GET_IFLIST", _NO_INTERFACE_LISTS, access="r"),
    _host(
        IPPROTO_IP,
        "IP_UNICAST_IF",
        "dword",
        "rw",
        0,
        50,
        RELAY,
        "an interface index, set in network order and told in host order",
    ),
    _refused(IPPROTO_IP, "IP_RTHDR", _NO_ROUTING_HEADER),
    _refused(IPPROTO_IP, "IP_RECVRTHDR", _NO_ROUTING_HEADER, "bool"),
    _refused(IPPROTO_IP, "IP_TCLASS", "control data only; as an option it is IP_TOS", "dword"),
    _host(IPPROTO_IP, "IP_RECVTOS", "bool", "rw", 0, 13, note="IP_RECVTCLASS is its other name"),
    _refused(IPPROTO_IP, "IP_ORIGINAL_ARRIVAL_IF", "tunnels hand up the interface of the inner packet", "bool"),
    _refused(IPPROTO_IP, "IP_RECVECN", "comes with IP_RECVTOS", "bool"),
    _refused(IPPROTO_IP, "IP_PKTINFO_EX", "IP_PKTINFO is there", "bool"),
    _refused(IPPROTO_IP, "IP_WFP_REDIRECT_RECORDS", _NO_WFP),
    _refused(IPPROTO_IP, "IP_WFP_REDIRECT_CONTEXT", _NO_WFP),
    _emulated(IPPROTO_IP, "IP_MTU_DISCOVER", "int", "rw", "Linux has other numbers for its values", relay=RELAY),
    _host(IPPROTO_IP, "IP_MTU", "dword", "r", 0, 14, note="of a connected socket"),
    _refused(IPPROTO_IP, "IP_NRT_INTERFACE", "has no counterpart", "dword"),
    _host(IPPROTO_IP, "IP_RECVERR", "bool", "rw", 0, 11),
    _refused(IPPROTO_IP, "IP_USER_MTU", "Linux has it for IPv6 only", "dword"),
    _host(IPPROTO_IP, "MCAST_JOIN_GROUP", "group_req", "w", 0, 42),
    _host(IPPROTO_IP, "MCAST_LEAVE_GROUP", "group_req", "w", 0, 45),
    _host(IPPROTO_IP, "MCAST_BLOCK_SOURCE", "group_source_req", "w", 0, 43),
    _host(IPPROTO_IP, "MCAST_UNBLOCK_SOURCE", "group_source_req", "w", 0, 44),
    _host(IPPROTO_IP, "MCAST_JOIN_SOURCE_GROUP", "group_source_req", "w", 0, 46),
    _host(IPPROTO_IP, "MCAST_LEAVE_SOURCE_GROUP", "group_source_req", "w", 0, 47),
    # IPv6
    _refused(IPPROTO_IPV6, "IPV6_HOPOPTS", "control data only"),
    _host(IPPROTO_IPV6, "IPV6_HDRINCL", "bool", "rw", 41, 36, note="raw sockets only"),
    _host(IPPROTO_IPV6, "IPV6_UNICAST_HOPS", "int", "rw", 41, 16, RELAY),
    _host(IPPROTO_IPV6, "IPV6_MULTICAST_IF", "dword", "rw", 41, 17),
    _host(IPPROTO_IPV6, "IPV6_MULTICAST_HOPS", "int", "rw", 41, 18),
    _host(IPPROTO_IPV6, "IPV6_MULTICAST_LOOP", "bool", "rw", 41, 19, note="of the sender; on Windows of the receiver"),
    _host(IPPROTO_IPV6, "IPV6_ADD_MEMBERSHIP", "ipv6_mreq", "w", 41, 20, note="IPV6_JOIN_GROUP is its other name"),
    _host(IPPROTO_IPV6, "IPV6_DROP_MEMBERSHIP", "ipv6_mreq", "w", 41, 21, note="IPV6_LEAVE_GROUP is its other name"),
    _host(IPPROTO_IPV6, "IPV6_DONTFRAG", "bool", "rw", 41, 62, RELAY),
    _host(IPPROTO_IPV6, "IPV6_PKTINFO", "bool", "rw", 41, 49),
    _host(IPPROTO_IPV6, "IPV6_HOPLIMIT", "bool", "rw", 41, 51),
    _refused(IPPROTO_IPV6, "IPV6_PROTECTION_LEVEL", "Teredo is not here", "int"),
    _refused(IPPROTO_IPV6, "IPV6_RECVIF", "comes with IPV6_PKTINFO", "bool"),
    _refused(IPPROTO_IPV6, "IPV6_RECVDSTADDR", "comes with IPV6_PKTINFO", "bool"),
    _host(IPPROTO_IPV6, "IPV6_CHECKSUM", "int", "rw", 41, 7, note="raw sockets only"),
    _host(IPPROTO_IPV6, "IPV6_V6ONLY", "bool", "rw", 41, 26, note="on by default, as on Windows"),
    _refused(IPPROTO_IPV6, "IPV6_IFLIST", _NO_INTERFACE_LISTS, "bool"),
    _refused(IPPROTO_IPV6, "IPV6_ADD_IFLIST", _NO_INTERFACE_LISTS, "dword", "w"),
    _refused(IPPROTO_IPV6, "IPV6_DEL_IFLIST", _NO_INTERFACE_LISTS, "dword", "w"),
    _refused(IPPROTO_IPV6, "IPV6_GET_IFLIST", _NO_INTERFACE_LISTS, access="r"),
    _host(IPPROTO_IPV6, "IPV6_UNICAST_IF", "ifindex_be", "rw", 41, 76, RELAY),
    _refused(IPPROTO_IPV6, "IPV6_RTHDR", _NO_ROUTING_HEADER),
    _refused(IPPROTO_IPV6, "IPV6_RECVRTHDR", _NO_ROUTING_HEADER, "bool"),
    _host(IPPROTO_IPV6, "IPV6_TCLASS", "int", "rw", 41, 67, RELAY),
    _host(IPPROTO_IPV6, "IPV6_RECVTCLASS", "bool", "rw", 41, 66),
    _refused(IPPROTO_IPV6, "IPV6_RECVECN", "comes with IPV6_RECVTCLASS", "bool"),
    _refused(IPPROTO_IPV6, "IPV6_PKTINFO_EX", "IPV6_PKTINFO is there", "bool"),
    _refused(IPPROTO_IPV6, "IPV6_WFP_REDIRECT_RECORDS", _NO_WFP),
    _refused(IPPROTO_IPV6, "IPV6_WFP_REDIRECT_CONTEXT", _NO_WFP),
    _emulated(IPPROTO_IPV6, "IPV6_MTU_DISCOVER", "int", "rw", "Linux has other numbers for its values", relay=RELAY),
    _host(IPPROTO_IPV6, "IPV6_MTU", "dword", "r", 41, 24, note="of a connected socket"),
    _refused(IPPROTO_IPV6, "IPV6_NRT_INTERFACE", "has no counterpart", "dword"),
    _host(IPPROTO_IPV6, "IPV6_RECVERR", "bool", "rw", 41, 25),
    _emulated(IPPROTO_IPV6, "IPV6_USER_MTU", "dword", "rw", "Linux' IPV6_MTU, which it tells of connections only"),
    _host(IPPROTO_IPV6, "MCAST_JOIN_GROUP", "group_req", "w", 41, 42),
    _host(IPPROTO_IPV6, "MCAST_LEAVE_GROUP", "group_req", "w", 41, 45),
    _host(IPPROTO_IPV6, "MCAST_BLOCK_SOURCE", "group_source_req", "w", 41, 43),
    _host(IPPROTO_IPV6, "MCAST_UNBLOCK_SOURCE", "group_source_req", "w", 41, 44),
    _host(IPPROTO_IPV6, "MCAST_JOIN_SOURCE_GROUP", "group_source_req", "w", 41, 46),
    _host(IPPROTO_IPV6, "MCAST_LEAVE_SOURCE_GROUP", "group_source_req", "w", 41, 47),
    # Families and protocols without a provider
    *(
        _refused(IPPROTO_RM, name, _NO_FAMILY)
        for name in (
            "RM_OPTIONSBASE",
            "RM_RATE_WINDOW_SIZE",
            "RM_SET_MESSAGE_BOUNDARY",
            "RM_FLUSHCACHE",
            "RM_SENDER_WINDOW_ADVANCE_METHOD",
            "RM_SENDER_STATISTICS",
            "RM_LATEJOIN",
            "RM_SET_SEND_IF",
            "RM_ADD_RECEIVE_IF",
            "RM_DEL_RECEIVE_IF",
            "RM_SEND_WINDOW_ADV_RATE",
            "RM_USE_FEC",
            "RM_SET_MCAST_TTL",
            "RM_RECEIVER_STATISTICS",
            "RM_HIGH_SPEED_INTRANET_OPT",
        )
    ),
    *(
        _refused(NSPROTO_IPX, name, _NO_FAMILY)
        for name in (
            "IPX_PTYPE",
            "IPX_FILTERPTYPE",
            "IPX_DSTYPE",
            "IPX_STOPFILTERPTYPE",
            "IPX_EXTENDED_ADDRESS",
            "IPX_RECVHDR",
            "IPX_MAXSIZE",
            "IPX_ADDRESS",
            "IPX_GETNETINFO",
            "IPX_GETNETINFO_NORIP",
            "IPX_SPXGETCONNECTIONSTATUS",
            "IPX_ADDRESS_NOTIFY",
            "IPX_MAX_ADAPTER_NUM",
            "IPX_RERIPNETNUMBER",
            "IPX_RECEIVE_BROADCAST",
            "IPX_IMMEDIATESPXACK",
        )
    ),
    # Hyper-V sockets
    _emulated(HV_PROTOCOL_RAW, "HVSOCKET_CONNECT_TIMEOUT", "dword", "rw", "milliseconds; sockets of AF_HYPERV"),
    _refused(HV_PROTOCOL_RAW, "HVSOCKET_CONTAINER_PASSTHRU", "there are no containers of Windows", "dword"),
    _refused(HV_PROTOCOL_RAW, "HVSOCKET_CONNECTED_SUSPEND", "virtual machines are not suspended here", "dword"),
    *(
        _refused(SOL_IRLMP, name, _NO_FAMILY)
        for name in (
            "IRLMP_ENUMDEVICES",
            "IRLMP_IAS_SET",
            "IRLMP_IAS_QUERY",
            "IRLMP_SEND_PDU_LEN",
            "IRLMP_EXCLUSIVE_MODE",
            "IRLMP_IRLPT_MODE",
            "IRLMP_9WIRE_MODE",
            "IRLMP_TINYTP_MODE",
            "IRLMP_PARAMETERS",
            "IRLMP_DISCOVERY_MODE",
            "IRLMP_SHARP_MODE",
        )
    ),
)

_by_number = {(row.level, row.optname): row for row in ROWS}
_by_host = {(row.host_level, row.host_optname): row for row in ROWS if row.host == "host"}


def find(level: int, optname: int) -> Option | None:
    """The row of an option by Windows' numbers; SO_DONTLINGER is found as -129 too, as C spells ~SO_LINGER."""
    return _by_number.get((level, optname & 0xFFFFFFFF))


def find_host(host_level: int, host_optname: int) -> Option | None:
    """The row whose twin on Linux has this level and number."""
    return _by_host.get((host_level, host_optname))
