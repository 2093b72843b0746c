"""The front: the process that the user started, which stands for the program.

It is in the program's process group and does nothing but pass on: lines from the supervisor to stderr, signals to the
program, and at the end the program's status to whoever waits for us. It must not hold what belongs to the program: of
the inherited descriptors it keeps stderr alone.

Every signal is blocked here and looked at. What the terminal, or `kill` with a group, sent has reached the program as
well; what was sent to us alone must be passed on. The front cannot tell the two apart (both may come from a process),
so a `Witness` stands beside it: a small process in the same group, where a signal for the group is pending too.
What the witness did not get was meant for the front alone, alarms that the front inherited included.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Collection

from winsock.core.journal import printable
from winsock.supervisor.generations import channel, mirror, signals, system
from winsock.supervisor.generations.processes import descendants

STDERR = 2
SUPERVISOR_DIED = 125

_PIECE_BYTES = 4096
"""What a pipe takes without waiting, when poll has said that it takes something (PIPE_BUF)."""
_LAST_LOOK_MS = 1000
_ANSWER_BYTES = 1024
_PATIENCE_MS = 100
"""How long the witness may take to answer before we look whether it was stopped."""
_ROUNDS = 16
"""Times that we look for more signals before we look at anything else."""


class Witness:
    """A process in our group that remembers which signals were sent to the group."""

    def __init__(self, drop_inherited: Callable[[], None]) -> None:
        self._question, answer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._question.close()
                drop_inherited()
                _stand(answer)
            finally:
                os._exit(0)
        answer.close()
        self._answer = select.poll()
        self._answer.register(self._question, select.POLLIN)

    def shared(self) -> list[int]:
        """The signals it has got since the last question; none where it was killed: then all seem sent to us alone."""
        try:
            self._question.send(b"?", socket.MSG_NOSIGNAL)
            while not self._answer.poll(_PATIENCE_MS):
                self.wake()  # somebody stopped it since, and would keep us waiting for ever
            return list(self._question.recv(_ANSWER_BYTES)[1:])
        except OSError:
            return []

    def wake(self) -> None:
        """Continue it, if it was stopped together with its group, or is about to be."""
        if signals.is_stopped(self.pid):
            _try_kill(os.kill, self.pid, signal.SIGCONT)

    def forget(self) -> None:
        """For the process that is not the front."""
        self._question.close()

    def dismiss(self) -> None:
        """End it."""
        _try_kill(os.kill, self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _stand(answer: socket.socket) -> None:
    """The witness's life: signals stay pending until the front asks."""
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    system.set_name("winsock-witness")
    front = {os.getppid()}
    while answer.recv(1):
        answer.send(bytes([0, *signals.take_pending(not_from=front)]), socket.MSG_NOSIGNAL)


