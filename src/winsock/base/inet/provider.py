"""The provider itself: its start and its end, and the parts that make its 30 functions.

One object serves one base protocol for all chains that end there. It never knows of chains: it is started with its own
entry, and what it calls back with is that entry's id.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

from winsock.abi.constants import AF_INET6, SOCK_DGRAM, SOCK_RAW, WINSOCK_VERSION
from winsock.abi.errors import (
    WSAEFAULT,
    WSAENETDOWN,
    WSANOTINITIALISED,
    WSAVERNOTSUPPORTED,
    WinsockError,
    from_errno,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.base.inet import own
from winsock.base.inet.addresses import host_family
from winsock.base.inet.connections import Connections
from winsock.base.inet.controls import Controls
from winsock.base.inet.creation import names_of
from winsock.base.inet.data import Data
from winsock.base.inet.duplicates import Duplicates
from winsock.base.inet.events import Events
from winsock.base.inet.multipoint import Multipoint
from winsock.base.inet.names import Names
from winsock.base.inet.options import Options
from winsock.base.inet.own import SOCKETS
from winsock.base.inet.sockets import abort, retire
from winsock.base.inet.waiting import Waiting
from winsock.spi.provider import WSPDATA, ProcTable

if TYPE_CHECKING:
    from winsock.spi.upcalls import Upcalls

_LOWEST = (2, 2)


class Inet(Connections, Data, Multipoint, Names, Options, Controls, Waiting, Events, Duplicates):
    """TCP, UDP or raw packets over IPv4 or IPv6. What it does not offer answers WSAEOPNOTSUPP."""

    _packets: Inet | None = None
    """Who does the work where the entry is one of raw sockets."""

    def __init__(self) -> None:
        self._uses = 0
        self._lock = threading.Lock()
        self._table: ProcTable | None = None

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start, or start once more; the upcalls given last are used (lpwspstartup).

        Raises WSAVERNOTSUPPORTED below 2.2, WSAEFAULT for what is no description of a protocol.
        """
        if not isinstance(protocol_info, WSAPROTOCOL_INFO):
            raise WinsockError(WSAEFAULT, f"protocol_info: {protocol_info!r} is no WSAPROTOCOL_INFO")
        if protocol_info.iSocketType == SOCK_RAW:
            if self._packets is None:
                from winsock.base.inet.packets import Packets

                self._packets = Packets()
            return self._packets.start(version, protocol_info, upcalls)
        return self.start(version, protocol_info, upcalls)

    def start(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """The same, for the protocol that this object is for."""
        if (version & 0xFF, version >> 8 & 0xFF) < _LOWEST:
            raise WinsockError(WSAVERNOTSUPPORTED, f"version: {version:#06x} is older than 2.2, the only one here")
        with self._lock:
            self.info = protocol_info
            self.upcalls = upcalls
            self.names = names_of(protocol_info)
            self.kind = (
                host_family(protocol_info.iAddressFamily),
                protocol_info.iSocketType,
                protocol_info.iProtocol,
            )
            self.entry_id = protocol_info.dwCatalogEntryId
            self.only_ipv6 = protocol_info.iAddressFamily == AF_INET6
            self.datagrams = protocol_info.iSocketType in (SOCK_DGRAM, SOCK_RAW)
            if self._table is None:
                self._table = ProcTable.of(self)
            self._uses += 1
            return WSPDATA(WINSOCK_VERSION, WINSOCK_VERSION, protocol_info.szProtocol), self._table

    def WSPCleanup(self) -> None:
        """Undo one WSPStartup; the last resets what is still open (lpwspcleanup).

        Raises WSANOTINITIALISED; and when all is reset, the first error that the kernel had to tell.
        """
        with self._lock:
            if self._uses == 0:
                raise WinsockError(WSANOTINITIALISED, f"{self.info.szProtocol} was not started")
            self._uses -= 1
            if self._uses:
                return
        open_still = [record for record in list(SOCKETS.values()) if record.provider is self]
        for record in open_still:  # before the end of one is news to another
            if record.selection is not None:
                record.selection.stop()
        for error in [self._free(record) for record in open_still]:
            if error:
                raise from_errno(error, "the sockets are gone, and the kernel had something to tell")

    def _free(self, record: own.OwnSocket) -> int:
        """Reset and close; 0 or an errno."""
        handle = record.handle
        retire(record)
        try:
            if record.shared is None:
                abort(own.born(handle, self.info, self))
            else:
                os.close(handle)  # the others go on
        except OSError as error:
            number = error.errno or errno.EIO
            return 0 if number in (errno.EBADF, errno.ENOTSOCK) else number  # it was closed behind our back
        return 0

    def WSPCancelBlockingCall(self) -> None:
        """The same, of a provider that is started; WSAENETDOWN of one that is not (lpwspcancelblockingcall)."""
        if self._uses == 0:
            raise WinsockError(WSAENETDOWN, f"{self.info.szProtocol} is not started")
        super().WSPCancelBlockingCall()

    def adopted(self, handle: int) -> None:
        """A file of somebody else's is on this number now: whatever we knew of the number is past."""
        record = SOCKETS.get(handle)
        if record is not None:
            record.waiters.clear()
            retire(record)
