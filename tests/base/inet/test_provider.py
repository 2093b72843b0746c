"""The provider's start and end, its checks of what a socket shall be, and the worlds it runs in (SPIINIT, SOCK)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.api.test_sockets import wait_until_blocked
from tests.refusals import code_of, refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FD_CLOSE,
    FIONBIO,
    FROM_PROTOCOL_INFO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAECONNABORTED,
    WSAEINVAL,
    WSAENOTSOCK,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WSANOTINITIALISED,
    WSAVERNOTSUPPORTED,
    WinsockError,
)
from winsock.abi.sockaddr import SockaddrIn
from winsock.base.inet import Inet, own
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher import threads
from winsock.overlapped import events
from winsock.overlapped.messages import MessageQueue
from winsock.overlapped.watches import Watch
from winsock.spi.provider import ProcTable
from winsock.spi.upcalls import BlockingCallback, Upcalls

TCP, UDP = BUILTIN[0].info, BUILTIN[1].info


class Simple(Upcalls):
    """Lets every handle be, and counts them."""

    def __init__(self) -> None:
        self.modified: list[tuple[int, int]] = []
        self.signalled: list[object] = []
        self.posted: list[tuple[object, ...]] = []
        self.refusing = False

    def WPUModifyIFSHandle(self, catalog_entry_id: int, proposed_handle: int) -> int:
        if self.refusing:
            raise WinsockError(WSAEINVAL, "no more handles")
        self.modified.append((catalog_entry_id, proposed_handle))
        return proposed_handle

    def WPUSetEvent(self, event: object) -> None:
        self.signalled.append(event)

    def WPUPostMessage(self, window: object, message: int, wparam: int, lparam: int) -> bool:
        self.posted.append((window, message, wparam, lparam))
        return True

    def WPUQueryBlockingCallback(self, catalog_entry_id: int) -> tuple[BlockingCallback | None, object]:
        return None, None


@pytest.fixture
def upcalls() -> Simple:
    return Simple()


@pytest.fixture
def table(upcalls: Simple) -> Iterator[ProcTable]:
    table = Inet().WSPStartup(0x0202, TCP, upcalls)[1]
    yield table
    table.WSPCleanup()


@pytest.mark.parametrize("version", [0x0001, 0x0101, 0xFF01, 0x0002, 0x0102, 0x0300, 0xFF00])
def test_old_versions_are_refused(version: int, upcalls: Simple) -> None:
    """SPIINIT-002, SPIINIT-004, SPIINIT-006: with the code as the answer; the thread's last error is left alone."""
    threads.current().last_error = 7
    with refused(WSAVERNOTSUPPORTED):
        Inet().WSPStartup(version, TCP, upcalls)
    assert threads.current().last_error == 7


@pytest.mark.parametrize("version", [0x0202, 0x0302, 0x0003, 0xFFFF])
def test_the_version_is_two_two(version: int, upcalls: Simple) -> None:
    """SPIINIT-004, SPIINIT-005, SPIINIT-006: the lowest is the highest here, and the major number is the low byte."""
    data, table = Inet().WSPStartup(version, TCP, upcalls)
    assert (data.wVersion, data.wHighVersion) == (0x0202, 0x0202)
    assert not table.missing()


def test_starts_are_counted(upcalls: Simple) -> None:
    """SPIINIT-009: one WSPCleanup for each WSPStartup."""
    provider = Inet()
    first = provider.WSPStartup(0x0202, TCP, Simple())[1]
    table = provider.WSPStartup(0x0202, TCP, upcalls)[1]
    assert table is first
    s = table.WSPSocket(0, 0, 0)
    assert upcalls.modified == [(1001, s)], "SPIINIT-010, SOCK-005: the upcalls given last, the base's own entry"
    table.WSPCleanup()
    os.fstat(s)  # SPIINIT-012
    table.WSPCleanup()
    assert s not in own.SOCKETS
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(s)
    with refused(WSANOTINITIALISED):
        table.WSPCleanup()  # SPIINIT-017


