"""WSPDuplicateSocket, and the sockets that other processes offer.

A duplicate is the kernel's socket itself: state, options and data are one. What only Winsock remembers is one, too, by
a page of memory that travels along (`winsock.base.inet.shared`). Each process's own are the claim to a local address
(`winsock.base.inet.sharing`), the membership of a group, and connections whose acceptance was deferred.

Source: nc-ws2spi-lpwspduplicatesocket.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from winsock.abi.constants import WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED
from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WinsockError
from winsock.base.inet import own
from winsock.base.inet.own import SOCKETS
from winsock.base.inet.sockets import Sockets

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO


class Duplicates(Sockets):
    """WSPDuplicateSocket, and WSPSocket for what it made."""

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        """A structure with which that process, and no other, can open this very socket, once and within a minute.

        Raises WSAEINVAL where there is no such process, and for a socket that cannot be shared: one of somebody else's
        making, or one that receives everything (SIO_RCVALL); WSAEMFILE, WSAENOBUFS, WSAENOTSOCK (lpwspduplicatesocket).
        """
        from winsock.base import handover

        record = SOCKETS.get(s)
        if record is None:
            raise WinsockError(WSAEINVAL, "s: only sockets of this process's own making can be shared")
        if not _is_open(s):
            raise WinsockError(WSAENOTSOCK, f"s: {s} is not open")
        if record.sniffer is not None:
            raise WinsockError(WSAEINVAL, "s: a socket that receives everything (SIO_RCVALL) cannot be shared")
        handover.require_host()
        from winsock.base.inet import shared

        name = handover.new_name()
        duplicate = self.info._replace(dwProviderReserved=name)
        try:
            page = shared.share(record).descriptor
        except OSError as error:
            raise handover.refusal(error) from None
        handover.counter.offer(name, (s, page), process_id, duplicate.pack())
        return duplicate

    def open_duplicate(self, protocol_info: WSAPROTOCOL_INFO, flags: int) -> int:
        """A handle for the socket that another process offers; WSAEINVAL, WSAEMFILE."""
        from winsock.base import handover

        if protocol_info != self.info._replace(dwProviderReserved=protocol_info.dwProviderReserved):
            raise WinsockError(WSAEINVAL, f"protocol_info: it is no duplicate of a socket of {self.info.szProtocol}")
        handover.require_host()
        from winsock.base.inet import shared

        descriptor, page = handover.take(protocol_info.dwProviderReserved, protocol_info.pack(), 2)
        inheritable = not flags & WSA_FLAG_NO_HANDLE_INHERIT
        record = own.wrap(descriptor, self.info, inheritable=inheritable, overlapped=bool(flags & WSA_FLAG_OVERLAPPED))
        try:
            os.set_inheritable(descriptor, inheritable)
            shared.join(record, page)
        except BaseException as error:
            os.close(page)
            os.close(descriptor)
            if isinstance(error, OSError) and not isinstance(error, WinsockError):
                raise handover.refusal(error) from None
            raise
        return self._register(record)


def _is_open(s: int) -> bool:
    try:
        os.fstat(s)
    except OSError:
        return False
    return True
