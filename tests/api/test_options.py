"""Options and control codes (OPT, SO, IOC, IC)."""

from __future__ import annotations

import ctypes
import errno
import os
import socket as host
import struct
import threading
import time

import pytest

from tests.refusals import code_of, refused
from winsock.abi import constants
from winsock.abi import options as rows
from winsock.abi.constants import (
    AF_INET,
    AF_INET6,
    FIONBIO,
    FIONREAD,
    HV_PROTOCOL_RAW,
    INVALID_SOCKET,
    IP_DONTFRAGMENT,
    IP_HDRINCL,
    IP_MTU,
    IP_MTU_DISCOVER,
    IP_MULTICAST_TTL,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPV6_UNICAST_HOPS,
    SIO_BASE_HANDLE,
    SIO_KEEPALIVE_VALS,
    SIO_ROUTING_INTERFACE_QUERY,
    SIO_TCP_INFO,
    SIO_UDP_CONNRESET,
    SIOCATMARK,
    SO_ACCEPTCONN,
    SO_BROADCAST,
    SO_CONNECT_TIME,
    SO_DEBUG,
    SO_DONTLINGER,
    SO_DONTROUTE,
    SO_ERROR,
    SO_EXCLUSIVEADDRUSE,
    SO_GROUP_ID,
    SO_GROUP_PRIORITY,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_MAX_MSG_SIZE,
    SO_OOBINLINE,
    SO_OPENTYPE,
    SO_RCVBUF,
    SO_RCVTIMEO,
    SO_REUSEADDR,
    SO_SNDTIMEO,
    SO_TYPE,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_KEEPALIVE,
    TCP_KEEPCNT,
    TCP_KEEPINTVL,
    TCP_MAXRT,
    TCP_NODELAY,
)
from winsock.abi.errors import (
    WSAECONNREFUSED,
    WSAEFAULT,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENETRESET,
    WSAENOPROTOOPT,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAETIMEDOUT,
    ErrorCode,
)
from winsock.abi.options import Linger
from winsock.abi.sockaddr import SockaddrIn, unpack
from winsock.api import options, sockets, transfer, waiting
from winsock.base.inet import tcp_info
from winsock.testing import World
from winsock.testing.pairs import has_ipv6

_SO_ATTACH_FILTER = 26


def test_defaults_opt_020_opt_021_so_26(world: World) -> None:
    s = world.stream()
    for optname in (
        SO_ACCEPTCONN, SO_BROADCAST, SO_REUSEADDR, SO_OOBINLINE, SO_ERROR, SO_DEBUG, SO_KEEPALIVE, SO_DONTROUTE,
        SO_EXCLUSIVEADDRUSE, SO_GROUP_ID, SO_GROUP_PRIORITY, SO_RCVTIMEO, SO_SNDTIMEO,
    ):  # fmt: skip
        assert options.getsockopt(s, SOL_SOCKET, optname) == 0
    assert options.getsockopt(s, SOL_SOCKET, SO_DONTLINGER) == 1
    assert options.getsockopt(s, SOL_SOCKET, SO_LINGER) == Linger(0, 0)


@pytest.mark.parametrize("level", [SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP])
def test_options_that_there_are_not_so_08_opt_006(world: World, level: int) -> None:
    s = world.stream()
    with refused(WSAENOPROTOOPT):
        options.getsockopt(s, level, -1)
    with refused(WSAENOPROTOOPT):
        options.setsockopt(s, level, -1, 0)


def test_levels_that_there_are_not_opt_006(world: World) -> None:
    with refused(WSAEINVAL, "level"):
        options.getsockopt(world.stream(), 0x1234, SO_TYPE)


@pytest.mark.parametrize("value", [None, "text", object(), ()])
def test_values_that_are_none_so_07(world: World, value: object) -> None:
    for optname in (SO_KEEPALIVE, SO_LINGER, SO_RCVTIMEO, SO_REUSEADDR, SO_OPENTYPE):
        with refused(WSAEFAULT):
            options.setsockopt(world.stream(), SOL_SOCKET, optname, value)  # type: ignore[arg-type]