def connected(table: ProcTable, listener: socket.socket) -> tuple[int, socket.socket]:
    """A socket of the provider, and its plain peer."""
    s = table.WSPSocket(0, 0, 0)
    table.WSPConnect(s, SockaddrIn(*listener.getsockname()))
    return s, listener.accept()[0]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


def fill(table: ProcTable, s: int) -> int:
    """Send as much as there is room for; how much that was."""
    table.WSPIoctl(s, FIONBIO, b"\1\0\0\0")
    sent = 0
    while True:
        try:
            sent += table.WSPSend(s, [bytes(65536)]) or 0
        except WinsockError:
            return sent


def test_the_last_cleanup_lets_arrive_what_was_closed_and_resets_what_is_open(
    upcalls: Simple, listener: socket.socket
) -> None:
    """SPIINIT-015, SPIINIT-018: more than the buffers hold that are the peer's."""
    table = Inet().WSPStartup(0x0202, TCP, upcalls)[1]
    (closed, reader), (_, other) = connected(table, listener), connected(table, listener)
    with reader, other:
        sent = fill(table, closed)
        table.WSPCloseSocket(closed)
        table.WSPCleanup()
        received = 0
        while data := reader.recv(65536):
            received += len(data)
        assert received == sent > 65536
        with pytest.raises(ConnectionResetError):
            other.recv(1)


def test_the_last_cleanup_ends_waits(upcalls: Simple) -> None:
    """SPIINIT-013: of calls in any thread."""
    table = Inet().WSPStartup(0x0202, UDP, upcalls)[1]
    s = table.WSPSocket(0, 0, 0)
    table.WSPBind(s, SockaddrIn("127.0.0.1", 0))
    codes: list[int] = []
    thread = threading.Thread(
        target=lambda: codes.append(code_of(lambda: table.WSPRecv(s, [bytearray(1)]))), daemon=True
    )
    thread.start()
    wait_until_blocked(s, thread)
    table.WSPCleanup()
    thread.join(20)
    assert codes == [WSAECONNABORTED]


