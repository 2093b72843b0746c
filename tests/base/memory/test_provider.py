"""The provider: its start and its end, its sockets and their handles, its callbacks and its addresses."""

from __future__ import annotations

import os

import pytest

from tests.base.memory.land import ALICE, BOB, Land, refused, table
from tests.refusals import code_of
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    AF_UNIX,
    FROM_PROTOCOL_INFO,
    IPPROTO_TCP,
    IPPROTO_UDP,
    SG_UNCONSTRAINED_GROUP,
    SO_LINGER,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
    SOL_SOCKET,
    WSA_FLAG_MULTIPOINT_C_LEAF,
    WSA_FLAG_OVERLAPPED,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAECONNABORTED,
    WSAECONNREFUSED,
    WSAEFAULT,
    WSAEINPROGRESS,
    WSAEINTR,
    WSAEINVAL,
    WSAENOBUFS,
    WSAENOTSOCK,
    WSAEPROTONOSUPPORT,
    WSAEPROTOTYPE,
    WSAESOCKTNOSUPPORT,
    WSANOTINITIALISED,
    WSAVERNOTSUPPORTED,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.api import names, options, sockets, transfer, waiting
from winsock.base.memory import Memory
from winsock.dispatcher import threads
from winsock.dispatcher.records import records


@pytest.fixture
def land() -> Land:
    return Land(latency=0.01)


def provider(land: Land) -> Memory:
    """The provider of TCP."""
    found = table(land.stream(land.alice)).WSPSocket.__self__  # type: ignore[attr-defined]
    assert isinstance(found, Memory)
    return found


# Start and end.


def test_it_speaks_version_2_2(land: Land) -> None:
    with land:
        tcp = provider(land)
        data, _ = tcp.WSPStartup(0x0202, tcp.info, tcp.upcalls)
        assert (data.wVersion, data.szDescription) == (0x0202, "memory [TCP/IP]")
        refused(WSAVERNOTSUPPORTED, lambda: tcp.WSPStartup(0x0102, tcp.info, tcp.upcalls))
        tcp.WSPCleanup()


def test_every_start_is_undone_once(land: Land) -> None:
    with land:
        tcp = provider(land)
    refused(WSANOTINITIALISED, tcp.WSPCleanup)


def test_the_last_end_resets_what_is_open(land: Land) -> None:
    with land:
        land.connected()
        land.connected(land.messages)
        land.listener(land.bob, 80)
        land.datagram(land.alice, 7)
    network = land.network
    assert (network.sockets, land.alice.sockets, land.bob.sockets) == ({}, {}, {})
    network.sleep(1.0)
    assert land.alice.connections == land.bob.connections == {}
    assert land.alice.reserved_bytes == land.bob.reserved_bytes == 0
    assert all(not ports.exact and not ports.wild for ports in (*land.alice.ports, *land.bob.ports))


def test_the_last_end_lets_waits_come_back(land: Land) -> None:  # SPIINIT-013
    codes: list[int] = []
    with land:
        listener, (client, _) = land.listener(land.bob, 80), land.connected()
        land.bob.spawn(lambda: codes.append(code_of(lambda: sockets.accept(listener))), name="accept")
        land.alice.spawn(lambda: codes.append(code_of(lambda: transfer.recv(client, 1))), name="recv")
        land.settle()
        assert codes == []
    land.settle()
    assert codes == [WSAEINTR, WSAEINTR]


# Sockets.


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ((AF_UNIX, SOCK_STREAM, IPPROTO_TCP), WSAEAFNOSUPPORT),
        ((AF_INET, SOCK_RAW, IPPROTO_TCP), WSAESOCKTNOSUPPORT),  # SOCK-008
        ((AF_INET, SOCK_STREAM, 99), WSAEPROTONOSUPPORT),
        ((AF_INET, SOCK_STREAM, IPPROTO_UDP), WSAEPROTOTYPE),
        ((AF_INET, SOCK_DGRAM, IPPROTO_TCP), WSAEPROTOTYPE),
    ],
)
def test_sockets_of_other_kinds_are_refused(land: Land, asked: tuple[int, int, int], code: int) -> None:
    with land:
        tcp = provider(land)
        before = dict(land.alice.sockets)
        refused(code, lambda: tcp.WSPSocket(*asked, tcp.info))
        assert land.alice.sockets == before


