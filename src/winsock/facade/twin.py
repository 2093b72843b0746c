"""A twin of `socket.socket`, whose sockets are opened through protocol chains.

It *is* the host's class, on a handle that a chain made: what no layer overrides is the host's own method, on the very
descriptor, and costs what it always did. What a layer overrides goes down the chain. So a Python program finds exactly
what it knows, errors included, and a layer finds every call that it asked for.

A handle of a chain that makes its own handles becomes a file (`winsock.as_file`) when it is connected; until then there
is nothing that the host's class could stand on, and every call goes down the chain.

Kinds of socket for which nothing is installed are the host's, untouched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket as host
import sys
import warnings
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from winsock.abi.constants import FIONBIO, WSA_FLAG_NO_HANDLE_INHERIT
from winsock.abi.errors import WinsockError
from winsock.base.inet.native import make_native
from winsock.dispatcher import handles, loader, process, records
from winsock.dispatcher.chains import Chain
from winsock.dispatcher.records import Record
from winsock.facade.addresses import from_winsock, to_winsock
from winsock.facade.through import Through, as_host_errors, check_control, check_room
from winsock.host import families
from winsock.spi.handles import base_handle
from winsock.spi.layer import overridden
from winsock.spi.provider import FUNCTIONS

_NONBLOCK = int(getattr(host, "SOCK_NONBLOCK", 0))
_KIND_FLAGS = _NONBLOCK | int(getattr(host, "SOCK_CLOEXEC", 0))
_EVERYTHING = frozenset(FUNCTIONS)
_OF_FILES = frozenset({"WSPSend", "WSPSendTo", "WSPRecv", "WSPRecvFrom", "WSPShutdown"})
"""What is done on the descriptor, where a provider's own handle is a file."""
_ONE = (1).to_bytes(4, "little")


