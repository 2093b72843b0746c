"""Who called: the held thread, its process, its descriptors.

A notification names a thread. Its descriptors are fetched through a pidfd of that very thread (Linux 6.9), because the
group leader may have ended, or the thread may have a table of descriptors of its own. Below 6.9 the leader's pidfd
serves the threads that share its table; the others cannot be looked into and are told apart.

A `Caller` is kept until its thread ends: the pidfd goes stale with it, so a number that was given to another thread is
never mistaken for it. One that looks through its leader's pidfd is not kept, since nothing would tell of its end.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Callable, Iterable

from winsock import host
from winsock.supervisor import kernel
from winsock.supervisor.generations.processes import state_of

_NAME_KEPT_S = 0.1


class Process:
    """A process of the program's tree, seen at its first trapped call."""

    __slots__ = ("_name", "_named_at", "id", "roomy_until", "threads")

    def __init__(self, id: int) -> None:
        self.id = id
        self.threads: set[int] = set()
        self._name = "?"
        self._named_at = -1.0
        self.roomy_until = -1.0
        """Until when it surely has numbers left (see `room`)."""

    def name(self, now: float) -> str:
        """The command's name; looked up again after a tenth of a second, because exec changes it."""
        if now - self._named_at > _NAME_KEPT_S:
            try:
                with open(f"/proc/{self.id}/comm", "rb", 0) as file:
                    self._name = file.read().decode(errors="replace").rstrip("\n")
            except OSError:
                pass  # it has ended: the last known name is the best one
            self._named_at = now  # at last: another thread that asks meanwhile must not have the old name for a new one
        return self._name


class Caller:
    """One thread of a process."""

    __slots__ = ("descriptors", "process", "thread")

    def __init__(self, thread: int, process: Process, descriptors: int) -> None:
        self.thread = thread
        self.process = process
        self.descriptors = descriptors
        """A pidfd: the door to its descriptors."""


class Callers:
    """The threads seen so far. `on_ended` is told of processes."""

    def __init__(
        self,
        poll: select.epoll,
        on_ended: Callable[[Process], None],
        by_thread: bool = True,
    ) -> None:
        self._poll = poll
        self._on_ended = on_ended
        self._by_thread = by_thread
        self.known: dict[int, Caller] = {}
        """The callers by thread id."""
        self._by_pidfd: dict[int, Caller] = {}
        self._processes: dict[int, Process] = {}

    def of(self, thread: int) -> Caller:
        """The caller of a notification; `OSError` ESRCH, or EPERM where its descriptors are out of reach."""
        return self.known.get(thread) or self._meet(thread)

    def again(self, thread: int) -> Caller:
        """The caller anew, after its kept pidfd turned out to be of a thread that has ended."""
        self._forget(self.known.get(thread))
        if not self._by_thread:
            self._forget(self.known.get(_process_of(thread)))
        return self._meet(thread)

    def owns(self, pidfd: int) -> bool:
        """Whether an event of the poll is ours."""
        return pidfd in self._by_pidfd

    def ended(self, pidfd: int) -> None:
        """The poll reports a pidfd: its thread has ended."""
        self._forget(self._by_pidfd.get(pidfd))

    def processes(self) -> list[Process]:
        """The processes with a thread that we know."""
        return list(self._processes.values())

    def _meet(self, thread: int) -> Caller:
        process_id = _process_of(thread)
        pidfd = self._open(thread, process_id)
        if pidfd is None:
            return self._behind_leader(thread, process_id)
        process = self._processes.get(process_id)
        if process is None:
            process = self._processes[process_id] = Process(process_id)
        caller = Caller(thread, process, pidfd)
        process.threads.add(thread)
        self.known[thread] = self._by_pidfd[pidfd] = caller
        self._poll.register(pidfd, select.EPOLLIN)
        return caller

    def _open(self, thread: int, process: int) -> int | None:
        """A pidfd of the thread itself; None where there is none to be had."""
        if self._by_thread:
            try:
                return kernel.libc().call("pidfd_open", thread, kernel.PIDFD_THREAD)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._by_thread = False
        return os.pidfd_open(process) if thread == process else None

    def _behind_leader(self, thread: int, process: int) -> Caller:
        if not kernel.same_files(thread, process):
            raise OSError(errno.EPERM, "a thread with descriptors of its own needs Linux 6.9 (PIDFD_THREAD)")
        leader = self.of(process)
        return Caller(thread, leader.process, leader.descriptors)

    def _forget(self, caller: Caller | None) -> None:
        if caller is None or self.known.get(caller.thread) is not caller:
            return
        del self.known[caller.thread], self._by_pidfd[caller.descriptors]
        self._poll.unregister(caller.descriptors)
        os.close(caller.descriptors)
        process = caller.process
        process.threads.discard(caller.thread)
        if not process.threads and self._processes.get(process.id) is process and not is_alive(process.id):
            del self._processes[process.id]
            self._on_ended(process)


def is_alive(process: int) -> bool:
    """Whether the process still runs; one that only waits to be reaped does not."""
    return state_of(process) not in (b"", b"Z", b"X")


def _process_of(thread: int) -> int:
    """The thread group of a thread; `OSError` ESRCH."""
    try:
        with open(f"/proc/{thread}/status", "rb", 0) as file:
            text = file.read(4096)
    except FileNotFoundError as error:
        raise ProcessLookupError(errno.ESRCH, "the thread has ended") from error
    start = text.index(b"\nTgid:") + 6
    return int(text[start : text.index(b"\n", start)])


def descriptors_of(thread: int, inode: int) -> list[int]:
    """The thread's numbers for the socket with that inode."""
    return _numbers(f"/proc/{thread}/fd", f"socket:[{inode}]")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def cookies_held(processes: Iterable[int]) -> set[int]:
    """The cookies of the sockets that these processes have open, as far as we may look."""
    held: set[int] = set()
    for process in processes:
        try:
            pidfd = os.pidfd_open(process)
        except OSError:
            continue
        for number in _numbers(f"/proc/{process}/fd", "socket:"):
            try:
                fetched, cookie = host.take(pidfd, number)
            except OSError:
                continue
            os.close(fetched)
            held.add(cookie)
        os.close(pidfd)
    return held


def _numbers(folder: str, target: str) -> list[int]:
    """The descriptors in a folder of /proc whose links begin so."""
    try:
        return [int(number) for number in os.listdir(folder) if _link(f"{folder}/{number}").startswith(target)]
    except OSError:
        return []
