"""Windows' structures as views over memory, with the layout of 64-bit Windows on every host; `x86` gives the other.

A class here is for memory that somebody else laid out, or will read: `WSABUF.from_buffer(bytearray)`. Pointers,
handles and sizes are plain 64-bit numbers, `long` has 4 bytes and WCHAR 2, whatever the host's C compiler thinks;
that is why neither `ctypes.c_void_p` nor `c_long` nor `c_wchar` occurs. Python's own values for addresses, GUIDs and
protocol entries are in `sockaddr`, `guids` and `protocol_info`, and cost a fraction of this.

Two things a reader may miss. Names in `_anonymous_` are unions that have no name in the headers; their members are
reached directly. `_wide_` names the members that are 64-bit numbers and no pointers, which keep their size in `x86`.

Source: the Windows SDK and WDK headers named over each group; offsets as a compiler for Windows prints them.
"""

# ruff: noqa: N801 - structures keep the names that the headers give them

from __future__ import annotations

from ctypes import (
    Array,
    Structure,
    Union,
    c_char,
    c_int16,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_uint64,
)
from typing import Any

CHAR = c_char
UCHAR = c_uint8
WCHAR = c_uint16
SHORT = c_int16
USHORT = WORD = c_uint16
INT = LONG = BOOL = c_int32
UINT = ULONG = DWORD = c_uint32
LONGLONG = c_int64
ULONG64 = c_uint64

# As wide as a pointer of 64-bit Windows
ULONG_PTR = SIZE_T = c_uint64
PVOID = HANDLE = SOCKET = LPSTR = LPWSTR = PROC = ULONG_PTR


def _procs(*names: str) -> tuple[tuple[str, type[c_uint64]], ...]:
    """The members of a dispatch table: a pointer to a function each, in order."""
    return tuple((name, PROC) for name in names)


# == Shared by all (guiddef.h, ws2def.h) ==


class GUID(Structure):
    """A GUID in memory; the value is `guids.GUID`."""

    _fields_ = (
        ("Data1", ULONG),
        ("Data2", USHORT),
        ("Data3", USHORT),
        ("Data4", UCHAR * 8),
    )


class IN_ADDR_BYTES(Structure):
    """The four bytes of an IPv4 address."""

    _fields_ = (
        ("s_b1", UCHAR),
        ("s_b2", UCHAR),
        ("s_b3", UCHAR),
        ("s_b4", UCHAR),
    )


class IN_ADDR_WORDS(Structure):
    """The two words of an IPv4 address."""

    _fields_ = (
        ("s_w1", USHORT),
        ("s_w2", USHORT),
    )


class IN_ADDR_PARTS(Union):
    """The parts of an IPv4 address."""

    _fields_ = (
        ("S_un_b", IN_ADDR_BYTES),
        ("S_un_w", IN_ADDR_WORDS),
        ("S_addr", ULONG),
    )


class in_addr(Structure):
    """An IPv4 address, as bytes, words or a number in network order."""

    _fields_ = (("S_un", IN_ADDR_PARTS),)


class SCOPE_ID_PARTS(Structure):
    """Zone and level of a scope."""

    _fields_ = (
        ("Zone", ULONG, 28),
        ("Level", ULONG, 4),
    )


class SCOPE_ID(Union):
    """The scope of an IPv6 address: a zone and a level, or one number."""

    _anonymous_ = ("parts",)
    _fields_ = (
        ("parts", SCOPE_ID_PARTS),
        ("Value", ULONG),
    )


class IN6_ADDR_PARTS(Union):
    """The parts of an IPv6 address."""

    _fields_ = (
        ("Byte", UCHAR * 16),
        ("Word", USHORT * 8),
    )


class in6_addr(Structure):
    """An IPv6 address, as bytes or words in network order."""

    _fields_ = (("u", IN6_ADDR_PARTS),)


# == Start-up (winsock2.h) ==


class WSADATA(Structure):
    """What WSAStartup tells."""

    _fields_ = (
        ("wVersion", WORD),
        ("wHighVersion", WORD),
        ("iMaxSockets", USHORT),
        ("iMaxUdpDg", USHORT),
        ("lpVendorInfo", LPSTR),
        ("szDescription", CHAR * 257),
        ("szSystemStatus", CHAR * 129),
    )


# == Socket addresses (ws2def.h, ws2ipdef.h, afunix.h and the headers of each family) ==


class sockaddr(Structure):
    """Any address: its family and bytes."""

    _fields_ = (
        ("sa_family", USHORT),
        ("sa_data", CHAR * 14),
    )


class sockaddr_in(Structure):
    """An IPv4 address and port."""

    _fields_ = (
        ("sin_family", SHORT),
        ("sin_port", USHORT),
        ("sin_addr", in_addr),
        ("sin_zero", CHAR * 8),
    )


class SIN6_SCOPE(Union):
    """The last member of sockaddr_in6, by either name."""

    _fields_ = (
        ("sin6_scope_id", ULONG),
        ("sin6_scope_struct", SCOPE_ID),
    )


class sockaddr_in6(Structure):
    """An IPv6 address and port."""

    _anonymous_ = ("scope",)
    _fields_ = (
        ("sin6_family", SHORT),
        ("sin6_port", USHORT),
        ("sin6_flowinfo", ULONG),
        ("sin6_addr", in6_addr),
        ("scope", SIN6_SCOPE),
    )


class sockaddr_storage(Structure):
    """Room for an address of any family."""

    _fields_ = (
        ("ss_family", SHORT),
        ("__ss_pad1", CHAR * 6),
        ("__ss_align", LONGLONG),
        ("__ss_pad2", CHAR * 112),
    )


class SOCKADDR_INET(Union):
    """An IPv4 or IPv6 address."""

    _fields_ = (
        ("Ipv4", sockaddr_in),
        ("Ipv6", sockaddr_in6),
        ("si_family", USHORT),
    )


class SOCKADDR_IN6_PAIR(Structure):
    """Source and destination of SIO_ADDRESS_LIST_SORT and kin."""

    _fields_ = (
        ("SourceAddress", PVOID),
        ("DestinationAddress", PVOID),
    )


class sockaddr_in6_old(Structure):
    """An IPv6 address without a scope, as INTERFACE_INFO has it."""

    _fields_ = (
        ("sin6_family", SHORT),
        ("sin6_port", USHORT),
        ("sin6_flowinfo", ULONG),
        ("sin6_addr", in6_addr),
    )


class sockaddr_gen(Union):
    """An address of SIO_GET_INTERFACE_LIST."""

    _fields_ = (
        ("Address", sockaddr),
        ("AddressIn", sockaddr_in),
        ("AddressIn6", sockaddr_in6_old),
    )


class SOCKADDR_UN(Structure):
    """The path of a local socket."""

    _fields_ = (
        ("sun_family", USHORT),
        ("sun_path", CHAR * 108),
    )


