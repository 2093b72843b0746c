"""A message to be sent, as a value (WSAMSG), and the objects of control data that may go with it (WSACMSGHDR).

    control = pack_control(WSACMSGHDR(IPPROTO_IP, IP_PKTINFO, inet_aton("127.0.0.2") + bytes(4)))

The layout is that of 64-bit Windows: each object begins at a multiple of 8 bytes, its data 16 bytes behind that.

Source: ns-ws2def-wsamsg.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple

from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WinsockError

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr

_HEAD = Struct("<Qii")
_ALIGNMENT = 8


class WSACMSGHDR(NamedTuple):
    """One object of control data: its head and its data."""

    cmsg_level: int
    """The protocol: IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP."""
    cmsg_type: int
    """What the data is, in a number of that protocol's."""
    data: bytes = b""

    @property
    def cmsg_len(self) -> int:
        """The bytes of head and data."""
        return WSA_CMSG_LEN(len(self.data))


class WSAMSG(NamedTuple):
    """What goes where."""

    name: Sockaddr | tuple[Any, ...] | None
    """Where to; None for the peer of a connected socket."""
    buffers: Sequence[bytes | bytearray | memoryview]
    control: bytes | bytearray | memoryview = b""
    """Control data, as `pack_control` makes it."""
    flags: int = 0
    """Not looked at."""


def WSA_CMSG_LEN(length: int) -> int:
    """What `cmsg_len` is for that many bytes of data."""
    return _HEAD.size + length


def WSA_CMSG_SPACE(length: int) -> int:
    """What an object with that many bytes of data takes in the control data."""
    return _aligned(WSA_CMSG_LEN(length))


def pack_control(*objects: WSACMSGHDR) -> bytes:
    """The objects as control data; WSAEFAULT for what is none."""
    parts = []
    for item in objects:
        try:
            head = _HEAD.pack(WSA_CMSG_LEN(len(item[2])), item[0], item[1])
            parts.append((head + bytes(item[2])).ljust(WSA_CMSG_SPACE(len(item[2])), b"\0"))
        except Exception as error:
            raise WinsockError(WSAEFAULT, f"{item!r} is no object of control data: {error}") from None
    return b"".join(parts)


def unpack_control(control: bytes | bytearray | memoryview) -> list[WSACMSGHDR]:
    """The objects, in the order in which WSA_CMSG_FIRSTHDR and WSA_CMSG_NXTHDR find them.

    Raises WSAEFAULT for what is no buffer, WSAEINVAL where the length of an object leads nowhere.
    """
    try:
        data = bytes(memoryview(control))
    except TypeError as error:
        raise WinsockError(WSAEFAULT, f"control: {error}") from None
    objects = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, level, kind = _HEAD.unpack_from(data, at)
        if not _HEAD.size <= length <= len(data) - at:
            raise WinsockError(WSAEINVAL, f"control: an object of {length} bytes, where there are {len(data) - at}")
        objects.append(WSACMSGHDR(level, kind, data[at + _HEAD.size : at + length]))
        at += _aligned(length)
    return objects


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT
