"""One supervised run, from the first trapped call to the truth line.

`run` plans nothing and forks everything: see `launch` for the three generations. In the supervisor, `_Run` opens the
chain, lets the crew serve, and when the program has ended brings in what is still outstanding: notices of sockets that
are just closing, the layers' last words, the truth. Then the front may leave; the supervisor stays as long as a process
of the tree lives, so that daemons stay covered.
"""

from __future__ import annotations

import resource
import threading
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import IO, TYPE_CHECKING, NamedTuple

from winsock.abi.constants import WINSOCK_VERSION
from winsock.abi.errors import WinsockError
from winsock.core import journal
from winsock.core.journal import Record, Text
from winsock.core.journal import journal as the_journal
from winsock.dispatcher import handles, process
from winsock.host import numbers
from winsock.spi.guard import take_all_for_defects
from winsock.spi.stats import Stats
from winsock.supervisor import filter, outside
from winsock.supervisor.callers import cookies_held
from winsock.supervisor.generations import launch, printed
from winsock.supervisor.generations.life import RunOptions, Serving
from winsock.supervisor.notices.closing import Closing, Past
from winsock.supervisor.notices.destroyed import Destroyed, still_counting
from winsock.supervisor.notices.unnoticed import MANY_NEW, Unnoticed
from winsock.supervisor.report import Report, miss, truth_text
from winsock.supervisor.serving import Supervisor, tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winsock.spi.layer import Layer
    from winsock.supervisor.lease import Socket
    from winsock.supervisor.plan import Plan
    from winsock.supervisor.relaying.connection import Connection

CLOSING_WAIT_S = 0.2
_LATE_NOTICE_S = 2.0
"""How much longer a socket is waited for that the kernel has destroyed, so that its notice is on its way."""
_NOTICED = (numbers.AF_INET, numbers.AF_INET6)
"""The families of whose closed sockets the kernel tells."""
_HELD_KEPT_S = 1.0


class Choices(NamedTuple):
    """What the user chose beside the layers."""

    json: bool = False
    output: str | None = None
    """A file for our lines instead of stderr."""
    strict: bool = False
    drain: float = 5.0
    wait_all: bool = False


