"""What Mswsock.dll exports beside Ws2_32."""

from __future__ import annotations

from winsock.abi.constants import MSG_PARTIAL
from winsock.abi.errors import WSAEMSGSIZE, WinsockError
from winsock.dispatcher.route import find, function
from winsock.spi.provider import WriteBuffer


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
