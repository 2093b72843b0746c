"""Control codes of WSAIoctl and ioctlsocket: one row a code.

`takes` and `gives` name the structure of the buffers, as in `structures`, or a plain type: "DWORD", "BOOL", "SOCKET",
"GUID", "pointer", "bytes"; "[]" after a name stands for several; "" for none. `overlapped` says that the operation may
wait: it is begun with an overlapped structure and completes later. `host` tells which of three answers we give:

- "host": the kernel's own request stands for it
- "emulated": done here as documented
- "refused": the documented error for a code that a provider does not have: WSAEOPNOTSUPP, for some WSAENOPROTOOPT

Source: "Winsock IOCTLs" and the headers winsock2.h, ws2ipdef.h, mstcpip.h, ws2atm.h and ws2bth.h of the Windows SDK.
"""

from __future__ import annotations

from typing import NamedTuple

from winsock.abi import constants
from winsock.abi.errors import WSAENOPROTOOPT, WSAEOPNOTSUPP


class Ioctl(NamedTuple):
    """One control code."""

    code: int
    name: str
    takes: str
    gives: str
    overlapped: bool
    host: str
    """"host", "emulated" or "refused"."""
    answered_by: str
    """"base", or "layer" (each layer answers with functions of its own)."""
    note: str = ""
    error: int = WSAEOPNOTSUPP
    """What a refusal raises."""


def _host(name: str, takes: str, gives: str, note: str = "") -> Ioctl:
    return Ioctl(getattr(constants, name), name, takes, gives, False, "host", "base", note)


def _emulated(name: str, takes: str, gives: str, note: str = "", answered_by: str = "base") -> Ioctl:
    return Ioctl(getattr(constants, name), name, takes, gives, False, "emulated", answered_by, note)


def _emulated_waiting(name: str, takes: str, gives: str, note: str = "") -> Ioctl:
    return Ioctl(getattr(constants, name), name, takes, gives, True, "emulated", "base", note)


def _refused(name: str, takes: str, gives: str, note: str, waits: bool = False, answered_by: str = "base") -> Ioctl:
    return Ioctl(getattr(constants, name), name, takes, gives, waits, "refused", answered_by, note)


def _no_option(name: str, takes: str, gives: str, note: str) -> Ioctl:
    return Ioctl(getattr(constants, name), name, takes, gives, False, "refused", "base", note, WSAENOPROTOOPT)


WAITS = True

_NEVER = "no Windows has it"
_NO_QOS = "there is no quality of service here"
_NOT_YET = "not there yet"
_POINTERS = "WSAID_WSASENDMSG; WSAEINVAL for others; the answer can be called (winsock.spi.extensions)"
_UNDOCUMENTED = "no page says what it does; SIO_RCVALL is there"
_OFFSETS = "pointers are offsets from the list's beginning (winsock.abi.address_lists)"
_NO_RESERVATIONS = "Linux has no port reservations"
_NO_SECURITY = "there is no IPsec policy behind a socket here"
_NO_WFP = "the Windows Filtering Platform is not here"
_NO_FAMILY = "no provider of this family is installed"
_NO_TUNING = "the kernel tunes this by itself"

