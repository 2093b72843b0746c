"""getpeername, getsockname and shutdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from winsock.supervisor.calls.call import Answer, Call

if TYPE_CHECKING:
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.serving import Supervisor

_SHUT_RD = 0


def getpeername(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """getpeername(descriptor, address, length)."""
    call.write_address(call.arguments[1], call.arguments[2], socket.table.WSPGetPeerName(socket.slot))
    return 0


def getsockname(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """getsockname(descriptor, address, length)."""
    call.write_address(call.arguments[1], call.arguments[2], socket.table.WSPGetSockName(socket.slot))
    return 0


def shutdown(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """shutdown(descriptor, how): the numbers are the same on both sides."""
    how = call.int_argument(1)
    socket.table.WSPShutdown(socket.slot, how)
    socket.shut = socket.shut or how != _SHUT_RD
    return 0
