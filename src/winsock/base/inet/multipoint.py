"""Multipoint sessions over UDP: IP multicast, which has no roots, so that every member is a leaf.

Joining as a receiver is joining the group. Joining as a sender is remembering where it is: the kernel would let a
socket that is connected to a group hear nobody, so that plain sends get the address here.

Sources: nc-ws2spi-lpwspjoinleaf; "Multipoint and Multicast Semantics"; sio-multipoint-loopback-ioctl-2;
sio-multicast-scope-ioctl-2.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from winsock.abi.constants import JL_BOTH, JL_RECEIVER_ONLY, JL_SENDER_ONLY
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAEINVAL,
    WSAEISCONN,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WinsockError,
)
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import own, raw
from winsock.base.inet.own import SOCKETS, Control, OwnSocket
from winsock.base.inet.sockets import Sockets, is_bound, require_inet, require_socket

if TYPE_CHECKING:
    from winsock.spi.provider import ReadBuffer, WriteBuffer

_SENDS = (JL_SENDER_ONLY, JL_BOTH)
_RECEIVES = (JL_RECEIVER_ONLY, JL_BOTH)
_INT = struct.Struct("=i")
_IP_ADD_MEMBERSHIP, _IP_MULTICAST_IF = (0, 35), (0, 32)  # levels and numbers of Linux
_IPV6_ADD_MEMBERSHIP, _IPV6_MULTICAST_IF = (41, 20), (41, 17)


class Multipoint(Sockets):
    """WSPJoinLeaf."""

    def WSPJoinLeaf(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None,
        callee_data: WriteBuffer | None,
        sqos: object,
        gqos: object,
        flags: int,
    ) -> int:
        """Make a leaf a member of the group `name`, to send, to receive or for both; the same handle (lpwspjoinleaf).

        It is done at once, and FD_CONNECT recorded. Raises WSAEINVAL for a socket that was not made a leaf,
        WSAEISCONN for one that is a member, WSAEADDRNOTAVAIL for what is no group, WSAEPROTONOSUPPORT for connect
        data, WSAEOPNOTSUPP for quality of service, WSAEAFNOSUPPORT, WSAEFAULT, WSAENOBUFS.
        """
        record = SOCKETS.get(s)
        if record is None:
            require_socket(s)
            raise WinsockError(WSAEOPNOTSUPP, "s: only sockets of this process's own making join sessions")
        group = self._checked(record, name, flags)
        if caller_data:
            raise WinsockError(WSAEPROTONOSUPPORT, f"caller_data: {self.info.szProtocol} carries no connect data")
        if sqos is not None or gqos is not None:
            raise WinsockError(WSAEOPNOTSUPP, "sqos, gqos: quality of service is not offered")
        if not is_bound(record):
            self.WSPBind(s, type(group)("0.0.0.0" if isinstance(group, SockaddrIn) else "::", 0))
        if flags in _RECEIVES:
            _join(record, group)
        if flags in _SENDS:
            _send_there(record, group)
        record.session = group
        record.phase = own.CONNECTED
        if record.selection is not None:
            record.selection.connected()
        return s

    def _checked(self, record: OwnSocket, name: Sockaddr, flags: int) -> SockaddrIn | SockaddrIn6:
        """The group that is meant."""
        if not record.is_leaf:
            raise WinsockError(WSAEINVAL, "s: the socket was made without the multipoint flags")
        if flags not in (*_SENDS, *_RECEIVES):
            raise WinsockError(WSAEINVAL, f"flags: {flags!r} is none of JL_SENDER_ONLY, JL_RECEIVER_ONLY, JL_BOTH")
        group = require_inet(self.info, name)
        if not is_group(group):
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is no group")
        if record.phase == own.CONNECTED:
            raise WinsockError(WSAEISCONN, "s: the socket is a member of a session, or connected")
        return group


def is_group(address: SockaddrIn | SockaddrIn6) -> bool:
    """Whether it is a multicast address."""
    if isinstance(address, SockaddrIn6):
        return socket.inet_pton(socket.AF_INET6, address.host)[0] == 0xFF
    return socket.inet_aton(address.host)[0] >> 4 == 0xE


def _join(record: OwnSocket, group: SockaddrIn | SockaddrIn6) -> None:
    """Become a member at the interface that is named, by the socket's address or by where it sends to groups."""
    handle = record.handle
    if isinstance(group, SockaddrIn6):
        index = _INT.pack(group.scope_id) if group.scope_id else raw.getsockopt(handle, *_IPV6_MULTICAST_IF, 4)
        raw.setsockopt(handle, *_IPV6_ADD_MEMBERSHIP, socket.inet_pton(socket.AF_INET6, group.host) + index)
        return
    local = raw.getsockname(handle)
    assert isinstance(local, SockaddrIn)
    address = socket.inet_aton(local.host)
    if not any(address):
        address = raw.getsockopt(handle, *_IP_MULTICAST_IF, 4)
    raw.setsockopt(handle, *_IP_ADD_MEMBERSHIP, socket.inet_aton(group.host) + address)


def _send_there(record: OwnSocket, group: SockaddrIn | SockaddrIn6) -> None:
    """What is sent to nobody in particular goes to the group."""
    there = tuple(group)
    sendmsg = record.sendmsg

    def send(data: ReadBuffer, flags: int = 0) -> int:
        return sendmsg((data,), (), flags, there)

    def send_parts(parts: list[ReadBuffer], control: Control, flags: int, to: tuple[object, ...] | None) -> int:
        return sendmsg(parts, control, flags, there if to is None else to)

    record.__dict__.update(send=send, sendmsg=send_parts)
