"""The supervisor at work: each trapped call is taken, carried through the chain, and answered.

`Supervisor` is where the parts meet. The listener gives notifications; `callers` says whose they are; `leases` puts the
program's own socket under the chain; a row of `calls` makes the SPI call; the answer goes back. The crew's leader does
this for every call, and `held` looks after those that take long.

Whatever fails here fails the call, never the supervision: a trapped call is answered in any case, and never by letting
the program go round the chain without a word in the report.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from winsock import host
from winsock.abi.errors import WSAEINTR, WinsockError
from winsock.core import journal
from winsock.dispatcher import handles, records, threads
from winsock.host import numbers
from winsock.spi import calling
from winsock.spi.guard import defects, failure
from winsock.spi.layer import Layer, overrides
from winsock.supervisor.callers import Caller, Callers, Process, descriptors_of, is_alive
from winsock.supervisor.calls import ROWS
from winsock.supervisor.calls.call import HELD, PASSED, Answer, Call, Delivery, Special
from winsock.supervisor.crew import Crew, Worker
from winsock.supervisor.held import Held
from winsock.supervisor.kinds import Chains, name_of
from winsock.supervisor.lease import Leases, Socket, Stranger
from winsock.supervisor.notices.unnoticed import network_of
from winsock.supervisor.notify import Listener
from winsock.supervisor.report import Report
from winsock.supervisor.rights import Rights

if TYPE_CHECKING:
    from winsock.dispatcher.chains import Chain
    from winsock.supervisor.plan import Plan
    from winsock.supervisor.relaying.connection import Connection
    from winsock.supervisor.relaying.relays import Relays

_UNTOUCHED = frozenset({numbers.AF_UNIX, numbers.AF_NETLINK})
"""Families that are no business of a chain's."""
_NO_NUMBER = (errno.EMFILE, errno.ENFILE)
_UNREADABLE = "its process cannot be looked into"


class Interrupted(NamedTuple):
    """The thread must leave the call: to be restarted, or with EINTR where its socket has a time limit."""

    restart: bool


