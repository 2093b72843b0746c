"""Which provider makes a socket: the first of those that fit, or the one that is described.

The documentation has "the first available provider that supports the requested combination": a provider that says it
does not, or is busy with a callback, is passed over for the next that fits. One that does not start is not: that is
the error of the call.

Sources: transport-division-of-responsibilities-between-dll-and-service-providers-2; nf-winsock2-socket;
nf-winsock2-wsasocketw.
"""

from __future__ import annotations

from winsock.abi.constants import BASE_PROTOCOL, FROM_PROTOCOL_INFO, LAYERED_PROTOCOL
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINPROGRESS,
    WSAEINVAL,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.catalog.entries import Catalog, CatalogEntry
from winsock.catalog.matching import fits
from winsock.dispatcher import loader
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.loader import first_matches
from winsock.dispatcher.records import records

_ANOTHER_MAY = frozenset((WSAEINPROGRESS, WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTONOSUPPORT, WSAEPROTOTYPE))
"""By these a provider says that the socket is none for it, or not now."""


def of_first_match(af: int, type: int, protocol: int, g: int, flags: int) -> int:
    """A socket of the first provider that fits and takes it; errors as of `loader.open_first_match`."""
    chain = first_matches.get((af, type, protocol))
    if chain is None:
        chain = loader.open_first_match(af, type, protocol)
    try:
        return chain.table.WSPSocket(af, type, protocol, chain.info, g, flags)
    except WinsockError as error:
        return of_next_match(chain, error, af, type, protocol, g, flags)


def of_next_match(first: Chain, refusal: WinsockError, af: int, type: int, protocol: int, g: int, flags: int) -> int:
    """A socket of another match than the first, which refused; where all refuse, that is the answer.

    What stands below the layers of a chain that refuses is passed over too: traffic goes round no layer.
    """
    if refusal.winerror not in _ANOTHER_MAY:
        raise refusal
    refused = [first]
    for entry in loader.catalog().matches(af, type, protocol):
        if any(chain.stands_over(entry) for chain in refused):
            continue
        chain = loader.open_chain(entry)
        try:
            return chain.table.WSPSocket(af, type, protocol, entry.info, g, flags)
        except WinsockError as error:
            if error.winerror not in _ANOTHER_MAY:
                raise
            refused.append(chain)
    raise refusal


def of_description(info: WSAPROTOCOL_INFO, af: int, type: int, protocol: int, g: int, flags: int) -> int:
    """A socket of the provider that is described, which alone decides what the values mean.

    Windows' provider serves all its entries and obeys explicit values; ours is one object an entry, so that an entry
    beside the one described may be meant.
    """
    catalog = loader.catalog()
    if not isinstance(info, WSAPROTOCOL_INFO):
        raise WinsockError(WSAEFAULT, f"protocol_info: {info!r} is no WSAPROTOCOL_INFO")
    entry = catalog.find(info.dwCatalogEntryId)
    if entry.info.chain_length == LAYERED_PROTOCOL:
        raise WinsockError(WSAEINVAL, f"protocol_info: {info.szProtocol} is a layer by itself, which opens no sockets")
    chain = loader.open_chain(entry)
    try:
        handle = chain.table.WSPSocket(af, type, protocol, info, g, flags)
        if info.dwProviderReserved:
            records[handle].shared = True
        return handle
    except WinsockError as error:
        sibling = _meant(catalog, entry, info, af, type, protocol)
        if error.winerror not in _ANOTHER_MAY or sibling is None:
            raise
    return loader.open_chain(sibling).table.WSPSocket(af, type, protocol, info, g, flags)


def _meant(
    catalog: Catalog, entry: CatalogEntry, info: WSAPROTOCOL_INFO, af: int, type: int, protocol: int
) -> CatalogEntry | None:
    """The other entry of the same provider that explicit values ask for."""
    values = tuple(
        told if value in (0, FROM_PROTOCOL_INFO) else value
        for value, told in zip(
            (af, type, protocol), (info.iAddressFamily, info.iSocketType, info.iProtocol), strict=True
        )
    )
    if fits(entry.info, *values):
        return None
    others = (other for other in catalog if other is not entry and _same_provider(entry.info, other.info))
    return next((other for other in others if fits(other.info, *values)), None)


def _same_provider(one: WSAPROTOCOL_INFO, other: WSAPROTOCOL_INFO) -> bool:
    layers = one.ProtocolChain.ChainEntries[:-1]
    if layers:
        return layers == other.ProtocolChain.ChainEntries[:-1]
    return one.ProviderId == other.ProviderId and other.chain_length == BASE_PROTOCOL
