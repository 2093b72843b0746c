"""SOCKET_ADDRESS_LIST as bytes: the addresses of SIO_ADDRESS_LIST_QUERY and SIO_ADDRESS_LIST_SORT; CSADDR_INFO.

Windows' structures point to addresses that lie behind them in the same memory. Bytes that are handed around have no
place in memory, so what stands for the pointer is the offset from the structure's beginning.

Sources: ns-ws2def-socket_address_list; ns-ws2def-csaddr_info.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.abi.sockaddr import unpack as unpack_address

_COUNT = Struct("<i4x")
_ENTRY = Struct("<Qi4x")
_KIND = Struct("<ii")
HEADER_SIZE = _COUNT.size


def pack(addresses: Sequence[Sockaddr]) -> bytes:
    """The list in Windows' layout, each address behind the entries, in their order."""
    packed = [address.pack() for address in addresses]
    at = _COUNT.size + len(packed) * _ENTRY.size
    entries = []
    for one in packed:
        entries.append(_ENTRY.pack(at, len(one)))
        at += len(one)
    return b"".join((_COUNT.pack(len(packed)), *entries, *packed))


def unpack(data: bytes | bytearray | memoryview) -> list[Sockaddr]:
    """The addresses of such a list; raises WSAEFAULT where an entry points out of it."""
    data = bytes(data)
    if len(data) < _COUNT.size:
        raise WinsockError(WSAEFAULT, f"a list of addresses has {_COUNT.size} bytes at least, here are {len(data)}")
    (count,) = _COUNT.unpack_from(data)
    if not 0 <= count <= (len(data) - _COUNT.size) // _ENTRY.size:
        raise WinsockError(WSAEFAULT, f"a list of {count} addresses does not fit {len(data)} bytes")
    found = []
    for index in range(count):
        at, size = _ENTRY.unpack_from(data, _COUNT.size + index * _ENTRY.size)
        if size < 0 or at + size > len(data):
            raise WinsockError(WSAEFAULT, f"the address {index} of the list lies out of it")
        found.append(unpack_address(data[at : at + size]))
    return found


class SocketState(NamedTuple):
    """What SO_BSP_STATE tells of a socket."""

    local: Sockaddr | None
    """None where it is not bound."""
    remote: Sockaddr | None
    """None where it is not connected."""
    type: int
    protocol: int


def pack_state(state: SocketState) -> bytes:
    """A CSADDR_INFO in Windows' layout, each address behind it."""
    ends = [address.pack() if address is not None else b"" for address in (state.local, state.remote)]
    at = 2 * _ENTRY.size + _KIND.size
    entries = []
    for one in ends:
        entries.append(_ENTRY.pack(at if one else 0, len(one)))
        at += len(one)
    return b"".join((*entries, _KIND.pack(state.type, state.protocol), *ends))


def unpack_state(data: bytes | bytearray | memoryview) -> SocketState:
    """What such a structure says; raises WSAEFAULT where it points out of it."""
    data = bytes(data)
    if len(data) < 2 * _ENTRY.size + _KIND.size:
        raise WinsockError(WSAEFAULT, f"the state of a socket has more bytes than {len(data)}")
    ends: list[Sockaddr | None] = []
    for index in range(2):
        at, size = _ENTRY.unpack_from(data, index * _ENTRY.size)
        if size < 0 or at + size > len(data):
            raise WinsockError(WSAEFAULT, "an address lies out of the state")
        ends.append(unpack_address(data[at : at + size]) if size else None)
    local, remote = ends
    return SocketState(local, remote, *_KIND.unpack_from(data, 2 * _ENTRY.size))