ROWS: tuple[Ioctl, ...] = (
    # Codes of Berkeley's sockets
    _host("FIONBIO", "DWORD", ""),
    _emulated("FIONREAD", "", "DWORD", "of datagrams the sum of what waits; of adopted sockets as Linux tells it"),
    _emulated("SIOCATMARK", "", "BOOL", "TRUE where no urgent data waits"),
    _refused("FIOASYNC", "DWORD", "", _NEVER),
    _refused("SIOCSHIWAT", "DWORD", "", _NEVER),
    _refused("SIOCGHIWAT", "", "DWORD", _NEVER),
    _refused("SIOCSLOWAT", "DWORD", "", _NEVER),
    _refused("SIOCGLOWAT", "", "DWORD", _NEVER),
    # Codes of Winsock 2
    _no_option("SIO_ASSOCIATE_HANDLE", "SOCKET", "", _NEVER),
    _no_option("SIO_ENABLE_CIRCULAR_QUEUEING", "", "", "the kernel drops the newest datagram when its queue is full"),
    _refused("SIO_FIND_ROUTE", "sockaddr", "sockaddr", "obsolete; SIO_ROUTING_INTERFACE_QUERY is there"),
    _no_option("SIO_FLUSH", "", "", "the kernel keeps what was given to it"),
    _emulated("SIO_GET_BROADCAST_ADDRESS", "", "sockaddr", "255.255.255.255; WSAENOPROTOOPT for IPv6 and TCP"),
    _emulated("SIO_GET_EXTENSION_FUNCTION_POINTER", "GUID", "pointer", _POINTERS, answered_by="layer"),
    _refused("SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER", "GUID", "pointer", _NOT_YET, answered_by="layer"),
    _no_option("SIO_GET_QOS", "", "QOS", _NO_QOS),
    _no_option("SIO_GET_GROUP_QOS", "", "QOS", _NO_QOS),
    _no_option("SIO_SET_QOS", "QOS", "", _NO_QOS),
    _no_option("SIO_SET_GROUP_QOS", "QOS", "", _NO_QOS),
    _emulated("SIO_MULTIPOINT_LOOPBACK", "BOOL", "", "of the sender, as Linux has it"),
    _emulated("SIO_MULTICAST_SCOPE", "INT", "", "the time to live of what is sent to groups"),
    _no_option("SIO_TRANSLATE_HANDLE", "DWORD", "bytes", _NEVER),
    _emulated("SIO_ROUTING_INTERFACE_QUERY", "sockaddr", "sockaddr"),
    _emulated_waiting("SIO_ROUTING_INTERFACE_CHANGE", "sockaddr", "", "any route; waits, or becomes an FD_ event"),
    _emulated("SIO_ADDRESS_LIST_QUERY", "", "SOCKET_ADDRESS_LIST", _OFFSETS),
    _emulated_waiting("SIO_ADDRESS_LIST_CHANGE", "", "", "waits, or becomes an FD_ event"),
    _emulated("SIO_ADDRESS_LIST_SORT", "SOCKET_ADDRESS_LIST", "SOCKET_ADDRESS_LIST", _OFFSETS),
    _refused("SIO_RESERVED_1", "", "", _NEVER),
    _refused("SIO_RESERVED_2", "", "", _NEVER),
    _refused("SIO_NSP_NOTIFY_CHANGE", "WSACOMPLETION", "", "a code of WSANSPIoctl, which is not there yet", WAITS),
    # What stands below a layered socket: for an IFS handle, itself
    _emulated("SIO_BASE_HANDLE", "", "SOCKET"),
    _emulated("SIO_BSP_HANDLE", "", "SOCKET"),
    _emulated("SIO_BSP_HANDLE_SELECT", "", "SOCKET"),
    _emulated("SIO_BSP_HANDLE_POLL", "", "SOCKET"),
    _emulated("SIO_QUERY_TARGET_PNP_HANDLE", "", "SOCKET"),
    _refused("SIO_EXT_SELECT", "bytes", "bytes", "internal to Ws2_32"),
    _refused("SIO_EXT_POLL", "WSAPOLLDATA", "WSAPOLLDATA", "internal to Ws2_32"),
    _refused("SIO_EXT_SENDMSG", "WSASENDMSG", "", "internal to Ws2_32"),
    # TCP and UDP
    _emulated("SIO_KEEPALIVE_VALS", "tcp_keepalive", "", "Linux counts in seconds: rounded up"),
    _emulated("SIO_UDP_CONNRESET", "BOOL", "", "sockets of our own"),
    _emulated("SIO_TCP_INFO", "DWORD", "TCP_INFO_v0", "version 0"),
    _emulated("SIO_UDP_NETRESET", "BOOL", "", "sockets of our own"),
    _emulated("SIO_LOOPBACK_FAST_PATH", "BOOL", "", "accepted for TCP; loopback has no slower path"),
    _refused("SIO_TCP_INITIAL_RTO", "TCP_INITIAL_RTO_PARAMETERS", "", _NO_TUNING),
    _refused("SIO_TCP_SET_ICW", "INT", "", _NO_TUNING),
    _refused("SIO_TCP_SET_ACK_FREQUENCY", "UCHAR", "", _NO_TUNING),
    _refused("SIO_APPLY_TRANSPORT_SETTING", "bytes", "", _NO_TUNING),
    _refused("SIO_QUERY_TRANSPORT_SETTING", "bytes", "bytes", _NO_TUNING),
    _refused("SIO_SET_PRIORITY_HINT", "INT", "", _NO_TUNING),
    _refused("SIO_PRIORITY_HINT", "INT", "", "SIO_SET_PRIORITY_HINT by its other name"),
    _refused("SIO_CPU_AFFINITY", "USHORT", "", _NO_TUNING),
    _refused("SIO_TIMESTAMPING", "bytes", "", "time stamps come by WSARecvMsg, which is not there yet"),
    _refused("SIO_GET_TX_TIMESTAMP", "DWORD", "ULONG64", "time stamps come by WSARecvMsg, which is not there yet"),
    _refused("SIO_SET_COMPATIBILITY_MODE", "WSA_COMPATIBILITY_MODE", "", "there is one version of this system"),
    _refused("SIO_SOCKET_CLOSE_NOTIFY", "", "", "a notice for drivers", WAITS),
    # Interfaces
    _emulated("SIO_GET_INTERFACE_LIST", "", "INTERFACE_INFO[]", "sockets of IPv4"),
    _refused("SIO_GET_INTERFACE_LIST_EX", "", "INTERFACE_INFO_EX[]", "Windows does not support it either"),
    _emulated("SIO_SET_MULTICAST_FILTER", "IP_MSFILTER", "", "joins the group where need be"),
    _emulated("SIO_GET_MULTICAST_FILTER", "IP_MSFILTER", "IP_MSFILTER", "all sources"),
    _emulated("SIO_INDEX_BIND", "DWORD", "", "Linux' SO_BINDTOIFINDEX"),
    _emulated("SIO_INDEX_MCASTIF", "DWORD", "", "IP_MULTICAST_IF and IPV6_MULTICAST_IF by index"),
    _emulated("SIO_INDEX_ADD_MCAST", "ip_mreq", "", "IP_ADD_MEMBERSHIP by index"),
    _emulated("SIO_INDEX_DEL_MCAST", "ip_mreq", "", "IP_DROP_MEMBERSHIP by index"),
    _emulated("SIO_UCAST_IF", "DWORD", "", "IP_UNICAST_IF and IPV6_UNICAST_IF"),
    _emulated("SIO_RCVALL", "DWORD", "", "raw sockets of any protocol: one of IPPROTO_IP (0) cannot be made"),
    _emulated("SIO_RCVALL_MCAST", "DWORD", "", "raw sockets of UDP over IPv4"),
    _emulated("SIO_RCVALL_IGMPMCAST", "DWORD", "", "raw sockets of IGMP over IPv4"),
    _refused("SIO_RCVALL_MCAST_IF", "RCVALL_IF", "", _UNDOCUMENTED),
    _refused("SIO_RCVALL_IF", "RCVALL_IF", "", _UNDOCUMENTED),
    _emulated("SIO_ABSORB_RTRALERT", "BOOL", "", "raw sockets of IPv4: Linux' IP_ROUTER_ALERT"),
    _refused("SIO_LIMIT_BROADCASTS", "BOOL", "", _NO_TUNING),
    _refused("SIO_QUERY_RSS_SCALABILITY_INFO", "", "bytes", _NO_TUNING),
    _refused("SIO_QUERY_RSS_PROCESSOR_INFO", "", "bytes", _NO_TUNING),
    _refused("SIO_ACQUIRE_PORT_RESERVATION", "INET_PORT_RANGE", "INET_PORT_RESERVATION_TOKEN", _NO_RESERVATIONS),
    _refused("SIO_RELEASE_PORT_RESERVATION", "INET_PORT_RESERVATION_TOKEN", "", _NO_RESERVATIONS),
    _refused("SIO_ASSOCIATE_PORT_RESERVATION", "INET_PORT_RESERVATION_TOKEN", "", _NO_RESERVATIONS),
    # Security and redirection
    _refused("SIO_SET_SECURITY", "SOCKET_SECURITY_SETTINGS", "", _NO_SECURITY),
    _refused("SIO_QUERY_SECURITY", "SOCKET_SECURITY_QUERY_TEMPLATE", "SOCKET_SECURITY_QUERY_INFO", _NO_SECURITY),
    _refused("SIO_SET_PEER_TARGET_NAME", "SOCKET_PEER_TARGET_NAME", "", _NO_SECURITY),
    _refused("SIO_DELETE_PEER_TARGET_NAME", "sockaddr", "", _NO_SECURITY),
    _refused("SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS", "", "bytes", _NO_WFP),
    _refused("SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT", "", "bytes", _NO_WFP),
    _refused("SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS", "bytes", "", _NO_WFP),
    _refused("SIO_QUERY_WFP_ALE_ENDPOINT_HANDLE", "", "ULONG64", _NO_WFP),
    _refused("SIO_SOCKET_USAGE_NOTIFICATION", "bytes", "", _NO_WFP),
    # Families without a provider
    _emulated("SIO_AF_UNIX_GETPEERPID", "", "DWORD", "connected sockets of AF_UNIX"),
    _refused("SIO_AF_UNIX_SETBINDPARENTPATH", "bytes", "", "no page says what it takes"),
    _refused("SIO_AF_UNIX_SETCONNPARENTPATH", "bytes", "", "no page says what it takes"),
    _refused("SIO_GET_NUMBER_OF_ATM_DEVICES", "", "DWORD", _NO_FAMILY),
    _refused("SIO_GET_ATM_ADDRESS", "DWORD", "ATM_ADDRESS", _NO_FAMILY),
    _refused("SIO_ASSOCIATE_PVC", "bytes", "", _NO_FAMILY),
    _refused("SIO_GET_ATM_CONNECTION_ID", "", "bytes", _NO_FAMILY),
    _refused("SIO_RFCOMM_SEND_COMMAND", "bytes", "bytes", _NO_FAMILY),
    _refused("SIO_RFCOMM_WAIT_COMMAND", "", "bytes", _NO_FAMILY, WAITS),
    _refused("SIO_RFCOMM_SESSION_FLOW_OFF", "", "", _NO_FAMILY),
    _refused("SIO_RFCOMM_TEST", "bytes", "bytes", _NO_FAMILY),
    _refused("SIO_RFCOMM_USECFC", "bytes", "", _NO_FAMILY),
    _refused("SIO_BTH_PING", "bytes", "bytes", _NO_FAMILY),
    _refused("SIO_BTH_INFO", "bytes", "bytes", _NO_FAMILY),
    _refused("SIO_LAZY_DISCOVERY", "", "WINDOWS_DEVICELIST", _NO_FAMILY),
)

# Codes of ws2ipdef.h that programs know by the functions which wrap them
WRAPPED: tuple[Ioctl, ...] = (
    _emulated("SIOCSMSFILTER", "GROUP_FILTER", "", "setsourcefilter; joins the group where need be"),
    _emulated("SIOCGMSFILTER", "GROUP_FILTER", "GROUP_FILTER", "getsourcefilter; all sources"),
    _emulated("SIO_IDEAL_SEND_BACKLOG_QUERY", "", "DWORD", "the congestion window of a connection"),
    _refused("SIO_IDEAL_SEND_BACKLOG_CHANGE", "", "", "the kernel tells no changes of it", WAITS),
)

# The first row of a number stands for it: SIO_LAZY_DISCOVERY has the number of SIO_GET_INTERFACE_LIST.
_by_code = {row.code: row for row in reversed((*ROWS, *WRAPPED))}


def find(code: int) -> Ioctl | None:
    """The row of a control code."""
    return _by_code.get(code)
