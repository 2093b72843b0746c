"""Daemons that run already: found by name, told of with advice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.puppet import Puppet, puppet
from tests.supervisor.generations.running import state
from tests.waiting import wait_until
from winsock.supervisor.outside import HELPERS, warnings


@pytest.fixture
def daemon() -> Iterator[Puppet]:
    with puppet() as process:
        yield process


@pytest.fixture
def only(daemon: Puppet, monkeypatch: pytest.MonkeyPatch) -> Puppet:
    """The one daemon there is, whatever else runs on this machine."""
    listdir = os.listdir
    monkeypatch.setattr(
        os,
        "listdir",
        lambda path: ["self", "version", str(daemon.pid)] if path == "/proc" else listdir(path),
    )
    return daemon


def call_it(process: Puppet, name: str) -> None:
    process.run(f"open('/proc/self/comm', 'w').write({name!r})")


def nobody() -> set[int]:
    return set()


@pytest.mark.parametrize(
    ("program", "daemon_name"),
    [
        ("wine", "wineserver"),
        ("/usr/bin/wine64", "wineserver"),
        ("wine-stable", "wineserver"),
        ("./SETUP.EXE", "wineserver"),
        ("firefox", "firefox"),
        ("firefox-esr", "firefox-esr"),
        ("google-chrome-stable", "chrome"),
        ("chromium", "chromium"),
        ("code", "code"),
    ],
)
def test_a_program_whose_daemon_runs_is_told_of_it(only: Puppet, program: str, daemon_name: str) -> None:
    call_it(only, daemon_name)
    (line,) = warnings([program, "argument"], nobody)
    assert line.startswith(f"winsock: a {daemon_name} (process {only.pid}) already runs outside: ")
    assert any(line.endswith(helper.advice) for helper in HELPERS)


@pytest.mark.parametrize("program", ["curl", "wineskin", "decode", "firefoxy", "exe"])
def test_other_programs_have_nothing_to_do_with_it(only: Puppet, program: str) -> None:
    for name in ("wineserver", "firefox", "chrome", "code"):
        call_it(only, name)
        assert warnings([program], nobody) == []


def test_a_daemon_of_the_run_is_no_stranger(only: Puppet) -> None:
    call_it(only, "wineserver")
    assert warnings(["wine"], lambda: {only.pid}) == []


def test_another_program_is_no_daemon(only: Puppet) -> None:
    call_it(only, "winedevice.exe")
    assert warnings(["wine"], nobody) == []


def test_a_daemon_that_has_ended_is_none(only: Puppet) -> None:
    call_it(only, "wineserver")
    only.kill()
    assert warnings(["wine"], nobody) == []


def test_one_that_only_waits_to_be_reaped_is_none(daemon: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    child = daemon.run("os.fork() or (open('/proc/self/comm', 'w').write('wineserver'), signal.pause())")
    wait_until(lambda: Path(f"/proc/{child}/comm").read_text() == "wineserver\n", "it is called so")
    os.kill(child, 9)
    wait_until(lambda: state(child) == "Z", "it waits to be reaped")
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [str(child)] if path == "/proc" else listdir(path))
    assert warnings(["wine"], nobody) == []
    daemon.run(f"os.waitpid({child}, 0)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_daemon_of_another_user_is_his(only: Puppet) -> None:
    call_it(only, "wineserver")
    only.run("os.setuid(65534)")
    assert warnings(["wine"], nobody) == []


def test_the_first_is_told_of(daemon: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    with puppet() as second:
        call_it(daemon, "wineserver")
        call_it(second, "wineserver")
        listdir = os.listdir
        both = [str(second.pid), str(daemon.pid)]
        monkeypatch.setattr(os, "listdir", lambda path: both if path == "/proc" else listdir(path))
        (line,) = warnings(["wine"], nobody)
        assert f"process {min(daemon.pid, second.pid)})" in line


def test_a_name_with_brackets_is_read_to_its_end(only: Puppet) -> None:
    call_it(only, "wineserver) Z (")
    (line,) = warnings(["wine"], nobody)
    assert "a wineserver) Z ( (process" in line
