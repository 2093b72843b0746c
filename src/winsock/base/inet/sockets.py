"""A socket's creation, its local address, listening, shutting down and closing."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress

from winsock import host
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    SD_BOTH,
    SD_RECEIVE,
    SD_SEND,
    SOMAXCONN,
    WSA_FLAG_NO_HANDLE_INHERIT,
    WSA_FLAG_OVERLAPPED,
)
from winsock.abi.errors import (
    WSAEACCES,
    WSAEADDRNOTAVAIL,
    WSAEAFNOSUPPORT,
    WSAEFAULT,
    WSAEINVAL,
    WSAEISCONN,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WinsockError,
    from_errno,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import Sockaddr, SockaddrIn, SockaddrIn6
from winsock.base.inet import groups, own, raw, sharing
from winsock.base.inet.creation import check_kind
from winsock.base.inet.ground import Ground
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.core import bind_sharing
from winsock.core.kinds import SIMPLE_FLAGS, check_flags
from winsock.host import make
from winsock.spi.blocking import ASKING, HOOKED, refuse_nested
from winsock.spi.losses import LOSSES
from winsock.spi.urgent import MARKING

_HOW = {SD_RECEIVE: socket.SHUT_RD, SD_SEND: socket.SHUT_WR, SD_BOTH: socket.SHUT_RDWR}
_REUSEPORT = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)
_MANY_CONNECTIONS = 0x7FFFFFFF
_LEAST_HINT, _MOST_HINT = 200, 65535
"""Of SOMAXCONN_HINT."""
_UNREACHED = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)
"""How a connect fails, and no connection that there was."""
_TCP_INFO = getattr(socket, "TCP_INFO", 11)
PEER_GOES_ON = (1, 4, 5)
"""TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2."""
_PROBES = 3
_MULTICAST_ALL = {AF_INET: (socket.IPPROTO_IP, 49), AF_INET6: (socket.IPPROTO_IPV6, 29)}
"""IP_MULTICAST_ALL and IPV6_MULTICAST_ALL."""
_NO_BROADCASTS = ("127.0.0.1", "0.0.0.0")
_LINK_LOCAL = ("fe8", "fe9", "fea", "feb")
_DISCARD = 9
BROKEN = (errno.ECONNRESET, errno.EPIPE)
"""How the kernel tells of a connection that there was, and never of one that was not reached."""


class Sockets(Ground):
    """WSPSocket, WSPBind, WSPListen, WSPShutdown, WSPCloseSocket."""

    def WSPSocket(
        self,
        af: int,
        type: int,
        protocol: int,
        protocol_info: WSAPROTOCOL_INFO | None = None,
        g: int = 0,
        flags: int = 0,
    ) -> int:
        """Create a blocking socket of this provider's protocol; its handle, which is its descriptor (lpwspsocket).

        0 is a wildcard for af and type, FROM_PROTOCOL_INFO takes any of the three from `protocol_info`. Raises
        WSAEAFNOSUPPORT, WSAESOCKTNOSUPPORT, WSAEPROTONOSUPPORT, WSAEPROTOTYPE, WSAEINVAL, WSAEINPROGRESS from inside
        a blocking callback, WSAEMFILE, WSAENOBUFS, WSAENETDOWN.
        """
        info = self.info
        if ASKING:
            refuse_nested()
        if protocol_info is not info or (af, type, protocol) not in self.names:
            if protocol_info is not None and protocol_info.dwProviderReserved:
                return self.open_duplicate(protocol_info, flags)
            check_kind(info, af, type, protocol, protocol_info)
        try:
            if g or flags or self.only_ipv6:
                record = self._make_special(g, flags)
            else:
                record = own.born(make(self.kind, True), info, self)
                if self.datagrams:
                    record.stream = False
        except WinsockError:
            raise
        except OSError as error:
            raise from_errno(error.errno or errno.EINVAL, f"no socket: {error.strerror}") from None
        return self._register(record)

    def _make_special(self, g: int, flags: int) -> OwnSocket:
        """A socket with flags or in a group, or one of IPv6, which is for that alone."""
        if flags & ~SIMPLE_FLAGS:
            check_flags(self.info, flags)
        group = groups.find_or_make(g, self.info) if g else None
        inheritable = not flags & WSA_FLAG_NO_HANDLE_INHERIT
        overlapped = bool(flags & WSA_FLAG_OVERLAPPED)
        record = own.wrap(make(self.kind, inheritable), self.info, inheritable=inheritable, overlapped=overlapped)
        record.is_leaf = bool(flags & ~SIMPLE_FLAGS)
        if self.only_ipv6:  # Windows' default, which the host lets an administrator choose
            record.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if group is not None:
            group.join(record)
        return record

    def _register(self, record: OwnSocket) -> int:
        """Pass the new handle through WPUModifyIFSHandle; only what comes back is used."""
        try:
            handle = self.upcalls.WPUModifyIFSHandle(self.entry_id, record.handle)
        except BaseException:
            record.let_go()
            socket.close(record.handle)
            raise
        if handle in SOCKETS:
            own.forget(handle)
        record.handle = handle
        record.provider = self
        SOCKETS[handle] = record
        return handle

    def WSPBind(self, s: int, name: Sockaddr) -> None:
        """Give the socket its local address; port 0 lets the host choose one (lpwspbind).

        Raises WSAEADDRINUSE, WSAEADDRNOTAVAIL, WSAEACCES, WSAEAFNOSUPPORT, WSAEFAULT, WSAEINVAL, WSAENOTSOCK.
        """
        record = SOCKETS.get(s)
        if record is None:
            _check(raw.bind(s, name))
            return
        address = _at_its_interface(require_inet(self.info, name))
        if is_bound(record):
            raise WinsockError(WSAEINVAL, f"s: the socket is bound already, {name} cannot be added")
        if address.host == "255.255.255.255":
            raise WinsockError(WSAEADDRNOTAVAIL, "name: the broadcast address is no address of this host")
        if not record.stream and address.family == AF_INET and address.host not in _NO_BROADCASTS:
            _check_broadcast(record, address.host)
        option = bind_sharing.option_of(reuse=record.reuse, exclusive=record.exclusive)
        v6_only = self.info.iAddressFamily == AF_INET6 and is_only_v6(record)
        if v6_only and isinstance(address, SockaddrIn6) and address.unmapped() is not None:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is of IPv4, which the socket lacks (IPV6_V6ONLY)")
        claim = sharing.claim_of(address, self.info.iProtocol, option, v6_only=v6_only)
        sharing.check(claim)
        _apply(record, option)
        if not record.stream:
            _hear_own_groups_alone(record)
        _check(_take(record, claim, lambda: raw.bind(s, address)), f"name: cannot bind to {name}")
        record.bound = True
        record.claim = claim._replace(port=_port(s))
        record.holds_more = True
        sharing.add(record.claim)

    def WSPListen(self, s: int, backlog: int) -> None:
        """Wait for connections; a backlog out of bounds becomes the nearest legal one (lpwsplisten).

        A negative one is a SOMAXCONN_HINT, for 200 to 65535 connections. Raises WSAEINVAL for an unbound socket,
        WSAEISCONN, WSAEADDRINUSE, WSAEOPNOTSUPP, WSAENOTSOCK.
        """
        record = SOCKETS.get(s)
        if record is None:
            _check(raw.listen(s, backlog))
            return
        if not record.stream:
            raise WinsockError(WSAEOPNOTSUPP, f"s: {self.info.szProtocol} has no connections to wait for")
        if not is_bound(record):
            raise WinsockError(WSAEINVAL, "s: the socket is not bound; bind it first")
        if record.phase == own.CONNECTED:
            raise WinsockError(WSAEISCONN, "s: the socket is connected")
        length = _length_of_queue(backlog)
        _check(_take(record, record.claim, lambda: raw.listen(s, length)), "s: cannot listen")
        record.phase = own.LISTENING

    def WSPShutdown(self, s: int, how: int) -> None:
        """End sending (SD_SEND), receiving (SD_RECEIVE) or both (SD_BOTH) (lpwspshutdown).

        Raises WSAEINVAL, WSAENOTCONN, WSAENOTSOCK.
        """
        host_how = _HOW.get(how)
        if host_how is None:
            raise WinsockError(WSAEINVAL, f"how: {how} is none of SD_RECEIVE (0), SD_SEND (1), SD_BOTH (2)")
        record = SOCKETS.get(s)
        if record is None:
            _check(raw.shutdown(s, host_how))
            return
        if record.stream and record.phase in (own.NEW, own.FAILED, own.LISTENING):
            # Not for the kernel to say: it would refuse, and end it all the same, for a later connection too
            raise WinsockError(WSAENOTCONN, "s: the socket has no connection to shut down")
        ended = (how == SD_RECEIVE or record.sending_ended) and (how == SD_SEND or record.receiving_ended)
        error = raw.shutdown(s, host_how)
        # An unconnected datagram socket is shut down all the same, and a second time is no mistake.
        if error and not (error == errno.ENOTCONN and (ended or not record.stream)):
            raise from_errno(error)
        record.sending_ended = record.sending_ended or how != SD_RECEIVE
        record.receiving_ended = record.receiving_ended or how != SD_SEND

    def WSPCloseSocket(self, s: int) -> None:
        """Close the socket; threads that wait in a call on it come back with an error (lpwspclosesocket).

        It may wait for what is on its way, and then reset the connection (SO_LINGER). Raises WSAENOTSOCK;
        WSAEWOULDBLOCK for a non-blocking socket that would have to wait, which stays open; WSAEINTR where a signal cut
        lingering short, and what else the kernel has to tell: the number is free all the same.
        """
        if HOOKED:
            refuse_nested()
        record = SOCKETS.get(s)
        if record is not None and record.linger_seconds and record.phase == own.CONNECTED:
            from winsock.base.inet import lingering

            lingering.before_close(record)
        record = SOCKETS.pop(s, None)
        if MARKING:
            MARKING.discard(s)
        if LOSSES:
            LOSSES.discard(s)
        if record is not None:
            record.closed = True
            if record.holds_more or record.waiters:
                retire(record)
        try:
            socket.close(s)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise WinsockError(WSAENOTSOCK, f"s: {s} is not open", errno=errno.EBADF) from None
            raise from_errno(error.errno or errno.EIO, f"s: it is closed, but {error.strerror}") from None


def _length_of_queue(backlog: int) -> int:
    if backlog < 0:  # SOMAXCONN_HINT(n) is -n
        return min(max(-backlog, _LEAST_HINT), _MOST_HINT)
    return min(max(backlog, 1), SOMAXCONN, _MANY_CONNECTIONS)


def require_inet(info: WSAPROTOCOL_INFO, name: object) -> SockaddrIn | SockaddrIn6:
    """An address of the sockets' own family; raises WSAEFAULT where it is none, WSAEAFNOSUPPORT for another family."""
    family = getattr(name, "family", None)
    if family is None:
        raise WinsockError(WSAEFAULT, f"name: {name!r} is no socket address")
    if family != info.iAddressFamily or not isinstance(name, (SockaddrIn, SockaddrIn6)):
        raise WinsockError(WSAEAFNOSUPPORT, f"name: an address of family {family} on a socket of {info.szProtocol}")
    return name


