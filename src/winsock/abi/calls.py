"""Every function of Windows Sockets 2: one row a function, 341 of them.

A row says which part it belongs to, what it is called here, which SPI function carries it, what is checked before it
runs, its parameters and results, and where it is documented. Whether we have it is not written here, because such a
column would lie some day: `docs/generate.py` asks the packages.

How a C prototype looks in Python: in-parameters in documented order, out-parameters as the result, no lengths of
buffers and no lpErrno. Where Windows has an A and a W function there is one, which takes `str`; `function` is its
name. Names of parameters are plain words, without the prefixes of their types.

What is checked before a function runs (the prologue, `dispatcher.route`):

- "none": nothing; it works before WSAStartup
- "started": WSAStartup was called, else WSANOTINITIALISED
- "handle": the same, and the first argument is a socket, whose provider gets the call, else WSAENOTSOCK
- "provider", "upcall", "kernel", "callback": nothing of ours; it is called by Ws2_32, by a provider, by a kernel-mode
  client, or is the caller's own function

Source: the header named over each group, and the page of each function in the Windows SDK and WDK documentation.
"""

from __future__ import annotations

from typing import NamedTuple

NONE = "none"
STARTED = "started"
HANDLE = "handle"
PROVIDER = "provider"
UPCALL = "upcall"
KERNEL = "kernel"
CALLBACK = "callback"


class Call(NamedTuple):
    """One function, by its Windows name."""

    name: str
    function: str
    """Its name here: without A or W."""
    part: str
    """"api", "api-extension", "spi-transport", "spi-upcall", "spi-config", "spi-namespace", or one of WSK's three."""
    prologue: str
    spi: str
    """The provider's function that carries it; empty where it ends in Ws2_32."""
    parameters: str
    results: str
    page: str
    """Header and page, as in the address of the documentation; see `url`."""
    status: str
    """On Windows: "current", "deprecated" or "removed"."""

    @property
    def url(self) -> str:
        """The address of its documentation."""
        if self.page.startswith("wsk/"):
            return f"https://learn.microsoft.com/windows-hardware/drivers/ddi/{self.page}"
        return f"https://learn.microsoft.com/windows/win32/api/{self.page}"

    @property
    def signature(self) -> str:
        """How it is called here: "(s, name) -> None"."""
        results = self.results or "None"
        return f"({self.parameters}) -> {f'({results})' if ',' in results else results}"


# Pages that are not named by the rule of their group
_PAGES = {
    "WSASetLastError": "winsock/nf-winsock-wsasetlasterror",
    "LPCONDITIONPROC": "winsock2/nf-winsock2-wsaaccept",
    "LPWSAOVERLAPPED_COMPLETION_ROUTINE": "winsock2/nc-winsock2-lpwsaoverlapped_completion_routine",
    "InetNtopA": "ws2tcpip/nf-ws2tcpip-inet_ntop",
    "InetPtonA": "ws2tcpip/nf-ws2tcpip-inet_pton",
    "LPLOOKUPSERVICE_COMPLETION_ROUTINE": "ws2tcpip/nf-ws2tcpip-getaddrinfoexw",
    "WSPStartup": "ws2spi/nf-ws2spi-wspstartup",
    "LPBLOCKINGCALLBACK": "ws2spi/nf-ws2spi-wpuqueryblockingcallback",
    "LPWSAUSERAPC": "ws2spi/nf-ws2spi-wpuqueueapc",
    "WSCWriteProviderOrder": "sporder/nf-sporder-wscwriteproviderorder",
    "WSCWriteNameSpaceOrder": "sporder/nf-sporder-wscwritenamespaceorder",
    "WSCWriteProviderOrder32": "sporder/nf-sporder-wscwriteproviderorder32",
    "WSCWriteNameSpaceOrder32": "sporder/nf-sporder-wscwritenamespaceorder32",
    "WSCEnumNameSpaceProviders": "winsock2/nf-winsock2-wsaenumnamespaceprovidersw",
    "WSCEnumNameSpaceProvidersEx": "winsock2/nf-winsock2-wsaenumnamespaceprovidersexw",
    "WSAAdvertiseProvider": "ws2spi/nf-ws2spi-wsaadvertiseprovider",
    "WSAProviderCompleteAsyncCall": "ws2spi/nf-ws2spi-wsaprovidercompleteasynccall",
    "WSAUnadvertiseProvider": "ws2spi/nf-ws2spi-wsaunadvertiseprovider",
    "NSPStartup": "ws2spi/nf-ws2spi-nspstartup",
    "WskRelease (data)": "wsk/nc-wsk-pfn_wsk_release_data_indication_list",
    "WskRelease (datagram)": "wsk/nc-wsk-pfn_wsk_release_datagram_indication_list",
}

# fmt: off
# LSPs are deprecated since Windows 8; a system that has them goes on offering these.
_DEPRECATED = frozenset((
    "inet_addr", "inet_ntoa", "gethostbyaddr", "gethostbyname", "WSAAsyncGetHostByName", "WSAAsyncGetHostByAddr",
    "gai_strerrorA", "EnumProtocolsA", "EnumProtocolsW", "GetAddressByNameA", "GetAddressByNameW", "GetTypeByNameA",
    "GetTypeByNameW", "GetNameByTypeA", "GetNameByTypeW", "SetServiceA", "SetServiceW", "GetServiceA", "GetServiceW",
    "WSCDeinstallProvider", "WSCInstallProvider", "WSCGetProviderPath", "WSCUpdateProvider", "WSCDeinstallProvider32",
    "WSCInstallProvider64_32", "WSCGetProviderPath32", "WSCUpdateProvider32", "WSCGetApplicationCategory",
    "WSCGetProviderInfo", "WSCInstallProviderAndChains", "WSCSetApplicationCategory", "WSCSetProviderInfo",
    "WSCGetProviderInfo32", "WSCInstallProviderAndChains64_32", "WSCSetProviderInfo32", "WSCWriteProviderOrder",
    "WSCWriteProviderOrder32",
))

