"""Three generations: the front, which the user started; its child, the supervisor; and the supervisor's, the program.

    front       in the caller's process group, and for it the program        (front.py)
    witness     beside it, remembers which signals the whole group got       (front.py)
    supervisor  a session of its own; answers the listener, reaps the tree   (life.py, and `serve`)
    program     in the front's group; starts as if winsock were not there

Why not the front as the supervisor: it must be stopped and continued with the program while calls of others are
answered, it must end with the program while daemons stay covered, and a pipe behind it must see its end.

The program's process filters itself and tells the number of the listener over a pipe; the supervisor takes the
listener with pidfd_getfd (sendmsg might be trapped) and says go. The pipe closes on exec, so its end is the good news.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import struct
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from winsock.supervisor import kernel
from winsock.supervisor.generations import channel, mirror, printed, signals, system
from winsock.supervisor.generations.footing import Footing
from winsock.supervisor.generations.front import Front, Witness, drop, say
from winsock.supervisor.generations.life import RunOptions, Serving

NOT_FOUND = 127
NOT_EXECUTABLE = 126
CANNOT_SUPERVISE = 125

_DEFAULT_OPTIONS = RunOptions()
_LAST_WORDS_MS = 2000
_SHELL = b"/bin/sh"
_LOOKED_AT = 128
_DEFAULT_PATH = b"/bin:/usr/bin"
_REPORT = struct.Struct("<BI")
_LISTENING, _INSTALL_FAILED, _EXEC_FAILED = range(3)
_SUPERVISOR_IGNORES = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN,
    signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGXFSZ,
)  # fmt: skip

_INSTALL_REASONS = {
    errno.EBUSY: "this process already runs under a seccomp listener (another winsock run, or a sandbox), and Linux"
    " allows one in a process tree: run winsock outside of it",
    errno.EINVAL: "the kernel does not know this kind of seccomp filter: winsock run needs Linux 6.0 or newer",
    errno.ENOSYS: "the kernel has no seccomp, or a sandbox around us hides it: winsock run needs seccomp listeners",
    errno.EACCES: "the seccomp call is forbidden here (a container's policy?): winsock run needs seccomp listeners",
    errno.EPERM: "the seccomp call is forbidden here (a container's policy?): winsock run needs seccomp listeners",
}
_TAKE_REASON = (
    "pidfd_getfd is forbidden here: {error} (Yama's ptrace_scope 3, 2 without CAP_SYS_PTRACE, or a container's policy)"
)
_NO_PROC = "/proc is not mounted here, and winsock run looks there at whoever calls: mount -t proc proc /proc"
_LEAST_FILES = 32
"""Descriptors that the supervisor needs beside those for the program's sockets, with some to spare."""

_PLENTY_OF_FILES = 1 << 20
"""What Linux allows (fs.nr_open) where nobody has changed it."""


