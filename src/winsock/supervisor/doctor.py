"""What `winsock run` needs of this machine: each thing tried for real where it can be, said in words, with what to do.

Finding out and judging are apart. `look` reads what the kernel tells and tries the rest: a forked child puts a filter
over itself and is answered once, a socket is closed and its notice awaited; nothing stays behind. The functions of
`_CHECKS` turn those facts into verdicts and touch nothing, one function for each line of the report.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from winsock.supervisor import kernel
from winsock.supervisor.filter import ALLOW, JUMP_EQUAL, LOAD, NOTIFY, NUMBER_AT, RETURN, Instruction, pack
from winsock.supervisor.notices.closing import Closing
from winsock.supervisor.notices.destroyed import Destroyed
from winsock.supervisor.notify import Listener

LEAST_KERNEL = (6, 0)
SYNC_WAKE_UP_KERNEL = (6, 6)
PIDFD_THREAD_KERNEL = (6, 9)

CAP_SYS_PTRACE = 19
CAP_SYS_ADMIN = 21

TRIAL_MS = 5000
_SILENT = (errno.ETIMEDOUT, errno.ECHILD)
"""A child that was slower, or ended."""
_SO_COOKIE = 57
_VSOCK_LOOPBACK = 1  # VMADDR_CID_LOCAL, which the module socket has not everywhere
_REPORT = struct.Struct("=ii")
_PROOF = 77
"""What the trial answers to the trapped call; the kernel itself would not."""


class Check(NamedTuple):
    """One line of the report; `works` is None where nothing depends on it, or it could not be tried."""

    name: str
    works: bool | None
    found: str
    advice: str = ""


class Trial(NamedTuple):
    """How far a child under a filter came: errno of each step (0: it worked), None where it was not reached."""

    no_new_privs: int | None = None
    install: int | None = None
    take: int | None = None
    answer: int | None = None
    thread: int | None = None


class Facts(NamedTuple):
    """What was found out about this machine; texts of files that are absent are None."""

    release: str
    status: str
    yama: str | None
    fast_open: str | None
    mptcp: str | None
    trial: Trial
    notice: int
    io_uring: int
    vsock: int

    def field(self, name: str) -> str | None:
        """A line of /proc/self/status."""
        for line in self.status.splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return value.strip()
        return None

    def capable(self, capability: int) -> bool:
        """Whether we have this capability."""
        return bool(int(self.field("CapEff") or "0", 16) >> capability & 1)


def checks() -> list[Check]:
    """Find out and judge; takes a few milliseconds, at most a second where something does not answer."""
    if sys.platform != "linux":
        found = f"this is {sys.platform}"
        return [Check("Linux", False, found, "winsock run needs Linux; the library works here, on plain sockets")]
    facts = look()
    return [check(facts) for check in _CHECKS]


def healthy(found: Sequence[Check]) -> bool:
    """Whether programs can be supervised here: nothing fails."""
    return all(check.works is not False for check in found)


def render_text(found: Sequence[Check]) -> str:
    """The report for people, a line or two for each check."""
    marks = {True: "works", False: "FAILS", None: "-"}
    width = max(len(check.name) for check in found)
    lines = []
    for check in found:
        lines.append(f"{marks[check.works]:<5}  {check.name:<{width}}  {check.found}")
        if check.advice:
            lines.append(f"{'':<5}  {'':<{width}}  {check.advice}")
    lines.append("winsock run works here." if healthy(found) else "winsock run does not fully work here.")
    return "\n".join(lines)


def as_json(found: Sequence[Check]) -> str:
    """The report as one JSON object: `healthy`, and `checks` with name, works, found, advice."""
    import json

    return json.dumps({"healthy": healthy(found), "checks": [check._asdict() for check in found]})


def look() -> Facts:
    """What is so on this machine."""
    return Facts(
        release=os.uname().release,
        status=_read("/proc/self/status") or "",
        yama=_read("/proc/sys/kernel/yama/ptrace_scope"),
        fast_open=_read("/proc/sys/net/ipv4/tcp_fastopen"),
        mptcp=_read("/proc/sys/net/mptcp/enabled"),
        trial=try_supervising(),
        notice=_errno_of(_await_notice),
        io_uring=_errno_of(lambda: kernel.libc().call("io_uring_setup", 1, 0)),
        vsock=_errno_of(_bind_vsock),
    )


def _read(path: str) -> str | None:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


def _errno_of(attempt: Callable[[], object]) -> int:
    """0 where the attempt succeeds."""
    try:
        attempt()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _bind_vsock() -> None:
    """Take a port of vsock at the address by which a machine reaches itself."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        s.bind((_VSOCK_LOOPBACK, socket.VMADDR_PORT_ANY))


