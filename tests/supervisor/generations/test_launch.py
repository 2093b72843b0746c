"""How a program starts: what it inherits, how its end is told, and what is said when it cannot start."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
from pathlib import Path

import pytest

from tests.supervisor.generations.running import (
    ENVIRONMENT,
    PYTHON,
    ROOT,
    WORLDS,
    call,
    enter,
    read_line,
    runner,
    started,
)
from winsock.supervisor.generations import launch
from winsock.supervisor.generations.launch import Inheritance, LaunchError, resolve

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="winsock run needs Linux")

SOCKET = "import socket; socket.socket().close(); print('made')"
TRUTH = b"truth: 0 calls, still running: none\n"
KEPT_BY_LIBC = 1 << 31 | 1 << 32
"""Signals 32 and 33, which no program can set; whoever started us may have them ignored."""


@pytest.mark.parametrize("world", WORLDS)
def test_a_trapped_call_is_answered(world: str) -> None:
    done = call([*enter(world), *runner(), "/usr/bin/python3", "-I", "-c", SOCKET])
    assert (done.stdout, done.stderr) == (b"made\n", b"truth: 1 calls, still running: none\n")
    assert done.returncode == 0


@pytest.mark.parametrize("world", WORLDS)
def test_the_status_is_the_programs(world: str) -> None:
    assert call([*enter(world), *runner(), "sh", "-c", "exit 7"]).returncode == 7


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT, signal.SIGPIPE, signal.SIGRTMIN])
def test_a_signal_that_ends_the_program_ends_us(number: signal.Signals) -> None:
    done = call([*runner(), "sh", "-c", f"kill -{int(number)} $$"])
    assert done.returncode == -number
    assert done.stderr == TRUTH


def test_a_shell_sees_128_and_the_signal() -> None:
    script = '"$@"; echo $?'
    done = call(["sh", "-c", script, "sh", *runner(), "sh", "-c", "kill -SEGV $$"])
    assert done.stdout == b"139\n"


def test_a_killed_program_is_told_by_137() -> None:
    assert call([*runner(), "sh", "-c", "kill -KILL $$"]).returncode == 137


def test_no_core_file_of_ours(tmp_path: Path) -> None:
    script = 'ulimit -c unlimited 2>/dev/null; exec "$@"'
    call(["sh", "-c", script, "sh", *runner(), "sh", "-c", "ulimit -c 0; kill -SEGV $$"], cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


# What cannot start


@pytest.mark.parametrize("name", ["no-such-program-anywhere", "./no-such-program", "", "/etc/passwd/x"])
def test_not_found_is_127(name: str) -> None:
    done = call([*runner(), name])
    assert (done.returncode, done.stderr.decode()) == (127, f"winsock: {name}: not found\n")


def test_a_whole_command_as_one_word_is_told_apart() -> None:
    done = call([*runner(), "echo hello"])
    assert done.returncode == 127
    assert done.stderr == b"winsock: echo hello: not found (as one word: a program and its arguments are several)\n"


def test_not_executable_is_126(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text")
    done = call([*runner(), "./plain"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (126, b"winsock: ./plain: permission denied\n")


def test_a_folder_is_126(tmp_path: Path) -> None:
    done = call([*runner(), str(tmp_path)])
    assert (done.returncode, done.stderr.decode()) == (126, f"winsock: {tmp_path}: is a directory\n")


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("text", ["\x7fELF of a kind that this machine does not run\n", "two\0three\n"])
def test_what_is_no_program_and_no_script_is_126(tmp_path: Path, text: str) -> None:
    done = call([*runner(), str(executable(tmp_path / "data", text))])
    assert (done.returncode, done.stderr.decode()) == (126, f"winsock: {tmp_path}/data: Exec format error\n")


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    done = call([*runner(), str(executable(tmp_path / "text", "#!/no/such/interpreter\n"))])
    assert done.returncode == 126
    assert b"its interpreter" in done.stderr
    assert b"not found" in done.stderr


def test_a_second_listener_is_refused_with_the_reason() -> None:
    done = call([*runner(), *runner(), "true"])
    assert done.returncode == 125
    assert b"winsock: this process already runs under a seccomp listener" in done.stderr
    assert done.stderr.endswith(TRUTH)  # the outer run's


def test_a_filter_that_the_kernel_refuses_is_125() -> None:
    done = call([*runner("bad_filter"), "true"])
    assert (done.returncode, done.stderr.count(b"\n")) == (125, 1)
    assert b"Linux 6.0" in done.stderr


@pytest.mark.parametrize("fork", ["1", "2", "3"])
def test_without_processes_left_it_says_so(fork: str) -> None:
    done = call([*runner(f"no_fork={fork}"), "true"])
    assert (done.returncode, done.stdout) == (125, b"")
    assert re.fullmatch(rb"winsock: .*: Resource temporarily unavailable\n", done.stderr)


def test_path_is_searched_like_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("forbidden", "good"):
        (tmp_path / folder).mkdir()
        executable(tmp_path / folder / "tool", "#!/bin/sh\n")
    (tmp_path / "forbidden" / "tool").chmod(0o644)
    (tmp_path / "forbidden" / "only").write_text("")
    monkeypatch.chdir(tmp_path / "good")

    def found(path: str, name: str = "tool") -> bytes:
        return resolve(name, Inheritance((f"PATH={path}".encode(),), frozenset(), frozenset(), frozenset()))

    assert found(f"{tmp_path}/none:{tmp_path}/forbidden:{tmp_path}/good") == os.fsencode(tmp_path / "good" / "tool")
    assert found("/none:") == b"./tool"
    with pytest.raises(LaunchError) as caught:
        found(f"{tmp_path}/none:{tmp_path}/forbidden", "only")
    assert caught.value.status == 126


def test_without_a_path_the_usual_folders_are_searched() -> None:
    assert resolve("sh", Inheritance((), frozenset(), frozenset(), frozenset())) == b"/bin/sh"


def test_argv0_is_as_typed() -> None:
    done = call([*runner(), "cat", "/proc/self/cmdline"])
    assert done.stdout == b"cat\0/proc/self/cmdline\0"


# What a program inherits: the same as from a bare run


def same_as_bare(*program: str, through: list[str] | None = None, **more: object) -> bytes:
    """Compare what a program prints under the runner and bare, both started `through` the same command."""
    bare = call([*(through or []), *program], **more)
    supervised = call([*(through or []), *runner(), *program], **more)
    assert supervised.stdout == bare.stdout
    assert supervised.returncode == bare.returncode == 0
    return bare.stdout


def test_the_environment_is_the_one_we_were_given() -> None:
    through = ["env", "-i", "A=1", f"PYTHONPATH={ROOT}/src", "Z=\udcff", "PATH=/usr/bin:/bin"]
    shown = same_as_bare("/bin/cat", "/proc/self/environ", through=through)
    assert b"LC_CTYPE" not in shown
    assert b"Z=\xff\0" in shown


def test_even_odd_environment_entries_pass() -> None:
    script = (
        "import sys\nfrom winsock.supervisor.generations.system import execve\n"
        "argv = [a.encode() for a in sys.argv[1:]]\n"
        f"execve(argv[0], argv, [b'TWICE=1', b'PYTHONPATH={ROOT}/src', b'no equals sign', b'TWICE=2'])"
    )
    shown = same_as_bare("/bin/cat", "/proc/self/environ", through=[PYTHON, "-c", script])
    assert shown.startswith(b"TWICE=1\0")
    assert shown.endswith(b"\0no equals sign\0TWICE=2\0")


def test_signals_mask_and_umask_are_the_same() -> None:
    block = ["env", "--ignore-signal=USR1,CHLD,INT,TSTP", "--block-signal=USR2,TERM", "--default-signal=PIPE"]
    through = ["sh", "-c", 'umask 027; exec "$@"', "sh", *block]
    fields = "^(Umask|SigBlk|SigIgn|SigCgt|SigPnd|ShdPnd|Groups|Uid|Gid|Cap.*):"
    shown = same_as_bare("grep", "-E", fields, "/proc/self/status", through=through)
    assert re.search(rb"Umask:\s+0027", shown)
    ignored = re.search(rb"SigIgn:\s+(\w+)", shown)
    assert ignored is not None
    expected = {signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGTSTP}
    assert int(ignored[1], 16) & ~KEPT_BY_LIBC == sum(1 << (number - 1) for number in expected)


def test_python_does_not_leave_sigpipe_ignored() -> None:
    done = call([*runner(), "sh", "-c", "grep SigIgn /proc/self/status"])
    assert int(done.stdout.split()[1], 16) & ~KEPT_BY_LIBC == 0


def test_the_status_comes_even_where_sigchld_was_ignored() -> None:
    done = call(["env", "--ignore-signal=CHLD", *runner(), "sh", "-c", "exit 9"])
    assert done.returncode == 9


def test_limits_and_folder_are_the_same(tmp_path: Path) -> None:
    script = 'ulimit -S -n 200; ulimit -S -c 0; ulimit -S -s 4096; exec "$@"'
    shown = same_as_bare("cat", "/proc/self/limits", through=["sh", "-c", script, "sh"])
    assert re.search(rb"Max open files +200 ", shown)
    assert same_as_bare("pwd", cwd=tmp_path).decode() == f"{tmp_path}\n"


def test_inherited_descriptors_are_the_same(tmp_path: Path) -> None:
    script = f'exec 5>"{tmp_path}/five" 9<"{tmp_path}/five"; exec "$@"'
    simplify = "s/pipe:.*/pipe/; s/^.proc.*/proc/"
    list_numbers = f"cd /proc/self/fd; for n in *; do echo $n $(readlink $n | sed '{simplify}'); done"
    shown = same_as_bare("sh", "-c", list_numbers, through=["sh", "-c", script, "sh"])
    assert f"\n5 {tmp_path}/five\n".encode() in shown
    assert f"\n9 {tmp_path}/five\n".encode() in shown


def test_closed_standard_streams_stay_closed() -> None:
    same_as_bare("sh", "-c", "ls /proc/$$/fd", through=["sh", "-c", 'exec "$@" <&- 2>&-', "sh"])


def test_session_and_group_are_the_fronts() -> None:
    with started([*runner(), "sh", "-c", "cat /proc/self/stat; read x"]) as front:
        assert front.stdout is not None
        fields = front.stdout.readline().decode().rpartition(") ")[2].split()
        assert int(fields[2]) == os.getpgid(front.pid)
        assert int(fields[3]) == os.getsid(front.pid)
        front.communicate(b"\n", timeout=20)


def test_no_new_privs_is_always_set() -> None:
    done = call([*runner(), "grep", "NoNewPrivs", "/proc/self/status"])
    assert done.stdout.split() == [b"NoNewPrivs:", b"1"]


def test_streams_are_untouched() -> None:
    data = os.urandom(1 << 20)
    done = call([*runner(), "cat"], input=data)
    assert done.stdout == data
    assert done.stderr == TRUTH


def test_an_alarm_that_was_set_before_reaches_the_program() -> None:
    script = "import os, signal, sys; signal.setitimer(signal.ITIMER_REAL, 0.3); os.execvp(sys.argv[1], sys.argv[1:])"
    with started([PYTHON, "-c", script, *runner(), "cat"]) as front:
        assert front.wait(20) == -signal.SIGALRM


@pytest.mark.parametrize("fork", ["1", "2", "3"])
def test_an_interrupt_during_the_start_is_not_lost(fork: str) -> None:
    with started([*runner(f"interrupt={fork}"), "cat"]) as front:
        assert front.wait(20) == -signal.SIGINT


@pytest.mark.parametrize("fork", ["1", "2", "3"])
def test_an_interrupt_during_the_start_arrives_once(fork: str) -> None:
    wait_twice = "import signal\nfor i in range(2): print(signal.Signals(signal.sigwait({2, 10})).name, flush=True)"
    blocked = ["env", "--block-signal=INT,USR1"]
    with started([*blocked, *runner(f"interrupt={fork}"), "/usr/bin/python3", "-I", "-c", wait_twice]) as front:
        assert read_line(front) == "SIGINT"
        os.kill(front.pid, signal.SIGUSR1)  # passed on after a second interrupt, if there is one
        assert read_line(front) == "SIGUSR1"


def test_the_environment_for_tests_reaches_the_runner() -> None:
    """Guards the tests above: the runner must import the sources beside it."""
    assert ENVIRONMENT["PYTHONPATH"] == str(ROOT / "src")


@pytest.mark.parametrize(
    ("most", "allowed", "limit"),
    [(100, False, 100), (100, True, 1 << 20), (1 << 30, False, 1 << 30), (resource.RLIM_INFINITY, True, -1)],
)
def test_the_supervisor_may_open_more_than_its_program_where_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, most: int, allowed: bool, limit: int
) -> None:
    limits = [(50, most)]

    def set_limit(which: int, wanted: tuple[int, int]) -> None:
        if wanted[1] > most and not allowed:
            raise ValueError("not allowed to raise maximum limit")
        limits.append(wanted)

    monkeypatch.setattr(resource, "getrlimit", lambda which: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", set_limit)
    launch._raise_limit()
    assert limits[1:] == [(limit, limit)]