def require_socket(s: int) -> None:
    """Raises WSAENOTSOCK where the number is no socket."""
    raw.getsockopt(s, socket.SOL_SOCKET, socket.SO_TYPE, 4)


def is_bound(record: OwnSocket) -> bool:
    """Whether the socket has a local address, by bind or because the kernel chose one."""
    if record.raw_protocol is not None:  # which receives from the start
        return True
    if not record.bound:
        record.bound = _port(record.handle) != 0
    return record.bound


def is_only_v6(record: OwnSocket) -> bool:
    """Whether an IPv6 socket has nothing to do with IPv4 (IPV6_V6ONLY)."""
    return bool(record.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def has_peer(record: OwnSocket) -> bool:
    """Whether the kernel knows whom the socket is connected to."""
    try:
        raw.getpeername(record.handle)
    except WinsockError:
        return False
    return True


def was_not_reached(record: OwnSocket, number: int) -> bool:
    """Whether an error is that of a connect which was on its way; the application may still ask for it."""
    if record.fails_on_icmp:
        from winsock.base.inet import icmp

        icmp.has_failed(record)
    if record.phase == own.CONNECTING:
        if number in _UNREACHED:
            record.error = from_errno(number).winerror
            record.settle(record.error)
        elif number in BROKEN:
            record.settle(0)
    return record.phase == own.FAILED and record.late_failure != 0


def was_dropped(record: OwnSocket) -> bool:
    """Whether it is keep-alive that gave the connection up, and not the wait for an answer to data."""
    if not count_probes(record):
        return False
    record.break_by(WSAENOTCONN)
    return True


def count_probes(record: OwnSocket) -> int:
    """How often keep-alive has asked the peer in vain."""
    try:
        return raw.getsockopt(record.handle, socket.IPPROTO_TCP, _TCP_INFO, 4)[_PROBES]
    except WinsockError:  # a stream of another protocol
        return 0


def has_peer_ended(record: OwnSocket) -> bool:
    """Whether the peer ended a connection, or broke it: of our own end the kernel tells in the same words."""
    state = tcp_state(record.handle)
    if state is None:
        return not _is_ended_by_us_alone(record)
    return state not in PEER_GOES_ON


def tcp_state(s: int) -> int | None:
    """How far the kernel is with a stream; None where that is of another protocol."""
    try:
        return raw.getsockopt(s, socket.IPPROTO_TCP, _TCP_INFO, 1)[0]
    except WinsockError:
        return None


def _is_ended_by_us_alone(record: OwnSocket) -> bool:
    """Whether a local stream ended by nothing but our own shutdown."""
    if record.info.iAddressFamily != AF_UNIX or not record.receiving_ended or record.broken_by:
        return False
    from winsock.host.local import has_open_peer

    poller = select.poll()
    poller.register(record.handle, 0)
    try:
        # A peer that waits to be accepted has no number yet, and one that was closed hangs up.
        return not poller.poll(0) or has_open_peer(record.handle)
    except OSError:
        return False


def retire(record: OwnSocket) -> None:
    """End what a socket holds beside its descriptor, which stays open."""
    SOCKETS.pop(record.handle, None)
    record.let_go()
    if record.selection is not None:
        record.selection.end()
    if record.waiters and record.shared is None:  # what ends with a shared socket wakes them
        _wake(record)
    if record.claim is not None:
        sharing.remove(record.claim)
    while record.deferred:
        abort(record.deferred.pop()[0])


def _wake(record: OwnSocket) -> None:
    """Let those who wait on a socket come back, which closing its descriptor would not do.

    Where closing is to reset the connection, the reset is all that the peer may see, and no end of the stream before.
    """
    resets = record.phase == own.CONNECTED and record.stream and _resets_on_close(record)
    if not resets or host.connect(record.handle, host.NOBODY):
        raw.shutdown(record.handle, socket.SHUT_RDWR)


def _resets_on_close(record: OwnSocket) -> bool:
    try:
        linger = raw.getsockopt(record.handle, socket.SOL_SOCKET, socket.SO_LINGER, len(host.RESET_ON_CLOSE))
    except WinsockError:
        return False
    return linger == host.RESET_ON_CLOSE


def abort(record: OwnSocket) -> None:
    """Close a connection with a reset, or without one where the kernel refuses it."""
    try:
        record.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, host.RESET_ON_CLOSE)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOTSOCK):  # else the number is not ours to close
            record.close()
        raise
    record.close()


