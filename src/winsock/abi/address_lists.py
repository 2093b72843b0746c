"""SOCKET_ADDRESS_LIST as bytes: the addresses of SIO_ADDRESS_LIST_QUERY and SIO_ADDRESS_LIST_SORT.

Windows' structure points to addresses that lie behind it in the same memory. Bytes that are handed around have no
place in memory, so what stands for the pointer is the offset from the list's beginning.

Source: ns-ws2def-socket_address_list.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.abi.sockaddr import unpack as unpack_address

_COUNT = Struct("<i4x")
_ENTRY = Struct("<Qi4x")
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