def test_numbers_that_do_not_fit_opt_006(world: World) -> None:
    s = world.stream()
    with refused(WSAEINVAL):
        options.setsockopt(s, SOL_SOCKET, SO_RCVBUF, 1 << 40)
    with refused(WSAEINVAL):
        options.setsockopt(s, SOL_SOCKET, SO_LINGER, (1, 70000))


@pytest.mark.parametrize("value", [(0, 0), (0, 73), (1, 0), (5, 189)])
def test_linger_so_09_opt_007_opt_028(world: World, value: tuple[int, int]) -> None:
    s = world.stream()
    options.setsockopt(s, SOL_SOCKET, SO_LINGER, value)
    assert options.getsockopt(s, SOL_SOCKET, SO_LINGER) == Linger(int(value[0] != 0), value[1])
    assert options.getsockopt(s, SOL_SOCKET, SO_DONTLINGER) == int(value[0] == 0)


def test_lingering_again_opt_007_opt_008(world: World) -> None:
    s = world.stream()
    options.setsockopt(s, SOL_SOCKET, SO_LINGER, Linger(1, 7))
    options.setsockopt(s, SOL_SOCKET, SO_DONTLINGER, 1)
    assert options.getsockopt(s, SOL_SOCKET, SO_LINGER) == Linger(0, 7)
    options.setsockopt(s, SOL_SOCKET, SO_DONTLINGER, 0)
    assert options.getsockopt(s, SOL_SOCKET, SO_LINGER) == Linger(1, 7)


def test_windows_bytes_are_taken_so_18(world: World) -> None:
    s = world.stream()
    options.setsockopt(s, SOL_SOCKET, SO_LINGER, struct.pack("<HH", 1, 9))
    assert options.getsockopt(s, SOL_SOCKET, SO_LINGER) == Linger(1, 9)
    options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, struct.pack("<II", 4000, 0))
    assert options.getsockopt(s, SOL_SOCKET, SO_RCVTIMEO) == 4000
    options.setsockopt(s, IPPROTO_TCP, TCP_NODELAY, b"\1")
    assert options.getsockopt(s, IPPROTO_TCP, TCP_NODELAY) == 1
    with refused(WSAEFAULT):
        options.setsockopt(s, IPPROTO_TCP, TCP_NODELAY, b"")


def test_streams_only_so_10_oob_006(world: World) -> None:
    s = world.datagram()
    for optname in (SO_LINGER, SO_DONTLINGER, SO_OOBINLINE):
        with refused(WSAENOPROTOOPT):
            options.getsockopt(s, SOL_SOCKET, optname)
        with refused(WSAENOPROTOOPT):
            options.setsockopt(s, SOL_SOCKET, optname, 1)


def test_the_error_of_a_socket_so_11_opt_022(world: World) -> None:
    s = world.stream()
    options.ioctlsocket(s, FIONBIO, 1)
    with refused(10035):
        sockets.connect(s, world.closed_port())
    waiting.select(0, None, None, [s], 20)
    error = options.getsockopt(s, SOL_SOCKET, SO_ERROR)
    assert isinstance(error, ErrorCode)
    assert (error, error.name, error.errno) == (WSAECONNREFUSED, "WSAECONNREFUSED", errno.ECONNREFUSED)
    assert options.getsockopt(s, SOL_SOCKET, SO_ERROR) == 0
    options.setsockopt(s, SOL_SOCKET, SO_ERROR, 10013)
    assert options.getsockopt(s, SOL_SOCKET, SO_ERROR) == 10013
    assert options.getsockopt(s, SOL_SOCKET, SO_ERROR) == 0