class Supervisor:
    """One run: its chain, its sockets, its threads."""

    def __init__(self, listener: int, plan: Plan, report: Report) -> None:
        self.listener = Listener(listener)
        self.functions = plan.functions
        self.wanted_options = plan.options
        """For getsockopt and setsockopt, the (level, option) pairs of the host that the chain asked for."""
        self.report = report
        self.rights = Rights()
        self.chains = Chains(plan.catalog)
        self.relays: Relays | None = None
        adopt = self.chains.adopt if plan.remembers else self.chains.enter
        self.leases = Leases(adopt, self._met, handles.release, time.monotonic, plan.remembers)
        self.crew: Crew[Call] = Crew(self._receive, self._perform, self._look, self._hired, self._stopped)
        self._events = select.epoll()
        self._events_descriptor = self._events.fileno()
        self.held = Held(self.listener, self.leases, self._events)
        self._callers = Callers(self._events, self._process_ended)
        self._makes_sockets = "WSPSocket" in plan.functions
        self._follows_processes = plan.follows_processes
        self._chains_of: dict[Process, list[Chain]] = {}
        self._others: dict[int, Callable[[], None]] = {}
        self._rows = {numbers.machine().calls[row.call]: row for row in ROWS}
        self._arch = numbers.machine().arch
        self._foreign = {number: name for name, number in numbers.machine().foreign_calls.items()}
        self._network = os.stat("/proc/self/ns/net").st_ino
        self._network_cookie = _network_cookie()
        if plan.relays:
            self._make_relays(plan.by_table)
        self.on_relay_over: Callable[[Connection], None] = _nobody_told
        """Told of a relayed connection that is over and whose socket the program has closed."""
        self.on_met: list[Callable[[int, int], None]] = []
        """Told of each socket that is met for the first time: its cookie, and its descriptor while it is leased."""
        self.make_room: Callable[[], None] | None = None
        """Called before each call, where there may be numbers of ours that nobody needs any more."""
        self.on_look: list[Callable[[], None]] = []
        """Called now and then, while anything happens."""
        self.on_stopped: list[Callable[[], None]] = []
        """Called when the last process has ended, or we have failed."""

    def _make_relays(self, by_table: bool) -> None:
        from winsock.dispatcher import drivers
        from winsock.supervisor.relaying.relays import Relays

        self.relays = Relays(self, by_table, lambda connection: self.on_relay_over(connection))
        drivers.use(self.relays.make)

    # --- what the rows of `calls` ask ---------------------------------------------------------------------------

    def keep_accepted(self, call: Call, handle: int) -> Socket:
        """Know a connection that the chain accepted."""
        assert call.caller is not None
        socket = self.leases.keep(handle, records.find(handle), call.caller.process)
        socket.accepted = True
        if self.relays is not None:
            self.relays.delivered(socket)
        return socket

    def drop(self, socket: Socket) -> None:
        """Close a socket of ours that the program never had."""
        self.leases.forget(socket.cookie)
        handles.release(socket.slot)
        socket.table.WSPCloseSocket(socket.slot)

    def same_network(self, thread: int) -> bool:
        """Whether the caller is in our network namespace, so that a socket made here is one of its own."""
        try:
            return os.stat(f"/proc/{thread}/ns/net").st_ino == self._network
        except OSError:
            return False

    @contextmanager
    def rights_of(self, call: Call) -> Iterator[None]:
        """Perform what follows, which must not touch the program's memory, as the caller may; `OSError` EACCES, ESRCH.

        Whether the caller still waits is asked after its rights were read: they were those of this very thread.
        """
        with self.rights.taken(call.thread):
            self.still_waiting(call)
            yield

    def still_waiting(self, call: Call) -> None:
        """After reading its memory: the number is still that thread's. `OSError` ESRCH."""
        if not host.valid(self.listener.descriptor, call.id):
            raise ProcessLookupError(errno.ESRCH, "the caller is gone")

    def no_number(self, number: int) -> OSError:
        """What to raise where we have no descriptor left for a call."""
        self.report.refused("the supervisor has no descriptor left")
        return OSError(number, os.strerror(number))

    def about_to_wait(self, call: Call) -> None:
        """The call will wait for somebody far away: let another thread receive."""
        if call.worker is not None:
            self.crew.hand_over(call.worker)

    def hold(self, call: Call, socket: Socket) -> None:
        """Let an accept wait for a connection, without thread and without lease."""
        self.held.wait(call, socket)
        self.crew.rouse()

    def attend(self, descriptor: int, handle: Callable[[], None]) -> None:
        """Call `handle()` in the receiving thread whenever the descriptor is readable."""
        self._others[descriptor] = handle
        self._events.register(descriptor, select.EPOLLIN)

    # --- receiving --------------------------------------------------------------------------------------------------

    def _receive(self) -> Call | None:
        """Wait for something; a call to perform, if it was one."""
        received = host.receive(self.listener.descriptor, self._events_descriptor)
        if isinstance(received, tuple):
            id, thread, number, arch, arguments = received
            if arch == self._arch:
                return Call(id, self._rows[number], thread, arguments, time.monotonic())
            self._refuse_foreign(id, number)
        elif received == host.EVENT:
            return self._receive_event()
        elif received == host.HUNG_UP:
            self.crew.stop()
        return None

    def _receive_event(self) -> Call | None:
        for descriptor, _ in self._events.poll(0, 1):
            if (socket := self.leases.at(descriptor)) is not None:
                return self.held.next_of(socket)
            if self._callers.owns(descriptor):
                self._callers.ended(descriptor)
            elif (handle := self._others.get(descriptor)) is not None:
                handle()
        return None

    def _refuse_foreign(self, id: int, number: int) -> None:
        """A 32-bit program's socket calls: there is no chain for them."""
        name = self._foreign.get(number, str(number))
        if self.report.refused("32-bit socket call"):
            journal.log(f"winsock: a 32-bit program called {name}: its socket calls are refused with ENOSYS")
        self.listener.fail(id, errno.ENOSYS)

    # --- performing -------------------------------------------------------------------------------------------------

    def _hired(self, worker: Worker[Call]) -> None:
        """A new thread: what blocks in it asks whether the caller still waits."""
        state = threads.current()
        state.blocking_callback, state.blocking_context = _goes_on_waiting, worker

    def _stopped(self) -> None:
        for tell_stopped in self.on_stopped:
            tell_stopped()

    def _look(self) -> bool:
        busy = self.held.look(self.crew)
        self.leases.close_spent()
        for look in self.on_look:
            look()
        return busy

    def _perform(self, worker: Worker[Call], call: Call) -> None:
        call.worker = worker
        try:
            if self.make_room is not None:
                self.make_room()
            answer = self._on_socket(call) if call.row.on_socket is not None else self._alone(call)
            if type(answer) is int:
                host.answer(self.listener.descriptor, call.id, answer, 0, 0)
            else:
                self._settle(call, answer)
        except OSError as error:  # a WinsockError is one
            host.answer(self.listener.descriptor, call.id, 0, -(error.errno or errno.EIO), 0)
        except BaseException as error:
            journal.audit("(supervisor)", call.row.call, error)
            self.report.refused("an error of winsock's own")
            self.listener.fail(call.id, errno.EIO)

    def _on_socket(self, call: Call) -> Answer | Interrupted:
        """A call about a descriptor: the chain gets the program's own socket for as long as the call lasts."""
        socket = self._lease(call) if call.socket is None else self._lease_again(call, call.socket)
        if not isinstance(socket, Socket):
            return socket if isinstance(socket, Special) else self._strange(call, socket)
        row = call.row
        call.socket = socket
        calling.local.describe = call.describe
        try:
            return row.on_socket(self, call, socket)  # type: ignore[misc]
        except WinsockError as error:
            if call.abandoned and error.winerror == WSAEINTR:
                return self._interrupted(call, socket)
            raise
        finally:
            calling.local.describe = None
            self.leases.give_back(socket)

    def _alone(self, call: Call) -> Answer:
        """A call about no descriptor."""
        row = call.row
        assert row.alone is not None
        caller = call.caller = self._caller(call)
        if caller is None:
            return self._strange(call, None)
        return row.alone(self, call)

    def _settle(self, call: Call, answer: Answer | Interrupted) -> None:
        """Tell the program. No lease is held any more."""
        if isinstance(answer, int):
            self.listener.answer(call.id, answer)
        elif isinstance(answer, Delivery):
            self._deliver(call, answer)
        elif answer is PASSED:
            self.listener.proceed(call.id)
        elif isinstance(answer, Interrupted):
            self.held.leave(call, answer.restart)
        else:
            assert answer is HELD

    def _deliver(self, call: Call, delivery: Delivery) -> None:
        """Give a descriptor to the program; where nobody takes it, the listener keeps the connection for the next."""
        socket = delivery.socket
        try:
            with call.undisturbed():
                self.listener.inject(call.id, socket.slot, delivery.close_on_exec)
        except OSError as error:
            if delivery.listener is not None and error.errno in (errno.ENOENT, *_NO_NUMBER):
                self.leases.forget(socket.cookie)
                self.leases.listening(delivery.listener).kept.append((socket.slot, delivery.peer))
                if error.errno != errno.ENOENT:
                    raise
                following = self.held.next_of(delivery.listener)
                if following is not None and call.worker is not None:
                    self._perform(call.worker, following)  # the kernel will not tell of what it has delivered
                return
            self.drop(socket)
            raise
        self.leases.give_back(socket)

    # --- whose call, which socket -------------------------------------------------------------------------------------

    def _caller(self, call: Call) -> Caller | None:
        """Whose call it is; None where the kernel does not let us look."""
        try:
            return self._callers.of(call.thread)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                return None
            if error.errno in _NO_NUMBER:
                raise self.no_number(errno.ENOBUFS) from None
            raise

    def _lease(self, call: Call) -> Socket | Stranger | None:
        """The caller's socket; a stranger where no chain is for it; None where the kernel does not let us have it."""
        caller = call.caller = self._callers.known.get(call.thread) or self._caller(call)
        if caller is None:
            return None
        descriptor = call.arguments[0] & 0xFFFFFFFF
        try:
            return self.leases.take(caller, descriptor)
        except OSError as error:
            if error.errno == errno.ESRCH:
                call.caller = self._callers.again(call.thread)
                return self.leases.take(call.caller, descriptor)
            if error.errno in _NO_NUMBER:
                raise self.no_number(errno.ENOBUFS) from None
            if error.errno in (errno.EPERM, errno.EACCES):
                return None
            if error.errno == errno.ENOTSOCK and call.row.before is not None:
                call.row.before(call)
            raise

    def _lease_again(self, call: Call, listener: Socket) -> Socket | Special:
        """The listener of an accept that waited, whatever its number stands for by now.

        Where its process has no number for it any more, the call waits on, and the next one that waits has a try.
        """
        caller = call.caller
        assert caller is not None
        for number in (call.arguments[0] & 0xFFFFFFFF, *descriptors_of(call.thread, listener.inode)):
            try:
                found = self.leases.take(caller, number)
            except OSError:
                continue
            if found is listener:
                return listener
            if isinstance(found, Socket):
                self.leases.give_back(found)
        following = self.held.next_of(listener)
        self.held.wait_on(call, listener)
        if following is not None and call.worker is not None:
            self._perform(call.worker, following)
        return HELD

    def _strange(self, call: Call, stranger: Stranger | None) -> Answer:
        """A socket that no chain is for: the kernel performs the call, and the report says so unless it is local."""
        if stranger is None:
            self.report.passed(_UNREADABLE, (call.thread, call.arguments[0]))
        elif stranger.kind.domain not in _UNTOUCHED:
            self.report.strange(name_of(stranger.kind), stranger.cookie)
        return PASSED

    def _interrupted(self, call: Call, socket: Socket) -> Interrupted:
        options = self.leases.options
        limit = options.receive_timeout if call.row.function == "WSPAccept" else options.send_timeout
        return Interrupted(restart=not limit(socket.slot))

    def _met(self, socket: Socket) -> None:
        if self.relays is not None:
            self.relays.met(socket)
        if self._makes_sockets and self._is_known_as_passed(socket):
            socket.passed = True
        else:
            self.report.layered(socket.kind.type == numbers.SOCK_DGRAM)
        for tell_met in self.on_met:
            tell_met(socket.cookie, socket.slot)
        if self._follows_processes:
            chains = self._chains_of.setdefault(socket.process, [])
            if socket.record.chain not in chains:
                chains.append(socket.record.chain)
                tell(socket.record.chain.layers, "process_started", socket.process.id)

    def tell_of_ended_processes(self) -> None:
        """Of those whose end nobody has received: the last process hangs the listener up, and then nobody listens."""
        for process in tuple(self._chains_of):
            if not is_alive(process.id):
                self._process_ended(process)

    def _is_known_as_passed(self, socket: Socket) -> bool:
        """Whether it was counted when it was created, because no layer could make one in its network."""
        if not socket.record.adopted:
            return False
        is_of_ours = self._network_cookie is not None and network_of(socket.slot) == self._network_cookie
        return not is_of_ours and self.report.met_again(socket.kind[:2])

    def _process_ended(self, process: Process) -> None:
        for chain in self._chains_of.pop(process, ()):
            tell(chain.layers, "process_ended", process.id)


def _nobody_told(connection: Connection) -> None:
    """Before the run has said who is to be told."""


def _network_cookie() -> int | None:
    """What the sockets of our own network namespace say that they are of; None where the kernel does not tell."""
    probe = host.make((numbers.AF_INET, numbers.SOCK_STREAM, 0), False)
    try:
        return network_of(probe)
    finally:
        os.close(probe)


def _goes_on_waiting(worker: object) -> bool:
    """The blocking callback of our threads: false once the call that the worker performs has been abandoned."""
    call = worker.call if isinstance(worker, Worker) else None
    return call is None or not call.abandoned


def tell(layers: Iterable[Layer], hook: str, *arguments: object) -> None:
    """Call a hook that answers nothing, where a layer has it; what it raises is written down and changes nothing."""
    for layer in layers:
        if overrides(type(layer), hook):
            try:
                getattr(layer, hook)(*arguments)
            except defects() as error:
                failure(layer, hook, error)
