"""Every error of Windows Sockets 2: one row a code, one exception, one crossing between the kernel's errors and ours.

A row gives a code its name, its POSIX twin (the errno that a POSIX program knows this condition by), its twin in kernel
mode (an NTSTATUS) and a text. Names of errnos are looked up when this module is imported, because hosts differ in which
they have and in every number.

The way back is not the mirror of the rows: the kernel tells more conditions apart than Winsock has codes for. So
`FROM_HOST` names the code of each errno that no row owns, and of the few where the row of the same name would be wrong:
EINPROGRESS, which only a non-blocking connect gives, is WSAEWOULDBLOCK (WSAEINPROGRESS says that a blocking call is
running); EBADF is WSAENOTSOCK, the code that the documentation of every function gives a bad handle.

Sources: winsock2.h and winerror.h of the Windows SDK; the page "Windows Sockets Error Codes".
"""

from __future__ import annotations

import errno as _errno
from typing import TYPE_CHECKING, NamedTuple

from winsock.abi.ntstatus import (
    STATUS_ACCESS_DENIED,
    STATUS_ADDRESS_ALREADY_ASSOCIATED,
    STATUS_ADDRESS_ALREADY_EXISTS,
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_CANCELLED,
    STATUS_CONNECTION_ABORTED,
    STATUS_CONNECTION_ACTIVE,
    STATUS_CONNECTION_DISCONNECTED,
    STATUS_CONNECTION_INVALID,
    STATUS_CONNECTION_REFUSED,
    STATUS_CONNECTION_RESET,
    STATUS_DEVICE_NOT_READY,
    STATUS_FILE_FORCED_CLOSED,
    STATUS_GRACEFUL_DISCONNECT,
    STATUS_HOST_UNREACHABLE,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_ADDRESS,
    STATUS_INVALID_ADDRESS_COMPONENT,
    STATUS_INVALID_CONNECTION,
    STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER,
    STATUS_IO_TIMEOUT,
    STATUS_LOCAL_DISCONNECT,
    STATUS_NETWORK_UNREACHABLE,
    STATUS_NO_MATCH,
    STATUS_NO_MEMORY,
    STATUS_NOINTERFACE,
    STATUS_NOT_FOUND,
    STATUS_NOT_IMPLEMENTED,
    STATUS_NOT_SUPPORTED,
    STATUS_PENDING,
    STATUS_PORT_UNREACHABLE,
    STATUS_REMOTE_DISCONNECT,
    STATUS_REQUEST_NOT_ACCEPTED,
    STATUS_SUCCESS,
    STATUS_TOO_MANY_ADDRESSES,
    STATUS_UNSUCCESSFUL,
)

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr

# Win32 codes that Winsock returns as its own: events, parameters, overlapped operations
WSA_INVALID_HANDLE = 6
WSA_NOT_ENOUGH_MEMORY = 8
WSA_INVALID_PARAMETER = 87
WSS_OPERATION_IN_PROGRESS = 259
WSA_OPERATION_ABORTED = 995
WSA_IO_INCOMPLETE = 996
WSA_IO_PENDING = 997

# Other Win32 codes that a function of the documentation returns
ERROR_CALL_NOT_IMPLEMENTED = 120
ERROR_INSUFFICIENT_BUFFER = 122
ERROR_SERVICE_DOES_NOT_EXIST = 1060
ERROR_ALREADY_REGISTERED = 1242
ERROR_SERVICE_NOT_FOUND = 1243

# The twins of Berkeley's codes
WSAEINTR = 10004
WSAEBADF = 10009
WSAEACCES = 10013
WSAEFAULT = 10014
WSAEINVAL = 10022
WSAEMFILE = 10024
WSAEWOULDBLOCK = 10035
WSAEINPROGRESS = 10036
WSAEALREADY = 10037
WSAENOTSOCK = 10038
WSAEDESTADDRREQ = 10039
WSAEMSGSIZE = 10040
WSAEPROTOTYPE = 10041
WSAENOPROTOOPT = 10042
WSAEPROTONOSUPPORT = 10043
WSAESOCKTNOSUPPORT = 10044
WSAEOPNOTSUPP = 10045
WSAEPFNOSUPPORT = 10046
WSAEAFNOSUPPORT = 10047
WSAEADDRINUSE = 10048
WSAEADDRNOTAVAIL = 10049
WSAENETDOWN = 10050
WSAENETUNREACH = 10051
WSAENETRESET = 10052
WSAECONNABORTED = 10053
WSAECONNRESET = 10054
WSAENOBUFS = 10055
WSAEISCONN = 10056
WSAENOTCONN = 10057
WSAESHUTDOWN = 10058
WSAETOOMANYREFS = 10059
WSAETIMEDOUT = 10060
WSAECONNREFUSED = 10061
WSAELOOP = 10062
WSAENAMETOOLONG = 10063
WSAEHOSTDOWN = 10064
WSAEHOSTUNREACH = 10065
WSAENOTEMPTY = 10066
WSAEPROCLIM = 10067
WSAEUSERS = 10068
WSAEDQUOT = 10069
WSAESTALE = 10070
WSAEREMOTE = 10071