class Looks:
    """Looks round when its socket ends."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def end(self) -> None:
        self.watch.look()


def test_the_last_cleanup_tells_nobody(upcalls: Simple) -> None:
    """SPIINIT-013: neither by an event nor by a message, though the ends of a connection end one after the other."""
    table = Inet().WSPStartup(0x0202, TCP, upcalls)[1]
    server = table.WSPSocket(0, 0, 0)
    table.WSPBind(server, SockaddrIn("127.0.0.1", 0))
    table.WSPListen(server, 5)
    event, window = events.create(), MessageQueue()
    watched = []
    for _ in range(2):
        table.WSPConnect(table.WSPSocket(0, 0, 0), table.WSPGetSockName(server))
        watched.append(table.WSPAccept(server)[0])
    table.WSPEventSelect(watched[0], event, FD_CLOSE)
    table.WSPAsyncSelect(watched[1], window, 1, FD_CLOSE)
    own.SOCKETS[watched[0]].hold(Looks(events.find(event)))
    own.SOCKETS[watched[1]].hold(Looks(window))
    table.WSPCleanup()
    assert (upcalls.signalled, upcalls.posted) == ([], [])
    events.close(event)
    window.close()


def test_it_may_be_started_again_spiinit_016(upcalls: Simple) -> None:
    provider = Inet()
    for _ in range(2):
        table = provider.WSPStartup(0x0202, UDP, upcalls)[1]
        table.WSPBind(table.WSPSocket(0, 0, 0), SockaddrIn("127.0.0.1", 0))
        table.WSPCleanup()


def test_cleanup_leaves_a_closed_number_alone(upcalls: Simple) -> None:
    table = Inet().WSPStartup(0x0202, TCP, upcalls)[1]
    os.close(table.WSPSocket(0, 0, 0))
    table.WSPCleanup()


def test_cleanup_leaves_other_protocols_alone(upcalls: Simple, table: ProcTable) -> None:
    other = Inet().WSPStartup(0x0202, UDP, upcalls)[1]
    s = table.WSPSocket(0, 0, 0)
    other.WSPCleanup()
    assert s in own.SOCKETS


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((AF_INET6, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((10, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((AF_INET, SOCK_RAW, 0), WSAESOCKTNOSUPPORT),
        ((AF_INET, SOCK_DGRAM, IPPROTO_TCP), WSAEPROTOTYPE),
        ((AF_INET, SOCK_STREAM, IPPROTO_UDP), WSAEPROTOTYPE),
        ((AF_INET, SOCK_STREAM, 99), WSAEPROTONOSUPPORT),
        ((AF_INET, FROM_PROTOCOL_INFO, 99), WSAEPROTONOSUPPORT),
    ],
)  # fmt: skip
def test_what_is_not_this_protocol(table: ProcTable, arguments: tuple[int, int, int], code: int) -> None:
    with refused(code):
        table.WSPSocket(*arguments, TCP)


def test_zero_is_no_protocol_unless_the_entry_says_so_sock_011(upcalls: Simple) -> None:
    table = Inet().WSPStartup(0x0202, TCP._replace(dwProviderFlags=0), upcalls)[1]
    with refused(WSAEPROTONOSUPPORT):
        table.WSPSocket(AF_INET, SOCK_STREAM, 0)
    table.WSPCloseSocket(table.WSPSocket(AF_INET, SOCK_STREAM, FROM_PROTOCOL_INFO, TCP))
    table.WSPCleanup()


def test_a_handle_that_is_refused_is_closed(table: ProcTable, upcalls: Simple) -> None:
    listener = table.WSPSocket(0, 0, 0)
    table.WSPBind(listener, SockaddrIn("127.0.0.1", 0))
    table.WSPListen(listener, 1)
    client = table.WSPSocket(0, 0, 0)
    table.WSPConnect(client, table.WSPGetSockName(listener))
    before = set(os.listdir("/proc/self/fd"))
    upcalls.refusing = True
    with refused(WSAEINVAL, "no more"):
        table.WSPSocket(0, 0, 0)
    with refused(WSAEINVAL, "no more"):
        table.WSPAccept(listener)
    assert set(os.listdir("/proc/self/fd")) <= before
    assert table.WSPRecv(client, [bytearray(1)]) == (0, 0)


def test_no_overlapped_operation_was_begun(table: ProcTable) -> None:
    with refused(WSAEINVAL, "overlapped"):
        table.WSPGetOverlappedResult(table.WSPSocket(0, 0, 0), object(), False)
    with refused(WSAENOTSOCK):
        table.WSPGetOverlappedResult(-1, object(), False)


ELSEWHERE = """
import socket, sys
sys.platform = "darwin"
for name in ("MSG_NOSIGNAL", "SOCK_CLOEXEC", "SOCK_NONBLOCK"):
    for module in (socket, socket._socket):
        vars(module).pop(name, None)
from winsock.base.inet import plain, raw
assert raw.connect is plain.connect
from winsock.testing import check_provider
check_provider()
print("passed")
"""


def test_plain_sockets_do_where_the_kernel_is_another() -> None:
    """The suite, run as on a host whose raw calls are unknown."""
    done = subprocess.run([sys.executable, "-X", "dev", "-c", ELSEWHERE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("passed\n", 0), done.stderr


def test_nothing_dear_is_imported() -> None:
    code = (
        "import sys; before = set(sys.modules); import socket, ctypes; plain = set(sys.modules);"
        "import winsock.base.inet; print(*sorted(m for m in set(sys.modules) - plain if not m.startswith('winsock')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    dear = {"asyncio", "dataclasses", "inspect", "sqlite3", "argparse", "subprocess", "logging"}
    assert not dear & set(done.stdout.split())
