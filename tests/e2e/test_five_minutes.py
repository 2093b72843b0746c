"""The first five minutes of a newcomer: the demo, and everything that the README has them type, with what it answers.

The README's port 8000 is replaced by one that is free here; nothing else is changed. What stands below a command must
be what it prints, but for times, numbers and the width of columns.
"""

from __future__ import annotations

import re
import secrets
import shlex
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness import (
    LOCALHOST,
    PYTHON,
    ROOT,
    WINSOCK,
    Running,
    bare,
    kill_marked,
    marked,
    name_of,
    needs,
    running,
    winsock,
)
from tests.e2e.newcomer import Newcomer, Page, shape
from tests.supervisor.generations.running import Terminal
from tests.waiting import wait_until

README = Page(ROOT / "README.md")


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """Ready to type."""
    needs("curl")
    needs("python3")
    with ExitStack() as leaving:
        yield Newcomer(tmp_path, leaving)


def test_everything_in_the_readme_prints_what_stands_there(newcomer: Newcomer) -> None:
    (mine,) = README.blocks("python")
    newcomer.write("mine.py", mine)
    commands = README.typed()
    assert [one.command.split()[0] for one in commands].count("winsock") >= 4
    for one in sorted(commands, key=lambda one: one.command.startswith("winsock")):
        assert shape(newcomer.type(one.command)) == shape(one.printed), one.command


def test_the_readmes_layer_has_ten_lines_and_is_the_example() -> None:
    (mine,) = README.blocks("python")
    assert len(mine.splitlines()) <= 10
    assert mine == (ROOT / "examples" / "redirect.py").read_text()


def test_what_the_readme_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.text)
    assert "docs/map.md" in links
    assert [link for link in links if not (ROOT / link).exists()] == []


# --- the demo ---------------------------------------------------------------------------------------------------------


def test_the_demo_shows_a_connection_and_a_redirected_one() -> None:
    finished = bare(PYTHON, ROOT / "examples" / "demo.py")
    assert finished.status == 0, finished.text
    text = finished.stdout.decode()
    assert text.count("Hello from the demo's own server.") == 2
    port = re.search(r"listens on 127\.0\.0\.1:(\d+)", text)
    assert port is not None
    assert len(re.findall(rf"connect +tcp 127\.0\.0\.1:{port[1]} +connected", finished.text)) == 2
    assert f"192.0.2.1:80 is asked for, 127.0.0.1:{port[1]} it gets" in finished.text
    assert finished.text.count("sockets seen: 1, layered: 1, passed: 0") == 2


def test_make_demo_runs_it() -> None:
    finished = bare(needs("make"), "--dry-run", "demo", cwd=ROOT)
    assert b"examples/demo.py" in finished.stdout


# --- Ctrl-C in the middle of something --------------------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that lets everybody in and never says anything."""
    with socket.create_server((LOCALHOST, 0), backlog=8) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: a connect stays pending."""
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            yield listener.getsockname()[1]


@pytest.fixture(params=["waiting for an answer", "waiting for a connection"])
def port(request: pytest.FixtureRequest) -> int:
    """Somewhere to be in the middle of something."""
    chosen: int = request.getfixturevalue("silent_port" if "answer" in request.param else "full_port")
    return chosen


def test_an_interrupt_of_the_group_ends_the_program_and_the_lines_come(silent_port: int) -> None:
    curl = needs("curl")
    with running([*WINSOCK, "run", "--", curl, "-s", f"http://{LOCALHOST}:{silent_port}/"]) as started:
        assert f"{LOCALHOST}:{silent_port}" in started.error_line()
        started.signal(signal.SIGINT, group=True)
        finished = started.wait()
        check_gone(started)
    assert finished.status == 130
    check_last_lines(finished.text.splitlines(), silent_port)


def check_last_lines(lines: list[str], port: int) -> None:
    """After Ctrl-C: close, summary and truth, and nothing of ours that fell over."""
    assert [line for line in lines if "close" in line and f"{LOCALHOST}:{port}" in line]
    assert lines[-1] == "winsock: sockets seen: 1, layered: 1, passed: 0; calls refused: 0; still running: 0"
    assert "Traceback" not in "".join(lines)


def check_gone(started: Running) -> None:
    """Nothing of the run is left, the supervisor included."""
    wait_until(lambda: not started.processes(), "everything to end", lambda: str(started.processes()))


def test_ctrl_c_in_a_terminal(port: int) -> None:
    mark = secrets.token_hex(8)
    curl = needs("curl")
    terminal = Terminal()
    try:
        before = len(connections(port))
        words = shlex.join([*WINSOCK, "run", "--", curl, "-s", f"http://{LOCALHOST}:{port}/"])
        terminal.type(f"WINSOCK_TEST_MARK={mark} {words}")
        wait_until(lambda: len(connections(port)) > before, "curl to be in the middle of it")
        wait_until(lambda: [pid for pid in marked(mark) if name_of(pid) == "curl"], "curl")
        terminal.press("\x03")
        terminal.expect(r"sockets seen: 1, layered: 1, passed: 0; calls refused: 0; still running: 0\n")
        terminal.expect("ready> ")
        terminal.type("echo status=$?")
        terminal.expect("status=130\n")
        wait_until(lambda: not marked(mark), "everything to end")
    finally:
        terminal.close()
        kill_marked(mark)


def connections(port: int) -> list[str]:
    """The sockets that are connected to the port, or try to."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[2] == f"0100007F:{port:04X}" and row[3] in ("01", "02")]


# --- a typo -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typo", ["trcae", "Trace", "trace ", "tarce"])
def test_a_typo_says_what_there_is(typo: str) -> None:
    finished = winsock("run", "--layer", typo, "--", "true")
    assert finished.status == 2
    assert f"there is no layer {typo!r}; there are: trace" in finished.text
