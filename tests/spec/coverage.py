"""What is documented of the functions in scope, and in which state each row of errors.csv is.

A row is *tested* where errors_tested.csv names a test that raises the error, *mapped* where errors_mapped.csv says how
the kernel makes the function raise it, and *cannot occur here* where `REASONS` has a reason. The first two lists are
proved whenever the tests run (tests/conftest.py, test_mapped.py). A reason holds for no code that an errno maps to.

What a function is for, it may not do yet (`LATER`): it refuses, or it works as far as that goes. Of its errors those
are tested that it raises so, and the others are *for later*, when it does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from tests.spec.tables import read
from winsock.abi import calls, errors
from winsock.abi.calls import Call

PARTS = ("api", "spi-transport", "spi-upcall", "spi-config")

OVERLAPPED, NAMES = "overlapped completion", "name spaces and name resolution"

_OVERLAPPED = """
    WSAGetOverlappedResult WSPGetOverlappedResult WPUCompleteOverlappedRequest LPWSAOVERLAPPED_COMPLETION_ROUTINE
    ProcessSocketNotifications
"""
_NAMES = """
    gethostbyaddr gethostbyname getservbyport getservbyname getprotobynumber getprotobyname WSAAsyncGetServByName
    WSAAsyncGetServByPort WSAAsyncGetProtoByName WSAAsyncGetProtoByNumber WSAAsyncGetHostByName WSAAsyncGetHostByAddr
    WSACancelAsyncRequest WSALookupServiceBegin WSALookupServiceNext WSANSPIoctl WSALookupServiceEnd
    WSAInstallServiceClass WSARemoveServiceClass WSAGetServiceClassInfo WSAEnumNameSpaceProviders
    WSAGetServiceClassNameByClassId WSASetService WSAConnectByName WSAEnumNameSpaceProvidersEx getaddrinfo getnameinfo
    GetAddrInfoEx SetAddrInfoEx GetAddrInfoExCancel GetAddrInfoExOverlappedResult LPLOOKUPSERVICE_COMPLETION_ROUTINE
    WSCEnumNameSpaceProviders32 WSCInstallNameSpace WSCUnInstallNameSpace WSCEnableNSProvider WSCInstallNameSpace32
    WSCUnInstallNameSpace32 WSCEnableNSProvider32 WSCInstallNameSpaceEx WSCEnumNameSpaceProvidersEx32
    WSCInstallNameSpaceEx32 WSCWriteNameSpaceOrder WSCWriteNameSpaceOrder32 WSCEnumNameSpaceProviders
    WSCEnumNameSpaceProvidersEx
"""
LATER = dict.fromkeys(_OVERLAPPED.split(), OVERLAPPED) | dict.fromkeys(_NAMES.split(), NAMES)
"""The functions, by their names here, whose time has not come, and what they belong to."""

TESTED, MAPPED, IMPOSSIBLE, FOR_LATER = "tested", "mapped", "cannot occur here", "for later"

REASONS = {
    "pending": "nothing is pending: there are no overlapped operations yet",
    "nested": "a call from inside a blocking hook is refused before any provider is asked",
    "memory": "memory that runs out is told as WSAENOBUFS, the code of ENOMEM",
    "processes": "the host has no limit of processes that use the network",
    "catalog": "what goes wrong with the catalog, which is one file, is told as WSANO_RECOVERY",
    "templates": "templates of quality of service are refused before anything could go wrong with them",
}
"""All that may keep an error from occurring."""


class Documented(NamedTuple):
    """One row of errors.csv."""

    name: str
    """The function's Windows name."""
    function: str
    """Its name here."""
    code_name: str
    where: str
    """"call", or the network event, or the message, that carries the error."""

    @property
    def code(self) -> int:
        """The number of the code."""
        found: int = getattr(errors, self.code_name)
        return found

    @property
    def seen(self) -> Seen:
        """What a test must see of it."""
        return Seen(self.function, self.code, self.where)


class Seen(NamedTuple):
    """One error of one function, seen."""

    function: str
    """Its name here: without A or W."""
    code: int
    where: str


class State(NamedTuple):
    """The state that a row is in."""

    state: str
    why: str
    """The test, how the kernel makes it, the reason, or what it waits for."""


def functions() -> list[Call]:
    """Those of the parts, whenever they are to come."""
    return [call for call in calls.ROWS if call.part in PARTS]


@cache
def in_scope() -> tuple[Documented, ...]:
    """The rows of errors.csv of these functions."""
    of_parts = {call.name: call for call in functions()}
    return tuple(
        Documented(row["function"], call.function, row["code_name"], _where(row["context"]))
        for row in read("errors.csv")
        if (call := of_parts.get(row["function"])) is not None
    )


def _where(context: str) -> str:
    """Rows of a twin have the code once more in this column."""
    return context if context.startswith("FD_") or context == "window-message" else "call"


@cache
def tested() -> dict[Seen, str]:
    """A test for each error that one raises."""
    return {_seen(row): row["test"] for row in read("errors_tested.csv")}


@cache
def mapped() -> dict[Seen, str]:
    """How the kernel makes a function raise an error, for each that no other test raises."""
    return {
        _seen(row): f"{row['errno']} of {row['system_call']}" + (f" in {row['inside']}" if row["inside"] else "")
        for row in read("errors_mapped.csv")
    }


def _seen(row: dict[str, str]) -> Seen:
    return Seen(row["function"], getattr(errors, row["code_name"]), row["where"])


def reason(row: Documented) -> str | None:
    """The key of why an error cannot occur; None where it can."""
    if row.code_name == "WSA_IO_PENDING":
        return "pending"
    if row.code_name == "WSAEINPROGRESS" and row.name.startswith("WSP"):
        return "nested"
    if row.code_name == "WSAEPROCLIM":
        return "processes"
    if row.name.startswith("WSC") and row.name.endswith("QOSTemplate"):
        return "templates" if row.code_name in ("WSANO_RECOVERY", "WSA_NOT_ENOUGH_MEMORY") else None
    if row.code_name == "WSA_NOT_ENOUGH_MEMORY":
        return "memory"
    if row.name.startswith("WSCInstallProvider") and row.code_name == "WSASYSCALLFAILURE":
        return "catalog"
    return None


def state_of(row: Documented) -> State | None:
    """The one state of a row; None where it has none."""
    if row.seen in tested():
        return State(TESTED, tested()[row.seen])
    if row.seen in mapped():
        return State(MAPPED, mapped()[row.seen])
    if row.function in LATER:
        return State(FOR_LATER, LATER[row.function])
    key = reason(row)
    return None if key is None else State(IMPOSSIBLE, key)


def counts() -> dict[str, int]:
    """How many rows are in each state."""
    found = Counter(state.state for row in in_scope() if (state := state_of(row)) is not None)
    return {state: found[state] for state in (TESTED, MAPPED, IMPOSSIBLE, FOR_LATER)}


def counted() -> str:
    """The four counts, in the words of the README."""
    of = counts()
    return (
        f"of the {len(in_scope())} documented errors of the functions here, {of[TESTED]} are tested, {of[MAPPED]} "
        f"mapped from an errno, {of[IMPOSSIBLE]} cannot occur here, and {of[FOR_LATER]} are for later"
    )


def later() -> Iterator[tuple[str, list[Call]]]:
    """What is for later, and its functions."""
    for what in (OVERLAPPED, NAMES):
        yield what, [call for call in functions() if LATER.get(call.function) == what]
