"""Connecting and accepting: the two calls that wait, made so that a signal ends the wait.

On an adopted handle each is one raw call with the caller's own arguments. On our own sockets the answers are Windows':
connect to an address of zeros, a second connect and a deferred connection are decided here.
"""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable

from winsock.abi.constants import AF_UNSPEC, CF_ACCEPT, CF_DEFER, CF_REJECT
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAECONNREFUSED,
    WSAECONNRESET,
    WSAEFAULT,
    WSAEINTR,
    WSAEINVAL,
    WSAEISCONN,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAEWOULDBLOCK,
    WSATRY_AGAIN,
    WinsockError,
    from_errno,
)
from winsock.abi.sockaddr import NO_PEER, Sockaddr, SockaddrIn, SockaddrIn6, SockaddrOther
from winsock.base.inet import own, raw
from winsock.base.inet.addresses import is_nobodys
from winsock.base.inet.own import SOCKETS, OwnSocket
from winsock.base.inet.sockets import Sockets, abort, has_peer, is_only_v6, require_inet
from winsock.spi.blocking import HOOKED
from winsock.spi.provider import ReadBuffer, WriteBuffer

_EINTR = errno.EINTR
_CLOEXEC = getattr(socket, "SOCK_CLOEXEC", 0)
_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)
_GOING_ON = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)