class Front:
    """The front's loop, from the supervisor's start to the status."""

    def __init__(self, receiver: channel.Receiver, image: mirror.Image, supervisor: int, witness: Witness) -> None:
        self._receiver = receiver
        self._image = image
        self._supervisor = supervisor
        self._witness = witness
        self._signals = system.signalfd(signals.TO_PASS_ON)
        self._program = 0
        self._pidfd = -1
        self._exited = False
        self._text = b""
        self._deaf = False
        self._left: int | None = None
        self._poll = select.poll()
        self._poll.register(receiver.fileno(), select.POLLIN)
        self._poll.register(image.fileno(), select.POLLIN)

    def attend(self) -> int:
        """Stand for the program until it has ended; the exit status. Where a signal ended it, dies of that signal."""
        act = {
            self._receiver.fileno(): self._hear,
            self._image.fileno(): self._reflect,
            self._signals: self._pass_signals,
            STDERR: self._write,
        }
        while self._left is None:
            for descriptor, _ in self._poll.poll():
                act[descriptor]()
        return self._left

    def _hear(self) -> None:
        kind, content, descriptor = self._receiver.receive()
        if kind == channel.LINES:
            self._say(content)
        elif kind == channel.STARTED and descriptor is not None:
            self._program, self._pidfd = channel.number(content), descriptor
            self._poll.register(self._signals, select.POLLIN)
        elif kind == channel.FINISH:
            self._left = self._finish(channel.order(content))
        elif kind == channel.FAILED:
            self._left = self._fail(channel.number(content), channel.reason(content))
        else:
            self._left = self._mourn()

    def _reflect(self) -> None:
        news, question = self._image.hear()
        self._pass_signals()  # what was sent before the program stopped or ended was for the program
        if news == mirror.STOPPED:
            self._image.answer(question)
        elif news == mirror.EXITED:
            self._exited = True
        else:
            self._poll.unregister(self._image.fileno())

    # Lines: written as the terminal or pipe takes them, so that signals are seen to meanwhile.

    def _say(self, text: bytes) -> None:
        if not self._deaf:
            self._text = text
            self._poll.unregister(self._receiver.fileno())
            self._poll.register(STDERR, select.POLLOUT)

    def _write(self) -> None:
        end = self._text.rfind(b"\n", 0, _PIECE_BYTES) + 1 or _PIECE_BYTES
        try:
            self._text = self._text[os.write(STDERR, self._text[:end]) :]
        except BlockingIOError:
            return
        except OSError:
            self._deaf, self._text = True, b""
        if not self._text:
            self._poll.unregister(STDERR)
            self._poll.register(self._receiver.fileno(), select.POLLIN)

    # Signals

    def _pass_signals(self) -> None:
        """Take what came, ask the witness, pass on; again for what came meanwhile.

        What came while we asked, and the witness told, is one with what it told, as two equal pending signals are one.
        Of stops and SIGCONT the last one counts, on either side: the kernel discards the others. So they are compared
        when no more of them comes.
        """
        ours = {os.getpid(), self._supervisor}  # SIGPIPE by our own writing; SIGCONT when the program goes on
        jobs: list[int] = []
        shared_jobs: list[int] = []
        shared: list[int] = []
        for _ in range(_ROUNDS):
            pending = [n for n in signals.take_pending(ours) if n in signals.JOB_CONTROL or n not in shared]
            if not pending:
                break
            signals.await_group_delivery()
            if signal.SIGCONT in pending:
                self._witness.wake()
            shared = self._witness.shared()
            jobs += filter(signals.JOB_CONTROL.__contains__, pending)
            shared_jobs += filter(signals.JOB_CONTROL.__contains__, shared)
            for number in pending:
                if number not in signals.JOB_CONTROL:
                    self._pass(number, number in shared)
            signals.await_group_delivery()
        if jobs:
            self._pass(jobs[-1], jobs[-1:] == shared_jobs[-1:])

    def _pass(self, number: int, shared: bool) -> None:
        if self._exited:
            signals.take_default(number)
        elif shared or number == signal.SIGCONT:
            self._pass_to_group(number, shared)
        else:
            _try_kill(signal.pidfd_send_signal, self._pidfd, number)

    def _pass_to_group(self, number: int, shared: bool) -> None:
        """The program's group: it is ours, unless the program, a shell say, has made one of its own."""
        try:
            group = os.getpgid(self._program)
        except ProcessLookupError:
            return
        if group != os.getpgrp():
            if number == signal.SIGCONT:
                _give_terminal_to(group)
        elif shared:
            return
        _try_kill(os.killpg, group, number)

    # Ends

    def _finish(self, order: channel.Finish) -> int:
        self._witness.dismiss()
        if order.alone:
            self._see_supervisor_off()
        if order.exit_status is not None:
            return order.exit_status
        return die_alike(order.wait_status)

    def _see_supervisor_off(self) -> None:
        """Nothing of the tree is left, so it leaves at once; reaped by us, it is not left to an init that may sleep."""
        poll = select.poll()
        poll.register(self._receiver.fileno(), select.POLLIN)
        if poll.poll(_LAST_LOOK_MS):
            os.waitpid(self._supervisor, 0)

    def _fail(self, status: int, reason: str) -> int:
        self._witness.dismiss()
        say(f"winsock: {reason}\n")
        os.waitpid(self._supervisor, 0)
        return status

    def _mourn(self) -> int:
        """The supervisor died. Its children are ours now, since the front is a subreaper too; none is killed."""
        _, status = os.waitpid(self._supervisor, 0)
        self._witness.dismiss()
        left = descendants(os.getpid())
        names = ", ".join(f"{printable(process.name)} ({process.pid})" for process in left) or "none"
        say(
            f"winsock: the supervisor {_manner(status)}. From now on the calls that it answered fail with ENOSYS;"
            f" nothing passes unlayered. Processes left running: {names}\n"
        )
        return SUPERVISOR_DIED


def say(text: str) -> None:
    """Write to stderr now, if somebody is there to read it."""
    try:
        os.write(STDERR, text.encode(errors="surrogateescape"))
    except OSError:
        pass


def die_alike(wait_status: int) -> int:
    """The exit status that tells how the program ended. Where a signal ended it, dies of that signal instead.

    But not of SIGKILL: who kills us so wants to be sure, and would look for another cause; 137 says the same.
    """
    if not os.WIFSIGNALED(wait_status):
        return os.WEXITSTATUS(wait_status)
    number = os.WTERMSIG(wait_status)
    if number != signal.SIGKILL:
        signals.die_of(number)
    return 128 + number


def _manner(wait_status: int) -> str:
    if os.WIFSIGNALED(wait_status):
        return f"was killed by {signals.name_of(os.WTERMSIG(wait_status))}"
    return f"ended too early, with status {os.WEXITSTATUS(wait_status)}"


def _give_terminal_to(group: int) -> None:
    """Where a shell has put our group in the foreground, it means the program, whatever group that has made."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if os.tcgetpgrp(terminal) == os.getpgrp():
            os.tcsetpgrp(terminal, group)
    except OSError:
        pass  # another session's group
    finally:
        os.close(terminal)


def _try_kill(kill: Callable[[int, int], None], target: int, number: int) -> None:
    try:
        kill(target, number)
    except OSError:
        pass  # it has ended, or is another user's now: the sender would have fared the same


def drop(descriptors: Collection[int], keep: Collection[int] = ()) -> None:
    """Close inherited descriptors; the standard ones become /dev/null, so that nothing of ours lands on them."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, 1, 2, *descriptors} - set(keep):
        try:
            if descriptor <= STDERR:
                os.dup2(null, descriptor)
            else:
                os.close(descriptor)
        except OSError:
            pass  # closed already
    os.close(null)
