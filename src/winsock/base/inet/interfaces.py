"""The addresses of this host's network interfaces, as getifaddrs(3) tells them."""

from __future__ import annotations

import ctypes
import socket
from ctypes import POINTER, Structure, byref, c_char_p, c_uint, c_void_p
from typing import NamedTuple

from winsock.abi import constants
from winsock.abi.errors import from_errno
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.base.inet.addresses import host_family, unpack

InetAddress = SockaddrIn | SockaddrIn6

_ADDRESSES_OF_IPV6 = "/proc/thread-self/net/if_inet6"
_NOT_PREFERRED = 0x08 | 0x20 | 0x40
"""IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE."""
_SIZES = {int(socket.AF_INET): 16, int(socket.AF_INET6): 28}
_FLAGS = {
    0x1: constants.IFF_UP,
    0x2: constants.IFF_BROADCAST,
    0x8: constants.IFF_LOOPBACK,
    0x10: constants.IFF_POINTTOPOINT,
    0x1000: constants.IFF_MULTICAST,
}
"""The kernel's IFF_ and Windows'."""


class Interface(NamedTuple):
    """One address of an interface; an interface with several occurs several times."""

    name: str
    number: int
    """Its index, as the kernel and Windows call it."""
    flags: int
    """Windows' IFF_ bits."""
    address: InetAddress
    mask: InetAddress
    broadcast: InetAddress | None

    @property
    def is_loopback(self) -> bool:
        """Whether it leads back to this host."""
        return bool(self.flags & constants.IFF_LOOPBACK)

    def holds(self, host: str) -> bool:
        """Whether a host is in the interface's own network."""
        family = host_family(self.address.family)
        one, other, mask = (
            int.from_bytes(socket.inet_pton(family, text)) for text in (host, self.address.host, self.mask.host)
        )
        return (one ^ other) & mask == 0


class _Ifaddrs(Structure):
    pass


_Ifaddrs._fields_ = (
    ("next", POINTER(_Ifaddrs)),
    ("name", c_char_p),
    ("flags", c_uint),
    ("address", c_void_p),
    ("mask", c_void_p),
    ("broadcast", c_void_p),
    ("data", c_void_p),
)

_libc = ctypes.CDLL(None, use_errno=True)


def interfaces(family: int) -> list[Interface]:
    """The addresses of a family, which is Windows' number, in the kernel's order; raises `WinsockError`."""
    first = POINTER(_Ifaddrs)()
    if _libc.getifaddrs(byref(first)):
        raise from_errno(ctypes.get_errno(), "the interfaces cannot be listed")
    try:
        return _listed(first, host_family(family))
    finally:
        _libc.freeifaddrs(first)


def of_host(host: str, family: int) -> Interface | None:
    """The interface that has an address, or in whose network it is where that is loopback's."""
    found = interfaces(family)
    exact = next((one for one in found if one.address.host == host), None)
    return exact or next((one for one in found if one.is_loopback and one.holds(host)), None)


def not_preferred() -> set[tuple[int, str]]:
    """The IPv6 addresses that are not to be chosen, by (interface, host): being probed, taken by another, or ageing."""
    found: set[tuple[int, str]] = set()
    try:
        with open(_ADDRESSES_OF_IPV6, encoding="ascii") as file:
            for line in file:
                host, number, _, _, flags, *_ = line.split()
                if int(flags, 16) & _NOT_PREFERRED:
                    found.add((int(number, 16), socket.inet_ntop(socket.AF_INET6, bytes.fromhex(host))))
    except OSError:  # a host without IPv6
        pass
    return found


def _listed(pointer: ctypes._Pointer[_Ifaddrs], family: int) -> list[Interface]:
    found = []
    while pointer:
        entry = pointer.contents
        address = _address(entry.address, family)
        if address is not None:
            name = entry.name.decode("utf-8", "surrogateescape")
            mask = _address(entry.mask, family) or address
            broadcast = _address(entry.broadcast, family) if entry.flags & 0x2 else None
            if broadcast == address:  # that of an interface without one
                broadcast = None
            flags = sum(windows for kernels, windows in _FLAGS.items() if entry.flags & kernels)
            found.append(Interface(name, socket.if_nametoindex(name), flags, address, mask, broadcast))
        pointer = entry.next
    return found


def _address(pointer: int | None, family: int) -> InetAddress | None:
    if not pointer or int.from_bytes(ctypes.string_at(pointer, 2), "little") != family:
        return None
    address = unpack(ctypes.string_at(pointer, _SIZES[family]))
    assert isinstance(address, (SockaddrIn, SockaddrIn6))
    return address
