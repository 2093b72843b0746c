"""Local streams: what the internet's sockets do, without hosts, ports and options of the network.

As on Windows there are streams alone, and no pairs, urgent data or descriptors that travel. A socket that is bound to
a path makes a file there, which stays when it is closed; a name that begins with a zero byte makes none.

Sources: afunix.h and "AF_UNIX comes to Windows"; unix(7).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence

from winsock.abi.constants import SIO_AF_UNIX_GETPEERPID, SOL_SOCKET
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINVAL,
    WSAENOTCONN,
    WinsockError,
    from_errno,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrUn
from winsock.base.inet import many, own, raw
from winsock.base.inet.addresses import pack
from winsock.base.inet.controls import COMMON_ROWS, Controls, Row
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.provider import Inet
from winsock.spi.provider import WriteBuffer

_CREDENTIALS = struct.Struct("=iII")
_DWORD = struct.Struct("<I")
_SO_PEERCRED = getattr(socket, "SO_PEERCRED", 17)
_NOBODY_LISTENS = (errno.ENOENT, errno.ENOTDIR)
_WAITALL = int(getattr(socket, "MSG_WAITALL", 0))
_NO_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EROFS)


class Unix(Inet):
    """AF_UNIX, SOCK_STREAM."""

    option_levels = (SOL_SOCKET,)

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        """Make a file of that path, or take an abstract name (lpwspbind).

        Raises WSAEADDRINUSE where the file is there, WSAEADDRNOTAVAIL where its folder is not, WSAEACCES, WSAEINVAL for
        an empty name and a socket that is bound, WSAEAFNOSUPPORT, WSAEFAULT, WSAENOTSOCK.
        """
        record = SOCKETS.get(s)
        if record is None:
            super().WSPBind(s, name)
            return
        require_path(name)
        if record.bound:
            raise WinsockError(WSAEINVAL, f"s: the socket is bound already, {name} cannot be added")
        error = raw.bind(s, name)
        if error in _NO_PLACE:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is in no folder that is there", errno=error)
        if error:
            raise from_errno(error, f"name: cannot bind to {name}: {os.strerror(error)}")
        record.bound = True

    def receive_own(
        self, record: OwnSocket, buffers: Sequence[WriteBuffer], host_flags: int
    ) -> tuple[int, int, Sockaddr | None]:
        """Receive on one of our sockets: (count, the kernel's flags, source).

        A call of the kernel's that waits for all forgets a reset which it meets after the first bytes, and the next one
        would tell a stream's end.
        """
        if not host_flags & _WAITALL:
            return super().receive_own(record, buffers, host_flags)
        return many.filled(buffers, lambda room: self._receive_all(record, memoryview(room), host_flags & ~_WAITALL))

    def _receive_all(self, record: OwnSocket, rest: memoryview, host_flags: int) -> tuple[int, int, Sockaddr | None]:
        count, flags, source = super().receive_own(record, (rest,), host_flags)
        some = count
        while some and (rest := rest[some:]):
            try:
                some, *_ = super().receive_own(record, (rest,), host_flags)
            except WinsockError:
                if record.closed:
                    raise
                break  # what came is not lost, and the next call fails
            count += some
        return count, flags, source

    def check_target(self, record: OwnSocket, name: Sockaddr) -> None:
        """Whether it can connect there."""
        require_path(name)
        if record.phase == own.LISTENING:
            raise WinsockError(WSAEINVAL, "s: a listening socket cannot connect")

    def connect_while_interrupted(self, record: OwnSocket, name: Sockaddr) -> int:
        """Connect; a path that is not there, and a queue that is full, refuse as a port does where nobody listens."""
        error = super().connect_while_interrupted(record, name)
        return errno.ECONNREFUSED if error in (*_NOBODY_LISTENS, errno.EAGAIN) else error

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The path; empty for a connected socket that has none; WSAEINVAL, WSAENOTSOCK (lpwspgetsockname)."""
        name = raw.getsockname(s)
        record = SOCKETS.get(s)
        if record is not None and not record.bound:
            raise WinsockError(WSAEINVAL, "s: the socket is not bound, so it has no name")
        return name

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        """The path, or "@name" for an abstract one; WSAEINVAL (lpwspaddresstostring)."""
        if not isinstance(address, SockaddrUn):
            raise self.no_address("address", address)
        return str(address)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The path that the text is, or the abstract name of "@name"; WSAEINVAL (lpwspstringtoaddress)."""
        self.check_text(text, address_family)
        try:
            if text.startswith("@"):
                address = SockaddrUn(b"\0" + os.fsencode(text[1:]))
            else:
                address = SockaddrUn(text)
                if text.startswith("\0"):
                    raise WinsockError(WSAEINVAL, f"{text!r} is no path; an abstract name begins with @")
            pack(address)
        except UnicodeEncodeError:
            raise WinsockError(WSAEINVAL, f"text: {text!r} is no name of a file") from None
        except WinsockError as error:
            raise WinsockError(WSAEINVAL, f"text: {error.strerror}") from None
        return address


def require_path(name: object) -> SockaddrUn:
    """A path, or an abstract name; raises WSAEFAULT, WSAEAFNOSUPPORT, and WSAEINVAL for an empty one."""
    if getattr(name, "family", None) is None:
        raise WinsockError(WSAEFAULT, f"name: {name!r} is no socket address")
    if not isinstance(name, SockaddrUn):
        raise WinsockError(WSAEAFNOSUPPORT, f"name: {name!r} is no path")
    pack(name)
    if not name.path:
        raise WinsockError(WSAEINVAL, "name: it is empty, and no name is chosen for a socket")
    return name


def _peer_process(provider: Controls, s: int, data: bytes) -> bytes:
    """SIO_AF_UNIX_GETPEERPID: the process that connected, or that listened."""
    record = SOCKETS.get(s)
    if record is not None and record.phase != own.CONNECTED:
        raise WinsockError(WSAENOTCONN, "s: the socket is not connected")
    process, _, _ = _CREDENTIALS.unpack(raw.getsockopt(s, socket.SOL_SOCKET, _SO_PEERCRED, _CREDENTIALS.size))
    return _DWORD.pack(process)


Unix.control_rows = {**COMMON_ROWS, SIO_AF_UNIX_GETPEERPID: Row(_peer_process, 0, _DWORD.size)}
