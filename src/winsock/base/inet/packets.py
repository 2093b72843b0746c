"""Raw sockets: whole packets of IPv4 and IPv6, of any protocol, to whoever has the right.

They are datagrams without ports. The kernel calls a raw socket's protocol its port; Windows calls it 0, and so do we.
As on the Windows of desktops, TCP is neither sent nor bound, and a UDP datagram whose header names a source that is
no address of this host is dropped.

Source: "TCP/IP Raw Sockets".
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from winsock import host
from winsock.abi.constants import AF_INET, AF_INET6, SOCK_RAW, WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAEINVAL,
    WSAEPROTONOSUPPORT,
    WinsockError,
    from_errno,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import groups, own, raw
from winsock.base.inet.addresses import is_nobodys
from winsock.base.inet.creation import check_kind
from winsock.base.inet.own import SOCKETS, Control, OwnSocket
from winsock.base.inet.provider import Inet
from winsock.base.inet.sockets import require_inet
from winsock.core.kinds import SIMPLE_FLAGS, check_flags
from winsock.spi.blocking import refuse_nested
from winsock.spi.provider import ReadBuffer, WriteBuffer


class _Header(NamedTuple):
    """Where the header of a packet says what."""

    option: tuple[int, int]
    """Of the kernel: whether the application gives it."""
    protocol_at: int
    source: slice


_HEADERS = {
    AF_INET: _Header((0, 3), 9, slice(12, 16)),  # IP_HDRINCL
    AF_INET6: _Header((41, 36), 6, slice(8, 24)),  # IPV6_HDRINCL
}


class Packets(Inet):
    """Raw sockets over IPv4 or IPv6."""

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        """Create a socket for packets of one protocol, whose number stands in their headers (lpwspsocket).

        Raises WSAEACCES where this process lacks the right, WSAEPROTONOSUPPORT for protocol 0, and what other sockets
        do.
        """
        refuse_nested()
        if protocol_info is not None and protocol_info.dwProviderReserved:
            return self.open_duplicate(protocol_info, flags)
        number = check_kind(self.info, af, type, protocol, protocol_info)
        if number == 0:
            raise WinsockError(WSAEPROTONOSUPPORT, "protocol: a raw socket needs the number of its packets' protocol")
        if flags & ~SIMPLE_FLAGS:
            check_flags(self.info, flags)
        group = groups.find_or_make(g, self.info) if g else None
        record = self._make(number, flags)
        handle = self._register(record)
        if group is not None:
            group.join(record)
        return handle

    def _make(self, protocol: int, flags: int) -> OwnSocket:
        inheritable = not flags & WSA_FLAG_NO_HANDLE_INHERIT
        try:
            descriptor = host.make((self.kind[0], SOCK_RAW, protocol), inheritable)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                raise WinsockError(
                    WSAEACCES, "type: raw sockets are for root, and who has CAP_NET_RAW", errno=error.errno
                ) from None
            raise from_errno(error.errno or errno.EINVAL, f"no socket: {error.strerror}") from None
        record = own.wrap(descriptor, self.info, inheritable=inheritable, overlapped=bool(flags & WSA_FLAG_OVERLAPPED))
        record.raw_protocol = protocol
        record.is_leaf = bool(flags & ~SIMPLE_FLAGS)
        if protocol == socket.IPPROTO_RAW:  # the kernel's default for this number alone is that headers are given
            raw.setsockopt(descriptor, *_HEADERS[self.info.iAddressFamily].option, bytes(4))
        return record

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        """Give the socket its local address, to which packets must be sent then; a port means nothing (lpwspbind).

        Raises WSAEINVAL for a socket of IPPROTO_TCP and a second bind, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAEFAULT.
        """
        record = _own(s)
        address = require_inet(self.info, name)
        if record.bound:
            raise WinsockError(WSAEINVAL, f"s: the socket is bound already, {name} cannot be added")
        if record.raw_protocol == socket.IPPROTO_TCP:
            raise WinsockError(WSAEINVAL, "s: a raw socket of TCP cannot be bound")
        if address.host == "255.255.255.255":
            raise WinsockError(WSAEADDRNOTAVAIL, "name: the broadcast address is no address of this host")
        error = raw.bind(s, address)
        if error:
            code = WSAEADDRNOTAVAIL if error == errno.ENODEV else from_errno(error).winerror
            raise WinsockError(code, f"name: cannot bind to {name}: {os.strerror(error)}", errno=error)
        record.bound = True

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The local address, with port 0; WSAEINVAL for a socket that has none, WSAENOTSOCK (lpwspgetsockname)."""
        record = _own(s)
        if not record.bound:
            raise WinsockError(WSAEINVAL, "s: the socket is not bound, so it has no name")
        return _without_port(raw.getsockname(_raw(record)))

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        """The address of the peer; WSAENOTCONN, WSAENOTSOCK (lpwspgetpeername)."""
        record = _own(s)
        return record.session or _without_port(raw.getpeername(_raw(record)))

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        """Choose the host that packets go to, and come from (lpwspconnect)."""
        if _own(s).sniffer is not None:
            raise WinsockError(WSAEINVAL, "s: the socket receives from everywhere (SIO_RCVALL)")
        if isinstance(name, (SockaddrIn, SockaddrIn6)):
            # The kernel tells no peer with port 0, and an address of zeros with any other.
            name = name._replace(port=0 if is_nobodys(name) else 1)
        return super().WSPConnect(s, name, caller_data, callee_data, sqos, gqos)

    def direct_send(self, s: int) -> Callable[[ReadBuffer, int], int] | None:
        """None: each packet is looked at."""
        return None

    def WSPSend(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        """Send one packet to the peer; how many bytes went. WSAEACCES for TCP (lpwspsend)."""
        record = _own(s)
        count = self._answered(record, buffers, None)
        return super().WSPSend(s, buffers, flags, overlapped) if count is None else count

    def WSPSendTo(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int = 0,
        to: Sockaddr | None = None,
        overlapped: object = None,
        completion_routine: Callable[..., None] | None = None,
        thread_id: object = None,
    ) -> int | None:
        """Send one packet to a host. WSAEACCES for TCP, and for a broadcast without SO_BROADCAST (lpwspsendto)."""
        record = _own(s)
        address = None if to is None else _without_port(to)
        count = self._answered(record, buffers, address)
        if count is None:
            count = super().WSPSendTo(s, buffers, flags, address, overlapped)
            record.bound = True
        return count

    def send_message(
        self,
        s: int,
        buffers: Sequence[ReadBuffer],
        flags: int,
        to: Sockaddr | None,
        overlapped: object,
        control: Control,
    ) -> int:
        """Send one packet with control data. WSAEACCES for TCP."""
        record = _own(s)
        address = None if to is None else _without_port(to)
        count = self._answered(record, buffers, address, control)
        if count is None:
            count = super().send_message(s, buffers, flags, address, overlapped, control)
            record.bound = True
        return count

    def _answered(
        self, record: OwnSocket, buffers: Sequence[ReadBuffer], to: Sockaddr | None, control: Control = ()
    ) -> int | None:
        """What becomes of a packet that does not go the usual way: it is dropped, or the socket listens elsewhere."""
        lost = self._lost(record, buffers)
        if lost is not None or record.sniffer is None:
            return lost
        count = raw.sendmsg(record.sniffer.kept, buffers, 0, to, control)
        if count < 0:
            raise from_errno(-count)
        return count

    def _lost(self, record: OwnSocket, buffers: Sequence[ReadBuffer]) -> int | None:
        """How many bytes of a packet are dropped; None where it may go."""
        protocol, source = record.raw_protocol, b""
        header = _HEADERS[self.info.iAddressFamily]
        if any(raw.getsockopt(_raw(record), *header.option, 4)):
            packet = b"".join(bytes(buffer) for buffer in buffers)
            if len(packet) >= header.source.stop:
                protocol, source = packet[header.protocol_at], packet[header.source]
        if protocol == socket.IPPROTO_TCP:
            raise WinsockError(WSAEACCES, "s: TCP cannot be sent over a raw socket")
        if protocol != socket.IPPROTO_UDP or not any(source) or self._is_ours(source):
            return None
        return sum(memoryview(buffer).nbytes for buffer in buffers)

    def receive_own(
        self, record: OwnSocket, buffers: Sequence[WriteBuffer], host_flags: int
    ) -> tuple[int, int, Sockaddr | None]:
        """Receive a packet, which may be everybody's."""
        if record.sniffer is None:
            return super().receive_own(record, buffers, host_flags)
        from winsock.base.inet import sniffing

        return sniffing.receive(record, buffers, host_flags, super().receive_own)

    def exchange(self, record: OwnSocket, descriptor: int) -> None:
        """Put a file under the socket's number, which it stays."""

        def exchange() -> None:
            os.dup2(descriptor, record.handle, inheritable=record.inheritable)

        def renew() -> None:
            self.upcalls.renew_handle(record.handle, exchange)

        if record.selection is None:
            renew()
        else:
            record.selection.exchange(renew)

    def _is_ours(self, source: bytes) -> bool:
        """Whether an address is one of this host's: a socket can be bound to it."""
        family = self.kind[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((socket.inet_ntop(family, source), 0))
            except OSError as error:
                return error.errno != errno.EADDRNOTAVAIL
        return True


def _own(s: int) -> OwnSocket:
    record = SOCKETS.get(s)
    if record is None:
        raise from_errno(errno.EBADF, f"s: {s} is no raw socket of this process's own")
    return record


def _raw(record: OwnSocket) -> int:
    """The descriptor of the raw socket itself."""
    return record.handle if record.sniffer is None else record.sniffer.kept


def _without_port(name: Sockaddr) -> Sockaddr:
    """The address alone."""
    return name._replace(port=0) if isinstance(name, (SockaddrIn, SockaddrIn6)) else name
