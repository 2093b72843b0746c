"""The words of NETLINK_SOCK_DIAG, made by hand and as this kernel says them."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from tests.supervisor.notices.diag_messages import HERE, attribute, cookie_of, message, socket_id, tcp_info
from winsock.abi.sockaddr import SockaddrIn, SockaddrIn6
from winsock.supervisor.notices import sockdiag
from winsock.supervisor.notices.sockdiag import Message


def read(data: bytes) -> Message:
    [(kind, start, end)] = sockdiag.split(data, len(data))
    assert kind == sockdiag.SOCK_DIAG_BY_FAMILY
    return sockdiag.unpack(data, start, end)


def test_a_message_says_who_and_how_much() -> None:
    info = tcp_info(
        last_ack=9, rtt=50, retransmits=2, acked=11, received=12, segments_in=3, segments_out=4, delivered=5
    )
    data = message(
        socket.AF_INET,
        socket_id(HERE, 8080, bytes([10, 0, 0, 2]), 443, 0x1122334455667788),
        attribute(10, b"\6"),
        attribute(sockdiag.ATTRIBUTE_INFO, info),
        unread=1,
        unacknowledged=2,
    )
    found = read(data)
    assert found.cookie == 0x1122334455667788
    assert (found.local, found.peer) == (SockaddrIn("127.0.0.1", 8080), SockaddrIn("10.0.0.2", 443))
    assert (found.state, found.unread, found.unacknowledged, found.uid, found.inode) == (sockdiag.CLOSE, 1, 2, 1000, 77)
    assert found.info == sockdiag.Info(9, 50, 2, 11, 12, 3, 4, 5, 0, 0)


def test_ipv6_addresses_and_their_scope() -> None:
    link_local, loopback = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes(15) + b"\1"
    found = read(message(socket.AF_INET6, socket_id(link_local, 1, loopback, 2, 3, interface=4)))
    assert (found.local, found.peer) == (SockaddrIn6("fe80::1", 1, 0, 4), SockaddrIn6("::1", 2))


def test_an_address_without_a_port_is_none() -> None:
    found = read(message(socket.AF_INET, socket_id(HERE, 0, HERE, 0, 3)))
    assert (found.local, found.peer, found.has_peer, found.info) == (None, None, False, None)


def test_a_message_cut_short_has_no_counters() -> None:
    whole = message(
        socket.AF_INET, socket_id(HERE, 1, HERE, 2, 3), attribute(sockdiag.ATTRIBUTE_INFO, tcp_info(acked=1))
    )
    assert read(whole).info is not None
    assert read(whole[:-100]).info is None


def test_a_message_without_a_whole_body_is_an_error() -> None:
    whole = message(socket.AF_INET, socket_id(HERE, 1, HERE, 2, 3))
    short = sockdiag.HEADER.pack(40, sockdiag.SOCK_DIAG_BY_FAMILY, 0, 0, 0) + bytes(24)
    for data in (whole[:-1], short + whole):
        _, start, end = next(sockdiag.split(data, len(data)))
        with pytest.raises(OSError, match=os.strerror(errno.EBADMSG)):
            sockdiag.unpack(data, start, end)


def test_an_attribute_of_no_length_ends_the_reading() -> None:
    assert read(message(socket.AF_INET, socket_id(HERE, 1, HERE, 2, 3), bytes(8))).info is None


def test_split_finds_each_message_and_ends_at_nonsense() -> None:
    one = message(socket.AF_INET, socket_id(HERE, 1, HERE, 2, 3), b"\0")
    done = sockdiag.HEADER.pack(16, sockdiag.NLMSG_DONE, 0, 0, 0)
    padded = one + bytes(-len(one) % 4)
    kinds = [kind for kind, _, _ in sockdiag.split(padded + done + bytes(16), len(padded) + 32)]
    assert kinds == [sockdiag.SOCK_DIAG_BY_FAMILY, sockdiag.NLMSG_DONE]


def test_an_error_message_is_an_os_error() -> None:
    error = sockdiag.error_of(struct.pack("=i", -errno.ENOENT), 0)
    assert (error.errno, error.strerror) == (errno.ENOENT, os.strerror(errno.ENOENT))
    for nonsense in (b"", struct.pack("=i", -(2**31)), struct.pack("=i", 5)):
        assert sockdiag.error_of(nonsense, 0).errno == errno.EBADMSG


def test_a_request_names_one_socket_or_all() -> None:
    id = socket_id(HERE, 1, HERE, 2, 3)
    one, all = sockdiag.request(socket.AF_INET, socket.IPPROTO_TCP, id=id), sockdiag.request(socket.AF_INET6, 17)
    assert sockdiag.HEADER.unpack_from(one)[:3] == (len(one), sockdiag.SOCK_DIAG_BY_FAMILY, sockdiag.NLM_F_REQUEST)
    assert sockdiag.HEADER.unpack_from(all)[2] & sockdiag.NLM_F_DUMP == sockdiag.NLM_F_DUMP
    assert one[16:18] == bytes([socket.AF_INET, socket.IPPROTO_TCP])
    assert one.endswith(id[:40] + sockdiag.ANY_COOKIE)
    assert all.endswith(bytes(sockdiag.ID_SIZE))


@pytest.fixture
def questions() -> Iterator[sockdiag.Questions]:
    questions = sockdiag.Questions()
    yield questions
    questions.close()


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_the_kernel_knows_a_bound_socket(
    questions: sockdiag.Questions, family: socket.AddressFamily, host: str, kind: socket.SocketKind
) -> None:
    with socket.socket(family, kind) as held:
        held.bind((host, 0))
        if kind == socket.SOCK_STREAM:
            held.listen()
        [found] = [message for message in questions.every() if message.cookie == cookie_of(held)]
        assert found.local is not None
        assert tuple(found.local[:2]) == held.getsockname()[:2]
        assert found.inode == os.fstat(held.fileno()).st_ino
        assert found.family == family


def test_the_kernel_tells_a_connections_state(questions: sockdiag.Questions) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        [found] = [message for message in questions.every() if message.cookie == cookie_of(client)]
        assert found.state == questions.state(found) == sockdiag.ESTABLISHED
        assert found.peer == SockaddrIn(*server.getsockname())
        accepted.close()
        client.close()
    assert questions.state(found) is None


def test_a_dump_the_kernel_refuses_is_an_os_error(
    questions: sockdiag.Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockdiag, "_KINDS", [(socket.AF_INET, 255)])
    with pytest.raises(FileNotFoundError):
        list(questions.every())


def test_subscribing_to_an_unknown_group_leaves_nothing_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(KeyError):
        sockdiag.subscribe(["tcp5"])
    assert set(os.listdir("/proc/self/fd")) <= before


def test_notices_are_read_by_the_batch() -> None:
    with sockdiag.subscribe(["tcp4"]) as subscribed:
        notices = sockdiag.Notices(subscribed.fileno())
        held = [socket.socket() for _ in range(sockdiag.BATCH + 5)]
        cookies = [cookie_of(one) for one in held]
        for one in held:
            one.close()
        seen: dict[int, Message | None] = {}
        while not seen.keys() >= set(cookies):
            subscribed.settimeout(5)
            subscribed.recv(1, socket.MSG_PEEK)
            for slot, cookie in enumerate(notices.receive()):
                seen[cookie] = notices.read(slot)
        for cookie in cookies:
            found = seen[cookie]
            assert found is not None
            assert found.cookie == cookie
            assert found.info is not None


def test_an_empty_queue_has_no_notices() -> None:
    with sockdiag.subscribe([]) as subscribed:
        assert sockdiag.Notices(subscribed.fileno()).receive() == ()


def test_a_closed_descriptor_is_an_error() -> None:
    with sockdiag.subscribe([]) as subscribed:
        notices = sockdiag.Notices(subscribed.detach())
    os.close(notices._descriptor)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        notices.receive()