def run(plan: Plan, argv: list[str], choices: Choices, inheritance: launch.Inheritance) -> int:
    """Run a program under the plan's chain; the exit status for the caller. `OSError`: `output` cannot be opened."""
    file = None
    if choices.output:
        file = open(choices.output, "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 - closed by exit
    lost = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    program = filter.pack(filter.assemble(plan.rules, numbers.machine()))
    return launch.run(
        argv,
        program,
        lambda serving: _Run(plan, argv, choices, serving, file, lost).serve(),
        RunOptions(choices.drain, choices.wait_all),
        inheritance,
    )


def _nobody_waits() -> None:
    """Before there is a crew that hands lines on."""


class Lines:
    """Our lines on their way out: gathered as records, rendered and handed on a little later, so that no call waits."""

    def __init__(self, serving: Serving, file: IO[str] | None) -> None:
        self._serving = serving
        self._file = file
        self.on_taken: Callable[[], object] = _nobody_waits
        """Told of each record that is taken."""
        self._records: deque[tuple[Record, Text]] = deque()
        self._flushing = threading.Lock()

    def add(self, record: Record, text: Text) -> None:
        """Take one record."""
        self._records.append((record, text))
        self.on_taken()

    def flush(self) -> None:
        """Hand on what was taken, and come back when that is done, whichever thread does it."""
        with self._flushing:
            if not self._records:
                return
            text = "".join(_rendered(*self._records.popleft()) + "\n" for _ in range(len(self._records)))
            if self._file is None:
                self._serving.line(text)
                return
            try:
                self._file.write(text)
                self._file.flush()
            except OSError as error:
                self._serving.line(f"winsock: the output file cannot be written: {error}\n")
                self._file = None


def _rendered(record: Record, text: Text) -> str:
    """The line of a record. One that cannot be told, of a layer perhaps, must not end the supervision."""
    try:
        return the_journal.render(record, text)
    except Exception as error:
        why = f"winsock: a record cannot be told ({record.get('event')}): {type(error).__name__}: {error}"
        return the_journal.render({"event": "log", "text": why}, why)


class _Run:
    """The supervisor's side of one run."""

    def __init__(
        self,
        plan: Plan,
        argv: list[str],
        choices: Choices,
        serving: Serving,
        file: IO[str] | None,
        lost_threads: Sequence[str] = (),
    ) -> None:
        self._plan = plan
        self._lost_threads = lost_threads
        self._argv = argv
        self._choices = choices
        self._serving = serving
        self._lines = Lines(serving, file)
        self._report = Report()
        self._due = threading.Event()
        self._supervisor: Supervisor
        self._notices: Destroyed | None = None
        self._unnoticed: Unnoticed | None = None
        self._held: set[int] = set()
        self._left = False
        self._held_at = float("-inf")
        self._wants_closed = any(layer.counts for layer in plan.layers)

    def serve(self) -> None:
        """Until the last process of the tree has ended."""
        take_all_for_defects()
        the_journal.json = self._choices.json
        the_journal.later = self._lines.add
        process.startup(WINSOCK_VERSION, self._plan.catalog)
        supervisor = Supervisor(self._serving.listener, self._plan, self._report)
        self._supervisor = supervisor
        self._lines.on_taken = supervisor.crew.rouse
        printed.tell_to(self._take_printed)
        printed.tell_kept()
        for line in (*self._plan.not_called_lines(), *outside.warnings(self._argv, self._process_ids)):
            journal.log(line)
        if self._lost_threads:
            names = ", ".join(self._lost_threads)
            journal.log(
                f"winsock: a layer started threads when it was imported ({names}), which are not there"
                " when it is called: let its first call start them"
            )
        self._open_chains()
        self._subscribe()
        supervisor.on_relay_over = self._relay_over
        supervisor.attend(self._serving.fileno(), self._handle_life)
        supervisor.on_look.append(self._lines.flush)
        supervisor.on_stopped.append(self._due.set)
        supervisor.crew.start()
        self._wait_until_due()
        self._end()
        supervisor.crew.finished.wait()
        self._check_crew()
        self._serving.reap_all()
        self._drain(None)
        self._wait_for_notices()
        self._supervisor.tell_of_ended_processes()
        self._leave()
        printed.end()
        self._lines.flush()

    def _leave(self) -> None:
        """What layers expect of the end of a program: the end of the run, unless processes are left."""
        if self._left or all(layer.kind.__module__.startswith("winsock.") for layer in self._plan.layers):
            return
        self._left = self._serving.alone
        from winsock.supervisor import leaving

        if self._left:
            leaving.run_exit_functions()
        leaving.write_out()

    def _check_crew(self) -> None:
        """A thread of ours that failed fails the supervisor: every trapped call fails then, and the front says so."""
        if self._supervisor.crew.failure is not None:
            self._lines.flush()
            raise self._supervisor.crew.failure

    def _open_chains(self) -> None:
        try:
            self._supervisor.chains.open_all()
        except WinsockError as error:
            journal.log(f"winsock: the chain cannot be opened, so every call fails: {error.strerror or error}")

    def _process_ids(self) -> set[int]:
        return {process.pid for process in self._serving.processes()}

    def _cookies_held(self) -> set[int]:
        return cookies_held(self._process_ids())

    def _take_printed(self, text: str) -> None:
        journal.log(text)
        if not self._supervisor.crew.workers:
            self._lines.flush()  # a layer may hang when it is made, and nobody looks yet

    def _subscribe(self) -> None:
        if not self._plan.remembers:
            return
        network = None
        try:
            self._notices = Destroyed(
                self._closed,
                self._supervisor.leases.cookies(),
                past=self._past,
                still_open=self._still_open,
                on_error=lambda error: journal.audit("(supervisor)", "closed", error),
                counters=self._wants_closed,
            )
            network = self._notices.network
        except OSError as error:
            journal.log(f"winsock: no notices of closed sockets here ({error.strerror}); winsock doctor says more")
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        many_new = MANY_NEW if limit == resource.RLIM_INFINITY else min(MANY_NEW, limit // 4)
        self._unnoticed = Unnoticed(network, self._cookies_held, self._gone, many_new=many_new)
        self._supervisor.on_met.append(partial(self._meet, self._unnoticed))
        self._supervisor.on_look.append(self._unnoticed.look)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _handle_life(self) -> None:
        self._serving.handle()
        if self._serving.due:
            self._due.set()

    def _wait_until_due(self) -> None:
        """Until the program has ended. The listener may hang up first; then nobody else receives any more."""
        self._due.wait()
        self._check_crew()
        if not self._serving.due:
            self._serving.reap_all()

    def _end(self) -> None:
        """The last notices, the layers' last words, the truth; then the front may leave."""
        self._drain(self._choices.drain)
        self._wait_for_notices()
        self._supervisor.tell_of_ended_processes()
        tell(self._supervisor.chains.layers(), "run_ended")
        self._leave()
        printed.end()
        truth = self._report.truth(len(self._serving.processes()))
        journal.record(truth, truth_text)
        status = None
        missed = miss(truth) if self._choices.strict else None
        if missed is not None:
            status = launch.CANNOT_SUPERVISE
            journal.log(f"winsock: --strict: a socket was not layered: {missed}")
        self._lines.flush()
        self._serving.finish(status)

    def _drain(self, seconds: float | None) -> None:
        """Wait for relays: they carry to its peer what a program sent that has ended."""
        relays = self._supervisor.relays
        if relays is not None:
            relays.drain(seconds, set() if self._serving.alone else self._cookies_held())

    def _wait_for_notices(self) -> None:
        unnoticed: AbstractSet[int] = frozenset()
        if self._unnoticed is not None:
            for _ in range(2):
                self._unnoticed.look_now()
            unnoticed = self._unnoticed.cookies
        if self._notices is None:
            return
        streams = {
            socket.cookie
            for socket in self._supervisor.leases
            if socket.kind.type == numbers.SOCK_STREAM and socket.kind.domain in _NOTICED
        }
        streams -= unnoticed
        if streams and not self._serving.alone:
            streams -= self._cookies_held()
        if not streams:
            return
        left = self._notices.flush(streams, CLOSING_WAIT_S)
        if left and self._serving.alone:
            self._tell_of_closing(left)
            self._notices.flush(left, _LATE_NOTICE_S)

    def _tell_of_closing(self, cookies: set[int]) -> None:
        """No process has these sockets any more, but the kernel does: it still sends, or waits for the peer."""
        for cookie, closing in still_counting(cookies).items():
            self._closed(cookie, closing, final=False)
        for cookie in cookies:
            socket = self._supervisor.leases.find(cookie)
            if socket is not None and socket.relayed is not None:
                self._tell_of_relayed(socket, socket.relayed, final=False)

    def _past(self, cookie: int) -> Past:
        socket = self._supervisor.leases.find(cookie)
        if socket is None:
            return Past()
        return Past(socket.accepted, socket.shut)

    def _still_open(self, cookie: int) -> bool:
        """After lost notices: whether a process still has that socket. Looked up once for all that are asked about."""
        now = time.monotonic()
        if now - self._held_at > _HELD_KEPT_S:
            self._held, self._held_at = self._cookies_held(), now
        return cookie in self._held

    # --- sockets that closed -----------------------------------------------------------------------------------------

    def _closed(self, cookie: int, closing: Closing, final: bool = True) -> None:
        socket = self._supervisor.leases.find(cookie)
        if socket is None:
            return
        if socket.relayed is None:
            self._end_of(socket, socket.record.chain.layers, closing, final)
        elif not self._is_relayed_on(socket):
            self._relay_over(socket.relayed)

    def _meet(self, unnoticed: Unnoticed, cookie: int, descriptor: int) -> None:
        if unnoticed.meet(cookie, descriptor):
            self._supervisor.make_room = partial(self._make_room, unnoticed)

    def _make_room(self, unnoticed: Unnoticed) -> None:
        """Between two calls: so that no number is missing for those that are closed already."""
        if unnoticed.make_room():
            self._supervisor.leases.close_spent()

    def _gone(self, cookie: int) -> bool:
        """No process has it any more, as far as we can see; unless a call is about it, which may be giving it one."""
        socket = self._supervisor.leases.find(cookie)
        if socket is not None and socket.users:
            return False
        self._closed(cookie, Closing())
        return True

    def _is_relayed_on(self, socket: Socket) -> bool:
        """Of a socket that the program has closed: whether the end of its relay is still to come, and will tell."""
        relays = self._supervisor.relays
        return relays is not None and relays.left(socket)

    def _relay_over(self, connection: Connection) -> None:
        """A relayed connection is over at both ends."""
        socket = connection.socket
        if socket is not None and socket.relayed is connection:
            self._tell_of_relayed(socket, connection)

    def _tell_of_relayed(self, socket: Socket, connection: Connection, final: bool = True) -> None:
        """Tell of its outer socket. The layers below its owner knew that one, and were told when it was closed."""
        layers = socket.record.chain.layers
        self._end_of(socket, layers[: layers.index(connection.owner)], connection, final)

    def _end_of(self, socket: Socket, layers: Sequence[Layer], told: Closing | Connection, final: bool) -> None:
        """Forget a socket, once, and tell these layers what the kernel or its relay told of it."""
        leases, relays = self._supervisor.leases, self._supervisor.relays
        if leases.forget(socket.cookie) is None:
            return
        if self._wants_closed:
            stats = _counted(socket, told, final) if isinstance(told, Closing) else _relayed(socket, told, final)
            tell(layers, "closed", stats)
        if relays is not None:
            relays.forget(socket)
        handles.release(socket.slot)
        leases.close(socket)


def _counted(socket: Socket, closing: Closing, final: bool) -> Stats:
    now = time.monotonic()
    return Stats(
        socket.cookie,
        socket.process.id,
        closing.local,
        closing.peer,
        "tcp" if socket.kind.type == numbers.SOCK_STREAM else "udp",
        closing.sent,
        closing.received,
        closing.rtt_us,
        closing.retransmits,
        now - socket.met_at,
        closing.connected,
        socket.process.name(now),
        socket.slot,
        final,
    )


def _relayed(socket: Socket, connection: Connection, final: bool) -> Stats:
    stats = connection.stats or connection.known_stats()
    return stats._replace(handle=socket.slot, duration_s=time.monotonic() - socket.met_at, final=final)
