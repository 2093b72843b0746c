"""Sockets: making, binding, connecting, accepting, shutting down, closing; and which protocols there are."""

from __future__ import annotations

from collections.abc import Callable, Collection

from winsock.abi.constants import WSA_FLAG_OVERLAPPED
from winsock.abi.errors import WSAEINVAL, WinsockError
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr
from winsock.api.addresses import Address, address_for
from winsock.catalog.matching import NotTogether
from winsock.dispatcher import creation, handles, loader, threads
from winsock.dispatcher.arguments import MISTAKES, check_protocols
from winsock.dispatcher.loader import first_matches
from winsock.dispatcher.records import records, senders
from winsock.dispatcher.route import find, function, note, refusal, require_started, told
from winsock.dispatcher.waits import waiting, wake
from winsock.host import same
from winsock.spi.provider import ReadBuffer, WriteBuffer

# `socket` is a function here: the module of that name is not used on this floor.


@function
def socket(af: int, type: int, protocol: int) -> int:
    """A new blocking socket of the first installed protocol that fits; its handle, a file descriptor.

    Zero is a wildcard for `af` and `type`; zero for `protocol` fits the protocols that say so. Numbers are Windows':
    AF_INET6 is 23. It has the overlapped attribute, unless SO_OPENTYPE says otherwise. Raises WSANOTINITIALISED,
    WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTONOSUPPORT, WSAEPROTOTYPE, WSAEINVAL, WSAEINPROGRESS, WSAEMFILE,
    WSAENOBUFS, WSAENETDOWN, WSAEINVALIDPROVIDER, WSAEINVALIDPROCTABLE, WSAEPROVIDERFAILEDINIT. Source:
    nf-winsock2-socket.
    """
    flags = 0 if threads.current().open_type else WSA_FLAG_OVERLAPPED
    return creation.of_first_match(af, type, protocol, 0, flags)


def WSASocket(
    af: int,
    type: int,
    protocol: int,
    protocol_info: WSAPROTOCOL_INFO | None = None,
    g: int = 0,
    flags: int = 0,
) -> int:
    """A new socket of the first protocol that fits, or of the one described; its handle.

    With `protocol_info`, FROM_PROTOCOL_INFO (-1) takes a value from it. `g` is a group to join, or
    SG_UNCONSTRAINED_GROUP, SG_CONSTRAINED_GROUP for a new one. Raises what `socket` does, but WSAEINVAL for values
    that are supported singly and not together, and for a description of no installed protocol. Source:
    nf-winsock2-wsasocketw.
    """
    try:
        if protocol_info is None:
            try:
                chain = first_matches[af, type, protocol]
            except KeyError:
                return creation.of_first_match(af, type, protocol, g, flags)
            make = chain.table.WSPSocket
            try:
                return make(af, type, protocol, chain.info, g, flags)
            except WinsockError as error:
                return creation.of_next_match(chain, error, af, type, protocol, g, flags)
        return creation.of_description(protocol_info, af, type, protocol, g, flags)
    except MISTAKES as error:
        values = {"protocol_info": protocol_info, "g": g, "flags": flags}
        raise told(error, af=af, type=type, protocol=protocol, **values) from error
    except NotTogether as error:
        invalid = WinsockError(WSAEINVAL, error.strerror)
        note(invalid)
        raise invalid from None
    except WinsockError as error:
        note(error)
        raise


@function
def bind(s: int, name: Address) -> None:
    """Give the socket its local address; port 0 lets the host choose.

    Raises WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAEACCES, WSAEFAULT, WSAEAFNOSUPPORT, WSAEINVAL where it is bound,
    WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-bind.
    """
    record = find(s)
    record.table.WSPBind(s, address_for(record, name))


@function
def listen(s: int, backlog: int) -> None:
    """Wait for connections, as many as `backlog` of them (SOMAXCONN: many; -n: SOMAXCONN_HINT(n), from 200 on).

    Raises WSAEINVAL for an unbound socket, WSAEISCONN, WSAEADDRINUSE, WSAEOPNOTSUPP, WSAENOTSOCK, WSANOTINITIALISED.
    Source: nf-winsock2-listen.
    """
    find(s).table.WSPListen(s, backlog)


