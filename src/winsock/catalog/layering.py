"""How a layer enters a catalog: one hidden entry for itself, and one chain over each entry that it covers.

The hidden entry (ChainLen 0) is the layer's identity: its id stands in every chain that the layer is part of. The
chains copy the entry that they cover, so that they match the same sockets.

Sources: nf-ws2spi-wscinstallproviderandchains; layered-protocols-and-protocol-chains-2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from winsock.abi.constants import (
    BASE_PROTOCOL,
    LAYERED_PROTOCOL,
    MAX_PROTOCOL_CHAIN,
    PFL_HIDDEN,
    PFL_MATCHES_PROTOCOL_ZERO,
    SOCK_STREAM,
    WSAPROTOCOL_LEN,
    XP1_IFS_HANDLES,
)
from winsock.abi.errors import WSANO_RECOVERY, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN

if TYPE_CHECKING:
    from winsock.catalog.entries import CatalogEntry


Infos = Mapping[int, WSAPROTOCOL_INFO]
"""Entry id -> its description."""


UNIX_PROVIDER = GUID(0xA00943D9, 0x9C2E, 0x4633, bytes.fromhex("9b590057a3160994"))
HYPERV_PROVIDER = GUID(0x1234191B, 0x4BF7, 0x4CA7, bytes.fromhex("86e0dfd7c32b5445"))
STREAMS_ALONE = 0x1
"""In dwServiceFlags2, which is reserved for more attributes, of a layered protocol: it takes part in streams alone, and
hands up other sockets as they come from below."""
TAKES_NO_PLACE = 0x2
"""The same, of a layer that a run adds to a chain: it leaves the others the length that they may have."""
_LOCAL = (UNIX_PROVIDER, HYPERV_PROVIDER)
"""Of the sockets that never leave this machine."""


def is_usually_covered(info: WSAPROTOCOL_INFO) -> bool:
    """Whether a layer over everything covers it: base protocols of the network, but for the hidden raw ones."""
    return (
        info.chain_length == BASE_PROTOCOL and not info.dwProviderFlags & PFL_HIDDEN and info.ProviderId not in _LOCAL
    )


def infos_of(entries: Iterable[CatalogEntry]) -> Infos:
    """The descriptions by their ids."""
    return {entry.info.dwCatalogEntryId: entry.info for entry in entries}


def layer_of(member: int, infos: Infos) -> int | None:
    """The layered protocol that a member of a chain stands for: itself, or the uppermost of the chain that it is."""
    seen: set[int] = set()
    while member not in seen:
        info = infos.get(member)
        if info is None or info.chain_length == BASE_PROTOCOL:
            return None
        if info.chain_length == LAYERED_PROTOCOL:
            return member
        seen.add(member)
        member = info.ProtocolChain.ChainEntries[0]
    return None


def kind_of(info: WSAPROTOCOL_INFO) -> tuple[int, int, int]:
    """What a socket asks for: the family, the type and the protocol."""
    return info.iAddressFamily, info.iSocketType, info.iProtocol


def name_over(layer: str, covered: str) -> str:
    """How a chain is called: its layer, and the entry below it."""
    return f"{layer} over [{covered}]"[:WSAPROTOCOL_LEN]


def provider_id(entry_id: int) -> GUID:
    """A GUID for an entry that nobody named: distinct as its id is."""
    return GUID(entry_id, 0x7773, 0, b"layered\0")


def dummy_info(entry_id: int, name: str, pattern: WSAPROTOCOL_INFO) -> WSAPROTOCOL_INFO:
    """The hidden entry of a layer; what it does not name itself is as in `pattern`."""
    return pattern._replace(
        dwProviderFlags=(pattern.dwProviderFlags | PFL_HIDDEN) & ~PFL_MATCHES_PROTOCOL_ZERO,
        ProviderId=provider_id(entry_id),
        dwCatalogEntryId=entry_id,
        ProtocolChain=WSAPROTOCOLCHAIN(LAYERED_PROTOCOL),
        szProtocol=name[:WSAPROTOCOL_LEN],
    )


def chain_info(
    entry_id: int, layers: Sequence[int], names: Sequence[str], covered: WSAPROTOCOL_INFO
) -> WSAPROTOCOL_INFO:
    """The chain of these layers, the uppermost first, over the entry `covered`.

    Raises WSANO_RECOVERY for more than MAX_PROTOCOL_CHAIN entries.
    """
    name = covered.szProtocol
    for layer in reversed(names):
        name = name_over(layer, name)
    below = covered.ProtocolChain.ChainEntries or (covered.dwCatalogEntryId,)
    members = (*layers, *below)
    if len(members) > MAX_PROTOCOL_CHAIN:
        most = MAX_PROTOCOL_CHAIN - 1
        text = f"a protocol chain holds {most} layers over its base, not {len(members) - 1}"
        raise WinsockError(WSANO_RECOVERY, text)
    return covered._replace(
        ProviderId=provider_id(entry_id),
        dwCatalogEntryId=entry_id,
        ProtocolChain=WSAPROTOCOLCHAIN(len(members), members),
        szProtocol=name,
    )


def with_ifs(info: WSAPROTOCOL_INFO, is_ifs: bool) -> WSAPROTOCOL_INFO:
    """The entry, saying whether its handles are those of the base."""
    flags = info.dwServiceFlags1 & ~XP1_IFS_HANDLES | (XP1_IFS_HANDLES if is_ifs else 0)
    return info._replace(dwServiceFlags1=flags)


def with_streams_alone(info: WSAPROTOCOL_INFO, streams_alone: bool) -> WSAPROTOCOL_INFO:
    """The entry of a layered protocol, saying whether it takes part in streams alone."""
    flags = info.dwServiceFlags2 & ~STREAMS_ALONE | (STREAMS_ALONE if streams_alone else 0)
    return info._replace(dwServiceFlags2=flags)


def is_ifs(info: WSAPROTOCOL_INFO) -> bool:
    """Whether the entry says that its handles are those of the base."""
    return bool(info.dwServiceFlags1 & XP1_IFS_HANDLES)


def with_common_ifs(entries: Iterable[CatalogEntry]) -> list[CatalogEntry]:
    """Chains have XP1_IFS_HANDLES where all their members hand up handles: a layer that makes its own spoils it."""
    entries = list(entries)
    infos = infos_of(entries)
    return [_with_common_ifs(entry, infos) if entry.info.chain_length > BASE_PROTOCOL else entry for entry in entries]


def _with_common_ifs(entry: CatalogEntry, infos: Infos) -> CatalogEntry:
    *layers, base = entry.info.ProtocolChain.ChainEntries
    members = (*(layer_of(layer, infos) for layer in layers), base)
    common = all(
        member in infos and _hands_up(infos[member], entry.info.iSocketType) for member in members if member is not None
    )
    return entry._replace(info=with_ifs(entry.info, common))


def _hands_up(info: WSAPROTOCOL_INFO, socket_type: int) -> bool:
    """Whether handles of sockets of that type are those from below."""
    return is_ifs(info) or (socket_type != SOCK_STREAM and bool(info.dwServiceFlags2 & STREAMS_ALONE))