class SOCKADDR_IRDA(Structure):
    """A service of an infrared device."""

    _fields_ = (
        ("irdaAddressFamily", USHORT),
        ("irdaDeviceID", UCHAR * 4),
        ("irdaServiceName", CHAR * 25),
    )


class SOCKADDR_BTH(Structure):
    """A Bluetooth device and its service or port."""

    _pack_ = 1
    _layout_ = "ms"
    _wide_ = ("btAddr",)
    _fields_ = (
        ("addressFamily", USHORT),
        ("btAddr", ULONG64),
        ("serviceClassId", GUID),
        ("port", ULONG),
    )


class SOCKADDR_IPX(Structure):
    """An IPX network, node and socket."""

    _fields_ = (
        ("sa_family", SHORT),
        ("sa_netnum", CHAR * 4),
        ("sa_nodenum", CHAR * 6),
        ("sa_socket", USHORT),
    )


class ATM_ADDRESS(Structure):
    """The number of an ATM party."""

    _fields_ = (
        ("AddressType", DWORD),
        ("NumofDigits", DWORD),
        ("Addr", UCHAR * 20),
    )


class ATM_BLLI(Structure):
    """Lower-layer information of an ATM call."""

    _fields_ = (
        ("Layer2Protocol", DWORD),
        ("Layer2UserSpecifiedProtocol", DWORD),
        ("Layer3Protocol", DWORD),
        ("Layer3UserSpecifiedProtocol", DWORD),
        ("Layer3IPI", DWORD),
        ("SnapID", UCHAR * 5),
    )


class ATM_BHLI(Structure):
    """Higher-layer information of an ATM call."""

    _fields_ = (
        ("HighLayerInfoType", DWORD),
        ("HighLayerInfoLength", DWORD),
        ("HighLayerInfo", UCHAR * 8),
    )


class sockaddr_atm(Structure):
    """An ATM address."""

    _fields_ = (
        ("satm_family", USHORT),
        ("satm_number", ATM_ADDRESS),
        ("satm_blli", ATM_BLLI),
        ("satm_bhli", ATM_BHLI),
    )


class SOCKET_ADDRESS(Structure):
    """A pointer to an address, and its length."""

    _fields_ = (
        ("lpSockaddr", PVOID),
        ("iSockaddrLength", INT),
    )


class SOCKET_ADDRESS_LIST(Structure):
    """A list of addresses; `Address` goes on for `iAddressCount`."""

    _fields_ = (
        ("iAddressCount", INT),
        ("Address", SOCKET_ADDRESS * 1),
    )


class CSADDR_INFO(Structure):
    """The two ends of a service, with type and protocol."""

    _fields_ = (
        ("LocalAddr", SOCKET_ADDRESS),
        ("RemoteAddr", SOCKET_ADDRESS),
        ("iSocketType", INT),
        ("iProtocol", INT),
    )


class sockproto(Structure):
    """An address family and a protocol."""

    _fields_ = (
        ("sp_family", USHORT),
        ("sp_protocol", USHORT),
    )


# == Protocol entries (winsock2.h, nspapi.h) ==


class WSAPROTOCOLCHAIN(Structure):
    """The entries that make up a protocol, from the top layer down to the base."""

    _fields_ = (
        ("ChainLen", INT),
        ("ChainEntries", DWORD * 7),
    )


class WSAPROTOCOL_INFOW(Structure):
    """A catalog entry; the value is `protocol_info.WSAPROTOCOL_INFO`."""

    _fields_ = (
        ("dwServiceFlags1", DWORD),
        ("dwServiceFlags2", DWORD),
        ("dwServiceFlags3", DWORD),
        ("dwServiceFlags4", DWORD),
        ("dwProviderFlags", DWORD),
        ("ProviderId", GUID),
        ("dwCatalogEntryId", DWORD),
        ("ProtocolChain", WSAPROTOCOLCHAIN),
        ("iVersion", INT),
        ("iAddressFamily", INT),
        ("iMaxSockAddr", INT),
        ("iMinSockAddr", INT),
        ("iSocketType", INT),
        ("iProtocol", INT),
        ("iProtocolMaxOffset", INT),
        ("iNetworkByteOrder", INT),
        ("iSecurityScheme", INT),
        ("dwMessageSize", DWORD),
        ("dwProviderReserved", DWORD),
        ("szProtocol", WCHAR * 256),
    )


class WSAPROTOCOL_INFOA(Structure):
    """A catalog entry with ANSI text."""

    _fields_ = (
        ("dwServiceFlags1", DWORD),
        ("dwServiceFlags2", DWORD),
        ("dwServiceFlags3", DWORD),
        ("dwServiceFlags4", DWORD),
        ("dwProviderFlags", DWORD),
        ("ProviderId", GUID),
        ("dwCatalogEntryId", DWORD),
        ("ProtocolChain", WSAPROTOCOLCHAIN),
        ("iVersion", INT),
        ("iAddressFamily", INT),
        ("iMaxSockAddr", INT),
        ("iMinSockAddr", INT),
        ("iSocketType", INT),
        ("iProtocol", INT),
        ("iProtocolMaxOffset", INT),
        ("iNetworkByteOrder", INT),
        ("iSecurityScheme", INT),
        ("dwMessageSize", DWORD),
        ("dwProviderReserved", DWORD),
        ("szProtocol", CHAR * 256),
    )


class PROTOCOL_INFOW(Structure):
    """A protocol as EnumProtocols tells it."""

    _fields_ = (
        ("dwServiceFlags", DWORD),
        ("iAddressFamily", INT),
        ("iMaxSockAddr", INT),
        ("iMinSockAddr", INT),
        ("iSocketType", INT),
        ("iProtocol", INT),
        ("dwMessageSize", DWORD),
        ("lpProtocol", LPWSTR),
    )


# == Moving data (ws2def.h, winsock2.h) ==


class WSABUF(Structure):
    """One buffer of a gather or scatter list."""

    _fields_ = (
        ("len", ULONG),
        ("buf", LPSTR),
    )


class WSAMSG(Structure):
    """The message of WSASendMsg and WSARecvMsg."""

    _fields_ = (
        ("name", PVOID),
        ("namelen", INT),
        ("lpBuffers", PVOID),
        ("dwBufferCount", DWORD),
        ("Control", WSABUF),
        ("dwFlags", DWORD),
    )


class WSACMSGHDR(Structure):
    """The head of a control message; its data follows."""

    _fields_ = (
        ("cmsg_len", SIZE_T),
        ("cmsg_level", INT),
        ("cmsg_type", INT),
    )


class OVERLAPPED_OFFSET(Structure):
    """A position in a file."""

    _fields_ = (
        ("Offset", DWORD),
        ("OffsetHigh", DWORD),
    )


