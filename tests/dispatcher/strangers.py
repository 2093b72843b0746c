"""A non-IFS base provider: the host's TCP sockets under handles that WPUCreateSocketHandle makes.

It finds what belongs to a handle by WPUQuerySocketHandleContext alone, as the published samples do.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar, Self

from tests.fakes import catalog
from tests.waiting import wait_until
from winsock.abi.constants import AF_INET, FIONBIO, SD_SEND, SO_LINGER, SOCK_DGRAM, SOCK_STREAM
from winsock.abi.errors import WSAEOPNOTSUPP, WinsockError, from_errno
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn
from winsock.api import sockets
from winsock.dispatcher import loader, process
from winsock.dispatcher.records import serving
from winsock.dispatcher.redirector import as_file
from winsock.spi.provider import WSPDATA, OptionValue, ProcTable, Provider, ReadBuffer, WriteBuffer
from winsock.spi.upcalls import Upcalls

SECONDS = 20
"""How long anything may take that does not fail."""


class Context:
    """What the provider knows of a handle."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.linger = (0, 0)
        self.options: dict[int, int] = {}
        self.closed = threading.Event()
        self.closings = 0
        self.ended = False
        """For those that tell it: whether anything was shut down."""


class Stranger(Provider):
    """The provider. Tests override what they are about."""

    started: ClassVar[Stranger]
    entry_id: int
    upcalls: Upcalls
    info: WSAPROTOCOL_INFO

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self.info, self.upcalls = protocol_info, upcalls
        Stranger.started = self
        return WSPDATA(szDescription="stranger"), ProcTable.of(self)

    def WSPCleanup(self) -> None:
        pass

    def take(self, sock: socket.socket) -> int:
        """A handle over a socket."""
        return self.upcalls.WPUCreateSocketHandle(self.info.dwCatalogEntryId, Context(sock))

    def context(self, s: int) -> Context:
        found = self.upcalls.WPUQuerySocketHandleContext(s)
        assert isinstance(found, Context)
        return found

    def WSPSocket(self, af: int, type: int, *rest: object) -> int:
        return self.take(socket.socket(socket.AF_INET, type))

    def WSPConnect(self, s: int, name: Sockaddr, *rest: object) -> None:
        with errors():
            self.context(s).sock.connect(tuple(name))

    def WSPCloseSocket(self, s: int) -> None:
        context = self.context(s)
        context.closings += 1
        self.upcalls.WPUCloseSocketHandle(s)
        if context.linger[0] and not context.linger[1]:
            context.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            disconnect(context.sock)
        else:
            quietly(lambda: context.sock.shutdown(socket.SHUT_RDWR))
        context.sock.close()
        context.closed.set()

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        with errors():
            return SockaddrIn(*self.context(s).sock.getpeername())

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        context = self.context(s)
        return context.linger if optname == SO_LINGER else context.options.get(optname, 0)

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        context = self.context(s)
        if optname == SO_LINGER:
            assert isinstance(value, tuple)
            context.linger = (value[0], value[1])
        else:
            assert isinstance(value, int)
            context.options[optname] = value

    def WSPIoctl(
        self, s: int, code: int, in_buffer: ReadBuffer | None = None, out_size: int = 0, *rest: object
    ) -> bytes | None:
        if code != FIONBIO:
            raise WinsockError(WSAEOPNOTSUPP)
        self.context(s).sock.setblocking(not any(bytes(in_buffer or b"")))
        return b""

    def WSPShutdown(self, s: int, how: int) -> None:
        with errors():
            self.context(s).sock.shutdown(socket.SHUT_WR if how == SD_SEND else how)

    def WSPRecv(self, s: int, buffers: Sequence[WriteBuffer], flags: int = 0, *rest: object) -> tuple[int, int] | None:
        with errors():
            return self.context(s).sock.recvmsg_into(buffers, 0, flags)[0], 0

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], flags: int = 0, *rest: object) -> int | None:
        with errors():
            return self.context(s).sock.sendmsg(buffers)

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        reads, writes = ({self.context(s).sock: s for s in handles or ()} for handles in (readfds, writefds))
        found = select.select(list(reads), list(writes), [], timeout)
        return [reads[sock] for sock in found[0]], [writes[sock] for sock in found[1]], []


