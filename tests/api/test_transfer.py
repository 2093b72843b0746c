"""Sending and receiving (IO, OOB, UD, SO, OV)."""

from __future__ import annotations

import errno
import os
import signal
import socket as host
import threading
from collections.abc import Callable

import pytest

from tests.refusals import code_of, refused
from winsock.abi.constants import (
    AF_INET,
    FIONBIO,
    FIONREAD,
    MSG_DONTROUTE,
    MSG_OOB,
    MSG_PARTIAL,
    MSG_PEEK,
    MSG_WAITALL,
    POLLERR,
    POLLHUP,
    SD_SEND,
    SIO_UDP_CONNRESET,
    SIOCATMARK,
    SO_ERROR,
    SO_MAX_MSG_SIZE,
    SO_OOBINLINE,
    SO_SNDTIMEO,
    SOCK_DGRAM,
    SOL_SOCKET,
)
from winsock.abi.errors import (
    WSAEADDRNOTAVAIL,
    WSAECONNRESET,
    WSAEDESTADDRREQ,
    WSAEFAULT,
    WSAEINVAL,
    WSAEMSGSIZE,
    WSAENOTCONN,
    WSAENOTSOCK,
    WSAEOPNOTSUPP,
    WSAETIMEDOUT,
    WSAEWOULDBLOCK,
)
from winsock.abi.sockaddr import SockaddrIn
from winsock.api import options, sockets, startup, transfer, waiting
from winsock.base.inet import own
from winsock.spi.urgent import MARKING
from winsock.testing import World

UNKNOWN_FLAG = 0x4000


def readable(s: int) -> None:
    assert waiting.select(0, [s], None, None, 20)[0] == [s]


def test_receiving_unbound_io_001_io_010_ud_05(world: World) -> None:
    with refused(WSAEINVAL, "not bound"):
        transfer.recv(world.stream(), 1)
    datagram = sockets.socket(AF_INET, SOCK_DGRAM, 0)
    for call in (transfer.recv, transfer.recvfrom):
        with refused(WSAEINVAL, "not bound"):
            call(datagram, 1)
    sockets.bind(datagram, world.anywhere)
    options.ioctlsocket(datagram, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        transfer.recv(datagram, 1)


def test_sending_where_nobody_is_io_028_io_032(world: World) -> None:
    with refused(WSAENOTCONN):
        transfer.send(world.stream(), b"x")
    datagram = world.datagram()
    with refused(WSAENOTCONN):
        transfer.send(datagram, b"x")
    with refused(WSAEDESTADDRREQ):
        transfer.sendto(datagram, b"x", 0, None)


def test_sending_before_the_connection_is_there(world: World) -> None:
    from tests.api.test_sockets import pending

    _, s = pending(world)
    with refused(WSAENOTCONN, "yet"):
        transfer.send(s, b"x")


def test_buffers_are_filled_in_order_io_003_ov_52(world: World) -> None:
    client, server = world.connected()
    transfer.send(client, b"abcdef")
    readable(server)
    first, empty, last = bytearray(2), bytearray(), bytearray(b"........")
    assert transfer.WSARecv(server, [first, empty, last]) == (6, 0)
    assert (bytes(first), bytes(last)) == (b"ab", b"cdef....")  # IO-003


def test_any_buffer_will_do_io_013(world: World) -> None:
    from array import array

    client, server = world.connected()
    numbers = array("i", [1, 2, 3])
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"view"), numbers, memoryview(numbers)):
        size = memoryview(data).nbytes
        assert transfer.send(client, data) == size  # type: ignore[arg-type]
        assert transfer.recv(server, size, MSG_WAITALL) == bytes(data)


def test_no_buffers_are_an_error_ov_06(world: World) -> None:
    client, server = world.connected()
    with refused(WSAEINVAL, "buffers"):
        transfer.WSARecv(server, [])
    with refused(WSAEINVAL, "buffers"):
        transfer.WSASend(client, [])
    with refused(WSAEFAULT):
        transfer.WSARecv(server, [b"constant"])  # type: ignore[list-item]
    with refused(WSAEFAULT):
        transfer.WSASend(client, [b"x", None])  # type: ignore[list-item]
    with refused(WSAEFAULT):
        transfer.recvfrom(server, -1)


