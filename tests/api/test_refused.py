"""Functions that are here to say no: each is there, and says it with an error of its own page.

`ANSWERS` is by hand, and not taken from the rows it is about.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

import winsock
from tests.refusals import code_of, refused
from tests.spec.tables import read
from winsock.abi import calls
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.guids import GUID, GUID_NULL
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrUn
from winsock.api import completion, databases, lookups, namespaces
from winsock.dispatcher.refusing import REFUSALS
from winsock.spi.layer import Layer
from winsock.testing import World, through

ANYTHING = object()
SOMEBODY = bytes((127, 0, 0, 1))
ENTRY = ("a name", "package.module:Provider", c.NS_DNS, 1, GUID_NULL)

Calls: TypeAlias = list[tuple[Any, ...]]

ANSWERS: dict[str, tuple[tuple[Any, ...], int]] = {
    "gethostbyname": (("localhost",), e.WSANO_RECOVERY),
    "gethostbyaddr": ((SOMEBODY, c.AF_INET), e.WSANO_RECOVERY),
    "getservbyname": (("http", "tcp"), e.WSANO_RECOVERY),
    "getservbyport": ((0x5000, "tcp"), e.WSANO_RECOVERY),
    "getprotobyname": (("tcp",), e.WSANO_RECOVERY),
    "getprotobynumber": ((6,), e.WSANO_RECOVERY),
    "WSAAsyncGetHostByName": ((ANYTHING, 1024, "localhost"), e.WSAEWOULDBLOCK),
    "WSAAsyncGetHostByAddr": ((ANYTHING, 1024, SOMEBODY, c.AF_INET), e.WSAEWOULDBLOCK),
    "WSAAsyncGetServByName": ((ANYTHING, 1024, "http", "tcp"), e.WSAEWOULDBLOCK),
    "WSAAsyncGetServByPort": ((ANYTHING, 1024, 0x5000), e.WSAEWOULDBLOCK),
    "WSAAsyncGetProtoByName": ((ANYTHING, 1024, "tcp"), e.WSAEWOULDBLOCK),
    "WSAAsyncGetProtoByNumber": ((ANYTHING, 1024, 6), e.WSAEWOULDBLOCK),
    "WSACancelAsyncRequest": ((1,), e.WSAEINVAL),
    "getaddrinfo": (("localhost", "80"), e.WSANO_RECOVERY),
    "GetAddrInfoEx": (("localhost", "80", c.NS_DNS), e.WSASERVICE_NOT_FOUND),
    "SetAddrInfoEx": (("me", None, [], None, 0, c.NS_EMAIL), e.WSANO_RECOVERY),
    "GetAddrInfoExCancel": ((1,), e.WSA_INVALID_HANDLE),
    "GetAddrInfoExOverlappedResult": ((ANYTHING,), e.WSAEINVAL),
    "WSALookupServiceBegin": ((ANYTHING, c.LUP_RETURN_ALL), e.WSASERVICE_NOT_FOUND),
    "WSALookupServiceNext": ((1, 0), e.WSA_INVALID_HANDLE),
    "WSANSPIoctl": ((1, c.SIO_NSP_NOTIFY_CHANGE), e.WSA_INVALID_HANDLE),
    "WSALookupServiceEnd": ((1,), e.WSA_INVALID_HANDLE),
    "WSASetService": ((ANYTHING, c.RNRSERVICE_DELETE, 0), e.WSASERVICE_NOT_FOUND),
    "WSAInstallServiceClass": ((ANYTHING,), e.WSAEOPNOTSUPP),
    "WSARemoveServiceClass": ((GUID_NULL,), e.WSATYPE_NOT_FOUND),
    "WSAGetServiceClassInfo": ((GUID_NULL, GUID_NULL), e.WSAEINVAL),
    "WSAGetServiceClassNameByClassId": ((GUID_NULL,), e.WSANO_DATA),
    "WSCInstallNameSpace": (ENTRY, e.WSANO_RECOVERY),
    "WSCInstallNameSpace32": (ENTRY, e.WSANO_RECOVERY),
    "WSCInstallNameSpaceEx": ((*ENTRY, None), e.WSANO_RECOVERY),
    "WSCInstallNameSpaceEx32": ((*ENTRY, None), e.WSANO_RECOVERY),
    "WSCUnInstallNameSpace": ((GUID_NULL,), e.WSAEINVAL),
    "WSCUnInstallNameSpace32": ((GUID_NULL,), e.WSAEINVAL),
    "WSCEnableNSProvider": ((GUID_NULL, True), e.WSAEINVAL),
    "WSCEnableNSProvider32": ((GUID_NULL, True), e.WSAEINVAL),
    "WSAAdvertiseProvider": ((GUID_NULL, ANYTHING), e.WSAEINVALIDPROVIDER),
    "WSAUnadvertiseProvider": ((GUID_NULL,), e.WSAEINVAL),
    "WSAProviderCompleteAsyncCall": ((1, 0), e.WSAEINVAL),
    "WPUCompleteOverlappedRequest": ((3, ANYTHING, 0, 0), e.WSAEINVAL),
    "ProcessSocketNotifications": ((ANYTHING,), e.WSAEOPNOTSUPP),
}
"""Every one of them: arguments that nothing is wrong with, and what it says."""

OTHERS: list[tuple[str, tuple[Any, ...]]] = [
    ("gethostbyname", (None,)),
    ("gethostbyaddr", (bytes(16), c.AF_INET6)),
    ("getservbyport", (0x5000,)),
    ("getaddrinfo", (None, "80")),
    ("getaddrinfo", ("localhost", None, ANYTHING)),
    ("GetAddrInfoEx", (None, "80", c.NS_ALL)),
    ("GetAddrInfoEx", ("localhost", None, c.NS_ALL, GUID_NULL, None, 5.0, ANYTHING, print)),
    ("WSASetService", (ANYTHING, c.RNRSERVICE_DEREGISTER, c.SERVICE_MULTIPLE)),
    ("ProcessSocketNotifications", (ANYTHING, (), 5, 1)),
]
"""Other arguments that nothing is wrong with."""

WRONG: list[tuple[str, tuple[Any, ...], int]] = [
    ("gethostbyname", (7,), e.WSAEFAULT),
    ("gethostbyaddr", (SOMEBODY, c.AF_UNIX), e.WSAEAFNOSUPPORT),
    ("gethostbyaddr", (SOMEBODY, 10), e.WSAEAFNOSUPPORT),
    ("gethostbyaddr", ("127.0.0.1", c.AF_INET), e.WSAEFAULT),
    ("gethostbyaddr", (bytes(3), c.AF_INET), e.WSAEFAULT),
    ("gethostbyaddr", (bytes(17), c.AF_INET6), e.WSAEINVAL),
    ("gethostbyaddr", (bytes(4), c.AF_INET6), e.WSAEINVAL),
    ("getservbyport", (80, 6), e.WSAEFAULT),
    ("getprotobyname", (None,), e.WSAEFAULT),
    ("getaddrinfo", (None, None), e.WSAHOST_NOT_FOUND),  # NAME-005
    ("GetAddrInfoEx", (None, None, c.NS_ALL, None, None, None, ANYTHING), e.WSAHOST_NOT_FOUND),
    ("SetAddrInfoEx", (None, None, [], None, 0, c.NS_DNS), e.WSAEINVAL),
    ("SetAddrInfoEx", ("me", None, [], None, 0, c.NS_DNS, None, 5.0), e.WSAEINVAL),
    ("SetAddrInfoEx", ("me", None, [], None, 0, c.NS_DNS, None, None, ANYTHING), e.WSAEINVAL),
    ("SetAddrInfoEx", ("me", None, [], None, 0, c.NS_DNS, None, None, None, ANYTHING), e.WSAEINVAL),
    ("WSALookupServiceBegin", (None, 0), e.WSAEINVAL),
    ("WSALookupServiceBegin", (ANYTHING, None), e.WSAEINVAL),
    ("WSASetService", (None, c.RNRSERVICE_DELETE, 0), e.WSAEINVAL),
    ("WSASetService", (ANYTHING, 7, 0), e.WSAEINVAL),
    ("WSASetService", (ANYTHING, c.RNRSERVICE_REGISTER, 0), e.WSAEINVAL),
    ("WSAInstallServiceClass", (None,), e.WSAEINVAL),
    ("WSARemoveServiceClass", (None,), e.WSAEINVAL),
    ("WSAGetServiceClassNameByClassId", (None,), e.WSA_INVALID_PARAMETER),
    ("WSCUnInstallNameSpace", (None,), e.WSAEFAULT),
    ("WSCUnInstallNameSpace32", (None,), e.WSAEFAULT),
    ("WSCEnableNSProvider", (None, True), e.WSAEFAULT),
    ("WSCEnableNSProvider32", (None, True), e.WSAEFAULT),
    ("WSAAdvertiseProvider", (None, ANYTHING), e.WSAEINVAL),
    ("WSAAdvertiseProvider", (GUID_NULL, None), e.WSAEINVAL),
    *(
        (name, (*ENTRY[:position], None, *ENTRY[position + 1 :], *more), e.WSAEINVAL)
        for name, more in (
            ("WSCInstallNameSpace", ()),
            ("WSCInstallNameSpace32", ()),
            ("WSCInstallNameSpaceEx", (None,)),
            ("WSCInstallNameSpaceEx32", (None,)),
        )
        for position in range(len(ENTRY))
    ),
]
"""What is said of an argument before the answer comes."""

MISTAKES = [
    pytest.param(
        *pair, [given for name, given, code in WRONG if (name, code) == pair], id=f"{pair[0]}-{e.name_of(pair[1])}"
    )
    for pair in dict.fromkeys((name, code) for name, _, code in WRONG)
]

UNLISTED = ("ProcessSocketNotifications",)
"""Its page lists no errors: "an appropriate WSAE* error code"."""

ERRORS: dict[str, set[str]] = {}
for _error in read("errors.csv"):
    ERRORS.setdefault(_error["function"], set()).add(_error["code_name"])
BY_FUNCTION: dict[str, list[calls.Call]] = {}
for _row in calls.ROWS:
    BY_FUNCTION.setdefault(_row.function, []).append(_row)


def documented(name: str) -> list[set[str]]:
    """The errors of each Windows function that is this one here."""
    return [ERRORS.get(call.name, set()) for call in BY_FUNCTION[name]]


def is_started_first(name: str) -> bool:
    return BY_FUNCTION[name][0].prologue in (calls.STARTED, calls.HANDLE)


def call(name: str, *arguments: object) -> object:
    return getattr(winsock, name)(*arguments)


EXPORTED = [
    row["name"]
    for row in read("functions.csv")
    if row["part"] in ("api", "spi-config")
    or (row["part"] == "spi-namespace" and row["name"].startswith("WSA"))
    or row["name"] == "WPUCompleteOverlappedRequest"
]
"""What Ws2_32 exports, and what its headers define beside it."""
SETS_OF_SOCKETS = ("FD_CLR", "FD_ISSET", "FD_SET", "FD_ZERO", "__WSAFDIsSet")


@pytest.mark.parametrize("name", EXPORTED)
def test_every_exported_name_is_there(name: str) -> None:
    row = calls.find(name)
    assert row is not None
    if row.prologue != calls.CALLBACK and name not in SETS_OF_SOCKETS:
        assert inspect.isfunction(getattr(winsock, row.function))


def test_these_are_all_that_refuse() -> None:
    modules = {completion, databases, lookups, namespaces}
    assert {getattr(winsock, name).__module__ for name in REFUSALS} <= {module.__name__ for module in modules}
    assert REFUSALS.keys() == ANSWERS.keys()
    assert {name: row.code for name, row in REFUSALS.items()} == {name: code for name, (_, code) in ANSWERS.items()}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_an_error_of_the_functions_page(name: str) -> None:
    code = e.name_of(ANSWERS[name][1])
    if name in UNLISTED:
        assert not any(documented(name))
        assert code.startswith("WSAE")
    else:
        assert all(code in codes for codes in documented(name))
    assert f"Raises {code}" in inspect.getdoc(getattr(winsock, name)).replace("\n", " ")  # type: ignore[union-attr]


@pytest.mark.parametrize(("name", "code", "calls_so"), MISTAKES)
def test_so_is_what_is_said_of_an_argument(name: str, code: int, calls_so: Calls) -> None:
    assert calls_so
    assert all(e.name_of(code) in codes for codes in documented(name))


class TestBeforeStartup:
    """What needs WSAStartup says so before anything else."""

    @pytest.mark.parametrize("name", ANSWERS)
    def test_winsock_is_not_started(self, name: str) -> None:
        arguments, code = ANSWERS[name]
        if is_started_first(name):
            code = e.WSANOTINITIALISED
        with refused(code):
            call(name, *arguments)
        assert winsock.WSAGetLastError() == code

    @pytest.mark.parametrize(("name", "code", "calls_so"), MISTAKES)
    def test_it_comes_before_the_arguments(self, name: str, code: int, calls_so: Calls) -> None:
        for arguments in calls_so:
            with refused(e.WSANOTINITIALISED if is_started_first(name) else code):
                call(name, *arguments)

    @pytest.mark.parametrize("name", [name for name in ANSWERS if "WSANOTINITIALISED" in documented(name)[0]])
    def test_it_is_said_where_the_page_has_it(self, name: str) -> None:
        assert is_started_first(name)


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer(world: World, name: str) -> None:
    arguments, code = ANSWERS[name]
    winsock.WSASetLastError(0)
    with refused(code) as caught:
        call(name, *arguments)
    assert caught.value.strerror == REFUSALS[name].why
    assert winsock.WSAGetLastError() == code


@pytest.mark.parametrize(("name", "arguments"), OTHERS)
def test_the_answer_is_always_the_same(world: World, name: str, arguments: tuple[Any, ...]) -> None:
    with refused(ANSWERS[name][1]) as caught:
        call(name, *arguments)
    assert caught.value.strerror == REFUSALS[name].why


def test_there_is_nowhere_to_register(world: World) -> None:
    """The operation is a known one."""
    with refused(e.WSAEINVAL, "registration: no name-space provider"):
        winsock.WSASetService(ANYTHING, c.RNRSERVICE_REGISTER, 0)


@pytest.mark.parametrize(("name", "code", "calls_so"), MISTAKES)
def test_an_argument_is_wrong(world: World, name: str, code: int, calls_so: Calls) -> None:
    for arguments in calls_so:
        winsock.WSASetLastError(0)
        with refused(code) as caught:
            call(name, *arguments)
        assert (caught.value.strerror or "").partition(":")[0] in inspect.signature(getattr(winsock, name)).parameters
        assert caught.value.strerror not in [row.why for row in REFUSALS.values()]
        assert winsock.WSAGetLastError() == code


@pytest.mark.parametrize("name", ANSWERS)
def test_arguments_may_be_named(world: World, name: str) -> None:
    arguments, code = ANSWERS[name]
    named = inspect.signature(getattr(winsock, name)).bind(*arguments).arguments
    with refused(code):
        getattr(winsock, name)(**named)


def test_in_a_blocking_hook(world: World) -> None:
    """WSAEINPROGRESS, where a page has it for that."""
    names = [name for name in ANSWERS if is_started_first(name) and "WSAEINPROGRESS" in documented(name)[0]]
    said: list[int] = []

    def hook() -> bool:
        said.extend(code_of(lambda: call(name, *ANSWERS[name][0])) for name in names)  # noqa: B023
        winsock.WSACancelBlockingCall()
        return False

    winsock.WSAStartup(0x0101)
    winsock.WSASetBlockingHook(hook)
    try:
        with refused(e.WSAEINTR):
            winsock.recv(world.connected().server, 1)
    finally:
        winsock.WSAUnhookBlockingHook()
        winsock.WSACleanup()
    assert said == [e.WSAEINPROGRESS] * 13
    assert len(names) == 13


# --- What has a truthful answer --------------------------------------------------------------------------------------

ENUMERATIONS = [
    winsock.WSAEnumNameSpaceProviders,
    winsock.WSAEnumNameSpaceProvidersEx,
    winsock.WSCEnumNameSpaceProviders,
    winsock.WSCEnumNameSpaceProvidersEx,
    winsock.WSCEnumNameSpaceProviders32,
    winsock.WSCEnumNameSpaceProvidersEx32,
]


@pytest.mark.parametrize("enumerate_providers", ENUMERATIONS, ids=lambda one: one.__name__)
def test_no_name_space_provider_is_installed(world: World, enumerate_providers: Callable[[], list[Any]]) -> None:
    """CAT-003: the API and the SPI say the same."""
    assert enumerate_providers() == []
    assert enumerate_providers() is not enumerate_providers()


@pytest.mark.parametrize("enumerate_providers", ENUMERATIONS, ids=lambda one: one.__name__)
def test_enumeration_needs_winsock(enumerate_providers: Callable[[], list[Any]]) -> None:
    with refused(e.WSANOTINITIALISED):
        enumerate_providers()


@pytest.mark.parametrize("write", [winsock.WSCWriteNameSpaceOrder, winsock.WSCWriteNameSpaceOrder32])
def test_the_order_of_none_nsp_052(write: Callable[[Any], None]) -> None:
    write([])
    write(())
    for ids, code in (([GUID_NULL], e.WSAEINVAL), (None, e.WSAEFAULT), (GUID_NULL, e.WSAEFAULT), ([7], e.WSAEFAULT)):
        with refused(code, "provider_ids"):
            write(ids)
        assert winsock.WSAGetLastError() == code
    with refused(e.WSAEINVAL, "5000"):
        write([GUID(0x5000, 0, 0, bytes(8))])


def test_there_is_nothing_to_free() -> None:
    """It works before WSAStartup, and leaves the last error alone."""
    with refused(e.WSANOTINITIALISED):
        call("getaddrinfo", "localhost", None)
    winsock.freeaddrinfo(None)
    winsock.FreeAddrInfoEx(None)
    assert winsock.WSAGetLastError() == e.WSANOTINITIALISED


def test_the_texts_of_errors() -> None:
    assert winsock.gai_strerror(e.EAI_FAIL) == e.text_of(e.WSANO_RECOVERY)
    texts = {winsock.gai_strerror(getattr(e, name)) for name in vars(e) if name.startswith("EAI_")}
    assert len(texts) == 9
    assert "unknown error" not in texts
    for code in (0, e.WSAECONNREFUSED, -1):
        assert winsock.gai_strerror(code) == "unknown error"


NUMERIC = c.NI_NUMERICHOST | c.NI_NUMERICSERV


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (SockaddrIn("127.0.0.1", 80), ("127.0.0.1", "80")),
        (("192.0.2.1", 0), ("192.0.2.1", "0")),
        (SockaddrIn6("::1", 443), ("::1", "443")),
        (SockaddrIn6("fe80::1", 443, 0, 3), ("fe80::1%3", "443")),
    ],
)
@pytest.mark.parametrize("flags", [0, NUMERIC, NUMERIC | c.NI_NAMEREQD, c.NI_NOFQDN | c.NI_DGRAM])
def test_names_are_numeric(world: World, address: Any, expected: tuple[str, str], flags: int) -> None:
    assert winsock.getnameinfo(address, flags) == expected


@pytest.mark.parametrize(
    ("address", "flags", "code"),
    [
        (SockaddrIn("127.0.0.1", 80), c.NI_NAMEREQD, e.WSAHOST_NOT_FOUND),
        (SockaddrIn("127.0.0.1", 80), 0x20, e.WSAEINVAL),
        (SockaddrUn("/tmp/x"), 0, e.WSAEAFNOSUPPORT),
        (None, 0, e.WSAEFAULT),
    ],
)
def test_no_names(world: World, address: Any, flags: int, code: int) -> None:
    with refused(code):
        winsock.getnameinfo(address, flags)
    assert winsock.WSAGetLastError() == code


def test_names_need_winsock() -> None:
    with refused(e.WSANOTINITIALISED):
        winsock.getnameinfo(("127.0.0.1", 80))


class Entry:
    """An OVERLAPPED_ENTRY."""

    dwNumberOfBytesTransferred = 5


def test_the_events_of_a_notice() -> None:
    assert winsock.SocketNotificationRetrieveEvents(Entry()) == 5
    for entry in (None, 7, ANYTHING):
        with refused(e.WSAEFAULT, "entry"):
            winsock.SocketNotificationRetrieveEvents(entry)


def test_a_time_to_wait_for_nothing_evt_018() -> None:
    with refused(e.WSAEINVAL, "timeout_ms"):
        winsock.ProcessSocketNotifications(ANYTHING, (), 5)


# --- The results of overlapped operations ----------------------------------------------------------------------------


class Knows(Layer):
    """Has an operation that goes by one structure, and another that is not done."""

    def WSPGetOverlappedResult(self, s: int, overlapped: object, wait: bool) -> tuple[int, int]:
        if overlapped is ANYTHING:
            return 5, c.MSG_PARTIAL
        raise e.WinsockError(e.WSA_IO_INCOMPLETE, "not yet")


class TestOverlappedResults:
    """WSAGetOverlappedResult, which asks the provider."""

    @pytest.mark.parametrize("wait", [True, False])
    def test_no_operation_was_begun(self, world: World, wait: bool) -> None:
        for s in (world.stream(), world.datagram()):
            with refused(e.WSA_INVALID_PARAMETER, "overlapped"):
                winsock.WSAGetOverlappedResult(s, ANYTHING, wait)
            assert winsock.WSAGetLastError() == e.WSA_INVALID_PARAMETER

    def test_without_a_structure(self, world: World) -> None:
        with refused(e.WSAEFAULT, "overlapped"):
            winsock.WSAGetOverlappedResult(world.stream(), None, True)

    def test_no_socket(self, world: World) -> None:
        with refused(e.WSAENOTSOCK):
            winsock.WSAGetOverlappedResult(-1, ANYTHING, True)

    def test_winsock_is_not_started(self) -> None:
        with refused(e.WSANOTINITIALISED):
            winsock.WSAGetOverlappedResult(3, ANYTHING, True)

    def test_the_page_of_the_provider_has_its_own_words(self) -> None:
        assert "WSA_INVALID_PARAMETER" in documented("WSAGetOverlappedResult")[0]
        assert "WSAEINVAL" not in documented("WSAGetOverlappedResult")[0]
        assert "WSAEINVAL" in documented("WSPGetOverlappedResult")[0]

    def test_a_layer_may_know_of_one(self) -> None:
        with World(through(Knows)) as world:
            s = world.stream()
            assert winsock.WSAGetOverlappedResult(s, ANYTHING, False) == (5, c.MSG_PARTIAL)
            with refused(e.WSA_IO_INCOMPLETE):
                winsock.WSAGetOverlappedResult(s, object(), False)