class LaunchError(Exception):
    """The program cannot be started; `status` is what a shell would exit with."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Inheritance(NamedTuple):
    """What winsock was started with, as far as Python, a layer or we change it before the program starts."""

    environment: tuple[bytes, ...]
    """Entries as they were given, in order (Python adds LC_CTYPE to its own)."""
    mask: frozenset[int]
    """Blocked signals."""
    ignored: frozenset[int]
    """Ignored signals, those left out that the interpreter ignores by itself."""
    descriptors: frozenset[int]
    """Open descriptors that go on to the program: those without close-on-exec."""
    footing: Footing | None = None
    """None for who imports no layer meanwhile."""

    @classmethod
    def capture(cls) -> Inheritance:
        """Look, and put /dev/null on standard descriptors that are closed, so that no file of ours gets their number.

        The earlier the better; the program does not see those placeholders. `LaunchError` where /proc is not there.
        """
        if not os.path.exists("/proc/self/fd"):
            raise LaunchError(CANNOT_SUPERVISE, _NO_PROC)
        _hold_standard_numbers()
        ignored = {number for number in signals.EVERY if signal.getsignal(number) == signal.SIG_IGN}
        return cls(
            _initial_environment(),
            frozenset(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            frozenset(ignored - signals.PYTHON_IGNORES),
            frozenset(filter(_passes_exec, map(int, os.listdir("/proc/self/fd")))),
            Footing.look(),
        )

    def get(self, name: bytes) -> bytes | None:
        """An environment variable."""
        prefix = name + b"="
        return next((entry[len(prefix) :] for entry in self.environment if entry.startswith(prefix)), None)

    def check(self) -> None:
        """After layers were imported: the program's standard descriptors are there. `LaunchError` where one is not."""
        changed = None if self.footing is None else self.footing.changed()
        if changed is not None:
            raise LaunchError(CANNOT_SUPERVISE, f"a layer has closed or replaced the program's {changed}")

    def restore_footing(self) -> None:
        """Stand where we stood (in the program's process)."""
        if self.footing is not None:
            self.footing.restore()

    def restore_dispositions(self) -> None:
        """Ignore what was ignored, and nothing else; catch nothing (in the program's process)."""
        for number in signals.EVERY - {signal.SIGKILL, signal.SIGSTOP}:
            wanted = signal.SIG_IGN if number in self.ignored else signal.SIG_DFL
            if signal.getsignal(number) != wanted:
                signal.signal(number, wanted)

    def restore_mask(self) -> None:
        """Let signals through as before; one that waits acts at once, as on a program that has just started."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)


def _initial_environment() -> tuple[bytes, ...]:
    try:
        with open("/proc/self/environ", "rb", 0) as file:
            data = file.read()
    except OSError:
        return tuple(name + b"=" + value for name, value in os.environb.items())
    return tuple(data.split(b"\0")[:-1])


def _hold_standard_numbers() -> None:
    for descriptor in range(3):
        try:
            fcntl.fcntl(descriptor, fcntl.F_GETFD)
        except OSError:
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)  # the lowest free number: this one


def _passes_exec(descriptor: int) -> bool:
    try:
        return not fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    except OSError:
        return False


def resolve(name: str, inheritance: Inheritance) -> bytes:
    """The file that a shell would run for `name`; LaunchError 127 where there is none, 126 where it cannot be run."""
    typed = os.fsencode(name)
    if b"/" in typed:
        candidates = [typed]
    else:
        path = inheritance.get(b"PATH")
        folders = (_DEFAULT_PATH if path is None else path).split(b":")
        candidates = [os.path.join(folder or b".", typed) for folder in folders] if typed else []
    found = [candidate for candidate in candidates if os.path.exists(candidate)]
    for candidate in found:
        if _executable(candidate):
            return candidate
    if not found:
        words = " (as one word: a program and its arguments are several)" if " " in name.strip() else ""
        raise LaunchError(NOT_FOUND, f"{name}: not found{words}")
    what = "is a directory" if os.path.isdir(found[0]) else "permission denied"
    raise LaunchError(NOT_EXECUTABLE, f"{os.fsdecode(found[0])}: {what}")


def _executable(path: bytes) -> bool:
    return stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.X_OK)


def run(
    argv: Sequence[str],
    filter_program: bytes,
    serve: Callable[[Serving], None],
    options: RunOptions = _DEFAULT_OPTIONS,
    inheritance: Inheritance | None = None,
) -> int:
    """Run a program under the filter, with `serve` in its supervisor; the exit status for our caller.

    `filter_program` is an array of sock_filter. `serve` runs in another process and returns when the listener has hung
    up. The status is the program's, or 127, 126, 125 with a line on stderr; where a signal ended the program this
    process dies of that signal, too. Single-threaded callers only: it forks.
    """
    try:
        inheritance = inheritance or Inheritance.capture()
        inheritance.check()
        _check_limit()
        path = resolve(argv[0], inheritance)
        plan = _Plan(path, tuple(os.fsencode(argument) for argument in argv), filter_program, inheritance)
        front = _start(plan, serve, options)
    except LaunchError as error:
        say(f"winsock: {error}\n")
        return error.status
    return front.attend()


def _check_limit() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < _LEAST_FILES:
        raise LaunchError(
            CANNOT_SUPERVISE,
            f"{most} open files are allowed here, and the supervisor needs {_LEAST_FILES} and one more for each socket"
            " of the program: raise the hard limit (ulimit -Hn)",
        )


def _start(plan: _Plan, serve: Callable[[Serving], None], options: RunOptions) -> Front:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    inherited = plan.inheritance.descriptors
    signals.block_all()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would have the kernel throw statuses away
    try:
        system.prctl(system.PR_SET_CHILD_SUBREAPER)
        witness = Witness(lambda: drop(inherited))
        # Links come after the witness, which must not hold their ends open.
        receiver, sender = channel.pair()
        image, reflector = mirror.pair()
        supervisor = os.fork()
    except OSError as error:
        raise LaunchError(CANNOT_SUPERVISE, f"the supervisor cannot be started: {error.strerror}") from error
    if supervisor == 0:
        receiver.close()
        image.close()
        witness.forget()
        _supervise(plan, reflector, witness.pid, sender, serve, options)
    sender.close()
    reflector.close()
    drop(inherited, keep={2})
    return Front(receiver, image, supervisor, witness)


class _Plan(NamedTuple):
    """What the program's process shall become."""

    path: bytes
    argv: tuple[bytes, ...]
    filter_program: bytes
    inheritance: Inheritance


def _supervise(
    plan: _Plan,
    reflector: mirror.Mirror,
    witness: int,
    sender: channel.Sender,
    serve: Callable[[Serving], None],
    options: RunOptions,
) -> NoReturn:
    """The supervisor's life."""
    status = 1
    listener = -1
    try:
        system.prctl(system.PR_SET_CHILD_SUBREAPER)
        program, listener, pidfd = _give_birth(plan, witness)
        drop(plan.inheritance.descriptors)
        sender.started(program, pidfd)
        os.close(pidfd)
        serving = Serving(listener, program, reflector, sender, options)
        serving.helpers.watch()
        printed.tell_to(serving.line)
        serve(serving)
        printed.end()
        serving.leave()
        status = 0
    except LaunchError as error:
        sender.failed(error.status, str(error))
    except BaseException:
        if listener >= 0:
            os.close(listener)  # first of all let the calls fail that wait for an answer
        import traceback  # dear, and seldom needed

        sender.lines("winsock: internal error in the supervisor, please report it:\n" + traceback.format_exc())
        sender.drain(_LAST_WORDS_MS)
    finally:
        os._exit(status)


