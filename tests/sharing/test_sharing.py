"""Sockets shared between real processes (DUP, DU)."""

from __future__ import annotations

import errno
import os
import socket as host
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.conformance.layers import PassThrough
from tests.refusals import refused
from winsock.abi.constants import (
    FROM_PROTOCOL_INFO,
    SO_KEEPALIVE,
    SO_PROTOCOL_INFO,
    SO_RCVBUF,
    SOCK_STREAM,
    SOL_SOCKET,
    WSA_FLAG_MULTIPOINT_C_LEAF,
)
from winsock.abi.errors import WSAEINVAL, WSAENOTSOCK
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.api import options, sharing, sockets, transfer
from winsock.base import handover
from winsock.base.inet import duplicates
from winsock.testing import World, through

SHARER = Path(__file__).parents[1] / "programs" / "sharer.py"


class Other:
    """Another process, which does what it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SHARER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._read() == "ready"

    @property
    def id(self) -> int:
        return self._process.pid

    def do(self, expression: str) -> str:
        assert self._process.stdin is not None
        print(expression, file=self._process.stdin, flush=True)
        return self._read()

    def take(self, info: WSAPROTOCOL_INFO, more: str = "") -> str:
        return self.do(f"take('{info.pack().hex()}'{more})")

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture(params=[(), (PassThrough,), (PassThrough, PassThrough)], ids=["inet", "pass", "pass,pass"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with World(through(*request.param)) as opened:
        yield opened
    handover.counter.withdraw()


@pytest.fixture
def base_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """The base provider alone, which the other process has, too."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with World() as opened:
        yield opened
    handover.counter.withdraw()


@pytest.fixture
def other(base_world: World) -> Iterator[Other]:
    with Other() as process:
        yield process


def opened(info: WSAPROTOCOL_INFO) -> int:
    return sockets.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info)


def test_the_other_process_has_the_same_socket_dup_001_to_dup_004(base_world: World, other: Other) -> None:
    client, server = base_world.connected()
    info = sharing.WSADuplicateSocket(client, other.id)
    assert len(info.pack()) == 628
    shared = other.take(info)
    assert other.do(f"send({shared}, b'from the other')") == "14"
    assert transfer.recv(server, 99) == b"from the other"
    transfer.send(client, b"from the first")
    assert transfer.recv(server, 99) == b"from the first"
    transfer.send(server, b"to either")
    assert other.do(f"recv({shared}, 99)") == "b'to either'"
    assert other.do(f"getpeername({shared}).port") == str(getattr(sockets.getpeername(client), "port", None))


def test_it_is_good_for_one_use_dup_001(base_world: World, other: Other) -> None:
    client, _ = base_world.connected()
    info = sharing.WSADuplicateSocket(client, other.id)
    assert other.take(info).isdigit()
    assert other.take(info) == "WSAEINVAL"  # SOCK-017


def test_nobody_else_gets_it_and_nothing_is_used_up(base_world: World, other: Other) -> None:
    client, _ = base_world.connected()
    info = sharing.WSADuplicateSocket(client, other.id)
    with Other() as stranger:
        assert stranger.take(info) == "WSAEINVAL"
    with refused(WSAEINVAL, "protocol_info"):
        opened(info)
    assert other.take(info).isdigit()


def test_a_forged_structure_is_worth_nothing(base_world: World, other: Other) -> None:
    client, _ = base_world.connected()
    info = sharing.WSADuplicateSocket(client, other.id)
    udp = next(i for i in sockets.WSAEnumProtocols() if i.iSocketType != SOCK_STREAM)
    for forged in (
        info._replace(dwProviderReserved=info.dwProviderReserved ^ 1),
        udp._replace(dwProviderReserved=info.dwProviderReserved),
    ):
        assert other.take(forged) == "WSAEINVAL"
    assert other.take(info).isdigit()


def test_it_is_good_while_its_source_lives(base_world: World, other: Other) -> None:
    with Other() as source:
        text = source.do(f"WSADuplicateSocket(socket(AF_INET, SOCK_STREAM, 0), {other.id}).pack().hex()")
    assert other.do(f"take({text})") == "WSAEINVAL"


def test_it_is_good_for_a_minute(base_world: World, other: Other, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "GOOD_FOR_S", 0.0)
    client, _ = base_world.connected()
    info = sharing.WSADuplicateSocket(client, other.id)
    assert other.take(info) == "WSAEINVAL"


def test_there_must_be_such_a_process(world: World) -> None:
    client, _ = world.connected()
    ended = subprocess.Popen(["true"])
    ended.wait()
    for wrong in (ended.pid, 0, -1, 1 << 40):
        with refused(WSAEINVAL, "process_id"):
            sharing.WSADuplicateSocket(client, wrong)


def test_a_process_that_ended_is_not_its_successor(base_world: World) -> None:
    """The kernel's handle of the process decides, not its number."""
    client, _ = base_world.connected()
    with Other() as target:
        info = sharing.WSADuplicateSocket(client, target.id)
        offer = next(iter(handover.counter._offers.values()))
        target.kill()
        visitor, same_process = host.socketpair()
        with visitor, same_process:
            assert not handover._is_meant(offer._replace(process_id=os.getpid()), visitor)
    with refused(WSAEINVAL):
        opened(info)


