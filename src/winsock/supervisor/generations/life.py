"""The supervisor's care for processes: it reaps, tells the front, and knows who is still alive.

`Serving` is what the notification side gets. Its loop polls the listener and `serving.fileno()`, and calls
`serving.handle()` when that is readable:

    while not listener_hung_up:
        for descriptor, events in poll.poll(timeout):
            if descriptor == serving.fileno():
                serving.handle()
            ...
        if serving.due and not told:
            ...                         # wait for what is still pending, at most serving.options.drain seconds
            serving.line(truth)
            serving.finish()            # the front leaves; we stay until the listener hangs up
    serving.reap_all()                  # the hang-up may come before the last exit is reaped: be told of that, too

The supervisor is a subreaper, so every process of the tree whose parent has ended becomes its child. When no child is
left, the tree is empty. But a layer may start programs of its own and wait for them: those are not under our filter,
their ends are left to it (helpers.py), and they are no part of the tree.

Because to the user the front *is* the program, it stops and goes on with it (mirror.py), and a front that was killed
takes the program with it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from typing import NamedTuple

from winsock.supervisor.generations import system
from winsock.supervisor.generations.channel import Finish, Sender
from winsock.supervisor.generations.helpers import PATIENCE_S, Helpers
from winsock.supervisor.generations.mirror import Mirror
from winsock.supervisor.generations.processes import Process, children, descendants, filters_of

_ANY_CHANGE = os.WEXITED | os.WSTOPPED | os.WCONTINUED | os.WNOHANG if sys.platform == "linux" else 0


class RunOptions(NamedTuple):
    """What the user asked for."""

    drain: float = 5.0
    """Seconds to wait, after the program's end, for what is still pending."""
    wait_all: bool = False
    """Whether the front waits for all processes of the tree."""


