"""Signals as a run treats them: all blocked and taken one by one, and the act of dying of one."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Collection

from winsock.supervisor.generations import system
from winsock.supervisor.generations.processes import state_of

EVERY = frozenset(int(number) for number in signal.valid_signals())
"""Every signal that can be blocked by a program (the C library keeps two for itself)."""

TO_PASS_ON = EVERY - {int(signal.SIGCHLD)}
"""What is not about our own children."""

JOB_CONTROL = frozenset({int(signal.SIGCONT), int(signal.SIGTSTP), int(signal.SIGTTIN), int(signal.SIGTTOU)})
"""Signals of which one that is sent makes the kernel discard another that waits."""

PYTHON_IGNORES = frozenset({int(signal.SIGPIPE), int(signal.SIGXFSZ)})
"""What the interpreter itself ignores at its start; whether it was ignored before that cannot be known."""


def block_all() -> None:
    """Block every signal, so that none is lost before somebody looks."""
    signal.pthread_sigmask(signal.SIG_SETMASK, EVERY)


def take_pending(not_from: Collection[int] = ()) -> list[int]:
    """Take the blocked signals that wait for this process; those that `not_from` sent are taken and forgotten.

    Stops and SIGCONT come in the order in which they were sent, since the kernel lets each discard the other.
    """
    taken: list[int] = []
    while (info := signal.sigtimedwait(TO_PASS_ON, 0)) is not None:
        if info.si_pid not in not_from:
            taken.append(info.si_signo)
    return taken


def pending_of(pid: int) -> set[int]:
    """The signals that wait for another process as a whole (ShdPnd of /proc/PID/status); none if it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            (line,) = [line for line in status if line.startswith(b"ShdPnd:")]
    except (OSError, ValueError):
        return set()
    mask = int(line.split()[1], 16)
    return {number for number in EVERY if mask >> (number - 1) & 1}


def is_stopped(pid: int) -> bool:
    """Whether another process is stopped, or is about to be.

    A stop that no longer waits for it has come into force: so its state is looked at last.
    """
    return signal.SIGSTOP in pending_of(pid) or state_of(pid) == b"T"


def await_group_delivery() -> None:
    """Return when any signal that is being sent to a group or to everybody has reached all of its receivers.

    The kernel sends such a signal with its list of tasks locked for reading; setpgid takes that lock for writing,
    even where there is nothing to change. So who has seen the signal, and then calls this, finds it everywhere.
    """
    try:
        os.setpgid(0, os.getpgrp())
    except OSError:
        pass  # a session leader may not, but it has waited for the lock all the same


def take_default(number: int) -> None:
    """Let a signal do to this process what it does by default: end it, stop it, or nothing."""
    before = signal.getsignal(number)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.signal(number, before)


def die_of(number: int) -> None:
    """Die of the signal as another process has, without a second core file; returns only where it cannot kill us."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    system.prctl(system.PR_SET_DUMPABLE, 0)  # a core_pattern that is a pipe disregards the limit
    try:
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    except (OSError, ValueError):
        pass  # one of the C library's own: never blocked, never caught
    os.kill(os.getpid(), number)


def name_of(number: int) -> str:
    """SIGTERM for 15; a plain number where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
