"""WSAPROTOCOL_INFO: how a catalog entry describes its protocol, as a value and as Windows' 628 bytes.

There is one structure here where Windows has an A and a W variant; the layout is the one of WSAPROTOCOL_INFOW.
Source: ns-winsock2-wsaprotocol_infow and ns-winsock2-wsaprotocolchain of the Windows SDK documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple, Self

from winsock.abi.constants import MAX_PROTOCOL_CHAIN, WSAPROTOCOL_LEN
from winsock.abi.guids import GUID

_HEAD = struct.Struct("<5I")  # dwServiceFlags1-4, dwProviderFlags; the GUID follows
_TAIL = struct.Struct("<Ii7I9iII")  # from dwCatalogEntryId to dwProviderReserved
_NAME_AT = 116
SIZE = _NAME_AT + 2 * (WSAPROTOCOL_LEN + 1)
"""sizeof(WSAPROTOCOL_INFOW)."""
_NAME_SIZE = 2 * WSAPROTOCOL_LEN
"""Without the zero at its end."""


class WSAPROTOCOLCHAIN(NamedTuple):
    """The ids of a chain, the uppermost layer first, the base protocol last.

    `ChainLen` is 0 for a layered protocol (no socket can be opened on it), 1 for a base protocol, which needs no
    entries, and the number of entries for a protocol chain.
    """

    ChainLen: int = 1
    ChainEntries: tuple[int, ...] = ()


ProtocolChain = WSAPROTOCOLCHAIN


class WSAPROTOCOL_INFO(NamedTuple):  # noqa: N801
    """One protocol of one provider; the field names are the documented ones, the numbers are Windows'."""

    dwServiceFlags1: int = 0
    dwServiceFlags2: int = 0
    dwServiceFlags3: int = 0
    dwServiceFlags4: int = 0
    dwProviderFlags: int = 0
    ProviderId: GUID = GUID(0, 0, 0, bytes(8))
    dwCatalogEntryId: int = 0
    ProtocolChain: WSAPROTOCOLCHAIN = WSAPROTOCOLCHAIN()
    iVersion: int = 2
    iAddressFamily: int = 0
    iMaxSockAddr: int = 0
    iMinSockAddr: int = 0
    iSocketType: int = 0
    iProtocol: int = 0
    iProtocolMaxOffset: int = 0
    iNetworkByteOrder: int = 0
    iSecurityScheme: int = 0
    dwMessageSize: int = 0
    dwProviderReserved: int = 0
    szProtocol: str = ""

    @property
    def chain_length(self) -> int:
        """0: a layered protocol; 1: a base protocol; more: a protocol chain of so many entries."""
        return self.ProtocolChain.ChainLen

    def pack(self) -> bytes:
        """The 628 bytes of WSAPROTOCOL_INFOW; a name longer than 255 characters is cut, between two of them.

        Raises `struct.error` where a number does not fit its field.
        """
        length, entries = self.ProtocolChain
        padded = (*entries, *(0,) * (MAX_PROTOCOL_CHAIN - len(entries)))
        name = self.szProtocol.encode("utf-16-le", "replace")[:_NAME_SIZE]
        return b"".join(
            (
                _HEAD.pack(*self[:5]),
                self.ProviderId.pack(),
                _TAIL.pack(self.dwCatalogEntryId, length, *padded, *self[8:19]),
                (name[:-2] if _ends_in_half(name) else name).ljust(SIZE - _NAME_AT, b"\0"),
            )
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read the 628 bytes of a WSAPROTOCOL_INFOW; `ValueError` for fewer, and for a chain of impossible length."""
        if len(data) < SIZE:
            raise ValueError(f"a WSAPROTOCOL_INFOW has {SIZE} bytes, not {len(data)}")
        entry_id, length, *rest = _TAIL.unpack_from(data, _HEAD.size + 16)
        if not 0 <= length <= MAX_PROTOCOL_CHAIN:
            raise ValueError(f"a protocol chain has {MAX_PROTOCOL_CHAIN} entries at most, not {length}")
        name = data[_NAME_AT : _NAME_AT + _NAME_SIZE].decode("utf-16-le", "replace").partition("\0")[0]
        fields = (
            *_HEAD.unpack_from(data),
            GUID.unpack(data[_HEAD.size : _HEAD.size + 16]),
            entry_id,
            WSAPROTOCOLCHAIN(length, _without_trailing_zeros(rest[:length])),
            *rest[MAX_PROTOCOL_CHAIN:],
            name,
        )
        return cls._make(fields)


def _without_trailing_zeros(entries: Sequence[int]) -> tuple[int, ...]:
    """A base protocol needs no entries, and a chain that names too few is somebody else's to find fault with."""
    size = len(entries)
    while size and not entries[size - 1]:
        size -= 1
    return tuple(entries[:size])


def _ends_in_half(name: bytes) -> bool:
    """Whether the last unit is the first one of a pair."""
    return len(name) == _NAME_SIZE and 0xD8 <= name[-1] <= 0xDB