@function
def accept(s: int) -> tuple[int, Sockaddr | None]:
    """Take the first waiting connection: (handle, address of the peer).

    Raises WSAEWOULDBLOCK, WSAEINVAL where the socket does not listen, WSAEOPNOTSUPP, WSAECONNRESET, WSAEMFILE,
    WSAEINTR, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-accept.
    """
    return find(s).table.WSPAccept(s)


@function
def WSAAccept(
    s: int, condition: Callable[..., int] | None = None, callback_data: object = None
) -> tuple[int, Sockaddr | None]:
    """The same, where a condition function says so: CF_ACCEPT, CF_REJECT or CF_DEFER.

    It is called with (caller_id, caller_data, sqos, gqos, callee_id, callee_data, group, callback_data). Raises what
    `accept` does, WSAECONNREFUSED where it rejects and WSATRY_AGAIN where it defers, both with the peer's `.address`,
    and WSAEFAULT. Source: nf-winsock2-wsaaccept.
    """
    return find(s).table.WSPAccept(s, condition, callback_data)


@function
def connect(s: int, name: Address) -> None:
    """Connect to a peer; of a datagram socket, choose the peer.

    Raises WSAEWOULDBLOCK for a non-blocking connect that is on its way, WSAEALREADY, WSAEISCONN, WSAECONNREFUSED,
    WSAETIMEDOUT, WSAENETUNREACH, WSAEHOSTUNREACH, WSAEADDRNOTAVAIL, WSAEADDRINUSE, WSAEACCES, WSAEAFNOSUPPORT,
    WSAEFAULT, WSAEINVAL for a listening socket, WSAEINTR, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-connect.
    """
    record = find(s)
    record.table.WSPConnect(s, address_for(record, name))


@function
def WSAConnect(
    s: int,
    name: Address,
    caller_data: ReadBuffer | None = None,
    callee_data: WriteBuffer | None = None,
    sqos: object = None,
    gqos: object = None,
) -> bytes | None:
    """The same, with connect data and quality of service, for protocols that have them; the callee's data.

    Raises what `connect` does, WSAEPROTONOSUPPORT for connect data and WSAEOPNOTSUPP for quality of service where
    there is none, and WSAEINVAL for `gqos`. Source: nf-winsock2-wsaconnect.
    """
    record = find(s)
    data: bytes | None = record.table.WSPConnect(s, address_for(record, name), caller_data, callee_data, sqos, gqos)
    return data


@function
def shutdown(s: int, how: int) -> None:
    """End receiving (SD_RECEIVE, 0), sending (SD_SEND, 1) or both (SD_BOTH, 2).

    Raises WSAEINVAL, WSAENOTCONN, WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-shutdown.
    """
    record = find(s)
    record.table.WSPShutdown(s, how)
    record.note_shutdown(how)


def closesocket(s: int) -> None:
    """Close the socket. Raises WSAENOTSOCK, WSANOTINITIALISED. Source: nf-winsock2-closesocket."""
    try:
        record = records[s]
    except (KeyError, TypeError):
        raise refusal(s) from None
    try:
        if record.made or not same(s, record.identity):
            handles.close(s)
            return
        if s in senders:
            del senders[s]
        del records[s]
        close = record.table.WSPCloseSocket
        close(s)
    except WinsockError as error:
        handles.put_back(record)
        note(error)
        raise
    if waiting and s in waiting:
        wake(s)


@function
def getsockname(s: int) -> Sockaddr:
    """The local address. Raises WSAEINVAL where there is none, WSAENOTSOCK. Source: nf-winsock2-getsockname."""
    return find(s).table.WSPGetSockName(s)


@function
def getpeername(s: int) -> Sockaddr:
    """The address of the peer. Raises WSAENOTCONN, WSAENOTSOCK. Source: nf-winsock2-getpeername."""
    return find(s).table.WSPGetPeerName(s)


@function
def WSAEnumProtocols(protocols: Collection[int] | None = None) -> list[WSAPROTOCOL_INFO]:
    """The installed protocols and chains in catalog order, or those whose number is among `protocols`.

    Layered protocols by themselves and hidden entries are not shown. Raises WSAEINVAL, WSAEFAULT, WSANOTINITIALISED.
    Source: nf-winsock2-wsaenumprotocolsw.
    """
    require_started()
    check_protocols(protocols)
    infos = (entry.info for entry in loader.catalog().visible())
    return [info for info in infos if protocols is None or info.iProtocol in protocols]
