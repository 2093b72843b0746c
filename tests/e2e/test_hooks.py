"""Layers of the user's own under `winsock run`: what their hooks see, and what they do to a program."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import (
    LOCALHOST,
    PROGRAMS,
    PYTHON,
    Finished,
    WebServer,
    free_port,
    supervised,
    supervising,
    winsock,
)

Write = Callable[..., str]


@pytest.fixture
def layer(tmp_path: Path) -> Write:
    """Write a layer's file: layer("class Mine(Layer): ...", name="mine"); what --layer wants."""

    def write(code: str, name: str = "mine") -> str:
        file = tmp_path / f"{name}.py"
        file.write_text(f"import winsock\nfrom winsock import Layer, WinsockError, current_call\n\n{code}\n")
        return str(file)

    return write


def dial(port: int, *layers: str, host: str = LOCALHOST) -> Finished:
    """The plain client under these layers, the first uppermost."""
    return supervised(PYTHON, PROGRAMS / "dial.py", host, str(port), options=options(layers))


def options(layers: tuple[str, ...]) -> list[str]:
    """One --layer each."""
    return [word for layer in layers for word in ("--layer", layer)]


def logged(finished: Finished) -> list[str]:
    """The lines that layers logged."""
    return [record["text"] for record in finished.events("log")]


def raised_line(finished: Finished) -> str:
    """The audit line of the only error, put together."""
    (record,) = finished.events("layer-error")
    return f"{record['layer']} {record['function']} {record['error']} {record['where']}"


# --- connecting: another address --------------------------------------------------------------------------------------

REDIRECT = """
class Mine(Layer):
    def connecting(self, address):
        return {answer}
"""


def test_connecting_sends_a_connection_elsewhere(layer: Write, server: WebServer) -> None:
    finished = dial(free_port(), layer(REDIRECT.format(answer=(server.host, server.port))))
    assert finished.same == (0, server.body)
    (exchange,) = server.taken(1)
    assert exchange.received == b"GET / HTTP/1.1\r\n\r\n"


def test_connecting_sends_connections_of_an_event_loop_elsewhere(layer: Write, server: WebServer) -> None:
    mine = layer(REDIRECT.format(answer=(server.host, server.port)))
    program = [str(PYTHON), str(PROGRAMS / "fetch_asyncio.py"), LOCALHOST, str(free_port()), "4"]
    finished = supervised(*program, options=["--layer", mine])
    assert finished.status == 0
    assert finished.stdout.count(server.body.strip()) == 4
    server.taken(4)


def test_an_ipv4_answer_on_an_ipv6_socket_becomes_v4_mapped(layer: Write, server: WebServer) -> None:
    finished = dial(free_port(), layer(REDIRECT.format(answer=(server.host, server.port))), "trace", host="::1")
    assert finished.same == (0, server.body)
    (connect,) = finished.events("connect")
    assert connect["peer"] == f"[::ffff:{server.host}]:{server.port}"


@pytest.mark.parametrize("answer", [("::1", 80), "nonsense", 7])
def test_an_answer_that_does_not_fit_fails_the_call_with_a_line(
    layer: Write, server: WebServer, answer: object
) -> None:
    finished = dial(server.port, layer(REDIRECT.format(answer=repr(answer))))
    assert finished.same == (1, b"EAFNOSUPPORT\n")
    (line,) = logged(finished)
    assert "mine" in line
    assert f"answered {answer!r}, which is no address for an IPv4 socket: " in line
    assert server.taken(0) == []


def test_no_answer_leaves_the_connection_alone(layer: Write, server: WebServer) -> None:
    mine = layer("class Mine(Layer):\n    def connecting(self, address):\n        self.log(str(address))")
    finished = dial(server.port, mine)
    assert finished.same == (0, server.body)
    assert logged(finished) == [server.address]