# Start-up and providers
WSASYSNOTREADY = 10091
WSAVERNOTSUPPORTED = 10092
WSANOTINITIALISED = 10093
WSAEDISCON = 10101
WSAEINVALIDPROCTABLE = 10104
WSAEINVALIDPROVIDER = 10105
WSAEPROVIDERFAILEDINIT = 10106
WSASYSCALLFAILURE = 10107

# Names and services
WSAENOMORE = 10102
WSAECANCELLED = 10103
WSASERVICE_NOT_FOUND = 10108
WSATYPE_NOT_FOUND = 10109
WSA_E_NO_MORE = 10110
WSA_E_CANCELLED = 10111
WSAEREFUSED = 10112
WSAHOST_NOT_FOUND = 11001
WSATRY_AGAIN = 11002
WSANO_RECOVERY = 11003
WSANO_DATA = 11004
WSA_SECURE_HOST_NOT_FOUND = 11032
WSA_IPSEC_NAME_POLICY_ERROR = 11033

# Quality of service
WSA_QOS_RECEIVERS = 11005
WSA_QOS_SENDERS = 11006
WSA_QOS_NO_SENDERS = 11007
WSA_QOS_NO_RECEIVERS = 11008
WSA_QOS_REQUEST_CONFIRMED = 11009
WSA_QOS_ADMISSION_FAILURE = 11010
WSA_QOS_POLICY_FAILURE = 11011
WSA_QOS_BAD_STYLE = 11012
WSA_QOS_BAD_OBJECT = 11013
WSA_QOS_TRAFFIC_CTRL_ERROR = 11014
WSA_QOS_GENERIC_ERROR = 11015
WSA_QOS_ESERVICETYPE = 11016
WSA_QOS_EFLOWSPEC = 11017
WSA_QOS_EPROVSPECBUF = 11018
WSA_QOS_EFILTERSTYLE = 11019
WSA_QOS_EFILTERTYPE = 11020
WSA_QOS_EFILTERCOUNT = 11021
WSA_QOS_EOBJLENGTH = 11022
WSA_QOS_EFLOWCOUNT = 11023
WSA_QOS_EUNKOWNPSOBJ = 11024
WSA_QOS_EPOLICYOBJ = 11025
WSA_QOS_EFLOWDESC = 11026
WSA_QOS_EPSFLOWSPEC = 11027
WSA_QOS_EPSFILTERSPEC = 11028
WSA_QOS_ESDMODEOBJ = 11029
WSA_QOS_ESHAPERATEOBJ = 11030
WSA_QOS_RESERVED_PETYPE = 11031

# Other names of the same codes
WSANO_ADDRESS = WSANO_DATA
WSA_QOS_EUNKNOWNPSOBJ = WSA_QOS_EUNKOWNPSOBJ
ERROR_INVALID_HANDLE = WSA_INVALID_HANDLE
ERROR_INVALID_PARAMETER = WSA_INVALID_PARAMETER
ERROR_IO_PENDING = WSA_IO_PENDING

# What getaddrinfo and getnameinfo return
EAI_AGAIN = WSATRY_AGAIN
EAI_BADFLAGS = WSAEINVAL
EAI_FAIL = WSANO_RECOVERY
EAI_FAMILY = WSAEAFNOSUPPORT
EAI_MEMORY = WSA_NOT_ENOUGH_MEMORY
EAI_NONAME = WSAHOST_NOT_FOUND
EAI_SERVICE = WSATYPE_NOT_FOUND
EAI_SOCKTYPE = WSAESOCKTNOSUPPORT
EAI_NODATA = WSANO_DATA

# No error: where the numbers of Winsock begin
WSABASEERR = 10000