def test_nothing_is_sent_and_received_io_012_io_011_ud_12(world: World) -> None:
    client, server = world.connected()
    assert transfer.send(client, b"") == 0
    options.ioctlsocket(server, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        transfer.recv(server, 1)
    one, other = world.datagrams()
    assert transfer.send(one, b"") == 0
    assert transfer.recvfrom(other, 10) == (b"", sockets.getsockname(one))
    with refused(WSAENOTSOCK):
        transfer.sendto(0, b"", 0, sockets.getsockname(one))


def test_too_long_datagrams_are_cut_io_005_io_019(world: World) -> None:
    one, other = world.datagrams()
    for receive in (lambda: transfer.recv(other, 3), lambda: transfer.recvfrom(other, 3)):
        transfer.send(one, b"12345")
        with refused(WSAEMSGSIZE, "3 bytes") as caught:
            receive()
        assert (caught.value.count, caught.value.flags, caught.value.data) == (3, MSG_PARTIAL, b"123")
        assert caught.value.address == sockets.getsockname(one)
    transfer.send(one, b"12345")
    first, second = bytearray(2), bytearray(2)
    with refused(WSAEMSGSIZE):
        transfer.WSARecv(other, [first, second])
    assert (bytes(first), bytes(second)) == (b"12", b"34")


def test_a_part_of_a_message_io_020(world: World) -> None:
    one, other = world.datagrams()
    transfer.send(one, b"12345")
    buffer = bytearray(3)
    assert transfer.WSARecvFrom(other, [buffer], MSG_PARTIAL) == (3, MSG_PARTIAL, sockets.getsockname(one))


def test_messages_that_no_datagram_holds_io_025(world: World) -> None:
    one, other = world.datagrams()
    most = options.getsockopt(one, SOL_SOCKET, SO_MAX_MSG_SIZE)
    assert isinstance(most, int)
    for size in (most + 1, 70000):
        with refused(WSAEMSGSIZE):
            transfer.send(one, bytes(size))
        with refused(WSAEMSGSIZE):
            transfer.sendto(one, bytes(size), 0, sockets.getsockname(other))
    assert options.ioctlsocket(other, FIONREAD) == 0
    assert transfer.send(one, bytes(most)) == most


def test_no_partial_sends_io_027(world: World) -> None:
    for s in (world.connected().client, world.datagrams().client):
        with refused(WSAEOPNOTSUPP, "MSG_PARTIAL"):
            transfer.send(s, b"x", MSG_PARTIAL)


def test_flags_that_there_are_not_io_010(world: World) -> None:
    client, server = world.connected()
    with refused(WSAEINVAL, "flags"):
        transfer.send(client, b"x", UNKNOWN_FLAG)
    with refused(WSAEINVAL, "flags"):
        transfer.recv(server, 1, UNKNOWN_FLAG)
    assert transfer.send(client, b"x", MSG_DONTROUTE) == 1  # IO-029


def test_peeking_leaves_the_data_io_009(world: World) -> None:
    client, server = world.connected()
    transfer.send(client, b"once")
    readable(server)
    assert transfer.recv(server, 4, MSG_PEEK) == b"once"
    assert transfer.recv(server, 4) == b"once"


def test_waiting_for_all_io_008(world: World) -> None:
    client, server = world.connected()
    for part in (b"a", b"b", b"c"):
        transfer.send(client, part)
    assert transfer.recv(server, 3, MSG_WAITALL) == b"abc"
    for other in (MSG_OOB, MSG_PEEK, MSG_PARTIAL):
        with refused(WSAEOPNOTSUPP, "MSG_WAITALL"):
            transfer.recv(server, 3, MSG_WAITALL | other)
    with refused(WSAEOPNOTSUPP, "MSG_WAITALL"):
        transfer.recv(world.datagram(), 3, MSG_WAITALL)
    options.ioctlsocket(server, FIONBIO, 1)
    with refused(WSAEOPNOTSUPP, "MSG_WAITALL"):
        transfer.recv(server, 3, MSG_WAITALL)


def test_a_stream_ignores_addresses_io_021_io_031(world: World) -> None:
    client, server = world.connected()
    assert transfer.sendto(client, b"x", 0, ("192.0.2.1", 9)) == 1
    assert transfer.recvfrom(server, 1) == (b"x", None)


def test_an_address_overrides_the_peer_for_once_io_030(world: World) -> None:
    one, peer = world.datagrams()
    third = world.datagram()
    transfer.sendto(one, b"third", 0, sockets.getsockname(third))
    transfer.send(one, b"peer")
    assert transfer.recv(third, 10) == b"third"
    assert transfer.recv(peer, 10) == b"peer"


def test_port_zero_takes_everything_ud_10(world: World) -> None:
    assert transfer.sendto(world.datagram(), b"four", 0, ("127.0.0.1", 0)) == 4


def test_an_unreachable_port_fails_the_receive_io_023_ud_09(world: World) -> None:
    s, gone = world.datagrams()
    sockets.closesocket(gone)
    for _ in range(3):
        assert transfer.send(s, b"anybody?") == 8
        assert waiting.select(0, None, [s], None, 10)[1] == [s]
    assert waiting.select(0, [s], None, None, 20)[0] == [s]
    with refused(WSAECONNRESET):
        transfer.recv(s, 1)


def test_asking_for_the_readable_bytes_takes_no_reset_away(world: World) -> None:
    s, gone = world.datagrams()
    sockets.closesocket(gone)
    transfer.send(s, b"anybody?")
    assert waiting.select(0, [s], None, None, 20)[0] == [s]
    assert options.ioctlsocket(s, FIONREAD) == 0
    assert waiting.select(0, [s], None, None, 0)[0] == [s]
    with refused(WSAECONNRESET):
        transfer.recv(s, 1)
    options.WSAIoctl(s, SIO_UDP_CONNRESET, b"\0\0\0\0")
    transfer.send(s, b"anybody?")
    assert options.ioctlsocket(s, FIONREAD) == 0
    assert waiting.select(0, [s], None, None, 0)[0] == []


def test_unreachable_ports_may_be_ignored(world: World) -> None:
    s, gone = world.datagrams()
    sockets.closesocket(gone)
    options.WSAIoctl(s, SIO_UDP_CONNRESET, b"\0\0\0\0")
    options.ioctlsocket(s, FIONBIO, 1)
    assert [transfer.send(s, b"anybody?") for _ in range(2)] == [8, 8]
    with refused(WSAEWOULDBLOCK):
        transfer.recv(s, 1)


def test_a_nonblocking_send_takes_a_part_io_024(world: World) -> None:
    client, server = world.connected()
    options.ioctlsocket(client, FIONBIO, 1)
    block = bytes(1 << 20)
    sent = 0
    while code_of(lambda: transfer.send(client, block)) == 0:
        sent += 1
    with refused(WSAEWOULDBLOCK) as caught:
        transfer.send(client, block)
    assert caught.value.errno == errno.EAGAIN
    assert waiting.select(0, None, [client], None, 0) == ([], [], [])
    received = 0
    while waiting.select(0, [server], None, None, 0.2)[0]:
        received += len(transfer.recv(server, 1 << 20))
    assert received > 0


def test_a_blocking_send_that_is_interrupted_sends_the_rest_io_024(world: World) -> None:
    client, server = world.connected()
    block = bytes(range(256)) * 16384
    received = bytearray()
    ticks: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, _: ticks.append(number))

    def take() -> None:
        while len(received) < len(block):
            received.extend(transfer.recv(server, 100000))
            if len(received) < len(block) // 2 and len(ticks) < 50:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        assert transfer.send(client, block) == len(block)
    finally:
        thread.join(60)
        signal.signal(signal.SIGUSR1, previous)
    assert received == block
    assert ticks


