"""Connected sockets of any protocol chain, on loopback, closed when the test is over."""

from __future__ import annotations

import socket as host
from types import TracebackType
from typing import NamedTuple, Self, TypeAlias

from winsock.abi.constants import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM, WINSOCK_VERSION
from winsock.abi.errors import WinsockError
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.api import sockets
from winsock.catalog.entries import Catalog, LayerSpec
from winsock.dispatcher import loader, process
from winsock.dispatcher.records import records
from winsock.spi.layer import Layer, is_stream
from winsock.spi.stream import StreamLayer

LayerLike: TypeAlias = type[Layer] | type[StreamLayer] | LayerSpec | str
"""A layer class that can be imported, its import path, or a `LayerSpec` with options."""

LOOPBACK: dict[int, Sockaddr] = {AF_INET: SockaddrIn("127.0.0.1", 0), AF_INET6: SockaddrIn6("::1", 0)}


class Pair(NamedTuple):
    """Two handles that are connected to each other."""

    client: int
    server: int


def through(*layers: LayerLike) -> Catalog:
    """The built-in catalog with the layers over every protocol, the first uppermost."""
    return Catalog().with_layers([_spec(layer) for layer in layers])


def _spec(layer: LayerLike) -> LayerSpec:
    if isinstance(layer, LayerSpec):
        return layer
    if isinstance(layer, str):
        kind = loader.resolve(layer)
        return _spec_of(kind, layer.rpartition(":")[2].lower(), layer)
    return _spec_of(layer, layer.name, f"{layer.__module__}:{layer.__qualname__}")


def _spec_of(kind: object, name: str, path: str) -> LayerSpec:
    ifs_handles = getattr(kind, "ifs_handles", True)
    return LayerSpec(name, path, ifs_handles=ifs_handles, streams_alone=is_stream(kind))


def has_ipv6() -> bool:
    """Whether ::1 is there to be bound to."""
    try:
        with host.socket(host.AF_INET6, host.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class World:
    """Winsock, started with a catalog, for sockets of one family; what was opened is closed at the end."""

    def __init__(self, catalog: Catalog | None = None, family: int = AF_INET) -> None:
        self.catalog = Catalog() if catalog is None else catalog
        self.family = family

    def __enter__(self) -> Self:
        process.startup(WINSOCK_VERSION, self.catalog)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handle, record in list(records.items()):
            try:
                if not record.hidden:
                    sockets.closesocket(handle)
            except WinsockError:
                pass
        process.cleanup()

    @property
    def anywhere(self) -> Sockaddr:
        """The loopback address with port 0."""
        return LOOPBACK[self.family]

    def stream(self) -> int:
        """A new stream socket."""
        return sockets.socket(self.family, SOCK_STREAM, 0)

    def datagram(self) -> int:
        """A new datagram socket, bound to loopback."""
        s = sockets.socket(self.family, SOCK_DGRAM, 0)
        sockets.bind(s, self.anywhere)
        return s

    def listener(self, backlog: int = 16) -> tuple[int, Sockaddr]:
        """A listening socket on loopback, and its address."""
        s = self.stream()
        sockets.bind(s, self.anywhere)
        sockets.listen(s, backlog)
        return s, sockets.getsockname(s)

    def connected(self) -> Pair:
        """Two ends of one stream."""
        listener, address = self.listener()
        client = self.stream()
        sockets.connect(client, address)
        server, _ = sockets.accept(listener)
        sockets.closesocket(listener)
        return Pair(client, server)

    def datagrams(self) -> Pair:
        """Two datagram sockets, each the other's peer."""
        one, other = self.datagram(), self.datagram()
        sockets.connect(one, sockets.getsockname(other))
        sockets.connect(other, sockets.getsockname(one))
        return Pair(one, other)

    def closed_port(self) -> Sockaddr:
        """An address where nobody listens, and nobody will: its port is taken by a socket that never does."""
        s = self.stream()
        sockets.bind(s, self.anywhere)
        return sockets.getsockname(s)
