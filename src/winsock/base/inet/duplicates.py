"""WSPDuplicateSocket, and the sockets that other processes offer.

A duplicate is the kernel's socket itself: state, options and data are one. What only Winsock remembers travels along
once, as it is at that time; the options of those that the kernel does not know (SO_DEBUG, SO_DONTROUTE and kin) are
each process's own from then on.

Source: nc-ws2spi-lpwspduplicatesocket.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from winsock.abi.constants import WSA_FLAG_NO_HANDLE_INHERIT, WSA_FLAG_OVERLAPPED
from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK, WSAEOPNOTSUPP, WinsockError
from winsock.base.inet import own
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.sockets import Sockets

if TYPE_CHECKING:
    from winsock.abi.protocol_info import WSAPROTOCOL_INFO

_REMEMBERED = (
    "bound",
    "sending_ended",
    "receiving_ended",
    "reuse",
    "exclusive",
    "oob_inline",
    "debug",
    "dont_route",
    "reports_resets",
    "reset_pending",
    "was_accepted",
    "is_leaf",
)
_STATE = struct.Struct(f"=Bi{len(_REMEMBERED)}?")


class Duplicates(Sockets):
    """WSPDuplicateSocket, and WSPSocket for what it made."""

    def WSPDuplicateSocket(self, s: int, process_id: int) -> WSAPROTOCOL_INFO:
        """A structure with which that process, and no other, can open this very socket, once and within a minute.

        Raises WSAEINVAL where there is no such process, WSAEMFILE, WSAENOBUFS, WSAENOTSOCK, WSAEOPNOTSUPP for a socket
        of somebody else's making (lpwspduplicatesocket).
        """
        import atexit

        from winsock.base import handover

        record = SOCKETS.get(s)
        if record is None:
            raise WinsockError(WSAEOPNOTSUPP, "s: only sockets of this process's own making can be shared")
        if not _is_open(s):
            raise WinsockError(WSAENOTSOCK, f"s: {s} is not open")
        name = handover.new_name()
        duplicate = self.info._replace(dwProviderReserved=name)
        handover.counter.offer(name, s, process_id, duplicate.pack(), _pack(record))
        atexit.unregister(handover.counter.withdraw)
        atexit.register(handover.counter.withdraw)
        return duplicate

    def open_duplicate(self, protocol_info: WSAPROTOCOL_INFO, flags: int) -> int:
        """A handle for the socket that another process offers; WSAEINVAL, WSAEMFILE."""
        from winsock.base import handover

        if protocol_info != self.info._replace(dwProviderReserved=protocol_info.dwProviderReserved):
            raise WinsockError(WSAEINVAL, f"protocol_info: it is no duplicate of a socket of {self.info.szProtocol}")
        descriptor, state = handover.take(protocol_info.dwProviderReserved, protocol_info.pack())
        inheritable = not flags & WSA_FLAG_NO_HANDLE_INHERIT
        record = own.wrap(descriptor, self.info, inheritable=inheritable, overlapped=bool(flags & WSA_FLAG_OVERLAPPED))
        try:
            os.set_inheritable(descriptor, inheritable)
            _unpack(record, state)
        except BaseException:
            os.close(descriptor)
            raise
        return self._register(record)


def _is_open(s: int) -> bool:
    try:
        os.fstat(s)
    except OSError:
        return False
    return True


def _pack(record: OwnSocket) -> bytes:
    return _STATE.pack(record.phase, record.linger_seconds, *(getattr(record, name) for name in _REMEMBERED))


def _unpack(record: OwnSocket, state: bytes) -> None:
    """Raises WSAEINVAL for what another release of this library says of its sockets."""
    if len(state) != _STATE.size or state[0] > own.LISTENING:
        raise WinsockError(WSAEINVAL, "protocol_info: it was made by another release of winsock")
    record.phase, record.linger_seconds, *rest = _STATE.unpack(state)
    for name, value in zip(_REMEMBERED, rest, strict=True):
        setattr(record, name, value)
