"""Sending and receiving.

What the prologue in `dispatcher.route` does for other functions stands here in each body, because a function call more
is what counts at this place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from winsock.abi.constants import SD_RECEIVE
from winsock.abi.errors import WSAEFAULT, WinsockError
from winsock.abi.sockaddr import Sockaddr
from winsock.api.addresses import Address, address_for
from winsock.dispatcher.records import Record, records, senders
from winsock.dispatcher.route import (
    FAILURES,
    NO_SIGNAL,
    after_direct_send,
    find,
    function,
    learn_to_send,
    refusal,
    told,
)
from winsock.dispatcher.threads import id_for
from winsock.spi.provider import ReadBuffer, WriteBuffer

_MOST_BYTES = 0x7FFFFFFF
"""What fits the int that the length is in C."""


def send(s: int, data: ReadBuffer, flags: int = 0) -> int:
    """Send; how many bytes went, which is all of them where the socket blocks.

    Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN, WSAESHUTDOWN, WSAECONNRESET, WSAECONNABORTED, WSAEMSGSIZE,
    WSAEACCES, WSAEOPNOTSUPP, WSAEINVAL, WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-send.
    """
    try:
        direct = senders[s]
    except (KeyError, TypeError):
        direct = learn_to_send(s)
    if direct is not None and not flags:
        try:
            count = direct(data, NO_SIGNAL)
        except Exception as error:
            return after_direct_send(s, data, error)
        try:
            if count == len(data):
                return count
        except TypeError:  # a buffer that has no length
            pass
        return after_direct_send(s, data, count)
    try:
        table = records[s].table
    except KeyError:  # closed meanwhile by another thread
        raise refusal(s) from None
    try:
        return table.WSPSend(s, (data,), flags)  # type: ignore[return-value]  # None is for overlapped calls
    except FAILURES as error:
        raise told(error, data=data, flags=flags) from error.__cause__


def recv(s: int, length: int, flags: int = 0) -> bytes:
    """Receive `length` bytes at the most; no bytes at the end of a stream.

    Raises WSAEWOULDBLOCK, WSAETIMEDOUT, WSAENOTCONN, WSAESHUTDOWN, WSAECONNRESET, WSAECONNABORTED, WSAEINVAL for an
    unbound socket, WSAEMSGSIZE where a datagram was longer, whose beginning is the error's `.data`, WSAEOPNOTSUPP,
    WSAEFAULT, WSAENOTSOCK, WSANOTINITIALISED.
    Source: nf-winsock2-recv.
    """
    record = _record(s)
    try:
        buffer = _room(record, length)
        count, _ = record.table.WSPRecv(s, (buffer,), flags)  # type: ignore[misc]
    except FAILURES as error:
        if isinstance(error, WinsockError) and error.count is not None:
            error.data = bytes(buffer[: error.count])
        raise told(error, length=length, flags=flags) from error.__cause__
    return bytes(buffer) if count == length else bytes(memoryview(buffer)[:count])


def sendto(s: int, data: ReadBuffer, flags: int, to: Address | None) -> int:
    """Send a datagram to an address; how many bytes went.

    Raises what `send` does, WSAEDESTADDRREQ, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT and WSAENETUNREACH. Source:
    nf-winsock2-sendto.
    """
    record = _record(s)
    try:
        address = None if to is None else address_for(record, to, "to")
        return record.table.WSPSendTo(s, (data,), flags, address)  # type: ignore[return-value]
    except FAILURES as error:
        raise told(error, data=data, flags=flags, to=to) from error.__cause__


def recvfrom(s: int, length: int, flags: int = 0) -> tuple[bytes, Sockaddr | None]:
    """Receive a datagram: (bytes, source); of a stream the source is None.

    Raises what `recv` does; its WSAEMSGSIZE carries `.address`, too. Source: nf-winsock2-recvfrom.
    """
    record = _record(s)
    try:
        buffer = _room(record, length)
        count, _, source = record.table.WSPRecvFrom(s, (buffer,), flags)  # type: ignore[misc]
    except FAILURES as error:
        if isinstance(error, WinsockError) and error.count is not None:
            error.data = bytes(buffer[: error.count])
        raise told(error, length=length, flags=flags) from error.__cause__
    return bytes(memoryview(buffer)[:count]), source


@function
def WSASend(
    s: int,
    buffers: Sequence[ReadBuffer],
    flags: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> int | None:
    """Send several buffers in order; how many bytes went. Raises what `send` does. Source: nf-winsock2-wsasend."""
    return find(s).table.WSPSend(s, buffers, flags, overlapped, completion_routine, id_for(overlapped))


@function
def WSARecv(
    s: int,
    buffers: Sequence[WriteBuffer],
    flags: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> tuple[int, int] | None:
    """Fill several buffers in order: (count, flags). Raises what `recv` does; its WSAEMSGSIZE carries `.count`.

    Source: nf-winsock2-wsarecv.
    """
    return find(s).table.WSPRecv(s, buffers, flags, overlapped, completion_routine, id_for(overlapped))


@function
def WSASendTo(
    s: int,
    buffers: Sequence[ReadBuffer],
    flags: int = 0,
    to: Address | None = None,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> int | None:
    """Send several buffers as one datagram. Raises what `sendto` does. Source: nf-winsock2-wsasendto."""
    record = find(s)
    address = None if to is None else address_for(record, to, "to")
    return record.table.WSPSendTo(s, buffers, flags, address, overlapped, completion_routine, id_for(overlapped))


@function
def WSARecvFrom(
    s: int,
    buffers: Sequence[WriteBuffer],
    flags: int = 0,
    overlapped: object = None,
    completion_routine: Callable[..., None] | None = None,
) -> tuple[int, int, Sockaddr | None] | None:
    """Receive one datagram into several buffers: (count, flags, source). Raises what `recvfrom` does.

    Source: nf-winsock2-wsarecvfrom.
    """
    return find(s).table.WSPRecvFrom(s, buffers, flags, overlapped, completion_routine, id_for(overlapped))


@function
def WSASendDisconnect(s: int, data: ReadBuffer | None = None) -> None:
    """End sending. Raises WSAENOPROTOOPT for disconnect data, WSAENOTCONN. Source: nf-winsock2-wsasenddisconnect."""
    find(s).table.WSPSendDisconnect(s, data)


@function
def WSARecvDisconnect(s: int) -> bytes:
    """End receiving; the peer's disconnect data. Raises WSAENOTCONN. Source: nf-winsock2-wsarecvdisconnect."""
    record = find(s)
    data = record.table.WSPRecvDisconnect(s)
    record.note_shutdown(SD_RECEIVE)
    return data


def _record(s: int) -> Record:
    try:
        return records[s]
    except (KeyError, TypeError):
        raise refusal(s) from None


def _room(record: Record, length: int) -> bytearray:
    if not isinstance(length, int) or not 0 <= length <= _MOST_BYTES:
        hears = getattr(record.base, "refused_receive", None)
        if hears is not None:
            hears(record.handle)
        raise WinsockError(WSAEFAULT, f"length: {length!r} is no number of bytes")
    return bytearray(length)