@pytest.mark.parametrize("optname", [SO_DEBUG, SO_KEEPALIVE, SO_REUSEADDR, SO_EXCLUSIVEADDRUSE, SO_DONTROUTE])
def test_booleans_opt_005_opt_019_so_20_so_26(world: World, optname: int) -> None:
    s = world.stream()
    for value, reads in ((2, 1), (0, 0), (0x100, 1), (True, 1), (False, 0)):
        options.setsockopt(s, SOL_SOCKET, optname, value)
        assert options.getsockopt(s, SOL_SOCKET, optname) == reads  # OPT-005
    for value in (1, 0x100, 0):
        options.setsockopt(s, SOL_SOCKET, optname, struct.pack("<i", value))
        assert options.getsockopt(s, SOL_SOCKET, optname) == int(value != 0)  # OPT-005


def test_what_cannot_be_set_opt_027(world: World) -> None:
    for optname in (SO_ACCEPTCONN, SO_TYPE, SO_GROUP_ID, SO_MAX_MSG_SIZE, SO_CONNECT_TIME):
        with refused(WSAENOPROTOOPT):
            options.setsockopt(world.stream(), SOL_SOCKET, optname, 1)


def test_one_byte_values_so_21(world: World) -> None:
    s = world.datagram()
    for optname in (IP_TTL, IP_TOS, IP_MULTICAST_TTL):
        with refused(WSAEINVAL):
            options.setsockopt(s, IPPROTO_IP, optname, 0x100)
        options.setsockopt(s, IPPROTO_IP, optname, 64)
        assert options.getsockopt(s, IPPROTO_IP, optname) == 64


def test_headers_are_for_raw_sockets_so_22(world: World) -> None:
    with refused(WSAEINVAL):
        options.getsockopt(world.stream(), IPPROTO_IP, IP_HDRINCL)
    with refused(WSAEINVAL):
        options.setsockopt(world.stream(), IPPROTO_IP, IP_HDRINCL, 1)


def test_keep_alive_values_so_25(world: World) -> None:
    s = world.stream()
    for optname, value in ((TCP_KEEPALIVE, 3600), (TCP_KEEPCNT, 5), (TCP_KEEPINTVL, 9), (TCP_MAXRT, 30)):
        options.setsockopt(s, IPPROTO_TCP, optname, value)
        assert options.getsockopt(s, IPPROTO_TCP, optname) == value


def test_connect_time_so_28(world: World) -> None:
    listener, address = world.listener()
    s = world.stream()
    for unconnected in (s, listener, world.datagram(), world.datagrams().client):
        assert options.getsockopt(unconnected, SOL_SOCKET, SO_CONNECT_TIME) == 0xFFFFFFFF
    sockets.connect(s, address)
    assert options.getsockopt(s, SOL_SOCKET, SO_CONNECT_TIME) in range(10)
    assert options.getsockopt(sockets.accept(listener)[0], SOL_SOCKET, SO_CONNECT_TIME) in range(10)


def test_open_type_is_the_threads_so_29_sock_015(world: World) -> None:
    options.setsockopt(INVALID_SOCKET, SOL_SOCKET, SO_OPENTYPE, 0x20)
    others: list[object] = []
    thread = threading.Thread(
        target=lambda: others.append(options.getsockopt(INVALID_SOCKET, SOL_SOCKET, SO_OPENTYPE)), daemon=True
    )
    thread.start()
    thread.join()
    try:
        assert (options.getsockopt(0, SOL_SOCKET, SO_OPENTYPE), others) == (0x20, [0])
        assert world.stream() > 0
    finally:
        options.setsockopt(INVALID_SOCKET, SOL_SOCKET, SO_OPENTYPE, 0)
    with refused(WSAENOTSOCK):
        options.getsockopt(0, SOL_SOCKET, SO_TYPE)


def test_path_mtu_so_32(world: World) -> None:
    s = world.datagram()
    with refused(WSAENOTCONN):
        options.getsockopt(s, IPPROTO_IP, IP_MTU)
    with refused(WSAEINVAL):
        options.setsockopt(s, IPPROTO_IP, IP_MTU_DISCOVER, 0)
    assert options.getsockopt(s, IPPROTO_IP, IP_MTU_DISCOVER) == 0
    for value in (1, 2, 3):
        options.setsockopt(s, IPPROTO_IP, IP_MTU_DISCOVER, value)
        assert options.getsockopt(s, IPPROTO_IP, IP_MTU_DISCOVER) == value
    options.setsockopt(s, IPPROTO_IP, IP_DONTFRAGMENT, 1)
    assert options.getsockopt(s, IPPROTO_IP, IP_DONTFRAGMENT) == 1
    options.setsockopt(s, IPPROTO_IP, IP_DONTFRAGMENT, 0)
    assert options.getsockopt(s, IPPROTO_IP, IP_DONTFRAGMENT) == 0