class Connections(Sockets):
    """WSPConnect and WSPAccept."""

    def WSPConnect(
        self,
        s: int,
        name: Sockaddr,
        caller_data: ReadBuffer | None = None,
        callee_data: WriteBuffer | None = None,
        sqos: object = None,
        gqos: object = None,
    ) -> bytes | None:
        """Connect to a peer; for datagrams, choose it. `SockaddrOther(AF_UNSPEC, ...)` ends the association.

        Raises WSAEWOULDBLOCK for a non-blocking attempt that goes on (its errno is EINPROGRESS), WSAEALREADY,
        WSAEISCONN, WSAECONNREFUSED, WSAETIMEDOUT, WSAENETUNREACH, WSAEHOSTUNREACH, WSAEADDRNOTAVAIL, WSAEINVAL,
        WSAEAFNOSUPPORT, WSAEFAULT, WSAEINTR (lpwspconnect).
        """
        record = SOCKETS.get(s)
        if record is None:
            error = raw.connect(s, name)
            while error == _EINTR:
                self.ask_after_interrupt("WSPConnect")
                error = raw.connect(s, name)
            if error:
                raise from_errno(error)
            return None
        self._check_extras(caller_data, sqos, gqos)
        if record.stream:
            self._connect_stream(record, name)
        else:
            self._connect_datagram(record, name)
        return None

    def _check_extras(self, caller_data: ReadBuffer | None, sqos: object, gqos: object) -> None:
        if gqos is not None:
            raise WinsockError(WSAEINVAL, "gqos: socket groups have no quality of service")
        if sqos is not None:
            raise WinsockError(WSAEOPNOTSUPP, "sqos: quality of service is not offered")
        if caller_data and not self.datagrams:
            raise WinsockError(WSAEPROTONOSUPPORT, "caller_data: TCP carries no connect data")

    def _connect_stream(self, record: OwnSocket, name: Sockaddr) -> None:
        if isinstance(name, SockaddrOther) and name.family == AF_UNSPEC:
            self._forget_peer(record)
            return
        self.check_target(record, name)
        earlier = record.phase
        if earlier == own.CONNECTED:  # also where the connection broke, of which the kernel would make another
            raise from_errno(errno.EISCONN, "s: the socket is connected, or has been")
        error = self._attempt(record, name, anew=earlier != own.CONNECTING)
        late = earlier == own.CONNECTING or record.late_failure
        if late and error not in (0, errno.EISCONN, *_GOING_ON):
            # The kernel told how the last attempt ended. Winsock starts another.
            earlier = own.FAILED
            error = self._attempt(record, name, anew=True)
        self._note_outcome(record, name, earlier, error)

    def _attempt(self, record: OwnSocket, name: Sockaddr, *, anew: bool) -> int:
        """Connect, or go on with that; 0 or an errno."""
        if not record.fails_on_icmp:
            return self.connect_while_interrupted(record, name)
        from winsock.base.inet import icmp

        if anew:
            icmp.before_connect(record)
        waits = record.blocking and not HOOKED
        error = icmp.connect(record, name) if waits else self.connect_while_interrupted(record, name)
        return icmp.outcome(record, error)

    def check_target(self, record: OwnSocket, name: Sockaddr) -> None:
        """Whether a stream can connect there; raises WSAEFAULT, WSAEAFNOSUPPORT, WSAEINVAL, WSAEADDRNOTAVAIL."""
        address = require_inet(self.info, name)
        if record.phase == own.LISTENING:
            raise WinsockError(WSAEINVAL, "s: a listening socket cannot connect")
        if is_nobodys(address) or address.port == 0:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} is no address to connect to")
        if record.group is not None:
            record.group.check_host(address.host)

    def connect_while_interrupted(self, record: OwnSocket, name: Sockaddr) -> int:
        """Connect, whatever signals come; 0 or an errno."""
        record.waiters.append(None)
        try:
            if HOOKED:
                from winsock.base.inet import hooks

                if hooks.is_hooked() and record.blocking:
                    return hooks.connect(self, record, name)
            error = raw.connect(record.handle, name)
            while error == _EINTR or (error in _GOING_ON and record.blocking):
                # Of a blocking socket the wait ran out (SO_SNDTIMEO), which ends no connect in Windows.
                if error == _EINTR:
                    self.ask_after_interrupt("WSPConnect")
                error = raw.connect(record.handle, name)
        finally:
            record.waiters.pop()
        return error

    def _note_outcome(self, record: OwnSocket, name: Sockaddr, earlier: int, error: int) -> None:
        if record.closed:
            raise WinsockError(WSAEINTR, "s: the socket was closed while it connected")
        if error == 0:
            if earlier in (own.CONNECTING, own.CONNECTED):  # the kernel tells a late success once more
                record.settle(0)
                raise WinsockError(WSAEISCONN, "s: the socket is connected")
            record.phase = own.CONNECTED
            record.bound = True
            record.forget_failure()
            record.connect_time = time.monotonic()
            if record.selection is not None:
                record.selection.connected()
        elif error in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            record.phase = own.CONNECTING
            record.forget_failure()
            record.connect_time = time.monotonic()
            if record.selection is not None:
                record.selection.connecting()
            raise WinsockError(WSAEWOULDBLOCK, f"the connection to {name} is on its way", errno=error)
        else:
            if error not in (errno.EISCONN, errno.EALREADY):
                record.phase = own.FAILED
                record.forget_failure()
            raise from_errno(error, f"no connection to {name}: {from_errno(error).strerror}")

    def _connect_datagram(self, record: OwnSocket, name: Sockaddr) -> None:
        if isinstance(name, SockaddrOther) and name.family == AF_UNSPEC:
            self._forget_peer_of_datagrams(record)
            return
        address = require_inet(self.info, name)
        if is_nobodys(address) and not (isinstance(address, SockaddrIn6) and address.unmapped() and is_only_v6(record)):
            self._forget_peer_of_datagrams(record)
            return
        if address.port == 0:
            raise WinsockError(WSAEADDRNOTAVAIL, f"name: {name} has no port to send to")
        earlier = raw.getpeername(record.handle) if record.phase == own.CONNECTED and has_peer(record) else None
        error = raw.connect(record.handle, name)
        if error == errno.EACCES:  # Windows lets a socket connect to the broadcast address, and send() to it
            record.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            error = raw.connect(record.handle, name)
            record.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
        if error:
            raise from_errno(error, f"name: {name} cannot be the peer: {from_errno(error).strerror}")
        if earlier is not None and earlier != raw.getpeername(record.handle):
            _discard_queued(record)
        record.phase = own.CONNECTED
        record.bound = True
        if record.selection is not None:
            record.selection.connected()

    def _forget_peer_of_datagrams(self, record: OwnSocket) -> None:
        """The same, but the port stays, which the kernel takes back where it had chosen it."""
        before = raw.getsockname(record.handle)
        self._forget_peer(record)
        now = raw.getsockname(record.handle)
        if not isinstance(before, (SockaddrIn, SockaddrIn6)) or not isinstance(now, (SockaddrIn, SockaddrIn6)):
            return
        if before.port and not now.port and record.raw_protocol is None:
            record.bound = raw.bind(record.handle, now._replace(port=before.port)) == 0

    def _forget_peer(self, record: OwnSocket) -> None:
        error = raw.connect(record.handle, NO_PEER)
        if error:
            raise from_errno(error)
        record.phase = own.NEW
        record.forget_failure()
        record.bound = record.claim is not None

    def spelled(self, address: Sockaddr) -> Sockaddr:
        """An address that the kernel told, as this family's are spelled."""
        return address

    def WSPAccept(
        self, s: int, condition: Callable[..., int] | None = None, callback_data: object = None
    ) -> tuple[int, Sockaddr | None]:
        """Take the first connection that waits: (handle, address of the peer) (lpwspaccept).

        `condition(caller_id, caller_data, sqos, gqos, callee_id, callee_data, group, callback_data)` answers
        CF_ACCEPT, CF_REJECT or CF_DEFER. Raises WSAEWOULDBLOCK, WSAEINVAL for a socket that does not listen,
        WSAEOPNOTSUPP, WSAECONNREFUSED (rejected) and WSATRY_AGAIN (deferred), which carry the peer's `.address`,
        WSAEFAULT for a condition that cannot be called, WSAEMFILE, WSAEINTR, WSAENOTSOCK.
        """
        if condition is not None and not callable(condition):
            raise WinsockError(WSAEFAULT, f"condition: {condition!r} is no function")
        listener = SOCKETS.get(s)
        if listener is None:
            return self._accept_adopted(s, condition)
        is_deferred = False
        try:
            accepted, peer = _deferred(listener) or self._accept_own(listener)
            if condition is not None:
                self._ask_condition(listener, accepted, peer, condition, callback_data)
            handle = self._register(accepted)
        except WinsockError as error:
            is_deferred = error.winerror == WSATRY_AGAIN
            raise
        finally:
            if listener.selection is not None and not is_deferred:
                listener.selection.accepted()
        if listener.selection is not None:
            listener.selection.inherit(accepted)
        return handle, peer

    def _accept_adopted(self, s: int, condition: Callable[..., int] | None) -> tuple[int, Sockaddr | None]:
        if condition is not None:
            raise WinsockError(WSAEOPNOTSUPP, "condition: the listening socket is not of this process's own making")
        descriptor, peer = raw.accept(s, _CLOEXEC)
        while descriptor == -_EINTR:
            self.ask_after_interrupt("WSPAccept")
            descriptor, peer = raw.accept(s, _CLOEXEC)
        if descriptor < 0:
            raise from_errno(-descriptor)
        try:
            return self.upcalls.WPUModifyIFSHandle(self.info.dwCatalogEntryId, descriptor), peer
        except BaseException:
            socket.close(descriptor)
            raise

    def _accept_own(self, listener: OwnSocket) -> tuple[OwnSocket, Sockaddr]:
        blocking = listener.blocking
        flags = (0 if listener.inheritable else _CLOEXEC) | (0 if blocking else _NONBLOCK)
        listener.waiters.append(None)
        try:
            if HOOKED:
                from winsock.base.inet import hooks

                hooks.wait(self, listener, select.POLLIN, "WSPAccept")
            if listener.shared is not None and blocking and listener.phase == own.LISTENING:
                listener.shared.wait(listener, select.POLLIN, None)
                if listener.closed:
                    raise _accept_error(listener, errno.EBADF)
            descriptor, peer = raw.accept(listener.handle, flags)
            while descriptor == -_EINTR or (descriptor in (-errno.EAGAIN, -errno.EWOULDBLOCK) and blocking):
                # SO_RCVTIMEO ends receives, not accepts
                if descriptor == -_EINTR:
                    self.ask_after_interrupt("WSPAccept")
                descriptor, peer = raw.accept(listener.handle, flags)
        finally:
            listener.waiters.pop()
        if descriptor < 0:
            raise _accept_error(listener, -descriptor)
        assert peer is not None
        peer = self.spelled(peer)
        accepted = own.wrap(descriptor, self.info, inheritable=listener.inheritable, overlapped=listener.overlapped)
        accepted.inherit(listener)
        if listener.oob_inline:
            from winsock.base.inet import urgent

            urgent.keep_in_line(accepted, True)
        accepted.was_accepted = True
        accepted.phase = own.CONNECTED
        accepted.bound = True
        accepted.connect_time = time.monotonic()
        return accepted, peer

    def _ask_condition(
        self,
        listener: OwnSocket,
        accepted: OwnSocket,
        peer: Sockaddr,
        condition: Callable[..., int],
        callback_data: object,
    ) -> None:
        """Let the application decide; returns where it accepts."""
        callee = self.spelled(raw.getsockname(listener.handle))
        try:
            answer = condition(peer, None, None, None, callee, None, 0, callback_data)
        except BaseException:
            listener.defer(accepted, peer)
            raise
        if answer == CF_ACCEPT:
            return
        if answer == CF_REJECT:
            abort(accepted)
            raise WinsockError(WSAECONNREFUSED, f"the condition function rejected {peer}", address=peer)
        listener.defer(accepted, peer)
        if answer == CF_DEFER:
            raise WinsockError(WSATRY_AGAIN, f"the condition function deferred {peer}", address=peer)
        raise WinsockError(WSAEINVAL, f"condition: {answer!r} is none of CF_ACCEPT, CF_REJECT, CF_DEFER", address=peer)


def _deferred(listener: OwnSocket) -> tuple[OwnSocket, Sockaddr] | None:
    """A connection that was deferred, unless another thread takes it in this moment."""
    try:
        return listener.deferred.pop() if listener.deferred else None
    except IndexError:
        return None


def _discard_queued(record: OwnSocket) -> None:
    """Datagrams that came for another peer, and what the kernel has to tell of those that were sent there."""
    if record.hears_errors:
        from winsock.base.inet import unreached

        unreached.collect(record)
    record.take_loss()
    record.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    while raw.recvmsg(record.handle, (bytearray(1),), socket.MSG_DONTWAIT)[0] >= 0:
        pass


def _accept_error(listener: OwnSocket, error: int) -> WinsockError:
    if listener.closed:
        return WinsockError(WSAEINTR, "s: the socket was closed while it waited")
    if error == errno.ECONNABORTED:
        return WinsockError(WSAECONNRESET, "the peer ended the connection before it was accepted", errno=error)
    if error == errno.EINVAL:
        return WinsockError(WSAEINVAL, "s: the socket does not listen", errno=error)
    return from_errno(error)
