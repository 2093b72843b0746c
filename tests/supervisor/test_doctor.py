"""What the doctor finds here, and what it would say elsewhere."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import winsock
from winsock.host import numbers
from winsock.supervisor import doctor, kernel
from winsock.supervisor.doctor import Check, Facts, Trial

GOOD_TRIAL = Trial(0, 0, 0, 0, 0)
STATUS = (
    "Name:\tpython\nCapEff:\t{capabilities:016x}\nNoNewPrivs:\t{nnp}\nSeccomp:\t{mode}\nSeccomp_filters:\t{filters}\n"
)


def status(*, capabilities: int = 0, nnp: int = 0, mode: int = 0, filters: int = 0) -> str:
    return STATUS.format(capabilities=capabilities, nnp=nnp, mode=mode, filters=filters)


GOOD = Facts("6.12.0-arch1", status(), None, "1", "1", GOOD_TRIAL, 0, errno.EFAULT, 0)


def verdict(facts: Facts, name: str) -> Check:
    [found] = [check for check in (judge(facts) for judge in doctor._CHECKS) if check.name == name]
    return found


def test_this_machine_is_healthy_and_nothing_is_left_behind() -> None:
    before = set(os.listdir("/proc/self/fd")), Facts.field(GOOD._replace(status=read_status()), "NoNewPrivs")
    found = doctor.checks()
    assert [check for check in found if check.works is False] == []
    assert doctor.healthy(found)
    assert (set(os.listdir("/proc/self/fd")), Facts.field(GOOD._replace(status=read_status()), "NoNewPrivs")) == before
    assert not zombies()


def read_status() -> str:
    return Path("/proc/self/status").read_text()


def zombies() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return False


def test_what_was_tried_worked() -> None:
    found = {check.name: check for check in doctor.checks()}
    for name in ("kernel", "seccomp listener", "pidfd_getfd", "sock_diag", "no_new_privs", "nesting", "Yama"):
        assert found[name].works is True, found[name]
    assert found["seccomp listener"].found == "a call was trapped and answered"


@pytest.mark.parametrize(
    ("facts", "name", "works", "said"),
    [
        (GOOD, "kernel", True, "6.12.0-arch1"),
        (GOOD._replace(release="6.6.8"), "kernel", True, "6.9 would"),
        (GOOD._replace(release="6.0"), "kernel", True, "6.6 would"),
        (GOOD._replace(release="6.1-rc1"), "kernel", True, "6.6 would"),
        (GOOD._replace(release="5.19.17"), "kernel", False, "6.0 or newer"),
        (GOOD._replace(release="strange"), "kernel", False, "strange"),
        (GOOD, "seccomp listener", True, "trapped and answered"),
        (GOOD._replace(trial=Trial(0, 0, errno.EPERM, None, 0)), "seccomp listener", True, "was installed"),
        (GOOD._replace(trial=Trial(0, errno.EBUSY)), "seccomp listener", None, "see nesting"),
        (GOOD._replace(trial=Trial(0, errno.EINVAL)), "seccomp listener", False, "6.0 or newer"),
        (GOOD._replace(trial=Trial(0, errno.EPERM)), "seccomp listener", False, "a sandbox or container"),
        (GOOD._replace(trial=Trial(0, errno.ENOMEM)), "seccomp listener", False, "ENOMEM"),
        (GOOD._replace(trial=Trial(0, 0, 0, errno.ETIMEDOUT, 0)), "seccomp listener", False, "ETIMEDOUT"),
        (GOOD, "pidfd_getfd", True, "was taken"),
        (GOOD._replace(trial=Trial(0, 0, errno.EPERM)), "pidfd_getfd", False, "see Yama"),
        (GOOD._replace(trial=Trial(0, 0, errno.ENOSYS)), "pidfd_getfd", False, "ENOSYS"),
        (GOOD._replace(trial=Trial(0, errno.EBUSY)), "pidfd_getfd", None, "not tried"),
        (GOOD, "PIDFD_THREAD", True, "can be opened"),
        (GOOD._replace(trial=Trial(0, 0, 0, 0, errno.EINVAL)), "PIDFD_THREAD", None, "6.9"),
        (GOOD, "/proc", True, "mounted"),
        (GOOD._replace(status=""), "/proc", False, "mount -t proc"),
        (GOOD, "Yama", True, "absent"),
        (GOOD._replace(yama="0"), "Yama", True, "no restriction"),
        (GOOD._replace(yama="1"), "Yama", True, "ancestors"),
        (GOOD._replace(yama="2"), "Yama", False, "ptrace_scope=1"),
        (GOOD._replace(yama="2", status=status(capabilities=1 << 19)), "Yama", True, "CAP_SYS_PTRACE"),
        (GOOD._replace(yama="3", status=status(capabilities=1 << 19)), "Yama", False, "reboot"),
        (GOOD._replace(yama="4"), "Yama", None, "not known"),
        (GOOD, "sock_diag", True, "was told of"),
        (GOOD._replace(notice=errno.ENOENT), "sock_diag", False, "INET_DIAG"),
        (GOOD, "no_new_privs", True, "gain no rights inside winsock run"),
        (GOOD._replace(status=status(nnp=1)), "no_new_privs", True, "set already"),
        (GOOD._replace(status=status(capabilities=1 << 21)), "no_new_privs", True, "would not have to be"),
        (GOOD._replace(trial=Trial(errno.EPERM)), "no_new_privs", False, "a sandbox"),
        (GOOD, "nesting", True, "no seccomp filter"),
        (GOOD._replace(status=status(mode=2, filters=2)), "nesting", True, "2 seccomp filters, none"),
        (
            GOOD._replace(status=status(mode=2, filters=3), trial=Trial(0, errno.EBUSY)),
            "nesting",
            False,
            "one listener in a process tree",
        ),
        (GOOD, "CAP_SYS_PTRACE", None, "another user"),
        (GOOD._replace(status=status(capabilities=1 << 19)), "CAP_SYS_PTRACE", None, "there"),
        (GOOD, "io_uring", None, "ENOSYS"),
        (GOOD._replace(io_uring=errno.ENOSYS), "io_uring", None, "not in this kernel"),
        (GOOD._replace(io_uring=errno.EPERM), "io_uring", None, "disabled"),
        (GOOD, "TCP fast open", None, "on for clients"),
        (GOOD._replace(fast_open="2"), "TCP fast open", None, "off for clients"),
        (GOOD._replace(fast_open=None), "TCP fast open", None, "off for clients"),
        (GOOD, "MPTCP", None, "EPROTONOSUPPORT"),
        (GOOD._replace(mptcp=None), "MPTCP", None, "off"),
        (GOOD, "vsock loopback", None, "there"),
        (GOOD._replace(vsock=errno.EADDRNOTAVAIL), "vsock loopback", None, "modprobe vsock_loopback"),
        (GOOD._replace(vsock=errno.EAFNOSUPPORT), "vsock loopback", None, "EAFNOSUPPORT"),
    ],
)
def test_a_fact_has_its_verdict(facts: Facts, name: str, works: bool | None, said: str) -> None:
    check = verdict(facts, name)
    assert check.works is works
    assert said in f"{check.found}\n{check.advice}"


def test_what_fails_says_what_to_do() -> None:
    for facts in (
        GOOD._replace(release="4.4", yama="3", notice=errno.EPERM, trial=Trial(errno.EPERM, errno.ENOSYS)),
        GOOD._replace(yama="2", trial=Trial(0, 0, errno.EPERM, None, errno.EINVAL)),
        GOOD._replace(trial=Trial(0, errno.EBUSY)),
    ):
        failing = [check for check in (judge(facts) for judge in doctor._CHECKS) if check.works is False]
        assert failing
        assert all(check.advice for check in failing)
        assert not doctor.healthy(failing)


def test_the_report_in_words() -> None:
    text = doctor.render_text(
        [Check("one", True, "fine"), Check("second", None, "so", "hint"), Check("x", False, "bad")]
    )
    assert text.splitlines() == [
        "works  one     fine",
        "-      second  so",
        "               hint",
        "FAILS  x       bad",
        "winsock run does not fully work here.",
    ]
    assert doctor.render_text([Check("one", True, "fine")]).endswith("\nwinsock run works here.")


def test_the_report_as_json() -> None:
    assert json.loads(doctor.as_json([Check("one", None, "fine")])) == {
        "healthy": True,
        "checks": [{"name": "one", "works": None, "found": "fine", "advice": ""}],
    }


def test_elsewhere_it_says_that_linux_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    [found] = doctor.checks()
    assert found.works is False
    assert "needs Linux" in found.advice


def test_a_machine_without_known_calls_has_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> numbers.Machine:
        raise OSError(errno.ENOSYS, "unknown")

    monkeypatch.setattr(kernel, "machine", unknown)
    assert doctor.try_supervising() == Trial(0, errno.ENOSYS)


def test_a_listener_that_cannot_be_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(pidfd: int, descriptor: int) -> int:
        raise PermissionError(errno.EPERM, "forbidden")

    monkeypatch.setattr(kernel, "pidfd_getfd", forbidden)
    trial = doctor.try_supervising()
    assert (trial.install, trial.take, trial.answer) == (0, errno.EPERM, None)


def test_a_late_report_is_not_taken_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first comes when it is no more waited for: the second would name a descriptor that it does not know."""
    reports = iter([(errno.ETIMEDOUT, 0), (0, 0), (0, 3)])
    monkeypatch.setattr(doctor, "_reported", lambda descriptor: next(reports))
    trial = doctor.try_supervising()
    assert (trial.no_new_privs, trial.install, trial.take, trial.answer) == (
        errno.ETIMEDOUT,
        errno.ETIMEDOUT,
        None,
        None,
    )


