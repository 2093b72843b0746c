"""`winsock run` without layers: every socket() is trapped and let go. Shows how `serve` uses a `Serving`.

python -m tests.supervisor.generations.runner [MODE[=VALUE]]... -- PROGRAM [ARG...]
"""

from __future__ import annotations

import errno
import os
import select
import struct
import sys
from collections.abc import Callable

from winsock.supervisor import kernel
from winsock.supervisor.generations.launch import Inheritance, run
from winsock.supervisor.generations.life import RunOptions, Serving
from winsock.supervisor.notify import Listener

inheritance = Inheritance.capture()

_LOAD_NUMBER = struct.pack("HBBI", 0x20, 0, 0, 0)
_NOTIFY = struct.pack("HBBI", 0x06, 0, 0, 0x7FC00000)
_ALLOW = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)


def socket_filter() -> bytes:
    """Report socket(), allow the rest."""
    is_socket = struct.pack("HBBI", 0x15, 0, 1, kernel.machine().calls["socket"])
    return _LOAD_NUMBER + is_socket + _NOTIFY + _ALLOW


class Loop:
    """A supervisor that lets every call go on."""

    def __init__(self, serving: Serving, modes: dict[str, str]) -> None:
        self.serving = serving
        self.modes = modes
        self.listener = Listener(serving.listener)
        self.seen = 0
        self.told = False

    def serve(self) -> None:
        """Until the listener hangs up."""
        poll = select.poll()
        poll.register(self.serving.listener, select.POLLIN)
        poll.register(self.serving.fileno(), select.POLLIN)
        hung_up = False
        while not hung_up:
            for descriptor, events in poll.poll():
                if descriptor == self.serving.fileno():
                    self.serving.handle()
                elif events & select.POLLIN:
                    self.answer()
                else:
                    hung_up = True
            self.tell_if_due()
        self.serving.reap_all()
        self.tell_if_due()

    def answer(self) -> None:
        """One notification."""
        notification = self.listener.receive()
        if notification is not None:
            self.seen += 1
            if "raise" in self.modes:
                raise RuntimeError("a bug in the notification side")
            if "helper" in self.modes:
                self.answer_by_helper(notification.id)
                return
            if "print" in self.modes:
                print("printed by a layer")
            self.listener.proceed(notification.id)

    def answer_by_helper(self, id: int) -> None:
        """As a layer might: with a program's help, which leaves another one behind; and one that is waited for later.

        The first call starts them, the second one tells of them.
        """
        import subprocess

        if self.seen == 1:
            leave = "sleep 0.01 >&- & echo $!"
            orphan = subprocess.run(["sh", "-c", leave], stdout=subprocess.PIPE, check=True).stdout.split()[0]
            self.unasked = subprocess.Popen(["sh", "-c", "exit 7"])
            self.forked = os.fork() or os._exit(5)
            self.serving.line(f"helpers: {int(orphan)} {self.unasked.pid} {self.forked}")
        else:
            statuses = self.unasked.wait(), os.waitstatus_to_exitcode(os.waitpid(self.forked, 0)[1])
            self.serving.line(f"statuses: {statuses} {os.system('exit 3') >> 8}")
        self.listener.proceed(id)

    def tell_if_due(self) -> None:
        """The last line, and the front's leave."""
        if self.serving.due and not self.told:
            self.told = True
            names = " ".join(process.name for process in self.serving.processes())
            self.serving.line(f"truth: {self.seen} calls, still running: {names or 'none'}")
            self.serving.finish(int(self.modes["status"]) if "status" in self.modes else None)


def at_fork(number: int, act: Callable[[], None]) -> None:
    """Do something just before the numbered fork: 1 the witness, 2 the supervisor, 3 the program."""
    fork = os.fork
    count = 0

    def counting_fork() -> int:
        nonlocal count
        count += 1
        if count == number:
            act()
        return fork()

    os.fork = counting_fork


def interrupt_group() -> None:
    """Ctrl-C, by a stranger: what we send ourselves is not passed on."""
    command = ["kill", "-INT", "--", f"-{os.getpgrp()}"]
    os.waitpid(os.posix_spawnp("kill", command, os.environ), 0)


def fail_to_fork() -> None:
    """No process is left."""
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def main(arguments: list[str]) -> int:
    """Run."""
    split = arguments.index("--")
    modes = {mode.partition("=")[0]: mode.partition("=")[2] for mode in arguments[:split]}
    if "interrupt" in modes:
        at_fork(int(modes["interrupt"]), interrupt_group)
    if "no_fork" in modes:
        at_fork(int(modes["no_fork"]), fail_to_fork)
    options = RunOptions(wait_all="wait_all" in modes)
    filter_program = b"junk" * 2 if "bad_filter" in modes else socket_filter()
    return run(
        arguments[split + 1 :], filter_program, lambda serving: Loop(serving, modes).serve(), options, inheritance
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