class OVERLAPPED_PLACE(Union):
    """A position in a file, or a pointer of the caller's."""

    _anonymous_ = ("position",)
    _fields_ = (
        ("position", OVERLAPPED_OFFSET),
        ("Pointer", PVOID),
    )


class WSAOVERLAPPED(Structure):
    """The state of an overlapped operation."""

    _anonymous_ = ("place",)
    _fields_ = (
        ("Internal", ULONG_PTR),
        ("InternalHigh", ULONG_PTR),
        ("place", OVERLAPPED_PLACE),
        ("hEvent", HANDLE),
    )


class WSATHREADID(Structure):
    """A thread, for WPUQueueApc."""

    _fields_ = (
        ("ThreadHandle", HANDLE),
        ("Reserved", ULONG_PTR),
    )


class COMPLETION_WINDOW(Structure):
    """Completion by a window message."""

    _fields_ = (
        ("hWnd", HANDLE),
        ("uMsg", UINT),
        ("context", ULONG_PTR),
    )


class COMPLETION_EVENT(Structure):
    """Completion by an event object."""

    _fields_ = (("lpOverlapped", PVOID),)


class COMPLETION_APC(Structure):
    """Completion by a routine in the calling thread."""

    _fields_ = (
        ("lpOverlapped", PVOID),
        ("lpfnCompletionProc", PROC),
    )


class COMPLETION_PORT(Structure):
    """Completion by a packet at a completion port."""

    _fields_ = (
        ("lpOverlapped", PVOID),
        ("hPort", HANDLE),
        ("Key", ULONG_PTR),
    )


class COMPLETION_PARAMETERS(Union):
    """The parameters of each kind of completion."""

    _fields_ = (
        ("WindowMessage", COMPLETION_WINDOW),
        ("Event", COMPLETION_EVENT),
        ("Apc", COMPLETION_APC),
        ("Port", COMPLETION_PORT),
    )


class WSACOMPLETION(Structure):
    """How WSANSPIoctl shall tell that it is done."""

    _fields_ = (
        ("Type", INT),
        ("Parameters", COMPLETION_PARAMETERS),
    )


class WSASENDMSG(Structure):
    """The parameters of WSASendMsg, for SIO_EXT_SENDMSG."""

    _fields_ = (
        ("lpMsg", PVOID),
        ("dwFlags", DWORD),
        ("lpNumberOfBytesSent", PVOID),
        ("lpOverlapped", PVOID),
        ("lpCompletionRoutine", PROC),
    )


class TRANSMIT_FILE_BUFFERS(Structure):
    """What TransmitFile sends before and after the file."""

    _fields_ = (
        ("Head", PVOID),
        ("HeadLength", DWORD),
        ("Tail", PVOID),
        ("TailLength", DWORD),
    )


class TRANSMIT_FILE_RANGE(Structure):
    """A range of a file."""

    _fields_ = (
        ("nFileOffset", LONGLONG),
        ("hFile", HANDLE),
    )


class TRANSMIT_SOURCE(Union):
    """A range of a file, or a buffer."""

    _anonymous_ = ("range",)
    _fields_ = (
        ("range", TRANSMIT_FILE_RANGE),
        ("pBuffer", PVOID),
    )


class TRANSMIT_PACKETS_ELEMENT(Structure):
    """A part of what TransmitPackets sends: a buffer, or a range of a file."""

    _anonymous_ = ("source",)
    _fields_ = (
        ("dwElFlags", ULONG),
        ("cLength", ULONG),
        ("source", TRANSMIT_SOURCE),
    )


# == Quality of service (qos.h) ==


class FLOWSPEC(Structure):
    """One direction of a flow."""

    _fields_ = (
        ("TokenRate", ULONG),
        ("TokenBucketSize", ULONG),
        ("PeakBandwidth", ULONG),
        ("Latency", ULONG),
        ("DelayVariation", ULONG),
        ("ServiceType", ULONG),
        ("MaxSduSize", ULONG),
        ("MinimumPolicedSize", ULONG),
    )


class QOS(Structure):
    """Both directions of a flow, and what a provider adds."""

    _fields_ = (
        ("SendingFlowspec", FLOWSPEC),
        ("ReceivingFlowspec", FLOWSPEC),
        ("ProviderSpecific", WSABUF),
    )


# == Waiting (winsock2.h) ==


class WSANETWORKEVENTS(Structure):
    """The events that WSAEnumNetworkEvents found, and an error for each."""

    _fields_ = (
        ("lNetworkEvents", LONG),
        ("iErrorCode", INT * 10),
    )


class timeval(Structure):
    """A timeout, in seconds and microseconds."""

    _fields_ = (
        ("tv_sec", LONG),
        ("tv_usec", LONG),
    )


class fd_set(Structure):
    """A set of sockets: a count and an array, and no bitmap."""

    _fields_ = (
        ("fd_count", UINT),
        ("fd_array", SOCKET * 64),
    )


class WSAPOLLFD(Structure):
    """A socket of WSAPoll."""

    _fields_ = (
        ("fd", SOCKET),
        ("events", SHORT),
        ("revents", SHORT),
    )


class WSAPOLLDATA(Structure):
    """The parameters of WSAPoll, for SIO_EXT_POLL."""

    _fields_ = (
        ("result", INT),
        ("fds", ULONG),
        ("timeout", INT),
        ("fdArray", WSAPOLLFD * 0),
    )


class SOCK_NOTIFY_REGISTRATION(Structure):
    """A socket of ProcessSocketNotifications."""

    _fields_ = (
        ("socket", SOCKET),
        ("completionKey", PVOID),
        ("eventFilter", USHORT),
        ("operation", UCHAR),
        ("triggerFlags", UCHAR),
        ("registrationResult", DWORD),
    )


# == Registered I/O (mswsockdef.h) ==


class RIO_BUF(Structure):
    """A part of a registered buffer."""

    _fields_ = (
        ("BufferId", PVOID),
        ("Offset", ULONG),
        ("Length", ULONG),
    )


class RIO_CMSG_BUFFER(Structure):
    """The head of the control messages in a registered buffer."""

    _fields_ = (("TotalLength", ULONG),)


class RIORESULT(Structure):
    """A completion that RIODequeueCompletion takes from a queue."""

    _wide_ = ("SocketContext", "RequestContext")
    _fields_ = (
        ("Status", LONG),
        ("BytesTransferred", ULONG),
        ("SocketContext", ULONG64),
        ("RequestContext", ULONG64),
    )


class RIO_EVENT(Structure):
    """Notification by an event object."""

    _fields_ = (
        ("EventHandle", HANDLE),
        ("NotifyReset", BOOL),
    )


class RIO_IOCP(Structure):
    """Notification by a completion port."""

    _fields_ = (
        ("IocpHandle", HANDLE),
        ("CompletionKey", PVOID),
        ("Overlapped", PVOID),
    )


