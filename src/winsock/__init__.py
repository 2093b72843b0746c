"""Windows Sockets 2 for Python: the API, providers, layers, and any Linux program's sockets opened through them.

Nothing is imported before it is asked for. `_NAMES` says where each public name lives; constants and error codes
(`AF_INET`, `WSAECONNREFUSED`) are looked for in the modules of `_CONSTANTS`. `from winsock import *` asks for them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winsock.abi.constants import *  # noqa: F403
    from winsock.abi.errors import *  # noqa: F403
    from winsock.abi.guids import GUID as GUID
    from winsock.abi.message import WSA_CMSG_LEN as WSA_CMSG_LEN
    from winsock.abi.message import WSA_CMSG_SPACE as WSA_CMSG_SPACE
    from winsock.abi.message import WSACMSGHDR as WSACMSGHDR
    from winsock.abi.message import WSAMSG as WSAMSG
    from winsock.abi.message import pack_control as pack_control
    from winsock.abi.message import unpack_control as unpack_control
    from winsock.abi.options import Linger as Linger
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO as WSAPROTOCOL_INFO
    from winsock.abi.protocol_info import WSAPROTOCOLCHAIN as WSAPROTOCOLCHAIN
    from winsock.abi.sockaddr import Sockaddr as Sockaddr
    from winsock.abi.sockaddr import SockaddrHv as SockaddrHv
    from winsock.abi.sockaddr import SockaddrIn as SockaddrIn
    from winsock.abi.sockaddr import SockaddrIn6 as SockaddrIn6
    from winsock.abi.sockaddr import SockaddrOther as SockaddrOther
    from winsock.abi.sockaddr import SockaddrUn as SockaddrUn
    from winsock.api.blocking import *  # noqa: F403
    from winsock.api.byteorder import *  # noqa: F403
    from winsock.api.completion import *  # noqa: F403
    from winsock.api.connecting import *  # noqa: F403
    from winsock.api.databases import *  # noqa: F403
    from winsock.api.events import *  # noqa: F403
    from winsock.api.extensions import *  # noqa: F403
    from winsock.api.hosts import *  # noqa: F403
    from winsock.api.install import *  # noqa: F403
    from winsock.api.lookups import *  # noqa: F403
    from winsock.api.multipoint import *  # noqa: F403
    from winsock.api.names import *  # noqa: F403
    from winsock.api.namespaces import *  # noqa: F403
    from winsock.api.options import *  # noqa: F403
    from winsock.api.quality import *  # noqa: F403
    from winsock.api.security import *  # noqa: F403
    from winsock.api.settings import *  # noqa: F403
    from winsock.api.sharing import *  # noqa: F403
    from winsock.api.sockets import *  # noqa: F403
    from winsock.api.startup import *  # noqa: F403
    from winsock.api.transfer import *  # noqa: F403
    from winsock.api.waiting import *  # noqa: F403
    from winsock.catalog.entries import Catalog as Catalog
    from winsock.catalog.entries import LayerSpec as LayerSpec
    from winsock.core.netevents import NetworkEvents as NetworkEvents
    from winsock.dispatcher.process import WSADATA as WSADATA
    from winsock.dispatcher.process import started as started
    from winsock.dispatcher.redirector import as_file as as_file
    from winsock.overlapped.messages import Message as Message
    from winsock.overlapped.messages import MessageQueue as MessageQueue
    from winsock.spi.calling import Call as Call
    from winsock.spi.calling import current_call as current_call
    from winsock.spi.extensions import ExtensionFunction as ExtensionFunction
    from winsock.spi.handles import NonIfsLayer as NonIfsLayer
    from winsock.spi.layer import Layer as Layer
    from winsock.spi.provider import WSPDATA as WSPDATA
    from winsock.spi.provider import ProcTable as ProcTable
    from winsock.spi.provider import Provider as Provider
    from winsock.spi.stats import Stats as Stats
    from winsock.spi.stream import StreamLayer as StreamLayer
    from winsock.spi.upcalls import WSATHREADID as WSATHREADID
    from winsock.spi.upcalls import Upcalls as Upcalls

__version__ = "0.1.0"

_NAMES = {
    "Call": "winsock.spi.calling",
    "Catalog": "winsock.catalog.entries",
    "ErrorCode": "winsock.abi.errors",
    "ExtensionFunction": "winsock.spi.extensions",
    "FreeAddrInfoEx": "winsock.api.lookups",
    "GUID": "winsock.abi.guids",
    "GetAddrInfoEx": "winsock.api.lookups",
    "GetAddrInfoExCancel": "winsock.api.lookups",
    "GetAddrInfoExOverlappedResult": "winsock.api.lookups",
    "InetNtop": "winsock.api.names",
    "InetPton": "winsock.api.names",
    "InternalError": "winsock.abi.errors",
    "Layer": "winsock.spi.layer",
    "LayerSpec": "winsock.catalog.entries",
    "Linger": "winsock.abi.options",
    "Message": "winsock.overlapped.messages",
    "MessageQueue": "winsock.overlapped.messages",
    "NetworkEvents": "winsock.core.netevents",
    "NonIfsLayer": "winsock.spi.handles",
    "ProcTable": "winsock.spi.provider",
    "ProcessSocketNotifications": "winsock.api.completion",
    "Provider": "winsock.spi.provider",
    "SetAddrInfoEx": "winsock.api.lookups",
    "Sockaddr": "winsock.abi.sockaddr",
    "SockaddrHv": "winsock.abi.sockaddr",
    "SockaddrIn": "winsock.abi.sockaddr",
    "SockaddrIn6": "winsock.abi.sockaddr",
    "SockaddrOther": "winsock.abi.sockaddr",
    "SockaddrUn": "winsock.abi.sockaddr",
    "SocketNotificationRetrieveEvents": "winsock.api.completion",
    "Stats": "winsock.spi.stats",
    "StreamLayer": "winsock.spi.stream",
    "Upcalls": "winsock.spi.upcalls",
    "WPUCompleteOverlappedRequest": "winsock.api.completion",
    "WSAAccept": "winsock.api.sockets",
    "WSAAddressToString": "winsock.api.names",
    "WSAAdvertiseProvider": "winsock.api.namespaces",
    "WSAAsyncGetHostByAddr": "winsock.api.databases",
    "WSAAsyncGetHostByName": "winsock.api.databases",
    "WSAAsyncGetProtoByName": "winsock.api.databases",
    "WSAAsyncGetProtoByNumber": "winsock.api.databases",
    "WSAAsyncGetServByName": "winsock.api.databases",
    "WSAAsyncGetServByPort": "winsock.api.databases",
    "WSAAsyncSelect": "winsock.api.events",
    "WSACancelAsyncRequest": "winsock.api.databases",
    "WSACMSGHDR": "winsock.abi.message",
    "WSACancelBlockingCall": "winsock.api.blocking",
    "WSACleanup": "winsock.api.startup",
    "WSACloseEvent": "winsock.api.events",
    "WSAConnect": "winsock.api.sockets",
    "WSAConnectByList": "winsock.api.connecting",
    "WSAConnectByName": "winsock.api.connecting",
    "WSACreateEvent": "winsock.api.events",
    "WSADATA": "winsock.dispatcher.process",
    "WSADeleteSocketPeerTargetName": "winsock.api.security",
    "WSADuplicateSocket": "winsock.api.sharing",
    "WSAEnumNameSpaceProviders": "winsock.api.namespaces",
    "WSAEnumNameSpaceProvidersEx": "winsock.api.namespaces",
    "WSAEnumNetworkEvents": "winsock.api.events",
    "WSAEnumProtocols": "winsock.api.sockets",
    "WSAEventSelect": "winsock.api.events",
    "WSAGetFailConnectOnIcmpError": "winsock.api.settings",
    "WSAGetIPUserMtu": "winsock.api.settings",
    "WSAGetIcmpErrorInfo": "winsock.api.settings",
    "WSAGetLastError": "winsock.api.startup",
    "WSAGetOverlappedResult": "winsock.api.completion",
    "WSAGetQOSByName": "winsock.api.quality",
    "WSAGetRecvIPEcn": "winsock.api.settings",
    "WSAGetServiceClassInfo": "winsock.api.lookups",
    "WSAGetServiceClassNameByClassId": "winsock.api.lookups",
    "WSAGetUdpRecvMaxCoalescedSize": "winsock.api.settings",
    "WSAGetUdpSendMessageSize": "winsock.api.settings",
    "WSAGetUnicastReceiveSharing": "winsock.api.settings",
    "WSAHtonl": "winsock.api.byteorder",
    "WSAHtons": "winsock.api.byteorder",
    "WSAImpersonateSocketPeer": "winsock.api.security",
    "WSAInstallServiceClass": "winsock.api.lookups",
    "WSAIoctl": "winsock.api.options",
    "WSAIsBlocking": "winsock.api.blocking",
    "WSAJoinLeaf": "winsock.api.multipoint",
    "WSALookupServiceBegin": "winsock.api.lookups",
    "WSALookupServiceEnd": "winsock.api.lookups",
    "WSALookupServiceNext": "winsock.api.lookups",
    "WSAMSG": "winsock.abi.message",
    "WSANSPIoctl": "winsock.api.lookups",
    "WSANtohl": "winsock.api.byteorder",
    "WSANtohs": "winsock.api.byteorder",
    "WSAPROTOCOLCHAIN": "winsock.abi.protocol_info",
    "WSAPROTOCOL_INFO": "winsock.abi.protocol_info",
    "WSAPoll": "winsock.api.waiting",
    "WSAProviderCompleteAsyncCall": "winsock.api.namespaces",
    "WSAProviderConfigChange": "winsock.api.install",
    "WSAQuerySocketSecurity": "winsock.api.security",
    "WSARecv": "winsock.api.transfer",
    "WSARecvDisconnect": "winsock.api.transfer",
    "WSARecvEx": "winsock.api.extensions",
    "WSARecvFrom": "winsock.api.transfer",
    "WSARemoveServiceClass": "winsock.api.lookups",
    "WSAResetEvent": "winsock.api.events",
    "WSARevertImpersonation": "winsock.api.security",
    "WSASend": "winsock.api.transfer",
    "WSASendDisconnect": "winsock.api.transfer",
    "WSASendMsg": "winsock.api.extensions",
    "WSASendTo": "winsock.api.transfer",
    "WSASetBlockingHook": "winsock.api.blocking",
    "WSASetEvent": "winsock.api.events",
    "WSASetFailConnectOnIcmpError": "winsock.api.settings",
    "WSASetIPUserMtu": "winsock.api.settings",
    "WSASetLastError": "winsock.api.startup",
    "WSASetRecvIPEcn": "winsock.api.settings",
    "WSASetService": "winsock.api.lookups",
    "WSASetSocketPeerTargetName": "winsock.api.security",
    "WSASetSocketSecurity": "winsock.api.security",
    "WSASetUdpRecvMaxCoalescedSize": "winsock.api.settings",
    "WSASetUdpSendMessageSize": "winsock.api.settings",
    "WSASetUnicastReceiveSharing": "winsock.api.settings",
    "WSASocket": "winsock.api.sockets",
    "WSAStartup": "winsock.api.startup",
    "WSAStringToAddress": "winsock.api.names",
    "WSATHREADID": "winsock.spi.upcalls",
    "WSAUnadvertiseProvider": "winsock.api.namespaces",
    "WSAUnhookBlockingHook": "winsock.api.blocking",
    "WSAWaitForMultipleEvents": "winsock.api.events",
    "WSA_CMSG_LEN": "winsock.abi.message",
    "WSA_CMSG_SPACE": "winsock.abi.message",
    "WSCDeinstallProvider": "winsock.api.install",
    "WSCDeinstallProvider32": "winsock.api.install",
    "WSCEnableNSProvider": "winsock.api.namespaces",
    "WSCEnableNSProvider32": "winsock.api.namespaces",
    "WSCEnumNameSpaceProviders": "winsock.api.namespaces",
    "WSCEnumNameSpaceProviders32": "winsock.api.namespaces",
    "WSCEnumNameSpaceProvidersEx": "winsock.api.namespaces",
    "WSCEnumNameSpaceProvidersEx32": "winsock.api.namespaces",
    "WSCEnumProtocols": "winsock.api.install",
    "WSCEnumProtocols32": "winsock.api.install",
    "WSCGetApplicationCategory": "winsock.api.install",
    "WSCGetProviderInfo": "winsock.api.install",
    "WSCGetProviderInfo32": "winsock.api.install",
    "WSCGetProviderPath": "winsock.api.install",
    "WSCGetProviderPath32": "winsock.api.install",
    "WSCInstallNameSpace": "winsock.api.namespaces",
    "WSCInstallNameSpace32": "winsock.api.namespaces",
    "WSCInstallNameSpaceEx": "winsock.api.namespaces",
    "WSCInstallNameSpaceEx32": "winsock.api.namespaces",
    "WSCInstallProvider": "winsock.api.install",
    "WSCInstallProvider64_32": "winsock.api.install",
    "WSCInstallProviderAndChains": "winsock.api.install",
    "WSCInstallProviderAndChains64_32": "winsock.api.install",
    "WSCInstallQOSTemplate": "winsock.api.quality",
    "WSCRemoveQOSTemplate": "winsock.api.quality",
    "WSCSetApplicationCategory": "winsock.api.install",
    "WSCSetProviderInfo": "winsock.api.install",
    "WSCSetProviderInfo32": "winsock.api.install",
    "WSCUnInstallNameSpace": "winsock.api.namespaces",
    "WSCUnInstallNameSpace32": "winsock.api.namespaces",
    "WSCUpdateProvider": "winsock.api.install",
    "WSCUpdateProvider32": "winsock.api.install",
    "WSCWriteNameSpaceOrder": "winsock.api.namespaces",
    "WSCWriteNameSpaceOrder32": "winsock.api.namespaces",
    "WSCWriteProviderOrder": "winsock.api.install",
    "WSCWriteProviderOrder32": "winsock.api.install",
    "WSPDATA": "winsock.spi.provider",
    "WinsockError": "winsock.abi.errors",
    "accept": "winsock.api.sockets",
    "as_file": "winsock.dispatcher.redirector",
    "bind": "winsock.api.sockets",
    "closesocket": "winsock.api.sockets",
    "connect": "winsock.api.sockets",
    "current_call": "winsock.spi.calling",
    "freeaddrinfo": "winsock.api.lookups",
    "gai_strerror": "winsock.api.lookups",
    "getaddrinfo": "winsock.api.lookups",
    "gethostbyaddr": "winsock.api.databases",
    "gethostbyname": "winsock.api.databases",
    "gethostname": "winsock.api.hosts",
    "getipv4sourcefilter": "winsock.api.multipoint",
    "getnameinfo": "winsock.api.lookups",
    "getpeername": "winsock.api.sockets",
    "getprotobyname": "winsock.api.databases",
    "getprotobynumber": "winsock.api.databases",
    "getservbyname": "winsock.api.databases",
    "getservbyport": "winsock.api.databases",
    "getsockname": "winsock.api.sockets",
    "getsockopt": "winsock.api.options",
    "getsourcefilter": "winsock.api.multipoint",
    "htond": "winsock.api.byteorder",
    "htonf": "winsock.api.byteorder",
    "htonl": "winsock.api.byteorder",
    "htonll": "winsock.api.byteorder",
    "htons": "winsock.api.byteorder",
    "inet_addr": "winsock.api.names",
    "inet_ntoa": "winsock.api.names",
    "inet_ntop": "winsock.api.names",
    "inet_pton": "winsock.api.names",
    "ioctlsocket": "winsock.api.options",
    "listen": "winsock.api.sockets",
    "ntohd": "winsock.api.byteorder",
    "ntohf": "winsock.api.byteorder",
    "ntohl": "winsock.api.byteorder",
    "ntohll": "winsock.api.byteorder",
    "ntohs": "winsock.api.byteorder",
    "pack_control": "winsock.abi.message",
    "recv": "winsock.api.transfer",
    "recvfrom": "winsock.api.transfer",
    "select": "winsock.api.waiting",
    "send": "winsock.api.transfer",
    "sendto": "winsock.api.transfer",
    "setipv4sourcefilter": "winsock.api.multipoint",
    "setsockopt": "winsock.api.options",
    "setsourcefilter": "winsock.api.multipoint",
    "shutdown": "winsock.api.sockets",
    "socket": "winsock.api.sockets",
    "started": "winsock.dispatcher.process",
    "unpack_control": "winsock.abi.message",
}
"""Public name -> the module that it lives in."""

_CONSTANTS = ("winsock.abi.constants", "winsock.abi.errors")


if not TYPE_CHECKING:  # type checkers know every name

    def __getattr__(name: str) -> object:
        from importlib import import_module

        module = _NAMES.get(name)
        if module is not None:
            value: object = getattr(import_module(module), name)
            globals()[name] = value
            return value
        if name == "__all__":
            return __dir__()
        if not name.startswith("_"):
            for module in _CONSTANTS:
                value = getattr(import_module(module), name, None)
                if isinstance(value, int):
                    globals()[name] = value
                    return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, the constants among them."""
    from importlib import import_module

    found = (pair for module in _CONSTANTS for pair in vars(import_module(module)).items())
    return sorted({*_NAMES, *(name for name, value in found if isinstance(value, int) and name[0] != "_")})
