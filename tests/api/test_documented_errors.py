"""Documented errors that no other test has a reason to raise: one row a call that fails, and the code."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import pytest

import winsock
from tests.fakes import catalog
from tests.refusals import refused
from winsock import GUID
from winsock.abi import constants as c
from winsock.abi import errors as e
from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.abi.sockaddr import SockaddrIn6
from winsock.base.inet.provider import Inet
from winsock.catalog.entries import BUILTIN
from winsock.dispatcher import loader, process
from winsock.dispatcher.records import records
from winsock.spi.provider import WSPDATA, ProcTable, Provider
from winsock.spi.upcalls import Upcalls
from winsock.testing import World

HERE = __name__
SETTINGS = struct.pack("<iI", 1, 0)
UNKNOWN = struct.pack("<iI", 7, 0)
TEMPLATE = struct.pack("<i", 1).ljust(144, b"\0")


# --- IPsec -----------------------------------------------------------------------------------------------------------

SECURED: list[tuple[Callable[..., object], Sequence[object], int]] = [
    (winsock.WSASetSocketSecurity, (), e.WSAEOPNOTSUPP),
    (winsock.WSASetSocketSecurity, (SETTINGS,), e.WSAEOPNOTSUPP),
    (winsock.WSASetSocketSecurity, (SETTINGS[:4],), e.WSAEMSGSIZE),
    (winsock.WSASetSocketSecurity, (UNKNOWN,), e.WSAEINVAL),
    (winsock.WSASetSocketSecurity, (7,), e.WSAEINVAL),
    (winsock.WSAQuerySocketSecurity, (), e.WSAEOPNOTSUPP),
    (winsock.WSAQuerySocketSecurity, (TEMPLATE,), e.WSAEOPNOTSUPP),
    (winsock.WSAQuerySocketSecurity, (TEMPLATE[:8],), e.WSAEMSGSIZE),
    (winsock.WSAQuerySocketSecurity, (UNKNOWN.ljust(144),), e.WSAEINVAL),
    (winsock.WSAQuerySocketSecurity, (7,), e.WSAEFAULT),
    (winsock.WSASetSocketPeerTargetName, ("host/peer",), e.WSAEOPNOTSUPP),
    (winsock.WSASetSocketPeerTargetName, (TEMPLATE,), e.WSAEOPNOTSUPP),
    (winsock.WSASetSocketPeerTargetName, (TEMPLATE[:8],), e.WSAEMSGSIZE),
    (winsock.WSASetSocketPeerTargetName, ("",), e.WSAEINVAL),
    (winsock.WSASetSocketPeerTargetName, (None,), e.WSAEFAULT),
    (winsock.WSADeleteSocketPeerTargetName, (("127.0.0.1", 9),), e.WSAEOPNOTSUPP),
    (winsock.WSADeleteSocketPeerTargetName, (bytes(16),), e.WSAEOPNOTSUPP),
    (winsock.WSADeleteSocketPeerTargetName, (bytes(4),), e.WSAEMSGSIZE),
    (winsock.WSADeleteSocketPeerTargetName, (("127.0.0.1",),), e.WSAEFAULT),
    (winsock.WSADeleteSocketPeerTargetName, (SockaddrIn6("::1", 9),), e.WSAEAFNOSUPPORT),
    (winsock.WSADeleteSocketPeerTargetName, (("0.0.0.0", 0),), e.WSAEINVAL),
    (winsock.WSAImpersonateSocketPeer, (), e.WSAEOPNOTSUPP),
    (winsock.WSAImpersonateSocketPeer, (bytes(4),), e.WSAEMSGSIZE),
    (winsock.WSAImpersonateSocketPeer, (("127.0.0.1",),), e.WSAEFAULT),
]
OF_IPSEC = list(dict.fromkeys((call, arguments) for call, arguments, code in SECURED if code == e.WSAEOPNOTSUPP))


@pytest.mark.parametrize(("call", "arguments", "code"), SECURED)
def test_what_is_wrong_is_said_before_there_is_no_ipsec(
    world: World, call: Callable[..., object], arguments: Sequence[object], code: int
) -> None:
    with refused(code):
        call(world.stream(), *arguments)


@pytest.mark.parametrize(("call", "arguments"), OF_IPSEC)
def test_ipsec_is_for_ipv4_and_ipv6(world: World, call: Callable[..., object], arguments: Sequence[object]) -> None:
    with refused(e.WSAEAFNOSUPPORT):
        call(winsock.socket(c.AF_UNIX, c.SOCK_STREAM, 0), *arguments)


@pytest.mark.parametrize(
    "call", [lambda s: winsock.WSASetSocketSecurity(s), lambda s: winsock.WSASetSocketPeerTargetName(s, "host/peer")]
)
def test_a_connection_is_secured_before_it_is_made_ext_017(world: World, call: Callable[[int], object]) -> None:
    with refused(e.WSAEISCONN):
        call(world.connected().client)


def test_a_connection_that_was_reset_has_no_security(world: World) -> None:
    pair = world.connected()
    winsock.setsockopt(pair.server, c.SOL_SOCKET, c.SO_LINGER, (1, 0))
    winsock.closesocket(pair.server)
    winsock.select(0, [pair.client], None, None, None)
    with refused(e.WSAECONNRESET):
        winsock.WSAQuerySocketSecurity(pair.client)


# --- addresses as text -----------------------------------------------------------------------------------------------


def test_texts_are_of_ipv4_and_ipv6() -> None:
    with refused(e.WSAEAFNOSUPPORT):
        winsock.InetPton(c.AF_UNIX, "127.0.0.1")
    with refused(e.WSAEFAULT):
        winsock.InetPton(c.AF_INET, 7)  # type: ignore[arg-type]
    with refused(e.WSAEAFNOSUPPORT):
        winsock.InetNtop(c.AF_UNIX, bytes(4))
    with refused(e.ERROR_INVALID_PARAMETER):
        winsock.InetNtop(c.AF_INET, bytes(5))


# --- start-up, protocols and settings --------------------------------------------------------------------------------


def test_a_version_is_a_number() -> None:
    with refused(e.WSAEFAULT):
        winsock.WSAStartup("2.2")  # type: ignore[arg-type]


@pytest.mark.parametrize("call", [winsock.WSAEnumProtocols, winsock.WSCEnumProtocols, winsock.WSCEnumProtocols32])
def test_protocols_are_numbers(world: World, call: Callable[[Any], object]) -> None:
    with refused(e.WSAEFAULT):
        call(["tcp"])
    with refused(e.WSAEINVAL):
        call(7)


def test_changes_of_the_catalog_are_told_to_handles_made_for_that(world: World) -> None:
    with refused(e.WSA_INVALID_HANDLE):
        winsock.WSAProviderConfigChange(world.stream())
    with refused(e.WSAEOPNOTSUPP):
        winsock.WSAProviderConfigChange(None, object())


def test_streams_share_no_datagrams(world: World) -> None:
    with refused(e.WSAEOPNOTSUPP):
        winsock.WSASetUnicastReceiveSharing(world.stream(), 1)


def test_where_no_connect_failed_there_is_no_icmp_error(world: World) -> None:
    with refused(e.WSANO_DATA):
        winsock.WSAGetIcmpErrorInfo(world.connected().client)


@pytest.mark.parametrize("call", [lambda g, n: winsock.WSCInstallQOSTemplate(g, n, b""), winsock.WSCRemoveQOSTemplate])
def test_what_is_wrong_is_said_before_there_are_no_templates(call: Callable[..., object]) -> None:
    for guid, name, code in (
        (7, "name", e.WSAEFAULT),
        (GUID(1, 0, 0, b"template"), None, e.WSAEFAULT),
        (GUID(1, 0, 0, b"template"), "", e.WSAEINVAL),
        (GUID(1, 0, 0, b"template"), "name", e.WSASYSCALLFAILURE),
        (None, "name", e.WSASYSCALLFAILURE),  # of all providers
    ):
        with refused(code):
            call(guid, name)
    with refused(e.WSAEFAULT):
        winsock.WSCInstallQOSTemplate(None, "name", None)


# --- providers that are no good --------------------------------------------------------------------------------------


class Old(Provider):
    """One of version 1.1."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        return WSPDATA(0x0101, 0x0101), ProcTable.of(self)

    def WSPCleanup(self) -> None:
        """It was started, and so it is ended."""


