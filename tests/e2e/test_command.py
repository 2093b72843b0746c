"""The `winsock` command: what it passes on, what it says and where, and how it refuses."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import (
    LOCALHOST,
    PROGRAMS,
    PYTHON,
    WINSOCK,
    Finished,
    Record,
    WebServer,
    bare,
    environment,
    free_port,
    name_of,
    parse,
    supervised,
    supervising,
    winsock,
)
from tests.waiting import wait_until

TRUTH = "winsock: sockets seen: {seen}, layered: {layered}, passed: 0; calls refused: 0; still running: 0\n"
NO_CONNECTIONS = TRUTH.format(seen=0, layered=0)


def dial(server: WebServer) -> list[str]:
    """A plain client of that server."""
    return [PYTHON, str(PROGRAMS / "dial.py"), server.host, str(server.port)]


# --- the program's start and end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 42, 125, 255])
def test_the_exit_status_is_the_programs(status: int) -> None:
    assert winsock("run", "--", "sh", "-c", f"exit {status}").status == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, signal.SIGRTMIN])
def test_after_a_signal_the_status_is_128_and_its_number(number: signal.Signals) -> None:
    script = f"ulimit -c 0; kill -{int(number)} $$"
    assert winsock("run", "--", "sh", "-c", script).status == 128 + number


def test_a_program_that_is_not_found_is_127() -> None:
    finished = winsock("run", "--", "no-such-program")
    assert finished == Finished(127, b"", b"winsock: no-such-program: not found\n")
    assert winsock("run", "--", "/no/such/program").status == 127


def test_a_program_that_cannot_be_executed_is_126(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    assert winsock("run", "--", plain) == Finished(126, b"", f"winsock: {plain}: permission denied\n".encode())
    assert winsock("run", "--", tmp_path) == Finished(126, b"", f"winsock: {tmp_path}: is a directory\n".encode())
    plain.write_text("#!/no/such/interpreter\n")
    plain.chmod(0o755)
    assert winsock("run", "--", plain).status == 126


def test_a_script_that_does_not_say_what_runs_it_is_run_by_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$1"; exit 3\n')
    script.chmod(0o755)
    command = ["env", str(script), "a  b"]  # as a shell does, and everything else that looks for programs by itself
    assert winsock("run", "--output", os.devnull, "--", *command[1:]) == bare(*command)


def test_the_program_starts_as_it_would_without(tmp_path: Path) -> None:
    script = 'echo "$0 $@"; pwd; umask; ulimit -n; env | grep -v -e ^_= -e MARK; cat; ls -l /proc/self/fd | wc -l'
    command = ["sh", "-c", f"umask 027; exec sh -c '{script}' name 'a  b' c"]
    more: dict[str, Any] = {"input": b"typed\n", "cwd": tmp_path, "env": environment(ONE="1", LC_ALL="C")}
    plain, finished = bare(*command, **more), supervised(*command, **more)
    assert finished.same == plain.same
    assert b"typed" in plain.stdout
    assert finished.stderr == plain.stderr == b""


def test_options_end_at_the_program_even_without_dashes() -> None:
    assert winsock("run", "echo", "--strict", "--", "-x").stdout == b"--strict -- -x\n"
    assert winsock("run", "--strict", "--", "echo", "--", "--layer").stdout == b"-- --layer\n"


# --- where our lines go -----------------------------------------------------------------------------------------------


def test_our_lines_go_to_stderr_and_never_to_stdout(server: WebServer) -> None:
    program = dial(server)
    plain, finished = bare(*program), winsock("run", "--", *program)
    assert finished.same == plain.same
    lines = finished.text.splitlines(keepends=True)
    assert [line.split()[2] for line in lines[:3]] == ["connect", "shutdown", "close"]
    assert f"{server.address} " in lines[0]
    assert "connected" in lines[0]
    assert lines[-1] == TRUTH.format(seen=1, layered=1)


def test_the_summary_has_a_row_for_each_process_and_peer(server: WebServer) -> None:
    one = " ".join(dial(server))
    finished = winsock("run", "--", "sh", "-c", f"{one}; {one}")
    sent, received = (sum(map(len, part)) // 2 for part in zip(*server.taken(2), strict=True))
    rows = [line.split() for line in finished.text.splitlines()[-4:-1]]
    assert rows[0] == ["process", "peer", "connections", "failed", "sent", "received"]
    assert [row[1:] for row in rows[1:]] == [[server.address, "1", "0", f"{sent}", "B", f"{received}", "B"]] * 2
    assert rows[1][0] != rows[2][0]


def test_output_takes_our_lines_to_a_file(server: WebServer, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    finished = winsock("run", "--output", file, "--", *dial(server))
    assert (finished.status, finished.stdout, finished.stderr) == (0, server.body, b"")
    assert file.read_text().endswith(TRUTH.format(seen=1, layered=1))


def test_an_output_that_cannot_be_opened_is_told_before_anything_runs(tmp_path: Path) -> None:
    finished = winsock("run", "--output", tmp_path / "no" / "file", "--", "echo", "ran")
    assert (finished.status, finished.stdout) == (125, b"")
    assert f"{tmp_path}/no/file" in finished.text


def test_a_program_without_sockets_gets_only_the_truth() -> None:
    assert winsock("run", "--", "echo", "hello") == Finished(0, b"hello\n", NO_CONNECTIONS.encode())


# --- JSON -------------------------------------------------------------------------------------------------------------

COMMON = {"event", "time", "process", "thread", "name", "socket", "protocol"}
FIELDS = {
    "connect": COMMON | {"peer", "result", "error", "errno", "duration_us"},
    "bind": COMMON | {"local", "result", "error", "errno"},
    "listen": COMMON | {"local", "backlog", "result", "error", "errno"},
    "accept": COMMON | {"peer", "result", "error", "errno"},
    "shutdown": COMMON | {"peer", "how", "result", "error", "errno"},
    "close": COMMON | {"local", "peer", "sent", "received", "rtt_us", "retransmits", "duration_s", "final"},
    "summary": {"event", "rows"},
    "truth": {"event", "seen", "layered", "passed", "refused", "still_running"},
}
ROW = {"process", "name", "peer", "direction", "connections", "failed", "sent", "received"}
BOTH_ENDS = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    with socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        client.sendall(b"ping")
        server.recv(4)
        server.shutdown(socket.SHUT_WR)
        server.close()
        client.recv(1)
"""