# --- connecting: refusing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["WSAEACCES", "WSAETIMEDOUT", "WSAEHOSTUNREACH", "WSAECONNREFUSED"])
def test_connecting_refuses_with_an_error_of_its_choice(layer: Write, server: WebServer, code: str) -> None:
    refuse = f"class Mine(Layer):\n    def connecting(self, address):\n        raise WinsockError(winsock.{code})"
    finished = dial(server.port, layer(refuse))
    assert finished.same == (1, code.removeprefix("WSA").encode() + b"\n")
    assert finished.events("layer-error") == []
    assert server.taken(0) == []


@pytest.mark.parametrize(
    ("error", "number"),
    [
        ("OSError(errno.EHOSTUNREACH, 'no way')", errno.EHOSTUNREACH),
        ("OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))", errno.ENETUNREACH),
        ("OSError(errno.ECONNREFUSED, 'no')", errno.ECONNREFUSED),
        ("PermissionError(errno.EPERM, 'no')", errno.EPERM),
        ("TimeoutError('late')", errno.ETIMEDOUT),
    ],
)
def test_connecting_refuses_with_an_error_of_pythons(layer: Write, server: WebServer, error: str, number: int) -> None:
    refuse = f"import errno, os\n\nclass Mine(Layer):\n    def connecting(self, address):\n        raise {error}"
    finished = dial(server.port, layer(refuse))
    assert finished.same == (1, errno.errorcode[number].encode() + b"\n")
    assert finished.events("layer-error") == []
    assert server.taken(0) == []


@pytest.mark.parametrize("error", ["OSError(errno.ENOENT, 'no file')", "OSError('what')", "BlockingIOError()"])
def test_an_error_that_is_none_of_a_network_is_a_defect(layer: Write, server: WebServer, error: str) -> None:
    refuse = f"import errno\n\nclass Mine(Layer):\n    def connecting(self, address):\n        raise {error}"
    finished = dial(server.port, layer(refuse))
    assert finished.same == (1, b"EIO\n")
    assert raised_line(finished).startswith("mine connecting ")
    assert server.taken(0) == []


def test_a_winsock_error_with_a_number_of_posix_says_what_was_meant(layer: Write, server: WebServer) -> None:
    mine = layer("class Mine(Layer):\n    def connecting(self, address):\n        raise WinsockError(13)")
    finished = dial(server.port, mine)
    assert finished.same == (1, b"EIO\n")
    meant = "13 is no number of a Winsock error; what means EACCES is winsock.WSAEACCES"
    assert raised_line(finished) == f"mine connecting WrongCode: {meant} {mine}:6"
    assert server.taken(0) == []


def test_connecting_refuses_an_event_loop(layer: Write, server: WebServer) -> None:
    mine = layer("class Mine(Layer):\n    def connecting(self, address):\n        raise ConnectionRefusedError")
    program = [PYTHON, str(PROGRAMS / "fetch_asyncio.py"), server.host, str(server.port)]
    finished = supervised(*program, options=["--layer", mine])
    assert finished.stdout == f"ConnectionRefusedError {errno.ECONNREFUSED}\n".encode()
    assert server.taken(0) == []


# --- accepted ---------------------------------------------------------------------------------------------------------

REFUSE_FIRST = """
class Mine(Layer):
    seen = 0

    def accepted(self, address):
        self.seen += 1
        self.log(f"{address} {current_call().function}")
        if self.seen == 1:
            raise WinsockError(winsock.WSAEACCES)
"""


def connect_and_receive(client: socket.socket, address: tuple[str, int]) -> None:
    """A reset may come while connect is still on its way back."""
    client.connect(address)
    client.recv(1)


