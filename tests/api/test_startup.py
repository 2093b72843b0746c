"""WSAStartup, WSACleanup, the last error (INIT, ERR, ST)."""

from __future__ import annotations

import threading

import pytest

import winsock
from tests.refusals import refused
from winsock.abi.constants import AF_INET, INVALID_SOCKET, SOCK_STREAM
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAENOTSOCK,
    WSANOTINITIALISED,
    WSAVERNOTSUPPORTED,
)
from winsock.api import names, options, sockets, startup, transfer, waiting
from winsock.testing import World


def word(major: int, minor: int) -> int:
    return major | minor << 8


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ((1, 0), (1, 0)), ((1, 1), (1, 1)), ((2, 0), (2, 0)), ((2, 1), (2, 1)), ((2, 2), (2, 2)),
        ((1, 2), (1, 1)), ((1, 255), (1, 1)), ((2, 3), (2, 2)), ((3, 0), (2, 2)), ((255, 255), (2, 2)),
    ],
)  # fmt: skip
def test_versions_init_005_st_01_st_02_st_03(asked: tuple[int, int], given: tuple[int, int]) -> None:
    """INIT-002, INIT-004."""
    data = startup.WSAStartup(word(*asked))
    startup.WSACleanup()
    assert (data.wVersion, data.wHighVersion) == (word(*given), word(2, 2))
    assert (data.iMaxSockets, data.iMaxUdpDg) == ((32767, 65467) if asked[0] == 1 else (0, 0)), "ST-06"


def test_too_old_a_version_init_003_st_08(world: World) -> None:
    startup.WSASetLastError(7)
    with refused(WSAVERNOTSUPPORTED):
        startup.WSAStartup(word(0, 9))
    assert startup.WSAGetLastError() == 7  # INIT-001


def test_start_ups_are_counted(world: World) -> None:
    """INIT-006: what is open stays so until the last clean-up."""
    startup.WSAStartup(word(2, 2))
    s = world.stream()
    startup.WSACleanup()
    assert options.getsockopt(s, 0xFFFF, 0x1008) == SOCK_STREAM


def test_cleanup_without_start_up() -> None:
    """INIT-010."""
    with refused(WSANOTINITIALISED):
        startup.WSACleanup()
    assert startup.WSAGetLastError() == WSANOTINITIALISED


@pytest.mark.parametrize(
    "call",
    [
        lambda: sockets.socket(AF_INET, SOCK_STREAM, 0),
        lambda: sockets.WSASocket(0, 0, 0),
        lambda: sockets.bind(3, ("127.0.0.1", 0)),
        lambda: sockets.bind(INVALID_SOCKET, None),  # type: ignore[arg-type]
        lambda: sockets.closesocket(3),
        lambda: sockets.WSAEnumProtocols(),
        lambda: transfer.send(3, b"x"),
        lambda: transfer.recv(3, 1),
        lambda: transfer.sendto(3, b"x", 0, ("127.0.0.1", 1)),
        lambda: transfer.recvfrom(3, 1),
        lambda: transfer.WSASend(3, [b"x"]),
        lambda: waiting.select(0, [3], None, None, 0),
        lambda: options.getsockopt(3, 0xFFFF, 0x7008),
        lambda: options.ioctlsocket(3, 0x4004667F),
        lambda: names.WSAStringToAddress("127.0.0.1", AF_INET),
        lambda: startup.WSASetLastError(1),
    ],
)  # fmt: skip
def test_nothing_works_before_start_up_st_11_bl_06(call: object) -> None:
    """INIT-007."""
    assert callable(call)
    with refused(WSANOTINITIALISED, "WSAStartup"):
        call()
    assert startup.WSAGetLastError() == WSANOTINITIALISED


def test_the_last_error_works_before_start_up_err_004() -> None:
    assert isinstance(startup.WSAGetLastError(), int)


def test_open_sockets_are_reset_by_the_last_cleanup() -> None:
    """INIT-009."""
    import socket as host

    with host.create_server(("127.0.0.1", 0)) as listener:
        with winsock.started():
            s = sockets.socket(AF_INET, SOCK_STREAM, 0)
            sockets.connect(s, listener.getsockname())
            peer, _ = listener.accept()
        with peer, pytest.raises(ConnectionResetError):
            peer.recv(1)
        with winsock.started(), refused(WSAENOTSOCK):
            transfer.send(s, b"x")


def test_cleanup_clears_the_last_error_st_10() -> None:
    startup.WSAStartup(word(2, 2))
    startup.WSASetLastError(10022)
    startup.WSACleanup()
    assert startup.WSAGetLastError() == 0


def test_errors_are_the_threads_own_err_002(world: World) -> None:
    with refused(WSAENOTSOCK):
        sockets.listen(9999, 1)
    with refused(WSAEAFNOSUPPORT):
        sockets.socket(57005, SOCK_STREAM, 0)
    others: list[int] = []
    thread = threading.Thread(target=lambda: others.append(startup.WSAGetLastError()), daemon=True)
    thread.start()
    thread.join()
    assert (startup.WSAGetLastError(), others) == (WSAEAFNOSUPPORT, [0])