def _give_birth(plan: _Plan, witness: int) -> tuple[int, int, int]:
    """Fork the program, and become what the supervisor is; (pid, listener, pidfd)."""
    try:
        report_read, report_write = os.pipe()
        go_read, go_write = os.pipe()
        program = os.fork()
    except OSError as error:
        raise LaunchError(CANNOT_SUPERVISE, f"no process for the program: {error.strerror}") from error
    if program == 0:
        os.close(report_read)
        os.close(go_write)
        _become(plan, report_write, go_read)
    os.close(report_write)
    os.close(go_read)
    _settle()
    pidfd = os.pidfd_open(program)
    try:
        listener = _take_listener(pidfd, report_read)
    except LaunchError:
        os.kill(program, signal.SIGKILL)
        os.waitpid(program, 0)
        raise
    _send_missed_signals(witness, program)
    os.write(go_write, b"g")
    os.close(go_write)
    failure = os.read(report_read, _REPORT.size)
    os.close(report_read)
    if failure:
        os.waitpid(program, 0)
        raise _exec_error(plan, _REPORT.unpack(failure)[1])
    return program, listener, pidfd


def _settle() -> None:
    """A session of our own, signals that are not for us ignored, as many descriptors as we may have."""
    os.setsid()
    signals.take_pending()  # sent to the group while we were in it
    system.set_name("winsock-superv")
    for number in _SUPERVISOR_IGNORES:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGCHLD})
    _raise_limit()


def _raise_limit() -> None:
    """As many descriptors as we may have: more are needed than for any process of the tree, which has its own limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < _PLENTY_OF_FILES:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (_PLENTY_OF_FILES, _PLENTY_OF_FILES))
            return
        except (OSError, ValueError):
            pass  # more than the hard limit needs CAP_SYS_RESOURCE
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _take_listener(program: int, report: int) -> int:
    kind, value = _REPORT.unpack(os.read(report, _REPORT.size) or _REPORT.pack(_INSTALL_FAILED, errno.EIO))
    if kind == _INSTALL_FAILED:
        raise LaunchError(CANNOT_SUPERVISE, _INSTALL_REASONS.get(value, f"seccomp: {os.strerror(value)}"))
    try:
        return kernel.pidfd_getfd(program, value)
    except OSError as error:
        raise LaunchError(CANNOT_SUPERVISE, _TAKE_REASON.format(error=error.strerror)) from error


def _send_missed_signals(witness: int, program: int) -> None:
    """Signals for the group that came when the witness was there and the program was not yet."""
    had = signals.pending_of(witness)
    signals.await_group_delivery()
    for number in had - signals.pending_of(program):
        os.kill(program, number)


def _exec_error(plan: _Plan, code: int) -> LaunchError:
    name = os.fsdecode(plan.path)
    if code == errno.ENOENT and os.path.exists(plan.path):
        return LaunchError(NOT_EXECUTABLE, f"{name}: its interpreter (the first line, or the loader) is not found")
    return LaunchError(NOT_FOUND if code == errno.ENOENT else NOT_EXECUTABLE, f"{name}: {os.strerror(code)}")


def _is_text(path: bytes) -> bool:
    """Whether the file may be a script, as shells judge it: by its first line."""
    try:
        with open(path, "rb", 0) as file:
            line = file.read(_LOOKED_AT).split(b"\n", 1)[0]
    except OSError:
        return False
    return b"\0" not in line and not line.startswith(b"\x7fELF")


def _become(plan: _Plan, report: int, go: int) -> NoReturn:
    """The program's process up to exec. Everything after the filter must be a call that no filter traps."""
    try:
        plan.inheritance.restore_footing()
        plan.inheritance.restore_dispositions()
        system.prctl(system.PR_SET_NO_NEW_PRIVS)
        try:
            listener = system.install_filter(plan.filter_program)
        except OSError as error:
            os.write(report, _REPORT.pack(_INSTALL_FAILED, error.errno or errno.EINVAL))
            os._exit(CANNOT_SUPERVISE)
        os.write(report, _REPORT.pack(_LISTENING, listener))
        if os.read(go, 1):
            os.close(listener)
            plan.inheritance.restore_mask()
            code = system.execve(plan.path, plan.argv, plan.inheritance.environment)
            if code == errno.ENOEXEC and _is_text(plan.path):  # no first line says what runs it: a shell does
                argv = (_SHELL, plan.path, *plan.argv[1:])
                code = system.execve(_SHELL, argv, plan.inheritance.environment)
            os.write(report, _REPORT.pack(_EXEC_FAILED, code))
    finally:
        os._exit(CANNOT_SUPERVISE)
