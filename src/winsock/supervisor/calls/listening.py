"""bind, listen, and accept with all that it takes to wait without holding anything.

A blocking accept that finds nothing to take lets go of the program's file at once, so that nothing keeps its port
bound, and waits in the poll set. Each time the listener becomes ready one waiting call is performed again from the
start. When there is a connection, and the program has no number left for it, the connection stays in the queue and the
program sees EMFILE, as it would by itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import time
from typing import TYPE_CHECKING

from winsock.host import pure
from winsock.supervisor import room
from winsock.supervisor.calls.call import HELD, Answer, Call, Delivery, decode_address
from winsock.supervisor.lease import SO_ACCEPTCONN

if TYPE_CHECKING:
    from winsock.abi.sockaddr import Sockaddr
    from winsock.supervisor.lease import Listening, Socket
    from winsock.supervisor.serving import Supervisor

_SOCK_CLOEXEC, _SOCK_NONBLOCK = os.O_CLOEXEC, os.O_NONBLOCK
_INT = struct.Struct("=i")


def bind(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """bind(descriptor, address, length), with the caller's rights."""
    name = call.read_name(call.arguments[1], call.int_argument(2))
    address = decode_address(name, socket.kind.domain)
    with run.rights_of(call):
        if address is not None:
            socket.table.WSPBind(socket.slot, address)
        elif number := pure.bind(socket.slot, name):  # only the kernel knows which of its errors this is
            raise OSError(number, os.strerror(number))
    return 0


def listen(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """listen(descriptor, backlog)."""
    socket.table.WSPListen(socket.slot, call.int_argument(1))
    return 0


def accept(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """accept(descriptor, address, length) and accept4(..., flags)."""
    check_flags(call)
    listening = run.leases.listening(socket)
    with listening.accepting:
        listens = run.leases.options.read(socket.slot, SO_ACCEPTCONN)
        if listens and not listening.kept and not _ready(socket):
            return _wait(run, call, socket)
        if listens:
            _check_room(run, call, listening)
        try:
            handle, peer = listening.kept.pop(0) if listening.kept else socket.table.WSPAccept(socket.slot)
        finally:  # what ends this accept, a shutdown say, is news to the others too
            if listening.waiting:
                run.held.watch(socket)
    return _deliver(run, call, socket, handle, peer, _flags(call))


def check_flags(call: Call) -> None:
    """Of accept4; the kernel looks at them before it looks for a socket."""
    if _flags(call) & ~(_SOCK_CLOEXEC | _SOCK_NONBLOCK):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _flags(call: Call) -> int:
    return call.int_argument(3) if call.row.call == "accept4" else 0


def _ready(socket: Socket) -> bool:
    poll = select.poll()
    poll.register(socket.slot, select.POLLIN)
    return bool(poll.poll(0))


def _wait(run: Supervisor, call: Call, socket: Socket) -> Answer:
    """Nothing to take: EAGAIN, or wait in the poll set until there is, or until SO_RCVTIMEO runs out."""
    if fcntl.fcntl(socket.slot, fcntl.F_GETFL) & os.O_NONBLOCK or run.held.overdue(call):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    timeout = run.leases.options.receive_timeout(socket.slot)
    if timeout and call.deadline is None:
        call.deadline = call.started + timeout
    run.hold(call, socket)
    return HELD


def _check_room(run: Supervisor, call: Call, listening: Listening) -> None:
    """Whether the program has a number left for a connection, and we for one that comes."""
    assert call.caller is not None
    if not room.is_there_for(call.caller, time.monotonic()):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    if not listening.kept and run.leases.is_full():
        raise run.no_number(errno.EMFILE)


def _deliver(run: Supervisor, call: Call, listener: Socket, handle: int, peer: Sockaddr | None, flags: int) -> Delivery:
    accepted = run.keep_accepted(call, handle)
    try:
        if peer is not None and call.arguments[1]:
            call.write_address(call.arguments[1], call.arguments[2], peer)
    except OSError as error:
        if error.errno != errno.ESRCH:
            run.drop(accepted)
            raise
    if flags & _SOCK_NONBLOCK:
        os.set_blocking(handle, False)
    return Delivery(accepted, bool(flags & _SOCK_CLOEXEC), peer, listener)