class Serving:
    """A program under supervision, as the notification side sees it."""

    def __init__(self, listener: int, program: int, mirror: Mirror, channel: Sender, options: RunOptions) -> None:
        self.listener = listener
        """The seccomp listener; POLLHUP on it means that no process of the tree is left."""
        self.program = program
        """The program's pid."""
        self.options = options
        self.exited: int | None = None
        """The program's wait status (see os.WIFEXITED), once it has ended."""
        self.alone = False
        """Whether no process of the tree is left."""
        self.helpers = Helpers()
        self._timer: system.Timer | None = None
        """Rings when those must be looked for that nobody waits for."""
        self._own_filters = filters_of(os.getpid()) or 0
        self._mirror = mirror
        self._finished = False
        self._channel = channel
        self._children = system.signalfd({signal.SIGCHLD})
        self._poll = select.epoll()
        self._poll.register(self._children, select.EPOLLIN)
        self._poll.register(channel.fileno(), select.EPOLLIN)
        self._poll.register(mirror.fileno(), select.EPOLLIN)
        self._handling = threading.Lock()
        self._registration = threading.Lock()
        self._registered = select.EPOLLIN

    def fileno(self) -> int:
        """Readable when `handle` has something to do."""
        return self._poll.fileno()

    def handle(self) -> list[tuple[int, int]]:
        """Do what is due, without waiting: reap, pass on, send. Returns who ended: (pid, wait status)."""
        with self._handling:
            return self._handle()

    def _handle(self) -> list[tuple[int, int]]:
        ended: list[tuple[int, int]] = []
        for descriptor, events in self._poll.poll(0):
            if descriptor == self._children:
                signal.sigtimedwait({signal.SIGCHLD}, 0)
                ended += self._reap()
            elif self._timer is not None and descriptor == self._timer.fileno():
                self._timer.silence()
                ended += self._reap()
            elif descriptor == self._mirror.fileno():
                ended += self._reap()  # an answer counts only if the program has not gone on since
                if not self._mirror.answered():
                    self._poll.unregister(descriptor)
            elif events & ~select.EPOLLOUT:
                self._front_is_gone()
            else:
                self._channel.flush()
                self._watch_queue()
        return ended

    def reap_all(self) -> None:
        """Wait until every process is reaped: at once when the listener has hung up, which may come before that."""
        while not self.alone:
            self._poll.poll()
            self.handle()

    @property
    def due(self) -> bool:
        """Whether what the front waits for has happened: the program has ended, or all have if the user wants that."""
        return self.exited is not None and (self.alone or not self.options.wait_all)

    def line(self, text: str) -> None:
        """Give the user a line (or several) on the front's stderr. Never waits; does nothing when the front is gone."""
        if self._finished or self._channel.gone or not text:
            return
        self._channel.lines(text if text.endswith("\n") else text + "\n")
        self._watch_queue()

    def finish(self, exit_status: int | None = None) -> None:
        """Let the front leave, after all lines so far, as the program ended; or with another exit status."""
        if self.exited is None:
            raise ValueError("the program has not ended yet")
        if not self._finished:
            self._finished = True
            self._channel.finish(Finish(self.exited, exit_status, self.alone))
            self._watch_queue()

    def processes(self) -> list[Process]:
        """The processes of the tree that are alive."""
        return descendants(os.getpid(), {pid for pid in children(os.getpid()) if not self._is_of_tree(pid)})

    def leave(self) -> None:
        """Send the front what is still queued; called when `serve` has returned."""
        self._channel.drain()

    def _reap(self) -> list[tuple[int, int]]:
        ended: list[tuple[int, int]] = []
        try:
            while (changed := os.waitid(os.P_ALL, 0, _ANY_CHANGE | os.WNOWAIT)) is not None:
                if not self._is_of_tree(changed.si_pid):
                    break  # it hides those behind it until the layer has waited for it
                ended += self._take(changed.si_pid)
            if changed is not None or self.exited is not None:
                ended += self._take_one_by_one()
        except ChildProcessError:
            self.alone = True
        return ended

    def _take_one_by_one(self) -> list[tuple[int, int]]:
        """Reap past a layer's programs. Whoever ends leaves its children to us, so that we look until nobody has."""
        ended: list[tuple[int, int]] = []
        while True:
            everybody = children(os.getpid())
            left = [pid for pid in everybody if self._is_of_tree(pid)]
            taken = [found for pid in left for found in self._take(pid)]
            if not taken:
                break
            ended += taken
        self._take_nobodys([pid for pid in everybody if pid not in left])
        self.alone = self.exited is not None and not left
        return ended

    def _take_nobodys(self, others: list[int]) -> None:
        """Reap what programs of layers have left behind, after a moment."""
        for orphan in self.helpers.nobodys(others):
            self._take(orphan)
        if self.helpers.patient:
            if self._timer is None:
                self._timer = system.Timer()
                self._poll.register(self._timer, select.EPOLLIN)
            self._timer.start(PATIENCE_S)

    def _is_of_tree(self, child: int) -> bool:
        """Whether a child is of the program's tree, and none that a layer has started."""
        filters = filters_of(child)
        return child == self.program or filters is None or filters > self._own_filters

    def _take(self, child: int) -> list[tuple[int, int]]:
        """What became of a child, if that was not asked before; (pid, wait status) where it has ended."""
        try:
            pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return []
        if pid == 0:
            return []
        if pid == self.program:
            self._program_changed(status)
        return [] if os.WIFSTOPPED(status) or os.WIFCONTINUED(status) else [(pid, status)]

    def _program_changed(self, status: int) -> None:
        if os.WIFSTOPPED(status):
            self._mirror.program_stopped(self.program)
        elif os.WIFCONTINUED(status):
            self._mirror.program_went_on()
        else:
            self.exited = status
            self._mirror.program_ended()

    def _front_is_gone(self) -> None:
        with self._registration:
            self._poll.unregister(self._channel.fileno())
            self._registered = 0
        self._channel.gone = True
        if self.exited is None:
            os.kill(self.program, signal.SIGKILL)

    def _watch_queue(self) -> None:
        """Have `handle` called when the front takes more, while something waits for it."""
        with self._registration:
            wanted = select.EPOLLIN | (select.EPOLLOUT if self._channel.queued else 0)
            if self._registered not in (0, wanted):
                self._poll.modify(self._channel.fileno(), wanted)
                self._registered = wanted