def test_json_is_one_object_a_line_with_every_documented_field() -> None:
    finished = winsock("run", "--format", "json", "--", PYTHON, "-c", BOTH_ENDS)
    assert (finished.status, finished.stdout) == (0, b"")
    records = parse(finished.text)
    missing = [(record["event"], FIELDS[record["event"]] - set(record)) for record in records]
    assert [pair for pair in missing if pair[1]] == []
    assert {record["event"] for record in records} == set(FIELDS)
    assert [record["event"] for record in records[-2:]] == ["summary", "truth"]
    assert all(set(row) >= ROW for row in records[-2]["rows"])
    assert [row["direction"] for row in records[-2]["rows"]] == ["connected", "accepted"]
    check_types([record for record in records if record["event"] not in ("summary", "truth")])


def check_types(records: list[Record]) -> None:
    """What stands in the fields that all events share."""
    for record in records:
        assert isinstance(record["time"], float)
        assert record["name"].startswith("python")
        assert record["protocol"] == "tcp"
        assert all(isinstance(record[name], int) for name in ("process", "thread", "socket"))
    assert len({record["process"] for record in records}) == 1


# --- strict -----------------------------------------------------------------------------------------------------------

DATAGRAM = "import socket; print(socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9)))"


def test_strict_fails_where_a_socket_was_not_layered() -> None:
    finished = supervised(PYTHON, "-c", DATAGRAM, options=["--strict"])
    assert (finished.status, finished.stdout) == (125, b"1\n")
    (reason,) = finished.events("log")
    assert "--strict" in reason["text"]
    assert "udp" in reason["text"]
    assert finished.truth["layered"] == 0
    assert sum(finished.truth["passed"].values()) == 1


def test_without_strict_the_truth_line_says_what_was_passed() -> None:
    finished = winsock("run", "--", PYTHON, "-c", DATAGRAM)
    assert finished.same == (0, b"1\n")
    (truth,) = [line for line in finished.text.splitlines() if "sockets seen" in line]
    assert "seen: 1, layered: 0, passed: 1 (udp" in truth


