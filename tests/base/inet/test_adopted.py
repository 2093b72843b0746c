"""A file that belongs to somebody else is served as the kernel would, and nothing of it is changed."""

from __future__ import annotations

import errno
import os
import socket as host
from collections.abc import Iterator

import pytest

from tests.refusals import refused
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    FIONREAD,
    IPPROTO_TCP,
    MSG_PEEK,
    SD_SEND,
    SIO_TCP_INFO,
    SIO_UDP_CONNRESET,
    SO_DEBUG,
    SO_DONTLINGER,
    SO_ERROR,
    SO_EXCLUSIVEADDRUSE,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_OOBINLINE,
    SO_REUSEADDR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_MAXRT,
)
from winsock.abi.errors import (
    WSAEAFNOSUPPORT,
    WSAECONNREFUSED,
    WSAEINVAL,
    WSAEISCONN,
    WSAEMSGSIZE,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAEWOULDBLOCK,
    ErrorCode,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6, SockaddrOther, SockaddrUn
from winsock.base.inet import own
from winsock.dispatcher import handles, loader
from winsock.dispatcher.records import records
from winsock.spi.provider import ProcTable
from winsock.testing import World


@pytest.fixture(autouse=True)
def world() -> Iterator[World]:
    with World() as world:
        yield world


def adopt(file: host.socket) -> tuple[int, ProcTable]:
    """The handle and the table by which a file is served; the file stays its owner's."""
    family = AF_INET if file.family == host.AF_INET else AF_INET6
    entry = loader.catalog().match(family, file.type, 0)
    record = handles.adopt(file.fileno(), entry)
    return record.handle, record.table


OPTIONS = [
    (host.SOL_SOCKET, number)
    for number in (host.SO_REUSEADDR, host.SO_REUSEPORT, host.SO_KEEPALIVE, host.SO_LINGER, host.SO_OOBINLINE,
                   host.SO_BROADCAST, host.SO_RCVTIMEO, host.SO_SNDTIMEO)
]  # fmt: skip


def options_of(file: host.socket) -> list[object]:
    return [file.getsockopt(*option, 16) for option in OPTIONS] + [os.get_blocking(file.fileno())]


def test_a_whole_life_changes_nothing_of_the_file() -> None:
    with host.socket() as listening, host.socket() as connecting:
        before = options_of(connecting)
        listener, table = adopt(listening)
        client, _ = adopt(connecting)
        table.WSPBind(listener, SockaddrIn("127.0.0.1", 0))
        table.WSPListen(listener, 5)
        address = table.WSPGetSockName(listener)
        assert address == listening.getsockname()
        table.WSPConnect(client, address)
        server, peer = table.WSPAccept(listener)
        assert peer == connecting.getsockname() == table.WSPGetSockName(client)
        assert table.WSPGetPeerName(client) == address
        assert table.WSPSend(client, [b"question"]) == 8
        buffer = bytearray(20)
        assert table.WSPRecv(server, [buffer]) == (8, 0)
        table.WSPShutdown(client, SD_SEND)
        assert table.WSPRecv(server, [buffer]) == (0, 0)
        assert (options_of(connecting), options_of(listening)) == (before, before)
        assert not {listener, client, server} & set(own.SOCKETS), "an object is kept on a number that is lent"
        assert not os.get_inheritable(server)
        table.WSPCloseSocket(server)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(server)


def test_an_unbound_socket_has_the_kernels_name() -> None:
    with host.socket() as file:
        s, table = adopt(file)
        assert table.WSPGetSockName(s) == SockaddrIn("0.0.0.0", 0)
        with refused(WSAENOTCONN) as caught:
            table.WSPGetPeerName(s)
        assert (caught.value.errno, caught.value.from_kernel) == (errno.ENOTCONN, True)


def test_listening_binds_as_on_the_host() -> None:
    with host.socket() as file:
        s, table = adopt(file)
        table.WSPListen(s, 1)
        assert file.getsockname()[1] != 0


@pytest.mark.parametrize(
    ("address", "code", "number"),
    [
        (SockaddrIn6("::1", 1), WSAEAFNOSUPPORT, errno.EAFNOSUPPORT),
        (SockaddrUn("/nowhere"), WSAEAFNOSUPPORT, errno.EAFNOSUPPORT),
        (SockaddrOther(77, bytes(14)), WSAEAFNOSUPPORT, errno.EAFNOSUPPORT),
        (SockaddrOther(AF_INET, b"\0\1"), WSAEINVAL, errno.EINVAL),
    ],
)
def test_odd_addresses_get_the_kernels_answer(address: SockaddrOther, code: int, number: int) -> None:
    with host.socket() as file:
        s, table = adopt(file)
        with refused(code) as caught:
            table.WSPConnect(s, address)
        assert (caught.value.errno, caught.value.from_kernel) == (number, True)


def test_zeros_connect_as_on_the_host() -> None:
    with host.create_server(("127.0.0.1", 0)) as listener, host.socket() as file:
        s, table = adopt(file)
        table.WSPConnect(s, SockaddrIn("0.0.0.0", listener.getsockname()[1]))
        assert file.getpeername() == listener.getsockname()


def test_a_nonblocking_connect_leaves_its_error_to_its_owner() -> None:
    with host.socket() as nobody, host.socket() as file:
        nobody.bind(("127.0.0.1", 0))
        file.setblocking(False)
        s, table = adopt(file)
        with refused(WSAEWOULDBLOCK) as caught:
            table.WSPConnect(s, SockaddrIn(*nobody.getsockname()))
        assert caught.value.errno == errno.EINPROGRESS
        assert table.WSPSelect(0, [s], [s], [s], 20)[1] == [s]
        assert file.getsockopt(host.SOL_SOCKET, host.SO_ERROR) == errno.ECONNREFUSED


def test_a_second_connect_gets_the_kernels_answer() -> None:
    with host.create_server(("127.0.0.1", 0)) as listener, host.socket() as file:
        s, table = adopt(file)
        table.WSPConnect(s, SockaddrIn(*listener.getsockname()))
        with refused(WSAEISCONN) as caught:
            table.WSPConnect(s, SockaddrIn(*listener.getsockname()))
        assert caught.value.errno == errno.EISCONN


def test_the_error_is_read_when_it_is_asked_for() -> None:
    with host.socket() as nobody, host.socket(type=host.SOCK_DGRAM) as file:
        nobody.bind(("127.0.0.1", 0))
        file.connect(nobody.getsockname())
        file.send(b"?")
        s, table = adopt(file)
        assert table.WSPSelect(0, [s], None, None, 20)[0] == [s]
        value = table.WSPGetSockOpt(s, SOL_SOCKET, SO_ERROR)
        assert isinstance(value, ErrorCode)
        assert (value, value.errno) == (WSAECONNREFUSED, errno.ECONNREFUSED)


def test_a_peer_is_left_by_the_unspecified_family() -> None:
    with host.socket(type=host.SOCK_DGRAM) as file:
        s, table = adopt(file)
        table.WSPConnect(s, SockaddrIn("127.0.0.1", 9))
        assert file.getpeername() == ("127.0.0.1", 9)
        table.WSPConnect(s, SockaddrOther(AF_UNSPEC, bytes(14)))
        with pytest.raises(OSError, match="not connected"):
            file.getpeername()


def test_ipv6_goes_with_its_own_numbers() -> None:
    from winsock.testing.pairs import has_ipv6

    if not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with host.create_server(("::1", 0), family=host.AF_INET6) as listener, host.socket(host.AF_INET6) as file:
        s, table = adopt(file)
        table.WSPConnect(s, SockaddrIn6("::1", listener.getsockname()[1]))
        assert table.WSPGetPeerName(s) == listener.getsockname()


def test_datagrams_and_lists_of_buffers() -> None:
    with host.socket(type=host.SOCK_DGRAM) as one, host.socket(type=host.SOCK_DGRAM) as other:
        for file in (one, other):
            file.bind(("127.0.0.1", 0))
        (sender, table), (receiver, _) = adopt(one), adopt(other)
        target = table.WSPGetSockName(receiver)
        assert table.WSPSendTo(sender, [b"ab", b"", bytearray(b"cdef")], 0, target) == 6
        first, second = bytearray(4), bytearray(4)
        assert table.WSPIoctl(receiver, FIONREAD, None, 4) == b"\6\0\0\0"
        assert table.WSPRecvFrom(receiver, [first, bytearray(), second]) == (6, 0, one.getsockname())
        assert (bytes(first), bytes(second)) == (b"abcd", b"ef\0\0")
        table.WSPSendTo(sender, [b"too long"], 0, target)
        with refused(WSAEMSGSIZE) as caught:
            table.WSPRecvFrom(receiver, [first])
        assert (bytes(first), caught.value.count, caught.value.address) == (b"too ", 4, one.getsockname())
        other.setblocking(False)
        with refused(WSAEWOULDBLOCK):
            table.WSPRecv(receiver, [first], MSG_PEEK)
        with refused(WSAEOPNOTSUPP):
            table.WSPIoctl(sender, SIO_UDP_CONNRESET, b"\0")
        with refused(10039):
            table.WSPSend(sender, [b"x"])


def test_options_are_set_where_the_program_asks_for_it() -> None:
    with host.socket() as file:
        s, table = adopt(file)
        for optname, value in ((SO_KEEPALIVE, 1), (SO_LINGER, Linger(1, 4)), (SO_OOBINLINE, 1), (SO_REUSEADDR, 1)):
            table.WSPSetSockOpt(s, SOL_SOCKET, optname, value)
            assert table.WSPGetSockOpt(s, SOL_SOCKET, optname) == value
        assert file.getsockopt(host.SOL_SOCKET, host.SO_REUSEPORT) == 1
        assert file.getsockopt(host.SOL_SOCKET, host.SO_REUSEADDR) == 0
        table.WSPSetSockOpt(s, SOL_SOCKET, SO_DONTLINGER, 1)
        assert table.WSPGetSockOpt(s, SOL_SOCKET, SO_LINGER) == Linger(0, 4)
        table.WSPSetSockOpt(s, SOL_SOCKET, SO_DEBUG, 1)
        assert table.WSPGetSockOpt(s, SOL_SOCKET, SO_DEBUG) == 0
        assert table.WSPGetSockOpt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE) == 0
        with refused(WSAENOPROTOOPT):
            table.WSPSetSockOpt(s, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
        table.WSPSetSockOpt(s, IPPROTO_TCP, TCP_MAXRT, 7)
        assert file.getsockopt(host.IPPROTO_TCP, host.TCP_USER_TIMEOUT) == 7000


def test_options_of_streams_are_as_the_kernel_has_them_for_datagrams() -> None:
    with host.socket(type=host.SOCK_DGRAM) as file:
        s, table = adopt(file)
        for optname, value in ((SO_LINGER, Linger(1, 4)), (SO_OOBINLINE, 1)):
            table.WSPSetSockOpt(s, SOL_SOCKET, optname, value)
            assert table.WSPGetSockOpt(s, SOL_SOCKET, optname) == value


def test_the_counters_are_there_too() -> None:
    with host.create_server(("127.0.0.1", 0)) as listener, host.create_connection(listener.getsockname()) as file:
        s, table = adopt(file)
        assert len(table.WSPIoctl(s, SIO_TCP_INFO, bytes(4), 88)) == 88


def test_a_condition_cannot_give_a_connection_back() -> None:
    with host.create_server(("127.0.0.1", 0)) as file:
        s, table = adopt(file)
        with refused(WSAEOPNOTSUPP, "condition"):
            table.WSPAccept(s, lambda *_: 0)


def test_accepting_without_a_connection() -> None:
    with host.create_server(("127.0.0.1", 0)) as file:
        file.setblocking(False)
        s, table = adopt(file)
        with refused(WSAEWOULDBLOCK) as caught:
            table.WSPAccept(s)
        assert caught.value.errno == errno.EAGAIN


def test_a_number_that_was_ours_is_adopted_as_a_strangers() -> None:
    table = loader.open_chain(loader.catalog().match(AF_INET, SOCK_STREAM, 0)).table
    s = table.WSPSocket(AF_INET, SOCK_STREAM, 0)
    os.close(s)
    with host.socket() as file:
        assert file.fileno() == s
        adopted, table = adopt(file)
        assert adopted == s
        assert s not in own.SOCKETS
        assert table.WSPGetSockName(s) == SockaddrIn("0.0.0.0", 0)
        handles.release(s)
        assert s not in records
        assert file.getsockname() == ("0.0.0.0", 0), "the file was closed"


def test_a_number_that_is_not_open() -> None:
    table = loader.open_chain(loader.catalog().match(AF_INET, SOCK_DGRAM, 0)).table
    nothing = 999_999
    for call in (
        lambda: table.WSPBind(nothing, SockaddrIn("127.0.0.1", 0)),
        lambda: table.WSPConnect(nothing, SockaddrIn("127.0.0.1", 9)),
        lambda: table.WSPListen(nothing, 1),
        lambda: table.WSPShutdown(nothing, SD_SEND),
        lambda: table.WSPGetSockName(nothing),
        lambda: table.WSPGetSockOpt(nothing, SOL_SOCKET, SO_KEEPALIVE),
        lambda: table.WSPSend(nothing, [b"x"]),
        lambda: table.WSPRecv(nothing, [bytearray(1)]),
        lambda: table.WSPIoctl(nothing, FIONREAD, None, 4),
        lambda: table.WSPSelect(0, [nothing], None, None, 0),
        lambda: table.WSPCloseSocket(nothing),
    ):
        with refused(WSAENOTSOCK):
            call()
