"""Who gets what is sent to a multicast group: the sockets that joined it (multicast-programming)."""

from __future__ import annotations

import socket as host
import struct

import winsock
from tests.networks import NAME, needs_a_network, needs_root, own_network
from tests.refusals import refused
from winsock.abi import constants as c
from winsock.abi.errors import WSAEWOULDBLOCK
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.testing import World


def receiver(any: SockaddrIn | SockaddrIn6) -> int:
    s = winsock.socket(any.family, c.SOCK_DGRAM, 0)
    winsock.setsockopt(s, c.SOL_SOCKET, c.SO_REUSEADDR, 1)
    winsock.bind(s, any)
    winsock.ioctlsocket(s, c.FIONBIO, 1)
    return s


def check_members(any: SockaddrIn | SockaddrIn6, group: str, level: int, membership: bytes, interface: bytes) -> None:
    """The options of joining, of leaving and of the interface have the same numbers at both levels."""
    one = receiver(any)
    any = any._replace(port=winsock.getsockname(one).port)  # type: ignore[union-attr]
    other = receiver(any)
    sender = winsock.socket(any.family, c.SOCK_DGRAM, 0)
    winsock.setsockopt(sender, level, c.IP_MULTICAST_IF, interface)
    there: Sockaddr = any._replace(host=group)
    for member, stranger in ((one, other), (other, one)):
        winsock.setsockopt(member, level, c.IP_ADD_MEMBERSHIP, membership)
        winsock.sendto(sender, b"members", 0, there)
        assert winsock.recv(member, 100) == b"members"  # within the host it is there at once, for all who get it
        with refused(WSAEWOULDBLOCK):
            winsock.recv(stranger, 100)
        winsock.setsockopt(member, level, c.IP_DROP_MEMBERSHIP, membership)


def test_members_alone_get_it() -> None:
    here = host.inet_aton("127.0.0.1")
    with World():
        membership = host.inet_aton("239.77.1.9") + here
        check_members(SockaddrIn("0.0.0.0", 0), "239.77.1.9", c.IPPROTO_IP, membership, here)


@needs_root
@needs_a_network
def test_members_alone_get_it_by_ipv6() -> None:
    with own_network(), World():
        index = struct.pack("=I", host.if_nametoindex(NAME))
        membership = host.inet_pton(host.AF_INET6, "ff15::77") + index
        check_members(SockaddrIn6("::", 0), "ff15::77", c.IPPROTO_IPV6, membership, index)
