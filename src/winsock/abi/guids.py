"""GUIDs, in Windows' layout and registry form, and the well-known ones.

`uuid` is not used: its import costs more than everything else of this floor together.

Sources: mswsock.h, nspapi.h and svcguid.h of the Windows SDK; wsk.h of the WDK.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

_LAYOUT = Struct("<IHH8s")
_DIGITS = frozenset("0123456789abcdefABCDEF")


class GUID(NamedTuple):
    """A globally unique identifier; `Data4` holds 8 bytes."""

    Data1: int
    Data2: int
    Data3: int
    Data4: bytes

    def __str__(self) -> str:
        """Registry form, "{b5367df0-cbac-11cf-95ca-00805f48a192}"."""
        tail = self.Data4.hex()
        return f"{{{self.Data1:08x}-{self.Data2:04x}-{self.Data3:04x}-{tail[:4]}-{tail[4:]}}}"

    def pack(self) -> bytes:
        """The 16 bytes that Windows keeps: the first three fields little-endian."""
        return _LAYOUT.pack(*self)

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview) -> GUID:
        """The GUID in the first 16 bytes; ValueError where there are fewer."""
        if len(data) < _LAYOUT.size:
            raise ValueError(f"a GUID has {_LAYOUT.size} bytes, not {len(data)}")
        return cls(*_LAYOUT.unpack_from(data))

    @classmethod
    def parse(cls, text: str) -> GUID:
        """The GUID that the text spells in registry form, with or without braces; ValueError for anything else."""
        parts = (text[1:-1] if text[:1] == "{" and text[-1:] == "}" else text).split("-")
        if [len(part) for part in parts] != [8, 4, 4, 4, 12] or not _DIGITS.issuperset("".join(parts)):
            raise ValueError(f"not a GUID: {text!r}")
        first, second, third = (int(part, 16) for part in parts[:3])
        return cls(first, second, third, bytes.fromhex(parts[3] + parts[4]))


GUID_NULL = GUID(0, 0, 0, bytes(8))

# Extension functions, for SIO_GET_EXTENSION_FUNCTION_POINTER
WSAID_TRANSMITFILE = GUID(0xB5367DF0, 0xCBAC, 0x11CF, bytes.fromhex("95ca00805f48a192"))
WSAID_ACCEPTEX = GUID(0xB5367DF1, 0xCBAC, 0x11CF, bytes.fromhex("95ca00805f48a192"))
WSAID_GETACCEPTEXSOCKADDRS = GUID(0xB5367DF2, 0xCBAC, 0x11CF, bytes.fromhex("95ca00805f48a192"))
WSAID_TRANSMITPACKETS = GUID(0xD9689DA0, 0x1F90, 0x11D3, bytes.fromhex("997100c04f68c876"))
WSAID_CONNECTEX = GUID(0x25A207B9, 0xDDF3, 0x4660, bytes.fromhex("8ee976e58c74063e"))
WSAID_DISCONNECTEX = GUID(0x7FDA2E11, 0x8630, 0x436F, bytes.fromhex("a031f536a6eec157"))
WSAID_WSARECVMSG = GUID(0xF689D7C8, 0x6F1F, 0x436B, bytes.fromhex("8a53e54fe351c322"))
WSAID_WSAPOLL = GUID(0x18C76F85, 0xDC66, 0x4964, bytes.fromhex("972e23c27238312b"))
WSAID_WSASENDMSG = GUID(0xA441E712, 0x754F, 0x43CA, bytes.fromhex("84a70dee44cf606d"))

# The table of registered I/O, for SIO_GET_MULTIPLE_EXTENSION_FUNCTION_POINTER
WSAID_MULTIPLE_RIO = GUID(0x8509E081, 0x96DD, 0x4005, bytes.fromhex("b1659e2ee8c79e3f"))

# Name spaces and service classes
NLA_NAMESPACE_GUID = GUID(0x6642243A, 0x3BA8, 0x4AA6, bytes.fromhex("baa52e0bd71fdd83"))
NLA_SERVICE_CLASS_GUID = GUID(0x0037E515, 0xB5C9, 0x4A43, bytes.fromhex("bada8b48a87ad239"))
SVCID_HOSTNAME = GUID(0x0002A800, 0x0000, 0x0000, bytes.fromhex("c000000000000046"))
SVCID_INET_HOSTADDRBYINETSTRING = GUID(0x0002A801, 0x0000, 0x0000, bytes.fromhex("c000000000000046"))
SVCID_INET_SERVICEBYNAME = GUID(0x0002A802, 0x0000, 0x0000, bytes.fromhex("c000000000000046"))
SVCID_INET_HOSTADDRBYNAME = GUID(0x0002A803, 0x0000, 0x0000, bytes.fromhex("c000000000000046"))

# The interface of Winsock Kernel, for the network module registrar
NPI_WSK_INTERFACE_ID = GUID(0x2227E803, 0x8D8B, 0x11D4, bytes.fromhex("abad009027719e09"))


def SVCID_TCP(port: int) -> GUID:
    """The service class of a TCP port."""
    return GUID(0x00090000 | port, 0, 0, SVCID_HOSTNAME.Data4)


def SVCID_UDP(port: int) -> GUID:
    """The service class of a UDP port."""
    return GUID(0x000A0000 | port, 0, 0, SVCID_HOSTNAME.Data4)


def SVCID_NETWARE(sap_id: int) -> GUID:
    """The service class of a NetWare service."""
    return GUID(0x000B0000 | sap_id, 0, 0, SVCID_HOSTNAME.Data4)


# Virtual machines, for addresses of AF_HYPERV (hvsocket.h)
HV_GUID_ZERO = GUID_NULL
HV_GUID_WILDCARD = GUID_NULL
HV_GUID_BROADCAST = GUID(0xFFFFFFFF, 0xFFFF, 0xFFFF, bytes.fromhex("ffffffffffffffff"))
HV_GUID_CHILDREN = GUID(0x90DB8B89, 0x0D35, 0x4F79, bytes.fromhex("8ce949ea0ac8b7cd"))
HV_GUID_LOOPBACK = GUID(0xE0E16197, 0xDD56, 0x4A10, bytes.fromhex("91955ee7a155a838"))
HV_GUID_PARENT = GUID(0xA42E7CDA, 0xD03F, 0x480C, bytes.fromhex("9cc2a4de20abb878"))
HV_GUID_SILOHOST = GUID(0x36BD0C5C, 0x7276, 0x4223, bytes.fromhex("88ba7d03b654c568"))
HV_GUID_VSOCK_TEMPLATE = GUID(0, 0xFACB, 0x11E6, bytes.fromhex("bd5864006a7986d3"))
"""Of the services that Linux knows: Data1 is the port."""
