"""Addresses of Hyper-V sockets and of the kernel's: a machine and a service, by GUIDs there, by numbers here.

A service that Linux knows has a GUID of Windows' template, with the port in its first field. Machines have names on
Windows only for their relations (the parent, oneself); any other context number is spelled by a template of ours.

Source: hvsocket.h; vsock(7).
"""

from __future__ import annotations

import socket
import struct

from winsock.abi.errors import WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAEFAULT, WinsockError
from winsock.abi.guids import (
    GUID,
    HV_GUID_CHILDREN,
    HV_GUID_LOOPBACK,
    HV_GUID_PARENT,
    HV_GUID_VSOCK_TEMPLATE,
    HV_GUID_WILDCARD,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrHv, SockaddrOther

AF_VSOCK = int(getattr(socket, "AF_VSOCK", 40))
ANY, LOCAL, HOST = 0xFFFFFFFF, 1, 2  # the kernel's VMADDR_CID_ANY, VMADDR_CID_LOCAL, VMADDR_CID_HOST
_MACHINE_TEMPLATE = GUID(0, 0x7773, 0, b"contexts")
_MACHINES = {HV_GUID_WILDCARD: ANY, HV_GUID_CHILDREN: ANY, HV_GUID_LOOPBACK: LOCAL, HV_GUID_PARENT: HOST}
_NAMES = {ANY: HV_GUID_WILDCARD, LOCAL: HV_GUID_LOOPBACK, HOST: HV_GUID_PARENT}
_LAYOUT = struct.Struct("=2xII4x")  # sockaddr_vm behind its family: port, context


def service(port: int) -> GUID:
    """The service that a port of vsock is."""
    return HV_GUID_VSOCK_TEMPLATE._replace(Data1=port)


def machine(context: int) -> GUID:
    """The machine that has a context number."""
    return _NAMES.get(context, _MACHINE_TEMPLATE._replace(Data1=context))


def to_kernel(name: object) -> SockaddrOther:
    """The address as the kernel has it; raises WSAEFAULT, WSAEAFNOSUPPORT, WSAEADDRNOTAVAIL for what it has not."""
    if getattr(name, "family", None) is None:
        raise WinsockError(WSAEFAULT, f"name: {name!r} is no socket address")
    if not isinstance(name, SockaddrHv):
        raise WinsockError(WSAEAFNOSUPPORT, f"name: {name!r} is no address of a virtual machine")
    name.pack()
    context = _MACHINES.get(name.vm_id)
    if context is None and name.vm_id._replace(Data1=0) == _MACHINE_TEMPLATE:
        context = name.vm_id.Data1
    if context is None:
        raise WinsockError(WSAEADDRNOTAVAIL, f"name: no machine is known as {name.vm_id}")
    if name.service_id._replace(Data1=0) != HV_GUID_VSOCK_TEMPLATE:
        raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name.service_id} is no port of vsock, as services are here")
    return SockaddrOther(AF_VSOCK, _LAYOUT.pack(name.service_id.Data1, context))


def from_kernel(address: Sockaddr) -> Sockaddr:
    """The address as Windows spells it."""
    if not isinstance(address, SockaddrOther) or len(address.data) < _LAYOUT.size:
        return address
    port, context = _LAYOUT.unpack_from(address.data)
    return SockaddrHv(machine(context), service(port))