def test_wildcards(land: Land) -> None:  # SOCK-003, SOCK-004
    with land:
        tcp = provider(land)
        for value in (0, FROM_PROTOCOL_INFO):
            tcp.WSPSocket(value, value, value, tcp.info)


def test_flags_and_groups(land: Land) -> None:  # SOCK-007
    with land:
        tcp = provider(land)
        tcp.WSPSocket(0, 0, 0, tcp.info, 0, WSA_FLAG_OVERLAPPED)
        refused(WSAEINVAL, lambda: tcp.WSPSocket(0, 0, 0, tcp.info, SG_UNCONSTRAINED_GROUP))
        refused(WSAEINVAL, lambda: tcp.WSPSocket(0, 0, 0, tcp.info, 0, WSA_FLAG_MULTIPOINT_C_LEAF))


def test_handles_are_placeholders_that_no_file_call_takes(land: Land) -> None:  # SOCK-006
    with land:
        client, _ = land.connected()
        assert records[client].made
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(client, b"x")
        sockets.closesocket(client)
        refused(WSAENOTSOCK, lambda: transfer.send(client, b"x"))
        assert client not in land.network.sockets


def test_a_handle_that_cannot_be_had_leaves_nothing_behind(land: Land, monkeypatch: pytest.MonkeyPatch) -> None:
    from winsock.abi.errors import WinsockError

    with land:
        tcp = provider(land)
        before = dict(land.alice.sockets)

        class NoHandles:
            def WPUCreateSocketHandle(self, entry_id: int, context: object) -> int:
                raise WinsockError(WSAENOBUFS)

        monkeypatch.setattr(tcp, "upcalls", NoHandles())
        refused(WSAENOBUFS, lambda: tcp.WSPSocket(0, 0, 0, tcp.info))
        monkeypatch.undo()
        assert land.alice.sockets == before


def test_handles_of_others_are_none_of_ours(land: Land) -> None:
    with land:
        tcp = provider(land)
        for call in (tcp.WSPCloseSocket, tcp.WSPGetSockName, lambda s: tcp.WSPSend(s, [b"x"])):
            refused(WSAENOTSOCK, lambda call=call: call(99999))  # type: ignore[misc]


# Callbacks.


def hooked(callback: object, call: object) -> None:
    """Run a call under a blocking callback of this thread."""
    state = threads.current()
    state.blocking_callback = callback  # type: ignore[assignment]
    try:
        call()  # type: ignore[operator]
    finally:
        state.blocking_callback = None


def test_a_callback_is_asked_while_a_call_waits(land: Land) -> None:  # BLK-001, BLK-014
    with land:
        client, server = land.connected()
        asked: list[object] = []

        def goes_on(context: object) -> bool:
            asked.append(context)
            return True

        transfer.send(client, b"x")
        hooked(goes_on, lambda: transfer.recv(server, 1))
        assert 5 < len(asked) < 20
        asked.clear()
        transfer.send(client, b"x")
        land.settle()
        hooked(goes_on, lambda: transfer.recv(server, 1))
        hooked(goes_on, lambda: transfer.send(client, b"x"))
        assert asked == []


def test_a_callback_may_say_no(land: Land) -> None:  # BLK-010
    with land:
        listener = land.listener(land.bob, 80)
        hooked(lambda _: False, lambda: refused(WSAEINTR, lambda: sockets.accept(listener)))
        hooked(lambda _: False, lambda: refused(WSAEINTR, lambda: waiting.select(0, [listener], None, None, 5)))
        client = land.stream(land.alice)
        land.bob.spawn(sockets.accept, listener)
        sockets.connect(client, (BOB, 80))
        land.network.run()


def test_a_callback_may_cancel_its_call(land: Land) -> None:  # BLK-008, BLK-009
    with land:
        _, server = land.connected()
        refused(WSAEINVAL, table(server).WSPCancelBlockingCall)

        def cancel(_: object) -> bool:
            table(server).WSPCancelBlockingCall()
            return True

        hooked(cancel, lambda: refused(WSAEINTR, lambda: transfer.recv(server, 1)))
        refused(WSAEINVAL, table(server).WSPCancelBlockingCall)


