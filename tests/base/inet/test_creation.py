"""WSPSocket of the base provider: what it takes, and its nine documented errors (SOCK, MPT, BLK)."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

import winsock
from tests.base.inet.test_provider import Simple
from tests.base.inet.test_waits import signals
from tests.conformance.layers import OwnHandles, PassThrough
from tests.refusals import code_of, refused
from winsock import host
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FROM_PROTOCOL_INFO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    LAYERED_PROTOCOL,
    PFL_MATCHES_PROTOCOL_ZERO,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    WSA_FLAG_ACCESS_SYSTEM_SECURITY,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_MULTIPOINT_C_ROOT,
    WSA_FLAG_MULTIPOINT_D_LEAF,
    WSA_FLAG_MULTIPOINT_D_ROOT,
    WSA_FLAG_NO_HANDLE_INHERIT,
    WSA_FLAG_OVERLAPPED,
    XP1_MULTIPOINT_CONTROL_PLANE,
    XP1_MULTIPOINT_DATA_PLANE,
    XP1_SUPPORT_MULTIPOINT,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAEINPROGRESS,
    WSAEINTR,
    WSAEINVAL,
    WSAEMFILE,
    WSAENETDOWN,
    WSAENOBUFS,
    WSAEOPNOTSUPP,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
)
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.api import sockets
from winsock.base.inet import Inet, own
from winsock.base.inet import sockets as base_sockets
from winsock.catalog.entries import BUILTIN, Catalog
from winsock.dispatcher import loader, threads
from winsock.spi.provider import ProcTable
from winsock.testing import World, through

TCP, UDP, TCP6, UDP6 = (entry.info for entry in BUILTIN[:4])
FROM = FROM_PROTOCOL_INFO
NOWHERE = 57005

Start = Callable[[WSAPROTOCOL_INFO], ProcTable]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a provider for an entry; what it leaves open is closed."""
    tables: list[ProcTable] = []

    def start(info: WSAPROTOCOL_INFO) -> ProcTable:
        tables.append(Inet().WSPStartup(0x0202, info, Simple())[1])
        return tables[-1]

    yield start
    for table in tables:
        table.WSPCleanup()


def kind(s: int) -> tuple[int, int, int]:
    return host.kind(s)


# What stands for the family, the type and the protocol


@pytest.mark.parametrize("info", [TCP, UDP, TCP6, UDP6], ids=lambda info: info.szProtocol)
def test_every_way_to_ask_for_it(start: Start, info: WSAPROTOCOL_INFO) -> None:
    """SOCK-003, SOCK-004, SOCK-011."""
    table = start(info)
    families = (info.iAddressFamily, 0, FROM)
    types = (info.iSocketType, 0, FROM)
    protocols = (info.iProtocol, 0, FROM)
    for (af, type, protocol), given in itertools.product(
        itertools.product(families, types, protocols), (info, info._replace(szProtocol="a copy"), None)
    ):
        s = table.WSPSocket(af, type, protocol, given)
        assert kind(s)[1:] == (info.iSocketType, info.iProtocol)
        table.WSPCloseSocket(s)


def test_zero_is_a_protocol_only_where_the_entry_says_so_sock_011(start: Start) -> None:
    strict = TCP._replace(dwProviderFlags=TCP.dwProviderFlags & ~PFL_MATCHES_PROTOCOL_ZERO)
    table = start(strict)
    for given in (strict, strict._replace(), None):
        with refused(WSAEPROTONOSUPPORT, "number"):
            table.WSPSocket(AF_INET, SOCK_STREAM, 0, given)
        table.WSPCloseSocket(table.WSPSocket(0, 0, FROM, given))
        table.WSPCloseSocket(table.WSPSocket(0, 0, IPPROTO_TCP, given))


def test_the_description_that_is_given_counts_sock_004(start: Start) -> None:
    """Wildcards stand for what the caller's WSAPROTOCOL_INFO says, also where it is not the provider's own."""
    table = start(TCP)
    for wildcard in (0, FROM):
        with refused(WSAEAFNOSUPPORT):
            table.WSPSocket(wildcard, SOCK_STREAM, IPPROTO_TCP, TCP._replace(iAddressFamily=NOWHERE))
        with refused(WSAESOCKTNOSUPPORT):
            table.WSPSocket(AF_INET, wildcard, IPPROTO_TCP, TCP._replace(iSocketType=NOWHERE))
        with refused(WSAEPROTONOSUPPORT):
            table.WSPSocket(AF_INET, SOCK_STREAM, wildcard, TCP._replace(iProtocol=NOWHERE))
    garbage = TCP._replace(iAddressFamily=-1, iSocketType=-1, iProtocol=-1)
    with refused(WSAEAFNOSUPPORT):
        table.WSPSocket(0, 0, IPPROTO_UDP, garbage)
    table.WSPCloseSocket(table.WSPSocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, garbage))