class Row(NamedTuple):
    """One error code."""

    code: int
    name: str
    errno: str
    """The name of its POSIX twin."""
    status: int
    """Its NTSTATUS twin."""
    text: str


ROWS: tuple[Row, ...] = (
    # Win32 codes that Winsock returns as its own: events, parameters, overlapped operations
    Row(6, "WSA_INVALID_HANDLE", "EBADF", STATUS_INVALID_HANDLE, "the handle of the event object is not valid"),
    Row(8, "WSA_NOT_ENOUGH_MEMORY", "ENOMEM", STATUS_NO_MEMORY, "there is not enough memory"),
    Row(87, "WSA_INVALID_PARAMETER", "EINVAL", STATUS_INVALID_PARAMETER, "a parameter is not valid"),
    Row(259, "WSS_OPERATION_IN_PROGRESS", "EINPROGRESS", STATUS_PENDING, "the overlapped operation is running"),
    Row(995, "WSA_OPERATION_ABORTED", "ECANCELED", STATUS_CANCELLED, "the overlapped operation was cancelled"),
    Row(996, "WSA_IO_INCOMPLETE", "EAGAIN", STATUS_PENDING, "the operation is still running"),
    Row(997, "WSA_IO_PENDING", "EINPROGRESS", STATUS_PENDING, "the operation has started and completes later"),
    # Other Win32 codes that a function of the documentation returns
    Row(120, "ERROR_CALL_NOT_IMPLEMENTED", "ENOSYS", STATUS_NOT_IMPLEMENTED, "the function is not implemented"),
    Row(122, "ERROR_INSUFFICIENT_BUFFER", "ERANGE", STATUS_BUFFER_TOO_SMALL, "the buffer of the caller is too small"),
    Row(1060, "ERROR_SERVICE_DOES_NOT_EXIST", "ENOENT", STATUS_NOT_FOUND, "there is no such type of service"),
    Row(1242, "ERROR_ALREADY_REGISTERED", "EEXIST", STATUS_ADDRESS_ALREADY_EXISTS, "the service is registered already"),
    Row(1243, "ERROR_SERVICE_NOT_FOUND", "ENOENT", STATUS_NOT_FOUND, "the service was not found"),
    # The twins of Berkeley's codes
    Row(10004, "WSAEINTR", "EINTR", STATUS_CANCELLED, "a blocking call was cancelled"),
    Row(10009, "WSAEBADF", "EBADF", STATUS_INVALID_HANDLE, "the file handle is not valid"),
    Row(10013, "WSAEACCES", "EACCES", STATUS_ACCESS_DENIED, "access is not permitted"),
    Row(10014, "WSAEFAULT", "EFAULT", STATUS_BUFFER_TOO_SMALL, "a pointer is bad or a buffer is too small"),
    Row(10022, "WSAEINVAL", "EINVAL", STATUS_INVALID_PARAMETER, "an argument or the state of the socket is not valid"),
    Row(10024, "WSAEMFILE", "EMFILE", STATUS_INSUFFICIENT_RESOURCES, "no more sockets can be opened"),
    Row(10035, "WSAEWOULDBLOCK", "EWOULDBLOCK", STATUS_DEVICE_NOT_READY, "a non-blocking call cannot finish now"),
    Row(10036, "WSAEINPROGRESS", "EINPROGRESS", STATUS_PENDING, "a blocking call or a callback is running"),
    Row(10037, "WSAEALREADY", "EALREADY", STATUS_PENDING, "the operation is running already"),
    Row(10038, "WSAENOTSOCK", "ENOTSOCK", STATUS_INVALID_HANDLE, "the handle is not a socket"),
    Row(10039, "WSAEDESTADDRREQ", "EDESTADDRREQ", STATUS_INVALID_ADDRESS, "a destination address is needed"),
    Row(10040, "WSAEMSGSIZE", "EMSGSIZE", STATUS_BUFFER_OVERFLOW, "the message is too long for buffer or transport"),
    Row(10041, "WSAEPROTOTYPE", "EPROTOTYPE", STATUS_NOT_SUPPORTED, "the protocol does not have this socket type"),
    Row(10042, "WSAENOPROTOOPT", "ENOPROTOOPT", STATUS_NOT_SUPPORTED, "the option or its level is not known"),
    Row(10043, "WSAEPROTONOSUPPORT", "EPROTONOSUPPORT", STATUS_NOT_SUPPORTED, "the protocol is not available"),
    Row(10044, "WSAESOCKTNOSUPPORT", "ESOCKTNOSUPPORT", STATUS_NOT_SUPPORTED, "the socket type is not available"),
    Row(10045, "WSAEOPNOTSUPP", "EOPNOTSUPP", STATUS_NOT_SUPPORTED, "the operation is not available on this socket"),
    Row(10046, "WSAEPFNOSUPPORT", "EPFNOSUPPORT", STATUS_NOT_SUPPORTED, "the protocol family is not available"),
    Row(10047, "WSAEAFNOSUPPORT", "EAFNOSUPPORT", STATUS_NOT_SUPPORTED, "the address family is not available"),
    Row(10048, "WSAEADDRINUSE", "EADDRINUSE", STATUS_ADDRESS_ALREADY_EXISTS, "the address is in use"),
    Row(10049, "WSAEADDRNOTAVAIL", "EADDRNOTAVAIL", STATUS_INVALID_ADDRESS_COMPONENT, "the address is not valid here"),
    Row(10050, "WSAENETDOWN", "ENETDOWN", STATUS_DEVICE_NOT_READY, "the network subsystem has failed"),
    Row(10051, "WSAENETUNREACH", "ENETUNREACH", STATUS_NETWORK_UNREACHABLE, "the network cannot be reached"),
    Row(10052, "WSAENETRESET", "ENETRESET", STATUS_CONNECTION_RESET, "keep-alive failed, or a time to live ran out"),
    Row(10053, "WSAECONNABORTED", "ECONNABORTED", STATUS_CONNECTION_ABORTED, "this host dropped the connection"),
    Row(10054, "WSAECONNRESET", "ECONNRESET", STATUS_CONNECTION_RESET, "the peer reset the connection"),
    Row(10055, "WSAENOBUFS", "ENOBUFS", STATUS_INSUFFICIENT_RESOURCES, "there is no buffer space"),
    Row(10056, "WSAEISCONN", "EISCONN", STATUS_CONNECTION_ACTIVE, "the socket is connected already"),
    Row(10057, "WSAENOTCONN", "ENOTCONN", STATUS_INVALID_CONNECTION, "the socket is not connected"),
    Row(10058, "WSAESHUTDOWN", "EPIPE", STATUS_INVALID_DEVICE_STATE, "this direction of the socket was shut down"),
    Row(10059, "WSAETOOMANYREFS", "ETOOMANYREFS", STATUS_INSUFFICIENT_RESOURCES, "too many references to an object"),
    Row(10060, "WSAETIMEDOUT", "ETIMEDOUT", STATUS_IO_TIMEOUT, "time ran out"),
    Row(10061, "WSAECONNREFUSED", "ECONNREFUSED", STATUS_CONNECTION_REFUSED, "the peer refused the connection"),
    Row(10062, "WSAELOOP", "ELOOP", STATUS_INVALID_ADDRESS, "the name cannot be translated"),
    Row(10063, "WSAENAMETOOLONG", "ENAMETOOLONG", STATUS_INVALID_ADDRESS, "the name is too long"),
    Row(10064, "WSAEHOSTDOWN", "EHOSTDOWN", STATUS_HOST_UNREACHABLE, "the host is down"),
    Row(10065, "WSAEHOSTUNREACH", "EHOSTUNREACH", STATUS_HOST_UNREACHABLE, "there is no route to the host"),
    Row(10066, "WSAENOTEMPTY", "ENOTEMPTY", STATUS_ACCESS_DENIED, "the directory is not empty"),
    Row(10067, "WSAEPROCLIM", "EAGAIN", STATUS_INSUFFICIENT_RESOURCES, "too many processes use the network"),
    Row(10068, "WSAEUSERS", "EUSERS", STATUS_INSUFFICIENT_RESOURCES, "the user's quota is exceeded"),
    Row(10069, "WSAEDQUOT", "EDQUOT", STATUS_INSUFFICIENT_RESOURCES, "the disk quota is exceeded"),
    Row(10070, "WSAESTALE", "ESTALE", STATUS_INVALID_HANDLE, "the file reference is stale"),
    Row(10071, "WSAEREMOTE", "EREMOTE", STATUS_NOT_SUPPORTED, "the item is not local"),
    # Start-up and providers
    Row(10091, "WSASYSNOTREADY", "ENETDOWN", STATUS_DEVICE_NOT_READY, "the network subsystem is not ready"),
    Row(10092, "WSAVERNOTSUPPORTED", "EPROTONOSUPPORT", STATUS_NOINTERFACE, "this version of Winsock is not available"),
    Row(10093, "WSANOTINITIALISED", "EINVAL", STATUS_INVALID_DEVICE_STATE, "WSAStartup was not called"),
    Row(10101, "WSAEDISCON", "ESHUTDOWN", STATUS_GRACEFUL_DISCONNECT, "the peer has shut down gracefully"),
    Row(10104, "WSAEINVALIDPROCTABLE", "EPROTONOSUPPORT", STATUS_INVALID_PARAMETER, "the provider's table is short"),
    Row(10105, "WSAEINVALIDPROVIDER", "EPROTONOSUPPORT", STATUS_NOINTERFACE, "the provider is of another version"),
    Row(10106, "WSAEPROVIDERFAILEDINIT", "EPROTONOSUPPORT", STATUS_DEVICE_NOT_READY, "the provider did not start"),
    Row(10107, "WSASYSCALLFAILURE", "EIO", STATUS_UNSUCCESSFUL, "a system call failed that should not fail"),
    # Names and services
    Row(10102, "WSAENOMORE", "ENODATA", STATUS_NO_MATCH, "there are no more results"),
    Row(10103, "WSAECANCELLED", "ECANCELED", STATUS_CANCELLED, "the lookup was cancelled"),
    Row(10108, "WSASERVICE_NOT_FOUND", "ENOENT", STATUS_NOT_FOUND, "the service is not known in this name space"),
    Row(10109, "WSATYPE_NOT_FOUND", "ENOENT", STATUS_NOT_FOUND, "the class of service was not found"),
    Row(10110, "WSA_E_NO_MORE", "ENODATA", STATUS_NO_MATCH, "there are no more results"),
    Row(10111, "WSA_E_CANCELLED", "ECANCELED", STATUS_CANCELLED, "the lookup was ended while it ran"),
    Row(10112, "WSAEREFUSED", "ECONNREFUSED", STATUS_REQUEST_NOT_ACCEPTED, "the query was refused"),
    Row(11001, "WSAHOST_NOT_FOUND", "ENOENT", STATUS_NOT_FOUND, "there is no such host"),
    Row(11002, "WSATRY_AGAIN", "EAGAIN", STATUS_IO_TIMEOUT, "the name server did not answer; try again"),
    Row(11003, "WSANO_RECOVERY", "EIO", STATUS_UNSUCCESSFUL, "the lookup failed for good"),
    Row(11004, "WSANO_DATA", "ENODATA", STATUS_NO_MATCH, "the name is valid, and has no data of this type"),
    Row(11032, "WSA_SECURE_HOST_NOT_FOUND", "ENOENT", STATUS_NOT_FOUND, "the secure lookup of the name failed"),
    Row(11033, "WSA_IPSEC_NAME_POLICY_ERROR", "EACCES", STATUS_ACCESS_DENIED, "the name policy forbids this name"),
    # Quality of service
    Row(11005, "WSA_QOS_RECEIVERS", "EALREADY", STATUS_SUCCESS, "at least one reservation has arrived"),
    Row(11006, "WSA_QOS_SENDERS", "EALREADY", STATUS_SUCCESS, "at least one path has arrived"),
    Row(11007, "WSA_QOS_NO_SENDERS", "ENOTCONN", STATUS_NOT_FOUND, "there are no senders"),
    Row(11008, "WSA_QOS_NO_RECEIVERS", "ENOTCONN", STATUS_NOT_FOUND, "there are no receivers"),
    Row(11009, "WSA_QOS_REQUEST_CONFIRMED", "EALREADY", STATUS_SUCCESS, "the reservation was confirmed"),
    Row(11010, "WSA_QOS_ADMISSION_FAILURE", "ENOBUFS", STATUS_INSUFFICIENT_RESOURCES, "resources are lacking"),
    Row(11011, "WSA_QOS_POLICY_FAILURE", "EACCES", STATUS_ACCESS_DENIED, "the reservation was refused by policy"),
    Row(11012, "WSA_QOS_BAD_STYLE", "EINVAL", STATUS_INVALID_PARAMETER, "the style of reservation is not valid"),
    Row(11013, "WSA_QOS_BAD_OBJECT", "EINVAL", STATUS_INVALID_PARAMETER, "a part of a filter or a buffer is bad"),
    Row(11014, "WSA_QOS_TRAFFIC_CTRL_ERROR", "EIO", STATUS_UNSUCCESSFUL, "traffic control failed"),
    Row(11015, "WSA_QOS_GENERIC_ERROR", "EIO", STATUS_UNSUCCESSFUL, "quality of service failed"),
    Row(11016, "WSA_QOS_ESERVICETYPE", "EINVAL", STATUS_INVALID_PARAMETER, "the type of service is not valid"),
    Row(11017, "WSA_QOS_EFLOWSPEC", "EINVAL", STATUS_INVALID_PARAMETER, "a flow specification is not valid"),
    Row(11018, "WSA_QOS_EPROVSPECBUF", "EINVAL", STATUS_INVALID_PARAMETER, "the provider-specific buffer is not valid"),
    Row(11019, "WSA_QOS_EFILTERSTYLE", "EINVAL", STATUS_INVALID_PARAMETER, "the style of a filter is not valid"),
    Row(11020, "WSA_QOS_EFILTERTYPE", "EINVAL", STATUS_INVALID_PARAMETER, "the type of a filter is not valid"),
    Row(11021, "WSA_QOS_EFILTERCOUNT", "EINVAL", STATUS_INVALID_PARAMETER, "the number of filters is not right"),
    Row(11022, "WSA_QOS_EOBJLENGTH", "EINVAL", STATUS_INVALID_PARAMETER, "the length of an object is not valid"),
    Row(11023, "WSA_QOS_EFLOWCOUNT", "EINVAL", STATUS_INVALID_PARAMETER, "the number of flow descriptors is not right"),
    Row(11024, "WSA_QOS_EUNKOWNPSOBJ", "EINVAL", STATUS_INVALID_PARAMETER, "an object of the provider is unknown"),
    Row(11025, "WSA_QOS_EPOLICYOBJ", "EINVAL", STATUS_INVALID_PARAMETER, "the policy object is not valid"),
    Row(11026, "WSA_QOS_EFLOWDESC", "EINVAL", STATUS_INVALID_PARAMETER, "a flow descriptor is not valid"),
    Row(11027, "WSA_QOS_EPSFLOWSPEC", "EINVAL", STATUS_INVALID_PARAMETER, "the provider's flow is not valid"),
    Row(11028, "WSA_QOS_EPSFILTERSPEC", "EINVAL", STATUS_INVALID_PARAMETER, "the provider's filter is not valid"),
    Row(11029, "WSA_QOS_ESDMODEOBJ", "EINVAL", STATUS_INVALID_PARAMETER, "the shape-or-discard object is not valid"),
    Row(11030, "WSA_QOS_ESHAPERATEOBJ", "EINVAL", STATUS_INVALID_PARAMETER, "the shaping-rate object is not valid"),
    Row(11031, "WSA_QOS_RESERVED_PETYPE", "EINVAL", STATUS_INVALID_PARAMETER, "a reserved policy element was found"),
)

