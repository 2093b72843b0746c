"""The front stands for the program: signals arrive once, stops are mirrored, a terminal notices no difference."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.generations.running import (
    Terminal,
    call,
    children,
    commands_in_group,
    ended,
    parent,
    read_line,
    runner,
    started,
    state,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="winsock run needs Linux")

SLEEP = "sleep 1000"
WAITER = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
print("begun", flush=True)
while signal.sigwait({signal.SIGCONT}): print("on", flush=True)
"""
"""Says when it has been continued: only then does it have the terminal again. (A shell script will not do: stopped
between vfork and exec it hangs, bare as well.)"""

CATCHER = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("begun", flush=True)
for left in (2, 1):
    signal.sigwait({signal.SIGINT})
    print("caught", left, flush=True)
raise SystemExit(5)
"""
"""Ends at the second Ctrl-C."""

RECORDER = """
import os, signal
wanted = signal.valid_signals() - {signal.SIGCHLD}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print(os.getpid(), flush=True)
while (number := signal.sigwait(wanted)) != signal.SIGRTMIN:
    print(signal.Signals(number).name, flush=True)
print("end", flush=True)
"""
"""Prints every signal that it gets, until SIGRTMIN."""

PASSED_ON = [
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1, signal.SIGSEGV, signal.SIGUSR2,
    signal.SIGPIPE, signal.SIGALRM, signal.SIGTERM, signal.SIGTSTP, signal.SIGTTIN, signal.SIGURG, signal.SIGWINCH,
]  # fmt: skip


@pytest.fixture
def recorder() -> Iterator[subprocess.Popen[bytes]]:
    """The recorder under supervision, started."""
    with started([*runner(), "/usr/bin/python3", "-I", "-c", RECORDER]) as front:
        read_line(front)
        yield front


def recorded(front: subprocess.Popen[bytes]) -> list[str]:
    """What the recorder got until now. The front passes the end mark on after all that came before it."""
    os.kill(front.pid, signal.SIGRTMIN)
    assert front.stdout is not None
    lines = front.stdout.read().decode().split()
    assert lines.pop() == "end"
    return lines


# Signals by kill


def test_a_signal_to_the_front_alone_arrives_once(recorder: subprocess.Popen[bytes]) -> None:
    for number in PASSED_ON:
        os.kill(recorder.pid, number)
        assert read_line(recorder) == number.name
    assert recorded(recorder) == []


def test_a_signal_to_the_group_arrives_once(recorder: subprocess.Popen[bytes]) -> None:
    for number in PASSED_ON:
        os.killpg(recorder.pid, number)
        assert read_line(recorder) == number.name
    assert recorded(recorder) == []


def test_alternating_signals_arrive_once_each(recorder: subprocess.Popen[bytes]) -> None:
    for _ in range(50):
        os.killpg(recorder.pid, signal.SIGTERM)
        assert read_line(recorder) == "SIGTERM"
        os.kill(recorder.pid, signal.SIGUSR1)
        assert read_line(recorder) == "SIGUSR1"
    assert recorded(recorder) == []


def test_a_continuation_to_the_front_alone_arrives_once(recorder: subprocess.Popen[bytes]) -> None:
    os.kill(recorder.pid, signal.SIGCONT)
    assert read_line(recorder) == "SIGCONT"
    assert recorded(recorder) == []


def test_a_continuation_of_the_group_arrives_once(recorder: subprocess.Popen[bytes]) -> None:
    os.killpg(recorder.pid, signal.SIGCONT)
    assert read_line(recorder) == "SIGCONT"
    assert recorded(recorder) == []


def test_a_real_time_signal_is_passed_on() -> None:
    with started([*runner(), *SLEEP.split()]) as front:
        wait_until(lambda: "sleep" in commands_in_group(front.pid), "the program to run")
        os.kill(front.pid, signal.SIGRTMAX)
        assert front.wait(20) == -signal.SIGRTMAX


def test_kill_of_the_front_ends_the_program() -> None:
    with started([*runner(), "sh", "-c", "echo $$; exec sleep 1000"]) as front:
        program = int(read_line(front))
        front.kill()
        wait_until(lambda: ended(program), "the program to end with its front")


def test_a_program_that_catches_the_signal_decides() -> None:
    script = "trap 'exit 3' TERM; echo go; while :; do read x; done"
    with started([*runner(), "sh", "-c", script]) as front:
        assert read_line(front) == "go"
        os.killpg(front.pid, signal.SIGTERM)
        assert front.wait(20) == 3


def test_a_program_with_a_group_of_its_own_gets_what_its_group_would_have_got() -> None:
    script = f"import os; os.setpgid(0, 0)\n{RECORDER}"
    with started([*runner(), "/usr/bin/python3", "-I", "-c", script]) as front:
        program = int(read_line(front))
        assert os.getpgid(program) == program
        os.killpg(front.pid, signal.SIGTERM)
        assert read_line(front) == "SIGTERM"
        os.kill(front.pid, signal.SIGUSR1)
        assert read_line(front) == "SIGUSR1"
        os.killpg(front.pid, signal.SIGCONT)
        assert read_line(front) == "SIGCONT"
        assert recorded(front) == []


def test_a_lost_witness_costs_no_signal(recorder: subprocess.Popen[bytes]) -> None:
    for pid in witnesses(recorder.pid):
        os.kill(pid, signal.SIGKILL)
    os.kill(recorder.pid, signal.SIGTERM)
    assert read_line(recorder) == "SIGTERM"


def test_a_stopped_witness_keeps_no_signal_back(recorder: subprocess.Popen[bytes]) -> None:
    (witness,) = witnesses(recorder.pid)
    for number in (signal.SIGTERM, signal.SIGCONT):
        os.kill(witness, signal.SIGSTOP)
        wait_until(lambda: state(witness) == "T", "the witness to stop")
        os.kill(recorder.pid, number)
        assert read_line(recorder) == number.name
    assert recorded(recorder) == []


def witnesses(front: int) -> list[int]:
    """The processes of the front's group that are its children."""
    return [pid for pid in children(front) if os.getpgid(pid) == front]


