"""Sockets shared between real processes (DUP, DU)."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import re
import resource
import signal
import socket as host
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.refusals import refused
from tests.sharing.other import Other
from winsock.abi.constants import (
    FD_CLOSE,
    FD_OOB,
    FD_READ,
    FIONBIO,
    FIONREAD,
    FROM_PROTOCOL_INFO,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
    SIOCATMARK,
    SO_ACCEPTCONN,
    SO_CONNECT_TIME,
    SO_DEBUG,
    SO_DONTROUTE,
    SO_EXCLUSIVEADDRUSE,
    SO_GROUP_PRIORITY,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_OOBINLINE,
    SO_PROTOCOL_INFO,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SOCK_STREAM,
    SOL_SOCKET,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_WAIT_EVENT_0,
    WSA_WAIT_TIMEOUT,
)
from winsock.abi.errors import (
    WSAECONNABORTED,
    WSAEINTR,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOTSOCK,
    WSAESHUTDOWN,
    WSAETIMEDOUT,
    WinsockError,
)
from winsock.abi.options import Linger
from winsock.abi.protocol_info import WSAPROTOCOL_INFO, WSAPROTOCOLCHAIN
from winsock.api import events, options, sharing, sockets, transfer, waiting
from winsock.base import handover
from winsock.base.inet import urgent
from winsock.base.inet.own import SOCKETS
from winsock.dispatcher.records import forget, records
from winsock.host import queues
from winsock.overlapped.messages import MessageQueue
from winsock.testing import World, through

PASS, OWN = "tests.conformance.layers:PassThrough", "tests.conformance.layers:OwnHandles"
CHAINS = {
    "inet": (),
    "pass": (PASS,),
    "own": (OWN,),
    "pass over own": (PASS, OWN),
    "own over pass over own": (OWN, PASS, OWN),
}
SECONDS = 20


@pytest.fixture(scope="module", autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """This user's runtime folder, for us and the other processes."""
    with pytest.MonkeyPatch.context() as patched:
        path = tmp_path_factory.mktemp("runtime")
        patched.setenv("XDG_RUNTIME_DIR", str(path))
        yield path


@pytest.fixture(autouse=True)
def folder(runtime: Path) -> Iterator[Path]:
    """Where the offers are; nobody offers anything when a test ends."""
    yield runtime / "winsock"
    handover.counter.withdraw()
    wait_for_handovers()


@pytest.fixture(scope="module")
def partners() -> Iterator[Callable[[tuple[str, ...]], Other]]:
    """A process for each chain, which all tests use."""
    with ExitStack() as running:
        yield cache(lambda layers: running.enter_context(Other(*layers)))


@pytest.fixture(params=CHAINS)
def layers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return CHAINS[request.param]


@pytest.fixture
def world(layers: tuple[str, ...]) -> Iterator[World]:
    """Winsock through each chain."""
    with World(through(*layers)) as opened:
        yield opened


@pytest.fixture
def partner(layers: tuple[str, ...], world: World, partners: Callable[[tuple[str, ...]], Other]) -> Other:
    """A process with the same chain."""
    return partners(layers)


@pytest.fixture
def base_world() -> Iterator[World]:
    """The base provider alone."""
    with World() as opened:
        yield opened


@pytest.fixture
def other(base_world: World, partners: Callable[[tuple[str, ...]], Other]) -> Other:
    return partners(())


def opened(info: WSAPROTOCOL_INFO) -> int:
    return sockets.WSASocket(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, info)


def twin_of(s: int) -> int:
    return opened(sharing.WSADuplicateSocket(s, os.getpid()))


def port_of(s: int) -> Any:
    return getattr(sockets.getsockname(s), "port", None)


def is_asleep(thread: threading.Thread) -> bool:
    """Whether it waits in the kernel, and not for the interpreter."""
    task = Path(f"/proc/self/task/{thread.native_id}")
    state = task.joinpath("stat").read_text().rpartition(")")[2].split()[0]
    return state == "S" and "futex" not in task.joinpath("wchan").read_text()