FROM_HOST: dict[str, int] = {
    # Not the row of the same name: see above
    "EINPROGRESS": WSAEWOULDBLOCK,
    "EBADF": WSAENOTSOCK,
    # Another name or a neighbour of a row's
    "EAGAIN": WSAEWOULDBLOCK,
    "ENOTSUP": WSAEOPNOTSUPP,
    "EPIPE": WSAESHUTDOWN,
    "ESHUTDOWN": WSAESHUTDOWN,
    "EPERM": WSAEACCES,
    "ENFILE": WSAEMFILE,
    "ENOMEM": WSAENOBUFS,
    "ENOSPC": WSAENOBUFS,
    "ENOSR": WSAENOBUFS,
    "ENOLCK": WSAENOBUFS,
    "ECANCELED": WSA_OPERATION_ABORTED,
    "ERESTART": WSAEINTR,
    "ETIME": WSAETIMEDOUT,
    # The interface or the path is gone
    "ENODEV": WSAENETDOWN,
    "ENXIO": WSAENETDOWN,
    "ENONET": WSAENETDOWN,
    "ENOLINK": WSAENETDOWN,
    "ERFKILL": WSAENETDOWN,
    "EIO": WSAENETDOWN,
    "ESRCH": WSAENETUNREACH,
    # The connection broke for a reason that TCP has no word for
    "EPROTO": WSAECONNABORTED,
    "EBADMSG": WSAECONNABORTED,
    "ECOMM": WSAECONNABORTED,
    "EREMOTEIO": WSAECONNRESET,
    # The path of a local socket
    "ENOENT": WSAEADDRNOTAVAIL,
    "ENOTDIR": WSAEADDRNOTAVAIL,
    "EISDIR": WSAEADDRNOTAVAIL,
    "EROFS": WSAEACCES,
    # Keys and policies of the kernel's own encryption
    "ENOKEY": WSAEACCES,
    "EKEYEXPIRED": WSAEACCES,
    "EKEYREVOKED": WSAEACCES,
    "EKEYREJECTED": WSAEACCES,
    # Unknown calls, codes and modules
    "ENOSYS": WSAEOPNOTSUPP,
    "ENOTTY": WSAEOPNOTSUPP,
    "ENOPKG": WSAEPROTONOSUPPORT,
    "ENODATA": WSANO_DATA,
    # Arguments that are out of bounds, or come at the wrong time
    "E2BIG": WSAEMSGSIZE,
    "EOVERFLOW": WSAEMSGSIZE,
    "EFBIG": WSAEMSGSIZE,
    "EDOM": WSAEINVAL,
    "ERANGE": WSAEINVAL,
    "ESPIPE": WSAEINVAL,
    "EXDEV": WSAEINVAL,
    "EBADFD": WSAEINVAL,
    "EBUSY": WSAEINVAL,
    "EEXIST": WSAEINVAL,
    "ENOTUNIQ": WSAEADDRINUSE,
}
"""The code of each errno of the host that is not simply the twin of a row."""

