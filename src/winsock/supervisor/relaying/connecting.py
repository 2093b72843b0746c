"""connect, where a byte layer wants the connection.

It begins in the thread that performs the program's call: that opens the outer socket and lets it connect. On loopback
the outcome is known at once, and the program's own socket is joined or refused right there. Else that is left waiting
at a door, and from then on the connection's own thread looks after it (`settle`). So a program that waits in connect
may be called away by a signal, and finds the connection made when it returns.
"""

from __future__ import annotations

import errno
import select
import threading
import time
from typing import TYPE_CHECKING

from winsock import host
from winsock.abi.constants import AF_UNSPEC, SO_ERROR, SOL_SOCKET
from winsock.abi.errors import WSAEALREADY, WSAEINTR, WSAEWOULDBLOCK, ErrorCode, WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr, SockaddrIn6
from winsock.base.inet import raw
from winsock.core import journal
from winsock.supervisor.calls.call import current
from winsock.supervisor.calls.connecting import is_loopback
from winsock.supervisor.notices.sockdiag import SYN_SENT
from winsock.supervisor.relaying import at_once, doors, outer
from winsock.supervisor.relaying.connection import Connection, State
from winsock.supervisor.relaying.program import Program

if TYPE_CHECKING:
    from winsock.dispatcher.drivers.relayed import Relayed
    from winsock.spi.stream import StreamLayer
    from winsock.supervisor.calls.call import Call
    from winsock.supervisor.relaying.relays import Relays

_MAPPED = "::ffff:"
_SO_ERROR = 4
_TOO_SHORT = b"\x02\x00"
"""An address that no socket connects to: one that has a connect behind it tells of that, and any other says EINVAL."""


def connect(room: Relays, owner: Relayed, s: int, name: Sockaddr, layer: StreamLayer) -> None:
    """The first connect of a program's socket, as far as we know; errors as of WSPConnect."""
    obstacle = room.surroundings.obstacle(s)
    if obstacle is not None:
        room.passes(s, obstacle)
        owner.next.WSPConnect(s, name)
        return
    if room.state_of(s) == SYN_SENT:  # on its way since before a layer wanted it
        owner.next.WSPConnect(s, name)
        return
    number = host.connect(s, _TOO_SHORT)
    if number != errno.EINVAL:
        raise from_errno(number or errno.EISCONN)
    call, socket = current.call, room.leases.at(s)
    assert call is not None
    assert socket is not None
    connection = Connection(room, owner, layer)
    connection.socket = socket
    connection.program = Program(socket)
    with room.beginning(s):
        _open_outer(connection, connection.program, call)
        refusal = _begin(connection, connection.program, name)
    blocking = at_once.is_blocking(s)
    if refusal is not None:
        _refuse(connection, connection.program, refusal)
    elif blocking:
        _wait(connection, call, s, quick=is_loopback(name) and not connection.speaks_first)
    if not blocking:
        raise _on_its_way()


def connect_again(connection: Connection, s: int, name: Sockaddr) -> bool:
    """A connect on a socket that is, or was, relayed: the kernel knows what to say. False for a new beginning."""
    if name.family == AF_UNSPEC:
        connection.base.WSPConnect(s, name)
        connection.take_back()
        return True
    if connection.room.state_of(s) == SYN_SENT and at_once.is_blocking(s):
        call = current.call
        assert call is not None
        _wait(connection, call, s, quick=False, again=True)
        return True
    number = host.connect(s, _TOO_SHORT)
    if number == errno.EINVAL:  # it has no connect behind it any more
        connection.take_back()
        return False
    if number:
        raise from_errno(connection.true_error(number))
    return True


def settle(connection: Connection, error: WinsockError | None) -> int | None:
    """In the connection's thread: the outer socket is connected and every layer ready, or it failed; the near end."""
    near = None
    if error is None:
        try:
            near = _join(connection)
        except OSError as failed:
            # Refused: the program's socket does not wait any more, and has an error of its own.
            error = None if failed.errno == errno.ECONNREFUSED else from_errno(failed.errno or errno.ECONNABORTED)
    if near is None:
        connection.state = State.FAILED
        if error is not None and not connection.given_up:
            connection.error = error.errno or errno.ECONNABORTED
            _turn_away(connection)
    connection.announce()
    return near


def outcome(connection: Connection) -> WinsockError | None:
    """In the connection's thread: how the connect of the outer socket ended, asked through the layers below."""
    value = connection.owner.next.WSPGetSockOpt(connection.outer, SOL_SOCKET, SO_ERROR)
    if isinstance(value, ErrorCode) and value:
        return from_errno(value.errno)
    connection.learn_names()
    return None


def _open_outer(connection: Connection, program: Program, call: Call) -> None:
    with connection.room.run.rights_of(call):
        connection.outer = connection.owner.open_outer()
    try:
        beneath = connection.owner.beneath(connection.outer)
        if not connection.owner.by_table:
            outer.prepare(beneath)
        outer.resemble(beneath, program.socket.slot, program.socket.options, program.bound)
    except BaseException:
        connection.owner.close_outer(connection.outer)
        raise


