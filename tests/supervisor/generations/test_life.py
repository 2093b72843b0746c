"""The supervisor outlives, reaps and tells: daemons, its own death, a pipe behind it, what waits for whom."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.supervisor.generations.running import (
    WORLDS,
    call,
    commands_in_group,
    ended,
    enter,
    parent,
    read_line,
    runner,
    started,
    state,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="winsock run needs Linux")

DAEMON = """
import os, socket, sys
hold, tell = int(sys.argv[1]), int(sys.argv[2])
if os.fork() == 0:
    os.setsid()
    middle = os.getpid()
    if os.fork():
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    while os.getppid() == middle:
        pass
    os.write(tell, b"%d %d\\n" % (os.getpid(), os.getppid()))
    os.read(hold, 1)
    try:
        socket.socket().close()
        os.write(tell, b"made\\n")
    except OSError as error:
        os.write(tell, b"%d\\n" % error.errno)
    os._exit(0)
os.wait()
print("hello", flush=True)
sys.exit(5)
"""
"""Leaves a daemon, which tells its pid and its parent's, waits for the end of a pipe, and then makes a socket."""


class Daemon:
    """A run of DAEMON, and the test's ends of the pipes."""

    def __init__(self, front: subprocess.Popen[bytes], tell: int, release: Callable[[], None]) -> None:
        self.front = front
        self._tell = os.fdopen(tell, "rb")
        self.release = release
        self.pid, self.supervisor = (int(word) for word in self.tell().split())

    def tell(self) -> bytes:
        """What the daemon tells next."""
        return self._tell.readline()

    def close(self) -> None:
        """Close the pipe."""
        self._tell.close()


@contextmanager
def daemon_running(*modes: str, world: str = "as we are", before: tuple[str, ...] = ()) -> Iterator[Daemon]:
    """Start it."""
    hold_read, hold_write = os.pipe()
    tell_read, tell_write = os.pipe()
    program = ["/usr/bin/python3", "-I", "-c", DAEMON, str(hold_read), str(tell_write)]
    command = [*before, *enter(world), *runner(*modes), *program]
    with started(command, pass_fds=(hold_read, tell_write)) as front:
        os.close(hold_read)
        os.close(tell_write)
        open_end = [hold_write]

        def release() -> None:
            while open_end:
                os.close(open_end.pop())

        daemon = Daemon(front, tell_read, release)
        try:
            yield daemon
        finally:
            release()
            daemon.close()
            wait_until(lambda: ended(daemon.pid), "the daemon to end")


@pytest.mark.parametrize("world", WORLDS)
def test_a_daemon_outlives_the_front_and_stays_covered(world: str) -> None:
    with daemon_running(world=world) as daemon:
        out, errors = daemon.front.communicate(timeout=20)
        assert (daemon.front.returncode, out) == (5, b"hello\n")
        assert errors == b"truth: 0 calls, still running: python3\n"
        assert not ended(daemon.supervisor)
        daemon.release()
        assert daemon.tell() == b"made\n"
        wait_until(lambda: ended(daemon.pid) and ended(daemon.supervisor), "daemon and supervisor to end")
        assert commands_in_group(daemon.front.pid) == []


def test_a_pipe_behind_us_sees_its_end() -> None:
    """`communicate` above waits for the ends of stdout and stderr; here a shell does."""
    script = '"$@" | cat; echo ended'
    with daemon_running(before=("sh", "-c", script, "sh")) as daemon:
        out, _ = daemon.front.communicate(timeout=20)
        assert out == b"hello\nended\n"
        assert not ended(daemon.pid)


def test_the_supervisor_keeps_no_stream_and_no_inherited_descriptor() -> None:
    with daemon_running() as daemon:
        wait_until(lambda: daemon.front.poll() is not None, "the front to leave")
        links = {os.readlink(link) for link in Path(f"/proc/{daemon.supervisor}/fd").iterdir()}
        assert {link for link in links if link.startswith("pipe:")} == set()
        standard = [os.readlink(f"/proc/{daemon.supervisor}/fd/{number}") for number in range(3)]
        assert standard == ["/dev/null"] * 3


def test_the_front_keeps_stderr_alone() -> None:
    with started([*runner(), "sh", "-c", "echo; read x"]) as front:
        read_line(front)
        mine = {os.readlink(f"/proc/{front.pid}/fd/{number}") for number in (0, 1)}
        assert mine == {"/dev/null"}
        pipes = [os.readlink(link) for link in Path(f"/proc/{front.pid}/fd").iterdir()]
        assert sum(link.startswith("pipe:") for link in pipes) == 1
        front.communicate(b"\n", timeout=20)


def test_wait_all_waits_for_the_daemon() -> None:
    with daemon_running("wait_all") as daemon:
        assert read_line(daemon.front) == "hello"
        wait_until(lambda: "python3" not in commands_in_group(daemon.front.pid), "the program to end")
        assert daemon.front.poll() is None
        daemon.release()
        _, errors = daemon.front.communicate(timeout=20)
        assert (daemon.front.returncode, errors) == (5, b"truth: 1 calls, still running: none\n")


