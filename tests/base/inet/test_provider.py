"""The provider's start and end, its checks of what a socket shall be, and the worlds it runs in (SPIINIT, SOCK)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FROM_PROTOCOL_INFO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEINVAL,
    WSAEOPNOTSUPP,
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
from winsock.spi.provider import ProcTable
from winsock.spi.upcalls import BlockingCallback, Upcalls

TCP, UDP = BUILTIN[0].info, BUILTIN[1].info


class Simple(Upcalls):
    """Lets every handle be, and counts them."""

    def __init__(self) -> None:
        self.modified: list[tuple[int, int]] = []
        self.refusing = False

    def WPUModifyIFSHandle(self, catalog_entry_id: int, proposed_handle: int) -> int:
        if self.refusing:
            raise WinsockError(WSAEINVAL, "no more handles")
        self.modified.append((catalog_entry_id, proposed_handle))
        return proposed_handle

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


@pytest.mark.parametrize("version", [0x0001, 0x0101, 0x0002, 0x0102])
def test_old_versions_are_refused_spiinit_002_spiinit_004(version: int, upcalls: Simple) -> None:
    with refused(WSAVERNOTSUPPORTED):
        Inet().WSPStartup(version, TCP, upcalls)


@pytest.mark.parametrize("version", [0x0202, 0x0302, 0x0003, 0xFFFF])
def test_the_version_is_two_two_spiinit_005_spiinit_006(version: int, upcalls: Simple) -> None:
    data, table = Inet().WSPStartup(version, TCP, upcalls)
    assert (data.wVersion, data.wHighVersion) == (0x0202, 0x0202)
    assert not table.missing()


def test_starts_are_counted_spiinit_009_spiinit_012_spiinit_017(upcalls: Simple) -> None:
    provider = Inet()
    first = provider.WSPStartup(0x0202, TCP, Simple())[1]
    table = provider.WSPStartup(0x0202, TCP, upcalls)[1]
    assert table is first
    s = table.WSPSocket(0, 0, 0)
    assert upcalls.modified == [(1001, s)], "SPIINIT-010, SOCK-005: the upcalls given last, the base's own entry"
    table.WSPCleanup()
    os.fstat(s)
    table.WSPCleanup()
    assert s not in own.SOCKETS
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(s)
    with refused(WSANOTINITIALISED):
        table.WSPCleanup()


def test_it_may_be_started_again_spiinit_015_spiinit_016(upcalls: Simple) -> None:
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
    assert set(os.listdir("/proc/self/fd")) == before
    assert table.WSPRecv(client, [bytearray(1)]) == (0, 0)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("WSPGetOverlappedResult", (3, None, False)),
    ],
)
def test_what_is_not_offered_says_so(table: ProcTable, function: str, arguments: tuple[object, ...]) -> None:
    with refused(WSAEOPNOTSUPP, function):
        getattr(table, function)(*arguments)


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
