"""Which chain serves a socket: from what the host calls its kind to the catalog's entry and the chain opened for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winsock.abi.errors import WinsockError
from winsock.base.inet.native import make_native
from winsock.dispatcher import handles, loader, records
from winsock.dispatcher.records import Record
from winsock.host import families
from winsock.host.numbers import AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM
from winsock.supervisor.lease import Kind

if TYPE_CHECKING:
    from winsock.catalog.entries import Catalog, CatalogEntry
    from winsock.dispatcher.chains import Chain
    from winsock.spi.layer import Layer

_NO_HANDLE, _NO_FILE = -1, b""
_TCP, _UDP = (SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)
_USUAL = tuple(Kind(domain, *rest) for domain in (AF_INET, AF_INET6) for rest in (_TCP, _UDP))

_IPPROTO_SCTP = 132


def name_of(kind: Kind) -> str:
    """The kind of a socket that passes, as the truth line says it."""
    if kind.domain not in (AF_INET, AF_INET6):
        return f"address family {kind.domain}"
    if kind.type == SOCK_STREAM:
        return "sctp" if kind.protocol == _IPPROTO_SCTP else f"stream of protocol {kind.protocol}"
    if kind.type == SOCK_DGRAM:
        return "udp" if kind.protocol in (0, IPPROTO_UDP) else f"datagram of protocol {kind.protocol}"
    return "raw" if kind.type == SOCK_RAW else f"socket type {kind.type}"


class Chains:
    """The chains of one run, by kind of socket; each is opened once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._opened: dict[Kind, Chain | None] = {}
        self._entrances: dict[Kind, Record | None] = {}

    def open_all(self) -> None:
        """Open the chains of the usual kinds before the first socket: a layer that cannot start says so at the start.

        `WinsockError` as the loader's; every later call of that kind raises it again, and so fails.
        """
        for kind in _USUAL:
            self._open(kind)

    def entry_for(self, kind: Kind) -> CatalogEntry | None:
        """The catalog entry that opens such a socket; None where none does, and for raw ones, which pass unlayered."""
        family = families.FROM_HOST.get(kind.domain)
        if family is None or kind.type == SOCK_RAW:
            return None
        try:
            return self._catalog.match(family, kind.type, kind.protocol)
        except WinsockError:
            return None

    def adopt(self, descriptor: int, kind: Kind, cookie: int) -> Record | None:
        """Put the program's own socket under the chain of its kind; None where there is none for it."""
        try:
            chain = self._opened[kind]
        except KeyError:
            chain = self._open(kind)
        return None if chain is None else handles.adopt_into(chain, descriptor, _NO_FILE)

    def enter(self, descriptor: int, kind: Kind, cookie: int) -> Record | None:
        """The same for a chain that sees no handles and remembers no socket: one record for all, and no association."""
        try:
            return self._entrances[kind]
        except KeyError:
            chain = self._open(kind)
            entrance = None if chain is None else Record(_NO_HANDLE, chain, chain.table, _NO_FILE, adopted=True)
            self._entrances[kind] = entrance
            return entrance

    def create(self, kind: Kind) -> tuple[int, Record]:
        """A new socket through the chain, and its record."""
        chain = self._open(kind)
        assert chain is not None
        info = chain.entry.info
        handle = chain.table.WSPSocket(info.iAddressFamily, info.iSocketType, info.iProtocol, info, 0, 0)
        make_native(handle, info.iAddressFamily)
        return handle, records.find(handle)

    def layers(self) -> list[Layer]:
        """The layer objects of all chains that were opened."""
        chains = {id(chain): chain for chain in self._opened.values() if chain is not None}
        return [layer for chain in chains.values() for layer in chain.layers]

    def _open(self, kind: Kind) -> Chain | None:
        entry = self.entry_for(kind)
        chain = self._opened[kind] = None if entry is None else loader.open_chain(entry)
        return chain