class socket(host.socket):  # noqa: N801
    """The class of the socket module, over Winsock."""

    _record: Record | None = None
    """Where the chain is known; None for a socket of the host's own."""
    _taken: frozenset[str] = frozenset()
    """The functions that go down the chain."""
    _through: Through
    _kind: tuple[int, int, int] | None = None
    """Family, type and protocol, while the handle is no socket of the host's."""
    _limit: float | None = None
    """The time-out, while the handle is none of the host's."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        if fileno is not None:
            super().__init__(family, type, proto, fileno)
            self._join(_record_of(self))
            return
        family = host.AF_INET if family == -1 else family
        type = host.SOCK_STREAM if type == -1 else type
        proto = 0 if proto == -1 else proto
        chain = chain_for(family, type & ~_KIND_FLAGS, proto)
        if chain is None:
            super().__init__(family, type, proto)
            return
        self._open(chain, (family, type & ~_KIND_FLAGS, proto))
        if type & _NONBLOCK:
            self.settimeout(0.0)
        elif (limit := host.getdefaulttimeout()) is not None:
            self.settimeout(limit)

    def _open(self, chain: Chain, kind: tuple[int, int, int]) -> None:
        """A new handle of the chain's."""
        info = chain.entry.info
        with as_host_errors():
            handle = chain.table.WSPSocket(
                info.iAddressFamily, info.iSocketType, info.iProtocol, info, 0, WSA_FLAG_NO_HANDLE_INHERIT
            )
        record = records.find(handle)
        if record.made:
            self._kind = kind
            self._io_refs, self._closed = 0, False  # what the host's class would have set
            make_native(base_handle(record.table, record.handle), info.iAddressFamily)
        else:
            make_native(handle, info.iAddressFamily)
            super().__init__(*kind, fileno=handle)
        self._join(record)

    def _join(self, record: Record | None) -> None:
        self._record = record
        if record is not None:
            _newest[record.handle] = self
            self._through = Through(record, self.gettimeout())
            self._taken = self._taken_of(record)

    def _taken_of(self, record: Record) -> frozenset[str]:
        if self._kind is not None:
            return _EVERYTHING
        return _EVERYTHING - _OF_FILES if record.made else taken(record.chain)

    def _become_file(self) -> None:
        """Connected: from now on the host's class stands on a file. Datagrams have none to stand on."""
        if self._kind is None or self._record is None or self._kind[1] != host.SOCK_STREAM:
            return
        kind, limit, handle = self._kind, self._limit, self._record.handle
        _as_file(handle)
        self._kind = None
        super().__init__(*kind, fileno=handle)
        self.settimeout(limit)
        self._taken = self._taken_of(self._record)

    # --- what the handle is -------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        if self._kind is not None and self._record is not None:
            return self._record.handle
        return super().fileno()

    @property
    def family(self) -> Any:
        return super().family if self._kind is None else host.AddressFamily(self._kind[0])

    @property
    def type(self) -> Any:
        return super().type if self._kind is None else host.SocketKind(self._kind[1])

    @property
    def proto(self) -> int:
        return super().proto if self._kind is None else self._kind[2]

    def settimeout(self, value: float | None) -> None:
        if self._kind is None or self._record is None:
            super().settimeout(value)
            if self._record is not None:
                self._through.limit = super().gettimeout()
            return
        self._limit = self._through.limit = value
        on = bytes(4) if value is None else _ONE
        with as_host_errors():
            self._record.table.WSPIoctl(self._record.handle, FIONBIO, on, 0)

    def gettimeout(self) -> float | None:
        return super().gettimeout() if self._kind is None else self._limit

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        return self.gettimeout() != 0.0

    def _real_close(self, *ignored: object) -> None:
        """Close through the chain, which closes the descriptor."""
        record, self._record = self._record, None
        if record is None:
            super()._real_close()  # type: ignore[misc]
            return
        if self._kind is None:
            super().detach()
        self._kind, self._taken = None, frozenset()
        if records.records.get(record.handle) is record:
            with as_host_errors():
                handles.close(record.handle)
        elif record.is_current():  # another object of this socket gave it away
            os.close(record.handle)
        else:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def __del__(self) -> None:
        """What was never closed is closed through the chain, too, and told of as the host's class does."""
        if self._record is not None and not sys.is_finalizing():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            with contextlib.suppress(OSError):
                self._real_close()

    def detach(self) -> int:
        number = self.fileno()
        record, self._record, self._taken = self._record, None, frozenset()
        if self._kind is None:
            super().detach()
        self._closed = True
        if record is not None and not record.made and _newest.get(record.handle) in (self, None):
            handles.release(record.handle)
        return number

    # --- connections --------------------------------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        if "WSPConnect" not in self._taken:
            super().connect(address)
            return
        self._through.connect(to_winsock(int(self.family), address, "connect"))
        self._become_file()

    def connect_ex(self, address: Any) -> int:
        if "WSPConnect" not in self._taken:
            return super().connect_ex(address)
        try:
            socket.connect(self, address)  # and not what a class over this one, as ssl's, makes of it
        except TimeoutError as error:
            return error.errno or 11
        except OSError as error:
            if error.errno is None or isinstance(error, host.gaierror):
                raise
            return error.errno
        return 0

    def bind(self, address: Any) -> None:
        if "WSPBind" not in self._taken:
            super().bind(address)
            return
        assert self._record is not None
        name = to_winsock(int(self.family), address, "bind")
        with as_host_errors():
            self._record.table.WSPBind(self._record.handle, name)

    def listen(self, backlog: int = 128) -> None:
        if "WSPListen" not in self._taken:
            super().listen(backlog)
            return
        assert self._record is not None
        with as_host_errors():
            self._record.table.WSPListen(self._record.handle, max(backlog, 0))

    def accept(self) -> tuple[socket, Any]:
        kind = int(self.family), int(self.type), self.proto
        if "WSPAccept" not in self._taken:
            number, address = super()._accept()  # type: ignore[misc]
        else:
            number, peer = self._through.accept()
            address = from_winsock(peer)
            if records.records[number].made:
                _as_file(number)
        accepted = socket(*kind, fileno=number)
        if host.getdefaulttimeout() is None and self.gettimeout():
            accepted.setblocking(True)
        return accepted, address

    def shutdown(self, how: int) -> None:
        if "WSPShutdown" not in self._taken:
            super().shutdown(how)
        else:
            assert self._record is not None
            with as_host_errors():
                self._record.table.WSPShutdown(self._record.handle, how)
        if self._record is not None:
            self._record.note_shutdown(how)

    def getsockname(self) -> Any:
        if "WSPGetSockName" not in self._taken:
            return super().getsockname()
        assert self._record is not None
        with as_host_errors():
            return from_winsock(self._record.table.WSPGetSockName(self._record.handle))

    def getpeername(self) -> Any:
        if "WSPGetPeerName" not in self._taken:
            return super().getpeername()
        assert self._record is not None
        with as_host_errors():
            return from_winsock(self._record.table.WSPGetPeerName(self._record.handle))

    def getsockopt(self, level: int, optname: int, buflen: int = 0) -> Any:
        found = self._through.get_option(level, optname, buflen) if "WSPGetSockOpt" in self._taken else None
        if found is not None:
            return found
        with self._of_host() as known:
            return host.SocketType.getsockopt(known, level, optname, buflen)

    def setsockopt(self, level: int, optname: int, value: Any, *optlen: int) -> None:
        if value is None or "WSPSetSockOpt" not in self._taken or not self._through.set_option(level, optname, value):
            with self._of_host() as known:
                host.SocketType.setsockopt(known, level, optname, value, *optlen)

    @contextlib.contextmanager
    def _of_host(self) -> Iterator[host.SocketType]:
        """For options that only the host has: this socket, or the one at the end of the chain."""
        if self._record is None or not self._record.made:
            yield self
            return
        handle = base_handle(self._record.table, self._record.handle)
        below = host.SocketType(int(self.family), int(self.type), self.proto, handle)
        try:
            yield below
        finally:
            below.detach()

    # --- data ---------------------------------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        return self._through.send((data,), flags) if "WSPSend" in self._taken else _send(self, data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        if "WSPSend" in self._taken:
            self._through.send_all(data, flags)
        else:
            super().sendall(data, flags)

    def sendto(self, data: Any, *more: Any) -> int:
        if "WSPSendTo" not in self._taken:
            return super().sendto(data, *more)
        flags, address = more if len(more) > 1 else (0, *more)
        return self._through.send_to((data,), flags, to_winsock(int(self.family), address, "sendto"))

    def sendmsg(self, buffers: Iterable[Any], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None) -> int:
        if not self._taken & {"WSPSend", "WSPSendTo"}:
            return super().sendmsg(buffers, ancdata, flags, address)
        check_control(ancdata)
        pieces = [memoryview(buffer) for buffer in buffers]
        if address is None:
            return self._through.send(pieces, flags)
        return self._through.send_to(pieces, flags, to_winsock(int(self.family), address, "sendmsg"))

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        if "WSPSend" in self._taken:
            return self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined,no-any-return]
        return super().sendfile(file, offset, count)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        if "WSPRecv" not in self._taken:
            return _recv(self, bufsize, flags)
        buffer = _room(bufsize, "recv")
        return bytes(buffer[: self._through.receive((buffer,), flags)])

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if "WSPRecv" not in self._taken:
            return super().recv_into(buffer, nbytes, flags)
        return self._through.receive((_part(buffer, nbytes, "recv_into"),), flags)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        if "WSPRecvFrom" not in self._taken:
            return super().recvfrom(bufsize, flags)
        buffer = _room(bufsize, "recvfrom")
        count, _, source = self._through.receive_message((buffer,), flags)
        return bytes(buffer[:count]), from_winsock(source)

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        if "WSPRecvFrom" not in self._taken:
            return super().recvfrom_into(buffer, nbytes, flags)
        count, _, source = self._through.receive_message((_part(buffer, nbytes, "recvfrom_into"),), flags)
        return count, from_winsock(source)

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        if not self._taken & {"WSPRecv", "WSPRecvFrom"}:
            return super().recvmsg(bufsize, ancbufsize, flags)
        check_room(ancbufsize, "recvmsg")
        buffer = _room(bufsize, "recvmsg")
        count, told, source = self._through.receive_message((buffer,), flags)
        return bytes(buffer[:count]), [], told, from_winsock(source)

    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        if not self._taken & {"WSPRecv", "WSPRecvFrom"}:
            return super().recvmsg_into(buffers, ancbufsize, flags)
        check_room(ancbufsize, "recvmsg_into")
        pieces: Sequence[memoryview] = [_writable(buffer) for buffer in buffers]
        count, told, source = self._through.receive_message(pieces, flags)
        return count, [], told, from_winsock(source)