@pytest.mark.parametrize("way", ["blocking", "asyncio"])
def test_accepted_resets_one_connection_and_takes_the_next(layer: Write, way: str) -> None:
    command = (PYTHON, PROGRAMS / "answer.py", "1", way)
    with supervising(*command, options=["--layer", layer(REFUSE_FIRST)]) as server:
        address = (LOCALHOST, int(server.line()))
        with socket.socket() as first:
            first.bind((LOCALHOST, 0))
            first_name = first.getsockname()
            with pytest.raises(ConnectionResetError):
                connect_and_receive(first, address)
        with socket.create_connection(address, 30) as second:
            second_name = second.getsockname()
            assert second.recv(100) == f"hello {second_name[1]}".encode()
        finished = server.wait()
    assert finished.same == (0, f"took {second_name[1]}\n".encode())
    assert logged(finished) == [f"{LOCALHOST}:{name[1]} WSPAccept" for name in (first_name, second_name)]


REFUSED_ALL = """
import os, select, signal, socket, threading

listener = socket.create_server(("127.0.0.1", 0))
before = os.listdir("/proc/self/fd")

def knock():
    with socket.create_connection(listener.getsockname()) as client:
        select.select([client], [], [])

listener.setblocking(False)
for _ in range(3):
    client = threading.Thread(target=knock, daemon=True)
    client.start()
    select.select([listener], [], [])
    try:
        listener.accept()
    except BlockingIOError:
        print("refused", flush=True)
    client.join()
print("numbers:", len(os.listdir("/proc/self/fd")) - len(before))

listener.setblocking(True)
signal.signal(signal.SIGALRM, lambda *_: 1 // 0)

def alarm():
    knock()
    os.kill(os.getpid(), signal.SIGALRM)

threading.Thread(target=alarm, daemon=True).start()
try:
    listener.accept()
except ZeroDivisionError:
    print("let go by a signal")
"""


def test_connections_that_were_refused_leave_nothing_in_the_server(layer: Write) -> None:
    """No number that was held for one of them, and no call that hears no signal."""
    mine = layer("class Mine(Layer):\n    def accepted(self, address):\n        raise ConnectionRefusedError")
    finished = supervised(PYTHON, "-c", REFUSED_ALL, options=["--layer", mine])
    refused, numbers, end = b"refused\n" * 3, b"numbers: 0\n", b"let go by a signal\n"
    assert finished.same == (0, refused + numbers + end)


# --- closed, current_call, print, log ---------------------------------------------------------------------------------


def test_closed_tells_the_numbers_of_a_socket(layer: Write, server: WebServer) -> None:
    code = """
import json

class Mine(Layer):
    def connecting(self, address):
        call = current_call()
        self.log(json.dumps(["connecting", call.process, call.socket_id]))

    def closed(self, stats):
        self.log(json.dumps(["closed", stats.process, stats.socket, str(stats.peer), stats.sent, stats.received,
                             stats.protocol, stats.connected, stats.duration_s > 0, stats.rtt_us > 0]))
"""
    finished = dial(server.port, layer(code))
    (exchange,) = server.taken(1)
    connecting, closed = [json.loads(line) for line in logged(finished)]
    assert connecting[1:] == closed[1:3]
    expected = [server.address, len(exchange.received), len(exchange.sent), "tcp", True, True, True]
    assert closed[3:] == expected


def test_closed_needs_no_other_hook_beside_it(layer: Write, server: WebServer) -> None:
    code = "class Mine(Layer):\n    def closed(self, stats):\n        self.log(f'{stats.peer} {stats.received}')"
    finished = supervised(PYTHON, PROGRAMS / "fetch.py", server.url, options=options((layer(code),)))
    (exchange,) = server.taken(1)
    assert logged(finished) == [f"{server.address} {len(exchange.sent)}"]
    assert finished.truth["layered"] == 1


