"""A base provider of your own: streams between the programs of one machine, by paths instead of addresses and ports.

    python provider.py          install it in a catalog of its own, and let a client and a server talk through it

A base provider is the end of a chain: it makes sockets and knows nothing of layers. What it does not offer answers
WSAEOPNOTSUPP, by `Provider`. To install it for good, give WSCInstallProvider its file as it is done below, without
WINSOCK_CATALOG; layers over everything then cover it too.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import winsock
from winsock import GUID, WSAPROTOCOL_INFO, WSPDATA, ProcTable, Provider, SockaddrUn, Upcalls, WinsockError
from winsock.abi.errors import from_errno
from winsock.spi.provider import ReadBuffer, WriteBuffer

ID = GUID.parse("{2f0f5f3a-8a1e-4a55-9a39-2d1f0c5b7a10}")
PROTOCOL = 77  # a number of its own: 0 is that of the local streams which are built in
INFO = WSAPROTOCOL_INFO(
    dwServiceFlags1=winsock.XP1_GUARANTEED_DELIVERY | winsock.XP1_GUARANTEED_ORDER | winsock.XP1_IFS_HANDLES,
    iAddressFamily=winsock.AF_UNIX,
    iMinSockAddr=2,
    iMaxSockAddr=110,
    iSocketType=winsock.SOCK_STREAM,
    iProtocol=PROTOCOL,
    szProtocol="local streams",
)
HOW = {winsock.SD_RECEIVE: socket.SHUT_RD, winsock.SD_SEND: socket.SHUT_WR, winsock.SD_BOTH: socket.SHUT_RDWR}


@contextmanager
def host_errors() -> Iterator[None]:
    """The host's errors become Winsock's."""
    try:
        yield
    except OSError as error:
        raise error if isinstance(error, WinsockError) else from_errno(error.errno or 0) from None


class Local(Provider):
    """Handles are the descriptors of sockets; `sockets` keeps the Python objects that go with them."""

    def __init__(self) -> None:
        self.sockets: dict[int, socket.socket] = {}

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self.info, self.upcalls = protocol_info, upcalls
        return WSPDATA(szDescription=protocol_info.szProtocol), ProcTable.of(self)

    def WSPCleanup(self) -> None:
        """Starts are not counted: whoever comes last finds nothing left to close."""

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        with host_errors():
            return self._register(socket.socket(socket.AF_UNIX))

    def WSPCloseSocket(self, s: int) -> None:
        self._of(s)
        self.sockets.pop(s).close()

    def WSPBind(self, s: int, name: object) -> None:
        with host_errors():
            self._of(s).bind(path_of(name))

    def WSPListen(self, s: int, backlog: int) -> None:
        with host_errors():
            self._of(s).listen(backlog)

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, SockaddrUn]:
        if condition is not None:
            raise WinsockError(winsock.WSAEOPNOTSUPP, "who connects by a path has no address to decide by")
        with host_errors():
            accepted, name = self._of(s).accept()
        return self._register(accepted), SockaddrUn(name)

    def WSPConnect(self, s: int, name: object, *rest: object) -> None:
        with host_errors():
            self._of(s).connect(path_of(name))

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int:
        self._plain(flags, overlapped)
        sock = self._of(s)
        with host_errors():
            for buffer in buffers:
                sock.sendall(buffer)
        return sum(map(len, buffers))

    def WSPRecv(
        self,
        s: int,
        buffers: Sequence[WriteBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> tuple[int, int]:
        self._plain(flags, overlapped)
        with host_errors():
            return self._of(s).recvmsg_into(buffers)[0], 0

    def WSPShutdown(self, s: int, how: int) -> None:
        with host_errors():
            self._of(s).shutdown(HOW[how])

    def WSPGetSockName(self, s: int) -> SockaddrUn:
        with host_errors():
            return SockaddrUn(self._of(s).getsockname())

    def WSPGetPeerName(self, s: int) -> SockaddrUn:
        with host_errors():
            return SockaddrUn(self._of(s).getpeername())

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> WSAPROTOCOL_INFO:
        if (level, optname) == (winsock.SOL_SOCKET, winsock.SO_PROTOCOL_INFO):
            return self.info
        raise WinsockError(winsock.WSAENOPROTOOPT, f"local streams have no option {optname} of level {level}")

    def WSPSelect(
        self,
        nfds: int,
        readfds: Sequence[int] | None,
        writefds: Sequence[int] | None,
        exceptfds: Sequence[int] | None,
        timeout: float | None,
    ) -> tuple[list[int], list[int], list[int]]:
        with host_errors():
            return select.select(readfds or (), writefds or (), exceptfds or (), timeout)

    def _register(self, sock: socket.socket) -> int:
        """Say whose handle it is; only what WPUModifyIFSHandle answers is used."""
        handle = self.upcalls.WPUModifyIFSHandle(self.info.dwCatalogEntryId, sock.fileno())
        self.sockets[handle] = sock
        return handle

    def _plain(self, flags: int, overlapped: object) -> None:
        if flags or overlapped is not None:
            raise WinsockError(winsock.WSAEOPNOTSUPP, "local streams know neither flags nor overlapped I/O")

    def _of(self, s: int) -> socket.socket:
        if s not in self.sockets:
            raise WinsockError(winsock.WSAENOTSOCK, f"{s} is no local stream")
        return self.sockets[s]


def path_of(name: object) -> str | bytes:
    """The path of an address; raises WSAEAFNOSUPPORT."""
    if not isinstance(name, SockaddrUn):
        raise WinsockError(winsock.WSAEAFNOSUPPORT, f"{name} is no path")
    return name.path


# Using it.


def main(folder: str) -> None:
    """Install it, and let both ends talk."""
    os.environ["WINSOCK_CATALOG"] = os.path.join(folder, "catalog.sqlite")
    winsock.WSCInstallProvider(ID, f"{os.path.abspath(__file__)}:Local", [INFO])
    with winsock.started():
        for info in winsock.WSAEnumProtocols():
            print(f"{info.dwCatalogEntryId}  {info.szProtocol}")
        path = os.path.join(folder, "meeting-point")
        listener = winsock.socket(winsock.AF_UNIX, winsock.SOCK_STREAM, PROTOCOL)
        winsock.bind(listener, path)
        winsock.listen(listener, 1)
        server = threading.Thread(target=answer, args=(listener,))
        server.start()
        client = winsock.socket(winsock.AF_UNIX, winsock.SOCK_STREAM, PROTOCOL)
        winsock.connect(client, path)
        winsock.send(client, b"anybody there?")
        print(f"the answer: {winsock.recv(client, 100).decode()}")
        server.join()


def answer(listener: int) -> None:
    """The server's side."""
    s, _ = winsock.accept(listener)
    print(f"asked: {winsock.recv(s, 100).decode()}", flush=True)
    winsock.send(s, b"yes, and no port was needed")
    winsock.closesocket(s)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="winsock-provider-") as folder:
        main(folder)
    sys.exit(0)
