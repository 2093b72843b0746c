"""An installed layer is part of every run without --layer, and of every program that starts Winsock, until removed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.harness import PROGRAMS, PYTHON, WebServer, bare, supervised, supervising, winsock
from winsock.abi.constants import LSP_INSPECTOR, LSP_PROXY
from winsock.api.install import WSCSetApplicationCategory

pytestmark = pytest.mark.usefixtures("catalog_file")

REDIRECT = """
from dataclasses import dataclass
from winsock import Layer

class Redirect(Layer):
    '''Sends every connection to one port.'''

    @dataclass
    class Options:
        port: int

    def connecting(self, address):
        return (address.host, self.options.port)
"""
NOWHERE = "127.0.0.1", "1"
API = """
import sys
import winsock as w
with w.started():
    s = w.socket(w.AF_INET, w.SOCK_STREAM, 0)
    try:
        w.connect(s, ("127.0.0.1", 1))
        print(w.getpeername(s).port)
    except w.WinsockError as error:
        print(error.name)
"""


@pytest.fixture
def redirect(tmp_path: Path) -> Path:
    file = tmp_path / "redirect.py"
    file.write_text(REDIRECT)
    file.chmod(0o644)
    return file


def install(redirect: Path, server: WebServer, *more: str) -> None:
    done = winsock("catalog", "install", f"{redirect},port={server.port}", *more)
    assert (done.status, done.text) == (0, "")


def fetch() -> tuple[str, ...]:
    """A client that asks where nobody is."""
    return PYTHON, str(PROGRAMS / "fetch.py"), f"http://{NOWHERE[0]}:{NOWHERE[1]}/"


def test_from_installing_to_removing(redirect: Path, server: WebServer) -> None:
    assert supervised(*fetch()).status != 0
    install(redirect, server)
    fetched = supervised(*fetch(), options=())
    assert fetched.status == 0, fetched.text
    assert repr(server.body).encode() in fetched.stdout
    assert fetched.truth["layered"] >= 1
    assert bare(PYTHON, "-c", API).stdout.decode() == f"{server.port}\n"
    assert winsock("explain").stdout.startswith(b"chain: redirect > tcp/ipv4")
    named = supervised(*fetch(), options=("--layer", "trace"))
    assert named.status != 0, "who names layers gets those"
    removed = winsock("catalog", "remove", "redirect")
    assert removed.status == 0, removed.text
    assert supervised(*fetch()).status != 0
    assert bare(PYTHON, "-c", API).stdout.decode() == "WSAECONNREFUSED\n"


def test_what_runs_goes_on_with_what_it_began_with(redirect: Path, server: WebServer) -> None:
    program = "import sys, socket\nprint('begun', flush=True)\nsys.stdin.readline()\n" + (
        "print(socket.create_connection(('127.0.0.1', 1)).getpeername()[1])"
    )
    install(redirect, server)
    with supervising(PYTHON, "-c", program, input=b"") as running:
        assert running.line() == "begun"
        assert winsock("catalog", "remove", "redirect").status == 0
        finished = running.wait()
    assert finished.same == (0, f"{server.port}\n".encode())


def test_a_file_that_was_changed_is_not_run_and_nothing_goes_past_it(redirect: Path, server: WebServer) -> None:
    install(redirect, server)
    redirect.write_text(REDIRECT + "# changed\n")
    refused = winsock("run", "--", *fetch())
    assert refused.status == 125
    assert "has changed since it was installed" in refused.text
    assert "WSAEPROVIDERFAILEDINIT" in bare(PYTHON, "-c", API).text
    assert winsock("catalog", "audit").status == 1
    install(redirect, server)
    assert supervised(*fetch()).status == 0
    assert winsock("catalog", "audit").status == 0


def test_a_program_that_does_not_permit_the_layer_runs_without(redirect: Path, server: WebServer) -> None:
    install(redirect, server, "--categories", "redirector")
    WSCSetApplicationCategory(sys.executable, None, LSP_PROXY | LSP_INSPECTOR)
    assert supervised(*fetch()).status != 0
    assert bare(PYTHON, "-c", API).stdout.decode() == "WSAECONNREFUSED\n"


def test_a_catalog_that_others_can_write_runs_nothing(redirect: Path, server: WebServer, catalog_file: Path) -> None:
    install(redirect, server)
    catalog_file.chmod(0o662)
    refused = winsock("run", "--", *fetch())
    assert refused.status == 125
    assert f"chmod go-w {catalog_file}" in refused.text
    assert winsock("catalog", "repair").status == 0
    assert supervised(*fetch()).status == 0