def test_within_a_process_through_chains_dup_005(world: World) -> None:
    client, server = world.connected()
    info = sharing.WSADuplicateSocket(client, os.getpid())
    assert info.dwCatalogEntryId == sockets.WSAEnumProtocols()[0].dwCatalogEntryId
    twin = opened(info)
    assert twin != client
    assert options.getsockopt(twin, SOL_SOCKET, SO_PROTOCOL_INFO) == options.getsockopt(
        client, SOL_SOCKET, SO_PROTOCOL_INFO
    )
    transfer.send(twin, b"twin")
    assert transfer.recv(server, 9) == b"twin"


def test_each_is_closed_by_itself_dup_008_du_07(world: World) -> None:
    client, server = world.connected()
    twins = [opened(sharing.WSADuplicateSocket(client, os.getpid())) for _ in range(2)]
    sockets.closesocket(client)
    sockets.closesocket(twins[0])
    transfer.send(twins[1], b"still here")
    assert transfer.recv(server, 99) == b"still here"
    sockets.closesocket(twins[1])
    assert transfer.recv(server, 99) == b""


def test_options_are_common_dup_007(world: World) -> None:
    client, _ = world.connected()
    twin = opened(sharing.WSADuplicateSocket(client, os.getpid()))
    options.setsockopt(twin, SOL_SOCKET, SO_KEEPALIVE, 1)
    options.setsockopt(twin, SOL_SOCKET, SO_RCVBUF, 20_000)
    assert options.getsockopt(client, SOL_SOCKET, SO_KEEPALIVE) == 1
    assert options.getsockopt(client, SOL_SOCKET, SO_RCVBUF) == options.getsockopt(twin, SOL_SOCKET, SO_RCVBUF)


def test_group_and_flags_are_ignored(base_world: World, other: Other) -> None:
    client, server = base_world.connected()
    info = sharing.WSADuplicateSocket(client, other.id)
    shared = other.take(info, f", 77, {WSA_FLAG_MULTIPOINT_C_LEAF}")
    assert other.do(f"send({shared}, b'x')") == "1"
    assert transfer.recv(server, 9) == b"x"


@pytest.mark.parametrize("make", [World.datagram, lambda world: world.listener()[0], World.stream])
def test_any_state_is_shared(base_world: World, other: Other, make: Callable[[World], int]) -> None:
    s = make(base_world)
    shared = other.take(sharing.WSADuplicateSocket(s, other.id))
    for question in ("getsockname({}).port", "getsockopt({}, SOL_SOCKET, SO_ACCEPTCONN)"):
        here = question.format(s)
        names = {"getsockname": sockets.getsockname, "getsockopt": options.getsockopt}
        try:
            expected = repr(eval(here, names | {"SOL_SOCKET": SOL_SOCKET, "SO_ACCEPTCONN": 2}))
        except OSError as error:
            expected = getattr(error, "name", "")
        assert other.do(question.format(shared)) == expected


def test_a_listener_is_accepted_from_by_both(base_world: World, other: Other) -> None:
    listener, address = base_world.listener()
    shared = other.take(sharing.WSADuplicateSocket(listener, other.id))
    first = base_world.stream()
    sockets.connect(first, address)
    assert other.do(f"send(accept({shared})[0], b'hello')") == "5"
    assert transfer.recv(first, 9) == b"hello"
    sockets.connect(base_world.stream(), address)
    sockets.accept(listener)


def test_what_is_no_socket_du_01(world: World) -> None:
    for wrong in (-1, 0):
        with refused(WSAENOTSOCK):
            sharing.WSADuplicateSocket(wrong, os.getpid())


def test_a_folder_that_others_can_enter_is_refused(base_world: World, tmp_path: Path) -> None:
    os.mkdir(tmp_path / "winsock")
    (tmp_path / "winsock").chmod(0o777)
    client, _ = base_world.connected()
    with pytest.raises(OSError, match="open to nobody else"):
        sharing.WSADuplicateSocket(client, os.getpid())


def test_nothing_is_left(base_world: World, other: Other, tmp_path: Path) -> None:
    client, _ = base_world.connected()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert other.take(sharing.WSADuplicateSocket(client, other.id)).isdigit()
    sharing.WSADuplicateSocket(client, other.id)
    handover.counter.withdraw()
    assert list((tmp_path / "winsock").iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) <= before + 1, "the bell, until the thread has seen that nothing is offered"


@pytest.mark.parametrize("state", [b"", bytes(16), bytes(18), b"\5" + bytes(16)])
def test_what_another_release_hands_over_is_refused(
    base_world: World, monkeypatch: pytest.MonkeyPatch, state: bytes
) -> None:
    """It may know more, or less, of its sockets."""
    client, _ = base_world.connected()
    with monkeypatch.context() as other:
        other.setattr(duplicates, "_pack", lambda record: state)
        info = sharing.WSADuplicateSocket(client, os.getpid())
    taken, take = [], handover.take

    def noting(name: int, proof: bytes) -> tuple[int, bytes]:
        taken.append(take(name, proof))
        return taken[0]

    monkeypatch.setattr(handover, "take", noting)
    with refused(WSAEINVAL, "another release"):
        opened(info)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(taken[0][0])


@pytest.mark.parametrize(("said", "rights"), [(b"\0" * 8, 2), (b"\0" * 3, 1), (b"\xff" * 8, 1), (b"\0" * 7 + b"\1", 1)])
def test_what_is_handed_over_wrongly_leaves_nothing_open(said: bytes, rights: int) -> None:
    before = os.listdir("/proc/self/fd")
    here, there = host.socketpair()
    with here:
        with there:
            host.send_fds(there, [said], [there.fileno()] * rights)
        with pytest.raises(ConnectionResetError):
            handover._received(here)
    assert len(os.listdir("/proc/self/fd")) == len(before)
