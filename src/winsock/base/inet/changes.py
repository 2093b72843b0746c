"""Waiting for the host's addresses or routes to change: SIO_ADDRESS_LIST_CHANGE, SIO_ROUTING_INTERFACE_CHANGE.

The kernel tells of changes by a netlink socket. A blocking socket waits for it in the call. A non-blocking one keeps it
until the change comes, which is then a network event of the socket, once.

Sources: "Winsock IOCTLs"; rtnetlink(7).
"""

from __future__ import annotations

import os
import select
import socket
import threading
from typing import TYPE_CHECKING

from winsock.abi.constants import AF_INET, AF_INET6, FD_ADDRESS_LIST_CHANGE, FD_ROUTING_INTERFACE_CHANGE
from winsock.abi.errors import WSAEINTR, WSAEOPNOTSUPP, WSAEWOULDBLOCK, WinsockError, from_errno
from winsock.abi.sockaddr import unpack
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS
from winsock.base.inet.sockets import require_inet

if TYPE_CHECKING:
    from winsock.base.inet.own import OwnSocket

_GROUPS = {
    (FD_ADDRESS_LIST_CHANGE, AF_INET): 0x10,  # RTMGRP_IPV4_IFADDR
    (FD_ADDRESS_LIST_CHANGE, AF_INET6): 0x100,
    (FD_ROUTING_INTERFACE_CHANGE, AF_INET): 0x40,  # RTMGRP_IPV4_ROUTE
    (FD_ROUTING_INTERFACE_CHANGE, AF_INET6): 0x400,
}
_ROUTE = 0  # NETLINK_ROUTE


class Notice:
    """One request to be told of a change; it ends with its socket."""

    def __init__(self, event: int, family: int) -> None:
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _ROUTE)
            self._netlink.bind((0, _GROUPS[event, family]))
        except OSError as error:
            raise from_errno(error.errno or 0, f"changes cannot be watched: {error.strerror}") from None
        self.event = event
        self.descriptor = self._netlink.fileno()
        """Readable when the change has come."""

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._netlink.close()


class _Waiting(Notice):
    """A thread waits for it."""

    def __init__(self, event: int, family: int) -> None:
        super().__init__(event, family)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._is_over = False

    def wait(self) -> None:
        """Until the change comes, or the socket is closed."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        poll.poll()

    def end(self) -> None:
        """Let the thread go."""
        with _lock:
            if not self._is_over:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """The thread is gone."""
        with _lock:
            self._is_over = True
            os.close(self._bell)
        super().end()


_lock = threading.Lock()


def addresses(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_ADDRESS_LIST_CHANGE."""
    return _wait(provider, s, FD_ADDRESS_LIST_CHANGE)


def routes(provider: Ground, s: int, data: bytes) -> bytes:
    """SIO_ROUTING_INTERFACE_CHANGE: of any route, as a provider may have it, whatever destination is named."""
    require_inet(provider.info, unpack(data))
    return _wait(provider, s, FD_ROUTING_INTERFACE_CHANGE)


def _wait(provider: Ground, s: int, event: int) -> bytes:
    record = SOCKETS.get(s)
    if record is None:
        raise WinsockError(WSAEOPNOTSUPP, "s: changes are told to sockets of this process's own making")
    if not record.blocking:
        _keep(record, event)
        raise WinsockError(WSAEWOULDBLOCK, "the change will be a network event")
    notice = _Waiting(event, record.info.iAddressFamily)
    record.hold(notice)
    try:
        notice.wait()
    finally:
        record.drop(notice)
        notice.close()
    if record.closed:
        raise WinsockError(WSAEINTR, "s: the socket was closed while it waited")
    return b""


def _keep(record: OwnSocket, event: int) -> None:
    if any(notice.event == event for notice in kept(record)):
        return
    record.hold(Notice(event, record.info.iAddressFamily))
    if record.selection is not None:
        record.selection.watch_changes()


def kept(record: OwnSocket) -> list[Notice]:
    """The changes that are to be network events of the socket."""
    return [attachment for attachment in record.attachments if type(attachment) is Notice]
