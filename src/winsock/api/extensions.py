"""What Mswsock.dll exports beside Ws2_32, and WSASendMsg, which Windows has as one of its extensions."""

from __future__ import annotations

from collections.abc import Callable

from winsock.abi.constants import MSG_PARTIAL, SIO_GET_EXTENSION_FUNCTION_POINTER, SOCK_DGRAM, SOCK_RAW
from winsock.abi.errors import WSAEFAULT, WSAEINVAL, WSAEMSGSIZE, WinsockError
from winsock.abi.guids import GUID, WSAID_WSASENDMSG
from winsock.abi.message import WSAMSG
from winsock.api.addresses import address_for
from winsock.dispatcher.records import Record
from winsock.dispatcher.route import find, function
from winsock.dispatcher.threads import id_for
from winsock.spi.extensions import SIZE, ExtensionFunction
from winsock.spi.provider import WriteBuffer, unsupported


@function
def WSASendMsg(
    s: int,
    message: WSAMSG,
    flags: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> int | None:
    """Send a message of datagrams or raw packets; how many bytes went.

    Control data goes by the extension function of the provider, which leaves the table aside: WSAEOPNOTSUPP where a
    layer has a WSPSend or WSPSendTo of its own, and for control data of a provider without that function. Raises what
    `sendto` does; WSAEINVAL for a stream, and for control data that is not known; WSAEFAULT. Source:
    nf-winsock2-wsasendmsg.
    """
    record = find(s)
    info = record.entry.info
    if not isinstance(message, WSAMSG):
        raise WinsockError(WSAEFAULT, f"message: {message!r} is no WSAMSG")
    if info.iSocketType not in (SOCK_DGRAM, SOCK_RAW):
        raise WinsockError(WSAEINVAL, f"s: {info.szProtocol} has no messages")
    if message.name is not None:
        message = message._replace(name=address_for(record, message.name, "message"))
    if message.control != b"":
        send: Callable[..., int | None] = _extension(record, WSAID_WSASENDMSG)
        return send(s, message, flags, overlapped, completion_routine)
    thread = id_for(overlapped)
    if message.name is None:
        return record.table.WSPSend(s, message.buffers, flags, overlapped, completion_routine, thread)
    return record.table.WSPSendTo(s, message.buffers, flags, message.name, overlapped, completion_routine, thread)


def _extension(record: Record, guid: GUID) -> ExtensionFunction:
    """A function of the provider's; WSAEOPNOTSUPP where it has none that can be called from here."""
    found = record.table.WSPIoctl(record.handle, SIO_GET_EXTENSION_FUNCTION_POINTER, guid.pack(), SIZE)
    if not isinstance(found, ExtensionFunction):
        raise unsupported("control data")
    return found


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