def test_strict_keeps_the_status_where_all_were_layered(server: WebServer) -> None:
    script = f"{' '.join(dial(server))} && exit 7"
    finished = supervised("sh", "-c", script, options=["--strict"])
    assert finished.same == (7, server.body)


# --- the tree, and the supervisor's death -----------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "left"), [([], 1), (["--wait-all"], 0)])
def test_a_daemon_is_told_of_or_waited_for(tmp_path: Path, more: list[str], left: int) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f'(read line < {gate}; echo "$line" > {tmp_path}/done) > /dev/null 2>&1 & echo $!'
    with supervising("sh", "-c", script, options=more) as started:
        int(started.line())
        if more:
            gate.write_text("released\n")
        finished = started.wait()
        if not more:
            gate.write_text("released\n")
            wait_until(lambda: not started.processes(), "the supervisor to end after the daemon")
    assert finished.status == 0
    assert finished.truth["still_running"] == left
    assert (tmp_path / "done").read_text() == "released\n"


def test_a_run_inside_a_run_says_why_it_cannot() -> None:
    finished = supervised(*WINSOCK, "run", "--", "echo", "ran")
    assert (finished.status, finished.stdout) == (125, b"")
    assert "already runs under a seccomp listener (another winsock run" in finished.text


def test_when_the_supervisor_is_killed_trapped_calls_fail(server: WebServer) -> None:
    with supervising(*dial(server), "wait", stdin=-1) as started:
        assert started.line() == "ready"
        (supervisor,) = [pid for pid in started.processes() if name_of(pid) == "winsock-superv"]
        os.kill(supervisor, signal.SIGKILL)
        assert "the supervisor was killed by SIGKILL" in started.error_line()
        assert started.process.wait(30) == 125
        assert started.process.stdin is not None
        started.process.stdin.write(b"go\n")
        started.process.stdin.close()
        assert started.line() == "ENOSYS"
    assert server.taken(0) == []


def test_without_proc_a_run_says_so() -> None:
    hide = 'mount -t tmpfs none /proc && exec "$@"'
    finished = bare("unshare", "-rm", "sh", "-c", hide, "sh", *WINSOCK, "run", "--", "echo", "ran")
    assert finished.same == (125, b"")
    assert "winsock: /proc is not mounted here" in finished.text
    assert len(finished.text.splitlines()) == 1


def test_too_few_open_files_are_told_before_anything_runs() -> None:
    finished = bare("sh", "-c", 'ulimit -n 14; exec "$@"', "sh", *WINSOCK, "run", "--", "echo", "ran")
    assert finished.same == (125, b"")
    assert "winsock: 14 open files are allowed here" in finished.text
    assert len(finished.text.splitlines()) == 1


FULL = """
import socket

listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(20)
held = []
try:
    while True:
        held.append(socket.create_connection(listener.getsockname()))
        held.append(listener.accept()[0])
except OSError:
    print("full")
"""


def test_a_program_that_opens_all_it_may_is_supervised_to_its_end() -> None:
    """Its hard limit is the supervisor's, too, where that may not raise it."""
    command = (*WINSOCK, "run", "--layer", "trace", "--", PYTHON, "-c", FULL)
    finished = bare("sh", "-c", 'ulimit -n 48; exec "$@"', "sh", *command)
    assert finished.same == (0, b"full\n")
    assert "internal error" not in finished.text
    assert finished.text.splitlines()[-1].startswith("winsock: sockets seen: ")


# --- wrong use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run"], "which program?"),
        (["run", "--layer", "trace"], "which program?"),
        (["run", "--colour", "--", "true"], "there is no option --colour; there are: --"),
        (["run", "--outptu=x", "--", "true"], "there is no option --outptu; there are: --output, --"),
        (["explain", "--leyar", "trace"], "there is no option --leyar; there are: --layer, --"),
        (["run", "--format", "xml", "--", "true"], "--format: there is no 'xml'; there are: text, json"),
        (["run", "--output"], "--output wants FILE: write our lines"),
        (["run", "--drain", "soon", "--", "true"], "--drain: 'soon' is no number of seconds"),
        (["run", "--drain", "-1", "--", "true"], "--drain: '-1' is no number of seconds"),
        (["rnu", "--", "true"], "there is no command 'rnu'; there are: run,"),
        (["env", "true"], ". To run a program: winsock run -- env ..."),
        (["trace", "--", "true"], "winsock run --layer trace -- PROGRAM ..."),
    ],
)
def test_wrong_use_is_told_with_status_2(arguments: list[str], told: str) -> None:
    finished = winsock(*arguments)
    assert (finished.status, finished.stdout) == (2, b"")
    assert told in finished.text
    assert "Traceback" not in finished.text