def test_the_witness_goes_with_the_front() -> None:
    with started([*runner(), "sh", "-c", "echo; read x; exit 4"]) as front:
        read_line(front)
        (witness,) = witnesses(front.pid)
        front.communicate(b"\n", timeout=20)
        assert front.returncode == 4
        assert state(witness) == ""  # reaped, too


def test_even_a_stopped_witness_goes_with_the_front() -> None:
    """In a group that is not orphaned by the front's end, where the kernel would wake it."""
    with started(["sh", "-c", '"$@"; read y', "sh", *runner(), "sh", "-c", "echo $PPID; exec sleep 1000"]) as shell:
        front = parent(int(read_line(shell)))
        (witness,) = [pid for pid in children(front) if os.getpgid(pid) == shell.pid]
        os.kill(witness, signal.SIGSTOP)
        wait_until(lambda: state(witness) == "T", "the witness to stop")
        os.kill(front, signal.SIGKILL)
        wait_until(lambda: ended(witness), "the witness to end")


# Stops


@pytest.mark.parametrize(
    ("stop", "to_group", "to"),
    [
        (signal.SIGTSTP, False, "front"),
        (signal.SIGTSTP, True, "front"),
        (signal.SIGSTOP, True, "front"),
        (signal.SIGSTOP, False, "program"),
    ],
)
@pytest.mark.parametrize("continue_group", [True, False])
def test_the_front_stops_and_goes_on_with_the_program(
    stop: signal.Signals, to_group: bool, to: str, continue_group: bool
) -> None:
    with started([*runner(), "sh", "-c", "echo $$; exec sleep 1000"]) as front:
        program = int(read_line(front))
        target = program if to == "program" else front.pid
        for _ in range(3):
            (os.killpg if to_group else os.kill)(target, stop)
            wait_until(lambda: state(program) == state(front.pid) == "T", "both to be stopped")
            if continue_group:
                os.killpg(front.pid, signal.SIGCONT)
            else:
                os.kill(target, signal.SIGCONT)
            wait_until(lambda: "T" not in (state(program), state(front.pid)), "both to go on")
        os.kill(front.pid, signal.SIGTERM)
        assert front.wait(20) == -signal.SIGTERM


