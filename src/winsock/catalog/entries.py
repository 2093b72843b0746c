"""The catalog: what is installed, in order. The first entry that fits a socket opens it.

Sources: transport-configuration-and-installation-2; nf-ws2spi-wscenumprotocols; nf-winsock2-socket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from winsock.abi.constants import (
    AF_HYPERV,
    AF_INET,
    AF_INET6,
    AF_UNIX,
    HV_PROTOCOL_RAW,
    IPPROTO_TCP,
    IPPROTO_UDP,
    LAYERED_PROTOCOL,
    PFL_HIDDEN,
    PFL_MATCHES_PROTOCOL_ZERO,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    XP1_CONNECTIONLESS,
    XP1_EXPEDITED_DATA,
    XP1_GRACEFUL_CLOSE,
    XP1_GUARANTEED_DELIVERY,
    XP1_GUARANTEED_ORDER,
    XP1_IFS_HANDLES,
    XP1_MESSAGE_ORIENTED,
    XP1_SUPPORT_BROADCAST,
    XP1_SUPPORT_MULTIPOINT,
)
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.catalog import layering, matching


class CatalogEntry(NamedTuple):
    """One installed protocol: its description, the import path of its provider, the options of its layer."""

    info: WSAPROTOCOL_INFO
    path: str
    options: object = None
    digest: str = ""
    """Of a provider that is a file: the SHA-256 that the file had when it was installed."""
    categories: int = 0
    """LSP_ bits: of what kinds the layer says it is."""


class LayerSpec(NamedTuple):
    """A layer to put over everything: its name, where to import it from, its options."""

    name: str
    path: str
    options: object = None
    ifs_handles: bool = True
    """Whether it hands up the handles from below, rather than make its own."""
    streams_alone: bool = False
    """Whether it does so for all sockets but streams."""


class Catalog:
    """Installed entries in their order. A value: a change makes another catalog."""

    __slots__ = ("_by_id", "entries", "next_id")

    next_id: int
    """What the next entry is numbered: the ids of entries that were removed are not given again."""

    def __init__(self, entries: Iterable[CatalogEntry] | None = None, next_id: int = 1) -> None:
        self.entries = tuple(BUILTIN if entries is None else entries)
        self._by_id = {entry.info.dwCatalogEntryId: entry for entry in self.entries}
        self.next_id = max(next_id, 1 + max(self._by_id, default=0))

    def __iter__(self) -> Iterator[CatalogEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, entry_id: int) -> CatalogEntry:
        """The entry of that id; raises WSAEINVAL where there is none."""
        entry = self._by_id.get(entry_id)
        if entry is None:
            raise WinsockError(WSAEINVAL, f"the catalog has no entry {entry_id}")
        return entry

    def find_provider(self, provider_id: GUID) -> CatalogEntry:
        """The first entry of that provider; raises WSAEINVAL where there is none."""
        for entry in self.entries:
            if entry.info.ProviderId == provider_id:
                return entry
        raise WinsockError(WSAEINVAL, f"the catalog has no provider {provider_id}")

    def visible(self) -> list[CatalogEntry]:
        """What WSAEnumProtocols shows: no hidden entries, and no layered protocols by themselves."""
        return [
            entry
            for entry in self.entries
            if entry.info.chain_length != LAYERED_PROTOCOL and not entry.info.dwProviderFlags & PFL_HIDDEN
        ]

    def matches(self, af: int, type: int, protocol: int) -> list[CatalogEntry]:
        """All entries on which such a socket can be opened, in order; numbers are Windows'.

        Raises WSAEINVAL where nothing is specified, else the error that says which of the three did not match:
        WSAESOCKTNOSUPPORT, WSAEAFNOSUPPORT, WSAEPROTONOSUPPORT, or WSAEPROTOTYPE for the combination.
        """
        if af == type == protocol == 0:
            raise matching.unspecified()
        found = [entry for entry in self.entries if matching.fits(entry.info, af, type, protocol)]
        if not found:
            raise matching.refusal((entry.info for entry in self.entries), af, type, protocol)
        return found

    def match(self, af: int, type: int, protocol: int) -> CatalogEntry:
        """The first entry on which such a socket can be opened; errors as for `matches`."""
        return self.matches(af, type, protocol)[0]

    def with_layers(self, specs: Sequence[LayerSpec]) -> Catalog:
        """This catalog with the layers, the first uppermost, over every base protocol that layers usually cover.

        First come the chains, one for each base protocol, then the layers' hidden entries, then what was there.
        Raises WSANO_RECOVERY for more layers than a chain can hold (MAX_PROTOCOL_CHAIN), WSAEINVAL where there is no
        base protocol.
        """
        if not specs:
            return self
        bases = [entry for entry in self.entries if layering.is_usually_covered(entry.info)]
        if not bases:
            raise WinsockError(WSAEINVAL, "there is no base protocol to put a layer over")
        first = self.next_id
        dummies = [
            CatalogEntry(dummy_of(spec, first + i, bases[0].info), spec.path, spec.options)
            for i, spec in enumerate(specs)
        ]
        ids = [entry.info.dwCatalogEntryId for entry in dummies]
        names = [spec.name for spec in specs]
        chains = [
            CatalogEntry(layering.chain_info(ids[-1] + 1 + i, ids, names, base.info), specs[0].path)
            for i, base in enumerate(bases)
        ]
        return Catalog(layering.with_common_ifs((*chains, *dummies, *self.entries)))


def dummy_of(spec: LayerSpec, entry_id: int, pattern: WSAPROTOCOL_INFO) -> WSAPROTOCOL_INFO:
    """The hidden entry of a layer; what it does not say itself is as in `pattern`."""
    info = layering.with_ifs(layering.dummy_info(entry_id, spec.name, pattern), spec.ifs_handles)
    return layering.with_streams_alone(info, spec.streams_alone)


_TCP_FLAGS = XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_GRACEFUL_CLOSE | XP1_EXPEDITED_DATA | XP1_IFS_HANDLES
_UDP_FLAGS = (
    XP1_CONNECTIONLESS | XP1_MESSAGE_ORIENTED | XP1_SUPPORT_BROADCAST | XP1_SUPPORT_MULTIPOINT | XP1_IFS_HANDLES
)
_LOCAL_FLAGS = XP1_GUARANTEED_DELIVERY | XP1_GUARANTEED_ORDER | XP1_GRACEFUL_CLOSE | XP1_IFS_HANDLES
_MESSAGE_SIZE = 65467


class _Family(NamedTuple):
    """What the entries of one address family have in common."""

    number: int
    least_address: int
    most_address: int
    provider: GUID
    path: str


_INET = "winsock.base.inet:Inet"
_IPV4 = _Family(AF_INET, 16, 16, GUID(0xE70F1AA0, 0xAB8B, 0x11CF, bytes.fromhex("8ca300805f48a192")), _INET)
_IPV6 = _Family(AF_INET6, 28, 28, GUID(0xF9EAB0C0, 0x26D4, 0x11D0, bytes.fromhex("bbbf00aa006c34e4")), _INET)
_UNIX = _Family(AF_UNIX, 2, 110, layering.UNIX_PROVIDER, "winsock.base.unix:Unix")
_HYPERV = _Family(AF_HYPERV, 36, 36, layering.HYPERV_PROVIDER, "winsock.base.hyperv:HyperV")

_TCP = WSAPROTOCOL_INFO(dwServiceFlags1=_TCP_FLAGS, iSocketType=SOCK_STREAM, iProtocol=IPPROTO_TCP)
_UDP = WSAPROTOCOL_INFO(
    dwServiceFlags1=_UDP_FLAGS, iSocketType=SOCK_DGRAM, iProtocol=IPPROTO_UDP, dwMessageSize=_MESSAGE_SIZE
)
_RAW = WSAPROTOCOL_INFO(
    dwServiceFlags1=_UDP_FLAGS,
    dwProviderFlags=PFL_HIDDEN,
    iSocketType=SOCK_RAW,
    iProtocolMaxOffset=255,
    dwMessageSize=_MESSAGE_SIZE,
)
_LOCAL = WSAPROTOCOL_INFO(dwServiceFlags1=_LOCAL_FLAGS, iSocketType=SOCK_STREAM)


def _base(entry_id: int, name: str, family: _Family, protocol: WSAPROTOCOL_INFO) -> CatalogEntry:
    """A row of the built-in catalog: a protocol over one family."""
    info = protocol._replace(
        dwProviderFlags=protocol.dwProviderFlags | PFL_MATCHES_PROTOCOL_ZERO,
        ProviderId=family.provider,
        dwCatalogEntryId=entry_id,
        iAddressFamily=family.number,
        iMaxSockAddr=family.most_address,
        iMinSockAddr=family.least_address,
        szProtocol=name,
    )
    return CatalogEntry(info, family.path)


BUILTIN: tuple[CatalogEntry, ...] = (
    _base(1001, "MSAFD Tcpip [TCP/IP]", _IPV4, _TCP),
    _base(1002, "MSAFD Tcpip [UDP/IP]", _IPV4, _UDP),
    _base(1003, "MSAFD Tcpip [TCP/IPv6]", _IPV6, _TCP),
    _base(1004, "MSAFD Tcpip [UDP/IPv6]", _IPV6, _UDP),
    _base(1005, "MSAFD Tcpip [RAW/IP]", _IPV4, _RAW),
    _base(1006, "MSAFD Tcpip [RAW/IPv6]", _IPV6, _RAW),
    _base(1007, "AF_UNIX", _UNIX, _LOCAL),
    _base(1008, "Hyper-V RAW", _HYPERV, _LOCAL._replace(iProtocol=HV_PROTOCOL_RAW)),
)
"""What there is where nothing was installed."""
