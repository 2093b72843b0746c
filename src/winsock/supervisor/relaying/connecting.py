"""connect, where a byte layer wants the connection.

It begins in the thread that performs the program's call: that opens the outer socket, lets it connect, and leaves the
program's own socket waiting at a door. From then on the connection's own thread looks after it, and joins the program's
socket or has it refused (`settle`). So a program that waits in connect may be called away by a signal, and finds the
connection made when it returns.
"""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING

from winsock import host
from winsock.abi.constants import AF_UNSPEC, SO_ERROR, SOL_SOCKET
from winsock.abi.errors import WSAEALREADY, WSAEINTR, WSAEWOULDBLOCK, ErrorCode, WinsockError, from_errno
from winsock.abi.sockaddr import Sockaddr, SockaddrIn6
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
    connection.program = Program(socket, call)
    with room.beginning(s):
        _open_outer(connection, connection.program, call)
        try:
            _begin(connection, connection.program, name)
            room.start(connection)
        except BaseException:
            owner.close_outer(connection.outer)
            raise
    if not at_once.is_blocking(s):
        raise _on_its_way()
    quick = is_loopback(name) and not any(layer.opening for layer in connection.layers)
    _wait(connection, call, s, quick)


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
    with connection.steady:
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
    number = 0 if error is None else error.errno or errno.ECONNABORTED
    if error is None:
        connection.state = State.JOINED  # before the program can see it
        try:
            near = _join(connection)
        except OSError as failed:
            number = failed.errno or errno.ECONNABORTED
    if near is None:
        connection.error, connection.state = number, State.FAILED
        _refuse(connection)
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
        outer.prepare(connection.outer)
        outer.resemble(connection.outer, program.socket.slot, program.socket.options, program.bound)
    except BaseException:
        connection.owner.close_outer(connection.outer)
        raise


def _begin(connection: Connection, program: Program, name: Sockaddr) -> None:
    """Let the outer socket connect, and the program's wait at a door."""
    try:
        with connection.room.making(connection):
            connection.owner.next.WSPConnect(connection.outer, name)
    except WinsockError as error:
        if error.winerror != WSAEWOULDBLOCK:
            raise
    connection.learn_names()
    socket = program.socket
    try:
        mapped = is_mapped(name if program.bound is None else program.bound)
        program.way = connection.room.doors.way(socket.kind.domain, mapped)
        program.name = doors.begin(socket.slot, program.way)
    except OSError as error:
        raise from_errno(error.errno or errno.ECONNABORTED) from None


def _join(connection: Connection) -> int:
    program = connection.program
    assert program is not None
    return connection.room.doors.join(program.way, program.name, program.socket.cookie)


def _refuse(connection: Connection) -> None:
    """Have the program's socket refused, if it still waits and can be found."""
    room, program = connection.room, connection.program
    assert program is not None
    with program.leased(room.leases, room.run.processes) as s:
        if s is not None and room.state_of(s) == SYN_SENT:
            with connection.steady:
                doors.refuse(s, program.way)


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
            news.wait(left)
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
