"""What Python does for a program at its end happens for layers, too, and what cannot be is told."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.harness import LOCALHOST, PROGRAMS, PYTHON, Finished, WebServer, supervised

HEAD = "import atexit, threading\nfrom winsock import Layer, StreamLayer\n\n"


def dial(server: WebServer, folder: Path, code: str, program: str = "") -> Finished:
    """The plain client, or a shell that does more, under a layer of this code."""
    layer = folder / "mine.py"
    layer.write_text(HEAD + code)
    client = f"{PYTHON} {PROGRAMS / 'dial.py'} {LOCALHOST} {server.port}"
    return supervised("sh", "-c", program.format(client) or client, options=["--layer", layer])


def texts(finished: Finished) -> str:
    return "\n".join(record["text"] for record in finished.events("log"))


def test_what_a_layer_wrote_is_in_its_file_when_the_run_is_over(server: WebServer, tmp_path: Path) -> None:
    written = tmp_path / "written"
    code = f"""
class Mine(Layer):
    file = open({str(written)!r}, "w")

    def connecting(self, address):
        self.file.write(str(address))
"""
    finished = dial(server, tmp_path, code)
    assert finished.same == (0, server.body)
    assert written.read_text() == server.address


def test_it_is_also_while_a_process_goes_on(server: WebServer, tmp_path: Path) -> None:
    written = tmp_path / "written"
    code = f"""
class Mine(StreamLayer):
    file = open({str(written)!r}, "wb")
    atexit.register(print, "too early")

    def incoming(self, data):
        self.file.write(data)
        return data
"""
    finished = dial(server, tmp_path, code, "sleep 1000 > /dev/null 2>&1 & {}")
    assert finished.truth["still_running"] == 1
    assert written.read_bytes().endswith(server.body)
    assert "too early" not in texts(finished)


def test_exit_functions_run_once_after_the_last_hook(server: WebServer, tmp_path: Path) -> None:
    code = """
def bad():
    raise KeyError("at last")

atexit.register(bad)
atexit.register(print, "the end")

class Mine(Layer):
    def run_ended(self):
        print("over")
"""
    finished = dial(server, tmp_path, code)
    assert finished.same == (0, server.body)
    said = texts(finished)
    assert said.count("the end") == 1
    assert said.rindex("over") < said.index("the end") < said.index("KeyError: 'at last'")


def test_what_cannot_be_written_is_told(server: WebServer, tmp_path: Path) -> None:
    code = """
class Mine(Layer):
    file = open("/dev/full", "w")

    def connecting(self, address):
        self.file.write("x")
"""
    finished = dial(server, tmp_path, code)
    assert finished.same == (0, server.body)
    assert re.search(
        r"winsock: /dev/full, a file of a layer, is not written to its end: .*No space left", texts(finished)
    )


def test_threads_of_its_import_are_told_to_be_lost(server: WebServer, tmp_path: Path) -> None:
    code = """
threading.Thread(target=threading.Event().wait, name="ticker", daemon=True).start()

class Mine(Layer):
    def connecting(self, address):
        threading.Thread(target=print, args=("a thread",)).start()
"""
    finished = dial(server, tmp_path, code)
    assert finished.same == (0, server.body)
    said = texts(finished)
    assert "a layer started threads when it was imported (ticker), which are not there when it is called" in said
    assert "a thread" in said.splitlines()