def _await_notice() -> None:
    """Close a socket and hear of it; `OSError` if that cannot be, ETIMEDOUT if nothing is heard."""
    known: set[int] = set()

    def closed(cookie: int, closing: Closing) -> None:
        known.discard(cookie)

    notices = Destroyed(closed, known)
    try:
        with socket.socket() as fresh:
            known.update(struct.unpack("=Q", fresh.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8)))
        if notices.flush(set(known), TRIAL_MS / 1000):
            raise TimeoutError(errno.ETIMEDOUT, "no notice came")
    finally:
        notices.stop()


# --- the trial: supervise a child for one call ---------------------------------------------------------------------


def try_supervising() -> Trial:
    """Fork a child that filters itself, take its listener, and answer its one trapped call."""
    try:
        program = _trap_one_call()
    except OSError as error:
        return Trial(0, error.errno)
    reports, report = os.pipe()
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        _be_supervised(program, report, wait)
    try:
        os.close(report)
        os.close(wait)
        return _supervise(child, reports, go)
    finally:
        os.close(reports)
        os.close(go)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _trap_one_call() -> bytes:
    number = kernel.machine().calls["shutdown"]
    return pack(
        [
            Instruction(LOAD, NUMBER_AT),
            Instruction(JUMP_EQUAL, number, 0, 1),
            Instruction(RETURN, NOTIFY),
            Instruction(RETURN, ALLOW),
        ]
    )


def _be_supervised(program: bytes, report: int, wait: int) -> None:
    """In the child: report the errno of each step and what it led to, and end."""
    try:
        from winsock.supervisor.generations import system

        listener = -1

        def install() -> None:
            nonlocal listener
            listener = system.install_filter(program)

        os.write(report, _REPORT.pack(_errno_of(lambda: system.prctl(system.PR_SET_NO_NEW_PRIVS)), 0))
        failed = _errno_of(install)
        os.write(report, _REPORT.pack(failed, listener))
        if not failed and os.read(wait, 1):
            os.close(listener)
            os.write(report, _REPORT.pack(0, kernel.libc().call("shutdown", -1, 0)))
    finally:
        os._exit(0)


def _supervise(child: int, reports: int, go: int) -> Trial:
    trial = Trial(no_new_privs=_reported(reports)[0], thread=_errno_of(lambda: _open_thread(child)))
    if trial.no_new_privs in _SILENT:  # the next report would be taken for another
        return trial._replace(install=trial.no_new_privs)
    failed, number = _reported(reports)
    trial = trial._replace(install=failed)
    if failed:
        return trial
    pidfd = os.pidfd_open(child)
    try:
        listener = kernel.pidfd_getfd(pidfd, number)
    except OSError as error:
        return trial._replace(take=error.errno)
    finally:
        os.close(pidfd)
    try:
        os.write(go, b"g")
        return trial._replace(take=0, answer=_answer(listener, reports))
    finally:
        os.close(listener)


def _open_thread(thread: int) -> None:
    os.close(os.pidfd_open(thread, kernel.PIDFD_THREAD))


def _answer(descriptor: int, reports: int) -> int:
    """0 where the trapped call arrived here and its answer arrived there."""
    if not _readable(descriptor):
        return errno.ETIMEDOUT
    try:
        listener = Listener(descriptor)
        notification = listener.receive()
        if notification is None or not listener.answer(notification.id, _PROOF):
            return errno.ESRCH
    except OSError as error:
        return error.errno or errno.EIO
    return 0 if _reported(reports) == (0, _PROOF) else errno.EPROTO