def test_send_time_out_io_015_opt_001(world: World) -> None:
    client, _ = world.connected()
    options.setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, 20)
    block = bytes(8 << 20)
    assert 0 < transfer.send(client, block) < len(block)

    def fill() -> None:
        while True:  # until the kernel at the other end takes no more
            transfer.send(client, block)

    with refused(WSAETIMEDOUT) as caught:
        fill()
    assert caught.value.errno == errno.EAGAIN


def test_a_reset_connection_close_009_ov_13(world: World) -> None:
    listener, address = world.listener()
    client = host.create_connection(address)  # type: ignore[arg-type]
    server, _ = sockets.accept(listener)
    client.setsockopt(host.SOL_SOCKET, host.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    readable(server)
    with refused(WSAECONNRESET):
        transfer.recv(server, 1)
    with refused(WSAECONNRESET):
        transfer.send(server, b"x")
    with refused(WSAECONNRESET):
        transfer.WSASend(server, [b"x", b"y"])
    for _ in range(2):
        with refused(WSAECONNRESET):  # IO-006: no graceful end, ever
            transfer.recv(server, 1)


@pytest.mark.parametrize("unread", [b"", b"before"])
@pytest.mark.parametrize("finds_out", ["a send", "SO_ERROR"])
def test_who_finds_a_reset_ends_nothing_gracefully_io_006(world: World, finds_out: str, unread: bytes) -> None:
    """The kernel tells it once, and then the end of the stream; what had come before can be received."""
    listener, address = world.listener()
    client = host.create_connection(address)  # type: ignore[arg-type]
    server, _ = sockets.accept(listener)
    client.sendall(unread)
    client.setsockopt(host.SOL_SOCKET, host.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert waiting.WSAPoll([(server, 0)], 20_000) == [(server, POLLHUP | POLLERR)]
    if finds_out == "a send":
        with refused(WSAECONNRESET):
            transfer.send(server, b"x")
    else:
        assert options.getsockopt(server, SOL_SOCKET, SO_ERROR) == WSAECONNRESET
    assert waiting.WSAPoll([(server, 0)], 0) == [(server, POLLHUP | POLLERR)]
    assert transfer.recv(server, 0) == b""
    if unread:
        assert transfer.recv(server, 99) == unread
    for flags in (0, 0, MSG_PEEK, MSG_WAITALL):
        with refused(WSAECONNRESET):
            transfer.recv(server, 9, flags)
    with refused(WSAECONNRESET):
        transfer.WSARecv(server, [bytearray(1), bytearray(1)])
    with refused(WSAECONNRESET):
        transfer.send(server, b"x")


def test_no_signal_for_a_broken_stream(world: World) -> None:
    previous = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        client, server = world.connected()
        sockets.closesocket(server)
        assert code_of(lambda: [transfer.send(client, b"x") for _ in range(1000)]) == WSAECONNRESET
    finally:
        signal.signal(signal.SIGPIPE, previous)


def test_urgent_data_oob_003_oob_005_oob_011_oob_012(world: World) -> None:
    client, server = world.connected()
    transfer.send(client, b"normal")
    assert transfer.send(client, b"!", MSG_OOB) == 1
    assert waiting.select(0, None, None, [server], 20) == ([], [], [server])  # OOB-010, EVT-024
    assert options.ioctlsocket(server, SIOCATMARK) == 0  # OOB-001
    assert transfer.recv(server, 1, MSG_OOB) == b"!"
    assert transfer.recv(server, 100) == b"normal"
    datagram = world.datagrams().client
    with refused(WSAEOPNOTSUPP, "MSG_OOB"):
        transfer.recv(datagram, 1, MSG_OOB)
    with refused(WSAEOPNOTSUPP, "MSG_OOB"):
        transfer.send(datagram, b"!", MSG_OOB)


def test_urgent_data_in_line_oob_014_oob_015_se_13(world: World) -> None:
    client, server = world.connected()
    options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
    transfer.send(client, b"!", MSG_OOB)
    readable(server)
    assert waiting.select(0, [server], None, [server], 0) == ([server], [], [])
    with refused(WSAEINVAL):
        transfer.recv(server, 1, MSG_OOB)
    assert transfer.recv(server, 1) == b"!"
    options.ioctlsocket(server, FIONBIO, 1)
    with refused(WSAEWOULDBLOCK):
        transfer.recv(server, 1)


@pytest.mark.parametrize("adopted", [False, True])
def test_a_receive_that_tells_an_urgent_byte_brings_it_alone_oob_015(world: World, adopted: bool) -> None:
    client, server = world.connected()
    options.setsockopt(server, SOL_SOCKET, SO_OOBINLINE, 1)
    if adopted:
        own.forget(server)
    MARKING.add(server)
    for data, flags in ((b"before", 0), (b"!", MSG_OOB), (b"after", 0), (b"?", MSG_OOB)):
        transfer.send(client, data, flags)
    sockets.shutdown(client, SD_SEND)
    told = []
    while True:
        buffers = [bytearray(), bytearray(2), bytearray(10)]
        count, flags = transfer.WSARecv(server, buffers) or (0, 0)
        told.append((b"".join(buffers)[:count], flags))
        if not count:
            break
    # the kernel has one mark: what was urgent before another is no more
    assert told == [(b"before!after", 0), (b"?", MSG_OOB), (b"", 0)]
    sockets.closesocket(server)
    assert server not in MARKING


def test_errors_are_the_last_error_err_002(world: World) -> None:
    client = world.stream()
    calls: list[tuple[Callable[[], object], int]] = [
        (lambda: transfer.send(client, b"x"), WSAENOTCONN),
        (lambda: transfer.recv(client, 1), WSAEINVAL),
        (lambda: transfer.sendto(world.datagram(), b"x", 0, None), WSAEDESTADDRREQ),
        (lambda: transfer.recvfrom(world.datagram(), -1), WSAEFAULT),
        (lambda: transfer.send(9999, b"x"), WSAENOTSOCK),
        (lambda: transfer.WSASend(client, []), WSAEINVAL),
    ]
    for call, code in calls:
        startup.WSASetLastError(0)
        assert code_of(call) == code
        assert startup.WSAGetLastError() == code  # ERR-002


def test_a_process_wide_time_out_is_none_of_ours(world: World) -> None:
    host.setdefaulttimeout(0.01)
    try:
        client, server = world.connected()
    finally:
        host.setdefaulttimeout(None)
    for s in (client, server):
        assert own.SOCKETS[s].host_object().gettimeout() is None
        assert os.get_blocking(s)


def test_overlapped_operations_are_not_there_yet(world: World, open_type: int) -> None:
    """A socket without the attribute ignores the structure, as documented: the call is done when it returns."""
    client, server = world.connected()
    if open_type:
        assert transfer.WSASend(client, [b"x"], 0, object()) == 1
        assert transfer.WSARecv(server, [bytearray(2)], 0, object()) == (1, 0)
        assert options.WSAIoctl(client, SIOCATMARK, None, 4, object()) == bytes((1, 0, 0, 0))
        return
    with refused(WSAEOPNOTSUPP, "overlapped"):
        transfer.WSASend(client, [b"x"], 0, object())
    with refused(WSAEOPNOTSUPP, "overlapped"):
        transfer.WSARecv(server, [bytearray(1)], 0, object())
    with refused(WSAEOPNOTSUPP, "overlapped"):
        options.WSAIoctl(client, SIOCATMARK, None, 4, object())


@pytest.mark.parametrize("size", [1, 64, 65536])
def test_what_recv_answers_is_bytes(world: World, size: int) -> None:
    client, server = world.connected()
    transfer.send(client, b"x")
    data = transfer.recv(server, size)
    assert type(data) is bytes
    assert data == b"x"


def test_many_buffers_to_an_address_and_from_one(world: World) -> None:
    one, other = world.datagram(), world.datagram()
    assert transfer.WSASendTo(one, [b"ab", b"cd"], 0, sockets.getsockname(other)) == 4
    first, second = bytearray(3), bytearray(3)
    assert transfer.WSARecvFrom(other, [first, second]) == (4, 0, sockets.getsockname(one))
    assert (bytes(first), bytes(second)) == (b"abc", b"d\0\0")
    with refused(WSAEDESTADDRREQ):
        transfer.WSASendTo(one, [b"x"])
    sockets.connect(one, sockets.getsockname(other))
    assert transfer.WSASendTo(one, [b"x"]) == 1


def test_nobody_has_the_address_of_zeros(world: World) -> None:
    """It is sent to as little as connected to (nf-winsock2-sendto); the kernel takes it for this host's."""
    s, receiver = world.datagram(), world.datagram()
    port = sockets.getsockname(receiver).port  # type: ignore[union-attr]
    with refused(WSAEADDRNOTAVAIL):
        transfer.sendto(s, b"x", 0, ("0.0.0.0", port))
    with refused(WSAEADDRNOTAVAIL):
        transfer.WSASendTo(s, [b"x"], 0, SockaddrIn("0.0.0.0", port))
    sockets.connect(s, sockets.getsockname(receiver))
    sockets.connect(s, SockaddrIn("0.0.0.0", port))
    with refused(WSAENOTCONN):
        sockets.getpeername(s)