def hears_nothing_any_more(s: int) -> None:
    """The host drops whatever comes for the socket, as if its peer were gone."""
    drop_all = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0))  # BPF_RET 0
    with host.socket(fileno=os.dup(s)) as same:
        same.setsockopt(host.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(drop_all)))


def test_who_keep_alive_gives_up_opt_009(world: World) -> None:
    """OPT-009: and who is not answered to data alone is as late as ever."""
    pairs = [world.connected() for _ in range(3)]
    receiving, selecting, sending = (pair.client for pair in pairs)
    for s in (receiving, selecting, sending):
        for optname in (TCP_KEEPALIVE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_MAXRT):
            options.setsockopt(s, IPPROTO_TCP, optname, 1)
        options.setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, int(s != sending))
        hears_nothing_any_more(s)
    transfer.send(sending, b"x")
    with refused(WSAENETRESET):
        transfer.recv(receiving, 1)
    for call in (lambda: transfer.recv(receiving, 1), lambda: transfer.send(receiving, b"x")):
        for _ in range(2):
            assert code_of(call) == WSAENOTCONN
    assert waiting.select(0, [selecting], None, None, 20)[0] == [selecting]
    with refused(WSAENETRESET):
        transfer.send(selecting, b"x")
    assert code_of(lambda: transfer.recv(selecting, 1)) == WSAENOTCONN
    with refused(WSAETIMEDOUT):
        transfer.recv(sending, 1)


def test_dont_route_opt_010(world: World) -> None:
    if not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    with refused(WSAENOPROTOOPT):
        options.setsockopt(sockets.socket(AF_INET6, SOCK_STREAM, 0), SOL_SOCKET, SO_DONTROUTE, 1)