def test_a_witness_that_is_stopped_late_keeps_no_continuation_back() -> None:
    """On a busy machine its stop may not be in force yet when the front is continued."""
    with started([*runner(), "sh", "-c", "echo $$; exec sleep 1000"]) as front, busy_processors():
        program = int(read_line(front))
        (witness,) = witnesses(front.pid)
        os.sched_setscheduler(witness, os.SCHED_IDLE, os.sched_param(0))
        for _ in range(10):
            os.killpg(front.pid, signal.SIGSTOP)
            wait_until(lambda: state(program) == state(front.pid) == "T", "both to be stopped")
            os.kill(front.pid, signal.SIGCONT)
            wait_until(lambda: "T" not in (state(program), state(front.pid)), "both to go on")


@contextlib.contextmanager
def busy_processors() -> Iterator[None]:
    """A loop on each processor that we may use."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_a_storm_of_stops_leaves_both_running() -> None:
    with started([*runner(), "sh", "-c", "echo $$; exec sleep 1000"]) as front:
        program = int(read_line(front))
        for _ in range(50):
            os.kill(program, signal.SIGSTOP)
            os.kill(program, signal.SIGCONT)
        os.kill(program, signal.SIGTERM)  # is acted upon by a program that runs, told by a front that runs
        assert front.wait(20) == -signal.SIGTERM


# Lines


def test_a_stuck_stderr_keeps_no_signal_back() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    try:
        while True:
            os.write(write_end, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(write_end, True)
    script = "trap 'echo caught' USR1; echo go; read x; read x"
    program = [
        "/usr/bin/python3",
        "-I",
        "-c",
        f"import socket, os; socket.socket(); os.execvp('sh', ['sh', '-c', {script!r}])",
    ]
    with started([*runner("print"), *program], stderr=write_end) as front:
        os.close(write_end)
        assert read_line(front) == "go"
        os.kill(front.pid, signal.SIGUSR1)
        assert read_line(front) == "caught"
        assert front.stdin is not None
        front.stdin.write(b"\n\n")
        front.stdin.flush()
        os.set_blocking(read_end, False)
        text = read_all(read_end)
        assert front.wait(20) == 0
    assert text.lstrip(b"x").splitlines() == [b"printed by a layer", b"truth: 1 calls, still running: none"]


def read_all(descriptor: int) -> bytes:
    data = b""
    while select.select([descriptor], [], [], 20)[0]:
        piece = os.read(descriptor, 65536)
        if not piece:
            break
        data += piece
    os.close(descriptor)
    return data


def test_a_closed_stderr_hurts_nobody() -> None:
    done = call(["sh", "-c", '"$@" 2>&1 >/dev/null | true; exit 0', "sh", *runner("print"), "true"])
    assert done.returncode == 0
    done = call(["sh", "-c", 'exec "$@" 2>&-', "sh", *runner("print"), "sh", "-c", "exit 6"])
    assert done.returncode == 6


# A terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """An interactive shell; `w` runs a program under supervision, `$p/` is the way to our own programs."""
    terminal = Terminal()
    (tmp_path / "waiter").write_text(WAITER)
    (tmp_path / "catcher").write_text(CATCHER)
    terminal.type(f"p='/usr/bin/python3 -I {tmp_path}'; w() {{ {' '.join(runner())} \"$@\"; }}")
    terminal.expect("ready> ")
    try:
        yield terminal
    finally:
        terminal.close()


STOPPED = r"Stopped.*\n(.*\n)*ready> "


def run_in(terminal: Terminal, command: str) -> None:
    """Run a command that says "begun"."""
    terminal.type(f"w {command}")
    terminal.expect(r"\nbegun\n")


def expect_status(terminal: Terminal, status: int) -> None:
    terminal.expect("ready> ")
    terminal.type("echo status $?")
    terminal.expect(f"status {status}\n")


def test_ctrl_z_fg_ctrl_c(terminal: Terminal) -> None:
    run_in(terminal, "$p/waiter")
    for _ in range(3):
        terminal.press("\x1a")
        terminal.expect(STOPPED)
        terminal.type("jobs")
        terminal.expect(STOPPED)
        terminal.type("fg")
        terminal.expect(r"\non\n")
    terminal.press("\x03")
    expect_status(terminal, 130)


def test_ctrl_z_bg(terminal: Terminal) -> None:
    run_in(terminal, "sh -c 'echo begun; read x; echo got $x'")
    terminal.press("\x1a")
    terminal.expect(STOPPED)
    terminal.type("bg; wait")  # stopped again at once: it reads the terminal
    terminal.expect(STOPPED)
    terminal.type("fg")
    terminal.type("hello")
    terminal.expect("got hello\n")
    expect_status(terminal, 0)


def test_ctrl_backslash(terminal: Terminal) -> None:
    terminal.type("ulimit -c 0")
    terminal.expect("ready> ")
    run_in(terminal, f"sh -c 'echo begun; exec {SLEEP}'")
    terminal.press("\x1c")
    terminal.expect("Quit")
    expect_status(terminal, 131)


def test_ctrl_c_of_a_program_that_catches_it(terminal: Terminal) -> None:
    run_in(terminal, "$p/catcher")
    for left in (2, 1):
        terminal.press("\x03")
        terminal.expect(f"caught {left}\n")
    terminal.expect("truth: ")
    expect_status(terminal, 5)


def test_a_background_job_that_reads_the_terminal(terminal: Terminal) -> None:
    terminal.type("w cat &")
    terminal.expect("ready> ")
    terminal.type("wait; jobs")
    terminal.expect(STOPPED)
    terminal.type("fg")
    terminal.type("hello")
    terminal.expect("hello\n(.*\n)*hello\n")
    terminal.press("\x04")
    expect_status(terminal, 0)


def test_a_shell_as_the_program(terminal: Terminal) -> None:
    terminal.type("export p; PS1='in''ner> ' w bash --norc --noprofile --noediting -i")
    terminal.expect("inner> ")
    terminal.type("$p/waiter")
    terminal.expect(r"\nbegun\n")
    terminal.press("\x1a")
    terminal.expect(r"Stopped.*\n(.*\n)*inner> ")
    terminal.type("fg")
    terminal.expect(r"\non\n")
    terminal.press("\x03")
    terminal.expect("inner> ")
    terminal.type("suspend")
    terminal.expect(STOPPED)
    terminal.type("fg")
    terminal.type("exit 3")
    terminal.expect("truth: ")
    expect_status(terminal, 3)


def test_a_program_that_stops_itself(terminal: Terminal) -> None:
    run_in(terminal, "sh -c 'echo begun; kill -TSTP $$; echo back'")
    terminal.expect(STOPPED)
    terminal.type("fg")
    terminal.expect("\nback\n")
    expect_status(terminal, 0)


def test_a_pipeline_of_the_terminal_stops_and_goes_on(terminal: Terminal) -> None:
    terminal.type("w $p/waiter | cat")
    terminal.expect(r"\nbegun\n")
    terminal.press("\x1a")
    terminal.expect(STOPPED)
    terminal.type("fg")
    terminal.expect(r"\non\n")
    terminal.press("\x03")
    terminal.expect("ready> ")


def test_hang_up_of_the_terminal_ends_the_program() -> None:
    terminal = Terminal()
    terminal.type(" ".join(runner()) + " sh -c 'echo pid $$; exec sleep 1000'")
    program = int(terminal.expect(r"pid (\d+)\n")[1])
    supervisor = parent(program)
    terminal.close()
    wait_until(lambda: ended(program) and ended(supervisor), "the program and the supervisor to end")