class RIO_NOTIFICATION(Union):
    """The parameters of each kind of notification."""

    _fields_ = (
        ("Event", RIO_EVENT),
        ("Iocp", RIO_IOCP),
    )


class RIO_NOTIFICATION_COMPLETION(Structure):
    """How a completion queue tells that it has something."""

    _anonymous_ = ("notification",)
    _fields_ = (
        ("Type", INT),
        ("notification", RIO_NOTIFICATION),
    )


class RIO_EXTENSION_FUNCTION_TABLE(Structure):
    """The functions of registered I/O."""

    _fields_ = (
        ("cbSize", DWORD),
        ("RIOReceive", PROC),
        ("RIOReceiveEx", PROC),
        ("RIOSend", PROC),
        ("RIOSendEx", PROC),
        ("RIOCloseCompletionQueue", PROC),
        ("RIOCreateCompletionQueue", PROC),
        ("RIOCreateRequestQueue", PROC),
        ("RIODequeueCompletion", PROC),
        ("RIODeregisterBuffer", PROC),
        ("RIONotify", PROC),
        ("RIORegisterBuffer", PROC),
        ("RIOResizeCompletionQueue", PROC),
        ("RIOResizeRequestQueue", PROC),
    )


# == Options (winsock2.h, ws2ipdef.h) ==


class linger(Structure):
    """SO_LINGER: on or off, and seconds."""

    _fields_ = (
        ("l_onoff", USHORT),
        ("l_linger", USHORT),
    )


class ip_mreq(Structure):
    """A group to join or leave, and an interface."""

    _fields_ = (
        ("imr_multiaddr", in_addr),
        ("imr_interface", in_addr),
    )


class ip_mreq_source(Structure):
    """A group, one source and an interface."""

    _fields_ = (
        ("imr_multiaddr", in_addr),
        ("imr_sourceaddr", in_addr),
        ("imr_interface", in_addr),
    )


class IPV6_MREQ(Structure):
    """An IPv6 group to join or leave, and an interface index."""

    _fields_ = (
        ("ipv6mr_multiaddr", in6_addr),
        ("ipv6mr_interface", UINT),
    )


class IP_MSFILTER(Structure):
    """The sources of a group that pass, or do not; `imsf_slist` goes on."""

    _fields_ = (
        ("imsf_multiaddr", in_addr),
        ("imsf_interface", in_addr),
        ("imsf_fmode", INT),
        ("imsf_numsrc", ULONG),
        ("imsf_slist", in_addr * 1),
    )


class GROUP_REQ(Structure):
    """A group of either family, and an interface index."""

    _fields_ = (
        ("gr_interface", ULONG),
        ("gr_group", sockaddr_storage),
    )


class GROUP_SOURCE_REQ(Structure):
    """A group of either family, one source and an interface index."""

    _fields_ = (
        ("gsr_interface", ULONG),
        ("gsr_group", sockaddr_storage),
        ("gsr_source", sockaddr_storage),
    )


class GROUP_FILTER(Structure):
    """The sources of a group of either family; `gf_slist` goes on."""

    _fields_ = (
        ("gf_interface", ULONG),
        ("gf_group", sockaddr_storage),
        ("gf_fmode", INT),
        ("gf_numsrc", ULONG),
        ("gf_slist", sockaddr_storage * 1),
    )


class IN_PKTINFO(Structure):
    """The address and interface at which a packet arrived."""

    _fields_ = (
        ("ipi_addr", in_addr),
        ("ipi_ifindex", UINT),
    )


class IN6_PKTINFO(Structure):
    """The address and interface at which an IPv6 packet arrived."""

    _fields_ = (
        ("ipi6_addr", in6_addr),
        ("ipi6_ifindex", UINT),
    )


class IN_PKTINFO_EX(Structure):
    """The same with the scope."""

    _fields_ = (
        ("pkt_info", IN_PKTINFO),
        ("scope_id", SCOPE_ID),
    )


class IN6_PKTINFO_EX(Structure):
    """The same with the scope."""

    _fields_ = (
        ("pkt_info", IN6_PKTINFO),
        ("scope_id", SCOPE_ID),
    )


class IN_RECVERR(Structure):
    """An error that came by ICMP, as a control message."""

    _fields_ = (
        ("protocol", INT),
        ("info", ULONG),
        ("type", UCHAR),
        ("code", UCHAR),
    )


class ICMP_ERROR_INFO(Structure):
    """The ICMP error that ended a connect (TCP_ICMP_ERROR_INFO)."""

    _fields_ = (
        ("srcaddress", SOCKADDR_INET),
        ("protocol", INT),
        ("type", UCHAR),
        ("code", UCHAR),
    )


# == Control codes (mstcpip.h, ws2ipdef.h) ==


class tcp_keepalive(Structure):
    """SIO_KEEPALIVE_VALS: on or off, idle time and interval in milliseconds."""

    _fields_ = (
        ("onoff", ULONG),
        ("keepalivetime", ULONG),
        ("keepaliveinterval", ULONG),
    )


class INTERFACE_INFO(Structure):
    """An interface of SIO_GET_INTERFACE_LIST."""

    _fields_ = (
        ("iiFlags", ULONG),
        ("iiAddress", sockaddr_gen),
        ("iiBroadcastAddress", sockaddr_gen),
        ("iiNetmask", sockaddr_gen),
    )


class INTERFACE_INFO_EX(Structure):
    """An interface of SIO_GET_INTERFACE_LIST_EX."""

    _fields_ = (
        ("iiFlags", ULONG),
        ("iiAddress", SOCKET_ADDRESS),
        ("iiBroadcastAddress", SOCKET_ADDRESS),
        ("iiNetmask", SOCKET_ADDRESS),
    )


class TCP_INFO_v0(Structure):
    """What SIO_TCP_INFO tells of a connection."""

    _wide_ = ("ConnectionTimeMs", "BytesOut", "BytesIn")
    _fields_ = (
        ("State", INT),
        ("Mss", ULONG),
        ("ConnectionTimeMs", ULONG64),
        ("TimestampsEnabled", UCHAR),
        ("RttUs", ULONG),
        ("MinRttUs", ULONG),
        ("BytesInFlight", ULONG),
        ("Cwnd", ULONG),
        ("SndWnd", ULONG),
        ("RcvWnd", ULONG),
        ("RcvBuf", ULONG),
        ("BytesOut", ULONG64),
        ("BytesIn", ULONG64),
        ("BytesReordered", ULONG),
        ("BytesRetrans", ULONG),
        ("FastRetrans", ULONG),
        ("DupAcksIn", ULONG),
        ("TimeoutEpisodes", ULONG),
        ("SynRetrans", UCHAR),
    )


class TCP_INITIAL_RTO_PARAMETERS(Structure):
    """SIO_TCP_INITIAL_RTO: first round trip and number of SYNs."""

    _fields_ = (
        ("Rtt", USHORT),
        ("MaxSynRetransmissions", UCHAR),
    )