def test_current_call_tells_who_calls(layer: Write, server: WebServer) -> None:
    code = """
class Mine(Layer):
    def connecting(self, address):
        call = current_call()
        print(call.process, call.thread, call.function, call.process_name, call.socket_id > 0)
"""
    program = ["sh", "-c", f"echo $$; exec {PYTHON} {PROGRAMS / 'dial.py'} {server.host} {server.port}"]
    finished = supervised(*program, options=["--layer", layer(code)])
    process = int(finished.stdout.split()[0])
    (line,) = logged(finished)
    told = line.split()
    assert told[:3] == [str(process), str(process), "WSPConnect"]
    assert told[3].startswith("python")
    assert told[4] == "True"


PRINTING = """
import logging
import sys

logging.basicConfig(level=logging.INFO, format="%(message)s")
print("imported")

class Mine(Layer):
    def connecting(self, address):
        print("printed by", self.name)
        print("to stderr", file=sys.stderr)
        logging.info("told to logging")
        print("no end", end="", flush=True)
"""
PRINTED = ["imported", "printed by mine", "to stderr", "told to logging", "no end"]


def test_what_a_layer_prints_goes_where_our_lines_go(layer: Write, server: WebServer) -> None:
    finished = dial(server.port, layer(PRINTING))
    assert finished.same == (0, server.body)
    assert finished.stderr == b""
    assert logged(finished) == PRINTED


def test_what_a_layer_prints_reaches_stderr_and_never_stdout(layer: Write, server: WebServer) -> None:
    program = (PYTHON, PROGRAMS / "dial.py", LOCALHOST, str(server.port))
    finished = winsock("run", "--layer", layer(PRINTING), "--", *program)
    assert finished.same == (0, server.body)
    *printed, truth = finished.text.splitlines()
    assert (printed, truth[:13]) == (PRINTED, "winsock: sock")


def test_what_a_layer_prints_before_it_fails_to_import_reaches_stderr(layer: Write) -> None:
    finished = winsock("run", "--layer", layer("print('before')\n1 // 0"), "--", "true")
    assert finished.same == (2, b"")
    assert finished.text.splitlines()[0] == "before"
    assert len(finished.text.splitlines()) == 2


# --- a layer that fails -----------------------------------------------------------------------------------------------


def test_a_layer_that_raises_fails_the_call_and_a_line_names_the_place(layer: Write, server: WebServer) -> None:
    mine = layer("class Mine(Layer):\n    def connecting(self, address):\n        return 1 // 0")
    finished = dial(server.port, mine)
    assert finished.same == (1, b"EIO\n")
    assert raised_line(finished).startswith("mine connecting ZeroDivisionError: ")
    assert raised_line(finished).endswith(f"{mine}:6")
    assert server.taken(0) == []


def test_a_layer_that_ends_itself_fails_the_call_and_ends_nothing_else(layer: Write, server: WebServer) -> None:
    code = """
import sys

class Mine(Layer):
    def connecting(self, address):
        if address.port == 1:
            sys.exit("enough")
"""
    mine = layer(code)
    twice = f"{PYTHON} {PROGRAMS / 'dial.py'} {LOCALHOST} 1; {PYTHON} {PROGRAMS / 'dial.py'} {LOCALHOST} {server.port}"
    finished = supervised("sh", "-c", twice, options=options((mine,)))
    assert finished.same == (0, b"EIO\n" + server.body)
    assert raised_line(finished) == f"mine connecting SystemExit: enough {mine}:10"


def test_a_layer_that_raises_in_closed_changes_nothing_for_the_program(layer: Write, server: WebServer) -> None:
    code = "class Mine(Layer):\n    def connecting(self, address): pass\n    def closed(self, stats):\n        1 // 0"
    mine = layer(code)
    finished = dial(server.port, mine)
    assert finished.same == (0, server.body)
    assert raised_line(finished).startswith("mine closed ZeroDivisionError: ")
    assert raised_line(finished).endswith(f"{mine}:7")


