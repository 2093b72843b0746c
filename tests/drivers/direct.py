"""The world of the direct driver: the program is this process, its sockets are those of the API."""

from __future__ import annotations

import errno
import socket as host
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from tests.drivers.world import PATIENCE_S, Connection, Greeting, PlainEnd, Use, Used
from winsock.abi.constants import (
    AF_INET,
    FIONBIO,
    SD_SEND,
    SO_ERROR,
    SO_LINGER,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOCK_STREAM,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAENOTSOCK, WSAEWOULDBLOCK, WinsockError
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn
from winsock.api import options, sockets, transfer, waiting
from winsock.catalog.entries import Catalog, LayerSpec
from winsock.core.journal import journal
from winsock.dispatcher import process

T = TypeVar("T")
LOOPBACK = "127.0.0.1"


class WinsockEnd:
    """The program's end: a handle."""

    def __init__(self, s: int) -> None:
        self.s = s
        for option in (SO_RCVTIMEO, SO_SNDTIMEO):
            options.setsockopt(s, SOL_SOCKET, option, int(PATIENCE_S * 1000))

    def send(self, data: bytes) -> None:
        assert transfer.send(self.s, data) == len(data)

    def offer(self, data: bytes) -> int:
        options.ioctlsocket(self.s, FIONBIO, 1)
        try:
            return transfer.send(self.s, data)
        except WinsockError as error:
            if error.winerror != WSAEWOULDBLOCK:
                raise
            return 0
        finally:
            options.ioctlsocket(self.s, FIONBIO, 0)

    def receive(self, limit: int = 65536) -> bytes:
        return transfer.recv(self.s, limit)

    def readable(self, seconds: float) -> bool:
        return bool(waiting.select(0, [self.s], None, None, seconds)[0])

    def end(self) -> None:
        sockets.shutdown(self.s, SD_SEND)

    def close(self) -> None:
        try:
            sockets.closesocket(self.s)
        except WinsockError as error:
            if error.winerror != WSAENOTSOCK:
                raise

    def abort(self) -> None:
        options.setsockopt(self.s, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        self.close()


class DirectWorld:
    """A catalog with the layers, and what is to be closed at the end."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lines: list[str] = []
        journal.sink = self._lines.append

    def lines(self) -> list[str]:
        return list(self._lines)

    def connect(self, greet: Greeting | None = None, *, blocking: bool = True) -> Connection:
        with host.create_server((LOOPBACK, 0)) as server:
            server.settimeout(PATIENCE_S)
            peers: list[PlainEnd] = []

            def serve() -> None:
                accepted, _ = server.accept()
                peers.append(self._closing(PlainEnd(accepted)))
                if greet is not None:
                    greet(peers[0])

            peer = _Beside(serve)
            s = sockets.socket(AF_INET, SOCK_STREAM, 0)
            self._stack.callback(_close_quietly, s)
            address = SockaddrIn(*server.getsockname())
            try:
                if blocking:
                    sockets.connect(s, address)
                else:
                    _connect_without_waiting(s, address)
            except OSError:
                server.shutdown(host.SHUT_RDWR)  # which ends the waiting for somebody to accept
                peer.ignore()
                raise
            peer.join()
        return Connection(WinsockEnd(s), peers[0])

    def accept(self) -> Connection:
        listener = sockets.socket(AF_INET, SOCK_STREAM, 0)
        sockets.bind(listener, SockaddrIn(LOOPBACK, 0))
        sockets.listen(listener, 1)
        address = sockets.getsockname(listener)
        assert isinstance(address, SockaddrIn)
        peer = self._closing(PlainEnd(host.create_connection((address.host, address.port))))
        s, _ = sockets.accept(listener)
        self._stack.callback(_close_quietly, s)
        sockets.closesocket(listener)
        return Connection(WinsockEnd(s), peer)

    def _closing(self, end: PlainEnd) -> PlainEnd:
        self._stack.callback(end.close)
        return end


@contextmanager
def open_direct_world(*layers: Used) -> Iterator[DirectWorld]:
    """Winsock in this process, with these layers over every protocol."""
    process.startup(catalog=Catalog().with_layers([_spec(layer) for layer in layers]))
    sink = journal.sink
    try:
        with ExitStack() as stack:
            yield DirectWorld(stack)
    finally:
        process.cleanup()
        journal.sink = sink


def _spec(layer: Used) -> LayerSpec:
    kind, given = layer if isinstance(layer, Use) else (layer, {})
    made = kind.Options(**given) if kind.Options is not None else None
    return LayerSpec(kind.name, f"{kind.__module__}:{kind.__qualname__}", made, kind.ifs_handles)


def _connect_without_waiting(s: int, address: SockaddrIn) -> None:
    """As a program does that waits by select."""
    options.ioctlsocket(s, FIONBIO, 1)
    try:
        sockets.connect(s, address)
    except WinsockError as error:
        if error.winerror != WSAEWOULDBLOCK:
            raise
        _, connected, failed = waiting.select(0, None, [s], [s], PATIENCE_S)
        assert connected or failed, "the connect does not end"
        code = options.getsockopt(s, SOL_SOCKET, SO_ERROR)
        assert bool(failed) == bool(code), f"select and SO_ERROR do not agree: {failed} and {code!r}"
        if failed:
            raise OSError(getattr(code, "errno", errno.EIO), "the connect failed") from None
    options.ioctlsocket(s, FIONBIO, 0)


def _close_quietly(s: int) -> None:
    try:
        sockets.closesocket(s)
    except WinsockError:
        pass


class _Beside:
    """A thread whose failure is the test's."""

    def __init__(self, body: Callable[[], None]) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(body,), daemon=True)
        self._thread.start()

    def _run(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            self._error = error

    def ignore(self) -> None:
        """Wait for it; what it met with does not count, but for a failed check."""
        self._thread.join(PATIENCE_S)
        if isinstance(self._error, AssertionError):
            raise self._error

    def join(self) -> None:
        self._thread.join(PATIENCE_S)
        if self._error is not None:
            raise self._error
        assert not self._thread.is_alive(), "the peer waits for something"