def _take(record: OwnSocket, claim: sharing.Claim | None, call: Callable[[], int]) -> int:
    """Make a call that takes an address; 0 or an errno."""
    error = call()
    if error == errno.EADDRINUSE and claim is not None:
        from winsock.base.inet import neighbours

        error = neighbours.beside(record, claim, call)
    return error


def _apply(record: OwnSocket, option: int) -> None:
    """Windows' defaults and SO_REUSEADDR, in the host's terms."""
    if option != bind_sharing.EXCLUSIVE and record.stream and os.name == "posix":
        record.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if option == bind_sharing.REUSE:
        record.setsockopt(socket.SOL_SOCKET, _REUSEPORT, 1)


def _hear_own_groups_alone(record: OwnSocket) -> None:
    """What comes for a group is for the sockets that joined it; the kernel gives it to others, too, if it is let."""
    option = _MULTICAST_ALL.get(record.info.iAddressFamily)
    if option is not None and record.raw_protocol is None and os.name == "posix":
        with suppress(WinsockError):  # of an older kernel
            raw.setsockopt(record.handle, *option, bytes(4))


def _at_its_interface(address: SockaddrIn | SockaddrIn6) -> SockaddrIn | SockaddrIn6:
    """The address with the interface that it is of; the kernel asks for that of link-local ones, and of those alone.

    Raises WSAEADDRNOTAVAIL where the scope is no interface.
    """
    if not isinstance(address, SockaddrIn6):
        return address
    if address.scope_id:
        try:
            socket.if_indextoname(address.scope_id)
        except (OSError, OverflowError):
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {address} has a scope that is no interface") from None
    elif address.host.lower().startswith(_LINK_LOCAL):
        from winsock.base.inet.interfaces import interfaces

        host = socket.inet_pton(socket.AF_INET6, address.host)
        for one in interfaces(AF_INET6):
            if socket.inet_pton(socket.AF_INET6, one.address.host) == host:
                return address._replace(scope_id=one.number)
    return address


def _check_broadcast(record: OwnSocket, address: str) -> None:
    """Raises WSAEACCES for a broadcast address, where the socket has no leave for those. The kernel knows which are."""
    if record.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST):
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if probe.connect_ex((address, _DISCARD)) == errno.EACCES:
            raise WinsockError(WSAEACCES, f"name: {address} is a broadcast address, which needs SO_BROADCAST")


def _port(s: int) -> int:
    return getattr(raw.getsockname(s), "port", 0)


def _check(error: int, message: str | None = None) -> None:
    if error:
        raise from_errno(error, message and f"{message}: {os.strerror(error)}")