def test_a_front_that_waits_for_others_takes_signals_itself() -> None:
    with daemon_running("wait_all") as daemon:
        assert read_line(daemon.front) == "hello"

        def interrupted() -> bool:
            os.killpg(daemon.front.pid, signal.SIGINT)  # passed on to the program while that lives, and then no more
            return daemon.front.poll() is not None

        wait_until(interrupted, "the front to be interrupted")
        assert daemon.front.returncode == -signal.SIGINT
        assert not ended(daemon.supervisor)


def test_a_dead_supervisor_is_told_and_nobody_is_killed() -> None:
    script = "import os, socket\nprint(os.getppid(), os.getpid(), flush=True)\ninput()\ntry: socket.socket()\n"
    script += "except OSError as error: print(error.errno, flush=True)\ninput()"
    with started([*runner(), "/usr/bin/python3", "-I", "-c", script]) as front:
        supervisor, program = (int(word) for word in read_line(front).split())
        os.kill(supervisor, signal.SIGKILL)
        assert front.wait(20) == 125
        assert front.stderr is not None
        said = front.stderr.readline().decode()
        assert "the supervisor was killed by SIGKILL" in said
        assert f"python3 ({program})" in said
        assert "winsock-witness" not in said
        assert front.stdin is not None
        front.stdin.write(b"\n")
        front.stdin.flush()
        assert read_line(front) == str(errno.ENOSYS)
        assert not ended(program)
        front.stdin.write(b"\n")
        front.stdin.flush()
        wait_until(lambda: ended(program), "the program to end by itself")


def test_a_bug_in_the_notification_side_fails_the_call_and_is_told() -> None:
    script = "import socket, sys\ntry: socket.socket()\nexcept OSError as error: print(error.errno)"
    done = call([*runner("raise"), "/usr/bin/python3", "-I", "-c", script])
    assert done.returncode == 125
    assert b"RuntimeError: a bug in the notification side" in done.stderr
    assert b"the supervisor ended too early" in done.stderr
    assert done.stdout == b"%d\n" % errno.ENOSYS


def test_what_python_code_prints_there_reaches_the_user() -> None:
    done = call([*runner("print"), "/usr/bin/python3", "-I", "-c", "import socket; socket.socket()"])
    assert done.stderr.decode().splitlines() == ["printed by a layer", "truth: 1 calls, still running: none"]
    assert done.stdout == b""


def test_another_status_can_be_ordered() -> None:
    assert call([*runner("status=125"), "true"]).returncode == 125


def test_a_supervisor_that_is_done_is_reaped_by_the_front() -> None:
    with started([*runner(), "sh", "-c", "echo $PPID; read x"]) as front:
        supervisor = int(read_line(front))
        front.communicate(b"\n", timeout=20)
        assert state(supervisor) == ""


def test_orphans_are_reaped_while_the_program_runs() -> None:
    script = "(sleep 0.01 & echo $!) ; read x; exit 0"
    with started([*runner(), "sh", "-c", script]) as front:
        orphan = int(read_line(front))
        wait_until(lambda: state(orphan) == "", "the orphan to be reaped")
        front.communicate(b"\n", timeout=20)
        assert front.returncode == 0


def test_what_a_layers_program_leaves_behind_is_reaped_and_its_own_statuses_are_left_to_it() -> None:
    script = "import socket\nfor _ in range(2): input(); socket.socket().close(); print(flush=True)"
    with started([*runner("helper"), "/usr/bin/python3", "-I", "-c", script]) as front:
        assert front.stdin is not None
        assert front.stderr is not None
        front.stdin.write(b"\n")
        front.stdin.flush()
        read_line(front)
        orphan, unasked, forked = map(int, front.stderr.readline().split()[1:])
        wait_until(lambda: state(orphan) == "", "what was left behind to be reaped")
        assert (state(unasked), state(forked)) == ("Z", "Z")
        out, errors = front.communicate(b"\n", timeout=20)
        assert (front.returncode, out) == (0, b"\n")
        assert b"statuses: (7, 5) 3\n" in errors


def test_the_supervisor_lets_signals_for_others_pass_by() -> None:
    with started([*runner(), "sh", "-c", "echo $$; read x; exit 3"]) as front:
        supervisor = parent(int(read_line(front)))
        for number in ("HUP", "INT", "QUIT", "PIPE", "TERM", "TSTP", "TTIN", "TTOU", "USR1", "USR2", "ALRM"):
            os.kill(supervisor, signal.Signals[f"SIG{number}"])
        assert os.getsid(supervisor) == supervisor
        front.communicate(b"\n", timeout=20)
        assert front.returncode == 3


def test_the_supervisor_may_open_what_the_hard_limit_allows() -> None:
    script = 'ulimit -S -n 100; exec "$@"'
    program = ["sh", "-c", "ulimit -n; echo $PPID; read x"]
    with started(["sh", "-c", script, "sh", *runner(), *program]) as front:
        assert read_line(front) == "100"
        limits = Path(f"/proc/{read_line(front)}/limits").read_text()
        (files,) = [line.split() for line in limits.splitlines() if line.startswith("Max open files")]
        assert files[3] == files[4]
        assert files[3] != "100"
        front.communicate(b"\n", timeout=20)