class INET_PORT_RANGE(Structure):
    """A range of ports to reserve."""

    _fields_ = (
        ("StartPort", USHORT),
        ("NumberOfPorts", USHORT),
    )


class INET_PORT_RESERVATION_TOKEN(Structure):
    """The token of a port reservation."""

    _wide_ = ("Token",)
    _fields_ = (("Token", ULONG64),)


class INET_PORT_RESERVATION_INFORMATION(Structure):
    """The owner of a port reservation."""

    _fields_ = (("OwningPid", ULONG),)


class RCVALL_IF(Structure):
    """What to receive at which interface (SIO_RCVALL_IF)."""

    _fields_ = (
        ("Mode", INT),
        ("Interface", ULONG),
    )


class WSA_COMPATIBILITY_MODE(Structure):
    """A behaviour and the version whose behaviour is wanted."""

    _fields_ = (
        ("BehaviorId", INT),
        ("TargetOsVersion", ULONG),
    )


# == Socket security (mstcpip.h) ==


class SOCKET_PEER_TARGET_NAME(Structure):
    """The name that a peer must prove; `AllStrings` goes on."""

    _fields_ = (
        ("SecurityProtocol", INT),
        ("PeerAddress", sockaddr_storage),
        ("PeerTargetNameStringLen", ULONG),
        ("AllStrings", WCHAR * 0),
    )


class SOCKET_SECURITY_SETTINGS(Structure):
    """What a socket wants of its security."""

    _fields_ = (
        ("SecurityProtocol", INT),
        ("SecurityFlags", ULONG),
    )


class SOCKET_SECURITY_SETTINGS_IPSEC(Structure):
    """What a socket wants of IPsec; `AllStrings` goes on."""

    _wide_ = ("Reserved2",)
    _fields_ = (
        ("SecurityProtocol", INT),
        ("SecurityFlags", ULONG),
        ("IpsecFlags", ULONG),
        ("AuthipMMPolicyKey", GUID),
        ("AuthipQMPolicyKey", GUID),
        ("Reserved", GUID),
        ("Reserved2", ULONG64),
        ("UserNameStringLen", ULONG),
        ("DomainNameStringLen", ULONG),
        ("PasswordStringLen", ULONG),
        ("AllStrings", WCHAR * 0),
    )


class SOCKET_SECURITY_QUERY_TEMPLATE(Structure):
    """The question of WSAQuerySocketSecurity."""

    _fields_ = (
        ("SecurityProtocol", INT),
        ("PeerAddress", sockaddr_storage),
        ("PeerTokenAccessMask", ULONG),
    )


class SOCKET_SECURITY_QUERY_INFO(Structure):
    """The answer of WSAQuerySocketSecurity."""

    _wide_ = ("PeerApplicationAccessTokenHandle", "PeerMachineAccessTokenHandle")
    _fields_ = (
        ("SecurityProtocol", INT),
        ("Flags", ULONG),
        ("PeerApplicationAccessTokenHandle", ULONG64),
        ("PeerMachineAccessTokenHandle", ULONG64),
    )


# == Names and addresses (ws2def.h, winsock2.h) ==


class hostent(Structure):
    """A host: its names and addresses."""

    _fields_ = (
        ("h_name", LPSTR),
        ("h_aliases", PVOID),
        ("h_addrtype", SHORT),
        ("h_length", SHORT),
        ("h_addr_list", PVOID),
    )


class servent(Structure):
    """A service: its names, port and protocol."""

    _fields_ = (
        ("s_name", LPSTR),
        ("s_aliases", PVOID),
        ("s_proto", LPSTR),
        ("s_port", SHORT),
    )


class protoent(Structure):
    """A protocol: its names and number."""

    _fields_ = (
        ("p_name", LPSTR),
        ("p_aliases", PVOID),
        ("p_proto", SHORT),
    )


class netent(Structure):
    """A network: its names and number."""

    _fields_ = (
        ("n_name", LPSTR),
        ("n_aliases", PVOID),
        ("n_addrtype", SHORT),
        ("n_net", ULONG),
    )


class addrinfo(Structure):
    """An address of getaddrinfo."""

    _fields_ = (
        ("ai_flags", INT),
        ("ai_family", INT),
        ("ai_socktype", INT),
        ("ai_protocol", INT),
        ("ai_addrlen", SIZE_T),
        ("ai_canonname", LPSTR),
        ("ai_addr", PVOID),
        ("ai_next", PVOID),
    )


class ADDRINFOA(addrinfo):
    """The same by its other name."""


class ADDRINFOW(addrinfo):
    """An address of GetAddrInfoW."""


class ADDRINFOEXW(Structure):
    """An address of GetAddrInfoExW."""

    _fields_ = (
        ("ai_flags", INT),
        ("ai_family", INT),
        ("ai_socktype", INT),
        ("ai_protocol", INT),
        ("ai_addrlen", SIZE_T),
        ("ai_canonname", LPWSTR),
        ("ai_addr", PVOID),
        ("ai_blob", PVOID),
        ("ai_bloblen", SIZE_T),
        ("ai_provider", PVOID),
        ("ai_next", PVOID),
    )


class ADDRINFOEXA(ADDRINFOEXW):
    """An address of GetAddrInfoExA."""


# == Name spaces and services (winsock2.h, nspapi.h) ==


class BLOB(Structure):
    """Bytes somewhere else."""

    _fields_ = (
        ("cbSize", ULONG),
        ("pBlobData", PVOID),
    )


class AFPROTOCOLS(Structure):
    """An address family and a protocol, to restrict a query."""

    _fields_ = (
        ("iAddressFamily", INT),
        ("iProtocol", INT),
    )


class WSAVERSION(Structure):
    """A version of a service, and how to compare it."""

    _fields_ = (
        ("dwVersion", DWORD),
        ("ecHow", INT),
    )


class WSAQUERYSETW(Structure):
    """A query for services, or one result of it."""

    _fields_ = (
        ("dwSize", DWORD),
        ("lpszServiceInstanceName", LPWSTR),
        ("lpServiceClassId", PVOID),
        ("lpVersion", PVOID),
        ("lpszComment", LPWSTR),
        ("dwNameSpace", DWORD),
        ("lpNSProviderId", PVOID),
        ("lpszContext", LPWSTR),
        ("dwNumberOfProtocols", DWORD),
        ("lpafpProtocols", PVOID),
        ("lpszQueryString", LPWSTR),
        ("dwNumberOfCsAddrs", DWORD),
        ("lpcsaBuffer", PVOID),
        ("dwOutputFlags", DWORD),
        ("lpBlob", PVOID),
    )


class WSAQUERYSETA(WSAQUERYSETW):
    """The same with ANSI strings."""