def _reported(reports: int) -> tuple[int, int]:
    if not _readable(reports):
        return errno.ETIMEDOUT, 0
    failed, value = _REPORT.unpack(os.read(reports, _REPORT.size).ljust(_REPORT.size, b"\xff"))
    return (errno.ECHILD, 0) if failed < 0 else (failed, value)


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(TRIAL_MS))


# --- the verdicts --------------------------------------------------------------------------------------------------


def _kernel(facts: Facts) -> Check:
    version = _version(facts.release)
    if version < LEAST_KERNEL:
        return Check("kernel", False, facts.release, "winsock run needs Linux 6.0 or newer")
    missing = []
    if version < SYNC_WAKE_UP_KERNEL:
        missing.append("6.6 would wake the supervisor on the program's own core, which is faster")
    if version < PIDFD_THREAD_KERNEL:
        missing.append(
            "6.9 would serve programs whose threads have descriptors of their own, or lost their main thread"
        )
    return Check("kernel", True, facts.release, "; ".join(missing))


def _proc(facts: Facts) -> Check:
    if facts.status:
        return Check("/proc", True, "mounted")
    return Check("/proc", False, "not mounted, so what follows may be wrong", "as root: mount -t proc proc /proc")


def _version(release: str) -> tuple[int, int]:
    numbers = release.replace("-", ".").split(".")
    try:
        return int(numbers[0]), int(numbers[1])
    except (ValueError, IndexError):
        return 0, 0


_INSTALL_ADVICE = {
    errno.ENOSYS: "seccomp is not in this kernel, or not known for this machine: another kernel is needed",
    errno.EINVAL: "this kernel does not know listeners that wait killably: Linux 6.0 or newer is needed",
    errno.EACCES: "no_new_privs could not be set and CAP_SYS_ADMIN is missing: see no_new_privs",
    errno.EPERM: "a sandbox or container forbids seccomp: allow the seccomp system call there",
}


def _listener(facts: Facts) -> Check:
    name, trial = "seccomp listener", facts.trial
    if trial.install == errno.EBUSY:
        return Check(name, None, "not tried: another listener is there (see nesting)")
    if trial.install:
        return Check(name, False, _reason(trial.install), _INSTALL_ADVICE.get(trial.install, ""))
    if trial.answer:
        return Check(name, False, f"a trapped call was not answered: {_reason(trial.answer)}", "please report this")
    if trial.answer is None:
        return Check(name, True, "a filter with a listener was installed")
    return Check(name, True, "a call was trapped and answered")


def _getfd(facts: Facts) -> Check:
    name, failed = "pidfd_getfd", facts.trial.take
    if failed is None:
        return Check(name, None, "not tried: there was no listener to take")
    if failed:
        advice = "allow pidfd_getfd and ptrace of own children: see Yama, and a container's seccomp profile"
        return Check(name, False, _reason(failed), advice if failed == errno.EPERM else "")
    return Check(name, True, "a child's descriptor was taken")


def _thread(facts: Facts) -> Check:
    if facts.trial.thread:
        advice = "programs whose threads have descriptors of their own are refused or passed; Linux 6.9 serves them"
        return Check("PIDFD_THREAD", None, f"not there: {_reason(facts.trial.thread)}", advice)
    return Check("PIDFD_THREAD", True, "threads can be opened")


_YAMA = {
    None: "absent: no restriction",
    "0": "ptrace_scope 0: no restriction",
    "1": "ptrace_scope 1: only ancestors, which the supervisor is",
    "2": "ptrace_scope 2: only with CAP_SYS_PTRACE",
    "3": "ptrace_scope 3: nobody",
}