class Short(Provider):
    """One without all of the functions."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        return WSPDATA(), None  # type: ignore[return-value]


class Broken(Provider):
    """One that does not start."""

    def WSPStartup(self, version: int, protocol_info: WSAPROTOCOL_INFO, upcalls: Upcalls) -> tuple[WSPDATA, ProcTable]:
        raise RuntimeError("not today")


class TestBadProviders:
    """What a socket says of its provider."""

    CODES: ClassVar = [
        (Old, e.WSAEINVALIDPROVIDER),
        (Short, e.WSAEINVALIDPROCTABLE),
        (Broken, e.WSAEPROVIDERFAILEDINIT),
    ]

    @pytest.mark.parametrize("call", [winsock.socket, winsock.WSASocket])
    @pytest.mark.parametrize(("kind", "code"), CODES)
    def test_no_socket(self, call: Callable[..., int], kind: type[Provider], code: int) -> None:
        process.startup(catalog=catalog(base=f"{HERE}:{kind.__name__}"))
        try:
            with refused(code):
                call(c.AF_INET, c.SOCK_STREAM, c.IPPROTO_TCP)
        finally:
            process.cleanup()


class TestBaseProvider:
    """The start and the end of a base provider, as a layer below all others sees it."""

    def test_it_is_started_with_a_description(self) -> None:
        with refused(e.WSAEFAULT):
            Inet().WSPStartup(0x0202, None, Upcalls())  # type: ignore[arg-type]

    def test_it_cancels_nothing_when_it_is_over(self) -> None:
        provider = Inet()
        _, table = provider.WSPStartup(0x0202, BUILTIN[0].info, Upcalls())
        with refused(e.WSAEINVAL):
            table.WSPCancelBlockingCall()
        table.WSPCleanup()
        with refused(e.WSAENETDOWN):
            table.WSPCancelBlockingCall()
        with refused(e.WSANOTINITIALISED):
            table.WSPCleanup()

    def test_handles_are_sockets(self, world: World) -> None:
        """What Ws2_32 has looked at already, a provider looks at too."""
        table = loader.open_chain(records[world.stream()].entry).table
        event, window = winsock.WSACreateEvent(), winsock.MessageQueue()
        bodies: list[Callable[[int], object]] = [
            lambda s: table.WSPAccept(s),
            lambda s: table.WSPAsyncSelect(s, window, 1, c.FD_READ),
            lambda s: table.WSPEnumNetworkEvents(s, None),
            lambda s: table.WSPEventSelect(s, event, c.FD_READ),
            lambda s: table.WSPGetPeerName(s),
            lambda s: table.WSPGetQOSByName(s, ""),
            lambda s: table.WSPJoinLeaf(s, ("239.1.2.3", 9), None, None, None, None, c.JL_BOTH),
            lambda s: table.WSPRecvDisconnect(s),
            lambda s: table.WSPSendDisconnect(s, None),
            lambda s: table.WSPSetSockOpt(s, c.SOL_SOCKET, c.SO_KEEPALIVE, 1),
        ]
        with open("/dev/null", "rb") as file:
            for body in bodies:
                with refused(e.WSAENOTSOCK):
                    body(file.fileno())

    def test_a_template_has_a_name(self, world: World) -> None:
        s = world.stream()
        with refused(e.WSAEFAULT):
            records[s].table.WSPGetQOSByName(s, 7)


def test_a_blocking_callback_is_of_an_entry(world: World) -> None:
    upcalls = loader.open_chain(records[world.stream()].entry).table.WSPSocket.__self__.upcalls  # type: ignore[attr-defined]
    with refused(e.WSAEFAULT):
        upcalls.WPUQueryBlockingCallback("1001")
