"""Which entries fit a (family, type, protocol), and which error says that none does.

Zero is a wildcard for family and type. Zero for the protocol is none: it fits the entries that say so
(PFL_MATCHES_PROTOCOL_ZERO), and those whose protocol is zero. A layered protocol alone (ChainLen 0) never fits, not
even in part. Where nothing fits, Windows decides the error in a fixed order: the type, the family, the protocol,
then the combination.

Sources: nf-winsock2-socket; transport-division-of-responsibilities-between-dll-and-service-providers-2.
"""

from __future__ import annotations

from collections.abc import Iterable

from winsock.abi.constants import LAYERED_PROTOCOL, PFL_MATCHES_PROTOCOL_ZERO
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEINVAL,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WinsockError,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO


class NotTogether(WinsockError):
    """Each of the three is installed, but no entry has them together. To `WSASocket` this is WSAEINVAL."""


def fits_family(info: WSAPROTOCOL_INFO, af: int) -> bool:
    """Whether the entry is of that address family; 0 fits all."""
    return af in (0, info.iAddressFamily)


def fits_type(info: WSAPROTOCOL_INFO, type: int) -> bool:
    """Whether the entry is of that socket type; 0 fits all."""
    return type in (0, info.iSocketType)


def fits_protocol(info: WSAPROTOCOL_INFO, protocol: int) -> bool:
    """Whether the entry takes that protocol, which may be a range of numbers."""
    if protocol == 0:
        return bool(info.dwProviderFlags & PFL_MATCHES_PROTOCOL_ZERO) or info.iProtocol == 0
    return info.iProtocol <= protocol <= info.iProtocol + info.iProtocolMaxOffset


def fits(info: WSAPROTOCOL_INFO, af: int, type: int, protocol: int) -> bool:
    """Whether a socket of that kind can be opened on the entry."""
    return (
        info.chain_length != LAYERED_PROTOCOL
        and fits_family(info, af)
        and fits_type(info, type)
        and fits_protocol(info, protocol)
    )


def refusal(infos: Iterable[WSAPROTOCOL_INFO], af: int, type: int, protocol: int) -> WinsockError:
    """The error for a combination that no entry fits."""
    entries = [info for info in infos if info.chain_length != LAYERED_PROTOCOL]
    kind = f"family {af}, type {type}, protocol {protocol}"
    if not any(fits_type(info, type) for info in entries):
        return WinsockError(WSAESOCKTNOSUPPORT, f"type: no installed protocol has the socket type {type} ({kind})")
    if not any(fits_family(info, af) for info in entries):
        from winsock.host.families import hint

        found = f"no installed protocol has the address family {af}{hint(af)}"
        return WinsockError(WSAEAFNOSUPPORT, f"af: {found} ({kind})")
    if not any(_has_protocol(info, type, protocol) for info in entries):
        return WinsockError(WSAEPROTONOSUPPORT, f"protocol: no installed protocol has the number {protocol} ({kind})")
    if not any(fits_family(info, af) and fits_type(info, type) for info in entries):
        return NotTogether(WSAESOCKTNOSUPPORT, f"the address family {af} has no socket type {type} ({kind})")
    return NotTogether(WSAEPROTOTYPE, f"each is installed, but not together: {kind}")


def _has_protocol(info: WSAPROTOCOL_INFO, type: int, protocol: int) -> bool:
    """Whether the entry is of that protocol: one for raw sockets, which takes any, is so only for those."""
    return fits_protocol(info, protocol) and (info.iProtocolMaxOffset == 0 or fits_type(info, type))


def unspecified() -> WinsockError:
    """The error where the caller names no family, no type and no protocol."""
    return WinsockError(WSAEINVAL, "a socket needs an address family, a type or a protocol")