def test_as_text_the_line_is_readable(layer: Write, server: WebServer) -> None:
    mine = layer("class Mine(Layer):\n    def connecting(self, address):\n        raise KeyError('host')")
    finished = winsock("run", "--layer", mine, "--", PYTHON, PROGRAMS / "dial.py", server.host, str(server.port))
    assert finished.same == (1, b"EIO\n")
    assert f"winsock: layer mine: connecting raised KeyError: 'host' ({mine}:6); the call failed\n" in finished.text


# --- several layers ---------------------------------------------------------------------------------------------------

SHOW = """
class {name}(Layer):
    def connecting(self, address):
        self.log(f"{{self.name}} {{address}}")
        return {answer}
"""


def test_a_layer_gets_the_ends_of_programs_that_it_starts(layer: Write, server: WebServer) -> None:
    code = """
import subprocess

class Mine(Layer):
    helper = None

    def connecting(self, address):
        type(self).helper = subprocess.Popen(["sleep", "1000"])
        asked = subprocess.Popen(["sh", "-c", "exit 3"], stdout=subprocess.PIPE)
        asked.stdout.read()
        while open(f"/proc/{asked.pid}/stat").read().rpartition(") ")[2][0] != "Z":
            pass
        with subprocess.Popen(["true"]) as other:  # its end is told of, too
            pass
        self.log(f"{other.returncode} {asked.wait()}")

    def run_ended(self):
        if self.helper is not None:
            self.log(f"{self.helper.poll()}")
            self.helper.kill()
            self.helper.wait()
            type(self).helper = None
"""
    finished = dial(server.port, layer(code))
    assert finished.same == (0, server.body)
    assert logged(finished) == ["0 3", "None"]
    assert finished.truth["still_running"] == 0


def test_the_first_layer_is_uppermost_and_the_next_sees_its_answer(layer: Write, server: WebServer) -> None:
    upper = layer(SHOW.format(name="Upper", answer=(server.host, server.port)), "one")
    lower = layer(SHOW.format(name="Lower", answer=None), "two")
    elsewhere = free_port()
    finished = dial(elsewhere, upper, lower, "trace")
    assert finished.same == (0, server.body)
    assert logged(finished) == [f"upper {LOCALHOST}:{elsewhere}", f"lower {server.address}"]
    (connect,) = finished.events("connect")
    assert connect["peer"] == server.address
    turned = dial(elsewhere, lower, "trace", upper)
    assert turned.same == (0, server.body)
    assert logged(turned) == [f"{name} {LOCALHOST}:{elsewhere}" for name in ("lower", "upper")]
    (connect,) = turned.events("connect")
    assert connect["peer"] == f"{LOCALHOST}:{elsewhere}"


def test_trace_above_a_layer_that_refuses_shows_its_error(layer: Write, server: WebServer) -> None:
    mine = layer("class Mine(Layer):\n    def connecting(self, address):\n        raise PermissionError")
    finished = dial(server.port, "trace", mine)
    (connect,) = finished.events("connect")
    assert (connect["result"], connect["error"], connect["errno"]) == ("failed", "WSAEACCES", errno.EACCES)
    assert finished.same == (1, b"EACCES\n")


def test_processes_are_told_of_once_each(layer: Write, server: WebServer) -> None:
    code = """
class Mine(Layer):
    def process_started(self, process):
        self.log(f"started {process}")

    def process_ended(self, process):
        self.log(f"ended {process}")

    def connecting(self, address):
        self.log(f"connecting {current_call().process}")

    def run_ended(self):
        self.log("over")
"""
    fetch = f"{PYTHON} {PROGRAMS / 'dial.py'} {LOCALHOST} {server.port}"
    finished = supervised("sh", "-c", f"{fetch}; {fetch}; exec {fetch}", options=["--layer", layer(code)])
    lines = logged(finished)
    told = [line.split() for line in lines[: lines.index("over")]]
    processes = list(dict.fromkeys(process for _, process in told))
    assert len(processes) == 3
    for process in processes:
        assert [what for what, whose in told if whose == process] == ["started", "connecting", "ended"]