FROM_STATUS: dict[int, int] = {
    STATUS_INVALID_HANDLE: WSAENOTSOCK,
    STATUS_CANCELLED: WSA_OPERATION_ABORTED,
    STATUS_PENDING: WSA_IO_PENDING,
    STATUS_INVALID_PARAMETER: WSAEINVAL,
    STATUS_NO_MEMORY: WSAENOBUFS,
    STATUS_INSUFFICIENT_RESOURCES: WSAENOBUFS,
    STATUS_BUFFER_TOO_SMALL: WSAEFAULT,
    STATUS_ACCESS_DENIED: WSAEACCES,
    STATUS_NOT_SUPPORTED: WSAEOPNOTSUPP,
    STATUS_NOT_IMPLEMENTED: WSAEOPNOTSUPP,
    STATUS_DEVICE_NOT_READY: WSAENETDOWN,
    STATUS_INVALID_DEVICE_STATE: WSAEINVAL,
    STATUS_INVALID_ADDRESS: WSAEADDRNOTAVAIL,
    STATUS_CONNECTION_RESET: WSAECONNRESET,
    STATUS_REMOTE_DISCONNECT: WSAECONNRESET,
    STATUS_CONNECTION_DISCONNECTED: WSAECONNRESET,
    STATUS_PORT_UNREACHABLE: WSAECONNRESET,
    STATUS_LOCAL_DISCONNECT: WSAECONNABORTED,
    STATUS_CONNECTION_INVALID: WSAENOTCONN,
    STATUS_FILE_FORCED_CLOSED: WSAENETDOWN,
    STATUS_ADDRESS_ALREADY_ASSOCIATED: WSAEINVAL,
    STATUS_ADDRESS_ALREADY_EXISTS: WSAEADDRINUSE,
    STATUS_TOO_MANY_ADDRESSES: WSAEADDRINUSE,
    STATUS_REQUEST_NOT_ACCEPTED: WSAECONNREFUSED,
    STATUS_IO_TIMEOUT: WSAETIMEDOUT,
    STATUS_HOST_UNREACHABLE: WSAEHOSTUNREACH,
    STATUS_NOT_FOUND: WSAHOST_NOT_FOUND,
    STATUS_NO_MATCH: WSAHOST_NOT_FOUND,
}
"""The code of each NTSTATUS that has several rows, or none."""