def _yama(facts: Facts) -> Check:
    scope, name = facts.yama, "Yama"
    found = _YAMA.get(scope, f"ptrace_scope {scope}: not known")
    if scope == "2" and not facts.capable(CAP_SYS_PTRACE):
        advice = "run winsock with CAP_SYS_PTRACE, or: sysctl kernel.yama.ptrace_scope=1"
        return Check(name, False, found + ", which we lack", advice)
    if scope == "3":
        return Check(
            name, False, found, "set kernel.yama.ptrace_scope=1 in sysctl.conf and reboot: 3 is kept until then"
        )
    return Check(name, True if scope in _YAMA else None, found)


def _notices(facts: Facts) -> Check:
    if facts.notice:
        advice = "bytes, round-trip times and ends of sockets cannot be told; the kernel needs INET_DIAG and UDP_DIAG"
        return Check("sock_diag", False, f"no notice of a closed socket: {_reason(facts.notice)}", advice)
    return Check("sock_diag", True, "a closed socket was told of")


def _no_new_privs(facts: Facts) -> Check:
    name, failed = "no_new_privs", facts.trial.no_new_privs
    if failed:
        return Check(name, False, _reason(failed), "a sandbox forbids prctl(PR_SET_NO_NEW_PRIVS): allow it there")
    if facts.field("NoNewPrivs") == "1":
        return Check(name, True, "set already: sudo, ping and their kind gain no rights here, inside or outside of run")
    needless = " (with CAP_SYS_ADMIN it would not have to be)" if facts.capable(CAP_SYS_ADMIN) else ""
    return Check(name, True, f"can be set{needless}", "sudo, ping and their kind gain no rights inside winsock run")


def _nesting(facts: Facts) -> Check:
    mode, filters = facts.field("Seccomp") or "0", facts.field("Seccomp_filters") or "0"
    if facts.trial.install == errno.EBUSY:
        advice = "Linux allows one listener in a process tree: run winsock outside of the other run, or sandbox"
        return Check("nesting", False, f"under a listener already ({filters} filters)", advice)
    if mode == "0":
        return Check("nesting", True, "under no seccomp filter")
    return Check("nesting", True, f"under {filters} seccomp filters, none with a listener")


def _ptrace(facts: Facts) -> Check:
    name = "CAP_SYS_PTRACE"
    if facts.capable(CAP_SYS_PTRACE):
        return Check(name, None, "there")
    advice = "programs that became another user, execute-only files and PR_SET_DUMPABLE 0 cannot be supervised"
    return Check(name, None, "not there", advice)


_IO_URING = {
    errno.ENOSYS: "not in this kernel, or hidden by a filter",
    errno.EPERM: "disabled (kernel.io_uring_disabled, or a sandbox)",
}


def _io_uring(facts: Facts) -> Check:
    found = _IO_URING.get(facts.io_uring)
    if found:
        return Check("io_uring", None, found)
    return Check("io_uring", None, "present", "programs under winsock run get ENOSYS for it, and fall back to epoll")


def _fast_open(facts: Facts) -> Check:
    client = int(facts.fast_open or 0) & 1
    return Check("TCP fast open", None, "on for clients" if client else "off for clients")


def _mptcp(facts: Facts) -> Check:
    if facts.mptcp != "1":
        return Check("MPTCP", None, "off")
    return Check("MPTCP", None, "on", "programs under winsock run get EPROTONOSUPPORT for it, and fall back to TCP")


def _vsock(facts: Facts) -> Check:
    name = "vsock loopback"
    if not facts.vsock:
        return Check(name, None, "there")
    advice = "sockets of AF_HYPERV do not reach this machine itself; as root: modprobe vsock_loopback"
    return Check(name, None, f"not there: {_reason(facts.vsock)}", advice)


def _reason(number: int) -> str:
    return f"{errno.errorcode.get(number, number)} ({os.strerror(number)})"


_CHECKS: tuple[Callable[[Facts], Check], ...] = (
    _kernel,
    _proc,
    _listener,
    _getfd,
    _thread,
    _yama,
    _notices,
    _no_new_privs,
    _nesting,
    _ptrace,
    _io_uring,
    _fast_open,
    _mptcp,
    _vsock,
)