# --- the other commands -----------------------------------------------------------------------------------------------


def test_explain_shows_the_chain_and_what_is_trapped_and_runs_nothing(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from winsock import Layer\n\nclass Mine(Layer):\n"
        "    def connecting(self, address): pass\n    def WSPCloseSocket(self, s): pass\n"
    )
    finished = winsock("explain", "--layer", mine, "--layer", "trace", "--", "touch", tmp_path / "ran")
    assert finished.status == 0
    text = finished.stdout.decode()
    assert text.startswith("chain: mine > trace > tcp/ipv4")
    assert "  overrides: WSPConnect\n  not called under run: WSPCloseSocket" in text
    assert "`closed`" in text
    assert not (tmp_path / "ran").exists()


def test_explain_traps_no_more_than_the_chain_needs(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("from winsock import Layer\n\nclass Mine(Layer):\n    def connecting(self, address): pass\n")
    assert trapped("--layer", str(mine)) == {"socket", "io_uring_setup", "connect", "sendto", "sendmsg", "sendmmsg"}
    more = {"bind", "listen", "accept", "accept4", "shutdown", "getsockopt"}
    assert trapped() == trapped("--layer", str(mine)) | more


def trapped(*options: str) -> set[str]:
    """The calls that `explain` lists."""
    text = winsock("explain", *options).stdout.decode()
    return {line.split()[0] for line in text.partition("trapped:\n")[2].splitlines() if line.startswith("  ")}


def test_layers_lists_layers_with_what_they_override() -> None:
    finished = winsock("layers")
    assert finished.status == 0
    first = finished.stdout.decode().splitlines()[:3]
    assert first[0].startswith("trace ")
    for function in ("WSPConnect", "WSPBind", "WSPListen", "WSPAccept", "WSPGetSockOpt"):
        assert function in first[1]
    assert "options: none" in first[2]


def test_catalog_show_prints_the_protocols_in_order() -> None:
    shown, as_json = winsock("catalog", "show"), winsock("catalog", "show", "--json")
    records = json.loads(as_json.stdout)
    assert shown.status == as_json.status == 0
    assert [(record["id"], record["family"], record["protocol"]) for record in records][:4] == [
        (1001, 2, 6),
        (1002, 2, 17),
        (1003, 23, 6),
        (1004, 23, 17),
    ]
    assert [line.split()[0] for line in shown.stdout.decode().splitlines()] == [str(record["id"]) for record in records]


def test_doctor_says_of_each_requirement_whether_it_works() -> None:
    finished = winsock("doctor")
    assert finished.status == 0
    for requirement in (
        "kernel", "seccomp listener", "pidfd_getfd", "PIDFD_THREAD", "Yama", "sock_diag", "no_new_privs", "nesting",
        "io_uring",
    ):  # fmt: skip
        assert requirement in finished.stdout.decode()


def test_doctor_inside_a_run_says_that_it_cannot_nest() -> None:
    finished = supervised(*WINSOCK, "doctor")
    assert finished.status == 1
    assert "nesting" in finished.stdout.decode()


def test_help_and_version() -> None:
    assert winsock("--version").stdout.startswith(b"winsock 0.")
    for arguments in ([], ["run"], ["explain"], ["layers"], ["catalog"], ["doctor"]):
        finished = winsock(*arguments, "--help")
        assert finished.status == 0
        assert b"usage: winsock" in finished.stdout


def test_a_client_that_is_refused_is_shown_with_both_names() -> None:
    port = free_port()
    finished = winsock("run", "--", PYTHON, PROGRAMS / "dial.py", LOCALHOST, str(port))
    assert finished.same == (1, b"ECONNREFUSED\n")
    assert "failed: WSAECONNREFUSED (ECONNREFUSED)" in finished.text