_UNKNOWN = WSASYSCALLFAILURE
"""The code of an errno or a status that Winsock has no word for."""


def _errno_number(name: str) -> int:
    number = getattr(_errno, name, None)
    return number if isinstance(number, int) else _errno.EINVAL


def _codes_of_errnos() -> dict[int, int]:
    # Rows first and in order, so that a shared errno goes to the code of its own name, which the exceptions override.
    codes = {}
    for row in ROWS:
        if row.name == "WSA" + row.errno and hasattr(_errno, row.errno):
            codes[_errno_number(row.errno)] = row.code
    for name, code in FROM_HOST.items():
        if hasattr(_errno, name):
            codes[_errno_number(name)] = code
    return codes


_row_of: dict[int, Row] = {row.code: row for row in ROWS}
_errno_of: dict[int, int] = {row.code: _errno_number(row.errno) for row in ROWS}
_code_of: dict[int, int] = _codes_of_errnos()
_code_of_status: dict[int, int] = {row.status: row.code for row in reversed(ROWS)} | FROM_STATUS


def name_of(code: int) -> str:
    """The name of a Winsock code, "WSAECONNREFUSED"; of a number that is none, "error 12345"."""
    row = _row_of.get(code)
    return row.name if row else f"error {code}"


def is_code(code: object) -> bool:
    """Whether a number is a Winsock code."""
    return code in _row_of


