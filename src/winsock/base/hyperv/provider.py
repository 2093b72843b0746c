"""Hyper-V sockets: what the internet's streams do, between a machine and its guests.

Sources: "Make your own integration services"; hvsocket.h; vsock(7).
"""

from __future__ import annotations

import errno
import os
import socket

from winsock.abi.constants import (
    HV_PROTOCOL_RAW,
    HVSOCKET_CONNECT_TIMEOUT,
    HVSOCKET_CONNECT_TIMEOUT_MAX,
    SOL_SOCKET,
)
from winsock.abi.errors import WSAEINVAL, WSAENETUNREACH, WinsockError, from_errno
from winsock.abi.guids import GUID
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrHv
from winsock.base.hyperv.addresses import AF_VSOCK, from_kernel, to_kernel
from winsock.base.inet import own, raw
from winsock.base.inet.controls import COMMON_ROWS
from winsock.base.inet.ground import Ground
from winsock.base.inet.option_values import CODECS, Emulated
from winsock.base.inet.options import EMULATED
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.provider import Inet
from winsock.core.option_numbers import number
from winsock.spi.provider import WSPDATA, OptionValue, ProcTable
from winsock.spi.upcalls import Upcalls

_CONNECT_TIMEOUT = AF_VSOCK, 6  # the kernel's SO_VM_SOCKETS_CONNECT_TIMEOUT
_TIMEVAL = CODECS["timeval_ms"]
_REFUSALS = {errno.ECONNRESET: errno.ECONNREFUSED}
"""A machine where nobody has the port answers with a reset."""


class HyperV(Inet):
    """AF_HYPERV, SOCK_STREAM, HV_PROTOCOL_RAW."""

    option_levels = (SOL_SOCKET, HV_PROTOCOL_RAW)
    control_rows = COMMON_ROWS

    def start(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        """Start, or start once more."""
        answer = super().start(version, protocol_info, upcalls)
        self.kind = (AF_VSOCK, socket.SOCK_STREAM, 0)
        return answer

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        """Take a service of this machine (lpwspbind).

        Raises WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAEACCES, WSAEINVAL for a socket that is bound, WSAEAFNOSUPPORT,
        WSAEFAULT, WSAENOTSOCK.
        """
        record = _own(s)
        address = to_kernel(name)
        if record.bound:
            raise WinsockError(WSAEINVAL, f"s: the socket is bound already, {name} cannot be added")
        error = raw.bind(s, address)
        if error:
            raise from_errno(error, f"name: cannot bind to {name}: {os.strerror(error)}")
        record.bound = True

    def check_target(self, record: OwnSocket, name: Sockaddr) -> None:
        """Whether it can connect there."""
        to_kernel(name)
        if record.phase == own.LISTENING:
            raise WinsockError(WSAEINVAL, "s: a listening socket cannot connect")

    def connect_while_interrupted(self, record: OwnSocket, name: Sockaddr) -> int:
        """Connect; 0 or an errno. WSAENETUNREACH where no way leads to that machine."""
        error = super().connect_while_interrupted(record, to_kernel(name))
        if error == errno.ENODEV:
            raise WinsockError(WSAENETUNREACH, f"name: no way leads to {name}", errno=error)
        return _REFUSALS.get(error, error)

    def spelled(self, address: Sockaddr) -> Sockaddr:
        """An address of the kernel by its GUIDs."""
        return from_kernel(address)

    def WSPGetSockName(self, s: int) -> Sockaddr:
        """The service of this machine; WSAEINVAL, WSAENOTSOCK (lpwspgetsockname)."""
        name = raw.getsockname(s)
        if not _own(s).bound:
            raise WinsockError(WSAEINVAL, "s: the socket is not bound, so it has no name")
        return from_kernel(name)

    def WSPGetPeerName(self, s: int) -> Sockaddr:
        """The machine and the service of the peer; WSAENOTCONN, WSAENOTSOCK (lpwspgetpeername)."""
        return from_kernel(raw.getpeername(s))

    def WSPAddressToString(self, address: Sockaddr, protocol_info: WSAPROTOCOL_INFO | None = None) -> str:
        """Both GUIDs, "{machine}:{service}"; WSAEINVAL (lpwspaddresstostring)."""
        if not isinstance(address, SockaddrHv):
            raise self.no_address("address", address)
        return str(address)

    def WSPStringToAddress(
        self, text: str, address_family: int, protocol_info: WSAPROTOCOL_INFO | None = None
    ) -> Sockaddr:
        """The address of which the text has both GUIDs; WSAEINVAL (lpwspstringtoaddress)."""
        self.check_text(text, address_family)
        try:
            vm_id, service_id = (GUID.parse(part) for part in text.split(":"))
        except ValueError:
            raise self.no_address("text", text) from None
        return SockaddrHv(vm_id, service_id)


def _own(s: int) -> OwnSocket:
    record = SOCKETS.get(s)
    if record is None:
        raise from_errno(errno.EBADF, f"s: {s} is no Hyper-V socket of this process's own")
    return record


def _get_connect_timeout(provider: Ground, s: int, record: OwnSocket | None) -> OptionValue:
    return _TIMEVAL.decode(raw.getsockopt(s, *_CONNECT_TIMEOUT, _TIMEVAL.size))


def _set_connect_timeout(provider: Ground, s: int, record: OwnSocket | None, value: OptionValue) -> None:
    milliseconds = number(value)
    if not 0 < milliseconds <= HVSOCKET_CONNECT_TIMEOUT_MAX:
        raise WinsockError(WSAEINVAL, f"optval: {milliseconds} is not within 1 and {HVSOCKET_CONNECT_TIMEOUT_MAX} ms")
    raw.setsockopt(s, *_CONNECT_TIMEOUT, _TIMEVAL.encode(milliseconds))


HyperV.emulated = {
    **EMULATED,
    (HV_PROTOCOL_RAW, HVSOCKET_CONNECT_TIMEOUT): Emulated(_get_connect_timeout, _set_connect_timeout),
}