class WSAQUERYSET2W(Structure):
    """A query as version 2 name-space providers see it."""

    _fields_ = (
        ("dwSize", DWORD),
        ("lpszServiceInstanceName", LPWSTR),
        ("lpVersion", PVOID),
        ("lpszComment", LPWSTR),
        ("dwNameSpace", DWORD),
        ("lpNSProviderId", PVOID),
        ("lpszContext", LPWSTR),
        ("dwNumberOfProtocols", DWORD),
        ("lpafpProtocols", PVOID),
        ("lpszQueryString", LPWSTR),
        ("dwNumberOfCsAddrs", DWORD),
        ("lpcsaBuffer", PVOID),
        ("dwOutputFlags", DWORD),
        ("lpBlob", PVOID),
    )


class WSAQUERYSET2A(WSAQUERYSET2W):
    """The same with ANSI strings."""


class WSANSCLASSINFOW(Structure):
    """One value of a service class in one name space."""

    _fields_ = (
        ("lpszName", LPWSTR),
        ("dwNameSpace", DWORD),
        ("dwValueType", DWORD),
        ("dwValueSize", DWORD),
        ("lpValue", PVOID),
    )


class WSANSCLASSINFOA(WSANSCLASSINFOW):
    """The same with ANSI strings."""


class WSASERVICECLASSINFOW(Structure):
    """A service class and its values."""

    _fields_ = (
        ("lpServiceClassId", PVOID),
        ("lpszServiceClassName", LPWSTR),
        ("dwCount", DWORD),
        ("lpClassInfos", PVOID),
    )


class WSASERVICECLASSINFOA(WSASERVICECLASSINFOW):
    """The same with ANSI strings."""


class WSANAMESPACE_INFOW(Structure):
    """A name-space provider."""

    _fields_ = (
        ("NSProviderId", GUID),
        ("dwNameSpace", DWORD),
        ("fActive", BOOL),
        ("dwVersion", DWORD),
        ("lpszIdentifier", LPWSTR),
    )


class WSANAMESPACE_INFOA(WSANAMESPACE_INFOW):
    """The same with ANSI strings."""


class WSANAMESPACE_INFOEXW(Structure):
    """A name-space provider and what it keeps for itself."""

    _fields_ = (
        ("NSProviderId", GUID),
        ("dwNameSpace", DWORD),
        ("fActive", BOOL),
        ("dwVersion", DWORD),
        ("lpszIdentifier", LPWSTR),
        ("ProviderSpecific", BLOB),
    )


class WSANAMESPACE_INFOEXA(WSANAMESPACE_INFOEXW):
    """The same with ANSI strings."""


class SERVICE_INFOW(Structure):
    """A service as SetService and GetService know it."""

    _fields_ = (
        ("lpServiceType", PVOID),
        ("lpServiceName", LPWSTR),
        ("lpComment", LPWSTR),
        ("lpLocale", LPWSTR),
        ("dwDisplayHint", DWORD),
        ("dwVersion", DWORD),
        ("dwTime", DWORD),
        ("lpMachineName", LPWSTR),
        ("lpServiceAddress", PVOID),
        ("ServiceSpecificInfo", BLOB),
    )


class NS_SERVICE_INFOW(Structure):
    """A service and its name space."""

    _fields_ = (
        ("dwNameSpace", DWORD),
        ("ServiceInfo", SERVICE_INFOW),
    )


# == Providers (ws2spi.h) ==


class WSPDATA(Structure):
    """What WSPStartup tells of a provider."""

    _fields_ = (
        ("wVersion", WORD),
        ("wHighVersion", WORD),
        ("szDescription", WCHAR * 256),
    )


class WSPPROC_TABLE(Structure):
    """The 30 functions of a transport provider."""

    _fields_ = _procs(
        "lpWSPAccept",
        "lpWSPAddressToString",
        "lpWSPAsyncSelect",
        "lpWSPBind",
        "lpWSPCancelBlockingCall",
        "lpWSPCleanup",
        "lpWSPCloseSocket",
        "lpWSPConnect",
        "lpWSPDuplicateSocket",
        "lpWSPEnumNetworkEvents",
        "lpWSPEventSelect",
        "lpWSPGetOverlappedResult",
        "lpWSPGetPeerName",
        "lpWSPGetSockName",
        "lpWSPGetSockOpt",
        "lpWSPGetQOSByName",
        "lpWSPIoctl",
        "lpWSPJoinLeaf",
        "lpWSPListen",
        "lpWSPRecv",
        "lpWSPRecvDisconnect",
        "lpWSPRecvFrom",
        "lpWSPSelect",
        "lpWSPSend",
        "lpWSPSendDisconnect",
        "lpWSPSendTo",
        "lpWSPSetSockOpt",
        "lpWSPShutdown",
        "lpWSPSocket",
        "lpWSPStringToAddress",
    )


class WSPUPCALLTABLE(Structure):
    """The functions that a provider calls back; passed by value."""

    _fields_ = _procs(
        "lpWPUCloseEvent",
        "lpWPUCloseSocketHandle",
        "lpWPUCreateEvent",
        "lpWPUCreateSocketHandle",
        "lpWPUFDIsSet",
        "lpWPUGetProviderPath",
        "lpWPUModifyIFSHandle",
        "lpWPUPostMessage",
        "lpWPUQueryBlockingCallback",
        "lpWPUQuerySocketHandleContext",
        "lpWPUQueueApc",
        "lpWPUResetEvent",
        "lpWPUSetEvent",
        "lpWPUOpenCurrentThread",
        "lpWPUCloseThread",
    )


class NSP_ROUTINE(Structure):
    """The functions of a name-space provider."""

    _fields_ = (
        ("cbSize", DWORD),
        ("dwMajorVersion", DWORD),
        ("dwMinorVersion", DWORD),
        ("NSPCleanup", PROC),
        ("NSPLookupServiceBegin", PROC),
        ("NSPLookupServiceNext", PROC),
        ("NSPLookupServiceEnd", PROC),
        ("NSPSetService", PROC),
        ("NSPInstallServiceClass", PROC),
        ("NSPRemoveServiceClass", PROC),
        ("NSPGetServiceClassInfo", PROC),
        ("NSPIoctl", PROC),
    )


class NSPV2_ROUTINE(Structure):
    """The functions of a name-space provider of version 2."""

    _fields_ = (
        ("cbSize", DWORD),
        ("dwMajorVersion", DWORD),
        ("dwMinorVersion", DWORD),
        ("NSPv2Startup", PROC),
        ("NSPv2Cleanup", PROC),
        ("NSPv2LookupServiceBegin", PROC),
        ("NSPv2LookupServiceNextEx", PROC),
        ("NSPv2LookupServiceEnd", PROC),
        ("NSPv2SetServiceEx", PROC),
        ("NSPv2ClientSessionRundown", PROC),
    )


