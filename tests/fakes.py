"""A base provider over plain sockets that writes down what it was handed, and catalogs that end in it."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from winsock.abi.constants import AF_INET, AF_UNSPEC, SO_LINGER, SOL_SOCKET
from winsock.abi.errors import from_errno
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.catalog.entries import BUILTIN, Catalog, CatalogEntry, LayerSpec
from winsock.spi.provider import WSPDATA, OptionValue, ProcTable, Provider, ReadBuffer, WriteBuffer
from winsock.spi.upcalls import Upcalls


class RecordingBase(Provider):
    """TCP and UDP by the `socket` module; `seen` holds (function, arguments) of all objects of the class."""

    seen: ClassVar[list[tuple[str, Any]]] = []
    starts: ClassVar[list[WSAPROTOCOL_INFO]] = []
    running: ClassVar[int] = 0

    info: WSAPROTOCOL_INFO
    upcalls: Upcalls

    @classmethod
    def forget(cls) -> None:
        cls.seen.clear()
        cls.starts.clear()
        RecordingBase.running = 0

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        self.info, self.upcalls = protocol_info, upcalls
        self.starts.append(protocol_info)
        RecordingBase.running += 1
        return WSPDATA(szDescription="recording"), ProcTable.of(self)

    def WSPCleanup(self) -> None:
        RecordingBase.running -= 1

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        self.seen.append(("WSPSocket", (af, type, protocol, protocol_info, g, flags)))
        family = socket.AF_INET if self.info.iAddressFamily == AF_INET else socket.AF_INET6
        sock = socket.socket(family, self.info.iSocketType)
        return self.upcalls.WPUModifyIFSHandle(self.info.dwCatalogEntryId, sock.detach())

    def WSPCloseSocket(self, s: int) -> None:
        self.seen.append(("WSPCloseSocket", s))
        os.close(s)

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        self.seen.append(("WSPConnect", name))
        if name.family == AF_UNSPEC:
            return None
        try:
            self._socket(s, lambda sock: sock.connect(tuple(name)))
        except OSError as error:
            raise from_errno(error.errno or 0) from None
        return None

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        self._socket(s, lambda sock: sock.bind(tuple(name)))

    def WSPListen(self, s: int, backlog: int) -> None:
        self._socket(s, lambda sock: sock.listen(backlog))

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        accepted, peer = self._socket(s, lambda sock: sock.accept())
        handle = accepted.detach()
        return self.upcalls.WPUModifyIFSHandle(self.info.dwCatalogEntryId, handle), self._address(peer)

    def WSPSend(self, s: int, buffers: Sequence[ReadBuffer], flags: int = 0, *rest: object) -> int:
        return os.write(s, b"".join(buffers))

    def WSPGetSockName(self, s: int) -> Sockaddr:
        return self._address(self._socket(s, lambda sock: sock.getsockname()))

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        try:
            return self._address(self._socket(s, lambda sock: sock.getpeername()))
        except OSError as error:
            raise from_errno(error.errno or 0) from None

    def WSPGetSockOpt(self, s: int, level: int, optname: int) -> OptionValue:
        self.seen.append(("WSPGetSockOpt", (level, optname)))
        return self.info if optname == 0x2005 else 0

    def WSPSetSockOpt(self, s: int, level: int, optname: int, value: OptionValue) -> None:
        self.seen.append(("WSPSetSockOpt", (level, optname, value)))
        if (level, optname) == (SOL_SOCKET, SO_LINGER):
            assert isinstance(value, tuple)
            packed = struct.pack("ii", *value)
            self._socket(s, lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, packed))

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        return self.info._replace(dwProviderReserved=process_id)

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        self.seen.append(("WSPAddressToString", protocol_info))
        return str(address)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        self.seen.append(("WSPStringToAddress", protocol_info))
        host, _, port = text.rpartition(":")
        return SockaddrIn(host, int(port))

    def WSPIoctl(
        self, s: int, code: int, in_buffer: ReadBuffer | None = None, out_size: int = 0, *rest: object
    ) -> bytes | None:
        self.seen.append(("WSPIoctl", code))
        return bytes(out_size)

    def _address(self, name: Any) -> Sockaddr:
        return SockaddrIn(*name) if len(name) == 2 else SockaddrIn6(*name)

    def _socket(self, s: int, use: Callable[[socket.socket], Any]) -> Any:
        """Use the descriptor as a socket object, which does not own it."""
        sock = socket.socket(fileno=s)
        try:
            return use(sock)
        finally:
            sock.detach()


RECORDING = f"{__name__}:RecordingBase"


def catalog(*layers: type, base: str = RECORDING, options: Sequence[object] = ()) -> Catalog:
    """A catalog of recording base protocols under chains of the layers, the first uppermost."""
    bases = [CatalogEntry(entry.info, base) for entry in BUILTIN]
    given = dict(enumerate(options))
    specs = [
        LayerSpec(layer.__name__.lower(), f"{layer.__module__}:{layer.__qualname__}", given.get(i))
        for i, layer in enumerate(layers)
    ]
    return Catalog(bases).with_layers(specs)
