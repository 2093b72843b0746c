"""The generated pages are current, and what they say is true of real sockets."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import inet_aton
from typing import cast

import pytest

import winsock
from tests.refusals import code_of
from tests.spec.test_coverage import generator
from winsock import api
from winsock.abi import address_lists, calls, flags, ioctls, options
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FIONBIO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SOCK_DGRAM,
    SOCK_STREAM,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_MULTIPOINT_D_LEAF,
)
from winsock.abi.errors import WinsockError, name_of
from winsock.abi.guids import WSAID_WSASENDMSG
from winsock.abi.sockaddr import SockaddrIn
from winsock.api.completion import WSAGetOverlappedResult
from winsock.api.options import WSAIoctl, getsockopt, ioctlsocket, setsockopt
from winsock.api.sockets import WSASocket, closesocket, connect, socket
from winsock.api.transfer import recv, send
from winsock.dispatcher.records import find
from winsock.dispatcher.upcalls import ChainUpcalls

ROOT = Path(__file__).parent.parent
GENERATE = ROOT / "docs" / "generate.py"


def generate(*arguments: str, at: Path = GENERATE) -> subprocess.CompletedProcess[str]:
    """Run the generator."""
    return subprocess.run([sys.executable, str(at), *arguments], capture_output=True, text=True, cwd=ROOT)


def test_the_pages_are_current() -> None:
    run = generate("--check")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_page_that_is_not_current_is_found_and_written(tmp_path: Path) -> None:
    copy = tmp_path / "generate.py"
    copy.write_bytes(GENERATE.read_bytes())
    (tmp_path / "map.md").write_text("old")
    check = generate("--check", at=copy)
    assert check.returncode == 1
    assert check.stdout.splitlines() == [
        "docs/map.md is not current: run `make docs`",
        "docs/signatures.md is not current: run `make docs`",
    ]
    assert (tmp_path / "map.md").read_text() == "old", "a check writes nothing"
    assert generate(at=copy).returncode == 0
    assert generate("--check", at=copy).returncode == 0
    assert (tmp_path / "map.md").read_bytes() == (ROOT / "docs" / "map.md").read_bytes()


def test_an_unknown_argument_is_refused() -> None:
    run = generate("--chekc")
    assert run.returncode == 2
    assert "usage" in run.stderr


def test_the_map_names_every_function_option_and_code() -> None:
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    for name in (row.name for rows in (calls.ROWS, options.ROWS, ioctls.ROWS, flags.ROWS) for row in rows):
        assert f"| {name} |" in text or f"[{name}](" in text, name


def test_the_map_does_not_claim_what_is_absent() -> None:
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    lines = {call.name: next(line for line in text.splitlines() if f"[{call.name}](" in line) for call in calls.ROWS}
    assert lines["send"].endswith("| works |")
    assert lines["WskSocket"].endswith("| not yet |")
    assert lines["FD_SET"].endswith("| not needed: a set of sockets is a list of handles |")


def test_functions_have_the_parameters_of_their_rows() -> None:
    checked = 0
    for call in calls.ROWS:
        function = live(call.function)
        if call.part in ("api", "api-extension") and function is not None:
            names = [parameter.partition("=")[0] for parameter in call.parameters.split(", ")]
            assert list(inspect.signature(function).parameters) == [name for name in names if name], call.name
            checked += 1
    assert checked > 40


def test_the_map_names_the_error_of_what_is_overlapped(sockets: list[int]) -> None:
    """Those that are no rows of `winsock.dispatcher.refusing`, whose errors tests/api/test_refused.py tells."""
    s, overlapped, upcalls = sockets[0], object(), ChainUpcalls.__new__(ChainUpcalls)
    answers: dict[str, Callable[[], object]] = {
        "WSAGetOverlappedResult": lambda: WSAGetOverlappedResult(s, overlapped, False),
        "WSPGetOverlappedResult": lambda: find(s).table.WSPGetOverlappedResult(s, overlapped, False),
        "WPUCompleteOverlappedRequest": lambda: upcalls.WPUCompleteOverlappedRequest(s, overlapped, 0, 0),
    }
    assert {name: code_of(answer) for name, answer in answers.items()} == generator().ALWAYS


def test_the_map_says_what_works_without_name_spaces() -> None:
    text = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
    lines = {call.name: next(line for line in text.splitlines() if f"[{call.name}](" in line) for call in calls.ROWS}
    assert lines["getaddrinfo"].endswith("| refused: WSANO_RECOVERY |")
    assert lines["WSAConnectByNameW"].endswith("| works: host and port in numbers; WSAEHOSTUNREACH for names |")
    assert lines["LPLOOKUPSERVICE_COMPLETION_ROUTINE"].endswith("| not yet |")


def live(name: str) -> Callable[..., object] | None:
    """A function of the API, wherever it is."""
    for module in Path(api.__path__[0]).glob("*.py"):
        found = vars(__import__(f"winsock.api.{module.stem}", fromlist=[module.stem])).get(name)
        if inspect.isfunction(found) and found.__module__ == f"winsock.api.{module.stem}":
            return cast(Callable[..., object], found)
    return None


@pytest.fixture
def sockets() -> Iterator[list[int]]:
    """One of each kind: TCP and UDP over IPv4 and IPv6; those of UDP are connected, to nobody."""
    with winsock.started():
        handles = []
        for family, host in ((AF_INET, "127.0.0.1"), (AF_INET6, "::1")):
            handles.append(socket(family, SOCK_STREAM, IPPROTO_TCP))
            handles.append(socket(family, SOCK_DGRAM, IPPROTO_UDP))
            connect(handles[-1], (host, 9))
        yield handles
        for handle in handles:
            closesocket(handle)


def answers(call: Callable[..., object], sockets: list[int], *arguments: object) -> set[str]:
    """What each socket answers: "done", or the name of an error."""
    found = set()
    for s in sockets:
        try:
            call(s, *arguments)
            found.add("done")
        except WinsockError as error:
            found.add(error.name)
    return found


ELSEWHERE = {
    "IP_HDRINCL": "raw sockets only",
    "IPV6_HDRINCL": "raw sockets only",
    "IPV6_CHECKSUM": "raw sockets only",
    "HVSOCKET_CONNECT_TIMEOUT": "milliseconds; sockets of AF_HYPERV",
}
"""Options of other sockets than the usual ones, and what the map says of them."""


@pytest.mark.parametrize("row", options.ROWS, ids=lambda row: f"{row.level:#x}-{row.name}")
def test_options_can_be_read_as_the_map_says(row: options.Option, sockets: list[int]) -> None:
    found = answers(getsockopt, sockets, row.level, row.optname)
    if row.host == "refused" or not row.get:
        assert found == {name_of(row.error)}
    elif row.name in ELSEWHERE:
        assert "done" not in found
        assert row.note == ELSEWHERE[row.name]
    else:
        assert "done" in found


@pytest.mark.parametrize("row", options.ROWS, ids=lambda row: f"{row.level:#x}-{row.name}")
def test_options_can_be_set_as_the_map_says(row: options.Option, sockets: list[int]) -> None:
    if row.host == "refused" or not row.set:
        assert answers(setsockopt, sockets, row.level, row.optname, 0) == {name_of(row.error)}
    elif row.get and row.name not in ELSEWHERE:
        assert "done" in {kind for s in sockets for kind in answers(set_to_itself, [s], row)}


def set_to_itself(s: int, row: options.Option) -> None:
    """Set an option to what it is; the one that cannot be set to its default, to something else."""
    value = 1 if row.name.endswith("MTU_DISCOVER") else getsockopt(s, row.level, row.optname)
    setsockopt(s, row.level, row.optname, value)


GROUP, LOOPBACK = inet_aton("239.1.2.3"), inet_aton("127.0.0.1")
INPUTS = {
    "": b"",
    "GUID": WSAID_WSASENDMSG.pack(),
    "DWORD": bytes(4),
    "BOOL": bytes(4),
    "INT": b"\1\0\0\0",
    "tcp_keepalive": bytes(12),
    "sockaddr": SockaddrIn("127.0.0.1", 0).pack(),
    "SOCKET_ADDRESS_LIST": address_lists.pack([]),
    "ip_mreq": inet_aton("239.1.2.4") + b"\0\0\0\1",  # at the interface 1
    "IP_MSFILTER": GROUP + LOOPBACK + b"\1\0\0\0\0\0\0\0",  # everybody is heard
}
ROOM = 1 << 16
AFTER = {"SIO_GET_MULTICAST_FILTER": "SIO_SET_MULTICAST_FILTER", "SIO_INDEX_DEL_MCAST": "SIO_INDEX_ADD_MCAST"}
"""What asks for something -> what makes it."""


@pytest.mark.parametrize("row", ioctls.ROWS, ids=lambda row: row.name)
def test_control_codes_answer_as_the_map_says(row: ioctls.Ioctl, sockets: list[int]) -> None:
    found = ioctls.find(row.code)
    assert found is not None
    if found.host == "refused":
        assert answers(WSAIoctl, sockets, row.code, bytes(64), ROOM) == {name_of(row.error)}
    elif found.note == "connected sockets of AF_UNIX":
        assert answers(WSAIoctl, sockets, row.code, b"", 4) == {"WSAEOPNOTSUPP"}
    elif found.note.startswith("raw sockets"):
        assert answers(WSAIoctl, sockets, row.code, bytes(4), ROOM) == {"WSAENOPROTOOPT"}
    elif found.overlapped:
        with non_blocking(sockets):
            assert "WSAEWOULDBLOCK" in answers(WSAIoctl, sockets, row.code, INPUTS[row.takes], ROOM)
    else:
        if row.name in AFTER:
            (before,) = (other for other in ioctls.ROWS if other.name == AFTER[row.name])
            answers(WSAIoctl, sockets, before.code, INPUTS[before.takes], ROOM)
        assert "done" in answers(WSAIoctl, sockets, row.code, INPUTS[found.takes], ROOM)


@contextmanager
def non_blocking(sockets: list[int]) -> Iterator[None]:
    for s in sockets:
        ioctlsocket(s, FIONBIO, 1)
    yield
    for s in sockets:
        ioctlsocket(s, FIONBIO, 0)


LEAF = WSA_FLAG_MULTIPOINT_C_LEAF | WSA_FLAG_MULTIPOINT_D_LEAF  # neither goes without the other


def flag_of(s: int, row: flags.Flag) -> None:
    """Use a flag in one of its functions."""
    if "WSASocket" in row.functions:
        if row.name.startswith("SG_"):
            closesocket(WSASocket(AF_INET, SOCK_STREAM, IPPROTO_TCP, None, row.value))
        else:
            flag = LEAF if row.value & LEAF else row.value
            closesocket(WSASocket(AF_INET, SOCK_DGRAM, IPPROTO_UDP, None, 0, flag))
    elif "WSASend" in row.functions:
        send(s, b"", row.value)
    else:
        recv(s, 1, row.value)


@pytest.mark.parametrize("row", [row for row in flags.ROWS if row.host == "refused"], ids=lambda row: row.name)
def test_flags_are_refused_with_the_error_that_the_map_names(row: flags.Flag, sockets: list[int]) -> None:
    assert answers(flag_of, sockets[1:2], row) == {row.note.partition(":")[0]}


@pytest.mark.parametrize(
    "row",
    [row for row in flags.ROWS if row.host != "refused" and row.functions == "WSASocket"],
    ids=lambda row: row.name,
)
def test_flags_of_wsasocket_are_taken_as_the_map_says(row: flags.Flag, sockets: list[int]) -> None:
    assert answers(flag_of, sockets[:1], row) == {"done"}