class WSC_PROVIDER_AUDIT_INFO(Structure):
    """Who installed a provider."""

    _fields_ = (
        ("RecordSize", DWORD),
        ("Reserved", PVOID),
    )


# == Bluetooth and infrared (ws2bth.h, af_irda.h) ==


class BTH_QUERY_DEVICE(Structure):
    """An inquiry for Bluetooth devices."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("LAP", ULONG),
        ("length", UCHAR),
    )


class BTH_SET_SERVICE(Structure):
    """A Bluetooth service record; `pRecord` goes on."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (
        ("pSdpVersion", PVOID),
        ("pRecordHandle", PVOID),
        ("fCodService", ULONG),
        ("Reserved", ULONG * 5),
        ("ulRecordLength", ULONG),
        ("pRecord", UCHAR * 1),
    )


class WINDOWS_IRDA_DEVICE_INFO(Structure):
    """An infrared device."""

    _fields_ = (
        ("irdaDeviceID", UCHAR * 4),
        ("irdaDeviceName", CHAR * 22),
        ("irdaDeviceHints1", UCHAR),
        ("irdaDeviceHints2", UCHAR),
        ("irdaCharSet", UCHAR),
    )


class IRDA_DEVICE_INFO(WINDOWS_IRDA_DEVICE_INFO):
    """The same by its older name."""


class WINDOWS_DEVICELIST(Structure):
    """Infrared devices in range; `Device` goes on."""

    _fields_ = (
        ("numDevice", ULONG),
        ("Device", WINDOWS_IRDA_DEVICE_INFO * 1),
    )


class DEVICELIST(WINDOWS_DEVICELIST):
    """The same by its older name."""


class IAS_SET_OCTETS(Structure):
    """The bytes of WINDOWS_IAS_SET."""

    _fields_ = (
        ("Len", USHORT),
        ("OctetSeq", UCHAR * 1024),
    )


class IAS_SET_STRING(Structure):
    """The text of WINDOWS_IAS_SET."""

    _fields_ = (
        ("Len", UCHAR),
        ("CharSet", UCHAR),
        ("UsrStr", UCHAR * 256),
    )


class IAS_SET_VALUE(Union):
    """The value of WINDOWS_IAS_SET: a number, bytes or text."""

    _fields_ = (
        ("irdaAttribInt", LONG),
        ("irdaAttribOctetSeq", IAS_SET_OCTETS),
        ("irdaAttribUsrStr", IAS_SET_STRING),
    )


class WINDOWS_IAS_SET(Structure):
    """An attribute to publish to infrared peers."""

    _fields_ = (
        ("irdaClassName", CHAR * 64),
        ("irdaAttribName", CHAR * 256),
        ("irdaAttribType", ULONG),
        ("irdaAttribute", IAS_SET_VALUE),
    )


class IAS_QUERY_OCTETS(Structure):
    """The bytes of WINDOWS_IAS_QUERY."""

    _fields_ = (
        ("Len", ULONG),
        ("OctetSeq", UCHAR * 1024),
    )


class IAS_QUERY_STRING(Structure):
    """The text of WINDOWS_IAS_QUERY."""

    _fields_ = (
        ("Len", ULONG),
        ("CharSet", ULONG),
        ("UsrStr", UCHAR * 256),
    )


class IAS_QUERY_VALUE(Union):
    """The value of WINDOWS_IAS_QUERY: a number, bytes or text."""

    _fields_ = (
        ("irdaAttribInt", LONG),
        ("irdaAttribOctetSeq", IAS_QUERY_OCTETS),
        ("irdaAttribUsrStr", IAS_QUERY_STRING),
    )


class WINDOWS_IAS_QUERY(Structure):
    """An attribute to ask an infrared peer for."""

    _fields_ = (
        ("irdaDeviceID", UCHAR * 4),
        ("irdaClassName", CHAR * 64),
        ("irdaAttribName", CHAR * 256),
        ("irdaAttribType", ULONG),
        ("irdaAttribute", IAS_QUERY_VALUE),
    )


# == Winsock Kernel: data and control (wsk.h) ==


class WSK_SOCKET(Structure):
    """A socket of Winsock Kernel: a pointer to its dispatch table."""

    _fields_ = (("Dispatch", PVOID),)


class WSK_BUF(Structure):
    """A range of a chain of memory descriptors."""

    _fields_ = (
        ("Mdl", PVOID),
        ("Offset", ULONG),
        ("Length", SIZE_T),
    )


class WSK_BUF_LIST(Structure):
    """One of several messages to send."""

    _fields_ = (
        ("Next", PVOID),
        ("Buffer", WSK_BUF),
    )


class WSK_DATA_INDICATION(Structure):
    """Received data of a stream that a client may keep."""

    _fields_ = (
        ("Next", PVOID),
        ("Buffer", WSK_BUF),
    )


class WSK_DATAGRAM_INDICATION(Structure):
    """A received datagram that a client may keep."""

    _fields_ = (
        ("Next", PVOID),
        ("Buffer", WSK_BUF),
        ("ControlInfo", PVOID),
        ("ControlInfoLength", ULONG),
        ("RemoteAddress", PVOID),
    )


class WSK_INSPECT_ID(Structure):
    """A connection that waits for the decision of WskInspectEvent."""

    _fields_ = (
        ("Key", ULONG_PTR),
        ("SerialNumber", ULONG),
    )


class WSK_TRANSPORT(Structure):
    """A transport of WSK_TRANSPORT_LIST_QUERY."""

    _fields_ = (
        ("Version", USHORT),
        ("SocketType", USHORT),
        ("Protocol", ULONG),
        ("AddressFamily", USHORT),
        ("ProviderId", GUID),
    )


class WSK_TDI_MAP(Structure):
    """A kind of socket and its TDI device."""

    _fields_ = (
        ("SocketType", USHORT),
        ("AddressFamily", USHORT),
        ("Protocol", ULONG),
        ("TdiDeviceName", LPWSTR),
    )


class WSK_TDI_MAP_INFO(Structure):
    """The list of WSK_TDI_DEVICENAME_MAPPING."""

    _fields_ = (
        ("ElementCount", ULONG),
        ("Map", PVOID),
    )


class WSK_EVENT_CALLBACK_CONTROL(Structure):
    """Event callbacks to enable or disable."""

    _fields_ = (
        ("NpiId", PVOID),
        ("EventMask", ULONG),
    )


class WSK_EXTENSION_CONTROL_IN(Structure):
    """A client's half of an extension interface."""

    _fields_ = (
        ("NpiId", PVOID),
        ("ClientContext", PVOID),
        ("ClientDispatch", PVOID),
    )


class WSK_EXTENSION_CONTROL_OUT(Structure):
    """The provider's half of an extension interface."""

    _fields_ = (
        ("ProviderContext", PVOID),
        ("ProviderDispatch", PVOID),
    )


