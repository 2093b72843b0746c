"""What Mswsock.dll exports beside Ws2_32, and WSASendMsg, which Windows has as one of its extensions."""

from __future__ import annotations

from collections.abc import Callable

from winsock.abi.constants import MSG_PARTIAL, SOCK_DGRAM, SOCK_RAW
from winsock.abi.errors import WSAEFAULT, WSAEMSGSIZE, WSAEOPNOTSUPP, WinsockError
from winsock.abi.message import WSAMSG
from winsock.api.addresses import address_for
from winsock.dispatcher.route import find, function
from winsock.spi.provider import WriteBuffer


@function
def WSASendMsg(
    s: int,
    message: WSAMSG,
    flags: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> int | None:
    """Send a message of datagrams or raw packets; how many bytes went.

    Raises what `sendto` does; WSAEOPNOTSUPP for a stream, and for control data. Source: nf-winsock2-wsasendmsg.
    """
    record = find(s)
    info = record.entry.info
    if not isinstance(message, WSAMSG):
        raise WinsockError(WSAEFAULT, f"message: {message!r} is no WSAMSG")
    if info.iSocketType not in (SOCK_DGRAM, SOCK_RAW):
        raise WinsockError(WSAEOPNOTSUPP, f"s: {info.szProtocol} has no messages")
    if message.control:
        raise WinsockError(WSAEOPNOTSUPP, f"message: {info.szProtocol} takes no control data")
    if message.name is None:
        return record.table.WSPSend(s, message.buffers, flags, overlapped, completion_routine)
    name = address_for(record, message.name, "message")
    return record.table.WSPSendTo(s, message.buffers, flags, name, overlapped, completion_routine)


@function
def WSARecvEx(s: int, buffer: WriteBuffer, flags: int = 0) -> tuple[int, int]:
    """Receive into a buffer: (count, flags), with MSG_PARTIAL where a message was longer than the buffer.

    `flags` is not looked at. The rest of a datagram is lost. Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN,
    WSAESHUTDOWN, WSAECONNRESET, WSAECONNABORTED, WSAEINVAL for an unbound socket, WSAEFAULT, WSAENOTSOCK,
    WSANOTINITIALISED. Source: nf-mswsock-wsarecvex.
    """
    try:
        count, told = find(s).table.WSPRecv(s, (buffer,), 0)  # type: ignore[misc]
    except WinsockError as error:
        if error.winerror != WSAEMSGSIZE or error.count is None:
            raise
        return error.count, MSG_PARTIAL
    return count, told