def text_of(code: int) -> str:
    """What a Winsock code says, in one line."""
    row = _row_of.get(code)
    return row.text if row else "no error of Windows Sockets"


def code_of(errno: int) -> int:
    """The Winsock code of an errno of this host; WSASYSCALLFAILURE where there is none."""
    return _code_of.get(errno, _UNKNOWN)


def errno_of(code: int) -> int:
    """The errno by which a POSIX program of this host knows a Winsock code; EIO where there is none."""
    return _errno_of.get(code, _errno.EIO)


def status_of(code: int) -> int:
    """The NTSTATUS of a Winsock code; STATUS_UNSUCCESSFUL where there is none."""
    row = _row_of.get(code)
    return row.status if row else STATUS_UNSUCCESSFUL


def code_of_status(status: int) -> int:
    """The Winsock code of an NTSTATUS; WSASYSCALLFAILURE where there is none."""
    return _code_of_status.get(status, _UNKNOWN)


class WinsockError(OSError):
    """A Winsock function failed: what SOCKET_ERROR with WSAGetLastError, or lpErrno, is in C.

    `winerror` is the Windows code, `errno` its POSIX number: the kernel's own if the error came from the kernel
    (`from_kernel`), else the twin by the table. A call that delivered data and failed all the same (WSAEMSGSIZE)
    carries `count`, `flags` and `address`, and `data` where the call has no buffer of the caller's; elsewhere they are
    None.
    """

    winerror: int
    from_kernel: bool
    count: int | None
    flags: int | None
    address: Sockaddr | None
    data: bytes | None = None

    def __init__(
        self,
        code: int,
        message: str | None = None,
        *,
        errno: int | None = None,
        count: int | None = None,
        flags: int | None = None,
        address: Sockaddr | None = None,
    ) -> None:
        super().__init__(errno_of(code) if errno is None else errno, message or text_of(code))
        self.winerror = code
        self.from_kernel = errno is not None
        self.count = count
        self.flags = flags
        self.address = address

    @property
    def name(self) -> str:
        """The name of the code, "WSAECONNREFUSED"."""
        return name_of(self.winerror)

    def __str__(self) -> str:
        return f"[{self.name} {self.winerror}] {self.strerror}"

    def __reduce__(self) -> tuple[object, ...]:
        errno = self.errno if self.from_kernel else None
        told = self.count, self.flags, self.address, self.data
        return _restored, (type(self), self.winerror, self.strerror, errno, *told)