_newest: weakref.WeakValueDictionary[int, socket] = weakref.WeakValueDictionary()
"""Of each handle the object that was made of it last: who detaches another gives it nothing but the number."""
_send, _recv = host.socket.send, host.socket.recv


def chain_for(family: int, type: int, proto: int) -> Chain | None:
    """The chain that opens such a socket; None where nothing installed does. Winsock is started for it."""
    meant = families.FROM_HOST.get(family)
    if meant is None:
        return None
    start()
    try:
        entry = loader.catalog().match(meant, type, proto)
    except WinsockError:
        return None
    with as_host_errors():
        return loader.open_chain(entry)


def start() -> None:
    """Start Winsock for this process, where nobody has."""
    if not process.is_started():
        process.startup()


def taken(chain: Chain) -> frozenset[str]:
    """The functions that a layer of the chain overrides; all of them where a provider is no `Layer`."""
    if len(chain.layers) != len(chain.ids) - 1:
        return _EVERYTHING
    return frozenset().union(*(overridden(type(layer)) for layer in chain.layers))


def _record_of(made: socket) -> Record | None:
    """The record of a descriptor from elsewhere: a chain's own already, or one that a chain can serve."""
    number = made.fileno()
    record = records.records.get(number)
    if record is not None and record.is_current():
        return record
    chain = chain_for(int(made.family), int(made.type), made.proto)
    return None if chain is None else handles.adopt_into(chain, number)


def _as_file(handle: int) -> None:
    from winsock.dispatcher.redirector import as_file

    with as_host_errors():
        as_file(handle)


def _room(size: int, function: str) -> bytearray:
    if size < 0:
        raise ValueError(f"negative buffersize in {function}")
    return bytearray(size)


def _part(buffer: Any, size: int, function: str) -> memoryview:
    if size < 0:
        raise ValueError(f"negative buffersize in {function}")
    view = _writable(buffer)
    if size > len(view):
        raise ValueError(f"buffer too small for requested bytes: {function}")
    return view[:size] if size else view


def _writable(buffer: Any) -> memoryview:
    view = memoryview(buffer).cast("B")
    if view.readonly:
        raise TypeError(f"read-write bytes-like object expected, not {type(buffer).__name__}")
    return view
