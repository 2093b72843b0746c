"""ICMP errors of connects: TCP_FAIL_CONNECT_ON_ICMP_ERROR and TCP_ICMP_ERROR_INFO.

The kernel ends a connect over whatever ICMP tells, with a code for each kind of message. Where the option is set all of
them are WSAEHOSTUNREACH, and the message is kept until the next connect. It comes by the queue of IP_RECVERR, which is
on while a connect is on its way and no longer: it would break a connection over what TCP itself gets over. A message
that came while the connect held the socket ends nothing in the kernel, but is in the queue: so who waits for a connect
waits for the queue, too, and the attempt is ended here.

Sources: "IPPROTO_TCP socket options"; nf-ws2tcpip-wsageticmperrorinfo; ns-ws2ipdef-icmp_error_info.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct

from winsock.abi.errors import WSAEHOSTUNREACH
from winsock.abi.sockaddr import NO_PEER, Sockaddr, SockaddrIn6
from winsock.base.inet import own, raw, unreached
from winsock.base.inet.addresses import unpack
from winsock.base.inet.own import OwnSocket

_INFO = struct.Struct("<28siBB2x")
"""ICMP_ERROR_INFO."""
_PROTOCOLS = {unreached.ICMP: socket.IPPROTO_ICMP, unreached.ICMPV6: socket.IPPROTO_ICMPV6}
_NO_OUTCOME = (errno.EISCONN, errno.EINPROGRESS, errno.EWOULDBLOCK)


def before_connect(record: OwnSocket) -> None:
    """Forget what was heard of the last one, and hear of this one."""
    for _ in unreached.messages(record):
        pass
    record.icmp_error = b""
    unreached.let_hear(record, on=True)


def connect(record: OwnSocket, name: Sockaddr) -> int:
    """Connect a blocking socket, and wait for a message, too; 0 or an errno."""
    poller = select.poll()
    poller.register(record.handle, select.POLLOUT)
    record.waiters.append(None)
    os.set_blocking(record.handle, False)
    try:
        error = raw.connect(record.handle, name)
        if error in (errno.EINPROGRESS, errno.EALREADY):
            poller.poll()
            error = raw.connect(record.handle, name)
    finally:
        record.waiters.pop()
        if not record.closed:
            os.set_blocking(record.handle, True)
    return error


def outcome(record: OwnSocket, error: int) -> int:
    """The errno that a connect ends with, for which the kernel has this one, or 0."""
    if error == 0 and not record.closed:
        connected(record)
    elif error not in _NO_OUTCOME and not record.closed and _has_come(record):
        return errno.EHOSTUNREACH
    return error


def connected(record: OwnSocket) -> None:
    """From now on ICMP is TCP's business."""
    unreached.let_hear(record, on=record.wants_errors)


def has_failed(record: OwnSocket) -> bool:
    """Whether a message has ended the connect that is on its way; what the application asks for tells so then."""
    if record.phase != own.CONNECTING or not _has_come(record):
        return False
    record.error = WSAEHOSTUNREACH
    record.settle(WSAEHOSTUNREACH)
    return True


def _has_come(record: OwnSocket) -> bool:
    """Whether a message has; takes it, and the kernel goes on trying no longer."""
    found = False
    for origin, kind, code, sender in unreached.messages(record):
        protocol = _PROTOCOLS.get(origin)
        if protocol is not None:
            address = unpack(sender)
            if isinstance(address, SockaddrIn6):
                address = address.unmapped() or address
            record.icmp_error = _INFO.pack(address.pack(), protocol, kind, code)
            found = True
    if not found:
        return False
    raw.connect(record.handle, NO_PEER)
    while record.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # the kernel's own words for it
        pass
    return True