def _restored(
    kind: type[WinsockError],
    code: int,
    message: str,
    errno: int | None,
    count: int | None,
    flags: int | None,
    address: Sockaddr | None,
    data: bytes | None,
) -> WinsockError:
    made = kind(code, message, errno=errno, count=count, flags=flags, address=address)
    made.data = data
    return made


def from_errno(errno: int, message: str | None = None) -> WinsockError:
    """The error that the kernel reported as `errno`, which it keeps."""
    return WinsockError(code_of(errno), message, errno=errno)


class ErrorCode(int):
    """A Winsock code as a value, which SO_ERROR is; it carries the kernel's own number."""

    errno: int

    def __new__(cls, code: int, errno: int | None = None) -> ErrorCode:
        self = super().__new__(cls, code)
        self.errno = errno if errno is not None else (errno_of(code) if code else 0)
        return self

    @classmethod
    def of_errno(cls, errno: int) -> ErrorCode:
        """The value for what the kernel said, 0 for 0."""
        return cls(code_of(errno) if errno else 0, errno)

    @property
    def name(self) -> str:
        """The name of the code; "0" where there was no error."""
        return name_of(self) if self else "0"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (int(self), self.errno)


class InternalError(RuntimeError):
    """A promise of this library to itself was broken: please report it, it is no fault of the caller or the peer."""