def test_silence_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TRIAL_MS", 1)
    reports, report = os.pipe()
    assert doctor._reported(reports) == (errno.ETIMEDOUT, 0)
    assert doctor._answer(reports, reports) == errno.ETIMEDOUT
    os.close(report)
    assert doctor._reported(reports) == (errno.ECHILD, 0)
    assert doctor._answer(reports, reports) in (errno.ENOTTY, errno.ESRCH)
    os.close(reports)


ELSEWHERE = """
import json, os, sys
sys.path.insert(0, {source!r})
from winsock.supervisor import doctor, kernel
from winsock.supervisor.generations import system
system.prctl(system.PR_SET_NO_NEW_PRIVS)
{first}
print(doctor.as_json(doctor.checks()))
"""
UNDER_A_LISTENER = "system.install_filter(doctor._trap_one_call())"
WITHOUT_RIGHTS = """
if os.getuid() == 0:
    os.setgroups([]); os.setresgid(1, 1, 1); os.setresuid(1, 1, 1)
    system.prctl(system.PR_SET_DUMPABLE)
"""


def report_elsewhere(first: str) -> dict[str, Check]:
    script = ELSEWHERE.format(source=str(Path(winsock.__path__[0]).parent), first=first)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.returncode) == ("", 0)
    return {row["name"]: Check(**row) for row in json.loads(done.stdout)["checks"]}


def test_under_a_listener_it_says_so() -> None:
    found = report_elsewhere(UNDER_A_LISTENER)
    assert found["nesting"].works is False
    assert found["seccomp listener"].works is None
    assert not doctor.healthy(list(found.values()))


def test_without_rights_all_is_well_too() -> None:
    found = report_elsewhere(WITHOUT_RIGHTS)
    assert doctor.healthy(list(found.values()))
    assert found["CAP_SYS_PTRACE"].found == "not there"
    assert "set already" in found["no_new_privs"].found
