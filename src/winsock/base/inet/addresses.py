"""Addresses as the kernel has them: the one place where Windows' family numbers become the host's.

The layouts agree with Windows' in everything but the family number of IPv6. Here they are packed in one step, because
a supervised connect() pays for each.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from struct import Struct

from winsock.abi.constants import AF_HYPERV
from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.abi.sockaddr import unpack as unpack_windows
from winsock.host import families

HOST_FAMILIES = {**families.TO_HOST, AF_HYPERV: int(getattr(socket, "AF_VSOCK", 40))}
"""The host's numbers by Winsock's; any other family has the same."""

_FAMILY = Struct("=H")
_IN = Struct("!2sH4s8x")
_IN6 = Struct("!2sHI16s")
_SCOPE = Struct("=I")
_NOBODYS = (bytes(16), bytes(10) + b"\xff\xff" + bytes(4))
_FAMILY_IN = _FAMILY.pack(socket.AF_INET)
_FAMILY_IN6 = _FAMILY.pack(socket.AF_INET6)


def host_family(family: int) -> int:
    """The host's number of a family."""
    return HOST_FAMILIES.get(family, family)


@lru_cache(maxsize=1024, typed=True)
def pack(address: Sockaddr) -> bytes:
    """The address as this kernel reads it; raises WSAEFAULT where a part is out of its range."""
    try:
        if type(address) is SockaddrIn:
            return _IN.pack(_FAMILY_IN, address.port, socket.inet_pton(socket.AF_INET, address.host))
        if type(address) is SockaddrIn6:
            host = socket.inet_pton(socket.AF_INET6, address.host)
            return _IN6.pack(_FAMILY_IN6, address.port, address.flowinfo, host) + _SCOPE.pack(address.scope_id)
        return _FAMILY.pack(host_family(address.family)) + address.pack()[2:]
    except Exception as error:
        raise WinsockError(WSAEFAULT, f"{address!r} is no socket address: {error}") from None


@lru_cache(maxsize=1024)
def is_nobodys(address: SockaddrIn | SockaddrIn6) -> bool:
    """Whether it is the address of zeros, which is no host's; of IPv4 also as an IPv6 socket sees it, v4-mapped."""
    data = pack(address)
    return data[4:8] == bytes(4) if type(address) is SockaddrIn else data[8:24] in _NOBODYS


@lru_cache(maxsize=1024)
def unpack(data: bytes) -> Sockaddr:
    """The address that this kernel wrote."""
    if len(data) >= _IN.size and data[:2] == _FAMILY_IN:
        _, port, host = _IN.unpack_from(data)
        return SockaddrIn(socket.inet_ntoa(host), port)
    if len(data) >= _IN6.size + _SCOPE.size and data[:2] == _FAMILY_IN6:
        _, port, flowinfo, host6 = _IN6.unpack_from(data)
        return SockaddrIn6(
            socket.inet_ntop(socket.AF_INET6, host6), port, flowinfo, _SCOPE.unpack_from(data, _IN6.size)[0]
        )
    if len(data) < _FAMILY.size:
        return SockaddrOther(0, b"")
    (family,) = _FAMILY.unpack_from(data)
    family = families.FROM_HOST.get(family, family)  # an address of AF_VSOCK is none of AF_HYPERV
    return unpack_windows(family.to_bytes(2, "little") + data[2:])