def is_in(function: str, thread: threading.Thread) -> bool:
    """Whether that is where a thread is at the moment."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == function


def wait_for_handovers() -> None:
    """Until nothing is offered any more, and nobody waits for it."""
    for thread in threading.enumerate():
        if thread.name == "winsock-handover":
            thread.join(SECONDS)


class TestTheStructure:
    """What it is worth, and to whom."""

    def test_it_is_the_entry_with_a_name_in_it_dup_002_dup_003(self, world: World, partner: Other) -> None:
        """DUP-002, DUP-003: dwProviderReserved says which socket is meant, and the provider knows it again."""
        client, server = world.connected()
        other_client, _ = world.connected()
        first, second = (sharing.WSADuplicateSocket(s, partner.id) for s in (client, other_client))
        entry = sockets.WSAEnumProtocols()[0]
        for info in (first, second):
            assert len(info.pack()) == 628
            assert info == entry._replace(dwProviderReserved=info.dwProviderReserved)
        assert 0 != first.dwProviderReserved != second.dwProviderReserved != 0
        shared = partner.take(first)
        assert partner.do(f"getpeername({shared}).port") == str(port_of(server))

    def test_the_other_process_has_the_same_socket_dup_004_dup_006(self, world: World, partner: Other) -> None:
        """DUP-004: one stream. DUP-006: each uses it as if it were its own, and nothing keeps them apart."""
        client, server = world.connected()
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        assert partner.do(f"send({shared}, b'from the other')") == "14"
        assert transfer.recv(server, 99) == b"from the other"
        transfer.send(client, b"from the first")
        assert transfer.recv(server, 99) == b"from the first"
        transfer.send(server, b"to either")
        assert partner.do(f"recv({shared}, 3)") == "b'to '"
        assert transfer.recv(client, 99) == b"either"
        assert partner.do(f"getsockname({shared}).port") == str(port_of(client))

    def test_whose_handle_it_is_dup_005(self, layers: tuple[str, ...], world: World) -> None:
        """DUP-005: WPUCreateSocketHandle makes it where the top of the chain has handles of its own."""
        client, server = world.connected()
        twin = twin_of(client)
        assert twin != client
        assert records[twin].made is (OWN in layers)
        assert records[twin].table is records[client].table
        question = SOL_SOCKET, SO_PROTOCOL_INFO
        assert options.getsockopt(twin, *question) == options.getsockopt(client, *question) == records[twin].entry.info
        transfer.send(twin, b"twin")
        assert transfer.recv(server, 9) == b"twin"

    def test_it_is_good_for_one_use_dup_001(self, world: World, partner: Other) -> None:
        """DUP-001."""
        client, _ = world.connected()
        info = sharing.WSADuplicateSocket(client, partner.id)
        assert partner.take(info).isdigit()
        assert partner.take(info) == "WSAEINVAL"  # SOCK-017

    def test_of_two_threads_one_gets_it_dup_001(self, base_world: World) -> None:
        client, _ = base_world.connected()
        for _ in range(20):
            info = sharing.WSADuplicateSocket(client, os.getpid())
            outcomes: list[object] = []
            gate = threading.Barrier(2)

            def redeem(info: WSAPROTOCOL_INFO, gate: threading.Barrier, outcomes: list[object]) -> None:
                gate.wait(SECONDS)
                try:
                    outcomes.append(opened(info))
                except WinsockError as error:
                    outcomes.append(error.winerror)

            threads = [threading.Thread(target=redeem, args=(info, gate, outcomes), daemon=True) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SECONDS)
            assert outcomes.count(WSAEINVAL) == 1
            [twin] = [outcome for outcome in outcomes if outcome != WSAEINVAL]
            sockets.closesocket(twin)  # type: ignore[arg-type]

    def test_nobody_else_gets_it_and_nothing_is_used_up(self, world: World, partner: Other) -> None:
        client, _ = world.connected()
        info = sharing.WSADuplicateSocket(client, partner.id)
        with Other() as stranger:
            assert stranger.take(info) == "WSAEINVAL"
            assert stranger.take(sockets.WSAEnumProtocols()[-1]._replace(dwProviderReserved=5)) == "WSAEINVAL"
        with refused(WSAEINVAL, "protocol_info"):
            opened(info)
        assert partner.take(info).isdigit()

    def test_a_forged_structure_is_worth_nothing(self, world: World, partner: Other) -> None:
        client, _ = world.connected()
        info = sharing.WSADuplicateSocket(client, partner.id)
        forged = [info._replace(dwProviderReserved=info.dwProviderReserved ^ 1)]
        for field, value in zip(info._fields, info, strict=True):
            if isinstance(value, int) and field not in ("dwProviderReserved", "dwCatalogEntryId"):
                changed: dict[str, Any] = {field: value ^ 1}
                forged.append(info._replace(**changed))
        forged.append(info._replace(szProtocol=info.szProtocol + "!"))
        forged.append(info._replace(ProtocolChain=WSAPROTOCOLCHAIN(2, (5, 6))))
        forged += [
            entry._replace(dwProviderReserved=info.dwProviderReserved)
            for entry in sockets.WSAEnumProtocols()
            if entry.iSocketType != SOCK_STREAM
        ]
        assert [partner.take(wrong) for wrong in forged] == ["WSAEINVAL"] * len(forged)
        assert partner.take(info).isdigit()

    def test_group_and_flags_are_ignored(self, world: World, partner: Other) -> None:
        client, server = world.connected()
        info = sharing.WSADuplicateSocket(client, partner.id)
        shared = partner.take(info, f", 77, {WSA_FLAG_MULTIPOINT_C_LEAF}")
        assert partner.do(f"send({shared}, b'x')") == "1"
        assert transfer.recv(server, 9) == b"x"

    def test_there_must_be_such_a_process(self, world: World) -> None:
        client, _ = world.connected()
        ended = subprocess.Popen(["true"])
        ended.wait()
        for wrong in (ended.pid, 0, -1, 1 << 40):
            with refused(WSAEINVAL, "process_id"):
                sharing.WSADuplicateSocket(client, wrong)

    def test_what_is_no_socket_du_01(self, world: World) -> None:
        for wrong in (-1, 0):
            with refused(WSAENOTSOCK):
                sharing.WSADuplicateSocket(wrong, os.getpid())

    @pytest.mark.parametrize("length", [89, 90, 91, 300])
    def test_the_folder_may_have_a_longer_name_than_a_socket(
        self, base_world: World, monkeypatch: pytest.MonkeyPatch, length: int
    ) -> None:
        """Of the path of 107 bytes that is an address, 17 are ours; longer ones are none."""
        with tempfile.TemporaryDirectory(dir="/tmp") as base:
            runtime = Path(base, *["long"] * ((length - len(base)) // 5 - 1))
            runtime /= "x" * (length - len(str(runtime)) - 1)
            runtime.mkdir(parents=True)
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
            client, server = base_world.connected()
            info = sharing.WSADuplicateSocket(client, os.getpid())
            assert [len(str(path)) for path in (runtime / "winsock").iterdir()] == [length + 17]
            assert transfer.send(opened(info), b"x") == 1
            assert transfer.recv(server, 1) == b"x"
            with refused(WSAEINVAL):
                opened(info)

    def test_a_folder_that_others_can_enter_is_refused(
        self, base_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        folder = tmp_path / "winsock"
        folder.mkdir()
        folder.chmod(0o777)
        client, _ = base_world.connected()
        with pytest.raises(OSError, match="open to nobody else"):
            sharing.WSADuplicateSocket(client, os.getpid())


class TestHowLong:
    """An offer ends, and what becomes of the socket then."""

    def test_it_is_good_while_its_source_lives(self, other: Other, folder: Path) -> None:
        with Other() as source:
            text = source.do(f"WSADuplicateSocket(socket(AF_INET, SOCK_STREAM, 0), {other.id}).pack().hex()")
        [_] = folder.iterdir()
        assert other.do(f"take({text})") == "WSAEINVAL"
        assert list(folder.iterdir()) == [], "who comes across what a dead process left takes it away"

    def test_what_dead_processes_left_is_swept_away(self, base_world: World, other: Other, folder: Path) -> None:
        with Other() as source:
            for _ in range(3):
                source.do(f"WSADuplicateSocket(socket(AF_INET, SOCK_STREAM, 0), {other.id})")
        with Other() as living:
            text = living.do(f"WSADuplicateSocket(socket(AF_INET, SOCK_STREAM, 0), {other.id}).pack().hex()")
            assert len(list(folder.iterdir())) == 1, "the first offer of a process is when it looks"
            sharing.WSADuplicateSocket(base_world.stream(), other.id)
            assert len(list(folder.iterdir())) == 2
            assert other.do(f"take({text})").isdigit(), "and it takes nothing away from the living"

    def test_so_is_what_was_never_finished(self, base_world: World, folder: Path) -> None:
        ended = subprocess.Popen(["true"])
        ended.wait()
        for name in (f"00000001~{ended.pid}", f"00000002~{os.getpid()}", "00000003~x"):
            (folder / name).touch()
        twin_of(base_world.stream())
        wait_for_handovers()
        assert {path.name for path in folder.iterdir()} == {f"00000002~{os.getpid()}", "00000003~x"}
        for path in folder.iterdir():
            path.unlink()

    def test_it_is_good_for_a_minute(self, other: Other, base_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        assert handover.GOOD_FOR_S == 60
        monkeypatch.setattr(handover, "GOOD_FOR_S", 0.0)
        client, _ = base_world.connected()
        info = sharing.WSADuplicateSocket(client, other.id)
        assert other.take(info) == "WSAEINVAL"

    def test_it_keeps_the_socket_until_then(self, world: World, partner: Other) -> None:
        """As on Windows, where the descriptor is the target's already."""
        client, server = world.connected()
        info = sharing.WSADuplicateSocket(client, partner.id)
        sockets.closesocket(client)
        shared = partner.take(info)
        partner.do(f"send({shared}, b'still here')")
        assert transfer.recv(server, 99) == b"still here"
        partner.do(f"closesocket({shared})")
        assert transfer.recv(server, 99) == b""

    def test_it_ends_with_its_target(self, base_world: World, folder: Path) -> None:
        client, server = base_world.connected()
        with Other() as target:
            sharing.WSADuplicateSocket(client, target.id)
            sockets.closesocket(client)
        options.setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, 1000 * SECONDS)
        assert transfer.recv(server, 99) == b""
        wait_for_handovers()
        assert list(folder.iterdir()) == []

    def test_a_process_that_ended_is_not_its_successor(self) -> None:
        """The kernel's handle of the process decides, not its number."""
        ended = subprocess.Popen(["sleep", "99"])
        target = os.pidfd_open(ended.pid)
        offer = handover.Offer(host.socket(), "", (), target, os.getpid(), b"", 0)
        visitor, same_process = host.socketpair()
        with visitor, same_process, offer.listener:
            assert handover._is_meant(offer, visitor)
            ended.kill()
            ended.wait()
            assert not handover._is_meant(offer, visitor)
        os.close(target)

    def test_a_target_that_does_not_go_on_is_in_nobodys_way(self, base_world: World, other: Other) -> None:
        client, _ = base_world.connected()
        slow = sharing.WSADuplicateSocket(client, os.getpid())
        with host.socket(host.AF_UNIX, host.SOCK_SEQPACKET) as visitor:
            visitor.connect(os.path.join(handover.folder(), f"{slow.dwProviderReserved:08x}"))
            assert other.take(sharing.WSADuplicateSocket(client, other.id)).isdigit()
            visitor.sendall(slow.pack())
            visitor.settimeout(SECONDS)
            assert handover._received(visitor, 2)
        with refused(WSAEINVAL):
            opened(slow)

    def test_one_without_the_structure_gets_nothing(self, base_world: World, other: Other) -> None:
        client, _ = base_world.connected()
        info = sharing.WSADuplicateSocket(client, os.getpid())
        for said in (b"", info.pack()[:-1], info.pack() + b"x", bytes(628)):
            with host.socket(host.AF_UNIX, host.SOCK_SEQPACKET) as visitor:
                visitor.connect(os.path.join(handover.folder(), f"{info.dwProviderReserved:08x}"))
                visitor.settimeout(SECONDS)
                visitor.sendall(said)
                assert visitor.recvmsg(9, 99)[:2] == (b"", [])
        sockets.closesocket(opened(info))

    @pytest.mark.parametrize(("said", "rights"), [(b"\1", 1), (b"\1", 3), (b"\2", 2), (b"\0", 2), (b"\1", 0)], ids=str)
    def test_what_is_handed_over_wrongly_leaves_nothing_open(self, said: bytes, rights: int) -> None:
        before = os.listdir("/proc/self/fd")
        here, there = host.socketpair(host.AF_UNIX, host.SOCK_SEQPACKET)
        with here:
            with there:
                host.send_fds(there, [said], [there.fileno()] * rights)
            with pytest.raises(OSError, match=r"^$|Too many open files"):
                handover._received(here, 2)
        assert len(os.listdir("/proc/self/fd")) == len(before)

    @pytest.mark.parametrize("spoil", ["layout", "phase", "size", "seals", "kind"])
    def test_what_another_release_hands_over_is_refused(
        self, base_world: World, monkeypatch: pytest.MonkeyPatch, spoil: str
    ) -> None:
        """It may know more, or less, of its sockets."""
        client, _ = base_world.connected()
        info = sharing.WSADuplicateSocket(client, os.getpid())
        page = SOCKETS[client].shared
        assert page is not None
        taken: list[int] = []
        take = handover.take

        def noting(name: int, proof: bytes, count: int) -> list[int]:
            taken.extend(take(name, proof, count))
            if spoil in ("size", "seals", "kind"):
                file = os.open(os.devnull, os.O_RDWR) if spoil == "kind" else os.memfd_create("x", os.MFD_ALLOW_SEALING)
                if spoil != "kind":
                    os.write(file, bytes(page.page) + (b"more" if spoil == "size" else b""))
                if spoil == "size":
                    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
                os.dup2(file, taken[1])
                os.close(file)
            return taken

        if spoil in ("layout", "phase"):
            setattr(page.page, spoil, 99)
        monkeypatch.setattr(handover, "take", noting)
        with refused(WSAEINVAL, "another release"):
            opened(info)
        for descriptor in taken:
            with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
                os.fstat(descriptor)

    def test_nothing_is_left(self, world: World, partner: Other, folder: Path) -> None:
        def count() -> int:
            wait_for_handovers()
            gc.collect()  # what earlier tests have dropped must not go in between
            return len(os.listdir("/proc/self/fd"))

        for s in world.connected():  # what is made once is made
            sockets.closesocket(s)
        before = count()
        client, server = world.connected()
        for _ in range(20):
            shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
            partner.do(f"closesocket({shared})")
        sockets.closesocket(twin_of(client))
        sharing.WSADuplicateSocket(client, partner.id)
        handover.counter.withdraw()
        assert list(folder.iterdir()) == []
        sockets.closesocket(client)
        assert transfer.recv(server, 9) == b""
        sockets.closesocket(server)
        assert count() == before


