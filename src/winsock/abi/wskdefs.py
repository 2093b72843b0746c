"""The named numbers of Winsock Kernel (WSK): versions, flags, control codes and events.

Its structures are in `structures`, its status codes in `ntstatus`. Several flags share a number, because each belongs
to another function.

Source: wsk.h of the WDK.
"""

from __future__ import annotations


def MAKE_WSK_VERSION(major: int, minor: int) -> int:
    """A version of Winsock Kernel as one number: 1.1 is 0x0101."""
    return (major << 8) | (minor & 0xFF)


def WSK_MAJOR_VERSION(version: int) -> int:
    """The number before the point."""
    return version >> 8


def WSK_MINOR_VERSION(version: int) -> int:
    """The number after the point."""
    return version & 0xFF


# WSK_*_WAIT: WaitTimeout of WskCaptureProviderNPI, in milliseconds
WSK_NO_WAIT = 0x0000  # do not wait for a provider
WSK_INFINITE_WAIT = 0xFFFFFFFF  # wait without limit

# WSK_FLAG_*: categories of sockets, and flags of functions and callbacks
WSK_FLAG_BASIC_SOCKET = 0x0000  # category basic
WSK_FLAG_LISTEN_SOCKET = 0x0001  # category listening
WSK_FLAG_CONNECTION_SOCKET = 0x0002  # category connection oriented
WSK_FLAG_DATAGRAM_SOCKET = 0x0004  # category datagram
WSK_FLAG_STREAM_SOCKET = 0x0008  # category stream (Windows 10 1703 and later)
WSK_FLAG_AT_DISPATCH_LEVEL = 0x0008  # event callback is called at dispatch level
WSK_FLAG_RELEASE_ASAP = 0x0002  # release retained indications soon
WSK_FLAG_ENTIRE_MESSAGE = 0x0004  # indication holds a whole message
WSK_FLAG_ABORTIVE = 0x0001  # disconnect by reset
WSK_FLAG_NODELAY = 0x0002  # send without delay
WSK_FLAG_WAITALL = 0x0002  # receive completes when full
WSK_FLAG_DRAIN = 0x0004  # receive discards data
WSK_FLAG_OOB = 0x0001  # urgent data

# Control codes of WskControlClient
WSK_TRANSPORT_LIST_QUERY = 2  # list WSK_TRANSPORT entries
WSK_TRANSPORT_LIST_CHANGE = 3  # notify when that list changes
WSK_CACHE_SD = 4  # cache a security descriptor
WSK_RELEASE_SD = 5  # drop a cached security descriptor
WSK_TDI_DEVICENAME_MAPPING = 6  # map socket triples to TDI devices
WSK_SET_STATIC_EVENT_CALLBACKS = 7  # always enabled callbacks
WSK_TDI_BEHAVIOR = 8  # TDI filter bypass choice

# Values of WSK_TDI_BEHAVIOR
WSK_TDI_BEHAVIOR_BYPASS_TDI = 0x0001

# WSK_EVENT_*: event callbacks
WSK_EVENT_SEND_BACKLOG = 0x0010  # WskSendBacklogEvent
WSK_EVENT_RECEIVE = 0x0040  # WskReceiveEvent
WSK_EVENT_DISCONNECT = 0x0080  # WskDisconnectEvent
WSK_EVENT_RECEIVE_FROM = 0x0100  # WskReceiveFromEvent
WSK_EVENT_ACCEPT = 0x0200  # WskAcceptEvent (and inspect, abort)
WSK_EVENT_DISABLE = 0x80000000  # or-ed with an event bit to disable it

# SIO_WSK_*: control codes of WskControlSocket
SIO_WSK_SET_REMOTE_ADDRESS = 0x8F000001  # fixed remote address for datagram socket
SIO_WSK_REGISTER_EXTENSION = 0xCF000002  # register an extension interface
SIO_WSK_QUERY_IDEAL_SEND_BACKLOG = 0x4F000003  # ideal send backlog
SIO_WSK_QUERY_RECEIVE_BACKLOG = 0x4F000004  # receive backlog
SIO_WSK_QUERY_INSPECT_ID = 0x4F000005  # inspect id of an accepted connection
SIO_WSK_SET_SENDTO_ADDRESS = 0x8F000006  # fixed send-to address of a datagram socket
SIO_WSK_SET_TCP_SILENT_MODE = 0x2F000007  # no packets on close
IOC_WSK = 0x0F000000  # WSK ioctl family

# SO_WSK_*: options of the level SOL_SOCKET that only the kernel has
SO_WSK_SECURITY = 0x4001  # security descriptor of a WSK socket
SO_WSK_EVENT_CALLBACK = 0x4002  # enable or disable event callbacks

# WSK_INSPECT_ACTION and WSK_CONTROL_SOCKET_TYPE
WskInspectReject = 0  # refuse
WskInspectAccept = 1  # accept
WskInspectPend = 2  # decide later by WskInspectComplete
WskInspectMax = 3
WskSetOption = 0
WskGetOption = 1
WskIoctl = 2
WskControlMax = 3
