"""Two hosts and what tests do between them."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import pytest

from winsock.abi.constants import (
    AF_INET,
    FIONBIO,
    SOCK_DGRAM,
    SOCK_RDM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    WINSOCK_VERSION,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_MULTIPOINT_D_LEAF,
    WSA_FLAG_MULTIPOINT_D_ROOT,
)
from winsock.abi.errors import WSAEWOULDBLOCK, WinsockError, name_of
from winsock.abi.sockaddr import SockaddrIn
from winsock.api import options, sockets
from winsock.base.memory import Conditions, Host, Network
from winsock.base.memory.protocols import MESSAGES, ROOTED
from winsock.dispatcher import process
from winsock.dispatcher.records import records
from winsock.spi.provider import ProcTable

ALICE, BOB = "10.0.0.1", "10.0.0.2"
AS_ROOT = WSA_FLAG_MULTIPOINT_C_ROOT | WSA_FLAG_MULTIPOINT_D_ROOT
AS_LEAF = WSA_FLAG_MULTIPOINT_C_LEAF | WSA_FLAG_MULTIPOINT_D_LEAF


class Pair(NamedTuple):
    """Two handles that are connected to each other: alice's and bob's."""

    alice: int
    bob: int


class Land:
    """A network with alice and bob, installed and started."""

    def __init__(self, seed: int = 1, **conditions: Any) -> None:
        self.network = Network(seed, Conditions(**conditions))
        self.alice = self.network.host(ALICE, "fd00::1", name="alice")
        self.bob = self.network.host(BOB, "fd00::2", name="bob")

    def __enter__(self) -> Self:
        process.startup(WINSOCK_VERSION, self.network.catalog())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process.cleanup()

    def stream(self, host: Host) -> int:
        with host:
            return sockets.socket(AF_INET, SOCK_STREAM, 0)

    def messages(self, host: Host) -> int:
        with host:
            return sockets.socket(AF_INET, SOCK_SEQPACKET, MESSAGES)

    def datagram(self, host: Host, port: int = 0) -> int:
        return self._bound(host, SOCK_DGRAM, port)

    def reliable(self, host: Host, port: int = 0) -> int:
        return self._bound(host, SOCK_RDM, port)

    def member(self, host: Host, flags: int, port: int | None = None) -> int:
        """A socket for a rooted session, bound where a port is given."""
        with host:
            s = sockets.WSASocket(AF_INET, SOCK_SEQPACKET, ROOTED, None, 0, flags)
        if port is not None:
            sockets.bind(s, (host.addresses[0], port))
        return s

    def _bound(self, host: Host, type: int, port: int) -> int:
        with host:
            s = sockets.socket(AF_INET, type, 0)
        sockets.bind(s, (host.addresses[0], port))
        return s

    def listener(self, host: Host, port: int = 0, backlog: int = 5, make: Callable[[Host], int] | None = None) -> int:
        s = (make or self.stream)(host)
        sockets.bind(s, (host.addresses[0], port))
        sockets.listen(s, backlog)
        return s

    def connected(self, make: Callable[[Host], int] | None = None) -> Pair:
        """Alice has connected to bob."""
        listener = self.listener(self.bob, make=make)
        client = (make or self.stream)(self.alice)
        going_on(lambda: sockets.connect(nonblocking(client), sockets.getsockname(listener)))
        server, _ = sockets.accept(listener)
        self.settle()
        blocking(client)
        sockets.closesocket(listener)
        return Pair(client, server)

    def settle(self, seconds: float = 1.0) -> None:
        """Let time pass, until what was under way has arrived."""
        self.network.sleep(seconds)

    @property
    def lines(self) -> list[str]:
        return self.network.transcript().splitlines()


def address(host: Host, port: int) -> SockaddrIn:
    return SockaddrIn(host.addresses[0], port)


def table(s: int) -> ProcTable:
    """The provider's own functions for a handle."""
    return records[s].table


def nonblocking(s: int) -> int:
    options.ioctlsocket(s, FIONBIO, 1)
    return s


def blocking(s: int) -> int:
    options.ioctlsocket(s, FIONBIO, 0)
    return s


def refused(code: int, call: Callable[[], object]) -> WinsockError:
    """Run a call that must fail with this code."""
    with pytest.raises(WinsockError) as caught:
        call()
    assert caught.value.winerror == code, f"expected {name_of(code)}, not {caught.value}"
    return caught.value


def goes(call: Callable[[], object]) -> bool:
    """Whether a non-blocking call does not say that it would have to wait."""
    try:
        call()
    except WinsockError as error:
        if error.winerror != WSAEWOULDBLOCK:
            raise
        return False
    return True


def going_on(call: Callable[[], object]) -> None:
    """Run a non-blocking call that says it goes on."""
    refused(WSAEWOULDBLOCK, call)