def test_sharing_options_exclude_each_other(world: World) -> None:
    one, other = world.stream(), world.stream()
    options.setsockopt(one, SOL_SOCKET, SO_REUSEADDR, 1)
    with refused(WSAEINVAL):
        options.setsockopt(one, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
    options.setsockopt(other, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
    with refused(WSAEINVAL):
        options.setsockopt(other, SOL_SOCKET, SO_REUSEADDR, 1)


def test_message_sizes_opt_025(world: World) -> None:
    assert options.getsockopt(world.datagram(), SOL_SOCKET, SO_MAX_MSG_SIZE) == 65507
    assert options.getsockopt(world.stream(), SOL_SOCKET, SO_MAX_MSG_SIZE) == 0


def test_multicast_groups_are_joined_and_left(world: World) -> None:
    s = world.datagram()
    group, loopback = bytes([239, 1, 2, 3]), bytes([127, 0, 0, 1])
    options.setsockopt(s, IPPROTO_IP, constants.IP_MULTICAST_IF, loopback)
    assert options.getsockopt(s, IPPROTO_IP, constants.IP_MULTICAST_IF) == loopback
    options.setsockopt(s, IPPROTO_IP, constants.IP_ADD_MEMBERSHIP, group + loopback)
    options.setsockopt(s, IPPROTO_IP, constants.IP_DROP_MEMBERSHIP, group + loopback)
    source = bytes([127, 0, 0, 9])
    options.setsockopt(s, IPPROTO_IP, constants.IP_ADD_SOURCE_MEMBERSHIP, group + source + loopback)
    options.setsockopt(s, IPPROTO_IP, constants.IP_DROP_SOURCE_MEMBERSHIP, group + source + loopback)
    request = struct.pack("<I4x", 1) + SockaddrIn("239.1.2.3", 0).pack().ljust(128, b"\0")
    options.setsockopt(s, IPPROTO_IP, constants.MCAST_JOIN_GROUP, request)
    options.setsockopt(s, IPPROTO_IP, constants.MCAST_LEAVE_GROUP, request)
    with refused(WSAEFAULT):
        options.setsockopt(s, IPPROTO_IP, constants.IP_ADD_MEMBERSHIP, group)


def readable_rows() -> list[rows.Option]:
    return [
        row
        for row in rows.ROWS
        if row.get and row.host != "refused" and row.answered_by != "dispatcher" and row.level != HV_PROTOCOL_RAW
    ]


@pytest.mark.parametrize("row", readable_rows(), ids=lambda row: row.name)
def test_every_row_that_is_not_refused_is_answered_opt_018(world: World, row: rows.Option) -> None:
    """On a connected socket of the right kind; what needs a raw socket says so."""
    family = AF_INET6 if row.level == IPPROTO_IPV6 else AF_INET
    if family == AF_INET6 and not has_ipv6():
        pytest.skip("this host has no IPv6 on loopback")
    world.family = family
    pair = world.datagrams() if row.level in (IPPROTO_UDP, IPPROTO_IP, IPPROTO_IPV6) else world.connected()
    if "raw sockets only" in row.note:
        with refused(WSAEINVAL if row.level == IPPROTO_IP else WSAENOPROTOOPT):
            options.getsockopt(pair.client, row.level, row.optname)
        return
    value = options.getsockopt(pair.client, row.level, row.optname)
    kinds = {"linger": Linger, "error": ErrorCode, "protocol_info": tuple}
    kinds |= dict.fromkeys(("in_addr", "ip_options", "bytes"), bytes)
    assert isinstance(value, kinds.get(row.type, int))
    if row.type == "bool":
        assert value in (0, 1)


@pytest.mark.parametrize("row", [row for row in rows.ROWS if row.host == "refused"], ids=lambda row: row.name)
def test_refused_rows_are_refused(world: World, row: rows.Option) -> None:
    for s in (world.stream(), world.datagram()):
        with refused(row.error):
            options.getsockopt(s, row.level, row.optname)
        with refused(row.error):
            options.setsockopt(s, row.level, row.optname, 1)


# Control codes


def test_blocking_modes_ioc_002_ioc_009(world: World) -> None:
    for s in (world.stream(), world.datagram(), world.listener()[0]):
        assert os.get_blocking(s)  # IOC-002
        assert options.ioctlsocket(s, FIONBIO, 5) == 5
        assert not os.get_blocking(s)  # IOC-002
        assert options.ioctlsocket(s, FIONBIO, 0) == 0
        assert os.get_blocking(s)  # IOC-002


def test_buffers_of_control_codes_ic_03_ic_05(world: World) -> None:
    s = world.stream()
    for code in (FIONREAD, SIOCATMARK):
        with refused(WSAEFAULT):
            options.WSAIoctl(s, code, None, 3)
    with refused(WSAEFAULT):
        options.WSAIoctl(s, FIONBIO, b"\1\0\0")
    assert options.WSAIoctl(s, FIONBIO, b"\0\0\0\0\1", 100) == b""
    assert os.get_blocking(s)
    with refused(WSAEFAULT, "argument"):
        options.ioctlsocket(s, FIONBIO, -1)


def test_readable_bytes_ic_06_ioc_004_ioc_009(world: World) -> None:
    unbound, (listener, _) = world.stream(), world.listener()
    for s in (unbound, listener):
        assert options.ioctlsocket(s, FIONREAD) == 0
        assert options.ioctlsocket(s, SIOCATMARK) == 1
    client, server = world.connected()
    transfer.send(client, b"12345")
    waiting.select(0, [server], None, None, 20)
    assert options.ioctlsocket(server, FIONREAD) == 5


def test_an_option_of_another_family_is_none_opt_006(world: World) -> None:
    for s in (world.stream(), world.datagram()):
        with refused(WSAENOPROTOOPT, "IPV6_UNICAST_HOPS"):
            options.getsockopt(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS)


def test_codes_that_there_are_not_ioc_008(world: World) -> None:
    with refused(WSAEOPNOTSUPP, "code"):
        options.WSAIoctl(world.stream(), 0x12345678)
    for s, code in ((world.datagram(), SIOCATMARK), (world.stream(), SIO_UDP_CONNRESET)):
        with refused(WSAENOPROTOOPT):
            options.WSAIoctl(s, code, b"\0\0\0\0", 4)


def test_the_base_handle(world: World) -> None:
    s = world.stream()
    assert options.WSAIoctl(s, SIO_BASE_HANDLE, None, 8) == s.to_bytes(8, "little")


@pytest.mark.parametrize(("on", "idle_ms", "interval_ms"), [(1, 10_000, 1000), (1, 0, 0), (0, 5000, 5000), (1, 1, 1)])
def test_keep_alive_in_one_call_ic_16(world: World, on: int, idle_ms: int, interval_ms: int) -> None:
    s = world.stream()
    assert options.WSAIoctl(s, SIO_KEEPALIVE_VALS, struct.pack("<3I", on, idle_ms, interval_ms)) == b""
    assert options.getsockopt(s, SOL_SOCKET, SO_KEEPALIVE) == on
    if on:
        assert options.getsockopt(s, IPPROTO_TCP, TCP_KEEPALIVE) == max(1, idle_ms // 1000)


def test_the_way_to_loopback_is_loopback_ic_18(world: World) -> None:
    s = world.stream()
    answer = options.WSAIoctl(s, SIO_ROUTING_INTERFACE_QUERY, SockaddrIn("127.0.0.1", 80).pack(), 16)
    assert answer is not None
    assert unpack(answer) == SockaddrIn("127.0.0.1", 0)
    with refused(WSAEFAULT):
        options.WSAIoctl(s, SIO_ROUTING_INTERFACE_QUERY, SockaddrIn("127.0.0.1", 80).pack(), 15)


def counters(s: int) -> tuple[int, ...]:
    data = options.WSAIoctl(s, SIO_TCP_INFO, bytes(4), 88)
    assert data is not None
    return tcp_info.LAYOUT.unpack(data)


def test_the_counters_of_a_connection(world: World) -> None:
    client, server = world.connected()
    transfer.send(client, bytes(1000))
    assert transfer.recv(server, 1000, constants.MSG_WAITALL) == bytes(1000)
    state, mss, age_ms, *_ = counters(client)
    assert (state, mss > 500, age_ms < 60_000) == (4, True, True)
    assert (counters(client)[11], counters(server)[12]) == (1000, 1000)
    sockets.shutdown(client, constants.SD_SEND)
    assert transfer.recv(server, 1) == b""
    assert counters(server)[0] == 7, "CLOSE_WAIT"
    assert counters(server)[12] == 1000, "the end of the stream is no byte"
    assert counters(world.listener()[0])[0] == 1, "LISTEN"
    with refused(WSAEINVAL, "version 0"):
        options.WSAIoctl(client, SIO_TCP_INFO, b"\1\0\0\0", 88)
    for version in (None, bytes(3), bytes(8)):
        with refused(WSAEMSGSIZE, "in_buffer"):
            options.WSAIoctl(client, SIO_TCP_INFO, version, 88)
    for room in (0, 87):
        with refused(WSAEINVAL, "out_size") as caught:
            options.WSAIoctl(client, SIO_TCP_INFO, bytes(4), room)
        assert caught.value.count == 0
    with refused(WSAENOPROTOOPT):
        options.WSAIoctl(world.datagram(), SIO_TCP_INFO, bytes(4), 88)


def test_a_time_out_that_never_ends_so_03(world: World) -> None:
    s = world.datagram()
    options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, 0xFFFFFFFF)
    assert options.getsockopt(s, SOL_SOCKET, SO_RCVTIMEO) == 0
    options.setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, 30)
    started = time.monotonic()
    with refused(10060):
        transfer.recv(s, 1)
    assert time.monotonic() - started >= 0.02