class TestOneSocket:
    """State, options and data are one."""

    def test_options_are_common_dup_007(self, world: World, partner: Other) -> None:
        """DUP-007, also of those that the kernel does not know."""
        client, _ = world.connected()
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        for option, value in (
            (SO_KEEPALIVE, 1),
            (SO_DEBUG, 1),
            (SO_DONTROUTE, 1),
            (SO_GROUP_PRIORITY, 3),
            (SO_RCVBUF, 20_000),
        ):
            partner.do(f"setsockopt({shared}, SOL_SOCKET, {option}, {value})")
            there = partner.do(f"getsockopt({shared}, SOL_SOCKET, {option})")
            assert str(options.getsockopt(client, SOL_SOCKET, option)) == there
            assert options.getsockopt(client, SOL_SOCKET, option) >= value  # type: ignore[operator]
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(0, 7))
        assert partner.do(f"getsockopt({shared}, SOL_SOCKET, SO_LINGER)") == "Linger(onoff=0, seconds=7)"
        options.setsockopt(client, SOL_SOCKET, SO_DEBUG, 0)
        assert partner.do(f"getsockopt({shared}, SOL_SOCKET, SO_DEBUG)") == "0"

    def test_so_is_the_age_of_a_connection_dup_007(self, world: World, partner: Other) -> None:
        s = world.stream()
        shared = partner.take(sharing.WSADuplicateSocket(s, partner.id))
        assert partner.do(f"getsockopt({shared}, SOL_SOCKET, {SO_CONNECT_TIME})") == str(0xFFFFFFFF)
        sockets.connect(s, world.listener()[1])
        assert int(partner.do(f"getsockopt({shared}, SOL_SOCKET, {SO_CONNECT_TIME})")) in range(SECONDS)

    def test_so_are_those_of_a_socket_without_a_name_dup_007(self, world: World, partner: Other) -> None:
        s = world.stream()
        shared = partner.take(sharing.WSADuplicateSocket(s, partner.id))
        partner.do(f"setsockopt({shared}, SOL_SOCKET, {SO_EXCLUSIVEADDRUSE}, 1)")
        assert options.getsockopt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE) == 1

    def test_the_mode_is_common_dup_007(self, world: World, partner: Other) -> None:
        client, _ = world.connected()
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        options.ioctlsocket(client, FIONBIO, 1)
        assert partner.do(f"recv({shared}, 9)") == "WSAEWOULDBLOCK"
        partner.do(f"ioctlsocket({shared}, FIONBIO, 0)")
        options.setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, 1)
        with refused(WSAETIMEDOUT):
            transfer.recv(client, 9)

    def test_how_far_it_has_come_is_common_dup_007(self, world: World, partner: Other) -> None:
        """A stream that one process connects, and a listener that one makes, are so for all."""
        listener = world.stream()
        sockets.bind(listener, world.anywhere)
        there = partner.take(sharing.WSADuplicateSocket(listener, partner.id))
        partner.do(f"listen({there}, 5)")
        assert options.getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1
        client = world.stream()
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        assert partner.do(f"connect({shared}, ('127.0.0.1', {port_of(listener)}))") == "None"
        server, _ = sockets.accept(listener)
        assert waiting.select(0, None, [client], None, SECONDS)[1] == [client]
        transfer.send(client, b"x")
        assert transfer.recv(server, 9) == b"x"
        partner.do(f"shutdown({shared}, SD_RECEIVE)")
        with refused(WSAESHUTDOWN):
            transfer.recv(client, 9)

    def test_any_state_is_shared(self, world: World, partner: Other) -> None:
        for s in (world.datagram(), world.listener()[0], world.stream()):
            shared = partner.take(sharing.WSADuplicateSocket(s, partner.id))
            for question in ("getsockname({}).port", "getsockopt({}, SOL_SOCKET, SO_ACCEPTCONN)"):
                names = {"getsockname": sockets.getsockname, "getsockopt": options.getsockopt}
                try:
                    expected = repr(eval(question.format(s), names | {"SOL_SOCKET": SOL_SOCKET, "SO_ACCEPTCONN": 2}))
                except OSError as error:
                    expected = getattr(error, "name", "")
                assert partner.do(question.format(shared)) == expected

    def test_a_listener_is_accepted_from_by_both_dup_006(self, world: World, partner: Other) -> None:
        """DUP-006."""
        listener, address = world.listener()
        shared = partner.take(sharing.WSADuplicateSocket(listener, partner.id))
        first = world.stream()
        sockets.connect(first, address)
        assert partner.do(f"send(accept({shared})[0], b'hello')") == "5"
        assert transfer.recv(first, 9) == b"hello"
        sockets.connect(world.stream(), address)
        sockets.accept(listener)

    def test_a_duplicate_can_be_shared_again(self, world: World, layers: tuple[str, ...], partner: Other) -> None:
        """From one process to the next; the state is still one."""
        client, server = world.connected()
        with Other(*layers) as third:
            shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
            last = third.do(f"take({partner.do(f'WSADuplicateSocket({shared}, {third.id}).pack().hex()')})")
            third.do(f"setsockopt({last}, SOL_SOCKET, SO_DEBUG, 1)")
            assert options.getsockopt(client, SOL_SOCKET, SO_DEBUG) == 1
            sockets.closesocket(client)
            partner.do(f"closesocket({shared})")
            third.do(f"send({last}, b'the last of three')")
            assert transfer.recv(server, 99) == b"the last of three"
        assert transfer.recv(server, 99) == b""

    def test_many_threads_share_one_socket_as_one(self, base_world: World) -> None:
        s = base_world.stream()
        twins: list[int] = []
        gate = threading.Barrier(4)

        def share() -> None:
            gate.wait(SECONDS)
            twins.append(twin_of(s))

        threads = [threading.Thread(target=share, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        options.setsockopt(s, SOL_SOCKET, SO_DEBUG, 1)
        assert [options.getsockopt(twin, SOL_SOCKET, SO_DEBUG) for twin in twins] == [1] * 4

    def test_nobody_can_take_the_memory_away(self, base_world: World) -> None:
        s = base_world.stream()
        twin_of(s)
        shared = SOCKETS[s].shared
        assert shared is not None
        with pytest.raises(PermissionError):
            os.truncate(f"/proc/self/fd/{shared.descriptor}", 0)

    def test_receives_are_as_those_of_any_socket(self, world: World) -> None:
        client, server = world.connected()
        twin = twin_of(client)
        transfer.send(server, b"abcdef")
        assert transfer.recv(twin, 2, MSG_PEEK) == b"ab"
        assert transfer.recv(twin, 6, MSG_WAITALL) == b"abcdef"
        options.setsockopt(twin, SOL_SOCKET, SO_RCVTIMEO, 20)
        for flags in (0, MSG_PEEK):
            with refused(WSAETIMEDOUT):
                transfer.recv(twin, 9, flags)
        one, other = world.datagrams()
        second = twin_of(one)
        transfer.send(other, b"too long")
        with refused(WSAEMSGSIZE):
            transfer.recv(second, 3)
        sockets.closesocket(server)
        assert transfer.recv(client, 9) == transfer.recv(twin, 9) == b""


class TestEvents:
    """Of all descriptors the last that asked is told."""

    def test_the_last_to_ask_is_told_dup_009_dup_010(self, world: World, partner: Other) -> None:
        """DUP-009: whoever asks ends what was asked for before, in any process. DUP-010: never are two told."""
        client, server = world.connected()
        event = events.WSACreateEvent()
        events.WSAEventSelect(client, event, FD_READ)
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        partner.do("(event := WSACreateEvent())")

        transfer.send(server, b"1")
        assert self.is_told(event)
        assert transfer.recv(client, 9) == b"1"

        partner.do(f"WSAEventSelect({shared}, event, FD_CLOSE)")
        transfer.send(server, b"2")
        assert not self.is_told(event, 0), "what the other asks for has nothing to do with what we did"
        partner.do(f"WSAEventSelect({shared}, event, FD_READ)")
        assert partner.do(f"WSAWaitForMultipleEvents([event], True, {SECONDS * 1000})") == str(WSA_WAIT_EVENT_0)
        assert partner.do(f"WSAEnumNetworkEvents({shared}, event).lNetworkEvents") == str(FD_READ)
        assert not self.is_told(event, 0)
        assert events.WSAEnumNetworkEvents(client).lNetworkEvents == 0
        assert transfer.recv(client, 9) == b"2"

        events.WSAEventSelect(client, event, FD_READ)
        transfer.send(server, b"3")
        assert self.is_told(event)
        assert partner.do("WSAWaitForMultipleEvents([event], True, 0)") == str(WSA_WAIT_TIMEOUT)
        assert partner.do(f"WSAEnumNetworkEvents({shared}, None).lNetworkEvents") == "0"
        self.close(event)

    def test_messages_and_events_alike_dup_009(self, world: World, partner: Other) -> None:
        """DUP-009: WSAAsyncSelect ends WSAEventSelect, and the other way round."""
        client, server = world.connected()
        event, window = events.WSACreateEvent(), MessageQueue()
        events.WSAEventSelect(client, event, FD_READ)
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        partner.do(f"WSAAsyncSelect({shared}, (window := MessageQueue()), 77, FD_READ)")
        transfer.send(server, b"1")
        assert partner.do(f"window.get({SECONDS})") == f"Message(message=77, wparam={shared}, lparam={FD_READ})"
        assert not self.is_told(event, 0)
        assert transfer.recv(client, 9) == b"1"

        events.WSAAsyncSelect(client, window, 78, FD_READ)
        transfer.send(server, b"2")
        assert window.get(SECONDS) == (78, client, FD_READ)
        assert partner.do("window.get(0)") == "None"
        assert transfer.recv(client, 9) == b"2"

        partner.do(f"WSAEventSelect({shared}, (event := WSACreateEvent()), FD_READ)")
        transfer.send(server, b"3")
        assert partner.do(f"WSAWaitForMultipleEvents([event], True, {SECONDS * 1000})") == str(WSA_WAIT_EVENT_0)
        assert window.get(0) is None
        self.close(event)

    def test_to_ask_for_nothing_ends_it_for_all_dup_009(self, world: World, partner: Other) -> None:
        client, server = world.connected()
        event = events.WSACreateEvent()
        events.WSAEventSelect(client, event, FD_READ | FD_CLOSE)
        shared = partner.take(sharing.WSADuplicateSocket(client, partner.id))
        partner.do(f"WSAEventSelect({shared}, None, 0)")
        transfer.send(server, b"1")
        assert partner.do(f"recv({shared}, 9, MSG_PEEK)") == "b'1'"
        assert not self.is_told(event, 0)
        self.close(event)

    def test_a_listener_that_another_selected_hands_nothing_down_dup_010(self, base_world: World) -> None:
        """A connection inherits the events of its listener, where they are still those of this descriptor."""
        listener, address = base_world.listener()
        twin = twin_of(listener)
        event = events.WSACreateEvent()
        events.WSAEventSelect(listener, event, FD_READ)
        events.WSAEventSelect(twin, event, 0)
        client = base_world.stream()
        sockets.connect(client, address)
        options.ioctlsocket(listener, FIONBIO, 0)
        server, _ = sockets.accept(listener)
        assert SOCKETS[server].selection is not None
        assert events.WSAEnumNetworkEvents(server).lNetworkEvents == 0
        transfer.send(client, b"x")
        assert not self.is_told(event, 0)
        self.close(event)

    @staticmethod
    def is_told(event: int, seconds: float = SECONDS) -> bool:
        told = events.WSAWaitForMultipleEvents([event], True, int(seconds * 1000)) == WSA_WAIT_EVENT_0
        if told:
            events.WSAResetEvent(event)
        return told

    @staticmethod
    def close(event: int) -> None:
        events.WSACloseEvent(event)


class TestUrgent:
    """Urgent data of one socket: whoever takes it has taken it for all."""

    @pytest.fixture
    def ends(self, world: World, partner: Other) -> tuple[int, int, str]:
        """A client; the server's end here, and there."""
        client, server = world.connected()
        return client, server, partner.take(sharing.WSADuplicateSocket(server, partner.id))

    def send(self, client: int, *pieces: bytes) -> None:
        for piece in pieces:
            transfer.send(client, piece, MSG_OOB if piece == b"!" else 0)

    def holds(self, s: int, count: int) -> None:
        """Wait until so much data has come that is not urgent, or is in line."""
        while options.ioctlsocket(s, FIONREAD) < count:
            waiting.select(0, [s], None, None, SECONDS)

    def is_urgent(self, s: int) -> bool:
        return waiting.select(0, None, None, [s], SECONDS)[2] == [s]

    def marks(self, server: int, partner: Other, there: str) -> set[int]:
        """What SIOCATMARK says, here and there."""
        return {options.ioctlsocket(server, SIOCATMARK), int(partner.do(f"ioctlsocket({there}, SIOCATMARK)"))}

    def test_taken_there_it_is_gone_here(self, ends: tuple[int, int, str], partner: Other) -> None:
        client, server, there = ends
        self.send(client, b"ab", b"!", b"cd")
        assert self.is_urgent(server)
        assert partner.do(f"select(0, None, None, [{there}], {SECONDS})") == f"([], [], [{there}])"
        assert self.marks(server, partner, there) == {0}
        assert partner.do(f"recv({there}, 9, MSG_OOB | MSG_PEEK)") == "b'!'"
        assert transfer.recv(server, 9, MSG_OOB | MSG_PEEK) == b"!"
        assert self.marks(server, partner, there) == {0}
        assert partner.do(f"recv({there}, 9, MSG_OOB)") == "b'!'"
        assert self.marks(server, partner, there) == {1}
        assert waiting.select(0, None, None, [server], 0) == ([], [], [])
        with refused(WSAEINVAL):
            transfer.recv(server, 9, MSG_OOB)
        assert transfer.recv(server, 9) == b"ab", "a receive ends where it was"
        self.holds(server, 2)
        assert partner.do(f"recv({there}, 9)") == "b'cd'"

    def test_taken_here_it_is_gone_there(self, ends: tuple[int, int, str], partner: Other) -> None:
        client, server, there = ends
        self.send(client, b"!")
        assert self.is_urgent(server)
        assert transfer.recv(server, 9, MSG_OOB) == b"!"
        assert partner.do(f"recv({there}, 9, MSG_OOB)") == "WSAEINVAL"
        assert partner.do(f"select(0, None, None, [{there}], 0)") == "([], [], [])"
        assert self.marks(server, partner, there) == {1}

    @pytest.mark.parametrize("when", ["before", "here", "there"])
    def test_in_line_it_takes_three_receives_whoever_makes_them(self, world: World, partner: Other, when: str) -> None:
        client, server = world.connected()
        if when == "before":
            options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
        there = partner.take(sharing.WSADuplicateSocket(server, partner.id))
        if when == "here":
            options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
        if when == "there":
            partner.do(f"setsockopt({there}, SOL_SOCKET, SO_OOBINLINE, 1)")
        assert options.getsockopt(server, SOL_SOCKET, SO_OOBINLINE) == 1
        for _ in range(2):
            self.send(client, b"ab", b"!", b"cd", b"ef")
            self.holds(server, 2)
            assert self.marks(server, partner, there) == {0}
            assert transfer.recv(server, 1) == b"a"
            assert partner.do(f"recv({there}, 9)") == "b'b'"
            assert self.marks(server, partner, there) == {0}
            assert partner.do(f"recv({there}, 9, MSG_PEEK)") == "b'!'"
            assert transfer.recv(server, 9) == b"!"
            assert self.marks(server, partner, there) == {1}
            self.holds(server, 4)
            assert partner.do(f"recv({there}, 9)") == "b'cdef'"
            with refused(WSAEINVAL):
                transfer.recv(server, 9, MSG_OOB)
            assert partner.do(f"recv({there}, 9, MSG_OOB)") == "WSAEINVAL"

    @pytest.mark.parametrize("first", ["select", "share"])
    def test_whoever_asked_last_is_told_each_time(self, world: World, partner: Other, first: str) -> None:
        """OOB-007, whichever process takes it."""
        client, server = world.connected()
        event = events.WSACreateEvent()
        if first == "select":
            events.WSAEventSelect(server, event, FD_READ | FD_OOB)
        there = partner.take(sharing.WSADuplicateSocket(server, partner.id))
        if first == "share":
            events.WSAEventSelect(server, event, FD_READ | FD_OOB)
        for who in ("there", "here", "there"):
            self.send(client, b"!")
            assert events.WSAWaitForMultipleEvents([event], True, SECONDS * 1000) == WSA_WAIT_EVENT_0
            assert events.WSAEnumNetworkEvents(server, event).lNetworkEvents == FD_OOB
            if who == "there":
                assert partner.do(f"recv({there}, 9, MSG_OOB)") == "b'!'"
            else:
                assert transfer.recv(server, 9, MSG_OOB) == b"!"
            assert events.WSAWaitForMultipleEvents([event], True, 0) == WSA_WAIT_TIMEOUT
        events.WSACloseEvent(event)

    def test_who_died_while_taking_it_stops_nobody(self, base_world: World) -> None:
        """The number of such receives stays odd, which means that somebody is at it: it is asked anew each time."""
        client, server = base_world.connected()
        twin = twin_of(server)
        page = SOCKETS[server].shared.page  # type: ignore[union-attr]
        page.urgent_receives = 7
        event = events.WSACreateEvent()
        events.WSAEventSelect(server, event, FD_READ | FD_OOB)
        for expected in (10, 12):
            self.send(client, b"!")
            assert events.WSAWaitForMultipleEvents([event], True, SECONDS * 1000) == WSA_WAIT_EVENT_0
            assert events.WSAEnumNetworkEvents(server, event).lNetworkEvents == FD_OOB
            assert transfer.recv(twin, 9, MSG_OOB) == b"!"
            assert page.urgent_receives == expected
        events.WSACloseEvent(event)

    def test_of_two_threads_none_goes_across_it(self, base_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """OOB-013: one takes what stands before the mark while another, who has looked for it there, is about to."""
        client, server = base_world.connected()
        options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
        twin = twin_of(server)
        self.send(client, b"ab", b"!", b"cd")
        self.holds(server, 5)
        got: list[bytes] = []
        second = threading.Thread(target=lambda: got.append(transfer.recv(twin, 9)), daemon=True)
        ask = queues.ask_or_0

        def ask_and_wait(handle: int, question: int) -> int:
            answer = ask(handle, question)
            monkeypatch.undo()
            second.start()
            while second.is_alive() and not is_in("alone", second):
                pass
            return answer

        monkeypatch.setattr(urgent, "ask_or_0", ask_and_wait)
        got.append(transfer.recv(server, 9))
        second.join(SECONDS)
        assert sorted(got) == [b"!", b"ab"]
        assert transfer.recv(server, 9) == b"cd"

    @pytest.mark.parametrize("receive", ["recv({}, 9)", "recvfrom({}, 9)[0]", "recv({}, 9, MSG_PEEK)"])
    def test_nor_of_two_processes(self, base_world: World, other: Other, receive: str) -> None:
        client, server = base_world.connected()
        options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
        there = other.take(sharing.WSADuplicateSocket(server, other.id))
        self.send(client, b"ab", b"!")
        self.holds(server, 3)
        shared = SOCKETS[server].shared
        assert shared is not None
        with shared.alone():
            other.do(f"begin(lambda: {receive.format(there)})")
            end = time.monotonic() + SECONDS
            while not re.search(rf"-> FLOCK +ADVISORY +WRITE {other.id} ", Path("/proc/locks").read_text()):
                assert time.monotonic() < end, "it does not wait for us"
        assert other.do("ended()") == repr("b'ab'")

    def test_without_a_descriptor_to_spare_it_works(self, base_world: World) -> None:
        client, server = base_world.connected()
        options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
        twin_of(server)
        self.send(client, b"ab", b"!")
        self.holds(server, 3)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            assert [transfer.recv(server, 9) for _ in range(2)] == [b"ab", b"!"]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


class TestClosing:
    """Each descriptor by itself."""

    def test_each_is_closed_by_itself_dup_008_du_07(self, world: World, partner: Other) -> None:
        """DUP-008: the connection ends with the last of four, two of them in another process."""
        client, server = world.connected()
        twin = twin_of(client)
        there = [partner.take(sharing.WSADuplicateSocket(s, partner.id)) for s in (client, twin)]
        sockets.closesocket(client)
        partner.do(f"closesocket({there[0]})")
        sockets.closesocket(twin)
        assert partner.do(f"send({there[1]}, b'still here')") == "10"
        assert transfer.recv(server, 99) == b"still here"
        with refused(WSAENOTSOCK):
            transfer.send(twin, b"x")
        partner.do(f"closesocket({there[1]})")
        assert transfer.recv(server, 99) == b""

    def test_with_a_process_dup_008(self, world: World, layers: tuple[str, ...]) -> None:
        client, server = world.connected()
        with Other(*layers) as process:
            assert process.take(sharing.WSADuplicateSocket(client, process.id)).isdigit()
            process.process.send_signal(signal.SIGKILL)
        transfer.send(client, b"still here")
        assert transfer.recv(server, 99) == b"still here"
        sockets.closesocket(client)
        assert transfer.recv(server, 99) == b""

    @pytest.mark.parametrize(
        "call", ["recv({0}, 9)", "recv({0}, 9, MSG_PEEK)", "accept({0})", "select(0, [{0}], None, None)"]
    )
    def test_who_waits_comes_back_and_the_others_go_on_dup_008(
        self, base_world: World, other: Other, call: str
    ) -> None:
        """DUP-008: though a thread of this process is in a call on it."""
        listener, address = base_world.listener()
        client = base_world.stream()
        sockets.connect(client, address)
        server, _ = sockets.accept(listener)
        s = listener if call.startswith("accept") else client
        shared = other.take(sharing.WSADuplicateSocket(s, other.id))
        function, arguments = call.format(s).rstrip(")").split("(", 1)
        names = {"recv": transfer.recv, "accept": sockets.accept, "select": waiting.select, "MSG_PEEK": MSG_PEEK}
        outcomes: list[object] = []

        def wait() -> None:
            try:
                outcomes.append(eval(f"{function}({arguments})", names))
            except WinsockError as error:
                outcomes.append(error.winerror)

        record = SOCKETS[s]
        waiter = threading.Thread(target=wait, daemon=True)
        waiter.start()
        while not record.waiters or not is_asleep(waiter):
            assert waiter.is_alive()
        sockets.closesocket(s)
        waiter.join(SECONDS)
        expected = {"recv": WSAECONNABORTED, "accept": WSAEINTR, "select": ([s], [], [])}
        assert outcomes == [expected[function]]
        if s == client:
            other.do(f"send({shared}, b'still here')")
            assert transfer.recv(server, 99) == b"still here"
        else:
            third = base_world.stream()
            sockets.connect(third, address)
            assert other.do(f"send(accept({shared})[0], b'still here')") == "10"
            assert transfer.recv(third, 99) == b"still here"

    def test_the_end_of_winsock_in_one_process_resets_nothing_dup_008(
        self, world: World, layers: tuple[str, ...]
    ) -> None:
        """DUP-008: WSACleanup closes what this process has, as a reset where it is the only one."""
        client, server = world.connected()
        with Other(*layers) as process:
            assert process.take(sharing.WSADuplicateSocket(client, process.id)).isdigit()
            assert process.do("WSACleanup()") == "None"
            transfer.send(server, b"still here")
            assert transfer.recv(client, 99) == b"still here"
            assert options.getsockopt(client, SOL_SOCKET, SO_LINGER) == Linger(0, 0)

    def test_who_comes_to_wait_after_the_close_does_not(self, base_world: World) -> None:
        """A thread that was overtaken on its way to the kernel finds the bell ringing."""
        twin = twin_of(base_world.connected().client)
        record = SOCKETS[twin]
        assert record.shared is not None
        sockets.closesocket(twin)
        record.shared.wait(record, 0, time.monotonic() + SECONDS)  # raises when the time is up

    def test_nor_does_a_provider_that_ends_dup_008(self, partners: Callable[[tuple[str, ...]], Other]) -> None:
        """DUP-008: WSPCleanup of what the dispatcher knows nothing of any more."""
        other = partners(())
        with World() as world:
            client, server = world.connected()
            shared = other.take(sharing.WSADuplicateSocket(client, other.id))
            for s in (client, server):
                forget(s)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(client)
        assert other.do(f"getsockopt({shared}, SOL_SOCKET, SO_LINGER)") == "Linger(onoff=0, seconds=0)"

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this host does not fork")
    def test_a_child_has_a_descriptor_of_its_own(self, base_world: World) -> None:
        """It waits for the socket, and for no bell of its parent's."""
        client, server = base_world.connected()
        twin = twin_of(client)
        shared = SOCKETS[twin].shared
        assert shared is not None
        bell = shared.bell()
        child = os.fork()
        if child == 0:
            try:
                assert shared.bell() is not bell
                os._exit(0 if transfer.recv(twin, 9) == b"for it" else 1)
            except BaseException:
                os._exit(2)
        sockets.closesocket(twin)
        sockets.closesocket(client)
        transfer.send(server, b"for it")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