# The nine errors


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((AF_INET6, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((NOWHERE, NOWHERE, NOWHERE), WSAEAFNOSUPPORT),
        ((AF_INET, SOCK_RAW, IPPROTO_TCP), WSAESOCKTNOSUPPORT),  # SOCK-008
        ((AF_INET, NOWHERE, NOWHERE), WSAESOCKTNOSUPPORT),
        ((AF_INET, SOCK_STREAM, NOWHERE), WSAEPROTONOSUPPORT),
        ((0, 0, NOWHERE), WSAEPROTONOSUPPORT),
        ((AF_INET, SOCK_STREAM, IPPROTO_UDP), WSAEPROTOTYPE),
        ((AF_INET, SOCK_DGRAM, IPPROTO_TCP), WSAEPROTOTYPE),
        ((AF_INET, SOCK_DGRAM, 0), WSAEPROTOTYPE),
    ],
)  # fmt: skip
def test_which_of_the_three_is_wrong(start: Start, arguments: tuple[int, int, int], code: int) -> None:
    table = start(TCP)
    for given in (TCP, None):
        with refused(code):
            table.WSPSocket(*arguments, given)


@pytest.mark.parametrize("layers", [(), (PassThrough,), (OwnHandles,)], ids=["bare", "pass", "own"])
def test_an_error_is_the_callers_to_know(layers: tuple[type, ...]) -> None:
    """SOCK-001: it comes with the call, and the thread's last error is none of any provider's business."""
    state = threads.current()
    with World(through(*layers)) as world:
        for entry in world.catalog:
            if entry.info.chain_length == LAYERED_PROTOCOL:
                continue
            table = loader.open_chain(entry).table
            state.last_error = WSAEINTR
            with refused(WSAEAFNOSUPPORT):
                table.WSPSocket(NOWHERE, 0, FROM, entry.info)
            assert state.last_error == WSAEINTR
            with refused(WSAEAFNOSUPPORT):
                sockets.WSASocket(NOWHERE, 0, FROM, entry.info)
            assert state.last_error == WSAEAFNOSUPPORT, "of the function of the application"


@pytest.mark.parametrize("g", [-1, 3, 99, 1 << 20])
def test_a_group_that_is_none_sock_007(start: Start, g: int) -> None:
    with refused(WSAEINVAL, "g: "):
        start(TCP).WSPSocket(0, 0, 0, TCP, g)


@pytest.mark.parametrize("flags", [WSA_FLAG_ACCESS_SYSTEM_SECURITY, 0x8000, 1 << 31])
def test_flags_that_are_not_offered(start: Start, flags: int) -> None:
    with refused(WSAEINVAL, "flags"):
        start(UDP).WSPSocket(0, 0, 0, UDP, 0, flags)


def test_inside_a_blocking_callback_is_wsaeinprogress() -> None:
    """The provider is still processing a callback function."""
    inside: list[int] = []
    elsewhere: list[int] = []

    def hook(_: object) -> bool:
        inside.append(code_of(lambda: sockets.WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP)))
        inside.append(code_of(lambda: sockets.socket(AF_INET6, SOCK_DGRAM, 0)))
        other = threading.Thread(target=lambda: elsewhere.append(code_of(world.stream)), daemon=True)
        other.start()
        other.join()
        return False

    state = threads.current()
    with World() as world:
        listener, _ = world.listener()
        state.blocking_callback = hook
        try:
            with signals(threading.Event()), refused(WSAEINTR):
                sockets.accept(listener)
        finally:
            state.blocking_callback = None
        assert inside == [WSAEINPROGRESS, WSAEINPROGRESS]
        assert elsewhere == [0], "the callback is one thread's"
        assert world.stream() > 0, "it has returned"


def test_a_callback_that_raises_has_ended(start: Start) -> None:
    def hook(_: object) -> bool:
        raise ZeroDivisionError

    state = threads.current()
    with World() as world:
        listener, _ = world.listener()
        state.blocking_callback = hook
        try:
            with signals(threading.Event()), pytest.raises(ZeroDivisionError):
                sockets.accept(listener)
        finally:
            state.blocking_callback = None
        assert world.stream() > 0


