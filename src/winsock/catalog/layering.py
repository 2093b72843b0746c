"""How a layer enters a catalog: one hidden entry for itself, and one chain over each entry that it covers.

The hidden entry (ChainLen 0) is the layer's identity: its id stands in every chain that the layer is part of. The
chains copy the entry that they cover, so that they match the same sockets.

Sources: nf-ws2spi-wscinstallproviderandchains; layered-protocols-and-protocol-chains-2.
"""

from __future__ import annotations

from collections.abc import Sequence

from winsock.abi.constants import (
    LAYERED_PROTOCOL,
    MAX_PROTOCOL_CHAIN,
    PFL_HIDDEN,
    PFL_MATCHES_PROTOCOL_ZERO,
    WSAPROTOCOL_LEN,
)
from winsock.abi.errors import WSANO_RECOVERY, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN


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