class WSK_PROVIDER_CHARACTERISTICS(Structure):
    """The versions that the provider speaks."""

    _fields_ = (
        ("HighestVersion", USHORT),
        ("LowestVersion", USHORT),
    )


class WSK_CLIENT_NPI(Structure):
    """What a client registers with."""

    _fields_ = (
        ("ClientContext", PVOID),
        ("Dispatch", PVOID),
    )


class WSK_PROVIDER_NPI(Structure):
    """What WskCaptureProviderNPI gives."""

    _fields_ = (
        ("Client", PVOID),
        ("Dispatch", PVOID),
    )


class WSK_REGISTRATION(Structure):
    """The state of a registration."""

    _wide_ = ("ReservedRegistrationState",)
    _fields_ = (
        ("ReservedRegistrationState", ULONG64),
        ("ReservedRegistrationContext", PVOID),
        ("ReservedRegistrationLock", ULONG_PTR),
    )


# == Winsock Kernel: dispatch tables (wsk.h) ==


class WSK_CLIENT_DISPATCH(Structure):
    """A client's version and event callback."""

    _fields_ = (
        ("Version", USHORT),
        ("Reserved", USHORT),
        ("WskClientEvent", PROC),
    )


class WSK_CLIENT_LISTEN_DISPATCH(Structure):
    """Callbacks of a listening socket."""

    _fields_ = _procs(
        "WskAcceptEvent",
        "WskInspectEvent",
        "WskAbortEvent",
    )


class WSK_CLIENT_DATAGRAM_DISPATCH(Structure):
    """Callbacks of a datagram socket."""

    _fields_ = (("WskReceiveFromEvent", PROC),)


class WSK_CLIENT_CONNECTION_DISPATCH(Structure):
    """Callbacks of a connection."""

    _fields_ = _procs(
        "WskReceiveEvent",
        "WskDisconnectEvent",
        "WskSendBacklogEvent",
    )


class WSK_CLIENT_STREAM_DISPATCH(Structure):
    """Callbacks of a stream socket: two tables."""

    _fields_ = (
        ("Listen", PVOID),
        ("Connect", PVOID),
    )


class WSK_PROVIDER_DISPATCH(Structure):
    """The provider's own functions."""

    _fields_ = (
        ("Version", USHORT),
        ("Reserved", USHORT),
        ("WskSocket", PROC),
        ("WskSocketConnect", PROC),
        ("WskControlClient", PROC),
        ("WskGetAddressInfo", PROC),
        ("WskFreeAddressInfo", PROC),
        ("WskGetNameInfo", PROC),
    )


class WSK_PROVIDER_BASIC_DISPATCH(Structure):
    """Functions of every socket."""

    _fields_ = (
        ("WskControlSocket", PROC),
        ("WskCloseSocket", PROC),
    )


class WSK_PROVIDER_LISTEN_DISPATCH(Structure):
    """Functions of a listening socket."""

    _fields_ = (
        ("Basic", WSK_PROVIDER_BASIC_DISPATCH),
        ("WskBind", PROC),
        ("WskAccept", PROC),
        ("WskInspectComplete", PROC),
        ("WskGetLocalAddress", PROC),
    )


class WSK_PROVIDER_DATAGRAM_DISPATCH(Structure):
    """Functions of a datagram socket."""

    _fields_ = (
        ("Basic", WSK_PROVIDER_BASIC_DISPATCH),
        ("WskBind", PROC),
        ("WskSendTo", PROC),
        ("WskReceiveFrom", PROC),
        ("WskRelease", PROC),
        ("WskGetLocalAddress", PROC),
        ("WskSendMessages", PROC),
    )


class WSK_PROVIDER_CONNECTION_DISPATCH(Structure):
    """Functions of a connection."""

    _fields_ = (
        ("Basic", WSK_PROVIDER_BASIC_DISPATCH),
        ("WskBind", PROC),
        ("WskConnect", PROC),
        ("WskGetLocalAddress", PROC),
        ("WskGetRemoteAddress", PROC),
        ("WskSend", PROC),
        ("WskReceive", PROC),
        ("WskDisconnect", PROC),
        ("WskRelease", PROC),
        ("WskConnectEx", PROC),
        ("WskSendEx", PROC),
        ("WskReceiveEx", PROC),
    )


class WSK_PROVIDER_STREAM_DISPATCH(Structure):
    """Functions of a stream socket."""

    _fields_ = (
        ("Basic", WSK_PROVIDER_BASIC_DISPATCH),
        ("WskBind", PROC),
        ("WskAccept", PROC),
        ("WskConnect", PROC),
        ("WskListen", PROC),
        ("WskSend", PROC),
        ("WskReceive", PROC),
        ("WskDisconnect", PROC),
        ("WskRelease", PROC),
        ("WskGetLocalAddress", PROC),
        ("WskGetRemoteAddress", PROC),
        ("WskConnectEx", PROC),
        ("WskSendEx", PROC),
        ("WskReceiveEx", PROC),
    )


# == 32-bit Windows ==


class WSADATA_X86(Structure):
    """WSADATA of 32-bit Windows, which has its members in another order."""

    _fields_ = (
        ("wVersion", WORD),
        ("wHighVersion", WORD),
        ("szDescription", CHAR * 257),
        ("szSystemStatus", CHAR * 129),
        ("iMaxSockets", USHORT),
        ("iMaxUdpDg", USHORT),
        ("lpVendorInfo", ULONG),
    )


class servent_X86(Structure):
    """servent of 32-bit Windows, which has port and protocol the other way round."""

    _fields_ = (
        ("s_name", ULONG),
        ("s_aliases", ULONG),
        ("s_port", SHORT),
        ("s_proto", ULONG),
    )


_x86_twins: dict[type[Any], type[Any]] = {WSADATA: WSADATA_X86, servent: servent_X86}


def x86(kind: type[Any]) -> type[Any]:
    """The same structure as 32-bit Windows lays it out: pointers, handles and sizes have 4 bytes."""
    twin = _x86_twins.get(kind)
    if twin is None:
        wide = getattr(kind, "_wide_", ())
        body: dict[str, object] = {
            "_fields_": [(name, of if name in wide else _narrow(of), *bits) for name, of, *bits in kind._fields_]
        }
        for name in ("_anonymous_", "_pack_", "_layout_"):
            if hasattr(kind, name):
                body[name] = getattr(kind, name)
        base = Union if issubclass(kind, Union) else Structure
        twin = _x86_twins[kind] = type(f"{kind.__name__}_X86", (base,), body)
    return twin


def _narrow(kind: Any) -> Any:
    if kind is ULONG_PTR:
        return ULONG
    if issubclass(kind, Array):
        return _narrow(kind._type_) * kind._length_
    return x86(kind) if issubclass(kind, Structure | Union) else kind