OUT_OF_DESCRIPTORS = """
import os, resource
from winsock.abi.errors import WinsockError
from winsock.api import sockets
from winsock.dispatcher import process

with process.started():
    first = sockets.socket(2, 1, 6)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first + 3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    made = []
    try:
        while True:
            made.append(sockets.WSASocket(2, 1, 6))
    except WinsockError as error:
        print(error.name, error.errno, len(made))
    sockets.closesocket(first)
    print(sockets.socket(2, 1, 6) == first)
"""


def test_a_real_limit_of_descriptors_is_wsaemfile() -> None:
    done = subprocess.run([sys.executable, "-c", OUT_OF_DESCRIPTORS], capture_output=True, text=True, check=True)
    assert done.stdout == f"WSAEMFILE {errno.EMFILE} 2\nTrue\n"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENETDOWN, WSAENETDOWN), (errno.ENOBUFS, WSAENOBUFS), (errno.ENOMEM, WSAENOBUFS),
        (errno.EMFILE, WSAEMFILE), (errno.ENFILE, WSAEMFILE),
    ],
)  # fmt: skip
def test_what_the_kernel_says_is_translated(
    start: Start, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    """WSAENETDOWN and WSAENOBUFS are no states that a test can bring this host into."""

    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    table = start(TCP)
    monkeypatch.setattr(base_sockets, "make", fails)
    with refused(code) as caught:
        table.WSPSocket(0, 0, 0)
    assert (caught.value.errno, caught.value.from_kernel) == (number, True)


# The flags


def test_overlapped_only_where_it_was_asked_for(start: Start) -> None:
    """SOCK-002: to a socket without the attribute an overlapped structure means nothing."""
    table = start(UDP)
    plain = table.WSPSocket(0, 0, 0)
    overlapped = table.WSPSocket(0, 0, 0, None, 0, WSA_FLAG_OVERLAPPED)
    private = table.WSPSocket(0, 0, 0, None, 0, WSA_FLAG_NO_HANDLE_INHERIT)
    assert [own.SOCKETS[s].overlapped for s in (plain, overlapped, private)] == [False, True, False]
    table.WSPBind(plain, World().anywhere)
    to = table.WSPGetSockName(plain)
    assert table.WSPSendTo(plain, [b"at once"], 0, to, object()) == 7
    assert table.WSPRecv(plain, [bytearray(9)], 0, object()) == (7, 0)
    with refused(WSAEOPNOTSUPP, "overlapped"):
        table.WSPSendTo(overlapped, [b"later"], 0, to, object())


CHILD = """
import os, socket, sys
for number in map(int, sys.argv[1:]):
    try:
        with socket.socket(fileno=os.dup(number)) as sock:
            print("has", sock.getsockname()[1])
    except OSError as error:
        print("lacks", error.errno)
"""


def test_a_child_has_the_handle_unless_refused_sock_019(start: Start) -> None:
    """Shown by a program that is executed, not by the descriptor's flag alone."""
    table = start(UDP)
    shared = table.WSPSocket(0, 0, 0, UDP, 0, WSA_FLAG_OVERLAPPED)
    private = table.WSPSocket(0, 0, 0, UDP, 0, WSA_FLAG_NO_HANDLE_INHERIT)
    for s in (shared, private):
        table.WSPBind(s, World().anywhere)
    port = getattr(table.WSPGetSockName(shared), "port", None)
    command = [sys.executable, "-c", CHILD, str(shared), str(private)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, close_fds=False)
    assert done.stdout == f"has {port}\nlacks {errno.EBADF}\n"
    assert (os.get_inheritable(shared), os.get_inheritable(private)) == (True, False)


# Multipoint

C_ROOT, C_LEAF = WSA_FLAG_MULTIPOINT_C_ROOT, WSA_FLAG_MULTIPOINT_C_LEAF
D_ROOT, D_LEAF = WSA_FLAG_MULTIPOINT_D_ROOT, WSA_FLAG_MULTIPOINT_D_LEAF
PLANES = XP1_MULTIPOINT_CONTROL_PLANE, XP1_MULTIPOINT_DATA_PLANE


def allowed(service: int, flags: int) -> bool:
    """The rules in their own words: MPT-001 to MPT-004, MPT-024, MPT-038."""
    chosen = [flag for flag in (C_ROOT, C_LEAF, D_ROOT, D_LEAF) if flags & flag]
    if not chosen:
        return True
    one_each = (
        len([flag for flag in chosen if flag in (C_ROOT, C_LEAF)])
        == 1
        == len([flag for flag in chosen if flag in (D_ROOT, D_LEAF)])
    )
    control_has_root, data_has_root = (bool(service & plane) for plane in PLANES)
    return (
        bool(service & XP1_SUPPORT_MULTIPOINT)
        and one_each
        and (C_ROOT not in chosen or control_has_root)
        and (D_ROOT not in chosen or data_has_root)
    )


@pytest.mark.parametrize("control", [0, PLANES[0]], ids=["flat control", "rooted control"])
@pytest.mark.parametrize("data", [0, PLANES[1]], ids=["flat data", "rooted data"])
@pytest.mark.parametrize("support", [0, XP1_SUPPORT_MULTIPOINT], ids=["no multipoint", "multipoint"])
def test_multipoint_flags_mpt_001_to_mpt_004_mpt_024_mpt_038(
    start: Start, control: int, data: int, support: int
) -> None:
    """Every combination of the four flags, on every kind of protocol."""
    flat = UDP.dwServiceFlags1 & ~(XP1_SUPPORT_MULTIPOINT | PLANES[0] | PLANES[1])
    info = UDP._replace(dwServiceFlags1=flat | control | data | support)
    table = start(info)
    for choice in itertools.product((0, C_ROOT), (0, C_LEAF), (0, D_ROOT), (0, D_LEAF), (0, WSA_FLAG_OVERLAPPED)):
        flags = sum(choice)
        code = code_of(lambda flags=flags: table.WSPCloseSocket(table.WSPSocket(0, 0, 0, info, 0, flags)))  # type: ignore[misc]
        assert code == (0 if allowed(info.dwServiceFlags1, flags) else WSAEINVAL), hex(flags)


def test_ip_multicast_has_leaves_only_mpt_023(start: Start) -> None:
    planes = UDP.dwServiceFlags1 & (XP1_SUPPORT_MULTIPOINT | PLANES[0] | PLANES[1])
    assert planes == XP1_SUPPORT_MULTIPOINT  # MPT-023: without a root in either plane
    table = start(UDP)
    assert table.WSPSocket(0, 0, 0, UDP, 0, C_LEAF | D_LEAF) > 0
    for flags in (C_ROOT | D_LEAF, C_LEAF | D_ROOT, C_LEAF, D_LEAF, C_LEAF | C_ROOT | D_LEAF):
        with refused(WSAEINVAL, "flags"):
            table.WSPSocket(0, 0, 0, UDP, 0, flags)
    with refused(WSAEINVAL, "multipoint"):
        start(TCP).WSPSocket(0, 0, 0, TCP, 0, C_LEAF | D_LEAF)


def test_what_is_able_to_have_a_root_or_none_is_two_entries() -> None:
    """MPT-025."""
    flat = BUILTIN[1]
    rooted = flat._replace(
        info=UDP._replace(
            dwCatalogEntryId=2001,
            dwServiceFlags1=UDP.dwServiceFlags1 | PLANES[0] | PLANES[1],
            szProtocol="UDP/IP with a root",
        )
    )
    with winsock.started(catalog=Catalog([flat, rooted])):
        shown = winsock.WSAEnumProtocols([IPPROTO_UDP])
        assert [info.dwServiceFlags1 & PLANES[1] for info in shown] == [0, PLANES[1]]
        assert winsock.WSASocket(-1, -1, -1, shown[1], 0, C_ROOT | D_ROOT) > 0
        with refused(WSAEINVAL, "flags"):
            winsock.WSASocket(-1, -1, -1, shown[0], 0, C_ROOT | D_ROOT)


def test_accepted_sockets_have_the_attribute_of_their_listener(start: Start) -> None:
    table = start(TCP)
    for flags in (0, WSA_FLAG_OVERLAPPED):
        listener = table.WSPSocket(0, 0, 0, TCP, 0, flags)
        table.WSPBind(listener, World().anywhere)
        table.WSPListen(listener, 1)
        client = table.WSPSocket(0, 0, 0, TCP, 0, WSA_FLAG_OVERLAPPED)
        table.WSPConnect(client, table.WSPGetSockName(listener))
        accepted, _ = table.WSPAccept(listener)
        assert own.SOCKETS[accepted].overlapped is bool(flags)