def _begin(connection: Connection, program: Program, name: Sockaddr) -> WinsockError | None:
    """Let the outer socket connect. The program's is joined at once or waits; the error if there was one at once."""
    room = connection.room
    try:
        _choose_way(connection, program, name)
        if connection.owner.by_table:  # which may wait
            program.name = doors.begin(program.socket.slot, program.way)
            room.start(connection, name=outer.true_name(name, program.bound))
            return None
        _connect_outer(connection, name)
        known = _is_settled(connection.outer)
        refusal = _refusal(connection) if known else None
        if refusal is not None:
            connection.finish()
            return refusal
        program.name = doors.begin(program.socket.slot, program.way)
        if not (known and connection.pipeline.ready and _join_at_once(connection)):
            room.start(connection)
    except BaseException as error:
        connection.owner.close_outer(connection.outer)
        if isinstance(error, OSError) and not isinstance(error, WinsockError):
            raise from_errno(error.errno or errno.ECONNABORTED) from None
        raise
    return None


def _choose_way(connection: Connection, program: Program, name: Sockaddr) -> None:
    mapped = is_mapped(name if program.bound is None else program.bound)
    program.way = connection.room.doors.way(program.socket.kind.domain, mapped)
    connection.peer = name  # unless the network knows better


def _connect_outer(connection: Connection, name: Sockaddr) -> None:
    try:
        with connection.room.making(connection):
            connection.owner.next.WSPConnect(connection.outer, name)
    except WinsockError as error:
        if error.winerror != WSAEWOULDBLOCK:
            raise
    connection.learn_names()


def _refusal(connection: Connection) -> WinsockError | None:
    """Why there is no connection: the network said so, or a layer."""
    error = outcome(connection)
    if error is None:
        connection.pipeline.open()
        error = connection.pipeline.error
    return error


def _is_settled(outer: int) -> bool:
    poll = select.poll()
    poll.register(outer, select.POLLOUT)
    return bool(poll.poll(0))


def _join_at_once(connection: Connection) -> bool:
    """Join without waiting for anything; false where that needs patience."""
    try:
        near = _join(connection, patience=0)
    except OSError:
        connection.state = State.CONNECTING
        return False
    connection.announce()
    connection.room.start(connection, near)
    return True


def _join(connection: Connection, **patience: float) -> int:
    program = connection.program
    assert program is not None
    assert program.name is not None
    connection.state = State.JOINED  # before the program can see it
    return connection.room.doors.join(program.way, program.name, program.socket.cookie, **patience)


def _turn_away(connection: Connection) -> None:
    program = connection.program
    assert program is not None
    assert program.name is not None
    try:
        doors.turn_away(program.way, program.name)
    except OSError as error:  # it waits on, as long as the kernel tries
        journal.log(f"winsock: a connect could not be failed: {error.strerror}")


def _refuse(connection: Connection, program: Program, refusal: WinsockError) -> None:
    """The outer socket was refused at once, before the program's had to wait."""
    connection.error, connection.state = refusal.errno or errno.ECONNABORTED, State.FAILED
    connection.room.failed(connection)
    s = program.socket.slot
    blocking = at_once.is_blocking(s)
    (host.connect if blocking else at_once.connect)(s, program.way.refusing)
    program.name = raw.getsockname(s)
    if blocking:
        raise refusal


def is_mapped(name: Sockaddr | None) -> bool:
    """Whether it is an IPv4 address as IPv6 sockets see it."""
    return isinstance(name, SockaddrIn6) and name.host.startswith(_MAPPED)


def _wait(connection: Connection, call: Call, s: int, quick: bool, again: bool = False) -> None:
    """Wait for the outcome as the kernel would: until there is one, the socket's time limit, or a signal."""
    room = connection.room
    if not quick:
        room.run.about_to_wait(call)
    limit = room.leases.options.send_timeout(s)
    with connection.told(call) as news:
        while not connection.settled:
            if call.abandoned:
                raise WinsockError(WSAEINTR, errno=errno.EINTR)
            left = None if not limit else call.started + limit - time.monotonic()
            if left is not None and left <= 0:
                raise _on_its_way(again)
            news.wait(left if left is None else min(left, threading.TIMEOUT_MAX))
            news.clear()
    number = host.connect(s, _TOO_SHORT)
    if number == errno.EINVAL:  # the program has shut it down meanwhile
        number = room.leases.options.read(s, _SO_ERROR) or errno.ECONNABORTED
    if number not in (0, errno.EISCONN):
        raise from_errno(connection.true_error(number))


def _on_its_way(again: bool = False) -> WinsockError:
    if again:
        return WinsockError(WSAEALREADY, errno=errno.EALREADY)
    return WinsockError(WSAEWOULDBLOCK, errno=errno.EINPROGRESS)