@contextmanager
def errors() -> Iterator[None]:
    """The host's errors, as a provider raises them."""
    try:
        yield
    except OSError as error:
        raise from_errno(error.errno or 0) from None


def quietly(call: Callable[[], Any]) -> None:
    try:
        call()
    except OSError:
        pass


def disconnect(sock: socket.socket) -> None:
    """Reset a connection, and wake who waits on it."""
    from winsock import host

    host.connect(sock.fileno(), struct.pack("=H14x", socket.AF_UNSPEC))


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected TCP sockets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    other.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    other.settimeout(SECONDS)
    return one, other


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class World:
    """Winsock, started with a stranger's provider for TCP; what was opened is closed at the end."""

    def __init__(self, kind: type[Stranger] = Stranger, *layers: type) -> None:
        self._open = ExitStack()
        self._open.callback(process.cleanup)
        process.startup(catalog=catalog(*layers, base=f"{kind.__module__}:{kind.__qualname__}"))
        self.chain = loader.open_chain(loader.catalog().match(AF_INET, SOCK_STREAM, 0))
        self.provider = Stranger.started

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def connected(self) -> tuple[int, socket.socket]:
        """A handle, and the plain socket that it is connected to."""
        ours, peer = tcp_pair()
        self._open.enter_context(peer)
        return self.handle_over(ours), peer

    def file(self) -> tuple[int, socket.socket]:
        """The same, where the handle is a file already."""
        s, peer = self.connected()
        return as_file(s), peer

    def handle_over(self, sock: socket.socket) -> int:
        """A handle over a socket; calls enter at the top of the chain."""
        s = self.provider.take(sock)
        for layer in reversed(self.chain.layers):
            layer.upcalls.WPUModifyIFSHandle(layer.entry_id, s)
        return s

    def context(self, s: int) -> Context:
        return self.provider.context(s)

    def datagram(self) -> int:
        entry = loader.catalog().match(AF_INET, SOCK_DGRAM, 0)
        return loader.open_chain(entry).table.WSPSocket(AF_INET, SOCK_DGRAM, 0, entry.info, 0, 0)


def settle() -> None:
    """Wait until no association goes on without its number."""
    wait_until(lambda: not serving, "ending")


def fill(descriptor: int) -> int:
    """Write to a non-blocking descriptor until nothing moves any more; how many bytes went."""
    sent, quiet = 0, 0
    while quiet < 20:
        try:
            sent += os.write(descriptor, bytes(65536))
            quiet = 0
        except BlockingIOError:
            time.sleep(0.005)
            quiet += 1
    return sent


def read_all(source: int | socket.socket) -> bytes:
    """Everything up to the end."""
    parts = []
    while part := os.read(source, 65536) if isinstance(source, int) else source.recv(65536):
        parts.append(part)
    return b"".join(parts)


def run(*bodies: Callable[[], object]) -> list[object]:
    """Each in a thread of its own, all at once; what they answer, or raise."""
    answers: list[object] = [None] * len(bodies)

    def call(index: int) -> None:
        try:
            answers[index] = bodies[index]()
        except Exception as error:
            answers[index] = error

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    return answers


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        assert part, f"the stream ended after {len(data)} bytes"
        data += part
    return data


def errno_of(call: Callable[[], object]) -> int | None:
    try:
        call()
    except OSError as error:
        return error.errno
    return None


def is_connected(s: int) -> bool:
    try:
        sockets.getpeername(s)
    except WinsockError:
        return False
    return True


def is_hung_up(s: int) -> bool:
    poller = select.poll()
    poller.register(s, 0)
    return bool(poller.poll(0))


def read_exactly(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        if not os.get_blocking(descriptor):
            select.select([descriptor], [], [], SECONDS)
        part = os.read(descriptor, count - len(data))
        assert part, f"the stream ended after {len(data)} bytes"
        data += part
    return data
