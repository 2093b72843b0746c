"""A base provider of one's own: as its example runs, and under layers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import winsock
from tests.examples.sample import EXAMPLES
from winsock.abi.sockaddr import SockaddrUn
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher.loader import resolve
from winsock.dispatcher.records import records

FIRST = BUILTIN[-1].info.dwCatalogEntryId + 1
FILE = EXAMPLES / "provider.py"
PROTOCOL = resolve(f"{FILE}:PROTOCOL")


def test_it_runs_as_it_stands(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, FILE], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-3:] == [
        f"{FIRST}  local streams",
        "asked: anybody there?",
        "the answer: yes, and no port was needed",
    ]
    assert list(tmp_path.iterdir()) == []
    assert len(winsock.WSCEnumProtocols()) == len(BUILTIN)  # the catalog of whoever runs it is as it was


@pytest.fixture(params=["alone", "under a layer"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Winsock is started with the provider; a path to bind to."""
    winsock.WSCInstallProvider(resolve(f"{FILE}:ID"), f"{FILE}:Local", [resolve(f"{FILE}:INFO")])
    if request.param == "under a layer":
        winsock.WSCInstallProviderAndChains(
            winsock.GUID(1, 2, 3, bytes(8)), "winsock.spi.layer:Layer", "layer", winsock.XP1_IFS_HANDLES
        )
    with winsock.started():
        yield str(tmp_path / "meeting-point")


def connected(path: str) -> tuple[int, int]:
    listener, client = (winsock.socket(winsock.AF_UNIX, winsock.SOCK_STREAM, PROTOCOL) for _ in range(2))
    winsock.bind(listener, path)
    winsock.listen(listener, 1)
    assert winsock.select(0, [listener], None, None, 0) == ([], [], [])
    winsock.connect(client, path)
    assert winsock.select(0, [listener], None, None, 10) == ([listener], [], [])
    server, _ = winsock.accept(listener)
    assert winsock.getpeername(client) == winsock.getsockname(listener) == SockaddrUn(path)
    return client, server


def test_bytes_go_both_ways_and_end(path: str) -> None:
    client, server = connected(path)
    block = bytes(range(256)) * 4096
    sender = threading.Thread(target=lambda: winsock.send(client, block), daemon=True)
    sender.start()
    received = b""
    while len(received) < len(block):
        received += winsock.recv(server, 65536)
    sender.join(20)
    assert received == block
    winsock.shutdown(client, winsock.SD_SEND)
    assert winsock.recv(server, 1) == b""
    assert winsock.WSASend(server, [b"one", b"two"]) == 6
    assert winsock.recv(client, 9) == b"onetwo"


def test_sockets_tell_what_they_are(path: str) -> None:
    s = winsock.socket(winsock.AF_UNIX, winsock.SOCK_STREAM, PROTOCOL)
    assert winsock.getsockopt(s, winsock.SOL_SOCKET, winsock.SO_PROTOCOL_INFO) == records[s].entry.info
    assert "local streams" in records[s].entry.info.szProtocol


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s, path: winsock.connect(s, path), "WSAEADDRNOTAVAIL"),
        (lambda s, path: winsock.connect(s, winsock.SockaddrIn("127.0.0.1", 80)), "WSAEAFNOSUPPORT"),
        (lambda s, path: winsock.getpeername(s), "WSAENOTCONN"),
        (lambda s, path: winsock.send(s, b"x", winsock.MSG_OOB), "WSAEOPNOTSUPP"),
        (lambda s, path: winsock.sendto(s, b"x", 0, path), "WSAEOPNOTSUPP"),
        (lambda s, path: winsock.getsockopt(s, winsock.SOL_SOCKET, winsock.SO_TYPE), "WSAENOPROTOOPT"),
        (lambda s, path: records[s].table.WSPListen(99999, 1), "WSAENOTSOCK"),
    ],
)
def test_errors_are_winsocks(path: str, call: object, error: str) -> None:
    s = winsock.socket(winsock.AF_UNIX, winsock.SOCK_STREAM, PROTOCOL)
    assert callable(call)
    with pytest.raises(winsock.WinsockError) as caught:
        call(s, path)
    assert caught.value.name == error


def test_a_closed_socket_is_gone(path: str) -> None:
    client, server = connected(path)
    winsock.closesocket(client)
    assert winsock.recv(server, 1) == b""
    with pytest.raises(winsock.WinsockError, match="WSAENOTSOCK"):
        winsock.send(client, b"x")