_REMOVED = frozenset((
    "WSAIsBlocking", "WSAUnhookBlockingHook", "WSASetBlockingHook", "WSACancelBlockingCall", "WSCInstallQOSTemplate",
    "WSCRemoveQOSTemplate",
))
# fmt: on


def _calls(part: str, page: str, rows: tuple[tuple[str, str, str, str, str], ...]) -> list[Call]:
    """The rows of a group. "WSASocket = WSASocketA, WSASocketW" makes two, which are one function here."""
    calls = []
    for spelling, prologue, spi, parameters, results in rows:
        function, _, variants = spelling.partition(" = ")
        for name in variants.split(", ") if variants else (function,):
            where = _PAGES.get(name) or page.format(_page_name(name) if "-pfn_" in page else name.lower())
            calls.append(Call(name, function, part, prologue, spi, parameters, results, where, _status(name)))
    return calls


def _page_name(name: str) -> str:
    """WskGetLocalAddress is on the page wsk_get_local_address."""
    return "".join(
        "_" + letter if letter.isupper() and before.islower() else letter
        for before, letter in zip("X" + name, name, strict=False)
    ).lower()


def _status(name: str) -> str:
    return "deprecated" if name in _DEPRECATED else "removed" if name in _REMOVED else "current"


# fmt: off
ROWS: tuple[Call, ...] = (
    # The socket API (winsock2.h)
    *_calls("api", "winsock2/nf-winsock2-{}", (
        ("accept", HANDLE, "WSPAccept", "s", "handle, address"),
        ("bind", HANDLE, "WSPBind", "s, name", ""),
        ("closesocket", HANDLE, "WSPCloseSocket", "s", ""),
        ("connect", HANDLE, "WSPConnect", "s, name", ""),
        ("ioctlsocket", HANDLE, "WSPIoctl", "s, cmd, argument=0", "value"),
        ("getpeername", HANDLE, "WSPGetPeerName", "s", "address"),
        ("getsockname", HANDLE, "WSPGetSockName", "s", "address"),
        ("getsockopt", HANDLE, "WSPGetSockOpt", "s, level, optname", "value"),
        ("htonl", NONE, "", "hostlong", "netlong"),
        ("htons", NONE, "", "hostshort", "netshort"),
        ("inet_addr", NONE, "", "cp", "number"),
        ("inet_ntoa", NONE, "", "in_", "text"),
        ("listen", HANDLE, "WSPListen", "s, backlog", ""),
        ("ntohl", NONE, "", "netlong", "hostlong"),
        ("ntohs", NONE, "", "netshort", "hostshort"),
        ("recv", HANDLE, "WSPRecv", "s, length, flags=0", "data"),
        ("recvfrom", HANDLE, "WSPRecvFrom", "s, length, flags=0", "data, address"),
        ("select", STARTED, "WSPSelect",
         "nfds, readfds, writefds, exceptfds, timeout=None", "readable, writable, exceptional"),
        ("send", HANDLE, "WSPSend", "s, data, flags=0", "count"),
        ("sendto", HANDLE, "WSPSendTo", "s, data, flags, to", "count"),
        ("setsockopt", HANDLE, "WSPSetSockOpt", "s, level, optname, value", ""),
        ("shutdown", HANDLE, "WSPShutdown", "s, how", ""),
        ("socket", STARTED, "WSPSocket", "af, type, protocol", "handle"),
        ("gethostbyaddr", STARTED, "NSPLookupService*", "address, type", "host"),
        ("gethostbyname", STARTED, "NSPLookupService*", "name", "host"),
        ("gethostname = gethostname, GetHostNameW", STARTED, "", "", "name"),
        ("getservbyport", STARTED, "NSPLookupService*", "port, proto=None", "service"),
        ("getservbyname", STARTED, "NSPLookupService*", "name, proto=None", "service"),
        ("getprotobynumber", STARTED, "", "number", "protocol"),
        ("getprotobyname", STARTED, "", "name", "protocol"),
        ("WSAStartup", NONE, "WSPStartup", "version_requested", "data"),
        ("WSACleanup", STARTED, "WSPCleanup", "", ""),
        ("WSASetLastError", STARTED, "", "error", ""),
        ("WSAGetLastError", NONE, "", "", "error"),
        ("WSAIsBlocking", NONE, "", "", "blocking"),
        ("WSAUnhookBlockingHook", STARTED, "", "", ""),
        ("WSASetBlockingHook", STARTED, "", "function", "previous"),
        ("WSACancelBlockingCall", STARTED, "WSPCancelBlockingCall", "", ""),
        ("WSAAsyncGetServByName", STARTED, "", "window, message, name, proto=None", "task"),
        ("WSAAsyncGetServByPort", STARTED, "", "window, message, port, proto=None", "task"),
        ("WSAAsyncGetProtoByName", STARTED, "", "window, message, name", "task"),
        ("WSAAsyncGetProtoByNumber", STARTED, "", "window, message, number", "task"),
        ("WSAAsyncGetHostByName", STARTED, "", "window, message, name", "task"),
        ("WSAAsyncGetHostByAddr", STARTED, "", "window, message, address, type", "task"),
        ("WSACancelAsyncRequest", STARTED, "", "task", ""),
        ("WSAAsyncSelect", HANDLE, "WSPAsyncSelect", "s, window, message, events", ""),
        ("WSAAccept", HANDLE, "WSPAccept", "s, condition=None, callback_data=None", "handle, address"),
        ("WSACloseEvent", STARTED, "", "event", ""),
        ("WSAConnect", HANDLE, "WSPConnect",
         "s, name, caller_data=None, callee_data=None, sqos=None, gqos=None", "data"),
        ("WSACreateEvent", STARTED, "", "", "event"),
        ("WSADuplicateSocket = WSADuplicateSocketA, WSADuplicateSocketW", HANDLE, "WSPDuplicateSocket",
         "s, process_id", "protocol_info"),
        ("WSAEnumNetworkEvents", HANDLE, "WSPEnumNetworkEvents", "s, event=None", "network_events"),
        ("WSAEnumProtocols = WSAEnumProtocolsA, WSAEnumProtocolsW", STARTED, "", "protocols=None", "protocol_infos"),
        ("WSAEventSelect", HANDLE, "WSPEventSelect", "s, event, events", ""),
        ("WSAGetOverlappedResult", HANDLE, "WSPGetOverlappedResult", "s, overlapped, wait", "count, flags"),
        ("WSAGetQOSByName", HANDLE, "WSPGetQOSByName", "s, name", "qos"),
        ("WSAHtonl", HANDLE, "", "s, hostlong", "netlong"),
        ("WSAHtons", HANDLE, "", "s, hostshort", "netshort"),
        ("WSAIoctl", HANDLE, "WSPIoctl",
         "s, code, in_buffer=None, out_size=0, overlapped=None, completion_routine=None", "data"),
        ("WSAJoinLeaf", HANDLE, "WSPJoinLeaf", "s, name, caller_data, callee_data, sqos, gqos, flags", "handle"),
        ("WSANtohl", HANDLE, "", "s, netlong", "hostlong"),
        ("WSANtohs", HANDLE, "", "s, netshort", "hostshort"),
        ("WSARecv", HANDLE, "WSPRecv", "s, buffers, flags=0, overlapped=None, completion_routine=None", "count, flags"),
        ("WSARecvDisconnect", HANDLE, "WSPRecvDisconnect", "s", "data"),
        ("WSARecvFrom", HANDLE, "WSPRecvFrom",
         "s, buffers, flags=0, overlapped=None, completion_routine=None", "count, flags, address"),
        ("WSAResetEvent", STARTED, "", "event", ""),
        ("WSASend", HANDLE, "WSPSend", "s, buffers, flags=0, overlapped=None, completion_routine=None", "count"),
        ("WSASendDisconnect", HANDLE, "WSPSendDisconnect", "s, data=None", ""),
        ("WSASendTo", HANDLE, "WSPSendTo",
         "s, buffers, flags=0, to=None, overlapped=None, completion_routine=None", "count"),
        ("WSASetEvent", STARTED, "", "event", ""),
        ("WSASocket = WSASocketA, WSASocketW", STARTED, "WSPSocket",
         "af, type, protocol, protocol_info=None, g=0, flags=0", "handle"),
        ("WSAWaitForMultipleEvents", STARTED, "", "events, wait_all, timeout_ms, alertable=False", "index"),
        ("WSAAddressToString = WSAAddressToStringA, WSAAddressToStringW", STARTED, "WSPAddressToString",
         "address, protocol_info=None", "text"),
        ("WSAStringToAddress = WSAStringToAddressA, WSAStringToAddressW", STARTED, "WSPStringToAddress",
         "text, address_family, protocol_info=None", "address"),
        ("WSALookupServiceBegin = WSALookupServiceBeginA, WSALookupServiceBeginW", STARTED, "NSPLookupServiceBegin",
         "restrictions, control_flags", "lookup"),
        ("WSALookupServiceNext = WSALookupServiceNextA, WSALookupServiceNextW", STARTED, "NSPLookupServiceNext",
         "lookup, control_flags", "results"),
        ("WSANSPIoctl", STARTED, "NSPIoctl", "lookup, code, in_buffer=None, out_size=0, completion=None", "data"),
        ("WSALookupServiceEnd", STARTED, "NSPLookupServiceEnd", "lookup", ""),
        ("WSAInstallServiceClass = WSAInstallServiceClassA, WSAInstallServiceClassW", STARTED, "NSPInstallServiceClass",
         "service_class_info", ""),
        ("WSARemoveServiceClass", STARTED, "NSPRemoveServiceClass", "service_class_id", ""),
        ("WSAGetServiceClassInfo = WSAGetServiceClassInfoA, WSAGetServiceClassInfoW", STARTED, "NSPGetServiceClassInfo",
         "provider_id, service_class_id", "service_class_info"),
        ("WSAEnumNameSpaceProviders = WSAEnumNameSpaceProvidersA, WSAEnumNameSpaceProvidersW", STARTED, "",
         "", "namespace_infos"),
        ("WSAGetServiceClassNameByClassId = WSAGetServiceClassNameByClassIdA, WSAGetServiceClassNameByClassIdW",
         STARTED, "NSPGetServiceClassInfo", "service_class_id", "name"),
        ("WSASetService = WSASetServiceA, WSASetServiceW", STARTED, "NSPSetService",
         "registration, operation, control_flags", ""),
        ("WSAProviderConfigChange", STARTED, "",
         "notification_handle=None, overlapped=None, completion_routine=None", "notification_handle"),
        ("WSAConnectByList", HANDLE, "WSPConnect", "s, addresses, timeout=None", "local_address, remote_address"),
        ("WSAConnectByName = WSAConnectByNameA, WSAConnectByNameW", HANDLE, "NSPLookupService*, WSPConnect",
         "s, node_name, service_name, timeout=None", "local_address, remote_address"),
        ("WSAEnumNameSpaceProvidersEx = WSAEnumNameSpaceProvidersExA, WSAEnumNameSpaceProvidersExW", STARTED, "",
         "", "namespace_infos"),
        ("WSAPoll", STARTED, "WSPIoctl", "fds, timeout_ms", "ready"),
        ("WSASendMsg", HANDLE, "WSPIoctl", "s, message, flags=0, overlapped=None, completion_routine=None", "count"),
        ("__WSAFDIsSet", NONE, "", "s, fds", "is_set"),
        ("ProcessSocketNotifications", NONE, "",
         "completion_port, registrations=(), timeout_ms=0, completion_count=0", "entries"),
        ("htonll", NONE, "", "value", "net"),
        ("ntohll", NONE, "", "value", "host"),
        ("htonf", NONE, "", "value", "net"),
        ("ntohf", NONE, "", "value", "host"),
        ("htond", NONE, "", "value", "net"),
        ("ntohd", NONE, "", "value", "host"),
        ("SocketNotificationRetrieveEvents", NONE, "", "entry", "events"),
        ("FD_CLR", NONE, "", "s, fds", ""),
        ("FD_ISSET", NONE, "", "s, fds", "is_set"),
        ("FD_SET", NONE, "", "s, fds", ""),
        ("FD_ZERO", NONE, "", "fds", ""),
        ("LPCONDITIONPROC", CALLBACK, "",
         "caller_id, caller_data, sqos, gqos, callee_id, callee_data, g, callback_data", "condition"),
        ("LPWSAOVERLAPPED_COMPLETION_ROUTINE", CALLBACK, "", "error, count, overlapped, flags", ""),
    )),
    # The socket API (ws2tcpip.h)
    *_calls("api", "ws2tcpip/nf-ws2tcpip-{}", (
        ("getaddrinfo = getaddrinfo, GetAddrInfoW", STARTED, "NSPLookupService*",
         "node_name, service_name, hints=None", "addresses"),
        ("freeaddrinfo = freeaddrinfo, FreeAddrInfoW", NONE, "", "addresses", ""),
        ("getnameinfo = getnameinfo, GetNameInfoW", STARTED, "NSPLookupService*", "address, flags=0", "host, service"),
        ("GetAddrInfoEx = GetAddrInfoExA, GetAddrInfoExW", STARTED, "NSPLookupService*",
         "name, service_name, name_space, namespace_id=None, hints=None, timeout=None, overlapped=None, "
         "completion_routine=None", "addresses, name_handle"),
        ("SetAddrInfoEx = SetAddrInfoExA, SetAddrInfoExW", STARTED, "NSPv2SetServiceEx",
         "name, service_name, addresses, blob, flags, name_space, namespace_id=None, timeout=None, "
         "overlapped=None, completion_routine=None", "name_handle"),
        ("FreeAddrInfoEx = FreeAddrInfoEx, FreeAddrInfoExW", NONE, "", "addresses", ""),
        ("WSAImpersonateSocketPeer", HANDLE, "", "s, peer_address=None", ""),
        ("WSAQuerySocketSecurity", HANDLE, "",
         "s, query_template=None, overlapped=None, completion_routine=None", "query_info"),
        ("WSARevertImpersonation", NONE, "", "", ""),
        ("WSASetSocketPeerTargetName", HANDLE, "", "s, peer_target_name, overlapped=None, completion_routine=None", ""),
        ("WSASetSocketSecurity", HANDLE, "", "s, settings=None, overlapped=None, completion_routine=None", ""),
        ("InetNtop = InetNtopW, InetNtopA", NONE, "", "family, address", "text"),
        ("InetPton = InetPtonW, InetPtonA", NONE, "", "family, text", "address"),
        ("GetAddrInfoExCancel", NONE, "", "name_handle", ""),
        ("GetAddrInfoExOverlappedResult", NONE, "", "overlapped", "code"),
        ("inet_ntop", NONE, "", "family, address", "text"),
        ("inet_pton", NONE, "", "family, text", "address"),
        ("WSADeleteSocketPeerTargetName", HANDLE, "", "s, peer_address, overlapped=None, completion_routine=None", ""),
        ("getsourcefilter", HANDLE, "WSPIoctl", "s, interface, group", "filter_mode, sources"),
        ("setsourcefilter", HANDLE, "WSPIoctl", "s, interface, group, filter_mode, sources", ""),
        ("getipv4sourcefilter", HANDLE, "WSPIoctl", "s, interface, group", "filter_mode, sources"),
        ("setipv4sourcefilter", HANDLE, "WSPIoctl", "s, interface, group, filter_mode, sources", ""),
        ("WSAGetIcmpErrorInfo", HANDLE, "WSPGetSockOpt", "s", "info"),
        ("gai_strerror = gai_strerrorA, gai_strerrorW", NONE, "", "code", "text"),
        ("WSAGetFailConnectOnIcmpError", HANDLE, "WSPGetSockOpt", "s", "enabled"),
        ("WSASetFailConnectOnIcmpError", HANDLE, "WSPSetSockOpt", "s, enabled", ""),
        ("WSAGetIPUserMtu", HANDLE, "WSPGetSockOpt", "s", "mtu"),
        ("WSASetIPUserMtu", HANDLE, "WSPSetSockOpt", "s, mtu", ""),
        ("WSAGetRecvIPEcn", HANDLE, "WSPGetSockOpt", "s", "enabled"),
        ("WSASetRecvIPEcn", HANDLE, "WSPSetSockOpt", "s, enabled", ""),
        ("WSAGetUdpRecvMaxCoalescedSize", HANDLE, "WSPGetSockOpt", "s", "size"),
        ("WSASetUdpRecvMaxCoalescedSize", HANDLE, "WSPSetSockOpt", "s, size", ""),
        ("WSAGetUdpSendMessageSize", HANDLE, "WSPGetSockOpt", "s", "size"),
        ("WSASetUdpSendMessageSize", HANDLE, "WSPSetSockOpt", "s, size", ""),
        ("WSAGetUnicastReceiveSharing", HANDLE, "WSPGetSockOpt", "s", "enabled"),
        ("WSASetUnicastReceiveSharing", HANDLE, "WSPSetSockOpt", "s, enabled", ""),
        ("LPLOOKUPSERVICE_COMPLETION_ROUTINE", CALLBACK, "", "error, count, overlapped", ""),
    )),
    # Extensions (mswsock.h)
    *_calls("api-extension", "mswsock/nf-mswsock-{}", (
        ("TransmitFile", HANDLE, "WSPIoctl",
         "s, file, bytes_to_write=0, bytes_per_send=0, overlapped=None, transmit_buffers=None, flags=0", ""),
        ("AcceptEx", HANDLE, "WSPIoctl",
         "listen_socket, accept_socket, output_buffer, receive_length, overlapped", "count"),
        ("GetAcceptExSockaddrs", NONE, "WSPIoctl", "output_buffer, receive_length", "local_address, remote_address"),
        ("WSARecvEx", HANDLE, "WSPRecv", "s, buffer, flags=0", "count, flags"),
    )),
    # Extensions that are had by pointer only (mswsock.h)
    *_calls("api-extension", "mswsock/nc-mswsock-lpfn_{}", (
        ("ConnectEx", HANDLE, "WSPIoctl", "s, name, send_buffer=None, overlapped=None", "count"),
        ("DisconnectEx", HANDLE, "WSPIoctl", "s, overlapped=None, flags=0", ""),
        ("TransmitPackets", HANDLE, "WSPIoctl", "s, packets, send_size=0, overlapped=None, flags=0", ""),
        ("WSARecvMsg", HANDLE, "WSPIoctl", "s, message, overlapped=None, completion_routine=None", "count"),
    )),
    # Registered I/O (mswsockdef.h)
    *_calls("api-extension", "mswsock/nc-mswsock-lpfn_{}", (
        ("RIOCloseCompletionQueue", NONE, "WSPIoctl", "cq", ""),
        ("RIOCreateCompletionQueue", NONE, "WSPIoctl", "queue_size, notification=None", "cq"),
        ("RIOCreateRequestQueue", HANDLE, "WSPIoctl",
         "s, max_outstanding_receive, max_receive_buffers, max_outstanding_send, max_send_buffers, "
         "receive_cq, send_cq, socket_context", "rq"),
        ("RIODequeueCompletion", NONE, "WSPIoctl", "cq, size", "results"),
        ("RIODeregisterBuffer", NONE, "WSPIoctl", "buffer_id", ""),
        ("RIONotify", NONE, "WSPIoctl", "cq", ""),
        ("RIOReceive", NONE, "WSPIoctl", "rq, data, flags=0, request_context=None", ""),
        ("RIOReceiveEx", NONE, "WSPIoctl",
         "rq, data, local_address=None, remote_address=None, control_context=None, flags_buffer=None, "
         "flags=0, request_context=None", ""),
        ("RIORegisterBuffer", NONE, "WSPIoctl", "buffer", "buffer_id"),
        ("RIOResizeCompletionQueue", NONE, "WSPIoctl", "cq, queue_size", ""),
        ("RIOResizeRequestQueue", NONE, "WSPIoctl", "rq, max_outstanding_receive, max_outstanding_send", ""),
        ("RIOSend", NONE, "WSPIoctl", "rq, data, flags=0, request_context=None", ""),
        ("RIOSendEx", NONE, "WSPIoctl",
         "rq, data, local_address=None, remote_address=None, control_context=None, flags_buffer=None, "
         "flags=0, request_context=None", ""),
    )),
    # Services as Winsock 1.1 knew them (nspapi.h)
    *_calls("api-extension", "nspapi/nf-nspapi-{}", (
        ("EnumProtocols = EnumProtocolsA, EnumProtocolsW", NONE, "", "protocols=None", "protocol_infos"),
        ("GetAddressByName = GetAddressByNameA, GetAddressByNameW", NONE, "",
         "name_space, service_type, service_name, protocols, resolution, async_info=None", "addresses, alias"),
        ("GetTypeByName = GetTypeByNameA, GetTypeByNameW", NONE, "", "service_name", "service_type"),
        ("GetNameByType = GetNameByTypeA, GetNameByTypeW", NONE, "", "service_type", "service_name"),
        ("SetService = SetServiceA, SetServiceW", NONE, "",
         "name_space, operation, flags, service_info, async_info=None", "status_flags"),
        ("GetService = GetServiceA, GetServiceW", NONE, "",
         "name_space, guid, service_name, properties, async_info=None", "services"),
    )),
    # Transport providers (ws2spi.h)
    *_calls("spi-transport", "ws2spi/nc-ws2spi-lp{}", (
        ("WSPStartup", PROVIDER, "", "version, protocol_info, upcalls", "data, table"),
        ("WSPAccept", PROVIDER, "", "s, condition=None, callback_data=None", "handle, address"),
        ("WSPAddressToString", PROVIDER, "", "address, protocol_info=None", "text"),
        ("WSPAsyncSelect", PROVIDER, "", "s, window, message, events", ""),
        ("WSPBind", PROVIDER, "", "s, name", ""),
        ("WSPCancelBlockingCall", PROVIDER, "", "", ""),
        ("WSPCleanup", PROVIDER, "", "", ""),
        ("WSPCloseSocket", PROVIDER, "", "s", ""),
        ("WSPConnect", PROVIDER, "", "s, name, caller_data=None, callee_data=None, sqos=None, gqos=None", "data"),
        ("WSPDuplicateSocket", PROVIDER, "", "s, process_id", "protocol_info"),
        ("WSPEnumNetworkEvents", PROVIDER, "", "s, event", "network_events"),
        ("WSPEventSelect", PROVIDER, "", "s, event, events", ""),
        ("WSPGetOverlappedResult", PROVIDER, "", "s, overlapped, wait", "count, flags"),
        ("WSPGetPeerName", PROVIDER, "", "s", "address"),
        ("WSPGetSockName", PROVIDER, "", "s", "address"),
        ("WSPGetSockOpt", PROVIDER, "", "s, level, optname", "value"),
        ("WSPGetQOSByName", PROVIDER, "", "s, name", "qos"),
        ("WSPIoctl", PROVIDER, "",
         "s, code, in_buffer=None, out_size=0, overlapped=None, completion_routine=None, thread_id=None", "data"),
        ("WSPJoinLeaf", PROVIDER, "", "s, name, caller_data, callee_data, sqos, gqos, flags", "handle"),
        ("WSPListen", PROVIDER, "", "s, backlog", ""),
        ("WSPRecv", PROVIDER, "",
         "s, buffers, flags=0, overlapped=None, completion_routine=None, thread_id=None", "count, flags"),
        ("WSPRecvDisconnect", PROVIDER, "", "s", "data"),
        ("WSPRecvFrom", PROVIDER, "",
         "s, buffers, flags=0, overlapped=None, completion_routine=None, thread_id=None", "count, flags, address"),
        ("WSPSelect", PROVIDER, "", "nfds, readfds, writefds, exceptfds, timeout", "readable, writable, exceptional"),
        ("WSPSend", PROVIDER, "",
         "s, buffers, flags=0, overlapped=None, completion_routine=None, thread_id=None", "count"),
        ("WSPSendDisconnect", PROVIDER, "", "s, data=None", ""),
        ("WSPSendTo", PROVIDER, "",
         "s, buffers, flags=0, to=None, overlapped=None, completion_routine=None, thread_id=None", "count"),
        ("WSPSetSockOpt", PROVIDER, "", "s, level, optname, value", ""),
        ("WSPShutdown", PROVIDER, "", "s, how", ""),
        ("WSPSocket", PROVIDER, "", "af, type, protocol, protocol_info=None, g=0, flags=0", "handle"),
        ("WSPStringToAddress", PROVIDER, "", "text, address_family, protocol_info=None", "address"),
    )),
    # Upcalls (ws2spi.h)
    *_calls("spi-upcall", "ws2spi/nf-ws2spi-{}", (
        ("WPUCloseEvent", UPCALL, "", "event", ""),
        ("WPUCloseSocketHandle", UPCALL, "", "s", ""),
        ("WPUCreateEvent", UPCALL, "", "", "event"),
        ("WPUCreateSocketHandle", UPCALL, "", "catalog_entry_id, context", "handle"),
        ("WPUFDIsSet", UPCALL, "", "s, fdset", "is_set"),
        ("WPUGetProviderPath", UPCALL, "", "provider_id", "path"),
        ("WPUModifyIFSHandle", UPCALL, "", "catalog_entry_id, proposed_handle", "handle"),
        ("WPUPostMessage", UPCALL, "", "window, message, wparam, lparam", "is_posted"),
        ("WPUQueryBlockingCallback", UPCALL, "", "catalog_entry_id", "callback, context"),
        ("WPUQuerySocketHandleContext", UPCALL, "", "s", "context"),
        ("WPUQueueApc", UPCALL, "", "thread_id, apc, context", ""),
        ("WPUResetEvent", UPCALL, "", "event", ""),
        ("WPUSetEvent", UPCALL, "", "event", ""),
        ("WPUCompleteOverlappedRequest", UPCALL, "", "s, overlapped, error, transferred", ""),
        ("WPUOpenCurrentThread", UPCALL, "", "", "thread_id"),
        ("WPUCloseThread", UPCALL, "", "thread_id", ""),
        ("LPBLOCKINGCALLBACK", CALLBACK, "", "context", "go_on"),
        ("LPWSAUSERAPC", CALLBACK, "", "context", ""),
    )),
    # Configuration (ws2spi.h, sporder.h)
    *_calls("spi-config", "ws2spi/nf-ws2spi-{}", (
        ("WSCEnumProtocols", NONE, "", "protocols=None", "protocol_infos"),
        ("WSCDeinstallProvider", NONE, "", "provider_id", ""),
        ("WSCInstallProvider", NONE, "", "provider_id, path, protocol_infos", ""),
        ("WSCGetProviderPath", NONE, "", "provider_id", "path"),
        ("WSCUpdateProvider", NONE, "", "provider_id, path, protocol_infos", ""),
        ("WSCInstallQOSTemplate", NONE, "", "guid, name, qos", ""),
        ("WSCRemoveQOSTemplate", NONE, "", "guid, name", ""),
        ("WSCEnumProtocols32", NONE, "", "protocols=None", "protocol_infos"),
        ("WSCDeinstallProvider32", NONE, "", "provider_id", ""),
        ("WSCInstallProvider64_32", NONE, "", "provider_id, path, protocol_infos", ""),
        ("WSCGetProviderPath32", NONE, "", "provider_id", "path"),
        ("WSCUpdateProvider32", NONE, "", "provider_id, path, protocol_infos", ""),
        ("WSCEnumNameSpaceProviders32", STARTED, "", "", "namespace_infos"),
        ("WSCInstallNameSpace", NONE, "", "identifier, path, name_space, version, provider_id", ""),
        ("WSCUnInstallNameSpace", NONE, "", "provider_id", ""),
        ("WSCEnableNSProvider", NONE, "", "provider_id, enable", ""),
        ("WSCInstallNameSpace32", NONE, "", "identifier, path, name_space, version, provider_id", ""),
        ("WSCUnInstallNameSpace32", NONE, "", "provider_id", ""),
        ("WSCEnableNSProvider32", NONE, "", "provider_id, enable", ""),
        ("WSCGetApplicationCategory", NONE, "", "path, extra", "categories"),
        ("WSCGetProviderInfo", NONE, "", "provider_id, info_type, flags=0", "info"),
        ("WSCInstallProviderAndChains", NONE, "",
         "provider_id, path, name, service_flags, protocol_infos=None", "catalog_entry_id"),
        ("WSCSetApplicationCategory", NONE, "", "path, extra, categories", "previous"),
        ("WSCSetProviderInfo", NONE, "", "provider_id, info_type, info, flags=0", ""),
        ("WSCInstallNameSpaceEx", NONE, "", "identifier, path, name_space, version, provider_id, provider_info", ""),
        ("WSCEnumNameSpaceProvidersEx32", STARTED, "", "", "namespace_infos"),
        ("WSCGetProviderInfo32", NONE, "", "provider_id, info_type, flags=0", "info"),
        ("WSCInstallNameSpaceEx32", NONE, "", "identifier, path, name_space, version, provider_id, provider_info", ""),
        ("WSCInstallProviderAndChains64_32", NONE, "",
         "provider_id, path, path32, name, service_flags, protocol_infos=None", "catalog_entry_id"),
        ("WSCSetProviderInfo32", NONE, "", "provider_id, info_type, info, flags=0", ""),
        ("WSCWriteProviderOrder", NONE, "", "catalog_entry_ids", ""),
        ("WSCWriteNameSpaceOrder", NONE, "", "provider_ids", ""),
        ("WSCWriteProviderOrder32", NONE, "", "catalog_entry_ids", ""),
        ("WSCWriteNameSpaceOrder32", NONE, "", "provider_ids", ""),
        ("WSCEnumNameSpaceProviders", STARTED, "", "", "namespace_infos"),
        ("WSCEnumNameSpaceProvidersEx", STARTED, "", "", "namespace_infos"),
    )),
    # Name-space providers (ws2spi.h)
    *_calls("spi-namespace", "ws2spi/nc-ws2spi-lp{}", (
        ("WSAAdvertiseProvider", STARTED, "", "provider_id, routines", ""),
        ("WSAProviderCompleteAsyncCall", STARTED, "", "async_call, code", ""),
        ("WSAUnadvertiseProvider", STARTED, "", "provider_id", ""),
        ("NSPStartup", PROVIDER, "", "provider_id", "routines"),
        ("NSPCleanup", PROVIDER, "", "provider_id", ""),
        ("NSPLookupServiceBegin", PROVIDER, "",
         "provider_id, restrictions, service_class_info, control_flags", "lookup"),
        ("NSPLookupServiceNext", PROVIDER, "", "lookup, control_flags", "results"),
        ("NSPLookupServiceEnd", PROVIDER, "", "lookup", ""),
        ("NSPSetService", PROVIDER, "", "provider_id, service_class_info, registration, operation, control_flags", ""),
        ("NSPInstallServiceClass", PROVIDER, "", "provider_id, service_class_info", ""),
        ("NSPRemoveServiceClass", PROVIDER, "", "provider_id, service_class_id", ""),
        ("NSPGetServiceClassInfo", PROVIDER, "", "provider_id, service_class_info", "service_class_info"),
        ("NSPIoctl", PROVIDER, "", "lookup, code, in_buffer=None, out_size=0, completion=None, thread_id=None", "data"),
        ("NSPv2Startup", PROVIDER, "", "provider_id", "session"),
        ("NSPv2Cleanup", PROVIDER, "", "provider_id, session", ""),
        ("NSPv2LookupServiceBegin", PROVIDER, "", "provider_id, restrictions, control_flags, session", "lookup"),
        ("NSPv2LookupServiceNextEx", PROVIDER, "", "async_call, lookup, control_flags", "results"),
        ("NSPv2LookupServiceEnd", PROVIDER, "", "lookup", ""),
        ("NSPv2SetServiceEx", PROVIDER, "",
         "async_call, provider_id, registration, operation, control_flags, session", ""),
        ("NSPv2ClientSessionRundown", PROVIDER, "", "provider_id, session", ""),
    )),
    # Winsock Kernel: registration (wsk.h)
    *_calls("wsk-registration", "wsk/nf-wsk-{}", (
        ("WskRegister", KERNEL, "", "client_npi, registration", "status"),
        ("WskDeregister", KERNEL, "", "registration", ""),
        ("WskCaptureProviderNPI", KERNEL, "", "registration, wait_timeout", "status, provider_npi"),
        ("WskReleaseProviderNPI", KERNEL, "", "registration", ""),
        ("WskQueryProviderCharacteristics", KERNEL, "", "registration", "status, characteristics"),
    )),
    # Winsock Kernel: the provider's functions (wsk.h)
    *_calls("wsk-provider", "wsk/nc-wsk-pfn_{}", (
        ("WskSocket", KERNEL, "",
         "client, address_family, socket_type, protocol, flags, socket_context, dispatch, owning_process, "
         "owning_thread, security_descriptor, irp", "status"),
        ("WskSocketConnect", KERNEL, "",
         "client, socket_type, protocol, local_address, remote_address, flags, socket_context, dispatch, "
         "owning_process, owning_thread, security_descriptor, irp", "status"),
        ("WskControlClient", KERNEL, "", "client, control_code, input_buffer, output_buffer, irp", "status, count"),
        ("WskGetAddressInfo", KERNEL, "",
         "client, node_name, service_name, name_space, provider, hints, owning_process, owning_thread, irp", "status"),
        ("WskFreeAddressInfo", KERNEL, "", "client, address_info", ""),
        ("WskGetNameInfo", KERNEL, "",
         "client, address, node_name, service_name, flags, owning_process, owning_thread, irp", "status"),
        ("WskControlSocket", KERNEL, "",
         "socket, request_type, control_code, level, input_buffer, output_buffer, irp", "status, count"),
        ("WskCloseSocket", KERNEL, "", "socket, irp", "status"),
        ("WskBind", KERNEL, "", "socket, local_address, flags, irp", "status"),
        ("WskConnect", KERNEL, "", "socket, remote_address, flags, irp", "status"),
        ("WskConnectEx", KERNEL, "", "socket, remote_address, buffer, flags, irp", "status"),
        ("WskListen", KERNEL, "", "socket, irp", "status"),
        ("WskAccept", KERNEL, "",
         "listen_socket, flags, accept_socket_context, accept_socket_dispatch, local_address, remote_address, "
         "irp", "status"),
        ("WskInspectComplete", KERNEL, "", "listen_socket, inspect_id, action, irp", "status"),
        ("WskSendTo", KERNEL, "", "socket, buffer, flags, remote_address, control_info, irp", "status"),
        ("WskSendMessages", KERNEL, "", "socket, buffers, flags, remote_address, control_info, irp", "status"),
        ("WskReceiveFrom", KERNEL, "", "socket, buffer, flags, remote_address, control_info, irp", "status"),
        ("WskGetLocalAddress", KERNEL, "", "socket, local_address, irp", "status"),
        ("WskGetRemoteAddress", KERNEL, "", "socket, remote_address, irp", "status"),
        ("WskRelease = WskRelease (data)", KERNEL, "", "socket, data_indication", "status"),
        ("WskRelease = WskRelease (datagram)", KERNEL, "", "socket, datagram_indication", "status"),
        ("WskSend", KERNEL, "", "socket, buffer, flags, irp", "status"),
        ("WskReceive", KERNEL, "", "socket, buffer, flags, irp", "status"),
        ("WskDisconnect", KERNEL, "", "socket, buffer, flags, irp", "status"),
    )),
    # Winsock Kernel: a client's callbacks (wsk.h)
    *_calls("wsk-client-event", "wsk/nc-wsk-pfn_{}", (
        ("WskClientEvent", CALLBACK, "", "client_context, event_type, information", "status"),
        ("WskReceiveFromEvent", CALLBACK, "", "socket_context, flags, data_indication", "status"),
        ("WskAcceptEvent", CALLBACK, "",
         "socket_context, flags, local_address, remote_address, "
         "accept_socket", "status, accept_socket_context, accept_socket_dispatch"),
        ("WskInspectEvent", CALLBACK, "", "socket_context, local_address, remote_address, inspect_id", "action"),
        ("WskAbortEvent", CALLBACK, "", "socket_context, inspect_id", "status"),
        ("WskSendBacklogEvent", CALLBACK, "", "socket_context, ideal_backlog_size", "status"),
        ("WskReceiveEvent", CALLBACK, "",
         "socket_context, flags, data_indication, bytes_indicated", "status, bytes_accepted"),
        ("WskDisconnectEvent", CALLBACK, "", "socket_context, flags", "status"),
    )),
)
# fmt: on

_by_name = {row.name: row for row in ROWS}


def find(name: str) -> Call | None:
    """The row of a function by its Windows name."""
    return _by_name.get(name)