def test_no_socket_is_made_within_a_callback(land: Land) -> None:  # WSAEINPROGRESS of WSPSocket
    with land:
        _, server = land.connected()
        tcp = provider(land)

        def make(_: object) -> bool:
            refused(WSAEINPROGRESS, lambda: tcp.WSPSocket(0, 0, 0, tcp.info))
            return False

        hooked(make, lambda: refused(WSAEINTR, lambda: transfer.recv(server, 1)))


def test_a_connect_that_is_cancelled_is_over(land: Land) -> None:  # BLK-010
    with land:
        listener = land.listener(land.bob, 80)
        client = land.stream(land.alice)
        hooked(lambda _: False, lambda: refused(WSAEINTR, lambda: sockets.connect(client, (BOB, 80))))
        refused(WSAECONNABORTED, lambda: transfer.send(client, b"x"))
        sockets.closesocket(client)
        land.settle()
        assert land.alice.connections == {}
        sockets.closesocket(listener)


def test_a_send_that_is_cancelled_halfway_breaks_the_stream(land: Land) -> None:  # BLK-011
    with land:
        client, _ = land.connected()
        hooked(lambda _: False, lambda: refused(WSAEINTR, lambda: transfer.send(client, bytes(1 << 20))))
        refused(WSAECONNABORTED, lambda: transfer.send(client, b"x"))
        refused(WSAECONNABORTED, lambda: transfer.recv(client, 1))
        sockets.closesocket(client)


# Addresses.


@pytest.mark.parametrize(
    ("text", "family", "address"),
    [
        ("10.0.0.1:80", AF_INET, SockaddrIn("10.0.0.1", 80)),
        ("10.0.0.1", AF_INET, SockaddrIn("10.0.0.1", 0)),
        ("[fd00::1]:80", AF_INET6, SockaddrIn6("fd00::1", 80)),
        ("fd00::1", AF_INET6, SockaddrIn6("fd00::1", 0)),
        ("fe80::1%3", AF_INET6, SockaddrIn6("fe80::1", 0, 0, 3)),
    ],
)
def test_addresses_as_text(land: Land, text: str, family: int, address: SockaddrIn | SockaddrIn6) -> None:  # ADDR-004
    with land:
        assert names.WSAStringToAddress(text, family) == address
        assert names.WSAAddressToString(address) == text


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("nobody", AF_INET),
        ("10.0.0.1:99999", AF_INET),
        ("10.0.0.1:x", AF_INET),
        ("10.0.0.1:", AF_INET),
        ("[fd00::1", AF_INET6),
        ("[fd00::1]80", AF_INET6),
        ("fe80::1%lo", AF_INET6),
        ("10.0.0.1", AF_INET6),
    ],
)
def test_text_that_is_no_address(land: Land, text: str, family: int) -> None:
    with land:
        refused(WSAEINVAL, lambda: names.WSAStringToAddress(text, family))


def test_addresses_of_others(land: Land) -> None:  # ADDR-007
    with land:
        tcp = provider(land)
        refused(WSAEINVAL, lambda: tcp.WSPAddressToString(SockaddrIn6("fd00::1", 80)))
        refused(WSAEINVAL, lambda: tcp.WSPStringToAddress("fd00::1", AF_INET6))
        refused(WSAEFAULT, lambda: tcp.WSPStringToAddress(None, AF_INET))  # type: ignore[arg-type]
        other = tcp.info._replace(iAddressFamily=AF_INET6)
        refused(WSAEINVAL, lambda: tcp.WSPAddressToString(SockaddrIn(ALICE, 80), other))


def test_an_abortive_close_of_a_connect_that_goes_on(land: Land) -> None:
    with land:
        client = land.stream(land.alice)
        options.setsockopt(client, SOL_SOCKET, SO_LINGER, Linger(1, 0))
        refused(WSAECONNREFUSED, lambda: sockets.connect(client, (BOB, 80)))
        sockets.closesocket(client)
        assert land.alice.connections == {}
